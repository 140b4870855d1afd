//! Paths, methods and status codes.

use http::Method;
use serde_json::json;

use super::{COLLECTIONS, identities, network, results, single};
use crate::support::{Fixture, request_by, request_with};

#[test]
fn each_item_of_a_list_is_found_by_its_identity() {
    let fixture = Fixture::replayed("router-3.5");
    for collection in COLLECTIONS {
        let items = results(&fixture, collection);
        assert!(!items.is_empty(), "{collection}");
        for item in items.iter().step_by(items.len().div_ceil(20)) {
            let id = item["identity"].as_str().unwrap();
            assert_eq!(single(&fixture, &format!("{collection}/{id}")), *item);
            let escaped = id.replace(':', "%3A").replace('+', "%2B");
            assert_eq!(single(&fixture, &format!("{collection}/{escaped}")), *item);
        }
    }
}

#[test]
fn what_is_not_there_is_404_with_code_and_message() {
    let fixture = Fixture::replayed("router-3.5");
    let router = "routers/11111111-aaaa-4000-8000-000000000001";
    for path in [
        "sites/nobody",
        router,
        "connections/nobody",
        "processpairs/processpair-0000000000000000",
        "sites/nobody/processes",
        "sites/nobody/routers",
        "services/nobody/processes",
        "services/nobody/processpairs?foo=x",
        "services/nobody/connections",
        "nowhere",
        "",
    ] {
        let answer =
            fixture.get(&format!("/api/v2alpha1/{path}").replace("/api/v2alpha1//", "/api/v2alpha1/"));
        let answer = match answer.header("location") {
            Some(location) => fixture.get(location),
            None => answer,
        };
        assert_eq!(answer.status.as_u16(), 404, "{path}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let error = answer.json();
        assert_eq!(error["code"], "ErrNotFound", "{path}");
        assert!(!error["message"].as_str().unwrap().is_empty(), "{path}");
    }
    let error = fixture.get("/api/v2alpha1/sites/nobody").json();
    assert_eq!(
        error,
        json!({ "code": "ErrNotFound", "message": "there is no Site with the identity `nobody`" })
    );
}

#[test]
fn hosts_are_gone() {
    for path in ["hosts", "hosts/x", "sites/x/hosts"] {
        let answer = network().get(&format!("/api/v2alpha1/{path}"));
        assert_eq!(answer.status.as_u16(), 410, "{path}");
        assert_eq!(answer.json()["code"], "ErrNotSupported");
    }
}

#[test]
fn slashes_that_lead_nowhere_are_led_back() {
    let fixture = network();
    for (path, location) in [
        ("/api/v2alpha1/sites/", "/api/v2alpha1/sites"),
        ("/api/v2alpha1/sites/?limit=1", "/api/v2alpha1/sites?limit=1"),
        ("/api//v2alpha1/sites", "/api/v2alpha1/sites"),
        ("/api/v2alpha1//sites//ra:1", "/api/v2alpha1/sites/ra:1"),
    ] {
        let answer = fixture.get(path);
        assert_eq!(answer.status.as_u16(), 301, "{path}");
        assert_eq!(answer.header("location"), Some(location));
    }
}

#[test]
fn head_is_get_without_a_body_and_other_methods_are_refused() {
    let fixture = network();
    for path in ["/api/v2alpha1/sites", "/api/v2alpha1/sites/aaaa1111-site-a", "/api/v2alpha1/sites?watch=1"]
    {
        let answer = fixture.ask(request_by(Method::HEAD, path));
        assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0), "{path}");
    }
    let answer = fixture.ask(request_by(Method::POST, "/api/v2alpha1/sites"));
    assert_eq!(answer.status.as_u16(), 405);
    assert_eq!(answer.header("allow"), Some("GET, HEAD"));
    assert_eq!(answer.json()["code"], "ErrMethodNotAllowed");
}

#[test]
fn what_takes_gzip_gets_gzip() {
    use std::io::Read;

    let fixture = Fixture::replayed("router-3.5");
    for path in ["/api/v2alpha1/connections", "/api/v2alpha1/services/adr-e71d764452c79857"] {
        let answer = fixture.ask(request_with(path, &[("accept-encoding", "gzip")]));
        assert_eq!(answer.header("content-encoding"), Some("gzip"));
        let mut text = String::new();
        flate2::read::GzDecoder::new(&*answer.body).read_to_string(&mut text).unwrap();
        assert_eq!(text, fixture.get(path).text());
    }
}

#[test]
fn what_belongs_to_a_site_or_service_is_listed_under_it() {
    let fixture = Fixture::replayed("router-3.5");
    let west = "11111111-aaaa-4000-8000-000000000001";
    assert_eq!(identities(&fixture, &format!("sites/{west}/routers")), ["+8aqA:0"]);
    assert_eq!(
        identities(&fixture, &format!("sites/{west}/processes")),
        identities(&fixture, &format!("processes?siteId={west}"))
    );
    let web = "adr-e71d764452c79857";
    assert_eq!(
        identities(&fixture, &format!("services/{web}/connections")),
        identities(&fixture, "connections?routingKey=web")
    );
    assert_eq!(
        identities(&fixture, &format!("services/{web}/processes")),
        ["d5950a08-9988-5972-9b63-3122f73b3e06"]
    );
    assert_eq!(
        identities(&fixture, &format!("services/{web}/processpairs")),
        identities(&fixture, "processpairs?destinationName=web")
    );
    assert_eq!(results(&fixture, &format!("services/{web}/connections?limit=3&state=terminated")).len(), 3);
}

/// Times that depend on when it is asked make another answer of it later, though nothing has changed.
#[test]
fn an_answer_about_times_before_now_is_another_one_later() {
    for (query, is_moving, count) in [
        ("timeRangeStart=-10s", true, 0),
        ("timeRangeStart=-1h", false, 1),
        ("timeRangeStart=0&timeRangeEnd=now", true, 1),
        ("timeRangeStart=0&timeRangeEnd=-6s", true, 1),
        ("timeRangeStart=-10s&timeRangeOperation=within", true, 0),
        ("timeRangeStart=-10s&groupBy=protocol", true, 0),
        ("timeRangeStart=2026-11-22T11:00:00Z", false, 1),
    ] {
        let path = format!("/api/v2alpha1/connections?{query}");
        let mut fixture = network();
        fixture.report(&[super::connection("ra:9", "10.0.0.9")
            .with(vanflow_proto::Attribute::StartTime, crate::support::EPOCH - 5_000_000)
            .with(vanflow_proto::Attribute::EndTime, crate::support::EPOCH - 5_000_000)]);
        let before = fixture.get(&path);
        let tag = before.header("etag").unwrap().to_owned();
        let now = fixture.publisher.write().snapshot().now().plus_micros(7_000_000);
        while fixture.publisher.write().advance(now) {}
        fixture.publisher.publish();
        let later = fixture.get(&path);
        assert_eq!(later.header("etag") != Some(&*tag), is_moving, "{query}");
        assert_eq!(later.json()["timeRangeCount"], count, "{query}");
    }
}

#[test]
fn who_has_the_latest_learns_so() {
    let mut fixture = network();
    for path in
        ["sites", "processes?role=remote", "connections", "connectors/rb:1", "processpairs?timeRangeStart=0"]
    {
        let path = format!("/api/v2alpha1/{path}");
        let answer = fixture.get(&path);
        let tag = answer.header("etag").expect("there is a tag").to_owned();
        assert!(tag.starts_with("W/\"test-"), "{tag}");
        // Time passes, and nothing happens.
        let now = fixture.publisher.write().snapshot().now().plus_micros(1_000_000);
        fixture.publisher.write().advance(now);
        let again = fixture.ask(request_with(&path, &[("if-none-match", &tag), ("accept-encoding", "gzip")]));
        assert_eq!((again.status.as_u16(), again.body.len()), (304, 0), "{path}");
        assert_eq!(again.header("etag"), Some(&*tag));
        assert_eq!(again.header("vary"), Some("Accept, Accept-Encoding"));
        assert_eq!(again.header("content-encoding"), None);
        let host = format!("10.0.1.{}", tag.len() + path.len());
        fixture.report(&[super::process(&path, "aaaa1111-site-a", &host)]);
        let changed = fixture.ask(request_with(&path, &[("if-none-match", &tag)]));
        assert_eq!(changed.status.as_u16(), 200, "{path}: it may depend on that process");
        assert_ne!(changed.header("etag"), Some(&*tag));
    }
}

#[test]
fn a_tag_changes_when_something_leaves_the_window_or_the_store() {
    const MINUTE: u64 = 60_000_000;
    let mut fixture = network();
    let end = crate::support::EPOCH - 14 * MINUTE;
    fixture.report(&[super::connection("ra:9", "10.0.0.9")
        .with(vanflow_proto::Attribute::Connector, "rb:1")
        .with(vanflow_proto::Attribute::StartTime, end)
        .with(vanflow_proto::Attribute::EndTime, end)]);
    let later = |minutes: u64| {
        let now = vanflow_proto::Timestamp::from_micros(crate::support::EPOCH + minutes * MINUTE);
        while fixture.publisher.write().advance(now) {}
    };
    let counts = |path: &str| {
        let answer = fixture.get(&format!("/api/v2alpha1/{path}"));
        let count = answer.json()["timeRangeCount"].as_u64().unwrap();
        (answer.header("etag").unwrap().to_owned(), count)
    };
    let lists = ["connections", "processpairs", "connections?timeRangeStart=0", "processes"];
    let first = lists.map(counts);
    assert_eq!(first.each_ref().map(|(_, count)| *count), [1, 1, 1, 2]);
    later(2);
    let second = lists.map(counts);
    assert_eq!(second.each_ref().map(|(_, count)| *count), [0, 0, 1, 2], "it has left the window");
    later(16);
    let third = lists.map(counts);
    assert_eq!(third.each_ref().map(|(_, count)| *count), [0, 0, 0, 1], "it has left the store");
    for (list, tags) in lists.iter().zip(first.iter().zip(&second).zip(&third)) {
        let ((first, second), third) = tags;
        assert_eq!(first.0 == second.0, first.1 == second.1, "{list}");
        assert_ne!(second.0, third.0, "{list}");
    }
}
