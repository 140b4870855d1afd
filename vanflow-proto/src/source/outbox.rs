//! Messages on their way to one link, which may have no credit for them.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::sync::Notify;

/// What waits for one receiver.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    state: Mutex<OutboxState>,
    filled: Notify,
    taken: Notify,
}

#[derive(Debug, Default)]
struct OutboxState {
    messages: VecDeque<Bytes>,
    /// The message that is being sent counts, too.
    sending: bool,
    gone: bool,
}

impl Outbox {
    /// Adds a message, and says how many were dropped for it.
    pub(super) fn push(&self, message: Bytes, backlog: usize) -> u64 {
        let mut state = self.state();
        if state.gone {
            return 0;
        }
        state.messages.push_back(message);
        let dropped = if state.messages.len() > backlog.max(1) {
            state.messages.pop_front();
            1
        } else {
            0
        };
        drop(state);
        self.filled.notify_one();
        dropped
    }

    /// The next message. It counts until this is called again.
    pub(super) fn pop(&self) -> Option<Bytes> {
        let mut state = self.state();
        let message = state.messages.pop_front();
        state.sending = message.is_some();
        drop(state);
        self.taken.notify_waiters();
        message
    }

    /// How many messages wait or are being sent.
    pub(super) fn len(&self) -> usize {
        let state = self.state();
        state.messages.len() + usize::from(state.sending)
    }

    /// Waits until there are less messages than that.
    pub(super) async fn room(&self, less_than: usize) {
        loop {
            let taken = self.taken.notified();
            tokio::pin!(taken);
            taken.as_mut().enable();
            if self.len() < less_than {
                return;
            }
            taken.await;
        }
    }

    /// Waits until something may have been added.
    pub(super) async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Forgets what waits.
    pub(super) fn clear(&self) {
        self.state().messages.clear();
        self.taken.notify_waiters();
    }

    /// Forgets what waits, and takes nothing any more.
    pub(super) fn leave(&self) {
        *self.state() = OutboxState { gone: true, ..OutboxState::default() };
        self.taken.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, OutboxState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
