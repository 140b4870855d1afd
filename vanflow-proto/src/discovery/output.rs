//! What discovery decides, and what it answers.

use std::sync::Arc;

use crate::{Timestamp, Updates};

/// What to do. Of use only to whoever holds the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Attach a receiver to that address. If it cannot be, or fails later, say [`Discovery::link_failed`](super::Discovery::link_failed).
    Listen {
        /// The address.
        address: Arc<str>,
    },
    /// Detach the receiver from that address.
    Leave {
        /// The address.
        address: Arc<str>,
    },
    /// Send FLUSH, and say [`Discovery::flush_outcome`](super::Discovery::flush_outcome).
    Flush {
        /// The identity of the source.
        source: Arc<str>,
        /// Its direct address.
        to: Arc<str>,
    },
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A source is there that was not, or not any more.
    SourceSeen {
        /// Its identity.
        source: Arc<str>,
        /// What it says it is; see [`SourceType::from_name`](crate::SourceType::from_name).
        source_type: Arc<str>,
    },
    /// The source has the same identity as before and is another: its records are those of a stranger.
    SourceRestarted {
        /// Its identity.
        source: Arc<str>,
    },
    /// Something may have been missed of a known source. It is asked to repeat everything; until
    /// [`Settled`](Event::Settled) nobody knows what is still there.
    EpochStarted {
        /// Its identity.
        source: Arc<str>,
    },
    /// The source has begun to answer, for the first time since it was seen or since the epoch started.
    Answered {
        /// Its identity.
        source: Arc<str>,
    },
    /// The source has repeated everything that it has, since it was seen or since the epoch started.
    Settled {
        /// Its identity.
        source: Arc<str>,
        /// What that goes for.
        extent: Extent,
    },
    /// The source is gone, or cannot be heard.
    SourceLost {
        /// Its identity.
        source: Arc<str>,
        /// When its last message was received.
        last_heard: Timestamp,
    },
}

/// A source of which records are known from before, for [`Discovery::restore`](super::Discovery::restore).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its identity.
    pub id: Arc<str>,
    /// What it said it was; see [`SourceType::from_name`](crate::SourceType::from_name).
    pub source_type: Arc<str>,
    /// When its last message was received.
    pub last_heard: Timestamp,
}

/// What a source has repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of its records.
    All,
    /// All but [flows](crate::RecordKind::is_flow): the answer on their address may have been lost.
    AllButFlows,
}

/// What a known source says on one of its own addresses.
///
/// What discovery makes of the message comes first: take [`Discovery::next_output`](super::Discovery::next_output) before this, so that nothing is
/// learned of an unknown source.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Heard<'m> {
    /// It is alive.
    Heartbeat {
        /// Its identity.
        source: Arc<str>,
        /// What its clock shows.
        clock: Timestamp,
    },
    /// Some of its records changed.
    Records {
        /// Its identity.
        source: Arc<str>,
        /// What changed.
        updates: Updates<'m>,
    },
}

/// What [`Discovery`](super::Discovery) has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// What to do.
    Action(Action),
    /// What happened.
    Event(Event),
}

/// What came of a FLUSH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlushOutcome {
    /// Somebody took it.
    Accepted,
    /// It was released or rejected, or its link was refused.
    Refused,
}
