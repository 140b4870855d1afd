//! How many answers there may be at a time that go on as long as their clients like.
//!
//! A list ends, and whoever asks for it waits for its end; a watch takes a place for hours. So watches are counted apart
//! from all other requests, for all clients together and for each, and whoever comes when all are taken is told so.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use crate::error::ApiError;

/// Who asks, where that is known: an extension of requests, from whoever took them from the network. Clients with the
/// same address are one. Without it watches are bounded for all clients together alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client(pub IpAddr);

/// How many watches there may be at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchLimits {
    /// Of all clients together.
    pub total: usize,
    /// Of one client.
    pub of_client: usize,
}

impl Default for WatchLimits {
    fn default() -> Self {
        Self { total: 512, of_client: 256 }
    }
}

/// The watches that there are.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    limits: WatchLimits,
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    total: usize,
    /// Never 0.
    clients: HashMap<Client, usize>,
}

/// A watch, for as long as this is held.
#[derive(Debug)]
pub(crate) struct Watching {
    watches: Arc<Watches>,
    client: Option<Client>,
}

impl Watches {
    pub(crate) fn new(limits: WatchLimits) -> Arc<Self> {
        Arc::new(Self { limits, counted: Mutex::default() })
    }

    /// Begins one, unless there are too many.
    pub(crate) fn begin(self: &Arc<Self>, client: Option<Client>) -> Result<Watching, ApiError> {
        let WatchLimits { total, of_client } = self.limits;
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.total >= total {
            return Err(ApiError::TooManyWatches { limit: total, whose: "there may be" });
        }
        if let Some(client) = client {
            let own = counted.clients.get(&client).copied().unwrap_or_default();
            if own >= of_client {
                return Err(ApiError::TooManyWatches { limit: of_client, whose: "one client may have" });
            }
            counted.clients.insert(client, own + 1);
        }
        counted.total += 1;
        Ok(Watching { watches: Arc::clone(self), client })
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut counted = self.watches.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.total -= 1;
        if let Some(client) = self.client
            && let Some(own) = counted.clients.get_mut(&client)
        {
            *own -= 1;
            if *own == 0 {
                counted.clients.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(last: u8) -> Option<Client> {
        Some(Client([192, 0, 2, last].into()))
    }

    #[test]
    fn watches_are_bounded_for_each_client_and_for_all() {
        let watches = Watches::new(WatchLimits { total: 3, of_client: 2 });
        let mut held: Vec<_> = (0..2).map(|_| watches.begin(client(1)).expect("there is room")).collect();
        let refused = |who| watches.begin(who).expect_err("there is no room").to_string();
        assert_eq!(
            refused(client(1)),
            "all 2 watches are taken that one client may have at a time: end one, or ask without watching; whoever runs \
             this can allow more"
        );
        held.push(watches.begin(client(2)).expect("it is another client"));
        for who in [client(2), client(3), None] {
            assert_eq!(
                refused(who),
                "all 3 watches are taken that there may be at a time: end one, or ask without watching; whoever runs this \
                 can allow more"
            );
        }
        held.remove(0);
        held.push(watches.begin(None).expect("one has ended"));
        drop(held);
        let counted = watches.counted.lock().expect("no panic");
        assert_eq!((counted.total, counted.clients.len()), (0, 0), "nothing is left of them");
    }
}
