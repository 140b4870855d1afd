//! What a line of the flow log is, in each of its formats, and what can be read off one again.

use std::fmt::Write;

use chrono::DateTime;
use ring::digest::{SHA256, digest};
use serde_json::Value as Json;
use vanflow_history::rows::{ColumnKind, Row, Table, Value};

use crate::config::FlowLogFormat;

/// What a line can have beside the properties of what ended.
const TIME: &str = "time";
pub(super) const EVENT: &str = "event";
const OBSERVER: &str = "observer";

/// The member that has the hash of the line before.
const PREVIOUS: &str = "prev";

/// What precedes the first line of all.
const NOTHING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// What something of a table is called in events.
const SUBJECTS: [(&str, &str); 2] = [("connections", "connection"), ("requests", "request")];

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// That it began.
    Open,
    /// That it is open, and has been for long.
    Progress,
    /// That it ended.
    End,
}

impl Phase {
    const ALL: [Self; 3] = [Self::Open, Self::Progress, Self::End];

    fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Progress => "progress",
            Self::End => "end",
        }
    }
}

/// What there is a line of.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) phase: Phase,
    /// The position of its table.
    pub(super) table: usize,
    pub(super) row: Row,
    /// When it was taken, in microseconds.
    pub(super) at: u64,
}

/// Turns rows into lines.
#[derive(Debug)]
pub(super) struct Lines {
    format: FlowLogFormat,
    tables: Vec<Shape>,
    observer: Option<String>,
}

/// What lines of a table are made of.
#[derive(Debug)]
struct Shape {
    table: Table,
    subject: &'static str,
    start: Option<usize>,
    members: Vec<Member>,
}

impl Shape {
    fn event(&self, phase: Phase) -> String {
        format!("{}.{}", self.subject, phase.name())
    }

    /// When it was what a line says.
    fn time(&self, entry: &Entry) -> u64 {
        match entry.phase {
            Phase::Open => match self.start.and_then(|at| entry.row.values.get(at)) {
                Some(Value::Number(start)) => *start,
                _ => 0,
            },
            Phase::Progress => entry.at,
            Phase::End => self.table.end(&entry.row),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Member {
    Time,
    Event,
    Observer,
    Column(usize),
}

/// The names that `--flow-log-fields` can have.
pub(crate) fn names(tables: &[Table]) -> Vec<&'static str> {
    let mut names = vec![TIME, EVENT, OBSERVER];
    for column in tables.iter().flat_map(|table| &table.columns) {
        if !names.contains(&column.name) {
            names.push(column.name);
        }
    }
    names
}

impl Lines {
    /// Lines of these tables, with those members, or with all where none are named. There are lines of what is open, or none.
    pub(super) fn new(
        format: FlowLogFormat,
        tables: Vec<Table>,
        fields: Option<&[String]>,
        observer: Option<String>,
        has_open: bool,
    ) -> Self {
        let shape = |table: Table| {
            let member = |name: &str| match name {
                TIME => Some(Member::Time),
                EVENT => Some(Member::Event),
                OBSERVER => Some(Member::Observer),
                name => table.column(name).map(Member::Column),
            };
            let mut members: Vec<Member> = match fields {
                Some(fields) => fields.iter().filter_map(|name| member(name)).collect(),
                None => [Member::Time, Member::Event, Member::Observer]
                    .into_iter()
                    .chain((0..table.columns.len()).map(Member::Column))
                    .collect(),
            };
            // By these it is known after a restart which lines there are.
            let needed = [Member::Column(table.key), Member::Event];
            for member in needed.into_iter().take(if has_open { 2 } else { 1 }) {
                if !members.contains(&member) {
                    members.push(member);
                }
            }
            let subject = SUBJECTS.iter().find(|(name, _)| *name == table.name);
            let subject = subject.map_or(table.name, |(_, subject)| subject);
            Shape { subject, start: table.column("startTime"), table, members }
        };
        Self { format, tables: tables.into_iter().map(shape).collect(), observer }
    }

    /// The line of something, with its end. It has the hash of the line before where there is one.
    pub(super) fn line(&self, entry: &Entry, previous: Option<&str>) -> String {
        let shape = &self.tables[entry.table];
        let mut line = match self.format {
            FlowLogFormat::Json => self.json(shape, entry, previous),
            FlowLogFormat::Combined => combined(shape, &entry.row),
        };
        line.push('\n');
        line
    }

    /// What a line says has happened.
    pub(super) fn event(&self, entry: &Entry) -> String {
        self.tables[entry.table].event(entry.phase)
    }

    fn json(&self, shape: &Shape, entry: &Entry, previous: Option<&str>) -> String {
        let mut line = String::with_capacity(1024);
        let mut add = |name: &str, value: Json| {
            line.push(if line.is_empty() { '{' } else { ',' });
            // Neither names nor texts can fail to be JSON.
            let _ = write!(line, "\"{name}\":{value}");
        };
        for member in &shape.members {
            match member {
                Member::Time => {
                    if let Some(time) = instant(shape.time(entry)) {
                        add(TIME, time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string().into());
                    }
                }
                Member::Event => add(EVENT, shape.event(entry.phase).into()),
                Member::Observer => {
                    if let Some(observer) = &self.observer {
                        add(OBSERVER, observer.as_str().into());
                    }
                }
                Member::Column(at) => {
                    let column = shape.table.columns[*at];
                    let value = &entry.row.values[*at];
                    let is_unknown = column.kind == ColumnKind::Instant && *value == Value::Number(0);
                    if let Some(value) = value.to_json().filter(|_| !is_unknown) {
                        add(column.name, value);
                    }
                }
            }
        }
        if let Some(previous) = previous {
            add(PREVIOUS, previous.into());
        }
        line.push('}');
        line
    }
}

/// `CLIENT - PROCESS [TIME] "METHOD SERVICE PROTOCOL" STATUS OCTETS "SITE" "SITE/PROCESS" OCTETS MICROSECONDS ERROR KEY`: the
/// beginning is what the combined format of web servers has.
fn combined(shape: &Shape, row: &Row) -> String {
    let value = |name| shape.table.column(name).map(|at| &row.values[at]);
    let text = |name| match value(name) {
        Some(Value::Text(text)) if !text.is_empty() => Some(&**text),
        _ => None,
    };
    let number = |name| match value(name) {
        Some(Value::Number(number)) => number.to_string(),
        _ => "-".to_owned(),
    };
    let bare = |text: Option<&str>| text.map_or_else(|| "-".to_owned(), |text| escaped(text, true));
    let quoted = |text: Option<&str>| text.map_or_else(|| "-".to_owned(), |text| escaped(text, false));
    let time = instant(shape.table.end(row)).unwrap_or_default();
    format!(
        "{client} - {process} [{time}] \"{method} {service} {protocol}\" {status} {reverse} \"{from}\" \"{to}/{server}\" \
         {octets} {duration} \"{error}\" {key}",
        client = bare(text("clientAddress").or_else(|| text("sourceHost"))),
        process = bare(text("sourceProcessName")),
        time = time.format("%d/%b/%Y:%H:%M:%S +0000"),
        method = bare(text("method")),
        service = bare(text("routingKey")),
        protocol = bare(text("protocol")),
        status = bare(text("status")),
        reverse = number("octetReverseCount"),
        from = quoted(text("sourceSiteName")),
        to = quoted(text("destSiteName")),
        server = quoted(text("destProcessName")),
        octets = number("octetCount"),
        duration = number("duration"),
        error = quoted(text("listenerError").or_else(|| text("connectorError"))),
        key = bare(Some(shape.table.key(row))),
    )
}

/// A text in which nothing ends it: as web servers write it, `\xHH` in place of what could.
fn escaped(text: &str, is_bare: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        let code = u32::from(letter);
        match letter {
            '"' | '\\' => _ = write!(escaped, "\\x{code:02x}"),
            ' ' if is_bare => escaped.push_str("\\x20"),
            letter if letter.is_control() => {
                let mut octets = [0; 4];
                for octet in letter.encode_utf8(&mut octets).bytes() {
                    let _ = write!(escaped, "\\x{octet:02x}");
                }
            }
            letter => escaped.push(letter),
        }
    }
    escaped
}

fn unescaped(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, escaped)) = rest.split_once("\\x") {
        octets.extend_from_slice(plain.as_bytes());
        octets.push(u8::from_str_radix(escaped.get(..2)?, 16).ok()?);
        rest = &escaped[2..];
    }
    octets.extend_from_slice(rest.as_bytes());
    String::from_utf8(octets).ok()
}

fn instant(micros: u64) -> Option<DateTime<chrono::Utc>> {
    let micros = i64::try_from(micros).ok().filter(|micros| *micros > 0)?;
    DateTime::from_timestamp_micros(micros)
}

/// What a line says, and the key of what it is of, in either format; none where it is no line of ours. Without its end.
pub(super) fn read(line: &[u8]) -> Option<(Phase, String)> {
    let key = key(line)?;
    // As with the key: in no text is it without a backslash.
    let event = std::str::from_utf8(line).ok()?.split_once("\"event\":\"").map_or("", |(_, rest)| rest);
    let event = event.split_once('"').map_or("", |(event, _)| event);
    let phase = Phase::ALL.into_iter().find(|phase| event.rsplit('.').next() == Some(phase.name()));
    Some((phase.unwrap_or(Phase::End), key))
}

fn key(line: &[u8]) -> Option<String> {
    let line = std::str::from_utf8(line).ok()?;
    // In the other format no text has a quote in it.
    if line.starts_with("{\"") {
        // No text has this in it: it would be escaped there.
        let (_, rest) = line.split_once("\"key\":")?;
        let value = serde_json::Deserializer::from_str(rest).into_iter::<Json>().next()?.ok()?;
        return value.as_str().map(str::to_owned);
    }
    let (_, timed) = line.split_once(" [")?;
    timed.split_once("] \"")?;
    let (_, key) = line.rsplit_once(' ')?;
    unescaped(key).filter(|key| key.contains('@'))
}

/// The hash of a line, without its end, as the next has it.
pub(super) fn hash(line: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for octet in digest(&SHA256, line).as_ref() {
        let _ = write!(text, "{octet:02x}");
    }
    text
}

/// What the first line of all has for the hash of the one before.
pub(super) fn first() -> String {
    NOTHING.to_owned()
}

/// What of fields is none that any table has.
pub(crate) fn unknown<'f>(fields: &'f [String], tables: &[Table]) -> Option<&'f str> {
    let names = names(tables);
    fields.iter().map(String::as_str).find(|name| !names.contains(name))
}
