//! `--state`: records that outlive the process (faults 22).
//!
//! What changed is appended to a log in a directory, each record whole, every few seconds; a collector that starts
//! reads the log and goes on from there. When the log has grown to twice of what a new one would be, a new one takes
//! its place. The records in memory are the truth and the log follows them: a disk that is full or a file that is
//! damaged is reported about, and never keeps the collector from collecting (faults 23).

mod file;

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use foldhash::fast::FixedState;
use thiserror::Error;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use vanflow_proto::{
    Attribute, Body, Dialect, Encoder, Message, SourceType, Timestamp, Update, UpdateBuf, ValueBuf,
};
use vanflow_store::{Ended, Field, Record, RecordRef, Revision, Snapshot, SourceId, Store};

use self::file::{Entry, Fault, Reader, Writer};
use crate::occasion::Occasion;

const LOG: &str = "records.vanflow";
const NEW_LOG: &str = "records.vanflow.new";
const LOCK: &str = "lock";

/// A log shorter than this is not worth a new one, in octets.
const SHORT: u64 = 4 << 20;

/// How long to wait after a new log could not be written.
const RETRY_NEW_LOG: Duration = Duration::from_secs(60);

/// Changes that are taken from the store at a time, so that its lock is held for less than a millisecond.
const CHANGES: usize = 4096;

/// Records in one frame of the log.
const RECORDS: usize = 256;

/// Octets that are collected before they are written.
const PIECE: usize = 1 << 20;

/// How old the time at which a source was seen may get in the log, in microseconds, while it says nothing new.
const HEARD_WITHIN: u64 = 10_000_000;

/// A directory that cannot hold a state.
#[derive(Debug, Error)]
pub enum StateError {
    /// It cannot be made, or nothing can be made in it.
    #[error("cannot keep records in {path}: {error}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why not.
        #[source]
        error: io::Error,
    },
    /// Another process keeps its records there.
    #[error("cannot keep records in {path}: another collector does")]
    InUse {
        /// The directory.
        path: PathBuf,
    },
}

/// A source whose records came back from the log, and that was not seen since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Restored {
    pub(crate) source: SourceId,
    pub(crate) id: String,
    /// When it was seen last, by our clock.
    pub(crate) last_heard: Timestamp,
}

/// Keeps the records of a store in a directory.
#[derive(Debug)]
pub(crate) struct Keeper {
    directory: PathBuf,
    /// Held for as long as the directory is in use.
    _lock: Option<File>,
    /// `None` where the log cannot be gone on with: the next one to write is a new one.
    log: Option<Writer>,
    /// How long the log would be if it were new.
    needed: u64,
    /// A log that is not longer than this is gone on with.
    short: u64,
    no_new_log_before: Option<Instant>,
    /// What of the store is in the log.
    written: Revision,
    /// When each source was seen, as far as the log knows.
    heard: HashMap<String, Timestamp>,
    trouble: Occasion,
}

impl Keeper {
    /// Brings back into `store` what a former process kept in `directory`. Answers the sources of records that
    /// lived then. Blocks.
    pub(crate) fn open(
        directory: &Path,
        store: &mut Store,
        retention: Duration,
        now: Timestamp,
    ) -> Result<(Self, Vec<Restored>), StateError> {
        let lock = lock(directory)?;
        let path = directory.join(LOG);
        let mut loaded = Loaded::default();
        let mut log = None;
        match File::open(&path) {
            Ok(file) => {
                let fault = loaded.load(file, store, retention, now);
                match fault {
                    None | Some(Fault::Torn(_)) => {
                        if let Some(fault) = fault {
                            warn!("{}: {fault}: cut them off", path.display());
                        }
                        if loaded.good > 0 {
                            log = Writer::resume(&path, loaded.good)
                                .inspect_err(|error| error!("cannot write {}: {error}", path.display()))
                                .ok();
                        }
                    }
                    Some(fault) => set_aside(&path, &fault),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => set_aside(&path, &Fault::Io(error)),
        }
        while store.advance(now) {}
        let restored = loaded.sources(store, now);
        if loaded.restored > 0 {
            info!(
                "restored {} records of {} sources from {}",
                loaded.restored,
                loaded.sources.len(),
                path.display()
            );
        }
        let keeper = Self {
            directory: directory.to_owned(),
            _lock: lock,
            needed: loaded.needed(),
            log,
            short: SHORT,
            no_new_log_before: None,
            written: store.revision(),
            heard: HashMap::new(),
            trouble: Occasion::default(),
        };
        Ok((keeper, restored))
    }

    /// Writes what changed, every `every`, and once more after `shutdown`.
    pub(crate) async fn keep(
        mut self,
        store: Arc<Mutex<Store>>,
        every: Duration,
        shutdown: CancellationToken,
    ) {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let last = tokio::select! {
                () = shutdown.cancelled() => true,
                _ = ticks.tick() => false,
            };
            let store = store.clone();
            // Disks take their time, and nobody else has to.
            let written = tokio::task::spawn_blocking(move || {
                self.write(&store);
                self
            });
            match written.await {
                Ok(keeper) => self = keeper,
                Err(error) => {
                    error!("records are no longer kept: {error}");
                    return;
                }
            }
            if last {
                return;
            }
        }
    }

    /// Writes what changed since it was last called. What goes wrong is reported, and tried again next time. Blocks.
    fn write(&mut self, store: &Mutex<Store>) {
        match self.try_write(store) {
            Ok(()) => {
                if self.trouble.is_over() {
                    info!("records are kept in {} again", self.directory.display());
                }
            }
            Err(error) => {
                if self.trouble.arises().is_some() {
                    error!(
                        "cannot keep records in {}: {error}; collecting goes on, and what changes is written \
                         when that works again",
                        self.directory.display()
                    );
                }
            }
        }
    }

    fn try_write(&mut self, store: &Mutex<Store>) -> io::Result<()> {
        let Some(log) = &self.log else { return self.write_new_log(store) };
        let is_long = log.length() > self.short.max(2 * self.needed);
        if is_long && self.no_new_log_before.is_none_or(|before| Instant::now() >= before) {
            match self.write_new_log(store) {
                Ok(()) => return Ok(()),
                Err(error) => {
                    self.no_new_log_before = Some(Instant::now() + RETRY_NEW_LOG);
                    // The old one may yet have room.
                    warn!("cannot write a shorter log: {error}");
                }
            }
        }
        let Some(log) = &mut self.log else { return Ok(()) };
        let before = log.length();
        loop {
            let (changes, snapshot) = {
                let store = store.lock().unwrap_or_else(PoisonError::into_inner);
                (store.changes(self.written, CHANGES), store.snapshot())
            };
            let mut frames = Frames::default();
            let upto = if changes.overrun {
                let records = snapshot.records().filter(|record| record.revision() > self.written);
                let mut records: Vec<_> = records.map(|record| (record.revision(), record.at())).collect();
                records.sort_unstable_by_key(|(revision, _)| *revision);
                for (_, at) in records {
                    frames.add(&snapshot, at);
                    if frames.octets.len() >= PIECE {
                        log.append(&std::mem::take(&mut frames.octets))?;
                    }
                }
                snapshot.revision()
            } else {
                changes.records.iter().for_each(|&at| frames.add(&snapshot, at));
                changes.upto
            };
            frames.end();
            let is_last = upto >= snapshot.revision();
            if is_last {
                frames.hear(&snapshot, &mut self.heard);
            }
            if !frames.octets.is_empty() {
                log.append(&frames.octets)?;
            }
            self.written = upto;
            if is_last {
                break;
            }
        }
        if log.length() > before { log.sync() } else { Ok(()) }
    }

    /// Writes all that there is into a new log, which takes the place of the old one once it is whole.
    fn write_new_log(&mut self, store: &Mutex<Store>) -> io::Result<()> {
        let snapshot = store.lock().unwrap_or_else(PoisonError::into_inner).snapshot();
        fs::create_dir_all(&self.directory)?;
        let new = self.directory.join(NEW_LOG);
        let written = write_whole(&new, &snapshot, &mut self.heard);
        let log = match written {
            Ok(log) => log,
            Err(error) => {
                // It takes room that others may need.
                let _ = fs::remove_file(&new);
                return Err(error);
            }
        };
        fs::rename(&new, self.directory.join(LOG))?;
        // Without this a power cut could bring the old one back.
        File::open(&self.directory).and_then(|directory| directory.sync_all())?;
        self.needed = log.length();
        self.no_new_log_before = None;
        self.written = snapshot.revision();
        self.log = Some(log);
        Ok(())
    }
}

fn write_whole(
    path: &Path,
    snapshot: &Snapshot,
    heard: &mut HashMap<String, Timestamp>,
) -> io::Result<Writer> {
    let mut log = Writer::create(path)?;
    // In the order in which they changed, former records with an id come before the one that has it now.
    let mut records: Vec<_> = snapshot.records().map(|record| (record.revision(), record.at())).collect();
    records.sort_unstable_by_key(|(revision, _)| *revision);
    let mut frames = Frames::default();
    for (_, at) in records {
        frames.add(snapshot, at);
        if frames.octets.len() >= PIECE {
            log.append(&std::mem::take(&mut frames.octets))?;
        }
    }
    frames.end();
    heard.clear();
    frames.hear(snapshot, heard);
    log.append(&frames.octets)?;
    log.sync()?;
    Ok(log)
}

/// Makes sure that nobody else keeps records in the directory, which is made if need be.
fn lock(directory: &Path) -> Result<Option<File>, StateError> {
    let path = directory.to_owned();
    let opened = fs::create_dir_all(directory).and_then(|()| {
        OpenOptions::new().write(true).create(true).truncate(false).open(directory.join(LOCK))
    });
    let file = match opened {
        Ok(file) => file,
        // That will pass (faults 23); what else is wrong with the directory will not.
        Err(error) if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
            error!("cannot keep records in {}: {error}; collecting goes on", path.display());
            return Ok(None);
        }
        Err(error) => return Err(StateError::Directory { path, error }),
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(StateError::InUse { path }),
        Err(TryLockError::Error(error)) => {
            warn!("cannot know whether another collector keeps records in {}: {error}", path.display());
            Ok(None)
        }
    }
}

/// Moves a log that cannot be gone on with out of the way, and says so.
fn set_aside(path: &Path, fault: &Fault) {
    let aside = (1..u32::MAX)
        .map(|number| path.with_extension(format!("vanflow.damaged-{number}")))
        .find(|aside| !aside.exists());
    let Some(aside) = aside else { return };
    match fs::rename(path, &aside) {
        Ok(()) => error!(
            "{}: {fault}; it was set aside as {}, what could be read of it is there, and a new one is begun",
            path.display(),
            aside.display()
        ),
        Err(error) => {
            error!("{}: {fault}; it cannot be set aside ({error}) and is overwritten", path.display())
        }
    }
}

/// Records on their way into the log, gathered into frames of one source and one end each.
#[derive(Default)]
struct Frames {
    octets: Vec<u8>,
    gathered: Vec<UpdateBuf>,
    /// What the gathered records have in common.
    owner: Option<Owner>,
}

#[derive(PartialEq)]
struct Owner {
    source: String,
    source_type: String,
    last_heard: Timestamp,
    ended: Option<Ended>,
}

impl Frames {
    fn add(&mut self, snapshot: &Snapshot, at: RecordRef) {
        // What is derived follows from the rest when that is read.
        let Some(record) = snapshot.get(at).filter(|record| !record.is_derived()) else { return };
        let Some(source) = record.source() else { return };
        let ended = record.ended();
        let fits =
            self.owner.as_ref().is_some_and(|owner| owner.source == source.id() && owner.ended == ended);
        if !fits || self.gathered.len() >= RECORDS {
            self.end();
            self.owner = Some(Owner {
                source: source.id().to_owned(),
                source_type: source.source_type().name().to_owned(),
                last_heard: source.last_heard(),
                ended,
            });
        }
        self.gathered.push(whole(&record));
    }

    /// Ends the frame that is being gathered.
    fn end(&mut self) {
        let Some(owner) = self.owner.take() else { return };
        let message = Encoder::new(Dialect::Controller).records("", 0, &self.gathered);
        self.gathered.clear();
        Entry {
            source: &owner.source,
            source_type: SourceType::from_name(&owner.source_type),
            last_heard: owner.last_heard,
            ended: owner.ended.map(|ended| (ended.at, ended.presumed)),
            message: &message,
        }
        .push_to(&mut self.octets);
    }

    /// Adds when sources were seen, where the log is behind.
    fn hear(&mut self, snapshot: &Snapshot, heard: &mut HashMap<String, Timestamp>) {
        for source in snapshot.sources().filter(|source| source.is_alive()) {
            let known = heard.get(source.id());
            if known.is_some_and(|known| source.last_heard().micros_since(*known) < HEARD_WITHIN) {
                continue;
            }
            heard.insert(source.id().to_owned(), source.last_heard());
            Entry {
                source: source.id(),
                source_type: source.source_type(),
                last_heard: source.last_heard(),
                ended: None,
                message: &[],
            }
            .push_to(&mut self.octets);
        }
    }
}

/// A record as one update.
fn whole(record: &Record<'_>) -> UpdateBuf {
    let attributes = record.fields().filter_map(|(code, field)| {
        let value = match field {
            Field::Uint(number) => ValueBuf::Uint(number),
            Field::Text(text) => ValueBuf::Text(text.to_cow().into()),
            Field::Other(value) => value.to_owned(),
            _ => return None,
        };
        Some((code, value))
    });
    UpdateBuf { type_code: record.type_code(), id: record.id().to_string(), attributes: attributes.collect() }
}

/// What was read of a log.
#[derive(Default)]
struct Loaded {
    /// How much of the log could be read, in octets.
    good: u64,
    /// Records in the log, each as often as it stands there.
    read: u64,
    restored: u64,
    sources: HashMap<String, LoadedSource>,
}

struct LoadedSource {
    id: SourceId,
    last_heard: Timestamp,
    lives: bool,
}

/// Where in the log a record stands.
struct Place {
    id: u64,
    start: u64,
    frame: u32,
    position: u32,
}

impl Loaded {
    /// Reads a log into the store: twice, first to find out where each record stands last.
    fn load(&mut self, file: File, store: &mut Store, retention: Duration, now: Timestamp) -> Option<Fault> {
        let retention = u64::try_from(retention.as_micros()).unwrap_or(u64::MAX);
        let second = match file.try_clone() {
            Ok(second) => second,
            Err(error) => return Some(error.into()),
        };
        let mut reader = match Reader::open(file) {
            Ok(reader) => reader,
            Err(fault) => return Some(fault),
        };
        let mut places = Vec::new();
        let mut heard: Vec<(String, String, Timestamp)> = Vec::new();
        let mut positions: HashMap<String, usize> = HashMap::new();
        let mut frame = 0;
        let fault = loop {
            self.good = reader.offset();
            let entry = match reader.next() {
                Ok(Some(entry)) => entry,
                Ok(None) => break None,
                Err(fault) => break Some(fault),
            };
            match positions.get(entry.source) {
                Some(&position) => heard[position].2 = heard[position].2.max(entry.last_heard),
                None => {
                    positions.insert(entry.source.to_owned(), heard.len());
                    heard.push((
                        entry.source.to_owned(),
                        entry.source_type.name().to_owned(),
                        entry.last_heard,
                    ));
                }
            }
            for (position, update) in updates(&entry) {
                self.read += 1;
                places.push(Place {
                    id: hash(update.id),
                    start: update.get(Attribute::StartTime).and_then(|start| start.as_uint()).unwrap_or(0),
                    frame,
                    position,
                });
            }
            frame += 1;
        };

        for (id, source_type, last_heard) in heard {
            let source = store.source_seen(&id, SourceType::from_name(&source_type), last_heard);
            self.sources.insert(id, LoadedSource { id: source, last_heard, lives: false });
        }
        let mut reader = match Reader::open(second) {
            Ok(reader) => reader,
            Err(fault) => return Some(fault),
        };
        let mut last = last_places(places).into_iter().peekable();
        for frame in 0..frame {
            let entry = match reader.next() {
                Ok(Some(entry)) => entry,
                Ok(None) => break,
                Err(fault) => return Some(fault),
            };
            let ended = entry.ended.map(|(at, presumed)| Ended { at, presumed });
            let is_over = ended.is_some_and(|ended| now.micros_since(ended.at) > retention);
            for (position, update) in updates(&entry) {
                if last.next_if_eq(&(frame, position)).is_none() || is_over {
                    continue;
                }
                let source = self.sources.get_mut(entry.source).expect("every source was met before");
                source.lives |= ended.is_none();
                store.restore(source.id, &update, ended);
                self.restored += 1;
            }
        }
        fault
    }

    /// The sources that are to be waited for. Those without a live record were gone already.
    fn sources(&self, store: &mut Store, now: Timestamp) -> Vec<Restored> {
        let mut restored = Vec::new();
        for (id, source) in &self.sources {
            if source.lives {
                restored.push(Restored { source: source.id, id: id.clone(), last_heard: source.last_heard });
            } else {
                store.source_lost(source.id, source.last_heard, now);
            }
        }
        restored.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        restored
    }

    /// How long the log would be without what stands there in vain.
    fn needed(&self) -> u64 {
        let needed = u128::from(self.good) * u128::from(self.restored) / u128::from(self.read.max(1));
        u64::try_from(needed).unwrap_or(u64::MAX)
    }
}

/// The records of an entry, with their positions.
fn updates<'a>(entry: &Entry<'a>) -> impl Iterator<Item = (u32, Update<'a>)> + use<'a> {
    let updates = match Message::decode(entry.message).map(|message| message.body) {
        Ok(Body::Records(updates)) => Some(updates),
        _ => None,
    };
    updates.into_iter().flatten().filter_map(Result::ok).zip(0..).map(|(update, position)| (position, update))
}

fn hash(id: &str) -> u64 {
    use std::hash::BuildHasher;
    FixedState::default().hash_one(id)
}

/// The frame and position of the last state of each record, in the order of the log.
///
/// Records with one id and different starts are different records (faults 6).
fn last_places(mut places: Vec<Place>) -> Vec<(u32, u32)> {
    places.sort_unstable_by_key(|place| (place.id, place.frame, place.position));
    let mut last = Vec::new();
    let mut starts = Vec::new();
    for states in places.chunk_by(|one, other| one.id == other.id) {
        starts.clear();
        for state in states.iter().rev() {
            // A record that did not know its start yet may be any that came later.
            let is_known = starts.contains(&state.start) || (state.start == 0 && !starts.is_empty());
            if !is_known {
                starts.push(state.start);
                last.push((state.frame, state.position));
            }
        }
    }
    last.sort_unstable();
    last
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;
    use vanflow_proto::RecordKind;
    use vanflow_store::Options;

    use super::*;

    const RETENTION: Duration = Duration::from_secs(900);
    /// Sunday evening, by our clock.
    const NOW: Timestamp = Timestamp::from_micros(1_795_390_000_000_000);

    fn after(seconds: u64) -> Timestamp {
        NOW.plus_micros(seconds * 1_000_000)
    }

    fn report(store: &mut Store, source: SourceId, updates: &[UpdateBuf], now: Timestamp) {
        let message = Encoder::new(Dialect::Router).records("mc/sfe.a:0", 1, updates);
        let Ok(Body::Records(updates)) = Message::decode(&message).map(|message| message.body) else {
            panic!("it was encoded as records")
        };
        for update in updates {
            store.apply(source, &update.expect("it was encoded"), now);
        }
    }

    fn update(kind: RecordKind, id: &str, start: u64) -> UpdateBuf {
        UpdateBuf::new(kind, id).with(Attribute::StartTime, start)
    }

    /// A store that knows a router's records, of all sorts.
    fn store() -> Store {
        let mut store = Store::new(Options::default());
        let router = store.source_seen("a:0", SourceType::Router, NOW);
        store.heartbeat(router, after(3600), NOW);
        let odd = UpdateBuf {
            type_code: Some(99),
            id: "a:9".into(),
            attributes: vec![
                (3, ValueBuf::Uint(5)),
                (500, ValueBuf::Int(-3)),
                (501, ValueBuf::Bool(true)),
                (502, ValueBuf::Text("text".into())),
                (503, ValueBuf::Encoded([0xc0, 2, 1, 0x40].into())),
            ],
        };
        let reported = [
            update(RecordKind::Router, "a:0", 1).with(Attribute::Name, "0/a"),
            update(RecordKind::Listener, "a:1", 2).with(Attribute::VanAddress, "echo:7"),
            update(RecordKind::Process, "p", 2).with(Attribute::ImageName, "cart:1"),
            update(RecordKind::BiflowTport, "a:2", 3)
                .with(Attribute::Parent, "a:1")
                .with(Attribute::Octets, 7),
            update(RecordKind::BiflowTport, "a:3", 3).with(Attribute::EndTime, 4),
            UpdateBuf::new(RecordKind::Link, "a:4").with(Attribute::Octets, 7),
            odd,
        ];
        report(&mut store, router, &reported, NOW);
        let gone = store.source_seen("b", SourceType::Other("NEW"), NOW);
        report(&mut store, gone, &[update(RecordKind::Site, "b", 1)], NOW);
        store.source_lost(gone, NOW, after(30));
        store
    }

    /// All that a store reports its records.
    fn contents(store: &Store) -> Vec<String> {
        let snapshot = store.snapshot();
        let records = snapshot.records().filter(|record| !record.is_derived()).map(|record| {
            let fields: Vec<_> = record.fields().map(|(code, field)| format!("{code}={field:?}")).collect();
            let source = record.source().expect("somebody reported it");
            format!(
                "{} {:?} of {} {}: {} {:?}",
                record.id(),
                record.type_code(),
                source.source_type(),
                source.id(),
                fields.join(" "),
                record.ended()
            )
        });
        let mut records: Vec<_> = records.collect();
        records.sort_unstable();
        records
    }

    fn open(directory: &TempDir, now: Timestamp) -> (Keeper, Store, Vec<Restored>) {
        let mut store = Store::new(Options::default());
        let (keeper, restored) =
            Keeper::open(directory.path(), &mut store, RETENTION, now).expect("a directory of our own");
        (keeper, store, restored)
    }

    fn directory() -> TempDir {
        tempfile::tempdir().expect("a directory")
    }

    /// Keeps a store, and brings it back in another one.
    fn kept(store: Store, now: Timestamp) -> (Store, Vec<Restored>) {
        let directory = directory();
        let (mut keeper, ..) = open(&directory, NOW);
        keeper.try_write(&Mutex::new(store)).expect("writes");
        drop(keeper);
        let (_, store, restored) = open(&directory, now);
        (store, restored)
    }

    #[tokio::test]
    async fn records_come_back_as_they_were() {
        // faults 22
        let expected = contents(&store());
        assert_eq!(expected.len(), 8);
        let (store, restored) = kept(store(), after(31));
        assert_eq!(contents(&store), expected);
        let snapshot = store.snapshot();
        let listener = snapshot.find("a:2").next().and_then(|flow| flow.parent()).expect("a listener");
        assert_eq!(listener.id(), "a:1", "what follows from records follows again");
        assert_eq!(snapshot.services().count(), 1);
        let waited_for: Vec<_> = restored.iter().map(|source| (&*source.id, source.last_heard)).collect();
        assert_eq!(waited_for, [("a:0", NOW)], "the other was gone already");
        assert!(snapshot.sources().all(|source| source.is_alive() == (source.id() == "a:0")));
    }

    #[tokio::test]
    async fn the_retention_of_ended_records_goes_on() {
        let (store, _) = kept(store(), after(901));
        let ids = |store: &Store| -> Vec<_> {
            let mut ids: Vec<_> = store
                .snapshot()
                .records()
                .filter(|record| !record.is_derived())
                .map(|record| record.id().to_string())
                .collect();
            ids.sort_unstable();
            ids
        };
        assert_eq!(ids(&store), ["a:0", "a:1", "a:2", "a:4", "a:9", "b", "p"], "a:3 ended 901 seconds ago");
        let mut store = store;
        while store.advance(after(932)) {}
        assert_eq!(ids(&store), ["a:0", "a:1", "a:2", "a:4", "a:9", "p"], "b ended 902 seconds ago");
    }

    #[tokio::test]
    async fn what_changed_since_is_all_that_is_written() {
        let directory = directory();
        let (mut keeper, ..) = open(&directory, NOW);
        let store = Mutex::new(store());
        keeper.try_write(&store).expect("writes");
        let length = keeper.log.as_ref().expect("a log").length();
        keeper.try_write(&store).expect("writes");
        assert_eq!(keeper.log.as_ref().expect("a log").length(), length, "nothing changed");

        let router = store.lock().expect("no panic").source_seen("a:0", SourceType::Router, NOW);
        let more = UpdateBuf::new(RecordKind::BiflowTport, "a:2").with(Attribute::Octets, 9);
        report(&mut store.lock().expect("no panic"), router, &[more], NOW);
        keeper.try_write(&store).expect("writes");
        let added = keeper.log.as_ref().expect("a log").length() - length;
        assert!((50..250).contains(&added), "{added} octets for one record");
        drop(keeper);
        let (_, restored, _) = open(&directory, NOW);
        assert_eq!(contents(&restored), contents(&store.lock().expect("no panic")));
    }

    #[tokio::test]
    async fn more_changes_than_are_remembered_are_written_too() {
        let directory = directory();
        let (mut keeper, ..) = open(&directory, NOW);
        let mut options = Options::default();
        options.remembered_changes = 8;
        let store = Mutex::new(Store::new(options));
        keeper.try_write(&store).expect("writes");
        let router = store.lock().expect("no panic").source_seen("a:0", SourceType::Router, NOW);
        let many: Vec<_> = (1..600).map(|id| update(RecordKind::Link, &format!("a:{id}"), id)).collect();
        report(&mut store.lock().expect("no panic"), router, &many, NOW);
        keeper.try_write(&store).expect("writes");
        drop(keeper);
        let (_, restored, _) = open(&directory, NOW);
        assert_eq!(contents(&restored).len(), 599);
        assert_eq!(contents(&restored), contents(&store.lock().expect("no panic")));
    }

    #[tokio::test]
    async fn records_of_one_id_before_and_after_a_restart_stay_two() {
        // faults 6
        let mut store = Store::new(Options::default());
        let router = store.source_seen("a:0", SourceType::Router, NOW);
        let name = |start, name: &str| update(RecordKind::Link, "a:1", start).with(Attribute::Name, name);
        report(&mut store, router, &[name(1, "old")], NOW);
        store.source_restarted(router, after(5));
        report(&mut store, router, &[name(2, "new")], after(6));
        let expected = contents(&store);
        assert_eq!(expected.len(), 2);
        let (store, _) = kept(store, after(7));
        assert_eq!(contents(&store), expected);
        let snapshot = store.snapshot();
        let now = snapshot.find("a:1").next().expect("it is there");
        assert_eq!(now.text(Attribute::Name).expect("a name").to_string(), "new");
    }

    #[tokio::test]
    async fn a_torn_end_is_cut_off_and_written_behind() {
        // faults 22
        let directory = directory();
        let (mut keeper, ..) = open(&directory, NOW);
        let store = Mutex::new(store());
        keeper.try_write(&store).expect("writes");
        drop(keeper);
        let path = directory.path().join(LOG);
        let whole = fs::read(&path).expect("reads");
        fs::write(&path, [&whole[..], &whole[16..40]].concat()).expect("writes");

        let (mut keeper, restored, _) = open(&directory, NOW);
        assert_eq!(contents(&restored), contents(&store.lock().expect("no panic")));
        let restored = Mutex::new(restored);
        let router = restored.lock().expect("no panic").source_seen("a:0", SourceType::Router, NOW);
        report(&mut restored.lock().expect("no panic"), router, &[update(RecordKind::Link, "a:50", 1)], NOW);
        keeper.try_write(&restored).expect("writes");
        drop(keeper);
        let (_, again, _) = open(&directory, NOW);
        assert_eq!(contents(&again), contents(&restored.lock().expect("no panic")));
        assert!(!directory.path().join("records.vanflow.damaged-1").exists());
    }

    #[tokio::test]
    async fn a_damaged_log_is_set_aside_and_what_stands_before_the_damage_is_kept() {
        // faults 23
        let directory = directory();
        let (mut keeper, ..) = open(&directory, NOW);
        let store = Mutex::new(store());
        keeper.try_write(&store).expect("writes");
        let good = usize::try_from(keeper.log.as_ref().expect("a log").length()).expect("it is short");
        let router = store.lock().expect("no panic").source_seen("a:0", SourceType::Router, NOW);
        let before = contents(&store.lock().expect("no panic"));
        for id in ["a:50", "a:51"] {
            report(&mut store.lock().expect("no panic"), router, &[update(RecordKind::Link, id, 1)], NOW);
            keeper.try_write(&store).expect("writes");
        }
        drop(keeper);
        let path = directory.path().join(LOG);
        let mut octets = fs::read(&path).expect("reads");
        octets[good + 30] ^= 0xff;
        fs::write(&path, &octets).expect("writes");

        let (mut keeper, restored, _) = open(&directory, NOW);
        assert_eq!(contents(&restored), before);
        let aside = directory.path().join("records.vanflow.damaged-1");
        assert_eq!(fs::read(aside).expect("it was set aside"), octets);
        keeper.try_write(&Mutex::new(restored)).expect("writes");
        drop(keeper);
        assert_eq!(contents(&open(&directory, NOW).1), before, "the new log is whole");
    }

    #[tokio::test]
    async fn a_log_of_another_version_is_set_aside_under_a_name_of_its_own() {
        // faults 23
        let directory = directory();
        for (number, octets) in [(1, &b"vanflow-state\n\x02\0and more"[..]), (2, b"something else entirely")]
        {
            fs::write(directory.path().join(LOG), octets).expect("writes");
            let (_, store, restored) = open(&directory, NOW);
            assert!(contents(&store).is_empty() && restored.is_empty());
            let aside = directory.path().join(format!("records.vanflow.damaged-{number}"));
            assert_eq!(fs::read(aside).expect("it was set aside"), octets);
        }
    }

    #[tokio::test]
    async fn a_full_disk_costs_nothing_that_is_written_once_there_is_room() {
        // faults 23
        let directory = directory();
        let (mut keeper, ..) = open(&directory, NOW);
        let store = Mutex::new(store());
        symlink("/dev/full", directory.path().join(NEW_LOG)).expect("links");
        let error = keeper.try_write(&store).expect_err("the disk is full");
        assert_eq!(error.to_string(), "No space left on device (os error 28)");
        keeper.write(&store);
        drop(fs::remove_file(directory.path().join(NEW_LOG)));
        keeper.try_write(&store).expect("there is room");

        // The same where a log has been begun.
        let path = directory.path().join(LOG);
        let length = keeper.log.as_ref().expect("a log").length();
        keeper.log = Some(Writer::full(length));
        let router = store.lock().expect("no panic").source_seen("a:0", SourceType::Router, NOW);
        report(&mut store.lock().expect("no panic"), router, &[update(RecordKind::Link, "a:50", 1)], NOW);
        keeper.try_write(&store).expect_err("the disk is full");
        keeper.log = Some(Writer::resume(&path, length).expect("opens"));
        keeper.try_write(&store).expect("there is room");
        drop(keeper);
        assert_eq!(contents(&open(&directory, NOW).1), contents(&store.lock().expect("no panic")));
    }

    #[tokio::test]
    async fn a_log_that_has_grown_long_gives_way_to_a_short_one() {
        let directory = directory();
        let (mut keeper, ..) = open(&directory, NOW);
        keeper.short = 0;
        let store = Mutex::new(store());
        keeper.try_write(&store).expect("writes");
        let short = keeper.log.as_ref().expect("a log").length();
        let router = store.lock().expect("no panic").source_seen("a:0", SourceType::Router, NOW);
        let mut longest = 0;
        for octets in 10..200_u64 {
            let more = UpdateBuf::new(RecordKind::BiflowTport, "a:2").with(Attribute::Octets, octets);
            report(&mut store.lock().expect("no panic"), router, &[more], NOW);
            keeper.try_write(&store).expect("writes");
            longest = longest.max(keeper.log.as_ref().expect("a log").length());
        }
        assert!((2 * short..3 * short).contains(&longest), "{longest} octets at times, {short} at first");
        drop(keeper);
        let (keeper, restored, _) = open(&directory, NOW);
        assert_eq!(contents(&restored), contents(&store.lock().expect("no panic")));
        assert!(keeper.needed <= 2 * short, "{} octets are thought to be needed", keeper.needed);
    }

    #[test]
    fn two_collectors_do_not_keep_records_in_one_directory() {
        let directory = directory();
        let (_keeper, ..) = open(&directory, NOW);
        let error = Keeper::open(directory.path(), &mut Store::new(Options::default()), RETENTION, NOW)
            .map(drop)
            .expect_err("it is in use");
        assert_eq!(
            error.to_string(),
            format!("cannot keep records in {}: another collector does", directory.path().display())
        );
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let error = Keeper::open(file.path(), &mut Store::new(Options::default()), RETENTION, NOW)
            .map(drop)
            .expect_err("it is no directory");
        assert!(
            error.to_string().starts_with(&format!("cannot keep records in {}: ", file.path().display()))
        );
    }
}
