//! The index of the APIs.

use std::fmt::Write;

use vanflow_proto::RecordKind;
use vanflow_store::{Service, Snapshot};

use crate::{
    api::never_reported,
    network::Status,
    route::{Endpoint, ID, ROUTES, Route, V1, V1ALPHA1, V2ALPHA1},
    v1,
};

/// The page that `/api` is: what this is, how it is doing, and where to go from here. It needs nothing from anywhere
/// else. `root` is where the paths begin, from the page on, since a proxy may have put something before ours.
pub(crate) fn page(status: &Status, snapshot: &Snapshot, root: &str) -> String {
    let mut page = String::from(HEAD);
    state(&mut page, status, snapshot).expect(MEMORY);
    for (part, heading, introduction) in PARTS {
        write!(page, "<h2>{heading}</h2>\n<p>{introduction}\n<table>\n").expect(MEMORY);
        for route in ROUTES.iter().filter(|route| Part::of(route) == Some(part)) {
            row(&mut page, route, root).expect(MEMORY);
        }
        page.push_str("</table>\n");
    }
    write!(
        page,
        "<footer>Version {VERSION}. <a href=\"{root}view/\">The network as a page</a>.</footer>\n</html>\n"
    )
    .expect(MEMORY);
    page
}

const MEMORY: &str = "strings take all";

/// What belongs together on the page.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Collector,
    Own,
    Observer,
    Original,
}

impl Part {
    /// Where a route is shown. What has an identity in its path is not for guessing: the reference has it. So what
    /// programs ask in the background.
    fn of(route: &Route) -> Option<Self> {
        match route.endpoint {
            Endpoint::V1(v1::Resource::Stream) => None,
            Endpoint::V1(_) => Some(Self::Own),
            Endpoint::List(_) => Some(Self::Observer),
            Endpoint::V1alpha1(_) | Endpoint::OpenApi => Some(Self::Original),
            Endpoint::Index | Endpoint::Yaml => None,
            _ if route.path.contains(ID) || route.path.starts_with(V2ALPHA1) => None,
            _ if route.path.trim_start_matches('/').contains('/') => None,
            _ => Some(Self::Collector),
        }
    }
}

const PARTS: [(Part, &str, &str); 4] = [
    (Part::Collector, "This collector", "Where to look first:"),
    (Part::Own, "This collector's own API", "What is wrong, and whether what is seen is complete, as JSON."),
    (
        Part::Observer,
        "The network observer's API",
        "Lists of what there is and was in the last 15 minutes, as JSON. Every property is a filter; \
         <code>sortBy</code>, <code>limit</code> and <code>offset</code> order and page; <code>watch=1</code> goes on \
         with what changes.",
    ),
    (
        Part::Original,
        "The original API",
        "Records in VAN-Flow's own terms, as JSON. Every list takes <code>limit</code>, <code>offset</code>, \
         <code>includeDeleted=1</code> for what has ended, and <code>watch=1</code>.",
    ),
];

/// Whether there is a network to ask about, and how large it is.
fn state(page: &mut String, status: &Status, snapshot: &Snapshot) -> std::fmt::Result {
    let (class, word) = match (status.attached, status.flushed) {
        (true, true) => ("ready", "Ready"),
        (true, false) => ("waiting", "Waiting"),
        (false, _) => ("down", "Not attached"),
    };
    write!(page, "<p class=\"state {class}\"><b>{word}</b>")?;
    if !status.detail.is_empty() {
        write!(page, ": {}", escaped(&status.detail))?;
    }
    let live = |kind| snapshot.live_of_kind(kind).count();
    let is_there = |service: &Service<'_>| service.listener_count() + service.connector_count() > 0;
    let services = snapshot.services().filter(is_there).count();
    let counts = [
        (live(RecordKind::Site), "site", "sites"),
        (live(RecordKind::Router), "router", "routers"),
        (services, "service", "services"),
        (live(RecordKind::Process), "process", "processes"),
    ];
    page.push_str("\n<p>");
    for (position, (count, one, many)) in counts.into_iter().enumerate() {
        let comma = if position == 0 { "" } else { ", " };
        write!(page, "{comma}{count} {}", if count == 1 { one } else { many })?;
    }
    page.push_str(".\n");
    match never_reported(snapshot) {
        0 => Ok(()),
        missing => writeln!(page, "<p>{missing} connections were counted by routers and never reported."),
    }
}

fn row(page: &mut String, route: &Route, root: &str) -> std::fmt::Result {
    let name = [V1, V1ALPHA1, V2ALPHA1].iter().find_map(|prefix| route.path.strip_prefix(prefix));
    let name = name.unwrap_or(route.path);
    let summary = code(route.summary);
    match route.parameters.iter().find(|parameter| parameter.required.is_some()) {
        None => writeln!(page, "<tr><td><a href=\"{root}{}\">{name}</a><td>{summary}", &route.path[1..]),
        // Without it there is only an error to see.
        Some(needed) => writeln!(page, "<tr><td>{name}?{}=…<td>{summary}", needed.name),
    }
}

/// Text with what stands between back-ticks marked as code.
fn code(text: &str) -> String {
    let mut marked = String::new();
    for (position, part) in text.split('`').enumerate() {
        let part = escaped(part);
        match position % 2 {
            0 => marked.push_str(&part),
            _ => marked.extend(["<code>", &part, "</code>"]),
        }
    }
    marked
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

const HEAD: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width\">
<title>VAN-Flow collector</title>
<link rel=\"icon\" href=\"data:,\">
<style>
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem }
h1 { margin-bottom: 0 }
h2 { margin: 2rem 0 0; font-size: 1.2rem }
p { margin: .4rem 0 }
table { border-collapse: collapse }
td { padding: .15rem 1.2rem .15rem 0; vertical-align: top }
td:first-child { white-space: nowrap; font-family: ui-monospace, monospace; font-size: .9em }
.state { border-left: .4rem solid; padding-left: .7rem; margin: 1rem 0 }
.ready { border-color: #2e8b57 }
.waiting { border-color: #d9a400 }
.down { border-color: #c0392b }
footer { margin-top: 2rem; opacity: .75 }
</style>
<h1>VAN-Flow collector</h1>
<p>It gathers what the routers and controllers of a Skupper network report it, and answers questions about that.
";

const VERSION: &str = env!("CARGO_PKG_VERSION");

#[cfg(test)]
mod tests {
    use vanflow_store::{Store, StoreOptions};

    use super::*;

    fn shown(status: &Status) -> String {
        page(status, &Store::new(StoreOptions::default()).snapshot(), "../")
    }

    #[test]
    fn every_list_that_needs_no_parameter_is_linked_and_nothing_comes_from_elsewhere() {
        let page = shown(&Status::default());
        // A stream of nothing is an error.
        for route in ROUTES.iter().filter(|route| route.endpoint != Endpoint::V1(v1::Resource::Stream)) {
            let is_linked = page.contains(&format!("href=\"..{}\"", route.path));
            let is_list =
                matches!(route.endpoint, Endpoint::V1(_) | Endpoint::V1alpha1(_) | Endpoint::List(_));
            let needs_none = route.parameters.iter().all(|parameter| parameter.required.is_none());
            let is_first = ["/swagger", "/openapi.json", "/healthz", "/readyz", "/metrics"]
                .contains(&route.path)
                || route.path == "/api/v1alpha1/openapi.json";
            assert_eq!(is_linked, is_list && needs_none || is_first, "{}", route.path);
        }
        assert!(!page.contains("://"), "{page}");
        assert!(page.contains("is <code>incoming</code>"), "{page}");
        assert!(page.contains("flows?vanaddr=…"), "{page}");
    }

    #[test]
    fn the_page_says_how_the_collector_is_doing() {
        let detail = "not attached to amqp://r:5672: <refused>".to_owned();
        let mut status = Status { detail, ..Status::default() };
        let page = shown(&status);
        assert!(
            page.contains("<b>Not attached</b>: not attached to amqp://r:5672: &lt;refused>\n"),
            "{page}"
        );
        assert!(page.contains("<p>0 sites, 0 routers, 0 services, 0 processes.\n"), "{page}");
        status.attached = true;
        assert!(shown(&status).contains("<b>Waiting</b>"));
        status.flushed = true;
        assert!(shown(&status).contains("<b>Ready</b>"));
    }
}
