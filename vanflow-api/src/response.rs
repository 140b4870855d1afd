//! What responses consist of beside their bodies: status and headers.

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_MAX_AGE,
        ACCESS_CONTROL_REQUEST_METHOD, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH,
        CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, RETRY_AFTER, VARY,
    },
    request::Parts,
};

use crate::{
    body::Body,
    error::{ApiError, LATER},
    json::{Json, Object},
    negotiate::{EVENTS, JSON, accepts_gzip},
    network::Status,
    pace::WatchFormat,
    swagger::{self, Asset, Content},
};

const LINES: &str = "application/x-ndjson";
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

pub(crate) fn whole(
    status: StatusCode,
    content_type: &'static str,
    bytes: impl Into<Bytes>,
) -> Response<Body> {
    let bytes = bytes.into();
    let length = bytes.len();
    let mut response = Response::new(Body::whole(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    response
}

/// An answer that may still be compressed.
pub(crate) fn rendered(status: StatusCode, json: Vec<u8>) -> Response<Body> {
    let mut response = whole(status, JSON, json);
    response.headers_mut().remove(CONTENT_LENGTH);
    response
}

/// A part of the page that shows the reference.
pub(crate) fn part(request: &Parts, asset: Asset) -> Response<Body> {
    let content_type = asset.content_type();
    let mut response = match asset.content() {
        Content::Text(text) => whole(StatusCode::OK, content_type, text),
        Content::Compressed(octets) if accepts_gzip(&request.headers) => {
            let mut response = whole(StatusCode::OK, content_type, octets);
            response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            response
        }
        Content::Compressed(octets) => whole(StatusCode::OK, content_type, swagger::expanded(octets)),
    };
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(swagger::POLICY));
    if asset != Asset::Page {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=3600"));
    }
    response
}

pub(crate) fn moved(path: &str, query: Option<&str>) -> Response<Body> {
    let location = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// The response that a watch is.
pub(crate) fn watched(body: Body, format: WatchFormat) -> Response<Body> {
    let mut response = Response::new(body);
    let content_type = if format == WatchFormat::Events { EVENTS } else { LINES };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that gather what they pass on, nginx above all, are reported not to.
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}

pub(crate) fn refusal(error: &ApiError, is_coded: bool) -> Response<Body> {
    let body = if is_coded { error.coded_body() } else { error.body() };
    let mut response = whole(error.status(), JSON, body);
    if matches!(error, ApiError::MethodNotAllowed { .. }) {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    if error.status() == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(LATER));
    }
    if matches!(error, ApiError::NotAcceptable { .. }) {
        response.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
    }
    response
}

/// What is missing makes nobody unready: what there is can be answered.
pub(crate) fn ready(status: &Status, never_reported: u64) -> Response<Body> {
    let is_ready = status.ready;
    let mut json = Json::default();
    let mut object = Object::open(&mut json);
    object.string("status", if is_ready { "ready" } else { "not ready" });
    object.truth("attached", status.attached);
    object.truth("flushed", status.flushed);
    if !status.detail.is_empty() {
        object.string("detail", &status.detail);
    }
    if never_reported > 0 {
        object.uint("connectionsNeverReported", never_reported);
    }
    if !is_ready {
        object.string(
            "error",
            if status.attached {
                "the sources have not been asked for their records yet"
            } else {
                "there is no connection to a router"
            },
        );
    }
    object.close();
    json.raw("\n");
    whole(if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, JSON, json.bytes)
}

/// The answer to a browser that asks what it may do, or to anybody else who asks.
pub(crate) fn options(request: &Parts) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
    if request.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD"));
        headers.insert(
            ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("Accept, Authorization, Cache-Control, If-None-Match, Last-Event-ID"),
        );
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
    response
}
