//! Latencies by service, in ranges that are narrow enough to read percentiles off them.
//!
//! More than a hundred ranges for each label set of connections would be too many, so these are counted by service and
//! by the sites that talk. And only bounds around values that occur are exposed: whole tenfolds, the same of all label
//! sets. Where label sets exposed different bounds, the sum of them by bound would mean nothing.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::Range,
    sync::Arc,
};

use vanflow_store::lane::Distribution;

use crate::metrics::{
    ends::Values,
    exposition::{Gathered, Histogram, Sample, SampleValue},
    growth::FineObserved,
    labels::LabelSet,
    saved::SavedHistogram,
    series::Birth,
    table::{BY_SERVICE, FINE, FLOW, Name},
};

/// Latencies of connections, of both sides, and of requests.
#[derive(Debug, Default)]
pub(super) struct FineLatencies {
    services: BTreeMap<[String; BY_SERVICE.len()], [Option<Latency>; 3]>,
    /// The bounds that are exposed, of connections and of requests.
    connections: Range<usize>,
    requests: Range<usize>,
    /// What a former process counted, of what was not counted by this one yet.
    pub(super) saved: HashMap<[String; BY_SERVICE.len()], [Option<SavedHistogram>; 3]>,
}

/// One label set.
#[derive(Debug)]
struct Latency {
    labels: LabelSet,
    birth: Birth,
    /// The bounds that were exposed when it began.
    born_bounds: Range<usize>,
    histogram: Arc<Histogram>,
}

impl FineLatencies {
    /// Adds what is pending of connections and requests with these labels, which began then.
    pub(super) fn add(
        &mut self,
        values: &Values,
        birth: Birth,
        pending: &mut [FineObserved; 3],
        identity: &LabelSet,
    ) {
        if !pending.iter().any(FineObserved::has_grown) {
            return;
        }
        let service = by(values).map(str::to_owned);
        if let Some(saved) = self.saved.remove(&service) {
            self.restore(&service, saved, identity);
        }
        let service = self.services.entry(service).or_default();
        for (position, growth) in pending.iter_mut().enumerate().filter(|(_, growth)| growth.has_grown()) {
            let exposed = if position == 2 { &mut self.requests } else { &mut self.connections };
            for range in growth.counts.iter().filter(|(_, count)| **count > 0).map(|(range, _)| *range) {
                widen(exposed, range);
            }
            let latency = service[position].get_or_insert_with(|| {
                let labels = labels(identity, by(values), position);
                let (born_bounds, histogram) = (exposed.clone(), Arc::new(Histogram::new(FINE)));
                Latency { labels, birth, born_bounds, histogram }
            });
            growth.move_to(Arc::make_mut(&mut latency.histogram));
        }
    }

    /// Goes on from what a former process counted, which scrapers have seen.
    fn restore(
        &mut self,
        service: &[String; BY_SERVICE.len()],
        saved: [Option<SavedHistogram>; 3],
        identity: &LabelSet,
    ) {
        for (position, saved) in saved.into_iter().enumerate() {
            let Some(saved) = saved else { continue };
            let exposed = if position == 2 { &mut self.requests } else { &mut self.connections };
            let ranges = saved.0.iter().enumerate().filter(|(_, count)| **count > 0);
            ranges.for_each(|(range, _)| widen(exposed, range));
            let labels = labels(identity, service.each_ref().map(String::as_str), position);
            let mut histogram = Histogram::new(FINE);
            histogram.restore(&saved);
            let (birth, born_bounds) = (Birth(None), exposed.clone());
            let latency = Latency { labels, birth, born_bounds, histogram: Arc::new(histogram) };
            self.services.entry(service.clone()).or_default()[position] = Some(latency);
        }
    }

    /// What it came to, for the next process.
    pub(super) fn saved(
        &self,
    ) -> impl Iterator<Item = ([String; BY_SERVICE.len()], [Option<SavedHistogram>; 3])> {
        self.services.iter().map(|(service, all)| {
            let histogram = |latency: &Latency| (latency.histogram.counts.clone(), latency.histogram.sum);
            (service.clone(), all.each_ref().map(|one| one.as_ref().map(histogram)))
        })
    }

    /// Keeps only what has the labels of some of these connections.
    pub(super) fn retain<'v>(&mut self, all: impl Iterator<Item = &'v Values>) {
        let there: HashSet<_> = all.map(by).collect();
        self.services.retain(|service, _| there.contains(&service.each_ref().map(String::as_str)));
    }

    pub(super) fn gather(&self, is_recent: impl Fn(Birth) -> bool, gathered: &mut Gathered) {
        gathered.expose(Name::ConnectionLatency, self.connections.clone());
        gathered.expose(Name::RequestLatency, self.requests.clone());
        let names = [Name::ConnectionLatency, Name::ConnectionLatency, Name::RequestLatency];
        for latencies in self.services.values() {
            for (name, latency) in names.into_iter().zip(latencies) {
                let Some(latency) = latency else { continue };
                gathered.push(
                    name,
                    Sample {
                        labels: latency.labels.clone(),
                        value: SampleValue::Histogram(latency.histogram.clone()),
                        is_new: is_recent(latency.birth),
                        is_born: latency.birth.0.is_some(),
                        born_bounds: latency.born_bounds.clone(),
                    },
                );
            }
        }
    }
}

/// Has a range among those whose bounds are exposed.
fn widen(exposed: &mut Range<usize>, range: usize) {
    let around = around(range);
    *exposed = match exposed.end {
        0 => around,
        _ => exposed.start.min(around.start)..exposed.end.max(around.end),
    };
}

fn labels(identity: &LabelSet, service: [&str; BY_SERVICE.len()], position: usize) -> LabelSet {
    let side = ["listener", "connector"].get(position).map(|side| ("side", *side));
    identity.with(BY_SERVICE.iter().copied().zip(service).chain(side))
}

fn by(values: &Values) -> [&str; BY_SERVICE.len()] {
    BY_SERVICE.map(|label| {
        let position = FLOW.iter().position(|name| *name == label);
        values[position.expect("it is a label of connections")].as_str()
    })
}

/// The bounds of the tenfold that a range is in: its lower one, so that the range has a width, to its upper one.
fn around(range: usize) -> Range<usize> {
    const TENFOLD: usize = Distribution::BOUNDS_A_TENFOLD;
    let first = range.saturating_sub(1) / TENFOLD * TENFOLD;
    first..(first + TENFOLD + 1).min(FINE.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenfolds_have_both_of_their_bounds() {
        // Up to 0.1 ms; 0.1 to 1 ms; 1 to 10 ms; above 100 s.
        for (range, expected) in
            [(0, 0..26), (1, 0..26), (25, 0..26), (26, 25..51), (150, 125..151), (151, 150..151)]
        {
            assert_eq!(around(range), expected, "{range}");
            let next = expected.end.checked_sub(1).expect("some");
            assert!(FINE[next] <= 100.0);
        }
    }

    fn values() -> Values {
        std::array::from_fn(|position| format!("its {}", FLOW[position]))
    }

    fn observed(counts: &[(usize, i64)], sum: i64) -> FineObserved {
        FineObserved { counts: counts.iter().copied().collect(), sum }
    }

    #[test]
    fn a_label_of_a_service_is_that_of_its_connections() {
        assert_eq!(by(&values()).map(str::to_owned), BY_SERVICE.map(|name| format!("its {name}")));
    }

    #[test]
    fn only_tenfolds_in_which_something_was_observed_are_exposed() {
        let (identity, mut latencies) = (LabelSet::new([]), FineLatencies::default());
        let mut pending = [observed(&[(30, 1), (140, 0), (3, -1)], 700), observed(&[], 0), observed(&[], 0)];
        latencies.add(&values(), Birth(None), &mut pending, &identity);
        assert_eq!((latencies.connections.clone(), latencies.requests.clone()), (25..51, 0..0));
        let (_, all) = latencies.saved().next().expect("there is one");
        assert!(all[0].is_some() && all[1].is_none() && all[2].is_none(), "{all:?}");
        pending[2] = observed(&[(60, 2)], 900);
        latencies.add(&values(), Birth(None), &mut pending, &identity);
        assert_eq!((latencies.connections.clone(), latencies.requests.clone()), (25..51, 50..76));
    }

    #[test]
    fn latencies_go_on_from_those_of_a_former_process() {
        let identity = LabelSet::new([]);
        let [mut former, mut latencies] = [FineLatencies::default(), FineLatencies::default()];
        let mut pending = [observed(&[(30, 1)], 700), observed(&[], 0), observed(&[(60, 2)], 900)];
        former.add(&values(), Birth(None), &mut pending, &identity);
        latencies.saved = former.saved().collect();
        pending[0] = observed(&[(30, 4)], 3_000_000);
        latencies.add(&values(), Birth(None), &mut pending, &identity);
        let (_, [listener, connector, requests]) = latencies.saved().next().expect("there is one");
        let (counts, sum) = listener.expect("it is restored");
        assert_eq!((counts[30], counts.iter().sum::<u64>(), sum), (5, 5, 3.0007));
        assert_eq!(requests.expect("it is restored").0[60], 2);
        assert!(connector.is_none(), "{connector:?}");
        assert_eq!((latencies.connections.clone(), latencies.requests.clone()), (25..51, 50..76));
        latencies.retain([].iter());
        assert_eq!(latencies.saved().count(), 0);
    }
}
