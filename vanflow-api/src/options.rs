//! What can be set of an API.

use std::sync::Arc;

use vanflow_history::{HistoryOptions, rows::Rows};

use crate::{
    metrics::{self, Health},
    v1::EventsOptions,
    watches::WatchLimits,
};

/// What can be set.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ApiOptions {
    /// Whose pages may read the answers.
    pub cors: Cors,
    /// What is measured, and how it is reported.
    pub metrics: metrics::MetricsOptions,
    /// How what was measured is kept, for charts; none where a Prometheus does that.
    pub history: Option<HistoryOptions>,
    /// What connections and requests are looked up in that are not held any more; see [`tables`](crate::tables).
    pub rows: Option<Arc<dyn Rows>>,
    /// How many of those there are in memory for an answer at a time; what needs more is refused. 50,000 by default.
    pub most_rows: Option<usize>,
    /// The identity of the network, for rows of what has ended, where it has one.
    pub network: Option<String>,
    /// How events are kept.
    pub events: EventsOptions,
    /// How many watches there may be at a time; see [`Client`](crate::Client).
    pub watches: WatchLimits,
    /// Where whoever runs the API counts what happens, for `/metrics`.
    pub health: Arc<Health>,
    /// What reports this collector's revisions from those of others, and of former runs, in ETags and ids of events:
    /// letters and digits. By default it is drawn at random.
    pub instance: Option<String>,
    /// Whether a console is served at `/`, which asks who uses it. It is served by somebody else, to whom paths belong
    /// that [`is_ours`](crate::is_ours) does not name.
    pub console: bool,
}

/// Whose pages may read the answers in a browser.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cors {
    /// Only those from the same origin.
    #[default]
    SameOrigin,
    /// Those from these origins as well, such as `http://localhost:3000`.
    Origins(Vec<String>),
    /// Those from anywhere.
    Any,
}
