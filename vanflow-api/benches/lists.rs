//! How fast lists are rendered: octets per second, and the time to the first of them.

#![expect(clippy::unwrap_used, reason = "a benchmark may fail loudly")]

use std::{
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use http::{Request, request::Parts};
use http_body::Body as _;
use vanflow_api::{Api, ApiOptions, Body, Network, Publisher};
use vanflow_proto::{
    Attribute, Body as Said, Dialect, Encoder, Message, RecordKind, SourceType, Timestamp, UpdateBuf,
};
use vanflow_store::{SourceId, Store};

const CONNECTIONS: u64 = 100_000;
const EPOCH: u64 = 1_795_347_880_000_000;

fn new(kind: RecordKind, id: u64) -> UpdateBuf {
    UpdateBuf::new(kind, format!("gv_ZW:{id}")).with(Attribute::StartTime, EPOCH + id)
}

/// A service with connections as 3.x routers report them.
fn updates(ended: bool) -> Vec<UpdateBuf> {
    let mut updates = vec![
        UpdateBuf::new(RecordKind::Site, "site-1").with(Attribute::StartTime, EPOCH),
        new(RecordKind::Router, 0).with(Attribute::Parent, "site-1").with(Attribute::Name, "0/west-1"),
    ];
    for (kind, id) in [(RecordKind::Listener, 1), (RecordKind::Connector, 2)] {
        updates.push(
            new(kind, id)
                .with(Attribute::Parent, "gv_ZW:0")
                .with(Attribute::Protocol, "tcp")
                .with(Attribute::VanAddress, "echo:7")
                .with(Attribute::DestHost, "10.0.0.1"),
        );
    }
    for (id, host) in [("process-1", "10.0.0.9"), ("process-2", "10.0.0.1")] {
        updates.push(
            UpdateBuf::new(RecordKind::Process, id)
                .with(Attribute::Parent, "site-1")
                .with(Attribute::SourceHost, host)
                .with(Attribute::Name, "cart-7f9c"),
        );
    }
    for id in 3..3 + CONNECTIONS {
        let mut connection = new(RecordKind::BiflowTport, id)
            .with(Attribute::Parent, "gv_ZW:1")
            .with(Attribute::SourceHost, "10.0.0.9")
            .with(Attribute::SourcePort, (30_000 + id % 30_000).to_string())
            .with(Attribute::Octets, 100 * id)
            .with(Attribute::OctetsReverse, 300 * id)
            .with(Attribute::Latency, 1_000 + id % 500)
            .with(Attribute::Trace, "0/west-1|0/east-1")
            .with(Attribute::Connector, "gv_ZW:2")
            .with(Attribute::ProcessLatency, 500 + id % 300)
            .with(Attribute::ProxyHost, "10.0.0.2")
            .with(Attribute::ProxyPort, (20_000 + id % 30_000).to_string());
        if ended {
            connection.set(Attribute::EndTime, EPOCH + id + 1_000_000);
        }
        updates.push(connection);
    }
    updates
}

fn api(ended: bool) -> Api {
    let now = Timestamp::from_micros(EPOCH + 2_000_000);
    let mut store = Store::new(vanflow_store::StoreOptions::default());
    let source = store.source_seen("gv_ZW:0", SourceType::Router, now);
    let encoder = Encoder::new(Dialect::Router);
    for batch in updates(ended).chunks(50) {
        let bytes = encoder.records("mc/sfe.gv_ZW:0", 1, batch);
        let Said::Records(updates) = Message::decode(&bytes).unwrap().body else { unreachable!() };
        updates.for_each(|update| store.apply(source, update.unwrap(), now));
    }
    Api::new(Network::new(store).0, ApiOptions::default())
}

fn request(path: &str, gzip: bool) -> Parts {
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/api/v1alpha1/{path}") };
    let mut builder = Request::builder().uri(path);
    if gzip {
        builder = builder.header("accept-encoding", "gzip");
    }
    builder.body(()).unwrap().into_parts().0
}

/// Takes pieces until there are so many, and says how many octets they had.
fn take(body: Body, pieces: usize) -> u64 {
    let mut body = pin!(body);
    let mut context = Context::from_waker(Waker::noop());
    let (mut octets, mut taken) = (0, 0);
    while taken < pieces {
        match body.as_mut().poll_frame(&mut context) {
            Poll::Ready(None) => break,
            Poll::Ready(Some(frame)) => {
                octets += black_box(frame.unwrap().into_data().unwrap()).len() as u64;
                taken += 1;
            }
            // It has given way, and is ready to go on.
            Poll::Pending => {}
        }
    }
    octets
}

fn bench(criterion: &mut Criterion) {
    for ended in [false, true] {
        let api = api(ended);
        let (flows, state) = match ended {
            false => ("flows?vanaddr=echo:7", "live"),
            true => ("flows?vanaddr=echo:7&includeDeleted=1", "ended"),
        };
        let mut group = criterion.benchmark_group(format!("flows of {CONNECTIONS} {state} connections"));
        let all = take(api.respond(&request(flows, false)).into_body(), usize::MAX);
        group.sample_size(20).throughput(Throughput::Bytes(all));
        group.bench_function("whole", |bencher| {
            bencher.iter(|| take(api.respond(&request(flows, false)).into_body(), usize::MAX));
        });
        group.bench_function("whole, gzip, by the octets before", |bencher| {
            bencher.iter(|| take(api.respond(&request(flows, true)).into_body(), usize::MAX));
        });
        group.throughput(Throughput::Elements(1));
        group.bench_function("first piece", |bencher| {
            bencher.iter_batched(
                || request(flows, false),
                |request| take(api.respond(&request).into_body(), 1),
                BatchSize::SmallInput,
            );
        });
        let page = format!("{flows}&limit=100&offset=50000");
        group.bench_function("a page in the middle", |bencher| {
            bencher.iter(|| take(api.respond(&request(&page, false)).into_body(), usize::MAX));
        });
        group.bench_function("a short list beside them", |bencher| {
            bencher.iter(|| take(api.respond(&request("topology", false)).into_body(), usize::MAX));
        });
        group.finish();
    }
}

/// How many services there are in [`shop`].
const SERVICES: u64 = 10;

/// Connections from many clients to some services, one lane for each client and service. One in a hundred is open; some
/// of the clients are reported.
fn shop(lanes: u64, each: u64) -> (Api, Publisher, SourceId) {
    let mut store = Store::new(vanflow_store::StoreOptions::default());
    let source = store.source_seen("gv_ZW:0", SourceType::Router, Timestamp::from_micros(EPOCH));
    let mut report = |updates: &[UpdateBuf]| report(&mut store, source, updates);
    let host = |client: u64| format!("10.1.{}.{}", client / 250, client % 250);
    let clients = lanes / SERVICES;
    let mut entities = vec![
        UpdateBuf::new(RecordKind::Site, "site-1").with(Attribute::Name, "west"),
        new(RecordKind::Router, 0).with(Attribute::Parent, "site-1").with(Attribute::Name, "0/west-1"),
    ];
    for service in 0..SERVICES {
        for (kind, id) in [(RecordKind::Listener, 1 + service), (RecordKind::Connector, 101 + service)] {
            entities.push(
                new(kind, id)
                    .with(Attribute::Parent, "gv_ZW:0")
                    .with(Attribute::Protocol, "tcp")
                    .with(Attribute::VanAddress, format!("service-{service}"))
                    .with(Attribute::DestHost, format!("10.0.0.{service}")),
            );
        }
    }
    for client in (0..clients).filter(|client| client % 4 != 0) {
        entities.push(
            UpdateBuf::new(RecordKind::Process, format!("process-{client}"))
                .with(Attribute::Parent, "site-1")
                .with(Attribute::SourceHost, host(client))
                .with(Attribute::Name, format!("client-{client}"))
                .with(Attribute::Group, format!("group-{}", client % 20)),
        );
    }
    report(&entities);
    for first in (0..lanes * each).step_by(1000) {
        let connections: Vec<_> = (first..first + 1000)
            .map(|number| {
                let (client, service) = (number % clients, number / clients % SERVICES);
                let mut connection = new(RecordKind::BiflowTport, 1000 + number)
                    .with(Attribute::Parent, format!("gv_ZW:{}", 1 + service))
                    .with(Attribute::SourceHost, host(client))
                    .with(Attribute::SourcePort, (30_000 + number % 30_000).to_string())
                    .with(Attribute::Octets, number * 7919 % 1_000_003)
                    .with(Attribute::OctetsReverse, 300 * number)
                    .with(Attribute::Latency, 1_000 + number % 500)
                    .with(Attribute::Trace, "0/west-1|0/east-1")
                    .with(Attribute::Connector, format!("gv_ZW:{}", 101 + service))
                    .with(Attribute::ProcessLatency, 500 + number % 300);
                if number % 100 != 0 {
                    connection.set(Attribute::EndTime, EPOCH + number * 13 % 50_000_000);
                }
                connection
            })
            .collect();
        report(&connections);
    }
    let (network, publisher) = Network::new(store);
    (Api::new(network, ApiOptions::default()), publisher, source)
}

/// Merges what a router reports, 50 updates a message.
fn report(store: &mut Store, source: SourceId, updates: &[UpdateBuf]) {
    let encoder = Encoder::new(Dialect::Router);
    for batch in updates.chunks(50) {
        let bytes = encoder.records("mc/sfe.gv_ZW:0", 1, batch);
        let Said::Records(updates) = Message::decode(&bytes).unwrap().body else { unreachable!() };
        updates.for_each(|update| {
            store.apply(source, update.unwrap(), Timestamp::from_micros(EPOCH + 60_000_000));
        });
    }
}

/// What the console asks for on its pages.
fn bench_console(criterion: &mut Criterion) {
    for (lanes, each) in [(500, 200), (500, 2_000), (20_000, 50)] {
        let (api, publisher, source) = shop(lanes, each);
        let count = lanes * each;
        let mut group =
            criterion.benchmark_group(format!("v2alpha1 with {count} connections, {lanes} lanes"));
        group.sample_size(10);
        for path in [
            "connections?limit=20&sortBy=endTime.desc",
            "connections?limit=20&sortBy=octetCount.desc&sourceProcessName=client-7",
            "connections?limit=0&state=active",
            "connections?limit=1000&offset=50000",
            "connections?limit=20&sortBy=endTime.desc&state=terminated&routingKey=service-3",
            "connections?limit=20&sortBy=octetCount.desc",
            "connections?limit=20&sortBy=sourceProcessName.asc",
            "connections?limit=20&sourceSiteName!=west&destProcessName=*",
            // By what the lanes have counted; by a look at each; with all values kept; by what records have of their own.
            "connections?groupBy=routingKey,sourceProcessName&timeRangeStart=0",
            "connections?groupBy=sourceProcessName&aggregate=sum(octetCount)&sortBy=sum(octetCount).desc&limit=10",
            "connections?groupBy=routingKey&aggregate=count,p95(latency)",
            "connections?groupBy=routingKey,listenerError&aggregate=count",
            "processes?role=remote&role=external&endTime=0",
            "components?role=remote&role=external&endTime=0",
            "processpairs",
            "sitepairs",
            "services",
            "sites",
        ] {
            let request = request(&format!("/api/v2alpha1/{path}"), false);
            group.bench_function(path, |bencher| {
                bencher.iter(|| take(api.respond(&request).into_body(), usize::MAX));
            });
        }
        // One, and one in a hundred of the connections report more octets between two requests.
        let request = request("/api/v2alpha1/processpairs", false);
        let mut round = 0;
        for changed in [1, count / 100] {
            let name = format!("processpairs, after {changed} connections changed");
            group.bench_function(name, |bencher| {
                let change = || {
                    round += 1;
                    let update = |number: u64| {
                        new(RecordKind::BiflowTport, 1000 + number * 100)
                            .with(Attribute::Octets, 2_000_000 + round * 1_000_003 + number)
                    };
                    report(&mut publisher.write(), source, &(0..changed).map(update).collect::<Vec<_>>());
                };
                bencher.iter_batched(
                    change,
                    |()| take(api.respond(&request).into_body(), usize::MAX),
                    BatchSize::PerIteration,
                );
            });
        }
        group.finish();
    }
}

criterion_group!(benches, bench, bench_console);
criterion_main!(benches);
