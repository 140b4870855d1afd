//! What is wrong, in words for people who know Kubernetes and not Skupper.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use vanflow_proto::{Attribute, RecordKind, Timestamp};
use vanflow_store::{Record, Service};

use crate::link::{self, Ends, Routers};
use crate::metrics::is_of_certificate;
use crate::v1::{
    sources::State as SourceState,
    subject::{Severity, Subject, SubjectType},
    table::{Cell, table},
    verdict::{Facts, plural, services::about_failures, were},
};

/// Something that is wrong.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(super) severity: Severity,
    pub(super) about: About,
    pub(super) kind: FindingKind,
    pub(super) subject: Subject,
    pub(super) text: String,
    pub(super) detail: Option<String>,
    /// In microseconds since the epoch.
    pub(super) since: Option<u64>,
}

/// Whether the network has a problem, or the collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum About {
    Network,
    Collector,
}

impl About {
    const NAMES: &'static [&'static str] = &["network", "collector"];
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FindingKind {
    ServiceFails,
    ServiceWithoutConnector,
    LinkDown,
    Certificate,
    ServiceDegraded,
    LinkFlaps,
    SourceIncomplete,
    SourceSaturated,
    SourceLost,
    NeverReported,
    Refused,
    RecordsRefused,
    EvictedEarly,
    Queue,
    HistoryKept,
    NotAttached,
}

impl FindingKind {
    const NAMES: &'static [&'static str] = &[
        "serviceFails",
        "serviceWithoutConnector",
        "linkDown",
        "certificate",
        "serviceDegraded",
        "linkFlaps",
        "sourceIncomplete",
        "sourceSaturated",
        "sourceLost",
        "neverReported",
        "refused",
        "recordsRefused",
        "evictedEarly",
        "queue",
        "historyKept",
        "notAttached",
    ];
}

table! {
    /// Something that is wrong.
    FINDING: Finding, "Finding" |finding| {
        "severity" OneOf(Severity::NAMES) Always "How bad it is." => Cell::text(finding.severity.name());
        "about" OneOf(About::NAMES) Always "Whether it is a problem of the network, or of what the collector can see of it." =>
            Cell::text(About::NAMES[finding.about as usize]);
        "kind" OneOf(FindingKind::NAMES) Always "What it is." => Cell::text(FindingKind::NAMES[finding.kind as usize]);
        "subject" Subject Always "What it is about." => Cell::Subject(&finding.subject);
        "text" Text Always "What is wrong, for people." => Cell::text(&finding.text);
        "detail" Text Optional "More about it." => Cell::known(finding.detail.as_deref());
        "since" Instant Optional "Since when, where that is known." => Cell::count(finding.since);
    }
}

/// All that is wrong, the worst first.
pub(super) fn findings(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    about_failures(facts, &mut findings);
    about_services(facts, &mut findings);
    about_links(facts, &mut findings);
    about_certificates(facts, &mut findings);
    about_sources(facts, &mut findings);
    about_collector(facts, &mut findings);
    // Of what is equally bad, the collector's own trouble comes last, and what began last comes first.
    findings.sort_by_key(|finding| (finding.severity, finding.about, finding.kind, Reverse(finding.since)));
    findings
}

fn about_services(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let lacking = |service: &Service<'_>| service.listener_count() > 0 && service.connector_count() == 0;
    for service in facts.snapshot.services().filter(lacking) {
        let sites: BTreeSet<_> = service.listeners().filter(Record::is_live).filter_map(site_name).collect();
        let listeners = plural(service.listener_count(), "listener", "listeners");
        let place = if sites.is_empty() { String::new() } else { format!(" in {}", listed(sites)) };
        let gone = service.connectors().filter_map(|connector| connector.end()).max();
        findings.push(Finding {
            severity: Severity::Bad,
            about: About::Network,
            kind: FindingKind::ServiceWithoutConnector,
            subject: Subject::service(service),
            text: format!("{} has no server: no site has a connector for it", service.address()),
            detail: Some(format!("{listeners}{place}, no connector in any site")),
            since: gone.or_else(|| service.start()).map(Timestamp::as_micros),
        });
    }
}

fn about_links(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let routers = Routers::new(facts.snapshot);
    for record in facts.snapshot.live_of_kind(RecordKind::Link) {
        let ends = Ends::of(&routers, facts.snapshot, record);
        if ends.is_far_side() {
            continue;
        }
        let Some(subject) = Subject::record(record) else { continue };
        let name = |router: Option<Record<'_>>| router.and_then(Subject::record).map(|router| router.name);
        let between = match (name(ends.connects), name(ends.accepts)) {
            (Some(connects), Some(accepts)) => format!("{connects} – {accepts}"),
            (Some(connects), None) => format!("{} from {connects}", subject.name),
            _ => subject.name.clone(),
        };
        let (downs, down_at) = (record.uint(Attribute::DownCount), record.uint(Attribute::DownTimeStamp));
        let how_often = downs.filter(|downs| *downs > 0).map(|downs| times_down(downs, record.start()));
        let mut find = |severity, kind, text, detail, since| {
            let (about, subject) = (About::Network, subject.clone());
            findings.push(Finding { severity, about, kind, subject, text, detail, since });
        };
        if link::status(record) == "down" {
            let text = format!("the link {between} is down");
            let since =
                down_at.filter(|_| downs != Some(0)).or_else(|| record.start().map(Timestamp::as_micros));
            find(Severity::Bad, FindingKind::LinkDown, text, how_often, since);
        } else if let Some(how_often) = how_often.filter(|_| is_recent(facts, down_at)) {
            let text = format!("the link {between} was down and is up again");
            find(Severity::Warn, FindingKind::LinkFlaps, text, Some(how_often), down_at);
        }
    }
}

/// Routers that logged of certificates, each once. LOG records leave like any that have ended.
fn about_certificates(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let mut logged = BTreeMap::<String, (Subject, Record<'_>, Option<Timestamp>)>::new();
    for log in facts.snapshot.of_kind(RecordKind::Log) {
        let said = log.text(Attribute::LogText);
        if !said.is_some_and(|said| is_of_certificate(&said.to_cow())) {
            continue;
        }
        let Some(router) = log.router().and_then(Subject::record) else { continue };
        let known = logged.entry(router.id.clone()).or_insert((router, log, log.start()));
        known.2 = known.2.min(log.start());
        if log.start() >= known.1.start() {
            known.1 = log;
        }
    }
    for (subject, log, first) in logged.into_values() {
        findings.push(Finding {
            severity: Severity::Bad,
            about: About::Network,
            kind: FindingKind::Certificate,
            text: format!(
                "{} has connections that fail for a certificate that expired or is not trusted",
                subject.name
            ),
            detail: log.text(Attribute::LogText).map(|said| said.to_string()),
            since: first.map(Timestamp::as_micros),
            subject,
        });
    }
}

/// Whether something happened within the time that ended records are kept for: then it is worth a look.
fn is_recent(facts: &Facts<'_>, at: Option<u64>) -> bool {
    at.is_some_and(|at| facts.snapshot.now().micros_since(Timestamp::from_micros(at)) <= facts.retention)
}

fn times_down(downs: u64, since: Option<Timestamp>) -> String {
    let times = if downs == 1 { "once".to_owned() } else { format!("{downs} times") };
    match since {
        Some(_) => format!("it went down {times} since it was set up"),
        None => format!("it went down {times}"),
    }
}

/// The name of the site that something is in.
pub(super) fn site_name(record: Record<'_>) -> Option<String> {
    record.site().and_then(Subject::record).map(|site| site.name)
}

/// Names with commas between them; some of them, where there are many.
pub(super) fn listed(names: BTreeSet<String>) -> String {
    const SHOWN: usize = 3;
    let more = names.len().saturating_sub(SHOWN);
    let shown = names.into_iter().take(SHOWN).collect::<Vec<_>>().join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

fn about_sources(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    for source in &facts.sources {
        let subject =
            Subject { subject_type: SubjectType::Source, id: source.id.clone(), name: source.name.clone() };
        let mut find = |severity, kind, text: String, detail: Option<String>, since| {
            let (about, subject) = (About::Collector, subject.clone());
            findings.push(Finding { severity, about, kind, subject, text, detail, since });
        };
        let why = source.why().map(str::to_owned);
        match source.state {
            SourceState::Complete => {}
            SourceState::Incomplete => {
                let (text, kind) = if source.refused_since.is_some() {
                    let many = plural(source.refused, "new record", "new records");
                    let verb = if source.refused == 1 { "was" } else { "were" };
                    let text = format!("{many} of {} {verb} refused for want of room", source.name);
                    (text, FindingKind::RecordsRefused)
                } else {
                    (format!("not all that {} has is known", source.name), FindingKind::SourceIncomplete)
                };
                find(Severity::Unknown, kind, text, why, source.refused_since);
            }
            // One that came back by the same name is what it was, under another identity.
            SourceState::Lost if facts.has_successor(source) => {}
            SourceState::Lost => {
                let text = format!("{} is not heard any more", source.name);
                find(Severity::Warn, FindingKind::SourceLost, text, why, Some(source.last_heard()));
            }
        }
        if source.is_saturated {
            let text =
                format!("{} has so many open connections that it reports no further ones", source.name);
            let detail = "a router reports 5,000 open connections and requests at most".to_owned();
            find(Severity::Unknown, FindingKind::SourceSaturated, text, Some(detail), None);
        }
        if let Some(missing) = source.never_reported.filter(|missing| *missing > 0) {
            let text =
                format!("{} at {} never reported", were(missing, "connection", "connections"), source.name);
            let detail = "its listeners have counted more connections than it reported".to_owned();
            find(Severity::Unknown, FindingKind::NeverReported, text, Some(detail), None);
        }
    }
}

fn about_collector(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let mut find = |severity, kind, text: String, detail: Option<String>| {
        let (about, subject) = (About::Collector, Subject::collector());
        findings.push(Finding { severity, about, kind, subject, text, detail, since: None });
    };
    if !facts.status.attached {
        let detail = Some(facts.status.detail.clone()).filter(|detail| !detail.is_empty());
        let text = "the collector has no connection to a router: nothing new is seen".to_owned();
        find(Severity::Bad, FindingKind::NotAttached, text, detail);
    }
    let refused = facts.figures.refused;
    if refused > 0 {
        let text = format!("{} refused", were(refused, "message or record", "messages or records"));
        let detail = "too large, or not to be read; the collector's log has each".to_owned();
        find(Severity::Unknown, FindingKind::Refused, text, Some(detail));
    }
    if facts.evicted_early > 0 {
        let text = format!(
            "{} dropped early for want of memory",
            were(facts.evicted_early, "ended record", "ended records")
        );
        let detail = "they had ended, and counted in metrics; lists go less far back than the retention says"
            .to_owned();
        find(Severity::Unknown, FindingKind::EvictedEarly, text, Some(detail));
    }
    for text in &facts.troubles {
        let detail = "what only that place has cannot be asked for meanwhile".to_owned();
        find(Severity::Warn, FindingKind::HistoryKept, text.clone(), Some(detail));
    }
    let connection = facts.figures.connection;
    if connection.may_wait > 0 && connection.waiting >= connection.may_wait {
        let text = format!(
            "{} to be merged: the collector cannot keep up",
            plural(connection.waiting, "event waits", "events wait")
        );
        find(
            Severity::Warn,
            FindingKind::Queue,
            text,
            Some("more waits at the router; nothing is dropped".to_owned()),
        );
    }
}
