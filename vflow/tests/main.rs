//! What the calls write, and their exit codes: over captures, and over a collector that is played.

mod captures;
mod escaping;
mod export;
mod https;
mod misuse;
mod server;
mod sql;
mod support;
mod tail;
