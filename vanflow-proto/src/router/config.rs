//! Where the router is, and how to speak to it.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use thiserror::Error;
use url::Url;

use crate::{Timestamp, discovery};

/// Reads a clock.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Sees every message as it was received: when, by which link, and its bytes.
pub type Tap = Arc<dyn Fn(Timestamp, &str, &[u8]) + Send + Sync>;

/// What [`connect`](super::connect) needs to know.
#[derive(Clone)]
#[non_exhaustive]
pub struct Config {
    /// Where the router is.
    pub endpoint: Endpoint,
    /// What to show it.
    pub credentials: Credentials,
    /// For `amqps://`.
    pub tls: TlsFiles,
    /// Says when something was received.
    pub clock: Clock,
    /// Sees every message before anything is made of it.
    pub tap: Option<Tap>,
    /// Messages of more octets are refused. 16 MiB unless said otherwise.
    pub max_message_size: usize,
    /// How long to wait for what.
    pub discovery: discovery::Settings,
    /// Sources of which the caller holds records from before; see [`Discovery::restore`](discovery::Discovery::restore).
    pub known: Vec<discovery::Known>,
    #[cfg(test)]
    pub(super) dial: Option<super::tests::Dial>,
}

/// A router's address.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Endpoint {
    /// Whether to speak TLS.
    pub tls: bool,
    /// Its host name or IP address; with TLS, its certificate has to have it.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// How a connection shows whose it is, by SASL.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credentials {
    /// EXTERNAL where there is a client certificate, ANONYMOUS otherwise.
    Certificate,
    /// ANONYMOUS, even where there is a client certificate.
    Anonymous,
    /// PLAIN.
    Password {
        /// The name of the user.
        user: String,
        /// The password.
        password: String,
    },
}

/// The files that TLS needs. They are read anew for every connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsFiles {
    /// Certificates of the authorities that may have signed the router's certificate, as PEM.
    pub ca: Option<PathBuf>,
    /// Our own certificate, and those between it and an authority that the router knows, as PEM.
    pub certificate: Option<PathBuf>,
    /// The key of our own certificate, as PEM.
    pub key: Option<PathBuf>,
    /// Take whatever certificate the router shows.
    pub insecure: bool,
}

/// What is wrong with a configuration.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A URL that is none.
    #[error("{url:?} is no URL of a router: {why}; expected amqp://HOST[:PORT] or amqps://HOST[:PORT]")]
    Url {
        /// The URL, without user and password.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// A file that cannot be read.
    #[error("cannot read {}: {why}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: std::io::Error,
    },
    /// A `connect.json` that cannot be understood.
    #[error("{} is no connect.json as Skupper writes it: {why}", path.display())]
    ConnectJson {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Certificates that do not fit together.
    #[error("{0}")]
    Tls(String),
}

const AMQP_PORT: u16 = 5672;
const AMQPS_PORT: u16 = 5671;

impl Config {
    /// A router by its URL: `amqp://[USER:PASSWORD@]HOST[:PORT]`, or `amqps://…` with TLS.
    ///
    /// # Errors
    ///
    /// Where it is no such URL.
    pub fn from_url(url: &str, clock: Clock) -> Result<Self, ConfigError> {
        let error = |why: &str| ConfigError::Url { url: without_password(url), why: why.to_owned() };
        let parsed = Url::parse(url).map_err(|why| error(&why.to_string()))?;
        let (tls, port) = match parsed.scheme() {
            "amqp" => (false, AMQP_PORT),
            "amqps" => (true, AMQPS_PORT),
            other => return Err(error(&format!("its scheme is {other}"))),
        };
        let host =
            parsed.host_str().filter(|host| !host.is_empty()).ok_or_else(|| error("it has no host"))?;
        if !matches!(parsed.path(), "" | "/") || parsed.query().is_some() || parsed.fragment().is_some() {
            return Err(error("there is something behind its host and port"));
        }
        let decoded = |text: &str| percent_decode_str(text).decode_utf8().map(|text| text.into_owned());
        let credentials = match (parsed.username(), parsed.password()) {
            ("", None) => Credentials::Certificate,
            (user, Some(password)) if !user.is_empty() => Credentials::Password {
                user: decoded(user).map_err(|_| error("its user is no UTF-8"))?,
                password: decoded(password).map_err(|_| error("its password is no UTF-8"))?,
            },
            _ => return Err(error("user and password go together")),
        };
        // An IPv6 address stands in brackets in a URL, and nowhere else.
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let endpoint = Endpoint { tls, host, port: parsed.port().unwrap_or(port) };
        Ok(Self::new(endpoint, credentials, TlsFiles::default(), clock))
    }

    /// A router by the `connect.json` that Skupper mounts beside its certificates, under `/etc/messaging/`. File names in
    /// it that are not absolute are taken to be in its folder.
    ///
    /// # Errors
    ///
    /// Where there is no such file, or something else in it.
    pub fn from_connect_json(path: &Path, clock: Clock) -> Result<Self, ConfigError> {
        let error = |why: String| ConfigError::ConnectJson { path: path.to_owned(), why };
        let text =
            fs::read_to_string(path).map_err(|why| ConfigError::Read { path: path.to_owned(), why })?;
        let file: ConnectJson = serde_json::from_str(&text).map_err(|why| error(why.to_string()))?;
        let tls = match file.scheme.as_deref() {
            Some("amqps") => true,
            Some("amqp") => false,
            None => file.tls.is_some(),
            Some(other) => return Err(error(format!("its scheme is {other:?}, not \"amqp\" or \"amqps\""))),
        };
        let port = match file.port {
            None => {
                if tls {
                    AMQPS_PORT
                } else {
                    AMQP_PORT
                }
            }
            Some(Port::Number(port)) => port,
            Some(Port::Text(text)) => text.parse().map_err(|_| error(format!("its port is {text:?}")))?,
        };
        let folder = path.parent().unwrap_or(Path::new(""));
        let files = file.tls.unwrap_or_default();
        let files = TlsFiles {
            ca: files.ca.map(|path| folder.join(path)),
            certificate: files.cert.map(|path| folder.join(path)),
            key: files.key.map(|path| folder.join(path)),
            insecure: files.verify.as_ref().or(file.verify.as_ref()).is_some_and(Switch::is_off),
        };
        if tls && files.ca.is_none() && !files.insecure {
            return Err(error(
                "it is about amqps and does not say whose certificates to trust: it needs \"tls\": {\"ca\": \"ca.crt\"}, the \
                 file with the certificate of the authority that signed the router's"
                    .to_owned(),
            ));
        }
        let credentials = match file.sasl {
            Some(Sasl { user: Some(user), password: Some(password), .. }) => {
                Credentials::Password { user, password }
            }
            Some(Sasl { mechanisms: Some(mechanisms), .. }) if mechanisms.trim() == "ANONYMOUS" => {
                Credentials::Anonymous
            }
            _ => Credentials::Certificate,
        };
        Ok(Self::new(Endpoint { tls, host: file.host, port }, credentials, files, clock))
    }

    fn new(endpoint: Endpoint, credentials: Credentials, tls: TlsFiles, clock: Clock) -> Self {
        Self {
            endpoint,
            credentials,
            tls,
            clock,
            tap: None,
            max_message_size: 16 * 1024 * 1024,
            discovery: discovery::Settings::default(),
            known: Vec::new(),
            #[cfg(test)]
            dial: None,
        }
    }

    /// Whether the files that TLS needs are there and fit together, so that it can be said before anything runs.
    ///
    /// # Errors
    ///
    /// Where they are not, or do not.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.endpoint.tls {
            self.tls.load()?;
        }
        Ok(())
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("endpoint", &self.endpoint)
            .field("credentials", &self.credentials)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate => f.write_str("Certificate"),
            Self::Anonymous => f.write_str("Anonymous"),
            // Nobody wants a password in a log.
            Self::Password { user, .. } => {
                f.debug_struct("Password").field("user", user).finish_non_exhaustive()
            }
        }
    }
}

/// A URL as it may be shown.
fn without_password(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => format!("{}…{}", &url[..scheme + 3], &url[at..]),
        _ => url.to_owned(),
    }
}

#[derive(Deserialize)]
struct ConnectJson {
    scheme: Option<String>,
    host: String,
    port: Option<Port>,
    tls: Option<Tls>,
    sasl: Option<Sasl>,
    verify: Option<Switch>,
}

/// Skupper writes a string; other tools that read the same file take a number, too.
#[derive(Deserialize)]
#[serde(untagged)]
enum Port {
    Number(u16),
    Text(String),
}

#[derive(Default, Deserialize)]
struct Tls {
    ca: Option<PathBuf>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    verify: Option<Switch>,
}

#[derive(Deserialize)]
struct Sasl {
    mechanisms: Option<String>,
    user: Option<String>,
    password: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Switch {
    Bool(bool),
    Text(String),
}

impl Switch {
    fn is_off(&self) -> bool {
        match self {
            Self::Bool(on) => !on,
            Self::Text(text) => text == "false",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> Clock {
        Arc::new(|| Timestamp::from_micros(0))
    }

    fn url(url: &str) -> Config {
        Config::from_url(url, clock()).expect("a URL")
    }

    #[test]
    fn a_url_says_where_the_router_is_and_who_we_are() {
        let plain = url("amqp://router.example");
        assert_eq!(plain.endpoint, Endpoint { tls: false, host: "router.example".into(), port: 5672 });
        assert_eq!(plain.credentials, Credentials::Certificate);
        assert_eq!(url("amqps://skupper-router-local/").endpoint.port, 5671);
        let six = url("amqp://[::1]:15672").endpoint;
        assert_eq!((six.host.as_str(), six.to_string().as_str()), ("::1", "[::1]:15672"));
        let password = url("amqp://guest:p%40ss@127.0.0.1:1").credentials;
        assert_eq!(password, Credentials::Password { user: "guest".into(), password: "p@ss".into() });
        assert_eq!(format!("{password:?}"), "Password { user: \"guest\", .. }");
    }

    #[test]
    fn a_url_that_is_none_says_why() {
        let error = |url: &str| Config::from_url(url, clock()).expect_err("an error").to_string();
        let expected = "expected amqp://HOST[:PORT] or amqps://HOST[:PORT]";
        for (url, text) in [
            ("http://x", "\"http://x\" is no URL of a router: its scheme is http"),
            ("router:5672", "\"router:5672\" is no URL of a router: its scheme is router"),
            ("router", "\"router\" is no URL of a router: relative URL without a base"),
            ("amqp://", "\"amqp://\" is no URL of a router: it has no host"),
            ("amqp://x:99999", "\"amqp://x:99999\" is no URL of a router: invalid port number"),
            (
                "amqp://x/y",
                "\"amqp://x/y\" is no URL of a router: there is something behind its host and port",
            ),
            (
                "amqp://a:secret@x/y",
                "\"amqp://…@x/y\" is no URL of a router: there is something behind its host and port",
            ),
            ("amqp://a@x", "\"amqp://…@x\" is no URL of a router: user and password go together"),
        ] {
            assert_eq!(error(url), format!("{text}; {expected}"));
        }
    }

    fn connect_json(text: &str) -> Result<Config, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("connect.json");
        fs::write(&path, text).expect("writes");
        Config::from_connect_json(&path, clock())
            .map_err(|error| error.to_string().replace(&path.display().to_string(), "FILE"))
    }

    #[test]
    fn a_connect_json_as_skupper_mounts_it_is_understood() {
        let config = connect_json(
            r#"{"scheme": "amqps", "host": "skupper-router-local", "port": "5671", "tls": {"ca":
            "/etc/messaging/ca.crt", "cert": "/etc/messaging/tls.crt", "key": "/etc/messaging/tls.key",
            "recommended": true, "verify": true}, "sasl": {"mechanisms": "EXTERNAL"}}"#,
        )
        .expect("understood");
        assert_eq!(config.endpoint, Endpoint { tls: true, host: "skupper-router-local".into(), port: 5671 });
        assert_eq!(config.credentials, Credentials::Certificate);
        assert_eq!(
            config.tls,
            TlsFiles {
                ca: Some("/etc/messaging/ca.crt".into()),
                certificate: Some("/etc/messaging/tls.crt".into()),
                key: Some("/etc/messaging/tls.key".into()),
                insecure: false
            }
        );
        let config =
            connect_json(r#"{"host": "h", "tls": {"ca": "ca.crt", "verify": "false"}}"#).expect("understood");
        assert_eq!((config.endpoint.port, config.tls.insecure), (5671, true));
        assert!(config.tls.ca.is_some_and(|path| path.is_absolute()));
        let config = connect_json(r#"{"host": "h", "port": 7, "sasl": {"user": "u", "password": "p"}}"#);
        let config = config.expect("understood");
        assert_eq!((config.endpoint.tls, config.endpoint.port), (false, 7));
        assert!(matches!(config.credentials, Credentials::Password { .. }));
    }

    #[test]
    fn a_connect_json_that_is_none_says_why() {
        let error = |text: &str| connect_json(text).expect_err("an error");
        assert_eq!(
            error(r#"{"scheme": "https", "host": "h"}"#),
            "FILE is no connect.json as Skupper writes it: its scheme is \"https\", not \"amqp\" or \"amqps\""
        );
        assert_eq!(
            error(r#"{"scheme": "amqps", "host": "h"}"#),
            "FILE is no connect.json as Skupper writes it: it is about amqps and does not say whose certificates to trust: it \
             needs \"tls\": {\"ca\": \"ca.crt\"}, the file with the certificate of the authority that signed the router's"
        );
        assert_eq!(
            error(r#"{"scheme": "amqps", "host": "h"}"#),
            error(r#"{"host": "h", "tls": {"cert": "tls.crt"}}"#)
        );
        let unchecked =
            connect_json(r#"{"scheme": "amqps", "host": "h", "verify": false}"#).expect("understood");
        assert!(unchecked.tls.insecure, "whose certificates are to be trusted does not matter");
        assert_eq!(
            error(r#"{"host": "h", "port": "amqp"}"#),
            "FILE is no connect.json as Skupper writes it: its port is \"amqp\""
        );
        assert!(
            error("{}").starts_with("FILE is no connect.json as Skupper writes it: missing field `host`")
        );
        let missing = Config::from_connect_json(Path::new("/nowhere/connect.json"), clock());
        assert_eq!(
            missing.expect_err("an error").to_string(),
            "cannot read /nowhere/connect.json: No such file or directory (os error 2)"
        );
    }
}
