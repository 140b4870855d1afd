//! Who asks, and what they may see.
//!
//! A request shows who it comes from by a name and a password, by a token, or by the cookie of a session that was begun
//! with one of these. What a file says is compared with that in constant time ([`secret`]), and read again when it changes
//! ([`listing`]); what takes long is bounded ([`verify`]). Whoever is let in is an [`Identity`], and everything that is
//! answered to it ends when it is not let in any more.

mod apr1;
mod listing;
mod login;
mod secret;
mod sessions;
mod verify;

use std::{sync::Arc, time::Duration};

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use http::{
    HeaderMap, HeaderValue,
    header::{AUTHORIZATION, COOKIE, USER_AGENT, WWW_AUTHENTICATE},
    uri::Authority,
};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use vanflow_api::{AuthType, User};

pub use self::listing::AuthError;
pub(crate) use self::login::{LOGIN, LOGOUT};
use self::{
    listing::{Entry, HTPASSWD, Listing, TOKENS},
    sessions::Sessions,
    verify::{Busy, Verifier},
};
use crate::config::{self, Access, Auth};

/// How often files are looked at, and sessions that are over are ended.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What the cookie of a session is called.
const SESSION: &str = "vanflow_session";

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What somebody may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rights {
    Everything,
    /// `/metrics`, and nothing else.
    Metrics,
}

/// How somebody showed who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Password,
    Token,
    Session,
}

/// Somebody who was let in.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) name: Arc<str>,
    pub(crate) kind: Kind,
    pub(crate) rights: Rights,
    /// Cancelled when they are not let in any more.
    pub(crate) valid: CancellationToken,
}

impl Identity {
    fn of(entry: Entry, kind: Kind) -> Self {
        Self { name: entry.name, kind, rights: entry.rights, valid: entry.valid }
    }

    /// As the API knows them.
    pub(crate) fn user(&self) -> User {
        User::new(
            &*self.name,
            match self.kind {
                Kind::Password => AuthType::Basic,
                Kind::Token => AuthType::Token,
                Kind::Session => AuthType::Session,
            },
        )
    }
}

/// Why somebody is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// They show nothing.
    Unknown,
    /// What they show is wrong.
    Wrong,
    /// Too many are to be looked at, at a time.
    Busy,
}

impl From<Busy> for Refused {
    fn from(Busy: Busy) -> Self {
        Self::Busy
    }
}

/// Lets in, or does not.
pub(crate) struct Guard {
    users: Option<Listing>,
    tokens: Option<Listing>,
    sessions: Sessions,
    verifier: Verifier,
    /// Names of the collector beside those that requests come by.
    public: Vec<Authority>,
    /// Whether `/metrics` is for everybody.
    pub(crate) metrics_open: bool,
}

impl Guard {
    /// As settings say; nobody is there where nobody is asked for anything.
    pub(crate) fn open(access: &Access, http: &config::Http) -> Result<Option<Self>, AuthError> {
        if access.is_open() {
            return Ok(None);
        }
        let (mut users, mut tokens) = (None, None);
        for kind in &access.kinds {
            match kind {
                Auth::Htpasswd(file) => users = Some(Listing::open(file, HTPASSWD)?),
                Auth::Tokens(file) => tokens = Some(Listing::open(file, TOKENS)?),
            }
        }
        Ok(Some(Self {
            users,
            tokens,
            sessions: Sessions::new(access.session_time),
            verifier: Verifier::new(),
            public: http.public_urls.iter().filter_map(|url| url.authority().cloned()).collect(),
            metrics_open: access.metrics_open,
        }))
    }

    /// Looks at files and sessions again and again, for ever.
    pub(crate) async fn keep(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let this = self.clone();
            // Files on a network can take their time.
            if spawn_blocking(move || this.look()).await.is_err() {
                return;
            }
        }
    }

    fn look(&self) {
        for listing in [&self.users, &self.tokens].into_iter().flatten() {
            listing.look();
        }
        self.sessions.sweep();
    }

    /// Who a request comes from.
    pub(crate) async fn identify(&self, headers: &HeaderMap) -> Result<Identity, Refused> {
        if let Some(shown) = headers.get(AUTHORIZATION) {
            let shown = shown.as_bytes();
            let (scheme, rest) = shown
                .iter()
                .position(|octet| *octet == b' ')
                .map_or((shown, &[][..]), |space| (&shown[..space], shown[space..].trim_ascii()));
            return match (scheme.to_ascii_lowercase().as_slice(), &self.users, &self.tokens) {
                (b"basic", Some(_), _) => {
                    let shown = BASE64.decode(rest).map_err(|_| Refused::Wrong)?;
                    let colon = shown.iter().position(|octet| *octet == b':').ok_or(Refused::Wrong)?;
                    let name = std::str::from_utf8(&shown[..colon]).map_err(|_| Refused::Wrong)?;
                    self.password(name, &shown[colon + 1..]).await?.ok_or(Refused::Wrong)
                }
                (b"bearer", _, Some(_)) => self.token(rest).ok_or(Refused::Wrong),
                _ => Err(Refused::Unknown),
            };
        }
        sessions(headers).find_map(|cookie| self.sessions.find(cookie)).ok_or(Refused::Unknown)
    }

    async fn password(&self, name: &str, password: &[u8]) -> Result<Option<Identity>, Refused> {
        let Some(users) = &self.users else { return Ok(None) };
        let names = users.names();
        let found = self.verifier.verify(&names, name, password).await?;
        Ok(found.map(|entry| Identity::of(entry, Kind::Password)))
    }

    fn token(&self, token: &[u8]) -> Option<Identity> {
        let names = self.tokens.as_ref()?.names();
        names.with_token(token).cloned().map(|entry| Identity::of(entry, Kind::Token))
    }

    /// What a client that is not let in can do about it, by the headers of its request. Browsers are not told of HTTP's own
    /// log-in, for which they have a window that knows no log-out: there is a page for them.
    pub(crate) fn challenge(&self, asked: &HeaderMap, answer: &mut HeaderMap) {
        let mut add = |challenge: &'static str| {
            answer.append(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        };
        if is_browser(asked) {
            add("Cookie realm=\"vanflow-collector\", form-action=\"/login\", cookie-name=vanflow_session");
            return;
        }
        if self.users.is_some() {
            add("Basic realm=\"vanflow-collector\", charset=\"UTF-8\"");
        }
        if self.tokens.is_some() {
            add("Bearer realm=\"vanflow-collector\"");
        }
    }

    /// What to do, in words.
    pub(crate) fn advice(&self, why: Refused) -> &'static str {
        match (why, &self.users, &self.tokens) {
            (Refused::Busy, ..) => "too many who log in at a time: ask again in a moment",
            (Refused::Wrong, ..) => "the name, the password or the token is wrong",
            (Refused::Unknown, Some(_), Some(_)) => {
                "this collector has to know who asks: log in at /login, or show a name and a password (Authorization: Basic) \
                 or a token (Authorization: Bearer)"
            }
            (Refused::Unknown, Some(_), None) => {
                "this collector has to know who asks: log in at /login, or show a name and a password (Authorization: Basic)"
            }
            (Refused::Unknown, None, _) => {
                "this collector has to know who asks: log in at /login, or show a token (Authorization: Bearer)"
            }
        }
    }
}

/// What the cookies of sessions hold.
fn sessions(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let cookies = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    cookies.flat_map(|cookies| cookies.split(';')).filter_map(|cookie| {
        let (name, value) = cookie.trim().split_once('=')?;
        (name == SESSION).then_some(value)
    })
}

/// Whether it is a browser that asks: some say what they ask for, and all have the same beginning of their name.
fn is_browser(headers: &HeaderMap) -> bool {
    headers.contains_key("sec-fetch-mode")
        || headers.get(USER_AGENT).is_some_and(|agent| agent.as_bytes().starts_with(b"Mozilla/"))
}

#[cfg(test)]
mod tests;
