//! Requests answered by the pool: all but those of whoever asks how the collector is doing.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header::RETRY_AFTER, request::Parts};
use vanflow_api::{Api, Client, metrics::TurnedAway};

use super::{Front, is_probe};
use crate::{
    answer::{Body, boxed, late},
    console::refusal,
    http::{Failure, Peer, client_of},
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
        let sender = Peer::of(&request);
        let (mut parts, body) = request.into_parts();
        let proxied = self.guard.as_ref().filter(|guard| guard.is_proxy(sender.address));
        let mut in_progress = None;
        if let Some(guard) = proxied {
            // Whoever speaks for many is none of them.
            let client = client_of(guard.behind_proxy(&parts.headers, &sender).address);
            parts.extensions.insert(Client(client));
            if client != client_of(sender.address) {
                in_progress = self.behind.begin(client);
                if in_progress.is_none() {
                    api.health().turned_away(TurnedAway::Requests);
                    return too_many(&api, &parts);
                }
            }
        }
        let asked = parts.clone();
        // A Prometheus that does not answer is given up in its own time: then the history answers.
        let is_passed_on =
            self.answers.prometheus.is_some() && vanflow_api::chart(asked.uri.path()).is_some();
        let waits = if is_passed_on { ANSWER_WITHIN } else { Duration::ZERO };
        let answering = self.answer(Request::from_parts(parts, body));
        let response = match pool.answer(client(&asked.extensions), waits, answering).await {
            Ok(response) => response,
            Err(Late) => counted_late(&api, &asked, pool.within()),
        };
        match in_progress {
            Some(request) => response.map(|body| request.until_end_of(body)),
            None => response,
        }
    }
}

/// The answer to a client behind a proxy that asks as much as it may already.
fn too_many(api: &Api, asked: &Parts) -> Response<Body> {
    let mut refused = refusal(
        StatusCode::SERVICE_UNAVAILABLE,
        "too many requests of this client at a time: ask again when some are answered",
    );
    refused.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
    api.allow_origins(asked, refused.headers_mut());
    refused
}

fn counted_late(api: &Api, asked: &Parts, within: Duration) -> Response<Body> {
    api.health().turned_away(TurnedAway::Late);
    late(api, asked, within)
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
        Err(Late) => counted_late(&api, &asked, pool.within()),
    }
}

/// Whose turn it is to be.
fn client(extensions: &http::Extensions) -> IpAddr {
    extensions.get().map_or(Ipv4Addr::UNSPECIFIED.into(), |Client(address)| *address)
}
