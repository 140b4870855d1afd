//! The queries of Prometheus' HTTP API, without HTTP: parameters in, a status and JSON out.

use std::borrow::Cow;

use http::{Method, StatusCode};
use promql_parser::parser::{Expr, value::ValueType};

use super::{
    budget::{Budget, Limits},
    error::QueryError,
    eval::{self, Evaluator, Grid, Track},
    explore,
    json::{Json, error_body, list, metric},
    number,
    parameters::{Parameters, duration, parameter, time},
    parse::parse,
    value::{Evaluated, Labels, Row},
};
use crate::history::History;

/// How many points a series of an answer has at most.
const MOST_POINTS: i64 = 11_000;

/// The kinds of questions that are answered from a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryKind<'n> {
    /// Values at one time, with the parameters `query` and `time`.
    Instant,
    /// Values at the steps of a range, with the parameters `query`, `start`, `end` and `step`.
    Range,
    /// The names of labels, with the parameters `match[]`, `start`, `end` and `limit`.
    Labels,
    /// The values of the label of that name, as it is in a path, with the same parameters.
    LabelValues(&'n str),
    /// The labels of series, with the same parameters; `match[]` is required.
    Series,
}

impl QueryKind<'_> {
    /// The path in Prometheus that answers it, from its root.
    pub fn prometheus_path(self) -> Cow<'static, str> {
        match self {
            Self::Instant => "/api/v1/query".into(),
            Self::Range => "/api/v1/query_range".into(),
            Self::Labels => "/api/v1/labels".into(),
            Self::LabelValues(name) => format!("/api/v1/label/{name}/values").into(),
            Self::Series => "/api/v1/series".into(),
        }
    }

    /// Whether it can be asked by that method.
    pub fn takes(self, method: &Method) -> bool {
        match *method {
            Method::GET | Method::HEAD => true,
            Method::POST => self.takes_form(),
            _ => false,
        }
    }

    /// Whether it can be asked by POST, in a form.
    pub fn takes_form(self) -> bool {
        !matches!(self, Self::LabelValues(_))
    }
}

/// Answers a query as Prometheus would: a status, and JSON in octets.
///
/// `query` is the query string of the request, `form` the body of a POST with the type
/// `application/x-www-form-urlencoded`, empty where there is none; its parameters count before those of the query
/// string. `now_ms` is the time that an instant query is about unless it says otherwise, in milliseconds since the
/// epoch.
///
/// It takes as long as it takes, up to a second or two where a query asks for as much as it may; hold no lock that
/// somebody cannot wait for.
pub fn respond(
    kind: QueryKind<'_>,
    query: Option<&str>,
    form: &str,
    history: &History,
    now_ms: i64,
) -> (StatusCode, Vec<u8>) {
    respond_while(kind, query, form, history, now_ms, &|| true)
}

/// The same, for as long as `is_wanted` says that somebody waits for the answer. It is asked for each series, and when
/// nobody does, all that is left is passed over: the answer is an error then, which nobody sees.
pub fn respond_while(
    kind: QueryKind<'_>,
    query: Option<&str>,
    form: &str,
    history: &History,
    now_ms: i64,
    is_wanted: &dyn Fn() -> bool,
) -> (StatusCode, Vec<u8>) {
    let parameters = Parameters::of(query.unwrap_or(""), form);
    let budget = Budget::new(Limits::default(), is_wanted);
    let answer = match kind {
        QueryKind::Instant => instant(&parameters, history, now_ms, budget),
        QueryKind::Range => range(&parameters, history, budget),
        QueryKind::Labels => explore::labels(&parameters, history, budget),
        QueryKind::LabelValues(name) => explore::label_values(name, &parameters, history, budget),
        QueryKind::Series => explore::series(&parameters, history, budget),
    };
    match answer {
        Ok(body) => (StatusCode::OK, body),
        Err(error) => (error.status(), error_body(error.kind(), &error.to_string())),
    }
}

fn instant(
    parameters: &Parameters,
    history: &History,
    now_ms: i64,
    budget: Budget<'_>,
) -> Result<Vec<u8>, QueryError> {
    let at = match parameters.value("time") {
        Some(text) => time("time", text)?,
        None => now_ms,
    };
    parameters.timeout()?;
    let expression = parse(parameters.value("query").unwrap_or(""))?;
    let grid = Grid { start: at, step: 1, count: 1 };
    let evaluator = Evaluator::new(history, (at, at), budget);
    if expression.value_type() == ValueType::Matrix {
        let mut tracks = evaluator.range(&expression, at)?;
        tracks.sort_unstable_by(|one, other| one.labels.cmp(&other.labels));
        return Ok(tracks_of(&tracks));
    }
    Ok(match evaluator.evaluate(&expression, grid)? {
        Evaluated::Scalar(scalars) => {
            let value = number::sample(scalars.first().copied().unwrap_or(f64::NAN));
            success("scalar", |json| pair(json, at, &value))
        }
        Evaluated::Text(text) => success("string", |json| pair(json, at, &text)),
        Evaluated::Vector(rows) => success("vector", |json| {
            let present = rows.iter().filter_map(|row| Some((row, row.points.first().copied()??)));
            list(json, present, |json, (row, value)| {
                json.raw("{\"metric\":");
                metric(json, row.labels.iter());
                json.raw(",\"value\":");
                pair(json, at, &number::sample(value));
                json.raw("}");
            });
        }),
    })
}

fn range(parameters: &Parameters, history: &History, budget: Budget<'_>) -> Result<Vec<u8>, QueryError> {
    let start = time("start", parameters.value("start").unwrap_or(""))?;
    let end = time("end", parameters.value("end").unwrap_or(""))?;
    if end < start {
        return Err(parameter("end", "end timestamp must not be before start time"));
    }
    let step = duration("step", parameters.value("step").unwrap_or(""))?;
    if step <= 0 {
        return Err(parameter(
            "step",
            "zero or negative query resolution step widths are not accepted. Try a positive integer",
        ));
    }
    if (end - start) / step > MOST_POINTS {
        return Err(QueryError::BadData(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution \
             (?step=XX)"
                .to_owned(),
        ));
    }
    parameters.timeout()?;
    let expression = parse(parameters.value("query").unwrap_or(""))?;
    if !matches!(expression.value_type(), ValueType::Scalar | ValueType::Vector) {
        let kind = eval::kind(&expression);
        let problem =
            format!("invalid expression type {kind:?} for range query, must be Scalar or instant Vector");
        return Err(QueryError::Parameter { name: "query", problem });
    }
    let grid = Grid { start, step, count: ((end - start) / step + 1) as usize };
    let evaluator = Evaluator::new(history, (start, end), budget);
    let rows = rows(&expression, grid, &evaluator)?;
    Ok(success("matrix", |json| {
        list(json, &rows, |json, row| {
            json.raw("{\"metric\":");
            metric(json, row.labels.iter());
            json.raw(",\"values\":");
            let present = grid.times().zip(&row.points).filter_map(|(at, point)| Some((at, (*point)?)));
            list(json, present, |json, (at, value)| pair(json, at, &number::sample(value)));
            json.raw("}");
        });
    }))
}

fn rows<'h>(
    expression: &Expr,
    grid: Grid,
    evaluator: &Evaluator<'h, '_>,
) -> Result<Vec<Row<'h>>, QueryError> {
    let mut rows = match evaluator.evaluate(expression, grid)? {
        Evaluated::Scalar(scalars) => {
            vec![Row { labels: Labels::default(), points: scalars.into_iter().map(Some).collect() }]
        }
        Evaluated::Vector(rows) => rows,
        Evaluated::Text(_) => Vec::new(),
    };
    rows.retain(|row| row.points.iter().any(Option::is_some));
    rows.sort_by(|one, other| one.labels.cmp(&other.labels));
    Ok(rows)
}

fn tracks_of(tracks: &[Track<'_>]) -> Vec<u8> {
    success("matrix", |json| {
        list(json, tracks, |json, track| {
            json.raw("{\"metric\":");
            metric(json, track.labels.iter());
            json.raw(",\"values\":");
            list(json, &track.points, |json, point| pair(json, point.at, &number::sample(point.value)));
            json.raw("}");
        });
    })
}

fn success(kind: &str, result: impl FnOnce(&mut Json)) -> Vec<u8> {
    let mut json = Json::default();
    json.raw("{\"status\":\"success\",\"data\":{\"resultType\":");
    json.string(kind);
    json.raw(",\"result\":");
    result(&mut json);
    json.raw("}}");
    json.bytes
}

fn pair(json: &mut Json, at: i64, text: &str) {
    json.raw("[");
    json.raw(&number::seconds(at));
    json.raw(",");
    json.string(text);
    json.raw("]");
}
