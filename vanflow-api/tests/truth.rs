//! What all answers say together of a network whose truth is known: a migration in its middle, with routers of 2.x and 3.x,
//! of which all is reported late, repeatedly, out of order and over restarts, and pods that are replaced.
//!
//! The truth is a list of who connected to whom, and what that came to; it is turned into records, and has never seen a
//! store. Lists, pairs, services and metrics have to agree with it, and so with each other.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use proptest::prelude::*;
use serde_json::Value;
use vanflow_api::ApiOptions;
use vanflow_proto::{Attribute, RecordKind, SourceType, Timestamp, UpdateBuf};
use vanflow_store::{SourceId, Store, StoreOptions};

use crate::support::{EPOCH, Fixture, apply};

/// How long it all takes, in seconds. Nothing is evicted before the end.
const LENGTH: u64 = 145;

/// When the first client is replaced by another pod with its address.
const REPLACED: u64 = 30;

fn at(second: u64) -> u64 {
    EPOCH + second * 1_000_000
}

/// Where connections are accepted: what reports them, and to where they can go.
struct Listener {
    id: &'static str,
    service: &'static str,
    site: &'static str,
    /// Of 2.x routers, which report a connection by two halves.
    is_halved: bool,
    clients: &'static [(&'static str, &'static str)],
    servers: &'static [Server],
}

struct Server {
    connector: &'static str,
    name: &'static str,
    site: &'static str,
    /// Whether the router of the listener learns which connector it is.
    is_named: bool,
}

const LISTENERS: [Listener; 3] = [
    Listener {
        id: "w:1",
        service: "shop",
        site: "west",
        is_halved: false,
        clients: &[("10.1.0.1", "client-1"), ("10.1.0.2", "client-2")],
        servers: &[
            Server { connector: "e:2", name: "server-1", site: "east", is_named: true },
            Server { connector: "e:3", name: "server-2", site: "east", is_named: true },
        ],
    },
    Listener {
        id: "w:2",
        service: "stock",
        site: "west",
        is_halved: false,
        clients: &[("10.1.0.1", "client-1"), ("10.1.0.2", "client-2")],
        // A 2.x router reports nothing of it to a router of 3.x.
        servers: &[Server { connector: "o:2", name: "server-3", site: "old", is_named: false }],
    },
    Listener {
        id: "o:1",
        service: "stock",
        site: "old",
        is_halved: true,
        clients: &[("10.2.0.1", "client-3")],
        servers: &[Server { connector: "o:2", name: "server-3", site: "old", is_named: true }],
    },
];

/// A connection as it was.
#[derive(Clone, Debug)]
struct Flow {
    listener: usize,
    client: usize,
    server: usize,
    start: u64,
    lasts: Option<u64>,
    octets: [u64; 2],
    /// How long each of its requests takes; of those under way the end is not reported.
    requests: Vec<Option<u64>>,
}

/// How it is reported: for each of its updates, how late, and whether again.
#[derive(Clone, Copy, Debug)]
struct Delivery {
    delay: u64,
    again_after: Option<u64>,
}

fn flow() -> impl Strategy<Value = Flow> {
    let requests = prop::collection::vec(prop::option::weighted(0.8, 0..9_u64), 0..3);
    let octets = [0..5000_u64, 0..5000_u64];
    (0..3_usize, 0..2_usize, 0..2_usize, 0..60_u64, prop::option::weighted(0.7, 0..40_u64), octets, requests)
        .prop_map(|(listener, client, server, start, lasts, octets, requests)| {
            let Listener { is_halved, clients, servers, .. } = &LISTENERS[listener];
            Flow {
                listener,
                client: client % clients.len(),
                server: server % servers.len(),
                start,
                lasts,
                octets,
                // Whether it ends with its connection is of no interest here.
                requests: if *is_halved { Vec::new() } else { requests },
            }
        })
}

fn delivery() -> impl Strategy<Value = Delivery> {
    (0..10_u64, prop::option::weighted(0.3, 1..30_u64))
        .prop_map(|(delay, again_after)| Delivery { delay, again_after })
}

impl Flow {
    fn id(&self, number: usize) -> String {
        let router = LISTENERS[self.listener].id.split(':').next().expect("a router");
        format!("{router}:{}", 100 + 10 * number)
    }

    fn end(&self) -> Option<u64> {
        self.lasts.map(|lasts| self.start + lasts)
    }

    fn client(&self) -> &'static str {
        match LISTENERS[self.listener].clients[self.client].1 {
            "client-1" if self.start >= REPLACED => "client-1-new",
            name => name,
        }
    }

    fn server(&self) -> &'static Server {
        &LISTENERS[self.listener].servers[self.server]
    }

    /// Its updates and when each is due, in the order in which a router makes them.
    fn updates(&self, number: usize) -> Vec<(u64, UpdateBuf)> {
        let Listener { id: listener, is_halved, clients, .. } = LISTENERS[self.listener];
        let id = self.id(number);
        let kind = if is_halved { RecordKind::Flow } else { RecordKind::BiflowTport };
        let (half_way, over) =
            (self.start + self.lasts.unwrap_or(20) / 2, self.start + self.lasts.unwrap_or(20));
        let new = |id: &str, kind| UpdateBuf::new(kind, id).with(Attribute::StartTime, at(self.start));
        let change = |id: &str| UpdateBuf::new(kind, id);
        let near = new(&id, kind)
            .with(Attribute::Parent, listener)
            .with(Attribute::SourceHost, clients[self.client].0);
        let mut updates = vec![
            (self.start, near.with(Attribute::Octets, self.octets[0] / 2)),
            (half_way, change(&id).with(Attribute::Octets, self.octets[0])),
        ];
        let far = format!("{id}1");
        let back = if is_halved {
            let server = new(&far, kind)
                .with(Attribute::Parent, self.server().connector)
                .with(Attribute::Counterflow, &*id)
                .with(Attribute::Octets, self.octets[1] / 2);
            updates.push((self.start, server));
            change(&far).with(Attribute::Octets, self.octets[1])
        } else {
            if self.server().is_named {
                updates.push((self.start, change(&id).with(Attribute::Connector, self.server().connector)));
            }
            change(&id).with(Attribute::OctetsReverse, self.octets[1])
        };
        updates.push((half_way, back));
        if let Some(end) = self.end() {
            updates.push((over, change(&id).with(Attribute::EndTime, at(end))));
            if is_halved {
                updates.push((over, change(&far).with(Attribute::EndTime, at(end))));
            }
        }
        for (position, lasts) in self.requests.iter().enumerate() {
            let request = format!("{id}{}", position + 2);
            let begun = new(&request, RecordKind::BiflowApp)
                .with(Attribute::Parent, &*id)
                .with(Attribute::Protocol, "HTTP/1.1")
                .with(Attribute::Method, "GET")
                .with(Attribute::Result, "200");
            updates.push((self.start, begun));
            if let Some(lasts) = lasts {
                let end = UpdateBuf::new(RecordKind::BiflowApp, &*request)
                    .with(Attribute::EndTime, at(self.start + lasts) + 1);
                updates.push((self.start + lasts, end));
            }
        }
        updates
    }
}

/// What does not change: sites, routers, listeners, connectors, processes.
fn network() -> Vec<(&'static str, UpdateBuf)> {
    let new = |kind, id: &str| UpdateBuf::new(kind, id).with(Attribute::StartTime, at(0));
    let mut records = Vec::new();
    for (site, router) in [("west", "w"), ("east", "e"), ("old", "o")] {
        records.push((router, new(RecordKind::Site, &format!("site-{site}")).with(Attribute::Name, site)));
        let record =
            new(RecordKind::Router, &format!("{router}:0")).with(Attribute::Parent, format!("site-{site}"));
        records.push((router, record.with(Attribute::Name, format!("0/{site}"))));
    }
    let endpoint = |kind, id: &str, service: &str| {
        let router = format!("{}:0", id.split(':').next().expect("a router"));
        new(kind, id)
            .with(Attribute::Parent, router)
            .with(Attribute::VanAddress, service)
            .with(Attribute::Protocol, "tcp")
    };
    for Listener { id, service, .. } in &LISTENERS {
        records.push((&id[..1], endpoint(RecordKind::Listener, id, service)));
    }
    for (id, service, host) in
        [("e:2", "shop", "10.3.0.1"), ("e:3", "shop", "10.3.0.2"), ("o:2", "stock", "10.2.0.9")]
    {
        let connector = endpoint(RecordKind::Connector, id, service);
        records.push((&id[..1], connector.with(Attribute::DestHost, host)));
    }
    let process = |name: &str, site: &str, host: &str, start: u64| {
        UpdateBuf::new(RecordKind::Process, name)
            .with(Attribute::StartTime, at(start))
            .with(Attribute::Parent, format!("site-{site}"))
            .with(Attribute::SourceHost, host)
            .with(Attribute::Name, name)
            .with(Attribute::Group, name.split('-').next().expect("a name"))
    };
    records.extend([
        ("w", process("client-1", "west", "10.1.0.1", 0).with(Attribute::EndTime, at(REPLACED) - 1)),
        ("w", process("client-1-new", "west", "10.1.0.1", REPLACED)),
        ("w", process("client-2", "west", "10.1.0.2", 0)),
        ("o", process("client-3", "old", "10.2.0.1", 0)),
        ("e", process("server-1", "east", "10.3.0.1", 0)),
        ("e", process("server-2", "east", "10.3.0.2", 0)),
        ("o", process("server-3", "old", "10.2.0.9", 0)),
    ]);
    records
}

/// When a router is away: its records are presumed to have ended, and it reports all of them again.
#[derive(Clone, Copy, Debug)]
struct Absence {
    router: usize,
    from: u64,
    lasts: u64,
}

const ROUTERS: [&str; 3] = ["w", "e", "o"];

struct Reported {
    fixture: Fixture,
    sources: [SourceId; 3],
}

impl Reported {
    fn new() -> Self {
        let mut options = ApiOptions::default();
        options.metrics.zero_for = Duration::ZERO;
        let fixture = Fixture::with_options(Store::new(StoreOptions::default()), options);
        let mut store = fixture.publisher.write();
        let now = Timestamp::from_micros(at(0));
        let sources =
            ROUTERS.map(|router| store.source_seen(&format!("{router}:0"), SourceType::Router, now));
        drop(store);
        Self { fixture, sources }
    }

    fn report(&self, router: &str, second: u64, updates: &[UpdateBuf]) {
        let position = ROUTERS.iter().position(|known| *known == router).expect("a router");
        let now = Timestamp::from_micros(at(second));
        let mut store = self.fixture.publisher.write();
        store.heartbeat(self.sources[position], now, now);
        apply(&mut store, self.sources[position], updates, now);
    }

    /// Time passes, and somebody takes note of what happened.
    fn pass(&self, second: u64) {
        let mut store = self.fixture.publisher.write();
        while store.advance(Timestamp::from_micros(at(second))) {}
        drop(store);
        self.fixture.publisher.publish();
        self.fixture.api.observe();
    }

    fn results(&self, path: &str) -> Vec<Value> {
        let answer = self.fixture.get(&format!("/api/{path}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        match answer.json() {
            Value::Array(results) => results,
            mut json => match json["results"].take() {
                Value::Array(results) => results,
                other => panic!("{path}: {other}"),
            },
        }
    }
}

/// Reports all of it, and hands over what is known in the end.
fn reported(flows: &[Flow], deliveries: &[Delivery], absence: Option<Absence>) -> Reported {
    let mut due: Vec<(u64, &str, UpdateBuf)> = Vec::new();
    let mut turn = deliveries.iter().cycle();
    for (number, flow) in flows.iter().enumerate() {
        let router = &LISTENERS[flow.listener].id[..1];
        for (second, update) in flow.updates(number) {
            let Delivery { delay, again_after } = *turn.next().expect("it goes round");
            if let Some(after) = again_after {
                due.push((second + delay + after, router, update.clone()));
            }
            due.push((second + delay, router, update));
        }
    }
    let is_away = |router: &str, second: u64| {
        absence.is_some_and(|Absence { router: away, from, lasts }| {
            ROUTERS[away] == router && (from..from + lasts).contains(&second)
        })
    };
    let network_of = |wanted: &str| -> Vec<UpdateBuf> {
        network().into_iter().filter(|(router, _)| *router == wanted).map(|(_, update)| update).collect()
    };
    let world = Reported::new();
    for router in ROUTERS {
        // Of pods that are still to come nobody knows.
        let known = |update: &UpdateBuf| update.id != "client-1-new";
        let mut records: Vec<_> = network_of(router).into_iter().filter(known).collect();
        let end = |(code, _): &(u32, _)| *code != Attribute::EndTime.code();
        records.iter_mut().for_each(|record| record.attributes.retain(end));
        world.report(router, 0, &records);
    }
    due.sort_by_key(|(second, ..)| *second);
    let mut missed = Vec::new();
    let mut due = due.into_iter().peekable();
    for second in 0..LENGTH {
        let now = Timestamp::from_micros(at(second));
        if let Some(Absence { router, from, lasts }) = absence {
            if second == from {
                world.fixture.publisher.write().source_lost(world.sources[router], now, now);
            }
            if second == from + lasts {
                let mut store = world.fixture.publisher.write();
                let source = store.source_seen(&format!("{}:0", ROUTERS[router]), SourceType::Router, now);
                assert_eq!(source, world.sources[router]);
                drop(store);
                let mut records = network_of(ROUTERS[router]);
                records.retain(|record| record.id != "client-1-new" || second >= REPLACED);
                if second < REPLACED {
                    let end = |(code, _): &(u32, _)| *code != Attribute::EndTime.code();
                    records.iter_mut().for_each(|record| record.attributes.retain(end));
                }
                world.report(ROUTERS[router], second, &records);
                world.report(ROUTERS[router], second, &std::mem::take(&mut missed));
            }
        }
        if second == REPLACED && !is_away("w", second) {
            world.report("w", second, &network_of("w"));
        }
        while let Some((_, router, update)) = due.next_if(|(at, ..)| *at <= second) {
            if is_away(router, second) {
                missed.push(update);
            } else {
                world.report(router, second, &[update]);
            }
        }
        if absence.is_some_and(|Absence { from, lasts, .. }| second == from + lasts + 15) {
            // What it has at that time it repeats as a whole.
            for (number, flow) in flows.iter().enumerate() {
                let router = &LISTENERS[flow.listener].id[..1];
                let updates: Vec<_> =
                    flow.updates(number).into_iter().filter(|(at, _)| *at <= second).collect();
                world.report(
                    router,
                    second,
                    &updates.into_iter().map(|(_, update)| update).collect::<Vec<_>>(),
                );
            }
        }
        if second % 5 == 0 || second + 1 == LENGTH {
            world.pass(second);
        }
    }
    world
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} of {value}"))
}

/// Everything that is listed, against the truth.
fn check_lists(world: &Reported, flows: &[Flow]) -> Result<(), TestCaseError> {
    let connections: BTreeMap<String, String> = world
        .results("v2alpha1/connections?state=all&timeRangeStart=0")
        .iter()
        .map(|found| {
            let texts =
                ["sourceProcessName", "sourceSiteName", "routingKey", "destProcessName", "destSiteName"]
                    .map(|name| text(found, name));
            let numbers = ["octetCount", "octetReverseCount", "endTime"].map(|name| &found[name]);
            (text(found, "identity").to_owned(), format!("{texts:?} {numbers:?}"))
        })
        .collect();
    let expected: BTreeMap<String, String> = flows
        .iter()
        .enumerate()
        .map(|(number, flow)| {
            let Listener { service, site, .. } = &LISTENERS[flow.listener];
            let texts = [flow.client(), site, service, flow.server().name, flow.server().site];
            let numbers = [flow.octets[0], flow.octets[1], flow.end().map_or(0, at)];
            (flow.id(number), format!("{texts:?} {:?}", numbers.map(Value::from).each_ref()))
        })
        .collect();
    prop_assert_eq!(connections, expected);

    let pairs: BTreeMap<_, _> = world
        .results("v2alpha1/processpairs?state=all&timeRangeStart=0")
        .iter()
        .map(|pair| {
            let names = ["sourceName", "destinationName", "protocol"].map(|name| text(pair, name).to_owned());
            (names, pair["recordCount"].as_u64().expect("a number"))
        })
        .collect();
    let mut expected = BTreeMap::new();
    for flow in flows {
        let names = |protocol: &str| [flow.client(), flow.server().name, protocol].map(str::to_owned);
        *expected.entry(names("tcp")).or_default() += 1;
        if !flow.requests.is_empty() {
            *expected.entry(names("http1")).or_default() += flow.requests.len() as u64;
        }
    }
    prop_assert_eq!(pairs, expected);

    let services: BTreeMap<_, _> = world
        .results("v1alpha1/addresses")
        .iter()
        .map(|found| {
            (text(found, "name").to_owned(), ["totalFlows", "currentFlows"].map(|name| found[name].as_u64()))
        })
        .collect();
    let to =
        |service: &'static str| flows.iter().filter(move |flow| LISTENERS[flow.listener].service == service);
    let expected = ["shop", "stock"].map(|service| {
        let open = to(service).filter(|flow| flow.end().is_none()).count();
        (service.to_owned(), [to(service).count(), open].map(|count| Some(count as u64)))
    });
    prop_assert_eq!(services, BTreeMap::from(expected));
    for service in world.results("v2alpha1/services") {
        let path = format!(
            "v2alpha1/services/{}/connections?state=all&timeRangeStart=0",
            text(&service, "identity")
        );
        let listed: BTreeSet<_> =
            world.results(&path).iter().map(|found| text(found, "identity").to_owned()).collect();
        let its = |flow: &Flow| LISTENERS[flow.listener].service == text(&service, "name");
        let expected: BTreeSet<_> = flows
            .iter()
            .enumerate()
            .filter(|(_, flow)| its(flow))
            .map(|(number, flow)| flow.id(number))
            .collect();
        prop_assert_eq!(listed, expected);
    }
    Ok(())
}

/// What is counted, against the truth: by client, server and service. Where a router was lost it is so in all, and what was
/// open then may be counted as closed, or have been counted as a request, since no counter falls (faults 28).
fn check_metrics(world: &Reported, flows: &[Flow], was_lost: bool) -> Result<(), TestCaseError> {
    const METRICS: [&str; 5] = [
        "skupper_connections_opened_total",
        "skupper_connections_closed_total",
        "skupper_sent_bytes_total",
        "skupper_received_bytes_total",
        "skupper_requests_total",
    ];
    let ends = |client: &str, server: &str, service: &str| match was_lost {
        true => "all".to_owned(),
        false => format!("{client} > {server} by {service}"),
    };
    let mut counted = BTreeMap::<String, [u64; 5]>::new();
    for line in world.fixture.get("/metrics").text().lines() {
        let Some(column) = METRICS.iter().position(|metric| line.starts_with(&format!("{metric}{{"))) else {
            continue;
        };
        let label =
            |name: &str| line.split_once(&format!("{name}=\"")).expect("it has it").1.split('"').next();
        let [client, server, service] = ["source_process_name", "dest_process_name", "routing_key"]
            .map(|name| label(name).expect("a value"));
        let value: f64 = line.rsplit(' ').next().expect("a value").parse().expect("a number");
        counted.entry(ends(client, server, service)).or_default()[column] += value as u64;
    }
    counted.retain(|_, counts| counts.iter().any(|count| *count > 0));
    let mut expected = BTreeMap::<String, [u64; 5]>::new();
    for flow in flows {
        let counts = expected
            .entry(ends(flow.client(), flow.server().name, LISTENERS[flow.listener].service))
            .or_default();
        let requests = flow.requests.iter().flatten().count() as u64;
        let is_closed = u64::from(flow.end().is_some());
        for (count, more) in counts.iter_mut().zip([1, is_closed, flow.octets[0], flow.octets[1], requests]) {
            *count += more;
        }
    }
    if let (true, Some(counted)) = (was_lost, counted.get_mut("all")) {
        let most =
            [flows.len(), flows.iter().map(|flow| flow.requests.len()).sum()].map(|count| count as u64);
        for (column, most) in [1, 4].into_iter().zip(most) {
            let ended = expected["all"][column];
            prop_assert!((ended..=most).contains(&counted[column]), "{}: {:?}", METRICS[column], counted);
            counted[column] = ended;
        }
    }
    prop_assert_eq!(counted, expected);
    Ok(())
}

fn flows() -> impl Strategy<Value = Vec<Flow>> {
    prop::collection::vec(flow(), 1..14)
}

fn deliveries() -> impl Strategy<Value = Vec<Delivery>> {
    prop::collection::vec(delivery(), 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn lists_pairs_services_and_metrics_agree_with_the_truth(flows in flows(), deliveries in deliveries()) {
        // faults 8, 9, 12, 26, 32
        let world = reported(&flows, &deliveries, None);
        check_lists(&world, &flows)?;
        check_metrics(&world, &flows, false)?;
    }

    #[test]
    fn they_do_so_after_a_router_was_lost_and_has_reported_all_again(
        flows in flows(),
        deliveries in deliveries(),
        absence in (0..3_usize, 5..60_u64, 1..40_u64),
    ) {
        // faults 6, 28
        let (router, from, lasts) = absence;
        let world = reported(&flows, &deliveries, Some(Absence { router, from, lasts }));
        check_lists(&world, &flows)?;
        check_metrics(&world, &flows, true)?;
    }
}
