//! What is planned comes to the same as a look at each record; whatever is in the store, whatever is asked for.

use std::sync::Arc;

use proptest::{collection::vec, option, prelude::*, sample::select};
use vanflow_proto::{
    Attribute, Body, Dialect, Encoder, Message, RecordKind, SourceType, Timestamp, UpdateBuf,
};
use vanflow_store::{Snapshot, Store, StoreOptions};

use crate::v2alpha1::{
    collection::{Collection, Item, Scope},
    derivations::Derivations,
    pair::{Pair, by_each},
    plan::Plan,
    query::Query,
    schema::Cell,
    view::{Derived, View},
};

const EPOCH: u64 = 1_795_347_880_000_000;
const MINUTE: u64 = 60_000_000;
/// When the lists are asked for; what ended more than 15 minutes ago is not in them by default.
const NOW: u64 = EPOCH + 40 * MINUTE;

/// Numbers that make a record, each small, so that many are alike.
type Traits = (u8, u8, u8, u8, Option<u8>, u8);

fn traits() -> impl Strategy<Value = Traits> {
    (0..6_u8, 0..4_u8, 0..6_u8, 0..40_u8, option::of(0..6_u8), 0..6_u8)
}

fn at(minute: u8) -> u64 {
    EPOCH + u64::from(minute) * MINUTE
}

fn new(kind: RecordKind, id: &str) -> UpdateBuf {
    UpdateBuf::new(kind, id).with(Attribute::StartTime, EPOCH)
}

/// Two sites with two services, which have one connector or several, some of them for part of the time.
fn network(connectors: &[Traits], processes: &[Traits]) -> Vec<UpdateBuf> {
    let mut updates = Vec::new();
    for (site, router) in [("site-a", "ra:0"), ("site-b", "rb:0")] {
        updates.push(new(RecordKind::Site, site).with(Attribute::Name, site));
        let name = format!("0/{router}");
        updates
            .push(new(RecordKind::Router, router).with(Attribute::Parent, site).with(Attribute::Name, name));
    }
    let endpoint = |kind, id: &str, router: &str, address: &str| {
        new(kind, id)
            .with(Attribute::Parent, router)
            .with(Attribute::Protocol, "tcp")
            .with(Attribute::VanAddress, address)
    };
    for (id, router, address) in [("ra:1", "ra:0", "echo"), ("ra:2", "ra:0", "web"), ("rb:1", "rb:0", "echo")]
    {
        updates.push(endpoint(RecordKind::Listener, id, router, address));
    }
    for (number, (service, host, router, start, lasts, _)) in connectors.iter().enumerate() {
        let router = ["ra:0", "rb:0"][usize::from(router % 2)];
        let mut connector = endpoint(
            RecordKind::Connector,
            &format!("rb:{}", 10 + number),
            router,
            ["echo", "web"][usize::from(service % 2)],
        )
        .with(Attribute::DestHost, format!("10.0.1.{host}"))
        .with(Attribute::StartTime, at(start % 10));
        if let Some(lasts) = lasts {
            connector.set(Attribute::EndTime, at(start % 10 + lasts * 5));
        }
        updates.push(connector);
    }
    for (number, (site, host, group, start, lasts, server)) in processes.iter().enumerate() {
        let mut process = new(RecordKind::Process, &format!("process-{number}"))
            .with(Attribute::Parent, ["site-a", "site-b"][usize::from(site % 2)])
            .with(Attribute::Name, format!("p{number}"))
            .with(Attribute::Group, format!("g{group}"))
            .with(Attribute::SourceHost, format!("10.0.{}.{host}", server % 2))
            .with(Attribute::StartTime, at(*start));
        if let Some(lasts) = lasts {
            process.set(Attribute::EndTime, at(start + lasts));
        }
        updates.push(process);
    }
    updates
}

fn flow(kind: RecordKind, id: String, start: u8, lasts: Option<u8>, octets: u8) -> UpdateBuf {
    let flow = UpdateBuf::new(kind, id)
        .with(Attribute::StartTime, at(start))
        .with(Attribute::Octets, u64::from(octets % 3));
    match lasts {
        Some(lasts) => flow.with(Attribute::EndTime, at(start + lasts)),
        None => flow,
    }
}

/// A connection that 2.x routers report, by both halves or by one of them.
fn halves(number: usize, (listener, host, connector, start, lasts, octets): Traits) -> Vec<UpdateBuf> {
    let id = format!("ra:{}", 2000 + number);
    let mut near = flow(RecordKind::Flow, id.clone(), start, lasts, octets)
        .with(Attribute::Parent, ["ra:1", "ra:2", "rb:1"][usize::from(listener) % 3])
        .with(Attribute::SourceHost, format!("10.0.0.{host}"))
        .with(Attribute::SourcePort, u64::from(octets).to_string());
    if octets == 4 {
        near = near.with(Attribute::Result, "delivery-failed").with(Attribute::Reason, "link lost");
    }
    let far = flow(RecordKind::Flow, format!("rb:{}", 2000 + number), start, lasts, octets / 2)
        .with(Attribute::Parent, ["rb:10", "rb:11", "nowhere:2"][usize::from(connector) % 3])
        .with(Attribute::Trace, "0/ra:0")
        .with(Attribute::Counterflow, &*id);
    match octets {
        0 => vec![near],
        1 => vec![far],
        2 => vec![far, near],
        _ => vec![near, far],
    }
}

/// A request that they report, in one of those connections or in none.
fn request_halves(
    number: usize,
    (parent, host, status, start, lasts, octets): Traits,
    connections: usize,
) -> Vec<UpdateBuf> {
    let parent = (usize::from(parent) * 7 + usize::from(host)) % (connections + 1);
    let id = format!("ra:{}", 3000 + number);
    let near = flow(RecordKind::Flow, id.clone(), start, lasts, octets)
        .with(Attribute::Parent, format!("ra:{}", 2000 + parent))
        .with(Attribute::Method, ["GET", "PUT"][usize::from(status) % 2])
        .with(Attribute::Result, ["200", "404", "500"][usize::from(octets) % 3]);
    let far = flow(RecordKind::Flow, format!("rb:{}", 3000 + number), start, lasts, octets / 2)
        .with(Attribute::Parent, "rb:1999")
        .with(Attribute::Counterflow, &*id);
    if octets % 2 == 0 { vec![near] } else { vec![far, near] }
}

fn connection(number: usize, (listener, host, connector, start, lasts, octets): Traits) -> UpdateBuf {
    let scope = ["ra", "r", "ra:7"][usize::from(octets) % 3];
    let mut update = flow(RecordKind::BiflowTport, format!("{scope}:{}", 100 + number), start, lasts, octets)
        .with(Attribute::SourceHost, format!("10.0.0.{host}"))
        .with(Attribute::SourcePort, u64::from(octets).to_string());
    if let Some(listener) = ["ra:1", "ra:1", "ra:2", "rb:1", "nowhere:1"].get(usize::from(listener)) {
        update.set(Attribute::Parent, *listener);
    }
    if let Some(connector) = ["rb:10", "rb:11", "nowhere:2"].get(usize::from(connector)) {
        update.set(Attribute::Connector, *connector);
    }
    update
}

fn request(
    number: usize,
    (parent, host, status, start, lasts, octets): Traits,
    connections: usize,
) -> UpdateBuf {
    let parent = usize::from(parent) * 7 + usize::from(host);
    let scope = ["ra", "r", "ra:7", "nowhere"][usize::from(octets) % 4];
    flow(RecordKind::BiflowApp, format!("ra:{}", 1000 + number), start, lasts, octets)
        .with(Attribute::Parent, format!("{scope}:{}", 100 + parent % connections.max(1)))
        .with(Attribute::Protocol, ["HTTP/1.1", "HTTP/2", "HTTP/1.0"][usize::from(status) % 3])
        .with(Attribute::Result, ["200", "404", "500"][usize::from(octets) % 3])
}

/// A store that was reported these, and then of the connections that many once more, changed.
fn snapshot(
    (connectors, processes): (Vec<Traits>, Vec<Traits>),
    connections: &[Traits],
    requests: &[Traits],
    again: &[Traits],
    retention_minutes: u64,
) -> Snapshot {
    let mut updates = network(&connectors, &processes);
    updates.extend(connections.iter().enumerate().map(|(number, traits)| connection(number, *traits)));
    let each = requests.iter().enumerate();
    updates.extend(each.map(|(number, traits)| request(number, *traits, connections.len())));
    updates.extend(again.iter().enumerate().map(|(number, traits)| connection(number * 3, *traits)));
    // Some of the network has not been moved yet: in a quarter of these numbers there are 2.x routers too.
    updates.push(flow(RecordKind::Flow, "rb:1999".to_owned(), 0, None, 1).with(Attribute::Parent, "rb:10"));
    let old = connections.len() / 4;
    let each = connections.iter().take(old).enumerate();
    updates.extend(each.flat_map(|(number, traits)| halves(number, *traits)));
    let each = requests.iter().take(requests.len() / 4).enumerate();
    updates.extend(each.flat_map(|(number, traits)| request_halves(number, *traits, old)));
    updates.extend(again.iter().enumerate().flat_map(|(number, traits)| halves(number * 3, *traits)));
    report(updates, retention_minutes, |_| {})
}

/// A store that is reported these over time, so that some leave. After each it is looked at.
fn report(updates: Vec<UpdateBuf>, retention_minutes: u64, mut look: impl FnMut(&Store)) -> Snapshot {
    let mut options = StoreOptions::default();
    options.retention_micros = retention_minutes * MINUTE;
    let mut store = Store::new(options);
    let source = store.source_seen("ra:0", SourceType::Router, Timestamp::from_micros(EPOCH));
    let encoder = Encoder::new(Dialect::Router);
    let many = updates.len() as u64;
    for (number, update) in updates.into_iter().enumerate() {
        let now = Timestamp::from_micros(EPOCH + (NOW - EPOCH) * number as u64 / many);
        let bytes = encoder.records("mc/sfe.ra:0", 1, &[update]);
        let Body::Records(records) = Message::decode(&bytes).expect("it decodes").body else {
            unreachable!()
        };
        for record in records {
            store.apply(source, record.expect("it decodes"), now);
        }
        store.advance(now);
        look(&store);
    }
    while store.advance(Timestamp::from_micros(NOW)) {}
    store.snapshot()
}

const FILTERS: [&str; 38] = [
    "sourceProcessName|destProcessName=p1",
    "sourceProcessName|destProcessName!=p1",
    "sourceHost|octetCount=1",
    "sourceHost|octetCount!=1",
    "search=SITE",
    "search!=p1",
    "sourceHost=10.0.0.1",
    "sourceHost=10.0.0",
    "sourceProcessName=p1",
    "sourceProcessName=site-client",
    "sourceProcessName=unknown",
    "sourceProcessId=process-0&sourceProcessId=process-2",
    "sourceSiteName=site-a",
    "destSiteId=site-b",
    "destProcessName=site-server",
    "destProcessId=unknown",
    "routingKey=web",
    "routingKey=unknown",
    "protocol=tcp",
    "protocol=http1",
    "protocol=h",
    "connectorId=rb:10",
    "connectorId=unknown",
    "listenerId=ra:1",
    "octetCount=1",
    "sourcePort=2",
    "status=200",
    "processPairId=processpair-",
    "traceSites=site-a",
    "duration=60000000",
    "duration=*",
    "duration!=*",
    "sourceSiteName!=site-a",
    "destProcessName!=site-server&destProcessName!=unknown",
    "listenerError=*",
    "octetCount!=0&octetCount!=1",
    "endTime=0",
    "connectorId!=*",
];

const ORDERS: [&str; 15] = [
    "",
    "identity.asc",
    "identity.desc",
    "endTime.asc",
    "endTime.desc",
    "startTime.desc",
    "octetCount.desc",
    "octetReverseCount.desc",
    "duration.asc",
    "sourceProcessName.asc",
    "sourceProcessName.desc",
    "destSiteName.desc",
    "sourcePort.asc",
    "traceSites.desc",
    "processPairId.asc",
];

const STATES: [&str; 5] = ["", "", "active", "terminated", "all"];

const OPERATIONS: [&str; 3] = ["intersects", "contains", "within"];

fn query() -> impl Strategy<Value = String> {
    (
        vec(select(&FILTERS[..]), 0..3),
        select(&ORDERS[..]),
        select(&STATES[..]),
        option::of((select(&OPERATIONS[..]), option::of(0..45_u8), option::of(0..45_u8))),
        (option::of(0..30_usize), 0..20_usize),
    )
        .prop_map(|(filters, order, state, range, (limit, offset))| {
            let mut query = filters.join("&");
            query += &format!("&offset={offset}");
            for (name, value) in [("sortBy", order), ("state", state)] {
                if !value.is_empty() {
                    query += &format!("&{name}={value}");
                }
            }
            if let Some(limit) = limit {
                query += &format!("&limit={limit}");
            }
            if let Some((operation, start, end)) = range {
                query += &format!("&timeRangeOperation={operation}");
                for (name, minute) in [("timeRangeStart", start), ("timeRangeEnd", end)] {
                    if let Some(minute) = minute {
                        query += &format!("&{name}={}", at(minute));
                    }
                }
            }
            query
        })
}

/// What groups are asked for; those of requests have no latency.
const GROUPINGS: [&str; 10] = [
    "groupBy=routingKey",
    "groupBy=routingKey,sourceProcessName",
    "groupBy=destSiteName&aggregate=count,sum(octetCount),max(duration)",
    "groupBy=sourceProcessName&aggregate=p50(octetCount),p95(octetCount),min(startTime),max(endTime)&sortBy=p95(octetCount).desc",
    "groupBy=protocol&sortBy=count.desc",
    "groupBy=routingKey,octetCount&aggregate=count,max(octetCount)",
    "groupBy=endTime",
    "groupBy=traceSites,sourceSiteName",
    "aggregate=count",
    "aggregate=count,sum(duration),p1(octetReverseCount)",
];

fn stores() -> impl Strategy<Value = Snapshot> {
    (
        (vec(traits(), 0..4), vec(traits(), 0..8)),
        vec(traits(), 0..120),
        vec(traits(), 0..60),
        vec(traits(), 0..10),
        select(&[5, 60][..]),
    )
        .prop_map(|(entities, connections, requests, again, retention)| {
            snapshot(entities, &connections, &requests, &again, retention)
        })
}

fn scopes(snapshot: &Snapshot) -> Vec<Scope> {
    let services = snapshot.services().map(|service| Scope::Service(service.at()));
    [Scope::All].into_iter().chain(services).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_finds_what_a_look_at_each_finds(snapshot in stores(), queries in vec(query(), 20)) {
        let derived = Derived::new(&snapshot, Collection::Connections.needs());
        let view = View { snapshot: &snapshot, derived: &derived };
        for collection in [Collection::Connections, Collection::ApplicationFlows] {
            for text in &queries {
                let Ok(query) = Query::new(collection, Some(text), snapshot.now()) else { continue };
                for scope in scopes(&snapshot) {
                    if collection == Collection::ApplicationFlows && scope != Scope::All {
                        continue;
                    }
                    let (planned, scanned) = (query.select(view, scope), query.scan(view, scope, query.page()));
                    prop_assert_eq!(planned, scanned, "{:?} {:?} {}", collection, scope, text);
                }
            }
        }
    }

    #[test]
    fn the_most_are_those_of_all_though_lanes_are_passed_over(
        snapshot in stores(),
        queries in vec((query(), select(&["octetCount", "octetReverseCount", "startTime"][..])), 20),
    ) {
        let derived = Derived::new(&snapshot, Collection::Connections.needs());
        let view = View { snapshot: &snapshot, derived: &derived };
        for (text, property) in &queries {
            let kept = text.split('&').filter(|pair| !pair.starts_with("sortBy"));
            let text = format!("{}&sortBy={property}.desc", kept.collect::<Vec<_>>().join("&"));
            let Ok(query) = Query::new(Collection::Connections, Some(&text), snapshot.now()) else { continue };
            let plan = Plan::new(&query, view, Scope::All).expect("it is of connections");
            let (scanned, total) = query.scan(view, Scope::All, query.page());
            let start = query.page().offset.min(total);
            let found = plan.page_of_most(start..start + scanned.len(), usize::MAX).expect("all are looked at");
            let found: Vec<_> = found.into_iter().map(Item::Record).collect();
            prop_assert_eq!(found, scanned, "{}", text);
        }
    }

    #[test]
    fn groups_by_lanes_are_groups_by_a_look_at_each(
        snapshot in stores(),
        queries in vec((query(), select(&GROUPINGS[..])), 20),
    ) {
        let derived = Derived::new(&snapshot, Collection::Connections.needs());
        let view = View { snapshot: &snapshot, derived: &derived };
        for collection in [Collection::Connections, Collection::ApplicationFlows] {
            for (text, grouping) in &queries {
                let kept = text.split('&').filter(|pair| !pair.starts_with("sortBy"));
                let text = format!("{}&{grouping}", kept.collect::<Vec<_>>().join("&"));
                let Ok(query) = Query::new(collection, Some(&text), snapshot.now()) else { continue };
                let grouping = query.grouping.as_ref().expect("it is asked for");
                for scope in scopes(&snapshot) {
                    if collection == Collection::ApplicationFlows && scope != Scope::All {
                        continue;
                    }
                    let planned = query.groups(view, scope, grouping);
                    let scanned = query.scan_groups(view, scope, grouping);
                    prop_assert_eq!(planned, scanned, "{:?} {:?} {}", collection, scope, text);
                }
            }
        }
    }

    #[test]
    fn what_is_of_the_lane_is_the_same_for_each_of_it(snapshot in stores()) {
        let derived = Derived::new(&snapshot, Collection::Connections.needs());
        let view = View { snapshot: &snapshot, derived: &derived };
        for collection in [Collection::Connections, Collection::ApplicationFlows] {
            let properties = collection.schema().properties().filter(|property| property.is_of_lane);
            for property in properties {
                for lane in snapshot.lanes() {
                    let each = lane.connections().flat_map(|connection| match collection {
                        Collection::Connections => vec![connection],
                        _ => connection.children().collect(),
                    });
                    let subjects = each.filter_map(|record| collection.subject_of(record));
                    let values = subjects.map(|subject| property.of(view, &subject));
                    let values: Vec<Cell<'_>> = values.collect();
                    prop_assert!(values.windows(2).all(|pair| pair[0] == pair[1]), "{property:?}: {values:?}");
                }
            }
        }
    }

    #[test]
    fn what_was_worked_out_before_makes_no_difference(
        connectors in vec(traits(), 1..4),
        processes in vec(traits(), 0..8),
        others in vec(traits(), 0..8),
        connections in vec(traits(), 1..80),
        requests in vec(traits(), 0..30),
        every in 1..9_usize,
    ) {
        // The network changes while there are connections, and some of it is reported after them.
        let half = connections.len() / 2;
        let each = || connections.iter().enumerate().map(|(number, traits)| connection(number, *traits));
        let mut updates = network(&connectors, &[]);
        updates.extend(each().take(half));
        updates.extend(network(&[], &processes));
        updates.extend(requests.iter().enumerate().map(|(number, traits)| {
            request(number, *traits, connections.len())
        }));
        updates.extend(each().skip(half));
        updates.extend(network(&connectors[1..], &others));
        updates.extend(connections.iter().rev().enumerate().map(|(number, traits)| connection(number, *traits)));
        let (derivations, mut number) = (Derivations::default(), 0);
        report(updates, 5, |store| {
            number += 1;
            if number % every == 0 {
                let snapshot = store.snapshot();
                let needs = Collection::ProcessPairs.needs();
                let (kept, new) = (derivations.of(&snapshot, needs), Derived::new(&snapshot, needs));
                assert_eq!(format!("{:#?}", kept.implied), format!("{:#?}", new.implied), "after {number}");
                assert_eq!(format!("{:#?}", kept.pairs), format!("{:#?}", new.pairs), "after {number}");
                assert!(Arc::ptr_eq(&kept, &derivations.of(&store.snapshot(), needs)), "it is shared");
            }
        });
    }

    #[test]
    fn pairs_by_lanes_are_pairs_by_each_connection(snapshot in stores()) {
        let mut derived = Derived::new(&snapshot, Collection::ProcessPairs.needs());
        let lanes = std::mem::take(&mut derived.pairs);
        let view = View { snapshot: &snapshot, derived: &derived };
        let by_id = |mut pairs: Vec<Pair>| {
            pairs.sort_by(|left, right| left.facts.id.cmp(&right.facts.id));
            pairs
        };
        let (lanes, each) = (by_id(lanes), by_id(by_each::pairs(view)));
        prop_assert_eq!(lanes.len(), each.len());
        for (lane, each) in lanes.iter().zip(&each) {
            // Lanes remember when the first of their connections started, though it may have left.
            prop_assert!(lane.start <= each.start, "{lane:?} {each:?}");
            prop_assert!(snapshot.evicted() > 0 || lane.start == each.start, "{lane:?} {each:?}");
            prop_assert!(lane.end.is_none() == each.end.is_none() && lane.end >= each.end);
            prop_assert!(lane.is_alike(each), "{lane:?} {each:?}");
        }
    }
}

#[test]
fn a_request_whose_connection_is_not_there_is_in_no_lane_and_found_all_the_same() {
    let snapshot = snapshot((Vec::new(), Vec::new()), &[], &[(0, 0, 0, 30, None, 0)], &[], 60);
    let derived = Derived::new(&snapshot, Collection::ApplicationFlows.needs());
    let view = View { snapshot: &snapshot, derived: &derived };
    for (filter, count) in [("sourceProcessName=p1", 0), ("sourceProcessName=unk", 1), ("status=200", 1)] {
        let query =
            Query::new(Collection::ApplicationFlows, Some(filter), snapshot.now()).expect("it is one");
        assert_eq!(query.select(view, Scope::All).1, count, "{filter}");
    }
}
