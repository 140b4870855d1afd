//! Requests as they come, against a collector that asks who they are.

use std::{fs, path::PathBuf};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_ORIGIN, AUTHORIZATION, CONTENT_SECURITY_POLICY,
        CONTENT_TYPE, COOKIE, HOST, LOCATION, ORIGIN, SET_COOKIE, WWW_AUTHENTICATE,
    },
};
use http_body_util::{BodyExt, Full};
use tempfile::TempDir;
use vanflow_api::{Api, ApiOptions, Cors, Network};
use vanflow_store::{Store, StoreOptions};

use super::*;
use crate::{answer::Answers, front::Front, http::Peer};

const USERS: &str = "ann:$2y$04$6iOx4S19.qyngEBDoPVU4.fNSRhT/k5Y.8E35u5rdTm7hnEzcszTK\n\
                     bert:$apr1$0Va/P89H$iDcDP4UnDAn8B06ht12cY0\n\
                     cora:{SHA}L55TUjtiq8FBorTWAZ0jy6g129A=\n\
                     skupper:{PLAIN}correct horse\n\
                     scraper:{PLAIN}sesame:metrics\n";

/// Whose token is `correct-horse`.
const CI: &str = "ci:9dca666eb54730714630d1519264a7bf1eeaad00b8f2edc90d3ecbfad928d163";

/// A collector that asks who asks, and its files.
struct Asked {
    front: Front,
    guard: Arc<Guard>,
    directory: TempDir,
}

impl Asked {
    fn new(kinds: &[&str]) -> Self {
        Self::with(kinds, |_| {})
    }

    fn with(kinds: &[&str], change: impl FnOnce(&mut Access)) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let file = |name: &str, text: &str| -> PathBuf {
            let path = directory.path().join(name);
            fs::write(&path, text).expect("writes");
            path
        };
        let kinds = kinds.iter().map(|kind| match *kind {
            "htpasswd" => Auth::Htpasswd(file("users", USERS)),
            "tokens" => Auth::Tokens(file("tokens", &sums())),
            "certificate" => Auth::Certificate,
            proxy => Auth::Proxy(proxy.parse().expect("an address")),
        });
        let mut access = Access { kinds: kinds.collect(), metrics_open: false, ..Access::open() };
        change(&mut access);
        let http = config::Http {
            listen: vec!["0.0.0.0:8010".to_owned()],
            public_urls: Vec::new(),
            tls: None,
            client_ca: None,
            cors: Cors::Origins(vec!["https://console.example".to_owned()]),
            limits: config::Limits::default(),
        };
        let (network, _) = Network::new(Store::new(StoreOptions::default()));
        let mut options = ApiOptions::default();
        options.cors = http.cors.clone();
        let answers =
            Answers { api: Api::new(network, options), console: None, prometheus: None, scope: None };
        let guard = Guard::open(&access, &http).map(|guard| Arc::new(guard.expect("it asks")));
        let guard = guard.unwrap_or_else(|error| panic!("{error}"));
        Self { front: Front::new(&http, Some(guard.clone()), AuthType::Local, answers), guard, directory }
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let (head, body) = self.front.clone().answer(request).await.into_parts();
        let body = body.collect().await.expect("it comes whole").to_bytes();
        let text = String::from_utf8_lossy(&body).into_owned();
        Answer { status: head.status.as_u16(), headers: head.headers, text }
    }

    async fn get(&self, path: &str, headers: &[(HeaderName, &str)]) -> Answer {
        self.send(request(Method::GET, path, headers, "")).await
    }

    async fn post(&self, path: &str, headers: &[(HeaderName, &str)], form: &str) -> Answer {
        let form_header = (CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request(Method::POST, path, &[&[form_header], headers].concat(), form)).await
    }
}

/// The sums of tokens; that of prometheus is `sesame`.
fn sums() -> String {
    let sum: String = super::secret::sha256(b"sesame").iter().map(|octet| format!("{octet:02x}")).collect();
    format!("{CI}\nprometheus:{sum}:metrics\n")
}

fn request(method: Method, path: &str, headers: &[(HeaderName, &str)], body: &str) -> Request<Full<Bytes>> {
    let body = Full::from(body.to_owned());
    let mut request = Request::builder().method(method).uri(path).body(body).expect("a request");
    request.headers_mut().insert(HOST, HeaderValue::from_static("van.example:8010"));
    for (name, value) in headers {
        request.headers_mut().append(name, HeaderValue::try_from(*value).expect("a value"));
    }
    request
}

/// The same request, from another address.
fn from(address: u8, mut request: Request<Full<Bytes>>) -> Request<Full<Bytes>> {
    let address = [192, 0, 2, address].into();
    request.extensions_mut().insert(Peer::at(address));
    request
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn all(&self, name: HeaderName) -> Vec<&str> {
        self.headers.get_all(name).iter().map(|value| value.to_str().expect("text")).collect()
    }

    /// The cookie of the session that it began.
    fn cookie(&self) -> String {
        let cookie = self.all(SET_COOKIE).concat();
        cookie.split(';').next().unwrap_or_default().to_owned()
    }
}

fn basic(user: &str) -> String {
    format!("Basic {}", base64::Engine::encode(&BASE64, user))
}

const BROWSER: HeaderName = HeaderName::from_static("sec-fetch-mode");

#[tokio::test]
async fn only_who_shows_a_name_and_its_password_is_answered() {
    let asked = Asked::new(&["htpasswd"]);
    for name in ["ann", "bert", "cora", "skupper"] {
        let shown = basic(&format!("{name}:correct horse"));
        let answer = asked.get("/api/v1/verdict", &[(AUTHORIZATION, &shown)]).await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text);
        let user = asked.get("/api/v2alpha1/user", &[(AUTHORIZATION, &shown)]).await;
        assert_eq!(user.text, format!("{{\"username\":\"{name}\",\"authType\":\"basic\"}}\n"));
    }
    let mut clients = 0;
    let wrong = "{\"error\":\"the name, the password or the token is wrong\"}\n";
    let unknown = "{\"error\":\"this collector has to know who asks: log in at /login, or show a name and a password \
                   (Authorization: Basic)\"}\n";
    for (shown, expected) in [
        (Some(basic("ann:correct hors")), wrong),
        (Some(basic("anna:correct horse")), wrong),
        (Some(basic(":")), wrong),
        (Some(basic("ann")), wrong),
        (Some("Basic !".to_owned()), wrong),
        (Some("Basic".to_owned()), wrong),
        (Some("Bearer correct-horse".to_owned()), unknown),
        (Some("Negotiate x".to_owned()), unknown),
        (None, unknown),
    ] {
        for path in [
            "/",
            "/view/",
            "/api",
            "/api/v1/verdict",
            "/metrics",
            "/prometheus/api/v1/query",
            "/openapi.json",
        ] {
            let headers: Vec<_> = shown.iter().map(|shown| (AUTHORIZATION, shown.as_str())).collect();
            // Each from another address, none of which is wrong often.
            clients += 1;
            let answer = asked.send(from(clients, request(Method::GET, path, &headers, ""))).await;
            assert_eq!((answer.status, answer.text.as_str()), (401, expected), "{path} {shown:?}");
            assert_eq!(
                answer.all(WWW_AUTHENTICATE),
                ["Basic realm=\"vanflow-collector\", charset=\"UTF-8\""]
            );
            assert_eq!(answer.headers["cache-control"], "no-store");
        }
    }
}

#[tokio::test]
async fn a_token_is_shown_as_it_is() {
    let asked = Asked::new(&["tokens"]);
    let answer = asked.get("/api/v2alpha1/user", &[(AUTHORIZATION, "bearer  correct-horse ")]).await;
    assert_eq!(answer.text, "{\"username\":\"ci\",\"authType\":\"token\"}\n");
    for shown in ["Bearer correct-hors", "Bearer ", "Bearer"] {
        let answer = asked.get("/api/v1/verdict", &[(AUTHORIZATION, shown)]).await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.all(WWW_AUTHENTICATE), ["Bearer realm=\"vanflow-collector\""]);
    }
    let both = Asked::new(&["htpasswd", "tokens"]);
    let shown = basic("ann:correct horse");
    assert_eq!(both.get("/api/v1/verdict", &[(AUTHORIZATION, &shown)]).await.status, 200);
    assert_eq!(both.get("/api/v1/verdict", &[(AUTHORIZATION, "Bearer correct-horse")]).await.status, 200);
    let answer = both.get("/api/v1/verdict", &[]).await;
    assert_eq!(answer.all(WWW_AUTHENTICATE).len(), 2);
    assert_eq!(
        answer.text,
        "{\"error\":\"this collector has to know who asks: log in at /login, or show a name and a password (Authorization: \
         Basic) or a token (Authorization: Bearer)\"}\n"
    );
}

#[tokio::test]
async fn who_may_see_metrics_sees_nothing_else() {
    let asked = Asked::new(&["htpasswd", "tokens"]);
    for (name, shown) in [("scraper", basic("scraper:sesame")), ("prometheus", "Bearer sesame".to_owned())] {
        let shown = [(AUTHORIZATION, shown.as_str())];
        assert_eq!(asked.get("/metrics", &shown).await.status, 200, "{name}");
        assert_eq!(asked.get("/api/v2alpha1/user", &shown).await.status, 200, "{name}");
        for path in
            ["/", "/api/v1/verdict", "/metrics/", "/api/v1/stream", "/prometheus/api/v1/query?query=1"]
        {
            let answer = asked.get(path, &shown).await;
            assert_eq!(answer.status, 403, "{path}");
            assert_eq!(
                answer.text,
                format!("{{\"error\":\"\\\"{name}\\\" may see /metrics, and nothing else\"}}\n")
            );
        }
    }
}

#[tokio::test]
async fn probes_are_for_everybody_and_metrics_by_choice() {
    let asked = Asked::new(&["htpasswd"]);
    assert_eq!(asked.get("/healthz", &[]).await.status, 200);
    assert_eq!(asked.get("/readyz", &[]).await.status, 503);
    assert_eq!(asked.get("/metrics", &[]).await.status, 401);
    let asked = Asked::with(&["htpasswd"], |access| access.metrics_open = true);
    assert_eq!(asked.get("/metrics", &[]).await.status, 200);
    assert_eq!(asked.get("/api/v1/verdict", &[]).await.status, 401);
}

#[tokio::test]
async fn a_browser_is_led_to_the_page_and_back_to_where_it_was() {
    let asked = Asked::new(&["htpasswd"]);
    for (path, expected) in [
        ("/", "login"),
        ("/?a=b&c", "login?to=%3Fa%3Db%26c"),
        ("/view/", "../login?to=view%2F"),
        ("/api/v1/verdict?x=1", "../../login?to=api%2Fv1%2Fverdict%3Fx%3D1"),
    ] {
        let answer = asked.get(path, &[(BROWSER, "navigate")]).await;
        assert_eq!(answer.status, 303, "{path}");
        assert_eq!(answer.headers[LOCATION], expected);
    }
    // What a page fetches is no place to go to, and the window of the browser for names and passwords stays away.
    let answer = asked.get("/api/v1/verdict", &[(BROWSER, "cors")]).await;
    assert_eq!(answer.status, 401);
    assert_eq!(
        answer.all(WWW_AUTHENTICATE),
        ["Cookie realm=\"vanflow-collector\", form-action=\"/login\", cookie-name=vanflow_session"]
    );

    let page = asked.get("/login?to=view%2F%22%3E%3Cscript%3E", &[(BROWSER, "navigate")]).await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("name=\"to\" value=\"view/&quot;&gt;&lt;script&gt;\""), "{}", page.text);
    assert!(page.text.contains("Password<input") && !page.text.contains("<!--"), "{}", page.text);
    let policy = page.headers[CONTENT_SECURITY_POLICY].to_str().expect("text");
    assert!(policy.contains("style-src 'sha256-") && policy.contains("form-action 'self'"), "{policy}");
    let tokens = Asked::new(&["tokens"]).get("/login", &[]).await;
    assert!(tokens.text.contains("Token<input") && !tokens.text.contains("name=\"user\""), "{}", tokens.text);
}

#[tokio::test]
async fn who_logs_in_has_a_session_until_they_log_out() {
    let asked = Asked::new(&["htpasswd"]);
    let form = "user=ann&password=correct+horse&to=view%2F";
    let from_page = [(BROWSER, "navigate"), (ORIGIN, "http://van.example:8010")];
    let answer = asked.post("/login", &from_page, form).await;
    assert_eq!((answer.status, &answer.headers[LOCATION]), (303, &HeaderValue::from_static("./view/")));
    let cookie = answer.all(SET_COOKIE).concat();
    assert!(cookie.starts_with("vanflow_session="), "{cookie}");
    assert!(cookie.ends_with("; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict"), "{cookie}");
    assert!(!cookie.contains("correct"), "{cookie}");

    let cookie = answer.cookie();
    let session = [(COOKIE, cookie.as_str())];
    assert_eq!(asked.get("/view/", &session).await.status, 200);
    let user = asked.get("/api/v2alpha1/user", &[(COOKIE, &format!("a=b; {cookie}"))]).await;
    assert_eq!(user.text, "{\"username\":\"ann\",\"authType\":\"session\"}\n");

    let answer = asked.get("/logout", &session).await;
    assert_eq!((answer.status, &answer.headers["allow"]), (405, &HeaderValue::from_static("POST")));
    let other = [(COOKIE, cookie.as_str()), (ORIGIN, "https://evil.example")];
    assert_eq!(asked.post("/logout", &other, "").await.status, 403);
    assert_eq!(asked.get("/view/", &session).await.status, 200, "no other page logs anybody out");
    let answer = asked.post("/logout", &session, "").await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.all(SET_COOKIE), ["vanflow_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict"]);
    assert_eq!(asked.get("/view/", &session).await.status, 401);
}

#[tokio::test]
async fn the_console_logs_out_as_it_always_does() {
    let asked = Asked::new(&["htpasswd"]);
    let cookie = asked.post("/login", &[], "user=ann&password=correct+horse").await.cookie();
    let answer = asked.get("/api/v2alpha1/logout?nonce=1", &[(COOKIE, &cookie)]).await;
    assert!(answer.status < 300, "{}", answer.text);
    assert_eq!(answer.cookie(), "vanflow_session=");
    assert_eq!(asked.get("/view/", &[(COOKIE, &cookie)]).await.status, 401);
}

#[tokio::test]
async fn what_is_wrong_with_a_log_in_is_said_where_it_is_read() {
    let asked = Asked::new(&["htpasswd"]);
    let page = [(BROWSER, "navigate")];
    for (form, expected) in [
        ("user=ann&password=sesame&to=view/", "The name or the password is wrong."),
        ("user=nobody&password=correct+horse&to=view/", "The name or the password is wrong."),
        ("user=ann&password=&to=view/", "A name and a password are needed."),
        ("to=view/", "A name and a password are needed."),
    ] {
        let answer = asked.post("/login", &page, form).await;
        assert_eq!(answer.status, 401);
        assert!(answer.text.contains(&format!("role=\"alert\">{expected}</p>")), "{}", answer.text);
        assert!(answer.text.contains("name=\"to\" value=\"view/\""), "it goes on to where it was");
        assert!(answer.all(SET_COOKIE).is_empty() && !answer.text.contains("sesame"));
        let answer = asked.post("/login", &[], form).await;
        assert_eq!((answer.status, answer.text), (401, format!("{{\"error\":\"{expected}\"}}\n")));
    }
    let form = "user=ann&password=correct+horse";
    let answer = asked.post("/login", &[(ORIGIN, "https://evil.example")], form).await;
    assert_eq!(
        (answer.status, answer.text.as_str()),
        (403, "{\"error\":\"a page of another site cannot log in or out here\"}\n")
    );
    let answer = asked.send(request(Method::POST, "/login", &[], form)).await;
    assert_eq!(
        (answer.status, answer.text.as_str()),
        (415, "{\"error\":\"a log-in is posted as application/x-www-form-urlencoded\"}\n")
    );
    assert_eq!(asked.post("/login", &[], &"x".repeat(20_000)).await.status, 413);
    let answer = asked.send(request(Method::DELETE, "/login", &[], "")).await;
    assert_eq!(
        (answer.status, answer.text.as_str()),
        (405, "{\"error\":\"DELETE is not possible here, only GET, HEAD and POST\"}\n")
    );
}

#[tokio::test]
async fn a_session_can_be_begun_with_a_token() {
    let asked = Asked::new(&["htpasswd", "tokens"]);
    for form in ["password=correct-horse", "user=ci&password=correct-horse"] {
        let cookie = asked.post("/login", &[], form).await.cookie();
        let user = asked.get("/api/v2alpha1/user", &[(COOKIE, &cookie)]).await;
        assert_eq!(user.text, "{\"username\":\"ci\",\"authType\":\"session\"}\n");
    }
    assert_eq!(asked.post("/login", &[], "user=ann&password=correct-horse").await.status, 401);
}

#[tokio::test]
async fn a_session_that_came_by_tls_goes_by_tls_alone() {
    let asked = Asked::new(&["htpasswd"]);
    let form = "user=ann&password=correct+horse";
    let proxied = asked.post("/login", &[(ORIGIN, "https://van.example:8010")], form).await;
    assert!(proxied.all(SET_COOKIE).concat().ends_with("; SameSite=Strict; Secure"));
    let headers = [(CONTENT_TYPE, "application/x-www-form-urlencoded")];
    let mut request = request(Method::POST, "/login", &headers, form);
    request.extensions_mut().insert(Peer { is_tls: true, ..Peer::at([192, 0, 2, 1].into()) });
    assert!(asked.send(request).await.all(SET_COOKIE).concat().ends_with("; SameSite=Strict; Secure"));
}

#[tokio::test]
async fn an_answer_that_goes_on_breaks_off_when_who_asked_is_logged_out() {
    let asked = Asked::new(&["htpasswd", "tokens"]);
    let cookie = asked.post("/login", &[], "user=ann&password=correct+horse").await.cookie();
    let watch = "/api/v1alpha1/routers?watch=true";
    for ends in [true, false] {
        let shown = if ends { (COOKIE, cookie.as_str()) } else { (AUTHORIZATION, "Bearer correct-horse") };
        let response = asked.front.clone().answer(request(Method::GET, watch, &[shown], "")).await;
        assert_eq!(response.status(), StatusCode::OK);
        let mut body = response.into_body();
        if ends {
            asked.post("/logout", &[(COOKIE, &cookie)], "").await;
        } else {
            fs::write(asked.directory.path().join("tokens"), sums().replacen("ci:9", "ci:8", 1))
                .expect("writes");
            asked.guard.look();
            asked.guard.look();
        }
        let error = loop {
            match body.frame().await {
                Some(Ok(_)) => {}
                Some(Err(error)) => break error,
                None => panic!("nobody may take it for whole"),
            }
        };
        assert_eq!(error.to_string(), "whoever asked for it is logged out");
    }
    let answer = asked.get("/api/v1/verdict", &[(AUTHORIZATION, "Bearer correct-horse")]).await;
    assert_eq!(answer.status, 401);
}

#[tokio::test]
async fn pages_of_origins_that_may_ask_can_show_who_they_are() {
    let asked = Asked::new(&["tokens"]);
    let origin = (ORIGIN, "https://console.example");
    let preflight = [
        origin.clone(),
        (HeaderName::from_static("access-control-request-method"), "GET"),
        (HeaderName::from_static("access-control-request-headers"), "authorization"),
    ];
    let answer = asked.send(request(Method::OPTIONS, "/api/v1/verdict", &preflight, "")).await;
    assert_eq!(answer.status, 204);
    assert!(answer.all(ACCESS_CONTROL_ALLOW_HEADERS).concat().contains("Authorization"));
    let answer = asked.get("/api/v1/verdict", &[origin]).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.headers[ACCESS_CONTROL_ALLOW_ORIGIN], "https://console.example", "it may read why");
    assert_eq!(asked.send(request(Method::OPTIONS, "/api/v1/verdict", &[], "")).await.status, 401);
}

#[tokio::test(start_paused = true)]
async fn who_is_wrong_too_often_waits_and_others_do_not() {
    let asked = Asked::new(&["htpasswd", "tokens"]);
    let cookie = asked.post("/login", &[], "user=skupper&password=correct+horse").await.cookie();
    let from = |address: u8, headers: &[(HeaderName, &str)]| {
        from(address, request(Method::GET, "/api/v1/verdict", headers, ""))
    };
    let (right, wrong) = (basic("skupper:correct horse"), basic("skupper:sesame"));
    for each in 0..10 {
        let shown = if each % 2 == 0 { &wrong } else { "Bearer wrong" };
        assert_eq!(asked.send(from(1, &[(AUTHORIZATION, shown)])).await.status, 401);
    }
    for shown in [&*right, &wrong, "Bearer wrong"] {
        let answer = asked.send(from(1, &[(AUTHORIZATION, shown)])).await;
        assert_eq!(answer.status, 429);
        assert_eq!(answer.headers["retry-after"], "7");
        assert_eq!(
            answer.text,
            "{\"error\":\"too many wrong names, passwords or tokens from this address: ask again later\"}\n"
        );
    }
    assert_eq!(asked.send(from(1, &[])).await.status, 401, "nothing is wrong with showing nothing");
    assert_eq!(asked.send(from(1, &[(COOKIE, &cookie)])).await.status, 200, "who is logged in stays so");
    assert_eq!(asked.send(from(1, &[(AUTHORIZATION, "Bearer correct-horse")])).await.status, 200);
    assert_eq!(asked.send(from(2, &[(AUTHORIZATION, &right)])).await.status, 200);
    tokio::time::advance(Duration::from_secs(7)).await;
    assert_eq!(asked.send(from(1, &[(AUTHORIZATION, &right)])).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn the_page_says_that_somebody_was_wrong_too_often() {
    let asked = Asked::new(&["htpasswd"]);
    let page = [(BROWSER, "navigate")];
    for _ in 0..10 {
        assert_eq!(asked.post("/login", &page, "user=skupper&password=x").await.status, 401);
    }
    let answer = asked.post("/login", &page, "user=skupper&password=correct+horse").await;
    assert_eq!((answer.status, &answer.headers["retry-after"]), (429, &HeaderValue::from_static("7")));
    assert!(answer.text.contains("That was wrong too often. Try again in a minute."), "{}", answer.text);
}

#[tokio::test]
async fn a_proxy_at_its_address_says_who_asks_and_nobody_else_does() {
    let asked = Asked::new(&["10.0.0.0/8"]);
    let user = (HeaderName::from_static("x-forwarded-user"), "ann");
    let email = (HeaderName::from_static("x-forwarded-email"), "ann@example.com");
    let ask = |address: [u8; 4], headers: &[(HeaderName, &str)]| {
        let mut request = request(Method::GET, "/api/v2alpha1/user", headers, "");
        request.extensions_mut().insert(Peer::at(address.into()));
        request
    };
    for (headers, name) in
        [(&[email.clone(), user.clone()][..], "ann"), (std::slice::from_ref(&email), "ann@example.com")]
    {
        let answer = asked.send(ask([10, 1, 2, 3], headers)).await;
        assert_eq!(answer.text, format!("{{\"username\":\"{name}\",\"authType\":\"proxy\"}}\n"));
        let answer = asked.send(ask([192, 0, 2, 1], headers)).await;
        assert_eq!(
            (answer.status, answer.text.as_str()),
            (
                403,
                "{\"error\":\"this collector has to know who asks: come by the proxy that is in front of it\"}\n"
            )
        );
    }
    let too_long = "n".repeat(256);
    for names in [&["ann", "bert"][..], &[""], &[" "], &["a\tb"], &[&too_long], &[]] {
        let headers: Vec<_> = names.iter().map(|name| (user.0.clone(), *name)).collect();
        assert_eq!(asked.send(ask([10, 1, 2, 3], &headers)).await.status, 403, "{names:?}");
    }
    assert_eq!(asked.get("/login", &[]).await.status, 403, "there is nothing to log in with");
    let answer = asked.get("/", &[(BROWSER, "navigate")]).await;
    assert_eq!((answer.status, answer.all(WWW_AUTHENTICATE).len()), (403, 0));
}

#[tokio::test]
async fn clients_behind_a_proxy_are_told_from_each_other() {
    let asked = Asked::new(&["htpasswd", "10.0.0.0/8", "::1"]);
    let client = |address: &str, forwarded: &[&str]| {
        let mut headers = HeaderMap::new();
        for forwarded in forwarded {
            headers.append("x-forwarded-for", HeaderValue::try_from(*forwarded).expect("a value"));
        }
        let peer = Peer::at(address.parse().expect("an address"));
        asked.guard.behind_proxy(&headers, &peer).address.to_string()
    };
    assert_eq!(client("192.0.2.1", &["192.0.2.9"]), "192.0.2.1", "it is no proxy");
    assert_eq!(client("10.0.0.1", &["192.0.2.9"]), "192.0.2.9");
    assert_eq!(client("10.0.0.1", &["192.0.2.8, 192.0.2.9"]), "192.0.2.9", "what is before may be anybody's");
    assert_eq!(client("10.0.0.1", &["192.0.2.8", "192.0.2.9, 10.0.0.2"]), "192.0.2.9");
    assert_eq!(client("10.0.0.1", &["192.0.2.9:1234"]), "192.0.2.9");
    assert_eq!(client("::1", &["[2001:db8::1]:1234"]), "2001:db8::1");
    assert_eq!(client("10.0.0.1", &["192.0.2.9, unknown"]), "10.0.0.1");
    assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
    let form = "user=skupper&password=correct+horse";
    let headers = [
        (CONTENT_TYPE, "application/x-www-form-urlencoded"),
        (HeaderName::from_static("x-forwarded-proto"), "https"),
    ];
    let mut request = request(Method::POST, "/login", &headers, form);
    request.extensions_mut().insert(Peer::at([10, 0, 0, 1].into()));
    assert!(asked.send(request).await.all(SET_COOKIE).concat().ends_with("; SameSite=Strict; Secure"));
}

#[tokio::test]
async fn a_certificate_is_enough_where_it_is_asked_for() {
    let ask = |headers: &[(HeaderName, &str)]| {
        let mut request = request(Method::GET, "/api/v2alpha1/user", headers, "");
        let certificate = Some("ann".into());
        request.extensions_mut().insert(Peer { certificate, ..Peer::at([192, 0, 2, 1].into()) });
        request
    };
    let asked = Asked::new(&["certificate", "htpasswd"]);
    let answer = asked.send(ask(&[])).await;
    assert_eq!(answer.text, "{\"username\":\"ann\",\"authType\":\"certificate\"}\n");
    let shown = basic("skupper:correct horse");
    let answer = asked.send(ask(&[(AUTHORIZATION, &shown)])).await;
    assert_eq!(answer.text, "{\"username\":\"skupper\",\"authType\":\"basic\"}\n", "who says more, means it");
    assert_eq!(asked.get("/api/v1/verdict", &[]).await.status, 401);
    assert_eq!(Asked::new(&["htpasswd"]).send(ask(&[])).await.status, 401, "nobody asked for one");
}

#[tokio::test]
async fn a_link_on_another_site_leads_to_the_page_of_whoever_is_logged_in() {
    let asked = Asked::new(&["htpasswd"]);
    let site = HeaderName::from_static("sec-fetch-site");
    let from = |site_of: &'static str| [(BROWSER, "navigate"), (site.clone(), site_of)];
    // Without its cookie, which no other site makes a browser send.
    for other in ["cross-site", "same-site"] {
        let answer = asked.get("/view/?a=b", &from(other)).await;
        assert_eq!(answer.status, 200);
        assert!(
            answer.text.contains("<link rel=\"next\" href=\"../login?to=view%2F%3Fa%3Db\">"),
            "{}",
            answer.text
        );
        assert!(
            answer.headers[CONTENT_SECURITY_POLICY].to_str().is_ok_and(|policy| policy.contains("sha256-"))
        );
    }
    assert_eq!(asked.get("/view/?a=b", &from("same-origin")).await.status, 303, "a page of ours");
    assert_eq!(asked.get("/view/?a=b", &from("none")).await.status, 303, "somebody typed it");
    let cookie = asked.post("/login", &[], "user=ann&password=correct+horse").await.cookie();
    let answer = asked.get("/login?to=view%2F", &[(COOKIE, &cookie), (BROWSER, "navigate")]).await;
    assert_eq!((answer.status, &answer.headers[LOCATION]), (303, &HeaderValue::from_static("./view/")));
}
