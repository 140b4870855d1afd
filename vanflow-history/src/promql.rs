//! Answers to PromQL, from a [history](crate::history): `parse` reads a query, `eval` evaluates it step by step,
//! `respond` renders the answer.

mod aggregate;
mod binary;
mod budget;
mod error;
mod eval;
mod functions;
mod histogram;
mod number;
mod parse;
mod respond;
mod value;
mod window;

pub use respond::{QueryKind, error_body, respond};
