//! The store, from outside.

mod captures;
mod ends;
mod faults;
mod lanes;
mod merge;
mod orders;
mod retention;
mod support;
