//! Requests answered by the pool: all but those of whoever asks how the collector is doing.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use vanflow_api::{Api, Client, Interest};

use super::{Front, is_probe};
use crate::{
    answer::{Body, boxed, late},
    http::Failure,
    pool::{Late, Pool, in_turn},
    prometheus::ANSWER_WITHIN,
};

impl Front {
    /// The answer to a request, computed by that pool. Probes are answered here and now.
    pub(crate) async fn answer_by<B>(self, pool: Pool, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes, Error: Into<Failure>> + Send + 'static,
    {
        if is_probe(request.uri().path()) {
            return self.answer(request).await;
        }
        let api = self.answers.api.clone();
        let (mut parts, body) = request.into_parts();
        let asked = parts.clone();
        // Ends with this: when the answer has begun, or is late, or its client is gone.
        let waiting = Waiting::default();
        parts.extensions.insert(waiting.0.clone());
        // A Prometheus that does not answer is given up in its own time: then the history answers.
        let is_passed_on =
            self.answers.prometheus.is_some() && vanflow_api::chart(asked.uri.path()).is_some();
        let waits = if is_passed_on { ANSWER_WITHIN } else { Duration::ZERO };
        let answering = self.answer(Request::from_parts(parts, body));
        match pool.answer(client(&asked.extensions), waits, answering).await {
            Ok(response) => response,
            Err(Late) => late(&api, &asked, pool.within()),
        }
    }
}

/// The answer to whoever watches over the collector, at an address for that alone.
pub(crate) async fn answer_monitor<B>(api: Api, pool: Pool, request: Request<B>) -> Response<Body> {
    let asked = request.into_parts().0;
    if is_probe(asked.uri.path()) {
        return boxed(api.respond_to_monitors(&asked));
    }
    let answering = {
        let (api, asked) = (api.clone(), asked.clone());
        async move { boxed(in_turn(|| api.respond_to_monitors(&asked)).await) }
    };
    match pool.answer(client(&asked.extensions), Duration::ZERO, answering).await {
        Ok(response) => response,
        Err(Late) => late(&api, &asked, pool.within()),
    }
}

/// That somebody waits for an answer, for as long as it is there.
#[derive(Default)]
struct Waiting(Interest);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Whose turn it is to be.
fn client(extensions: &http::Extensions) -> IpAddr {
    extensions.get().map_or(Ipv4Addr::UNSPECIFIED.into(), |Client(address)| *address)
}
