//! Requests and what comes of them.

mod document;
mod golden;
mod old_terms;
mod support;
mod transport;
mod watch;
