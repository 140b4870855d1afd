//! What it costs to ask about many connections through their lanes and orders, and what the writer pays for that.
//!
//! 100,000 and a million ended connections of a thousand clients with two requests to every tenth, and 1,000 live ones.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use vanflow_proto::{
    Attribute, Body, Dialect, Encoder, Message, RecordKind, SourceType, Timestamp, UpdateBuf,
};
use vanflow_store::{FlowKind, SourceId, Store, StoreOptions};

const START: u64 = 1_795_347_880_000_000;
const CLIENTS: u64 = 1000;
const LIVE: u64 = 1000;

fn apply(store: &mut Store, source: SourceId, updates: &[UpdateBuf], now: Timestamp) {
    let message = Encoder::new(Dialect::Router).records("mc/sfe.west:0.flows", 1, updates);
    let Body::Records(updates) = Message::decode(&message).expect("it decodes").body else {
        unreachable!("records were encoded")
    };
    for update in updates {
        store.apply(source, update.expect("it decodes"), now);
    }
}

fn client(number: u64) -> String {
    format!("10.0.{}.{}", number / 250, number % 250)
}

/// A connection that started `number` times 100 µs after the first one.
fn connection(number: u64) -> UpdateBuf {
    UpdateBuf::new(RecordKind::BiflowTport, format!("west:{}", 100 + 3 * number))
        .with(Attribute::Parent, "west:1")
        .with(Attribute::StartTime, START + number * 100)
        .with(Attribute::SourceHost, &*client(number % CLIENTS))
        .with(Attribute::SourcePort, &*(30_000 + number % 30_000).to_string())
        .with(Attribute::Octets, number)
        .with(Attribute::OctetsReverse, 2 * number)
        .with(Attribute::Connector, "east:1")
        .with(Attribute::Latency, 622 + number % 2000)
        .with(Attribute::ProcessLatency, 497)
}

fn requests(number: u64) -> impl Iterator<Item = UpdateBuf> {
    (1..3).filter(move |_| number.is_multiple_of(10)).map(move |request| {
        UpdateBuf::new(RecordKind::BiflowApp, format!("west:{}", 100 + 3 * number + request))
            .with(Attribute::Parent, &*format!("west:{}", 100 + 3 * number))
            .with(Attribute::StartTime, START + number * 100)
            .with(Attribute::EndTime, START + number * 100 + 800)
            .with(Attribute::Protocol, "HTTP/1.1")
            .with(Attribute::Method, "GET")
            .with(Attribute::Result, "200")
    })
}

fn filled(connections: u64) -> (Store, SourceId, Timestamp) {
    let now = Timestamp::from_micros(START);
    let mut store = Store::new(StoreOptions::default());
    let source = store.source_seen("west:0", SourceType::Router, now);
    let end = |id: &str, kind, parent: &str| {
        UpdateBuf::new(kind, id)
            .with(Attribute::Parent, parent)
            .with(Attribute::VanAddress, "echo")
            .with(Attribute::Protocol, "tcp")
            .with(Attribute::DestHost, "10.1.0.1")
    };
    let mut network = vec![
        UpdateBuf::new(RecordKind::Router, "west:0")
            .with(Attribute::Parent, "site")
            .with(Attribute::StartTime, now),
        UpdateBuf::new(RecordKind::Router, "east:0")
            .with(Attribute::Parent, "site")
            .with(Attribute::StartTime, now),
        UpdateBuf::new(RecordKind::Site, "site").with(Attribute::StartTime, now),
        end("west:1", RecordKind::Listener, "west:0"),
        end("east:1", RecordKind::Connector, "east:0"),
    ];
    network.extend((0..CLIENTS).map(|number| {
        UpdateBuf::new(RecordKind::Process, format!("process-{number}"))
            .with(Attribute::Parent, "site")
            .with(Attribute::SourceHost, &*client(number))
    }));
    apply(&mut store, source, &network, now);
    for batch in 0..connections / 50 {
        let batch: Vec<_> = (batch * 50..batch * 50 + 50)
            .flat_map(|number| {
                let ended = connection(number).with(Attribute::EndTime, START + number * 100 + 1000);
                std::iter::once(ended).chain(requests(number))
            })
            .collect();
        apply(&mut store, source, &batch, now);
    }
    let live: Vec<_> = (connections..connections + LIVE).map(connection).collect();
    apply(&mut store, source, &live, now);
    (store, source, now)
}

fn lanes(c: &mut Criterion) {
    for connections in [100_000, 1_000_000] {
        let (mut store, source, now) = filled(connections);
        let mut group = c.benchmark_group("lanes");
        let mut bench = |name: &str, run: &mut dyn FnMut()| {
            group.bench_function(BenchmarkId::new(name, connections), |b| b.iter(&mut *run));
        };
        bench("a snapshot", &mut || drop(black_box(store.snapshot())));
        let snapshot = store.snapshot();
        bench("both processes of each lane", &mut || {
            let known = snapshot.lanes().filter(|lane| {
                black_box(lane.server_process());
                lane.process().is_some()
            });
            assert_eq!(known.count() as u64, CLIENTS);
        });
        bench("totals of each lane", &mut || {
            let octets =
                snapshot.lanes().map(|lane| lane.totals().octets() + lane.totals().latency().count());
            black_box(octets.sum::<u64>());
        });
        let ends = snapshot.ended_by_time(FlowKind::Connection);
        bench("the 20 that ended last", &mut || {
            assert_eq!(ends.range(ends.len() - 20..ends.len()).rev().map(black_box).count(), 20);
        });
        let middle = Timestamp::from_micros(START + connections * 50);
        bench("how many ended before a time", &mut || {
            black_box(ends.rank(black_box(middle)));
        });
        let ids = snapshot.by_identity(FlowKind::Connection);
        bench("1000 after 50,000 by id", &mut || {
            assert_eq!(ids.range(50_000..51_000).map(black_box).count(), 1000);
        });
        bench("how many live", &mut || {
            black_box(snapshot.live_count(RecordKind::BiflowTport));
        });
        drop(snapshot);
        let mut octets = 10 * connections;
        bench("an update of octets while somebody looks", &mut || {
            let snapshot = store.snapshot();
            octets += 1;
            let update = UpdateBuf::new(RecordKind::BiflowTport, format!("west:{}", 100 + 3 * connections))
                .with(Attribute::Octets, octets);
            apply(&mut store, source, &[update], now);
            drop(black_box(snapshot));
        });
        let mut number = connections + LIVE;
        bench("a connection comes and ends while somebody looks", &mut || {
            let snapshot = store.snapshot();
            number += 1;
            let ended = connection(number).with(Attribute::EndTime, START + number * 100 + 1000);
            apply(&mut store, source, &[ended], now);
            drop(black_box(snapshot));
        });
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(std::time::Duration::from_millis(200))
        .measurement_time(std::time::Duration::from_millis(500));
    targets = lanes
}
criterion_main!(benches);
