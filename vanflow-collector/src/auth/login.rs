//! The page where people log in, and what becomes of what they write there.
//!
//! The page needs nothing but itself. What it posts is taken from pages of the collector alone, as browsers say it, so
//! that no other page can log somebody in as somebody else.

use std::{net::IpAddr, sync::LazyLock, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode, Uri,
    header::{
        ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, LOCATION, ORIGIN,
        REFERRER_POLICY, SET_COOKIE, X_CONTENT_TYPE_OPTIONS,
    },
    request::Parts,
    uri::{Authority, PathAndQuery},
};
use http_body_util::{BodyExt, Limited};
use tokio::time::timeout;
use tracing::info;

use super::{Guard, Identity, Kind, Refused, SESSION, listing::Listing, secret::sha256, sessions};
use crate::{
    answer::{Body, empty, whole},
    console::refusal,
    front::Seen,
    http::{Failure, Peer},
};

/// Where the page is.
pub(crate) const LOGIN: &str = "/login";

/// What ends a session, when it is posted to.
pub(crate) const LOGOUT: &str = "/logout";

/// A form that is longer than this, in octets, is none of ours.
const LONGEST: usize = 16 * 1024;

/// How long a form may take to come.
const COMES_WITHIN: Duration = Duration::from_secs(10);

const FORM: &str = "application/x-www-form-urlencoded";

const PAGE: &str = include_str!("login.html");

/// What the browser lets the page do: look as it does, and post its form here.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let sum = |from: &str, to: &str| {
        let inside = PAGE.split_once(from).and_then(|(_, rest)| rest.split_once(to));
        BASE64_STANDARD.encode(sha256(inside.map_or("", |(inside, _)| inside).as_bytes()))
    };
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; img-src data:; base-uri 'none'; \
         form-action 'self'; frame-ancestors 'none'",
        sum("<style>", "</style>"),
        sum("<script>", "</script>")
    )
});

/// What a browser runs that was led here by another site, and so said nothing of a session: it goes on as of this site. A
/// refresh of the same address would be none where it has a fragment.
const ONWARD: &str = "location.replace(document.querySelector('link').href + location.hash)";

static ONWARD_POLICY: LazyLock<String> = LazyLock::new(|| {
    let sum = BASE64_STANDARD.encode(sha256(ONWARD.as_bytes()));
    format!("default-src 'none'; script-src 'sha256-{sum}'; base-uri 'none'; frame-ancestors 'none'")
});

/// What was written into the form.
#[derive(Default)]
struct Form {
    user: String,
    password: String,
    /// Where to go then, below the collector.
    to: String,
}

impl Guard {
    /// To the page, for a browser that a person looks at; it comes back to where it was.
    pub(crate) fn lead_to_login(&self, asked: &Parts) -> Option<Response<Body>> {
        if !self.can_log_in() || asked.method != Method::GET || !is_looked_at(&asked.headers) {
            return None;
        }
        let target = asked.uri.path_and_query().map_or("/", PathAndQuery::as_str).trim_start_matches('/');
        let up = "../".repeat(asked.uri.path().matches('/').count().saturating_sub(1));
        let to: String = form_urlencoded::byte_serialize(target.as_bytes()).collect();
        let location = match to.as_str() {
            "" => format!("{up}login"),
            to => format!("{up}login?to={to}"),
        };
        let site = asked.headers.get("sec-fetch-site");
        if site.is_none_or(|site| site == "same-origin" || site == "none") {
            return Some(moved(&location));
        }
        let page = format!(
            "<!doctype html><meta charset=\"utf-8\"><title>VAN-Flow</title><link rel=\"next\" href=\"{location}\">\
             <script>{ONWARD}</script><noscript><meta http-equiv=\"refresh\" content=\"0;url={location}\"></noscript>\n",
            location = escaped(&location)
        );
        Some(html(StatusCode::OK, &ONWARD_POLICY, page))
    }

    /// The page, or the answer to what was written there.
    pub(crate) async fn log_in<B>(&self, asked: &Parts, peer: &Peer, body: B) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes, Error: Into<Failure>>,
    {
        match asked.method {
            Method::GET | Method::HEAD => {
                let to = form_urlencoded::parse(asked.uri.query().unwrap_or_default().as_bytes())
                    .find_map(|(name, value)| (name == "to").then_some(value));
                let is_head = asked.method == Method::HEAD;
                if sessions(&asked.headers).any(|cookie| self.sessions.find(cookie).is_some()) {
                    return moved(&format!("./{}", safe(&to.unwrap_or_default())));
                }
                let page = self.page(StatusCode::OK, &to.unwrap_or_default(), None);
                if is_head { page.map(|_| empty()) } else { page }
            }
            Method::POST => self.take(asked, peer, body).await,
            _ => not_possible(&asked.method, "GET, HEAD, POST"),
        }
    }

    async fn take<B>(&self, asked: &Parts, peer: &Peer, body: B) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes, Error: Into<Failure>>,
    {
        if !self.is_of_ours(&asked.headers, &asked.uri) {
            return refusal(StatusCode::FORBIDDEN, "a page of another site cannot log in or out here");
        }
        let form = match form(&asked.headers, body).await {
            Ok(form) => form,
            Err(refused) => return *refused,
        };
        let known = self.known_by(&form, peer.address).await;
        let is_looked_at = is_looked_at(&asked.headers);
        match known {
            Ok(identity) => {
                info!("{:?} logged in from {}", identity.name, peer.address);
                let cookie = self.sessions.begin(&identity);
                let mut response = if is_looked_at {
                    moved(&format!("./{}", safe(&form.to)))
                } else {
                    let mut response = Response::new(empty());
                    *response.status_mut() = StatusCode::NO_CONTENT;
                    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
                    response
                };
                let age = self.sessions.time().as_secs();
                set_cookie(&mut response, asked, peer, &cookie, age);
                let seen = Seen { client: peer.address, user: Some(identity.name) };
                response.extensions_mut().insert(seen);
                response
            }
            Err(why) => {
                let status = match why {
                    Refused::TooOften(_) => StatusCode::TOO_MANY_REQUESTS,
                    Refused::Busy => StatusCode::SERVICE_UNAVAILABLE,
                    Refused::Wrong | Refused::Unknown => StatusCode::UNAUTHORIZED,
                };
                let text = match (why, self.users.is_some()) {
                    (Refused::Wrong, true) => "The name or the password is wrong.",
                    (Refused::Wrong, false) => "The token is wrong.",
                    (Refused::Unknown, true) => "A name and a password are needed.",
                    (Refused::Unknown, false) => "A token is needed.",
                    (Refused::Busy, _) => "Too many log in at a time. Try again in a moment.",
                    (Refused::TooOften(_), _) => "That was wrong too often. Try again in a minute.",
                };
                let mut response = match is_looked_at {
                    true => self.page(status, &form.to, Some(text)),
                    false => refusal(status, text),
                };
                if status == StatusCode::UNAUTHORIZED {
                    self.challenge(&asked.headers, response.headers_mut());
                }
                self.put_off(why, response.headers_mut());
                response
            }
        }
    }

    /// Who wrote that: a name with its password, or a token, with its name or without.
    async fn known_by(&self, form: &Form, client: IpAddr) -> Result<Identity, Refused> {
        if form.password.is_empty() {
            return Err(Refused::Unknown);
        }
        let names = self.tokens.as_ref().map(Listing::names);
        let by_token = names.as_ref().and_then(|names| names.with_token(form.password.trim().as_bytes()));
        if let Some(entry) = by_token.filter(|entry| form.user.is_empty() || *form.user == *entry.name) {
            return Ok(Identity::of(entry.clone(), Kind::Token));
        }
        match (&self.users, form.user.as_str()) {
            (Some(_), "") if self.tokens.is_none() => Err(Refused::Unknown),
            (Some(_), name) if !name.is_empty() => {
                self.known_by_password(&(name.to_owned(), form.password.clone().into()), client).await
            }
            // Wrong, or of another name.
            _ => self.known_by_token(b"", client),
        }
    }

    /// Ends the session of whoever posts this; a browser goes to the page.
    pub(crate) fn log_out(&self, asked: &Parts, peer: &Peer) -> Response<Body> {
        if asked.method != Method::POST {
            return not_possible(&asked.method, "POST");
        }
        if !self.is_of_ours(&asked.headers, &asked.uri) {
            return refusal(StatusCode::FORBIDDEN, "a page of another site cannot log in or out here");
        }
        let mut response = if is_looked_at(&asked.headers) {
            moved("login")
        } else {
            let mut response = Response::new(empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        };
        self.end_session(asked, peer, &mut response);
        response
    }

    /// Ends the session that a request is of, and takes its cookie back in the answer.
    pub(crate) fn end_session(&self, asked: &Parts, peer: &Peer, response: &mut Response<Body>) {
        for cookie in sessions(&asked.headers) {
            self.sessions.end(cookie);
        }
        set_cookie(response, asked, peer, "", 0);
    }

    fn is_of_ours(&self, headers: &HeaderMap, uri: &Uri) -> bool {
        is_of_ours(headers, uri, &self.public)
    }

    fn page(&self, status: StatusCode, to: &str, why: Option<&str>) -> Response<Body> {
        let field = |label: &str, name: &str, more: &str| {
            format!(
                "<label>{label}<input name=\"{name}\" autocapitalize=\"none\" spellcheck=\"false\" required {more}></label>"
            )
        };
        let secret = |label: &str, more: &str| {
            field(label, "password", &format!("type=\"password\" autocomplete=\"current-password\" {more}"))
        };
        let fields = match (&self.users, &self.tokens) {
            (Some(_), tokens) => {
                let label = if tokens.is_some() { "Password or token" } else { "Password" };
                format!(
                    "{}\n{}",
                    field("Name", "user", "autocomplete=\"username\" autofocus"),
                    secret(label, "")
                )
            }
            (None, _) => secret("Token", "autofocus"),
        };
        let why = why
            .map_or_else(String::new, |why| format!("<p class=\"why\" role=\"alert\">{}</p>", escaped(why)));
        let note =
            format!("You stay logged in for {}, or until you log out.", in_words(self.sessions.time()));
        let text = PAGE
            .replacen("<!--why-->", &why, 1)
            .replacen("<!--fields-->", &fields, 1)
            .replacen("<!--note-->", &escaped(&note), 1)
            .replacen("<!--to-->", &escaped(to), 1);
        html(status, &POLICY, text)
    }
}

fn html(status: StatusCode, policy: &str, text: String) -> Response<Body> {
    let mut response = Response::new(whole(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // The form has to say which page it is of: with no-referrer, browsers have `Origin: null` in its stead.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// Reads what was posted.
async fn form<B>(headers: &HeaderMap, body: B) -> Result<Form, Box<Response<Body>>>
where
    B: http_body::Body<Data = Bytes, Error: Into<Failure>>,
{
    let refused = |status, text: &str| Err(Box::new(refusal(status, text)));
    let media = headers.get(CONTENT_TYPE).and_then(|media| media.to_str().ok()).unwrap_or_default();
    if !media.split(';').next().is_some_and(|media| media.trim().eq_ignore_ascii_case(FORM)) {
        return refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, &format!("a log-in is posted as {FORM}"));
    }
    let octets = match timeout(COMES_WITHIN, Limited::new(body, LONGEST).collect()).await {
        Ok(Ok(octets)) => octets.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            return refused(
                StatusCode::PAYLOAD_TOO_LARGE,
                &format!("the form is longer than {LONGEST} octets"),
            );
        }
        Ok(Err(_)) => return refused(StatusCode::BAD_REQUEST, "the form did not come whole"),
        Err(_) => return refused(StatusCode::REQUEST_TIMEOUT, "the form did not come in time"),
    };
    let mut form = Form::default();
    for (name, value) in form_urlencoded::parse(&octets) {
        match &*name {
            "user" => form.user = value.into_owned(),
            "password" => form.password = value.into_owned(),
            "to" => form.to = value.into_owned(),
            _ => {}
        }
    }
    Ok(form)
}

/// Whether a person looks at the answer, in a browser.
fn is_looked_at(headers: &HeaderMap) -> bool {
    match headers.get("sec-fetch-mode") {
        Some(mode) => mode == "navigate",
        None => headers.get_all(ACCEPT).iter().any(|accept| {
            accept.to_str().is_ok_and(|accept| accept.to_ascii_lowercase().contains("text/html"))
        }),
    }
}

/// Whether what is posted comes from a page of the collector, or from no page at all; `public` are other names of it.
fn is_of_ours(headers: &HeaderMap, uri: &Uri, public: &[Authority]) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let origin = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
    let Some(origin) = origin.as_ref().and_then(Uri::authority) else { return false };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let asked = uri.authority().cloned().or(host);
    asked.iter().chain(public).any(|ours| ours == origin)
}

/// Where to go, if it is below the collector; else to its root. What it is behind is `./`, so that it is no other server.
fn safe(to: &str) -> &str {
    let path = to.split(['?', '#']).next().unwrap_or_default();
    let can_be = |octet: u8| octet.is_ascii_graphic() && !b"\\\"<>^`{|}".contains(&octet);
    let is_below =
        !path.starts_with('/') && !path.contains("//") && !path.split('/').any(|part| part == "..");
    let is_one = is_below && to.bytes().all(can_be);
    let is_login = [LOGIN, LOGOUT].contains(&format!("/{path}").as_str());
    if is_one && !is_login { to } else { "" }
}

fn set_cookie(response: &mut Response<Body>, asked: &Parts, peer: &Peer, value: &str, age: u64) {
    let by_https = |origin: &HeaderValue| origin.as_bytes().starts_with(b"https://");
    let is_secure = peer.is_tls || asked.headers.get(ORIGIN).is_some_and(by_https);
    let secure = if is_secure { "; Secure" } else { "" };
    let cookie = format!("{SESSION}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}");
    if let Ok(mut cookie) = HeaderValue::try_from(cookie) {
        cookie.set_sensitive(true);
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}

fn moved(to: &str) -> Response<Body> {
    let mut response = Response::new(empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(to) = HeaderValue::try_from(to) {
        response.headers_mut().insert(LOCATION, to);
    }
    response
}

fn not_possible(method: &Method, allowed: &'static str) -> Response<Body> {
    let text = format!("{method} is not possible here, only {}", allowed.replacen(", POST", " and POST", 1));
    let mut response = refusal(StatusCode::METHOD_NOT_ALLOWED, &text);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// A time as people say it: `12 hours`, or as options have it where it is no such number.
fn in_words(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(86400, "day"), (3600, "hour"), (60, "minute")];
    match units.into_iter().find(|(unit, _)| seconds.is_multiple_of(*unit) && seconds > 0) {
        Some((unit, name)) if seconds == unit => format!("1 {name}"),
        Some((unit, name)) => format!("{} {name}s", seconds / unit),
        None => humantime::format_duration(time).to_string(),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_led_back_to_where_they_were_and_nowhere_else() {
        for to in ["", "view/", "view/?a=b&c=%20", "api/v1/verdict", "swagger#/x"] {
            assert_eq!(safe(to), to);
        }
        for to in [
            "/evil.example",
            "//evil.example/",
            "a//b",
            "..",
            "../x",
            "a/../../b",
            "a b",
            "a\r\nset-cookie: x=y",
            "\\evil",
            "login",
            "login?to=login",
            "logout",
            "é",
            "a\"b",
        ] {
            assert_eq!(safe(to), "", "{to}");
        }
    }

    #[test]
    fn times_are_said_as_people_do() {
        for (seconds, words) in [
            (12 * 3600, "12 hours"),
            (3600, "1 hour"),
            (90 * 60, "90 minutes"),
            (7 * 86400, "7 days"),
            (3661, "1h 1m 1s"),
        ] {
            assert_eq!(in_words(Duration::from_secs(seconds)), words);
        }
    }

    #[test]
    fn forms_of_other_pages_are_told_from_those_of_ours() {
        let is_of_ours = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            super::is_of_ours(&headers, &Uri::from_static("/login"), &[Authority::from_static("van.example")])
        };
        let host = ("host", "van.example:8010");
        assert!(is_of_ours(&[host]), "no browser posts without one of them");
        assert!(is_of_ours(&[host, ("origin", "http://van.example:8010")]));
        assert!(is_of_ours(&[host, ("origin", "https://van.example:8010")]), "a proxy has the TLS");
        assert!(is_of_ours(&[host, ("origin", "https://van.example")]), "it is a public URL");
        assert!(is_of_ours(&[host, ("sec-fetch-site", "same-origin")]));
        for other in [
            "http://evil.example",
            "http://other.example",
            "null",
            "",
            "http://van.example:8010.evil.example",
        ] {
            assert!(!is_of_ours(&[host, ("origin", other)]), "{other}");
        }
        for other in ["cross-site", "same-site"] {
            assert!(!is_of_ours(&[host, ("sec-fetch-site", other)]), "{other}");
        }
        assert!(!is_of_ours(&[("origin", "http://van.example:8010")]), "nobody says who was asked");
    }
}
