//! The forms of lists, in both APIs: JSON, JSON a line, CSV.

use http::StatusCode;
use http_body_util::BodyExt;
use serde_json::Value;
use vanflow_proto::{Attribute, RecordKind, UpdateBuf};
use vanflow_store::{Store, StoreOptions};

use crate::support::{Answer, EPOCH, Fixture, request_with, service};

const LISTS: [&str; 2] = ["/api/v1alpha1/listeners", "/api/v2alpha1/listeners"];

fn fixture() -> Fixture {
    let mut fixture = Fixture::new(Store::new(StoreOptions::default()));
    fixture.report(&service("echo:7", 3, 2));
    fixture
}

fn ask(fixture: &Fixture, path: &str, accept: &str) -> Answer {
    fixture.ask(request_with(path, &[("accept", accept)]))
}

#[test]
fn lists_have_the_form_that_is_asked_for() {
    let fixture = fixture();
    for path in LISTS {
        let json = fixture.get(path);
        assert_eq!(json.header("content-type"), Some("application/json"));
        let all = json.json();
        let first = all.get("results").unwrap_or(&all)[0].clone();
        for (accept, content_type) in [
            ("application/x-ndjson", "application/x-ndjson"),
            ("application/ndjson", "application/x-ndjson"),
            ("text/csv", "text/csv; charset=utf-8; header=present"),
            ("text/csv;q=0.5, application/json;q=0.1", "text/csv; charset=utf-8; header=present"),
        ] {
            let answer = ask(&fixture, path, accept);
            assert_eq!(answer.status, StatusCode::OK);
            assert_eq!(answer.header("content-type"), Some(content_type), "{accept}");
            assert_eq!(answer.header("vary"), Some("Accept, Accept-Encoding"), "{accept}");
        }
        let lines = ask(&fixture, path, "application/x-ndjson");
        let lines: Vec<Value> =
            lines.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines, [first], "a line is an item");
        let csv = ask(&fixture, path, "text/csv");
        assert!(csv.text().ends_with("\r\n"));
        let lines: Vec<_> = csv.text().split("\r\n").collect();
        assert_eq!(lines.len(), 3, "a header, an item, and the end of the last line");
        assert!(lines[0].split(',').any(|column| column == "name"), "{}", lines[0]);
        assert_eq!(lines[0].split(',').count(), lines[1].split(',').count());
        let empty = ask(&fixture, &format!("{path}?limit=0"), "text/csv");
        assert_eq!(empty.text(), format!("{}\r\n", lines[0]), "an empty list has its columns all the same");
    }
}

#[test]
fn what_cannot_be_served_is_refused_with_what_can() {
    let fixture = fixture();
    for (path, accept, known) in [
        (LISTS[0], "text/html", "application/json, application/x-ndjson, text/csv, text/event-stream"),
        (LISTS[1], "application/xml", "application/json, application/x-ndjson, text/csv, text/event-stream"),
        (
            "/api/v2alpha1/connections?groupBy=routingKey",
            "text/event-stream",
            "application/json, application/x-ndjson, text/csv, text/event-stream",
        ),
        ("/api/v2alpha1/listeners/gv_ZW:1", "text/csv", "application/json"),
        (
            "/api/v2alpha1/listeners?watch=1",
            "text/csv",
            "application/x-ndjson, application/json, text/event-stream",
        ),
        (
            "/api/v1alpha1/listeners?watch=1",
            "text/csv",
            "application/x-ndjson, application/json, text/event-stream",
        ),
    ] {
        let answer = ask(&fixture, path, accept);
        assert_eq!(answer.status, StatusCode::NOT_ACCEPTABLE, "{path}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("vary"), Some("Accept"));
        let error = answer.json();
        let text = error.get("message").or(error.get("error")).unwrap().as_str().unwrap();
        assert!(text.ends_with(&format!("cannot be served as `{accept}`; it can be as {known}")), "{text}");
    }
    let error = ask(&fixture, LISTS[1], "text/html").json();
    assert_eq!(error["code"], "ErrNotAcceptable");
    let both = ask(&fixture, LISTS[1], "text/html, */*;q=0.1");
    assert_eq!(both.header("content-type"), Some("application/json"), "browsers take anything");
}

#[test]
fn what_a_client_has_in_one_form_it_has_not_in_another() {
    let fixture = fixture();
    for path in LISTS {
        let forms = ["application/json", "application/x-ndjson", "text/csv"];
        let tags = forms.map(|form| ask(&fixture, path, form).header("etag").unwrap().to_owned());
        for (form, tag) in forms.iter().zip(&tags) {
            for other in &tags {
                let headers = [("accept", *form), ("if-none-match", other)];
                let status = fixture.ask(request_with(path, &headers)).status;
                let expected = if other == tag { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
                assert_eq!(status, expected, "{path} {form} {other}");
            }
        }
        let chosen = fixture.get(&format!("{path}?fields=name"));
        assert_ne!(chosen.header("etag"), Some(&*tags[0]), "nor with other properties");
    }
}

#[test]
fn long_lists_are_streamed_in_every_form() {
    let mut fixture = Fixture::new(Store::new(StoreOptions::default()));
    fixture.report(&service("echo:7", 3_000, 0));
    for path in ["/api/v1alpha1/records", "/api/v2alpha1/connections"] {
        for accept in ["application/json", "application/x-ndjson", "text/csv"] {
            let mut body = fixture.respond(request_with(path, &[("accept", accept)])).into_body();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let first = runtime.block_on(body.frame()).unwrap().unwrap().into_data().unwrap();
            assert!((60_000..80_000).contains(&first.len()), "{path} {accept}: {}", first.len());
            let rest = runtime.block_on(body.collect()).unwrap().to_bytes();
            let lines = first.iter().chain(&rest).filter(|octet| **octet == b'\n').count();
            if accept != "application/json" {
                assert!(lines >= 3_000, "{path} {accept}: {lines}");
            }
        }
    }
}

/// What clients and routers report is for anybody to choose: an export must not run it.
#[test]
fn no_cell_of_a_table_is_a_formula() {
    let mut fixture = fixture();
    let formula = "=HYPERLINK(\"http://example.com\",\"x\")";
    fixture.report(&[UpdateBuf::new(RecordKind::Listener, "+ab:1")
        .with(Attribute::StartTime, EPOCH)
        .with(Attribute::Name, formula)]);
    for path in LISTS {
        let csv = ask(
            &fixture,
            &format!("{path}?name==HYPERLINK*&fields=name").replace("name==", "name=%3D"),
            "text/csv",
        );
        let all = ask(&fixture, &format!("{path}?fields=name"), "text/csv");
        assert!(
            all.text().contains("\"'=HYPERLINK(\"\"http://example.com\"\",\"\"x\"\")\""),
            "{}",
            all.text()
        );
        assert!(csv.text().starts_with("name\r\n"));
        let json = fixture.get(&format!("{path}?fields=name")).text().to_owned();
        assert!(json.contains("\"=HYPERLINK(\\\"http"), "JSON has it as it is: {json}");
        // What the table shows finds it too.
        let shown = "%27%3DHYPERLINK(%22http://example.com%22,%22x%22)";
        let found = ask(&fixture, &format!("{path}?fields=name&name={shown}"), "application/x-ndjson");
        assert_eq!(found.text().lines().count(), 1, "{path}");
    }
}
