//! `/metrics`: formats, and what is said of the network and of the collector.

mod connections;
mod explained;
mod lanes;
mod late;
mod questions;
mod restarts;

use http::{Method, StatusCode};
use vanflow_api::{ApiOptions, metrics};
use vanflow_proto::{Attribute, RecordKind, SourceType, Timestamp, UpdateBuf};
use vanflow_store::Store;

use crate::support::{Answer, EPOCH, Fixture, replay_watched, request_by, request_with};

const OPENMETRICS: &[(&str, &str)] = &[("accept", "application/openmetrics-text;version=1.0.0,*/*;q=0.1")];

/// The lines of an answer that begin like that, in order.
pub(crate) fn lines<'a>(answer: &'a Answer, start: &str) -> Vec<&'a str> {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.text().lines().filter(|line| line.starts_with(start)).collect()
}

fn fixture(change: impl FnOnce(&mut metrics::MetricsOptions)) -> Fixture {
    let mut options = ApiOptions::default();
    change(&mut options.metrics);
    Fixture::with_options(Store::new(vanflow_store::StoreOptions::default()), options)
}

fn record(kind: RecordKind, id: &str) -> UpdateBuf {
    UpdateBuf::new(kind, id).with(Attribute::StartTime, 1)
}

/// A site with a router and a link.
fn network() -> [UpdateBuf; 3] {
    [
        record(RecordKind::Site, "west-1")
            .with(Attribute::Name, "west")
            .with(Attribute::BuildVersion, "2.1.0"),
        record(RecordKind::Router, "gv_ZW:0")
            .with(Attribute::Parent, "west-1")
            .with(Attribute::Mode, "interior"),
        record(RecordKind::Link, "gv_ZW:1")
            .with(Attribute::Parent, "gv_ZW:0")
            .with(Attribute::Role, "inter-router")
            .with(Attribute::OperStatus, "up")
            .with(Attribute::DownCount, 3),
    ]
}

#[test]
fn the_format_is_the_one_that_is_asked_for() {
    let fixture = fixture(|_| {});
    let text = fixture.get("/metrics");
    assert_eq!(text.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(text.header("vary"), Some("Accept, Accept-Encoding"));
    assert!(text.text().ends_with('\n') && !text.text().contains("# EOF"), "{}", text.text());
    let open = fixture.ask(request_with("/metrics", OPENMETRICS));
    assert_eq!(
        open.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert!(open.text().ends_with("\n# EOF\n"), "{}", open.text());
    let packed = fixture.ask(request_with("/metrics", &[("accept-encoding", "gzip")]));
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert_eq!(packed.body[..2], [0x1f, 0x8b]);
    assert_eq!(packed.header("content-length"), None, "of what, nobody knows yet");
}

#[test]
fn only_get_and_head_are_answered() {
    let fixture = fixture(|_| {});
    assert_eq!(fixture.ask(request_by(Method::HEAD, "/metrics")).status, StatusCode::OK);
    assert_eq!(fixture.ask(request_by(Method::POST, "/metrics")).status, StatusCode::METHOD_NOT_ALLOWED);
}

#[test]
fn what_a_site_has_is_there_until_it_goes() {
    let mut fixture = fixture(|_| {});
    fixture.report(&network());
    let listener = |id| record(RecordKind::Listener, id).with(Attribute::Parent, "gv_ZW:0");
    fixture.report(&[listener("gv_ZW:2"), listener("gv_ZW:3")]);
    fixture.report(&[record(RecordKind::Connector, "gv_ZW:4").with(Attribute::Parent, "gv_ZW:0")]);
    assert_eq!(
        lines(&fixture.get("/metrics"), "skupper_"),
        [
            "skupper_site_info{site_id=\"west-1\",name=\"west\",version=\"2.1.0\"} 1",
            "skupper_routers_total{site_id=\"west-1\",mode=\"interior\"} 1",
            "skupper_site_links_total{site_id=\"west-1\",role=\"inter-router\",status=\"up\"} 1",
            "skupper_site_link_errors_total{site_id=\"west-1\",role=\"inter-router\"} 0",
            "skupper_site_listeners_total{site_id=\"west-1\"} 2",
            "skupper_site_connectors_total{site_id=\"west-1\"} 1",
            "skupper_link_errors_total{site_id=\"west-1\",router_name=\"unknown\",dest_site_id=\"unknown\",dest_router_name=\"unknown\",role=\"inter-router\",link=\"unknown\"} 0",
            "skupper_router_certificate_errors_total{site_id=\"west-1\",router_name=\"unknown\"} 0",
        ]
    );
    fixture.report(&network().map(|update| update.with(Attribute::EndTime, 2)));
    assert_eq!(
        lines(&fixture.get("/metrics"), "skupper_"),
        [
            "skupper_site_listeners_total{site_id=\"west-1\"} 2",
            "skupper_site_connectors_total{site_id=\"west-1\"} 1"
        ],
        "nobody said that these went"
    );
}

#[test]
fn link_errors_grow_by_what_happened_since_a_link_was_first_seen() {
    let mut fixture = fixture(|_| {});
    let errors = |fixture: &Fixture| {
        let answer = fixture.get("/metrics");
        lines(&answer, "skupper_site_link_errors_total")
            .join("\n")
            .rsplit_once(' ')
            .map(|(_, count)| count.to_owned())
    };
    fixture.report(&network());
    assert_eq!(errors(&fixture).as_deref(), Some("0"), "three times before anybody looked");
    fixture.report(&[UpdateBuf::new(RecordKind::Link, "gv_ZW:1").with(Attribute::DownCount, 5)]);
    assert_eq!(errors(&fixture).as_deref(), Some("2"));
    let link = UpdateBuf { id: "gv_ZW:9".into(), ..network()[2].clone() };
    fixture.report(&[link]);
    assert_eq!(errors(&fixture).as_deref(), Some("2"), "another link brings its past with it");
}

#[test]
fn all_metrics_have_the_labels_of_this_collector_and_none_that_is_excluded_is_there() {
    let mut fixture = fixture(|options| {
        options.labels = vec![("network".into(), "a \"b\"".into())];
        options.exclude = vec!["skupper_site_info".into(), "vanflow_collector_build_info".into()];
    });
    fixture.report(&network());
    let answer = fixture.get("/metrics");
    for line in answer.text().lines().filter(|line| !line.starts_with('#')) {
        assert!(
            line.contains("{network=\"a \\\"b\\\"\"") || line.contains(",network=\"a \\\"b\\\"\""),
            "{line}"
        );
    }
    assert!(!answer.text().contains("_info"), "{}", answer.text());
}

#[test]
fn the_collector_says_what_it_holds_and_what_it_answered() {
    let mut fixture = fixture(|_| {});
    fixture.report(&network());
    fixture.get("/api/v1alpha1/links");
    fixture.get("/api/v1alpha1/links?limit=x");
    fixture.get("/nothing");
    let answer = fixture.get("/metrics");
    for expected in [
        "vanflow_collector_http_requests_total{route=\"/api/v1alpha1/links\",code=\"200\"} 1",
        "vanflow_collector_http_requests_total{route=\"/api/v1alpha1/links\",code=\"400\"} 1",
        "vanflow_collector_http_requests_total{route=\"none\",code=\"404\"} 1",
        "vanflow_collector_http_request_duration_seconds_count{route=\"/api/v1alpha1/links\"} 2",
        "vanflow_collector_attached 0",
        "vanflow_collector_store_records{type=\"LINK\",state=\"live\"} 1",
        "vanflow_collector_source_records_total{source=\"gv_ZW:0\",source_type=\"ROUTER\"} 3",
        "vanflow_collector_source_incomplete{source=\"gv_ZW:0\",source_type=\"ROUTER\"} 0",
        "vanflow_collector_sources{state=\"complete\"} 1",
        "vanflow_collector_oddities_total{reason=\"counter_fell\"} 0",
        "vanflow_collector_watchers 0",
    ] {
        assert!(answer.text().lines().any(|line| line == expected), "{expected} is not in {}", answer.text());
    }
}

#[test]
fn a_watcher_is_counted_until_it_leaves() {
    let fixture = fixture(|_| {});
    let watch = fixture.respond(request_with("/api/v1alpha1/links?watch=1", &[]));
    assert_eq!(
        lines(&fixture.get("/metrics"), "vanflow_collector_watchers"),
        ["vanflow_collector_watchers 1"]
    );
    drop(watch);
    let answer = fixture.get("/metrics");
    assert_eq!(lines(&answer, "vanflow_collector_watchers"), ["vanflow_collector_watchers 0"]);
    assert!(
        !answer.text().contains("duration_seconds_count{route=\"/api/v1alpha1/links\"}"),
        "{}",
        answer.text()
    );
}

#[test]
fn monitors_are_answered_what_is_for_them_and_nothing_else() {
    let fixture = fixture(|_| {});
    let status = |path| fixture.api.respond_to_monitors(&request_with(path, &[])).status();
    assert_eq!(status("/metrics"), StatusCode::OK);
    assert_eq!(status("/healthz"), StatusCode::OK);
    assert_eq!(status("/readyz"), StatusCode::SERVICE_UNAVAILABLE);
    for path in ["/api", "/api/v1alpha1/links", "/api/v2alpha1/sites", "/openapi.json"] {
        assert_eq!(status(path), StatusCode::NOT_FOUND, "{path}");
    }
}

/// The last metrics of those of a capture that begin like that; somebody scrapes all the while.
fn last_of_case(name: &str, start: &str) -> Vec<String> {
    let fixture = fixture(|options| options.zero_for = std::time::Duration::ZERO);
    let mut last = Vec::new();
    replay_watched(&format!("../cases/{name}"), |store| {
        std::mem::swap(&mut *fixture.publisher.write(), store);
        last = lines(&fixture.get("/metrics"), start).into_iter().map(str::to_owned).collect();
        std::mem::swap(&mut *fixture.publisher.write(), store);
    });
    last
}

#[test]
fn what_happened_to_a_link_while_its_router_was_silent_is_counted_once() {
    // faults 28
    for case in ["link-outage-15s", "link-outage-50s"] {
        assert_eq!(
            last_of_case(case, "skupper_site_link_errors_total"),
            ["skupper_site_link_errors_total{site_id=\"site-west\",role=\"inter-router\"} 1"],
            "{case}"
        );
    }
}

#[test]
fn a_count_of_downs_that_is_lower_is_a_new_beginning() {
    // faults 28
    let mut fixture = fixture(|_| {});
    let errors = |fixture: &Fixture| lines(&fixture.get("/metrics"), "skupper_site_link_errors").join("\n");
    fixture.report(&network());
    errors(&fixture);
    {
        let mut store = fixture.publisher.write();
        let now = Timestamp::from_micros(EPOCH + 1);
        let router = store.source_seen("gv_ZW:0", SourceType::Router, now);
        store.source_restarted(router, now);
    }
    errors(&fixture);
    fixture.report(&[network()[1].clone().with(Attribute::StartTime, EPOCH + 2)]);
    let again = UpdateBuf::new(RecordKind::Link, "gv_ZW:1")
        .with(Attribute::StartTime, EPOCH + 3)
        .with(Attribute::Parent, "gv_ZW:0")
        .with(Attribute::Role, "inter-router")
        .with(Attribute::DownCount, 2);
    fixture.report(&[again]);
    assert!(errors(&fixture).ends_with("} 2"), "{}", errors(&fixture));
}

#[test]
fn a_link_between_routers_of_2_x_is_one_link_with_role_and_status() {
    // faults 32
    assert_eq!(
        last_of_case("links-of-2x-routers", "skupper_site_links_total"),
        ["skupper_site_links_total{site_id=\"site-e\",role=\"inter-router\",status=\"up\"} 1"]
    );
}
