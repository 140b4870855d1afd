//! The queries of Prometheus' HTTP API, without HTTP: parameters in, a status and JSON out.

use chrono::DateTime;
use http::StatusCode;
use percent_encoding::percent_decode_str;
use promql_parser::parser::{Expr, value::ValueType};

use super::{
    budget::{Budget, Limits},
    error::QueryError,
    eval::{self, Evaluator, Grid, Track},
    number,
    parse::parse,
    value::{Labels, Row, Value},
};
use crate::history::History;

/// How many points a series of an answer has at most.
const MOST_POINTS: i64 = 11_000;

/// The two kinds of queries that a Prometheus answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryKind {
    /// Values at one time, with the parameters `query` and `time`.
    Instant,
    /// Values at the steps of a range, with the parameters `query`, `start`, `end` and `step`.
    Range,
}

impl QueryKind {
    /// The path in Prometheus that answers it, from its root.
    pub fn prometheus_path(self) -> &'static str {
        match self {
            Self::Instant => "/api/v1/query",
            Self::Range => "/api/v1/query_range",
        }
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
    kind: QueryKind,
    query: Option<&str>,
    form: &str,
    history: &History,
    now_ms: i64,
) -> (StatusCode, Vec<u8>) {
    let parameters = Parameters::of(query.unwrap_or(""), form);
    let answer = match kind {
        QueryKind::Instant => instant(&parameters, history, now_ms),
        QueryKind::Range => range(&parameters, history),
    };
    match answer {
        Ok(body) => (StatusCode::OK, body),
        Err(error) => (error.status(), error_body(error.kind(), &error.to_string())),
    }
}

/// Why a query has no answer, as Prometheus says it: JSON with the type of the error, such as `bad_data`, and its
/// message.
pub fn error_body(kind: &str, message: &str) -> Vec<u8> {
    let mut json = Json::default();
    json.raw("{\"status\":\"error\",\"errorType\":");
    json.string(kind);
    json.raw(",\"error\":");
    json.string(message);
    json.raw("}");
    json.bytes
}

fn instant(parameters: &Parameters, history: &History, now_ms: i64) -> Result<Vec<u8>, QueryError> {
    let at = match parameters.value("time") {
        Some(text) => time("time", text)?,
        None => now_ms,
    };
    parameters.timeout()?;
    let expression = parse(parameters.value("query").unwrap_or(""))?;
    let grid = Grid { start: at, step: 1, count: 1 };
    let evaluator = Evaluator::new(history, (at, at), Budget::new(Limits::default()));
    if expression.value_type() == ValueType::Matrix {
        let mut tracks = evaluator.range(&expression, at)?;
        tracks.sort_unstable_by(|one, other| one.labels.cmp(&other.labels));
        return Ok(tracks_of(&tracks));
    }
    Ok(match evaluator.evaluate(&expression, grid)? {
        Value::Scalar(scalars) => {
            let value = number::sample(scalars.first().copied().unwrap_or(f64::NAN));
            success("scalar", |json| pair(json, at, &value))
        }
        Value::Text(text) => success("string", |json| pair(json, at, &text)),
        Value::Vector(rows) => success("vector", |json| {
            let present = rows.iter().filter_map(|row| Some((row, row.points.first().copied()??)));
            list(json, present, |json, (row, value)| {
                json.raw("{\"metric\":");
                metric(json, &row.labels);
                json.raw(",\"value\":");
                pair(json, at, &number::sample(value));
                json.raw("}");
            });
        }),
    })
}

fn range(parameters: &Parameters, history: &History) -> Result<Vec<u8>, QueryError> {
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
    let evaluator = Evaluator::new(history, (start, end), Budget::new(Limits::default()));
    let rows = rows(&expression, grid, &evaluator)?;
    Ok(success("matrix", |json| {
        list(json, &rows, |json, row| {
            json.raw("{\"metric\":");
            metric(json, &row.labels);
            json.raw(",\"values\":");
            let present = grid.times().zip(&row.points).filter_map(|(at, point)| Some((at, (*point)?)));
            list(json, present, |json, (at, value)| pair(json, at, &number::sample(value)));
            json.raw("}");
        });
    }))
}

fn rows<'h>(expression: &Expr, grid: Grid, evaluator: &Evaluator<'h>) -> Result<Vec<Row<'h>>, QueryError> {
    let mut rows = match evaluator.evaluate(expression, grid)? {
        Value::Scalar(scalars) => {
            vec![Row { labels: Labels::default(), points: scalars.into_iter().map(Some).collect() }]
        }
        Value::Vector(rows) => rows,
        Value::Text(_) => Vec::new(),
    };
    rows.retain(|row| row.points.iter().any(Option::is_some));
    rows.sort_by(|one, other| one.labels.cmp(&other.labels));
    Ok(rows)
}

fn tracks_of(tracks: &[Track<'_>]) -> Vec<u8> {
    success("matrix", |json| {
        list(json, tracks, |json, track| {
            json.raw("{\"metric\":");
            metric(json, &track.labels);
            json.raw(",\"values\":");
            list(json, &track.points, |json, point| pair(json, point.at, &number::sample(point.value)));
            json.raw("}");
        });
    })
}

/// JSON, written straight into octets: an answer can have millions of points, and a tree of values in between would
/// cost more than the rendering.
#[derive(Debug, Default)]
struct Json {
    bytes: Vec<u8>,
}

impl Json {
    /// Text that is JSON already.
    fn raw(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }

    fn string(&mut self, text: &str) {
        serde_json::to_writer(&mut self.bytes, text).expect("a text can be written into octets");
    }
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

fn list<T>(json: &mut Json, items: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut Json, T)) {
    json.raw("[");
    for (place, item) in items.into_iter().enumerate() {
        if place > 0 {
            json.raw(",");
        }
        write(json, item);
    }
    json.raw("]");
}

fn metric(json: &mut Json, labels: &Labels<'_>) {
    json.raw("{");
    for (place, (name, value)) in labels.iter().enumerate() {
        if place > 0 {
            json.raw(",");
        }
        json.string(name);
        json.raw(":");
        json.string(value);
    }
    json.raw("}");
}

fn pair(json: &mut Json, at: i64, text: &str) {
    json.raw("[");
    json.raw(&number::seconds(at));
    json.raw(",");
    json.string(text);
    json.raw("]");
}

/// Names and values, decoded; the first of a name counts.
#[derive(Debug)]
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn of(query: &str, form: &str) -> Self {
        let pairs = form.split('&').chain(query.split('&')).filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        });
        Self(pairs.collect())
    }

    /// The value of a parameter; one that is empty is as good as none.
    fn value(&self, name: &str) -> Option<&str> {
        let value = self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
        value.filter(|value| !value.is_empty())
    }

    /// Checks that the timeout is one. How long a query takes is bounded otherwise.
    fn timeout(&self) -> Result<(), QueryError> {
        self.value("timeout").map_or(Ok(()), |text| duration("timeout", text).map(|_| ()))
    }
}

fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

fn parameter(name: &'static str, problem: &str) -> QueryError {
    QueryError::Parameter { name, problem: problem.to_owned() }
}

/// Times beyond these are refused: 100,000 years before and after the epoch.
const FURTHEST_S: f64 = 100_000.0 * 31_536_000.0;

/// Seconds since the epoch, or RFC 3339, in milliseconds.
fn time(name: &'static str, text: &str) -> Result<i64, QueryError> {
    if let Ok(seconds) = text.parse::<f64>()
        && seconds.abs() <= FURTHEST_S
    {
        // Through whole milliseconds of the fraction, so that 1.001 is 1001 ms however it is represented.
        let whole = seconds.trunc();
        return Ok(whole as i64 * 1000 + ((seconds - whole) * 1000.0).round() as i64);
    }
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.timestamp_millis())
        .map_err(|_| parameter(name, &format!("cannot parse {text:?} to a valid timestamp")))
}

/// Seconds, or a duration such as `1m30s`, in milliseconds.
fn duration(name: &'static str, text: &str) -> Result<i64, QueryError> {
    let refusal = || parameter(name, &format!("cannot parse {text:?} to a valid duration"));
    if let Ok(seconds) = text.parse::<f64>() {
        if seconds.abs() > FURTHEST_S {
            return Err(parameter(
                name,
                &format!("cannot parse {text:?} to a valid duration. It overflows int64"),
            ));
        }
        // Only numbers that are finite are durations; the other way to read one would not survive any of these.
        return if seconds.is_nan() { Err(refusal()) } else { Ok((seconds * 1000.0) as i64) };
    }
    promql_parser::util::parse_duration(text)
        .ok()
        .and_then(|duration| i64::try_from(duration.as_millis()).ok())
        .filter(|&ms| ms as f64 / 1000.0 <= FURTHEST_S)
        .ok_or_else(refusal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_dates() {
        assert_eq!(time("time", "1435781430.781"), Ok(1_435_781_430_781));
        assert_eq!(time("time", "1.001"), Ok(1_001));
        assert_eq!(time("time", "-1.5"), Ok(-1_500));
        assert_eq!(time("time", "1970-01-01T00:00:01.5Z"), Ok(1_500));
        assert_eq!(time("time", "1970-01-01T01:00:00+01:00"), Ok(0));
        for text in ["", "yesterday", "NaN", "Inf", "1e300"] {
            let error = time("start", text).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("invalid parameter \"start\": cannot parse {text:?} to a valid timestamp")
            );
        }
    }

    #[test]
    fn steps_are_seconds_or_durations() {
        assert_eq!(duration("step", "15"), Ok(15_000));
        assert_eq!(duration("step", "0.5"), Ok(500));
        assert_eq!(duration("step", "1m30s"), Ok(90_000));
        for text in ["", "a minute", "NaN", "1.5m", "-1m"] {
            let error = duration("step", text).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("invalid parameter \"step\": cannot parse {text:?} to a valid duration")
            );
        }
        assert!(duration("step", "1e300").is_err());
        assert!(duration("step", "Inf").is_err());
        assert!(duration("step", "99999999999999999999y").is_err());
    }

    #[test]
    fn the_form_counts_before_the_query_string() {
        let parameters = Parameters::of("query=a%7Bb%3D%22c+d%22%7D&step=1", "step=2&time=");
        assert_eq!(parameters.value("query"), Some("a{b=\"c d\"}"));
        assert_eq!(parameters.value("step"), Some("2"));
        assert_eq!(parameters.value("time"), None);
    }
}
