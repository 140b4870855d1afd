//! What is there beside what the network observer shows.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use vanflow_proto::{Attribute, RecordKind, SourceType, Timestamp, UpdateBuf};

use super::{COLLECTIONS, connection, identities, network, new, results, single};
use crate::support::{EPOCH, Fixture};

/// A router with 30 connections and a request in each, and the same after a restart that gave out all ids again.
fn restarted() -> Fixture {
    let mut fixture = network();
    for incarnation in 0..2_u64 {
        let now = Timestamp::from_micros(EPOCH + incarnation * 1_000_000);
        if incarnation > 0 {
            let mut store = fixture.publisher.write();
            let source = store.source_seen("gv_ZW:0", SourceType::Router, now);
            store.source_restarted(source, now);
        }
        let at = |update: UpdateBuf| update.with(Attribute::StartTime, now.as_micros());
        fixture.report(&[at(new(RecordKind::Router, "gv_ZW:0")
            .with(Attribute::Parent, "aaaa1111-site-a")
            .with(Attribute::Name, "0/router-a"))]);
        fixture.report(&[at(UpdateBuf::new(RecordKind::Listener, "gv_ZW:1")
            .with(Attribute::Parent, "gv_ZW:0")
            .with(Attribute::Protocol, "tcp")
            .with(Attribute::VanAddress, "backend"))]);
        for number in 0..30 {
            let id = format!("gv_ZW:{}", 10 + number);
            let request = UpdateBuf::new(RecordKind::BiflowApp, format!("gv_ZW:{}", 50 + number))
                .with(Attribute::Parent, id.as_str());
            let end = |update: UpdateBuf| match number % 3 {
                0 => update,
                _ => update.with(Attribute::EndTime, now.as_micros() + 5),
            };
            fixture.report(&[
                end(at(connection(&id, "10.0.0.9").with(Attribute::Parent, "gv_ZW:1"))
                    .with(Attribute::Octets, incarnation)),
                end(at(request)),
            ]);
        }
    }
    fixture
}

fn texts(items: &[Value], name: &str) -> Vec<String> {
    items.iter().map(|item| item[name].as_str().unwrap().to_owned()).collect()
}

#[test]
fn rows_with_one_identity_have_keys_of_their_own_by_which_they_are_found() {
    // faults 6
    let fixture = restarted();
    for collection in ["connections", "applicationflows", "listeners", "routers"] {
        let all = results(&fixture, &format!("{collection}?state=all&timeRangeStart=0"));
        let keys: BTreeSet<_> = texts(&all, "key").into_iter().collect();
        let ids: BTreeSet<_> = texts(&all, "identity").into_iter().collect();
        assert_eq!(keys.len(), all.len(), "{collection}: each has one of its own");
        assert!(ids.len() < all.len(), "{collection}: some stand there twice");
        for item in &all {
            let key = item["key"].as_str().unwrap();
            assert_eq!(key, format!("{}@{}", item["identity"].as_str().unwrap(), item["startTime"]));
            assert_eq!(single(&fixture, &format!("{collection}/{key}")), *item);
        }
        let latest = all.iter().filter(|item| item["identity"] == all[0]["identity"]);
        let latest = latest.max_by_key(|item| item["startTime"].as_u64()).unwrap();
        let id = latest["identity"].as_str().unwrap();
        assert_eq!(single(&fixture, &format!("{collection}/{id}")), *latest, "an identity is the latest");
        let nobody = fixture.get(&format!("/api/v2alpha1/{collection}/{id}@7"));
        assert_eq!(nobody.status, 404, "{collection}");
    }
}

#[test]
fn pages_skip_and_double_nothing_where_identities_come_back() {
    // faults 6
    let fixture = restarted();
    for collection in ["connections", "applicationflows"] {
        for order in
            ["", "&sortBy=identity.desc", "&sortBy=endTime.asc", "&sortBy=octetCount.desc", "&sortBy=key.asc"]
        {
            for state in ["all", "terminated", "active"] {
                let query = format!("{collection}?state={state}&timeRangeStart=0{order}");
                let whole = texts(&results(&fixture, &query), "key");
                let mut paged = Vec::new();
                for offset in (0..60).step_by(7) {
                    paged.extend(texts(
                        &results(&fixture, &format!("{query}&limit=7&offset={offset}")),
                        "key",
                    ));
                }
                assert_eq!(paged, whole, "{query}");
                assert_eq!(whole.iter().collect::<BTreeSet<_>>().len(), whole.len(), "{query}");
            }
        }
    }
    let one = &results(&fixture, "connections?limit=1&state=all&timeRangeStart=0")[0]["key"];
    let found =
        results(&fixture, &format!("connections?state=all&timeRangeStart=0&key={}", one.as_str().unwrap()));
    assert_eq!(texts(&found, "key"), [one.as_str().unwrap()], "it can be filtered by");
}

#[test]
fn a_zero_that_was_reported_differs_from_one_that_was_not() {
    let mut fixture = network();
    fixture.report(&[
        connection("ra:10", "10.0.0.9"),
        connection("ra:11", "10.0.0.9")
            .with(Attribute::Octets, 0)
            .with(Attribute::OctetsReverse, 7)
            .with(Attribute::Latency, 0),
        new(RecordKind::Link, "ra:20").with(Attribute::Parent, "ra:0"),
        new(RecordKind::Link, "ra:21").with(Attribute::Parent, "ra:0").with(Attribute::Octets, 0),
    ]);
    let shown = |path: &str, names: &[&str]| -> Vec<Value> {
        let item = single(&fixture, path);
        names.iter().flat_map(|name| [item[name].clone(), item[format!("{name}Known")].clone()]).collect()
    };
    let of_connections = ["octetCount", "octetReverseCount", "latency", "latencyReverse"];
    assert_eq!(
        json!(shown("connections/ra:10", &of_connections)),
        json!([0, false, 0, false, 0, false, 0, false])
    );
    assert_eq!(
        json!(shown("connections/ra:11", &of_connections)),
        json!([0, true, 7, true, 0, true, 0, false])
    );
    let of_links = ["octetCount", "octetReverseCount"];
    assert_eq!(json!(shown("routerlinks/ra:20", &of_links)), json!([0, false, 0, false]));
    assert_eq!(json!(shown("routerlinks/ra:21", &of_links)), json!([0, true, 0, false]));
    assert_eq!(identities(&fixture, "connections?latencyKnown=true"), ["ra:11"]);
}

#[test]
fn the_client_in_front_of_a_proxy_is_shown_and_found() {
    let mut fixture = network();
    let request = |id: &str| new(RecordKind::BiflowApp, id).with(Attribute::Parent, "ra:10");
    fixture.report(&[
        connection("ra:10", "10.0.0.9"),
        request("ra:11").with(Attribute::SourceHost, "203.0.113.7"),
        request("ra:12"),
    ]);
    let proxied = single(&fixture, "applicationflows/ra:11");
    assert_eq!(proxied["clientAddress"], "203.0.113.7");
    assert_eq!(proxied["sourceProcessName"], "site-client-10.0.0.9-aaaa1111", "who connects is the proxy");
    assert_eq!(single(&fixture, "applicationflows/ra:12")["clientAddress"], Value::Null);
    assert_eq!(identities(&fixture, "applicationflows?clientAddress=203.0.113"), ["ra:11"]);
    assert_eq!(identities(&fixture, "applicationflows?sortBy=clientAddress.desc"), ["ra:11", "ra:12"]);
    let flows = fixture.list("/api/v1alpha1/flows?vanaddr=backend");
    let client = |id: &str| {
        let flow = flows.iter().find(|flow| flow["id"] == id).unwrap();
        flow.get("sourceHost").cloned()
    };
    assert_eq!(client("ra:11"), Some(json!("203.0.113.7")));
    assert_eq!(
        (client("ra:12"), client("ra:11.far")),
        (None, None),
        "a server sees the proxy of the network"
    );
}

#[test]
fn properties_come_in_the_order_of_their_names() {
    let fixture = Fixture::replayed("router-3.5");
    for collection in COLLECTIONS {
        let items = results(&fixture, &format!("{collection}?state=all&timeRangeStart=0"));
        for item in items {
            let names: Vec<_> = item.as_object().unwrap().keys().collect();
            assert!(names.is_sorted(), "{collection}: {names:?}");
        }
    }
}

#[test]
fn a_listener_says_how_many_connections_were_never_reported() {
    // faults 33
    let mut fixture = network();
    let names = ["connectionCount", "connectionsReceived", "connectionsNeverReported"];
    let shown = |fixture: &Fixture| {
        let listener = single(fixture, "listeners/ra:1");
        json!(names.map(|name| listener[name].clone()))
    };
    assert_eq!(shown(&fixture), json!([null, 0, null]), "its router does not count");
    let counter =
        |count: u64| UpdateBuf::new(RecordKind::Listener, "ra:1").with(Attribute::FlowCountL4, count);
    fixture.report(&[counter(0), connection("ra:10", "10.0.0.9")]);
    let advance = |fixture: &Fixture, seconds: u64| {
        fixture.publisher.write().advance(Timestamp::from_micros(EPOCH + seconds * 1_000_000));
    };
    advance(&fixture, 31);
    fixture.report(&[counter(3)]);
    assert_eq!(shown(&fixture), json!([3, 1, 0]), "two may be on their way");
    advance(&fixture, 62);
    assert_eq!(shown(&fixture), json!([3, 1, 2]));
    let listener = &fixture.list("/api/v1alpha1/listeners")[0];
    assert_eq!((&listener["flowCountL4"], &listener["connectionsNeverReported"]), (&json!(3), &json!(2)));
    let metrics = fixture.get("/metrics").text().to_owned();
    let line = "skupper_listener_connections_never_reported{site_id=\"aaaa1111-site-a\",routing_key=\"backend\"} 2\n";
    assert!(metrics.contains(line), "{metrics}");
}
