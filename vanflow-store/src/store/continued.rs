//! Connections that return after they were evicted: their router was silent for longer than the retention, and reports
//! them again with counters that go on from where they were (faults 28).
//!
//! What such a connection had come to is in the totals of a lane already. It is remembered when the connection is evicted,
//! and taken off what the connection adds to its lane when it returns. Only connections whose end was presumed are
//! remembered, for [`REMEMBERED_SECONDS`], and the latest [`MOST_REMEMBERED`] of them; what returns after it was forgotten
//! counts anew. None is remembered over a restart of the program: totals begin anew with it.

use std::collections::VecDeque;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::{Store, seconds};
use crate::{
    identity::Key,
    row::{Flags, RecordRef, Table},
    share::ConnectionShare,
};

/// How many evicted connections are remembered: as many as four routers have at most (faults 15).
const MOST_REMEMBERED: usize = 20_000;

/// For how long: a day.
const REMEMBERED_SECONDS: u32 = 24 * 60 * 60;

/// What the evicted connections had come to whose end was presumed.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    /// The keys are in use.
    by_key: HashMap<Key, Evicted, FixedState>,
    /// In the order of eviction; some may have returned since.
    order: VecDeque<Turn>,
    /// How many there were so far.
    number: u64,
}

#[derive(Clone, Copy, Debug)]
struct Evicted {
    number: u64,
    share: ConnectionShare,
}

#[derive(Clone, Copy, Debug)]
struct Turn {
    key: Key,
    number: u64,
    second: u32,
}

impl Remembered {
    /// Remembers a connection that is evicted in that second, whose key is in one more use for it.
    fn insert(&mut self, key: Key, share: ConnectionShare, second: u32) {
        let number = self.number;
        self.number += 1;
        self.by_key.insert(key, Evicted { number, share });
        self.order.push_back(Turn { key, number, second });
    }

    #[inline]
    fn remove(&mut self, key: Key) -> Option<ConnectionShare> {
        if self.by_key.is_empty() {
            return None;
        }
        self.by_key.remove(&key).map(|evicted| evicted.share)
    }

    /// Forgets the connection that was evicted first, if it is time. Answers its key.
    fn forget(&mut self, second: u32) -> Option<Key> {
        while let Some(first) = self.order.front().copied() {
            let is_due = second.saturating_sub(first.second) > REMEMBERED_SECONDS
                || self.by_key.len() > MOST_REMEMBERED
                || self.order.len() > 2 * MOST_REMEMBERED;
            let is_there = self.by_key.get(&first.key).is_some_and(|evicted| evicted.number == first.number);
            if is_there && !is_due {
                return None;
            }
            self.order.pop_front();
            if is_there {
                self.by_key.remove(&first.key);
                return Some(first.key);
            }
        }
        None
    }

    /// The memory that it takes, in octets.
    pub(super) fn octets(&self) -> usize {
        self.by_key.len() * 2 * size_of::<(Key, Evicted)>() + self.order.len() * size_of::<Turn>()
    }
}

impl Store {
    /// A connection is about to be evicted.
    pub(super) fn remember(&mut self, at: RecordRef) {
        let row = self.graph.tports.get(at.slot());
        if row.head.flags.has(Flags::CONTINUED) {
            self.continued.remove(&at);
        }
        if !row.head.flags.has(Flags::PRESUMED_END) {
            return;
        }
        let share = ConnectionShare::of(row, self.graph.vocabulary.texts.table());
        let key = self.graph.vocabulary.scopes.share(row.head.key);
        self.remembered.insert(key, share, seconds(self.now));
        self.forget_evicted();
    }

    /// Forgets evicted connections that are not to return any more.
    pub(super) fn forget_evicted(&mut self) {
        while let Some(key) = self.remembered.forget(seconds(self.now)) {
            self.graph.vocabulary.scopes.release(key);
        }
    }

    /// A record is reported for the first time, or after it was evicted.
    #[inline]
    pub(super) fn recall(&mut self, at: RecordRef) {
        if at.table() != Table::Tports {
            return;
        }
        let key = self.graph.tports.get(at.slot()).head.key;
        if let Some(before) = self.remembered.remove(key) {
            self.graph.vocabulary.scopes.release(key);
            self.graph.row_mut(at).head_mut().flags.set(Flags::CONTINUED, true);
            self.continued.insert(at, before);
        }
    }

    /// What a connection adds to its lane.
    #[inline]
    pub(super) fn share_of_connection(&self, at: RecordRef) -> ConnectionShare {
        let texts = self.graph.vocabulary.texts.table();
        ConnectionShare::of_row(at, self.graph.tports.get(at.slot()), texts, &self.continued)
    }
}
