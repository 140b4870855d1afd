//! A connection that drops and comes back.

use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;
use vanflow_proto::{
    Attribute, RecordKind, UpdateBuf,
    source::{ExchangeOptions, FlushFault, Source},
};

use crate::network::{EPOCH, Network, flow_count, listener, router};

fn ids(records: &Value) -> Vec<&str> {
    records.as_array().into_iter().flatten().filter_map(|record| record["id"].as_str()).collect()
}

#[tokio::test]
async fn what_ended_while_nobody_listened_is_swept_and_the_rest_lives() {
    // faults 3
    let network = Network::start(ExchangeOptions::default()).await;
    network.add(Source::router("a:0"));
    network.report("a:0", |source| {
        source.update(router("a:0", "0/east-1", EPOCH));
        source.update(listener("a:1", "a:0", "echo"));
        source.update(listener("a:2", "a:0", "backend"));
    });
    let collector = network.collector(|_| {}).await;
    collector.ready().await;
    let list = "/api/v1alpha1/listeners";
    assert_eq!(ids(&collector.get(list).await), ["a:1", "a:2"]);

    network.hold_answers(true);
    network.report_nobody("a:0", |source| {
        source.end("a:2", EPOCH.plus_micros(70));
        source.update(flow_count("a:1", 3));
        source.update(listener("a:3", "a:0", "cart"));
    });
    let asked = network.flushes("sfe.a:0");
    network.exchange().sever();
    network.flushed("sfe.a:0", asked + 1).await;
    // It was asked, and has not answered: nothing is known to be gone.
    let listeners = collector.get(list).await;
    assert_eq!(ids(&listeners), ["a:1", "a:2"], "{listeners}");
    assert!(listeners[0]["flowCountL4"] == 0, "{listeners}");

    network.hold_answers(false);
    let listeners = collector.until(list, |listeners| ids(listeners) == ["a:1", "a:3"]).await;
    assert_eq!(listeners[0]["flowCountL4"], 3, "{listeners}");
    let all = collector.get("/api/v1alpha1/listeners?includeDeleted=1").await;
    assert_eq!(ids(&all), ["a:1", "a:2", "a:3"]);
    assert!(all[1]["endTime"].is_u64(), "{all}");
    collector.ready().await;
    collector.leave().await;
}

/// A PROCESS record.
fn process(id: &str, name: &str) -> UpdateBuf {
    UpdateBuf::new(RecordKind::Process, id)
        .with(Attribute::Parent, "site-east")
        .with(Attribute::StartTime, EPOCH)
        .with(Attribute::Name, name)
}

/// A network with a controller that has reported its site and two pods.
async fn two_pods() -> Network {
    let network = Network::start(ExchangeOptions::default()).await;
    network.add(Source::controller("site-east"));
    network.report("site-east", |source| {
        source.update(UpdateBuf::new(RecordKind::Site, "site-east").with(Attribute::StartTime, EPOCH));
        source.update(process("pod-1", "cart"));
        source.update(process("pod-2", "stock"));
    });
    network
}

#[tokio::test]
async fn nothing_ends_before_its_source_has_answered_however_often_flush_is_refused() {
    // faults 29
    let network = two_pods().await;
    let collector = network
        .collector(|settings| {
            settings.waits.shortest_retry = 100_000;
            settings.waits.grace = 200_000;
        })
        .await;
    collector.ready().await;
    let list = "/api/v1alpha1/processes";
    assert_eq!(ids(&collector.get(list).await), ["pod-1", "pod-2"]);

    network.report_nobody("site-east", |source| source.end("pod-2", EPOCH.plus_micros(70)));
    network.hold_answers(true);
    network.exchange().fail_flushes("sfe.site-east", FlushFault::Released, 3);
    let asked = network.flushes("sfe.site-east");
    network.exchange().sever();
    network.deserted_by_all("mc/sfe.site-east").await;
    network.listened("mc/sfe.site-east").await;
    network.report("site-east", |source| source.update(process("pod-1", "cart-2")));
    collector.until(list, |processes| processes[0]["name"] == "cart-2").await;
    // Three FLUSHes were refused; two were taken, the second because the first was not answered.
    network.flushed("sfe.site-east", asked + 2).await;
    let processes = collector.get(list).await;
    assert_eq!(ids(&processes), ["pod-1", "pod-2"], "{processes}");
    assert_eq!(ids(&collector.get("/api/v1alpha1/sites").await), ["site-east"]);

    network.hold_answers(false);
    collector.until(list, |processes| ids(processes) == ["pod-1"]).await;
    assert_eq!(ids(&collector.get("/api/v1alpha1/sites").await), ["site-east"]);
    collector.leave().await;
}

#[tokio::test]
async fn a_source_that_was_silent_for_a_while_is_asked_what_it_still_has() {
    // faults 27
    let network = two_pods().await;
    let collector = network.collector(|settings| settings.waits.gap = 700_000).await;
    collector.ready().await;
    let list = "/api/v1alpha1/processes";
    let asked = network.flushes("sfe.site-east");

    network.exchange().silence("site-east", true);
    network.report_nobody("site-east", |source| source.end("pod-2", EPOCH.plus_micros(70)));
    // The silence itself: far shorter than that after which a source is lost.
    sleep(Duration::from_secs(1)).await;
    assert_eq!(ids(&collector.get(list).await), ["pod-1", "pod-2"]);
    network.exchange().silence("site-east", false);
    network.flushed("sfe.site-east", asked + 1).await;
    collector.until(list, |processes| ids(processes) == ["pod-1"]).await;
    let all = collector.get("/api/v1alpha1/processes?includeDeleted=1").await;
    assert!(all[1]["id"] == "pod-2" && all[1]["endTime"].is_u64(), "{all}");
    collector.leave().await;
}
