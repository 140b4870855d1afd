//! An emulated VAN: what `--demo` shows, what tests attach to, what benchmarks load.
//!
//! [`Van`] is the model: a network with all that goes on in it, without clock and sockets. [`start`] lets one run in real
//! time behind an address that a collector attaches to as to a router. [`Load`] is no network but records by the million.

mod driver;
mod load;
#[cfg(test)]
mod tests;
mod van;

pub use driver::{Demo, start, start_on};
pub use load::{Load, LoadOptions, load_messages, load_sources};
pub use van::{DemoOptions, Sent, Van};
