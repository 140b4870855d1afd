//! Connections.

use super::Noun;
use crate::{
    args::{Filter, Side},
    column::{Align, Cell, Item, Shows::*, Tone, column},
    number,
    selection::Test,
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
    test: |filter, side| {
        Some(match (filter, side) {
            (Filter::Host, Side::Either) => Test::Text(&["sourceHost", "destHost"]),
            (Filter::Host, Side::From) => Test::Text(&["sourceHost"]),
            (Filter::Host, Side::To) => Test::Text(&["destHost"]),
            (Filter::Port, Side::Either) => Test::Text(&["sourcePort", "destPort"]),
            (Filter::Port, Side::From) => Test::Text(&["sourcePort"]),
            (Filter::Port, Side::To) => Test::Text(&["destPort"]),
            (Filter::Error, Side::Either) => Test::Says(&["listenerError", "connectorError"]),
            (Filter::Error, Side::From) => Test::Says(&["listenerError"]),
            (Filter::Error, Side::To) => Test::Says(&["connectorError"]),
            (Filter::MinLatency, Side::Either | Side::From) => Test::Latency("latency"),
            (Filter::MinLatency, Side::To) => Test::Latency("latencyReverse"),
            _ => return of_traffic(filter, side),
        })
    },
    time: "startTime",
};

/// What connections and requests have in common.
pub(super) fn of_traffic(filter: Filter, side: Side) -> Option<Test> {
    Some(match (filter, side) {
        (Filter::Site, Side::Either) => {
            Test::Text(&["sourceSiteName", "sourceSiteId", "destSiteName", "destSiteId"])
        }
        (Filter::Site, Side::From) => Test::Text(&["sourceSiteName", "sourceSiteId"]),
        (Filter::Site, Side::To) => Test::Text(&["destSiteName", "destSiteId"]),
        (Filter::Component, Side::Either) => Test::Component(&["sourceProcessId", "destProcessId"]),
        (Filter::Component, Side::From) => Test::Component(&["sourceProcessId"]),
        (Filter::Component, Side::To) => Test::Component(&["destProcessId"]),
        (Filter::Process, Side::Either) => {
            Test::Text(&["sourceProcessName", "sourceProcessId", "destProcessName", "destProcessId"])
        }
        (Filter::Process, Side::From) => Test::Text(&["sourceProcessName", "sourceProcessId"]),
        (Filter::Process, Side::To) => Test::Text(&["destProcessName", "destProcessId"]),
        (Filter::Service, Side::Either | Side::To) => Test::Address(&["routingKey"]),
        (Filter::Service, Side::From) => Test::Serves("sourceProcessId"),
        (Filter::Protocol, _) => Test::Text(&["protocol"]),
        (Filter::MinOctets, Side::Either) => Test::Octets(&["octetCount", "octetReverseCount"]),
        (Filter::MinOctets, Side::From) => Test::Octets(&["octetCount"]),
        (Filter::MinOctets, Side::To) => Test::Octets(&["octetReverseCount"]),
        (Filter::Id, _) => Test::Text(&["identity", "key"]),
        _ => return None,
    })
}

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
