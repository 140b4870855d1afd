//! A collector that is asked to leave, does.

use serde_json::Value;

use crate::support::{Collector, capture};

#[tokio::test]
async fn watches_end_when_the_collector_leaves() {
    // faults 22
    let file = capture("router-3.5.jsonl");
    let collector = Collector::start(["--replay", file.to_str().expect("UTF-8"), "--speed", "max"]).await;
    collector.ready().await;
    let mut watch = collector.watch("/api/v1alpha1/routers?watch=1").await;
    let list: Value = serde_json::from_str(&watch.next().await.expect("a list")).expect("JSON");
    assert_eq!(list.as_array().map(Vec::len), Some(3), "{list}");
    collector.leave().await;
    let last = watch.next().await.expect("a watcher learns why there is no more");
    assert_eq!(last, r#"{"error":"the collector is going down: the watch is over"}"#);
    assert_eq!(watch.next().await, None);
}
