//! Sums: what rows that are alike come to, so that who asks for that need not read them all.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
};

use super::{Column, ColumnKind, Row, Span, Table, Value};

/// What is summed up of the rows of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// The columns, texts, in which rows are alike that are summed up together.
    pub keys: Vec<usize>,
    /// The columns, numbers, that are; each once.
    pub numbers: Vec<Summed>,
    /// The column that has when they started.
    pub start: Option<usize>,
    /// The column, a number, that says that a row is in place of the one with the same key that ended before it.
    pub replaces: Option<usize>,
}

/// A number that is summed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summed {
    /// Its column.
    pub column: usize,
    /// The column that says whether it is known, where one does.
    pub known: Option<usize>,
}

/// What rows that are alike come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    /// A row with what they have in common alone.
    pub alike: Row,
    /// Where the step begins in which they ended, in microseconds; 0 where no step was asked for.
    pub begin: u64,
    /// How many they are.
    pub rows: u64,
    /// What each number comes to, in the order of [`Sums::numbers`].
    pub numbers: Vec<Tally>,
}

/// What a number comes to in the rows in which it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All of them together, at most as much as there can be.
    pub sum: u64,
    /// The least and the greatest; none where it is known in none.
    pub bounds: Option<(u64, u64)>,
}

/// Rows that are looked for, one by one or as what some of them come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A row.
    Row(Row),
    /// What rows come to that are all looked for.
    Sum(Sum),
}

/// Where sums will do in place of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summing {
    /// Rows that ended then are looked for, whatever else is, but for those that started after the end of it.
    pub whole: Span,
    /// The length in microseconds of the steps that are told apart, from the epoch on; none where all is one.
    pub step: Option<u64>,
    /// Whether the least and the greatest are asked for, too.
    pub has_bounds: bool,
}

/// What sums are kept of together, within a step.
#[cfg(feature = "archive")]
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Slot {
    /// What they have in common, in the order of [`Sums::keys`].
    pub(crate) keys: Vec<Value>,
    /// Where the step begins.
    pub(crate) begin: u64,
    /// Whether others are in place of them: they are in another sum, and are to be taken away.
    pub(crate) is_replaced: bool,
    /// Whether they started after they ended: by when they ended nobody can say whether they are looked for.
    pub(crate) starts_late: bool,
}

/// How many rows there are, and what their numbers come to.
pub(crate) type Summary = (u64, Vec<Tally>);

impl Tally {
    fn add(&mut self, number: u64) {
        self.merge(Self { sum: number, bounds: Some((number, number)) });
    }

    /// Adds what another comes to.
    pub fn merge(&mut self, other: Self) {
        self.sum = self.sum.saturating_add(other.sum);
        self.bounds = match (self.bounds, other.bounds) {
            (Some((least, greatest)), Some((low, high))) => Some((least.min(low), greatest.max(high))),
            (own, other) => own.or(other),
        };
    }
}

impl Table {
    /// What rows come to in steps of that length, in microseconds; all together where there is none.
    pub fn sum_up<'r>(&self, rows: impl IntoIterator<Item = &'r Row>, step: Option<u64>) -> Vec<Sum> {
        let mut sums = HashMap::new();
        self.sum_rows(rows, step, &mut sums);
        let mut sums: Vec<_> = sums.into_iter().collect();
        sums.sort_by(|(left, _), (right, _)| (&left.0, left.1).cmp(&(&right.0, right.1)));
        let sum = |((keys, begin), (rows, numbers)): (Alike<'r>, Summary)| Sum {
            alike: self.alike(keys.into_iter().cloned()),
            begin,
            rows,
            numbers,
        };
        sums.into_iter().map(sum).collect()
    }

    /// The same as it is kept. Those of `replaced` are taken away again.
    #[cfg(feature = "archive")]
    pub(crate) fn slots(&self, rows: &[&Row], replaced: &[Row], step: u64) -> HashMap<Slot, Summary> {
        let mut slots = HashMap::new();
        let replaced: Vec<&Row> = replaced.iter().collect();
        for (rows, is_replaced) in [(rows, false), (&replaced, true)] {
            for starts_late in [false, true] {
                let mut sums = HashMap::new();
                let its = rows.iter().copied().filter(|row| self.starts_late(row) == starts_late);
                self.sum_rows(its, Some(step), &mut sums);
                slots.extend(sums.into_iter().map(|((keys, begin), summary)| {
                    let keys = keys.into_iter().cloned().collect();
                    (Slot { keys, begin, is_replaced, starts_late }, summary)
                }));
            }
        }
        slots
    }

    fn sum_rows<'r>(
        &self,
        rows: impl IntoIterator<Item = &'r Row>,
        step: Option<u64>,
        sums: &mut HashMap<Alike<'r>, Summary>,
    ) {
        for row in rows {
            let keys = self.sums.keys.iter().map(|column| &row.values[*column]).collect();
            let begin = step.map_or(0, |step| self.end(row) / step * step);
            let none = || (0, vec![Tally::default(); self.sums.numbers.len()]);
            let (count, tallies) = sums.entry((keys, begin)).or_insert_with(none);
            *count += 1;
            for (summed, tally) in self.sums.numbers.iter().zip(tallies) {
                let is_known = |column: usize| row.values[column] == Value::Truth(true);
                if let Value::Number(number) = row.values[summed.column]
                    && summed.known.is_none_or(is_known)
                {
                    tally.add(number);
                }
            }
        }
    }

    /// Whether a row ended before it started.
    pub fn starts_late(&self, row: &Row) -> bool {
        let start = self.sums.start.map(|column| &row.values[column]);
        matches!(start, Some(Value::Number(start)) if *start > self.end(row))
    }

    /// Whether a row is in place of an earlier one of the same key.
    pub fn replaces(&self, row: &Row) -> bool {
        let replaces = self.sums.replaces.map(|column| &row.values[column]);
        matches!(replaces, Some(Value::Number(1..)))
    }

    /// A row with those keys alone.
    pub(crate) fn alike(&self, keys: impl Iterator<Item = Value>) -> Row {
        let mut values = vec![Value::None; self.columns.len()];
        for (column, key) in self.sums.keys.iter().zip(keys) {
            values[*column] = key;
        }
        Row { values: values.into() }
    }

    /// What rows look like that are sums of the rows of this table: they can be kept as any others.
    pub fn of_sums(&self) -> Self {
        let named = |name: String, kind| Column { name: interned(name), kind };
        let mut columns = vec![
            Column { name: "time", kind: ColumnKind::Instant },
            Column { name: "rows", kind: ColumnKind::Number },
            Column { name: "isReplaced", kind: ColumnKind::Truth },
            Column { name: "startsLate", kind: ColumnKind::Truth },
        ];
        columns.extend(self.sums.keys.iter().map(|column| self.columns[*column]));
        for summed in &self.sums.numbers {
            let name = self.columns[summed.column].name;
            let parts = ["Sum", "Min", "Max"].map(|part| named(format!("{name}{part}"), ColumnKind::Number));
            columns.extend(parts);
        }
        Self {
            name: self.name,
            columns,
            key: 0,
            identity: 0,
            end: 0,
            order: Vec::new(),
            sums: Sums::default(),
        }
    }
}

/// How many columns sums have before those of the keys.
#[cfg(feature = "archive")]
pub(crate) const BEFORE_KEYS: usize = 4;

/// What sums look like as rows of [`Table::of_sums`], in order.
#[cfg(feature = "archive")]
pub(crate) fn rows_of_slots(slots: HashMap<Slot, Summary>) -> Vec<Row> {
    let mut slots: Vec<_> = slots.into_iter().collect();
    slots.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
    let row = |(slot, (rows, tallies)): (Slot, Summary)| {
        let truths = [Value::Truth(slot.is_replaced), Value::Truth(slot.starts_late)];
        let mut values = vec![Value::Number(slot.begin), Value::Number(rows)];
        values.extend(truths.into_iter().chain(slot.keys));
        for Tally { sum, bounds } in tallies {
            let (least, greatest) = bounds.unzip();
            let known = |number: Option<u64>| number.map_or(Value::None, Value::Number);
            values.extend([Value::Number(sum), known(least), known(greatest)]);
        }
        Row { values: values.into() }
    };
    slots.into_iter().map(row).collect()
}

/// Adds sums, as they were kept, to others, in steps of that length.
#[cfg(feature = "archive")]
pub(crate) fn merge_slots(
    into: &mut HashMap<Slot, Summary>,
    slots: impl IntoIterator<Item = (Slot, Summary)>,
    step: u64,
) {
    for (mut slot, (rows, tallies)) in slots {
        slot.begin = slot.begin / step * step;
        let none = || (0, vec![Tally::default(); tallies.len()]);
        let (count, sums) = into.entry(slot).or_insert_with(none);
        *count += rows;
        sums.iter_mut().zip(tallies).for_each(|(sum, tally)| sum.merge(tally));
    }
}

/// The columns of [`Table::of_sums`] in which sums are alike that are merged, in the order of [`Slot`].
#[cfg(feature = "archive")]
pub(crate) fn alike_columns(keys: usize) -> impl Iterator<Item = usize> {
    (BEFORE_KEYS..BEFORE_KEYS + keys).chain([0, 2, 3])
}

/// What values of two sums that are merged come to, in that column of [`Table::of_sums`].
#[cfg(feature = "archive")]
pub(crate) fn merge_values(column: usize, keys: usize, one: Value, other: Value) -> Value {
    let merge: fn(u64, u64) -> u64 = match (column, column.checked_sub(BEFORE_KEYS + keys)) {
        (1, _) => u64::saturating_add,
        (_, Some(part)) => [u64::saturating_add, u64::min, u64::max][part % 3],
        (_, None) => return one,
    };
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => Value::Number(merge(one, other)),
        (Value::None, known) | (known, _) => known,
    }
}

/// What rows have in common, and where the step begins in which they ended.
type Alike<'r> = (Vec<&'r Value>, u64);

/// A name for as long as the process lives. There are as many as tables have numbers.
fn interned(name: String) -> &'static str {
    static NAMES: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    let names = names.get_or_insert_default();
    if let Some(known) = names.get(name.as_str()) {
        return known;
    }
    let name: &'static str = name.leak();
    names.insert(name);
    name
}
