//! The keeper: which log is written, when, and what is done where that fails.

use crate::starting::Progress;
use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use vanflow_api::Network;
use vanflow_proto::{Timestamp, discovery::Known};
use vanflow_store::{Revision, Store};

use super::{
    StateError,
    file::{Damage, Fault, Writer},
    read::Loaded,
    write::{Frames, write_whole},
};
use crate::{chore, occasion::Occasion};

const LOG: &str = "records.vanflow";
const NEW_LOG: &str = "records.vanflow.new";
const LOCK: &str = "lock";

/// A log shorter than this is not worth a new one, in octets.
const SHORT: u64 = 4 << 20;

/// How long to wait after a new log could not be written.
const RETRY_NEW_LOG: Duration = Duration::from_secs(60);

/// Changes that are taken from the store at a time, so that its lock is held for less than a millisecond.
const CHANGES: usize = 4096;

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
    /// Whether something could not be written for a while. What ended and was evicted meanwhile lives in the log.
    is_behind: bool,
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
        (retention, progress): (Duration, &Progress),
        now: Timestamp,
    ) -> Result<(Self, Vec<Known>), StateError> {
        let lock = lock(directory)?;
        let path = directory.join(LOG);
        let mut loaded = Loaded::default();
        let mut log = None;
        match File::open(&path) {
            Ok(file) => {
                let fault = loaded.load(file, store, (retention, progress), now);
                match fault {
                    None | Some(Fault::Torn(_)) => {
                        if let Some(fault) = fault {
                            warn!("{}: {fault}: cut them off", path.display());
                        }
                        if loaded.damage.places > 0 {
                            // Gone on with would be what has damage in it. A new log takes its place once that is whole.
                            copy_aside(&path, &loaded.damage);
                        } else if loaded.good > 0 {
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
        let restored = loaded.await_sources(store, now);
        if loaded.restored > 0 {
            info!(
                "restored {} records of {} sources from {}",
                loaded.restored,
                loaded.sources(),
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
            is_behind: false,
            written: store.revision(),
            heard: HashMap::new(),
            trouble: Occasion::default(),
        };
        Ok((keeper, restored))
    }

    /// Writes what changed, every `every`, and once more after `shutdown`.
    pub(crate) async fn keep(self, network: Network, every: Duration, shutdown: CancellationToken) {
        let write = move |keeper: &mut Self, _| keeper.write(&network);
        if let Err(error) = chore::repeat(self, every, shutdown, write).await {
            error!("records are no longer kept: {error}");
        }
    }

    /// From now on there is no room on the disk, or there is again.
    #[cfg(test)]
    pub(crate) fn fill_disk(&mut self, is_full: bool) {
        let room = self.directory.join(LOG);
        let length = self.log.as_ref().map(Writer::length);
        self.directory = match is_full {
            // A device is no directory.
            true => {
                Path::new("/dev/full").join(room.parent().unwrap_or(&room).strip_prefix("/").unwrap_or(&room))
            }
            false => self
                .directory
                .strip_prefix("/dev/full")
                .map(|path| Path::new("/").join(path))
                .expect("it was full"),
        };
        // By whatever clock, it was full for longer than that.
        self.no_new_log_before = None;
        self.log = match (is_full, length) {
            (true, length) => Some(Writer::full(length.unwrap_or_default())),
            (false, Some(length)) if length > 0 => Writer::resume(&self.directory.join(LOG), length).ok(),
            (false, _) => None,
        };
    }

    /// Writes what changed since it was last called. What goes wrong is reported, and tried again next time. Blocks.
    pub(crate) fn write(&mut self, network: &Network) {
        match self.try_write(network) {
            Ok(()) => {
                if self.trouble.is_over() {
                    info!("records are kept in {} again", self.directory.display());
                }
            }
            Err(error) => {
                self.is_behind = true;
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

    fn try_write(&mut self, network: &Network) -> io::Result<()> {
        let Some(log) = &self.log else { return self.write_new_log(network) };
        let is_due = self.is_behind || log.length() > self.short.max(2 * self.needed);
        if is_due && self.no_new_log_before.is_none_or(|before| Instant::now() >= before) {
            match self.write_new_log(network) {
                Ok(()) => return Ok(()),
                Err(error) => {
                    self.no_new_log_before = Some(Instant::now() + RETRY_NEW_LOG);
                    // The old one may yet have room.
                    warn!("cannot write a new log: {error}");
                }
            }
        }
        let Some(log) = &mut self.log else { return Ok(()) };
        let before = log.length();
        loop {
            let (changes, snapshot) = {
                let store = network.read();
                (store.changes(self.written, CHANGES), store.snapshot())
            };
            let mut frames = Frames::default();
            let upto = if changes.overrun {
                frames.add_since(self.written, &snapshot, log)?;
                snapshot.revision()
            } else {
                changes.records.iter().for_each(|&at| frames.add(&snapshot, at));
                changes.upto
            };
            let is_last = upto >= snapshot.revision();
            if is_last {
                frames.add_sources(&snapshot, &mut self.heard);
            }
            frames.append_to(log)?;
            self.written = upto;
            if is_last {
                break;
            }
        }
        if log.length() > before { log.sync() } else { Ok(()) }
    }

    /// Writes all that there is into a new log, which takes the place of the old one once it is whole.
    fn write_new_log(&mut self, network: &Network) -> io::Result<()> {
        let snapshot = network.snapshot();
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
        (self.no_new_log_before, self.is_behind) = (None, false);
        self.written = snapshot.revision();
        self.log = Some(log);
        Ok(())
    }
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
    let Some(aside) = aside(path) else { return };
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

/// Gives a log with damage in it another name too, under which it stays when a new one takes its place, and says so.
fn copy_aside(path: &Path, damage: &Damage) {
    let Damage { places, octets, first } = damage;
    let damage = format!("{octets} octets of it are damaged, in {places} places, the first at octet {first}");
    let Some(aside) = aside(path) else { return };
    match fs::hard_link(path, &aside) {
        Ok(()) => error!(
            "{}: {damage}; all else of it is there, and a new one is begun; as it is it stays as {}",
            path.display(),
            aside.display()
        ),
        Err(error) => error!(
            "{}: {damage}; all else of it is there, and a new one takes its place; it cannot stay under another name \
             ({error})",
            path.display()
        ),
    }
}

/// A name that is free for a log that is damaged.
fn aside(path: &Path) -> Option<PathBuf> {
    (1..u32::MAX)
        .map(|number| path.with_extension(format!("vanflow.damaged-{number}")))
        .find(|aside| !aside.exists())
}

#[cfg(test)]
mod tests;
