//! Finished files of the history, in a bucket: what is there outlives this disk, which keeps the newest.
//!
//! A file is finished when its hour has been over for a while and nothing is merged with it any more. It is sent under the path
//! that it has in the directory, with the collector and its rows in its name. What could not be sent stays on disk, whatever
//! --history-keep says; it is tried again.

use std::{collections::BTreeSet, future::Future, io, path::Path, pin::Pin, sync::Arc, time::Duration};

use futures_util::TryStreamExt;
use http_body_util::BodyExt;
use object_store::{
    ClientOptions, ObjectStore, ObjectStoreExt,
    aws::{AmazonS3, AmazonS3Builder},
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse,
        HttpResponseBody, HttpService,
    },
    path::Path as Key,
};
use thiserror::Error;
use tokio::{
    task::spawn_blocking,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use vanflow_api::metrics::{Health, Written};
use vanflow_history::{Archive, FinishedFile};

use crate::{
    clock, config,
    occasion::Outage,
    outbound::{self, Named, OutboundError},
};

/// How often it is looked for files that are finished.
const EVERY: Duration = Duration::from_secs(10);

/// How long a file may take to be sent.
const SENT_WITHIN: Duration = Duration::from_secs(120);

/// How long it is waited before a bucket that failed is tried again, at most.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// Why finished files cannot be sent, whatever the bucket says.
#[derive(Debug, Error)]
pub enum BucketError {
    /// What says who sends them makes no sense.
    #[error("--history-bucket {url}: {why}")]
    Settings {
        /// The bucket.
        url: String,
        /// What is wrong.
        why: String,
    },
    /// The name of this collector in the bucket cannot be kept.
    #[error("cannot keep the name of this collector in {path}: {error}")]
    Name {
        /// The file that it should be in.
        path: String,
        /// Why not.
        error: io::Error,
    },
    /// The server cannot be trusted.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
}

/// Sends files that are finished.
#[derive(Debug)]
pub(crate) struct Uploader {
    archive: Arc<Archive>,
    bucket: Bucket,
    health: Arc<Health>,
    sent: u64,
    outage: Outage,
}

/// A place in a bucket.
#[derive(Debug)]
struct Bucket {
    store: AmazonS3,
    url: String,
    /// What all names begin with; empty where they begin with nothing.
    prefix: String,
    /// What this collector is called in names.
    collector: String,
}

impl Uploader {
    /// Sends nothing yet. Blocks.
    pub(crate) fn new(
        settings: config::Bucket,
        archive: Arc<Archive>,
        directory: &Path,
        health: Arc<Health>,
    ) -> Result<Self, BucketError> {
        let collector = named(&directory.join("collector"))?;
        let server = Named { what: "bucket", option: "--history-bucket-ca" };
        let client = outbound::client(
            server,
            settings.endpoint.as_deref().unwrap_or("https:"),
            settings.ca.as_deref(),
        )?;
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(&settings.bucket)
            .with_http_connector(Connector(client))
            .with_retry(object_store::RetryConfig { max_retries: 0, ..Default::default() });
        if let Some(endpoint) = settings.endpoint {
            builder = builder.with_allow_http(endpoint.starts_with("http:")).with_endpoint(endpoint);
        }
        let url = settings.url;
        let store = builder
            .build()
            .map_err(|error| BucketError::Settings { url: url.clone(), why: error.to_string() })?;
        let bucket = Bucket { store, url, prefix: settings.prefix, collector };
        Ok(Self { archive, bucket, health, sent: 0, outage: Outage::default() })
    }

    /// Sends files as they are finished, until `shutdown`. What is not sent by then is by the next process.
    pub(crate) async fn keep(mut self, shutdown: CancellationToken) {
        let mut known = None;
        let mut retry_after = EVERY;
        loop {
            let outcome = tokio::select! {
                outcome = self.send_all(&mut known) => outcome,
                () = shutdown.cancelled() => return,
            };
            let after = match outcome {
                Ok(()) => {
                    self.works();
                    retry_after = EVERY;
                    EVERY
                }
                Err(why) => {
                    self.fails(&why);
                    retry_after = (retry_after * 2).min(RETRY_AFTER);
                    retry_after
                }
            };
            let lost = self.archive.lost();
            self.health.wrote("bucket", Written { written: self.sent, lost });
            tokio::select! {
                () = sleep(after) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// Sends what is finished and not there, and removes what was replaced. `known` is what is there, once it was asked.
    async fn send_all(&mut self, known: &mut Option<BTreeSet<String>>) -> Result<(), String> {
        if known.is_none() {
            *known = Some(self.bucket.list().await?);
        }
        let Some(known) = known else { return Ok(()) };
        let archive = self.archive.clone();
        let now = clock::now().as_micros();
        let finished =
            spawn_blocking(move || archive.finished(now)).await.map_err(|error| error.to_string())?;
        for file in finished {
            let name = self.bucket.name(&file);
            if !known.contains(&name) {
                // It may have been merged with another since.
                if !self.bucket.send(&file, &name).await? {
                    continue;
                }
                known.insert(name.clone());
                self.sent += file.rows;
            }
            // What it was merged from is of no use any more.
            let replaced: Vec<_> =
                known.iter().filter(|other| self.bucket.is_in(other, &file)).cloned().collect();
            for old in replaced {
                self.bucket.remove(&old).await?;
                known.remove(&old);
            }
            self.archive.sent(&file);
        }
        Ok(())
    }

    fn fails(&mut self, why: &str) {
        if self.outage.begins() {
            let url = &self.bucket.url;
            warn!("cannot send the history to {url}: {why}; it stays on disk, and is tried again");
        }
    }

    fn works(&mut self) {
        if let Some(lasted) = self.outage.ends() {
            let (url, lost) = (&self.bucket.url, self.archive.lost());
            info!("the history is sent to {url} again, after {lasted}; {lost} rows were lost by now");
        }
    }
}

impl Bucket {
    /// The name of a file there: its path, with the collector and its rows before the end.
    fn name(&self, file: &FinishedFile) -> String {
        let stem = file.name.strip_suffix(".parquet").unwrap_or(&file.name);
        format!("{}{stem}.{}.{}.parquet", self.prefix, self.collector, file.rows)
    }

    /// Whether the rows of what is called so there are in that file, which is another.
    fn is_in(&self, name: &str, file: &FinishedFile) -> bool {
        let its = |name: &str| {
            let mut parts = name.strip_prefix(&self.prefix)?.strip_suffix(".parquet")?.rsplitn(3, '.');
            let (_rows, collector, stem) = (parts.next()?, parts.next()?, parts.next()?);
            (collector == self.collector).then(|| format!("{stem}.parquet"))
        };
        its(name).is_some_and(|its| its != file.name && file.has_rows_of(&its))
    }

    /// What of this collector is there.
    async fn list(&self) -> Result<BTreeSet<String>, String> {
        let prefix = key(self.prefix.trim_end_matches('/'))?;
        let prefix = (!self.prefix.is_empty()).then_some(&prefix);
        let listed = self.store.list(prefix).try_collect::<Vec<_>>();
        let listed = within(listed).await?;
        let names = listed.into_iter().map(|object| object.location.to_string());
        let its = format!(".{}.", self.collector);
        Ok(names.filter(|name| name.contains(&its)).collect())
    }

    /// Sends a file; false where it is not there any more.
    async fn send(&self, file: &FinishedFile, name: &str) -> Result<bool, String> {
        let path = file.path.clone();
        let octets =
            match spawn_blocking(move || std::fs::read(path)).await.map_err(|error| error.to_string())? {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                read => read.map_err(|error| format!("cannot read {}: {error}", file.path.display()))?,
            };
        within(self.store.put(&key(name)?, octets.into())).await.map(|_| true)
    }

    async fn remove(&self, name: &str) -> Result<(), String> {
        within(self.store.delete(&key(name)?)).await
    }
}

fn key(name: &str) -> Result<Key, String> {
    Key::parse(name).map_err(|error| error.to_string())
}

async fn within<T>(asked: impl Future<Output = object_store::Result<T>>) -> Result<T, String> {
    match timeout(SENT_WITHIN, asked).await {
        Ok(outcome) => outcome.map_err(|error| outbound::reasons(&error)),
        Err(_) => Err(format!("it did not answer within {}", humantime::format_duration(SENT_WITHIN))),
    }
}

/// What a collector is called that has this file: a name that is made once.
fn named(path: &Path) -> Result<String, BucketError> {
    let failed = |error| BucketError::Name { path: path.display().to_string(), error };
    match std::fs::read_to_string(path) {
        Ok(name) => Ok(name.trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let name = format!("{:016x}", rand::random::<u64>());
            std::fs::create_dir_all(path.parent().unwrap_or(path)).map_err(failed)?;
            std::fs::write(path, &name).map_err(failed)?;
            Ok(name)
        }
        Err(error) => Err(failed(error)),
    }
}

/// Has the store ask by the connections that everything here asks by.
#[derive(Debug)]
struct Connector(outbound::Client<HttpRequestBody>);

/// A client of that.
#[derive(Debug)]
struct Service(outbound::Client<HttpRequestBody>);

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Service(self.0.clone())))
    }
}

impl HttpService for Service {
    fn call<'s, 'a>(
        &'s self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>>
    where
        's: 'a,
        Self: 'a,
    {
        let asked = self.0.request(request);
        Box::pin(async move {
            let answer = asked.await.map_err(|error| {
                let kind = if error.is_connect() { HttpErrorKind::Connect } else { HttpErrorKind::Request };
                HttpError::new(kind, error)
            })?;
            Ok(answer.map(|body| {
                HttpResponseBody::new(body.map_err(|error| HttpError::new(HttpErrorKind::Interrupted, error)))
            }))
        })
    }
}
