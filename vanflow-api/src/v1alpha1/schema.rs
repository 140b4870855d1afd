//! What records look like here: which properties there are, worked out from the protocol's tables.
//!
//! Filters, `fields`, the columns of CSV and the OpenAPI document all derive from it.

use std::{borrow::Cow, collections::HashMap, sync::LazyLock};

use vanflow_proto::{Attribute, AttributeKind, RecordKind, Unit};

use crate::{
    query::{
        filter::Filtered,
        value::{Kind, Presence},
    },
    v1alpha1::{query::Collection, render::NEVER_REPORTED},
};

/// One property of the records of a list.
#[derive(Clone, Debug)]
pub(crate) struct Property {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) presence: Presence,
    pub(crate) description: Cow<'static, str>,
}

impl Property {
    fn new(name: &'static str, kind: Kind, description: impl Into<Cow<'static, str>>) -> Self {
        Self { name, kind, presence: Presence::Optional, description: description.into() }
    }

    fn always(self) -> Self {
        Self { presence: Presence::Always, ..self }
    }

    fn of(attribute: Attribute) -> Self {
        let kind = match attribute.kind() {
            kind if kind.is_text() => Kind::Text,
            AttributeKind::RecordType => Kind::Text,
            AttributeKind::Instant => Kind::Instant,
            _ => Kind::Number,
        };
        let unit = match attribute.unit() {
            Unit::Microseconds if kind == Kind::Instant => {
                " In microseconds since the Unix epoch, by the clock of the source."
            }
            Unit::Microseconds => " In microseconds.",
            Unit::OctetsPerSecond => " In octets per second.",
            _ => "",
        };
        Self::new(attribute.name(), kind, format!("{}{unit}", attribute.description().trim()))
    }

    /// As filters see it: what one kind of records always has, another of the same list may lack.
    pub(crate) fn filtered(&self) -> Filtered {
        Filtered { name: self.name, kind: self.kind, presence: Presence::Optional }
    }
}

/// What VAN_ADDRESS records are called.
pub(crate) const VAN_ADDRESS: &str = "VAN_ADDRESS";

/// The kinds that records are shown as in the old terms.
pub(crate) fn shown() -> impl Iterator<Item = RecordKind> {
    let reported_once = |kind: &RecordKind| matches!(kind, RecordKind::BiflowTport | RecordKind::BiflowApp);
    RecordKind::ALL.iter().copied().filter(move |kind| !reported_once(kind))
}

/// The properties of the items of a list, those that each record has first.
pub(crate) fn properties(collection: Collection) -> &'static [Property] {
    static TABLES: LazyLock<HashMap<Collection, Vec<Property>>> = LazyLock::new(|| {
        let kinds = RecordKind::ALL.iter().copied().map(Collection::Kind);
        let others = [
            Collection::Topology,
            Collection::VanAddrs,
            Collection::Addresses,
            Collection::Flows,
            Collection::Record,
            Collection::Records,
        ];
        kinds.chain(others).map(|collection| (collection, of_collection(collection))).collect()
    });
    TABLES.get(&collection).map_or(&[], Vec::as_slice)
}

fn of_collection(collection: Collection) -> Vec<Property> {
    let union = |tables: Vec<Vec<Property>>| {
        let mut union: Vec<Property> = Vec::new();
        for property in tables.into_iter().flatten() {
            match union.iter_mut().find(|other| other.name == property.name) {
                Some(other) if property.presence == Presence::Optional => other.presence = Presence::Optional,
                Some(_) => {}
                None => union.push(property),
            }
        }
        union
    };
    match collection {
        Collection::Topology => union([RecordKind::Router, RecordKind::Link].map(of_kind).into()),
        Collection::Kind(kind) => of_kind(kind),
        Collection::VanAddrs => vec![Property::new("name", Kind::Text, "The address.").always()],
        Collection::Addresses => of_address(),
        Collection::Flows => {
            union([RecordKind::Listener, RecordKind::Connector, RecordKind::Flow].map(of_kind).into())
        }
        Collection::Record => union(shown().map(of_kind).chain([of_address()]).collect()),
        Collection::Records => {
            let rest = Attribute::ALL.iter().copied().filter(|attribute| !IDENTITY.contains(attribute));
            identity().into_iter().chain(rest.map(Property::of)).collect()
        }
    }
}

const IDENTITY: [Attribute; 2] = [Attribute::RecordType, Attribute::Identity];

fn identity() -> [Property; 2] {
    IDENTITY.map(|attribute| Property::of(attribute).always())
}

/// Those of records of that kind in the old terms.
pub(crate) fn of_kind(kind: RecordKind) -> Vec<Property> {
    let mut attributes: Vec<_> = kind.attributes().to_vec();
    let mut besides = Vec::new();
    match kind {
        RecordKind::Flow => {
            for reported in [RecordKind::BiflowTport, RecordKind::BiflowApp] {
                attributes.extend(reported.attributes());
            }
            attributes.push(Attribute::Process);
            let about = "Nobody reported which connector it is; it is the only one of its service.";
            besides.push(Property::new("connectorInferred", Kind::Truth, about));
        }
        // As old as the oldest process that runs it, and gone with the last.
        RecordKind::Image => attributes.extend([Attribute::StartTime, Attribute::EndTime]),
        RecordKind::Site => {
            let about = "No source reported it; it follows from its routers.";
            besides.push(Property::new("inferred", Kind::Truth, about));
        }
        RecordKind::Link => {
            let about = "The link's own name; `name` is the `name` of the ROUTER at the other end.";
            besides.push(Property::new("linkName", Kind::Text, about));
        }
        RecordKind::Listener => {
            let about = "How many connections its router has counted since the collector knows it, and never reported.";
            besides.push(Property::new(NEVER_REPORTED, Kind::Number, about));
        }
        RecordKind::Router => {
            let about = "It has so many live flows that it reports no further ones.";
            besides.push(Property::new("flowsIncomplete", Kind::Truth, about));
        }
        _ => {}
    }
    if matches!(kind, RecordKind::Flow | RecordKind::Connector) {
        besides.push(Property::new("processName", Kind::Text, "The `name` of the PROCESS."));
    }
    if attributes.contains(&Attribute::StartTime) {
        attributes.push(Attribute::Duration);
        if kind != RecordKind::Image {
            besides.push(Property::new("incomplete", Kind::Truth, "Not all of it has been reported."));
        }
    }
    attributes.sort_unstable();
    attributes.dedup();
    identity().into_iter().chain(attributes.into_iter().map(Property::of)).chain(besides).collect()
}

/// Those of VAN_ADDRESS records.
pub(crate) fn of_address() -> Vec<Property> {
    let count = |name, about| Property::new(name, Kind::Number, about).always();
    let times = [Attribute::StartTime, Attribute::EndTime].map(Property::of);
    let others = [
        Property::new("name", Kind::Text, "The address.").always(),
        Property::new("protocols", Kind::Texts, "What listeners and connectors say is spoken there.")
            .always(),
        count("listenerCount", "Listeners there are now."),
        count("connectorCount", "Connectors there are now."),
        count("totalFlows", "Connections so far; a client-side flow and its counterflow count as one."),
        count("currentFlows", "Those of them that are open."),
    ];
    identity().into_iter().chain(times).chain(others).collect()
}
