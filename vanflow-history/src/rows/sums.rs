//! Sums: what rows that are alike come to, so that who asks for that need not read them all.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Mutex, PoisonError},
};

use super::{Column, ColumnKind, Row, Table, Value};

/// What is summed up of the rows of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// The columns, texts, in which rows are alike that are summed up together.
    pub keys: Vec<usize>,
    /// The columns, numbers, that are; each once.
    pub numbers: Vec<Summed>,
    /// The column that has when they started. Rows of which one ended before it started are not summed up: by the times of the
    /// others nobody could say whether it is looked for.
    pub start: Option<usize>,
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

impl Tally {
    fn add(&mut self, number: u64) {
        self.sum = self.sum.saturating_add(number);
        let (least, greatest) = self.bounds.unwrap_or((number, number));
        self.bounds = Some((least.min(number), greatest.max(number)));
    }
}

impl Table {
    /// What rows come to.
    pub fn sum_up<'r>(&self, rows: impl IntoIterator<Item = &'r Row>) -> Vec<Sum> {
        let mut sums: BTreeMap<Vec<&Value>, (u64, Vec<Tally>)> = BTreeMap::new();
        for row in rows {
            let key = self.sums.keys.iter().map(|column| &row.values[*column]).collect();
            let none = || (0, vec![Tally::default(); self.sums.numbers.len()]);
            let (count, tallies) = sums.entry(key).or_insert_with(none);
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
        let sum = |(key, (rows, numbers)): (Vec<&Value>, _)| Sum {
            alike: self.alike(key.into_iter().cloned()),
            rows,
            numbers,
        };
        sums.into_iter().map(sum).collect()
    }

    /// Whether a row ended before it started.
    pub fn ends_before_it_starts(&self, row: &Row) -> bool {
        let start = self.sums.start.map(|column| &row.values[column]);
        matches!(start, Some(Value::Number(start)) if *start > self.end(row))
    }

    /// A row with those keys alone.
    fn alike(&self, keys: impl Iterator<Item = Value>) -> Row {
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
            Column { name: "key", kind: ColumnKind::Text },
            Column { name: "endTime", kind: ColumnKind::Instant },
            Column { name: "rows", kind: ColumnKind::Number },
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
            end: 1,
            order: Vec::new(),
            sums: Sums::default(),
        }
    }

    /// Sums as rows of [`Table::of_sums`], all of rows of which the last ended then.
    pub fn rows_of_sums(&self, sums: Vec<Sum>, last_end: u64) -> Vec<Row> {
        let row = |(number, sum): (usize, Sum)| {
            let key = Value::Text(number.to_string().into());
            let mut values = vec![key, Value::Number(last_end), Value::Number(sum.rows)];
            values.extend(self.sums.keys.iter().map(|column| sum.alike.values[*column].clone()));
            for tally in sum.numbers {
                let bounds = tally.bounds.map_or([Value::None, Value::None], |(least, greatest)| {
                    [Value::Number(least), Value::Number(greatest)]
                });
                values.push(Value::Number(tally.sum));
                values.extend(bounds);
            }
            Row { values: values.into() }
        };
        sums.into_iter().enumerate().map(row).collect()
    }

    /// The sum that such a row is; none where it is none.
    pub fn sum_of_row(&self, row: Row) -> Option<Sum> {
        let mut values = row.values.into_vec().into_iter().skip(2);
        let number =
            |value: Option<Value>| if let Some(Value::Number(number)) = value { Some(number) } else { None };
        let rows = number(values.next())?;
        let keys: Vec<_> = values.by_ref().take(self.sums.keys.len()).collect();
        let mut numbers = Vec::with_capacity(self.sums.numbers.len());
        for _ in &self.sums.numbers {
            let sum = number(values.next())?;
            let (least, greatest) = (number(values.next()), number(values.next()));
            numbers.push(Tally { sum, bounds: least.zip(greatest) });
        }
        Some(Sum { alike: self.alike(keys.into_iter()), rows, numbers })
    }
}

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
