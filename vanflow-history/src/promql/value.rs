//! What an expression comes to.

use std::{borrow::Cow, collections::HashMap};

use foldhash::fast::RandomState;

use super::error::QueryError;
use crate::history::METRIC;

/// Labels in the order of their names; the metric's is `__name__`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Labels<'h>(Vec<(Cow<'h, str>, Cow<'h, str>)>);

impl<'h> Labels<'h> {
    /// Of pairs that are in order.
    pub(crate) fn of(pairs: &[(&'h str, &'h str)]) -> Self {
        Self(pairs.iter().map(|&(name, value)| (Cow::Borrowed(name), Cow::Borrowed(value))).collect())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The value of a label; empty where there is none.
    pub(crate) fn value(&self, name: &str) -> &str {
        self.0.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value)
    }

    /// Sets a label, or removes it where the value is empty.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        match (self.0.binary_search_by(|(other, _)| (**other).cmp(name)), value.is_empty()) {
            (Ok(position), true) => {
                self.0.remove(position);
            }
            (Ok(position), false) => self.0[position].1 = Cow::Owned(value.to_owned()),
            (Err(_), true) => {}
            (Err(position), false) => {
                self.0.insert(position, (Cow::Owned(name.to_owned()), Cow::Owned(value.to_owned())));
            }
        }
    }

    pub(crate) fn without_name(mut self) -> Self {
        self.0.retain(|(name, _)| name != METRIC);
        self
    }

    /// Those with these names.
    pub(crate) fn only(&self, names: &[String]) -> Self {
        Self(self.0.iter().filter(|(name, _)| names.iter().any(|other| other == name)).cloned().collect())
    }

    /// Those with other names than these.
    pub(crate) fn without(&self, names: &[String]) -> Self {
        Self(self.0.iter().filter(|(name, _)| !names.iter().any(|other| other == name)).cloned().collect())
    }

    /// As in messages: `{a="b", c="d"}`, with the name of the metric in front.
    pub(crate) fn text(&self) -> String {
        let labels: Vec<String> = self
            .iter()
            .filter(|(name, _)| *name != METRIC)
            .map(|(name, value)| format!("{name}={value:?}"))
            .collect();
        let name = self.value(METRIC);
        if labels.is_empty() && !name.is_empty() {
            name.to_owned()
        } else {
            format!("{name}{{{}}}", labels.join(", "))
        }
    }
}

/// A series of an answer: a value, or none, for each step.
#[derive(Clone, Debug)]
pub(crate) struct Row<'h> {
    pub(crate) labels: Labels<'h>,
    pub(crate) points: Vec<Option<f64>>,
}

/// What an expression comes to at each step.
#[derive(Clone, Debug)]
pub(crate) enum Evaluated<'h> {
    Scalar(Vec<f64>),
    Vector(Vec<Row<'h>>),
    Text(String),
}

/// A value at a time of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    /// Milliseconds since the epoch.
    pub(crate) at: i64,
    pub(crate) value: f64,
}

/// What an error says where two series of one step have the same labels.
pub(crate) const SAME_LABELS: &str = "vector cannot contain metrics with the same labelset";

/// Makes one row of all that have the same labels and no step in common, and drops those that are empty.
///
/// # Errors
///
/// Where two of them have a step in common.
pub(crate) fn merged(rows: Vec<Row<'_>>) -> Result<Vec<Row<'_>>, QueryError> {
    let mut places: HashMap<Labels<'_>, usize, RandomState> = HashMap::default();
    let mut out: Vec<Row<'_>> = Vec::with_capacity(rows.len());
    for row in rows {
        if row.points.iter().all(Option::is_none) {
            continue;
        }
        match places.get(&row.labels) {
            Some(&place) => {
                for (point, other) in out[place].points.iter_mut().zip(row.points) {
                    if point.is_some() && other.is_some() {
                        return Err(QueryError::execution(SAME_LABELS));
                    }
                    *point = point.or(other);
                }
            }
            None => {
                places.insert(row.labels.clone(), out.len());
                out.push(row);
            }
        }
    }
    Ok(out)
}

/// Makes sure that no two rows have the same labels, and drops those that are empty.
pub(crate) fn distinct(mut rows: Vec<Row<'_>>) -> Result<Vec<Row<'_>>, QueryError> {
    rows.retain(|row| row.points.iter().any(Option::is_some));
    let mut seen = std::collections::HashSet::<_, RandomState>::default();
    if rows.iter().all(|row| seen.insert(&row.labels)) {
        drop(seen);
        return Ok(rows);
    }
    Err(QueryError::execution(SAME_LABELS))
}
