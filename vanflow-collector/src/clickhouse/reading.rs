//! Rows of a ClickHouse for those who ask.
//!
//! What is asked is a statement of names of ours only, with parameters beside it: no text of anybody is ever in SQL.

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
};

use bytes::{Buf, Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value as Json;
use tokio::{runtime::Handle, sync::Semaphore};
use vanflow_history::rows::{
    self, ColumnKind, Condition, Held, Is, Row, Rows, Span, Table, UnreadableRows, Value, Wanted,
};

use super::{Failure, Place, Server, tables};

/// How many rows may have come that nobody has looked at yet.
const AHEAD: usize = 1024;

/// The latest time that a ClickHouse has, in microseconds: in the year 2299.
const LATEST: u64 = 10_413_791_999_999_999;

/// The rows of a network in a ClickHouse, whoever has sent them.
#[derive(Debug)]
pub(crate) struct InClickHouse {
    tables: Vec<Table>,
    server: Server,
    place: Place,
    whose: Whose,
    runtime: Handle,
}

/// Whose rows are looked for.
#[derive(Clone, Debug)]
pub(super) struct Whose {
    pub(super) network: String,
    /// Which collector has recorded events: each numbers its own. All have the same connections and requests.
    pub(super) observer: String,
}

/// A question, and what in it are parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) text: String,
    pub(super) parameters: Vec<(String, String)>,
}

impl InClickHouse {
    pub(super) fn new(server: Server, place: Place, whose: Whose) -> Self {
        Self { tables: vanflow_api::history_tables(), server, place, whose, runtime: Handle::current() }
    }

    /// The rows that a statement lists, as they come.
    fn ask(&self, statement: &Statement) -> Answers {
        let ((rows, received), room) = (channel(), Arc::new(Semaphore::new(AHEAD)));
        let rows = Rest { rows, room: room.clone() };
        let (server, statement) = (self.server.clone(), statement.clone());
        self.runtime.spawn(async move {
            let settings: Vec<_> =
                statement.parameters.iter().map(|(name, value)| (&**name, &**value)).collect();
            let outcome = match server.ask(&statement.text, &settings).await {
                Ok(body) => lines(body, &rows).await,
                Err(Failure::Unreachable(why) | Failure::Refused(why)) => Err(why),
            };
            if let Err(why) = outcome {
                // Whoever asked may have left.
                rows.give(Err(why)).await;
            }
        });
        Answers { received, room }
    }

    /// Gives what each line of an answer has, until there are enough.
    fn each<T>(
        &self,
        statement: Option<Statement>,
        read: impl Fn(&Json) -> Result<T, String>,
        visit: &mut dyn FnMut(T) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, UnreadableRows> {
        let Some(statement) = statement else { return Ok(ControlFlow::Continue(())) };
        let mut answers = self.ask(&statement);
        while let Some(answer) = answers.next() {
            let given = answer.and_then(|line| read(&line)).map_err(|why| self.unreadable(&why))?;
            if visit(given).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn unreadable(&self, why: &str) -> UnreadableRows {
        UnreadableRows(format!("the ClickHouse at {}: {why}", self.server.url))
    }
}

impl Rows for InClickHouse {
    fn visit(
        &self,
        wanted: &Wanted<'_>,
        visit: &mut dyn FnMut(Row) -> ControlFlow<()>,
    ) -> Result<(), UnreadableRows> {
        let Some(table) = rows::named(&self.tables, wanted.table) else { return Ok(()) };
        let statement = listing(&self.place, table, &self.whose, wanted);
        self.each(statement, |line| row(table, wanted, line), visit).map(drop)
    }

    fn find(&self, name_of_table: &str, name: &str) -> Result<Option<Row>, UnreadableRows> {
        let Some(table) = rows::named(&self.tables, name_of_table) else { return Ok(None) };
        let all = Wanted::all(table.name, Span { from: 0, until: u64::MAX });
        let mut answers = self.ask(&finding(&self.place, table, &self.whose, name));
        let found = answers.next().map(|answer| answer.and_then(|line| row(table, &all, &line)));
        found.transpose().map_err(|why| self.unreadable(&why))
    }

    fn here(&self) -> &dyn Rows {
        self
    }

    fn inherited_until(&self) -> u64 {
        u64::MAX
    }

    fn held(&self, _: &str) -> Held {
        Held::default()
    }
}

/// Rows that come, for a thread that waits for them.
struct Answers {
    received: Receiver<Result<Json, String>>,
    /// How many more may come before the thread takes one.
    room: Arc<Semaphore>,
}

/// Where they come from.
struct Rest {
    rows: Sender<Result<Json, String>>,
    room: Arc<Semaphore>,
}

impl Answers {
    /// The next; none when there are no more. Blocks.
    fn next(&mut self) -> Option<Result<Json, String>> {
        let next = self.received.recv().ok();
        self.room.add_permits(1);
        next
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        // Nobody waits for the rest.
        self.room.close();
    }
}

impl Rest {
    /// Gives a row when there is room for it; false where nobody wants one.
    async fn give(&self, row: Result<Json, String>) -> bool {
        match self.room.acquire().await {
            Ok(room) => {
                room.forget();
                self.rows.send(row).is_ok()
            }
            Err(_) => false,
        }
    }
}

/// The columns that are asked for, by their positions.
fn asked(table: &Table, wanted: &Wanted<'_>) -> Vec<usize> {
    let always = [table.key, table.identity, table.end];
    let is_asked = |at: &usize| {
        let name = table.columns[*at].name;
        always.contains(at)
            || wanted.columns.as_ref().is_none_or(|names| names.contains(&name))
            || wanted.conditions.iter().any(|condition| condition.column == name)
    };
    (0..table.columns.len()).filter(is_asked).collect()
}

/// A column as a number, a text, or what else JSON has.
fn shown(table: &Table, at: usize) -> String {
    let column = table.columns[at];
    let name = tables::quoted(column.name);
    match column.kind {
        ColumnKind::Instant => format!("toUnixTimestamp64Micro({name})"),
        _ => name,
    }
}

/// What lists the rows that are looked for; none where there can be none.
pub(super) fn listing(place: &Place, table: &Table, whose: &Whose, wanted: &Wanted<'_>) -> Option<Statement> {
    let columns: Vec<String> = asked(table, wanted).into_iter().map(|at| shown(table, at)).collect();
    let mut statement = selected(place, table, &columns, whose);
    statement.restrict(table, wanted)?;
    statement.text.push_str(FORMAT);
    Some(statement)
}

/// A row of each line.
const FORMAT: &str = " FORMAT JSONCompactEachRow";

/// What finds the row with that key, or of those with that identity the one that ended last.
pub(super) fn finding(place: &Place, table: &Table, whose: &Whose, name: &str) -> Statement {
    let all: Vec<String> = (0..table.columns.len()).map(|at| shown(table, at)).collect();
    let mut statement = selected(place, table, &all, whose);
    let [key, identity, end] =
        [table.key, table.identity, table.end].map(|at| tables::quoted(table.columns[at].name));
    let name = statement.parameter("String", name);
    let found = format!(" AND ({key} = {name} OR {identity} = {name}) ORDER BY {end} DESC LIMIT 1");
    statement.text.push_str(&found);
    statement.text.push_str(FORMAT);
    statement
}

fn selected(place: &Place, table: &Table, columns: &[String], whose: &Whose) -> Statement {
    let mut statement = Statement::default();
    let network = statement.parameter("String", &whose.network);
    statement.text = format!(
        "SELECT {} FROM {} FINAL WHERE {} = {network}",
        columns.join(", "),
        place.name(table.name),
        tables::quoted(tables::NETWORK),
    );
    if !vanflow_api::tables().iter().any(|shared| shared.name == table.name) {
        let observer = statement.parameter("String", &whose.observer);
        let is_its = format!(" AND {} = {observer}", tables::quoted(tables::OBSERVER.name));
        statement.text.push_str(&is_its);
    }
    statement
}

impl Statement {
    /// Adds a parameter, and gives what stands for it.
    fn parameter(&mut self, kind: &str, value: &str) -> String {
        let name = format!("p{}", self.parameters.len());
        // As lines of tab-separated values have it: that is how values of parameters are read.
        let value =
            value.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r");
        self.parameters.push((format!("param_{name}"), value));
        format!("{{{name}:{kind}}}")
    }

    /// Asks for those that are looked for; none where there can be none.
    fn restrict(&mut self, table: &Table, wanted: &Wanted<'_>) -> Option<()> {
        let end = tables::quoted(table.columns[table.end].name);
        for (sign, time) in [(">=", wanted.span.from), ("<=", wanted.span.until)] {
            let parameter = self.parameter("Int64", &time.min(LATEST).to_string());
            self.text.push_str(&format!(" AND {end} {sign} fromUnixTimestamp64Micro({parameter}, 'UTC')"));
        }
        for Condition { column, is } in &wanted.conditions {
            let Some(at) = table.column(column) else {
                if is.admits(&Value::None) {
                    continue;
                }
                return None;
            };
            let (kind, name) = (table.columns[at].kind, shown(table, at));
            let any = match (is, kind) {
                (Is::OneOf(texts), ColumnKind::Text) => self.any(texts, |text| format!("{name} = {text}")),
                (Is::Beginning(texts), ColumnKind::Text) => self.any(texts, |text| {
                    format!("startsWith(ifNull({name}, ''), {text}) AND {name} IS NOT NULL")
                }),
                (Is::Within(from, until), ColumnKind::Number | ColumnKind::Instant) => {
                    let (from, until) = (
                        self.parameter("UInt64", &from.to_string()),
                        self.parameter("UInt64", &until.to_string()),
                    );
                    format!("toUInt64(ifNull({name}, 0)) BETWEEN {from} AND {until}")
                }
                // Who asks looks once more.
                _ => continue,
            };
            self.text.push_str(&format!(" AND ({any})"));
        }
        Some(())
    }

    /// Any of these.
    fn any(&mut self, texts: &[Box<str>], one: impl Fn(&str) -> String) -> String {
        let each: Vec<String> = texts.iter().map(|text| one(&self.parameter("String", text))).collect();
        if each.is_empty() { "0".to_owned() } else { each.join(" OR ") }
    }
}

/// The row that a line has.
fn row(table: &Table, wanted: &Wanted<'_>, line: &Json) -> Result<Row, String> {
    let columns = asked(table, wanted);
    let cells = line.as_array().filter(|cells| cells.len() == columns.len());
    let cells = cells.ok_or_else(|| "a line of its answer is no row".to_owned())?;
    let mut values = vec![Value::None; table.columns.len()];
    for (at, cell) in columns.into_iter().zip(cells) {
        values[at] = value(table, at, cell);
    }
    Ok(Row { values: values.into() })
}

/// The value of a column that a cell has.
fn value(table: &Table, at: usize, cell: &Json) -> Value {
    match (cell, table.columns[at].kind) {
        (_, ColumnKind::Number | ColumnKind::Instant) => number(cell).map_or(Value::None, Value::Number),
        // What rows are ordered by always has a value there.
        (Json::String(text), ColumnKind::Text) if text.is_empty() && tables::is_certain(table, at) => {
            Value::None
        }
        (_, kind) => Value::of(Some(cell.clone()), kind),
    }
}

/// A number; some versions have those of 64 bits in quotes.
fn number(cell: &Json) -> Option<u64> {
    cell.as_u64().or_else(|| cell.as_str()?.parse().ok())
}

/// Gives each line of an answer, until nobody wants another.
async fn lines(mut body: Incoming, rows: &Rest) -> Result<(), String> {
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| format!("its answer broke off: {error}"))?;
        rest.extend_from_slice(&frame.into_data().unwrap_or_else(|_| Bytes::new()));
        while let Some(end) = rest.iter().position(|octet| *octet == b'\n') {
            let line = rest.split_to(end);
            rest.advance(1);
            // Where something goes wrong half way, it says so in the middle of its answer.
            let line = serde_json::from_slice(&line)
                .map_err(|_| format!("its answer ends with: {}", String::from_utf8_lossy(&line)))?;
            if !rows.give(Ok(line)).await {
                return Ok(());
            }
        }
    }
    match rest.is_empty() {
        true => Ok(()),
        false => Err(format!("its answer ends with: {}", String::from_utf8_lossy(&rest))),
    }
}
