//! Frames of a log, read and checked ahead by a thread of their own, while what was read before goes into the store.

use std::{
    fs::File,
    io::BufReader,
    sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    thread,
};

use super::file::{Damage, Entry, Fault, Reader};

/// Frames are handed over so many octets at a time, or a few more.
const BATCH: usize = 256 << 10;

/// So many of these wait at most.
const AHEAD: usize = 8;

/// Frames one after the other.
#[derive(Default)]
struct Batch {
    octets: Vec<u8>,
    /// Where each ends in that, and the next one begins in the log.
    ends: Vec<(usize, u64)>,
}

/// How a log was read to its end.
pub(super) struct Outcome {
    /// Why not further, if something is wrong there.
    pub(super) fault: Option<Fault>,
    /// How much of it could be read, in octets.
    pub(super) good: u64,
    pub(super) damage: Damage,
}

/// Takes the entries of a log one after the other, each with where the next begins.
pub(super) fn read(reader: Reader<BufReader<File>>, mut take: impl FnMut(Entry<'_>, u64)) -> Outcome {
    let (full, batches) = sync_channel(AHEAD);
    let (empty, used) = channel();
    thread::scope(|scope| {
        let reading = scope.spawn(move || read_ahead(reader, &full, &used));
        take_all(&batches, &empty, &mut take);
        reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn take_all(batches: &Receiver<Batch>, empty: &Sender<Batch>, take: &mut impl FnMut(Entry<'_>, u64)) {
    for mut batch in batches {
        let mut start = 0;
        for (end, next) in batch.ends.drain(..) {
            if let Some(entry) = Entry::read(&batch.octets[start..end]) {
                take(entry, next);
            }
            start = end;
        }
        batch.octets.clear();
        // Its memory serves again, if there is more to read.
        let _ = empty.send(batch);
    }
}

fn read_ahead(
    mut reader: Reader<BufReader<File>>,
    full: &SyncSender<Batch>,
    used: &Receiver<Batch>,
) -> Outcome {
    let mut batch = Batch::default();
    let fault = loop {
        match reader.next_payload() {
            Ok(Some(payload)) => batch.octets.extend_from_slice(payload),
            Ok(None) => break None,
            Err(fault) => break Some(fault),
        }
        batch.ends.push((batch.octets.len(), reader.offset()));
        if batch.octets.len() >= BATCH {
            let next = used.try_recv().unwrap_or_default();
            if full.send(std::mem::replace(&mut batch, next)).is_err() {
                // Whoever took them panicked.
                break None;
            }
        }
    };
    let _ = full.send(batch);
    Outcome { fault, good: reader.offset(), damage: reader.damage() }
}
