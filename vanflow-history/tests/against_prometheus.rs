//! The same questions about the same samples to a real Prometheus and to us have the same answers.

use std::collections::BTreeMap;

use serde_json::Value;
use vanflow_history::{History, QueryKind, respond};

use crate::{
    prometheus::Prometheus,
    world::{self, EPOCH, SCRAPES},
};

/// All that is asked, as instant queries and over ranges.
const QUERIES: &str = include_str!("queries.txt");

/// How far numbers may be apart, relative to their size: sums are not added up in the same order.
const NOISE: f64 = 1e-9;

#[test]
fn prometheus_and_we_say_the_same() {
    let Some(prometheus) = Prometheus::start() else { return };
    let scrapes = world::scrapes();
    let history = world::history(&scrapes);
    prometheus.write(&scrapes);

    let end = EPOCH + SCRAPES * 5_000;
    let mut asked = 0;
    let mut filled = 0;
    let mut wrong = Vec::new();
    for query in QUERIES.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let mut is_filled = false;
        for (kind, times) in times(end) {
            let form = format!("query={}&{times}", encoded(query));
            let path = if kind == QueryKind::Instant { "query" } else { "query_range" };
            let (status, theirs) = prometheus.ask(path, &form);
            let (our_status, ours) = ask(&history, kind, &form, end);
            asked += 1;
            is_filled |= theirs["data"]["result"].as_array().is_some_and(|result| !result.is_empty());
            is_filled |= theirs["status"] == "error";
            // What asks for an order gets one, where there is one to get.
            let is_ordered = kind == QueryKind::Instant && query.starts_with("sort");
            let difference = if status == our_status {
                difference(&theirs, &ours, is_ordered)
            } else {
                Some(format!("status {status} and {our_status}: {theirs} and {ours}"))
            };
            wrong.extend(difference.map(|difference| format!("{query}\n  {times}: {difference}")));
        }
        filled += usize::from(is_filled);
        if !is_filled {
            wrong.push(format!("{query}\n  asks for nothing that is there"));
        }
    }
    assert!(wrong.is_empty(), "{} of {asked} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(filled > 150 && asked > 1000, "{filled} queries, asked {asked} times");
}

/// When to ask: at a sample, between samples, after the last, before the first; in small odd steps, in steps longer
/// than the look-back, and beyond both ends.
fn times(end: i64) -> Vec<(QueryKind<'static>, String)> {
    let instants = [EPOCH + 300_000, EPOCH + 417_350, end + 7_777, end + 200_000, EPOCH - 10_000];
    let ranges = [
        (EPOCH + 100_000, end - 100_000, "7"),
        (EPOCH - 60_321, end + 400_321, "33.333"),
        (EPOCH + 123_456, EPOCH + 523_456, "1m5s"),
        (EPOCH + 500_000, EPOCH + 500_000, "1"),
    ];
    let seconds = |ms: i64| format!("{}.{:03}", ms / 1000, ms % 1000);
    let instants = instants.map(|at| (QueryKind::Instant, format!("time={}", seconds(at))));
    let ranges = ranges.map(|(start, end, step)| {
        (QueryKind::Range, format!("start={}&end={}&step={step}", seconds(start), seconds(end)))
    });
    instants.into_iter().chain(ranges).collect()
}

fn ask(history: &History, kind: QueryKind<'_>, form: &str, now_ms: i64) -> (u16, Value) {
    let (status, body) = respond(kind, None, form, history, now_ms);
    (status.as_u16(), serde_json::from_slice(&body).unwrap())
}

/// What is different, if anything is.
fn difference(theirs: &Value, ours: &Value, is_ordered: bool) -> Option<String> {
    if theirs["status"] != ours["status"] || theirs["errorType"] != ours["errorType"] {
        return Some(format!("{theirs} and {ours}"));
    }
    // What a query means is said in the same words; what is wrong with its text, or in which order, is not.
    if theirs["errorType"] == "execution" && wording(theirs) != wording(ours) {
        return Some(format!("{theirs} and {ours}"));
    }
    if theirs["data"]["resultType"] != ours["data"]["resultType"] {
        return Some(format!("{} and {}", theirs["data"], ours["data"]));
    }
    let [theirs, ours] = [theirs, ours].map(|answer| &answer["data"]["result"]);
    match (theirs.as_array(), ours.as_array()) {
        (None, None) => None,
        (Some(theirs), Some(ours)) if theirs.iter().all(|row| row["metric"].is_object()) => {
            if theirs.len() != ours.len() {
                return Some(format!("{} series and {}: {theirs:?} and {ours:?}", theirs.len(), ours.len()));
            }
            if is_ordered {
                return theirs.iter().zip(ours).find_map(|(theirs, ours)| {
                    let is_same =
                        theirs["metric"] == ours["metric"] && are_same(&theirs["value"], &ours["value"]);
                    (!is_same).then(|| format!("{theirs} and {ours}"))
                });
            }
            let ours: BTreeMap<String, &Value> = ours.iter().map(|row| (key(row), row)).collect();
            theirs.iter().find_map(|row| {
                let Some(ours) = ours.get(&key(row)) else {
                    return Some(format!("we lack {}", row["metric"]));
                };
                let is_same =
                    are_same(&row["value"], &ours["value"]) && are_same(&row["values"], &ours["values"]);
                (!is_same).then(|| format!("{row} and {ours}"))
            })
        }
        // A scalar or a string.
        _ => (!are_same(theirs, ours)).then(|| format!("{theirs} and {ours}")),
    }
}

/// The text of an error up to the series that it names.
fn wording(answer: &Value) -> &str {
    answer["error"].as_str().and_then(|error| error.split(['{', '[']).next()).unwrap_or("")
}

fn key(row: &Value) -> String {
    let labels: BTreeMap<String, String> = serde_json::from_value(row["metric"].clone()).unwrap();
    format!("{labels:?}")
}

/// Whether times are the same, and numbers but for noise. Numbers are strings; times are numbers.
fn are_same(theirs: &Value, ours: &Value) -> bool {
    match (theirs, ours) {
        (Value::Array(theirs), Value::Array(ours)) => {
            theirs.len() == ours.len() && theirs.iter().zip(ours).all(|(theirs, ours)| are_same(theirs, ours))
        }
        (Value::String(theirs), Value::String(ours)) => match (theirs.parse::<f64>(), ours.parse::<f64>()) {
            _ if theirs == ours => true,
            (Ok(theirs), Ok(ours)) => (theirs - ours).abs() <= NOISE * theirs.abs().max(ours.abs()),
            _ => false,
        },
        (Value::Number(theirs), Value::Number(ours)) => theirs.as_f64() == ours.as_f64(),
        _ => theirs == ours,
    }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|octet| format!("%{octet:02X}")).collect()
}
