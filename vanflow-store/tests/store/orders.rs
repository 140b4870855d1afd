//! Orders of connections and requests: what a sort would give, whatever happens.

use proptest::prelude::*;
use vanflow_proto::{Attribute, RecordKind, Timestamp, UpdateBuf};
use vanflow_store::{FlowKind, Record, RecordRef, Snapshot};

use crate::support::{Network, SECOND, change};

/// Ids that look alike: those that count, some with a scope that is the beginning of another's, and some that do not
/// count at all.
fn id() -> impl Strategy<Value = String> {
    prop_oneof!["a:[0-9]{1,3}", "a:5:[0-9]{1,2}", "a", "ab?:0?[1-9]", "a:5[x0-9]?", "b:[0-9]{1,13}"]
}

/// What can happen to a store.
#[derive(Clone, Debug)]
enum Event {
    Reported(UpdateBuf),
    Lost,
    Restarted,
    Waited(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let reported = (id(), any::<bool>(), prop::option::of(1_u64..5), prop::option::weighted(0.5, 1_u64..9));
    prop_oneof![
        30 => reported.prop_map(|(id, is_request, start, end)| {
            let mut update = change(if is_request { RecordKind::BiflowApp } else { RecordKind::BiflowTport }, &id);
            for (attribute, value) in [(Attribute::StartTime, start), (Attribute::EndTime, end)] {
                if let Some(value) = value {
                    update = update.with(attribute, value);
                }
            }
            Event::Reported(update)
        }),
        1 => Just(Event::Lost),
        1 => Just(Event::Restarted),
        2 => prop_oneof![Just(1), Just(40)].prop_map(Event::Waited),
    ]
}

fn check(snapshot: &Snapshot) -> Result<(), TestCaseError> {
    for kind in [FlowKind::Connection, FlowKind::Request] {
        let all: Vec<_> = snapshot.flows(kind).collect();
        let live = all.iter().filter(|record| record.is_live()).count();
        prop_assert_eq!(
            (snapshot.live_flow_count(kind), snapshot.retained_flow_count(kind)),
            (live, all.len())
        );

        let mut by_id: Vec<_> = all.iter().map(|record| (record.id().to_string(), record.at())).collect();
        by_id.sort();
        let order = snapshot.by_identity(kind);
        prop_assert_eq!((order.len(), order.is_empty()), (by_id.len(), by_id.is_empty()));
        let listed = |records: Vec<Record<'_>>| -> Vec<_> {
            records.iter().map(|record| (record.id().to_string(), record.at())).collect()
        };
        prop_assert_eq!(&listed(order.range(0..usize::MAX).collect()), &by_id);
        for probe in ["", "a", "a:5", "a:5:1", "a:50", "a:6", "b:10", "z"] {
            let rank = by_id.iter().filter(|(id, _)| **id < *probe).count();
            prop_assert_eq!(order.rank(probe), rank, "{:?}", probe);
            prop_assert_eq!(
                &listed(order.range(rank..rank + 3).collect())[..],
                &by_id[rank..by_id.len().min(rank + 3)]
            );
        }

        let ends = all.iter().filter_map(|record| Some((record.end()?, record.at())));
        let mut by_end: Vec<(Timestamp, RecordRef)> = ends.collect();
        by_end.sort();
        let order = snapshot.ended_by_time(kind);
        let backward: Vec<_> = order
            .range(0..usize::MAX)
            .rev()
            .map(|record| (record.end().expect("it ended"), record.at()))
            .collect();
        prop_assert_eq!((order.len(), order.is_empty()), (by_end.len(), by_end.is_empty()));
        prop_assert!(backward.iter().rev().eq(&by_end));
        for probe in 0..10 {
            let probe = Timestamp::from_micros(probe);
            prop_assert_eq!(order.rank(probe), by_end.iter().filter(|(end, _)| *end < probe).count());
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn the_orders_are_what_a_sort_gives_whatever_happens(events in prop::collection::vec(event(), 1..60)) {
        let mut network = Network::with_retention(30);
        let source = network.router("a:0");
        for event in events {
            match event {
                Event::Reported(update) => network.report(source, &[update]),
                Event::Lost => network.store.source_lost(source, Timestamp::from_micros(7), network.now),
                Event::Restarted => network.store.source_restarted(source, network.now),
                Event::Waited(seconds) => network.wait(seconds),
            }
            check(&network.snapshot())?;
        }
    }
}

#[test]
fn long_orders_are_those_of_a_sort_too_and_a_page_of_them_is_found_by_position() {
    let mut network = Network::with_retention(300);
    let west = network.west();
    for round in 0..30 {
        let connections: Vec<_> = (0..100_u64)
            .map(|number| {
                let connection = network.connection(&format!("west:{}", 5 + round * 100 + number));
                if number % 3 == 0 {
                    connection
                } else {
                    connection.with(Attribute::EndTime, network.now.plus_micros(number))
                }
            })
            .collect();
        network.report(west, &connections);
        network.wait(30);
        check(&network.snapshot()).expect("the orders are right");
    }
    let snapshot = network.snapshot();
    let order = snapshot.by_identity(FlowKind::Connection);
    let position = order.rank("west:2000");
    let page: Vec<_> = order.range(position..position + 2).map(|record| record.id().to_string()).collect();
    assert_eq!(page, ["west:2001", "west:2004"], "the others have left");
    let ends = snapshot.ended_by_time(FlowKind::Connection);
    let since = ends.rank(Timestamp::from_micros(network.now.as_micros() - 90 * SECOND));
    assert_eq!(ends.len() - since, 3 * 66);
}

#[test]
fn orders_say_how_long_they_are() {
    let mut network = Network::new();
    let west = network.west();
    let connections = ["west:5", "west:6"].map(|id| network.connection(id));
    network.report(west, &connections);
    let end = change(RecordKind::BiflowTport, "west:5").with(Attribute::EndTime, network.now);
    network.report(west, &[end]);
    let snapshot = network.snapshot();
    let kind = FlowKind::Connection;
    assert_eq!(format!("{:?}", snapshot.ended_by_time(kind)), "EndedByTime { len: 1, .. }");
    assert_eq!(format!("{:?}", snapshot.by_identity(kind)), "ByIdentity { len: 2, .. }");
}
