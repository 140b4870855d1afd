//! What somebody on call asks: what fails and why, how slow it is, what passes over links, whose certificate expired.

use vanflow_api::ApiOptions;
use vanflow_proto::{Attribute, RecordKind, Timestamp, UpdateBuf};
use vanflow_store::Store;

use super::{
    connections::{change, client, fixture, network, record, samples, scrape, server},
    lines,
};
use crate::support::{EPOCH, Fixture};

fn connection(number: u32) -> UpdateBuf {
    record(RecordKind::BiflowTport, &format!("gv_ZW:{number}"))
        .with(Attribute::Parent, "gv_ZW:1")
        .with(Attribute::SourceHost, "10.0.0.1")
        .with(Attribute::Connector, "e:1")
}

/// The values of a metric by the labels of that name.
fn by(fixture: &Fixture, metric: &str, labels: &[&str]) -> Vec<(String, f64)> {
    let all = samples(&scrape(fixture), &format!("{metric}{{"));
    let label = |line: &str, name: &str| {
        let rest = line.split_once(&format!("{name}=\"")).map_or("", |(_, rest)| rest);
        rest.split('"').next().unwrap_or_default().to_owned()
    };
    let mut all: Vec<_> = all
        .into_iter()
        .map(|(line, value)| {
            (labels.iter().map(|name| label(&line, name)).collect::<Vec<_>>().join(" "), value)
        })
        .collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all
}

#[test]
fn failed_connections_are_counted_by_side_and_by_one_of_few_reasons() {
    let mut fixture = fixture(|_| {});
    fixture.report(&[client(), server()]);
    let refused = "proton:io (Connection refused - on connect 10.0.0.2:80)";
    fixture.report(&[
        connection(2)
            .with(Attribute::ErrorConnectorSide, refused)
            .with(Attribute::ErrorListenerSide, "delivery-failed (destination unreachable)"),
        connection(3).with(Attribute::ErrorListenerSide, "delivery-failed (destination unreachable)"),
        connection(4),
    ]);
    // A source that makes reasons up makes no label sets with them.
    let odd: Vec<_> = (5..300)
        .map(|number| connection(number).with(Attribute::ErrorListenerSide, format!("x{number}")))
        .collect();
    fixture.report(&odd);
    assert_eq!(
        by(
            &fixture,
            "skupper_connections_failed_total",
            &["routing_key", "dest_process_name", "side", "reason"]
        ),
        [
            ("shop server-1 connector refused".to_owned(), 1.0),
            ("shop server-1 listener other".to_owned(), 295.0),
            ("shop server-1 listener unreachable".to_owned(), 2.0),
        ]
    );
    // An end that comes later changes nothing, nor does a connection that leaves the store.
    fixture.report(&[change(RecordKind::BiflowTport, "gv_ZW:2").with(Attribute::EndTime, EPOCH + 5)]);
    fixture.publisher.write().advance(Timestamp::from_micros(EPOCH + 100_000_000_000));
    fixture.publisher.publish();
    assert_eq!(by(&fixture, "skupper_connections_failed_total", &["reason"])[0], ("other".to_owned(), 295.0));
}

#[test]
fn a_percentile_of_latencies_is_that_of_the_records_within_a_tenth() {
    let options = || {
        let mut options = ApiOptions::default();
        options.metrics.zero_for = std::time::Duration::ZERO;
        options.history = Some(vanflow_history::HistoryOptions::default());
        options
    };
    let mut fixture = Fixture::with_options(Store::new(vanflow_store::StoreOptions::default()), options());
    fixture.report(&network());
    fixture.report(&[client(), server()]);
    let at = |seconds: u64| Timestamp::from_micros(EPOCH + seconds * 1_000_000);
    fixture.report(&[connection(2)]);
    fixture.api.remember(at(10));
    // From 0.3 to 60 ms, as many of them fast as services have.
    let mut latencies: Vec<u64> = (0..400_u64).map(|number| 300 + number * number * 373 / 1000).collect();
    let requests: Vec<_> = latencies
        .iter()
        .enumerate()
        .map(|(number, latency)| {
            record(RecordKind::BiflowApp, &format!("gv_ZW:{}", 1000 + number))
                .with(Attribute::Parent, "gv_ZW:2")
                .with(Attribute::EndTime, EPOCH + 5)
                .with(Attribute::Protocol, "HTTP/1.1")
                .with(Attribute::Latency, *latency)
        })
        .collect();
    fixture.report(&requests);
    fixture.api.remember(at(15));
    latencies.sort_unstable();
    for quantile in [50, 90, 95, 99] {
        let query = format!(
            "histogram_quantile(0.{quantile},sum+by(le)(increase(skupper_request_latency_seconds_bucket%5B1m%5D)))"
        );
        let path = format!("/prometheus/api/v1/query?query={query}&time={}", EPOCH / 1_000_000 + 15);
        let answer = fixture.get(&path).json();
        let value = answer["data"]["result"][0]["value"][1].as_str().unwrap_or_else(|| panic!("{answer}"));
        let value: f64 = value.parse().expect("a number");
        let exact = latencies[(latencies.len() * quantile).div_ceil(100) - 1] as f64 / 1e6;
        assert!((value / exact - 1.0).abs() <= 0.1, "p{quantile}: {value} is not {exact}");
    }
    let buckets = by(&fixture, "skupper_request_latency_seconds_bucket", &["le"]);
    assert_eq!(buckets.len(), 3 * 25 + 2, "0.1 to 100 ms, and all above");
}

#[test]
fn all_label_sets_of_a_latency_have_the_same_bounds() {
    let mut fixture = fixture(|_| {});
    fixture.report(&[client(), server()]);
    let with = |number, latency: u64, process: u64| {
        connection(number).with(Attribute::Latency, latency).with(Attribute::ProcessLatency, process)
    };
    fixture.report(&[with(2, 1_500, 400)]);
    let bounds = |fixture: &Fixture, side: &str| {
        let buckets = by(fixture, "skupper_connection_latency_seconds_bucket", &["side", "le"]);
        buckets.into_iter().filter(|(labels, _)| labels.starts_with(side)).count()
    };
    assert_eq!((bounds(&fixture, "listener"), bounds(&fixture, "connector")), (52, 52), "0.1 to 10 ms");
    fixture.report(&[with(3, 250_000_000, 400)]);
    assert_eq!((bounds(&fixture, "listener"), bounds(&fixture, "connector")), (152, 152));
    assert_eq!(
        by(&fixture, "skupper_connection_latency_seconds_count", &["side"]),
        [("connector".to_owned(), 2.0), ("listener".to_owned(), 2.0)]
    );
    assert_eq!(
        by(&fixture, "skupper_connection_latency_seconds_sum", &["side"]),
        [("connector".to_owned(), 0.0008), ("listener".to_owned(), 250.0015)]
    );
}

#[test]
fn a_service_shows_whether_it_has_a_server() {
    let mut fixture = fixture(|_| {});
    let connectors =
        |fixture: &Fixture| by(fixture, "skupper_service_connectors", &["routing_key", "protocol"]);
    assert_eq!(connectors(&fixture), [("shop tcp".to_owned(), 1.0)]);
    fixture.report(&[change(RecordKind::Connector, "e:1").with(Attribute::EndTime, EPOCH + 5)]);
    assert_eq!(connectors(&fixture), [("shop tcp".to_owned(), 0.0)]);
    fixture.report(&[change(RecordKind::Listener, "gv_ZW:1").with(Attribute::EndTime, EPOCH + 5)]);
    assert_eq!(connectors(&fixture), [], "there is no such service any more");
}

#[test]
fn octets_of_links_are_those_since_they_were_first_seen_and_routers_have_those_of_their_links() {
    let mut fixture = fixture(|_| {});
    fixture.report(&[
        change(RecordKind::Router, "gv_ZW:0").with(Attribute::Name, "0/west"),
        change(RecordKind::Router, "e:0").with(Attribute::Name, "0/east"),
        record(RecordKind::RouterAccess, "e:7").with(Attribute::Parent, "e:0"),
        record(RecordKind::Link, "gv_ZW:7")
            .with(Attribute::Parent, "gv_ZW:0")
            .with(Attribute::Peer, "e:7")
            .with(Attribute::Name, "link1")
            .with(Attribute::Role, "inter-router")
            .with(Attribute::Octets, 1000)
            .with(Attribute::OctetsReverse, 70),
    ]);
    let link = |fixture: &Fixture, metric: &str| {
        by(fixture, metric, &["site_id", "router_name", "dest_site_id", "dest_router_name", "role", "link"])
    };
    let between = "west-1 0/west east-1 0/east inter-router link1".to_owned();
    assert_eq!(link(&fixture, "skupper_link_sent_bytes_total"), [(between.clone(), 0.0)]);
    let counted = |octets, reverse| {
        let link = change(RecordKind::Link, "gv_ZW:7");
        link.with(Attribute::Octets, octets).with(Attribute::OctetsReverse, reverse)
    };
    fixture.report(&[counted(1500, 100)]);
    assert_eq!(link(&fixture, "skupper_link_sent_bytes_total"), [(between.clone(), 500.0)]);
    assert_eq!(link(&fixture, "skupper_link_received_bytes_total"), [(between, 30.0)]);
    let routers = |metric| by(&fixture, metric, &["router_name"]);
    assert_eq!(
        routers("skupper_router_sent_bytes_total"),
        [("0/east".to_owned(), 30.0), ("0/west".to_owned(), 500.0)]
    );
    assert_eq!(
        routers("skupper_router_received_bytes_total"),
        [("0/east".to_owned(), 500.0), ("0/west".to_owned(), 30.0)]
    );
    fixture.report(&[change(RecordKind::Link, "gv_ZW:7").with(Attribute::EndTime, EPOCH + 5)]);
    assert_eq!(by(&fixture, "skupper_link_sent_bytes_total", &[]), []);
}

#[test]
fn what_a_link_had_of_a_counter_when_that_was_first_reported_is_no_growth() {
    // faults 1: the rest of a record that is known by halves comes later
    let mut fixture = fixture(|_| {});
    let link = |fixture: &mut Fixture, attribute, count| {
        fixture.report(&[change(RecordKind::Link, "gv_ZW:7").with(attribute, count)]);
        fixture.get("/metrics");
    };
    fixture.report(&[record(RecordKind::Link, "gv_ZW:7").with(Attribute::Parent, "gv_ZW:0")]);
    link(&mut fixture, Attribute::DownCount, 3);
    link(&mut fixture, Attribute::Octets, 1_000_000);
    link(&mut fixture, Attribute::Octets, 1_000_007);
    assert_eq!(by(&fixture, "skupper_link_sent_bytes_total", &[]), [(String::new(), 7.0)]);
    link(&mut fixture, Attribute::DownCount, 4);
    assert_eq!(by(&fixture, "skupper_link_errors_total", &[]), [(String::new(), 1.0)]);
    assert_eq!(by(&fixture, "skupper_site_link_errors_total", &[]), [(String::new(), 1.0)]);
}

#[test]
fn what_routers_log_of_certificates_is_counted_once() {
    let mut fixture = fixture(|_| {});
    let log = |id: &str, text: &str| {
        record(RecordKind::Log, id)
            .with(Attribute::Parent, "e:0")
            .with(Attribute::EndTime, EPOCH)
            .with(Attribute::LogSeverity, 3)
            .with(Attribute::LogText, text)
    };
    let expired = "LOG_SERVER: [C3] Connection to west:55671 failed: amqp:connection:framing-error SSL Failure: \
                   error:0A000415:SSL routines::sslv3 alert certificate expired";
    let refused = "LOG_SERVER: [C8] Connection from 10.1.2.3:51042 (to :55671) failed: amqp:connection:framing-error \
                   SSL Failure: error:0A000086:SSL routines::certificate verify failed";
    let other = "LOG_SERVER: [C6] Connection from 10.1.2.3:51042 (to :55671) failed: amqp:connection:framing-error \
                 connection aborted";
    let errors = |fixture: &Fixture| by(fixture, "skupper_router_certificate_errors_total", &["site_id"]);
    assert_eq!(errors(&fixture), [("east-1".to_owned(), 0.0), ("west-1".to_owned(), 0.0)]);
    fixture.report(&[log("e:100", expired), log("e:101", other)]);
    assert_eq!(errors(&fixture)[0].1, 1.0);
    fixture.report(&[log("e:102", refused)]);
    fixture.report(&[log("e:100", expired)]);
    assert_eq!(errors(&fixture), [("east-1".to_owned(), 2.0), ("west-1".to_owned(), 0.0)]);
    assert!(lines(&fixture.get("/metrics"), "# TYPE skupper_router_certificate").len() == 1);
}
