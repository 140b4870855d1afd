//! The forms of an answer: how items are written, one after the other.

pub(crate) mod csv;
#[cfg(feature = "parquet")]
pub(crate) mod parquet;
mod yaml;

use std::io::Write;

use serde_json::{Map, Value};

pub(crate) use self::yaml::document as yaml;
use crate::{
    args::Form,
    column::{Align, Cell, Column, Facts, Item, Place, Shows},
    error::Error,
    escape::visible,
    noun::Noun,
    table::{Head, Layout, Look},
};

/// How answers are shown.
#[derive(Clone, Debug)]
pub(crate) struct How {
    pub(crate) form: Form,
    /// Whether the form was asked for.
    pub(crate) is_chosen: bool,
    /// What was asked for by name; empty where nothing was.
    pub(crate) columns: Vec<String>,
    pub(crate) look: Look,
}

/// Writes items of one noun.
pub(crate) struct Items<'o> {
    out: &'o mut dyn Write,
    how: How,
    columns: Vec<Shown>,
    layout: Option<Layout>,
    header: Vec<String>,
    written: u64,
}

/// A column of a table.
#[derive(Clone, Debug)]
enum Shown {
    Column(Column),
    /// A property, as the API has it.
    Property(String),
}

impl How {
    /// Whether items are shown to people, in columns.
    pub(crate) fn is_table(&self) -> bool {
        matches!(self.form, Form::Table | Form::Wide)
    }

    /// The properties that are needed to show items of that noun; none where all of them are.
    pub(crate) fn properties(&self, noun: &Noun) -> Option<Vec<String>> {
        if !self.is_table() {
            return (!self.columns.is_empty()).then(|| self.columns.clone());
        }
        let properties = self.shown(noun).into_iter().flat_map(|shown| match shown {
            Shown::Column(column) => column.properties(),
            Shown::Property(name) => vec![name],
        });
        Some(properties.collect())
    }

    /// Whether the names of sites are needed for that.
    pub(crate) fn needs_sites(&self, noun: &Noun) -> bool {
        self.is_table()
            && self
                .shown(noun)
                .iter()
                .any(|shown| matches!(shown, Shown::Column(column) if column.needs_sites()))
    }

    fn shown(&self, noun: &Noun) -> Vec<Shown> {
        if self.columns.is_empty() {
            let is_shown = |column: &&Column| self.form == Form::Wide || column.place != Place::Wide;
            return noun.columns.iter().filter(is_shown).copied().map(Shown::Column).collect();
        }
        let named =
            |name: &String| match noun.columns.iter().find(|column| column.name == name.to_lowercase()) {
                Some(column) => Shown::Column(Column { place: Place::Always, ..*column }),
                None => Shown::Property(name.clone()),
            };
        self.columns.iter().map(named).collect()
    }
}

impl<'o> Items<'o> {
    /// Nothing is written yet. `header` are the columns of CSV where none were asked for.
    pub(crate) fn new(
        out: &'o mut dyn Write,
        how: How,
        noun: &Noun,
        header: Vec<String>,
    ) -> Result<Self, Error> {
        if let Form::Svg | Form::Dot | Form::Mermaid | Form::Parquet = how.form {
            let form = how.form.name();
            return Err(Error::usage(format!(
                "{} cannot be shown as {form}: -o is one of table, wide, json, ndjson, yaml, csv",
                noun.plural
            )));
        }
        let columns = how.shown(noun);
        let header = if how.columns.is_empty() { header } else { how.columns.clone() };
        Ok(Self { out, how, columns, layout: None, header, written: 0 })
    }

    /// How many items were written.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Lays a table out for these items, and those that may still come where `goes_on`. Others are written as they come.
    pub(crate) fn prepare(&mut self, items: &[Value], facts: &Facts, goes_on: bool) -> Result<(), Error> {
        if !self.how.is_table() {
            if self.how.form == Form::Csv && self.how.look.headers {
                csv::write_header(self.out, &self.header)?;
            }
            return Ok(());
        }
        let rows: Vec<_> = items.iter().map(|item| self.row(item, facts)).collect();
        let heads = self.columns.iter().map(|shown| shown.head(facts)).collect();
        let least: Vec<_> =
            if goes_on { self.columns.iter().map(Shown::expected).collect() } else { Vec::new() };
        let layout = Layout::new(heads, &rows, &least, self.how.look);
        if goes_on || !items.is_empty() {
            layout.write_heads(self.out)?;
        }
        self.layout = Some(layout);
        Ok(())
    }

    /// Writes an item.
    pub(crate) fn write(&mut self, item: &Value, facts: &Facts) -> Result<(), Error> {
        match self.how.form {
            Form::Json => {
                let separator = if self.written == 0 { "[\n" } else { ",\n" };
                let chosen = escaped(&self.chosen(item));
                write!(self.out, "{separator}{chosen}")?;
            }
            Form::Ndjson => {
                let chosen = escaped(&self.chosen(item));
                writeln!(self.out, "{chosen}")?;
            }
            Form::Yaml => {
                let chosen = self.chosen(item);
                yaml::write_item(self.out, &chosen)?;
            }
            Form::Csv => csv::write_row(self.out, &self.header, item)?,
            _ => {
                let row = self.row(item, facts);
                if let Some(layout) = &self.layout {
                    layout.write_row(self.out, &row)?;
                }
            }
        }
        self.written += 1;
        Ok(())
    }

    /// Has what was written so far arrive.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        Ok(self.out.flush()?)
    }

    /// There are no more items.
    pub(crate) fn end(&mut self) -> Result<(), Error> {
        match self.how.form {
            Form::Json if self.written == 0 => writeln!(self.out, "[]")?,
            Form::Json => writeln!(self.out, "\n]")?,
            Form::Yaml if self.written == 0 => writeln!(self.out, "[]")?,
            _ => {}
        }
        self.flush()
    }

    fn row(&self, item: &Value, facts: &Facts) -> Vec<Cell> {
        let item = Item { value: item, facts };
        self.columns.iter().map(|shown| shown.cell(&item)).collect()
    }

    /// The properties that were asked for, in that order; all where none were.
    fn chosen(&self, item: &Value) -> Value {
        if self.how.columns.is_empty() {
            return item.clone();
        }
        let chosen: Map<_, _> =
            self.how.columns.iter().map(|name| (name.clone(), item[name.as_str()].clone())).collect();
        Value::Object(chosen)
    }
}

impl Shown {
    fn head(&self, facts: &Facts) -> Head {
        match self {
            Self::Column(column) => {
                let mut title = column.name.to_uppercase();
                // The zone is named once; times in the cells are without it.
                if let Shows::Moment(_) = column.shows {
                    title = format!("{title} {}", facts.zone.name(facts.now));
                }
                let is_rigid = matches!(column.shows, Shows::Moment(_));
                Head { place: column.place, is_rigid, ..Head::new(&title, column.align()) }
            }
            Self::Property(name) => Head::new(name, Align::Left),
        }
    }

    fn cell(&self, item: &Item<'_>) -> Cell {
        match self {
            Self::Column(column) => column.cell(item),
            Self::Property(name) => match &item.value[name.as_str()] {
                Value::Null => Cell::dash(),
                Value::String(text) => Cell::plain(text),
                other => Cell::plain(&other.to_string()),
            },
        }
    }

    /// How wide it will be, for all that can be said before there is anything to show.
    fn expected(&self) -> usize {
        match self {
            Self::Column(column) => match column.shows {
                Shows::Moment(_) => 12,
                Shows::Duration(_) | Shows::Age => 10,
                Shows::Octets(_) => 8,
                Shows::Count(_) | Shows::Made(_, Align::Right, _) => 8,
                _ => 14,
            },
            Self::Property(_) => 14,
        }
    }
}

/// JSON on one line, with what a terminal would act on escaped: JSON does so itself with some of it only.
pub(crate) fn escaped(value: &Value) -> String {
    escape(value.to_string())
}

/// The same over several lines.
pub(crate) fn escaped_pretty(value: &Value) -> String {
    format!("{value:#}").lines().map(|line| escape(line.to_owned())).collect::<Vec<_>>().join("\n")
}

fn escape(text: String) -> String {
    if !text.chars().any(|character| !(' '..='\u{7e}').contains(&character)) {
        return text;
    }
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        let is_shown = !matches!(visible(character.encode_utf8(&mut [0; 4])), std::borrow::Cow::Owned(_));
        if is_shown {
            safe.push(character);
        } else {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                safe.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_for_terminals_is_the_same_json_without_what_they_act_on() {
        let value = json!({"a": "\u{1b}[2J\u{9b}31m\u{202e}x\u{e0001}", "b": "Käse"});
        let text = escaped(&value);
        assert_eq!(text, r#"{"a":"\u001b[2J\u009b31m\u202ex\udb40\udc01","b":"Käse"}"#);
        assert_eq!(serde_json::from_str::<Value>(&text).expect("it is JSON"), value);
    }
}
