//! What the charts of the console ask: PromQL, at the paths of the network observer's proxy.

use http::{Method, StatusCode};

use crate::{
    history::History,
    json::{Json, Object},
    promql::{self, Question},
};

/// What a query of a chart is for. A collector that was given a Prometheus sends these there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chart {
    /// Values at one time: `/api/v1/query` of Prometheus.
    Instant,
    /// Values over a range of time: `/api/v1/query_range` of Prometheus.
    Range,
}

impl Chart {
    /// The path in Prometheus that answers it, from its root.
    pub fn prometheus_path(self) -> &'static str {
        match self {
            Self::Instant => "/api/v1/query",
            Self::Range => "/api/v1/query_range",
        }
    }
}

/// The answer to a query in the query string or, by POST, in a form, from what was remembered. Both can have
/// parameters. What is asked about now is asked about the latest that is remembered.
pub(crate) fn respond(
    chart: Chart,
    query: Option<&str>,
    form: &[u8],
    history: Option<(&History, i64)>,
) -> (StatusCode, Vec<u8>) {
    let question = match chart {
        Chart::Instant => Question::Instant,
        Chart::Range => Question::Range,
    };
    match history {
        Some((history, now_ms)) => {
            promql::respond(question, query, &String::from_utf8_lossy(form), history, now_ms)
        }
        None => (StatusCode::SERVICE_UNAVAILABLE, error("unavailable", NO_HISTORY)),
    }
}

const NO_HISTORY: &str =
    "this collector keeps no history of its metrics, and was given no Prometheus that does";

fn error(kind: &str, text: &str) -> Vec<u8> {
    let mut json = Json::default();
    let mut object = Object::open(&mut json);
    object.string("status", "error");
    object.string("errorType", kind);
    object.string("error", text);
    object.close();
    json.raw("\n");
    json.bytes
}

/// Why there is no answer, as Prometheus says it.
pub(crate) fn refused(method: &Method) -> (StatusCode, Vec<u8>) {
    let text = format!("{method} is not possible here, only GET, HEAD and POST");
    (StatusCode::METHOD_NOT_ALLOWED, error("bad_data", &text))
}
