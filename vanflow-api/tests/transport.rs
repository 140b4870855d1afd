//! What is the same for every path: methods, errors, headers, compression, caching, paging.

use std::{collections::BTreeSet, io::Read};

use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use hyper::{server::conn::http1, service::service_fn};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use vanflow_api::{ApiOptions, Cors};
use vanflow_proto::{Attribute, RecordKind, Timestamp, UpdateBuf};
use vanflow_store::Store;

use crate::support::{Answer, EPOCH, Fixture, request, request_by, request_with, service};

fn fixture() -> Fixture {
    let mut fixture = Fixture::new(Store::new(vanflow_store::StoreOptions::default()));
    fixture.report(&service("echo:7", 3, 1));
    fixture
}

fn with_cors(cors: Cors) -> Fixture {
    let mut options = ApiOptions::default();
    options.cors = cors;
    Fixture::with_options(Store::new(vanflow_store::StoreOptions::default()), options)
}

fn gunzipped(answer: &Answer) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(&answer.body[..]).read_to_string(&mut text).expect("it is gzip, whole");
    text
}

#[test]
fn an_unknown_path_learns_what_there_is() {
    let answer = fixture().get("/api/v1alpha1/link?x=1");
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(
        answer.error(),
        "there is nothing at `/api/v1alpha1/link`; under /api/v1/ there are verdict, sources, network-status, events, stream, map, path; under /api/v1alpha1/ there are topology, links, routers, sites, \
         processes, images, listeners, connectors, vanaddrs, addresses, flows, record, records, logs, hosts, \
         processgroups, controllers, routeraccess; under /api/v2alpha1/ there are sites, routers, routerlinks, \
         routeraccess, listeners, connectors, services, components, processes, sitepairs, componentpairs, \
         processpairs, connections, applicationflows, each with an identity after it for one of them; besides there \
         are /api/v1alpha1/openapi.json, /swagger, /openapi.json, /metrics, /healthz, /readyz, /api"
    );
    for path in ["/", "//", "/api/v1alpha1", "/favicon.ico", "/api/v2alpha1"] {
        assert_eq!(fixture().get(path).status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[test]
fn other_methods_than_get_and_head_are_reported_so() {
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
        for path in ["/api/v1alpha1/links", "/healthz", "/api"] {
            let answer = fixture().ask(request_by(method.clone(), path));
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert_eq!(answer.header("allow"), Some("GET, HEAD"));
            assert_eq!(answer.error(), format!("{method} is not possible here, only GET and HEAD"));
        }
    }
    let nowhere = fixture().ask(request_by(Method::POST, "/nowhere"));
    assert_eq!(nowhere.status, StatusCode::NOT_FOUND, "a path comes before what is done with it");
}

#[test]
fn a_parameter_that_makes_no_sense_is_an_error_that_names_it() {
    let names = "SITE, ROUTER, LINK, CONTROLLER, LISTENER, CONNECTOR, FLOW, PROCESS, IMAGE, INGRESS, EGRESS, COLLECTOR, \
         PROCESS_GROUP, HOST, LOG, ROUTER_ACCESS, BIFLOW_TPORT, BIFLOW_APP";
    for (query, error) in [
        (
            "flows",
            "`vanaddr` is missing: name an address, as in flows?vanaddr=echo:7; /api/v1alpha1/vanaddrs lists them"
                .to_owned(),
        ),
        ("flows?vanaddr=", "`vanaddr` is missing: name an address, as in flows?vanaddr=echo:7; /api/v1alpha1/vanaddrs lists them".to_owned()),
        (
            "record?limit=1",
            "`id` is missing: name one record or several, as in record?id=gv_ZW:0&id=gv_ZW:7".to_owned(),
        ),
        ("links?limit=ten", "`limit` is `ten`, but must be a whole number, 0 or more".to_owned()),
        ("links?offset=-1", "`offset` is `-1`, but must be a whole number, 0 or more".to_owned()),
        ("links?includeDeleted=yes", "`includeDeleted` is `yes`, but must be 1 or 0".to_owned()),
        ("links?watch=", "`watch` is ``, but must be 1 or 0".to_owned()),
        (
            "vanaddrs?vanaddr=a",
            "`vanaddr` is no parameter of /api/v1alpha1/vanaddrs; it takes includeDeleted, limit, offset, watch, and \
             filters by name"
                .to_owned(),
        ),
        (
            "links?octets=many",
            "`octets` is `many`, but must be a whole number, 0 or more, or * for any, or null for none".to_owned(),
        ),
        (
            "addresses?fields=nam",
            "`fields` is `nam`, but must be names of properties with commas between them; did you mean name? there are rtype, \
             id, startTime, endTime, name, protocols, listenerCount, connectorCount, totalFlows, currentFlows"
                .to_owned(),
        ),
        (
            "links?a=%zz",
            "`a=%zz` is not well-formed: two hexadecimal digits have to follow each %, and %25 stands for one".to_owned(),
        ),
        (
            "records?rtype=NOPE",
            format!("`rtype` is `NOPE`, but must be the number of a record type or one of {names}"),
        ),
        ("records?rtype=1&rtype=2", "`rtype` is given more than once, but can have one value only".to_owned()),
    ] {
        let answer = fixture().get(&format!("/api/v1alpha1/{query}"));
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.error(), error, "{query}");
    }
}

#[test]
fn a_slash_at_the_end_makes_no_difference() {
    let fixture = fixture();
    assert_eq!(fixture.get("/api/v1alpha1/routers/").body, fixture.get("/api/v1alpha1/routers").body);
    assert_eq!(fixture.get("/healthz/").status, StatusCode::OK);
}

/// Found by fuzzing: those of a Prometheus' API ended the thread with more than one.
#[test]
fn slashes_at_the_end_are_our_mistake_on_no_path() {
    let fixture = fixture();
    let document = fixture.get("/openapi.json").json();
    let paths = document["paths"].as_object().expect("there are some");
    assert!(paths.keys().any(|path| path.starts_with("/prometheus/")) && paths.len() > 50, "{}", paths.len());
    for path in paths.keys() {
        let path = format!("{}///", path.replace(['{', '}'], ""));
        let status = fixture.get(&path).status.as_u16();
        // Where there is no history of metrics, that is not to be had.
        assert!(status < 500 || status == 503, "{path}: {status}");
    }
}

#[test]
fn limit_and_offset_page_through_what_there_is() {
    let fixture = fixture();
    for list in
        ["flows?vanaddr=echo:7", "flows?vanaddr=echo:7&includeDeleted=1", "records?rtype=17", "records?"]
    {
        let all = fixture.list(&format!("/api/v1alpha1/{list}"));
        assert!(all.len() >= 3, "{list}: {}", all.len());
        let mut paged = Vec::new();
        loop {
            let page = fixture.list(&format!("/api/v1alpha1/{list}&limit=2&offset={}", paged.len()));
            assert!(page.len() <= 2);
            if page.is_empty() {
                break;
            }
            paged.extend(page);
        }
        assert_eq!(paged, all, "{list}");
        let most = u64::MAX;
        assert_eq!(fixture.list(&format!("/api/v1alpha1/{list}&limit={most}")), all);
        assert!(fixture.list(&format!("/api/v1alpha1/{list}&limit=0")).is_empty());
        assert!(fixture.list(&format!("/api/v1alpha1/{list}&offset={most}&limit={most}")).is_empty());
    }
    assert_eq!(fixture.list("/api/v1alpha1/vanaddrs?offset=0&limit=1"), ["echo:7"]);
    assert!(fixture.list("/api/v1alpha1/vanaddrs?offset=1").is_empty());
}

#[test]
fn what_takes_gzip_gets_gzip() {
    let fixture = fixture();
    let path = "/api/v1alpha1/flows?vanaddr=echo:7";
    let plain = fixture.get(path);
    let packed = fixture.ask(request_with(path, &[("accept-encoding", "br, gzip")]));
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert_eq!(packed.header("vary"), Some("Accept, Accept-Encoding"));
    assert_eq!(gunzipped(&packed), plain.text());
    assert!(packed.body.len() < plain.body.len());
    assert_eq!(plain.header("content-encoding"), None);
    assert_eq!(plain.header("vary"), Some("Accept, Accept-Encoding"));
}

#[test]
fn a_long_list_is_the_same_however_it_comes() {
    let mut fixture = Fixture::new(Store::new(vanflow_store::StoreOptions::default()));
    fixture.report(&service("echo:7", 2_000, 0));
    let path = "/api/v1alpha1/flows?vanaddr=echo:7";
    let plain = fixture.get(path);
    assert!(plain.body.len() > 10 * 64 * 1024, "it takes several pieces: {}", plain.body.len());
    let listed = fixture.list(path);
    let ids: BTreeSet<_> = listed.iter().map(|record| record["id"].as_str().unwrap()).collect();
    // A listener, a connector, and both sides of each connection.
    assert_eq!(listed.len(), 2 + 2 * 2_000);
    assert_eq!(ids.len(), listed.len());
    let packed = fixture.ask(request_with(path, &[("accept-encoding", "gzip")]));
    assert_eq!(gunzipped(&packed), plain.text());
}

#[test]
fn a_page_looks_at_no_more_than_it_shows() {
    let mut fixture = Fixture::new(Store::new(vanflow_store::StoreOptions::default()));
    // More than one piece looks at.
    fixture.report(&service("echo:7", 17_000, 0));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for list in ["flows?vanaddr=echo:7&", "records?"] {
        let mut body = fixture.respond(request(&format!("/api/v1alpha1/{list}limit=2"))).into_body();
        let first = runtime.block_on(body.frame()).unwrap().unwrap().into_data().unwrap();
        let shown: Vec<serde_json::Value> = serde_json::from_slice(&first).expect("it is whole");
        assert_eq!(shown.len(), 2, "{list}");
        assert!(runtime.block_on(body.frame()).is_none(), "{list}: there is no more");
    }
}

#[test]
fn who_has_the_latest_learns_so() {
    let mut fixture = fixture();
    let path = "/api/v1alpha1/routers";
    let tag = fixture.get(path).header("etag").expect("lists have a tag").to_owned();
    assert!(tag.starts_with("W/\"test-"), "{tag}");
    let again = fixture.ask(request_with(path, &[("if-none-match", &tag), ("accept-encoding", "gzip")]));
    assert_eq!(again.status, StatusCode::NOT_MODIFIED);
    assert!(again.body.is_empty());
    assert_eq!(again.header("etag"), Some(&*tag));
    assert_eq!(again.header("vary"), Some("Accept, Accept-Encoding"));
    assert_eq!(again.header("content-encoding"), None);
    let other = fixture.ask(request_with(&format!("{path}?limit=1"), &[("if-none-match", &tag)]));
    assert_eq!(other.status, StatusCode::OK, "another query is another answer");
    fixture.report(&[
        UpdateBuf::new(vanflow_proto::RecordKind::Router, "gv_ZW:0").with(Attribute::Hostname, "h")
    ]);
    let changed = fixture.ask(request_with(path, &[("if-none-match", &tag)]));
    assert_eq!(changed.status, StatusCode::OK);
    assert_ne!(changed.header("etag"), Some(&*tag));
}

#[test]
fn durations_of_what_lives_do_not_stand_still_for_those_who_poll() {
    use vanflow_proto::Timestamp;
    let fixture = fixture();
    let tag = |list: &str| fixture.get(&format!("/api/v1alpha1/{list}")).header("etag").unwrap().to_owned();
    let (routers, vanaddrs) = (tag("routers"), tag("vanaddrs"));
    let advance = |seconds: u64| {
        let now = Timestamp::from_micros(crate::support::EPOCH + seconds * 1_000_000);
        fixture.publisher.write().advance(now);
    };
    advance(5);
    assert_eq!((tag("routers"), tag("vanaddrs")), (routers.clone(), vanaddrs.clone()));
    advance(11);
    assert_ne!(tag("routers"), routers);
    assert_eq!(tag("vanaddrs"), vanaddrs, "there is no duration in it");
}

#[test]
fn head_is_get_without_the_body() {
    let fixture = fixture();
    for path in ["/api/v1alpha1/routers", "/api/v1alpha1/routers?limit=x", "/healthz", "/api", "/nowhere"] {
        let get = fixture.get(path);
        let head = fixture.ask(request_by(Method::HEAD, path));
        assert_eq!((head.status, &head.headers), (get.status, &get.headers), "{path}");
        assert!(head.body.is_empty() && !get.body.is_empty());
    }
    let watch = fixture.ask(request_by(Method::HEAD, "/api/v1alpha1/routers?watch=1"));
    assert_eq!(watch.header("content-type"), Some("application/x-ndjson"));
}

#[test]
fn other_origins_are_for_those_who_allow_them() {
    let origin = ("origin", "http://localhost:3000");
    let path = "/api/v1alpha1/routers";
    let allowed = |answer: &Answer| answer.header("access-control-allow-origin").map(str::to_owned);

    let answer = with_cors(Cors::SameOrigin).ask(request_with(path, &[origin]));
    assert_eq!(allowed(&answer), None);

    let any = with_cors(Cors::Any);
    let answer = any.ask(request_with(path, &[origin]));
    assert_eq!(allowed(&answer).as_deref(), Some("*"));
    assert_eq!(
        answer.header("access-control-expose-headers"),
        Some("ETag, Vanflow-Answered-From, Vanflow-Answered-Until")
    );
    assert_eq!(allowed(&any.get("/nowhere")).as_deref(), Some("*"), "errors are to be read, too");

    let some =
        with_cors(Cors::Origins(vec!["http://localhost:3000".into(), "https://console.example".into()]));
    let answer = some.ask(request_with(path, &[origin]));
    assert_eq!(allowed(&answer).as_deref(), Some("http://localhost:3000"));
    let vary: Vec<_> = answer.headers.get_all("vary").iter().map(|value| value.to_str().unwrap()).collect();
    assert_eq!(vary, ["Accept, Accept-Encoding", "Origin"]);
    let answer = some.ask(request_with(path, &[("origin", "http://evil.example")]));
    assert_eq!(allowed(&answer), None);
}

#[test]
fn a_browser_that_asks_first_is_answered() {
    let mut preflight = request_with(
        "/api/v1alpha1/links",
        &[("origin", "http://a"), ("access-control-request-method", "GET")],
    );
    preflight.method = Method::OPTIONS;
    let answer = with_cors(Cors::Any).ask(preflight);
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(answer.header("access-control-allow-methods"), Some("GET, HEAD"));
    assert_eq!(
        answer.header("access-control-allow-headers"),
        Some("Accept, Authorization, Cache-Control, If-None-Match, Last-Event-ID")
    );
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert!(answer.body.is_empty());

    let answer = with_cors(Cors::Any).ask(request_by(Method::OPTIONS, "/api"));
    assert_eq!(answer.header("allow"), Some("GET, HEAD, OPTIONS"));
    assert_eq!(answer.header("access-control-allow-methods"), None);
}

#[test]
fn headers_are_those_that_are_meant() {
    let known: BTreeSet<_> = [
        "access-control-allow-origin",
        "access-control-expose-headers",
        "allow",
        "cache-control",
        "content-encoding",
        "content-length",
        "content-security-policy",
        "content-type",
        "etag",
        "vary",
        "x-accel-buffering",
        "x-content-type-options",
    ]
    .map(str::to_owned)
    .into();
    let mut fixture = with_cors(Cors::Any);
    fixture.report(&service("echo:7", 3, 1));
    let mut seen = BTreeSet::new();
    for path in [
        "/api",
        "/healthz",
        "/readyz",
        "/nowhere",
        "/api/v1alpha1/openapi.json",
        "/api/v1alpha1/links",
        "/api/v1alpha1/links?limit=x",
        "/api/v1alpha1/links?watch=1",
    ] {
        for method in [Method::HEAD, Method::POST] {
            let mut request = request_with(path, &[("accept-encoding", "gzip"), ("origin", "http://a")]);
            request.method = method;
            let answer = fixture.ask(request);
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
            assert!(answer.header("cache-control").is_some(), "{path}");
            seen.extend(answer.headers.keys().map(|name| name.as_str().to_owned()));
        }
    }
    assert_eq!(seen, known);
}

#[test]
fn the_collector_is_alive_and_ready_when_it_is() {
    let fixture = fixture();
    assert_eq!(fixture.get("/healthz").text(), "{\"status\":\"alive\"}\n");
    let answer = fixture.get("/readyz");
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        answer.text(),
        "{\"status\":\"not ready\",\"attached\":false,\"flushed\":false,\"error\":\"there is no connection to a router\"}\n"
    );
    fixture.publisher.update_status(|status| status.attached = true);
    let answer = fixture.get("/readyz");
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.json()["error"], "the sources have not been asked for their records yet");
    fixture.publisher.update_status(|status| {
        status.flushed = true;
        status.detail = "attached to amqp://localhost".to_owned();
    });
    let answer = fixture.get("/readyz");
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(
        answer.text(),
        "{\"status\":\"ready\",\"attached\":true,\"flushed\":true,\"detail\":\"attached to amqp://localhost\"}\n"
    );

    // Its router is away: it answers from what it has, and says so.
    fixture.publisher.update_status(|status| {
        (status.attached, status.flushed) = (false, false);
        status.detail = "not attached to amqp://localhost: reset".to_owned();
    });
    let answer = fixture.get("/readyz");
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(
        answer.text(),
        "{\"status\":\"ready\",\"attached\":false,\"flushed\":false,\"detail\":\"not attached to amqp://localhost: reset\"}\n"
    );
}

#[test]
fn connections_that_were_never_reported_are_said_and_make_nobody_unready() {
    // faults 33
    let mut fixture = fixture();
    fixture.publisher.update_status(|status| (status.attached, status.flushed) = (true, true));
    let counted = |count: u64| {
        UpdateBuf::new(RecordKind::Listener, "gv_ZW:900")
            .with(Attribute::StartTime, EPOCH)
            .with(Attribute::FlowCountL4, count)
    };
    fixture.report(&[counted(0), counted(10)]);
    for second in 0..=60 {
        let now = Timestamp::from_micros(EPOCH + second * 1_000_000);
        while fixture.publisher.write().advance(now) {}
    }
    fixture.publisher.publish();
    let answer = fixture.get("/readyz");
    assert_eq!((answer.status, &answer.json()["connectionsNeverReported"]), (StatusCode::OK, &10.into()));
    assert!(fixture.get("/api").text().contains("10 connections were counted by routers and never reported"));
}

#[test]
fn the_index_is_for_people_and_its_links_are_relative() {
    for (path, link) in [("/api", "api/v1alpha1/topology"), ("/api/", "../api/v1alpha1/topology")] {
        let answer = fixture().get(path);
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
        let link = format!("<a href=\"{link}\">topology</a>");
        assert!(answer.text().contains(&link), "{path}: {}", answer.text());
    }
}

/// What hyper makes of a request that comes by a connection.
async fn over_hyper(request: &str) -> String {
    let fixture = fixture();
    let (mut client, server) = tokio::io::duplex(1 << 20);
    let api = fixture.api.clone();
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let response = api.respond(&request.into_parts().0);
        async { Ok::<_, std::convert::Infallible>(response) }
    });
    let io = hyper_util::rt::TokioIo::new(server);
    let connection = tokio::spawn(http1::Builder::new().serve_connection(io, service));
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    connection.await.unwrap().unwrap();
    answer
}

#[tokio::test]
async fn over_a_connection_long_lists_come_in_chunks_and_head_has_no_body() {
    let close = "host: a\r\nconnection: close\r\n\r\n";
    let get = over_hyper(&format!("GET /api/v1alpha1/routers HTTP/1.1\r\n{close}")).await;
    assert!(get.starts_with("HTTP/1.1 200 OK\r\n"), "{get}");
    assert!(get.contains("transfer-encoding: chunked\r\n"), "{get}");
    assert!(get.ends_with("\r\n0\r\n\r\n"), "{get}");
    let head = over_hyper(&format!("HEAD /api/v1alpha1/routers HTTP/1.1\r\n{close}")).await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.ends_with("\r\n\r\n") && !head.contains("content-length"), "{head}");
    let head = over_hyper(&format!("HEAD /healthz HTTP/1.1\r\n{close}")).await;
    assert!(head.contains("content-length: 19\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    let missing = over_hyper(&format!("GET /nowhere HTTP/1.1\r\n{close}")).await;
    assert!(missing.starts_with("HTTP/1.1 404 Not Found\r\n"), "{missing}");
}

#[test]
fn a_request_without_a_query_is_no_worse_than_one_with_an_empty_one() {
    let fixture = fixture();
    assert_eq!(fixture.get("/api/v1alpha1/routers?").body, fixture.get("/api/v1alpha1/routers").body);
    assert_eq!(fixture.ask(request("/api/v1alpha1/routers?&&")).status, StatusCode::OK);
}
