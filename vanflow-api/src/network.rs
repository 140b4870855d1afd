//! The network that is answered about: read by many, written by one.

use std::{
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;
use vanflow_store::{Revision, Snapshot, Store};

/// The network that the API answers about: its records, and how the collector is doing.
///
/// Cloning is cheap, and all clones are the same network, which its [`Publisher`] changes.
#[derive(Clone, Debug)]
pub struct Network {
    store: Shared,
    /// Sent whenever the store has changed. When its sender is dropped, watches end.
    revision: watch::Receiver<Revision>,
    status: watch::Receiver<Status>,
}

/// The one writer of a [`Network`]. When it is dropped, watches of the network end.
#[derive(Debug)]
pub struct Publisher {
    store: Shared,
    revision: watch::Sender<Revision>,
    status: watch::Sender<Status>,
}

/// How the collector is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Status {
    /// Whether there is a connection to a router, or whatever stands in for one.
    pub attached: bool,
    /// Whether the sources that are known were asked for all of their records.
    pub flushed: bool,
    /// Whether there is a network to answer from: once there was a connection and the sources were asked, and from then
    /// on, or from the start where records were restored. What is not attached any more answers from what it has.
    pub ready: bool,
    /// Whether nothing more will be reported, since all comes from a capture that is at its end: what it comes to is
    /// shown at once then, and nothing is waited for.
    pub complete: bool,
    /// How it is doing in words, for people.
    pub detail: String,
}

impl Network {
    /// The network of that store, and its only writer.
    pub fn new(store: Store) -> (Self, Publisher) {
        let (revision, revised) = watch::channel(store.revision());
        let (status, stated) = watch::channel(Status::default());
        let store = Shared(Arc::new(Mutex::new(store)));
        let network = Self { store: store.clone(), revision: revised, status: stated };
        (network, Publisher { store, revision, status })
    }

    /// The store, to be read. Whoever holds this holds up the writer: no longer than it takes to have a snapshot.
    pub fn read(&self) -> impl Deref<Target = Store> {
        self.store.lock()
    }

    /// The records as they are now.
    pub fn snapshot(&self) -> Snapshot {
        self.read().snapshot()
    }

    /// How the collector is doing, and whenever that changes.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Takes the changes that were published so far as seen.
    pub fn mark_seen(&mut self) {
        self.revision.borrow_and_update();
    }

    /// Waits until a change is published that was not seen, and takes it as seen. False where none will be, because the
    /// publisher was dropped.
    pub async fn changed(&mut self) -> bool {
        self.revision.changed().await.is_ok()
    }
}

impl Publisher {
    /// The store, to be changed. Readers wait for as long as this is held, and learn of changes by
    /// [`publish`](Self::publish).
    pub fn write(&self) -> impl DerefMut<Target = Store> {
        self.store.lock()
    }

    /// Wakes those who wait for changes, if there are any. Takes the lock of the store.
    pub fn publish(&self) {
        let revision = self.write().revision();
        self.revision.send_if_modified(|known| std::mem::replace(known, revision) != revision);
    }

    /// Changes the status, and wakes those who wait for that if it made a difference.
    pub fn update_status(&self, change: impl FnOnce(&mut Status)) {
        self.status.send_if_modified(|status| {
            let before = status.clone();
            change(status);
            status.ready |= status.attached && status.flushed;
            *status != before
        });
    }

    /// The network that it writes.
    pub fn network(&self) -> Network {
        Network {
            store: self.store.clone(),
            revision: self.revision.subscribe(),
            status: self.status.subscribe(),
        }
    }
}

#[derive(Clone, Debug)]
struct Shared(Arc<Mutex<Store>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Store> {
        // A thread that panicked while it held the lock is no reason for all others to do so.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use vanflow_proto::{Attribute, RecordKind, SourceType, Timestamp, UpdateBuf};
    use vanflow_store::StoreOptions;

    use super::*;

    fn change(publisher: &Publisher, id: &str) {
        let mut store = publisher.write();
        let now = Timestamp::from_micros(1);
        let source = store.source_seen("a:0", SourceType::Router, now);
        let update = UpdateBuf::new(RecordKind::Router, id).with(Attribute::StartTime, 1);
        let bytes = vanflow_proto::Encoder::new(vanflow_proto::Dialect::Router).records("a", 1, &[update]);
        let message = vanflow_proto::Message::decode(&bytes).expect("it was encoded");
        let vanflow_proto::Body::Records(updates) = message.body else { panic!("they are records") };
        for update in updates {
            store.apply(source, update.expect("it was encoded"), now);
        }
    }

    #[tokio::test]
    async fn only_changes_wake_readers_until_the_publisher_is_dropped() {
        let (mut network, publisher) = Network::new(Store::new(StoreOptions::default()));
        publisher.publish();
        assert!(!network.revision.has_changed().expect("the publisher is there"));
        change(&publisher, "a:0");
        publisher.publish();
        assert!(network.changed().await);
        assert_eq!(network.snapshot().records().count(), 1);
        drop(publisher);
        assert!(!network.changed().await);
    }
}
