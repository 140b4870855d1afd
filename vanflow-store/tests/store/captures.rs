//! Captures of real routers, merged: checked against what Qpid Proton's decoding of the same bytes comes to.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::BufReader,
    path::{Path, PathBuf},
};

use vanflow_proto::{
    Attribute, Message, RecordKind, Timestamp, capture,
    discovery::{Discovery, Settings},
};
use vanflow_store::{Field, Follower, Record, Snapshot, Store, StoreOptions};

fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/captures").join(file)
}

/// Everything in a capture, each message `times` times.
fn replay(name: &str, times: usize) -> Store {
    let (mut store, mut follower) = (Store::new(StoreOptions::default()), Follower::new());
    // However silent, no source is lost: everything is as it was reported.
    let mut settings = Settings::default();
    settings.silence = 3_600_000_000;
    let mut discovery = Discovery::new(settings, 7);
    discovery.attached(Timestamp::default());
    let file = File::open(path(&format!("{name}.jsonl"))).expect("the capture is there");
    for captured in capture::read(BufReader::new(file)) {
        let captured = captured.expect("it reads");
        let now = Timestamp::from_micros(1_795_347_880_000_000 + captured.micros);
        let message = Message::decode(&captured.message).expect("it decodes");
        for _ in 0..times {
            let merged = follower.hear(&mut store, &mut discovery, &captured.link, &message, now);
            assert_eq!(merged.refused(), 0, "{:?}", merged.error());
        }
    }
    store
}

fn json(field: Field<'_>) -> serde_json::Value {
    match field {
        Field::Uint(number) => number.into(),
        Field::Text(text) => text.to_string().into(),
        other => panic!("real routers send no {other:?}"),
    }
}

fn merged(record: &Record<'_>) -> BTreeMap<String, serde_json::Value> {
    let mut merged: BTreeMap<_, _> =
        record.fields().map(|(code, field)| (code.to_string(), json(field))).collect();
    merged.insert("0".into(), record.type_code().expect("it has a type").into());
    merged.insert("1".into(), record.id().to_string().into());
    merged
}

#[test]
fn every_capture_comes_to_what_qpid_proton_makes_of_it_however_often_a_message_comes() {
    // faults 9
    for name in ["router-2.7", "router-3.5", "router-3.5-halves"] {
        let expected = fs::read_to_string(path(&format!("{name}.merged.json"))).expect("the file is there");
        let expected: BTreeMap<String, BTreeMap<String, serde_json::Value>> =
            serde_json::from_str(&expected).expect("it is JSON");
        for times in [1, 3] {
            let store = replay(name, times);
            let snapshot = store.snapshot();
            let found: BTreeMap<_, _> =
                snapshot.records().map(|record| (record.id().to_string(), merged(&record))).collect();
            assert_eq!(found.len(), expected.len(), "{name}");
            for (id, record) in &found {
                assert_eq!(Some(record), expected.get(id), "{name}: {id}");
            }
            assert_eq!(store.stats().oddities.iter().collect::<Vec<_>>(), [], "{name}");
        }
    }
}

fn services(snapshot: &Snapshot) -> Vec<(String, Option<String>, u64, u64, u64, u64)> {
    let mut services: Vec<_> = snapshot
        .services()
        .map(|service| {
            assert!(service.flows().count() as u64 >= service.total_flows());
            (
                service.address().to_string(),
                service.protocol().map(|protocol| protocol.to_string()),
                service.listener_count(),
                service.connector_count(),
                service.total_flows(),
                service.current_flows(),
            )
        })
        .collect();
    services.sort();
    services
}

#[test]
fn services_follow_from_listeners_and_connectors() {
    let service = |address: &str, listeners, connectors, total| {
        (address.to_owned(), Some("tcp".to_owned()), listeners, connectors, total, 0)
    };
    assert_eq!(
        services(&replay("router-3.5", 1).snapshot()),
        [
            service("dead", 1, 2, 32),
            service("echo:7", 1, 2, 100),
            service("shop", 1, 2, 100),
            service("web", 1, 1, 100)
        ]
    );
}

#[test]
fn a_connector_that_nobody_named_is_inferred_where_the_service_has_one() {
    // faults 11
    let store = replay("router-3.5", 1);
    let snapshot = store.snapshot();
    let inferred: BTreeSet<_> = snapshot
        .of_kind(RecordKind::BiflowTport)
        .filter_map(|flow| flow.connector_inferred())
        .map(|connector| connector.text(Attribute::VanAddress).expect("it is whole").to_string())
        .collect();
    assert_eq!(inferred, BTreeSet::from(["web".to_owned()]));
    let unnamed = snapshot
        .of_kind(RecordKind::BiflowTport)
        .filter(|flow| flow.text(Attribute::Connector).is_none())
        .count();
    assert_eq!(unnamed, 100);
}

#[test]
fn processes_are_found_at_both_ends_of_a_connection() {
    let store = replay("router-3.5", 1);
    let snapshot = store.snapshot();
    let name = |record: Option<Record<'_>>| {
        record.map_or("-".to_owned(), |record| record.text(Attribute::Name).expect("it is whole").to_string())
    };
    let ends: BTreeSet<_> = snapshot
        .of_kind(RecordKind::BiflowTport)
        .map(|flow| {
            let service = flow.service().expect("its listener is known").address().to_string();
            (name(flow.process()), service, name(flow.server_process()))
        })
        .collect();
    let ends: Vec<_> = ends.iter().map(|(from, via, to)| format!("{from} → {via} → {to}")).collect();
    assert_eq!(
        ends,
        [
            "- → dead → -",
            "- → web → web-77aa",
            "cart-7f9c → echo:7 → echo-6c4d",
            "frontend-5d8b → echo:7 → echo-6c4d",
            "frontend-5d8b → shop → shop-9a1b",
            "frontend-5d8b → web → web-77aa",
        ]
    );
}
