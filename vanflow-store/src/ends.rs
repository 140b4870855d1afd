//! What is at the ends of a connection: the one rule for it.
//!
//! A connection names its listener, the host of its client and, mostly, its connector. The processes at its ends follow
//! from those: a PROCESS record says at which host of which site it is, and addresses are given from one process to
//! another. So a connection belongs to the processes that had the addresses **when it began**, and stays theirs, whether
//! or not their ends are reported (faults 12, 26):
//!
//! 1. A process that the connector names is the server, whatever its address.
//! 2. Of the PROCESS records with that host in that site, those whose lifetime has the start of the connection in it come
//!    first; then those nearest to it in time, so that a record that comes late or from a clock that is wrong explains a
//!    connection too.
//! 3. Of several alike, the one that started last; of those, the one with the lowest id.
//!
//! A connection that names no connector has the only one that its service had when it began (faults 11). If it had none
//! that is known, it has the one that started first while the connection was open. If there are several, none.
//!
//! What has no start is taken to have been there from the beginning of time, and a connection without one to begin now.
//! All of it depends on nothing but the records, and so not on the order in which they come.
//!
//! IPv6 addresses are compared as addresses and not as texts, since they can be written in many ways; `::ffff:10.0.0.1`
//! is `10.0.0.1`.

use std::{cmp::Ordering, net::IpAddr};

use vanflow_proto::{Attribute, RecordKind};

use crate::{
    identity::{Key, ScopeTable},
    index::Index,
    row::{AnyRow, RecordRef, RestValue, Table},
    schema::{END, EntityRow, GROUP, PARENT, PROCESS, START},
    slab::Rows,
    store::ProcessesByHost,
    text::{Symbol, TextTable, lookup},
};

/// How many records up a SITE is looked for.
const DEPTH: usize = 8;

/// A host as hosts are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Host {
    /// An address, as one of IPv6.
    Address([u8; 16]),
    /// Anything else.
    Name(Symbol),
}

impl Host {
    /// None where there is no text.
    pub(crate) fn new(texts: &TextTable, symbol: Symbol) -> Option<Self> {
        if symbol.is_none() {
            return None;
        }
        let address = if symbol.number().is_some() { None } else { lookup(texts, symbol).parse().ok() };
        Some(match address {
            Some(IpAddr::V4(address)) => Self::Address(address.to_ipv6_mapped().octets()),
            Some(IpAddr::V6(address)) => Self::Address(address.octets()),
            None => Self::Name(symbol),
        })
    }
}

/// What a connection says of where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Path {
    pub(crate) parent: Key,
    pub(crate) connector: Key,
    pub(crate) host: Symbol,
}

/// What follows from that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ends {
    /// The PROCESS of the client.
    pub(crate) client: Key,
    /// The CONNECTOR, where the connection names none.
    pub(crate) connector: Key,
    /// The PROCESS of the server.
    pub(crate) server: Key,
}

impl Ends {
    pub(crate) const NONE: Self = Self { client: Key::NONE, connector: Key::NONE, server: Key::NONE };

    pub(crate) fn keys(&self) -> [Key; 3] {
        [self.client, self.connector, self.server]
    }
}

/// The moments around one for which an answer is the same, the first and the last of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Steady {
    from: u64,
    until: u64,
}

impl Steady {
    pub(crate) const ALWAYS: Self = Self { from: 0, until: u64::MAX };
    const NEVER: Self = Self { from: 1, until: 0 };

    pub(crate) fn has(&self, moment: u64) -> bool {
        self.from <= moment && moment <= self.until
    }

    /// The answer depends on whether that lifetime has the moment in it.
    fn depend(&mut self, moment: u64, (start, end): (u64, Option<u64>)) {
        if start > moment {
            self.until = self.until.min(start - 1);
        } else {
            self.from = self.from.max(start);
        }
        match end {
            Some(end) if end < moment => self.from = self.from.max(end + 1),
            Some(end) => self.until = self.until.min(end),
            None => {}
        }
    }
}

/// Where the records are that an answer follows from.
#[derive(Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) index: &'a Index,
    pub(crate) entities: &'a Rows<EntityRow>,
    pub(crate) texts: &'a TextTable,
    pub(crate) scopes: &'a ScopeTable,
    pub(crate) hosts: &'a ProcessesByHost,
}

fn lifetime(row: &dyn AnyRow) -> (u64, Option<u64>) {
    (row.number(START).unwrap_or(0), row.number(END))
}

/// How far a lifetime is from a moment.
fn distance((start, end): (u64, Option<u64>), moment: u64) -> u64 {
    if start > moment { start - moment } else { end.map_or(0, |end| moment.saturating_sub(end)) }
}

/// A text of an entity.
pub(crate) fn text(row: &dyn AnyRow, attribute: Attribute) -> Symbol {
    match row.rest_value(attribute.code()) {
        Some(RestValue::Text(symbol)) => *symbol,
        _ => Symbol::NONE,
    }
}

/// What an entity belongs to: of a router its site, also where that follows from the router.
pub(crate) fn parent(row: &dyn AnyRow) -> Key {
    let is_router = row.head().type_code == RecordKind::Router.code();
    let derived = if is_router { row.references()[GROUP] } else { Key::NONE };
    if derived.is_none() { row.references()[PARENT] } else { derived }
}

fn kind(row: &EntityRow) -> Option<RecordKind> {
    RecordKind::from_code(row.head.type_code)
}

impl<'a> Facts<'a> {
    /// What is at the ends of a connection that began at `start` and, if it did, ended at `end`; and for which other
    /// starts that is so.
    pub(crate) fn ends(self, path: Path, start: u64, end: Option<u64>) -> (Ends, Steady) {
        let mut steady = Steady::ALWAYS;
        let mut ends = Ends::NONE;
        let connector = if path.connector.is_none() {
            let service = self.entity(path.parent).and_then(|endpoint| self.service(endpoint));
            service.and_then(|service| self.only_connector(service, start, end, &mut steady))
        } else {
            self.entity(path.connector)
        };
        if let Some(connector) = connector {
            if path.connector.is_none() {
                ends.connector = connector.head.key;
            }
            ends.server = self.server(connector, start, &mut steady);
        }
        ends.client = self.client(path.parent, path.host, start, &mut steady);
        (ends, steady)
    }

    /// The process at a host of the site of a listener.
    pub(crate) fn client(self, listener: Key, host: Symbol, start: u64, steady: &mut Steady) -> Key {
        let site = self.site(listener);
        site.map_or(Key::NONE, |site| self.process_at(site, host, start, steady))
    }

    /// The process behind a connector.
    pub(crate) fn server(self, connector: &EntityRow, start: u64, steady: &mut Steady) -> Key {
        let named = connector.references[PROCESS];
        if self.entity(named).is_some() {
            return named;
        }
        let site = self.site(connector.head.key);
        let host = text(connector, Attribute::DestHost);
        site.map_or(Key::NONE, |site| self.process_at(site, host, start, steady))
    }

    fn process_at(self, site: Key, host: Symbol, start: u64, steady: &mut Steady) -> Key {
        let host = Host::new(self.texts, host);
        let Some(processes) = host.and_then(|host| self.hosts.get(&(site, host))) else { return Key::NONE };
        let rows = processes.iter().filter_map(|at| self.entities.get(at.slot()));
        let rows = rows.inspect(|row| {
            if processes.len() > 1 {
                steady.depend(start, lifetime(*row));
            }
        });
        let best = rows.min_by(|left, right| {
            let [left_life, right_life] = [lifetime(*left), lifetime(*right)];
            distance(left_life, start)
                .cmp(&distance(right_life, start))
                .then(right_life.0.cmp(&left_life.0))
                .then_with(|| self.scopes.probe(right.head.key)(left.head.key))
        });
        if processes.len() > 1 && best.is_some_and(|row| distance(lifetime(row), start) > 0) {
            *steady = Steady::NEVER;
        }
        best.map_or(Key::NONE, |row| row.head.key)
    }

    /// The only connector that a service had when a connection began, or else got while it was open.
    pub(crate) fn only_connector(
        self,
        service: &EntityRow,
        start: u64,
        end: Option<u64>,
        steady: &mut Steady,
    ) -> Option<&'a EntityRow> {
        let mut best = None::<(u64, &EntityRow)>;
        let mut is_only = true;
        let mut next = service.referrers[GROUP];
        while let Some(row) = next.some().and_then(|at| self.entities.get(at.slot())) {
            next = row.siblings[GROUP].next;
            if kind(row) != Some(RecordKind::Connector) {
                continue;
            }
            let life = lifetime(row);
            steady.depend(start, life);
            if life.1.is_some_and(|ended| ended < start) || end.is_some_and(|end| end.max(start) < life.0) {
                continue;
            }
            let distance = distance(life, start);
            match best.map_or(Ordering::Less, |(least, _)| distance.cmp(&least)) {
                Ordering::Less => (best, is_only) = (Some((distance, row)), true),
                Ordering::Equal => is_only = false,
                Ordering::Greater => {}
            }
        }
        match best {
            // When the connection ends may decide.
            Some((distance, _)) if distance > 0 => *steady = Steady::NEVER,
            None if steady.until < u64::MAX => *steady = Steady::NEVER,
            _ => {}
        }
        best.filter(|_| is_only).map(|(_, row)| row)
    }

    /// The service of a listener or connector.
    fn service(self, endpoint: &EntityRow) -> Option<&'a EntityRow> {
        matches!(kind(endpoint), Some(RecordKind::Listener | RecordKind::Connector))
            .then(|| self.entity(endpoint.references[GROUP]))?
    }

    /// The SITE of a listener or connector: that of its router.
    fn site(self, endpoint: Key) -> Option<Key> {
        let mut key = endpoint;
        for step in 0..DEPTH {
            let row = self.entity(key)?;
            match kind(row) {
                Some(RecordKind::Site) => return Some(key),
                Some(RecordKind::Listener | RecordKind::Connector | RecordKind::Process) if step > 0 => {
                    return None;
                }
                _ => key = parent(row),
            }
        }
        None
    }

    /// The record with that key, if it is reported and no flow.
    pub(crate) fn entity(self, key: Key) -> Option<&'a EntityRow> {
        if key.is_none() {
            return None;
        }
        let at: RecordRef = self.index.get(key).filter(|at| at.table() == Table::Entities)?;
        let row = self.entities.get(at.slot())?;
        (row as &dyn AnyRow).is_reported().then_some(row)
    }
}
