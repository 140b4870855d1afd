//! The emulated VAN on a socket, in real time.

use std::{collections::BTreeSet, io, sync::Arc, time::Duration};

use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;
use vanflow_proto::{
    BEACON_ADDRESS, Timestamp,
    source::{Events, Exchange, ExchangeEvent, ExchangeOptions},
};

use super::{DemoOptions, Van};

/// How often the network is brought up to the clock.
const TICK: Duration = Duration::from_millis(20);

/// A running emulated VAN, to which collectors attach as to a router.
#[derive(Debug)]
pub struct Demo {
    exchange: Arc<Exchange>,
    stopping: CancellationToken,
    task: JoinHandle<()>,
}

/// Starts an emulated VAN on a free port of 127.0.0.1. It lives by `clock`, which may be as fast as one likes but should
/// not jump.
///
/// # Errors
///
/// Where the port cannot be listened on.
pub async fn start(options: DemoOptions, clock: impl Fn() -> Timestamp + Send + 'static) -> io::Result<Demo> {
    start_on(ExchangeOptions::default(), options, clock).await
}

/// The same on an exchange of one's choice.
///
/// # Errors
///
/// Where its address cannot be listened on.
pub async fn start_on(
    exchange: ExchangeOptions,
    options: DemoOptions,
    clock: impl Fn() -> Timestamp + Send + 'static,
) -> io::Result<Demo> {
    let (exchange, events) = Exchange::listen(exchange).await?;
    let exchange = Arc::new(exchange);
    let stopping = CancellationToken::new();
    let van = Van::new(options, clock());
    let task = tokio::spawn(drive(van, Arc::clone(&exchange), events, clock, stopping.clone()));
    Ok(Demo { exchange, stopping, task })
}

impl Demo {
    /// The URL that a collector attaches to.
    pub fn url(&self) -> String {
        self.exchange.url()
    }

    /// What stands for the router; makes failures of its own on demand.
    pub fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// Ends the network and closes all connections.
    pub async fn shut_down(self) {
        self.stopping.cancel();
        // It can only have panicked, and then there is nothing left to end.
        let _ = self.task.await;
        if let Some(exchange) = Arc::into_inner(self.exchange) {
            exchange.shut_down().await;
        }
    }
}

async fn drive(
    mut van: Van,
    exchange: Arc<Exchange>,
    mut events: Events,
    clock: impl Fn() -> Timestamp,
    stopping: CancellationToken,
) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut known = BTreeSet::new();
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            event = events.next() => match event {
                Some(ExchangeEvent::Listened { address }) if address == BEACON_ADDRESS => van.announce(),
                Some(ExchangeEvent::Flush { direct }) => {
                    van.flush(&direct);
                }
                Some(_) => {}
                None => return,
            },
            _ = ticks.tick() => {
                for sent in van.advance(clock()) {
                    exchange.publish(&sent.outgoing);
                }
                // Routers that restart under another identity come and go.
                let now: BTreeSet<_> = van.sources().map(|source| Arc::clone(source.direct())).collect();
                if now != known {
                    known.difference(&now).for_each(|direct| exchange.dismiss(direct));
                    now.difference(&known).for_each(|direct| exchange.introduce(direct));
                    known = now;
                }
            }
        }
    }
}
