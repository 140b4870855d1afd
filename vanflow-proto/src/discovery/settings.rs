//! How long discovery waits for what.

/// How long to wait for what. All in microseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// A source that was not seen for so long is lost.
    pub silence: u64,
    /// The first FLUSH waits no longer than this for a message on the source's own address.
    pub first_flush: u64,
    /// The shortest wait between two FLUSHes, and before a refused link is tried again. Doubles from try to try.
    pub shortest_retry: u64,
    /// The longest such wait.
    pub longest_retry: u64,
    /// A FLUSH of which nothing was heard for so long is lost.
    pub outcome: u64,
    /// From the answer to a FLUSH to [`Event::Settled`](super::Event::Settled).
    pub grace: u64,
    /// A pause between two HEARTBEATs of a source that is at least this long means that something may have been missed.
    pub gap: u64,
    /// A router that answers and repeats no flow for so long has none.
    pub flows: u64,
    /// More sources than this are not followed.
    pub sources: usize,
    /// So many sources that were announced and not heard are followed at once; others are put on trial first.
    pub unheard: usize,
    /// So many are on trial at a time.
    pub trials: usize,
    /// For how long a source is on trial: it is not there if nothing is heard of it in that time.
    pub trial: u64,
}

pub(super) const SECOND: u64 = 1_000_000;

impl Default for Settings {
    fn default() -> Self {
        Self {
            silence: 30 * SECOND,
            first_flush: 5 * SECOND,
            shortest_retry: 2 * SECOND,
            longest_retry: 60 * SECOND,
            outcome: 30 * SECOND,
            grace: 10 * SECOND,
            // The third HEARTBEAT after the last one would have come after 6 s, the fourth comes after 8.
            gap: 7 * SECOND,
            flows: 60 * SECOND,
            sources: 10_000,
            unheard: 64,
            trials: 448,
            trial: 10 * SECOND,
        }
    }
}
