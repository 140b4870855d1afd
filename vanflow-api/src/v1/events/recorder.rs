//! What happened between one snapshot and the next.

use std::sync::Arc;

use vanflow_proto::{RecordKind, Timestamp};
use vanflow_store::{Record, Revision, Snapshot};

use crate::v1::events::{
    event::Event,
    links::Links,
    logs::Logs,
    moment::Beginning,
    processes::Processes,
    routers::Routers,
    services::Services,
    sites::Sites,
    sources::Sources,
    timeline::{EventsOptions, Timeline},
};

/// How often what is not there any more is forgotten, in microseconds.
const SWEEP_EVERY: u64 = 60_000_000;

/// Looks at snapshots one after the other, and records what happened in between.
#[derive(Debug)]
pub(crate) struct Recorder {
    timeline: Timeline,
    beginning: Beginning,
    /// Nothing is recorded where nothing would be kept.
    is_off: bool,
    /// What changed after that has not been looked at.
    until: Revision,
    swept: Timestamp,
    sources: Sources,
    sites: Sites,
    routers: Routers,
    links: Links,
    services: Services,
    processes: Processes,
    logs: Logs,
}

impl Recorder {
    pub(crate) fn new(options: EventsOptions) -> Self {
        Self {
            timeline: Timeline::new(options),
            beginning: Beginning::default(),
            is_off: options.most == 0,
            until: Revision::default(),
            swept: Timestamp::default(),
            sources: Sources::default(),
            sites: Sites::default(),
            routers: Routers::default(),
            links: Links::default(),
            services: Services::default(),
            processes: Processes::default(),
            logs: Logs::default(),
        }
    }

    pub(crate) fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// Takes back what was recorded before this process began.
    pub(crate) fn recall(
        &mut self,
        events: impl IntoIterator<Item = Arc<Event>>,
        last_number: u64,
        since: Timestamp,
    ) {
        if !self.is_off {
            self.timeline.recall(events, last_number, since);
        }
    }

    /// Looks at a snapshot that is not older than the last one.
    ///
    /// Costs what there is of sources, services and lanes, and of records beside connections and requests; of these
    /// only those that changed are looked at closely.
    pub(crate) fn observe(&mut self, snapshot: &Snapshot) {
        if self.is_off {
            return;
        }
        let Some(moment) = self.beginning.moment(snapshot) else { return };
        let timeline = &mut self.timeline;
        timeline.advance(moment.now);
        self.sources.observe(&moment, timeline);
        for record in changed(snapshot, self.until) {
            match record.kind() {
                Some(RecordKind::Site) => self.sites.observe(record, &moment, timeline),
                Some(RecordKind::Router) => self.routers.observe(record, &moment, timeline),
                Some(RecordKind::Link) => self.links.observe(record, &moment, timeline),
                Some(RecordKind::Process) => self.processes.observe(record, &moment, timeline),
                Some(RecordKind::Log) => self.logs.observe(record, &moment, timeline),
                _ => {}
            }
        }
        self.until = snapshot.revision();
        self.routers.conclude(&moment, timeline);
        self.links.conclude(&moment, timeline);
        self.processes.conclude(&moment);
        self.logs.conclude(&moment);
        self.services.observe(&moment, timeline);
        if moment.now.micros_since(self.swept) >= SWEEP_EVERY {
            self.swept = moment.now;
            self.sites.sweep(snapshot);
            self.routers.sweep(&moment);
            self.links.sweep(&moment);
            self.processes.sweep(snapshot);
        }
    }
}

/// The records beside connections and requests that changed after that revision, in the order in which they did.
fn changed(snapshot: &Snapshot, after: Revision) -> Vec<Record<'_>> {
    if snapshot.revision() == after {
        return Vec::new();
    }
    let mut changed: Vec<_> = snapshot.entities().filter(|record| record.revision() > after).collect();
    changed.sort_unstable_by_key(|record| record.revision());
    changed
}
