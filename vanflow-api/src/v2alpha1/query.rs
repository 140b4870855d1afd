//! Filters, time range, state, order and paging.
//!
//! What a client gets wrong here is passed over where the network observer passes it over, and named where it is.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use vanflow_proto::Timestamp;
use vanflow_store::Snapshot;

use crate::{
    error::{ApiError, excerpt},
    v2alpha1::{
        best::Best,
        collection::{Collection, Item, Scope},
        plan::Plan,
        schema::{Cell, Kind, Property, Schema},
        view::{Subject, View},
    },
};

/// What is asked for of a collection.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) collection: Collection,
    /// When an item came to be, and when it went.
    start: &'static Property,
    end: &'static Property,
    pub(crate) filters: Vec<Filter>,
    /// By identity where there is none.
    pub(crate) order: Option<Order>,
    state: State,
    range: Range,
    /// None where there is no limit.
    pub(crate) limit: Option<usize>,
    pub(crate) offset: usize,
    /// Whether to go on after the list, where the client says so.
    pub(crate) watch: Option<bool>,
}

/// A property, and what it may be.
#[derive(Debug)]
pub(crate) struct Filter {
    pub(crate) property: &'static Property,
    values: Vec<String>,
}

impl Filter {
    /// Whether something passes.
    pub(crate) fn admits<'v>(&self, view: View<'v>, subject: &Subject<'v>) -> bool {
        self.admits_cell(&(self.property.read)(view, subject))
    }

    /// Whether something that has this value passes.
    pub(crate) fn admits_cell(&self, cell: &Cell<'_>) -> bool {
        self.values.iter().any(|value| matches(self.property.kind, cell, value))
    }
}

/// By what items are put in order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub(crate) property: &'static Property,
    /// Whether the highest comes first.
    pub(crate) is_descending: bool,
}

/// When items can have ended to be in a list, in microseconds, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EndBounds {
    /// Whether what has not ended can be in it.
    pub(crate) has_live: bool,
    /// None where nothing that has ended can be.
    pub(crate) ended: Option<(u64, u64)>,
    /// Whether all that can be is.
    pub(crate) is_exact: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing was said of it.
    Unsaid,
    All,
    Active,
    Terminated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Intersects,
    Contains,
    Within,
}

#[derive(Clone, Copy, Debug)]
struct Range {
    operation: Operation,
    start: Option<u64>,
    end: Option<u64>,
}

/// How far back a list goes where no time is given: 15 minutes, in microseconds.
const LOOK_BACK_MICROS: u64 = 15 * 60 * 1_000_000;

/// The parameters that are no filters, with what the OpenAPI document says of them.
pub(crate) const RESERVED: [(&str, &str); 8] = [
    (
        "limit",
        "How many items the list has at most; 0 to count only. Without it, or below 0, there is no limit.",
    ),
    ("offset", "How many items to pass over first."),
    (
        "sortBy",
        "A property, a dot, and `asc` or `desc`. Ties break by identity; without it that is the order.",
    ),
    (
        "state",
        "`active` for what has not ended, `terminated` for what has, `all` for both. Without it, connections, requests \
         and pairs are listed whether ended or not, and anything else if it is there now.",
    ),
    ("timeRangeStart", "Microseconds since the epoch; 15 minutes ago if not given."),
    ("timeRangeEnd", "Microseconds since the epoch; now if not given."),
    (
        "timeRangeOperation",
        "`intersects` for what was there at some time in the range, which is so if not given, `contains` for what was \
         there all of the time, `within` for what started and ended in it.",
    ),
    (
        "watch",
        "With 1, the list is followed by one JSON object per line for each item that changes or ends, until the \
         client leaves. With `Accept: text/event-stream` they are server-sent events, `list` and `record`; a watch that \
         goes on with `Last-Event-ID` learns what it missed, or the list again where that cannot be reported.",
    ),
];

impl Query {
    /// Reads a query string.
    ///
    /// # Errors
    ///
    /// Where it filters or sorts by something that records of the collection do not have.
    pub(crate) fn new(collection: Collection, text: Option<&str>) -> Result<Self, ApiError> {
        let schema = collection.schema();
        let pairs = pairs(text.unwrap_or(""));
        let first = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| &**value);
        let integer = |name: &str| first(name).and_then(|value| value.parse::<i64>().ok());
        let mut filters: Vec<Filter> = Vec::new();
        for (key, value) in &pairs {
            if RESERVED.iter().any(|(name, _)| key == name) {
                continue;
            }
            let property = schema.property(key).ok_or_else(|| unknown("filter by", key, schema))?;
            let value = value.clone().into_owned();
            match filters.iter_mut().find(|filter| filter.property.name == property.name) {
                Some(filter) => filter.values.push(value),
                None => filters.push(Filter { property, values: vec![value] }),
            }
        }
        let order = match first("sortBy").and_then(|value| value.rsplit_once('.')) {
            Some((name, direction @ ("asc" | "desc"))) => {
                let property = schema.property(name).ok_or_else(|| unknown("sort by", name, schema))?;
                Some(Order { property, is_descending: direction == "desc" })
            }
            _ => None,
        };
        let watch = match first("watch") {
            None => None,
            Some("1" | "true") => Some(true),
            Some("0" | "false") => Some(false),
            Some(value) => {
                let (value, expected) = (excerpt(value), "1 or 0".to_owned());
                return Err(ApiError::Invalid { parameter: "watch", value, expected });
            }
        };
        let to_size = |number: i64| usize::try_from(number).unwrap_or(usize::MAX);
        let time = |name| schema.property(name).expect("all records have these");
        Ok(Self {
            collection,
            start: time("startTime"),
            end: time("endTime"),
            filters,
            order,
            state: match first("state") {
                None => State::Unsaid,
                Some("active") => State::Active,
                Some("terminated") => State::Terminated,
                Some(_) => State::All,
            },
            range: Range {
                operation: match first("timeRangeOperation") {
                    Some("contains") => Operation::Contains,
                    Some("within") => Operation::Within,
                    _ => Operation::Intersects,
                },
                // The network observer reads these with a sign and then forgets it.
                start: integer("timeRangeStart").map(i64::cast_unsigned),
                end: integer("timeRangeEnd").map(i64::cast_unsigned),
            },
            limit: integer("limit").filter(|limit| *limit >= 0).map(to_size),
            offset: integer("offset").filter(|offset| *offset >= 0).map_or(0, to_size),
            watch,
        })
    }

    /// What is asked for, in order, and how much there would be without paging.
    pub(crate) fn select(&self, view: View<'_>, scope: Scope) -> (Vec<Item>, usize) {
        match Plan::new(self, view, scope) {
            Some(plan) => plan.select(),
            None => self.scan(view, scope),
        }
    }

    /// The same, by a look at each: of anything but connections and requests there are not that many.
    pub(crate) fn scan(&self, view: View<'_>, scope: Scope) -> (Vec<Item>, usize) {
        let schema = self.collection.schema();
        let end = self.offset.saturating_add(self.limit.unwrap_or(usize::MAX));
        let is_descending = self.order.is_some_and(|order| order.is_descending);
        let mut best = Best::new(end, is_descending);
        for item in self.collection.items(view, scope, self.is_of_live()) {
            let Some(subject) = self.collection.subject(view, item) else { continue };
            if self.lists(view, &subject) {
                let key = self.order.map(|order| (order.property.read)(view, &subject));
                best.add(key, || schema.identity(view, &subject), item);
            }
        }
        let total = best.total();
        (best.into_sorted(self.offset), total)
    }

    /// Whether nothing that has ended can be in the list.
    fn is_of_live(&self) -> bool {
        match self.state {
            State::Active => true,
            State::Unsaid => self.collection.hides_gone(),
            State::All | State::Terminated => false,
        }
    }

    /// What a list depends on of the time when it is asked for, if it does: two of them are the same where this is and
    /// nothing has changed or left.
    pub(crate) fn moment(&self, snapshot: &Snapshot) -> Option<u64> {
        let Range { operation, start, end } = self.range;
        let is_moving = match operation {
            Operation::Intersects => start.is_none() && self.can_have_ended(),
            Operation::Contains => start.is_none() || end.is_none(),
            Operation::Within => start.is_none(),
        };
        // Of connections and requests it is known how many ended before the window: they leave it in that order.
        let ended = self.collection.flow_kind().map(|kind| snapshot.ended_by_time(kind));
        let left = ended
            .filter(|_| operation == Operation::Intersects)
            .map(|ended| ended.rank(Timestamp::from_micros(self.range.from(snapshot.now()))) as u64);
        is_moving.then(|| left.unwrap_or_else(|| snapshot.now().as_micros()))
    }

    /// Whether something with an end can be in the list. A pair is there while both that it is between are, even if
    /// nothing goes between them any more.
    fn can_have_ended(&self) -> bool {
        !self.is_of_live() || self.state == State::Unsaid && self.collection.is_of_pairs()
    }

    /// Whether something is in the list.
    pub(crate) fn lists<'v>(&self, view: View<'v>, subject: &Subject<'v>) -> bool {
        let is_of_what_is = self.state == State::Unsaid && self.collection.hides_gone();
        !(is_of_what_is && is_gone(subject, self.end_of(view, subject)))
            && self.is_in_time_of(view, subject)
            && self.admits(view, subject)
    }

    /// Whether something is in the state and range that is asked for.
    pub(crate) fn is_in_time_of<'v>(&self, view: View<'v>, subject: &Subject<'v>) -> bool {
        let (start, end) = (self.start.number(view, subject), self.end.number(view, subject));
        self.is_in_time(view.snapshot.now(), start, end)
    }

    /// Whether what started and ended then, 0 where it has not, is in the state and range that is asked for.
    pub(crate) fn is_in_time(&self, now: Timestamp, start: u64, end: u64) -> bool {
        let is_in_state = match self.state {
            State::Unsaid | State::All => true,
            State::Active => end == 0,
            State::Terminated => end != 0,
        };
        is_in_state && self.range.has(now, start, end)
    }

    /// What ends alone report [`Query::is_in_time`].
    pub(crate) fn window(&self, now: Timestamp) -> EndBounds {
        let Range { operation, end, .. } = self.range;
        let (has_live, ended, is_exact) = match operation {
            Operation::Intersects => (true, (self.range.from(now), u64::MAX), end.is_none()),
            Operation::Contains => (true, (end.unwrap_or(now.as_micros()), u64::MAX), false),
            Operation::Within => (false, (0, end.unwrap_or(u64::MAX)), false),
        };
        EndBounds {
            has_live: has_live && self.state != State::Terminated,
            ended: (self.state != State::Active).then_some(ended),
            is_exact,
        }
    }

    /// When something ended, 0 where it has not.
    pub(crate) fn end_of<'v>(&self, view: View<'v>, subject: &Subject<'v>) -> u64 {
        self.end.number(view, subject)
    }

    /// Whether something passes the filters.
    pub(crate) fn admits<'v>(&self, view: View<'v>, subject: &Subject<'v>) -> bool {
        self.filters.iter().all(|filter| filter.admits(view, subject))
    }
}

fn unknown(verb: &'static str, name: &str, schema: &'static Schema) -> ApiError {
    let known: Vec<_> = schema.properties().map(|property| property.name).collect();
    ApiError::NoProperty { verb, name: excerpt(name), record: schema.name, known: known.join(", ") }
}

/// Whether it is not there any more, for those who ask what there is.
fn is_gone(subject: &Subject<'_>, end: u64) -> bool {
    match subject {
        // A pair is there for as long as both that it is between are.
        Subject::Pair(pair) => pair.is_gone,
        _ => end != 0,
    }
}

impl Range {
    fn from(self, now: Timestamp) -> u64 {
        self.start.unwrap_or(now.as_micros().saturating_sub(LOOK_BACK_MICROS))
    }

    fn has(self, now: Timestamp, start: u64, end: u64) -> bool {
        let from = self.from(now);
        let now = now.as_micros();
        let is_over_before = |time: u64| end != 0 && end < time;
        match self.operation {
            // Clocks of sources can be ahead of ours: unless somebody says when, nothing is too late to be shown.
            Operation::Intersects => !is_over_before(from) && start <= self.end.unwrap_or(u64::MAX),
            Operation::Contains => start <= from && !is_over_before(self.end.unwrap_or(now)),
            Operation::Within => start >= from && end != 0 && end <= self.end.unwrap_or(u64::MAX),
        }
    }
}

fn matches(kind: Kind, cell: &Cell<'_>, value: &str) -> bool {
    let is_prefix = |text: &Cow<'_, str>| !value.is_empty() && text.starts_with(value);
    match cell {
        Cell::Absent | Cell::Null => false,
        Cell::Number(number) => {
            let wanted = value.parse().ok().or_else(|| value.parse().ok().map(i64::cast_unsigned));
            wanted == Some(*number)
        }
        Cell::Truth(truth) => value == if *truth { "true" } else { "false" },
        Cell::Text(text) => is_prefix(text),
        Cell::Texts(texts) if kind == Kind::Parted => {
            let mut parts = texts.iter().flat_map(|text| text.split('@'));
            !value.is_empty() && parts.any(|part| part.to_lowercase() == value.to_lowercase())
        }
        Cell::Texts(texts) => texts.iter().any(is_prefix),
    }
}

/// Names and values. Pairs that are not well-formed are passed over.
fn pairs(text: &str) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';'));
    pairs
        .filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name)?, decode(value)?))
        })
        .collect()
}

/// None where a percent sign is not followed by two digits.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    let is_digit = |octet: Option<&u8>| octet.is_some_and(u8::is_ascii_hexdigit);
    let bytes = text.as_bytes();
    let mut escapes = bytes.iter().enumerate().filter(|(_, octet)| **octet == b'%').map(|(at, _)| at);
    if !escapes.all(|at| is_digit(bytes.get(at + 1)) && is_digit(bytes.get(at + 2))) {
        return None;
    }
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        return Some(Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned()));
    }
    Some(percent_decode_str(text).decode_utf8_lossy())
}
