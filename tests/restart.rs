//! Routers and controllers that restart.

use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;
use vanflow_proto::{
    Attribute, RecordKind, UpdateBuf,
    source::{ExchangeOptions, Source},
};

use crate::{
    network::{EPOCH, Network, listener, router},
    support::Collector,
};

/// A router that has reported itself and a listener.
fn started(source: Source, offset: u64, service: &str) -> Source {
    let (mut source, start) = (source, EPOCH.plus_micros(offset));
    let id = source.id().to_owned();
    source.update(router(&id, "0/east-1", start));
    source.update(listener(&id.replace(":0", ":1"), &id, service));
    source
}

fn len(list: &Value) -> usize {
    list.as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn a_router_that_restarts_under_a_new_id_is_another_and_the_old_one_ends() {
    // faults 7
    let network = Network::start(ExchangeOptions::default()).await;
    network.add(started(Source::router("a:0"), 0, "echo"));
    let collector = network.collector(|settings| settings.waits.silence = 3_000_000).await;
    collector.until("/api/v1alpha1/routers", |routers| routers[0]["name"] == "0/east-1").await;

    network.kill("a:0");
    network.add(started(Source::router("b:0"), 1_000_000, "echo"));
    let path = "/api/v1alpha1/routers?includeDeleted=1";
    let both = |routers: &Value| len(routers) == 2 && routers[1]["name"] == "0/east-1";
    collector.until(path, both).await;
    let routers = collector
        .until("/api/v1alpha1/routers", |routers| len(routers) == 1 && routers[0]["id"] == "b:0")
        .await;
    assert_eq!(routers[0]["name"], "0/east-1", "{routers}");
    let routers = collector.get(path).await;
    assert!(routers[0]["id"] == "a:0" && routers[0]["endTime"].is_u64(), "{routers}");
    let listeners = collector.get("/api/v1alpha1/listeners").await;
    assert!(len(&listeners) == 1 && listeners[0]["id"] == "b:1", "{listeners}");
    collector.leave().await;
}

/// Whether the only listener is for that service.
fn serves(service: &'static str) -> impl Fn(&Value) -> bool {
    move |listeners| len(listeners) == 1 && listeners[0]["vanAddress"] == service
}

/// A collector that knows the first life of a router.
async fn collected(network: &Network) -> Collector {
    let collector = network.collector(|_| {}).await;
    collector.until("/api/v1alpha1/listeners", serves("echo")).await;
    collector.ready().await;
    collector
}

/// Waits for the listener of the second life, and looks at what became of the first.
async fn nothing_is_mixed(collector: Collector) {
    collector.until("/api/v1alpha1/listeners", serves("backend")).await;
    let path = "/api/v1alpha1/records?includeDeleted=1&rtype=";
    let listeners = collector.until(&format!("{path}LISTENER"), |all| len(all) == 2).await;
    assert!(listeners[0]["vanAddress"] == "echo" && listeners[0]["endTime"].is_u64(), "{listeners}");
    assert_eq!(listeners[1].get("endTime"), None, "{listeners}");
    let routers = collector.until(&format!("{path}ROUTER"), |all| len(all) == 2).await;
    assert!(routers[0]["startTime"] == EPOCH.as_micros() && routers[0]["endTime"].is_u64(), "{routers}");
    assert_eq!(routers[1]["startTime"], EPOCH.plus_micros(9_000_000).as_micros(), "{routers}");
    assert_eq!(routers[1].get("endTime"), None, "{routers}");
    collector.leave().await;
}

#[tokio::test]
async fn a_router_that_counts_its_messages_from_0_again_has_new_records() {
    // faults 6
    let network = Network::start(ExchangeOptions::default()).await;
    network.add(started(Source::router("a:0").numbered_from(1000), 0, "echo"));
    let collector = collected(&network).await;
    network.hold_answers(true);
    network.kill("a:0");
    network.add(started(Source::router("a:0"), 9_000_000, "backend"));
    // Its beacons and heartbeats are enough to know that what it was is over.
    collector.until("/api/v1alpha1/listeners", |listeners| len(listeners) == 0).await;
    network.hold_answers(false);
    network.report("a:0", |_| {});
    nothing_is_mixed(collector).await;
}

#[tokio::test]
async fn a_router_that_started_later_than_before_has_new_records() {
    // faults 6: it restarted so early that its numbers do not show it
    let network = Network::start(ExchangeOptions::default()).await;
    network.add(started(Source::router("a:0"), 0, "echo"));
    let collector = collected(&network).await;
    let before = network.kill("a:0");
    let restarted = Source::router("a:0").numbered_from(before.next_message_id());
    network.add(started(restarted, 9_000_000, "backend"));
    network.report("a:0", |_| {});
    nothing_is_mixed(collector).await;
}

/// A controller's process that begins with those pods: it says so, and nothing of its site unless it is asked.
fn controller(pods: &[&str]) -> Source {
    let mut source = Source::controller("site-east");
    source.update(UpdateBuf::new(RecordKind::Site, "site-east").with(Attribute::StartTime, EPOCH));
    drop(source.emit());
    for pod in pods {
        let process = UpdateBuf::new(RecordKind::Process, *pod).with(Attribute::Parent, "site-east");
        source.update(process.with(Attribute::StartTime, EPOCH).with(Attribute::Name, *pod));
    }
    source
}

#[tokio::test]
async fn a_controller_that_restarts_without_a_pod_has_it_no_more() {
    // faults 6: its identity and all that it repeats are what they were, and it says nothing of what ended meanwhile
    let network = Network::start(ExchangeOptions::default()).await;
    network.add(controller(&["cart", "stock"]));
    let collector = network.collector(|_| {}).await;
    collector.until("/api/v1alpha1/processes", |processes| len(processes) == 2).await;
    collector.ready().await;

    network.kill("site-east");
    // That long it takes a process to begin, and no longer: nobody takes the controller for gone.
    sleep(Duration::from_millis(1_500)).await;
    network.add(controller(&["cart"]));
    network.report("site-east", |_| {});
    let processes = collector.until("/api/v1alpha1/processes", |processes| len(processes) == 1).await;
    assert_eq!(processes[0]["name"], "cart", "{processes}");
    let all = collector.get("/api/v1alpha1/processes?includeDeleted=1").await;
    assert!(len(&all) == 2 && all[1]["name"] == "stock" && all[1]["endTime"].is_u64(), "{all}");
    collector.ready().await;
    collector.leave().await;
}
