//! Services, and the listeners and connectors that make them.

use vanflow_proto::Attribute;
use vanflow_store::Record;

use crate::v2alpha1::{
    network::site_name,
    schema::{Cell, schema},
    view::{Subject, end_of, instant, key, start_of},
};

schema! {
    /// Where a router accepts connections of clients.
    LISTENER "Listener" |view, Subject::Record(listener)| {
        "connectionCount" Number Nullable "How many connections its router has counted since it came to be; null where it does not count." =>
            Cell::number_or_null(listener.uint(Attribute::FlowCountL4));
        "connectionsNeverReported" Number Nullable "How many of those that were opened since the collector knows the listener its router has never reported, known within a minute; null where it does not count." =>
            Cell::number_or_null(listener.connections_never_reported());
        "connectionsReceived" Number Always "How many connections the collector has received, those that have left included." =>
            Cell::Number(listener.connections_received().unwrap_or(0));
        "destHost" Text Always "The host that it listens on." => Cell::or_unknown(listener.text(Attribute::DestHost));
        "destPort" Text Always "The port that it listens on." => Cell::or_unknown(listener.text(Attribute::DestPort));
        "endTime" Instant Always "When it went; 0 while it is there." => end_of(*listener);
        "identity" Text Always "The identity of the record." => Cell::text(listener.id().to_cow());
        "key" Text Always "The identity and the start: identities can be given out again." => key(listener.id(), listener.start());
        "name" Text Always "Its name." => Cell::or_unknown(listener.text(Attribute::Name));
        "protocol" Text Always "The protocol." => Cell::or_unknown(listener.text(Attribute::Protocol));
        "routerId" Text Always "The router." => Cell::or_unknown(listener.text(Attribute::Parent));
        "routingKey" Text Always "The routing key of its service." => Cell::or_unknown(listener.text(Attribute::VanAddress));
        "serviceId" Text Optional "Its service." => service_id(*listener);
        "siteId" Text Always "The site of its router." => site_id(*listener);
        "siteName" Text Always "The name of that site." => site_name(Some(*listener));
        "startTime" Instant Always "When it came to be." => start_of(*listener);
    }
}

schema! {
    /// Where a router connects to a workload.
    CONNECTOR "Connector" |view, Subject::Record(connector)| {
        "destHost" Text Always "The host that it connects to." => Cell::or_unknown(connector.text(Attribute::DestHost));
        "destPort" Text Always "The port that it connects to." => Cell::or_unknown(connector.text(Attribute::DestPort));
        "endTime" Instant Always "When it went; 0 while it is there." => end_of(*connector);
        "identity" Text Always "The identity of the record." => Cell::text(connector.id().to_cow());
        "key" Text Always "The identity and the start: identities can be given out again." => key(connector.id(), connector.start());
        "name" Text Always "Its name." => Cell::or_unknown(connector.text(Attribute::Name));
        "processId" Text Always "The process that it connects to; empty where not known." =>
            match view.target(*connector) {
                Some(target) => Cell::Text(target.id()),
                None => Cell::or_empty(connector.text(Attribute::Process)),
            };
        "protocol" Text Always "The protocol." => Cell::or_unknown(connector.text(Attribute::Protocol));
        "routerId" Text Always "The router." => Cell::or_unknown(connector.text(Attribute::Parent));
        "routingKey" Text Always "The routing key of its service." => Cell::or_unknown(connector.text(Attribute::VanAddress));
        "serviceId" Text Optional "Its service." => service_id(*connector);
        "siteId" Text Always "The site of its router." => site_id(*connector);
        "siteName" Text Always "The name of that site." => site_name(Some(*connector));
        "startTime" Instant Always "When it came to be." => start_of(*connector);
        "target" Text Nullable "The name of that process." =>
            view.target(*connector).map_or(Cell::Null, |target| Cell::Text(target.name()));
    }
}

fn service_id(record: Record<'_>) -> Cell<'_> {
    // A service is known by its address and its protocol; while one of them is missing there is none to name.
    let service = record.service().filter(|service| service.protocol().is_some());
    service.map_or(Cell::Absent, |service| Cell::text(service.id().to_cow()))
}

fn site_id(record: Record<'_>) -> Cell<'_> {
    Cell::or_unknown(record.site_id())
}

schema! {
    /// A service that the network offers: what listeners and connectors with one routing key and protocol have in common.
    SERVICE "Service" |view, Subject::Service(service)| {
        "connectorCount" Number Always "How many connectors it has." => Cell::Number(service.connector_count());
        "endTime" Instant Always "When the last of its listeners and connectors went; 0 while one is there." =>
            instant(service.end().filter(|_| !service.is_live()));
        "hasListener" Truth Always "Whether it has a listener." => Cell::Truth(service.listener_count() > 0);
        "identity" Text Always "An identity made of routing key and protocol." => Cell::text(service.id().to_cow());
        "isBound" Truth Always "Whether it has both a listener and a connector." =>
            Cell::Truth(service.listener_count() > 0 && service.connector_count() > 0);
        "listenerCount" Number Always "How many listeners it has." => Cell::Number(service.listener_count());
        "name" Text Always "The routing key." => Cell::text(service.address().to_cow());
        "observedApplicationProtocols" Texts Always "The protocols of the requests that are retained." =>
            Cell::Texts(view.observed(*service).map(|protocol| protocol.into()).collect());
        "protocol" Text Always "The protocol of its listeners and connectors." =>
            Cell::or_unknown(service.protocol());
        "startTime" Instant Always "When the first of its listeners and connectors came to be." => instant(service.start());
    }
}
