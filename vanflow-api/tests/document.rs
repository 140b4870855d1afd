//! The OpenAPI document, and the answers against it.

use std::collections::BTreeMap;

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::support::{CAPTURES, Fixture, check, replay};

fn document(fixture: &Fixture) -> Value {
    fixture.get("/api/v1alpha1/openapi.json").json()
}

#[test]
fn the_document_is_what_it_was() {
    let fixture = Fixture::new(vanflow_store::Store::new(vanflow_store::StoreOptions::default()));
    insta::assert_json_snapshot!("openapi", document(&fixture));
}

/// What answers of a path have to be, with every property spelled out if `strictly`.
fn validator(document: &Value, path: &str, status: &str, strictly: bool) -> Validator {
    let mut response = &document["paths"][path]["get"]["responses"][status];
    if let Some(reference) = response.get("$ref").and_then(Value::as_str) {
        response =
            document.pointer(reference.trim_start_matches('#')).expect("the reference leads somewhere");
    }
    let schema = &response["content"]["application/json"]["schema"];
    assert!(schema.is_object(), "{path} {status} has no schema");
    let mut schema = schema.clone();
    let mut components = document["components"].clone();
    if strictly {
        for (name, schema) in components["schemas"].as_object_mut().unwrap() {
            // Nothing is asked for but all of each item.
            if name.ends_with(".fields") {
                *schema = json!(false);
            } else if name != "Record" {
                schema.as_object_mut().unwrap().insert("additionalProperties".to_owned(), json!(false));
            }
        }
    }
    schema.as_object_mut().unwrap().insert("components".to_owned(), components);
    jsonschema::draft202012::new(&schema).expect("it is a schema")
}

#[test]
fn every_reference_leads_somewhere() {
    fn walk(document: &Value, part: &Value, found: &mut usize) {
        if let Some(reference) = part.get("$ref").and_then(Value::as_str) {
            assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
            *found += 1;
        }
        let parts: Vec<_> = match part {
            Value::Object(members) => members.values().collect(),
            Value::Array(items) => items.iter().collect(),
            _ => return,
        };
        parts.into_iter().for_each(|part| walk(document, part, found));
    }
    let document = document(&Fixture::new(vanflow_store::Store::new(vanflow_store::StoreOptions::default())));
    let mut found = 0;
    walk(&document, &document, &mut found);
    assert!(found > 100, "{found}");
}

#[test]
fn every_answer_over_the_captures_is_as_the_document_says() {
    let empty = Fixture::new(vanflow_store::Store::new(vanflow_store::StoreOptions::default()));
    let document = document(&empty);
    let mut items = BTreeMap::<String, usize>::new();
    for capture in CAPTURES {
        for until in [20_000_000, u64::MAX] {
            let fixture = Fixture::new(replay(capture, until));
            for path in document["paths"].as_object().unwrap().keys().filter(|path| path.starts_with("/api"))
            {
                let queries: Vec<String> = match path.rsplit('/').next().unwrap() {
                    "openapi.json" => continue,
                    "flows" => ["echo:7", "web", "shop", "dead", "nowhere"]
                        .map(|address| format!("{path}?vanaddr={address}"))
                        .into(),
                    "record" => fixture
                        .list("/api/v1alpha1/records?includeDeleted=1")
                        .chunks(100)
                        .map(|records| {
                            let ids = records.iter().map(|record| record["id"].as_str().unwrap());
                            let ids: Vec<_> = ids.map(|id| format!("id={id}&id={id}.far")).collect();
                            format!("{path}?id=vanaddr:web&{}", ids.join("&"))
                        })
                        .collect(),
                    _ => vec![format!("{path}?limit=100000")],
                };
                let validator = validator(&document, path, "200", true);
                for query in queries {
                    for query in [format!("{query}&includeDeleted=1"), query] {
                        let answer = fixture.get(&query).json();
                        check(&validator, &answer, &query);
                        *items.entry(path.clone()).or_default() += answer.as_array().unwrap().len();
                    }
                }
            }
        }
    }
    let empty: Vec<_> =
        items.iter().filter(|(_, count)| **count == 0).map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        empty,
        ["controllers", "hosts", "processgroups"].map(|list| format!("/api/v1alpha1/{list}")),
        "the captures have something for every other list"
    );
}

#[test]
fn answers_other_than_lists_are_as_the_document_says() {
    let fixture = Fixture::new(vanflow_store::Store::new(vanflow_store::StoreOptions::default()));
    let document = document(&fixture);
    check(&validator(&document, "/healthz", "200", true), &fixture.get("/healthz").json(), "/healthz");
    check(&validator(&document, "/readyz", "503", true), &fixture.get("/readyz").json(), "/readyz");
    let error = fixture.get("/api/v1alpha1/flows").json();
    check(&validator(&document, "/api/v1alpha1/flows", "400", true), &error, "/api/v1alpha1/flows");
    let wrong = json!([{ "rtype": "ROUTER", "id": 7 }, { "rtype": "LINK", "id": "l" }]);
    let validator = validator(&document, "/api/v1alpha1/routers", "200", false);
    assert_eq!(validator.iter_errors(&wrong).count(), 2, "what is wrong is found to be");
}
