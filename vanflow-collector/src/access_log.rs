//! The access log: a line for each request, once its answer has ended.
//!
//! Lines are written by a thread of their own. Where a disk is too slow for it, requests do not wait: lines are lost, and
//! counted in the log. The file is opened anew when it was moved away or removed, as tools that rotate logs do. What
//! clients send is escaped, and what looks like a secret in a query string is left out.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    net::IpAddr,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    task::{Context, Poll, ready},
    time::{Duration, UNIX_EPOCH},
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{
    HeaderName, Method, Request, Response, StatusCode, Uri, Version,
    header::{HOST, REFERER, USER_AGENT},
};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use serde_json::json;
use thiserror::Error;
use tokio::{task::JoinHandle, time::Instant};
use tracing::warn;
use vanflow_proto::Timestamp;

use crate::{
    answer, clock,
    config::{self, AccessLogFormat},
    front::{PROBES, Seen},
    http::Peer,
    occasion::Occasion,
};

/// Lines that wait to be written.
const MOST_WAITING: usize = 8192;

/// How often it is looked whether the file is still the one that is written to.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is kept of a path, of a query string and of a header, in characters.
const LONGEST: usize = 2000;

/// Parts of names of parameters whose values are nobody's business.
const SECRETS: [&str; 10] = [
    "token",
    "passw",
    "secret",
    "apikey",
    "api_key",
    "api-key",
    "credential",
    "auth",
    "session",
    "signature",
];

/// What stands in place of a secret.
const HIDDEN: &str = "***";

/// An access log that cannot be written.
#[derive(Debug, Error)]
#[error("cannot write --access-log {}: {error}", path.display())]
pub struct AccessLogError {
    path: PathBuf,
    #[source]
    error: io::Error,
}

/// Where lines go.
#[derive(Clone)]
pub(crate) struct AccessLog {
    lines: SyncSender<String>,
    lost: Arc<AtomicU64>,
    format: AccessLogFormat,
}

impl AccessLog {
    /// Opens the file, and writes to it until all that could still be logged is dropped.
    pub(crate) fn open(settings: &config::AccessLog) -> Result<(Self, JoinHandle<()>), AccessLogError> {
        let target = Target::open(settings.file.as_deref())?;
        let (lines, waiting) = sync_channel(MOST_WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let writing = tokio::task::spawn_blocking({
            let lost = lost.clone();
            move || write(&waiting, target, &lost)
        });
        Ok((Self { lines, lost, format: settings.format }, writing))
    }

    /// Takes note of a request that was just received.
    pub(crate) fn entry<B>(&self, request: &Request<B>) -> Entry {
        let header = |name: HeaderName| {
            let value = request.headers().get(name)?;
            Some(cut(&String::from_utf8_lossy(value.as_bytes())))
        };
        let host = header(HOST).or_else(|| Some(request.uri().authority()?.host().to_owned()));
        Entry {
            log: self.clone(),
            began: Instant::now(),
            at: clock::now(),
            client: Peer::of(request).address,
            user: None,
            method: request.method().clone(),
            path: cut(request.uri().path()),
            query: request.uri().query().map(|query| cut(&without_secrets(query))),
            version: request.version(),
            host,
            referer: header(REFERER).map(|referer| match referer.split_once('?') {
                Some((page, query)) => format!("{page}?{}", without_secrets(query)),
                None => referer,
            }),
            agent: header(USER_AGENT),
            status: StatusCode::OK,
            octets: 0,
        }
    }
}

/// A request, and what became of it so far.
pub(crate) struct Entry {
    log: AccessLog,
    began: Instant,
    at: Timestamp,
    client: IpAddr,
    user: Option<Arc<str>>,
    method: Method,
    path: String,
    query: Option<String>,
    version: Version,
    host: Option<String>,
    referer: Option<String>,
    agent: Option<String>,
    status: StatusCode,
    octets: u64,
}

impl Entry {
    fn line(&self, is_whole: bool) -> String {
        let seconds = self.began.elapsed().as_secs_f64();
        match self.log.format {
            AccessLogFormat::Json => self.json(is_whole, seconds),
            AccessLogFormat::Combined => self.combined(seconds),
        }
    }

    fn json(&self, is_whole: bool, seconds: f64) -> String {
        let line = json!({
            "time": time(self.at),
            "client": self.client.to_string(),
            "user": self.user.as_deref(),
            "method": self.method.as_str(),
            "host": self.host,
            "path": self.path,
            "query": self.query,
            "protocol": format!("{:?}", self.version),
            "status": self.status.as_u16(),
            "octets": self.octets,
            "seconds": (seconds * 1e6).round() / 1e6,
            "whole": is_whole,
            "referer": self.referer,
            "agent": self.agent,
        });
        format!("{line}\n")
    }

    /// As Apache and nginx have it, and the seconds behind it.
    fn combined(&self, seconds: f64) -> String {
        let header = |text: &Option<String>| text.as_deref().map_or_else(|| "-".to_owned(), escaped);
        let query = self.query.as_deref().map_or_else(String::new, |query| format!("?{query}"));
        format!(
            "{} - {} [{}] \"{} {}{} {:?}\" {} {} \"{}\" \"{}\" {seconds:.6}\n",
            self.client,
            // A name may have blanks in it, and whoever reads this counts them.
            self.user.as_deref().map_or_else(|| "-".to_owned(), |user| escaped(user).replace(' ', "\\x20")),
            time_of_apache(self.at),
            escaped(self.method.as_str()),
            escaped(&self.path),
            escaped(&query),
            self.version,
            self.status.as_u16(),
            self.octets,
            header(&self.referer),
            header(&self.agent),
        )
    }

    fn written(&self, is_whole: bool) {
        if self.log.lines.try_send(self.line(is_whole)).is_err() {
            self.log.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The same way to answer, with a line for each request where there is a log.
pub(crate) fn noting<F>(
    log: Option<AccessLog>,
    answer: impl Fn(Request<Incoming>) -> F,
) -> impl Fn(Request<Incoming>) -> BoxFuture<'static, Response<answer::Body>>
where
    F: Future<Output = Response<answer::Body>> + Send + 'static,
{
    move |request| {
        let entry = log.as_ref().map(|log| log.entry(&request));
        let answering = answer(request);
        Box::pin(async move { logged(entry, answering.await).map(BodyExt::boxed_unsync) })
    }
}

/// The answer, whose end is taken note of where there is a log. Probes are no access: they come every few seconds, and see
/// nothing of the network.
fn logged<B: Body>(entry: Option<Entry>, response: Response<B>) -> Response<Logged<B>> {
    let entry = entry.filter(|entry| !PROBES.contains(&entry.path.as_str())).map(|mut entry| {
        entry.status = response.status();
        if let Some(Seen { client, user }) = response.extensions().get() {
            (entry.client, entry.user) = (*client, user.clone());
        }
        entry
    });
    response.map(|body| Logged { body, entry })
}

/// A body of which the end is logged.
pub(crate) struct Logged<B: Body> {
    body: B,
    entry: Option<Entry>,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Logged<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match (&frame, &mut self.entry) {
            (Some(Ok(frame)), Some(entry)) => {
                entry.octets += frame.data_ref().map_or(0, |data| data.len() as u64);
            }
            (None, entry) => {
                if let Some(entry) = entry.take() {
                    entry.written(true);
                }
            }
            _ => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Whoever sent the request has gone, or has all of it.
impl<B: Body> Drop for Logged<B> {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            entry.written(self.body.is_end_stream());
        }
    }
}

/// What is written to.
enum Target {
    Stdout,
    File { path: PathBuf, file: File, looked: Instant },
}

impl Target {
    fn open(path: Option<&Path>) -> Result<Self, AccessLogError> {
        let Some(path) = path else { return Ok(Self::Stdout) };
        let failed = |error| AccessLogError { path: path.to_owned(), error };
        // Who asked what is not for everybody on the machine to read.
        let file = OpenOptions::new().create(true).append(true).mode(0o640).open(path).map_err(failed)?;
        Ok(Self::File { path: path.to_owned(), file, looked: Instant::now() })
    }

    fn write(&mut self, lines: &str) -> io::Result<()> {
        match self {
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(lines.as_bytes())?;
                stdout.flush()
            }
            Self::File { path, file, looked } => {
                if looked.elapsed() >= LOOK_EVERY {
                    *looked = Instant::now();
                    let there = fs::metadata(&*path).ok();
                    let ours = file.metadata()?;
                    if there.is_none_or(|there| (there.dev(), there.ino()) != (ours.dev(), ours.ino())) {
                        *file = OpenOptions::new().create(true).append(true).mode(0o640).open(&*path)?;
                    }
                }
                file.write_all(lines.as_bytes())
            }
        }
    }
}

fn write(waiting: &Receiver<String>, mut target: Target, lost: &AtomicU64) {
    let mut failed = Occasion::default();
    while let Ok(mut lines) = waiting.recv() {
        while lines.len() < 64 * 1024
            && let Ok(line) = waiting.try_recv()
        {
            lines.push_str(&line);
        }
        if let Err(error) = target.write(&lines) {
            lost.fetch_add(lines.lines().count() as u64, Ordering::Relaxed);
            if failed.arises().is_some() {
                warn!("cannot write --access-log: {error}");
            }
        }
        match lost.swap(0, Ordering::Relaxed) {
            0 => {}
            lines => warn!("the access log has {lines} lines less than there were requests"),
        }
    }
}

/// What was asked for, as it may stand in a log.
pub(crate) fn shown(uri: &Uri) -> String {
    match uri.query() {
        Some(query) => format!("{}?{}", uri.path(), without_secrets(query)),
        None => uri.path().to_owned(),
    }
}

/// The query string without what nobody should read in a log.
fn without_secrets(query: &str) -> String {
    let parameters = query.split('&').map(|parameter| {
        let Some((name, _)) = parameter.split_once('=') else { return parameter.to_owned() };
        let plain = percent_decode_str(name).decode_utf8_lossy().to_ascii_lowercase();
        match SECRETS.iter().any(|secret| plain.contains(secret)) {
            true => format!("{name}={HIDDEN}"),
            false => parameter.to_owned(),
        }
    });
    parameters.collect::<Vec<_>>().join("&")
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// With quotes, backslashes and all that cannot be seen written as their octets.
fn escaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '"' | '\\' => plain.extend(['\\', letter]),
            letter if letter.is_control() => {
                let mut octets = [0; 4];
                for octet in letter.encode_utf8(&mut octets).bytes() {
                    plain.push_str(&format!("\\x{octet:02x}"));
                }
            }
            letter => plain.push(letter),
        }
    }
    plain
}

fn time(at: Timestamp) -> String {
    humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_micros(at.as_micros())).to_string()
}

/// `27/Nov/2026:14:00:00 +0000`
fn time_of_apache(at: Timestamp) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = time(at);
    let month = text[5..7].parse::<usize>().ok().and_then(|month| MONTHS.get(month - 1)).unwrap_or(&"Jan");
    format!("{}/{month}/{}:{} +0000", &text[8..10], &text[..4], &text[11..19])
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Empty, Full};

    use super::*;

    /// What is logged of requests that are answered as `answer` says.
    async fn lines(format: AccessLogFormat, requests: Vec<(Request<Empty<Bytes>>, bool)>) -> Vec<String> {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("access");
        let settings = config::AccessLog { file: Some(file.clone()), format };
        let (log, writing) = AccessLog::open(&settings).expect("it is written");
        for (request, is_read) in requests {
            let mut response = Response::new(Full::new(Bytes::from_static(b"twelve octets")));
            response
                .extensions_mut()
                .insert(Seen { client: [192, 0, 2, 7].into(), user: Some("ann b".into()) });
            let response = logged(Some(log.entry(&request)), response);
            if is_read {
                response.into_body().collect().await.expect("it comes whole");
            }
        }
        drop(log);
        writing.await.expect("it is written");
        let text = fs::read_to_string(file).expect("it is there");
        text.lines().map(str::to_owned).collect()
    }

    fn request(path: &str) -> Request<Empty<Bytes>> {
        let request = Request::get(path).header(HOST, "van.example").header(USER_AGENT, "a \"b\" \\");
        request.header(REFERER, "http://x/?token=t&a=b").body(Empty::new()).expect("a request")
    }

    #[tokio::test]
    async fn a_line_says_who_asked_what_and_what_became_of_it() {
        let asked = vec![
            (request("/api?limit=2&Access_Token=abc&p%61ssword=x"), true),
            (request("/healthz"), true),
            (request("/readyz"), true),
            (request("/"), false),
        ];
        let lines = lines(AccessLogFormat::Json, asked).await;
        let lines: Vec<serde_json::Value> =
            lines.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let [first, second] = lines.as_slice() else { panic!("{lines:?}") };
        for (name, expected) in [
            ("client", json!("192.0.2.7")),
            ("user", json!("ann b")),
            ("method", json!("GET")),
            ("host", json!("van.example")),
            ("path", json!("/api")),
            ("query", json!("limit=2&Access_Token=***&p%61ssword=***")),
            ("protocol", json!("HTTP/1.1")),
            ("status", json!(200)),
            ("octets", json!(13)),
            ("whole", json!(true)),
            ("referer", json!("http://x/?token=***&a=b")),
            ("agent", json!("a \"b\" \\")),
        ] {
            assert_eq!(first[name], expected, "{name}");
        }
        assert!(first["seconds"].as_f64().is_some_and(|seconds| seconds >= 0.0));
        assert!(first["time"].as_str().is_some_and(|time| time.ends_with('Z')));
        assert_eq!((&second["octets"], &second["whole"]), (&json!(0), &json!(false)));
    }

    #[tokio::test]
    async fn the_combined_format_is_that_of_apache_with_the_time_it_took() {
        let lines = lines(AccessLogFormat::Combined, vec![(request("/api?a=b"), true)]).await;
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        let (head, rest) = line.split_once(" [").expect("a time");
        assert_eq!(head, "192.0.2.7 - ann\\x20b");
        let (_, rest) = rest.split_once("+0000] ").expect("a time");
        let (what, seconds) = rest.rsplit_once(' ').expect("seconds");
        assert_eq!(what, "\"GET /api?a=b HTTP/1.1\" 200 13 \"http://x/?token=***&a=b\" \"a \\\"b\\\" \\\\\"");
        assert!(seconds.parse::<f64>().is_ok_and(|seconds| seconds >= 0.0), "{seconds}");
    }

    #[test]
    fn nothing_that_a_client_sends_makes_a_line_of_its_own() {
        let uri = Uri::from_static("http://ann:sesame@van.example/api?x=1&token=sesame");
        assert_eq!(shown(&uri), "/api?x=1&token=***");
        assert_eq!(escaped("a\nb\r\t\x1b[2J\u{85}"), "a\\x0ab\\x0d\\x09\\x1b[2J\\xc2\\x85");
        assert_eq!(cut(&"é".repeat(LONGEST + 1)).chars().count(), LONGEST + 1);
        let at = Timestamp::from_micros(1_795_788_005_000_000);
        assert_eq!(
            (time(at), time_of_apache(at)),
            ("2026-11-27T14:00:05.000Z".to_owned(), "27/Nov/2026:14:00:05 +0000".to_owned())
        );
    }

    #[tokio::test]
    async fn a_file_that_was_moved_away_is_made_anew() {
        let directory = tempfile::tempdir().expect("a directory");
        let (path, old) = (directory.path().join("access"), directory.path().join("access.1"));
        let mut target = Target::open(Some(&path)).expect("it opens");
        target.write("a\n").expect("it is written");
        fs::rename(&path, &old).expect("it moves");
        if let Target::File { looked, .. } = &mut target {
            *looked -= LOOK_EVERY;
        }
        target.write("b\n").expect("it is written");
        assert_eq!(fs::read_to_string(&old).expect("text"), "a\n");
        assert_eq!(fs::read_to_string(&path).expect("text"), "b\n");
        assert_eq!(fs::metadata(&path).expect("it is there").mode() & 0o137, 0, "it is not for everybody");
        let error = Target::open(Some(directory.path())).err().expect("a directory is no file");
        let text = error.to_string().replace(&*directory.path().to_string_lossy(), "DIR");
        assert_eq!(text, "cannot write --access-log DIR: Is a directory (os error 21)");
    }
}
