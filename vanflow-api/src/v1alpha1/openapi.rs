//! The OpenAPI document, made from the route table and the protocol's tables.

use serde_json::{Map, Value, json};
use vanflow_proto::{Attribute, RecordKind};

use crate::{
    params::{Form, Parameter},
    query::{
        document,
        filter::Comparison,
        value::{Kind, Presence},
    },
    route::{Endpoint, ROUTES, Route},
    v1alpha1::{
        Collection, filters,
        render::FAR,
        schema::{self, Property, VAN_ADDRESS, properties, shown},
    },
};

/// The document, ready to be sent.
pub(crate) fn document() -> Vec<u8> {
    let mut text =
        serde_json::to_vec_pretty(&document_value()).expect("the document has only strings for keys");
    text.push(b'\n');
    text
}

/// The document as a value.
pub(crate) fn document_value() -> Value {
    let is_described = |route: &&Route| {
        matches!(
            route.endpoint,
            Endpoint::Alive | Endpoint::Ready | Endpoint::OpenApi | Endpoint::V1alpha1(_)
        )
    };
    let routes = ROUTES.iter().filter(is_described);
    let paths: Map<_, _> = routes.map(|route| (route.path.to_owned(), path(route))).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "VAN-Flow collector",
            "version": "v1alpha1",
            "description": description(),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "parameters": parameters(),
            "responses": {
                "NotModified": {
                    "description": "Nothing has changed since the answer that `If-None-Match` names",
                },
                "NotAcceptable": {
                    "description": "It has none of the forms that `Accept` asks for",
                    "content": content("Error"),
                },
                "BadRequest": {
                    "description": "A parameter is missing, unknown, or has a value that makes no sense",
                    "content": content("Error"),
                },
            },
        },
    })
}

fn description() -> String {
    format!(
        "What the routers and controllers of a Skupper network report it, in the shapes of the original API.\n\n\
         Attributes have the names of VAN-Flow and are absent when unknown. Attributes that are not in VAN-Flow's \
         table are called `attr` and their code. Times are microseconds since the Unix epoch, durations and \
         latencies microseconds. A record that is known only by what changed since it started, or a router that \
         has not reported all of its records, is marked `incomplete`.\n\n\
         A LINK that is reported once for both of its ends is shown as two records, and so is a connection \
         (BIFLOW_TPORT) or request (BIFLOW_APP) that is reported once for both of its directions. The first, the \
         `outgoing` LINK or the client's FLOW, has the reported record's own id. The second, the `incoming` LINK or the \
         server's FLOW, has the same with `{FAR}` appended. So is a LINK that a router up to 2.x reports from its own side \
         only, where the router at the other end is known and does not report its side: edge routers of that age, and \
         links between routers up to 2.x and today's.\n\n\
         `/api/v1alpha1/records` shows records as they were reported. Values of types that the attribute should not \
         have are there as what they are in JSON; octets, and what has no counterpart in JSON, as strings of \
         hexadecimal digits."
    )
}

fn path(route: &Route) -> Value {
    let name = route.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".json");
    let mut parameters: Vec<_> =
        route.parameters.iter().map(|parameter| reference("parameters", &key(parameter, route))).collect();
    if let Endpoint::V1alpha1(collection) = route.endpoint {
        for name in filters(collection, route.parameters) {
            parameters.extend([by(name), not_by(name)].map(|name| reference("parameters", &name)));
        }
    }
    let mut operation = json!({
        "operationId": name,
        "summary": route.summary,
        "parameters": parameters,
        "responses": responses(route.endpoint),
    });
    if parameters.is_empty() {
        operation.as_object_mut().expect("it is an object").shift_remove("parameters");
    }
    json!({ "get": operation })
}

/// Every parameter of every route, and every filter. Those with the same name are the same.
fn parameters() -> Map<String, Value> {
    let its = ROUTES.iter().filter(|route| matches!(route.endpoint, Endpoint::V1alpha1(_)));
    let all = its.flat_map(|route| route.parameters.iter().map(move |parameter| (route, *parameter)));
    let mut parameters: Map<_, _> =
        all.map(|(route, parameter)| (key(parameter, route), describe(parameter, route))).collect();
    let collections = ROUTES.iter().filter_map(|route| match route.endpoint {
        Endpoint::V1alpha1(collection) => Some(collection),
        _ => None,
    });
    for property in collections.flat_map(properties) {
        let [filter, opposite] = document::filters(property.filtered(), Comparison::Whole);
        parameters.insert(by(property.name), filter);
        parameters.insert(not_by(property.name), opposite);
    }
    parameters
}

/// What a parameter is called among the components. `fields` is another one for each list.
fn key(parameter: &Parameter, route: &Route) -> String {
    match parameter.form {
        Form::Fields => format!("{}.{}", parameter.name, route.path.rsplit('/').next().unwrap_or_default()),
        _ => parameter.name.to_owned(),
    }
}

/// What the filter by a property is called among the components.
fn by(name: &str) -> String {
    format!("by.{name}")
}

/// The same of the filter by all else.
fn not_by(name: &str) -> String {
    format!("by.{name}.not")
}

fn describe(parameter: &Parameter, route: &Route) -> Value {
    let text = json!({ "type": "string", "minLength": 1 });
    let schema = match parameter.form {
        Form::Flag => json!({ "type": "string", "enum": ["1", "0", "true", "false"], "default": "0" }),
        Form::Count => json!({ "type": "integer", "minimum": 0 }),
        Form::Text => text,
        Form::Fields => {
            let properties = match route.endpoint {
                Endpoint::V1alpha1(collection) => properties(collection),
                _ => &[],
            };
            document::names(properties.iter().map(|property| property.name))
        }
        Form::Identities => json!({ "type": "array", "items": text, "minItems": 1 }),
        Form::RecordType => {
            let names: Vec<_> = RecordKind::ALL.iter().map(|kind| kind.name()).collect();
            json!({ "anyOf": [{ "type": "string", "enum": names }, { "type": "integer", "minimum": 0, "maximum": u32::MAX }] })
        }
    };
    json!({
        "name": parameter.name,
        "in": "query",
        "required": parameter.required.is_some(),
        "description": parameter.description,
        "schema": schema,
    })
}

fn responses(endpoint: Endpoint) -> Value {
    match endpoint {
        Endpoint::Alive => json!({ "200": { "description": "Alive", "content": content("Alive") } }),
        Endpoint::Ready => json!({
            "200": {
                "description": "Ready: it has received the network once, or restored it. Without a connection it goes on \
                    answering from what it has, and `attached` is false.",
                "content": content("Ready"),
            },
            "503": { "description": "Not ready: `error` says why", "content": content("Ready") },
        }),
        Endpoint::OpenApi => json!({
            "200": {
                "description": "This document",
                "content": { "application/json": { "schema": { "type": "object" } } },
            },
        }),
        Endpoint::V1alpha1(collection) => json!({
            "200": {
                "description": "The list; with `watch`, the list and what changes after it",
                "content": {
                    "application/json": { "schema": { "type": "array", "items": items(collection) } },
                    "application/x-ndjson": { "schema": {
                        "type": "string",
                        "description": "An item on each line. With `watch`, the list on the first line, and then a changed record on each; the last line can be an `Error`",
                    } },
                    "text/csv": { "schema": {
                        "type": "string",
                        "description": "The names of the properties on the first line, and then an item on each, as in RFC 4180. A text that a spreadsheet would run as a formula has an apostrophe before it",
                    } },
                    "text/event-stream": { "schema": {
                        "type": "string",
                        "description": "A `list` event, and then a `record` event for each changed record; the last can be an `end` event with an `Error`",
                    } },
                },
            },
            "304": reference("responses", "NotModified"),
            "400": reference("responses", "BadRequest"),
            "406": reference("responses", "NotAcceptable"),
        }),
        // Not in this document.
        _ => json!({}),
    }
}

fn content(name: &str) -> Value {
    json!({ "application/json": { "schema": schema_of(name) } })
}

fn schema_of(name: &str) -> Value {
    reference("schemas", name)
}

fn reference(components: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{components}/{name}") })
}

fn items(collection: Collection) -> Value {
    let any_of = |names: &[&str]| {
        let forms = names.iter().flat_map(|name| [schema_of(name), schema_of(&document::some_of(name))]);
        json!({ "anyOf": forms.collect::<Vec<_>>() })
    };
    match collection {
        Collection::Topology => any_of(&[RecordKind::Router, RecordKind::Link].map(RecordKind::name)),
        Collection::Kind(kind) => any_of(&[kind.name()]),
        Collection::VanAddrs => json!({ "type": "string" }),
        Collection::Addresses => any_of(&[VAN_ADDRESS]),
        Collection::Flows => {
            any_of(&[RecordKind::Listener, RecordKind::Connector, RecordKind::Flow].map(RecordKind::name))
        }
        Collection::Record => any_of(&shown().map(RecordKind::name).chain([VAN_ADDRESS]).collect::<Vec<_>>()),
        Collection::Records => any_of(&["Record"]),
    }
}

fn schemas() -> Value {
    let mut schemas: Map<_, _> = shown().map(|kind| (kind.name().to_owned(), record(kind))).collect();
    schemas.insert(VAN_ADDRESS.to_owned(), van_address());
    schemas.insert("Record".to_owned(), reported());
    let tables =
        shown().map(|kind| (kind.name(), schema::of_kind(kind))).chain([(VAN_ADDRESS, schema::of_address())]);
    for (name, properties) in tables {
        let names = properties.iter().map(|property| property.name);
        schemas.insert(document::some_of(name), document::with_fields(name, names));
    }
    // Any attribute can be there, as anything.
    schemas.insert(
        document::some_of("Record"),
        json!({
            "type": "object",
            "description": "A record as it was reported, with the attributes that `fields` names.",
        }),
    );
    schemas.insert(
        "Alive".to_owned(),
        json!({
            "type": "object",
            "required": ["status"],
            "properties": { "status": { "const": "alive" } },
        }),
    );
    schemas.insert(
        "Ready".to_owned(),
        json!({
            "type": "object",
            "required": ["status", "attached", "flushed"],
            "properties": {
                "status": { "enum": ["ready", "not ready"] },
                "attached": truth("Whether there is a connection to a router."),
                "flushed": truth("Whether the sources that are known were asked for all of their records."),
                "detail": text("The same in words."),
                "connectionsNeverReported": {
                    "type": "integer", "minimum": 1,
                    "description": "Connections that routers counted at listeners that are there, and never reported; absent where there are none.",
                },
                "error": text("Why it is not ready."),
            },
        }),
    );
    schemas.insert(
        "Error".to_owned(),
        json!({
            "type": "object",
            "required": ["error"],
            "properties": { "error": text("What was wrong, where, and what would be right.") },
        }),
    );
    schemas.into()
}

/// A record of that kind in the old terms.
fn record(kind: RecordKind) -> Value {
    let properties = described(kind.name(), &schema::of_kind(kind));
    json!({
        "type": "object",
        "description": kind.description().trim(),
        "required": ["rtype", "id"],
        "properties": properties,
    })
}

/// The properties of records that are called `rtype`.
fn described(rtype: &str, properties: &[Property]) -> Map<String, Value> {
    let describe = |property: &Property| match property.name {
        "rtype" => json!({ "const": rtype }),
        _ => property.kind.schema(property.presence, &property.description),
    };
    properties.iter().map(|property| (property.name.to_owned(), describe(property))).collect()
}

/// A record as it was reported.
fn reported() -> Value {
    json!({
        "type": "object",
        "description": "A record as it was reported and merged: any attribute can be there. Those of the table are as described here, unless a source sent them as something else.",
        "required": ["id"],
        "properties": {
            "rtype": {
                "description": "The name of the record type, or its number where the table does not have it.",
                "type": ["string", "integer"],
            },
            "id": text(Attribute::Identity.description().trim()),
        },
    })
}

fn van_address() -> Value {
    let properties = schema::of_address();
    let required = properties.iter().filter(|property| property.presence == Presence::Always);
    json!({
        "type": "object",
        "description": "An address at which services can be reached.",
        "required": required.map(|property| property.name).collect::<Vec<_>>(),
        "properties": described(VAN_ADDRESS, &properties),
    })
}

fn text(description: &str) -> Value {
    Kind::Text.schema(Presence::Always, description)
}

fn truth(description: &str) -> Value {
    Kind::Truth.schema(Presence::Always, description)
}
