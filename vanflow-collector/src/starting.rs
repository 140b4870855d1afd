//! What is answered before there is anything to answer from: while the records that were kept are read, which takes seconds
//! where they are very many. Whoever watches over the process is told that it lives, and how far it is; all others, to come
//! again.

use std::{
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use http::{
    HeaderValue, Request, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
};
use hyper::body::Incoming;
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};
use tracing::info;
use vanflow_api::metrics::{Health, TurnedAway};

use crate::{
    answer::{Body, whole},
    front::is_probe,
    terminal::StatusLine,
};

/// How often the log says how far the start is.
const SAY_EVERY: Duration = Duration::from_secs(2);

/// How far the start is. Clones are of the same start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    /// In percent.
    read: Arc<AtomicU8>,
}

impl Progress {
    /// So much was read of so much that is to be.
    pub(crate) fn read(&self, done: u64, all: u64) {
        let percent = done.saturating_mul(100).checked_div(all).unwrap_or_default().min(100);
        self.read.store(u8::try_from(percent).unwrap_or(100), Ordering::Relaxed);
    }

    fn text(&self) -> String {
        format!("reading the records that were kept: {} %", self.read.load(Ordering::Relaxed))
    }

    /// Says in the log, or in the line of a terminal, how far it is, again and again.
    pub(crate) async fn say(self, line: Option<StatusLine>) {
        let mut pace = interval(SAY_EVERY);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // What is read at once is nothing to speak of.
        pace.tick().await;
        loop {
            pace.tick().await;
            match &line {
                Some(line) => line.show(&self.text()),
                None => info!("{}", self.text()),
            }
        }
    }
}

type Answering = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;
type Respond = Box<dyn Fn(Request<Incoming>) -> Answering + Send + Sync>;

/// Where requests come in: from the start, and to what answers them once that is there.
#[derive(Clone)]
pub(crate) struct Door {
    progress: Progress,
    respond: Arc<OnceLock<Respond>>,
    health: Arc<Health>,
}

impl Door {
    /// Whom it turns away is counted there.
    pub(crate) fn new(progress: &Progress, health: Arc<Health>) -> Self {
        Self { progress: progress.clone(), respond: Arc::default(), health }
    }

    /// Has all requests from now on answered so. It is opened once.
    pub(crate) fn open<F>(&self, respond: impl Fn(Request<Incoming>) -> F + Send + Sync + 'static)
    where
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let _ = self.respond.set(Box::new(move |request| Box::pin(respond(request))));
    }

    /// The answer to a request.
    pub(crate) fn answer(&self, request: Request<Incoming>) -> Answering {
        match self.respond.get() {
            Some(respond) => respond(request),
            None => {
                let path = request.uri().path();
                if !is_probe(path) {
                    self.health.turned_away(TurnedAway::Starting);
                }
                Box::pin(std::future::ready(closed(path, &self.progress)))
            }
        }
    }
}

/// The answer before there is anything to answer from.
fn closed(path: &str, progress: &Progress) -> Response<Body> {
    let text = progress.text();
    let (status, json) = match path {
        "/healthz" => (StatusCode::OK, json!({ "status": "alive" })),
        "/readyz" => (
            StatusCode::SERVICE_UNAVAILABLE,
            json!({
                "status": "not ready",
                "attached": false,
                "flushed": false,
                "detail": text,
                "error": "the collector is starting",
            }),
        ),
        _ => {
            let error = format!("the collector is starting, and {text}; ask again soon");
            (StatusCode::SERVICE_UNAVAILABLE, json!({ "error": error }))
        }
    };
    let mut response = Response::new(whole(format!("{json}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn before_there_is_anything_to_answer_from_probes_say_how_far_the_start_is() {
        let progress = Progress::default();
        progress.read(9, 20);
        for (path, status, text) in [
            ("/healthz", 200, r#"{"status":"alive"}"#),
            (
                "/readyz",
                503,
                r#"{"status":"not ready","attached":false,"flushed":false,"detail":"reading the records that were kept: 45 %","error":"the collector is starting"}"#,
            ),
            (
                "/api/v2alpha1/sites",
                503,
                r#"{"error":"the collector is starting, and reading the records that were kept: 45 %; ask again soon"}"#,
            ),
        ] {
            let response = closed(path, &progress);
            assert_eq!(response.status(), status, "{path}");
            assert_eq!(response.headers().get(RETRY_AFTER).is_some(), status == 503);
            let body = response.into_body().collect().await.expect("it is whole").to_bytes();
            assert_eq!(String::from_utf8_lossy(&body), format!("{text}\n"), "{path}");
        }
        progress.read(1, 0);
        assert_eq!(progress.text(), "reading the records that were kept: 0 %");
    }
}
