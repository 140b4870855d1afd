//! Functions of the values of one step.

use chrono::{DateTime, Datelike, Timelike};
use regex::Regex;

use super::{
    error::QueryError,
    value::{Evaluated, Labels, Row, distinct, merged},
};

/// A function of a value alone.
pub(crate) fn plain(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "ceil" => f64::ceil,
        "floor" => f64::floor,
        "exp" => f64::exp,
        "sqrt" => f64::sqrt,
        "ln" => f64::ln,
        "log2" => f64::log2,
        "log10" => f64::log10,
        "sgn" => |value| {
            if value > 0.0 {
                1.0
            } else if value < 0.0 {
                -1.0
            } else {
                value
            }
        },
        "sin" => f64::sin,
        "cos" => f64::cos,
        "tan" => f64::tan,
        "asin" => f64::asin,
        "acos" => f64::acos,
        "atan" => f64::atan,
        "sinh" => f64::sinh,
        "cosh" => f64::cosh,
        "tanh" => f64::tanh,
        "asinh" => f64::asinh,
        "acosh" => f64::acosh,
        "atanh" => f64::atanh,
        "deg" => f64::to_degrees,
        "rad" => f64::to_radians,
        _ => return None,
    })
}

/// A function of a time in seconds since the epoch; without an argument it is of the time of the step.
pub(crate) fn of_date(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "minute" => |at| date(at, |date| date.minute()),
        "hour" => |at| date(at, |date| date.hour()),
        "day_of_week" => |at| date(at, |date| date.weekday().num_days_from_sunday()),
        "day_of_month" => |at| date(at, |date| date.day()),
        "day_of_year" => |at| date(at, |date| date.ordinal()),
        "days_in_month" => |at| date(at, |date| u32::from(date.num_days_in_month())),
        "month" => |at| date(at, |date| date.month()),
        "year" => |at| date(at, |date| date.year() as u32),
        _ => return None,
    })
}

fn date(at: f64, part: impl Fn(DateTime<chrono::Utc>) -> u32) -> f64 {
    DateTime::from_timestamp(at as i64, 0).map_or(f64::NAN, |date| f64::from(part(date)))
}

/// What remains of each row after a function of its value at each step; none where nothing does.
pub(crate) fn mapped<'h>(
    rows: Vec<Row<'h>>,
    function: impl Fn(usize, f64) -> Option<f64>,
) -> Result<Vec<Row<'h>>, QueryError> {
    let rows = rows.into_iter().map(|row| Row {
        labels: row.labels.without_name(),
        points: row
            .points
            .into_iter()
            .enumerate()
            .map(|(step, point)| point.and_then(|value| function(step, value)))
            .collect(),
    });
    merged(rows.collect())
}

/// The larger; NaN where either is, unless the other is infinite.
pub(crate) fn larger(one: f64, other: f64) -> f64 {
    if one == f64::INFINITY || other == f64::INFINITY {
        f64::INFINITY
    } else if one.is_nan() || other.is_nan() {
        f64::NAN
    } else {
        one.max(other)
    }
}

/// The smaller; NaN where either is, unless the other is infinite.
pub(crate) fn smaller(one: f64, other: f64) -> f64 {
    -larger(-one, -other)
}

/// To the nearest multiple; what is halfway goes up.
pub(crate) fn rounded(value: f64, to: f64) -> f64 {
    // By the inverse, as a tenth is not exact and ten is.
    let inverse = 1.0 / to;
    (value * inverse + 0.5).floor() / inverse
}

/// The only value of each step, or NaN.
pub(crate) fn scalar(rows: &[Row<'_>], steps: usize) -> Vec<f64> {
    let only = |step: usize| {
        let mut values = rows.iter().filter_map(|row| row.points[step]);
        match (values.next(), values.next()) {
            (Some(value), None) => value,
            _ => f64::NAN,
        }
    };
    (0..steps).map(only).collect()
}

/// In the order of their values at the only step; NaN comes last either way.
pub(crate) fn sorted(mut rows: Vec<Row<'_>>, is_descending: bool) -> Vec<Row<'_>> {
    rows.sort_by(|one, other| {
        let [one, other] = [one, other].map(|row| row.points.first().copied().flatten().unwrap_or(f64::NAN));
        match (one.is_nan(), other.is_nan()) {
            (false, false) if is_descending => other.total_cmp(&one),
            (false, false) => one.total_cmp(&other),
            (one, other) => one.cmp(&other),
        }
    });
    rows
}

/// 1 at each step where none of the rows has a value.
pub(crate) fn absent<'h>(labels: Labels<'h>, rows: &[Row<'_>], steps: usize) -> Vec<Row<'h>> {
    let is_absent = |step: usize| rows.iter().all(|row| row.points[step].is_none());
    let points: Vec<_> = (0..steps).map(|step| is_absent(step).then_some(1.0)).collect();
    if points.iter().any(Option::is_some) { vec![Row { labels, points }] } else { Vec::new() }
}

/// Sets a label to what a pattern makes of another.
pub(crate) fn label_replace<'h>(
    rows: Vec<Row<'h>>,
    [target, replacement, source, pattern]: [&str; 4],
) -> Result<Vec<Row<'h>>, QueryError> {
    let refusal = |what: &str, which: &str| {
        QueryError::Execution(format!("invalid {what} in label_replace(): {which}"))
    };
    let regex =
        Regex::new(&format!("^(?:{pattern})$")).map_err(|_| refusal("regular expression", pattern))?;
    if !is_label_name(target) {
        return Err(refusal("destination label name", target));
    }
    let rows = rows.into_iter().map(|mut row| {
        let mut value = String::new();
        if let Some(captures) = regex.captures(row.labels.value(source)) {
            captures.expand(replacement, &mut value);
        } else {
            return row;
        }
        row.labels.set(target, &value);
        row
    });
    merged(rows.collect())
}

/// Sets a label to others, joined.
pub(crate) fn label_join<'h>(
    rows: Vec<Row<'h>>,
    target: &str,
    separator: &str,
    sources: &[&str],
) -> Result<Vec<Row<'h>>, QueryError> {
    if let Some(source) = sources.iter().find(|source| !is_label_name(source)) {
        return Err(QueryError::Execution(format!("invalid source label name in label_join(): {source}")));
    }
    if !is_label_name(target) {
        return Err(QueryError::Execution(format!(
            "invalid destination label name in label_join(): {target}"
        )));
    }
    let rows = rows.into_iter().map(|mut row| {
        let values: Vec<&str> = sources.iter().map(|source| row.labels.value(source)).collect();
        let value = values.join(separator);
        row.labels.set(target, &value);
        row
    });
    merged(rows.collect())
}

pub(crate) fn is_label_name(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'_')
}

/// The text of an argument that has to be one.
pub(crate) fn text<'v>(value: &'v Evaluated<'_>) -> Result<&'v str, QueryError> {
    match value {
        Evaluated::Text(text) => Ok(text),
        _ => Err(QueryError::execution("expected type string in call to function")),
    }
}

/// Makes sure that series without their metric's name still differ.
pub(crate) fn unnamed(rows: Vec<Row<'_>>) -> Result<Vec<Row<'_>>, QueryError> {
    distinct(rows.into_iter().map(|row| Row { labels: row.labels.without_name(), ..row }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halfway_is_rounded_up() {
        assert_eq!(rounded(2.5, 1.0), 3.0);
        assert_eq!(rounded(-2.5, 1.0), -2.0);
        assert_eq!(rounded(1.25, 0.5), 1.5);
        assert_eq!(rounded(17.0, 5.0), 15.0);
    }

    #[test]
    fn nan_wins_over_all_but_infinity() {
        assert!(larger(f64::NAN, 1.0).is_nan());
        assert_eq!(larger(f64::NAN, f64::INFINITY), f64::INFINITY);
        assert_eq!(smaller(f64::NAN, f64::NEG_INFINITY), f64::NEG_INFINITY);
        assert_eq!(smaller(2.0, 1.0), 1.0);
    }

    #[test]
    fn dates_are_those_of_utc() {
        // 29 February 2024, a Thursday, 23:59:59.
        let at = 1_709_251_199.0;
        let of = |name| of_date(name).unwrap()(at);
        assert_eq!((of("year"), of("month"), of("day_of_month")), (2024.0, 2.0, 29.0));
        assert_eq!((of("hour"), of("minute"), of("day_of_week")), (23.0, 59.0, 4.0));
        assert_eq!((of("day_of_year"), of("days_in_month")), (60.0, 29.0));
    }

    #[test]
    fn label_names_are_words() {
        assert!(is_label_name("le") && is_label_name("_a1"));
        assert!(!is_label_name("") && !is_label_name("1a") && !is_label_name("a-b"));
    }
}
