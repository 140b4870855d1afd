use super::*;
use crate::{Dialect, Encoder, Heartbeat, UpdateBuf};

mod flushes;
mod missing;
mod restarts;
mod settling;
mod sources;
mod trials;

/// A discovery, a clock, and what sources say.
struct Van {
    discovery: Discovery,
    now: Timestamp,
}

impl Van {
    fn new() -> Self {
        let mut van = Self { discovery: Discovery::new(Settings::default(), 7), now: at(1000.0) };
        van.discovery.attached(van.now);
        assert_eq!(van.outputs(), ["listen mc/sfe.all"]);
        van
    }

    /// A connection, and a router `a:0` that was seen and flushed, and has answered.
    fn settled() -> Self {
        let mut van = Self::new();
        van.beacon(SourceType::Router, "a:0");
        van.heartbeat("a:0");
        van.outputs();
        van.accepted("a:0");
        van.router_record("a:0");
        assert_eq!(van.pass(12.0, &["a:0"]), ["answered a:0", "settled a:0"]);
        van
    }

    /// A router that was seen and has answered, and is back after the connection was lost, and asked.
    fn asked_again() -> Self {
        let mut van = Self::settled();
        van.discovery.detached(van.now);
        van.discovery.attached(van.now);
        van.heartbeat("a:0");
        assert_eq!(van.outputs().last().map(String::as_str), Some("flush a:0"));
        van
    }

    fn outputs(&mut self) -> Vec<String> {
        let name = |output| match output {
            Output::Action(Action::Listen { address }) => format!("listen {address}"),
            Output::Action(Action::Leave { address }) => format!("leave {address}"),
            Output::Action(Action::Flush { source, to }) => {
                assert_eq!(*to, format!("sfe.{source}"));
                format!("flush {source}")
            }
            Output::Event(Event::SourceSeen { source, source_type }) => {
                format!("seen {source_type} {source}")
            }
            Output::Event(Event::SourceRestarted { source }) => format!("restarted {source}"),
            Output::Event(Event::EpochStarted { source }) => format!("epoch {source}"),
            Output::Event(Event::Answered { source }) => format!("answered {source}"),
            Output::Event(Event::Settled { source, extent: Extent::All }) => format!("settled {source}"),
            Output::Event(Event::Settled { source, extent: Extent::AllButFlows }) => {
                format!("settled {source} but for flows")
            }
            Output::Event(Event::SourceLost { source, last_heard }) => {
                format!("lost {source}, last heard at {}", last_heard.as_micros() as f64 / 1e6)
            }
        };
        let unheard = self.discovery.sources.values().filter(|source| !source.is_heard).count();
        assert_eq!(self.discovery.unheard, unheard, "those that are not heard are counted");
        std::iter::from_fn(|| self.discovery.next_output()).map(name).collect()
    }

    fn received(&mut self, link: &str, bytes: &[u8]) {
        self.discovery.hear(self.now, link, &Message::decode(bytes).expect("decodes"));
    }

    fn beacon(&mut self, source_type: SourceType<'_>, id: &str) {
        self.numbered_beacon(source_type, id, 0);
    }

    fn numbered_beacon(&mut self, source_type: SourceType<'_>, id: &str, message_id: u64) {
        let beacon =
            Beacon { source_type, id, address: &format!("mc/sfe.{id}"), direct: &format!("sfe.{id}") };
        self.received(BEACON_ADDRESS, &Encoder::new(Dialect::Router).beacon(message_id, &beacon));
    }

    fn heartbeat(&mut self, id: &str) {
        let encoder = Encoder::new(Dialect::Controller);
        let link = format!("mc/sfe.{id}");
        let bytes = encoder.heartbeat(&link, 0, &Heartbeat { id, now: self.now });
        let suffixed = format!("{link}{HEARTBEATS_SUFFIX}");
        let link = if self.discovery.links.contains_key(&suffixed[..]) { suffixed } else { link };
        self.received(&link, &bytes);
    }

    fn numbered(&mut self, link: &str, message_id: u64) {
        let bytes = Encoder::new(Dialect::Router).heartbeat(
            link,
            message_id,
            &Heartbeat { id: "a:0", now: self.now },
        );
        self.received(link, &bytes);
    }

    fn records(&mut self, link: &str, update: UpdateBuf) {
        self.received(link, &Encoder::new(Dialect::Controller).records(link, 0, &[update]));
    }

    /// What a router says of itself when it is asked for everything.
    fn router_record(&mut self, id: &str) {
        let update = UpdateBuf::new(RecordKind::Router, id).with(Attribute::StartTime, at(1.0));
        self.records(&format!("mc/sfe.{id}"), update);
    }

    /// A flow of a router, whole.
    fn flow_record(&mut self, id: &str, start: Timestamp) {
        let update = UpdateBuf::new(RecordKind::BiflowTport, id.replace(":0", ":7"));
        self.records(&format!("mc/sfe.{id}.flows"), update.with(Attribute::StartTime, start));
    }

    fn accepted(&mut self, id: &str) {
        self.discovery.flush_outcome(self.now, id, FlushOutcome::Accepted);
    }

    /// Lets time pass, second by second, with heartbeats of those sources; gives what came up.
    fn pass(&mut self, seconds: f64, alive: &[&str]) -> Vec<String> {
        let end = self.now.plus_micros((seconds * 1e6) as u64);
        let mut outputs = Vec::new();
        loop {
            let next = self.now.plus_micros(1_000_000).min(end);
            while let Some(deadline) = self.discovery.next_deadline().filter(|deadline| *deadline <= next) {
                self.now = deadline.max(self.now);
                self.discovery.advance(self.now);
                let more = self.outputs();
                assert!(
                    self.discovery.next_deadline().is_none_or(|deadline| deadline > self.now),
                    "what was due is done"
                );
                outputs.extend(more);
            }
            self.now = next;
            alive.iter().for_each(|id| self.heartbeat(id));
            outputs.extend(self.outputs());
            if self.now == end {
                return outputs;
            }
        }
    }

    /// When FLUSH was sent while that many seconds passed and every one of them came to that.
    fn flushes(&mut self, seconds: u64, outcome: FlushOutcome) -> Vec<f64> {
        let start = self.now;
        let mut flushes = Vec::new();
        for _ in 0..seconds * 10 {
            if self.pass(0.1, &["a:0"]).contains(&"flush a:0".into()) {
                flushes.push(self.now.micros_since(start) as f64 / 1e6);
                self.discovery.flush_outcome(self.now, "a:0", outcome);
            }
        }
        flushes
    }
}

fn at(seconds: f64) -> Timestamp {
    Timestamp::from_micros((seconds * 1e6) as u64)
}

/// Whether those moments have pauses between them that double from 2 s to 60 s, give or take a quarter.
fn double(moments: &[f64]) -> bool {
    let pauses = moments.windows(2).map(|pair| pair[1] - pair[0]);
    pauses
        .zip([2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0])
        .all(|(pause, expected)| (expected * 0.75 - 0.11..=expected * 1.25 + 0.11).contains(&pause))
}

#[test]
fn random_numbers_are_those_of_split_mix() {
    // The first of the seed 0, as others publish them.
    let mut random = 0;
    let numbers = [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f];
    assert_eq!(numbers.map(|_| random_bits(&mut random)), numbers);
}

#[test]
fn a_wait_is_what_is_due_give_or_take_a_quarter_and_the_next_is_twice_as_long() {
    let settings = Settings { longest_retry: 1000, ..Settings::default() };
    let mut random = 1;
    assert_eq!(next_retry(&mut 1, &settings, &mut random), 1, "there is no less");
    let (mut least, mut most) = (u64::MAX, 0);
    for _ in 0..1000 {
        let mut retry = 8;
        let wait = next_retry(&mut retry, &settings, &mut random);
        assert_eq!(retry, 16);
        (least, most) = (least.min(wait), most.max(wait));
    }
    assert_eq!((least, most), (6, 10));
    let mut retry = 900;
    next_retry(&mut retry, &settings, &mut random);
    assert_eq!(retry, 1000);
}
