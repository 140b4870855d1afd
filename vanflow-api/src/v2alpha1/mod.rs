//! The network observer's API, which the Skupper Console and scripts speak.
//!
//! Each schema is a table of properties ([`schema`]), from which rendering, filters ([`query`]) and the OpenAPI
//! document derive. What no source reports but what follows from records, such as components and pairs, is worked out from a
//! snapshot ([`view`]), once for all who ask ([`derivations`]).

mod after;
mod best;
mod collection;
mod component;
mod connection;
mod derivations;
mod directory;
mod ended;
mod endpoint;
mod explained;
mod flow;
mod group;
mod list;
mod memo;
mod network;
pub(crate) mod openapi;
mod pair;
mod party;
mod past;
mod plan;
mod query;
mod schema;
mod view;
mod watch;
mod workload;

pub(crate) use collection::{Collection, Scope, service_with_id, site_with_id};
pub(crate) use connection::Flow;
pub(crate) use derivations::Derivations;
pub(crate) use directory::directory;
pub use ended::{Due, Ended, Opened};
pub(crate) use ended::{Given, Whose};
pub(crate) use flow::protocol_name;
pub(crate) use list::{List, single};
pub(crate) use party::{Party, processes};
pub(crate) use past::{Before, EVENTS, MOST_ROWS, NETWORK, Passed, PassedEnd, each_passed, held};
pub use past::{history_tables, tables};
pub(crate) use query::Query;
pub(crate) use view::{Derived, Needs, View, key_text};
pub(crate) use watch::Watch;
