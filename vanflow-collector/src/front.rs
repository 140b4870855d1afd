//! What every request passes before anything answers it: whether it is for this collector at all.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};

use crate::{
    answer::{Answers, Body},
    config,
    console::refusal,
    hosts::Hosts,
    http::Failure,
};

/// Paths that say how the collector is doing and nothing of the network: whoever watches over it comes by any name.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// Whether somebody asks how the collector is doing, who is answered whatever else happens.
pub(crate) fn is_probe(path: &str) -> bool {
    PROBES.contains(&path)
}

/// The one way to what is answered.
#[derive(Clone)]
pub(crate) struct Front {
    answers: Answers,
    hosts: Arc<Hosts>,
}

impl Front {
    pub(crate) fn new(settings: &config::Http, answers: Answers) -> Self {
        Self { answers, hosts: Arc::new(Hosts::new(settings, true)) }
    }

    /// The answer to a request.
    pub(crate) async fn answer<B>(self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes, Error: Into<Failure>>,
    {
        if is_probe(request.uri().path()) {
            return self.answers.answer(request).await;
        }
        if let Some(why) = self.hosts.refusal(request.uri(), request.headers()) {
            return refusal(StatusCode::MISDIRECTED_REQUEST, &why);
        }
        self.answers.answer(request).await
    }
}

mod pooled;
#[cfg(test)]
mod tests;

pub(crate) use pooled::answer_monitor;
