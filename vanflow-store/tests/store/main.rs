//! The store, from outside.

mod bounds;
mod captures;
mod continued;
mod ends;
mod faults;
mod gateways;
mod halves;
mod lanes;
mod merge;
mod never_reported;
mod orders;
mod ownership;
mod retention;
mod sources;
mod support;
