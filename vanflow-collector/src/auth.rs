//! Who asks, and what they may see.
//!
//! A request shows who it comes from by a name and a password, by a token, by the cookie of a session that was begun with
//! one of these, by the certificate of its connection, or by what a proxy in front of the collector says. What a file says is compared with that in constant time ([`secret`]), and read again when it changes
//! ([`listing`]); what takes long is bounded ([`verify`]). Whoever is let in is an [`Identity`], and everything that is
//! answered to it ends when it is not let in any more.

mod apr1;
mod attempts;
mod listing;
mod login;
mod secret;
mod sessions;
mod verify;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use http::{
    HeaderMap, HeaderValue,
    header::{AUTHORIZATION, COOKIE, RETRY_AFTER, USER_AGENT, WWW_AUTHENTICATE},
    uri::Authority,
};
use tokio::{sync::watch, task::spawn_blocking};
use tokio_util::sync::CancellationToken;
use vanflow_api::{
    AuthType, User,
    metrics::{FailedLogIn, Health, TurnedAway},
};

pub use self::listing::AuthError;
pub(crate) use self::login::{LOGIN, LOGOUT};
use self::{
    attempts::Attempts,
    listing::{Entry, HTPASSWD, LONGEST_NAME, Listing, TOKENS},
    sessions::Sessions,
    verify::{Busy, Verifier},
};
use crate::{
    config::{self, Access, Addresses, Auth},
    http::Peer,
    tls::due,
};

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
    Certificate,
    Proxy,
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
    /// Somebody whom no file names.
    fn named(name: Arc<str>, kind: Kind) -> Self {
        Self { name, kind, rights: Rights::Everything, valid: CancellationToken::new() }
    }

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
                Kind::Certificate => AuthType::Certificate,
                Kind::Proxy => AuthType::Proxy,
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
    /// They were wrong too often, and have to wait for so long.
    TooOften(Duration),
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
    /// Whether a certificate is enough.
    by_certificate: bool,
    /// Proxies that say who somebody is.
    proxies: Vec<Addresses>,
    sessions: Sessions,
    verifier: Verifier,
    attempts: Attempts,
    /// Names of the collector beside those that requests come by.
    public: Vec<Authority>,
    /// Whether `/metrics` is for everybody.
    pub(crate) metrics_open: bool,
    health: Arc<Health>,
}

impl Guard {
    /// As settings say; nobody is there where nobody is asked for anything.
    pub(crate) fn open(access: &Access, http: &config::Http) -> Result<Option<Self>, AuthError> {
        if access.is_open() {
            return Ok(None);
        }
        let (mut users, mut tokens, mut by_certificate) = (None, None, false);
        for kind in &access.kinds {
            match kind {
                Auth::Htpasswd(file) => users = Some(Listing::open(file, HTPASSWD)?),
                Auth::Tokens(file) => tokens = Some(Listing::open(file, TOKENS)?),
                Auth::Certificate => by_certificate = true,
                Auth::Proxy(_) => {}
            }
        }
        Ok(Some(Self {
            users,
            tokens,
            by_certificate,
            proxies: access.proxies().collect(),
            sessions: Sessions::new(access.session_time),
            verifier: Verifier::new(),
            attempts: Attempts::new(),
            public: http.public_urls.iter().filter_map(|url| url.authority().cloned()).collect(),
            metrics_open: access.metrics_open,
            health: Arc::default(),
        }))
    }

    /// The same, which counts there whom it does not let in.
    pub(crate) fn counted_in(self, health: Arc<Health>) -> Self {
        Self { health, ..self }
    }

    /// Looks at files and sessions again and again, for ever.
    pub(crate) async fn keep(self: Arc<Self>, mut at_once: watch::Receiver<()>) {
        loop {
            due(LOOK_EVERY, Some(&mut at_once)).await;
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

    /// Whether a proxy sent a request that is believed what it says.
    pub(crate) fn is_proxy(&self, address: IpAddr) -> bool {
        self.proxies.iter().any(|known| known.contain(address))
    }

    /// Who is at the other end, where a proxy that is believed says that it passes on what somebody else sent.
    pub(crate) fn behind_proxy(&self, headers: &HeaderMap, peer: &Peer) -> Peer {
        if !self.is_proxy(peer.address) {
            return peer.clone();
        }
        // Each proxy adds whom it heard of at the end; what is before the first that is believed may be anybody's.
        let named = headers.get_all("x-forwarded-for").into_iter().filter_map(|value| value.to_str().ok());
        let named: Vec<_> = named.flat_map(|value| value.split(',')).collect();
        let mut from_last = named.into_iter().rev().map_while(|text| address(text.trim()));
        let client = from_last.find(|address| !self.is_proxy(*address)).unwrap_or(peer.address);
        let is_tls = match headers.get("x-forwarded-proto") {
            Some(scheme) => scheme.as_bytes().eq_ignore_ascii_case(b"https"),
            None => peer.is_tls,
        };
        Peer { is_tls, ..Peer::at(client) }
    }

    /// Who a request comes from. `peer` sent it, on behalf of `client`.
    pub(crate) async fn identify(
        &self,
        headers: &HeaderMap,
        peer: &Peer,
        client: IpAddr,
    ) -> Result<Identity, Refused> {
        if let Some(name) = self.is_proxy(peer.address).then(|| said_by_proxy(headers)).flatten() {
            return Ok(Identity::named(name.into(), Kind::Proxy));
        }
        match headers.get(AUTHORIZATION).and_then(|shown| self.shown(shown.as_bytes())) {
            Some(Shown::Password(shown)) => return self.known_by_password(&shown?, client).await,
            Some(Shown::Token(token)) => return self.known_by_token(token, client),
            None => {}
        }
        if let Some(identity) = sessions(headers).find_map(|cookie| self.sessions.find(cookie)) {
            return Ok(identity);
        }
        let certificate = peer.certificate.clone().filter(|_| self.by_certificate);
        certificate.map(|name| Identity::named(name, Kind::Certificate)).ok_or(Refused::Unknown)
    }

    /// What an `Authorization` shows, where it is of a kind that is asked for.
    fn shown<'s>(&self, shown: &'s [u8]) -> Option<Shown<'s>> {
        let space = shown.iter().position(|octet| *octet == b' ').unwrap_or(shown.len());
        let (scheme, rest) = (&shown[..space], shown[space..].trim_ascii());
        if scheme.eq_ignore_ascii_case(b"basic") && self.users.is_some() {
            return Some(Shown::Password(name_and_password(rest).ok_or(Refused::Wrong)));
        }
        (scheme.eq_ignore_ascii_case(b"bearer") && self.tokens.is_some()).then_some(Shown::Token(rest))
    }

    /// Whom a name and a password are of. Nothing is compared for a client that was wrong too often.
    async fn known_by_password(
        &self,
        (name, password): &(String, Vec<u8>),
        client: IpAddr,
    ) -> Result<Identity, Refused> {
        if let Some(wait) = self.attempts.wait(client) {
            return Err(Refused::TooOften(wait));
        }
        let names = self.users.as_ref().ok_or(Refused::Unknown)?.names();
        if let Some(entry) = self.verifier.verify(&names, name, password).await? {
            return Ok(Identity::of(entry, Kind::Password));
        }
        // What is no name may be a password, in the wrong place.
        let (wrong, what) = match names.find(name) {
            Some(known) => (FailedLogIn::Password, format!("a wrong password for {:?}", known.name)),
            None => (FailedLogIn::User, "a name that is in no file".to_owned()),
        };
        self.health.log_in_failed(wrong);
        self.attempts.failed(client, &what);
        Err(Refused::Wrong)
    }

    /// Whom a token is of. One that is right is let in however often others from there were wrong: nobody finds it by trying.
    fn known_by_token(&self, token: &[u8], client: IpAddr) -> Result<Identity, Refused> {
        let names = self.tokens.as_ref().ok_or(Refused::Unknown)?.names();
        if let Some(entry) = names.with_token(token) {
            return Ok(Identity::of(entry.clone(), Kind::Token));
        }
        if let Some(wait) = self.attempts.wait(client) {
            return Err(Refused::TooOften(wait));
        }
        self.health.log_in_failed(FailedLogIn::Token);
        self.attempts.failed(client, "a token that is in no file");
        Err(Refused::Wrong)
    }

    /// What a client that is not let in can do about it, by the headers of its request. Browsers are not told of HTTP's own
    /// log-in, for which they have a window that knows no log-out: there is a page for them.
    pub(crate) fn challenge(&self, asked: &HeaderMap, answer: &mut HeaderMap) {
        let mut add = |challenge: &'static str| {
            answer.append(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        };
        if is_browser(asked) && self.can_log_in() {
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

    /// Counts who has to come again, and adds to an answer when that may help.
    pub(crate) fn put_off(&self, why: Refused, answer: &mut HeaderMap) {
        let (reason, seconds) = match why {
            Refused::Busy => (TurnedAway::LogIns, 1),
            Refused::TooOften(wait) => (TurnedAway::Attempts, wait.as_secs() + 1),
            Refused::Unknown | Refused::Wrong => return,
        };
        self.health.turned_away(reason);
        answer.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }

    /// Whether there is anything that people could write into a form.
    pub(crate) fn can_log_in(&self) -> bool {
        self.users.is_some() || self.tokens.is_some()
    }

    /// What to do, in words.
    pub(crate) fn advice(&self, why: Refused) -> String {
        let unknown = match why {
            Refused::Busy => "too many who log in at a time: ask again in a moment",
            Refused::TooOften(_) => {
                "too many wrong names, passwords or tokens from this address: ask again later"
            }
            Refused::Wrong => "the name, the password or the token is wrong",
            Refused::Unknown => "this collector has to know who asks: ",
        };
        if why != Refused::Unknown {
            return unknown.to_owned();
        }
        let shown = [
            (self.users.is_some(), "a name and a password (Authorization: Basic)"),
            (self.tokens.is_some(), "a token (Authorization: Bearer)"),
            (self.by_certificate, "a certificate that its authority issued"),
        ];
        let shown: Vec<_> =
            shown.into_iter().filter_map(|(is_asked, what)| is_asked.then_some(what)).collect();
        let ways = [
            self.can_log_in().then(|| "log in at /login".to_owned()),
            (!shown.is_empty()).then(|| format!("show {}", shown.join(" or "))),
            (!self.proxies.is_empty()).then(|| "come by the proxy that is in front of it".to_owned()),
        ];
        format!("{unknown}{}", ways.into_iter().flatten().collect::<Vec<_>>().join(", or "))
    }
}

/// Whom a proxy says a request to come from. What is said twice may have been said by somebody else before.
fn said_by_proxy(headers: &HeaderMap) -> Option<String> {
    ["x-forwarded-user", "x-forwarded-email"].into_iter().find_map(|name| {
        let mut values = headers.get_all(name).into_iter();
        let (value, None) = (values.next()?, values.next()) else { return None };
        let name = std::str::from_utf8(value.as_bytes()).ok()?.trim();
        ((1..=LONGEST_NAME).contains(&name.len()) && !name.chars().any(char::is_control))
            .then(|| name.to_owned())
    })
}

/// An address as proxies write it, with a port or without.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    address.map(|address| address.to_canonical())
}

/// What somebody shows.
enum Shown<'s> {
    Password(Result<(String, Vec<u8>), Refused>),
    Token(&'s [u8]),
}

/// What is behind `Basic`.
fn name_and_password(shown: &[u8]) -> Option<(String, Vec<u8>)> {
    let mut shown = BASE64.decode(shown).ok()?;
    let colon = shown.iter().position(|octet| *octet == b':')?;
    let password = shown.split_off(colon + 1);
    shown.pop();
    Some((String::from_utf8(shown).ok()?, password))
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

/// How many names a file has, if it makes sense.
#[cfg(fuzzing)]
pub(crate) fn names(text: &[u8], are_tokens: bool) -> Option<usize> {
    let form = if are_tokens { listing::TOKENS } else { listing::HTPASSWD };
    listing::Names::parse(text, form).ok().map(|names| names.count())
}

#[cfg(test)]
mod tests;
