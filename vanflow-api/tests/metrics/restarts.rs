//! Counters over restarts: they come to what those of a collector come to that was there all the time.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};
use vanflow_api::ApiOptions;
use vanflow_proto::{Attribute, RecordKind, SourceType, Timestamp, UpdateBuf};
use vanflow_store::{SourceId, Store, StoreOptions};

use crate::support::{EPOCH, Fixture, apply, ends_of_a_service, service};

const SECOND: u64 = 1_000_000;

/// A collector that has heard of its source before any connection began.
struct Collector {
    fixture: Fixture,
    source: SourceId,
}

impl Collector {
    fn new(now: u64) -> Self {
        let mut store = Store::new(StoreOptions::default());
        let at = Timestamp::from_micros(EPOCH);
        let source = store.source_seen("gv_ZW:0", SourceType::Router, at);
        apply(&mut store, source, &service("shop", 0, 0), at);
        apply(&mut store, source, &ends_of_a_service(), at);
        store.advance(Timestamp::from_micros(EPOCH + now * SECOND));
        let mut options = ApiOptions::default();
        options.metrics.zero_for = std::time::Duration::ZERO;
        Self { fixture: Fixture::with_options(store, options), source }
    }

    fn report(&mut self, updates: &[UpdateBuf], second: u64) {
        let now = Timestamp::from_micros(EPOCH + second * SECOND);
        let mut store = self.fixture.publisher.write();
        apply(&mut store, self.source, updates, now);
        store.advance(now);
        drop(store);
        self.fixture.publisher.publish();
    }

    /// Counters, and parts of histograms that only grow, by series.
    fn counters(&self) -> BTreeMap<String, f64> {
        let answer = self.fixture.get("/metrics");
        let is_counter = |name: &str| {
            name.starts_with("skupper_") && name.ends_with("_total")
                || name.starts_with("legacy_") && name.ends_with("_bucket")
                || name.ends_with("_latency_seconds_bucket")
        };
        let lines = answer.text().lines().filter(|line| !line.starts_with('#'));
        let series = lines.filter_map(|line| line.rsplit_once(' '));
        let its = series.filter(|(series, _)| is_counter(series.split('{').next().unwrap_or_default()));
        its.map(|(series, value)| (series.to_owned(), value.parse().unwrap())).collect()
    }
}

/// When it starts, how long it lasts, in seconds, and how many octets it has in each of them; and how many seconds there
/// are from one of its requests to the next, each of which lasts for one.
#[derive(Clone, Debug)]
struct Flow {
    start: u64,
    lasts: u64,
    octets: u64,
    fails: bool,
    pace: u64,
}

const LENGTH: u64 = 120;

fn any_flow() -> impl Strategy<Value = Flow> {
    (1..LENGTH, 1..60_u64, 0..9_u64, any::<bool>(), 2..9_u64)
        .prop_map(|(start, lasts, octets, fails, pace)| Flow { start, lasts, octets, fails, pace })
}

/// What a router says of a connection at that time, if it says anything; all of it where it is asked for that.
fn said(id: usize, flow: &Flow, second: u64, is_asked: bool) -> Option<UpdateBuf> {
    let end = flow.start + flow.lasts;
    let is_there = (flow.start..=end).contains(&second);
    if !is_there || is_asked && second == end {
        return None;
    }
    let at = |second: u64| EPOCH + second * SECOND;
    let mut update = UpdateBuf::new(RecordKind::BiflowTport, format!("gv_ZW:{}", 100 + id));
    if second == flow.start || is_asked {
        update = update
            .with(Attribute::StartTime, at(flow.start))
            .with(Attribute::Parent, "gv_ZW:1")
            .with(Attribute::SourceHost, "10.0.1.0")
            .with(Attribute::Connector, "gv_ZW:2")
            .with(Attribute::Latency, 700);
    }
    update = update.with(Attribute::Octets, flow.octets * (second - flow.start));
    if second == end {
        update = update.with(Attribute::EndTime, at(end));
        if flow.fails {
            update = update.with(Attribute::ErrorConnectorSide, "connection refused");
        }
    }
    Some(update)
}

/// What a router says of a request of it that ends at that time.
fn asked(id: usize, flow: &Flow, second: u64) -> Option<UpdateBuf> {
    let passed = second.checked_sub(flow.start).filter(|passed| (1..=flow.lasts).contains(passed))?;
    let at = |second: u64| EPOCH + second * SECOND;
    passed.is_multiple_of(flow.pace).then(|| {
        UpdateBuf::new(RecordKind::BiflowApp, format!("gv_ZW:{}", 1000 * (id as u64 + 1) + second))
            .with(Attribute::Parent, format!("gv_ZW:{}", 100 + id))
            .with(Attribute::StartTime, at(second - 1))
            .with(Attribute::EndTime, at(second))
            .with(Attribute::Protocol, "HTTP/1.1")
            .with(Attribute::Method, "GET")
            .with(Attribute::Result, "200")
            .with(Attribute::Latency, 900)
    })
}

/// All that a router says at that time.
fn news(flows: &[Flow], second: u64) -> Vec<UpdateBuf> {
    let each = flows.iter().enumerate();
    each.flat_map(|(id, flow)| [said(id, flow, second, false), asked(id, flow, second)]).flatten().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn counters_go_on_over_restarts_and_count_nothing_twice(
        flows in vec(any_flow(), 1..20),
        mut restarts in vec((1..LENGTH, any::<bool>()), 0..4),
        looks in vec(1..LENGTH, 0..6),
    ) {
        restarts.sort_unstable();
        let [mut always, mut again] = [Collector::new(0), Collector::new(0)];
        // All that the one that starts again was told, for a state that brings it back.
        let mut told: Vec<(Vec<UpdateBuf>, u64)> = Vec::new();
        let mut before: BTreeMap<String, f64> = BTreeMap::new();
        for second in 1..=LENGTH + 60 {
            let updates = news(&flows, second);
            for collector in [&mut always, &mut again] {
                collector.report(&updates, second);
            }
            told.push((updates, second));
            for (_, has_state) in restarts.iter().filter(|(at, _)| *at == second) {
                let octets = again.fixture.api.save_counters();
                again = Collector::new(second);
                again.fixture.api.restore_counters(&octets).unwrap();
                if *has_state {
                    told.iter().for_each(|(updates, at)| again.report(updates, *at));
                } else {
                    let open: Vec<_> =
                        flows.iter().enumerate().filter_map(|(id, flow)| said(id, flow, second, true)).collect();
                    again.report(&open, second);
                    told = vec![(open, second)];
                }
            }
            if looks.contains(&second) || second % 50 == 0 {
                let (expected, found) = (always.counters(), again.counters());
                for (series, value) in &found {
                    prop_assert!(*value >= before.get(series).copied().unwrap_or(0.0), "{} fell", series);
                    prop_assert!(expected.get(series).is_some_and(|expected| value <= expected), "{} {}", series, value);
                }
                before.extend(found);
            }
        }
        let (expected, found) = (always.counters(), again.counters());
        // What nothing was counted of any more after a restart is not there yet.
        for (series, value) in &found {
            prop_assert_eq!(Some(value), expected.get(series), "{}", series);
        }
        let counts = |series: &BTreeMap<String, f64>| series.keys().filter(|name| name.contains("opened")).count();
        if flows.iter().any(|flow| restarts.last().is_none_or(|(last, _)| flow.start > *last)) {
            prop_assert_eq!(counts(&found), counts(&expected));
        }
    }
}

#[test]
fn what_is_not_all_of_what_was_kept_of_counters_is_refused() {
    let collector = Collector::new(0);
    let octets = collector.fixture.api.save_counters();
    let other_version = b"{\"Version\":2}\n\"End\"";
    for damaged in [&octets[1..], &octets[..octets.len() - 2], b"{}", b"", other_version] {
        let refused = collector.fixture.api.restore_counters(damaged).unwrap_err();
        assert_eq!(refused.to_string(), "what was kept of counters is damaged, or of another version");
    }
    collector.fixture.api.restore_counters(&octets).unwrap();
}
