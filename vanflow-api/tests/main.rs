//! Requests and what comes of them.

mod golden;
mod support;
