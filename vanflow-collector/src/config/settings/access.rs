//! Who may look, as options say it.

use std::{fmt, net::IpAddr, path::PathBuf, str::FromStr, time::Duration};

use super::{Args, Http, SettingsError, conflict, no_shorter, wrong};

/// Who may look, and what they have to show.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Access {
    /// What those who ask can show; where there is none of it, nobody is asked for anything.
    pub kinds: Vec<Auth>,
    /// Whether others than this machine are answered without credentials.
    pub is_insecure: bool,
    /// Whether `/metrics` is answered without credentials.
    pub metrics_open: bool,
    /// How long a session lasts.
    pub session_time: Duration,
}

/// One way to show who one is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Auth {
    /// A name and a password out of this file.
    Htpasswd(PathBuf),
    /// A token out of this file.
    Tokens(PathBuf),
    /// A certificate of one of the authorities of [`Http::client_ca`]; its subject is the name.
    Certificate,
    /// What a proxy at one of these addresses says.
    Proxy(Addresses),
}

/// An address, or all that begin as it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    first: IpAddr,
    /// How many bits of it count.
    bits: u8,
}

const KINDS: &str = "none, htpasswd=FILE, tokens=FILE, certificate or proxy=ADDRESS, such as proxy=127.0.0.1 or \
                     proxy=10.0.0.0/8";

impl Addresses {
    /// Whether that is one of them.
    pub fn contain(&self, address: IpAddr) -> bool {
        let (first, address) = (self.first.to_canonical(), address.to_canonical());
        let bits = u32::from(self.bits);
        match (first, address) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                let other = first.to_bits() ^ address.to_bits();
                other.checked_shr(32 - bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                let other = first.to_bits() ^ address.to_bits();
                other.checked_shr(128 - bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Addresses {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(first, bits)| (first, Some(bits)));
        let first =
            address.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().map_err(|_| ())?;
        let first = first.to_canonical();
        let all = if first.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(all), |bits| bits.parse().map_err(|_| ()))?;
        if bits <= all { Ok(Self { first, bits }) } else { Err(()) }
    }
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

impl Access {
    /// Nobody is asked for anything.
    pub fn open() -> Self {
        Self {
            kinds: Vec::new(),
            is_insecure: false,
            metrics_open: true,
            session_time: Duration::from_secs(12 * 60 * 60),
        }
    }

    /// Whether nobody is asked for anything.
    pub fn is_open(&self) -> bool {
        self.kinds.is_empty()
    }

    /// Where proxies are that are believed.
    pub(crate) fn proxies(&self) -> impl Iterator<Item = Addresses> {
        self.kinds.iter().filter_map(|kind| match kind {
            Auth::Proxy(addresses) => Some(*addresses),
            _ => None,
        })
    }

    pub(super) fn new(args: &Args, http: &Http) -> Result<Self, SettingsError> {
        let kinds: Vec<_> = args.auth.iter().map(|kind| auth(kind)).collect::<Result<_, _>>()?;
        let is_none = kinds.contains(&None);
        let kinds: Vec<_> = kinds.into_iter().flatten().collect();
        conflict(
            is_none && !kinds.is_empty(),
            "--auth none",
            "another --auth",
            "nobody is asked for anything then",
        )?;
        conflict(
            args.insecure_no_auth && !kinds.is_empty(),
            "--insecure-no-auth",
            "--auth",
            "one says that nobody is asked, the other what is asked for",
        )?;
        for (index, kind) in kinds.iter().enumerate() {
            let is_given = |other: &Auth| match (kind, other) {
                (Auth::Proxy(_), Auth::Proxy(_)) => false,
                _ => std::mem::discriminant(kind) == std::mem::discriminant(other),
            };
            if let Some(before) = kinds.iter().take(index).find(|other| is_given(other)) {
                let must = "given once of each kind: have all of it in one file";
                return Err(wrong("--auth", format!("{before}` and `{kind}"), must));
            }
        }
        match (kinds.contains(&Auth::Certificate), http.client_ca.is_some()) {
            (true, false) => {
                return Err(SettingsError::Needs {
                    option: "--auth certificate",
                    needed: "--tls-client-ca FILE",
                });
            }
            (false, true) => {
                return Err(SettingsError::Needs { option: "--tls-client-ca", needed: "--auth certificate" });
            }
            _ => {}
        }
        if let Some(address) = http.beyond_loopback().filter(|_| kinds.is_empty() && !args.insecure_no_auth) {
            return Err(SettingsError::Unprotected { address: address.to_owned() });
        }
        Ok(Self {
            metrics_open: kinds.is_empty() || args.metrics_no_auth,
            kinds,
            is_insecure: args.insecure_no_auth,
            session_time: no_shorter(
                "--session-time",
                args.session_time,
                Duration::from_secs(60),
                "1m or more",
            )?,
        })
    }
}

/// What `--auth` says; nothing for `none`.
fn auth(text: &str) -> Result<Option<Auth>, SettingsError> {
    let file = |file: &str| (!file.is_empty()).then(|| PathBuf::from(file));
    let (kind, value) = text.split_once('=').map_or((text, None), |(kind, value)| (kind, Some(value)));
    match (kind, value, value.and_then(file)) {
        ("none", None, _) => Ok(None),
        ("htpasswd", _, Some(file)) => Ok(Some(Auth::Htpasswd(file))),
        ("tokens", _, Some(file)) => Ok(Some(Auth::Tokens(file))),
        ("certificate", None, _) => Ok(Some(Auth::Certificate)),
        ("proxy", Some(addresses), _) => {
            let addresses = addresses.parse().map_err(|()| wrong("--auth", text, KINDS))?;
            Ok(Some(Auth::Proxy(addresses)))
        }
        _ => Err(wrong("--auth", text, KINDS)),
    }
}

impl fmt::Display for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Htpasswd(file) => write!(f, "htpasswd={}", file.display()),
            Self::Tokens(file) => write!(f, "tokens={}", file.display()),
            Self::Certificate => f.write_str("certificate"),
            Self::Proxy(addresses) => write!(f, "proxy={addresses}"),
        }
    }
}

/// Where a line for each request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    /// The file; standard output where there is none.
    pub file: Option<PathBuf>,
    /// What a line looks like.
    pub format: AccessLogFormat,
}

/// What a line of the access log looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccessLogFormat {
    /// As Apache and nginx have it, with the seconds that it took behind it.
    #[default]
    Combined,
    /// A JSON object.
    Json,
}

impl AccessLog {
    pub(super) fn new(
        file: Option<&str>,
        format: Option<AccessLogFormat>,
    ) -> Result<Option<Self>, SettingsError> {
        match (file, format) {
            (None, Some(_)) => {
                Err(SettingsError::Needs { option: "--access-log-format", needed: "--access-log FILE" })
            }
            (None, None) => Ok(None),
            (Some(""), _) => Err(wrong("--access-log", "", "a file, or - for standard output")),
            (Some(file), format) => {
                let file = (file != "-").then(|| PathBuf::from(file));
                Ok(Some(Self { file, format: format.unwrap_or_default() }))
            }
        }
    }
}
