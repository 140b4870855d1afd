//! From discovery to the store: what is received of a network, merged.
//!
//! [`Discovery`] says what became of sources and whose a message is; a [`Follower`] does to a [`Store`] what follows
//! from that, and says what came of it. Events and records come from the connection to a router (`vanflow_proto::router`),
//! or from a [`Discovery`] of one's own, for a conversation that was recorded:
//!
//! ```
//! use vanflow_proto::{Beacon, Dialect, Encoder, Message, RecordKind, SourceType, Timestamp, UpdateBuf};
//! use vanflow_proto::discovery::{Discovery, Settings};
//! use vanflow_store::{Follower, StoreOptions, Store};
//!
//! let now = Timestamp::from_micros(1_795_347_888_000_000);
//! let router = Encoder::new(Dialect::Router);
//! let beacon = Beacon { source_type: SourceType::Router, id: "a:0", address: "mc/sfe.a:0", direct: "sfe.a:0" };
//! let recorded = [
//!     ("mc/sfe.all", router.beacon(0, &beacon)),
//!     ("mc/sfe.a:0", router.records("mc/sfe.a:0", 1, &[UpdateBuf::new(RecordKind::Router, "a:0")])),
//! ];
//!
//! let (mut store, mut follower) = (Store::new(StoreOptions::default()), Follower::new());
//! let mut discovery = Discovery::new(Settings::default(), 0);
//! discovery.attached(now);
//! for (link, bytes) in &recorded {
//!     follower.advance(&mut store, &mut discovery, now);
//!     follower.hear(&mut store, &mut discovery, link, &Message::decode(bytes)?, now);
//! }
//! assert!(store.snapshot().find("a:0").next().is_some());
//! # Ok::<(), vanflow_proto::DecodeError>(())
//! ```

use std::{collections::HashMap, sync::Arc};

use smallvec::SmallVec;
use vanflow_proto::{
    DecodeError, Message, RecordKind, SourceType, Timestamp, Update,
    discovery::{Action, Discovery, Event, FlushOutcome, Heard, Output},
};

use crate::{oddity::Oddity, source::SourceId, store::Store};

/// Takes what is received of a network to a store.
#[derive(Debug, Default)]
pub struct Follower {
    /// The sources that are there.
    sources: HashMap<Arc<str>, Followed>,
}

#[derive(Debug)]
struct Followed {
    id: SourceId,
    is_incomplete: bool,
}

/// What became of updates.
#[derive(Debug, Default)]
pub struct Merged {
    /// Updates of one kind in a row: those of a message are mostly alike.
    by_kind: SmallVec<[(Option<RecordKind>, u64); 2]>,
    refused: u64,
    foreign: u64,
    error: Option<DecodeError>,
}

impl Merged {
    /// How many updates of which kind were merged; a kind may stand here several times. Types that the table does not
    /// have are none.
    pub fn by_kind(&self) -> impl Iterator<Item = (Option<RecordKind>, u64)> {
        self.by_kind.iter().copied()
    }

    /// How many updates there were, merged and refused.
    pub fn total(&self) -> u64 {
        self.by_kind.iter().map(|(_, updates)| updates).sum::<u64>() + self.refused + self.foreign
    }

    /// How many updates could not be read.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Why the last of those could not be read.
    pub fn error(&self) -> Option<&DecodeError> {
        self.error.as_ref()
    }

    /// How many updates were refused, wholly or in part, since only another source may report that (faults 24).
    pub fn foreign(&self) -> u64 {
        self.foreign
    }

    fn count(&mut self, kind: Option<RecordKind>) {
        match self.by_kind.last_mut() {
            Some((last, updates)) if *last == kind => *updates += 1,
            _ => self.by_kind.push((kind, 1)),
        }
    }
}

impl Follower {
    /// A follower that knows of no source yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Something became of a source.
    pub fn event(&mut self, store: &mut Store, event: &Event, now: Timestamp) {
        match event {
            Event::SourceSeen { source, source_type } => {
                let id = store.source_seen(source, SourceType::from_name(source_type), now);
                self.sources.insert(Arc::clone(source), Followed { id, is_incomplete: false });
            }
            Event::SourceRestarted { source } => {
                self.with(store, source, |store, id| store.source_restarted(id, now))
            }
            Event::EpochStarted { source } => {
                // The store may know a source from before that was not seen yet.
                if let Some(id) = store.source_id(source) {
                    self.sources.entry(Arc::clone(source)).or_insert(Followed { id, is_incomplete: false });
                    store.epoch_started(id, now);
                }
            }
            Event::Answered { source } => {
                self.with(store, source, |store, id| store.source_answered(id, now))
            }
            Event::Settled { source, extent } => {
                self.with(store, source, |store, id| store.source_settled(id, *extent, now));
            }
            Event::SourceLost { source, last_heard } => {
                self.with(store, source, |store, id| store.source_lost(id, *last_heard, now));
                self.sources.remove(source);
            }
            // Of what there was not when this was written nothing follows here.
            _ => {}
        }
    }

    /// A source is alive, and its clock shows that time.
    pub fn heartbeat(&mut self, store: &mut Store, source: &str, clock: Timestamp, now: Timestamp) {
        self.with(store, source, |store, id| store.heartbeat(id, clock, now));
    }

    /// A source reported records: all of a message, or the next few of them. Those of an unknown source are passed over.
    pub fn records<'u>(
        &mut self,
        store: &mut Store,
        source: &str,
        updates: impl Iterator<Item = Result<Update<'u>, DecodeError>>,
        now: Timestamp,
    ) -> Merged {
        let mut merged = Merged::default();
        let Some(&Followed { id, .. }) = self.sources.get(source) else { return merged };
        for update in updates {
            match update {
                Ok(update) => {
                    let (kind, before) = (update.kind(), store.oddities().count(Oddity::Foreign));
                    store.apply(id, update, now);
                    if store.oddities().count(Oddity::Foreign) == before {
                        merged.count(kind);
                    } else {
                        merged.foreign += 1;
                    }
                }
                Err(error) => {
                    merged.refused += 1;
                    merged.error = Some(error);
                }
            }
        }
        merged
    }

    /// A message was received, and discovery has not heard it yet. For conversations that were recorded: what discovery
    /// asks for was done then, or was not.
    pub fn hear(
        &mut self,
        store: &mut Store,
        discovery: &mut Discovery,
        link: &str,
        message: &Message<'_>,
        now: Timestamp,
    ) -> Merged {
        let heard = discovery.hear(now, link, message);
        self.drain(store, discovery, now);
        match heard {
            Some(Heard::Heartbeat { source, clock }) => self.heartbeat(store, &source, clock, now),
            Some(Heard::Records { source, updates }) => return self.records(store, &source, updates, now),
            _ => {}
        }
        Merged::default()
    }

    /// Time passed. For conversations that were recorded, as [`hear`](Follower::hear).
    pub fn advance(&mut self, store: &mut Store, discovery: &mut Discovery, now: Timestamp) {
        while let Some(deadline) = discovery.next_deadline().filter(|deadline| *deadline <= now) {
            discovery.advance(deadline);
            self.drain(store, discovery, deadline);
        }
        while store.advance(now) {}
        for (source, is_incomplete) in self.incomplete(store) {
            discovery.incomplete(now, &source, is_incomplete);
        }
    }

    /// The sources whose records are known by halves now and were not before, and those where it is the other way round:
    /// to be said to discovery. To be called about once a second.
    pub fn incomplete(&mut self, store: &Store) -> Vec<(Arc<str>, bool)> {
        let mut changed = Vec::new();
        for (source, followed) in &mut self.sources {
            let is_incomplete = store.is_incomplete(followed.id);
            if std::mem::replace(&mut followed.is_incomplete, is_incomplete) != is_incomplete {
                changed.push((Arc::clone(source), is_incomplete));
            }
        }
        changed
    }

    /// Whether there are sources, and [`incomplete`](Follower::incomplete) found none of them incomplete.
    pub fn is_whole(&self) -> bool {
        !self.sources.is_empty() && self.sources.values().all(|followed| !followed.is_incomplete)
    }

    fn drain(&mut self, store: &mut Store, discovery: &mut Discovery, now: Timestamp) {
        while let Some(output) = discovery.next_output() {
            match output {
                Output::Event(event) => self.event(store, &event, now),
                Output::Action(Action::Flush { source, .. }) => {
                    discovery.flush_outcome(now, &source, FlushOutcome::Accepted);
                }
                Output::Action(_) => {}
            }
        }
    }

    fn with(&self, store: &mut Store, source: &str, change: impl FnOnce(&mut Store, SourceId)) {
        if let Some(followed) = self.sources.get(source) {
            change(store, followed.id);
        }
    }
}
