//! Collecting from a router: what happens on the connection, taken to the ingest.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use vanflow_api::metrics::Connection;
use vanflow_proto::router::{self, Config, Event, Events, Handle};

use crate::{clock, ingest::Ingest};

/// Events that are merged before those who watch are reported.
const BATCH: usize = 64;

/// Collects until it is time to leave. Then the connection is closed, and what had come by then is merged.
pub(crate) async fn collect(mut ingest: Ingest, config: Config, leave: CancellationToken) {
    let whom = format!("{}://{}", if config.endpoint.tls { "amqps" } else { "amqp" }, config.endpoint);
    let (handle, mut events) = router::connect(config);
    let mut batch = Vec::with_capacity(BATCH);
    let mut seconds = interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = leave.cancelled() => break,
            _ = seconds.tick() => {
                let connection = connection(&handle, &events);
                ingest.tried(connection.on_trial);
                ingest.health().connection(connection);
                for (source, is_incomplete) in ingest.tick(clock::now()) {
                    handle.incomplete(&source, is_incomplete);
                }
            }
            taken = events.next_batch(&mut batch, BATCH) => {
                if taken == 0 {
                    break;
                }
                let received = batch.iter().rev().find_map(|event| match event {
                    Event::Records { at, .. } => Some(*at),
                    _ => None,
                });
                batch.drain(..).for_each(|event| take(&mut ingest, &whom, event));
                if let Some(at) = received {
                    ingest.health().lag(clock::now().micros_since(at));
                }
            }
        }
        ingest.publish();
    }
    let rest = async {
        while let Some(event) = events.next().await {
            take(&mut ingest, &whom, event);
        }
    };
    tokio::join!(handle.close(), rest);
    ingest.publish();
}

/// What the connection says of itself.
fn connection(handle: &Handle, events: &Events) -> Connection {
    let stats = handle.stats();
    let mut connection = Connection::default();
    connection.connections = stats.connections;
    connection.flushes = stats.flushes;
    connection.flushes_retried = stats.flushes_retried;
    connection.flushes_refused = stats.flushes_refused;
    connection.beacons_refused = stats.beacons_refused;
    connection.lost = stats.lost;
    connection.on_trial = stats.on_trial;
    connection.refused = stats.refused;
    connection.on_all = stats.on_all;
    connection.on_source = stats.on_source;
    connection.on_flows = stats.on_flows;
    connection.on_logs = stats.on_logs;
    connection.on_heartbeats = stats.on_heartbeats;
    connection.octets = stats.octets;
    connection.waiting = events.waiting() as u64;
    connection.may_wait = events.may_wait() as u64;
    connection
}

fn take(ingest: &mut Ingest, whom: &str, event: Event) {
    match event {
        Event::Attached { at } => ingest.attached(whom, at),
        Event::Detached { reason, .. } => ingest.detached(whom, &reason),
        Event::Source { at, event } => ingest.event(&event, at),
        Event::Heartbeat { at, source, clock } => ingest.heartbeat(&source, clock, at),
        Event::Records { at, source, records } => ingest.records(&source, records.updates(), at),
        Event::Refused { link, why, .. } => ingest.refused(&link, &why),
        // What there was not when this was written.
        _ => {}
    }
}
