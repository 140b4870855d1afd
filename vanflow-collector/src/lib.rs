//! Attaches to a Skupper router, gathers VAN-Flow records, answers questions about the network.

mod capture;
mod clock;
pub mod config;
mod http;
mod occasion;
mod replay;
mod state;
mod tls;
