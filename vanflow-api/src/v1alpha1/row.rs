//! A record as the values of its properties, for filters and for columns.

use std::borrow::Cow;

use vanflow_proto::Value;
use vanflow_store::{Field, Text};

use crate::{
    json::{Json, Members},
    query::value::Cell,
};

/// The members of an object, kept.
#[derive(Debug, Default)]
pub(crate) struct Row<'s> {
    cells: Vec<(&'static str, Cell<'s>)>,
}

impl<'s> Row<'s> {
    /// The value of a property.
    pub(crate) fn get(&self, name: &str) -> &Cell<'s> {
        self.cells.iter().find(|(other, _)| *other == name).map_or(&Cell::Absent, |(_, cell)| cell)
    }
}

impl<'s> Members<'s> for Row<'s> {
    fn uint(&mut self, name: &'static str, number: u64) {
        self.cells.push((name, Cell::Number(number)));
    }

    fn string(&mut self, name: &'static str, text: &'s str) {
        self.cells.push((name, Cell::text(text)));
    }

    fn text_with(&mut self, name: &'static str, text: Text<'s>, suffix: &'static str) {
        let mut text = text.to_cow();
        if !suffix.is_empty() {
            text.to_mut().push_str(suffix);
        }
        self.cells.push((name, Cell::Text(text)));
    }

    fn truth(&mut self, name: &'static str, value: bool) {
        self.cells.push((name, Cell::Truth(value)));
    }

    fn value(&mut self, name: &'static str, value: Value<'s>) {
        let cell = match value {
            Value::Bool(truth) => Cell::Truth(truth),
            Value::Uint(number) => Cell::Number(number),
            Value::Text(text) => Cell::text(text),
            Value::Null => Cell::Null,
            // What has no type of its own is a text that reads as it does in JSON.
            other => {
                let mut json = Json::default();
                json.value(other);
                let text = String::from_utf8_lossy(&json.bytes);
                Cell::Text(Cow::Owned(text.trim_matches('"').to_owned()))
            }
        };
        self.cells.push((name, cell));
    }

    fn strings(&mut self, name: &'static str, texts: &'s [String]) {
        self.cells.push((name, Cell::Texts(texts.iter().map(|text| Cow::Borrowed(text.as_str())).collect())));
    }

    /// There is no property to ask for it by.
    fn unnamed(&mut self, _: u32, _: Field<'s>) {}
}
