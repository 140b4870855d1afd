//! What it costs to decode and merge what routers send, in batches of the captured shape.
//!
//! One iteration is one batch of 50 updates, so that 25 µs are two million updates a second; of the last benchmark, all
//! batches into an empty store.

use std::{collections::HashMap, fs::File, hint::black_box, io::BufReader, path::Path};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use vanflow_proto::{
    Attribute, Body, Dialect, Encoder, Message, RecordKind, SourceType, Timestamp, UpdateBuf, ValueBuf,
    capture,
};
use vanflow_store::{SourceId, Store, StoreOptions};

const BATCH: usize = 50;

/// The updates of connections and requests in the capture, in order.
fn captured_flows() -> Vec<UpdateBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/captures/router-3.5.jsonl");
    let file = BufReader::new(File::open(path).expect("the capture is there"));
    let mut updates = Vec::new();
    for captured in capture::read(file).map(|captured| captured.expect("it reads")) {
        let Body::Records(records) = Message::decode(&captured.message).expect("it decodes").body else {
            continue;
        };
        updates.extend(records.map(|update| update.expect("it decodes").to_owned()).filter(|update| {
            matches!(
                update.type_code,
                Some(code) if code == RecordKind::BiflowTport.code() || code == RecordKind::BiflowApp.code()
            )
        }));
    }
    updates
}

/// Batches of 50 updates with the shapes of the capture, `rounds` times over with other ids.
fn batches(rounds: u64) -> Vec<Vec<u8>> {
    let flows = captured_flows();
    let encoder = Encoder::new(Dialect::Router);
    let mut counters = HashMap::new();
    let mut next = 100;
    let mut updates = Vec::new();
    for round in 0..rounds {
        let mut renamed = |id: &str| {
            let number = counters.entry((round, id.to_owned())).or_insert_with(|| {
                next += 1;
                next
            });
            format!("gv_ZW:{number}")
        };
        for update in &flows {
            let mut update = update.clone();
            let is_app = update.type_code == Some(RecordKind::BiflowApp.code());
            update.id = renamed(&update.id);
            for (code, value) in &mut update.attributes {
                match (value, *code) {
                    (ValueBuf::Text(parent), code) if is_app && code == Attribute::Parent.code() => {
                        *parent = renamed(parent).into();
                    }
                    (ValueBuf::Uint(time), code)
                        if code == Attribute::StartTime.code() || code == Attribute::EndTime.code() =>
                    {
                        *time += round * 1_000_000;
                    }
                    _ => {}
                }
            }
            updates.push(update);
        }
    }
    updates
        .chunks_exact(BATCH)
        .enumerate()
        .map(|(position, batch)| encoder.records("mc/sfe.gv_ZW:0.flows", position as u64, batch))
        .collect()
}

fn updates(message: &[u8]) -> vanflow_proto::Updates<'_> {
    match Message::decode(message).expect("it decodes").body {
        Body::Records(updates) => updates,
        _ => unreachable!("only records were encoded"),
    }
}

fn apply(store: &mut Store, source: SourceId, message: &[u8], now: Timestamp) {
    for update in updates(message) {
        store.apply(source, update.expect("it decodes"), now);
    }
}

fn now(position: usize) -> Timestamp {
    Timestamp::from_micros(1_795_347_880_000_000 + position as u64 * 1000)
}

fn fresh() -> (Store, SourceId) {
    let mut store = Store::new(StoreOptions::default());
    let source = store.source_seen("gv_ZW:0", SourceType::Router, now(0));
    (store, source)
}

fn merge(c: &mut Criterion) {
    let messages = batches(40);
    let mut group = c.benchmark_group("batch of 50");
    group.throughput(Throughput::Elements(BATCH as u64));
    let mut position = 0;
    let mut next = || {
        position = (position + 1) % messages.len();
        position
    };
    group.bench_function("decode", |b| {
        b.iter(|| {
            for update in updates(&messages[next()]) {
                for attribute in update.expect("it decodes").attributes() {
                    black_box(attribute.expect("it decodes"));
                }
            }
        });
    });
    group.bench_function("decode and merge, reported again", |b| {
        let (mut store, source) = fresh();
        for (position, message) in messages.iter().enumerate() {
            apply(&mut store, source, message, now(position));
        }
        b.iter(|| apply(&mut store, source, &messages[next()], now(messages.len())));
    });
    group.throughput(Throughput::Elements((messages.len() * BATCH) as u64));
    group.bench_function("decode and merge, all new", |b| {
        b.iter_batched(
            fresh,
            |(mut store, source)| {
                for (position, message) in messages.iter().enumerate() {
                    apply(&mut store, source, message, now(position));
                }
                store
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, merge);
criterion_main!(benches);
