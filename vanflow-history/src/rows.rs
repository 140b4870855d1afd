//! Rows: what there was, one row for each thing that is over.
//!
//! Who keeps rows says in a [`Table`] what they look like; what holds them knows nothing else of them.

mod sums;

use std::ops::ControlFlow;
#[cfg(feature = "archive")]
use std::{borrow::Borrow, cmp::Ordering};

use serde_json::{Map, Value as Json};
use thiserror::Error;

#[cfg(feature = "archive")]
pub(crate) use self::sums::{
    BEFORE_KEYS, Slot, Summary, alike_columns, merge_slots, merge_values, rows_of_slots,
};
pub use self::sums::{Part, Sum, Summed, Summing, Sums, Tally};

/// What the rows of one kind look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Where they are kept: a folder of this name.
    pub name: &'static str,
    /// What each has, in the order of the values of a row.
    pub columns: Vec<Column>,
    /// The column that tells a row from all others, a text: what identifies it, or that, `@` and when it began.
    pub key: usize,
    /// The column that identifies it, a text; another that came later can have the same.
    pub identity: usize,
    /// The column that has when it ended, by which rows are found.
    pub end: usize,
    /// By which columns rows of the same five minutes are ordered: rows that are alike lie together, and take less.
    pub order: Vec<usize>,
    /// What is summed up; without keys nothing is.
    pub sums: Sums,
}

/// The table of that name, if it is among these.
pub fn named<'t>(tables: &'t [Table], name: &str) -> Option<&'t Table> {
    tables.iter().find(|table| table.name == name)
}

/// What every row of a table has, or can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// By which files and queries know it.
    pub name: &'static str,
    /// What its values are.
    pub kind: ColumnKind,
}

/// What the values of a column are, where they are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// A text.
    Text,
    /// Texts, none or more.
    Texts,
    /// A number.
    Number,
    /// Microseconds since the epoch; none in place of 0.
    Instant,
    /// True or false.
    Truth,
}

/// A value of a row.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// There is none.
    #[default]
    None,
    /// A number, or microseconds since the epoch.
    Number(u64),
    /// True or false.
    Truth(bool),
    /// A text.
    Text(Box<str>),
    /// Texts.
    Texts(Vec<Box<str>>),
}

impl Value {
    /// What JSON says, where a column of that kind can have it.
    pub fn of(json: Option<Json>, kind: ColumnKind) -> Self {
        match (json, kind) {
            (Some(Json::String(text)), ColumnKind::Text) => Self::Text(text.into()),
            (Some(Json::Bool(truth)), ColumnKind::Truth) => Self::Truth(truth),
            (Some(Json::Number(number)), ColumnKind::Number | ColumnKind::Instant) => {
                number.as_u64().map_or(Self::None, Self::Number)
            }
            (Some(Json::Array(texts)), ColumnKind::Texts) => {
                Self::Texts(texts.iter().filter_map(Json::as_str).map(Into::into).collect())
            }
            _ => Self::None,
        }
    }

    /// As JSON; none where there is none.
    pub fn to_json(&self) -> Option<Json> {
        Some(match self {
            Self::None => return None,
            Self::Number(number) => (*number).into(),
            Self::Truth(truth) => (*truth).into(),
            Self::Text(text) => (**text).into(),
            Self::Texts(texts) => texts.iter().map(|text| Json::from(&**text)).collect(),
        })
    }
}

/// A row of a table: as many values as that has columns.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// In the order of the columns.
    pub values: Box<[Value]>,
}

impl Row {
    /// About how many octets of memory it takes.
    pub fn memory(&self) -> u64 {
        let of_text = |text: &str| text.len() + ALLOCATION;
        let beside = self.values.iter().map(|value| match value {
            Value::None | Value::Number(_) | Value::Truth(_) => 0,
            Value::Text(text) => of_text(text),
            Value::Texts(texts) => {
                ALLOCATION + texts.iter().map(|text| size_of_val(text) + of_text(text)).sum::<usize>()
            }
        });
        (ALLOCATION + size_of_val(&*self.values) + beside.sum::<usize>()) as u64
    }
}

/// What an allocation takes beside what is in it, in octets.
const ALLOCATION: usize = 16;

impl Table {
    /// The position of the column of that name.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// A row as JSON: what there is of it, by the names of the columns.
    pub fn json(&self, row: &Row) -> Map<String, Json> {
        let columns = self.columns.iter().zip(&row.values);
        columns.filter_map(|(column, value)| Some((column.name.to_owned(), value.to_json()?))).collect()
    }

    /// What tells a row from all others.
    pub fn key<'r>(&self, row: &'r Row) -> &'r str {
        match row.values.get(self.key) {
            Some(Value::Text(key)) => key,
            _ => "",
        }
    }

    /// Whether that is what tells a row from all others, or identifies it.
    pub fn is_called(&self, row: &Row, name: &str) -> bool {
        let identity = row.values.get(self.identity);
        self.key(row) == name || matches!(identity, Some(Value::Text(identity)) if **identity == *name)
    }

    /// Puts rows in the order of files.
    #[cfg(feature = "archive")]
    pub(crate) fn sort<R: Borrow<Row>>(&self, rows: &mut [R]) {
        rows.sort_by(|left, right| {
            let (left, right) = (left.borrow(), right.borrow());
            self.in_order((self.end(left), self.end(right)), |column| {
                (left.values.get(column), right.values.get(column))
            })
        });
    }

    /// Which of two rows comes first in files, by when they ended and what they have in a column, or what is in place of that.
    #[cfg(feature = "archive")]
    pub(crate) fn in_order<V: Ord>(&self, ends: (u64, u64), of: impl Fn(usize) -> (V, V)) -> Ordering {
        let slot = |end: u64| end / (5 * 60 * 1_000_000);
        let compare = |column: &usize| {
            let (left, right) = of(*column);
            left.cmp(&right)
        };
        let alike = || self.order.iter().map(compare).find(|order| order.is_ne()).unwrap_or(Ordering::Equal);
        (slot(ends.0).cmp(&slot(ends.1)))
            .then_with(alike)
            .then_with(|| ends.0.cmp(&ends.1))
            .then_with(|| compare(&self.key))
    }

    /// When the row with that key began, in microseconds, if it says so.
    pub fn began(key: &str) -> Option<u64> {
        key.rsplit_once('@')?.1.parse().ok()
    }

    /// When a row ended, in microseconds since the epoch.
    pub fn end(&self, row: &Row) -> u64 {
        match row.values.get(self.end) {
            Some(Value::Number(end)) => *end,
            _ => 0,
        }
    }
}

/// Which rows are looked for: those that ended then, in microseconds, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The earliest end.
    pub from: u64,
    /// The latest.
    pub until: u64,
}

impl Span {
    /// Whether a row with that end is looked for.
    pub fn has(self, end: u64) -> bool {
        (self.from..=self.until).contains(&end)
    }

    /// Whether it has all of those that ended between these times.
    pub fn has_all(self, earliest: u64, latest: u64) -> bool {
        self.from <= earliest && latest <= self.until
    }

    /// Whether any of the rows that ended between these times can be.
    pub fn meets(self, earliest: u64, latest: u64) -> bool {
        self.from <= latest && earliest <= self.until
    }
}

/// Which rows are looked for, and what of them. Whoever holds rows looks for them by this alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted<'q> {
    /// The name of their table.
    pub table: &'q str,
    /// When they ended.
    pub span: Span,
    /// What all of them have. A row that has not may be given all the same: who asks looks once more.
    pub conditions: Vec<Condition>,
    /// The names of the columns that are looked at; none where all are. Others may be without a value in what is given.
    pub columns: Option<Vec<&'q str>>,
}

impl<'q> Wanted<'q> {
    /// All rows of a table that ended then.
    pub fn all(table: &'q str, span: Span) -> Self {
        Self { table, span, conditions: Vec::new(), columns: None }
    }

    /// The same, of those with that.
    #[must_use]
    pub fn with(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }

    /// The same, of which those columns are looked at.
    #[must_use]
    pub fn of_columns(self, columns: Vec<&'q str>) -> Self {
        Self { columns: Some(columns), ..self }
    }

    /// Whether a row of that table is looked for.
    pub fn admits(&self, table: &Table, row: &Row) -> bool {
        self.span.has(table.end(row)) && self.conditions.iter().all(|condition| condition.admits(table, row))
    }
}

/// What a row has in one of its columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The name of the column. None has what is asked for in a column that its table has not.
    pub column: &'static str,
    /// What is there.
    pub is: Is,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Is {
    /// A text that is one of these.
    OneOf(Vec<Box<str>>),
    /// A text that begins with one of these.
    Beginning(Vec<Box<str>>),
    /// A number, or a time, from the first to the last, both included. One that is not known is 0.
    Within(u64, u64),
}

impl Condition {
    /// Whether a row of that table has it.
    pub fn admits(&self, table: &Table, row: &Row) -> bool {
        let value = table.column(self.column).and_then(|at| row.values.get(at));
        self.is.admits(value.unwrap_or(&Value::None))
    }
}

impl Is {
    /// Whether that is such a value.
    pub fn admits(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::OneOf(texts), Value::Text(text)) => texts.contains(text),
            (Self::Beginning(texts), Value::Text(text)) => {
                texts.iter().any(|known| text.starts_with(&**known))
            }
            (Self::Within(from, until), Value::Number(number)) => (from..=until).contains(&number),
            (Self::Within(from, _), Value::None) => *from == 0,
            _ => false,
        }
    }
}

/// Why rows are not to be had. What cannot be read was reported in the log; this is for who asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("a part of the history cannot be read: {0}")]
pub struct UnreadableRows(pub String);

/// Something that holds rows.
pub trait Rows: Send + Sync + std::fmt::Debug {
    /// Gives each row that is looked for, in no order, each once, until `visit` has enough.
    ///
    /// # Errors
    ///
    /// Where something that should be there cannot be read: an answer without it would be silently short.
    fn visit(
        &self,
        wanted: &Wanted<'_>,
        visit: &mut dyn FnMut(Row) -> ControlFlow<()>,
    ) -> Result<(), UnreadableRows>;

    /// The same, where sums will do in place of some of the rows: who asks decides by what they have in common. What was
    /// replaced is not in sums, and can be among the rows. Where rows are not there any more, what ended in the steps at
    /// both ends is counted as a whole, and what was open at the end is not: this gives of which time all that ended is in
    /// it.
    ///
    /// # Errors
    ///
    /// As [`Rows::visit`].
    fn visit_sums(
        &self,
        wanted: &Wanted<'_>,
        summing: &Summing,
        visit: &mut dyn FnMut(Part) -> ControlFlow<()>,
    ) -> Result<Span, UnreadableRows> {
        self.visit(wanted, &mut |row| visit(Part::Row(row)))?;
        Ok(Span { from: wanted.span.from.max(self.since(wanted.table)), until: summing.whole.until })
    }

    /// From when on all rows of the table of that name are here, in microseconds: what ended before can have been removed.
    fn since(&self, table: &str) -> u64 {
        let _ = table;
        0
    }

    /// The row of the table of that name with that key, or the one with that identity that ended last.
    ///
    /// # Errors
    ///
    /// Where something that should be there cannot be read, and it could be in that.
    fn find(&self, table: &str, name: &str) -> Result<Option<Row>, UnreadableRows>;

    /// What of it is at hand: nobody else is asked for it.
    fn here(&self) -> &dyn Rows;

    /// From when on all that there is is at hand, in microseconds.
    fn here_since(&self) -> u64 {
        0
    }

    /// The latest end of the rows that were here from the beginning, in microseconds: nobody else need have those.
    fn inherited_until(&self) -> u64;

    /// What is held of the table of that name.
    fn held(&self, table: &str) -> Held;
}

/// How much there is of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// When the earliest row ended, in microseconds; none where there is none.
    pub since: Option<u64>,
    /// How many rows there are.
    pub rows: u64,
    /// How many octets they take on disk.
    pub octets: u64,
    /// How many octets of memory those take that are in no file yet.
    pub memory: u64,
    /// How many rows there are elsewhere, the same ones among them.
    pub elsewhere: u64,
}
