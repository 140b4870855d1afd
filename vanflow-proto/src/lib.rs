//! VAN-Flow as Skupper's routers and controllers speak it, over AMQP 1.0.
//!
//! [`Attribute`] and [`RecordKind`] are the two tables from which everything else derives. [`Message::decode`] reads
//! a bare AMQP message straight into typed values that borrow from it; [`Encoder`] writes one, in the [`Dialect`] of
//! the routers or of the controllers. [`discovery`] decides which sources there are and what is to be asked of them. Neither
//! knows a clock or a socket.
//!
//! ```
//! use vanflow_proto::{Attribute, Body, Dialect, Encoder, Message, RecordKind, UpdateBuf};
//!
//! let link = UpdateBuf::new(RecordKind::Link, "gv_ZW:7").with(Attribute::Octets, 4096);
//! let bytes = Encoder::new(Dialect::Router).records("mc/sfe.gv_ZW:0", 1, &[link]);
//!
//! let Body::Records(updates) = Message::decode(&bytes)?.body else { unreachable!() };
//! for update in updates {
//!     let update = update?;
//!     assert_eq!((update.kind(), update.id), (Some(RecordKind::Link), "gv_ZW:7"));
//!     for attribute in update.attributes() {
//!         let (code, value) = attribute?;
//!         assert_eq!(Attribute::from_code(code), Some(Attribute::Octets));
//!         assert_eq!(value.as_uint(), Some(4096));
//!     }
//! }
//! # Ok::<(), vanflow_proto::DecodeError>(())
//! ```
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `capture` | [`capture`]: recorded conversations with a router, read and written |
//! | `router` | [`router`]: the connection to a router; an address and credentials in, events out |
//! | `source` | [`source`]: the emitting side, for other tools and for tests |

#[cfg(any(feature = "router", feature = "source"))]
mod amqp;
mod attribute;
#[cfg(feature = "capture")]
pub mod capture;
mod codec;
pub mod discovery;
mod error;
#[cfg(all(fuzzing, any(feature = "router", feature = "source")))]
pub mod fuzzing;
mod message;
mod record_kind;
#[cfg(feature = "router")]
pub mod router;
#[cfg(feature = "source")]
pub mod source;
mod update;
mod value;

pub use attribute::{Attribute, AttributeKind, Unit};
pub use error::{DecodeError, DecodeErrorKind};
pub use message::{
    BEACON_ADDRESS, Beacon, Body, Dialect, Encoder, FLOWS_SUFFIX, HEARTBEATS_SUFFIX, Heartbeat, LOGS_SUFFIX,
    Message, SourceType, VERSION,
};
pub use record_kind::RecordKind;
pub use update::{Attributes, Update, UpdateBuf, Updates};
pub use value::{Timestamp, Value, ValueBuf};

/// The example of the README is run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
