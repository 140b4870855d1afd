//! Connections and requests that are not held any more: rows of a history, which have the properties that records had when
//! they ended.
//!
//! What rows look like follows from the tables of properties: a property that is added there is a column of new rows.

use std::{borrow::Cow, ops::ControlFlow};

use vanflow_history::rows::{
    Column, ColumnKind, Condition, Held, Is, Row, Rows, Span, Table, UnreadableRows, Value, Wanted,
};
use vanflow_store::{FlowKind, Snapshot, Text};

use crate::{
    interest::Interest,
    v1::events,
    v2alpha1::{
        best::Best,
        collection::{Collection, Item, Scope},
        group::{Grouping, Groups},
        party::Party,
        query::{Filter, Page, Query},
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
    Table {
        name,
        columns: schema.properties().map(column).chain(beside).collect(),
        key: position("key"),
        identity: position("identity"),
        end: position("endTime"),
        order: ORDER.into_iter().filter_map(|name| schema.position(name)).collect(),
    }
}

/// The row of what has ended.
pub(crate) fn row<'v>(schema: &'static Schema, view: View<'v>, subject: &Subject<'v>) -> Row {
    let value = |property: &Property| match property.of(view, subject) {
        Cell::Absent | Cell::Null => Value::None,
        Cell::Number(number) => Value::Number(number),
        Cell::Truth(truth) => Value::Truth(truth),
        Cell::Text(text) => Value::Text(text.into()),
        Cell::Texts(texts) => Value::Texts(texts.into_iter().map(Into::into).collect()),
    };
    let beside =
        components(view, subject).map(|name| name.map_or(Value::None, |name| Value::Text(name.into())));
    Row { values: schema.properties().map(value).chain(beside).collect() }
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

/// Rows of a collection, and the time of which there are some that are not held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before<'r> {
    rows: &'r dyn Rows,
    table: &'static str,
    span: Span,
    interest: Option<&'r Interest>,
}

impl<'r> Before<'r> {
    /// What a query has to ask of a history beside what is held; none where all that can be in its answer is.
    pub(crate) fn new(
        rows: &'r dyn Rows,
        query: &Query,
        snapshot: &Snapshot,
        interest: Option<&'r Interest>,
    ) -> Option<Self> {
        let (.., table) = KEPT.into_iter().find(|(kept, ..)| *kept == query.collection)?;
        let (from, until) = query.ends(snapshot.now())?;
        let gone = snapshot.flows_evicted_until().as_micros().max(rows.inherited_until());
        (from <= gone).then_some(Self { rows, table, span: Span { from, until }, interest })
    }

    /// Gives each row that a query lists and that is not held.
    fn each(
        self,
        query: &Query,
        view: View<'_>,
        scope: Scope,
        columns: Option<Vec<&'static str>>,
        mut take: impl FnMut(Row),
    ) -> Result<(), UnreadableRows> {
        let schema = query.collection.schema();
        let service = match scope {
            Scope::All => None,
            Scope::Service(at) => match view.snapshot.service(at) {
                Some(service) => Some(service),
                None => return Ok(()),
            },
            Scope::Site(_) => return Ok(()),
        };
        let its = service.map(|service| (service.address().to_cow(), service.protocol().map(Text::to_cow)));
        let mut wanted = Wanted::all(self.table, self.span);
        wanted.conditions = query.in_rows(view.snapshot.now());
        if let Some((address, protocol)) = &its {
            let is = |column, text: &str| Condition { column, is: Is::OneOf(vec![text.into()]) };
            let known = [("routingKey", Some(address)), ("protocol", protocol.as_ref())];
            // What is not known is no text in a row.
            let known = known.into_iter().filter_map(|(column, text)| Some((column, text?)));
            let known = known.filter(|(_, text)| !text.is_empty());
            wanted.conditions.extend(known.map(|(column, text)| is(column, text)));
        }
        wanted.columns = columns;
        self.rows.visit(&wanted, &mut |row| {
            if self.interest.is_some_and(Interest::has_ended) {
                return ControlFlow::Break(());
            }
            let is_listed = {
                let past = Past { schema, row: &row };
                let is_its = its.as_ref().is_none_or(|(address, protocol)| {
                    *past.text("routingKey") == **address
                        && protocol.as_ref().is_none_or(|protocol| *past.text("protocol") == **protocol)
                });
                is_its
                    && query.collection.find(view, past.text("key")).is_none()
                    && query.lists(view, &Subject::Past(past))
            };
            if is_listed {
                take(row);
            }
            ControlFlow::Continue(())
        })
    }

    /// A page of what is held and of what is not any more, in order, and how much there would be without paging.
    pub(crate) fn select(
        self,
        query: &Query,
        view: View<'_>,
        scope: Scope,
    ) -> Result<(Vec<Listed>, usize), UnreadableRows> {
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
        let mut past = 0;
        self.each(query, view, scope, None, |row| {
            past += 1;
            let (key, identity) = place(query, view, &Subject::Past(Past { schema, row: &row }));
            best.add(key, || identity, Listed::Past(row));
        })?;
        Ok((best.into_sorted(query.offset), total + past))
    }

    /// The rows of groups of what is held and of what is not any more.
    pub(crate) fn groups(
        self,
        query: &Query,
        view: View<'_>,
        scope: Scope,
        grouping: &Grouping,
    ) -> Result<Vec<Vec<Cell<'static>>>, UnreadableRows> {
        let schema = query.collection.schema();
        let mut groups = Groups::default();
        query.each_listed(view, scope, |_, subject| grouping.count(&mut groups, view, &subject));
        let columns = query.filters.iter().flat_map(Filter::looks_at).chain(grouping.looks_at());
        let always = ["key", "identity", "startTime", "endTime", "routingKey", "protocol"];
        let columns = columns.map(|property| property.name).chain(always).collect();
        self.each(query, view, scope, Some(columns), |row| {
            grouping.count(&mut groups, view, &Subject::Past(Past { schema, row: &row }));
        })?;
        Ok(grouping.rows(groups))
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
    interest: Option<&Interest>,
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
    let Some(before) = Before::new(rows, &query, view.snapshot, interest) else { return Ok(()) };
    before.each(&query, view, Scope::All, Some(COLUMNS.to_vec()), |row| {
        let subject = Subject::Past(Past { schema: collection.schema(), row: &row });
        take(&passed(collection.schema(), view, &subject));
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

/// Where something belongs in a list: by what it is ordered, and among equals.
fn place<'v>(query: &Query, view: View<'v>, subject: &Subject<'v>) -> (Option<Cell<'static>>, String) {
    let key = query.order.map(|order| order.property.of(view, subject).into_owned());
    (key, query.collection.schema().identity(view, subject).into_owned())
}
