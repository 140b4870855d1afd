//! The sources of records: what each is, and whether all that it has is here.

use vanflow_proto::{Attribute, RecordKind, SourceType};
use vanflow_store::{Record, Snapshot, SourceState};

use crate::{
    json::Json,
    v1::{
        subject::in_network,
        table::{Cell, table},
    },
};

/// What is known of a source.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) id: String,
    source_type: String,
    /// What people call it: its name, or its id where that is not known.
    pub(crate) name: String,
    site: Option<(String, Option<String>)>,
    version: Option<String>,
    pub(crate) state: State,
    last_heard: u64,
    clock_offset: i64,
    live_records: u64,
    updates: u64,
    /// Connections that the listeners of a router counted and that it never reported, where it counts them.
    pub(crate) never_reported: Option<u64>,
    pub(crate) is_saturated: bool,
    /// New records of it that were refused, for want of room.
    pub(crate) refused: u64,
    /// Since when some of those are missing, in microseconds since the epoch.
    pub(crate) refused_since: Option<u64>,
    first_heard: u64,
}

/// Whether all that a source has is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Complete,
    /// Some of its records are known by halves, or its own record is missing.
    Incomplete,
    /// It is not seen any more.
    Lost,
}

impl State {
    const NAMES: &'static [&'static str] = &["complete", "incomplete", "lost"];

    fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

table! {
    /// A source of records: a router or a controller.
    SOURCE: Source, "Source" |source| {
        "identity" Text Always "Its identity: of a router that of its record, of a controller that of its site." =>
            Cell::text(&source.id);
        "type" Text Always "`router`, `controller`, or what else it says that it is, in lower case." =>
            Cell::text(&source.source_type);
        "name" Text Always "The name of the router or site; the identity where that is not known." =>
            Cell::text(&source.name);
        "siteId" Text Optional "The site that it is in." =>
            Cell::known(source.site.as_ref().map(|(id, _)| &**id));
        "siteName" Text Optional "The name of that site." =>
            Cell::known(source.site.as_ref().and_then(|(_, name)| name.as_deref()));
        "version" Text Optional "The version of the router, or of Skupper at the site." =>
            Cell::known(source.version.as_deref());
        "state" OneOf(State::NAMES) Always "Whether all that it has is here; `lost` where it is not seen any more." =>
            Cell::text(source.state.name());
        "why" Text Optional "Where it is not complete, why." => Cell::known(source.why());
        "firstHeard" Instant Always "When it was seen first." => Cell::Count(source.first_heard);
        "lastHeard" Instant Always "When it was heard last." => Cell::Count(source.last_heard);
        "clockOffset" Difference Always "How far its clock is ahead of the collector's, in microseconds." =>
            Cell::Difference(source.clock_offset);
        "liveRecords" Count Always "How many of its records live." => Cell::Count(source.live_records);
        "records" Count Always "How many updates of records it has sent." => Cell::Count(source.updates);
        "neverReported" Count Optional "How many connections its listeners counted and it never reported; absent where it does not count." =>
            Cell::count(source.never_reported);
        "saturated" Truth Optional "That it has so many open connections that it reports no more of them." =>
            if source.is_saturated { Cell::Truth(true) } else { Cell::Absent };
        "refusedRecords" Count Optional "How many new records of it were refused for want of room; absent where none was." =>
            Cell::count(Some(source.refused).filter(|refused| *refused > 0));
        "incompleteSince" Instant Optional "Since when some of those are missing; absent once it has repeated all that it has." =>
            Cell::count(source.refused_since);
    }
}

impl Source {
    fn of(snapshot: &Snapshot, source: SourceState<'_>) -> Self {
        let own = own_record(snapshot, source);
        let site = match own {
            Some(record) if record.kind() == Some(RecordKind::Site) => Some(record),
            record => record.and_then(|record| record.site()),
        };
        let text = |record: Option<Record<'_>>, attribute| {
            let text = record.and_then(|record| record.text(attribute)).filter(|text| *text != "");
            text.map(|text| text.to_string())
        };
        let site_id = site.map(|site| site.id().to_string());
        let site_id = site_id.or_else(|| own.and_then(|record| record.site_id()).map(|id| id.to_string()));
        let name = text(own, Attribute::Name).map(|name| match source.source_type() {
            SourceType::Router => in_network(&name).to_owned(),
            _ => name,
        });
        Self {
            id: source.id().to_owned(),
            source_type: source.source_type().name().to_ascii_lowercase(),
            name: name.unwrap_or_else(|| source.id().to_owned()),
            site: site_id.map(|id| (id, text(site, Attribute::Name))),
            version: text(own, Attribute::BuildVersion),
            state: match (source.is_alive(), source.is_incomplete()) {
                (false, _) => State::Lost,
                (true, true) => State::Incomplete,
                (true, false) if source.refused_since().is_some() => State::Incomplete,
                (true, false) => State::Complete,
            },
            last_heard: source.last_heard().as_micros(),
            first_heard: source.first_heard().as_micros(),
            clock_offset: source.clock_offset_micros(),
            live_records: source.live_records().into(),
            updates: source.updates(),
            never_reported: None,
            is_saturated: source.is_alive() && source.lacks_flows(),
            refused: source.refused_records(),
            refused_since: source.refused_since().map(|since| since.as_micros()),
        }
    }

    pub(crate) fn is_router(&self) -> bool {
        self.source_type == "router"
    }

    pub(crate) fn is_controller(&self) -> bool {
        self.source_type == "controller"
    }

    /// Whether it is of the same type, site and name as another.
    pub(crate) fn is_named_as(&self, other: &Self) -> bool {
        let known = |source: &Self| source.site.as_ref().map(|(id, _)| id.clone());
        (&self.source_type, &self.name, known(self)) == (&other.source_type, &other.name, known(other))
    }

    /// Why it is not complete.
    pub(crate) fn why(&self) -> Option<&'static str> {
        match self.state {
            State::Complete => None,
            State::Incomplete if self.refused_since.is_some() => {
                Some("records of it were refused: it takes more than its share of what there is room for")
            }
            State::Incomplete if self.is_router() => Some(
                "some of its records are known in part only, or its own record is missing; it is asked again",
            ),
            State::Incomplete => Some("some of its records are known in part only; it is asked again"),
            State::Lost => Some("nothing is heard of it any more; what it reported has ended"),
        }
    }

    /// When it was seen first, in microseconds since the epoch.
    pub(crate) fn first_heard(&self) -> u64 {
        self.first_heard
    }

    /// When it was heard last, likewise.
    pub(crate) fn last_heard(&self) -> u64 {
        self.last_heard
    }

    /// How far its clock is ahead of the collector's, in microseconds.
    pub(crate) fn clock_offset(&self) -> i64 {
        self.clock_offset
    }
}

/// The record that a source is: a router's, or that of the site of a controller.
fn own_record<'s>(snapshot: &'s Snapshot, source: SourceState<'_>) -> Option<Record<'s>> {
    snapshot
        .find(source.id())
        .find(|record| matches!(record.kind(), Some(RecordKind::Router | RecordKind::Site)))
}

/// Every source, what is not complete first, then by name.
pub(crate) fn sources(snapshot: &Snapshot) -> Vec<Source> {
    let mut sources: Vec<_> = snapshot.sources().map(|source| Source::of(snapshot, source)).collect();
    for listener in snapshot.live_of_kind(RecordKind::Listener) {
        let Some(missing) = listener.connections_never_reported() else { continue };
        let Some(reporter) = listener.source() else { continue };
        if let Some(source) = sources.iter_mut().find(|source| source.id == reporter.id()) {
            *source.never_reported.get_or_insert_default() += missing;
        }
    }
    let rank = |source: &Source| match source.state {
        State::Incomplete => 0,
        State::Lost => 1,
        State::Complete => 2,
    };
    sources.sort_by(|left, right| {
        (rank(left), &left.name, &left.id).cmp(&(rank(right), &right.name, &right.id))
    });
    sources
}

/// The list of all sources.
pub(crate) fn render(snapshot: &Snapshot) -> Json {
    let sources = sources(snapshot);
    let mut json = Json::default();
    json.raw("{\"results\":");
    SOURCE.render_all(&mut json, &sources);
    json.raw(",\"count\":");
    json.uint(sources.len() as u64);
    json.raw("}\n");
    json
}
