//! Collecting from a router: what happens on the connection, taken to the ingest.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use vanflow_proto::{
    Body, Message,
    router::{self, Config, Event},
};

use crate::{clock, ingest::Ingest};

/// Events that are merged before those who watch are told.
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
                for (source, is_incomplete) in ingest.tick(clock::now()) {
                    handle.incomplete(&source, is_incomplete);
                }
            }
            taken = events.next_batch(&mut batch, BATCH) => {
                if taken == 0 {
                    break;
                }
                batch.drain(..).for_each(|event| take(&mut ingest, &whom, event));
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

fn take(ingest: &mut Ingest, whom: &str, event: Event) {
    match event {
        Event::Attached { at } => ingest.attached(whom, at),
        Event::Detached { reason, .. } => ingest.detached(whom, &reason),
        Event::Source { at, event } => ingest.event(&event, at),
        Event::Heartbeat { at, source, clock } => ingest.heartbeat(&source, clock, at),
        Event::Records { at, source, bytes } => match Message::decode(&bytes).map(|message| message.body) {
            Ok(Body::Records(updates)) => ingest.records(&source, updates, at),
            // The connection has looked at it, and would have refused it.
            Ok(_) => {}
            Err(error) => ingest.refused(&source, &error),
        },
        Event::Refused { link, why, .. } => ingest.refused(&link, &why),
        // What there was not when this was written.
        _ => {}
    }
}
