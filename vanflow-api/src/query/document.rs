//! Questions in the OpenAPI document: what the parameters are, and which values they take.

use serde_json::{Map, Value, json};

use crate::query::{
    filter::{Comparison, Filtered},
    time::{EARLIEST, LATEST},
    value::{Kind, Presence},
};

/// A parameter of a query string.
pub(crate) fn parameter(name: &str, description: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": "query", "required": false, "description": description, "schema": schema })
}

/// The filter by a property, and the one by all else.
pub(crate) fn filters(property: Filtered, comparison: Comparison) -> [Value; 2] {
    let name = property.name;
    let how = match (property.kind, comparison) {
        (Kind::Text, Comparison::Beginning) => "begins so",
        (Kind::Text | Kind::Texts, Comparison::Containing) => "contains this",
        (Kind::Text, Comparison::Whole) => "is so, or begins so where the value ends with `*`",
        (Kind::OneOf(_), _) => "is so; the beginning of one of the values will do",
        (Kind::Texts, Comparison::Beginning) => "has a text that begins so, or is this list in JSON",
        (Kind::Texts, Comparison::Whole) => "has this text, or is this list in JSON",
        (Kind::Parted, _) => {
            "has such a text, or a text one of whose parts is so, whatever the case of letters, or is this list in JSON"
        }
        (Kind::Instant, _) => "is that time: microseconds since the epoch, RFC 3339, or 0 for none",
        (Kind::Number, _) => "is that number",
        (Kind::Truth, _) => "is so",
    };
    let null = if property.presence == Presence::Always { "" } else { " `null` is what has none." };
    let about = format!(
        "Only items whose `{name}` {how}. Several values are alternatives. `*` is any value that is known, an empty value \
         an empty text.{null}"
    );
    let not = format!("Only items that `{name}` with the same values would leave out.");
    let schema = json!({ "type": "array", "items": values(property) });
    [parameter(name, &about, &schema), parameter(&format!("{name}!"), &not, &schema)]
}

/// The values that a filter takes.
fn values(property: Filtered) -> Value {
    let mut words = vec!["*"];
    if property.presence != Presence::Always {
        words.push("null");
    }
    match property.kind {
        Kind::Text | Kind::Texts | Kind::Parted => json!({ "type": "string" }),
        Kind::OneOf(known) => {
            words.extend(known);
            json!({ "type": "string", "enum": words })
        }
        Kind::Truth => {
            words.extend(["true", "false"]);
            json!({ "type": "string", "enum": words })
        }
        Kind::Number => json!({ "anyOf": [
            { "type": "integer", "minimum": 0, "maximum": u64::MAX },
            { "type": "string", "enum": words },
        ] }),
        Kind::Instant => json!({ "anyOf": [
            micros(),
            { "type": "integer", "enum": [0] },
            { "type": "string", "pattern": DATE },
            { "type": "string", "enum": words },
        ] }),
    }
}

/// A time that can depend on when it is asked.
pub(crate) fn time() -> Value {
    json!({ "anyOf": [
        micros(),
        { "type": "integer", "enum": [0] },
        { "type": "string", "pattern": DATE },
        { "type": "string", "pattern": "^-([0-9]{1,6}(us|ms|s|m|h|d|w)){1,3}$" },
        { "type": "string", "enum": ["now"] },
    ] })
}

fn micros() -> Value {
    json!({ "type": "integer", "minimum": EARLIEST, "maximum": LATEST })
}

/// Dates of RFC 3339 that any month has.
const DATE: &str = "^2[0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?Z$";

/// What a schema is called that has some of the properties of another.
pub(crate) fn some_of(schema: &str) -> String {
    format!("{schema}.fields")
}

/// The schema of items with those properties of another's that `fields` names.
pub(crate) fn with_fields<'n>(schema: &str, properties: impl Iterator<Item = &'n str>) -> Value {
    let property = |name: &str| {
        (name.to_owned(), json!({ "$ref": format!("#/components/schemas/{schema}/properties/{name}") }))
    };
    let properties: Map<_, _> = properties.map(property).collect();
    json!({
        "type": "object",
        "description": format!("A {schema} with the properties that `fields` names."),
        "additionalProperties": false,
        "properties": properties,
    })
}

/// Some of these names with commas between them.
pub(crate) fn names<'n>(names: impl Iterator<Item = &'n str>) -> Value {
    let names = names.collect::<Vec<_>>().join("|");
    json!({ "type": "string", "pattern": format!("^({names})(,({names}))*$") })
}
