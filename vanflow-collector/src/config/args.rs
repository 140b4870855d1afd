//! What was typed: options as clap reads them off the command line and the environment.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use clap::{
    Parser, Subcommand,
    builder::{FalseyValueParser, PossibleValue, PossibleValuesParser, TypedValueParser},
};
use vanflow_api::metrics::Detail;

use super::{AccessLogFormat, FlowLogFormat, LimitArgs};
use crate::ensure_secret::EnsureSecret;

/// Attaches to a router of a Skupper network, gathers the VAN-Flow records of the whole network, and answers
/// questions about it over HTTP.
///
/// Records come from exactly one of --router, --connect-skupper, --connect-json, --demo and --replay. Where none is named and
/// /etc/messaging/connect.json exists, it is taken. Every option can be given in the environment or in a file (--config)
/// instead: the command line wins, then the environment, then the file. The flags with one dash of Skupper's network
/// observer are understood too.
#[derive(Clone, Debug, Default, Parser)]
#[command(name = "vanflow-collector", version, max_term_width = 100, args_conflicts_with_subcommands = true)]
// What is added to a command line that is there, as by the values of a chart, counts.
#[command(args_override_self = true)]
pub struct Args {
    /// Attaches to the router at this URL, amqp://host:port or amqps://host:port. The port is 5672 or, with amqps,
    /// 5671 where the URL has none.
    #[arg(long, env = "VANFLOW_ROUTER", value_name = "URL")]
    pub router: Option<String>,

    /// Attaches to the router of this namespace of Skupper on this machine, one that `skupper system start` runs, with the
    /// certificate that Skupper made for clients there. SKUPPER_OUTPUT_PATH says where Skupper keeps its namespaces, if not
    /// where it does for this user.
    #[arg(long, env = "VANFLOW_CONNECT_SKUPPER", value_name = "NAMESPACE")]
    pub connect_skupper: Option<String>,

    /// Reads the password of the user whom --router names from this file, as in amqp://USER@host; in the URL itself a list of
    /// processes shows it.
    #[arg(long, env = "VANFLOW_ROUTER_PASSWORD_FILE", value_name = "FILE", help_heading = SOURCES)]
    pub router_password_file: Option<PathBuf>,

    /// Attaches to the router that this file names, which also names the certificates to use: connect.json, as
    /// Skupper mounts it. Looked for at /etc/messaging/connect.json unless records come from elsewhere.
    #[arg(long, env = "VANFLOW_CONNECT_JSON", value_name = "FILE", help_heading = SOURCES)]
    pub connect_json: Option<PathBuf>,

    /// Emulates a network within this process and attaches to it: sites, their routers and services, traffic between
    /// them, and failures. For a first look.
    #[arg(long, env = "VANFLOW_DEMO", value_parser = FalseyValueParser::new())]
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

    /// Has the emulated router listen at this address, host:port, so that others can attach to it as well. By default it
    /// is any free port of 127.0.0.1.
    #[arg(long, env = "VANFLOW_DEMO_LISTEN", value_name = "ADDR", help_heading = SOURCES)]
    pub demo_listen: Option<String>,

    /// Replays so many times faster than it was captured, or, with max, all at once. The default is 1.
    #[arg(long, env = "VANFLOW_SPEED", value_name = "N|max", help_heading = SOURCES)]
    pub speed: Option<Speed>,

    /// Answers HTTP requests at this address, host:port. May be given several times; in the environment, with
    /// commas between them. Without a host, as in :8010, it is every address of this machine; port 0 takes any port
    /// that is free.
    #[arg(long, env = "VANFLOW_LISTEN", value_name = "ADDR", value_delimiter = ',')]
    #[arg(default_value = "127.0.0.1:8010")]
    pub listen: Vec<String>,

    /// Asks everybody who they are, and lets in whom this names: htpasswd=FILE, a file of names and passwords as
    /// `htpasswd -B` makes it; tokens=FILE, a file of names and SHA-256 sums of tokens; certificate, who shows one of
    /// --tls-client-ca; proxy=ADDRESS, who comes by a proxy at that address or in that network, which says who it is in
    /// X-Forwarded-User or X-Forwarded-Email. May be given several times; in the environment, with commas between them. Files
    /// are read again when they change. none asks nobody, as is the default where all of --listen is loopback.
    #[arg(long, env = "VANFLOW_AUTH", value_name = "KIND", value_delimiter = ',')]
    pub auth: Vec<String>,

    /// A URL by which clients come, such as `https://van.example.com`, beside those that follow from --listen. May be given
    /// several times; in the environment, with commas between them. Where no credentials are asked for, or this is
    /// given, requests under any other name are refused with 421: pages of other sites come so. Addresses and localhost
    /// are always served, and the names of services in a cluster unless all of --listen is loopback.
    #[arg(long, env = "VANFLOW_PUBLIC_URL", value_name = "URL", value_delimiter = ',', help_heading = API)]
    pub public_url: Vec<String>,

    /// Answers HTTPS requests instead, with the certificates in this PEM file, its own first; needs --tls-key.
    /// Read again when the file changes.
    #[arg(long, env = "VANFLOW_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// The private key of --tls-cert, a PEM file.
    #[arg(long, env = "VANFLOW_TLS_KEY", value_name = "FILE", help_heading = API)]
    pub tls_key: Option<PathBuf>,

    /// Shows everything to anyone who reaches --listen, though other machines do and no --auth asks who they are. The log
    /// and the page say so.
    #[arg(long, env = "VANFLOW_INSECURE_NO_AUTH", value_parser = FalseyValueParser::new(), help_heading = API)]
    pub insecure_no_auth: bool,

    /// Answers /metrics whoever asks, though --auth asks who they are for all else.
    #[arg(long, env = "VANFLOW_METRICS_NO_AUTH", value_parser = FalseyValueParser::new(), help_heading = METRICS)]
    pub metrics_no_auth: bool,

    /// Ends the session of whoever logged in after so long; they log in again then.
    #[arg(long, env = "VANFLOW_SESSION_TIME", value_name = "TIME", default_value = "12h", help_heading = API)]
    #[arg(value_parser = duration)]
    pub session_time: Duration,

    /// Writes a line for each request to this file, or with - to standard output: who asked what, from where, what became of
    /// it, how many octets and how long it took. A file that is moved away is made anew.
    #[arg(long, env = "VANFLOW_ACCESS_LOG", value_name = "FILE", allow_hyphen_values = true, help_heading = API)]
    pub access_log: Option<String>,

    /// What lines of --access-log look like: combined, as Apache and nginx have them, with the seconds behind, or json, an
    /// object each. The default is combined.
    #[arg(long, env = "VANFLOW_ACCESS_LOG_FORMAT", value_name = "FORMAT", help_heading = API)]
    #[arg(value_parser = one_of(ACCESS_LOG_FORMATS))]
    pub access_log_format: Option<AccessLogFormat>,

    /// Lets clients show certificates of the authorities in this PEM file, for --auth certificate. Read again when the file
    /// changes.
    #[arg(long, env = "VANFLOW_TLS_CLIENT_CA", value_name = "FILE", help_heading = API)]
    pub tls_client_ca: Option<PathBuf>,

    /// Allows pages of this origin, such as `https://console.example.com`, to ask the API; * allows all. May be given
    /// several times; in the environment, with commas between them. By default browsers let no other page ask.
    #[arg(long, env = "VANFLOW_CORS", value_name = "ORIGIN", value_delimiter = ',', help_heading = API)]
    pub cors: Vec<String>,

    /// What HTTP clients may take.
    #[command(flatten)]
    pub limits: LimitArgs,

    /// Serves the console build in this directory at /, such as one of the Skupper Console. Without it the collector's
    /// own page is there, which is at /view/ in any case.
    #[arg(long, env = "VANFLOW_CONSOLE", value_name = "DIR", help_heading = API)]
    pub console: Option<PathBuf>,

    /// Has the queries of the console's charts answered by the Prometheus at this URL, such as
    /// http://prometheus:9090, with a path where its API is below one. While it does not answer, the collector's own
    /// history does, with a warning.
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

    /// Puts this identity of the network on all metrics, as the label network_id, and lets queries of charts ask about
    /// this network alone: of a Prometheus that has the metrics of several, those with this label.
    #[arg(long, env = "VANFLOW_NETWORK_ID", value_name = "ID", help_heading = METRICS)]
    pub network_id: Option<String>,

    /// Puts this identity of the collector on all metrics, as the label observer_id: it distinguishes this collector from
    /// others of the same network.
    #[arg(long, env = "VANFLOW_OBSERVER_ID", value_name = "ID", help_heading = METRICS)]
    pub observer_id: Option<String>,

    /// What connections are distinguished by in metrics: process, component or site. The coarser, the fewer label sets
    /// there are; the labels of what is left out stay, and have the name of the component or the site.
    #[arg(long, env = "VANFLOW_METRICS_DETAIL", value_name = "DETAIL", default_value = "process", help_heading = METRICS)]
    #[arg(value_parser = one_of(DETAILS))]
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
    /// a Prometheus; the older, the sparser. 0s keeps nothing.
    #[arg(long, env = "VANFLOW_HISTORY", value_name = "TIME", default_value = "24h", help_heading = METRICS)]
    #[arg(value_parser = duration)]
    pub history: Duration,

    /// Takes what is measured into --history this often.
    #[arg(long, env = "VANFLOW_HISTORY_INTERVAL", value_name = "TIME", default_value = "5s", help_heading = METRICS)]
    #[arg(value_parser = duration)]
    pub history_interval: Duration,

    /// Lets --history take no more memory than this, and no more than a quarter of --memory; beyond that it goes back less
    /// far.
    #[arg(long, env = "VANFLOW_HISTORY_MEMORY", value_name = "OCTETS", default_value = "256Mi", help_heading = METRICS)]
    pub history_memory: Octets,

    /// Keeps what has ended on disk, in this directory: each connection and request, in Parquet files that other tools read
    /// as they are. Lists of a time that --retention does not reach back to are answered from there. Only in builds with
    /// the cargo feature archive; any other refuses it. With --demo it is a temporary directory by default.
    #[arg(long, env = "VANFLOW_HISTORY_DIR", value_name = "DIR", help_heading = KEEPING)]
    pub history_dir: Option<PathBuf>,

    /// Keeps files of --history-dir for so long after the end of what is in them, such as 36h, 7d or 1y; 7d by default.
    #[arg(long, env = "VANFLOW_HISTORY_KEEP", value_name = "TIME", help_heading = KEEPING)]
    #[arg(value_parser = duration)]
    pub history_keep: Option<Duration>,

    /// Keeps what connections and requests come to in each minute for so long after it, when they are gone themselves; 15d
    /// by default.
    #[arg(long, env = "VANFLOW_HISTORY_KEEP_1M", value_name = "TIME", help_heading = KEEPING)]
    #[arg(value_parser = duration)]
    pub history_keep_1m: Option<Duration>,

    /// The same of each five minutes; 90d by default.
    #[arg(long, env = "VANFLOW_HISTORY_KEEP_5M", value_name = "TIME", help_heading = KEEPING)]
    #[arg(value_parser = duration)]
    pub history_keep_5m: Option<Duration>,

    /// The same of each hour; 400d by default.
    #[arg(long, env = "VANFLOW_HISTORY_KEEP_1H", value_name = "TIME", help_heading = KEEPING)]
    #[arg(value_parser = duration)]
    pub history_keep_1h: Option<Duration>,

    /// Lets files of --history-dir take no more than this on disk; beyond that the oldest are removed. Without it there is
    /// no bound but --history-keep and what is said of minutes and hours, which have no more than half of it.
    #[arg(long, env = "VANFLOW_HISTORY_KEEP_SIZE", value_name = "OCTETS", help_heading = KEEPING)]
    pub history_keep_size: Option<Octets>,

    /// Sends finished files of --history-dir to this bucket, s3://bucket/prefix, and answers from there what the disk has no
    /// more. What could not be sent stays on disk within --history-keep-size, 10Gi by default then. AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION in the
    /// environment say who sends them. Only in builds with the cargo feature bucket; any other refuses it.
    #[arg(long, env = "VANFLOW_HISTORY_BUCKET", value_name = "URL", help_heading = KEEPING)]
    pub history_bucket: Option<String>,

    /// Where the server of --history-bucket is, http://host:port or https://host:port, if not at Amazon.
    #[arg(long, env = "VANFLOW_HISTORY_BUCKET_ENDPOINT", value_name = "URL", help_heading = KEEPING)]
    pub history_bucket_endpoint: Option<String>,

    /// Trusts the certificate authorities in this PEM file when it connects to an https server of --history-bucket, in place
    /// of those that this machine trusts.
    #[arg(long, env = "VANFLOW_HISTORY_BUCKET_CA", value_name = "FILE", help_heading = KEEPING)]
    pub history_bucket_ca: Option<PathBuf>,

    /// Keeps up to so much of what was read from --history-bucket in --history-dir, for the next who asks; 1Gi by default.
    #[arg(long, env = "VANFLOW_HISTORY_CACHE_SIZE", value_name = "OCTETS", help_heading = KEEPING)]
    pub history_cache_size: Option<Octets>,

    /// Sends what has ended to the ClickHouse at this URL, too, http://host:8123/database or https://user@host:8443/database:
    /// into tables that are made there. The database is vanflow by default. What it does not take waits in --history-dir.
    #[arg(long, env = "VANFLOW_HISTORY_CLICKHOUSE", value_name = "URL", help_heading = KEEPING)]
    pub history_clickhouse: Option<String>,

    /// Reads the password of the user whom --history-clickhouse names from this file.
    #[arg(long, env = "VANFLOW_HISTORY_CLICKHOUSE_PASSWORD_FILE", value_name = "FILE", help_heading = KEEPING)]
    pub history_clickhouse_password_file: Option<PathBuf>,

    /// Asks --history-clickhouse as this user, one that needs to read and nothing else, where it writes as another.
    #[arg(long, env = "VANFLOW_HISTORY_CLICKHOUSE_READER", value_name = "USER", help_heading = KEEPING)]
    pub history_clickhouse_reader: Option<String>,

    /// Reads the password of --history-clickhouse-reader from this file.
    #[arg(long, env = "VANFLOW_HISTORY_CLICKHOUSE_READER_PASSWORD_FILE", value_name = "FILE", help_heading = KEEPING)]
    pub history_clickhouse_reader_password_file: Option<PathBuf>,

    /// Trusts the certificate authorities in this PEM file when it connects to an https --history-clickhouse, in place of
    /// those that this machine trusts.
    #[arg(long, env = "VANFLOW_HISTORY_CLICKHOUSE_CA", value_name = "FILE", help_heading = KEEPING)]
    pub history_clickhouse_ca: Option<PathBuf>,

    /// Makes the tables in all servers of this cluster, replicated and distributed.
    #[arg(long, env = "VANFLOW_HISTORY_CLICKHOUSE_CLUSTER", value_name = "NAME", help_heading = KEEPING)]
    pub history_clickhouse_cluster: Option<String>,

    /// Has the ClickHouse keep rows for so long after their end, such as 90d. For ever by default.
    #[arg(long, env = "VANFLOW_HISTORY_CLICKHOUSE_KEEP", value_name = "TIME", help_heading = KEEPING)]
    #[arg(value_parser = duration)]
    pub history_clickhouse_keep: Option<Duration>,

    /// Lets what waits for the ClickHouse take no more than this on disk; beyond that the oldest is lost, and counted. The
    /// default is 1Gi.
    #[arg(long, env = "VANFLOW_HISTORY_OUTBOX_SIZE", value_name = "OCTETS", help_heading = KEEPING)]
    pub history_outbox_size: Option<Octets>,

    /// Writes a line for each connection and request that has ended to this file, or, with -, to the standard output. What
    /// is in the file is not written again after a restart; docs/flow-log.md has the formats.
    #[arg(long, env = "VANFLOW_FLOW_LOG", value_name = "FILE|-", help_heading = KEEPING)]
    pub flow_log: Option<PathBuf>,

    /// What lines of --flow-log look like. The default is json.
    #[arg(long, env = "VANFLOW_FLOW_LOG_FORMAT", value_name = "FORMAT", help_heading = KEEPING)]
    #[arg(value_parser = one_of(FORMATS))]
    pub flow_log_format: Option<FlowLogFormat>,

    /// Which members lines of --flow-log have, in which order: properties of connections and requests as in
    /// /api/v2alpha1, time, event, network and observer. All by default; key is there in any case. May be given several
    /// times, or with commas between them.
    #[arg(long, env = "VANFLOW_FLOW_LOG_FIELDS", value_name = "A,B", value_delimiter = ',', help_heading = KEEPING)]
    pub flow_log_fields: Vec<String>,

    /// Writes lines to --flow-log only of what passes these filters, which are those of vflow: site=west, from-process=cart-*,
    /// service=catalog, status=5xx, error, min-latency=250ms, not-protocol=tcp, kind=request.*. Given several times, the same
    /// is or, different ones are and. What a filter does not apply to has no line.
    #[arg(long, env = "VANFLOW_FLOW_LOG_FILTER", value_name = "NAME=VALUE", value_delimiter = ',', help_heading = KEEPING)]
    pub flow_log_filter: Vec<String>,

    /// Writes a line to --flow-log when a connection or request begins, too: connection.open and request.open.
    #[arg(long, env = "VANFLOW_FLOW_LOG_OPENED", value_parser = FalseyValueParser::new(), help_heading = KEEPING)]
    pub flow_log_opened: bool,

    /// Writes a line to --flow-log this often of each connection and request that is open, too, such as 5m: what it came to
    /// so far, as connection.progress and request.progress.
    #[arg(long, env = "VANFLOW_FLOW_LOG_PROGRESS", value_name = "TIME", help_heading = KEEPING)]
    #[arg(value_parser = duration)]
    pub flow_log_progress: Option<Duration>,

    /// Finishes the file of --flow-log when it has so many octets, compresses it, and begins another; 100M by default. With
    /// 0 that is left to others: where the file is moved away, another is begun.
    #[arg(long, env = "VANFLOW_FLOW_LOG_ROTATE_SIZE", value_name = "OCTETS", help_heading = KEEPING)]
    pub flow_log_rotate_size: Option<Octets>,

    /// Finishes the file of --flow-log when it is so old, too, such as 24h.
    #[arg(long, env = "VANFLOW_FLOW_LOG_ROTATE_AGE", value_name = "TIME", help_heading = KEEPING)]
    #[arg(value_parser = duration)]
    pub flow_log_rotate_age: Option<Duration>,

    /// Keeps this many finished files of --flow-log; with more, the oldest are removed. The default is 10.
    #[arg(long, env = "VANFLOW_FLOW_LOG_KEEP", value_name = "N", help_heading = KEEPING)]
    pub flow_log_keep: Option<usize>,

    /// Has each line of --flow-log carry the hash of the one before, so that `vflow verify FILE` finds what was changed,
    /// added or removed since.
    #[arg(long, env = "VANFLOW_FLOW_LOG_CHAIN", value_parser = FalseyValueParser::new(), help_heading = KEEPING)]
    pub flow_log_chain: bool,

    /// Keeps records for so long after they ended, such as 90s, 15m or 2h. Live records are kept however old they are.
    #[arg(long, env = "VANFLOW_RETENTION", value_name = "TIME", default_value = "15m")]
    #[arg(value_parser = duration)]
    pub retention: Duration,

    /// Bounds the memory that the process takes, such as 512M or 2Gi: records have what all else leaves of it. Beyond that,
    /// sources that take more than their share lose their oldest ended records before their time, and once those are gone,
    /// their new records are refused and counted; no other source loses any. Unbounded by default.
    #[arg(long, env = "VANFLOW_MEMORY", value_name = "OCTETS")]
    pub memory: Option<Octets>,

    /// Keeps this many live records of one source at most; its new ones beyond that are refused and counted.
    #[arg(long, env = "VANFLOW_SOURCE_RECORDS", value_name = "N", default_value_t = 1_000_000, help_heading = KEEPING)]
    pub source_records: usize,

    /// Keeps this many attributes of one record at most, beside those that each of its kind has; more are refused and
    /// counted.
    #[arg(long, env = "VANFLOW_RECORD_ATTRIBUTES", value_name = "N", default_value_t = 128, help_heading = KEEPING)]
    pub record_attributes: usize,

    /// Refuses texts in records that are longer than this, and other values, and counts them.
    #[arg(long, env = "VANFLOW_LONGEST_TEXT", value_name = "OCTETS", default_value = "16Ki", help_heading = KEEPING)]
    pub longest_text: Octets,

    /// Refuses records whose ids are longer than this, and references to such, and counts them.
    #[arg(long, env = "VANFLOW_LONGEST_ID", value_name = "OCTETS", default_value = "1Ki", help_heading = KEEPING)]
    pub longest_id: Octets,

    /// Keeps this many events at most, such as that a link went down; with more, the oldest go. 0 records none.
    #[arg(long, env = "VANFLOW_EVENTS", value_name = "N", default_value_t = 10_000, help_heading = KEEPING)]
    pub events: usize,

    /// Keeps an event for so long, if there are not too many of them by then.
    #[arg(long, env = "VANFLOW_EVENTS_RETENTION", value_name = "TIME", default_value = "24h", help_heading = KEEPING)]
    #[arg(value_parser = duration)]
    pub events_retention: Duration,

    /// Keeps the records in this directory too, and starts from what is there: a collector that was killed comes
    /// back knowing what it knew. Made if it does not exist. Nothing is written by default.
    #[arg(long, env = "VANFLOW_STATE", value_name = "DIR")]
    pub state: Option<PathBuf>,

    /// Writes what changed to --state this often. What a kill can lose is what changed since. The default is 2s.
    #[arg(long, env = "VANFLOW_STATE_INTERVAL", value_name = "TIME", help_heading = KEEPING)]
    #[arg(value_parser = duration)]
    pub state_interval: Option<Duration>,

    /// Writes every message that the router sends to this file, to be replayed. The file must not exist yet.
    #[arg(long, env = "VANFLOW_CAPTURE", value_name = "FILE", help_heading = KEEPING)]
    pub capture: Option<PathBuf>,

    /// Takes options from this file too, as TOML: their names without dashes, such as `listen = "127.0.0.1:8010"`, with a list
    /// for what may be given several times and true or false for what takes no value.
    #[arg(long, env = "VANFLOW_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Says whether options make sense together and whether the files that they name can be read, and starts nothing: ends
    /// with 0 where all is well, with 2 otherwise.
    #[arg(long, env = "VANFLOW_CHECK", value_parser = FalseyValueParser::new(), help_heading = PROCESS)]
    pub check: bool,

    /// What to log to stderr: error, warn, info, debug or trace, also by module, such as
    /// info,vanflow_proto=debug. The default is info; on a terminal it is warn, for a line there says the rest.
    #[arg(long, env = "VANFLOW_LOG", value_name = "FILTER", help_heading = PROCESS)]
    pub log: Option<String>,

    /// What to do instead of collecting.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What the program does besides collecting.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Makes a secret of Kubernetes with random credentials in it, unless there is one of that name.
    EnsureSecret(EnsureSecret),
}

// What most of those who start a collector need has no heading: it comes first.
const SOURCES: &str = "Where records come from";
const API: &str = "The API";
const METRICS: &str = "Metrics";
const KEEPING: &str = "What is kept";
const PROCESS: &str = "The process";

/// How fast a capture is replayed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// So many times faster than it was captured; more than 0.
    Times(f64),
    /// All at once.
    Max,
}

/// A number of octets that can be read with a unit: `512M`, `2Gi`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Octets(pub usize);

/// What `--metrics-detail` can be, and what that distinguishes.
const DETAILS: [(&str, Detail, &str); 3] = [
    ("process", Detail::Process, "By processes, and by their components and sites"),
    ("component", Detail::Component, "By components, and by sites"),
    ("site", Detail::Site, "By sites"),
];

/// What `--flow-log-format` can be, and what that looks like.
const FORMATS: [(&str, FlowLogFormat, &str); 2] = [
    ("json", FlowLogFormat::Json, "A JSON object a line"),
    ("combined", FlowLogFormat::Combined, "As web servers and load balancers write it"),
];

/// What `--access-log-format` can be.
const ACCESS_LOG_FORMATS: [(&str, AccessLogFormat, &str); 2] = [
    ("combined", AccessLogFormat::Combined, "As Apache and nginx have it, with the seconds behind it"),
    ("json", AccessLogFormat::Json, "A JSON object a line"),
];

/// One of some names.
fn one_of<T: Clone + Send + Sync + 'static, const N: usize>(
    table: [(&'static str, T, &'static str); N],
) -> impl TypedValueParser<Value = T> {
    let names = table.each_ref().map(|(name, _, help)| PossibleValue::new(*name).help(*help));
    PossibleValuesParser::new(names).map(move |name| {
        let named = table.iter().find(|(candidate, ..)| *candidate == name);
        named.map(|(_, value, _)| value.clone()).expect("names that are not in the table were refused")
    })
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
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
}
