//! Whatever a file of users or of tokens has in it, it names somebody or says in which line it makes no sense.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vanflow_collector::fuzzing::names;

fuzz_target!(|text: &[u8]| {
    let lines = text.split(|octet| *octet == b'\n').count();
    for are_tokens in [false, true] {
        assert!(names(text, are_tokens).is_none_or(|count| count <= lines));
    }
});
