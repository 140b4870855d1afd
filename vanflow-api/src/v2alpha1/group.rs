//! Groups: what connections or requests that have the same values of some properties come to.
//!
//! `groupBy=routingKey&aggregate=count,sum(octetCount),p95(latency)` has a row for each routing key. Filters, state and
//! time range say what is counted; order and paging are those of the rows. Aggregates leave out what is not known, such
//! as a latency that no router reported. Percentiles are exact: the lowest value that is not exceeded by at least so
//! many in a hundred of the values; the values of a group are kept until it is done, eight octets each.
//!
//! [`Plan`](super::plan::Plan) finds the records; what a record has from its lane is looked up once a lane.

use std::{collections::HashMap, fmt, iter};

use vanflow_history::rows;

use crate::{
    error::{ApiError, excerpt},
    query::value::{Cell, Kind},
    v2alpha1::{
        query::{Direction, directed, no_property},
        schema::{Property, Schema},
        view::{Subject, View},
    },
};

/// By what to group, and what to say of each group.
#[derive(Debug)]
pub(crate) struct Grouping {
    pub(crate) keys: Vec<&'static Property>,
    aggregates: Vec<Aggregate>,
    /// The properties that aggregates are of, each once.
    pub(crate) measures: Vec<Measure>,
    /// The column that the rows are ordered by; by the keys where there is none.
    order: Option<(usize, Direction)>,
    /// The length in microseconds of the steps that are told apart, by when things ended; none where time makes no difference.
    pub(crate) step: Option<u64>,
    /// When things ended.
    end: &'static Property,
}

/// A number that is taken of each record.
#[derive(Debug)]
pub(crate) struct Measure {
    pub(crate) property: &'static Property,
    /// Whether that is known, where a property says so.
    known: Option<&'static Property>,
    /// Whether a percentile is asked for, for which all values are kept.
    pub(crate) is_kept: bool,
}

/// The column that says where a step begins.
pub(crate) const TIME: &str = "time";

/// One thing to say of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Aggregate {
    function: Function,
    /// The position of what it is of; none where it counts records.
    measure: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    Count,
    Sum,
    Min,
    Max,
    Percentile(u8),
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count => f.write_str("count"),
            Self::Sum => f.write_str("sum"),
            Self::Min => f.write_str("min"),
            Self::Max => f.write_str("max"),
            Self::Percentile(percent) => write!(f, "p{percent}"),
        }
    }
}

impl Function {
    fn of_name(name: &str) -> Option<Self> {
        let percent = || name.strip_prefix('p')?.parse().ok().filter(|percent| (1..=99).contains(percent));
        [Self::Sum, Self::Min, Self::Max]
            .into_iter()
            .find(|function| function.to_string() == name)
            .or_else(|| percent().map(Self::Percentile).filter(|function| function.to_string() == name))
    }

    /// Whether it can be said of a property.
    fn takes(self, property: &Property) -> bool {
        match self {
            Self::Count => false,
            // The sum of times is none.
            Self::Sum | Self::Percentile(_) => property.kind == Kind::Number,
            Self::Min | Self::Max => matches!(property.kind, Kind::Number | Kind::Instant),
        }
    }
}

/// The properties of a schema that aggregates can be of.
pub(crate) fn numbers(schema: &Schema) -> impl Iterator<Item = &'static Property> + use<> {
    schema.properties().filter(|property| property.kind == Kind::Number)
}

impl Grouping {
    /// Reads what to group by and what to say of each group, where one of both is asked for.
    ///
    /// # Errors
    ///
    /// Where they name what there is not.
    pub(crate) fn new(
        schema: &'static Schema,
        group_by: Option<&str>,
        aggregate: Option<&str>,
        order: Option<&str>,
        step: Option<u64>,
    ) -> Result<Option<Self>, ApiError> {
        if group_by.is_none() && aggregate.is_none() && step.is_none() {
            return Ok(None);
        }
        let end = schema.property("endTime").expect("all records have it");
        let mut grouping =
            Self { keys: Vec::new(), aggregates: Vec::new(), measures: Vec::new(), order: None, step, end };
        for name in group_by.into_iter().flat_map(|names| names.split(',')).map(str::trim) {
            let property = schema.property(name).ok_or_else(|| no_property("group by", name, schema))?;
            if !grouping.keys.iter().any(|key| key.name == property.name) {
                grouping.keys.push(property);
            }
        }
        for text in aggregate.unwrap_or("count").split(',').map(str::trim) {
            grouping.add(schema, text)?;
        }
        if let Some(order) = order {
            grouping.order = Some(grouping.ordered(order)?);
        }
        Ok(Some(grouping))
    }

    /// What it looks at of each record.
    pub(crate) fn looks_at(&self) -> impl Iterator<Item = &'static Property> {
        let measured =
            self.measures.iter().flat_map(|measure| iter::once(measure.property).chain(measure.known));
        self.keys.iter().copied().chain(measured)
    }

    /// Whether the least or the greatest of anything is asked for.
    pub(crate) fn has_bounds(&self) -> bool {
        self.aggregates.iter().any(|aggregate| matches!(aggregate.function, Function::Min | Function::Max))
    }

    /// Where the step begins in which something ended, where steps are told apart.
    pub(crate) fn begin<'v>(&self, view: View<'v>, subject: &Subject<'v>) -> Option<Cell<'static>> {
        self.step.map(|step| Cell::Number(self.end.number(view, subject) / step * step))
    }

    fn add(&mut self, schema: &'static Schema, text: &str) -> Result<(), ApiError> {
        let aggregate = if text == "count" {
            Aggregate { function: Function::Count, measure: None }
        } else {
            let found =
                text.strip_suffix(')').and_then(|text| text.split_once('(')).and_then(|(name, of)| {
                    let function = Function::of_name(name)?;
                    Some((function, schema.property(of).filter(|property| function.takes(property))?))
                });
            let (function, property) = found.ok_or_else(|| {
                let numbers: Vec<_> = numbers(schema).map(|property| property.name).collect();
                ApiError::Invalid {
                    parameter: "aggregate".to_owned(),
                    value: excerpt(text),
                    expected: format!(
                        "count, or sum, min, max or a percentile of a number, as in sum({number}) or p95({number}); \
                         numbers are {numbers}, and min and max are of times as well",
                        number = numbers.first().copied().unwrap_or("octetCount"),
                        numbers = numbers.join(", "),
                    ),
                }
            })?;
            Aggregate { function, measure: Some(self.measure(schema, property, function)) }
        };
        if !self.aggregates.contains(&aggregate) {
            self.aggregates.push(aggregate);
        }
        Ok(())
    }

    fn measure(&mut self, schema: &'static Schema, property: &'static Property, function: Function) -> usize {
        let is_kept = matches!(function, Function::Percentile(_));
        if let Some(at) = self.measures.iter().position(|measure| measure.property.name == property.name) {
            self.measures[at].is_kept |= is_kept;
            return at;
        }
        self.measures.push(Measure { property, known: schema.known(property), is_kept });
        self.measures.len() - 1
    }

    fn ordered(&self, order: &str) -> Result<(usize, Direction), ApiError> {
        let columns = self.columns();
        let found = directed(order).and_then(|(name, direction)| {
            Some((columns.iter().position(|column| column == name)?, direction))
        });
        found.ok_or_else(|| ApiError::Invalid {
            parameter: "sortBy".to_owned(),
            value: excerpt(order),
            expected: format!(
                "a column of the groups, a dot, and asc or desc; columns are {}",
                columns.join(", ")
            ),
        })
    }

    /// What the columns of the rows are called: the keys, and then the aggregates as they are asked for.
    pub(crate) fn columns(&self) -> Vec<String> {
        let aggregates = self.aggregates.iter().map(|aggregate| match aggregate.measure {
            Some(measure) => format!("{}({})", aggregate.function, self.measures[measure].property.name),
            None => aggregate.function.to_string(),
        });
        let time = self.step.map(|_| TIME.to_owned());
        time.into_iter().chain(self.keys.iter().map(|key| key.name.to_owned())).chain(aggregates).collect()
    }

    /// A group without anything in it.
    pub(crate) fn group(&self) -> Group {
        let tally = |measure: &Measure| Tally { values: measure.is_kept.then(Vec::new), ..Tally::default() };
        Group { records: 0, tallies: self.measures.iter().map(tally).collect() }
    }

    /// Counts something in its group.
    pub(crate) fn count<'v>(&self, groups: &mut Groups, view: View<'v>, subject: &Subject<'v>) {
        let keys = self.keys.iter().map(|property| property.of(view, subject).into_owned());
        let key = self.begin(view, subject).into_iter().chain(keys);
        let group = groups.entry(key.collect()).or_insert_with(|| self.group());
        group.add(|measure| self.measures[measure].of(view, subject));
    }

    /// Counts so many things that have in common what their group is known by; `number` says what they come to, by position.
    pub(crate) fn count_sum<'v>(
        &self,
        groups: &mut Groups,
        view: View<'v>,
        alike: &Subject<'v>,
        (begin, records): (u64, u64),
        number: impl Fn(usize) -> rows::Tally,
    ) {
        let tally = |at: usize| {
            let rows::Tally { sum, bounds } = number(at);
            Tally { sum, bounds, values: None }
        };
        let sum = Group { records, tallies: (0..self.measures.len()).map(tally).collect() };
        let keys = self.keys.iter().map(|property| property.of(view, alike).into_owned());
        let key = self.step.map(|_| Cell::Number(begin)).into_iter().chain(keys);
        groups.entry(key.collect()).or_insert_with(|| self.group()).merge(sum);
    }

    /// The rows of these groups, in order.
    pub(crate) fn rows(&self, groups: HashMap<Vec<Cell<'_>>, Group>) -> Vec<Vec<Cell<'static>>> {
        let mut rows: Vec<_> = groups.into_iter().map(|(key, group)| self.row(key, group)).collect();
        // There is one group without keys, also where nothing is in it.
        if rows.is_empty() && self.keys.is_empty() && self.step.is_none() {
            rows.push(self.row(Vec::new(), self.group()));
        }
        rows.sort_unstable_by(|left, right| {
            let by_column =
                self.order.map(|(column, direction)| direction.apply(left[column].cmp(&right[column])));
            by_column.unwrap_or(std::cmp::Ordering::Equal).then_with(|| left.cmp(right))
        });
        rows
    }

    fn row(&self, key: Vec<Cell<'_>>, mut group: Group) -> Vec<Cell<'static>> {
        let mut row: Vec<_> = key.into_iter().map(Cell::into_owned).collect();
        for aggregate in &self.aggregates {
            row.push(match aggregate.measure {
                Some(measure) => group.tallies[measure].value(aggregate.function),
                None => Cell::Number(group.records),
            });
        }
        row
    }
}

impl Measure {
    /// The number of a record, if it is known.
    pub(crate) fn of<'v>(&self, view: View<'v>, subject: &Subject<'v>) -> Option<u64> {
        let is_known = |known: &Property| known.of(view, subject) == Cell::Truth(true);
        if !self.known.is_none_or(is_known) {
            return None;
        }
        match self.property.of(view, subject) {
            // A time of 0 is one that is not known, or has not come.
            Cell::Number(0) if self.property.kind == Kind::Instant => None,
            Cell::Number(number) => Some(number),
            _ => None,
        }
    }
}

/// Groups, each by its key.
pub(crate) type Groups = HashMap<Vec<Cell<'static>>, Group>;

/// What some records come to.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) records: u64,
    tallies: Vec<Tally>,
}

/// What some numbers come to.
#[derive(Clone, Debug, Default)]
struct Tally {
    sum: u64,
    /// The lowest and the highest, where there is any.
    bounds: Option<(u64, u64)>,
    /// All of them, where they are asked for.
    values: Option<Vec<u64>>,
}

impl Group {
    /// Counts a record, of which `number` gives what is measured, by position.
    pub(crate) fn add(&mut self, number: impl Fn(usize) -> Option<u64>) {
        self.records += 1;
        for (position, tally) in self.tallies.iter_mut().enumerate() {
            if let Some(number) = number(position) {
                tally.add(number);
            }
        }
    }

    /// Counts all that is in another.
    pub(crate) fn merge(&mut self, other: Self) {
        self.records += other.records;
        for (tally, other) in self.tallies.iter_mut().zip(other.tallies) {
            tally.merge(other);
        }
    }
}

impl Tally {
    fn add(&mut self, number: u64) {
        self.sum = self.sum.saturating_add(number);
        let (lowest, highest) = self.bounds.unwrap_or((number, number));
        self.bounds = Some((lowest.min(number), highest.max(number)));
        if let Some(values) = &mut self.values {
            values.push(number);
        }
    }

    fn merge(&mut self, other: Self) {
        self.sum = self.sum.saturating_add(other.sum);
        self.bounds = match (self.bounds, other.bounds) {
            (Some((lowest, highest)), Some((low, high))) => Some((lowest.min(low), highest.max(high))),
            (own, other) => own.or(other),
        };
        if let (Some(values), Some(others)) = (&mut self.values, other.values) {
            values.extend(others);
        }
    }

    fn value(&mut self, function: Function) -> Cell<'static> {
        match function {
            Function::Count => Cell::Null,
            Function::Sum => Cell::Number(self.sum),
            Function::Min => Cell::number_or_null(self.bounds.map(|(lowest, _)| lowest)),
            Function::Max => Cell::number_or_null(self.bounds.map(|(_, highest)| highest)),
            Function::Percentile(percent) => {
                Cell::number_or_null(self.values.as_mut().and_then(|values| percentile(values, percent)))
            }
        }
    }
}

/// The value at the nearest rank; none of none.
fn percentile(values: &mut [u64], percent: u8) -> Option<u64> {
    let rank = (values.len() * usize::from(percent)).div_ceil(100);
    let position = rank.checked_sub(1)?;
    Some(*values.select_nth_unstable(position).1)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::v2alpha1::Collection;

    fn grouping(group_by: &str, aggregate: &str, order: &str) -> Result<Grouping, String> {
        let some = |text: &'static str| Some(text).filter(|text| !text.is_empty());
        let [group_by, aggregate, order] =
            [group_by, aggregate, order].map(|text| some(Box::leak(text.to_owned().into_boxed_str())));
        Grouping::new(Collection::Connections.schema(), group_by, aggregate, order, None)
            .map(|grouping| grouping.expect("something is asked for"))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn columns_are_the_keys_and_the_aggregates_as_they_were_asked_for() {
        for (group_by, aggregate, columns) in [
            ("routingKey", "", "routingKey count"),
            ("", "count", "count"),
            ("RoutingKey,routingKey, destSiteName", "count,count", "routingKey destSiteName count"),
            (
                "protocol",
                "p95(latency),sum(octetCount),max(endTime),count",
                "protocol p95(latency) sum(octetCount) max(endTime) count",
            ),
        ] {
            assert_eq!(grouping(group_by, aggregate, "").unwrap().columns().join(" "), columns);
        }
    }

    #[test]
    fn what_cannot_be_grouped_counted_or_ordered_is_refused() {
        for (group_by, aggregate, order, error) in [
            (
                "routinKey",
                "",
                "",
                "one cannot group by `routinKey`, which no Connection has; did you mean routingKey? it has",
            ),
            (
                "",
                "sum(octets)",
                "",
                "`aggregate` is `sum(octets)`, but must be count, or sum, min, max or a percentile",
            ),
            ("", "sum", "", "`aggregate` is `sum`, but must be"),
            ("", "p100(latency)", "", "`aggregate` is `p100(latency)`, but must be"),
            ("", "p095(latency)", "", "`aggregate` is `p095(latency)`, but must be"),
            ("", "count(latency)", "", "`aggregate` is `count(latency)`, but must be"),
            ("", "sum(endTime)", "", "`aggregate` is `sum(endTime)`, but must be"),
            ("", "max(protocol)", "", "`aggregate` is `max(protocol)`, but must be"),
            (
                "protocol",
                "sum(octetCount)",
                "octetCount.desc",
                "`sortBy` is `octetCount.desc`, but must be a column of the groups, a dot, and asc or desc; columns are \
                 protocol, sum(octetCount)",
            ),
            ("protocol", "", "count", "`sortBy` is `count`, but must be a column of the groups, a dot"),
        ] {
            let found = grouping(group_by, aggregate, order).unwrap_err();
            assert!(found.starts_with(error), "{found}");
        }
    }

    #[test]
    fn percentiles_are_values_at_the_nearest_rank() {
        let mut values: Vec<_> = (1..=20).rev().collect();
        for (percent, expected) in [(1, 1), (5, 1), (6, 2), (50, 10), (95, 19), (99, 20)] {
            assert_eq!(percentile(&mut values, percent), Some(expected), "p{percent}");
        }
        assert_eq!(percentile(&mut [7], 1), Some(7));
        assert_eq!(percentile(&mut [], 50), None);
    }

    proptest! {
        #[test]
        fn parts_merged_are_the_whole(parts in vec(vec(proptest::option::of(0..50_u64), 0..20), 0..6)) {
            let grouping =
                grouping("", "count,sum(latency),min(latency),max(latency),p50(latency)", "").unwrap();
            let group = |numbers: &[Option<u64>]| {
                let mut group = grouping.group();
                numbers.iter().for_each(|number| group.add(|_| *number));
                group
            };
            let mut merged = grouping.group();
            parts.iter().for_each(|part| merged.merge(group(part)));
            let whole = group(&parts.concat());
            prop_assert_eq!(grouping.row(Vec::new(), merged), grouping.row(Vec::new(), whole));
        }
    }
}
