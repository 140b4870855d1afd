//! What ended, for those who keep it: each connection and request once, as it was a moment after its end.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::{BuildHasher, RandomState},
    ops::Deref,
};

use vanflow_history::rows::Row;
use vanflow_store::{Changes, Record, RecordRef, Revision, Snapshot, Store};

use crate::v2alpha1::{
    derivations::Derivations,
    past::{KEPT, row},
    view::{Needs, View, key_text},
};

/// Changes that are taken from the store at a time, so that its lock is held for less than a millisecond.
const CHANGES: usize = 4096;

/// What is known of what ended.
#[derive(Debug, Default)]
pub struct Ended {
    seen: Revision,
    /// How often it was asked what is due.
    asked: u64,
    /// Those that are not kept yet, with how often that was when each was seen.
    pending: VecDeque<(u64, RecordRef, u64)>,
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
    /// What had ended already when it was asked for the last time: what else is reported of it comes in the same messages,
    /// or right after.
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
                ended.range(0..ended.len()).for_each(|record| self.add(record));
            }
        } else {
            let records = changes.records.iter().filter_map(|at| snapshot.get(*at));
            records.for_each(|record| self.add(record));
        }
    }

    fn add(&mut self, record: Record<'_>) {
        if record.is_live() || record.flow_kind().is_none() {
            return;
        }
        let hash = key_hash(&self.hasher, record);
        let seen = self.taken.insert(record.at(), hash);
        if self.before.remove(&hash) || seen == Some(hash) {
            return;
        }
        // Its start came after its end: it is the same, under another key.
        let without_start = self.hasher.hash_one(&*key_text(record.flow_id(), None));
        if seen == Some(without_start) {
            let pending = self.pending.iter_mut().rev();
            let same = |(_, at, hash): &&mut (_, _, _)| *at == record.at() && *hash == without_start;
            if let Some((.., its)) = pending.into_iter().find(same) {
                *its = hash;
            }
            return;
        }
        self.pending.push_back((self.asked, record.at(), hash));
    }

    /// Passes over all that has ended so far.
    pub(crate) fn pass_over(&mut self) {
        self.pending.clear();
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
        while let Some((seen, record, hash)) = self.pending.front().copied()
            && (due == Due::All || seen < self.asked)
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
        self.asked += 1;
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
