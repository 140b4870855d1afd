//! The rows of files in a bucket, for those who ask: what of a file is looked at is fetched, and kept on disk for a while.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    io,
    ops::ControlFlow,
    sync::{Arc, Mutex, PoisonError, mpsc},
};

use bytes::Bytes;
use tokio::runtime::Handle;
use vanflow_history::{
    ParquetReader, ReadAt,
    rows::{self, Held, Row, Rows, Table, UnreadableRows, Wanted},
};

use super::{
    cache::Cache,
    place::{Bucket, File, Files},
};

const HOUR: u64 = 60 * 60 * 1_000_000;

/// How much is fetched at least, and how many of those are in memory while a file is read.
const BLOCK: u64 = 1 << 20;
const BLOCKS: usize = 4;

/// The rows that are in a bucket, each once, whichever collector has sent it; events only as this one has recorded them, as
/// others number their own.
#[derive(Clone, Debug)]
pub(crate) struct InBucket {
    inner: Arc<Inner>,
    tables: Arc<[Table]>,
}

#[derive(Debug)]
struct Inner {
    bucket: Arc<Bucket>,
    cache: Cache,
    runtime: Handle,
}

/// A file there.
#[derive(Debug)]
struct Remote {
    inner: Arc<Inner>,
    file: File,
    /// What was read of it last.
    blocks: Mutex<VecDeque<(u64, Bytes)>>,
}

impl InBucket {
    pub(super) fn new(bucket: Arc<Bucket>, cache: Cache, runtime: Handle) -> Self {
        let inner = Inner { bucket, cache, runtime };
        Self { inner: Arc::new(inner), tables: vanflow_api::history_tables().into() }
    }

    /// The files of a table, by hour. Blocks.
    fn files(&self, table: &str) -> Result<BTreeMap<u64, Vec<File>>, UnreadableRows> {
        let bucket = self.inner.bucket.clone();
        let files = self.inner.wait(async move { bucket.files().await });
        let files = files.map_err(|why| self.inner.unreadable(&why))?;
        Ok(self.of_table(table, &files))
    }

    fn of_table(&self, table: &str, files: &Files) -> BTreeMap<u64, Vec<File>> {
        let are_all_the_same = vanflow_api::tables().iter().any(|known| known.name == table);
        let is_it = |file: &&File| are_all_the_same || file.collector == self.inner.bucket.collector;
        let mut hours: BTreeMap<u64, Vec<File>> = BTreeMap::new();
        for file in files.values().filter(|file| file.table == table).filter(is_it) {
            hours.entry(file.hour).or_default().push(file.clone());
        }
        hours
    }

    fn open(&self, file: File) -> Arc<Remote> {
        Arc::new(Remote { inner: self.inner.clone(), file, blocks: Mutex::default() })
    }
}

impl Rows for InBucket {
    fn visit(
        &self,
        wanted: &Wanted<'_>,
        visit: &mut dyn FnMut(Row) -> ControlFlow<()>,
    ) -> Result<(), UnreadableRows> {
        let Some(table) = rows::named(&self.tables, wanted.table) else { return Ok(()) };
        let mut wanted = wanted.clone();
        if let Some(columns) = &mut wanted.columns {
            columns.push(table.columns[table.key].name);
        }
        let is_asked = |hour: u64| wanted.span.meets(hour * HOUR, hour * HOUR + (HOUR - 1));
        for (_, files) in self.files(table.name)?.into_iter().filter(|(hour, _)| is_asked(*hour)) {
            // Collectors send the same rows, and one sends some again in a file that is merged of others.
            let mut known = (files.len() > 1).then(HashSet::new);
            for file in files {
                let file = self.open(file);
                let visited = ParquetReader::open(table, file.clone()).and_then(|reader| {
                    reader.visit(&wanted, &mut |row| {
                        let is_new =
                            known.as_mut().is_none_or(|known| known.insert(table.key(&row).to_owned()));
                        if is_new { visit(row) } else { ControlFlow::Continue(()) }
                    })
                });
                if visited.map_err(|error| file.unreadable(&error))?.is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn find(&self, table: &str, name: &str) -> Result<Option<Row>, UnreadableRows> {
        let Some(table) = rows::named(&self.tables, table) else { return Ok(None) };
        // A key says when it began.
        let began = Table::began(name).unwrap_or(0);
        for (_, files) in
            self.files(table.name)?.into_iter().rev().take_while(|(hour, _)| *hour >= began / HOUR)
        {
            let mut found: Option<Row> = None;
            for file in files {
                let file = self.open(file);
                let its =
                    ParquetReader::with_filters(table, file.clone()).and_then(|reader| reader.find(name));
                let its = its.map_err(|error| file.unreadable(&error))?;
                found = found.into_iter().chain(its).max_by_key(|row| table.end(row));
            }
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn here(&self) -> &dyn Rows {
        self
    }

    fn inherited_until(&self) -> u64 {
        u64::MAX
    }

    fn held(&self, table: &str) -> Held {
        let hours = self.of_table(table, &self.inner.bucket.files_known());
        let mut held = Held { since: hours.keys().next().map(|hour| hour * HOUR), ..Held::default() };
        for file in hours.values().flatten() {
            held.rows += file.rows;
            held.octets += file.octets;
        }
        held
    }
}

impl Inner {
    /// Waits for what others do. Blocks.
    fn wait<T: Send + 'static>(
        &self,
        asked: impl Future<Output = Result<T, String>> + Send + 'static,
    ) -> Result<T, String> {
        let (give, given) = mpsc::channel();
        self.runtime.spawn(async move {
            // Whoever asked may have left.
            let _ = give.send(asked.await);
        });
        given.recv().unwrap_or_else(|_| Err("the collector leaves".to_owned()))
    }

    fn unreadable(&self, why: &str) -> UnreadableRows {
        UnreadableRows(format!("the bucket {}: {why}", self.bucket.url))
    }
}

impl Remote {
    fn unreadable(&self, error: &io::Error) -> UnreadableRows {
        // What is wrong can be that it is not there any more.
        self.inner.bucket.doubt();
        // What reads files says whence an error is.
        let why = error.to_string();
        let why = why.strip_prefix("External: ").unwrap_or(&why);
        self.inner.unreadable(&format!("{}: {why}", self.file.name))
    }

    /// A block of it: as it was read a moment ago, as it is on disk, or as it is there.
    fn block(&self, block: u64) -> io::Result<Bytes> {
        let blocks = || self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, whole)) = blocks().iter().find(|(known, _)| *known == block) {
            return Ok(whole.clone());
        }
        let part = part(&self.file.name, block);
        let range = block * BLOCK..(block * BLOCK + BLOCK).min(self.file.octets);
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let length = range.end - range.start;
        let whole = match self.inner.cache.get(&part).filter(|whole| whole.len() as u64 == length) {
            Some(whole) => whole.into(),
            None => {
                let (bucket, name) = (self.inner.bucket.clone(), self.file.name.clone());
                let asked = async move { bucket.read(&name, range).await };
                let whole = self.inner.wait(asked).map_err(io::Error::other)?;
                self.inner.cache.put(&part, &whole);
                whole
            }
        };
        let mut blocks = blocks();
        blocks.truncate(BLOCKS - 1);
        blocks.push_front((block, whole.clone()));
        Ok(whole)
    }
}

/// What a block of a file is called on disk.
pub(super) fn part(name: &str, block: u64) -> String {
    format!("{}.{block}", name.replace('/', "+"))
}

impl ReadAt for Remote {
    fn length(&self) -> u64 {
        self.file.octets
    }

    fn read_at(&self, from: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut octets = Vec::with_capacity(length.min(BLOCKS << 20));
        while octets.len() < length {
            let at = from.saturating_add(octets.len() as u64);
            let whole = self.block(at / BLOCK)?;
            let rest =
                usize::try_from(at % BLOCK).ok().and_then(|start| whole.get(start..)).unwrap_or_default();
            if rest.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            octets.extend_from_slice(&rest[..rest.len().min(length - octets.len())]);
        }
        Ok(octets)
    }
}
