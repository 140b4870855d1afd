//! The network observer's API.

mod additions;
mod answers;
mod console;
mod derived;
mod document;
mod ended;
mod flows;
mod gateways;
mod golden;
mod invariants;
pub(crate) mod past;
mod query;
mod transport;
mod watch;

use serde_json::Value;
use vanflow_proto::{Attribute, RecordKind, UpdateBuf};

use crate::support::{EPOCH, Fixture};

pub(crate) const COLLECTIONS: [&str; 14] = [
    "sites",
    "routers",
    "routerlinks",
    "routeraccess",
    "listeners",
    "connectors",
    "services",
    "components",
    "processes",
    "sitepairs",
    "componentpairs",
    "processpairs",
    "connections",
    "applicationflows",
];

/// What a path under the API answers.
pub(crate) fn ask(fixture: &Fixture, path: &str) -> Value {
    let answer = fixture.get(&format!("/api/v2alpha1/{path}"));
    assert_eq!(answer.status.as_u16(), 200, "{path}: {}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"), "{path}");
    answer.json()
}

pub(crate) fn results(fixture: &Fixture, path: &str) -> Vec<Value> {
    let answer = ask(fixture, path);
    let results = answer["results"].as_array().expect("a list").clone();
    assert_eq!(answer["count"], results.len(), "{path}");
    results
}

/// One property of each item of a list.
pub(crate) fn column(fixture: &Fixture, path: &str, name: &str) -> Vec<Value> {
    results(fixture, path).into_iter().map(|item| item[name].clone()).collect()
}

pub(crate) fn identities(fixture: &Fixture, path: &str) -> Vec<String> {
    column(fixture, path, "identity").iter().map(|id| id.as_str().unwrap().to_owned()).collect()
}

pub(crate) fn new(kind: RecordKind, id: &str) -> UpdateBuf {
    UpdateBuf::new(kind, id).with(Attribute::StartTime, EPOCH)
}

/// Two sites; a listener of `backend` at the first, a connector at the second.
pub(crate) fn network() -> Fixture {
    let mut fixture = Fixture::new(vanflow_store::Store::new(vanflow_store::StoreOptions::default()));
    let site = |id: &str, name: &str| new(RecordKind::Site, id).with(Attribute::Name, name);
    let router = |id: &str, site: &str, name: &str| {
        new(RecordKind::Router, id).with(Attribute::Parent, site).with(Attribute::Name, name)
    };
    fixture.report(&[
        site("aaaa1111-site-a", "west"),
        site("bbbb2222-site-b", "east"),
        router("ra:0", "aaaa1111-site-a", "0/router-a"),
        router("rb:0", "bbbb2222-site-b", "0/router-b"),
        new(RecordKind::Listener, "ra:1")
            .with(Attribute::Parent, "ra:0")
            .with(Attribute::Protocol, "tcp")
            .with(Attribute::VanAddress, "backend"),
        connector("rb:1", "10.0.0.1"),
    ]);
    fixture
}

pub(crate) fn connector(id: &str, host: &str) -> UpdateBuf {
    new(RecordKind::Connector, id)
        .with(Attribute::Parent, "rb:0")
        .with(Attribute::Protocol, "tcp")
        .with(Attribute::VanAddress, "backend")
        .with(Attribute::DestHost, host)
        .with(Attribute::DestPort, "8080")
}

pub(crate) fn process(id: &str, site: &str, host: &str) -> UpdateBuf {
    new(RecordKind::Process, id)
        .with(Attribute::Parent, site)
        .with(Attribute::Name, id)
        .with(Attribute::SourceHost, host)
}

pub(crate) fn connection(id: &str, host: &str) -> UpdateBuf {
    new(RecordKind::BiflowTport, id).with(Attribute::Parent, "ra:1").with(Attribute::SourceHost, host)
}

/// One item.
pub(crate) fn single(fixture: &Fixture, path: &str) -> Value {
    let mut answer = ask(fixture, path);
    assert_eq!(answer.as_object().unwrap().len(), 1, "{answer}");
    answer["results"].take()
}
