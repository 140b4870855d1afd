//! `vflow export`: all that observe can select, complete, item by item.

mod progress;

use std::{
    fs::OpenOptions,
    io::{self, BufWriter, Write},
    path::Path,
};

use serde_json::Value;
use vanflow_api::selection::Selection;

use self::progress::Progress;
use super::{Call, choose, nothing, observe::Times, wait::wait};
#[cfg(feature = "parquet")]
use crate::output::parquet::{self, Shape};
use crate::{
    args::{Export, Form},
    client::{Client, Lines},
    column::Facts,
    error::{Error, RIGHT},
    noun::Noun,
    number,
    output::{How, Items},
    question::Question,
};

/// Writes everything that is selected. Neither side keeps it: a list is rendered while it is sent, and written as it
/// comes.
pub(crate) async fn export(call: &mut Call<'_>, export: &Export) -> Result<u8, Error> {
    let noun = Noun::observed(export.subject);
    call.how.form = form(&call.how)?;
    let selection = noun.selection(&export.filters)?;
    #[cfg(feature = "parquet")]
    let shape = (call.how.form == Form::Parquet).then(|| Shape::new(noun, &call.how.columns)).transpose()?;
    #[cfg(not(feature = "parquet"))]
    let shape: Option<Shape> = None;
    let verdict = call.verdict().await?;
    let now = call.now(&verdict);
    let range = Times::new(call, export.range.since.as_deref(), export.range.until.as_deref(), now)?;
    let facts = call.facts(noun, &selection, now).await?;
    call.say_incomplete(&verdict)?;

    let mut question = range.question(noun).with("sortBy", format!("{}.asc", noun.time));
    selection.parameters().into_iter().for_each(|(name, value)| question.add(name, value));
    let is_paged = kept(&verdict, noun);
    choose(&mut question, &call.how, noun, &selection, if is_paged { &[KEY] } else { &[] });
    let header = call.csv_header(noun).await?;
    let mut progress = Progress::none();
    // Where output is on the same terminal, there is nothing to wait for without seeing it.
    if call.surroundings.err_is_terminal && (export.to.is_some() || !call.surroundings.out_is_terminal) {
        progress = Progress::of(expected(call, &range, noun).await?);
    }
    let mut file = export.to.as_deref().map(create).transpose()?;
    let items = Listing::new(call, question, is_paged).await?;
    range.say_missing(call, noun, &verdict, items.lines.answered_from())?;
    let out: &mut dyn Write = match &mut file {
        Some(file) => file,
        None => &mut *call.out,
    };
    let sink = Sink::new(out, &call.how, noun, header, shape.as_ref())?;
    let written = write(sink, items, &call.client, &selection, &facts, &mut progress).await;
    let flushed = written.and_then(|written| match &mut file {
        Some(file) => file.flush().map(|()| written).map_err(Error::from),
        None => Ok(written),
    });
    let written = flushed.map_err(|error| match (error, &export.to) {
        (Error::Output(error), Some(path)) => failed(path, &error),
        (other, _) => other,
    })?;
    if written == 0 {
        call.say(&nothing(noun, &selection))?;
    }
    if let Some(path) = &export.to {
        let verb = if written == 1 { "is" } else { "are" };
        let one = noun.plural.trim_end_matches('s');
        call.say(&format!("{} {verb} in {}", number::counted(written, one, noun.plural), path.display()))?;
    }
    Ok(RIGHT)
}

/// The form to write: JSON lines where none was asked for.
fn form(how: &How) -> Result<Form, Error> {
    match how.form {
        Form::Ndjson | Form::Csv | Form::Json | Form::Yaml => Ok(how.form),
        Form::Table if !how.is_chosen => Ok(Form::Ndjson),
        Form::Parquet if cfg!(feature = "parquet") => Ok(how.form),
        Form::Parquet => {
            Err(Error::usage("this vflow was built without the feature parquet: -o ndjson or -o csv"))
        }
        other => Err(Error::usage(format!(
            "{} is no form for an export: -o is one of ndjson, csv, json, yaml, parquet",
            other.name()
        ))),
    }
}

/// What a file of Parquet looks like: there is none.
#[cfg(not(feature = "parquet"))]
enum Shape {}

/// Where items are written, and in which form.
enum Sink<'o> {
    Items(Items<'o>),
    #[cfg(feature = "parquet")]
    Parquet(parquet::File<'o>),
}

impl<'o> Sink<'o> {
    fn new(
        out: &'o mut dyn Write,
        how: &How,
        noun: &Noun,
        header: Vec<String>,
        #[cfg_attr(not(feature = "parquet"), expect(unused_variables, reason = "of Parquet only"))]
        shape: Option<&'o Shape>,
    ) -> Result<Self, Error> {
        #[cfg(feature = "parquet")]
        if let Some(shape) = shape {
            return Ok(Self::Parquet(parquet::File::new(shape, out)?));
        }
        Ok(Self::Items(Items::new(out, how.clone(), noun, header)?))
    }

    fn write(&mut self, item: &Value, facts: &Facts) -> Result<(), Error> {
        match self {
            Self::Items(items) => items.write(item, facts),
            #[cfg(feature = "parquet")]
            Self::Parquet(file) => file.write(item),
        }
    }

    /// How many there were.
    fn end(self) -> Result<u64, Error> {
        match self {
            Self::Items(mut items) => items.end().map(|()| items.written()),
            #[cfg(feature = "parquet")]
            Self::Parquet(file) => file.end(),
        }
    }
}

async fn write(
    mut sink: Sink<'_>,
    mut listing: Listing,
    client: &Client,
    selection: &Selection,
    facts: &Facts,
    progress: &mut Progress,
) -> Result<u64, Error> {
    if let Sink::Items(items) = &mut sink {
        items.prepare(&[], facts, true)?;
    }
    while let Some(item) = listing.next(client).await? {
        progress.step();
        if selection.admits(&item, &facts.directory) {
            sink.write(&item, facts)?;
        }
    }
    sink.end()
}

/// Whether a collector keeps what has ended of that kind on disk: it has no more of that in memory at a time than a page.
fn kept(verdict: &Value, noun: &Noun) -> bool {
    let ended = verdict["ended"].as_array().into_iter().flatten();
    noun.is_v2() && ended.into_iter().any(|ended| ended["kind"] == noun.plural)
}

/// The property by which a page goes on after an item.
const KEY: &str = "key";

/// How many items a page has.
const PAGE: usize = 10_000;

/// The items of a list as they come: of one answer, or of pages, each of which begins after the last item of the one before.
struct Listing {
    lines: Lines,
    pages: Option<Pages>,
}

struct Pages {
    question: Question,
    /// The key of the last item; none before there is one in this page.
    last: Option<String>,
}

impl Listing {
    async fn new(call: &mut Call<'_>, question: Question, is_paged: bool) -> Result<Self, Error> {
        if !is_paged {
            return Ok(Self { lines: call.lines(&question).await?, pages: None });
        }
        let question = question.with("limit", PAGE);
        let lines = call.lines(&question.clone().with(AFTER, "")).await?;
        Ok(Self { lines, pages: Some(Pages { question, last: None }) })
    }

    /// The next; none when there are no more.
    async fn next(&mut self, client: &Client) -> Result<Option<Value>, Error> {
        loop {
            let item = self.lines.next().await?;
            let Some(pages) = &mut self.pages else { return Ok(item) };
            if let Some(item) = item {
                pages.last = item[KEY].as_str().map(str::to_owned);
                return Ok(Some(item));
            }
            let Some(last) = pages.last.take() else { return Ok(None) };
            self.lines = client.lines(&pages.question.clone().with(AFTER, last)).await?;
        }
    }
}

const AFTER: &str = "after";

/// How many items there are in that time, whatever the filters; none where that is not said.
async fn expected(call: &mut Call<'_>, range: &Times, noun: &Noun) -> Result<Option<u64>, Error> {
    let question = range.question(noun).with("limit", 0);
    let is_terminal = call.surroundings.err_is_terminal;
    let answer = wait(is_terminal, call.client.json(&question)).await?;
    Ok(["timeRangeCount", "totalCount"].iter().find_map(|name| answer[*name].as_u64()))
}

fn create(path: &Path) -> Result<BufWriter<std::fs::File>, Error> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    Ok(BufWriter::with_capacity(256 << 10, file.map_err(|error| failed(path, &error))?))
}

fn failed(path: &Path, error: &io::Error) -> Error {
    Error::File { verb: "write", path: path.to_owned(), reason: error.to_string() }
}
