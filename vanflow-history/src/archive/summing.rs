//! Sums for those who ask: which times are answered from which rollup, and what comes of it.
//!
//! The coarsest that fits is read, at both ends a finer one, and rows where no whole minute is left. Where rows are gone, the
//! steps at both ends count as a whole, and whoever asks is told.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    ops::{ControlFlow, Range},
};

use parquet::{
    column::reader::ColumnReader,
    data_type::ByteArray,
    errors::{ParquetError, Result},
    file::reader::RowGroupReader,
};

use super::{
    Archive, Entry, Reader,
    columns::read,
    rollup::{ROLLUPS, Since},
};
use crate::rows::{BEFORE_KEYS, Part, Row, Span, Sum, Summing, Table, Tally, UnreadableRows, Value, Wanted};

/// What is answered from what.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Of which time all that ended is in the answer, both ends included.
    pub(super) from: u64,
    pub(super) until: u64,
    /// Which times are answered from which of the rollups.
    pub(super) sums: [Vec<Range<u64>>; ROLLUPS.len()],
    /// Which from rows.
    pub(super) rows: Vec<Range<u64>>,
}

impl Plan {
    /// What of a time, both ends included, is answered from what; from `rows_from` on nothing from sums.
    pub(super) fn new(since: &Since, (from, until): (u64, u64), step: Option<u64>, rows_from: u64) -> Self {
        let fits = |level: &usize| step.is_none_or(|step| step.is_multiple_of(ROLLUPS[*level].step));
        let usable: Vec<usize> = (0..ROLLUPS.len()).filter(fits).collect();
        let begin = |level: usize, time: u64| time / ROLLUPS[level].step * ROLLUPS[level].step;
        let finest_at =
            |time: u64| usable.iter().copied().find(|level| begin(*level, time) >= since.rollups[*level]);
        let mut plan = Self { from, until, ..Self::default() };
        if from < since.rows {
            let earliest = usable.iter().map(|level| since.rollups[*level]).min().unwrap_or(u64::MAX);
            plan.from = match finest_at(from) {
                Some(level) => begin(level, from),
                None => earliest.min(since.rows).max(from),
            };
        }
        if until < since.rows
            && let Some(level) = finest_at(until)
        {
            plan.until = begin(level, until) + (ROLLUPS[level].step - 1);
        }
        if plan.from <= plan.until {
            let whole = plan.from..plan.until.saturating_add(1);
            plan.cover(whole, &usable, since, rows_from);
        }
        plan
    }

    fn cover(&mut self, time: Range<u64>, levels: &[usize], since: &Since, rows_from: u64) {
        if time.is_empty() {
            return;
        }
        let Some((level, finer)) = levels.split_last() else {
            self.rows.push(time);
            return;
        };
        let step = ROLLUPS[*level].step;
        let begin = time.start.max(since.rollups[*level]).checked_next_multiple_of(step).unwrap_or(u64::MAX);
        let end = time.end.min(rows_from) / step * step;
        if begin >= end {
            return self.cover(time, finer, since, rows_from);
        }
        self.cover(time.start..begin, finer, since, rows_from);
        self.sums[*level].push(begin..end);
        self.cover(end..time.end, finer, since, rows_from);
    }
}

impl Archive {
    /// Gives what is looked for, from sums where that will do.
    pub(super) fn sums(
        &self,
        wanted: &Wanted<'_>,
        summing: &Summing,
        visit: &mut dyn FnMut(Part) -> ControlFlow<()>,
    ) -> std::result::Result<Span, UnreadableRows> {
        let Some(at) = self.tables.iter().position(|known| known.name == wanted.table) else {
            return Ok(wanted.span);
        };
        let table = &self.tables[at];
        let since = self.since_of(at);
        let (in_logs, files, rollups) = {
            let state = self.state();
            let is_asked = |file: &&Entry| file.table == at && wanted.span.meets(file.ends.0, file.ends.1);
            let can_have = |file: &&Entry| file.table == at && file.can_have(table, wanted);
            let files: Vec<_> = state.files.iter().filter(can_have).cloned().collect();
            let rollups: Vec<_> = state.rollups.iter().filter(is_asked).cloned().collect();
            (state.logged(at), files, rollups)
        };
        let latest = rollups.iter().map(|file| file.ends.1).max().unwrap_or(0);
        let asked = (wanted.span.from, summing.whole.until);
        let time = (asked.0.max(summing.whole.from), asked.1.min(latest.max(since.rows)));
        // What is in place of others that are in sums is taken away from those only when it is in a file.
        let mut rows_from = u64::MAX;
        if in_logs.iter().any(|row| table.replaces(row)) {
            rows_from = since.rows;
        }
        let (plan, gathered) = loop {
            let plan = Plan::new(&since, time, summing.step, rows_from);
            let mut gathered = Gathered::new(table, &self.sums[at], wanted, summing.step);
            let outcome = rollups.iter().try_for_each(|file| {
                let times = file.rollup.map_or(&[][..], |level| &plan.sums[level]);
                let is_asked = times.iter().any(|time| time.start <= file.ends.1 && file.ends.0 < time.end);
                if is_asked {
                    gathered.read(file, times).map_err(|error| file.unreadable(&error))
                } else {
                    Ok(())
                }
            });
            let is_inexact = gathered.starts_late && asked.1 < wanted.span.until
                || gathered.is_replaced && summing.has_bounds;
            match outcome {
                Ok(()) if !is_inexact || rows_from <= since.rows => break (plan, gathered),
                Err(error) if rows_from <= since.rows => return Err(error),
                _ => rows_from = since.rows,
            }
        };
        let answered = Span {
            from: if plan.from == time.0 { asked.0 } else { plan.from },
            until: if plan.until == time.1 { asked.1 } else { plan.until },
        };
        for sum in gathered.sums() {
            if visit(Part::Sum(sum)).is_break() {
                return Ok(answered);
            }
        }
        let span = Span { from: answered.from, until: wanted.span.until.max(answered.until) };
        let wanted_in_logs = Wanted { span, ..wanted.clone() };
        for row in in_logs.iter().filter(|row| wanted_in_logs.admits(table, row)) {
            if visit(Part::Row(Row::clone(row))).is_break() {
                return Ok(answered);
            }
        }
        // What ended later, and all that no sum is of.
        let mut spans: Vec<Span> =
            plan.rows.iter().map(|time| Span { from: time.start, until: time.end - 1 }).collect();
        if time.0 > wanted.span.from {
            spans.push(Span { from: wanted.span.from, until: time.0 - 1 });
        }
        let rest = if plan.from <= plan.until { plan.until.saturating_add(1) } else { time.0 };
        spans.push(Span { from: rest, until: wanted.span.until });
        for span in spans.into_iter().filter(|span| span.from <= span.until) {
            let wanted = Wanted { span, ..wanted.clone() };
            for file in files.iter().filter(|file| span.meets(file.ends.0, file.ends.1)) {
                let flow = self.visit_file(file, &wanted, &mut |row| visit(Part::Row(row)))?;
                if flow.is_break() {
                    return Ok(answered);
                }
            }
        }
        Ok(answered)
    }
}

/// What sums of several files come to together, by what of their keys is looked at.
struct Gathered<'t> {
    table: &'t Table,
    sums: &'t Table,
    step: Option<u64>,
    /// The keys and the numbers that are looked at, by position.
    keys: Vec<usize>,
    numbers: Vec<usize>,
    /// The texts that each of those keys has, none among them.
    texts: Vec<Texts>,
    /// Which texts are together, and since when: the position of what they come to.
    places: HashMap<Together, usize>,
    groups: Vec<(Together, Steps)>,
    starts_late: bool,
    is_replaced: bool,
}

/// The numbers of the texts that sums have in common.
type Together = Box<[u32]>;

/// What there is in each step, by where that begins.
type Steps = BTreeMap<u64, Total>;

/// How many rows there are, and what numbers come to; and of those that are replaced, which are taken away.
struct Total {
    rows: u64,
    numbers: Vec<Tally>,
    replaced: (u64, Vec<u64>),
}

/// Texts, each by a number.
#[derive(Default)]
struct Texts {
    known: HashMap<Option<Box<[u8]>>, u32>,
    texts: Vec<Value>,
}

impl Texts {
    fn number(&mut self, text: Option<&[u8]>) -> u32 {
        let key = text.map(Into::into);
        *self.known.entry(key).or_insert_with(|| {
            let value = |text: &[u8]| Value::Text(String::from_utf8_lossy(text).into());
            self.texts.push(text.map_or(Value::None, value));
            u32::try_from(self.texts.len() - 1).unwrap_or(u32::MAX)
        })
    }
}

impl<'t> Gathered<'t> {
    fn new(table: &'t Table, sums: &'t Table, wanted: &Wanted<'_>, step: Option<u64>) -> Self {
        let is_asked = |column: usize| {
            let name = table.columns[column].name;
            wanted.columns.as_ref().is_none_or(|names| names.contains(&name))
        };
        let keys: Vec<_> = (0..table.sums.keys.len()).filter(|at| is_asked(table.sums.keys[*at])).collect();
        let numbers = 0..table.sums.numbers.len();
        let numbers = numbers.filter(|at| is_asked(table.sums.numbers[*at].column)).collect();
        let texts = keys.iter().map(|_| Texts::default()).collect();
        Self {
            table,
            sums,
            step,
            keys,
            numbers,
            texts,
            places: HashMap::new(),
            groups: Vec::new(),
            starts_late: false,
            is_replaced: false,
        }
    }

    /// Adds what a file has of those times.
    fn read(&mut self, file: &Entry, times: &[Range<u64>]) -> Result<()> {
        let reader = Reader::open(self.sums, File::open(&file.kept.path)?)?;
        for group in 0..reader.groups() {
            self.read_group(&reader, group, times)?;
        }
        Ok(())
    }

    fn read_group(&mut self, reader: &Reader<'_>, at: usize, times: &[Range<u64>]) -> Result<()> {
        let group = reader.file.get_row_group(at)?;
        let count = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
        let numbers = |column| numbers(reader, &*group, column, count);
        let (begins, rows) = (numbers(0)?, numbers(1)?);
        let (is_replaced, starts_late) =
            (truths(reader, &*group, 2, count)?, truths(reader, &*group, 3, count)?);
        let keys: Vec<Vec<u32>> = (self.keys.iter().zip(&mut self.texts))
            .map(|(key, known)| texts(reader, &*group, BEFORE_KEYS + key, count, known))
            .collect::<Result<_>>()?;
        let first = BEFORE_KEYS + self.table.sums.keys.len();
        let tallies: Vec<[Vec<Option<u64>>; 3]> = (self.numbers.iter())
            .map(|at| {
                let column = first + 3 * at;
                Ok([numbers(column)?, numbers(column + 1)?, numbers(column + 2)?])
            })
            .collect::<Result<_>>()?;
        let mut last: Option<usize> = None;
        let mut together = vec![0; keys.len()];
        for (row, begin) in begins.iter().enumerate() {
            let begin = begin.unwrap_or(0);
            if !times.iter().any(|time| time.contains(&begin)) {
                continue;
            }
            let is_same = last.is_some() && together.iter().zip(&keys).all(|(text, key)| *text == key[row]);
            if !is_same {
                together.iter_mut().zip(&keys).for_each(|(text, key)| *text = key[row]);
                last = None;
            }
            let place = *last.get_or_insert_with(|| {
                self.places.get(&*together).copied().unwrap_or_else(|| {
                    self.groups.push((together.clone().into(), Steps::new()));
                    self.places.insert(together.clone().into(), self.groups.len() - 1);
                    self.groups.len() - 1
                })
            });
            let step = self.step.map_or(0, |step| begin / step * step);
            let none = || Total {
                rows: 0,
                numbers: vec![Tally::default(); tallies.len()],
                replaced: (0, vec![0; tallies.len()]),
            };
            let total = self.groups[place].1.entry(step).or_insert_with(none);
            let rows = rows[row].unwrap_or(0);
            self.starts_late |= starts_late[row];
            self.is_replaced |= is_replaced[row];
            if is_replaced[row] {
                total.replaced.0 += rows;
                for (replaced, [sums, ..]) in total.replaced.1.iter_mut().zip(&tallies) {
                    *replaced = replaced.saturating_add(sums[row].unwrap_or(0));
                }
                continue;
            }
            total.rows += rows;
            for (total, [sums, least, greatest]) in total.numbers.iter_mut().zip(&tallies) {
                total.merge(Tally { sum: sums[row].unwrap_or(0), bounds: least[row].zip(greatest[row]) });
            }
        }
        Ok(())
    }

    /// What there is, each with the keys that are looked at alone.
    fn sums(self) -> impl Iterator<Item = Sum> {
        let Self { table, keys, numbers, texts, groups, .. } = self;
        groups.into_iter().flat_map(move |(together, steps)| {
            let mut of_keys = vec![Value::None; table.sums.keys.len()];
            for ((key, text), known) in keys.iter().zip(&together).zip(&texts) {
                of_keys[*key] = known.texts[*text as usize].clone();
            }
            let alike = table.alike(of_keys.into_iter());
            let sums = steps.into_iter().map(|(begin, total)| {
                let mut all = vec![Tally::default(); table.sums.numbers.len()];
                for ((at, mut tally), replaced) in numbers.iter().zip(total.numbers).zip(total.replaced.1) {
                    tally.sum = tally.sum.saturating_sub(replaced);
                    all[*at] = tally;
                }
                let rows = total.rows.saturating_sub(total.replaced.0);
                Sum { alike: alike.clone(), begin, rows, numbers: all }
            });
            let sums = sums.filter(|sum| sum.rows > 0);
            sums.collect::<Vec<_>>()
        })
    }
}

fn changed() -> ParquetError {
    ParquetError::General("a column of sums is of another kind".to_owned())
}

/// The numbers of a column; none of one that the file has not.
fn numbers(
    reader: &Reader<'_>,
    group: &dyn RowGroupReader,
    column: usize,
    count: usize,
) -> Result<Vec<Option<u64>>> {
    let Some(place) = reader.places[column] else { return Ok(vec![None; count]) };
    let ColumnReader::Int64ColumnReader(mut its) = group.get_column_reader(place)? else {
        return Err(changed());
    };
    let (mut levels, mut values) = (Vec::with_capacity(count), Vec::with_capacity(count));
    read(&mut its, &[(true, count)], &mut levels, None, &mut values)?;
    let mut values = values.into_iter();
    let number = |level| if level > 0 { values.next().map(i64::cast_unsigned) } else { None };
    Ok(levels.into_iter().map(number).collect())
}

fn truths(reader: &Reader<'_>, group: &dyn RowGroupReader, column: usize, count: usize) -> Result<Vec<bool>> {
    let Some(place) = reader.places[column] else { return Ok(vec![false; count]) };
    let ColumnReader::BoolColumnReader(mut its) = group.get_column_reader(place)? else {
        return Err(changed());
    };
    let (mut levels, mut values) = (Vec::with_capacity(count), Vec::with_capacity(count));
    read(&mut its, &[(true, count)], &mut levels, None, &mut values)?;
    let mut values = values.into_iter();
    Ok(levels.into_iter().map(|level| level > 0 && values.next() == Some(true)).collect())
}

/// The texts of a column, by their numbers.
fn texts(
    reader: &Reader<'_>,
    group: &dyn RowGroupReader,
    column: usize,
    count: usize,
    known: &mut Texts,
) -> Result<Vec<u32>> {
    let Some(place) = reader.places[column] else { return Ok(vec![known.number(None); count]) };
    let ColumnReader::ByteArrayColumnReader(mut its) = group.get_column_reader(place)? else {
        return Err(changed());
    };
    let (mut levels, mut values) = (Vec::with_capacity(count), Vec::with_capacity(count));
    read(&mut its, &[(true, count)], &mut levels, None, &mut values)?;
    let mut values = values.into_iter();
    let mut last: Option<(Option<ByteArray>, u32)> = None;
    let mut number = |level| {
        let text = if level > 0 { values.next() } else { None };
        match &last {
            Some((same, number)) if *same == text => *number,
            _ => {
                let number = known.number(text.as_ref().map(ByteArray::data));
                last = Some((text, number));
                number
            }
        }
    };
    Ok(levels.into_iter().map(&mut number).collect())
}
