//! Pairs: connections and requests between two, taken together.

use std::sync::Arc;

use vanflow_proto::Timestamp;
use vanflow_store::{RecordRef, derived};

use crate::v2alpha1::{
    party::Party,
    schema::{Cell, UNKNOWN},
    view::{earliest, later},
};

/// What goes from one to another.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) facts: Arc<PairFacts>,
    pub(crate) record_count: u64,
    pub(crate) start: Option<Timestamp>,
    /// None while a connection or request is open.
    pub(crate) end: Option<Timestamp>,
    /// Whether one of both has gone.
    pub(crate) is_gone: bool,
    /// In their order, each once.
    pub(crate) services: Vec<RecordRef>,
}

/// What does not change of a [`Pair`].
#[derive(Debug)]
pub(crate) struct PairFacts {
    pub(crate) kind: PairKind,
    pub(crate) id: String,
    pub(crate) source: Arc<End>,
    pub(crate) destination: Arc<End>,
    pub(crate) protocol: Arc<str>,
}

impl PairFacts {
    pub(crate) fn new(kind: PairKind, source: Arc<End>, destination: Arc<End>, protocol: Arc<str>) -> Self {
        let id = match kind {
            PairKind::Process => derived::process_pair_id(&source.id, &destination.id, &protocol),
            PairKind::Component => derived::component_pair_id(&source.id, &destination.id, &protocol),
            PairKind::Site => derived::site_pair_id(&source.id, &destination.id, &protocol),
        };
        Self { kind, id, source, destination, protocol }
    }
}

/// What a [`Pair`] is between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct End {
    pub(crate) id: String,
    pub(crate) name: String,
    group: String,
    /// Id and name.
    site: Option<(String, String)>,
}

impl End {
    pub(crate) fn process(party: &Party<'_>) -> Self {
        let site_id = party.site_id();
        let site = (site_id != UNKNOWN).then(|| (site_id.into_owned(), party.site_name().into_owned()));
        Self {
            id: party.id().into_owned(),
            name: party.name().into_owned(),
            group: party.group().into_owned(),
            site,
        }
    }

    pub(crate) fn component(&self) -> Self {
        let (id, name) = (derived::component_id(&self.group), self.group.clone());
        Self { id, name, group: String::new(), site: None }
    }

    pub(crate) fn of_site(&self) -> Option<Self> {
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
    pub(crate) fn new(facts: Arc<PairFacts>, life: &Life, is_gone: bool, services: &[RecordRef]) -> Self {
        let Life { count, start, end } = *life;
        Self { facts, record_count: count, start, end, is_gone, services: services.to_vec() }
    }

    /// Whether any of its connections and requests is to that service.
    pub(crate) fn is_to(&self, service: RecordRef) -> bool {
        self.services.binary_search(&service).is_ok()
    }

    pub(crate) fn add_services(&mut self, services: &[RecordRef]) {
        for service in services {
            if let Err(position) = self.services.binary_search(service) {
                self.services.insert(position, *service);
            }
        }
    }

    pub(crate) fn life(&self) -> Life {
        Life { count: self.record_count, start: self.start, end: self.end }
    }

    pub(crate) fn extend(&mut self, other: &Life) {
        self.record_count += other.count;
        self.start = earliest(self.start, other.start);
        self.end = later(self.end, other.end);
    }

    /// Whether both are the same but for when they started and ended.
    #[cfg(test)]
    pub(crate) fn is_alike(&self, other: &Self) -> bool {
        let facts = |pair: &Self| {
            let PairFacts { kind, id, source, destination, protocol } = &*pair.facts;
            (*kind, id.clone(), source.name.clone(), destination.name.clone(), protocol.clone(), pair.is_gone)
        };
        facts(self) == facts(other)
            && (self.record_count, &self.services) == (other.record_count, &other.services)
    }
}

/// How many records, since when, and until when; no end where one is open.
pub(crate) struct Life {
    count: u64,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
}

impl Life {
    /// Of many; `end` gives the latest end where none of them lives.
    pub(crate) fn new(
        count: usize,
        start: Option<Timestamp>,
        end: impl FnOnce() -> Option<Option<Timestamp>>,
    ) -> Self {
        Self { count: count as u64, start, end: end().map(Option::unwrap_or_default) }
    }
}

/// The same pairs as [`Memo`](crate::v2alpha1::memo::Memo) works out of lanes, by a look at each connection.
#[cfg(test)]
pub(crate) mod by_each {
    use std::collections::HashMap;

    use vanflow_store::Connection;

    use super::*;
    use crate::v2alpha1::{connection::Flow, flow::protocol_name, view::View};

    #[derive(Default)]
    struct Pairs {
        pairs: Vec<Pair>,
        positions: HashMap<String, usize>,
    }

    pub(crate) fn pairs(view: View<'_>) -> Vec<Pair> {
        let mut pairs = Pairs::default();
        for connection in
            view.snapshot.lanes().flat_map(|lane| lane.connections()).filter_map(Connection::new)
        {
            pairs.add_each(view, connection);
        }
        for position in 0..pairs.pairs.len() {
            let Pair { facts, is_gone, services, .. } = &pairs.pairs[position];
            let (PairFacts { source, destination, protocol, .. }, is_gone) = (&**facts, *is_gone);
            let components = (PairKind::Component, source.component(), destination.component());
            let sites = source.of_site().zip(destination.of_site());
            let sites = sites.map(|(source, destination)| (PairKind::Site, source, destination));
            let (protocol, services) = (Arc::clone(protocol), services.clone());
            for (kind, source, destination) in std::iter::once(components).chain(sites) {
                let facts = PairFacts::new(kind, source.into(), destination.into(), Arc::clone(&protocol));
                let life = pairs.pairs[position].life();
                pairs.add(facts, &life, is_gone, &services);
            }
        }
        pairs.pairs
    }

    impl Pairs {
        fn add_each(&mut self, view: View<'_>, connection: Connection<'_>) {
            let flow = Flow::new(connection);
            let (Some(source), Some(destination)) = (flow.source(view), flow.destination(view)) else {
                return;
            };
            let (from, to) = (Arc::new(End::process(source)), Arc::new(End::process(destination)));
            let is_gone = source.end().is_some() || destination.end().is_some();
            let services: Vec<_> = connection.service().map(|service| service.at()).into_iter().collect();
            let life = |start, end| Life { count: 1, start, end };
            let mut add = |protocol: &str, life: Life| {
                let facts =
                    PairFacts::new(PairKind::Process, Arc::clone(&from), Arc::clone(&to), protocol.into());
                self.add(facts, &life, is_gone, &services);
            };
            add(&flow.protocol(), life(connection.start(), connection.end()));
            for request in connection.requests() {
                if let Some(protocol) = request.protocol().map(protocol_name) {
                    add(&protocol, life(request.start(), request.end()));
                }
            }
        }

        fn add(&mut self, facts: PairFacts, life: &Life, is_gone: bool, services: &[RecordRef]) {
            if let Some(position) = self.positions.get(&facts.id) {
                let pair = &mut self.pairs[*position];
                pair.extend(life);
                pair.is_gone &= is_gone;
                pair.add_services(services);
                return;
            }
            self.positions.insert(facts.id.clone(), self.pairs.len());
            self.pairs.push(Pair::new(Arc::new(facts), life, is_gone, services));
        }
    }
}
