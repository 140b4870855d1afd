//! What stands between fe2o3-amqp and the socket, and the links on top.
//!
//! fe2o3-amqp keeps the connection, its sessions, credit and settlement, and it does that well. Messages it wants to
//! decode itself, as AMQP 1.0 says they are; and those of real routers are not: their message-id is a `long`, the keys of
//! their application properties are symbols. So it never sees a message. [`BareStream`] takes the payload out of every
//! incoming transfer frame, parks it in [`Parked`], and puts a token in its place; [`Receiver`] gets the token from
//! fe2o3-amqp and the payload from `Parked`. [`Sender`] goes the other way: it gives fe2o3-amqp a data section, and
//! `BareStream` takes the section's head off, so that what goes out is the message that was in it.
//!
//! What comes of it: messages reach our own decoder as the bytes that they were; one that is garbage cannot harm its link;
//! one that is too large is counted and never kept; and payloads are copied only where they came in pieces.

mod frame;
mod link;
mod parked;
mod stream;
#[cfg(test)]
mod tests;

#[cfg(feature = "router")]
pub(crate) use link::words;
pub(crate) use link::{Incoming, LinkError, Outcome, Receiver, Sender};
pub(crate) use parked::{Limits, Parked};
pub(crate) use stream::BareStream;

/// The largest frame that we take, in octets. Routers send up to 16 KiB unless reported otherwise.
pub(crate) const MAX_FRAME_SIZE: usize = 64 * 1024;
