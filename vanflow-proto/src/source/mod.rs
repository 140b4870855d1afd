//! The emitting side: what a router or a controller is to a collector.
//!
//! [`Source`] is the sans-IO part. It keeps the live records of one source, finds out what changed, and writes the
//! messages that report it; when, and where to, is its owner's business. [`Client`] takes them to a router, as controllers
//! do; [`Exchange`] is what a router is to collectors, for networks that are emulated and for tests.
//!
//! ```
//! use vanflow_proto::{Attribute, Body, Message, RecordKind, Timestamp, UpdateBuf, source::Source};
//!
//! let mut router = Source::router("gv_ZW:0");
//! router.update(
//!     UpdateBuf::new(RecordKind::Listener, "gv_ZW:3")
//!         .with(Attribute::Parent, "gv_ZW:0")
//!         .with(Attribute::VanAddress, "echo:7")
//!         .with(Attribute::FlowCountL4, 0),
//! );
//! let whole = router.emit();
//! assert_eq!(&*whole[0].address, "mc/sfe.gv_ZW:0");
//!
//! // Only what changed is reported again, …
//! router.update(UpdateBuf::new(RecordKind::Listener, "gv_ZW:3").with(Attribute::FlowCountL4, 8));
//! let changed = router.emit();
//! assert!(changed[0].message.len() < whole[0].message.len());
//!
//! // … until a collector asks for everything.
//! let answer = router.flush_answer();
//! let Body::Records(mut updates) = Message::decode(&answer[0].message)?.body else { unreachable!() };
//! let listener = updates.next().expect("one record")?;
//! assert_eq!(listener.get(Attribute::VanAddress).and_then(|value| value.as_text()), Some("echo:7"));
//! assert_eq!(listener.get(Attribute::FlowCountL4).and_then(|value| value.as_uint()), Some(8));
//!
//! // An ended record is reported once more and then forgotten.
//! router.end("gv_ZW:3", Timestamp::from_micros(1_795_347_888_708_793));
//! assert_eq!(router.emit().len(), 1);
//! assert_eq!(router.live(), 0);
//! # Ok::<(), vanflow_proto::DecodeError>(())
//! ```

mod client;
mod emitter;
mod exchange;
mod outbox;
mod socket;
#[cfg(test)]
mod tests;

pub use client::{BEACON_INTERVAL, Client, ClientError, HEARTBEAT_INTERVAL};
pub use emitter::{MAX_BATCH, Outgoing, Source};
pub use exchange::{Events, Exchange, ExchangeEvent, ExchangeOptions, FlushFault};
