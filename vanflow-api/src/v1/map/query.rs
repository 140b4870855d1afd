//! What is asked of the map.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use vanflow_store::Snapshot;

use super::{
    graph::Graph,
    scene::{Level, MOST_NODES},
};
use crate::{
    error::{ApiError, excerpt},
    params::Params,
    query::{document, media::Media, nearest, time::Time},
};

/// Which map, and in which form.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Query {
    pub(super) level: Level,
    /// Ids or names of sites, as they were given.
    open: Vec<String>,
    /// The id or address of a service, as it was given.
    service: Option<String>,
    /// None for now.
    pub(super) time: Option<Time>,
    pub(super) limit: usize,
    pub(super) form: Media,
}

/// What `format` calls the forms of a map.
const FORMS: [(&str, Media); 4] =
    [("json", Media::Json), ("svg", Media::Svg), ("dot", Media::Dot), ("mermaid", Media::Mermaid)];

/// The schema of the values of a parameter, where its form does not say it all.
pub(in crate::v1) fn parameter_described(name: &str) -> Option<Value> {
    match name {
        "level" => Some(json!({ "type": "string", "enum": Level::ALL.map(Level::name) })),
        "format" => Some(json!({ "type": "string", "enum": FORMS.map(|(name, _)| name) })),
        "limit" => Some(json!({ "type": "integer", "minimum": 1, "maximum": MOST_NODES })),
        "time" => Some(document::time()),
        _ => None,
    }
}

impl Query {
    /// Reads a query; `accepted` is the form that the client likes best.
    ///
    /// # Errors
    ///
    /// Where a value is none that it can have.
    pub(super) fn new(params: &Params<'_>, accepted: Media) -> Result<Self, ApiError> {
        let level = params.typed("level", "site, component or process", Level::named)?;
        let limit = params.typed("limit", "a whole number from 1 to 150", |text| {
            text.parse().ok().filter(|limit| (1..=MOST_NODES).contains(limit))
        })?;
        let expected = "json, svg, dot or mermaid";
        let form = params.typed("format", expected, |text| {
            FORMS.iter().find_map(|(name, form)| (*name == text).then_some(*form))
        })?;
        let time = match params.text("time") {
            None => None,
            Some(text) => Some(Time::parse(text).map_err(|expected| ApiError::Invalid {
                parameter: "time".to_owned(),
                value: excerpt(text),
                expected,
            })?),
        };
        let mut open: Vec<_> = params.texts("open").map(str::to_owned).collect();
        open.sort_unstable();
        open.dedup();
        Ok(Self {
            level: level.unwrap_or(Level::Component),
            open,
            service: params.text("service").map(str::to_owned),
            // Now is what is shown without it.
            time: time.filter(|time| *time != Time::Ago(0)),
            limit: limit.unwrap_or(MOST_NODES),
            form: form.unwrap_or(accepted),
        })
    }

    /// Whether what is asked for is another thing when time has passed.
    pub(super) fn is_moving(&self) -> bool {
        self.time.is_some_and(Time::is_moving)
    }

    /// The ids of the sites that are opened. One that has gone is not there to be opened, and no error.
    ///
    /// # Errors
    ///
    /// Where a site is named by what is neither an id nor the name of one.
    pub(super) fn sites(&self, graph: &Graph) -> Result<Vec<String>, ApiError> {
        let mut open = BTreeSet::new();
        for given in &self.open {
            let known: Vec<_> =
                graph.sites.iter().filter(|site| site.id == *given || site.name == *given).collect();
            if known.is_empty() && !looks_like_id(given) {
                let names = graph.sites.iter().map(|site| site.name.as_str());
                return Err(unknown("open", given, "the identity or name of a site", names));
            }
            open.extend(known.into_iter().map(|site| site.id.clone()));
        }
        Ok(open.into_iter().collect())
    }

    /// The address of the service that is asked for.
    ///
    /// # Errors
    ///
    /// Where there is none.
    pub(super) fn address(&self, snapshot: &Snapshot) -> Result<Option<String>, ApiError> {
        let Some(given) = &self.service else { return Ok(None) };
        let addresses: Vec<_> = snapshot.services().map(|service| service.address().to_string()).collect();
        let found =
            snapshot.services().find(|service| service.address() == **given || service.id() == **given);
        match found {
            Some(service) => Ok(Some(service.address().to_string())),
            None => Err(unknown(
                "service",
                given,
                "the address or identity of a service",
                addresses.iter().map(String::as_str),
            )),
        }
    }
}

/// Ids of sites are UUIDs: one that is not there any more is no mistake.
fn looks_like_id(text: &str) -> bool {
    text.len() == 36 && text.bytes().all(|octet| octet.is_ascii_hexdigit() || octet == b'-')
}

/// What to say of a name that nothing has.
fn unknown<'n>(parameter: &str, given: &str, what: &str, names: impl Iterator<Item = &'n str>) -> ApiError {
    let suggestion = nearest::suggestion(given, names);
    let suggestion = suggestion.trim_end();
    let expected = if suggestion.is_empty() { what.to_owned() } else { format!("{what}; {suggestion}") };
    ApiError::Invalid { parameter: parameter.to_owned(), value: excerpt(given), expected }
}
