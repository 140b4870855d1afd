//! Connections and requests, and what they come to taken together.

use std::borrow::Cow;

use vanflow_proto::{Attribute, Timestamp};
use vanflow_store::{Text, derived};

use crate::v2alpha1::{
    pair::PairKind,
    party::Party,
    schema::{Cell, Schema, UNKNOWN, schema},
    view::{Subject, instant, key},
};

schema! {
    /// A connection through the network, from its first record on.
    CONNECTION "Connection" |view, Subject::Flow(flow)| {
        "componentPairId" Text Nullable of_lane "The pair of components that it is between." =>
            pair_id(flow.source(view), flow.destination(view), &flow.protocol(), |source, destination, protocol| {
                derived::component_pair_id(&source.component_id(), &destination.component_id(), protocol)
            });
        "connectorError" Text Nullable "What went wrong at the connector." =>
            flow.connection.error_connector_side().map_or(Cell::Null, Cell::Text);
        "connectorId" Text Always of_lane "The connector: the one that was reported, or the only one of the service." =>
            match flow.connection.connector_id() {
                Some(reported) => Cell::text(reported.to_cow()),
                None => Cell::or_unknown(flow.connector().map(|connector| connector.id())),
            };
        "connectorInferred" Truth Always of_lane "Whether no router named the connector, which is the only one that the service had." =>
            Cell::Truth(flow.connection.connector_id().is_none() && flow.connector().is_some());
        "destHost" Text Always of_lane "The host that the connector connects to." =>
            Cell::or_unknown(flow.connector().and_then(|connector| connector.text(Attribute::DestHost)));
        "destPort" Text Always of_lane "The port that the connector connects to." =>
            Cell::or_unknown(flow.connector().and_then(|connector| connector.text(Attribute::DestPort)));
        "destProcessId" Text Always of_lane "The process that serves." => party(flow.destination(view), Party::id);
        "destProcessName" Text Always of_lane "Its name." => party(flow.destination(view), Party::name);
        "destSiteId" Text Always of_lane "Its site." => Cell::Text(flow.destination_site_id(view));
        "destSiteName" Text Always of_lane "The name of that site." => Cell::Text(flow.destination_site_name(view));
        "duration" Number Nullable "How long it lasted, in microseconds, once it is over." => duration(flow.connection.start(), flow.connection.end());
        "endTime" Instant Always "When it ended; 0 while it is open." => instant(flow.connection.end());
        "identity" Text Always "The identity of the record." => Cell::text(flow.connection.id().to_cow());
        "key" Text Always "The identity and the start: routers that restart give out identities again." =>
            key(flow.connection.id(), flow.connection.start());
        "latency" Number Always reported(Latency) "Microseconds to the first octet, at the listener." =>
            flow.connection.latency();
        "latencyReverse" Number Always reported(ProcessLatency) "Microseconds to the first octet of the workload, at the connector." =>
            flow.connection.process_latency();
        "listenerError" Text Nullable "What went wrong at the listener." =>
            flow.connection.error_listener_side().map_or(Cell::Null, Cell::Text);
        "listenerId" Text Always of_lane "The listener." => Cell::or_unknown(flow.connection.listener_id());
        "octetCount" Number Always reported(Octets) "Octets from client to server." =>
            flow.connection.octets();
        "octetReverseCount" Number Always reported(OctetsReverse) "Octets from server to client." =>
            flow.connection.octets_reverse();
        "processPairId" Text Nullable of_lane "The pair of processes that it is between." =>
            pair_id(flow.source(view), flow.destination(view), &flow.protocol(), |source, destination, protocol| {
                derived::process_pair_id(&source.id(), &destination.id(), protocol)
            });
        "protocol" Text Always of_lane "The protocol of connector and listener." => Cell::Text(flow.protocol());
        "proxyHost" Text Always "The host that the connector connects from." =>
            Cell::or_empty(flow.connection.proxy_host());
        "proxyPort" Text Always "The port that the connector connects from." =>
            Cell::or_empty(flow.connection.proxy_port());
        "routingKey" Text Always of_lane "The routing key of the service." => Cell::Text(flow.routing_key());
        "sitePairId" Text Nullable of_lane "The pair of sites that it is between." =>
            pair_id(flow.source(view), flow.destination(view), &flow.protocol(), |source, destination, protocol| {
                derived::site_pair_id(&source.site_id(), &destination.site_id(), protocol)
            });
        "sourceHost" Text Always of_lane "The host that the client connects from." =>
            Cell::or_empty(flow.connection.source_host());
        "sourcePort" Text Always "The port that the client connects from." =>
            Cell::or_empty(flow.connection.source_port());
        "sourceProcessId" Text Always of_lane "The process that is the client." => party(flow.source(view), Party::id);
        "sourceProcessName" Text Always of_lane "Its name." => party(flow.source(view), Party::name);
        "sourceSiteId" Text Always of_lane "Its site." => Cell::Text(flow.source_site_id());
        "sourceSiteName" Text Always of_lane "The name of that site." => Cell::Text(flow.source_site_name());
        "startTime" Instant Always "When it started; 0 where not known." => instant(flow.connection.start());
        "traceRouters" Texts Always "The names of the routers that it passes." => Cell::Texts(flow.trace(view).routers);
        "traceSites" Texts Always "The names of the sites that it passes." => Cell::Texts(flow.trace(view).sites);
    }
}

schema! {
    /// A request within a connection, from its first record on.
    APPLICATION_FLOW "ApplicationFlow" |view, Subject::Request(request)| {
        "clientAddress" Text Nullable "The address of the client as a proxy in front of the listener reports it: the left-most in `X-Forwarded-For`." =>
            Cell::or_null(request.record.client_address());
        "connectionId" Text Always "The connection." => Cell::or_unknown(request.record.connection_id());
        "destProcessId" Text Always of_lane "The process that serves." =>
            party(request.connection.as_ref().and_then(|flow| flow.destination(view)), Party::id);
        "destProcessName" Text Always of_lane "Its name." =>
            party(request.connection.as_ref().and_then(|flow| flow.destination(view)), Party::name);
        "destSiteId" Text Always of_lane "Its site." =>
            or_unknown(request.connection.as_ref().map(|flow| flow.destination_site_id(view)));
        "destSiteName" Text Always of_lane "The name of that site." =>
            or_unknown(request.connection.as_ref().map(|flow| flow.destination_site_name(view)));
        "duration" Number Nullable "How long it took, in microseconds, once it is over." => duration(request.record.start(), request.record.end());
        "endTime" Instant Always "When it ended; 0 while it is under way." => instant(request.record.end());
        "identity" Text Always "The identity of the record." => Cell::text(request.record.id().to_cow());
        "key" Text Always "The identity and the start: routers that restart give out identities again." =>
            key(request.record.id(), request.record.start());
        "method" Text Always "The method; empty where not known." => Cell::or_empty(request.record.method());
        "octetCount" Number Always reported(Octets) "Octets from client to server." =>
            request.record.octets();
        "octetReverseCount" Number Always reported(OctetsReverse) "Octets from server to client." =>
            request.record.octets_reverse();
        "protocol" Text Always "`http1`, `http2` or what else was reported." => or_unknown(request.record.protocol().map(protocol_name));
        "routingKey" Text Always of_lane "The routing key of the service." =>
            or_unknown(request.connection.as_ref().map(|flow| flow.routing_key()));
        "sourceProcessId" Text Always of_lane "The process that is the client." =>
            party(request.connection.as_ref().and_then(|flow| flow.source(view)), Party::id);
        "sourceProcessName" Text Always of_lane "Its name." =>
            party(request.connection.as_ref().and_then(|flow| flow.source(view)), Party::name);
        "sourceSiteId" Text Always of_lane "Its site." => or_unknown(request.connection.as_ref().map(|flow| flow.source_site_id()));
        "sourceSiteName" Text Always of_lane "The name of that site." =>
            or_unknown(request.connection.as_ref().map(|flow| flow.source_site_name()));
        "startTime" Instant Always "When it started; 0 where not known." => instant(request.record.start());
        "status" Text Always "The status of the response; empty where not known." =>
            Cell::or_empty(request.record.result());
        "traceRouters" Texts Always "The names of the routers that it passes." =>
            Cell::Texts(request.connection.as_ref().map(|flow| flow.trace(view).routers).unwrap_or_default());
        "traceSites" Texts Always "The names of the sites that it passes." =>
            Cell::Texts(request.connection.as_ref().map(|flow| flow.trace(view).sites).unwrap_or_default());
    }
}

fn party<'v>(party: Option<&Party<'v>>, read: impl FnOnce(&Party<'v>) -> Cow<'v, str>) -> Cell<'v> {
    or_unknown(party.map(read))
}

fn or_unknown(text: Option<Cow<'_, str>>) -> Cell<'_> {
    Cell::Text(text.unwrap_or(Cow::Borrowed(UNKNOWN)))
}

fn pair_id<'v>(
    source: Option<&Party<'v>>,
    destination: Option<&Party<'v>>,
    protocol: &str,
    id: impl FnOnce(&Party<'v>, &Party<'v>, &str) -> String,
) -> Cell<'v> {
    match (source, destination) {
        (Some(source), Some(destination)) => Cell::text(id(source, destination, protocol)),
        _ => Cell::Null,
    }
}

fn duration(start: Option<Timestamp>, end: Option<Timestamp>) -> Cell<'static> {
    let lasted = end.and_then(|end| Some(end.micros_since(start?)));
    Cell::number_or_null(lasted.filter(|lasted| *lasted > 0))
}

/// A protocol of requests as the network observer calls it.
pub(crate) fn protocol_name(reported: Text<'_>) -> Cow<'_, str> {
    let reported = reported.to_cow();
    match &*reported {
        "HTTP/1.0" | "HTTP/1.1" => Cow::Borrowed("http1"),
        "HTTP/2" => Cow::Borrowed("http2"),
        _ => reported,
    }
}

schema! {
    /// The traffic from one site to another by one protocol, all connections or requests taken together.
    SITE_PAIR "SitePair" |view, Subject::Pair(pair)| {
        "destinationId" Text Always "Where they go." => Cell::text(pair.facts.destination.id.as_str());
        "destinationName" Text Always "Its name." => Cell::text(pair.facts.destination.name.as_str());
        "endTime" Instant Always "When the last of them ended; 0 while one is open." => instant(pair.end);
        "identity" Text Always "An identity made of source, destination and protocol." => Cell::text(pair.facts.id.as_str());
        "pairType" OneOf(&PairKind::NAMES) Always "`SITE`, `PROCESS_GROUP` or `PROCESS`." => Cell::text(pair.facts.kind.name());
        "protocol" Text Always "The protocol." => Cell::text(&*pair.facts.protocol);
        "recordCount" Number Always "How many of them are retained." => Cell::Number(pair.record_count);
        "sourceId" Text Always "Where they come from." => Cell::text(pair.facts.source.id.as_str());
        "sourceName" Text Always "Its name." => Cell::text(pair.facts.source.name.as_str());
        "startTime" Instant Always "When the first of them started." => instant(pair.start);
    }
}

/// As between sites.
pub(crate) static COMPONENT_PAIR: Schema = Schema {
    name: "ComponentPair",
    description: "The traffic from one component to another by one protocol, all connections or requests taken together.",
    lines: SITE_PAIR.lines,
};

schema! {
    /// The traffic from one process to another by one protocol, all connections or requests taken together.
    PROCESS_PAIR "ProcessPair" |view, Subject::Pair(pair)| {
        "destinationId" Text Always "Where they go." => Cell::text(pair.facts.destination.id.as_str());
        "destinationName" Text Always "Its name." => Cell::text(pair.facts.destination.name.as_str());
        "destinationSiteId" Text Optional "Its site." => pair.facts.destination.site_id();
        "destinationSiteName" Text Optional "The name of that site." => pair.facts.destination.site_name();
        "endTime" Instant Always "When the last of them ended; 0 while one is open." => instant(pair.end);
        "identity" Text Always "An identity made of source, destination and protocol." => Cell::text(pair.facts.id.as_str());
        "pairType" OneOf(&PairKind::NAMES) Always "`SITE`, `PROCESS_GROUP` or `PROCESS`." => Cell::text(pair.facts.kind.name());
        "protocol" Text Always "The protocol." => Cell::text(&*pair.facts.protocol);
        "recordCount" Number Always "How many of them are retained." => Cell::Number(pair.record_count);
        "sourceId" Text Always "Where they come from." => Cell::text(pair.facts.source.id.as_str());
        "sourceName" Text Always "Its name." => Cell::text(pair.facts.source.name.as_str());
        "sourceSiteId" Text Optional "Its site." => pair.facts.source.site_id();
        "sourceSiteName" Text Optional "The name of that site." => pair.facts.source.site_name();
        "startTime" Instant Always "When the first of them started." => instant(pair.start);
    }
}
