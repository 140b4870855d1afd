//! What the console asks beside the lists: its user, its charts; and the page that shows the reference.

use http::Method;
use serde_json::json;
use vanflow_api::{ApiOptions, Cors};
use vanflow_history::{HistoryOptions, QueryKind};
use vanflow_store::Store;

use crate::support::{Answer, Fixture, request_by, request_with};

fn with_console() -> Fixture {
    let mut options = ApiOptions::default();
    options.console = true;
    Fixture::with_options(Store::new(vanflow_store::StoreOptions::default()), options)
}

fn without() -> Fixture {
    Fixture::new(Store::new(vanflow_store::StoreOptions::default()))
}

/// One whose history is empty.
fn with_history() -> Fixture {
    let mut options = ApiOptions::default();
    options.history = Some(HistoryOptions::default());
    Fixture::with_options(Store::new(vanflow_store::StoreOptions::default()), options)
}

fn with_cookie(path: &str, cookie: &str, host: &str) -> Answer {
    with_console().ask(request_with(path, &[("cookie", cookie), ("host", host)]))
}

const USER: &str = "/api/v2alpha1/user";
const LOGOUT: &str = "/api/v2alpha1/logout?nonce=1795347880000";
const PROM: &str = "/api/v2alpha1/internal/prom";

#[test]
fn the_user_is_who_the_cookie_names() {
    let answer = with_cookie(USER, "a=b; _oauth_proxy=YWRtaW4=|1700000000|c2ln", "console");
    assert_eq!(answer.status.as_u16(), 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.json(), json!({ "username": "admin", "authType": "openshift" }));

    let quoted = "_oauth_proxy=IjwvPg==";
    assert_eq!(with_cookie(USER, quoted, "console").json()["username"], "\"</>");
    assert_eq!(with_cookie(USER, "_oauth_proxy=", "console").json()["username"], "");
}

#[test]
fn without_a_cookie_there_is_no_user_and_nothing_to_take_back() {
    for path in [USER, LOGOUT] {
        for cookie in ["", "a=b"] {
            let answer = with_cookie(path, cookie, "console");
            assert_eq!((answer.status.as_u16(), answer.text()), (204, ""), "{path}");
            assert_eq!(answer.header("content-type"), None);
            assert_eq!(answer.header("set-cookie"), None);
        }
    }
}

#[test]
fn who_leaves_has_the_cookie_taken_back() {
    for (host, domain) in [
        ("console.example.com", "; Domain=console.example.com"),
        ("console.example.com:8443", ""),
        ("[::1]", ""),
        ("a;b", ""),
        ("", ""),
    ] {
        let answer = with_cookie(LOGOUT, "_oauth_proxy=YWRtaW4=", host);
        assert_eq!((answer.status.as_u16(), answer.text()), (200, ""), "{host}");
        let cookie = format!("_oauth_proxy=; Path=/; Max-Age=0{domain}");
        assert_eq!(answer.header("set-cookie"), Some(cookie.as_str()), "{host}");
    }
}

#[test]
fn head_is_possible_and_where_no_console_is_served_there_is_no_user() {
    for path in [USER, "/api/v2alpha1/logout"] {
        assert_eq!(with_console().ask(request_by(Method::HEAD, path)).status.as_u16(), 204, "{path}");
        assert_eq!(with_console().ask(request_by(Method::POST, path)).status.as_u16(), 405, "{path}");
        let answer = without().get(path);
        assert_eq!(answer.status.as_u16(), 404, "{path}");
        let text = format!("{path} is for a console, and none is served here");
        assert_eq!(answer.json(), json!({ "code": "ErrNotFound", "message": text }));
    }
}

#[test]
fn charts_are_answered_under_each_of_their_paths_with_and_without_a_slash() {
    let fixture = with_history();
    for (name, kind) in [("query", "vector"), ("query_range", "matrix"), ("rangequery", "matrix")] {
        for slash in ["", "/"] {
            let query = "query=sum(rate(skupper_sent_bytes_total{a=~\"b\"}[60s]))";
            let query = format!("{}&start=0&end=60&step=15", query.replace('"', "%22"));
            let answer = fixture.get(&format!("{PROM}/{name}{slash}?{query}"));
            assert_eq!(answer.status.as_u16(), 200, "{name}{slash}");
            assert_eq!(answer.header("content-type"), Some("application/json"));
            assert_eq!(answer.json()["data"], json!({ "resultType": kind, "result": [] }), "{name}{slash}");
        }
    }
    let answer = fixture.get(&format!("{PROM}/query//?query=1"));
    assert_eq!(
        (answer.status.as_u16(), answer.header("location")),
        (301, Some(&*format!("{PROM}/query?query=1")))
    );
    for name in ["", "labels", "query/x", "queryx"] {
        let answer = fixture.get(format!("{PROM}/{name}").trim_end_matches('/'));
        assert_eq!(answer.status.as_u16(), 404, "{name}");
    }
}

#[test]
fn charts_are_asked_by_post_too_but_not_by_other_methods() {
    let fixture = with_history();
    let path = format!("{PROM}/query");
    let answer = fixture.ask(request_by(Method::POST, &format!("{path}?query=1")));
    assert_eq!(answer.status.as_u16(), 200);
    assert_eq!(answer.json()["data"]["result"][1], "1");
    let answer = fixture.ask(request_by(Method::DELETE, &path));
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, Some("GET, HEAD, POST")));
    assert_eq!(
        answer.json(),
        json!({
            "status": "error",
            "errorType": "bad_data",
            "error": "DELETE is not possible here, only GET, HEAD and POST",
        })
    );
}

#[test]
fn charts_are_for_other_origins_as_everything_else() {
    let mut options = ApiOptions::default();
    options.cors = Cors::Any;
    let fixture = Fixture::with_options(Store::new(vanflow_store::StoreOptions::default()), options);
    let answer = fixture.get(&format!("{PROM}/query?query=up"));
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(fixture.ask(request_by(Method::OPTIONS, &format!("{PROM}/query/"))).status.as_u16(), 204);
}

#[test]
fn who_serves_a_console_learns_which_paths_are_not_its_files() {
    assert_eq!(vanflow_api::chart(&format!("{PROM}/rangequery/")), Some(QueryKind::Range));
    assert_eq!(QueryKind::Range.prometheus_path(), "/api/v1/query_range");
    assert!(vanflow_api::is_ours("/api/v1alpha1/sites") && !vanflow_api::is_ours("/index.html"));
}

#[test]
fn the_reference_is_a_page_whose_parts_are_all_here() {
    let fixture = without();
    for path in ["/swagger", "/swagger/"] {
        let page = fixture.get(path);
        assert_eq!(page.status.as_u16(), 200, "{path}");
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        assert!(page.header("content-security-policy").is_some_and(|policy| !policy.contains("http")));
        let links = ["src=\"", "href=\""].into_iter().flat_map(|before| page.text().split(before).skip(1));
        let links: Vec<_> = links.filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(links.len(), 5, "{links:?}");
        for link in links {
            let part = fixture.get(link);
            assert_eq!(part.status.as_u16(), 200, "{link}");
            assert!(!part.body.is_empty(), "{link}");
        }
    }
    let script = fixture.get("/swagger/swagger-ui-bundle.js");
    assert_eq!(script.header("content-type"), Some("text/javascript; charset=utf-8"));
    let compressed =
        fixture.ask(request_with("/swagger/swagger-ui-bundle.js", &[("accept-encoding", "gzip")]));
    assert_eq!(compressed.header("content-encoding"), Some("gzip"));
    assert!(compressed.body.len() * 3 < script.body.len());
    let yaml = fixture.get("/swagger/openapi.yaml");
    assert_eq!(yaml.header("content-type"), Some("application/yaml"));
    assert_eq!(yaml.body, fixture.get("/openapi.json").body);
}
