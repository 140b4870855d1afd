//! Sites, routers, links, listeners and connectors.

use vanflow_api::selection::{Filter, Side, Test};

use super::Noun;
use crate::column::{Align, Cell, Item, Shows::*, Tone, column};

/// The sites.
pub(crate) const SITES: Noun = Noun {
    plural: "sites",
    path: "api/v2alpha1/sites",
    columns: &[
        column("name", Text("name")),
        column("platform", Text("platform")),
        column("namespace", Text("namespace")),
        column("version", Text("version")),
        column("routers", Count("routerCount")),
        column("age", Age),
        column("provider", Text("provider")).wide(),
        column("id", Text("identity")).wide(),
    ],
    names: &["name", "identity"],
    test: |filter, side| match (filter, side) {
        (Filter::Site, Side::Either) => Some(Test::Text(&["name", "identity"])),
        (Filter::Id, _) => Some(Test::Text(&["identity", "key"])),
        _ => None,
    },
    time: "startTime",
};

/// The routers.
pub(crate) const ROUTERS: Noun = Noun {
    plural: "routers",
    path: "api/v2alpha1/routers",
    columns: &[
        column("name", Router("name")),
        column("site", SiteOf("siteId")),
        column("mode", Text("mode")),
        column("version", Text("buildVersion")),
        column("age", Age),
        column("host", Text("hostName")).roomy(),
        column("image", Text("imageName")).wide(),
        column("id", Text("identity")).wide(),
    ],
    names: &["name", "identity"],
    test: |filter, side| match (filter, side) {
        (Filter::Site, Side::Either) => Some(Test::SiteOf("siteId")),
        (Filter::Host, Side::Either) => Some(Test::Text(&["hostName"])),
        (Filter::Id, _) => Some(Test::Text(&["identity", "key"])),
        _ => None,
    },
    time: "startTime",
};

/// The links between routers.
pub(crate) const LINKS: Noun = Noun {
    plural: "links",
    path: "api/v2alpha1/routerlinks",
    columns: &[
        column("name", Text("name")),
        column("from", Text("sourceSiteName")),
        column("to", Text("destinationSiteName")),
        column("status", Made(&["status"], Align::Left, status)),
        column("cost", Count("cost")),
        column("role", Text("role")).roomy(),
        column("sent", Octets(&["octetCount"])),
        column("received", Octets(&["octetReverseCount"])),
        column("age", Age),
        column("router", Router("routerName")).wide(),
        column("to-router", Router("destinationRouterName")).wide(),
        column("id", Text("identity")).wide(),
    ],
    names: &["name", "identity"],
    test: |filter, side| {
        Some(match (filter, side) {
            (Filter::Site, Side::Either) => {
                Test::Text(&["sourceSiteName", "sourceSiteId", "destinationSiteName", "destinationSiteId"])
            }
            (Filter::Site, Side::From) => Test::Text(&["sourceSiteName", "sourceSiteId"]),
            (Filter::Site, Side::To) => Test::Text(&["destinationSiteName", "destinationSiteId"]),
            (Filter::Status, _) => Test::Status("status"),
            (Filter::Error, Side::Either) => Test::Is("status", "down"),
            (Filter::MinOctets, Side::Either) => Test::Octets(&["octetCount", "octetReverseCount"]),
            (Filter::MinOctets, Side::From) => Test::Octets(&["octetCount"]),
            (Filter::MinOctets, Side::To) => Test::Octets(&["octetReverseCount"]),
            (Filter::Id, _) => Test::Text(&["identity", "key"]),
            _ => return None,
        })
    },
    time: "startTime",
};

/// The listeners.
pub(crate) const LISTENERS: Noun = Noun {
    plural: "listeners",
    path: "api/v2alpha1/listeners",
    columns: &[
        column("name", Text("name")),
        column("site", Text("siteName")),
        column("service", Text("routingKey")),
        column("host", Text("destHost")).roomy(),
        column("port", Text("destPort")),
        column("protocol", Text("protocol")),
        column("connections", Count("connectionsReceived")),
        column("missing", Made(&["connectionsNeverReported"], Align::Right, missing)),
        column("age", Age),
        column("id", Text("identity")).wide(),
    ],
    names: &["name", "identity"],
    test: end,
    time: "startTime",
};

/// The connectors.
pub(crate) const CONNECTORS: Noun = Noun {
    plural: "connectors",
    path: "api/v2alpha1/connectors",
    columns: &[
        column("name", Text("name")),
        column("site", Text("siteName")),
        column("service", Text("routingKey")),
        column("host", Text("destHost")),
        column("port", Text("destPort")),
        column("protocol", Text("protocol")).roomy(),
        column("process", Text("target")),
        column("age", Age),
        column("id", Text("identity")).wide(),
    ],
    names: &["name", "identity"],
    test: |filter, side| match (filter, side) {
        (Filter::Process, Side::Either) => Some(Test::Text(&["target", "processId"])),
        (Filter::Component, Side::Either) => Some(Test::Component(&["processId"])),
        _ => end(filter, side),
    },
    time: "startTime",
};

fn end(filter: Filter, side: Side) -> Option<Test> {
    Some(match (filter, side) {
        (Filter::Site, Side::Either) => Test::Text(&["siteName", "siteId"]),
        (Filter::Service, Side::Either) => Test::Address(&["routingKey", "serviceId"]),
        (Filter::Host, Side::Either) => Test::Text(&["destHost"]),
        (Filter::Port, Side::Either) => Test::Text(&["destPort"]),
        (Filter::Protocol, _) => Test::Text(&["protocol"]),
        (Filter::Id, _) => Test::Text(&["identity", "key"]),
        _ => return None,
    })
}

fn status(item: &Item<'_>) -> Cell {
    match item.text("status") {
        Some("up") => Cell::made("up"),
        Some("down") => Cell::made("✕ down").toned(Tone::Bad),
        Some(other) => Cell::plain(other),
        None => Cell::unknown(),
    }
}

/// Connections that the router counted and never reported.
fn missing(item: &Item<'_>) -> Cell {
    match item.number("connectionsNeverReported") {
        Some(0) => Cell::made("0"),
        Some(count) => Cell::made(crate::number::count(count)).toned(Tone::Warn),
        None => Cell::unknown(),
    }
}
