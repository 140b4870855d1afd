//! Small files of an hour are merged: a file costs the same to open whether it has ten rows or thousands.
//!
//! A merged file is named after the first and the last of the logs that it is of. Whoever finds it beside files of those logs, in
//! the same folder, knows that their rows are in it.

use std::{
    borrow::Borrow, cell::Cell, cmp::Reverse, collections::BTreeMap, fs::File, mem, path::Path,
    sync::PoisonError,
};

use parquet::errors::ParquetError;

use super::{Archive, Entry, Facts, HOUR, Reader, SealError, State, columns, disk::Output, logs_of};
use crate::rows::{Row, Table, Value};

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
        let table = if rollup.is_some() { &self.sums[at] } else { &self.tables[at] };
        let opened = Together::open(table, files);
        let outcome = opened.and_then(|together| match rollup {
            None => {
                let order = together.order()?;
                let write = |file: &mut Output| together.write(&order.rows, file);
                let written = self.write_file(at, None, order.facts, write, folder, logs);
                together.unreadable.get().map_or(Ok(written), Err)
            }
            Some(level) => {
                let rows = self.merged_sums(&files[0], level, together.whole()?);
                Ok(self.write_rows(at, rollup, &rows, folder, logs))
            }
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
    readers: Vec<Reader<'t>>,
    /// The one that could not be read.
    unreadable: Cell<Option<usize>>,
}

/// How the rows of files are ordered together.
struct Order {
    /// Where each is, among all rows of one file after the other.
    rows: Vec<usize>,
    facts: Facts,
}

/// A row of which only that is known by which it is ordered, and where it is.
struct Ordered {
    row: Row,
    at: usize,
}

impl Borrow<Row> for Ordered {
    fn borrow(&self) -> &Row {
        &self.row
    }
}

/// Each error is which of the files cannot be read.
impl<'t> Together<'t> {
    fn open(table: &'t Table, files: &[Entry]) -> Result<Self, usize> {
        let open = |(at, file): (usize, &Entry)| {
            let reader = File::open(&file.kept.path).ok().and_then(|file| Reader::open(table, file).ok());
            reader.filter(Reader::is_known_whole).ok_or(at)
        };
        let readers = files.iter().enumerate().map(open).collect::<Result<_, _>>()?;
        Ok(Self { table, readers, unreadable: Cell::new(None) })
    }

    /// The values of a column, of one file after the other.
    fn values(&self, column: usize) -> Result<Vec<Value>, ParquetError> {
        let mut values = Vec::new();
        for (at, reader) in self.readers.iter().enumerate() {
            values.extend(reader.values(column).inspect_err(|_| self.unreadable.set(Some(at)))?);
        }
        Ok(values)
    }

    fn order(&self) -> Result<Order, usize> {
        let (kept, narrow) = self.table.narrow();
        let of = |column: &usize| self.values(*column).map(Vec::into_iter);
        let columns = kept.iter().map(of).collect::<Result<Vec<_>, _>>();
        let mut columns = columns.map_err(|_| self.unreadable.get().unwrap_or(0))?;
        let count = columns.iter().map(ExactSizeIterator::len).min().unwrap_or(0);
        let mut next = || columns.iter_mut().map(|column| column.next().unwrap_or_default()).collect();
        let mut rows: Vec<_> = (0..count).map(|at| Ordered { row: Row { values: next() }, at }).collect();
        narrow.sort(&mut rows);
        let facts = Facts::of(&narrow, None, &rows);
        Ok(Order { rows: rows.into_iter().map(|row| row.at).collect(), facts })
    }

    fn write(&self, order: &[usize], file: &mut Output) -> Result<(), ParquetError> {
        let values = |column| {
            let mut values = self.values(column)?;
            let take = |at: &usize| values.get_mut(*at).map(mem::take).unwrap_or_default();
            Ok(order.iter().map(take).collect())
        };
        columns::write_by_column(self.table, order.len(), values, file)
    }

    /// All rows.
    fn whole(&self) -> Result<Vec<Row>, usize> {
        let mut rows = Vec::new();
        for (at, reader) in self.readers.iter().enumerate() {
            for group in 0..reader.groups() {
                rows.extend(reader.whole_group(group).map_err(|_| at)?);
            }
        }
        Ok(rows)
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
        let least = if is_over { 2 } else { MANY };
        files.sort_by_key(|file| file.logs);
        let (mut run, mut rows): (Vec<Entry>, u64) = (Vec::new(), 0);
        for file in files {
            if rows + file.rows > MOST_ROWS || self.is_apart(&run, file) {
                if run.len() >= least {
                    break;
                }
                (run, rows) = (Vec::new(), 0);
            }
            if file.rows <= MOST_ROWS && !self.apart.contains(&file.kept.path) {
                rows += file.rows;
                run.push(file.clone());
            }
        }
        (run.len() >= least).then_some(run)
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
