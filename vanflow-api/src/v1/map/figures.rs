//! What traffic comes to, and how bad that is.

use std::{collections::BTreeSet, time::Duration};

use vanflow_store::{FailureReason, FailureSide, Lane, lane::Distribution};

use crate::v1::{subject::Severity, units::Units};

/// Over which times rates are given, the longest last.
pub(super) const WINDOWS: [Duration; 3] =
    [Duration::from_secs(10), Duration::from_mins(1), Duration::from_mins(5)];

/// What they are called.
pub(super) const WINDOW_NAMES: [&str; 3] = ["10s", "1m", "5m"];

/// What goes by a second, over each of [`WINDOWS`]; none where that is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rates(pub(super) [Option<f64>; WINDOWS.len()]);

impl Rates {
    pub(super) fn add(&mut self, other: Self) {
        for (sum, rate) in self.0.iter_mut().zip(other.0) {
            if let Some(rate) = rate {
                *sum = Some(sum.unwrap_or_default() + rate);
            }
        }
    }

    pub(super) fn sum(mut self, other: Self) -> Self {
        self.add(other);
        self
    }

    pub(super) fn is_known(self) -> bool {
        self.0.iter().any(Option::is_some)
    }

    /// What a picture shows: over a minute, or else over what is nearest to that.
    pub(super) fn shown(self) -> Option<f64> {
        let [short, minute, long] = self.0;
        minute.or(long).or(short)
    }
}

/// The rates of all that is measured of connections.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct FlowRates {
    /// Octets from clients to servers.
    pub(super) sent: Rates,
    /// Octets from servers to clients.
    pub(super) received: Rates,
    /// Connections that were opened.
    pub(super) connections: Rates,
    /// Requests that ended.
    pub(super) requests: Rates,
}

impl FlowRates {
    pub(super) fn add(&mut self, other: &Self) {
        self.sent.add(other.sent);
        self.received.add(other.received);
        self.connections.add(other.connections);
        self.requests.add(other.requests);
    }

    /// Octets both ways.
    pub(super) fn octets(&self) -> Rates {
        self.sent.sum(self.received)
    }
}

/// What connections, or what is at one of their ends, come to together.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Figures {
    pub(super) rates: FlowRates,
    /// Whether there are rates that cannot be told apart from those of others.
    pub(super) is_unmeasured: bool,
    /// Connections that are open; none of a moment in the past.
    pub(super) open: Option<u64>,
    /// Requests where connections carry requests, else connections.
    pub(super) units: u64,
    /// Those that failed: connections that did, requests with 5xx or no result.
    pub(super) errors: u64,
    /// Those of them that were refused by what should have served.
    pub(super) refused: u64,
    /// Octets both ways so far.
    pub(super) octets: u64,
    /// How many first octets came after so long, by the ranges of [`Distribution`], ascending: of requests where there
    /// are any, else of connections.
    pub(super) latencies: Vec<(usize, u64)>,
    pub(super) has_requests: bool,
    /// Addresses of services.
    pub(super) services: BTreeSet<String>,
}

impl Figures {
    /// What passed by a lane: units and errors that are retained, and octets and latencies so far.
    pub(super) fn of_lane(lane: Lane<'_>) -> Self {
        let totals = lane.totals();
        let units = Units::of_lane(lane);
        // Why each failed that is retained is not counted; whether all that ever did were refused is known.
        let mut failures = [0; FailureSide::ALL.len()];
        let mut refused = [0; FailureSide::ALL.len()];
        for (side, reason, count) in totals.failures() {
            failures[side as usize] += count;
            if reason == FailureReason::Refused {
                refused[side as usize] += count;
            }
        }
        let are_all_refused = failures.into_iter().max() == refused.into_iter().max();
        let latencies = if units.has_requests { totals.request_latency() } else { totals.listener_latency() };
        Self {
            open: Some(lane.live() as u64),
            units: units.all,
            errors: units.errors,
            refused: if are_all_refused { lane.failed() as u64 } else { 0 },
            octets: totals.octets().saturating_add(totals.octets_reverse()),
            latencies: latencies.counts().collect(),
            has_requests: units.has_requests,
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.rates.add(&other.rates);
        self.is_unmeasured |= other.is_unmeasured;
        self.open = match (self.open, other.open) {
            (None, open) | (open, None) => open,
            (Some(one), Some(other)) => Some(one + other),
        };
        self.units += other.units;
        self.errors += other.errors;
        self.refused += other.refused;
        self.octets = self.octets.saturating_add(other.octets);
        // Latencies of requests and of connections are no one thing: those of what there is more of stay.
        if other.has_requests == self.has_requests || self.latencies.is_empty() {
            merge(&mut self.latencies, &other.latencies);
        } else if count(&other.latencies) > count(&self.latencies) {
            self.latencies.clone_from(&other.latencies);
        }
        self.has_requests |= other.has_requests;
        self.services.extend(other.services.iter().cloned());
    }

    /// The share of units that failed; none where there are no units.
    pub(super) fn error_share(&self) -> Option<f64> {
        (self.units > 0).then(|| self.errors as f64 / self.units as f64)
    }

    pub(super) fn trouble(&self) -> Trouble {
        let Self { units, errors, has_requests, .. } = *self;
        match (Units { all: units, errors, has_requests }).severity() {
            Severity::Bad => Trouble::Bad,
            Severity::Warn => Trouble::Warn,
            _ => Trouble::Fine,
        }
    }

    /// Octets both ways, where they are known.
    pub(super) fn octet_rates(&self) -> Rates {
        if self.is_unmeasured { Rates::default() } else { self.rates.octets() }
    }

    /// In microseconds, to within a tenth, as the client's router saw it.
    pub(super) fn latency(&self, percent: u64) -> Option<u64> {
        let all = count(&self.latencies);
        let wanted = (all * percent).div_ceil(100).max(1);
        let mut so_far = 0;
        let (range, _) = self.latencies.iter().find(|(_, count)| {
            so_far += count;
            so_far >= wanted
        })?;
        let bounds = Distribution::BOUNDS_MICROS;
        // What is above the last bound is at least that.
        Some(bounds[(*range).min(bounds.len() - 1)].unsigned_abs())
    }
}

/// How bad something is. Others may be worse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trouble {
    #[default]
    Fine,
    Warn,
    Bad,
}

impl Trouble {
    pub(super) const NAMES: &'static [&'static str] = &["fine", "warn", "bad"];

    /// As `severity` has it.
    pub(super) fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

fn count(latencies: &[(usize, u64)]) -> u64 {
    latencies.iter().map(|(_, count)| count).sum()
}

fn merge(sum: &mut Vec<(usize, u64)>, other: &[(usize, u64)]) {
    for (range, count) in other {
        match sum.binary_search_by_key(range, |(range, _)| *range) {
            Ok(position) => sum[position].1 += count,
            Err(position) => sum.insert(position, (*range, *count)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(units: u64, errors: u64) -> Figures {
        Figures { units, errors, ..Figures::default() }
    }

    #[test]
    fn trouble_begins_at_2_percent_and_is_bad_above_10() {
        for (units, errors, expected) in [
            (0, 0, Trouble::Fine),
            (1_000, 19, Trouble::Fine),
            (1_000, 20, Trouble::Warn),
            (1_000, 100, Trouble::Warn),
            (1_000, 101, Trouble::Bad),
            (33, 33, Trouble::Bad),
        ] {
            assert_eq!(figures(units, errors).trouble(), expected, "{errors} of {units}");
        }
        assert_eq!(figures(0, 0).error_share(), None);
    }

    #[test]
    fn percentiles_are_upper_bounds_of_ranges() {
        let mut sum = Figures { latencies: vec![(0, 50), (3, 45)], ..Figures::default() };
        sum.add(&Figures { latencies: vec![(1, 0), (3, 1), (500, 4)], ..Figures::default() });
        let bounds = Distribution::BOUNDS_MICROS;
        assert_eq!(sum.latency(50), Some(bounds[0].unsigned_abs()));
        assert_eq!(sum.latency(95), Some(bounds[3].unsigned_abs()));
        assert_eq!(sum.latency(99), Some(100_000_000));
        assert_eq!(Figures::default().latency(50), None);
    }

    #[test]
    fn latencies_of_requests_and_of_connections_are_not_mixed() {
        let requests = Figures { latencies: vec![(7, 10)], has_requests: true, ..Figures::default() };
        let mut sum = Figures { latencies: vec![(1, 3)], ..Figures::default() };
        sum.add(&requests);
        assert_eq!(sum.latencies, [(7, 10)]);
    }

    #[test]
    fn what_is_not_known_is_no_part_of_a_sum() {
        let mut sum = Rates([None, Some(1.0), None]);
        sum.add(Rates([None, Some(2.0), Some(4.0)]));
        assert_eq!(sum, Rates([None, Some(3.0), Some(4.0)]));
        assert_eq!(sum.shown(), Some(3.0));
        assert!(!Rates::default().is_known());
    }
}
