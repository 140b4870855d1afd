//! What sites have: routers, links, listeners, connectors.

use std::collections::{BTreeMap, HashMap};

use vanflow_proto::{Attribute, RecordKind};
use vanflow_store::{Record, Snapshot, Text};

use crate::metrics::{
    exposition::{Gathered, Value},
    labels::Labels,
    table::Name,
};

/// What there is, and what was counted of it.
#[derive(Debug, Default)]
pub(crate) struct Entities {
    /// How many there are of each, by metric and the values of its labels.
    levels: BTreeMap<(Name, Vec<String>), u64>,
    /// How often each LINK was down, by its id, when it was looked at last.
    down_counts: HashMap<String, u64>,
    /// By site and role.
    errors: BTreeMap<(String, String), u64>,
}

impl Entities {
    /// Looks at what there is now.
    pub(crate) fn observe(&mut self, snapshot: &Snapshot) {
        self.levels.clear();
        let known = std::mem::take(&mut self.down_counts);
        let mut sites = Vec::new();
        // Flows come after all others.
        let is_flow = |record: &Record<'_>| record.kind().is_some_and(RecordKind::is_flow);
        for record in snapshot.records().take_while(|record| !is_flow(record)).filter(Record::is_live) {
            let site = || text(record.router().and_then(|router| router.text(Attribute::Parent)));
            let of = |attribute| text(record.text(attribute));
            match record.kind() {
                Some(RecordKind::Site) => {
                    sites.push(record.id().to_string());
                    let id = record.id().to_string();
                    self.add(Name::SiteInfo, [id, of(Attribute::Name), of(Attribute::BuildVersion)]);
                }
                Some(RecordKind::Router) => self.add(Name::Routers, [site(), of(Attribute::Mode)]),
                Some(RecordKind::Listener) => self.add(Name::SiteListeners, [site()]),
                Some(RecordKind::Connector) => self.add(Name::SiteConnectors, [site()]),
                Some(RecordKind::Link) => {
                    self.add(Name::SiteLinks, [site(), of(Attribute::Role), of(Attribute::OperStatus)]);
                    let id = record.id().to_string();
                    let errors = self.errors.entry((site(), of(Attribute::Role))).or_default();
                    if let Some(count) = record.uint(Attribute::DownCount) {
                        // What happened before the collector looked is no growth.
                        *errors += count.saturating_sub(*known.get(&id).unwrap_or(&count));
                        self.down_counts.insert(id, count);
                    }
                }
                _ => {}
            }
        }
        // Links come and go with routers; what was counted of them goes with the site.
        let (errors, levels) = (&mut self.errors, &self.levels);
        errors.retain(|(site, role), _| {
            let mut links = levels.range((Name::SiteLinks, vec![site.clone(), role.clone()])..);
            let has_some = links.next().is_some_and(|((name, labels), _)| {
                *name == Name::SiteLinks && labels.starts_with(&[site.clone(), role.clone()])
            });
            has_some || sites.contains(site)
        });
    }

    fn add<const N: usize>(&mut self, name: Name, labels: [String; N]) {
        *self.levels.entry((name, labels.into())).or_default() += 1;
    }

    pub(crate) fn gather(&self, identity: &Labels, gathered: &mut Gathered) {
        for ((name, values), level) in &self.levels {
            let labels = name.metric().labels.iter().copied().zip(values.iter().map(String::as_str));
            gathered.add(*name, identity.with(labels), Value::Count(*level));
        }
        for ((site, role), errors) in &self.errors {
            let labels = identity.with([("site_id", site.as_str()), ("role", role.as_str())]);
            gathered.add(Name::SiteLinkErrors, labels, Value::Count(*errors));
        }
    }
}

fn text(text: Option<Text<'_>>) -> String {
    text.filter(|text| *text != "").map_or_else(|| "unknown".to_owned(), |text| text.to_string())
}
