//! What there is to list, and where it comes from.

use std::sync::Arc;

use vanflow_proto::{Attribute, RecordKind, Timestamp};
use vanflow_store::{Connection, FlowKind, Record, RecordRef, Snapshot};

use crate::v2alpha1::{
    connection::{Flow, Request},
    endpoint::{CONNECTOR, LISTENER, SERVICE},
    flow::{APPLICATION_FLOW, COMPONENT_PAIR, CONNECTION, PROCESS_PAIR, SITE_PAIR},
    network::{ROUTER, ROUTER_ACCESS, ROUTER_LINK, SITE},
    pair::PairKind,
    party::Party,
    schema::Schema,
    view::{Needs, Subject, View},
    workload::{COMPONENT, PROCESS},
};

/// What a path lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Collection {
    Sites,
    Routers,
    RouterLinks,
    RouterAccess,
    Listeners,
    Connectors,
    Services,
    Components,
    Processes,
    SitePairs,
    ComponentPairs,
    ProcessPairs,
    Connections,
    ApplicationFlows,
}

/// All of a collection, or what of it belongs to a site or service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    All,
    Site(RecordRef),
    Service(RecordRef),
}

/// Something of a collection, to be found again in the same view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Item {
    Record(RecordRef),
    Implied(usize),
    Component(usize),
    Pair(usize),
}

impl Collection {
    pub(crate) fn schema(self) -> &'static Schema {
        match self {
            Self::Sites => &SITE,
            Self::Routers => &ROUTER,
            Self::RouterLinks => &ROUTER_LINK,
            Self::RouterAccess => &ROUTER_ACCESS,
            Self::Listeners => &LISTENER,
            Self::Connectors => &CONNECTOR,
            Self::Services => &SERVICE,
            Self::Components => &COMPONENT,
            Self::Processes => &PROCESS,
            Self::SitePairs => &SITE_PAIR,
            Self::ComponentPairs => &COMPONENT_PAIR,
            Self::ProcessPairs => &PROCESS_PAIR,
            Self::Connections => &CONNECTION,
            Self::ApplicationFlows => &APPLICATION_FLOW,
        }
    }

    pub(crate) fn needs(self) -> Needs {
        let none = Needs::default();
        match self {
            Self::Services => Needs { protocols: true, ..none },
            Self::Components => Needs { clients: true, components: true, ..none },
            Self::Processes => Needs { clients: true, connectors: true, ..none },
            Self::SitePairs | Self::ComponentPairs | Self::ProcessPairs => {
                Needs { clients: true, pairs: true, ..none }
            }
            _ => none,
        }
    }

    /// What it has of what is exchanged, if that is what it has.
    pub(crate) fn flow_kind(self) -> Option<FlowKind> {
        match self {
            Self::Connections => Some(FlowKind::Connection),
            Self::ApplicationFlows => Some(FlowKind::Request),
            _ => None,
        }
    }

    /// The kind of the records that it has, where it has one for each and each is of that kind.
    pub(crate) fn kind(self) -> Option<RecordKind> {
        Some(match self {
            Self::Sites => RecordKind::Site,
            Self::Routers => RecordKind::Router,
            Self::RouterLinks => RecordKind::Link,
            Self::RouterAccess => RecordKind::RouterAccess,
            Self::Listeners => RecordKind::Listener,
            Self::Connectors => RecordKind::Connector,
            Self::Processes => RecordKind::Process,
            Self::Services
            | Self::Components
            | Self::SitePairs
            | Self::ComponentPairs
            | Self::ProcessPairs
            | Self::Connections
            | Self::ApplicationFlows => {
                return None;
            }
        })
    }

    fn pair_kind(self) -> Option<PairKind> {
        match self {
            Self::SitePairs => Some(PairKind::Site),
            Self::ComponentPairs => Some(PairKind::Component),
            Self::ProcessPairs => Some(PairKind::Process),
            _ => None,
        }
    }

    pub(crate) fn is_of_pairs(self) -> bool {
        self.pair_kind().is_some()
    }

    /// Whether what has ended is listed only for those who ask for it. Connections and requests are there to be looked
    /// back at; what a network is made of is what there is now.
    pub(crate) fn hides_gone(self) -> bool {
        !matches!(self, Self::Connections | Self::ApplicationFlows)
    }

    /// Everything in it, in no order. With `live_only`, what has ended can be left out.
    pub(crate) fn items(self, view: View<'_>, scope: Scope, live_only: bool) -> Vec<Item> {
        let record = |record: Record<'_>| Item::Record(record.at());
        match scope {
            Scope::All => {}
            Scope::Site(at) => {
                let site = view.snapshot.get(at).filter(|site| site.kind() == Some(RecordKind::Site));
                let Some(site) = site else { return Vec::new() };
                return match self {
                    Self::Routers => site.routers().map(record).collect(),
                    _ => self
                        .all(view, live_only)
                        .into_iter()
                        .filter(|item| is_of_site(view, *item, site))
                        .collect(),
                };
            }
            Scope::Service(at) => {
                let Some(service) = view.snapshot.service(at) else { return Vec::new() };
                return match self {
                    Self::Connections => {
                        let all = view.snapshot.flows(FlowKind::Connection).filter_map(Connection::new);
                        let its = all.filter(|connection| connection.service() == Some(service));
                        its.map(|connection| record(connection.record())).collect()
                    }
                    Self::Processes => {
                        let mut items: Vec<_> = service
                            .connectors()
                            .filter(Record::is_live)
                            .filter_map(|connector| view.target(connector))
                            .filter_map(|target| item_of(view, &target))
                            .collect();
                        items.sort_unstable();
                        items.dedup();
                        items
                    }
                    _ => self
                        .all(view, live_only)
                        .into_iter()
                        .filter(|item| is_to_service(view, *item, at))
                        .collect(),
                };
            }
        }
        self.all(view, live_only)
    }

    /// Whether a record that changed is one of a collection of connections or requests.
    pub(crate) fn includes(self, view: View<'_>, item: Item, scope: Scope) -> bool {
        let Item::Record(at) = item else { return false };
        let record = view.snapshot.get(at).filter(|record| record.flow_kind() == self.flow_kind());
        record.is_some_and(|record| match scope {
            Scope::All => self.flow_kind().is_some(),
            Scope::Site(site) => record.site().is_some_and(|its| its.at() == site),
            Scope::Service(service) => {
                let its = Connection::new(record).and_then(|connection| connection.service());
                its.is_some_and(|its| its.at() == service)
            }
        })
    }

    fn all(self, view: View<'_>, live_only: bool) -> Vec<Item> {
        let pairs = view.derived.pairs.iter().enumerate();
        if let Some(kind) = self.flow_kind() {
            let item = |record: Record<'_>| Item::Record(record.at());
            return if live_only {
                view.snapshot.live_flows(kind).map(item).collect()
            } else {
                view.snapshot.flows(kind).map(item).collect()
            };
        }
        match (self, self.kind(), self.pair_kind()) {
            (_, _, Some(wanted)) => {
                pairs.filter(|(_, pair)| pair.facts.kind == wanted).map(|(at, _)| Item::Pair(at)).collect()
            }
            (Self::Services, ..) => {
                view.snapshot.services().map(|service| Item::Record(service.at())).collect()
            }
            (Self::Components, ..) => (0..view.derived.components.len()).map(Item::Component).collect(),
            (_, Some(kind), _) => {
                let item = |record: Record<'_>| Item::Record(record.at());
                let mut items: Vec<_> = if live_only {
                    view.snapshot.live_of_kind(kind).map(item).collect()
                } else {
                    view.snapshot.of_kind(kind).map(item).collect()
                };
                if self == Self::Processes {
                    items.extend((0..view.derived.implied.len()).map(Item::Implied));
                }
                items
            }
            _ => Vec::new(),
        }
    }

    /// The one with that identity or key. Of several that had an identity one after the other it is the present one (faults 6).
    pub(crate) fn find(self, view: View<'_>, id: &str) -> Option<Item> {
        let (of_id, start) = match id.rsplit_once('@') {
            Some((id, start)) => (id, start.parse().ok().map(Timestamp::from_micros)),
            None => (id, None),
        };
        let reported = match self.flow_kind() {
            Some(kind) => view.snapshot.flow(kind, id).or_else(|| {
                let mut found = view.snapshot.find(of_id).filter(|record| record.flow_kind() == Some(kind));
                found
                    .find(|record| started(*record, start))
                    .or_else(|| view.snapshot.flow(kind, of_id).filter(|record| started(*record, start)))
            }),
            None => self.kind().and_then(|kind| {
                let is_it = |record: &Record<'_>| record.kind() == Some(kind);
                let by_key =
                    || view.snapshot.find(of_id).filter(is_it).find(|record| started(*record, start));
                view.snapshot.find(id).find(is_it).or_else(by_key)
            }),
        };
        let reported = reported.map(|record| Item::Record(record.at()));
        match self {
            _ if reported.is_some() => reported,
            Self::Services => service_with_id(view.snapshot, id).map(Item::Record),
            Self::Processes => view.implied_with_id(id).map(Item::Implied),
            Self::Components => {
                view.derived.components.iter().position(|component| component.id == id).map(Item::Component)
            }
            _ => {
                let wanted = self.pair_kind()?;
                let mut pairs = view.derived.pairs.iter();
                pairs.position(|pair| pair.facts.kind == wanted && pair.facts.id == id).map(Item::Pair)
            }
        }
    }

    /// What an item is.
    pub(crate) fn subject<'v>(self, view: View<'v>, item: Item) -> Option<Subject<'v>> {
        Some(match item {
            Item::Implied(at) => Subject::Process(Party::Implied(Arc::clone(view.derived.implied.get(at)?))),
            Item::Component(at) => Subject::Component(view.derived.components.get(at)?),
            Item::Pair(at) => Subject::Pair(view.derived.pairs.get(at)?),
            Item::Record(at) => match self {
                Self::Services => Subject::Service(view.snapshot.service(at)?),
                Self::Processes => Subject::Process(Party::Reported(view.snapshot.get(at)?)),
                _ => self.subject_of(view.snapshot.get(at)?)?,
            },
        })
    }

    /// What a record is that is the whole item.
    pub(crate) fn subject_of(self, record: Record<'_>) -> Option<Subject<'_>> {
        Some(match self.flow_kind() {
            Some(FlowKind::Connection) => Subject::Flow(Flow::new(Connection::new(record)?)),
            Some(FlowKind::Request) => Subject::Request(Request::new(vanflow_store::Request::new(record)?)),
            None => Subject::Record(record),
        })
    }
}

fn item_of(view: View<'_>, process: &Party<'_>) -> Option<Item> {
    match process {
        Party::Reported(record) => Some(Item::Record(record.at())),
        Party::Implied(implied) => view.implied_with_id(&implied.place.id).map(Item::Implied),
    }
}

fn is_of_site(view: View<'_>, item: Item, site: Record<'_>) -> bool {
    let id = site.id().to_cow();
    match item {
        Item::Record(at) => {
            let parent = view.snapshot.get(at).and_then(|record| record.text(Attribute::Parent));
            parent.is_some_and(|parent| parent == *id)
        }
        Item::Implied(at) => Party::Implied(Arc::clone(&view.derived.implied[at])).site_id() == id,
        Item::Component(_) | Item::Pair(_) => false,
    }
}

fn is_to_service(view: View<'_>, item: Item, service: RecordRef) -> bool {
    matches!(item, Item::Pair(at) if view.derived.pairs[at].is_to(service))
}

/// Whether a record started at the time that a key names, 0 where that is not known.
fn started(record: Record<'_>, at: Option<Timestamp>) -> bool {
    at.is_some_and(|at| record.start().unwrap_or_default() == at)
}

/// The service with that identity.
pub(crate) fn service_with_id(snapshot: &Snapshot, id: &str) -> Option<RecordRef> {
    snapshot.services().find(|service| service.id() == *id).map(|service| service.at())
}

/// The site with that identity.
pub(crate) fn site_with_id(snapshot: &Snapshot, id: &str) -> Option<RecordRef> {
    snapshot.find(id).find(|record| record.kind() == Some(RecordKind::Site)).map(|record| record.at())
}
