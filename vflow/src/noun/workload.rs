//! Services, components and processes.

use vanflow_api::selection::{Filter, Side, Test};

use super::Noun;
use crate::column::{Align, Cell, Item, Shows::*, Tone, column};

/// The services.
pub(crate) const SERVICES: Noun = Noun {
    plural: "services",
    path: "api/v2alpha1/services",
    columns: &[
        column("name", Text("name")),
        column("protocol", Text("protocol")),
        column("requests", Text("observedApplicationProtocols")).roomy(),
        column("listeners", Count("listenerCount")),
        column("connectors", Count("connectorCount")),
        column("age", Age),
        column("state", Made(&["listenerCount", "connectorCount"], Align::Left, state)),
        column("id", Text("identity")).wide(),
    ],
    names: &["name", "identity"],
    test: |filter, side| match (filter, side) {
        (Filter::Service, Side::Either) => Some(Test::Address(&["name", "identity"])),
        (Filter::Protocol, _) => Some(Test::Text(&["protocol", "observedApplicationProtocols"])),
        (Filter::Id, _) => Some(Test::Text(&["identity"])),
        _ => None,
    },
    time: "startTime",
};

/// The components.
pub(crate) const COMPONENTS: Noun = Noun {
    plural: "components",
    path: "api/v2alpha1/components",
    columns: &[
        column("name", Text("name")),
        column("role", Text("role")),
        column("processes", Count("processCount")),
        column("age", Age),
        column("id", Text("identity")).wide(),
    ],
    names: &["name", "identity"],
    test: |filter, side| match (filter, side) {
        (Filter::Component, Side::Either) => Some(Test::Text(&["name", "identity"])),
        (Filter::Id, _) => Some(Test::Text(&["identity"])),
        _ => None,
    },
    time: "startTime",
};

/// The processes.
pub(crate) const PROCESSES: Noun = Noun {
    plural: "processes",
    path: "api/v2alpha1/processes",
    columns: &[
        column("name", Text("name")),
        column("component", Text("componentName")),
        column("site", Text("siteName")),
        column("role", Text("role")).roomy(),
        column("address", Text("sourceHost")),
        column("serves", Made(&["services"], Align::Left, serves)),
        column("age", Age),
        column("host", Text("hostName")).wide(),
        column("image", Text("imageName")).wide(),
        column("id", Text("identity")).wide(),
    ],
    names: &["name", "identity"],
    test: |filter, side| {
        Some(match (filter, side) {
            (Filter::Site, Side::Either) => Test::Text(&["siteName", "siteId"]),
            (Filter::Component, Side::Either) => Test::Text(&["componentName", "componentId"]),
            (Filter::Process, Side::Either) => Test::Text(&["name", "identity"]),
            (Filter::Service, Side::Either) => Test::Address(&["services"]),
            (Filter::Host, Side::Either) => Test::Text(&["sourceHost", "hostName"]),
            (Filter::Id, _) => Test::Text(&["identity", "key"]),
            _ => return None,
        })
    },
    time: "startTime",
};

/// Whether somebody can reach it, and it somebody.
fn state(item: &Item<'_>) -> Cell {
    match (item.number("listenerCount"), item.number("connectorCount")) {
        (Some(_), Some(0)) => Cell::made("✕ no connector").toned(Tone::Bad),
        (Some(0), Some(_)) => Cell::made("▲ no listener").toned(Tone::Warn),
        _ => Cell::made("served"),
    }
}

/// The addresses of services, each once.
fn serves(item: &Item<'_>) -> Cell {
    let services =
        item.value["services"].as_array().into_iter().flatten().filter_map(|service| service.as_str());
    let mut names: Vec<_> = services.filter_map(|service| service.rsplitn(3, '@').nth(2)).collect();
    names.dedup();
    if names.is_empty() { Cell::dash() } else { Cell::plain(&names.join(", ")) }
}
