//! What fuzz targets reach that is nobody else's.

use std::io::Cursor;

use crate::{auth, state};

/// Reads a state file to its end. Answers how many frames there are.
pub fn state_file(octets: &[u8]) -> usize {
    state::frames(Cursor::new(octets), octets.len() as u64)
}

/// Reads a file of users or of tokens. Answers how many it names.
pub fn names(text: &[u8], are_tokens: bool) -> Option<usize> {
    auth::names(text, are_tokens)
}
