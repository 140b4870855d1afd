//! What the collector was asked to do: arguments as they were typed, and settings as they are meant.
//!
//! [`Args`] is what clap reads off the command line and the environment. [`Settings`] is what the rest of the
//! collector works with: it can only be made by [`Settings::new`], which refuses what makes no sense. Where another crate
//! has options of its own, settings hold those: nothing is copied from one struct into the next.

mod args;
mod limits;
mod settings;

pub use args::{Args, Octets, Speed};
pub use limits::{LimitArgs, Limits};
#[cfg(feature = "archive")]
pub use settings::Archive;
pub use settings::{Http, Prometheus, Replay, Router, Settings, SettingsError, Source, State};

/// Where Skupper mounts the address of the router and its credentials.
pub const CONNECT_JSON: &str = "/etc/messaging/connect.json";
