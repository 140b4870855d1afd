//! What changes, as it changes.

use std::time::Duration;

use http_body_util::BodyExt;
use serde_json::Value;
use tokio::time::timeout;
use vanflow_api::Body;
use vanflow_proto::{Attribute, RecordKind, UpdateBuf};

use super::{COLLECTIONS, connection, connector, network, new, process};
use crate::support::{EPOCH, Fixture, request_with};

fn watch(fixture: &Fixture, path: &str) -> Body {
    fixture.respond(request_with(&format!("/api/v2alpha1/{path}"), &[])).into_body()
}

/// The next piece. With time standing still but for timers, this ends.
async fn next(body: &mut Body) -> String {
    let frame = timeout(Duration::from_secs(3600), body.frame()).await.expect("there is something to come");
    let data =
        frame.expect("the watch goes on").expect("bodies do not fail").into_data().expect("it is data");
    String::from_utf8(data.to_vec()).expect("it is text")
}

async fn lines(body: &mut Body) -> Vec<Value> {
    let piece = next(body).await;
    assert!(piece.ends_with('\n'), "whole lines: {piece}");
    piece.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

async fn is_quiet(body: &mut Body) -> bool {
    timeout(Duration::from_secs(10), body.frame()).await.is_err()
}

fn request(id: &str, connection: &str) -> UpdateBuf {
    new(RecordKind::BiflowApp, id).with(Attribute::Parent, connection).with(Attribute::Protocol, "HTTP/1.1")
}

#[tokio::test(start_paused = true)]
async fn every_list_can_be_watched() {
    let mut fixture = network();
    let mut bodies: Vec<_> =
        COLLECTIONS.iter().map(|collection| watch(&fixture, &format!("{collection}?watch=1"))).collect();
    for (body, collection) in bodies.iter_mut().zip(COLLECTIONS) {
        let list = lines(body).await;
        assert!(list[0]["results"].is_array(), "{collection}");
        assert!(is_quiet(body).await, "{collection}: nothing changes, nothing is said");
    }
    fixture.report(&[
        new(RecordKind::Site, "cccc3333").with(Attribute::Name, "south"),
        new(RecordKind::Router, "rc:0").with(Attribute::Parent, "cccc3333"),
        new(RecordKind::Link, "rc:1").with(Attribute::Parent, "rc:0"),
        new(RecordKind::RouterAccess, "rc:2").with(Attribute::Parent, "rc:0"),
        new(RecordKind::Listener, "rc:3")
            .with(Attribute::Parent, "rc:0")
            .with(Attribute::Protocol, "tcp")
            .with(Attribute::VanAddress, "db"),
        super::connector("rb:9", "10.0.0.9"),
        process("p", "cccc3333", "10.7.7.7"),
        connection("ra:9", "10.0.0.9").with(Attribute::Connector, "rb:9"),
        request("ra:10", "ra:9"),
    ]);
    for (body, collection) in bodies.iter_mut().zip(COLLECTIONS) {
        let reported = lines(body).await;
        assert!(!reported.is_empty(), "{collection}");
        for item in reported {
            assert!(item["identity"].is_string(), "{collection}: {item}");
        }
        assert!(is_quiet(body).await, "{collection}: each change is reported once");
    }
}

#[tokio::test(start_paused = true)]
async fn what_depends_on_a_record_is_reported_when_that_changes() {
    let mut fixture = network();
    fixture.report(&[connection("ra:9", "10.0.0.9")]);
    let mut connectors = watch(&fixture, "connectors?watch=1");
    let mut pairs = watch(&fixture, "processpairs?watch=1");
    lines(&mut connectors).await;
    assert_eq!(lines(&mut pairs).await[0]["count"], 1);
    fixture.report(&[process("server", "bbbb2222-site-b", "10.0.0.1")]);
    let reported = lines(&mut connectors).await;
    assert_eq!((reported.len(), reported[0]["target"].as_str()), (1, Some("server")));
    assert_eq!(lines(&mut pairs).await[0]["destinationId"], "server");
    let end = |kind, id: &str| UpdateBuf::new(kind, id).with(Attribute::EndTime, EPOCH + 7);
    fixture.report(&[end(RecordKind::BiflowTport, "ra:9")]);
    assert_eq!(lines(&mut pairs).await[0]["endTime"], EPOCH + 7, "an end is a change");
    fixture.report(&[end(RecordKind::Connector, "rb:1")]);
    assert_eq!(lines(&mut connectors).await[0]["endTime"], EPOCH + 7);
}

#[tokio::test(start_paused = true)]
async fn what_was_implied_is_reported_to_be_gone_when_the_real_one_comes() {
    // faults 12
    let mut fixture = network();
    let mut body = watch(&fixture, "processes?watch=1");
    let implied = lines(&mut body).await[0]["results"][0]["identity"].clone();
    assert!(implied.as_str().is_some_and(|id| id.starts_with("siteproc-")), "{implied}");
    fixture.report(&[process("server", "bbbb2222-site-b", "10.0.0.1")]);
    let reported = lines(&mut body).await;
    let ends: Vec<_> = reported.iter().map(|item| (&item["identity"], item["endTime"].as_u64())).collect();
    assert_eq!(ends, [(&Value::from("server"), Some(0)), (&implied, Some(EPOCH))]);
    assert!(is_quiet(&mut body).await, "it is reported once");
}

#[tokio::test(start_paused = true)]
async fn records_that_had_an_identity_one_after_the_other_are_each_reported_once() {
    // faults 6
    let mut fixture = network();
    let mut body = watch(&fixture, "listeners?watch=1");
    lines(&mut body).await;
    let now = vanflow_proto::Timestamp::from_micros(EPOCH + 5);
    {
        let mut store = fixture.publisher.write();
        let source = store.source_seen("gv_ZW:0", vanflow_proto::SourceType::Router, now);
        store.source_restarted(source, now);
        drop(store);
        fixture.publisher.publish();
    }
    assert_eq!(lines(&mut body).await[0]["endTime"], EPOCH + 5);
    fixture.report(&[new(RecordKind::Listener, "ra:1")
        .with(Attribute::Name, "anew")
        .with(Attribute::StartTime, EPOCH + 6)]);
    let reported = lines(&mut body).await;
    assert_eq!((reported.len(), &reported[0]["name"]), (1, &Value::from("anew")));
    assert!(is_quiet(&mut body).await);
    fixture.report(&[new(RecordKind::Site, "s")]);
    assert!(is_quiet(&mut body).await, "neither has changed");
}

#[tokio::test(start_paused = true)]
async fn filters_hold_for_what_changes() {
    let mut fixture = network();
    let mut body = watch(&fixture, "sites?watch=1&name=w");
    assert_eq!(lines(&mut body).await[0]["count"], 1);
    let named = |id: &str, name: &str| UpdateBuf::new(RecordKind::Site, id).with(Attribute::Name, name);
    fixture.report(&[named("bbbb2222-site-b", "north")]);
    assert!(is_quiet(&mut body).await);
    fixture.report(&[named("bbbb2222-site-b", "wild")]);
    assert_eq!(lines(&mut body).await[0]["name"], "wild");
    fixture.report(&[named("bbbb2222-site-b", "tame")]);
    assert_eq!(lines(&mut body).await[0]["name"], "tame", "that it leaves is reported");
    fixture.report(&[named("bbbb2222-site-b", "meek")]);
    assert!(is_quiet(&mut body).await);
    let mut flows = watch(&fixture, "services/adr-f2ce465a1ba7c84d/connections?watch=1&sourceHost=10.0.0.9");
    lines(&mut flows).await;
    fixture.report(&[connection("ra:9", "10.0.0.9"), connection("ra:10", "10.0.0.8")]);
    let reported = lines(&mut flows).await;
    assert_eq!((reported.len(), reported[0]["identity"].as_str()), (1, Some("ra:9")));
}

#[tokio::test(start_paused = true)]
async fn events_are_a_list_and_then_records_and_are_kept_alive() {
    let mut fixture = network();
    let path = "/api/v2alpha1/connections";
    let response = fixture.respond(request_with(path, &[("accept", "text/event-stream")]));
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    let revision = |fixture: &Fixture| fixture.publisher.write().revision();
    let listed = revision(&fixture);
    assert_eq!(
        next(&mut body).await,
        format!(
            "event: list\nid: test-{listed}\ndata: {{\"results\":[],\"count\":0,\"timeRangeCount\":0}}\n\n"
        )
    );
    assert_eq!(next(&mut body).await, format!(": nothing new\nid: test-{listed}\n\n"));
    fixture.report(&[connection("ra:9", "10.0.0.9")]);
    let event = next(&mut body).await;
    let reported = fixture.publisher.write().snapshot().find("ra:9").next().unwrap().revision();
    assert!(event.starts_with(&format!("event: record\nid: test-{reported}\ndata: {{")), "{event}");
    assert!(event.ends_with("}\n\n"), "{event}");
    let Fixture { publisher, .. } = fixture;
    drop(publisher);
    assert!(next(&mut body).await.starts_with("event: end\ndata: {\"error\":"));
}

#[tokio::test(start_paused = true)]
async fn a_watcher_that_takes_its_time_learns_the_latest() {
    let mut fixture = network();
    let mut body = watch(&fixture, "connections?watch=1");
    lines(&mut body).await;
    for octets in 0..500_u64 {
        fixture.report(&[connection("ra:9", "10.0.0.9").with(Attribute::Octets, octets)]);
    }
    let reported = lines(&mut body).await;
    assert_eq!((reported.len(), reported[0]["octetCount"].as_u64()), (1, Some(499)));
}

#[tokio::test(start_paused = true)]
async fn who_falls_behind_what_is_remembered_learns_all_that_changed() {
    let mut options = vanflow_store::StoreOptions::default();
    options.remembered_changes = 4;
    let mut fixture = Fixture::new(vanflow_store::Store::new(options));
    let mut body = watch(&fixture, "connections?watch=1");
    lines(&mut body).await;
    let connections: Vec<_> = (0..50).map(|id| connection(&format!("ra:{id}"), "10.0.0.9")).collect();
    fixture.report(&connections);
    assert_eq!(lines(&mut body).await.len(), 50);
    assert!(is_quiet(&mut body).await);
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_learns_what_changed_meanwhile_if_that_can_be_reported() {
    let mut fixture = network();
    let revision = |fixture: &Fixture| fixture.publisher.write().revision();
    fixture.report(&[connection("ra:9", "10.0.0.9")]);
    let seen = format!("test-{}", revision(&fixture));
    let come_back = |fixture: &Fixture, collection: &str, seen: &str| {
        let headers = [("accept", "text/event-stream"), ("last-event-id", seen)];
        fixture.respond(request_with(&format!("/api/v2alpha1/{collection}"), &headers)).into_body()
    };
    fixture.report(&[connection("ra:10", "10.0.0.8")]);
    let reported = next(&mut come_back(&fixture, "connections", &seen)).await;
    assert!(reported.starts_with("event: record\nid: test-"), "{reported}");
    assert!(reported.contains("ra:10") && !reported.contains("ra:9"), "{reported}");
    // Nothing says what a process that has come explains by now, nor what was derived by then.
    for (collection, seen) in [("connections", "other-1"), ("connections", "test-99999"), ("sites", &seen)] {
        let reported = next(&mut come_back(&fixture, collection, seen)).await;
        assert!(reported.starts_with("event: list\n"), "{collection} {seen}: {reported}");
    }
    fixture.report(&[process("client", "aaaa1111-site-a", "10.0.0.9")]);
    let reported = next(&mut come_back(&fixture, "connections", &seen)).await;
    assert!(reported.starts_with("event: list\n") && reported.contains("ra:9"), "{reported}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_reported_again_when_what_explains_it_comes_or_changes() {
    let mut fixture = network();
    let before = connection("ra:8", "10.0.0.9").with(Attribute::EndTime, EPOCH + 1);
    fixture.report(&[
        before,
        connection("ra:9", "10.0.0.9"),
        connection("ra:20", "10.0.0.7"),
        request("ra:10", "ra:9"),
    ]);
    let mut connections = watch(&fixture, "connections?watch=1");
    let mut requests = watch(&fixture, "applicationflows?watch=1");
    for body in [&mut connections, &mut requests] {
        lines(body).await;
        assert!(is_quiet(body).await);
    }
    let reported = |mut reported: Vec<Value>, name: &str| {
        reported.sort_by_key(|item| item["identity"].to_string());
        let facts = reported
            .iter()
            .map(|item| [&item["identity"], &item[name]].map(|text| text.as_str().unwrap().to_owned()));
        facts.map(|[id, value]| format!("{id} {value}")).collect::<Vec<_>>()
    };
    fixture.report(&[process("client", "aaaa1111-site-a", "10.0.0.9")]);
    assert_eq!(reported(lines(&mut connections).await, "sourceProcessId"), ["ra:8 client", "ra:9 client"]);
    assert_eq!(reported(lines(&mut requests).await, "sourceProcessId"), ["ra:10 client"]);
    fixture.report(&[UpdateBuf::new(RecordKind::Site, "bbbb2222-site-b").with(Attribute::Name, "north")]);
    assert_eq!(reported(lines(&mut requests).await, "destSiteName"), ["ra:10 north"]);
    let all = ["ra:20 north", "ra:8 north", "ra:9 north"];
    assert_eq!(reported(lines(&mut connections).await, "destSiteName"), all);
    // A second connector: nobody knows any more which one it is.
    fixture.report(&[connector("rb:2", "10.0.0.2")]);
    let all = ["ra:20 unknown", "ra:8 unknown", "ra:9 unknown"];
    assert_eq!(reported(lines(&mut connections).await, "connectorId"), all);
    assert_eq!(reported(lines(&mut requests).await, "destProcessId"), ["ra:10 unknown"]);
    // What explains nothing.
    fixture.report(&[
        process("other", "aaaa1111-site-a", "10.5.5.5"),
        UpdateBuf::new(RecordKind::Process, "client").with(Attribute::ImageName, "image"),
    ]);
    assert!(is_quiet(&mut connections).await && is_quiet(&mut requests).await);
    // What changes for itself at the same time is reported once.
    fixture.report(&[
        UpdateBuf::new(RecordKind::Process, "client").with(Attribute::Name, "renamed"),
        UpdateBuf::new(RecordKind::BiflowTport, "ra:9").with(Attribute::Octets, 5),
    ]);
    let mut renamed = lines(&mut connections).await;
    renamed.extend(lines(&mut connections).await);
    assert_eq!(reported(renamed, "sourceProcessName"), ["ra:8 renamed", "ra:9 renamed"]);
    assert!(is_quiet(&mut connections).await);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_leaves_the_filter_with_what_explains_it_is_reported_a_last_time() {
    let mut fixture = network();
    fixture.report(&[connection("ra:9", "10.0.0.9"), connection("ra:10", "10.0.0.8")]);
    let mut body = watch(&fixture, "connections?watch=1&sourceProcessName=site-client-10.0.0.9");
    assert_eq!(lines(&mut body).await[0]["count"], 1);
    fixture.report(&[process("client", "aaaa1111-site-a", "10.0.0.9")]);
    let reported = lines(&mut body).await;
    assert_eq!((reported.len(), reported[0]["sourceProcessName"].as_str()), (1, Some("client")));
    fixture.report(&[UpdateBuf::new(RecordKind::Process, "client").with(Attribute::Name, "other")]);
    assert!(is_quiet(&mut body).await);
    fixture.report(&[process("second", "aaaa1111-site-a", "10.0.0.8")]);
    assert!(is_quiet(&mut body).await, "it never passed");
}

#[tokio::test(start_paused = true)]
async fn a_router_that_is_named_late_is_in_the_traces_of_what_passed_it() {
    let mut fixture = network();
    fixture.report(&[connection("ra:9", "10.0.0.9").with(Attribute::Trace, "0/router-a|0/router-c")]);
    let mut body = watch(&fixture, "connections?watch=1");
    lines(&mut body).await;
    fixture.report(&[new(RecordKind::Router, "rc:0").with(Attribute::Name, "0/router-c")]);
    let reported = lines(&mut body).await;
    assert_eq!(reported[0]["traceRouters"], serde_json::json!(["0/router-a", "0/router-c", "0/router-b"]));
}

#[tokio::test(start_paused = true)]
async fn who_goes_on_has_been_reported_all_before() {
    let mut fixture = network();
    let many: Vec<_> = (100..300).map(|id| connection(&format!("ra:{id}"), "10.0.0.9")).collect();
    fixture.report(&many);
    let path = "/api/v2alpha1/connections";
    let mut body = fixture.respond(request_with(path, &[("accept", "text/event-stream")])).into_body();
    while !next(&mut body).await.ends_with("}\n\n") {}
    fixture.report(&[process("client", "aaaa1111-site-a", "10.0.0.9"), connection("ra:9", "10.0.0.9")]);
    let mut reported = String::new();
    while reported.matches("event: record").count() < 201 {
        reported += &next(&mut body).await;
    }
    assert!(!reported.contains("id: "), "nothing to go on from before all that it explains is reported");
    let revision = fixture.publisher.write().revision();
    assert_eq!(next(&mut body).await, format!(": nothing new\nid: test-{revision}\n\n"));
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_reported_again_when_its_other_half_comes() {
    let mut fixture = network();
    let mut body = watch(&fixture, "connections?watch=1");
    lines(&mut body).await;
    let near = new(RecordKind::Flow, "ra:9").with(Attribute::Parent, "ra:1");
    fixture.report(&[near.with(Attribute::SourceHost, "10.0.0.7").with(Attribute::Octets, 3)]);
    let shown = |items: Vec<Value>| {
        let [item] = &items[..] else { panic!("one item: {items:?}") };
        ["identity", "octetCount", "octetReverseCount", "connectorId"].map(|name| item[name].to_string())
    };
    assert_eq!(shown(lines(&mut body).await), ["\"ra:9\"", "3", "0", "\"rb:1\""]);
    let far = new(RecordKind::Flow, "rb:9").with(Attribute::Parent, "rb:1").with(Attribute::Octets, 4);
    fixture.report(&[far.with(Attribute::Counterflow, "ra:9")]);
    assert_eq!(shown(lines(&mut body).await), ["\"ra:9\"", "3", "4", "\"rb:1\""]);
    fixture.report(&[UpdateBuf::new(RecordKind::Flow, "rb:9").with(Attribute::Octets, 5)]);
    assert_eq!(shown(lines(&mut body).await), ["\"ra:9\"", "3", "5", "\"rb:1\""]);
    assert!(is_quiet(&mut body).await);
}

#[tokio::test(start_paused = true)]
async fn a_watch_keeps_to_filters_and_fields() {
    let mut fixture = network();
    let mut body = watch(&fixture, "connections?watch=1&sourceHost!=10.0.0.8&fields=identity,sourceHost");
    assert_eq!(next(&mut body).await, "{\"results\":[],\"count\":0,\"timeRangeCount\":0}\n");
    fixture.report(&[connection("ra:10", "10.0.0.8"), connection("ra:11", "10.0.0.9")]);
    assert_eq!(next(&mut body).await, "{\"identity\":\"ra:11\",\"sourceHost\":\"10.0.0.9\"}\n");
    let mut body = watch(&fixture, "sites?watch=1&name!=site-b&fields=name");
    next(&mut body).await;
    fixture.report(&[UpdateBuf::new(RecordKind::Site, "aaaa1111-site-a").with(Attribute::Location, "x")]);
    assert!(is_quiet(&mut body).await, "what is shown of it has not changed");
    fixture.report(&[UpdateBuf::new(RecordKind::Site, "aaaa1111-site-a").with(Attribute::Name, "site-b")]);
    assert_eq!(next(&mut body).await, "{\"name\":\"site-b\"}\n", "it passes the filters no more");
}
