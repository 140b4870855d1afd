//! What is meant by what was typed.

mod access;
mod keeping;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use http::Uri;
use thiserror::Error;
use vanflow_api::{Cors, EventsOptions, metrics};
use vanflow_history::{HistoryOptions, NETWORK_LABEL};
use vanflow_proto::discovery;

pub use self::access::{Access, AccessLog, AccessLogFormat, Addresses, Auth};
#[cfg(feature = "bucket")]
pub use self::keeping::Bucket;
#[cfg(feature = "archive")]
pub use self::keeping::{Archive, ClickHouse};
pub use self::keeping::{FlowLog, FlowLogFormat, FlowLogTarget, State};
use super::{Args, CONNECT_JSON, Limits, Octets, Speed};
use crate::{demo, hosts, terminal::StatusLine};

/// Bounds of memory below this make no sense, in octets.
const LEAST_MEMORY: usize = 1_000_000;

/// The least that the process can do with.
const LEAST_PROCESS: usize = 64_000_000;

/// What the collector is to do. Made by [`Settings::new`], which refuses what makes no sense.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Where records come from.
    pub source: Source,
    /// Where the emulated router listens, `host:port`, if there is one; any free port of 127.0.0.1 otherwise.
    pub demo_listen: Option<String>,
    /// Where HTTP requests are answered, and how.
    pub http: Http,
    /// Who may look.
    pub access: Access,
    /// Where a line for each request goes, if anywhere.
    pub access_log: Option<AccessLog>,
    /// A directory with a console build.
    pub console: Option<PathBuf>,
    /// Who answers the queries of charts, where it is not this collector.
    pub prometheus: Option<Prometheus>,
    /// What is measured, and how it is reported.
    pub metrics: metrics::MetricsOptions,
    /// The identity of the network that queries of charts may ask about, where it has one; all of what is measured has it.
    pub network: Option<String>,
    /// Where those who watch over the collector are answered, `host:port`, beside the API.
    pub metrics_listen: Option<String>,
    /// How what is measured is kept, if it is.
    pub history: Option<HistoryOptions>,
    /// How events are kept.
    pub events: EventsOptions,
    /// How records are kept.
    pub store: vanflow_store::StoreOptions,
    /// How much memory the process may take, in octets: records have what all else leaves of it.
    pub memory: Option<usize>,
    /// Where records outlive the process.
    pub state: Option<State>,
    /// Where what has ended is kept, if it is.
    #[cfg(feature = "archive")]
    pub archive: Option<Archive>,
    /// The bucket that finished files are sent to.
    #[cfg(feature = "bucket")]
    pub bucket: Option<Bucket>,
    /// The ClickHouse that what has ended is sent to.
    #[cfg(feature = "archive")]
    pub clickhouse: Option<ClickHouse>,
    /// Where what has ended is logged, line by line, if it is.
    pub flow_log: Option<FlowLog>,
    /// Where what the router sends is written.
    pub capture: Option<PathBuf>,
    /// The line of a terminal that says how the start goes, where a person watches it. What is logged says it otherwise.
    pub line: Option<StatusLine>,
    /// How long to wait for what, with a router. No option: what is right follows from what routers do, but who embeds
    /// the collector may have others.
    pub waits: discovery::Settings,
}

/// Where records come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// The network that a router is part of.
    Router(Router),
    /// A network that is emulated within this process.
    Demo(demo::DemoOptions),
    /// What a collector received once.
    Replay(Replay),
}

/// How a router is reached.
#[derive(Clone, Debug, PartialEq)]
pub enum Router {
    /// By an address and credentials.
    Url {
        /// `amqp://…` or `amqps://…`.
        url: String,
        /// The authorities to trust, a PEM file.
        ca: Option<PathBuf>,
        /// The collector's certificate and its key, PEM files.
        identity: Option<(PathBuf, PathBuf)>,
        /// A file with the password of the user whom the URL names.
        password: Option<PathBuf>,
    },
    /// By what a connect.json says.
    ConnectJson(PathBuf),
    /// By what Skupper keeps on this machine of the namespace of that name.
    Skupper(String),
}

/// What is replayed, and how fast.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// The capture.
    pub file: PathBuf,
    /// How fast.
    pub speed: Speed,
}

/// Where HTTP requests are answered, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Http {
    /// Addresses, `host:port`; at least one.
    pub listen: Vec<String>,
    /// By which other URLs clients come.
    pub public_urls: Vec<Uri>,
    /// Certificate and key, PEM files, where it is HTTPS.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// The authorities of certificates that clients can show, a PEM file, where it is HTTPS.
    pub client_ca: Option<PathBuf>,
    /// Whose pages may ask.
    pub cors: Cors,
    /// What clients may take.
    pub limits: Limits,
}

impl Http {
    /// Whether only this machine can reach it.
    pub fn is_local(&self) -> bool {
        self.beyond_loopback().is_none()
    }

    /// An address that other machines reach, if there is one.
    pub(crate) fn beyond_loopback(&self) -> Option<&str> {
        let mut addresses = self.listen.iter().map(String::as_str);
        addresses.find(|address| !hosts::is_loopback(hosts::host_of_address(address)))
    }
}

/// A Prometheus that answers the queries of charts.
#[derive(Clone, Debug, PartialEq)]
pub struct Prometheus {
    /// `http://…` or `https://…`, with the path that its API is below, without a slash at its end.
    pub url: String,
    /// The authorities to trust, a PEM file, where it is not those that this machine trusts.
    pub ca: Option<PathBuf>,
}

/// Arguments that make no sense together, or a value that makes none.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SettingsError {
    /// Nothing says where records come from.
    #[error(
        "no source of records: give one of --router URL, --connect-skupper NAMESPACE, --connect-json FILE, --demo and \
         --replay FILE \
         ({CONNECT_JSON}, where Skupper mounts the address of its router, does not exist)"
    )]
    NoSource,
    /// More than one option says where records come from.
    #[error(
        "{first} and {second}, or their environment variables, each name a source of records: give one of them"
    )]
    TwoSources {
        /// The one.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// An option that has no meaning without another.
    #[error("{option} needs {needed}")]
    Needs {
        /// The option.
        option: &'static str,
        /// What it needs.
        needed: &'static str,
    },
    /// Others than this machine could ask, and nothing says who may.
    #[error(
        "--listen {address} is reached from other machines, and nothing says who may look: name them with \
         --auth htpasswd=FILE or --auth tokens=FILE, or listen at 127.0.0.1; --insecure-no-auth shows everything to anyone"
    )]
    Unprotected {
        /// The address.
        address: String,
    },
    /// Two options that have no meaning together.
    #[error("{option} cannot go with {other}: {why}")]
    Conflict {
        /// The one.
        option: &'static str,
        /// The other.
        other: &'static str,
        /// Why not.
        why: &'static str,
    },
    /// A label that is named by two options.
    #[error(
        "{option} is the label {label} of all metrics, which --metrics-labels has as `{value}`: give one of them"
    )]
    Twice {
        /// The option that is for this label.
        option: &'static str,
        /// The label.
        label: &'static str,
        /// What the other option says that it is.
        value: String,
    },
    /// A label or a metric that cannot be.
    #[error("{option}: {error}")]
    Metrics {
        /// The option.
        option: &'static str,
        /// What is wrong with it.
        error: metrics::OptionError,
    },
    /// What this program was built without.
    #[error("{option} is not in this build: build vanflow-collector with the cargo feature {feature}")]
    NotBuilt {
        /// The option.
        option: &'static str,
        /// The feature that has it.
        feature: &'static str,
    },
    /// A name that there is none of.
    #[error("{option} has `{name}`; it must be some of {names}")]
    Unknown {
        /// The option.
        option: &'static str,
        /// The name.
        name: String,
        /// Those that there are.
        names: String,
    },
    /// A value that makes no sense.
    #[error("{option} is `{value}`; it must be {must}")]
    Value {
        /// The option.
        option: &'static str,
        /// Its value.
        value: String,
        /// What would be right.
        must: &'static str,
    },
}

impl Settings {
    /// Whether one of these arguments has a password in it, where everybody on the machine can read it.
    pub fn shows_password(&self, mut arguments: impl Iterator<Item = String>) -> bool {
        let Source::Router(Router::Url { url, .. }) = &self.source else { return false };
        let has_password = url.rsplit_once('@').is_some_and(|(user, _)| user.matches(':').count() > 1);
        has_password && arguments.any(|argument| argument.contains(url.as_str()))
    }

    /// What arguments mean.
    ///
    /// `exists` answers whether there is a file at a path; it is asked about [`CONNECT_JSON`] alone.
    ///
    /// # Errors
    ///
    /// Where the arguments make no sense, alone or together.
    pub fn new(args: Args, exists: impl Fn(&Path) -> bool) -> Result<Self, SettingsError> {
        let source = source(&args, exists)?;
        let store = store(&args)?;
        let memory = args
            .memory
            .map(|Octets(octets)| {
                at_least("--memory", octets, LEAST_PROCESS, "64M or more: it is for the process")
            })
            .transpose()?;
        #[cfg(feature = "archive")]
        let archive = keeping::archive(&args)?;
        #[cfg(not(feature = "archive"))]
        keeping::archive(&args)?;
        #[cfg(feature = "bucket")]
        let bucket = keeping::bucket(&args)?;
        #[cfg(not(feature = "bucket"))]
        keeping::bucket(&args)?;
        #[cfg(feature = "archive")]
        let clickhouse = keeping::clickhouse(&args)?;
        let flow_log = keeping::flow_log(&args)?;
        if matches!(source, Source::Replay(_)) {
            conflict(
                args.capture.is_some(),
                "--capture",
                "--replay",
                "what is replayed is a capture already",
            )?;
            conflict(
                args.state.is_some(),
                "--state",
                "--replay",
                "a replay has a time of its own, and starts anew every time",
            )?;
        }
        conflict(
            args.access_log.as_deref() == Some("-") && args.flow_log.as_deref() == Some(Path::new("-")),
            "--access-log -",
            "--flow-log -",
            "their lines could not be told apart",
        )?;
        let http = http(&args)?;
        let access = Access::new(&args, &http)?;
        Ok(Self {
            source,
            demo_listen: args.demo_listen.map(|address| listen("--demo-listen", address)).transpose()?,
            http,
            access,
            access_log: AccessLog::new(args.access_log.as_deref(), args.access_log_format)?,
            console: args.console,
            prometheus: prometheus(args.prometheus_api, args.prometheus_ca)?,
            metrics: {
                let mut metrics = metrics::MetricsOptions::default();
                metrics.labels = labels(args.metrics_labels, args.network_id.clone(), args.observer_id)?;
                metrics.detail = args.metrics_detail;
                metrics.exclude = each(args.metrics_exclude, excluded)?;
                metrics.zero_for = args.metrics_zero_for;
                metrics
            },
            network: args.network_id,
            metrics_listen: args
                .metrics_listen
                .map(|address| listen("--metrics-listen", address))
                .transpose()?,
            history: history(args.history, args.history_interval, args.history_memory, memory)?,
            events: events(args.events, args.events_retention),
            store,
            memory,
            state: keeping::state(args.state, args.state_interval)?,
            #[cfg(feature = "archive")]
            archive,
            #[cfg(feature = "bucket")]
            bucket,
            #[cfg(feature = "archive")]
            clickhouse,
            flow_log,
            capture: args.capture,
            line: None,
            waits: discovery::Settings::default(),
        })
    }
}

/// Where requests are answered, and how.
fn http(args: &Args) -> Result<Http, SettingsError> {
    if args.tls_client_ca.is_some() && args.tls_cert.is_none() {
        return Err(SettingsError::Needs { option: "--tls-client-ca", needed: "--tls-cert FILE" });
    }
    Ok(Http {
        client_ca: args.tls_client_ca.clone(),
        tls: pair(("--tls-cert", args.tls_cert.clone()), ("--tls-key", args.tls_key.clone()))?,
        listen: each(args.listen.clone(), |address| listen("--listen", address))?,
        public_urls: each(args.public_url.clone(), public_url)?,
        cors: cors(args.cors.clone())?,
        limits: Limits::new(&args.limits)?,
    })
}

/// Where records come from, and whether everything that was said about it belongs to it.
fn source(args: &Args, exists: impl Fn(&Path) -> bool) -> Result<Source, SettingsError> {
    let mut named = [
        ("--router", args.router.is_some()),
        ("--connect-skupper", args.connect_skupper.is_some()),
        ("--connect-json", args.connect_json.is_some()),
        ("--demo", args.demo),
        ("--replay", args.replay.is_some()),
    ]
    .into_iter()
    .filter_map(|(option, given)| given.then_some(option));
    if let (Some(first), Some(second)) = (named.next(), named.next()) {
        return Err(SettingsError::TwoSources { first, second });
    }

    let needs = |option, needed, is_given: bool, is_there: bool| match is_given && !is_there {
        true => Err(SettingsError::Needs { option, needed }),
        false => Ok(()),
    };
    needs(
        "--router-password-file",
        "--router URL",
        args.router_password_file.is_some(),
        args.router.is_some(),
    )?;
    needs("--ca", "--router URL", args.ca.is_some(), args.router.is_some())?;
    needs("--cert", "--router URL", args.cert.is_some(), args.router.is_some())?;
    needs("--key", "--router URL", args.key.is_some(), args.router.is_some())?;
    needs("--demo-seed", "--demo", args.demo_seed.is_some(), args.demo)?;
    needs("--demo-rate", "--demo", args.demo_rate.is_some(), args.demo)?;
    needs("--demo-listen", "--demo", args.demo_listen.is_some(), args.demo)?;
    needs("--speed", "--replay FILE", args.speed.is_some(), args.replay.is_some())?;

    if let Some(url) = &args.router {
        return router(url, args);
    }
    if let Some(namespace) = &args.connect_skupper {
        return Ok(Source::Router(Router::Skupper(skupper_namespace(namespace)?)));
    }
    if let Some(file) = &args.connect_json {
        return Ok(Source::Router(Router::ConnectJson(file.clone())));
    }
    if args.demo {
        return Ok(Source::Demo(emulated(args)?));
    }
    if let Some(file) = &args.replay {
        return Ok(Source::Replay(Replay {
            file: file.clone(),
            speed: args.speed.unwrap_or(Speed::Times(1.0)),
        }));
    }
    let mounted = Path::new(CONNECT_JSON);
    match exists(mounted) {
        true => Ok(Source::Router(Router::ConnectJson(mounted.to_owned()))),
        false => Err(SettingsError::NoSource),
    }
}

/// A namespace of Skupper on this machine: the name of a directory.
fn skupper_namespace(name: &str) -> Result<String, SettingsError> {
    let is_one = !name.is_empty()
        && name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-');
    match is_one {
        true => Ok(name.to_owned()),
        false => Err(wrong(
            "--connect-skupper",
            name,
            "the name of a namespace, of small letters, digits and hyphens, such as default",
        )),
    }
}

/// What is emulated.
fn emulated(args: &Args) -> Result<demo::DemoOptions, SettingsError> {
    let mut options = demo::DemoOptions::default();
    options.seed = args.demo_seed.unwrap_or(options.seed);
    options.rate = args.demo_rate.unwrap_or(options.rate);
    match options.rate >= 0.0 && options.rate.is_finite() {
        true => Ok(options),
        false => Err(wrong("--demo-rate", options.rate, "0 or more")),
    }
}

fn router(url: &str, args: &Args) -> Result<Source, SettingsError> {
    let secured = url.starts_with("amqps://");
    if !secured && !url.starts_with("amqp://") {
        return Err(wrong("--router", without_user(url), "amqp://host:port or amqps://host:port"));
    }
    let user = url.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@')).map(|(user, _)| user);
    if args.router_password_file.is_some() && user.is_none_or(|user| user.is_empty() || user.contains(':')) {
        let must =
            "amqp://USER@host:port or amqps://USER@host:port, whose password is in --router-password-file";
        return Err(wrong("--router", without_user(url), must));
    }
    for (option, file) in [("--ca", &args.ca), ("--cert", &args.cert), ("--key", &args.key)] {
        conflict(!secured && file.is_some(), option, "an amqp:// router", "only amqps:// uses certificates")?;
    }
    if secured && args.ca.is_none() {
        return Err(SettingsError::Needs { option: "an amqps:// router", needed: "--ca FILE" });
    }
    Ok(Source::Router(Router::Url {
        url: url.to_owned(),
        ca: args.ca.clone(),
        identity: pair(("--cert", args.cert.clone()), ("--key", args.key.clone()))?,
        password: args.router_password_file.clone(),
    }))
}

/// A URL without what may be a password.
fn without_user(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://…@{host}"),
        _ => url.to_owned(),
    }
}

fn prometheus(url: Option<String>, ca: Option<PathBuf>) -> Result<Option<Prometheus>, SettingsError> {
    let Some(url) = url else {
        return match ca {
            Some(_) => {
                Err(SettingsError::Needs { option: "--prometheus-ca", needed: "--prometheus-api URL" })
            }
            None => Ok(None),
        };
    };
    let is_one = url.parse::<http::Uri>().is_ok_and(|uri| {
        let is_server = uri.authority().is_some_and(|server| !server.as_str().contains('@'));
        matches!(uri.scheme_str(), Some("http" | "https")) && is_server && uri.query().is_none()
    });
    if !is_one {
        return Err(wrong(
            "--prometheus-api",
            url,
            "http://host:port or https://host:port, with a path where the API is below one, and nothing else",
        ));
    }
    conflict(
        ca.is_some() && url.starts_with("http://"),
        "--prometheus-ca",
        "an http:// Prometheus",
        "only https:// uses certificates",
    )?;
    Ok(Some(Prometheus { url: url.trim_end_matches('/').to_owned(), ca }))
}

/// Both or neither.
fn pair<T>(
    first: (&'static str, Option<T>),
    second: (&'static str, Option<T>),
) -> Result<Option<(T, T)>, SettingsError> {
    match (first, second) {
        ((_, Some(first)), (_, Some(second))) => Ok(Some((first, second))),
        ((_, None), (_, None)) => Ok(None),
        ((option, Some(_)), (needed, None)) | ((needed, None), (option, Some(_))) => {
            Err(SettingsError::Needs { option, needed })
        }
    }
}

fn listen(option: &'static str, address: String) -> Result<String, SettingsError> {
    let port = address.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
    match port {
        Some(_) => Ok(address),
        None => Err(wrong(
            option,
            address,
            "host:port, such as 127.0.0.1:8010, or :8010 for every address of this machine",
        )),
    }
}

fn public_url(url: String) -> Result<Uri, SettingsError> {
    let is_one = |uri: &Uri| {
        let is_server = uri.authority().is_some_and(|server| !server.as_str().contains('@'));
        matches!(uri.scheme_str(), Some("http" | "https")) && is_server && uri.query().is_none()
    };
    match url.parse::<Uri>() {
        Ok(uri) if is_one(&uri) => Ok(uri),
        _ => Err(wrong(
            "--public-url",
            url,
            "a URL by which clients come, such as https://van.example.com, with nothing behind its path",
        )),
    }
}

/// How what is measured is kept; not at all for no time.
fn history(
    horizon: Duration,
    interval: Duration,
    Octets(memory): Octets,
    of_process: Option<usize>,
) -> Result<Option<HistoryOptions>, SettingsError> {
    if !(Duration::from_secs(1)..=Duration::from_secs(15)).contains(&interval) {
        return Err(wrong(
            "--history-interval",
            humantime::format_duration(interval),
            "1s to 15s: charts look back 30 seconds, and need two values in them",
        ));
    }
    let mut options = HistoryOptions::default();
    options.horizon = horizon;
    options.interval = interval;
    options.memory =
        at_least("--history-memory", memory, LEAST_MEMORY, "1M or more; --history 0s keeps nothing")?
            .min(of_process.map_or(usize::MAX, |octets| octets / 4));
    Ok((!horizon.is_zero()).then_some(options))
}

/// How events are kept.
fn events(most: usize, retention: Duration) -> EventsOptions {
    let mut options = EventsOptions::default();
    (options.most, options.retention) = (most, retention);
    options
}

/// How records are kept.
fn store(args: &Args) -> Result<vanflow_store::StoreOptions, SettingsError> {
    let mut options = vanflow_store::StoreOptions::default();
    options.retention_micros = u64::try_from(args.retention.as_micros()).unwrap_or(u64::MAX);
    options.source_records = at_least("--source-records", args.source_records, 1000, "1000 or more")?;
    options.record_attributes = at_least("--record-attributes", args.record_attributes, 64, "64 or more")?;
    options.longest_text = at_least("--longest-text", args.longest_text.0, 1 << 10, "1Ki or more")?;
    options.longest_id = at_least("--longest-id", args.longest_id.0, 256, "256 or more")?;
    Ok(options)
}

/// The labels of all metrics: those that were named, and the identities of the network and of the collector.
fn labels(
    named: Vec<String>,
    network: Option<String>,
    observer: Option<String>,
) -> Result<Vec<(String, String)>, SettingsError> {
    let mut labels = each(named, label)?;
    for (option, name, id) in
        [("--network-id", NETWORK_LABEL, network), ("--observer-id", "observer_id", observer)]
    {
        let Some(id) = id else { continue };
        if id.is_empty() {
            return Err(wrong(option, id, "an identity, such as west"));
        }
        if let Some((_, other)) = labels.iter().find(|(other, _)| other == name) {
            return Err(SettingsError::Twice { option, label: name, value: other.clone() });
        }
        labels.push((name.to_owned(), id));
    }
    Ok(labels)
}

fn label(label: String) -> Result<(String, String), SettingsError> {
    let Some((name, value)) = label.split_once('=') else {
        return Err(wrong("--metrics-labels", label, "a name and a value, such as network=west"));
    };
    metrics::check_label(name)
        .map_err(|error| SettingsError::Metrics { option: "--metrics-labels", error })?;
    Ok((name.to_owned(), value.to_owned()))
}

fn excluded(name: String) -> Result<String, SettingsError> {
    metrics::check_metric(&name)
        .map_err(|error| SettingsError::Metrics { option: "--metrics-exclude", error })
        .map(|()| name)
}

/// Whose pages may ask: those of the origins that were named, of all where one is `*`, of no others where none is.
fn cors(origins: Vec<String>) -> Result<Cors, SettingsError> {
    let origins = each(origins, origin)?;
    Ok(match origins {
        origins if origins.is_empty() => Cors::SameOrigin,
        origins if origins.iter().any(|origin| origin == "*") => Cors::Any,
        origins => Cors::Origins(origins),
    })
}

fn origin(origin: String) -> Result<String, SettingsError> {
    let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    match origin == "*" || host.is_some_and(|host| !host.is_empty() && !host.contains(['/', ' ', ','])) {
        true => Ok(origin),
        false => Err(wrong(
            "--cors",
            origin,
            "an origin such as https://console.example.com, without a path, or *",
        )),
    }
}

fn each<T>(
    values: Vec<String>,
    check: impl Fn(String) -> Result<T, SettingsError>,
) -> Result<Vec<T>, SettingsError> {
    values.into_iter().map(check).collect()
}

pub(super) fn at_least(
    option: &'static str,
    value: usize,
    least: usize,
    must: &'static str,
) -> Result<usize, SettingsError> {
    if value >= least { Ok(value) } else { Err(wrong(option, value, must)) }
}

pub(super) fn no_shorter(
    option: &'static str,
    time: Duration,
    shortest: Duration,
    must: &'static str,
) -> Result<Duration, SettingsError> {
    if time >= shortest { Ok(time) } else { Err(wrong(option, humantime::format_duration(time), must)) }
}

fn wrong(option: &'static str, value: impl ToString, must: &'static str) -> SettingsError {
    SettingsError::Value { option, value: value.to_string(), must }
}

/// Refuses an option that was given with another which it has no meaning with.
fn conflict(
    is_one: bool,
    option: &'static str,
    other: &'static str,
    why: &'static str,
) -> Result<(), SettingsError> {
    if is_one { Err(SettingsError::Conflict { option, other, why }) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
