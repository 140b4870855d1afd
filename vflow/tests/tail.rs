//! `observe -f`: what is shown of what comes, and what is said when the collector is lost.

use std::{
    ffi::OsString,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use vflow::{RIGHT, run};

use crate::{
    server::{Asked, Reply, serve},
    support::{PIPE, Reader},
};

const VERDICT: &str = r#"{"complete":true,"now":1795347890000000}"#;

/// A connection with that number, open or ended.
fn connection(number: u64, has_ended: bool) -> String {
    let start = 1_795_347_888_000_000 + number * 1_000_000;
    let end = if has_ended { start + 500_000 } else { 0 };
    format!(
        r#"{{"key":"a:{number}@{start}","startTime":{start},"endTime":{end},"routingKey":"shop","sourceProcessName":"client-{number}"}}"#
    )
}

fn record(id: Option<u64>, item: &str) -> String {
    let id = id.map(|id| format!("id: x-{id}\n")).unwrap_or_default();
    format!("event: record\n{id}data: {item}\n\n")
}

const LIST: &str = "event: list\nid: x-1\ndata: {\"results\":[]}\n\n";

/// Follows connections until `until` was shown so many times.
async fn followed(url: &str, until: &'static str, times: usize) -> (String, String, u8) {
    let mut out = Reader::until(until, times);
    let mut err = Vec::new();
    let args = ["vflow", "observe", "-f", "--columns", "client,lasted", "--server", url].map(OsString::from);
    let code = run(args, &PIPE, &mut out, &mut err).await;
    (out.text(), String::from_utf8(err).expect("it is text"), code)
}

/// The rows of a table, without the spaces that align them.
fn rows(out: &str) -> Vec<String> {
    out.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[tokio::test]
async fn a_connection_is_shown_when_it_opens_and_when_it_ends_after_what_was_before() {
    let (url, asked) = serve(|asked: &Asked| match asked.target.as_str() {
        target if target.starts_with("/api/v1/verdict") => Reply::ok(VERDICT),
        target if target.contains("watch=1") => {
            let events = [
                LIST.to_owned(),
                record(Some(2), &connection(2, true)),
                record(Some(3), &connection(3, false)),
                record(None, &connection(3, false)),
                record(Some(4), &connection(3, true)),
                record(Some(5), &connection(9, true)),
            ];
            Reply { goes_on: true, ..Reply::ok(events.concat()) }
        }
        // The newest first, as it is asked for.
        _ => Reply::ok(format!("{}\n{}\n", connection(2, true), connection(1, true))),
    })
    .await;
    let (out, err, code) = followed(&url, "client-9", 1).await;
    let expected =
        ["client-1 500 ms", "client-2 500 ms", "client-3 open", "client-3 500 ms", "client-9 500 ms"];
    assert_eq!((rows(&out), err.as_str(), code), (expected.map(str::to_owned).to_vec(), "", RIGHT));
    let asked = asked.lock().expect("nobody panicked");
    let watch = asked.iter().position(|asked| asked.target.contains("watch=1"));
    let list = asked.iter().position(|asked| asked.target.contains("limit=20"));
    assert!(watch < list, "nothing falls between what was and what comes: {asked:?}");
}

#[tokio::test]
async fn a_lost_connection_is_gone_on_from_and_that_is_said() {
    let times = Arc::new(AtomicUsize::new(0));
    let (url, asked) = serve(move |asked: &Asked| match asked.target.as_str() {
        target if target.starts_with("/api/v1/verdict") => Reply::ok(VERDICT),
        target if target.contains("watch=1") => match times.fetch_add(1, Ordering::Relaxed) {
            0 => Reply::ok([LIST.to_owned(), record(Some(7), &connection(1, true))].concat()),
            _ => Reply { goes_on: true, ..Reply::ok(record(Some(8), &connection(2, true))) },
        },
        _ => Reply::ok(""),
    })
    .await;
    let (out, err, code) = followed(&url, "client-2", 1).await;
    assert_eq!((rows(&out), code), (vec!["client-1 500 ms".to_owned(), "client-2 500 ms".to_owned()], RIGHT));
    let lines: Vec<_> = err.lines().collect();
    assert_eq!(lines[0], format!("lost the collector at {url}: it closed the connection; trying again"));
    assert!(lines[1].starts_with("back after ") && lines[1].ends_with("; nothing was missed"), "{err}");
    let asked = asked.lock().expect("nobody panicked");
    let again = asked.iter().filter(|asked| asked.target.contains("watch=1")).nth(1).expect("it came back");
    assert!(again.head.contains("last-event-id: x-7"), "{}", again.head);
}

#[tokio::test]
async fn what_came_while_a_collector_started_anew_is_made_up_for_and_said() {
    let times = Arc::new(AtomicUsize::new(0));
    let (url, _) = serve(move |asked: &Asked| match asked.target.as_str() {
        target if target.starts_with("/api/v1/verdict") => Reply::ok(VERDICT),
        target if target.contains("watch=1") => match times.fetch_add(1, Ordering::Relaxed) {
            0 => Reply::ok([LIST.to_owned(), record(Some(7), &connection(1, true))].concat()),
            _ => Reply {
                goes_on: true,
                ..Reply::ok([LIST.to_owned(), record(None, &connection(4, true))].concat())
            },
        },
        target if target.contains("startTime.asc") => {
            Reply::ok(format!("{}\n{}\n", connection(1, true), connection(2, true)))
        }
        _ => Reply::ok(""),
    })
    .await;
    let (out, err, _) = followed(&url, "client-4", 1).await;
    let expected = ["client-1 500 ms", "client-2 500 ms", "client-4 500 ms"];
    assert_eq!(rows(&out), expected.map(str::to_owned).to_vec());
    let said = err.lines().nth(1).expect("it is said");
    assert!(
        said.ends_with(
            "but the collector could not go on from there: what it has since 2026-11-22 11:44:40 is shown above; \
             what it did not receive or does not keep is missing"
        ),
        "{said}"
    );
}

#[tokio::test]
async fn events_are_gone_on_from_by_their_numbers() {
    let event = |number: u64| {
        format!(
            r#"{{"identity":"{number}","number":{number},"time":1795347888000000,"severity":"bad","text":"link {number} is down"}}"#
        )
    };
    let (url, asked) = serve(move |asked: &Asked| match asked.target.as_str() {
        target if target.starts_with("/api/v1/verdict") => Reply::ok(VERDICT),
        target if target.contains("after=3") => Reply::ok(format!(r#"{{"results":[{}]}}"#, event(6))),
        _ => Reply::ok(format!("{}\n", event(3))),
    })
    .await;
    let mut out = Reader::until("link 6", 1);
    let mut err = Vec::new();
    let args = ["vflow", "observe", "events", "-f", "--server", &url].map(OsString::from);
    let code = run(args, &PIPE, &mut out, &mut err).await;
    assert_eq!(code, RIGHT);
    assert!(out.text().contains("✕ link 3 is down"), "{}", out.text());
    assert_eq!(String::from_utf8_lossy(&err), "2 events were dropped before they could be shown\n");
    assert!(asked.lock().expect("nobody panicked").iter().any(|asked| asked.target.contains("after=3")));
}

#[tokio::test]
async fn whoever_has_read_enough_ends_any_call_quietly() {
    let mut out = Reader::until("\n", 3);
    let mut err = Vec::new();
    let args = ["vflow", "export", "--input", "../tests/captures/router-3.5.jsonl"].map(OsString::from);
    let code = run(args, &PIPE, &mut out, &mut err).await;
    assert_eq!(code, RIGHT);
    assert!(!String::from_utf8_lossy(&err).contains("error"), "{}", String::from_utf8_lossy(&err));
}
