//! The network in one document, as Skupper's controllers keep it: sites with their routers, links, listeners and
//! connectors, and the addresses that these are for.
//!
//! ```
//! use vanflow_store::{NetworkStatus, Store, StoreOptions};
//!
//! let snapshot = Store::new(StoreOptions::default()).snapshot();
//! for site in NetworkStatus::new(&snapshot).sites {
//!     println!("{} has {} routers", site.site.id(), site.routers.len());
//! }
//! ```

use std::collections::BTreeMap;

use vanflow_proto::{Attribute, RecordKind};

use crate::{
    link::{self, Ends, Routers, Side},
    record::{Record, Service},
    row::RecordRef,
    snapshot::Snapshot,
};

/// What there is now of a network. All of it is of one snapshot, and in the order of names and then identities.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NetworkStatus<'s> {
    /// The sites that are there.
    pub sites: Vec<SiteStatus<'s>>,
    /// The services that have a listener or a connector.
    pub addresses: Vec<AddressStatus<'s>>,
}

/// A site, and its routers.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SiteStatus<'s> {
    /// The SITE: reported, or following from its routers.
    pub site: Record<'s>,
    /// Its routers that are there.
    pub routers: Vec<RouterStatus<'s>>,
}

/// A router, and what it has.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RouterStatus<'s> {
    /// The ROUTER.
    pub router: Record<'s>,
    /// Links that it set up, or of which it is not known who did.
    pub links: Vec<LinkStatus<'s>>,
    /// Its LISTENER records that are there.
    pub listeners: Vec<Record<'s>>,
    /// Its CONNECTOR records that are there.
    pub connectors: Vec<Record<'s>>,
}

/// A link from one router to another.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct LinkStatus<'s> {
    /// The LINK: where both of its routers report it, that of the one which connects.
    pub link: Record<'s>,
    /// The router that is connected to, where it is known.
    pub to: Option<Record<'s>>,
    /// Whether it is up.
    pub is_up: bool,
}

/// A service, and where it is offered and served.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AddressStatus<'s> {
    /// Its address and protocol.
    pub service: Service<'s>,
    /// Its listeners that are there.
    pub listeners: Vec<Record<'s>>,
    /// Its connectors that are there.
    pub connectors: Vec<Record<'s>>,
    /// The sites that its listeners are in, each once.
    pub listener_sites: Vec<Record<'s>>,
    /// The sites that its connectors are in, each once.
    pub connector_sites: Vec<Record<'s>>,
}

impl<'s> NetworkStatus<'s> {
    /// The network as it is in that snapshot: costs a look at each record that is there but connections and requests.
    pub fn new(snapshot: &'s Snapshot) -> Self {
        let mut links = links(snapshot);
        let mut routers = BTreeMap::<RecordRef, Vec<RouterStatus<'s>>>::new();
        for router in by_name(snapshot.live_of_kind(RecordKind::Router)) {
            let of_kind = |kind| {
                let is_it = move |child: &Record<'_>| child.kind() == Some(kind) && child.is_live();
                by_name(router.children().filter(is_it))
            };
            let status = RouterStatus {
                router,
                links: links.remove(&router.at()).unwrap_or_default(),
                listeners: of_kind(RecordKind::Listener),
                connectors: of_kind(RecordKind::Connector),
            };
            if let Some(site) = router.site() {
                routers.entry(site.at()).or_default().push(status);
            }
        }
        // A router can be there after its site was said to be gone: then so is the site.
        let live = snapshot.live_of_kind(RecordKind::Site).map(|site| site.at());
        let mut sites: Vec<_> = live.chain(routers.keys().copied()).collect();
        sites.sort_unstable();
        sites.dedup();
        let sites = by_name(sites.into_iter().filter_map(|at| snapshot.get(at)))
            .into_iter()
            .map(|site| SiteStatus { site, routers: routers.remove(&site.at()).unwrap_or_default() });
        let mut addresses: Vec<_> = snapshot
            .services()
            .filter(|service| service.listener_count() + service.connector_count() > 0)
            .map(AddressStatus::new)
            .collect();
        addresses.sort_by_cached_key(|address| {
            let service = address.service;
            (service.address().to_string(), service.protocol().map(|protocol| protocol.to_string()))
        });
        Self { sites: sites.collect(), addresses }
    }
}

impl<'s> AddressStatus<'s> {
    fn new(service: Service<'s>) -> Self {
        let listeners = by_name(service.listeners().filter(Record::is_live));
        let connectors = by_name(service.connectors().filter(Record::is_live));
        let sites = |records: &[Record<'s>]| {
            let mut sites = by_name(records.iter().filter_map(Record::site));
            sites.dedup_by_key(|site| site.at());
            sites
        };
        let (listener_sites, connector_sites) = (sites(&listeners), sites(&connectors));
        Self { service, listeners, connectors, listener_sites, connector_sites }
    }
}

/// The links that are there, by the routers that they belong to.
fn links(snapshot: &Snapshot) -> BTreeMap<RecordRef, Vec<LinkStatus<'_>>> {
    let routers = Routers::new(snapshot);
    let mut links = BTreeMap::<_, Vec<_>>::new();
    for link in by_name(snapshot.live_of_kind(RecordKind::Link)) {
        let ends = Ends::of(&routers, snapshot, link);
        // Routers up to 2.x report a link from both sides: it is that of the one which connects.
        if Side::of(link) == Some(Side::Accepts) && ends.silent().is_none() {
            continue;
        }
        let (from, to) = match ends.connects {
            Some(connects) => (connects, ends.accepts),
            None => match link.router() {
                Some(reporter) => (reporter, None),
                None => continue,
            },
        };
        let status = LinkStatus { link, to, is_up: link::status(link) == "up" };
        links.entry(from.at()).or_default().push(status);
    }
    links
}

/// Records in the order of their names, and of their ids where they have the same.
fn by_name<'s>(records: impl Iterator<Item = Record<'s>>) -> Vec<Record<'s>> {
    let mut records: Vec<_> = records.collect();
    records.sort_by_cached_key(|record| {
        (record.text(Attribute::Name).map(|name| name.to_string()), record.id().to_string())
    });
    records
}
