//! From what is received to the store.
//!
//! There is one writer. It takes the store's lock for a message at a time, and for no more than a thousand updates
//! should a message have more, so that readers who want a snapshot get one within a millisecond. It never waits for
//! them: what cannot be merged in time waits at the router, as its credit runs out (faults 18).

use std::{fmt, sync::Arc, time::Duration};

use tracing::{debug, info, warn};
use vanflow_api::{Api, Publisher, Status, metrics::Health};
use vanflow_proto::{
    Message, Timestamp, Updates,
    capture::Captured,
    discovery::{self, Action, Discovery, FlushOutcome, Heard, Known, Output},
};
use vanflow_store::{Follower, Store};

use crate::{config::Speed, memory::Budget, occasion::Occasion, replay::Listener};

/// Updates that are merged before the lock is given back.
const UPDATES: usize = 1000;

/// How long after attaching the collector counts as ready at the latest, in microseconds: by then every source that
/// it knows was asked for all of its records, though some answers may have been lost (faults 1).
const READY_WITHIN: u64 = 30_000_000;

/// How often what becomes of sources is worth a line.
const LINE_EACH: Duration = Duration::from_secs(1);

/// Merges what is received into a store, and wakes those who wait for it.
#[derive(Debug)]
pub(crate) struct Ingest {
    publisher: Publisher,
    follower: Follower,
    /// To whom there is a connection, and since when.
    attached: Option<(String, Timestamp)>,
    /// Sources that were announced, and of which nothing is known yet.
    on_trial: u64,
    refused: Occasion,
    foreign: Occasion,
    lost: Occasion,
    restarted: Occasion,
    health: Arc<Health>,
    budget: Option<Budget>,
}

impl Ingest {
    /// An ingest into the network of that publisher.
    pub(crate) fn new(publisher: Publisher) -> Self {
        publisher.update_status(|status| status.detail = "starting".into());
        Self {
            publisher,
            follower: Follower::new(),
            attached: None,
            on_trial: 0,
            refused: Occasion::default(),
            foreign: Occasion::default(),
            lost: Occasion::each(LINE_EACH),
            restarted: Occasion::each(LINE_EACH),
            health: Arc::default(),
            budget: None,
        }
    }

    /// The same ingest, which has records keep within that.
    pub(crate) fn within(self, budget: Option<Budget>) -> Self {
        Self { budget, ..self }
    }

    /// The same ingest, which counts there what it merges and refuses.
    pub(crate) fn counted_in(self, health: Arc<Health>) -> Self {
        Self { health, ..self }
    }

    /// Where what is merged and refused is counted.
    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    /// There is a connection to `whom`.
    pub(crate) fn attached(&mut self, whom: &str, now: Timestamp) {
        self.attached = Some((whom.to_owned(), now));
        self.report(|status| {
            status.attached = true;
            status.detail = format!("attached to {whom}, asking its network for records");
        });
    }

    /// There is no connection, for that reason.
    pub(crate) fn detached(&mut self, whom: &str, why: &str) {
        self.attached = None;
        self.health.detached();
        self.report(|status| {
            status.attached = false;
            status.flushed = false;
            status.detail = format!("not attached to {whom}: {why}");
        });
    }

    /// Something became of a source.
    pub(crate) fn event(&mut self, event: &discovery::Event, now: Timestamp) {
        use discovery::Event::*;
        match event {
            SourceSeen { source, source_type } => debug!("{source_type} {source} is there"),
            SourceRestarted { source } => match self.restarted.arises() {
                None => {}
                Some(1) => info!("{source} restarted"),
                Some(times) => info!("{times} restarts of sources, {source} last"),
            },
            EpochStarted { source } => debug!("{source} is asked to repeat all that it has"),
            SourceLost { source, .. } => match self.lost.arises() {
                None => {}
                Some(1) => info!("{source} is gone, or cannot be heard any more"),
                Some(lost) => info!("{lost} sources are gone, or cannot be heard any more, {source} last"),
            },
            _ => {}
        }
        self.follower.event(&mut self.publisher.write(), event, now);
    }

    /// A source is alive, and its clock shows that time.
    pub(crate) fn heartbeat(&mut self, source: &str, clock: Timestamp, now: Timestamp) {
        self.follower.heartbeat(&mut self.publisher.write(), source, clock, now);
    }

    /// A source reported records.
    pub(crate) fn records(&mut self, source: &str, mut updates: Updates<'_>, now: Timestamp) {
        loop {
            let mut store = self.publisher.write();
            bound(&mut self.budget, &mut store);
            let merged = self.follower.records(&mut store, source, updates.by_ref().take(UPDATES), now);
            drop(store);
            for (kind, updates) in merged.by_kind() {
                self.health.merged(kind, updates);
            }
            for _ in 0..merged.refused() {
                self.health.refused();
            }
            if let Some(error) = merged.error() {
                self.refused(source, error);
            }
            for _ in 0..merged.foreign() {
                if let Some(times) = self.foreign.arises() {
                    warn!(
                        "{times} updates were refused since this was said last, for they are of records of other \
                         sources; now of {source}"
                    );
                }
            }
            if merged.total() < UPDATES as u64 {
                return;
            }
        }
    }

    /// A message or a record was not taken: too large, not to be read, or not to be had.
    pub(crate) fn refused(&mut self, by: &str, why: &dyn fmt::Display) {
        if let Some(times) = self.refused.arises() {
            warn!(
                "{times} messages, records or links were refused since this was said last; now {by}: {why}"
            );
        }
    }

    /// So many sources were announced, of which nothing is known yet.
    pub(crate) fn tried(&mut self, on_trial: u64) {
        self.on_trial = on_trial;
    }

    /// Time passed: about a second of it. Answers the sources whose records are known by halves now and were not
    /// before, and those where it is the other way round.
    pub(crate) fn tick(&mut self, now: Timestamp) -> Vec<(Arc<str>, bool)> {
        bound(&mut self.budget, &mut self.publisher.write());
        while self.publisher.write().advance(now) {}
        let changed = self.follower.incomplete(&self.publisher.write());
        let is_ready = self.follower.is_whole() && self.on_trial == 0;
        if let Some((whom, since)) = &self.attached
            && !self.publisher.network().status().borrow().flushed
            && (is_ready || now.micros_since(*since) >= READY_WITHIN)
        {
            self.report(|status| {
                status.flushed = true;
                status.detail = format!("attached to {whom}");
            });
        }
        changed
    }

    /// Wakes those who wait for changes, if there are any.
    pub(crate) fn publish(&self) {
        self.publisher.publish();
    }

    /// Changes the status, and wakes those who wait for it if that made a difference.
    pub(crate) fn report(&self, change: impl FnOnce(&mut Status)) {
        self.publisher.update_status(change);
    }
}

/// Has the store keep within what records may take at the moment.
fn bound(budget: &mut Option<Budget>, store: &mut Store) {
    if let Some(budget) = budget {
        store.set_memory_bound(Some(budget.of_records(store.held_octets())));
    }
}

/// Hears a capture replayed: finds out about sources as the connection to a router does, but in the capture's time.
pub(crate) struct Replayed {
    ingest: Ingest,
    discovery: Discovery,
    speed: Speed,
    /// Looks at the network once in each second of the capture: what happens in one is an event however fast it passes.
    observer: Api,
    /// How often metrics are kept for charts, in the time of the capture, where they are.
    remember_every: Option<Duration>,
    remembered: Timestamp,
    /// Whether anything was heard since.
    has_heard: bool,
    now: Timestamp,
}

impl Replayed {
    /// A replay into a store that may hold records of known sources.
    pub(crate) fn new(
        ingest: Ingest,
        known: &[Known],
        speed: Speed,
        observer: Api,
        remember_every: Option<Duration>,
    ) -> Self {
        // Nothing is sent, so there is nothing to keep out of step with others.
        let mut discovery = Discovery::new(discovery::Settings::default(), 0);
        known.iter().for_each(|known| discovery.restore(known));
        let remembered = Timestamp::default();
        Self {
            ingest,
            discovery,
            speed,
            observer,
            remember_every,
            remembered,
            has_heard: false,
            now: remembered,
        }
    }

    /// The capture is at its end. What was not answered by then never will be.
    pub(crate) fn ended(&mut self) {
        self.remember(self.now, true);
        self.ingest.report(|status| {
            status.attached = true;
            status.flushed = true;
            status.complete = true;
            status.detail = "replayed a capture to its end".into();
        });
    }

    /// Keeps what is measured where it is time to. Silence measures nothing.
    fn remember(&mut self, now: Timestamp, is_last: bool) {
        let Some(every) = self.remember_every else { return };
        let is_due = u128::from(now.micros_since(self.remembered)) >= every.as_micros() || is_last;
        if is_due && std::mem::take(&mut self.has_heard) {
            self.remembered = now;
            self.observer.remember(now);
        }
    }

    fn follow(&mut self, now: Timestamp) {
        while let Some(output) = self.discovery.next_output() {
            match output {
                Output::Event(event) => self.ingest.event(&event, now),
                // Whoever made the capture has done what was to be done.
                Output::Action(Action::Flush { source, .. }) => {
                    self.discovery.flush_outcome(now, &source, FlushOutcome::Accepted);
                }
                Output::Action(_) => {}
            }
        }
    }
}

impl Listener for Replayed {
    fn begin(&mut self, now: Timestamp) {
        self.discovery.attached(now);
        // Whoever observes it learns when it began before anything is heard.
        self.ingest.tick(now);
        self.observer.observe_events();
        self.ingest.report(|status| {
            status.attached = true;
            // What is replayed at once is ready when it is at its end, and no sooner.
            status.flushed = self.speed != Speed::Max;
            status.detail = format!("replaying a capture {}", self.speed);
        });
    }

    fn hear(&mut self, message: &Captured, now: Timestamp) {
        let Captured { link, message, .. } = message;
        self.has_heard = true;
        match Message::decode(message) {
            Ok(message) => {
                let heard = self.discovery.hear(now, link, &message);
                self.follow(now);
                match heard {
                    Some(Heard::Heartbeat { source, clock }) => self.ingest.heartbeat(&source, clock, now),
                    Some(Heard::Records { source, updates }) => self.ingest.records(&source, updates, now),
                    _ => {}
                }
            }
            Err(error) => {
                self.ingest.health.refused();
                self.ingest.refused(link, &error);
            }
        }
        self.ingest.publish();
    }

    fn tick(&mut self, now: Timestamp) {
        while let Some(deadline) = self.discovery.next_deadline().filter(|deadline| *deadline <= now) {
            self.discovery.advance(deadline);
            self.follow(deadline);
        }
        for (source, is_incomplete) in self.ingest.tick(now) {
            self.discovery.incomplete(now, &source, is_incomplete);
        }
        self.ingest.publish();
        self.observer.observe_events();
        self.remember(now, false);
        self.now = now;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use vanflow_api::Network;
    use vanflow_proto::{Attribute, Body, Dialect, Encoder, RecordKind, UpdateBuf};
    use vanflow_store::{Oddity, Store, StoreOptions};

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_795_390_000_000_000);

    fn after(seconds: u64) -> Timestamp {
        NOW.plus_micros(seconds * 1_000_000)
    }

    fn ingest() -> Ingest {
        Ingest::new(Network::new(Store::new(StoreOptions::default())).1)
    }

    fn seen(ingest: &mut Ingest, id: &str, now: Timestamp) {
        let event = discovery::Event::SourceSeen { source: id.into(), source_type: "ROUTER".into() };
        ingest.event(&event, now);
    }

    fn report(ingest: &mut Ingest, source: &str, updates: &[UpdateBuf], now: Timestamp) {
        let message = Encoder::new(Dialect::Router).records("mc/sfe.a:0", 1, updates);
        let Ok(Body::Records(updates)) = Message::decode(&message).map(|message| message.body) else {
            panic!("it was encoded as records")
        };
        ingest.records(source, updates, now);
    }

    fn update(kind: RecordKind, id: &str) -> UpdateBuf {
        UpdateBuf::new(kind, id).with(Attribute::StartTime, 1)
    }

    /// The records that live.
    fn live(ingest: &Ingest) -> Vec<String> {
        let snapshot = ingest.publisher.write().snapshot();
        let mut ids: Vec<_> = snapshot
            .records()
            .filter(|record| record.is_live())
            .map(|record| record.id().to_string())
            .collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn one_record_that_cannot_be_read_costs_its_neighbours_nothing() {
        // faults 17
        let mut ingest = ingest();
        seen(&mut ingest, "a:0", NOW);
        let nameless = UpdateBuf { id: String::new(), ..update(RecordKind::Link, "") };
        let updates = [update(RecordKind::Link, "a:1"), nameless, update(RecordKind::Link, "a:2")];
        report(&mut ingest, "a:0", &updates, NOW);
        assert_eq!(live(&ingest), ["a:1", "a:2"]);
        assert!(ingest.refused.is_over(), "it was reported");
    }

    #[test]
    fn what_a_source_reports_of_records_of_another_is_refused_and_said() {
        // faults 24
        let mut ingest = ingest();
        seen(&mut ingest, "a:0", NOW);
        seen(&mut ingest, "e:0", NOW);
        report(&mut ingest, "a:0", &[update(RecordKind::Link, "a:1")], NOW);
        assert!(!ingest.foreign.is_over());
        let end = update(RecordKind::Link, "a:1").with(Attribute::EndTime, NOW);
        report(&mut ingest, "e:0", &[end, update(RecordKind::Link, "e:1")], NOW);
        assert_eq!(live(&ingest), ["a:1", "e:1"]);
        assert!(ingest.foreign.is_over(), "it was said");
        assert_eq!(ingest.publisher.write().oddities().count(Oddity::Foreign), 1);
    }

    #[test]
    fn a_message_with_more_records_than_are_merged_at_a_time_is_merged_whole() {
        let mut ingest = ingest();
        seen(&mut ingest, "a:0", NOW);
        let updates: Vec<_> =
            (0..2 * UPDATES + 1).map(|number| update(RecordKind::Link, &format!("a:{number}"))).collect();
        report(&mut ingest, "a:0", &updates, NOW);
        assert_eq!(live(&ingest).len(), 2 * UPDATES + 1);
    }

    #[test]
    fn records_of_a_source_that_nobody_announced_are_passed_over() {
        let mut ingest = ingest();
        report(&mut ingest, "a:0", &[update(RecordKind::Link, "a:1")], NOW);
        assert_eq!(live(&ingest), [""; 0]);
    }

    #[test]
    fn what_is_known_by_halves_is_said_once_and_again_when_it_is_whole() {
        // faults 1
        let mut ingest = ingest();
        ingest.attached("a router", NOW);
        seen(&mut ingest, "a:0", NOW);
        report(
            &mut ingest,
            "a:0",
            &[UpdateBuf::new(RecordKind::Link, "a:1").with(Attribute::Octets, 7)],
            NOW,
        );
        assert_eq!(ingest.tick(after(1)), [("a:0".into(), true)]);
        assert_eq!(ingest.tick(after(2)), []);
        assert!(!ingest.publisher.network().status().borrow().flushed);
        let whole = [update(RecordKind::Router, "a:0"), update(RecordKind::Link, "a:1")];
        report(&mut ingest, "a:0", &whole, after(2));
        assert_eq!(ingest.tick(after(3)), [("a:0".into(), false)]);
        assert!(ingest.publisher.network().status().borrow().flushed);
    }

    #[test]
    fn the_collector_is_ready_when_all_sources_answered_or_had_the_time_to() {
        let mut ingest = ingest();
        ingest.tick(NOW);
        assert_eq!(ingest.publisher.network().status().borrow().detail, "starting");
        ingest.attached("amqp://r:5672", NOW);
        ingest.tick(after(29));
        assert!(ingest.publisher.network().status().borrow().attached);
        assert!(!ingest.publisher.network().status().borrow().flushed, "nobody was seen yet");
        ingest.tick(after(30));
        assert!(ingest.publisher.network().status().borrow().flushed);
        ingest.detached("amqp://r:5672", "connection refused");
        ingest.tick(after(31));
        let status = ingest.publisher.network().status().borrow().clone();
        assert!(!status.attached && !status.flushed);
        assert_eq!(status.detail, "not attached to amqp://r:5672: connection refused");
    }

    #[test]
    fn what_is_announced_and_not_heard_yet_is_waited_for_though_others_have_answered() {
        let answered = || {
            let mut ingest = ingest();
            ingest.attached("a router", NOW);
            seen(&mut ingest, "a:0", NOW);
            report(&mut ingest, "a:0", &[update(RecordKind::Router, "a:0")], NOW);
            ingest
        };
        let is_flushed = |ingest: &mut Ingest, on_trial, seconds| {
            ingest.tried(on_trial);
            ingest.tick(after(seconds));
            ingest.publisher.network().status().borrow().flushed
        };
        let mut ingest = answered();
        assert!(is_flushed(&mut ingest, 0, 1));
        let mut ingest = answered();
        assert!(!is_flushed(&mut ingest, 3, 1));
        assert!(!is_flushed(&mut ingest, 1, 29));
        assert!(is_flushed(&mut ingest, 1, 30), "for ever it is not, since anybody can announce");
    }

    #[test]
    fn a_batch_that_changed_nothing_wakes_nobody() {
        let mut ingest = ingest();
        let mut network = ingest.publisher.network();
        seen(&mut ingest, "a:0", NOW);
        ingest.publish();
        assert!(network.changed().now_or_never().is_none());
        report(&mut ingest, "a:0", &[update(RecordKind::Link, "a:1")], NOW);
        ingest.publish();
        assert_eq!(network.changed().now_or_never(), Some(true));
    }

    #[tokio::test]
    async fn a_replay_measures_in_the_time_of_the_capture() {
        let (network, publisher) = Network::new(Store::new(StoreOptions::default()));
        let mut options = vanflow_api::ApiOptions::default();
        options.history = Some(vanflow_history::HistoryOptions::default());
        let api = Api::new(network, options);
        let every = Some(Duration::from_secs(5));
        let mut replayed = Replayed::new(Ingest::new(publisher), &[], Speed::Max, api.clone(), every);
        replayed.begin(NOW);
        for second in 0..=12 {
            let beat = vanflow_proto::Heartbeat { id: "a:0", now: after(second) };
            let message = Encoder::new(Dialect::Router).heartbeat("mc/sfe.a:0", 1, &beat);
            replayed.hear(&Captured { micros: 0, link: "mc/sfe.a:0".into(), message }, after(second));
            replayed.tick(after(second));
        }
        // Silence measures nothing, however long it is.
        (13..100).for_each(|second| replayed.tick(after(second)));
        replayed.ended();
        let seconds = NOW.as_micros() / 1_000_000;
        let path = format!(
            "/prometheus/api/v1/query?query=timestamp(vanflow_collector_ready)&time={}",
            seconds + 100
        );
        let asked = |path: &str| http::Request::get(path).body(()).expect("a request").into_parts().0;
        let answer = api.respond(&asked(&path)).into_body();
        let answer = http_body_util::BodyExt::collect(answer).await.expect("it is read").to_bytes();
        let answer: serde_json::Value = serde_json::from_slice(&answer).expect("JSON");
        // What was heard last, at 12 s, is measured when it is time to.
        assert_eq!(answer["data"]["result"][0]["value"][1], (seconds + 15).to_string(), "{answer}");
    }
}
