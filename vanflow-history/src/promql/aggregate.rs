//! Aggregations of several series into few.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use promql_parser::parser::{LabelModifier, token::*};

use super::{
    budget::Budget,
    error::QueryError,
    number,
    value::{Evaluated, Labels, Row, merged},
    window::{self, Mean},
};

/// Which aggregation, of which groups.
pub(crate) struct Aggregation<'e> {
    pub(crate) operator: TokenId,
    pub(crate) modifier: Option<&'e LabelModifier>,
}

impl Aggregation<'_> {
    pub(crate) fn apply<'h>(
        &self,
        parameter: Option<Evaluated<'h>>,
        rows: Vec<Row<'h>>,
        steps: usize,
        budget: &Budget<'_>,
    ) -> Result<Vec<Row<'h>>, QueryError> {
        let groups = self.groups(rows);
        for _ in &groups {
            budget.row(steps)?;
        }
        match (self.operator, parameter) {
            (T_SUM | T_AVG | T_MAX | T_MIN | T_COUNT | T_GROUP, None) => {
                Ok(groups.into_iter().map(|group| self.folded(group, steps)).collect())
            }
            (T_STDDEV, None) => {
                Ok(gathered(groups, steps, |_, values| window::variance(values.iter().copied()).sqrt()))
            }
            (T_STDVAR, None) => {
                Ok(gathered(groups, steps, |_, values| window::variance(values.iter().copied())))
            }
            (T_QUANTILE, Some(Evaluated::Scalar(q))) => {
                Ok(gathered(groups, steps, |step, values| window::quantile(q[step], values)))
            }
            (T_TOPK, Some(Evaluated::Scalar(k))) => extreme(groups, &k, |one, other| other.total_cmp(&one)),
            (T_BOTTOMK, Some(Evaluated::Scalar(k))) => {
                extreme(groups, &k, |one, other| one.total_cmp(&other))
            }
            (T_COUNT_VALUES, Some(Evaluated::Text(label))) => counted(groups, &label, steps, budget),
            (operator, _) => {
                Err(QueryError::unsupported(&format!("the aggregation {}", TokenType::new(operator))))
            }
        }
    }

    /// The series of each group, in the order in which groups appear.
    fn groups<'h>(&self, rows: Vec<Row<'h>>) -> Vec<(Labels<'h>, Vec<Row<'h>>)> {
        let mut places: HashMap<Labels<'h>, usize, RandomState> = HashMap::default();
        let mut groups: Vec<(Labels<'h>, Vec<Row<'h>>)> = Vec::new();
        for row in rows {
            let labels = match self.modifier {
                None => Labels::default(),
                Some(LabelModifier::Include(names)) => row.labels.only(&names.labels),
                Some(LabelModifier::Exclude(names)) => row.labels.without(&names.labels).without_name(),
            };
            let place = match places.get(&labels) {
                Some(&place) => place,
                None => {
                    places.insert(labels.clone(), groups.len());
                    groups.push((labels, Vec::new()));
                    groups.len() - 1
                }
            };
            groups[place].1.push(row);
        }
        groups
    }

    /// An aggregation that takes one value after the other.
    fn folded<'h>(&self, (labels, rows): (Labels<'h>, Vec<Row<'h>>), steps: usize) -> Row<'h> {
        let points = match self.operator {
            T_SUM => fold(&rows, steps, |sum, value| sum + value),
            T_MAX => {
                fold(&rows, steps, |most, value| if value > most || most.is_nan() { value } else { most })
            }
            T_MIN => {
                fold(&rows, steps, |least, value| if value < least || least.is_nan() { value } else { least })
            }
            T_AVG => {
                let mut means: Vec<Option<Mean>> = vec![None; steps];
                for row in &rows {
                    for (mean, point) in means.iter_mut().zip(&row.points) {
                        if let Some(value) = *point {
                            mean.get_or_insert_default().add(value);
                        }
                    }
                }
                means.into_iter().map(|mean| mean.map(|mean| mean.value())).collect()
            }
            _ => {
                let mut counts: Vec<Option<f64>> = vec![None; steps];
                for row in &rows {
                    for (count, point) in counts.iter_mut().zip(&row.points) {
                        if point.is_some() {
                            *count =
                                Some(if self.operator == T_GROUP { 1.0 } else { count.unwrap_or(0.0) + 1.0 });
                        }
                    }
                }
                counts
            }
        };
        Row { labels, points }
    }
}

fn fold(rows: &[Row<'_>], steps: usize, combine: impl Fn(f64, f64) -> f64) -> Vec<Option<f64>> {
    let mut points: Vec<Option<f64>> = vec![None; steps];
    for row in rows {
        for (point, other) in points.iter_mut().zip(&row.points) {
            *point = match (*point, *other) {
                (Some(value), Some(other)) => Some(combine(value, other)),
                (value, other) => value.or(other),
            };
        }
    }
    points
}

/// An aggregation that needs all values of a step at once.
fn gathered<'h>(
    groups: Vec<(Labels<'h>, Vec<Row<'h>>)>,
    steps: usize,
    combine: impl Fn(usize, &mut [f64]) -> f64,
) -> Vec<Row<'h>> {
    let mut values = Vec::new();
    let rows = groups.into_iter().map(|(labels, rows)| {
        let points = (0..steps).map(|step| {
            values.clear();
            values.extend(rows.iter().filter_map(|row| row.points[step]));
            (!values.is_empty()).then(|| combine(step, &mut values))
        });
        Row { labels, points: points.collect() }
    });
    rows.collect()
}

/// The k series of each group that come first; NaN comes last. Of equals those whose labels come first.
fn extreme<'h>(
    groups: Vec<(Labels<'h>, Vec<Row<'h>>)>,
    k: &[f64],
    order: impl Fn(f64, f64) -> std::cmp::Ordering,
) -> Result<Vec<Row<'h>>, QueryError> {
    if let Some(k) = k.iter().find(|k| !(-9.223_372_036_854_776e18..=9.223_372_036_854_775e18).contains(*k)) {
        return Err(QueryError::execution(format!("Scalar value {} overflows int64", number::sample(*k))));
    }
    let mut out = Vec::new();
    for (_, mut rows) in groups {
        let mut ranked: Vec<(usize, f64)> = Vec::new();
        for (step, &k) in k.iter().enumerate() {
            ranked.clear();
            ranked
                .extend(rows.iter().enumerate().filter_map(|(place, row)| Some((place, row.points[step]?))));
            ranked.sort_by(|&(_, one), &(_, other)| {
                // -0 and 0 are equal.
                let (one, other) = (one + 0.0, other + 0.0);
                one.is_nan()
                    .cmp(&other.is_nan())
                    .then_with(|| if one.is_nan() { std::cmp::Ordering::Equal } else { order(one, other) })
            });
            let k = if k < 1.0 { 0 } else { k as usize };
            for &(place, _) in ranked.iter().skip(k) {
                rows[place].points[step] = None;
            }
        }
        if k.len() == 1 {
            // An instant answer comes in order.
            let places: Vec<usize> = ranked.iter().map(|&(place, _)| place).collect();
            let mut sorted: Vec<Option<Row<'h>>> = rows.into_iter().map(Some).collect();
            out.extend(places.into_iter().filter_map(|place| sorted[place].take()));
        } else {
            out.extend(rows);
        }
    }
    merged(out)
}

/// How often each value is there.
fn counted<'h>(
    groups: Vec<(Labels<'h>, Vec<Row<'h>>)>,
    label: &str,
    steps: usize,
    budget: &Budget<'_>,
) -> Result<Vec<Row<'h>>, QueryError> {
    if !super::functions::is_label_name(label) {
        return Err(QueryError::execution(format!("invalid label name {label:?}")));
    }
    let mut out: Vec<Row<'h>> = Vec::new();
    let mut places: HashMap<Labels<'h>, usize, RandomState> = HashMap::default();
    for (labels, rows) in groups {
        for row in rows {
            for (step, point) in row.points.iter().enumerate() {
                let Some(value) = *point else { continue };
                let mut labels = labels.clone();
                labels.set(label, &number::label(value));
                let place = match places.get(&labels) {
                    Some(&place) => place,
                    None => {
                        budget.row(steps)?;
                        places.insert(labels.clone(), out.len());
                        out.push(Row { labels, points: vec![None; steps] });
                        out.len() - 1
                    }
                };
                *out[place].points[step].get_or_insert(0.0) += 1.0;
            }
        }
    }
    Ok(out)
}
