//! Restarts of routers, as the ids of their messages show them.

/// The message-ids of a router, as they come by one link.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count {
    last: Option<u64>,
    generation: u32,
}

/// Ids that lie back by no more than this are late, whatever they are.
pub(super) const LATE: u64 = 32;

impl Count {
    /// Whether a message came that was sent after the one with that id.
    pub(super) fn has_passed(&self, id: u64) -> bool {
        self.last.is_some_and(|last| last > id)
    }

    /// Takes the id of another message, and says whether the router that sent it is another one now.
    ///
    /// A router counts its messages over all its addresses, from 0 at its start. On one link they come in that order,
    /// but for duplicates: a message comes once for each path through the network, and a longer path lags behind a
    /// shorter one by a few. So ids that fall below half of what they were, and by more than 32, mean a restart. A
    /// router that restarts within its first 32 messages shows only in its ROUTER record's start time.
    ///
    /// One restart shows on each of the router's links, sooner or later; only the first to show it counts.
    pub(super) fn restarted(&mut self, id: u64, generation: u32) -> bool {
        let Some(last) = self.last else {
            *self = Self { last: Some(id), generation };
            return false;
        };
        if id >= last / 2 || last - id <= LATE {
            self.last = Some(last.max(id));
            return false;
        }
        let first = self.generation == generation;
        *self = Self { last: Some(id), generation: if first { generation + 1 } else { generation } };
        first
    }
}
