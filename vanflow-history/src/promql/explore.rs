//! Which series and labels there are: what a client asks before it can write a query.

use std::collections::BTreeSet;

use percent_encoding::percent_decode_str;
use promql_parser::parser::VectorSelector;

use super::{
    budget::Budget,
    error::QueryError,
    eval::Evaluator,
    json::{Json, TRUNCATED, list, metric},
    parameters::{Parameters, parameter, time},
    parse::selector,
};
use crate::history::{Found, History};

/// The names of the labels of all series asked for.
pub(crate) fn labels(
    parameters: &Parameters,
    history: &History,
    budget: Budget<'_>,
) -> Result<Vec<u8>, QueryError> {
    let wanted = Wanted::new(parameters)?;
    let mut names = BTreeSet::new();
    wanted.each(history, budget, |found| names.extend(found.labels.iter().map(|&(name, _)| name)))?;
    Ok(answer(names.into_iter(), wanted.limit, |json, name| json.string(name)))
}

/// The values that a label has in the series asked for. `name` is as it is in a path.
pub(crate) fn label_values(
    name: &str,
    parameters: &Parameters,
    history: &History,
    budget: Budget<'_>,
) -> Result<Vec<u8>, QueryError> {
    let name = percent_decode_str(name).decode_utf8_lossy();
    if !is_label_name(&name) {
        return Err(QueryError::BadData(format!("invalid label name: {name:?}")));
    }
    let wanted = Wanted::new(parameters)?;
    let mut values = BTreeSet::new();
    wanted.each(history, budget, |found| {
        values.extend(found.labels.iter().filter(|(other, _)| *other == name).map(|&(_, value)| value));
    })?;
    Ok(answer(values.into_iter(), wanted.limit, |json, value| json.string(value)))
}

/// The labels of the series asked for.
pub(crate) fn series(
    parameters: &Parameters,
    history: &History,
    budget: Budget<'_>,
) -> Result<Vec<u8>, QueryError> {
    if parameters.values("match[]").next().is_none() {
        return Err(QueryError::BadData("no match[] parameter provided".to_owned()));
    }
    let wanted = Wanted::new(parameters).map_err(|error| match error {
        // Here, and not of labels, Prometheus names the parameter.
        QueryError::BadData(problem) => QueryError::Parameter { name: "match[]", problem },
        other => other,
    })?;
    let mut series = BTreeSet::new();
    wanted.each(history, budget, |found| {
        series.insert(found.labels);
    })?;
    Ok(answer(series.into_iter(), wanted.limit, metric))
}

/// Which series a question is about.
struct Wanted {
    /// None where it is about all.
    selectors: Option<Vec<VectorSelector>>,
    from_ms: i64,
    to_ms: i64,
    /// How many items the answer has at most; 0 where there is no limit.
    limit: usize,
}

impl Wanted {
    fn new(parameters: &Parameters) -> Result<Self, QueryError> {
        let bound = |name: &'static str, otherwise| match parameters.value(name) {
            Some(text) => time(name, text).map_err(|error| match error {
                QueryError::Parameter { problem, .. } => {
                    parameter(name, &format!("Invalid time value for '{name}': {problem}"))
                }
                other => other,
            }),
            None => Ok(otherwise),
        };
        let (from_ms, to_ms) = (bound("start", i64::MIN)?, bound("end", i64::MAX)?);
        let limit = parameters.value("limit").map_or(Ok(0), |text| match text.parse::<i64>() {
            Ok(limit) => usize::try_from(limit).map_err(|_| parameter("limit", "limit must be non-negative")),
            Err(_) => Err(parameter("limit", &format!("cannot parse {text:?} to a whole number"))),
        })?;
        let selectors = parameters.values("match[]").map(selector).collect::<Result<Vec<_>, _>>()?;
        let selectors = (!selectors.is_empty()).then_some(selectors);
        Ok(Self { selectors, from_ms, to_ms, limit })
    }

    /// Hands over each series that has a value in the time asked for; one that several selectors find, several times.
    fn each<'h>(
        &self,
        history: &'h History,
        budget: Budget<'_>,
        mut take: impl FnMut(Found<'h>),
    ) -> Result<(), QueryError> {
        let evaluator = Evaluator::new(history, (0, 0), budget);
        let mut keep = |found: Vec<Found<'h>>| {
            for found in found {
                evaluator.budget().look(1)?;
                if history.has_values(&found, self.from_ms, self.to_ms) {
                    take(found);
                }
            }
            Ok(())
        };
        let Some(selectors) = &self.selectors else {
            return keep(history.select(None, |_| true));
        };
        for selector in selectors {
            keep(evaluator.select(selector)?)?;
        }
        Ok(())
    }
}

/// Whether Prometheus takes it for the name of a label.
fn is_label_name(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

fn answer<T>(
    items: impl ExactSizeIterator<Item = T>,
    limit: usize,
    write: impl FnMut(&mut Json, T),
) -> Vec<u8> {
    let is_cut = limit > 0 && items.len() > limit;
    let mut json = Json::default();
    json.raw("{\"status\":\"success\",\"data\":");
    list(&mut json, items.take(if is_cut { limit } else { usize::MAX }), write);
    json.raw(if is_cut { TRUNCATED } else { "}" });
    json.bytes
}
