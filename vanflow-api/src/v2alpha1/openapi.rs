//! The part of the OpenAPI document that is about this API, made from the route table and the schemas.

use serde_json::{Map, Value, json};
use vanflow_history::QueryKind;

use crate::{
    query::{document, filter::Comparison},
    route::{Endpoint, ID, PROMETHEUS as PROMETHEUS_BASE, ROUTES, Route, V2ALPHA1},
    user::{AuthType, OPENSHIFT},
    v2alpha1::{
        collection::Collection,
        group,
        query::{AFTER, AGGREGATE, GROUP_BY, OPERATIONS, RESERVED, SEARCH, STATES, STEP},
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
    let mut schemas = Map::new();
    for its in collections().map(Collection::schema) {
        let names = its.properties().map(|property| property.name);
        schemas.insert(its.name.to_owned(), schema(its));
        schemas.insert(document::some_of(its.name), document::with_fields(its.name, names));
    }
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
    schemas.insert(
        GROUP.to_owned(),
        json!({
            "type": "object",
            "description": "What some connections or requests come to: what they are grouped by, and the aggregates under the names by which they are asked for.",
            "additionalProperties": { "type": ["string", "integer", "boolean", "array", "null"] },
        }),
    );
    schemas.insert(PROMETHEUS.to_owned(), prometheus_answer());
    schemas
}

/// Every parameter: those that all lists share, and for each schema its filters and what names its properties.
pub(crate) fn parameters() -> Map<String, Value> {
    let mut parameters = Map::new();
    for name in RESERVED.into_iter().filter(|name| !names_properties(name)) {
        parameters.insert(prefixed(name), reserved(name, None));
    }
    for (component, name, description) in [
        (
            prefixed(SEARCH),
            SEARCH,
            "Only items that have this in any of their texts, whatever the case of letters. Of several values each has to be there.",
        ),
        (prefixed(&not(SEARCH)), "search!", "Only items that have none of these in any of their texts."),
    ] {
        let schema = json!({ "type": "array", "items": { "type": "string" } });
        parameters.insert(component, document::parameter(name, description, &schema));
    }
    for collection in collections() {
        let schema = collection.schema();
        for name in RESERVED.into_iter().filter(|name| names_properties(name) && takes(collection, name)) {
            parameters.insert(of_schema(schema, name), reserved(name, Some(collection)));
        }
        for property in schema.properties() {
            let [filter, opposite] = document::filters(property.filtered(), Comparison::Beginning);
            parameters.insert(of_schema(schema, property.name), filter);
            parameters.insert(of_schema(schema, &not(property.name)), opposite);
        }
    }
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

/// Whether a parameter is another one for each schema because its values are names of properties.
fn names_properties(name: &str) -> bool {
    ["sortBy", "fields", GROUP_BY, AGGREGATE].contains(&name)
}

/// Whether lists of a collection take a parameter.
fn takes(collection: Collection, name: &str) -> bool {
    collection.flow_kind().is_some() || ![GROUP_BY, AGGREGATE, STEP, AFTER].contains(&name)
}

fn of_schema(schema: &Schema, name: &str) -> String {
    prefixed(&format!("{}.{name}", schema.name))
}

/// What the filter by all else is called among the components, which have no exclamation marks.
fn not(name: &str) -> String {
    format!("{name}.not")
}

/// A parameter that is no filter.
fn reserved(name: &str, collection: Option<Collection>) -> Value {
    let schema = collection.map(Collection::schema);
    let properties = || schema.into_iter().flat_map(Schema::properties).map(|property| property.name);
    let columns = schema.into_iter().flat_map(group::numbers).map(|property| property.name);
    let aggregate =
        format!("count|(sum|min|max|p[1-9][0-9]?)\\(({})\\)", columns.collect::<Vec<_>>().join("|"));
    let all = properties().collect::<Vec<_>>().join("|");
    let is_grouped = collection.is_some_and(|collection| collection.flow_kind().is_some());
    let integer = json!({ "type": "integer", "format": "int64" });
    let (description, schema) = match name {
        "limit" => (
            "How many items the list has at most; 0 to count only. Without it, or below 0, there is no limit.",
            integer,
        ),
        "offset" => ("How many items to pass over first.", integer),
        AFTER => (
            "The `key` of an item: what comes after it, whatever has come before it by now, so that no page has an item of \
             the page before, and none is passed over. Empty for the first page.",
            json!({ "type": "string" }),
        ),
        "sortBy" if is_grouped => (
            "A property, a dot, and `asc` or `desc`. Ties break by identity; without it that is the order. Of groups it is \
             a column; without it the order is by what they are grouped by.",
            json!({ "type": "string", "pattern": format!("^({all}|{aggregate})\\.(asc|desc)$") }),
        ),
        "sortBy" => (
            "A property, a dot, and `asc` or `desc`. Ties break by identity; without it that is the order.",
            json!({ "type": "string", "pattern": format!("^({all})\\.(asc|desc)$") }),
        ),
        "state" => (
            "`active` for what has not ended, `terminated` for what has, `all` for both. Without it, connections, \
             requests and pairs are listed whether ended or not, and anything else if it is there now.",
            json!({ "type": "string", "enum": STATES }),
        ),
        "timeRangeStart" => (
            "Microseconds since the epoch, 0 for the beginning of all time; RFC 3339 as in `2026-11-26T03:14:00Z`; so \
             long before now, as in `-1h` or `-15m`; or `now`. 15 minutes ago if not given.",
            document::time(),
        ),
        "timeRangeEnd" => ("The same; now if not given. It cannot be before the start.", document::time()),
        "timeRangeOperation" => (
            "`intersects` for what was there at some time in the range, which is so if not given, `contains` for what \
             was there all of the time, `within` for what started and ended in it.",
            json!({ "type": "string", "enum": OPERATIONS }),
        ),
        "fields" => (
            "The properties that items are shown with, with commas between them; all where it is not given. In CSV they \
             are the columns, in that order.",
            document::names(properties()),
        ),
        GROUP_BY => (
            "Properties, with commas between them: there is a row for each of their values, in place of the items. \
             `limit` and `offset` page the rows, `count` and `timeRangeCount` count them.",
            document::names(properties()),
        ),
        AGGREGATE => (
            "What rows say of their items, with commas between: `count`; `sum(…)`, `min(…)`, `max(…)` or a percentile, \
             `p1(…)` to `p99(…)`, of a number. `count` where it is not given; without `groupBy` of all items in one row. \
             What is not known is left out. Percentiles are exact: values at the nearest rank.",
            json!({ "type": "string", "pattern": format!("^({aggregate})(,({aggregate}))*$") }),
        ),
        STEP => (
            "Groups by time, too: a length as in `1m`, `1h` or `1d`. Of what ended in the range there is a row for each step \
             in which any did, and for each value of `groupBy`; `time` says where the step begins, in microseconds since \
             the epoch. What has not ended is in none. Steps of whole minutes or hours are answered from sums that are kept \
             for longer than rows.",
            json!({ "type": "string", "pattern": "^([0-9]+[a-z]+)+$" }),
        ),
        _ => (
            "With 1, the list is followed by one JSON object per line for each item that changes or ends, until the \
             client leaves. With `Accept: text/event-stream` they are server-sent events, `list` and `record`; a watch \
             that goes on with `Last-Event-ID` learns what it missed, or the list again where that cannot be reported. \
             Groups cannot be watched.",
            json!({ "type": "string", "enum": ["1", "0", "true", "false"], "default": "0" }),
        ),
    };
    document::parameter(name, description, &schema)
}

const ERROR: &str = "CodedError";
const GROUP: &str = "Group";
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
            let schema = collection.schema();
            let mut refer = |name: &str| parameters.push(reference("parameters", name));
            for name in RESERVED.into_iter().filter(|name| takes(collection, name)) {
                refer(&if names_properties(name) { of_schema(schema, name) } else { prefixed(name) });
            }
            refer(&prefixed(SEARCH));
            refer(&prefixed(&not(SEARCH)));
            for property in schema.properties() {
                refer(&of_schema(schema, property.name));
                refer(&of_schema(schema, &not(property.name)));
            }
            let mut found = list(collection);
            if let Endpoint::List(_) = route.endpoint {
                found["links"] = links(route).into();
            }
            responses.insert("200".to_owned(), found);
            responses.insert(
                "400".to_owned(),
                refusal("It names what there is not, or has a value that makes no sense"),
            );
            responses.insert("406".to_owned(), refusal("It has none of the forms that are asked for"));
            if !matches!(route.endpoint, Endpoint::List(_)) {
                responses.insert("404".to_owned(), refusal("There is no site or service with that identity"));
            }
        }
        Endpoint::Single(collection) => {
            responses.insert("200".to_owned(), single(collection.schema()));
            responses.insert("404".to_owned(), refusal("There is nothing with that identity"));
            responses.insert("406".to_owned(), refusal("It has no other form than JSON"));
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
                "description": "Who asks, and how they showed it: by the cookie of a proxy (openshift), which starts with \
                                the name; by a session, a password, a token, a certificate or another proxy; or nobody is asked, though others than this machine reach \
                                the collector (none)",
                "content": { "application/json": { "schema": {
                    "type": "object",
                    "required": ["username", "authType"],
                    "additionalProperties": false,
                    "properties": {
                        "username": { "type": "string" },
                        "authType": { "enum": auth_types() },
                    },
                } } },
            }),
        ),
        _ => ("logout", json!({ "description": "The cookie is taken back, of the proxy or of the session" })),
    };
    json!({ "get": {
        "operationId": format!("v2alpha1-{name}"),
        "summary": route.summary,
        "responses": {
            "200": known,
            "204": { "description": "Nobody is asked who they are, or there is no such cookie" },
            "404": refusal("No console is served, and nobody is asked who they are"),
        },
    } })
}

/// How users can have shown who they are.
fn auth_types() -> Vec<&'static str> {
    let known = AuthType::NAMES.map(|(_, name)| name);
    [OPENSHIFT].into_iter().chain(known).collect()
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
                "required": required.as_array().is_some_and(|names| !names.is_empty()),
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
            document::parameter(
                "metric",
                "The name of the one metric that is meant.",
                &json!({ "type": "string" })
            ),
            document::parameter(
                "limit",
                "How many metrics the answer has at most; one below 0 is no limit.",
                &json!({ "type": "integer" })
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

fn list(collection: Collection) -> Value {
    let name = collection.schema().name;
    let mut forms = vec![reference("schemas", name), reference("schemas", &document::some_of(name))];
    if collection.flow_kind().is_some() {
        forms.push(reference("schemas", GROUP));
    }
    let items = json!({ "anyOf": forms });
    let count = |description: &str| json!({ "type": "integer", "minimum": 0, "description": description });
    let mut properties = json!({
        "results": { "type": "array", "items": items },
        "count": count("How many items are in the list."),
        "timeRangeCount": count("How many there would be without `limit` and `offset`."),
    });
    if collection.flow_kind().is_some() {
        properties["answeredFrom"] = count(
            "Only where that is not what was asked for: of what ended from then on, in microseconds since the epoch, all is \
             in the answer. What ended before is not kept any more; or it is kept in steps, of which the answer has all \
             that ended in the first one. In every form it is in the header `vanflow-answered-from`, too.",
        );
        properties["answeredUntil"] = count(
            "The same of the other end, and `vanflow-answered-until`: the answer has all that ended in the last step, and \
             nothing that was open then.",
        );
    }
    json!({
        "description": "The list; with `watch`, the list and what changes after it",
        "content": {
            "application/json": { "schema": {
                "type": "object",
                "required": ["results", "count", "timeRangeCount"],
                "additionalProperties": false,
                "properties": properties,
            } },
            "application/x-ndjson": { "schema": {
                "type": "string",
                "description": "An item on each line. With `watch`, the list on the first line, and then a changed item on each; the last line can be an `Error`",
            } },
            "text/csv": { "schema": {
                "type": "string",
                "description": "The names of the properties on the first line, and then an item on each, as in RFC 4180. A text that a spreadsheet would run as a formula has an apostrophe before it",
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
    let unit = if property.kind == Kind::Instant { " In microseconds since the Unix epoch." } else { "" };
    property.kind.schema(property.presence, &format!("{}{unit}", property.description))
}
