//! What is retained: ended records for a while, and with a retained record what it refers to.

use std::collections::BTreeMap;

use proptest::prelude::*;
use vanflow_proto::{Attribute, RecordKind, UpdateBuf};
use vanflow_store::{Record, Snapshot, Store, StoreOptions};

use crate::{
    lanes::{Event, event, happen},
    support::{Network, change, find, ids, live},
};

/// A listener and a connector of a service, the process behind it, and a connection with a request.
fn whole_network(network: &mut Network) -> vanflow_store::SourceId {
    let west = network.west();
    let records = [
        network.started(RecordKind::Site, "site-west", ""),
        network.started(RecordKind::Process, "server", "site-west").with(Attribute::SourceHost, "10.0.0.2"),
        network
            .started(RecordKind::Connector, "west:2", "west:0")
            .with(Attribute::VanAddress, "echo")
            .with(Attribute::Protocol, "tcp")
            .with(Attribute::Process, "server"),
        network.connection("west:10").with(Attribute::Connector, "west:2"),
        network.started(RecordKind::BiflowApp, "west:11", "west:10"),
    ];
    network.report(west, &records);
    west
}

fn end(network: &mut Network, source: vanflow_store::SourceId, kind: RecordKind, id: &str) {
    let update = change(kind, id).with(Attribute::EndTime, network.now);
    network.report(source, &[update]);
}

#[test]
fn what_a_retained_record_refers_to_is_retained_with_it() {
    // faults 25
    let mut network = Network::new();
    let west = whole_network(&mut network);
    for (kind, id) in [
        (RecordKind::Site, "site-west"),
        (RecordKind::Router, "west:0"),
        (RecordKind::Listener, "west:1"),
        (RecordKind::Connector, "west:2"),
        (RecordKind::Process, "server"),
        (RecordKind::BiflowTport, "west:10"),
    ] {
        end(&mut network, west, kind, id);
    }
    network.wait(3 * 15 * 60);
    let snapshot = network.snapshot();
    assert_eq!(
        ids(snapshot.records()),
        ["server", "site-west", "west:0", "west:1", "west:10", "west:11", "west:2"]
    );
    let request = find(&snapshot, "west:11");
    assert_eq!(request.server_process(), Some(find(&snapshot, "server")));
    assert_eq!(request.site(), Some(find(&snapshot, "site-west")));
    assert_eq!(request.service().expect("it stayed").id(), "adr-4792369ad4bfa82c");
    assert_eq!(network.store.stats().evicted, 0);

    end(&mut network, west, RecordKind::BiflowApp, "west:11");
    network.wait(15 * 60);
    assert_eq!(network.snapshot().records().count(), 7, "its own retention begins when it ends");
    network.wait(2);
    assert_eq!(network.snapshot().records().count(), 0, "the last of them takes the others along");
    assert_eq!(network.snapshot().services().count(), 0);
    assert_eq!(network.store.stats().evicted, 7);
}

#[test]
fn an_access_point_is_retained_with_the_links_that_arrive_at_it() {
    // faults 25
    let mut network = Network::new();
    let west = network.west();
    let access = network.started(RecordKind::RouterAccess, "west:3", "west:0");
    let link = network.started(RecordKind::Link, "west:4", "west:0").with(Attribute::Peer, "west:3");
    network.report(west, &[access, link]);
    end(&mut network, west, RecordKind::RouterAccess, "west:3");
    network.wait(3600);
    assert!(find(&network.snapshot(), "west:4").peer().is_some());
    let elsewhere = change(RecordKind::Link, "west:4").with(Attribute::Peer, "west:5");
    network.report(west, &[elsewhere]);
    assert_eq!(network.snapshot().find("west:3").count(), 0, "nothing refers to it any more");
}

#[test]
fn a_record_that_comes_back_to_life_while_others_keep_it_has_its_whole_retention_again() {
    // faults 5 and 25
    let mut network = Network::new();
    let west = network.west();
    let connection = network.connection("west:10");
    network.report(west, &[connection]);
    network.store.source_lost(west, network.now, network.now);
    network.router("west:0");
    network.report(west, &[change(RecordKind::BiflowTport, "west:10").with(Attribute::Octets, 1)]);
    network.wait(3600);
    assert_eq!(live(&network.snapshot(), RecordKind::Listener), [""; 0]);
    network.report(west, &[change(RecordKind::Listener, "west:1"), change(RecordKind::Router, "west:0")]);
    assert_eq!(live(&network.snapshot(), RecordKind::Listener), ["west:1"]);
    end(&mut network, west, RecordKind::BiflowTport, "west:10");
    network.wait(15 * 60 + 2);
    assert_eq!(ids(network.snapshot().records()), ["west:0", "west:1"]);
    end(&mut network, west, RecordKind::Listener, "west:1");
    network.wait(15 * 60);
    assert_eq!(ids(network.snapshot().records()), ["west:0", "west:1"]);
    network.wait(2);
    assert_eq!(ids(network.snapshot().records()), ["west:0"]);
}

#[test]
fn a_memory_bound_evicts_the_oldest_connections_and_not_what_others_go_through() {
    // faults 16 and 25
    let mut options = StoreOptions::default();
    options.memory_bound = Some(200_000);
    let mut network = Network::with(options);
    let west = network.west();
    end(&mut network, west, RecordKind::Listener, "west:1");
    for number in 0..3000 {
        let connection = network.connection(&format!("west:{}", 10 + number));
        network.report(west, &[connection.with(Attribute::EndTime, network.now)]);
    }
    network.wait(1);
    let snapshot = network.snapshot();
    let left: Vec<_> = snapshot.of_kind(RecordKind::BiflowTport).collect();
    let stats = network.store.stats();
    assert!((100..2900).contains(&left.len()) && stats.memory <= 200_000, "{} {stats:?}", left.len());
    assert_eq!(left.len() as u64 + stats.evicted, 3000);
    assert!(left.iter().all(|connection| connection.router().is_some()));
}

#[test]
fn records_that_only_refer_to_each_other_do_not_keep_each_other() {
    // faults 17 and 25
    let mut network = Network::new();
    let west = network.router("west:0");
    for number in 0..100 {
        let router = network.started(
            RecordKind::Router,
            &format!("west:{number}"),
            &format!("west:{}", (number + 1) % 100),
        );
        network.report(west, &[router]);
    }
    let first = network.started(RecordKind::Listener, "west:200", "west:50");
    network.report(west, &[first]);
    for number in 0..100 {
        end(&mut network, west, RecordKind::Router, &format!("west:{number}"));
        network.wait(1);
    }
    network.wait(3600);
    end(&mut network, west, RecordKind::Listener, "west:200");
    network.wait(3600);
    assert_eq!(network.snapshot().records().count(), 0);
}

/// What each record refers to, as far as that is known: by where it is, its own and the other's id.
fn known_targets(snapshot: &Snapshot) -> BTreeMap<(vanflow_store::RecordRef, String), Vec<(String, String)>> {
    let targets = |record: &Record<'_>| {
        let parent = (Attribute::Parent, record.parent());
        let others = match record.kind() {
            Some(RecordKind::BiflowApp) => vec![parent],
            Some(RecordKind::BiflowTport) => vec![parent, (Attribute::Connector, record.connector())],
            Some(RecordKind::Flow) => vec![parent, (Attribute::Counterflow, record.counterflow())],
            _ => vec![parent, (Attribute::Peer, record.peer()), (Attribute::Process, record.named_process())],
        };
        let known = others.into_iter().filter_map(|(attribute, other)| {
            let (named, id) = (record.text(attribute)?, other?.id());
            (named == id).then(|| (attribute.name().to_owned(), id.to_string()))
        });
        known.collect()
    };
    snapshot.records().map(|record| ((record.at(), record.id().to_string()), targets(&record))).collect()
}

/// What can be refused or forgotten for reasons of its own is left out: ids from before a restart.
fn keeps_ids(event: &Event) -> bool {
    !matches!(event, Event::Restarted(_) | Event::Restored(..))
}

/// All that takes memory and should not without records.
fn left(store: &Store) -> (usize, usize, usize, usize) {
    let snapshot = store.snapshot();
    (store.stats().memory, snapshot.records().count(), snapshot.services().count(), snapshot.lanes().count())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn nothing_that_was_known_becomes_unknown(events in prop::collection::vec(event(), 1..60)) {
        // faults 25
        let mut network = Network::with_retention(30);
        let mut before = BTreeMap::new();
        for event in events.iter().filter(|event| keeps_ids(event)) {
            happen(&mut network, event);
            let now = known_targets(&network.snapshot());
            if let Event::Waited(_) = event {
                for (record, targets) in &now {
                    prop_assert_eq!(Some(targets), before.get(record), "{:?}", record);
                }
            }
            before = now;
        }
    }

    #[test]
    fn nothing_is_left_once_everything_has_ended(events in prop::collection::vec(event(), 1..60)) {
        // faults 25: neither rows nor names, lanes or places in the index.
        let mut network = Network::with_retention(30);
        let empty = left(&network.store);
        for event in &events {
            happen(&mut network, event);
        }
        for id in ["a:99", "b:99"] {
            let source = network.router(id);
            network.store.source_lost(source, network.now, network.now);
        }
        network.wait(100);
        network.wait(100);
        // For a day connections may return.
        network.wait(100_000);
        let evicted = network.store.stats().evicted;
        prop_assert_eq!(left(&network.store), empty);
        network.wait(100);
        prop_assert_eq!(network.store.stats().evicted, evicted);
    }
}

#[test]
fn what_is_held_stays_while_others_come_and_go() {
    // faults 25: rows that are taken by other records in between change nothing for those that stay.
    let mut network = Network::with_retention(30);
    let west = whole_network(&mut network);
    end(&mut network, west, RecordKind::Listener, "west:1");
    for round in 0..200_u64 {
        let other: UpdateBuf =
            network.started(RecordKind::Listener, &format!("west:{}", 100 + round), "west:0");
        network.report(west, &[other.with(Attribute::EndTime, network.now)]);
        network.report(west, &[change(RecordKind::BiflowTport, "west:10").with(Attribute::Octets, round)]);
        network.wait(1);
    }
    let snapshot = network.snapshot();
    assert!(find(&snapshot, "west:10").endpoint().is_some());
    assert!(snapshot.of_kind(RecordKind::Listener).count() <= 34);
}
