//! A collector that attaches long after everything was reported.

use serde_json::json;
use vanflow_proto::{
    Attribute, RecordKind, UpdateBuf,
    source::{ExchangeOptions, Source},
};

use crate::network::{EPOCH, Network, flow_count, listener, router};

#[tokio::test]
async fn a_late_collector_learns_what_was_reported_and_loses_nothing_that_changes_meanwhile() {
    // faults 1 and 9: halves until the answer, and an end without a start
    let network = Network::start(ExchangeOptions::default()).await;
    network.add(Source::router("a:0"));
    network.report("a:0", |source| {
        source.update(router("a:0", "0/east-1", EPOCH));
        source.update(listener("a:1", "a:0", "echo"));
        source.update(listener("a:2", "a:0", "backend"));
        source.update(
            UpdateBuf::new(RecordKind::BiflowTport, "a:3")
                .with(Attribute::Parent, "a:1")
                .with(Attribute::StartTime, EPOCH)
                .with(Attribute::SourceHost, "10.0.0.7"),
        );
    });
    network.hold_answers(true);
    let collector = network.collector(|_| {}).await;
    network.flushed("sfe.a:0", 1).await;
    network.listened("mc/sfe.a:0.flows").await;

    network.report("a:0", |source| {
        source.update(flow_count("a:1", 5));
        source.end("a:3", EPOCH.plus_micros(70));
    });
    let half = json!([{
        "rtype": "LISTENER", "id": "a:1", "flowCountL4": 5, "connectionsNeverReported": 0, "incomplete": true,
    }]);
    collector.until("/api/v1alpha1/listeners", |listeners| *listeners == half).await;
    let end = |records: &serde_json::Value| records[0]["endTime"] == EPOCH.plus_micros(70).as_micros();
    collector.until("/api/v1alpha1/records?rtype=BIFLOW_TPORT&includeDeleted=1", end).await;

    network.hold_answers(false);
    collector.ready().await;
    let listeners = collector
        .until("/api/v1alpha1/listeners", |listeners| listeners.as_array().is_some_and(|all| all.len() == 2))
        .await;
    for (listener, (service, count)) in
        listeners.as_array().expect("a list").iter().zip([("echo", 5), ("backend", 0)])
    {
        assert_eq!(listener["vanAddress"], service, "{listeners}");
        assert_eq!(listener["flowCountL4"], count, "{listeners}");
        assert_eq!(listener["parent"], "a:0", "{listeners}");
        assert_eq!(listener.get("incomplete"), None, "{listeners}");
    }
    // The source had forgotten it by the time that it answered.
    let ended = collector.get("/api/v1alpha1/records?rtype=BIFLOW_TPORT&includeDeleted=1").await;
    assert!(end(&ended) && ended.as_array().is_some_and(|all| all.len() == 1), "{ended}");
    collector.leave().await;
}
