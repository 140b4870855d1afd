//! Connections that a router counted and never reported (faults 33).

use proptest::{collection::vec, prelude::*};
use vanflow_proto::{Attribute, RecordKind, Timestamp, UpdateBuf};
use vanflow_store::SourceId;

use crate::support::{Network, SECOND, change, find};

const LISTENER: &str = "west:1";

fn counter(count: u64) -> UpdateBuf {
    change(RecordKind::Listener, LISTENER).with(Attribute::FlowCountL4, count)
}

fn figures(network: &Network) -> (u64, Option<u64>) {
    let snapshot = network.snapshot();
    let listener = find(&snapshot, LISTENER);
    (listener.connections_received().expect("it is a listener"), listener.connections_never_reported())
}

fn open(network: &mut Network, west: SourceId, number: u64) {
    let connection = network.connection(&format!("west:{}", 10 + number));
    network.report(west, &[connection]);
}

#[test]
fn connections_that_are_counted_and_not_reported_are_known_within_a_minute() {
    let mut network = Network::new();
    let west = network.west();
    assert_eq!(figures(&network), (0, None), "its router does not count, as far as is known");
    network.report(west, &[counter(0)]);
    (0..7).for_each(|number| open(&mut network, west, number));
    network.report(west, &[counter(10)]);
    network.wait(29);
    assert_eq!(figures(&network), (7, Some(0)), "they may be on their way");
    let before = network.store.revision();
    (0..31).for_each(|_| network.wait(1));
    assert_eq!(figures(&network), (7, Some(3)));
    assert!(network.store.revision() > before, "that is a change");
    // One comes after all: what was said is not taken back.
    open(&mut network, west, 8);
    network.report(west, &[counter(11)]);
    network.wait(60);
    assert_eq!(figures(&network), (8, Some(3)));
}

#[test]
fn what_a_router_counted_before_it_was_known_is_left_out() {
    let mut network = Network::new();
    let west = network.west();
    let old = network.now;
    network.wait(600);
    // Its answer to FLUSH has what lives, in any order.
    let lives = |number: u64| {
        UpdateBuf::new(RecordKind::BiflowTport, format!("west:{number}"))
            .with(Attribute::StartTime, old)
            .with(Attribute::Parent, LISTENER)
    };
    network.report(west, &[lives(10), lives(11), counter(1000), lives(12), lives(13)]);
    network.wait(60);
    assert_eq!(figures(&network), (4, Some(0)));
    open(&mut network, west, 20);
    network.report(west, &[counter(1002)]);
    network.wait(60);
    assert_eq!(
        figures(&network),
        (5, Some(1)),
        "those that lived before do not stand for one that does not come"
    );
}

#[test]
fn what_was_received_counts_when_it_has_left() {
    let mut network = Network::with_retention(1);
    let west = network.west();
    network.report(west, &[counter(0)]);
    for number in 0..20 {
        open(&mut network, west, number);
        let end = change(RecordKind::BiflowTport, &format!("west:{}", 10 + number));
        network.report(west, &[end.with(Attribute::EndTime, network.now)]);
        network.wait(3);
        network.report(west, &[counter(number + 1)]);
    }
    network.wait(90);
    assert_eq!(network.snapshot().of_kind(RecordKind::BiflowTport).count(), 0);
    assert_eq!(figures(&network), (20, Some(0)));
}

#[test]
fn a_router_that_restarts_begins_anew() {
    // faults 6
    let mut network = Network::new();
    let west = network.west();
    network.report(west, &[counter(0), counter(5)]);
    network.wait(10);
    network.store.source_restarted(west, network.now);
    let west = network.west();
    network.report(west, &[counter(0)]);
    open(&mut network, west, 0);
    network.report(west, &[counter(1)]);
    network.wait(90);
    assert_eq!(figures(&network), (1, Some(0)));
}

#[test]
fn what_a_former_run_held_is_no_growth() {
    // faults 22: nobody knows what was opened and closed meanwhile, and it is not said to be missing.
    let mut network = Network::new();
    let west = network.router("west:0");
    let listener = network.started(RecordKind::Listener, LISTENER, "west:0");
    let started = network.now;
    network.store.restore(west, &listener.clone().with(Attribute::FlowCountL4, 50), None);
    let connection = network.connection("west:10");
    network.store.restore(west, &connection, None);
    network.wait(300);
    let listener = UpdateBuf::new(RecordKind::Listener, LISTENER)
        .with(Attribute::StartTime, started)
        .with(Attribute::FlowCountL4, 90);
    network.report(west, &[listener, connection]);
    open(&mut network, west, 1);
    network.report(west, &[counter(91)]);
    network.wait(60);
    assert_eq!(figures(&network), (2, Some(0)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Connections whose records come up to six seconds late or never, a counter that comes every few seconds, and a
    /// clock that is out.
    #[test]
    fn never_more_are_missing_than_were_lost_and_in_the_end_all(
        opened in vec((0_u64..200, 0_u64..7, prop::bool::weighted(0.1)), 1..200),
        every in 1_u64..6,
        clock in -400_i64..400,
    ) {
        let mut network = Network::new();
        let west = network.west();
        let theirs = |now: Timestamp| Timestamp::from_micros(now.as_micros().saturating_add_signed(clock * SECOND as i64));
        network.store.heartbeat(west, theirs(network.now), network.now);
        network.report(west, &[counter(0)]);
        let start = network.now;
        for second in 0..220_u64 {
            for (number, (opens, late, is_lost)) in opened.iter().enumerate() {
                if !is_lost && opens + late == second {
                    let begun = theirs(start.plus_micros(opens * SECOND));
                    let connection = UpdateBuf::new(RecordKind::BiflowTport, format!("west:{}", 10 + number))
                        .with(Attribute::StartTime, begun)
                        .with(Attribute::Parent, LISTENER);
                    network.report(west, &[connection]);
                }
            }
            if second % every == 0 {
                let count = opened.iter().filter(|(opens, ..)| *opens <= second).count();
                network.report(west, &[counter(count as u64)]);
            }
            let lost = opened.iter().filter(|(opens, _, is_lost)| *is_lost && *opens <= second).count();
            prop_assert!(figures(&network).1 <= Some(lost as u64), "at {second}");
            network.wait(1);
        }
        network.wait(100);
        let lost = opened.iter().filter(|(.., is_lost)| *is_lost).count();
        prop_assert_eq!(figures(&network).1, Some(lost as u64));
    }
}
