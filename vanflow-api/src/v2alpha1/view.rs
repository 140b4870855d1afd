//! What a request sees of a snapshot, and what follows from it.
//!
//! Nothing here outlives a request, so that whatever is derived appears, changes and ends with the facts.

use std::{
    borrow::Cow,
    cell::OnceCell,
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use vanflow_proto::{Attribute, RecordKind, Timestamp};
use vanflow_store::{Record, RecordRef, Service, Snapshot, Text, derived};

use crate::v2alpha1::{
    flow::application_protocol,
    schema::{Cell, UNKNOWN, one_of},
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
}

/// A request and its connection.
#[derive(Debug)]
pub(crate) struct Request<'v> {
    pub(crate) record: Record<'v>,
    /// None while it has not been told.
    pub(crate) connection: Option<Flow<'v>>,
}

/// What has to be derived for an answer; each takes a look at many records.
#[derive(Clone, Copy, Debug, Default)]
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
    implied_by_id: HashMap<String, usize>,
    /// Routers by their names in traces.
    routers: HashMap<String, RecordRef>,
    connectors: HashMap<String, Vec<RecordRef>>,
    pub(crate) components: Vec<Component>,
    pub(crate) pairs: Vec<Pair>,
    protocols: HashMap<RecordRef, BTreeSet<String>>,
}

/// A process that must be at a host because connections come from there or go there, though no record says so.
#[derive(Clone, Debug)]
pub(crate) struct Implied {
    pub(crate) id: String,
    name: String,
    group: String,
    host: String,
    site_id: String,
    site_name: String,
    start: Option<Timestamp>,
    /// None while it is there.
    end: Option<Timestamp>,
}

/// The processes of a group.
#[derive(Debug)]
pub(crate) struct Component {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) process_count: u64,
    pub(crate) role: &'static str,
    pub(crate) start: Option<Timestamp>,
    /// None while it is there.
    pub(crate) end: Option<Timestamp>,
}

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
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Site => "SITE",
            Self::Component => "PROCESS_GROUP",
            Self::Process => "PROCESS",
        }
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

/// A process at an end of a connection.
#[derive(Clone, Debug)]
pub(crate) enum Party<'v> {
    Told(Record<'v>),
    Implied(Arc<Implied>),
}

impl<'v> Party<'v> {
    pub(crate) fn told(&self) -> Option<Record<'v>> {
        match self {
            Self::Told(record) => Some(*record),
            Self::Implied(_) => None,
        }
    }

    fn text(
        &self,
        told: impl FnOnce(Record<'v>) -> Option<Text<'v>>,
        implied: impl FnOnce(&Implied) -> &String,
    ) -> Cow<'v, str> {
        match self {
            Self::Told(record) => known(told(*record)),
            Self::Implied(process) => Cow::Owned(implied(process).clone()),
        }
    }

    pub(crate) fn id(&self) -> Cow<'v, str> {
        self.text(|told| Some(told.id()), |implied| &implied.id)
    }

    pub(crate) fn name(&self) -> Cow<'v, str> {
        self.text(|told| told.text(Attribute::Name), |implied| &implied.name)
    }

    /// The group; a process without one is a group of its own.
    pub(crate) fn group(&self) -> Cow<'v, str> {
        let group = |told: Record<'v>| {
            let group = told.text(Attribute::Group).filter(|group| *group != *"");
            group.or_else(|| told.text(Attribute::Name))
        };
        self.text(group, |implied| &implied.group)
    }

    pub(crate) fn component_id(&self) -> String {
        derived::component_id(&self.group())
    }

    pub(crate) fn host(&self) -> Cow<'v, str> {
        self.text(|told| told.text(Attribute::SourceHost), |implied| &implied.host)
    }

    pub(crate) fn site_id(&self) -> Cow<'v, str> {
        self.text(|told| told.text(Attribute::Parent), |implied| &implied.site_id)
    }

    pub(crate) fn site_name(&self) -> Cow<'v, str> {
        self.text(|told| told.site()?.text(Attribute::Name), |implied| &implied.site_name)
    }

    pub(crate) fn role(&self) -> &'static str {
        const ROLES: &[(&str, &str)] = &[("internal", "internal"), ("remote", "remote")];
        match self {
            Self::Told(record) => one_of(record.text(Attribute::Mode), ROLES, "external"),
            Self::Implied(_) => "remote",
        }
    }

    pub(crate) fn start(&self) -> Option<Timestamp> {
        match self {
            Self::Told(record) => record.start(),
            Self::Implied(process) => process.start,
        }
    }

    /// None while it is there.
    pub(crate) fn end(&self) -> Option<Timestamp> {
        match self {
            Self::Told(record) => ended(*record),
            Self::Implied(process) => process.end,
        }
    }
}

/// A connection and what is at its ends, each looked up once.
#[derive(Debug)]
pub(crate) struct Flow<'v> {
    pub(crate) record: Record<'v>,
    connector: OnceCell<Option<Record<'v>>>,
    source: OnceCell<Option<Party<'v>>>,
    destination: OnceCell<Option<Party<'v>>>,
}

/// What a connection passes, by name.
#[derive(Debug, Default)]
pub(crate) struct Trace<'v> {
    pub(crate) routers: Vec<Cow<'v, str>>,
    pub(crate) sites: Vec<Cow<'v, str>>,
}

impl<'v> Trace<'v> {
    fn push(&mut self, router: Option<Record<'v>>) {
        let name = |record: Option<Record<'v>>| record?.text(Attribute::Name).map(Text::to_cow);
        let add = |names: &mut Vec<Cow<'v, str>>, name: Option<Cow<'v, str>>| {
            names.extend(name.filter(|name| names.last() != Some(name)));
        };
        add(&mut self.routers, name(router));
        add(&mut self.sites, name(router.and_then(|router| router.site())));
    }
}

impl<'v> Flow<'v> {
    pub(crate) fn new(record: Record<'v>) -> Self {
        Self { record, connector: OnceCell::new(), source: OnceCell::new(), destination: OnceCell::new() }
    }

    /// The connector: the one that was told, or the only one that it can be.
    pub(crate) fn connector(&self) -> Option<Record<'v>> {
        *self.connector.get_or_init(|| self.record.connector().or_else(|| self.record.connector_inferred()))
    }

    fn listener(&self) -> Option<Record<'v>> {
        self.record.parent().filter(|parent| parent.kind() == Some(RecordKind::Listener))
    }

    /// The client.
    pub(crate) fn source(&self, view: View<'v>) -> Option<&Party<'v>> {
        let find = || {
            self.record.process().map(Party::Told).or_else(|| {
                let site = self.listener()?.site()?;
                Some(Party::Implied(view.implied(site, self.record.text(Attribute::SourceHost)?)))
            })
        };
        self.source.get_or_init(find).as_ref()
    }

    /// The server.
    pub(crate) fn destination(&self, view: View<'v>) -> Option<&Party<'v>> {
        self.destination.get_or_init(|| view.target(self.connector()?)).as_ref()
    }

    fn either(&self, attribute: Attribute) -> Cow<'v, str> {
        let of = |record: Option<Record<'v>>| record.and_then(|record| record.text(attribute));
        known(of(self.connector()).or_else(|| of(self.listener())))
    }

    pub(crate) fn protocol(&self) -> Cow<'v, str> {
        self.either(Attribute::Protocol)
    }

    pub(crate) fn routing_key(&self) -> Cow<'v, str> {
        self.either(Attribute::VanAddress)
    }

    pub(crate) fn source_site_id(&self) -> Cow<'v, str> {
        known(self.listener().and_then(|listener| listener.router()?.text(Attribute::Parent)))
    }

    pub(crate) fn source_site_name(&self) -> Cow<'v, str> {
        known(self.listener().and_then(|listener| listener.site()?.text(Attribute::Name)))
    }

    /// The site of the server: where its process is, or else where the connector is.
    pub(crate) fn destination_site_id(&self, view: View<'v>) -> Cow<'v, str> {
        match self.destination(view).map(Party::site_id) {
            Some(id) => id,
            None => known(self.connector().and_then(|connector| connector.router()?.text(Attribute::Parent))),
        }
    }

    pub(crate) fn destination_site_name(&self, view: View<'v>) -> Cow<'v, str> {
        match self.destination(view).map(Party::site_name) {
            Some(name) => name,
            None => known(self.connector().and_then(|connector| connector.site()?.text(Attribute::Name))),
        }
    }

    pub(crate) fn trace(&self, view: View<'v>) -> Trace<'v> {
        let mut trace = Trace::default();
        trace.push(self.listener().and_then(|listener| listener.router()));
        if let Some(told) = self.record.text(Attribute::Trace) {
            for name in told.to_cow().split('|') {
                trace.push(view.router_named(name));
            }
        }
        trace.push(self.connector().and_then(|connector| connector.router()));
        trace
    }
}

impl<'v> View<'v> {
    /// The router of that name.
    pub(crate) fn router_named(self, name: &str) -> Option<Record<'v>> {
        self.snapshot.get(*self.derived.routers.get(name)?)
    }

    /// The process that a connector connects to.
    pub(crate) fn target(self, connector: Record<'v>) -> Option<Party<'v>> {
        connector.process().map(Party::Told).or_else(|| {
            let site = connector.site()?;
            Some(Party::Implied(self.implied(site, connector.text(Attribute::DestHost)?)))
        })
    }

    /// The process that must be at a host of a site.
    fn implied(self, site: Record<'v>, host: Text<'v>) -> Arc<Implied> {
        let id = derived::site_process_id(&host.to_cow(), &site.id().to_cow());
        match self.derived.implied_by_id.get(&id) {
            Some(position) => Arc::clone(&self.derived.implied[*position]),
            None => Arc::new(Implied::new(id, site, host, "client")),
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

impl Pair {
    /// Whether any of its connections and requests is to that service.
    pub(crate) fn is_to(&self, service: RecordRef) -> bool {
        self.services.contains(&service)
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

impl Implied {
    fn new(id: String, site: Record<'_>, host: Text<'_>, what: &str) -> Self {
        let site_id = site.id().to_cow().into_owned();
        let short = site_id.split('-').next().unwrap_or_default();
        Self {
            name: format!("site-{what}-{host}-{short}"),
            group: format!("site-{what}s-{short}"),
            host: host.to_string(),
            site_name: known(site.text(Attribute::Name)).into_owned(),
            start: None,
            end: None,
            id,
            site_id,
        }
    }
}

impl Derived {
    pub(crate) fn new(snapshot: &Snapshot, needs: Needs) -> Self {
        let mut derived = Self::default();
        derived.add_routers(snapshot);
        derived.add_servers(snapshot);
        if needs.clients {
            derived.add_clients(snapshot);
        }
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
        if needs.pairs {
            derived.pairs = pairs(View { snapshot, derived: &derived });
        }
        if needs.protocols {
            for request in snapshot.of_kind(RecordKind::BiflowApp) {
                if let (Some(protocol), Some(service)) = (application_protocol(request), request.service()) {
                    let protocols = derived.protocols.entry(service.at()).or_default();
                    if !protocols.contains(&*protocol) {
                        protocols.insert(protocol.into_owned());
                    }
                }
            }
        }
        derived
    }

    fn add_routers(&mut self, snapshot: &Snapshot) {
        for router in snapshot.of_kind(RecordKind::Router) {
            let Some(name) = router.text(Attribute::Name) else { continue };
            let name = name.to_cow();
            // The one that is there comes before those that were.
            if router.is_live() || !self.routers.contains_key(&*name) {
                self.routers.insert(name.into_owned(), router.at());
            }
        }
    }

    /// The processes behind connectors. They are there for as long as a connector says so.
    fn add_servers(&mut self, snapshot: &Snapshot) {
        for connector in snapshot.of_kind(RecordKind::Connector) {
            if connector.process().is_none()
                && let Some(site) = connector.site()
                && let Some(host) = connector.text(Attribute::DestHost)
            {
                self.imply(site, host, "server", connector.start(), ended(connector));
            }
        }
    }

    /// The processes that connections come from. A host does not go with its connections: it is there for as long as
    /// one of them is retained and its site is there.
    fn add_clients(&mut self, snapshot: &Snapshot) {
        for record in snapshot.of_kind(RecordKind::BiflowTport) {
            if record.process().is_none()
                && let Some(site) = record.parent().and_then(|listener| listener.site())
                && let Some(host) = record.text(Attribute::SourceHost)
            {
                self.imply(site, host, "client", record.start(), ended(site));
            }
        }
    }

    fn imply(
        &mut self,
        site: Record<'_>,
        host: Text<'_>,
        what: &str,
        start: Option<Timestamp>,
        end: Option<Timestamp>,
    ) {
        let id = derived::site_process_id(&host.to_cow(), &site.id().to_cow());
        match self.implied_by_id.get(&id) {
            Some(position) => {
                let process = Arc::make_mut(&mut self.implied[*position]);
                process.start = earliest(process.start, start);
                process.end = later(process.end, end);
            }
            None => {
                let process = Implied { start, end, ..Implied::new(id.clone(), site, host, what) };
                self.implied_by_id.insert(id, self.implied.len());
                self.implied.push(Arc::new(process));
            }
        }
    }
}

/// Every process, live and ended, told or not.
fn processes(view: View<'_>) -> impl Iterator<Item = Party<'_>> {
    let told = view.snapshot.of_kind(RecordKind::Process).map(Party::Told);
    told.chain(view.derived.implied.iter().map(|process| Party::Implied(Arc::clone(process))))
}

fn components(view: View<'_>) -> Vec<Component> {
    let mut members = HashMap::<_, Vec<_>>::new();
    for process in processes(view) {
        members.entry(process.group()).or_default().push(process);
    }
    let mut components: Vec<_> = members
        .into_iter()
        .map(|(name, mut members)| {
            let start = members.iter().filter_map(Party::start).min();
            let end = members.iter().map(Party::end).reduce(later).flatten();
            if end.is_none() {
                members.retain(|process| process.end().is_none());
            }
            let has = |role: &&str| members.iter().any(|process| process.role() == *role);
            Component {
                id: derived::component_id(&name),
                name: name.into_owned(),
                process_count: members.len() as u64,
                role: ["external", "remote"].into_iter().find(has).unwrap_or("internal"),
                start,
                end,
            }
        })
        .collect();
    components.sort_by(|left, right| left.id.cmp(&right.id));
    components
}

fn pairs(view: View<'_>) -> Vec<Pair> {
    let mut pairs = Vec::new();
    let mut positions = HashMap::new();
    for record in view.snapshot.of_kind(RecordKind::BiflowTport) {
        let flow = Flow::new(record);
        let (Some(source), Some(destination)) = (flow.source(view), flow.destination(view)) else { continue };
        let is_gone = source.end().is_some() || destination.end().is_some();
        let service = record.service().map(|service| service.at());
        let (source, destination) = (End::process(source), End::process(destination));
        let mut tell = |protocol: &str, record: Record<'_>| {
            let life = Life { count: 1, start: record.start(), end: ended(record) };
            let ends = (&source, &destination);
            add(&mut pairs, &mut positions, PairKind::Process, ends, protocol, &life, is_gone, service);
        };
        tell(&flow.protocol(), record);
        for request in record.children().filter(|child| child.kind() == Some(RecordKind::BiflowApp)) {
            if let Some(protocol) = application_protocol(request) {
                tell(&protocol, request);
            }
        }
    }
    for position in 0..pairs.len() {
        let Pair { source, destination, protocol, record_count, start, end, is_gone, services, .. } =
            &pairs[position];
        let life = Life { count: *record_count, start: *start, end: *end };
        let (protocol, is_gone, services) = (protocol.clone(), *is_gone, services.clone());
        let components = Some((source.component(), destination.component()));
        let sites = source.of_site().zip(destination.of_site());
        for (kind, ends) in [(PairKind::Component, components), (PairKind::Site, sites)] {
            let Some((source, destination)) = ends else { continue };
            let ends = (&source, &destination);
            add(&mut pairs, &mut positions, kind, ends, &protocol, &life, is_gone, services.iter().copied());
        }
    }
    pairs
}

#[expect(clippy::too_many_arguments, reason = "what makes a pair, as it comes")]
fn add(
    pairs: &mut Vec<Pair>,
    positions: &mut HashMap<String, usize>,
    kind: PairKind,
    (source, destination): (&End, &End),
    protocol: &str,
    life: &Life,
    is_gone: bool,
    services: impl IntoIterator<Item = RecordRef>,
) {
    let id = match kind {
        PairKind::Process => derived::process_pair_id(&source.id, &destination.id, protocol),
        PairKind::Component => derived::component_pair_id(&source.id, &destination.id, protocol),
        PairKind::Site => derived::site_pair_id(&source.id, &destination.id, protocol),
    };
    if let Some(position) = positions.get(&id) {
        let pair = &mut pairs[*position];
        pair.extend(life);
        // It is there if it is between any two that are.
        pair.is_gone &= is_gone;
        pair.services.extend(services);
        return;
    }
    positions.insert(id.clone(), pairs.len());
    pairs.push(Pair {
        kind,
        id,
        source: source.clone(),
        destination: destination.clone(),
        protocol: protocol.to_owned(),
        record_count: life.count,
        start: life.start,
        end: life.end,
        is_gone,
        services: services.into_iter().collect(),
    });
}

fn earliest(left: Option<Timestamp>, right: Option<Timestamp>) -> Option<Timestamp> {
    [left, right].into_iter().flatten().min()
}

/// The later of two ends; what has not ended is later than all.
fn later(left: Option<Timestamp>, right: Option<Timestamp>) -> Option<Timestamp> {
    Some(left?.max(right?))
}

/// When a record ended, unless it is live.
fn ended(record: Record<'_>) -> Option<Timestamp> {
    (!record.is_live()).then(|| record.end().unwrap_or_default())
}

fn known(text: Option<Text<'_>>) -> Cow<'_, str> {
    text.map_or(Cow::Borrowed(UNKNOWN), Text::to_cow)
}

/// A time, 0 where there is none.
pub(crate) fn instant(time: Option<Timestamp>) -> Cell<'static> {
    Cell::Number(time.map_or(0, Timestamp::as_micros))
}

pub(crate) fn start_of(record: Record<'_>) -> Cell<'static> {
    instant(record.start())
}

pub(crate) fn end_of(record: Record<'_>) -> Cell<'static> {
    instant(ended(record))
}
