//! The collector's binary.
fn main() {}
