//! What follows from records: services and images, which are records of their own; which processes are at which hosts;
//! how many connections a listener or connector has had. All of it changes in the same step as what it follows from.

use std::collections::BTreeSet;

use vanflow_proto::{Attribute, RecordKind};

use super::{Store, seconds};
use crate::{
    ends::{Facts, Host, text},
    graph::{Change, Standing},
    identity::Key,
    lanes::Dependence,
    row::{AnyRow, Flags, RecordRef, RestValue, SERVICE_TYPE, Table},
    schema::{
        END, EntityRow, GROUP, LIVE_CONNECTORS, LIVE_FLOWS, LIVE_LISTENERS, LIVE_PROCESSES, PARENT, PROCESS,
        START, TOTAL_FLOWS,
    },
    source::SourceId,
};

/// Some lanes, in the order of their numbers, so that the same updates always come to the same.
pub(super) type LaneSet = BTreeSet<u32>;

/// How many records down from a SITE or ROUTER listeners and connectors are looked for.
const DEPTH: usize = 8;

/// The name of a site that follows from routers of which none has a name.
const UNNAMED: &str = "unknown";

/// Whether a record is a site that follows from its routers.
pub(super) fn is_derived_site(row: &dyn AnyRow) -> bool {
    let head = row.head();
    head.type_code == RecordKind::Site.code() && head.flags.has(Flags::DERIVED)
}

impl Store {
    /// Counts a connection at the listener or connector that it belongs to, and at the service of that.
    pub(super) fn count_flow(&mut self, at: RecordRef, before: &Standing, after: &Standing) {
        if before.counted_under.is_none() && after.counted_under.is_none() {
            return;
        }
        for (standing, is_new) in [(before, false), (after, true)] {
            let Some(parent) = standing.counted_under.and_then(|key| self.graph.by_key(key)) else {
                continue;
            };
            if parent.table() != Table::Entities {
                continue;
            }
            let count = |count: &mut u64| *count = if is_new { *count + 1 } else { count.saturating_sub(1) };
            let is_elsewhere = before.counted_under != after.counted_under;
            if is_elsewhere || standing.live {
                let numbers = &mut self.graph.entities.get_mut(parent.slot()).numbers;
                if is_elsewhere {
                    count(&mut numbers[TOTAL_FLOWS]);
                }
                if standing.live {
                    count(&mut numbers[LIVE_FLOWS]);
                }
            }
            if is_elsewhere && is_new {
                let start = self.row(at).number(START);
                self.note_received(parent, start);
            }
            if is_new && let Some(service) = self.group(parent) {
                self.graph.touch(service);
            }
        }
    }

    /// The service or image that a record belongs to.
    pub(super) fn group(&self, at: RecordRef) -> Option<RecordRef> {
        if at.table() == Table::Entities { self.graph.target(at, GROUP) } else { None }
    }

    /// Brings up to date what follows from an entity.
    pub(super) fn derive(&mut self, at: RecordRef, change: &Change) {
        let changed = change.changed;
        let is_new = change.before.reported != change.after.reported;
        let is_at_another_time = change.before.live != change.after.live
            || changed.has(Attribute::StartTime)
            || changed.has(Attribute::EndTime);
        let has = |attributes: &[Attribute]| attributes.iter().any(|attribute| changed.has(*attribute));
        let kind = RecordKind::from_code(self.row(at).head().type_code);
        let explains = match kind {
            Some(RecordKind::Process) => {
                is_at_another_time || has(&[Attribute::SourceHost, Attribute::Parent])
            }
            Some(RecordKind::Connector) => {
                use Attribute::{DestHost, Parent, Process, Protocol, VanAddress};
                is_at_another_time || has(&[DestHost, Parent, Process, Protocol, VanAddress])
            }
            Some(RecordKind::Listener) => {
                has(&[Attribute::Parent, Attribute::Protocol, Attribute::VanAddress])
            }
            _ => changed.has(Attribute::Parent),
        };
        let explains = explains || is_new;
        // What it explained before and what it explains now.
        let mut lanes = LaneSet::new();
        if explains {
            self.explained_by(at, &mut lanes, DEPTH);
        }
        match kind {
            Some(RecordKind::Listener | RecordKind::Connector) => {
                if kind == Some(RecordKind::Connector) && (is_new || changed.has(Attribute::DestHost)) {
                    let host = self.host(at, Attribute::DestHost);
                    self.hosts.set_target(at, host);
                }
                if is_new {
                    self.recount_children(at);
                }
                if is_new || changed.has(Attribute::Protocol) {
                    self.recount_requests(at);
                }
                if is_new || changed.has(Attribute::VanAddress) || changed.has(Attribute::Protocol) {
                    self.join_service(at);
                } else if is_at_another_time && let Some(service) = self.group(at) {
                    self.refresh_group(service);
                }
            }
            Some(RecordKind::Process) => {
                if is_new || changed.has(Attribute::SourceHost) || changed.has(Attribute::Parent) {
                    let site = self.row(at).references()[PARENT];
                    let host = self.host(at, Attribute::SourceHost).filter(|_| !site.is_none());
                    self.hosts.set_place(at, host.map(|host| (site, host)));
                }
                if is_new || changed.has(Attribute::ImageName) {
                    self.join_image(at);
                } else if is_at_another_time && let Some(image) = self.group(at) {
                    self.refresh_group(image);
                }
            }
            Some(RecordKind::Router) => {
                if is_new || changed.has(Attribute::Parent) || changed.has(Attribute::StartTime) {
                    self.join_site(at);
                } else if (is_at_another_time || changed.has(Attribute::Name))
                    && let Some(site) = self.group(at)
                {
                    self.refresh_group(site);
                }
            }
            _ => {}
        }
        if explains {
            self.explained_by(at, &mut lanes, DEPTH);
            self.explain_anew(lanes);
        }
    }

    /// The lanes of which the ends of connections can depend on an entity, as it is known at the moment.
    pub(super) fn explained_by(&self, at: RecordRef, lanes: &mut LaneSet, depth: usize) {
        let row = self.row(at);
        let named = |at: RecordRef| Dependence::Record(self.row(at).head().key);
        match RecordKind::from_code(row.head().type_code) {
            Some(RecordKind::Process) => {
                if let Some((_, host)) = self.hosts.place_of(at) {
                    lanes.extend(self.lanes.dependents(Dependence::Host(host)));
                    for connector in self.hosts.connectors_to(host) {
                        lanes.extend(self.lanes.dependents(named(*connector)));
                    }
                }
                for connector in self.graph.referrers(at, PROCESS) {
                    lanes.extend(self.lanes.dependents(named(connector)));
                }
            }
            Some(RecordKind::Connector) => {
                lanes.extend(self.lanes.dependents(named(at)));
                // Connections of its service that name none can be its.
                if let Some(service) = self.group(at) {
                    for member in self.graph.referrers(service, GROUP) {
                        let parent = self.row(member).head().key;
                        lanes.extend(self.lanes.dependents(Dependence::ConnectorsOf(parent)));
                    }
                }
            }
            Some(RecordKind::Listener) => lanes.extend(self.lanes.dependents(named(at))),
            // A site or router, by which listeners and connectors are of their site.
            _ if depth > 0 && at.table() == Table::Entities => {
                lanes.extend(self.lanes.dependents(named(at)));
                let unnamed = |router: &RecordRef| self.row(*router).references()[PARENT].is_none();
                let routers = self.routers_by(at, GROUP).filter(unnamed);
                for child in self.graph.referrers(at, PARENT).chain(routers) {
                    let row = self.row(child);
                    if child.table() != Table::Entities {
                        continue;
                    }
                    match RecordKind::from_code(row.head().type_code) {
                        Some(RecordKind::Process) => {}
                        Some(RecordKind::Listener | RecordKind::Connector) => {
                            lanes.extend(self.lanes.dependents(named(child)));
                        }
                        _ => self.explained_by(child, lanes, depth - 1),
                    }
                }
            }
            _ => {}
        }
    }

    /// Where to look for what is at the ends of connections.
    pub(super) fn facts(&self) -> Facts<'_> {
        Facts {
            index: self.graph.index.index(),
            entities: self.graph.entities.rows(),
            texts: self.graph.vocabulary.texts.table(),
            scopes: self.graph.vocabulary.scopes.table(),
            hosts: self.hosts.processes(),
        }
    }

    fn host(&self, at: RecordRef, attribute: Attribute) -> Option<Host> {
        Host::new(self.graph.vocabulary.texts.table(), text(self.row(at), attribute))
    }

    /// A listener or connector belongs to the service that its address and protocol name.
    fn join_service(&mut self, at: RecordRef) {
        let [address, protocol] =
            [Attribute::VanAddress, Attribute::Protocol].map(|attribute| self.text(at, attribute));
        let id = (!address.is_empty()).then(|| crate::derived::service_id(&address, &protocol));
        let names = [(Attribute::Protocol, &*protocol), (Attribute::VanAddress, &*address)];
        self.join(at, id, SERVICE_TYPE, &names);
    }

    /// A process runs an image.
    fn join_image(&mut self, at: RecordRef) {
        let name = self.text(at, Attribute::ImageName);
        let id = (!name.is_empty()).then(|| crate::derived::image_id(&name));
        self.join(at, id, RecordKind::Image.code(), &[(Attribute::Name, &name)]);
    }

    /// A router is in the site that it names, or else in one of its own. Where no source reports that one it follows from
    /// its routers (faults 8): once their sources have settled, since a site is reported by another source than its
    /// routers, and mostly a little later.
    fn join_site(&mut self, at: RecordRef) {
        let row = self.row(at);
        let (key, named, owner) = (row.head().key, row.references()[PARENT], row.head().owner);
        let is_partial = row.number(START).is_none();
        let scopes = &mut self.graph.vocabulary.scopes;
        let site = if named.is_none() && is_partial {
            // It may yet name one.
            Key::NONE
        } else if named.is_none() {
            let router = scopes.table().whole(key);
            scopes.acquire(&crate::derived::gateway_id(&router)).unwrap_or(Key::NONE)
        } else {
            scopes.share(named)
        };
        let is_settled = self.sources.get(owner.0 as usize).is_some_and(|source| source.is_settled);
        let is_there =
            || !site.is_none() && self.graph.by_key(site).is_some_and(|site| self.row(site).is_reported());
        let site = if is_settled || is_there() {
            site
        } else {
            self.graph.vocabulary.scopes.release(site);
            Key::NONE
        };
        let old = self.group(at);
        let is_other = self.graph.refer_to(at, GROUP, site);
        // It is renamed at once.
        if is_other && named.is_none() {
            // It is shown with its site.
            self.graph.touch(at);
        }
        let was_there = is_other && self.group(at).is_some_and(|site| self.row(site).is_reported());
        self.joined(at, old.filter(|_| is_other), RecordKind::Site.code(), &[(Attribute::Name, UNNAMED)]);
        if is_other
            && !was_there
            && let Some(site) = self.group(at)
        {
            let is_in_none = |router: &RecordRef| self.group(*router).is_none();
            let others: Vec<_> = self.routers_by(site, PARENT).filter(is_in_none).collect();
            for router in others {
                self.rejoin_site(router);
            }
        }
    }

    /// As [`Store::join_site`], for a reason that is none of the router's.
    pub(super) fn rejoin_site(&mut self, at: RecordRef) {
        let mut lanes = LaneSet::new();
        self.explained_by(at, &mut lanes, DEPTH);
        self.join_site(at);
        self.explained_by(at, &mut lanes, DEPTH);
        self.explain_anew(lanes);
    }

    /// A source has settled: sites that no source has reported for its routers follow from these.
    pub(super) fn join_sites(&mut self, source: SourceId) {
        let is_router = |row: &EntityRow| row.head.type_code == RecordKind::Router.code();
        let entities = &self.graph.entities;
        let its: Vec<_> = (entities.rows().live().filter(|slot| {
            let row = entities.get(*slot);
            is_router(row) && row.head.owner == source && row.references[GROUP].is_none()
        }))
        .map(|slot| RecordRef::new(Table::Entities, slot))
        .collect();
        for router in its {
            self.rejoin_site(router);
        }
    }

    /// A source reports a record with the id of a site that followed from its routers, which refer to that one now.
    pub(super) fn clear_derived_site(&mut self, at: RecordRef) {
        if !is_derived_site(self.row(at)) {
            return;
        }
        let is_live = self.row(at).is_live();
        if let Some(tally) = self.tally(RecordKind::Site.code()) {
            tally.live -= usize::from(is_live);
            tally.retained -= 1;
        }
        self.graph.clear(at);
    }

    /// The routers of a site that was reported; of anything else, none.
    pub(super) fn routers_of_reported(&self, at: RecordRef) -> Vec<RecordRef> {
        let head = self.row(at).head();
        if head.type_code != RecordKind::Site.code() || head.flags.has(Flags::DERIVED) {
            return Vec::new();
        }
        self.routers_by(at, GROUP).collect()
    }

    fn routers_by(&self, at: RecordRef, place: usize) -> impl Iterator<Item = RecordRef> {
        let is_router = |at: &RecordRef| self.row(*at).head().type_code == RecordKind::Router.code();
        self.graph.referrers(at, place).filter(is_router)
    }

    /// Makes `at` a member of the derived record with that id, and of no other. The record's texts are by ascending
    /// code.
    fn join(&mut self, at: RecordRef, id: Option<String>, type_code: u32, texts: &[(Attribute, &str)]) {
        let old = self.group(at);
        let is_other = self.graph.refer(at, GROUP, id.as_deref());
        self.joined(at, old.filter(|_| is_other), type_code, texts);
    }

    /// A record has become a member of a derived one, and of another no more.
    fn joined(&mut self, at: RecordRef, old: Option<RecordRef>, type_code: u32, texts: &[(Attribute, &str)]) {
        if let Some(old) = old {
            self.refresh_group(old);
        }
        let Some(group) = self.group(at) else { return };
        if !self.row(group).is_reported() && group.table() == Table::Entities {
            self.graph.derive(group, type_code, texts);
            if let Some(tally) = self.tally(type_code) {
                tally.live += 1;
                tally.retained += 1;
            }
        }
        self.refresh_group(group);
    }

    /// Works out anew what a service, image or site is from its members: it starts with the first of them and ends with
    /// the last.
    pub(super) fn refresh_group(&mut self, group: RecordRef) {
        let row = self.row(group);
        if !row.head().flags.has(Flags::DERIVED) {
            return;
        }
        let type_code = row.head().type_code;
        let (mut start, mut end) = (None::<u64>, None::<u64>);
        let (mut connectors, mut others) = (0, 0);
        let mut member = row.referrers()[GROUP];
        while let Some(at) = member.some() {
            let row = self.row(at);
            if row.is_reported() {
                if let Some(from) = row.number(START) {
                    start = Some(start.map_or(from, |start| start.min(from)));
                }
                match row.number(END) {
                    Some(until) => end = end.max(Some(until)),
                    None if row.head().type_code == RecordKind::Connector.code() => connectors += 1,
                    None => others += 1,
                }
            }
            member = row.siblings()[GROUP].next;
        }
        if connectors + others > 0 {
            end = None;
        } else if end.is_none() {
            // Its last member left it for another.
            end = Some(self.now.as_micros());
        }
        let change = self.graph.conclude(group, seconds(self.now), |row| {
            row.set_number(START, start.or(row.number(START)));
            row.set_number(END, end);
            if type_code == SERVICE_TYPE {
                row.set_number(LIVE_LISTENERS, Some(others));
                row.set_number(LIVE_CONNECTORS, Some(connectors));
            } else if type_code == RecordKind::Image.code() {
                row.set_number(LIVE_PROCESSES, Some(others));
            }
        });
        if let Some(change) = change {
            self.account(group, &change);
        }
        if type_code == RecordKind::Site.code()
            && let Some(name) = self.site_name(group)
            && self.graph.rename(group, Attribute::Name, &name)
        {
            self.graph.touch(group);
        }
        if !self.row(group).referrers()[GROUP].is_none() {
            return;
        }
        // All its members left for others or are forgotten.
        if self.graph.is_needed(group, &self.lanes) {
            self.graph.row_mut(group).head_mut().flags.set(Flags::HELD, true);
        } else {
            self.remove(group);
        }
    }

    /// What a site is called that follows from its routers: as the one of those that are there, or were, that started
    /// first. A router has the name of its network before its own, as in `0/east-1`.
    fn site_name(&self, site: RecordRef) -> Option<String> {
        let probe = |key| self.graph.vocabulary.scopes.table().probe(key);
        let router = self.graph.referrers(site, GROUP).min_by(|left, right| {
            let [left, right] = [self.row(*left), self.row(*right)];
            let rank = |row: &dyn AnyRow| (!row.is_live(), row.number(START).unwrap_or(u64::MAX));
            rank(left).cmp(&rank(right)).then_with(|| probe(right.head().key)(left.head().key))
        })?;
        let name = self.text(router, Attribute::Name);
        let own = name.split_once('/').map_or(&*name, |(_, own)| own);
        Some(if own.is_empty() { UNNAMED.to_owned() } else { own.to_owned() })
    }

    /// A text of an entity, empty where there is none.
    fn text(&self, at: RecordRef, attribute: Attribute) -> String {
        match self.row(at).rest_value(attribute.code()) {
            Some(RestValue::Text(symbol)) => match symbol.number() {
                Some(number) => number.to_string(),
                None => crate::text::lookup(self.graph.vocabulary.texts.table(), *symbol).to_owned(),
            },
            _ => String::new(),
        }
    }
}
