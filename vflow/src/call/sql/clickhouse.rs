//! A statement, answered by the ClickHouse that a history is sent to.

use serde_json::{Map, Value};

use crate::{
    args::Form,
    call::{Call, document},
    column::{Align, Cell},
    error::{Error, RIGHT},
    output::{csv, escaped},
    question::Question,
    table::{Head, Layout},
};

/// What the URL of a ClickHouse says: where it is, who asks, and of which database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) server: String,
    pub(crate) user: Option<String>,
    pub(crate) database: String,
}

impl Named {
    /// Reads `http://USER@HOST:PORT/DATABASE`, as the collector's option has it.
    pub(crate) fn parse(url: &str) -> Result<Self, Error> {
        let wrong = || {
            Error::usage(format!(
                "--history-clickhouse is `{url}`, which has to be as in http://user@host:8123/database"
            ))
        };
        let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user.to_owned()), host),
            None => (None, authority),
        };
        let database = database.trim_end_matches('/');
        let is_one =
            matches!(scheme, "http" | "https") && !host.is_empty() && !database.contains(['/', '?', '#']);
        if !is_one {
            return Err(wrong());
        }
        let database = if database.is_empty() { "vanflow" } else { database };
        Ok(Self { server: format!("{scheme}://{host}"), user, database: database.to_owned() })
    }
}

/// Shows what a statement comes to. It is asked by GET, for which a ClickHouse changes nothing.
pub(crate) async fn answer(call: &mut Call<'_>, statement: &str, database: &str) -> Result<u8, Error> {
    let question = Question::new("")
        .with("query", statement)
        .with("database", database)
        .with("default_format", "JSONCompact");
    let answer = call.client.json(&question).await.map_err(|error| match error {
        // A statement that makes no sense, in the words of who read it.
        Error::Failed { message, .. } if message.starts_with("Code: ") => Error::Refused { message },
        other => other,
    })?;
    let names: Vec<String> =
        answer["meta"].as_array().into_iter().flatten().map(|column| text(&column["name"])).collect();
    let rows: Vec<&Vec<Value>> =
        answer["data"].as_array().into_iter().flatten().filter_map(Value::as_array).collect();
    let object = |row: &Vec<Value>| {
        Value::Object(names.iter().cloned().zip(row.iter().cloned()).collect::<Map<_, _>>())
    };
    match call.how.form {
        Form::Table | Form::Wide => {
            let is_number = |at: usize| {
                rows.iter().all(|row| row.get(at).is_some_and(|cell| cell.is_number() || cell.is_null()))
            };
            let align = |at| if is_number(at) { Align::Right } else { Align::Left };
            let heads = names.iter().enumerate().map(|(at, name)| Head::new(name, align(at)));
            let cells: Vec<Vec<Cell>> = rows.iter().map(|row| row.iter().map(cell).collect()).collect();
            let layout = Layout::new(heads.collect(), &cells, &[], call.how.look);
            layout.write_heads(call.out)?;
            cells.iter().try_for_each(|row| layout.write_row(call.out, row))?;
        }
        Form::Ndjson => {
            for row in &rows {
                writeln!(call.out, "{}", escaped(&object(row)))?;
            }
        }
        Form::Csv => {
            if call.how.look.headers {
                csv::write_header(call.out, &names)?;
            }
            for row in &rows {
                csv::write_row(call.out, &names, &object(row))?;
            }
        }
        _ => {
            let all = Value::Array(rows.iter().map(|row| object(row)).collect());
            document(call, &all, "the answer")?;
        }
    }
    call.out.flush()?;
    Ok(RIGHT)
}

fn cell(value: &Value) -> Cell {
    match value {
        Value::Null => Cell::dash(),
        Value::String(text) => Cell::plain(text),
        other => Cell::plain(&other.to_string()),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
