//! What items look like here: tables of properties.
//!
//! A row of a table says how a property is called, what its values are, and where they come from. Rendering and the
//! OpenAPI document derive from it. What is not known is left out, never 0 or null.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use crate::{
    json::{Json, Object},
    v1::subject::Subject,
};

/// What items of type `S` look like.
pub(crate) struct Schema<S: 'static> {
    /// In the OpenAPI document.
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) properties: &'static [Property<S>],
}

/// One property of an item.
pub(crate) struct Property<S: 'static> {
    pub(crate) name: &'static str,
    pub(crate) form: Form,
    pub(crate) presence: Presence,
    pub(crate) description: &'static str,
    pub(crate) read: for<'v> fn(&'v S) -> Cell<'v>,
}

/// What values of a property are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// Microseconds since the epoch.
    Instant,
    /// A whole number, 0 or more.
    Count,
    /// A whole number that can be below 0.
    Difference,
    Truth,
    /// What something is about: a [`Subject`].
    Subject,
}

/// Whether every item has a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    Always,
    /// It is absent where it is not known, or does not apply.
    Optional,
}

/// The value of a property.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell<'v> {
    Absent,
    Text(Cow<'v, str>),
    Count(u64),
    Difference(i64),
    Truth(bool),
    Subject(&'v Subject),
}

impl<'v> Cell<'v> {
    pub(crate) fn text(text: impl Into<Cow<'v, str>>) -> Self {
        Self::Text(text.into())
    }

    /// A text, if there is one.
    pub(crate) fn known(text: Option<&'v str>) -> Self {
        text.map_or(Self::Absent, |text| Self::Text(Cow::Borrowed(text)))
    }

    /// A number, if it is known.
    pub(crate) fn count(count: Option<u64>) -> Self {
        count.map_or(Self::Absent, Self::Count)
    }

    fn render(&self, json: &mut Json) {
        match self {
            Self::Absent => json.raw("null"),
            Self::Text(text) => json.string(text),
            Self::Count(count) => json.uint(*count),
            Self::Difference(difference) => json.int(*difference),
            Self::Truth(truth) => json.raw(if *truth { "true" } else { "false" }),
            Self::Subject(subject) => subject.render(json),
        }
    }
}

impl<S> Schema<S> {
    /// Writes an item.
    pub(crate) fn render(&self, json: &mut Json, item: &S) {
        let mut object = Object::open(json);
        for property in self.properties {
            let cell = (property.read)(item);
            if cell != Cell::Absent {
                object.name(property.name);
                cell.render(object.json);
            }
        }
        object.close();
    }

    /// Writes a JSON array of items.
    pub(crate) fn render_all<'i>(&self, json: &mut Json, items: impl IntoIterator<Item = &'i S>) {
        json.raw("[");
        for (position, item) in items.into_iter().enumerate() {
            if position > 0 {
                json.raw(",");
            }
            self.render(json, item);
        }
        json.raw("]");
    }

    /// Its schema in the OpenAPI document.
    pub(crate) fn described(&self) -> Value {
        let properties = self.properties.iter().map(|property| {
            (
                property.name,
                property.presence == Presence::Always,
                property.form.described(property.description),
            )
        });
        object(self.description.trim(), properties)
    }
}

impl Form {
    fn described(self, description: &str) -> Value {
        let (mut schema, unit) = match self {
            Self::Text => (json!({ "type": "string" }), ""),
            Self::OneOf(known) => (json!({ "type": "string", "enum": known }), ""),
            Self::Instant => {
                (json!({ "type": "integer", "minimum": 0 }), " In microseconds since the Unix epoch.")
            }
            Self::Count => (json!({ "type": "integer", "minimum": 0 }), ""),
            Self::Difference => (json!({ "type": "integer" }), ""),
            Self::Truth => (json!({ "type": "boolean" }), ""),
            Self::Subject => (json!({ "$ref": "#/components/schemas/Subject" }), ""),
        };
        schema["description"] = json!(format!("{description}{unit}"));
        schema
    }
}

/// The schema of an object with these members: name, whether it is always there, and its schema.
pub(crate) fn object<'m>(
    description: &str,
    members: impl IntoIterator<Item = (&'m str, bool, Value)>,
) -> Value {
    let (mut required, mut properties) = (Vec::new(), Map::new());
    for (name, is_always_there, schema) in members {
        if is_always_there {
            required.push(name);
        }
        properties.insert(name.to_owned(), schema);
    }
    json!({
        "type": "object",
        "description": description,
        "required": required,
        "additionalProperties": false,
        "properties": properties,
    })
}

/// A table of properties, each a line: name, form, presence, description, and where its value comes from.
macro_rules! table {
    (
        $(#[doc = $doc:literal])+
        $table:ident: $item:ty, $name:literal |$each:ident| {
            $( $property:literal $form:ident $(($known:expr))? $presence:ident $about:literal => $cell:expr; )+
        }
    ) => {
        $(#[doc = $doc])+
        pub(crate) static $table: $crate::v1::table::Schema<$item> = $crate::v1::table::Schema {
            name: $name,
            description: concat!($($doc),+),
            properties: &[ $( $crate::v1::table::Property {
                name: $property,
                form: $crate::v1::table::Form::$form $(($known))?,
                presence: $crate::v1::table::Presence::$presence,
                description: $about,
                read: |$each| $cell,
            }, )+ ],
        };
    };
}
pub(crate) use table;
