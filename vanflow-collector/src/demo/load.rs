//! Records by the million, for benchmarks: made beforehand, sent as fast as they are taken.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;
use vanflow_proto::{
    Attribute, BEACON_ADDRESS, FLOWS_SUFFIX, RecordKind, Timestamp, UpdateBuf,
    source::{
        Events, Exchange, ExchangeEvent, ExchangeOptions, HEARTBEAT_INTERVAL, MAX_BATCH, Outgoing, Source,
    },
};

/// What a [`Load`] sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadOptions {
    /// How many record updates, rounded up to whole connections: of [`LoadOptions::UPDATES`] each where they end.
    pub updates: usize,
    /// When the first connection begins. Each later one begins a millisecond after the one before it.
    pub start: Timestamp,
    /// Whether connections pass requests and end. Where they do not, they only begin, and there are as many as updates.
    pub ends: bool,
}

impl LoadOptions {
    /// Updates for each connection: its beginning, two requests that are over, and its end.
    pub const UPDATES: usize = 4;
}

/// RECORD messages of a router under load, in the shapes of real ones: full batches of connections that begin, pass
/// requests, and end. All refer to the listeners and connectors of [`load_sources`].
pub fn load_messages(options: &LoadOptions) -> Vec<Outgoing> {
    // Connections overlap: what a batch reports one comes between what it reports others.
    const OPEN: usize = 30;
    let connections =
        if options.ends { options.updates.div_ceil(LoadOptions::UPDATES) } else { options.updates };
    let mut source = Source::router(LISTENERS).numbered_from(FIRST_MESSAGE);
    let mut messages = Vec::with_capacity(options.updates / MAX_BATCH + 1);
    let mut waiting = 0;
    let mut report = |source: &mut Source, update| {
        source.update(update);
        waiting += 1;
        // What changes twice within a batch would be reported once.
        if waiting == MAX_BATCH {
            waiting = 0;
            messages.extend(source.emit());
        }
    };
    for number in 0..connections + OPEN {
        if number < connections {
            report(&mut source, Connection::new(number, options.start).begins());
        }
        if !options.ends {
            continue;
        }
        if let Some(number) = number.checked_sub(OPEN / 3).filter(|number| *number < connections) {
            report(&mut source, Connection::new(number, options.start).request(0));
        }
        if let Some(number) = number.checked_sub(OPEN / 2).filter(|number| *number < connections) {
            report(&mut source, Connection::new(number, options.start).request(1));
        }
        if let Some(number) = number.checked_sub(OPEN).filter(|number| *number < connections) {
            report(&mut source, Connection::new(number, options.start).ends());
        }
    }
    messages.extend(source.emit());
    messages
}

/// The sources behind the load: two routers at two sites and their controllers. The first one sends the load.
pub fn load_sources(start: Timestamp) -> Vec<Source> {
    let sites = ["10ad0000-aaaa-4000-8000-000000000001", "10ad0000-bbbb-4000-8000-000000000002"];
    let names = ["clients", "servers"];
    let mut sources = vec![Source::router(LISTENERS), Source::router(CONNECTORS)];
    for (position, site) in sites.into_iter().enumerate() {
        let router = &mut sources[position];
        let id = router.id().to_owned();
        let child = |kind, record: String| {
            UpdateBuf::new(kind, record)
                .with(Attribute::Parent, id.as_str())
                .with(Attribute::StartTime, start)
        };
        router.update(
            UpdateBuf::new(RecordKind::Router, id.as_str())
                .with(Attribute::Parent, site)
                .with(Attribute::StartTime, start)
                .with(Attribute::Mode, "interior")
                .with(Attribute::Name, format!("0/{}-1", names[position]))
                .with(Attribute::BuildVersion, "3.5.1"),
        );
        for service in 0..SERVICES {
            let prefix = id.trim_end_matches(":0");
            let (kind, record) = match position {
                0 => (RecordKind::Listener, format!("{prefix}:{}", 1 + service)),
                _ => (RecordKind::Connector, format!("{prefix}:{}", 1 + service)),
            };
            router.update(
                child(kind, record)
                    .with(Attribute::DestHost, format!("10.2.0.{}", 1 + service))
                    .with(Attribute::Protocol, "tcp")
                    .with(Attribute::DestPort, "8080")
                    .with(Attribute::VanAddress, format!("service-{service}:8080"))
                    .with(Attribute::Name, format!("service-{service}")),
            );
        }
        let mut controller = Source::controller(site);
        controller.update(
            UpdateBuf::new(RecordKind::Site, site)
                .with(Attribute::StartTime, start)
                .with(Attribute::Platform, "kubernetes")
                .with(Attribute::Name, names[position]),
        );
        for process in 0..if position == 0 { CLIENTS } else { SERVICES } {
            controller.update(
                UpdateBuf::new(RecordKind::Process, format!("{site}-{process}"))
                    .with(Attribute::Parent, site)
                    .with(Attribute::StartTime, start)
                    .with(Attribute::Mode, "external")
                    .with(Attribute::SourceHost, format!("10.{}.0.{}", 1 + position, 1 + process))
                    .with(Attribute::Name, format!("{}-{process}", names[position]))
                    .with(Attribute::Group, names[position]),
            );
        }
        sources.push(controller);
    }
    sources
}

const LISTENERS: &str = "LoAdA:0";
const CONNECTORS: &str = "LoAdB:0";
/// Leaves room for what the router says before.
const FIRST_MESSAGE: u64 = 1_000_000;
const SERVICES: usize = 8;
const CLIENTS: usize = 100;

/// One connection of the load; all of it follows from its number.
struct Connection {
    number: usize,
    start: Timestamp,
}

impl Connection {
    fn new(number: usize, start: Timestamp) -> Self {
        Self { number, start: start.plus_micros(number as u64 * 1_000) }
    }

    /// The identity of its record, or of one of its requests.
    fn id(&self, record: usize) -> String {
        format!("{}:{}", LISTENERS.trim_end_matches(":0"), 100 + 3 * self.number + record)
    }

    /// A number below `below` that does not look like one of a sequence.
    fn mixed(&self, salt: u64, below: u64) -> u64 {
        // The finalizer of SplitMix64.
        let mut mixed = (self.number as u64 * 8 + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % below
    }

    fn begins(&self) -> UpdateBuf {
        let service = 1 + self.number % SERVICES;
        UpdateBuf::new(RecordKind::BiflowTport, self.id(0))
            .with(Attribute::Parent, format!("{}:{service}", LISTENERS.trim_end_matches(":0")))
            .with(Attribute::StartTime, self.start)
            .with(Attribute::SourceHost, format!("10.1.0.{}", 1 + self.mixed(1, CLIENTS as u64)))
            .with(Attribute::SourcePort, (32_768 + self.mixed(2, 28_000)).to_string())
            .with(Attribute::Octets, 348)
            .with(Attribute::Latency, 500 + self.mixed(3, 3_000))
            .with(Attribute::Trace, "0/clients-1")
            .with(Attribute::OctetsReverse, 41_273)
            .with(Attribute::Connector, format!("{}:{service}", CONNECTORS.trim_end_matches(":0")))
            .with(Attribute::ProcessLatency, 100 + self.mixed(4, 300))
            .with(Attribute::ProxyHost, "10.2.0.200")
            .with(Attribute::ProxyPort, (32_768 + self.mixed(5, 28_000)).to_string())
    }

    fn request(&self, request: usize) -> UpdateBuf {
        let start = self.start.plus_micros(2_000 + 5_000 * request as u64);
        let (method, result, reason) = match self.mixed(6, 8) {
            0 => ("POST", "201", "Created"),
            1 => ("GET", "404", "Not Found"),
            2 => ("DELETE", "500", "Internal Server Error"),
            _ => ("GET", "200", "OK"),
        };
        UpdateBuf::new(RecordKind::BiflowApp, self.id(1 + request))
            .with(Attribute::Parent, self.id(0))
            .with(Attribute::StartTime, start)
            .with(Attribute::EndTime, start.plus_micros(700))
            .with(Attribute::Protocol, "HTTP/1.1")
            .with(Attribute::Octets, 0)
            .with(Attribute::Latency, 400 + self.mixed(7, 500))
            .with(Attribute::Method, method)
            .with(Attribute::Result, result)
            .with(Attribute::Reason, reason)
            .with(Attribute::OctetsReverse, 20_000)
    }

    fn ends(&self) -> UpdateBuf {
        UpdateBuf::new(RecordKind::BiflowTport, self.id(0))
            .with(Attribute::EndTime, self.start.plus_micros(12_000))
            .with(Attribute::Octets, 483)
            .with(Attribute::OctetsReverse, 42_319)
    }
}

/// A router under load, to which one collector attaches.
///
/// The load begins once somebody listens for the router's flows and has sent FLUSH to every source, so that all is known
/// to which it refers.
#[derive(Debug)]
pub struct Load {
    exchange: Arc<Exchange>,
    stage: watch::Receiver<Stage>,
    stopping: CancellationToken,
    task: JoinHandle<()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Waiting,
    Sending,
    Sent,
}

impl Load {
    /// Makes the load, and listens on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// Where the port cannot be listened on.
    pub async fn start(
        options: &LoadOptions,
        clock: impl Fn() -> Timestamp + Send + 'static,
    ) -> io::Result<Self> {
        let messages = load_messages(options);
        let sources = load_sources(options.start);
        // Enough to keep the sender busy, and no more than its share of the memory.
        let exchange = ExchangeOptions { backlog: 256, ..ExchangeOptions::default() };
        let (exchange, events) = Exchange::listen(exchange).await?;
        for source in &sources {
            exchange.introduce(source.direct());
        }
        let exchange = Arc::new(exchange);
        let (stage, watched) = watch::channel(Stage::Waiting);
        let stopping = CancellationToken::new();
        let run = Run { messages, sources, exchange: Arc::clone(&exchange), stage };
        let task = tokio::spawn(run.serve(events, clock, stopping.clone()));
        Ok(Self { exchange, stage: watched, stopping, task })
    }

    /// The URL that the collector attaches to.
    pub fn url(&self) -> String {
        self.exchange.url()
    }

    /// Waits until the load begins.
    pub async fn begun(&mut self) {
        // The other end goes only when the load is shut down, which takes `self`.
        let _ = self.stage.wait_for(|stage| *stage >= Stage::Sending).await;
    }

    /// Waits until the last message was handed to the connection.
    pub async fn sent(&mut self) {
        let _ = self.stage.wait_for(|stage| *stage >= Stage::Sent).await;
    }

    /// Closes all connections.
    pub async fn shut_down(self) {
        self.stopping.cancel();
        // It can only have panicked, and then there is nothing left to end.
        let _ = self.task.await;
        if let Some(exchange) = Arc::into_inner(self.exchange) {
            exchange.shut_down().await;
        }
    }
}

struct Run {
    messages: Vec<Outgoing>,
    sources: Vec<Source>,
    exchange: Arc<Exchange>,
    stage: watch::Sender<Stage>,
}

impl Run {
    async fn serve(mut self, mut events: Events, clock: impl Fn() -> Timestamp, stopping: CancellationToken) {
        let exchange = Arc::clone(&self.exchange);
        let flows = format!("{}{FLOWS_SUFFIX}", self.sources[0].address());
        let mut heartbeats = interval(HEARTBEAT_INTERVAL);
        heartbeats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut beacons = interval(Duration::from_secs(10));
        beacons.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut unflushed: Vec<_> = self.sources.iter().map(|source| source.direct().to_string()).collect();
        let mut listened = false;
        let last = FIRST_MESSAGE + self.messages.len() as u64;
        let mut messages = std::mem::take(&mut self.messages).into_iter();
        let mut next = None;
        let mut asked_meanwhile = false;
        loop {
            if *self.stage.borrow() == Stage::Waiting && listened && unflushed.is_empty() {
                next = messages.next();
                self.stage.send_replace(Stage::Sending);
            }
            tokio::select! {
                () = stopping.cancelled() => return,
                event = events.next() => match event {
                    Some(ExchangeEvent::Listened { address }) if address == BEACON_ADDRESS => self.beacons(),
                    Some(ExchangeEvent::Listened { address }) if address == flows => listened = true,
                    Some(ExchangeEvent::Flush { direct }) => {
                        unflushed.retain(|other| *other != direct);
                        match self.speakers().find(|source| **source.direct() == *direct) {
                            Some(source) => publish_all(&exchange, source.flush_answer()),
                            None => asked_meanwhile = true,
                        }
                    }
                    Some(_) => {}
                    None => return,
                },
                _ = heartbeats.tick() => {
                    let now = clock();
                    self.speakers().for_each(|source| exchange.publish(&source.heartbeat(now)));
                }
                _ = beacons.tick() => self.beacons(),
                () = publish(&exchange, next.as_ref()), if next.is_some() => {
                    next = messages.next();
                    if next.is_none() {
                        exchange.drained().await;
                        let router = self.sources.remove(0).numbered_from(last);
                        self.sources.insert(0, router);
                        self.stage.send_replace(Stage::Sent);
                        if std::mem::take(&mut asked_meanwhile) {
                            publish_all(&exchange, self.sources[0].flush_answer());
                        }
                    }
                }
            }
        }
    }

    /// The sources that may speak: not the router under load while its messages are sent, which were numbered beforehand.
    fn speakers(&mut self) -> impl Iterator<Item = &mut Source> {
        let sending = *self.stage.borrow() == Stage::Sending;
        self.sources.iter_mut().skip(usize::from(sending))
    }

    fn beacons(&mut self) {
        let exchange = Arc::clone(&self.exchange);
        self.speakers().for_each(|source| exchange.publish(&source.beacon()));
    }
}

fn publish_all(exchange: &Exchange, messages: Vec<Outgoing>) {
    messages.iter().for_each(|message| exchange.publish(message));
}

async fn publish(exchange: &Exchange, message: Option<&Outgoing>) {
    if let Some(message) = message {
        exchange.publish_patiently(message).await;
    }
}
