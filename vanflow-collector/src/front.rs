//! What every request passes before anything answers it: whether it is for this collector at all, and whether whoever
//! asks may see what they ask for.

use std::{
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ACCESS_CONTROL_REQUEST_METHOD, CACHE_CONTROL},
    request::Parts,
};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use tokio_util::sync::WaitForCancellationFutureOwned;
use vanflow_api::{AuthType, User, metrics::TurnedAway};

use crate::{
    answer::{Answers, Body},
    auth::{Guard, Identity, Kind, LOGIN, LOGOUT, Refused, Rights},
    config,
    console::refusal,
    hosts::Hosts,
    http::{Failure, Peer},
};

/// Paths that say how the collector is doing and nothing of the network: whoever watches over it comes by any name.
pub(crate) const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// Whether somebody asks how the collector is doing, who is answered whatever else happens.
pub(crate) fn is_probe(path: &str) -> bool {
    PROBES.contains(&path)
}
const METRICS: &str = "/metrics";

/// What the console says who it is used by with, and takes that back with.
const USER: &str = "/api/v2alpha1/user";
const CONSOLE_LOGOUT: &str = "/api/v2alpha1/logout";

/// The one way to what is answered.
#[derive(Clone)]
pub(crate) struct Front {
    answers: Answers,
    hosts: Arc<Hosts>,
    guard: Option<Arc<Guard>>,
    behind: Arc<Behind>,
    /// Who asks where nobody is asked who they are.
    anybody: User,
}

/// Who asked, as far as it became known: an extension of the answer.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) client: IpAddr,
    pub(crate) user: Option<Arc<str>>,
}

impl Front {
    /// `anybody` is how those are known who are asked nothing.
    pub(crate) fn new(
        settings: &config::Http,
        guard: Option<Arc<Guard>>,
        anybody: AuthType,
        answers: Answers,
    ) -> Self {
        Self {
            answers,
            hosts: Arc::new(Hosts::new(settings, guard.is_none())),
            behind: Behind::new(settings.limits.client_connections),
            guard,
            anybody: User::new("", anybody),
        }
    }

    /// The answer to a request.
    pub(crate) async fn answer<B>(self, mut request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes, Error: Into<Failure>>,
    {
        if is_probe(request.uri().path()) {
            return self.answers.answer(request).await;
        }
        if let Some(why) = self.hosts.refusal(request.uri(), request.headers()) {
            self.answers.api.health().turned_away(TurnedAway::Host);
            return refusal(StatusCode::MISDIRECTED_REQUEST, &why);
        }
        match self.guard.clone() {
            None => {
                request.extensions_mut().insert(self.anybody.clone());
                self.answers.answer(request).await
            }
            Some(guard) => self.guarded(&guard, request).await,
        }
    }

    async fn guarded<B>(self, guard: &Guard, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes, Error: Into<Failure>>,
    {
        let sender = Peer::of(&request);
        let (mut parts, body) = request.into_parts();
        let peer = guard.behind_proxy(&parts.headers, &sender);
        let mut user = None;
        let mut response = match parts.uri.path() {
            LOGIN if guard.can_log_in() => guard.log_in(&parts, &peer, body).await,
            LOGOUT if guard.can_log_in() => guard.log_out(&parts, &peer),
            METRICS if guard.metrics_open => self.answers.answer(Request::from_parts(parts, body)).await,
            // Browsers ask what a page may ask, and show nothing with it. The answer is the same whoever asks.
            _ if is_preflight(&parts) => self.answers.answer(Request::from_parts(parts, body)).await,
            path => match guard.identify(&parts.headers, &sender, peer.address).await {
                Err(why) => self.refused(guard, &parts, why),
                Ok(identity) => {
                    user = Some(identity.name.clone());
                    if identity.rights == Rights::Metrics && ![METRICS, USER, CONSOLE_LOGOUT].contains(&path)
                    {
                        self.not_allowed(&parts, &identity)
                    } else {
                        parts.extensions.insert(identity.user());
                        self.allowed(guard, identity, &peer, Request::from_parts(parts, body)).await
                    }
                }
            },
        };
        let extensions = response.extensions_mut();
        if extensions.get::<Seen>().is_none() {
            extensions.insert(Seen { client: peer.address, user });
        }
        response
    }

    /// The answer to whoever may have it.
    async fn allowed<B>(
        self,
        guard: &Guard,
        identity: Identity,
        peer: &Peer,
        request: Request<B>,
    ) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes, Error: Into<Failure>>,
    {
        let (parts, body) = request.into_parts();
        let is_over = identity.kind == Kind::Session && parts.uri.path() == CONSOLE_LOGOUT;
        let logged_out = is_over.then(|| parts.clone());
        let mut response = self.answers.answer(Request::from_parts(parts, body)).await;
        if let Some(asked) = logged_out {
            guard.end_session(&asked, peer, &mut response);
            return response;
        }
        response.map(|body| while_let_in(body, identity))
    }

    fn not_allowed(&self, asked: &Parts, identity: &Identity) -> Response<Body> {
        let text = format!("{:?} may see /metrics, and nothing else", identity.name);
        let mut refused = refusal(StatusCode::FORBIDDEN, &text);
        self.answers.api.allow_origins(asked, refused.headers_mut());
        refused
    }

    fn refused(&self, guard: &Guard, asked: &Parts, why: Refused) -> Response<Body> {
        let mut refused = match why {
            Refused::Busy => refusal(StatusCode::SERVICE_UNAVAILABLE, &guard.advice(why)),
            Refused::TooOften(_) => refusal(StatusCode::TOO_MANY_REQUESTS, &guard.advice(why)),
            // HTTP has nothing that could be shown.
            Refused::Unknown if !guard.can_log_in() => refusal(StatusCode::FORBIDDEN, &guard.advice(why)),
            Refused::Unknown | Refused::Wrong => {
                if let Some(to_login) = guard.lead_to_login(asked) {
                    return to_login;
                }
                let mut refused = refusal(StatusCode::UNAUTHORIZED, &guard.advice(why));
                guard.challenge(&asked.headers, refused.headers_mut());
                refused
            }
        };
        guard.put_off(why, refused.headers_mut());
        refused.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        self.answers.api.allow_origins(asked, refused.headers_mut());
        refused
    }
}

fn is_preflight(asked: &Parts) -> bool {
    asked.method == Method::OPTIONS && asked.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// An answer that breaks off when whoever asked for it is not let in any more: nobody takes it for whole.
fn while_let_in(body: Body, identity: Identity) -> Body {
    use http_body::Body as _;
    if body.is_end_stream() {
        return body;
    }
    LetIn { body, over: Box::pin(identity.valid.cancelled_owned()) }.boxed_unsync()
}

struct LetIn {
    body: Body,
    over: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl http_body::Body for LetIn {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        if self.over.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err("whoever asked for it is logged out".into())));
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

mod behind;
mod pooled;
#[cfg(test)]
mod tests;

use behind::Behind;
pub(crate) use pooled::answer_monitor;
