//! What happens on small networks, in virtual time, and the events that come of it.

mod connectivity;
mod services;
mod workload;

use vanflow_proto::{Attribute, RecordKind, SourceType, Timestamp, UpdateBuf, discovery::Extent};
use vanflow_store::{SourceId, Store, StoreOptions};

use super::{event::Event, recorder::Recorder, timeline::EventsOptions};

const SECOND: u64 = 1_000_000;
const BEGAN: u64 = 1_795_347_888 * SECOND;

/// What started long before anybody looked.
const LONG_AGO: u64 = BEGAN - 86_400 * SECOND;

/// A network, and who records what happens on it.
struct Net {
    store: Store,
    recorder: Recorder,
    now: Timestamp,
}

impl Net {
    /// A network that nobody has looked at yet.
    fn unseen() -> Self {
        let now = Timestamp::from_micros(BEGAN);
        let mut store = Store::new(StoreOptions::default());
        while store.advance(now) {}
        Self { store, recorder: Recorder::new(EventsOptions::default()), now }
    }

    /// One with two routers, a link between them and a controller, which have been there for long and are known.
    fn new() -> Self {
        let mut net = Self::unseen();
        net.look();
        net.router("west:0", "0/west-1");
        net.router("east:0", "0/east-1");
        net.source("site-w", SourceType::Controller);
        net.report("site-w", &[new(RecordKind::Site, "site-w").with(Attribute::Name, "west")]);
        net.report("west:0", &[link("west:7").with(Attribute::OperStatus, "up")]);
        net.pass(60);
        assert_eq!(net.told(), [""; 0], "what was there is no event");
        net
    }

    /// A source that is seen.
    fn source(&mut self, id: &str, source_type: SourceType<'_>) -> SourceId {
        self.store.source_seen(id, source_type, self.now)
    }

    /// A router that is seen, and has been there for long.
    fn router(&mut self, id: &str, name: &str) {
        self.source(id, SourceType::Router);
        self.report(
            id,
            &[new(RecordKind::Router, id).with(Attribute::Name, name).with(Attribute::Parent, "site-w")],
        );
    }

    fn id(&self, source: &str) -> SourceId {
        self.store.source_id(source).expect("it was seen")
    }

    fn report(&mut self, source: &str, updates: &[UpdateBuf]) {
        let source = self.id(source);
        for update in updates {
            self.store.apply(source, update, self.now);
        }
        self.look();
    }

    /// Nothing is received from a source any more.
    fn lose(&mut self, source: &str) {
        let heard = self.now;
        self.pass(30);
        let source = self.id(source);
        self.store.source_lost(source, heard, self.now);
        self.look();
    }

    /// A source repeated all that it has.
    fn settle(&mut self, source: &str) {
        let source = self.id(source);
        self.store.source_settled(source, Extent::All, self.now);
        self.look();
    }

    /// So many seconds pass, in which it is looked twice a second.
    fn pass(&mut self, seconds: u64) {
        for _ in 0..2 * seconds {
            self.now = self.now.plus_micros(SECOND / 2);
            while self.store.advance(self.now) {}
            self.look();
        }
    }

    fn look(&mut self) {
        self.recorder.observe(&self.store.snapshot());
    }

    fn events(&self) -> Vec<&Event> {
        self.recorder.timeline().events().map(|event| &**event).collect()
    }

    /// Each event in a line.
    fn told(&self) -> Vec<String> {
        let line = |event: &Event| {
            let when = event.time.micros_since(Timestamp::from_micros(BEGAN)) as f64 / 1e6;
            let detail = event.detail.as_ref().map_or_else(String::new, |detail| format!(" ({detail})"));
            let severity = event.severity.name();
            format!("{when} {severity} {}: {}{detail}", event.kind.name(), event.text)
        };
        self.events().into_iter().map(line).collect()
    }
}

/// A record of something that has been there for long.
fn new(kind: RecordKind, id: &str) -> UpdateBuf {
    UpdateBuf::new(kind, id).with(Attribute::StartTime, LONG_AGO)
}

/// The link between the two routers.
fn link(id: &str) -> UpdateBuf {
    new(RecordKind::Link, id).with(Attribute::Parent, "west:0").with(Attribute::Name, "east")
}

#[test]
fn what_a_first_snapshot_has_is_no_event() {
    let mut net = Net::unseen();
    // All of it before anybody looks: as after records were restored.
    let source = net.source("west:0", SourceType::Router);
    let router = new(RecordKind::Router, "west:0").with(Attribute::Name, "0/west-1");
    let listener = new(RecordKind::Listener, "west:1")
        .with(Attribute::Parent, "west:0")
        .with(Attribute::VanAddress, "lonely:80")
        .with(Attribute::Protocol, "tcp");
    let warned = UpdateBuf::new(RecordKind::Log, "west:2")
        .with(Attribute::Parent, "west:0")
        .with(Attribute::StartTime, BEGAN)
        .with(Attribute::EndTime, BEGAN)
        .with(Attribute::LogSeverity, 3)
        .with(Attribute::LogText, "something failed");
    for update in [router, listener, link("west:7").with(Attribute::OperStatus, "down"), warned] {
        net.store.apply(source, &update, net.now);
    }
    net.pass(120);
    assert_eq!(net.told(), [""; 0]);
}

#[test]
fn what_sources_repeat_in_the_beginning_is_no_event_however_late_they_come() {
    let mut net = Net::unseen();
    net.look();
    net.router("west:0", "0/west-1");
    net.pass(10);
    net.router("east:0", "0/east-1");
    net.source("site-w", SourceType::Controller);
    net.report("site-w", &[new(RecordKind::Site, "site-w").with(Attribute::Name, "west")]);
    let process =
        new(RecordKind::Process, "p1").with(Attribute::Parent, "site-w").with(Attribute::Group, "web");
    net.report("site-w", &[process]);
    net.pass(60);
    assert_eq!(net.told(), [""; 0]);
}

#[test]
fn nothing_is_recorded_where_nothing_is_kept() {
    let mut net = Net::new();
    net.recorder = Recorder::new(EventsOptions { most: 0, ..EventsOptions::default() });
    net.pass(60);
    net.lose("east:0");
    assert_eq!(net.told(), [""; 0]);
}

#[test]
fn times_of_sources_are_turned_into_ours() {
    // faults 20
    let mut net = Net::new();
    let source = net.id("west:0");
    // Its clock is an hour ahead.
    net.store.heartbeat(source, net.now.plus_micros(3600 * SECOND), net.now);
    let down = net.now.plus_micros(3600 * SECOND).minus_micros(2 * SECOND);
    net.report(
        "west:0",
        &[link("west:7").with(Attribute::OperStatus, "down").with(Attribute::DownTimeStamp, down)],
    );
    assert_eq!(net.events()[0].time, net.now.minus_micros(2 * SECOND));
}
