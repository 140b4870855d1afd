//! Who was not answered as they asked, and who was not let in, counted by why: what an attack looks like from within.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{
    exposition::{Gathered, SampleValue},
    labels::LabelSet,
    table::Name,
};

/// Reasons, each with the name that it has in metrics, and a count for each.
macro_rules! reasons {
    ($(#[$doc:meta])* $kind:ident { $($(#[$each_doc:meta])* $reason:ident $name:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $kind {
            $($(#[$each_doc])* $reason,)+
        }

        impl $kind {
            /// All of them, in their order.
            pub const ALL: &[Self] = &[$(Self::$reason,)+];

            /// What metrics call it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$reason => $name,)+
                }
            }
        }
    };
}

reasons! {
    /// Why a request or a connection was turned away.
    TurnedAway {
        /// All connections are taken, or all of the client's: 503.
        Connections "connections",
        /// Its connection gave way to somebody else's.
        Room "room",
        /// It asked nothing for too long.
        Idle "idle",
        /// It took nothing of its answer for too long.
        Stalled "stalled",
        /// So many requests of the client are in progress by a proxy: 503.
        Requests "requests",
        /// All watches are taken, or all of the client's: 503.
        Watches "watches",
        /// Its answer did not begin in time: 503.
        Late "late",
        /// The collector is starting: 503.
        Starting "starting",
        /// It asked for a collector of another name: 421.
        Host "host",
        /// It was wrong too often: 429.
        Attempts "attempts",
        /// Too many log in at a time: 503.
        LogIns "log_ins",
    }
}

reasons! {
    /// What was wrong about somebody who wanted to be let in.
    FailedLogIn {
        /// The password of somebody who is known.
        Password "password",
        /// The name.
        User "user",
        /// The token.
        Token "token",
    }
}

/// How often each happened.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    turned_away: [AtomicU64; TurnedAway::ALL.len()],
    log_ins: [AtomicU64; FailedLogIn::ALL.len()],
}

impl Refusals {
    pub(super) fn turned_away(&self, why: TurnedAway) {
        self.turned_away[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn log_in_failed(&self, wrong: FailedLogIn) {
        self.log_ins[wrong as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// All of them from the start, since growth from nothing would not be seen.
    pub(super) fn gather(&self, labels: &LabelSet, gathered: &mut Gathered) {
        let mut add = |name, reason, count: &AtomicU64| {
            let labels = labels.with([("reason", reason)]);
            gathered.add(name, labels, SampleValue::Count(count.load(Ordering::Relaxed)));
        };
        for (why, count) in TurnedAway::ALL.iter().zip(&self.turned_away) {
            add(Name::TurnedAway, why.name(), count);
        }
        for (wrong, count) in FailedLogIn::ALL.iter().zip(&self.log_ins) {
            add(Name::LogInsFailed, wrong.name(), count);
        }
    }
}
