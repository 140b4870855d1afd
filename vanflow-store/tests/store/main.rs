//! The store, from outside.

mod captures;
mod ends;
mod faults;
mod halves;
mod lanes;
mod merge;
mod orders;
mod retention;
mod support;
