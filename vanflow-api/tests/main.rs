//! Requests and what comes of them.

#![expect(clippy::unwrap_used, reason = "what is not there where it has to be fails the test")]

mod cases;
mod console;
mod document;
mod golden;
mod grafana;
mod metrics;
mod negotiation;
mod old_terms;
mod questions;
mod support;
mod transport;
mod truth;
mod v1;
mod v2alpha1;
mod watch;
