//! Whatever a capture has in it, each line of it is a message or an error that names the line, and what is read is
//! written and read again as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vanflow_proto::{Message, capture};

fuzz_target!(|bytes: &[u8]| {
    let lines = bytes.split(|octet| *octet == b'\n').count();
    let (mut messages, mut last) = (Vec::new(), 0);
    for (number, read) in capture::read(bytes).enumerate() {
        assert!(number < lines, "there are no more messages than lines");
        match read {
            Ok(captured) => {
                let _ = Message::decode(&captured.message);
                messages.push(captured);
            }
            Err(error) => {
                assert!((last + 1..=lines).contains(&error.line()) && !error.is_last(), "{error}");
                last = error.line();
            }
        }
    }
    let mut written = Vec::new();
    for captured in &messages {
        capture::write(&mut written, captured.micros, &captured.link, &captured.message).expect("there is room");
    }
    let again: Vec<_> = capture::read(&written[..]).map(|read| read.expect("it was written so")).collect();
    assert_eq!(again, messages);
});
