//! What a request's headers say about the answer: whether the client has it already, in which form it takes it, and
//! whether compressed.

use std::fmt;

use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY},
};
use vanflow_store::Snapshot;

use crate::{body::Body, metrics::ExpositionFormat, query::media::Media};

pub(crate) const JSON: &str = Media::Json.name();
pub(crate) const EVENTS: &str = "text/event-stream";

const VARIES: HeaderValue = HeaderValue::from_static("Accept, Accept-Encoding");

/// Whether the client takes server-sent events, which nobody asks for but to watch: `EventSource` cannot do otherwise.
pub(crate) fn accepts_events(headers: &HeaderMap) -> bool {
    list_items(headers, &ACCEPT)
        .any(|(item, parameters)| item.eq_ignore_ascii_case(EVENTS) && weight(parameters) > 0.0)
}

/// The form that the client prefers of those that there are, the first of them where it does not mind; none where it takes
/// none of them.
pub(crate) fn media(headers: &HeaderMap, known: &[Media]) -> Option<Media> {
    if list_items(headers, &ACCEPT).all(|(range, _)| range.is_empty()) {
        return known.first().copied();
    }
    let mut best: Option<((f32, u8), Media)> = None;
    for media in known {
        let ranges = list_items(headers, &ACCEPT)
            .filter_map(|(range, parameters)| Some((specificity(range, *media)?, weight(parameters))));
        // What names the form more closely says how much it is wanted.
        let Some((specificity, weight)) = ranges.max_by_key(|(specificity, _)| *specificity) else {
            continue;
        };
        if weight > 0.0 && best.is_none_or(|(other, _)| (weight, specificity) > other) {
            best = Some(((weight, specificity), *media));
        }
    }
    best.map(|(_, media)| media)
}

/// How closely a media range names a form, if it includes it.
fn specificity(range: &str, media: Media) -> Option<u8> {
    let is = |name: &str| range.eq_ignore_ascii_case(name);
    let is_alias = media == Media::Lines && (is("application/ndjson") || is("application/jsonl"));
    if is(media.name()) || is_alias {
        return Some(2);
    }
    let (kind, _) = media.name().split_once('/')?;
    if range.strip_suffix("/*").is_some_and(|range| range.eq_ignore_ascii_case(kind)) {
        return Some(1);
    }
    is("*/*").then_some(0)
}

/// What the client takes, to be repeated to it.
pub(crate) fn accepted(headers: &HeaderMap) -> String {
    let values = headers.get_all(ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    values.collect::<Vec<_>>().join(", ")
}

/// Whether the client takes what gzip compressed: it names it, or anything, and not by a weight of 0.
pub fn accepts_gzip(headers: &HeaderMap) -> bool {
    let weight_of = |wanted: &str| {
        let mut items = list_items(headers, &ACCEPT_ENCODING);
        items.find(|(item, _)| item.eq_ignore_ascii_case(wanted)).map(|(_, parameters)| weight(parameters))
    };
    weight_of("gzip").or_else(|| weight_of("*")).is_some_and(|weight| weight > 0.0)
}

/// The format of metrics that the client prefers.
pub(crate) fn exposition_format(headers: &HeaderMap) -> ExpositionFormat {
    let (mut open, mut text) = (0.0_f32, 0.0_f32);
    for (media_type, parameters) in list_items(headers, &ACCEPT) {
        if media_type.eq_ignore_ascii_case("application/openmetrics-text") {
            if parameter(parameters, "version").is_none_or(|version| version == "1.0.0" || version == "0.0.1")
            {
                open = open.max(weight(parameters));
            }
        } else if media_type.eq_ignore_ascii_case("text/plain") {
            text = text.max(weight(parameters));
        }
    }
    // Whoever takes anything is a person, mostly, or a tool that knows no better than text.
    if open > 0.0 && open >= text { ExpositionFormat::OpenMetrics } else { ExpositionFormat::Text }
}

/// The same answer, compressed for those who take it.
pub(crate) fn compressed(headers: &HeaderMap, mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(VARY, VARIES);
    if accepts_gzip(headers) {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        response = response.map(Body::gzipped);
    }
    response
}

/// An answer, or that the client has it already.
pub(crate) fn unless_known(
    headers: &HeaderMap,
    tag: HeaderValue,
    media: Media,
    body: impl FnOnce() -> Body,
) -> Response<Body> {
    unless_known_as(headers, tag, media.content_type(), body)
}

/// The same of an answer in any form.
pub(crate) fn unless_known_as(
    headers: &HeaderMap,
    tag: HeaderValue,
    content_type: &'static str,
    body: impl FnOnce() -> Body,
) -> Response<Body> {
    let mut response = if is_known(headers, &tag) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response.headers_mut().insert(VARY, VARIES);
        response
    } else {
        let mut response = Response::new(body());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        compressed(headers, response)
    };
    response.headers_mut().insert(ETAG, tag);
    response
}

/// What says whether an answer has changed: the instance of the collector; the revision of the whole network, because a
/// record is shown with what follows from others; how many records have left it, which is no change of any; the time,
/// as far as the answer depends on it; what was asked for, and the form of the answer.
pub(crate) fn entity_tag(
    instance: &str,
    snapshot: &Snapshot,
    time: Option<u64>,
    query: Option<&str>,
    media: Media,
) -> HeaderValue {
    tag(format_args!("{instance}-{}-{}", snapshot.revision(), snapshot.evicted()), time, query, media)
}

/// The same of an answer that does not depend on the network but has a revision of its own.
pub(crate) fn own_tag(
    instance: &str,
    revision: u64,
    time: Option<u64>,
    query: Option<&str>,
    media: Media,
) -> HeaderValue {
    tag(format_args!("{instance}-own-{revision}"), time, query, media)
}

fn tag(state: fmt::Arguments<'_>, time: Option<u64>, query: Option<&str>, media: Media) -> HeaderValue {
    let time = time.map_or_else(String::new, |time| format!("{time}-"));
    let query = fnv(query.unwrap_or(""));
    let form = match media {
        Media::Json => "",
        Media::Lines => "-lines",
        Media::Csv => "-csv",
        Media::Svg => "-svg",
        Media::Dot => "-dot",
        Media::Mermaid => "-mermaid",
    };
    let tag = format!("W/\"{state}-{time}{query:x}{form}\"");
    HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("W/\"\""))
}

/// Whether the client has what this tag is for, by `If-None-Match`. Weak tags are compared without their mark.
pub fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let strong = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    let Ok(tag) = tag.to_str().map(strong) else { return false };
    list_items(headers, &IF_NONE_MATCH).any(|(known, _)| known == "*" || strong(known) == tag)
}

/// The items of a header that is a list, without what follows a semicolon, and what follows.
fn list_items<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = (&'h str, &'h str)> {
    headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok()).flat_map(|value| {
        value.split(',').map(|item| {
            let (item, parameters) = item.split_once(';').unwrap_or((item, ""));
            (item.trim(), parameters)
        })
    })
}

/// The value of a parameter of an item, without quotes.
fn parameter<'h>(parameters: &'h str, wanted: &str) -> Option<&'h str> {
    parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim().trim_matches('"'))
    })
}

/// How much the client wants an item; 0 is not at all.
fn weight(parameters: &str) -> f32 {
    parameter(parameters, "q").and_then(|weight| weight.parse().ok()).unwrap_or(1.0)
}

/// A short sum of a text, FNV-1a: the same in every version, unlike the standard library's.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, octet| {
        (hash ^ u64::from(octet)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn gzip_is_for_those_who_take_it() {
        for (value, expected) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("deflate, *", true),
            ("gzip;q=0", false),
            ("gzip; q=0.0, *", false),
            ("*;q=0", false),
            ("identity", false),
            ("", false),
        ] {
            assert_eq!(accepts_gzip(&headers(ACCEPT_ENCODING, value)), expected, "{value}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }

    #[test]
    fn a_list_has_the_form_that_is_preferred() {
        for (accept, expected) in [
            ("", Some(Media::Json)),
            ("*/*", Some(Media::Json)),
            ("application/json, text/plain, */*", Some(Media::Json)),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Some(Media::Json)),
            ("text/csv", Some(Media::Csv)),
            ("Text/CSV; charset=utf-8", Some(Media::Csv)),
            ("text/*", Some(Media::Csv)),
            ("application/x-ndjson", Some(Media::Lines)),
            ("application/ndjson", Some(Media::Lines)),
            ("application/*", Some(Media::Json)),
            ("text/csv, */*", Some(Media::Csv)),
            ("text/csv;q=0.1, */*;q=0.2", Some(Media::Json)),
            ("text/csv, application/json", Some(Media::Json)),
            ("application/json;q=0, */*", Some(Media::Lines)),
            ("text/html", None),
            ("application/json;q=0", None),
            ("text/event-stream", None),
        ] {
            assert_eq!(media(&headers(ACCEPT, accept), &Media::ALL), expected, "{accept}");
        }
        assert_eq!(media(&HeaderMap::new(), &Media::ALL), Some(Media::Json));
        assert_eq!(media(&headers(ACCEPT, "text/csv"), &[Media::Json]), None);
    }

    #[test]
    fn tags_are_compared_without_their_mark_of_weakness() {
        let tag = HeaderValue::from_static("W/\"a-1\"");
        for (value, expected) in [
            ("W/\"a-1\"", true),
            ("\"a-1\"", true),
            ("\"b\", W/\"a-1\"", true),
            ("*", true),
            ("\"a-10\"", false),
        ] {
            assert_eq!(is_known(&headers(IF_NONE_MATCH, value), &tag), expected, "{value}");
        }
    }

    #[test]
    fn openmetrics_is_for_those_who_prefer_it() {
        let format = |accept| exposition_format(&headers(ACCEPT, accept));
        for accept in [
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
             text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "application/openmetrics-text",
            "text/plain, application/openmetrics-text; version=\"1.0.0\"",
        ] {
            assert_eq!(format(accept), ExpositionFormat::OpenMetrics, "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "text/html,application/xhtml+xml,*/*;q=0.8",
            "text/plain;version=0.0.4",
            "application/openmetrics-text;version=1.0.0;q=0.3,text/plain;version=0.0.4;q=0.5",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;version=2.0.0",
        ] {
            assert_eq!(format(accept), ExpositionFormat::Text, "{accept}");
        }
    }
}
