//! What connections do, counted by where they come from and where they go.
//!
//! The store keeps totals of each *lane*: of the connections with the same listener, client host and connector. Each
//! time that somebody looks, what those totals grew by is added to the series of the label set that the lane has now.
//! So a connection costs nothing here, and labels are resolved once a lane, when the lane or what it refers to changes.
//!
//! # Counters do not fall
//!
//! A lane's totals may: a connection goes to another lane when its connector is reported. What the lanes of a series lost
//! and gained between two looks is taken together; a loss that remains is passed over. Connections opened less those
//! closed is always the number of those that are open.
//!
//! # Label sets change
//!
//! A process may be reported after its connections, or be renamed. When all lanes of a series go over to one label set that
//! has no series yet, the series itself goes over, with its counts. Otherwise its past stays, and the connections that
//! are open are closed there and opened here.
//!
//! # Birth
//!
//! Prometheus sees growth only between two samples, so that a counter that begins above 0 loses what it began with. A
//! series is shown as 0 for a while; but not one that begins with connections from before the collector seen their
//! source, whose counts are no growth. All scrapers see the same: nothing is kept of them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use tokio::time::Instant;
use vanflow_proto::{RecordKind, Timestamp};
use vanflow_store::{Connection, Lane, LaneRef, Record, Snapshot, lane::LaneRevision};

use crate::{
    metrics::{
        Detail,
        ends::{Ends, Resolved, Values, named, resolve},
        exposition::{Gathered, Sample, Value},
        growth::Counted,
        labels::Labels,
        series::{Birth, Series},
        table::Name,
    },
    v2alpha1::{Derived, Flow, Needs, View},
};

/// All series.
#[derive(Debug)]
pub(crate) struct Ledger {
    detail: Detail,
    identity: Labels,
    zero_for: Duration,
    series: Vec<Option<Series>>,
    free: Vec<usize>,
    by_values: HashMap<Values, usize>,
    /// What was seen of each lane, by its slot.
    seen: Vec<Option<Seen>>,
    /// How the records stood that labels are made of, when they were looked at last.
    standing: Standing,
    /// Series that have something to be added, or no lane any more.
    touched: BTreeSet<usize>,
}

/// Records that labels are made of: how many there are, and the revision of the latest change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Standing {
    records: usize,
    latest: u64,
}

/// What was seen of a lane.
#[derive(Debug)]
struct Seen {
    at: LaneRef,
    revision: LaneRevision,
    is_drained: bool,
    /// None until it is known where the lane goes, or nobody reports although something happened on it.
    series: Option<usize>,
    counted: Counted,
}

struct Move {
    ends: Ends,
    lanes: Vec<usize>,
}

/// How old a connection that something went through is when its connector counts as never reported, in microseconds by the
/// clock of its source.
const REPORTED_WITHIN_MICROS: u64 = 5_000_000;

impl Ledger {
    pub(crate) fn new(detail: Detail, identity: Labels, zero_for: Duration) -> Self {
        Self {
            detail,
            identity,
            zero_for,
            series: Vec::new(),
            free: Vec::new(),
            by_values: HashMap::new(),
            seen: Vec::new(),
            standing: Standing::default(),
            touched: BTreeSet::new(),
        }
    }

    /// Counts what happened since the last time.
    pub(crate) fn observe(&mut self, snapshot: &Snapshot, now: Instant) {
        let standing = standing(snapshot);
        let is_new_standing = standing != std::mem::replace(&mut self.standing, standing);
        self.leave(snapshot);
        if self.seen.len() < snapshot.lane_slots() {
            self.seen.resize_with(snapshot.lane_slots(), || None);
        }
        let mut derived = None;
        // Lanes whose labels are others now, by their series and the new labels.
        let mut moves = BTreeMap::<(usize, Values), Move>::new();
        let mut changed = Vec::new();
        for lane in snapshot.lanes() {
            let slot = lane.at().slot();
            let seen = self.seen[slot].get_or_insert_with(|| Seen::new(lane.at()));
            let is_changed = seen.revision != lane.revision();
            if !is_changed && !is_new_standing && seen.series.is_some() {
                continue;
            }
            if is_changed {
                seen.revision = lane.revision();
                changed.push(slot);
            }
            let was_drained = std::mem::replace(&mut seen.is_drained, lane.retained() == 0);
            if let Some(series) = seen.series.and_then(|id| self.series[id].as_mut()) {
                series.drained += usize::from(seen.is_drained);
                series.drained -= usize::from(was_drained);
            }
            let Some(connection) = lane.connections().next() else { continue };
            let derived = derived.get_or_insert_with(|| Derived::new(snapshot, Needs::default()));
            let Some(flow) = Connection::new(connection).map(Flow::new) else { continue };
            if seen.series.is_none() && flow.connector().is_none() && !is_never_reported(lane) {
                continue;
            }
            let resolved = resolve(&flow, View { snapshot, derived }, self.detail);
            let Some(id) = seen.series else {
                let birth = Birth((!is_from_before(connection, lane.start())).then_some(now));
                let id = self.enter(resolved, birth);
                if let Some(seen) = &mut self.seen[slot] {
                    seen.series = Some(id);
                }
                // It may have waited for that with counts that are not new.
                changed.push(slot);
                continue;
            };
            let Some(series) = self.series[id].as_mut() else { continue };
            if series.values == resolved.values {
                series.ends = resolved.ends;
            } else {
                let to = moves
                    .entry((id, resolved.values))
                    .or_insert(Move { ends: resolved.ends, lanes: Vec::new() });
                to.lanes.push(slot);
            }
        }
        for ((from, values), Move { ends, lanes }) in moves {
            self.relabel(from, Resolved { values, ends }, &lanes, now);
        }
        changed.sort_unstable();
        changed.dedup();
        for slot in changed {
            let Some(seen) = &mut self.seen[slot] else { continue };
            let (Some(id), Some(lane)) = (seen.series, snapshot.lane(seen.at)) else { continue };
            let Some(series) = self.series[id].as_mut() else { continue };
            let counted = Counted::of(lane);
            series.pending.add(&counted, &seen.counted);
            seen.counted = counted;
            self.touched.insert(id);
        }
        self.settle(snapshot, now, is_new_standing);
    }

    /// Lets go of lanes that are no more.
    fn leave(&mut self, snapshot: &Snapshot) {
        for slot in &mut self.seen {
            let Some(seen) = slot else { continue };
            if snapshot.lane(seen.at).is_some() {
                continue;
            }
            if let Some(id) = seen.series
                && let Some(series) = self.series[id].as_mut()
            {
                series.lanes -= 1;
                series.drained -= usize::from(seen.is_drained);
                series.pending.live -= seen.counted.live;
                self.touched.insert(id);
            }
            *slot = None;
        }
    }

    /// The series with that label set, with one more lane.
    fn enter(&mut self, resolved: Resolved, birth: Birth) -> usize {
        let id = match self.by_values.get(&resolved.values) {
            Some(id) => *id,
            None => {
                let id = self.free.pop().unwrap_or(self.series.len());
                if id == self.series.len() {
                    self.series.push(None);
                }
                self.by_values.insert(resolved.values.clone(), id);
                let labels = self.identity.with(named(&resolved.values));
                self.series[id] = Some(Series::new(resolved.values, labels, birth));
                id
            }
        };
        if let Some(series) = self.series[id].as_mut() {
            series.ends = resolved.ends;
            series.lanes += 1;
        }
        self.touched.insert(id);
        id
    }

    /// Takes lanes of a series over to another label set.
    fn relabel(&mut self, from: usize, to: Resolved, lanes: &[usize], now: Instant) {
        let Some(series) = self.series[from].as_mut() else { return };
        if lanes.len() == series.lanes - series.drained && !self.by_values.contains_key(&to.values) {
            self.by_values.remove(&series.values);
            self.by_values.insert(to.values.clone(), from);
            series.labels = self.identity.with(named(&to.values));
            series.values = to.values;
            series.ends = to.ends;
            series.begin_again(&self.identity, now, self.zero_for);
            return;
        }
        for slot in lanes {
            let Some(seen) = &mut self.seen[*slot] else { continue };
            let live = seen.counted.live;
            if let Some(series) = self.series[from].as_mut() {
                series.lanes -= 1;
                series.pending.live -= live;
            }
            self.touched.insert(from);
            let resolved = Resolved { values: to.values.clone(), ends: to.ends.clone() };
            let id = self.enter(resolved, Birth(Some(now)));
            if let Some(series) = self.series[id].as_mut() {
                series.pending.opened += live;
                series.pending.live += live;
            }
            if let Some(seen) = &mut self.seen[*slot] {
                seen.series = Some(id);
            }
        }
    }

    /// Adds what is to be added, and lets go of series that describe nothing any more.
    fn settle(&mut self, snapshot: &Snapshot, now: Instant, is_new_standing: bool) {
        let touched = std::mem::take(&mut self.touched);
        for id in &touched {
            if let Some(series) = self.series[*id].as_mut() {
                series.settle(&self.identity, now);
            }
        }
        let all = 0..self.series.len();
        let looked_at: Box<dyn Iterator<Item = usize>> =
            if is_new_standing { Box::new(all) } else { Box::new(touched.into_iter()) };
        for id in looked_at {
            let is_over = |series: &Series| series.lanes == 0 && !is_between_live(&series.ends, snapshot);
            if let Some(series) = self.series[id].take_if(|series| is_over(series)) {
                self.by_values.remove(&series.values);
                self.free.push(id);
            }
        }
    }

    /// How many series and lanes there are.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.by_values.len(), self.seen.iter().flatten().count())
    }

    pub(crate) fn gather(&self, now: Instant, gathered: &mut Gathered) {
        for series in self.series.iter().flatten() {
            let is_recent = |birth: Birth| birth.is_recent(now, self.zero_for);
            let mut push = |name, labels: &Labels, value, birth| {
                gathered.push(
                    name,
                    Sample {
                        labels: labels.clone(),
                        value,
                        is_new: is_recent(birth),
                        is_born: birth.0.is_some(),
                    },
                );
            };
            for (name, count) in [
                (Name::ConnectionsOpened, series.opened),
                (Name::ConnectionsClosed, series.closed),
                (Name::SentBytes, series.octets),
                (Name::ReceivedBytes, series.octets_reverse),
            ] {
                push(name, &series.labels, Value::Count(count), series.birth);
            }
            for requests in series.requests.values() {
                push(Name::Requests, &requests.labels, Value::Count(requests.count), requests.birth);
            }
            if let Some(latencies) = &series.latencies {
                for (labels, histogram) in [&latencies.incoming, &latencies.outgoing] {
                    push(Name::Latency, labels, Value::Histogram(histogram.clone()), latencies.birth);
                }
                let internal = Value::Histogram(latencies.internal.clone());
                push(Name::InternalLatency, &series.labels, internal, latencies.birth);
            }
        }
    }
}

impl Seen {
    fn new(at: LaneRef) -> Self {
        Self {
            at,
            revision: LaneRevision::default(),
            is_drained: false,
            series: None,
            counted: Counted::default(),
        }
    }
}

/// The records that labels are made of.
fn standing(snapshot: &Snapshot) -> Standing {
    use RecordKind::{Connector, Listener, Process, Router, Site};
    let is_flow = |record: &Record<'_>| record.kind().is_some_and(RecordKind::is_flow);
    let mut standing = Standing::default();
    // Flows come after all others.
    for record in snapshot.records().take_while(|record| !is_flow(record)) {
        if matches!(record.kind(), Some(Site | Router | Listener | Connector | Process)) {
            standing.records += 1;
            standing.latest = standing.latest.max(record.revision().as_u64());
        }
    }
    standing
}

/// Whether a connector that is not known will not be reported any more: mostly it comes milliseconds after the start, and
/// what is merely not reported yet makes no series.
fn is_never_reported(lane: Lane<'_>) -> bool {
    lane.connections().filter_map(Connection::new).any(|connection| {
        let octets = [connection.octets(), connection.octets_reverse()];
        let is_used = octets.into_iter().flatten().any(|octets| octets > 0);
        let is_old = connection.duration_micros().is_some_and(|micros| micros >= REPORTED_WITHIN_MICROS);
        !connection.is_live() || is_used && is_old
    })
}

/// Whether a lane began before its source was seen, by the clock of the source.
fn is_from_before(connection: Record<'_>, start: Option<Timestamp>) -> bool {
    let (Some(source), Some(start)) = (connection.source(), start) else { return false };
    let heard = source.first_heard().as_micros().saturating_add_signed(source.clock_offset_micros());
    start.as_micros() < heard
}

/// Whether both processes were reported and are there: connections may come again, and what was counted of them goes on.
fn is_between_live(ends: &Ends, snapshot: &Snapshot) -> bool {
    ends.iter().all(|end| {
        let record = end.as_ref().and_then(|id| snapshot.find(id).next());
        record.is_some_and(|record| record.is_live() && record.site().is_none_or(|site| site.is_live()))
    })
}
