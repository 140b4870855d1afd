//! The emulated VAN, collected over AMQP.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::Collector;

fn names(records: &Value) -> BTreeSet<String> {
    let records = records.as_array().expect("a list");
    records.iter().filter_map(|record| Some(record.get("name")?.as_str()?.to_owned())).collect()
}

#[tokio::test]
async fn a_newcomer_sees_a_network() {
    let collector = Collector::start(["--demo", "--demo-seed", "7"]).await;
    let (parts, body) = collector.answer("/readyz").await;
    assert_eq!(parts.status.as_u16(), 503, "{body:?}");
    collector.ready().await;
    let (parts, body) = collector.answer("/readyz").await;
    assert_eq!(parts.status.as_u16(), 200, "{body:?}");

    // On a busy machine a source may announce itself only after all others have answered.
    for list in ["routers", "sites"] {
        collector.until(&format!("/api/v1alpha1/{list}"), |records| names(records).len() >= 3).await;
    }
    for list in ["links", "listeners", "connectors", "processes", "addresses"] {
        let many = |records: &Value| records.as_array().is_some_and(|records| records.len() > 3);
        collector.until(&format!("/api/v1alpha1/{list}"), many).await;
    }
    collector.leave().await;
}

#[tokio::test]
async fn what_was_captured_shows_the_same_network_when_it_is_replayed() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("network.jsonl");
    let file = file.to_str().expect("UTF-8");
    let live = Collector::start(["--demo", "--capture", file]).await;
    live.ready().await;
    let expected = names(&live.get("/api/v1alpha1/routers").await);
    live.leave().await;

    let replayed = Collector::start(["--replay", file, "--speed", "max"]).await;
    replayed.ready().await;
    assert_eq!(names(&replayed.get("/api/v1alpha1/routers").await), expected);
    replayed.leave().await;
}
