//! Finished files of the history, in a bucket: what is there outlives this disk, which keeps the newest.
//!
//! A file is finished when its hour has been over for a while and nothing is merged with it any more. It is sent under the path
//! that it has in the directory, with the collector and its rows in its name. What could not be sent stays on disk, whatever
//! --history-keep says; it is tried again. What the disk has no more is read from there.

mod cache;
mod place;
mod reading;
#[cfg(test)]
mod tests;

use std::{io, path::Path, pin::Pin, sync::Arc, time::Duration};

use http_body_util::BodyExt;
use object_store::{
    ClientOptions,
    aws::AmazonS3Builder,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse,
        HttpResponseBody, HttpService,
    },
};
use thiserror::Error;
use tokio::{runtime::Handle, task::spawn_blocking, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use vanflow_api::metrics::{Health, Written};
use vanflow_history::Archive;

use self::{cache::Cache, place::Bucket, reading::InBucket};
use crate::{
    clock, config,
    occasion::Outage,
    outbound::{self, Named, OutboundError},
};

/// How often it is looked for files that are finished.
const EVERY: Duration = Duration::from_secs(10);

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
    /// What was read from there cannot be kept for a while.
    #[error("cannot keep what is read from the bucket in {path}: {error}")]
    Cache {
        /// The directory.
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
    bucket: Arc<Bucket>,
    rows: InBucket,
    health: Arc<Health>,
    sent: u64,
    outage: Outage,
}

impl Uploader {
    /// Sends nothing yet. Blocks.
    pub(crate) fn new(
        settings: config::Bucket,
        archive: Arc<Archive>,
        directory: &Path,
        health: Arc<Health>,
        runtime: Handle,
    ) -> Result<Self, BucketError> {
        let collector = named(&directory.join("collector"))?;
        let parts = directory.join("cache");
        let cache = Cache::open(parts.clone(), settings.cache_octets)
            .map_err(|error| BucketError::Cache { path: parts.display().to_string(), error })?;
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
        let bucket = Bucket::new(Arc::new(store), url, settings.prefix, collector);
        Ok(Self::of(Arc::new(bucket), archive, cache, health, runtime))
    }

    fn of(
        bucket: Arc<Bucket>,
        archive: Arc<Archive>,
        cache: Cache,
        health: Arc<Health>,
        runtime: Handle,
    ) -> Self {
        let rows = InBucket::new(bucket.clone(), cache, runtime);
        Self { archive, bucket, rows, health, sent: 0, outage: Outage::default() }
    }

    /// The rows that are in the bucket.
    pub(crate) fn rows(&self) -> InBucket {
        self.rows.clone()
    }

    /// Sends files as they are finished, until `shutdown`. What is not sent by then is by the next process.
    pub(crate) async fn keep(mut self, shutdown: CancellationToken) {
        let mut retry_after = EVERY;
        loop {
            let outcome = tokio::select! {
                outcome = self.send_all() => outcome,
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

    /// Sends what is finished and not there, and removes what was replaced.
    async fn send_all(&mut self) -> Result<(), String> {
        let known = self.bucket.files().await?;
        let archive = self.archive.clone();
        let now = clock::now().as_micros();
        let finished =
            spawn_blocking(move || archive.finished(now)).await.map_err(|error| error.to_string())?;
        for file in finished {
            let name = self.bucket.name(&file);
            if !known.contains_key(&name) {
                // It may have been merged with another since.
                let path = file.path.clone();
                let read =
                    spawn_blocking(move || std::fs::read(path)).await.map_err(|error| error.to_string())?;
                let octets = match read {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    read => read.map_err(|error| format!("cannot read {}: {error}", file.path.display()))?,
                };
                self.bucket.send(&name, octets).await?;
                self.sent += file.rows;
            }
            // What it was merged from is of no use any more.
            for old in known.values().filter(|other| self.bucket.is_in(other, &file)) {
                self.bucket.remove(&old.name).await?;
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
        self.health.troubled("bucket", Some(format!("the bucket {} cannot be had: {why}", self.bucket.url)));
    }

    fn works(&mut self) {
        if let Some(lasted) = self.outage.ends() {
            let (url, lost) = (&self.bucket.url, self.archive.lost());
            info!("the history is sent to {url} again, after {lasted}; {lost} rows were lost by now");
            self.health.troubled("bucket", None);
        }
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
