//! Events as rows of a history, which outlive the process.
//!
//! A row is an event as it was at some moment: one that counts more, or is over, has a later row. Of several the latest is
//! what it is. Rows are found by when they were recorded, which is not before anything that they say.

use std::{collections::HashMap, ops::ControlFlow, sync::Arc};

use vanflow_history::rows::{
    Column, ColumnKind, Condition, Is, Row, Rows, Span, Sums, Table, UnreadableRows, Value, Wanted,
};
use vanflow_proto::Timestamp;

use crate::{
    query::value::{Cell, Kind},
    v1::{
        events::{
            event::{Event, EventKind, Place},
            list,
        },
        subject::{Severity, Subject, SubjectType},
    },
    v2alpha1::NETWORK,
};

/// What their table is called.
pub(crate) const NAME: &str = "events";

/// What rows have beside the properties, before them.
const KEY: &str = "key";
const RECORDED: &str = "recorded";

/// What rows of events look like: a column for each property of `/api/v1/events`.
pub(crate) fn table() -> Table {
    let beside = [
        Column { name: KEY, kind: ColumnKind::Text },
        Column { name: RECORDED, kind: ColumnKind::Instant },
        NETWORK,
    ];
    let column = |(name, kind): (&'static str, Kind)| Column {
        name,
        kind: match kind {
            Kind::Text | Kind::OneOf(_) => ColumnKind::Text,
            Kind::Texts | Kind::Parted => ColumnKind::Texts,
            Kind::Instant => ColumnKind::Instant,
            Kind::Number => ColumnKind::Number,
            Kind::Truth => ColumnKind::Truth,
        },
    };
    let columns: Vec<_> = beside.into_iter().chain(list::shown().map(column)).collect();
    let position =
        |name| columns.iter().position(|column| column.name == name).expect("all events have these");
    Table {
        name: NAME,
        key: position(KEY),
        identity: position("identity"),
        end: position(RECORDED),
        order: vec![position("kind"), position("subjectId")],
        sums: Sums::default(),
        columns,
    }
}

/// The row of an event as it is at that time. Whose network it was others know.
fn row(event: &Event, now: Timestamp) -> Row {
    let now = now.as_micros();
    let key = Value::Text(format!("{}@{now}", event.identity).into());
    let beside = [key, Value::Number(now), Value::None];
    let value = |cell: Cell<'_>| match cell {
        Cell::Absent | Cell::Null => Value::None,
        Cell::Number(number) => Value::Number(number),
        Cell::Truth(truth) => Value::Truth(truth),
        Cell::Text(text) => Value::Text(text.into()),
        Cell::Texts(texts) => Value::Texts(texts.into_iter().map(Into::into).collect()),
    };
    Row { values: beside.into_iter().chain(list::cells(event).map(value)).collect() }
}

/// The event of a row; none where it is of a kind that this version does not know.
fn event(table: &Table, row: &Row) -> Option<Event> {
    let value = |name| table.column(name).and_then(|at| row.values.get(at)).unwrap_or(&Value::None);
    let text = |name| if let Value::Text(text) = value(name) { Some(text.to_string()) } else { None };
    let number = |name| if let Value::Number(number) = value(name) { Some(*number) } else { None };
    let among = |name, known: &[&str]| {
        let text = text(name)?;
        known.iter().position(|name| *name == text)
    };
    Some(Event {
        identity: text("identity")?.parse().ok()?,
        number: number("number")?,
        time: Timestamp::from_micros(number("time")?),
        end: number("endTime").map(Timestamp::from_micros),
        kind: EventKind::ALL[among("kind", EventKind::NAMES)?],
        severity: Severity::ALL[among("severity", Severity::NAMES)?],
        subject: Subject {
            subject_type: SubjectType::ALL[among("subjectType", SubjectType::NAMES)?],
            id: text("subjectId").unwrap_or_default(),
            name: text("subjectName").unwrap_or_default(),
        },
        place: text("siteId").map(|id| Place { id, name: text("siteName") }),
        text: text("text").unwrap_or_default(),
        detail: text("detail"),
        count: number("count"),
    })
}

impl Event {
    pub(crate) fn which(&self) -> Which {
        (self.identity, self.time)
    }
}

/// What tells an event from all others: a collector that lost its history numbers anew.
pub(crate) type Which = (u64, Timestamp);

/// The events of a history that were recorded since a time and had happened until another; each as it was last.
pub(crate) fn read(
    rows: &dyn Rows,
    since: u64,
    until: u64,
) -> Result<HashMap<Which, Arc<Event>>, UnreadableRows> {
    let table = table();
    let mut events: HashMap<Which, (u64, Arc<Event>)> = HashMap::new();
    let had_happened = Condition { column: "time", is: Is::Within(0, until) };
    let wanted = Wanted::all(NAME, Span { from: since, until: u64::MAX }).with(had_happened);
    rows.visit(&wanted, &mut |row| {
        if let Some(event) = event(&table, &row) {
            let recorded = table.end(&row);
            let known = events.entry(event.which()).or_insert_with(|| (recorded, Arc::new(event.clone())));
            if recorded > known.0 {
                *known = (recorded, Arc::new(event));
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok(events.into_iter().map(|(which, (_, event))| (which, event)).collect())
}

/// The highest number that an event of a history has.
pub(crate) fn last_number(rows: &dyn Rows) -> Result<u64, UnreadableRows> {
    const DAY: u64 = 24 * 60 * 60 * 1_000_000;
    let table = table();
    let number = table.column("number").expect("all events have one");
    let newest = rows.inherited_until();
    // What was recorded later has a higher one: what is older is looked at only where there is nothing newer.
    for from in [newest.saturating_sub(DAY), newest.saturating_sub(30 * DAY), 0] {
        let mut last = 0;
        let wanted = Wanted::all(NAME, Span { from, until: u64::MAX }).of_columns(vec!["number"]);
        rows.visit(&wanted, &mut |row| {
            if let Value::Number(number) = row.values[number] {
                last = last.max(number);
            }
            ControlFlow::Continue(())
        })?;
        if last > 0 {
            return Ok(last);
        }
    }
    Ok(0)
}

/// Which events are rows already.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorded {
    /// Of each what changes of it.
    known: HashMap<u64, (u64, Option<Timestamp>)>,
    /// When none had changed, by revision.
    seen: Option<u64>,
}

impl Recorded {
    /// That event is a row.
    pub(crate) fn know(&mut self, event: &Event) {
        self.known.insert(event.identity, (event.number, event.end));
    }

    /// The rows of what happened or changed since the last time.
    pub(crate) fn rows<'e>(
        &mut self,
        revision: u64,
        events: impl Iterator<Item = &'e Arc<Event>>,
        now: Timestamp,
    ) -> Vec<Row> {
        if self.seen.replace(revision) == Some(revision) {
            return Vec::new();
        }
        let mut known = HashMap::with_capacity(self.known.len());
        let mut rows = Vec::new();
        for event in events {
            let state = (event.number, event.end);
            if self.known.get(&event.identity) != Some(&state) {
                rows.push(row(event, now));
            }
            known.insert(event.identity, state);
        }
        self.known = known;
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_the_same_when_it_was_a_row() {
        let place = Place { id: "site-1".to_owned(), name: None };
        for (end, place, detail, count) in [
            (None, None, None, None),
            (Some(Timestamp::from_micros(9)), Some(place), Some("it says so".to_owned()), Some(3)),
        ] {
            let whole = Event {
                identity: 7,
                number: 9,
                time: Timestamp::from_micros(8),
                end,
                kind: EventKind::Certificate,
                severity: Severity::Change,
                subject: Subject {
                    subject_type: SubjectType::Collector,
                    id: String::new(),
                    name: "collector".to_owned(),
                },
                place,
                text: "it expired".to_owned(),
                detail,
                count,
            };
            let table = table();
            let row = row(&whole, Timestamp::from_micros(11));
            assert_eq!((table.key(&row), table.end(&row)), ("7@11", 11));
            assert_eq!(row.values.len(), table.columns.len());
            assert_eq!(event(&table, &row), Some(whole));
        }
    }

    #[test]
    fn names_and_kinds_are_in_one_order() {
        for (position, name) in SubjectType::NAMES.iter().enumerate() {
            assert_eq!(SubjectType::ALL[position].name(), *name);
        }
        for (position, name) in Severity::NAMES.iter().enumerate() {
            assert_eq!(Severity::ALL[position].name(), *name);
        }
    }
}
