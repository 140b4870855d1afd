//! The store: where updates enter, and where everything that follows from them is kept in step.

mod derivation;
mod expiry;
mod halves;
mod hosts;
mod membership;

use std::{collections::HashMap, sync::Arc};

use smallvec::SmallVec;
use vanflow_proto::{Attribute, RecordKind, SourceType, Timestamp, Update};

use crate::{
    changes::{Changes, Revision},
    graph::{Change, Fold, Found, Graph, Standing},
    lanes::Lanes,
    merge::{Changed, Vocabulary},
    oddity::{Oddities, Oddity},
    order::OrdersWriter,
    row::{AnyRow, Flags, RecordRef, SERVICE_TYPE, Table},
    schema::{END, START},
    snapshot::{Snapshot, View},
    source::{OwnedSourceType, Source, SourceId, Sweep},
    store::{expiry::Expiry, hosts::Hosts},
};

pub(crate) use hosts::ProcessesByHost;

/// How a store keeps records.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// How long an ended record is kept, in microseconds by the caller's clock; 15 minutes unless set. One that a retained
    /// record refers to stays as long as that.
    pub retention_micros: u64,
    /// How much memory records may take, in octets; when more is taken, ended records leave before their time, oldest
    /// first. No bound unless set. Live records and what they refer to are never evicted, so that many of them can
    /// exceed it.
    pub memory_bound: Option<usize>,
    /// How long a source has, after it was asked again for all that lives, to repeat what it reported before the
    /// connection was lost, in microseconds; 10 seconds unless set.
    pub grace_micros: u64,
    /// How many changes are remembered for watchers; 65,536 unless set.
    pub remembered_changes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            retention_micros: 15 * 60 * 1_000_000,
            memory_bound: None,
            grace_micros: 10_000_000,
            remembered_changes: 65_536,
        }
    }
}

/// How long a source may keep silent about its flows after a new connection before they count as gone: long enough
/// for another FLUSH or two, as the answer to the first can be lost (faults 1).
const LAST_SWEEP_MICROS: u64 = 60_000_000;

/// The record graph. See the [crate's documentation](crate).
#[derive(Debug)]
pub struct Store {
    options: Options,
    /// The latest time that was reported.
    now: Timestamp,
    graph: Graph,
    tport_orders: OrdersWriter,
    app_orders: OrdersWriter,
    lanes: Lanes,
    sources: Arc<Vec<Source>>,
    source_ids: HashMap<Arc<str>, SourceId>,
    /// The sources of records that several reported.
    sharers: HashMap<RecordRef, SmallVec<[SourceId; 2]>>,
    hosts: Hosts,
    tallies: [Tally; TALLIES],
    /// What FLOW records make up, by [`FlowKind`](crate::FlowKind).
    halves: [Tally; 2],
    expiry: Expiry,
}

/// Records there are, by type: one for each kind of the table, one for types that it does not have.
pub(crate) const TALLIES: usize = RecordKind::ALL.len() + 1;

/// How many records of a type there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records whose object exists.
    pub live: usize,
    /// Those, and ended ones that are retained.
    pub retained: usize,
}

/// How a record ended, for [`Store::restore`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// When, by the caller's clock: retention counts from here. Kept in whole seconds.
    pub at: Timestamp,
    /// Whether that is only presumed; see [`Record::is_end_presumed`](crate::Record::is_end_presumed).
    pub presumed: bool,
}

/// What a store holds, and what it met.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// Records of each kind of the table.
    pub kinds: Vec<(RecordKind, Tally)>,
    /// Records of types that the table does not have.
    pub unknown: Tally,
    /// Ended records that left, for their age or for the memory bound.
    pub evicted: u64,
    /// What was strange.
    pub oddities: Oddities,
    /// An estimate of the memory that records take, in octets.
    pub memory: usize,
    /// Sources that are seen.
    pub sources: usize,
    /// Those of them that are incomplete.
    pub sources_incomplete: usize,
}

/// Who reports an update.
#[derive(Clone, Copy)]
struct Reporter {
    source: SourceId,
    /// Whether it says that the object is there. One that takes its word back while others say so does not.
    vouches: bool,
}

impl Store {
    /// An empty store.
    pub fn new(options: Options) -> Self {
        Self {
            graph: Graph::new(options.remembered_changes.max(1)),
            options,
            now: Timestamp::default(),
            tport_orders: OrdersWriter::default(),
            app_orders: OrdersWriter::default(),
            lanes: Lanes::default(),
            sources: Arc::default(),
            source_ids: HashMap::new(),
            sharers: HashMap::new(),
            hosts: Hosts::default(),
            tallies: [Tally::default(); TALLIES],
            halves: [Tally::default(); 2],
            expiry: Expiry::default(),
        }
    }

    /// A source is there. Says so of a known one too; only then does it count as seen again.
    pub fn source_seen(&mut self, id: &str, source_type: SourceType<'_>, now: Timestamp) -> SourceId {
        self.report_time(now);
        if let Some(&known) = self.source_ids.get(id) {
            let source = self.source_mut(known);
            source.is_alive = true;
            source.last_heard = source.last_heard.max(now);
            source.source_type = OwnedSourceType::new(source_type);
            return known;
        }
        let new = SourceId(u32::try_from(self.sources.len()).expect("sources are few"));
        let source = Source::new(id, source_type, now);
        self.source_ids.insert(source.id.clone(), new);
        Arc::make_mut(&mut self.sources).push(source);
        new
    }

    /// A source is alive, and its clock shows `source_now`. Durations of live records are measured by that clock
    /// (faults 20).
    pub fn heartbeat(&mut self, source: SourceId, source_now: Timestamp, now: Timestamp) {
        self.report_time(now);
        let source = self.source_mut(source);
        source.is_alive = true;
        source.last_heard = source.last_heard.max(now);
        let offset = i128::from(source_now.as_micros()) - i128::from(now.as_micros());
        source.clock_offset = i64::try_from(offset).unwrap_or(0);
    }

    /// Merges one update that came from that source.
    ///
    /// The same update twice comes to the same as once, and the pieces of one in any order to the same as the whole.
    /// What cannot be merged is counted in [`Stats::oddities`] and costs nothing else.
    pub fn apply(&mut self, source: SourceId, update: &Update<'_>, now: Timestamp) {
        self.report_time(now);
        {
            let source = self.source_mut(source);
            source.is_alive = true;
            source.last_heard = source.last_heard.max(now);
            source.updates += 1;
        }
        let Some(at) = self.place(source, update, now) else { return };
        let keep_end = self.row(at).head().flags.has(Flags::SHARED)
            && update.get(Attribute::EndTime).is_some()
            && self.withdraw(at, source);
        let reporter = Reporter { source, vouches: !keep_end };
        self.merge(at, Some(reporter), |row, vocabulary| row.fold(update, keep_end, vocabulary));
        self.note_epoch(source, at, now);
        self.evict(expiry::PER_UPDATE);
    }

    /// Merges a whole record that a former run of the program held when it ended or was ended: what [`Record::fields`]
    /// gave, and [`Record::ended`].
    ///
    /// To be called after [`Store::source_seen`] and before anything new is heard, in the order of their revisions. If
    /// there is a record with that id already, that one was of the source's life before (faults 6). When the source is
    /// heard again, [`Store::source_reattached`] has what it does not repeat swept; if it never is,
    /// [`Store::source_lost`] ends its records.
    ///
    /// [`Record::fields`]: crate::Record::fields
    /// [`Record::ended`]: crate::Record::ended
    pub fn restore(&mut self, source: SourceId, update: &Update<'_>, ended: Option<Ended>) {
        let found = self.graph.find(update.id);
        if self.reported(found).is_some() {
            self.graph.retire(update.id);
        }
        let Some(at) = self.place(source, update, self.now) else { return };
        let reporter = Reporter { source, vouches: true };
        self.merge(at, Some(reporter), |row, vocabulary| {
            let changed = row.fold(update, false, vocabulary);
            row.any().head_mut().flags.set(Flags::PRESUMED_END, ended.is_some_and(|ended| ended.presumed));
            changed
        });
        self.graph.row_mut(at).head_mut().flags.set(Flags::RESTORED, true);
        if let Some(ended) = ended {
            self.graph.row_mut(at).head_mut().ended_at = seconds(ended.at);
            self.expiry.backdate(at, seconds(ended.at));
        }
    }

    /// A source restarted and counts its records from 0 again, under the same id (faults 6): what it reported before has
    /// ended, and the same ids mean new records from now on.
    ///
    /// A ROUTER record with a newer start says the same by itself.
    pub fn source_restarted(&mut self, source: SourceId, now: Timestamp) {
        self.report_time(now);
        self.end_all(source, |_| true);
        let id = self.sources[source.0 as usize].id.clone();
        self.graph.retire(&id);
    }

    /// The connection to the network is there again after it was lost, and the source was asked for all that lives
    /// (faults 3). What it does not repeat within [`Options::grace_micros`] of the start of its answer has ended.
    pub fn source_reattached(&mut self, source: SourceId, now: Timestamp) {
        self.report_time(now);
        let source = self.source_mut(source);
        source.epoch = source.epoch.wrapping_add(1);
        source.reported_flows = false;
        source.sweep = Sweep::Asked { at: now };
    }

    /// Nothing more is seen a source (faults 4): its live records end with the time that it was last heard. They
    /// come back to life should it speak of them again (faults 5).
    pub fn source_lost(&mut self, source: SourceId, last_heard: Timestamp, now: Timestamp) {
        self.report_time(now);
        {
            let source = self.source_mut(source);
            source.is_alive = false;
            source.sweep = Sweep::Done;
            source.last_heard = last_heard;
        }
        self.end_all(source, |_| true);
    }

    /// Whether a source should be asked again for all that lives: some of its records are known by halves, or a
    /// router's own record is not there (faults 1).
    pub fn is_incomplete(&self, source: SourceId) -> bool {
        let state = &self.sources[source.0 as usize];
        let own = || {
            let key = self.graph.vocabulary.scopes.table().keys(&state.id).next()?;
            self.graph.by_key(key).map(|at| self.row(at))
        };
        is_incomplete(state, own)
    }

    /// Lets records go whose time is over, and ends those that a source failed to repeat. To be called about once a
    /// second, and again while it answers that there is more to do.
    pub fn advance(&mut self, now: Timestamp) -> bool {
        self.report_time(now);
        for position in 0..self.sources.len() {
            let id = SourceId(u32::try_from(position).expect("sources are few"));
            let source = &self.sources[position];
            let epoch = source.epoch;
            match source.sweep {
                Sweep::Due { at } if at <= self.now => {
                    let reported_flows = source.reported_flows;
                    self.source_mut(id).sweep =
                        if reported_flows { Sweep::Done } else { Sweep::Asked { at: self.now } };
                    self.end_all(id, |row| row.epoch != epoch && (reported_flows || !is_flow(row.type_code)));
                }
                Sweep::Asked { at } if self.now.micros_since(at) >= LAST_SWEEP_MICROS && source.is_alive => {
                    self.source_mut(id).sweep = Sweep::Done;
                    self.end_all(id, |row| row.epoch != epoch);
                }
                _ => {}
            }
        }
        let drained = self.lanes.free_drained(seconds(self.now), &mut self.graph.vocabulary);
        (self.evict(expiry::PER_ADVANCE) == expiry::PER_ADVANCE) | drained
    }

    /// A consistent view of all records as of now. Takes no time to speak of, however many there are, and holding on
    /// to it never holds up the store.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(View {
            now: self.now,
            revision: self.graph.ring.latest(),
            evicted: self.expiry.evicted,
            texts: self.graph.vocabulary.texts.table().clone(),
            scopes: self.graph.vocabulary.scopes.table().clone(),
            index: self.graph.index.index().clone(),
            entities: self.graph.entities.rows().clone(),
            tports: self.graph.tports.rows().clone(),
            apps: self.graph.apps.rows().clone(),
            flows: self.graph.flows.rows().clone(),
            tport_orders: self.tport_orders.orders(),
            app_orders: self.app_orders.orders(),
            tallies: self.tallies,
            halves: self.halves,
            lanes: self.lanes.rows().clone(),
            lanes_revision: self.lanes.revision(),
            sources: self.sources.clone(),
            hosts: self.hosts.processes().clone(),
        })
    }

    /// What changed after a revision, for watchers; at most `limit` changes are looked at.
    pub fn changes(&self, after: Revision, limit: usize) -> Changes {
        self.graph.ring.after(after, limit, |at, revision| self.row(at).head().revision == revision)
    }

    /// The revision of the latest change.
    pub fn revision(&self) -> Revision {
        self.graph.ring.latest()
    }

    /// What is held, and what was met.
    pub fn stats(&self) -> Stats {
        let kinds = RecordKind::ALL.iter().map(|&kind| (kind, self.tallies[kind.code() as usize]));
        let alive = (0..self.sources.len()).filter(|&position| self.sources[position].is_alive);
        Stats {
            kinds: kinds.collect(),
            unknown: self.tallies[TALLIES - 1],
            evicted: self.expiry.evicted,
            oddities: self.graph.vocabulary.oddities,
            memory: self.memory(),
            sources: alive.clone().count(),
            sources_incomplete: alive
                .filter(|&position| self.is_incomplete(SourceId(position as u32)))
                .count(),
        }
    }

    /// An estimate of the memory that records take, in octets.
    fn memory(&self) -> usize {
        self.graph.octets()
            + self.tport_orders.octets()
            + self.app_orders.octets()
            + self.lanes.octets()
            + self.expiry.octets()
    }

    fn report_time(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
    }

    #[inline]
    fn source_mut(&mut self, source: SourceId) -> &mut Source {
        &mut Arc::make_mut(&mut self.sources)[source.0 as usize]
    }

    fn row(&self, at: RecordRef) -> &dyn AnyRow {
        self.graph.row(at)
    }

    /// The row that an update is about: the one there is, or a new one. A source that the update shows to have started
    /// anew does so first.
    fn place(&mut self, source: SourceId, update: &Update<'_>, now: Timestamp) -> Option<RecordRef> {
        let mut found = self.graph.find(update.id);
        let mut reported = self.reported(found);
        if let Some(at) = reported
            && self.is_restart(source, at, update)
        {
            self.source_restarted(source, now);
            // An id that is not of the source's own goes on meaning the same record.
            found = self.graph.find(update.id);
            reported = self.reported(found);
        }
        let known = reported.map(|at| self.row(at).head().type_code);
        match (known, update.type_code) {
            (Some(_), None) => reported,
            (Some(type_code), Some(code)) if type_code == code => reported,
            (Some(_), Some(_)) => {
                self.graph.vocabulary.oddities.add(Oddity::TypeChanged);
                None
            }
            (None, Some(code)) => self.graph.announce(update.id, found, code),
            (None, None) => {
                self.graph.vocabulary.oddities.add(Oddity::NoType);
                None
            }
        }
    }

    /// The row that was found, if its record was reported.
    fn reported(&self, found: Found) -> Option<RecordRef> {
        found.at.filter(|at| self.row(*at).is_reported())
    }

    /// Whether an update says that its source started anew under its id: the start of a ROUTER record is newer, or a
    /// record that a former run of the program held is reported with another start.
    fn is_restart(&self, source: SourceId, at: RecordRef, update: &Update<'_>) -> bool {
        let row = self.row(at);
        let head = row.head();
        let restored = head.flags.has(Flags::RESTORED)
            && self.sources[source.0 as usize].source_type == OwnedSourceType::Router;
        if head.owner != source || !(restored || head.type_code == RecordKind::Router.code()) {
            return false;
        }
        let reported = update.get(Attribute::StartTime).and_then(vanflow_proto::Value::as_uint);
        match (row.number(START), reported) {
            (Some(known), Some(reported)) if restored => reported != known,
            (Some(known), Some(reported)) => reported > known,
            _ => false,
        }
    }

    /// Notes that a source vouches for a record no more, and whether others still do (faults 13).
    fn withdraw(&mut self, at: RecordRef, source: SourceId) -> bool {
        if !self.row(at).head().flags.has(Flags::SHARED) {
            return false;
        }
        let Some(sharers) = self.sharers.get_mut(&at) else { return false };
        sharers.retain(|sharer| *sharer != source);
        let Some(&other) = sharers.first() else { return false };
        let live = self.row(at).is_live();
        if live && self.row(at).head().owner == source {
            let standing = Standing::of(self.row(at), at.table());
            self.count_source(source, at, &standing, &Standing::default());
            self.graph.row_mut(at).head_mut().owner = other;
            self.count_source(other, at, &Standing::default(), &standing);
        }
        true
    }

    /// Changes a row by `change`, and everything that follows from it.
    fn merge(
        &mut self,
        at: RecordRef,
        reporter: Option<Reporter>,
        change: impl FnOnce(&mut dyn Fold, &mut Vocabulary) -> Changed,
    ) {
        let before = self.share(at);
        let (sources, sharers) = (&self.sources, &mut self.sharers);
        let change = self.graph.change(at, |row, vocabulary| {
            let mut changed = change(row, vocabulary);
            if let Some(Reporter { source: reporter, vouches }) = reporter {
                let head = row.any().head_mut();
                head.flags.set(Flags::RESTORED, false);
                if !head.flags.has(Flags::REPORTED) {
                    head.flags.set(Flags::REPORTED, true);
                    head.owner = reporter;
                    changed.add(Attribute::RecordType.code());
                }
                head.epoch = sources[reporter.0 as usize].epoch;
                if vouches && head.owner != reporter && at.table() == Table::Entities {
                    let owner = head.owner;
                    head.flags.set(Flags::SHARED, true);
                    let sharers = sharers.entry(at).or_insert_with(|| SmallVec::from_slice(&[owner]));
                    if !sharers.contains(&reporter) {
                        sharers.push(reporter);
                    }
                }
            }
            changed
        });
        if change.changed.any() {
            self.account(at, &change);
            if at.table() == Table::Entities {
                self.derive(at, &change);
            }
            self.update_lane(at, &before, change.changed);
            self.evict_unneeded();
        }
    }

    /// Counts a change of a row where records are counted.
    fn account(&mut self, at: RecordRef, change: &Change) {
        let (before, after) = (&change.before, &change.after);
        if before == after {
            return;
        }
        let (owner, type_code) = (self.row(at).head().owner, self.row(at).head().type_code);
        self.count_source(owner, at, before, after);
        if let Some(tally) = self.tally(type_code) {
            adjust(&mut tally.live, before.live, after.live);
            adjust(&mut tally.retained, before.reported, after.reported);
        }
        if after.live {
            self.graph.row_mut(at).head_mut().flags.set(Flags::HELD, false);
        }
        if after.reported && !after.live && (before.live || !before.reported) {
            let second = seconds(self.now);
            self.graph.row_mut(at).head_mut().ended_at = second;
            self.expiry.push(at, second);
        }
        self.count_flow(before, after);
    }

    /// The count of records of a type; services have none.
    fn tally(&mut self, type_code: u32) -> Option<&mut Tally> {
        let position = RecordKind::from_code(type_code).map_or(TALLIES - 1, |kind| kind.code() as usize);
        (type_code != SERVICE_TYPE).then(|| &mut self.tallies[position])
    }

    fn count_source(&mut self, owner: SourceId, at: RecordRef, before: &Standing, after: &Standing) {
        if owner == SourceId::NONE {
            return;
        }
        let is_flow = at.table() != Table::Entities;
        let source = self.source_mut(owner);
        adjust(&mut source.live, before.live, after.live);
        adjust(&mut source.halves, before.half, after.half);
        if is_flow {
            adjust(&mut source.live_flows, before.live, after.live);
        }
    }

    /// Ends the live records of a source for which `which` holds, as of when it was last heard.
    fn end_all(&mut self, source: SourceId, which: impl Fn(&crate::row::Head) -> bool) {
        let state = &self.sources[source.0 as usize];
        let end = state.clock(state.last_heard).as_micros();
        let mut ending = Vec::new();
        macro_rules! collect {
            ($table:expr, $slab:expr) => {
                for slot in $slab.rows().live() {
                    let head = &$slab.get(slot).head;
                    if (head.owner == source || head.flags.has(Flags::SHARED)) && which(head) {
                        ending.push(RecordRef::new($table, slot));
                    }
                }
            };
        }
        collect!(Table::Entities, self.graph.entities);
        collect!(Table::Tports, self.graph.tports);
        collect!(Table::Apps, self.graph.apps);
        collect!(Table::Flows, self.graph.flows);
        for at in ending {
            if self.withdraw(at, source) || self.row(at).head().owner != source {
                continue;
            }
            self.merge(at, None, |row, _| {
                let row = row.any();
                let start = row.number(START).unwrap_or(0);
                row.set_number(END, Some(end.max(start)));
                row.head_mut().flags.set(Flags::PRESUMED_END, true);
                let mut changed = Changed::default();
                changed.add(Attribute::EndTime.code());
                changed
            });
        }
    }

    /// A source that was asked for all that lives answers.
    fn note_epoch(&mut self, source: SourceId, at: RecordRef, now: Timestamp) {
        let state = &self.sources[source.0 as usize];
        if state.sweep == Sweep::Done {
            return;
        }
        let is_flow = at.table() != Table::Entities;
        let is_router = state.source_type == OwnedSourceType::Router;
        // A router answers with its own record among others; counters come without being asked for.
        let answers = !is_router || self.row(at).head().type_code == RecordKind::Router.code();
        let due = now.plus_micros(self.options.grace_micros);
        let source = self.source_mut(source);
        source.reported_flows |= is_flow;
        if answers && matches!(source.sweep, Sweep::Asked { .. }) {
            source.sweep = Sweep::Due { at: due };
        }
    }
}

/// Whether a source should be asked again for all that lives; `own` finds its ROUTER record.
pub(crate) fn is_incomplete<'r>(source: &Source, own: impl FnOnce() -> Option<&'r dyn AnyRow>) -> bool {
    source.is_alive
        && (source.halves > 0
            || matches!(source.sweep, Sweep::Asked { .. })
            || source.source_type == OwnedSourceType::Router
                && !own().is_some_and(|row| row.is_live() && !row.is_half()))
}

fn adjust<T: std::ops::AddAssign + std::ops::SubAssign + From<bool>>(
    count: &mut T,
    before: bool,
    after: bool,
) {
    *count += T::from(after);
    *count -= T::from(before);
}

/// Seconds since the epoch, in which the ends of records are kept.
fn seconds(time: Timestamp) -> u32 {
    u32::try_from(time.as_micros() / 1_000_000).unwrap_or(u32::MAX)
}

fn is_flow(type_code: u32) -> bool {
    RecordKind::from_code(type_code).is_some_and(RecordKind::is_flow)
}
