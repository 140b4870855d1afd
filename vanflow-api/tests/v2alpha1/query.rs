//! Filters, time range, state, order and paging.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use vanflow_proto::{Attribute, RecordKind, UpdateBuf};

use super::{COLLECTIONS, ask, column, connection, identities, network, new, results};
use crate::support::{EPOCH, Fixture, replay};

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
        ("sites?offset=-5", (3, 3)),
        ("sites?offset=3", (0, 3)),
        ("sites?limit=9223372036854775807&offset=1", (2, 3)),
        ("sites?limit=99999999999999999999", (3, 3)),
        ("connections?state=active&limit=0", (0, 0)),
        ("connections?state=terminated&limit=0", (0, 332)),
        ("connections?state=all&limit=0", (0, 332)),
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
        ("sites?routerCount!=1", 0),
        ("sites?routerCount=*", 3),
        ("services?hasListener=true", 4),
        ("services?hasListener!=true", 0),
        ("services?observedApplicationProtocols=http", 2),
        ("services?name=echo:7", 1),
        ("services?name=echo%3A7", 1),
        ("processes?services=SHOP", 1),
        ("processes?services=sho", 0),
        ("processes?services=tcp", 4),
        ("processes?services=adr-b5869d7fca26e7b9", 1),
        ("processes?services=shop@adr-b5869d7fca26e7b9@tcp", 1),
        ("processes?services=[%22shop@adr-b5869d7fca26e7b9@tcp%22]", 1),
        ("processes?services!=shop@adr-b5869d7fca26e7b9@tcp", 7),
        ("processes?services=*", 4),
        ("processes?services!=*", 4),
        ("processes?services=null", 4),
        ("processes?role=remote&role=external&endTime=0", 8),
        ("processes?role=remote", 3),
        ("processes?hostName=", 0),
        ("processes?hostName!=*", 3),
        ("processes?hostName=null", 3),
        ("processes?hostName=*", 5),
        ("sites?name!=west", 2),
        ("sites?name!=west&name!=edge", 1),
        ("sites?name!=w&name=e", 2),
        ("sites?provider=", 0),
        ("sites?endTime!=*", 3),
        ("connections?listenerError!=*&limit=1", 1),
        ("connections?listenerError=*&limit=1", 1),
        ("connections?traceSites=edge&limit=1", 1),
        ("connections?listenerError=x", 0),
        // What axios sends raw is taken.
        ("sites?name=west;x=1", 0),
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
        ("sites?nAme=x", "one cannot filter by `nAme`, which no Site has; did you mean name? it has "),
        ("sites?nme!=x", "one cannot filter by `nme`, which no Site has; did you mean name? it has "),
        (
            "sites?timeRangestart=0",
            "one cannot filter by `timeRangestart`, which no Site has; did you mean timeRangeStart? it has ",
        ),
        ("sites?=x", "one cannot filter by ``, which no Site has; it has "),
        ("sites?results=1&sortBy=bar.asc", "one cannot filter by `results`, which no Site has; it has "),
        ("sites?sortBy=bar.asc", "one cannot sort by `bar`, which no Site has; it has "),
        ("sites?sortBy=.asc", "one cannot sort by ``, which no Site has; it has "),
        ("sites?fields=nam", "one cannot show `nam`, which no Site has; did you mean name? it has "),
        ("sites?fields=", "one cannot show ``, which no Site has; it has "),
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
fn a_value_that_makes_no_sense_is_refused_with_what_would() {
    const TIME: &str = "microseconds since the epoch, a time as in 2026-11-26T03:14:00Z, one before now as in -1h or -15m, \
                        or now";
    let fixture = captured();
    for (query, message) in [
        ("sites?limit=", "`limit` is ``, but must be a whole number"),
        ("sites?limit=many", "`limit` is `many`, but must be a whole number"),
        ("sites?offset=1.5", "`offset` is `1.5`, but must be a whole number"),
        ("sites?limit=2&limit=1", "`limit` is given more than once, but can have one value only"),
        ("sites?watch=maybe", "`watch` is `maybe`, but must be 1 or 0"),
        ("sites?state=banana", "`state` is `banana`, but must be one of all, active, terminated"),
        ("sites?state=", "`state` is ``, but must be one of all, active, terminated"),
        (
            "sites?sortBy=name",
            "`sortBy` is `name`, but must be a property, a dot, and asc or desc, as in startTime.desc",
        ),
        (
            "sites?sortBy=name.DESC",
            "`sortBy` is `name.DESC`, but must be a property, a dot, and asc or desc, as in startTime.desc",
        ),
        (
            "sites?timeRangeOperation=2",
            "`timeRangeOperation` is `2`, but must be one of intersects, contains, within",
        ),
        ("sites?timeRangeStart=yesterday", &format!("`timeRangeStart` is `yesterday`, but must be {TIME}")),
        (
            "sites?timeRangeStart=1795347880",
            &format!(
                "`timeRangeStart` is `1795347880`, but must be {TIME}; if these are seconds, 1795347880000000"
            ),
        ),
        (
            "sites?timeRangeEnd=1795347880000",
            &format!(
                "`timeRangeEnd` is `1795347880000`, but must be {TIME}; if these are milliseconds, 1795347880000000"
            ),
        ),
        (
            "sites?timeRangeStart=now&timeRangeEnd=-1h",
            "`timeRangeStart` is `now`, which is after `timeRangeEnd`, `-1h`",
        ),
        (
            "processes?role=banana",
            "`role` is `banana`, but must be one of internal, external, remote or how one begins, or * for any",
        ),
        ("services?hasListener=1", "`hasListener` is `1`, but must be true or false, or * for any"),
        (
            "sites?routerCount!=one",
            "`routerCount!` is `one`, but must be a whole number, 0 or more, or * for any",
        ),
        (
            "sites?routerCount=99999999999999999999",
            "`routerCount` is `99999999999999999999`, but must be a whole number, 0 or more, or * for any",
        ),
        (
            "connections?duration=long",
            "`duration` is `long`, but must be a whole number, 0 or more, or * for any, or null for none",
        ),
        (
            "sites?a%zz=1",
            "`a%zz=1` is not well-formed: two hexadecimal digits have to follow each %, and %25 stands for one",
        ),
        ("sites?groupBy=name", "`groupBy` is for lists of connections and requests"),
        (
            "connections?groupBy=routingKey&fields=identity",
            "`fields` is for items; what groups show, groupBy and aggregate say",
        ),
        ("connections?groupBy=routingKey&watch=1", "`watch` is for items; groups cannot be followed"),
    ] {
        let answer = fixture.get(&format!("/api/v2alpha1/{query}"));
        assert_eq!(answer.status.as_u16(), 400, "{query}");
        assert_eq!(answer.json()["message"], message, "{query}");
    }
}

#[test]
fn times_are_microseconds_dates_or_before_now() {
    const HOUR: u64 = 3_600_000_000;
    let mut fixture = network();
    let ended = |id: &str, hours_ago: u64| {
        connection(id, "10.0.0.9")
            .with(Attribute::StartTime, EPOCH - 10 * HOUR)
            .with(Attribute::EndTime, EPOCH - hours_ago * HOUR)
    };
    fixture.report(&[ended("ra:10", 1), ended("ra:11", 3), ended("ra:12", 5)]);
    for (start, expected) in [
        ("-30m", 0),
        ("-1h", 1),
        ("-3h30m", 2),
        ("-1w", 3),
        ("0", 3),
        ("now", 0),
        // EPOCH is 2026-11-22T11:44:40Z.
        ("2026-11-22T08:44:40Z", 2),
        ("2026-11-22T09:44:41%2B01:00", 1),
        ("2026-11-22T09:44:40+01:00", 2),
    ] {
        let query = format!("connections?timeRangeStart={start}");
        assert_eq!(identities(&fixture, &query).len(), expected, "{query}");
    }
    assert_eq!(
        identities(&fixture, "connections?timeRangeStart=-4h&timeRangeEnd=-2h&state=terminated").len(),
        2
    );
    let start = "connections?startTime=2026-11-22T01:44:40Z&timeRangeStart=0";
    assert_eq!(identities(&fixture, start).len(), 3);
}

/// Each value of each property that an answer shows, as a filter, finds what it is shown of; and negated, does not.
#[test]
fn a_filter_by_the_very_value_that_an_answer_shows_finds_it() {
    for (capture, until) in [("router-3.5", u64::MAX), ("router-2.7", 20_000_000)] {
        let fixture = Fixture::new(replay(capture, until));
        for collection in COLLECTIONS {
            let all = results(&fixture, &format!("{collection}?state=all&timeRangeStart=0"));
            let total = all.len() as u64;
            for (at, item) in all.iter().enumerate().step_by(97).take(2) {
                for (name, value) in item.as_object().unwrap() {
                    let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    let encoded = percent_encoded(&shown);
                    // As it is shown, in a URL: a plus sign that nobody encoded is one.
                    let values = BTreeSet::from([encoded.replace("%2B", "+"), encoded]);
                    for value in values {
                        let query = format!("{collection}?state=all&timeRangeStart=0&{name}={value}");
                        let found = results(&fixture, &query);
                        assert!(found.contains(item), "{capture} {query} finds {at}: {item}");
                        let others =
                            counts(&fixture, &query.replace(&format!("{name}="), &format!("{name}!="))).1;
                        assert_eq!(found.len() as u64 + others, total, "{query} and its opposite are all");
                    }
                }
            }
        }
    }
}

fn percent_encoded(text: &str) -> String {
    let encoded = |octet: u8| match octet {
        octet if octet.is_ascii_alphanumeric() || b"-._~:@/|,".contains(&octet) => {
            char::from(octet).to_string()
        }
        octet => format!("%{octet:02X}"),
    };
    text.bytes().map(encoded).collect()
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
    assert_eq!(range(21, 30, "intersects"), ["ra:11", "ra:12"]);
    assert_eq!(range(0, 14, "intersects"), ["ra:10"]);
    assert_eq!(range(12, 18, "contains"), ["ra:10"]);
    assert_eq!(range(35, 100, "contains"), ["ra:12"]);
    assert_eq!(range(10, 40, "within"), ["ra:10", "ra:11"]);
    assert_eq!(range(11, 40, "within"), ["ra:11"]);
    let query = "connections?timeRangeOperation=within&timeRangeStart=0";
    assert_eq!(identities(&fixture, query), ["ra:10", "ra:11"]);
    assert_eq!(identities(&fixture, "connections?timeRangeStart=0&timeRangeEnd=0"), [""; 0]);
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

#[test]
fn nothing_is_looked_at_for_an_answer_that_nobody_waits_for() {
    let fixture = captured();
    let interest = vanflow_api::Interest::default();
    let path = "connections?groupBy=sourceHost&aggregate=count&octetCount!=7";
    let whole = counts(&fixture, path);
    assert!(whole.0 > 0);
    assert_eq!(interest.compute(|| counts(&fixture, path)), whole);
    interest.end();
    assert_eq!(interest.compute(|| counts(&fixture, path)).0, 0);
    assert_eq!(counts(&fixture, path), whole, "others are answered as before");
}

#[test]
fn a_filter_of_several_properties_asks_whether_any_of_them_is_so() {
    let fixture = captured();
    let total = |query: &str| counts(&fixture, &format!("connections?limit=0&state=all{query}")).1;
    let all = total("");
    let sources = total("&sourceProcessName=frontend");
    let servers = total("&destProcessName=frontend");
    let both = total("&sourceProcessName=frontend&destProcessName=frontend");
    let either = total("&sourceProcessName|destProcessName=frontend");
    assert!(sources > 0 && either > 0 && either < all, "{sources} {servers} {either} {all}");
    assert_eq!(either, sources + servers - both);
    assert_eq!(total("&sourceProcessName%7CdestProcessName!=frontend"), all - either, "neither is");
    assert_eq!(total("&sourceProcessName|destProcessName=frontend&sourceProcessName|destProcessName=*"), all);
    // Of records, one by one, as of what lanes have in common.
    let [port, key] = ["sourcePort", "key"]
        .map(|name| column(&fixture, "connections?state=all&limit=1", name)[0].as_str().unwrap().to_owned());
    assert_eq!(
        column(&fixture, &format!("connections?state=all&key|sourcePort={key}"), "sourcePort"),
        [json!(port)]
    );
}

#[test]
fn a_text_is_looked_for_in_all_texts_of_an_item() {
    let fixture = captured();
    let total = |query: &str| counts(&fixture, &format!("connections?limit=0&state=all{query}")).1;
    let all = total("");
    let found = total("&search=RONTEN");
    assert!(found > 0 && found < all, "{found} of {all}");
    assert_eq!(total("&search!=ronten"), all - found);
    assert_eq!(total("&search=ronten&search=no+such+text"), 0, "each has to be there");
    assert_eq!(total("&search="), all);
    for item in results(&fixture, "connections?state=all&search=ronten") {
        assert!(item.to_string().to_lowercase().contains("ronten"), "{item}");
    }
}

#[test]
fn filters_of_several_properties_say_which_there_is_not() {
    let fixture = captured();
    for (query, message) in [
        ("sourceProcessName|banana=x", "one cannot filter by `banana`, which no Connection has; it has "),
        ("octetCount|sourcePort=many", "`octetCount` is `many`, but must be a whole number"),
        ("serch=x", "one cannot filter by `serch`, which no Connection has; did you mean search? "),
    ] {
        let error = fixture.get(&format!("/api/v2alpha1/connections?{query}")).json();
        assert!(error["message"].as_str().unwrap().starts_with(message), "{query}: {error}");
    }
}
