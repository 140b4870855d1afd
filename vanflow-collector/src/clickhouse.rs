//! What has ended, in a ClickHouse: rows are put in an outbox on disk some seconds after they ended, and sent from there.
//!
//! A batch that was sent and not acknowledged is sent again, under the same name, by which the server passes it over. A row that
//! comes twice all the same, as after a restart, replaces itself: tables are of the kind that does so.

mod outbox;
mod reading;
mod tables;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use self::tables::{definition, extended};

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request,
    header::{CONTENT_LENGTH, HeaderName},
};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use thiserror::Error;
use tokio::{
    sync::Notify,
    task::{JoinError, spawn_blocking},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use vanflow_api::{
    Api, Due, Ended, TakenEvents, history_tables,
    metrics::{Health, Written},
};
use vanflow_history::rows::{Row, Table};

use self::{
    outbox::{Batch, Outbox},
    reading::{InClickHouse, Whose},
    tables::Place,
};
use crate::{
    chore::{self, Turn},
    clock, config,
    occasion::{Occasion, Outage},
    outbound::{self, Named, OutboundError},
};

/// How often what ended is taken.
const EVERY: Duration = Duration::from_secs(1);

/// How long rows wait for others to be sent with, and how many are sent together.
const BATCH_AFTER: Duration = Duration::from_secs(5);
const ROWS_IN_BATCH: usize = 50_000;

/// How long a server may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// How long it is waited before a server that failed is tried again: at first, and at most.
const RETRY_AFTER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// How long what is left may take to be sent when the collector leaves. The rest stays in the outbox.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);

/// How much of what a server says is read.
const LONGEST_ANSWER: usize = 64 << 10;

/// Why what has ended cannot be sent to a ClickHouse, whatever that says.
#[derive(Debug, Error)]
pub enum ClickHouseError {
    /// The directory of what waits is not to be had.
    #[error("cannot keep what waits for the ClickHouse in {}: {error}", directory.display())]
    Outbox {
        /// The directory.
        directory: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The file with the password cannot be read.
    #[error("cannot read --history-clickhouse-password-file {}: {error}", path.display())]
    Password {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The server cannot be trusted.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
}

/// Sends what has ended.
#[derive(Debug)]
pub(crate) struct Exporter {
    packer: Packer,
    sender: Sender,
    /// The server, for those who ask.
    reader: Server,
}

/// Puts what has ended in the outbox.
#[derive(Debug)]
struct Packer {
    outbox: Arc<Outbox>,
    /// As they are in the ClickHouse.
    tables: Vec<Table>,
    network: String,
    observer: String,
    ended: Ended,
    events: TakenEvents,
    waiting: Vec<(usize, Row)>,
    since: Option<Instant>,
    health: Arc<Health>,
    trouble: Occasion,
    is_filled: Arc<Notify>,
}

/// Sends what is in the outbox.
#[derive(Debug)]
struct Sender {
    outbox: Arc<Outbox>,
    server: Server,
    tables: Vec<Table>,
    place: Place,
    /// Whether the tables are there, as far as is known.
    is_prepared: bool,
    is_filled: Arc<Notify>,
    health: Arc<Health>,
    outage: Outage,
}

/// A server, and who asks it.
#[derive(Clone)]
struct Server {
    client: outbound::Client,
    url: String,
    user: Option<HeaderValue>,
    password: Option<HeaderValue>,
}

/// Why a server did not do what it was asked.
#[derive(Debug)]
enum Failure {
    /// It was not reached, or cannot do anything now.
    Unreachable(String),
    /// It refused this.
    Refused(String),
}

impl Exporter {
    /// Opens the outbox. Nothing is sent yet. Blocks.
    pub(crate) fn open(settings: config::ClickHouse, health: Arc<Health>) -> Result<Self, ClickHouseError> {
        let directory = settings.outbox;
        let outbox = Outbox::open(&directory, settings.outbox_octets);
        let outbox =
            outbox.map_err(|error| ClickHouseError::Outbox { directory: directory.clone(), error })?;
        let waiting = outbox.counts().waiting;
        if waiting > 0 {
            info!("{waiting} rows wait in {} for the ClickHouse", directory.display());
        }
        let (outbox, is_filled) = (Arc::new(outbox), Arc::new(Notify::new()));
        let named = Named { what: "ClickHouse", option: "--history-clickhouse-ca" };
        let server = Server {
            client: outbound::client(named, &settings.url, settings.ca.as_deref())?,
            url: settings.url,
            user: settings.user.and_then(|user| HeaderValue::from_str(&user).ok()),
            password: settings.password_file.map(password).transpose()?,
        };
        let reader = match settings.reader {
            Some(reader) => Server {
                user: HeaderValue::from_str(&reader).ok(),
                password: settings.reader_password_file.map(password).transpose()?,
                ..server.clone()
            },
            None => server.clone(),
        };
        let plain = history_tables();
        Ok(Self {
            packer: Packer {
                outbox: outbox.clone(),
                tables: plain.iter().map(tables::extended).collect(),
                network: settings.network.unwrap_or_default(),
                observer: settings.observer.unwrap_or_default(),
                ended: Ended::default(),
                events: TakenEvents::default(),
                waiting: Vec::new(),
                since: None,
                health: health.clone(),
                trouble: Occasion::default(),
                is_filled: is_filled.clone(),
            },
            sender: Sender {
                outbox,
                server,
                tables: plain,
                place: Place { database: settings.database, cluster: settings.cluster, keep: settings.keep },
                is_prepared: false,
                is_filled,
                health,
                outage: Outage::default(),
            },
            reader,
        })
    }

    /// The rows of the ClickHouse.
    pub(crate) fn rows(&self) -> InClickHouse {
        let (network, observer) = (self.packer.network.clone(), self.packer.observer.clone());
        InClickHouse::new(self.reader.clone(), self.sender.place.clone(), Whose { network, observer })
    }

    /// Sends what ends, until `shutdown`, and then what can be sent within some seconds.
    pub(crate) async fn keep(self, api: Api, shutdown: CancellationToken) {
        let Self { packer, sender, .. } = self;
        let take = move |packer: &mut Packer, turn| packer.take(&api, turn);
        let packed = CancellationToken::new();
        let sending = tokio::spawn(sender.send(packed.clone()));
        if let Err(error) = chore::repeat(packer, EVERY, shutdown, take).await {
            error!("what ends is no longer sent to the ClickHouse: {error}");
        }
        packed.cancel();
        if let Err(error) = sending.await {
            error!("what ended is no longer sent to the ClickHouse: {error}");
        }
    }
}

impl Packer {
    /// Takes what ended since the last time, and puts it in the outbox when it is much or has waited for long. Blocks.
    fn take(&mut self, api: &Api, turn: Turn) {
        let due = if turn == Turn::Last { Due::All } else { Due::Settled };
        let mut outcome = self.pack_due(false);
        if outcome.is_ok() {
            self.waiting.extend(api.take_events(&mut self.events));
        }
        while outcome.is_ok() {
            let ended = api.take_ended(&mut self.ended, due);
            if ended.is_empty() {
                outcome = self.pack_due(turn == Turn::Last);
                break;
            }
            self.waiting.extend(ended);
            outcome = self.pack_due(false);
        }
        match outcome {
            Ok(()) => {
                if self.trouble.is_over() {
                    info!(
                        "what ends can be put on disk for the ClickHouse again; {} rows were lost by now",
                        self.ended.missed()
                    );
                }
            }
            Err(error) => {
                api.observe_ended(&mut self.ended);
                if self.trouble.arises().is_some() {
                    error!(
                        "cannot put what ends on disk for the ClickHouse: {error}; collecting goes on, and what has ended \
                         waits until that works again, for as long as it is held"
                    );
                }
            }
        }
        let counts = self.outbox.counts();
        let lost = counts.lost + self.ended.missed();
        self.health.wrote("clickhouse", Written { written: counts.sent, lost });
    }

    /// Puts what waits in the outbox where it is much, has waited for long, or is the last.
    fn pack_due(&mut self, is_last: bool) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        if is_last || self.waiting.len() >= ROWS_IN_BATCH || since.elapsed() >= BATCH_AFTER {
            self.pack(clock::now().as_micros())?;
            self.since = None;
        }
        Ok(())
    }

    /// Puts what waits in the outbox, by table.
    fn pack(&mut self, now_micros: u64) -> io::Result<()> {
        for (at, table) in self.tables.iter().enumerate() {
            let extension = tables::extension(&self.observer, now_micros);
            let its = self.waiting.iter().filter(|(of, _)| *of == at);
            let rows: Vec<Row> = its
                .map(|(_, row)| Row { values: row.values.iter().cloned().chain(extension.clone()).collect() })
                .collect();
            for rows in rows.chunks(ROWS_IN_BATCH) {
                self.outbox.put(table, rows, now_micros)?;
            }
            self.waiting.retain(|(of, _)| *of != at);
            self.is_filled.notify_one();
        }
        Ok(())
    }
}

impl Sender {
    /// Sends what is in the outbox and what comes into it, until `packed`, and then once more.
    async fn send(mut self, packed: CancellationToken) {
        let mut retry_after = RETRY_AFTER.0;
        loop {
            let outcome = if packed.is_cancelled() {
                timeout(LEAVE_WITHIN, self.send_all()).await.unwrap_or(Ok(()))
            } else {
                tokio::select! {
                    outcome = self.send_all() => outcome,
                    // What is being sent is sent again then, under its name.
                    () = packed.cancelled() => continue,
                }
            };
            if packed.is_cancelled() {
                let waiting = self.outbox.counts().waiting;
                if waiting > 0 {
                    warn!("{waiting} rows are not in the ClickHouse yet; they are sent at the next start");
                }
                return;
            }
            let next = match outcome {
                Ok(()) => {
                    retry_after = RETRY_AFTER.0;
                    self.works();
                    None
                }
                Err(why) => {
                    self.fails(&why);
                    self.is_prepared = false;
                    let after = retry_after;
                    retry_after = (retry_after * 2).min(RETRY_AFTER.1);
                    Some(after)
                }
            };
            let waited = async {
                match next {
                    Some(after) => sleep(after).await,
                    None => self.is_filled.notified().await,
                }
            };
            tokio::select! {
                () = waited => {}
                () = packed.cancelled() => {}
            }
        }
    }

    /// Sends all that waits. What the server refuses stays where it is, and the others are sent.
    async fn send_all(&mut self) -> Result<(), String> {
        // Whoever asks finds tables, though nothing is in them yet.
        if !self.is_prepared {
            self.prepare().await?;
        }
        let mut refused = None;
        for batch in self.outbox.waiting() {
            match self.send_one(&batch).await.map_err(|error| error.to_string())? {
                Ok(()) => {}
                Err(Failure::Unreachable(why)) => return Err(why),
                Err(Failure::Refused(why)) => refused = refused.or(Some(why)),
            }
        }
        refused.map_or(Ok(()), Err)
    }

    async fn send_one(&self, batch: &Batch) -> Result<Result<(), Failure>, JoinError> {
        let Some(table) = self.tables.iter().find(|table| table.name == batch.table) else {
            return Ok(Err(Failure::Refused(format!("there is no table {}", batch.table))));
        };
        let (outbox, its) = (self.outbox.clone(), batch.clone());
        let octets = match spawn_blocking(move || outbox.read(&its)).await? {
            Ok(Some(octets)) => octets,
            Ok(None) => return Ok(Ok(())),
            Err(error) => return Ok(Err(Failure::Refused(format!("cannot read {}: {error}", batch.name)))),
        };
        let settings = [("insert_deduplication_token", &*batch.name)];
        let sent = self.server.post(&self.place.insert(table), &settings, octets.into()).await;
        if let Err(failure) = sent {
            return Ok(Err(failure));
        }
        let (outbox, its) = (self.outbox.clone(), batch.clone());
        if let Err(error) = spawn_blocking(move || outbox.sent(&its)).await? {
            warn!("cannot remove {}, which is in the ClickHouse: {error}", batch.name);
        }
        Ok(Ok(()))
    }

    /// Has the tables be there.
    async fn prepare(&mut self) -> Result<(), String> {
        for table in &self.tables {
            for statement in tables::made(&self.place, table) {
                let made = self.server.post(&statement, &[], Bytes::new()).await;
                made.map_err(|(Failure::Unreachable(why) | Failure::Refused(why))| why)?;
            }
        }
        self.is_prepared = true;
        Ok(())
    }

    fn fails(&mut self, why: &str) {
        if self.outage.begins() {
            let url = &self.server.url;
            warn!(
                "cannot send what ended to the ClickHouse at {url}: {why}; it waits on disk, and is tried again"
            );
        }
        let url = &self.server.url;
        self.health.troubled("clickhouse", Some(format!("the ClickHouse at {url} cannot be had: {why}")));
    }

    fn works(&mut self) {
        if let Some(lasted) = self.outage.ends() {
            let lost = self.outbox.counts().lost;
            info!("what ends is in the ClickHouse again, after {lasted}; {lost} rows were lost by now");
            self.health.troubled("clickhouse", None);
        }
    }
}

impl Server {
    /// Has a statement done, with that for its data.
    async fn post(&self, statement: &str, settings: &[(&str, &str)], data: Bytes) -> Result<(), Failure> {
        self.answer(statement, settings, data).await.map(drop)
    }

    /// What it answers to a question, which changes nothing there.
    async fn ask(&self, statement: &str, settings: &[(&str, &str)]) -> Result<Incoming, Failure> {
        let settings: Vec<_> = settings.iter().copied().chain([("readonly", "1")]).collect();
        self.answer(statement, &settings, Bytes::new()).await
    }

    async fn answer(
        &self,
        statement: &str,
        settings: &[(&str, &str)],
        data: Bytes,
    ) -> Result<Incoming, Failure> {
        let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        let mut uri = format!("{}/?query={}", self.url, encoded(statement));
        for (name, value) in settings {
            uri.push_str(&format!("&{name}={}", encoded(value)));
        }
        let length = data.len();
        let mut request = Request::new(Full::new(data));
        // It refuses a POST that does not say how long it is, one of nothing, too.
        request.headers_mut().insert(CONTENT_LENGTH, length.into());
        *request.method_mut() = Method::POST;
        *request.uri_mut() =
            uri.parse().map_err(|error: http::uri::InvalidUri| Failure::Refused(error.to_string()))?;
        let named = [("x-clickhouse-user", &self.user), ("x-clickhouse-key", &self.password)];
        for (name, value) in named {
            if let Some(value) = value {
                request.headers_mut().insert(HeaderName::from_static(name), value.clone());
            }
        }
        let unreachable = |why: String| Failure::Unreachable(why);
        let answer = timeout(ANSWER_WITHIN, self.client.request(request)).await.map_err(|_| {
            unreachable(format!("it did not answer within {}", humantime::format_duration(ANSWER_WITHIN)))
        })?;
        let answer = answer.map_err(|error| unreachable(outbound::reasons(&error)))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer.into_body());
        }
        let body = timeout(ANSWER_WITHIN, Limited::new(answer.into_body(), LONGEST_ANSWER).collect()).await;
        let body = body.ok().and_then(Result::ok).map(|body| body.to_bytes()).unwrap_or_default();
        let text = String::from_utf8_lossy(&body);
        let why = format!("it answers {}: {}", status.as_u16(), text.lines().next().unwrap_or_default());
        // What it says of the one who asks it says of all that is asked.
        Err(match status.as_u16() {
            400 | 413 | 422 => Failure::Refused(why),
            _ => Failure::Unreachable(why),
        })
    }
}

/// The password in a file, for a header.
fn password(path: PathBuf) -> Result<HeaderValue, ClickHouseError> {
    let text = std::fs::read_to_string(&path);
    let value = text.and_then(|text| {
        HeaderValue::from_str(text.trim_end_matches(['\r', '\n'])).map_err(io::Error::other)
    });
    let mut value = value.map_err(|error| ClickHouseError::Password { path, error })?;
    value.set_sensitive(true);
    Ok(value)
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("url", &self.url).finish_non_exhaustive()
    }
}
