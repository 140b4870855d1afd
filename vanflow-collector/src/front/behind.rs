//! How much each client may ask at a time that comes by a proxy: the connections are the proxy's, and as many as it likes,
//! so requests are counted in their place.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use http_body::Body as _;
use http_body_util::BodyExt;

use crate::answer::Body;

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
        if body.is_end_stream() {
            return body;
        }
        // What is done with errors is nothing, but it goes with the body, and what it holds with it.
        body.map_err(move |error| {
            let _request = &self;
            error
        })
        .boxed_unsync()
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
