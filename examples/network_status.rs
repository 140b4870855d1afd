//! What a network looks like from one of its routers: listens for some seconds and prints sites, routers, links and
//! services.
//!
//! ```sh
//! cargo run -p vanflow-examples --example network_status -- amqp://127.0.0.1:5672 12
//! ```
//!
//! Without a router of Skupper's at hand, one can be had from `vanflow-collector --demo --demo-listen 127.0.0.1:5672`.

mod outcome;

use std::{
    env,
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::time::{Instant, timeout_at};
use vanflow_proto::{
    Attribute, Timestamp,
    router::{self, Config, Event},
};
use vanflow_store::{Follower, NetworkStatus, Record, Snapshot, Store, StoreOptions};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    outcome::shown(run().await)
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = env::args().skip(1);
    let url = arguments.next().ok_or("usage: network_status amqp://HOST[:PORT] [SECONDS]")?;
    let seconds = arguments.next().map_or(Ok(12), |seconds| {
        seconds.parse().map_err(|_| format!("`{seconds}` is no number of seconds, such as 12"))
    })?;

    let (handle, mut events) = router::connect(Config::from_url(&url, Arc::new(clock))?);
    let (mut store, mut follower) = (Store::new(StoreOptions::default()), Follower::new());
    let until = Instant::now() + Duration::from_secs(seconds);
    while let Ok(Some(event)) = timeout_at(until, events.next()).await {
        match event {
            Event::Detached { reason, .. } => writeln!(io::stderr(), "not attached: {reason}")?,
            Event::Source { at, event } => follower.event(&mut store, &event, at),
            Event::Heartbeat { at, source, clock } => follower.heartbeat(&mut store, &source, clock, at),
            Event::Records { at, source, records } => {
                follower.records(&mut store, &source, records.updates(), at);
            }
            _ => {}
        }
        // A source that is known by halves is asked again.
        for (source, is_incomplete) in follower.incomplete(&store) {
            handle.incomplete(&source, is_incomplete);
        }
    }
    handle.close().await;
    print(&store.snapshot(), &mut io::stdout().lock())?;
    Ok(())
}

fn clock() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "a program has to read the clock somewhere")]
    let now = SystemTime::now();
    let micros = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
    Timestamp::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

fn print(network: &Snapshot, out: &mut impl Write) -> io::Result<()> {
    let status = NetworkStatus::new(network);
    for site in &status.sites {
        writeln!(out, "site {}", text(Some(site.site), Attribute::Name))?;
        for status in &site.routers {
            let router = status.router;
            let incomplete = router.source().is_some_and(|source| source.is_incomplete());
            writeln!(
                out,
                "  router {} ({}){}",
                text(Some(router), Attribute::Name),
                text(Some(router), Attribute::Mode),
                if incomplete { ", not known whole yet" } else { "" }
            )?;
            for link in &status.links {
                writeln!(
                    out,
                    "    link {} to {}: {}",
                    text(Some(link.link), Attribute::Name),
                    text(link.to, Attribute::Name),
                    if link.is_up { "up" } else { "down" }
                )?;
            }
            for (what, records) in [("listener", &status.listeners), ("connector", &status.connectors)] {
                for record in records {
                    writeln!(out, "    {what} of {}", text(Some(*record), Attribute::VanAddress))?;
                }
            }
        }
    }
    for address in &status.addresses {
        writeln!(
            out,
            "service {}: {} listeners, {} connectors, {} connections so far, {} open",
            address.service.address(),
            address.listeners.len(),
            address.connectors.len(),
            address.service.total_flows(),
            address.service.current_flows()
        )?;
    }
    Ok(())
}

fn text(record: Option<Record<'_>>, attribute: Attribute) -> String {
    record.and_then(|record| record.text(attribute)).map_or("?".into(), |text| text.to_string())
}
