//! What there is to be shown, before it is folded: sites, processes, routers and links, and what goes between processes.
//!
//! Who is at the ends of connections is decided where the pairs of `/api/v2alpha1` are; here it is only asked.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use vanflow_proto::{Attribute, RecordKind, Timestamp};
use vanflow_store::{Record, Snapshot};

use super::{
    figures::{Figures, FlowRates, Rates, Trouble},
    measured::{EndLabels, Measured, MeasuredFlow, UNKNOWN},
};
use crate::{
    interest::Interest,
    link::{self, Ends},
    metrics::{self, Detail},
    v1::subject::in_network,
    v2alpha1::{Flow, Party, View, processes},
};

/// All that there is at a moment. Everything is in an order that depends on identities alone.
#[derive(Clone, Debug, Default)]
pub(super) struct Graph {
    pub(super) sites: Vec<Site>,
    pub(super) processes: Vec<Process>,
    pub(super) traffic: Vec<Traffic>,
    /// Rates of several of `traffic` that cannot be told apart, by their positions there.
    pub(super) shared_rates: Vec<(Vec<usize>, FlowRates)>,
    pub(super) routers: Vec<Router>,
    pub(super) links: Vec<Link>,
    pub(super) unplaced: Vec<Unplaced>,
    /// When it is, in microseconds since the epoch.
    pub(super) time: u64,
    /// Where it is incomplete, why.
    pub(super) note: Option<&'static str>,
}

/// A place where part of an application runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Site {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) platform: Option<String>,
    pub(super) provider: Option<String>,
    pub(super) version: Option<String>,
}

/// A process, reported or presumed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Process {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) component_id: String,
    pub(super) component: String,
    /// A position among the sites.
    pub(super) site: usize,
    /// Whether it is outside: all that are, of one site, are shown as one.
    pub(super) is_remote: bool,
}

/// What goes from one process to another, through one service.
#[derive(Clone, Debug)]
pub(super) struct Traffic {
    pub(super) source: usize,
    pub(super) destination: usize,
    pub(super) figures: Figures,
}

#[derive(Clone, Debug)]
pub(super) struct Router {
    pub(super) id: String,
    /// Without the network in front of it.
    pub(super) name: String,
    pub(super) site: usize,
    pub(super) mode: Option<String>,
}

/// A link between routers, both of which are known.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) id: String,
    pub(super) name: String,
    /// The router that connects, and the other, as positions among the routers.
    pub(super) ends: [usize; 2],
    pub(super) is_up: bool,
    pub(super) cost: Option<u64>,
    pub(super) down_count: Option<u64>,
    /// Whether it came up again not long ago.
    pub(super) has_flapped: bool,
    pub(super) octets: Rates,
    /// Routers up to 2.x report none.
    pub(super) reports_octets: bool,
}

/// A service that has no place on the map.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Unplaced {
    pub(super) id: String,
    pub(super) address: String,
    pub(super) trouble: Trouble,
    pub(super) text: String,
}

/// For so long after it came up again a link counts as one that flaps, in microseconds.
const FLAPPED_MICROS: u64 = 15 * 60 * 1_000_000;

impl Graph {
    /// What there is now.
    pub(super) fn present(
        view: View<'_>,
        measured: Option<&Measured>,
        detail: Detail,
        interest: &Interest,
    ) -> Self {
        let now = view.snapshot.now();
        let time = measured.map_or(now.as_micros(), |measured| measured.at_ms.unsigned_abs() * 1_000);
        let mut builder = Builder::new(view, None, interest);
        builder.add_lanes(measured, detail);
        builder.add_links(measured, now);
        builder.add_unplaced();
        builder.finish(time)
    }

    /// What there was at a moment, as far as it is retained; traffic is what was measured then.
    pub(super) fn past(
        view: View<'_>,
        at: Timestamp,
        measured: Option<&Measured>,
        interest: &Interest,
    ) -> Self {
        let mut builder = Builder::new(view, Some(at), interest);
        for flow in measured.map_or(&[][..], Measured::flows).iter().take_while(|_| !interest.has_ended()) {
            builder.add_measured(flow);
        }
        builder.add_links(measured, at);
        builder.graph.note = match (measured, builder.has_presumed) {
            (Some(Measured { is_of_rows: true, .. }), _) => Some(
                "worked out from the connections and requests of then, as if each carried its octets evenly: what had none \
                 and is not there any more is not known",
            ),
            (None, _) => Some("nothing was measured then: traffic is not known"),
            (Some(_), true) => {
                Some("some processes of then are not retained: they are known by their traffic alone")
            }
            (Some(_), false) => None,
        };
        builder.finish(at.as_micros())
    }
}

struct Builder<'v> {
    view: View<'v>,
    /// None for now.
    at: Option<Timestamp>,
    /// Where it is not wanted any more, the rest is left out.
    interest: &'v Interest,
    graph: Graph,
    sites: HashMap<String, usize>,
    processes: HashMap<String, usize>,
    /// By site, component and name, where that is one process.
    named: HashMap<(usize, String, String), Option<usize>>,
    traffic: BTreeMap<(usize, usize, String), usize>,
    routers: HashMap<String, usize>,
    /// Whether there are processes that no record says anything of.
    has_presumed: bool,
}

impl<'v> Builder<'v> {
    fn new(view: View<'v>, at: Option<Timestamp>, interest: &'v Interest) -> Self {
        let mut builder = Self {
            view,
            at,
            interest,
            graph: Graph::default(),
            sites: HashMap::new(),
            processes: HashMap::new(),
            named: HashMap::new(),
            traffic: BTreeMap::new(),
            routers: HashMap::new(),
            has_presumed: false,
        };
        for site in builder.there(RecordKind::Site) {
            let text =
                |attribute| site.text(attribute).map(|text| text.to_string()).filter(|text| !text.is_empty());
            let id = site.id().to_string();
            builder.add_site(Site {
                name: text(Attribute::Name).unwrap_or_else(|| id.clone()),
                platform: text(Attribute::Platform),
                provider: text(Attribute::Provider),
                version: text(Attribute::BuildVersion),
                id,
            });
        }
        let mut parties: Vec<_> =
            processes(view).filter(|party| was_there(at, party.start(), party.end())).collect();
        parties.sort_by_cached_key(|party| party.id().into_owned());
        for party in parties.into_iter().take_while(|_| !interest.has_ended()) {
            builder.add_party(&party);
        }
        for router in builder.there(RecordKind::Router) {
            let id = router.id().to_string();
            let name = router.text(Attribute::Name).map(|name| name.to_string());
            let site = router.site_id().map_or_else(|| UNKNOWN.to_owned(), |site| site.to_string());
            let site = builder.site(&site, None);
            builder.routers.insert(id.clone(), builder.graph.routers.len());
            builder.graph.routers.push(Router {
                name: name.as_deref().map_or(&*id, in_network).to_owned(),
                site,
                mode: router.text(Attribute::Mode).map(|mode| mode.to_string()),
                id,
            });
        }
        builder
    }

    /// The records of a kind that there were, by identity.
    fn there(&self, kind: RecordKind) -> Vec<Record<'v>> {
        let snapshot: &'v Snapshot = self.view.snapshot;
        let mut records: Vec<_> = match self.at {
            None => snapshot.live_of_kind(kind).collect(),
            Some(_) => {
                let ended =
                    |record: Record<'v>| (!record.is_live()).then(|| record.end().unwrap_or_default());
                let is_there = |record: &Record<'v>| was_there(self.at, record.start(), ended(*record));
                snapshot.of_kind(kind).filter(is_there).collect()
            }
        };
        records.sort_by_cached_key(|record| record.id().to_string());
        // Of several with one identity the latest: they were there one after the other.
        records.dedup_by(|later, earlier| {
            let is_same = later.id() == *earlier.id().to_cow();
            if is_same && later.start() > earlier.start() {
                std::mem::swap(later, earlier);
            }
            is_same
        });
        records
    }

    fn add_site(&mut self, site: Site) -> usize {
        let position = self.graph.sites.len();
        self.sites.insert(site.id.clone(), position);
        self.graph.sites.push(site);
        position
    }

    /// The site with that id, a new one if there is none.
    fn site(&mut self, id: &str, name: Option<&str>) -> usize {
        if let Some(known) = self.sites.get(id) {
            return *known;
        }
        let name = match name {
            Some(name) if name != UNKNOWN => name.to_owned(),
            _ if id == UNKNOWN => "unknown site".to_owned(),
            _ => id.to_owned(),
        };
        self.add_site(Site { id: id.to_owned(), name, ..Site::default() })
    }

    fn add_party(&mut self, party: &Party<'_>) {
        // Routers and controllers are no part of an application, unless something goes to them.
        if party.role() == "internal" {
            return;
        }
        self.insert(party);
    }

    fn insert(&mut self, party: &Party<'_>) -> usize {
        let id = party.id();
        if let Some(known) = self.processes.get(&*id) {
            return *known;
        }
        let site = self.site(&party.site_id(), Some(&party.site_name()));
        self.add_process(Process {
            id: id.into_owned(),
            name: party.name().into_owned(),
            component_id: party.component_id(),
            component: party.group().into_owned(),
            site,
            is_remote: party.role() == "remote",
        })
    }

    fn add_process(&mut self, process: Process) -> usize {
        let position = self.graph.processes.len();
        self.processes.insert(process.id.clone(), position);
        let name = (process.site, process.component_id.clone(), process.name.clone());
        self.named.entry(name).and_modify(|known| *known = None).or_insert(Some(position));
        self.graph.processes.push(process);
        position
    }

    /// Adds what each lane came to whose processes are there.
    fn add_lanes(&mut self, measured: Option<&Measured>, detail: Detail) {
        let mut by_flow = HashMap::<usize, BTreeSet<usize>>::new();
        let lanes = self.view.snapshot.lanes().filter(|lane| lane.retained() > 0);
        for lane in lanes.take_while(|_| !self.interest.has_ended()) {
            let Some(flow) = Flow::of_lane(lane) else { continue };
            let (Some(source), Some(destination)) = (flow.source(self.view), flow.destination(self.view))
            else {
                continue;
            };
            if source.end().is_some() || destination.end().is_some() {
                continue;
            }
            let (source, destination) = (self.insert(source), self.insert(destination));
            let address = flow.routing_key();
            let mut figures = Figures::of_lane(lane);
            figures.services.insert(address.clone().into_owned());
            let position = self.add(source, destination, address.into_owned(), &figures);
            if let Some(measured) = measured {
                let labels = metrics::flow_labels(&flow, self.view, detail);
                let pairs = labels.iter().map(|(name, value)| (*name, value.as_str()));
                if let Some(flow) = measured.flow(pairs) {
                    by_flow.entry(flow).or_default().insert(position);
                }
            }
        }
        let Some(measured) = measured else { return };
        let mut by_flow: Vec<_> = by_flow.into_iter().collect();
        by_flow.sort_unstable();
        for (flow, positions) in by_flow {
            let rates = measured.flows()[flow].rates;
            let mut positions = positions.into_iter();
            match (positions.next(), positions.len()) {
                (Some(only), 0) => self.graph.traffic[only].figures.rates.add(&rates),
                (first, _) => {
                    self.graph.shared_rates.push((first.into_iter().chain(positions).collect(), rates))
                }
            }
        }
    }

    /// Adds what was measured of connections, between the processes of those names or what stands for them.
    fn add_measured(&mut self, flow: &MeasuredFlow) {
        let mut figures = flow.figures();
        if figures.units == 0 && figures.rates.octets().shown().unwrap_or_default() == 0.0 {
            return;
        }
        let labels = &flow.labels;
        if [&labels.source, &labels.destination].iter().any(|end| end.component_name == UNKNOWN) {
            return;
        }
        let (source, destination) = (self.labelled(&labels.source), self.labelled(&labels.destination));
        figures.services.insert(labels.address.clone());
        self.add(source, destination, labels.address.clone(), &figures);
    }

    fn labelled(&mut self, labels: &EndLabels) -> usize {
        let EndLabels { site_id, site_name, component_id, component_name, process_name, process_id } = labels;
        let site = self.site(site_id, Some(site_name));
        if let Some(known) = process_id.as_ref().and_then(|id| self.processes.get(id)) {
            return *known;
        }
        let known = self.named.get(&(site, component_id.clone(), process_name.clone()));
        if let Some(Some(known)) = known {
            return *known;
        }
        let id = process_id.clone().unwrap_or_else(|| format!("{process_name}@{site_id}"));
        if let Some(known) = self.processes.get(&id) {
            return *known;
        }
        self.has_presumed = true;
        let is_remote =
            ["site-clients-", "site-servers-"].iter().any(|group| component_name.starts_with(group));
        self.add_process(Process {
            id,
            name: process_name.clone(),
            component_id: component_id.clone(),
            component: component_name.clone(),
            site,
            is_remote,
        })
    }

    /// Adds what goes between two processes. Answers where it is kept.
    fn add(&mut self, source: usize, destination: usize, address: String, figures: &Figures) -> usize {
        let position = *self.traffic.entry((source, destination, address)).or_insert_with(|| {
            self.graph.traffic.push(Traffic { source, destination, figures: Figures::default() });
            self.graph.traffic.len() - 1
        });
        self.graph.traffic[position].figures.add(figures);
        position
    }

    fn add_links(&mut self, measured: Option<&Measured>, at: Timestamp) {
        let mut between = HashMap::<[String; 5], Vec<usize>>::new();
        for record in self.there(RecordKind::Link) {
            let ends = self.view.ends(record);
            if ends.is_far_side() {
                continue;
            }
            let Ends { connects: Some(connects), accepts: Some(accepts), .. } = ends else { continue };
            let known = |router: Record<'_>| self.routers.get(&*router.id().to_cow()).copied();
            let (Some(from), Some(to)) = (known(connects), known(accepts)) else { continue };
            let [site, router] = metrics::site_and_name(Some(connects));
            let [far_site, far_router] = metrics::site_and_name(Some(accepts));
            let labels = [site, router, far_site, far_router, metrics::link_name(record)];
            between.entry(labels).or_default().push(self.graph.links.len());
            let down_count = record.uint(Attribute::DownCount);
            let came_up = record.uint(Attribute::UpTimeStamp);
            let is_recent = |up| at.as_micros() >= up && at.as_micros() - up < FLAPPED_MICROS;
            let id = record.id().to_string();
            self.graph.links.push(Link {
                name: record.text(Attribute::Name).map_or_else(|| id.clone(), |name| name.to_string()),
                ends: [from, to],
                // Of a moment in the past, whether it was down for a while then is not known.
                is_up: self.at.is_some() || link::status(record) == "up",
                cost: record.uint(Attribute::LinkCost),
                has_flapped: down_count.is_some_and(|count| count > 0) && came_up.is_some_and(is_recent),
                down_count,
                octets: Rates::default(),
                reports_octets: record.uint(Attribute::Octets).is_some(),
                id,
            });
        }
        let Some(measured) = measured else { return };
        for (labels, links) in between {
            // Links of one name between the same routers cannot be told apart.
            if let [only] = links[..]
                && let Some(octets) = measured.link([0, 1, 2, 3, 4].map(|place| labels[place].as_str()))
            {
                self.graph.links[only].octets = octets;
            }
        }
    }

    fn add_unplaced(&mut self) {
        for service in self.view.snapshot.services().filter(|service| service.is_live()) {
            let (listeners, connectors) = (service.listener_count(), service.connector_count());
            let (count, what, missing, records, trouble) = match (listeners, connectors) {
                (0, 0) => continue,
                (_, 0) => (listeners, "listener", "connector", service.listeners().collect(), Trouble::Bad),
                (0, _) => {
                    (connectors, "connector", "listener", service.connectors().collect(), Trouble::Warn)
                }
                _ => continue,
            };
            let records: Vec<Record<'_>> = records;
            let name =
                |record: &Record<'_>| record.site()?.text(Attribute::Name).map(|name| name.to_string());
            let sites: BTreeSet<_> =
                records.iter().filter(|record| record.is_live()).filter_map(name).collect();
            let sites: Vec<_> = sites.into_iter().collect();
            let place = if sites.is_empty() { String::new() } else { format!(" in {}", sites.join(", ")) };
            let several = if count == 1 { "" } else { "s" };
            self.graph.unplaced.push(Unplaced {
                id: service.id().to_string(),
                address: service.address().to_string(),
                trouble,
                text: format!("{count} {what}{several}{place}, no {missing} in any site"),
            });
        }
        self.graph.unplaced.sort_by(|left, right| {
            (right.trouble, &left.address, &left.id).cmp(&(left.trouble, &right.address, &right.id))
        });
    }

    /// Puts all in an order that depends on identities alone.
    fn finish(mut self, time: u64) -> Graph {
        self.graph.time = time;
        let sites = order(&mut self.graph.sites, |site| site.id.clone());
        for process in &mut self.graph.processes {
            process.site = sites[process.site];
        }
        for router in &mut self.graph.routers {
            router.site = sites[router.site];
        }
        let processes = order(&mut self.graph.processes, |process| process.id.clone());
        for traffic in &mut self.graph.traffic {
            traffic.source = processes[traffic.source];
            traffic.destination = processes[traffic.destination];
        }
        let traffic = order(&mut self.graph.traffic, |traffic| {
            (traffic.source, traffic.destination, traffic.figures.services.first().cloned())
        });
        for (positions, _) in &mut self.graph.shared_rates {
            positions.iter_mut().for_each(|position| *position = traffic[*position]);
        }
        self.graph
    }
}

/// Sorts, and answers for each position where what was there is now.
fn order<T, K: Ord>(items: &mut Vec<T>, key: impl Fn(&T) -> K) -> Vec<usize> {
    let mut sorted: Vec<_> = std::mem::take(items).into_iter().enumerate().collect();
    sorted.sort_by_cached_key(|(_, item)| key(item));
    let mut moved = vec![0; sorted.len()];
    for (position, (before, _)) in sorted.iter().enumerate() {
        moved[*before] = position;
    }
    items.extend(sorted.into_iter().map(|(_, item)| item));
    moved
}

/// Whether what began and ended so was there then; what has no end is there now.
fn was_there(at: Option<Timestamp>, start: Option<Timestamp>, end: Option<Timestamp>) -> bool {
    match at {
        None => end.is_none(),
        Some(at) => start.is_none_or(|start| start <= at) && end.is_none_or(|end| end > at),
    }
}
