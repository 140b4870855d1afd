//! Filters, time range, state, order, paging, properties and groups.
//!
//! The network observer passes over values that make no sense; here they are errors, which say what would.

use std::iter;

use vanflow_history::rows::{self, Is};
use vanflow_proto::Timestamp;
use vanflow_store::Snapshot;

use crate::{
    error::{ApiError, excerpt},
    query::{
        fields,
        filter::{Comparison, Condition, conditions, operand},
        nearest::suggestion,
        string::{Pair, pairs},
        time::{Time, duration},
        value::Cell,
    },
    v2alpha1::{
        best::Best,
        collection::{Collection, Item, Scope},
        group::{Grouping, Groups},
        plan::Plan,
        schema::{Property, Schema},
        view::{Subject, View},
    },
};

/// What is asked for of a collection.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) collection: Collection,
    /// When an item came to be, and when it went.
    start: &'static Property,
    end: &'static Property,
    pub(crate) filters: Vec<Filter>,
    /// Filters of several properties at a time.
    either: Vec<Either>,
    /// By identity where there is none.
    pub(crate) order: Option<Order>,
    state: State,
    range: Range,
    /// None where there is no limit.
    pub(crate) limit: Option<usize>,
    pub(crate) offset: usize,
    /// The key of the item after which the page begins, empty for the first page; none where pages are by number.
    pub(crate) after: Option<String>,
    /// Whether to go on after the list, where the client says so.
    pub(crate) watch: Option<bool>,
    /// The properties that are shown; none where all are.
    pub(crate) fields: Option<Vec<&'static Property>>,
    /// What is shown of groups of items in place of the items.
    pub(crate) grouping: Option<Grouping>,
}

/// A property, and what it may be.
#[derive(Debug)]
pub(crate) struct Filter {
    pub(crate) property: &'static Property,
    /// Whether the property is known, where another says so.
    known: Option<&'static Property>,
    condition: Condition,
}

impl Filter {
    /// Whether something passes.
    pub(crate) fn admits<'v>(&self, view: View<'v>, subject: &Subject<'v>) -> bool {
        self.admits_by(self.property, view, subject)
    }

    /// What it looks at.
    pub(crate) fn looks_at(&self) -> impl Iterator<Item = &'static Property> + use<> {
        iter::once(self.property).chain(self.known)
    }

    /// Whether something passes that has the property under another's name.
    pub(crate) fn admits_by<'v>(&self, property: &Property, view: View<'v>, subject: &Subject<'v>) -> bool {
        let is_known = self.known.map(|known| known.of(view, subject) == Cell::Truth(true));
        self.condition.admits(&property.of(view, subject), is_known)
    }
}

/// Properties of which any may be so, or none.
#[derive(Debug)]
pub(crate) struct Either {
    filters: Vec<Filter>,
    is_negated: bool,
}

/// What an item has to meet.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Test<'q> {
    One(&'q Filter),
    Either(&'q Either),
}

impl<'q> Test<'q> {
    pub(crate) fn filters(self) -> &'q [Filter] {
        match self {
            Self::One(filter) => std::slice::from_ref(filter),
            Self::Either(either) => &either.filters,
        }
    }

    /// Whether it is the same for all of a lane.
    pub(crate) fn is_of_lane(self) -> bool {
        self.filters().iter().all(|filter| filter.property.is_of_lane)
    }

    /// Whether something passes.
    pub(crate) fn admits<'v>(self, view: View<'v>, subject: &Subject<'v>) -> bool {
        self.passes(|filter| filter.admits(view, subject))
    }

    /// Whether something passes of which another says whether it passes a filter.
    pub(crate) fn passes(self, admits: impl FnMut(&Filter) -> bool) -> bool {
        match self {
            Self::One(_) | Self::Either(Either { is_negated: true, .. }) => self.filters().iter().all(admits),
            Self::Either(_) => self.filters().iter().any(admits),
        }
    }
}

/// By what items are put in order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub(crate) property: &'static Property,
    /// Whether the highest comes first.
    pub(crate) is_descending: bool,
}

/// Which part of a list is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page {
    pub(crate) offset: usize,
    /// None where there is no limit.
    pub(crate) limit: Option<usize>,
}

impl Page {
    /// How much of the list it takes to have it.
    pub(crate) fn end(self) -> usize {
        self.offset.saturating_add(self.limit.unwrap_or(usize::MAX))
    }
}

/// When items can have ended to be in a list, in microseconds, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EndBounds {
    /// Whether what has not ended can be in it.
    pub(crate) has_live: bool,
    /// None where nothing that has ended can be.
    pub(crate) ended: Option<(u64, u64)>,
    /// Whether all that can be is.
    pub(crate) is_exact: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing was said of it.
    Unsaid,
    All,
    Active,
    Terminated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Intersects,
    Contains,
    Within,
    /// What ended in it: not to be asked for, but what steps are of.
    Ended,
}

#[derive(Clone, Copy, Debug)]
struct Range {
    operation: Operation,
    start: Option<Time>,
    end: Option<Time>,
}

/// Which way an order goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Ascending,
    Descending,
}

impl Direction {
    pub(crate) fn apply(self, order: std::cmp::Ordering) -> std::cmp::Ordering {
        match self {
            Self::Ascending => order,
            Self::Descending => order.reverse(),
        }
    }
}

/// How far back a list goes where no time is given: 15 minutes, in microseconds.
const LOOK_BACK_MICROS: u64 = 15 * 60 * 1_000_000;

/// The parameters that are no filters.
pub(crate) const RESERVED: [&str; 13] = [
    "limit",
    "offset",
    AFTER,
    "sortBy",
    "state",
    "timeRangeStart",
    "timeRangeEnd",
    OPERATION,
    "fields",
    GROUP_BY,
    AGGREGATE,
    STEP,
    "watch",
];

pub(crate) const AFTER: &str = "after";

/// Any text of an item.
pub(crate) const SEARCH: &str = "search";

/// What stands between the names of properties of which any may be so.
const OR: char = '|';

pub(crate) const GROUP_BY: &str = "groupBy";
pub(crate) const AGGREGATE: &str = "aggregate";
pub(crate) const STEP: &str = "step";

/// The shortest step that groups are told apart by, in microseconds.
const LEAST_STEP: u64 = 1_000_000;

/// The values of `state`.
pub(crate) const STATES: [&str; 3] = ["all", "active", "terminated"];

const OPERATION: &str = "timeRangeOperation";

/// The values of `timeRangeOperation`.
pub(crate) const OPERATIONS: [&str; 3] = ["intersects", "contains", "within"];

/// The parameters of one request that are no filters, each once.
struct Given<'p, 'q>(&'p [Pair<'q>]);

impl<'p> Given<'p, '_> {
    fn text(&self, name: &'static str) -> Option<&'p str> {
        self.0.iter().find(|pair| pair.name == name).map(|pair| &*pair.value)
    }

    fn typed<T>(
        &self,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ApiError> {
        let Some(value) = self.text(name) else { return Ok(None) };
        read(value).map(Some).map_err(|expected| ApiError::Invalid {
            parameter: name.to_owned(),
            value: excerpt(value),
            expected,
        })
    }

    fn one_of<const N: usize>(
        &self,
        name: &'static str,
        known: [&'static str; N],
    ) -> Result<Option<&'static str>, ApiError> {
        self.typed(name, |value| {
            let found = known.iter().copied().find(|known| *known == value);
            found.ok_or_else(|| format!("one of {}", known.join(", ")))
        })
    }

    /// How many items, none where there is no limit: as the network observer has it, that is so below 0. More than
    /// there can be is as good as the most that there can be.
    fn size(&self, name: &'static str) -> Result<Option<usize>, ApiError> {
        let size = self.typed(name, |value| {
            let digits = value.strip_prefix('-').unwrap_or(value);
            if digits.is_empty() || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
                return Err("a whole number".to_owned());
            }
            Ok((digits.len() == value.len()).then(|| digits.parse().unwrap_or(usize::MAX)))
        })?;
        Ok(size.flatten())
    }
}

/// A name, a dot, and which way.
pub(crate) fn directed(text: &str) -> Option<(&str, Direction)> {
    let (name, direction) = text.rsplit_once('.')?;
    match direction {
        "asc" => Some((name, Direction::Ascending)),
        "desc" => Some((name, Direction::Descending)),
        _ => None,
    }
}

impl Query {
    /// Reads a query string, asked at that time.
    ///
    /// # Errors
    ///
    /// Where it names what there is not, or has a value that makes no sense.
    pub(crate) fn new(collection: Collection, text: Option<&str>, now: Timestamp) -> Result<Self, ApiError> {
        let schema = collection.schema();
        let pairs = pairs(text.unwrap_or(""))?;
        for &parameter in &RESERVED {
            if pairs.iter().filter(|pair| pair.name == parameter).nth(1).is_some() {
                return Err(ApiError::Repeated { parameter });
            }
        }
        let find = |name: &str| schema.property(name).ok_or_else(|| no_property("filter by", name, schema));
        let asked = pairs.iter().filter(|pair| !RESERVED.contains(&&*pair.name));
        let (of_several, of_one): (Vec<_>, Vec<_>) =
            asked.partition(|pair| pair.name.contains(OR) || operand(&pair.name).0 == SEARCH);
        let filters = filters_of(schema, of_one, find)?;
        let either = either(schema, &of_several, find)?;
        let given = Given(&pairs);
        let (group_by, aggregate) = (given.text(GROUP_BY), given.text(AGGREGATE));
        let step = given.typed(STEP, |value| {
            let step = duration(value).filter(|step| *step >= LEAST_STEP && step.is_multiple_of(LEAST_STEP));
            step.ok_or_else(|| "a time of whole seconds, as in 1m, 1h or 1d".to_owned())
        })?;
        if collection.flow_kind().is_none()
            && let Some(parameter) = [(group_by, GROUP_BY), (aggregate, AGGREGATE), (given.text(STEP), STEP)]
                .into_iter()
                .find_map(|(given, name)| given.map(|_| name))
        {
            return Err(ApiError::Misplaced { parameter, why: "is for lists of connections and requests" });
        }
        let grouping = Grouping::new(schema, group_by, aggregate, given.text("sortBy"), step)?;
        let order = if grouping.is_none() { order(schema, &given)? } else { None };
        let watch = given.typed("watch", |value| match value {
            "1" | "true" => Ok(true),
            "0" | "false" => Ok(false),
            _ => Err("1 or 0".to_owned()),
        })?;
        let property = |name: &str| schema.property(name).ok_or_else(|| no_property("show", name, schema));
        let fields = given
            .text("fields")
            .map(|text| fields::chosen(text, property, |property| property.name))
            .transpose()?;
        if grouping.is_some() && fields.is_some() {
            let why = "is for items; what groups show, groupBy and aggregate say";
            return Err(ApiError::Misplaced { parameter: "fields", why });
        }
        if grouping.is_some() && watch == Some(true) {
            return Err(ApiError::Misplaced {
                parameter: "watch",
                why: "is for items; groups cannot be followed",
            });
        }
        let after = given.text(AFTER);
        if after.is_some() && collection.flow_kind().is_none() {
            let why = "is for lists of connections and requests";
            return Err(ApiError::Misplaced { parameter: AFTER, why });
        }
        if after.is_some() && (grouping.is_some() || watch == Some(true)) {
            return Err(ApiError::Misplaced { parameter: AFTER, why: "is for pages of items" });
        }
        let time = |name| schema.property(name).expect("all records have these");
        let mut range = Range::new(&given, now)?;
        if step.is_some() {
            if given.text(OPERATION).is_some() {
                let why = "is not for steps, which are of what ended in the range";
                return Err(ApiError::Misplaced { parameter: OPERATION, why });
            }
            range.operation = Operation::Ended;
        }
        Ok(Self {
            collection,
            start: time("startTime"),
            end: time("endTime"),
            filters,
            either,
            order,
            state: match given.one_of("state", STATES)? {
                None => State::Unsaid,
                Some("active") => State::Active,
                Some("terminated") => State::Terminated,
                Some(_) => State::All,
            },
            range,
            limit: given.size("limit")?,
            offset: given.size("offset")?.unwrap_or(0),
            after: after.map(str::to_owned),
            watch,
            fields,
            grouping,
        })
    }

    /// All that was there between those times, in microseconds since the epoch.
    pub(crate) fn between(collection: Collection, from: u64, until: u64) -> Self {
        let time = |name| collection.schema().property(name).expect("all records have these");
        let range = Range {
            operation: Operation::Intersects,
            start: Some(Time::At(from)),
            end: Some(Time::At(until)),
        };
        Self {
            collection,
            start: time("startTime"),
            end: time("endTime"),
            filters: Vec::new(),
            either: Vec::new(),
            order: None,
            state: State::All,
            range,
            limit: None,
            offset: 0,
            after: None,
            watch: None,
            fields: None,
            grouping: None,
        }
    }

    /// What is asked for, in order, and how much there would be without paging.
    pub(crate) fn select(&self, view: View<'_>, scope: Scope) -> (Vec<Item>, usize) {
        self.select_page(view, scope, self.page())
    }

    /// The same, of another page.
    pub(crate) fn select_page(&self, view: View<'_>, scope: Scope, page: Page) -> (Vec<Item>, usize) {
        match Plan::new(self, view, scope) {
            Some(mut plan) => plan.select(page),
            None => self.scan(view, scope, page),
        }
    }

    /// Which part of the list is asked for.
    pub(crate) fn page(&self) -> Page {
        Page { offset: self.offset, limit: self.limit }
    }

    /// The same, by a look at each: of anything but connections and requests there are not that many.
    pub(crate) fn scan(&self, view: View<'_>, scope: Scope, page: Page) -> (Vec<Item>, usize) {
        let schema = self.collection.schema();
        let mut best = Best::new(page.end(), self.is_descending());
        self.each_listed(view, scope, |item, subject| {
            let key = self.order.map(|order| order.property.of(view, &subject));
            best.add(key, || schema.identity(view, &subject), item);
        });
        let total = best.total();
        (best.into_sorted(page.offset), total)
    }

    /// Gives each item of the list, in no order.
    pub(crate) fn each_listed<'v>(
        &self,
        view: View<'v>,
        scope: Scope,
        mut take: impl FnMut(Item, Subject<'v>),
    ) {
        for item in self.collection.items(view, scope, self.is_of_live()) {
            if let Some(subject) = self.collection.subject(view, item)
                && self.lists(view, &subject)
            {
                take(item, subject);
            }
        }
    }

    pub(crate) fn is_descending(&self) -> bool {
        self.order.is_some_and(|order| order.is_descending)
    }

    /// The rows of the groups that are asked for, without paging.
    pub(crate) fn groups(
        &self,
        view: View<'_>,
        scope: Scope,
        grouping: &Grouping,
    ) -> Vec<Vec<Cell<'static>>> {
        match Plan::new(self, view, scope) {
            Some(plan) => plan.groups(grouping),
            None => self.scan_groups(view, scope, grouping),
        }
    }

    /// The same, by a look at each.
    pub(crate) fn scan_groups(
        &self,
        view: View<'_>,
        scope: Scope,
        grouping: &Grouping,
    ) -> Vec<Vec<Cell<'static>>> {
        let mut groups = Groups::default();
        self.each_listed(view, scope, |_, subject| grouping.count(&mut groups, view, &subject));
        grouping.rows(groups)
    }

    /// Whether nothing that has ended can be in the list.
    fn is_of_live(&self) -> bool {
        match self.state {
            State::Active => true,
            State::Unsaid => self.hides_gone(),
            State::All | State::Terminated => false,
        }
    }

    /// Whether what is not there any more is left out, as nobody has asked for it. Pairs of a time that was asked for are
    /// those with traffic then, also of processes that have been replaced since.
    fn hides_gone(&self) -> bool {
        let is_of_a_time = self.collection.is_of_pairs() && self.range.is_asked_for();
        self.state == State::Unsaid && self.collection.hides_gone() && !is_of_a_time
    }

    /// What a list depends on of the time when it is asked for, if it does: two of them are the same where this is and
    /// nothing has changed or left.
    pub(crate) fn moment(&self, snapshot: &Snapshot) -> Option<u64> {
        let Range { operation, start, end } = self.range;
        let is_moving = match operation {
            Operation::Intersects => {
                start.is_none_or(Time::is_moving) && self.can_have_ended() || end.is_some_and(Time::is_moving)
            }
            Operation::Contains => start.is_none_or(Time::is_moving) || end.is_none_or(Time::is_moving),
            Operation::Within | Operation::Ended => {
                start.is_none_or(Time::is_moving) || end.is_some_and(Time::is_moving)
            }
        };
        // Of connections and requests it is known how many ended before the window: they leave it in that order.
        let ended = self.collection.flow_kind().map(|kind| snapshot.ended_by_time(kind));
        let left = ended
            .filter(|_| operation == Operation::Intersects && !end.is_some_and(Time::is_moving))
            .map(|ended| ended.rank(Timestamp::from_micros(self.range.from(snapshot.now()))) as u64);
        is_moving.then(|| left.unwrap_or_else(|| snapshot.now().as_micros()))
    }

    /// Whether something with an end can be in the list. A pair is there while both that it is between are, even if
    /// nothing goes between them any more.
    fn can_have_ended(&self) -> bool {
        !self.is_of_live() || self.state == State::Unsaid && self.collection.is_of_pairs()
    }

    /// Whether something is in the list.
    pub(crate) fn lists<'v>(&self, view: View<'v>, subject: &Subject<'v>) -> bool {
        !(self.hides_gone() && is_gone(subject, self.end_of(view, subject)))
            && self.is_in_time_of(view, subject)
            && self.admits(view, subject)
    }

    /// Whether something is in the state and range that is asked for.
    pub(crate) fn is_in_time_of<'v>(&self, view: View<'v>, subject: &Subject<'v>) -> bool {
        let (start, end) = (self.start.number(view, subject), self.end.number(view, subject));
        self.is_in_time(view.snapshot.now(), start, end)
    }

    /// Whether what started and ended then, 0 where it has not, is in the state and range that is asked for.
    pub(crate) fn is_in_time(&self, now: Timestamp, start: u64, end: u64) -> bool {
        let is_in_state = match self.state {
            State::Unsaid | State::All => true,
            State::Active => end == 0,
            State::Terminated => end != 0,
        };
        is_in_state && self.range.has(now, start, end)
    }

    /// What ends alone report [`Query::is_in_time`].
    pub(crate) fn window(&self, now: Timestamp) -> EndBounds {
        let Range { operation, end, .. } = self.range;
        let end = end.map(|end| end.micros(now));
        let (has_live, ended, is_exact) = match operation {
            Operation::Intersects => (true, (self.range.from(now), u64::MAX), end.is_none()),
            Operation::Contains => (true, (end.unwrap_or(now.as_micros()), u64::MAX), false),
            Operation::Within => (false, (0, end.unwrap_or(u64::MAX)), false),
            Operation::Ended => (false, (self.range.from(now).max(1), end.unwrap_or(u64::MAX)), true),
        };
        EndBounds {
            has_live: has_live && self.state != State::Terminated,
            ended: (self.state != State::Active).then_some(ended),
            is_exact,
        }
    }

    /// When what has ended can have ended to be in the list, in microseconds, both ends included.
    pub(crate) fn ends(&self, now: Timestamp) -> Option<(u64, u64)> {
        let (from, until) = self.window(now).ended?;
        // What ends before it begins is no case of its own.
        let is_within = self.range.operation == Operation::Within;
        Some((if is_within { self.range.from(now) } else { from }, until))
    }

    /// What rows of a history have that are in the list, beside when they ended.
    pub(crate) fn in_rows(&self, now: Timestamp) -> Vec<rows::Condition> {
        let filters = self.filters.iter().filter(|filter| filter.known.is_none());
        let conditions = filters.filter_map(|filter| {
            Some(rows::Condition { column: filter.property.name, is: filter.condition.in_rows()? })
        });
        let (from, until) = match self.range.operation {
            Operation::Intersects => (0, self.range.end.map_or(u64::MAX, |end| end.micros(now))),
            Operation::Contains => (0, self.range.from(now)),
            Operation::Within => (self.range.from(now), u64::MAX),
            Operation::Ended => (0, u64::MAX),
        };
        let start = rows::Condition { column: self.start.name, is: Is::Within(from, until) };
        conditions.chain((from > 0 || until < u64::MAX).then_some(start)).collect()
    }

    /// When the range ends that is asked for, in microseconds.
    pub(crate) fn until(&self, now: Timestamp) -> u64 {
        self.range.end.map_or(u64::MAX, |end| end.micros(now))
    }

    /// Of which time all that ended then is in the list, but for the filters.
    pub(crate) fn ended_within(&self, now: Timestamp) -> Option<rows::Span> {
        let is_all = matches!(self.range.operation, Operation::Intersects | Operation::Ended)
            && self.state != State::Active;
        let until = self.until(now);
        (is_all && !self.hides_gone()).then(|| rows::Span { from: self.range.from(now), until })
    }

    /// When something ended, 0 where it has not.
    pub(crate) fn end_of<'v>(&self, view: View<'v>, subject: &Subject<'v>) -> u64 {
        self.end.number(view, subject)
    }

    /// Whether something passes the filters.
    pub(crate) fn admits<'v>(&self, view: View<'v>, subject: &Subject<'v>) -> bool {
        self.tests().all(|test| test.admits(view, subject))
    }

    /// What items have to meet, all of it.
    pub(crate) fn tests(&self) -> impl Iterator<Item = Test<'_>> {
        self.filters.iter().map(Test::One).chain(self.either.iter().map(Test::Either))
    }
}

fn filters_of<'p, 'q: 'p>(
    schema: &'static Schema,
    pairs: impl IntoIterator<Item = &'p Pair<'q>>,
    find: impl Fn(&str) -> Result<&'static Property, ApiError>,
) -> Result<Vec<Filter>, ApiError> {
    let found = conditions(pairs, Comparison::Beginning, find, Property::filtered)?;
    let filter = |(property, condition)| Filter { property, known: schema.known(property), condition };
    Ok(found.into_iter().map(filter).collect())
}

/// Filters of several properties at a time: those that a parameter names, or all texts.
fn either(
    schema: &'static Schema,
    pairs: &[&Pair<'_>],
    find: impl Fn(&str) -> Result<&'static Property, ApiError>,
) -> Result<Vec<Either>, ApiError> {
    let mut found: Vec<Either> = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    for pair in pairs {
        let (name, is_negated) = operand(&pair.name);
        if name == SEARCH {
            // Several texts have to be there, each anywhere.
            let texts = schema.properties().filter(|property| property.kind.is_text());
            let filter = |property: &'static Property| Filter {
                property,
                known: None,
                condition: Condition::containing(property.kind, &pair.value, is_negated),
            };
            found.push(Either { filters: texts.map(filter).collect(), is_negated });
        } else if !names.contains(&&*pair.name) {
            names.push(&pair.name);
            let not = if is_negated { "!" } else { "" };
            let mut filters = Vec::new();
            for property in name.split(OR) {
                let own: Vec<_> = pairs
                    .iter()
                    .filter(|other| other.name == pair.name)
                    .map(|other| Pair { name: format!("{property}{not}").into(), ..(**other).clone() })
                    .collect();
                filters.extend(filters_of(schema, &own, &find)?);
            }
            found.push(Either { filters, is_negated });
        }
    }
    Ok(found)
}

/// A property that a schema does not have.
pub(crate) fn no_property(verb: &'static str, name: &str, schema: &'static Schema) -> ApiError {
    let known = || schema.properties().map(|property| property.name);
    let reserved = RESERVED.into_iter().chain([SEARCH]).filter(|_| verb == "filter by");
    let suggestion = suggestion(name, known().chain(reserved));
    let known = format!("{suggestion}it has {}", known().collect::<Vec<_>>().join(", "));
    ApiError::NoProperty { verb, name: excerpt(name), record: schema.name, known }
}

fn order(schema: &'static Schema, given: &Given<'_, '_>) -> Result<Option<Order>, ApiError> {
    let named = given.typed("sortBy", |value| {
        directed(value)
            .map(|(name, direction)| (name.to_owned(), direction))
            .ok_or_else(|| "a property, a dot, and asc or desc, as in startTime.desc".to_owned())
    })?;
    let Some((name, direction)) = named else { return Ok(None) };
    let property = schema.property(&name).ok_or_else(|| no_property("sort by", &name, schema))?;
    Ok(Some(Order { property, is_descending: direction == Direction::Descending }))
}

/// Whether it is not there any more, for those who ask what there is.
fn is_gone(subject: &Subject<'_>, end: u64) -> bool {
    match subject {
        // A pair is there for as long as both that it is between are.
        Subject::Pair(pair) => pair.is_gone,
        _ => end != 0,
    }
}

impl Range {
    fn new(given: &Given<'_, '_>, now: Timestamp) -> Result<Self, ApiError> {
        let (start, end) = ("timeRangeStart", "timeRangeEnd");
        let range = Self {
            operation: match given.one_of(OPERATION, OPERATIONS)? {
                Some("contains") => Operation::Contains,
                Some("within") => Operation::Within,
                _ => Operation::Intersects,
            },
            start: given.typed(start, Time::parse)?,
            end: given.typed(end, Time::parse)?,
        };
        if let (Some(from), Some(until)) = (range.start, range.end)
            && from.micros(now) > until.micros(now)
        {
            let text = |name| excerpt(given.text(name).unwrap_or_default());
            return Err(ApiError::Backwards {
                parameter: start,
                given: text(start),
                later: end,
                end: text(end),
            });
        }
        Ok(range)
    }

    fn is_asked_for(self) -> bool {
        self.start.is_some() || self.end.is_some()
    }

    fn from(self, now: Timestamp) -> u64 {
        self.start.map_or(now.as_micros().saturating_sub(LOOK_BACK_MICROS), |start| start.micros(now))
    }

    fn has(self, now: Timestamp, start: u64, end: u64) -> bool {
        let from = self.from(now);
        let until = self.end.map(|end| end.micros(now));
        let is_over_before = |time: u64| end != 0 && end < time;
        match self.operation {
            // Clocks of sources can be ahead of ours: unless somebody says when, nothing is too late to be shown.
            Operation::Intersects => !is_over_before(from) && start <= until.unwrap_or(u64::MAX),
            Operation::Contains => start <= from && !is_over_before(until.unwrap_or(now.as_micros())),
            Operation::Within => start >= from && end != 0 && end <= until.unwrap_or(u64::MAX),
            Operation::Ended => end != 0 && (from..=until.unwrap_or(u64::MAX)).contains(&end),
        }
    }
}
