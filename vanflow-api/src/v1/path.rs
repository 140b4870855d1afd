//! The ways that the traffic between two takes: the routers that connections name as passed, the links between those, and
//! what follows from links where a router does not name itself.

mod route;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use vanflow_proto::Attribute;
use vanflow_store::{Connection, Record, Snapshot};

use self::route::{Hop, Routes};
use crate::{
    error::{ApiError, excerpt},
    json::{Json, Object},
    query::nearest::suggestion,
    v1::{
        Question,
        subject::{Subject, SubjectType},
        table::object,
    },
    v2alpha1::{Flow, Needs, Party, View, processes},
};

/// Who traffic comes from, or what it goes to.
#[derive(Clone, Debug)]
struct Endpoint {
    subject: Subject,
    /// The site of a process.
    site: Option<(String, String)>,
}

/// What connections take the same way.
#[derive(Debug, Default)]
struct Way {
    connections: u64,
    open: u64,
    failed: u64,
    client_hosts: BTreeSet<String>,
    server_addresses: BTreeSet<String>,
    /// To the first octet, in microseconds: as the client's router saw it, what of that the network took, and what the
    /// workload did.
    latencies: [Vec<u64>; 3],
}

/// What tells ways apart: the server's process, and the routers by name.
type Key = (String, Vec<String>);

/// What is asked for, or what is wrong with it.
///
/// # Errors
///
/// Where `from` or `to` is missing, or names nothing, or several.
pub(super) fn render(question: &Question<'_>) -> Result<Json, ApiError> {
    let snapshot = &question.snapshot;
    let derived = question.derivations.of(snapshot, Needs { clients: true, ..Needs::default() });
    let view = View { snapshot, derived: &derived };
    let from = endpoint(view, "from", question.params.text("from").unwrap_or_default(), false)?;
    let to = endpoint(view, "to", question.params.text("to").unwrap_or_default(), true)?;
    let mut ways = BTreeMap::<Key, (Way, Endpoint)>::new();
    for lane in snapshot.lanes().filter(|lane| lane.retained() > 0) {
        let Some(flow) = Flow::of_lane(lane) else { continue };
        if !is_from(&from, &flow, view) || !is_to(&to, &flow, view) {
            continue;
        }
        let server = flow.destination(view).map_or_else(Endpoint::unknown, Endpoint::of_process);
        for connection in lane.connections().filter_map(Connection::new) {
            let flow = Flow::new(connection);
            let routers: Vec<_> =
                flow.trace(view).routers.into_iter().map(std::borrow::Cow::into_owned).collect();
            let key = (server.subject.id.clone(), routers);
            let (way, _) = ways.entry(key).or_insert_with(|| (Way::default(), server.clone()));
            way.add(&flow);
        }
    }
    let routes = Routes::new(view);
    let mut ways: Vec<_> = ways.into_iter().collect();
    ways.sort_by_key(|((server, routers), (way, _))| {
        (std::cmp::Reverse(way.connections), server.clone(), routers.clone())
    });
    let mut json = Json::default();
    let mut object = Object::open(&mut json);
    for (name, endpoint) in [("from", &from), ("to", &to)] {
        object.name(name);
        endpoint.subject.render(object.json);
    }
    object.uint("connections", ways.iter().map(|(_, (way, _))| way.connections).sum());
    object.name("paths");
    object.json.raw("[");
    for (position, ((_, routers), (way, server))) in ways.iter_mut().enumerate() {
        if position > 0 {
            object.json.raw(",");
        }
        way.render(object.json, &from, server, &routes.between(routers));
    }
    object.json.raw("]");
    object.close();
    json.raw("\n");
    Ok(json)
}

impl Endpoint {
    fn of_process(party: &Party<'_>) -> Self {
        let (id, name) = (party.id().into_owned(), party.name().into_owned());
        Self {
            subject: Subject { subject_type: SubjectType::Process, id, name },
            site: Some((party.site_id().into_owned(), party.site_name().into_owned())),
        }
    }

    fn unknown() -> Self {
        let subject =
            Subject { subject_type: SubjectType::Process, id: String::new(), name: "unknown".to_owned() };
        Self { subject, site: None }
    }
}

impl Way {
    fn add(&mut self, flow: &Flow<'_>) {
        let connection = &flow.connection;
        self.connections += 1;
        self.open += u64::from(connection.is_live());
        let has_failed =
            connection.error_listener_side().is_some() || connection.error_connector_side().is_some();
        self.failed += u64::from(has_failed);
        self.client_hosts.extend(connection.source_host().map(|host| host.to_string()));
        self.server_addresses.extend(flow.connector().and_then(address));
        let (whole, workload) = (connection.latency(), connection.process_latency());
        self.latencies[0].extend(whole);
        if let Some((whole, workload)) = whole.zip(workload) {
            self.latencies[1].push(whole.saturating_sub(workload));
            self.latencies[2].push(workload);
        }
    }

    fn render(&mut self, json: &mut Json, from: &Endpoint, server: &Endpoint, hops: &[Hop]) {
        let mut object = Object::open(json);
        object.uint("connections", self.connections);
        object.uint("openConnections", self.open);
        object.uint("failed", self.failed);
        let costs = hops.iter().filter(|hop| hop.is_link).map(|hop| hop.cost);
        if let Some(cost) = costs.sum::<Option<u64>>() {
            object.uint("cost", cost);
        }
        if hops.iter().any(|hop| hop.is_inferred) {
            object.name("inferred");
            object.json.raw("true");
        }
        object.name("hops");
        object.json.raw("[");
        end(object.json, "client", from, &self.client_hosts);
        for hop in hops {
            object.json.raw(",");
            hop.render(object.json);
        }
        object.json.raw(",");
        end(object.json, "server", server, &self.server_addresses);
        object.json.raw("]");
        self.latencies.iter_mut().for_each(|values| values.sort_unstable());
        let [whole, network, workload] = &self.latencies;
        let known = [
            ("p50", whole, 50),
            ("p95", whole, 95),
            ("networkP50", network, 50),
            ("workloadP50", workload, 50),
        ];
        if !whole.is_empty() {
            object.name("latency");
            let mut latency = Object::open(object.json);
            for (name, values, percent) in known {
                if let Some(value) = percentile(values, percent) {
                    latency.uint(name, value);
                }
            }
            latency.close();
        }
        object.close();
    }
}

/// Of values in ascending order.
fn percentile(values: &[u64], percent: usize) -> Option<u64> {
    values.get((values.len() * percent).div_ceil(100).checked_sub(1)?).copied()
}

fn end(json: &mut Json, kind: &str, endpoint: &Endpoint, addresses: &BTreeSet<String>) {
    let mut object = Object::open(json);
    object.string("type", kind);
    object.string("id", &endpoint.subject.id);
    object.string("name", &endpoint.subject.name);
    if let Some((id, name)) = &endpoint.site {
        object.string("siteId", id);
        object.string("siteName", name);
    }
    // Of several none is that of the way.
    if let (Some(address), 1) = (addresses.first(), addresses.len()) {
        object.string("address", address);
    }
    object.close();
}

fn address(connector: Record<'_>) -> Option<String> {
    let host = connector.text(Attribute::DestHost)?;
    Some(match connector.text(Attribute::DestPort) {
        Some(port) => format!("{host}:{port}"),
        None => host.to_string(),
    })
}

fn is_from<'v>(from: &Endpoint, flow: &Flow<'v>, view: View<'v>) -> bool {
    let id = from.subject.id.as_str();
    match from.subject.subject_type {
        SubjectType::Site => flow.source_site_id() == id,
        SubjectType::Component => flow.source(view).is_some_and(|source| source.component_id() == id),
        _ => flow.source(view).is_some_and(|source| source.id() == id),
    }
}

fn is_to<'v>(to: &Endpoint, flow: &Flow<'v>, view: View<'v>) -> bool {
    let id = to.subject.id.as_str();
    match to.subject.subject_type {
        SubjectType::Service => flow.connection.service().is_some_and(|service| service.id() == *id),
        SubjectType::Component => flow.destination(view).is_some_and(|server| server.component_id() == id),
        _ => flow.destination(view).is_some_and(|server| server.id() == id),
    }
}

/// What is named by an identity, a name or an address. What lives goes before what has ended.
fn endpoint(
    view: View<'_>,
    parameter: &'static str,
    given: &str,
    is_destination: bool,
) -> Result<Endpoint, ApiError> {
    let found = candidates(view, is_destination);
    let by_id = found.iter().find(|(endpoint, _)| endpoint.subject.id == given);
    if let Some((endpoint, _)) = by_id {
        return Ok(endpoint.clone());
    }
    let named = |is_live: bool, subject_type: SubjectType| -> Vec<&Endpoint> {
        let is_it = |(endpoint, live): &&(Endpoint, bool)| {
            *live == is_live
                && endpoint.subject.subject_type == subject_type
                && endpoint.subject.name == given
        };
        found.iter().filter(is_it).map(|(endpoint, _)| endpoint).collect()
    };
    // A name that things of several kinds have is that of the first of these.
    const KINDS: [SubjectType; 4] =
        [SubjectType::Service, SubjectType::Process, SubjectType::Component, SubjectType::Site];
    let named = [true, false].into_iter().flat_map(|is_live| KINDS.map(|kind| named(is_live, kind)));
    let named = named.into_iter().find(|named| !named.is_empty()).unwrap_or_default();
    let what = match is_destination {
        true => "the identity or address of a service, or the identity or name of a process or component",
        false => "the identity or name of a process, a component or a site",
    };
    let wrong =
        |expected| ApiError::Invalid { parameter: parameter.to_owned(), value: excerpt(given), expected };
    match named[..] {
        [only] => Ok(only.clone()),
        [] => {
            let near = suggestion(given, found.iter().map(|(endpoint, _)| endpoint.subject.name.as_str()));
            let near = near.trim_end();
            Err(wrong(if near.is_empty() { what.to_owned() } else { format!("{what}; {near}") }))
        }
        [..] => {
            let ids: Vec<_> = named.iter().map(|named| named.subject.id.as_str()).collect();
            Err(wrong(format!("{what}; several have that name: {}", ids.join(", "))))
        }
    }
}

/// All that there is, with whether it lives.
fn candidates(view: View<'_>, is_destination: bool) -> Vec<(Endpoint, bool)> {
    let snapshot: &Snapshot = view.snapshot;
    let mut found = Vec::new();
    let plain = |subject_type, id: String, name: String| Endpoint {
        subject: Subject { subject_type, id, name },
        site: None,
    };
    if is_destination {
        for service in snapshot.services() {
            let (id, address) = (service.id().to_string(), service.address().to_string());
            found.push((plain(SubjectType::Service, id, address), service.is_live()));
        }
    } else {
        for site in snapshot.of_kind(vanflow_proto::RecordKind::Site) {
            let id = site.id().to_string();
            let name = site.text(Attribute::Name).map_or_else(|| id.clone(), |name| name.to_string());
            let mut endpoint = plain(SubjectType::Site, id.clone(), name.clone());
            endpoint.site = Some((id, name));
            found.push((endpoint, site.is_live()));
        }
    }
    let mut components = BTreeMap::<String, (String, bool)>::new();
    for party in processes(view) {
        let is_live = party.end().is_none();
        components.entry(party.component_id()).or_insert_with(|| (party.group().into_owned(), false)).1 |=
            is_live;
        found.push((Endpoint::of_process(&party), is_live));
    }
    found.extend(
        components
            .into_iter()
            .map(|(id, (name, is_live))| (plain(SubjectType::Component, id, name), is_live)),
    );
    found
}

/// Its schema in the OpenAPI document.
pub(super) fn described() -> Value {
    let (text, count) = (json!({ "type": "string" }), json!({ "type": "integer", "minimum": 0 }));
    let truth = json!({ "type": "boolean" });
    let hop = object(
        "What traffic passes.",
        [
            ("type", true, json!({ "type": "string", "enum": ["client", "router", "link", "server"] })),
            ("id", true, text.clone()),
            ("name", true, text.clone()),
            ("siteId", false, text.clone()),
            ("siteName", false, text.clone()),
            ("address", false, text),
            ("cost", false, count.clone()),
            ("inferred", false, truth.clone()),
        ],
    );
    let micros = || json!({ "type": "integer", "minimum": 0, "description": "In microseconds." });
    let latency = object(
        "The time to the first octet, and what of it network and workload took.",
        [
            ("p50", false, micros()),
            ("p95", false, micros()),
            ("networkP50", false, micros()),
            ("workloadP50", false, micros()),
        ],
    );
    let way = object(
        "A way that connections take.",
        [
            ("connections", true, count.clone()),
            ("openConnections", true, count.clone()),
            ("failed", true, count.clone()),
            ("cost", false, count.clone()),
            ("inferred", false, truth),
            ("hops", true, json!({ "type": "array", "items": hop })),
            ("latency", false, latency),
        ],
    );
    let subject = json!({ "$ref": "#/components/schemas/Subject" });
    object(
        "The ways that the traffic between two takes, the one that is used most first.",
        [
            ("from", true, subject.clone()),
            ("to", true, subject),
            ("connections", true, count),
            ("paths", true, json!({ "type": "array", "items": way })),
        ],
    )
}
