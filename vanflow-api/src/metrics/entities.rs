//! What sites have: routers, links, listeners, connectors.

use std::{
    cell::OnceCell,
    collections::{BTreeMap, HashMap},
};

use vanflow_proto::{Attribute, RecordKind};
use vanflow_store::{Record, Revision, Snapshot, Text};

use crate::{
    link::{self, Routers},
    metrics::{
        ends::UNKNOWN,
        exposition::{Gathered, SampleValue},
        labels::LabelSet,
        links::Links,
        logs::Logs,
        saved::Saved,
        table::Name,
    },
};

/// What there is, and what was counted of it.
#[derive(Debug)]
pub(crate) struct Entities {
    /// How many there are of each, by metric and the values of its labels.
    levels: BTreeMap<(Name, Vec<String>), u64>,
    /// How often links went down, by site and role.
    errors: BTreeMap<(String, String), Errors>,
    links: Links,
    logs: Logs,
    /// How often links had gone down when a former process ended, of those that were not there yet.
    saved: HashMap<(String, String), u64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Errors {
    count: u64,
    /// Whether the site is there, or such a link.
    is_there: bool,
}

impl Entities {
    /// Nothing yet. Of what is logged, what comes after that revision is counted.
    pub(crate) fn since(revision: Revision) -> Self {
        Self {
            levels: BTreeMap::new(),
            errors: BTreeMap::new(),
            links: Links::default(),
            logs: Logs::since(revision),
            saved: HashMap::new(),
        }
    }

    /// Goes on from what a former process counted.
    pub(crate) fn restore(&mut self, saved: &Saved) {
        self.links.restore(&saved.entities);
        self.logs.restore(&saved.entities);
        let its = saved.entities.iter().filter(|((name, _), _)| *name == Name::SiteLinkErrors);
        let place = |labels: &[String]| Some((labels.first()?.clone(), labels.get(1)?.clone()));
        self.saved = its.filter_map(|((_, labels), count)| Some((place(labels)?, *count))).collect();
    }

    /// What there is, for the next process.
    pub(crate) fn save(&self, saved: &mut Saved) {
        let kept = self.saved.iter().map(|(place, count)| (place, *count));
        let counted = self.errors.iter().map(|(place, errors)| (place, errors.count));
        let errors = kept
            .chain(counted)
            .map(|((site, role), count)| ((Name::SiteLinkErrors, vec![site.clone(), role.clone()]), count));
        saved.entities = errors.chain(self.links.saved()).chain(self.logs.saved()).collect();
    }

    /// Looks at what there is now.
    pub(crate) fn observe(&mut self, snapshot: &Snapshot) {
        self.levels.clear();
        let routers = OnceCell::new();
        let mut sites = Vec::new();
        self.links.begin();
        self.logs.begin(snapshot.revision());
        for record in snapshot.entities() {
            if record.kind() == Some(RecordKind::Log) {
                self.logs.observe_log(record);
            }
            if !record.is_live() {
                continue;
            }
            let site = || text(record.site_id());
            let of = |attribute| text(record.text(attribute));
            match record.kind() {
                Some(RecordKind::Site) => {
                    sites.push(record.id().to_string());
                    let id = record.id().to_string();
                    self.add(Name::SiteInfo, [id, of(Attribute::Name), of(Attribute::BuildVersion)]);
                }
                Some(RecordKind::Router) => {
                    self.add(Name::Routers, [site(), of(Attribute::Mode)]);
                    self.logs.observe_router(record);
                }
                Some(RecordKind::Listener) => {
                    self.add(Name::SiteListeners, [site()]);
                    if let Some(missing) = record.connections_never_reported() {
                        let labels = [site(), of(Attribute::VanAddress)];
                        *self.levels.entry((Name::NeverReported, labels.into())).or_default() += missing;
                    }
                }
                Some(RecordKind::Connector) => self.add(Name::SiteConnectors, [site()]),
                Some(RecordKind::Link) => {
                    let ends =
                        link::Ends::of(routers.get_or_init(|| Routers::new(snapshot)), snapshot, record);
                    if ends.is_far_side() {
                        continue;
                    }
                    let site = text(ends.connects.and_then(|router| router.site_id()));
                    let role = link::role(record).unwrap_or(UNKNOWN).to_owned();
                    self.add(Name::SiteLinks, [site.clone(), role.clone(), link::status(record).to_owned()]);
                    let downs = self.links.observe(record, ends);
                    let place = (site, role);
                    let saved = self.saved.remove(&place).unwrap_or(0);
                    self.errors.entry(place).or_default().count += downs + saved;
                }
                _ => {}
            }
        }
        self.logs.end();
        for service in snapshot.services() {
            let labels = [text(Some(service.address())), text(service.protocol())];
            let (listeners, connectors) = (service.listener_count(), service.connector_count());
            if listeners + connectors > 0 {
                for (name, count) in
                    [(Name::ServiceListeners, listeners), (Name::ServiceConnectors, connectors)]
                {
                    *self.levels.entry((name, labels.clone().into())).or_default() += count;
                }
            }
        }
        // Links come and go with routers; what was counted of them is shown for as long as the site is there.
        for ((site, role), errors) in &mut self.errors {
            let mut links = self.levels.range((Name::SiteLinks, vec![site.clone(), role.clone()])..);
            let has_some = links.next().is_some_and(|((name, labels), _)| {
                *name == Name::SiteLinks && labels.starts_with(&[site.clone(), role.clone()])
            });
            errors.is_there = has_some || sites.contains(site);
        }
        if self.links.end() {
            self.errors.retain(|_, errors| errors.is_there);
        }
    }

    fn add<const N: usize>(&mut self, name: Name, labels: [String; N]) {
        *self.levels.entry((name, labels.into())).or_default() += 1;
    }

    pub(crate) fn gather(&self, identity: &LabelSet, gathered: &mut Gathered) {
        for ((name, values), level) in &self.levels {
            let labels = identity.of(*name, values.iter().map(String::as_str));
            gathered.add(*name, labels, SampleValue::Count(*level));
        }
        for ((site, role), errors) in self.errors.iter().filter(|(_, errors)| errors.is_there) {
            let labels = identity.of(Name::SiteLinkErrors, [site.as_str(), role.as_str()]);
            gathered.add(Name::SiteLinkErrors, labels, SampleValue::Count(errors.count));
        }
        self.links.gather(identity, gathered);
        self.logs.gather(identity, gathered);
    }
}

/// The id of the site of a router, and the router's name.
pub(crate) fn site_and_name(router: Option<Record<'_>>) -> [String; 2] {
    let site = router.and_then(|router| router.site_id());
    [site, router.and_then(|router| router.text(Attribute::Name))].map(text)
}

/// The name of a link, which tells it from others between the same routers.
pub(crate) fn link_name(link: Record<'_>) -> String {
    text(link.text(Attribute::Name))
}

fn text(text: Option<Text<'_>>) -> String {
    text.filter(|text| *text != "").map_or_else(|| UNKNOWN.to_owned(), |text| text.to_string())
}
