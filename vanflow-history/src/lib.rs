//! What metrics were, for charts without a Prometheus: a bounded history in memory, and answers to PromQL about it.
//!
//! Somebody who keeps metrics feeds their values to a [`History`] once every few seconds, as a Prometheus would scrape
//! them. [`respond`] answers queries about them: the parameters of a request in, a status and JSON out, as Prometheus'
//! HTTP API has them. Rules are those of Prometheus 2; `docs/promql.md` says which functions there are and where
//! answers differ.
//!
//! ```
//! use vanflow_history::{History, HistoryOptions, QueryKind, respond};
//!
//! let mut history = History::new(HistoryOptions::default());
//! for seconds in 0..4 {
//!     let mut scrape = history.scrape(seconds * 5_000);
//!     scrape.sample("skupper_sent_bytes_total", &[], 1_000.0 * seconds as f64);
//!     scrape.finish();
//! }
//! let query = "query=sum(rate(skupper_sent_bytes_total[15s]))&time=15";
//! let (status, json) = respond(QueryKind::Instant, Some(query), "", &history, 20_000);
//! assert_eq!(status, 200);
//! assert_eq!(
//!     String::from_utf8_lossy(&json),
//!     r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[15,"200"]}]}}"#
//! );
//! ```
//!
//! # What is kept
//!
//! Samples get sparser with age: each step keeps its last sample. With the defaults:
//!
//! | age | a sample each | so that |
//! |---|---|---|
//! | to 15 minutes | scrape | `[30s]` has two |
//! | to 6 hours | 20 s | `[60s]` has two |
//! | to 12 hours | 60 s | `[180s]` has two |
//! | to 24 hours | 120 s | `[300s]` has two |
//!
//! A counter that began anew is kept on both sides of that, and a series that ended on both sides of its end, so what
//! counters have grown by stays right however old it is. What is older than the horizon is not answered, nor is
//! anything that was given up for want of memory: no query has a wrong answer because of either, only a shorter
//! one. (A sum over a time whose series were given up because they had ended is a sum of the others.)

#[cfg(feature = "archive")]
mod archive;
mod history;
mod promql;
pub mod rows;

#[cfg(feature = "archive")]
pub use archive::{
    Archive, ArchiveError, ArchiveOptions, FinishedFile, ParquetReader, ParquetWriter, ReadAt, Remark,
    SealError,
};
pub use history::{Growth, History, HistoryOptions, RestoreError, Scrape, SeriesLabels, SeriesRef, Stats};
pub use promql::{NETWORK_LABEL, QueryKind, Refusal, Scope, add_warning, error_body, respond, respond_while};

/// The example of the README is run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
