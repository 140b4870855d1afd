//! Metrics of the network and of the collector, as Prometheus scrapes them.
//!
//! `table` says what there is. What connections do is counted by `ledger`, from what the store keeps of each way
//! that connections take; what sites have is counted by `entities`; how the collector is doing is in `health`.
//! `exposition` writes it. `docs/metrics.md` says what users may rely on.

mod ends;
mod entities;
mod exposition;
mod fine;
mod growth;
mod health;
mod labels;
mod ledger;
mod links;
mod logs;
mod saved;
mod scrapes;
mod series;
mod table;
mod turned_away;
mod withheld;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use thiserror::Error;
use tokio::time::Instant;
use vanflow_store::Snapshot;

pub use health::{Connection, Health, Written};
pub(crate) use health::{Figures, HistoryKept};
pub(crate) use logs::is_of_certificate;
pub use saved::CountersError;
pub(crate) use scrapes::{Reader, Scrapes};
pub use turned_away::{FailedLogIn, TurnedAway};

pub(crate) use ends::flow_labels;
pub(crate) use entities::{link_name, site_and_name};
pub(crate) use exposition::{ExpositionFormat, Fed};

use crate::network::Network;
use entities::Entities;
use exposition::{Gathered, SampleValue};
use labels::LabelSet;
use ledger::Ledger;
use saved::Saved;
use table::Name;

/// What is measured, and how it is reported.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MetricsOptions {
    /// Labels of all metrics, which report this network and this collector from others; see [`check_label`].
    pub labels: Vec<(String, String)>,
    /// What connections are distinguished by.
    pub detail: Detail,
    /// Names of metrics that are left out; see [`check_metric`].
    pub exclude: Vec<String>,
    /// How long what is counted for the first time is 0 for scrapers: they have to see that before they see a value
    /// that is more, or miss the difference. Longer than they take between two scrapes.
    pub zero_for: Duration,
}

impl Default for MetricsOptions {
    fn default() -> Self {
        Self {
            labels: Vec::new(),
            detail: Detail::Process,
            exclude: Vec::new(),
            zero_for: Duration::from_secs(15),
        }
    }
}

/// What connections are distinguished by in metrics. Processes come and go; the coarser, the fewer label sets there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// By sites.
    Site,
    /// By components, and by sites.
    Component,
    /// By processes, and by their components and sites.
    #[default]
    Process,
}

/// A label or a metric that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OptionError {
    /// A name that Prometheus would not take.
    #[error(
        "a label cannot have the name `{0}`: it must be letters, digits and underscores, with no digit first and not two \
         underscores"
    )]
    LabelName(String),
    /// A name that a label of some metric has.
    #[error("a label cannot have the name `{label}`, which one of {metric} has")]
    LabelTaken {
        /// The name.
        label: String,
        /// A metric with such a label.
        metric: &'static str,
    },
    /// A metric that there is not.
    #[error("there is no metric `{0}`")]
    NoMetric(String),
}

/// Checks that all metrics may have a label of that name.
///
/// # Errors
///
/// Where the name is not one that Prometheus takes, or some metric has such a label already.
pub fn check_label(name: &str) -> Result<(), OptionError> {
    if !labels::is_label_name(name) {
        return Err(OptionError::LabelName(name.to_owned()));
    }
    let metrics = Name::ALL.iter().map(|metric| metric.metric());
    let mut taken = metrics.filter(|metric| metric.labels.contains(&name) || name == "le");
    match taken.next() {
        Some(metric) => Err(OptionError::LabelTaken { label: name.to_owned(), metric: metric.name }),
        None => Ok(()),
    }
}

/// Checks that there is a metric of that name.
///
/// # Errors
///
/// Where there is none.
pub fn check_metric(name: &str) -> Result<(), OptionError> {
    Name::find(name).map(|_| ()).ok_or_else(|| OptionError::NoMetric(name.to_owned()))
}

/// Whether series have that name: a metric's own, or that of a part of a histogram.
pub fn is_series(name: &str) -> bool {
    let is_histogram = |name: &str| {
        Name::find(name).is_some_and(|name| matches!(name.metric().form, table::Form::Histogram(_)))
    };
    match Name::find(name) {
        Some(_) => !is_histogram(name),
        None => {
            ["_bucket", "_sum", "_count"].iter().filter_map(|part| name.strip_suffix(part)).any(is_histogram)
        }
    }
}

/// A metric, for documentation and for what is checked against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Described {
    /// The name; of a counter with `_total`, of a histogram without `_bucket`, `_sum` and `_count`.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub form: &'static str,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it is.
    pub help: &'static str,
}

/// Every metric there is.
pub fn described() -> impl Iterator<Item = Described> {
    Name::ALL.iter().map(|name| describe(*name))
}

fn describe(name: Name) -> Described {
    let table::Metric { name, form, labels, help } = *name.metric();
    Described { name, form: form.name(), labels, help }
}

/// What is counted between scrapes, and asked for by them.
#[derive(Debug)]
pub(crate) struct Metrics {
    network: Network,
    health: Arc<Health>,
    excluded: BTreeSet<Name>,
    /// The labels of all metrics.
    identity: LabelSet,
    detail: Detail,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    entities: Entities,
    ledger: Ledger,
}

impl Metrics {
    pub(crate) fn new(network: Network, options: MetricsOptions, health: Arc<Health>) -> Self {
        let identity = LabelSet::new(options.labels.iter().map(|(name, value)| (&**name, &**value)));
        let ledger = Ledger::new(options.detail, identity.clone(), options.zero_for);
        let entities = Entities::since(network.snapshot().revision());
        Self {
            network,
            health,
            excluded: options.exclude.iter().filter_map(|name| Name::find(name)).collect(),
            identity,
            detail: options.detail,
            state: Mutex::new(State { entities, ledger }),
        }
    }

    /// The metrics that are not left out.
    pub(crate) fn described(&self) -> impl Iterator<Item = Described> {
        Name::ALL.iter().filter(|name| !self.excluded.contains(name)).map(|name| describe(*name))
    }

    /// By what connections are counted.
    pub(crate) fn detail(&self) -> Detail {
        self.detail
    }

    /// Takes note of what happened since the last time.
    pub(crate) fn observe(&self) {
        let snapshot = self.network.snapshot();
        let is_final = self.is_final();
        self.lock().observe(&snapshot, Instant::now(), is_final);
    }

    /// What counters of the network come to, for the next process.
    pub(crate) fn save(&self) -> Vec<u8> {
        let snapshot = self.network.snapshot();
        let is_final = self.is_final();
        let mut state = self.lock();
        state.observe(&snapshot, Instant::now(), is_final);
        let mut saved = Saved::default();
        state.ledger.save(&mut saved);
        state.entities.save(&mut saved);
        saved.into_octets(state.ledger.counted(&snapshot))
    }

    /// Has them go on from what a former process counted.
    ///
    /// # Errors
    ///
    /// Where that is not what one kept.
    pub(crate) fn restore(&self, octets: &[u8]) -> Result<(), CountersError> {
        let mut saved = Saved::from_octets(octets)?;
        let mut state = self.lock();
        state.entities.restore(&saved);
        state.ledger.restore(&mut saved, Instant::now());
        Ok(())
    }

    /// Everything as it is now.
    pub(crate) fn gather(&self) -> Gathered {
        let (snapshot, stats) = {
            let store = self.network.read();
            (store.snapshot(), store.stats())
        };
        let mut gathered = Gathered::without(&self.excluded);
        let now = Instant::now();
        let mut state = self.lock();
        let is_final = self.is_final();
        state.observe(&snapshot, now, is_final);
        state.entities.gather(&self.identity, &mut gathered);
        state.ledger.gather(now, is_final, &mut gathered);
        let (series, lanes) = state.ledger.size();
        drop(state);
        for (name, count) in [(Name::Series, series), (Name::Lanes, lanes)] {
            gathered.add(name, self.identity.clone(), SampleValue::Count(count as u64));
        }
        self.health.gather(&self.network.status().borrow(), &self.identity, &mut gathered);
        health::gather_store(&stats, &snapshot, &self.identity, &mut gathered);
        gathered
    }

    /// Whether nothing more will be reported.
    fn is_final(&self) -> bool {
        self.network.status().borrow().complete
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What a thread that panicked left behind is counted anew from what the store has.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn observe(&mut self, snapshot: &Snapshot, now: Instant, is_final: bool) {
        self.entities.observe(snapshot);
        self.ledger.observe(snapshot, now, is_final);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_have_the_names_of_metrics_and_of_parts_of_histograms() {
        let names =
            ["skupper_requests_total", "legacy_flow_latency_microseconds_bucket", "vanflow_collector_ready"];
        for name in names {
            assert!(is_series(name), "{name}");
        }
        let others = [
            "up",
            "skupper_requests",
            "skupper_requests_total_sum",
            "legacy_flow_latency_microseconds",
            "_sum",
        ];
        for name in others {
            assert!(!is_series(name), "{name}");
        }
    }

    #[test]
    fn labels_of_all_metrics_must_not_be_in_the_way_of_others() {
        assert_eq!(check_label("network"), Ok(()));
        assert_eq!(
            check_label("9").expect_err("a digit").to_string(),
            "a label cannot have the name `9`: it must be letters, digits and underscores, with no digit first and not \
             two underscores"
        );
        assert_eq!(
            check_label("site_id").expect_err("it is taken").to_string(),
            "a label cannot have the name `site_id`, which one of skupper_site_info has"
        );
        assert_eq!(
            check_metric("skupper_up").expect_err("none").to_string(),
            "there is no metric `skupper_up`"
        );
        assert_eq!(check_metric("skupper_site_info"), Ok(()));
    }
}
