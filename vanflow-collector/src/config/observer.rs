//! The command line of Skupper's network observer, in options of ours: so that this program can take its place in a
//! container, with the arguments that are there.
//!
//! The observer reads its arguments as Go does: a flag has one dash or two, its value follows `=` or is the next argument,
//! a switch is on unless `=false` follows, and of a flag that is given twice the last counts.

use std::{collections::HashMap, ffi::OsString, time::Duration};

use thiserror::Error;

use self::Meaning::{Insecure, Logging, Switch, Time, Value};

/// A command line in options of ours, and what is to be said about those of the observer that it had.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Translated {
    pub(super) arguments: Vec<OsString>,
    pub(super) notes: Vec<String>,
}

/// A flag that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ObserverError {
    /// One that nobody knows.
    #[error(
        "there is no flag {flag}: options have two dashes, such as --listen. Of those with one dash, which Skupper's network \
         observer has, there are {}",
        known()
    )]
    Unknown {
        /// The flag, as it was typed.
        flag: String,
    },
    /// One without its value.
    #[error("{flag} needs a value, such as {flag}={example}")]
    NoValue {
        /// The flag.
        flag: &'static str,
        /// What one looks like.
        example: &'static str,
    },
    /// One with a value that makes no sense.
    #[error("{flag} is `{value}`; it must be {must}")]
    Value {
        /// The flag.
        flag: &'static str,
        /// Its value.
        value: String,
        /// What would be right.
        must: &'static str,
    },
    /// Whatever certificate a router shows would do.
    #[error(
        "-router-tls-insecure is not there: anybody could be the router then. Name the authority that signed its certificate \
         with -router-tls-ca FILE"
    )]
    Insecure,
}

/// What a flag of the observer means here.
#[derive(Clone, Copy)]
enum Meaning {
    /// An option that takes the value as it is; nothing where that is empty, as in the observer. A value to show, and what
    /// is to be said about it.
    Value { option: &'static str, example: &'static str, note: Option<&'static str> },
    /// An option that takes a time.
    Time { option: &'static str, example: &'static str },
    /// Options for a switch that is on, and what is to be said about one that is on or off.
    Switch { options: &'static [&'static str], on: Option<&'static str>, off: Option<&'static str> },
    /// What is refused when it is on.
    Insecure,
    /// How much of the records is logged.
    Logging,
}

/// The command that the observer has too.
const ENSURE_SECRET: &str = "ensure-secret";

const fn value(option: &'static str, example: &'static str) -> Meaning {
    Value { option, example, note: None }
}

/// Every flag that the observer has (`cmd/network-observer/main.go`), without its dash.
const FLAGS: [(&str, Meaning); 19] = [
    ("-listen", value("--listen", ":8080")),
    ("-tls-cert", value("--tls-cert", "tls.crt")),
    ("-tls-key", value("--tls-key", "tls.key")),
    ("-router-endpoint", value("--router", "amqps://skupper-router-local")),
    ("-router-tls-ca", value("--ca", "ca.crt")),
    ("-router-tls-cert", value("--cert", "tls.crt")),
    ("-router-tls-key", value("--key", "tls.key")),
    ("-router-tls-insecure", Insecure),
    ("-listen-metrics", value("--metrics-listen", ":9000")),
    (
        "-prometheus-api",
        Value {
            option: "--prometheus-api",
            example: "http://127.0.0.1:9090",
            note: Some(
                "charts need no Prometheus here: while none answers, they are answered from --history",
            ),
        },
    ),
    ("-console-location", value("--console", "/app/console")),
    (
        "-enable-console",
        Switch {
            options: &[],
            on: None,
            off: Some("the collector's own page is there all the same, and shows what the API does"),
        },
    ),
    ("-enable-access-logs", Switch { options: &["--access-log=-"], on: None, off: None }),
    ("-flow-record-ttl", Time { option: "--retention", example: "15m" }),
    ("-cors-allow-all", Switch { options: &["--cors=*"], on: None, off: None }),
    ("-profile", Switch { options: &[], on: Some("there is no profile to be read"), off: None }),
    ("-vanflow-logging-profile", Logging),
    ("-version", Switch { options: &["--version"], on: None, off: None }),
    ("-help", Switch { options: &["--help"], on: None, off: None }),
];

/// The options of ours that take what flags of the observer say.
#[cfg(test)]
pub(super) fn options() -> Vec<&'static str> {
    FLAGS
        .iter()
        .flat_map(|(_, meaning)| match *meaning {
            Value { option, .. } | Time { option, .. } => vec![option],
            Switch { options, .. } => options.to_vec(),
            Insecure | Logging => Vec::new(),
        })
        .collect()
}

fn known() -> String {
    let names: Vec<_> = FLAGS.iter().map(|(name, _)| *name).collect();
    let (last, others) = names.split_last().expect("there are some");
    format!("{} and {last}", others.join(", "))
}

/// Has every flag of the observer among `arguments` said in options of ours. `is_ours` tells names of options, without their
/// dashes: what has two dashes and is one stays as it is.
///
/// The first of `arguments` is the name of the program.
pub(super) fn translate(
    arguments: impl IntoIterator<Item = OsString>,
    is_ours: impl Fn(&str) -> bool,
) -> Result<Translated, ObserverError> {
    let mut arguments = arguments.into_iter();
    let mut notes: Vec<(&str, String)> = Vec::new();
    let mut said: Vec<Option<OsString>> = arguments.next().into_iter().map(Some).collect();
    // Where what a flag means stands among the arguments: it gives way to the same flag.
    let mut places = HashMap::new();
    while let Some(argument) = arguments.next() {
        let Some(flag) = argument.to_str().and_then(flag) else {
            let (is_end, is_command) = (argument == "--", argument == ENSURE_SECRET);
            said.push(Some(argument));
            if is_command {
                said.extend(arguments.by_ref().map(with_two_dashes).map(Some));
            }
            if is_end {
                break;
            }
            continue;
        };
        let Some((name, meaning)) = known_as(flag.name) else {
            match flag.dashes {
                // Clap knows, or says what is wrong.
                2 => said.push(Some(argument)),
                _ => return Err(ObserverError::Unknown { flag: format!("-{}", flag.name) }),
            }
            continue;
        };
        if flag.dashes == 2 && is_ours(flag.name) {
            said.push(Some(argument));
            continue;
        }
        let mut value = |example| match flag.value {
            Some(value) => Ok(value.to_owned()),
            None => arguments
                .next()
                .and_then(|value| value.into_string().ok())
                .ok_or(ObserverError::NoValue { flag: name, example }),
        };
        let (options, note) = match meaning {
            Value { option, example, note } => match value(example)? {
                value if value.is_empty() => (Vec::new(), None),
                value => (vec![format!("{option}={value}")], note),
            },
            Time { option, example } => {
                let value = value(example)?;
                let time = go_duration(&value).ok_or(ObserverError::Value {
                    flag: name,
                    value,
                    must: "a time with its unit, such as 90s, 15m or 2h",
                })?;
                (vec![format!("{option}={}", humantime::format_duration(time))], None)
            }
            Switch { options, on, off } => match switch(name, flag.value)? {
                true => (options.iter().map(|&option| option.to_owned()).collect(), on),
                false => (Vec::new(), off),
            },
            Insecure => match switch(name, flag.value)? {
                true => return Err(ObserverError::Insecure),
                false => (Vec::new(), None),
            },
            Logging => match &*value("silent")? {
                "silent" => (Vec::new(), None),
                "minimal" | "moderate" | "all" => {
                    (Vec::new(), Some("records are not logged; --capture FILE writes all of them"))
                }
                value => {
                    return Err(ObserverError::Value {
                        flag: name,
                        value: value.to_owned(),
                        must: "silent, minimal, moderate or all",
                    });
                }
            },
        };
        notes.retain(|(noted, _)| *noted != name);
        notes.extend(note.map(|note| (name, format!("{name}: {note}"))));
        let before = places.insert(name, said.len()..said.len() + options.len());
        said.extend(options.into_iter().map(|option| Some(option.into())));
        for place in before.into_iter().flatten() {
            said[place] = None;
        }
    }
    said.extend(arguments.map(Some));
    let is_said = |flag| places.get(flag).is_some_and(|place| !place.is_empty());
    let of_router = ["-router-tls-ca", "-router-tls-cert", "-router-tls-key"];
    if of_router.into_iter().any(is_said) && !is_said("-router-endpoint") {
        said.insert(1, Some("--router=amqps://skupper-router-local".into()));
    }
    Ok(Translated {
        arguments: said.into_iter().flatten().collect(),
        notes: notes.into_iter().map(|(_, note)| note).collect(),
    })
}

/// A flag of the observer's command, whose options have the names that ours have.
fn with_two_dashes(argument: OsString) -> OsString {
    match argument.to_str().and_then(flag) {
        Some(flag) if flag.dashes == 1 => {
            let mut option = OsString::from("-");
            option.push(&argument);
            option
        }
        _ => argument,
    }
}

/// A flag as it was typed.
struct Flag<'a> {
    dashes: usize,
    name: &'a str,
    value: Option<&'a str>,
}

/// What looks like a flag. One letter with one dash is none of the observer's.
fn flag(argument: &str) -> Option<Flag<'_>> {
    let rest = argument.trim_start_matches('-');
    let dashes = argument.len() - rest.len();
    let (name, value) = match rest.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (rest, None),
    };
    let is_one = matches!(dashes, 1 | 2)
        && name.len() > 1
        && name.starts_with(|letter: char| letter.is_ascii_alphabetic());
    is_one.then_some(Flag { dashes, name, value })
}

fn known_as(name: &str) -> Option<(&'static str, Meaning)> {
    FLAGS.into_iter().find(|(flag, _)| flag[1..] == *name)
}

/// Whether a switch is on, as Go reads it.
fn switch(flag: &'static str, value: Option<&str>) -> Result<bool, ObserverError> {
    match value {
        None | Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
        Some(value) => Err(ObserverError::Value {
            flag,
            value: value.to_owned(),
            must: "true or false, or nothing at all",
        }),
    }
}

/// A time as Go writes it: numbers with units, which may have fractions.
fn go_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut nanos = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, behind) = rest.split_at(digits);
        let unit =
            behind.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(unit);
        let each = match unit {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return None,
        };
        nanos += number.parse::<f64>().ok()? * each;
        rest = behind;
    }
    // What is longer than Go can say is no time; what is shorter than a nanosecond is none either.
    (nanos < i64::MAX as f64).then(|| Duration::from_nanos(nanos.round() as u64))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::{super::Args, *};

    fn is_ours(name: &str) -> bool {
        Args::command().get_arguments().any(|option| option.get_long() == Some(name))
    }

    /// What a command line of the observer means, and what is said about it; errors as their text.
    fn translated(line: &str) -> Result<(String, String), String> {
        let arguments = ["vanflow-collector"].into_iter().chain(line.split(' ')).map(OsString::from);
        let Translated { arguments, notes } =
            translate(arguments, is_ours).map_err(|error| error.to_string())?;
        let arguments: Vec<_> =
            arguments.into_iter().skip(1).map(|argument| argument.into_string().expect("UTF-8")).collect();
        Ok((arguments.join(" "), notes.join("; ")))
    }

    fn ours(line: &str) -> String {
        translated(line).expect("it is understood").0
    }

    #[test]
    fn what_its_chart_gives_the_observer_is_said_in_options_of_ours() {
        let line = "-listen=127.0.0.1:8080 -prometheus-api=http://127.0.0.1:9090 \
                    -router-endpoint=amqps://skupper-router-local -router-tls-ca=/etc/messaging/ca.crt \
                    -router-tls-cert=/etc/messaging/tls.crt -router-tls-key=/etc/messaging/tls.key -listen-metrics=:9000";
        assert_eq!(
            translated(line).expect("it is understood"),
            (
                "--listen=127.0.0.1:8080 --prometheus-api=http://127.0.0.1:9090 --router=amqps://skupper-router-local \
                 --ca=/etc/messaging/ca.crt --cert=/etc/messaging/tls.crt --key=/etc/messaging/tls.key --metrics-listen=:9000"
                    .to_owned(),
                "-prometheus-api: charts need no Prometheus here: while none answers, they are answered from --history"
                    .to_owned()
            )
        );
    }

    #[test]
    fn options_that_flags_are_said_in_exist() {
        for option in options() {
            let name = option.trim_start_matches('-');
            let name = name.split_once('=').map_or(name, |(name, _)| name);
            assert!(is_ours(name) || ["help", "version"].contains(&name), "there is no --{name}");
        }
    }

    #[test]
    fn flags_are_read_as_go_reads_them() {
        assert_eq!(ours("-listen :8080"), "--listen=:8080");
        // Two dashes are as good as one to Go; what has the name of an option of ours is that.
        assert_eq!(ours("--flow-record-ttl=10m --listen a:1"), "--retention=10m --listen a:1");
        // The last of each counts: the chart has what its user adds at the end.
        assert_eq!(ours("-listen=:1 -flow-record-ttl 1h -listen=:2"), "--retention=1h --listen=:2");
        assert_eq!(ours("-prometheus-api=http://a -prometheus-api="), "");
        assert_eq!(ours("-cors-allow-all -profile=false"), "--cors=*");
        assert_eq!(ours("-cors-allow-all=0"), "");
        assert_eq!(ours("-enable-access-logs --access-log -"), "--access-log=- --access-log -");
        assert_eq!(ours("-version"), "--version");
        assert_eq!(ours("-router-tls-insecure=false --demo"), "--demo");
        assert_eq!(ours("-router-tls-ca=ca"), "--router=amqps://skupper-router-local --ca=ca");
        assert_eq!(ours("--demo -h -- -listen"), "--demo -h -- -listen");
        assert_eq!(ours("ensure-secret -format=htpasswd a-b"), "ensure-secret --format=htpasswd a-b");
    }

    #[test]
    fn times_are_read_as_go_writes_them() {
        for (go, ours) in
            [("15m0s", "15m"), ("1.5h", "1h 30m"), ("1h2m3s4ms5us", "1h 2m 3s 4ms 5us"), ("0", "0s")]
        {
            let time = go_duration(go).unwrap_or_else(|| panic!("{go} is a time"));
            assert_eq!(humantime::format_duration(time).to_string(), ours);
        }
        for wrong in ["", "15", "m", "1.h.", "-5m", "1d", "9999999999h"] {
            assert_eq!(go_duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_has_no_counterpart_is_said() {
        let note = |line| translated(line).expect("it is understood").1;
        assert_eq!(note("-profile"), "-profile: there is no profile to be read");
        assert_eq!(
            note("-vanflow-logging-profile=all"),
            "-vanflow-logging-profile: records are not logged; --capture FILE writes all of them"
        );
        assert_eq!(
            note("-enable-console=false"),
            "-enable-console: the collector's own page is there all the same, and shows what the API does"
        );
        assert_eq!(note("-enable-console -vanflow-logging-profile silent -prometheus-api="), "");
    }

    #[test]
    fn what_makes_no_sense_is_an_error_that_says_what_would() {
        let error = |line| translated(line).expect_err("it makes no sense");
        let unknown = error("-demo");
        assert!(
            unknown.starts_with(
                "there is no flag -demo: options have two dashes, such as --listen. Of those with one dash, which Skupper's \
                 network observer has, there are -listen, -tls-cert, "
            ) && unknown.ends_with(", -version and -help"),
            "{unknown}"
        );
        assert_eq!(error("-flow-record-ttl"), "-flow-record-ttl needs a value, such as -flow-record-ttl=15m");
        assert_eq!(
            error("-flow-record-ttl=15"),
            "-flow-record-ttl is `15`; it must be a time with its unit, such as 90s, 15m or 2h"
        );
        assert_eq!(
            error("-cors-allow-all=maybe"),
            "-cors-allow-all is `maybe`; it must be true or false, or nothing at all"
        );
        assert_eq!(
            error("-vanflow-logging-profile=loud"),
            "-vanflow-logging-profile is `loud`; it must be silent, minimal, moderate or all"
        );
        assert_eq!(
            error("-router-tls-insecure"),
            "-router-tls-insecure is not there: anybody could be the router then. Name the authority that signed its \
             certificate with -router-tls-ca FILE"
        );
    }
}
