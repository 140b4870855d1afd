//! Values of properties, whatever they are of: what filters compare, orders sort, and answers show.

use std::{borrow::Cow, cmp::Ordering};

use serde_json::{Value, json};
use vanflow_store::Text;

use crate::json::Json;

/// What values of a property are, where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// Microseconds since the epoch, 0 where not known or not yet.
    Instant,
    Number,
    Truth,
    Texts,
    /// Texts of parts, with `@` between them, each of which a filter can name.
    Parted,
}

impl Kind {
    /// Whether values are texts, or lists of texts.
    pub(crate) fn is_text(self) -> bool {
        match self {
            Self::Text | Self::OneOf(_) | Self::Texts | Self::Parted => true,
            Self::Instant | Self::Number | Self::Truth => false,
        }
    }

    /// The schema of values in an OpenAPI document.
    pub(crate) fn schema(self, presence: Presence, description: &str) -> Value {
        let name = match self {
            Self::Text | Self::OneOf(_) => "string",
            Self::Instant | Self::Number => "integer",
            Self::Truth => "boolean",
            Self::Texts | Self::Parted => "array",
        };
        let mut schema = match presence {
            Presence::Nullable => json!({ "type": [name, "null"] }),
            _ => json!({ "type": name }),
        };
        match self {
            Self::Instant | Self::Number => schema["minimum"] = json!(0),
            Self::Texts | Self::Parted => schema["items"] = json!({ "type": "string" }),
            Self::OneOf(known) => {
                let mut known: Vec<_> = known.iter().map(|known| json!(known)).collect();
                if presence == Presence::Nullable {
                    known.push(Value::Null);
                }
                schema["enum"] = known.into();
            }
            Self::Text | Self::Truth => {}
        }
        schema["description"] = json!(description);
        schema
    }
}

/// Whether a property is there where its value is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It always has a value.
    Always,
    /// It is `null`.
    Nullable,
    /// It is absent.
    Optional,
}

/// The value of a property.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Cell<'v> {
    Absent,
    Null,
    Number(u64),
    Truth(bool),
    Text(Cow<'v, str>),
    Texts(Vec<Cow<'v, str>>),
}

/// What stands for a text that is not known.
pub(crate) const UNKNOWN: &str = "unknown";

impl<'v> Cell<'v> {
    pub(crate) fn text(text: impl Into<Cow<'v, str>>) -> Self {
        Self::Text(text.into())
    }

    /// A text of the store, or `unknown`.
    pub(crate) fn or_unknown(text: Option<Text<'v>>) -> Self {
        Self::Text(text.map_or(Cow::Borrowed(UNKNOWN), Text::to_cow))
    }

    /// A text of the store, or an empty one.
    pub(crate) fn or_empty(text: Option<Text<'v>>) -> Self {
        Self::Text(text.map_or(Cow::Borrowed(""), Text::to_cow))
    }

    /// A text of the store, or null.
    pub(crate) fn or_null(text: Option<Text<'v>>) -> Self {
        text.map_or(Self::Null, |text| Self::Text(text.to_cow()))
    }

    pub(crate) fn number_or_null(number: Option<u64>) -> Self {
        number.map_or(Self::Null, Self::Number)
    }

    /// That of these texts that it is but for the case of letters; otherwise what stands for none of them.
    pub(crate) fn one_of(
        text: Option<Text<'v>>,
        known: &'static [&'static str],
        otherwise: &'static str,
    ) -> Self {
        Self::text(one_of(text, known, otherwise))
    }

    pub(crate) fn render(&self, json: &mut Json) {
        match self {
            Self::Absent | Self::Null => json.raw("null"),
            Self::Number(number) => json.uint(*number),
            Self::Truth(truth) => json.raw(if *truth { "true" } else { "false" }),
            Self::Text(text) => json.string(text),
            Self::Texts(texts) => json.strings(texts),
        }
    }

    /// The same, of which nothing is borrowed.
    pub(crate) fn into_owned(self) -> Cell<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Self::Absent => Cell::Absent,
            Self::Null => Cell::Null,
            Self::Number(number) => Cell::Number(number),
            Self::Truth(truth) => Cell::Truth(truth),
            Self::Text(text) => Cell::Text(owned(text)),
            Self::Texts(texts) => Cell::Texts(texts.into_iter().map(owned).collect()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Absent | Self::Null => 0,
            Self::Truth(_) => 1,
            Self::Number(_) => 2,
            Self::Text(_) => 3,
            Self::Texts(_) => 4,
        }
    }
}

/// See [`Cell::one_of`].
pub(crate) fn one_of(
    text: Option<Text<'_>>,
    known: &'static [&'static str],
    otherwise: &'static str,
) -> &'static str {
    let Some(text) = text.map(Text::to_cow) else { return otherwise };
    known.iter().copied().find(|known| text.eq_ignore_ascii_case(known)).unwrap_or(otherwise)
}

impl Ord for Cell<'_> {
    /// What is not known comes before what is; texts go by their bytes.
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(left), Self::Number(right)) => left.cmp(right),
            (Self::Truth(left), Self::Truth(right)) => left.cmp(right),
            (Self::Text(left), Self::Text(right)) => left.cmp(right),
            (Self::Texts(left), Self::Texts(right)) => left.cmp(right),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Cell<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
