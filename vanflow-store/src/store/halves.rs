//! FLOW records in lanes, orders and counts: whatever changes in either half, the pair is counted anew, and what it was
//! counted as before is taken back.

use smallvec::SmallVec;
use vanflow_proto::Attribute;

use super::{Store, adjust, seconds};
use crate::{
    connection::FlowKind,
    ends::Path,
    graph::{Graph, Standing},
    halves::Counted,
    identity::Key,
    merge::Changed,
    row::{AnyRow, NO_LANE, RecordRef, Table},
    schema::{COUNTERFLOW, FlowRow, PARENT},
    share::{ConnectionShare, RequestShare},
};

type Rows = SmallVec<[RecordRef; 4]>;

impl Store {
    /// Brings everything up to date with a change of a FLOW, which named the counterflow `old_near` before.
    #[cold]
    pub(super) fn update_halves(
        &mut self,
        at: RecordRef,
        (was_reported, old_near): (bool, Option<RecordRef>),
        changed: Changed,
    ) {
        let near = self.graph.target(at, COUNTERFLOW);
        if let Some(old) = old_near.filter(|_| old_near != near) {
            self.recount_pair(old);
        }
        if !was_reported {
            // What was reported before it may have waited for it.
            let waiting: Rows = self.graph.far_halves(at).collect();
            waiting.into_iter().for_each(|far| self.recount(far));
        }
        self.recount(at);
        if !was_reported || changed.has(Attribute::Parent) {
            self.recount_children(at);
        }
        if let Some(near) = near {
            self.recount_pair(near);
            if self.reported_flow(near).is_some() {
                // The one that is shown has changed.
                self.graph.touch(near);
            }
        }
    }

    /// Counts anew the FLOWs under a record of which it has become known what it is.
    pub(super) fn recount_children(&mut self, at: RecordRef) {
        let children: Rows = self.graph.flows_referring(at, PARENT).collect();
        for child in children {
            self.recount(child);
            if let Some(near) = self.graph.target(child, COUNTERFLOW) {
                self.recount_pair(near);
            }
        }
    }

    /// The same after the protocol of a LISTENER has changed, which is that of the requests under it.
    pub(super) fn recount_requests(&mut self, listener: RecordRef) {
        let connections: Rows = self.graph.flows_referring(listener, PARENT).collect();
        connections.into_iter().for_each(|connection| self.recount_children(connection));
    }

    /// Counts anew what has that near half, which need not be reported.
    fn recount_pair(&mut self, near: RecordRef) {
        if self.reported_flow(near).is_some() {
            return self.recount(near);
        }
        let far: Rows = self.graph.far_halves(near).collect();
        far.into_iter().for_each(|far| self.recount(far));
    }

    fn reported_flow(&self, at: RecordRef) -> Option<&FlowRow> {
        if at.table() != Table::Flows {
            return None;
        }
        let row = self.graph.flows.get(at.slot());
        row.is_reported().then_some(row)
    }

    /// Takes back what a FLOW was counted as, and counts it as what it is now.
    fn recount(&mut self, at: RecordRef) {
        let Some(old) = self.reported_flow(at).map(|row| row.membership.counted) else { return };
        let new = self.graph.counted_as(at);
        match (old, new) {
            (Counted::Connection { key: old_key, share: old }, Counted::Connection { key, share })
                if key == old_key =>
            {
                self.change_connection(at, &old, &share);
            }
            (Counted::Request { key: old_key, .. }, Counted::Request { key, .. }) if key == old_key => {
                self.change_request(at, old, new);
            }
            _ => {
                self.take_back(at, old);
                self.count(at, new);
                if old.is_connection() != new.is_connection() {
                    self.recount_children(at);
                }
            }
        }
    }

    fn set_counted(&mut self, at: RecordRef, counted: Counted) {
        self.graph.flows.get_mut(at.slot()).membership.counted = counted;
    }

    /// Where a connection is counted, beside its lane.
    fn standing(key: Path, share: &ConnectionShare) -> Standing {
        let parent = if key.parent.is_none() { key.connector } else { key.parent };
        Standing {
            reported: share.is_reported,
            live: share.is_live,
            half: false,
            octets: 0,
            counted_under: (share.is_reported && !parent.is_none()).then_some(parent),
        }
    }

    fn lane_of_row(&self, connection: Option<RecordRef>) -> Option<u32> {
        let lane = self.row(connection?).membership()?.lane;
        (lane != NO_LANE).then_some(lane)
    }

    /// Counts what was counted as nothing.
    fn count(&mut self, at: RecordRef, counted: Counted) {
        let Some(key) = counted.key() else { return };
        self.graph.vocabulary.scopes.share(key);
        let scopes = self.graph.vocabulary.scopes.table();
        match counted {
            Counted::Nothing => {}
            Counted::Connection { share, .. } => {
                self.tport_orders.announce(at, key, scopes);
                self.tport_orders.end(at, None, share.end);
                let lane = self.lane_for(at);
                self.insert_member(at, lane);
                self.lanes.exchange(lane, &ConnectionShare::default(), &share);
                let path = self.lanes.row(lane).key.path;
                self.count_flow(at, &Standing::default(), &Self::standing(path, &share));
                self.tally_halves(FlowKind::Connection, false, share.is_live, (false, true));
                self.set_counted(at, counted);
            }
            Counted::Request { share, octets_reverse, connection, connector, .. } => {
                self.app_orders.announce(at, key, scopes);
                self.app_orders.end(at, None, share.end);
                self.tally_halves(FlowKind::Request, false, share.is_live, (false, true));
                self.set_counted(at, counted);
                self.exchange_request(connection, &RequestShare::default(), &share);
                self.answer(connection, 0, octets_reverse);
                self.graph.vocabulary.scopes.share(connector);
                self.change_answering((None, Key::NONE), (connection, connector));
            }
        }
    }

    /// Takes back what a FLOW was counted as: it was something else.
    fn take_back(&mut self, at: RecordRef, counted: Counted) {
        let Some(key) = counted.key() else { return };
        let scopes = self.graph.vocabulary.scopes.table();
        match counted {
            Counted::Nothing => {}
            Counted::Connection { share, .. } => {
                self.tport_orders.remove(at, key, share.end, scopes);
                if let Some(lane) = self.lane_of_row(Some(at)) {
                    for (request, share) in self.orphans(at) {
                        self.orphan(request);
                        let nothing = RequestShare::default();
                        self.lanes.exchange_request(lane, &share, &nothing, &mut self.graph.vocabulary);
                    }
                    let path = self.lanes.row(lane).key.path;
                    self.count_flow(at, &Self::standing(path, &share), &Standing::default());
                    self.remove_member(at);
                    self.lanes.exchange(lane, &share, &ConnectionShare::default());
                    // The other half may stand for it from now on.
                    self.lanes.note_move(at, self.row(at).head().key, lane);
                    self.settle_start(lane);
                    self.settle_most(lane);
                    self.lanes.note_drained(lane, seconds(self.now));
                }
                self.tally_halves(FlowKind::Connection, share.is_live, false, (true, false));
                self.graph.flows.get_mut(at.slot()).membership.answered = 0;
                self.graph.answering.forget(at, &mut self.graph.vocabulary.scopes);
            }
            Counted::Request { share, octets_reverse, connection, connector, .. } => {
                self.app_orders.remove(at, key, share.end, scopes);
                self.tally_halves(FlowKind::Request, share.is_live, false, (true, false));
                self.set_counted(at, Counted::Nothing);
                self.exchange_request(connection, &share, &RequestShare::default());
                self.answer(connection, octets_reverse, 0);
                self.change_answering((connection, connector), (None, Key::NONE));
                self.graph.vocabulary.scopes.release(connector);
            }
        }
        self.set_counted(at, Counted::Nothing);
        self.graph.vocabulary.scopes.release(key);
    }

    fn change_connection(&mut self, at: RecordRef, old: &ConnectionShare, new: &ConnectionShare) {
        let Some(lane) = self.lane_of_row(Some(at)) else { return };
        let to = self.lane_for(at);
        if to == lane && old == new {
            return;
        }
        let Some(key) = self.reported_flow(at).and_then(|row| row.membership.counted.key()) else { return };
        self.tport_orders.end(at, old.end, new.end);
        self.tally_halves(FlowKind::Connection, old.is_live, new.is_live, (true, true));
        let [before, after] = [(lane, old), (to, new)]
            .map(|(lane, share)| Self::standing(self.lanes.row(lane).key.path, share));
        if before != after {
            self.count_flow(at, &before, &after);
        }
        if to == lane {
            self.lanes.exchange(lane, old, new);
            self.settle_start(lane);
        } else {
            self.change_lane(at, (lane, old), (to, new));
        }
        self.set_counted(at, Counted::Connection { key, share: *new });
    }

    fn change_request(&mut self, at: RecordRef, old: Counted, new: Counted) {
        let (
            Counted::Request {
                share: old_share,
                octets_reverse: old_octets,
                connection: old_connection,
                connector: old_connector,
                ..
            },
            Counted::Request { share, octets_reverse, connection, connector, .. },
        ) = (old, new)
        else {
            return;
        };
        self.app_orders.end(at, old_share.end, share.end);
        self.tally_halves(FlowKind::Request, old_share.is_live, share.is_live, (true, true));
        self.set_counted(at, new);
        if old_connection == connection {
            self.exchange_request(connection, &old_share, &share);
            self.answer(connection, old_octets, octets_reverse);
        } else {
            self.exchange_request(old_connection, &old_share, &RequestShare::default());
            self.answer(old_connection, old_octets, 0);
            self.exchange_request(connection, &RequestShare::default(), &share);
            self.answer(connection, 0, octets_reverse);
        }
        self.graph.vocabulary.scopes.share(connector);
        self.change_answering((old_connection, old_connector), (connection, connector));
        self.graph.vocabulary.scopes.release(old_connector);
    }

    /// A request is of another connection than before, or answered by another connector.
    fn change_answering(&mut self, old: (Option<RecordRef>, Key), new: (Option<RecordRef>, Key)) {
        if old == new {
            return;
        }
        let known = |(connection, connector): (Option<RecordRef>, Key)| {
            Some((connection?, connector)).filter(|_| !connector.is_none())
        };
        let Graph { answering, vocabulary, .. } = &mut self.graph;
        if let Some((connection, connector)) = known(new) {
            answering.add(connection, connector, &mut vocabulary.scopes);
        }
        if let Some((connection, connector)) = known(old) {
            answering.take(connection, connector, &mut vocabulary.scopes);
        }
        for (connection, _) in [known(old), known(new)].into_iter().flatten() {
            let lane = self.lane_of_row(Some(connection));
            self.recount(connection);
            if lane != self.lane_of_row(Some(connection)) {
                // It is shown with another server, and so are its requests.
                self.graph.touch(connection);
                self.requests(connection).into_iter().for_each(|request| self.graph.touch(request));
            }
        }
    }

    fn exchange_request(&mut self, connection: Option<RecordRef>, old: &RequestShare, new: &RequestShare) {
        if let Some(lane) = self.lane_of_row(connection) {
            self.lanes.exchange_request(lane, old, new, &mut self.graph.vocabulary);
        }
    }

    /// A request of a connection was answered with other octets than before.
    fn answer(&mut self, connection: Option<RecordRef>, old: u64, new: u64) {
        let Some(connection) = connection.filter(|_| old != new) else { return };
        let answered = &mut self.graph.flows.get_mut(connection.slot()).membership.answered;
        *answered = answered.wrapping_add(new).wrapping_sub(old);
        self.recount(connection);
        self.graph.touch(connection);
    }

    /// Adjusts how many there are of what FLOW records make up.
    fn tally_halves(&mut self, kind: FlowKind, was_live: bool, is_live: bool, retained: (bool, bool)) {
        let tally = &mut self.halves[kind as usize];
        adjust(&mut tally.live, was_live, is_live);
        adjust(&mut tally.retained, retained.0, retained.1);
    }

    /// The requests of a connection that is about to go, and what they are counted with.
    fn orphans(&self, connection: RecordRef) -> SmallVec<[(RecordRef, RequestShare); 4]> {
        let share = |request: RecordRef| match self.graph.flows.get(request.slot()).membership.counted {
            Counted::Request { share, .. } => Some((request, share)),
            Counted::Nothing | Counted::Connection { .. } => None,
        };
        self.requests(connection).into_iter().filter_map(share).collect()
    }

    /// A request whose connection is there no more.
    fn orphan(&mut self, request: RecordRef) {
        if let Counted::Request { connection, .. } =
            &mut self.graph.flows.get_mut(request.slot()).membership.counted
        {
            *connection = None;
        }
    }

    /// A FLOW is about to leave the store. What passed by it has passed.
    #[cold]
    pub(super) fn forget_half(&mut self, at: RecordRef) {
        // What stayed for it stays no more.
        let others: Rows = self.graph.other_halves(at).collect();
        self.graph.let_go.extend(others);
        let counted = self.graph.flows.get(at.slot()).membership.counted;
        let Some(key) = counted.key() else { return };
        let scopes = self.graph.vocabulary.scopes.table();
        match counted {
            Counted::Nothing => {}
            Counted::Connection { share, .. } => {
                self.tport_orders.remove(at, key, share.end, scopes);
                if let Some(lane) = self.lane_of_row(Some(at)) {
                    for (request, share) in self.orphans(at) {
                        self.orphan(request);
                        self.lanes.forget_request(lane, &share, &mut self.graph.vocabulary);
                    }
                    self.remove_member(at);
                    self.lanes.forget(lane, &share);
                    self.settle_most(lane);
                    self.lanes.note_drained(lane, seconds(self.now));
                }
                self.tally_halves(FlowKind::Connection, share.is_live, false, (true, false));
                self.graph.answering.forget(at, &mut self.graph.vocabulary.scopes);
            }
            Counted::Request { share, connection, connector, .. } => {
                self.app_orders.remove(at, key, share.end, scopes);
                self.tally_halves(FlowKind::Request, share.is_live, false, (true, false));
                if let Some(lane) = self.lane_of_row(connection) {
                    self.lanes.forget_request(lane, &share, &mut self.graph.vocabulary);
                }
                // Who answered it stays who the connection went to.
                self.graph.vocabulary.scopes.release(connector);
            }
        }
        self.set_counted(at, Counted::Nothing);
        self.graph.vocabulary.scopes.release(key);
    }
}
