//! The map of networks as they are asked for.

use proptest::prelude::*;
use serde_json::Value;
use vanflow_api::ApiOptions;
use vanflow_history::HistoryOptions;
use vanflow_proto::{Attribute, RecordKind, SourceType, Timestamp, UpdateBuf};
use vanflow_store::{Store, StoreOptions};

use super::ask;
use crate::support::{CAPTURES, EPOCH, Fixture, apply, replay, request_with};

fn new(kind: RecordKind, id: &str) -> UpdateBuf {
    UpdateBuf::new(kind, id).with(Attribute::StartTime, EPOCH)
}

fn service(kind: RecordKind, id: &str, router: &str, address: &str) -> UpdateBuf {
    new(kind, id)
        .with(Attribute::Parent, router)
        .with(Attribute::Protocol, "tcp")
        .with(Attribute::VanAddress, address)
        .with(Attribute::DestHost, "10.0.0.2")
        .with(Attribute::DestPort, "8080")
}

fn connection(id: &str, host: &str, octets: u64) -> UpdateBuf {
    new(RecordKind::BiflowTport, id)
        .with(Attribute::Parent, "r1:1")
        .with(Attribute::SourceHost, host)
        .with(Attribute::Connector, "r2:1")
        .with(Attribute::Trace, "0/west-1|0/east-1")
        .with(Attribute::Octets, octets)
        .with(Attribute::OctetsReverse, 9 * octets)
        .with(Attribute::Latency, 2_000)
        .with(Attribute::ProcessLatency, 500)
}

/// Two sites with a link: carts, and somebody from outside, ask the catalog, which a service without a server stands
/// beside.
fn network() -> Vec<UpdateBuf> {
    let mut updates = vec![
        new(RecordKind::Site, "site-w").with(Attribute::Name, "west").with(Attribute::Platform, "kubernetes"),
        new(RecordKind::Site, "site-e").with(Attribute::Name, "east").with(Attribute::Platform, "podman"),
        new(RecordKind::RouterAccess, "r2:9").with(Attribute::Parent, "r2:0"),
        new(RecordKind::Link, "r1:9")
            .with(Attribute::Parent, "r1:0")
            .with(Attribute::Name, "east")
            .with(Attribute::Peer, "r2:9")
            .with(Attribute::OperStatus, "up")
            .with(Attribute::Octets, 0)
            .with(Attribute::LinkCost, 3),
        service(RecordKind::Listener, "r1:1", "r1:0", "catalog:8080"),
        service(RecordKind::Connector, "r2:1", "r2:0", "catalog:8080"),
        service(RecordKind::Listener, "r1:2", "r1:0", "gifts:8080"),
    ];
    for (id, site, name) in [("r1:0", "site-w", "0/west-1"), ("r2:0", "site-e", "0/east-1")] {
        updates.push(new(RecordKind::Router, id).with(Attribute::Parent, site).with(Attribute::Name, name));
    }
    for (id, site, name, host) in [
        ("p-cart-1", "site-w", "cart-1", "10.0.0.1"),
        ("p-cart-2", "site-w", "cart-2", "10.0.0.3"),
        ("p-catalog", "site-e", "catalog-1", "10.0.0.2"),
    ] {
        updates.push(
            new(RecordKind::Process, id)
                .with(Attribute::Parent, site)
                .with(Attribute::Name, name)
                .with(Attribute::Group, name.split('-').next().unwrap_or_default())
                .with(Attribute::SourceHost, host)
                .with(Attribute::Mode, "external"),
        );
    }
    for (number, host) in ["10.0.0.1", "10.0.0.1", "10.0.0.3", "192.168.0.7"].into_iter().enumerate() {
        updates.push(connection(&format!("r1:{}", 20 + number), host, 1_000));
    }
    let failed = connection("r1:30", "10.0.0.3", 0)
        .with(Attribute::EndTime, EPOCH + 9)
        .with(Attribute::ErrorConnectorSide, "connection refused");
    updates.push(failed);
    updates
}

fn fixture(updates: &[UpdateBuf]) -> Fixture {
    let mut fixture = Fixture::new(Store::new(StoreOptions::default()));
    fixture.report(updates);
    fixture
}

fn find<'v>(list: &'v Value, key: &str, value: &str) -> &'v Value {
    let found = list.as_array().unwrap().iter().find(|item| item[key] == value);
    found.unwrap_or_else(|| panic!("no {key} {value} in {list}"))
}

#[test]
fn a_map_of_two_sites_in_every_form() {
    let fixture = fixture(&network());
    insta::assert_json_snapshot!("v1-map-components", ask(&fixture, "map"));
    insta::assert_json_snapshot!("v1-map-processes", ask(&fixture, "map?level=process"));
    for form in ["svg", "dot", "mermaid"] {
        let answer = fixture.get(&format!("/api/v1/map?format={form}"));
        insta::assert_snapshot!(format!("v1-map-{form}"), answer.text());
    }
}

#[test]
fn maps_over_the_captures() {
    for capture in CAPTURES {
        let fixture = Fixture::new(replay(capture, 20_000_000));
        let mut text = String::new();
        for query in ["level=site&format=mermaid", "format=mermaid", "level=process&format=mermaid&limit=3"] {
            text += fixture.get(&format!("/api/v1/map?{query}")).text();
            text += "\n";
        }
        insta::assert_snapshot!(format!("v1-maps-{capture}"), text);
    }
}

#[test]
fn accept_says_which_form_it_is_and_each_has_its_own_tag() {
    let fixture = fixture(&network());
    let mut tags = std::collections::BTreeSet::new();
    for (accept, content_type, begin) in [
        ("application/json", "application/json", "{"),
        ("*/*", "application/json", "{"),
        ("image/avif,image/svg+xml,image/*;q=0.8", "image/svg+xml", "<svg "),
        ("text/vnd.graphviz", "text/vnd.graphviz; charset=utf-8", "digraph "),
        ("text/vnd.mermaid", "text/vnd.mermaid; charset=utf-8", "flowchart "),
    ] {
        let answer = fixture.ask(request_with("/api/v1/map", &[("accept", accept)]));
        assert_eq!(answer.header("content-type"), Some(content_type));
        assert!(answer.text().starts_with(begin), "{accept}: {}", answer.text());
        let tag = answer.header("etag").unwrap().to_owned();
        let known = fixture.ask(request_with("/api/v1/map", &[("accept", accept), ("if-none-match", &tag)]));
        assert_eq!(known.status.as_u16(), 304);
        tags.insert(tag);
    }
    assert_eq!(tags.len(), 4);
    let answer = fixture.ask(request_with("/api/v1/map", &[("accept", "text/html")]));
    assert_eq!(answer.status.as_u16(), 406);
    assert!(answer.text().contains("image/svg+xml"), "{}", answer.text());
}

#[test]
fn what_is_opened_is_shown_deeper_than_the_rest() {
    let fixture = fixture(&network());
    let map = ask(&fixture, "map?level=site");
    assert_eq!(map["nodes"], serde_json::json!([]));
    let edge = &map["edges"][0];
    assert_eq!([&edge["source"], &edge["destination"]], ["site-w", "site-e"]);
    assert_eq!([&edge["units"], &edge["errors"], &edge["openConnections"]], [5, 1, 4]);
    assert_eq!(find(&map["areas"], "id", "site-e")["text"], "catalog: 20 % of 5 connections failed");
    // By identity or name; of one that has gone nothing is opened.
    for query in ["open=site-w", "open=west&open=0b9b3f8e-0000-4000-8000-3f6a0c6f3a11"] {
        let map = ask(&fixture, &format!("map?level=site&{query}"));
        let mut names: Vec<_> =
            map["nodes"].as_array().unwrap().iter().map(|node| node["name"].as_str().unwrap()).collect();
        names.sort_unstable();
        assert_eq!(names, ["cart", "site clients"], "{query}");
    }
    let map = ask(&fixture, "map?open=west");
    assert_eq!(find(&map["nodes"], "name", "cart-1")["kind"], "process");
    assert_eq!(find(&map["nodes"], "name", "catalog")["kind"], "component");
}

#[test]
fn the_traffic_of_one_service_alone_is_shown_when_asked_for() {
    let fixture = fixture(&network());
    assert_eq!(ask(&fixture, "map?service=catalog:8080")["edges"].as_array().unwrap().len(), 2);
    let map = ask(&fixture, "map?service=gifts:8080");
    assert_eq!(map["edges"], serde_json::json!([]));
    assert_eq!(map["nodes"].as_array().unwrap().len(), 3, "nobody moves for it");
    assert_eq!(map["unplaced"][0]["text"], "1 listener in west, no connector in any site");
}

#[test]
fn a_map_that_cannot_be_is_refused_with_what_can() {
    let fixture = fixture(&network());
    for (query, message) in [
        ("level=pod", "`level` is `pod`, but must be site, component or process"),
        ("limit=0", "`limit` is `0`, but must be a whole number from 1 to 150"),
        ("limit=151", "`limit` is `151`, but must be a whole number from 1 to 150"),
        ("format=png", "`format` is `png`, but must be json, svg, dot or mermaid"),
        ("open=wes", "`open` is `wes`, but must be the identity or name of a site; did you mean west?"),
        (
            "service=catalog",
            "`service` is `catalog`, but must be the address or identity of a service; did you mean catalog:8080?",
        ),
        (
            "time=noon",
            "`time` is `noon`, but must be microseconds since the epoch, a time as in 2026-11-26T03:14:00Z, one before now as \
             in -1h or -15m, or now",
        ),
        (
            "levl=site",
            "`levl` is no parameter of /api/v1/map; did you mean level? it takes level, open, service, time, limit, format",
        ),
    ] {
        let answer = fixture.get(&format!("/api/v1/map?{query}"));
        assert_eq!(answer.status.as_u16(), 400, "{query}");
        assert_eq!(answer.json()["message"], message, "{query}");
    }
}

/// The network with a history, fed each five seconds while 1,000 octets a second go one way and 9,000 the other.
fn measured(seconds: u64) -> Fixture {
    let mut options = ApiOptions::default();
    options.history = Some(HistoryOptions::default());
    let fixture = Fixture::with_options(Store::new(StoreOptions::default()), options);
    let source = {
        let mut store = fixture.publisher.write();
        let source = store.source_seen("r1:0", SourceType::Router, Timestamp::from_micros(EPOCH));
        apply(&mut store, source, &network(), Timestamp::from_micros(EPOCH));
        // A second link between the same routers has octets of its own.
        let spare =
            new(RecordKind::Link, "r1:10").with(Attribute::Parent, "r1:0").with(Attribute::Peer, "r2:9");
        let spare = spare.with(Attribute::Name, "spare").with(Attribute::Octets, 0);
        apply(&mut store, source, &[spare], Timestamp::from_micros(EPOCH));
        source
    };
    for second in (0..=seconds).step_by(5) {
        let now = Timestamp::from_micros(EPOCH + second * 1_000_000);
        let mut store = fixture.publisher.write();
        store.advance(now);
        let octets = 1_000 + 1_000 * second;
        let link = new(RecordKind::Link, "r1:9").with(Attribute::Octets, 7 * octets);
        let spare = new(RecordKind::Link, "r1:10").with(Attribute::Octets, 2 * octets);
        apply(&mut store, source, &[connection("r1:20", "10.0.0.1", octets), link, spare], now);
        drop(store);
        fixture.publisher.publish();
        fixture.api.remember(now);
    }
    fixture
}

#[test]
fn rates_are_those_of_the_history() {
    let fixture = measured(120);
    let map = ask(&fixture, "map");
    assert_eq!(map["time"], EPOCH + 120_000_000);
    let cart = find(&map["nodes"], "name", "cart")["id"].as_str().unwrap();
    let edge = find(&map["edges"], "source", cart);
    for (name, rate) in [("sentRate", 1_000.0), ("receivedRate", 9_000.0), ("octetRate", 10_000.0)] {
        assert_eq!(edge[name]["10s"], rate, "{name}");
        assert_eq!(edge[name]["1m"], rate, "{name}");
    }
    assert_eq!(find(&map["links"], "name", "east")["octetRate"]["1m"], 7_000.0);
    assert_eq!(find(&map["links"], "name", "spare")["octetRate"]["1m"], 2_000.0);
    // The sum of a closed area is that of what is in it.
    let closed = ask(&fixture, "map?level=site");
    assert_eq!(closed["edges"][0]["octetRate"]["10s"], 10_000.0);
}

#[test]
fn without_a_history_nothing_is_said_of_rates() {
    let map = ask(&fixture(&network()), "map");
    for edge in map["edges"].as_array().unwrap() {
        assert!(edge.get("octetRate").is_none() && edge.get("sentRate").is_none(), "{edge}");
    }
    assert!(map["nodes"][0].get("octetRate").is_none());
}

#[test]
fn a_map_of_the_past_is_of_what_was_measured_then() {
    let fixture = measured(120);
    let at = EPOCH + 60_000_000;
    let map = ask(&fixture, &format!("map?time={at}"));
    assert_eq!(map["time"], at);
    assert!(map.get("note").is_none(), "{map}");
    let cart = find(&map["nodes"], "name", "cart")["id"].as_str().unwrap();
    let edge = find(&map["edges"], "source", cart);
    assert_eq!(edge["octetRate"]["10s"], 10_000.0);
    assert!(edge.get("openConnections").is_none() && edge.get("latencyP50").is_none(), "{edge}");
    let before = ask(&fixture, &format!("map?time={}", EPOCH - 60_000_000));
    assert_eq!(before["note"], "nothing was measured then: traffic is not known");
    assert_eq!(before["areas"], serde_json::json!([]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn it_makes_no_difference_in_which_order_records_come(updates in Just(network()).prop_shuffle()) {
        let expected = fixture(&network());
        let other = fixture(&updates);
        for query in ["map", "map?level=process", "map?level=site&open=west"] {
            prop_assert_eq!(ask(&expected, query), ask(&other, query));
        }
    }
}

#[test]
fn a_map_that_nobody_waits_for_is_not_drawn_and_others_have_theirs_whole() {
    let path = "/api/v1/map?level=process";
    let undisturbed = measured(60).get(path).text().to_owned();
    let fixture = measured(60);
    let interest = vanflow_api::Interest::default();
    interest.end();
    let abandoned = interest.compute(|| fixture.get(path));
    assert_eq!(abandoned.status.as_u16(), 503);
    assert_eq!(
        abandoned.text(),
        "{\"code\":\"ErrUnavailable\",\"message\":\"nobody waits for this answer any more\"}\n"
    );
    assert_eq!(fixture.get(path).text(), undisturbed);
}
