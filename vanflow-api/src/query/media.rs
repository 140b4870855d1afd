//! How the items of a list are written.

use crate::json::Json;

/// A form that lists can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    /// One JSON value.
    Json,
    /// A JSON value a line for each item.
    Lines,
    /// Columns with a header row; see [`csv`](super::csv).
    Csv,
}

impl Media {
    /// Every form, the one that is preferred first.
    pub(crate) const ALL: [Self; 3] = [Self::Json, Self::Lines, Self::Csv];

    /// Its media type.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Lines => "application/x-ndjson",
            Self::Csv => "text/csv",
        }
    }

    /// What the header of an answer calls it.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            _ => self.name(),
        }
    }

    /// Writes what stands before an item, in a list that has `between` between its items.
    pub(crate) fn before(self, json: &mut Json, between: &str, is_first: bool) {
        if self == Self::Json && !is_first {
            json.raw(between);
        }
    }

    /// Writes what stands after an item.
    pub(crate) fn after(self, json: &mut Json) {
        if self == Self::Lines {
            json.raw("\n");
        }
    }
}
