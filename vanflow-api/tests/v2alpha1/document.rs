//! The OpenAPI document, and the answers against it.

use jsonschema::Validator;
use serde_json::{Value, json};

use super::{COLLECTIONS, network};
use crate::support::{CAPTURES, Fixture, check, replay};

fn document() -> Value {
    network().get("/openapi.json").json()
}

/// What the answers of a path have to be, with every property spelled out.
fn validator(document: &Value, path: &str, status: &str) -> Validator {
    let content = &document["paths"][path]["get"]["responses"][status]["content"]["application/json"];
    let mut schema = content["schema"].clone();
    assert!(schema.is_object(), "{path} {status} has no schema");
    let mut components = document["components"].clone();
    for (name, schema) in components["schemas"].as_object_mut().unwrap() {
        // Nothing is asked for but all of each item.
        if name.ends_with(".fields") || name == "Group" {
            *schema = json!(false);
        } else {
            schema.as_object_mut().unwrap().insert("additionalProperties".to_owned(), json!(false));
        }
    }
    schema.as_object_mut().unwrap().insert("components".to_owned(), components);
    jsonschema::draft202012::new(&schema).expect("it is a schema")
}

#[test]
fn the_document_is_what_it_was() {
    insta::assert_json_snapshot!("v2alpha1-openapi", document());
}

#[test]
fn the_document_has_both_apis_and_every_reference_leads_somewhere() {
    fn walk(document: &Value, part: &Value, found: &mut usize) {
        if let Some(reference) = part.get("$ref").and_then(Value::as_str) {
            assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
            *found += 1;
        }
        match part {
            Value::Object(members) => members.values().for_each(|part| walk(document, part, found)),
            Value::Array(items) => items.iter().for_each(|part| walk(document, part, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = 0;
    walk(&document, &document, &mut found);
    assert!(found > 300, "{found}");
    for path in ["/api/v1alpha1/flows", "/api/v2alpha1/connections", "/healthz"] {
        assert!(document["paths"][path].is_object(), "{path}");
    }
    let paths = document["paths"].as_object().unwrap();
    let ids: std::collections::BTreeSet<_> =
        paths.values().map(|path| path["get"]["operationId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), paths.len(), "each operation has an id of its own");
}

#[test]
fn every_answer_over_the_captures_is_as_the_document_says() {
    let document = document();
    for capture in CAPTURES {
        for until in [20_000_000, 40_000_000, u64::MAX] {
            let fixture = Fixture::new(replay(capture, until));
            for collection in COLLECTIONS {
                let path = format!("/api/v2alpha1/{collection}");
                let answer = fixture.get(&format!("{path}?state=all&timeRangeStart=0")).json();
                check(&validator(&document, &path, "200"), &answer, &path);
                let Some(first) = answer["results"].get(0) else { continue };
                let one = format!("{path}/{}", first["identity"].as_str().unwrap());
                let validator = validator(&document, &format!("{path}/{{id}}"), "200");
                check(&validator, &fixture.get(&one).json(), &one);
            }
        }
    }
}

#[test]
fn refusals_are_as_the_document_says() {
    let (fixture, document) = (network(), document());
    for (path, asked, status) in [
        ("sites", "sites?foo=1", "400"),
        ("sites/{id}", "sites/nobody", "404"),
        ("services/{id}/connections", "services/nobody/connections", "404"),
        ("hosts", "hosts", "410"),
    ] {
        let answer = fixture.get(&format!("/api/v2alpha1/{asked}"));
        assert_eq!(answer.status.as_str(), status, "{asked}");
        check(&validator(&document, &format!("/api/v2alpha1/{path}"), status), &answer.json(), asked);
    }
}

/// A parameter of a list, and what it takes.
fn parameters(document: &Value, path: &str) -> Vec<(String, Value)> {
    let all = document["paths"][path]["get"]["parameters"].as_array().into_iter().flatten();
    let resolved = all.map(|parameter| match parameter["$ref"].as_str() {
        Some(at) => document.pointer(at.trim_start_matches('#')).expect("it leads somewhere"),
        None => parameter,
    });
    let in_query = resolved.filter(|parameter| parameter["in"] == "query");
    in_query
        .map(|parameter| (parameter["name"].as_str().unwrap().to_owned(), parameter["schema"].clone()))
        .collect()
}

/// Values that a schema forbids, each for a reason of its own, and some that it allows.
fn values(schema: &Value) -> (Vec<String>, Vec<String>) {
    let validator = jsonschema::draft202012::new(schema).expect("it is a schema");
    let is_allowed = |text: &str| {
        let number = text.parse::<i64>().map(Value::from);
        validator.is_valid(&json!(text)) || number.is_ok_and(|number| validator.is_valid(&number))
    };
    let candidates = [
        "banana",
        "",
        "-1",
        "1.5",
        "True",
        "yesterday",
        "1795347880",
        "1795347880000",
        "null",
        "*",
        "0",
        "7",
        "true",
        "1795347880000000",
        "2026-11-22T11:44:40Z",
        "-15m",
        "now",
        "1h",
        "a,b",
        "name",
        "name.asc",
        "identity.desc",
        "id",
        "identity",
        "rtype,id",
        "count",
        "sum(octetCount)",
        "p95(duration)",
        "p0(duration)",
        "sum(banana)",
    ];
    let mut candidates: Vec<_> = candidates.iter().map(|text| (*text).to_owned()).collect();
    let enumerated = schema["enum"].as_array().into_iter().flatten();
    candidates.extend(enumerated.filter_map(Value::as_str).map(str::to_owned));
    candidates.into_iter().partition(|text| !is_allowed(text))
}

/// What the document forbids is a 400 that names the parameter, and what it allows is answered.
#[test]
fn every_parameter_takes_what_the_document_says_and_nothing_else() {
    let (fixture, document) = (network(), document());
    let service = &fixture.get("/api/v2alpha1/services").json()["results"][0];
    let mut counts = (0, 0);
    for (path, item) in document["paths"].as_object().unwrap() {
        if item["get"]["responses"].get("406").is_none() || path.ends_with("/{id}") {
            continue;
        }
        let id = if path.contains("services/") {
            service["identity"].as_str().unwrap()
        } else {
            "aaaa1111-site-a"
        };
        let asked = path.replace("{id}", id);
        let needed = match path.rsplit('/').next() {
            Some("flows") => "vanaddr=x&",
            Some("record") => "id=x&",
            _ => "",
        };
        for (name, schema) in parameters(&document, path) {
            // What is named has to be there, which no document can say.
            if path.starts_with("/api/v1/") && ["open", "service", "from", "to"].contains(&&*name) {
                continue;
            }
            if path.starts_with("/api/v2alpha1/") && name == "after" {
                continue;
            }
            let schema = if schema["type"] == "array" { schema["items"].clone() } else { schema };
            let (forbidden, allowed) = values(&schema);
            let needed = if needed.starts_with(&format!("{name}=")) { "" } else { needed };
            let ask = |value: &str| fixture.get(&format!("{asked}?{needed}{name}={value}"));
            for value in forbidden {
                // How a value begins does for some filters, as the network observer has it; the description says so.
                let answer = ask(&value);
                assert_eq!(answer.status.as_u16(), 400, "{path} {name}={value}");
                let error = answer.json();
                let text = error.get("message").or(error.get("error")).unwrap().as_str().unwrap();
                let said = format!("`{name}` ");
                let is_named = text.starts_with(&said) || text.starts_with("one cannot ");
                assert!(is_named, "{path} {name}={value}: {text}");
                counts.0 += 1;
            }
            for value in
                allowed.into_iter().filter(|value| !(name == "watch" && ["1", "true"].contains(&&**value)))
            {
                // What is ordered by a column of groups needs them.
                let is_column = name == "sortBy" && value.contains('(');
                let answer = if is_column { continue } else { ask(&value) };
                assert_eq!(answer.status.as_u16(), 200, "{path} {name}={value}: {}", answer.text());
                counts.1 += 1;
            }
        }
        let answer = fixture.get(&format!("{asked}?{needed}banana=1"));
        assert_eq!(answer.status.as_u16(), 400, "{path}: what is no parameter");
    }
    assert!(counts.0 > 1_500 && counts.1 > 4_000, "{counts:?}");
}
