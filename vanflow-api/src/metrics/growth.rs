//! What was counted of a lane, and what it grew by.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use vanflow_proto::Timestamp;
use vanflow_store::{Connection, FailureReason, FailureSide, Lane, Request, Text, lane};

use crate::{
    metrics::{ends::UNKNOWN, exposition::Histogram},
    v2alpha1::protocol_name,
};

/// Protocol, method, class of result.
pub(super) type RequestKey = (String, &'static str, &'static str);

/// Who reported that a connection failed, and why it did.
pub(super) type FailureKey = (FailureSide, FailureReason);

/// What was counted of a lane, or is to be added to a series.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Counted {
    pub(super) opened: i64,
    pub(super) closed: i64,
    pub(super) octets: i64,
    pub(super) octets_reverse: i64,
    pub(super) requests: HashMap<RequestKey, i64>,
    pub(super) latencies: Option<Box<[Observed; 3]>>,
    pub(super) failures: HashMap<FailureKey, i64>,
    pub(super) fine: [FineObserved; 3],
}

/// Observations by the narrow ranges of [`lane::Distribution`], those only that occur, and their sum in microseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct FineObserved {
    pub(super) counts: BTreeMap<usize, i64>,
    pub(super) sum: i64,
}

/// Observations by range, and their sum in microseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Observed {
    pub(super) counts: Vec<i64>,
    pub(super) sum: i64,
}

impl Counted {
    pub(super) fn of(lane: Lane<'_>) -> Self {
        let totals = lane.totals();
        let mut requests = HashMap::new();
        for ended in totals.requests() {
            let key = request_key(ended.protocol, ended.method, ended.class);
            *requests.entry(key).or_default() += signed(ended.count);
        }
        let observed = [totals.latency(), totals.latency_reverse(), totals.internal_latency()];
        let latencies =
            (observed[0].count() > 0).then(|| Box::new(observed.map(|histogram| Observed::of(&histogram))));
        let fine = [totals.listener_latency(), totals.connector_latency(), totals.request_latency()];
        Self {
            failures: totals
                .failures()
                .map(|(side, reason, count)| ((side, reason), signed(count)))
                .collect(),
            fine: fine.map(FineObserved::of),
            opened: signed(totals.opened()),
            closed: signed(totals.closed()),
            octets: signed(totals.octets()),
            octets_reverse: signed(totals.octets_reverse()),
            requests,
            latencies,
        }
    }

    /// What a connection and its requests add to the totals of its lane.
    pub(super) fn of_connection(connection: Connection<'_>, lane: Lane<'_>) -> Self {
        Self::of_connection_until(connection, lane, Timestamp::from_micros(u64::MAX))
    }

    /// The same, with only those of its requests that had ended by then.
    pub(super) fn of_connection_until(connection: Connection<'_>, lane: Lane<'_>, until: Timestamp) -> Self {
        let totals = lane.totals();
        let has_ended =
            |request: &Request<'_>| !request.is_live() && request.end().is_none_or(|end| end <= until);
        let ended = || connection.requests().filter(has_ended);
        let mut requests = HashMap::new();
        for ended in ended() {
            let result = ended.result().and_then(|result| result.to_cow().parse::<u16>().ok());
            let class =
                result.filter(|result| (100..600).contains(result)).map(|result| (result / 100) as u8);
            *requests.entry(request_key(ended.protocol(), ended.method(), class)).or_default() += 1;
        }
        let contribution = connection.contribution();
        let fine = [
            FineObserved::each(contribution.listener_latency.into_iter()),
            FineObserved::each(contribution.connector_latency.into_iter()),
            FineObserved::each(ended().filter_map(|request| request.latency())),
        ];
        let latencies = contribution.latencies.map(|(latency, reverse)| {
            let (latency, reverse) = (signed(latency), signed(reverse));
            Box::new([
                Observed::one(latency, totals.latency().bounds_micros()),
                Observed::one(reverse, totals.latency_reverse().bounds_micros()),
                Observed::one(latency - reverse, totals.internal_latency().bounds_micros()),
            ])
        });
        let failures = FailureSide::ALL.into_iter().zip(contribution.failures);
        let failures = failures.filter_map(|(side, reason)| Some(((side, reason?), 1))).collect();
        Self {
            failures,
            fine,
            opened: contribution.is_opened.into(),
            closed: contribution.is_closed.into(),
            octets: signed(contribution.octets),
            octets_reverse: signed(contribution.octets_reverse),
            requests,
            latencies,
        }
    }

    /// Adds what there is now and was not before.
    pub(super) fn add(&mut self, now: &Self, before: &Self) {
        self.opened += now.opened - before.opened;
        self.closed += now.closed - before.closed;
        self.octets = self.octets.saturating_add(now.octets.saturating_sub(before.octets));
        self.octets_reverse =
            self.octets_reverse.saturating_add(now.octets_reverse.saturating_sub(before.octets_reverse));
        for (key, count) in &now.requests {
            let growth = count - before.requests.get(key).unwrap_or(&0);
            if growth != 0 {
                *self.requests.entry(key.clone()).or_default() += growth;
            }
        }
        for (key, count) in before.requests.iter().filter(|(key, _)| !now.requests.contains_key(*key)) {
            *self.requests.entry(key.clone()).or_default() -= count;
        }
        for (counts, sign) in [(&now.failures, 1), (&before.failures, -1)] {
            for (key, count) in counts {
                *self.failures.entry(*key).or_default() += sign * count;
            }
        }
        for (pending, (now, before)) in self.fine.iter_mut().zip(now.fine.iter().zip(&before.fine)) {
            if now != before {
                pending.add(now, 1);
                pending.add(before, -1);
            }
        }
        if now.latencies != before.latencies {
            let pending = self.latencies.get_or_insert_default();
            for (position, pending) in pending.iter_mut().enumerate() {
                let of =
                    |counted: &Self| counted.latencies.as_ref().map(|latencies| latencies[position].clone());
                pending.add(&of(now).unwrap_or_default(), 1);
                pending.add(&of(before).unwrap_or_default(), -1);
            }
        }
    }
}

impl FineObserved {
    fn of(distribution: lane::Distribution<'_>) -> Self {
        let counts = distribution.counts().map(|(range, count)| (range, signed(count))).collect();
        Self { counts, sum: distribution.sum_micros() }
    }

    fn each(values: impl Iterator<Item = u64>) -> Self {
        let mut all = Self::default();
        for value in values.map(signed) {
            *all.counts.entry(lane::Distribution::range_of(value)).or_default() += 1;
            all.sum = all.sum.saturating_add(value);
        }
        all
    }

    fn add(&mut self, other: &Self, sign: i64) {
        for (range, count) in &other.counts {
            *self.counts.entry(*range).or_default() += sign * count;
        }
        self.sum = self.sum.saturating_add(other.sum.saturating_mul(sign));
    }

    pub(super) fn has_grown(&self) -> bool {
        self.counts.values().any(|count| *count > 0)
    }

    /// Moves what there is more of into a histogram with the same ranges, whose sum is in seconds. What there is less of
    /// stays, to be made up for by what comes later.
    pub(super) fn move_to(&mut self, histogram: &mut Histogram) {
        for (range, count) in &mut self.counts {
            histogram.counts[*range] += take_growth(count);
        }
        self.counts.retain(|_, count| *count != 0);
        histogram.sum += take_growth(&mut self.sum) as f64 / 1e6;
    }
}

impl Observed {
    fn one(value: i64, bounds: &[i64]) -> Self {
        let mut counts = vec![0; bounds.len() + 1];
        counts[bounds.partition_point(|bound| *bound < value)] = 1;
        Self { counts, sum: value }
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.sum == 0 && self.counts.iter().all(|count| *count == 0)
    }

    pub(super) fn of(histogram: &lane::Histogram<'_>) -> Self {
        Self {
            counts: histogram.counts().iter().map(|count| signed(*count)).collect(),
            sum: histogram.sum_micros(),
        }
    }

    pub(super) fn add(&mut self, other: &Self, sign: i64) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (count, other) in self.counts.iter_mut().zip(&other.counts) {
            *count += sign * other;
        }
        self.sum = self.sum.saturating_add(other.sum.saturating_mul(sign));
    }

    /// Moves what there is more of into a histogram whose sum is in so many microseconds a unit. What there is less of
    /// stays, to be made up for by what comes later. `can_fall` says that the sum is of values that can be negative.
    pub(super) fn move_to(&mut self, histogram: &mut Arc<Histogram>, unit: f64, can_fall: bool) {
        if !self.counts.iter().any(|count| *count > 0) {
            return;
        }
        let histogram = Arc::make_mut(histogram);
        for (total, count) in histogram.counts.iter_mut().zip(&mut self.counts) {
            *total += take_growth(count);
        }
        let is_even = self.counts.iter().all(|count| *count == 0);
        if self.sum > 0 || can_fall && is_even {
            histogram.sum += std::mem::take(&mut self.sum) as f64 / unit;
        }
    }
}

/// Takes what a count is above 0. What it is below stays, to be made up for by what comes later: no counter falls.
pub(super) fn take_growth(pending: &mut i64) -> u64 {
    let growth = (*pending).max(0);
    *pending -= growth;
    growth.unsigned_abs()
}

fn request_key(protocol: Option<Text<'_>>, method: Option<Text<'_>>, of_class: Option<u8>) -> RequestKey {
    let protocol =
        protocol.map_or_else(|| UNKNOWN.to_owned(), |reported| protocol_name(reported).into_owned());
    let method = method.map(|method| method.to_cow());
    (protocol, known_method(method.as_deref()), class(of_class))
}

/// A method as the network observer calls it.
pub(super) fn known_method(reported: Option<&str>) -> &'static str {
    const METHODS: [&str; 9] =
        ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE"];
    let reported = reported.unwrap_or_default();
    METHODS.into_iter().find(|method| reported.eq_ignore_ascii_case(method)).unwrap_or(UNKNOWN)
}

/// A class of results as the network observer calls it.
fn class(class: Option<u8>) -> &'static str {
    match class {
        Some(1) => "1xx",
        Some(2) => "2xx",
        Some(3) => "3xx",
        Some(4) => "4xx",
        Some(5) => "5xx",
        _ => UNKNOWN,
    }
}

/// The class of that name.
pub(super) fn class_named(name: &str) -> &'static str {
    let mut known = (1..=5).map(|of| class(Some(of)));
    known.find(|known| *known == name).unwrap_or(UNKNOWN)
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    use vanflow_proto::{Attribute, RecordKind, SourceType, Timestamp, UpdateBuf};
    use vanflow_store::{Snapshot, Store, StoreOptions};

    use super::*;

    const EPOCH: u64 = 1_795_347_880_000_000;

    /// A lane with connections that are open and ended, fast and slow, failed, and with requests of all results.
    pub(in crate::metrics) fn lane_of_all_sorts() -> Snapshot {
        let now = Timestamp::from_micros(EPOCH + 1_000_000);
        let mut store = Store::new(StoreOptions::default());
        let source = store.source_seen("a:0", SourceType::Router, now);
        let new = |kind, id: &str, parent: &str| {
            UpdateBuf::new(kind, id).with(Attribute::StartTime, EPOCH).with(Attribute::Parent, parent)
        };
        let connection = |number: u64| {
            new(RecordKind::BiflowTport, &format!("a:{number}"), "a:1")
                .with(Attribute::SourceHost, "10.0.0.1")
                .with(Attribute::Connector, "a:2")
                .with(Attribute::Octets, number)
                .with(Attribute::OctetsReverse, 7 * number)
        };
        let slow = |number, there: u64, back: u64| {
            connection(number).with(Attribute::Latency, there).with(Attribute::ProcessLatency, back)
        };
        let mut all = vec![
            new(RecordKind::Router, "a:0", "site"),
            new(RecordKind::Listener, "a:1", "a:0").with(Attribute::VanAddress, "shop"),
            new(RecordKind::Connector, "a:2", "a:0").with(Attribute::VanAddress, "shop"),
            connection(10),
            slow(20, 2000, 1000).with(Attribute::EndTime, EPOCH + 9),
            slow(30, 900, 3_000_000),
            slow(40, 70_000_000, 20).with(Attribute::ErrorConnectorSide, "connection refused"),
            connection(50).with(Attribute::Latency, 300).with(Attribute::ErrorListenerSide, "odd"),
        ];
        let results = ["100", "204", "200", "302", "404", "503", "99", "600", "x"];
        for (number, result) in results.into_iter().enumerate() {
            let request = new(RecordKind::BiflowApp, &format!("a:{}", 100 + number), "a:10")
                .with(Attribute::Protocol, "HTTP/1.1")
                .with(Attribute::Method, "GET")
                .with(Attribute::Result, result)
                .with(Attribute::Latency, 100 * (1 + number as u64));
            all.push(request.with(Attribute::EndTime, EPOCH + 9));
        }
        all.push(new(RecordKind::BiflowApp, "a:200", "a:20").with(Attribute::Result, "200"));
        all.iter().for_each(|update| store.apply(source, update, now));
        store.snapshot()
    }

    /// Without what comes to nothing.
    pub(in crate::metrics) fn counted(mut counted: Counted) -> Counted {
        counted.requests.retain(|_, count| *count != 0);
        counted.failures.retain(|_, count| *count != 0);
        counted.fine.iter_mut().for_each(|fine| fine.counts.retain(|_, count| *count != 0));
        counted
    }

    fn connections(lane: Lane<'_>) -> Vec<Counted> {
        let connections = lane.connections().filter_map(Connection::new);
        connections.map(|connection| Counted::of_connection(connection, lane)).collect()
    }

    #[test]
    fn a_lane_comes_to_what_its_connections_come_to() {
        let snapshot = lane_of_all_sorts();
        let lane = snapshot.lanes().next().expect("there is one");
        let mut sum = Counted::default();
        connections(lane).iter().for_each(|share| sum.add(share, &Counted::default()));
        assert_eq!((sum.opened, sum.closed, sum.octets, sum.octets_reverse), (5, 1, 150, 1050));
        assert_eq!(sum.latencies.as_ref().map(|latencies| latencies[0].counts.iter().sum()), Some(3));
        let classes = ["1xx", "2xx", "3xx", "4xx", "5xx", UNKNOWN];
        let of_class = |class| sum.requests[&("http1".to_owned(), "GET", class)];
        assert_eq!(classes.map(of_class), [1, 2, 1, 1, 1, 3]);
        assert_eq!(counted(sum), counted(Counted::of(lane)));
    }

    #[test]
    fn what_there_is_less_of_is_taken_away() {
        let snapshot = lane_of_all_sorts();
        let lane = snapshot.lanes().next().expect("there is one");
        let nothing = Counted::default();
        for now in connections(lane) {
            for before in connections(lane) {
                let mut pending = before.clone();
                pending.add(&now, &before);
                assert_eq!(sum_of_latencies(&pending), sum_of_latencies(&now));
                let without = |counted: Counted| Counted { latencies: None, ..self::counted(counted) };
                assert_eq!(without(pending.clone()), without(now.clone()));
                pending.add(&nothing, &now);
                assert_eq!(without(pending.clone()), nothing);
                assert!(pending.latencies.iter().flat_map(|all| all.iter()).all(Observed::is_nothing));
            }
        }
    }

    fn sum_of_latencies(counted: &Counted) -> [(i64, i64); 3] {
        let all = counted.latencies.as_deref().cloned().unwrap_or_default();
        all.map(|observed| {
            (observed.sum, observed.counts.iter().zip(1..).map(|(count, weight)| count * weight).sum())
        })
    }

    #[test]
    fn something_is_nothing_only_without_counts_and_without_a_sum() {
        let observed = |counts: &[i64], sum| Observed { counts: counts.to_vec(), sum };
        assert!(observed(&[], 0).is_nothing() && observed(&[0, 0], 0).is_nothing());
        for some in [observed(&[0, 1], 0), observed(&[0, 0], 3), observed(&[-1, 0], -5)] {
            assert!(!some.is_nothing(), "{some:?}");
        }
        let fine = |count| FineObserved { counts: [(3, count)].into(), sum: 1 };
        assert_eq!([-1, 0, 1].map(|count| fine(count).has_grown()), [false, false, true]);
    }

    #[test]
    fn growth_is_moved_and_what_is_less_stays() {
        // Counts, sum, whether that can fall; what is moved, what stays.
        for (counts, sum, can_fall, (moved, of), (rest, of_rest)) in [
            ([-1, 1], 5, false, ([0, 1], 5.0), ([-1, 0], 0)),
            ([1, 1], 5, false, ([1, 1], 5.0), ([0, 0], 0)),
            ([1, 0], -5, false, ([1, 0], 0.0), ([0, 0], -5)),
            ([1, 0], -5, true, ([1, 0], -5.0), ([0, 0], 0)),
            ([1, -1], -5, true, ([1, 0], 0.0), ([0, -1], -5)),
            ([0, 0], 5, false, ([0, 0], 0.0), ([0, 0], 5)),
        ] {
            let mut pending = Observed { counts: counts.to_vec(), sum };
            let mut histogram = Arc::new(Histogram::new(&[1.0]));
            pending.move_to(&mut histogram, 1.0, can_fall);
            assert_eq!((&*histogram.counts, histogram.sum), (&moved[..], of), "{counts:?} {sum} {can_fall}");
            assert_eq!((&*pending.counts, pending.sum), (&rest[..], of_rest), "{counts:?} {sum} {can_fall}");
        }
        let mut pending = FineObserved { counts: [(0, 2), (1, -1)].into(), sum: 3_000_000 };
        let mut histogram = Histogram::new(&[1.0]);
        pending.move_to(&mut histogram);
        assert_eq!((histogram.counts, histogram.sum), (vec![2, 0], 3.0));
        assert_eq!(pending, FineObserved { counts: [(1, -1)].into(), sum: 0 });
    }

    #[test]
    fn classes_are_found_by_their_names() {
        for of in 1..=5 {
            assert_eq!(class_named(class(Some(of))), format!("{of}xx"));
        }
        assert_eq!(["6xx", "", UNKNOWN].map(class_named), [UNKNOWN; 3]);
    }
}
