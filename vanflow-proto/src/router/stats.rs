//! Counts of what happened.

use std::sync::atomic::{AtomicU64, Ordering};

/// What happened so far. Counts never fall, but for [`on_trial`](Self::on_trial).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Connections that came about; all but the first are reconnects.
    pub connections: u64,
    /// FLUSHes sent.
    pub flushes: u64,
    /// Those of them that followed one that nobody took, or that had no answer or half of one.
    pub flushes_retried: u64,
    /// FLUSHes that nobody took.
    pub flushes_refused: u64,
    /// Beacons that were passed over: too many sources, or an address that another source has.
    pub beacons_refused: u64,
    /// Messages of routers that did not come, as the ids of the others showed.
    pub lost: u64,
    /// Sources that were announced and of which nothing is known yet, now.
    pub on_trial: u64,
    /// Messages that were too large, or could not be read.
    pub refused: u64,
    /// Messages received on `mc/sfe.all`.
    pub on_all: u64,
    /// Messages received on sources' bare addresses.
    pub on_source: u64,
    /// Messages received on `.flows`.
    pub on_flows: u64,
    /// Messages received on `.logs`.
    pub on_logs: u64,
    /// Messages received on `.heartbeats`.
    pub on_heartbeats: u64,
    /// Octets of all those messages.
    pub octets: u64,
}

macro_rules! counters {
    ($($name:ident)+) => {
        #[derive(Debug, Default)]
        pub(super) struct Counters {
            $( pub(super) $name: AtomicU64, )+
        }

        impl Counters {
            pub(super) fn stats(&self) -> Stats {
                Stats { $( $name: self.$name.load(Ordering::Relaxed), )+ }
            }
        }
    };
}

counters! {
    connections flushes flushes_retried flushes_refused beacons_refused lost on_trial refused on_all on_source on_flows on_logs
    on_heartbeats octets
}
