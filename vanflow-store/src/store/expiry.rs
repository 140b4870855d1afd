//! How ended records leave: of each source the oldest first, once their retention has passed, or earlier when memory is
//! short and the source takes more than its share (faults 30); but what a retained record refers to is retained with it
//! (faults 25).
//!
//! A record whose turn it is while others refer to it is *held*: it leaves the queue, and is looked at again each time
//! that one of those others ceases to refer to it. So the last of them takes along what was only there for it. The two
//! halves of a connection hold each other, so that they leave together.

use std::collections::VecDeque;

use super::{Store, derivation::LaneSet, seconds};
use crate::{
    graph::Standing,
    row::{Flags, RecordRef, Table},
    schema::END,
    source::SourceId,
};

/// Ended records that may leave with each update, so that no single one has to wait for many.
pub(super) const PER_UPDATE: usize = 2;

/// Ended records that may leave in one call of [`Store::advance`].
pub(super) const PER_ADVANCE: usize = 2000;

/// The ended records.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    /// Of each source those that were its own then, in the order in which they ended, with the second.
    queues: Vec<VecDeque<(RecordRef, u32)>>,
    /// The same of records that are no source's.
    unowned: VecDeque<(RecordRef, u32)>,
    /// How many there are in all.
    len: usize,
    /// Whether records came back that had ended long ago, so that the queue is out of order.
    is_unsorted: bool,
    /// How many have left.
    pub(super) evicted: u64,
    /// Those of them that left before their time, for want of memory.
    pub(super) evicted_early: u64,
    /// The latest end of a connection or request of those.
    pub(super) flows_until: u64,
}

impl Expiry {
    /// A record has ended in that second, by our clock.
    pub(super) fn push(&mut self, owner: SourceId, at: RecordRef, second: u32) {
        self.len += 1;
        self.queue(owner).push_back((at, second));
    }

    fn queue(&mut self, owner: SourceId) -> &mut VecDeque<(RecordRef, u32)> {
        if owner == SourceId::NONE {
            return &mut self.unowned;
        }
        let position = owner.0 as usize;
        if position >= self.queues.len() {
            self.queues.resize_with(position + 1, VecDeque::new);
        }
        &mut self.queues[position]
    }

    /// Whether there are ended records of that source.
    pub(super) fn has(&self, owner: SourceId) -> bool {
        let queue =
            if owner == SourceId::NONE { Some(&self.unowned) } else { self.queues.get(owner.0 as usize) };
        queue.is_some_and(|queue| !queue.is_empty())
    }

    /// Takes out the one of that source that ended first, if that was so many seconds ago.
    fn pop(&mut self, owner: SourceId, second: u32, age: u32) -> Option<(RecordRef, u32)> {
        let queue = self.queue(owner);
        queue.front().filter(|(_, ended_at)| second.saturating_sub(*ended_at) >= age)?;
        let first = queue.pop_front();
        if queue.is_empty() {
            queue.shrink_to(64);
        }
        self.len -= usize::from(first.is_some());
        first
    }

    /// A source is forgotten.
    pub(super) fn forget(&mut self, owner: SourceId) {
        let queue = std::mem::take(self.queue(owner));
        self.len -= queue.len();
    }

    /// A record that was pushed last had really ended in that second.
    pub(super) fn backdate(&mut self, owner: SourceId, at: RecordRef, second: u32) {
        if let Some((last, last_second)) = self.queue(owner).back_mut()
            && *last == at
        {
            *last_second = second;
        }
        self.is_unsorted = true;
    }

    /// The memory that it takes, in octets.
    pub(super) fn octets(&self) -> usize {
        self.len * size_of::<(RecordRef, u32)>()
    }

    #[inline]
    fn sort(&mut self) {
        if self.is_unsorted {
            self.is_unsorted = false;
            for queue in self.queues.iter_mut().chain([&mut self.unowned]) {
                queue.make_contiguous().sort_by_key(|(_, second)| *second);
            }
        }
    }
}

impl Store {
    /// Evicts at most `limit` ended records: of that source, or of all, those whose retention has passed; and while the
    /// memory bound is exceeded, those of sources that take more than their share. Answers how many were looked at.
    pub(super) fn evict(&mut self, source: Option<SourceId>, limit: usize) -> usize {
        let retention = u32::try_from(self.options.retention_micros.div_ceil(1_000_000)).unwrap_or(u32::MAX);
        let age = retention.saturating_add(1);
        self.expiry.sort();
        let mut seen = 0;
        match source {
            Some(source) => seen = self.evict_of(source, age, limit),
            None => {
                for position in 0..self.expiry.queues.len() {
                    let source = SourceId(u32::try_from(position).expect("sources are few"));
                    seen += self.evict_of(source, age, limit - seen);
                }
                seen += self.evict_of(SourceId::NONE, age, limit - seen);
            }
        }
        let Some(bound) = self.options.memory_bound else { return seen };
        // From time to time what is evicted is found to have taken less than it was charged with, and shares are less then.
        let mut are_exact = source.is_some();
        while self.memory() > bound && seen < limit {
            let Some(from) = self.gives_way(source) else {
                if are_exact {
                    break;
                }
                are_exact = true;
                self.shares.expire();
                continue;
            };
            are_exact = source.is_some();
            let before = self.expiry.evicted;
            seen += self.evict_of(from, 0, 1);
            self.expiry.evicted_early += self.expiry.evicted - before;
        }
        self.is_full = self.memory() > bound;
        seen
    }

    /// Evicts at most `limit` records of a source that ended so many seconds ago. Answers how many were looked at.
    fn evict_of(&mut self, source: SourceId, age: u32, limit: usize) -> usize {
        let second = seconds(self.now);
        let mut seen = 0;
        while seen < limit {
            let Some((at, ended_at)) = self.expiry.pop(source, second, age) else { break };
            seen += 1;
            let row = self.row(at);
            // A row may have come back to life since, or been taken by another record.
            if row.is_reported() && !row.is_live() && row.head().ended_at == ended_at {
                if self.graph.is_needed(at, &self.lanes) {
                    self.graph.row_mut(at).head_mut().flags.set(Flags::HELD, true);
                } else {
                    self.evict_record(at);
                }
            }
            self.evict_unneeded();
        }
        seen
    }

    /// Evicts records that were only held by what does not refer to them any more.
    pub(super) fn evict_unneeded(&mut self) {
        while let Some(at) = self.graph.let_go.pop() {
            // It may have left already, and its row been taken by another.
            if self.row(at).head().flags.has(Flags::HELD) && !self.graph.is_needed(at, &self.lanes) {
                self.evict_record(at);
            }
        }
    }

    pub(super) fn evict_record(&mut self, at: RecordRef) {
        // Services and images leave with the last record that they follow from, and are none themselves.
        let row = self.row(at);
        let is_derived = row.head().flags.has(Flags::DERIVED);
        let end = if at.table() == Table::Entities { None } else { row.number(END) };
        self.expiry.evicted += u64::from(!is_derived);
        self.expiry.flows_until = self.expiry.flows_until.max(end.unwrap_or(0));
        self.remove(at);
    }

    /// Removes a record, and what follows from it. If others refer to it, its place is held for as long as they do.
    pub(super) fn remove(&mut self, at: RecordRef) {
        self.remove_from_lane(at);
        let standing = Standing::of(self.row(at), at.table());
        self.count_source(self.row(at).head().owner, at, &standing, &Standing::default());
        let type_code = self.row(at).head().type_code;
        if let Some(tally) = self.tally(type_code) {
            tally.retained -= 1;
        }
        if at.table() != Table::Entities {
            return self.graph.clear(at);
        }
        let mut lanes = LaneSet::new();
        self.explained_by(at, &mut lanes, 0);
        self.hosts.remove(at);
        self.sharers.remove(at);
        let group = self.group(at);
        let routers = self.routers_of_reported(at);
        self.graph.clear(at);
        if let Some(group) = group {
            self.refresh_group(group);
        }
        self.explain_anew(lanes);
        for router in routers {
            self.rejoin_site(router);
        }
    }
}
