//! Sessions of collectors that somebody has logged in to, in a file that is theirs alone.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::{args::Connection, clock, error::Error};

const FILE: &str = "sessions.json";

/// A session of a collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// What is sent with each question.
    pub(crate) cookie: String,
    /// When it is over, in microseconds since the epoch.
    pub(crate) until: u64,
}

/// All sessions that there are.
#[derive(Debug)]
pub(crate) struct Sessions {
    directory: PathBuf,
    by_server: BTreeMap<String, Session>,
}

impl Sessions {
    /// Those in the directory for it; none where there is no such file, or nothing in it makes sense.
    pub(crate) fn read(connection: &Connection) -> Result<Self, Error> {
        let directory = directory(connection)?;
        let path = directory.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(Error::File { verb: "read", path, reason: error.to_string() }),
        };
        let held: Value = serde_json::from_slice(&text).unwrap_or_default();
        let held = held.as_object().into_iter().flatten().filter_map(|(server, session)| {
            let cookie = session["cookie"].as_str()?.to_owned();
            Some((server.clone(), Session { cookie, until: session["until"].as_u64()? }))
        });
        Ok(Self { directory, by_server: held.collect() })
    }

    /// That of a collector, if it is not over.
    pub(crate) fn of(&self, server: &str) -> Option<&Session> {
        self.by_server.get(server).filter(|session| session.until > clock::now().as_micros())
    }

    /// Keeps one, or takes the one away that there was, and forgets all that are over.
    pub(crate) fn keep(mut self, server: &str, session: Option<Session>) -> Result<(), Error> {
        self.by_server.retain(|other, held| other != server && held.until > clock::now().as_micros());
        self.by_server.extend(session.map(|session| (server.to_owned(), session)));
        let written = self.write();
        let path = self.directory.join(FILE);
        written.map_err(|error| Error::File { verb: "write", path, reason: error.to_string() })
    }

    fn write(&self) -> io::Result<()> {
        let entry = |session: &Session| json!({ "cookie": session.cookie, "until": session.until });
        let held: serde_json::Map<_, _> =
            self.by_server.iter().map(|(server, session)| (server.clone(), entry(session))).collect();
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        // Whole or not at all, and never for others to read.
        let partial = self.directory.join(format!("{FILE}.{}", std::process::id()));
        let _ = fs::remove_file(&partial);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
        file.write_all(format!("{}\n", Value::Object(held)).as_bytes())?;
        fs::rename(&partial, self.directory.join(FILE))
    }
}

/// Where sessions are: where it was said, or where programs keep what is not worth a backup.
fn directory(connection: &Connection) -> Result<PathBuf, Error> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    connection
        .state
        .clone()
        .or_else(|| variable("XDG_STATE_HOME").map(|state| state.join("vflow")))
        .or_else(|| variable("HOME").map(|home| home.join(Path::new(".local/state/vflow"))))
        .ok_or_else(|| Error::usage("nothing says where sessions are kept: --state DIR does"))
}
