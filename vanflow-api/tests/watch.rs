//! Watches.

use std::{io::Write, time::Duration};

use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::time::{Instant, advance, timeout};
use vanflow_api::{Body, STALL_LIMIT};
use vanflow_proto::{Attribute, RecordKind, SourceType, Timestamp, UpdateBuf};
use vanflow_store::{Store, StoreOptions};

use crate::support::{EPOCH, Fixture, request_with, service};

const ROUTERS: &str = "/api/v1alpha1/routers?watch=1";
const EVENTS: (&str, &str) = ("accept", "text/event-stream");

fn fixture() -> Fixture {
    fixture_that_remembers(1_000)
}

fn fixture_that_remembers(changes: usize) -> Fixture {
    let mut options = StoreOptions::default();
    options.remembered_changes = changes;
    let mut fixture = Fixture::new(Store::new(options));
    fixture.report(&[router(0)]);
    fixture
}

fn router(number: u64) -> UpdateBuf {
    UpdateBuf::new(RecordKind::Router, format!("gv_ZW:{number}")).with(Attribute::StartTime, EPOCH)
}

fn named(number: u64, name: &str) -> UpdateBuf {
    UpdateBuf::new(RecordKind::Router, format!("gv_ZW:{number}")).with(Attribute::Name, name)
}

fn watch(fixture: &Fixture, path: &str, headers: &[(&str, &str)]) -> Body {
    fixture.respond(request_with(path, headers)).into_body()
}

/// The next piece. With time standing still but for timers, this ends.
async fn next(body: &mut Body) -> Option<String> {
    let frame = timeout(Duration::from_secs(3600), body.frame()).await.expect("there is something to come");
    frame.map(|frame| {
        let data = frame.expect("bodies do not fail").into_data().expect("there are no trailers");
        String::from_utf8(data.to_vec()).expect("it is text")
    })
}

async fn lines(body: &mut Body) -> Vec<Value> {
    let piece = next(body).await.expect("the watch goes on");
    assert!(piece.ends_with('\n'), "whole lines: {piece}");
    piece.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

/// One after the other: event, id, data.
fn events(piece: &str) -> Vec<(String, Option<String>, Value)> {
    assert!(piece.ends_with("\n\n"), "whole events: {piece:?}");
    let field = |event: &str, name: &str| {
        event.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).map(str::to_owned)
    };
    let events = piece.trim_end().split("\n\n");
    let data = |event: &str| serde_json::from_str(&field(event, "data").expect("data")).expect("JSON");
    events.map(|event| (field(event, "event").expect("a name"), field(event, "id"), data(event))).collect()
}

async fn is_quiet(body: &mut Body, for_how_long: Duration) -> bool {
    timeout(for_how_long, body.frame()).await.is_err()
}

#[tokio::test(start_paused = true)]
async fn a_watch_is_the_list_and_then_what_changes() {
    let mut fixture = fixture();
    let mut body = watch(&fixture, ROUTERS, &[]);
    assert_eq!(
        next(&mut body).await.unwrap(),
        format!("[{{\"rtype\":\"ROUTER\",\"id\":\"gv_ZW:0\",\"startTime\":{EPOCH},\"duration\":0}}]\n")
    );
    assert!(is_quiet(&mut body, Duration::from_secs(100)).await, "nothing changes, nothing is said");
    fixture
        .report(&[named(0, "0/west-1"), UpdateBuf::new(RecordKind::Site, "s").with(Attribute::Name, "site")]);
    let reported = lines(&mut body).await;
    assert_eq!((reported.len(), &reported[0]["name"]), (1, &json!("0/west-1")), "a SITE is no ROUTER");
    fixture.report(&[UpdateBuf::new(RecordKind::Router, "gv_ZW:0").with(Attribute::EndTime, EPOCH + 1)]);
    assert_eq!(lines(&mut body).await[0]["endTime"], EPOCH + 1, "an end is a change");
}

#[tokio::test(start_paused = true)]
async fn who_takes_his_time_learns_the_latest_and_not_each_step() {
    // faults 19
    let mut fixture = fixture();
    let mut body = watch(&fixture, ROUTERS, &[]);
    lines(&mut body).await;
    for step in 0..500 {
        fixture.report(&[named(0, &format!("0/west-{step}"))]);
    }
    let reported = lines(&mut body).await;
    assert_eq!((reported.len(), &reported[0]["name"]), (1, &json!("0/west-499")));
    assert!(is_quiet(&mut body, Duration::from_secs(10)).await);
}

#[tokio::test(start_paused = true)]
async fn who_falls_behind_what_is_remembered_learns_all_that_changed() {
    // faults 19
    let mut fixture = fixture_that_remembers(4);
    fixture.report(&(1..10).map(router).collect::<Vec<_>>());
    let mut body = watch(&fixture, ROUTERS, &[]);
    assert_eq!(lines(&mut body).await[0].as_array().unwrap().len(), 10);
    for step in 0..10 {
        fixture.report(&[named(3, &format!("0/a-{step}")), named(5, &format!("0/b-{step}"))]);
    }
    let reported = lines(&mut body).await;
    let names: Vec<_> = reported.iter().map(|record| record["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["0/a-9", "0/b-9"]);
    assert!(is_quiet(&mut body, Duration::from_secs(10)).await);
    fixture.report(&[named(3, "0/a")]);
    assert_eq!(lines(&mut body).await[0]["name"], "0/a", "and it goes on from there");
}

#[tokio::test(start_paused = true)]
async fn changes_are_gathered_before_they_are_reported() {
    let mut fixture = fixture();
    let mut body = watch(&fixture, ROUTERS, &[]);
    lines(&mut body).await;
    fixture.report(&[named(0, "0/a")]);
    let start = Instant::now();
    lines(&mut body).await;
    assert!(start.elapsed() < Duration::from_millis(1), "the first comes at once");
    fixture.report(&[named(0, "0/b")]);
    lines(&mut body).await;
    assert!(start.elapsed() >= Duration::from_millis(100), "the next has to wait for its company");
}

#[tokio::test(start_paused = true)]
async fn who_takes_nothing_while_there_is_something_to_take_is_cut_off_with_a_reason() {
    // faults 19
    let mut fixture = fixture();
    let mut body = watch(&fixture, ROUTERS, &[]);
    let mut events = watch(&fixture, ROUTERS, &[EVENTS]);
    let mut patient = watch(&fixture, ROUTERS, &[]);
    lines(&mut body).await;
    next(&mut events).await;
    lines(&mut patient).await;
    assert!(is_quiet(&mut patient, Duration::from_millis(1)).await, "this one waits for more");
    fixture.report(&[named(0, "0/west-1")]);
    advance(STALL_LIMIT + Duration::from_secs(1)).await;
    let reason = "nothing was taken for 60 s while there were changes to report: the watch is over";
    assert_eq!(lines(&mut body).await, [json!({ "error": reason })]);
    assert_eq!(next(&mut body).await, None);
    assert_eq!(next(&mut events).await.unwrap(), format!("event: end\ndata: {{\"error\":\"{reason}\"}}\n\n"));
    assert_eq!(next(&mut events).await, None);
    assert_eq!(lines(&mut patient).await[0]["name"], "0/west-1", "who waits is not slow");
}

#[tokio::test(start_paused = true)]
async fn a_watch_ends_with_a_reason_when_the_collector_does() {
    let fixture = fixture();
    let mut body = watch(&fixture, ROUTERS, &[]);
    lines(&mut body).await;
    drop(fixture.publisher);
    assert_eq!(
        lines(&mut body).await,
        [json!({ "error": "the collector is going down: the watch is over" })]
    );
    assert_eq!(next(&mut body).await, None);
}

#[tokio::test(start_paused = true)]
async fn events_say_what_to_go_on_from() {
    let mut fixture = fixture();
    let response = fixture.respond(request_with(ROUTERS, &[EVENTS]));
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let mut body = response.into_body();
    let list = events(&next(&mut body).await.unwrap());
    assert_eq!((list.len(), &*list[0].0), (1, "list"));
    assert_eq!(list[0].2.as_array().unwrap().len(), 1);
    let first = list[0].1.clone().expect("an id");
    fixture.report(&[named(0, "0/west-1")]);
    let reported = events(&next(&mut body).await.unwrap());
    assert_eq!((reported.len(), &*reported[0].0, &reported[0].2["name"]), (1, "record", &json!("0/west-1")));
    let second = reported[0].1.clone().expect("an id");
    drop(body);

    fixture.report(&[router(1)]);
    let mut body = watch(&fixture, ROUTERS, &[EVENTS, ("last-event-id", &second)]);
    let reported = events(&next(&mut body).await.unwrap());
    assert_eq!((reported.len(), &reported[0].2["id"]), (1, &json!("gv_ZW:1")), "only what was missed");
    let mut body = watch(&fixture, ROUTERS, &[EVENTS, ("last-event-id", &first)]);
    assert_eq!(events(&next(&mut body).await.unwrap()).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn whoever_cannot_go_on_is_given_the_list_again() {
    let mut fixture = fixture_that_remembers(2);
    for id in ["other-1", "test-99999", "test", "test-x", "", "\u{e9}"] {
        let mut body = watch(&fixture, ROUTERS, &[EVENTS, ("last-event-id", id)]);
        assert_eq!(events(&next(&mut body).await.unwrap())[0].0, "list", "{id}");
    }
    for step in 0..5 {
        fixture.report(&[named(0, &format!("0/west-{step}"))]);
    }
    let mut body = watch(&fixture, ROUTERS, &[EVENTS, ("last-event-id", "test-1")]);
    assert_eq!(events(&next(&mut body).await.unwrap())[0].0, "list", "what has gone since is not known");
}

#[tokio::test(start_paused = true)]
async fn events_are_kept_alive_by_comments() {
    let mut fixture = fixture();
    let mut body = watch(&fixture, ROUTERS, &[EVENTS]);
    next(&mut body).await;
    fixture.report(&[UpdateBuf::new(RecordKind::Site, "s").with(Attribute::Name, "site")]);
    let revision = fixture.publisher.write().revision();
    for _ in 0..3 {
        let start = Instant::now();
        assert_eq!(next(&mut body).await.unwrap(), format!(": nothing new\nid: test-{revision}\n\n"));
        assert_eq!(start.elapsed().as_secs(), 15);
    }
}

#[tokio::test(start_paused = true)]
async fn asking_for_events_is_asking_to_watch() {
    let fixture = fixture();
    let path = "/api/v1alpha1/routers";
    let kind = |path: &str, headers: &[(&str, &str)]| {
        fixture.respond(request_with(path, headers)).headers()["content-type"].to_str().unwrap().to_owned()
    };
    assert_eq!(kind(path, &[EVENTS]), "text/event-stream");
    assert_eq!(kind(&format!("{path}?watch=0"), &[EVENTS]), "application/json");
    assert_eq!(kind(path, &[("accept", "*/*")]), "application/json");
    assert_eq!(kind(ROUTERS, &[("accept", "*/*, text/event-stream;q=0")]), "application/x-ndjson");
    assert_eq!(kind(ROUTERS, &[("accept", "application/json, text/event-stream")]), "text/event-stream");
}

#[tokio::test(start_paused = true)]
async fn each_piece_of_a_compressed_watch_can_be_read_at_once() {
    let mut fixture = fixture();
    let response = fixture.respond(request_with(ROUTERS, &[("accept-encoding", "gzip")]));
    assert_eq!(response.headers()["content-encoding"], "gzip");
    let mut body = response.into_body();
    let mut decoder = flate2::write::GzDecoder::new(Vec::new());
    let mut unpack = |frame: http_body::Frame<bytes::Bytes>| {
        decoder.write_all(&frame.into_data().unwrap()).unwrap();
        decoder.flush().unwrap();
        String::from_utf8(std::mem::take(decoder.get_mut())).unwrap()
    };
    assert!(unpack(body.frame().await.unwrap().unwrap()).ends_with("]\n"));
    fixture.report(&[named(0, "0/west-1")]);
    assert!(unpack(body.frame().await.unwrap().unwrap()).ends_with("}\n"));
    drop(fixture.publisher);
    let mut rest = String::new();
    while let Some(frame) = body.frame().await {
        rest += &unpack(frame.unwrap());
    }
    assert!(rest.contains("going down"), "{rest}");
    decoder.finish().expect("the stream is whole");
}

#[tokio::test(start_paused = true)]
async fn both_faces_of_a_record_are_reported() {
    let mut fixture = fixture();
    fixture.report(&service("echo:7", 1, 0));
    let octets = |octets: u64| {
        let reported = UpdateBuf::new(RecordKind::BiflowTport, "gv_ZW:3");
        reported.with(Attribute::Octets, octets).with(Attribute::OctetsReverse, octets + 1)
    };
    let ids = |reported: &[Value]| -> Vec<(String, Value)> {
        reported
            .iter()
            .map(|record| (record["id"].as_str().unwrap().to_owned(), record["octets"].clone()))
            .collect()
    };
    let expected = [("gv_ZW:3".to_owned(), json!(100)), ("gv_ZW:3.far".to_owned(), json!(101))];
    let mut flows = watch(&fixture, "/api/v1alpha1/flows?vanaddr=echo:7&watch=1", &[]);
    let mut others = watch(&fixture, "/api/v1alpha1/flows?vanaddr=other&watch=1", &[]);
    let mut far = watch(&fixture, "/api/v1alpha1/record?id=gv_ZW:3.far&watch=1", &[]);
    let mut raw = watch(&fixture, "/api/v1alpha1/records?rtype=BIFLOW_TPORT&watch=1", &[]);
    let mut with_ids = watch(&fixture, "/api/v1alpha1/flows?vanaddr=echo:7&watch=1", &[EVENTS]);
    for body in [&mut flows, &mut others, &mut far, &mut raw] {
        lines(body).await;
    }
    next(&mut with_ids).await;
    fixture.report(&[octets(100)]);
    assert_eq!(ids(&lines(&mut flows).await), expected);
    assert_eq!(ids(&lines(&mut far).await), expected[1..]);
    let reported = lines(&mut raw).await;
    assert_eq!((&reported[0]["rtype"], &reported[0]["octetsReverse"]), (&json!("BIFLOW_TPORT"), &json!(101)));
    let reported = events(&next(&mut with_ids).await.unwrap());
    assert_eq!((reported.len(), reported[0].1.is_some(), reported[1].1.is_some()), (2, false, true));
    assert!(is_quiet(&mut others, Duration::from_secs(1)).await);
}

#[tokio::test(start_paused = true)]
async fn addresses_are_reported_when_their_services_change() {
    let mut fixture = fixture();
    fixture.report(&service("echo:7", 1, 0));
    let mut addresses = watch(&fixture, "/api/v1alpha1/addresses?watch=1", &[]);
    let mut vanaddrs = watch(&fixture, "/api/v1alpha1/vanaddrs?watch=1", &[]);
    let mut record = watch(&fixture, "/api/v1alpha1/record?id=vanaddr:echo:7&watch=1", &[]);
    assert_eq!(lines(&mut vanaddrs).await, [json!(["echo:7"])]);
    lines(&mut addresses).await;
    lines(&mut record).await;
    let end = UpdateBuf::new(RecordKind::BiflowTport, "gv_ZW:3").with(Attribute::EndTime, EPOCH + 9);
    fixture.report(&[end]);
    for body in [&mut addresses, &mut vanaddrs, &mut record] {
        let reported = lines(body).await;
        assert_eq!((reported.len(), &reported[0]["id"]), (1, &json!("vanaddr:echo:7")));
        assert_eq!((&reported[0]["totalFlows"], &reported[0]["currentFlows"]), (&json!(1), &json!(0)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_is_reported_again_when_the_router_at_its_end_comes() {
    // faults 8
    let mut fixture = fixture();
    let link = UpdateBuf::new(RecordKind::Link, "gv_ZW:7")
        .with(Attribute::StartTime, EPOCH)
        .with(Attribute::Parent, "gv_ZW:0")
        .with(Attribute::Peer, "west:1");
    fixture.report(&[link]);
    let mut links = watch(&fixture, "/api/v1alpha1/links?watch=1", &[]);
    assert_eq!(lines(&mut links).await[0][1].get("parent"), None);
    let start = Timestamp::from_micros(EPOCH);
    fixture.report(&[
        UpdateBuf::new(RecordKind::RouterAccess, "west:1")
            .with(Attribute::StartTime, start)
            .with(Attribute::Parent, "west:0"),
        UpdateBuf::new(RecordKind::Router, "west:0").with(Attribute::StartTime, start),
    ]);
    let reported = lines(&mut links).await;
    assert_eq!(reported.last().unwrap()["parent"], "west:0");
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_for_the_list_and_not_for_what_changes() {
    let mut fixture = fixture();
    let mut body = watch(&fixture, "/api/v1alpha1/routers?watch=1&limit=0", &[]);
    assert_eq!(lines(&mut body).await, [json!([])]);
    fixture.report(&[named(0, "0/west-1")]);
    assert_eq!(lines(&mut body).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_long_list_of_events_is_one_event() {
    let mut fixture = fixture();
    fixture.report(&service("echo:7", 1_000, 0));
    let mut body = watch(&fixture, "/api/v1alpha1/flows?vanaddr=echo:7", &[EVENTS]);
    let mut list = String::new();
    let mut pieces = 0;
    while !list.ends_with("\n\n") {
        let piece = next(&mut body).await.unwrap();
        assert!(piece.len() < 80 * 1024, "pieces are bounded: {}", piece.len());
        list += &piece;
        pieces += 1;
    }
    assert!(pieces > 5);
    assert_eq!(events(&list)[0].2.as_array().unwrap().len(), 2 + 2_000);
}

#[tokio::test(start_paused = true)]
async fn sources_that_are_lost_end_what_they_reported_for_watchers_too() {
    // faults 4
    let fixture = fixture();
    let mut body = watch(&fixture, ROUTERS, &[]);
    lines(&mut body).await;
    {
        let mut store = fixture.publisher.write();
        let now = Timestamp::from_micros(EPOCH + 31_000_000);
        let source = store.source_seen("gv_ZW:0", SourceType::Router, Timestamp::from_micros(EPOCH));
        store.source_lost(source, Timestamp::from_micros(EPOCH + 1_000_000), now);
        drop(store);
        fixture.publisher.publish();
    }
    assert_eq!(lines(&mut body).await[0]["endTime"], EPOCH + 1_000_000);
}

#[tokio::test(start_paused = true)]
async fn a_watch_of_links_follows_which_sides_are_reported() {
    // faults 32
    let side = |id: &str, router: &str, other: &str, direction: &str| {
        UpdateBuf::new(RecordKind::Link, id)
            .with(Attribute::StartTime, EPOCH)
            .with(Attribute::Parent, router)
            .with(Attribute::Name, other)
            .with(Attribute::Direction, direction)
    };
    let mut fixture = fixture();
    fixture.report(&[named(0, "0/west-1"), router(9), named(9, "0/east-1")]);
    let mut body = watch(&fixture, "/api/v1alpha1/topology?watch=1", &[]);
    lines(&mut body).await;
    let ids = |lines: Vec<Value>| -> Vec<(String, bool)> {
        lines
            .iter()
            .map(|line| (line["id"].as_str().unwrap().to_owned(), line.get("endTime").is_some()))
            .collect()
    };
    fixture.report(&[side("gv_ZW:1", "gv_ZW:0", "east-1", "outgoing")]);
    assert_eq!(ids(lines(&mut body).await), [("gv_ZW:1.far".to_owned(), false)]);
    fixture.report(&[side("gv_ZW:10", "gv_ZW:9", "west-1", "incoming")]);
    let expected = [("gv_ZW:1.far".to_owned(), true), ("gv_ZW:10".to_owned(), false)];
    assert_eq!(ids(lines(&mut body).await), expected);
    fixture.report(&[UpdateBuf::new(RecordKind::Link, "gv_ZW:10").with(Attribute::EndTime, EPOCH + 1)]);
    let expected = [("gv_ZW:1.far".to_owned(), false), ("gv_ZW:10".to_owned(), true)];
    assert_eq!(ids(lines(&mut body).await), expected);
}

#[tokio::test(start_paused = true)]
async fn a_watch_keeps_to_filters_and_fields() {
    let mut fixture = fixture();
    let mut body = watch(&fixture, &format!("{ROUTERS}&name!=0/east-1&fields=name,id"), &[]);
    assert_eq!(next(&mut body).await.unwrap(), "[{\"id\":\"gv_ZW:0\"}]\n");
    fixture.report(&[named(0, "0/west-1"), router(1), named(1, "0/east-1")]);
    let piece = next(&mut body).await.unwrap();
    assert_eq!(piece, "{\"id\":\"gv_ZW:0\",\"name\":\"0/west-1\"}\n");
    fixture.report(&[UpdateBuf::new(RecordKind::Router, "gv_ZW:1").with(Attribute::Mode, "edge")]);
    assert!(is_quiet(&mut body, Duration::from_secs(10)).await, "of others nothing is said");
}
