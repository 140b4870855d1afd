//! What is asked for.

use std::collections::HashSet;

use vanflow_proto::RecordKind;
use vanflow_store::{Record, Snapshot};

use crate::{
    error::{ApiError, excerpt},
    link::Routers,
    params::{Parameter, Params},
    query::{
        fields,
        filter::{Comparison, Condition, conditions},
        nearest::suggestion,
    },
    v1alpha1::{
        address::Address,
        list::carrier,
        render::{self, FAR, Face, Scene},
        row::Row,
        schema::{Property, properties},
    },
};

/// What a path lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Collection {
    Topology,
    Kind(RecordKind),
    VanAddrs,
    Addresses,
    Flows,
    Record,
    Records,
}

/// A collection, and what the parameters make of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    Topology,
    Kind(RecordKind),
    VanAddrs,
    Addresses,
    Flows {
        address: String,
    },
    /// In the order in which they were asked for, and to look them up.
    Record {
        ids: Vec<String>,
        wanted: HashSet<String>,
    },
    Records {
        type_code: Option<u32>,
    },
}

/// A whole query.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) selection: Selection,
    pub(crate) include_deleted: bool,
    pub(crate) limit: u64,
    pub(crate) offset: u64,
    /// Whether to go on after the list, where the client says so.
    pub(crate) watch: Option<bool>,
    filters: Vec<(&'static Property, Condition)>,
    /// The properties that items are shown with; none where all are.
    pub(crate) fields: Option<Vec<&'static str>>,
    /// The properties that there are.
    properties: &'static [Property],
}

/// The properties that a list can be filtered by: those of its items, but for names of parameters.
pub(crate) fn filters(collection: Collection, parameters: &[&Parameter]) -> Vec<&'static str> {
    let names = properties(collection).iter().map(|property| property.name);
    names.filter(|name| !parameters.iter().any(|parameter| parameter.name == *name)).collect()
}

impl Query {
    pub(crate) fn new(collection: Collection, params: &Params<'_>) -> Result<Self, ApiError> {
        let selection = match collection {
            Collection::Topology => Selection::Topology,
            Collection::Kind(kind) => Selection::Kind(kind),
            Collection::VanAddrs => Selection::VanAddrs,
            Collection::Addresses => Selection::Addresses,
            Collection::Flows => {
                Selection::Flows { address: params.text("vanaddr").unwrap_or_default().to_owned() }
            }
            Collection::Record => {
                let ids: Vec<_> = params.texts("id").filter(|id| !id.is_empty()).map(str::to_owned).collect();
                Selection::Record { wanted: ids.iter().cloned().collect(), ids }
            }
            Collection::Records => Selection::Records { type_code: type_code(params)? },
        };
        Ok(Self {
            selection,
            include_deleted: params.flag("includeDeleted")?.unwrap_or(false),
            limit: params.count("limit")?.unwrap_or(u64::MAX),
            offset: params.count("offset")?.unwrap_or(0),
            watch: params.flag("watch")?,
            filters: filters_of(params, properties(collection))?,
            fields: fields_of(params, collection)?,
            properties: properties(collection),
        })
    }

    /// The names of the columns of a table.
    pub(crate) fn columns(&self) -> Vec<&'static str> {
        match &self.fields {
            Some(fields) => fields.clone(),
            None => self.properties.iter().map(|property| property.name).collect(),
        }
    }

    /// Whether there are no filters, which only a look at the values of an item would tell about.
    pub(crate) fn admits_all(&self) -> bool {
        self.filters.is_empty()
    }

    /// Whether an item with these values passes the filters.
    pub(crate) fn admits_row(&self, row: &Row<'_>) -> bool {
        self.filters.iter().all(|(property, condition)| condition.admits(row.get(property.name), None))
    }

    /// Whether a record is among those asked for by being live, or by being asked for all the same.
    ///
    /// A line of a log starts and ends in the same moment; it is listed for as long as it is retained.
    pub(crate) fn admits(&self, record: Record<'_>) -> bool {
        self.include_deleted || record.is_live() || record.kind() == Some(RecordKind::Log)
    }
}

fn filters_of(
    params: &Params<'_>,
    properties: &'static [Property],
) -> Result<Vec<(&'static Property, Condition)>, ApiError> {
    let find = |name: &str| {
        let found = properties.iter().find(|property| property.name == name);
        Ok(found.expect("parameters are no filters unless a property has their name"))
    };
    conditions(params.filters(), Comparison::Whole, find, Property::filtered)
}

fn fields_of(params: &Params<'_>, collection: Collection) -> Result<Option<Vec<&'static str>>, ApiError> {
    let names = || properties(collection).iter().map(|property| property.name);
    let find = |name: &str| {
        names().find(|known| *known == name).ok_or_else(|| ApiError::Invalid {
            parameter: "fields".to_owned(),
            value: excerpt(name),
            expected: format!(
                "names of properties with commas between them; {}there are {}",
                suggestion(name, names()),
                names().collect::<Vec<_>>().join(", ")
            ),
        })
    };
    let Some(text) = params.text("fields") else { return Ok(None) };
    fields::chosen(text, find, |name| *name).map(Some)
}

fn type_code(params: &Params<'_>) -> Result<Option<u32>, ApiError> {
    let expected = || {
        let names: Vec<_> = RecordKind::ALL.iter().map(|kind| kind.name()).collect();
        format!("the number of a record type or one of {}", names.join(", "))
    };
    params.typed("rtype", expected(), |value| match RecordKind::from_name(&value.to_ascii_uppercase()) {
        Some(kind) => Some(kind.code()),
        None => value.bytes().all(|byte| byte.is_ascii_digit()).then(|| value.parse().ok()).flatten(),
    })
}

impl Selection {
    /// The faces of a record that are listed, if the record belongs here at all.
    pub(crate) fn faces<'s>(
        &self,
        scene: Scene<'s>,
        record: Record<'s>,
    ) -> impl Iterator<Item = Face> + use<'s, '_> {
        let faces = match self {
            Self::Records { .. } => &[Face::Reported],
            _ => render::faces(scene, record),
        };
        faces.iter().copied().filter(move |face| self.shows(record, *face))
    }

    /// The routers that links of the selection name; none where no links are in it.
    pub(crate) fn routers(&self, snapshot: &Snapshot) -> Routers {
        if self.shows_kind(RecordKind::Link) { Routers::new(snapshot) } else { Routers::default() }
    }

    /// Whether a face of a record is in it.
    pub(crate) fn shows(&self, record: Record<'_>, face: Face) -> bool {
        match self {
            Self::Topology => match record.kind() {
                Some(RecordKind::Link) => render::is_incoming(record, face),
                kind => kind == Some(RecordKind::Router),
            },
            Self::Record { wanted, .. } => {
                let mut id = record.id().to_cow();
                if face == Face::Far {
                    id.to_mut().push_str(FAR);
                }
                wanted.contains(&*id)
            }
            Self::Kind(kind) => record.kind() == Some(*kind),
            Self::Flows { .. } | Self::Records { .. } => true,
            Self::VanAddrs | Self::Addresses => false,
        }
    }

    /// Whether a record that changed belongs here. Records that a list finds on its own way do.
    pub(crate) fn includes(&self, record: Record<'_>) -> bool {
        match self {
            Self::Records { type_code: Some(code) } => record.type_code() == Some(*code),
            Self::Records { type_code: None } => !record.is_derived(),
            Self::Flows { address } => {
                record.kind().is_some_and(|kind| self.shows_kind(kind))
                    && carrier(record)
                        .and_then(|carrier| carrier.service())
                        .is_some_and(|service| service.address() == **address)
            }
            _ => record.kind().is_some_and(|kind| self.shows_kind(kind)),
        }
    }

    /// Whether records of a kind can be in here, shown in the old terms.
    pub(crate) fn shows_kind(&self, kind: RecordKind) -> bool {
        match self {
            Self::Topology => matches!(kind, RecordKind::Router | RecordKind::Link),
            Self::Kind(own) => kind == *own,
            Self::Flows { .. } => {
                kind.is_flow() || matches!(kind, RecordKind::Listener | RecordKind::Connector)
            }
            Self::Record { .. } => true,
            Self::VanAddrs | Self::Addresses | Self::Records { .. } => false,
        }
    }

    /// Whether VAN_ADDRESS records can be in here.
    pub(crate) fn has_addresses(&self) -> bool {
        match self {
            Self::VanAddrs | Self::Addresses => true,
            Self::Record { ids, .. } => ids.iter().any(|id| Address::has_id(id)),
            _ => false,
        }
    }

    pub(crate) fn includes_address(&self, address: &Address) -> bool {
        match self {
            Self::VanAddrs | Self::Addresses => true,
            Self::Record { wanted, .. } => wanted.contains(&address.id()),
            _ => false,
        }
    }
}
