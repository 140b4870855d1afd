//! Records and services as a snapshot shows them.

use std::fmt;

use vanflow_proto::{Attribute, RecordKind, Timestamp};

use crate::{
    changes::Revision,
    ends::{self, Steady},
    identity::Key,
    row::{AnyRow, Flags, NO_TYPE, RecordRef, RestValue, Table},
    schema::{
        self, AttributePlace, CONNECTOR, COUNTERFLOW, END, GROUP, LIVE_CONNECTORS, LIVE_FLOWS,
        LIVE_LISTENERS, NEVER_REPORTED, PARENT, START, Schema, TOTAL_FLOWS,
    },
    snapshot::{Contents, Field, SERVICE_ADDRESS, Text, is_service_type},
    source::SourceState,
    store::Ended,
    typed::Typed,
};

/// How many records up parents are looked for, the record itself among them.
const DEPTH: usize = 8;

/// A record of a [`Snapshot`](crate::Snapshot).
///
/// Every attribute can be absent: updates are sparse, and a collector may come late. Other records that it refers to
/// are found when they are there, and not before.
#[derive(Clone, Copy)]
pub struct Record<'s> {
    pub(crate) contents: &'s Contents,
    pub(crate) at: RecordRef,
    pub(crate) row: &'s dyn AnyRow,
}

impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Record");
        debug.field("id", &self.id()).field("type", &self.type_code());
        for (code, field) in self.fields() {
            match Attribute::from_code(code) {
                Some(attribute) => debug.field(attribute.name(), &field),
                None => debug.field(&format!("attr{code}"), &field),
            };
        }
        debug.finish()
    }
}

impl PartialEq for Record<'_> {
    /// Whether both are the same record; it may have changed in between.
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at && self.row.head().key == other.row.head().key
    }
}

impl Eq for Record<'_> {}

impl<'s> Record<'s> {
    /// Where the record is kept: of use in other snapshots of the same store, for as long as it is retained.
    pub fn at(&self) -> RecordRef {
        self.at
    }

    /// The record's identity.
    pub fn id(&self) -> Text<'s> {
        self.contents.id(self.row.head().key).expect("a record has an identity")
    }

    /// What it describes, if the table of kinds has it.
    pub fn kind(&self) -> Option<RecordKind> {
        RecordKind::from_code(self.row.head().type_code)
    }

    /// The code of its type on the wire; none for services, which are on no wire.
    pub fn type_code(&self) -> Option<u32> {
        let code = self.row.head().type_code;
        (code != NO_TYPE && !is_service_type(code)).then_some(code)
    }

    /// The record by its kind; none for types that sources do not report or that the table does not have.
    pub fn typed(self) -> Option<Typed<'s>> {
        Typed::new(self)
    }

    /// Whether it was not reported but follows from others.
    pub fn is_derived(&self) -> bool {
        self.row.head().flags.has(Flags::DERIVED)
    }

    /// The value of an attribute, if it is known.
    pub fn get(&self, attribute: Attribute) -> Option<Field<'s>> {
        self.field(self.schema().place(attribute.code()))
            .or_else(|| self.row.rest_value(attribute.code()).and_then(|value| self.rest_value(value)))
    }

    /// The number that an attribute is, if it is known.
    pub fn uint(&self, attribute: Attribute) -> Option<u64> {
        self.get(attribute)?.as_uint()
    }

    /// The text that an attribute is, if it is known.
    pub fn text(&self, attribute: Attribute) -> Option<Text<'s>> {
        self.get(attribute)?.as_text()
    }

    /// Codes and values of all attributes that are known, by ascending code: as they were merged, those that the
    /// table does not have too. Record type and identity are left out.
    pub fn fields(&self) -> impl Iterator<Item = (u32, Field<'s>)> + use<'s> {
        let record = *self;
        let mut placed = record
            .schema()
            .placed()
            .filter_map(move |(attribute, place)| Some((attribute.code(), record.field(place)?)))
            .peekable();
        let mut rest = record
            .row
            .rest()
            .iter()
            .filter_map(move |(code, value)| Some((*code, record.rest_value(value)?)))
            .peekable();
        std::iter::from_fn(move || match (placed.peek(), rest.peek()) {
            (Some((left, _)), Some((right, _))) if right < left => rest.next(),
            (Some(_), _) => placed.next(),
            (None, _) => rest.next(),
        })
    }

    /// When the object came to be, by the clock of its source.
    pub fn start(&self) -> Option<Timestamp> {
        self.row.number(START).map(Timestamp::from_micros)
    }

    /// When the object went, by the clock of its source.
    pub fn end(&self) -> Option<Timestamp> {
        self.row.number(END).map(Timestamp::from_micros)
    }

    /// Whether the object exists.
    pub fn is_live(&self) -> bool {
        self.row.is_live()
    }

    /// Whether the end is presumed: its source fell silent or restarted, or did not repeat it.
    pub fn is_end_presumed(&self) -> bool {
        self.row.head().flags.has(Flags::PRESUMED_END)
    }

    /// When it ended by our clock, and how; for [`Store::restore`](crate::Store::restore).
    pub fn ended(&self) -> Option<Ended> {
        let head = self.row.head();
        let at = Timestamp::from_micros(u64::from(head.ended_at) * 1_000_000);
        (!self.is_live()).then_some(Ended { at, presumed: self.is_end_presumed() })
    }

    /// How long the object lived, or has lived by the clock of its source (faults 20), in microseconds. Never
    /// negative, whatever the clocks say (faults 10).
    pub fn duration_micros(&self) -> Option<u64> {
        let start = self.start()?;
        let until = match self.end() {
            Some(end) => end,
            None => match self.contents.sources.get(self.row.head().owner.0 as usize) {
                Some(source) => source.clock(self.contents.now),
                None => self.contents.now,
            },
        };
        Some(until.micros_since(start))
    }

    /// The revision of its latest change.
    pub fn revision(&self) -> Revision {
        self.row.head().revision
    }

    /// The source that reported it, none for derived ones.
    pub fn source(&self) -> Option<SourceState<'s>> {
        self.contents.source(self.row.head().owner)
    }

    /// The record that it belongs to. Of a ROUTER that names no site, that which follows from it.
    pub fn parent(&self) -> Option<Record<'s>> {
        self.contents.by_key(self.parent_key())
    }

    fn parent_key(&self) -> Key {
        if self.at.table() == Table::Entities {
            ends::parent(self.row)
        } else {
            self.row.references()[PARENT]
        }
    }

    /// The records that belong to it, live and ended, the one that was reported last first.
    pub fn children(&self) -> impl Iterator<Item = Record<'s>> + use<'s> {
        self.referrers(PARENT).chain(self.referrers(GROUP).filter(Record::names_no_site))
    }

    fn names_no_site(&self) -> bool {
        self.kind() == Some(RecordKind::Router) && self.row.references()[PARENT].is_none()
    }

    /// Of a SITE, its ROUTER records, live and ended.
    pub fn routers(&self) -> impl Iterator<Item = Record<'s>> + use<'s> {
        self.children().filter(|child| child.kind() == Some(RecordKind::Router))
    }

    /// Of a LISTENER, how many connections have been received, ended ones that left the store too.
    pub fn connections_received(&self) -> Option<u64> {
        (self.kind() == Some(RecordKind::Listener)).then(|| self.row.numbers()[TOTAL_FLOWS])
    }

    /// Of a LISTENER, how many connections its router counted since that was first seen, and never reported
    /// (faults 33): known half a minute to a minute after they were opened, rather too few than too many, and never fewer
    /// than before. None where its router does not count.
    pub fn connections_never_reported(&self) -> Option<u64> {
        if self.kind() == Some(RecordKind::Listener) { self.row.number(NEVER_REPORTED) } else { None }
    }

    /// Of a CONNECTOR, the BIFLOW_TPORT records that name it, live and ended.
    pub fn connections(&self) -> impl Iterator<Item = Record<'s>> + use<'s> {
        self.referrers(CONNECTOR).filter(|record| record.kind() == Some(RecordKind::BiflowTport))
    }

    /// Of a ROUTER_ACCESS, the LINK records that arrive at it, live and ended. Goes through all links, of which there
    /// are few.
    pub fn links(&self) -> impl Iterator<Item = Record<'s>> + use<'s> {
        let record = *self;
        record.contents.entities(RecordKind::Link).filter(move |link| link.peer() == Some(record))
    }

    /// Of a PROCESS, the CONNECTOR records that it is behind, live and ended; see [`Record::process`]. Goes through all
    /// connectors.
    pub fn connectors(&self) -> impl Iterator<Item = Record<'s>> + use<'s> {
        let record = *self;
        record
            .contents
            .entities(RecordKind::Connector)
            .filter(move |connector| connector.process() == Some(record))
    }

    pub(crate) fn referrers(&self, place: usize) -> impl Iterator<Item = Record<'s>> + use<'s> {
        self.contents.referrers(self.at, place)
    }

    /// Of a LINK, the ROUTER_ACCESS that it arrived at.
    pub fn peer(&self) -> Option<Record<'s>> {
        self.referred(Attribute::Peer)
    }

    /// Of a BIFLOW_TPORT, the CONNECTOR that it names.
    pub fn connector(&self) -> Option<Record<'s>> {
        self.referred(Attribute::Connector)
    }

    /// Of a CONNECTOR, the PROCESS that it names. See [`Record::process`] for the one that is behind it.
    pub fn named_process(&self) -> Option<Record<'s>> {
        self.referred(Attribute::Process)
    }

    /// Of a FLOW, the one of the other direction: the one that it names, or that names it.
    pub fn counterflow(&self) -> Option<Record<'s>> {
        self.referred(Attribute::Counterflow).or_else(|| match self.at.table() {
            Table::Flows => self.referrers(COUNTERFLOW).next(),
            _ => None,
        })
    }

    pub(crate) fn referred(&self, attribute: Attribute) -> Option<Record<'s>> {
        let key = match self.schema().place(attribute.code()) {
            AttributePlace::Reference(place) => self.row.references()[place as usize],
            _ => match self.row.rest_value(attribute.code())? {
                RestValue::Reference(key) => *key,
                _ => return None,
            },
        };
        self.contents.by_key(key)
    }

    /// The ROUTER that it is or belongs to, directly or by its parents.
    pub fn router(&self) -> Option<Record<'s>> {
        self.ancestor(RecordKind::Router)
    }

    /// The SITE that it is or belongs to, directly or by its parents. It [is derived](Record::is_derived) where no source
    /// reports one for a router.
    pub fn site(&self) -> Option<Record<'s>> {
        self.ancestor(RecordKind::Site)
    }

    /// The id of the SITE that its router is in; there may be no record of that yet.
    pub fn site_id(&self) -> Option<Text<'s>> {
        self.contents.id(self.router()?.parent_key())
    }

    /// The record itself or the nearest of its parents of that kind. Parents that go in circles are nobody's.
    fn ancestor(&self, kind: RecordKind) -> Option<Record<'s>> {
        std::iter::successors(Some(*self), |record| record.parent())
            .take(DEPTH)
            .find(|record| record.kind() == Some(kind))
    }

    /// The LISTENER or CONNECTOR that a flow belongs to, directly or by its parents; of one of those, itself.
    pub fn endpoint(&self) -> Option<Record<'s>> {
        self.ancestor(RecordKind::Listener).or_else(|| self.ancestor(RecordKind::Connector))
    }

    /// The service that a LISTENER, a CONNECTOR or a flow belongs to.
    pub fn service(&self) -> Option<Service<'s>> {
        self.endpoint()?.joined_service()
    }

    /// The service of a LISTENER or CONNECTOR.
    pub(crate) fn offered(&self) -> Option<Service<'s>> {
        let offers = matches!(self.kind()?, RecordKind::Listener | RecordKind::Connector);
        if offers { self.joined_service() } else { None }
    }

    fn joined_service(&self) -> Option<Service<'s>> {
        self.contents.by_key(self.row.references()[GROUP])?.as_service()
    }

    /// The CONNECTOR of a BIFLOW_TPORT that names none, where its service had just one when it began (faults 11).
    pub fn connector_inferred(&self) -> Option<Record<'s>> {
        if self.kind() == Some(RecordKind::BiflowTport) { self.lane()?.connector_inferred() } else { None }
    }

    /// The PROCESS at an end of a flow or behind a CONNECTOR: of a FLOW under one the server, of a BIFLOW_TPORT and of a
    /// FLOW under a listener the client, when the flow began; of a CONNECTOR the server as of now, or of its end. A request
    /// has that of its connection. See [`Record::server_process`] for the other end.
    ///
    /// A process that is named is taken. Otherwise it is the one that was at that host of the same site at that time, and
    /// stays it when another process gets the address (faults 26). Where that leaves a choice, or none, the one nearest in
    /// time is taken, then the one that started last, then the one with the lowest id (faults 12).
    pub fn process(&self) -> Option<Record<'s>> {
        let start = |record: Self| record.row.number(START).unwrap_or(u64::MAX);
        match self.kind()? {
            RecordKind::Connector => self.server_at(self.row.number(END).unwrap_or(u64::MAX)),
            RecordKind::BiflowTport => self.lane()?.process(),
            RecordKind::BiflowApp => self.connection()?.process(),
            RecordKind::Flow => {
                let parent = self.parent()?;
                let flow = if parent.kind() == Some(RecordKind::Flow) { parent } else { *self };
                let endpoint = flow.parent()?;
                match endpoint.kind()? {
                    RecordKind::Connector => endpoint.server_at(start(flow)),
                    RecordKind::Listener => flow.client_at(start(flow)),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// The PROCESS behind a CONNECTOR for what began then.
    pub(crate) fn server_at(&self, start: u64) -> Option<Record<'s>> {
        let connector =
            self.contents.entities.get(self.at.slot()).filter(|_| self.at.table() == Table::Entities)?;
        let mut steady = Steady::ALWAYS;
        self.contents.by_key(self.contents.facts().server(connector, start, &mut steady))
    }

    /// The PROCESS that a FLOW under a listener comes from, which began then.
    fn client_at(&self, start: u64) -> Option<Record<'s>> {
        let AttributePlace::Text(place) = self.schema().place(Attribute::SourceHost.code()) else {
            return None;
        };
        let (listener, host) = (self.row.references()[PARENT], self.row.texts()[place as usize]);
        let mut steady = Steady::ALWAYS;
        self.contents.by_key(self.contents.facts().client(listener, host, start, &mut steady))
    }

    /// Of a BIFLOW_APP, the BIFLOW_TPORT that it belongs to; whatever else is asked to be its parent is none.
    pub(crate) fn connection(&self) -> Option<Record<'s>> {
        self.parent().filter(|parent| parent.kind() == Some(RecordKind::BiflowTport))
    }

    /// Of a BIFLOW_TPORT or BIFLOW_APP, the PROCESS behind its connector, reported or inferred.
    pub fn server_process(&self) -> Option<Record<'s>> {
        match self.kind()? {
            RecordKind::BiflowTport => self.lane()?.server_process(),
            RecordKind::BiflowApp => self.connection()?.server_process(),
            _ => None,
        }
    }

    pub(crate) fn is_service(&self) -> bool {
        is_service_type(self.row.head().type_code)
    }

    /// The service that it is: records of [`Changes`](crate::Changes) can be.
    pub fn as_service(&self) -> Option<Service<'s>> {
        self.is_service().then_some(Service { record: *self })
    }

    fn schema(&self) -> &'static Schema {
        match self.at.table() {
            Table::Entities => &schema::ENTITY,
            Table::Tports => &schema::TPORT,
            Table::Apps => &schema::APP,
            Table::Flows => &schema::FLOW,
        }
    }

    fn field(&self, place: AttributePlace) -> Option<Field<'s>> {
        match place {
            AttributePlace::Number(place) => self.row.number(place as usize).map(Field::Uint),
            AttributePlace::Text(place) => {
                self.contents.text(self.row.texts()[place as usize]).map(Field::Text)
            }
            AttributePlace::Reference(place) => {
                self.contents.id(self.row.references()[place as usize]).map(Field::Text)
            }
            AttributePlace::Rest => None,
        }
    }

    fn rest_value(&self, value: &'s RestValue) -> Option<Field<'s>> {
        match value {
            RestValue::Uint(number) => Some(Field::Uint(*number)),
            RestValue::Text(symbol) => self.contents.text(*symbol).map(Field::Text),
            RestValue::Reference(key) => self.contents.id(*key).map(Field::Text),
            RestValue::Other(value) => Some(Field::Other(value.borrow())),
        }
    }
}

/// A service that the network offers: what listeners and connectors with one address and protocol have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service<'s> {
    record: Record<'s>,
}

impl<'s> Service<'s> {
    /// Where the service is kept; see [`Record::at`].
    pub fn at(&self) -> RecordRef {
        self.record.at
    }

    /// Its identity, made of address and protocol: the same in every collector.
    pub fn id(&self) -> Text<'s> {
        self.record.id()
    }

    /// The address that listeners and connectors share, VAN-Flow's routing key.
    pub fn address(&self) -> Text<'s> {
        self.record.text(SERVICE_ADDRESS).expect("a service has an address")
    }

    /// The protocol that listeners and connectors share; none where they reported none.
    pub fn protocol(&self) -> Option<Text<'s>> {
        self.record.text(Attribute::Protocol)
    }

    /// Its listeners, live and ended.
    pub fn listeners(&self) -> impl Iterator<Item = Record<'s>> + use<'s> {
        self.members(RecordKind::Listener)
    }

    /// Its connectors, live and ended.
    pub fn connectors(&self) -> impl Iterator<Item = Record<'s>> + use<'s> {
        self.members(RecordKind::Connector)
    }

    fn members(&self, kind: RecordKind) -> impl Iterator<Item = Record<'s>> + use<'s> {
        self.record.referrers(GROUP).filter(move |record| record.kind() == Some(kind))
    }

    /// How many live listeners it has.
    pub fn listener_count(&self) -> u64 {
        self.record.row.number(LIVE_LISTENERS).unwrap_or(0)
    }

    /// How many live connectors it has.
    pub fn connector_count(&self) -> u64 {
        self.record.row.number(LIVE_CONNECTORS).unwrap_or(0)
    }

    /// How many connections were reported; a FLOW and its counterflow count as one, a connector's own FLOW as none.
    pub fn total_flows(&self) -> u64 {
        self.sum(TOTAL_FLOWS)
    }

    /// How many of those are open.
    pub fn current_flows(&self) -> u64 {
        self.sum(LIVE_FLOWS)
    }

    fn sum(&self, place: usize) -> u64 {
        self.record.referrers(GROUP).map(|member| member.row.numbers()[place]).sum()
    }

    /// The flows directly under its listeners and connectors: connections, live and ended. Requests are the
    /// [children](Record::children) of those.
    pub fn flows(&self) -> impl Iterator<Item = Record<'s>> + use<'s> {
        self.record
            .referrers(GROUP)
            .flat_map(|member| member.children())
            .filter(|record| record.kind().is_some_and(RecordKind::is_flow))
    }

    /// When the first of its listeners and connectors came to be.
    pub fn start(&self) -> Option<Timestamp> {
        self.record.start()
    }

    /// When the last of them went.
    pub fn end(&self) -> Option<Timestamp> {
        self.record.end()
    }

    /// Whether any of them exists.
    pub fn is_live(&self) -> bool {
        self.record.is_live()
    }

    /// The revision of its latest change; that of one of its flows counts as one.
    pub fn revision(&self) -> Revision {
        self.record.revision()
    }
}
