//! How often somebody may be wrong: so often at once, and then once every few seconds, by the address that they come from.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tracing::warn;

use crate::http::client_of;

/// How often at once.
const AT_ONCE: u32 = 10;

/// How long it takes until they may be wrong once more.
const ONE_MORE_AFTER: Duration = Duration::from_secs(6);

/// Addresses that are remembered. Beyond it the one that was wrong longest ago is forgotten.
const MOST: usize = 4096;

/// Lines of the log about it at a time, and how long until there may be one more: a flood of them would hide the rest.
const LINES_AT_ONCE: u32 = 20;
const LINE_AFTER: Duration = Duration::from_secs(1);

/// Who was wrong, and how often.
#[derive(Debug)]
pub(super) struct Attempts {
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    clients: HashMap<IpAddr, Bucket>,
    lines: Bucket,
    /// Failures that were not logged.
    unsaid: u64,
}

/// What runs full once and drains by and by.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// When it will be empty.
    empty_at: Instant,
}

impl Bucket {
    /// How long until something fits into it again, where nothing does now.
    fn full_for(&self, now: Instant, most: u32, drain: Duration) -> Option<Duration> {
        let filled = self.empty_at.saturating_duration_since(now) + drain;
        filled.checked_sub(drain * most).filter(|over| !over.is_zero())
    }

    fn fill(&mut self, now: Instant, drain: Duration) {
        self.empty_at = self.empty_at.max(now) + drain;
    }
}

impl Attempts {
    pub(super) fn new() -> Self {
        let lines = Bucket { empty_at: Instant::now() };
        Self { held: Mutex::new(Held { clients: HashMap::new(), lines, unsaid: 0 }) }
    }

    /// How long somebody from there has to wait before they may show anything again, if they have to.
    pub(super) fn wait(&self, client: IpAddr) -> Option<Duration> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.clients.get(&client_of(client))?.full_for(Instant::now(), AT_ONCE, ONE_MORE_AFTER)
    }

    /// Takes note that somebody from there was wrong about that.
    pub(super) fn failed(&self, client: IpAddr, what: &str) {
        let now = Instant::now();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let held = &mut *held;
        let network = client_of(client);
        if held.clients.len() >= MOST && !held.clients.contains_key(&network) {
            held.clients.retain(|_, bucket| bucket.empty_at > now);
            if held.clients.len() >= MOST {
                let first = held.clients.iter().min_by_key(|(_, bucket)| bucket.empty_at);
                if let Some(first) = first.map(|(network, _)| *network) {
                    held.clients.remove(&first);
                }
            }
        }
        let bucket = held.clients.entry(network).or_insert(Bucket { empty_at: now });
        bucket.fill(now, ONE_MORE_AFTER);
        let is_last = bucket.full_for(now, AT_ONCE, ONE_MORE_AFTER).is_some();
        if held.lines.full_for(now, LINES_AT_ONCE, LINE_AFTER).is_some() {
            held.unsaid += 1;
            return;
        }
        held.lines.fill(now, LINE_AFTER);
        let unsaid = match std::mem::take(&mut held.unsaid) {
            0 => String::new(),
            more => format!("; so were {more} that are not in the log"),
        };
        let waits = if is_last { "; they have to wait before they may try again" } else { "" };
        warn!("{client} was not let in: {what}{waits}{unsaid}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_wrong_too_often_waits() {
        let attempts = Attempts::new();
        let (client, other) = (address("192.0.2.1"), address("192.0.2.2"));
        for _ in 0..AT_ONCE {
            assert_eq!(attempts.wait(client), None);
            attempts.failed(client, "a wrong password");
        }
        assert_eq!(attempts.wait(client), Some(ONE_MORE_AFTER));
        assert_eq!(attempts.wait(other), None);
        tokio::time::advance(ONE_MORE_AFTER / 2).await;
        assert_eq!(attempts.wait(client), Some(ONE_MORE_AFTER / 2));
        tokio::time::advance(ONE_MORE_AFTER / 2).await;
        assert_eq!(attempts.wait(client), None);
        attempts.failed(client, "a wrong password");
        assert_eq!(attempts.wait(client), Some(ONE_MORE_AFTER));
        tokio::time::advance(ONE_MORE_AFTER * AT_ONCE).await;
        for _ in 0..AT_ONCE {
            assert_eq!(attempts.wait(client), None);
            attempts.failed(client, "a wrong password");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_of_somebody_is_one_client() {
        let attempts = Attempts::new();
        for each in 0..AT_ONCE {
            attempts.failed(address(&format!("2001:db8::{each:x}")), "a wrong token");
        }
        assert!(attempts.wait(address("2001:db8::ffff:1")).is_some());
        assert!(attempts.wait(address("2001:db8:0:1::1")).is_none());
        for _ in 0..AT_ONCE {
            attempts.failed(address("::ffff:192.0.2.1"), "a wrong token");
        }
        assert!(attempts.wait(address("192.0.2.1")).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_addresses_are_remembered_and_no_more() {
        let attempts = Attempts::new();
        let worst = address("192.0.2.1");
        for _ in 0..AT_ONCE {
            attempts.failed(worst, "a wrong password");
        }
        for each in 0..2 * MOST {
            attempts.failed(IpAddr::from([10, 0, (each >> 8) as u8, each as u8]), "a wrong password");
        }
        let held = attempts.held.lock().expect("no panic");
        assert_eq!(held.clients.len(), MOST);
        assert!(held.unsaid as usize > 2 * MOST - 100, "the log is not flooded");
        drop(held);
        assert!(attempts.wait(worst).is_some(), "those who were wrong least are forgotten first");
    }
}
