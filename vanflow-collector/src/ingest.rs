//! From what is heard to the store.
//!
//! There is one writer. It takes the store's lock for a message at a time, and for no more than a thousand updates
//! should a message have more, so that readers who want a snapshot get one within a millisecond. It never waits for
//! them: what cannot be merged in time waits at the router, as its credit runs out (faults 18).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;
use tracing::{debug, info, warn};
use vanflow_api::Status;
use vanflow_proto::{
    BEACON_ADDRESS, Body, Message, SourceType, Timestamp, Updates,
    capture::Captured,
    discovery::{self, Discovery, Output},
};
use vanflow_store::{Revision, SourceId, Store};

use crate::{config::Speed, occasion::Occasion, replay::Listener, state::Restored};

/// Updates that are merged before the lock is given back.
const UPDATES: usize = 1000;

/// How long after attaching a source whose records were restored has to be heard of, in microseconds (faults 4).
const HEARD_WITHIN: u64 = 30_000_000;

/// How long after attaching the collector counts as ready at the latest, in microseconds: by then every source that
/// it knows was asked for all of its records, though some answers may have been lost (faults 1).
const READY_WITHIN: u64 = 30_000_000;

/// Merges what is heard into a store, and tells who waits for it.
#[derive(Debug)]
pub(crate) struct Ingest {
    store: Arc<Mutex<Store>>,
    revision: watch::Sender<Revision>,
    status: watch::Sender<Status>,
    sources: HashMap<Arc<str>, Known>,
    /// Sources that are known from the state alone.
    restored: HashMap<String, Restored>,
    /// Since when there is a connection to a router.
    attached: Option<Timestamp>,
    garbled: Occasion,
}

#[derive(Debug)]
struct Known {
    id: SourceId,
    is_alive: bool,
    is_incomplete: bool,
}

impl Ingest {
    /// An ingest into that store, which came back with the records of these sources.
    pub(crate) fn new(store: Arc<Mutex<Store>>, restored: Vec<Restored>) -> Self {
        let revision = store.lock().unwrap_or_else(PoisonError::into_inner).revision();
        let mut status = Status::default();
        status.detail = "starting".into();
        Self {
            store,
            revision: watch::Sender::new(revision),
            status: watch::Sender::new(status),
            sources: HashMap::new(),
            restored: restored.into_iter().map(|source| (source.id.clone(), source)).collect(),
            attached: None,
            garbled: Occasion::default(),
        }
    }

    /// Told of every new revision of the store, once per batch.
    pub(crate) fn revision(&self) -> watch::Receiver<Revision> {
        self.revision.subscribe()
    }

    /// Told of how the collector is doing.
    pub(crate) fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// There is a connection to `whom`.
    pub(crate) fn attached(&mut self, whom: &str, now: Timestamp) {
        info!("attached to {whom}");
        self.attached = Some(now);
        self.tell(|status| {
            status.attached = true;
            status.detail = format!("attached to {whom}, asking its network for records");
        });
    }

    /// There is no connection, for that reason.
    pub(crate) fn detached(&mut self, whom: &str, why: &str) {
        if self.attached.take().is_some() || self.status.borrow().detail == "starting" {
            warn!("not attached to {whom}: {why}; trying again");
        } else {
            debug!("not attached to {whom}: {why}; trying again");
        }
        self.tell(|status| {
            status.attached = false;
            status.flushed = false;
            status.detail = format!("not attached to {whom}: {why}");
        });
    }

    /// Something is known of a source.
    pub(crate) fn event(&mut self, event: &discovery::Event, now: Timestamp) {
        use discovery::Event::*;
        match event {
            SourceSeen { source, source_type } => {
                let mut store = lock(&self.store);
                let id = store.source_seen(source, SourceType::from_name(source_type), now);
                if self.restored.remove(&**source).is_some() {
                    store.source_reattached(id, now);
                }
                drop(store);
                debug!("{source_type} {source} is there");
                self.sources.insert(source.clone(), Known { id, is_alive: true, is_incomplete: false });
            }
            SourceRestarted { source } => {
                info!("{source} restarted");
                self.with(source, |store, id| store.source_restarted(id, now));
            }
            EpochStarted { source } => self.with(source, |store, id| store.source_reattached(id, now)),
            SourceLost { source, last_heard } => {
                info!("{source} is gone, or cannot be heard any more");
                self.with(source, |store, id| store.source_lost(id, *last_heard, now));
                if let Some(known) = self.sources.get_mut(source) {
                    known.is_alive = false;
                }
            }
            // The store finds out by itself when a source has repeated what it has.
            _ => {}
        }
    }

    /// A source sent a message.
    pub(crate) fn message(&mut self, source: &str, message: &Message<'_>, now: Timestamp) {
        match &message.body {
            Body::Heartbeat(heartbeat) => {
                self.with(source, |store, id| store.heartbeat(id, heartbeat.now, now));
            }
            Body::Records(updates) => self.records(source, updates.clone(), now),
            _ => {}
        }
    }

    /// A message could not be read.
    pub(crate) fn garbled(&mut self, link: &str, error: &dyn std::error::Error) {
        if let Some(times) = self.garbled.arises() {
            warn!("passed over {times} messages or records that cannot be read; the last by {link}: {error}");
        }
    }

    fn records(&mut self, source: &str, mut updates: Updates<'_>, now: Timestamp) {
        let Some(&Known { id, .. }) = self.sources.get(source) else { return };
        loop {
            let mut garbled = None;
            let mut store = lock(&self.store);
            for _ in 0..UPDATES {
                match updates.next() {
                    Some(Ok(update)) => store.apply(id, &update, now),
                    Some(Err(error)) => {
                        garbled = Some(error);
                        break;
                    }
                    None => return,
                }
            }
            drop(store);
            if let Some(error) = garbled {
                self.garbled(source, &error);
            }
        }
    }

    /// Time passed: about a second of it. Answers the sources whose records are known by halves now and were not
    /// before, and those where it is the other way round.
    pub(crate) fn tick(&mut self, now: Timestamp) -> Vec<(Arc<str>, bool)> {
        while lock(&self.store).advance(now) {}
        let attached_for = self.attached.map(|attached| now.micros_since(attached));
        if attached_for.is_some_and(|micros| micros >= HEARD_WITHIN) {
            for (_, Restored { source, id, last_heard }) in self.restored.drain() {
                info!("{id} was not heard of since the collector started: its records end");
                lock(&self.store).source_lost(source, last_heard, now);
            }
        }
        let mut changed = Vec::new();
        let mut is_whole = true;
        for (id, known) in self.sources.iter_mut().filter(|(_, known)| known.is_alive) {
            let is_incomplete = lock(&self.store).is_incomplete(known.id);
            if known.is_incomplete != is_incomplete {
                known.is_incomplete = is_incomplete;
                changed.push((id.clone(), is_incomplete));
            }
            is_whole &= !is_incomplete;
        }
        let is_ready = !self.sources.is_empty() && is_whole;
        if attached_for.is_some_and(|micros| is_ready || micros >= READY_WITHIN) {
            self.tell(|status| status.flushed = true);
        }
        changed
    }

    /// Wakes those who wait for changes, if there are any.
    pub(crate) fn publish(&self) {
        let revision = lock(&self.store).revision();
        self.revision.send_if_modified(|known| std::mem::replace(known, revision) != revision);
    }

    /// Changes the status, and tells those who wait for it if that made a difference.
    pub(crate) fn tell(&self, change: impl FnOnce(&mut Status)) {
        self.status.send_if_modified(|status| {
            let before = status.clone();
            change(status);
            *status != before
        });
    }

    fn with(&self, source: &str, change: impl FnOnce(&mut Store, SourceId)) {
        if let Some(known) = self.sources.get(source) {
            change(&mut lock(&self.store), known.id);
        }
    }
}

/// Hears a capture replayed: finds out about sources as the connection to a router does, but in the capture's time.
pub(crate) struct Replayed {
    ingest: Ingest,
    discovery: Discovery,
    /// Whose addresses links are.
    links: HashMap<String, Arc<str>>,
    speed: Speed,
}

impl Replayed {
    pub(crate) fn new(ingest: Ingest, speed: Speed) -> Self {
        // Nothing is sent, so there is nothing to keep out of step with others.
        let discovery = Discovery::new(discovery::Settings::default(), 0);
        Self { ingest, discovery, links: HashMap::new(), speed }
    }

    /// The capture is at its end. What was not answered by then never will be.
    pub(crate) fn ended(&self) {
        self.ingest.tell(|status| {
            status.attached = true;
            status.flushed = true;
            status.detail = "replayed a capture to its end".into();
        });
    }

    fn follow(&mut self, now: Timestamp) {
        while let Some(output) = self.discovery.next_output() {
            // Whoever made the capture has done what was to be done.
            if let Output::Event(event) = output {
                self.ingest.event(&event, now);
            }
        }
    }
}

impl Listener for Replayed {
    fn begin(&mut self, now: Timestamp) {
        self.discovery.attached(now);
        self.ingest.tell(|status| {
            status.attached = true;
            // What is replayed at once is ready when it is at its end, and no sooner.
            status.flushed = self.speed != Speed::Max;
            status.detail = format!("replaying a capture {}", self.speed);
        });
    }

    fn hear(&mut self, message: &Captured, now: Timestamp) {
        let Captured { link, message, .. } = message;
        match Message::decode(message) {
            Ok(message) => {
                if let (Body::Beacon(beacon), BEACON_ADDRESS) = (&message.body, &**link) {
                    self.links.entry(beacon.address.to_owned()).or_insert_with(|| beacon.id.into());
                }
                self.discovery.message(now, link, &message);
                self.follow(now);
                // Links have the address of a source, or one with a suffix.
                let source = self.links.get(link).or_else(|| self.links.get(link.rsplit_once('.')?.0));
                if let Some(source) = source {
                    self.ingest.message(&source.clone(), &message, now);
                }
            }
            Err(error) => self.ingest.garbled(link, &error),
        }
        self.ingest.publish();
    }

    fn tick(&mut self, now: Timestamp) {
        self.discovery.advance(now);
        self.follow(now);
        for (source, is_incomplete) in self.ingest.tick(now) {
            self.discovery.incomplete(now, &source, is_incomplete);
        }
        self.ingest.publish();
    }
}

/// A thread that panicked with the lock in its hand is no reason for all others to stop.
fn lock(store: &Mutex<Store>) -> MutexGuard<'_, Store> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}
