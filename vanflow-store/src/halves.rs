//! FLOW records as the halves of connections and requests: what each of them stands for, as the writer sees it.
//!
//! The rules are those of [`connection`](crate::connection). What a row is counted as stays with it, so that it can be
//! taken back exactly: what follows from a pair depends on rows that come, change and leave one by one.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use smallvec::SmallVec;
use vanflow_proto::RecordKind;

use crate::{
    ends::Path,
    graph::Graph,
    identity::{Key, Scopes},
    row::{MaybeMember, Membership, RecordRef, RestValue, Table},
    schema::{COUNTERFLOW, PARENT, START, place},
    share::{ConnectionShare, RequestShare},
    text::Symbol,
};

/// How many far halves of one near half are looked at, the one that named it last first. Each attempt of a router can add
/// one; there is no end to what something broken adds.
pub(crate) const MOST_FAR_HALVES: usize = 16;

/// What a FLOW row has of its own beside its attributes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HalfMembership {
    pub(crate) membership: Membership,
    pub(crate) counted: Counted,
    /// Of a connection, the octets that its requests were answered with, those too that have left.
    pub(crate) answered: u64,
}

impl MaybeMember for HalfMembership {
    fn get(&self) -> Option<&Membership> {
        Some(&self.membership)
    }

    fn get_mut(&mut self) -> Option<&mut Membership> {
        Some(&mut self.membership)
    }
}

/// What a FLOW row is counted as.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Counted {
    /// Nothing: another row is, or it is not known yet.
    #[default]
    Nothing,
    Connection {
        /// The id under which it is in the orders: that of the near half. The row has a use of it.
        key: Key,
        share: ConnectionShare,
    },
    Request {
        key: Key,
        share: RequestShare,
        octets_reverse: u64,
        /// In whose lane it is.
        connection: Option<RecordRef>,
        /// The connector that answered it, if that is reported. The row has a use of it.
        connector: Key,
    },
}

impl Counted {
    pub(crate) fn is_connection(&self) -> bool {
        matches!(self, Self::Connection { .. })
    }

    /// The id under which it is known, which is not its own where it is a far half.
    pub(crate) fn key(&self) -> Option<Key> {
        match self {
            Self::Nothing => None,
            Self::Connection { key, .. } | Self::Request { key, .. } => Some(*key),
        }
    }
}

/// The connectors that answered requests of connections without a far half, by the row that stands for the connection. Each
/// has a use of its keys.
#[derive(Debug, Default)]
pub(crate) struct Answering(HashMap<RecordRef, SmallVec<[(Key, u32); 1]>, FixedState>);

impl Answering {
    /// The connector that all of them were answered by of which that is known.
    fn sole(&self, connection: RecordRef) -> Key {
        match self.0.get(&connection).map(SmallVec::as_slice) {
            Some([(connector, _)]) => *connector,
            _ => Key::NONE,
        }
    }

    /// A request more that this connector answered.
    pub(crate) fn add(&mut self, connection: RecordRef, connector: Key, scopes: &mut Scopes) {
        let connectors = self.0.entry(connection).or_default();
        match connectors.iter_mut().find(|(known, _)| *known == connector) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => connectors.push((scopes.share(connector), 1)),
        }
    }

    /// A request less.
    pub(crate) fn take(&mut self, connection: RecordRef, connector: Key, scopes: &mut Scopes) {
        let Some(connectors) = self.0.get_mut(&connection) else { return };
        let Some(position) = connectors.iter().position(|(known, _)| *known == connector) else { return };
        connectors[position].1 -= 1;
        if connectors[position].1 > 0 {
            return;
        }
        connectors.remove(position);
        if connectors.is_empty() {
            self.0.remove(&connection);
        }
        scopes.release(connector);
    }

    /// The row stands for a connection no more.
    pub(crate) fn forget(&mut self, connection: RecordRef, scopes: &mut Scopes) {
        let connectors = self.0.remove(&connection).unwrap_or_default();
        connectors.into_iter().for_each(|(connector, _)| scopes.release(connector));
    }

    /// The memory that it takes, in octets.
    pub(crate) fn octets(&self) -> usize {
        self.0.len() * 2 * size_of::<(RecordRef, SmallVec<[(Key, u32); 1]>)>()
    }
}

/// What a FLOW is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Too little is reported.
    Unknown,
    /// The half that does not count, or a connector's own.
    Nothing,
    Connection,
    Request,
}

impl Graph {
    fn reported_kind(&self, at: Option<RecordRef>) -> Option<RecordKind> {
        let row = self.row(at?);
        if row.is_reported() { RecordKind::from_code(row.head().type_code) } else { None }
    }

    /// The rows that refer to one in that place, FLOW rows only.
    pub(crate) fn flows_referring(
        &self,
        at: RecordRef,
        place: usize,
    ) -> impl Iterator<Item = RecordRef> + use<'_> {
        let first = self.row(at).referrers().get(place).and_then(|first| first.some());
        std::iter::successors(first, move |&at| {
            self.row(at).siblings().get(place).and_then(|siblings| siblings.next.some())
        })
        .filter(|at| at.table() == Table::Flows)
    }

    /// The far halves of a near one, which need not be reported.
    pub(crate) fn far_halves(&self, near: RecordRef) -> impl Iterator<Item = RecordRef> + use<'_> {
        self.flows_referring(near, COUNTERFLOW).take(MOST_FAR_HALVES)
    }

    /// What leaves the store together with a FLOW: its own far halves, those of the same near half, and that one.
    pub(crate) fn other_halves(&self, at: RecordRef) -> impl Iterator<Item = RecordRef> + use<'_> {
        let near = self.target(at, COUNTERFLOW).unwrap_or(at);
        let is_half = near.table() == Table::Flows && self.row(near).is_reported();
        let near_itself = Some(near).filter(|near| *near != at && is_half);
        let far = self.far_halves(near).filter(move |far| *far != at);
        self.flows_referring(at, COUNTERFLOW).chain(far).chain(near_itself)
    }

    /// The far half that counts.
    fn far_half(&self, near: RecordRef) -> Option<RecordRef> {
        let scopes = self.vocabulary.scopes.table();
        self.far_halves(near).max_by(|left_at, right_at| {
            let [left, right] = [left_at, right_at].map(|at| self.row(*at));
            left.number(START)
                .cmp(&right.number(START))
                .then_with(|| scopes.probe(left.head().key)(right.head().key))
                .then_with(|| left_at.cmp(right_at))
        })
    }

    fn role(&self, at: RecordRef) -> Role {
        let row = self.flows.get(at.slot());
        let parent = self.target(at, PARENT);
        let parent_kind = self.reported_kind(parent);
        if parent_kind == Some(RecordKind::Listener) {
            return Role::Connection;
        }
        let of_parent = |kind: Option<RecordKind>| match kind {
            Some(RecordKind::Connector) => Role::Connection,
            Some(RecordKind::Flow) => Role::Request,
            _ => Role::Unknown,
        };
        if let Some(near) = self.target(at, COUNTERFLOW) {
            return if self.reported_kind(Some(near)) == Some(RecordKind::Flow)
                || self.far_half(near) != Some(at)
            {
                Role::Nothing
            } else {
                of_parent(parent_kind)
            };
        }
        match parent_kind {
            Some(RecordKind::Connector) => Role::Nothing,
            Some(RecordKind::Flow) => {
                let above = parent.and_then(|parent| self.target(parent, PARENT));
                // What is under a connector's own FLOW is a far half, whose counterflow is still to come.
                let is_far = self.reported_kind(above) == Some(RecordKind::Connector);
                if is_far { Role::Nothing } else { Role::Request }
            }
            // What it was known to be it stays when what it belongs to has left.
            _ if row.membership.counted.key().is_some() => Role::Unknown,
            _ if !row.texts[place::flow::METHOD].is_none() => Role::Request,
            // Where it belongs is not reported: perhaps it is where the other half does.
            _ => of_parent(self.far_half(at).and_then(|far| self.reported_kind(self.target(far, PARENT)))),
        }
    }

    /// Whether a FLOW is counted as a request of that connection.
    pub(crate) fn is_request_of(&self, at: RecordRef, connection: RecordRef) -> bool {
        let counted = &self.flows.get(at.slot()).membership.counted;
        matches!(counted, Counted::Request { connection: Some(its), .. } if *its == connection)
    }

    /// What a FLOW is to be counted as. What it was once known to be it stays while nothing else is known.
    pub(crate) fn counted_as(&self, at: RecordRef) -> Counted {
        let row = self.flows.get(at.slot());
        let role = match (self.role(at), row.membership.counted) {
            (Role::Unknown, Counted::Connection { .. }) => Role::Connection,
            (Role::Unknown, Counted::Request { .. }) => Role::Request,
            (role, _) => role,
        };
        let (near, far) = self.halves(at);
        let flow = |at: Option<RecordRef>| at.map(|at| self.flows.get(at.slot()));
        let key = if near.is_some() { row.head.key } else { row.references[COUNTERFLOW] };
        match role {
            Role::Unknown | Role::Nothing => Counted::Nothing,
            Role::Connection => Counted::Connection {
                key,
                share: ConnectionShare::of_halves(
                    flow(near),
                    flow(far),
                    row.membership.answered,
                    self.vocabulary.texts.table(),
                ),
            },
            Role::Request => {
                let connection = near.and_then(|near| self.target(near, PARENT)).filter(|connection| {
                    connection.table() == Table::Flows
                        && self.flows.get(connection.slot()).membership.counted.is_connection()
                });
                let octets_reverse = flow(far).map_or(0, |far| far.numbers[place::flow::OCTETS]);
                let share = RequestShare::of_halves(flow(near), flow(far), self.protocol_of(connection));
                let connector = far.map_or(Key::NONE, |far| self.answered_by(far));
                Counted::Request { key, share, octets_reverse, connection, connector }
            }
        }
    }

    /// The connector that answered a request, by the far half of it: what its own FLOW belongs to.
    fn answered_by(&self, far: RecordRef) -> Key {
        let own = self.target(far, PARENT).filter(|own| own.table() == Table::Flows);
        let own = own.map(|own| self.flows.get(own.slot()));
        own.filter(|own| !own.membership.counted.is_connection())
            .map_or(Key::NONE, |own| own.references[PARENT])
    }

    /// The near and the far half of what a FLOW that counts stands for.
    fn halves(&self, at: RecordRef) -> (Option<RecordRef>, Option<RecordRef>) {
        let is_far = !self.flows.get(at.slot()).references[COUNTERFLOW].is_none()
            && self.reported_kind(self.target(at, PARENT)) != Some(RecordKind::Listener);
        if is_far { (None, Some(at)) } else { (Some(at), self.far_half(at)) }
    }

    /// Where a connection goes that a FLOW counts as.
    pub(crate) fn path_of_halves(&self, at: RecordRef) -> Path {
        let (near, far) = self.halves(at);
        let parent = |at: Option<RecordRef>| at.map_or(Key::NONE, |at| self.row(at).references()[PARENT]);
        // HTTP requests are routed each by itself.
        let connector = if far.is_none() { self.answering.sole(at) } else { parent(far) };
        Path {
            parent: parent(near),
            connector,
            host: near
                .map_or(Symbol::NONE, |near| self.flows.get(near.slot()).texts[place::flow::SOURCE_HOST]),
        }
    }

    /// The protocol of the listener of a connection.
    fn protocol_of(&self, connection: Option<RecordRef>) -> Symbol {
        let listener = connection.and_then(|connection| self.target(connection, PARENT));
        let is_listener = self.reported_kind(listener) == Some(RecordKind::Listener);
        let row = listener.filter(|_| is_listener).map(|listener| self.row(listener));
        match row.and_then(|row| row.rest_value(vanflow_proto::Attribute::Protocol.code())) {
            Some(RestValue::Text(protocol)) => *protocol,
            _ => Symbol::NONE,
        }
    }
}
