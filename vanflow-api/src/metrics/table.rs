//! The table of metrics: name, type, labels and meaning, once.
//!
//! What is exposed, the documentation in `docs/metrics.md`, and what dashboards and alerts may name all derive from it
//! or are held to it by tests.

use vanflow_store::lane::{self, Distribution};

/// A metric as scrapers see it.
#[derive(Debug)]
pub(crate) struct Metric {
    /// The name; of a counter with `_total`.
    pub(crate) name: &'static str,
    pub(crate) form: Form,
    /// Its labels, beside those that are on all.
    pub(crate) labels: &'static [&'static str],
    /// What it is, in one line.
    pub(crate) help: &'static str,
}

/// What values of a metric are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Form {
    /// A count that never falls.
    Counter,
    /// A number that goes up and down.
    Gauge,
    /// How many observations there were up to each of these bounds.
    Histogram(&'static [f64]),
}

impl Form {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// Bounds of latencies, in microseconds: [`lane::Histogram::LATENCY_BOUNDS_MICROS`].
pub(crate) const MICROSECONDS: &[f64] =
    &scaled::<{ lane::Histogram::LATENCY_BOUNDS_MICROS.len() }>(lane::Histogram::LATENCY_BOUNDS_MICROS, 1.0);

/// Bounds of differences of latencies, in seconds: [`lane::Histogram::INTERNAL_BOUNDS_MICROS`].
pub(crate) const SECONDS: &[f64] = &scaled::<{ lane::Histogram::INTERNAL_BOUNDS_MICROS.len() }>(
    lane::Histogram::INTERNAL_BOUNDS_MICROS,
    1e6,
);

/// Bounds of latencies, in seconds, none more than a tenth above the one before: [`Distribution::BOUNDS_MICROS`].
pub(crate) const FINE: &[f64] =
    &scaled::<{ Distribution::BOUNDS_MICROS.len() }>(Distribution::BOUNDS_MICROS, 1e6);

/// Bounds in units of so many microseconds.
const fn scaled<const N: usize>(micros: &[i64], unit: f64) -> [f64; N] {
    let mut bounds = [0.0; N];
    let mut position = 0;
    while position < N {
        bounds[position] = micros[position] as f64 / unit;
        position += 1;
    }
    bounds
}

/// Bounds of the times that answers take, in seconds.
pub(crate) const ANSWERS: &[f64] =
    &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

macro_rules! metrics {
    ($($variant:ident $name:literal $form:expr, $base:ident [$($label:literal),*] $help:literal;)+) => {
        /// Every metric, in the order in which they are exposed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) enum Name {
            $( $variant, )+
        }

        static METRICS: &[Metric] = &[
            $( Metric {
                name: $name,
                form: $form,
                labels: metrics!(@labels $base $($label),*),
                help: $help,
            }, )+
        ];

        impl Name {
            pub(crate) const ALL: &'static [Self] = &[ $( Self::$variant, )+ ];
        }
    };
    (@labels NONE $($label:literal),*) => { &[$($label),*] };
    (@labels BY_SERVICE $($label:literal),*) => {
        &["routing_key", "source_site_id", "source_site_name", "dest_site_id", "dest_site_name", $($label),*]
    };
    (@labels LINK $($label:literal),*) => {
        &["site_id", "router_name", "dest_site_id", "dest_router_name", "role", "link", $($label),*]
    };
    (@labels FLOW $($label:literal),*) => {
        &[
            "source_site_id",
            "dest_site_id",
            "source_site_name",
            "dest_site_name",
            "source_component_id",
            "dest_component_id",
            "source_component_name",
            "dest_component_name",
            "routing_key",
            "protocol",
            "source_process_name",
            "dest_process_name",
            $($label),*
        ]
    };
}

/// Where a connection comes from and where it goes.
pub(crate) const FLOW: &[&str] = metrics!(@labels FLOW);

/// The labels of latencies by service, before those of their own.
pub(crate) const BY_SERVICE: &[&str; 5] = metrics!(@labels BY_SERVICE);

use Form::{Counter, Gauge, Histogram};

metrics! {
    ConnectionsOpened "skupper_connections_opened_total" Counter, FLOW []
        "Connections that were opened.";
    ConnectionsClosed "skupper_connections_closed_total" Counter, FLOW []
        "Connections that were closed.";
    SentBytes "skupper_sent_bytes_total" Counter, FLOW []
        "Octets that clients sent to servers.";
    ReceivedBytes "skupper_received_bytes_total" Counter, FLOW []
        "Octets that clients received from servers.";
    Requests "skupper_requests_total" Counter, FLOW ["method", "code"]
        "Requests that have ended, by their protocol, method and class of result.";
    Latency "legacy_flow_latency_microseconds" Histogram(MICROSECONDS), FLOW ["direction"]
        "Time to the first octet of connections, in microseconds: from the client as incoming, and from the server as outgoing, with source and destination swapped.";
    InternalLatency "skupper_internal_latency_seconds" Histogram(SECONDS), FLOW []
        "Time to the first octet as the client's router saw it less that which the server's router saw, in seconds. It can be negative.";
    ConnectionsFailed "skupper_connections_failed_total" Counter, FLOW ["side", "reason"]
        "Connections that failed, as the router of the listener or of the connector reports it, and why. One that both report counts for each.";
    ConnectionLatency "skupper_connection_latency_seconds" Histogram(FINE), BY_SERVICE ["side"]
        "Time to the first octet of connections: as the router of the listener saw it, and as that of the connector did.";
    RequestLatency "skupper_request_latency_seconds" Histogram(FINE), BY_SERVICE []
        "Time to the first octet of the response to requests that have ended, as the router of the listener saw it.";
    SiteInfo "skupper_site_info" Gauge, NONE ["site_id", "name", "version"]
        "1 for each site that is there.";
    Routers "skupper_routers_total" Gauge, NONE ["site_id", "mode"]
        "Routers that are there.";
    SiteLinks "skupper_site_links_total" Gauge, NONE ["site_id", "role", "status"]
        "Links that routers of the site set up, up or down.";
    SiteLinkErrors "skupper_site_link_errors_total" Counter, NONE ["site_id", "role"]
        "How often links of the site went down since the collector first saw each.";
    SiteListeners "skupper_site_listeners_total" Gauge, NONE ["site_id"]
        "Listeners of the site.";
    NeverReported "skupper_listener_connections_never_reported" Gauge, NONE ["site_id", "routing_key"]
        "Connections that routers counted at listeners that are there, since the collector first saw each, and never reported.";
    SiteConnectors "skupper_site_connectors_total" Gauge, NONE ["site_id"]
        "Connectors of the site.";
    ServiceListeners "skupper_service_listeners" Gauge, NONE ["routing_key", "protocol"]
        "Listeners of the service.";
    ServiceConnectors "skupper_service_connectors" Gauge, NONE ["routing_key", "protocol"]
        "Connectors of the service: without one it has no server.";
    LinkSent "skupper_link_sent_bytes_total" Counter, LINK []
        "Octets over links, from the router that sets the link up to the other, since the collector first saw each link.";
    LinkReceived "skupper_link_received_bytes_total" Counter, LINK []
        "Octets over links, to the router that sets the link up from the other, since the collector first saw each link.";
    LinkErrors "skupper_link_errors_total" Counter, LINK []
        "How often links went down since the collector first saw each, by the router that sets the link up.";
    RouterSent "skupper_router_sent_bytes_total" Counter, NONE ["site_id", "router_name"]
        "Octets that the router sent over its links, whichever side set them up, since the collector first saw each link.";
    RouterReceived "skupper_router_received_bytes_total" Counter, NONE ["site_id", "router_name"]
        "Octets that the router received over its links, whichever side set them up, since the collector first saw each link.";
    CertificateErrors "skupper_router_certificate_errors_total" Counter, NONE ["site_id", "router_name"]
        "Times that the router logged that a certificate has expired or was not accepted, its own or that of another.";

    Build "vanflow_collector_build_info" Gauge, NONE ["version"]
        "1, with the version of the collector.";
    Attached "vanflow_collector_attached" Gauge, NONE []
        "1 while there is a connection to a router, or to what stands in for one.";
    Ready "vanflow_collector_ready" Gauge, NONE []
        "1 while the collector is attached and its sources were asked for all of their records: what it shows is up to date.";
    RouterConnections "vanflow_collector_router_connections_total" Counter, NONE []
        "AMQP connections to the router that came about; all but the first are reconnects.";
    RouterFailures "vanflow_collector_router_failures_total" Counter, NONE []
        "AMQP connections to the router that were lost or did not come about.";
    Messages "vanflow_collector_messages_total" Counter, NONE ["address"]
        "Messages received: all on mc/sfe.all, source, flows, logs and heartbeats on the addresses of sources.";
    MessageBytes "vanflow_collector_message_bytes_total" Counter, NONE []
        "Octets of those messages.";
    Refused "vanflow_collector_refused_total" Counter, NONE []
        "Messages and records that were not taken: too large, or not to be read.";
    BeaconsRefused "vanflow_collector_beacons_refused_total" Counter, NONE []
        "Beacons that were passed over: too many sources, or an address that another source has.";
    Lost "vanflow_collector_messages_lost_total" Counter, NONE []
        "Messages of routers that did not come, as the ids of the others showed: what they have is asked for again.";
    OnTrial "vanflow_collector_sources_on_trial" Gauge, NONE []
        "Sources that were announced and have not been heard yet, where they are many; for 10 seconds each.";
    Flushes "vanflow_collector_flushes_total" Counter, NONE []
        "Times that a source was asked for all of its records.";
    FlushesRetried "vanflow_collector_flushes_retried_total" Counter, NONE []
        "Those times that followed one without an answer, or with half of one.";
    FlushesRefused "vanflow_collector_flushes_refused_total" Counter, NONE []
        "Those times that nobody took the question.";
    QueueLength "vanflow_collector_queue_length" Gauge, NONE []
        "Events that were received and are not merged yet. What has no room waits at the router.";
    QueueCapacity "vanflow_collector_queue_capacity" Gauge, NONE []
        "Events that may wait.";
    Lag "vanflow_collector_lag_seconds" Gauge, NONE []
        "Time from receiving the latest records to having merged them.";
    Records "vanflow_collector_records_total" Counter, NONE ["type"]
        "Updates of records that were merged, by the type that they report; unknown where they report none.";
    Oddities "vanflow_collector_oddities_total" Counter, NONE ["reason"]
        "What was strange in what sources reported, by what it was.";
    Sources "vanflow_collector_sources" Gauge, NONE ["state"]
        "Sources that are seen: complete or incomplete.";
    SourceRecords "vanflow_collector_source_records_total" Counter, NONE ["source", "source_type"]
        "Updates of records that a source sent.";
    SourceHeard "vanflow_collector_source_last_heard_timestamp_seconds" Gauge, NONE ["source", "source_type"]
        "When a source was seen last, in seconds since the Unix epoch.";
    SourceLive "vanflow_collector_source_live_records" Gauge, NONE ["source", "source_type"]
        "Records of a source whose objects exist.";
    SourceClock "vanflow_collector_source_clock_offset_seconds" Gauge, NONE ["source", "source_type"]
        "How far the clock of a source is ahead of ours.";
    SourceIncomplete "vanflow_collector_source_incomplete" Gauge, NONE ["source", "source_type"]
        "1 while some records of a source are known by halves.";
    SourceSaturated "vanflow_collector_source_saturated" Gauge, NONE ["source", "source_type"]
        "1 while a router has so many connections that it makes no records of further ones.";
    SourceRefused "vanflow_collector_source_records_refused_total" Counter, NONE ["source", "source_type"]
        "New records of a source that were refused for want of room, or since there were too many of it.";
    StoreRecords "vanflow_collector_store_records" Gauge, NONE ["type", "state"]
        "Records that are kept, live and ended.";
    StoreBytes "vanflow_collector_store_bytes" Gauge, NONE []
        "Estimated memory that records take, in octets.";
    StoreSpareBytes "vanflow_collector_store_spare_bytes" Gauge, NONE []
        "Memory of rows that records have left, in octets: it is kept for records to come, beside that of those that are here.";
    Resident "process_resident_memory_bytes" Gauge, NONE []
        "Resident memory of the process, in octets; not where the system does not say.";
    Heap "vanflow_collector_heap_bytes" Gauge, NONE []
        "What the process has allocated, in octets. What is resident beyond it is the program, and what its allocator keeps.";
    Evicted "vanflow_collector_store_evicted_total" Counter, NONE []
        "Ended records that left, for their age or for the memory bound.";
    Watchers "vanflow_collector_watchers" Gauge, NONE []
        "Clients that watch a list.";
    HttpRequests "vanflow_collector_http_requests_total" Counter, NONE ["route", "code"]
        "HTTP requests, by route and status; the route is none where there is nothing.";
    HttpSeconds "vanflow_collector_http_request_duration_seconds" Histogram(ANSWERS), NONE ["route"]
        "Time that making the answer took, without the time that the client took to take it. Watches are left out.";
    TurnedAway "vanflow_collector_http_turned_away_total" Counter, NONE ["reason"]
        "Requests that were refused, and connections that were refused or cut off, for the sake of others.";
    LogInsFailed "vanflow_collector_failed_log_ins_total" Counter, NONE ["reason"]
        "Names with passwords, and tokens, that were wrong, by what was wrong of them.";
    HistorySeries "vanflow_collector_history_series" Gauge, NONE []
        "Series that are kept for charts, those that ended included.";
    HistoryBytes "vanflow_collector_history_bytes" Gauge, NONE []
        "Memory that they take, in octets.";
    HistoryEvicted "vanflow_collector_history_evicted_series_total" Counter, NONE []
        "Series that ended and left before their time, for want of memory.";
    HistoryRefused "vanflow_collector_history_refused_samples_total" Counter, NONE []
        "Samples of new series that were not kept, for want of memory.";
    EndedRows "vanflow_collector_ended_rows" Gauge, NONE ["kind"]
        "Connections and requests that have ended and are kept on disk.";
    EndedBytes "vanflow_collector_ended_bytes" Gauge, NONE ["kind"]
        "Octets that they take on disk.";
    EndedMemory "vanflow_collector_ended_memory_bytes" Gauge, NONE ["kind"]
        "Memory that those of them take that are in no file yet, in octets.";
    EndedSince "vanflow_collector_ended_since_seconds" Gauge, NONE ["kind"]
        "When the earliest of them ended, in seconds since the Unix epoch.";
    EndedWritten "vanflow_collector_ended_written_total" Counter, NONE ["to"]
        "Connections and requests that have ended and were written there: to the history, the flow-log, the clickhouse or the bucket.";
    EndedLost "vanflow_collector_ended_lost_total" Counter, NONE ["to"]
        "Those that were not written there and will not be: the disk was full for too long, or they were evicted before.";
    Lanes "vanflow_collector_lanes" Gauge, NONE []
        "Ways that connections take: distinct combinations of listener, client host, connector and the processes at both ends.";
    Series "vanflow_collector_flow_series" Gauge, NONE []
        "Label sets that connections are counted by.";
}

impl Name {
    pub(crate) fn metric(self) -> &'static Metric {
        &METRICS[self as usize]
    }

    /// The metric that has that name.
    pub(crate) fn find(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.metric().name == name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_say_what_they_are() {
        let mut names = HashSet::new();
        for name in Name::ALL {
            let Metric { name: text, form, help, labels } = name.metric();
            assert!(names.insert(text), "{text} is there twice");
            assert_eq!(Name::find(text), Some(*name));
            assert!(help.ends_with('.') && !help.contains(['\\', '\n', '"']), "{text}: {help}");
            assert!(*form != Form::Counter || text.ends_with("_total"), "{text}");
            let distinct: HashSet<_> = labels.iter().collect();
            assert_eq!(distinct.len(), labels.len(), "{text}");
        }
    }
}
