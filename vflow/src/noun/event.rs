//! What happened to the network.

use vanflow_api::selection::{Filter, Side, Test};

use super::Noun;
use crate::column::{Align, Cell, Item, Shows::*, Tone, column};

/// The events.
pub(crate) const EVENTS: Noun = Noun {
    plural: "events",
    path: "api/v1/events",
    columns: &[
        column("time", Moment("time")),
        column("site", Text("siteName")),
        column("event", Made(&["severity", "text", "count"], Align::Left, event)),
        column("detail", Text("detail")).roomy(),
        column("kind", Text("kind")).wide(),
        column("until", Moment("endTime")).wide(),
        column("number", Count("number")).wide(),
    ],
    names: &["identity"],
    test: |filter, side| {
        Some(match (filter, side) {
            (Filter::Site, Side::Either) => Test::Text(&["siteName", "siteId"]),
            (Filter::Process, Side::Either) => Test::Subject("process"),
            (Filter::Component, Side::Either) => Test::Subject("component"),
            (Filter::Service, Side::Either) => Test::Subject("service"),
            (Filter::Kind, _) => Test::Text(&["kind"]),
            (Filter::Error, Side::Either) => Test::Is("severity", "bad"),
            (Filter::Id, _) => Test::Text(&["identity"]),
            _ => return None,
        })
    },
    time: "time",
};

/// What happened, with the sign of how bad it is.
fn event(item: &Item<'_>) -> Cell {
    let (sign, tone) = severity(item.text("severity").unwrap_or_default());
    let text = item.text("text").unwrap_or("unknown");
    Cell::plain(&format!("{sign} {text}")).toned(tone)
}

/// The sign and the tone of a severity.
pub(crate) fn severity(severity: &str) -> (&'static str, Tone) {
    match severity {
        "bad" => ("✕", Tone::Bad),
        "warn" => ("▲", Tone::Warn),
        "change" => ("■", Tone::Change),
        "fine" => ("●", Tone::Plain),
        _ => ("◌", Tone::Quiet),
    }
}
