//! What the charts of the console ask: PromQL, at the paths of the network observer's proxy.

use http::{Method, StatusCode};

use crate::json::{Json, Object};

/// What a query of a chart is for. A collector that was told of a Prometheus sends these there.
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

/// The answer to a query in the query string or, by POST, in a form. Both can have parameters.
pub(crate) fn respond(chart: Chart, _query: Option<&str>, _form: &[u8]) -> (StatusCode, Vec<u8>) {
    // Nothing is evaluated yet, and the answer says so; without one the console would show errors for pages.
    let kind = match chart {
        Chart::Instant => "vector",
        Chart::Range => "matrix",
    };
    let answer = format!(
        "{{\"status\":\"success\",\"data\":{{\"resultType\":\"{kind}\",\"result\":[]}},\"warnings\":[\"this \
         collector does not evaluate queries yet, so there are no values; a Prometheus can be named that does\"]}}\n"
    );
    (StatusCode::OK, answer.into_bytes())
}

/// Why there is no answer, as Prometheus says it.
pub(crate) fn refused(method: &Method) -> (StatusCode, Vec<u8>) {
    let mut json = Json::default();
    let mut object = Object::open(&mut json);
    object.string("status", "error");
    object.string("errorType", "bad_data");
    object.string("error", &format!("{method} is not possible here, only GET, HEAD and POST"));
    object.close();
    json.raw("\n");
    (StatusCode::METHOD_NOT_ALLOWED, json.bytes)
}
