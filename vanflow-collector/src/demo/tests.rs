//! The emulated VAN and the load as a collector sees them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, timeout};
use vanflow_proto::{
    Attribute, Body, FLOWS_SUFFIX, Message, RecordKind, Timestamp, UpdateBuf, Value,
    router::{self, Config, Event},
    source::MAX_BATCH,
};

use super::*;

const START: Timestamp = Timestamp::from_micros(1_795_347_888_000_000);

/// A clock that shows [`START`] now.
fn clock() -> impl Fn() -> Timestamp + Send + Sync + 'static {
    let start = Instant::now();
    move || START.plus_micros(u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX))
}

/// Attaches a collector, and hands the updates that come to `until`, by message, until that is content.
async fn collect(url: &str, until: impl FnMut(Vec<UpdateBuf>) -> bool) {
    collect_tapped(url, |_, _| {}, until).await;
}

/// The same; `tap` sees every message before that, with the address that it was received on.
async fn collect_tapped(
    url: &str,
    tap: impl Fn(&str, Message<'_>) + Send + Sync + 'static,
    mut until: impl FnMut(Vec<UpdateBuf>) -> bool,
) {
    let mut config = Config::from_url(url, Arc::new(clock())).expect("a URL");
    config.tap = Some(Arc::new(move |_, link, bytes| tap(link, Message::decode(bytes).expect("decodes"))));
    let (handle, mut events) = router::connect(config);
    let collecting = async {
        while let Some(event) = events.next().await {
            let Event::Records { records, .. } = event else { continue };
            let updates = records.updates().map(|update| update.expect("decodes").to_owned()).collect();
            if until(updates) {
                return;
            }
        }
        panic!("the collector ended");
    };
    timeout(Duration::from_secs(120), collecting).await.expect("everything comes in time");
    handle.close().await;
}

fn kind(update: &UpdateBuf) -> Option<RecordKind> {
    update.type_code.and_then(RecordKind::from_code)
}

#[tokio::test]
async fn a_collector_gets_every_source_of_the_network_whole() {
    let options = DemoOptions { rate: 50.0, failures: false, ..DemoOptions::default() };
    let demo = start(options, clock()).await.expect("starts");
    let mut names: BTreeMap<RecordKind, BTreeSet<String>> = BTreeMap::new();
    let mut kinds = HashSet::new();
    collect(&demo.url(), |updates| {
        for update in updates {
            let kind = kind(&update).expect("a kind of the table");
            kinds.insert(kind);
            if let Some(name) = update.get(Attribute::Name).and_then(Value::as_text) {
                names.entry(kind).or_default().insert(name.to_owned());
            }
        }
        let named = |kind| names.get(&kind).map_or(0, BTreeSet::len);
        named(RecordKind::Router) == 6
            && named(RecordKind::Site) == 4
            && named(RecordKind::Process) == 20
            && kinds.is_superset(&HashSet::from([
                RecordKind::BiflowTport,
                RecordKind::BiflowApp,
                RecordKind::Flow,
                RecordKind::Listener,
                RecordKind::Connector,
                RecordKind::Link,
            ]))
    })
    .await;
    assert!(names[&RecordKind::Router].contains("0/factory-edge"));
    assert!(names[&RecordKind::Site].contains("public-cloud"));
    demo.shut_down().await;
}

#[tokio::test]
async fn the_load_arrives_to_the_last_update_and_in_order() {
    let options = LoadOptions { updates: 20_000, start: START, ends: true };
    let mut load = Load::start(&options, clock()).await.expect("starts");
    let url = load.url();
    let last = AtomicU64::new(0);
    let in_order = move |link: &str, message: Message<'_>| {
        if link.starts_with("mc/sfe.LoAdA:") && link.ends_with(FLOWS_SUFFIX) {
            let id = message.message_id.expect("routers number their messages");
            let last = last.swap(id, Ordering::Relaxed);
            assert!(id > last, "{id} comes after {last}");
        }
    };
    let (mut flows, mut ended) = (0, 0);
    let collecting = collect_tapped(&url, in_order, |updates| {
        let ours = updates.iter().filter(|update| update.id.starts_with("LoAdA:"));
        let ours: Vec<_> = ours.filter(|update| kind(update).is_some_and(RecordKind::is_flow)).collect();
        flows += ours.len();
        ended += ours.iter().filter(|update| update.get(Attribute::EndTime).is_some()).count();
        flows == options.updates
    });
    tokio::join!(collecting, async {
        load.begun().await;
        load.sent().await;
    });
    assert_eq!(ended, options.updates / 4 * 3);
    load.shut_down().await;
}

#[tokio::test]
async fn a_network_that_nobody_listens_to_shuts_down() {
    let demo = start(DemoOptions::default(), clock()).await.expect("starts");
    assert!(demo.url().starts_with("amqp://127.0.0.1:"));
    assert!(!demo.exchange().is_listened(vanflow_proto::BEACON_ADDRESS));
    demo.shut_down().await;
}

#[test]
fn the_load_has_full_batches_of_what_real_routers_report() {
    let options = LoadOptions { updates: 10_000, start: START, ends: true };
    let mut records: HashMap<String, Vec<UpdateBuf>> = HashMap::new();
    let messages = load_messages(&options);
    for outgoing in &messages {
        assert_eq!(&*outgoing.address, "mc/sfe.LoAdA:0.flows");
        let Body::Records(updates) = Message::decode(&outgoing.message).expect("decodes").body else {
            panic!("expected records")
        };
        let updates: Vec<_> = updates.map(|update| update.expect("decodes").to_owned()).collect();
        assert_eq!(updates.len(), MAX_BATCH);
        for update in updates {
            records.entry(update.id.clone()).or_default().push(update);
        }
    }
    assert_eq!(messages.len(), options.updates / MAX_BATCH);
    let live: HashSet<_> =
        load_sources(START).iter().flat_map(|source| source.records().map(|record| record.id)).collect();
    let (mut connections, mut requests) = (0, 0);
    for updates in records.values() {
        let text = |attribute| updates[0].get(attribute).and_then(Value::as_text).expect("text");
        match kind(&updates[0]) {
            Some(RecordKind::BiflowTport) => {
                connections += 1;
                assert_eq!(updates.len(), 2);
                assert!(live.contains(text(Attribute::Parent)) && live.contains(text(Attribute::Connector)));
                assert!(updates[1].instant(Attribute::EndTime) > updates[0].instant(Attribute::StartTime));
            }
            Some(RecordKind::BiflowApp) => {
                requests += 1;
                assert_eq!(updates.len(), 1);
                assert!(records.contains_key(text(Attribute::Parent)));
                assert!(updates[0].get(Attribute::EndTime).is_some());
            }
            kind => panic!("{kind:?}"),
        }
    }
    assert_eq!((connections, requests), (2_500, 5_000));
}
