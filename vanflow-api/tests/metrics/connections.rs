//! What connections do, as counters: labels, growth, birth and release.

use std::{collections::HashMap, time::Duration};

use http_body_util::BodyExt;
use vanflow_api::{
    ApiOptions,
    metrics::{self, Detail},
};
use vanflow_history::HistoryOptions;
use vanflow_proto::{Attribute, RecordKind, SourceType, Timestamp, UpdateBuf};
use vanflow_store::Store;

use crate::support::{
    CAPTURES, EPOCH, Fixture, apply, capture_path, replay, replay_retained, replay_watched, request,
};

/// Labels of connections from the client to the server through the service `shop`.
const BETWEEN: &str = "source_site_id=\"west-1\",dest_site_id=\"east-1\",source_site_name=\"west\",\
    dest_site_name=\"east\",source_component_id=\"pg-065db63da765a6ff\",\
    dest_component_id=\"pg-1ae2866d06f6ef13\",source_component_name=\"client\",dest_component_name=\"server\",\
    routing_key=\"shop\",protocol=\"tcp\",source_process_name=\"client-1\",dest_process_name=\"server-1\"";

pub(super) fn record(kind: RecordKind, id: &str) -> UpdateBuf {
    UpdateBuf::new(kind, id).with(Attribute::StartTime, EPOCH)
}

pub(super) fn change(kind: RecordKind, id: &str) -> UpdateBuf {
    UpdateBuf::new(kind, id)
}

/// Two sites with a router each, a listener here and a connector there.
pub(super) fn network() -> Vec<UpdateBuf> {
    let mut updates = Vec::new();
    for (site, router) in [("west", "gv_ZW:0"), ("east", "e:0")] {
        let id = format!("{site}-1");
        updates.push(record(RecordKind::Site, &id).with(Attribute::Name, site));
        updates.push(record(RecordKind::Router, router).with(Attribute::Parent, id));
    }
    let shop = |update: UpdateBuf, router: &str| {
        update
            .with(Attribute::Parent, router)
            .with(Attribute::VanAddress, "shop")
            .with(Attribute::Protocol, "tcp")
    };
    updates.push(shop(record(RecordKind::Listener, "gv_ZW:1"), "gv_ZW:0"));
    updates.push(shop(record(RecordKind::Connector, "e:1"), "e:0").with(Attribute::DestHost, "10.0.0.2"));
    updates
}

pub(super) fn process(id: &str, site: &str, host: &str, name: &str, group: &str) -> UpdateBuf {
    record(RecordKind::Process, id)
        .with(Attribute::Parent, site)
        .with(Attribute::SourceHost, host)
        .with(Attribute::Name, name)
        .with(Attribute::Group, group)
}

pub(super) fn client() -> UpdateBuf {
    process("p1", "west-1", "10.0.0.1", "client-1", "client")
}

pub(super) fn server() -> UpdateBuf {
    process("p2", "east-1", "10.0.0.2", "server-1", "server")
}

fn connection(number: u32) -> UpdateBuf {
    record(RecordKind::BiflowTport, &format!("gv_ZW:{number}"))
        .with(Attribute::Parent, "gv_ZW:1")
        .with(Attribute::SourceHost, "10.0.0.1")
        .with(Attribute::Connector, "e:1")
}

fn octets(number: u32, octets: u64) -> UpdateBuf {
    change(RecordKind::BiflowTport, &format!("gv_ZW:{number}")).with(Attribute::Octets, octets)
}

fn end(number: u32) -> UpdateBuf {
    change(RecordKind::BiflowTport, &format!("gv_ZW:{number}")).with(Attribute::EndTime, EPOCH + 5)
}

pub(super) fn fixture(set: impl FnOnce(&mut metrics::MetricsOptions)) -> Fixture {
    let mut options = ApiOptions::default();
    options.metrics.zero_for = Duration::ZERO;
    set(&mut options.metrics);
    let mut fixture = Fixture::with_options(Store::new(vanflow_store::StoreOptions::default()), options);
    fixture.report(&network());
    fixture
}

pub(super) fn scrape(fixture: &Fixture) -> Vec<String> {
    fixture.get("/metrics").text().lines().map(str::to_owned).collect()
}

/// The values of a metric by the rest of the line.
pub(super) fn samples(lines: &[String], start: &str) -> Vec<(String, f64)> {
    let lines = lines.iter().filter(|line| line.starts_with(start));
    let split = lines.filter_map(|line| line.rsplit_once(' '));
    split.map(|(labels, value)| (labels.to_owned(), value.parse().expect("a number"))).collect()
}

/// Opened, closed, sent and received, of each label set of which any is more than 0, by the names of the processes.
fn counts(lines: &[String]) -> Vec<(String, [f64; 4])> {
    let metrics =
        ["connections_opened_total", "connections_closed_total", "sent_bytes_total", "received_bytes_total"];
    let columns = metrics.map(|name| samples(lines, &format!("skupper_{name}{{")));
    let mut counts: Vec<_> = columns[0]
        .iter()
        .enumerate()
        .map(|(row, (labels, _))| {
            let label = |name: &str| labels.split_once(name).unwrap().1.split('"').nth(1).unwrap();
            let between = format!("{} > {}", label("source_process_name"), label("dest_process_name"));
            (between, [0, 1, 2, 3].map(|column| columns[column][row].1))
        })
        .collect();
    counts.sort_by(|left, right| left.0.cmp(&right.0));
    counts
}

#[test]
fn connections_are_counted_by_where_they_come_from_and_where_they_go() {
    let mut fixture = fixture(|_| {});
    fixture.report(&[client(), server()]);
    fixture.report(&[connection(2), connection(3), octets(2, 70).with(Attribute::OctetsReverse, 7), end(3)]);
    let lines = scrape(&fixture);
    for (metric, value) in
        [("connections_opened", 2), ("connections_closed", 1), ("sent_bytes", 70), ("received_bytes", 7)]
    {
        let expected = format!("skupper_{metric}_total{{{BETWEEN}}} {value}");
        assert!(lines.contains(&expected), "{expected} is not in {lines:#?}");
    }
}

#[test]
fn requests_are_counted_by_method_and_class_when_they_have_ended() {
    let mut fixture = fixture(|_| {});
    fixture.report(&[client(), server(), connection(2)]);
    let request = |number: u32, method: &str, result: &str| {
        record(RecordKind::BiflowApp, &format!("gv_ZW:{number}"))
            .with(Attribute::Parent, "gv_ZW:2")
            .with(Attribute::Protocol, "HTTP/1.1")
            .with(Attribute::Method, method)
            .with(Attribute::Result, result)
    };
    let ended = |update: UpdateBuf| update.with(Attribute::EndTime, EPOCH + 9);
    fixture.report(&[
        ended(request(3, "get", "200")),
        ended(request(4, "GET", "204")),
        ended(request(5, "BREW", "418")),
        ended(request(6, "GET", "")),
        request(7, "GET", "200"),
    ]);
    let labels = BETWEEN.replace("protocol=\"tcp\"", "protocol=\"http1\"");
    let found = samples(&scrape(&fixture), "skupper_requests_total");
    let expected = [("GET", "2xx", 2.0), ("GET", "unknown", 1.0), ("unknown", "4xx", 1.0)].map(
        |(method, code, count)| {
            (format!("skupper_requests_total{{{labels},method=\"{method}\",code=\"{code}\"}}"), count)
        },
    );
    assert_eq!(found, expected);
}

#[test]
fn outgoing_latencies_are_seen_from_the_other_side_components_included() {
    let mut fixture = fixture(|_| {});
    fixture.report(&[client(), server()]);
    let latencies = |number, there: u64, back: u64| {
        connection(number).with(Attribute::Latency, there).with(Attribute::ProcessLatency, back)
    };
    fixture.report(&[latencies(2, 1500, 900), latencies(3, 20_000_000, 900), connection(4)]);
    let lines = scrape(&fixture);
    let incoming =
        format!("legacy_flow_latency_microseconds_sum{{{BETWEEN},direction=\"incoming\"}} 20001500.0");
    assert!(lines.contains(&incoming), "{incoming} is not in {lines:#?}");
    let outgoing: Vec<_> = samples(&lines, "legacy_flow_latency_microseconds_count")
        .into_iter()
        .filter(|(labels, _)| labels.contains("direction=\"outgoing\""))
        .collect();
    let [(labels, count)] = outgoing.as_slice() else { panic!("one label set: {outgoing:?}") };
    assert_eq!(*count, 2.0);
    for label in [
        "source_site_id=\"east-1\"",
        "dest_site_name=\"west\"",
        "source_component_name=\"server\"",
        "dest_component_id=\"pg-065db63da765a6ff\"",
        "source_process_name=\"server-1\"",
        "dest_process_name=\"client-1\"",
        "routing_key=\"shop\"",
    ] {
        assert!(labels.contains(label), "{label} is not in {labels}");
    }
    let buckets = samples(&lines, "legacy_flow_latency_microseconds_bucket{le=\"2000\"");
    assert_eq!(buckets.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [1.0, 2.0]);
    let internal = format!("skupper_internal_latency_seconds_sum{{{BETWEEN}}} 19.9997");
    assert!(lines.contains(&internal), "{internal} is not in {lines:#?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_counted_of_a_connection_of_which_nothing_is_known_yet() {
    let mut fixture = fixture(|_| {});
    fixture.report(&[client(), server()]);
    // With a second connector it can be either.
    fixture.report(&[record(RecordKind::Connector, "e:9")
        .with(Attribute::Parent, "e:0")
        .with(Attribute::VanAddress, "shop")
        .with(Attribute::Protocol, "tcp")
        .with(Attribute::DestHost, "10.0.0.9")]);
    let unresolved = UpdateBuf {
        attributes: connection(2)
            .attributes
            .into_iter()
            .filter(|(code, _)| *code != Attribute::Connector.code())
            .collect(),
        ..connection(2)
    };
    fixture.report(&[unresolved]);
    let until = |second: u64| Timestamp::from_micros(EPOCH + second * 1_000_000);
    assert_eq!(counts(&scrape_later(&fixture).await), []);
    fixture.report(&[octets(2, 5)]);
    fixture.publisher.write().advance(until(14));
    assert_eq!(counts(&scrape_later(&fixture).await), [], "the connector may be reported yet");
    fixture.publisher.write().advance(until(15));
    assert_eq!(counts(&scrape_later(&fixture).await), [("client-1 > unknown".into(), [1.0, 0.0, 5.0, 0.0])]);
    fixture.report(&[connection(2), octets(2, 9)]);
    // What was counted before stays there, and only what is new is counted with the connector.
    assert_eq!(
        counts(&scrape_later(&fixture).await),
        [
            ("client-1 > server-1".into(), [0.0, 0.0, 4.0, 0.0]),
            ("client-1 > unknown".into(), [1.0, 0.0, 5.0, 0.0]),
        ]
    );
    fixture.report(&[octets(2, 11), end(2)]);
    assert_eq!(
        counts(&scrape_later(&fixture).await),
        [
            ("client-1 > server-1".into(), [0.0, 0.0, 6.0, 0.0]),
            ("client-1 > unknown".into(), [1.0, 1.0, 5.0, 0.0]),
        ]
    );
}

#[test]
fn what_a_capture_comes_to_is_there_when_it_is_at_its_end() {
    let mut fixture = fixture(|options| options.zero_for = Duration::from_secs(15));
    let connected = connection(2).with(Attribute::Latency, 1500);
    fixture.report(&[client(), server(), connected, octets(2, 5)]);
    let latencies = |fixture: &Fixture| {
        let all = samples(&scrape(fixture), "skupper_connection_latency_seconds_count");
        all.iter().map(|(_, count)| count).sum::<f64>()
    };
    let waiting = UpdateBuf {
        attributes: connection(3)
            .attributes
            .into_iter()
            .filter(|(code, _)| *code == Attribute::StartTime.code())
            .collect(),
        ..connection(3)
    };
    fixture.report(&[waiting.with(Attribute::Parent, "gv_ZW:9")]);
    assert_eq!(counts(&scrape(&fixture)), [("client-1 > server-1".into(), [0.0; 4])]);
    assert_eq!(latencies(&fixture), 0.0);
    fixture.publisher.update_status(|status| status.complete = true);
    assert_eq!(
        counts(&scrape(&fixture)),
        [
            ("client-1 > server-1".into(), [1.0, 0.0, 5.0, 0.0]),
            ("unknown > unknown".into(), [1.0, 0.0, 0.0, 0.0]),
        ],
        "at once, and all of it"
    );
    assert_eq!(latencies(&fixture), 1.0);
}

#[test]
fn a_connector_reported_between_two_scrapes_counts_no_connection_twice() {
    let mut fixture = fixture(|_| {});
    fixture.report(&[client(), server()]);
    let without_connector = record(RecordKind::BiflowTport, "gv_ZW:2")
        .with(Attribute::Parent, "gv_ZW:1")
        .with(Attribute::SourceHost, "10.0.0.1");
    fixture.report(&[without_connector, octets(2, 5)]);
    let expected = |octets| [("client-1 > server-1".to_owned(), [1.0, 0.0, octets, 0.0])];
    assert_eq!(counts(&scrape(&fixture)), expected(5.0), "there is one connector that it can be");
    fixture.report(&[connection(2), octets(2, 8)]);
    assert_eq!(counts(&scrape(&fixture)), expected(8.0));
}

#[test]
fn a_process_that_is_reported_late_takes_over_what_was_counted() {
    let mut fixture = fixture(|_| {});
    fixture.report(&[server(), connection(2), octets(2, 5)]);
    let implied = "site-client-10.0.0.1-west > server-1".to_owned();
    assert_eq!(counts(&scrape(&fixture)), [(implied, [1.0, 0.0, 5.0, 0.0])]);
    fixture.report(&[client(), octets(2, 7)]);
    assert_eq!(counts(&scrape(&fixture)), [("client-1 > server-1".into(), [1.0, 0.0, 7.0, 0.0])]);
}

#[test]
fn what_was_counted_goes_into_the_label_set_that_all_of_it_turns_out_to_have() {
    let mut fixture = fixture(|_| {});
    fixture.report(&[client(), server(), connection(2), octets(2, 5), end(2)]);
    // A restarted router has another connector to the same server, whose address is reported after connections to it.
    let connector = |host: Option<&str>| {
        let connector = record(RecordKind::Connector, "e:9")
            .with(Attribute::Parent, "e:0")
            .with(Attribute::VanAddress, "shop")
            .with(Attribute::Protocol, "tcp");
        host.into_iter().fold(connector, |connector, host| connector.with(Attribute::DestHost, host))
    };
    let request = record(RecordKind::BiflowApp, "gv_ZW:8").with(Attribute::Parent, "gv_ZW:3");
    fixture.report(&[
        connector(None),
        connection(3)
            .with(Attribute::Connector, "e:9")
            .with(Attribute::Latency, 1500)
            .with(Attribute::ProcessLatency, 900),
        octets(3, 7),
        request.with(Attribute::EndTime, EPOCH + 1),
    ]);
    let before = counts(&scrape(&fixture));
    assert_eq!(before.len(), 2, "{before:?}");
    fixture.report(&[connector(Some("10.0.0.2"))]);
    let lines = scrape(&fixture);
    assert_eq!(counts(&lines), [("client-1 > server-1".into(), [2.0, 1.0, 12.0, 0.0])]);
    let sum = |name: &str| samples(&lines, name).into_iter().map(|(_, count)| count).sum::<f64>();
    assert_eq!(sum("skupper_requests_total"), 1.0);
    assert_eq!(sum("skupper_internal_latency_seconds_count"), 1.0);
    fixture.report(&[end(3)]);
    assert_eq!(counts(&scrape(&fixture)), [("client-1 > server-1".into(), [2.0, 2.0, 12.0, 0.0])]);
}

#[test]
fn counters_outlive_the_connections_and_go_with_a_process() {
    let mut fixture = fixture(|_| {});
    fixture.report(&[client(), server(), connection(2), octets(2, 5), end(2)]);
    let other = connection(3).with(Attribute::SourceHost, "10.0.0.77");
    fixture.report(&[other, end(3)]);
    let between = ("client-1 > server-1".to_owned(), [1.0, 1.0, 5.0, 0.0]);
    let implied = ("site-client-10.0.0.77-west > server-1".to_owned(), [1.0, 1.0, 0.0, 0.0]);
    assert_eq!(counts(&scrape(&fixture)), [between.clone(), implied]);
    // The connections leave, and a minute later their lanes.
    for minutes in [20, 40, 60] {
        let now = Timestamp::from_micros(EPOCH + minutes * 60_000_000);
        while fixture.publisher.write().advance(now) {}
    }
    assert_eq!(
        counts(&scrape(&fixture)),
        std::slice::from_ref(&between),
        "nobody said that the host has a process"
    );
    fixture.report(&[connection(4)]);
    assert_eq!(counts(&scrape(&fixture))[0].1, [2.0, 1.0, 5.0, 0.0], "it goes on from there");
    fixture.report(&[end(4), change(RecordKind::Process, "p1").with(Attribute::EndTime, EPOCH + 3)]);
    for minutes in [100, 120, 140] {
        let now = Timestamp::from_micros(EPOCH + minutes * 60_000_000);
        while fixture.publisher.write().advance(now) {}
    }
    assert_eq!(counts(&scrape(&fixture)), []);
}

#[test]
fn coarser_series_have_the_same_labels_and_fewer_values() {
    for (detail, expected) in [
        (Detail::Component, ["client > server", "server > server", "site-clients-west > server"].as_slice()),
        (Detail::Site, ["west > east"].as_slice()),
    ] {
        let mut fixture = fixture(|options| options.detail = detail);
        fixture.report(&[client(), server(), process("p3", "west-1", "10.0.0.3", "client-2", "client")]);
        let from = |number, host: &str| connection(number).with(Attribute::SourceHost, host);
        fixture.report(&[
            connection(2),
            from(3, "10.0.0.3"),
            from(4, "10.0.0.7"),
            from(5, "10.0.0.8"),
            octets(5, 3),
        ]);
        let lines = scrape(&fixture);
        let found = counts(&lines);
        let names: Vec<_> = found
            .iter()
            .map(|(between, _)| between.as_str())
            .filter(|name| *name != "server > server")
            .collect();
        let expected: Vec<_> = expected.iter().copied().filter(|name| *name != "server > server").collect();
        assert_eq!(names, expected);
        assert_eq!(found.iter().map(|(_, counts)| counts[0]).sum::<f64>(), 4.0);
        let labels = samples(&lines, "skupper_connections_opened_total")[0].0.matches("=\"").count();
        assert_eq!(labels, BETWEEN.matches("=\"").count());
        assert!(!lines.iter().any(|line| line.contains("=\"\"")), "each label has a value");
    }
}

async fn scrape_later(fixture: &Fixture) -> Vec<String> {
    let (_, body) = fixture.respond(request("/metrics")).into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    str::from_utf8(&body).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test(start_paused = true)]
async fn a_counter_is_0_before_it_is_more() {
    let mut fixture = fixture(|options| options.zero_for = Duration::from_secs(15));
    fixture.report(&[client(), server()]);
    fixture.report(&[connection(2), octets(2, 5)]);
    let names = "client-1 > server-1".to_owned();
    assert_eq!(counts(&scrape_later(&fixture).await), [(names.clone(), [0.0; 4])]);
    tokio::time::advance(Duration::from_millis(14_999)).await;
    fixture.report(&[octets(2, 6)]);
    assert_eq!(counts(&scrape_later(&fixture).await), [(names.clone(), [0.0; 4])]);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(counts(&scrape_later(&fixture).await), [(names.clone(), [1.0, 0.0, 6.0, 0.0])]);
    // What comes later is born later.
    let request = record(RecordKind::BiflowApp, "gv_ZW:3").with(Attribute::Parent, "gv_ZW:2");
    fixture.report(&[request.with(Attribute::Protocol, "HTTP/2").with(Attribute::EndTime, EPOCH + 1)]);
    let requests = |lines: &[String]| {
        samples(lines, "skupper_requests_total").into_iter().map(|(_, count)| count).sum::<f64>()
    };
    assert_eq!(requests(&scrape_later(&fixture).await), 0.0);
    tokio::time::advance(Duration::from_secs(15)).await;
    assert_eq!(requests(&scrape_later(&fixture).await), 1.0);
}

#[test]
fn charts_see_what_is_counted_as_it_is_and_where_it_began() {
    let mut options = ApiOptions::default();
    options.history = Some(HistoryOptions::default());
    let mut fixture = Fixture::with_options(Store::new(vanflow_store::StoreOptions::default()), options);
    let at = |seconds: u64| Timestamp::from_micros(EPOCH + seconds * 1_000_000);
    fixture.report(&network());
    fixture.api.remember(at(0));
    let latencies =
        |number| connection(number).with(Attribute::Latency, 1500).with(Attribute::ProcessLatency, 900);
    fixture.report(&[client(), server(), latencies(2), octets(2, 5)]);
    fixture.api.remember(at(5));
    let ask = |fixture: &Fixture, query: &str| {
        let query = query.replace('"', "%22");
        let answer = fixture.get(&format!("/api/v2alpha1/internal/prom/query/?query={query}")).json();
        assert_eq!(answer["status"], "success", "{answer}");
        let results = answer["data"]["result"].as_array().unwrap().clone();
        results.iter().map(|result| result["value"][1].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        ask(&fixture, "skupper_sent_bytes_total{source_process_name=\"client-1\"}"),
        ["5"],
        "though it is new"
    );
    assert_eq!(ask(&fixture, "skupper_sent_bytes_total+offset+5s"), ["0"], "it began at 0");
    let bucket = "legacy_flow_latency_microseconds_bucket{direction=\"incoming\",le=~\"1000|2000|.Inf\"}";
    assert_eq!(ask(&fixture, &format!("sum+by(le)({bucket})")), ["1", "0", "1"]);
    assert_eq!(
        ask(&fixture, "sum(skupper_connections_opened_total-skupper_connections_closed_total)"),
        ["1"]
    );
    assert_eq!(ask(&fixture, "skupper_internal_latency_seconds_count"), [""; 0], "nobody charts it");
    fixture.report(&[end(2)]);
    fixture.api.remember(at(10));
    assert_eq!(
        ask(&fixture, "sum(skupper_connections_opened_total-skupper_connections_closed_total)"),
        ["0"]
    );
    assert_eq!(ask(&fixture, "vanflow_collector_history_series").len(), 1);
}

#[test]
fn charts_are_refused_where_nothing_is_remembered() {
    let answer = fixture(|_| {}).get("/api/v2alpha1/internal/prom/query?query=up");
    assert_eq!(answer.status, http::StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        answer.text(),
        "{\"status\":\"error\",\"errorType\":\"unavailable\",\"error\":\"this collector keeps no history of its \
         metrics, and was given no Prometheus that does\"}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_label_set_that_others_take_over_is_not_0_again_for_those_who_saw_it() {
    let mut fixture = fixture(|options| options.zero_for = Duration::from_secs(15));
    fixture.report(&[server(), connection(2), octets(2, 5)]);
    scrape_later(&fixture).await;
    tokio::time::advance(Duration::from_secs(15)).await;
    scrape_later(&fixture).await;
    fixture.report(&[client()]);
    assert_eq!(
        counts(&scrape_later(&fixture).await),
        [("client-1 > server-1".into(), [1.0, 0.0, 5.0, 0.0])],
        "the client had another name; its past is no growth"
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_there_before_the_collector_is_shown_at_once() {
    let mut options = ApiOptions::default();
    options.metrics.zero_for = Duration::from_secs(15);
    let fixture = Fixture::with_options(Store::new(vanflow_store::StoreOptions::default()), options);
    let heard = Timestamp::from_micros(EPOCH + 60_000_000);
    {
        let mut store = fixture.publisher.write();
        let source = store.source_seen("gv_ZW:0", SourceType::Router, heard);
        apply(&mut store, source, &network(), heard);
        apply(&mut store, source, &[client(), server(), connection(2), octets(2, 5)], heard);
    }
    let expected = [("client-1 > server-1".to_owned(), [1.0, 0.0, 5.0, 0.0])];
    assert_eq!(counts(&scrape_later(&fixture).await), expected);
}

#[test]
fn no_counter_falls_whatever_becomes_of_a_capture() {
    for capture in CAPTURES {
        let (mut known, mut seen) = (HashMap::<String, f64>::new(), 0);
        let mut options = ApiOptions::default();
        options.metrics.zero_for = Duration::ZERO;
        let fixture = Fixture::with_options(Store::new(vanflow_store::StoreOptions::default()), options);
        // What was let go of may come again, and begins at 0 then.
        let mut messages = 0;
        replay_watched(capture, |store| {
            messages += 1;
            if messages % 7 != 0 {
                return;
            }
            let mut now = HashMap::new();
            std::mem::swap(&mut *fixture.publisher.write(), store);
            let answer = fixture.get("/metrics");
            std::mem::swap(&mut *fixture.publisher.write(), store);
            let lines: Vec<_> = answer.text().lines().map(str::to_owned).collect();
            for (labels, value) in samples(&lines, "skupper_") {
                if labels.contains("_total{")
                    && !labels.starts_with("skupper_routers")
                    && !labels.starts_with("skupper_site_")
                {
                    let before = known.get(&labels).copied().unwrap_or(0.0);
                    now.insert(labels.clone(), value);
                    assert!(value >= before, "{capture}: {labels} fell from {before} to {value}");
                }
            }
            known = now;
            seen += known.len();
        });
        assert!(seen > 0, "{capture}");
    }
}

#[test]
fn a_connection_that_returns_after_it_was_evicted_is_counted_once() {
    // faults 28: 1000 octets, 150 s of silence, then 5000 and 6000 in all; records are kept for 60 s.
    let fixture = fixture(|_| {});
    let (mut before, mut seen) = ([0.0; 4], Vec::new());
    replay_retained("../cases/router-lost-longer-than-retention", 60, |store| {
        std::mem::swap(&mut *fixture.publisher.write(), store);
        let counts = counts(&scrape(&fixture));
        std::mem::swap(&mut *fixture.publisher.write(), store);
        let Some((names, now)) = counts.first() else { return };
        assert_eq!((counts.len(), names.as_str()), (1, "cl > sv"), "{counts:?}");
        assert!(now.iter().zip(before).all(|(now, before)| *now >= before), "{now:?} after {before:?}");
        if before != *now {
            seen.push(*now);
        }
        before = *now;
    });
    let sent: Vec<_> = seen.iter().map(|[opened, closed, sent, _]| [*opened, *closed, *sent]).collect();
    assert_eq!(
        sent,
        [[1.0, 0.0, 0.0], [1.0, 0.0, 1000.0], [1.0, 1.0, 1000.0], [1.0, 1.0, 5000.0], [1.0, 1.0, 6000.0]]
    );
}

#[test]
fn a_lane_whose_connections_were_evicted_before_they_were_counted_takes_others() {
    // faults 16, 30
    let mut fixture = fixture(|_| {});
    let other = change(RecordKind::Connector, "e:2")
        .with(Attribute::StartTime, EPOCH)
        .with(Attribute::Parent, "e:0")
        .with(Attribute::VanAddress, "shop")
        .with(Attribute::Protocol, "tcp");
    fixture.report(&[client(), server(), other]);
    // Which of the two connectors it goes to is not known, so that it waits to be counted.
    let unresolved = |number: u32| {
        record(RecordKind::BiflowTport, &format!("gv_ZW:{number}"))
            .with(Attribute::Parent, "gv_ZW:1")
            .with(Attribute::SourceHost, "10.0.0.1")
    };
    fixture.report(&[unresolved(2)]);
    let opened = |fixture: &Fixture| {
        let all = samples(&scrape(fixture), "skupper_connections_opened_total{");
        all.iter().map(|(_, value)| value).sum::<f64>()
    };
    assert_eq!(opened(&fixture), 0.0);
    fixture.report(&[end(2)]);
    {
        let mut store = fixture.publisher.write();
        let later = Timestamp::from_micros(EPOCH).plus_micros(16 * 60 * 1_000_000);
        while store.advance(later) {}
        assert_eq!(store.snapshot().of_kind(RecordKind::BiflowTport).count(), 0, "it was evicted");
    }
    assert_eq!(opened(&fixture), 1.0);
    fixture.report(&[unresolved(3)]);
    assert_eq!(opened(&fixture), 1.0, "the next one waits");
    fixture.report(&[unresolved(3).with(Attribute::Connector, "e:1")]);
    assert_eq!(opened(&fixture), 2.0);
}

#[test]
fn a_presumed_end_that_is_taken_back_opens_nothing_again() {
    // faults 5, 28
    let mut fixture = fixture(|_| {});
    fixture.report(&[client(), server(), connection(2), octets(2, 5)]);
    let of = |opened, closed, sent| [("client-1 > server-1".to_owned(), [opened, closed, sent, 0.0])];
    assert_eq!(counts(&scrape(&fixture)), of(1.0, 0.0, 5.0));
    {
        let mut store = fixture.publisher.write();
        let now = Timestamp::from_micros(EPOCH);
        let router = store.source_seen("gv_ZW:0", SourceType::Router, now);
        store.source_lost(router, now, now);
    }
    let _ = scrape(&fixture);
    fixture.report(&network());
    fixture.report(&[client(), server(), connection(2), octets(2, 7)]);
    assert_eq!(counts(&scrape(&fixture)), of(1.0, 1.0, 7.0), "no counter falls");
    fixture.report(&[end(2)]);
    assert_eq!(counts(&scrape(&fixture)), of(1.0, 1.0, 7.0));
}

/// Name and labels of a sample, in one order, and its value.
fn sample(line: &str) -> Option<(String, f64)> {
    let (name, value) = line.rsplit_once(' ')?;
    let (name, labels) = name.trim_end_matches('}').split_once('{')?;
    let mut labels: Vec<_> = labels.trim_end_matches('"').split("\",").map(str::to_owned).collect();
    labels.sort_unstable();
    Some((format!("{name} {}", labels.join(" ")), value.parse().ok()?))
}

#[test]
fn the_network_observer_counted_the_same_on_the_same_messages() {
    let mut options = ApiOptions::default();
    options.metrics.zero_for = Duration::ZERO;
    let fixture = Fixture::with_options(replay("router-3.5", u64::MAX), options);
    let ours: HashMap<_, _> = scrape(&fixture).iter().filter_map(|line| sample(line)).collect();
    let observed = std::fs::read_to_string(capture_path("router-3.5-answers/metrics.txt")).unwrap();
    let mut compared = 0;
    for line in observed.lines() {
        // It leaves components as they are where it swaps all else, and says 0 of what was never reported.
        if line.starts_with("legacy_")
            && (line.contains("\"outgoing\"") || line.contains("routing_key=\"dead\""))
        {
            continue;
        }
        let (labels, value) = sample(line).expect("a sample");
        assert_eq!(ours.get(&labels), Some(&value), "{labels}");
        compared += 1;
    }
    assert_eq!(compared, 63);
}
