//! Rows of a ClickHouse for those who ask: what the archive on disk has no more, or never had.
//!
//! What is asked is a statement of names of ours only, with parameters beside it: no text of anybody is ever in SQL.

use std::{
    collections::HashSet,
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
use vanflow_history::{
    Archive,
    rows::{ColumnKind, Condition, Held, Is, Row, Rows, Span, Table, UnreadableRows, Value, Wanted},
};

use super::{Failure, Place, Server, tables};

/// How many rows may have come that nobody has looked at yet.
const AHEAD: usize = 1024;

/// The latest time that a ClickHouse has, in microseconds: in the year 2299.
const LATEST: u64 = 10_413_791_999_999_999;

const HOUR: u64 = 60 * 60 * 1_000_000;

/// The rows of an archive and of a ClickHouse, each once.
#[derive(Debug)]
pub(crate) struct Both {
    archive: Arc<Archive>,
    tables: Vec<Table>,
    server: Server,
    place: Place,
    network: String,
    since: Since,
    runtime: Handle,
}

/// Which times are whose.
#[derive(Clone, Copy, Debug)]
pub(super) struct Since {
    /// From when on all that ended is in the archive, but for what that has removed.
    pub(super) whole: u64,
    /// When this process began: what ended before may be known to nobody else.
    pub(super) began: u64,
}

/// A question, and what in it are parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) text: String,
    pub(super) parameters: Vec<(String, String)>,
}

impl Both {
    pub(super) fn new(
        archive: Arc<Archive>,
        server: Server,
        place: Place,
        network: String,
        since: Since,
    ) -> Self {
        Self {
            archive,
            tables: vanflow_api::tables(),
            server,
            place,
            network,
            since,
            runtime: Handle::current(),
        }
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

    fn unreadable(&self, why: &str) -> UnreadableRows {
        UnreadableRows(format!("the ClickHouse at {}: {why}", self.server.url))
    }

    /// A table of which rows are sent; none where there are no more than the archive has.
    fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == name)
    }
}

impl Rows for Both {
    fn visit(
        &self,
        wanted: &Wanted<'_>,
        visit: &mut dyn FnMut(Row) -> ControlFlow<()>,
    ) -> Result<(), UnreadableRows> {
        let Some(table) = self.table(wanted.table) else { return self.archive.visit(wanted, visit) };
        // Files are of an hour, and whole files are removed: of the earliest hour that there is not all may be there.
        let earliest = self.archive.held(table.name).since;
        let whole_since = earliest.map_or(u64::MAX, |since| self.since.whole.max((since / HOUR + 1) * HOUR));
        let mut is_over = false;
        let mut known = HashSet::new();
        let mut wanted_here = wanted.clone();
        if let Some(columns) = &mut wanted_here.columns {
            columns.push(table.columns[table.key].name);
        }
        self.archive.visit(&wanted_here, &mut |row| {
            if table.end(&row) < whole_since {
                known.insert(table.key(&row).to_owned());
            }
            let flow = visit(row);
            is_over = flow.is_break();
            flow
        })?;
        if is_over || wanted.span.from >= whole_since {
            return Ok(());
        }
        let until = wanted.span.until.min(whole_since - 1);
        let there = Wanted { span: Span { from: wanted.span.from, until }, ..wanted.clone() };
        let Some(statement) = listing(&self.place, table, &self.network, &there) else { return Ok(()) };
        let mut answers = self.ask(&statement);
        while let Some(answer) = answers.next() {
            let row =
                answer.and_then(|line| row(table, &there, &line)).map_err(|why| self.unreadable(&why))?;
            if !known.contains(table.key(&row)) && visit(row).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn find(&self, name_of_table: &str, name: &str) -> Result<Option<Row>, UnreadableRows> {
        let Some(table) = self.table(name_of_table) else { return self.archive.find(name_of_table, name) };
        if let Some(row) = self.archive.find(name_of_table, name)? {
            return Ok(Some(row));
        }
        let all = Wanted::all(table.name, Span { from: 0, until: u64::MAX });
        let mut answers = self.ask(&finding(&self.place, table, &self.network, name));
        let found = answers.next().map(|answer| answer.and_then(|line| row(table, &all, &line)));
        found.transpose().map_err(|why| self.unreadable(&why))
    }

    fn inherited_until(&self) -> u64 {
        self.since.began
    }

    fn held(&self, table: &str) -> Held {
        self.archive.held(table)
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
pub(super) fn listing(place: &Place, table: &Table, network: &str, wanted: &Wanted<'_>) -> Option<Statement> {
    let mut statement = selected(place, table, &asked(table, wanted), network);
    let end = tables::quoted(table.columns[table.end].name);
    for (sign, time) in [(">=", wanted.span.from), ("<=", wanted.span.until)] {
        let parameter = statement.parameter("Int64", &time.min(LATEST).to_string());
        statement.text.push_str(&format!(" AND {end} {sign} fromUnixTimestamp64Micro({parameter}, 'UTC')"));
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
            (Is::OneOf(texts), ColumnKind::Text) => statement.any(texts, |text| format!("{name} = {text}")),
            (Is::Beginning(texts), ColumnKind::Text) => statement
                .any(texts, |text| format!("startsWith(ifNull({name}, ''), {text}) AND {name} IS NOT NULL")),
            (Is::Within(from, until), ColumnKind::Number | ColumnKind::Instant) => {
                let (from, until) = (
                    statement.parameter("UInt64", &from.to_string()),
                    statement.parameter("UInt64", &until.to_string()),
                );
                format!("toUInt64(ifNull({name}, 0)) BETWEEN {from} AND {until}")
            }
            // Who asks looks once more.
            _ => continue,
        };
        statement.text.push_str(&format!(" AND ({any})"));
    }
    statement.text.push_str(" FORMAT JSONCompactEachRow");
    Some(statement)
}

/// What finds the row with that key, or of those with that identity the one that ended last.
pub(super) fn finding(place: &Place, table: &Table, network: &str, name: &str) -> Statement {
    let all: Vec<usize> = (0..table.columns.len()).collect();
    let mut statement = selected(place, table, &all, network);
    let [key, identity, end] =
        [table.key, table.identity, table.end].map(|at| tables::quoted(table.columns[at].name));
    let name = statement.parameter("String", name);
    let found = format!(" AND ({key} = {name} OR {identity} = {name}) ORDER BY {end} DESC LIMIT 1");
    statement.text.push_str(&found);
    statement.text.push_str(" FORMAT JSONCompactEachRow");
    statement
}

fn selected(place: &Place, table: &Table, columns: &[usize], network: &str) -> Statement {
    let columns: Vec<String> = columns.iter().map(|at| shown(table, *at)).collect();
    let mut statement = Statement::default();
    let network = statement.parameter("String", network);
    statement.text = format!(
        "SELECT {} FROM {} FINAL WHERE {} = {network}",
        columns.join(", "),
        place.name(table.name),
        tables::quoted(tables::NETWORK.name),
    );
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
        let kind = table.columns[at].kind;
        values[at] = match (cell, kind) {
            // Some versions have numbers of 64 bits in quotes.
            (Json::String(text), ColumnKind::Number | ColumnKind::Instant) => {
                text.parse().map_or(Value::None, Value::Number)
            }
            _ => Value::of(Some(cell.clone()), kind),
        };
    }
    Ok(Row { values: values.into() })
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
