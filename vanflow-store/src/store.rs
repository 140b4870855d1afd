//! The store: where updates enter, and where everything that follows from them is kept in step.

mod seating;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use foldhash::fast::FixedState;
use smallvec::SmallVec;
use vanflow_proto::{Attribute, RecordKind, SourceType, Timestamp, Update};

use crate::{
    changes::{ChangeRing, Changes, Revision},
    identity::Key,
    index::IndexWriter,
    lanes::Lanes,
    merge::{Changed, Vocabulary, fold},
    oddity::{Oddities, Oddity},
    order::OrdersWriter,
    row::{AnyRow, Cell, Flags, NO_TYPE, RecordRef, Row, SERVICE_TYPE, Siblings, Table},
    schema::{self, AppRow, END, EntityRow, FlowRow, PARENT, SECOND, START, TALLY, TportRow},
    slab::Slab,
    snapshot::{Snapshot, View},
    source::{OwnedSourceType, Source, SourceId, Sweep},
    text::Symbol,
};

/// How a store keeps records.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// How long an ended record is kept, in microseconds by the caller's clock; 15 minutes unless set.
    pub retention_micros: u64,
    /// How much memory records may take, in octets; when more is taken, ended records leave before their time, oldest
    /// first. No bound unless set. Live records are never evicted, so that many of them can exceed it.
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

/// Ended records that may leave with each update, so that no single one has to wait for many.
const EVICTIONS_PER_UPDATE: usize = 2;

/// Ended records that may leave in one call of [`Store::advance`].
const EVICTIONS_PER_ADVANCE: usize = 2000;

/// The record graph. See the [crate's documentation](crate).
#[derive(Debug)]
pub struct Store {
    options: Options,
    /// The latest time that was reported.
    now: Timestamp,
    vocabulary: Vocabulary,
    index: IndexWriter,
    entities: Slab<EntityRow>,
    tports: Slab<TportRow>,
    apps: Slab<AppRow>,
    flows: Slab<FlowRow>,
    tport_orders: OrdersWriter,
    app_orders: OrdersWriter,
    lanes: Lanes,
    ring: ChangeRing,
    sources: Arc<Vec<Source>>,
    source_ids: HashMap<Arc<str>, SourceId>,
    /// Ended records in the order in which they ended, with the second.
    ended: VecDeque<(RecordRef, u32)>,
    /// Whether records came back that had ended long ago, so that `ended` is out of order.
    ended_unsorted: bool,
    /// The sources of records that several reported.
    sharers: HashMap<RecordRef, SmallVec<[SourceId; 2]>>,
    /// The PROCESS records of each host of each site.
    hosts: Hosts,
    tallies: [Tally; TALLIES],
    evicted: u64,
}

/// The PROCESS records of each host of each site.
pub(crate) type Hosts = imbl::GenericHashMap<
    (Key, Symbol),
    SmallVec<[RecordRef; 1]>,
    FixedState,
    imbl::shared_ptr::DefaultSharedPtr,
>;

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

macro_rules! with_table {
    ($store:expr, $at:expr, $slab:ident => $body:expr) => {
        match $at.table() {
            Table::Entities => {
                let $slab = &$store.entities;
                $body
            }
            Table::Tports => {
                let $slab = &$store.tports;
                $body
            }
            Table::Apps => {
                let $slab = &$store.apps;
                $body
            }
            Table::Flows => {
                let $slab = &$store.flows;
                $body
            }
        }
    };
    ($store:expr, $at:expr, mut $slab:ident => $body:expr) => {
        match $at.table() {
            Table::Entities => {
                let $slab = &mut $store.entities;
                $body
            }
            Table::Tports => {
                let $slab = &mut $store.tports;
                $body
            }
            Table::Apps => {
                let $slab = &mut $store.apps;
                $body
            }
            Table::Flows => {
                let $slab = &mut $store.flows;
                $body
            }
        }
    };
}

/// What accounting needs to know of a row before and after a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Standing {
    reported: bool,
    live: bool,
    half: bool,
    /// The parent, where the row is a connection that is counted there.
    counted_under: Option<Key>,
}

impl Standing {
    fn of(row: &dyn AnyRow, table: Table) -> Self {
        let counted = match table {
            Table::Tports => true,
            // The far side of a pair names the near side as its counterflow, and the two count as one.
            Table::Flows => row.references()[SECOND].is_none(),
            Table::Entities | Table::Apps => false,
        };
        let parent = row.references()[PARENT];
        Self {
            reported: row.is_reported(),
            live: row.is_live(),
            half: row.is_half(),
            counted_under: (counted && row.is_reported() && !parent.is_none()).then_some(parent),
        }
    }
}

/// Who reports an update.
#[derive(Clone, Copy)]
struct Reporter {
    source: SourceId,
    /// Whether it says that the object is there. One that takes its word back while others say so does not.
    vouches: bool,
}

/// What folding an update into a row did.
struct Folded {
    changed: Changed,
    before: Standing,
    after: Standing,
    old: [Key; 2],
    new: [Key; 2],
}

impl Store {
    /// An empty store.
    pub fn new(options: Options) -> Self {
        Self {
            ring: ChangeRing::new(options.remembered_changes.max(1)),
            options,
            now: Timestamp::default(),
            vocabulary: Vocabulary::default(),
            index: IndexWriter::default(),
            entities: Slab::default(),
            tports: Slab::default(),
            apps: Slab::default(),
            flows: Slab::default(),
            tport_orders: OrdersWriter::default(),
            app_orders: OrdersWriter::default(),
            lanes: Lanes::default(),
            sources: Arc::default(),
            source_ids: HashMap::new(),
            ended: VecDeque::new(),
            ended_unsorted: false,
            sharers: HashMap::new(),
            hosts: Hosts::default(),
            tallies: [Tally::default(); TALLIES],
            evicted: 0,
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
        self.evict(EVICTIONS_PER_UPDATE);
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
        let known = self.vocabulary.scopes.table().keys(update.id).next();
        if known.and_then(|key| self.index.get(key)).is_some_and(|at| self.row(at).is_reported())
            && self.vocabulary.scopes.retire(update.id).is_err()
        {
            return self.vocabulary.oddities.add(Oddity::NoRoom);
        }
        let Some(at) = self.place(source, update, self.now) else { return };
        let reporter = Reporter { source, vouches: true };
        self.merge(at, Some(reporter), |row, vocabulary| {
            let changed = row.fold(update, false, vocabulary);
            row.any().head_mut().flags.set(Flags::PRESUMED_END, ended.is_some_and(|ended| ended.presumed));
            changed
        });
        self.row_mut(at).head_mut().flags.set(Flags::RESTORED, true);
        if let Some(ended) = ended {
            let second = seconds(ended.at);
            self.row_mut(at).head_mut().ended_at = second;
            if let Some((last, at_second)) = self.ended.back_mut()
                && *last == at
            {
                *at_second = second;
            }
            self.ended_unsorted = true;
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
        if self.vocabulary.scopes.retire(&id).is_err() {
            self.vocabulary.oddities.add(Oddity::NoRoom);
        }
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
            let key = self.vocabulary.scopes.table().keys(&state.id).next()?;
            self.index.get(key).map(|at| self.row(at))
        };
        is_incomplete(state, own)
    }

    /// Lets records go whose time is over, and ends those that a source failed to repeat. To be called about once a
    /// second, and again while it answers that there is more to do.
    pub fn advance(&mut self, now: Timestamp) -> bool {
        self.report_time(now);
        if std::mem::take(&mut self.ended_unsorted) {
            self.ended.make_contiguous().sort_by_key(|(_, second)| *second);
        }
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
        let drained = self.lanes.free_drained(seconds(self.now), &mut self.vocabulary);
        (self.evict(EVICTIONS_PER_ADVANCE) == EVICTIONS_PER_ADVANCE) | drained
    }

    /// A consistent view of all records as of now. Takes no time to speak of, however many there are, and holding on
    /// to it never holds up the store.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(View {
            now: self.now,
            revision: self.ring.latest(),
            evicted: self.evicted,
            texts: self.vocabulary.texts.table().clone(),
            scopes: self.vocabulary.scopes.table().clone(),
            index: self.index.index().clone(),
            entities: self.entities.rows().clone(),
            tports: self.tports.rows().clone(),
            apps: self.apps.rows().clone(),
            flows: self.flows.rows().clone(),
            tport_orders: self.tport_orders.orders(),
            app_orders: self.app_orders.orders(),
            tallies: self.tallies,
            lanes: self.lanes.rows().clone(),
            lanes_revision: self.lanes.revision(),
            sources: self.sources.clone(),
            hosts: self.hosts.clone(),
        })
    }

    /// What changed after a revision, for watchers; at most `limit` changes are looked at.
    pub fn changes(&self, after: Revision, limit: usize) -> Changes {
        self.ring.after(after, limit, |at, revision| {
            with_table!(self, at, slab => slab.any(at.slot()).head().revision) == revision
        })
    }

    /// The revision of the latest change.
    pub fn revision(&self) -> Revision {
        self.ring.latest()
    }

    /// What is held, and what was met.
    pub fn stats(&self) -> Stats {
        let kinds = RecordKind::ALL.iter().map(|&kind| (kind, self.tallies[kind.code() as usize]));
        let alive = (0..self.sources.len()).filter(|&position| self.sources[position].is_alive);
        Stats {
            kinds: kinds.collect(),
            unknown: self.tallies[TALLIES - 1],
            evicted: self.evicted,
            oddities: self.vocabulary.oddities,
            memory: self.memory(),
            sources: alive.clone().count(),
            sources_incomplete: alive
                .filter(|&position| self.is_incomplete(SourceId(position as u32)))
                .count(),
        }
    }

    /// An estimate of the memory that records take, in octets.
    fn memory(&self) -> usize {
        const CELL: usize = size_of::<(u32, Cell)>();
        let rows = self.entities.used() * size_of::<EntityRow>()
            + self.tports.used() * size_of::<TportRow>()
            + self.apps.used() * size_of::<AppRow>()
            + self.flows.used() * size_of::<FlowRow>();
        rows + self.index.octets()
            + self.tport_orders.octets()
            + self.app_orders.octets()
            + self.lanes.octets()
            + self.ended.len() * size_of::<(RecordRef, u32)>()
            + self.vocabulary.cells * CELL
            + self.vocabulary.texts.octets()
            + self.vocabulary.scopes.octets()
    }

    fn report_time(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
    }

    #[inline]
    fn source_mut(&mut self, source: SourceId) -> &mut Source {
        &mut Arc::make_mut(&mut self.sources)[source.0 as usize]
    }

    fn row(&self, at: RecordRef) -> &dyn AnyRow {
        with_table!(self, at, slab => slab.any(at.slot()))
    }

    fn row_mut(&mut self, at: RecordRef) -> &mut dyn AnyRow {
        with_table!(self, at, mut slab => slab.any_mut(at.slot()))
    }

    /// The row that an update is about: the one there is, or a new one. A source that the update shows to have started
    /// anew does so first.
    fn place(&mut self, source: SourceId, update: &Update<'_>, now: Timestamp) -> Option<RecordRef> {
        let Ok(key) = self.vocabulary.scopes.acquire(update.id) else {
            self.vocabulary.oddities.add(Oddity::NoRoom);
            return None;
        };
        match self.index.seek(key) {
            Some(at) if self.row(at).is_reported() && self.is_restart(source, at, update) => {
                self.vocabulary.scopes.release(key);
                self.source_restarted(source, now);
                // An id that is not of the source's own goes on meaning the same record.
                let key = self.vocabulary.scopes.acquire(update.id).ok()?;
                let at = self.index.seek(key);
                self.place_at(key, at, update)
            }
            at => self.place_at(key, at, update),
        }
    }

    /// The row that an update is about: the one that there is for its key, or a new one, whose the use of the key is.
    fn place_at(&mut self, key: Key, known: Option<RecordRef>, update: &Update<'_>) -> Option<RecordRef> {
        if let Some(at) = known {
            let row = self.row(at);
            let (reported, type_code) = (row.is_reported(), row.head().type_code);
            self.vocabulary.scopes.release(key);
            return match update.type_code {
                None if reported => Some(at),
                Some(code) if reported && code == type_code => Some(at),
                Some(_) if reported => {
                    self.vocabulary.oddities.add(Oddity::TypeChanged);
                    None
                }
                Some(code) => self.announce(at, code),
                None => {
                    self.vocabulary.oddities.add(Oddity::NoType);
                    None
                }
            };
        }
        let Some(code) = update.type_code else {
            self.vocabulary.oddities.add(Oddity::NoType);
            self.vocabulary.scopes.release(key);
            return None;
        };
        let at = self.insert(key, table_of(code))?;
        self.announce(at, code)
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

    /// A new row that only holds a place. The key's use is the row's now.
    fn insert(&mut self, key: Key, table: Table) -> Option<RecordRef> {
        let slot = match table {
            Table::Entities => self.entities.insert(Row::new(key)),
            Table::Tports => self.tports.insert(Row::new(key)),
            Table::Apps => self.apps.insert(Row::new(key)),
            Table::Flows => self.flows.insert(Row::new(key)),
        };
        let Some(slot) = slot else {
            self.vocabulary.oddities.add(Oddity::NoRoom);
            self.vocabulary.scopes.release(key);
            return None;
        };
        let at = RecordRef::new(table, slot);
        self.index.insert(key, at);
        Some(at)
    }

    /// A row that only held a place becomes a record of that type; in the table that it belongs to.
    fn announce(&mut self, at: RecordRef, type_code: u32) -> Option<RecordRef> {
        let table = table_of(type_code);
        let at = if at.table() == table { at } else { self.relocate(at, table)? };
        if tally_of(type_code) == TALLIES - 1 && type_code != SERVICE_TYPE {
            self.vocabulary.oddities.add(Oddity::UnknownType);
        }
        self.row_mut(at).head_mut().type_code = type_code;
        Some(at)
    }

    /// Moves a row that only holds a place to another table, and those that refer to it with it.
    fn relocate(&mut self, at: RecordRef, table: Table) -> Option<RecordRef> {
        let head = self.row(at).head().clone();
        let key = self.vocabulary.scopes.share(head.key);
        let tallies: SmallVec<[Option<u64>; 2]> =
            (TALLY..TALLY + 2).map(|place| self.row(at).number(place)).collect();
        self.index.remove(key);
        let new = self.insert(key, table);
        match new {
            Some(new) => {
                self.row_mut(new).head_mut().referrers = head.referrers;
                if table == Table::Entities {
                    for (offset, tally) in tallies.into_iter().enumerate() {
                        self.row_mut(new).set_number(TALLY + offset, tally);
                    }
                }
            }
            None => {
                self.index.insert(key, at);
                return None;
            }
        }
        with_table!(self, at, mut slab => { slab.remove(at.slot()); });
        self.vocabulary.scopes.release(head.key);
        new
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
            self.row_mut(at).head_mut().owner = other;
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
        let share = self.share(at);
        let folded = with_table!(self, at, mut slab => {
            let row = slab.get_mut(at.slot());
            let before = Standing::of(row, at.table());
            let mut old = [Key::NONE; 2];
            old[..row.references.len()].copy_from_slice(&row.references);
            // The references are compared and linked after the fold, which lets go of replaced ones; they are held
            // until then, so that their numbers are not given to others.
            let held = old.map(|key| self.vocabulary.scopes.share(key));
            let mut changed = change(row, &mut self.vocabulary);
            if let Some(Reporter { source: reporter, vouches }) = reporter {
                row.head.flags.set(Flags::RESTORED, false);
                if !row.head.flags.has(Flags::REPORTED) {
                    row.head.flags.set(Flags::REPORTED, true);
                    row.head.owner = reporter;
                    changed.add(Attribute::RecordType.code());
                }
                row.head.epoch = self.sources[reporter.0 as usize].epoch;
                if vouches && row.head.owner != reporter && at.table() == Table::Entities {
                    let owner = row.head.owner;
                    row.head.flags.set(Flags::SHARED, true);
                    let sharers = self.sharers.entry(at).or_insert_with(|| SmallVec::from_slice(&[owner]));
                    if !sharers.contains(&reporter) {
                        sharers.push(reporter);
                    }
                }
            }
            if changed.any() {
                row.head.revision = self.ring.record(at);
            }
            let after = Standing::of(row, at.table());
            let mut new = [Key::NONE; 2];
            new[..row.references.len()].copy_from_slice(&row.references);
            Folded { changed, before, after, old: held, new }
        });
        if folded.changed.any() {
            self.follow(at, &folded);
            self.seat(at, &share, &folded);
        }
        for key in folded.old {
            self.vocabulary.scopes.release(key);
        }
    }

    /// Everything that follows from a change of a row.
    fn follow(&mut self, at: RecordRef, folded: &Folded) {
        for place in [PARENT, SECOND] {
            if folded.old[place] != folded.new[place] {
                self.unlink(at, place, folded.old[place]);
                self.link(at, place, folded.new[place]);
            }
        }
        let (before, after) = (&folded.before, &folded.after);
        if before != after {
            let (owner, type_code) = (self.row(at).head().owner, self.row(at).head().type_code);
            self.count_source(owner, at, before, after);
            let tally = &mut self.tallies[tally_of(type_code)];
            if type_code != SERVICE_TYPE {
                adjust(&mut tally.live, before.live, after.live);
                adjust(&mut tally.retained, before.reported, after.reported);
            }
            if before.live != after.live {
                with_table!(self, at, mut slab => slab.set_live(at.slot(), after.live));
            }
            if after.reported && !after.live && (before.live || !before.reported) {
                let second = seconds(self.now);
                self.row_mut(at).head_mut().ended_at = second;
                self.ended.push_back((at, second));
            }
            self.count_flow(before, after);
        }
        if at.table() == Table::Entities {
            self.derive(at, folded);
        }
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

    /// Counts a connection at the listener or connector that it belongs to, and at the service of that.
    fn count_flow(&mut self, before: &Standing, after: &Standing) {
        if before.counted_under.is_none() && after.counted_under.is_none() {
            return;
        }
        for (standing, arrives) in [(before, false), (after, true)] {
            let Some(parent) = standing.counted_under.and_then(|key| self.index.get(key)) else {
                continue;
            };
            if parent.table() != Table::Entities {
                continue;
            }
            let row = self.entities.get_mut(parent.slot());
            if before.counted_under != after.counted_under {
                let total = row.numbers[TALLY];
                row.numbers[TALLY] = if arrives { total + 1 } else { total.saturating_sub(1) };
            }
            if standing.live {
                let live = row.numbers[TALLY + 1];
                row.numbers[TALLY + 1] = if arrives { live + 1 } else { live.saturating_sub(1) };
            }
            if arrives {
                let service = row.references[SECOND];
                self.touch(service);
            }
        }
    }

    /// Marks a record as changed.
    fn touch(&mut self, key: Key) {
        if let Some(at) = self.index.get(key) {
            let revision = self.ring.record(at);
            self.row_mut(at).head_mut().revision = revision;
        }
    }

    /// What other records follow from an entity.
    fn derive(&mut self, at: RecordRef, folded: &Folded) {
        let changed = folded.changed;
        let announced = folded.before.reported != folded.after.reported;
        let turned = folded.before.live != folded.after.live;
        match RecordKind::from_code(self.row(at).head().type_code) {
            Some(RecordKind::Listener | RecordKind::Connector) => {
                if announced || changed.has(Attribute::VanAddress) || changed.has(Attribute::Protocol) {
                    self.join_service(at);
                } else if turned || changed.has(Attribute::StartTime) || changed.has(Attribute::EndTime) {
                    let service = self.row(at).references()[SECOND];
                    self.refresh_group(service);
                }
            }
            Some(RecordKind::Process) => {
                if announced || changed.has(Attribute::SourceHost) || changed.has(Attribute::Parent) {
                    self.host(at, folded.old[PARENT]);
                }
                if announced || changed.has(Attribute::ImageName) {
                    self.join_image(at);
                } else if turned || changed.has(Attribute::StartTime) || changed.has(Attribute::EndTime) {
                    let image = self.row(at).references()[SECOND];
                    self.refresh_group(image);
                }
            }
            _ => {}
        }
    }

    /// A listener or connector belongs to the service that its address and protocol name.
    fn join_service(&mut self, at: RecordRef) {
        let cell_text = |row: &dyn AnyRow, attribute: Attribute| match row.cell(attribute.code()) {
            Some(Cell::Text(symbol)) => self.text(*symbol),
            _ => String::new(),
        };
        let row = self.row(at);
        let (address, protocol) =
            (cell_text(row, Attribute::VanAddress), cell_text(row, Attribute::Protocol));
        let id = (!address.is_empty()).then(|| crate::derived::service_id(&address, &protocol));
        self.join(
            at,
            id,
            SERVICE_TYPE,
            &[(Attribute::Protocol, &protocol), (Attribute::VanAddress, &address)],
        );
    }

    /// A process runs an image.
    fn join_image(&mut self, at: RecordRef) {
        let name = match self.row(at).cell(Attribute::ImageName.code()) {
            Some(Cell::Text(symbol)) => self.text(*symbol),
            _ => String::new(),
        };
        let id = (!name.is_empty()).then(|| crate::derived::image_id(&name));
        self.join(at, id, RecordKind::Image.code(), &[(Attribute::Name, &name)]);
    }

    /// Makes `at` a member of the derived record with that id, and of no other. The record's names are by ascending
    /// code.
    fn join(&mut self, at: RecordRef, id: Option<String>, type_code: u32, names: &[(Attribute, &str)]) {
        let old = self.row(at).references()[SECOND];
        let new = match id {
            Some(id) => match self.vocabulary.scopes.acquire(&id) {
                Ok(key) => key,
                Err(_) => return self.vocabulary.oddities.add(Oddity::NoRoom),
            },
            None => Key::NONE,
        };
        if old != new {
            if !new.is_none() && self.index.get(new).is_none() {
                let key = self.vocabulary.scopes.share(new);
                if self.insert(key, Table::Entities).is_none() {
                    return self.vocabulary.scopes.release(new);
                }
            }
            self.row_mut(at).references_mut()[SECOND] = new;
            self.unlink(at, SECOND, old);
            self.link(at, SECOND, new);
            self.refresh_group(old);
        } else {
            self.vocabulary.scopes.release(new);
        }
        if let Some(group) = self.index.get(new)
            && !self.row(group).is_reported()
        {
            let texts: SmallVec<[(u32, Symbol); 2]> = names
                .iter()
                .filter(|(_, name)| !name.is_empty())
                .map(|(attribute, name)| (attribute.code(), self.vocabulary.texts.acquire(name)))
                .collect();
            self.vocabulary.cells += texts.len();
            let row = self.entities.get_mut(group.slot());
            row.head.type_code = type_code;
            row.head.flags.set(Flags::REPORTED, true);
            row.head.flags.set(Flags::DERIVED, true);
            row.rest = Some(Arc::new(texts.iter().map(|(code, text)| (*code, Cell::Text(*text))).collect()));
            if type_code != SERVICE_TYPE {
                let tally = &mut self.tallies[tally_of(type_code)];
                tally.live += 1;
                tally.retained += 1;
            }
            self.entities.set_live(group.slot(), true);
        }
        self.refresh_group(new);
        if old != new {
            self.vocabulary.scopes.release(old);
        }
    }

    /// Works out anew what a service or image is from its members: it starts with the first of them and ends with
    /// the last.
    fn refresh_group(&mut self, key: Key) {
        let Some(group) = self.index.get(key) else { return };
        let row = self.row(group);
        if !row.head().flags.has(Flags::DERIVED) {
            return;
        }
        let before = Standing::of(row, Table::Entities);
        let (mut start, mut end) = (None::<u64>, None::<u64>);
        let mut tally = [0_u64; 2];
        let mut member = row.head().referrers[SECOND];
        while let Some(at) = member.some() {
            let row = self.row(at);
            if row.is_reported() {
                if let Some(from) = row.number(START) {
                    start = Some(start.map_or(from, |start| start.min(from)));
                }
                match row.number(END) {
                    Some(until) => end = end.max(Some(until)),
                    None => tally[usize::from(row.head().type_code == RecordKind::Connector.code())] += 1,
                }
            }
            member = row.siblings()[SECOND].next;
        }
        if tally != [0; 2] {
            end = None;
        } else if end.is_none() {
            // Its last member left it for another.
            end = Some(self.now.as_micros());
        }
        let row = self.entities.get_mut(group.slot());
        let old = (row.head.present, row.numbers);
        let row: &mut dyn AnyRow = row;
        row.set_number(START, start.or((old.0 & 1 << START != 0).then_some(old.1[START])));
        row.set_number(END, end);
        row.set_number(TALLY, Some(tally[0]));
        row.set_number(TALLY + 1, Some(tally[1]));
        let row = self.entities.get_mut(group.slot());
        if (row.head.present, row.numbers) != old || row.head.revision == Revision::default() {
            row.head.revision = self.ring.record(group);
            let after = Standing::of(self.entities.any(group.slot()), Table::Entities);
            let folded = Folded {
                changed: Changed::default(),
                before,
                after,
                old: [Key::NONE; 2],
                new: [Key::NONE; 2],
            };
            self.follow(group, &folded);
        }
        if self.row(group).head().referrers[SECOND].is_none() {
            // All its members left for others or are forgotten.
            self.remove(group);
        }
    }

    /// A process is found by its site and host.
    fn host(&mut self, at: RecordRef, old_site: Key) {
        self.unhost(at, old_site);
        let row = self.row(at);
        let site = row.references()[PARENT];
        if let Some(Cell::Text(host)) = row.cell(Attribute::SourceHost.code())
            && !site.is_none()
        {
            let host = *host;
            self.hosts.entry((site, host)).or_default().push(at);
        }
    }

    fn unhost(&mut self, at: RecordRef, old_site: Key) {
        // Hosts change hardly ever: there is no way back from a process to the host that it had.
        let row = self.row(at);
        let host = match row.cell(Attribute::SourceHost.code()) {
            Some(Cell::Text(host)) => Some(*host),
            _ => None,
        };
        let site = row.references()[PARENT];
        let mut stale: SmallVec<[(Key, Symbol); 2]> = SmallVec::new();
        for site in [old_site, site] {
            if let Some(host) = host
                && self.hosts.get(&(site, host)).is_some_and(|processes| processes.contains(&at))
            {
                stale.push((site, host));
            }
        }
        if stale.is_empty() && !old_site.is_none() {
            stale.extend(self.hosts.iter().filter(|(_, ats)| ats.contains(&at)).map(|(&place, _)| place));
        }
        for place in stale {
            if let Some(processes) = self.hosts.get_mut(&place) {
                processes.retain(|process| *process != at);
                if processes.is_empty() {
                    self.hosts.remove(&place);
                }
            }
        }
    }

    fn text(&self, symbol: Symbol) -> String {
        match symbol.number() {
            Some(number) => number.to_string(),
            None => crate::text::lookup(self.vocabulary.texts.table(), symbol).to_owned(),
        }
    }

    /// Puts a row into the list of those that refer to `target`, which need not be there yet (faults 8).
    fn link(&mut self, at: RecordRef, place: usize, target: Key) {
        if target.is_none() {
            return;
        }
        let target = match self.index.get(target) {
            Some(target) => target,
            None => {
                let key = self.vocabulary.scopes.share(target);
                // What a request belongs to is a connection; anything else is reported early or has to be guessed.
                let table = if at.table() == Table::Apps { Table::Tports } else { Table::Entities };
                match self.insert(key, table) {
                    Some(target) => target,
                    None => return,
                }
            }
        };
        let head = self.row_mut(target).head_mut();
        let next = std::mem::replace(&mut head.referrers[place], at);
        self.row_mut(at).siblings_mut()[place] = Siblings { next, previous: RecordRef::NONE };
        if let Some(next) = next.some() {
            self.row_mut(next).siblings_mut()[place].previous = at;
        }
    }

    /// Takes a row out of the list of those that refer to `target`.
    fn unlink(&mut self, at: RecordRef, place: usize, target: Key) {
        if target.is_none() {
            return;
        }
        let Some(siblings) = self.row(at).siblings().get(place).copied() else { return };
        if let Some(next) = siblings.next.some() {
            self.row_mut(next).siblings_mut()[place].previous = siblings.previous;
        }
        if let Some(previous) = siblings.previous.some() {
            self.row_mut(previous).siblings_mut()[place].next = siblings.next;
        } else if let Some(target) = self.index.get(target) {
            let head = self.row_mut(target).head_mut();
            if head.referrers[place] == at {
                head.referrers[place] = siblings.next;
            }
            self.drop_empty_place(target);
        }
        self.row_mut(at).siblings_mut()[place] = Siblings::NONE;
    }

    /// Lets a row go that only held a place for a record to which nobody refers any more.
    fn drop_empty_place(&mut self, at: RecordRef) {
        let head = self.row(at).head();
        if !head.flags.has(Flags::REPORTED) && head.referrers == [RecordRef::NONE; 2] {
            let key = head.key;
            self.index.remove(key);
            with_table!(self, at, mut slab => { slab.remove(at.slot()); });
            self.vocabulary.scopes.release(key);
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
        collect!(Table::Entities, self.entities);
        collect!(Table::Tports, self.tports);
        collect!(Table::Apps, self.apps);
        collect!(Table::Flows, self.flows);
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

    /// Lets at most `limit` ended records go: those whose time is over, and while the memory bound is exceeded those
    /// that ended first. Answers how many went.
    fn evict(&mut self, limit: usize) -> usize {
        let retention = u32::try_from(self.options.retention_micros.div_ceil(1_000_000)).unwrap_or(u32::MAX);
        let second = seconds(self.now);
        let mut gone = 0;
        while gone < limit {
            let Some(&(at, ended_at)) = self.ended.front() else { break };
            let is_due = second.saturating_sub(ended_at) > retention
                || self.options.memory_bound.is_some_and(|bound| self.memory() > bound);
            if !is_due {
                break;
            }
            self.ended.pop_front();
            gone += 1;
            let row = self.row(at);
            if row.is_reported() && !row.is_live() && row.head().ended_at == ended_at {
                self.remove(at);
                self.evicted += 1;
            }
        }
        gone
    }

    /// Forgets a record. If others refer to it, its place is held for as long as they do.
    fn remove(&mut self, at: RecordRef) {
        self.unseat(at);
        let row = self.row(at);
        let type_code = row.head().type_code;
        if type_code != SERVICE_TYPE {
            self.tallies[tally_of(type_code)].retained -= 1;
        }
        if type_code == RecordKind::Process.code() {
            let site = self.row(at).references()[PARENT];
            self.unhost(at, site);
        }
        self.sharers.remove(&at);
        let references: SmallVec<[Key; 2]> = SmallVec::from_slice(self.row(at).references());
        let second = references.get(SECOND).copied();
        for (place, key) in references.iter().enumerate() {
            self.unlink(at, place, *key);
        }
        let vocabulary = &mut self.vocabulary;
        with_table!(self, at, mut slab => {
            let row = slab.get_mut(at.slot());
            for symbol in row.texts {
                vocabulary.texts.release(symbol);
            }
            if let Some(rest) = row.rest.take() {
                vocabulary.cells -= rest.len();
                for (_, cell) in rest.iter() {
                    vocabulary.release_cell(cell);
                }
            }
            let key = row.head.key;
            let referrers = row.head.referrers;
            let tallies = row.numbers;
            let is_entity = at.table() == Table::Entities;
            *row = Row::new(key);
            row.head.referrers = referrers;
            if is_entity {
                row.numbers = tallies;
            }
        });
        if at.table() == Table::Entities
            && let Some(group) = second
        {
            self.refresh_group(group);
        }
        self.drop_empty_place(at);
        for key in references {
            self.vocabulary.scopes.release(key);
        }
    }
}

/// A row into which an update can be folded, with the schema of its table.
trait Fold {
    fn fold(&mut self, update: &Update<'_>, keep_end: bool, vocabulary: &mut Vocabulary) -> Changed;
    fn any(&mut self) -> &mut dyn AnyRow;
}

macro_rules! fold_with {
    ($row:ty, $schema:expr) => {
        impl Fold for $row {
            fn fold(&mut self, update: &Update<'_>, keep_end: bool, vocabulary: &mut Vocabulary) -> Changed {
                fold(self, &$schema, update, keep_end, vocabulary)
            }

            fn any(&mut self) -> &mut dyn AnyRow {
                self
            }
        }
    };
}

fold_with!(EntityRow, schema::ENTITY);
fold_with!(TportRow, schema::TPORT);
fold_with!(AppRow, schema::APP);
fold_with!(FlowRow, schema::FLOW);

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

fn table_of(type_code: u32) -> Table {
    match RecordKind::from_code(type_code) {
        Some(RecordKind::BiflowTport) => Table::Tports,
        Some(RecordKind::BiflowApp) => Table::Apps,
        Some(RecordKind::Flow) => Table::Flows,
        _ => Table::Entities,
    }
}

fn tally_of(type_code: u32) -> usize {
    RecordKind::from_code(type_code).map_or(TALLIES - 1, |kind| kind.code() as usize)
}

const _: () = assert!(NO_TYPE > SERVICE_TYPE);
