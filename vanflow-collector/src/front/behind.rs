//! How much each client may ask at a time that comes by a proxy: the connections are the proxy's, and as many as it likes,
//! so requests are counted in their place.

use std::{
    collections::HashMap,
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;

use crate::{answer::Body, http::Failure};

/// Requests of clients behind proxies.
#[derive(Debug)]
pub(super) struct Behind {
    /// How many a client may have in progress.
    most: usize,
    /// Never 0.
    held: Mutex<HashMap<IpAddr, usize>>,
}

/// A request, for as long as this is held.
#[derive(Debug)]
pub(super) struct InProgress {
    behind: Arc<Behind>,
    client: IpAddr,
}

impl Behind {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, held: Mutex::default() })
    }

    /// Begins one, unless the client has as many as it may.
    pub(super) fn begin(self: &Arc<Self>, client: IpAddr) -> Option<InProgress> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let own = held.entry(client).or_default();
        if *own >= self.most {
            return None;
        }
        *own += 1;
        Some(InProgress { behind: Arc::clone(self), client })
    }
}

impl InProgress {
    /// The same body, with which the request is over.
    pub(super) fn until_end_of(self, body: Body) -> Body {
        if body.is_end_stream() { body } else { Counted { body, _request: self }.boxed_unsync() }
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        let mut held = self.behind.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = held.get_mut(&self.client) {
            *own -= 1;
            if *own == 0 {
                held.remove(&self.client);
            }
        }
    }
}

struct Counted {
    body: Body,
    _request: InProgress,
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_so_many_requests_in_progress_and_others_have_theirs() {
        let behind = Behind::new(2);
        let [one, other] = [1, 2].map(|last| IpAddr::from([192, 0, 2, last]));
        let mut held: Vec<_> = (0..2).map(|_| behind.begin(one).expect("it has fewer")).collect();
        assert!(behind.begin(one).is_none());
        let of_other = behind.begin(other).expect("it has none");
        held.pop();
        held.push(behind.begin(one).expect("one is over"));
        assert!(behind.begin(one).is_none());
        drop((held, of_other));
        assert!(
            behind.held.lock().expect("no panic").is_empty(),
            "nothing is remembered of who asks nothing"
        );
    }
}
