//! A small network, played by the test: it reports exactly what the test has it report.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{interval, timeout},
};
use vanflow_collector::config::Settings;
use vanflow_proto::{
    Attribute, BEACON_ADDRESS, RecordKind, Timestamp, UpdateBuf,
    source::{Exchange, ExchangeEvent, ExchangeOptions, Source},
};

use crate::support::{Collector, PATIENCE};

/// How often sources say that they are there.
const ALIVE: Duration = Duration::from_millis(200);

/// What the clocks of all sources show when the network begins.
pub(crate) const EPOCH: Timestamp = Timestamp::from_micros(1_795_347_888_000_000);

/// Sources behind an exchange. They beacon, are alive, and answer FLUSH by themselves; records are the test's.
pub(crate) struct Network {
    exchange: Arc<Exchange>,
    stage: Arc<Mutex<Stage>>,
    flushes: watch::Receiver<Vec<String>>,
    listened: watch::Receiver<BTreeSet<String>>,
    task: JoinHandle<()>,
}

struct Stage {
    sources: Vec<Source>,
    holds_answers: bool,
    /// Addresses that somebody listened on, and then nobody.
    deserted: Vec<String>,
}

impl Network {
    pub(crate) async fn start(options: ExchangeOptions) -> Self {
        let (exchange, mut events) = Exchange::listen(options).await.expect("it listens");
        let exchange = Arc::new(exchange);
        let stage =
            Arc::new(Mutex::new(Stage { sources: Vec::new(), holds_answers: false, deserted: Vec::new() }));
        let (flushed, flushes) = watch::channel(Vec::new());
        let (listening, listened) = watch::channel(BTreeSet::new());
        let (own_exchange, own_stage) = (Arc::clone(&exchange), Arc::clone(&stage));
        let task = tokio::spawn(async move {
            let (exchange, mut ticks) = (own_exchange, interval(ALIVE));
            loop {
                tokio::select! {
                    _ = ticks.tick() => lock(&own_stage).live(&exchange),
                    event = events.next() => match event {
                        Some(ExchangeEvent::Flush { direct }) => {
                            lock(&own_stage).answer(&exchange, &direct);
                            flushed.send_modify(|flushes| flushes.push(direct));
                        }
                        Some(ExchangeEvent::Listened { address }) => {
                            if address == BEACON_ADDRESS {
                                lock(&own_stage).live(&exchange);
                            }
                            listening.send_modify(|listened| _ = listened.insert(address));
                        }
                        Some(ExchangeEvent::Deserted { address }) => {
                            listening.send_modify(|listened| _ = listened.remove(&address));
                            lock(&own_stage).deserted.push(address);
                        }
                        Some(_) => {}
                        None => return,
                    },
                }
            }
        });
        Self { exchange, stage, flushes, listened, task }
    }

    /// What stands for the router.
    pub(crate) fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// A collector that attaches to it, and waits for little: what is lost is asked for again soon, and what is not
    /// repeated is soon gone.
    pub(crate) async fn collector(&self, change: impl FnOnce(&mut Settings)) -> Collector {
        let url = self.exchange.url();
        Collector::start_with(["--router", &url], |settings| {
            settings.waits.shortest_retry = 200_000;
            settings.waits.grace = 1_000_000;
            change(settings);
        })
        .await
    }

    /// From now on, the source is there.
    pub(crate) fn add(&self, source: Source) {
        self.exchange.introduce(source.direct());
        lock(&self.stage).sources.push(source);
    }

    /// From now on, the source is not there any more, without a word.
    pub(crate) fn kill(&self, id: &str) -> Source {
        let mut stage = lock(&self.stage);
        let position = stage.sources.iter().position(|source| source.id() == id).expect("a source");
        let source = stage.sources.swap_remove(position);
        self.exchange.dismiss(source.direct());
        source
    }

    /// Changes the records of a source, and says what changed.
    pub(crate) fn report(&self, id: &str, change: impl FnOnce(&mut Source)) {
        let mut stage = lock(&self.stage);
        let source = stage.source(id);
        change(source);
        for outgoing in source.emit() {
            self.exchange.publish(&outgoing);
        }
    }

    /// Changes the records of a source, and what it says of that reaches nobody.
    pub(crate) fn report_nobody(&self, id: &str, change: impl FnOnce(&mut Source)) {
        let mut stage = lock(&self.stage);
        let source = stage.source(id);
        change(source);
        drop(source.emit());
    }

    /// From now on, sources take FLUSH and do not answer it, or they do again.
    pub(crate) fn hold_answers(&self, hold: bool) {
        lock(&self.stage).holds_answers = hold;
    }

    /// The addresses that somebody listened on, and then nobody.
    pub(crate) fn deserted(&self) -> Vec<String> {
        lock(&self.stage).deserted.clone()
    }

    /// How often the source at that direct address was asked.
    pub(crate) fn flushes(&self, direct: &str) -> usize {
        count(&self.flushes.borrow(), direct)
    }

    /// Waits until the source at that direct address was asked so many times.
    pub(crate) async fn flushed(&self, direct: &str, times: usize) {
        let mut flushes = self.flushes.clone();
        let asked = flushes.wait_for(|flushes| count(flushes, direct) >= times);
        timeout(PATIENCE, asked).await.expect("it is asked in time").expect("the network is there");
    }

    /// Waits until somebody listens on that address.
    pub(crate) async fn listened(&self, address: &str) {
        let mut listened = self.listened.clone();
        let listening = listened.wait_for(|listened| listened.contains(address));
        timeout(PATIENCE, listening).await.expect("it is listened in time").expect("the network is there");
    }

    /// Waits until nobody listens on that address.
    pub(crate) async fn deserted_by_all(&self, address: &str) {
        let mut listened = self.listened.clone();
        let deserted = listened.wait_for(|listened| !listened.contains(address));
        timeout(PATIENCE, deserted).await.expect("it is deserted in time").expect("the network is there");
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Stage {
    fn source(&mut self, id: &str) -> &mut Source {
        self.sources.iter_mut().find(|source| source.id() == id).expect("a source")
    }

    fn live(&mut self, exchange: &Exchange) {
        for source in &mut self.sources {
            exchange.publish(&source.beacon());
            exchange.publish(&source.heartbeat(EPOCH));
        }
    }

    fn answer(&mut self, exchange: &Exchange, direct: &str) {
        if self.holds_answers {
            return;
        }
        for source in self.sources.iter_mut().filter(|source| &**source.direct() == direct) {
            source.flush_answer().iter().for_each(|outgoing| exchange.publish(outgoing));
        }
    }
}

fn count(flushes: &[String], direct: &str) -> usize {
    flushes.iter().filter(|asked| *asked == direct).count()
}

fn lock(stage: &Mutex<Stage>) -> MutexGuard<'_, Stage> {
    stage.lock().expect("nobody panicked with it")
}

/// A ROUTER record.
pub(crate) fn router(id: &str, name: &str, start: Timestamp) -> UpdateBuf {
    UpdateBuf::new(RecordKind::Router, id).with(Attribute::StartTime, start).with(Attribute::Name, name)
}

/// A LISTENER record.
pub(crate) fn listener(id: &str, parent: &str, service: &str) -> UpdateBuf {
    UpdateBuf::new(RecordKind::Listener, id)
        .with(Attribute::Parent, parent)
        .with(Attribute::StartTime, EPOCH)
        .with(Attribute::VanAddress, service)
        .with(Attribute::FlowCountL4, 0)
}

/// What a listener says as flows go by.
pub(crate) fn flow_count(id: &str, count: u64) -> UpdateBuf {
    UpdateBuf::new(RecordKind::Listener, id).with(Attribute::FlowCountL4, count)
}
