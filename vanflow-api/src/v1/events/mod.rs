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
mod rows;
mod services;
mod sites;
mod sources;
#[cfg(test)]
mod tests;
mod timeline;
mod wording;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use vanflow_history::rows::{Row, Rows, UnreadableRows};
use vanflow_proto::Timestamp;

pub use timeline::EventsOptions;

pub(crate) use list::{described, filters, filters_described, list_described, render};
pub(crate) use query::{PARAMETERS, Query, parameter_described};
pub(crate) use rows::{NAME, table};

use event::Event;

use crate::network::Network;
use recorder::Recorder;
use rows::Recorded;

/// The events of a network.
#[derive(Debug)]
pub(crate) struct Events {
    network: Network,
    recorder: Mutex<Recorder>,
    /// What was taken back of a former process: whoever keeps events has those.
    recalled: Mutex<Recorded>,
}

/// Which events somebody has taken, by [`crate::Api::take_events`].
#[derive(Debug, Default)]
pub struct TakenEvents(Option<Recorded>);

/// The events that were kept at some moment.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    /// By ascending number.
    pub(crate) events: Vec<Arc<Event>>,
    /// How many were left out since there were too many at once.
    pub(crate) dropped: u64,
    /// Other than before whenever the rest is.
    pub(crate) revision: u64,
    /// What was over before that is not among them, or not all of it.
    whole_since: Timestamp,
    /// Since when there are any in the history that was looked at, in microseconds.
    pub(crate) since: Option<u64>,
}

impl Kept {
    /// Adds what a query asks for of a history, if it does; answers whether.
    ///
    /// # Errors
    ///
    /// Where it cannot be read.
    pub(crate) fn look_back(&mut self, rows: &dyn Rows, query: &Query) -> Result<bool, UnreadableRows> {
        self.since = rows.held(NAME).since;
        let Some((since, until)) = query.before(self.whole_since) else { return Ok(false) };
        let known: HashSet<_> = self.events.iter().map(|event| event.which()).collect();
        let past = rows::read(rows, since, until)?;
        self.events.extend(past.into_values().filter(|event| !known.contains(&event.which())));
        Ok(true)
    }
}

impl Events {
    pub(crate) fn new(network: Network, options: EventsOptions) -> Self {
        Self { network, recorder: Mutex::new(Recorder::new(options)), recalled: Mutex::default() }
    }

    /// Takes back what was recorded before this process began: what is not too old, and numbers that go on. Of a history that
    /// cannot be read nothing is taken back; nobody else is asked.
    pub(crate) fn recall(&self, rows: &dyn Rows) {
        let (rows, here_since) = (rows.here(), rows.here_since());
        let mut recorder = self.recorder.lock().unwrap_or_else(PoisonError::into_inner);
        let mut recalled = self.recalled.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(last_number) = rows::last_number(rows) else { return };
        let until = rows.inherited_until();
        let retention = recorder.timeline().retention().as_micros();
        let since = until.saturating_sub(u64::try_from(retention).unwrap_or(u64::MAX)).max(here_since);
        let Ok(events) = rows::read(rows, since, u64::MAX) else { return };
        events.values().for_each(|event| recalled.know(event));
        recorder.recall(events.into_values(), last_number, Timestamp::from_micros(since));
    }

    /// The rows of what happened or changed since this was called last, for one who keeps them.
    pub(crate) fn take_rows(&self, taken: &mut TakenEvents) -> Vec<Row> {
        self.observed(|recorder| {
            let timeline = recorder.timeline();
            let recalled = || self.recalled.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let recorded = taken.0.get_or_insert_with(recalled);
            recorded.rows(timeline.revision(), timeline.events(), timeline.now())
        })
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
                whole_since: timeline.whole_since(),
                since: None,
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
