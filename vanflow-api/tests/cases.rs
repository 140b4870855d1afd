//! Small captures of what went wrong, and the right answers.

use std::time::Duration;

use serde_json::Value;
use vanflow_api::Options;

use crate::support::{Fixture, replay};

/// The API after that many seconds of a case.
fn case(name: &str, seconds: u64) -> Fixture {
    let mut options = Options::default();
    options.metrics.zero_for = Duration::ZERO;
    Fixture::with_options(replay(&format!("../cases/{name}"), seconds * 1_000_000), options)
}

fn results(fixture: &Fixture, path: &str) -> Vec<Value> {
    fixture.get(path).json()["results"].as_array().expect("a list").clone()
}

/// The octets that were sent, by the names of the processes at either end.
fn sent(fixture: &Fixture) -> Vec<(String, String, u64)> {
    let label = |line: &str, name: &str| {
        let (_, rest) = line.split_once(&format!("{name}=\"")).expect("it has the label");
        rest.split('"').next().expect("it ends").to_owned()
    };
    let answer = fixture.get("/metrics");
    let lines = answer.text().lines().filter(|line| line.starts_with("skupper_sent_bytes_total{"));
    let mut sent: Vec<_> = lines
        .map(|line| {
            let octets = line.rsplit(' ').next().expect("a value").parse().expect("a number");
            (label(line, "source_process_name"), label(line, "dest_process_name"), octets)
        })
        .collect();
    sent.sort();
    sent
}

#[test]
fn a_connection_outlives_the_connector_that_it_goes_through() {
    // faults 25
    let fixture = case("pod-not-ready-for-30s", 1200);
    let connections = results(&fixture, "/api/v2alpha1/connections");
    assert_eq!(connections.len(), 1);
    assert_eq!(connections[0]["destProcessName"], "sv");
    assert_eq!(connections[0]["octetCount"], 1110);
    let pairs = results(&fixture, "/api/v2alpha1/processpairs");
    assert_eq!(pairs.len(), 1);
    assert_eq!(pairs[0]["destinationName"], "sv");
    let sent = sent(&fixture);
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!((&*sent[0].1, sent[0].2), ("sv", 1110));
}
