//! Who answers a request: the API, the page, the files of a console, or the Prometheus that was named.
//!
//! What the API has a path for is the API's, whatever files there are.

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
    request::Parts,
};
use http_body_util::{BodyExt, Empty, Full, combinators::UnsyncBoxBody};
use vanflow_api::Api;
use vanflow_history::{QueryKind, Refusal, Scope, error_body};

use crate::{
    console::Console,
    http::Failure,
    pool::{Making, in_turn},
    prometheus::{self, Prometheus},
    ui,
};

/// The body of any answer.
pub(crate) type Body = UnsyncBoxBody<Bytes, Failure>;

/// Answers requests.
#[derive(Clone)]
pub(crate) struct Answers {
    pub(crate) api: Api,
    pub(crate) console: Option<Console>,
    pub(crate) prometheus: Option<Prometheus>,
    /// What queries of charts may ask about, where that is not everything.
    pub(crate) scope: Option<Scope>,
}

impl Answers {
    /// The answer to a request. Its body is read only where it can be a query.
    pub(crate) async fn answer<B>(self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes, Error: Into<Failure>>,
    {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path();
        // What browsers ask in advance is about this server, not about one behind it.
        match vanflow_api::chart(path).filter(|_| parts.method != Method::OPTIONS) {
            Some(kind) => self.chart(kind, &parts, body).await,
            None if vanflow_api::is_ours(path) => self.asked(&parts).await,
            None => match (ui::find(path, self.console.is_none()), &self.console) {
                (Some(found), _) => ui::respond(found, &parts),
                (None, Some(console)) => console.clone().respond(&parts).await,
                (None, None) => self.asked(&parts).await,
            },
        }
    }

    /// The API's answer.
    async fn asked(&self, asked: &Parts) -> Response<Body> {
        boxed(in_turn(|| self.api.respond(asked)).await)
    }

    async fn chart<B>(&self, kind: QueryKind<'_>, asked: &Parts, body: B) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes, Error: Into<Failure>>,
    {
        let form = match &asked.method {
            method if *method == Method::POST || self.prometheus.is_some() => {
                match prometheus::form(body).await {
                    Ok(form) => form,
                    Err(mut refused) => {
                        self.api.allow_origins(asked, refused.headers_mut());
                        return refused;
                    }
                }
            }
            _ => Bytes::new(),
        };
        let narrowed = match &self.scope {
            // The API says which methods there are.
            Some(_) if !kind.takes(&asked.method) => return self.evaluated(asked, form, None).await,
            Some(scope) => match within(scope, kind, asked, &form) {
                Ok(narrowed) => Some(narrowed),
                Err(mut refused) => {
                    self.api.allow_origins(asked, refused.headers_mut());
                    return *refused;
                }
            },
            None => None,
        };
        let (asked, form) = match &narrowed {
            Some((asked, form)) => (asked, form.clone()),
            None => (asked, form),
        };
        let Some(prometheus) = &self.prometheus else { return self.evaluated(asked, form, None).await };
        let mut response = match prometheus.ask(kind, asked, form.clone()).await {
            Ok(response) => response,
            // Its own history has what it scraped, though not for as long.
            Err(unanswered) if self.api.has_history() => {
                let warning = format!("{}; this is from the collector's own history", unanswered.text);
                return self.evaluated(asked, form, Some(warning)).await;
            }
            Err(unanswered) => unanswered.respond(),
        };
        self.api.allow_origins(asked, response.headers_mut());
        response
    }

    /// The answer to a query that is evaluated here.
    async fn evaluated(&self, asked: &Parts, form: Bytes, warning: Option<String>) -> Response<Body> {
        let respond = || match warning {
            Some(warning) => self.api.respond_with_warning(asked, &form, &warning),
            None => self.api.respond_to_form(asked, &form),
        };
        boxed(in_turn(respond).await)
    }
}

/// The same question, about what is within the scope alone.
fn within(
    scope: &Scope,
    kind: QueryKind<'_>,
    asked: &Parts,
    form: &[u8],
) -> Result<(Parts, Bytes), Box<Response<Body>>> {
    let is_posted = asked.method == Method::POST;
    let media = asked.headers.get(CONTENT_TYPE).and_then(|media| media.to_str().ok()).unwrap_or_default();
    if is_posted && media.split(';').next().is_none_or(|media| !media.trim().eq_ignore_ascii_case(FORM)) {
        let text = format!("a query is posted as {FORM}, and not as {media:?}");
        return Err(Box::new(prometheus::refusal(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            error_body("bad_data", &text),
        )));
    }
    let form = if is_posted { String::from_utf8_lossy(form) } else { "".into() };
    let narrowed = scope
        .apply(kind, asked.uri.query(), &form)
        .map_err(|Refusal { status, body, .. }| Box::new(prometheus::refusal(status, body)))?;
    let mut asked = asked.clone();
    let path = asked.uri.path();
    let target = if is_posted { path.to_owned() } else { format!("{path}?{narrowed}") };
    asked.uri = target.parse().expect("what is percent-encoded can be in a URI");
    Ok((asked, if is_posted { narrowed.into() } else { Bytes::new() }))
}

/// What a query that is posted is.
const FORM: &str = "application/x-www-form-urlencoded";

/// The answer to a question whose own has not begun in time.
pub(crate) fn late(api: &Api, asked: &Parts, within: Duration) -> Response<Body> {
    if vanflow_api::chart(asked.uri.path()).is_none() {
        return boxed(api.late(asked, within));
    }
    let text = vanflow_api::late_text(within);
    let mut response = prometheus::refusal(StatusCode::SERVICE_UNAVAILABLE, error_body("timeout", &text));
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(vanflow_api::LATER));
    api.allow_origins(asked, response.headers_mut());
    response
}

pub(crate) fn boxed(mut response: Response<vanflow_api::Body>) -> Response<Body> {
    let making = if response.body().is_watch() { Making::Endless } else { Making::Computed };
    response.extensions_mut().insert(making);
    response.map(|body| body.map_err(Failure::from).boxed_unsync())
}

/// A body of nothing.
pub(crate) fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// A body that is there as a whole.
pub(crate) fn whole(octets: impl Into<Bytes>) -> Body {
    Full::new(octets.into()).map_err(|never| match never {}).boxed_unsync()
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::{Read, Write},
    };

    use http::{
        HeaderMap,
        header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_SECURITY_POLICY},
    };
    use tempfile::TempDir;
    use vanflow_api::{Cors, Network};
    use vanflow_store::{Store, StoreOptions};

    use super::*;
    use crate::config;

    /// A collector that knows nothing, and whose console has files where the API has paths.
    fn answers() -> (TempDir, Answers) {
        let directory = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(directory.path().join("api/v2alpha1")).expect("writes");
        for name in ["index.html", "healthz", "openapi.json", "swagger", "api/v2alpha1/sites", "api/mine"] {
            fs::write(directory.path().join(name), "a file").expect("writes");
        }
        let store = Store::new(StoreOptions::default());
        let (network, _) = Network::new(store);
        let mut options = vanflow_api::ApiOptions::default();
        (options.console, options.cors) = (true, Cors::Any);
        options.history = Some(vanflow_history::HistoryOptions::default());
        let console = Console::open(directory.path()).expect("a console");
        (
            directory,
            Answers {
                api: Api::new(network, options),
                console: Some(console),
                prometheus: None,
                scope: None,
            },
        )
    }

    struct Answer {
        status: u16,
        headers: HeaderMap,
        text: String,
    }

    async fn ask(answers: &Answers, method: Method, path: &str, form: &'static str) -> Answer {
        let request =
            Request::builder().method(method).uri(path).body(Full::<Bytes>::from(form)).expect("a request");
        answer(answers, request).await
    }

    async fn post(answers: &Answers, path: &str, media: &str, form: &'static str) -> Answer {
        let request = Request::post(path)
            .header(CONTENT_TYPE, media)
            .body(Full::<Bytes>::from(form))
            .expect("a request");
        answer(answers, request).await
    }

    async fn answer(answers: &Answers, request: Request<Full<Bytes>>) -> Answer {
        let (head, body) = answers.clone().answer(request).await.into_parts();
        let body = body.collect().await.expect("it comes whole").to_bytes();
        let text = String::from_utf8(body.to_vec()).expect("text");
        Answer { status: head.status.as_u16(), headers: head.headers, text }
    }

    #[tokio::test]
    async fn what_the_api_has_a_path_for_is_no_file() {
        let (_directory, answers) = answers();
        for path in ["/healthz", "/readyz", "/openapi.json", "/swagger", "/api/v2alpha1/sites", "/api/mine"] {
            let answer = ask(&answers, Method::GET, path, "").await;
            assert_ne!(answer.text, "a file", "{path}");
            assert_ne!(
                answer.headers.get(CONTENT_SECURITY_POLICY).map(|policy| policy.as_bytes()),
                Some(FILES)
            );
        }
        for path in ["/", "/index.html", "/index.html?v=1"] {
            let answer = ask(&answers, Method::GET, path, "").await;
            assert_eq!((answer.status, answer.text.as_str()), (200, "a file"), "{path}");
            assert_eq!(answer.headers[CONTENT_SECURITY_POLICY].as_bytes(), FILES);
        }
    }

    const FILES: &[u8] = b"default-src 'self';";

    #[tokio::test]
    async fn the_page_is_at_the_root_unless_a_console_is_and_the_index_of_the_apis_below_api() {
        let (_directory, mut answers) = answers();
        let page = "<title>VAN-Flow</title>";
        for (path, console) in [("/view/", true), ("/view/", false), ("/", false), ("/index.html", false)] {
            let mut answers = answers.clone();
            answers.console = answers.console.filter(|_| console);
            let answer = ask(&answers, Method::GET, path, "").await;
            assert_eq!((answer.status, answer.text.contains(page)), (200, true), "{path}, {console}");
        }
        for console in [true, false] {
            answers.console = answers.console.filter(|_| console);
            for path in ["/api", "/api/"] {
                let index = ask(&answers, Method::GET, path, "").await;
                assert!(index.text.contains("<h1>VAN-Flow collector</h1>"), "{path}: {}", index.text);
            }
        }
        let nothing = ask(&answers, Method::GET, "/nothing", "").await;
        assert_eq!(nothing.status, 404, "{}", nothing.text);
    }

    #[tokio::test]
    async fn without_a_prometheus_queries_of_charts_are_answered_here() {
        let (_directory, answers) = answers();
        for method in [Method::GET, Method::POST] {
            let path = "/api/v2alpha1/internal/prom/query/?query=up";
            let answer = ask(&answers, method.clone(), path, "time=1").await;
            assert_eq!(answer.status, 200, "{method}: {}", answer.text);
            assert!(answer.text.starts_with("{\"status\":\"success\""), "{}", answer.text);
            assert_eq!(answer.headers[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        }
    }

    fn without_history() -> Api {
        let (network, _) = Network::new(Store::new(StoreOptions::default()));
        let mut options = vanflow_api::ApiOptions::default();
        options.cors = Cors::Any;
        Api::new(network, options)
    }

    #[tokio::test]
    async fn where_the_prometheus_does_not_answer_the_history_does_and_says_so() {
        let (_directory, mut answers) = answers();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        drop(listener);
        answers.prometheus = Some(Prometheus::new(&config::Prometheus { url, ca: None }).expect("is set up"));
        for (method, path, form) in [
            (Method::GET, "/api/v2alpha1/internal/prom/query/?query=vector(7)", ""),
            (Method::POST, "/prometheus/api/v1/query", "query=vector(7)"),
        ] {
            let answer = ask(&answers, method, path, form).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            assert_eq!(answer.headers[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
            let json: serde_json::Value = serde_json::from_str(&answer.text).expect("JSON");
            assert_eq!(json["data"]["result"][0]["value"][1], "7");
            let warning = json["warnings"][0].as_str().expect("a warning");
            assert!(
                warning.starts_with("the Prometheus that this collector was given cannot be asked: "),
                "{warning}"
            );
            assert!(warning.ends_with("; this is from the collector's own history"), "{warning}");
        }
        let wrong = ask(&answers, Method::GET, "/prometheus/api/v1/query?query=sum(", "").await;
        assert_eq!(wrong.status, 400, "{}", wrong.text);
    }

    /// Something that takes the place of a Prometheus, and says of one request what it was asked.
    fn prometheus() -> (Prometheus, std::thread::JoinHandle<String>) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = std::thread::spawn(move || {
            let (mut client, _) = listener.accept().expect("a client");
            let (mut request, mut piece) = (Vec::new(), [0; 4096]);
            // All of it comes in one piece or two: the head, and the form.
            while !is_whole(&request) {
                let length = client.read(&mut piece).expect("reads");
                request.extend_from_slice(&piece[..length]);
            }
            client.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").expect("writes");
            String::from_utf8(request).expect("text")
        });
        (Prometheus::new(&config::Prometheus { url, ca: None }).expect("is set up"), asked)
    }

    fn is_whole(request: &[u8]) -> bool {
        let text = String::from_utf8_lossy(request);
        let Some((head, form)) = text.split_once("\r\n\r\n") else { return false };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        length.map_or(0, |length| length.parse().expect("a number")) == form.len()
    }

    fn scope() -> Option<Scope> {
        Some(Scope { network: "west".to_owned(), is_series: vanflow_api::metrics::is_series })
    }

    #[tokio::test]
    async fn a_prometheus_is_asked_about_the_network_of_this_collector_alone() {
        let (_directory, mut answers) = answers();
        answers.scope = scope();
        let narrowed = "query=skupper%5Frequests%5Ftotal%7Bnetwork%5Fid%3D%22west%22%7D";
        let path = "/prometheus/api/v1/query";
        let (prometheus, asked) = self::prometheus();
        answers.prometheus = Some(prometheus);
        let answer = ask(&answers, Method::GET, &format!("{path}?query=skupper_requests_total"), "").await;
        assert_eq!((answer.status, answer.text.as_str()), (200, "{}"));
        let asked = asked.join().expect("no panic");
        assert!(asked.starts_with(&format!("GET /api/v1/query?{narrowed} HTTP/1.1")), "{asked}");

        let (prometheus, asked) = self::prometheus();
        answers.prometheus = Some(prometheus);
        let answer = post(&answers, path, FORM, "query=skupper_requests_total").await;
        assert_eq!(answer.status, 200);
        let asked = asked.join().expect("no panic");
        assert!(asked.starts_with("POST /api/v1/query HTTP/1.1") && asked.ends_with(narrowed), "{asked}");
    }

    #[tokio::test]
    async fn what_is_not_of_this_network_is_refused_whoever_would_answer() {
        let (_directory, mut answers) = answers();
        answers.scope = scope();
        let path = "/prometheus/api/v1/query";
        for prometheus in [None, Some(self::prometheus().0)] {
            answers.prometheus = prometheus;
            let answer = ask(&answers, Method::GET, &format!("{path}?query=up"), "").await;
            assert_eq!(answer.status, 403);
            assert_eq!(answer.headers[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
            assert_eq!(
                answer.text,
                r#"{"status":"error","errorType":"forbidden","error":"\"up\" is no metric of this collector, and nothing else may be asked for here"}"#
            );
            assert_eq!(ask(&answers, Method::GET, path, "").await.status, 400);
            assert_eq!(ask(&answers, Method::DELETE, &format!("{path}?query=up"), "").await.status, 405);
            let answer = post(&answers, path, "text/plain", "query=skupper_requests_total").await;
            assert_eq!(answer.status, 415);
            assert_eq!(
                answer.text,
                r#"{"status":"error","errorType":"bad_data","error":"a query is posted as application/x-www-form-urlencoded, and not as \"text/plain\""}"#
            );
        }
    }

    #[tokio::test]
    async fn a_prometheus_is_asked_by_pages_of_those_origins_that_may_ask_us() {
        let (_directory, mut answers) = answers();
        answers.api = without_history();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        drop(listener);
        let settings = config::Prometheus { url, ca: None };
        answers.prometheus = Some(Prometheus::new(&settings).expect("is set up"));
        let path = "/api/v2alpha1/internal/prom/rangequery/";
        let answer = ask(&answers, Method::GET, path, "").await;
        assert_eq!(answer.status, 502, "there is nobody: {}", answer.text);
        assert_eq!(answer.headers[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert_eq!(ask(&answers, Method::OPTIONS, path, "").await.status, 204);
        let answer = ask(&answers, Method::GET, "/api/v2alpha1/internal/prom/labels", "").await;
        assert_eq!(answer.status, 404, "other paths are not passed on");
    }
}
