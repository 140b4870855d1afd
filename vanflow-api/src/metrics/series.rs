//! One label set, and what was counted by it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::metrics::{
    ends::{Ends, PROTOCOL, Values, named, swapped},
    exposition::Histogram,
    growth::{Counted, FailureKey, Observed, RequestKey, take_growth},
    labels::LabelSet,
    saved::SavedSeries,
    table::{MICROSECONDS, SECONDS},
};

/// Connections with one label set.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) values: Values,
    pub(super) labels: LabelSet,
    /// The processes at its ends, for as long as they are reported.
    pub(super) ends: Ends,
    pub(super) birth: Birth,
    pub(super) lanes: usize,
    /// Those of them that have no connection any more.
    pub(super) drained: usize,
    /// Connections that were opened here and are in a lane of another series, or the reverse.
    pub(super) carried: usize,
    pub(super) pending: Counted,
    pub(super) opened: u64,
    pub(super) closed: u64,
    pub(super) octets: u64,
    pub(super) octets_reverse: u64,
    pub(super) requests: BTreeMap<RequestKey, Tally>,
    pub(super) failures: BTreeMap<FailureKey, Tally>,
    pub(super) latencies: Option<Box<Latencies>>,
}

/// How often something happened, with the labels that distinguish it.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) labels: LabelSet,
    pub(super) birth: Birth,
    pub(super) count: u64,
}

impl Tally {
    fn new(labels: LabelSet, birth: Birth) -> Self {
        Self { labels, birth, count: 0 }
    }
}

#[derive(Debug)]
pub(super) struct Latencies {
    pub(super) birth: Birth,
    pub(super) incoming: (LabelSet, Arc<Histogram>),
    pub(super) outgoing: (LabelSet, Arc<Histogram>),
    pub(super) internal: Arc<Histogram>,
}

/// Since when something is counted, if it has to be 0 at first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Birth(pub(super) Option<Instant>);

impl Birth {
    pub(super) fn is_recent(self, now: Instant, zero_for: Duration) -> bool {
        self.0.is_some_and(|at| now.duration_since(at) < zero_for)
    }

    /// Of what goes on under another label set: what was seen to be more than 0 is so at once.
    pub(super) fn again(self, now: Instant, zero_for: Duration) -> Self {
        Self(self.is_recent(now, zero_for).then_some(now))
    }
}

impl Series {
    pub(super) fn new(values: Values, labels: LabelSet, birth: Birth) -> Self {
        Self {
            values,
            labels,
            ends: [None, None],
            birth,
            lanes: 0,
            drained: 0,
            carried: 0,
            pending: Counted::default(),
            opened: 0,
            closed: 0,
            octets: 0,
            octets_reverse: 0,
            requests: BTreeMap::new(),
            failures: BTreeMap::new(),
            latencies: None,
        }
    }

    /// Adds what is pending, but for what is less than before, and what services count. Answers since when what is new
    /// has been counted.
    pub(super) fn settle(&mut self, identity: &LabelSet, now: Instant) -> Birth {
        let is_first = self.opened == 0;
        let pending = &mut self.pending;
        self.opened += take_growth(&mut pending.opened);
        self.closed += take_growth(&mut pending.closed);
        self.octets += take_growth(&mut pending.octets);
        self.octets_reverse += take_growth(&mut pending.octets_reverse);
        // What comes with the series is as old as the series.
        let is_as_old = self.birth.0 == Some(now) || (self.birth.0.is_none() && is_first);
        let birth = if is_as_old { self.birth } else { Birth(Some(now)) };
        let values = &self.values;
        for (key, pending) in pending.requests.iter_mut().filter(|(_, pending)| **pending > 0) {
            let requests = self.requests.entry(key.clone());
            let requests =
                requests.or_insert_with_key(|key| Tally::new(request_labels(identity, values, key), birth));
            requests.count += take_growth(pending);
        }
        pending.requests.retain(|_, pending| *pending != 0);
        for (key, pending) in pending.failures.iter_mut().filter(|(_, pending)| **pending > 0) {
            let failures = self.failures.entry(*key);
            let failures =
                failures.or_insert_with_key(|key| Tally::new(failure_labels(identity, values, *key), birth));
            failures.count += take_growth(pending);
        }
        pending.failures.retain(|_, pending| *pending != 0);
        let has_grown = |pending: &[Observed; 3]| pending[0].counts.iter().any(|count| *count > 0);
        let Some(observed) = pending.latencies.as_mut().filter(|observed| has_grown(observed)) else {
            return birth;
        };
        let latencies =
            self.latencies.get_or_insert_with(|| Box::new(Latencies::new(identity, values, birth)));
        let [latency, reverse, internal] = &mut **observed;
        latency.move_to(&mut latencies.incoming.1, 1.0, false);
        reverse.move_to(&mut latencies.outgoing.1, 1.0, false);
        internal.move_to(&mut latencies.internal, 1e6, true);
        pending.latencies.take_if(|observed| observed.iter().all(Observed::is_nothing));
        birth
    }

    /// Adds what another series counted, which is no more.
    pub(super) fn absorb(&mut self, other: Self, identity: &LabelSet, now: Instant) {
        self.lanes += other.lanes;
        self.drained += other.drained;
        self.carried += other.carried;
        self.pending.add(&other.pending, &Counted::default());
        self.opened += other.opened;
        self.closed += other.closed;
        self.octets += other.octets;
        self.octets_reverse += other.octets_reverse;
        let (values, birth) = (&self.values, Birth(Some(now)));
        for (key, theirs) in other.requests {
            let requests = self.requests.entry(key);
            let requests =
                requests.or_insert_with_key(|key| Tally::new(request_labels(identity, values, key), birth));
            requests.count += theirs.count;
        }
        for (key, theirs) in other.failures {
            let failures = self.failures.entry(key);
            let failures =
                failures.or_insert_with_key(|key| Tally::new(failure_labels(identity, values, *key), birth));
            failures.count += theirs.count;
        }
        if let Some(theirs) = other.latencies {
            let ours =
                self.latencies.get_or_insert_with(|| Box::new(Latencies::new(identity, values, birth)));
            for (ours, theirs) in [
                (&mut ours.incoming.1, &theirs.incoming.1),
                (&mut ours.outgoing.1, &theirs.outgoing.1),
                (&mut ours.internal, &theirs.internal),
            ] {
                let ours = Arc::make_mut(ours);
                ours.counts.iter_mut().zip(&theirs.counts).for_each(|(ours, theirs)| *ours += theirs);
                ours.sum += theirs.sum;
            }
        }
    }

    /// Adds what a former process counted, which scrapers have seen.
    pub(super) fn restore(&mut self, saved: SavedSeries, identity: &LabelSet) {
        let seen = Birth(None);
        self.birth = seen;
        let counts = [&mut self.opened, &mut self.closed, &mut self.octets, &mut self.octets_reverse];
        counts.into_iter().zip(saved.counts).for_each(|(count, saved)| *count += saved);
        let values = &self.values;
        for (key, count) in saved.requests {
            let requests = self.requests.entry(key);
            let requests =
                requests.or_insert_with_key(|key| Tally::new(request_labels(identity, values, key), seen));
            requests.count += count;
            requests.birth = seen;
        }
        for (key, count) in saved.failures {
            let failures = self.failures.entry(key);
            let failures =
                failures.or_insert_with_key(|key| Tally::new(failure_labels(identity, values, *key), seen));
            failures.count += count;
            failures.birth = seen;
        }
        if let Some([incoming, outgoing, internal]) = saved.latencies {
            let latencies =
                self.latencies.get_or_insert_with(|| Box::new(Latencies::new(identity, values, seen)));
            latencies.birth = seen;
            Arc::make_mut(&mut latencies.incoming.1).restore(&incoming);
            Arc::make_mut(&mut latencies.outgoing.1).restore(&outgoing);
            Arc::make_mut(&mut latencies.internal).restore(&internal);
        }
    }

    /// What it came to, for the next process.
    pub(super) fn saved(&self) -> SavedSeries {
        let histogram = |histogram: &Arc<Histogram>| (histogram.counts.clone(), histogram.sum);
        SavedSeries {
            counts: [self.opened, self.closed, self.octets, self.octets_reverse],
            requests: self.requests.iter().map(|(key, tally)| (key.clone(), tally.count)).collect(),
            failures: self.failures.iter().map(|(key, tally)| (*key, tally.count)).collect(),
            latencies: self.latencies.as_ref().map(|latencies| {
                [&latencies.incoming.1, &latencies.outgoing.1, &latencies.internal].map(histogram)
            }),
        }
    }

    /// Goes on with other values.
    pub(super) fn begin_again(&mut self, identity: &LabelSet, now: Instant, zero_for: Duration) {
        self.birth = self.birth.again(now, zero_for);
        for (key, requests) in &mut self.requests {
            requests.labels = request_labels(identity, &self.values, key);
            requests.birth = requests.birth.again(now, zero_for);
        }
        for (key, failures) in &mut self.failures {
            failures.labels = failure_labels(identity, &self.values, *key);
            failures.birth = failures.birth.again(now, zero_for);
        }
        if let Some(latencies) = &mut self.latencies {
            let Latencies { incoming, outgoing, .. } =
                Latencies::new(identity, &self.values, latencies.birth);
            latencies.incoming.0 = incoming.0;
            latencies.outgoing.0 = outgoing.0;
            latencies.birth = latencies.birth.again(now, zero_for);
        }
    }
}

impl Latencies {
    pub(super) fn new(identity: &LabelSet, values: &Values, birth: Birth) -> Self {
        let empty = |bounds| Arc::new(Histogram::new(bounds));
        let labels =
            |values: &Values, direction| identity.with(named(values)).with([("direction", direction)]);
        Self {
            birth,
            incoming: (labels(values, "incoming"), empty(MICROSECONDS)),
            outgoing: (labels(&swapped(values), "outgoing"), empty(MICROSECONDS)),
            internal: empty(SECONDS),
        }
    }
}

fn request_labels(identity: &LabelSet, values: &Values, (protocol, method, code): &RequestKey) -> LabelSet {
    let mut values = values.clone();
    values[PROTOCOL].clone_from(protocol);
    identity.with(named(&values)).with([("method", *method), ("code", *code)])
}

fn failure_labels(identity: &LabelSet, values: &Values, (side, reason): FailureKey) -> LabelSet {
    identity.with(named(values)).with([("side", side.name()), ("reason", reason.name())])
}

#[cfg(test)]
mod tests {
    use vanflow_store::{FailureReason, FailureSide};

    use super::*;
    use crate::metrics::growth::FineObserved;

    fn identity() -> LabelSet {
        LabelSet::new([("instance", "test")])
    }

    fn key(method: &'static str) -> RequestKey {
        ("http1".to_owned(), method, "2xx")
    }

    const FAILURE: FailureKey = (FailureSide::Listener, FailureReason::ALL[0]);

    /// So many of everything are pending.
    fn pending(count: i64) -> Counted {
        let observed = |bounds: &[f64]| Observed { counts: vec![count; bounds.len() + 1], sum: count };
        Counted {
            opened: count,
            closed: 2 * count,
            octets: 3 * count,
            octets_reverse: 4 * count,
            requests: [(key("GET"), 5 * count)].into(),
            failures: [(FAILURE, 6 * count)].into(),
            latencies: Some(Box::new([observed(MICROSECONDS), observed(MICROSECONDS), observed(SECONDS)])),
            fine: [const { FineObserved { counts: BTreeMap::new(), sum: 0 } }; 3],
        }
    }

    fn series(count: i64, now: Instant) -> Series {
        let mut series =
            Series::new(std::array::from_fn(|at| format!("v{at}")), identity(), Birth(Some(now)));
        series.pending = pending(count);
        series.settle(&identity(), now);
        series
    }

    fn expected(count: u64) -> SavedSeries {
        let histogram = |bounds: &[f64], unit: f64| (vec![count; bounds.len() + 1], count as f64 / unit);
        SavedSeries {
            counts: [count, 2 * count, 3 * count, 4 * count],
            requests: vec![(key("GET"), 5 * count)],
            failures: vec![(FAILURE, 6 * count)],
            latencies: Some([
                histogram(MICROSECONDS, 1.0),
                histogram(MICROSECONDS, 1.0),
                histogram(SECONDS, 1e6),
            ]),
        }
    }

    #[test]
    fn what_is_pending_is_counted_once() {
        let now = Instant::now();
        let mut series = series(3, now);
        assert_eq!(series.saved(), expected(3));
        series.settle(&identity(), now);
        assert_eq!(series.saved(), expected(3));
    }

    #[test]
    fn a_series_that_takes_another_in_has_what_both_counted() {
        let now = Instant::now();
        let [mut one, mut other] = [3, 4].map(|count| series(count, now));
        (one.lanes, one.drained, one.carried, one.pending.opened) = (5, 2, 7, 1);
        (other.lanes, other.drained, other.carried, other.pending.opened) = (50, 20, 70, 10);
        one.absorb(other, &identity(), now);
        assert_eq!((one.lanes, one.drained, one.carried, one.pending.opened), (55, 22, 77, 11));
        let (mut found, mut expected) = (one.saved(), expected(7));
        let sums = |saved: &mut SavedSeries| {
            saved.latencies.as_mut().map(|all| all.each_mut().map(|(_, sum)| std::mem::take(sum)))
        };
        let (found_sums, expected_sums) = (sums(&mut found), sums(&mut expected));
        assert_eq!(found, expected);
        let close = |(one, other): (f64, f64)| (one - other).abs() < 1e-9;
        assert!(found_sums.into_iter().flatten().zip(expected_sums.into_iter().flatten()).all(close));
    }

    #[test]
    fn what_another_series_had_that_this_one_had_not_begins_with_that() {
        let now = Instant::now();
        let later = now + Duration::from_secs(9);
        let mut empty = Series::new(std::array::from_fn(|at| format!("w{at}")), identity(), Birth(Some(now)));
        empty.absorb(series(3, now), &identity(), later);
        assert_eq!(empty.saved(), expected(3));
        assert_eq!(empty.requests[&key("GET")].birth, Birth(Some(later)));
        assert_eq!(empty.failures[&FAILURE].birth, Birth(Some(later)));
        assert_eq!(empty.latencies.expect("it has some").birth, Birth(Some(later)));
    }

    #[test]
    fn what_a_former_process_counted_is_added_and_no_growth() {
        let now = Instant::now();
        for (before, all) in [(0, 4), (3, 7)] {
            let mut series = series(before, now);
            series.restore(series_of(4, now), &identity());
            let saved = series.saved();
            assert_eq!(saved.counts, expected(all).counts);
            assert_eq!((saved.requests, saved.failures), (expected(all).requests, expected(all).failures));
            let counts = |saved: SavedSeries| saved.latencies.map(|all| all.map(|(counts, _)| counts));
            assert_eq!(counts(series.saved()), counts(expected(all)));
            let births = [
                series.birth,
                series.requests[&key("GET")].birth,
                series.failures[&FAILURE].birth,
                series.latencies.expect("it has some").birth,
            ];
            assert_eq!(births, [Birth(None); 4]);
        }
    }

    fn series_of(count: i64, now: Instant) -> SavedSeries {
        series(count, now).saved()
    }

    #[test]
    fn what_is_less_than_before_waits_and_begins_nothing() {
        let now = Instant::now();
        let mut series = series(0, now);
        let nothing = SavedSeries::default();
        assert_eq!(series.saved(), nothing, "nothing is no growth");
        series.pending = pending(-1);
        series.settle(&identity(), now);
        assert_eq!(series.saved(), nothing);
        series.pending.add(&pending(1), &Counted::default());
        series.settle(&identity(), now);
        assert_eq!(series.saved(), nothing, "it is made up for");
        series.pending.add(&pending(2), &Counted::default());
        series.settle(&identity(), now);
        assert_eq!(series.saved(), expected(2));
    }

    #[test]
    fn only_what_comes_with_a_series_is_as_old_as_it() {
        let now = Instant::now();
        let later = now + Duration::from_secs(9);
        let born = |birth| {
            let mut series = Series::new(std::array::from_fn(|_| String::new()), identity(), birth);
            move |at: Instant, opened: i64| {
                series.pending.opened += opened;
                series.settle(&identity(), at)
            }
        };
        let mut since = born(Birth(Some(now)));
        assert_eq!([since(now, 1), since(later, 1)], [Birth(Some(now)), Birth(Some(later))]);
        let mut idle = born(Birth(Some(now)));
        assert_eq!(idle(later, 1), Birth(Some(later)), "it had nothing when it began");
        let mut always = born(Birth(None));
        assert_eq!([always(now, 1), always(later, 1)], [Birth(None), Birth(Some(later))]);
    }

    #[test]
    fn all_of_a_series_goes_on_with_other_labels() {
        let now = Instant::now();
        let (zero_for, later) = (Duration::from_secs(15), now + Duration::from_secs(14));
        for (at, birth) in [(later, Birth(Some(later))), (now + zero_for, Birth(None))] {
            let mut series = series(3, now);
            series.values = std::array::from_fn(|at| format!("w{at}"));
            series.begin_again(&identity(), at, zero_for);
            let (requests, failures) = (&series.requests[&key("GET")], &series.failures[&FAILURE]);
            let latencies = series.latencies.as_ref().expect("it has some");
            let births = [series.birth, requests.birth, failures.birth, latencies.birth];
            assert_eq!(births, [birth; 4]);
            let labels = [&requests.labels, &failures.labels, &latencies.incoming.0, &latencies.outgoing.0];
            for labels in labels.map(LabelSet::as_str) {
                assert!(labels.contains("\"w0\"") && !labels.contains("\"v"), "{labels}");
            }
            assert_eq!(series.saved(), expected(3));
        }
    }
}
