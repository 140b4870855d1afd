//! What can be wrong with bytes.

use thiserror::Error;

/// Bytes that are no VAN-Flow message, or a part of one that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{} at byte {}", .0.kind, .0.offset)]
// Boxed, so that the results of reads that go well are small.
pub struct DecodeError(Box<Trouble>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Trouble {
    offset: usize,
    kind: DecodeErrorKind,
}

impl DecodeError {
    #[cold]
    pub(crate) fn new(offset: usize, kind: DecodeErrorKind) -> Self {
        Self(Box::new(Trouble { offset, kind }))
    }

    /// Where in the message the trouble is, in bytes from its start.
    pub fn offset(&self) -> usize {
        self.0.offset
    }

    /// What the trouble is.
    pub fn kind(&self) -> &DecodeErrorKind {
        &self.0.kind
    }
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The bytes end before the value does.
    #[error("the message ends within a value: {needed} more bytes wanted, {left} left")]
    Truncated {
        /// Bytes that the value still needs.
        needed: usize,
        /// Bytes that there are.
        left: usize,
    },
    /// A format code that AMQP 1.0 does not define.
    #[error("0x{0:02x} is no AMQP format code")]
    UnknownFormatCode(u8),
    /// A value of another type than belongs there.
    #[error("expected {expected}, found format code 0x{found:02x}")]
    Unexpected {
        /// What belongs there.
        expected: &'static str,
        /// The format code that is there.
        found: u8,
    },
    /// Text that is no UTF-8.
    #[error("{0} is no UTF-8")]
    NotUtf8(&'static str),
    /// Descriptors within descriptors within descriptors.
    #[error("descriptors are nested more than {0} deep")]
    TooDeep(usize),
    /// A section of a message that AMQP 1.0 does not define.
    #[error("0x{0:x} is no section of an AMQP message")]
    UnknownSection(u64),
    /// A message without a body.
    #[error("the message has no body section")]
    NoBody,
    /// A message without a subject, or with one that VAN-Flow does not know, and so of no known type.
    #[error("a {message} lacks {what}")]
    Lacks {
        /// The message or record.
        message: &'static str,
        /// What it lacks.
        what: &'static str,
    },
}
