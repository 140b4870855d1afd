//! A store, and a clock.

use vanflow_proto::{Attribute, RecordKind, SourceType, Timestamp, UpdateBuf};
use vanflow_store::{Record, Snapshot, SourceId, Store, StoreOptions};

pub const SECOND: u64 = 1_000_000;

/// A store, and a clock that stands where it is put.
pub struct Network {
    pub store: Store,
    pub now: Timestamp,
}

impl Network {
    pub fn new() -> Self {
        Self::with(StoreOptions::default())
    }

    pub fn with(options: StoreOptions) -> Self {
        Self { store: Store::new(options), now: Timestamp::from_micros(1_795_347_888 * SECOND) }
    }

    /// A store that keeps ended records for that many seconds.
    pub fn with_retention(seconds: u64) -> Self {
        let mut options = StoreOptions::default();
        options.retention_micros = seconds * SECOND;
        Self::with(options)
    }

    pub fn router(&mut self, id: &str) -> SourceId {
        self.store.source_seen(id, SourceType::Router, self.now)
    }

    pub fn controller(&mut self, id: &str) -> SourceId {
        self.store.source_seen(id, SourceType::Controller, self.now)
    }

    pub fn report(&mut self, source: SourceId, updates: &[UpdateBuf]) {
        for update in updates {
            self.store.apply(source, update, self.now);
        }
    }

    /// Lets time pass, and everything happen that is due then.
    pub fn wait(&mut self, seconds: u64) {
        self.now = self.now.plus_micros(seconds * SECOND);
        while self.store.advance(self.now) {}
    }

    pub fn snapshot(&self) -> Snapshot {
        self.store.snapshot()
    }

    /// A record that lives since now.
    pub fn started(&self, kind: RecordKind, id: &str, parent: &str) -> UpdateBuf {
        let update = UpdateBuf::new(kind, id).with(Attribute::StartTime, self.now);
        if parent.is_empty() { update } else { update.with(Attribute::Parent, parent) }
    }

    /// A router at a site, with a listener for a service.
    pub fn west(&mut self) -> SourceId {
        let west = self.router("west:0");
        let updates = [
            self.started(RecordKind::Router, "west:0", "site-west").with(Attribute::Name, "0/west-1"),
            self.started(RecordKind::Listener, "west:1", "west:0")
                .with(Attribute::VanAddress, "echo")
                .with(Attribute::Protocol, "tcp"),
        ];
        self.report(west, &updates);
        west
    }

    /// A connector of `echo` in the site west.
    pub fn connector(&self, id: &str) -> UpdateBuf {
        self.started(RecordKind::Connector, id, "west:0")
            .with(Attribute::VanAddress, "echo")
            .with(Attribute::Protocol, "tcp")
    }

    pub fn connection(&self, id: &str) -> UpdateBuf {
        self.started(RecordKind::BiflowTport, id, "west:1").with(Attribute::SourceHost, "10.0.0.9")
    }
}

/// The change of a record that everybody knows.
pub fn change(kind: RecordKind, id: &str) -> UpdateBuf {
    UpdateBuf::new(kind, id)
}

pub fn live(snapshot: &Snapshot, kind: RecordKind) -> Vec<String> {
    ids(snapshot.of_kind(kind).filter(Record::is_live))
}

pub fn ids<'s>(records: impl Iterator<Item = Record<'s>>) -> Vec<String> {
    let mut ids: Vec<_> = records.map(|record| record.id().to_string()).collect();
    ids.sort();
    ids
}

pub fn find<'s>(snapshot: &'s Snapshot, id: &str) -> Record<'s> {
    snapshot.find(id).next().unwrap_or_else(|| panic!("there is no {id}"))
}
