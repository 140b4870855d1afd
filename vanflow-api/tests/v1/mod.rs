//! This collector's own API.

mod document;
mod events;
mod golden;
mod map;
mod network_status;
mod path;
mod stream;
mod verdict;

use serde_json::Value;

use crate::support::Fixture;

/// Every resource that answers in JSON without a parameter.
pub(crate) const RESOURCES: [&str; 5] = ["verdict", "sources", "network-status", "events", "map"];

/// What a path under the API answers.
pub(crate) fn ask(fixture: &Fixture, path: &str) -> Value {
    let answer = fixture.get(&format!("/api/v1/{path}"));
    assert_eq!(answer.status.as_u16(), 200, "{path}: {}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"), "{path}");
    answer.json()
}
