//! The OpenAPI document, and the answers against it.

use jsonschema::Validator;
use serde_json::{Value, json};

use super::RESOURCES;
use crate::support::{CAPTURES, Fixture, check, replay};

/// What the answers of a path have to be.
fn validator(document: &Value, path: &str, status: &str) -> Validator {
    let content = &document["paths"][path]["get"]["responses"][status]["content"]["application/json"];
    let mut schema = content["schema"].clone();
    assert!(schema.is_object(), "{path} {status} has no schema");
    schema["components"] = document["components"].clone();
    jsonschema::draft202012::new(&schema).expect("it is a schema")
}

#[test]
fn every_answer_over_the_captures_is_as_the_document_says() {
    for capture in CAPTURES {
        for until in [0, 20_000_000, 40_000_000, u64::MAX] {
            let fixture = Fixture::new(replay(capture, until));
            let document = fixture.get("/openapi.json").json();
            for resource in RESOURCES {
                let path = format!("/api/v1/{resource}");
                check(&validator(&document, &path, "200"), &fixture.get(&path).json(), &path);
            }
            let validator = validator(&document, "/api/v1/path", "200");
            for asked in ["from=west&to=shop", "from=east&to=shop"] {
                let answer = fixture.get(&format!("/api/v1/path?{asked}"));
                if answer.status.is_success() {
                    check(&validator, &answer.json(), asked);
                }
            }
        }
    }
}

#[test]
fn what_is_wrong_in_an_answer_is_found_to_be() {
    let fixture = Fixture::replayed("router-3.5");
    let document = fixture.get("/openapi.json").json();
    let validator = validator(&document, "/api/v1/verdict", "200");
    let mut answer = fixture.get("/api/v1/verdict").json();
    assert_eq!(validator.iter_errors(&answer).count(), 0);
    answer["counts"]["planets"] = json!(9);
    answer["state"] = json!("splendid");
    answer.as_object_mut().unwrap().shift_remove("text");
    assert_eq!(validator.iter_errors(&answer).count(), 3);
}

#[test]
fn refusals_say_what_would_be_right_and_are_as_the_document_says() {
    let fixture = Fixture::replayed("router-3.5");
    let document = fixture.get("/openapi.json").json();
    for (path, asked, status, message) in [
        ("verdict", "verdict?site=west", "400", "`site` is no parameter of /api/v1/verdict; it takes none"),
        (
            "sources",
            "sources?limit=%zz",
            "400",
            "`limit=%zz` is not well-formed: two hexadecimal digits have to follow each %, and %25 stands for one",
        ),
    ] {
        let answer = fixture.get(&format!("/api/v1/{asked}"));
        assert_eq!(answer.status.as_str(), status, "{asked}");
        let json = answer.json();
        assert_eq!(json["message"], message, "{asked}");
        assert_eq!(json["code"], "ErrBadRequest", "{asked}");
        check(&validator(&document, &format!("/api/v1/{path}"), status), &json, asked);
    }
    let nowhere = fixture.get("/api/v1/verdicts");
    assert_eq!(nowhere.status.as_u16(), 404);
    let message = nowhere.json()["message"].as_str().unwrap().to_owned();
    assert!(
        message.starts_with(
            "there is nothing at `/api/v1/verdicts`; under /api/v1/ there are verdict, sources, network-status, events, stream"
        ),
        "{message}"
    );
}
