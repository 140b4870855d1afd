use super::{count::LATE, *};
use crate::{Dialect, Encoder, Heartbeat, UpdateBuf};

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
fn each_type_of_source_has_its_addresses() {
    let mut van = Van::new();
    van.beacon(SourceType::Router, "a:0");
    assert_eq!(
        van.outputs(),
        ["seen ROUTER a:0", "listen mc/sfe.a:0", "listen mc/sfe.a:0.flows", "listen mc/sfe.a:0.logs"]
    );
    van.beacon(SourceType::Controller, "c");
    assert_eq!(van.outputs(), ["seen CONTROLLER c", "listen mc/sfe.c", "listen mc/sfe.c.heartbeats"]);
    van.beacon(SourceType::Other("PROXY"), "p");
    assert_eq!(van.outputs(), ["seen PROXY p", "listen mc/sfe.p"]);
    van.beacon(SourceType::Router, "a:0");
    assert!(van.outputs().is_empty(), "a known source is not news");
}

#[test]
fn a_source_is_flushed_at_its_first_message() {
    // faults 1
    let mut van = Van::new();
    van.beacon(SourceType::Router, "a:0");
    van.beacon(SourceType::Controller, "c");
    van.outputs();
    assert!(van.pass(4.0, &[]).is_empty());
    van.numbered("mc/sfe.a:0.logs", 3);
    assert!(van.outputs().is_empty(), "each suffix is a route of its own");
    van.heartbeat("a:0");
    assert_eq!(van.outputs(), ["flush a:0"]);
    van.heartbeat("c");
    assert_eq!(van.outputs(), ["flush c"]);
    van.heartbeat("a:0");
    assert!(van.outputs().is_empty());
}

#[test]
fn a_source_that_says_nothing_is_flushed_after_5_seconds() {
    let mut van = Van::new();
    van.beacon(SourceType::Router, "a:0");
    van.outputs();
    assert!(van.pass(4.9, &[]).is_empty());
    assert_eq!(van.pass(0.1, &[]), ["flush a:0"]);
}

#[test]
fn a_collector_is_never_flushed() {
    let mut van = Van::new();
    van.beacon(SourceType::Collector, "o");
    assert_eq!(van.outputs(), ["seen COLLECTOR o", "listen mc/sfe.o"]);
    van.discovery.incomplete(van.now, "o", true);
    assert!(van.pass(29.0, &[]).is_empty());
}

#[test]
fn a_flush_without_an_answer_is_repeated_until_there_is_one() {
    // faults 1
    let mut van = Van::new();
    van.beacon(SourceType::Router, "a:0");
    van.outputs();
    let flushes = van.flushes(300, FlushOutcome::Accepted);
    assert!(flushes.len() > 7 && double(&flushes), "{flushes:?}");
    // Counters that go on are no answer.
    van.records("mc/sfe.a:0", UpdateBuf::new(RecordKind::Link, "a:1").with(Attribute::Octets, 7));
    assert!(!van.flushes(80, FlushOutcome::Accepted).is_empty());
    van.router_record("a:0");
    assert_eq!(van.pass(300.0, &["a:0"]), ["answered a:0", "settled a:0"]);
}

#[test]
fn only_what_a_source_reports_of_itself_is_an_answer() {
    // faults 1 and 29
    let old = at(1.0);
    let mut van = Van::new();
    van.beacon(SourceType::Router, "a:0");
    van.beacon(SourceType::Controller, "c");
    van.heartbeat("a:0");
    van.records("mc/sfe.c.heartbeats", UpdateBuf::new(RecordKind::Site, "another"));
    van.outputs();
    for id in ["a:0", "c"] {
        van.accepted(id);
    }
    let others = [
        ("mc/sfe.a:0", RecordKind::Link, "a:1"),
        ("mc/sfe.a:0", RecordKind::Router, "b:0"),
        ("mc/sfe.a:0", RecordKind::Site, "a:0"),
        ("mc/sfe.c", RecordKind::Site, "another"),
        ("mc/sfe.c", RecordKind::Process, "c"),
    ];
    for (link, kind, id) in others {
        van.records(link, UpdateBuf::new(kind, id).with(Attribute::StartTime, old));
    }
    assert_eq!(van.outputs(), Vec::<String>::new());
    van.router_record("a:0");
    assert_eq!(van.outputs(), ["answered a:0"]);
    van.records("mc/sfe.c", UpdateBuf::new(RecordKind::Site, "c").with(Attribute::StartTime, old));
    assert_eq!(van.outputs(), ["answered c"]);
}

#[test]
fn a_source_that_is_known_by_halves_is_flushed_until_it_is_whole() {
    // faults 1
    let mut van = Van::settled();
    van.discovery.incomplete(van.now, "a:0", true);
    let start = van.now;
    let mut flushes = vec![0.0];
    for _ in 0..3000 {
        if van.pass(0.1, &["a:0"]).contains(&"flush a:0".into()) {
            flushes.push(van.now.micros_since(start) as f64 / 1e6);
            van.accepted("a:0");
            van.router_record("a:0");
        }
    }
    assert!(flushes.len() > 6 && double(&flushes), "{flushes:?}");
    van.discovery.incomplete(van.now, "a:0", false);
    assert!(van.pass(300.0, &["a:0"]).is_empty());
    // The next time it starts over.
    van.discovery.incomplete(van.now, "a:0", true);
    assert_eq!(van.pass(2.6, &["a:0"]), ["flush a:0"]);
}

#[test]
fn a_flush_is_not_put_off_by_more_that_is_known_by_halves() {
    let mut van = Van::settled();
    let mut outputs = Vec::new();
    for _ in 0..30 {
        van.discovery.incomplete(van.now, "a:0", true);
        outputs.extend(van.pass(0.1, &["a:0"]));
    }
    assert_eq!(outputs, ["flush a:0"]);
}

#[test]
fn a_source_that_becomes_whole_by_itself_is_not_flushed() {
    let mut van = Van::settled();
    van.discovery.incomplete(van.now, "a:0", true);
    assert!(van.pass(1.0, &["a:0"]).is_empty());
    van.discovery.incomplete(van.now, "a:0", false);
    assert!(van.pass(100.0, &["a:0"]).is_empty());
}

#[test]
fn a_refused_flush_is_sent_again() {
    // faults 2
    let mut van = Van::new();
    van.beacon(SourceType::Router, "a:0");
    van.outputs();
    let flushes = van.flushes(300, FlushOutcome::Refused);
    assert!(flushes.len() > 7 && double(&flushes), "{flushes:?}");
    assert_eq!(van.discovery.retried(), flushes.len() as u64 - 1);
}

#[test]
fn a_flush_of_which_nothing_is_heard_is_sent_again() {
    // faults 2
    let mut van = Van::new();
    van.beacon(SourceType::Router, "a:0");
    van.heartbeat("a:0");
    van.outputs();
    assert!(van.pass(30.0, &["a:0"]).is_empty());
    assert_eq!(van.pass(2.6, &["a:0"]), ["flush a:0"]);
}

#[test]
fn after_a_reconnect_every_known_source_is_flushed_and_settles() {
    // faults 3
    let mut van = Van::settled();
    van.beacon(SourceType::Controller, "c");
    van.heartbeat("c");
    van.outputs();
    van.discovery.detached(van.now);
    van.now = van.now.plus_micros(500_000);
    van.discovery.attached(van.now);
    assert_eq!(
        van.outputs(),
        [
            "listen mc/sfe.all",
            "epoch a:0",
            "listen mc/sfe.a:0",
            "listen mc/sfe.a:0.flows",
            "listen mc/sfe.a:0.logs",
            "epoch c",
            "listen mc/sfe.c",
            "listen mc/sfe.c.heartbeats"
        ]
    );
    van.heartbeat("a:0");
    van.heartbeat("c");
    assert_eq!(van.outputs(), ["flush a:0", "flush c"]);
    van.accepted("a:0");
    van.accepted("c");
    van.router_record("a:0");
    van.flow_record("a:0", at(1.0));
    let site = UpdateBuf::new(RecordKind::Site, "c").with(Attribute::StartTime, at(1.0));
    assert_eq!(van.pass(1.0, &["a:0", "c"]), ["answered a:0"]);
    van.records("mc/sfe.c", site);
    assert_eq!(van.pass(8.9, &["a:0", "c"]), ["answered c"], "not before the grace time is over");
    assert_eq!(van.pass(2.0, &["a:0", "c"]), ["settled a:0", "settled c"]);
    assert!(van.pass(100.0, &["a:0", "c"]).is_empty());
}

#[test]
fn a_source_whose_answer_was_lost_does_not_settle() {
    // faults 1 and 3: what it did not repeat is not gone, it was not asked successfully
    let mut van = Van::settled();
    van.discovery.detached(van.now);
    van.discovery.attached(van.now);
    // An answer to somebody else's FLUSH, of which we may have missed the start.
    van.router_record("a:0");
    van.accepted("a:0");
    for output in van.pass(29.0, &["a:0"]) {
        assert_ne!(output, "settled a:0");
    }
}

#[test]
fn a_silent_source_is_lost_and_may_be_seen_again() {
    // faults 4 and 5
    let mut van = Van::settled();
    let heard = van.now.as_micros() as f64 / 1e6;
    assert!(van.pass(29.9, &[]).is_empty());
    assert_eq!(
        van.pass(0.1, &[]),
        [
            "leave mc/sfe.a:0".to_owned(),
            "leave mc/sfe.a:0.flows".into(),
            "leave mc/sfe.a:0.logs".into(),
            format!("lost a:0, last heard at {heard}"),
        ]
    );
    assert_eq!(van.discovery.sources(), 0);
    van.beacon(SourceType::Router, "a:0");
    assert_eq!(van.outputs()[0], "seen ROUTER a:0");
    van.heartbeat("a:0");
    assert_eq!(van.outputs(), ["flush a:0"]);
    van.accepted("a:0");
    van.router_record("a:0");
    assert_eq!(
        van.pass(15.0, &["a:0"]),
        ["answered a:0", "settled a:0"],
        "what it sent since it is back is in this epoch"
    );
}

#[test]
fn any_message_shows_that_a_source_is_alive() {
    // faults 4
    let mut van = Van::settled();
    for _ in 0..5 {
        van.pass(20.0, &[]);
        van.numbered("mc/sfe.a:0.flows", 9);
        van.pass(20.0, &[]);
        van.beacon(SourceType::Router, "a:0");
    }
    assert_eq!(van.discovery.sources(), 1);
}

#[test]
fn nobody_is_lost_while_the_connection_is_down_nor_right_after() {
    // faults 4
    let mut van = Van::settled();
    van.pass(20.0, &[]);
    van.discovery.detached(van.now);
    assert_eq!(van.discovery.next_deadline(), None);
    assert!(van.pass(1000.0, &[]).is_empty());
    van.discovery.attached(van.now);
    van.outputs();
    let outputs = van.pass(29.9, &[]);
    assert!(!outputs.iter().any(|output| output.starts_with("lost")), "{outputs:?}");
    assert!(van.pass(0.2, &[]).iter().any(|output| output.starts_with("lost a:0")));
}

#[test]
fn nobody_is_lost_for_what_nobody_looked_at() {
    // faults 18
    let mut van = Van::settled();
    van.now = van.now.plus_micros(100 * SECOND);
    van.discovery.resumed(van.now);
    assert!(van.pass(29.9, &[]).is_empty());
    assert!(van.pass(0.2, &[]).iter().any(|output| output.starts_with("lost a:0")));
}

#[test]
fn message_ids_that_fall_back_mean_a_restart() {
    // faults 6
    let mut van = Van::settled();
    for id in 1000..1100 {
        van.numbered("mc/sfe.a:0", id);
    }
    van.numbered("mc/sfe.a:0.flows", 1050);
    assert!(van.outputs().is_empty());
    van.numbered("mc/sfe.a:0", 0);
    assert_eq!(van.outputs(), ["restarted a:0", "flush a:0"]);
    // Each link shows it once more.
    van.numbered("mc/sfe.a:0.flows", 3);
    van.numbered("mc/sfe.a:0", 4);
    assert!(van.outputs().is_empty());
    for id in 5..100 {
        van.numbered("mc/sfe.a:0", id);
    }
    van.numbered("mc/sfe.a:0", 1);
    assert_eq!(van.outputs(), ["restarted a:0", "flush a:0"]);
}

#[test]
fn a_restart_shows_after_a_reconnect_too() {
    // faults 3 and 6: the router that we are attached to restarts in its pod
    let mut van = Van::settled();
    van.numbered("mc/sfe.a:0", 100);
    van.discovery.detached(van.now);
    van.discovery.attached(van.now);
    assert_eq!(van.outputs()[1], "epoch a:0");
    van.numbered("mc/sfe.a:0", 0);
    assert_eq!(van.outputs(), ["restarted a:0", "flush a:0"]);
}

#[test]
fn a_beacon_shows_a_restart_too() {
    // faults 6
    let mut van = Van::new();
    van.numbered_beacon(SourceType::Router, "a:0", 500);
    van.outputs();
    van.numbered_beacon(SourceType::Router, "a:0", 0);
    assert_eq!(van.outputs(), ["restarted a:0", "flush a:0"]);
    van.accepted("a:0");
    van.router_record("a:0");
    assert_eq!(van.pass(12.0, &["a:0"]), ["answered a:0", "settled a:0"]);
}

#[test]
fn duplicates_by_longer_paths_and_slow_links_are_no_restart() {
    // faults 6 and 9
    let mut van = Van::settled();
    for id in 0..2000_u64 {
        van.numbered("mc/sfe.a:0", id);
        van.numbered("mc/sfe.a:0", id.saturating_sub(LATE));
        // A link with a backlog.
        van.numbered("mc/sfe.a:0.flows", id / 10);
    }
    assert!(van.outputs().is_empty());
}

#[test]
fn a_new_id_with_an_old_name_is_another_source() {
    // faults 7
    let mut van = Van::settled();
    van.beacon(SourceType::Router, "b:0");
    assert_eq!(van.outputs()[0], "seen ROUTER b:0");
    let outputs = van.pass(31.0, &["b:0"]);
    assert!(outputs.iter().any(|output| output.starts_with("lost a:0")), "{outputs:?}");
    assert_eq!(van.discovery.sources(), 1);
}

#[test]
fn a_failed_link_is_tried_again_and_what_was_missed_is_asked_for() {
    // faults 17
    let mut van = Van::settled();
    let start = van.now;
    let mut tries = vec![0.0];
    van.discovery.link_failed(van.now, "mc/sfe.a:0.flows");
    for _ in 0..3000 {
        let outputs = van.pass(0.1, &["a:0"]);
        if outputs.contains(&"listen mc/sfe.a:0.flows".into()) {
            tries.push(van.now.micros_since(start) as f64 / 1e6);
            van.discovery.link_failed(van.now, "mc/sfe.a:0.flows");
        }
        if outputs.contains(&"flush a:0".into()) {
            van.accepted("a:0");
            van.router_record("a:0");
        }
    }
    assert!(tries.len() > 6 && double(&tries), "{tries:?}");
    let outputs = van.pass(80.0, &["a:0"]);
    assert!(outputs.contains(&"flush a:0".into()), "{outputs:?}");
    van.discovery.link_failed(van.now, BEACON_ADDRESS);
    let outputs = van.pass(3.0, &["a:0"]);
    assert!(outputs.contains(&"listen mc/sfe.all".into()), "{outputs:?}");
}

#[test]
fn sources_that_are_too_many_are_counted() {
    // faults 17
    let settings = Settings { sources: 2, ..Settings::default() };
    let mut van = Van { discovery: Discovery::new(settings, 0), now: at(1000.0) };
    van.discovery.attached(van.now);
    van.beacon(SourceType::Router, "a:0");
    van.beacon(SourceType::Router, "b:0");
    van.beacon(SourceType::Router, "c:0");
    assert_eq!((van.discovery.sources(), van.discovery.refused()), (2, 1));
}

#[test]
fn a_source_cannot_have_the_address_of_another_whichever_is_first() {
    // faults 24
    let mut van = Van::new();
    let own = Beacon { source_type: SourceType::Router, id: "t:0", address: "mc/sfe.t:0", direct: "sfe.t:0" };
    for stolen in [
        Beacon { address: "mc/sfe.a:0", ..own },
        Beacon { address: BEACON_ADDRESS, ..own },
        Beacon { address: "mc/sfe.t:0.flows", ..own },
        Beacon { direct: "sfe.a:0", ..own },
        Beacon { id: "all", address: BEACON_ADDRESS, direct: "sfe.all", ..own },
        Beacon { id: "a:0.flows", address: "mc/sfe.a:0.flows", direct: "sfe.a:0.flows", ..own },
    ] {
        van.received(BEACON_ADDRESS, &Encoder::new(Dialect::Router).beacon(0, &stolen));
    }
    assert!(van.outputs().is_empty());
    assert_eq!((van.discovery.sources(), van.discovery.refused()), (0, 6));
    van.beacon(SourceType::Router, "a:0");
    van.received(BEACON_ADDRESS, &Encoder::new(Dialect::Router).beacon(0, &own));
    assert_eq!(van.discovery.sources(), 2);
    // A known source gets no further address either.
    let more = Beacon { address: "mc/sfe.a:0", ..own };
    van.received(BEACON_ADDRESS, &Encoder::new(Dialect::Router).beacon(0, &more));
    assert_eq!(van.discovery.refused(), 7);
}

#[test]
fn what_is_said_on_a_link_is_said_by_the_source_whose_address_it_is() {
    // faults 24
    let mut van = Van::new();
    van.beacon(SourceType::Router, "a:0");
    van.beacon(SourceType::Router, "b:0");
    let mut hear = |link: &str, bytes: &[u8]| {
        let message = Message::decode(bytes).expect("decodes");
        match van.discovery.hear(van.now, link, &message) {
            Some(Heard::Heartbeat { source, clock }) => {
                format!("{source} beats at {}", clock.as_micros())
            }
            Some(Heard::Records { source, updates }) => format!("{source} reports {}", updates.count()),
            None => "nothing".into(),
        }
    };
    let router = Encoder::new(Dialect::Router);
    let beat = router.heartbeat("mc/sfe.a:0", 0, &Heartbeat { id: "a:0", now: at(0.5) });
    let link = UpdateBuf::new(RecordKind::Link, "a:1");
    let records = router.records("mc/sfe.a:0", 1, &[link.clone(), link]);
    assert_eq!(hear("mc/sfe.a:0", &beat), "a:0 beats at 500000");
    assert_eq!(hear("mc/sfe.b:0", &beat), "nothing", "it names another source");
    assert_eq!(hear("mc/sfe.a:0.flows", &records), "a:0 reports 2");
    assert_eq!(hear("mc/sfe.b:0", &records), "b:0 reports 2");
    assert_eq!(hear("mc/sfe.c:0", &records), "nothing");
    assert_eq!(hear(BEACON_ADDRESS, &records), "nothing");
    assert_eq!(hear("mc/sfe.a:0", &router.flush("mc/sfe.a:0", 2)), "nothing");
}

#[test]
fn heartbeats_that_come_back_after_a_gap_bring_a_flush() {
    // faults 27
    let mut van = Van::settled();
    van.beacon(SourceType::Controller, "c");
    van.heartbeat("c");
    assert_eq!(van.outputs().last().map(String::as_str), Some("flush c"));
    van.accepted("c");
    let site = UpdateBuf::new(RecordKind::Site, "c").with(Attribute::StartTime, at(1.0));
    van.records("mc/sfe.c", site.clone());
    assert_eq!(van.pass(12.0, &["a:0", "c"]), ["answered c", "settled c"]);
    assert!(van.pass(6.9, &["a:0"]).is_empty());
    van.heartbeat("c");
    assert!(van.outputs().is_empty(), "two heartbeats may be late");
    assert!(van.pass(7.0, &["a:0"]).is_empty());
    van.beacon(SourceType::Controller, "c");
    assert!(van.outputs().is_empty(), "a beacon does not show that its receivers are known");
    van.heartbeat("c");
    assert_eq!(van.outputs(), ["epoch c", "flush c"]);
    assert!(van.pass(1.0, &["a:0", "c"]).is_empty());
    van.accepted("c");
    van.records("mc/sfe.c", site);
    assert_eq!(van.pass(12.0, &["a:0", "c"]), ["answered c", "settled c"]);
}

#[test]
fn time_in_which_nobody_looked_is_no_gap() {
    // faults 27, 18
    let mut van = Van::settled();
    van.now = van.now.plus_micros(20 * SECOND);
    van.discovery.resumed(van.now);
    van.heartbeat("a:0");
    assert!(van.outputs().is_empty());
    van.discovery.detached(van.now);
    van.now = van.now.plus_micros(20 * SECOND);
    van.discovery.attached(van.now);
    let epochs = |van: &mut Van| van.outputs().iter().filter(|output| *output == "epoch a:0").count();
    van.heartbeat("a:0");
    assert_eq!(epochs(&mut van), 1, "that of the connection");
}

#[test]
fn a_pause_of_a_source_without_heartbeats_is_no_gap() {
    // faults 27
    let mut van = Van::new();
    van.beacon(SourceType::Other("PROXY"), "p");
    van.heartbeat("p");
    van.outputs();
    van.pass(20.0, &[]);
    van.heartbeat("p");
    assert!(!van.outputs().contains(&"epoch p".to_owned()));
}

/// A router that was seen and has answered, and is back after the connection was lost, and asked.
fn reattached() -> Van {
    let mut van = Van::settled();
    van.discovery.detached(van.now);
    van.discovery.attached(van.now);
    van.heartbeat("a:0");
    assert_eq!(van.outputs().last().map(String::as_str), Some("flush a:0"));
    van.accepted("a:0");
    van
}

#[test]
fn flows_settle_only_when_they_were_answered() {
    // faults 1 and 3: each suffix is a route of its own, and the answer on one can be lost
    let mut van = reattached();
    van.router_record("a:0");
    let mut outputs = Vec::new();
    for _ in 0..25 {
        let more = van.pass(1.0, &["a:0"]);
        if more.contains(&"flush a:0".into()) {
            van.accepted("a:0");
            van.router_record("a:0");
        }
        outputs.extend(more);
    }
    outputs.retain(|output| output != "flush a:0");
    assert_eq!(outputs, ["answered a:0", "settled a:0 but for flows"]);
    // A flow that has just begun comes without being asked for, and so does the end of one.
    van.flow_record("a:0", van.now.minus_micros(1_000_000));
    let ended = UpdateBuf::new(RecordKind::BiflowApp, "a:8");
    let ended = ended.with(Attribute::StartTime, at(1.0)).with(Attribute::EndTime, at(2.0));
    van.records("mc/sfe.a:0.flows", ended);
    assert!(!van.pass(12.0, &["a:0"]).contains(&"settled a:0".into()));
    van.flow_record("a:0", at(1.0));
    assert!(van.pass(12.0, &["a:0"]).contains(&"settled a:0".into()));
}

#[test]
fn a_flow_that_began_just_before_a_flush_is_no_answer_to_it() {
    // faults 1 and 3: routers report it within two seconds without being asked
    for (seconds, is_answer) in [(1.5, false), (2.5, true)] {
        let mut van = reattached();
        van.router_record("a:0");
        van.flow_record("a:0", van.now.minus_micros((seconds * 1e6) as u64));
        let outputs = van.pass(12.0, &["a:0"]);
        assert_eq!(outputs.contains(&"settled a:0".into()), is_answer, "{seconds}: {outputs:?}");
    }
}

#[test]
fn a_flow_is_as_old_as_the_clock_of_its_router_says() {
    // faults 1 and 20
    for (seconds, is_answer) in [(99.0, false), (97.0, true)] {
        let mut van = reattached();
        let clock = van.now.plus_micros(100_000_000);
        let encoder = Encoder::new(Dialect::Controller);
        let bytes = encoder.heartbeat("mc/sfe.a:0", 0, &Heartbeat { id: "a:0", now: clock });
        van.received("mc/sfe.a:0", &bytes);
        van.router_record("a:0");
        van.flow_record("a:0", van.now.plus_micros((seconds * 1e6) as u64));
        let outputs = van.pass(12.0, &[]);
        assert_eq!(outputs.contains(&"settled a:0".into()), is_answer, "{seconds}: {outputs:?}");
    }
}

#[test]
fn a_flush_is_not_lost_because_the_answer_to_it_settles() {
    // faults 2
    let mut van = Van::settled();
    van.discovery.detached(van.now);
    van.discovery.attached(van.now);
    van.heartbeat("a:0");
    assert_eq!(van.outputs().last().map(String::as_str), Some("flush a:0"));
    van.router_record("a:0");
    let outputs = van.pass(29.0, &["a:0"]);
    assert!(outputs.contains(&"settled a:0 but for flows".into()), "{outputs:?}");
    assert!(!outputs.contains(&"flush a:0".into()), "nothing was heard of it yet: {outputs:?}");
}

#[test]
fn a_source_has_one_timer_however_often_it_is_heard() {
    let mut van = Van::settled();
    van.pass(100.0, &["a:0"]);
    assert_eq!(van.discovery.timers.len(), 1);
}

#[test]
fn retries_are_spread_over_half_of_their_wait() {
    let mut random = 7;
    let mut next = |wait: u64| next_retry(&mut { wait }, &Settings::default(), &mut random);
    for wait in [2_000_000_u64, 60_000_000] {
        let waits: Vec<_> = (0..1000).map(|_| next(wait)).collect();
        let part = |portion: f64| (wait as f64 * portion) as u64;
        assert!(waits.iter().all(|one| (part(0.75)..=part(1.25)).contains(one)));
        for eighth in [0.75, 0.875, 1.0, 1.125] {
            let range = part(eighth)..part(eighth + 0.125);
            let many = waits.iter().filter(|one| range.contains(one)).count();
            assert!((150..350).contains(&many), "{many} of 1000 in {range:?}");
        }
    }
}

#[test]
fn a_router_that_repeats_no_flow_for_a_minute_has_none() {
    // faults 1 and 3
    let mut van = reattached();
    van.router_record("a:0");
    let start = van.now;
    let (mut flushes, mut outputs) = (0, Vec::new());
    while !outputs.contains(&"settled a:0".to_owned()) {
        let more = van.pass(0.1, &["a:0"]);
        if more.contains(&"flush a:0".into()) {
            flushes += 1;
            van.accepted("a:0");
            van.router_record("a:0");
        }
        outputs.extend(more);
    }
    assert!((59.0..61.0).contains(&(van.now.micros_since(start) as f64 / 1e6)));
    assert!((3..7).contains(&flushes), "{flushes}");
    van.pass(60.0, &["a:0"]);
    assert!(van.pass(300.0, &["a:0"]).is_empty(), "and it is not asked any more");
}

#[test]
fn no_flows_in_an_answer_means_none_where_the_route_for_them_is_known() {
    // faults 1 and 3
    let mut van = reattached();
    van.router_record("a:0");
    van.flow_record("a:0", van.now);
    assert!(!van.pass(1.0, &["a:0"]).contains(&"flush a:0".into()));
    assert!(van.pass(2.0, &["a:0"]).contains(&"flush a:0".into()));
    van.accepted("a:0");
    van.router_record("a:0");
    assert!(van.pass(12.0, &["a:0"]).contains(&"settled a:0".into()));
}

#[test]
fn nothing_settles_before_a_flush_was_answered() {
    // faults 29
    let mut van = Van::new();
    van.beacon(SourceType::Controller, "c");
    van.heartbeat("c");
    van.accepted("c");
    let site = UpdateBuf::new(RecordKind::Site, "c").with(Attribute::StartTime, at(1.0));
    van.records("mc/sfe.c", site.clone());
    van.pass(12.0, &["c"]);
    van.discovery.detached(van.now);
    van.discovery.attached(van.now);
    van.heartbeat("c");
    van.outputs();
    for _ in 0..300 {
        let process = UpdateBuf::new(RecordKind::Process, "pod").with(Attribute::StartTime, at(1.0));
        van.records("mc/sfe.c", process);
        van.discovery.flush_outcome(van.now, "c", FlushOutcome::Refused);
        let outputs = van.pass(1.0, &["c"]);
        assert!(outputs.iter().all(|output| output == "flush c"), "{outputs:?}");
    }
    van.records("mc/sfe.c", site.clone());
    assert!(van.outputs().is_empty(), "nobody was asked successfully");
    while !van.pass(1.0, &["c"]).contains(&"flush c".into()) {}
    van.accepted("c");
    van.records("mc/sfe.c", site);
    assert_eq!(van.pass(12.0, &["c"]), ["answered c", "settled c"]);
}

#[test]
fn a_source_whose_records_were_kept_is_known_before_it_is_heard() {
    // faults 3, 4, 22
    let mut discovery = Discovery::new(Settings::default(), 7);
    for id in ["a:0", "b:0"] {
        discovery.restore(&Known { id: id.into(), source_type: "ROUTER".into(), last_heard: at(900.0) });
    }
    let mut van = Van { discovery, now: at(1000.0) };
    assert!(van.pass(100.0, &[]).is_empty(), "nobody is heard without a connection");
    van.discovery.attached(van.now);
    assert_eq!(van.outputs()[..2], ["listen mc/sfe.all", "epoch a:0"]);
    van.beacon(SourceType::Router, "a:0");
    van.heartbeat("a:0");
    assert_eq!(van.outputs().last().map(String::as_str), Some("flush a:0"));
    van.accepted("a:0");
    van.router_record("a:0");
    van.flow_record("a:0", at(1.0));
    let outputs = van.pass(30.0, &["a:0"]);
    assert!(outputs.contains(&"settled a:0".into()), "{outputs:?}");
    assert_eq!(outputs.last().map(String::as_str), Some("lost b:0, last heard at 900"));
}

#[test]
fn messages_of_strangers_are_passed_over() {
    let mut van = Van::new();
    van.numbered("mc/sfe.x:0", 1);
    van.numbered(BEACON_ADDRESS, 1);
    van.discovery.flush_outcome(van.now, "x:0", FlushOutcome::Accepted);
    van.discovery.incomplete(van.now, "x:0", true);
    van.discovery.link_failed(van.now, "mc/sfe.x:0");
    assert!(van.pass(100.0, &[]).is_empty());
    assert_eq!(van.discovery.next_deadline(), None);
    assert_eq!(van.discovery.source_of("mc/sfe.x:0"), None);
    van.beacon(SourceType::Router, "x:0");
    assert_eq!(van.discovery.source_of("mc/sfe.x:0").map(|id| &**id), Some("x:0"));
    assert_eq!(van.discovery.source_of(BEACON_ADDRESS), None, "that is everybody's");
}
