//! Filters, time range, state, order and paging.

use serde_json::{Value, json};
use vanflow_proto::{Attribute, RecordKind, UpdateBuf};

use super::{COLLECTIONS, ask, column, connection, identities, network, new, results};
use crate::support::{EPOCH, Fixture};

fn captured() -> Fixture {
    Fixture::replayed("router-3.5")
}

fn counts(fixture: &Fixture, path: &str) -> (u64, u64) {
    let answer = ask(fixture, path);
    (answer["count"].as_u64().unwrap(), answer["timeRangeCount"].as_u64().unwrap())
}

#[test]
fn the_envelope_has_the_items_and_two_counts() {
    let fixture = captured();
    let empty = Fixture::new(vanflow_store::Store::new(vanflow_store::StoreOptions::default()));
    for collection in COLLECTIONS {
        let answer = ask(&fixture, collection);
        let keys: Vec<_> = answer.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["results", "count", "timeRangeCount"], "{collection}");
        assert_eq!(ask(&empty, collection), json!({ "results": [], "count": 0, "timeRangeCount": 0 }));
    }
}

#[test]
fn paging_cuts_after_the_total_is_taken() {
    let fixture = captured();
    for (query, expected) in [
        ("sites?limit=1&offset=1", (1, 3)),
        ("sites?limit=0", (0, 3)),
        ("sites?limit=-1", (3, 3)),
        ("sites?limit=", (3, 3)),
        ("sites?limit=many", (3, 3)),
        ("sites?limit=2&limit=1", (2, 3)),
        ("sites?offset=-5", (3, 3)),
        ("sites?offset=3", (0, 3)),
        ("sites?limit=9223372036854775807&offset=1", (2, 3)),
        ("sites?limit=99999999999999999999", (3, 3)),
        ("connections?state=active&limit=0", (0, 0)),
        ("connections?state=terminated&limit=0", (0, 332)),
        ("connections?state=whatever&limit=0", (0, 332)),
    ] {
        assert_eq!(counts(&fixture, query), expected, "{query}");
    }
}

#[test]
fn pages_neither_repeat_nor_skip_whatever_the_order() {
    let fixture = captured();
    let all = identities(&fixture, "connections");
    assert!(all.is_sorted(), "by identity, unless otherwise asked for");
    // All of them are ties.
    for order in ["protocol.asc", "protocol.desc", "endTime.desc", "routingKey.asc"] {
        let whole = identities(&fixture, &format!("connections?sortBy={order}"));
        let pages: Vec<_> = (0..34)
            .flat_map(|page| {
                let query = format!("connections?sortBy={order}&limit=10&offset={}", page * 10);
                identities(&fixture, &query)
            })
            .collect();
        assert_eq!(pages, whole, "{order}");
        let mut sorted = whole;
        sorted.sort();
        assert_eq!(sorted, all, "{order}");
    }
}

#[test]
fn order_is_by_value_with_what_is_not_known_first() {
    let fixture = captured();
    for (order, name) in [("octetCount.desc", "octetCount"), ("EndTime.desc", "endTime")] {
        let numbers = column(&fixture, &format!("connections?sortBy={order}"), name);
        assert!(numbers.windows(2).all(|pair| pair[0].as_u64() >= pair[1].as_u64()), "{order}");
    }
    let targets = column(&fixture, "processes?sortBy=hostName.asc", "hostName");
    assert_eq!(targets[..3], [Value::Null, Value::Null, Value::Null]);
    let targets = column(&fixture, "processes?sortBy=hostName.desc", "hostName");
    assert_eq!(targets[5..], [Value::Null, Value::Null, Value::Null]);
    let observed = column(&fixture, "services?sortBy=observedApplicationProtocols.desc", "name");
    assert_eq!(observed, ["shop", "web", "dead", "echo:7"]);
    // What is no order is none.
    for order in ["name", "name.DESC", "", ".", "name.descending"] {
        assert!(identities(&fixture, &format!("sites?sortBy={order}")).is_sorted(), "{order}");
    }
}

#[test]
fn filters_go_by_the_type_of_the_property() {
    let fixture = captured();
    for (query, expected) in [
        ("sites?name=we", 1),
        ("sites?name=est", 0),
        ("sites?name=West", 0),
        ("sites?Name=west", 1),
        ("sites?name=west&name=edge", 2),
        ("sites?name=west&platform=podman", 0),
        ("sites?name=", 0),
        ("sites?name=&name=west", 1),
        ("sites?routerCount=1", 3),
        ("sites?routerCount=01", 3),
        ("sites?routerCount=1.0", 0),
        ("sites?routerCount=-1", 0),
        ("sites?routerCount=99999999999999999999", 0),
        ("services?hasListener=true", 4),
        ("services?hasListener=True", 0),
        ("services?hasListener=1", 0),
        ("services?observedApplicationProtocols=http", 2),
        ("services?name=echo:7", 1),
        ("services?name=echo%3A7", 1),
        ("processes?services=SHOP", 1),
        ("processes?services=sho", 0),
        ("processes?services=tcp", 4),
        ("processes?services=adr-b5869d7fca26e7b9", 1),
        ("processes?services=shop@adr-b5869d7fca26e7b9@tcp", 0),
        ("processes?role=remote&role=external&endTime=0", 8),
        ("processes?role=remote", 3),
        ("processes?hostName=", 0),
        ("connections?traceSites=edge&limit=1", 1),
        ("connections?listenerError=x", 0),
        // Pairs that are not well-formed are passed over, and what axios sends raw is taken.
        ("sites?a%zz=1", 3),
        ("sites?name=west;x=1", 3),
        ("sites?name=west&&", 1),
        ("sites?name=[60s]:,$1(x)~!*'", 0),
    ] {
        assert_eq!(results(&fixture, query).len(), expected, "{query}");
    }
}

#[test]
fn what_no_record_has_is_refused_by_name() {
    let fixture = captured();
    for (query, message) in [
        ("sites?foo=x", "one cannot filter by `foo`, which no Site has; it has "),
        ("sites?nAme=x", "one cannot filter by `nAme`, which no Site has; it has "),
        ("sites?=x", "one cannot filter by ``, which no Site has; it has "),
        ("sites?results=1&sortBy=bar.asc", "one cannot filter by `results`, which no Site has; it has "),
        ("sites?sortBy=bar.asc", "one cannot sort by `bar`, which no Site has; it has "),
        ("sites?sortBy=.asc", "one cannot sort by ``, which no Site has; it has "),
        ("sites?watch=maybe", "`watch` is `maybe`, but must be 1 or 0"),
    ] {
        let answer = fixture.get(&format!("/api/v2alpha1/{query}"));
        assert_eq!(answer.status.as_u16(), 400, "{query}");
        let error = answer.json();
        assert_eq!(error["code"], "ErrBadRequest");
        assert!(error["message"].as_str().unwrap().starts_with(message), "{query}: {error}");
    }
    let single = "/api/v2alpha1/sites/11111111-aaaa-4000-8000-000000000001?foo=x&sortBy=bar.asc";
    assert_eq!(fixture.get(single).status.as_u16(), 200, "a single item takes no parameters, and minds none");
}

#[test]
fn a_time_range_is_met_contained_or_kept_within() {
    let mut fixture = network();
    let at = |id: &str, start: u64, end: Option<u64>| {
        let update = UpdateBuf::new(RecordKind::BiflowTport, id)
            .with(Attribute::Parent, "ra:1")
            .with(Attribute::StartTime, EPOCH + start);
        end.map_or(update.clone(), |end| update.with(Attribute::EndTime, EPOCH + end))
    };
    fixture.report(&[at("ra:10", 10, Some(20)), at("ra:11", 30, Some(40)), at("ra:12", 15, None)]);
    let range = |start: u64, end: u64, operation: &str| {
        let (start, end) = (EPOCH + start, EPOCH + end);
        let query =
            format!("connections?timeRangeStart={start}&timeRangeEnd={end}&timeRangeOperation={operation}");
        identities(&fixture, &query)
    };
    assert_eq!(range(20, 29, "intersects"), ["ra:10", "ra:12"]);
    assert_eq!(range(21, 30, "2"), ["ra:11", "ra:12"]);
    assert_eq!(range(0, 14, ""), ["ra:10"]);
    assert_eq!(range(12, 18, "contains"), ["ra:10"]);
    assert_eq!(range(35, 100, "contains"), ["ra:12"]);
    assert_eq!(range(10, 40, "within"), ["ra:10", "ra:11"]);
    assert_eq!(range(11, 40, "within"), ["ra:11"]);
    let query = "connections?timeRangeOperation=within&timeRangeStart=0";
    assert_eq!(identities(&fixture, query), ["ra:10", "ra:11"]);
    assert_eq!(identities(&fixture, "connections?timeRangeStart=0&timeRangeEnd=0"), [""; 0]);
    assert_eq!(identities(&fixture, "connections?timeRangeStart=1e15"), ["ra:10", "ra:11", "ra:12"]);
    assert_eq!(identities(&fixture, "connections?timeRangeStart=-1"), ["ra:12"], "-1 is the latest time");
    assert_eq!(identities(&fixture, "sites?timeRangeStart=0&timeRangeEnd=0"), [""; 0]);
}

#[test]
fn a_list_goes_back_fifteen_minutes_unless_asked_to_go_further() {
    const MINUTE: u64 = 60_000_000;
    let mut fixture = network();
    let ended = |id: &str, minutes_ago: u64| {
        connection(id, "10.0.0.9")
            .with(Attribute::StartTime, EPOCH - 30 * MINUTE)
            .with(Attribute::EndTime, EPOCH - minutes_ago * MINUTE)
    };
    fixture.report(&[ended("ra:10", 14), ended("ra:11", 16)]);
    assert_eq!(identities(&fixture, "connections"), ["ra:10"]);
    assert_eq!(identities(&fixture, "connections?timeRangeStart=0"), ["ra:10", "ra:11"]);
}

#[test]
fn what_starts_in_our_future_is_there_all_the_same() {
    let mut fixture = network();
    let site = new(RecordKind::Site, "cccc3333").with(Attribute::StartTime, EPOCH + 3_600_000_000);
    fixture.report(&[site]);
    assert!(identities(&fixture, "sites").contains(&"cccc3333".to_owned()));
}

#[test]
fn what_has_gone_is_listed_for_those_who_ask_for_it() {
    let mut fixture = network();
    fixture
        .report(&[UpdateBuf::new(RecordKind::Site, "bbbb2222-site-b").with(Attribute::EndTime, EPOCH + 5)]);
    assert_eq!(identities(&fixture, "sites"), ["aaaa1111-site-a"]);
    assert_eq!(identities(&fixture, "sites?state=terminated"), ["bbbb2222-site-b"]);
    assert_eq!(identities(&fixture, "sites?state=all").len(), 2);
    assert_eq!(super::single(&fixture, "sites/bbbb2222-site-b")["endTime"], EPOCH + 5);
}
