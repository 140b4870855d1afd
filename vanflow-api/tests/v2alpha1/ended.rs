//! What ended, as it is given to those who keep it.

use std::ops::Range;

use vanflow_api::{Due, Opened, history_tables as tables};
use vanflow_history::rows::{Row, Value};
use vanflow_proto::{Attribute, RecordKind, Timestamp, UpdateBuf};

use super::past::{Collector, Flow, Kept, ended, updates};
use crate::support::EPOCH;

#[test]
fn what_was_kept_before_a_restart_is_not_kept_again() {
    let mut before = Collector::new(100, Kept::default());
    for second in 0..30 {
        before.report(&updates(&[ended(1), ended(12)], second), second);
    }
    assert_eq!(before.kept.rows.lock().unwrap().len(), 4);
    // What the process before it held comes back, and the next one ends.
    let mut after = Collector::new(100, Kept::default());
    for (table, row) in &*before.kept.rows.lock().unwrap() {
        after.ended.skip(tables()[*table].key(row));
    }
    for second in 0..60 {
        after.report(&updates(&[ended(1), ended(12), ended(40)], second), second);
    }
    assert_eq!(after.kept.rows.lock().unwrap().len(), 2);
    assert_eq!(after.ended.missed(), 0);
}

#[test]
fn what_ends_last_is_kept_when_there_is_no_more_time() {
    let mut collector = Collector::new(100, Kept::default());
    for second in 0..=6 {
        collector.report(&updates(&[ended(1)], second), second);
    }
    assert_eq!(collector.kept.rows.lock().unwrap().len(), 0);
    assert_eq!(collector.take(Due::All).len(), 2);
}

/// More than are given at a time, with a request each: 6,000 rows.
fn many(start: u64) -> Vec<Flow> {
    vec![ended(start); 3000]
}

fn report(collector: &mut Collector, flows: &[Flow], seconds: Range<u64>) {
    seconds.for_each(|second| collector.report_alone(&updates(flows, second), second));
}

#[test]
fn what_ended_at_once_comes_in_parts_each_once() {
    let mut collector = Collector::new(100, Kept::default());
    let flows = [many(1), many(2)].concat();
    report(&mut collector, &flows, 0..7);
    let take = |collector: &mut Collector, due| {
        let rows = collector.fixture.api.take_ended(&mut collector.ended, due);
        assert!(rows.len() <= 2048, "{} rows at a time", rows.len());
        rows
    };
    assert!(take(&mut collector, Due::Settled).is_empty(), "more can be reported of them");
    let mut rows = take(&mut collector, Due::Settled);
    assert_eq!(rows.len(), 2048);
    // What ends meanwhile waits for its turn, as more can be reported of it, too.
    report(&mut collector, &flows, 7..8);
    rows.extend(take(&mut collector, Due::Settled));
    rows.extend(take(&mut collector, Due::Settled));
    assert_eq!(rows.len(), 6000);
    assert!(take(&mut collector, Due::Settled).is_empty());
    assert!(take(&mut collector, Due::Settled).is_empty(), "that was the turn before theirs");
    rows.extend(collector.take(Due::Settled));
    assert_eq!(rows.len(), 12_000);
    let mut keys: Vec<_> = rows.iter().map(|(table, row)| tables()[*table].key(row)).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!((keys.len(), collector.ended.missed()), (12_000, 0));
}

#[test]
fn what_began_and_what_is_open_come_in_parts_each_once() {
    const SECOND: u64 = 1_000_000;
    let mut collector = Collector::new(100, Kept::default());
    let flows = vec![Flow { lasts: 60, ..ended(1) }; 3000];
    let mut opened = Opened::new(Some(10 * SECOND));
    let mut take = |collector: &Collector, second: u64| {
        let mut rows = (Vec::new(), Vec::new());
        loop {
            let now = Timestamp::from_micros(EPOCH + second * SECOND);
            let (began, open) = collector.fixture.api.take_opened(&mut opened, Due::Settled, now);
            assert!(began.len() <= 2048 && open.len() <= 2048);
            if began.is_empty() && open.is_empty() {
                return (rows.0.len(), rows.1.len());
            }
            rows.0.extend(began);
            rows.1.extend(open);
        }
    };
    report(&mut collector, &flows, 0..2);
    let counts = [1, 2, 3, 11, 12, 13, 22, 23].map(|second| take(&collector, second));
    let [nothing, open] = [(0, 0), (0, 6000)];
    assert_eq!(counts, [nothing, (6000, 0), nothing, nothing, open, nothing, open, nothing]);
}

/// faults 36
#[test]
fn what_cannot_be_kept_waits_for_as_long_as_it_is_held() {
    let mut collector = Collector::new(100, Kept::default());
    let flows = [many(1), many(60)].concat();
    for second in 0..70 {
        report(&mut collector, &flows, second..second + 1);
        collector.fixture.api.observe_ended(&mut collector.ended);
    }
    assert_eq!(collector.take(Due::Settled).len(), 12_000);
    assert_eq!(collector.ended.missed(), 0);

    let mut collector = Collector::new(30, Kept::default());
    for second in 0..70 {
        report(&mut collector, &flows, second..second + 1);
        collector.fixture.api.observe_ended(&mut collector.ended);
    }
    assert_eq!(collector.take(Due::Settled).len(), 6000);
    assert_eq!(collector.ended.missed(), 6000, "they were evicted meanwhile");
}

#[test]
fn what_ended_waits_for_the_other_router_of_its_connection() {
    let end = EPOCH + 2_000_000;
    let connection = |id: &str, connector: &str| {
        let connection = UpdateBuf::new(RecordKind::BiflowTport, id).with(Attribute::StartTime, EPOCH);
        connection.with(Attribute::Parent, "gv_ZW:1").with(Attribute::Connector, connector)
    };
    let request = UpdateBuf::new(RecordKind::BiflowApp, "gv_ZW:11")
        .with(Attribute::StartTime, EPOCH)
        .with(Attribute::Parent, "gv_ZW:10");
    let ended = [
        connection("gv_ZW:10", "gv_ZW:9").with(Attribute::EndTime, end),
        request.with(Attribute::EndTime, end),
        connection("gv_ZW:20", "gv_ZW:8").with(Attribute::EndTime, end),
    ];
    let connector = UpdateBuf::new(RecordKind::Connector, "gv_ZW:9")
        .with(Attribute::StartTime, EPOCH)
        .with(Attribute::Parent, "gv_ZW:0")
        .with(Attribute::Protocol, "tcp")
        .with(Attribute::VanAddress, "shop")
        .with(Attribute::DestHost, "10.0.0.1");
    let server = |(table, row): &(usize, Row)| {
        let column = tables()[*table].column("destProcessName").expect("it has one");
        match &row.values[column] {
            Value::Text(name) => name.to_string(),
            other => panic!("{other:?}"),
        }
    };
    let mut collector = Collector::new(100, Kept::default());
    let mut given = Vec::new();
    for second in 2..30 {
        match second {
            2 => collector.report_alone(&ended, second),
            7 => collector.report_alone(std::slice::from_ref(&connector), second),
            _ => collector.report_alone(&[], second),
        }
        let rows = collector.take(Due::Settled);
        given.extend(rows.iter().map(|row| (second, row.0, server(row))));
    }
    let catalog = "catalog".to_owned();
    assert_eq!(given, [(7, 0, catalog.clone()), (7, 1, catalog), (13, 0, "unknown".to_owned())]);
    assert_eq!(collector.ended.missed(), 0);

    // What is not held for as long is not lost.
    let mut collector = Collector::new(4, Kept::default());
    collector.report_alone(&ended, 2);
    let rows = (3..20).flat_map(|second| {
        collector.report_alone(&[], second);
        collector.take(Due::Settled)
    });
    assert_eq!(rows.count(), 3);
    assert_eq!(collector.ended.missed(), 0);

    let mut collector = Collector::new(100, Kept::default());
    collector.report_alone(&ended, 2);
    assert!(collector.take(Due::Settled).is_empty());
    collector.report_alone(&[], 3);
    assert!(collector.take(Due::Settled).is_empty());
    assert_eq!(collector.take(Due::All).len(), 3, "there is no more time");
}
