//! `vflow record`: what a router sends, written as it comes, to be read with `--input`.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::sleep,
};
use vanflow_api::selection::duration;
use vanflow_proto::{
    Timestamp, capture,
    router::{self, Config, Event, Events, Tap},
};

use crate::{
    args::{Connection, Record},
    call::secret_in,
    clock,
    error::{Error, NOT_REACHABLE, RIGHT},
    escape::visible,
    number,
};

/// Records until interrupted or terminated, or for as long as was asked for.
pub(crate) async fn record(
    record: &Record,
    connection: &Connection,
    err: &mut dyn Write,
) -> Result<u8, Error> {
    let limit = match &record.r#for {
        None => None,
        Some(text) => Some(duration(text).ok_or_else(|| {
            Error::usage(format!("--for is `{text}`, which has to be a duration as in 30s, 10m or 1h30m"))
        })?),
    };
    let router = match &record.router_password_file {
        Some(path) => with_password(&record.router, &secret_in(path)?)?,
        None => record.router.clone(),
    };
    let mut config = Config::from_url(&router, Arc::new(clock::now))
        .map_err(|error| Error::usage(format!("--router: {error}")))?;
    config.tls.ca.clone_from(&connection.ca);
    (config.tls.certificate, config.tls.key) = (record.cert.clone(), record.key.clone());
    if config.endpoint.tls && config.tls.ca.is_none() {
        let why = "--router is an amqps:// URL, which needs --ca FILE: the authority that signed the router's certificate";
        return Err(Error::usage(why));
    }
    config.check().map_err(|error| Error::usage(format!("--router: {error}")))?;
    let tape = Arc::new(Mutex::new(Tape::create(&record.file)?));
    config.tap = Some(Tape::tap(&tape));
    let (handle, mut events) = router::connect(config);
    // A terminal interrupts; what terminates are systemd, `timeout` and whatever runs containers.
    let (mut interrupts, mut terminations) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let say = |err: &mut dyn Write, text: &str| {
        // Whoever does not read this wants the file all the same.
        let _ = writeln!(err, "{}", visible(text));
    };
    say(
        err,
        &format!(
            "recording what {} sends to {}; interrupt it to end",
            without_user(&record.router),
            record.file.display()
        ),
    );
    let until = async {
        match limit {
            Some(micros) => sleep(Duration::from_micros(micros)).await,
            None => std::future::pending().await,
        }
    };
    let mut was_attached = false;
    tokio::select! {
        () = until => {}
        _ = interrupts.recv() => {}
        _ = terminations.recv() => {}
        () = attend(&mut events, err, &mut was_attached, say) => {}
    }
    // What has been asked for is still taken in, so that the capture ends between two messages.
    tokio::join!(handle.close(), async { while events.next().await.is_some() {} });
    let mut tape = tape.lock().unwrap_or_else(PoisonError::into_inner);
    let (written, octets) = tape.finish(&record.file)?;
    if written == 0 {
        // An empty file would be taken for a capture, and be in the way of the next attempt.
        fs::remove_file(&record.file).map_err(|error| Error::File {
            verb: "remove",
            path: record.file.clone(),
            reason: error.to_string(),
        })?;
        say(err, &format!("nothing came, and {} is not there", record.file.display()));
        return Ok(if was_attached { RIGHT } else { NOT_REACHABLE });
    }
    say(
        err,
        &format!(
            "{}, {}, {} in {}",
            number::counted(written, "message", "messages"),
            number::octets(octets as f64),
            if written == 1 { "is" } else { "are" },
            record.file.display()
        ),
    );
    if was_attached { Ok(RIGHT) } else { Ok(NOT_REACHABLE) }
}

/// The URL with that password for the user whom it names.
fn with_password(url: &str, password: &str) -> Result<String, Error> {
    match url.rsplit_once('@') {
        Some((user, host)) if user.matches(':').count() == 1 => {
            Ok(format!("{user}:{}@{host}", utf8_percent_encode(password, NON_ALPHANUMERIC)))
        }
        _ => Err(Error::usage(
            "--router has to be as in amqp://USER@host, where --router-password-file is given",
        )),
    }
}

/// The URL as it may be shown.
fn without_user(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        _ => url.to_owned(),
    }
}

/// Says what becomes of the connection. Records are for the tape alone.
async fn attend(
    events: &mut Events,
    err: &mut dyn Write,
    was_attached: &mut bool,
    say: impl Fn(&mut dyn Write, &str),
) {
    let mut last_reason = String::new();
    while let Some(event) = events.next().await {
        match event {
            Event::Attached { .. } => {
                *was_attached = true;
                say(err, "attached");
            }
            // It is tried every few seconds: the same is said once.
            Event::Detached { reason, .. } if reason != last_reason => {
                say(err, &format!("not attached: {reason}; trying again"));
                last_reason = reason;
            }
            _ => {}
        }
    }
}

/// The file, and what is in it.
struct Tape {
    file: BufWriter<File>,
    began: Timestamp,
    messages: u64,
    octets: u64,
    /// Why it ends before its time.
    failed: Option<io::Error>,
}

impl Tape {
    /// Makes the file; what exists is never overwritten.
    fn create(path: &Path) -> Result<Self, Error> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(|error| failed(path, &error))?;
        let file = BufWriter::with_capacity(256 << 10, file);
        Ok(Self { file, began: clock::now(), messages: 0, octets: 0, failed: None })
    }

    fn tap(tape: &Arc<Mutex<Self>>) -> Tap {
        let tape = Arc::clone(tape);
        Arc::new(move |now: Timestamp, link: &str, message: &[u8]| {
            tape.lock().unwrap_or_else(PoisonError::into_inner).write(now, link, message);
        })
    }

    fn write(&mut self, now: Timestamp, link: &str, message: &[u8]) {
        if self.failed.is_some() {
            return;
        }
        match capture::write(&mut self.file, now.micros_since(self.began), link, message) {
            Ok(()) => {
                self.messages += 1;
                self.octets += message.len() as u64;
            }
            Err(error) => self.failed = Some(error),
        }
    }

    /// Has all of it arrive on the disk; answers how many messages and octets that are.
    fn finish(&mut self, path: &Path) -> Result<(u64, u64), Error> {
        match self.failed.take() {
            Some(error) => Err(failed(path, &error)),
            None => {
                self.file.flush().map_err(|error| failed(path, &error))?;
                Ok((self.messages, self.octets))
            }
        }
    }
}

fn failed(path: &Path, error: &io::Error) -> Error {
    Error::File { verb: "write", path: path.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_goes_to_the_router_and_nowhere_else() {
        let url = with_password("amqps://ann@r:5671", "p@ss:/word").expect("it names a user");
        assert_eq!(url, "amqps://ann:p%40ss%3A%2Fword@r:5671");
        assert_eq!(without_user(&url), "amqps://r:5671");
        assert_eq!(without_user("amqp://r"), "amqp://r");
        for url in ["amqp://r", "amqp://ann:sesame@r"] {
            let error = with_password(url, "sesame").expect_err("it names no user alone").to_string();
            assert_eq!(
                error,
                "--router has to be as in amqp://USER@host, where --router-password-file is given"
            );
        }
    }
}
