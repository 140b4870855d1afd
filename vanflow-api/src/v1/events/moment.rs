//! What is known of the moment at which a snapshot is looked at.
//!
//! When a collector comes to a network, all of it is reported anew, and none of that is an event. The *beginning* lasts
//! until the sources that there were have answered: until no source is incomplete, a quarter of a minute after the first was
//! seen; a minute at most. What started after the first snapshot is an event even then.

use vanflow_proto::Timestamp;
use vanflow_store::{Record, Snapshot};

const SECOND: u64 = 1_000_000;

/// How long the beginning lasts at least: by then every source has sent a beacon.
const BEGINNING: u64 = 15 * SECOND;

/// How long it lasts at most, whatever is incomplete.
const LONGEST_BEGINNING: u64 = 60 * SECOND;

/// What starts later than this after now, by our clock, has been told by a clock that is off.
const FUTURE: u64 = 5 * SECOND;

/// When the beginning is over.
#[derive(Debug, Default)]
pub(super) struct Beginning {
    /// The time of the first snapshot.
    began: Option<Timestamp>,
    /// When a source was seen first.
    first_source: Option<Timestamp>,
    is_over: bool,
}

/// A moment at which a snapshot is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment<'s> {
    pub(super) snapshot: &'s Snapshot,
    pub(super) now: Timestamp,
    /// The time of the first snapshot.
    pub(super) began: Timestamp,
    /// Whether the beginning is not over yet.
    pub(super) is_beginning: bool,
    /// Whether it is the first snapshot: what it has, and had, was there before.
    pub(super) is_first: bool,
}

impl Beginning {
    /// The moment of a snapshot. None for one of a store that has not been reported a time yet.
    pub(super) fn moment<'s>(&mut self, snapshot: &'s Snapshot) -> Option<Moment<'s>> {
        let now = snapshot.now();
        if now == Timestamp::default() {
            return None;
        }
        let is_first = self.began.is_none();
        let began = *self.began.get_or_insert(now);
        let mut alive = snapshot.sources().filter(|source| source.is_alive()).peekable();
        if self.first_source.is_none() && alive.peek().is_some() {
            self.first_source = Some(now);
        }
        if let Some(first) = self.first_source.filter(|_| !self.is_over) {
            let lasts = now.micros_since(first);
            let is_complete = lasts >= BEGINNING && !alive.any(|source| source.is_incomplete());
            self.is_over = is_complete || lasts >= LONGEST_BEGINNING;
        }
        Some(Moment { snapshot, now, began, is_beginning: !self.is_over, is_first })
    }
}

impl Moment<'_> {
    /// A time by the clock of the source of a record, by our clock, and not later than now.
    pub(super) fn ours(&self, record: Record<'_>, time: Timestamp) -> Timestamp {
        shifted(record, time).min(self.now)
    }

    /// The same of what can only have happened since the first snapshot.
    pub(super) fn since_began(&self, record: Record<'_>, time: Option<Timestamp>) -> Timestamp {
        time.map_or(self.now, |time| self.ours(record, time)).max(self.began)
    }

    /// Whether what a record is of started after the first snapshot. Of what starts in the future, by a clock of which it
    /// is not known yet how far it is off, that is not known either.
    pub(super) fn started_since(&self, record: Record<'_>) -> bool {
        let is_since = |start| start > self.began && start < self.now.plus_micros(FUTURE);
        !self.is_first && record.start().is_some_and(|start| is_since(shifted(record, start)))
    }

    /// Whether what a record is of, which was not there before, is new: not where it was there before we looked.
    pub(super) fn is_new(&self, record: Record<'_>) -> bool {
        self.started_since(record) || !self.is_beginning
    }
}

/// A time by the clock of the source of a record, by our clock.
fn shifted(record: Record<'_>, time: Timestamp) -> Timestamp {
    let offset = record.source().map_or(0, |source| source.clock_offset_micros());
    Timestamp::from_micros(time.as_micros().saturating_add_signed(offset.saturating_neg()))
}
