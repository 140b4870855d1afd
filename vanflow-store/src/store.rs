//! The store: where updates enter, and where everything that follows from them is kept in step.

mod accepted;
mod continued;
mod derivation;
mod expiry;
mod halves;
mod hosts;
mod membership;
mod ownership;
mod room;
mod sources;

use std::{collections::HashMap, sync::Arc};

use vanflow_proto::{Attribute, RecordKind, Timestamp, Update};

use self::derivation::is_derived_site;
use crate::{
    changes::{Changes, Revision},
    graph::{Change, Fold, Found, Graph, Standing},
    lanes::Lanes,
    merge::{Changed, LeaveOut, Limits, Vocabulary},
    oddity::{Oddities, Oddity},
    order::OrdersWriter,
    row::{AnyRow, Flags, RecordRef, SERVICE_TYPE, Table},
    schema::START,
    share::{ConnectionShare, Continued},
    shared::to_change,
    snapshot::{Contents, Snapshot},
    source::{OwnedSourceType, Source, SourceId},
    store::{
        accepted::Awaited,
        continued::Remembered,
        expiry::Expiry,
        hosts::Hosts,
        ownership::Routers,
        room::{Shares, charge},
        sources::Sharers,
    },
};

pub(crate) use hosts::ProcessesByHost;

/// How a store keeps records.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreOptions {
    /// How long an ended record is kept, in microseconds by the caller's clock; 15 minutes unless set. One that a retained
    /// record refers to stays as long as that.
    pub retention_micros: u64,
    /// How much memory records may take, in octets; no bound unless set. When more is taken, sources that take more than
    /// their share give way: their ended records leave before their time, oldest first, and when those are gone, their
    /// new records are refused ([`Oddity::MemoryFull`]). What sources have up to their share stays, and live records and
    /// what they refer to are never evicted. Live records of a single source may take three quarters of it.
    pub memory_bound: Option<usize>,
    /// How many live records a source may have; a million unless set. New ones beyond that are refused
    /// ([`Oddity::SourceFull`]).
    pub source_records: usize,
    /// How many attributes without a place of its own a record may have; 128 unless set. Those are what connections and
    /// requests have beside what routers report of them today, and most attributes of any other record.
    pub record_attributes: usize,
    /// How long a text, or any other value that is not a number, may be, in octets; 16 KiB unless set.
    pub longest_text: usize,
    /// How long an id may be, in octets; 1 KiB unless set.
    pub longest_id: usize,
    /// How many changes are remembered for watchers; 65,536 unless set.
    pub remembered_changes: usize,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            retention_micros: 15 * 60 * 1_000_000,
            memory_bound: None,
            source_records: 1_000_000,
            record_attributes: 128,
            longest_text: 16 << 10,
            longest_id: 1 << 10,
            remembered_changes: 65_536,
        }
    }
}

/// The record graph. See the [crate's documentation](crate).
#[derive(Debug)]
pub struct Store {
    options: StoreOptions,
    /// The latest time that was reported.
    now: Timestamp,
    graph: Graph,
    tport_orders: OrdersWriter,
    app_orders: OrdersWriter,
    lanes: Lanes,
    sources: Arc<Vec<Source>>,
    source_ids: HashMap<Arc<str>, SourceId>,
    /// Places of sources that were forgotten.
    forgotten: Vec<SourceId>,
    /// The second in which it was last looked for sources to forget.
    looked_at: u32,
    sharers: Sharers,
    routers: Routers,
    hosts: Hosts,
    tallies: [Tally; TALLIES],
    /// What FLOW records make up, by [`FlowKind`](crate::FlowKind).
    halves: [Tally; 2],
    expiry: Expiry,
    shares: Shares,
    /// Whether records take more memory than they may.
    is_full: bool,
    awaited: Awaited,
    /// What evicted connections had come to.
    remembered: Remembered,
    /// The same of those that returned.
    continued: Continued,
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
    /// Those of them that left for the memory bound, before their time.
    pub evicted_early: u64,
    /// What was strange.
    pub oddities: Oddities,
    /// An estimate of the memory that records take, in octets.
    pub memory: usize,
    /// Memory of rows that no record is in, in octets, beside that: it is not given back, new records take it.
    pub spare: usize,
    /// Sources that are seen.
    pub sources: usize,
    /// Those of them that are incomplete.
    pub sources_incomplete: usize,
    /// New records that were refused for want of room, of sources that are not forgotten.
    pub refused: u64,
    /// Since when the first of those is missing, where it was not repeated since.
    pub refused_since: Option<Timestamp>,
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
    pub fn new(options: StoreOptions) -> Self {
        Self {
            graph: Graph::new(
                options.remembered_changes.max(1),
                Limits {
                    attributes: options.record_attributes,
                    text: options.longest_text,
                    id: options.longest_id,
                },
            ),
            options,
            now: Timestamp::default(),
            tport_orders: OrdersWriter::default(),
            app_orders: OrdersWriter::default(),
            lanes: Lanes::default(),
            sources: Arc::default(),
            source_ids: HashMap::new(),
            forgotten: Vec::new(),
            looked_at: 0,
            sharers: Sharers::default(),
            routers: Routers::default(),
            hosts: Hosts::default(),
            tallies: [Tally::default(); TALLIES],
            halves: [Tally::default(); 2],
            expiry: Expiry::default(),
            shares: Shares::default(),
            is_full: false,
            awaited: Awaited::default(),
            remembered: Remembered::default(),
            continued: Continued::new(),
        }
    }

    /// Merges one update that came from that source.
    ///
    /// The same update twice comes to the same as once, and the pieces of one in any order to the same as the whole.
    /// What cannot be merged is counted in [`Stats::oddities`] and costs nothing else.
    pub fn apply<'u>(&mut self, source: SourceId, update: impl Into<Update<'u>>, now: Timestamp) {
        self.apply_update(source, &update.into(), now);
    }

    fn apply_update(&mut self, source: SourceId, update: &Update<'_>, now: Timestamp) {
        self.advance_clock(now);
        {
            let source = self.source_mut(source);
            source.is_alive = true;
            source.last_heard = source.last_heard.max(now);
            source.updates += 1;
        }
        let Some(at) = self.place(source, update, now) else { return };
        let head = self.row(at).head();
        let leave_out = LeaveOut {
            counters: head.owner != source && head.owner != SourceId::NONE,
            end: head.flags.has(Flags::SHARED)
                && update.get(Attribute::EndTime).is_some()
                && self.withdraw(at, source),
            bulk: self.is_full_for(source),
        };
        let reporter = Reporter { source, vouches: !leave_out.end };
        self.merge(at, Some(reporter), |row, vocabulary| row.fold(update, leave_out, vocabulary));
        self.note_counter(at, update);
        self.evict(Some(source), expiry::PER_UPDATE);
    }

    /// Merges a whole record that a former run of the program held when it ended or was ended: what [`Record::fields`]
    /// gave, and [`Record::ended`].
    ///
    /// To be called after [`Store::source_seen`] and before anything new is heard, in the order of their revisions. If
    /// there is a record with that id already, that one was of the source's life before (faults 6), or, where the id is
    /// not one that sources count up, the record lives again (faults 9). The source counts as known from then on: an
    /// epoch starts for it with the first connection ([`Store::epoch_started`]).
    ///
    /// [`Record::fields`]: crate::Record::fields
    /// [`Record::ended`]: crate::Record::ended
    pub fn restore<'u>(&mut self, source: SourceId, update: impl Into<Update<'u>>, ended: Option<Ended>) {
        let update = &update.into();
        let found = self.graph.find(update.id);
        if let Some(at) = self.reported(found) {
            let row = self.row(at);
            let lives_again = ended.is_none() && !row.is_live() && row.head().key.number().is_none();
            if !lives_again {
                self.graph.retire(update.id);
            }
        }
        let Some(at) = self.place(source, update, self.now) else { return };
        let reporter = Reporter { source, vouches: true };
        self.merge(at, Some(reporter), |row, vocabulary| {
            let changed = row.fold(update, LeaveOut::default(), vocabulary);
            row.head_mut().flags.set(Flags::PRESUMED_END, ended.is_some_and(|ended| ended.presumed));
            changed
        });
        self.graph.row_mut(at).head_mut().flags.set(Flags::RESTORED, true);
        if let Some(ended) = ended {
            self.graph.row_mut(at).head_mut().ended_at = seconds(ended.at);
            self.expiry.backdate(self.row(at).head().owner, at, seconds(ended.at));
        }
    }

    /// The source with that identity.
    pub fn source_id(&self, id: &str) -> Option<SourceId> {
        self.source_ids.get(id).copied()
    }

    /// Whether a source should be asked again for all that lives: some of its records are known by halves, a router's
    /// own record is not there, or it has not answered in this epoch (faults 1).
    pub fn is_incomplete(&self, source: SourceId) -> bool {
        let state = &self.sources[source.0 as usize];
        let own = || {
            let key = self.graph.vocabulary.scopes.table().keys(&state.id).next()?;
            self.graph.by_key(key).map(|at| self.row(at))
        };
        is_incomplete(state, own)
    }

    /// Evicts records whose retention has passed, and forgets lost sources that none is left of. To be called about once
    /// a second, and again while it answers that there is more to do.
    pub fn advance(&mut self, now: Timestamp) -> bool {
        self.advance_clock(now);
        self.compare_counters();
        self.forget_sources();
        self.forget_evicted();
        let drained = self.lanes.free_drained(seconds(self.now), &mut self.graph.vocabulary);
        (self.evict(None, expiry::PER_ADVANCE) == expiry::PER_ADVANCE) | drained
    }

    /// A consistent view of all records as of now. Takes no time to speak of, however many there are, and holding on
    /// to it never holds up the store.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(Contents {
            now: self.now,
            revision: self.graph.ring.latest(),
            evicted: self.expiry.evicted,
            flows_evicted_until: Timestamp::from_micros(self.expiry.flows_until),
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
            lane_ends_revision: self.lanes.ends_revision(),
            moves: self.lanes.moves().clone(),
            continued: self.continued.clone(),
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

    /// What was strange by now: costs nothing.
    pub fn oddities(&self) -> &Oddities {
        &self.graph.vocabulary.oddities
    }

    /// How it keeps records.
    pub fn options(&self) -> &StoreOptions {
        &self.options
    }

    /// Bounds anew what records may take: [`StoreOptions::memory_bound`]. Where that is less than they take, records leave
    /// as time passes and others come.
    pub fn set_memory_bound(&mut self, bound: Option<usize>) {
        self.options.memory_bound = bound;
    }

    /// An estimate of the memory that it has for records, in octets: what they take, and rows that others have left.
    pub fn held_octets(&self) -> usize {
        self.memory() + self.graph.spare_octets()
    }

    /// What is held, and what was met.
    pub fn stats(&self) -> Stats {
        let kinds = RecordKind::ALL.iter().map(|&kind| (kind, self.tallies[kind.code() as usize]));
        let alive = (0..self.sources.len()).filter(|&position| self.sources[position].is_alive);
        Stats {
            kinds: kinds.collect(),
            unknown: self.tallies[TALLIES - 1],
            evicted: self.expiry.evicted,
            evicted_early: self.expiry.evicted_early,
            oddities: self.graph.vocabulary.oddities,
            memory: self.memory(),
            spare: self.graph.spare_octets(),
            sources: alive.clone().count(),
            sources_incomplete: alive
                .filter(|&position| self.is_incomplete(SourceId(position as u32)))
                .count(),
            refused: self.sources.iter().map(|source| source.refused).sum(),
            refused_since: self
                .sources
                .iter()
                .filter_map(|source| source.refused_between)
                .map(|(first, _)| first)
                .min(),
        }
    }

    /// An estimate of the memory that records take, in octets.
    fn memory(&self) -> usize {
        self.graph.octets()
            + self.tport_orders.octets()
            + self.app_orders.octets()
            + self.lanes.octets()
            + self.expiry.octets()
            + self.remembered.octets()
            + self.continued.len() * 2 * size_of::<(RecordRef, ConnectionShare)>()
    }

    fn advance_clock(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
    }

    #[inline]
    fn source_mut(&mut self, source: SourceId) -> &mut Source {
        &mut to_change(&mut self.sources)[source.0 as usize]
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
            && self.is_restart(source, self.row(at), update)
        {
            self.source_restarted(source, now);
            // An id that is not of the source's own goes on meaning the same record.
            found = self.graph.find(update.id);
            reported = self.reported(found);
        }
        if !self.may_report(source, reported, update) {
            self.graph.vocabulary.oddities.add(Oddity::Foreign);
            return None;
        }
        let known = reported.map(|at| self.row(at).head().type_code);
        match (known, update.type_code) {
            (Some(_), None) => reported,
            (Some(type_code), Some(code)) if type_code == code => reported,
            (Some(_), Some(_)) => {
                self.graph.vocabulary.oddities.add(Oddity::TypeChanged);
                None
            }
            (None, Some(code)) => {
                if let Some(why) = self.refusal(source, update.id) {
                    self.refuse(source, why);
                    return None;
                }
                if let Some(at) = found.at {
                    self.clear_derived_site(at);
                }
                self.graph.announce(update.id, found, code)
            }
            (None, None) => {
                self.graph.vocabulary.oddities.add(Oddity::NoType);
                None
            }
        }
    }

    /// The row that was found, if its record was reported. A site that follows from its routers is as good as none.
    fn reported(&self, found: Found) -> Option<RecordRef> {
        found.at.filter(|at| {
            let row = self.row(*at);
            row.is_reported() && !is_derived_site(row)
        })
    }

    /// Whether an update says that its source started anew under its id: the start of a ROUTER record is newer, or a
    /// record that a former run of the program held is reported with another start.
    fn is_restart(&self, source: SourceId, row: &dyn AnyRow, update: &Update<'_>) -> bool {
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

    /// Changes a row by `change`, and everything that follows from it.
    fn merge(
        &mut self,
        at: RecordRef,
        reporter: Option<Reporter>,
        change: impl FnOnce(&mut dyn Fold, &mut Vocabulary) -> Changed,
    ) {
        let before = self.share(at);
        let (sources, sharers) = (&self.sources, &mut self.sharers);
        let (mut former_owner, mut is_first) = (None, false);
        let change = self.graph.change(at, seconds(self.now), |row, before, vocabulary| {
            let mut changed = change(row, vocabulary);
            if let Some(reporter) = reporter {
                is_first = !before.reported;
                if is_first {
                    changed.add(Attribute::RecordType.code());
                }
                let epoch = sources[reporter.source.0 as usize].epoch;
                former_owner = sharers.note(at, row, before, (reporter, epoch));
            }
            changed
        });
        if let Some(former) = former_owner {
            self.move_ended(at, former, change.before.octets);
        }
        if is_first {
            self.recall(at);
        }
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
        let head = self.row(at).head();
        let (owner, type_code) = (head.owner, head.type_code);
        let is_held = head.flags.has(Flags::HELD);
        self.count_source(owner, at, before, after);
        if let Some(tally) = self.tally(type_code) {
            adjust(&mut tally.live, before.live, after.live);
            adjust(&mut tally.retained, before.reported, after.reported);
        }
        if after.live && is_held {
            self.graph.row_mut(at).head_mut().flags.set(Flags::HELD, false);
        }
        if change.is_end() {
            self.expiry.push(owner, at, seconds(self.now));
        }
        self.count_flow(at, before, after);
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
        adjust(&mut source.retained, before.reported, after.reported);
        adjust(&mut source.live, before.live, after.live);
        adjust(&mut source.halves, before.half, after.half);
        charge(&mut source.octets, before.octets, after.octets);
        let live = |standing: &Standing| if standing.live { standing.octets } else { 0 };
        charge(&mut source.live_octets, live(before), live(after));
        if is_flow {
            adjust(&mut source.live_flows, before.live, after.live);
        }
        charge(&mut self.shares.charged, before.octets, after.octets);
    }
}

/// Whether a source should be asked again for all that lives; `own` finds its ROUTER record.
pub(crate) fn is_incomplete<'r>(source: &Source, own: impl FnOnce() -> Option<&'r dyn AnyRow>) -> bool {
    source.is_alive
        && (source.halves > 0
            || source.is_awaited
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
