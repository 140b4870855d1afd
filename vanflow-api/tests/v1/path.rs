//! The ways that traffic takes.

use serde_json::Value;

use super::ask;
use crate::support::{Fixture, replay};

fn message(fixture: &Fixture, query: &str) -> String {
    let answer = fixture.get(&format!("/api/v1/path?{query}"));
    assert_eq!(answer.status.as_u16(), 400, "{query}");
    answer.json()["message"].as_str().unwrap().to_owned()
}

#[test]
fn the_ways_of_each_service_of_a_capture() {
    let fixture = Fixture::new(replay("router-3.5", u64::MAX));
    let services = fixture.get("/api/v2alpha1/services").json();
    let mut found = Vec::new();
    for service in services["results"].as_array().unwrap() {
        let address = service["name"].as_str().unwrap();
        for site in ["west", "east"] {
            let ways = ask(&fixture, &format!("path?from={site}&to={address}"));
            let paths = ways["paths"].as_array().unwrap();
            let sum: u64 = paths.iter().map(|path| path["connections"].as_u64().unwrap()).sum();
            assert_eq!(ways["connections"], sum);
            assert!(paths.is_sorted_by_key(|path| std::cmp::Reverse(path["connections"].as_u64())));
            found.push(ways);
        }
    }
    insta::assert_json_snapshot!("v1-path-router-3.5", found);
}

#[test]
fn ends_are_named_by_identity_name_or_address() {
    let fixture = Fixture::new(replay("router-3.5", u64::MAX));
    let way = |from: &str, to: &str| -> Value { ask(&fixture, &format!("path?from={from}&to={to}")) };
    let services = fixture.get("/api/v2alpha1/services").json();
    let sites = fixture.get("/api/v2alpha1/sites?state=all").json();
    let west = sites["results"].as_array().unwrap().iter().find(|site| site["name"] == "west").unwrap();
    let service = &services["results"][0];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    assert_eq!(
        way("west", &text(&service["name"])),
        way(&text(&west["identity"]), &text(&service["identity"]))
    );
}

#[test]
fn what_is_not_there_is_refused_with_what_may_be_meant() {
    let fixture = Fixture::new(replay("router-3.5", u64::MAX));
    assert_eq!(
        message(&fixture, "from=wes&to=shop"),
        "`from` is `wes`, but must be the identity or name of a process, a component or a site; did you mean web or west?"
    );
    assert_eq!(
        message(&fixture, "from=west&to=shpo"),
        "`to` is `shpo`, but must be the identity or address of a service, or the identity or name of a process or component"
    );
    assert_eq!(
        message(&fixture, "from=west"),
        "`to` is missing: name a service by its address or identity, or a process or component by its identity or name"
    );
}
