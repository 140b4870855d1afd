//! The store, from outside.

mod captures;
mod faults;
mod lanes;
mod merge;
mod orders;
mod retention;
mod support;
