//! Sources that come, go, and have not repeated what they have.

use std::collections::HashMap;

use vanflow_proto::{Attribute, RecordKind, SourceType, Timestamp};
use vanflow_store::SourceState;

use crate::v1::{
    events::{
        event::{EventKind, Place, called, subject},
        moment::Moment,
        timeline::{Draft, Timeline},
        wording::{plain, span},
    },
    subject::{Severity, Subject, SubjectType},
};

/// How long a source may be incomplete before that is an event, in microseconds. Whoever was seen just now has to be
/// asked first, and may miss that once.
const PATIENCE: u64 = 10_000_000;

/// The sources, by id.
#[derive(Debug, Default)]
pub(super) struct Sources {
    known: HashMap<String, Known>,
}

#[derive(Debug)]
struct Known {
    is_alive: bool,
    is_there: bool,
    incomplete: Option<Incomplete>,
    /// The event that says that it was lost, and when.
    lost: Option<(Option<u64>, Timestamp)>,
}

#[derive(Debug)]
struct Incomplete {
    since: Timestamp,
    /// Whether that was an event, and its number if it was recorded.
    event: Option<Option<u64>>,
}

impl Sources {
    pub(super) fn observe(&mut self, moment: &Moment<'_>, timeline: &mut Timeline) {
        self.known.values_mut().for_each(|known| known.is_there = false);
        for source in moment.snapshot.sources() {
            match self.known.get_mut(source.id()) {
                Some(known) => {
                    known.is_there = true;
                    known.observe(source, moment, timeline);
                }
                None => {
                    if source.is_alive() && !moment.is_beginning && !is_router(source) {
                        let named = Named::of(source, moment);
                        let text = format!("{} joined the network", named.name);
                        timeline.add(
                            source.id(),
                            named.draft(EventKind::SourceSeen, Severity::Change, moment.now, text),
                        );
                    }
                    let known =
                        Known { is_alive: source.is_alive(), is_there: true, incomplete: None, lost: None };
                    self.known.insert(source.id().to_owned(), known);
                }
            }
        }
        self.known.retain(|_, known| known.is_there);
    }
}

impl Known {
    fn observe(&mut self, source: SourceState<'_>, moment: &Moment<'_>, timeline: &mut Timeline) {
        let was_alive = std::mem::replace(&mut self.is_alive, source.is_alive());
        match (was_alive, self.is_alive) {
            (true, false) => {
                self.incomplete = None;
                // Of a router it is said that the router was lost.
                if is_router(source) {
                    return;
                }
                let named = Named::of(source, moment);
                let text = format!("{} was lost", named.name);
                let silence = span(moment.now.micros_since(source.last_heard()));
                let draft = named
                    .draft(EventKind::SourceLost, Severity::Warn, moment.now, text)
                    .detail(Some(format!("nothing was received from it for {silence}")));
                self.lost = Some((timeline.add(source.id(), draft), moment.now));
            }
            (false, true) => {
                let Some((event, since)) = self.lost.take() else { return };
                if let Some(number) = event {
                    timeline.end(number, moment.now);
                }
                let named = Named::of(source, moment);
                let text = format!("{} is back after {}", named.name, span(moment.now.micros_since(since)));
                timeline
                    .add(source.id(), named.draft(EventKind::SourceSeen, Severity::Change, moment.now, text));
            }
            _ => {}
        }
        if self.is_alive {
            self.observe_completeness(source, moment, timeline);
        }
    }

    fn observe_completeness(
        &mut self,
        source: SourceState<'_>,
        moment: &Moment<'_>,
        timeline: &mut Timeline,
    ) {
        if !source.is_incomplete() {
            let Some(Incomplete { since, event: Some(event) }) = self.incomplete.take() else { return };
            if let Some(number) = event {
                timeline.end(number, moment.now);
            }
            let named = Named::of(source, moment);
            let text = format!("{} is complete after {}", named.name, span(moment.now.micros_since(since)));
            timeline
                .add(source.id(), named.draft(EventKind::SourceComplete, Severity::Fine, moment.now, text));
            return;
        }
        let incomplete = self.incomplete.get_or_insert(Incomplete { since: moment.now, event: None });
        if incomplete.event.is_none() && moment.now.micros_since(incomplete.since) >= PATIENCE {
            let named = Named::of(source, moment);
            let text = format!("{} is incomplete", named.name);
            let draft = named
                .draft(EventKind::SourceIncomplete, Severity::Warn, incomplete.since, text)
                .detail(Some("it was asked for all that it has, and has not repeated all of it".to_owned()));
            incomplete.event = Some(timeline.add(source.id(), draft));
        }
    }
}

/// A source in words.
struct Named {
    subject: Subject,
    name: String,
    place: Option<Place>,
}

impl Named {
    fn of(source: SourceState<'_>, moment: &Moment<'_>) -> Self {
        let own = moment.snapshot.find(source.id()).next();
        let called = own.map_or_else(|| source.id().to_owned(), called);
        let name = match (source.source_type(), own.and_then(|own| own.kind())) {
            (SourceType::Controller, Some(RecordKind::Site)) => format!("the controller of {called}"),
            (source_type, _) => format!("{} {called}", source_type.name().to_lowercase()),
        };
        let place = own.and_then(Place::of).or_else(|| {
            // A controller may have a record of its own, which names the site.
            let own = own.filter(|own| own.kind() == Some(RecordKind::Controller))?;
            Some(Place { id: own.text(Attribute::Parent)?.to_string(), name: None })
        });
        let about = subject(SubjectType::Source, source.id(), &called);
        Self { name: plain(&name, 220), subject: about, place }
    }

    fn draft(self, kind: EventKind, severity: Severity, time: Timestamp, text: String) -> Draft {
        Draft::new(kind, severity, time, self.subject, text).at(self.place)
    }
}

fn is_router(source: SourceState<'_>) -> bool {
    source.source_type() == SourceType::Router
}
