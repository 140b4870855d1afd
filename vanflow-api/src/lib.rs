//! The HTTP APIs of a VAN-Flow collector: requests in, responses out, without sockets.
//!
//! [`Api::respond`] turns the head of a request into a response at once. Its [`Body`] renders long answers while they
//! are sent, each from its own snapshot of the network, and goes on for as long as a watcher stays.
//!
//! | path | answer |
//! |---|---|
//! | `/api/v1alpha1/topology` | ROUTER records, and the LINK records whose direction is `incoming` |
//! | `/api/v1alpha1/links`, `routers`, `sites`, `processes`, `images`, `listeners`, `connectors` | records of that type; so `logs`, `hosts`, `processgroups`, `controllers`, `routeraccess` |
//! | `/api/v1alpha1/vanaddrs` | the addresses that are exposed |
//! | `/api/v1alpha1/addresses` | VAN_ADDRESS records |
//! | `/api/v1alpha1/flows?vanaddr=A` | LISTENER, CONNECTOR and FLOW records of a service |
//! | `/api/v1alpha1/record?id=X&id=Y` | those records |
//! | `/api/v1alpha1/records?rtype=T` | records as they were reported and merged |
//! | `/api/v1alpha1/openapi.json` | all of this as an OpenAPI document |
//! | `/api/v2alpha1/…` | the API of Skupper's network observer |
//! | `/api/v1/verdict` | whether what is seen is complete, and what is wrong |
//! | `/api/v1/sources` | the sources of records: what each is, and whether all that it has is here |
//! | `/api/v1/network-status` | sites with their routers, links, listeners and connectors, and addresses |
//! | `/api/v1/map` | the map of the network, with places: JSON, SVG, DOT or Mermaid |
//! | `/api/v1/path?from=A&to=B` | the ways that the traffic between two takes |
//! | `/api/v1/stream?NAME=PATH` | several answers in one stream of events, each sent again whenever it changes |
//! | `/api/v1/events` | what happened on the network |
//! | `/openapi.json` | all APIs as an OpenAPI document |
//! | `/swagger` | a page to read that document in |
//! | `/metrics` | [metrics] of the network and of the collector |
//! | `/healthz`, `/readyz` | whether the collector is alive, and has a network to answer from |
//! | `/` | a page for people |
//!
//! Every list of the original API takes `includeDeleted`, `limit`, `offset`, `fields` and `watch`. In both APIs every
//! property is a filter, and lists are JSON, JSON lines or CSV, as `Accept` says.
//!
//! # In the old terms
//!
//! The lists other than `records` show LINK and FLOW records as there were when routers reported each end and each
//! direction by itself. What today's routers report once is shown as two records: the first has the record's own id,
//! the second the same with `.far` appended. See the OpenAPI document for the details.

mod api;
mod body;
mod charts;
mod error;
mod index;
mod interest;
mod json;
pub mod metrics;
mod negotiate;
mod network;
mod openapi;
mod options;
mod pace;
mod params;
mod query;
mod response;
mod route;
pub mod selection;
mod swagger;
mod user;
mod v1;
mod v1alpha1;
mod v2alpha1;
mod watches;

/// Which routers links are between is one rule for all APIs, and the store's.
use vanflow_store::link;

pub use api::{Api, chart, is_ours};
pub use body::{Body, BodyError};
pub use error::{LATER, late_text};
pub use interest::Interest;
pub use negotiate::{accepts_gzip, is_known};
pub use network::{Network, Publisher, Status};
pub use options::{ApiOptions, Cors};
pub use pace::STALL_LIMIT;
pub use user::{AuthType, User};
pub use v1::{EventsOptions, PlacesError, TakenEvents};
pub use v2alpha1::{Due, Ended, Opened, history_tables, tables};
pub use watches::{Client, WatchLimits};

/// The example of the README is run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
