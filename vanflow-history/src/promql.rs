//! Answers to PromQL, from a [history](crate::history): `parse` reads a query, `eval` evaluates it step by step,
//! `respond` renders the answer. `explore` answers which series and labels there are; `scope` keeps queries to one
//! network.

mod aggregate;
mod binary;
mod budget;
mod error;
mod eval;
mod explore;
mod functions;
mod histogram;
mod json;
mod number;
mod parameters;
mod parse;
mod respond;
mod scope;
mod value;
mod window;

pub use json::{add_warning, error_body};
pub use respond::{QueryKind, respond, respond_while};
pub use scope::{NETWORK_LABEL, Refusal, Scope};
