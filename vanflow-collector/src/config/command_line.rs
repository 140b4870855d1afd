//! The command line from its text to options, with what the environment and a file say where it is silent.

use std::{collections::HashMap, ffi::OsString};

use clap::{CommandFactory, FromArgMatches, error::ErrorKind, parser::ValueSource};

use super::{Args, file, observer};

/// Options, and where they are from.
#[derive(Clone, Debug, Default)]
pub struct CommandLine {
    /// The options.
    pub args: Args,
    /// What is to be said about what was typed, and does no harm.
    pub notes: Vec<String>,
    /// The places of options that are from a file, by their names.
    places: HashMap<String, String>,
}

impl CommandLine {
    /// Reads arguments, the first of which is the name of the program: with the environment where they do not name an
    /// option, and the file that `--config` names where neither does. Flags of Skupper's network observer are said in
    /// options of ours.
    ///
    /// # Errors
    ///
    /// Where something makes no sense by itself, or `--help` or `--version` is asked for: what to print, and the exit code.
    pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut command = Args::command();
        let translated = observer::translate(arguments, |name| {
            Args::command().get_arguments().any(|option| option.get_long() == Some(name))
        });
        let translated = translated.map_err(|error| command.error(ErrorKind::UnknownArgument, error))?;
        let mut line = translated.arguments;
        let matches = command.try_get_matches_from_mut(line.iter())?;
        let mut args = Args::from_arg_matches(&matches)?;
        let mut places = HashMap::new();
        if let Some(path) = args.config.clone().filter(|_| args.command.is_none()) {
            let entries = file::read(&path, &command).map_err(|error| command.error(ErrorKind::Io, error))?;
            let mut from_file = Vec::new();
            for entry in entries {
                let id = entry.option.replace('-', "_");
                if let Some(ValueSource::CommandLine | ValueSource::EnvVariable) = matches.value_source(&id) {
                    continue;
                }
                places.insert(entry.option, format!("{}:{}", path.display(), entry.line));
                from_file.extend(entry.arguments);
            }
            let behind_the_program = line.len().min(1);
            line.splice(behind_the_program..behind_the_program, from_file);
            args = Args::from_arg_matches(&command.try_get_matches_from_mut(line)?)?;
        }
        Ok(Self { args, notes: translated.notes, places })
    }

    /// An error about options that make no sense, with where those of them are from that a file sets.
    pub fn error(&self, kind: ErrorKind, message: impl Into<String>) -> clap::Error {
        let mut message = message.into();
        let is_in_name = |letter: char| letter.is_ascii_lowercase() || letter == '-';
        let named: Vec<_> = message
            .split("--")
            .skip(1)
            .filter_map(|rest| rest.split(|letter| !is_in_name(letter)).next().map(str::to_owned))
            .collect();
        for option in named {
            if let Some(place) = self.places.get(&option) {
                message.push_str(&format!("\n  --{option} is from {place}"));
            }
        }
        Args::command().error(kind, message)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    fn read(file: &str, line: &[&str]) -> Result<CommandLine, String> {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("collector.toml");
        fs::write(&path, file).expect("it can be written");
        let path = path.to_str().expect("UTF-8").to_owned();
        let line = ["vanflow-collector", "--config", &path].into_iter().chain(line.iter().copied());
        CommandLine::read(line.map(OsString::from))
            .map_err(|error| error.to_string().replace(directory.path().to_str().expect("UTF-8"), "DIR"))
    }

    #[test]
    fn the_command_line_wins_over_the_file() {
        let file = "retention = \"1m\"\nlisten = [\"a:1\", \"b:2\"]\ndemo = true\nmemory = \"2M\"\n";
        let args = read(file, &["--retention", "2m"]).expect("it makes sense").args;
        assert_eq!(args.retention.as_secs(), 120);
        assert_eq!(args.listen, ["a:1", "b:2"]);
        assert!(args.demo);
        let args = read(file, &["--listen=c:3"]).expect("it makes sense").args;
        assert_eq!((args.retention.as_secs(), args.listen), (60, vec!["c:3".to_owned()]));
        // The last counts, where it is not a list.
        let args =
            read(file, &["--retention=5m", "--listen=c:3", "--listen=d:4", "--retention=4m", "--demo"]);
        let args = args.expect("it makes sense").args;
        assert_eq!((args.retention.as_secs(), args.listen.len()), (240, 2));
        // A flag of the observer is the command line too.
        let args = read(file, &["-flow-record-ttl=3m"]).expect("it makes sense").args;
        assert_eq!(args.retention.as_secs(), 180);
    }

    #[test]
    fn what_makes_no_sense_says_where_it_is_from() {
        let error = read("demo = true\nretention = \"soon\"\n", &[]).expect_err("it makes no sense");
        assert!(
            error.starts_with(
                "error: DIR/collector.toml:2: invalid value 'soon' for '--retention <TIME>': expected"
            ),
            "{error}"
        );
        let line = read("tls-cert = \"a\"\n", &["--demo"]).expect("each makes sense by itself");
        let error = line.error(ErrorKind::ArgumentConflict, "--tls-cert needs --tls-key").to_string();
        let places: Vec<_> = error.lines().filter(|line| line.contains("is from")).collect();
        assert!(matches!(*places, [place] if place.ends_with("collector.toml:1")), "{error}");

        let missing =
            CommandLine::read(["vanflow-collector", "--config", "/no/such/file"].map(OsString::from));
        let error = missing.expect_err("there is none").to_string();
        assert!(
            error.starts_with(
                "error: cannot read --config /no/such/file: No such file or directory (os error 2)"
            ),
            "{error}"
        );
        assert!(!Path::new("/no/such/file").exists());
    }
}
