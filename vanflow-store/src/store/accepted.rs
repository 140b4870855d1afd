//! Connections that a router counted at a listener and never reported (faults 33).
//!
//! A LISTENER's `flowCountL4` grows with each connection; its record follows within seconds, or never, as when a router
//! makes no further records (faults 15). Both are counted from where the counter was first seen, so that what was before
//! makes no difference: what there was of the counter then, and connections that started earlier, are left out.
//!
//! A value of the counter is compared half a minute after it came, one at a time, with the connections that have been received by then
//! and had started when it came. The result never falls, and is rather too low than too high: connections that
//! started within [`SLACK_MICROS`] of a value are taken to be in it or not, whichever makes less of what is missing.

use std::collections::VecDeque;

use vanflow_proto::{Attribute, RecordKind, Timestamp, Update};

use super::Store;
use crate::{
    identity::Key,
    row::{RecordRef, RestValue, Table},
    schema::{
        AWAITED, AWAITED_SINCE, COUNTED_AT_FIRST, COUNTED_SINCE, FLOWS_BEFORE, FLOWS_LATER, NEVER_REPORTED,
        PARENT, START, TOTAL_FLOWS,
    },
};

/// How long a connection's record may be on its way, in microseconds. Real ones take up to 6 seconds; a source that was
/// silent for longer than this is lost and is asked for all that lives when it comes back.
const GRACE_MICROS: u64 = 30_000_000;

/// How far clocks of sources, as they are known from heartbeats, and the time that a counter takes to come may be out.
const SLACK_MICROS: u64 = 5_000_000;

/// Counters that wait to be compared, one for each listener, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Awaited {
    queue: VecDeque<(Timestamp, RecordRef, Key)>,
}

impl Store {
    /// A source has reported the counter of a record, if that is a listener.
    pub(super) fn note_counter(&mut self, at: RecordRef, update: &Update<'_>) {
        if at.table() != Table::Entities {
            return;
        }
        let row = self.row(at);
        // Looking for an attribute reads the update once more, which only those of listeners are worth.
        if row.head().type_code != RecordKind::Listener.code() || update.get(Attribute::FlowCountL4).is_none()
        {
            return;
        }
        let (Some(RestValue::Uint(count)), owner) =
            (row.rest_value(Attribute::FlowCountL4.code()), row.head().owner.0 as usize)
        else {
            return;
        };
        let (count, is_first) = (*count, row.number(COUNTED_SINCE).is_none());
        let Some(since) = self.sources.get(owner).map(|source| source.clock(self.now)) else { return };
        if is_first {
            let before = self.row(at).numbers()[TOTAL_FLOWS].saturating_sub(self.flows_since(at, since));
            let row = self.graph.row_mut(at);
            row.set_number(COUNTED_AT_FIRST, Some(count));
            row.set_number(COUNTED_SINCE, Some(since.as_micros()));
            row.set_number(FLOWS_BEFORE, Some(before));
            row.set_number(NEVER_REPORTED, Some(0));
        }
        self.await_counter(at, count, since);
    }

    /// Has a counter compared in a while, unless an earlier value of it waits already.
    fn await_counter(&mut self, at: RecordRef, count: u64, since: Timestamp) {
        let now = self.now;
        let row = self.graph.row_mut(at);
        if row.number(AWAITED).is_some() {
            return;
        }
        row.set_number(AWAITED, Some(count));
        row.set_number(AWAITED_SINCE, Some(since.as_micros()));
        row.set_number(FLOWS_LATER, Some(0));
        let key = row.head().key;
        self.awaited.queue.push_back((now, at, key));
    }

    /// How many connections of a listener that are retained have not started clearly before that time.
    fn flows_since(&self, listener: RecordRef, time: Timestamp) -> u64 {
        let mut next = self.row(listener).referrers()[PARENT];
        let mut count = 0;
        while let Some(at) = next.some() {
            let row = self.row(at);
            if at.table() == Table::Tports && row.is_reported() {
                count += u64::from(!is_before(row.number(START), time.as_micros()));
            }
            next = row.siblings()[PARENT].next;
        }
        count
    }

    /// A connection of a listener is received.
    #[inline]
    pub(super) fn note_received(&mut self, listener: RecordRef, start: Option<u64>) {
        let row = self.graph.entities.get_mut(listener.slot());
        if row.head.present & (1 << COUNTED_SINCE) == 0 {
            return;
        }
        if is_before(start, row.numbers[COUNTED_SINCE]) {
            row.numbers[FLOWS_BEFORE] += 1;
        } else if start.is_some_and(|start| start > row.numbers[AWAITED_SINCE].saturating_add(SLACK_MICROS)) {
            row.numbers[FLOWS_LATER] += 1;
        }
    }

    /// Compares the counters that have waited for long enough.
    pub(super) fn compare_counters(&mut self) {
        while let Some((since, at, key)) = self.awaited.queue.front().copied()
            && self.now.micros_since(since) >= GRACE_MICROS
        {
            self.awaited.queue.pop_front();
            if self.graph.by_key(key) == Some(at) {
                self.compare_counter(at);
            }
        }
    }

    fn compare_counter(&mut self, at: RecordRef) {
        let row = self.graph.row_mut(at);
        let [Some(awaited), Some(first)] = [AWAITED, COUNTED_AT_FIRST].map(|place| row.number(place)) else {
            return;
        };
        let number = |place: usize| row.numbers()[place];
        let received =
            number(TOTAL_FLOWS).saturating_sub(number(FLOWS_BEFORE)).saturating_sub(number(FLOWS_LATER));
        let missing = awaited.saturating_sub(first).saturating_sub(received);
        let known = number(NEVER_REPORTED);
        row.set_number(AWAITED, None);
        let is_live = row.is_live();
        if missing > known {
            row.set_number(NEVER_REPORTED, Some(missing));
            self.graph.touch(at);
        }
        // What has come meanwhile waits in its turn, from now on.
        let row = self.row(at);
        if let Some(RestValue::Uint(count)) = row.rest_value(Attribute::FlowCountL4.code())
            && *count != awaited
            && is_live
            && let Some(source) = self.sources.get(row.head().owner.0 as usize)
        {
            let (count, since) = (*count, source.clock(self.now));
            self.await_counter(at, count, since);
        }
    }
}

/// Whether something clearly started before that time, both in microseconds by the clock of the source.
fn is_before(start: Option<u64>, time: u64) -> bool {
    start.is_some_and(|start| start.saturating_add(SLACK_MICROS) < time)
}
