//! The original API.
//!
//! Its shapes are from the days when routers reported a LINK from each end and a FLOW for each direction. Today's routers
//! report one LINK a link and one BIFLOW_TPORT a connection; [`render`] shows those in the old terms, too. What is in
//! which list, and in what order, is [`list`]'s; [`watch`] goes on from there.

mod address;
mod list;
mod openapi;
mod query;
mod render;
mod row;
mod schema;
mod watch;

pub(crate) use list::{Frame, List};
pub(crate) use openapi::{document, document_value};
pub(crate) use query::{Collection, Query, Selection, filters};
pub(crate) use watch::Watch;
