//! The record graph that partial VAN-Flow updates merge into.
//!
//! [`Store::apply`] is where updates enter; [`Store::snapshot`] is where questions are answered. The store does no
//! I/O, reads no clock and needs no runtime: the time is an argument of everything that depends on it.
//!
//! ```
//! use vanflow_proto::{Attribute, Body, Dialect, Encoder, Message, RecordKind, SourceType, Timestamp, UpdateBuf};
//! use vanflow_store::{StoreOptions, Store};
//!
//! let mut store = Store::new(StoreOptions::default());
//! let now = Timestamp::from_micros(1_795_347_888_000_000);
//! let router = store.source_seen("gv_ZW:0", SourceType::Router, now);
//!
//! // What a router sends: here a listener, and the ROUTER record that it belongs to after it.
//! let bytes = Encoder::new(Dialect::Router).records("mc/sfe.gv_ZW:0", 1, &[
//!     UpdateBuf::new(RecordKind::Listener, "gv_ZW:3")
//!         .with(Attribute::Parent, "gv_ZW:0")
//!         .with(Attribute::StartTime, now)
//!         .with(Attribute::VanAddress, "echo:7"),
//!     UpdateBuf::new(RecordKind::Router, "gv_ZW:0").with(Attribute::StartTime, now).with(Attribute::Name, "0/west-1"),
//! ]);
//! let Body::Records(updates) = Message::decode(&bytes)?.body else { unreachable!() };
//! for update in updates {
//!     store.apply(router, update?, now);
//! }
//!
//! let snapshot = store.snapshot();
//! let listener = snapshot.find("gv_ZW:3").next().expect("it was reported");
//! let name = listener.router().and_then(|router| router.text(Attribute::Name));
//! assert_eq!(name.expect("it was reported").to_string(), "0/west-1");
//! assert_eq!(snapshot.services().next().expect("it follows from the listener").address(), "echo:7");
//! # Ok::<(), vanflow_proto::DecodeError>(())
//! ```
//!
//! # What follows from what
//!
//! A record may refer to others that are not there yet; the reference holds a place for them, and everything that
//! depends on it is so the moment they come (faults 8). Services, images, and which process is at which end of a
//! connection follow from the records, and change in the same step as those.
//!
//! # Lanes
//!
//! Connections of which parent, source host, connector and the processes at both ends are the same are kept together, with
//! what they come to: see [`lane`]. What depends on a connection only through those is asked once a lane and not once a
//! connection.
//!
//! # How long records stay
//!
//! A record lives until its source says that its object is gone, until the source is lost or restarts, or until the
//! source has repeated what it has and this is not in it. The store decides none of that: see
//! [`vanflow_proto::discovery`], and [`Follower`], which takes its decisions here. Ended records stay for [`StoreOptions::retention_micros`],
//! unless [`StoreOptions::memory_bound`] calls for them earlier. Live records stay.

mod changes;
pub mod connection;
pub mod derived;
mod distribution;
mod ends;
mod failure;
pub mod follower;
mod graph;
mod halves;
mod identity;
mod index;
pub mod lane;
mod lanes;
pub mod link;
mod merge;
mod moves;
pub mod network_status;
mod oddity;
pub mod order;
mod pages;
mod parts;
mod record;
mod row;
mod schema;
mod share;
mod shared;
mod slab;
mod snapshot;
mod sorted;
mod source;
mod store;
mod text;
pub mod typed;

pub use changes::{Changes, Revision};
pub use connection::{Connection, FlowKind, Request};
pub use failure::{FailureReason, FailureSide};
pub use follower::{Follower, Merged};
pub use lane::{Lane, LaneBounds, LaneRef};
pub use network_status::NetworkStatus;
pub use oddity::{Oddities, Oddity};
pub use record::{Record, Service};
pub use row::RecordRef;
pub use snapshot::{Field, Snapshot, Text};
pub use source::{SourceId, SourceState};
pub use store::{Ended, Stats, Store, StoreOptions, Tally};
pub use typed::Typed;

/// The example of the README is run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
