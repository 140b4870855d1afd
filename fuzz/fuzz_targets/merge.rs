//! Whatever sources report, merging neither panics nor keeps what has gone.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vanflow_proto::{Body, Message, SourceType, Timestamp};
use vanflow_store::{StoreOptions, Store};

fuzz_target!(|bytes: &[u8]| {
    let now = Timestamp::from_micros(1_795_347_888_000_000);
    let mut store = Store::new(StoreOptions::default());
    let source = store.source_seen("x:0", SourceType::Router, now);
    let Ok(message) = Message::decode(bytes) else { return };
    let Body::Records(updates) = message.body else { return };
    for update in updates.flatten() {
        store.apply(source, &update, now);
    }
    let snapshot = store.snapshot();
    for record in snapshot.records() {
        let _ = (record.fields().count(), record.process(), record.server_process(), record.service());
        let _ = (record.site(), record.counterflow(), record.connector_inferred(), record.duration_micros());
    }
    store.source_lost(source, now, now);
    for hours in 1..4 {
        while store.advance(now.plus_micros(hours * 3_600_000_000)) {}
    }
    assert_eq!(store.snapshot().records().count(), 0);
});
