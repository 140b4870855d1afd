//! Small files of an hour are merged: a file costs the same to open whether it has ten rows or thousands.
//!
//! A merged file is named after the first and the last of the logs that it is of. Whoever finds it beside files of those logs, in
//! the same folder, knows that their rows are in it.

use std::{cmp::Reverse, collections::BTreeMap, fs::File, path::Path, sync::PoisonError};

use parquet::errors::ParquetError;

use super::{Archive, Entry, HOUR, Reader, SealError, State, logs_of};
use crate::rows::Row;

/// How many rows a merged file has at most. They are in memory while it is written.
const MOST_ROWS: u64 = 1 << 16;

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
        let (table, rollup) = (files[0].table, files[0].rollup);
        let folder = files[0].kept.path.parent().unwrap_or(Path::new(""));
        let mut rows = Vec::new();
        for file in &files {
            // One that cannot be read is an error to whoever asks for its rows, and one with columns that its table has not
            // would lose them.
            let Ok(Some(its)) = self.rows_of(file) else {
                self.state().apart.push(file.kept.path.clone());
                return Ok(true);
            };
            rows.extend(its);
        }
        match rollup {
            None => self.tables[table].sort(&mut rows),
            Some(level) => rows = self.merged_sums(&files[0], level, rows),
        }
        let logs = (files[0].logs.0, files[files.len() - 1].logs.1);
        let merged = self.write_file(table, rollup, &rows, folder, logs)?;
        let mut state = self.state();
        let all = if rollup.is_some() { &mut state.rollups } else { &mut state.files };
        all.retain(|file| !files.iter().any(|old| old.kept.path == file.kept.path));
        all.push(merged);
        if rollup.is_none() {
            state.merged += files.len() as u64;
        }
        drop(state);
        // They are removed when nobody reads them any more.
        files.iter().for_each(Entry::give_up);
        Ok(true)
    }

    /// All rows of a file, if the table has all of its columns.
    fn rows_of(&self, file: &Entry) -> Result<Option<Vec<Row>>, ParquetError> {
        let tables = if file.rollup.is_some() { &self.sums } else { &self.tables };
        let reader = Reader::open(&tables[file.table], File::open(&file.kept.path)?)?;
        if !reader.is_known_whole() {
            return Ok(None);
        }
        let mut rows = Vec::new();
        for group in 0..reader.groups() {
            rows.extend(reader.whole_group(group)?);
        }
        Ok(Some(rows))
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
