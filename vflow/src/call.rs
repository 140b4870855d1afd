//! The calls: what each asks, and what it makes of the answers.

mod export;
mod follow;
mod list;
mod login;
mod map;
mod observe;
mod path;
mod query;
mod record;
mod sql;
mod status;
mod top;
mod verify;
mod wait;

use std::io::Write;

use serde_json::Value;

pub(crate) use self::{
    export::export,
    list::list,
    login::{login, logout, secret_in},
    map::map,
    observe::observe,
    path::path,
    query::query,
    record::record,
    sql::{Named as NamedClickHouse, answer as sql_answer, sql},
    status::status,
    top::top,
    verify::verify,
};
use vanflow_api::selection::{Directory, Selection};

use crate::{
    args::Form,
    client::{Client, Lines},
    clock,
    column::Facts,
    directory::{learn_processes, learn_sites},
    error::Error,
    escape::visible,
    noun::Noun,
    output::{self, How},
    question::Question,
    run::Surroundings,
    time::{self, Zone},
};

/// What every call has: whom to ask, and where to say what.
pub(crate) struct Call<'c> {
    pub(crate) client: Client,
    pub(crate) how: How,
    pub(crate) zone: Zone,
    pub(crate) surroundings: Surroundings,
    pub(crate) out: &'c mut dyn Write,
    pub(crate) err: &'c mut dyn Write,
}

impl Call<'_> {
    /// Says something beside the answer, on a line of its own.
    pub(crate) fn say(&mut self, text: &str) -> Result<(), Error> {
        // Whoever does not read messages is owed the answer all the same.
        let _ = writeln!(self.err, "{}", visible(text));
        Ok(())
    }

    /// The collector's own view of what it sees.
    pub(crate) async fn verdict(&self) -> Result<Value, Error> {
        self.client.json(&Question::new("api/v1/verdict")).await
    }

    /// The items of a list, as they come. What takes long is shown at a terminal.
    pub(crate) async fn lines(&mut self, question: &Question) -> Result<Lines, Error> {
        let is_terminal = self.surroundings.err_is_terminal;
        wait::wait(is_terminal, self.client.lines(question)).await
    }

    /// What time it is there.
    pub(crate) fn now(&self, verdict: &Value) -> u64 {
        verdict["now"].as_u64().unwrap_or_else(|| clock::now().as_micros())
    }

    /// A time that was typed for that option.
    pub(crate) fn time(&self, option: &str, text: &str, now: u64) -> Result<u64, Error> {
        time::parse(text, now, self.zone)
            .map_err(|expected| Error::usage(format!("{option} is `{text}`, which has to be {expected}")))
    }

    /// What is known beside items of that noun, as far as it is needed.
    pub(crate) async fn facts(&self, noun: &Noun, selection: &Selection, now: u64) -> Result<Facts, Error> {
        let mut directory = Directory::default();
        if self.how.needs_sites(noun) || selection.needs_sites() {
            learn_sites(&mut directory, &self.client).await?;
        }
        if selection.needs_processes() {
            learn_processes(&mut directory, &self.client).await?;
        }
        Ok(Facts { now, zone: self.zone, directory })
    }

    /// Says what is not complete, if anything.
    pub(crate) fn say_incomplete(&mut self, verdict: &Value) -> Result<(), Error> {
        if verdict["complete"] == Value::Bool(false)
            && let Some(text) = verdict["text"].as_str()
        {
            self.say(&format!("not complete: {text}"))?;
        }
        Ok(())
    }

    /// The columns of CSV: those that the API has.
    pub(crate) async fn csv_header(&self, noun: &Noun) -> Result<Vec<String>, Error> {
        if self.how.form != Form::Csv || !self.how.columns.is_empty() {
            return Ok(Vec::new());
        }
        if !noun.is_v2() {
            return Ok(EVENT_PROPERTIES.map(str::to_owned).to_vec());
        }
        let text = self.client.text(&Question::new(noun.path).with("limit", 0), "text/csv").await?;
        Ok(text.lines().next().unwrap_or_default().split(',').map(str::to_owned).collect())
    }
}

/// The properties of events, which the list leaves out where there is nothing to say.
const EVENT_PROPERTIES: [&str; 11] = [
    "number", "time", "endTime", "kind", "severity", "siteId", "siteName", "subject", "text", "detail",
    "count",
];

/// Writes a document as it is, where it is wanted as JSON or YAML; false where it is to be shown to people.
pub(crate) fn document(call: &mut Call<'_>, value: &Value, what: &str) -> Result<bool, Error> {
    match call.how.form {
        Form::Table | Form::Wide => return Ok(false),
        Form::Json => writeln!(call.out, "{}", output::escaped_pretty(value))?,
        Form::Ndjson => writeln!(call.out, "{}", output::escaped(value))?,
        Form::Yaml => output::yaml(call.out, value)?,
        other => {
            let text =
                format!("{what} cannot be shown as {}: -o is one of table, json, ndjson, yaml", other.name());
            return Err(Error::usage(text));
        }
    }
    Ok(true)
}

/// What is said where there is nothing to show.
pub(crate) fn nothing(noun: &Noun, selection: &Selection) -> String {
    let pass = if selection.is_empty() { String::new() } else { format!(" pass {}", selection.describe()) };
    format!("no {}{pass} in that time", noun.plural)
}

/// Has a question asked for the properties that are needed only.
pub(crate) fn choose(question: &mut Question, how: &How, noun: &Noun, selection: &Selection, more: &[&str]) {
    if !noun.is_v2() {
        return;
    }
    if let Some(mut properties) = how.properties(noun) {
        properties.extend(selection.properties());
        properties.extend(more.iter().map(|name| (*name).to_owned()));
        properties.sort_unstable();
        properties.dedup();
        question.add("fields", properties.join(","));
    }
}
