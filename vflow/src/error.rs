//! What can go wrong, in words for people, and the exit code of each.

use std::{io, path::PathBuf};

use thiserror::Error;

/// Exit code: what was asked is answered.
pub const RIGHT: u8 = 0;
/// Exit code: what was asked is answered, and the answer is bad.
pub const BAD: u8 = 1;
/// Exit code: what was typed makes no sense, or the collector refuses it.
pub const WRONG_USE: u8 = 2;
/// Exit code: there is no answer.
pub const NOT_REACHABLE: u8 = 3;

/// Why there is no answer.
#[derive(Debug, Error)]
pub(crate) enum Error {
    /// What was typed makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The collector does not answer.
    #[error(
        "cannot reach the collector at {server}: {reason}; --server URL, or VFLOW_SERVER, says where it is, and --input \
             FILE reads a capture without one"
    )]
    Unreachable {
        /// Its URL.
        server: String,
        /// Why.
        reason: String,
    },
    /// The collector wants to know who asks, or does not let them.
    #[error(
        "{server} refuses to answer (HTTP {status}): log in by `vflow login`, or name yourself by --user or --token-file"
    )]
    NotAllowed {
        /// Its URL.
        server: String,
        /// The status of the answer.
        status: u16,
    },
    /// The collector lets nobody log in so.
    #[error("not logged in to {server} (HTTP {status}): {message}")]
    NotLoggedIn {
        /// Its URL.
        server: String,
        /// The status of the answer.
        status: u16,
        /// Why, in its words or ours.
        message: String,
    },
    /// The collector says that the question makes no sense.
    #[error("{message}")]
    Refused {
        /// In its words.
        message: String,
    },
    /// The collector cannot answer.
    #[error("{server} cannot answer {path} (HTTP {status}): {message}")]
    Failed {
        /// Its URL.
        server: String,
        /// What it was asked.
        path: String,
        /// The status of the answer.
        status: u16,
        /// In its words.
        message: String,
    },
    /// Whoever answers is no collector, or an answer broke off.
    #[error("the answer of {server} to {path} {what}")]
    Garbled {
        /// Its URL.
        server: String,
        /// What it was asked.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// A file that cannot be read or written.
    #[error("cannot {verb} {path}: {reason}")]
    File {
        /// `read`, `write` or `remove`.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// What is written does not get there.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}

impl Error {
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self::Usage(text.into())
    }

    /// Whether whoever read the output has read enough.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Refused { .. } | Self::NotAllowed { .. } | Self::NotLoggedIn { .. } => {
                WRONG_USE
            }
            // A file that is named and cannot be read is a wrong name, mostly.
            Self::File { .. } => WRONG_USE,
            Self::Unreachable { .. } | Self::Failed { .. } | Self::Garbled { .. } | Self::Output(_) => {
                NOT_REACHABLE
            }
        }
    }
}
