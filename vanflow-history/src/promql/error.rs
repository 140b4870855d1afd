//! Why a query has no answer, in Prometheus' words where Prometheus has the same error.

use http::StatusCode;
use thiserror::Error;

/// Why a query has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum QueryError {
    /// A parameter makes no sense.
    #[error("invalid parameter \"{name}\": {problem}")]
    Parameter { name: &'static str, problem: String },
    /// The request makes no sense as a whole.
    #[error("{0}")]
    BadData(String),
    /// The query makes sense, but has no answer for these series.
    #[error("{0}")]
    Execution(String),
    /// The query would take too much.
    #[error("query processing would load too many samples into memory in query execution")]
    TooManySamples,
    /// The query would take too long.
    #[error(
        "query processing would look at more than {0} samples: ask for fewer series, a shorter range or a wider step"
    )]
    TooMuchWork(u64),
    /// Nobody waits for the answer any more.
    #[error("query was canceled in query execution")]
    Canceled,
}

impl QueryError {
    pub(crate) fn execution(text: impl Into<String>) -> Self {
        Self::Execution(text.into())
    }

    /// Something that is not answered here, though a Prometheus may.
    pub(crate) fn unsupported(what: &str) -> Self {
        Self::Parameter {
            name: "query",
            problem: format!("{what} is not supported here, only by a Prometheus"),
        }
    }

    /// What Prometheus calls this sort of error.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Parameter { .. } | Self::BadData(_) => "bad_data",
            Self::Execution(_) | Self::TooManySamples | Self::TooMuchWork(_) => "execution",
            Self::Canceled => "canceled",
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Parameter { .. } | Self::BadData(_) => StatusCode::BAD_REQUEST,
            Self::Execution(_) | Self::TooManySamples | Self::TooMuchWork(_) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Self::Canceled => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}
