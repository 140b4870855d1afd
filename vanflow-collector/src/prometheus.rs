//! A Prometheus that answers what the charts of the console ask.
//!
//! A query goes to it as it came, and its answer comes back as it is, piece by piece. What concerns one connection
//! only stays there, and so does what a browser learns of other origins: that is ours to say.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri,
    header::{
        CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, X_CONTENT_TYPE_OPTIONS,
    },
    request::Parts,
};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use tokio::time::timeout;
use tower_http::timeout::TimeoutBody;
use tracing::{info, warn};
use vanflow_history::{QueryKind, error_body};

use crate::{
    answer::{Body, whole},
    config,
    http::Failure,
    outbound::{self, Named, OutboundError},
};

/// How long a Prometheus may take to begin its answer, and between two pieces of it; and how long a client may take to
/// send a query.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// How long a query that is posted may be, in octets.
const LONGEST_QUERY: usize = 1024 * 1024;

/// How long an answer may be, in octets. It is not kept: the bound is for a Prometheus that never ends.
const LONGEST_ANSWER: usize = 256 * 1024 * 1024;

/// A Prometheus, and connections to it.
#[derive(Clone)]
pub(crate) struct Prometheus {
    client: outbound::Client,
    url: Arc<str>,
    /// Whether the last query failed: it is reported once.
    failing: Arc<AtomicBool>,
}

impl Prometheus {
    /// The one that was named. Nothing is sent to it yet.
    pub(crate) fn new(settings: &config::Prometheus) -> Result<Self, OutboundError> {
        let server = Named { what: "Prometheus", option: "--prometheus-ca" };
        let client = outbound::client(server, &settings.url, settings.ca.as_deref())?;
        Ok(Self { client, url: settings.url.as_str().into(), failing: Arc::default() })
    }

    /// What it answers to a query, with the form that was posted; or that it does not answer, and why.
    pub(crate) async fn ask(
        &self,
        kind: QueryKind<'_>,
        asked: &Parts,
        form: Bytes,
    ) -> Result<Response<Body>, Unanswered> {
        let answered = match self.request(kind, asked, form) {
            Ok(request) => timeout(ANSWER_WITHIN, self.client.request(request)).await,
            Err(error) => {
                return Ok(refusal(StatusCode::BAD_REQUEST, error_body("bad_data", &error.to_string())));
            }
        };
        let (status, sort, why) = match answered {
            // Its own errors are JSON, whatever their status: this is of somebody before it, for whom it is not there.
            Ok(Ok(response)) if response.status().is_server_error() && !is_json(response.headers()) => {
                (StatusCode::BAD_GATEWAY, "unavailable", format!("its address answers {}", response.status()))
            }
            Ok(Ok(response)) => {
                if self.failing.swap(false, Ordering::Relaxed) {
                    info!("the Prometheus at {} answers again", self.url);
                }
                return Ok(passed_on(response));
            }
            Ok(Err(error)) => (StatusCode::BAD_GATEWAY, "unavailable", outbound::reasons(&error)),
            Err(_) => {
                let time = humantime::format_duration(ANSWER_WITHIN);
                (StatusCode::GATEWAY_TIMEOUT, "timeout", format!("it did not answer within {time}"))
            }
        };
        if !self.failing.swap(true, Ordering::Relaxed) {
            warn!("cannot ask the Prometheus at {}: {why}", self.url);
        }
        // Its address is for the log: not everybody who looks at charts has to know it.
        let text = format!("the Prometheus that this collector was given cannot be asked: {why}");
        Err(Unanswered { status, sort, text })
    }

    fn request(
        &self,
        kind: QueryKind<'_>,
        asked: &Parts,
        form: Bytes,
    ) -> Result<Request<Full<Bytes>>, http::Error> {
        let mut uri = format!("{}{}", self.url, kind.prometheus_path());
        if let Some(query) = asked.uri.query() {
            uri.extend(["?", query]);
        }
        let mut request = Request::new(Full::new(form));
        *request.uri_mut() = Uri::try_from(uri)?;
        request.method_mut().clone_from(&asked.method);
        let headers = request.headers_mut();
        headers.clone_from(&asked.headers);
        end_to_end(headers);
        // Of its own name, which it may go by; the length is that of the form, which is whole.
        for name in [HOST, CONTENT_LENGTH, EXPECT] {
            headers.remove(name);
        }
        Ok(request)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|media| media.as_bytes().starts_with(b"application/json"))
}

/// A query that the Prometheus did not answer, and why.
#[derive(Debug)]
pub(crate) struct Unanswered {
    status: StatusCode,
    /// What Prometheus calls such an error.
    sort: &'static str,
    pub(crate) text: String,
}

impl Unanswered {
    /// As an answer, in Prometheus' own form.
    pub(crate) fn respond(&self) -> Response<Body> {
        refusal(self.status, error_body(self.sort, &self.text))
    }
}

/// A form that was posted, whole, or why it is not taken.
pub(crate) async fn form<B>(body: B) -> Result<Bytes, Response<Body>>
where
    B: http_body::Body<Data = Bytes, Error: Into<Failure>>,
{
    let (status, text) = match timeout(ANSWER_WITHIN, Limited::new(body, LONGEST_QUERY).collect()).await {
        Ok(Ok(form)) => return Ok(form.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            (StatusCode::PAYLOAD_TOO_LARGE, format!("the query is longer than {LONGEST_QUERY} octets"))
        }
        Ok(Err(error)) => (StatusCode::BAD_REQUEST, format!("the query did not come whole: {error}")),
        Err(_) => (
            StatusCode::REQUEST_TIMEOUT,
            format!("the query did not come within {}", humantime::format_duration(ANSWER_WITHIN)),
        ),
    };
    Err(refusal(status, error_body("bad_data", &text)))
}

/// Leaves out what is between the two ends of one connection.
fn end_to_end(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .into_iter()
        .filter_map(|names| names.to_str().ok())
        .flat_map(|names| names.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let always = [
        CONNECTION,
        HeaderName::from_static("keep-alive"),
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        HeaderName::from_static("proxy-connection"),
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    for name in named.into_iter().chain(always) {
        headers.remove(name);
    }
}

/// The answer of a Prometheus, as it is passed on.
fn passed_on(response: Response<hyper::body::Incoming>) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    end_to_end(&mut head.headers);
    // Prometheus lets pages of all origins read its answers; ours are for those that were allowed to.
    let foreign: Vec<_> =
        head.headers.keys().filter(|name| name.as_str().starts_with("access-control-")).cloned().collect();
    for name in foreign {
        head.headers.remove(name);
    }
    let body = Limited::new(TimeoutBody::new(ANSWER_WITHIN, body), LONGEST_ANSWER);
    Response::from_parts(head, body.boxed_unsync())
}

/// An answer that says why there is none, in a body as Prometheus writes it.
pub(crate) fn refusal(status: StatusCode, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(whole(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, fs, sync::Mutex};

    use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, COOKIE};
    use http_body_util::StreamBody;
    use hyper::{body::Incoming, server::conn::http1, service::service_fn};
    use hyper_util::rt::TokioIo;
    use rustls::pki_types::pem::PemObject;
    use tokio::{
        net::TcpListener,
        sync::{Notify, mpsc},
    };
    use tokio_rustls::TlsAcceptor;

    use super::*;

    /// What a Prometheus was asked.
    struct Asked {
        line: String,
        headers: HeaderMap,
        form: Bytes,
    }

    type Seen = Arc<Mutex<Vec<Asked>>>;

    fn settings(url: String) -> config::Prometheus {
        config::Prometheus { url, ca: None }
    }

    /// A Prometheus on loopback: where it is, and what it was asked. Below `/slow` it never answers, and says when it
    /// was asked; below `/cut` it breaks off when it is asked to.
    async fn upstream(tls: Option<TlsAcceptor>) -> (String, Seen, Arc<Notify>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("an address");
        let (seen, arrived) = (Seen::default(), Arc::new(Notify::new()));
        let (seeing, arriving) = (seen.clone(), arrived.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seeing, arriving, tls) = (seeing.clone(), arriving.clone(), tls.clone());
                let service = service_fn(move |request| answered(request, seeing.clone(), arriving.clone()));
                tokio::spawn(async move {
                    match tls {
                        None => {
                            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await)
                        }
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                drop(
                                    http1::Builder::new()
                                        .serve_connection(TokioIo::new(stream), service)
                                        .await,
                                );
                            }
                        }
                    }
                });
            }
        });
        (address.to_string(), seen, arrived)
    }

    async fn answered(
        request: Request<Incoming>,
        seen: Seen,
        arrived: Arc<Notify>,
    ) -> Result<Response<Body>, Infallible> {
        let (head, body) = request.into_parts();
        let form = body.collect().await.expect("it comes whole").to_bytes();
        let path = head.uri.path().to_owned();
        seen.lock().expect("no panic").push(Asked {
            line: format!("{} {}", head.method, head.uri),
            headers: head.headers,
            form,
        });
        if path.starts_with("/slow") {
            arrived.notify_one();
            std::future::pending::<()>().await;
        }
        let body = if path.starts_with("/cut") {
            let first = futures_util::stream::iter([Ok(http_body::Frame::data("{\"status\":".into()))]);
            let broken = futures_util::stream::once(async move {
                arrived.notified().await;
                Err("cut".into())
            });
            StreamBody::new(futures_util::StreamExt::chain(first, broken)).boxed_unsync()
        } else {
            whole("the answer")
        };
        let response = Response::builder()
            .status(match path.as_bytes() {
                [b'/', b'b', b'a', b'd', ..] => 422,
                [b'/', b'b', b'u', b's', b'y', ..] | [b'/', b'g', b'o', b'n', b'e', ..] => 503,
                _ => 200,
            })
            .header(CONTENT_TYPE, if path.starts_with("/gone") { "text/html" } else { "application/json" })
            .header(CONTENT_ENCODING, "identity")
            .header("access-control-allow-origin", "*")
            .header("x-prometheus", "2")
            .header(CONNECTION, "x-hop")
            .header("x-hop", "1")
            .body(body);
        Ok(response.expect("a response"))
    }

    async fn ask(
        prometheus: &Prometheus,
        kind: QueryKind<'_>,
        request: Request<Full<Bytes>>,
    ) -> Response<Body> {
        let (parts, body) = request.into_parts();
        match form(body).await {
            Ok(form) => {
                let answered = prometheus.ask(kind, &parts, form).await;
                answered.unwrap_or_else(|unanswered| unanswered.respond())
            }
            Err(refused) => refused,
        }
    }

    fn get(query: &str) -> Request<Full<Bytes>> {
        Request::get(format!("/api/v2alpha1/internal/prom/query/?{query}"))
            .body(Full::default())
            .expect("a request")
    }

    async fn text(response: Response<Body>) -> String {
        let body = response.into_body().collect().await.expect("it comes whole").to_bytes();
        String::from_utf8(body.to_vec()).expect("text")
    }

    #[tokio::test]
    async fn a_query_goes_there_as_it_came_and_the_answer_comes_back_as_it_is() {
        let (address, seen, _) = upstream(None).await;
        let prometheus = Prometheus::new(&settings(format!("http://{address}/below/it"))).expect("is set up");
        let query = "query=sum(rate(x{a=~%22b%22}[60s]))+%2B+1&time=1.5";
        let mut request = get(query);
        for (name, value) in [
            (COOKIE, "a=b"),
            (AUTHORIZATION, "Bearer x"),
            (ACCEPT_ENCODING, "gzip"),
            (HOST, "console.example.com"),
            (CONNECTION, "close, x-mine"),
            (HeaderName::from_static("x-mine"), "1"),
            (TE, "trailers"),
        ] {
            request.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        let response = ask(&prometheus, QueryKind::Instant, request).await;
        assert_eq!(response.status().as_u16(), 200);
        let headers = response.headers().clone();
        assert_eq!(headers[CONTENT_TYPE], "application/json");
        assert_eq!(headers[CONTENT_ENCODING], "identity");
        assert_eq!(headers["x-prometheus"], "2");
        for kept in ["connection", "x-hop", "access-control-allow-origin"] {
            assert!(!headers.contains_key(kept), "{kept}");
        }
        assert_eq!(text(response).await, "the answer");

        let asked = seen.lock().expect("no panic").pop().expect("it was asked");
        assert_eq!(asked.line, format!("GET /below/it/api/v1/query?{query}"));
        assert_eq!(asked.headers[COOKIE], "a=b");
        assert_eq!(asked.headers[AUTHORIZATION], "Bearer x");
        assert_eq!(asked.headers[ACCEPT_ENCODING], "gzip");
        assert_eq!(asked.headers[HOST], address);
        for kept in ["x-mine", "te"] {
            assert!(!asked.headers.contains_key(kept), "{kept}");
        }
        assert_eq!(asked.form.len(), 0);
    }

    #[tokio::test]
    async fn a_form_goes_along_and_refusals_are_those_of_prometheus() {
        let (address, seen, _) = upstream(None).await;
        let prometheus = Prometheus::new(&settings(format!("http://{address}/bad"))).expect("is set up");
        let request = Request::post("/api/v2alpha1/internal/prom/rangequery")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(CONTENT_LENGTH, "8")
            .body(Full::from("query=up"))
            .expect("a request");
        let response = ask(&prometheus, QueryKind::Range, request).await;
        assert_eq!(response.status().as_u16(), 422);
        assert_eq!(text(response).await, "the answer");
        let asked = seen.lock().expect("no panic").pop().expect("it was asked");
        assert_eq!(asked.line, "POST /bad/api/v1/query_range");
        assert_eq!(asked.headers[CONTENT_TYPE], "application/x-www-form-urlencoded");
        assert_eq!(&asked.form[..], b"query=up");
    }

    #[tokio::test]
    async fn a_form_that_is_too_long_is_refused() {
        let prometheus = Prometheus::new(&settings("http://127.0.0.1:1".into())).expect("is set up");
        let request = Request::post("/").body(Full::from(vec![b'x'; LONGEST_QUERY + 1])).expect("a request");
        let response = ask(&prometheus, QueryKind::Instant, request).await;
        assert_eq!(response.status().as_u16(), 413);
        let expected = "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"the query is longer than \
                        1048576 octets\"}";
        assert_eq!(text(response).await, expected);
    }

    #[tokio::test]
    async fn a_prometheus_that_is_not_there_is_reported_in_its_own_form() {
        let address = {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
            listener.local_addr().expect("an address")
        };
        let prometheus = Prometheus::new(&settings(format!("http://{address}"))).expect("is set up");
        let response = ask(&prometheus, QueryKind::Instant, get("query=up")).await;
        assert_eq!(response.status().as_u16(), 502);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
        let text = text(response).await;
        let answer: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((&answer["status"], &answer["errorType"]), (&"error".into(), &"unavailable".into()));
        let error = answer["error"].as_str().expect("a text");
        assert!(
            error.starts_with("the Prometheus that this collector was given cannot be asked: ")
                && error.contains("Connection refused"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn an_error_of_whoever_stands_before_a_prometheus_is_no_answer_of_it() {
        let (address, _, _) = upstream(None).await;
        let at =
            |path: &str| Prometheus::new(&settings(format!("http://{address}/{path}"))).expect("is set up");
        let response = ask(&at("gone"), QueryKind::Instant, get("query=up")).await;
        assert_eq!(response.status().as_u16(), 502);
        let expected = "{\"status\":\"error\",\"errorType\":\"unavailable\",\"error\":\"the Prometheus that this \
                        collector was given cannot be asked: its address answers 503 Service Unavailable\"}";
        assert_eq!(text(response).await, expected);
        // A Prometheus says 503 itself of a query that took too long.
        let response = ask(&at("busy"), QueryKind::Instant, get("query=up")).await;
        assert_eq!((response.status().as_u16(), text(response).await), (503, "the answer".to_owned()));
    }

    #[tokio::test]
    async fn a_prometheus_that_does_not_answer_is_given_up() {
        let (address, _, arrived) = upstream(None).await;
        let prometheus = Prometheus::new(&settings(format!("http://{address}/slow"))).expect("is set up");
        let asking = tokio::spawn(async move { ask(&prometheus, QueryKind::Instant, get("query=up")).await });
        arrived.notified().await;
        tokio::time::pause();
        let response = asking.await.expect("no panic");
        assert_eq!(response.status().as_u16(), 504);
        let expected = "{\"status\":\"error\",\"errorType\":\"timeout\",\"error\":\"the Prometheus that this \
                        collector was given cannot be asked: it did not answer within 30s\"}";
        assert_eq!(text(response).await, expected);
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_is_not_taken_for_whole() {
        let (address, _, cut) = upstream(None).await;
        let prometheus = Prometheus::new(&settings(format!("http://{address}/cut"))).expect("is set up");
        let response = ask(&prometheus, QueryKind::Instant, get("query=up")).await;
        assert_eq!(response.status().as_u16(), 200);
        cut.notify_one();
        response.into_body().collect().await.expect_err("it broke off");
    }

    #[tokio::test]
    async fn a_query_that_never_comes_whole_is_given_up() {
        let (sender, mut receiver) = mpsc::channel::<Bytes>(1);
        let body = StreamBody::new(futures_util::stream::poll_fn(move |context| {
            receiver
                .poll_recv(context)
                .map(|piece| piece.map(|piece| Ok::<_, Infallible>(http_body::Frame::data(piece))))
        }));
        tokio::time::pause();
        let refused = form(body).await.expect_err("it never comes");
        assert_eq!(refused.status().as_u16(), 408);
        assert!(text(refused).await.contains("the query did not come within 30s"));
        drop(sender);
    }

    #[tokio::test]
    async fn an_https_prometheus_is_trusted_by_the_authority_that_was_given() {
        let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let key =
            rustls::pki_types::PrivateKeyDer::from_pem_slice(issued.signing_key.serialize_pem().as_bytes())
                .expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![issued.cert.der().clone()], key)
            .expect("they belong together");
        let (address, seen, _) = upstream(Some(TlsAcceptor::from(Arc::new(server)))).await;
        let port = address.rsplit(':').next().expect("a port");
        let directory = tempfile::tempdir().expect("a directory");
        let ca = directory.path().join("ca.crt");
        fs::write(&ca, issued.cert.pem()).expect("writes");
        let mut settings = settings(format!("https://localhost:{port}"));
        settings.ca = Some(ca.clone());
        let prometheus = Prometheus::new(&settings).expect("is set up");
        assert_eq!(text(ask(&prometheus, QueryKind::Instant, get("query=up")).await).await, "the answer");
        assert_eq!(seen.lock().expect("no panic").len(), 1);

        let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        fs::write(&ca, other.cert.pem()).expect("writes");
        let prometheus = Prometheus::new(&settings).expect("is set up");
        let response = ask(&prometheus, QueryKind::Instant, get("query=up")).await;
        assert_eq!(response.status().as_u16(), 502);
        let text = text(response).await;
        assert!(text.contains("certificate"), "{text}");
    }

    #[test]
    fn files_that_hold_no_authority_are_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("ca.crt");
        let mut settings = settings("https://prometheus".into());
        settings.ca = Some(path.clone());
        let refused = || Prometheus::new(&settings).map(drop).expect_err("no authority").to_string();
        let name = path.display();
        assert_eq!(
            refused(),
            format!("cannot read --prometheus-ca {name}: No such file or directory (os error 2)")
        );
        fs::write(&path, "half a certif").expect("writes");
        assert!(refused().starts_with(&format!("--prometheus-ca {name} holds no certificate in PEM: ")));
    }
}
