//! The model of the emulated VAN: seeded, without clock and without sockets.

mod dice;
mod network;
mod story;
#[cfg(test)]
mod tests;
mod traffic;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use vanflow_proto::{
    Timestamp,
    source::{Outgoing, Source},
};

use dice::Dice;
use network::{Link, Paths, Pod, Router};
use traffic::Connection;

const MILLISECOND: u64 = 1_000;
const SECOND: u64 = 1_000_000;
const MINUTE: u64 = 60 * SECOND;

/// Sources look this often whether they have something to report.
const SLOT: u64 = 200 * MILLISECOND;
/// In one slot out of so many a 3.x router reports everything that changed; in the others only what it held back.
const SLOTS: u8 = 5;
const HEARTBEAT: u64 = 2 * SECOND;
const BEACON: u64 = 10 * SECOND;
/// How long a 3.x router holds back the end of a connection, so that the far router's half can arrive.
const HOLD: u64 = 5 * SECOND;

/// What an emulated VAN is like.
#[derive(Clone, Debug, PartialEq)]
pub struct DemoOptions {
    /// Decides everything that is left to chance: identities, addresses, traffic, failures.
    pub seed: u64,
    /// Connections per second over the whole network, on average and outside of bursts. Most carry several requests.
    pub rate: f64,
    /// Whether links fail, routers restart and new versions are rolled out, every few minutes each.
    pub failures: bool,
    /// With so many live flow records a 3.x router makes no more of them (faults 15). Real routers stop at 5,000; the
    /// default is no limit, as a high `rate` would run into it.
    pub flow_limit: usize,
}

impl Default for DemoOptions {
    fn default() -> Self {
        Self { seed: 1, rate: 5.0, failures: true, flow_limit: usize::MAX }
    }
}

/// A message that a source of the emulated VAN sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// When it was sent.
    pub at: Timestamp,
    /// The message, and where it was sent to.
    pub outgoing: Outgoing,
}

/// An emulated VAN.
///
/// Six routers at four sites, four controllers, eleven services, and people who shop. Time is what
/// [`Van::advance`] is given; the same options, start and calls give the same messages, to the byte.
///
/// ```
/// use vanflow_collector::demo::{DemoOptions, Van};
/// use vanflow_proto::{Message, Timestamp};
///
/// let start = Timestamp::from_micros(1_795_347_888_000_000);
/// let mut van = Van::new(DemoOptions::default(), start);
/// let first_minute = van.advance(start.plus_micros(60_000_000));
/// for sent in &first_minute {
///     Message::decode(&sent.outgoing.message)?;
/// }
/// assert!(first_minute.len() > 500);
/// # Ok::<(), vanflow_proto::DecodeError>(())
/// ```
#[derive(Debug)]
pub struct Van {
    options: DemoOptions,
    dice: Dice,
    now: Timestamp,
    events: BinaryHeap<Reverse<(Timestamp, u64, Event)>>,
    next_event: u64,
    /// Routers in the story's order, then the sites' controllers in theirs.
    emitters: Vec<Emitter>,
    site_ids: Vec<String>,
    routers: Vec<Router>,
    links: Vec<Link>,
    paths: Paths,
    pods: Vec<Pod>,
    /// Boxed, as the map moves its entries about.
    connections: BTreeMap<u64, Box<Connection>>,
    next_connection: u64,
    burst: bool,
    sent: Vec<Sent>,
}

impl Van {
    /// A network that has been up for some hours at `start`.
    pub fn new(options: DemoOptions, start: Timestamp) -> Self {
        let dice = Dice::new(options.seed);
        let mut van = Self {
            options,
            dice,
            now: start,
            events: BinaryHeap::new(),
            next_event: 0,
            emitters: Vec::new(),
            site_ids: Vec::new(),
            routers: Vec::new(),
            links: Vec::new(),
            paths: Paths::default(),
            pods: Vec::new(),
            connections: BTreeMap::new(),
            next_connection: 0,
            burst: false,
            sent: Vec::new(),
        };
        van.build();
        van.open_idle_connections();
        van.arrange();
        van
    }

    /// Lets the network live until `to`, and gives the messages that its sources sent meanwhile, in order.
    ///
    /// Does nothing where `to` is not later than what it was given last.
    pub fn advance(&mut self, to: Timestamp) -> Vec<Sent> {
        while let Some(Reverse((at, _, _))) = self.events.peek() {
            if *at > to {
                break;
            }
            let Some(Reverse((at, _, event))) = self.events.pop() else { break };
            self.now = at;
            self.happen(event);
        }
        self.now = self.now.max(to);
        std::mem::take(&mut self.sent)
    }

    /// The time up to which the network has lived.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// When something happens next; not every event makes a source send something.
    pub fn next_event(&self) -> Timestamp {
        self.events.peek().map_or(self.now, |Reverse((at, _, _))| *at)
    }

    /// The sources that are up.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.emitters.iter().filter(|emitter| emitter.up).map(|emitter| &emitter.source)
    }

    /// Makes every source send a BEACON at once, as routers do when somebody subscribes to
    /// [`BEACON_ADDRESS`](vanflow_proto::BEACON_ADDRESS) and nobody had before.
    pub fn announce(&mut self) {
        for emitter in 0..self.emitters.len() {
            self.after(0, Event::Announce { emitter });
        }
    }

    /// Takes a FLUSH that was sent to that address. The answer comes with the source's next messages. `false` if no
    /// source has that address.
    pub fn flush(&mut self, direct: &str) -> bool {
        let asked =
            self.emitters.iter_mut().find(|emitter| emitter.up && &**emitter.source.direct() == direct);
        match asked {
            Some(emitter) => emitter.flush = true,
            None => return false,
        }
        true
    }

    /// What happens from the start on, and will go on happening.
    fn arrange(&mut self) {
        if self.options.rate > 0.0 {
            self.after(0, Event::Arrive);
            self.after(20 * SECOND, Event::Burst);
        }
        self.after(3 * SECOND, Event::Chatter);
        if self.options.failures {
            self.after_about(40 * SECOND, Event::FailLink);
            self.after_about(90 * SECOND, Event::Restart { router: story::CLOUD_2 });
            self.after_about(130 * SECOND, Event::RollOut);
            self.after_about(170 * SECOND, Event::Restart { router: story::FACTORY_EDGE });
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Slot { emitter, epoch } if self.is_up(emitter, epoch) => {
                self.after(SLOT, event);
                self.report(emitter);
            }
            Event::Heartbeat { emitter, epoch } if self.is_up(emitter, epoch) => {
                self.after(HEARTBEAT, event);
                let outgoing = self.emitters[emitter].source.heartbeat(self.now);
                self.send(outgoing);
            }
            Event::Beacon { emitter, epoch } if self.is_up(emitter, epoch) => {
                self.after(BEACON, event);
                self.beacon(emitter);
            }
            // Of an emitter that has gone or been replaced since.
            Event::Slot { .. } | Event::Heartbeat { .. } | Event::Beacon { .. } => {}
            Event::Announce { emitter } => self.beacon(emitter),
            Event::Arrive => self.arrive(),
            Event::Step { connection } => self.step(connection),
            Event::Burst => {
                self.burst = !self.burst;
                self.after_about(if self.burst { 7 * SECOND } else { 55 * SECOND }, Event::Burst);
            }
            Event::Chatter => {
                self.chatter();
                self.after_about(25 * SECOND, Event::Chatter);
            }
            Event::FailLink => {
                self.fail_some_link();
                self.after_about(130 * SECOND, Event::FailLink);
            }
            Event::MendLink { link } => self.link_up(link, self.now),
            Event::Restart { router } => {
                let back = self.stop(router);
                self.after(back, Event::Boot { router });
                self.after_about(5 * MINUTE, event);
            }
            Event::Boot { router } => self.boot(router, self.now),
            Event::RollOut => {
                self.roll_out();
                self.after_about(4 * MINUTE, Event::RollOut);
            }
            Event::Terminate { pod } => self.terminate(pod),
        }
    }

    fn after(&mut self, micros: u64, event: Event) {
        self.events.push(Reverse((self.now.plus_micros(micros), self.next_event, event)));
        self.next_event += 1;
    }

    fn after_about(&mut self, micros: u64, event: Event) {
        let micros = self.dice.between(micros * 3 / 4, micros * 5 / 4);
        self.after(micros, event);
    }

    fn is_up(&self, emitter: usize, epoch: u32) -> bool {
        self.emitters[emitter].up && self.emitters[emitter].epoch == epoch
    }

    fn send(&mut self, outgoing: Outgoing) {
        self.sent.push(Sent { at: self.now, outgoing });
    }

    fn beacon(&mut self, emitter: usize) {
        if self.emitters[emitter].up {
            let outgoing = self.emitters[emitter].source.beacon();
            self.send(outgoing);
        }
    }

    /// One slot of one source: it says what it has to report.
    fn report(&mut self, emitter: usize) {
        let slot = (self.emitters[emitter].slot + 1) % SLOTS;
        self.emitters[emitter].slot = slot;
        if let Some(router) = self.routers.get(emitter)
            && !router.is_old()
        {
            if slot == 0 {
                self.report_counters(emitter);
                self.report_connections(emitter);
            }
            self.report_ends(emitter);
        }
        let emitter = &mut self.emitters[emitter];
        let messages = if std::mem::take(&mut emitter.flush) {
            emitter.source.flush_answer()
        } else {
            emitter.source.emit()
        };
        for outgoing in messages {
            self.send(outgoing);
        }
    }
}

/// The version of a router, as far as it matters to what it reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Generation {
    /// Reports FLOW pairs, two-sided LINKs, in every slot.
    V2,
    /// Reports BIFLOW_TPORT and BIFLOW_APP, one-sided LINKs with a peer, and holds ends back.
    V3,
}

/// A source and its rhythm.
#[derive(Debug)]
struct Emitter {
    source: Source,
    up: bool,
    /// Grows with each restart, so that what was arranged for the source before comes to nothing.
    epoch: u32,
    slot: u8,
    /// Whether a collector asked for everything.
    flush: bool,
}

impl Emitter {
    fn new(source: Source) -> Self {
        Self { source, up: true, epoch: 0, slot: 0, flush: false }
    }
}

/// Something that happens at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A source says what changed.
    Slot {
        emitter: usize,
        epoch: u32,
    },
    Heartbeat {
        emitter: usize,
        epoch: u32,
    },
    Beacon {
        emitter: usize,
        epoch: u32,
    },
    /// A beacon out of turn.
    Announce {
        emitter: usize,
    },
    /// Somebody connects.
    Arrive,
    /// A connection goes on.
    Step {
        connection: u64,
    },
    /// A burst of connections begins or ends.
    Burst,
    /// Some router logs something.
    Chatter,
    /// Some link goes down for a while.
    FailLink,
    MendLink {
        link: usize,
    },
    /// A router goes down for a while.
    Restart {
        router: usize,
    },
    Boot {
        router: usize,
    },
    /// Pods are replaced by newer ones.
    RollOut,
    /// A pod that was replaced goes.
    Terminate {
        pod: usize,
    },
}
