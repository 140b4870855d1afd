//! A place in a bucket, and what is there: what files are called, and what their names say.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use chrono::{NaiveDate, NaiveTime};
use futures_util::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, path::Path as Key};
use tokio::{
    sync::Mutex as Turn,
    time::{Instant, timeout},
};
use vanflow_history::FinishedFile;

use crate::outbound;

/// How long what is known of what is there may be of use: others write there, too.
const KNOWN_FOR: Duration = Duration::from_secs(60);

/// How long after it could not be found out it is not tried again.
const FAILS_FOR: Duration = Duration::from_secs(3);

/// How long all that is there may take to be listed.
const LISTED_WITHIN: Duration = Duration::from_secs(30);

/// How long a file may take to be sent.
const SENT_WITHIN: Duration = Duration::from_secs(120);

/// How long a part of a file may take to come.
const READ_WITHIN: Duration = Duration::from_secs(15);

/// A place in a bucket.
#[derive(Debug)]
pub(super) struct Bucket {
    store: Arc<dyn ObjectStore>,
    /// For people.
    pub(super) url: String,
    /// What all names begin with; empty where they begin with nothing.
    prefix: String,
    /// What this collector is called in names.
    pub(super) collector: String,
    known: Mutex<Known>,
    /// Held by whoever finds out what is there, and by whoever changes that.
    listing: Turn<()>,
}

/// What is there.
#[derive(Debug, Default)]
struct Known {
    files: Arc<Files>,
    since: Option<Instant>,
    /// Why it was not to be found out, and when.
    failure: Option<(Instant, String)>,
}

/// Files by their names.
pub(super) type Files = BTreeMap<String, File>;

/// A file, as its name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct File {
    /// Below the place, where there is one.
    pub(super) name: String,
    pub(super) table: String,
    /// The hour since the epoch in which its rows ended.
    pub(super) hour: u64,
    pub(super) collector: String,
    pub(super) rows: u64,
    pub(super) octets: u64,
}

impl Bucket {
    pub(super) fn new(store: Arc<dyn ObjectStore>, url: String, prefix: String, collector: String) -> Self {
        Self { store, url, prefix, collector, known: Mutex::default(), listing: Turn::default() }
    }

    /// The name of a file there: its path, with the collector and its rows before the end.
    pub(super) fn name(&self, file: &FinishedFile) -> String {
        let stem = file.name.strip_suffix(".parquet").unwrap_or(&file.name);
        format!("{stem}.{}.{}.parquet", self.collector, file.rows)
    }

    /// Whether the rows of a file there are in that one, which is another.
    pub(super) fn is_in(&self, there: &File, file: &FinishedFile) -> bool {
        let end = format!(".{}.{}.parquet", there.collector, there.rows);
        let its = there.name.strip_suffix(&end).map(|stem| format!("{stem}.parquet"));
        there.collector == self.collector && its.is_some_and(|its| its != file.name && file.has_rows_of(&its))
    }

    /// What is there, as it was a minute ago at most.
    pub(super) async fn files(&self) -> Result<Arc<Files>, String> {
        if let Some(known) = self.known().of_use() {
            return known;
        }
        let _turn = self.listing.lock().await;
        // Somebody else may have found out meanwhile.
        if let Some(known) = self.known().of_use() {
            return known;
        }
        let asked = Instant::now();
        let listed = self.list().await.map(Arc::new);
        let mut known = self.known();
        match &listed {
            Ok(files) => *known = Known { files: files.clone(), since: Some(asked), failure: None },
            // Those who waited for this need not wait for the same again.
            Err(why) => known.failure = Some((Instant::now(), why.clone())),
        }
        listed
    }

    async fn list(&self) -> Result<Files, String> {
        let prefix = key(self.prefix.trim_end_matches('/'))?;
        let prefix = (!self.prefix.is_empty()).then_some(&prefix);
        let listed = within(LISTED_WITHIN, self.store.list(prefix).try_collect::<Vec<_>>()).await?;
        let files = listed.into_iter().filter_map(|object| {
            let name = object.location.as_ref().strip_prefix(&self.prefix)?;
            File::parse(name, object.size).map(|file| (name.to_owned(), file))
        });
        Ok(files.collect())
    }

    /// What is there, as far as anybody has found out.
    pub(super) fn files_known(&self) -> Arc<Files> {
        self.known().files.clone()
    }

    /// It is not as it was thought to be: the next one finds out.
    pub(super) fn doubt(&self) {
        let mut known = self.known();
        (known.since, known.failure) = (None, None);
    }

    /// Sends a file.
    pub(super) async fn send(&self, name: &str, octets: Vec<u8>) -> Result<(), String> {
        let length = octets.len() as u64;
        within(SENT_WITHIN, self.store.put(&self.key(name)?, octets.into())).await?;
        let _turn = self.listing.lock().await;
        if let Some(file) = File::parse(name, length) {
            Arc::make_mut(&mut self.known().files).insert(name.to_owned(), file);
        }
        Ok(())
    }

    pub(super) async fn remove(&self, name: &str) -> Result<(), String> {
        within(SENT_WITHIN, self.store.delete(&self.key(name)?)).await?;
        let _turn = self.listing.lock().await;
        Arc::make_mut(&mut self.known().files).remove(name);
        Ok(())
    }

    /// A part of a file.
    pub(super) async fn read(&self, name: &str, range: Range<u64>) -> Result<Bytes, String> {
        let length = range.end - range.start;
        let part = within(READ_WITHIN, self.store.get_range(&self.key(name)?, range)).await?;
        match part.len() as u64 == length {
            true => Ok(part),
            false => Err(format!("it gave {} octets of {length}", part.len())),
        }
    }

    fn key(&self, name: &str) -> Result<Key, String> {
        key(&format!("{}{name}", self.prefix))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// What need not be found out.
    fn of_use(&self) -> Option<Result<Arc<Files>, String>> {
        if self.since.is_some_and(|since| since.elapsed() < KNOWN_FOR) {
            return Some(Ok(self.files.clone()));
        }
        let failure = self.failure.as_ref().filter(|(when, _)| when.elapsed() < FAILS_FOR);
        failure.map(|(_, why)| Err(why.clone()))
    }
}

impl File {
    /// None where it is called otherwise than files of collectors are.
    pub(super) fn parse(name: &str, octets: u64) -> Option<Self> {
        let parts: Vec<&str> = name.split('/').collect();
        let &[table, date, hour, file] = &parts[..] else { return None };
        let date = NaiveDate::parse_from_str(date.strip_prefix("date=")?, "%Y-%m-%d").ok()?;
        let hour = NaiveTime::from_hms_opt(hour.strip_prefix("hour=")?.parse().ok()?, 0, 0)?;
        let hour = u64::try_from(date.and_time(hour).and_utc().timestamp()).ok()? / (60 * 60);
        let mut parts = file.strip_suffix(".parquet")?.rsplitn(3, '.');
        let (rows, collector, stem) = (parts.next()?.parse().ok()?, parts.next()?, parts.next()?);
        let is_plain = |text: &str| {
            (1..=64).contains(&text.len())
                && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"_-".contains(&octet))
        };
        [table, collector, stem].into_iter().all(is_plain).then(|| Self {
            name: name.to_owned(),
            table: table.to_owned(),
            hour,
            collector: collector.to_owned(),
            rows,
            octets,
        })
    }
}

fn key(name: &str) -> Result<Key, String> {
    Key::parse(name).map_err(|error| error.to_string())
}

async fn within<T>(
    time: Duration,
    asked: impl Future<Output = object_store::Result<T>>,
) -> Result<T, String> {
    match timeout(time, asked).await {
        Ok(outcome) => outcome.map_err(|error| outbound::reasons(&error)),
        Err(_) => Err(format!("it did not answer within {}", humantime::format_duration(time))),
    }
}
