//! What the collector was asked to do: arguments as they were typed, and settings as they are meant.
//!
//! [`CommandLine`] reads what was typed, the environment and a file into [`Args`]. [`Settings`] is what the rest of the
//! collector works with: it can only be made by [`Settings::new`], which refuses what makes no sense. Where another crate
//! has options of its own, settings hold those: nothing is copied from one struct into the next.

mod args;
mod command_line;
mod file;
mod limits;
mod observer;
mod settings;
mod skupper;

pub use args::{Args, Command, Octets, Speed};
pub use command_line::CommandLine;
pub use limits::{LimitArgs, Limits};
#[cfg(feature = "bucket")]
pub use settings::Bucket;
pub use settings::{
    Access, AccessLog, AccessLogFormat, Addresses, Auth, FlowLog, FlowLogFormat, FlowLogTarget, Http,
    Prometheus, Replay, Router, Settings, SettingsError, Source, State,
};
#[cfg(feature = "archive")]
pub use settings::{Archive, ClickHouse};
pub use skupper::SkupperError;
pub(crate) use skupper::reach as reach_skupper;

/// Where Skupper mounts the address of the router and its credentials.
pub const CONNECT_JSON: &str = "/etc/messaging/connect.json";
