//! The store, from outside.

mod captures;
mod faults;
mod merge;
mod support;
