//! The OpenAPI document, and the answers against it.

use jsonschema::Validator;
use serde_json::{Value, json};

use super::{COLLECTIONS, network};
use crate::support::{CAPTURES, Fixture, replay};

fn document() -> Value {
    network().get("/openapi.json").json()
}

/// What the answers of a path have to be, with every property spelled out.
fn validator(document: &Value, path: &str, status: &str) -> Validator {
    let content = &document["paths"][path]["get"]["responses"][status]["content"]["application/json"];
    let mut schema = content["schema"].clone();
    assert!(schema.is_object(), "{path} {status} has no schema");
    let mut components = document["components"].clone();
    for schema in components["schemas"].as_object_mut().unwrap().values_mut() {
        schema.as_object_mut().unwrap().insert("additionalProperties".to_owned(), json!(false));
    }
    schema.as_object_mut().unwrap().insert("components".to_owned(), components);
    jsonschema::draft202012::new(&schema).expect("it is a schema")
}

fn check(validator: &Validator, answer: &Value, path: &str) {
    let errors: Vec<_> =
        validator.iter_errors(answer).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{path}: {errors:#?}");
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
