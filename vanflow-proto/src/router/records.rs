//! Records on their way from the connection to whoever merges them.

use std::ops::Range;

use bytes::Bytes;

use crate::Updates;

/// The records in one message, owned: the message was read as far as the list of them, and shares its memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Records {
    pub(super) message: Bytes,
    /// Where the list is, and how many updates it promises.
    place: (Range<usize>, usize),
}

impl Records {
    /// The records in a message, of which the updates were decoded from it.
    pub(super) fn new(message: Bytes, updates: &Updates<'_>) -> Self {
        Self { message, place: updates.place() }
    }

    /// The updates, one by one. One that cannot be read is an error of its own, and costs the others nothing.
    pub fn updates(&self) -> Updates<'_> {
        Updates::at(&self.message, &self.place)
    }
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.updates()).finish()
    }
}
