//! What clients cost that connect once each, from a host of their own: each makes a lane.
//!
//! `cargo bench -p vanflow-store --bench hosts -- [CONNECTIONS] [latencies]`, a million by default. Criterion has no figure
//! for the longest of many; so this prints how long the longest batches of 50 updates took, and the memory that a
//! connection took.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "it measures time and prints it")]

use std::time::Instant;

use vanflow_proto::{
    Attribute, Body, Dialect, Encoder, Message, RecordKind, SourceType, Timestamp, UpdateBuf,
};
use vanflow_store::{SourceId, Store, StoreOptions};

const BATCH: u64 = 50;
const EPOCH: u64 = 1_795_347_880_000_000;

fn main() {
    let has_latencies = std::env::args().any(|argument| argument == "latencies");
    let connections = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(1_000_000);
    let mut options = StoreOptions::default();
    options.retention_micros = 86_400_000_000;
    let mut store = Store::new(options);
    let source = store.source_seen("gv_ZW:0", SourceType::Router, Timestamp::from_micros(EPOCH));
    let encoder = Encoder::new(Dialect::Router);
    let address = |kind, number: u64| {
        UpdateBuf::new(kind, format!("gv_ZW:{number}"))
            .with(Attribute::StartTime, EPOCH)
            .with(Attribute::Parent, "gv_ZW:0")
            .with(Attribute::Protocol, "tcp")
            .with(Attribute::VanAddress, "backend:8080")
    };
    let endpoints = [
        UpdateBuf::new(RecordKind::Router, "gv_ZW:0").with(Attribute::StartTime, EPOCH),
        address(RecordKind::Listener, 1),
        address(RecordKind::Connector, 2).with(Attribute::DestHost, "10.2.0.1"),
    ];
    let mut apply = |message: &[u8], now| {
        let began = Instant::now();
        apply(&mut store, source, message, Timestamp::from_micros(now));
        began.elapsed()
    };
    apply(&encoder.records("mc/sfe.gv_ZW:0", 1, &endpoints), EPOCH);
    let before = resident();
    let mut took = Vec::new();
    for batch in 0..connections / BATCH {
        let start = EPOCH + batch * 1000;
        let updates: Vec<_> = (batch * BATCH..(batch + 1) * BATCH)
            .map(|number| {
                let update = UpdateBuf::new(RecordKind::BiflowTport, format!("gv_ZW:{}", 100 + number))
                    .with(Attribute::StartTime, start)
                    .with(Attribute::EndTime, start + 900)
                    .with(Attribute::Parent, "gv_ZW:1")
                    .with(Attribute::Connector, "gv_ZW:2")
                    .with(Attribute::SourceHost, host(number))
                    .with(Attribute::SourcePort, (40_000 + number % 20_000).to_string())
                    .with(Attribute::ProxyHost, "10.1.0.9")
                    .with(Attribute::ProxyPort, (30_000 + number % 20_000).to_string())
                    .with(Attribute::Octets, 100 + number % 900)
                    .with(Attribute::OctetsReverse, 1000 + number % 9000);
                if has_latencies {
                    update
                        .with(Attribute::Latency, 300 + number % 700)
                        .with(Attribute::ProcessLatency, 200 + number % 300)
                } else {
                    update
                }
            })
            .collect();
        took.push(apply(&encoder.records("mc/sfe.gv_ZW:0.flows", 2 + batch, &updates), start));
    }
    took.sort_unstable();
    let octets = resident().saturating_sub(before) as f64 / connections as f64;
    let of = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
    println!(
        "{connections} connections of as many hosts, {}: a batch of {BATCH} took {:?}, of a thousand one {:?}, the longest \
         {:?}; {octets:.0} octets a connection, {:.0} by the store's own estimate",
        if has_latencies { "with latencies" } else { "without latencies" },
        of(0.5),
        of(0.999),
        of(1.0),
        store.stats().memory as f64 / connections as f64,
    );
}

/// Every host is another.
fn host(number: u64) -> String {
    format!("10.{}.{}.{}", number >> 16, number >> 8 & 255, number & 255)
}

fn apply(store: &mut Store, source: SourceId, message: &[u8], now: Timestamp) {
    let Body::Records(updates) = Message::decode(message).expect("it decodes").body else {
        unreachable!("only records were encoded")
    };
    for update in updates {
        store.apply(source, update.expect("it decodes"), now);
    }
}

/// The memory that the process has, in octets.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<usize>().ok()).unwrap_or(0) * 1024
}
