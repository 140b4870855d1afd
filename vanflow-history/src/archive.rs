//! Rows on disk, for days: appended to a log, and turned into Parquet files that other tools read as they are.
//!
//! ```text
//! DIR/lock                                                 held by the one process that writes
//! DIR/log/00000000000000000007.log                         what is not in files yet
//! DIR/connections/date=2026-11-26/hour=03/0…0006.parquet   what ended in that hour (UTC), of log 6
//! DIR/connections/date=2026-11-26/hour=02/0…0001-0…0005.parquet   the same of logs 1 to 5
//! DIR/rollup-1m/connections/date=2026-11-26/hour=02/0…0001-0…0005.parquet   what rows come to, by the minute
//! DIR/rollup-1h/connections/date=2026-11-26/0…0001-0…0005.parquet   the same by the hour, of a day
//! DIR/since                                                from when on all of it is there
//! DIR/extent                                               the number of the next log, and since when the directory has all
//! ```
//!
//! A row is in the log, synced, before [`Archive::append`] returns. A log becomes files under its own number: written under
//! another name, synced, renamed, and then the log is removed. A crash at any point leaves the log, or the files, or both;
//! both are the same rows under the same names, so that what is done again doubles nothing. Small files of an hour are merged
//! into one that is named after all logs that it is of; where a crash leaves it beside those, they are in the way, and are
//! removed by their names.
//!
//! It reads no clock and starts no thread: who owns it calls [`Archive::seal`] from time to time.

mod columns;
mod disk;
mod elsewhere;
mod extent;
mod finished;
mod log;
mod merging;
mod reading;
mod rollup;
mod summing;
#[cfg(test)]
mod tests;

use std::{
    borrow::Borrow,
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::DateTime;
use parquet::errors::ParquetError;
use thiserror::Error;

pub use self::{
    columns::ParquetWriter,
    elsewhere::{ParquetReader, ReadAt},
    finished::FinishedFile,
};
use self::{
    columns::Reader,
    disk::{Disk, Kept, Output},
    extent::Extent,
    log::{Log, checked, checksum},
    rollup::{DAY, ROLLUPS, Since},
};
use crate::rows::{Is, Row, Table, UnreadableRows, Value, Wanted};

/// How an archive keeps rows.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ArchiveOptions {
    /// How long rows are kept after their end, in microseconds. Whole files go.
    pub keep_micros: u64,
    /// How many octets files may take; beyond that the oldest go: of sums those that are more than half of that, the finest
    /// first, and then rows. None where there is no bound.
    pub keep_octets: Option<u64>,
    /// How long after it what rows come to is kept, in microseconds: by the minute, by five minutes and by the hour. Whole files go.
    pub keep_sums_micros: [u64; 3],
    /// How long rows are in the log before they are in a file, in microseconds.
    pub seal_after_micros: u64,
    /// How many rows the log may have before they are. They are in memory meanwhile.
    pub seal_rows: usize,
    /// Whether files go only once they are elsewhere, too, as [`Archive::sent`] says; but for those that are more than
    /// `keep_octets`.
    pub keeps_unsent: bool,
}

impl Default for ArchiveOptions {
    fn default() -> Self {
        let minute = 60 * 1_000_000;
        Self {
            keep_micros: 7 * 24 * 60 * minute,
            keep_octets: None,
            keep_sums_micros: [15, 90, 400].map(|days| days * 24 * 60 * minute),
            seal_after_micros: 5 * minute,
            seal_rows: 20_000,
            keeps_unsent: false,
        }
    }
}

/// Why there is no archive.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// The directory is not to be had.
    #[error("cannot keep a history in {}: {error}", directory.display())]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// Somebody else writes there.
    #[error("{} is in use by another process; each needs a directory of its own", directory.display())]
    InUse {
        /// The directory.
        directory: PathBuf,
    },
}

/// Why rows are not in files yet. They stay in the log.
#[derive(Debug, Error)]
#[error("cannot write {}: {error}", path.display())]
pub struct SealError {
    path: PathBuf,
    error: ParquetError,
}

/// Rows of some tables in a directory.
#[derive(Debug)]
pub struct Archive {
    directory: PathBuf,
    tables: Vec<Table>,
    /// What sums of each look like.
    sums: Vec<Table>,
    options: ArchiveOptions,
    /// The latest end of what was there when it was opened.
    inherited_until: u64,
    state: Mutex<State>,
    /// Held by whoever writes files.
    writing: Mutex<()>,
    disk: Disk,
    /// Held for as long as the directory is in use.
    _lock: File,
}

#[derive(Debug, Default)]
struct State {
    /// The number of the log that is written, or of the next.
    number: u64,
    log: Option<Log>,
    /// When its first row came.
    since: u64,
    /// What it has.
    open: Vec<Logged>,
    /// What logs have that are to become files, by number.
    sealing: BTreeMap<u64, Arc<Vec<Logged>>>,
    /// How many octets of memory all of these take, by table.
    memory: Vec<u64>,
    files: Vec<Entry>,
    /// What rows come to, of these and of files that are gone.
    rollups: Vec<Entry>,
    /// From when on all is there, by table.
    whole_since: Vec<Since>,
    /// Files that stay as they are: they cannot be read, or have columns that their table has not.
    apart: Vec<PathBuf>,
    removed: u64,
    merged: u64,
    /// How many rows had to go though they were to be sent.
    lost: u64,
    extent: Extent,
}

/// A row, and the position of its table.
type Logged = (usize, Arc<Row>);

/// A file of rows, or of what rows come to.
#[derive(Clone, Debug)]
struct Entry {
    table: usize,
    /// Which of the rollups it is of; none where it has rows.
    rollup: Option<usize>,
    kept: Arc<Kept>,
    /// Which logs it is of: the first and the last.
    logs: (u64, u64),
    /// When its rows ended: the earliest and the latest.
    ends: (u64, u64),
    rows: u64,
    /// Of how many rows sums are.
    summed: u64,
    /// When its rows started, the first and the last, as far as that is known.
    starts: (u64, u64),
    /// Whether any of its rows is in place of an earlier one.
    has_replacing: bool,
    octets: u64,
    /// Whether it is elsewhere, too.
    is_sent: bool,
}

/// What is known of the rows of a file without reading them.
#[derive(Clone, Copy, Debug)]
struct Facts {
    rows: u64,
    /// Of how many rows they are the sums.
    summed: u64,
    /// When they ended: the earliest and the latest.
    ends: (u64, u64),
    /// When they started: the same.
    starts: (u64, u64),
    /// Whether any of them is in place of an earlier one.
    has_replacing: bool,
}

impl Facts {
    fn of<R: Borrow<Row>>(table: &Table, summed: Option<u64>, rows: &[R]) -> Self {
        let each = || rows.iter().map(Borrow::borrow);
        let ends = each().map(|row| table.end(row));
        let start = |row: &Row| match table.sums.start.map(|column| &row.values[column]) {
            Some(Value::Number(start)) => Some(*start),
            _ => None,
        };
        let starts = each().map(start);
        Self {
            rows: rows.len() as u64,
            summed: summed.unwrap_or(0),
            ends: (ends.clone().min().unwrap_or(0), ends.max().unwrap_or(0)),
            starts: (
                starts.clone().map(Option::unwrap_or_default).min().unwrap_or(0),
                starts.map(|start| start.unwrap_or(u64::MAX)).max().unwrap_or(u64::MAX),
            ),
            has_replacing: each().any(|row| table.replaces(row)),
        }
    }
}

/// Something that was met in the directory, for the log of whoever opened it.
pub type Remark = String;

impl Archive {
    /// Opens a directory, which is made where there is none. What a former process left in logs becomes files.
    ///
    /// # Errors
    ///
    /// Where the directory cannot be written, or another process writes it. Files that cannot be read are none: they are
    /// left where they are, and remarked on.
    pub fn open(
        directory: &Path,
        tables: Vec<Table>,
        options: ArchiveOptions,
        now_micros: u64,
    ) -> Result<(Self, Vec<Remark>), ArchiveError> {
        Self::open_on(Disk::default(), directory, tables, options, now_micros)
    }

    fn open_on(
        disk: Disk,
        directory: &Path,
        tables: Vec<Table>,
        options: ArchiveOptions,
        now_micros: u64,
    ) -> Result<(Self, Vec<Remark>), ArchiveError> {
        let failed = |error| ArchiveError::Directory { directory: directory.to_owned(), error };
        disk.create_folder(&directory.join(LOGS)).map_err(failed)?;
        let lock = File::create(directory.join("lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(ArchiveError::InUse { directory: directory.to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let mut remarks = Vec::new();
        let mut state = State { memory: vec![0; tables.len()], ..State::default() };
        for (at, table) in tables.iter().enumerate() {
            let folder = directory.join(table.name);
            state.find_files(&disk, (at, None), table, &folder, &mut remarks).map_err(failed)?;
            let sums = table.of_sums();
            for (level, rollup) in ROLLUPS.iter().enumerate() {
                let folder = directory.join(rollup.folder).join(table.name);
                let place = (at, Some(level));
                state.find_files(&disk, place, &sums, &folder, &mut remarks).map_err(failed)?;
            }
        }
        merging::give_up_what_was_merged(&mut state.files);
        merging::give_up_what_was_merged(&mut state.rollups);
        let mut number = state.files.iter().chain(&state.rollups).map(|file| file.logs.1).max();
        for entry in fs::read_dir(directory.join(LOGS)).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let Some((of_log, _)) = logs_of(&path).filter(|(first, last)| first == last) else {
                remarks.push(format!("{} is none of ours; it is left alone", path.display()));
                continue;
            };
            let logged = log::read(&path, &tables).map_err(failed)?;
            if logged.damaged > 0 {
                remarks.push(format!(
                    "{} lines of {} were torn or damaged, and are not there any more",
                    logged.damaged,
                    path.display()
                ));
            }
            let rows: Vec<_> = logged.rows.into_iter().map(|(table, row)| (table, Arc::new(row))).collect();
            rows.iter().for_each(|(table, row)| state.memory[*table] += row.memory());
            state.sealing.insert(of_log, Arc::new(rows));
            number = number.max(Some(of_log));
        }
        state.number = number.map_or(0, |number| number + 1);
        // A log that is there yet becomes files once more: until then its rows are in the log alone.
        let has_log = |file: &Entry| file.logs.0 == file.logs.1 && state.sealing.contains_key(&file.logs.0);
        state.files.retain(|file| !has_log(file));
        state.rollups.retain(|file| !has_log(file));
        let in_files = state.files.iter().map(|file| file.ends.1);
        let in_logs = state.sealing.values().flat_map(|rows| rows.iter());
        let inherited_until = in_files.chain(in_logs.map(|(at, row)| tables[*at].end(row))).max();
        let archive = Self {
            directory: directory.to_owned(),
            sums: rollup::sums_of(&tables),
            tables,
            options,
            inherited_until: inherited_until.unwrap_or(0),
            state: Mutex::new(state),
            writing: Mutex::default(),
            disk,
            _lock: lock,
        };
        archive.find_since().map_err(failed)?;
        archive.recall_extent(now_micros);
        if let Err(error) = archive.seal(now_micros) {
            remarks.push(format!("{error}; it is tried again"));
        }
        Ok((archive, remarks))
    }

    /// The tables of which it has rows.
    pub fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// Keeps rows, each with the position of its table; all or none. They are on disk when this returns. Blocks.
    ///
    /// # Errors
    ///
    /// Where they cannot be written, such as on a full disk. Then none of them is kept, and all can be given again.
    pub fn append(&self, rows: &[(usize, Row)], now_micros: u64) -> io::Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut state = self.state();
        if state.log.is_none() {
            state.log = Some(Log::create(&self.disk, &self.log_path(state.number))?);
            state.since = now_micros;
        }
        let Some(log) = &mut state.log else { return Ok(()) };
        log.append(rows.iter().map(|(table, row)| (&self.tables[*table], row)))?;
        for (table, row) in rows {
            state.memory[*table] += row.memory();
            state.open.push((*table, Arc::new(row.clone())));
        }
        Ok(())
    }

    /// Whether it is time to turn the log into files: it is old, or there is much in it.
    pub fn is_due(&self, now_micros: u64) -> bool {
        let state = self.state();
        let age = now_micros.saturating_sub(state.since);
        state.open.len() >= self.options.seal_rows
            || !state.open.is_empty() && age >= self.options.seal_after_micros
    }

    /// Turns logs into files where it is time to, removes what is older or more than what is to be kept, and merges small
    /// files of an hour, some at a time. Blocks.
    ///
    /// # Errors
    ///
    /// Where a file cannot be written. Its rows stay in the log and can be asked for; the next call tries again.
    pub fn seal(&self, now_micros: u64) -> Result<(), SealError> {
        if self.is_due(now_micros) {
            self.close_log();
        }
        let sealed = self.seal_closed();
        self.retire(now_micros);
        sealed?;
        self.merge(now_micros).map(drop)
    }

    /// Turns all that there is into files. Blocks.
    ///
    /// # Errors
    ///
    /// As [`Archive::seal`].
    pub fn seal_all(&self) -> Result<(), SealError> {
        self.close_log();
        self.seal_closed()
    }

    /// Keeps something beside the rows under that name, in place of what it was before. Blocks.
    ///
    /// # Errors
    ///
    /// Where it cannot be written. What was there before is there still.
    pub fn put(&self, name: &str, octets: &[u8]) -> io::Result<()> {
        self.put_parts(name, &[octets])
    }

    /// The same with a checksum before it, for [`Archive::get_checked`]. Blocks.
    ///
    /// # Errors
    ///
    /// As [`Archive::put`].
    pub fn put_checked(&self, name: &str, octets: &[u8]) -> io::Result<()> {
        self.put_parts(name, &[&checksum(octets), octets])
    }

    fn put_parts(&self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.directory.join(name);
        let unfinished = path.with_extension(UNFINISHED);
        let mut file = self.disk.create(&unfinished)?;
        for part in parts {
            file.write_all(part)?;
        }
        file.flush()?;
        file.sync()?;
        self.disk.rename(&unfinished, &path)
    }

    /// What is kept under that name; none where there is nothing. Blocks.
    ///
    /// # Errors
    ///
    /// Where it cannot be read.
    pub fn get(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.directory.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some),
        }
    }

    /// What [`Archive::put_checked`] kept. Blocks.
    ///
    /// # Errors
    ///
    /// Where it cannot be read, or is not what was kept: [`io::ErrorKind::InvalidData`].
    pub fn get_checked(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "it is damaged");
        let Some(mut kept) = self.get(name)? else { return Ok(None) };
        let length = checked(&kept).ok_or_else(damaged)?.len();
        kept.drain(..kept.len() - length);
        Ok(Some(kept))
    }

    /// How many files became part of others since it was opened.
    pub fn merged(&self) -> u64 {
        self.state().merged
    }

    /// How many files were removed since it was opened, because they were old or too much.
    pub fn removed(&self) -> u64 {
        self.state().removed
    }

    fn close_log(&self) {
        let mut state = self.state();
        if state.log.take().is_none() {
            return;
        }
        let (number, rows) = (state.number, std::mem::take(&mut state.open));
        state.sealing.insert(number, Arc::new(rows));
        state.number += 1;
    }

    fn seal_closed(&self) -> Result<(), SealError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody waits for the disk: the lock is held only while there is nothing to write.
        loop {
            let next =
                self.state().sealing.first_key_value().map(|(number, rows)| (*number, Arc::clone(rows)));
            let Some((number, rows)) = next else { return Ok(()) };
            let files = self.write_files(number, &rows)?;
            let mut gone = vec![0; self.tables.len()];
            rows.iter().for_each(|(table, row)| gone[*table] += row.memory());
            let mut state = self.state();
            state.memory.iter_mut().zip(gone).for_each(|(memory, gone)| *memory -= gone);
            let (rollups, files): (Vec<_>, Vec<_>) =
                files.into_iter().partition(|file| file.rollup.is_some());
            state.files.extend(files);
            state.rollups.extend(rollups);
            state.sealing.remove(&number);
            drop(state);
            // If it cannot be removed, it comes to the same files the next time.
            let _ = self.disk.remove_file(&self.log_path(number));
        }
    }

    fn write_files(&self, number: u64, rows: &[Logged]) -> Result<Vec<Entry>, SealError> {
        let mut parts: BTreeMap<(usize, u64), Vec<&Row>> = BTreeMap::new();
        for (at, row) in rows {
            let hour = self.tables[*at].end(row) / HOUR;
            parts.entry((*at, hour)).or_default().push(row);
        }
        let mut files = Vec::new();
        for ((at, hour), mut rows) in parts {
            let folder = self.directory.join(self.tables[at].name).join(folder_of(hour * HOUR, HOUR));
            // A log that outlived its files: by now they are in another.
            let is_merged = |file: &Entry| {
                file.table == at && file.is_merged_of(number) && file.kept.path.starts_with(&folder)
            };
            if !self.state().files.iter().any(is_merged) {
                self.tables[at].sort(&mut rows);
                files.push(self.write_rows(at, None, &rows, &folder, (number, number))?);
            }
        }
        for at in 0..self.tables.len() {
            self.write_rollups(at, &rollup::rows_of(rows, at), number, &mut files)?;
        }
        Ok(files)
    }

    /// Writes rows, as they are ordered, to a file.
    fn write_rows<R: Borrow<Row>>(
        &self,
        at: usize,
        rollup: Option<usize>,
        rows: &[R],
        folder: &Path,
        logs: (u64, u64),
    ) -> Result<Entry, SealError> {
        let table = self.table_of(at, rollup);
        let summed = rollup.map(|_| rollup::summed(rows.iter().map(Borrow::borrow)));
        let write = |file: &mut Output| columns::write(table, rows, summed, file);
        self.write_file(at, rollup, Facts::of(table, summed, rows), write, folder, logs)
    }

    /// Writes a file so that it is there as a whole or not at all.
    fn write_file(
        &self,
        at: usize,
        rollup: Option<usize>,
        facts: Facts,
        write: impl FnOnce(&mut Output) -> Result<(), ParquetError>,
        folder: &Path,
        logs: (u64, u64),
    ) -> Result<Entry, SealError> {
        let path = folder.join(match logs {
            (first, last) if first == last => format!("{first:020}.parquet"),
            (first, last) => format!("{first:020}-{last:020}.parquet"),
        });
        let unfinished = path.with_extension(UNFINISHED);
        let write = || -> Result<u64, ParquetError> {
            self.disk.create_folder(folder)?;
            let mut file = self.disk.create(&unfinished)?;
            write(&mut file)?;
            file.flush()?;
            file.sync()?;
            self.disk.rename(&unfinished, &path)?;
            Ok(file.length()?)
        };
        let octets = write().map_err(|error| {
            // Room that was taken on a full disk is there again.
            let _ = self.disk.remove_file(&unfinished);
            SealError { path: path.clone(), error }
        })?;
        let Facts { rows, summed, ends, starts, has_replacing } = facts;
        Ok(Entry {
            table: at,
            rollup,
            kept: Arc::new(Kept::new(path, self.disk.clone())),
            logs,
            ends: (ends.0, ends.1 + last_of_step(rollup)),
            rows,
            summed,
            starts,
            has_replacing,
            octets,
            is_sent: false,
        })
    }

    fn retire(&self, now_micros: u64) {
        let before = |keep| now_micros.saturating_sub(keep);
        let ArchiveOptions { keep_micros, keep_octets, keep_sums_micros, keeps_unsent, .. } = self.options;
        let mut state = self.state();
        let mut gone =
            state.take_old_rollups(keep_sums_micros.map(before), keep_octets.map(|octets| octets / 2));
        let of_sums: u64 = state.rollups.iter().map(|file| file.octets).sum();
        let of_rows = keep_octets.map(|octets| octets.saturating_sub(of_sums));
        let rows = state.take_old(before(keep_micros), of_rows, keeps_unsent);
        state.removed += rows.len() as u64;
        state.shrink(&rows);
        gone.extend(rows);
        state.forget(&gone);
        drop(state);
        if !gone.is_empty() {
            self.keep_since();
        }
        self.keep_extent();
        gone.iter().for_each(Entry::give_up);
    }

    /// What a file of a table has: its rows, or what these come to.
    fn table_of(&self, at: usize, rollup: Option<usize>) -> &Table {
        if rollup.is_some() { &self.sums[at] } else { &self.tables[at] }
    }

    fn log_path(&self, number: u64) -> PathBuf {
        self.directory.join(LOGS).join(format!("{number:020}.log"))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Whether it has rows of that log, and of others.
    fn is_merged_of(&self, log: u64) -> bool {
        self.logs.0 < self.logs.1 && (self.logs.0..=self.logs.1).contains(&log)
    }

    /// Has it removed when nobody reads it any more.
    fn give_up(&self) {
        self.kept.give_up();
    }

    /// Whether any of its rows can be one that is looked for, as far as can be said without a look at it.
    fn can_have(&self, table: &Table, wanted: &Wanted<'_>) -> bool {
        let name = |column: Option<usize>| column.map(|at| table.columns[at].name);
        let (start, replaces) = (name(table.sums.start), name(table.sums.replaces));
        wanted.span.meets(self.ends.0, self.ends.1)
            && wanted.conditions.iter().all(|condition| match condition.is {
                Is::Within(from, until) if start == Some(condition.column) => {
                    self.starts.0 <= until && from <= self.starts.1
                }
                Is::Within(1.., _) if replaces == Some(condition.column) => self.has_replacing,
                _ => true,
            })
    }

    /// How long a time what is in its folder is of.
    fn folder_micros(&self) -> u64 {
        self.rollup.map_or(HOUR, |level| ROLLUPS[level].folder_micros)
    }

    fn unreadable(&self, error: &ParquetError) -> UnreadableRows {
        UnreadableRows(format!("{}: {error}", self.kept.path.display()))
    }
}

impl State {
    /// Finds the files of a table in its folder, and removes what was not finished.
    fn find_files(
        &mut self,
        disk: &Disk,
        place: (usize, Option<usize>),
        table: &Table,
        folder: &Path,
        remarks: &mut Vec<Remark>,
    ) -> io::Result<()> {
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                self.find_files(disk, place, table, &path, remarks)?;
                continue;
            }
            match path.extension().and_then(|end| end.to_str()) {
                Some("parquet")
                    if place.1.is_some_and(|level| rollup::is_of_earlier_version(&path, level)) =>
                {
                    disk.remove_file(&path)?;
                }
                Some("parquet") if logs_of(&path).is_some() => match described(disk, place, table, &path) {
                    Ok(Some(file)) if file.rollup.is_some() => self.rollups.push(file),
                    Ok(Some(file)) => self.files.push(file),
                    Ok(None) => {}
                    Err(error) => {
                        remarks.push(format!("{} cannot be read: {error}; it is left alone", path.display()));
                        self.apart.push(path);
                    }
                },
                Some(UNFINISHED) => disk.remove_file(&path)?,
                _ => remarks.push(format!("{} is none of ours; it is left alone", path.display())),
            }
        }
        Ok(())
    }
}

/// What a file has; none where it has no rows.
fn described(
    disk: &Disk,
    (table, rollup): (usize, Option<usize>),
    its: &Table,
    path: &Path,
) -> Result<Option<Entry>, ParquetError> {
    let file = File::open(path)?;
    let octets = file.metadata()?.len();
    let reader = Reader::open(its, file)?;
    let kept = || Arc::new(Kept::new(path.to_owned(), disk.clone()));
    let logs = logs_of(path).unwrap_or_default();
    let entry = |ends: (u64, u64)| Entry {
        table,
        rollup,
        kept: kept(),
        logs,
        ends: (ends.0, ends.1 + last_of_step(rollup)),
        rows: reader.rows(),
        summed: reader.summed(),
        starts: its.sums.start.map_or((0, u64::MAX), |column| reader.bounds(column)),
        has_replacing: its.sums.replaces.is_some_and(|column| reader.has_any(column)),
        octets,
        is_sent: false,
    };
    Ok(reader.ends().map(entry))
}

const LOGS: &str = "log";
const UNFINISHED: &str = "unfinished";
const HOUR: u64 = 60 * 60 * 1_000_000;

/// The folder of what ended in the hour or the day that begins then, in microseconds since the epoch.
fn folder_of(begin: u64, length: u64) -> PathBuf {
    let seconds = i64::try_from(begin / 1_000_000).unwrap_or(i64::MAX);
    let time = DateTime::from_timestamp(seconds, 0).unwrap_or_default();
    let date = PathBuf::from(time.format("date=%Y-%m-%d").to_string());
    if length == DAY { date } else { date.join(time.format("hour=%H").to_string()) }
}

/// How much later than the step begins the last of what is summed up in it can have ended.
fn last_of_step(rollup: Option<usize>) -> u64 {
    rollup.map_or(0, |level| ROLLUPS[level].step - 1)
}

/// The numbers of the logs that a file is of, the first and the last.
fn logs_of(path: &Path) -> Option<(u64, u64)> {
    let number = |text: &str| text.parse().ok().filter(|_| text.len() == 20);
    let name = path.file_stem()?.to_str()?;
    match name.split_once('-') {
        Some((first, last)) => number(first).zip(number(last)).filter(|(first, last)| first < last),
        None => number(name).map(|only| (only, only)),
    }
}
