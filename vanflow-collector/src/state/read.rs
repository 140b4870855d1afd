//! Frames of a log as records of a store.

use crate::starting::Progress;
use std::{collections::HashMap, fs::File, time::Duration};

use foldhash::fast::FixedState;
use vanflow_proto::{Attribute, Body, Message, SourceType, Timestamp, Update, discovery::Known};
use vanflow_store::{Ended, SourceId, Store};

use super::{
    ahead,
    file::{Damage, Entry, Fault, Reader},
};

/// What was read of a log.
#[derive(Default)]
pub(super) struct Loaded {
    /// How much of the log could be read, in octets.
    pub(super) good: u64,
    /// What of it is damaged.
    pub(super) damage: Damage,
    /// Records in the log, each as often as it stands there.
    read: u64,
    /// Records that are in the store again.
    pub(super) restored: u64,
    sources: HashMap<String, LoadedSource>,
}

struct LoadedSource {
    id: SourceId,
    source_type: String,
    last_heard: Timestamp,
    lives: bool,
}

/// Where in the log a record stands.
struct LogPosition {
    id: u64,
    start: u64,
    frame: u32,
    position: u32,
}

/// How many times longer reading takes than its first part, where nothing is restored.
const FIRST_READING: u64 = 4;

impl Loaded {
    /// Reads a log into the store: twice, first to find out where each record stands last.
    pub(super) fn load(
        &mut self,
        file: File,
        store: &mut Store,
        (retention, progress): (Duration, &Progress),
        now: Timestamp,
    ) -> Option<Fault> {
        let retention = u64::try_from(retention.as_micros()).unwrap_or(u64::MAX);
        let second = match file.try_clone() {
            Ok(second) => second,
            Err(error) => return Some(error.into()),
        };
        let reader = match Reader::open(file) {
            Ok(reader) => reader,
            Err(fault) => return Some(fault),
        };
        let mut places = Vec::new();
        let mut heard: Vec<(String, String, Timestamp)> = Vec::new();
        let mut positions: HashMap<String, usize> = HashMap::new();
        let mut frames = 0;
        // Whether the records of each frame live.
        let mut live = Vec::new();
        let length = reader.length();
        let outcome = ahead::read(reader, |entry, next| {
            progress.read(next, FIRST_READING * length);
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
                places.push(LogPosition {
                    id: hash(update.id),
                    start: update.get(Attribute::StartTime).and_then(|start| start.as_uint()).unwrap_or(0),
                    frame: frames,
                    position,
                });
            }
            frames += 1;
            live.push(entry.ended.is_none());
        });
        (self.good, self.damage) = (outcome.good, outcome.damage);

        for (id, source_type, last_heard) in heard {
            let source = store.source_seen(&id, SourceType::from_name(&source_type), last_heard);
            self.sources.insert(id, LoadedSource { id: source, source_type, last_heard, lives: false });
        }
        let reader = match Reader::open(second) {
            Ok(reader) => reader,
            Err(fault) => return Some(fault),
        };
        let mut last = last_places(places, &live).into_iter().peekable();
        let mut frame = 0;
        let again = ahead::read(reader, |entry, next| {
            progress.read(length + (FIRST_READING - 1) * next, FIRST_READING * length);
            let ended = entry.ended.map(|(at, presumed)| Ended { at, presumed });
            let is_over = ended.is_some_and(|ended| now.micros_since(ended.at) > retention);
            // Where nothing of a frame is to be restored, it is not even looked into.
            let is_wanted = last.peek().is_some_and(|(wanted, _)| *wanted == frame);
            for (position, update) in is_wanted.then(|| updates(&entry)).into_iter().flatten() {
                if last.next_if_eq(&(frame, position)).is_none() || is_over {
                    continue;
                }
                let source = self.sources.get_mut(entry.source).expect("every source was met before");
                source.lives |= ended.is_none();
                store.restore(source.id, update, ended);
                self.restored += 1;
            }
            frame += 1;
        });
        // What is wrong with the log is known from before, unless the disk fails just now.
        match again.fault {
            Some(Fault::Io(error)) => Some(Fault::Io(error)),
            _ => outcome.fault,
        }
    }

    /// How many sources there are in the log.
    pub(super) fn sources(&self) -> usize {
        self.sources.len()
    }

    /// The sources that are to be waited for. Those without a live record were lost already.
    pub(super) fn await_sources(&self, store: &mut Store, now: Timestamp) -> Vec<Known> {
        let mut restored = Vec::new();
        for (id, source) in &self.sources {
            if source.lives {
                restored.push(Known {
                    id: id.as_str().into(),
                    source_type: source.source_type.as_str().into(),
                    last_heard: source.last_heard,
                });
            } else {
                store.source_lost(source.id, source.last_heard, now);
            }
        }
        restored.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        restored
    }

    /// How long the log would be without what stands there in vain.
    pub(super) fn needed(&self) -> u64 {
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
/// Records with one id and different starts are different records (faults 6). One that lives when another comes lives again
/// as that one, and is written as that from then on (faults 9). `live` says of each frame whether its records do.
fn last_places(mut places: Vec<LogPosition>, live: &[bool]) -> Vec<(u32, u32)> {
    places.sort_unstable_by_key(|place| (place.id, place.frame, place.position));
    let mut last = Vec::new();
    let mut starts = Vec::new();
    for states in places.chunk_by(|one, other| one.id == other.id) {
        starts.clear();
        for state in states.iter().rev() {
            // A record that did not know its start yet may be any that came later.
            let is_known = starts.contains(&state.start) || (state.start == 0 && !starts.is_empty());
            if !is_known {
                let is_last = starts.is_empty();
                starts.push(state.start);
                if is_last || !live[state.frame as usize] {
                    last.push((state.frame, state.position));
                }
            }
        }
    }
    last.sort_unstable();
    last
}
