//! What fuzzing found worth keeping, once more: inputs that reach something each (`fuzz/`), without the fuzzer.

use std::{fs, path::Path};

use vanflow_proto::{Body, Dialect, Encoder, Message, SourceType, Timestamp, UpdateBuf, capture};
use vanflow_store::{Store, StoreOptions};

/// The inputs of a target, each with its name.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace is above");
    let directory = root.join("fuzz/corpora").join(target);
    let entries = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let inputs = entries.map(|entry| {
        let path = entry.expect("it can be listed").path();
        (path.display().to_string(), fs::read(&path).expect("it can be read"))
    });
    let inputs: Vec<_> = inputs.collect();
    assert!(inputs.len() > 10, "{target} has {} inputs", inputs.len());
    inputs
}

fn updates(octets: &[u8]) -> Option<Vec<UpdateBuf>> {
    let Body::Records(updates) = Message::decode(octets).ok()?.body else { return None };
    Some(updates.flatten().map(|update| update.to_owned()).collect())
}

#[test]
fn messages_that_fuzzing_found_decode_to_the_same_again() {
    for (name, octets) in corpus("decode") {
        let Some(updates) = updates(&octets) else { continue };
        for dialect in [Dialect::Router, Dialect::Controller] {
            let again = Encoder::new(dialect).records("mc/sfe.x", 1, &updates);
            let decoded = self::updates(&again).unwrap_or_else(|| panic!("{name}: what was encoded decodes"));
            // Not by `==`: a NaN is not equal to itself.
            assert_eq!(format!("{updates:?}"), format!("{decoded:?}"), "{name}");
        }
    }
}

#[test]
fn records_that_fuzzing_found_merge_and_leave_nothing() {
    let now = Timestamp::from_micros(1_795_347_888_000_000);
    for (name, octets) in corpus("merge") {
        let mut store = Store::new(StoreOptions::default());
        let source = store.source_seen("x:0", SourceType::Router, now);
        for update in &updates(&octets).unwrap_or_default() {
            store.apply(source, update, now);
        }
        store.source_lost(source, now, now);
        for hours in 1..4 {
            while store.advance(now.plus_micros(hours * 3_600_000_000)) {}
        }
        assert_eq!(store.snapshot().records().count(), 0, "{name}");
    }
}

#[test]
fn captures_that_fuzzing_found_are_read_to_their_end() {
    for (name, octets) in corpus("capture") {
        let lines = octets.split(|octet| *octet == b'\n').count();
        assert!(capture::read(&octets[..]).count() <= lines, "{name}");
    }
}
