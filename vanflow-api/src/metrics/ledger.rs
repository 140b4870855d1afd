//! What connections do, counted by where they come from and where they go.
//!
//! The store keeps totals of each *lane*: of the connections with the same listener, client host and connector. Each
//! time that somebody looks, what those totals grew by is added to the series of the label set that the lane has now.
//! So a connection costs nothing here, and labels are resolved once a lane, when the lane or what it refers to changes.
//!
//! # Counters do not fall
//!
//! What a connection comes to is counted by the label set that it has when somebody looks, and stays there. A lane's totals
//! may fall: a connection goes to another lane when its connector is reported. So what it comes to is withheld until both
//! of its routers have reported it, or that was waited for long enough (`withheld`). One that goes elsewhere even later,
//! or that is explained otherwise than before, is *carried*: the store says which those are
//! ([`Snapshot::lane_moves`]), what was counted of them stays where it was, they are counted elsewhere without that, and
//! closed where they were opened. What else is lost, such as the end of a connection that was only presumed, is made up
//! for by what comes later. So in all label sets together there is what the records come to.
//!
//! # Label sets change
//!
//! A process may be reported after its connections, or be renamed. When all lanes of a series go over to one label set, its
//! counts go with them: the series itself, or, where that label set has one, into that. Otherwise its past stays, and the
//! connections that are open are carried.
//!
//! # Birth
//!
//! Prometheus sees growth only between two samples, so that a counter that begins above 0 loses what it began with. A
//! series is shown as 0 for a while; but not one that begins with connections from before the collector knew their
//! source, whose counts are no growth. All scrapers see the same: nothing is kept of them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use tokio::time::Instant;
use vanflow_proto::{RecordKind, Timestamp};
use vanflow_store::{
    Connection, Lane, LaneRef, Record, RecordRef, Snapshot,
    lane::{LaneMove, LaneRevision},
};

use crate::{
    metrics::{
        Detail,
        ends::{Ends, Resolved, Values, named, resolve},
        exposition::{ALL_BOUNDS, Gathered, Sample, SampleValue},
        fine::FineLatencies,
        growth::Counted,
        labels::LabelSet,
        saved::{Saved, SavedConnection, SavedSeries},
        series::{Birth, Series},
        table::Name,
        withheld::{Arrivals, Moved, Unresolved, connection_of},
    },
    v2alpha1::{Derived, Flow, Needs, View, key_text},
};

/// All series.
#[derive(Debug)]
pub(crate) struct Ledger {
    detail: Detail,
    identity: LabelSet,
    zero_for: Duration,
    series: Vec<Option<Series>>,
    free: Vec<usize>,
    by_values: HashMap<Values, usize>,
    /// What was seen of each lane, by its slot.
    seen: Vec<Option<Seen>>,
    /// How the records stood that labels are made of, when they were looked at last.
    standing: Standing,
    /// The revision of lanes that was looked at last.
    looked_at: LaneRevision,
    /// Connections that were counted by another series than that of their lane, for as long as they are retained.
    carried: HashMap<RecordRef, Carried>,
    /// Series that have something to be added, or no lane any more.
    touched: BTreeSet<usize>,
    fine: FineLatencies,
    /// What a former process counted, by label sets that nothing has yet.
    saved: HashMap<Values, SavedSeries>,
    /// Connections that are in it, and were not seen yet.
    before: HashMap<String, SavedConnection>,
    /// Until when they are waited for.
    before_until: Option<Instant>,
}

/// How long connections that a former process counted are waited for: those whose ends are not known are counted only after
/// a while.
const BEFORE_FOR: Duration = Duration::from_secs(120);

/// A connection that is counted as opened, and in the end as closed, by another series than that of its lane.
#[derive(Debug)]
struct Carried {
    id: String,
    from: usize,
    to: usize,
    is_closed: bool,
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
    /// None until it is known where the lane goes, or that was waited for long enough.
    series: Option<usize>,
    counted: Counted,
    /// Its connections, while it is not known where they go.
    unresolved: Option<Box<Unresolved>>,
    /// What its labels were last, while nothing of it is counted.
    labels: Option<Resolved>,
}

struct Move {
    ends: Ends,
    lanes: Vec<usize>,
}

impl Ledger {
    pub(crate) fn new(detail: Detail, identity: LabelSet, zero_for: Duration) -> Self {
        Self {
            detail,
            identity,
            zero_for,
            series: Vec::new(),
            free: Vec::new(),
            by_values: HashMap::new(),
            seen: Vec::new(),
            standing: Standing::default(),
            looked_at: LaneRevision::default(),
            carried: HashMap::new(),
            touched: BTreeSet::new(),
            fine: FineLatencies::default(),
            saved: HashMap::new(),
            before: HashMap::new(),
            before_until: None,
        }
    }

    /// Goes on from what a former process counted. What was counted by this one already stays.
    pub(crate) fn restore(&mut self, saved: &mut Saved, now: Instant) {
        self.saved = std::mem::take(&mut saved.series);
        self.fine.saved = std::mem::take(&mut saved.fine);
        self.before = std::mem::take(&mut saved.connections);
        self.before_until = Some(now + BEFORE_FOR);
        for series in self.series.iter_mut().flatten() {
            if let Some(saved) = self.saved.remove(&series.values) {
                series.restore(saved, &self.identity);
            }
        }
    }

    /// What it came to, for the next process, but for [`Ledger::counted`].
    pub(crate) fn save(&self, saved: &mut Saved) {
        // What nothing had here is as it was.
        saved.series = self.saved.clone();
        saved
            .series
            .extend(self.series.iter().flatten().map(|series| (series.values.clone(), series.saved())));
        saved.fine = self.fine.saved.clone();
        saved.fine.extend(self.fine.saved());
    }

    /// Connections that are in what it came to, by the snapshot that was observed last.
    pub(crate) fn counted<'s>(
        &'s self,
        snapshot: &'s Snapshot,
    ) -> impl Iterator<Item = (String, SavedConnection)> + 's {
        let before = self.before.iter().map(|(key, known)| (key.clone(), *known));
        let seen = |lane: Lane<'_>| self.seen.get(lane.at().slot()).and_then(Option::as_ref);
        let lanes = snapshot.lanes().filter_map(move |lane| Some((lane, seen(lane)?)));
        before.chain(lanes.flat_map(|(lane, seen)| {
            let counted = lane.connections().filter(|record| seen.has_counted(*record));
            counted.filter_map(move |record| {
                let connection = Connection::new(record)?;
                Some((key_text(record.id(), record.start()), SavedConnection::of(connection, lane)))
            })
        }))
    }

    /// Takes away what a former process has counted of the connections of a lane.
    fn look_back(&mut self, slot: usize, lane: Lane<'_>) {
        let Some(seen) = &self.seen[slot] else { return };
        let Some(series) = seen.series.and_then(|id| self.series[id].as_mut()) else { return };
        for record in lane.connections().filter(|record| seen.has_counted(*record)) {
            if let Some(before) = self.before.remove(&key_text(record.id(), record.start()))
                && let Some(connection) = Connection::new(record)
            {
                let share = before.before(connection, lane);
                series.pending.add(&Counted::default(), &share);
            }
        }
    }

    /// Counts what happened since the last time. `is_final` says that nothing more will be reported.
    pub(crate) fn observe(&mut self, snapshot: &Snapshot, now: Instant, is_final: bool) {
        let standing = standing(snapshot);
        let is_new_standing = standing != std::mem::replace(&mut self.standing, standing);
        let looked_at = std::mem::replace(&mut self.looked_at, snapshot.lanes_revision());
        let moved = self.moved(snapshot, looked_at);
        self.end_carried(snapshot);
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
            if !is_changed && !is_new_standing && !seen.withholds() && seen.series.is_some() {
                continue;
            }
            if is_changed {
                seen.revision = lane.revision();
                changed.push(slot);
            }
            if lane.has_both_ends() {
                if seen.unresolved.take().is_some() {
                    changed.push(slot);
                }
            } else if is_changed || seen.unresolved.is_none() || seen.withholds() {
                let arrivals = Arrivals {
                    moved: &moved,
                    are_counted: seen.unresolved.is_none() && seen.series.is_some(),
                    are_final: is_final,
                };
                seen.unresolved.get_or_insert_default().observe(snapshot, lane, arrivals);
                changed.push(slot);
            }
            let was_drained = std::mem::replace(&mut seen.is_drained, lane.retained() == 0);
            if let Some(series) = seen.series.and_then(|id| self.series[id].as_mut()) {
                series.drained += usize::from(seen.is_drained);
                series.drained -= usize::from(was_drained);
            }
            let is_withheld = !seen.has_counts(lane);
            let Some(connection) = lane.connections().next() else {
                // All of it left the store before it was counted.
                if seen.series.is_none()
                    && !is_withheld
                    && let Some(labels) = seen.labels.take()
                {
                    let id = self.enter(labels, Birth(Some(now)));
                    if let (Some(seen), Some(series)) = (&mut self.seen[slot], &mut self.series[id]) {
                        seen.series = Some(id);
                        series.drained += usize::from(seen.is_drained);
                    }
                    changed.push(slot);
                }
                continue;
            };
            let derived = derived.get_or_insert_with(|| Derived::new(snapshot, Needs::default()));
            let Some(flow) = Connection::new(connection).map(Flow::new) else { continue };
            let resolved = resolve(&flow, View { snapshot, derived }, self.detail);
            if seen.series.is_none() && is_withheld {
                seen.labels = Some(resolved);
                continue;
            }
            seen.labels = None;
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
        for (at, moved) in moved {
            if let Moved::Counted { by, share } = moved {
                self.carry(snapshot, at, by, share);
            }
        }
        let from: Vec<_> = moves.keys().map(|(from, _)| *from).collect();
        let split: BTreeSet<_> =
            from.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
        for ((from, values), Move { ends, lanes }) in moves {
            let to = Resolved { values, ends };
            let is_whole = !split.contains(&from) && self.is_whole(from, &lanes);
            if is_whole {
                self.relabel(from, to, now);
            } else {
                self.relabel_lanes(snapshot, from, &to, &lanes, now);
            }
        }
        changed.sort_unstable();
        changed.dedup();
        for slot in changed {
            let Some(seen) = &mut self.seen[slot] else { continue };
            let (Some(id), Some(lane)) = (seen.series, snapshot.lane(seen.at)) else { continue };
            let Some(series) = self.series[id].as_mut() else { continue };
            seen.count(lane, &mut series.pending);
            self.touched.insert(id);
            if !self.before.is_empty() {
                self.look_back(slot, lane);
            }
        }
        if self.before_until.take_if(|until| *until <= now).is_some() {
            self.before = HashMap::new();
        }
        self.settle(snapshot, now, is_new_standing);
    }

    /// What is known of connections that went to another lane after that revision.
    fn moved(&mut self, snapshot: &Snapshot, after: LaneRevision) -> HashMap<RecordRef, Moved> {
        let mut moved = HashMap::new();
        for LaneMove { at, from, .. } in snapshot.lane_moves(after) {
            let Some(record) = snapshot.get(at) else { continue };
            let Some(connection) = connection_of(record) else { continue };
            let seen = self.seen.get(from.slot()).and_then(Option::as_ref).filter(|seen| seen.at == from);
            let known = seen.and_then(|seen| match &seen.unresolved {
                Some(unresolved) => unresolved.moved(record, seen.series),
                None => seen.series.map(|by| Moved::Counted { by, share: None }),
            });
            // The first move of several comes last.
            moved.insert(connection.record().at(), known);
        }
        for LaneMove { at, from, .. } in snapshot.lane_moves(after) {
            let seen = self.seen.get_mut(from.slot()).and_then(Option::as_mut).filter(|seen| seen.at == from);
            if let Some(unresolved) = seen.and_then(|seen| seen.unresolved.as_mut()) {
                unresolved.forget(at);
            }
        }
        moved.into_iter().filter_map(|(at, moved)| Some((at, moved?))).collect()
    }

    /// Keeps what was counted of a connection where it was counted, though it belongs elsewhere now.
    fn carry(&mut self, snapshot: &Snapshot, at: RecordRef, from: usize, share: Option<Box<Counted>>) {
        let Some(connection) = snapshot.get(at).and_then(Connection::new) else { return };
        let Some(lane) = connection.lane() else { return };
        let to = self.seen[lane.at().slot()].as_ref().and_then(|seen| seen.series);
        let Some(to) = to.filter(|to| *to != from) else { return };
        let share = share.map_or_else(|| Counted::of_connection(connection, lane), |share| *share);
        let stays = Counted { closed: connection.contribution().is_closed.into(), ..share };
        let nothing = Counted::default();
        for (id, now, before) in [(from, &stays, &nothing), (to, &nothing, &stays)] {
            if let Some(series) = self.series[id].as_mut() {
                series.pending.add(now, before);
            }
            self.touched.insert(id);
        }
        self.carry_closing(connection, from, to);
    }

    /// Has a connection closed where it was opened, though its lane belongs to another series.
    fn carry_closing(&mut self, connection: Connection<'_>, from: usize, to: usize) {
        let contribution = connection.contribution();
        let (at, id) = (connection.record().at(), connection.record().id().to_string());
        // One that was carried before is closed where it was opened.
        let before = self.carried.remove(&at);
        let opened_by = before.as_ref().filter(|before| before.id == id).map_or(from, |before| before.from);
        if contribution.is_opened {
            for series in [opened_by, to] {
                if let Some(series) = self.series[series].as_mut() {
                    series.carried += 1;
                }
            }
            let is_closed = contribution.is_closed;
            self.carried.insert(at, Carried { id, from: opened_by, to, is_closed });
        }
        if let Some(before) = before {
            self.release(&before);
        }
    }

    /// Closes carried connections where they were opened.
    fn end_carried(&mut self, snapshot: &Snapshot) {
        let mut all = std::mem::take(&mut self.carried);
        all.retain(|at, carried| {
            let record = snapshot.get(*at).filter(|record| record.id() == *carried.id);
            let connection = record.and_then(connection_of);
            let is_closed = connection.is_none_or(|connection| connection.contribution().is_closed);
            if is_closed != std::mem::replace(&mut carried.is_closed, is_closed) {
                let change = if is_closed { 1 } else { -1 };
                for (id, change) in [(carried.from, change), (carried.to, -change)] {
                    if let Some(series) = self.series[id].as_mut() {
                        series.pending.closed += change;
                    }
                    self.touched.insert(id);
                }
            }
            if record.is_none() {
                self.release(carried);
            }
            record.is_some()
        });
        self.carried = all;
    }

    fn release(&mut self, carried: &Carried) {
        for id in [carried.from, carried.to] {
            if let Some(series) = self.series[id].as_mut() {
                series.carried -= 1;
            }
            self.touched.insert(id);
        }
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
                // Whatever was open has been closed since.
                series.pending.closed += seen.counted.opened - seen.counted.closed;
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
                let mut series = Series::new(resolved.values, labels, birth);
                if let Some(saved) = self.saved.remove(&series.values) {
                    series.restore(saved, &self.identity);
                }
                self.series[id] = Some(series);
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

    /// Whether these are all lanes of a series that have connections.
    fn is_whole(&self, id: usize, lanes: &[usize]) -> bool {
        self.series[id].as_ref().is_some_and(|series| lanes.len() == series.lanes - series.drained)
    }

    /// Takes a series over to another label set.
    fn relabel(&mut self, from: usize, to: Resolved, now: Instant) {
        if let Some(other) = self.by_values.get(&to.values).copied() {
            return self.merge(from, other, now);
        }
        let Some(series) = self.series[from].as_mut() else { return };
        self.by_values.remove(&series.values);
        self.by_values.insert(to.values.clone(), from);
        series.labels = self.identity.with(named(&to.values));
        series.values = to.values;
        series.ends = to.ends;
        series.begin_again(&self.identity, now, self.zero_for);
        if let Some(saved) = self.saved.remove(&series.values) {
            series.restore(saved, &self.identity);
        }
    }

    /// Takes some lanes of a series over to another label set. What they came to so far stays.
    fn relabel_lanes(
        &mut self,
        snapshot: &Snapshot,
        from: usize,
        to: &Resolved,
        lanes: &[usize],
        now: Instant,
    ) {
        for slot in lanes {
            let Some(seen) = &mut self.seen[*slot] else { continue };
            let Some(lane) = snapshot.lane(seen.at) else { continue };
            if let Some(series) = self.series[from].as_mut() {
                seen.count(lane, &mut series.pending);
                series.lanes -= 1;
            }
            let unresolved = seen.unresolved.as_ref();
            let is_counted =
                |open: &Record<'_>| unresolved.is_none_or(|unresolved| unresolved.counted(*open).is_some());
            let open = lane.connections().filter(|open| open.is_live() && is_counted(open));
            let open: Vec<_> = open.filter_map(Connection::new).collect();
            let resolved = Resolved { values: to.values.clone(), ends: to.ends.clone() };
            let id = self.enter(resolved, Birth(Some(now)));
            if let Some(seen) = &mut self.seen[*slot] {
                seen.series = Some(id);
            }
            self.touched.insert(from);
            open.into_iter().for_each(|connection| self.carry_closing(connection, from, id));
        }
    }

    /// Adds what was counted in a series to another, which takes its place.
    fn merge(&mut self, from: usize, to: usize, now: Instant) {
        let Some(gone) = self.series[from].take() else { return };
        self.by_values.remove(&gone.values);
        self.free.push(from);
        self.touched.remove(&from);
        self.touched.insert(to);
        for seen in self.seen.iter_mut().flatten().filter(|seen| seen.series == Some(from)) {
            seen.series = Some(to);
        }
        for carried in self.carried.values_mut() {
            for end in [&mut carried.from, &mut carried.to] {
                if *end == from {
                    *end = to;
                }
            }
        }
        if let Some(series) = self.series[to].as_mut() {
            series.absorb(gone, &self.identity, now);
        }
    }

    /// Adds what is to be added, and lets go of series that describe nothing any more.
    fn settle(&mut self, snapshot: &Snapshot, now: Instant, is_new_standing: bool) {
        let touched = std::mem::take(&mut self.touched);
        for id in &touched {
            if let Some(series) = self.series[*id].as_mut() {
                let birth = series.settle(&self.identity, now);
                self.fine.add(&series.values, birth, &mut series.pending.fine, &self.identity);
            }
        }
        let mut has_ended = is_new_standing;
        let all = 0..self.series.len();
        let looked_at: Box<dyn Iterator<Item = usize>> =
            if is_new_standing { Box::new(all) } else { Box::new(touched.into_iter()) };
        for id in looked_at {
            let is_over = |series: &Series| {
                series.lanes == 0 && series.carried == 0 && !is_between_live(&series.ends, snapshot)
            };
            if let Some(series) = self.series[id].take_if(|series| is_over(series)) {
                self.by_values.remove(&series.values);
                self.free.push(id);
                has_ended = true;
            }
        }
        if has_ended {
            self.fine.retain(self.series.iter().flatten().map(|series| &series.values));
        }
    }

    /// How many series and lanes there are.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.by_values.len(), self.seen.iter().flatten().count())
    }

    pub(crate) fn gather(&self, now: Instant, is_final: bool, gathered: &mut Gathered) {
        for series in self.series.iter().flatten() {
            // Nobody will see growth of what has ended.
            let is_recent = |birth: Birth| !is_final && birth.is_recent(now, self.zero_for);
            let mut push = |name, labels: &LabelSet, value, birth| {
                gathered.push(
                    name,
                    Sample {
                        labels: labels.clone(),
                        value,
                        is_new: is_recent(birth),
                        is_born: birth.0.is_some(),
                        born_bounds: ALL_BOUNDS,
                    },
                );
            };
            for (name, count) in [
                (Name::ConnectionsOpened, series.opened),
                (Name::ConnectionsClosed, series.closed),
                (Name::SentBytes, series.octets),
                (Name::ReceivedBytes, series.octets_reverse),
            ] {
                push(name, &series.labels, SampleValue::Count(count), series.birth);
            }
            for requests in series.requests.values() {
                push(Name::Requests, &requests.labels, SampleValue::Count(requests.count), requests.birth);
            }
            for failures in series.failures.values() {
                push(
                    Name::ConnectionsFailed,
                    &failures.labels,
                    SampleValue::Count(failures.count),
                    failures.birth,
                );
            }
            if let Some(latencies) = &series.latencies {
                for (labels, histogram) in [&latencies.incoming, &latencies.outgoing] {
                    push(Name::Latency, labels, SampleValue::Histogram(histogram.clone()), latencies.birth);
                }
                let internal = SampleValue::Histogram(latencies.internal.clone());
                push(Name::InternalLatency, &series.labels, internal, latencies.birth);
            }
        }
        let is_recent = |birth: Birth| !is_final && birth.is_recent(now, self.zero_for);
        self.fine.gather(is_recent, gathered);
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
            unresolved: None,
            labels: None,
        }
    }

    /// Adds what its connections came to since it was counted last.
    fn count(&mut self, lane: Lane<'_>, pending: &mut Counted) {
        let counted = Counted::of(lane);
        let counted = match &self.unresolved {
            Some(unresolved) => unresolved.without_withheld(counted),
            None => counted,
        };
        pending.add(&counted, &self.counted);
        self.counted = counted;
    }

    /// Whether what the connection that this record stands for comes to is counted.
    fn has_counted(&self, record: Record<'_>) -> bool {
        self.unresolved.as_ref().is_none_or(|unresolved| unresolved.counted(record).is_some())
    }

    /// Whether something of it is not counted yet.
    fn withholds(&self) -> bool {
        self.unresolved.as_ref().is_some_and(|unresolved| unresolved.withheld_connections() > 0)
    }

    /// Whether a lane has, or had, a connection that is not withheld.
    fn has_counts(&self, lane: Lane<'_>) -> bool {
        let withheld = self.unresolved.as_ref().map_or(0, |unresolved| unresolved.withheld_connections());
        let opened = self.unresolved.as_ref().map_or(0, |unresolved| unresolved.withheld().opened);
        lane.retained() > withheld || lane.totals().opened() > opened.unsigned_abs()
    }
}

/// The records that labels are made of.
fn standing(snapshot: &Snapshot) -> Standing {
    use RecordKind::{Connector, Listener, Process, Router, Site};
    let mut standing = Standing::default();
    for record in snapshot.entities() {
        if matches!(record.kind(), Some(Site | Router | Listener | Connector | Process)) {
            standing.records += 1;
            standing.latest = standing.latest.max(record.revision().as_u64());
        }
    }
    standing
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
