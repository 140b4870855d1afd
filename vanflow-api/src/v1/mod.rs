//! This collector's own API: what the inherited ones lack and a page or a script needs.
//!
//! Lists of items are tables of properties ([`table`]), from which rendering and the OpenAPI document derive; documents
//! say what they look like themselves. A resource is one file: a line in the route table, a variant of [`Resource`] and
//! an arm of [`answer`] make it one.

pub(crate) mod events;
mod map;
mod network_status;
pub(crate) mod openapi;
mod path;
mod sources;
mod stream;
mod subject;
mod table;
mod units;
mod verdict;

use std::sync::RwLock;

use vanflow_history::rows::Rows;
use vanflow_store::Snapshot;

pub(crate) use map::Maps;
pub use map::PlacesError;
pub(crate) use stream::{Feeds, LONGEST_ANSWER, Refusal, Stream, Version};

use crate::{
    api::Remembered,
    error::ApiError,
    json::Json,
    metrics::{Detail, Health},
    negotiate::JSON,
    network::Network,
    params::Params,
    query::media::Media,
    v2alpha1::Derivations,
};

pub use events::{EventsOptions, TakenEvents};

/// What a path answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    Verdict,
    Sources,
    NetworkStatus,
    Stream,
    Events,
    Map,
    Path,
}

impl Resource {
    /// The forms that its answers can have, the one that is preferred first.
    pub(crate) fn forms(self) -> &'static [Media] {
        match self {
            Self::Events => &Media::ALL,
            Self::Map => &Media::OF_MAPS,
            Self::Verdict | Self::Sources | Self::NetworkStatus | Self::Stream | Self::Path => &[Media::Json],
        }
    }

    /// Whether it is made from what was measured. Whoever feeds the history waits for such an answer.
    pub(crate) fn needs_history(self) -> bool {
        self == Self::Map
    }

    /// The properties that its items can be filtered by.
    pub(crate) fn filters(self) -> Vec<&'static str> {
        match self {
            Self::Events => events::filters(),
            _ => Vec::new(),
        }
    }
}

/// What is asked, and what the answer can be made from.
#[derive(Debug)]
pub(crate) struct Question<'q> {
    pub(crate) params: Params<'q>,
    pub(crate) snapshot: Snapshot,
    pub(crate) network: &'q Network,
    pub(crate) derivations: &'q Derivations,
    pub(crate) health: &'q Health,
    /// What has ended and is kept, where it is.
    pub(crate) rows: Option<&'q dyn Rows>,
    pub(crate) events: &'q events::Events,
    pub(crate) maps: &'q Maps,
    /// Whether whoever asks still waits.
    /// What was measured; none where it is not needed.
    pub(crate) history: Option<&'q RwLock<Remembered>>,
    /// By what connections are measured.
    pub(crate) detail: Detail,
    /// The form that the answer is to have, of those of the resource.
    pub(crate) media: Media,
}

/// What is answered, rendered only if the client does not have it already.
pub(crate) struct Answer<'q> {
    pub(crate) content_type: &'static str,
    pub(crate) freshness: Freshness,
    pub(crate) render: Box<dyn FnOnce() -> Json + 'q>,
}

/// What an answer depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// It can be another at any moment: it has no `ETag`.
    Moment,
    /// On the revision of the network, and on this number.
    Revision(Option<u64>),
    /// On a revision of its own, and on this number.
    Own(u64, Option<u64>),
}

/// Answers a question.
///
/// # Errors
///
/// Where a parameter has a value that makes no sense.
pub(crate) fn answer<'q>(resource: Resource, question: &'q Question<'q>) -> Result<Answer<'q>, ApiError> {
    Ok(match resource {
        Resource::Verdict => document(Freshness::Moment, || verdict::render(question)),
        Resource::Sources => document(Freshness::Moment, || sources::render(&question.snapshot)),
        Resource::NetworkStatus => {
            document(Freshness::Revision(None), || network_status::render(&question.snapshot))
        }
        Resource::Stream => unreachable!("it is no single answer: who dispatches opens it"),
        Resource::Events => {
            let query = events::Query::new(&question.params, question.snapshot.now())?;
            let mut kept = question.events.kept();
            let looks_back = match question.rows {
                Some(rows) => kept.look_back(rows, &query).map_err(ApiError::History)?,
                None => false,
            };
            let freshness = Freshness::Own(kept.revision, query.moment);
            Answer {
                content_type: question.media.content_type(),
                // Rows of a history come and go without a revision of their own.
                freshness: if looks_back { Freshness::Moment } else { freshness },
                render: Box::new(move || events::render(&kept, &query, question.media)),
            }
        }
        Resource::Map => map::answer(question)?,
        Resource::Path => {
            let json = path::render(question)?;
            document(Freshness::Revision(None), || json)
        }
    })
}

/// An answer in JSON.
fn document<'q>(freshness: Freshness, render: impl FnOnce() -> Json + 'q) -> Answer<'q> {
    Answer { content_type: JSON, freshness, render: Box::new(render) }
}
