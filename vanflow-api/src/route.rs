//! The route table: every path, once.
//!
//! Dispatch, the checks of parameters, the index, the text of a 404 and the OpenAPI document all derive from it.

use vanflow_history::QueryKind;
use vanflow_proto::RecordKind;

use crate::{
    params::{Form, Parameter},
    swagger::Asset,
    v1,
    v1alpha1::Collection,
    v2alpha1,
};

/// A path and what is there.
#[derive(Debug)]
pub(crate) struct Route {
    /// The path, without a slash at its end. `{id}` in it stands for the identity of something.
    pub(crate) path: &'static str,
    pub(crate) endpoint: Endpoint,
    /// What the answer is, in one line.
    pub(crate) summary: &'static str,
    pub(crate) parameters: &'static [&'static Parameter],
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// The page that lists what there is.
    Index,
    /// Whether the process is alive.
    Alive,
    /// Whether it can answer.
    Ready,
    /// What Prometheus scrapes.
    Metrics,
    /// The OpenAPI document of the original API.
    OpenApi,
    /// A list of the original API.
    V1alpha1(Collection),
    /// A resource of this collector's own API.
    V1(v1::Resource),
    /// The OpenAPI document of everything.
    WholeOpenApi,
    /// A list of the network observer's API.
    List(v2alpha1::Collection),
    /// One of them.
    Single(v2alpha1::Collection),
    /// Those that belong to a site.
    OfSite(v2alpha1::Collection),
    /// Those that belong to a service.
    OfService(v2alpha1::Collection),
    /// What the network observer had and has no more.
    Gone,
    /// Who uses the console.
    User,
    /// The end of that.
    Logout,
    /// What a chart asks of the history of metrics, or a client that draws some.
    Chart(QueryKind<'static>),
    /// What metrics mean, as Prometheus says it.
    Metadata,
    /// Which Prometheus answers are like.
    BuildInfo,
    /// The OpenAPI document of everything, where the network observer has its own.
    Yaml,
    /// A page to read that in, and its parts.
    Swagger(Asset),
}

/// Where the original API lives.
pub(crate) const V1ALPHA1: &str = "/api/v1alpha1/";

/// Where this collector's own API lives.
pub(crate) const V1: &str = "/api/v1/";

/// Where the network observer's API lives.
pub(crate) const V2ALPHA1: &str = "/api/v2alpha1/";

/// Where the metrics' history answers as Prometheus does: `/api/v1/query` and the rest are below it.
pub(crate) const PROMETHEUS: &str = "/prometheus/";

/// The route that a path leads to, and the identity in the path as it is there. A slash at its end makes no
/// difference.
pub(crate) fn find(path: &str) -> Option<(&'static Route, Option<&str>)> {
    let trimmed = path.trim_end_matches('/');
    ROUTES.iter().find_map(|route| match route.path.split_once(ID) {
        None => (route.path == trimmed).then_some((route, None)),
        Some((before, after)) => {
            let id = trimmed.strip_prefix(before)?.strip_suffix(after)?;
            (!id.is_empty() && !id.contains('/')).then_some((route, Some(id)))
        }
    })
}

/// The chart that a path is for.
pub(crate) fn chart(path: &str) -> Option<QueryKind<'_>> {
    find(path).and_then(chart_of)
}

/// The chart that a route is for, with the identity in its path.
pub(crate) fn chart_of<'p>((route, name): (&'static Route, Option<&'p str>)) -> Option<QueryKind<'p>> {
    match route.endpoint {
        Endpoint::Chart(QueryKind::LabelValues(_)) => name.map(QueryKind::LabelValues),
        Endpoint::Chart(kind) => Some(kind),
        _ => None,
    }
}

/// Whether a path is not for others to use: everything here, and all that looks like an API.
pub(crate) fn is_ours(path: &str) -> bool {
    let first = path.split('/').find(|name| !name.is_empty());
    first == Some("api") || find(path).is_some()
}

/// What stands for an identity in the path of a route.
pub(crate) const ID: &str = "{id}";

/// Whether a route is for those who watch over the collector.
pub(crate) fn is_for_monitors(route: &Route) -> bool {
    matches!(route.endpoint, Endpoint::Metrics | Endpoint::Alive | Endpoint::Ready)
}

/// What to say to somebody who took a path that leads nowhere, of the routes that are served.
pub(crate) fn known(is_served: &dyn Fn(&Route) -> bool) -> String {
    let [mut own, mut first, mut second, mut others] = [const { String::new() }; 4];
    for route in ROUTES.iter().filter(|route| is_served(route)) {
        let (names, prefix) = match route.endpoint {
            Endpoint::V1alpha1(_) => (&mut first, V1ALPHA1),
            Endpoint::V1(_) => (&mut own, V1),
            Endpoint::List(_) => (&mut second, V2ALPHA1),
            // They are reported with their lists.
            _ if route.path.starts_with(V2ALPHA1) => continue,
            // A client needs its base alone.
            _ if route.path.starts_with(PROMETHEUS) => continue,
            // Nobody would look for its parts.
            Endpoint::Yaml => continue,
            Endpoint::Swagger(asset) if asset != Asset::Page => continue,
            _ => (&mut others, ""),
        };
        if !names.is_empty() {
            names.push_str(", ");
        }
        names.push_str(route.path.trim_start_matches(prefix));
    }
    if first.is_empty() && second.is_empty() {
        return format!("there are {others}");
    }
    format!(
        "under {V1} there are {own}; under {V1ALPHA1} there are {first}; under {V2ALPHA1} there are {second}, each with an identity after it for \
         one of them; besides there are {others}"
    )
}

static MAP_LEVEL: Parameter = Parameter {
    name: "level",
    form: Form::Text,
    required: None,
    description: "How deep sites are shown: `site`, `component` (the default) or `process`.",
};
static MAP_OPEN: Parameter = Parameter {
    name: "open",
    form: Form::Identities,
    required: None,
    description: "The identity or name of a site that is shown one level deeper; can be given several times.",
};
static MAP_SERVICE: Parameter = Parameter {
    name: "service",
    form: Form::Text,
    required: None,
    description: "The address or identity of the service whose traffic alone is shown.",
};
static MAP_TIME: Parameter = Parameter {
    name: "time",
    form: Form::Text,
    required: None,
    description: "The moment that is shown, now by default: microseconds since the epoch, a time as in 2026-11-26T03:14:00Z, or one before now as in -15m.",
};
static MAP_LIMIT: Parameter = Parameter {
    name: "limit",
    form: Form::Count,
    required: None,
    description: "So many nodes at most, from 1 to 150 (the default); the others are shown as one in each area, but for what has trouble.",
};
static MAP_FORMAT: Parameter = Parameter {
    name: "format",
    form: Form::Text,
    required: None,
    description: "`json`, `svg`, `dot` or `mermaid`, whatever `Accept` says.",
};
static PATH_FROM: Parameter = Parameter {
    name: "from",
    form: Form::Identities,
    required: Some("name a process, a component or a site, by its identity or name"),
    description: "Where traffic comes from: the identity or name of a process, a component or a site.",
};
static PATH_TO: Parameter = Parameter {
    name: "to",
    form: Form::Identities,
    required: Some(
        "name a service by its address or identity, or a process or component by its identity or name",
    ),
    description: "Where it goes: the address or identity of a service, or the identity or name of a process or component.",
};
static INCLUDE_DELETED: Parameter = Parameter {
    name: "includeDeleted",
    form: Form::Flag,
    required: None,
    description: "With 1, records that have ended come along for as long as they are retained.",
};
static LIMIT: Parameter = Parameter {
    name: "limit",
    form: Form::Count,
    required: None,
    description: "How many items the list has at most. There is no limit unless one is asked for. What a watch reports after its list is not limited.",
};
static OFFSET: Parameter = Parameter {
    name: "offset",
    form: Form::Count,
    required: None,
    description: "How many items to pass over first.",
};
static FIELDS: Parameter = Parameter {
    name: "fields",
    form: Form::Fields,
    required: None,
    description: "The properties that items are shown with, with commas between them; all where it is not given. In CSV they are the columns, in that order.",
};
static WATCH: Parameter = Parameter {
    name: "watch",
    form: Form::Flag,
    required: None,
    description: "With 1, the list is followed by one JSON object per line for each record that changes or ends, until the client leaves. With `Accept: text/event-stream` they are server-sent events, `list` and `record`; a watch that goes on with `Last-Event-ID` learns what it missed, or the list again where that is not known any more. A record that has changed is reported if it passes the filters then.",
};
static VANADDR: Parameter = Parameter {
    name: "vanaddr",
    form: Form::Text,
    required: Some("name an address, as in flows?vanaddr=echo:7; /api/v1alpha1/vanaddrs lists them"),
    description: "The address of a service. An address that nobody uses has an empty list.",
};
static RECORD_ID: Parameter = Parameter {
    name: "id",
    form: Form::Identities,
    required: Some("name one record or several, as in record?id=gv_ZW:0&id=gv_ZW:7"),
    description: "The identity of a record. A `+` in it is a plus sign. Identities that no record has are passed over.",
};
static RTYPE: Parameter = Parameter {
    name: "rtype",
    form: Form::RecordType,
    required: None,
    description: "The type of the records, by its name or by its number on the wire. Without it the records of all types are listed.",
};

static LIST: &[&Parameter] = &[&INCLUDE_DELETED, &LIMIT, &OFFSET, &FIELDS, &WATCH];

const fn list(path: &'static str, kind: RecordKind, summary: &'static str) -> Route {
    Route { path, endpoint: Endpoint::V1alpha1(Collection::Kind(kind)), summary, parameters: LIST }
}

/// A route of the network observer's API, which reads parameters in its own way.
const fn v2(path: &'static str, endpoint: Endpoint, summary: &'static str) -> Route {
    Route { path, endpoint, summary, parameters: &[] }
}

/// A route of this collector's own API.
const fn v1(
    path: &'static str,
    resource: v1::Resource,
    summary: &'static str,
    parameters: &'static [&'static Parameter],
) -> Route {
    Route { path, endpoint: Endpoint::V1(resource), summary, parameters }
}

/// A route that has no parameters.
const fn other(path: &'static str, endpoint: Endpoint, summary: &'static str) -> Route {
    Route { path, endpoint, summary, parameters: &[] }
}

/// Every route.
pub(crate) static ROUTES: &[Route] = &[
    v1(
        "/api/v1/verdict",
        v1::Resource::Verdict,
        "Whether what is seen is complete, and if not, why; and what is wrong in the network",
        &[],
    ),
    v1(
        "/api/v1/sources",
        v1::Resource::Sources,
        "The sources of records: what each is, and whether all that it has is here",
        &[],
    ),
    v1(
        "/api/v1/network-status",
        v1::Resource::NetworkStatus,
        "The network in one document: sites with their routers, links, listeners and connectors, and addresses",
        &[],
    ),
    v1(
        "/api/v1/events",
        v1::Resource::Events,
        "What happened on the network, the latest first",
        v1::events::PARAMETERS,
    ),
    v1(
        "/api/v1/stream",
        v1::Resource::Stream,
        "Several answers in one stream of events, each sent again whenever it changes",
        &[],
    ),
    v1(
        "/api/v1/map",
        v1::Resource::Map,
        "The map: sites as areas, what is in them, and what goes between, with places, rates, errors and latencies",
        &[&MAP_LEVEL, &MAP_OPEN, &MAP_SERVICE, &MAP_TIME, &MAP_LIMIT, &MAP_FORMAT],
    ),
    v1(
        "/api/v1/path",
        v1::Resource::Path,
        "The ways that the traffic between two takes: routers and links, with cost and latency",
        &[&PATH_FROM, &PATH_TO],
    ),
    Route {
        path: "/api/v1alpha1/topology",
        endpoint: Endpoint::V1alpha1(Collection::Topology),
        summary: "The ROUTER records, and the LINK records whose direction is `incoming`",
        parameters: LIST,
    },
    list(
        "/api/v1alpha1/links",
        RecordKind::Link,
        "The LINK records: one from the perspective of each of the two routers",
    ),
    list("/api/v1alpha1/routers", RecordKind::Router, "The ROUTER records"),
    list("/api/v1alpha1/sites", RecordKind::Site, "The SITE records"),
    list("/api/v1alpha1/processes", RecordKind::Process, "The PROCESS records"),
    list("/api/v1alpha1/images", RecordKind::Image, "The IMAGE records: the images that processes run"),
    list(
        "/api/v1alpha1/listeners",
        RecordKind::Listener,
        "The LISTENER records: where routers accept connections of clients",
    ),
    list(
        "/api/v1alpha1/connectors",
        RecordKind::Connector,
        "The CONNECTOR records: where routers connect to workloads",
    ),
    Route {
        path: "/api/v1alpha1/vanaddrs",
        endpoint: Endpoint::V1alpha1(Collection::VanAddrs),
        summary: "The addresses of the services that are exposed in the network: those with a listener or a connector",
        // They are texts, and have no fields.
        parameters: &[&INCLUDE_DELETED, &LIMIT, &OFFSET, &WATCH],
    },
    Route {
        path: "/api/v1alpha1/addresses",
        endpoint: Endpoint::V1alpha1(Collection::Addresses),
        summary: "The VAN_ADDRESS records: one for each address of a service",
        parameters: LIST,
    },
    Route {
        path: "/api/v1alpha1/flows",
        endpoint: Endpoint::V1alpha1(Collection::Flows),
        summary: "The LISTENER, CONNECTOR and FLOW records of a service",
        parameters: &[&VANADDR, &INCLUDE_DELETED, &LIMIT, &OFFSET, &FIELDS, &WATCH],
    },
    Route {
        path: "/api/v1alpha1/record",
        endpoint: Endpoint::V1alpha1(Collection::Record),
        summary: "The records with the given identities, those of them that exist",
        parameters: &[&RECORD_ID, &INCLUDE_DELETED, &LIMIT, &OFFSET, &FIELDS, &WATCH],
    },
    Route {
        path: "/api/v1alpha1/records",
        endpoint: Endpoint::V1alpha1(Collection::Records),
        summary: "The records as they were reported and merged, attributes untouched",
        parameters: &[&RTYPE, &INCLUDE_DELETED, &LIMIT, &OFFSET, &FIELDS, &WATCH],
    },
    list("/api/v1alpha1/logs", RecordKind::Log, "The LOG records: lines of the routers' logs"),
    list("/api/v1alpha1/hosts", RecordKind::Host, "The HOST records"),
    list("/api/v1alpha1/processgroups", RecordKind::ProcessGroup, "The PROCESS_GROUP records"),
    list("/api/v1alpha1/controllers", RecordKind::Controller, "The CONTROLLER records"),
    list(
        "/api/v1alpha1/routeraccess",
        RecordKind::RouterAccess,
        "The ROUTER_ACCESS records: where routers accept links of other routers",
    ),
    Route {
        path: "/api/v1alpha1/openapi.json",
        endpoint: Endpoint::OpenApi,
        summary: "This API as an OpenAPI 3.1 document",
        parameters: &[],
    },
    v2("/api/v2alpha1/sites", Endpoint::List(v2alpha1::Collection::Sites), "The sites"),
    v2("/api/v2alpha1/sites/{id}", Endpoint::Single(v2alpha1::Collection::Sites), "One site"),
    v2("/api/v2alpha1/routers", Endpoint::List(v2alpha1::Collection::Routers), "The routers"),
    v2("/api/v2alpha1/routers/{id}", Endpoint::Single(v2alpha1::Collection::Routers), "One router"),
    v2(
        "/api/v2alpha1/routerlinks",
        Endpoint::List(v2alpha1::Collection::RouterLinks),
        "The links between routers",
    ),
    v2("/api/v2alpha1/routerlinks/{id}", Endpoint::Single(v2alpha1::Collection::RouterLinks), "One link"),
    v2(
        "/api/v2alpha1/routeraccess",
        Endpoint::List(v2alpha1::Collection::RouterAccess),
        "The places where routers accept links",
    ),
    v2(
        "/api/v2alpha1/routeraccess/{id}",
        Endpoint::Single(v2alpha1::Collection::RouterAccess),
        "One place where a router accepts links",
    ),
    v2("/api/v2alpha1/listeners", Endpoint::List(v2alpha1::Collection::Listeners), "The listeners"),
    v2("/api/v2alpha1/listeners/{id}", Endpoint::Single(v2alpha1::Collection::Listeners), "One listener"),
    v2("/api/v2alpha1/connectors", Endpoint::List(v2alpha1::Collection::Connectors), "The connectors"),
    v2("/api/v2alpha1/connectors/{id}", Endpoint::Single(v2alpha1::Collection::Connectors), "One connector"),
    v2("/api/v2alpha1/services", Endpoint::List(v2alpha1::Collection::Services), "The services"),
    v2("/api/v2alpha1/services/{id}", Endpoint::Single(v2alpha1::Collection::Services), "One service"),
    v2("/api/v2alpha1/components", Endpoint::List(v2alpha1::Collection::Components), "The components"),
    v2("/api/v2alpha1/components/{id}", Endpoint::Single(v2alpha1::Collection::Components), "One component"),
    v2("/api/v2alpha1/processes", Endpoint::List(v2alpha1::Collection::Processes), "The processes"),
    v2("/api/v2alpha1/processes/{id}", Endpoint::Single(v2alpha1::Collection::Processes), "One process"),
    v2(
        "/api/v2alpha1/sitepairs",
        Endpoint::List(v2alpha1::Collection::SitePairs),
        "The pairs of sites with traffic",
    ),
    v2(
        "/api/v2alpha1/sitepairs/{id}",
        Endpoint::Single(v2alpha1::Collection::SitePairs),
        "One pair of sites",
    ),
    v2(
        "/api/v2alpha1/componentpairs",
        Endpoint::List(v2alpha1::Collection::ComponentPairs),
        "The pairs of components with traffic",
    ),
    v2(
        "/api/v2alpha1/componentpairs/{id}",
        Endpoint::Single(v2alpha1::Collection::ComponentPairs),
        "One pair of components",
    ),
    v2(
        "/api/v2alpha1/processpairs",
        Endpoint::List(v2alpha1::Collection::ProcessPairs),
        "The pairs of processes with traffic",
    ),
    v2(
        "/api/v2alpha1/processpairs/{id}",
        Endpoint::Single(v2alpha1::Collection::ProcessPairs),
        "One pair of processes",
    ),
    v2("/api/v2alpha1/connections", Endpoint::List(v2alpha1::Collection::Connections), "The connections"),
    v2(
        "/api/v2alpha1/connections/{id}",
        Endpoint::Single(v2alpha1::Collection::Connections),
        "One connection",
    ),
    v2(
        "/api/v2alpha1/applicationflows",
        Endpoint::List(v2alpha1::Collection::ApplicationFlows),
        "The requests",
    ),
    v2(
        "/api/v2alpha1/applicationflows/{id}",
        Endpoint::Single(v2alpha1::Collection::ApplicationFlows),
        "One request",
    ),
    v2(
        "/api/v2alpha1/sites/{id}/processes",
        Endpoint::OfSite(v2alpha1::Collection::Processes),
        "The processes of a site",
    ),
    v2(
        "/api/v2alpha1/sites/{id}/routers",
        Endpoint::OfSite(v2alpha1::Collection::Routers),
        "The routers of a site",
    ),
    v2(
        "/api/v2alpha1/services/{id}/processes",
        Endpoint::OfService(v2alpha1::Collection::Processes),
        "The processes that serve a service",
    ),
    v2(
        "/api/v2alpha1/services/{id}/processpairs",
        Endpoint::OfService(v2alpha1::Collection::ProcessPairs),
        "The pairs of processes with traffic through a service",
    ),
    v2(
        "/api/v2alpha1/services/{id}/connections",
        Endpoint::OfService(v2alpha1::Collection::Connections),
        "The connections to a service",
    ),
    v2("/api/v2alpha1/hosts", Endpoint::Gone, "Nothing any more: hosts are not reported"),
    v2("/api/v2alpha1/hosts/{id}", Endpoint::Gone, "Nothing any more: hosts are not reported"),
    v2("/api/v2alpha1/sites/{id}/hosts", Endpoint::Gone, "Nothing any more: hosts are not reported"),
    v2(
        "/api/v2alpha1/user",
        Endpoint::User,
        "Who uses the console, as a proxy for OAuth in front of it says",
    ),
    v2("/api/v2alpha1/logout", Endpoint::Logout, "Takes the cookie of that proxy back"),
    v2(
        "/api/v2alpha1/internal/prom/query",
        Endpoint::Chart(QueryKind::Instant),
        "What a chart asks: PromQL, at one time",
    ),
    v2(
        "/api/v2alpha1/internal/prom/query_range",
        Endpoint::Chart(QueryKind::Range),
        "What a chart asks: PromQL, over a range of time",
    ),
    v2(
        "/api/v2alpha1/internal/prom/rangequery",
        Endpoint::Chart(QueryKind::Range),
        "The same under its other name",
    ),
    other(
        "/prometheus/api/v1/query",
        Endpoint::Chart(QueryKind::Instant),
        "PromQL at one time, for clients of Prometheus",
    ),
    other(
        "/prometheus/api/v1/query_range",
        Endpoint::Chart(QueryKind::Range),
        "PromQL over a range of time, for clients of Prometheus",
    ),
    other(
        "/prometheus/api/v1/labels",
        Endpoint::Chart(QueryKind::Labels),
        "The names of the labels of series",
    ),
    other(
        "/prometheus/api/v1/label/{id}/values",
        // Its name is in the path.
        Endpoint::Chart(QueryKind::LabelValues("")),
        "The values of a label",
    ),
    other("/prometheus/api/v1/series", Endpoint::Chart(QueryKind::Series), "The labels of series"),
    other("/prometheus/api/v1/metadata", Endpoint::Metadata, "The type and the meaning of each metric"),
    other(
        "/prometheus/api/v1/status/buildinfo",
        Endpoint::BuildInfo,
        "The version of Prometheus whose rules are followed",
    ),
    other("/swagger", Endpoint::Swagger(Asset::Page), "All APIs on a page to read, and to try them"),
    Route {
        path: "/openapi.json",
        endpoint: Endpoint::WholeOpenApi,
        summary: "All APIs as an OpenAPI 3.1 document",
        parameters: &[],
    },
    other("/swagger/openapi.yaml", Endpoint::Yaml, "The same document: what is JSON is YAML"),
    other("/swagger/start.js", Endpoint::Swagger(Asset::Start), "A part of that page"),
    other("/swagger/swagger-ui-bundle.js", Endpoint::Swagger(Asset::Script), "A part of that page"),
    other("/swagger/swagger-ui.css", Endpoint::Swagger(Asset::Style), "A part of that page"),
    other("/swagger/favicon-32x32.png", Endpoint::Swagger(Asset::Icon), "A part of that page"),
    Route {
        path: "/metrics",
        endpoint: Endpoint::Metrics,
        summary: "Metrics of the network and of the collector, for Prometheus",
        parameters: &[],
    },
    Route {
        path: "/healthz",
        endpoint: Endpoint::Alive,
        summary: "Whether the collector is alive",
        parameters: &[],
    },
    Route {
        path: "/readyz",
        endpoint: Endpoint::Ready,
        summary: "Whether the collector can answer: it has received the network once",
        parameters: &[],
    },
    Route { path: "/api", endpoint: Endpoint::Index, summary: "What there is here", parameters: &[] },
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_path_leads_to_its_own_route_with_and_without_a_slash() {
        let mut paths = HashSet::new();
        for route in ROUTES {
            assert!(paths.insert(route.path), "{} is there twice", route.path);
            let path = route.path.replace(ID, "o+bK6:1");
            for path in [path.clone(), format!("{path}/")] {
                let (found, id) = find(&path).expect("a route");
                assert_eq!(found.path, route.path);
                assert_eq!(id, route.path.contains(ID).then_some("o+bK6:1"));
            }
        }
        for path in [
            "",
            "/",
            "/api/v1alpha1",
            "/api/v1alpha1/link",
            "/api/v1alpha1/links/x",
            "/api/v2alpha1/sites//processes",
            "/api/v2alpha1/sites/x/y",
            "/api/v2alpha1/sites/x/y/processes",
            "x",
        ] {
            assert!(find(path).is_none(), "{path}");
        }
    }

    #[test]
    fn the_paths_of_charts_may_end_with_a_slash() {
        for (name, chart) in [
            ("query", QueryKind::Instant),
            ("query_range", QueryKind::Range),
            ("rangequery", QueryKind::Range),
        ] {
            let path = format!("/api/v2alpha1/internal/prom/{name}");
            assert_eq!(super::chart(&path), Some(chart));
            assert_eq!(super::chart(&format!("{path}/")), Some(chart));
            assert_eq!(super::chart(&format!("{path}//")), Some(chart));
            assert_eq!(super::chart(&format!("{path}/x")), None);
        }
        assert_eq!(super::chart("/api/v2alpha1/sites"), None);
        let values = "/prometheus/api/v1/label/site_id/values";
        assert_eq!(super::chart(values), Some(QueryKind::LabelValues("site_id")));
        assert_eq!(super::chart("/prometheus/api/v1/label//values"), None);
    }

    #[test]
    fn what_is_ours_is_not_for_files() {
        for path in ["/api", "/api/v3", "//api/x", "/healthz", "/readyz/", "/openapi.json", "/swagger/"] {
            assert!(is_ours(path), "{path}");
        }
        for path in ["/", "//", "/index.html", "/apis", "/swagger/x", "/assets/api/x"] {
            assert!(!is_ours(path), "{path}");
        }
    }

    #[test]
    fn every_list_takes_what_all_lists_take() {
        for route in ROUTES {
            let names: Vec<_> = route.parameters.iter().map(|parameter| parameter.name).collect();
            match route.endpoint {
                Endpoint::V1alpha1(Collection::VanAddrs) => {
                    assert_eq!(names, ["includeDeleted", "limit", "offset", "watch"]);
                }
                Endpoint::V1alpha1(_) => {
                    assert!(
                        names.ends_with(&["includeDeleted", "limit", "offset", "fields", "watch"]),
                        "{}",
                        route.path
                    );
                }
                Endpoint::V1(_) => {}
                _ => assert!(names.is_empty(), "{}", route.path),
            }
        }
    }
}
