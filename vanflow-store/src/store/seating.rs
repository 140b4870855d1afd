//! Which lane each connection is in, what it and its requests add to that, and where they are in the orders: kept in
//! step with every change.

use vanflow_proto::Attribute;

use super::{Folded, Store, seconds};
use crate::{
    identity::Key,
    lanes::{ConnectionShare, LaneKey, RequestShare},
    merge::Changed,
    row::{NO_LANE, RecordRef, Seat, Siblings, Table},
    schema::PARENT,
};

/// What a record adds to a lane.
#[derive(Clone, Copy)]
pub(super) enum Share {
    Connection(ConnectionShare),
    Request(RequestShare),
    None,
}

impl Store {
    /// What a record adds to a lane as of now.
    #[inline]
    pub(super) fn share(&self, at: RecordRef) -> Share {
        match at.table() {
            Table::Tports => Share::Connection(ConnectionShare::of(self.tports.get(at.slot()))),
            Table::Apps => Share::Request(RequestShare::of(self.apps.get(at.slot()))),
            Table::Entities | Table::Flows => Share::None,
        }
    }

    /// Brings lanes up to date with a change of a record that added `before` to one.
    #[inline]
    pub(super) fn seat(&mut self, at: RecordRef, before: &Share, folded: &Folded) {
        match before {
            Share::Connection(before) => self.seat_connection(at, before, folded.changed),
            Share::Request(before) => self.seat_request(at, before, folded),
            Share::None => {}
        }
    }

    fn seat_connection(&mut self, at: RecordRef, before: &ConnectionShare, changed: Changed) {
        let row = self.tports.get(at.slot());
        let after = ConnectionShare::of(row);
        if !after.is_reported {
            return;
        }
        if !before.is_reported {
            self.tport_orders.announce(at, row.head.key, self.vocabulary.scopes.table());
        }
        self.tport_orders.end(at, before.end, after.end);
        let old = row.seat.lane;
        let is_elsewhere = old == NO_LANE
            || changed.has(Attribute::Parent)
            || changed.has(Attribute::Connector)
            || changed.has(Attribute::SourceHost);
        if is_elsewhere {
            let new = self.lanes.enter(LaneKey::of(row), &mut self.vocabulary);
            if new != old {
                return self.change_lane(at, (old, before), (new, &after));
            }
        }
        if *before != after {
            self.lanes.exchange(old, before, &after);
            self.settle_start(old);
        }
    }

    /// Takes a connection and its requests out of one lane, if it is in one, and puts them into another.
    fn change_lane(
        &mut self,
        at: RecordRef,
        (old, before): (u32, &ConnectionShare),
        (new, after): (u32, &ConnectionShare),
    ) {
        let nothing = (ConnectionShare::default(), RequestShare::default());
        if old != NO_LANE {
            self.leave(at);
            self.lanes.exchange(old, before, &nothing.0);
            self.each_request(at, |store, request| {
                store.lanes.exchange_request(old, &request, &nothing.1, &mut store.vocabulary);
            });
            self.settle_start(old);
            self.lanes.note_drained(old, seconds(self.now));
        }
        self.sit(at, new);
        self.lanes.exchange(new, &nothing.0, after);
        self.each_request(at, |store, request| {
            store.lanes.exchange_request(new, &nothing.1, &request, &mut store.vocabulary);
        });
    }

    fn seat_request(&mut self, at: RecordRef, before: &RequestShare, folded: &Folded) {
        let row = self.apps.get(at.slot());
        let after = RequestShare::of(row);
        if after.is_reported && !before.is_reported {
            self.app_orders.announce(at, row.head.key, self.vocabulary.scopes.table());
        }
        self.app_orders.end(at, before.end, after.end);
        let old = self.lane_of(folded.old[PARENT]);
        let new =
            if folded.old[PARENT] == folded.new[PARENT] { old } else { self.lane_of(folded.new[PARENT]) };
        let nothing = RequestShare::default();
        if old == new {
            if let Some(lane) = old {
                self.lanes.exchange_request(lane, before, &after, &mut self.vocabulary);
            }
            return;
        }
        if let Some(old) = old {
            self.lanes.exchange_request(old, before, &nothing, &mut self.vocabulary);
        }
        if let Some(new) = new {
            self.lanes.exchange_request(new, &nothing, &after, &mut self.vocabulary);
        }
    }

    /// A record is about to leave the store.
    pub(super) fn unseat(&mut self, at: RecordRef) {
        match self.share(at) {
            Share::Connection(share) => {
                let row = self.tports.get(at.slot());
                let lane = row.seat.lane;
                if lane == NO_LANE {
                    return;
                }
                self.tport_orders.forget(at, row.head.key, self.vocabulary.scopes.table());
                self.tport_orders.end(at, share.end, None);
                self.leave(at);
                self.lanes.forget(lane, &share);
                self.each_request(at, |store, request| {
                    store.lanes.forget_request(lane, &request, &mut store.vocabulary);
                });
                self.lanes.note_drained(lane, seconds(self.now));
            }
            Share::Request(share) => {
                if !share.is_reported {
                    return;
                }
                let row = self.apps.get(at.slot());
                let parent = row.references[PARENT];
                self.app_orders.forget(at, row.head.key, self.vocabulary.scopes.table());
                self.app_orders.end(at, share.end, None);
                if let Some(lane) = self.lane_of(parent) {
                    self.lanes.forget_request(lane, &share, &mut self.vocabulary);
                }
            }
            Share::None => {}
        }
    }

    /// The lane of a connection.
    fn lane_of(&self, connection: Key) -> Option<u32> {
        let at = self.index.get(connection).filter(|at| at.table() == Table::Tports)?;
        let lane = self.tports.get(at.slot()).seat.lane;
        (lane != NO_LANE).then_some(lane)
    }

    /// What each request of a connection adds to its lane.
    fn each_request(&mut self, at: RecordRef, mut take: impl FnMut(&mut Self, RequestShare)) {
        let mut next = self.row(at).head().referrers[PARENT];
        while let Some(child) = next.some() {
            if child.table() == Table::Apps {
                let share = RequestShare::of(self.apps.get(child.slot()));
                take(self, share);
            }
            next = self.row(child).siblings()[PARENT].next;
        }
    }

    /// Puts a connection into the list of a lane.
    fn sit(&mut self, at: RecordRef, lane: u32) {
        let next = std::mem::replace(&mut self.lanes.row_mut(lane).first, at);
        let siblings = Siblings { next, previous: RecordRef::NONE };
        self.tports.get_mut(at.slot()).seat = Seat { lane, siblings };
        if let Some(next) = next.some() {
            self.tports.get_mut(next.slot()).seat.siblings.previous = at;
        }
    }

    /// Takes a connection out of the list of its lane.
    fn leave(&mut self, at: RecordRef) {
        let Seat { lane, siblings } = std::mem::take(&mut self.tports.get_mut(at.slot()).seat);
        match siblings.previous.some() {
            Some(previous) => self.tports.get_mut(previous.slot()).seat.siblings.next = siblings.next,
            None => self.lanes.row_mut(lane).first = siblings.next,
        }
        if let Some(next) = siblings.next.some() {
            self.tports.get_mut(next.slot()).seat.siblings.previous = siblings.previous;
        }
    }

    /// Looks for the first start in a lane that what started first has left. That is a connection which just started,
    /// as long as its connector was not reported, and so one of few; ends are left to readers, as all those that were
    /// presumed can be taken back at once.
    fn settle_start(&mut self, lane: u32) {
        let row = self.lanes.row(lane);
        if !row.span.is_start_stale {
            return;
        }
        let (known, mut next) = (row.span.start, row.first);
        let mut start = None;
        while let Some(at) = next.some() {
            let row = self.tports.get(at.slot());
            let own = ConnectionShare::of(row).start;
            if let Some(own) = own {
                start = Some(start.map_or(own, |start: u64| start.min(own)));
            }
            if own.is_some() && own == known {
                break;
            }
            next = row.seat.siblings.next;
        }
        let span = &mut self.lanes.row_mut(lane).span;
        span.start = start;
        span.is_start_stale = false;
    }
}
