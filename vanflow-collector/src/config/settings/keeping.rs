//! What is kept on disk: records over restarts, and what has ended.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

#[cfg(feature = "archive")]
use super::LEAST_MEMORY;
use super::{Args, Octets, SettingsError, at_least, no_shorter, wrong};
use crate::flow_log::{self, Rotation};

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

/// How what has ended is logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowLog {
    /// Where lines go.
    pub target: FlowLogTarget,
    /// What they look like.
    pub format: FlowLogFormat,
    /// Which members they have; all where none are named.
    pub fields: Option<Vec<String>>,
    /// When a file is finished.
    pub rotation: Rotation,
    /// Whether each line carries the hash of the one before.
    pub is_chained: bool,
    /// The identity of the network, where it has one.
    pub network: Option<String>,
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
        let (keep, size) = (args.history_keep.is_some(), args.history_keep_size.is_some());
        needs("--history-dir DIR", &[("--history-keep", keep), ("--history-keep-size", size)])?;
        return Ok(None);
    };
    let mut options = vanflow_history::ArchiveOptions::default();
    if let Some(keep) = args.history_keep {
        let keep = no_shorter("--history-keep", keep, Duration::from_secs(60 * 60), "1h or more")?;
        options.keep_micros = u64::try_from(keep.as_micros()).unwrap_or(u64::MAX);
    }
    if let Some(Octets(size)) = args.history_keep_size {
        let size = at_least("--history-keep-size", size, LEAST_MEMORY, "1M or more")?;
        options.keep_octets = Some(size as u64);
    }
    Ok(Some(Archive { directory, options }))
}

/// Whether there is no archive: what was built without it refuses all that is said of it.
#[cfg(not(feature = "archive"))]
pub(super) fn archive(args: &Args) -> Result<(), SettingsError> {
    let options = [
        ("--history-dir", args.history_dir.is_some()),
        ("--history-keep", args.history_keep.is_some()),
        ("--history-keep-size", args.history_keep_size.is_some()),
    ];
    match options.into_iter().find(|(_, is_given)| *is_given) {
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
    }
    let tables = vanflow_api::tables();
    if let Some(name) = flow_log::unknown(&args.flow_log_fields, &tables) {
        let names = flow_log::names(&tables).join(", ");
        return Err(SettingsError::Unknown { option: "--flow-log-fields", name: name.to_owned(), names });
    }
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
        rotation: Rotation {
            octets,
            age: age
                .map(|age| no_shorter("--flow-log-rotate-age", age, shortest, "1m or more"))
                .transpose()?,
            keep: at_least("--flow-log-keep", args.flow_log_keep.unwrap_or(10), 1, "1 or more")?,
        },
        is_chained: args.flow_log_chain,
        network: args.network_id.clone(),
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
