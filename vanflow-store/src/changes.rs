//! What changed, for watchers.
//!
//! Every change of a record gives it the next [`Revision`]. The last changes stand in a ring; a watcher asks for those
//! after the revision that it has seen, so all that is kept of a watcher is one number. One that falls behind the ring
//! looks for records with a newer revision instead (faults 19).

use std::{collections::VecDeque, fmt, num::ParseIntError, str::FromStr};

use crate::row::RecordRef;

/// A point in the sequence of changes. Each change of a record has its own; the default comes before all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(u64);

impl Revision {
    /// The revision as a number that grows by one a change.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Revision {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// What changed after a revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The records that changed, each once, in the order of their latest change.
    pub records: Vec<RecordRef>,
    /// The revision to go on from.
    pub upto: Revision,
    /// Whether the changes go further back than is remembered. Then `records` is empty, and whoever asks has to look
    /// at every record for a [`revision`](crate::Record::revision) after its own.
    pub overrun: bool,
}

/// The last changes.
#[derive(Debug)]
pub(crate) struct ChangeRing {
    entries: VecDeque<RecordRef>,
    capacity: usize,
    /// The revision of the latest change.
    latest: Revision,
}

impl ChangeRing {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { entries: VecDeque::new(), capacity, latest: Revision::default() }
    }

    pub(crate) fn latest(&self) -> Revision {
        self.latest
    }

    /// The revision for a change of that record.
    #[inline]
    pub(crate) fn record(&mut self, at: RecordRef) -> Revision {
        self.latest.0 += 1;
        if self.entries.len() == self.capacity {
            self.entries.pop_front();
        }
        self.entries.push_back(at);
        self.latest
    }

    /// The changes after a revision, at most `limit` of them looked at. `is_latest` says whether a record's latest
    /// change is the one given.
    pub(crate) fn after(
        &self,
        after: Revision,
        limit: usize,
        is_latest: impl Fn(RecordRef, Revision) -> bool,
    ) -> Changes {
        if after >= self.latest {
            return Changes { upto: self.latest, ..Changes::default() };
        }
        let oldest = self.latest.0 - self.entries.len() as u64;
        if after.0 < oldest {
            return Changes { upto: self.latest, overrun: true, ..Changes::default() };
        }
        let skip = usize::try_from(after.0 - oldest).expect("fewer than the ring holds");
        let mut upto = after;
        let mut records = Vec::new();
        for &at in self.entries.range(skip..).take(limit) {
            upto.0 += 1;
            if is_latest(at, upto) {
                records.push(at);
            }
        }
        Changes { records, upto, overrun: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Table;

    fn at(slot: usize) -> RecordRef {
        RecordRef::new(Table::Entities, slot)
    }

    #[test]
    fn a_watcher_gets_each_record_once_and_goes_on_from_there() {
        let mut ring = ChangeRing::new(8);
        let revisions: Vec<_> = [1, 2, 1, 3].into_iter().map(|slot| ring.record(at(slot))).collect();
        let latest = |slot| match slot {
            1 => revisions[2],
            2 => revisions[1],
            _ => revisions[3],
        };
        let is_latest = |record: RecordRef, revision| latest(record.slot()) == revision;
        let changes = ring.after(Revision::default(), 3, is_latest);
        assert_eq!(changes.records, [at(2), at(1)]);
        let changes = ring.after(changes.upto, 3, is_latest);
        assert_eq!(changes.records, [at(3)]);
        let changes = ring.after(changes.upto, 3, is_latest);
        assert_eq!(changes, Changes { upto: revisions[3], ..Changes::default() });
    }

    #[test]
    fn who_falls_behind_the_ring_learns_so() {
        // faults 19
        let mut ring = ChangeRing::new(2);
        let revisions: Vec<_> = (0..4).map(|slot| ring.record(at(slot))).collect();
        assert!(ring.after(revisions[0], 9, |_, _| true).overrun);
        assert!(!ring.after(revisions[1], 9, |_, _| true).overrun);
    }
}
