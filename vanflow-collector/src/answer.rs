//! Who answers a request: the API, the files of a console, or the Prometheus that was named.
//!
//! What the API has a path for is the API's, whatever files there are.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full, combinators::UnsyncBoxBody};
use vanflow_api::Api;

use crate::{console::Console, http::Failure};

/// The body of any answer.
pub(crate) type Body = UnsyncBoxBody<Bytes, Failure>;

/// Answers requests.
#[derive(Clone)]
pub(crate) struct Answers {
    pub(crate) api: Api,
    pub(crate) console: Option<Console>,
}

impl Answers {
    /// The answer to a request.
    pub(crate) async fn answer<B>(self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes, Error: Into<Failure>> + Send + 'static,
    {
        let (parts, _body) = request.into_parts();
        match self.console {
            Some(console) if !vanflow_api::is_ours(parts.uri.path()) => console.respond(&parts).await,
            _ => self.api.respond(&parts).map(|body| body.map_err(|never| match never {}).boxed_unsync()),
        }
    }
}

/// A body of nothing.
pub(crate) fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// A body that is there as a whole.
pub(crate) fn whole(octets: impl Into<Bytes>) -> Body {
    Full::new(octets.into()).map_err(|never| match never {}).boxed_unsync()
}
