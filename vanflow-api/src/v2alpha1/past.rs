//! Connections and requests that are not held any more: rows of a history, which have the properties that records had when
//! they ended.
//!
//! What rows look like follows from the tables of properties: a property that is added there is a column of new rows.

mod order;

use std::{borrow::Cow, collections::HashMap, iter, ops::ControlFlow};

use vanflow_history::rows::{
    Column, ColumnKind, Condition, Held, Is, Part, Row, Rows, Span, Summed, Summing, Sums, Table,
    UnreadableRows, Value, Wanted,
};
use vanflow_store::{FlowKind, Snapshot, Text};

pub(crate) use self::order::{ByTime, Window, time_of};
use crate::{
    error::ApiError,
    v1::events,
    v2alpha1::{
        best::Best,
        collection::{Collection, Item, Scope},
        group::{Grouping, Groups, Measure, numbers},
        party::Party,
        query::{Filter, Page, Query, Test},
        schema::{Cell, Kind, Presence, Property, Schema, UNKNOWN},
        view::{Subject, View},
    },
};

/// The collections of which there are rows, each with the table of them.
pub(crate) const KEPT: [(Collection, FlowKind, &str); 2] = [
    (Collection::Connections, FlowKind::Connection, "connections"),
    (Collection::ApplicationFlows, FlowKind::Request, "requests"),
];

/// What rows of connections and requests look like: a column for each property of `/api/v2alpha1`, and some more.
pub fn tables() -> Vec<Table> {
    KEPT.iter().map(|(collection, _, name)| table(name, collection.schema())).collect()
}

/// What all rows of a history look like: those of connections and requests, and those of events.
pub fn history_tables() -> Vec<Table> {
    tables().into_iter().chain([events::table()]).collect()
}

/// The position of events among [`history_tables`].
pub(crate) const EVENTS: usize = KEPT.len();

/// As many lists as a page has are put in order by these: rows of a service lie together.
const ORDER: [&str; 3] = ["routingKey", "sourceSiteName", "destSiteName"];

/// What rows have beside the properties, after them: who is not held any more cannot be asked for its component.
const BESIDE: [&str; 2] = ["sourceComponentName", "destComponentName"];

/// How many earlier rows of the same key a row is in place of, after all others: ends that were presumed as a source fell silent,
/// of what went on when it came back.
const REPLACES: &str = "replaces";

/// Whose network it was, and which source reported it, after that: with identity and start that is what it is for ever, wherever
/// rows of others are beside it.
pub(crate) const NETWORK: Column = Column { name: "network", kind: ColumnKind::Text };
const SOURCE: Column = Column { name: "source", kind: ColumnKind::Text };

fn table(name: &'static str, schema: &'static Schema) -> Table {
    let column = |property: &Property| Column {
        name: property.name,
        kind: match property.kind {
            Kind::Text | Kind::OneOf(_) => ColumnKind::Text,
            Kind::Texts | Kind::Parted => ColumnKind::Texts,
            Kind::Instant => ColumnKind::Instant,
            Kind::Number => ColumnKind::Number,
            Kind::Truth => ColumnKind::Truth,
        },
    };
    let position = |name| schema.position(name).expect("all records have these");
    let beside = BESIDE.map(|name| Column { name, kind: ColumnKind::Text });
    let replaces = Column { name: REPLACES, kind: ColumnKind::Number };
    Table {
        name,
        columns: schema.properties().map(column).chain(beside).chain([replaces, NETWORK, SOURCE]).collect(),
        key: position("key"),
        identity: position("identity"),
        end: position("endTime"),
        order: ORDER.into_iter().filter_map(|name| schema.position(name)).collect(),
        sums: sums(schema),
    }
}

/// What is summed up: numbers, by what connections between the same ends have in common and by how they went. Clients from
/// outside have an address each.
fn sums(schema: &'static Schema) -> Sums {
    const BESIDE_LANES: [&str; 6] =
        ["routingKey", "protocol", "listenerError", "connectorError", "method", "status"];
    let is_key = |property: &&Property| {
        property.kind == Kind::Text
            && (property.is_of_lane && property.name != "sourceHost" || BESIDE_LANES.contains(&property.name))
    };
    let position = |property: &Property| schema.position(property.name);
    let summed = |property: &'static Property| {
        let known = schema.known(property).and_then(position);
        Some(Summed { column: position(property)?, known })
    };
    Sums {
        keys: schema.properties().filter(is_key).filter_map(position).collect(),
        numbers: numbers(schema).filter_map(summed).collect(),
        start: schema.position("startTime"),
        replaces: Some(schema.properties().count() + BESIDE.len()),
    }
}

/// The row of what has ended as a source reported it, in place of an earlier one or not. Whose network it was others know.
pub(crate) fn row<'v>(
    schema: &'static Schema,
    view: View<'v>,
    subject: &Subject<'v>,
    source: Option<&str>,
    replaces: bool,
) -> Row {
    let value = |property: &Property| match property.of(view, subject) {
        Cell::Absent | Cell::Null => Value::None,
        Cell::Number(number) => Value::Number(number),
        Cell::Truth(truth) => Value::Truth(truth),
        Cell::Text(text) => Value::Text(text.into()),
        Cell::Texts(texts) => Value::Texts(texts.into_iter().map(Into::into).collect()),
    };
    let beside =
        components(view, subject).map(|name| name.map_or(Value::None, |name| Value::Text(name.into())));
    let replaces = if replaces { Value::Number(1) } else { Value::None };
    let source = source.map_or(Value::None, |source| Value::Text(source.into()));
    let after = [replaces, Value::None, source];
    Row { values: schema.properties().map(value).chain(beside).chain(after).collect() }
}

/// The names of the components at both ends.
fn components<'v>(view: View<'v>, subject: &Subject<'v>) -> [Option<Cow<'v, str>>; 2] {
    let flow = match subject {
        Subject::Flow(flow) => Some(flow),
        Subject::Request(request) => request.connection.as_ref(),
        Subject::Past(past) => {
            let values = past.row.values.get(past.schema.properties().count()..).unwrap_or_default();
            return [0, 1].map(|at| match values.get(at) {
                Some(Value::Text(name)) => Some(Cow::Borrowed(&**name)),
                _ => None,
            });
        }
        _ => None,
    };
    let ends = [flow.and_then(|flow| flow.source(view)), flow.and_then(|flow| flow.destination(view))];
    ends.map(|party| party.map(Party::group))
}

/// What a collection had with that key or identity, where there are rows of it.
pub(crate) fn find(
    rows: &dyn Rows,
    collection: Collection,
    id: &str,
) -> Result<Option<Listed>, UnreadableRows> {
    let Some((.., table)) = KEPT.into_iter().find(|(kept, ..)| *kept == collection) else { return Ok(None) };
    Ok(rows.find(table, id)?.map(Listed::Past))
}

/// How much there is of what is kept, by the names of the tables.
pub(crate) fn held(rows: &dyn Rows) -> Vec<(&'static str, Held)> {
    let names = KEPT.into_iter().map(|(.., table)| table).chain([events::NAME]);
    names.map(|table| (table, rows.held(table))).collect()
}

/// A row of a collection.
#[derive(Debug)]
pub(crate) struct Past<'v> {
    pub(crate) schema: &'static Schema,
    pub(crate) row: &'v Row,
}

impl<'v> Past<'v> {
    /// What a property of it was. One that there was not yet when the row was kept is not known.
    pub(crate) fn cell(&self, property: &Property) -> Cell<'v> {
        match self.value(property.name) {
            Value::None => match (property.presence, property.kind) {
                (Presence::Nullable | Presence::Optional, _) => Cell::Null,
                (Presence::Always, Kind::Instant | Kind::Number) => Cell::Number(0),
                (Presence::Always, Kind::Truth) => Cell::Truth(false),
                (Presence::Always, Kind::Texts | Kind::Parted) => Cell::Texts(Vec::new()),
                (Presence::Always, Kind::Text | Kind::OneOf(_)) => Cell::text(UNKNOWN),
            },
            Value::Number(number) => Cell::Number(*number),
            Value::Truth(truth) => Cell::Truth(*truth),
            Value::Text(text) => Cell::text(&**text),
            Value::Texts(texts) => Cell::Texts(texts.iter().map(|text| (&**text).into()).collect()),
        }
    }

    /// A property that is a text; an empty one where it was not known.
    fn text(&self, name: &str) -> &'v str {
        match self.value(name) {
            Value::Text(text) => text,
            _ => "",
        }
    }

    fn value(&self, name: &str) -> &'v Value {
        self.schema.position(name).and_then(|at| self.row.values.get(at)).unwrap_or(&Value::None)
    }
}

/// Something of a list: held, or a row of the history.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Listed {
    Held(Item),
    Past(Row),
}

impl Listed {
    /// What it is.
    pub(crate) fn subject<'v>(&'v self, view: View<'v>, collection: Collection) -> Option<Subject<'v>> {
        match self {
            Self::Held(item) => collection.subject(view, *item),
            Self::Past(row) => Some(Subject::Past(Past { schema: collection.schema(), row })),
        }
    }
}

/// Of which time all that ended is in an answer, in microseconds, where that is not what was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answered {
    pub(crate) from: Option<u64>,
    pub(crate) until: Option<u64>,
}

impl Answered {
    /// The same by name, in JSON and in headers.
    pub(crate) fn named(self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let named = [
            ("answeredFrom", "vanflow-answered-from", self.from),
            ("answeredUntil", "vanflow-answered-until", self.until),
        ];
        named.into_iter().filter_map(|(member, header, time)| Some((member, header, time?)))
    }
}

/// Rows of a collection, and the time of which there are some that are not held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before<'r> {
    rows: &'r dyn Rows,
    table: &'static str,
    span: Span,
    /// How many rows are in memory at a time.
    most: usize,
}

/// How many rows a list has that are not held any more, unless options say something else: what they take is some 100 MB.
pub(crate) const MOST_ROWS: usize = 50_000;

/// How many groups there can be for each row that there can be, and how many numbers of which percentiles are taken.
const GROUPS_FOR_A_ROW: usize = 4;
const NUMBERS_FOR_A_ROW: usize = 320;

impl<'r> Before<'r> {
    /// What a query has to ask of a history beside what is held; none where all that can be in its answer is.
    pub(crate) fn new(rows: &'r dyn Rows, query: &Query, snapshot: &Snapshot, most: usize) -> Option<Self> {
        let (.., table) = KEPT.into_iter().find(|(kept, ..)| *kept == query.collection)?;
        let (from, until) = query.ends(snapshot.now())?;
        let gone = snapshot.flows_evicted_until().as_micros().max(rows.inherited_until());
        (from <= gone).then_some(Self { rows, table, span: Span { from, until }, most })
    }

    /// Gives each row that a query lists and that is not held.
    pub(crate) fn each(
        self,
        query: &Query,
        view: View<'_>,
        scope: Scope,
        columns: Option<Vec<&'static str>>,
        mut take: impl FnMut(Row) -> ControlFlow<()>,
    ) -> Result<(), UnreadableRows> {
        let Some(its) = Its::new(view, scope) else { return Ok(()) };
        let replaced = self.replaced()?;
        let mut wanted = self.wanted(query, view, &its);
        wanted.columns = columns;
        self.rows.visit(&wanted, &mut |row| match self.lists(query, view, &its, &row)
            && !is_replaced(query, &replaced, &row)
        {
            true => take(row),
            false => ControlFlow::Continue(()),
        })
    }

    /// When what is in place of earlier rows ended, by key: all of it that can be in place of one that is looked for.
    fn replaced(&self) -> Result<HashMap<String, u64>, UnreadableRows> {
        let mut replaced: HashMap<String, u64> = HashMap::new();
        let Some(table) = tables().into_iter().find(|table| table.name == self.table) else {
            return Ok(replaced);
        };
        let span = Span { from: self.span.from, until: u64::MAX };
        let replaces = Condition { column: REPLACES, is: Is::Within(1, u64::MAX) };
        let columns = ["key", "endTime", REPLACES];
        let wanted = Wanted::all(self.table, span).with(replaces).of_columns(columns.to_vec());
        let column = table.column(REPLACES);
        self.rows.visit(&wanted, &mut |row| {
            // Whoever has rows can give others, too.
            if column.is_some_and(|at| matches!(row.values.get(at), Some(Value::Number(1..)))) {
                let end = replaced.entry(table.key(&row).to_owned()).or_default();
                *end = table.end(&row).max(*end);
            }
            ControlFlow::Continue(())
        })?;
        Ok(replaced)
    }

    /// The same, where sums will do in place of rows that ended within `whole`.
    fn each_part(
        self,
        query: &Query,
        view: View<'_>,
        scope: Scope,
        (summing, columns): (Summing, Vec<&'static str>),
        mut take: impl FnMut(Part) -> ControlFlow<()>,
    ) -> Result<Span, UnreadableRows> {
        let schema = query.collection.schema();
        let asked = Span { from: self.span.from, until: summing.whole.until };
        let Some(its) = Its::new(view, scope) else { return Ok(asked) };
        let replaced = self.replaced()?;
        let mut wanted = self.wanted(query, view, &its);
        wanted.columns = Some(columns);
        self.rows.visit_sums(&wanted, &summing, &mut |part| {
            let is_listed = match &part {
                Part::Row(row) => self.lists(query, view, &its, row) && !is_replaced(query, &replaced, row),
                Part::Sum(sum) => {
                    let alike = Past { schema, row: &sum.alike };
                    its.has(&alike) && query.admits(view, &Subject::Past(alike))
                }
            };
            if is_listed { take(part) } else { ControlFlow::Continue(()) }
        })
    }

    /// Of which time all that is in the answer ended, where rows are needed for that: some may be gone.
    pub(crate) fn answered(self) -> Answered {
        let from = self.rows.since(self.table);
        Answered { from: (self.span.from < from).then_some(from), until: None }
    }

    fn wanted(&self, query: &Query, view: View<'_>, its: &Its<'_>) -> Wanted<'r> {
        let mut wanted = Wanted::all(self.table, self.span);
        wanted.conditions = query.in_rows(view.snapshot.now());
        if let Some((address, protocol)) = &its.0 {
            let is = |column, text: &str| Condition { column, is: Is::OneOf(vec![text.into()]) };
            let known = [("routingKey", Some(address)), ("protocol", protocol.as_ref())];
            // What is not known is no text in a row.
            let known = known.into_iter().filter_map(|(column, text)| Some((column, text?)));
            let known = known.filter(|(_, text)| !text.is_empty());
            wanted.conditions.extend(known.map(|(column, text)| is(column, text)));
        }
        wanted
    }

    fn lists(&self, query: &Query, view: View<'_>, its: &Its<'_>, row: &Row) -> bool {
        let past = Past { schema: query.collection.schema(), row };
        its.has(&past)
            && query.collection.find(view, past.text("key")).is_none()
            && query.lists(view, &Subject::Past(past))
    }

    /// Of which time sums will do, and which number of theirs each measure is: all that ended then is in the list, as far as
    /// what it has in common with others says, and none of it is held.
    fn whole(&self, query: &Query, snapshot: &Snapshot, grouping: &Grouping) -> Option<(Vec<usize>, Span)> {
        let sums = sums(query.collection.schema());
        let position = |property: &Property| query.collection.schema().position(property.name);
        let number = |measure: &Measure| {
            let column = position(measure.property)?;
            sums.numbers.iter().position(|summed| summed.column == column && !measure.is_kept)
        };
        let summed = grouping.measures.iter().map(number).collect::<Option<_>>()?;
        let whole = self.whole_of(query, snapshot, filtered(query).chain(grouping.keys.iter().copied()))?;
        Some((summed, whole))
    }

    /// The same for what looks at these alone.
    fn whole_of(
        &self,
        query: &Query,
        snapshot: &Snapshot,
        mut looked_at: impl Iterator<Item = &'static Property>,
    ) -> Option<Span> {
        let sums = sums(query.collection.schema());
        let position = |property: &Property| query.collection.schema().position(property.name);
        let is_key = |property: &Property| position(property).is_some_and(|at| sums.keys.contains(&at));
        if !looked_at.all(is_key) {
            return None;
        }
        let (.., kind, _) = KEPT.into_iter().find(|(kept, ..)| *kept == query.collection)?;
        let mut whole = query.ended_within(snapshot.now())?;
        let ended = snapshot.ended_by_time(kind);
        if let Some(first) = ended.range(0..ended.len().min(1)).next() {
            whole.until = whole.until.min(first.end()?.as_micros().checked_sub(1)?);
        }
        Some(whole)
    }

    /// A page of what is held and of what is not any more, in order, and how much there would be without paging.
    pub(crate) fn select(
        self,
        query: &Query,
        view: View<'_>,
        scope: Scope,
    ) -> Result<(Vec<Listed>, usize), ApiError> {
        let schema = query.collection.schema();
        let page = Page { offset: 0, limit: Some(query.page().end()) };
        let mut best = Best::new(page.end(), query.is_descending());
        let (held, total) = query.select_page(view, scope, page);
        for item in &held {
            if let Some(subject) = query.collection.subject(view, *item) {
                let (key, identity) = place(query, view, &subject);
                best.add(key, || identity, Listed::Held(*item));
            }
        }
        let is_bounded = self.has_room(page.end());
        if is_bounded
            && let Some(order) = ByTime::of(query)
            && let Some(count) = self.count(query, view, scope).map_err(ApiError::History)?
        {
            let fill = |window| match window {
                Window::Row(row) => {
                    let (key, identity) = place(query, view, &Subject::Past(Past { schema, row: &row }));
                    best.add(key, || identity, Listed::Past(row));
                    ControlFlow::Continue(())
                }
                Window::Until(edge) => order.has_enough(best.last(), edge),
            };
            if page.end() > 0 {
                self.each_in_order(query, view, scope, (order, None), fill).map_err(ApiError::History)?;
            }
            return Ok((best.into_sorted(query.offset), total + count));
        }
        let mut past = 0;
        // Where none is shown they are only counted.
        let columns = (page.end() == 0).then(|| looked_at(query, iter::empty()));
        self.each(query, view, scope, columns, |row| {
            past += 1;
            let (key, identity) = place(query, view, &Subject::Past(Past { schema, row: &row }));
            best.add(key, || identity, Listed::Past(row));
            self.goes_on(is_bounded || self.has_room(past))
        })
        .map_err(ApiError::History)?;
        self.fits(is_bounded || self.has_room(past), self.table)?;
        Ok((best.into_sorted(query.offset), total + past))
    }

    pub(crate) fn goes_on(self, is_room: bool) -> ControlFlow<()> {
        if is_room { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    /// The name of the table.
    pub(crate) fn table(self) -> &'static str {
        self.table
    }

    /// Whether so many rows can be in memory.
    pub(crate) fn has_room(self, count: usize) -> bool {
        count <= self.most
    }

    /// An error where what an answer needs does not fit in memory.
    pub(crate) fn fits(self, is_room: bool, what: &'static str) -> Result<(), ApiError> {
        if is_room { Ok(()) } else { Err(ApiError::TooMuch { most: self.most, what }) }
    }

    /// The rows of groups of what is held and of what is not any more.
    pub(crate) fn groups(
        self,
        query: &Query,
        view: View<'_>,
        scope: Scope,
        grouping: &Grouping,
    ) -> Result<(Vec<Vec<Cell<'static>>>, Answered), ApiError> {
        let schema = query.collection.schema();
        let mut groups = Groups::default();
        query.each_listed(view, scope, |_, subject| grouping.count(&mut groups, view, &subject));
        let kept = grouping.measures.iter().filter(|measure| measure.is_kept).count();
        let mut numbers = 0;
        let mut is_room = |groups: &Groups, rows: usize| {
            numbers += kept * rows;
            groups.len() / GROUPS_FOR_A_ROW <= self.most && numbers / NUMBERS_FOR_A_ROW <= self.most
        };
        let columns = looked_at(query, grouping.looks_at());
        if let Some((summed, whole)) = self.whole(query, view.snapshot, grouping) {
            let count = |groups: &mut Groups, part: Part| match part {
                Part::Row(row) => {
                    grouping.count(groups, view, &Subject::Past(Past { schema, row: &row }));
                }
                Part::Sum(sum) => {
                    let number = |measure: usize| sum.numbers[summed[measure]];
                    let alike = Subject::Past(Past { schema, row: &sum.alike });
                    grouping.count_sum(groups, view, &alike, (sum.begin, sum.rows), number);
                }
            };
            let summing = Summing { whole, step: grouping.step, has_bounds: grouping.has_bounds() };
            let given = self
                .each_part(query, view, scope, (summing, columns), |part| {
                    count(&mut groups, part);
                    self.goes_on(is_room(&groups, 0))
                })
                .map_err(ApiError::History)?;
            self.fits(is_room(&groups, 0), "groups")?;
            let differs = |given: u64, asked: u64| (given != asked).then_some(given);
            let answered = Answered {
                from: differs(given.from, self.span.from),
                until: differs(given.until, whole.until),
            };
            return Ok((grouping.rows(groups), answered));
        }
        self.each(query, view, scope, Some(columns), |row| {
            grouping.count(&mut groups, view, &Subject::Past(Past { schema, row: &row }));
            self.goes_on(is_room(&groups, 1))
        })
        .map_err(ApiError::History)?;
        self.fits(is_room(&groups, 0), "groups, or numbers that percentiles are taken of,")?;
        Ok((grouping.rows(groups), self.answered()))
    }
}

/// What a connection or request was, whoever has it: the records that are held, or the history.
#[derive(Clone, Debug)]
pub(crate) struct Passed<'p> {
    /// In microseconds since the epoch; 0 where it is not known.
    pub(crate) start: u64,
    /// 0 while it is open.
    pub(crate) end: u64,
    /// From client to server, and back.
    pub(crate) octets: [u64; 2],
    pub(crate) source: PassedEnd<'p>,
    pub(crate) destination: PassedEnd<'p>,
    pub(crate) address: Cow<'p, str>,
    /// What the listener and the connector say went wrong.
    pub(crate) errors: [Option<Cow<'p, str>>; 2],
    /// Of a request; empty where there is none.
    pub(crate) status: Cow<'p, str>,
}

/// One of both ends.
#[derive(Clone, Debug)]
pub(crate) struct PassedEnd<'p> {
    pub(crate) site_id: Cow<'p, str>,
    pub(crate) site_name: Cow<'p, str>,
    pub(crate) process_id: Cow<'p, str>,
    pub(crate) process_name: Cow<'p, str>,
    pub(crate) component: Cow<'p, str>,
}

/// Gives each connection, or each request, that was there between those times, in microseconds, once. Stops where nobody
/// waits for it any more.
pub(crate) fn each_passed(
    rows: &dyn Rows,
    view: View<'_>,
    collection: Collection,
    (from, until): (u64, u64),
    mut take: impl FnMut(&Passed<'_>),
) -> Result<(), UnreadableRows> {
    const COLUMNS: [&str; 20] = [
        "key",
        "identity",
        "startTime",
        "endTime",
        "octetCount",
        "octetReverseCount",
        "sourceSiteId",
        "sourceSiteName",
        "sourceProcessId",
        "sourceProcessName",
        BESIDE[0],
        "destSiteId",
        "destSiteName",
        "destProcessId",
        "destProcessName",
        BESIDE[1],
        "routingKey",
        "listenerError",
        "connectorError",
        "status",
    ];
    let query = Query::between(collection, from, until);
    query.each_listed(view, Scope::All, |_, subject| take(&passed(collection.schema(), view, &subject)));
    let Some(before) = Before::new(rows, &query, view.snapshot, MOST_ROWS) else { return Ok(()) };
    before.each(&query, view, Scope::All, Some(COLUMNS.to_vec()), |row| {
        let subject = Subject::Past(Past { schema: collection.schema(), row: &row });
        take(&passed(collection.schema(), view, &subject));
        ControlFlow::Continue(())
    })
}

fn passed<'v>(schema: &'static Schema, view: View<'v>, subject: &Subject<'v>) -> Passed<'v> {
    let cell = |name: &'static str| {
        schema.property(name).map_or(Cell::Absent, |property| property.of(view, subject))
    };
    let number = |name: &'static str| if let Cell::Number(number) = cell(name) { number } else { 0 };
    let known = |name: &'static str| if let Cell::Text(text) = cell(name) { Some(text) } else { None };
    let text = |name: &'static str| known(name).unwrap_or_default();
    let [source, destination] = components(view, subject);
    let end = |[site_id, site_name, process_id, process_name]: [&'static str; 4],
               component: Option<Cow<'v, str>>| {
        let process_name = text(process_name);
        PassedEnd {
            site_id: text(site_id),
            site_name: text(site_name),
            process_id: text(process_id),
            // Of a process without a group it is the name, and rows had none before they had components.
            component: component.unwrap_or_else(|| process_name.clone()),
            process_name,
        }
    };
    Passed {
        start: number("startTime"),
        end: number("endTime"),
        octets: [number("octetCount"), number("octetReverseCount")],
        source: end(["sourceSiteId", "sourceSiteName", "sourceProcessId", "sourceProcessName"], source),
        destination: end(["destSiteId", "destSiteName", "destProcessId", "destProcessName"], destination),
        address: text("routingKey"),
        errors: [known("listenerError"), known("connectorError")],
        status: text("status"),
    }
}

/// The columns that say whether a row is in a list, and others.
fn looked_at(query: &Query, others: impl Iterator<Item = &'static Property>) -> Vec<&'static str> {
    let always = ["key", "identity", "startTime", "endTime", "routingKey", "protocol"];
    filtered(query).chain(others).map(|property| property.name).chain(always).collect()
}

/// What the filters of a query look at.
fn filtered(query: &Query) -> impl Iterator<Item = &'static Property> {
    query.tests().flat_map(Test::filters).flat_map(Filter::looks_at)
}

/// Whether another row is in place of that one.
fn is_replaced(query: &Query, replaced: &HashMap<String, u64>, row: &Row) -> bool {
    if replaced.is_empty() {
        return false;
    }
    let schema = query.collection.schema();
    let past = Past { schema, row };
    let end = if let Value::Number(end) = past.value("endTime") { *end } else { 0 };
    replaced.get(past.text("key")).is_some_and(|last| *last > end)
}

/// The address and the protocol of a service, where what is asked for is of one.
#[derive(Debug)]
struct Its<'v>(Option<(Cow<'v, str>, Option<Cow<'v, str>>)>);

impl<'v> Its<'v> {
    /// None where there is nothing in that scope.
    fn new(view: View<'v>, scope: Scope) -> Option<Self> {
        match scope {
            Scope::All => Some(Self(None)),
            Scope::Service(at) => {
                let service = view.snapshot.service(at)?;
                Some(Self(Some((service.address().to_cow(), service.protocol().map(Text::to_cow)))))
            }
            Scope::Site(_) => None,
        }
    }

    fn has(&self, past: &Past<'_>) -> bool {
        self.0.as_ref().is_none_or(|(address, protocol)| {
            *past.text("routingKey") == **address
                && protocol.as_ref().is_none_or(|protocol| *past.text("protocol") == **protocol)
        })
    }
}

/// Where something belongs in a list: by what it is ordered, and among equals.
pub(crate) fn place<'v>(
    query: &Query,
    view: View<'v>,
    subject: &Subject<'v>,
) -> (Option<Cell<'static>>, String) {
    let key = query.order.map(|order| order.property.of(view, subject).into_owned());
    (key, query.collection.schema().identity(view, subject).into_owned())
}
