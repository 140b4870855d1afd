//! The collector: attaches to a Skupper router, gathers VAN-Flow records, answers questions about the network.
//!
//! The work is done by the crates that this one wires together: `vanflow-proto` finds the sources of records and
//! reads what they send, `vanflow-store` merges it, `vanflow-api` renders answers. Here are the settings, the sockets,
//! the clock, the files and the tasks. [`run`] starts a collector within a process:
//!
//! ```
//! use clap::Parser;
//! use tokio_util::sync::CancellationToken;
//! use vanflow_collector::{config::{Args, Settings}, run};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let capture = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/captures/router-3.5.jsonl");
//! let line = ["vanflow-collector", "--replay", capture, "--speed", "max", "--listen", "127.0.0.1:0"];
//! let settings = Settings::new(Args::try_parse_from(line)?, |path| path.exists())?;
//! let shutdown = CancellationToken::new();
//! let collector = run(settings, shutdown.clone()).await?;
//! collector.status().wait_for(|status| status.flushed).await?;
//! println!("ask http://{}/api/v1alpha1/routers", collector.addresses()[0]);
//! shutdown.cancel();
//! collector.ended().await?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod access_log;
mod advice;
mod announce;
mod answer;
#[cfg(feature = "archive")]
mod archive;
mod auth;
#[cfg(feature = "archive")]
mod beyond;
#[cfg(feature = "bucket")]
mod bucket;
mod capture;
mod check;
mod chore;
#[cfg(feature = "archive")]
mod clickhouse;
mod clock;
#[cfg(all(test, feature = "archive"))]
mod columns;
pub mod config;
mod console;
pub mod demo;
pub mod ensure_secret;
mod flow_log;
mod front;
#[cfg(fuzzing)]
pub mod fuzzing;
mod hosts;
mod http;
mod ingest;
#[cfg(feature = "archive")]
mod leftovers;
pub mod line;
mod live;
#[cfg(test)]
mod machine;
mod memory;
mod occasion;
pub mod open_files;
mod outbound;
mod pool;
mod prometheus;
mod replay;
mod run;
mod starting;
mod state;
mod subject;
pub mod supervisor;
pub mod terminal;
mod tls;
mod turns;
mod ui;

pub use access_log::AccessLogError;
pub use auth::AuthError;
#[cfg(feature = "bucket")]
pub use bucket::BucketError;
pub use capture::CaptureError;
pub use check::check;
#[cfg(feature = "archive")]
pub use clickhouse::ClickHouseError;
pub use console::ConsoleError;
pub use flow_log::{FlowLogError, Rotation};
pub use http::HttpError;
pub use outbound::OutboundError;
pub use replay::ReplayError;
pub use run::{Reloading, RunError, Running, run};
pub use state::StateError;
pub use tls::TlsError;
