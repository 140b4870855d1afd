//! What is known, and how well: a line for each thing that can be lacking.

use vanflow_proto::Attribute;
use vanflow_store::{FlowKind, Snapshot, Stats};

use crate::v1::{
    sources::{Source, State},
    subject::Severity,
    table::{Cell, table},
    verdict::{self, Facts},
};

/// How well something is known.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    kind: KnownKind,
    severity: Severity,
    text: &'static str,
    detail: Option<String>,
    value: u64,
    of: Option<u64>,
    unit: &'static str,
}

/// What can be lacking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KnownKind {
    SourcesComplete,
    LinksWithOctets,
    ServerSideReported,
    RequestsWithConnection,
    Refused,
    Evicted,
    Lag,
    ClockOffset,
}

impl KnownKind {
    const NAMES: &'static [&'static str] = &[
        "sourcesComplete",
        "linksWithOctets",
        "serverSideReported",
        "requestsWithConnection",
        "refused",
        "evicted",
        "lag",
        "clockOffset",
    ];
}

table! {
    /// How well something is known.
    KNOWN: Known, "Known" |known| {
        "kind" OneOf(KnownKind::NAMES) Always "What is known." => Cell::text(KnownKind::NAMES[known.kind as usize]);
        "severity" OneOf(Severity::NAMES) Always "Whether that is as it should be." => Cell::text(known.severity.name());
        "text" Text Always "What it is, for people." => Cell::text(known.text);
        "detail" Text Optional "More about it." => Cell::known(known.detail.as_deref());
        "value" Count Always "How many." => Cell::Count(known.value);
        "of" Count Optional "Of how many." => Cell::count(known.of);
        "unit" Text Always "What is counted." => Cell::text(known.unit);
    }
}

/// How well each is known.
pub(super) fn known(facts: &Facts<'_>, stats: &Stats) -> Vec<Known> {
    let seen = || facts.sources.iter().filter(|source| source.state != State::Lost);
    let of = |is: fn(&Source) -> bool| seen().filter(|source| is(source)).count();
    let (complete, total) = (facts.count(State::Complete), facts.seen());
    let judge = |is_fine: bool, otherwise| if is_fine { Severity::Fine } else { otherwise };
    let offset = seen().map(|source| source.clock_offset().unsigned_abs()).max();
    let lag = facts.figures.lag_micros;
    let mut known = vec![
        Known {
            kind: KnownKind::SourcesComplete,
            severity: judge(complete == total && total > 0, Severity::Unknown),
            text: "Sources complete",
            detail: Some(format!(
                "{} routers, {} controllers",
                of(Source::is_router),
                of(Source::is_controller)
            )),
            value: complete as u64,
            of: Some(total as u64),
            unit: "sources",
        },
        links(facts.snapshot),
        server_sides(facts.snapshot),
        requests(facts.snapshot),
        Known {
            kind: KnownKind::Refused,
            severity: judge(facts.figures.refused == 0, Severity::Unknown),
            text: "Messages and records refused",
            detail: None,
            value: facts.figures.refused,
            of: None,
            unit: "messages",
        },
        Known {
            kind: KnownKind::Evicted,
            severity: judge(facts.evicted_early == 0, Severity::Unknown),
            text: "Ended records dropped for want of memory",
            detail: Some(format!("{} left when they were old enough", stats.evicted - facts.evicted_early)),
            value: facts.evicted_early,
            of: None,
            unit: "records",
        },
        Known {
            kind: KnownKind::Lag,
            severity: judge(lag < LAGGING_MICROS, Severity::Warn),
            text: "From receiving records to showing them",
            detail: None,
            value: lag,
            of: None,
            unit: "microseconds",
        },
    ];
    known.extend(offset.map(|offset| Known {
        kind: KnownKind::ClockOffset,
        severity: judge(offset < SKEWED_MICROS, Severity::Warn),
        text: "Clock furthest from the collector's",
        detail: None,
        value: offset,
        of: None,
        unit: "microseconds",
    }));
    known
}

/// Links of which octets are reported: routers up to 2.x do not.
fn links(snapshot: &Snapshot) -> Known {
    let links = || verdict::links(snapshot);
    let (value, of) =
        (links().filter(|link| link.uint(Attribute::Octets).is_some()).count(), links().count());
    Known {
        kind: KnownKind::LinksWithOctets,
        severity: if value == of { Severity::Fine } else { Severity::Unknown },
        text: "Links with octets",
        detail: (value < of).then(|| "routers up to 2.x do not say what goes through their links".to_owned()),
        value: value as u64,
        of: Some(of as u64),
        unit: "links",
    }
}

/// Connections that have a server's side: one that failed need not have one.
fn server_sides(snapshot: &Snapshot) -> Known {
    let (mut value, mut of) = (0, 0);
    for lane in snapshot.lanes() {
        of += lane.retained();
        value += if lane.connector_id().is_some() { lane.retained() } else { lane.failed() };
    }
    // Each router reports up to some seconds late, so that some are always on their way.
    let is_fine = (of - value) * 20 <= of;
    Known {
        kind: KnownKind::ServerSideReported,
        severity: if is_fine { Severity::Fine } else { Severity::Unknown },
        text: "Connections with both sides reported, or failed",
        detail: (!is_fine).then(|| "of the others the router of the server has reported nothing".to_owned()),
        value: value as u64,
        of: Some(of as u64),
        unit: "connections",
    }
}

/// Requests of which the connection is known.
fn requests(snapshot: &Snapshot) -> Known {
    let of = snapshot.retained_flow_count(FlowKind::Request);
    let value: usize =
        snapshot.lanes().flat_map(|lane| lane.requests()).map(|requests| requests.retained()).sum();
    Known {
        kind: KnownKind::RequestsWithConnection,
        severity: if value >= of { Severity::Fine } else { Severity::Unknown },
        text: "Requests with their connection",
        detail: (value < of).then(|| "of the others it is not known who asked whom".to_owned()),
        value: value.min(of) as u64,
        of: Some(of as u64),
        unit: "requests",
    }
}

/// From here on the collector lags behind: a second.
const LAGGING_MICROS: u64 = 1_000_000;

/// From here on a clock is wrong enough that times of two sources do not compare: five seconds.
const SKEWED_MICROS: u64 = 5_000_000;
