//! Which lane each connection is in, what it and its requests add to that, and where they are in the orders: kept in
//! step with every change.

use smallvec::SmallVec;
use vanflow_proto::Attribute;

use super::{Store, derivation::LaneSet, seconds};
use crate::{
    ends::Path,
    halves::Counted,
    identity::Key,
    lanes::{LaneKey, Most},
    merge::Changed,
    row::{Flags, Membership, NO_LANE, RecordRef, Siblings, Table},
    schema::{CONNECTOR, COUNTERFLOW, END, PARENT, START},
    share::{ConnectionShare, RequestShare},
};

/// What a record adds to a lane.
#[derive(Clone, Copy)]
pub(super) enum Share {
    Connection(ConnectionShare),
    /// With its connection and the lane of that.
    Request(RequestShare, Key, Option<u32>),
    /// A FLOW adds what it is counted as: whether it was reported, and what it named as its counterflow.
    Half(bool, Option<RecordRef>),
    None,
}

impl Store {
    /// What a record adds to a lane as of now.
    #[inline]
    pub(super) fn share(&self, at: RecordRef) -> Share {
        match at.table() {
            Table::Tports => Share::Connection(self.share_of_connection(at)),
            Table::Apps => {
                let row = self.graph.apps.get(at.slot());
                let connection = row.references[PARENT];
                Share::Request(RequestShare::of(row), connection, self.lane_of(connection))
            }
            Table::Flows => self.share_of_half(at),
            Table::Entities => Share::None,
        }
    }

    // Apart, so that it costs other records nothing.
    #[cold]
    fn share_of_half(&self, at: RecordRef) -> Share {
        Share::Half(self.row(at).is_reported(), self.graph.target(at, COUNTERFLOW))
    }

    /// Brings lanes and orders up to date with a change of a record that added `before` to a lane.
    #[inline]
    pub(super) fn update_lane(&mut self, at: RecordRef, before: &Share, changed: Changed) {
        match before {
            Share::Connection(before) => self.update_connection(at, before, changed),
            Share::Request(before, connection, lane) => self.update_request(at, before, (*connection, *lane)),
            Share::Half(was_reported, near) => self.update_halves(at, (*was_reported, *near), changed),
            Share::None => {}
        }
    }

    fn update_connection(&mut self, at: RecordRef, before: &ConnectionShare, changed: Changed) {
        let after = self.share_of_connection(at);
        let row = self.graph.tports.get(at.slot());
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
            || changed.has(Attribute::SourceHost)
            || changed.has(Attribute::StartTime)
            || changed.has(Attribute::EndTime) && row.references[CONNECTOR].is_none();
        if is_elsewhere {
            let new = self.lane_for(at);
            if new != old {
                return self.change_lane(at, (old, before), (new, &after));
            }
        }
        if *before != after {
            self.lanes.exchange(old, before, &after);
            self.settle_start(old);
        }
    }

    /// The lane that a connection belongs into.
    pub(super) fn lane_for(&mut self, at: RecordRef) -> u32 {
        let path = match at.table() {
            Table::Flows => self.graph.path_of_halves(at),
            _ => Path::of(self.graph.tports.get(at.slot())),
        };
        let row = self.row(at);
        let (start, end) = (row.number(START).unwrap_or(u64::MAX), row.number(END));
        if let Some(lane) = self.lanes.routed(&path, start) {
            return lane;
        }
        let (ends, steady) = self.facts().ends(path, start, end);
        let lane = self.lanes.find_or_insert(LaneKey { path, ends }, &mut self.graph.vocabulary);
        // Of hosts that connect once there can be many.
        let row = self.lanes.row(lane);
        if row.retained > u32::from(row.first == at) {
            self.lanes.route(path, steady, lane);
        }
        lane
    }

    /// Finds out anew what is at the ends of the connections of these lanes, and puts those into other lanes that have
    /// something else there.
    pub(super) fn explain_anew(&mut self, lanes: LaneSet) {
        // All of them first: a connection must not be put where another of them was put before.
        for lane in &lanes {
            let path = self.lanes.row(*lane).key.path;
            self.lanes.forget_route(&path);
        }
        for lane in lanes {
            self.explain_lane_anew(lane);
        }
    }

    fn explain_lane_anew(&mut self, lane: u32) {
        let row = self.lanes.row(lane);
        if row.first.is_none() {
            return;
        }
        let (key, first, last) = (row.key, row.span.start.unwrap_or(u64::MAX), row.last_start);
        let (ends, steady) = self.facts().ends(key.path, first, None);
        if steady.has(first) && steady.has(last) {
            if ends == key.ends {
                return;
            }
            if self.lanes.change_ends(lane, ends, &mut self.graph.vocabulary) {
                return self.let_go(key.ends.keys());
            }
        }
        let mut last = 0;
        for at in self.members(lane) {
            let new = self.lane_for(at);
            let share = self.connection_share(at);
            if new == lane {
                last = last.max(share.start.unwrap_or(u64::MAX));
                continue;
            }
            self.change_lane(at, (lane, &share), (new, &share));
            // They are shown otherwise though nothing of themselves has changed.
            self.graph.touch(at);
            for request in self.requests(at) {
                self.graph.touch(request);
            }
        }
        self.lanes.row_mut(lane).last_start = last;
    }

    /// What a member of a lane is counted with.
    fn connection_share(&self, at: RecordRef) -> ConnectionShare {
        if at.table() == Table::Tports {
            return self.share_of_connection(at);
        }
        match self.graph.flows.get(at.slot()).membership.counted {
            Counted::Connection { share, .. } => share,
            Counted::Nothing | Counted::Request { .. } => ConnectionShare::default(),
        }
    }

    fn members(&self, lane: u32) -> Vec<RecordRef> {
        let next = |at: &RecordRef| self.row(*at).membership().and_then(|member| member.siblings.next.some());
        std::iter::successors(self.lanes.row(lane).first.some(), next).collect()
    }

    /// The requests of a connection.
    pub(super) fn requests(&self, connection: RecordRef) -> SmallVec<[RecordRef; 4]> {
        let next = |at: &RecordRef| self.row(*at).siblings()[PARENT].next.some();
        let first = self.row(connection).referrers()[PARENT].some();
        let is_request = |at: &RecordRef| match at.table() {
            Table::Apps => connection.table() == Table::Tports,
            Table::Flows => self.graph.is_request_of(*at, connection),
            Table::Entities | Table::Tports => false,
        };
        std::iter::successors(first, next).filter(is_request).collect()
    }

    /// What is at these ends may be needed no more.
    fn let_go(&mut self, keys: impl IntoIterator<Item = Key>) {
        for key in keys.into_iter().filter(|key| !key.is_none()) {
            if let Some(at) = self.graph.by_key(key)
                && self.row(at).head().flags.has(Flags::HELD)
            {
                self.graph.let_go.push(at);
            }
        }
    }

    /// Takes a connection and its requests out of one lane, if it is in one, and puts them into another.
    pub(super) fn change_lane(
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
            self.settle_most(old);
            self.lanes.note_drained(old, seconds(self.now));
        }
        self.insert_member(at, new);
        self.lanes.exchange(new, &nothing.0, after);
        self.each_request(at, |store, request| {
            store.lanes.exchange_request(new, &nothing.1, &request, &mut store.graph.vocabulary);
        });
        if old != NO_LANE && !self.lanes.row(old).key.is_alike(&self.lanes.row(new).key) {
            self.lanes.note_move(at, self.row(at).head().key, old);
        }
    }

    fn update_request(
        &mut self,
        at: RecordRef,
        before: &RequestShare,
        (connection, old): (Key, Option<u32>),
    ) {
        let row = self.graph.apps.get(at.slot());
        let after = RequestShare::of(row);
        if after.is_reported && !before.is_reported {
            self.app_orders.announce(at, row.head.key, self.graph.vocabulary.scopes.table());
        }
        self.app_orders.end(at, before.end, after.end);
        let parent = row.references[PARENT];
        let new = if parent == connection { old } else { self.lane_of(parent) };
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
                self.tport_orders.remove(at, row.head.key, share.end, self.graph.vocabulary.scopes.table());
                self.remove_member(at);
                self.lanes.forget(lane, &share);
                self.settle_most(lane);
                self.each_request(at, |store, request| {
                    store.lanes.forget_request(lane, &request, &mut store.graph.vocabulary);
                });
                self.lanes.note_drained(lane, seconds(self.now));
                self.remember(at);
            }
            Share::Request(share, _, lane) => {
                if !share.is_reported {
                    return;
                }
                let row = self.graph.apps.get(at.slot());
                self.app_orders.remove(at, row.head.key, share.end, self.graph.vocabulary.scopes.table());
                if let Some(lane) = lane {
                    self.lanes.forget_request(lane, &share, &mut self.graph.vocabulary);
                }
            }
            Share::Half(..) => self.forget_half(at),
            Share::None => {}
        }
    }

    /// The lane of a connection.
    fn lane_of(&self, connection: Key) -> Option<u32> {
        let at = self.graph.by_key(connection).filter(|at| at.table() == Table::Tports)?;
        let lane = self.graph.tports.get(at.slot()).membership.lane;
        (lane != NO_LANE).then_some(lane)
    }

    /// What each request of a connection adds to its lane.
    fn each_request(&mut self, at: RecordRef, mut take: impl FnMut(&mut Self, RequestShare)) {
        for request in self.requests(at) {
            let share = match request.table() {
                Table::Apps => RequestShare::of(self.graph.apps.get(request.slot())),
                _ => match self.graph.flows.get(request.slot()).membership.counted {
                    Counted::Request { share, .. } => share,
                    Counted::Nothing | Counted::Connection { .. } => continue,
                },
            };
            take(self, share);
        }
    }

    /// Puts a row into the list of a lane.
    pub(super) fn insert_member(&mut self, at: RecordRef, lane: u32) {
        let next = std::mem::replace(&mut self.lanes.row_mut(lane).first, at);
        let siblings = Siblings { next, previous: RecordRef::NONE };
        *self.membership_mut(at) = Membership { lane, siblings };
        if let Some(next) = next.some() {
            self.membership_mut(next).siblings.previous = at;
        }
    }

    /// Takes a row out of the list of its lane.
    pub(super) fn remove_member(&mut self, at: RecordRef) {
        let Membership { lane, siblings } = std::mem::take(self.membership_mut(at));
        match siblings.previous.some() {
            Some(previous) => self.membership_mut(previous).siblings.next = siblings.next,
            None => self.lanes.row_mut(lane).first = siblings.next,
        }
        if let Some(next) = siblings.next.some() {
            self.membership_mut(next).siblings.previous = siblings.previous;
        }
        let row = self.lanes.row(lane);
        let is_for_itself = |at: RecordRef| !self.row(at).head().flags.has(Flags::HELD);
        if !row.first.some().is_some_and(is_for_itself) {
            self.let_go(row.key.ends.keys().into_iter().chain([row.key.path.connector]));
        }
    }

    fn membership_mut(&mut self, at: RecordRef) -> &mut Membership {
        self.graph.row_mut(at).membership_mut().expect("only rows that can be in a lane are put into one")
    }

    /// Looks for the first start in a lane that what started first has left. That is a connection which just started,
    /// as long as its connector was not reported, and so one of few; ends are left to readers, as all those that were
    /// presumed can be taken back at once.
    pub(super) fn settle_start(&mut self, lane: u32) {
        let row = self.lanes.row(lane);
        if !row.span.is_start_stale {
            return;
        }
        let (known, mut next) = (row.span.start, row.first);
        let mut start = None;
        while let Some(at) = next.some() {
            // A connection that FLOW records make up starts when the row starts that stands for it.
            let row = self.row(at);
            let own = row.number(START);
            if let Some(own) = own {
                start = Some(start.map_or(own, |start: u64| start.min(own)));
            }
            if own.is_some() && own == known {
                break;
            }
            next = row.membership().map_or(RecordRef::NONE, |membership| membership.siblings.next);
        }
        let span = &mut self.lanes.row_mut(lane).span;
        span.start = start;
        span.is_start_stale = false;
    }

    /// Looks at what no connection of a lane has more of, once as many have left as it takes to look at.
    pub(super) fn settle_most(&mut self, lane: u32) {
        if !self.lanes.is_most_stale(lane) {
            return;
        }
        let mut most = Most::default();
        let mut next = self.lanes.row(lane).first;
        while let Some(at) = next.some() {
            most.admit(&self.connection_share(at));
            next = self.row(at).membership().map_or(RecordRef::NONE, |membership| membership.siblings.next);
        }
        self.lanes.row_mut(lane).most = most;
    }
}
