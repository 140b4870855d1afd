//! Columns: what of an item each shows, and how.

use serde_json::Value;
use vanflow_api::selection::{Directory, sum_known};

use crate::{escape::visible, number, time::Zone};

/// One column of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    /// As `--columns` calls it; in upper case, its header.
    pub(crate) name: &'static str,
    pub(crate) shows: Shows,
    pub(crate) place: Place,
}

/// When a column is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Always.
    Always,
    /// Where the terminal has room for it.
    Roomy,
    /// When all columns are asked for.
    Wide,
}

/// What a column shows of an item, by the names of its properties.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shows {
    /// A text; lists with commas between.
    Text(&'static str),
    /// The first text of these that is known.
    FirstOf(&'static [&'static str]),
    /// The name of a router, without the part of it that all routers have.
    Router(&'static str),
    /// The name of the site with that identity.
    SiteOf(&'static str),
    /// A moment, with its date where it is not today.
    Moment(&'static str),
    /// How long ago that was; for what has ended, how long it was there.
    Age,
    /// A count.
    Count(&'static str),
    /// Octets, where they were reported.
    Octets(&'static [&'static str]),
    /// A duration in microseconds, where it was reported.
    Duration(&'static str),
    /// Something of its own: which properties it needs, whether it is a number, and how it is made of them.
    Made(&'static [&'static str], Align, fn(&Item<'_>) -> Cell),
}

/// Where in its column something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// What a cell says beside its words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    #[default]
    Plain,
    /// Not known, or of less interest.
    Quiet,
    /// Has changed.
    Change,
    /// To be looked at.
    Warn,
    /// Bad.
    Bad,
}

/// What a column shows of one item. The text is safe to show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) tone: Tone,
}

/// An item, and what is known beside it.
#[derive(Clone, Copy)]
pub(crate) struct Item<'i> {
    pub(crate) value: &'i Value,
    pub(crate) facts: &'i Facts,
}

/// What is known beside an item.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// What time it is, in microseconds.
    pub(crate) now: u64,
    pub(crate) zone: Zone,
    pub(crate) directory: Directory,
}

/// A column that is always there.
pub(crate) const fn column(name: &'static str, shows: Shows) -> Column {
    Column { name, shows, place: Place::Always }
}

impl Column {
    pub(crate) const fn roomy(self) -> Self {
        Self { place: Place::Roomy, ..self }
    }

    pub(crate) const fn wide(self) -> Self {
        Self { place: Place::Wide, ..self }
    }

    pub(crate) fn cell(&self, item: &Item<'_>) -> Cell {
        self.shows.cell(item)
    }

    pub(crate) fn align(&self) -> Align {
        match self.shows {
            Shows::Age | Shows::Count(_) | Shows::Octets(_) | Shows::Duration(_) => Align::Right,
            Shows::Made(_, align, _) => align,
            _ => Align::Left,
        }
    }

    /// The properties that it needs.
    pub(crate) fn properties(&self) -> Vec<String> {
        let known = |names: &[&str]| {
            names.iter().flat_map(|name| [(*name).to_owned(), format!("{name}Known")]).collect()
        };
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        match self.shows {
            Shows::Text(name)
            | Shows::Router(name)
            | Shows::SiteOf(name)
            | Shows::Moment(name)
            | Shows::Count(name) => own(&[name]),
            Shows::Age => own(&["startTime", "endTime"]),
            Shows::Duration(name) if name.starts_with("latency") => known(&[name]),
            Shows::Duration(name) => own(&[name]),
            Shows::Octets(names) => known(names),
            Shows::FirstOf(names) | Shows::Made(names, ..) => own(names),
        }
    }

    /// Whether the names of sites are needed.
    pub(crate) fn needs_sites(&self) -> bool {
        matches!(self.shows, Shows::SiteOf(_))
    }
}

impl Shows {
    fn cell(&self, item: &Item<'_>) -> Cell {
        match *self {
            Self::Text(name) => item.texts(name),
            Self::FirstOf(names) => {
                names.iter().find_map(|name| item.text(name)).map_or_else(Cell::unknown, Cell::plain)
            }
            Self::Router(name) => match item.text(name) {
                Some(router) => Cell::plain(router.strip_prefix("0/").unwrap_or(router)),
                None => Cell::unknown(),
            },
            Self::SiteOf(name) => match item.text(name) {
                Some(site) => Cell::plain(item.facts.directory.site_name(site).unwrap_or(site)),
                None => Cell::unknown(),
            },
            Self::Moment(name) => match item.number(name) {
                Some(micros) if micros > 0 => Cell::made(item.facts.zone.clock(micros, item.facts.now)),
                _ => Cell::dash(),
            },
            Self::Age => match (item.number("startTime"), item.number("endTime")) {
                (Some(start), end) if start > 0 => {
                    let end = end.filter(|end| *end > 0);
                    let lasted = number::duration(end.unwrap_or(item.facts.now).saturating_sub(start));
                    if end.is_some() { Cell::quiet(format!("ended, {lasted}")) } else { Cell::made(lasted) }
                }
                _ => Cell::unknown(),
            },
            Self::Count(name) => {
                item.number(name).map_or_else(Cell::dash, |count| Cell::made(number::count(count)))
            }
            Self::Octets(names) => item
                .sum_known(names)
                .map_or_else(Cell::unknown, |sum| Cell::made(pad_unit(number::octets(sum as f64), 2))),
            Self::Duration(name) => match item.sum_known(&[name]) {
                Some(micros) => Cell::made(pad_unit(number::duration(micros), 3)),
                None if name.starts_with("latency") => Cell::unknown(),
                None => Cell::dash(),
            },
            Self::Made(_, _, make) => make(item),
        }
    }
}

impl<'i> Item<'i> {
    /// A text that is known.
    pub(crate) fn text(&self, name: &str) -> Option<&'i str> {
        self.value[name].as_str().filter(|text| !text.is_empty() && *text != "unknown")
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.value[name].as_u64()
    }

    /// The sum of what was reported; none where nothing was.
    pub(crate) fn sum_known(&self, names: &[&str]) -> Option<u64> {
        sum_known(self.value, names)
    }

    fn texts(&self, name: &str) -> Cell {
        match &self.value[name] {
            Value::String(text) if text == "unknown" => Cell::unknown(),
            Value::String(text) if text.is_empty() => Cell::dash(),
            Value::String(text) => Cell::plain(text),
            Value::Array(texts) if texts.is_empty() => Cell::dash(),
            Value::Array(texts) => {
                Cell::plain(&texts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "))
            }
            Value::Null => Cell::dash(),
            other => Cell::plain(&other.to_string()),
        }
    }
}

impl Cell {
    /// A text from elsewhere.
    pub(crate) fn plain(text: &str) -> Self {
        Self { text: visible(text).into_owned(), tone: Tone::Plain }
    }

    /// A text that was made here.
    pub(crate) fn made(text: impl Into<String>) -> Self {
        Self { text: text.into(), tone: Tone::Plain }
    }

    pub(crate) fn quiet(text: impl Into<String>) -> Self {
        Self { text: text.into(), tone: Tone::Quiet }
    }

    pub(crate) fn toned(self, tone: Tone) -> Self {
        Self { tone, ..self }
    }

    /// What nobody reported.
    pub(crate) fn unknown() -> Self {
        Self::quiet("unknown")
    }

    /// What there is none of.
    pub(crate) fn dash() -> Self {
        Self::quiet("–")
    }
}

/// Gives the unit a width, so that the digits of a column are below each other.
pub(crate) fn pad_unit(text: String, width: usize) -> String {
    let unit = text.rsplit(' ').next().map_or(0, |unit| unit.chars().count());
    format!("{text}{}", " ".repeat(width.saturating_sub(unit)))
}
