//! Which of what there could be lines of are to have one: the filters of `vflow`, as one option has them.

use serde_json::Value as Json;
use thiserror::Error;
use vanflow_api::selection::{
    self, Directory, Filter, Given, Selection, SelectionError, Side, Test, Tests, of_connections, of_requests,
};
use vanflow_history::rows::Table;

use super::line::{EVENT, Entry, Lines};

/// What lines of each table are called, and what filters look at in them.
const TESTS: [(&str, Tests); 2] = [
    ("connections", |filter, side| of_lines(of_connections, filter, side)),
    ("requests", |filter, side| of_lines(of_requests, filter, side)),
];

/// Why there is no such filter.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum FilterError {
    /// No filter is called so.
    #[error("{0}")]
    Unknown(String),
    /// It has no value, or one that makes no sense, and has to be this.
    #[error("{0}: {1}")]
    Senseless(String, &'static str),
}

/// Lines have what the items of the API have, and say what happened.
fn of_lines(of_items: Tests, filter: Filter, side: Side) -> Option<Test> {
    match (filter, side) {
        (Filter::Kind, Side::Either) => Some(Test::Text(&[EVENT])),
        _ => of_items(filter, side),
    }
}

/// The names that a filter can have.
pub(crate) fn names() -> Vec<String> {
    let applies = |filter, side| TESTS.iter().any(|(_, tests)| tests(filter, side).is_some());
    selection::all()
        .filter(|(filter, side, is_negated, _)| !is_negated && applies(*filter, *side))
        .map(|(.., name)| name)
        .collect()
}

/// Reads filters, each `NAME=VALUE`, or `NAME` where it has no value: what is given several times is or.
pub(crate) fn parse(texts: &[String]) -> Result<Vec<Given>, FilterError> {
    let mut filters: Vec<Given> = Vec::new();
    for text in texts {
        let (name, value) = text.split_once('=').map_or((&**text, None), |(name, value)| (name, Some(value)));
        let plain = name.strip_prefix(selection::NOT).unwrap_or(name);
        let known = selection::all().find(|(.., known)| known == name);
        let Some((filter, side, is_negated, _)) =
            known.filter(|_| names().iter().any(|known| known == plain))
        else {
            return Err(FilterError::Unknown(name.to_owned()));
        };
        let senseless = |expected| FilterError::Senseless(text.clone(), expected);
        let value = match (filter.row().value, value) {
            ("", None) => None,
            ("", Some(_)) => return Err(senseless("without a value, as in error")),
            (_, Some(value)) if !value.is_empty() => Some(value.to_owned()),
            _ => return Err(senseless("NAME=VALUE, as in site=west")),
        };
        let is_same =
            |given: &&mut Given| (given.filter, given.side, given.is_negated) == (filter, side, is_negated);
        match filters.iter_mut().find(is_same) {
            Some(given) => given.values.extend(value),
            None => filters.push(Given { filter, side, is_negated, values: value.into_iter().collect() }),
        }
    }
    for (plural, tests) in TESTS {
        match Selection::new(&filters, plural, tests) {
            Err(SelectionError::Senseless { value, expected, .. }) => {
                return Err(FilterError::Senseless(value, expected));
            }
            Ok(_) | Err(SelectionError::Inapplicable { .. }) => {}
        }
    }
    Ok(filters)
}

/// What is to have a line.
#[derive(Debug)]
pub(super) struct Admission {
    /// By the position of the table: nothing where a filter does not apply to what it has.
    selections: Vec<Option<Selection>>,
    tables: Vec<Table>,
    /// What processes belong to, where that is asked for.
    directory: Directory,
}

impl Admission {
    pub(super) fn new(filters: &[Given], tables: Vec<Table>) -> Self {
        let selection = |table: &Table| {
            let (plural, tests) = TESTS.iter().find(|(name, _)| *name == table.name)?;
            Selection::new(filters, plural, *tests).ok()
        };
        Self { selections: tables.iter().map(selection).collect(), tables, directory: Directory::default() }
    }

    /// Learns what processes belong to by now, where a filter asks for it.
    pub(super) fn learn(&mut self, directory: impl FnOnce() -> Directory) {
        if self.selections.iter().flatten().any(Selection::needs_processes) {
            self.directory = directory();
        }
    }

    pub(super) fn admits(&self, entry: &Entry, lines: &Lines) -> bool {
        let Some(selection) = &self.selections[entry.table] else { return false };
        if selection.is_empty() {
            return true;
        }
        let mut item = self.tables[entry.table].json(&entry.row);
        item.insert(EVENT.to_owned(), lines.event(entry).into());
        selection.admits(&Json::Object(item), &self.directory)
    }
}
