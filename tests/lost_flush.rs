//! FLUSHes that come to nothing.

use serde_json::json;
use vanflow_proto::source::{ExchangeOptions, FlushFault, Source};

use crate::network::{EPOCH, Network, listener, router};

/// A network whose only router has reported all that it has to nobody.
async fn reported() -> Network {
    let network = Network::start(ExchangeOptions::default()).await;
    network.add(Source::router("a:0"));
    network.report_nobody("a:0", |source| {
        source.update(router("a:0", "0/east-1", EPOCH));
        source.update(listener("a:1", "a:0", "echo"));
    });
    network
}

#[tokio::test]
async fn a_router_whose_answer_is_lost_is_incomplete_until_it_is_asked_again() {
    // faults 1
    let network = reported().await;
    network.exchange().fail_flushes("sfe.a:0", FlushFault::Swallowed, 1);
    network.hold_answers(true);
    let collector = network.collector(|_| {}).await;
    // This is the second FLUSH: the first reached nobody.
    network.flushed("sfe.a:0", 1).await;
    let routers = collector.get("/api/v1alpha1/routers").await;
    assert_eq!(routers, json!([{"rtype": "ROUTER", "id": "a:0", "incomplete": true}]));
    assert_eq!(collector.answer("/readyz").await.0.status.as_u16(), 503);

    network.hold_answers(false);
    collector.ready().await;
    let routers = collector.get("/api/v1alpha1/routers").await;
    assert_eq!(routers[0]["name"], "0/east-1", "{routers}");
    assert_eq!(routers[0].get("incomplete"), None, "{routers}");
    assert_eq!(collector.get("/api/v1alpha1/vanaddrs").await, json!(["echo"]));
    collector.leave().await;
}

#[tokio::test]
async fn a_flush_that_is_released_or_rejected_is_sent_again() {
    // faults 2
    for fault in [FlushFault::Released, FlushFault::Rejected] {
        let network = reported().await;
        network.exchange().fail_flushes("sfe.a:0", fault, 2);
        let collector = network.collector(|_| {}).await;
        collector.ready().await;
        let routers = collector.get("/api/v1alpha1/routers").await;
        assert_eq!(routers[0]["name"], "0/east-1", "{fault:?}: {routers}");
        collector.leave().await;
    }
}

#[tokio::test]
async fn a_link_that_is_refused_is_attached_later() {
    // faults 2
    let network = reported().await;
    network.exchange().refuse("mc/sfe.a:0", true);
    network.hold_answers(true);
    let collector = network.collector(|settings| settings.waits.first_flush = 200_000).await;
    network.flushed("sfe.a:0", 1).await;
    assert!(!network.exchange().is_listened("mc/sfe.a:0"));
    network.exchange().refuse("mc/sfe.a:0", false);
    network.hold_answers(false);
    collector.until("/api/v1alpha1/routers", |routers| routers[0]["name"] == "0/east-1").await;
    collector.leave().await;
}
