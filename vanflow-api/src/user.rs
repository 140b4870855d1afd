//! Who asks, as whoever serves the API knows; or who the console is used by, as the proxy in front of it says.
//!
//! OpenShift's proxy for OAuth lets nobody in without a cookie, which starts with the name of the user. The console
//! shows that name, and takes the cookie back to log out. Nothing is checked here: that is for the proxy, and for whoever
//! serves the API.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{
    HeaderMap, HeaderValue, Response, StatusCode, Uri,
    header::{COOKIE, HOST, SET_COOKIE},
};

use crate::{
    body::Body,
    json::{Json, Object},
};

const SESSION: &str = "_oauth_proxy";

/// Who a request comes from. Whoever serves the API makes it an extension of the request where it knows; the API shows it
/// to who asks, and decides nothing by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    name: String,
    how: AuthType,
}

/// How somebody showed who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthType {
    /// Nobody is asked, as only their own machine reaches the API.
    Local,
    /// Nobody is asked, whoever reaches the API.
    None,
    /// By a name and a password with each request.
    Basic,
    /// By a token with each request.
    Token,
    /// By having logged in.
    Session,
    /// By a certificate.
    Certificate,
    /// By what a proxy says.
    Proxy,
}

impl AuthType {
    /// What there can be, and by which name the API has it.
    pub(crate) const NAMES: [(Self, &'static str); 6] = [
        (Self::None, "none"),
        (Self::Basic, "basic"),
        (Self::Token, "token"),
        (Self::Session, "session"),
        (Self::Certificate, "certificate"),
        (Self::Proxy, "proxy"),
    ];

    fn name(self) -> Option<&'static str> {
        Self::NAMES.into_iter().find_map(|(how, name)| (how == self).then_some(name))
    }
}

impl User {
    /// Somebody of that name, which is empty where nobody is asked.
    pub fn new(name: impl Into<String>, how: AuthType) -> Self {
        Self { name: name.into(), how }
    }
}

/// What a proxy for OAuth is called.
pub(crate) const OPENSHIFT: &str = "openshift";

/// Who the user is, where a proxy says so, or else whoever serves the API.
pub(crate) fn user(headers: &HeaderMap, known: Option<&User>) -> Option<Json> {
    let (name, how) = match (session(headers), known) {
        (Some(session), _) => (String::from_utf8_lossy(&decoded(session)).into_owned(), OPENSHIFT),
        (None, Some(user)) => (user.name.clone(), user.how.name()?),
        (None, None) => return None,
    };
    let mut json = Json::default();
    let mut object = Object::open(&mut json);
    object.string("username", &name);
    object.string("authType", how);
    object.close();
    json.raw("\n");
    Some(json)
}

/// Takes the cookie back, where there is one.
pub(crate) fn logout(headers: &HeaderMap, uri: &Uri) -> Response<Body> {
    if session(headers).is_none() {
        return nobody();
    }
    // HTTP/2 has the host in the URI.
    let host =
        headers.get(HOST).and_then(|host| host.to_str().ok()).or_else(|| Some(uri.authority()?.as_str()));
    let is_name = |host: &&str| {
        !host.is_empty() && host.bytes().all(|octet| octet.is_ascii_alphanumeric() || b".-".contains(&octet))
    };
    let mut cookie = format!("{SESSION}=; Path=/; Max-Age=0");
    if let Some(host) = host.filter(is_name) {
        cookie.extend(["; Domain=", host]);
    }
    let mut response = Response::new(Body::empty());
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

/// That there is no such cookie.
pub(crate) fn nobody() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// What the cookie of the proxy says.
fn session(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut cookies = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|cookie| {
        let (name, value) = cookie.trim().split_once('=')?;
        (name == SESSION).then_some(value)
    });
    let value = cookies.next()?;
    Some(value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value))
}

/// What Base64 stands for, as far as it is that: a cookie is the name of the user, and then other things.
fn decoded(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    for group in text.as_bytes().chunks(4) {
        match STANDARD.decode(group) {
            Ok(some) => octets.extend(some),
            Err(_) => break,
        }
        if group.contains(&b'=') {
            break;
        }
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_user_is_read_as_far_as_it_can_be() {
        for (text, name) in [
            ("ZGV2ZWxvcGVy|1700000000|c2ln", "developer"),
            ("YWRtaW4=|1700000000|c2ln", "admin"),
            ("YWRtaW4=", "admin"),
            ("YWRtaW4", "adm"),
            ("YWRtaW5zgarbage!", "admins\u{fffd}\u{fffd}\u{fffd}"),
            ("!", ""),
            ("", ""),
        ] {
            assert_eq!(String::from_utf8_lossy(&decoded(text)), name, "{text}");
        }
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        for (cookies, expected) in [
            (&["a=b; _oauth_proxy=x; c=d"][..], Some("x")),
            (&["a=b", "_oauth_proxy=\"x=\""], Some("x=")),
            (&["_oauth_proxy="], Some("")),
            (&["_oauth_proxy_0=x", "oauth=_oauth_proxy"], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for cookie in cookies {
                headers.append(COOKIE, HeaderValue::from_static(cookie));
            }
            assert_eq!(session(&headers), expected, "{cookies:?}");
        }
    }
}
