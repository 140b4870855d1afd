//! Whose records are, and what others can do to them.

use std::{fs::File, io::BufReader, path::Path};

use crate::support::{Network, SECOND, change, find, ids, live};
use vanflow_proto::{
    Attribute, Message, RecordKind, Timestamp, capture,
    discovery::{Discovery, Settings},
};
use vanflow_store::{Follower, Oddity, Store, StoreOptions};

fn refused(network: &Network) -> u64 {
    network.store.stats().oddities.count(Oddity::Foreign)
}

#[test]
fn a_router_cannot_change_the_records_of_another() {
    // faults 24
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases/foreign-ends.jsonl");
    let (mut store, mut follower) = (Store::new(StoreOptions::default()), Follower::new());
    let mut discovery = Discovery::new(Settings::default(), 7);
    discovery.attached(Timestamp::default());
    let mut foreign = 0;
    for captured in capture::read(BufReader::new(File::open(path).expect("the case is there"))) {
        let captured = captured.expect("it reads");
        let now = Timestamp::from_micros(1_795_347_880 * SECOND + captured.micros);
        let message = Message::decode(&captured.message).expect("it decodes");
        foreign += follower.hear(&mut store, &mut discovery, &captured.link, &message, now).foreign();
    }
    let snapshot = store.snapshot();
    let of_a = |kind| ids(snapshot.of_kind(kind).filter(|record| record.id().to_string().starts_with("A:")));
    for kind in [RecordKind::Router, RecordKind::Listener, RecordKind::Connector, RecordKind::BiflowTport] {
        let living = snapshot.of_kind(kind).filter(|record| record.is_live());
        let living = ids(living.filter(|record| record.id().to_string().starts_with("A:")));
        assert!(!living.is_empty(), "{kind:?}");
        assert_eq!(living, of_a(kind), "{kind:?}");
    }
    for record in snapshot.records() {
        assert!(record.uint(Attribute::Octets).is_none_or(|octets| octets < u64::MAX), "{:?}", record.id());
    }
    assert!(foreign > 0);
    assert_eq!(store.stats().oddities.iter().collect::<Vec<_>>(), [(Oddity::Foreign, foreign)]);
}

#[test]
fn ids_of_a_router_are_its_own_before_it_has_reported_any() {
    // faults 24
    let mut network = Network::new();
    network.router("west:0");
    let (east, controller) = (network.router("east:0"), network.controller("site-west"));
    for source in [east, controller] {
        let listener = network.started(RecordKind::Listener, "west:1", "west:0");
        network.report(source, &[listener]);
    }
    assert_eq!(network.snapshot().records().count(), 0);
    assert_eq!(refused(&network), 2);
    network.west();
    assert_eq!(live(&network.snapshot(), RecordKind::Listener), ["west:1"]);
}

#[test]
fn what_was_reported_in_the_name_of_a_router_leaves_when_it_is_seen() {
    // faults 24
    let mut network = Network::new();
    let east = network.router("east:0");
    let updates = [
        network.started(RecordKind::Router, "east:0", "site-east"),
        network.started(RecordKind::Router, "west:0", "site-east"),
        network.connection("west:10").with(Attribute::Octets, u64::MAX),
        network.connection("west:11").with(Attribute::EndTime, network.now),
    ];
    network.report(east, &updates);
    let west = network.west();
    assert_eq!(network.snapshot().of_kind(RecordKind::BiflowTport).count(), 0);
    let connection = network.connection("west:10").with(Attribute::Octets, 5);
    network.report(west, &[connection]);
    network.report(east, &[change(RecordKind::BiflowTport, "west:10").with(Attribute::EndTime, network.now)]);
    network.wait(3600);
    let snapshot = network.snapshot();
    let connection = find(&snapshot, "west:10");
    assert_eq!((connection.is_live(), connection.uint(Attribute::Octets)), (true, Some(5)));
    assert_eq!(connection.source().expect("a source").id(), "west:0");
    assert_eq!(live(&snapshot, RecordKind::Router), ["east:0", "west:0"]);
    assert_eq!(snapshot.sources().map(|source| source.live_records()).collect::<Vec<_>>(), [1, 3]);
}

#[test]
fn one_that_does_not_vouch_for_a_record_cannot_end_it() {
    // faults 13, 24
    let mut network = Network::new();
    let (controller, east) = (network.controller("site-west"), network.router("east:0"));
    let process = network.started(RecordKind::Process, "pod-1", "site-west");
    network.report(controller, std::slice::from_ref(&process));
    let end = change(RecordKind::Process, "pod-1").with(Attribute::EndTime, network.now);
    network.report(east, std::slice::from_ref(&end));
    assert_eq!(
        (live(&network.snapshot(), RecordKind::Process), refused(&network)),
        (vec!["pod-1".into()], 1)
    );
    network.report(east, &[process]);
    network.report(east, std::slice::from_ref(&end));
    assert_eq!(
        (live(&network.snapshot(), RecordKind::Process), refused(&network)),
        (vec!["pod-1".into()], 1)
    );
    network.report(controller, &[end]);
    assert_eq!(live(&network.snapshot(), RecordKind::Process), [""; 0]);
}

#[test]
fn one_that_shares_a_record_changes_no_counters() {
    // faults 13, 24
    let mut network = Network::new();
    let (controller, east) = (network.controller("site-west"), network.router("east:0"));
    let link = network.started(RecordKind::Link, "link-1", "");
    network.report(controller, &[link.clone().with(Attribute::Octets, 5)]);
    network.report(east, &[link.with(Attribute::Octets, 7).with(Attribute::Name, "l")]);
    let snapshot = network.snapshot();
    let link = find(&snapshot, "link-1");
    assert_eq!(link.uint(Attribute::Octets), Some(5));
    assert_eq!(link.text(Attribute::Name).expect("it is shared"), "l");
    assert_eq!(refused(&network), 1);
}

#[test]
fn a_connection_is_shared_by_nobody() {
    // faults 24
    let mut network = Network::new();
    let (west, east) = (network.west(), network.router("east:0"));
    let connection = network.connection("no-counter");
    network.report(west, std::slice::from_ref(&connection));
    network.report(east, &[connection.with(Attribute::Octets, 9)]);
    assert_eq!(find(&network.snapshot(), "no-counter").uint(Attribute::Octets), None);
    assert_eq!(refused(&network), 1);
}

#[test]
fn a_record_that_another_brings_back_to_life_is_its_own() {
    // faults 5, 13
    let mut network = Network::new();
    let [first, second] = ["one", "two"].map(|id| network.controller(id));
    let process = network.started(RecordKind::Process, "pod-1", "site-west");
    network.report(first, std::slice::from_ref(&process));
    network.store.source_lost(first, network.now, network.now);
    network.report(second, &[process]);
    assert_eq!(find(&network.snapshot(), "pod-1").source().expect("a source").id(), "two");
    network.report(second, &[change(RecordKind::Process, "pod-1").with(Attribute::EndTime, network.now)]);
    assert_eq!(live(&network.snapshot(), RecordKind::Process), [""; 0], "the first says so no more");
}
