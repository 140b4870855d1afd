//! What records look like here: tables of properties.
//!
//! A row of a table says how a property is called, what its values are, and where they come from. Rendering, filters,
//! sorting and the OpenAPI document all derive from it.

use std::borrow::Cow;

use vanflow_proto::Attribute;

pub(crate) use crate::query::value::{Cell, Kind, Presence, UNKNOWN, one_of};
use crate::{
    json::{Json, Object},
    query::filter::Filtered,
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
    /// Where it comes from while records are held. [`Property::of`] is what to ask.
    pub(crate) read: for<'v> fn(View<'v>, &Subject<'v>) -> Cell<'v>,
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

    /// The position of the property of that name, which is among ascending ones.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.properties().position(|property| property.name == name)
    }

    /// The property that says whether another was reported, where one does.
    pub(crate) fn known(&self, property: &Property) -> Option<&'static Property> {
        let its = |line: &&&'static [Property]| property.reported.is_some() && line[0].name == property.name;
        self.lines.iter().find(its)?.get(1)
    }

    /// Writes an item with these properties, or with all.
    pub(crate) fn render<'v>(
        &self,
        json: &mut Json,
        view: View<'v>,
        subject: &Subject<'v>,
        fields: Option<&[&'static Property]>,
    ) {
        let mut object = Object::open(json);
        let mut show = |property: &Property| {
            let cell = property.of(view, subject);
            if cell != Cell::Absent {
                object.name(property.name);
                cell.render(object.json);
            }
        };
        match fields {
            Some(fields) => fields.iter().for_each(|property| show(property)),
            None => self.properties().for_each(show),
        }
        object.close();
    }

    pub(crate) fn identity<'v>(&self, view: View<'v>, subject: &Subject<'v>) -> Cow<'v, str> {
        match self.property("identity").map(|property| property.of(view, subject)) {
            Some(Cell::Text(identity)) => identity,
            _ => Cow::Borrowed(""),
        }
    }
}

impl Property {
    /// What it is of something.
    pub(crate) fn of<'v>(&self, view: View<'v>, subject: &Subject<'v>) -> Cell<'v> {
        match subject {
            Subject::Past(past) => past.cell(self),
            _ => (self.read)(view, subject),
        }
    }

    pub(crate) fn filtered(&self) -> Filtered {
        Filtered { name: self.name, kind: self.kind, presence: self.presence }
    }

    /// A number that every record has, such as its start; 0 where there is none.
    pub(crate) fn number<'v>(&self, view: View<'v>, subject: &Subject<'v>) -> u64 {
        match self.of(view, subject) {
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
            $( $property:literal $kind:ident $(($known:expr))? $presence:ident $($basis:ident $(($reported:ident))?)? $about:literal => $cell:expr; )+
        }
    ) => {
        $(#[doc = $doc])+
        pub(crate) static $table: $crate::v2alpha1::schema::Schema = $crate::v2alpha1::schema::Schema {
            name: $name,
            description: concat!($($doc),+),
            lines: &[ $( $crate::v2alpha1::schema::line!($property $($($reported)?)? {
                kind: $crate::v2alpha1::schema::Kind::$kind $(($known))?,
                presence: $crate::v2alpha1::schema::Presence::$presence,
                is_of_lane: $crate::v2alpha1::schema::is_of_lane!($($basis)?),
                description: $about,
            } |$view, $pattern| $cell), )+ ],
        };
    };
}
pub(crate) use schema;
