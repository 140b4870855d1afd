//! Requests within connections.

use vanflow_api::selection::of_requests;

use super::Noun;
use crate::column::{Align, Cell, Item, Shows::*, Tone, column};

/// The requests.
pub(crate) const REQUESTS: Noun = Noun {
    plural: "requests",
    path: "api/v2alpha1/applicationflows",
    columns: &[
        column("time", Moment("startTime")),
        column("client", FirstOf(&["sourceProcessName", "clientAddress"])),
        column("from", Text("sourceSiteName")).roomy(),
        column("service", Text("routingKey")),
        column("server", Text("destProcessName")).roomy(),
        column("to", Text("destSiteName")),
        column("method", Text("method")),
        column("status", Made(&["status", "endTime"], Align::Left, status)),
        column("took", Duration("duration")),
        column("sent", Octets(&["octetCount"])).roomy(),
        column("received", Octets(&["octetReverseCount"])).roomy(),
        column("protocol", Text("protocol")).wide(),
        column("behind", Text("clientAddress")).wide(),
        column("routers", Text("traceRouters")).wide(),
        column("connection", Text("connectionId")).wide(),
        column("id", Text("key")).wide(),
    ],
    names: &["identity", "key"],
    test: of_requests,
    time: "startTime",
};

/// The status, or what there is in its place. What a client did wrong is no error of the network.
fn status(item: &Item<'_>) -> Cell {
    match (item.text("status"), item.number("endTime")) {
        (Some(status), _) if status.starts_with('5') => Cell::plain(&format!("✕ {status}")).toned(Tone::Bad),
        (Some(status), _) => Cell::plain(status),
        (None, Some(0)) => Cell::quiet("open"),
        (None, _) => Cell::made("✕ no result").toned(Tone::Bad),
    }
}
