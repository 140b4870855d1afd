//! What the verdict says of networks with one thing wrong.

use std::sync::Arc;

use serde_json::{Value, json};
use vanflow_api::{ApiOptions, metrics::Health};
use vanflow_proto::{Attribute, RecordKind, UpdateBuf};
use vanflow_store::{Store, StoreOptions};

use super::ask;
use crate::{
    support::{EPOCH, Fixture},
    v2alpha1::{self, new},
};

/// A network of two sites that is well, attached.
fn network() -> Fixture {
    let mut fixture = v2alpha1::network();
    // The record of the router that reports all of it.
    fixture.report(&[new(RecordKind::Router, "gv_ZW:0").with(Attribute::Name, "0/west-1")]);
    attach(&fixture);
    fixture
}

fn attach(fixture: &Fixture) {
    fixture.publisher.update_status(|status| {
        (status.attached, status.flushed) = (true, true);
        status.detail = "attached to amqps://router:5671".to_owned();
    });
}

/// What is said of the findings of a kind: text and detail.
fn said(fixture: &Fixture, kind: &str) -> Vec<[Value; 2]> {
    let verdict = ask(fixture, "verdict");
    let findings = verdict["findings"].as_array().unwrap();
    let its = findings.iter().filter(|finding| finding["kind"] == kind);
    its.map(|finding| [finding["text"].clone(), finding["detail"].clone()]).collect()
}

#[test]
fn a_network_that_is_well_has_no_findings() {
    let verdict = ask(&network(), "verdict");
    assert_eq!(verdict["complete"], true);
    assert_eq!(verdict["state"], "complete");
    assert_eq!(verdict["text"], "The one source is complete, nothing was dropped.");
    assert_eq!(verdict["findings"], json!([]));
    assert_eq!(verdict["now"], EPOCH);
    assert_eq!(verdict["since"], EPOCH);
}

#[test]
fn without_a_connection_to_a_router_that_is_the_verdict() {
    let fixture = v2alpha1::network();
    fixture.publisher.update_status(|status| {
        status.detail = "not attached to amqps://router:5671: connection refused".to_owned();
    });
    let verdict = ask(&fixture, "verdict");
    assert_eq!(verdict["state"], "detached");
    assert_eq!(verdict["complete"], false);
    assert_eq!(verdict["text"], "Not attached to amqps://router:5671: connection refused.");
    assert_eq!(
        verdict["findings"][0],
        json!({
            "severity": "bad",
            "about": "collector",
            "kind": "notAttached",
            "subject": { "type": "collector", "id": "", "name": "collector" },
            "text": "the collector has no connection to a router: nothing new is seen",
            "detail": "not attached to amqps://router:5671: connection refused",
        })
    );
}

#[test]
fn sources_that_were_not_asked_yet_are_waited_for() {
    let fixture = Fixture::new(Store::new(StoreOptions::default()));
    fixture.publisher.update_status(|status| status.attached = true);
    let verdict = ask(&fixture, "verdict");
    assert_eq!(verdict["state"], "waiting");
    assert_eq!(verdict["text"], "No source is heard yet.");
    assert!(verdict.get("since").is_none(), "nothing is known, so nothing is since: {verdict}");
}

#[test]
fn a_service_without_a_connector_is_said_to_have_no_server() {
    let mut fixture = network();
    let end = new(RecordKind::Connector, "rb:1").with(Attribute::EndTime, EPOCH + 5);
    fixture.report(&[end]);
    assert_eq!(
        said(&fixture, "serviceWithoutConnector"),
        [[
            "backend has no server: no site has a connector for it",
            "1 listener in west, no connector in any site"
        ]
        .map(Value::from)]
    );
    let verdict = ask(&fixture, "verdict");
    assert_eq!(verdict["findings"][0]["since"], EPOCH + 5, "since the connector went");
    assert_eq!(verdict["findings"][0]["subject"]["type"], "service");
    assert_eq!(verdict["complete"], true, "it is seen as it is");
}

fn link(id: &str) -> UpdateBuf {
    new(RecordKind::Link, id)
        .with(Attribute::Parent, "ra:0")
        .with(Attribute::Name, "to-east")
        .with(Attribute::Role, "inter-router")
}

#[test]
fn a_link_that_is_down_is_named_by_its_routers_as_far_as_they_are_known() {
    let mut fixture = network();
    fixture.report(&[link("ra:7")
        .with(Attribute::OperStatus, "down")
        .with(Attribute::DownCount, 2)
        .with(Attribute::DownTimeStamp, EPOCH - 9)]);
    assert_eq!(
        said(&fixture, "linkDown"),
        [["the link to-east from router-a is down", "it went down 2 times since it was set up"]
            .map(Value::from)]
    );
    fixture.report(&[
        new(RecordKind::RouterAccess, "rb:8").with(Attribute::Parent, "rb:0"),
        new(RecordKind::Link, "ra:7").with(Attribute::Peer, "rb:8").with(Attribute::OperStatus, "up"),
    ]);
    assert_eq!(said(&fixture, "linkDown"), Vec::<[Value; 2]>::new());
    assert_eq!(
        said(&fixture, "linkFlaps"),
        [[
            "the link router-a – router-b was down and is up again",
            "it went down 2 times since it was set up"
        ]
        .map(Value::from)]
    );
}

#[test]
fn a_link_that_was_down_long_ago_is_no_finding() {
    let mut fixture = network();
    fixture.report(&[link("ra:7")
        .with(Attribute::OperStatus, "up")
        .with(Attribute::DownCount, 1)
        .with(Attribute::DownTimeStamp, EPOCH - 3_600_000_000)]);
    assert_eq!(said(&fixture, "linkFlaps"), Vec::<[Value; 2]>::new());
}

#[test]
fn what_was_refused_is_counted_and_makes_the_verdict_incomplete() {
    let health = Arc::new(Health::default());
    health.refused();
    let mut options = ApiOptions::default();
    options.health = health;
    let mut fixture = Fixture::with_options(Store::new(StoreOptions::default()), options);
    fixture.report(&[new(RecordKind::Router, "gv_ZW:0").with(Attribute::Name, "0/west-1")]);
    attach(&fixture);
    let verdict = ask(&fixture, "verdict");
    assert_eq!(verdict["state"], "incomplete");
    assert_eq!(verdict["text"], "1 message or record was refused.");
    assert_eq!(verdict["findings"][0]["text"], "1 message or record was refused");
}

#[test]
fn names_that_sources_made_up_are_escaped() {
    let mut fixture = network();
    let end = new(RecordKind::Connector, "rb:1").with(Attribute::EndTime, EPOCH + 5);
    let name = "we\"st\u{1}<script>";
    fixture.report(&[end, new(RecordKind::Site, "aaaa1111-site-a").with(Attribute::Name, name)]);
    let said = said(&fixture, "serviceWithoutConnector");
    assert_eq!(said[0][1], format!("1 listener in {name}, no connector in any site"));
}
