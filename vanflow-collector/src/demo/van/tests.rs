use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use vanflow_proto::{
    Attribute, AttributeKind, Body, Message, RecordKind, SourceType, UpdateBuf, Value, source::MAX_BATCH,
};

use super::*;

const START: Timestamp = Timestamp::from_micros(1_795_347_888_000_000);

fn after(seconds: u64) -> Timestamp {
    START.plus_micros(seconds * SECOND)
}

fn quiet() -> DemoOptions {
    DemoOptions { failures: false, ..DemoOptions::default() }
}

/// One life of one source: a restart under the same identity is another.
#[derive(Default)]
struct Life {
    message_ids: Vec<Option<u64>>,
    /// Every record as reported so far.
    records: BTreeMap<String, UpdateBuf>,
    updates: Vec<(Timestamp, UpdateBuf)>,
    heard: Vec<Timestamp>,
}

/// Sorts what was sent by the lives of its sources, and checks what holds for every message.
fn lives(sent: &[Sent]) -> Vec<(String, Life)> {
    let mut lives: Vec<(String, Life)> = Vec::new();
    let mut current: HashMap<String, usize> = HashMap::new();
    for Sent { at, outgoing } in sent {
        let message = Message::decode(&outgoing.message).expect("decodes");
        let id = match &message.body {
            Body::Beacon(beacon) => beacon.id,
            _ => {
                let name = outgoing.address.strip_prefix("mc/sfe.").expect("an address of a source");
                name.split('.').next().expect("a name")
            }
        };
        let reborn = current.get(id).is_none_or(|life: &usize| {
            let last = lives[*life].1.message_ids.last().copied().flatten();
            message.message_id.is_some() && message.message_id <= last
        });
        if reborn {
            current.insert(id.to_owned(), lives.len());
            lives.push((id.to_owned(), Life::default()));
        }
        let life = &mut lives[current[id]].1;
        life.message_ids.push(message.message_id);
        life.heard.push(*at);
        let Body::Records(updates) = message.body else { continue };
        let updates: Vec<_> = updates.map(|update| update.expect("decodes").to_owned()).collect();
        assert!((1..=MAX_BATCH).contains(&updates.len()), "{} updates in one message", updates.len());
        for update in updates {
            life.updates.push((*at, update.clone()));
            let record = life
                .records
                .entry(update.id.clone())
                .or_insert_with(|| UpdateBuf { attributes: Vec::new(), ..update.clone() });
            for (code, value) in update.attributes {
                record.set(Attribute::from_code(code).expect("an attribute of the table"), value);
            }
        }
    }
    lives
}

fn kind(update: &UpdateBuf) -> RecordKind {
    update.type_code.and_then(RecordKind::from_code).expect("every update names a kind of the table")
}

fn text(update: &UpdateBuf, attribute: Attribute) -> &str {
    update.get(attribute).and_then(Value::as_text).unwrap_or_default()
}

/// Every record that was ever reported, of every life.
fn records(sent: &[Sent]) -> Vec<UpdateBuf> {
    lives(sent).into_iter().flat_map(|(_, life)| life.records.into_values()).collect()
}

fn of_kind(records: &[UpdateBuf], wanted: RecordKind) -> impl Iterator<Item = &UpdateBuf> + Clone {
    records.iter().filter(move |record| kind(record) == wanted)
}

#[test]
fn the_same_seed_gives_the_same_messages_however_time_is_portioned() {
    let options = DemoOptions { rate: 20.0, ..DemoOptions::default() };
    let at_once = Van::new(options.clone(), START).advance(after(300));
    let mut van = Van::new(options, START);
    let mut portions = Vec::new();
    let mut step = 1;
    while van.now() < after(300) {
        // Uneven portions, among them some in which nothing happens.
        portions.extend(van.advance(after(300).min(van.now().plus_micros(step))));
        step = (step * 31 + 7) % 700_001;
    }
    assert!(at_once.len() > 5_000);
    assert!(at_once == portions, "the messages differ");
}

#[test]
fn another_seed_gives_another_network() {
    let ids = |seed| -> Vec<String> {
        let van = Van::new(DemoOptions { seed, ..DemoOptions::default() }, START);
        van.sources().map(|source| source.id().to_owned()).collect()
    };
    assert_eq!(ids(7), ids(7));
    assert!(ids(7).iter().all(|id| !ids(8).contains(id)));
}

#[test]
fn there_are_four_sites_with_interior_and_edge_routers_and_a_controller_each() {
    let records = records(&Van::new(quiet(), START).advance(after(5)));
    let sites: BTreeMap<_, _> =
        of_kind(&records, RecordKind::Site).map(|site| (&*site.id, text(site, Attribute::Name))).collect();
    let names: BTreeSet<_> = sites.values().copied().collect();
    assert_eq!(names, ["data-centre", "factory", "public-cloud", "warehouse"].into());
    let routers: BTreeSet<_> = of_kind(&records, RecordKind::Router)
        .map(|router| {
            (
                sites[text(router, Attribute::Parent)],
                text(router, Attribute::Name),
                text(router, Attribute::Mode),
            )
        })
        .collect();
    assert_eq!(
        routers,
        [
            ("data-centre", "0/dc-1", "interior"),
            ("factory", "0/factory-edge", "edge"),
            ("public-cloud", "0/cloud-1", "interior"),
            ("public-cloud", "0/cloud-2", "interior"),
            ("warehouse", "0/dock-1", "interior"),
            ("warehouse", "0/warehouse-1", "interior"),
        ]
        .into()
    );
    let van = Van::new(quiet(), START);
    assert_eq!(van.sources().filter(|source| source.source_type() == SourceType::Controller).count(), 4);
}

#[test]
fn every_kind_that_sources_report_is_there_and_every_attribute_in_its_place() {
    let sent = Van::new(DemoOptions::default(), START).advance(after(300));
    let mut kinds = BTreeSet::new();
    for (_, update) in lives(&sent).iter().flat_map(|(_, life)| &life.updates) {
        kinds.insert(kind(update));
        for (code, value) in &update.attributes {
            let attribute = Attribute::from_code(*code).expect("an attribute of the table");
            assert!(value.borrow().fits(attribute), "{} {attribute}: {value:?}", kind(update));
            assert!(kind(update).attributes().contains(&attribute), "{} {attribute}", kind(update));
        }
    }
    use RecordKind::*;
    let expected = [
        Site,
        Router,
        Link,
        Controller,
        Listener,
        Connector,
        Flow,
        Process,
        ProcessGroup,
        Host,
        Log,
        RouterAccess,
        BiflowTport,
        BiflowApp,
    ];
    assert_eq!(kinds, expected.into());
}

#[test]
fn message_ids_of_routers_grow_by_one_and_controllers_have_none() {
    let sent = Van::new(DemoOptions::default(), START).advance(after(300));
    let lives = lives(&sent);
    assert!(lives.len() > 10, "somebody restarted");
    for (id, life) in lives {
        if id.ends_with(":0") {
            let expected: Vec<_> = (0..life.message_ids.len() as u64).map(Some).collect();
            assert_eq!(life.message_ids, expected, "{id}");
        } else {
            assert!(life.message_ids.iter().all(Option::is_none), "{id}");
        }
    }
}

#[test]
fn counters_never_fall_and_the_ended_say_no_more() {
    let sent = Van::new(DemoOptions { rate: 30.0, ..DemoOptions::default() }, START).advance(after(300));
    let (mut counted, mut ended_records) = (0, 0);
    for (_, life) in lives(&sent) {
        let mut counters: HashMap<(String, u32), u64> = HashMap::new();
        let mut ended = HashSet::new();
        for (_, update) in life.updates {
            assert!(!ended.contains(&update.id), "{update:?} comes after the end");
            for (code, value) in &update.attributes {
                let attribute = Attribute::from_code(*code).expect("an attribute of the table");
                if attribute.kind() == AttributeKind::Counter {
                    let value = value.borrow().as_uint().expect("a number");
                    let before = counters.insert((update.id.clone(), *code), value);
                    assert!(before.is_none_or(|before| before <= value), "{update:?} falls from {before:?}");
                    counted += 1;
                }
            }
            if let (Some(end), start) =
                (update.instant(Attribute::EndTime), life.records[&update.id].instant(Attribute::StartTime))
            {
                assert!(start.is_some_and(|start| start <= end), "{update:?}");
                ended.insert(update.id);
                ended_records += 1;
            }
        }
    }
    assert!(counted > 10_000 && ended_records > 10_000, "{counted} {ended_records}");
}

#[test]
fn every_parent_peer_and_counterflow_is_reported_sooner_or_later() {
    let sent = Van::new(quiet(), START).advance(after(120));
    let reported: HashSet<_> = records(&sent).into_iter().map(|record| record.id).collect();
    let mut references = 0;
    for (at, update) in lives(&sent).iter().flat_map(|(_, life)| &life.updates) {
        for (code, value) in &update.attributes {
            let attribute = Attribute::from_code(*code).expect("an attribute of the table");
            // Requests come before their connection where that is held back.
            if attribute.kind() == AttributeKind::Reference && at.plus_micros(15 * SECOND) < after(120) {
                let target = value.borrow().as_text().expect("a reference");
                assert!(reported.contains(target), "{update:?} refers to {target}");
                references += 1;
            }
        }
    }
    assert!(references > 1_000);
}

#[test]
fn requests_come_before_their_connection_where_that_was_short() {
    let sent = Van::new(quiet(), START).advance(after(60));
    let mut early = 0;
    for (_, life) in lives(&sent) {
        let mut reported = HashSet::new();
        for (_, update) in &life.updates {
            if kind(update) == RecordKind::BiflowApp && !reported.contains(text(update, Attribute::Parent)) {
                early += 1;
            }
            reported.insert(&*update.id);
        }
    }
    assert!(early > 10, "{early}");
}

#[test]
fn the_troubles_that_are_promised_are_there() {
    let records = records(&Van::new(DemoOptions { rate: 20.0, ..quiet() }, START).advance(after(90)));
    let address: HashMap<_, _> = of_kind(&records, RecordKind::Listener)
        .map(|listener| (&*listener.id, text(listener, Attribute::VanAddress)))
        .collect();
    let to = |service: &str| -> Vec<&UpdateBuf> {
        of_kind(&records, RecordKind::BiflowTport)
            .filter(|biflow| address[text(biflow, Attribute::Parent)] == service)
            .collect()
    };

    // A server that is down.
    let refused = to("loyalty:8080");
    assert!(refused.len() > 10);
    for biflow in &refused {
        assert_eq!(text(biflow, Attribute::ErrorListenerSide), "delivery-failed (destination unreachable)");
        assert!(text(biflow, Attribute::ErrorConnectorSide).starts_with("proton:io (Connection refused"));
    }
    // A service without any connector.
    assert_eq!(
        of_kind(&records, RecordKind::Listener)
            .filter(|one| text(one, Attribute::VanAddress) == "gift-cards:8080")
            .count(),
        2
    );
    assert!(
        of_kind(&records, RecordKind::Connector)
            .all(|one| text(one, Attribute::VanAddress) != "gift-cards:8080")
    );
    assert!(to("gift-cards:8080").is_empty());
    // A connector at the edge, which no connection names.
    let packing = to("packing:8080");
    assert!(packing.len() > 20);
    assert!(packing.iter().all(|biflow| biflow.get(Attribute::Connector).is_none()));
    assert!(to("cart:8080").iter().filter(|biflow| biflow.get(Attribute::Connector).is_some()).count() > 50);
    // Hosts that no PROCESS reports.
    let hosts: HashSet<_> =
        of_kind(&records, RecordKind::Process).map(|process| text(process, Attribute::SourceHost)).collect();
    assert!(to("telemetry:1883").iter().all(|biflow| !hosts.contains(text(biflow, Attribute::SourceHost))));
    assert!(to("cart:8080").iter().all(|biflow| hosts.contains(text(biflow, Attribute::SourceHost))));
    // Connections that idle since long before the start.
    let idle = of_kind(&records, RecordKind::BiflowTport)
        .filter(|biflow| biflow.instant(Attribute::StartTime).is_some_and(|start| start < START));
    assert_eq!(idle.clone().count(), 10);
    assert!(idle.clone().all(|biflow| biflow.get(Attribute::EndTime).is_none()));
    // A site that is reported by its controller and by a router.
    let factory = of_kind(&records, RecordKind::Site).filter(|site| text(site, Attribute::Name) == "factory");
    assert_eq!(factory.count(), 2);
    // Requests of every outcome, and some that are reported as they begin.
    let results: BTreeSet<_> =
        of_kind(&records, RecordKind::BiflowApp).map(|request| text(request, Attribute::Result)).collect();
    assert!(results.is_superset(&["200", "201", "204", "404", "500"].into()), "{results:?}");
    let protocols: BTreeSet<_> =
        of_kind(&records, RecordKind::BiflowApp).map(|request| text(request, Attribute::Protocol)).collect();
    assert_eq!(protocols, ["HTTP/1.1", "HTTP/2"].into());
}

#[test]
fn some_requests_are_reported_as_they_begin_and_again_as_they_end() {
    let sent = Van::new(DemoOptions { rate: 20.0, ..quiet() }, START).advance(after(90));
    let mut twice = 0;
    for (_, life) in lives(&sent) {
        let mut open = HashSet::new();
        for (_, update) in life.updates.iter().filter(|(_, update)| kind(update) == RecordKind::BiflowApp) {
            match update.get(Attribute::EndTime) {
                None => assert!(open.insert(update.id.clone())),
                Some(_) => twice += u32::from(open.remove(&update.id)),
            }
        }
    }
    assert!(twice > 3, "{twice}");
}

#[test]
fn the_2_x_routers_report_flow_pairs_and_both_sides_of_their_link() {
    let records = records(&Van::new(DemoOptions { rate: 20.0, ..quiet() }, START).advance(after(90)));
    let flows: HashMap<_, _> = of_kind(&records, RecordKind::Flow).map(|flow| (&*flow.id, flow)).collect();
    let pairs = flows.values().filter(|flow| flow.get(Attribute::Counterflow).is_some());
    let (mut requests, mut connections) = (0, 0);
    for server in pairs {
        let client = flows[text(server, Attribute::Counterflow)];
        assert!(client.get(Attribute::Counterflow).is_none());
        assert!(client.instant(Attribute::StartTime) < server.instant(Attribute::StartTime));
        if client.get(Attribute::Method).is_some() {
            requests += 1;
        } else {
            connections += 1;
        }
    }
    assert!(requests > 50 && connections > 20, "{requests} {connections}");

    let sides: BTreeSet<_> = of_kind(&records, RecordKind::Link)
        .filter(|link| link.get(Attribute::Direction).is_some())
        .map(|link| (text(link, Attribute::Name), text(link, Attribute::Direction)))
        .collect();
    assert_eq!(sides, [("dc-1", "outgoing"), ("dock-1", "incoming"), ("warehouse-1", "outgoing")].into());
}

/// All of this, merged.
fn merged(sent: &[Sent]) -> vanflow_store::Store {
    let mut store = vanflow_store::Store::new(vanflow_store::StoreOptions::default());
    for Sent { at, outgoing } in sent {
        let message = Message::decode(&outgoing.message).expect("decodes");
        let Body::Records(updates) = message.body else { continue };
        let name = outgoing.address.strip_prefix("mc/sfe.").expect("an address of a source");
        let id = name.split('.').next().expect("a name");
        let source = store.source_seen(id, SourceType::Router, *at);
        for update in updates {
            store.apply(source, update.expect("decodes"), *at);
        }
    }
    store
}

#[test]
fn no_source_reports_records_of_another() {
    // faults 24
    let sent = Van::new(DemoOptions { rate: 20.0, ..DemoOptions::default() }, START).advance(after(600));
    let store = merged(&sent);
    assert!(store.snapshot().records().count() > 100);
    assert_eq!(store.oddities().count(vanflow_store::Oddity::Foreign), 0);
}

/// What the network observer's API answers once all of this was reported.
async fn answer(sent: &[Sent], path: &str) -> serde_json::Value {
    use http_body_util::BodyExt;

    let store = merged(sent);
    let (network, _publisher) = vanflow_api::Network::new(store);
    let api = vanflow_api::Api::new(network, vanflow_api::ApiOptions::default());
    let request = http::Request::get(format!("/api/v2alpha1/{path}")).body(()).expect("a request");
    let body = api.respond(&request.into_parts().0).into_body().collect().await.expect("a body");
    let mut answer: serde_json::Value = serde_json::from_slice(&body.to_bytes()).expect("JSON");
    answer["results"].take()
}

#[tokio::test]
async fn the_warehouse_of_2_x_routers_shows_its_traffic() {
    let sent = Van::new(DemoOptions { rate: 20.0, ..quiet() }, START).advance(after(90));
    let records = records(&sent);
    let flows: HashMap<_, _> = of_kind(&records, RecordKind::Flow).map(|flow| (&*flow.id, flow)).collect();
    let number = |record: &UpdateBuf, attribute| record.get(attribute).and_then(Value::as_uint).unwrap_or(0);
    let listeners: HashMap<_, _> = of_kind(&records, RecordKind::Listener)
        .map(|listener| (&*listener.id, text(listener, Attribute::VanAddress)))
        .collect();
    // Each connection over a listener of the warehouse, and what went both ways.
    let far: HashMap<_, _> = flows.values().map(|flow| (text(flow, Attribute::Counterflow), *flow)).collect();
    let mut expected = BTreeMap::new();
    for near in flows.values() {
        let Some(&address) = listeners.get(text(near, Attribute::Parent)) else { continue };
        let back = match far.get(&*near.id) {
            Some(far) => number(far, Attribute::Octets),
            None => {
                let requests = flows.values().filter(|flow| text(flow, Attribute::Parent) == near.id);
                let answers = requests.filter_map(|request| far.get(&*request.id));
                answers.map(|answer| number(answer, Attribute::Octets)).sum()
            }
        };
        expected.insert(near.id.clone(), (address.to_owned(), number(near, Attribute::Octets), back));
    }
    let shown = answer(&sent, "connections?timeRangeStart=0&sourceSiteName=warehouse").await;
    let mut found = BTreeMap::new();
    for item in shown.as_array().expect("a list") {
        let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
        let octets = |name: &str| item[name].as_u64().unwrap_or_default();
        assert_eq!(text("destSiteName"), "warehouse", "{item}");
        assert_ne!(text("destProcessName"), "unknown", "{item}");
        let figures = (text("routingKey"), octets("octetCount"), octets("octetReverseCount"));
        found.insert(text("identity"), figures);
    }
    assert_eq!(found, expected);
    for service in ["stock-api", "label-printer:9100"] {
        let many = expected.values().filter(|(address, ..)| address == service).count();
        assert!(many > 10, "{many} to {service}");
    }

    let made = flows.values().filter(|flow| flow.get(Attribute::Method).is_some()).count();
    let requests = answer(&sent, "applicationflows?timeRangeStart=0&routingKey=stock-api").await;
    assert_eq!(requests.as_array().map(Vec::len), Some(made));
    let pairs = answer(&sent, "processpairs?timeRangeStart=0&sourceSiteName=warehouse").await;
    let protocols = pairs.as_array().expect("a list").iter().filter_map(|pair| pair["protocol"].as_str());
    assert_eq!(protocols.collect::<BTreeSet<_>>(), ["http1", "tcp"].into());
}

#[test]
fn links_go_down_and_up_and_count_it() {
    let sent = Van::new(DemoOptions::default(), START).advance(after(900));
    let mut states: HashMap<String, Vec<String>> = HashMap::new();
    let mut downs = 0;
    for (_, update) in lives(&sent).iter().flat_map(|(_, life)| &life.updates) {
        if kind(update) == RecordKind::Link && update.get(Attribute::OperStatus).is_some() {
            let states = states.entry(update.id.clone()).or_default();
            let state = text(update, Attribute::OperStatus).to_owned();
            if state == "down" && !states.is_empty() {
                assert!(update.get(Attribute::DownCount).and_then(Value::as_uint) > Some(0));
                downs += 1;
            }
            states.push(state);
        }
    }
    assert!(downs >= 3, "{downs}");
    for (link, states) in states {
        assert!(states.windows(2).all(|pair| pair[0] != pair[1]), "{link}: {states:?}");
    }
}

#[test]
fn one_router_restarts_under_its_identity_and_counts_from_0() {
    let sent = Van::new(DemoOptions::default(), START).advance(after(150));
    let lives = lives(&sent);
    let again: Vec<_> =
        lives.iter().filter(|(id, _)| lives.iter().filter(|(other, _)| other == id).count() == 2).collect();
    let [(id, first), (_, second)] = again[..] else { panic!("one router, twice: {}", again.len()) };
    assert_eq!(text(&first.records[id], Attribute::Name), "0/cloud-2");
    assert_eq!(second.message_ids[0], Some(0));
    assert!(
        second.records[id].instant(Attribute::StartTime) > first.records[id].instant(Attribute::StartTime)
    );
    assert!(first.heard.last() < second.heard.first());
    // The same identities come back meaning other records.
    let other = second.records.iter().filter(|(id, record)| {
        first.records.get(*id).is_some_and(|before| {
            kind(before) == RecordKind::BiflowTport
                && before.instant(Attribute::StartTime) != record.instant(Attribute::StartTime)
        })
    });
    assert!(other.count() > 0);
}

#[test]
fn one_router_restarts_under_another_identity_with_the_same_name() {
    let sent = Van::new(DemoOptions::default(), START).advance(after(260));
    let lives = lives(&sent);
    let named: Vec<_> = lives
        .iter()
        .filter(|(id, life)| {
            life.records.get(id).is_some_and(|record| text(record, Attribute::Name) == "0/factory-edge")
        })
        .collect();
    let [(before, first), (now, second)] = named[..] else { panic!("twice: {}", named.len()) };
    assert_ne!(before, now);
    assert!(first.heard.last() < second.heard.first());
    // It went without a word.
    assert!(first.records[before].get(Attribute::EndTime).is_none());
    assert_eq!(second.message_ids[0], Some(0));
}

#[test]
fn new_pods_come_before_the_old_ones_go() {
    let sent = Van::new(DemoOptions::default(), START).advance(after(180));
    let records = records(&sent);
    let checkout: Vec<_> = of_kind(&records, RecordKind::Process)
        .filter(|process| text(process, Attribute::Group) == "checkout")
        .collect();
    let (old, new): (Vec<&UpdateBuf>, Vec<&UpdateBuf>) =
        checkout.iter().partition(|process| process.instant(Attribute::StartTime) < Some(START));
    assert_eq!((old.len(), new.len()), (2, 2));
    assert!(
        old.iter().all(|process| process.instant(Attribute::EndTime) > new[0].instant(Attribute::StartTime))
    );
    assert_ne!(text(old[0], Attribute::ImageName), text(new[0], Attribute::ImageName));
}

#[test]
fn a_flush_is_answered_with_every_live_record_whole() {
    let mut van = Van::new(quiet(), START);
    van.advance(after(30));
    let router = van.sources().next().expect("a router");
    let (address, direct) = (router.address().to_string(), router.direct().to_string());
    assert!(van.flush(&direct));
    assert!(!van.flush("sfe.nobody:0"));
    let answer = van.advance(van.now().plus_micros(SLOT));
    let (_, life) =
        lives(&answer).into_iter().find(|(id, _)| address.ends_with(id.as_str())).expect("an answer");
    let listeners = life.records.values().filter(|record| kind(record) == RecordKind::Listener);
    assert_eq!(listeners.clone().count(), 8);
    assert!(listeners.clone().all(|listener| listener.get(Attribute::VanAddress).is_some()));
    // And no sooner than asked again.
    let next = van.advance(van.now().plus_micros(SLOT));
    assert!(records(&next).iter().all(|record| record.get(Attribute::VanAddress).is_none()));
}

#[test]
fn an_announcement_is_one_beacon_of_every_source() {
    let mut van = Van::new(quiet(), START);
    van.announce();
    let sent = van.advance(START);
    let ids: BTreeSet<_> = sent
        .iter()
        .map(|sent| match Message::decode(&sent.outgoing.message).expect("decodes").body {
            Body::Beacon(beacon) => beacon.id.to_owned(),
            body => panic!("{body:?}"),
        })
        .collect();
    assert_eq!((sent.len(), ids.len()), (10, 10));
}

#[test]
fn the_rate_is_that_of_connections() {
    let begun = |rate| {
        let records = records(&Van::new(DemoOptions { rate, ..quiet() }, START).advance(after(20)));
        let client_side = records.iter().filter(|record| match kind(record) {
            RecordKind::BiflowTport => true,
            RecordKind::Flow => {
                text(record, Attribute::SourceHost) != "10.217.0.2"
                    && record.get(Attribute::Method).is_none()
                    && record.get(Attribute::Counterflow).is_none()
            }
            _ => false,
        });
        client_side
            .filter(|record| {
                record.instant(Attribute::StartTime).is_some_and(|start| start >= START && start < after(13))
            })
            .count()
    };
    let (slow, fast) = (begun(20.0), begun(200.0));
    assert!((200..320).contains(&slow), "{slow} connections in 13 s");
    assert!((2_300..2_900).contains(&fast), "{fast} connections in 13 s");
}

#[test]
fn proxies_say_for_whom_they_ask() {
    let records = records(&Van::new(DemoOptions { rate: 100.0, ..quiet() }, START).advance(after(60)));
    let hosts: HashMap<_, _> = of_kind(&records, RecordKind::BiflowTport)
        .map(|biflow| (&*biflow.id, text(biflow, Attribute::SourceHost)))
        .collect();
    let (mut proxied, mut others) = (0, 0);
    for request in of_kind(&records, RecordKind::BiflowApp) {
        // Some come before their connection.
        let Some(host) = hosts.get(text(request, Attribute::Parent)) else { continue };
        let is_by_proxy = host.ends_with(".31") || host.ends_with(".32");
        let client = request.get(Attribute::SourceHost).and_then(Value::as_text);
        assert_eq!(client.is_some_and(|client| client.starts_with("10.66.1.")), is_by_proxy, "{client:?}");
        if is_by_proxy { proxied += 1 } else { others += 1 }
    }
    assert!(proxied > 20 && others > proxied, "{proxied} {others}");
}

#[test]
fn a_router_over_its_limit_counts_connections_and_reports_no_more_of_them() {
    let biflows = |flow_limit| {
        let sent = Van::new(DemoOptions { rate: 100.0, flow_limit, ..quiet() }, START).advance(after(30));
        let records = records(&sent);
        let counted: u64 = of_kind(&records, RecordKind::Listener)
            .filter_map(|listener| listener.get(Attribute::FlowCountL4)?.as_uint())
            .sum();
        (of_kind(&records, RecordKind::BiflowTport).count(), counted)
    };
    let (all, counted) = biflows(usize::MAX);
    assert!(counted > 2_000 && all > 2_000);
    let (some, counted) = biflows(50);
    assert!(counted > 2_000 && some < 1_500, "{some} of {counted}");
}

#[test]
fn what_a_network_remembers_does_not_grow() {
    let mut van = Van::new(DemoOptions::default(), START);
    let mut most = Vec::new();
    for part in 0..3 {
        let mut peak = 0;
        for minute in 0..10 {
            van.advance(after(part * 600 + minute * 60));
            let live: usize = van.sources().map(Source::live).sum();
            peak = peak.max(live + van.connections.len() + van.pods.len() + van.events.len());
        }
        most.push(peak);
    }
    assert!(most[2] < most[0] * 2, "{most:?}");
}
