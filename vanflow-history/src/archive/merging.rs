//! Small files of an hour are merged: a file costs the same to open whether it has ten rows or thousands.
//!
//! A merged file is named after the first and the last of the logs that it is of. Whoever finds it beside files of those logs, in
//! the same folder, knows that their rows are in it.

use std::{cell::Cell, cmp::Reverse, collections::BTreeMap, fs::File, mem, path::Path, sync::PoisonError};

use parquet::errors::ParquetError;

use super::{
    Archive, Entry, Facts, HOUR, Reader, SealError, State, columns, disk::Output, last_of_step, logs_of,
};
use crate::rows::{Table, Value, alike_columns, merge_values};

/// How many rows a merged file has at most: a group of them, of which a column is in memory while it is written.
const MOST_ROWS: u64 = columns::ROWS_IN_GROUP as u64;

/// How many files an hour that is not over may have before they are merged.
pub(super) const MANY: usize = 16;

/// How long after its end an hour is over: what is reported later is a file of its own for a while.
pub(super) const LATE: u64 = HOUR / 6;

impl Archive {
    /// Merges some small files of an hour; false where there are none. Blocks.
    ///
    /// # Errors
    ///
    /// Where a file cannot be written. All rows stay where they are.
    pub fn merge(&self, now_micros: u64) -> Result<bool, SealError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(files) = self.state().small_files(now_micros) else { return Ok(false) };
        let Some(merged) = self.merge_files(&files)? else { return Ok(true) };
        let is_of_rows = merged.rollup.is_none();
        let mut state = self.state();
        let all = if is_of_rows { &mut state.files } else { &mut state.rollups };
        all.retain(|file| !files.iter().any(|old| old.kept.path == file.kept.path));
        all.push(merged);
        if is_of_rows {
            state.merged += files.len() as u64;
        }
        drop(state);
        // They are removed when nobody reads them any more.
        files.iter().for_each(Entry::give_up);
        Ok(true)
    }

    /// Those files as one; none where one of them cannot be read, or has columns that its table has not. That stays as it is: it
    /// is an error to whoever asks for its rows, or would lose them.
    fn merge_files(&self, files: &[Entry]) -> Result<Option<Entry>, SealError> {
        let (at, rollup) = (files[0].table, files[0].rollup);
        let folder = files[0].kept.path.parent().unwrap_or(Path::new(""));
        let logs = (files[0].logs.0, files[files.len() - 1].logs.1);
        let keys = rollup.map(|_| self.tables[at].sums.keys.len());
        let opened = Together::open(self.table_of(at, rollup), keys, files);
        let outcome = opened.and_then(|together| {
            let unreadable = |_| together.unreadable.get().unwrap_or(0);
            let order = together.order().map_err(unreadable)?;
            let facts = Facts { rows: order.ends.len() as u64, ..Facts::of_all(files) };
            let summed = rollup.map(|_| facts.summed);
            let write = |file: &mut Output| together.write(&order, summed, file);
            let written = self.write_file(at, rollup, facts, write, folder, logs);
            together.unreadable.get().map_or(Ok(written), Err)
        });
        match outcome {
            Ok(written) => written.map(Some),
            Err(unreadable) => {
                self.state().apart.push(files[unreadable].kept.path.clone());
                Ok(None)
            }
        }
    }
}

/// Files of a table that become one. What is in memory of them is a column, and what says how their rows are ordered.
struct Together<'t> {
    table: &'t Table,
    /// How many keys sums have; none where they are rows.
    keys: Option<usize>,
    readers: Vec<Reader<'t>>,
    /// The one that could not be read.
    unreadable: Cell<Option<usize>>,
}

/// How the rows of files are ordered together, and which of them become one.
struct Order {
    /// Where each is, among all rows of one file after the other.
    rows: Vec<u32>,
    /// How many of these have been when a row of the merged file is whole.
    ends: Vec<usize>,
}

impl<'t> Together<'t> {
    /// The error is which of the files cannot be read.
    fn open(table: &'t Table, keys: Option<usize>, files: &[Entry]) -> Result<Self, usize> {
        let open = |(at, file): (usize, &Entry)| {
            let reader = File::open(&file.kept.path).ok().and_then(|file| Reader::open(table, file).ok());
            reader.filter(Reader::is_known_whole).ok_or(at)
        };
        let readers = files.iter().enumerate().map(open).collect::<Result<_, _>>()?;
        Ok(Self { table, keys, readers, unreadable: Cell::new(None) })
    }

    /// The values of a column, of one file after the other.
    fn values(&self, column: usize) -> Result<Vec<Value>, ParquetError> {
        let mut values = Vec::new();
        for (at, reader) in self.readers.iter().enumerate() {
            values.extend(reader.values(column).inspect_err(|_| self.unreadable.set(Some(at)))?);
        }
        Ok(values)
    }

    /// Where each value of a column is among all that are different, in their order: what takes the place of the values where
    /// they are only compared.
    fn ranks(&self, column: usize) -> Result<Vec<u32>, ParquetError> {
        let values = self.values(column)?;
        let mut order = all(values.len());
        order.sort_unstable_by(|left, right| values[*left as usize].cmp(&values[*right as usize]));
        let mut ranks = vec![0; values.len()];
        for (before, at) in order.iter().zip(&order[1.min(order.len())..]) {
            let (before, at) = (*before as usize, *at as usize);
            ranks[at] = ranks[before] + u32::from(values[at] != values[before]);
        }
        Ok(ranks)
    }

    fn order(&self) -> Result<Order, ParquetError> {
        let Some(keys) = self.keys else { return self.order_of_rows() };
        let alike = alike_columns(keys).map(|column| self.ranks(column)).collect::<Result<Vec<_>, _>>()?;
        let count = alike.iter().map(Vec::len).min().unwrap_or(0);
        let of = |row: u32| alike.iter().map(move |ranks| ranks[row as usize]);
        let mut rows = all(count);
        rows.sort_unstable_by(|left, right| of(*left).cmp(of(*right)));
        let is_last = |at: &usize| rows.get(*at).is_none_or(|next| !of(rows[at - 1]).eq(of(*next)));
        let ends = (1..=count).filter(is_last).collect();
        Ok(Order { rows, ends })
    }

    fn order_of_rows(&self) -> Result<Order, ParquetError> {
        let number = |value| if let Value::Number(number) = value { number } else { 0 };
        let ended: Vec<_> = self.values(self.table.end)?.into_iter().map(number).collect();
        let mut ranks = BTreeMap::new();
        for column in self.table.order.iter().copied().chain([self.table.key]) {
            ranks.insert(column, self.ranks(column)?);
        }
        let mut rows = all(ended.len());
        rows.sort_by(|left, right| {
            let (left, right) = (*left as usize, *right as usize);
            self.table.in_order((ended[left], ended[right]), |column| {
                let ranks = &ranks[&column];
                (ranks.get(left), ranks.get(right))
            })
        });
        let ends = (1..=rows.len()).collect();
        Ok(Order { rows, ends })
    }

    fn write(&self, order: &Order, summed: Option<u64>, file: &mut Output) -> Result<(), ParquetError> {
        let values = |column| {
            let mut values = self.values(column)?;
            let mut take = |at: &u32| values.get_mut(*at as usize).map(mem::take).unwrap_or_default();
            let mut from = 0;
            let merged = order.ends.iter().map(|end| {
                let alike = order.rows[mem::replace(&mut from, *end)..*end].iter().map(&mut take);
                alike.reduce(|one, other| merge_values(column, self.keys.unwrap_or(0), one, other))
            });
            Ok(merged.map(Option::unwrap_or_default).collect())
        };
        columns::write_by_column(self.table, order.ends.len(), summed, values, file)
    }
}

/// All of so many, in the order in which they are.
fn all(count: usize) -> Vec<u32> {
    (0..u32::try_from(count).unwrap_or(u32::MAX)).collect()
}

impl Facts {
    /// Of files together.
    fn of_all(files: &[Entry]) -> Self {
        let least = |of: fn(&Entry) -> u64| files.iter().map(of).min().unwrap_or(0);
        let greatest = |of: fn(&Entry) -> u64| files.iter().map(of).max().unwrap_or(0);
        Self {
            rows: files.iter().map(|file| file.rows).sum(),
            summed: files.iter().map(|file| file.summed).sum(),
            ends: (least(|file| file.ends.0), greatest(|file| file.ends.1 - last_of_step(file.rollup))),
            starts: (least(|file| file.starts.0), greatest(|file| file.starts.1)),
            has_replacing: files.iter().any(|file| file.has_replacing),
        }
    }
}

impl State {
    /// Files of one folder, one after the other, that can become one.
    fn small_files(&self, now_micros: u64) -> Option<Vec<Entry>> {
        let folders = folders(&self.files).into_values().chain(folders(&self.rollups).into_values());
        let mut runs = folders.map(|files| self.run_in(files, now_micros));
        runs.find_map(|run| run)
    }

    /// Those of the files of a folder, one after the other, that can become one.
    pub(super) fn run_in(&self, mut files: Vec<&Entry>, now_micros: u64) -> Option<Vec<Entry>> {
        let is_over = files.iter().all(|file| {
            let whole = file.folder_micros();
            (file.ends.1 / whole + 1) * whole + LATE <= now_micros
        });
        files.sort_by_key(|file| file.logs);
        let (mut run, mut rows): (Vec<Entry>, u64) = (Vec::new(), 0);
        let are_enough = |run: &[Entry], is_full: bool| {
            let least = if is_over || is_full { 2 } else { MANY };
            run.len() >= least
        };
        for file in files {
            let is_full = rows + file.rows > MOST_ROWS;
            if is_full || self.is_apart(&run, file) {
                // What is nearly full is not merged once more.
                if are_enough(&run, is_full && rows > MOST_ROWS / 2) {
                    return Some(run);
                }
                (run, rows) = (Vec::new(), 0);
            }
            if file.rows <= MOST_ROWS && !self.apart.contains(&file.kept.path) {
                rows += file.rows;
                run.push(file.clone());
            }
        }
        are_enough(&run, false).then_some(run)
    }

    /// Whether that file, or one between it and the last of those, is to stay as it is.
    fn is_apart(&self, run: &[Entry], file: &Entry) -> bool {
        let from = run.last().map_or(file.logs.0, |last| last.logs.1);
        self.apart.iter().any(|apart| {
            apart.parent() == file.kept.path.parent()
                && logs_of(apart).is_some_and(|logs| from <= logs.1 && logs.0 <= file.logs.1)
        })
    }
}

/// The files of each folder.
pub(super) fn folders(files: &[Entry]) -> BTreeMap<(usize, Option<&Path>), Vec<&Entry>> {
    let mut folders: BTreeMap<_, Vec<&Entry>> = BTreeMap::new();
    for file in files {
        folders.entry((file.table, file.kept.path.parent())).or_default().push(file);
    }
    folders
}

/// Gives up files whose rows are in another, as a crash can leave them.
pub(super) fn give_up_what_was_merged(files: &mut Vec<Entry>) {
    let folder = |file: &Entry| file.kept.path.parent().map(Path::to_owned);
    // What has the rows of others comes before them.
    files.sort_by_cached_key(|file| (folder(file), file.logs.0, Reverse(file.logs.1)));
    let mut whole: Option<Entry> = None;
    files.retain(|file| {
        let has = |whole: &Entry| folder(whole) == folder(file) && file.logs.1 <= whole.logs.1;
        let is_in_another = whole.as_ref().is_some_and(has);
        if is_in_another {
            file.give_up();
        } else {
            whole = Some(file.clone());
        }
        !is_in_another
    });
}
