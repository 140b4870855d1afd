//! Whether somebody still waits for an answer that takes long to find.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Whether whoever asks still waits: an extension of requests, from whoever took them from the network. What reads files for an
/// answer looks at it, and gives up when it has ended; what it gives then is of no use to anybody.
#[derive(Clone, Debug, Default)]
pub struct Interest(Arc<AtomicBool>);

impl Interest {
    /// Nobody waits any more.
    pub fn end(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
