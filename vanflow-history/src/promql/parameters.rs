//! Parameters of a request, in a query string and in a form, and what they mean.

use chrono::DateTime;
use percent_encoding::percent_decode_str;

use super::error::QueryError;

/// Names and values, decoded; the first of a name counts.
#[derive(Debug)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(crate) fn of(query: &str, form: &str) -> Self {
        let pairs = form.split('&').chain(query.split('&')).filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        });
        Self(pairs.collect())
    }

    /// The value of a parameter; one that is empty is as good as none.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let value = self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
        value.filter(|value| !value.is_empty())
    }

    /// All values of a parameter, as they are.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// All parameters, in their order.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Checks that the timeout is one. How long a query takes is bounded otherwise.
    pub(crate) fn timeout(&self) -> Result<(), QueryError> {
        self.value("timeout").map_or(Ok(()), |text| duration("timeout", text).map(|_| ()))
    }
}

fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

/// A parameter that makes no sense, and why.
pub(crate) fn parameter(name: &'static str, problem: &str) -> QueryError {
    QueryError::Parameter { name, problem: problem.to_owned() }
}

/// Times beyond these are refused: 100,000 years before and after the epoch.
const FURTHEST_S: f64 = 100_000.0 * 31_536_000.0;

/// The time that Prometheus takes NaN and infinities for, as a number that is not finite becomes the lowest there is:
/// in the year 1677.
const NOT_FINITE_MS: i64 = -9_223_372_036_854;

/// Seconds since the epoch, or RFC 3339, in milliseconds.
pub(crate) fn time(name: &'static str, text: &str) -> Result<i64, QueryError> {
    if let Ok(seconds) = text.parse::<f64>()
        && (seconds.abs() <= FURTHEST_S || !seconds.is_finite())
    {
        if !seconds.is_finite() {
            return Ok(NOT_FINITE_MS);
        }
        // Through whole milliseconds of the fraction, so that 1.001 is 1001 ms however it is represented.
        let whole = seconds.trunc();
        return Ok(whole as i64 * 1000 + ((seconds - whole) * 1000.0).round() as i64);
    }
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.timestamp_millis())
        .map_err(|_| parameter(name, &format!("cannot parse {text:?} to a valid timestamp")))
}

/// Seconds, or a duration such as `1m30s`, in milliseconds.
pub(crate) fn duration(name: &'static str, text: &str) -> Result<i64, QueryError> {
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
        for text in ["NaN", "nan", "Inf", "-Inf"] {
            assert_eq!(time("time", text), Ok(NOT_FINITE_MS), "{text}");
        }
        for text in ["", "yesterday", "1e300"] {
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
