//! What is known of the sources of records.

use std::sync::Arc;

use vanflow_proto::{SourceType, Timestamp};

/// Stands for a source within one store, until it is forgotten: once it is lost, the retention has passed since, and
/// none of its records is left. Then it may stand for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(pub(crate) u32);

impl SourceId {
    pub(crate) const NONE: Self = Self(u32::MAX);
}

/// A router stops making flow records when it has this many live ones (faults 15).
pub(crate) const ROUTER_FLOW_LIMIT: u32 = 5000;

#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) id: Arc<str>,
    pub(crate) source_type: OwnedSourceType,
    pub(crate) is_alive: bool,
    /// Whether nothing is left of it, and this only holds a place for another.
    pub(crate) is_forgotten: bool,
    pub(crate) first_heard: Timestamp,
    pub(crate) last_heard: Timestamp,
    /// What has to be added to our clock to get the source's, in microseconds.
    pub(crate) clock_offset: i64,
    /// Grows each time that something may have been missed, and the source is asked for all that lives.
    pub(crate) epoch: u16,
    /// Whether it has not answered in this epoch.
    pub(crate) is_awaited: bool,
    /// Whether it has repeated what it has, so that others had time to do so too.
    pub(crate) is_settled: bool,
    /// Records of its own, live and ended.
    pub(crate) retained: u32,
    /// Live records that it reported.
    pub(crate) live: u32,
    /// Those of them that are flows.
    pub(crate) live_flows: u32,
    /// Those of them that are known only by what changed since they started.
    pub(crate) halves: u32,
    /// Updates that it sent.
    pub(crate) updates: u64,
    /// The memory that its records are charged with, in octets; see [`Standing`](crate::graph::Standing).
    pub(crate) octets: usize,
    /// The same of those that live.
    pub(crate) live_octets: usize,
    /// New records of it that were refused for want of room (faults 30).
    pub(crate) refused: u64,
    /// When the first of them was refused that it has not repeated since, and when the last.
    pub(crate) refused_between: Option<(Timestamp, Timestamp)>,
    /// When this epoch started.
    pub(crate) epoch_since: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OwnedSourceType {
    Router,
    Controller,
    Collector,
    Other(Arc<str>),
}

impl OwnedSourceType {
    pub(crate) fn new(source_type: SourceType<'_>) -> Self {
        match source_type {
            SourceType::Router => Self::Router,
            SourceType::Controller => Self::Controller,
            SourceType::Collector => Self::Collector,
            SourceType::Other(name) => Self::Other(name.into()),
        }
    }

    fn borrow(&self) -> SourceType<'_> {
        match self {
            Self::Router => SourceType::Router,
            Self::Controller => SourceType::Controller,
            Self::Collector => SourceType::Collector,
            Self::Other(name) => SourceType::Other(name),
        }
    }
}

impl Source {
    pub(crate) fn new(id: &str, source_type: SourceType<'_>, now: Timestamp) -> Self {
        Self {
            id: id.into(),
            source_type: OwnedSourceType::new(source_type),
            is_alive: true,
            is_forgotten: false,
            first_heard: now,
            last_heard: now,
            clock_offset: 0,
            epoch: 0,
            is_awaited: false,
            is_settled: false,
            retained: 0,
            live: 0,
            live_flows: 0,
            halves: 0,
            updates: 0,
            octets: 0,
            live_octets: 0,
            refused: 0,
            refused_between: None,
            epoch_since: now,
        }
    }

    /// A place for another source.
    pub(crate) fn forgotten() -> Self {
        let new = Self::new("", SourceType::Other(""), Timestamp::default());
        Self { is_alive: false, is_forgotten: true, ..new }
    }

    /// What the source's clock shows when ours shows `now`.
    pub(crate) fn clock(&self, now: Timestamp) -> Timestamp {
        Timestamp::from_micros(now.as_micros().saturating_add_signed(self.clock_offset))
    }
}

/// A source as a [`Snapshot`](crate::Snapshot) sees it.
#[derive(Clone, Copy, Debug)]
pub struct SourceState<'s> {
    pub(crate) source: &'s Source,
    pub(crate) is_incomplete: bool,
}

impl<'s> SourceState<'s> {
    /// The source's identity: a router's is that of its ROUTER record, a controller's that of its site.
    pub fn id(&self) -> &'s str {
        &self.source.id
    }

    /// What it is.
    pub fn source_type(&self) -> SourceType<'s> {
        self.source.source_type.borrow()
    }

    /// Whether it is seen.
    pub fn is_alive(&self) -> bool {
        self.source.is_alive
    }

    /// When it was seen first, by our clock.
    pub fn first_heard(&self) -> Timestamp {
        self.source.first_heard
    }

    /// When it was seen last, by our clock.
    pub fn last_heard(&self) -> Timestamp {
        self.source.last_heard
    }

    /// Whether some of its records are known by halves only, or a router's own record is missing (faults 1).
    pub fn is_incomplete(&self) -> bool {
        self.is_incomplete
    }

    /// Whether it has so many live flows that it makes no records of further ones (faults 15).
    pub fn lacks_flows(&self) -> bool {
        self.source.source_type == OwnedSourceType::Router && self.source.live_flows >= ROUTER_FLOW_LIMIT
    }

    /// How many of its records live.
    pub fn live_records(&self) -> u32 {
        self.source.live
    }

    /// How many updates it sent.
    pub fn updates(&self) -> u64 {
        self.source.updates
    }

    /// How many new records of it were refused, because there was no room for more of it (faults 30).
    pub fn refused_records(&self) -> u64 {
        self.source.refused
    }

    /// Since when records of it are missing that were refused; none where it has repeated all since.
    pub fn refused_since(&self) -> Option<Timestamp> {
        self.source.refused_between.map(|(first, _)| first)
    }

    /// An estimate of the memory that its records take, in octets, without what they share with those of others.
    pub fn octets(&self) -> usize {
        self.source.octets
    }

    /// What has to be added to our clock to get the source's, in microseconds.
    pub fn clock_offset_micros(&self) -> i64 {
        self.source.clock_offset
    }
}
