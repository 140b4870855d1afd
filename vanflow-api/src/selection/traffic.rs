//! What filters look at in connections and requests.

use super::{Filter, Side, Test};

/// In connections, as `/api/v2alpha1/connections` has them.
pub fn of_connections(filter: Filter, side: Side) -> Option<Test> {
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
}

/// In requests, as `/api/v2alpha1/applicationflows` has them.
pub fn of_requests(filter: Filter, side: Side) -> Option<Test> {
    Some(match (filter, side) {
        (Filter::Status, _) => Test::Status("status"),
        (Filter::Method, _) => Test::Text(&["method"]),
        (Filter::Error, Side::Either) => Test::RequestFailed,
        (Filter::Host, Side::From) => Test::Text(&["clientAddress"]),
        (Filter::MinLatency, Side::Either) => Test::Latency("duration"),
        _ => return of_traffic(filter, side),
    })
}

/// What both have in common.
fn of_traffic(filter: Filter, side: Side) -> Option<Test> {
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
