//! The part of the OpenAPI document that is about this API, made from the route table and from what resources say of
//! themselves.

use serde_json::{Map, Value, json};

use crate::{
    params::{Form, Parameter},
    query::{document, media::Media},
    route::{Endpoint, ROUTES, Route, V1},
    v1::{
        Resource, events, map, network_status, path, sources,
        subject::Subject,
        table::object,
        verdict::{self, ENDED, FINDING, KNOWN},
    },
};

impl Resource {
    /// What answers look like: the content by media type.
    fn content(self) -> Value {
        let (whole, item) = match self {
            Self::Verdict => (reference("Verdict"), None),
            Self::Sources => (list("Source", []), None),
            Self::NetworkStatus => (reference("NetworkStatus"), None),
            Self::Stream => {
                return json!({ "text/event-stream": { "schema": {
                    "type": "string",
                    "description": "A `hello` event, and then one for each answer that differs from the last one sent, called as its subscription; an `error` event for an answer that is an error; an `end` event with an `Error` where the stream is given up",
                } } });
            }
            Self::Events => (reference("EventList"), Some(reference("Event"))),
            Self::Map => (reference("Map"), None),
            Self::Path => (reference("Path"), None),
        };
        let mut content = json_content(&whole);
        for media in self.forms().iter().filter(|media| **media != Media::Json) {
            let item = item.clone().filter(|_| *media == Media::Lines);
            content[media.name()] = json!({ "schema": item.unwrap_or_else(|| json!({ "type": "string" })) });
        }
        content
    }
}

/// The schemas that the answers are made of.
pub(crate) fn schemas() -> Map<String, Value> {
    let schemas = [
        ("Subject", Subject::described()),
        ("Verdict", verdict::described()),
        ("NetworkStatus", network_status::described()),
        (ENDED.name, ENDED.described()),
        (FINDING.name, FINDING.described()),
        (KNOWN.name, KNOWN.described()),
        (sources::SOURCE.name, sources::SOURCE.described()),
        ("Event", events::described()),
        ("EventList", events::list_described()),
        ("Map", map::described()),
        ("Path", path::described()),
    ];
    schemas.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

pub(crate) fn paths() -> Map<String, Value> {
    let path = |route: &Route| match route.endpoint {
        Endpoint::V1(resource) => Some((route.path.to_owned(), operation(route, resource))),
        _ => None,
    };
    ROUTES.iter().filter_map(path).collect()
}

fn operation(route: &Route, resource: Resource) -> Value {
    let mut parameters: Vec<_> =
        route.parameters.iter().map(|parameter| parameter_of(resource, parameter)).collect();
    if resource == Resource::Events {
        parameters.extend(events::filters_described());
    }
    let mut operation = json!({
        "operationId": format!("v1-{}", route.path.trim_start_matches(V1)),
        "summary": route.summary,
        "responses": {
            "200": { "description": route.summary, "content": resource.content() },
            "304": { "description": "Nothing has changed since the answer that `If-None-Match` names" },
            "400": refusal("A parameter is unknown, or has a value that makes no sense"),
            "406": refusal("It has none of the forms that are asked for"),
        },
    });
    if resource == Resource::Stream {
        operation["parameters"] = json!([{
            "name": "subscriptions",
            "in": "query",
            "required": true,
            "style": "form",
            "explode": true,
            "description": "What to follow: names of 1 to 16 letters that the client chooses, at most 16 of them, each with a path below `/api/` in `v1` or `v2alpha1` and a query, percent-encoded: `verdict=v1%2Fverdict`.",
            "schema": {
                "type": "object",
                "minProperties": 1,
                "maxProperties": 16,
                "propertyNames": { "pattern": "^[A-Za-z]{1,16}$", "not": { "enum": ["hello", "error", "end"] } },
                "additionalProperties": { "type": "string", "pattern": "^(v1|v2alpha1)/" },
            },
        }]);
        if let Some(responses) = operation["responses"].as_object_mut() {
            responses.shift_remove("304");
            responses.shift_remove("406");
        }
    }
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    json!({ "get": operation })
}

fn parameter_of(resource: Resource, parameter: &Parameter) -> Value {
    let text = json!({ "type": "string", "minLength": 1 });
    let own = match resource {
        Resource::Events => events::parameter_described(parameter.name),
        Resource::Map => map::parameter_described(parameter.name),
        _ => None,
    };
    let by_form = || match parameter.form {
        Form::Flag => json!({ "type": "string", "enum": ["1", "0", "true", "false"] }),
        Form::Count => json!({ "type": "integer", "minimum": 0 }),
        Form::Identities => json!({ "type": "array", "items": text.clone() }),
        Form::Text | Form::Fields | Form::RecordType => text.clone(),
    };
    let schema = own.unwrap_or_else(by_form);
    let mut described = document::parameter(parameter.name, parameter.description, &schema);
    described["required"] = json!(parameter.required.is_some());
    described
}

/// A list of items with that schema, with what it has beside them.
pub(crate) fn list<const N: usize>(items: &str, more: [(&str, bool, Value); N]) -> Value {
    let count = json!({ "type": "integer", "minimum": 0, "description": "How many items are in the list." });
    let items = json!({ "type": "array", "items": reference(items) });
    object("A list.", [("results", true, items), ("count", true, count)].into_iter().chain(more))
}

fn json_content(schema: &Value) -> Value {
    json!({ "application/json": { "schema": schema } })
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn refusal(description: &str) -> Value {
    json!({ "description": description, "content": json_content(&reference("CodedError")) })
}
