//! What records look like here: tables of properties.
//!
//! A row of a table says how a property is called, what its values are, and where they come from. Rendering, filters,
//! sorting and the OpenAPI document all derive from it.

use std::{borrow::Cow, cmp::Ordering};

use vanflow_proto::Attribute;
use vanflow_store::Text;

use crate::{
    json::{Json, Object},
    v2alpha1::view::{Subject, View},
};

/// What records of a collection look like.
#[derive(Debug)]
pub(crate) struct Schema {
    /// In the OpenAPI document.
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    /// By ascending name, as the network observer writes them: for each line of the table its property, and after one
    /// that is 0 where it is not reported, whether it is.
    pub(crate) lines: &'static [&'static [Property]],
}

/// One property of a record.
pub(crate) struct Property {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) presence: Presence,
    /// Whether a connection or request has it from its lane alone: it is the same for all of a lane that is uniform.
    pub(crate) is_of_lane: bool,
    /// The attribute of the record that it is, 0 where that is not reported. Whether it is, the next property says.
    pub(crate) reported: Option<Attribute>,
    pub(crate) description: &'static str,
    pub(crate) read: for<'v> fn(View<'v>, &Subject<'v>) -> Cell<'v>,
}

/// What values of a property are, where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    /// Microseconds since the epoch, 0 where not known or not yet.
    Instant,
    Number,
    Truth,
    Texts,
    /// Texts of parts, with `@` between them, each of which a filter can name.
    Parted,
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
#[derive(Clone, Debug, PartialEq, Eq)]
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

    /// The first of these texts that it is but for the case of letters; otherwise what stands for none of them.
    pub(crate) fn one_of(
        text: Option<Text<'v>>,
        known: &'static [(&'static str, &'static str)],
        otherwise: &'static str,
    ) -> Self {
        Self::text(one_of(text, known, otherwise))
    }

    fn render(&self, json: &mut Json) {
        match self {
            Self::Absent | Self::Null => json.raw("null"),
            Self::Number(number) => json.uint(*number),
            Self::Truth(truth) => json.raw(if *truth { "true" } else { "false" }),
            Self::Text(text) => json.string(text),
            Self::Texts(texts) => {
                json.raw("[");
                for (position, text) in texts.iter().enumerate() {
                    if position > 0 {
                        json.raw(",");
                    }
                    json.string(text);
                }
                json.raw("]");
            }
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
    known: &'static [(&'static str, &'static str)],
    otherwise: &'static str,
) -> &'static str {
    let Some(text) = text.map(Text::to_cow) else { return otherwise };
    let found = known.iter().find(|(reported, _)| text.eq_ignore_ascii_case(reported));
    found.map_or(otherwise, |(_, shown)| shown)
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

impl Schema {
    /// Every property, by ascending name.
    pub(crate) fn properties(&self) -> impl Iterator<Item = &'static Property> + use<> {
        self.lines.iter().copied().flatten()
    }

    /// The property that a filter or an order names. The case of its first letter makes no difference.
    pub(crate) fn property(&self, name: &str) -> Option<&'static Property> {
        let (first, rest) = (name.chars().next()?, name.get(1..)?);
        self.properties().find(|property| {
            property.name[1..] == *rest && property.name.starts_with(first.to_ascii_lowercase())
        })
    }

    pub(crate) fn render<'v>(&self, json: &mut Json, view: View<'v>, subject: &Subject<'v>) {
        let mut object = Object::open(json);
        for property in self.properties() {
            let cell = (property.read)(view, subject);
            if cell != Cell::Absent {
                object.name(property.name);
                cell.render(object.json);
            }
        }
        object.close();
    }

    pub(crate) fn identity<'v>(&self, view: View<'v>, subject: &Subject<'v>) -> Cow<'v, str> {
        match self.property("identity").map(|property| (property.read)(view, subject)) {
            Some(Cell::Text(identity)) => identity,
            _ => Cow::Borrowed(""),
        }
    }
}

impl Property {
    /// A number that every record has, such as its start; 0 where there is none.
    pub(crate) fn number<'v>(&self, view: View<'v>, subject: &Subject<'v>) -> u64 {
        match (self.read)(view, subject) {
            Cell::Number(number) => number,
            _ => 0,
        }
    }
}

impl std::fmt::Debug for Property {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Property").field("name", &self.name).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// What a row says of lanes.
macro_rules! is_of_lane {
    () => {
        false
    };
    (of_lane) => {
        true
    };
    (reported) => {
        false
    };
}
pub(crate) use is_of_lane;

/// The properties of a line: itself, and whether it is known where that makes a difference. Then the line says where the
/// number comes from, and its two properties what it is or 0, and whether it is.
macro_rules! line {
    ($name:literal { $($own:tt)+ } |$view:ident, $pattern:pat_param| $cell:expr) => {
        &[$crate::v2alpha1::schema::Property {
            name: $name,
            reported: None,
            $($own)+
            read: $crate::v2alpha1::schema::read!(|$view, $pattern| $cell),
        }]
    };
    ($name:literal $attribute:ident { $($own:tt)+ } |$view:ident, $pattern:pat_param| $number:expr) => {
        &[
            $crate::v2alpha1::schema::Property {
                name: $name,
                reported: Some(vanflow_proto::Attribute::$attribute),
                $($own)+
                read: $crate::v2alpha1::schema::read!(
                    |$view, $pattern| $crate::v2alpha1::schema::Cell::Number($number.unwrap_or(0))
                ),
            },
            $crate::v2alpha1::schema::Property {
                name: concat!($name, "Known"),
                kind: $crate::v2alpha1::schema::Kind::Truth,
                presence: $crate::v2alpha1::schema::Presence::Always,
                is_of_lane: false,
                reported: None,
                description: concat!("Whether `", $name, "` was reported: where it was not, that is 0."),
                read: $crate::v2alpha1::schema::read!(
                    |$view, $pattern| $crate::v2alpha1::schema::Cell::Truth($number.is_some())
                ),
            },
        ]
    };
}
pub(crate) use line;

/// How a property is read.
macro_rules! read {
    (|$view:ident, $pattern:pat_param| $cell:expr) => {
        |$view, subject| {
            // Not every property needs to look around.
            let _ = $view;
            let $pattern = subject else { return $crate::v2alpha1::schema::Cell::Absent };
            $cell
        }
    };
}
pub(crate) use read;

/// A table of properties, each a line: name, kind, presence, whether it is of the lane or which attribute is reported for it,
/// description, and where its value comes from.
macro_rules! schema {
    (
        $(#[doc = $doc:literal])+
        $table:ident $name:literal |$view:ident, $pattern:pat_param| {
            $( $property:literal $kind:ident $presence:ident $($basis:ident $(($reported:ident))?)? $about:literal => $cell:expr; )+
        }
    ) => {
        $(#[doc = $doc])+
        pub(crate) static $table: $crate::v2alpha1::schema::Schema = $crate::v2alpha1::schema::Schema {
            name: $name,
            description: concat!($($doc),+),
            lines: &[ $( $crate::v2alpha1::schema::line!($property $($($reported)?)? {
                kind: $crate::v2alpha1::schema::Kind::$kind,
                presence: $crate::v2alpha1::schema::Presence::$presence,
                is_of_lane: $crate::v2alpha1::schema::is_of_lane!($($basis)?),
                description: $about,
            } |$view, $pattern| $cell), )+ ],
        };
    };
}
pub(crate) use schema;
