//! Routers whose site nobody reports (faults 8).

use serde_json::{Value, json};
use vanflow_proto::{Attribute, RecordKind, SourceType, Timestamp, discovery::Extent};

use super::{connector, network, new, process, results, single};
use crate::support::{EPOCH, Fixture};

/// The usual network, and a router that names no site, at which a client connects to a process of the second site.
fn with_gateway() -> Fixture {
    let fixture = before_its_site();
    settle(&fixture);
    fixture
}

/// The same before the router's source has settled: until then its site may yet be reported.
fn before_its_site() -> Fixture {
    let mut fixture = network();
    let endpoint = new(RecordKind::Listener, "gw:1")
        .with(Attribute::Parent, "gw:0")
        .with(Attribute::Protocol, "tcp")
        .with(Attribute::VanAddress, "backend");
    let connection = new(RecordKind::BiflowTport, "gw:2")
        .with(Attribute::Parent, "gw:1")
        .with(Attribute::Connector, "rb:1")
        .with(Attribute::SourceHost, "192.0.2.7")
        .with(Attribute::Octets, 1000_u64);
    let link = new(RecordKind::Link, "gw:3")
        .with(Attribute::Parent, "gw:0")
        .with(Attribute::Peer, "rb:9")
        .with(Attribute::Role, "inter-router")
        .with(Attribute::OperStatus, "up");
    fixture.report(&[
        process("server", "bbbb2222-site-b", "10.0.0.1"),
        connector("rb:1", "10.0.0.1"),
        new(RecordKind::RouterAccess, "rb:9").with(Attribute::Parent, "rb:0"),
        new(RecordKind::Router, "gw:0").with(Attribute::Name, "0/gate"),
        endpoint,
        connection,
        link,
    ]);
    fixture
}

fn settle(fixture: &Fixture) {
    let now = Timestamp::from_micros(EPOCH);
    let mut store = fixture.publisher.write();
    let source = store.source_seen("gv_ZW:0", SourceType::Router, now);
    store.source_settled(source, Extent::All, now);
    drop(store);
    fixture.publisher.publish();
}

fn of<'v>(items: &'v [Value], name: &str, value: &str) -> &'v Value {
    items.iter().find(|item| item[name] == value).unwrap_or_else(|| panic!("no {name} {value} in {items:?}"))
}

#[test]
fn a_router_without_a_site_stands_in_the_lists_under_one_of_its_own() {
    // faults 8
    let fixture = with_gateway();
    let sites = results(&fixture, "sites");
    assert_eq!(sites.len(), 3);
    insta::assert_json_snapshot!("gateway_site", of(&sites, "identity", "gateway-gw:0"));
    assert_eq!(of(&sites, "name", "west")["derived"], false);
    assert_eq!(results(&fixture, "sites?derived=true").len(), 1);
    assert_eq!(single(&fixture, "sites/gateway-gw:0")["routerCount"], 1);
    assert_eq!(results(&fixture, "sites/gateway-gw:0/routers")[0]["identity"], "gw:0");
    let routers = results(&fixture, "routers");
    assert_eq!(of(&routers, "identity", "gw:0")["siteId"], "gateway-gw:0");
    let listeners = results(&fixture, "listeners");
    let listener = of(&listeners, "identity", "gw:1");
    assert_eq!([&listener["siteId"], &listener["siteName"]], ["gateway-gw:0", "gate"]);
    let link = &results(&fixture, "routerlinks")[0];
    assert_eq!([&link["sourceSiteId"], &link["sourceSiteName"]], ["gateway-gw:0", "gate"]);
    assert_eq!(link["destinationSiteId"], "bbbb2222-site-b");
    // One that a source reports under that id is the source's.
    let mut fixture = fixture;
    fixture.report(&[new(RecordKind::Site, "gateway-gw:0").with(Attribute::Name, "edge")]);
    let site = single(&fixture, "sites/gateway-gw:0");
    assert_eq!([&site["name"], &site["derived"]], [&json!("edge"), &json!(false)]);
    assert_eq!(results(&fixture, "sites").len(), 3);
}

#[test]
fn traffic_of_a_router_without_a_site_is_between_processes_and_sites() {
    // faults 8
    let fixture = with_gateway();
    let connection = single(&fixture, "connections/gw:2");
    assert_eq!([&connection["sourceSiteId"], &connection["sourceSiteName"]], ["gateway-gw:0", "gate"]);
    assert_eq!(connection["destSiteName"], "east");
    assert_eq!(connection["destProcessName"], "server");
    let pairs = results(&fixture, "sitepairs");
    assert_eq!(pairs.len(), 1);
    assert_eq!([&pairs[0]["sourceId"], &pairs[0]["destinationId"]], ["gateway-gw:0", "bbbb2222-site-b"]);
    let pairs = results(&fixture, "processpairs");
    assert_eq!([&pairs[0]["sourceSiteName"], &pairs[0]["destinationName"]], ["gate", "server"]);
    let processes = results(&fixture, "sites/gateway-gw:0/processes");
    assert_eq!(processes.len(), 1, "the client");
    let metrics = fixture.get("/metrics");
    let has = |name: &str, labels: &[&str]| {
        metrics
            .text()
            .lines()
            .any(|line| line.starts_with(name) && labels.iter().all(|label| line.contains(label)))
    };
    assert!(has("skupper_site_info{", &["site_id=\"gateway-gw:0\"", "name=\"gate\""]), "{}", metrics.text());
    assert!(has("skupper_routers_total{", &["site_id=\"gateway-gw:0\""]));
    assert!(has("skupper_site_links_total{", &["site_id=\"gateway-gw:0\""]));
    let labels = ["source_site_name=\"gate\"", "dest_site_name=\"east\""];
    assert!(has("skupper_connections_opened_total{", &labels), "{}", metrics.text());
}

#[test]
fn pairs_that_were_asked_for_before_are_worked_out_anew_with_its_site() {
    // faults 8
    let fixture = before_its_site();
    assert_eq!(results(&fixture, "sitepairs").len(), 0);
    settle(&fixture);
    assert_eq!(results(&fixture, "sitepairs").len(), 1);
    assert_eq!(results(&fixture, "processpairs").len(), 1);
}

#[test]
fn the_original_api_shows_a_site_that_nobody_reported_as_inferred() {
    // faults 8
    let fixture = with_gateway();
    let sites = fixture.list("/api/v1alpha1/sites");
    let expected = json!({
        "rtype": "SITE", "id": "gateway-gw:0", "startTime": EPOCH, "name": "gate", "inferred": true, "duration": 0,
    });
    assert_eq!(of(&sites, "id", "gateway-gw:0"), &expected);
    assert!(of(&sites, "name", "west").get("inferred").is_none());
    for list in ["routers", "topology"] {
        let routers = fixture.list(&format!("/api/v1alpha1/{list}"));
        assert_eq!(of(&routers, "id", "gw:0")["parent"], "gateway-gw:0", "{list}");
    }
    let records = fixture.list("/api/v1alpha1/records");
    assert!(of(&records, "id", "gw:0").get("parent").is_none(), "records are as reported");
    assert!(records.iter().all(|record| record["id"] != "gateway-gw:0"));
}
