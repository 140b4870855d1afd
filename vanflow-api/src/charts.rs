//! What the charts of the console ask: PromQL, at the paths of the network observer's proxy.

use http::{Method, StatusCode};
use vanflow_history::{History, QueryKind, error_body, respond};

/// The answer to a query in the query string or, by POST, in a form, from a history that goes up to `now_ms`. Both can
/// have parameters. What is asked about now is asked about that time.
pub(crate) fn answer(
    kind: QueryKind,
    query: Option<&str>,
    form: &[u8],
    history: Option<(&History, i64)>,
) -> (StatusCode, Vec<u8>) {
    match history {
        Some((history, now_ms)) => respond(kind, query, &String::from_utf8_lossy(form), history, now_ms),
        None => (StatusCode::SERVICE_UNAVAILABLE, error_body("unavailable", NO_HISTORY)),
    }
}

const NO_HISTORY: &str =
    "this collector keeps no history of its metrics, and was given no Prometheus that does";

/// Why there is no answer, as Prometheus says it.
pub(crate) fn refused(method: &Method) -> (StatusCode, Vec<u8>) {
    let text = format!("{method} is not possible here, only GET, HEAD and POST");
    (StatusCode::METHOD_NOT_ALLOWED, error_body("bad_data", &text))
}
