//! Options in a file, as TOML: each by its name.

use std::{any::TypeId, ffi::OsString, fs, io, path::Path};

use clap::{Arg, ArgAction, Command, error::ErrorKind};
use thiserror::Error;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Octets, Speed};

/// Options that mean nothing in a file.
const NOT_IN_A_FILE: [&str; 4] = ["config", "check", "help", "version"];

/// An option that a file sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its name, without dashes.
    pub(super) option: String,
    /// The line that sets it, from 1 on.
    pub(super) line: usize,
    /// The option as it would be typed.
    pub(super) arguments: Vec<OsString>,
}

/// A file of options that cannot be used.
#[derive(Debug, Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read --config {path}: {error}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why not.
        #[source]
        error: io::Error,
    },
    /// A place in it makes no sense.
    #[error("{path}:{line}: {what}")]
    Wrong {
        /// The file.
        path: String,
        /// The line, from 1 on.
        line: usize,
        /// What is wrong there, and what would be right.
        what: String,
    },
}

/// The options that the file at `path` sets, each checked by itself against those of `command`.
pub(super) fn read(path: &Path, command: &Command) -> Result<Vec<Entry>, FileError> {
    let name = path.display().to_string();
    let text =
        fs::read_to_string(path).map_err(|error| FileError::Unreadable { path: name.clone(), error })?;
    entries(&text, command).map_err(|(line, what)| FileError::Wrong { path: name, line, what })
}

/// The options that a text sets; or the first line that makes no sense, and why.
fn entries(text: &str, command: &Command) -> Result<Vec<Entry>, (usize, String)> {
    let line = |offset: usize| text[..offset.min(text.len())].matches('\n').count() + 1;
    let table = DeTable::parse(text).map_err(|error| {
        let why = format!("{}; expected lines such as listen = \"127.0.0.1:8010\"", error.message());
        (line(error.span().map_or(0, |span| span.start)), why)
    })?;
    // What the environment says has been checked, and says nothing about the file.
    let alone = command.clone().mut_args(|option| option.env(None::<&str>));
    let mut entries = Vec::new();
    for (key, value) in table.get_ref() {
        let (key, line) = (key.get_ref().as_ref(), line(key.span().start));
        let wrong = |what| (line, what);
        let option = option(&alone, key).map_err(wrong)?;
        let arguments = arguments(option, value).map_err(wrong)?;
        check(&alone, &arguments).map_err(wrong)?;
        entries.push(Entry { option: key.to_owned(), line, arguments });
    }
    // A table knows no order; people do.
    entries.sort_by_key(|entry| entry.line);
    Ok(entries)
}

fn option<'a>(command: &'a Command, name: &str) -> Result<&'a Arg, String> {
    if NOT_IN_A_FILE.contains(&name) {
        return Err(format!("{name} means nothing in a file: give it on the command line"));
    }
    let names = || command.get_arguments().filter_map(|option| Some((option, option.get_long()?)));
    if let Some((option, _)) = names().find(|(_, long)| *long == name) {
        return Ok(option);
    }
    let similar = names()
        .filter(|(_, long)| !NOT_IN_A_FILE.contains(long))
        .map(|(_, long)| (strsim::jaro_winkler(long, name), long))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|one, other| one.0.total_cmp(&other.0));
    Err(match similar {
        Some((_, long)) => format!("there is no option {name}; there is {long}"),
        None => {
            format!("there is no option {name}; --help names all that there are, which have no dashes here")
        }
    })
}

/// The option as it would be typed, with a value of the type that it has.
fn arguments(option: &Arg, value: &Spanned<DeValue<'_>>) -> Result<Vec<OsString>, String> {
    let name = option.get_long().unwrap_or_default();
    let value = value.get_ref();
    if matches!(option.get_action(), ArgAction::SetTrue) {
        return match value.as_bool() {
            Some(true) => Ok(vec![format!("--{name}").into()]),
            Some(false) => Ok(Vec::new()),
            None => Err(format!("{name} is {}; it must be true or false", kind(value))),
        };
    }
    let is_list = matches!(option.get_action(), ArgAction::Append);
    let must = must(option);
    let typed = |value: &DeValue<'_>| {
        let text = scalar(option, value)?;
        Some(OsString::from(format!("--{name}={text}")))
    };
    match (value, is_list) {
        (DeValue::Array(values), true) => values
            .iter()
            .map(|value| {
                let value = value.get_ref();
                typed(value)
                    .ok_or_else(|| format!("{name} has {} in its list; each must be {must}", kind(value)))
            })
            .collect(),
        (value, true) => typed(value)
            .map(|argument| vec![argument])
            .ok_or_else(|| format!("{name} is {}; it must be {must}, or a list of such", kind(value))),
        (value, false) => typed(value)
            .map(|argument| vec![argument])
            .ok_or_else(|| format!("{name} is {}; it must be {must}", kind(value))),
    }
}

/// What types an option's value may have.
fn must(option: &Arg) -> &'static str {
    let is = |id: TypeId| option.get_value_parser().type_id() == id;
    if is(TypeId::of::<Octets>()) {
        "a number of octets, such as 512M in quotes"
    } else if is(TypeId::of::<Speed>()) {
        "a number, or max in quotes"
    } else if is(TypeId::of::<f64>()) {
        "a number"
    } else if is_integer(option) {
        "a whole number"
    } else {
        "text in quotes"
    }
}

fn is_integer(option: &Arg) -> bool {
    [TypeId::of::<usize>(), TypeId::of::<u64>(), TypeId::of::<u32>(), TypeId::of::<u16>()]
        .into_iter()
        .any(|id| option.get_value_parser().type_id() == id)
}

/// A value as it would be typed, if the option can have one of its type.
fn scalar(option: &Arg, value: &DeValue<'_>) -> Option<String> {
    let is = |id: TypeId| option.get_value_parser().type_id() == id;
    let (is_octets, is_speed, is_float) =
        (is(TypeId::of::<Octets>()), is(TypeId::of::<Speed>()), is(TypeId::of::<f64>()));
    match value {
        DeValue::String(text) if !is_integer(option) && !is_float => Some(text.to_string()),
        DeValue::Integer(number) if is_octets || is_speed || is_float || is_integer(option) => {
            i128::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number.to_string())
        }
        DeValue::Float(number) if is_speed || is_float => Some(number.as_str().to_owned()),
        _ => None,
    }
}

/// What a value is, for whoever wrote it.
fn kind(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the text \"{text}\""),
        DeValue::Integer(number) => format!("the number {}", number.as_str()),
        DeValue::Float(number) => format!("the number {}", number.as_str()),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(_) => "a time of the calendar".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// Whether clap takes an option as it would be typed; what it says otherwise.
fn check(command: &Command, arguments: &[OsString]) -> Result<(), String> {
    let line = [OsString::from("vanflow-collector")].into_iter().chain(arguments.iter().cloned());
    let Err(error) = command.clone().try_get_matches_from(line) else { return Ok(()) };
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return Ok(());
    }
    let text = error.to_string();
    let (text, _) = text.split_once("\n\n").unwrap_or((&text, ""));
    let lines: Vec<_> = text.trim_start_matches("error: ").lines().map(str::trim).collect();
    Err(lines.join(" "))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::{super::Args, *};

    fn set(text: &str) -> Result<String, String> {
        let entries = entries(text, &Args::command()).map_err(|(line, what)| format!("{line}: {what}"))?;
        let arguments = entries.into_iter().flat_map(|entry| entry.arguments);
        let arguments: Vec<_> = arguments.map(|argument| argument.into_string().expect("UTF-8")).collect();
        Ok(arguments.join(" "))
    }

    #[test]
    fn options_are_named_as_they_are_and_have_values_of_their_types() {
        let text = r#"
            # Where it answers.
            listen = ["127.0.0.1:8010", "[::1]:8010"]
            cors = "*"
            demo = true
            demo-rate = 2.5
            demo-seed = 7
            connections = 0x40
            retention = "90s"
            memory = "512M"
            history-memory = 64_000_000
            check-nothing = false
        "#;
        let text = text.replace("check-nothing = false", "");
        assert_eq!(
            set(&text).expect("it makes sense"),
            "--listen=127.0.0.1:8010 --listen=[::1]:8010 --cors=* --demo --demo-rate=2.5 --demo-seed=7 --connections=64 \
             --retention=90s --memory=512M --history-memory=64000000"
        );
        assert_eq!(set("demo = false\nspeed = 4\n").expect("it makes sense"), "--speed=4");
        assert_eq!(set("speed = \"max\"").expect("it makes sense"), "--speed=max");
        assert_eq!(set("").expect("an empty file sets nothing"), "");
    }

    #[test]
    fn what_makes_no_sense_is_said_with_its_line_and_what_would() {
        let error = |text: &str| set(text).expect_err("it makes no sense");
        assert_eq!(
            error("demo = true\n\nretenton = \"1m\""),
            "3: there is no option retenton; there is retention"
        );
        assert_eq!(
            error("history_memory = 1"),
            "1: there is no option history_memory; there is history-memory"
        );
        assert_eq!(
            error("zzz = 1"),
            "1: there is no option zzz; --help names all that there are, which have no dashes here"
        );
        assert_eq!(error("[tls]\ncert = \"a\""), "1: there is no option tls; there is tls-key");
        assert_eq!(error("demo = \"yes\""), "1: demo is the text \"yes\"; it must be true or false");
        assert_eq!(
            error("connections = \"64\""),
            "1: connections is the text \"64\"; it must be a whole number"
        );
        assert_eq!(error("demo-rate = true"), "1: demo-rate is true; it must be a number");
        assert_eq!(error("retention = 15"), "1: retention is the number 15; it must be text in quotes");
        assert_eq!(
            error("retention = \"15\""),
            "1: invalid value '15' for '--retention <TIME>': expected a time with its unit, such as 90s, 15m or 2h"
        );
        assert_eq!(
            error("memory = 1.5"),
            "1: memory is the number 1.5; it must be a number of octets, such as 512M in quotes"
        );
        assert_eq!(error("speed = [1]"), "1: speed is a list; it must be a number, or max in quotes");
        assert_eq!(error("state = [\"a\", \"b\"]"), "1: state is a list; it must be text in quotes");
        assert_eq!(
            error("listen = 8010"),
            "1: listen is the number 8010; it must be text in quotes, or a list of such"
        );
        assert_eq!(
            error("listen = [\"a:1\", {}]"),
            "1: listen has a table in its list; each must be text in quotes"
        );
        assert_eq!(
            error("metrics-detail = \"pod\""),
            "1: invalid value 'pod' for '--metrics-detail <DETAIL>' [possible values: process, component, site]"
        );
        assert_eq!(
            error("config = \"other\""),
            "1: config means nothing in a file: give it on the command line"
        );
        assert_eq!(
            error("demo = true\nlisten 8010"),
            "2: key with no value, expected `=`; expected lines such as listen = \"127.0.0.1:8010\""
        );
        assert!(
            error("demo = true\ndemo = true").starts_with("2: duplicate key"),
            "{}",
            error("demo=true\ndemo=true")
        );
    }
}
