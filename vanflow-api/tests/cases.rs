//! Small captures of what went wrong, and the right answers.

use std::time::Duration;

use serde_json::Value;
use vanflow_api::ApiOptions;
use vanflow_proto::{Attribute, RecordKind, UpdateBuf};
use vanflow_store::Store;

use crate::support::{Fixture, replay};

/// The API after that many seconds of a case.
fn case(name: &str, seconds: u64) -> Fixture {
    let mut options = ApiOptions::default();
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

#[test]
fn an_address_that_goes_to_another_pod_takes_no_traffic_along() {
    // faults 26
    for seconds in [25, 50, 80, 120] {
        let fixture = case("address-reused-client", seconds);
        let mut octets: Vec<_> = results(&fixture, "/api/v2alpha1/connections?state=all&timeRangeStart=0")
            .iter()
            .map(|connection| {
                let name = connection["sourceProcessName"].as_str().expect("a name").to_owned();
                (name, connection["octetCount"].as_u64().expect("a number"))
            })
            .collect();
        octets.sort();
        let mut pairs: Vec<_> = results(&fixture, "/api/v2alpha1/processpairs?state=all&timeRangeStart=0")
            .iter()
            .map(|pair| pair["sourceName"].as_str().expect("a name").to_owned())
            .collect();
        pairs.sort();
        let sent: Vec<_> = sent(&fixture).into_iter().map(|(source, _, octets)| (source, octets)).collect();
        let mut right = vec![("old-pod".to_owned(), 1000)];
        if seconds >= 80 {
            right.insert(0, ("new-pod".to_owned(), 5));
        }
        assert_eq!(octets, right, "{seconds}");
        assert_eq!(sent, right, "{seconds}");
        assert_eq!(pairs, right.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), "{seconds}");
    }
}

#[test]
fn a_process_that_is_reported_late_takes_over_what_is_its_own_and_nothing_else() {
    // faults 8, 26: with a look at the metrics after each record.
    const EPOCH: u64 = crate::support::EPOCH;
    let new = |kind, id: &str, start: u64| UpdateBuf::new(kind, id).with(Attribute::StartTime, EPOCH + start);
    let endpoint = |update: UpdateBuf| {
        let update = update.with(Attribute::Parent, "gv_ZW:0").with(Attribute::Protocol, "tcp");
        update.with(Attribute::VanAddress, "echo")
    };
    let process = |id: &str, host: &str, start: u64| {
        new(RecordKind::Process, id, start)
            .with(Attribute::Parent, "site")
            .with(Attribute::Name, id)
            .with(Attribute::SourceHost, host)
    };
    let connection = |id: &str, start: u64, octets: u64| {
        new(RecordKind::BiflowTport, id, start)
            .with(Attribute::Parent, "gv_ZW:1")
            .with(Attribute::Connector, "gv_ZW:2")
            .with(Attribute::SourceHost, "10.0.0.7")
            .with(Attribute::Octets, octets)
    };
    let mut options = ApiOptions::default();
    options.metrics.zero_for = Duration::ZERO;
    let mut fixture = Fixture::with_options(Store::new(vanflow_store::StoreOptions::default()), options);
    let updates = [
        new(RecordKind::Site, "site", 0).with(Attribute::Name, "one"),
        new(RecordKind::Router, "gv_ZW:0", 0).with(Attribute::Parent, "site"),
        endpoint(new(RecordKind::Listener, "gv_ZW:1", 0)),
        endpoint(new(RecordKind::Connector, "gv_ZW:2", 0)).with(Attribute::DestHost, "10.0.0.2"),
        process("server", "10.0.0.2", 0),
        process("old", "10.0.0.7", 1),
        connection("gv_ZW:10", 2, 1000),
        connection("gv_ZW:11", 8, 5),
        process("new", "10.0.0.7", 5),
        connection("gv_ZW:12", 9, 7),
    ];
    for update in updates {
        fixture.report(&[update]);
        sent(&fixture);
    }
    let names: Vec<_> = results(&fixture, "/api/v2alpha1/connections?sortBy=identity.asc")
        .iter()
        .map(|connection| connection["sourceProcessName"].as_str().expect("a name").to_owned())
        .collect();
    assert_eq!(names, ["old", "new", "new"]);
    let mut pairs: Vec<_> = results(&fixture, "/api/v2alpha1/processpairs")
        .iter()
        .map(|pair| (pair["sourceName"].to_string(), pair["recordCount"].to_string()))
        .collect();
    pairs.sort();
    assert_eq!(pairs, [("\"new\"".into(), "2".into()), ("\"old\"".into(), "1".into())]);
    // The 5 octets that were counted before the process was known stay where they were: no counter falls, and there is in
    // all what the records come to.
    let sent: Vec<_> = sent(&fixture).into_iter().map(|(source, _, octets)| (source, octets)).collect();
    assert_eq!(sent, [("new".to_owned(), 7), ("old".to_owned(), 1005)]);
}

#[test]
fn a_process_reported_whole_after_its_end_lives_again() {
    // faults 9
    let process = |seconds| {
        let processes = results(
            &case("told-again-after-end-newer-start", seconds),
            "/api/v2alpha1/processes?state=all&timeRangeStart=0",
        );
        assert_eq!(processes.len(), 1);
        let time = |name: &str| processes[0][name].as_u64().expect("a time");
        (time("startTime"), time("endTime"))
    };
    let (first, end) = process(15);
    assert!(end > first);
    let (second, end) = process(25);
    assert_eq!(end, 0, "it lives");
    assert!((18_000_000..19_000_000).contains(&(second - first)), "{}", second - first);
}
