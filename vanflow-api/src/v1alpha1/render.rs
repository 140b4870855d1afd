//! One record as the original API shows it.
//!
//! What routers report once for both ends is shown as two records, or *faces*: a LINK from the router that connects and
//! from the one that is connected to, a connection or request from the client's side and from the server's. The near
//! face has the record's own id, the far face that id and [`FAR`].

use vanflow_proto::{Attribute, RecordKind, Value};
use vanflow_store::{Field, Record, Snapshot, Text};

use crate::{
    json::Members,
    link::{Ends, Routers, Side},
};

/// What is appended to the id of a record for its far face. Ids of routers' records end in a counter and those of
/// controllers' are UUIDs, so that no id ends like this; and it needs no escaping in a URL.
pub(crate) const FAR: &str = ".far";

/// Of a LISTENER, how many connections were counted there and never reported (faults 33).
pub(crate) const NEVER_REPORTED: &str = "connectionsNeverReported";

/// Which of the records that a reported record is shown as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Face {
    /// The only one.
    Whole,
    /// A LINK as the router that connects sees it; a FLOW on the client's side.
    Near,
    /// A LINK as the router that is connected to sees it; a FLOW on the server's side.
    Far,
    /// As it was reported, in today's terms.
    Reported,
}

/// A snapshot, and the routers in it that links name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene<'s> {
    pub(crate) snapshot: &'s Snapshot,
    pub(crate) routers: &'s Routers,
}

impl<'s> Scene<'s> {
    pub(crate) fn ends(self, link: Record<'s>) -> Ends<'s> {
        Ends::of(self.routers, self.snapshot, link)
    }
}

/// What a record is shown as in the old terms.
pub(crate) fn faces<'s>(scene: Scene<'s>, record: Record<'s>) -> &'static [Face] {
    const WHOLE: &[Face] = &[Face::Whole];
    const NEAR: &[Face] = &[Face::Near];
    const BOTH: &[Face] = &[Face::Near, Face::Far];
    const ONE_AND_FAR: &[Face] = &[Face::Whole, Face::Far];
    let has_far = match record.kind() {
        Some(RecordKind::BiflowTport) => FarEnd::of(record).is_some(),
        Some(RecordKind::BiflowApp) => has_far_request(record),
        Some(RecordKind::Link) if is_two_sided(record) => record.get(Attribute::Peer).is_some(),
        Some(RecordKind::Link) if scene.ends(record).silent().is_some() => return ONE_AND_FAR,
        Some(_) => return WHOLE,
        // Not known to be anything yet.
        None => return &[],
    };
    if has_far { BOTH } else { NEAR }
}

fn has_far_request(request: Record<'_>) -> bool {
    request.parent().is_some_and(|tport| FarEnd::of(tport).is_some())
}

/// Whether one face of a LINK is how the router that is connected to sees it.
pub(crate) fn is_incoming(link: Record<'_>, face: Face) -> bool {
    (Side::of(link) == Some(Side::Accepts)) != (face == Face::Far)
}

/// Whether a LINK speaks for both of its ends: whether it has anything that only routers say who report links once.
fn is_two_sided(link: Record<'_>) -> bool {
    const SAYS_SO: [Attribute; 5] = [
        Attribute::Peer,
        Attribute::Role,
        Attribute::OperStatus,
        Attribute::Octets,
        Attribute::OctetsReverse,
    ];
    link.get(Attribute::Direction).is_none()
        && SAYS_SO.into_iter().any(|attribute| link.get(attribute).is_some())
}

/// The connector of a connection.
struct FarEnd<'s> {
    connector: Text<'s>,
    is_inferred: bool,
}

impl<'s> FarEnd<'s> {
    fn of(tport: Record<'s>) -> Option<Self> {
        match tport.text(Attribute::Connector) {
            Some(connector) => Some(Self { connector, is_inferred: false }),
            None => tport
                .connector_inferred()
                .map(|connector| Self { connector: connector.id(), is_inferred: true }),
        }
    }
}

/// Gives the members of one face of a record.
pub(crate) fn show<'s>(object: &mut impl Members<'s>, scene: Scene<'s>, record: Record<'s>, face: Face) {
    match (record.kind(), face) {
        (_, Face::Reported) => reported(object, record),
        (Some(RecordKind::BiflowTport), Face::Far) => connection_far(object, record),
        (Some(RecordKind::BiflowTport), _) => connection_near(object, record),
        (Some(RecordKind::BiflowApp), Face::Far) => request_far(object, record),
        (Some(RecordKind::BiflowApp), _) => request_near(object, record),
        (Some(RecordKind::Link), Face::Far) => link_far(object, scene, record),
        (Some(RecordKind::Link), Face::Near) => link_near(object, record),
        (Some(RecordKind::Link), _) => link_one_sided(object, scene, record),
        (Some(kind), _) => whole(object, record, kind),
        (None, _) => reported(object, record),
    }
}

/// A ROUTER that has beaconed and has not been heard to report its record.
pub(crate) fn silent_router<'s>(object: &mut impl Members<'s>, id: &'s str) {
    object.string("rtype", RecordKind::Router.name());
    object.string("id", id);
    object.truth("incomplete", true);
}

/// Every attribute as it was reported.
fn reported<'s>(object: &mut impl Members<'s>, record: Record<'s>) {
    match (record.kind(), record.type_code()) {
        (Some(kind), _) => object.string("rtype", kind.name()),
        (None, Some(code)) => object.uint("rtype", u64::from(code)),
        (None, None) => {}
    }
    object.text("id", record.id());
    for (code, field) in record.fields() {
        match Attribute::from_code(code) {
            Some(attribute) => write_field(object, attribute.name(), field),
            None => object.unnamed(code, field),
        }
    }
}

fn whole<'s>(object: &mut impl Members<'s>, record: Record<'s>, kind: RecordKind) {
    open(object, kind, record.id(), "");
    let process = match kind {
        RecordKind::Connector | RecordKind::Flow => record.process(),
        _ => None,
    };
    let mut omitted = Attributes::NONE;
    if process.is_some() {
        omitted = omitted.and(Attribute::Process);
    }
    fields(object, record, omitted);
    if kind == RecordKind::Flow
        && record.get(Attribute::Counterflow).is_none()
        && let Some(counterflow) = record.counterflow()
    {
        object.text(Attribute::Counterflow.name(), counterflow.id());
    }
    write_process(object, process);
    if let Some(missing) = record.connections_never_reported() {
        object.uint(NEVER_REPORTED, missing);
    }
    if kind == RecordKind::Site && record.is_derived() {
        object.truth("inferred", true);
    }
    if kind == RecordKind::Router {
        if record.text(Attribute::Parent).is_none()
            && let Some(site) = record.parent()
        {
            object.text(Attribute::Parent.name(), site.id());
        }
        let source = record.source().filter(|_| record.is_live());
        let is_incomplete = source.is_some_and(|source| source.is_incomplete());
        mark_incomplete(object, is_incomplete || is_half(record, kind));
        if source.is_some_and(|source| source.lacks_flows()) {
            object.truth("flowsIncomplete", true);
        }
    } else {
        mark_incomplete(object, is_half(record, kind));
    }
    close(object, record);
}

/// What only the far face of a connection shows.
const FAR_ONLY: Attributes = Attributes::NONE
    .and(Attribute::OctetsReverse)
    .and(Attribute::ProcessLatency)
    .and(Attribute::ProxyHost)
    .and(Attribute::ProxyPort)
    .and(Attribute::ErrorConnectorSide);

fn connection_near<'s>(object: &mut impl Members<'s>, record: Record<'s>) {
    open(object, RecordKind::Flow, record.id(), "");
    let far = FarEnd::of(record);
    // Nothing is lost where there is no other record to show it.
    fields(object, record, if far.is_some() { FAR_ONLY } else { Attributes::NONE });
    if let Some(far) = far {
        object.text_with(Attribute::Counterflow.name(), record.id(), FAR);
        if far.is_inferred {
            object.text(Attribute::Connector.name(), far.connector);
            object.truth("connectorInferred", true);
        }
    }
    write_process(object, record.process());
    close(object, record);
}

fn connection_far<'s>(object: &mut impl Members<'s>, record: Record<'s>) {
    open(object, RecordKind::Flow, record.id(), FAR);
    let far = FarEnd::of(record);
    if let Some(far) = &far {
        object.text(Attribute::Parent.name(), far.connector);
    }
    times(object, record);
    object.text(Attribute::Counterflow.name(), record.id());
    for (shown, reported) in [
        (Attribute::SourceHost, Attribute::ProxyHost),
        (Attribute::SourcePort, Attribute::ProxyPort),
        (Attribute::Trace, Attribute::Trace),
        (Attribute::ErrorConnectorSide, Attribute::ErrorConnectorSide),
    ] {
        if let Some(text) = record.text(reported) {
            object.text(shown.name(), text);
        }
    }
    for (shown, reported) in
        [(Attribute::Octets, Attribute::OctetsReverse), (Attribute::Latency, Attribute::ProcessLatency)]
    {
        if let Some(number) = record.uint(reported) {
            object.uint(shown.name(), number);
        }
    }
    if far.is_some_and(|far| far.is_inferred) {
        object.truth("connectorInferred", true);
    }
    write_process(object, record.server_process());
    close(object, record);
}

fn request_near<'s>(object: &mut impl Members<'s>, record: Record<'s>) {
    open(object, RecordKind::Flow, record.id(), "");
    let has_far = has_far_request(record);
    let omitted = if has_far { Attributes::NONE.and(Attribute::OctetsReverse) } else { Attributes::NONE };
    fields(object, record, omitted);
    if has_far {
        object.text_with(Attribute::Counterflow.name(), record.id(), FAR);
    }
    write_process(object, record.process());
    close(object, record);
}

fn request_far<'s>(object: &mut impl Members<'s>, record: Record<'s>) {
    open(object, RecordKind::Flow, record.id(), FAR);
    if let Some(parent) = record.text(Attribute::Parent) {
        object.text_with(Attribute::Parent.name(), parent, FAR);
    }
    times(object, record);
    object.text(Attribute::Counterflow.name(), record.id());
    if let Some(protocol) = record.text(Attribute::Protocol) {
        object.text(Attribute::Protocol.name(), protocol);
    }
    if let Some(octets) = record.uint(Attribute::OctetsReverse) {
        object.uint(Attribute::Octets.name(), octets);
    }
    if let Some(stream) = record.uint(Attribute::StreamId) {
        object.uint(Attribute::StreamId.name(), stream);
    }
    write_process(object, record.server_process());
    close(object, record);
}

/// What both faces of a LINK that is reported once have of their own.
const LINK_ENDS: Attributes = Attributes::NONE
    .and(Attribute::Parent)
    .and(Attribute::Name)
    .and(Attribute::Direction)
    .and(Attribute::Mode)
    .and(Attribute::Octets)
    .and(Attribute::OctetsReverse)
    .and(Attribute::OctetRate)
    .and(Attribute::OctetRateReverse);

fn link_near<'s>(object: &mut impl Members<'s>, link: Record<'s>) {
    open(object, RecordKind::Link, link.id(), "");
    if let Some(parent) = link.text(Attribute::Parent) {
        object.text(Attribute::Parent.name(), parent);
    }
    let peer = link.peer().and_then(|access| access.router());
    if let Some(name) = peer.and_then(|router| router.text(Attribute::Name)) {
        object.text(Attribute::Name.name(), name);
    }
    link_rest(object, link, "outgoing", |attribute| attribute);
}

fn link_far<'s>(object: &mut impl Members<'s>, scene: Scene<'s>, link: Record<'s>) {
    open(object, RecordKind::Link, link.id(), FAR);
    if let Some(router) = scene.ends(link).other() {
        object.text(Attribute::Parent.name(), router.id());
    }
    if let Some(name) = link.router().and_then(|router| router.text(Attribute::Name)) {
        object.text(Attribute::Name.name(), name);
    }
    let direction = if is_incoming(link, Face::Far) { "incoming" } else { "outgoing" };
    link_rest(object, link, direction, |attribute| match attribute {
        Attribute::Octets => Attribute::OctetsReverse,
        Attribute::OctetsReverse => Attribute::Octets,
        Attribute::OctetRate => Attribute::OctetRateReverse,
        Attribute::OctetRateReverse => Attribute::OctetRate,
        other => other,
    });
}

fn link_rest<'s>(
    object: &mut impl Members<'s>,
    link: Record<'s>,
    direction: &'static str,
    as_seen: impl Fn(Attribute) -> Attribute,
) {
    // What is reported from one side has the other router's id for a name.
    if let Some(name) = link.text(Attribute::Name).filter(|_| Side::of(link).is_none()) {
        object.text("linkName", name);
    }
    object.string(Attribute::Direction.name(), direction);
    // In the days of two-sided links there were two roles, and the mode said which.
    if let Some(mode) = link.text(Attribute::Mode) {
        object.text(Attribute::Mode.name(), mode);
    } else if let Some(role) = link.text(Attribute::Role) {
        if role == *"inter-router" {
            object.string(Attribute::Mode.name(), "interior");
        } else {
            object.text(Attribute::Mode.name(), role);
        }
    }
    for shown in
        [Attribute::Octets, Attribute::OctetsReverse, Attribute::OctetRate, Attribute::OctetRateReverse]
    {
        if let Some(number) = link.uint(as_seen(shown)) {
            object.uint(shown.name(), number);
        }
    }
    fields(object, link, LINK_ENDS);
    mark_incomplete(object, is_half(link, RecordKind::Link));
    close(object, link);
}

/// What was the far face of a LINK until its other side was reported.
pub(crate) fn no_far_link<'s>(object: &mut impl Members<'s>, scene: Scene<'s>, link: Record<'s>) {
    open(object, RecordKind::Link, link.id(), FAR);
    if let Some(router) = scene.ends(link).other() {
        object.text(Attribute::Parent.name(), router.id());
    }
    object.uint(Attribute::EndTime.name(), scene.snapshot.now().as_micros());
}

/// A LINK from a router that reports its own end only.
fn link_one_sided<'s>(object: &mut impl Members<'s>, scene: Scene<'s>, link: Record<'s>) {
    open(object, RecordKind::Link, link.id(), "");
    match scene.ends(link).other().and_then(|router| router.text(Attribute::Name)) {
        Some(name) => {
            object.text(Attribute::Name.name(), name);
            fields(object, link, Attributes::NONE.and(Attribute::Name));
        }
        None => fields(object, link, Attributes::NONE),
    }
    mark_incomplete(object, is_half(link, RecordKind::Link));
    close(object, link);
}

#[inline]
fn open<'s>(object: &mut impl Members<'s>, kind: RecordKind, id: Text<'s>, suffix: &'static str) {
    object.string(Attribute::RecordType.name(), kind.name());
    object.text_with(Attribute::Identity.name(), id, suffix);
}

/// Every attribute but those left out, and but values that are not of their attribute's type: `records` has them.
#[inline]
fn fields<'s>(object: &mut impl Members<'s>, record: Record<'s>, omitted: Attributes) {
    for (code, field) in record.fields() {
        let Some(attribute) = Attribute::from_code(code) else {
            object.unnamed(code, field);
            continue;
        };
        // How long a record lived is worked out below.
        if omitted.has(attribute) || attribute == Attribute::Duration {
            continue;
        }
        match field {
            Field::Uint(number) if !attribute.kind().is_text() => object.uint(attribute.name(), number),
            Field::Text(text) if attribute.kind().is_text() => object.text(attribute.name(), text),
            _ => {}
        }
    }
}

fn write_field<'s>(object: &mut impl Members<'s>, name: &'static str, field: Field<'s>) {
    match field {
        Field::Uint(number) => object.uint(name, number),
        Field::Text(text) => object.text(name, text),
        Field::Other(value) => object.value(name, value),
        // A form that a value may have in time.
        _ => object.value(name, Value::Null),
    }
}

fn times<'s>(object: &mut impl Members<'s>, record: Record<'s>) {
    if let Some(start) = record.start() {
        object.uint(Attribute::StartTime.name(), start.as_micros());
    }
    if let Some(end) = record.end() {
        object.uint(Attribute::EndTime.name(), end.as_micros());
    }
}

fn write_process<'s>(object: &mut impl Members<'s>, process: Option<Record<'s>>) {
    if let Some(process) = process {
        object.text(Attribute::Process.name(), process.id());
        if let Some(name) = process.text(Attribute::Name) {
            object.text("processName", name);
        }
    }
}

/// Whether all that is known of a record is what changed since it started (faults 1).
fn is_half(record: Record<'_>, kind: RecordKind) -> bool {
    record.is_live()
        && record.start().is_none()
        && !record.is_derived()
        && kind.attributes().contains(&Attribute::StartTime)
}

fn mark_incomplete<'s>(object: &mut impl Members<'s>, is_incomplete: bool) {
    if is_incomplete {
        object.truth("incomplete", true);
    }
}

fn close<'s>(object: &mut impl Members<'s>, record: Record<'s>) {
    let duration = record.duration_micros().or_else(|| record.uint(Attribute::Duration));
    if let Some(duration) = duration {
        object.uint(Attribute::Duration.name(), duration);
    }
}

/// A set of attributes.
#[derive(Clone, Copy, Debug)]
struct Attributes(u128);

impl Attributes {
    const NONE: Self = Self(0);

    const fn and(self, attribute: Attribute) -> Self {
        Self(self.0 | 1 << attribute.code())
    }

    const fn has(self, attribute: Attribute) -> bool {
        self.0 & 1 << attribute.code() != 0
    }
}

const _: () = assert!(Attribute::ALL.len() <= 128, "a set of attributes has room for them all");
