//! What the charts of the console ask: PromQL, at the paths of the network observer's proxy. And what clients of
//! Prometheus ask besides, such as Grafana: which series there are, and what they mean.

use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use vanflow_history::{History, QueryKind, error_body, respond_while};

use crate::{interest::Interest, metrics::Described};

/// The answer to a query in the query string or, by POST, in a form, from a history that goes up to `now_ms`. Both can
/// have parameters. What is asked about now is asked about that time.
pub(crate) fn answer(
    kind: QueryKind<'_>,
    query: Option<&str>,
    form: &[u8],
    history: Option<(&History, i64)>,
) -> (StatusCode, Vec<u8>) {
    match history {
        Some((history, now_ms)) => {
            let interest = Interest::current();
            let form = String::from_utf8_lossy(form);
            respond_while(kind, query, &form, history, now_ms, &|| !interest.has_ended())
        }
        None => (StatusCode::SERVICE_UNAVAILABLE, error_body("unavailable", NO_HISTORY)),
    }
}

const NO_HISTORY: &str =
    "this collector keeps no history of its metrics, and was given no Prometheus that does";

/// Why there is no answer, as Prometheus says it, and which methods there are.
pub(crate) fn refused(kind: QueryKind<'_>, method: &Method) -> (StatusCode, Vec<u8>, &'static str) {
    let (text, allowed) = match kind.takes_form() {
        true => ("GET, HEAD and POST", "GET, HEAD, POST"),
        false => ("GET and HEAD", "GET, HEAD"),
    };
    let text = format!("{method} is not possible here, only {text}");
    (StatusCode::METHOD_NOT_ALLOWED, error_body("bad_data", &text), allowed)
}

/// What metrics mean, as far as `limit` and `metric` in the query string want to know it.
pub(crate) fn metadata(
    query: Option<&str>,
    metrics: impl Iterator<Item = Described>,
) -> (StatusCode, Vec<u8>) {
    let mut limit = usize::MAX;
    let mut wanted = None;
    for (name, value) in form_urlencoded(query.unwrap_or_default()) {
        match name.as_str() {
            "limit" if !value.is_empty() => match value.parse::<i64>() {
                // Prometheus takes one that is negative for none.
                Ok(number) => limit = usize::try_from(number).unwrap_or(usize::MAX),
                Err(_) => {
                    return (StatusCode::BAD_REQUEST, error_body("bad_data", "limit must be a number"));
                }
            },
            "metric" if !value.is_empty() => wanted = Some(value),
            _ => {}
        }
    }
    let metrics = metrics.filter(|metric| wanted.as_deref().is_none_or(|wanted| wanted == metric.name));
    let data: Map<_, _> = metrics
        .take(limit)
        .map(|metric| {
            (metric.name.to_owned(), json!([{ "type": metric.form, "help": metric.help, "unit": "" }]))
        })
        .collect();
    (StatusCode::OK, success(&data.into()))
}

fn form_urlencoded(query: &str) -> impl Iterator<Item = (String, String)> {
    let decoded = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    query.split('&').map(move |pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    })
}

/// Which Prometheus answers are like. Clients choose by the version what they ask.
pub(crate) fn build_info() -> Vec<u8> {
    success(&json!({
        "version": RULES,
        "revision": concat!("vanflow-collector-", env!("CARGO_PKG_VERSION")),
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    }))
}

/// The version of Prometheus that tests compare answers with.
const RULES: &str = "2.42.0";

fn success(data: &Value) -> Vec<u8> {
    json!({ "status": "success", "data": data }).to_string().into_bytes()
}
