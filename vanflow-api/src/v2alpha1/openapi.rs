//! The part of the OpenAPI document that is about this API, made from the route table and the schemas.

use serde_json::{Map, Value, json};
use vanflow_history::QueryKind;

use crate::{
    route::{Endpoint, ID, PROMETHEUS as PROMETHEUS_BASE, ROUTES, Route, V2ALPHA1},
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
    let routes = ROUTES
        .iter()
        .filter(|route| route.path.starts_with(V2ALPHA1) || route.path.starts_with(PROMETHEUS_BASE));
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
    schemas.insert(PROMETHEUS.to_owned(), prometheus_answer());
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
            "description": "An identity, or the `key` of one of several that had it one after the other. Colons, plus signs and `@` in it stand for themselves.",
            "schema": { "type": "string", "minLength": 1 },
        }),
    );
    parameters
}

const ERROR: &str = "CodedError";
const PROMETHEUS: &str = "PrometheusAnswer";

fn prefixed(name: &str) -> String {
    format!("v2alpha1.{name}")
}

fn reference(components: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{components}/{name}") })
}

fn path(route: &Route) -> Value {
    match route.endpoint {
        Endpoint::User | Endpoint::Logout => return account(route),
        Endpoint::Chart(kind) => return query_of_chart(route, kind),
        Endpoint::Metadata | Endpoint::BuildInfo => return about_metrics(route),
        _ => {}
    }
    let mut parameters = Vec::new();
    if route.path.contains(ID) {
        parameters.push(reference("parameters", &prefixed("id")));
    }
    let mut responses = Map::new();
    match route.endpoint {
        Endpoint::List(collection) | Endpoint::OfSite(collection) | Endpoint::OfService(collection) => {
            parameters.extend(RESERVED.iter().map(|(name, _)| reference("parameters", &prefixed(name))));
            parameters.extend(collection.schema().properties().map(filter));
            let mut found = list(collection.schema());
            if let Endpoint::List(_) = route.endpoint {
                found["links"] = links(route).into();
            }
            responses.insert("200".to_owned(), found);
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
            responses.insert("410".to_owned(), refusal("Hosts are not reported"));
        }
    }
    let mut operation = json!({
        "operationId": operation_id(route),
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

/// What the console asks of its user.
fn account(route: &Route) -> Value {
    let (name, known) = match route.endpoint {
        Endpoint::User => (
            "user",
            json!({
                "description": "The name of the user, as far as it can be read from the cookie",
                "content": { "application/json": { "schema": {
                    "type": "object",
                    "required": ["username", "authType"],
                    "additionalProperties": false,
                    "properties": {
                        "username": { "type": "string" },
                        "authType": { "const": "openshift" },
                    },
                } } },
            }),
        ),
        _ => ("logout", json!({ "description": "The cookie is taken back" })),
    };
    json!({ "get": {
        "operationId": format!("v2alpha1-{name}"),
        "summary": route.summary,
        "responses": {
            "200": known,
            "204": { "description": "There is no such cookie" },
            "404": refusal("No console is served"),
        },
    } })
}

/// What a chart asks, in the query string or in a form.
fn query_of_chart(route: &Route, kind: QueryKind<'_>) -> Value {
    let name = match route.path.strip_prefix(PROMETHEUS_BASE) {
        Some(path) => format!("prometheus-{}", path.replace(ID, "name").replace('/', "-")),
        None => format!("v2alpha1-prom-{}", route.path.rsplit('/').next().unwrap_or_default()),
    };
    let time = json!({
        "type": "string",
        "description": "Seconds since the Unix epoch, with a fraction, or a time as in RFC 3339.",
    });
    let text = json!({ "type": "string" });
    let step = json!({ "type": "string", "description": "Seconds, or a duration such as `15s`." });
    let (required, members) = match kind {
        QueryKind::Instant => (json!(["query"]), json!({ "query": text, "time": time, "timeout": text })),
        QueryKind::Range => (
            json!(["query", "start", "end", "step"]),
            json!({ "query": text, "start": time, "end": time, "step": step, "timeout": text }),
        ),
        QueryKind::Labels | QueryKind::LabelValues(_) => (json!([]), about_series(&time)),
        QueryKind::Series => (json!(["match[]"]), about_series(&time)),
    };
    let mut parameters: Vec<_> = members
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, schema)| {
            let is_required = required.as_array().is_some_and(|required| required.contains(&json!(name)));
            json!({ "name": name, "in": "query", "required": is_required, "schema": schema })
        })
        .collect();
    if let QueryKind::LabelValues(_) = kind {
        let description = "The name of a label: letters, digits and underscores, no digit first.";
        let schema = json!({ "type": "string", "minLength": 1 });
        parameters.push(
            json!({ "name": "id", "in": "path", "required": true, "description": description, "schema": schema }),
        );
    }
    let answer = answer_of_prometheus;
    let responses = json!({
        "200": answer("What the query comes to"),
        "400": answer("A parameter is missing, or makes no sense"),
        "413": answer("The form is too long"),
        "422": answer("The query cannot be evaluated"),
        "502": answer("The Prometheus that was named cannot be reached"),
        "503": answer("The query was given up, or took too long"),
        "504": answer("The Prometheus that was named does not answer"),
    });
    let mut operations = json!({
        "get": {
            "operationId": name,
            "summary": route.summary,
            "parameters": parameters,
            "responses": responses,
        },
    });
    if kind.takes_form() {
        operations["post"] = json!({
            "operationId": format!("{name}-form"),
            "summary": format!("{}, asked in a form", route.summary),
            "requestBody": {
                "required": true,
                "content": { "application/x-www-form-urlencoded": { "schema": {
                    "type": "object",
                    "required": required,
                    "properties": members,
                } } },
            },
            "responses": responses,
        });
    }
    operations
}

/// The parameters of a question about which series there are.
fn about_series(time: &Value) -> Value {
    let selectors = json!({
        "type": "array",
        "items": { "type": "string" },
        "description": "Selectors of series, such as `skupper_site_info{name=\"west\"}`; what any of them finds is meant.",
    });
    let limit = json!({
        "type": "integer",
        "minimum": 0,
        "description": "How many items the answer has at most; 0 is no limit.",
    });
    json!({ "match[]": selectors, "start": time, "end": time, "limit": limit })
}

fn answer_of_prometheus(description: &str) -> Value {
    json!({
        "description": description,
        "content": { "application/json": { "schema": reference("schemas", PROMETHEUS) } },
    })
}

/// What is known of metrics and of who answers, without a history.
fn about_metrics(route: &Route) -> Value {
    let mut operation = json!({
        "operationId": format!("prometheus-{}", route.path.trim_start_matches(PROMETHEUS_BASE).replace('/', "-")),
        "summary": route.summary,
        "responses": { "200": answer_of_prometheus("What was asked for") },
    });
    if route.endpoint == Endpoint::Metadata {
        operation["parameters"] = json!([
            query_parameter(
                "metric",
                "The name of the one metric that is meant.",
                json!({ "type": "string" })
            ),
            query_parameter(
                "limit",
                "How many metrics the answer has at most; one below 0 is no limit.",
                json!({ "type": "integer" })
            ),
        ]);
        operation["responses"]["400"] = answer_of_prometheus("A parameter makes no sense");
    }
    json!({ "get": operation })
}

/// What Prometheus answers.
fn prometheus_answer() -> Value {
    let texts = json!({ "type": "array", "items": { "type": "string" } });
    json!({
        "type": "object",
        "description": "An answer in the form of Prometheus.",
        "required": ["status"],
        "properties": {
            "status": { "enum": ["success", "error"] },
            "data": {
                "type": ["object", "array"],
                "description": "The result of a query with its type, or a list, or what is known of metrics.",
                "properties": {
                    "resultType": { "enum": ["vector", "matrix", "scalar", "string"] },
                    "result": { "type": "array" },
                },
            },
            "errorType": { "type": "string", "description": "What went wrong, for programs." },
            "error": { "type": "string", "description": "What went wrong, for people." },
            "warnings": texts,
            "infos": texts,
        },
    })
}

fn operation_id(route: &Route) -> String {
    format!("v2alpha1-{}", route.path.trim_start_matches(V2ALPHA1).replace(ID, "id").replace('/', "-"))
}

/// Where the identity of something in a list leads: to itself, and to what belongs to it.
fn links(list: &Route) -> Map<String, Value> {
    let below = format!("{}/{ID}", list.path);
    let routes = ROUTES
        .iter()
        .filter(|route| route.path.starts_with(&below) && !matches!(route.endpoint, Endpoint::Gone));
    let link = |route: &Route| {
        json!({
            "operationId": operation_id(route),
            "parameters": { "id": "$response.body#/results/0/identity" },
            "description": format!("{}, for each item.", route.summary),
        })
    };
    routes.map(|route| (operation_id(route), link(route))).collect()
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
        .properties()
        .filter(|property| property.presence != Presence::Optional)
        .map(|property| property.name)
        .collect();
    let properties: Map<_, _> =
        schema.properties().map(|property| (property.name.to_owned(), described(property))).collect();
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
