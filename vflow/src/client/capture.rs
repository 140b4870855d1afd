//! A capture, read to its end, and the collector's API over what it comes to.

use std::path::{Path, PathBuf};

use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use vanflow_api::{Api, ApiOptions, Network, Publisher};
use vanflow_history::HistoryOptions;
use vanflow_proto::{
    Message, Timestamp,
    capture::{self, Captured, PassedOver},
    discovery::{Discovery, Settings},
};
use vanflow_store::{Follower, Store, StoreOptions};

use super::{Answer, Failure};
use crate::{clock, error::Error, question::Question};

/// How often, in the time of the capture, metrics are kept for queries, in microseconds.
const REMEMBER_EVERY: u64 = 5_000_000;

/// How often at most between one message and the next: longer silence passes in longer steps.
const MOST_STEPS: u64 = 1000;

/// How often, in the time of the capture, it is looked at what happened, in microseconds.
const OBSERVE_EVERY: u64 = 1_000_000;

/// How long ended records are kept: for as long as any capture can be, so that nothing of it is missing.
const RETENTION: u64 = 100 * 365 * 86_400_000_000;

/// A capture, and who answers about it.
pub(super) struct Capture {
    path: PathBuf,
    api: Api,
    /// While it is there, watches go on.
    _publisher: Publisher,
}

impl Capture {
    /// Reads a capture to its end. `warn` is told of what cannot be read, which costs the rest nothing.
    pub(super) fn read(path: &Path, mut warn: impl FnMut(&str)) -> Result<Self, Error> {
        let messages = capture::Capture::open(path).map_err(|error| Error::File {
            verb: "read",
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        let mut replay = Replay::new(messages.began().unwrap_or_else(clock::now));
        let mut passed_over = PassedOver::default();
        for captured in messages {
            match captured {
                Ok(captured) => replay.hear(&captured),
                Err(error) => {
                    if let Some(said) = passed_over.note(&error, "what comes after is missing") {
                        warn(&said);
                    }
                }
            }
        }
        if let Some(said) = passed_over.summary() {
            warn(&said);
        }
        Ok(replay.ended(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn ask(&self, question: &Question, headers: HeaderMap) -> Result<Answer, Error> {
        let mut request = Request::builder()
            .uri(format!("/{}", question.target()))
            .body(())
            .map_err(|error| Error::usage(format!("cannot ask {}: {error}", question.target())))?;
        *request.headers_mut() = headers;
        let (head, body) = self.api.respond(&request.into_parts().0).into_parts();
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body: body.map_err(Failure::from).boxed_unsync(),
        })
    }
}

struct Replay {
    began: Timestamp,
    now: Timestamp,
    remembered: Timestamp,
    observed: Timestamp,
    follower: Follower,
    discovery: Discovery,
    publisher: Publisher,
    api: Api,
}

impl Replay {
    fn new(began: Timestamp) -> Self {
        let mut options = StoreOptions::default();
        options.retention_micros = RETENTION;
        let (network, publisher) = Network::new(Store::new(options));
        let mut options = ApiOptions::default();
        options.history = Some(HistoryOptions::default());
        let mut discovery = Discovery::new(Settings::default(), 0);
        discovery.attached(began);
        publisher.update_status(|status| status.attached = true);
        Self {
            began,
            now: began,
            remembered: began,
            observed: began,
            follower: Follower::new(),
            discovery,
            publisher,
            api: Api::new(network, options),
        }
    }

    fn hear(&mut self, captured: &Captured) {
        // Captures of several links need not be in order to the microsecond.
        self.now = self.began.plus_micros(captured.micros).max(self.now);
        self.pass();
        let mut store = self.publisher.write();
        self.follower.advance(&mut store, &mut self.discovery, self.now);
        // What cannot be read costs its neighbours nothing, as in the collector.
        if let Ok(message) = Message::decode(&captured.message) {
            self.follower.hear(&mut store, &mut self.discovery, &captured.link, &message, self.now);
        }
    }

    /// Has events and metrics keep up with the time of the capture.
    fn pass(&mut self) {
        if self.now.micros_since(self.observed) >= OBSERVE_EVERY {
            self.observed = self.now;
            self.api.observe_events();
        }
        let step = REMEMBER_EVERY.max(self.now.micros_since(self.remembered) / MOST_STEPS);
        while self.now.micros_since(self.remembered) >= step {
            self.api.observe();
            self.remembered = self.remembered.plus_micros(step);
            self.api.remember(self.remembered);
        }
    }

    fn ended(mut self, path: &Path) -> Capture {
        self.follower.advance(&mut self.publisher.write(), &mut self.discovery, self.now);
        self.publisher.update_status(|status| {
            status.attached = true;
            status.flushed = true;
            status.complete = true;
            status.detail = "read a capture to its end".into();
        });
        self.publisher.publish();
        self.api.observe();
        self.api.remember(self.now);
        Capture { path: path.to_owned(), api: self.api, _publisher: self.publisher }
    }
}
