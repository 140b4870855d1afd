//! What a request sees of a snapshot, and what follows from it.
//!
//! What is derived belongs to one snapshot, so that it appears, changes and ends with the facts; all who ask of the same
//! state share it ([`Derivations`](crate::v2alpha1::derivations::Derivations)). What is worked out of connections is worked
//! out lane by lane, and of each connection only where those of a lane differ.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use vanflow_proto::{Attribute, RecordKind, Timestamp};
use vanflow_store::{Record, RecordRef, Service, Snapshot, Text};

use crate::link::{Ends, Routers};
use crate::v2alpha1::{
    component::{Component, components},
    connection::{Flow, Request},
    flow::protocol_name,
    memo::Memo,
    pair::Pair,
    party::{Implied, Party, Place},
    past::Past,
    schema::{Cell, UNKNOWN},
};

/// A snapshot and what was derived from it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'v> {
    pub(crate) snapshot: &'v Snapshot,
    pub(crate) derived: &'v Derived,
}

/// What an answer shows one of.
#[derive(Debug)]
pub(crate) enum Subject<'v> {
    Record(Record<'v>),
    Service(Service<'v>),
    Process(Party<'v>),
    Component(&'v Component),
    Pair(&'v Pair),
    Flow(Flow<'v>),
    Request(Request<'v>),
    /// A connection or request that is not held any more.
    Past(Past<'v>),
}

/// What has to be derived for an answer; each takes a look at many records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// The processes that must be where connections come from.
    pub(crate) clients: bool,
    /// The connectors to each process.
    pub(crate) connectors: bool,
    pub(crate) components: bool,
    pub(crate) pairs: bool,
    /// The protocols of requests.
    pub(crate) protocols: bool,
}

/// What follows from the records of a snapshot.
#[derive(Debug, Default)]
pub(crate) struct Derived {
    pub(crate) implied: Vec<Arc<Implied>>,
    pub(crate) implied_by_id: HashMap<Arc<str>, usize>,
    pub(crate) routers: Routers,
    pub(crate) connectors: HashMap<String, Vec<RecordRef>>,
    pub(crate) components: Vec<Component>,
    pub(crate) pairs: Vec<Pair>,
    pub(crate) protocols: HashMap<RecordRef, BTreeSet<String>>,
}

impl<'v> View<'v> {
    /// The router of that name.
    pub(crate) fn router_named(self, name: &str) -> Option<Record<'v>> {
        self.snapshot.get(self.derived.routers.named(name)?)
    }

    /// The routers at both ends of a link.
    pub(crate) fn ends(self, link: Record<'v>) -> Ends<'v> {
        Ends::of(&self.derived.routers, self.snapshot, link)
    }

    /// The process that a connector connects to now.
    pub(crate) fn target(self, connector: Record<'v>) -> Option<Party<'v>> {
        self.behind(connector, connector.process())
    }

    /// The process behind a connector: the one that is reported, or else the one that must be there.
    pub(crate) fn behind(self, connector: Record<'v>, reported: Option<Record<'v>>) -> Option<Party<'v>> {
        reported.map(Party::Reported).or_else(|| {
            let site = connector.site()?;
            Some(Party::Implied(self.implied(site, connector.text(Attribute::DestHost)?)))
        })
    }

    /// The process that must be at a host of a site.
    pub(crate) fn implied(self, site: Record<'v>, host: Text<'v>) -> Arc<Implied> {
        let id = Place::id_of(site, host);
        match self.implied_with_id(&id) {
            Some(position) => Arc::clone(&self.derived.implied[position]),
            None => Arc::new(Implied::new(Arc::new(Place::new(id, site, host, "client")), None, None)),
        }
    }

    pub(crate) fn implied_with_id(self, id: &str) -> Option<usize> {
        self.derived.implied_by_id.get(id).copied()
    }

    /// The services that connectors to a process belong to. What an ended process served is what it served last.
    fn served(self, process: &Party<'v>) -> impl Iterator<Item = Service<'v>> {
        let is_over = process.end().is_some();
        let connectors = self.derived.connectors.get(&*process.id()).map_or(&[][..], |connectors| connectors);
        connectors
            .iter()
            .filter_map(move |at| self.snapshot.get(*at))
            .filter(move |connector| is_over || connector.is_live())
            .filter_map(|connector| connector.service())
            .filter(|service| service.protocol().is_some())
    }

    /// Those services: name, id and protocol of each.
    pub(crate) fn services_of(self, process: &Party<'v>) -> Vec<String> {
        let services: BTreeSet<_> = self
            .served(process)
            .filter_map(|service| {
                Some(format!("{}@{}@{}", service.address(), service.id(), service.protocol()?))
            })
            .collect();
        services.into_iter().collect()
    }

    pub(crate) fn is_bound(self, process: &Party<'v>) -> bool {
        self.served(process).any(|service| service.listener_count() > 0)
    }

    /// The protocols of requests to a service.
    pub(crate) fn observed(self, service: Service<'v>) -> impl Iterator<Item = &'v str> {
        self.derived.protocols.get(&service.at()).into_iter().flatten().map(String::as_str)
    }
}

impl Derived {
    pub(crate) fn new(snapshot: &Snapshot, needs: Needs) -> Self {
        Self::with(snapshot, needs, &mut Memo::default())
    }

    /// The same, with what was worked out before.
    pub(crate) fn with(snapshot: &Snapshot, needs: Needs, memo: &mut Memo) -> Self {
        let mut derived = memo.derive(snapshot, needs);
        if needs.connectors {
            let view = View { snapshot, derived: &derived };
            let mut connectors = HashMap::<_, Vec<_>>::new();
            for connector in snapshot.of_kind(RecordKind::Connector) {
                if let Some(target) = view.target(connector) {
                    connectors.entry(target.id().into_owned()).or_default().push(connector.at());
                }
            }
            derived.connectors = connectors;
        }
        if needs.components {
            derived.components = components(View { snapshot, derived: &derived });
        }
        if needs.protocols {
            derived.add_protocols(snapshot);
        }
        derived
    }

    fn add_protocols(&mut self, snapshot: &Snapshot) {
        for lane in snapshot.lanes() {
            let mut reported = lane.requests().filter_map(|requests| requests.protocol()).peekable();
            if reported.peek().is_none() {
                continue;
            }
            let Some(service) = lane.service() else { continue };
            let protocols = self.protocols.entry(service.at()).or_default();
            for protocol in reported {
                protocols.insert(protocol_name(protocol).into_owned());
            }
        }
    }
}

/// The earlier of two starts, of which either can be unknown.
pub(crate) fn earliest(left: Option<Timestamp>, right: Option<Timestamp>) -> Option<Timestamp> {
    [left, right].into_iter().flatten().min()
}

/// The later of two ends; what has not ended is later than all.
pub(crate) fn later(left: Option<Timestamp>, right: Option<Timestamp>) -> Option<Timestamp> {
    Some(left?.max(right?))
}

/// When a record ended, unless it is live.
pub(crate) fn ended(record: Record<'_>) -> Option<Timestamp> {
    (!record.is_live()).then(|| record.end().unwrap_or_default())
}

/// A text of the store, or `unknown`.
pub(crate) fn known(text: Option<Text<'_>>) -> Cow<'_, str> {
    text.map_or(Cow::Borrowed(UNKNOWN), Text::to_cow)
}

/// A time, 0 where there is none.
pub(crate) fn instant(time: Option<Timestamp>) -> Cell<'static> {
    Cell::Number(time.map_or(0, Timestamp::as_micros))
}

/// What tells a record apart from others that had its identity before or after it (faults 6): its identity and its start.
pub(crate) fn key(id: Text<'_>, start: Option<Timestamp>) -> Cell<'static> {
    Cell::text(key_text(id, start))
}

pub(crate) fn key_text(id: Text<'_>, start: Option<Timestamp>) -> String {
    format!("{id}@{}", start.map_or(0, Timestamp::as_micros))
}

pub(crate) fn start_of(record: Record<'_>) -> Cell<'static> {
    instant(record.start())
}

pub(crate) fn end_of(record: Record<'_>) -> Cell<'static> {
    instant(ended(record))
}
