//! Connections that return after their router was silent for longer than the retention (faults 28).

use proptest::prelude::*;
use vanflow_proto::{Attribute, RecordKind, UpdateBuf};
use vanflow_store::{Connection, SourceId};

use crate::support::{Network, change, find};

/// What lanes have come to, those too that are still there without a connection: opened, closed, octets there and back,
/// latencies.
fn totals(network: &Network) -> [u64; 5] {
    let mut sum = [0; 5];
    for lane in network.snapshot().lanes() {
        let totals = lane.totals();
        let latencies = totals.latency().count();
        let of_lane = [totals.opened(), totals.closed(), totals.octets(), totals.octets_reverse(), latencies];
        sum.iter_mut().zip(of_lane).for_each(|(sum, count)| *sum += count);
    }
    sum
}

fn connection(network: &Network, octets: u64) -> UpdateBuf {
    network
        .connection("west:10")
        .with(Attribute::Octets, octets)
        .with(Attribute::OctetsReverse, 2 * octets)
        .with(Attribute::Latency, 1500)
        .with(Attribute::ProcessLatency, 900)
}

/// A connection that was evicted in the silence of its router, and its last report before.
fn evicted() -> (Network, SourceId, UpdateBuf) {
    let mut network = Network::with_retention(60);
    let west = network.west();
    let report = connection(&network, 1000);
    network.report(west, std::slice::from_ref(&report));
    silent(&mut network, west);
    assert!(network.snapshot().find("west:10").next().is_none());
    // Their lanes are there for another minute; then what happens next is all that there is.
    network.wait(61);
    network.wait(1);
    assert_eq!(totals(&network), [0; 5]);
    (network, west, report)
}

fn silent(network: &mut Network, west: SourceId) {
    network.store.source_lost(west, network.now, network.now);
    for _ in 0..4 {
        network.wait(31);
    }
}

#[test]
fn a_connection_that_returns_adds_what_it_grew_by() {
    let (mut network, _, report) = evicted();
    let west = network.west();
    network.report(west, &[report.with(Attribute::Octets, 5000)]);
    assert_eq!(totals(&network), [0, 0, 4000, 0, 0]);
    let more = change(RecordKind::BiflowTport, "west:10")
        .with(Attribute::Octets, 6000)
        .with(Attribute::OctetsReverse, 2010)
        .with(Attribute::EndTime, network.now);
    network.report(west, &[more]);
    assert_eq!(totals(&network), [0, 0, 5000, 10, 0]);
    let snapshot = network.snapshot();
    let returned = find(&snapshot, "west:10");
    assert_eq!(returned.uint(Attribute::Octets), Some(6000), "the record has all of it");
    let contribution = Connection::new(returned).expect("it is a connection").contribution();
    assert!(!contribution.is_opened && !contribution.is_closed, "it was both before");
    assert_eq!((contribution.octets, contribution.octets_reverse, contribution.latencies), (5000, 10, None));
}

#[test]
fn a_connection_may_return_again_and_again() {
    let (mut network, _, report) = evicted();
    for round in 2..5 {
        let west = network.west();
        network.report(west, &[report.clone().with(Attribute::Octets, 1000 * round)]);
        let found = totals(&network);
        assert_eq!((found[0], found[2]), (0, 1000), "{round}: what it grew by since it was evicted last");
        silent(&mut network, west);
        network.wait(61);
        network.wait(1);
        assert_eq!(totals(&network), [0; 5]);
    }
}

#[test]
fn a_latency_that_becomes_known_after_the_return_counts() {
    let mut network = Network::with_retention(60);
    let west = network.west();
    let report = network.connection("west:10").with(Attribute::Latency, 1500);
    network.report(west, std::slice::from_ref(&report));
    silent(&mut network, west);
    let west = network.west();
    network.report(west, &[report.with(Attribute::ProcessLatency, 900)]);
    assert_eq!(totals(&network)[4], 1);
}

#[test]
fn a_connection_that_returns_with_another_start_is_another() {
    // faults 6
    for starts_late in [false, true] {
        let (mut network, _, _) = evicted();
        let west = network.west();
        let report = connection(&network, 1200);
        if starts_late {
            let half = change(RecordKind::BiflowTport, "west:10")
                .with(Attribute::Parent, "west:1")
                .with(Attribute::Octets, 1200);
            network.report(west, &[half]);
            assert_eq!(totals(&network), [0, 0, 200, 0, 0], "until a start is known it is the same");
        }
        network.report(west, &[report]);
        assert_eq!(totals(&network), [1, 0, 1200, 2400, 1], "{starts_late}");
    }
}

#[test]
fn what_a_restarted_router_reports_by_the_same_ids_counts_wholly() {
    // faults 6
    let (mut network, west, report) = evicted();
    network.store.source_seen("west:0", vanflow_proto::SourceType::Router, network.now);
    network.store.source_restarted(west, network.now);
    network.west();
    network.report(west, &[report]);
    assert_eq!(totals(&network)[..3], [1, 0, 1000]);
}

#[test]
fn a_connection_that_ended_by_its_routers_word_does_not_return() {
    let mut network = Network::with_retention(60);
    let west = network.west();
    let report = connection(&network, 1000);
    network.report(west, &[report.clone().with(Attribute::EndTime, network.now)]);
    for _ in 0..5 {
        network.wait(31);
    }
    network.report(west, &[report]);
    assert_eq!(totals(&network)[..3], [1, 0, 1000], "it came again after it left, and counts again");
}

#[test]
fn the_connections_that_are_remembered_are_bounded() {
    let mut network = Network::with_retention(60);
    let west = network.west();
    let connection = |network: &Network, number: u64| {
        network.connection(&format!("west:{}", 10 + number)).with(Attribute::Octets, 100)
    };
    let reports: Vec<_> = (0..20_001).map(|number| connection(&network, number)).collect();
    network.report(west, &reports);
    silent(&mut network, west);
    network.wait(61);
    network.wait(1);
    let memory = network.store.stats().memory;
    let west = network.west();
    network.report(west, &reports);
    assert_eq!(totals(&network)[..3], [1, 0, 100], "the one that was evicted first counts anew");
    assert!(memory < 20_000 * 300, "{memory}");
}

proptest! {
    #[test]
    fn however_often_a_router_is_lost_its_connections_are_counted_once(
        rounds in prop::collection::vec((0_u64..1000, prop_oneof![Just(1_u64), Just(40), Just(90), Just(300)]), 1..8),
    ) {
        let mut network = Network::with_retention(60);
        network.west();
        // Another connection keeps the lane, and with it all that was ever counted.
        let other = network.router("other:0");
        let stays = network.connection("other:1");
        network.report(other, std::slice::from_ref(&stays));
        let mut report = network.connection("west:10");
        let mut octets = 0;
        for (more, silence) in rounds {
            octets += more;
            let west = network.router("west:0");
            report = report.with(Attribute::Octets, octets);
            network.report(west, std::slice::from_ref(&report));
            let found = totals(&network);
            prop_assert_eq!((found[0], found[2]), (2, octets));
            network.store.source_lost(west, network.now, network.now);
            for _ in 0..silence {
                network.wait(1);
            }
        }
        let end = report.with(Attribute::EndTime, network.now);
        let west = network.router("west:0");
        network.report(west, &[end]);
        prop_assert_eq!(totals(&network), [2, 1, octets, 0, 0]);
    }
}
