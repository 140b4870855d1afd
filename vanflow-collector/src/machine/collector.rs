//! A collector's process but its sockets, its directory, and its clients.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs,
    io::Write,
    sync::Arc,
    time::Duration,
};

use http::Request;
use http_body_util::BodyExt;
use tempfile::TempDir;
use tokio::runtime::Builder;
use vanflow_api::{Api, ApiOptions, Body, Network};
use vanflow_proto::{
    Attribute, Message, Timestamp, ValueBuf,
    discovery::{Action, Discovery, FlushOutcome, Heard, Output, Settings},
};
use vanflow_store::{Store, StoreOptions};

use super::van::{Attributes, Van};
use crate::{
    ingest::Ingest,
    starting::Progress,
    state::{Keeper, whole},
};

pub(super) const RETENTION: Duration = Duration::from_secs(120);

/// How often what changed is written, in ticks.
const WRITES_EACH: u64 = 10;

const WHOM: &str = "the router";

pub(super) struct Process {
    directory: Arc<TempDir>,
    keeper: Option<Keeper>,
    discovery: Discovery,
    ingest: Ingest,
    network: Network,
    api: Api,
    /// Where there are receivers.
    receivers: BTreeSet<Arc<str>>,
    /// Whom it asks to repeat everything.
    asks: VecDeque<Arc<str>>,
    /// What was written, and lived then.
    kept: BTreeSet<String>,
    is_full: bool,
    /// A list that a client takes slowly: so many connections there were when it asked, and what it has of it.
    reading: Option<(usize, Body, Vec<u8>)>,
    /// Counters as they were scraped last.
    counters: BTreeMap<String, f64>,
}

impl Process {
    pub(super) fn start(now: Timestamp) -> Self {
        Self::open(Arc::new(tempfile::tempdir().expect("a directory")), now)
    }

    fn open(directory: Arc<TempDir>, now: Timestamp) -> Self {
        let mut options = StoreOptions::default();
        options.retention_micros = u64::try_from(RETENTION.as_micros()).expect("it is short");
        let mut store = Store::new(options);
        let (keeper, known) =
            Keeper::open(directory.path(), &mut store, (RETENTION, &Progress::default()), now)
                .expect("a directory of our own");
        let mut discovery = Discovery::new(Settings::default(), 7);
        known.iter().for_each(|known| discovery.restore(known));
        let (network, publisher) = Network::new(store);
        let api = Api::new(network.clone(), ApiOptions::default());
        Self {
            directory,
            keeper: Some(keeper),
            discovery,
            ingest: Ingest::new(publisher),
            network,
            api,
            receivers: BTreeSet::new(),
            asks: VecDeque::new(),
            kept: BTreeSet::new(),
            is_full: false,
            reading: None,
            counters: BTreeMap::new(),
        }
    }

    /// The next process with the same directory.
    pub(super) fn again(&mut self, now: Timestamp) -> Self {
        // Two processes do not keep records in one directory.
        self.keeper = None;
        let next = Self::open(Arc::clone(&self.directory), now);
        let found = next.ids();
        for id in &self.kept {
            assert!(found.contains(id), "{id} was written, and is not there after the start");
        }
        next
    }

    pub(super) fn attach(&mut self, now: Timestamp) {
        self.discovery.attached(now);
        self.ingest.attached(WHOM, now);
        self.follow(now);
    }

    pub(super) fn detach(&mut self, now: Timestamp) {
        self.discovery.detached(now);
        self.ingest.detached(WHOM, "the connection broke");
        self.receivers.clear();
        self.asks.clear();
    }

    pub(super) fn hear(&mut self, link: &Arc<str>, message: &[u8], now: Timestamp) {
        if !self.receivers.contains(link) {
            return;
        }
        let message = Message::decode(message).expect("a source sent it");
        let heard = self.discovery.hear(now, link, &message);
        self.follow(now);
        match heard {
            Some(Heard::Heartbeat { source, clock }) => self.ingest.heartbeat(&source, clock, now),
            Some(Heard::Records { source, updates }) => self.ingest.records(&source, updates, now),
            _ => {}
        }
    }

    fn follow(&mut self, now: Timestamp) {
        while let Some(output) = self.discovery.next_output() {
            match output {
                Output::Event(event) => self.ingest.event(&event, now),
                Output::Action(Action::Listen { address }) => drop(self.receivers.insert(address)),
                Output::Action(Action::Leave { address }) => drop(self.receivers.remove(&address)),
                Output::Action(Action::Flush { source, .. }) => self.asks.push_back(source),
                Output::Action(other) => panic!("{other:?}"),
            }
        }
    }

    /// Whom it asks to repeat everything, once.
    pub(super) fn asks(&mut self) -> Option<Arc<str>> {
        self.asks.pop_front()
    }

    pub(super) fn flushed(&mut self, source: &str, is_taken: bool, now: Timestamp) {
        let outcome = if is_taken { FlushOutcome::Accepted } else { FlushOutcome::Refused };
        self.discovery.flush_outcome(now, source, outcome);
        self.follow(now);
    }

    pub(super) fn tick(&mut self, now: Timestamp, ticks: u64) {
        while let Some(deadline) = self.discovery.next_deadline().filter(|deadline| *deadline <= now) {
            self.discovery.advance(deadline);
            self.follow(deadline);
        }
        if ticks.is_multiple_of(2) {
            for (source, is_incomplete) in self.ingest.tick(now) {
                self.discovery.incomplete(now, &source, is_incomplete);
            }
            self.follow(now);
        }
        self.ingest.publish();
        if ticks.is_multiple_of(4) {
            self.api.observe();
        }
        if ticks.is_multiple_of(WRITES_EACH) {
            self.write();
        }
    }

    fn write(&mut self) {
        let Some(keeper) = &mut self.keeper else { return };
        keeper.write(&self.network);
        if !self.is_full {
            self.kept = self.live().into_keys().collect();
        }
    }

    pub(super) fn fill_disk(&mut self, is_full: bool) {
        if self.is_full != is_full {
            self.is_full = is_full;
            self.keeper.as_mut().expect("it runs").fill_disk(is_full);
        }
    }

    /// It is killed; while it writes, if what it writes is to be torn somewhere.
    pub(super) fn crash(&mut self, torn: Option<u16>, garbage: bool) {
        let Some(torn) = torn.filter(|_| !self.is_full) else { return };
        let path = self.directory.path().join("records.vanflow");
        let length = || fs::metadata(&path).map_or(0, |file| file.len());
        let before = length();
        self.keeper.as_mut().expect("it runs").write(&self.network);
        let written = length().saturating_sub(before);
        if written == 0 {
            // It is as long as before, or a new one that is whole.
            return;
        }
        let file = fs::OpenOptions::new().append(true).open(&path).expect("it is there");
        file.set_len(before + written * u64::from(torn) / u64::from(u16::MAX)).expect("it can be cut");
        if garbage {
            (&file).write_all(&[0xa5; 100]).expect("there is room");
        }
    }

    /// It ends in peace: what it has is kept.
    pub(super) fn leave(&mut self) {
        self.fill_disk(false);
        self.write();
    }

    /// All reported records that live.
    pub(super) fn live(&self) -> BTreeMap<String, Attributes> {
        let snapshot = self.network.snapshot();
        let live = snapshot.records().filter(|record| record.is_live() && !record.is_derived());
        let live = live.filter(|record| record.source().is_some()).map(|record| {
            let whole = whole(&record);
            let mut attributes: Attributes = whole.attributes.into_iter().collect();
            let kind = ValueBuf::Uint(whole.type_code.unwrap_or(0).into());
            attributes.insert(Attribute::RecordType.code(), kind);
            (whole.id, attributes)
        });
        live.collect()
    }

    fn ids(&self) -> BTreeSet<String> {
        let snapshot = self.network.snapshot();
        snapshot
            .records()
            .filter(|record| !record.is_derived())
            .map(|record| record.id().to_string())
            .collect()
    }

    /// What holds at any time.
    pub(super) fn check(&mut self, van: &Van) {
        for id in self.live().into_keys() {
            assert!(van.has_reported(&id), "nobody ever reported {id}");
        }
        // What a client reads slowly is of one moment, whatever happened since.
        if let Some((count, mut body, mut text)) = self.reading.take() {
            text.extend(rest(&mut body));
            assert_eq!(count_of(&text), count, "{}", String::from_utf8_lossy(&text));
        }
        self.scrape();
    }

    /// No counter falls, but to 0: where all that was counted by a label set turned out to have another one, it goes on with
    /// that, and the next that has the former begins anew.
    fn scrape(&mut self) {
        let text = String::from_utf8(get(&self.api, "/metrics")).expect("it is text");
        let mut form = "";
        for line in text.lines() {
            if let Some(described) = line.strip_prefix("# TYPE ") {
                form = described.rsplit(' ').next().unwrap_or_default();
            } else if form == "counter" && !line.starts_with('#') {
                let (name, value) = line.rsplit_once(' ').expect("a sample");
                let value: f64 = value.parse().expect("a number");
                let before = self.counters.insert(name.to_owned(), value).unwrap_or_default();
                let begins_anew = value.to_bits() == 0;
                assert!(value >= before || begins_anew, "{name} fell from {before} to {value}");
            }
        }
    }

    pub(super) fn ask(&mut self, slowly: bool) {
        self.ingest.publish();
        let snapshot = self.network.snapshot();
        let count = snapshot.retained_flow_count(vanflow_store::FlowKind::Connection);
        let mut body = asked(&self.api, CONNECTIONS);
        if slowly {
            let first = at_once(body.frame());
            let first = first.map(|frame| frame.expect("no list fails").into_data().unwrap_or_default());
            self.reading = Some((count, body, first.unwrap_or_default().to_vec()));
            return;
        }
        assert_eq!(count_of(&rest(&mut body)), count);
        for path in [
            "/api/v1/verdict",
            "/api/v1/map",
            "/api/v1alpha1/processes",
            "/api/v2alpha1/processpairs",
            "/api/v1/events",
        ] {
            get(&self.api, path);
        }
    }

    pub(super) fn assert_complete(&self, when: &str) {
        let verdict: serde_json::Value =
            serde_json::from_slice(&get(&self.api, "/api/v1/verdict")).expect("JSON");
        let sources = &verdict["sources"];
        assert_eq!(sources["incomplete"], 0, "{when}: {verdict}");
    }

    /// Nothing is left of anything.
    pub(super) fn assert_empty(&self) {
        let store = self.network.read();
        let snapshot = store.snapshot();
        let left: Vec<_> = snapshot.records().map(|record| record.id().to_string()).collect();
        assert!(left.is_empty(), "{left:?} are left");
        assert_eq!(snapshot.sources().count(), 0, "sources are left");
    }
}

const CONNECTIONS: &str = "/api/v2alpha1/connections?timeRangeStart=2026-01-01T00:00:00Z&state=all";

fn asked(api: &Api, path: &str) -> Body {
    let (asked, ()) = Request::get(path).body(()).expect("a path").into_parts();
    let response = api.respond(&asked);
    assert_eq!(response.status(), 200, "{path}");
    response.into_body()
}

fn rest(body: &mut Body) -> Vec<u8> {
    at_once(body.collect()).expect("no answer fails").to_bytes().to_vec()
}

/// What comes of something that computes, and waits for nothing else.
fn at_once<T>(computed: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(computed)
}

fn get(api: &Api, path: &str) -> Vec<u8> {
    rest(&mut asked(api, path))
}

/// How many items a list of `/api/v2alpha1` has.
fn count_of(text: &[u8]) -> usize {
    let list: serde_json::Value = serde_json::from_slice(text).expect("it is whole");
    list["results"].as_array().expect("a list").len()
}
