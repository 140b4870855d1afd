//! What follows from records: services and images, which are records of their own; which processes are at which hosts;
//! how many connections a listener or connector has had. All of it changes in the same step as what it follows from.

use vanflow_proto::{Attribute, RecordKind};

use super::Store;
use crate::{
    graph::{Change, Standing},
    row::{Cell, Flags, RecordRef, SERVICE_TYPE, Table},
    schema::{
        END, GROUP, LIVE_CONNECTORS, LIVE_FLOWS, LIVE_LISTENERS, LIVE_PROCESSES, PARENT, START, TOTAL_FLOWS,
    },
};

impl Store {
    /// Counts a connection at the listener or connector that it belongs to, and at the service of that.
    pub(super) fn count_flow(&mut self, before: &Standing, after: &Standing) {
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
            let row = self.graph.entities.get_mut(parent.slot());
            if before.counted_under != after.counted_under {
                count(&mut row.numbers[TOTAL_FLOWS]);
            }
            if standing.live {
                count(&mut row.numbers[LIVE_FLOWS]);
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
        match RecordKind::from_code(self.row(at).head().type_code) {
            Some(RecordKind::Listener | RecordKind::Connector) => {
                if is_new || changed.has(Attribute::VanAddress) || changed.has(Attribute::Protocol) {
                    self.join_service(at);
                } else if is_at_another_time && let Some(service) = self.group(at) {
                    self.refresh_group(service);
                }
            }
            Some(RecordKind::Process) => {
                if is_new || changed.has(Attribute::SourceHost) || changed.has(Attribute::Parent) {
                    self.place_process(at);
                }
                if is_new || changed.has(Attribute::ImageName) {
                    self.join_image(at);
                } else if is_at_another_time && let Some(image) = self.group(at) {
                    self.refresh_group(image);
                }
            }
            _ => {}
        }
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

    /// Makes `at` a member of the derived record with that id, and of no other. The record's texts are by ascending
    /// code.
    fn join(&mut self, at: RecordRef, id: Option<String>, type_code: u32, texts: &[(Attribute, &str)]) {
        let old = self.group(at);
        if self.graph.refer(at, GROUP, id.as_deref())
            && let Some(old) = old
        {
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

    /// Works out anew what a service or image is from its members: it starts with the first of them and ends with
    /// the last.
    pub(super) fn refresh_group(&mut self, group: RecordRef) {
        let row = self.row(group);
        if !row.head().flags.has(Flags::DERIVED) {
            return;
        }
        let is_service = row.head().type_code == SERVICE_TYPE;
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
        let change = self.graph.conclude(group, |row| {
            row.set_number(START, start.or(row.number(START)));
            row.set_number(END, end);
            if is_service {
                row.set_number(LIVE_LISTENERS, Some(others));
                row.set_number(LIVE_CONNECTORS, Some(connectors));
            } else {
                row.set_number(LIVE_PROCESSES, Some(others));
            }
        });
        if let Some(change) = change {
            self.account(group, &change);
        }
        if self.row(group).referrers()[GROUP].is_none() {
            // All its members left for others or are forgotten.
            self.remove(group);
        }
    }

    /// A process is found by its site and host.
    fn place_process(&mut self, at: RecordRef) {
        let row = self.row(at);
        let site = row.references()[PARENT];
        match row.cell(Attribute::SourceHost.code()) {
            Some(Cell::Text(host)) if !site.is_none() => self.hosts.insert(at, site, *host),
            _ => self.hosts.remove(at),
        }
    }

    /// A text of an entity, empty where there is none.
    fn text(&self, at: RecordRef, attribute: Attribute) -> String {
        match self.row(at).cell(attribute.code()) {
            Some(Cell::Text(symbol)) => match symbol.number() {
                Some(number) => number.to_string(),
                None => crate::text::lookup(self.graph.vocabulary.texts.table(), *symbol).to_owned(),
            },
            _ => String::new(),
        }
    }
}
