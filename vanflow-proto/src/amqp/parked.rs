//! Payloads on their way from the socket to the receiver, past fe2o3-amqp.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::Context,
};

use bytes::Bytes;
use futures_util::task::AtomicWaker;

/// How much a connection may hold, in octets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The largest frame that the peer may send.
    pub(crate) frame: usize,
    /// The largest message; larger ones are counted and thrown away as they come in.
    pub(crate) message: usize,
    /// What may wait for receivers. When there is more, the connection is not read until they took some of it.
    /// Pieces of messages that are not whole yet may take as much again; a message that would take more is too large.
    pub(crate) parked: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { frame: super::MAX_FRAME_SIZE, message: 16 * 1024 * 1024, parked: 64 * 1024 * 1024 }
    }
}

/// What one connection received and its receivers did not take yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parked {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Links that the peer attached and that no receiver claimed yet, by name. A link is here only while
    /// fe2o3-amqp is about to make a receiver of it.
    unclaimed: Mutex<HashMap<String, Arc<Queue>>>,
    octets: AtomicUsize,
    /// The reader of the connection, while it waits for receivers to take something.
    reader: AtomicWaker,
    names: AtomicU64,
    cut: AtomicBool,
}

impl Parked {
    /// A name for a link that no other link of this connection has.
    pub(super) fn link_name(&self, address: &str) -> String {
        format!("{address}#{}", self.shared.names.fetch_add(1, Ordering::Relaxed))
    }

    /// A queue for the link of that name, which the peer has just attached. It lives as long as its receiver.
    pub(super) fn open(&self, name: &str) -> Weak<Queue> {
        let queue = Arc::new(Queue { shared: Arc::clone(&self.shared), entries: Mutex::default() });
        let weak = Arc::downgrade(&queue);
        self.unclaimed().insert(name.to_owned(), queue);
        weak
    }

    /// The queue of the link of that name. A link that is gone again has one that nothing comes into.
    pub(super) fn claim(&self, name: &str) -> Arc<Queue> {
        let queue = self.unclaimed().remove(name);
        queue.unwrap_or_else(|| {
            Arc::new(Queue { shared: Arc::clone(&self.shared), entries: Mutex::default() })
        })
    }

    /// The link of that name will not be claimed any more.
    pub(super) fn forget(&self, name: &str) {
        self.unclaimed().remove(name);
    }

    /// Cuts the connection off, whatever state it is in: reading and writing fail from now on.
    pub(crate) fn cut(&self) {
        self.shared.cut.store(true, Ordering::Release);
        self.shared.reader.wake();
    }

    /// Whether the connection was cut off; if not, the task is woken when it is.
    pub(super) fn is_cut(&self, context: &Context<'_>) -> bool {
        self.shared.reader.register(context.waker());
        self.shared.cut.load(Ordering::Acquire)
    }

    /// Whether `limit` is reached; if so, the task is woken when there is room again.
    pub(super) fn is_full(&self, limit: usize, context: &Context<'_>) -> bool {
        if self.octets() < limit {
            return false;
        }
        self.shared.reader.register(context.waker());
        // Somebody may have made room before we were registered.
        self.octets() >= limit
    }

    /// Octets that wait for receivers.
    pub(super) fn octets(&self) -> usize {
        self.shared.octets.load(Ordering::Acquire)
    }

    fn unclaimed(&self) -> MutexGuard<'_, HashMap<String, Arc<Queue>>> {
        // Nothing panics while it is held; and were it so, the map would still be a map.
        self.shared.unclaimed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What came by one link, oldest first.
#[derive(Debug)]
pub(super) struct Queue {
    shared: Arc<Shared>,
    entries: Mutex<VecDeque<Entry>>,
}

/// A delivery.
#[derive(Debug)]
pub(super) struct Entry {
    /// What fe2o3-amqp gets in its place; grows from delivery to delivery.
    pub(super) token: u64,
    /// Whether the sender settled it, so that it wants to hear nothing of it.
    pub(super) settled: bool,
    pub(super) content: Content,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    Message(Bytes),
    /// It had so many octets, which is more than we take.
    TooLarge(usize),
    /// The sender thought better of it.
    Aborted,
}

impl Content {
    fn octets(&self) -> usize {
        if let Self::Message(bytes) = self { bytes.len() } else { 0 }
    }
}

impl Queue {
    pub(super) fn push(&self, entry: Entry) {
        self.shared.octets.fetch_add(entry.content.octets(), Ordering::AcqRel);
        self.entries().push_back(entry);
    }

    /// The delivery with that token. Older ones go: what fe2o3-amqp did not deliver, nobody will ask for.
    pub(super) fn take(&self, token: u64) -> Option<Entry> {
        let mut entries = self.entries();
        let mut octets = 0;
        let mut found = None;
        while let Some(entry) = entries.pop_front_if(|entry| entry.token <= token) {
            octets += entry.content.octets();
            if entry.token == token {
                found = Some(entry);
            }
        }
        drop(entries);
        self.release(octets);
        found
    }

    fn release(&self, octets: usize) {
        if octets > 0 {
            self.shared.octets.fetch_sub(octets, Ordering::AcqRel);
            self.shared.reader.wake();
        }
    }

    fn entries(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let octets = self.entries().iter().map(|entry| entry.content.octets()).sum();
        self.release(octets);
    }
}
