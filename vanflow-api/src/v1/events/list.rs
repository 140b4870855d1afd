//! The list of events: what happened on the network, and when.
//!
//! Its own, since events are no records: each property is a line of [`COLUMNS`], from which filters, columns of CSV, JSON
//! and the OpenAPI document derive. In JSON the subject of an event is an object; filters and columns have its members.

use serde_json::{Value, json};

use crate::{
    json::{Json, Object},
    query::{
        csv, document,
        filter::{Comparison, Filtered},
        media::Media,
        value::{Cell, Kind, Presence},
    },
    v1::{
        events::{
            Kept,
            event::{Event, EventKind},
            query::Query,
        },
        subject::{Severity, SubjectType},
        table::object,
    },
};

/// A property of events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    name: &'static str,
    kind: Kind,
    presence: Presence,
    description: &'static str,
    pub(super) read: for<'e> fn(&'e Event) -> Cell<'e>,
    shown: Shown,
}

/// Where a property is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    /// By its name.
    Plain,
    /// In JSON as a member of `subject`.
    Subject(&'static str),
    /// Nowhere: it is a filter alone.
    Nowhere,
}

macro_rules! columns {
    (|$event:ident| $( $name:literal $kind:ident $(($known:expr))? $presence:ident $shown:ident $(($member:literal))? $about:literal => $cell:expr; )+) => {
        /// The properties of events.
        static COLUMNS: &[Column] = &[ $( Column {
            name: $name,
            kind: Kind::$kind $(($known))?,
            presence: Presence::$presence,
            description: $about,
            read: |$event| $cell,
            shown: Shown::$shown $(($member))?,
        }, )+ ];
    };
}

columns! { |event|
    "identity" Text Always Plain "The number that it had first. It stays." =>
        Cell::text(event.identity.to_string());
    "number" Number Always Plain "Its number: the later, the higher. An event that counts more than before gets a new one." =>
        Cell::Number(event.number);
    "time" Instant Always Plain "When it happened, in microseconds since the Unix epoch by the clock of the collector." =>
        Cell::Number(event.time.as_micros());
    "endTime" Instant Optional Plain "When it was over, likewise; absent where it did not last, or does." =>
        event.end.map_or(Cell::Absent, |end| Cell::Number(end.as_micros()));
    "kind" OneOf(EventKind::NAMES) Always Plain "What happened." => Cell::text(event.kind.name());
    "severity" OneOf(Severity::NAMES) Always Plain "How bad that is." => Cell::text(event.severity.name());
    "subjectType" OneOf(SubjectType::NAMES) Always Subject("type") "What kind of thing it is about." =>
        Cell::text(event.subject.subject_type.name());
    "subjectId" Text Always Subject("id") "The identity of what it is about." => Cell::text(&*event.subject.id);
    "subjectName" Text Always Subject("name") "What people call that." => Cell::text(&*event.subject.name);
    "subject" Texts Always Nowhere "" =>
        Cell::Texts(vec![(&*event.subject.id).into(), (&*event.subject.name).into()]);
    "siteId" Text Optional Plain "The site at which it happened, where that is one." =>
        event.place.as_ref().map_or(Cell::Absent, |place| Cell::text(&*place.id));
    "siteName" Text Optional Plain "The name of that site, where it is known." =>
        event.place.as_ref().and_then(|place| place.name.as_deref()).map_or(Cell::Absent, Cell::text);
    "site" Texts Optional Nowhere "" => event.place.as_ref().map_or(Cell::Absent, |place| {
        Cell::Texts([Some(&*place.id), place.name.as_deref()].into_iter().flatten().map(Into::into).collect())
    });
    "text" Text Always Plain "What happened, in words, without markup." => Cell::text(&*event.text);
    "detail" Text Optional Plain "What a router says of it, or what else there is to know." =>
        event.detail.as_deref().map_or(Cell::Absent, Cell::text);
    "count" Number Optional Plain "How many things happened that it stands for." =>
        event.count.map_or(Cell::Absent, Cell::Number);
}

impl Column {
    /// As filters see it.
    pub(super) fn filtered(&self) -> Filtered {
        Filtered { name: self.name, kind: self.kind, presence: self.presence }
    }

    pub(super) fn named(name: &str) -> Option<&'static Self> {
        COLUMNS.iter().find(|column| column.name == name)
    }
}

/// The properties that are shown.
pub(super) fn shown() -> impl Iterator<Item = (&'static str, Kind)> {
    let shown = COLUMNS.iter().filter(|column| column.shown != Shown::Nowhere);
    shown.map(|column| (column.name, column.kind))
}

/// Those of an event.
pub(super) fn cells(event: &Event) -> impl Iterator<Item = Cell<'_>> {
    COLUMNS.iter().filter(|column| column.shown != Shown::Nowhere).map(|column| (column.read)(event))
}

/// What filters are by.
pub(crate) fn filters() -> Vec<&'static str> {
    COLUMNS.iter().map(|column| column.name).collect()
}

/// The events that a query selects of those that are kept.
pub(crate) fn render(kept: &Kept, query: &Query, media: Media) -> Json {
    let (selected, total) = query.select(kept);
    let mut json = Json::default();
    let shown = || COLUMNS.iter().filter(|column| column.shown != Shown::Nowhere);
    match media {
        Media::Json => json.raw("{\"results\":["),
        Media::Csv => csv::header(&mut json, shown().map(|column| column.name)),
        _ => {}
    }
    for (position, event) in selected.iter().enumerate() {
        media.before(&mut json, ",", position == 0);
        match media {
            Media::Csv => csv::line(&mut json, shown().map(|column| (column.read)(event))),
            _ => item(&mut json, event),
        }
        media.after(&mut json);
    }
    if media == Media::Json {
        json.raw("],\"count\":");
        json.uint(selected.len() as u64);
        json.raw(",\"totalCount\":");
        json.uint(total as u64);
        let oldest = kept.events.iter().map(|event| event.time.as_micros()).chain(kept.since);
        if let Some(oldest) = oldest.min() {
            json.raw(",\"oldest\":");
            json.uint(oldest);
        }
        json.raw(",\"dropped\":");
        json.uint(kept.dropped);
        json.raw("}\n");
    }
    json
}

fn item(json: &mut Json, event: &Event) {
    let mut object = Object::open(json);
    for column in COLUMNS {
        match column.shown {
            Shown::Nowhere => {}
            Shown::Subject("type") => {
                object.name("subject");
                event.subject.render(object.json);
            }
            Shown::Subject(_) => {}
            Shown::Plain => {
                let cell = (column.read)(event);
                if cell != Cell::Absent {
                    object.name(column.name);
                    cell.render(object.json);
                }
            }
        }
    }
    object.close();
}

/// The schema of an event in the OpenAPI document.
pub(crate) fn described() -> Value {
    let properties = COLUMNS.iter().filter_map(|column| match column.shown {
        Shown::Nowhere => None,
        Shown::Subject("type") => Some(("subject", true, json!({ "$ref": "#/components/schemas/Subject" }))),
        Shown::Subject(_) => None,
        Shown::Plain => {
            let is_always_there = column.presence == Presence::Always;
            let mut schema = column.kind.schema(Presence::Always, column.description);
            if column.name == "kind" {
                let kinds = EventKind::ALL
                    .iter()
                    .map(|kind| format!("`{}`: {}", kind.name(), kind.description().trim()));
                schema["description"] = json!(kinds.collect::<Vec<_>>().join(" "));
            }
            Some((column.name, is_always_there, schema))
        }
    });
    object("Something that happened on the network.", properties)
}

/// The schema of the whole list.
pub(crate) fn list_described() -> Value {
    let number = |description: &str| json!({ "type": "integer", "minimum": 0, "description": description });
    object(
        "Events.",
        [
            ("results", true, json!({ "type": "array", "items": { "$ref": "#/components/schemas/Event" } })),
            ("count", true, number("How many are in the list.")),
            ("totalCount", true, number("How many the filters and times select, whatever the limit.")),
            (
                "oldest",
                false,
                number(
                    "When the oldest happened that is kept, in microseconds since the Unix epoch; absent where none is.",
                ),
            ),
            (
                "dropped",
                true,
                number("How many were not recorded since too many of their kind happened at once."),
            ),
        ],
    )
}

/// The filters in the OpenAPI document.
pub(crate) fn filters_described() -> impl Iterator<Item = Value> {
    COLUMNS.iter().flat_map(|column| document::filters(column.filtered(), Comparison::Beginning))
}
