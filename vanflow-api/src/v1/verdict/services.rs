//! Which services fail, how often, and why.

use std::{
    collections::{BTreeSet, HashMap},
    fmt::Write,
};

use vanflow_proto::{Attribute, Timestamp};
use vanflow_store::{Connection, FailureReason, Lane, Record, RecordRef, Request, Service};

use crate::v1::{
    subject::{Severity, Subject},
    units::Units,
    verdict::{
        Facts,
        findings::{About, Finding, FindingKind, listed, site_name},
    },
};

/// How many connections of a lane are looked at to find out why they fail, and since when. What is counted of a lane
/// needs no look at any.
const LOOKED_AT: usize = 256;

/// What the lanes of a service come to.
#[derive(Default)]
struct Failing<'s> {
    units: Units,
    /// The lanes with errors.
    lanes: Vec<Lane<'s>>,
}

/// The services of which too many connections or requests fail.
pub(super) fn about_failures(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let mut services = HashMap::<RecordRef, Failing<'_>>::new();
    for lane in facts.snapshot.lanes() {
        let units = Units::of_lane(lane);
        if units.all == 0 {
            continue;
        }
        let Some(service) = lane.service() else { continue };
        let failing = services.entry(service.at()).or_default();
        failing.units.add(units);
        if units.errors > 0 {
            failing.lanes.push(lane);
        }
    }
    let bad = services.into_iter().filter(|(_, failing)| failing.units.severity() != Severity::Fine);
    for (at, failing) in bad {
        // That nobody serves it is said already.
        let is_served = |service: &Service<'_>| service.connector_count() > 0;
        let Some(service) = facts.snapshot.service(at).filter(is_served) else { continue };
        findings.push(finding(service, &failing));
    }
}

fn finding(service: Service<'_>, failing: &Failing<'_>) -> Finding {
    let (units, name) = (failing.units, service.address());
    let latest = failing.lanes.iter().filter_map(|lane| Latest::of(*lane)).collect::<Vec<_>>();
    let newest = latest.iter().max_by_key(|latest| latest.at);
    let unit = if units.has_requests { "requests" } else { "connections" };
    let severity = units.severity();
    let text = match severity {
        _ if units.errors == units.all => match newest.and_then(|latest| latest.reason) {
            Some(FailureReason::Refused) => format!("{name} refuses every connection"),
            _ => format!("{name} fails every {}", unit.trim_end_matches('s')),
        },
        Severity::Bad => format!("{name} fails {} of its {unit}", share(units)),
        _ => format!("{name} fails some of its {unit}"),
    };
    let mut detail = format!("{} of {} failed", units.errors, units.all);
    if let Some(why) = newest.and_then(|latest| latest.why.as_deref()) {
        write!(detail, ": {why}").expect("strings take all");
    }
    let clients: BTreeSet<_> = failing.lanes.iter().filter_map(|lane| client(*lane)).collect();
    if !clients.is_empty() {
        write!(detail, "; clients: {}", listed(clients)).expect("strings take all");
    }
    let servers: BTreeSet<_> =
        failing.lanes.iter().filter_map(|lane| lane.connector_or_inferred().and_then(site_name)).collect();
    if !servers.is_empty() {
        write!(detail, "; served in {}", listed(servers)).expect("strings take all");
    }
    Finding {
        severity,
        about: About::Network,
        kind: if severity == Severity::Bad {
            FindingKind::ServiceFails
        } else {
            FindingKind::ServiceDegraded
        },
        subject: Subject::service(service),
        text,
        detail: Some(detail),
        since: latest.iter().map(|latest| latest.since).min().flatten().map(Timestamp::as_micros),
    }
}

/// A share of units in whole percent.
fn share(units: Units) -> String {
    format!("{} %", (units.errors * 100 + units.all / 2) / units.all.max(1))
}

/// Where connections of a lane come from: the process, or else the host.
fn client(lane: Lane<'_>) -> Option<String> {
    let process = lane.process().and_then(Subject::record).map(|process| process.name);
    process.or_else(|| lane.host().map(|host| host.to_string()))
}

/// The latest failures of a lane.
struct Latest {
    /// When the last of them began.
    at: Option<Timestamp>,
    /// When the first of them began, since the last success or as far as was looked back; none where all that there ever
    /// was was not looked at.
    since: Option<Timestamp>,
    reason: Option<FailureReason>,
    /// Why, in words.
    why: Option<String>,
}

impl Latest {
    /// Looks at the connections that came to a lane last.
    fn of(lane: Lane<'_>) -> Option<Self> {
        let mut failed = None::<Self>;
        for connection in lane.connections().take(LOOKED_AT).filter_map(Connection::new) {
            let Some((reason, why)) = why(connection) else { continue };
            let start = connection.start();
            let latest = failed.get_or_insert(Self { at: start, since: start, reason, why: Some(why) });
            latest.since = latest.since.min(start);
        }
        let mut latest = failed?;
        // Where all that there is failed, so did what was not looked at.
        if lane.failed() == lane.retained() && lane.requests().next().is_none() {
            latest.since = lane.start().or(latest.since);
        }
        Some(latest)
    }
}

/// Why a connection failed or a request of it, if one did.
fn why(connection: Connection<'_>) -> Option<(Option<FailureReason>, String)> {
    // The connector's side knows more: what the listener's says follows from it.
    if let Some(error) = connection.error_connector_side().or_else(|| connection.error_listener_side()) {
        let reason = FailureReason::of(&error);
        return Some((Some(reason), in_words(reason, &error, connection.connector())));
    }
    let failed = |request: &Request<'_>| {
        let result = request.result().map(|result| result.to_string());
        let is_error = !request.is_live() && !matches!(result.as_deref(), Some(result) if is_answer(result));
        is_error.then(|| result.map_or("no result".to_owned(), |result| format!("result {result}")))
    };
    connection.requests().find_map(|request| failed(&request)).map(|why| (None, why))
}

/// Whether a result is that of a server that does not fail.
fn is_answer(result: &str) -> bool {
    result.parse().is_ok_and(|result: u32| (100..600).contains(&result) && result / 100 != 5)
}

/// Why, for people who do not know what a router writes; its own words where there are no others.
fn in_words(reason: FailureReason, error: &str, connector: Option<Record<'_>>) -> String {
    let host =
        |attribute| connector.and_then(|connector| connector.text(attribute)).map(|text| text.to_string());
    let target = match (host(Attribute::DestHost), host(Attribute::DestPort)) {
        (Some(host), Some(port)) => Some(format!("{host}:{port}")),
        (host, _) => host,
    };
    match (reason, target) {
        (FailureReason::Refused, Some(target)) => format!("connection refused by {target}"),
        (FailureReason::Timeout, Some(target)) => format!("no answer from {target} in time"),
        (FailureReason::UnknownHost, Some(target)) => format!("no host is called {target}"),
        _ => error.to_owned(),
    }
}
