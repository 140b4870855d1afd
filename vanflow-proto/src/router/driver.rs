//! Keeps a connection to the router, and does on it what [`Discovery`] says.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    time::{Instant, Interval, MissedTickBehavior, interval, sleep},
};

use super::{
    Event, Records,
    config::Config,
    connection::{self, Open, Order, Report},
    stats::Counters,
    tls::Contents,
};
use crate::{
    BEACON_ADDRESS, FLOWS_SUFFIX, HEARTBEATS_SUFFIX, LOGS_SUFFIX, Message,
    discovery::{Action, Discovery, FlushOutcome, Heard, Output},
};

/// Between a lost connection and the next try; doubles from try to try.
const SHORTEST_BACKOFF: Duration = Duration::from_millis(250);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
/// A connection that lasted for so long was a good one.
const GOOD: Duration = Duration::from_secs(30);
/// How often to look whether certificates were renewed.
const WATCH: Duration = Duration::from_secs(60);
/// When events waited for so long to be taken, silence of sources means nothing.
const STALLED: Duration = Duration::from_secs(1);

/// What the holder of a [`Handle`](super::Handle) wants.
#[derive(Debug)]
pub(super) enum Command {
    Incomplete { source: Box<str>, incomplete: bool },
    Close,
}

pub(super) struct Driver {
    config: Config,
    container: String,
    discovery: Discovery,
    events: mpsc::Sender<Event>,
    commands: mpsc::UnboundedReceiver<Command>,
    counters: Arc<Counters>,
    refusals: Bounded,
}

/// It is over: nobody wants to hear any more.
#[derive(Debug)]
struct Closing;

/// Why there is no connection any more.
enum End {
    Lost(String),
    /// Another one is wanted, at once.
    Renewed,
}

impl Driver {
    pub(super) fn new(
        config: Config,
        events: mpsc::Sender<Event>,
        commands: mpsc::UnboundedReceiver<Command>,
        counters: Arc<Counters>,
    ) -> Self {
        let mut discovery = Discovery::new(config.discovery.clone(), rand::random());
        config.known.iter().for_each(|known| discovery.restore(known));
        let container = format!("vanflow-collector-{:016x}", rand::random::<u64>());
        Self { config, container, discovery, events, commands, counters, refusals: Bounded::default() }
    }

    pub(super) async fn run(mut self) {
        // Whoever closes us has heard enough.
        let Err(Closing) = self.keep_connected().await;
        tracing::debug!("closed");
    }

    async fn keep_connected(&mut self) -> Result<std::convert::Infallible, Closing> {
        let mut backoff = SHORTEST_BACKOFF;
        loop {
            let began = Instant::now();
            let (config, container) = (self.config.clone(), self.container.clone());
            let reason = match self.unless_closed(connection::Open::open(&config, &container)).await? {
                Ok(mut open) => {
                    self.counters.connections.fetch_add(1, Ordering::Relaxed);
                    tracing::info!(endpoint = %self.config.endpoint, "attached to the router");
                    let end = self.follow(&mut open).await;
                    self.discovery.detached((self.config.clock)());
                    open.close().await;
                    if began.elapsed() >= GOOD {
                        backoff = SHORTEST_BACKOFF;
                    }
                    match end? {
                        End::Lost(reason) => reason,
                        End::Renewed => {
                            self.detached("a certificate was renewed on disk".into()).await?;
                            continue;
                        }
                    }
                }
                Err(reason) => reason,
            };
            self.detached(reason).await?;
            // Collectors that lost the same router do not come back all at once.
            let wait = backoff.mul_f64(rand::random_range(0.75..1.25));
            backoff = (backoff * 2).min(LONGEST_BACKOFF);
            self.unless_closed(sleep(wait)).await?;
        }
    }

    async fn detached(&mut self, reason: String) -> Result<(), Closing> {
        tracing::warn!(endpoint = %self.config.endpoint, reason, "not attached to the router");
        self.emit(Event::Detached { at: (self.config.clock)(), reason }).await
    }

    /// Follows what comes by a connection, to its end.
    async fn follow(&mut self, open: &mut Open) -> Result<End, Closing> {
        let now = (self.config.clock)();
        self.emit(Event::Attached { at: now }).await?;
        self.discovery.attached(now);
        let mut watch = interval(WATCH);
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        watch.reset();
        loop {
            self.act(open).await?;
            let now = (self.config.clock)();
            // Never nothing: a clock that stands still must not keep us busy.
            let due = self
                .discovery
                .next_deadline()
                .map(|due| Duration::from_micros(due.micros_since(now)).max(Duration::from_millis(1)));
            tokio::select! {
                biased;
                command = self.commands.recv() => self.command(command)?,
                report = open.reports.recv() => {
                    let why = match report {
                        Some(Report::Broken(why)) => why,
                        Some(report) => {
                            self.report(report).await?;
                            continue;
                        }
                        None => "its session is over".into(),
                    };
                    // What was received before it broke is still good.
                    while let Ok(message) = open.messages.try_recv() {
                        self.message(open, message).await?;
                    }
                    return Ok(End::Lost(open.broken(why).await));
                }
                Some(message) = open.messages.recv() => {
                    // Time goes by as messages say that it does: when they had to wait, so has everything else.
                    self.discovery.advance(message.at);
                    self.message(open, message).await?;
                }
                () = sleep(due.unwrap_or_default()), if due.is_some() => {
                    self.discovery.advance((self.config.clock)());
                }
                () = renewed(&mut watch, &self.config, &open.contents) => return Ok(End::Renewed),
                () = self.events.closed() => return Err(Closing),
                reason = connection::ended(&mut open.connection) => return Ok(End::Lost(reason)),
            }
        }
    }

    /// Passes on what discovery came up with.
    async fn act(&mut self, open: &Open) -> Result<(), Closing> {
        self.counters.beacons_refused.store(self.discovery.refused(), Ordering::Relaxed);
        self.counters.lost.store(self.discovery.lost(), Ordering::Relaxed);
        self.counters.on_trial.store(self.discovery.on_trial(), Ordering::Relaxed);
        while let Some(output) = self.discovery.next_output() {
            match output {
                Output::Action(Action::Listen { address }) => open.order(Order::Listen(address)),
                Output::Action(Action::Leave { address }) => open.order(Order::Leave(address)),
                Output::Action(Action::Flush { source, to }) => {
                    self.counters.flushes.fetch_add(1, Ordering::Relaxed);
                    self.counters.flushes_retried.store(self.discovery.retried(), Ordering::Relaxed);
                    open.order(Order::Flush { source, to });
                }
                Output::Event(event) => {
                    self.emit(Event::Source { at: (self.config.clock)(), event }).await?;
                }
            }
        }
        Ok(())
    }

    async fn report(&mut self, report: Report) -> Result<(), Closing> {
        let at = (self.config.clock)();
        match report {
            Report::LinkFailed { address, why } => {
                self.discovery.link_failed(at, &address);
                self.refused(address, why).await?;
            }
            Report::Flushed { source, outcome, why } => {
                if outcome == FlushOutcome::Refused {
                    self.counters.flushes_refused.fetch_add(1, Ordering::Relaxed);
                    tracing::debug!(%source, why, "FLUSH was not accepted");
                }
                self.discovery.flush_outcome(at, &source, outcome);
            }
            // The caller took it.
            Report::Broken(_) => {}
        }
        Ok(())
    }

    async fn message(&mut self, open: &Open, message: connection::Message) -> Result<(), Closing> {
        let connection::Message { at, link, bytes } = message;
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(octets) => {
                self.counters.refused.fetch_add(1, Ordering::Relaxed);
                let most = self.config.max_message_size;
                return self
                    .refused(link, format!("a message of {octets} octets, where at most {most} are taken"))
                    .await;
            }
        };
        self.count(&link, &bytes);
        if let Some(tap) = &self.config.tap {
            tap(at, &link, &bytes);
        }
        let message = match Message::decode(&bytes) {
            Ok(message) => message,
            Err(error) => {
                self.counters.refused.fetch_add(1, Ordering::Relaxed);
                return self.refused(link, format!("a message that cannot be read: {error}")).await;
            }
        };
        let event = self.discovery.hear(at, &link, &message).map(|heard| match heard {
            Heard::Heartbeat { source, clock } => Event::Heartbeat { at, source, clock },
            Heard::Records { source, updates } => {
                Event::Records { at, source, records: Records::new(bytes.clone(), &updates) }
            }
        });
        // What discovery makes of a message comes before the message: nobody sees records of an unknown source.
        self.act(open).await?;
        match event {
            Some(event) => self.emit(event).await,
            None => Ok(()),
        }
    }

    fn count(&self, link: &str, bytes: &Bytes) {
        let counter = if link == BEACON_ADDRESS {
            &self.counters.on_all
        } else if link.ends_with(FLOWS_SUFFIX) {
            &self.counters.on_flows
        } else if link.ends_with(LOGS_SUFFIX) {
            &self.counters.on_logs
        } else if link.ends_with(HEARTBEATS_SUFFIX) {
            &self.counters.on_heartbeats
        } else {
            &self.counters.on_source
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.counters.octets.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    }
}

impl Driver {
    async fn refused(&mut self, link: Arc<str>, why: String) -> Result<(), Closing> {
        let at = (self.config.clock)();
        if let Some(unsaid) = self.refusals.say(Instant::now()) {
            tracing::warn!(%link, why, unsaid, "refused");
        }
        self.emit(Event::Refused { at, link, why }).await
    }

    /// Passes an event on; waits for room, so that the router has to wait where we have to.
    async fn emit(&mut self, event: Event) -> Result<(), Closing> {
        let event = match self.events.try_send(event) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Closed(_)) => return Err(Closing),
            Err(TrySendError::Full(event)) => event,
        };
        let began = Instant::now();
        let events = self.events.clone();
        self.unless_closed(async {
            if let Ok(room) = events.reserve().await {
                room.send(event);
            }
        })
        .await?;
        if began.elapsed() >= STALLED {
            self.discovery.resumed((self.config.clock)());
        }
        Ok(())
    }

    /// Waits for `future`, and does meanwhile what the handle says.
    async fn unless_closed<T>(&mut self, future: impl Future<Output = T>) -> Result<T, Closing> {
        let mut future = std::pin::pin!(future);
        loop {
            tokio::select! {
                biased;
                command = self.commands.recv() => self.command(command)?,
                () = self.events.closed() => return Err(Closing),
                output = &mut future => return Ok(output),
            }
        }
    }

    fn command(&mut self, command: Option<Command>) -> Result<(), Closing> {
        match command {
            Some(Command::Incomplete { source, incomplete }) => {
                self.discovery.incomplete((self.config.clock)(), &source, incomplete);
                Ok(())
            }
            Some(Command::Close) | None => Err(Closing),
        }
    }
}

/// Waits until other certificates are on disk than the connection came about with. Those that do not fit together are
/// still being written.
async fn renewed(watch: &mut Interval, config: &Config, contents: &Contents) {
    loop {
        watch.tick().await;
        if config.endpoint.tls
            && config.tls.contents().is_ok_and(|now| now != *contents)
            && config.tls.load().is_ok()
        {
            return;
        }
    }
}

/// Says something now and then, however often there is something to say.
#[derive(Debug, Default)]
struct Bounded {
    last: Option<Instant>,
    unsaid: u64,
}

impl Bounded {
    const PAUSE: Duration = Duration::from_secs(10);

    /// How often nothing was said since the last time, if something is to be said now.
    fn say(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now.duration_since(last) < Self::PAUSE) {
            self.unsaid += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}
