//! Processes that start and end.
//!
//! Those of one component at one site that start, or end, within some seconds are one event, which counts them: nobody
//! wants a hundred lines of a roll-out.

use std::collections::HashMap;

use vanflow_proto::{Attribute, Timestamp};
use vanflow_store::{Record, Snapshot, derived};

use crate::v1::{
    events::{
        event::{EventKind, Place, called, reporter, subject},
        moment::Moment,
        timeline::{Draft, Timeline},
        wording::plain,
    },
    subject::{Severity, SubjectType},
};

/// How long after the last one another of the same component is counted to the same event, in microseconds.
const WITHIN: u64 = 10_000_000;

/// The processes.
#[derive(Debug, Default)]
pub(super) struct Processes {
    /// Whether each lives, by id.
    known: HashMap<String, bool>,
    /// What may still be counted to, by kind, component and site.
    open: HashMap<(EventKind, String, String), Open>,
}

#[derive(Debug)]
struct Open {
    number: u64,
    last: Timestamp,
}

impl Processes {
    /// A PROCESS that changed.
    pub(super) fn observe(&mut self, process: Record<'_>, moment: &Moment<'_>, timeline: &mut Timeline) {
        let id = process.id().to_cow();
        let was_live = self.known.get(&*id).copied();
        if was_live == Some(process.is_live()) {
            return;
        }
        self.known.insert(id.into_owned(), process.is_live());
        let is_silent = process.source().is_some_and(|source| !source.is_alive());
        match (was_live, process.is_live()) {
            (_, true)
                if moment.started_since(process) || process.start().is_none() && moment.is_new(process) =>
            {
                let time = moment.since_began(process, process.start());
                self.count(EventKind::ProcessStarted, time, process, moment, timeline);
            }
            // Of a controller that is lost nobody knows what became of its processes.
            (Some(true), false) if !(process.is_end_presumed() && is_silent) => {
                let time = moment.since_began(process, process.end());
                self.count(EventKind::ProcessEnded, time, process, moment, timeline);
            }
            _ => {}
        }
    }

    fn count(
        &mut self,
        kind: EventKind,
        time: Timestamp,
        process: Record<'_>,
        moment: &Moment<'_>,
        timeline: &mut Timeline,
    ) {
        let place = Place::of(process);
        let group =
            process.text(Attribute::Group).filter(|group| *group != "").map(|group| group.to_string());
        let verb = if kind == EventKind::ProcessStarted { "started" } else { "ended" };
        let site = place.as_ref().map_or_else(String::new, |place| place.id.clone());
        let key = group.as_ref().map(|group| (kind, group.clone(), site));
        if let (Some(key), Some(group)) = (&key, &group)
            && let Some(open) = self.open.get_mut(key)
        {
            let counted = timeline.count_to(open.number, |event| {
                let count = event.count.unwrap_or(1) + 1;
                event.count = Some(count);
                event.end = Some(event.end.unwrap_or(event.time).max(time));
                event.subject = subject(SubjectType::Component, derived::component_id(group), group);
                event.text = format!("{count} processes of {} {verb}", plain(group, 200));
                event.detail = None;
            });
            if let Some(number) = counted {
                *open = Open { number, last: moment.now };
                return;
            }
        }
        let name = called(process);
        let about = subject(SubjectType::Process, process.id().to_cow(), &name);
        let text = format!("process {name} {verb}");
        let detail = group.as_ref().map(|group| format!("of {}", plain(group, 200)));
        let draft = Draft::new(kind, Severity::Change, time, about, text).at(place).detail(detail).count(1);
        if let (Some(number), Some(key)) = (timeline.add(reporter(process), draft), key) {
            self.open.insert(key, Open { number, last: moment.now });
        }
    }

    /// All that changed was looked at: what is complete by now is not counted to any more.
    pub(super) fn conclude(&mut self, moment: &Moment<'_>) {
        self.open.retain(|_, open| moment.now.micros_since(open.last) < WITHIN);
    }

    /// Forgets those that are not retained any more.
    pub(super) fn sweep(&mut self, snapshot: &Snapshot) {
        self.known.retain(|id, is_live| *is_live || snapshot.find(id).next().is_some());
    }
}
