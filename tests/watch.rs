//! Watching over a real socket.

use serde_json::{Value, json};
use tokio::net::TcpSocket;
use vanflow_proto::{
    Attribute,
    source::{ExchangeOptions, Source},
};

use crate::{
    network::{EPOCH, Network, flow_count, listener, router},
    support::Lines,
};

const WATCHED: &str = "/api/v1alpha1/listeners?watch=1";

async fn next(watch: &mut Lines) -> Value {
    serde_json::from_str(&watch.next().await.expect("a line")).expect("JSON")
}

#[tokio::test]
async fn a_watcher_gets_the_list_and_then_what_changes() {
    let network = Network::start(ExchangeOptions::default()).await;
    network.add(Source::router("a:0"));
    network.report("a:0", |source| {
        source.update(router("a:0", "0/east-1", EPOCH));
        source.update(listener("a:1", "a:0", "echo"));
        source.update(listener("a:2", "a:0", "backend"));
    });
    let collector = network.collector(|_| {}).await;
    collector.ready().await;
    let mut watch = collector.watch(WATCHED).await;
    let list = next(&mut watch).await;
    assert_eq!(list, collector.get("/api/v1alpha1/listeners").await);
    assert_eq!(list.as_array().map(Vec::len), Some(2), "{list}");

    network.report("a:0", |source| source.update(flow_count("a:2", 5)));
    let changed = next(&mut watch).await;
    assert_eq!((&changed["id"], &changed["flowCountL4"]), (&json!("a:2"), &json!(5)), "{changed}");
    assert_eq!(changed["vanAddress"], "backend", "whole, not what was reported: {changed}");
    network.report("a:0", |source| source.update(listener("a:3", "a:0", "cart")));
    let begun = next(&mut watch).await;
    assert_eq!((&begun["id"], &begun["vanAddress"]), (&json!("a:3"), &json!("cart")), "{begun}");
    network.report("a:0", |source| source.end("a:1", EPOCH.plus_micros(70)));
    let ended = next(&mut watch).await;
    assert_eq!((&ended["id"], &ended["endTime"]), (&json!("a:1"), &json!(EPOCH.plus_micros(70).as_micros())));
    collector.leave().await;
}

#[tokio::test]
async fn a_watcher_that_does_not_read_holds_nobody_up_and_gets_the_latest_state() {
    // faults 19
    const LISTENERS: u64 = 100;
    const ROUNDS: u64 = 10;
    let network = Network::start(ExchangeOptions::default()).await;
    network.add(Source::router("a:0"));
    let name = "x".repeat(10_000);
    network.report("a:0", |source| {
        source.update(router("a:0", "0/east-1", EPOCH));
        for number in 1..=LISTENERS {
            let listener = listener(&format!("a:{number}"), "a:0", "echo");
            source.update(listener.with(Attribute::Name, &*name));
        }
    });
    let collector = network.collector(|_| {}).await;
    collector.ready().await;
    let is_there = |all: &Value| all.as_array().is_some_and(|all| all.len() as u64 == LISTENERS);
    collector.until("/api/v1alpha1/listeners", is_there).await;

    // What little it takes of its own accord is soon full.
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    let stream = socket.connect(collector.address()).await.expect("it listens");
    let mut stuck = collector.watch_over(stream, WATCHED).await;

    let mut swift = collector.watch(WATCHED).await;
    assert!(is_there(&next(&mut swift).await));
    for round in 1..=ROUNDS {
        network.report("a:0", |source| {
            for number in 1..=LISTENERS {
                source.update(flow_count(&format!("a:{number}"), round));
            }
        });
        // The other watcher learns of every round, and so does whoever asks.
        let mut at_this_round = 0;
        while at_this_round < LISTENERS {
            let changed = next(&mut swift).await;
            at_this_round += u64::from(changed["flowCountL4"] == round);
        }
    }

    // What it did not take is not kept for it: it learns of fewer changes than there were, and of the last of them.
    assert!(is_there(&next(&mut stuck).await));
    let (mut seen, mut at_last_round) = (0, 0);
    while at_last_round < LISTENERS {
        let changed = next(&mut stuck).await;
        seen += 1;
        at_last_round += u64::from(changed["flowCountL4"] == ROUNDS);
    }
    assert!(seen < LISTENERS * ROUNDS / 2, "{seen}");
    collector.leave().await;
}
