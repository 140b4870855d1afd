//! What ended, for those who keep it: each connection and request once, as it was a moment after its end. And what began,
//! for those who want to know of that, too.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::{BuildHasher, RandomState},
    ops::Deref,
};

use vanflow_history::rows::{Row, Value};
use vanflow_proto::RecordKind;
use vanflow_store::{Changes, Record, RecordRef, Revision, Snapshot, Store};

use crate::v2alpha1::{
    derivations::Derivations,
    past::{KEPT, NETWORK, history_tables, row},
    view::{Needs, View, key_text},
};

/// Changes that are taken from the store at a time, so that its lock is held for less than a millisecond.
const CHANGES: usize = 4096;

/// The kinds of records that connections and requests are reported in.
const FLOWS: [RecordKind; 3] = [RecordKind::BiflowTport, RecordKind::BiflowApp, RecordKind::Flow];

/// How often all that is due is given until nobody waits for the other router of a connection any more, which reports it up
/// to six seconds later. That is about once a second.
const UNRESOLVED_TURNS: u32 = 10;

/// How many wait for that at most: each is looked at every time.
const MOST_UNRESOLVED: usize = 100_000;

/// How many are remembered that can end again: as many as the store remembers when it evicts them.
const MOST_AGAIN: usize = 20_000;

/// How many rows are given at a time: what ended at once, be it a million, is never in memory as rows altogether.
const PART: usize = 2048;

/// Rows, each with the position of its table.
pub(crate) type Given = Vec<(usize, Row)>;

/// Whose network rows are of, where that is known, and the column of each table that says so.
#[derive(Debug)]
pub(crate) struct Whose {
    network: Option<Box<str>>,
    columns: Vec<Option<usize>>,
}

impl Whose {
    pub(crate) fn new(network: Option<Box<str>>) -> Self {
        Self { network, columns: history_tables().iter().map(|table| table.column(NETWORK.name)).collect() }
    }

    /// The same rows, which say so.
    pub(crate) fn said_in(&self, mut rows: Given) -> Given {
        if let Some(network) = &self.network {
            for (table, row) in &mut rows {
                if let Some(value) = self.columns[*table].and_then(|at| row.values.get_mut(at)) {
                    *value = Value::Text(network.clone());
                }
            }
        }
        rows
    }
}

/// What is known of what ended.
#[derive(Debug)]
pub struct Ended(Passing);

/// What is known of what began, and of what of that is open.
#[derive(Debug)]
pub struct Opened {
    passing: Passing,
    /// Those that are open, with when they are due again, in that order.
    open: VecDeque<(u64, RecordRef, u64)>,
    /// How long one is not due again, in microseconds; none where nothing is due again.
    every: Option<u64>,
    /// Whether what is due of those that began was given, and those that are due again are.
    is_begun_given: bool,
}

/// A moment that every connection and request passes once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    Begin,
    End,
}

/// Those that passed a moment.
#[derive(Debug)]
struct Passing {
    moment: Moment,
    seen: Revision,
    /// How often all that is due was given.
    asked: u32,
    /// Whether there may be more that is due than was given yet.
    is_amid: bool,
    /// Those that were not given yet.
    pending: VecDeque<Pending>,
    /// Those that were due before both ends of their connection were known.
    unresolved: Vec<Pending>,
    /// For how many turns they do: not for as long as they are held.
    patience: u32,
    /// Those that were seen and are held yet, by what they are: rows are used again.
    taken: HashMap<RecordRef, KeyHash>,
    /// Of how many it was known when those that are not held any more were forgotten last.
    forgotten_at: usize,
    /// How many were pending when those that are not held any more were counted as missed last.
    waiting_at: usize,
    /// What was given before this process began.
    before: HashSet<u64>,
    hasher: RandomState,
    missed: u64,
    /// What was given, and ends again; none where each is given once.
    again: Option<Again>,
}

/// What was given with an end that was presumed, or is live again: what is given of it next is in place of that. The latest.
#[derive(Debug, Default)]
struct Again {
    known: HashSet<u64>,
    order: VecDeque<u64>,
}

impl Again {
    fn add(&mut self, hash: u64) {
        if self.known.insert(hash) {
            self.order.push_back(hash);
        }
        if self.order.len() > MOST_AGAIN
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

/// A part of the hash of a key: enough to tell those apart that had the same row one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct KeyHash(u32);

impl From<u64> for KeyHash {
    fn from(hash: u64) -> Self {
        Self((hash >> 32) as u32)
    }
}

/// One that was not given yet. There can be as many as the store holds records, which these are not to add much to.
#[derive(Clone, Copy, Debug)]
struct Pending {
    /// How often all that is due had been given when this was seen.
    seen: u32,
    record: RecordRef,
    hash: KeyHash,
    /// Whether it was given before this process began.
    is_known: bool,
}

/// Which of what ended is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// What had ended already when it was asked for the last time: what else is reported of it comes in the same messages,
    /// or right after. Where the listener or the connector of a connection is not known, its other router may report it
    /// up to six seconds later: then it, and requests in it, come once that is known, or ten turns later.
    Settled,
    /// All, as this is the last chance.
    All,
}

impl Default for Ended {
    fn default() -> Self {
        Self(Passing::new(Moment::End))
    }
}

impl Ended {
    /// The same, for one who keeps rows by their keys: what goes on after its end was presumed, as its source fell silent, ends again,
    /// and says that it is in place of its earlier row.
    pub fn replacing() -> Self {
        let mut passing = Passing::new(Moment::End);
        passing.again = Some(Again::default());
        Self(passing)
    }

    /// Passes over the one with that key when it comes: it was kept before.
    pub fn skip(&mut self, key: &str) {
        self.0.skip(key);
    }

    /// How many were evicted before they could be kept.
    pub fn missed(&self) -> u64 {
        self.0.missed
    }

    /// Takes note of what changed. With `read`, the store is locked for a moment at a time.
    pub(crate) fn follow<S: Deref<Target = Store>>(&mut self, read: impl Fn() -> S) -> Snapshot {
        self.0.follow(read)
    }

    /// Has what is due wait: it is due at the next turn again.
    pub(crate) fn wait(&mut self) {
        self.0.turn();
    }

    /// Passes over all that has ended so far.
    pub(crate) fn pass_over(&mut self) {
        self.0.pending.clear();
        self.0.unresolved.clear();
    }

    /// The rows of what is due, [`PART`] at most and none when there is no more, each with the position of its table.
    pub(crate) fn rows(&mut self, snapshot: &Snapshot, derivations: &Derivations, due: Due) -> Given {
        loop {
            let due = self.0.due(snapshot, due);
            let new = due.iter().filter(|(.., is_known)| !is_known);
            let replaces = |hash| self.0.again.as_ref().is_some_and(|again| again.known.contains(hash));
            let given =
                rows(snapshot, derivations, new.clone().map(|(record, hash, _)| (*record, replaces(hash))));
            if let Some(again) = &mut self.0.again {
                let presumed = new.filter(|(record, ..)| record.is_end_presumed());
                presumed.for_each(|(_, hash, _)| again.add(*hash));
            }
            if due.is_empty() || !given.is_empty() {
                return given;
            }
        }
    }
}

impl Opened {
    /// What begins, and with a time in microseconds, what is open for so long, each time.
    pub fn new(every: Option<u64>) -> Self {
        Self { passing: Passing::new(Moment::Begin), open: VecDeque::new(), every, is_begun_given: false }
    }

    /// Passes over the one with that key when it comes: that it began was said before.
    pub fn skip(&mut self, key: &str) {
        self.passing.skip(key);
    }

    /// Does not pass it over, after all: it does not come.
    pub fn forget(&mut self, key: &str) {
        self.passing.forget(key);
    }

    /// How many were evicted before that they began could be said.
    pub fn missed(&self) -> u64 {
        self.passing.missed
    }

    /// Takes note of what changed. With `read`, the store is locked for a moment at a time.
    pub(crate) fn follow<S: Deref<Target = Store>>(&mut self, read: impl Fn() -> S) -> Snapshot {
        self.passing.follow(read)
    }

    /// Passes over that all began that have begun so far. They are due again as any.
    pub(crate) fn pass_over(&mut self) {
        self.passing.pending.iter_mut().for_each(|pending| pending.is_known = true);
    }

    /// The rows of what began, and of what is due again, [`PART`] of each at most and none when there is no more, each with
    /// the position of its table.
    pub(crate) fn rows(
        &mut self,
        snapshot: &Snapshot,
        derivations: &Derivations,
        due: Due,
        now: u64,
    ) -> (Given, Given) {
        let once = |record| (record, false);
        while !self.is_begun_given {
            let began = self.passing.due(snapshot, due);
            self.is_begun_given = began.is_empty();
            if let Some(every) = self.every {
                let open = began.iter().filter(|(record, ..)| record.is_live());
                self.open.extend(open.map(|(record, hash, _)| (now + every, record.at(), *hash)));
            }
            let new = began.into_iter().filter(|(.., is_known)| !is_known);
            let given = rows(snapshot, derivations, new.map(|(record, ..)| once(record)));
            if !given.is_empty() {
                return (given, Given::new());
            }
        }
        let mut again = Vec::new();
        if let Some(every) = self.every {
            while again.len() < PART
                && let Some((at, record, hash)) = self.open.front().copied().filter(|(at, ..)| *at <= now)
            {
                self.open.pop_front();
                let record = snapshot.get(record).filter(|record| self.passing.is_same(*record, hash.into()));
                if let Some(record) = record.filter(|record| record.is_live()) {
                    again.push(record);
                    // One that was due long ago is due once.
                    let missed = (now - at) / every;
                    self.open.push_back((at + (missed + 1) * every, record.at(), hash));
                }
            }
        }
        self.is_begun_given = !again.is_empty();
        (Given::new(), rows(snapshot, derivations, again.into_iter().map(once)))
    }
}

impl Passing {
    fn new(moment: Moment) -> Self {
        Self {
            moment,
            seen: Revision::default(),
            asked: 0,
            is_amid: false,
            pending: VecDeque::new(),
            unresolved: Vec::new(),
            patience: UNRESOLVED_TURNS,
            taken: HashMap::new(),
            forgotten_at: 0,
            waiting_at: 0,
            before: HashSet::new(),
            hasher: RandomState::new(),
            missed: 0,
            again: None,
        }
    }

    /// Notes that something is live that may have been given already.
    fn revive(&mut self, record: Record<'_>) {
        let Some(again) = &mut self.again else { return };
        if !self.taken.contains_key(&record.at()) {
            return;
        }
        let hash = key_hash(&self.hasher, record);
        if self.taken.remove(&record.at()) == Some(KeyHash::from(hash)) {
            let waiting = self.pending.len() + self.unresolved.len();
            let is_other = |pending: &Pending| pending.record != record.at() || pending.hash != hash.into();
            self.pending.retain(is_other);
            self.unresolved.retain(is_other);
            // What was not given yet is in place of nothing.
            if self.pending.len() + self.unresolved.len() == waiting {
                again.add(hash);
            }
        }
    }

    fn skip(&mut self, key: &str) {
        let hash = self.hasher.hash_one(key);
        self.before.insert(hash);
    }

    fn forget(&mut self, key: &str) {
        let hash = self.hasher.hash_one(key);
        self.before.remove(&hash);
    }

    fn follow<S: Deref<Target = Store>>(&mut self, read: impl Fn() -> S) -> Snapshot {
        loop {
            let (changes, snapshot) = {
                let store = read();
                let seconds = store.options().retention_micros / 1_000_000;
                self.patience = u32::try_from(seconds / 2).unwrap_or(u32::MAX).min(UNRESOLVED_TURNS);
                (store.changes(self.seen, CHANGES), store.snapshot())
            };
            self.note(&changes, &snapshot);
            self.seen = if changes.overrun { snapshot.revision() } else { changes.upto };
            if self.seen >= snapshot.revision() {
                self.forget_evicted(&snapshot);
                return snapshot;
            }
        }
    }

    fn note(&mut self, changes: &Changes, snapshot: &Snapshot) {
        if changes.overrun {
            for (_, kind, _) in KEPT {
                let ended = snapshot.ended_by_time(kind);
                ended.range(0..ended.len()).for_each(|record| self.add(record));
            }
            if self.moment == Moment::Begin {
                let live = FLOWS.into_iter().flat_map(|kind| snapshot.live_of_kind(kind));
                live.for_each(|record| self.add(record));
            }
        } else {
            let records = changes.records.iter().filter_map(|at| snapshot.get(*at));
            records.for_each(|record| self.add(record));
        }
    }

    fn add(&mut self, record: Record<'_>) {
        if record.flow_kind().is_none() {
            return;
        }
        if self.moment == Moment::End && record.is_live() {
            return self.revive(record);
        }
        let hash = key_hash(&self.hasher, record);
        let is_known = self.before.remove(&hash);
        let hash = KeyHash::from(hash);
        let seen = self.taken.insert(record.at(), hash);
        if seen == Some(hash) {
            return;
        }
        // Its start came after its end: it is the same, under another key.
        let without_start = KeyHash::from(self.hasher.hash_one(&*key_text(record.flow_id(), None)));
        if seen == Some(without_start) {
            let pending = self.pending.iter_mut().rev().chain(&mut self.unresolved);
            let same =
                |pending: &&mut Pending| pending.record == record.at() && pending.hash == without_start;
            if let Some(pending) = pending.into_iter().find(same) {
                (pending.hash, pending.is_known) = (hash, is_known);
            }
            return;
        }
        // Of one that ended and was given there is nothing more to know.
        if !is_known || record.is_live() {
            // What is seen while what was due before is given is due when all that is seen after it is.
            let seen = self.asked + u32::from(self.is_amid);
            self.pending.push_back(Pending { seen, record: record.at(), hash, is_known });
        }
    }

    /// Those that are due, [`PART`] at most and none when there is no more, with the hashes of their keys and whether they
    /// were given before this process began.
    fn due<'s>(&mut self, snapshot: &'s Snapshot, due: Due) -> Vec<(Record<'s>, u64, bool)> {
        if !self.is_amid {
            self.resolve(snapshot, due);
        }
        let mut records = Vec::new();
        while records.len() < PART
            && let Some(pending) = self.pending.front().copied()
            && (due == Due::All || pending.seen < self.asked)
        {
            self.pending.pop_front();
            let record = snapshot.get(pending.record);
            match record.filter(|record| self.is_same(*record, pending.hash)) {
                Some(record)
                    if self.unresolved.len() < MOST_UNRESOLVED && self.waits(record, &pending, due) =>
                {
                    self.unresolved.push(pending);
                }
                Some(record) => {
                    records.push((record, key_hash(&self.hasher, record), pending.is_known));
                }
                None => self.missed += 1,
            }
        }
        self.is_amid = !records.is_empty();
        if self.is_amid {
            return records;
        }
        self.turn();
        records
    }

    /// Has those be due, before all others, that waited for the ends of their connection and do not any more.
    fn resolve(&mut self, snapshot: &Snapshot, due: Due) {
        for pending in std::mem::take(&mut self.unresolved).into_iter().rev() {
            let record = snapshot.get(pending.record);
            if record
                .is_some_and(|record| self.is_same(record, pending.hash) && self.waits(record, &pending, due))
            {
                self.unresolved.push(pending);
            } else {
                self.pending.push_front(pending);
            }
        }
        self.unresolved.reverse();
    }

    /// Whether more can be reported of the ends of a connection, and so of its requests, before it is given: not by a router
    /// that has fallen silent.
    fn waits(&self, record: Record<'_>, pending: &Pending, due: Due) -> bool {
        self.moment == Moment::End
            && due != Due::All
            && !record.is_end_presumed()
            && self.asked - pending.seen <= self.patience
            && !record.lane().is_some_and(|lane| lane.has_both_ends())
    }

    /// All that is due was given, or waits for the next turn.
    fn turn(&mut self) {
        self.is_amid = false;
        self.asked += 1;
    }

    /// Forgets what is not held any more, once that can be half as many as is held.
    fn forget_evicted(&mut self, snapshot: &Snapshot) {
        if self.taken.len() > 2 * self.forgotten_at.max(1024) {
            let Self { taken, hasher, .. } = self;
            let hash_of = |record| KeyHash::from(key_hash(hasher, record));
            taken.retain(|at, hash| snapshot.get(*at).is_some_and(|record| hash_of(record) == *hash));
            self.forgotten_at = taken.len();
        }
        if self.pending.len() > self.waiting_at.max(1024) * 3 / 2 {
            let mut pending = std::mem::take(&mut self.pending);
            let before = pending.len();
            let is_held = |pending: &Pending| {
                snapshot.get(pending.record).is_some_and(|record| self.is_same(record, pending.hash))
            };
            pending.retain(is_held);
            self.missed += (before - pending.len()) as u64;
            self.waiting_at = pending.len();
            self.pending = pending;
        }
    }

    /// Whether a record has that key, or had it before its start was reported.
    fn is_same(&self, record: Record<'_>, hash: KeyHash) -> bool {
        let without_start = || self.hasher.hash_one(&*key_text(record.flow_id(), None));
        KeyHash::from(key_hash(&self.hasher, record)) == hash
            || self.moment == Moment::Begin && KeyHash::from(without_start()) == hash
    }
}

/// The rows of those, each with the position of its table; and of each whether it is in place of an earlier one.
fn rows<'s>(
    snapshot: &'s Snapshot,
    derivations: &Derivations,
    records: impl Iterator<Item = (Record<'s>, bool)>,
) -> Vec<(usize, Row)> {
    // Nothing that takes a look at many records.
    let derived = derivations.of(snapshot, Needs::default());
    let view = View { snapshot, derived: &derived };
    let row = |(record, replaces): (Record<'s>, bool)| {
        let table = KEPT.iter().position(|(_, kind, _)| record.flow_kind() == Some(*kind))?;
        let collection = KEPT[table].0;
        let (subject, source) = (collection.subject_of(record)?, record.source());
        let source = source.as_ref().map(|source| source.id());
        Some((table, row(collection.schema(), view, &subject, source, replaces)))
    };
    records.filter_map(row).collect()
}

fn key_hash(hasher: &RandomState, record: Record<'_>) -> u64 {
    hasher.hash_one(&*key_text(record.flow_id(), record.start()))
}
