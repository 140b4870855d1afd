//! What the verdict says of networks with one thing wrong.

use std::sync::Arc;

use serde_json::{Value, json};
use vanflow_api::{
    ApiOptions,
    metrics::{Connection, Health},
};
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

#[test]
fn records_that_were_refused_for_want_of_room_are_missing_since_then() {
    // faults 30
    let mut options = StoreOptions::default();
    options.source_records = 2;
    let mut fixture = Fixture::new(Store::new(options));
    fixture.report(&[
        new(RecordKind::Router, "gv_ZW:0").with(Attribute::Name, "0/west-1"),
        new(RecordKind::Listener, "gv_ZW:1"),
        new(RecordKind::Listener, "gv_ZW:2"),
        new(RecordKind::Listener, "gv_ZW:3"),
    ]);
    attach(&fixture);
    let verdict = ask(&fixture, "verdict");
    assert_eq!(verdict["state"], "incomplete");
    assert_eq!(verdict["text"], "1 of 1 source is incomplete.");
    let finding = &verdict["findings"][0];
    assert_eq!(finding["kind"], "recordsRefused");
    assert_eq!(finding["text"], "2 new records of west-1 were refused for want of room");
    let since = finding["since"].as_u64().expect("it is known");
    let source = &ask(&fixture, "sources")["results"][0];
    assert_eq!(source["incompleteSince"].as_u64(), Some(since));
    assert_eq!(source["refusedRecords"], 2);
    assert_eq!(source["state"], "incomplete");
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

/// The verdict on one router, of which all is known, by a collector that fares like that.
fn judged_with(health: Arc<Health>) -> Value {
    let mut options = ApiOptions::default();
    options.health = health;
    let mut fixture = Fixture::with_options(Store::new(StoreOptions::default()), options);
    fixture.report(&[new(RecordKind::Router, "gv_ZW:0").with(Attribute::Name, "0/west-1")]);
    attach(&fixture);
    ask(&fixture, "verdict")
}

#[test]
fn a_place_of_the_history_that_cannot_be_had_is_found_until_it_can() {
    // faults 37
    let health = Arc::new(Health::default());
    health.troubled("bucket", Some("the bucket s3://history/van cannot be had: refused".to_owned()));
    let finding = &judged_with(health.clone())["findings"][0];
    assert_eq!((&finding["kind"], &finding["severity"]), (&"historyKept".into(), &"warn".into()));
    assert_eq!(finding["text"], "the bucket s3://history/van cannot be had: refused");
    assert_eq!(finding["detail"], "what only that place has cannot be asked for meanwhile");
    health.troubled("bucket", None);
    let findings = &judged_with(health)["findings"];
    assert!(findings.as_array().is_some_and(|found| found.iter().all(|each| each["kind"] != "historyKept")));
}

#[test]
fn what_was_refused_is_counted_and_makes_the_verdict_incomplete() {
    let health = Arc::new(Health::default());
    health.refused();
    let verdict = judged_with(health);
    assert_eq!(verdict["state"], "incomplete");
    assert_eq!(verdict["text"], "1 message or record was refused.");
    assert_eq!(verdict["findings"][0]["text"], "1 message or record was refused");
}

#[test]
fn sources_that_were_announced_and_not_heard_yet_make_the_verdict_incomplete() {
    let health = Arc::new(Health::default());
    let mut connection = Connection::default();
    connection.on_trial = 2;
    health.connection(connection);
    let verdict = judged_with(health);
    assert_eq!(verdict["state"], "incomplete");
    assert_eq!(verdict["text"], "2 sources were announced and not heard yet.");
    assert_eq!((&verdict["sources"]["onTrial"], &verdict["sources"]["total"]), (&2.into(), &1.into()));
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

/// Connections of a client of `backend`, of which some were refused by its server.
fn connections(ids: std::ops::Range<u64>, refused: bool) -> Vec<UpdateBuf> {
    let connection = |id: u64| {
        let connection = v2alpha1::connection(&format!("ra:{id}"), "10.9.9.9")
            .with(Attribute::StartTime, EPOCH + id)
            .with(Attribute::EndTime, EPOCH + id + 1)
            .with(Attribute::Connector, "rb:1");
        if refused {
            connection.with(Attribute::ErrorListenerSide, "delivery-failed (destination unreachable)").with(
                Attribute::ErrorConnectorSide,
                "proton:io (Connection refused - on connect 10.0.0.1:8080)",
            )
        } else {
            connection
        }
    };
    ids.map(connection).collect()
}

#[test]
fn a_service_that_refuses_all_is_said_to_and_by_whom_since_when() {
    let mut fixture = network();
    fixture.report(&connections(100..133, true));
    let verdict = ask(&fixture, "verdict");
    assert_eq!(
        verdict["findings"],
        json!([{
            "severity": "bad",
            "about": "network",
            "kind": "serviceFails",
            "subject": verdict["findings"][0]["subject"],
            "text": "backend refuses every connection",
            "detail": "33 of 33 failed: connection refused by 10.0.0.1:8080; clients: 10.9.9.9; served in east",
            "since": EPOCH + 100,
        }])
    );
    assert_eq!(verdict["findings"][0]["subject"]["name"], "backend");
}

#[test]
fn a_service_of_which_some_connections_fail_is_bad_or_degraded_by_their_share() {
    for (good, refused, kind, text) in [
        (99, 1, "", ""),
        (98, 2, "serviceDegraded", "backend fails some of its connections"),
        (90, 10, "serviceDegraded", "backend fails some of its connections"),
        (80, 20, "serviceFails", "backend fails 20 % of its connections"),
    ] {
        let mut fixture = network();
        fixture.report(&connections(100..100 + good, false));
        fixture.report(&connections(500..500 + refused, true));
        let verdict = ask(&fixture, "verdict");
        let found = verdict["findings"].as_array().unwrap();
        assert_eq!(found.len(), usize::from(!kind.is_empty()), "{good} {refused}: {found:?}");
        if let Some(finding) = found.first() {
            assert_eq!((&finding["kind"], &finding["text"]), (&json!(kind), &json!(text)));
            assert_eq!(finding["since"], EPOCH + 500, "since the first that failed");
        }
    }
}

#[test]
fn requests_count_instead_of_the_connections_that_carry_them_and_a_client_that_errs_is_no_error() {
    let mut fixture = network();
    fixture.report(&connections(100..101, false));
    let requests = |results: &[&str], from: u64| -> Vec<_> {
        let request = |(id, result): (usize, &&str)| {
            new(RecordKind::BiflowApp, &format!("ra:{}", from + id as u64))
                .with(Attribute::Parent, "ra:100")
                .with(Attribute::Result, *result)
                .with(Attribute::EndTime, EPOCH + 9)
        };
        results.iter().enumerate().map(request).collect()
    };
    fixture.report(&requests(&["200", "404", "403"], 200));
    assert_eq!(ask(&fixture, "verdict")["findings"], json!([]));
    fixture.report(&requests(&["503"], 300));
    let finding = &ask(&fixture, "verdict")["findings"][0];
    assert_eq!(finding["text"], "backend fails 25 % of its requests");
    assert_eq!(finding["detail"], "1 of 4 failed: result 503; clients: 10.9.9.9; served in east");
}

#[test]
fn a_certificate_that_a_router_logs_is_found_once_for_each_router() {
    let mut fixture = network();
    let log = |id: &str, at: u64, text: &str| {
        UpdateBuf::new(RecordKind::Log, id)
            .with(Attribute::Parent, "ra:0")
            .with(Attribute::StartTime, EPOCH + at)
            .with(Attribute::EndTime, EPOCH + at)
            .with(Attribute::LogText, text)
    };
    fixture.report(&[
        log("ra:20", 1, "SSL Failure: certificate verify failed"),
        log("ra:21", 7, "SSL Failure: Alert Certificate Expired"),
        log("ra:22", 9, "Connection closed"),
    ]);
    assert_eq!(
        said(&fixture, "certificate"),
        [[
            "router-a has connections that fail for a certificate that expired or is not trusted",
            "SSL Failure: Alert Certificate Expired"
        ]
        .map(Value::from)]
    );
    assert_eq!(ask(&fixture, "verdict")["findings"][0]["since"], EPOCH + 1);
}

#[test]
fn what_is_worst_comes_first_and_the_network_before_the_collector() {
    let mut fixture = network();
    fixture.report(&connections(100..133, true));
    fixture.report(&[link("ra:7").with(Attribute::OperStatus, "down")]);
    fixture.publisher.update_status(|status| status.attached = false);
    let verdict = ask(&fixture, "verdict");
    let kinds: Vec<_> = verdict["findings"].as_array().unwrap().iter().map(|each| &each["kind"]).collect();
    assert_eq!(kinds, ["serviceFails", "linkDown", "notAttached"]);
}
