//! What events and findings are about, and how bad they are.

use serde_json::{Value, json};
use vanflow_proto::{Attribute, RecordKind};
use vanflow_store::{Record, Service};

use crate::{
    json::{Json, Object},
    v1::table::object,
};

/// How bad something is: the worst comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Severity {
    /// Something does not work.
    Bad,
    /// Somebody should have a look.
    Warn,
    /// It cannot be said.
    Unknown,
    /// Something changed, which need not be wrong.
    Change,
    Fine,
}

impl Severity {
    /// All of them.
    pub(crate) const ALL: &'static [Self] = &[Self::Bad, Self::Warn, Self::Unknown, Self::Change, Self::Fine];

    /// Their names, the worst first.
    pub(crate) const NAMES: &'static [&'static str] = &["bad", "warn", "unknown", "change", "fine"];

    pub(crate) fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

/// What something is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Subject {
    pub(crate) subject_type: SubjectType,
    /// Its identity in `/api/v2alpha1`; that of a source is its own. Empty for the collector.
    pub(crate) id: String,
    /// What people call it: its name, or its id where that is not known.
    pub(crate) name: String,
}

/// What kind of thing something is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum SubjectType {
    Site,
    Router,
    Link,
    Listener,
    Connector,
    Service,
    Component,
    Process,
    Source,
    Collector,
}

impl SubjectType {
    /// All of them.
    pub(crate) const ALL: &'static [Self] = &[
        Self::Site,
        Self::Router,
        Self::Link,
        Self::Listener,
        Self::Connector,
        Self::Service,
        Self::Component,
        Self::Process,
        Self::Source,
        Self::Collector,
    ];

    /// Their names.
    pub(crate) const NAMES: &'static [&'static str] = &[
        "site",
        "router",
        "link",
        "listener",
        "connector",
        "service",
        "component",
        "process",
        "source",
        "collector",
    ];

    pub(crate) fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

impl Subject {
    /// The collector itself.
    pub(crate) fn collector() -> Self {
        Self { subject_type: SubjectType::Collector, id: String::new(), name: "collector".to_owned() }
    }

    pub(crate) fn service(service: Service<'_>) -> Self {
        Self {
            subject_type: SubjectType::Service,
            id: service.id().to_string(),
            name: service.address().to_string(),
        }
    }

    /// A record of a kind that something can be about.
    pub(crate) fn record(record: Record<'_>) -> Option<Self> {
        let subject_type = match record.kind()? {
            RecordKind::Site => SubjectType::Site,
            RecordKind::Router => SubjectType::Router,
            RecordKind::Link => SubjectType::Link,
            RecordKind::Listener => SubjectType::Listener,
            RecordKind::Connector => SubjectType::Connector,
            RecordKind::Process => SubjectType::Process,
            _ => return None,
        };
        let id = record.id().to_string();
        let name = record.text(Attribute::Name).filter(|name| *name != "");
        let name = name.map_or_else(|| id.clone(), |name| name.to_string());
        let name = match subject_type {
            SubjectType::Router => in_network(&name).to_owned(),
            _ => name,
        };
        Some(Self { subject_type, id, name })
    }

    pub(crate) fn render(&self, json: &mut Json) {
        let mut object = Object::open(json);
        object.string("type", self.subject_type.name());
        object.string("id", &self.id);
        object.string("name", &self.name);
        object.close();
    }

    /// Its schema in the OpenAPI document.
    pub(crate) fn described() -> Value {
        let text = |description: &str| json!({ "type": "string", "description": description });
        object(
            "What something is about.",
            [
                ("type", true, json!({ "type": "string", "enum": SubjectType::NAMES })),
                ("id", true, text("The identity that it has in `/api/v2alpha1`; empty for the collector.")),
                ("name", true, text("What people call it; its identity where no name is known.")),
            ],
        )
    }
}

/// The name of a router without the network before it: `west-1` of `0/west-1`.
pub(crate) fn in_network(name: &str) -> &str {
    name.split_once('/').map_or(name, |(_, id)| id)
}
