//! The part of the OpenAPI document that is about this API, made from the route table and the schemas.

use serde_json::{Map, Value, json};

use crate::{
    route::{Endpoint, ID, ROUTES, Route, V2ALPHA1},
    v2alpha1::{
        collection::Collection,
        query::RESERVED,
        schema::{Kind, Presence, Property, Schema},
    },
};

/// Every collection; each is a list in the route table.
fn collections() -> impl Iterator<Item = Collection> {
    ROUTES.iter().filter_map(|route| match route.endpoint {
        Endpoint::List(collection) => Some(collection),
        _ => None,
    })
}

pub(crate) fn paths() -> Map<String, Value> {
    let routes = ROUTES.iter().filter(|route| route.path.starts_with(V2ALPHA1));
    routes.map(|route| (route.path.to_owned(), path(route))).collect()
}

pub(crate) fn schemas() -> Map<String, Value> {
    let mut schemas: Map<_, _> = collections()
        .map(|collection| (collection.schema().name.to_owned(), schema(collection.schema())))
        .collect();
    schemas.insert(
        ERROR.to_owned(),
        json!({
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": { "type": "string", "description": "What was wrong, for programs." },
                "message": { "type": "string", "description": "What was wrong, for people." },
            },
        }),
    );
    schemas
}

pub(crate) fn parameters() -> Map<String, Value> {
    let mut parameters: Map<_, _> = RESERVED
        .iter()
        .map(|(name, description)| {
            let schema = match *name {
                "watch" => json!({ "type": "string", "enum": ["1", "0", "true", "false"], "default": "0" }),
                "state" => json!({ "type": "string", "enum": ["all", "active", "terminated"] }),
                "timeRangeOperation" => {
                    json!({ "type": "string", "enum": ["intersects", "contains", "within"] })
                }
                "sortBy" => json!({ "type": "string" }),
                _ => json!({ "type": "integer", "format": "int64" }),
            };
            (prefixed(name), query_parameter(name, description, schema))
        })
        .collect();
    parameters.insert(
        prefixed("id"),
        json!({
            "name": "id",
            "in": "path",
            "required": true,
            "description": "An identity. Colons and plus signs in it stand for themselves.",
            "schema": { "type": "string", "minLength": 1 },
        }),
    );
    parameters
}

const ERROR: &str = "CodedError";

fn prefixed(name: &str) -> String {
    format!("v2alpha1.{name}")
}

fn reference(components: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{components}/{name}") })
}

fn path(route: &Route) -> Value {
    let name = route.path.trim_start_matches(V2ALPHA1).replace(ID, "id").replace('/', "-");
    let mut parameters = Vec::new();
    if route.path.contains(ID) {
        parameters.push(reference("parameters", &prefixed("id")));
    }
    let mut responses = Map::new();
    match route.endpoint {
        Endpoint::List(collection) | Endpoint::OfSite(collection) | Endpoint::OfService(collection) => {
            parameters.extend(RESERVED.iter().map(|(name, _)| reference("parameters", &prefixed(name))));
            parameters.extend(collection.schema().properties.iter().map(filter));
            responses.insert("200".to_owned(), list(collection.schema()));
            responses.insert("400".to_owned(), refusal("It filters or sorts by what there is not"));
            if !matches!(route.endpoint, Endpoint::List(_)) {
                responses.insert("404".to_owned(), refusal("There is no site or service with that identity"));
            }
        }
        Endpoint::Single(collection) => {
            responses.insert("200".to_owned(), single(collection.schema()));
            responses.insert("404".to_owned(), refusal("There is nothing with that identity"));
        }
        _ => {
            responses.insert("410".to_owned(), refusal("Hosts are not told of"));
        }
    }
    let mut operation = json!({
        "operationId": format!("v2alpha1-{name}"),
        "summary": route.summary,
        "parameters": parameters,
        "responses": responses,
    });
    if !matches!(
        route.endpoint,
        Endpoint::List(_) | Endpoint::Single(_) | Endpoint::OfSite(_) | Endpoint::OfService(_)
    ) && let Some(operation) = operation.as_object_mut()
    {
        operation.insert("deprecated".to_owned(), json!(true));
    }
    json!({ "get": operation })
}

fn query_parameter(name: &str, description: &str, schema: Value) -> Value {
    json!({ "name": name, "in": "query", "required": false, "description": description, "schema": schema })
}

/// The filter by a property.
fn filter(property: &Property) -> Value {
    let how = match property.kind {
        Kind::Text => "The text starts so.",
        Kind::Texts => "One of the texts starts so.",
        Kind::Parted => "One part of one of the texts is this, but for the case of letters.",
        Kind::Instant | Kind::Number => "The number is this.",
        Kind::Truth => "`true` or `false`.",
    };
    let description =
        format!("Only items with such a `{}`. {how} Several values are alternatives.", property.name);
    let schema = json!({ "type": "array", "items": { "type": "string" } });
    query_parameter(property.name, &description, schema)
}

fn list(schema: &Schema) -> Value {
    let count = |description: &str| json!({ "type": "integer", "minimum": 0, "description": description });
    json!({
        "description": "The list; with `watch`, the list and what changes after it",
        "content": {
            "application/json": { "schema": {
                "type": "object",
                "required": ["results", "count", "timeRangeCount"],
                "additionalProperties": false,
                "properties": {
                    "results": { "type": "array", "items": reference("schemas", schema.name) },
                    "count": count("How many items are in the list."),
                    "timeRangeCount": count("How many there would be without `limit` and `offset`."),
                },
            } },
            "application/x-ndjson": { "schema": {
                "type": "string",
                "description": "The list on the first line, and then a changed item on each; the last line can be an `Error`",
            } },
            "text/event-stream": { "schema": {
                "type": "string",
                "description": "A `list` event, and then a `record` event for each changed item; the last can be an `end` event with an `Error`",
            } },
        },
    })
}

fn single(schema: &Schema) -> Value {
    json!({
        "description": "The one with that identity, also if it has ended lately",
        "content": { "application/json": { "schema": {
            "type": "object",
            "required": ["results"],
            "additionalProperties": false,
            "properties": { "results": reference("schemas", schema.name) },
        } } },
    })
}

fn refusal(description: &str) -> Value {
    json!({
        "description": description,
        "content": { "application/json": { "schema": reference("schemas", ERROR) } },
    })
}

fn schema(schema: &Schema) -> Value {
    let required: Vec<_> = schema
        .properties
        .iter()
        .filter(|property| property.presence != Presence::Optional)
        .map(|property| property.name)
        .collect();
    let properties: Map<_, _> =
        schema.properties.iter().map(|property| (property.name.to_owned(), described(property))).collect();
    json!({
        "type": "object",
        "description": schema.description.trim(),
        "required": required,
        "properties": properties,
    })
}

fn described(property: &Property) -> Value {
    let name = match property.kind {
        Kind::Text => "string",
        Kind::Instant | Kind::Number => "integer",
        Kind::Truth => "boolean",
        Kind::Texts | Kind::Parted => "array",
    };
    let mut schema = match property.presence {
        Presence::Nullable => json!({ "type": [name, "null"] }),
        _ => json!({ "type": name }),
    };
    match property.kind {
        Kind::Instant | Kind::Number => schema["minimum"] = json!(0),
        Kind::Texts | Kind::Parted => schema["items"] = json!({ "type": "string" }),
        Kind::Text | Kind::Truth => {}
    }
    let unit = if property.kind == Kind::Instant { " In microseconds since the Unix epoch." } else { "" };
    schema["description"] = json!(format!("{}{unit}", property.description));
    schema
}
