//! What happened on the network: a time line of links, routers, sites, sources, services, processes, and of what routers
//! warn of.
//!
//! No source reports events. They are worked out by a [`Recorder`], which looks at snapshots one after the other: a pure
//! state machine, whose time is that of the snapshots. It looks at the records that changed since the last one, at the
//! sources, and at what lanes came to; never at connections. A [`Timeline`] keeps what came of it.
//!
//! What was there already is no event: what the first snapshot has, and what sources then report that they have had
//! before. [`moment`] says when that is over.

mod event;
mod links;
mod list;
mod logs;
mod moment;
mod processes;
mod query;
mod recorder;
mod routers;
mod services;
mod sites;
mod sources;
#[cfg(test)]
mod tests;
mod timeline;
mod wording;

use std::sync::{Arc, Mutex, PoisonError};

pub use timeline::EventsOptions;

pub(crate) use list::{described, filters, filters_described, list_described, render};
pub(crate) use query::{PARAMETERS, Query, parameter_described};

use event::Event;

use crate::network::Network;
use recorder::Recorder;

/// The events of a network.
#[derive(Debug)]
pub(crate) struct Events {
    network: Network,
    recorder: Mutex<Recorder>,
}

/// The events that were kept at some moment.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    /// By ascending number.
    pub(crate) events: Vec<Arc<Event>>,
    /// How many were left out since there were too many at once.
    pub(crate) dropped: u64,
    /// Other than before whenever the rest is.
    pub(crate) revision: u64,
}

impl Events {
    pub(crate) fn new(network: Network, options: EventsOptions) -> Self {
        Self { network, recorder: Mutex::new(Recorder::new(options)) }
    }

    /// Records what happened since the last time.
    pub(crate) fn observe(&self) {
        self.observed(|_| ());
    }

    /// All that is kept, what happened by now among it.
    pub(crate) fn kept(&self) -> Kept {
        self.observed(|recorder| {
            let timeline = recorder.timeline();
            Kept {
                events: timeline.events().cloned().collect(),
                dropped: timeline.dropped(),
                revision: timeline.revision(),
            }
        })
    }

    fn observed<T>(&self, then: impl FnOnce(&Recorder) -> T) -> T {
        let mut recorder = self.recorder.lock().unwrap_or_else(PoisonError::into_inner);
        // Taken under the lock of the recorder, so that it never looks at an older one after a newer.
        recorder.observe(&self.network.snapshot());
        then(&recorder)
    }
}
