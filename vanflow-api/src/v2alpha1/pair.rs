//! Pairs: connections and requests between two, taken together.

use std::collections::{HashMap, HashSet};

use vanflow_proto::Timestamp;
#[cfg(test)]
use vanflow_store::Connection;
use vanflow_store::{Lane, RecordRef, derived};

use crate::v2alpha1::{
    connection::Flow,
    flow::protocol_name,
    party::Party,
    schema::{Cell, UNKNOWN},
    view::{View, earliest, later},
};

/// What goes from one to another.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) kind: PairKind,
    pub(crate) id: String,
    pub(crate) source: End,
    pub(crate) destination: End,
    pub(crate) protocol: String,
    pub(crate) record_count: u64,
    pub(crate) start: Option<Timestamp>,
    /// None while a connection or request is open.
    pub(crate) end: Option<Timestamp>,
    /// Whether one of both has gone.
    pub(crate) is_gone: bool,
    services: HashSet<RecordRef>,
}

/// What a [`Pair`] is between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PairKind {
    Site,
    Component,
    Process,
}

impl PairKind {
    /// What they are called, in the order in which they are declared.
    pub(crate) const NAMES: [&str; 3] = ["SITE", "PROCESS_GROUP", "PROCESS"];

    pub(crate) fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

/// One of both that a [`Pair`] is between.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) id: String,
    pub(crate) name: String,
    group: String,
    /// Id and name.
    site: Option<(String, String)>,
}

impl End {
    fn process(party: &Party<'_>) -> Self {
        let site_id = party.site_id();
        let site = (site_id != UNKNOWN).then(|| (site_id.into_owned(), party.site_name().into_owned()));
        Self {
            id: party.id().into_owned(),
            name: party.name().into_owned(),
            group: party.group().into_owned(),
            site,
        }
    }

    fn component(&self) -> Self {
        let (id, name) = (derived::component_id(&self.group), self.group.clone());
        Self { id, name, group: String::new(), site: None }
    }

    fn of_site(&self) -> Option<Self> {
        let (id, name) = self.site.clone()?;
        Some(Self { id, name, group: String::new(), site: None })
    }

    pub(crate) fn site_id(&self) -> Cell<'_> {
        self.site.as_ref().map_or(Cell::Absent, |(id, _)| Cell::text(id.as_str()))
    }

    pub(crate) fn site_name(&self) -> Cell<'_> {
        self.site.as_ref().map_or(Cell::Absent, |(_, name)| Cell::text(name.as_str()))
    }
}

impl Pair {
    /// Whether any of its connections and requests is to that service.
    pub(crate) fn is_to(&self, service: RecordRef) -> bool {
        self.services.contains(&service)
    }

    /// Whether both are the same but for when they started and ended.
    #[cfg(test)]
    pub(crate) fn is_alike(&self, other: &Self) -> bool {
        let facts =
            |pair: &Self| (pair.kind, pair.source.name.clone(), pair.destination.name.clone(), pair.is_gone);
        facts(self) == facts(other)
            && (&self.id, &self.protocol, self.record_count, &self.services)
                == (&other.id, &other.protocol, other.record_count, &other.services)
    }

    fn extend(&mut self, other: &Life) {
        self.record_count += other.count;
        self.start = earliest(self.start, other.start);
        self.end = later(self.end, other.end);
    }
}

/// How many records, since when, and until when; no end where one is open.
struct Life {
    count: u64,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
}

impl Life {
    /// Of many; `end` gives the latest end where none of them lives.
    fn new(count: usize, start: Option<Timestamp>, end: impl FnOnce() -> Option<Option<Timestamp>>) -> Self {
        Self { count: count as u64, start, end: end().map(Option::unwrap_or_default) }
    }

    #[cfg(test)]
    fn of_one(start: Option<Timestamp>, end: Option<Timestamp>) -> Self {
        Self { count: 1, start, end }
    }
}

/// Every pair, of processes, components and sites.
pub(crate) fn pairs(view: View<'_>) -> Vec<Pair> {
    let mut pairs = Pairs::default();
    for lane in view.snapshot.lanes() {
        if let Some(flow) = Flow::of_lane(lane) {
            pairs.add_lane(view, lane, &flow);
        }
    }
    pairs.add_components_and_sites();
    pairs.pairs
}

/// The same, by a look at each connection.
#[cfg(test)]
pub(crate) fn pairs_by_each(view: View<'_>) -> Vec<Pair> {
    let mut pairs = Pairs::default();
    for connection in view.snapshot.lanes().flat_map(|lane| lane.connections()).filter_map(Connection::new) {
        pairs.add_each(view, connection);
    }
    pairs.add_components_and_sites();
    pairs.pairs
}

#[derive(Default)]
struct Pairs {
    pairs: Vec<Pair>,
    positions: HashMap<String, usize>,
}

/// What connections and requests that are counted have in common.
struct Way {
    source: End,
    destination: End,
    is_gone: bool,
    services: HashSet<RecordRef>,
}

impl Way {
    /// None where one of both ends is not known.
    fn of<'v>(view: View<'v>, flow: &Flow<'v>) -> Option<Self> {
        let (source, destination) = (flow.source(view)?, flow.destination(view)?);
        Some(Self {
            source: End::process(source),
            destination: End::process(destination),
            is_gone: source.end().is_some() || destination.end().is_some(),
            services: flow.connection.service().map(|service| service.at()).into_iter().collect(),
        })
    }
}

impl Pairs {
    /// All connections of a lane, for which this one stands, and their requests.
    fn add_lane<'v>(&mut self, view: View<'v>, lane: Lane<'v>, flow: &Flow<'v>) {
        let Some(way) = Way::of(view, flow) else { return };
        let life = Life::new(lane.retained(), lane.start(), || (lane.live() == 0).then(|| lane.end()));
        self.add(PairKind::Process, &way, &flow.protocol(), &life);
        for requests in lane.requests() {
            if let Some(protocol) = requests.protocol() {
                let end = || (requests.live() == 0).then(|| requests.end());
                let life = Life::new(requests.retained(), requests.start(), end);
                self.add(PairKind::Process, &way, &protocol_name(protocol), &life);
            }
        }
    }

    /// A single connection and its requests.
    #[cfg(test)]
    fn add_each(&mut self, view: View<'_>, connection: Connection<'_>) {
        let flow = Flow::new(connection);
        let Some(way) = Way::of(view, &flow) else { return };
        self.add(
            PairKind::Process,
            &way,
            &flow.protocol(),
            &Life::of_one(connection.start(), connection.end()),
        );
        for request in connection.requests() {
            if let Some(protocol) = request.protocol().map(protocol_name) {
                let life = Life::of_one(request.start(), request.end());
                self.add(PairKind::Process, &way, &protocol, &life);
            }
        }
    }

    fn add_components_and_sites(&mut self) {
        for position in 0..self.pairs.len() {
            let pair = &self.pairs[position];
            let life = Life { count: pair.record_count, start: pair.start, end: pair.end };
            let protocol = pair.protocol.clone();
            let way = |source: End, destination: End| Way {
                source,
                destination,
                is_gone: pair.is_gone,
                services: pair.services.clone(),
            };
            let components = way(pair.source.component(), pair.destination.component());
            let sites = pair.source.of_site().zip(pair.destination.of_site());
            let sites = sites.map(|(source, destination)| way(source, destination));
            self.add(PairKind::Component, &components, &protocol, &life);
            if let Some(sites) = sites {
                self.add(PairKind::Site, &sites, &protocol, &life);
            }
        }
    }

    fn add(&mut self, kind: PairKind, way: &Way, protocol: &str, life: &Life) {
        let Way { source, destination, is_gone, services } = way;
        let id = match kind {
            PairKind::Process => derived::process_pair_id(&source.id, &destination.id, protocol),
            PairKind::Component => derived::component_pair_id(&source.id, &destination.id, protocol),
            PairKind::Site => derived::site_pair_id(&source.id, &destination.id, protocol),
        };
        if let Some(position) = self.positions.get(&id) {
            let pair = &mut self.pairs[*position];
            pair.extend(life);
            // It is there if it is between any two that are.
            pair.is_gone &= is_gone;
            pair.services.extend(services);
            return;
        }
        self.positions.insert(id.clone(), self.pairs.len());
        self.pairs.push(Pair {
            kind,
            id,
            source: source.clone(),
            destination: destination.clone(),
            protocol: protocol.to_owned(),
            record_count: life.count,
            start: life.start,
            end: life.end,
            is_gone: *is_gone,
            services: services.clone(),
        });
    }
}
