//! What the collector was asked to do: arguments as they were typed, and settings as they are meant.
//!
//! [`Args`] is what clap reads off the command line and the environment. [`Settings`] is what the rest of the
//! collector works with: it can only be made by [`Settings::new`], which refuses what makes no sense.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use clap::{Parser, ValueEnum, builder::FalseyValueParser};
use thiserror::Error;
use vanflow_api::metrics;
use vanflow_proto::discovery;

/// Where Skupper mounts the address of the router and its credentials.
pub const CONNECT_JSON: &str = "/etc/messaging/connect.json";

/// Attaches to a router of a Skupper network, gathers the VAN-Flow records of the whole network, and answers
/// questions about it over HTTP.
///
/// Records come from exactly one of --router, --connect-json, --demo and --replay. Where none is named and
/// /etc/messaging/connect.json exists, it is taken. Every option can be given in the environment instead; the
/// command line wins.
#[derive(Clone, Debug, Default, Parser)]
#[command(name = "vanflow-collector", version, max_term_width = 100)]
pub struct Args {
    /// Attaches to the router at this URL, amqp://host:port or amqps://host:port. The port is 5672 or, with amqps,
    /// 5671 where the URL has none.
    #[arg(long, env = "VANFLOW_ROUTER", value_name = "URL", help_heading = SOURCES)]
    pub router: Option<String>,

    /// Attaches to the router that this file names, which also names the certificates to use: connect.json, as
    /// Skupper mounts it. Looked for at /etc/messaging/connect.json unless records come from elsewhere.
    #[arg(long, env = "VANFLOW_CONNECT_JSON", value_name = "FILE", help_heading = SOURCES)]
    pub connect_json: Option<PathBuf>,

    /// Emulates a network within this process and attaches to it: sites, their routers and services, traffic between
    /// them, and failures. For a first look.
    #[arg(long, env = "VANFLOW_DEMO", value_parser = FalseyValueParser::new(), help_heading = SOURCES)]
    pub demo: bool,

    /// Replays a capture: a file that --capture wrote. Time comes from the capture and stands still at its end,
    /// while the API goes on answering.
    #[arg(long, env = "VANFLOW_REPLAY", value_name = "FILE", help_heading = SOURCES)]
    pub replay: Option<PathBuf>,

    /// Trusts the certificate authorities in this PEM file, and no others, when it attaches to an amqps router; needed
    /// then. Read again when the file changes.
    #[arg(long, env = "VANFLOW_CA", value_name = "FILE", help_heading = SOURCES)]
    pub ca: Option<PathBuf>,

    /// Shows the router this certificate, a PEM file; needs --key. Read again when the file changes.
    #[arg(long, env = "VANFLOW_CERT", value_name = "FILE", help_heading = SOURCES)]
    pub cert: Option<PathBuf>,

    /// The private key of --cert, a PEM file.
    #[arg(long, env = "VANFLOW_KEY", value_name = "FILE", help_heading = SOURCES)]
    pub key: Option<PathBuf>,

    /// Seeds the chance that shapes the emulated network: the same seed, the same network. The default is 1.
    #[arg(long, env = "VANFLOW_DEMO_SEED", value_name = "N", help_heading = SOURCES)]
    pub demo_seed: Option<u64>,

    /// Connections a second that begin in the emulated network, on average. Most carry several requests. The default
    /// is 5.
    #[arg(long, env = "VANFLOW_DEMO_RATE", value_name = "N", help_heading = SOURCES)]
    pub demo_rate: Option<f64>,

    /// Replays so many times faster than it was captured, or, with max, all at once. The default is 1.
    #[arg(long, env = "VANFLOW_SPEED", value_name = "N|max", help_heading = SOURCES)]
    pub speed: Option<Speed>,

    /// Answers HTTP requests at this address, host:port. May be given several times; in the environment, with
    /// commas between them. Port 0 takes any that is free.
    #[arg(long, env = "VANFLOW_LISTEN", value_name = "ADDR", value_delimiter = ',', help_heading = API)]
    #[arg(default_value = "127.0.0.1:8010")]
    pub listen: Vec<String>,

    /// Answers HTTPS requests instead, with the certificates in this PEM file, its own first; needs --tls-key.
    /// Read again when the file changes.
    #[arg(long, env = "VANFLOW_TLS_CERT", value_name = "FILE", help_heading = API)]
    pub tls_cert: Option<PathBuf>,

    /// The private key of --tls-cert, a PEM file.
    #[arg(long, env = "VANFLOW_TLS_KEY", value_name = "FILE", help_heading = API)]
    pub tls_key: Option<PathBuf>,

    /// Allows pages of this origin, such as `https://console.example.com`, to ask the API; * allows all. May be given
    /// several times; in the environment, with commas between them. By default browsers let no other page ask.
    #[arg(long, env = "VANFLOW_CORS", value_name = "ORIGIN", value_delimiter = ',', help_heading = API)]
    pub cors: Vec<String>,

    /// HTTP connections at a time; any more are turned away with 503.
    #[arg(long, env = "VANFLOW_CONNECTIONS", value_name = "N", default_value_t = 1024, help_heading = API)]
    pub connections: usize,

    /// Cuts off an HTTP client that takes nothing of its answer for so long.
    #[arg(long, env = "VANFLOW_STALL_TIMEOUT", value_name = "TIME", default_value = "30s", help_heading = API)]
    #[arg(value_parser = duration)]
    pub stall_timeout: Duration,

    /// Serves the console build in this directory at /, such as one of the Skupper Console. Without it there is a small
    /// page that says what there is.
    #[arg(long, env = "VANFLOW_CONSOLE", value_name = "DIR", help_heading = API)]
    pub console: Option<PathBuf>,

    /// Has the queries of the console's charts answered by the Prometheus at this URL, such as
    /// http://prometheus:9090, with a path where its API is below one.
    #[arg(long, env = "VANFLOW_PROMETHEUS_API", value_name = "URL", help_heading = API)]
    pub prometheus_api: Option<String>,

    /// Trusts the certificate authorities in this PEM file, and no others, when it asks an https Prometheus. By
    /// default those that this machine trusts.
    #[arg(long, env = "VANFLOW_PROMETHEUS_CA", value_name = "FILE", help_heading = API)]
    pub prometheus_ca: Option<PathBuf>,

    /// Answers requests for /metrics, /healthz and /readyz at this address as well, and no others, without TLS: for
    /// those who watch over the collector. /metrics is answered at --listen in any case.
    #[arg(long, env = "VANFLOW_METRICS_LISTEN", value_name = "ADDR", help_heading = METRICS)]
    pub metrics_listen: Option<String>,

    /// Puts this label on all metrics, such as network=west or observer=a: it reports this network, or this collector,
    /// from others. May be given several times; in the environment, with commas between them.
    #[arg(long, env = "VANFLOW_METRICS_LABELS", value_name = "NAME=VALUE", value_delimiter = ',', help_heading = METRICS)]
    pub metrics_labels: Vec<String>,

    /// What connections are distinguished by in metrics: process, component or site. The coarser, the fewer label sets
    /// there are; the labels of what is left out stay, and have the name of the component or the site.
    #[arg(long, env = "VANFLOW_METRICS_DETAIL", value_name = "DETAIL", default_value = "process", help_heading = METRICS)]
    pub metrics_detail: Detail,

    /// Leaves this metric out, such as skupper_internal_latency_seconds. May be given several times; in the
    /// environment, with commas between them.
    #[arg(long, env = "VANFLOW_METRICS_EXCLUDE", value_name = "NAME", value_delimiter = ',', help_heading = METRICS)]
    pub metrics_exclude: Vec<String>,

    /// Shows what is counted for the first time as 0 for so long, so that Prometheus sees it grow from there. Should be
    /// longer than its scrape interval; 0s shows everything at once.
    #[arg(long, env = "VANFLOW_METRICS_ZERO_FOR", value_name = "TIME", default_value = "15s", help_heading = METRICS)]
    #[arg(value_parser = duration)]
    pub metrics_zero_for: Duration,

    /// Keeps what is measured for so long, in memory, so that the charts of the console have something to show without
    /// a Prometheus; the older, the sparser. 0s keeps nothing. Nothing is kept with --prometheus-api.
    #[arg(long, env = "VANFLOW_HISTORY", value_name = "TIME", default_value = "24h", help_heading = METRICS)]
    #[arg(value_parser = duration)]
    pub history: Duration,

    /// Takes what is measured into --history this often.
    #[arg(long, env = "VANFLOW_HISTORY_INTERVAL", value_name = "TIME", default_value = "5s", help_heading = METRICS)]
    #[arg(value_parser = duration)]
    pub history_interval: Duration,

    /// Lets --history take no more memory than this; beyond that it goes back less far.
    #[arg(long, env = "VANFLOW_HISTORY_MEMORY", value_name = "OCTETS", default_value = "256Mi", help_heading = METRICS)]
    pub history_memory: Octets,

    /// Keeps records for so long after they ended, such as 90s, 15m or 2h. Live records are kept however old they are.
    #[arg(long, env = "VANFLOW_RETENTION", value_name = "TIME", default_value = "15m", help_heading = KEEPING)]
    #[arg(value_parser = duration)]
    pub retention: Duration,

    /// Lets the oldest ended records go before their time when all records together take more memory than this,
    /// such as 512M or 2Gi. Unbounded by default.
    #[arg(long, env = "VANFLOW_MEMORY", value_name = "OCTETS", help_heading = KEEPING)]
    pub memory: Option<Octets>,

    /// Keeps the records in this directory too, and starts from what is there: a collector that was killed comes
    /// back knowing what it knew. Made if it does not exist. Nothing is written by default.
    #[arg(long, env = "VANFLOW_STATE", value_name = "DIR", help_heading = KEEPING)]
    pub state: Option<PathBuf>,

    /// Writes what changed to --state this often. What a kill can lose is what changed since. The default is 2s.
    #[arg(long, env = "VANFLOW_STATE_INTERVAL", value_name = "TIME", help_heading = KEEPING)]
    #[arg(value_parser = duration)]
    pub state_interval: Option<Duration>,

    /// Writes every message that the router sends to this file, to be replayed. The file must not exist yet.
    #[arg(long, env = "VANFLOW_CAPTURE", value_name = "FILE", help_heading = KEEPING)]
    pub capture: Option<PathBuf>,

    /// What to log to stderr: error, warn, info, debug or trace, also by module, such as
    /// info,vanflow_proto=debug.
    #[arg(long, env = "VANFLOW_LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,
}

const SOURCES: &str = "Where records come from";
const API: &str = "The API";
const METRICS: &str = "Metrics";
const KEEPING: &str = "What is kept";

/// What the collector is to do. Made by [`Settings::new`], which refuses what makes no sense.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Where records come from.
    pub source: Source,
    /// Where HTTP requests are answered, and how.
    pub http: Http,
    /// A directory with a console build.
    pub console: Option<PathBuf>,
    /// Who answers the queries of charts, where it is not this collector.
    pub prometheus: Option<Prometheus>,
    /// What is measured, and where it is reported.
    pub metrics: Metrics,
    /// How what is measured is kept, if it is.
    pub history: Option<History>,
    /// How long ended records are kept.
    pub retention: Duration,
    /// How much memory records may take, in octets, before ended ones leave early.
    pub memory: Option<usize>,
    /// Where records outlive the process.
    pub state: Option<State>,
    /// Where what the router sends is written.
    pub capture: Option<PathBuf>,
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
    Demo(Demo),
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
    },
    /// By what a connect.json says.
    ConnectJson(PathBuf),
}

/// What is emulated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Demo {
    /// The same seed, the same network.
    pub seed: u64,
    /// Connections a second.
    pub rate: f64,
}

/// What is replayed, and how fast.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// The capture.
    pub file: PathBuf,
    /// How fast.
    pub speed: Speed,
}

/// How fast a capture is replayed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// So many times faster than it was captured; more than 0.
    Times(f64),
    /// All at once.
    Max,
}

/// Where HTTP requests are answered, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Http {
    /// Addresses, `host:port`; at least one.
    pub listen: Vec<String>,
    /// Certificate and key, PEM files, where it is HTTPS.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// The origins whose pages may ask; `*` stands for all.
    pub cors: Vec<String>,
    /// Connections at a time; at least 1.
    pub connections: usize,
    /// How long a client may take nothing of its answer.
    pub stall_timeout: Duration,
}

/// A Prometheus that answers the queries of charts.
#[derive(Clone, Debug, PartialEq)]
pub struct Prometheus {
    /// `http://…` or `https://…`, with the path that its API is below, without a slash at its end.
    pub url: String,
    /// The authorities to trust, a PEM file, where it is not those that this machine trusts.
    pub ca: Option<PathBuf>,
}

/// What is measured, and where it is reported.
#[derive(Clone, Debug, PartialEq)]
pub struct Metrics {
    /// Where those who watch over the collector are answered, `host:port`, beside the API.
    pub listen: Option<String>,
    /// Labels of all metrics, name and value.
    pub labels: Vec<(String, String)>,
    /// What connections are distinguished by.
    pub detail: Detail,
    /// Metrics that are left out.
    pub exclude: Vec<String>,
    /// How long what is new is 0.
    pub zero_for: Duration,
}

/// How what is measured is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// For how long.
    pub horizon: Duration,
    /// How often it is taken in.
    pub interval: Duration,
    /// In how much memory, in octets.
    pub memory: usize,
}

/// What connections are distinguished by in metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Detail {
    /// By processes, and by their components and sites.
    #[default]
    Process,
    /// By components, and by sites.
    Component,
    /// By sites.
    Site,
}

/// Where records outlive the process.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The directory.
    pub directory: PathBuf,
    /// How often what changed is written.
    pub interval: Duration,
}

/// A number of octets that can be read with a unit: `512M`, `2Gi`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Octets(pub usize);

/// Arguments that make no sense together, or a value that makes none.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SettingsError {
    /// Nothing says where records come from.
    #[error(
        "no source of records: give one of --router URL, --connect-json FILE, --demo and --replay FILE \
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
    /// A label or a metric that cannot be.
    #[error("{option}: {error}")]
    Metrics {
        /// The option.
        option: &'static str,
        /// What is wrong with it.
        error: metrics::OptionError,
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
    /// What arguments mean.
    ///
    /// `exists` answers whether there is a file at a path; it is asked about [`CONNECT_JSON`] alone.
    ///
    /// # Errors
    ///
    /// Where the arguments make no sense, alone or together.
    pub fn new(args: Args, exists: impl Fn(&Path) -> bool) -> Result<Self, SettingsError> {
        let source = source(&args, exists)?;
        let replayed = matches!(source, Source::Replay(_));
        if replayed && args.capture.is_some() {
            return Err(SettingsError::Conflict {
                option: "--capture",
                other: "--replay",
                why: "what is replayed is a capture already",
            });
        }
        if replayed && args.state.is_some() {
            return Err(SettingsError::Conflict {
                option: "--state",
                other: "--replay",
                why: "a replay has a time of its own, and starts anew every time",
            });
        }
        let state = match (args.state, args.state_interval) {
            (None, Some(_)) => {
                return Err(SettingsError::Needs { option: "--state-interval", needed: "--state DIR" });
            }
            (None, None) => None,
            (Some(directory), interval) => {
                let interval = interval.unwrap_or(Duration::from_secs(2));
                if interval < Duration::from_millis(100) {
                    return Err(SettingsError::Value {
                        option: "--state-interval",
                        value: humantime::format_duration(interval).to_string(),
                        must: "100ms or more",
                    });
                }
                Some(State { directory, interval })
            }
        };
        let http = Http {
            tls: pair(("--tls-cert", args.tls_cert), ("--tls-key", args.tls_key))?,
            listen: args
                .listen
                .into_iter()
                .map(|address| listen("--listen", address))
                .collect::<Result<_, _>>()?,
            cors: args.cors.into_iter().map(origin).collect::<Result<_, _>>()?,
            connections: args.connections,
            stall_timeout: args.stall_timeout,
        };
        if http.connections == 0 {
            return Err(SettingsError::Value {
                option: "--connections",
                value: "0".into(),
                must: "1 or more",
            });
        }
        if http.stall_timeout < Duration::from_secs(1) {
            return Err(SettingsError::Value {
                option: "--stall-timeout",
                value: humantime::format_duration(http.stall_timeout).to_string(),
                must: "1s or more",
            });
        }
        let prometheus = prometheus(args.prometheus_api, args.prometheus_ca)?;
        let metrics = Metrics {
            listen: args.metrics_listen.map(|address| listen("--metrics-listen", address)).transpose()?,
            labels: args.metrics_labels.into_iter().map(label).collect::<Result<_, _>>()?,
            detail: args.metrics_detail,
            exclude: args.metrics_exclude.into_iter().map(excluded).collect::<Result<_, _>>()?,
            zero_for: args.metrics_zero_for,
        };
        let history = history(args.history, args.history_interval, args.history_memory)?;
        let memory = args.memory.map(|Octets(octets)| octets);
        if let Some(octets) = memory.filter(|octets| *octets < 1_000_000) {
            return Err(SettingsError::Value {
                option: "--memory",
                value: octets.to_string(),
                must: "1M or more",
            });
        }
        Ok(Self {
            source,
            http,
            console: args.console,
            prometheus,
            metrics,
            history,
            retention: args.retention,
            memory,
            state,
            capture: args.capture,
            waits: discovery::Settings::default(),
        })
    }
}

/// Where records come from, and whether everything that was said about it belongs to it.
fn source(args: &Args, exists: impl Fn(&Path) -> bool) -> Result<Source, SettingsError> {
    let mut named = [
        ("--router", args.router.is_some()),
        ("--connect-json", args.connect_json.is_some()),
        ("--demo", args.demo),
        ("--replay", args.replay.is_some()),
    ]
    .into_iter()
    .filter_map(|(option, given)| given.then_some(option));
    if let (Some(first), Some(second)) = (named.next(), named.next()) {
        return Err(SettingsError::TwoSources { first, second });
    }

    let needs = |option, given: bool, needed| match given {
        true => Err(SettingsError::Needs { option, needed }),
        false => Ok(()),
    };
    if args.router.is_none() {
        needs("--ca", args.ca.is_some(), "--router URL")?;
        needs("--cert", args.cert.is_some(), "--router URL")?;
        needs("--key", args.key.is_some(), "--router URL")?;
    }
    if !args.demo {
        needs("--demo-seed", args.demo_seed.is_some(), "--demo")?;
        needs("--demo-rate", args.demo_rate.is_some(), "--demo")?;
    }
    if args.replay.is_none() {
        needs("--speed", args.speed.is_some(), "--replay FILE")?;
    }

    if let Some(url) = &args.router {
        return router(url, args);
    }
    if let Some(file) = &args.connect_json {
        return Ok(Source::Router(Router::ConnectJson(file.clone())));
    }
    if args.demo {
        let rate = args.demo_rate.unwrap_or(5.0);
        if !(rate >= 0.0 && rate.is_finite()) {
            return Err(SettingsError::Value {
                option: "--demo-rate",
                value: rate.to_string(),
                must: "0 or more",
            });
        }
        return Ok(Source::Demo(Demo { seed: args.demo_seed.unwrap_or(1), rate }));
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

fn router(url: &str, args: &Args) -> Result<Source, SettingsError> {
    let secured = url.starts_with("amqps://");
    if !secured && !url.starts_with("amqp://") {
        return Err(SettingsError::Value {
            option: "--router",
            value: url.to_owned(),
            must: "amqp://host:port or amqps://host:port",
        });
    }
    if !secured && (args.ca.is_some() || args.cert.is_some() || args.key.is_some()) {
        let option = if args.ca.is_some() { "--ca" } else { "--cert" };
        return Err(SettingsError::Conflict {
            option,
            other: "an amqp:// router",
            why: "only amqps:// uses certificates",
        });
    }
    if secured && args.ca.is_none() {
        return Err(SettingsError::Needs { option: "an amqps:// router", needed: "--ca FILE" });
    }
    Ok(Source::Router(Router::Url {
        url: url.to_owned(),
        ca: args.ca.clone(),
        identity: pair(("--cert", args.cert.clone()), ("--key", args.key.clone()))?,
    }))
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
        return Err(SettingsError::Value {
            option: "--prometheus-api",
            value: url,
            must: "http://host:port or https://host:port, with a path where the API is below one, and nothing else",
        });
    }
    if ca.is_some() && url.starts_with("http://") {
        return Err(SettingsError::Conflict {
            option: "--prometheus-ca",
            other: "an http:// Prometheus",
            why: "only https:// uses certificates",
        });
    }
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
    let port =
        address.rsplit_once(':').filter(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    match port {
        Some(_) => Ok(address),
        None => Err(SettingsError::Value {
            option,
            value: address,
            must: "host:port, such as 127.0.0.1:8010, or 0.0.0.0:8010 for every address of this machine",
        }),
    }
}

/// How what is measured is kept; not at all for no time.
fn history(horizon: Duration, interval: Duration, memory: Octets) -> Result<Option<History>, SettingsError> {
    if !(Duration::from_secs(1)..=Duration::from_secs(15)).contains(&interval) {
        return Err(SettingsError::Value {
            option: "--history-interval",
            value: humantime::format_duration(interval).to_string(),
            must: "1s to 15s: charts look back 30 seconds, and need two values in them",
        });
    }
    if memory.0 < 1_000_000 {
        return Err(SettingsError::Value {
            option: "--history-memory",
            value: memory.0.to_string(),
            must: "1M or more; --history 0s keeps nothing",
        });
    }
    Ok((!horizon.is_zero()).then_some(History { horizon, interval, memory: memory.0 }))
}

fn label(label: String) -> Result<(String, String), SettingsError> {
    let Some((name, value)) = label.split_once('=') else {
        return Err(SettingsError::Value {
            option: "--metrics-labels",
            value: label,
            must: "a name and a value, such as network=west",
        });
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

fn origin(origin: String) -> Result<String, SettingsError> {
    let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    match origin == "*" || host.is_some_and(|host| !host.is_empty() && !host.contains(['/', ' ', ','])) {
        true => Ok(origin),
        false => Err(SettingsError::Value {
            option: "--cors",
            value: origin,
            must: "an origin such as https://console.example.com, without a path, or *",
        }),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| "expected a time with its unit, such as 90s, 15m or 2h".into())
}

impl FromStr for Speed {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "max" => Ok(Self::Max),
            number => match number.parse::<f64>() {
                Ok(times) if times.is_finite() && times > 0.0 => Ok(Self::Times(times)),
                _ => Err("expected a number above 0, or max"),
            },
        }
    }
}

impl FromStr for Octets {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected a number of octets, such as 512M or 2Gi";
        let digits = text.len() - text.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let unit: usize = match unit {
            "" => 1,
            "k" | "K" => 1_000,
            "M" => 1_000_000,
            "G" => 1_000_000_000,
            "Ki" => 1 << 10,
            "Mi" => 1 << 20,
            "Gi" => 1 << 30,
            _ => return Err(EXPECTED),
        };
        number.parse().ok().and_then(|number: usize| number.checked_mul(unit)).map(Self).ok_or(EXPECTED)
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Max => f.write_str("all at once"),
            Self::Times(times) if *times == 1.0 => f.write_str("at its own pace"),
            Self::Times(times) => write!(f, "{times} times faster"),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// What the command line means, where no file exists; errors as their text.
    fn settings(line: &str) -> Result<Settings, String> {
        settings_where(line, |_| false)
    }

    fn settings_where(line: &str, exists: impl Fn(&Path) -> bool) -> Result<Settings, String> {
        let args = Args::try_parse_from(["vanflow-collector"].into_iter().chain(line.split_whitespace()))
            .map_err(|error| {
                error.to_string().lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
            })?;
        Settings::new(args, exists).map_err(|error| error.to_string())
    }

    fn error(line: &str) -> String {
        settings(line).expect_err("makes no sense")
    }

    #[test]
    fn every_option_is_explained_in_sentences_and_has_an_environment_variable() {
        let command = Args::command();
        command.clone().debug_assert();
        for option in command.get_arguments() {
            let name = option.get_long().expect("every option is long");
            if ["help", "version"].contains(&name) {
                continue;
            }
            let variable = format!("VANFLOW_{}", name.to_uppercase().replace('-', "_"));
            assert_eq!(option.get_env().and_then(|name| name.to_str()), Some(&*variable));
            let help = option.get_long_help().or(option.get_help()).expect("an explanation").to_string();
            assert!(help.split_whitespace().count() > 5, "--{name}: {help}");
        }
    }

    #[test]
    fn the_defaults_are_those_that_the_documentation_promises() {
        let settings = settings("--router amqp://localhost").expect("makes sense");
        assert_eq!(settings.http.listen, ["127.0.0.1:8010"]);
        assert_eq!(settings.http.connections, 1024);
        assert_eq!(settings.http.stall_timeout, Duration::from_secs(30));
        assert_eq!(settings.metrics.listen, None);
        assert_eq!(settings.metrics.detail, Detail::Process);
        assert_eq!(settings.metrics.zero_for, Duration::from_secs(15));
        assert_eq!(settings.retention, Duration::from_secs(15 * 60));
        assert_eq!(settings.memory, None);
        assert_eq!(settings.state, None);
        assert_eq!(settings.capture, None);
    }

    #[test]
    fn metrics_are_reported_as_it_is_asked_for() {
        let settings = settings(
            "--demo --metrics-listen 127.0.0.1:9000 --metrics-labels network=west --metrics-labels observer=a=b \
             --metrics-detail site --metrics-exclude skupper_internal_latency_seconds --metrics-zero-for 0s",
        );
        let metrics = settings.expect("makes sense").metrics;
        assert_eq!(metrics.listen.as_deref(), Some("127.0.0.1:9000"));
        let labels =
            [("network", "west"), ("observer", "a=b")].map(|(name, value)| (name.into(), value.into()));
        assert_eq!(metrics.labels, labels);
        assert_eq!(metrics.detail, Detail::Site);
        assert_eq!(metrics.exclude, ["skupper_internal_latency_seconds"]);
        assert_eq!(metrics.zero_for, Duration::ZERO);
        assert_eq!(
            error("--demo --metrics-labels west"),
            "--metrics-labels is `west`; it must be a name and a value, such as network=west"
        );
        assert_eq!(
            error("--demo --metrics-labels protocol=tcp"),
            "--metrics-labels: a label cannot have the name `protocol`, which one of skupper_connections_opened_total has"
        );
        assert_eq!(error("--demo --metrics-exclude up"), "--metrics-exclude: there is no metric `up`");
        assert_eq!(
            error("--demo --metrics-listen 9000"),
            "--metrics-listen is `9000`; it must be host:port, such as 127.0.0.1:8010, or 0.0.0.0:8010 for every \
             address of this machine"
        );
        assert_eq!(
            error("--demo --metrics-detail host"),
            "invalid value 'host' for '--metrics-detail <DETAIL>'"
        );
    }

    #[test]
    fn what_is_measured_is_kept_as_it_is_asked_for() {
        let history = |line: &str| settings(line).expect("makes sense").history;
        let default = History {
            horizon: Duration::from_hours(24),
            interval: Duration::from_secs(5),
            memory: 256 << 20,
        };
        assert_eq!(history("--demo"), Some(default));
        assert_eq!(history("--demo --history 0s"), None);
        assert_eq!(
            error("--demo --history-interval 1m"),
            "--history-interval is `1m`; it must be 1s to 15s: charts look back 30 seconds, and need two values in them"
        );
        assert_eq!(
            error("--demo --history-memory 1k"),
            "--history-memory is `1000`; it must be 1M or more; --history 0s keeps nothing"
        );
    }

    #[test]
    fn records_come_from_exactly_one_place() {
        assert_eq!(
            error(""),
            "no source of records: give one of --router URL, --connect-json FILE, --demo and --replay FILE \
             (/etc/messaging/connect.json, where Skupper mounts the address of its router, does not exist)"
        );
        assert_eq!(
            error("--demo --replay a.jsonl"),
            "--demo and --replay, or their environment variables, each name a source of records: give one of them"
        );
        assert_eq!(
            error("--router amqp://a --connect-json b"),
            "--router and --connect-json, or their environment variables, each name a source of records: give one of them"
        );
    }

    #[test]
    fn a_mounted_connect_json_is_taken_where_nothing_else_is_named() {
        let mounted = |path: &Path| path == Path::new(CONNECT_JSON);
        let source = |line| settings_where(line, mounted).expect("makes sense").source;
        assert_eq!(source(""), Source::Router(Router::ConnectJson(CONNECT_JSON.into())));
        assert_eq!(source("--demo"), Source::Demo(Demo { seed: 1, rate: 5.0 }));
    }

    #[test]
    fn a_router_is_named_by_its_url() {
        assert_eq!(
            settings("--router amqps://r:5671 --ca ca.crt --cert tls.crt --key tls.key")
                .expect("makes sense")
                .source,
            Source::Router(Router::Url {
                url: "amqps://r:5671".into(),
                ca: Some("ca.crt".into()),
                identity: Some(("tls.crt".into(), "tls.key".into())),
            })
        );
        assert_eq!(
            error("--router localhost:5672"),
            "--router is `localhost:5672`; it must be amqp://host:port or amqps://host:port"
        );
        assert_eq!(error("--router amqps://r"), "an amqps:// router needs --ca FILE");
        assert_eq!(error("--router amqps://r --ca ca.crt --cert tls.crt"), "--cert needs --key");
        assert_eq!(error("--router amqps://r --ca ca.crt --key tls.key"), "--key needs --cert");
        assert_eq!(
            error("--router amqp://r --ca ca.crt"),
            "--ca cannot go with an amqp:// router: only amqps:// uses certificates"
        );
    }

    #[test]
    fn options_that_would_do_nothing_are_refused() {
        assert_eq!(error("--demo --speed 3"), "--speed needs --replay FILE");
        assert_eq!(error("--replay a --demo-seed 3"), "--demo-seed needs --demo");
        assert_eq!(error("--demo --ca ca.crt"), "--ca needs --router URL");
        assert_eq!(error("--demo --state-interval 3s"), "--state-interval needs --state DIR");
        assert_eq!(
            error("--replay a --capture b"),
            "--capture cannot go with --replay: what is replayed is a capture already"
        );
        assert_eq!(
            error("--replay a --state b"),
            "--state cannot go with --replay: a replay has a time of its own, and starts anew every time"
        );
        assert_eq!(error("--demo --tls-cert a"), "--tls-cert needs --tls-key");
    }

    #[test]
    fn values_that_make_no_sense_are_named_with_what_would() {
        assert_eq!(error("--demo --connections 0"), "--connections is `0`; it must be 1 or more");
        assert_eq!(error("--demo --memory 3k"), "--memory is `3000`; it must be 1M or more");
        assert_eq!(error("--demo --demo-rate nan"), "--demo-rate is `NaN`; it must be 0 or more");
        assert_eq!(error("--demo --stall-timeout 1ms"), "--stall-timeout is `1ms`; it must be 1s or more");
        assert_eq!(
            error("--demo --state a --state-interval 1ms"),
            "--state-interval is `1ms`; it must be 100ms or more"
        );
        assert_eq!(
            error("--demo --listen 8010"),
            "--listen is `8010`; it must be host:port, such as 127.0.0.1:8010, or 0.0.0.0:8010 for every address \
             of this machine"
        );
        assert_eq!(
            error("--demo --cors console.example.com"),
            "--cors is `console.example.com`; it must be an origin such as https://console.example.com, without a \
             path, or *"
        );
        assert_eq!(
            error("--demo --retention 15"),
            "invalid value '15' for '--retention <TIME>': expected a time with its unit, such as 90s, 15m or 2h"
        );
        assert_eq!(
            error("--replay a --speed 0"),
            "invalid value '0' for '--speed <N|max>': expected a number above 0, or max"
        );
    }

    #[test]
    fn a_prometheus_is_named_by_its_address() {
        let named = |line: &str| settings(line).map(|settings| settings.prometheus);
        let ca = Some(PathBuf::from("ca.crt"));
        let prometheus = |url: &str, ca| Ok(Some(Prometheus { url: url.into(), ca }));
        assert_eq!(named("--demo"), Ok(None));
        assert_eq!(named("--demo --prometheus-api http://p:9090"), prometheus("http://p:9090", None));
        assert_eq!(
            named("--demo --prometheus-api https://p/below/ --prometheus-ca ca.crt"),
            prometheus("https://p/below", ca)
        );
        for wrong in ["p:9090", "ftp://p", "http://", "http://a:b@p", "http://p/?a=b", "http:p"] {
            assert_eq!(
                error(&format!("--demo --prometheus-api {wrong}")),
                format!(
                    "--prometheus-api is `{wrong}`; it must be http://host:port or https://host:port, with a path \
                     where the API is below one, and nothing else"
                )
            );
        }
        assert_eq!(error("--demo --prometheus-ca a"), "--prometheus-ca needs --prometheus-api URL");
        assert_eq!(
            error("--demo --prometheus-api http://p --prometheus-ca a"),
            "--prometheus-ca cannot go with an http:// Prometheus: only https:// uses certificates"
        );
    }

    #[test]
    fn units_are_read() {
        let octets = |text: &str| text.parse::<Octets>().map(|Octets(octets)| octets);
        assert_eq!(octets("1500000"), Ok(1_500_000));
        assert_eq!(octets("512M"), Ok(512_000_000));
        assert_eq!(octets("2Gi"), Ok(2 << 30));
        for wrong in ["", "M", "-1", "1.5G", "12 M", "99999999999999999999", "99999999999G9"] {
            assert_eq!(octets(wrong), Err("expected a number of octets, such as 512M or 2Gi"), "{wrong}");
        }
        assert_eq!("max".parse(), Ok(Speed::Max));
        assert_eq!("2.5".parse(), Ok(Speed::Times(2.5)));
        assert!("inf".parse::<Speed>().is_err());
    }

    #[test]
    fn several_addresses_can_be_listened_on() {
        let settings =
            settings("--demo --listen 127.0.0.1:1 --listen [::1]:2,localhost:3").expect("makes sense");
        assert_eq!(settings.http.listen, ["127.0.0.1:1", "[::1]:2", "localhost:3"]);
    }
}
