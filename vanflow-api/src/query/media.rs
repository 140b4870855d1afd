//! How answers are written: the items of a list, and a map.

use crate::json::Json;

/// A form that answers can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    /// One JSON value.
    Json,
    /// A JSON value a line for each item.
    Lines,
    /// Columns with a header row; see [`csv`](super::csv).
    Csv,
    /// A picture.
    Svg,
    /// A graph for Graphviz.
    Dot,
    /// A flow chart for Mermaid.
    Mermaid,
}

impl Media {
    /// Every form of a map, the one that is preferred first.
    pub(crate) const OF_MAPS: [Self; 4] = [Self::Json, Self::Svg, Self::Dot, Self::Mermaid];

    /// Every form of a list, the one that is preferred first.
    pub(crate) const ALL: [Self; 3] = [Self::Json, Self::Lines, Self::Csv];

    /// Its media type.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Lines => "application/x-ndjson",
            Self::Csv => "text/csv",
            Self::Svg => "image/svg+xml",
            Self::Dot => "text/vnd.graphviz",
            Self::Mermaid => "text/vnd.mermaid",
        }
    }

    /// What the header of an answer calls it.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Dot => "text/vnd.graphviz; charset=utf-8",
            Self::Mermaid => "text/vnd.mermaid; charset=utf-8",
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
