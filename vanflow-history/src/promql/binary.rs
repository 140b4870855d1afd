//! Operators between two operands.

use std::collections::{HashMap, hash_map::Entry};

use foldhash::fast::RandomState;
use promql_parser::parser::{BinModifier, LabelModifier, VectorMatchCardinality, token::*};

use super::{
    budget::Budget,
    error::QueryError,
    value::{Evaluated, Labels, Row, merged},
};

pub(crate) fn apply<'h>(
    operator: TokenId,
    modifier: Option<&BinModifier>,
    left: Evaluated<'h>,
    right: Evaluated<'h>,
    budget: &Budget<'_>,
) -> Result<Evaluated<'h>, QueryError> {
    let is_bool = modifier.is_some_and(|modifier| modifier.return_bool);
    match (left, right) {
        (Evaluated::Scalar(left), Evaluated::Scalar(right)) => {
            let results = left.iter().zip(&right).map(|(&left, &right)| {
                let (value, is_kept) = compute(operator, left, right);
                if is_comparison(operator) { f64::from(u8::from(is_kept)) } else { value }
            });
            Ok(Evaluated::Scalar(results.collect()))
        }
        (Evaluated::Vector(rows), Evaluated::Scalar(scalars)) => {
            with_scalar(operator, is_bool, rows, &scalars, false).map(Evaluated::Vector)
        }
        (Evaluated::Scalar(scalars), Evaluated::Vector(rows)) => {
            with_scalar(operator, is_bool, rows, &scalars, true).map(Evaluated::Vector)
        }
        (Evaluated::Vector(left), Evaluated::Vector(right)) => {
            let fallback = BinModifier::default();
            let modifier = modifier.unwrap_or(&fallback);
            if modifier.fill_values.lhs.is_some() || modifier.fill_values.rhs.is_some() {
                return Err(QueryError::unsupported("the modifier fill"));
            }
            let rows = match operator {
                T_LAND | T_LOR | T_LUNLESS => merged(of_sets(operator, modifier, left, right))?,
                _ => between_vectors(operator, modifier, left, right, budget)?,
            };
            Ok(Evaluated::Vector(rows))
        }
        _ => {
            Err(QueryError::execution("binary expression must contain only scalar and instant vector types"))
        }
    }
}

/// Whether results are no more what the metric's name says. Prometheus 2 forgets that of `atan2`.
fn drops_name(operator: TokenId, is_bool: bool) -> bool {
    is_bool || !(is_comparison(operator) || operator == T_ATAN2)
}

fn is_comparison(operator: TokenId) -> bool {
    matches!(operator, T_EQLC | T_NEQ | T_GTR | T_LSS | T_GTE | T_LTE)
}

/// The value, and whether a filter keeps it: a comparison has the left value, and everything else is kept.
fn compute(operator: TokenId, left: f64, right: f64) -> (f64, bool) {
    match operator {
        T_ADD => (left + right, true),
        T_SUB => (left - right, true),
        T_MUL => (left * right, true),
        T_DIV => (left / right, true),
        T_MOD => (left % right, true),
        T_POW => (left.powf(right), true),
        T_ATAN2 => (left.atan2(right), true),
        T_EQLC => (left, left == right),
        T_NEQ => (left, left != right),
        T_GTR => (left, left > right),
        T_LSS => (left, left < right),
        T_GTE => (left, left >= right),
        _ => (left, left <= right),
    }
}

fn with_scalar<'h>(
    operator: TokenId,
    is_bool: bool,
    rows: Vec<Row<'h>>,
    scalars: &[f64],
    is_scalar_left: bool,
) -> Result<Vec<Row<'h>>, QueryError> {
    let rows = rows.into_iter().map(|mut row| {
        for (point, &scalar) in row.points.iter_mut().zip(scalars) {
            let Some(value) = *point else { continue };
            let (result, is_kept) = if is_scalar_left {
                compute(operator, scalar, value)
            } else {
                compute(operator, value, scalar)
            };
            *point = match (is_comparison(operator), is_bool) {
                (false, _) => Some(result),
                (true, true) => Some(f64::from(u8::from(is_kept))),
                // The value of the series, on whichever side it is.
                (true, false) => is_kept.then_some(value),
            };
        }
        if drops_name(operator, is_bool) {
            row.labels = row.labels.without_name();
        }
        row
    });
    merged(rows.collect())
}

/// The labels by which series of both sides belong together.
fn matching<'h>(modifier: &BinModifier, labels: &Labels<'h>) -> Labels<'h> {
    match &modifier.matching {
        Some(LabelModifier::Include(names)) => labels.only(&names.labels),
        Some(LabelModifier::Exclude(names)) => labels.without(&names.labels).without_name(),
        None => labels.clone().without_name(),
    }
}

/// Numbers for labels by which series belong together, the same for both sides.
#[derive(Default)]
struct Groups<'h> {
    numbers: HashMap<Labels<'h>, usize, RandomState>,
}

impl<'h> Groups<'h> {
    fn of(&mut self, modifier: &BinModifier, rows: &[Row<'h>]) -> Vec<usize> {
        rows.iter()
            .map(|row| {
                let next = self.numbers.len();
                *self.numbers.entry(matching(modifier, &row.labels)).or_insert(next)
            })
            .collect()
    }
}

fn of_sets<'h>(
    operator: TokenId,
    modifier: &BinModifier,
    mut left: Vec<Row<'h>>,
    mut right: Vec<Row<'h>>,
) -> Vec<Row<'h>> {
    let mut groups = Groups::default();
    let left_groups = groups.of(modifier, &left);
    let right_groups = groups.of(modifier, &right);
    let steps = left.first().or(right.first()).map_or(0, |row| row.points.len());
    let mut is_there = vec![false; groups.numbers.len()];
    for step in 0..steps {
        is_there.fill(false);
        let (asked, asked_groups, filtered, filtered_groups) = match operator {
            T_LOR => (&left, &left_groups, &mut right, &right_groups),
            _ => (&right, &right_groups, &mut left, &left_groups),
        };
        for (row, &group) in asked.iter().zip(asked_groups) {
            is_there[group] |= row.points[step].is_some();
        }
        let wanted = operator == T_LAND;
        for (row, &group) in filtered.iter_mut().zip(filtered_groups) {
            if is_there[group] != wanted {
                row.points[step] = None;
            }
        }
    }
    if operator == T_LOR {
        left.extend(right);
    }
    left
}

fn between_vectors<'h>(
    operator: TokenId,
    modifier: &BinModifier,
    left: Vec<Row<'h>>,
    right: Vec<Row<'h>>,
    budget: &Budget<'_>,
) -> Result<Vec<Row<'h>>, QueryError> {
    // The side each of whose groups has one series at most is called "one"; by default it is the right.
    let is_swapped = matches!(modifier.card, VectorMatchCardinality::OneToMany(_));
    let is_grouped = is_swapped || matches!(modifier.card, VectorMatchCardinality::ManyToOne(_));
    let (many, one, one_side) = if is_swapped { (right, left, "left") } else { (left, right, "right") };
    let mut groups = Groups::default();
    let many_groups = groups.of(modifier, &many);
    let one_groups = groups.of(modifier, &one);
    let steps = many.first().map_or(0, |row| row.points.len());
    if one.is_empty() {
        return Ok(Vec::new());
    }

    let mut places: HashMap<Labels<'h>, usize, RandomState> = HashMap::default();
    let mut pairs: HashMap<(usize, usize), usize, RandomState> = HashMap::default();
    let mut out: Vec<Row<'h>> = Vec::new();
    let mut partner: Vec<Option<usize>> = vec![None; groups.numbers.len()];
    let mut is_matched = vec![false; groups.numbers.len()];
    for step in 0..steps {
        if many.iter().all(|row| row.points[step].is_none()) {
            continue;
        }
        partner.fill(None);
        is_matched.fill(false);
        for (place, row) in one.iter().enumerate() {
            if row.points[step].is_none() {
                continue;
            }
            if let Some(other) = partner[one_groups[place]].replace(place) {
                return Err(QueryError::execution(format!(
                    "found duplicate series for the match group {} on the {one_side} hand-side of the operation: \
                     [{}, {}];many-to-many matching not allowed: matching labels must be unique on one side",
                    matching(modifier, &row.labels).text(),
                    row.labels.text(),
                    one[other].labels.text(),
                )));
            }
        }
        for (place, row) in many.iter().enumerate() {
            let group = many_groups[place];
            let (Some(value), Some(one_place)) = (row.points[step], partner[group]) else { continue };
            let Some(one_value) = one[one_place].points[step] else { continue };
            let (left, right) = if is_swapped { (one_value, value) } else { (value, one_value) };
            let (result, is_kept) = compute(operator, left, right);
            let result = if modifier.return_bool {
                f64::from(u8::from(is_kept))
            } else if is_kept {
                result
            } else {
                continue;
            };
            if !is_grouped && std::mem::replace(&mut is_matched[group], true) {
                return Err(QueryError::execution(
                    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
                ));
            }
            let target = match pairs.entry((place, one_place)) {
                Entry::Occupied(entry) => *entry.get(),
                Entry::Vacant(entry) => {
                    let labels = result_labels(operator, modifier, &row.labels, &one[one_place].labels);
                    let target = match places.get(&labels) {
                        Some(&target) => target,
                        None => {
                            budget.row(steps)?;
                            places.insert(labels.clone(), out.len());
                            out.push(Row { labels, points: vec![None; steps] });
                            out.len() - 1
                        }
                    };
                    *entry.insert(target)
                }
            };
            if out[target].points[step].replace(result).is_some() {
                return Err(QueryError::execution(if is_grouped {
                    "multiple matches for labels: grouping labels must ensure unique matches"
                } else {
                    super::value::SAME_LABELS
                }));
            }
        }
    }
    Ok(out)
}

/// The labels of a result: those of the side that may have many, as far as they are matched, and those of the other
/// side that are asked for.
fn result_labels<'h>(
    operator: TokenId,
    modifier: &BinModifier,
    many: &Labels<'h>,
    one: &Labels<'h>,
) -> Labels<'h> {
    let mut labels = many.clone();
    if drops_name(operator, modifier.return_bool) {
        labels = labels.without_name();
    }
    match &modifier.card {
        VectorMatchCardinality::ManyToOne(included) | VectorMatchCardinality::OneToMany(included) => {
            for name in &included.labels {
                labels.set(name, one.value(name));
            }
            labels
        }
        _ => match &modifier.matching {
            Some(LabelModifier::Include(names)) => labels.only(&names.labels),
            Some(LabelModifier::Exclude(names)) => labels.without(&names.labels),
            None => labels,
        },
    }
}

/// The negative of each value.
pub(crate) fn negated<'h>(value: Evaluated<'h>) -> Result<Evaluated<'h>, QueryError> {
    match value {
        Evaluated::Scalar(scalars) => {
            Ok(Evaluated::Scalar(scalars.into_iter().map(|scalar| -scalar).collect()))
        }
        Evaluated::Vector(rows) => {
            let rows = rows.into_iter().map(|row| Row {
                labels: row.labels.without_name(),
                points: row.points.into_iter().map(|point| point.map(|value| -value)).collect(),
            });
            super::value::distinct(rows.collect()).map(Evaluated::Vector)
        }
        Evaluated::Text(_) => Err(QueryError::execution("a string has no negative")),
    }
}
