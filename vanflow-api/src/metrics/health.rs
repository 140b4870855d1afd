//! How the collector itself is doing: what is counted on the way, and what the store and its sources say.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http::StatusCode;
use vanflow_history::rows::Rows;
use vanflow_proto::RecordKind;
use vanflow_store::{Snapshot, Stats};

use crate::{
    metrics::{
        exposition::{Gathered, Histogram, SampleValue},
        labels::LabelSet,
        table::{ANSWERS, Name},
        turned_away::{FailedLogIn, Refusals, TurnedAway},
    },
    network::Status,
    v2alpha1,
};

/// Counts of what happened outside of the store, kept by whoever runs the API. All threads may add to them.
#[derive(Debug, Default)]
pub struct Health {
    /// Updates merged, by the code of their type; the last is for types that the table does not have, and for updates
    /// that report none.
    records: [AtomicU64; RecordKind::ALL.len() + 1],
    refused: AtomicU64,
    failures: AtomicU64,
    connection: Mutex<Connection>,
    lag_micros: AtomicU64,
    /// Octets; 0 where that is not known.
    resident: AtomicU64,
    allocated: AtomicU64,
    watchers: AtomicU64,
    refusals: Refusals,
    answers: Mutex<Answers>,
    history: Mutex<Option<HistoryKept>>,
    /// What has ended and is kept.
    rows: OnceLock<Arc<dyn Rows>>,
    /// What became of what has ended, by where it is written.
    written: Mutex<BTreeMap<&'static str, Written>>,
    /// What is wrong with places where it is kept, by their names.
    troubles: Mutex<BTreeMap<&'static str, String>>,
}

/// What became of connections and requests that have ended, where they are written somewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Those that were written.
    pub written: u64,
    /// Those that were not, and will not be.
    pub lost: u64,
}

/// What the connection to the router says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connection {
    /// AMQP connections that came about.
    pub connections: u64,
    /// FLUSHes sent.
    pub flushes: u64,
    /// Those that followed one without an answer, or with half of one.
    pub flushes_retried: u64,
    /// Those that nobody took.
    pub flushes_refused: u64,
    /// Sources that were announced and of which nothing is known yet.
    pub on_trial: u64,
    /// Messages of routers that did not come.
    pub lost: u64,
    /// Messages that were too large, or could not be read.
    pub refused: u64,
    /// Beacons passed over.
    pub beacons_refused: u64,
    /// Messages received on `mc/sfe.all`.
    pub on_all: u64,
    /// Messages received on sources' bare addresses.
    pub on_source: u64,
    /// Messages received on `.flows`.
    pub on_flows: u64,
    /// Messages received on `.logs`.
    pub on_logs: u64,
    /// Messages received on `.heartbeats`.
    pub on_heartbeats: u64,
    /// Octets of all those messages.
    pub octets: u64,
    /// Events received and not merged yet.
    pub waiting: u64,
    /// Events that may wait.
    pub may_wait: u64,
}

/// What a history of metrics keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HistoryKept {
    pub(crate) stats: vanflow_history::Stats,
    /// Since when, in milliseconds since the epoch.
    pub(crate) oldest: Option<i64>,
    /// When it was fed last, likewise.
    pub(crate) latest: Option<i64>,
    /// What it may take, in octets.
    pub(crate) limit: usize,
}

/// What was counted outside of the store, for those who judge how well the network is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// What the connection to the router says of itself.
    pub(crate) connection: Connection,
    /// Messages and records that were not taken.
    pub(crate) refused: u64,
    /// From receiving the latest records to having merged them.
    pub(crate) lag_micros: u64,
    pub(crate) history: Option<HistoryKept>,
}

#[derive(Debug, Default)]
struct Answers {
    requests: BTreeMap<(&'static str, u16), u64>,
    times: BTreeMap<&'static str, Histogram>,
}

/// Records of types that the table does not have, or of no type.
const UNKNOWN_TYPE: usize = RecordKind::ALL.len();

impl Health {
    /// Updates of that kind were merged; none stands for types that the table does not have, and for updates that do
    /// not report theirs.
    pub fn merged(&self, kind: Option<RecordKind>, updates: u64) {
        let place = kind.map_or(UNKNOWN_TYPE, |kind| kind.code() as usize);
        self.records[place.min(UNKNOWN_TYPE)].fetch_add(updates, Ordering::Relaxed);
    }

    /// A record was not to be read, or a message in a capture.
    pub fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// The connection to the router was lost, or did not come about.
    pub fn detached(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// What the connection to the router says of itself now.
    pub fn connection(&self, connection: Connection) {
        *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = connection;
    }

    /// The time from receiving the latest records to having merged them, in microseconds.
    pub fn lag(&self, micros: u64) {
        self.lag_micros.store(micros, Ordering::Relaxed);
    }

    /// The resident memory of the process, in octets.
    pub fn resident(&self, octets: u64) {
        self.resident.store(octets, Ordering::Relaxed);
    }

    /// What the process has allocated, in octets.
    pub fn allocated(&self, octets: u64) {
        self.allocated.store(octets, Ordering::Relaxed);
    }

    /// Somebody was not answered as they asked.
    pub fn turned_away(&self, why: TurnedAway) {
        self.refusals.turned_away(why);
    }

    /// Somebody was not let in, for what they showed was wrong.
    pub fn log_in_failed(&self, wrong: FailedLogIn) {
        self.refusals.log_in_failed(wrong);
    }

    pub(crate) fn asked(&self, route: &'static str, status: StatusCode) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        *answers.requests.entry((route, status.as_u16())).or_default() += 1;
    }

    pub(crate) fn answered(&self, route: &'static str, time: Duration) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let times = answers.times.entry(route).or_insert_with(|| Histogram::new(ANSWERS));
        times.observe(ANSWERS, time.as_secs_f64());
    }

    pub(crate) fn watching(&self) {
        self.watchers.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn watched(&self) {
        self.watchers.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn remembered(&self, kept: HistoryKept) {
        *self.history.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
    }

    pub(crate) fn holds(&self, rows: Arc<dyn Rows>) {
        // There is one API of a health.
        let _ = self.rows.set(rows);
    }

    /// What became of what has ended, all in all, there: `history`, `flow-log`, `clickhouse` or `bucket`.
    pub fn wrote(&self, to: &'static str, written: Written) {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).insert(to, written);
    }

    /// What is wrong there, in one line for people, or that nothing is.
    pub fn troubled(&self, at: &'static str, trouble: Option<String>) {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        match trouble {
            Some(trouble) => drop(troubles.insert(at, trouble)),
            None => drop(troubles.remove(at)),
        }
    }

    /// What is wrong with places where what has ended is kept.
    pub(crate) fn troubles(&self) -> Vec<String> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(crate) fn figures(&self) -> Figures {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let connection = *self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        Figures {
            connection,
            refused: connection.refused + load(&self.refused),
            lag_micros: load(&self.lag_micros),
            history: *self.history.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    pub(crate) fn gather(&self, status: &Status, labels: &LabelSet, gathered: &mut Gathered) {
        let mut count = |name, count: u64| gathered.add(name, labels.clone(), SampleValue::Count(count));
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Figures { connection, refused, lag_micros, history } = self.figures();
        count(Name::Attached, u64::from(status.attached));
        count(Name::Ready, u64::from(status.attached && status.flushed));
        count(Name::RouterConnections, connection.connections);
        count(Name::RouterFailures, load(&self.failures));
        count(Name::MessageBytes, connection.octets);
        count(Name::Refused, refused);
        count(Name::BeaconsRefused, connection.beacons_refused);
        count(Name::Lost, connection.lost);
        count(Name::OnTrial, connection.on_trial);
        count(Name::Flushes, connection.flushes);
        count(Name::FlushesRetried, connection.flushes_retried);
        count(Name::FlushesRefused, connection.flushes_refused);
        count(Name::QueueLength, connection.waiting);
        count(Name::QueueCapacity, connection.may_wait);
        count(Name::Watchers, load(&self.watchers));
        for (name, octets) in [(Name::Resident, &self.resident), (Name::Heap, &self.allocated)] {
            let octets = load(octets);
            if octets > 0 {
                count(name, octets);
            }
        }
        gathered.add(Name::Lag, labels.clone(), SampleValue::Level(seconds(lag_micros)));
        if let Some(HistoryKept { stats: history, .. }) = history {
            let mut count = |name, count: u64| gathered.add(name, labels.clone(), SampleValue::Count(count));
            count(Name::HistorySeries, history.series as u64);
            count(Name::HistoryBytes, history.octets as u64);
            count(Name::HistoryEvicted, history.evicted_series);
            count(Name::HistoryRefused, history.refused_samples);
        }
        let held = self.rows.get().map(|rows| v2alpha1::held(&**rows)).unwrap_or_default();
        for (kind, held) in held {
            let labels = labels.with([("kind", kind)]);
            gathered.add(Name::EndedRows, labels.clone(), SampleValue::Count(held.rows));
            gathered.add(Name::EndedBytes, labels.clone(), SampleValue::Count(held.octets));
            gathered.add(Name::EndedMemory, labels.clone(), SampleValue::Count(held.memory));
            if let Some(since) = held.since {
                gathered.add(Name::EndedSince, labels, SampleValue::Level(seconds(since)));
            }
        }
        for (to, became) in &*self.written.lock().unwrap_or_else(PoisonError::into_inner) {
            let labels = labels.with([("to", *to)]);
            gathered.add(Name::EndedWritten, labels.clone(), SampleValue::Count(became.written));
            gathered.add(Name::EndedLost, labels, SampleValue::Count(became.lost));
        }
        let version = labels.with([("version", env!("CARGO_PKG_VERSION"))]);
        gathered.add(Name::Build, version, SampleValue::Count(1));
        for (address, count) in [
            ("all", connection.on_all),
            ("source", connection.on_source),
            ("flows", connection.on_flows),
            ("logs", connection.on_logs),
            ("heartbeats", connection.on_heartbeats),
        ] {
            gathered.add(Name::Messages, labels.with([("address", address)]), SampleValue::Count(count));
        }
        self.refusals.gather(labels, gathered);
        let kinds = RecordKind::ALL.iter().map(|kind| kind.name()).chain(["unknown"]);
        for (name, count) in kinds.zip(self.records.iter().map(load)) {
            gathered.add(Name::Records, labels.with([("type", name)]), SampleValue::Count(count));
        }
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        for ((route, code), count) in &answers.requests {
            let labels = labels.with([("route", *route), ("code", itoa::Buffer::new().format(*code))]);
            gathered.add(Name::HttpRequests, labels, SampleValue::Count(*count));
        }
        for (route, times) in &answers.times {
            let value = SampleValue::Histogram(Arc::new(times.clone()));
            gathered.add(Name::HttpSeconds, labels.with([("route", *route)]), value);
        }
    }
}

/// What the store says of itself and of its sources.
pub(crate) fn gather_store(stats: &Stats, snapshot: &Snapshot, labels: &LabelSet, gathered: &mut Gathered) {
    for (oddity, count) in stats.oddities.all() {
        let labels = labels.with([("reason", oddity.name())]);
        gathered.add(Name::Oddities, labels, SampleValue::Count(count));
    }
    for (state, count) in [
        ("complete", stats.sources.saturating_sub(stats.sources_incomplete)),
        ("incomplete", stats.sources_incomplete),
    ] {
        gathered.add(Name::Sources, labels.with([("state", state)]), SampleValue::Count(count as u64));
    }
    let unknown = [("unknown", stats.unknown)];
    let kinds = stats.kinds.iter().map(|(kind, tally)| (kind.name(), *tally));
    for (kind, tally) in kinds.chain(unknown).filter(|(_, tally)| tally.retained > 0) {
        for (state, count) in [("live", tally.live), ("ended", tally.retained.saturating_sub(tally.live))] {
            let labels = labels.with([("type", kind), ("state", state)]);
            gathered.add(Name::StoreRecords, labels, SampleValue::Count(count as u64));
        }
    }
    gathered.add(Name::StoreBytes, labels.clone(), SampleValue::Count(stats.memory as u64));
    gathered.add(Name::StoreSpareBytes, labels.clone(), SampleValue::Count(stats.spare as u64));
    gathered.add(Name::Evicted, labels.clone(), SampleValue::Count(stats.evicted));
    for source in snapshot.sources().filter(|source| source.is_alive()) {
        let labels = labels.with([("source", source.id()), ("source_type", source.source_type().name())]);
        let mut add = |name, value| gathered.add(name, labels.clone(), value);
        add(Name::SourceRecords, SampleValue::Count(source.updates()));
        add(Name::SourceHeard, SampleValue::Level(seconds(source.last_heard().as_micros())));
        add(Name::SourceLive, SampleValue::Count(source.live_records().into()));
        add(Name::SourceClock, SampleValue::Level(source.clock_offset_micros() as f64 / 1e6));
        add(Name::SourceIncomplete, SampleValue::Count(source.is_incomplete().into()));
        add(Name::SourceSaturated, SampleValue::Count(source.lacks_flows().into()));
        add(Name::SourceRefused, SampleValue::Count(source.refused_records()));
    }
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}
