//! `--state`: records that outlive the process (faults 22).
//!
//! What changed is appended to a log in a directory, each record whole, every few seconds; a collector that starts
//! reads the log and goes on from there. When the log has grown to twice of what a new one would be, a new one takes
//! its place. The records in memory are the truth and the log follows them: a disk that is full or a file that is
//! damaged is reported about, and never keeps the collector from collecting (faults 23).
//!
//! `file` is the format, `write` turns records into frames and `read` frames into records; `keep` decides when.

mod ahead;
mod file;
mod keep;
mod read;
mod write;

use std::{io, path::PathBuf};

use thiserror::Error;

pub(crate) use self::keep::Keeper;
#[cfg(test)]
pub(crate) use self::write::whole;

/// How many frames there are in a log, whatever is wrong with it.
#[cfg(fuzzing)]
pub(crate) fn frames(log: impl io::Read + io::Seek, length: u64) -> usize {
    let Ok(mut reader) = file::Reader::new(log, length) else { return 0 };
    std::iter::from_fn(|| reader.next().ok().flatten().map(drop)).count()
}

/// A directory that cannot hold a state.
#[derive(Debug, Error)]
pub enum StateError {
    /// It cannot be made, or nothing can be made in it.
    #[error("cannot keep records in {path}: {error}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why not.
        #[source]
        error: io::Error,
    },
    /// Another process keeps its records there.
    #[error("cannot keep records in {path}: another collector does")]
    InUse {
        /// The directory.
        path: PathBuf,
    },
}
