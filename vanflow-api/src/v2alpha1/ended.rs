//! What ended, for those who keep it: each connection and request once, as it was a moment after its end.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::{BuildHasher, RandomState},
    ops::Deref,
};

use vanflow_history::rows::Row;
use vanflow_proto::Timestamp;
use vanflow_store::{Changes, Record, RecordRef, Revision, Snapshot, Store};

use crate::v2alpha1::{
    derivations::Derivations,
    past::{KEPT, row},
    view::{Needs, View, key_text},
};

/// How long after it was seen that something ended it is kept: what else is reported of it comes in the same messages, or
/// right after.
const SETTLED_MICROS: u64 = 1_000_000;

/// Changes that are taken from the store at a time, so that its lock is held for less than a millisecond.
const CHANGES: usize = 4096;

/// What is known of what ended.
#[derive(Debug, Default)]
pub struct Ended {
    seen: Revision,
    /// When each is kept, in that order.
    pending: VecDeque<(Timestamp, RecordRef, u64)>,
    /// Those that were seen and are held yet, by what they are: rows are used again.
    taken: HashMap<RecordRef, u64>,
    /// Of how many it was known when those that are not held any more were forgotten last.
    forgotten_at: usize,
    /// What was kept before this process began.
    before: HashSet<u64>,
    hasher: RandomState,
    missed: u64,
}

/// Which of what ended is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// What nothing more is expected of.
    Settled,
    /// All, as this is the last chance.
    All,
}

impl Ended {
    /// Passes over the one with that key when it comes: it was kept before.
    pub fn skip(&mut self, key: &str) {
        let hash = self.hasher.hash_one(key);
        self.before.insert(hash);
    }

    /// How many were evicted before they could be kept.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// Takes note of what changed. With `read`, the store is locked for a moment at a time.
    pub(crate) fn follow<S: Deref<Target = Store>>(&mut self, read: impl Fn() -> S) -> Snapshot {
        loop {
            let (changes, snapshot) = {
                let store = read();
                (store.changes(self.seen, CHANGES), store.snapshot())
            };
            self.note(&changes, &snapshot);
            self.seen = if changes.overrun { snapshot.revision() } else { changes.upto };
            if self.seen >= snapshot.revision() {
                return snapshot;
            }
        }
    }

    fn note(&mut self, changes: &Changes, snapshot: &Snapshot) {
        if changes.overrun {
            for (_, kind, _) in KEPT {
                let ended = snapshot.ended_by_time(kind);
                ended.range(0..ended.len()).for_each(|record| self.add(record, snapshot));
            }
        } else {
            let records = changes.records.iter().filter_map(|at| snapshot.get(*at));
            records.for_each(|record| self.add(record, snapshot));
        }
    }

    fn add(&mut self, record: Record<'_>, snapshot: &Snapshot) {
        if record.is_live() || record.flow_kind().is_none() {
            return;
        }
        let hash = key_hash(&self.hasher, record);
        if self.before.remove(&hash) {
            self.taken.insert(record.at(), hash);
        } else if self.taken.insert(record.at(), hash) != Some(hash) {
            self.pending.push_back((snapshot.now().plus_micros(SETTLED_MICROS), record.at(), hash));
        }
    }

    /// The rows of what is due, each with the position of its table.
    pub(crate) fn rows(
        &mut self,
        snapshot: &Snapshot,
        derivations: &Derivations,
        due: Due,
    ) -> Vec<(usize, Row)> {
        // Nothing that takes a look at many records.
        let derived = derivations.of(snapshot, Needs::default());
        let view = View { snapshot, derived: &derived };
        let mut rows = Vec::new();
        while let Some((at, record, hash)) = self.pending.front().copied()
            && (due == Due::All || at <= snapshot.now())
        {
            self.pending.pop_front();
            let Some(record) = snapshot.get(record).filter(|record| key_hash(&self.hasher, *record) == hash)
            else {
                self.missed += 1;
                continue;
            };
            let kept = KEPT.iter().position(|(_, kind, _)| record.flow_kind() == Some(*kind));
            let Some(table) = kept else { continue };
            let collection = KEPT[table].0;
            if let Some(subject) = collection.subject_of(record) {
                rows.push((table, row(collection.schema(), view, &subject)));
            }
        }
        if self.taken.len() > 2 * self.forgotten_at.max(1024) {
            let Self { taken, hasher, .. } = self;
            taken
                .retain(|at, hash| snapshot.get(*at).is_some_and(|record| key_hash(hasher, record) == *hash));
            self.forgotten_at = self.taken.len();
        }
        rows
    }
}

fn key_hash(hasher: &RandomState, record: Record<'_>) -> u64 {
    hasher.hash_one(&*key_text(record.flow_id(), record.start()))
}
