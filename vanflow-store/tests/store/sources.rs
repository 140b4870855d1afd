//! What the store says of sources, and until when.

use vanflow_proto::{Attribute, RecordKind, SourceType, Timestamp, discovery::Extent};
use vanflow_store::{Snapshot, SourceState, StoreOptions};

use crate::support::{Network, SECOND, change, live};

fn source<'s>(snapshot: &'s Snapshot, id: &str) -> SourceState<'s> {
    snapshot.sources().find(|source| source.id() == id).expect("it was seen")
}

#[test]
fn a_source_is_what_was_seen_and_heard_of_it() {
    let mut network = Network::new();
    let begun = network.now;
    let west = network.west();
    network.wait(5);
    let clock = network.now.plus_micros(7 * SECOND);
    network.store.heartbeat(west, clock, network.now);
    let snapshot = network.snapshot();
    let state = source(&snapshot, "west:0");
    assert_eq!(state.source_type(), SourceType::Router);
    assert!(state.is_alive() && !state.is_incomplete());
    assert_eq!((state.first_heard(), state.last_heard()), (begun, network.now));
    assert_eq!((state.updates(), state.live_records()), (2, 2));
    assert_eq!(state.clock_offset_micros(), i64::try_from(7 * SECOND).expect("it is small"));
    let heard = network.now;
    network.wait(9);
    network.store.source_lost(west, heard, network.now);
    let snapshot = network.snapshot();
    let state = source(&snapshot, "west:0");
    assert!(!state.is_alive());
    assert_eq!((state.last_heard(), state.live_records()), (heard, 0));
    assert!(source(&network.snapshot(), "west:0").first_heard() == begun, "it stays");
}

#[test]
fn a_clock_that_is_behind_has_a_negative_offset() {
    let mut network = Network::new();
    let west = network.west();
    let clock = Timestamp::from_micros(network.now.as_micros() - 3);
    network.store.heartbeat(west, clock, network.now);
    assert_eq!(source(&network.snapshot(), "west:0").clock_offset_micros(), -3);
}

#[test]
fn a_source_whose_router_is_not_reported_is_incomplete() {
    // faults 1
    let mut network = Network::new();
    let west = network.router("west:0");
    let listener = network.started(RecordKind::Listener, "west:1", "west:0");
    network.report(west, &[listener]);
    assert!(source(&network.snapshot(), "west:0").is_incomplete());
    let router = network.started(RecordKind::Router, "west:0", "");
    network.report(west, &[router]);
    assert!(!source(&network.snapshot(), "west:0").is_incomplete());
}

#[test]
fn a_lost_source_is_forgotten_once_more_than_the_retention_has_passed() {
    // faults 4
    let mut network = Network::with_retention(30);
    let west = network.router("west:0");
    network.store.source_lost(west, network.now, network.now);
    network.wait(30);
    assert_eq!(network.store.source_id("west:0"), Some(west), "just the retention has passed");
    network.wait(1);
    assert_eq!(network.store.source_id("west:0"), None);
}

#[test]
fn records_refused_in_the_moment_in_which_a_source_is_asked_again_are_missing_still() {
    // faults 30
    let mut options = StoreOptions::default();
    options.source_records = 1;
    let mut network = Network::with(options);
    let west = network.router("west:0");
    let records = [("west:0", RecordKind::Router), ("west:1", RecordKind::Listener)];
    let records = records.map(|(id, kind)| change(kind, id).with(Attribute::StartTime, network.now));
    network.report(west, &records);
    assert_eq!(source(&network.snapshot(), "west:0").refused_records(), 1);
    let settle = |network: &mut Network| {
        network.store.epoch_started(west, network.now);
        network.report(west, &records[..1]);
        network.store.source_settled(west, Extent::All, network.now);
        source(&network.snapshot(), "west:0").refused_since()
    };
    assert_eq!(settle(&mut network), Some(network.now), "whether before or after it was asked is not known");
    network.wait(1);
    assert_eq!(settle(&mut network), None);
}

#[test]
fn a_record_that_left_is_shared_by_nobody_any_more() {
    // faults 13
    let mut network = Network::with_retention(30);
    let [one, two] = ["one", "two"].map(|id| network.controller(id));
    let site = network.started(RecordKind::Site, "site", "");
    network.report(one, std::slice::from_ref(&site));
    network.report(two, &[site]);
    let end = change(RecordKind::Site, "site").with(Attribute::EndTime, network.now);
    network.report(one, std::slice::from_ref(&end));
    network.report(two, &[end]);
    network.wait(40);
    assert_eq!(network.snapshot().find("site").count(), 0);
    // Whatever takes its place is not shared by those who shared it.
    let process = network.started(RecordKind::Process, "process", "");
    network.report(one, &[process]);
    network.store.source_lost(one, network.now, network.now);
    assert!(live(&network.snapshot(), RecordKind::Process).is_empty());
    network.store.source_lost(two, network.now, network.now);
    network.wait(90);
    network.wait(90);
    assert_eq!((network.store.source_id("one"), network.store.source_id("two")), (None, None));
}

#[test]
fn a_source_that_reports_a_record_of_another_is_kept_though_it_was_lost() {
    // faults 4, 13
    let mut network = Network::with_retention(30);
    let [one, two] = ["one", "two"].map(|id| network.controller(id));
    let site = network.started(RecordKind::Site, "site", "");
    network.report(one, std::slice::from_ref(&site));
    network.store.source_lost(two, network.now, network.now);
    network.report(two, &[site]);
    network.wait(40);
    network.wait(40);
    assert_eq!(network.store.source_id("two"), Some(two), "it says that the site is there");
}
