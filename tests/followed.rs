//! The emulated VAN, and a store that follows it, in virtual time.

use vanflow_api::{Network, Publisher};
use vanflow_collector::demo::{DemoOptions, Van};
use vanflow_proto::{
    Message, Timestamp, UpdateBuf,
    discovery::{Action, Discovery, FlushOutcome, Heard, Output, Settings},
};
use vanflow_store::{Follower, Snapshot, Store, StoreOptions};

/// When virtual time starts.
pub(crate) const START: Timestamp = Timestamp::from_micros(1_795_347_888_000_000);

/// How far time goes at once, in microseconds.
const STEP: u64 = 200_000;

/// The emulated VAN, and a collector that follows it.
pub(crate) struct Followed {
    pub(crate) van: Van,
    discovery: Discovery,
    follower: Follower,
    pub(crate) publisher: Publisher,
    /// A source of which nothing arrives that it sends to its own address.
    pub(crate) lost: Option<String>,
}

impl Followed {
    /// An emulated VAN that has been up for some hours, whose sources will be seen next.
    pub(crate) fn new(options: DemoOptions) -> (Self, Network) {
        let (network, publisher) = Network::new(Store::new(StoreOptions::default()));
        let mut discovery = Discovery::new(Settings::default(), 7);
        discovery.attached(START);
        let mut van = Van::new(options, START);
        van.announce();
        while publisher.write().advance(START) {}
        (Self { van, discovery, follower: Follower::new(), publisher, lost: None }, network)
    }

    /// Lets time pass.
    pub(crate) fn advance(&mut self, to: Timestamp) {
        while self.van.now() < to {
            let now = to.min(self.van.now().plus_micros(STEP));
            let sent = self.van.advance(now);
            let mut store = self.publisher.write();
            for sent in sent {
                let address = &*sent.outgoing.address;
                if self.lost.as_ref().is_some_and(|lost| address == format!("mc/sfe.{lost}")) {
                    continue;
                }
                let message = Message::decode(&sent.outgoing.message).expect("it decodes");
                let heard = self.discovery.hear(sent.at, address, &message);
                follow(&mut self.follower, &mut self.discovery, &mut self.van, &mut store, sent.at);
                match heard {
                    Some(Heard::Heartbeat { source, clock }) => {
                        self.follower.heartbeat(&mut store, &source, clock, sent.at);
                    }
                    Some(Heard::Records { source, updates }) => {
                        self.follower.records(&mut store, &source, updates, sent.at);
                    }
                    _ => {}
                }
            }
            self.discovery.advance(now);
            follow(&mut self.follower, &mut self.discovery, &mut self.van, &mut store, now);
            while store.advance(now) {}
            for (source, is_incomplete) in self.follower.incomplete(&store) {
                self.discovery.incomplete(now, &source, is_incomplete);
            }
        }
    }

    /// A source reports something that the emulated VAN would not.
    pub(crate) fn report(&mut self, source: &str, update: &UpdateBuf) {
        let now = self.van.now();
        self.follower.records(&mut self.publisher.write(), source, std::iter::once(Ok(update.into())), now);
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.publisher.write().snapshot()
    }
}

/// Does what discovery asks for.
fn follow(
    follower: &mut Follower,
    discovery: &mut Discovery,
    van: &mut Van,
    store: &mut Store,
    now: Timestamp,
) {
    while let Some(output) = discovery.next_output() {
        match output {
            Output::Action(Action::Flush { source, to }) => {
                let outcome = if van.flush(&to) { FlushOutcome::Accepted } else { FlushOutcome::Refused };
                discovery.flush_outcome(now, &source, outcome);
            }
            Output::Event(event) => follower.event(store, &event, now),
            // What is sent is received, whatever is listened on.
            _ => {}
        }
    }
}
