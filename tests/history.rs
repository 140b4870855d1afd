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

/// What a counter of the network comes to, over all of its series.
async fn counted(collector: &Collector, name: &str) -> Option<u64> {
    let (_, text) = collector.answer("/metrics").await;
    let text = String::from_utf8(text.to_vec()).expect("it is a text");
    let its = text.lines().filter(|line| line.starts_with(&format!("{name}{{")));
    let values: Vec<u64> = its
        .map(|line| line.rsplit_once(' ').and_then(|(_, value)| value.parse().ok()).expect("a number"))
        .collect();
    (!values.is_empty()).then(|| values.into_iter().sum())
}

async fn until_counted(collector: &Collector, name: &str, expected: u64) {
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(50));
    let counted = async {
        while counted(collector, name).await != Some(expected) {
            ticks.tick().await;
        }
    };
    tokio::time::timeout(crate::support::PATIENCE, counted).await.expect("it is never counted");
}

#[tokio::test]
async fn counters_go_on_when_a_collector_starts_again_and_begin_anew_after_a_crash() {
    const OPENED: &str = "skupper_connections_opened_total";
    for has_state in [false, true] {
        let [directory, state] = [(); 2].map(|()| TempDir::new().unwrap());
        let settings = |settings: &mut config::Settings| {
            settings.archive = Some(config::Archive {
                directory: directory.path().to_owned(),
                options: ArchiveOptions::default(),
            });
            settings.metrics.zero_for = std::time::Duration::ZERO;
            settings.state = has_state.then(|| config::State {
                directory: state.path().to_owned(),
                interval: std::time::Duration::from_millis(100),
            });
        };
        let another = |id: &str| {
            UpdateBuf::new(RecordKind::BiflowTport, id)
                .with(Attribute::StartTime, EPOCH.as_micros())
                .with(Attribute::Parent, "a:1")
                .with(Attribute::SourceHost, "10.0.0.9")
        };
        let network = Network::start(ExchangeOptions::default()).await;
        let mut source = with_connection(None);
        // With both ends known a connection is counted at once.
        let connector = UpdateBuf::new(RecordKind::Connector, "a:9").with(Attribute::Parent, "a:0");
        source.update(connector.with(Attribute::StartTime, EPOCH).with(Attribute::VanAddress, "echo"));
        network.add(source);
        let collector = network.collector(settings).await;
        until_counted(&collector, OPENED, 1).await;
        collector.leave().await;
        // It is there yet, and reported anew.
        let collector = network.collector(settings).await;
        network.report("a:0", |source| source.update(another("a:3")));
        until_counted(&collector, OPENED, 2).await;
        collector.leave().await;
        let kept = || std::fs::read(directory.path().join("counters")).unwrap();
        let nothing = b"00000000 ";
        assert_ne!(kept(), nothing);
        let collector = network.collector(settings).await;
        network.report("a:0", |source| source.update(another("a:4")));
        until_counted(&collector, OPENED, 3).await;
        // What is there is of no process any more: as after one that is killed, it is not gone on from.
        assert_eq!(kept(), nothing);
        collector.leave().await;
    }
}
