//! Services that lose their connectors, that answer no connection, and whose clients leave early.
//!
//! Whether a service answers is worked out from what its lanes came to. A connection that its connector could not make
//! is a failure, one of which an octet came back is an answer: when a few failed in a row, and none was answered, every
//! connection is refused. What a link that went down broke off says nothing of the service.

use std::collections::HashMap;

use vanflow_proto::{Attribute, Timestamp};
use vanflow_store::{
    FailureReason, FailureSide, Lane, LaneRef, RecordRef, Service,
    lane::{Distribution, LaneRevision},
};

use crate::v1::{
    events::{
        event::{EventKind, said, subject},
        moment::Moment,
        timeline::{Draft, Timeline},
        wording::{plain, span, times},
    },
    subject::{Severity, SubjectType},
};

/// So many failures in a row, without an answer between them, are no chance.
const FAILURES: u64 = 5;

/// How long a service that is new may have no connector before that is an event, in microseconds.
const PATIENCE: u64 = 10_000_000;

/// How long one that had some must be without, in microseconds: a router that restarts ends them and reports them again.
const CONFIRMED: u64 = 400_000;

/// Over how long disconnects of clients are counted, in microseconds.
const MINUTE: u64 = 60_000_000;

/// Connections of a lane that are looked at for what a router says of a failure.
const LOOKED_AT: usize = 16;

/// The services.
#[derive(Debug, Default)]
pub(super) struct Services {
    known: HashMap<RecordRef, Known>,
    /// What lanes had come to, by [`LaneRef::slot`].
    lanes: Vec<Option<(LaneRef, Outcome)>>,
    until: LaneRevision,
}

#[derive(Debug)]
struct Known {
    id: String,
    is_there: bool,
    connectors: Connectors,
    /// Failures since the last answer, and when the first of them was seen.
    failing: Option<(u64, Timestamp)>,
    /// Since when every connection is refused, and the event that says so.
    refused: Option<(Timestamp, Option<u64>)>,
    /// Clients that left early, and since when that is counted.
    left: Option<(u64, Timestamp)>,
}

/// Whether a service has connectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Connectors {
    Some,
    /// None since then, which is not recorded yet; whether it ever had some.
    Missing(Timestamp, bool),
    /// None since then, as the event says.
    Recorded(Timestamp, Option<u64>),
    /// None since the beginning: nothing to record.
    Never,
    /// None, and no listener that could miss one.
    Unused,
}

/// What connections came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Outcome {
    /// Those that their connectors could not make, or lost.
    failed: i64,
    /// Those that were answered.
    answered: i64,
    /// Those that the client broke off.
    left: i64,
}

impl Services {
    /// Looks at all services, and at the lanes that changed.
    pub(super) fn observe(&mut self, moment: &Moment<'_>, timeline: &mut Timeline) {
        self.known.values_mut().for_each(|known| known.is_there = false);
        for service in moment.snapshot.services() {
            let known = self.known.entry(service.at()).or_insert_with(|| Known::new(service, moment));
            if service.id() != *known.id {
                // The row is another's now.
                *known = Known::new(service, moment);
            }
            known.is_there = true;
            known.observe_connectors(service, moment, timeline);
        }
        self.known.retain(|_, known| known.is_there);
        for (at, (outcome, failed)) in self.grown(moment) {
            let Some(service) = moment.snapshot.service(at) else { continue };
            let Some(known) = self.known.get_mut(&at) else { continue };
            known.observe_outcome(service, outcome, failed, moment, timeline);
        }
        for (at, known) in &mut self.known {
            if let Some(service) = moment.snapshot.service(*at) {
                known.count_left(service, moment, timeline);
            }
        }
    }

    /// By how much the outcome of connections grew, by service, with a lane of which some failed.
    fn grown<'s>(&mut self, moment: &Moment<'s>) -> Vec<(RecordRef, (Outcome, Option<Lane<'s>>))> {
        let snapshot = moment.snapshot;
        let until = std::mem::replace(&mut self.until, snapshot.lanes_revision());
        if until == self.until {
            return Vec::new();
        }
        self.lanes.resize(snapshot.lane_slots(), None);
        let mut grown = HashMap::<RecordRef, (Outcome, Option<Lane<'s>>)>::new();
        for lane in snapshot.lanes().filter(|lane| lane.revision() > until) {
            let now = Outcome::of(lane);
            let known = &mut self.lanes[lane.at().slot()];
            let before = known.filter(|(at, _)| *at == lane.at()).map(|(_, before)| before);
            *known = Some((lane.at(), now));
            let before = before.unwrap_or_default();
            // What came about before the first snapshot happened before.
            if now == before || moment.is_first {
                continue;
            }
            let Some(service) = lane.service() else { continue };
            let (outcome, failing) = grown.entry(service.at()).or_default();
            outcome.failed += now.failed - before.failed;
            outcome.answered += now.answered - before.answered;
            outcome.left += now.left - before.left;
            if now.failed > before.failed {
                *failing = Some(lane);
            }
        }
        let mut grown: Vec<_> = grown.into_iter().collect();
        grown.sort_unstable_by_key(|(at, _)| *at);
        grown
    }
}

impl Outcome {
    fn of(lane: Lane<'_>) -> Self {
        let totals = lane.totals();
        let mut outcome = Self::default();
        for (side, reason, count) in totals.failures() {
            match (side, reason) {
                (_, FailureReason::LinkLost | FailureReason::Removed) => {}
                (FailureSide::Connector, _) => outcome.failed += signed(count),
                (FailureSide::Listener, FailureReason::Reset) => outcome.left += signed(count),
                // What the client's router says of a connection that the server's refused.
                (FailureSide::Listener, _) => {}
            }
        }
        let answered = |latencies: Distribution<'_>| latencies.counts().map(|(_, count)| count).sum();
        let [listener, connector]: [u64; 2] =
            [answered(totals.listener_latency()), answered(totals.connector_latency())];
        outcome.answered = signed(listener.max(connector));
        outcome
    }
}

impl Known {
    fn new(service: Service<'_>, moment: &Moment<'_>) -> Self {
        let connectors = match service.connector_count() {
            0 if moment.is_beginning => Connectors::Never,
            0 => Connectors::Missing(moment.now, false),
            _ => Connectors::Some,
        };
        let id = service.id().to_string();
        Self { id, is_there: true, connectors, failing: None, refused: None, left: None }
    }

    fn observe_connectors(&mut self, service: Service<'_>, moment: &Moment<'_>, timeline: &mut Timeline) {
        let (listeners, connectors) = (service.listener_count(), service.connector_count());
        let name = name(service);
        match (self.connectors, connectors > 0) {
            (Connectors::Some, true) => {}
            (Connectors::Some, false) => self.connectors = Connectors::Missing(moment.now, true),
            (Connectors::Recorded(since, event), true) => {
                self.connectors = Connectors::Some;
                if let Some(number) = event {
                    timeline.end(number, moment.now);
                }
                let text =
                    format!("{name} has a connector again after {}", span(moment.now.micros_since(since)));
                add(timeline, service, EventKind::ServiceServed, Severity::Fine, moment.now, text, |draft| {
                    draft
                });
            }
            (_, true) => self.connectors = Connectors::Some,
            // Nobody is there who could miss one.
            (Connectors::Missing(..) | Connectors::Recorded(..), false) if listeners == 0 => {
                if let Connectors::Recorded(_, Some(number)) = self.connectors {
                    timeline.end(number, moment.now);
                }
                self.connectors = Connectors::Unused;
            }
            (Connectors::Missing(since, had_some), false) => {
                let patience = if had_some { CONFIRMED } else { PATIENCE };
                if moment.now.micros_since(since) < patience {
                    return;
                }
                let text = format!("{name} has no connector{}", if had_some { " any more" } else { "" });
                let detail =
                    format!("{listeners} {}, no connector in any site", plural(listeners, "listener"));
                let event = add(
                    timeline,
                    service,
                    EventKind::ServiceWithoutConnector,
                    Severity::Bad,
                    since,
                    text,
                    |draft| draft.detail(Some(detail)),
                );
                self.connectors = Connectors::Recorded(since, event);
            }
            (Connectors::Unused, false) if listeners > 0 => {
                self.connectors = Connectors::Missing(moment.now, false);
            }
            (Connectors::Never | Connectors::Unused | Connectors::Recorded(..), false) => {}
        }
    }

    fn observe_outcome(
        &mut self,
        service: Service<'_>,
        outcome: Outcome,
        failed: Option<Lane<'_>>,
        moment: &Moment<'_>,
        timeline: &mut Timeline,
    ) {
        if outcome.left > 0 {
            let (left, _) = self.left.get_or_insert((0, moment.now));
            *left += outcome.left.unsigned_abs();
        }
        if outcome.answered > 0 {
            self.failing = None;
            let Some((since, event)) = self.refused.take() else { return };
            if let Some(number) = event {
                timeline.end(number, moment.now);
            }
            let text =
                format!("{} answers again after {}", name(service), span(moment.now.micros_since(since)));
            add(timeline, service, EventKind::ServiceAnswers, Severity::Fine, moment.now, text, |draft| {
                draft
            });
            return;
        }
        if outcome.failed <= 0 {
            return;
        }
        let (failures, since) = self.failing.get_or_insert((0, moment.now));
        *failures += outcome.failed.unsigned_abs();
        let (failures, since) = (*failures, *since);
        if self.refused.is_some() || failures < FAILURES {
            return;
        }
        let (reason, says) = failed.map_or((None, None), why);
        let text = match reason {
            Some(FailureReason::Refused) => format!("{} refuses every connection", name(service)),
            _ => format!("every connection to {} fails", name(service)),
        };
        let detail = says.map_or_else(
            || format!("{failures} failed in a row"),
            |says| format!("{failures} failed in a row: {says}"),
        );
        let event = add(timeline, service, EventKind::ServiceRefused, Severity::Bad, since, text, |draft| {
            draft.detail(Some(detail))
        });
        self.refused = Some((since, event));
    }

    /// Records how many clients left early, once a minute is over.
    fn count_left(&mut self, service: Service<'_>, moment: &Moment<'_>, timeline: &mut Timeline) {
        let Some((count, since)) = self.left.filter(|(_, since)| moment.now.micros_since(*since) >= MINUTE)
        else {
            return;
        };
        self.left = None;
        let text =
            format!("clients of {} broke connections off {} within a minute", name(service), times(count));
        add(timeline, service, EventKind::ClientDisconnects, Severity::Warn, since, text, |draft| {
            draft.until(Some(since.plus_micros(MINUTE))).count(count)
        });
    }
}

/// Why connections of a lane fail, and what a router says of the last one that did.
fn why(lane: Lane<'_>) -> (Option<FailureReason>, Option<String>) {
    let last = lane
        .connections()
        .take(LOOKED_AT)
        .filter_map(|connection| said(connection.text(Attribute::ErrorConnectorSide)))
        .next();
    let of_connector = lane.totals().failures().filter(|(side, ..)| *side == FailureSide::Connector);
    let most = of_connector.max_by_key(|(.., count)| *count).map(|(_, reason, _)| reason);
    (last.as_deref().map(FailureReason::of).or(most), last)
}

fn name(service: Service<'_>) -> String {
    plain(&service.address().to_cow(), 200)
}

fn plural(count: u64, noun: &str) -> String {
    if count == 1 { noun.to_owned() } else { format!("{noun}s") }
}

fn add(
    timeline: &mut Timeline,
    service: Service<'_>,
    kind: EventKind,
    severity: Severity,
    time: Timestamp,
    text: String,
    change: impl FnOnce(Draft) -> Draft,
) -> Option<u64> {
    let id = service.id().to_cow();
    let about = subject(SubjectType::Service, &id, name(service));
    timeline.add(&id, change(Draft::new(kind, severity, time, about, text)))
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
