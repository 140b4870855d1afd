//! A program of one's own on the store: attached to a router, it says every five seconds which services there are.
//!
//! ```sh
//! cargo run -p vanflow-examples --example embed_store -- amqp://127.0.0.1:5672
//! ```
//!
//! `network_status` asks the store for more.

mod outcome;

use std::{
    env,
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::time::interval;
use vanflow_proto::{
    Timestamp,
    router::{self, Config, Event},
};
use vanflow_store::{Follower, Store, StoreOptions};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    outcome::shown(run().await)
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let url = env::args().nth(1).ok_or("usage: embed_store amqp://HOST[:PORT]")?;
    let (handle, mut events) = router::connect(Config::from_url(&url, Arc::new(clock))?);
    let (mut store, mut follower) = (Store::new(StoreOptions::default()), Follower::new());
    let mut seconds = interval(Duration::from_secs(5));
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Event::Source { at, event }) => follower.event(&mut store, &event, at),
                Some(Event::Heartbeat { at, source, clock }) => follower.heartbeat(&mut store, &source, clock, at),
                Some(Event::Records { at, source, records }) => {
                    follower.records(&mut store, &source, records.updates(), at);
                }
                Some(Event::Detached { reason, .. }) => writeln!(io::stderr(), "not attached: {reason}")?,
                Some(_) => {}
                None => return Ok(()),
            },
            _ = seconds.tick() => {
                // Evicts what ended long ago, and has sources asked again whose answer was lost.
                while store.advance(clock()) {}
                for (source, is_incomplete) in follower.incomplete(&store) {
                    handle.incomplete(&source, is_incomplete);
                }
                for service in store.snapshot().services() {
                    writeln!(io::stdout(), "{}: {} open connections", service.address(), service.current_flows())?;
                }
            }
        }
    }
}

/// Neither the store nor the connection reads a clock; whoever embeds them says what time it is.
fn clock() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "a program has to read the clock somewhere")]
    let now = SystemTime::now();
    let micros = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
    Timestamp::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}
