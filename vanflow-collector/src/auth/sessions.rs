//! Who has logged in: what a cookie stands for, for as long as it does.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use tokio::time::Instant;

use super::{Identity, Kind, secret::sha256, verify::random};

/// Sessions at a time; beyond it the one that ends first gives way.
const MOST: usize = 1024;

/// Sessions at a time of one name.
const MOST_OF_NAME: usize = 32;

/// All sessions.
#[derive(Debug)]
pub(super) struct Sessions {
    /// By the sums of what cookies hold: whoever reads memory has no cookie.
    held: Mutex<HashMap<[u8; 32], Session>>,
    time: Duration,
}

#[derive(Debug)]
struct Session {
    identity: Identity,
    until: Instant,
}

impl Session {
    fn is_over(&self, now: Instant) -> bool {
        self.until <= now || self.identity.valid.is_cancelled()
    }
}

impl Sessions {
    pub(super) fn new(time: Duration) -> Self {
        Self { held: Mutex::default(), time }
    }

    /// How long a session lasts.
    pub(super) fn time(&self) -> Duration {
        self.time
    }

    /// Begins a session of somebody who was just let in; answers what its cookie holds. It ends when they may not look
    /// any more, at the latest.
    pub(super) fn begin(&self, identity: &Identity) -> String {
        let (cookie, now) = (BASE64_URL_SAFE_NO_PAD.encode(random()), Instant::now());
        let valid = identity.valid.child_token();
        let session = Session {
            identity: Identity { kind: Kind::Session, valid, ..identity.clone() },
            until: now + self.time,
        };
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let is_of_name = |session: &Session| session.identity.name == identity.name;
        if held.values().filter(|session| is_of_name(session)).count() >= MOST_OF_NAME {
            end_first(&mut held, is_of_name);
        }
        if held.len() >= MOST {
            end_first(&mut held, |_| true);
        }
        held.insert(sha256(cookie.as_bytes()), session);
        cookie
    }

    /// Whose session that is.
    pub(super) fn find(&self, cookie: &str) -> Option<Identity> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let session = held.get(&sha256(cookie.as_bytes()))?;
        (!session.is_over(Instant::now())).then(|| session.identity.clone())
    }

    /// Ends a session, and all answers that go on in it.
    pub(super) fn end(&self, cookie: &str) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = held.remove(&sha256(cookie.as_bytes())) {
            session.identity.valid.cancel();
        }
    }

    /// Ends what is over.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|_, session| {
            let is_over = session.is_over(now);
            if is_over {
                session.identity.valid.cancel();
            }
            !is_over
        });
    }
}

/// Ends the one of these sessions that would end first.
fn end_first(held: &mut HashMap<[u8; 32], Session>, is_meant: impl Fn(&Session) -> bool) {
    let meant = held.iter().filter(|(_, session)| is_meant(session));
    let first = meant.min_by_key(|(_, session)| session.until).map(|(key, _)| *key);
    if let Some(session) = first.and_then(|key| held.remove(&key)) {
        session.identity.valid.cancel();
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::auth::Rights;

    fn named(name: &str) -> Identity {
        let (kind, rights) = (Kind::Password, Rights::Everything);
        Identity { name: name.into(), kind, rights, valid: CancellationToken::new() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_lasts_as_long_as_it_may() {
        let sessions = Sessions::new(Duration::from_secs(60));
        let cookie = sessions.begin(&named("ann"));
        assert_eq!(cookie.len(), 43);
        let found = sessions.find(&cookie).expect("it began");
        assert_eq!(&*found.name, "ann");
        assert!(sessions.find("").is_none() && sessions.find(&cookie[1..]).is_none());
        tokio::time::advance(Duration::from_secs(59)).await;
        sessions.sweep();
        assert!(sessions.find(&cookie).is_some());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(sessions.find(&cookie).is_none());
        assert!(!found.valid.is_cancelled());
        sessions.sweep();
        assert!(found.valid.is_cancelled(), "what goes on in it ends");
    }

    #[tokio::test]
    async fn a_session_ends_with_whoever_began_it() {
        let sessions = Sessions::new(Duration::from_secs(60));
        let ann = named("ann");
        let (first, second) = (sessions.begin(&ann), sessions.begin(&ann));
        assert_ne!(first, second);
        let other = sessions.find(&second).expect("it began");
        sessions.end(&first);
        assert!(sessions.find(&first).is_none());
        assert!(!ann.valid.is_cancelled() && !other.valid.is_cancelled());
        ann.valid.cancel();
        assert!(sessions.find(&second).is_none());
        assert!(other.valid.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn there_are_so_many_sessions_and_no_more() {
        let sessions = Sessions::new(Duration::from_secs(60));
        let bert = sessions.begin(&named("bert"));
        let first = sessions.begin(&named("ann"));
        tokio::time::advance(Duration::from_secs(1)).await;
        for _ in 1..MOST_OF_NAME {
            sessions.begin(&named("ann"));
        }
        assert!(sessions.find(&first).is_some());
        tokio::time::advance(Duration::from_secs(1)).await;
        let last = sessions.begin(&named("ann"));
        assert!(sessions.find(&first).is_none() && sessions.find(&last).is_some());
        assert!(sessions.find(&bert).is_some(), "others are not asked to give way");
        for each in 0..MOST {
            sessions.begin(&named(&format!("user {each}")));
        }
        assert!(sessions.find(&bert).is_none());
        assert_eq!(sessions.held.lock().expect("no panic").len(), MOST);
    }
}
