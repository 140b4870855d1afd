//! What has ended is kept on disk, and can be asked for when it is not held any more.

use serde_json::Value;
use tempfile::TempDir;
use vanflow_collector::config;
use vanflow_history::ArchiveOptions;
use vanflow_proto::{
    Attribute, RecordKind, UpdateBuf,
    source::{ExchangeOptions, Source},
};

use crate::{
    network::{EPOCH, Network, listener, router},
    support::Collector,
};

const ALL: &str = "/api/v2alpha1/connections?timeRangeStart=2026-01-01T00:00:00Z";

fn with_connection(end: Option<u64>) -> Source {
    let mut source = Source::router("a:0");
    source.update(router("a:0", "0/west-1", EPOCH));
    source.update(listener("a:1", "a:0", "echo"));
    let mut connection = UpdateBuf::new(RecordKind::BiflowTport, "a:2")
        .with(Attribute::StartTime, EPOCH.as_micros())
        .with(Attribute::Parent, "a:1")
        .with(Attribute::SourceHost, "10.0.0.9");
    if let Some(end) = end {
        connection = connection.with(Attribute::EndTime, end);
    }
    source.update(connection);
    source
}

#[tokio::test]
async fn a_collector_that_starts_anew_answers_what_the_last_one_kept() {
    // faults 36
    let directory = TempDir::new().unwrap();
    let archive =
        || config::Archive { directory: directory.path().to_owned(), options: ArchiveOptions::default() };
    let network = Network::start(ExchangeOptions::default()).await;
    network.add(with_connection(Some(EPOCH.as_micros() + 1_000_000)));
    let collector = network.collector(|settings| settings.archive = Some(archive())).await;
    let is_there = |list: &Value| list["count"] == 1;
    let first = collector.until(ALL, is_there).await;
    collector.leave().await;
    drop(network);

    // Of another network, which knows nothing of it.
    let network = Network::start(ExchangeOptions::default()).await;
    let collector = network.collector(|settings| settings.archive = Some(archive())).await;
    let again = collector.until(ALL, is_there).await;
    assert_eq!(again, first);
    assert_eq!(again["results"][0]["routingKey"], "echo", "{again}");
    collector.leave().await;
}

#[tokio::test]
async fn an_emulated_network_has_a_history_without_being_asked_for_one() {
    let collector = Collector::start(["--demo", "--demo-rate", "50"]).await;
    let is_kept = |verdict: &Value| {
        let kinds = verdict["ended"].as_array().expect("a list");
        kinds.len() == 3 && kinds.iter().all(|kind| kind["rows"].as_u64() > Some(0))
    };
    collector.until("/api/v1/verdict", is_kept).await;
    collector.leave().await;
}
