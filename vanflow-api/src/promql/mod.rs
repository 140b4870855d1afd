//! Answers to PromQL, from the [history](crate::history) of the collector's own metrics.
//!
//! [`respond`] is the whole of it: the parameters of a request in, a status and JSON out, as
//! Prometheus' HTTP API has them. Rules are those of Prometheus 2; `docs/promql.md` says which
//! functions there are and where answers differ.
//!
//! ```
//! use vanflow_api::{
//!     history::{History, Options},
//!     promql::{Question, respond},
//! };
//!
//! let mut history = History::new(Options::default());
//! for seconds in 0..4 {
//!     let mut scrape = history.scrape(seconds * 5_000);
//!     scrape.sample("skupper_sent_bytes_total", &[], 1_000.0 * seconds as f64);
//!     scrape.finish();
//! }
//! let query = "query=sum(rate(skupper_sent_bytes_total[15s]))&time=15";
//! let (status, json) = respond(Question::Instant, Some(query), "", &history, 20_000);
//! assert_eq!(status, 200);
//! assert_eq!(
//!     String::from_utf8_lossy(&json),
//!     r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[15,"200"]}]}}"#
//! );
//! ```

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

pub use respond::{Question, respond};
