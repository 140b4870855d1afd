//! What pages cost that are open at once: what one tick of their streams takes while 1,000 connections a second are
//! reported.
//!
//! Each pass is a tick: 250 connections that start, 250 that end, and then each client takes what is new of its three
//! subscriptions. Time stands still but for timers, so that what is measured is work. Four ticks make a second.

#![expect(clippy::unwrap_used, reason = "a benchmark may fail loudly")]

use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use http::Request;
use http_body_util::BodyExt;
use tokio::runtime::Runtime;
use vanflow_api::{Api, ApiOptions, Body, Network, Publisher};
use vanflow_proto::{
    Attribute, Body as Said, Dialect, Encoder, Message, RecordKind, SourceType, Timestamp, UpdateBuf,
};
use vanflow_store::{SourceId, Store, StoreOptions};

const EPOCH: u64 = 1_795_347_880_000_000;
const TICK_MICROS: u64 = 250_000;
/// Connections in a tick.
const STARTED: u64 = 250;
const SERVICES: u64 = 10;
const CLIENTS: u64 = 50;
/// How long ended connections are retained: 60,000 of them.
const RETENTION_MICROS: u64 = 60_000_000;

/// What a page is subscribed to.
const SUBSCRIPTIONS: &str = "verdict=v1%2Fverdict\
    &pairs=v2alpha1%2Fcomponentpairs\
    &tail=v2alpha1%2Fconnections%3Fstate%3Dactive%26sortBy%3DstartTime.desc%26limit%3D50";

/// The network, and how far it has come.
struct Traffic {
    api: Api,
    publisher: Publisher,
    source: SourceId,
    ticks: u64,
}

impl Traffic {
    fn new() -> Self {
        let mut options = StoreOptions::default();
        options.retention_micros = RETENTION_MICROS;
        let mut store = Store::new(options);
        let source = store.source_seen("gv_ZW:0", SourceType::Router, Timestamp::from_micros(EPOCH));
        let (network, publisher) = Network::new(store);
        let mut traffic = Self { api: Api::new(network, ApiOptions::default()), publisher, source, ticks: 0 };
        traffic.report(&entities());
        // As many as there will be, so that each tick finds as much as the one before.
        for _ in 0..2 * RETENTION_MICROS / TICK_MICROS {
            traffic.tick();
        }
        traffic
    }

    fn report(&mut self, updates: &[UpdateBuf]) {
        let now = Timestamp::from_micros(EPOCH + self.ticks * TICK_MICROS);
        let encoder = Encoder::new(Dialect::Router);
        let mut store = self.publisher.write();
        for batch in updates.chunks(50) {
            let bytes = encoder.records("mc/sfe.gv_ZW:0", 1, batch);
            let Said::Records(updates) = Message::decode(&bytes).unwrap().body else { unreachable!() };
            updates.for_each(|update| store.apply(self.source, update.unwrap(), now));
        }
        while store.advance(now) {}
    }

    /// A quarter of a second of traffic.
    fn tick(&mut self) {
        self.ticks += 1;
        let now = EPOCH + self.ticks * TICK_MICROS;
        let first = 1_000 + self.ticks * STARTED;
        let started = (first..first + STARTED).map(|id| connection(id, now));
        // What started two seconds ago ends.
        let ended = (first.saturating_sub(8 * STARTED)..first.saturating_sub(7 * STARTED))
            .filter(|id| *id >= 1_000 + STARTED);
        let ended = ended.map(|id| {
            UpdateBuf::new(RecordKind::BiflowTport, format!("gv_ZW:{id}")).with(Attribute::EndTime, now)
        });
        let updates: Vec<_> = started.chain(ended).collect();
        self.report(&updates);
        self.publisher.publish();
    }
}

fn entities() -> Vec<UpdateBuf> {
    let new = |kind, id: String| UpdateBuf::new(kind, id).with(Attribute::StartTime, EPOCH);
    let mut entities = vec![
        new(RecordKind::Site, "site-1".into()).with(Attribute::Name, "west"),
        new(RecordKind::Router, "gv_ZW:0".into())
            .with(Attribute::Parent, "site-1")
            .with(Attribute::Name, "0/west-1"),
    ];
    for service in 0..SERVICES {
        for (kind, id) in [(RecordKind::Listener, 1 + service), (RecordKind::Connector, 101 + service)] {
            entities.push(
                new(kind, format!("gv_ZW:{id}"))
                    .with(Attribute::Parent, "gv_ZW:0")
                    .with(Attribute::Protocol, "tcp")
                    .with(Attribute::VanAddress, format!("service-{service}"))
                    .with(Attribute::DestHost, format!("10.0.0.{service}")),
            );
        }
    }
    let process = |id: String, host: String, group: String| {
        new(RecordKind::Process, id.clone())
            .with(Attribute::Parent, "site-1")
            .with(Attribute::Name, id)
            .with(Attribute::SourceHost, host)
            .with(Attribute::Group, group)
    };
    entities.extend((0..CLIENTS).map(|client| {
        process(format!("client-{client}"), format!("10.1.0.{client}"), format!("group-{}", client % 10))
    }));
    entities.extend((0..SERVICES).map(|service| {
        process(format!("server-{service}"), format!("10.0.0.{service}"), format!("service-{service}"))
    }));
    entities
}

fn connection(id: u64, now: u64) -> UpdateBuf {
    let (client, service) = (id % CLIENTS, id / CLIENTS % SERVICES);
    UpdateBuf::new(RecordKind::BiflowTport, format!("gv_ZW:{id}"))
        .with(Attribute::StartTime, now)
        .with(Attribute::Parent, format!("gv_ZW:{}", 1 + service))
        .with(Attribute::SourceHost, format!("10.1.0.{client}"))
        .with(Attribute::SourcePort, (30_000 + id % 30_000).to_string())
        .with(Attribute::Octets, id * 7919 % 1_000_003)
        .with(Attribute::OctetsReverse, 300 * id)
        .with(Attribute::Latency, 1_000 + id % 500)
        .with(Attribute::Trace, "0/west-1")
        .with(Attribute::Connector, format!("gv_ZW:{}", 101 + service))
        .with(Attribute::ProcessLatency, 500 + id % 300)
}

/// Takes frames until the tail has come, which is the last of the subscriptions. Answers how many octets there were.
async fn take(body: &mut Body) -> usize {
    let (mut octets, mut is_tail) = (0, false);
    loop {
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        octets += frame.len();
        if is_tail && frame.ends_with(b"\n\n") {
            return octets;
        }
        is_tail |= frame.starts_with(b"event: tail\n");
    }
}

/// What so many ticks take, without the traffic itself.
fn ticks(runtime: &Runtime, traffic: &mut Traffic, clients: usize, ticks: u64) -> Duration {
    runtime.block_on(async {
        let head =
            || Request::get(format!("/api/v1/stream?{SUBSCRIPTIONS}")).body(()).unwrap().into_parts().0;
        let mut bodies: Vec<_> = (0..clients).map(|_| traffic.api.respond(&head()).into_body()).collect();
        for body in &mut bodies {
            take(body).await;
        }
        let mut spent = Duration::ZERO;
        for _ in 0..ticks {
            traffic.tick();
            // Clocks that stand still in between do not count what a client waits for.
            tokio::time::advance(Duration::from_millis(250)).await;
            let begun = wall_clock();
            for body in &mut bodies {
                std::hint::black_box(take(body).await);
            }
            spent += begun.elapsed();
        }
        spent
    })
}

fn wall_clock() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
    Instant::now()
}

fn bench(criterion: &mut Criterion) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let mut traffic = Traffic::new();
    let mut group = criterion.benchmark_group("a tick of streams at 1,000 connections a second");
    group.sample_size(10).measurement_time(Duration::from_secs(4));
    for clients in [1, 200] {
        group.bench_function(format!("{clients} clients of three subscriptions each"), |bencher| {
            bencher.iter_custom(|passes| ticks(&runtime, &mut traffic, clients, passes));
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
