//! Batches of rows that a server has not taken yet, as files: they outlive the process, and what they take is bounded.
//!
//! ```text
//! DIR/01795662840123456-connections-50000-9f86d081.parquet   when it was written, of which table, how many rows, a random number
//! ```
//!
//! The name is what a server knows a batch by that it was sent twice.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use vanflow_history::{
    ParquetWriter,
    rows::{Row, Table},
};

/// The files, oldest first.
#[derive(Debug)]
pub(super) struct Outbox {
    directory: PathBuf,
    /// How many octets they may take; beyond that the oldest go.
    most_octets: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    batches: BTreeMap<String, Batch>,
    sent: u64,
    lost: u64,
}

/// A file of rows of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) name: String,
    pub(super) table: String,
    pub(super) rows: u64,
    pub(super) octets: u64,
}

/// What became of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) sent: u64,
    pub(super) lost: u64,
    pub(super) waiting: u64,
}

impl Outbox {
    /// Opens a directory, which is made where there is none, with what a former process left there.
    pub(super) fn open(directory: &Path, most_octets: u64) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let mut state = State::default();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let path = entry.path();
            if path.extension().is_some_and(|end| end == UNFINISHED) {
                fs::remove_file(path)?;
            } else if let Some(batch) = entry.file_name().to_str().and_then(|name| parse(name, &entry)) {
                state.batches.insert(batch.name.clone(), batch);
            }
        }
        Ok(Self { directory: directory.to_owned(), most_octets, state: Mutex::new(state) })
    }

    /// Puts rows of a table in it, which have as many values as it has columns. They are on disk when this returns. Where there
    /// is too much then, the oldest goes, and is counted.
    pub(super) fn put(&self, table: &Table, rows: &[Row], now_micros: u64) -> io::Result<()> {
        let name =
            format!("{now_micros:017}-{}-{}-{:08x}.parquet", table.name, rows.len(), rand::random::<u32>());
        let path = self.directory.join(&name);
        let unfinished = path.with_extension(UNFINISHED);
        let mut writer = ParquetWriter::new(table, &table.columns, rows.len(), File::create(&unfinished)?)?;
        writer.write(rows)?;
        let mut file = writer.end()?;
        file.flush()?;
        file.sync_data()?;
        let octets = file.metadata()?.len();
        fs::rename(&unfinished, &path)?;
        File::open(&self.directory)?.sync_all()?;
        let mut state = self.state();
        let batch =
            Batch { name: name.clone(), table: table.name.to_owned(), rows: rows.len() as u64, octets };
        state.batches.insert(name, batch);
        let mut octets: u64 = state.batches.values().map(|batch| batch.octets).sum();
        while octets > self.most_octets && state.batches.len() > 1 {
            let Some((_, oldest)) = state.batches.pop_first() else { break };
            octets -= oldest.octets;
            state.lost += oldest.rows;
            // Where it cannot be removed, it is found again by the next process.
            let _ = fs::remove_file(self.directory.join(&oldest.name));
        }
        Ok(())
    }

    /// Those that wait, oldest first.
    pub(super) fn waiting(&self) -> Vec<Batch> {
        self.state().batches.values().cloned().collect()
    }

    /// What is in a file; nothing where it had to go meanwhile.
    pub(super) fn read(&self, batch: &Batch) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.directory.join(&batch.name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some),
        }
    }

    /// It was taken.
    pub(super) fn sent(&self, batch: &Batch) -> io::Result<()> {
        let mut state = self.state();
        if state.batches.remove(&batch.name).is_some() {
            state.sent += batch.rows;
            drop(state);
            fs::remove_file(self.directory.join(&batch.name))?;
        }
        Ok(())
    }

    pub(super) fn counts(&self) -> Counts {
        let state = self.state();
        let waiting = state.batches.values().map(|batch| batch.rows).sum();
        Counts { sent: state.sent, lost: state.lost, waiting }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const UNFINISHED: &str = "unfinished";

/// What the name of a file says; none where it is none of ours.
fn parse(name: &str, entry: &fs::DirEntry) -> Option<Batch> {
    let mut parts = name.strip_suffix(".parquet")?.rsplitn(3, '-');
    let (_random, rows, rest) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
    let (_written, table) = rest.split_once('-')?;
    let octets = entry.metadata().ok()?.len();
    Some(Batch { name: name.to_owned(), table: table.to_owned(), rows, octets })
}
