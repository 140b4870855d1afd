//! The collector.

pub mod demo;
