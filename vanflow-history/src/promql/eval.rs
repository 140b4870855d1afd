//! From an expression to its values at each step.

use std::{collections::HashMap, time::SystemTime};

use foldhash::fast::RandomState;
use promql_parser::{
    label::{MatchOp, Matcher},
    parser::{AtModifier, Call, Expr, Offset, SubqueryExpr, VectorSelector, value::ValueType},
};

use super::{
    aggregate::Aggregation,
    binary,
    budget::Budget,
    error::QueryError,
    functions, histogram,
    value::{Evaluated, Labels, Point, Row, distinct},
    window::{self, Window},
};
use crate::history::{Found, History, METRIC, Sample, SeriesLabels};

/// How long a sample counts where no later one says otherwise: 5 minutes.
const LOOK_BACK_MS: i64 = 300_000;

/// The resolution of a subquery that has none.
const RESOLUTION_MS: i64 = 60_000;

/// The times an expression is evaluated at, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    pub(crate) start: i64,
    pub(crate) step: i64,
    pub(crate) count: usize,
}

impl Grid {
    pub(crate) fn times(self) -> impl Iterator<Item = i64> + Clone {
        (0..self.count as i64).map(move |step| self.start + step * self.step)
    }
}

/// A series with samples at times of their own.
#[derive(Debug)]
pub(crate) struct Track<'h> {
    pub(crate) labels: Labels<'h>,
    pub(crate) points: Vec<Point>,
}

/// Evaluates the expressions of one query.
#[derive(Debug)]
pub(crate) struct Evaluator<'h, 'w> {
    history: &'h History,
    budget: Budget<'w>,
    /// What `start()` and `end()` are; the end need not be a step.
    whole: (i64, i64),
}

impl<'h, 'w> Evaluator<'h, 'w> {
    pub(crate) fn new(history: &'h History, whole: (i64, i64), budget: Budget<'w>) -> Self {
        Self { history, budget, whole }
    }

    pub(crate) fn budget(&self) -> &Budget<'w> {
        &self.budget
    }

    pub(crate) fn evaluate(&self, expression: &Expr, grid: Grid) -> Result<Evaluated<'h>, QueryError> {
        match expression {
            Expr::NumberLiteral(number) => {
                self.budget.row(grid.count)?;
                Ok(Evaluated::Scalar(vec![number.val; grid.count]))
            }
            Expr::StringLiteral(text) => Ok(Evaluated::Text(text.val.clone())),
            Expr::Paren(inner) => self.evaluate(&inner.expr, grid),
            Expr::Unary(inner) => binary::negated(self.evaluate(&inner.expr, grid)?),
            Expr::VectorSelector(selector) => {
                self.instant(selector, grid, |sample| sample.1).map(Evaluated::Vector)
            }
            Expr::Call(call) => self.call(call, grid),
            Expr::Binary(operation) => {
                let left = self.evaluate(&operation.lhs, grid)?;
                let right = self.evaluate(&operation.rhs, grid)?;
                binary::apply(operation.op.id(), operation.modifier.as_ref(), left, right, &self.budget)
            }
            Expr::Aggregate(aggregate) => {
                let parameter =
                    aggregate.param.as_ref().map(|parameter| self.evaluate(parameter, grid)).transpose()?;
                let rows = self.vector(&aggregate.expr, grid)?;
                let aggregation =
                    Aggregation { operator: aggregate.op.id(), modifier: aggregate.modifier.as_ref() };
                aggregation.apply(parameter, rows, grid.count, &self.budget).map(Evaluated::Vector)
            }
            Expr::MatrixSelector(_) | Expr::Subquery(_) => Err(QueryError::execution(
                "a range vector has no value of its own, only functions of it have",
            )),
            Expr::Extension(_) => Err(QueryError::unsupported("this expression")),
        }
    }

    fn vector(&self, expression: &Expr, grid: Grid) -> Result<Vec<Row<'h>>, QueryError> {
        match self.evaluate(expression, grid)? {
            Evaluated::Vector(rows) => Ok(rows),
            _ => Err(QueryError::execution("expected type instant vector")),
        }
    }

    fn scalar(&self, expression: &Expr, grid: Grid) -> Result<Vec<f64>, QueryError> {
        match self.evaluate(expression, grid)? {
            Evaluated::Scalar(scalars) => Ok(scalars),
            _ => Err(QueryError::execution("expected type scalar")),
        }
    }

    /// The samples of a range vector before one step.
    pub(crate) fn range(&self, expression: &Expr, at: i64) -> Result<Vec<Track<'h>>, QueryError> {
        let mut tracks = Vec::new();
        let grid = Grid { start: at, step: 1, count: 1 };
        self.each_range(expression, grid, |labels, points, references, range| {
            let reference = references[0];
            let points: Vec<Point> = points
                .iter()
                .filter(|point| (reference - range..=reference).contains(&point.at))
                .copied()
                .collect();
            self.budget.row(points.len())?;
            if !points.is_empty() {
                tracks.push(Track { labels, points });
            }
            Ok(())
        })?;
        Ok(tracks)
    }

    /// The series that a selector is about, in the order of their labels.
    pub(crate) fn select(&self, selector: &VectorSelector) -> Result<Vec<Found<'h>>, QueryError> {
        if !selector.matchers.or_matchers.is_empty() {
            return Err(QueryError::unsupported("or between matchers"));
        }
        let matchers = &selector.matchers.matchers;
        let exact =
            matchers.iter().find(|matcher| matcher.name == METRIC && matches!(matcher.op, MatchOp::Equal));
        let name = selector.name.as_deref().or(exact.map(|matcher| matcher.value.as_str()));
        // A pattern is tried on each value once, not on each series.
        let mut tried: Vec<HashMap<u32, bool, RandomState>> = vec![HashMap::default(); matchers.len()];
        let suits =
            |matcher: &Matcher, tried: &mut HashMap<u32, bool, RandomState>, labels: &SeriesLabels<'_>| {
                match labels.symbol(&matcher.name) {
                    None => matcher.is_match(""),
                    Some((_, value)) if !is_pattern(matcher) => matcher.is_match(value),
                    Some((symbol, value)) => *tried.entry(symbol).or_insert_with(|| matcher.is_match(value)),
                }
            };
        let found = self.history.select(name, |labels| {
            matchers.iter().zip(&mut tried).all(|(matcher, tried)| suits(matcher, tried, labels))
        });
        self.budget.look(found.len())?;
        Ok(found)
    }

    /// The times that the steps of a selector look back from.
    fn references(&self, at: Option<&AtModifier>, offset: Option<&Offset>, grid: Grid) -> Vec<i64> {
        let fixed = at.map(|at| match at {
            AtModifier::Start => self.whole.0,
            AtModifier::End => self.whole.1,
            AtModifier::At(time) => match time.duration_since(SystemTime::UNIX_EPOCH) {
                Ok(after) => milliseconds(after),
                Err(before) => -milliseconds(before.duration()),
            },
        });
        let offset = match offset {
            None => 0,
            Some(Offset::Pos(offset)) => milliseconds(*offset),
            Some(Offset::Neg(offset)) => -milliseconds(*offset),
        };
        grid.times().map(|time| fixed.unwrap_or(time).saturating_sub(offset)).collect()
    }

    /// The last sample of each series at each step, no older than the look-back, as what `part` takes of its time and
    /// value.
    fn instant(
        &self,
        selector: &VectorSelector,
        grid: Grid,
        part: impl Fn((i64, f64)) -> f64,
    ) -> Result<Vec<Row<'h>>, QueryError> {
        let references = self.references(selector.at.as_ref(), selector.offset.as_ref(), grid);
        let (Some(&first), Some(&last)) = (references.first(), references.last()) else {
            return Ok(Vec::new());
        };
        let mut samples: Vec<Sample> = Vec::new();
        let mut rows = Vec::new();
        for found in self.select(selector)? {
            samples.clear();
            self.history.read(&found, first.saturating_sub(LOOK_BACK_MS), last, &mut samples);
            self.budget.look(samples.len() + grid.count)?;
            let mut next = 0;
            let points: Vec<Option<f64>> = references
                .iter()
                .map(|&reference| {
                    while samples.get(next).is_some_and(|sample| sample.at <= reference) {
                        next += 1;
                    }
                    let sample = samples[..next].last()?;
                    let is_young = sample.at >= reference.saturating_sub(LOOK_BACK_MS);
                    sample.value.filter(|_| is_young).map(|value| part((sample.at, value)))
                })
                .collect();
            if points.iter().any(Option::is_some) {
                self.budget.row(grid.count)?;
                rows.push(Row { labels: Labels::of(&found.labels), points });
            }
        }
        Ok(rows)
    }

    /// Hands over the samples of each series of a range vector, with the time that each step looks back from, and how
    /// far.
    fn each_range(
        &self,
        expression: &Expr,
        grid: Grid,
        mut take: impl FnMut(Labels<'h>, &[Point], &[i64], i64) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        match expression {
            Expr::Paren(inner) => self.each_range(&inner.expr, grid, take),
            Expr::MatrixSelector(matrix) => {
                let range = milliseconds(matrix.range);
                let references = self.references(matrix.vs.at.as_ref(), matrix.vs.offset.as_ref(), grid);
                let (Some(&first), Some(&last)) = (references.first(), references.last()) else {
                    return Ok(());
                };
                let (mut samples, mut points) = (Vec::new(), Vec::new());
                for found in self.select(&matrix.vs)? {
                    samples.clear();
                    points.clear();
                    self.history.read(&found, first.saturating_sub(range), last, &mut samples);
                    self.budget.look(samples.len())?;
                    points.extend(
                        samples
                            .iter()
                            .filter_map(|sample| Some(Point { at: sample.at, value: sample.value? })),
                    );
                    if !points.is_empty() {
                        take(Labels::of(&found.labels), &points, &references, range)?;
                    }
                }
                Ok(())
            }
            Expr::Subquery(subquery) => {
                let range = milliseconds(subquery.range);
                let references = self.references(subquery.at.as_ref(), subquery.offset.as_ref(), grid);
                let (Some(&first), Some(&last)) = (references.first(), references.last()) else {
                    return Ok(());
                };
                let inner = subquery_grid(subquery, first.saturating_sub(range), last);
                if inner.count == 0 {
                    return Ok(());
                }
                self.budget.row(inner.count)?;
                let mut points = Vec::new();
                for row in self.vector(&subquery.expr, inner)? {
                    points.clear();
                    let present = inner.times().zip(&row.points);
                    points.extend(present.filter_map(|(at, point)| Some(Point { at, value: (*point)? })));
                    if !points.is_empty() {
                        take(row.labels, &points, &references, range)?;
                    }
                }
                Ok(())
            }
            _ => Err(QueryError::execution("expected type range vector")),
        }
    }

    /// A function of each window of each series.
    fn over_time(
        &self,
        expression: &Expr,
        grid: Grid,
        function: impl Fn(&Window<'_>) -> Option<f64>,
    ) -> Result<Vec<Row<'h>>, QueryError> {
        let times: Vec<i64> = grid.times().collect();
        let mut rows = Vec::new();
        self.each_range(expression, grid, |labels, points, references, range| {
            self.budget.row(grid.count)?;
            let (mut begin, mut end, mut seen) = (0, 0, 0);
            let values: Vec<Option<f64>> = references
                .iter()
                .zip(&times)
                .enumerate()
                .map(|(step, (&to, &now))| {
                    let from = to.saturating_sub(range);
                    while points.get(begin).is_some_and(|point| point.at < from) {
                        begin += 1;
                    }
                    end = end.max(begin);
                    while points.get(end).is_some_and(|point| point.at <= to) {
                        end += 1;
                    }
                    let points = &points[begin..end];
                    seen += points.len();
                    if points.is_empty() { None } else { function(&Window { points, from, to, now, step }) }
                })
                .collect();
            self.budget.look(seen)?;
            rows.push(Row { labels, points: values });
            Ok(())
        })?;
        Ok(rows)
    }

    fn call(&self, call: &Call, grid: Grid) -> Result<Evaluated<'h>, QueryError> {
        let name = call.func.name;
        let arguments: Vec<&Expr> = call.args.args.iter().map(|argument| &**argument).collect();
        if let Some(function) = functions::plain(name) {
            let rows = self.vector(argument(&arguments, 0)?, grid)?;
            return functions::mapped(rows, |_, value| Some(function(value))).map(Evaluated::Vector);
        }
        if let Some(function) = functions::of_date(name) {
            let rows = match arguments.first() {
                Some(argument) => self.vector(argument, grid)?,
                None => vec![single(grid.times().map(seconds))],
            };
            return functions::mapped(rows, |_, value| Some(function(value))).map(Evaluated::Vector);
        }
        if let Some(function) = window_function(name) {
            let rows = self.over_time(argument(&arguments, 0)?, grid, function)?;
            let rows = if name == "last_over_time" { distinct(rows)? } else { functions::unnamed(rows)? };
            return Ok(Evaluated::Vector(rows));
        }
        let first = || argument(&arguments, 0);
        let rows = match name {
            "time" => return Ok(Evaluated::Scalar(grid.times().map(seconds).collect())),
            "pi" => return Ok(Evaluated::Scalar(vec![std::f64::consts::PI; grid.count])),
            "scalar" => {
                return Ok(Evaluated::Scalar(functions::scalar(&self.vector(first()?, grid)?, grid.count)));
            }
            "vector" => vec![single(self.scalar(first()?, grid)?.into_iter())],
            "timestamp" => self.timestamps(first()?, grid)?,
            "sort" | "sort_desc" => {
                let rows = self.vector(first()?, grid)?;
                if grid.count == 1 { functions::sorted(rows, name == "sort_desc") } else { rows }
            }
            "absent" => {
                let rows = self.vector(first()?, grid)?;
                functions::absent(absent_labels(first()?), &rows, grid.count)
            }
            "absent_over_time" => {
                let rows = self.over_time(first()?, grid, window::present)?;
                functions::absent(absent_labels(first()?), &rows, grid.count)
            }
            "quantile_over_time" => {
                let q = self.scalar(first()?, grid)?;
                let rows = self.over_time(argument(&arguments, 1)?, grid, |window| {
                    let mut values: Vec<f64> = window.points.iter().map(|point| point.value).collect();
                    Some(window::quantile(q[window.step], &mut values))
                })?;
                functions::unnamed(rows)?
            }
            "predict_linear" => {
                let after = self.scalar(argument(&arguments, 1)?, grid)?;
                let rows = self
                    .over_time(first()?, grid, |window| window::predict_linear(window, after[window.step]))?;
                functions::unnamed(rows)?
            }
            "histogram_quantile" => {
                let q = self.scalar(first()?, grid)?;
                distinct(histogram::quantiles(&q, self.vector(argument(&arguments, 1)?, grid)?))?
            }
            "clamp" | "clamp_min" | "clamp_max" => self.clamped(name, &arguments, grid)?,
            "round" => {
                let to = match arguments.get(1) {
                    Some(to) => self.scalar(to, grid)?,
                    None => vec![1.0; grid.count],
                };
                let rows = self.vector(first()?, grid)?;
                functions::mapped(rows, |step, value| Some(functions::rounded(value, to[step])))?
            }
            "label_replace" | "label_join" => self.relabelled(name, &arguments, grid)?,
            _ => return Err(QueryError::unsupported(&format!("the function {name}"))),
        };
        Ok(Evaluated::Vector(rows))
    }

    fn clamped(&self, name: &str, arguments: &[&Expr], grid: Grid) -> Result<Vec<Row<'h>>, QueryError> {
        let rows = self.vector(argument(arguments, 0)?, grid)?;
        let bound = self.scalar(argument(arguments, 1)?, grid)?;
        match name {
            "clamp_min" => functions::mapped(rows, |step, value| Some(functions::larger(bound[step], value))),
            "clamp_max" => {
                functions::mapped(rows, |step, value| Some(functions::smaller(bound[step], value)))
            }
            _ => {
                let most = self.scalar(argument(arguments, 2)?, grid)?;
                functions::mapped(rows, |step, value| {
                    let (least, most) = (bound[step], most[step]);
                    // No number is within bounds that are crossed.
                    let is_crossed = most < least;
                    (!is_crossed).then(|| functions::larger(least, functions::smaller(most, value)))
                })
            }
        }
    }

    fn relabelled(&self, name: &str, arguments: &[&Expr], grid: Grid) -> Result<Vec<Row<'h>>, QueryError> {
        let rows = self.vector(argument(arguments, 0)?, grid)?;
        let texts =
            arguments[1..].iter().map(|text| self.evaluate(text, grid)).collect::<Result<Vec<_>, _>>()?;
        let texts = texts.iter().map(functions::text).collect::<Result<Vec<&str>, _>>()?;
        match (name, texts.as_slice()) {
            ("label_replace", &[target, replacement, source, pattern]) => {
                functions::label_replace(rows, [target, replacement, source, pattern])
            }
            ("label_join", [target, separator, sources @ ..]) => {
                functions::label_join(rows, target, separator, sources)
            }
            _ => Err(QueryError::execution(format!("wrong number of arguments in call to {name}"))),
        }
    }

    /// When the samples of a selector were taken; for anything else, the times of the steps.
    fn timestamps(&self, expression: &Expr, grid: Grid) -> Result<Vec<Row<'h>>, QueryError> {
        let mut inner = expression;
        while let Expr::Paren(paren) = inner {
            inner = &paren.expr;
        }
        if let Expr::VectorSelector(selector) = inner {
            return functions::unnamed(self.instant(selector, grid, |(at, _)| seconds(at))?);
        }
        let times: Vec<i64> = grid.times().collect();
        functions::mapped(self.vector(expression, grid)?, |step, _| Some(seconds(times[step])))
    }
}

fn argument<'e>(arguments: &[&'e Expr], place: usize) -> Result<&'e Expr, QueryError> {
    arguments.get(place).copied().ok_or_else(|| QueryError::execution("an argument is missing"))
}

fn window_function(name: &str) -> Option<fn(&Window<'_>) -> Option<f64>> {
    Some(match name {
        "rate" => window::rate,
        "increase" => window::increase,
        "delta" => window::delta,
        "irate" => window::irate,
        "idelta" => window::idelta,
        "deriv" => window::deriv,
        "resets" => window::resets,
        "changes" => window::changes,
        "sum_over_time" => window::sum,
        "avg_over_time" => window::avg,
        "min_over_time" => window::min,
        "max_over_time" => window::max,
        "count_over_time" => window::count,
        "last_over_time" => window::last,
        "present_over_time" => window::present,
        "stddev_over_time" => window::stddev,
        "stdvar_over_time" => window::stdvar,
        _ => return None,
    })
}

/// The times of a subquery: multiples of its resolution.
fn subquery_grid(subquery: &SubqueryExpr, from: i64, to: i64) -> Grid {
    let step = subquery.step.map_or(RESOLUTION_MS, milliseconds).max(1);
    let start = from.div_euclid(step) * step;
    let start = if start < from { start + step } else { start };
    let count = if to < start { 0 } else { (to - start) / step + 1 };
    Grid { start, step, count: count as usize }
}

fn is_pattern(matcher: &Matcher) -> bool {
    matches!(matcher.op, MatchOp::Re(_) | MatchOp::NotRe(_))
}

/// The labels that a selector that finds nothing asked for.
fn absent_labels<'h>(expression: &Expr) -> Labels<'h> {
    let mut labels = Labels::default();
    let mut inner = expression;
    let selector = loop {
        match inner {
            Expr::Paren(paren) => inner = &paren.expr,
            Expr::VectorSelector(selector) => break selector,
            Expr::MatrixSelector(matrix) => break &matrix.vs,
            _ => return labels,
        }
    };
    let mut uncertain = Vec::new();
    for matcher in selector.matchers.matchers.iter().filter(|matcher| matcher.name != METRIC) {
        if matches!(matcher.op, MatchOp::Equal) && labels.value(&matcher.name).is_empty() {
            labels.set(&matcher.name, &matcher.value);
        } else {
            uncertain.push(&matcher.name);
        }
    }
    for name in uncertain {
        labels.set(name, "");
    }
    labels
}

fn single<'h>(values: impl Iterator<Item = f64>) -> Row<'h> {
    Row { labels: Labels::default(), points: values.map(Some).collect() }
}

/// What kind of value an expression has, as Prometheus calls it.
pub(crate) fn kind(expression: &Expr) -> &'static str {
    match expression.value_type() {
        ValueType::Scalar => "scalar",
        ValueType::Vector => "instant vector",
        ValueType::Matrix => "range vector",
        ValueType::String => "string",
    }
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

fn milliseconds(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
