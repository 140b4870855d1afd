//! What is kept on disk: records over restarts, and what has ended.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

#[cfg(feature = "archive")]
use super::LEAST_MEMORY;
use vanflow_api::selection::Given;

use super::{Args, Octets, SettingsError, at_least, no_shorter, wrong};
use crate::flow_log::{self, FilterError, Rotation};

/// Where records outlive the process.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The directory.
    pub directory: PathBuf,
    /// How often what changed is written.
    pub interval: Duration,
}

/// Where what has ended is kept on disk, and for how long.
#[cfg(feature = "archive")]
#[derive(Clone, Debug)]
pub struct Archive {
    /// The directory.
    pub directory: PathBuf,
    /// How it is kept there.
    pub options: vanflow_history::ArchiveOptions,
}

/// A bucket that finished files are sent to.
#[cfg(feature = "bucket")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// As it was named.
    pub url: String,
    /// The bucket.
    pub bucket: String,
    /// What names in it begin with: nothing, or folders with a slash at the end.
    pub prefix: String,
    /// Where its server is, if not where those of Amazon are.
    pub endpoint: Option<String>,
    /// The authorities to trust, a PEM file, where it is not those that this machine trusts.
    pub ca: Option<PathBuf>,
    /// How many octets of what is read from there may be kept on disk, for the next who asks.
    pub cache_octets: u64,
}

/// A ClickHouse that what has ended is sent to.
#[cfg(feature = "archive")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClickHouse {
    /// `http://…` or `https://…`, without a slash at its end.
    pub url: String,
    /// The database, which is made where there is none.
    pub database: String,
    /// Who asks it, if not whom it takes for anybody.
    pub user: Option<String>,
    /// The file with the password.
    pub password_file: Option<PathBuf>,
    /// Who asks it on behalf of those who ask, if it is another.
    pub reader: Option<String>,
    /// The file with the password of that one.
    pub reader_password_file: Option<PathBuf>,
    /// The authorities to trust, a PEM file, where it is not those that this machine trusts.
    pub ca: Option<PathBuf>,
    /// The cluster whose servers share the tables; none where there is one server.
    pub cluster: Option<String>,
    /// How long rows are kept there; none where that is for ever, or for others to say.
    pub keep: Option<Duration>,
    /// The directory of what waits to be sent.
    pub outbox: PathBuf,
    /// How many octets of that there may be.
    pub outbox_octets: u64,
    /// The identity of the network, where it has one.
    pub network: Option<String>,
    /// The identity of the collector, where it has one.
    pub observer: Option<String>,
}

/// How what has ended is logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowLog {
    /// Where lines go.
    pub target: FlowLogTarget,
    /// What they look like.
    pub format: FlowLogFormat,
    /// Which members they have; all where none are named.
    pub fields: Option<Vec<String>>,
    /// What has a line.
    pub filters: Vec<Given>,
    /// Whether there is a line for what begins, too.
    pub has_opened: bool,
    /// How often there is one for what is open; none where there is not.
    pub progress: Option<Duration>,
    /// When a file is finished.
    pub rotation: Rotation,
    /// Whether each line carries the hash of the one before.
    pub is_chained: bool,
    /// The identity of the collector, where it has one.
    pub observer: Option<String>,
}

/// Where lines of the flow log go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlowLogTarget {
    /// To the standard output.
    Stdout,
    /// To a file.
    File(PathBuf),
}

/// What lines of the flow log look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlowLogFormat {
    /// A JSON object a line.
    #[default]
    Json,
    /// As web servers and load balancers write it.
    Combined,
}

/// What is not to be given without another option.
fn needs(needed: &'static str, options: &[(&'static str, bool)]) -> Result<(), SettingsError> {
    match options.iter().find(|(_, is_given)| *is_given) {
        Some((option, _)) => Err(SettingsError::Needs { option, needed }),
        None => Ok(()),
    }
}

#[cfg(feature = "archive")]
pub(super) fn archive(args: &Args) -> Result<Option<Archive>, SettingsError> {
    let Some(directory) = args.history_dir.clone() else {
        needs("--history-dir DIR", &kept_on_disk(args))?;
        return Ok(None);
    };
    let mut options = vanflow_history::ArchiveOptions::default();
    let keep = |option, keep: Option<Duration>, micros: &mut u64| {
        if let Some(keep) = keep {
            let keep = no_shorter(option, keep, Duration::from_secs(60 * 60), "1h or more")?;
            *micros = u64::try_from(keep.as_micros()).unwrap_or(u64::MAX);
        }
        Ok::<_, SettingsError>(())
    };
    keep("--history-keep", args.history_keep, &mut options.keep_micros)?;
    let of_sums = [args.history_keep_1m, args.history_keep_5m, args.history_keep_1h];
    let names = ["--history-keep-1m", "--history-keep-5m", "--history-keep-1h"];
    for ((option, given), micros) in names.into_iter().zip(of_sums).zip(&mut options.keep_sums_micros) {
        keep(option, given, micros)?;
    }
    if let Some(Octets(size)) = args.history_keep_size {
        let size = at_least("--history-keep-size", size, LEAST_MEMORY, "1M or more")?;
        options.keep_octets = Some(size as u64);
    }
    options.keeps_unsent = args.history_bucket.is_some();
    if options.keeps_unsent {
        // A bucket that is never there would fill the disk.
        options.keep_octets.get_or_insert(10 << 30);
    }
    Ok(Some(Archive { directory, options }))
}

/// What is said of what is kept on disk, and whether it is.
fn kept_on_disk(args: &Args) -> [(&'static str, bool); 5] {
    [
        ("--history-keep", args.history_keep.is_some()),
        ("--history-keep-1m", args.history_keep_1m.is_some()),
        ("--history-keep-5m", args.history_keep_5m.is_some()),
        ("--history-keep-1h", args.history_keep_1h.is_some()),
        ("--history-keep-size", args.history_keep_size.is_some()),
    ]
}

/// What of an outbox of a ClickHouse there may be unless something else is said.
#[cfg(feature = "archive")]
const OUTBOX: u64 = 1 << 30;

#[cfg(feature = "archive")]
pub(super) fn clickhouse(args: &Args) -> Result<Option<ClickHouse>, SettingsError> {
    let Some(text) = &args.history_clickhouse else {
        let options = [
            ("--history-clickhouse-password-file", args.history_clickhouse_password_file.is_some()),
            ("--history-clickhouse-reader", args.history_clickhouse_reader.is_some()),
            ("--history-clickhouse-ca", args.history_clickhouse_ca.is_some()),
            ("--history-clickhouse-cluster", args.history_clickhouse_cluster.is_some()),
            ("--history-clickhouse-keep", args.history_clickhouse_keep.is_some()),
            ("--history-outbox-size", args.history_outbox_size.is_some()),
        ];
        needs("--history-clickhouse URL", &options)?;
        return Ok(None);
    };
    if args.history_clickhouse_reader.is_none() {
        let is_given = args.history_clickhouse_reader_password_file.is_some();
        needs(
            "--history-clickhouse-reader USER",
            &[("--history-clickhouse-reader-password-file", is_given)],
        )?;
    }
    let Some(directory) = &args.history_dir else {
        return Err(SettingsError::Needs {
            option: "--history-clickhouse",
            needed: "--history-dir DIR: what waits is there",
        });
    };
    let must = "http://host:port/database or https://host:port/database, with user@ before the host where it asks for one";
    let refused = || wrong("--history-clickhouse", text, must);
    let url = url::Url::parse(text).map_err(|_| refused())?;
    let database = match url.path().trim_matches('/') {
        "" => "vanflow",
        database => database,
    };
    let is_one = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
        && is_name(database);
    if !is_one {
        return Err(refused());
    }
    let user = percent_encoding::percent_decode_str(url.username()).decode_utf8().map_err(|_| refused())?;
    let cluster = args.history_clickhouse_cluster.clone();
    if let Some(cluster) = cluster.as_ref().filter(|cluster| !is_name(cluster)) {
        return Err(wrong(
            "--history-clickhouse-cluster",
            cluster,
            "a name: letters, digits, _, - and no other",
        ));
    }
    let octets = args.history_outbox_size.map(|Octets(octets)| {
        at_least("--history-outbox-size", octets, LEAST_MEMORY, "1M or more").map(|octets| octets as u64)
    });
    Ok(Some(ClickHouse {
        url: url[..url::Position::BeforePath].replace(&format!("{}@", url.username()), ""),
        database: database.to_owned(),
        user: (!user.is_empty()).then(|| user.into_owned()),
        password_file: args.history_clickhouse_password_file.clone(),
        reader: args.history_clickhouse_reader.clone(),
        reader_password_file: args.history_clickhouse_reader_password_file.clone(),
        ca: args.history_clickhouse_ca.clone(),
        cluster,
        keep: args
            .history_clickhouse_keep
            .map(|keep| {
                no_shorter("--history-clickhouse-keep", keep, Duration::from_secs(60 * 60), "1h or more")
            })
            .transpose()?,
        outbox: directory.join("outbox/clickhouse"),
        outbox_octets: octets.transpose()?.unwrap_or(OUTBOX),
        network: args.network_id.clone(),
        observer: args.observer_id.clone(),
    }))
}

/// What of a bucket is kept on disk at most when it was read, unless something else is said.
#[cfg(feature = "bucket")]
const CACHE: u64 = 1 << 30;

#[cfg(feature = "bucket")]
pub(super) fn bucket(args: &Args) -> Result<Option<Bucket>, SettingsError> {
    let Some(text) = &args.history_bucket else {
        let options = [
            ("--history-bucket-endpoint", args.history_bucket_endpoint.is_some()),
            ("--history-bucket-ca", args.history_bucket_ca.is_some()),
            ("--history-cache-size", args.history_cache_size.is_some()),
        ];
        needs("--history-bucket URL", &options)?;
        return Ok(None);
    };
    needs("--history-dir DIR", &[("--history-bucket", args.history_dir.is_none())])?;
    let (bucket, prefix) = text
        .strip_prefix("s3://")
        .map(|rest| rest.split_once('/').unwrap_or((rest, "")))
        .filter(|(bucket, _)| !bucket.is_empty())
        .ok_or_else(|| wrong("--history-bucket", text, "s3://bucket or s3://bucket/prefix"))?;
    let prefix = prefix.trim_matches('/');
    if let Some(endpoint) = &args.history_bucket_endpoint {
        let is_one = url::Url::parse(endpoint)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if !is_one {
            return Err(wrong(
                "--history-bucket-endpoint",
                endpoint,
                "http://host:port or https://host:port",
            ));
        }
    }
    Ok(Some(Bucket {
        url: text.clone(),
        bucket: bucket.to_owned(),
        prefix: if prefix.is_empty() { String::new() } else { format!("{prefix}/") },
        endpoint: args.history_bucket_endpoint.clone(),
        ca: args.history_bucket_ca.clone(),
        cache_octets: args.history_cache_size.map_or(Ok(CACHE), |Octets(octets)| {
            at_least("--history-cache-size", octets, LEAST_MEMORY, "1M or more").map(|octets| octets as u64)
        })?,
    }))
}

/// Whether there is no bucket: what was built without it refuses all that is said of it.
#[cfg(not(feature = "bucket"))]
pub(super) fn bucket(args: &Args) -> Result<(), SettingsError> {
    let options = [
        ("--history-bucket", args.history_bucket.is_some()),
        ("--history-bucket-endpoint", args.history_bucket_endpoint.is_some()),
        ("--history-bucket-ca", args.history_bucket_ca.is_some()),
        ("--history-cache-size", args.history_cache_size.is_some()),
    ];
    match options.into_iter().find(|(_, is_given)| *is_given) {
        Some((option, _)) => Err(SettingsError::NotBuilt { option, feature: "bucket" }),
        None => Ok(()),
    }
}

/// Whether that can be the name of a database or a cluster: nothing in it means anything in SQL.
#[cfg(feature = "archive")]
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'_' | b'-'))
}

/// Whether there is no archive: what was built without it refuses all that is said of it.
#[cfg(not(feature = "archive"))]
pub(super) fn archive(args: &Args) -> Result<(), SettingsError> {
    let others = [
        ("--history-dir", args.history_dir.is_some()),
        ("--history-clickhouse", args.history_clickhouse.is_some()),
    ];
    let mut options = others.into_iter().chain(kept_on_disk(args));
    match options.find(|(_, is_given)| *is_given) {
        Some((option, _)) => Err(SettingsError::NotBuilt { option, feature: "archive" }),
        None => Ok(()),
    }
}

pub(super) fn flow_log(args: &Args) -> Result<Option<FlowLog>, SettingsError> {
    let is_rotated = [
        ("--flow-log-rotate-size", args.flow_log_rotate_size.is_some()),
        ("--flow-log-rotate-age", args.flow_log_rotate_age.is_some()),
        ("--flow-log-keep", args.flow_log_keep.is_some()),
    ];
    let Some(path) = &args.flow_log else {
        needs("--flow-log FILE", &is_rotated)?;
        let options = [
            ("--flow-log-format", args.flow_log_format.is_some()),
            ("--flow-log-fields", !args.flow_log_fields.is_empty()),
            ("--flow-log-filter", !args.flow_log_filter.is_empty()),
            ("--flow-log-opened", args.flow_log_opened),
            ("--flow-log-progress", args.flow_log_progress.is_some()),
            ("--flow-log-chain", args.flow_log_chain),
        ];
        needs("--flow-log FILE", &options)?;
        return Ok(None);
    };
    let target = match path {
        path if path == Path::new("-") => {
            needs("--flow-log FILE: the standard output is nothing to rotate", &is_rotated)?;
            FlowLogTarget::Stdout
        }
        path if path.file_name().is_none() => {
            return Err(wrong("--flow-log", path.display(), "a file, or - for the standard output"));
        }
        path => FlowLogTarget::File(path.clone()),
    };
    let format = args.flow_log_format.unwrap_or_default();
    if format == FlowLogFormat::Combined {
        let why = "only lines of json have members";
        for (option, is_given) in [
            ("--flow-log-fields", !args.flow_log_fields.is_empty()),
            ("--flow-log-chain", args.flow_log_chain),
        ] {
            super::conflict(is_given, option, "--flow-log-format combined", why)?;
        }
        let why = "its lines are of what is over";
        for (option, is_given) in [
            ("--flow-log-opened", args.flow_log_opened),
            ("--flow-log-progress", args.flow_log_progress.is_some()),
        ] {
            super::conflict(is_given, option, "--flow-log-format combined", why)?;
        }
    }
    let tables = vanflow_api::tables();
    if let Some(name) = flow_log::unknown(&args.flow_log_fields, &tables) {
        let names = flow_log::names(&tables).join(", ");
        return Err(SettingsError::Unknown { option: "--flow-log-fields", name: name.to_owned(), names });
    }
    let filters = flow_log::parse_filters(&args.flow_log_filter).map_err(|error| match error {
        FilterError::Unknown(name) => {
            let names = flow_log::filter_names().join(", ");
            SettingsError::Unknown { option: "--flow-log-filter", name, names }
        }
        FilterError::Senseless(value, expected) => wrong("--flow-log-filter", value, expected),
    })?;
    let progress = args.flow_log_progress;
    let octets = match args.flow_log_rotate_size {
        None => Some(100_000_000),
        Some(Octets(0)) => None,
        Some(Octets(octets)) => {
            Some(at_least("--flow-log-rotate-size", octets, 10_000, "10k or more, or 0")? as u64)
        }
    };
    let shortest = Duration::from_secs(60);
    let age = args.flow_log_rotate_age;
    Ok(Some(FlowLog {
        target,
        format,
        fields: (!args.flow_log_fields.is_empty()).then(|| args.flow_log_fields.clone()),
        filters,
        has_opened: args.flow_log_opened,
        progress: progress
            .map(|every| no_shorter("--flow-log-progress", every, Duration::from_secs(10), "10s or more"))
            .transpose()?,
        rotation: Rotation {
            octets,
            age: age
                .map(|age| no_shorter("--flow-log-rotate-age", age, shortest, "1m or more"))
                .transpose()?,
            keep: at_least("--flow-log-keep", args.flow_log_keep.unwrap_or(10), 1, "1 or more")?,
        },
        is_chained: args.flow_log_chain,
        observer: args.observer_id.clone(),
    }))
}

pub(super) fn state(
    directory: Option<PathBuf>,
    interval: Option<Duration>,
) -> Result<Option<State>, SettingsError> {
    let Some(directory) = directory else {
        needs("--state DIR", &[("--state-interval", interval.is_some())])?;
        return Ok(None);
    };
    let interval = interval.unwrap_or(Duration::from_secs(2));
    let interval = no_shorter("--state-interval", interval, Duration::from_millis(100), "100ms or more")?;
    Ok(Some(State { directory, interval }))
}
