//! Which lane each connection is in, what it and its requests add to that, and where they are in the orders: kept in
//! step with every change.

use vanflow_proto::Attribute;

use super::{Store, seconds};
use crate::{
    lanes::{ConnectionShare, LaneKey, RequestShare},
    merge::Changed,
    row::{Membership, NO_LANE, RecordRef, Siblings, Table},
    schema::PARENT,
};

/// What a record adds to a lane.
#[derive(Clone, Copy)]
pub(super) enum Share {
    Connection(ConnectionShare),
    /// With the lane of its connection.
    Request(RequestShare, Option<u32>),
    None,
}

impl Store {
    /// What a record adds to a lane as of now.
    #[inline]
    pub(super) fn share(&self, at: RecordRef) -> Share {
        match at.table() {
            Table::Tports => Share::Connection(ConnectionShare::of(self.graph.tports.get(at.slot()))),
            Table::Apps => {
                Share::Request(RequestShare::of(self.graph.apps.get(at.slot())), self.lane_of_request(at))
            }
            Table::Entities | Table::Flows => Share::None,
        }
    }

    /// Brings lanes and orders up to date with a change of a record that added `before` to a lane.
    #[inline]
    pub(super) fn update_lane(&mut self, at: RecordRef, before: &Share, changed: Changed) {
        match before {
            Share::Connection(before) => self.update_connection(at, before, changed),
            Share::Request(before, lane) => self.update_request(at, before, *lane),
            Share::None => {}
        }
    }

    fn update_connection(&mut self, at: RecordRef, before: &ConnectionShare, changed: Changed) {
        let row = self.graph.tports.get(at.slot());
        let after = ConnectionShare::of(row);
        if !after.is_reported {
            return;
        }
        if !before.is_reported {
            self.tport_orders.announce(at, row.head.key, self.graph.vocabulary.scopes.table());
        }
        self.tport_orders.end(at, before.end, after.end);
        let old = row.membership.lane;
        let is_elsewhere = old == NO_LANE
            || changed.has(Attribute::Parent)
            || changed.has(Attribute::Connector)
            || changed.has(Attribute::SourceHost);
        if is_elsewhere {
            let new = self.lanes.find_or_insert(LaneKey::of(row), &mut self.graph.vocabulary);
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
            self.remove_member(at);
            self.lanes.exchange(old, before, &nothing.0);
            self.each_request(at, |store, request| {
                store.lanes.exchange_request(old, &request, &nothing.1, &mut store.graph.vocabulary);
            });
            self.settle_start(old);
            self.lanes.note_drained(old, seconds(self.now));
        }
        self.insert_member(at, new);
        self.lanes.exchange(new, &nothing.0, after);
        self.each_request(at, |store, request| {
            store.lanes.exchange_request(new, &nothing.1, &request, &mut store.graph.vocabulary);
        });
    }

    fn update_request(&mut self, at: RecordRef, before: &RequestShare, old: Option<u32>) {
        let row = self.graph.apps.get(at.slot());
        let after = RequestShare::of(row);
        if after.is_reported && !before.is_reported {
            self.app_orders.announce(at, row.head.key, self.graph.vocabulary.scopes.table());
        }
        self.app_orders.end(at, before.end, after.end);
        let new = self.lane_of_request(at);
        let nothing = RequestShare::default();
        if old == new {
            if let Some(lane) = old {
                self.lanes.exchange_request(lane, before, &after, &mut self.graph.vocabulary);
            }
            return;
        }
        if let Some(old) = old {
            self.lanes.exchange_request(old, before, &nothing, &mut self.graph.vocabulary);
        }
        if let Some(new) = new {
            self.lanes.exchange_request(new, &nothing, &after, &mut self.graph.vocabulary);
        }
    }

    /// A record is about to leave the store.
    pub(super) fn remove_from_lane(&mut self, at: RecordRef) {
        match self.share(at) {
            Share::Connection(share) => {
                let row = self.graph.tports.get(at.slot());
                let lane = row.membership.lane;
                if lane == NO_LANE {
                    return;
                }
                self.tport_orders.forget(at, row.head.key, self.graph.vocabulary.scopes.table());
                self.tport_orders.end(at, share.end, None);
                self.remove_member(at);
                self.lanes.forget(lane, &share);
                self.each_request(at, |store, request| {
                    store.lanes.forget_request(lane, &request, &mut store.graph.vocabulary);
                });
                self.lanes.note_drained(lane, seconds(self.now));
            }
            Share::Request(share, lane) => {
                if !share.is_reported {
                    return;
                }
                let row = self.graph.apps.get(at.slot());
                self.app_orders.forget(at, row.head.key, self.graph.vocabulary.scopes.table());
                self.app_orders.end(at, share.end, None);
                if let Some(lane) = lane {
                    self.lanes.forget_request(lane, &share, &mut self.graph.vocabulary);
                }
            }
            Share::None => {}
        }
    }

    /// The lane of the connection of a request.
    fn lane_of_request(&self, request: RecordRef) -> Option<u32> {
        let connection = self.graph.target(request, PARENT)?;
        let lane = self.row(connection).membership()?.lane;
        (lane != NO_LANE).then_some(lane)
    }

    /// What each request of a connection adds to its lane.
    fn each_request(&mut self, at: RecordRef, mut take: impl FnMut(&mut Self, RequestShare)) {
        let mut next = self.row(at).referrers()[PARENT];
        while let Some(child) = next.some() {
            if child.table() == Table::Apps {
                let share = RequestShare::of(self.graph.apps.get(child.slot()));
                take(self, share);
            }
            next = self.row(child).siblings()[PARENT].next;
        }
    }

    /// Puts a row into the list of a lane.
    fn insert_member(&mut self, at: RecordRef, lane: u32) {
        let next = std::mem::replace(&mut self.lanes.row_mut(lane).first, at);
        let siblings = Siblings { next, previous: RecordRef::NONE };
        *self.membership_mut(at) = Membership { lane, siblings };
        if let Some(next) = next.some() {
            self.membership_mut(next).siblings.previous = at;
        }
    }

    /// Takes a row out of the list of its lane.
    fn remove_member(&mut self, at: RecordRef) {
        let Membership { lane, siblings } = std::mem::take(self.membership_mut(at));
        match siblings.previous.some() {
            Some(previous) => self.membership_mut(previous).siblings.next = siblings.next,
            None => self.lanes.row_mut(lane).first = siblings.next,
        }
        if let Some(next) = siblings.next.some() {
            self.membership_mut(next).siblings.previous = siblings.previous;
        }
    }

    fn membership_mut(&mut self, at: RecordRef) -> &mut Membership {
        self.graph.row_mut(at).membership_mut().expect("only rows that can be in a lane are put into one")
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
            let row = self.graph.tports.get(at.slot());
            let own = ConnectionShare::of(row).start;
            if let Some(own) = own {
                start = Some(start.map_or(own, |start: u64| start.min(own)));
            }
            if own.is_some() && own == known {
                break;
            }
            next = row.membership.siblings.next;
        }
        let span = &mut self.lanes.row_mut(lane).span;
        span.start = start;
        span.is_start_stale = false;
    }
}
