//! What was counted of a lane, and what it grew by.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use vanflow_store::{Connection, FailureReason, FailureSide, Lane, Text, lane};

use crate::{
    metrics::{ends::UNKNOWN, exposition::Histogram},
    v2alpha1::protocol_name,
};

/// Protocol, method, class of result.
pub(super) type RequestKey = (String, &'static str, &'static str);

/// Who reported that a connection failed, and why it did.
pub(super) type FailureKey = (FailureSide, FailureReason);

/// What was counted of a lane, or is to be added to a series.
#[derive(Clone, Debug, Default)]
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
        let totals = lane.totals();
        let mut requests = HashMap::new();
        for ended in connection.requests().filter(|request| !request.is_live()) {
            let result = ended.result().and_then(|result| result.to_cow().parse::<u16>().ok());
            let class =
                result.filter(|result| (100..600).contains(result)).map(|result| (result / 100) as u8);
            *requests.entry(request_key(ended.protocol(), ended.method(), class)).or_default() += 1;
        }
        let contribution = connection.contribution();
        let ended = connection.requests().filter(|request| !request.is_live());
        let fine = [
            FineObserved::each(contribution.listener_latency.into_iter()),
            FineObserved::each(contribution.connector_latency.into_iter()),
            FineObserved::each(ended.filter_map(|request| request.latency())),
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
