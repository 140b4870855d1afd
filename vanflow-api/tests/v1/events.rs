//! The list of events: over the captures, and by every question.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use serde_json::Value;
use vanflow_api::{ApiOptions, TakenEvents};
use vanflow_history::rows::Rows;
use vanflow_proto::{Attribute, RecordKind, SourceType, Timestamp, UpdateBuf};
use vanflow_store::{Store, StoreOptions};

use super::ask;
use crate::{
    support::{CAPTURES, EPOCH, Fixture, request_with},
    v2alpha1::past::Kept,
};

const SECOND: u64 = 1_000_000;

#[test]
fn what_happens_in_every_capture() {
    for capture in CAPTURES {
        let fixture = Fixture::observed(capture);
        insta::assert_json_snapshot!(format!("v1-events-{capture}"), ask(&fixture, "events"));
    }
}

#[test]
fn events_as_lines_and_as_a_table() {
    let fixture = Fixture::observed("router-3.5");
    let form = |accept| {
        let answer = fixture.ask(request_with("/api/v1/events", &[("accept", accept)]));
        assert_eq!(answer.status, StatusCode::OK);
        format!("{}\n{}", answer.header("content-type").unwrap(), answer.text())
    };
    insta::assert_snapshot!("v1-events-lines", form("application/x-ndjson"));
    insta::assert_snapshot!("v1-events-csv", form("text/csv"));
}

/// A network on which two links go down, one of them twice, and one router warns.
fn network() -> Fixture {
    network_with(ApiOptions::default())
}

fn network_with(options: ApiOptions) -> Fixture {
    let fixture = Fixture::with_options(Store::new(StoreOptions::default()), options);
    let at = |seconds: u64| Timestamp::from_micros(EPOCH + seconds * SECOND);
    let pass = |from: u64, to: u64| {
        for second in from..=to {
            while fixture.publisher.write().advance(at(second)) {}
            fixture.api.observe_events();
        }
    };
    pass(0, 0);
    let report = |seconds: u64, update: UpdateBuf| {
        let mut store = fixture.publisher.write();
        let source = store.source_seen("gv_ZW:0", SourceType::Router, at(seconds));
        store.apply(source, &update, at(seconds));
        drop(store);
        fixture.api.observe_events();
    };
    let new = |kind, id: &str| UpdateBuf::new(kind, id).with(Attribute::StartTime, 1);
    report(0, new(RecordKind::Site, "site-w").with(Attribute::Name, "west"));
    let router = new(RecordKind::Router, "gv_ZW:0").with(Attribute::Name, "0/west-1");
    report(0, router.with(Attribute::Parent, "site-w"));
    let link = |id: &str, name: &str| {
        let link = new(RecordKind::Link, id).with(Attribute::Parent, "gv_ZW:0").with(Attribute::Name, name);
        move |status: &str| link.clone().with(Attribute::OperStatus, status)
    };
    let (east, north) = (link("gv_ZW:1", "east"), link("gv_ZW:2", "north"));
    report(0, east("up"));
    report(0, north("up"));
    pass(1, 60);
    report(60, east("down"));
    pass(61, 70);
    report(70, east("up"));
    pass(71, 80);
    report(80, north("down"));
    let log = UpdateBuf::new(RecordKind::Log, "gv_ZW:3")
        .with(Attribute::Parent, "gv_ZW:0")
        .with(Attribute::StartTime, at(80))
        .with(Attribute::EndTime, at(80))
        .with(Attribute::LogSeverity, 2)
        .with(Attribute::LogText, "=CMD(\"<b>queue</b> is full\")");
    report(80, log);
    pass(81, 90);
    report(90, east("down"));
    pass(91, 100);
    fixture
}

fn texts(fixture: &Fixture, query: &str) -> Vec<String> {
    let answer = ask(fixture, &format!("events?{query}"));
    let results = answer["results"].as_array().unwrap();
    assert_eq!(answer["count"], results.len());
    results.iter().map(|event| event["text"].as_str().unwrap().to_owned()).collect()
}

const ALL: [&str; 5] = [
    "link west-1 – east is down, for the 2nd time in 15 min",
    "west-1 logged a warning",
    "link west-1 – north is down",
    "link west-1 – east is up again, it was down for 10 s",
    "link west-1 – east is down",
];

#[test]
fn events_are_selected_by_each_of_their_properties_by_time_and_by_number() {
    let fixture = network();
    let at = |seconds: u64| EPOCH + seconds * SECOND;
    for (query, expected) in [
        (String::new(), &[0, 1, 2, 3, 4][..]),
        ("sortBy=time.asc".into(), &[4, 3, 2, 1, 0]),
        ("limit=2".into(), &[0, 1]),
        ("limit=2&sortBy=time.asc".into(), &[4, 3]),
        ("after=3".into(), &[0, 1]),
        ("after=5".into(), &[]),
        ("kind=linkDown".into(), &[0, 2, 4]),
        ("kind=link".into(), &[0, 2, 3, 4]),
        ("kind=linkUp&kind=warning".into(), &[1, 3]),
        ("kind!=linkDown".into(), &[1, 3]),
        ("severity=warn".into(), &[1]),
        ("subject=gv_ZW:2".into(), &[2]),
        ("subject=west-1+%E2%80%93+north".into(), &[2]),
        ("subjectType=router".into(), &[1]),
        ("site=west".into(), &[0, 1, 2, 3, 4]),
        ("site=site-w".into(), &[0, 1, 2, 3, 4]),
        ("site=east".into(), &[]),
        ("siteName=west&subjectName=west-1".into(), &[0, 1, 2, 3, 4]),
        ("detail=*".into(), &[1]),
        ("endTime=*".into(), &[4]),
        ("count=1".into(), &[1]),
        ("number=2".into(), &[3]),
        ("identity=2".into(), &[3]),
        ("text=link+west-1+%E2%80%93+east".into(), &[0, 3, 4]),
        (format!("time={}", at(70)), &[3]),
        // What lasts is there for as long as it does.
        (format!("timeRangeStart={}", at(75)), &[0, 1, 2]),
        (format!("timeRangeStart={}", at(65)), &[0, 1, 2, 3, 4]),
        (format!("timeRangeEnd={}", at(75)), &[3, 4]),
        ("timeRangeStart=-15s&timeRangeEnd=now".into(), &[0]),
    ] {
        let expected: Vec<_> = expected.iter().map(|position: &usize| ALL[*position]).collect();
        assert_eq!(texts(&fixture, &query), expected, "{query}");
    }
    let answer = ask(&fixture, "events?limit=1");
    assert_eq!(
        (&answer["totalCount"], &answer["dropped"], &answer["oldest"]),
        (&5.into(), &0.into(), &at(60).into())
    );
    assert!(ask(&Fixture::new(Store::new(StoreOptions::default())), "events").get("oldest").is_none());
}

#[test]
fn a_question_that_makes_no_sense_is_told_what_would() {
    let fixture = network();
    for (query, expected) in [
        ("kind=linkLost", "`kind` is `linkLost`, but must be one of linkDown, linkUp, "),
        ("sortBy=kind.asc", "`sortBy` is `kind.asc`, but must be time.desc or time.asc"),
        ("after=-1", "`after` is `-1`, but must be a whole number, 0 or more"),
        (
            "timeRangeStart=tomorrow",
            "`timeRangeStart` is `tomorrow`, but must be microseconds since the epoch",
        ),
        (
            "timeRangeStart=now&timeRangeEnd=-1h",
            "`timeRangeStart` is `now`, which is after `timeRangeEnd`, `-1h`",
        ),
        ("kinds=linkDown", "`kinds` is no parameter of /api/v1/events; did you mean kind?"),
    ] {
        let answer = fixture.get(&format!("/api/v1/events?{query}"));
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with(expected), "{message}");
    }
}

#[test]
fn an_answer_is_the_same_until_an_event_is_recorded() {
    let fixture = network();
    let first = fixture.get("/api/v1/events");
    let tag = first.header("etag").expect("it has one").to_owned();
    let again = |tag: &str| fixture.ask(request_with("/api/v1/events", &[("if-none-match", tag)])).status;
    // The network changes; what happened on it does not.
    let mut store = fixture.publisher.write();
    let now = store.snapshot().now();
    let source = store.source_seen("gv_ZW:0", SourceType::Router, now);
    let octets = UpdateBuf::new(RecordKind::Link, "gv_ZW:2").with(Attribute::Octets, 7);
    store.apply(source, &octets, now);
    drop(store);
    assert_eq!(again(&tag), StatusCode::NOT_MODIFIED);
    let up = UpdateBuf::new(RecordKind::Link, "gv_ZW:2").with(Attribute::OperStatus, "up");
    fixture.publisher.write().apply(source, &up, now);
    assert_eq!(again(&tag), StatusCode::OK);
}

#[test]
fn what_sources_write_is_escaped_wherever_it_is_shown() {
    let fixture = network();
    let answer = ask(&fixture, "events?kind=warning");
    assert_eq!(answer["results"][0]["detail"], Value::from("=CMD(\"<b>queue</b> is full\")"));
    let csv = fixture.ask(request_with("/api/v1/events?kind=warning", &[("accept", "text/csv")]));
    assert!(csv.text().contains("\"'=CMD(\"\"<b>queue</b> is full\"\")\""), "{}", csv.text());
}

/// What is kept, and options of a collector that has it, with events in memory for so many seconds.
fn keeping(kept: &Arc<Kept>, seconds: u64) -> ApiOptions {
    let mut options = ApiOptions::default();
    options.events.retention = Duration::from_secs(seconds);
    let rows: Arc<dyn Rows> = kept.clone();
    options.rows = Some(rows);
    options
}

fn at_second(fixture: &Fixture, second: u64) {
    while fixture.publisher.write().advance(Timestamp::from_micros(EPOCH + second * SECOND)) {}
    fixture.api.observe_events();
}

#[test]
fn events_outlive_the_process_and_their_numbers_go_on() {
    let kept = Arc::new(Kept::default());
    let before = network_with(keeping(&kept, 3600));
    let mut taken = TakenEvents::default();
    kept.rows.lock().unwrap().extend(before.api.take_events(&mut taken));
    assert_eq!(kept.rows.lock().unwrap().len(), 5);
    assert!(before.api.take_events(&mut taken).is_empty(), "nothing happened since");
    assert_eq!(before.api.take_events(&mut TakenEvents::default()).len(), 5, "another takes them, too");
    let after = Fixture::with_options(Store::new(StoreOptions::default()), keeping(&kept, 3600));
    at_second(&after, 200);
    assert_eq!(texts(&after, ""), ALL);
    assert_eq!(ask(&after, "events")["results"], ask(&before, "events")["results"]);
    let mut taken = TakenEvents::default();
    assert!(after.api.take_events(&mut taken).is_empty(), "they are kept");
    let log = UpdateBuf::new(RecordKind::Log, "gv_ZW:9")
        .with(Attribute::Parent, "gv_ZW:0")
        .with(Attribute::StartTime, EPOCH + 201 * SECOND)
        .with(Attribute::LogSeverity, 2)
        .with(Attribute::LogText, "something else");
    let now = Timestamp::from_micros(EPOCH + 201 * SECOND);
    let source = after.publisher.write().source_seen("gv_ZW:0", SourceType::Router, now);
    at_second(&after, 300);
    after.publisher.write().apply(source, &log, now);
    at_second(&after, 301);
    assert_eq!(ask(&after, "events?limit=1")["results"][0]["number"], 6);
    assert_eq!(after.api.take_events(&mut taken).len(), 1);
}

#[test]
fn events_that_are_not_in_memory_any_more_are_those_that_would_be() {
    let kept = Arc::new(Kept::default());
    let few = network_with(keeping(&kept, 3600));
    kept.rows.lock().unwrap().extend(few.api.take_events(&mut TakenEvents::default()));
    let all = network();
    let few = Fixture::with_options(Store::new(StoreOptions::default()), keeping(&kept, 30));
    at_second(&few, 101);
    assert_eq!(texts(&few, "").len(), 3, "the others are no longer in memory");
    let at = |second: u64| EPOCH + second * SECOND;
    for query in [
        format!("timeRangeStart={}", at(0)),
        format!("timeRangeStart={}&limit=2", at(0)),
        format!("timeRangeStart={}&sortBy=time.asc&limit=3", at(0)),
        format!("timeRangeStart={}&timeRangeEnd={}", at(60), at(75)),
        format!("timeRangeStart={}&timeRangeEnd={}", at(85), at(100)),
        format!("timeRangeStart={}&kind=linkDown&subjectName=west-1", at(0)),
        format!("timeRangeStart={}&severity!=bad", at(0)),
        format!("timeRangeStart={}&after=2", at(0)),
    ] {
        let (few, all) = (ask(&few, &format!("events?{query}")), ask(&all, &format!("events?{query}")));
        assert_eq!(few["results"], all["results"], "{query}");
        assert_eq!(few["totalCount"], all["totalCount"], "{query}");
    }
    assert_eq!(ask(&few, "events?timeRangeStart=0")["oldest"], at(60));
    let damaged = Arc::new(Kept { is_damaged: true, ..Kept::default() });
    let without = Fixture::with_options(Store::new(StoreOptions::default()), keeping(&damaged, 30));
    at_second(&without, 101);
    let answer = without.get(&format!("/api/v1/events?timeRangeStart={}", at(0)));
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{}", answer.text());
    assert!(answer.text().contains("7.parquet"), "{}", answer.text());
}
