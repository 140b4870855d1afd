//! What a request can be refused for.

use std::time::Duration;

use http::{Method, StatusCode};
use thiserror::Error;
use vanflow_history::rows::UnreadableRows;

use crate::json::{Json, Object};

/// Why there is no answer. The text is for the client and reports nothing of the inside.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum ApiError {
    #[error("there is nothing at `{path}`; {known}")]
    NotFound { path: String, known: String },
    #[error("{method} is not possible here, only GET and HEAD")]
    MethodNotAllowed { method: Method },
    #[error("`{parameter}` is missing: {hint}")]
    Missing { parameter: &'static str, hint: &'static str },
    #[error("`{parameter}` is `{value}`, but must be {expected}")]
    Invalid { parameter: String, value: String, expected: String },
    #[error(
        "`{pair}` is not well-formed: two hexadecimal digits have to follow each %, and %25 stands for one"
    )]
    Malformed { pair: String },
    #[error("`{parameter}` is `{given}`, which is after `{later}`, `{end}`")]
    Backwards { parameter: &'static str, given: String, later: &'static str, end: String },
    #[error("`{parameter}` {why}")]
    Misplaced { parameter: &'static str, why: &'static str },
    #[error("{path} cannot be served as `{accept}`; it can be as {known}")]
    NotAcceptable { path: &'static str, accept: String, known: String },
    #[error("`{parameter}` is given more than once, but can have one value only")]
    Repeated { parameter: &'static str },
    #[error("`{parameter}` is no parameter of {path}; {known}")]
    Unknown { parameter: String, path: &'static str, known: String },
    #[error("one cannot {verb} `{name}`, which no {record} has; {known}")]
    NoProperty { verb: &'static str, name: String, record: &'static str, known: String },
    #[error("the subscription `{name}` {why}")]
    Subscription { name: String, why: String },
    #[error("there is no {what} with the identity `{id}`")]
    NoSuch { what: &'static str, id: String },
    #[error("{path} is for a console, and none is served here")]
    NoConsole { path: &'static str },
    #[error(transparent)]
    History(UnreadableRows),
    #[error(
        "there are more than {most} {what} that are not held any more in this answer, and they do not fit in memory: ask \
         for a page of them, by limit and after, or for a shorter time"
    )]
    TooMuch { most: usize, what: &'static str },
    #[error(
        "all {limit} watches are taken that {whose} at a time: end one, or ask without watching; whoever runs this can \
         allow more"
    )]
    TooManyWatches { limit: usize, whose: &'static str },
    #[error("{}", late_text(*.within))]
    Late { within: Duration },
    #[error("nobody waits for this answer any more")]
    Abandoned,
    #[error("hosts are not reported; a process has the name of its host as hostName")]
    NoHosts,
}

impl ApiError {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NotFound { .. } | Self::NoSuch { .. } | Self::NoConsole { .. } => StatusCode::NOT_FOUND,
            Self::NoHosts => StatusCode::GONE,
            Self::TooManyWatches { .. } | Self::Late { .. } | Self::Abandoned => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::History(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAcceptable { .. } => StatusCode::NOT_ACCEPTABLE,
            Self::Missing { .. }
            | Self::TooMuch { .. }
            | Self::Malformed { .. }
            | Self::Backwards { .. }
            | Self::Misplaced { .. }
            | Self::Invalid { .. }
            | Self::Repeated { .. }
            | Self::Subscription { .. }
            | Self::Unknown { .. }
            | Self::NoProperty { .. } => StatusCode::BAD_REQUEST,
        }
    }

    /// `{"code": …, "message": …}`, the network observer's form.
    pub(crate) fn coded_body(&self) -> Vec<u8> {
        let code = match self.status() {
            // What the network observer says; the others it leaves empty.
            StatusCode::NOT_FOUND => "ErrNotFound",
            StatusCode::METHOD_NOT_ALLOWED => "ErrMethodNotAllowed",
            StatusCode::NOT_ACCEPTABLE => "ErrNotAcceptable",
            StatusCode::GONE => "ErrNotSupported",
            StatusCode::SERVICE_UNAVAILABLE => "ErrUnavailable",
            StatusCode::INTERNAL_SERVER_ERROR => "ErrInternal",
            _ => "ErrBadRequest",
        };
        let mut json = Json::default();
        let mut object = Object::open(&mut json);
        object.string("code", code);
        object.string("message", &self.to_string());
        object.close();
        json.raw("\n");
        json.bytes
    }

    /// `{"error": …}`.
    pub(crate) fn body(&self) -> Vec<u8> {
        error_line(&self.to_string())
    }
}

/// What to tell a client whose answer did not begin within that time.
pub fn late_text(within: Duration) -> String {
    format!(
        "the answer did not begin within {} s: the question is costly, or many ask at the same time; ask again later, or for \
         less, by filters, a limit or a shorter time; whoever runs this can allow more",
        within.as_secs_f64()
    )
}

/// After how many seconds to ask again, as the header Retry-After says it.
pub const LATER: &str = "5";

/// `{"error": …}` and the end of the line.
pub(crate) fn error_line(text: &str) -> Vec<u8> {
    let mut json = Json::default();
    let mut object = Object::open(&mut json);
    object.string("error", text);
    object.close();
    json.raw("\n");
    json.bytes
}

/// What a client sent, short enough to be repeated to it.
pub(crate) fn excerpt(text: &str) -> String {
    const LENGTH: usize = 80;
    match text.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_repeated_to_a_client_is_bounded() {
        assert_eq!(excerpt("short"), "short");
        let long = excerpt(&"é".repeat(10_000));
        assert_eq!(long.chars().count(), 81);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn an_error_is_json_whatever_the_client_sent() {
        let error = ApiError::NotFound { path: "/\"\u{1}".to_owned(), known: "try /".to_owned() };
        let body: serde_json::Value = serde_json::from_slice(&error.body()).unwrap();
        assert_eq!(body["error"], "there is nothing at `/\"\u{1}`; try /");
        assert_eq!(error.status(), StatusCode::NOT_FOUND);
    }
}
