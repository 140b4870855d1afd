//! Connections.

use vanflow_api::selection::of_connections;

use super::Noun;
use crate::{
    column::{Align, Cell, Item, Shows::*, Tone, column},
    number,
};

/// The connections.
pub(crate) const CONNECTIONS: Noun = Noun {
    plural: "connections",
    path: "api/v2alpha1/connections",
    columns: &[
        column("time", Moment("startTime")),
        column("client", FirstOf(&["sourceProcessName", "sourceHost"])),
        column("from", Text("sourceSiteName")).roomy(),
        column("service", Text("routingKey")),
        column("server", FirstOf(&["destProcessName", "destHost"])).roomy(),
        column("to", Text("destSiteName")),
        column("lasted", Made(&["startTime", "endTime"], Align::Right, lasted)),
        column("sent", Octets(&["octetCount"])).roomy(),
        column("received", Octets(&["octetReverseCount"])).roomy(),
        column("latency", Duration("latency")).roomy(),
        column("error", Made(&["listenerError", "connectorError"], Align::Left, error)),
        column("from-error", Text("listenerError")).wide(),
        column("to-error", Text("connectorError")).wide(),
        column("workload", Duration("latencyReverse")).wide(),
        column("address", Text("sourceHost")).wide(),
        column("port", Text("sourcePort")).wide(),
        column("to-address", Text("destHost")).wide(),
        column("to-port", Text("destPort")).wide(),
        column("routers", Text("traceRouters")).wide(),
        column("id", Text("key")).wide(),
    ],
    names: &["identity", "key"],
    test: of_connections,
    time: "startTime",
};

/// How long it lasted, or that it is open.
pub(super) fn lasted(item: &Item<'_>) -> Cell {
    match (item.number("startTime"), item.number("endTime")) {
        (_, Some(0)) => Cell::made("open"),
        (Some(start), Some(end)) if start > 0 => {
            Cell::made(crate::column::pad_unit(number::duration(end.saturating_sub(start)), 3))
        }
        _ => Cell::unknown(),
    }
}

/// What went wrong, in the words of the router that knows: the server's where it tried, else the client's.
fn error(item: &Item<'_>) -> Cell {
    let text = item.text("connectorError").or_else(|| item.text("listenerError"));
    text.map_or_else(Cell::dash, |text| Cell::plain(&format!("✕ {}", reason(text))).toned(Tone::Bad))
}

/// The reason in `proton:io (Connection refused)`: what stands before it names where in the router it came up.
fn reason(text: &str) -> &str {
    let reason = text.strip_suffix(')').and_then(|text| text.split_once(" (")).map(|(_, reason)| reason);
    reason.filter(|reason| !reason.is_empty()).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_an_error_is_what_the_router_says_of_it() {
        for (text, said) in [
            (
                "proton:io (Connection refused - on connect 127.0.0.13:9199)",
                "Connection refused - on connect 127.0.0.13:9199",
            ),
            ("delivery-failed (destination (a) unreachable)", "destination (a) unreachable"),
            ("amqp:connection:framing-error", "amqp:connection:framing-error"),
            ("odd ()", "odd ()"),
        ] {
            assert_eq!(reason(text), said);
        }
    }
}
