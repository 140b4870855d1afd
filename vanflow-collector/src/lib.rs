//! Attaches to a Skupper router, gathers VAN-Flow records, answers questions about the network.

mod clock;
pub mod config;
mod http;
mod tls;
