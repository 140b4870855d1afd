//! Records of a store as frames of the log.

use std::{collections::HashMap, io, path::Path};

use vanflow_proto::{Dialect, Encoder, SourceType, Timestamp, UpdateBuf, ValueBuf};
use vanflow_store::{Ended, Field, Record, RecordRef, Revision, Snapshot};

use super::file::{Entry, Writer};

/// Records in one frame of the log.
const RECORDS: usize = 256;

/// Octets that are collected before they are written.
const PIECE: usize = 1 << 20;

/// How old the time at which a source was seen may get in the log, in microseconds, while it says nothing new.
const HEARD_WITHIN: u64 = 10_000_000;

/// Writes a new log with all that there is in `snapshot`. `heard` is then when each source was seen.
pub(super) fn write_whole(
    path: &Path,
    snapshot: &Snapshot,
    heard: &mut HashMap<String, Timestamp>,
) -> io::Result<Writer> {
    let mut log = Writer::create(path)?;
    let mut frames = Frames::default();
    frames.add_since(Revision::default(), snapshot, &mut log)?;
    heard.clear();
    frames.add_sources(snapshot, heard);
    frames.append_to(&mut log)?;
    log.sync()?;
    Ok(log)
}

/// Records on their way into the log, gathered into frames of one source and one end each.
#[derive(Default)]
pub(super) struct Frames {
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
    /// Adds what changed after `since`, in the order in which it changed: so former records with an id come before the
    /// one that has it now. What there is no room for in memory goes to `log` at once.
    pub(super) fn add_since(
        &mut self,
        since: Revision,
        snapshot: &Snapshot,
        log: &mut Writer,
    ) -> io::Result<()> {
        let changed = snapshot.records().filter(|record| record.revision() > since);
        let mut changed: Vec<_> = changed.map(|record| (record.revision(), record.at())).collect();
        changed.sort_unstable_by_key(|(revision, _)| *revision);
        for (_, at) in changed {
            self.add(snapshot, at);
            if self.octets.len() >= PIECE {
                log.append(&std::mem::take(&mut self.octets))?;
            }
        }
        Ok(())
    }

    /// Adds a record, unless it is one that follows from others.
    pub(super) fn add(&mut self, snapshot: &Snapshot, at: RecordRef) {
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
    pub(super) fn add_sources(&mut self, snapshot: &Snapshot, heard: &mut HashMap<String, Timestamp>) {
        self.end();
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

    /// Appends all that was added, if anything, to the log.
    pub(super) fn append_to(mut self, log: &mut Writer) -> io::Result<()> {
        self.end();
        if self.octets.is_empty() { Ok(()) } else { log.append(&self.octets) }
    }
}

/// A record as one update.
pub(crate) fn whole(record: &Record<'_>) -> UpdateBuf {
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
