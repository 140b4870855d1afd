//! What a scrape costs with 5,000 label sets, and what it costs to keep up with the network.

#![expect(clippy::unwrap_used, reason = "what is not there where it has to be fails the bench")]

use std::{
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use criterion::{Criterion, criterion_group, criterion_main};
use http::{Request, request::Parts};
use http_body::Body as _;
use vanflow_api::{Api, ApiOptions, Network};
use vanflow_history::HistoryOptions;
use vanflow_proto::{
    Attribute, Body as Said, Dialect, Encoder, Message, RecordKind, SourceType, Timestamp, UpdateBuf,
};
use vanflow_store::{SourceId, Store};

const EPOCH: u64 = 1_795_347_880_000_000;

/// Clients; each connects to each of the services.
const CLIENTS: u64 = 500;
const SERVICES: u64 = 10;

/// A site with clients and servers. With latencies there is seven times as much to report each connection.
fn network(has_latencies: bool) -> Vec<UpdateBuf> {
    let id = |number: u64| format!("gv_ZW:{number}");
    let new = |kind, number| UpdateBuf::new(kind, id(number)).with(Attribute::StartTime, EPOCH);
    let site = "e4b2f6a8-6f0c-4d6f-8d2b-3a1f5e7c9b21";
    let process = |number: u64, host: String, name: String| {
        UpdateBuf::new(RecordKind::Process, format!("{number:08}-5d8b-4c11-9d2e-0242ac120002"))
            .with(Attribute::StartTime, EPOCH)
            .with(Attribute::Parent, site)
            .with(Attribute::SourceHost, host)
            .with(Attribute::Group, name.trim_end_matches(char::is_numeric))
            .with(Attribute::Name, format!("{name}-6f9d8b7c5-x2x4z"))
    };
    let mut updates = vec![
        UpdateBuf::new(RecordKind::Site, site)
            .with(Attribute::StartTime, EPOCH)
            .with(Attribute::Name, "west"),
        new(RecordKind::Router, 0).with(Attribute::Parent, site).with(Attribute::Name, "0/west-1"),
    ];
    for service in 0..SERVICES {
        let shop = |update: UpdateBuf| {
            update
                .with(Attribute::Parent, "gv_ZW:0")
                .with(Attribute::Protocol, "tcp")
                .with(Attribute::VanAddress, format!("backend-{service}:8080"))
        };
        let host = format!("10.1.0.{service}");
        updates.push(shop(new(RecordKind::Listener, 1 + service)));
        updates
            .push(shop(new(RecordKind::Connector, 100 + service)).with(Attribute::DestHost, host.as_str()));
        updates.push(process(100_000 + service, host, format!("backend{service}")));
    }
    for client in 0..CLIENTS {
        let host = format!("10.2.{}.{}", client / 250, client % 250);
        updates.push(process(client, host.clone(), format!("frontend{client}")));
        for service in 0..SERVICES {
            let mut connection = new(RecordKind::BiflowTport, 1000 + client * SERVICES + service)
                .with(Attribute::Parent, id(1 + service))
                .with(Attribute::Connector, id(100 + service))
                .with(Attribute::SourceHost, host.as_str())
                .with(Attribute::Octets, 1000 + client)
                .with(Attribute::OctetsReverse, 70_000 + client);
            if has_latencies {
                connection.set(Attribute::Latency, 1500 + client);
                connection.set(Attribute::ProcessLatency, 500 + client);
            }
            updates.push(connection);
        }
    }
    updates
}

fn apply(store: &mut Store, source: SourceId, updates: &[UpdateBuf]) {
    let now = Timestamp::from_micros(EPOCH + 2_000_000);
    let encoder = Encoder::new(Dialect::Router);
    for batch in updates.chunks(50) {
        let bytes = encoder.records("mc/sfe.gv_ZW:0", 1, batch);
        let Said::Records(updates) = Message::decode(&bytes).unwrap().body else { unreachable!() };
        updates.for_each(|update| store.apply(source, update.unwrap(), now));
    }
}

fn request(gzip: bool) -> Parts {
    let builder = Request::builder().uri("/metrics").header("accept", "application/openmetrics-text");
    let builder = if gzip { builder.header("accept-encoding", "gzip") } else { builder };
    builder.body(()).unwrap().into_parts().0
}

fn scrape(api: &Api, request: &Parts) -> u64 {
    let mut body = pin!(api.respond(request).into_body());
    let mut context = Context::from_waker(Waker::noop());
    let mut octets = 0;
    loop {
        match body.as_mut().poll_frame(&mut context) {
            Poll::Ready(None) => return octets,
            Poll::Ready(Some(frame)) => octets += black_box(frame.unwrap().into_data().unwrap()).len() as u64,
            Poll::Pending => {}
        }
    }
}

fn bench(criterion: &mut Criterion) {
    for has_latencies in [false, true] {
        let mut store = Store::new(vanflow_store::StoreOptions::default());
        let now = Timestamp::from_micros(EPOCH + 2_000_000);
        let source = store.source_seen("gv_ZW:0", SourceType::Router, now);
        apply(&mut store, source, &network(has_latencies));
        let mut options = ApiOptions::default();
        options.metrics.zero_for = Duration::ZERO;
        options.history = Some(HistoryOptions::default());
        let (network, publisher) = Network::new(store);
        let api = Api::new(network, options);
        let with = if has_latencies { "with latencies" } else { "without latencies" };
        let octets = scrape(&api, &request(false));
        let mut group = criterion.benchmark_group(format!("5000 label sets {with}, {} kB", octets / 1000));
        group.sample_size(10);
        group.bench_function("scrape", |bencher| bencher.iter(|| scrape(&api, &request(false))));
        group.bench_function("scrape, gzip", |bencher| bencher.iter(|| scrape(&api, &request(true))));
        group.bench_function("observe, nothing changed", |bencher| bencher.iter(|| api.observe()));
        let mut round = 0;
        group.bench_function("observe, 500 lanes changed", |bencher| {
            bencher.iter_custom(|times| {
                let mut total = Duration::ZERO;
                for _ in 0..times {
                    round += 1;
                    let update = |number: u64| {
                        UpdateBuf::new(RecordKind::BiflowTport, format!("gv_ZW:{}", 1000 + 10 * number))
                            .with(Attribute::Octets, 100_000 + round)
                    };
                    apply(&mut publisher.write(), source, &(0..500).map(update).collect::<Vec<_>>());
                    let begun = tokio::time::Instant::now();
                    api.observe();
                    total += begun.elapsed();
                }
                total
            });
        });
        let mut at = EPOCH;
        group.bench_function("into the history", |bencher| {
            bencher.iter(|| {
                at += 5_000_000;
                api.remember(Timestamp::from_micros(at));
            });
        });
        group.finish();
    }
}

/// Connections that failed, so that no connector was ever reported, are kept with all others: what one more costs.
fn bench_unresolved(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("connections without a connector");
    group.sample_size(10);
    for many in [1_000, 20_000] {
        let mut store = Store::new(vanflow_store::StoreOptions::default());
        let now = Timestamp::from_micros(EPOCH + 2_000_000);
        let source = store.source_seen("gv_ZW:0", SourceType::Router, now);
        apply(&mut store, source, &network(false));
        let failed = |number: u64| {
            UpdateBuf::new(RecordKind::BiflowTport, format!("gv_ZW:{}", 100_000 + number))
                .with(Attribute::StartTime, EPOCH)
                .with(Attribute::Parent, "gv_ZW:99999")
                .with(Attribute::SourceHost, "10.2.0.1")
                .with(Attribute::EndTime, EPOCH + 1)
        };
        apply(&mut store, source, &(0..many).map(failed).collect::<Vec<_>>());
        let (network, publisher) = Network::new(store);
        let api = Api::new(network, ApiOptions::default());
        api.observe();
        publisher.write().advance(Timestamp::from_micros(EPOCH + 20_000_000));
        api.observe();
        let mut next = many;
        group.bench_function(format!("observe, one more than {many}"), |bencher| {
            bencher.iter_custom(|times| {
                let mut total = Duration::ZERO;
                for _ in 0..times {
                    next += 1;
                    // So fast that few are waited for, and none is evicted.
                    let now = EPOCH + 20_000_000 + 100_000 * (next - many);
                    publisher.write().advance(Timestamp::from_micros(now));
                    apply(&mut publisher.write(), source, &[failed(next)]);
                    let begun = tokio::time::Instant::now();
                    api.observe();
                    total += begun.elapsed();
                }
                total
            });
        });
    }
    group.finish();
}

criterion_group!(benches, bench, bench_unresolved);
criterion_main!(benches);
