//! An emulated VAN: what `--demo` shows, what tests attach to, what benchmarks load.

mod van;

pub use van::{Options, Sent, Van};
