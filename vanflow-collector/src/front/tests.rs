//! Requests as they come, against a collector that knows no network.

use std::ops::ControlFlow;

use http::{HeaderMap, HeaderName, HeaderValue, Method, header::HOST};
use http_body_util::{BodyExt, Full};
use vanflow_api::{Api, ApiOptions, Cors, Network};
use vanflow_history::rows::{Held, Row, Rows, UnreadableRows, Value, Wanted};
use vanflow_store::{Store, StoreOptions};

use super::*;

/// A collector that listens at that address.
fn front(listen: &str) -> Front {
    let (network, _) = Network::new(Store::new(StoreOptions::default()));
    let api = Api::new(network, ApiOptions::default());
    Front::new(
        &http(listen),
        None,
        AuthType::Local,
        Answers { api, console: None, prometheus: None, scope: None },
    )
}

fn http(listen: &str) -> config::Http {
    config::Http {
        listen: vec![listen.to_owned()],
        public_urls: Vec::new(),
        tls: None,
        client_ca: None,
        cors: Cors::SameOrigin,
        limits: config::Limits::default(),
    }
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    text: String,
}

async fn ask(front: &Front, request: Request<Full<Bytes>>) -> Answer {
    let (head, body) = front.clone().answer(request).await.into_parts();
    let body = body.collect().await.expect("it comes whole").to_bytes();
    let text = String::from_utf8_lossy(&body).into_owned();
    Answer { status: head.status.as_u16(), headers: head.headers, text }
}

async fn get(front: &Front, path: &str, headers: &[(HeaderName, &str)]) -> Answer {
    let mut request =
        Request::builder().method(Method::GET).uri(path).body(Full::default()).expect("a request");
    for (name, value) in headers {
        request.headers_mut().append(name, HeaderValue::try_from(*value).expect("a value"));
    }
    ask(front, request).await
}

#[tokio::test]
async fn a_page_of_another_site_learns_nothing_from_a_collector_on_loopback() {
    // faults 35
    let front = front("127.0.0.1:8010");
    for path in [
        "/",
        "/view/",
        "/api",
        "/api/v1/verdict",
        "/api/v2alpha1/sites",
        "/metrics",
        "/prometheus/api/v1/query",
    ] {
        let answer = get(&front, path, &[(HOST, "rebound.example:8010")]).await;
        assert_eq!(answer.status, 421, "{path}");
        assert_eq!(
            answer.text,
            "{\"error\":\"\\\"rebound.example:8010\\\" is none of the names of this collector: if it should be, start it \
             with --public-url http://rebound.example:8010\"}\n"
        );
        assert_eq!(answer.headers["cache-control"], "no-cache");
    }
    for host in ["localhost:8010", "127.0.0.1:8010"] {
        assert_eq!(get(&front, "/api/v1/verdict", &[(HOST, host)]).await.status, 200, "{host}");
    }
}

#[tokio::test]
async fn probes_come_by_any_name() {
    let front = front("127.0.0.1:8010");
    assert_eq!(get(&front, "/healthz", &[(HOST, "rebound.example")]).await.status, 200);
    assert_eq!(get(&front, "/readyz", &[(HOST, "rebound.example")]).await.status, 503);
}

#[tokio::test]
async fn watches_are_bounded_apart_and_nothing_else_is_refused_for_them() {
    let (network, _publisher) = Network::new(Store::new(StoreOptions::default()));
    let mut options = ApiOptions::default();
    options.watches.total = 2;
    let answers = Answers { api: Api::new(network, options), console: None, prometheus: None, scope: None };
    let front = Front::new(&http("127.0.0.1:8010"), None, AuthType::Local, answers);
    let watch =
        |path| front.clone().answer(Request::get(path).body(Full::<Bytes>::default()).expect("a request"));
    let watched = "/api/v1alpha1/records?watch=1";
    let mut watches = Vec::new();
    for path in [watched, "/api/v1/stream?verdict=v1%2Fverdict"] {
        watches.push(watch(path).await);
    }
    assert!(watches.iter().all(|response| response.status() == 200));
    let text = "all 2 watches are taken that there may be at a time: end one, or ask without watching; whoever runs this can \
                allow more";
    for (path, expected) in [
        (watched, format!("{{\"error\":\"{text}\"}}\n")),
        ("/api/v2alpha1/sites?watch=1", format!("{{\"code\":\"ErrUnavailable\",\"message\":\"{text}\"}}\n")),
    ] {
        let answer = get(&front, path, &[]).await;
        assert_eq!((answer.status, answer.text), (503, expected), "{path}");
        assert_eq!(answer.headers["retry-after"], "5");
    }
    for path in ["/api/v1alpha1/records", "/metrics", "/healthz"] {
        assert_eq!(get(&front, path, &[]).await.status, 200, "{path}");
    }
    drop(watches.pop());
    assert_eq!(watch(watched).await.status(), 200);
}

#[tokio::test]
async fn an_answer_that_does_not_begin_in_time_is_a_503_that_says_why_and_probes_are_answered() {
    let front = front("127.0.0.1:8010");
    // All turns are taken, for ever.
    let pool = crate::pool::Pool::of(0, std::time::Duration::from_millis(100)).expect("threads");
    let text = "the answer did not begin within 0.1 s: the question is costly, or many ask at the same time; ask again later, \
                or for less, by filters, a limit or a shorter time; whoever runs this can allow more";
    for (path, expected) in [
        ("/api/v1alpha1/records", format!("{{\"error\":\"{text}\"}}\n")),
        ("/api/v2alpha1/connections", format!("{{\"code\":\"ErrUnavailable\",\"message\":\"{text}\"}}\n")),
        (
            "/prometheus/api/v1/query?query=up",
            format!("{{\"status\":\"error\",\"errorType\":\"timeout\",\"error\":\"{text}\"}}"),
        ),
    ] {
        let request = Request::get(path).body(Full::<Bytes>::default()).expect("a request");
        let response = front.clone().answer_by(pool.clone(), request).await;
        assert_eq!(
            (response.status().as_u16(), &response.headers()["retry-after"]),
            (503, &HeaderValue::from_static("5"))
        );
        let body = response.into_body().collect().await.expect("it comes whole").to_bytes();
        assert_eq!(String::from_utf8_lossy(&body), expected);
    }
    for (path, expected) in [("/healthz", 200), ("/readyz", 503)] {
        let request = Request::get(path).body(Full::<Bytes>::default()).expect("a request");
        assert_eq!(front.clone().answer_by(pool.clone(), request).await.status(), expected, "{path}");
        let request = Request::get(path).body(()).expect("a request");
        let answer = answer_monitor(front.answers.api.clone(), pool.clone(), request).await;
        assert_eq!(answer.status(), expected, "{path}");
    }
}

/// Rows without an end, for whoever goes on asking for more.
#[derive(Debug)]
struct Endless {
    ended: tokio::sync::watch::Sender<usize>,
}

impl Rows for Endless {
    fn visit(
        &self,
        wanted: &Wanted<'_>,
        visit: &mut dyn FnMut(Row) -> ControlFlow<()>,
    ) -> Result<(), UnreadableRows> {
        if wanted.table != vanflow_api::tables()[0].name {
            return Ok(());
        }
        let values = vanflow_api::tables()[0].columns.iter().map(|_| Value::None).collect();
        let row = Row { values };
        while visit(row.clone()).is_continue() {}
        self.ended.send_modify(|ended| *ended += 1);
        Ok(())
    }

    fn find(&self, _: &str, _: &str) -> Result<Option<Row>, UnreadableRows> {
        Ok(None)
    }

    fn here(&self) -> &dyn Rows {
        self
    }

    fn inherited_until(&self) -> u64 {
        u64::MAX
    }

    fn held(&self, _: &str) -> Held {
        Held::default()
    }
}

#[tokio::test]
async fn files_are_not_read_for_somebody_who_does_not_wait_any_more() {
    let (network, _publisher) = Network::new(Store::new(StoreOptions::default()));
    let (ended, mut reading) = tokio::sync::watch::channel(0);
    let mut options = ApiOptions::default();
    options.rows = Some(Arc::new(Endless { ended }));
    let answers = Answers { api: Api::new(network, options), console: None, prometheus: None, scope: None };
    let front = Front::new(&http("127.0.0.1:8010"), None, AuthType::Local, answers);
    let pool = crate::pool::Pool::of(1, std::time::Duration::from_millis(100)).expect("threads");
    let ask = || {
        let request = Request::get("/api/v2alpha1/connections?timeRangeStart=2000-01-01T00:00:00Z&limit=1");
        front.clone().answer_by(pool.clone(), request.body(Full::<Bytes>::default()).expect("a request"))
    };
    // The one is told that it is late. Each looks twice: for rows, and before it for what is in place of others.
    assert_eq!(ask().await.status(), 503);
    reading.wait_for(|ended| *ended == 2).await.expect("it is there");
    // The other leaves, when its question is being answered.
    let leaving = tokio::time::timeout(std::time::Duration::from_millis(50), ask()).await;
    assert!(leaving.is_err());
    reading.wait_for(|ended| *ended == 4).await.expect("it is there");
}
