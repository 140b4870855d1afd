//! Comparisons of passwords that take long: on few threads, for few who wait, and not for each request anew.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ring::rand::{SecureRandom, SystemRandom};
use tokio::{sync::Semaphore, task::spawn_blocking, time::Instant};

use super::{
    listing::{Entry, Names},
    secret::{Secret, sha256},
};

/// Comparisons at a time.
const AT_A_TIME: usize = 2;

/// How many may wait for theirs.
const MOST_WAITING: usize = 64;

/// For how long what was right is right without a comparison.
const KNOWN_FOR: Duration = Duration::from_secs(5 * 60);

/// How much of what was right is kept.
const MOST_KNOWN: usize = 1024;

/// Too many wait for a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Busy;

/// Compares passwords.
pub(super) struct Verifier {
    /// So that nobody who reads memory can try passwords faster than those who ask.
    key: [u8; 32],
    room: Arc<Semaphore>,
    waiting: AtomicUsize,
    known: Mutex<HashMap<[u8; 32], Instant>>,
}

impl Verifier {
    pub(super) fn new() -> Self {
        Self {
            key: random(),
            room: Arc::new(Semaphore::new(AT_A_TIME)),
            waiting: AtomicUsize::new(0),
            known: Mutex::default(),
        }
    }

    /// Whom a name and a password are of. A name that is not there takes as long as one that is.
    pub(super) async fn verify(
        &self,
        names: &Names,
        name: &str,
        password: &[u8],
    ) -> Result<Option<Entry>, Busy> {
        let entry = names.find(name);
        let Some(secret) = entry.map(|entry| &entry.secret).or_else(|| names.nobody()) else {
            return Ok(None);
        };
        Ok(self.is(secret, entry.is_some(), password).await?.then(|| entry.cloned()).flatten())
    }

    async fn is(&self, secret: &Secret, can_be: bool, password: &[u8]) -> Result<bool, Busy> {
        if !secret.is_costly() {
            return Ok(secret.is(password) && can_be);
        }
        let known = self.digest(secret, password);
        if can_be && self.knows(&known) {
            return Ok(true);
        }
        let waits = Waits::new(&self.waiting).ok_or(Busy)?;
        let permit = self.room.clone().acquire_owned().await.map_err(|_| Busy)?;
        drop(waits);
        // Those who waited before may have been the same.
        if can_be && self.knows(&known) {
            return Ok(true);
        }
        let (secret, password) = (secret.clone(), password.to_vec());
        let compared = spawn_blocking(move || {
            // Held for as long as it takes, even where nobody waits for it any more.
            let _permit = permit;
            secret.is(&password)
        });
        let is_right = compared.await.map_err(|_| Busy)? && can_be;
        if is_right {
            self.learn(known);
        }
        Ok(is_right)
    }

    /// What stands for a password and what it was compared with: if that changes, it is not known any more.
    fn digest(&self, secret: &Secret, password: &[u8]) -> [u8; 32] {
        let stored: &[u8] = match secret {
            Secret::Bcrypt(hash, _) => hash.as_bytes(),
            Secret::Apr1 { hash, .. } => hash,
            Secret::Sha1(sum) | Secret::Plain(sum) => sum,
            Secret::Sha256(sum) => sum,
        };
        let stored = sha256(stored);
        sha256(&[&self.key[..], &stored, password].concat())
    }

    fn knows(&self, known: &[u8; 32]) -> bool {
        let now = Instant::now();
        let held = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        held.get(known).is_some_and(|until| *until > now)
    }

    fn learn(&self, known: [u8; 32]) {
        let now = Instant::now();
        let mut held = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= MOST_KNOWN {
            held.retain(|_, until| *until > now);
        }
        if held.len() < MOST_KNOWN {
            held.insert(known, now + KNOWN_FOR);
        }
    }
}

/// Somebody who waits.
struct Waits<'w>(&'w AtomicUsize);

impl<'w> Waits<'w> {
    fn new(waiting: &'w AtomicUsize) -> Option<Self> {
        let waits = Self(waiting);
        (waiting.fetch_add(1, Ordering::Relaxed) < MOST_WAITING).then_some(waits)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Octets that nobody can guess.
pub(super) fn random() -> [u8; 32] {
    let mut octets = [0; 32];
    SystemRandom::new().fill(&mut octets).expect("the system has random numbers");
    octets
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;
    use crate::auth::listing::HTPASSWD;

    fn names() -> Names {
        let text = "ann:$2y$04$6iOx4S19.qyngEBDoPVU4.fNSRhT/k5Y.8E35u5rdTm7hnEzcszTK\ncora:{PLAIN}sesame\n";
        Names::parse(text.as_bytes(), HTPASSWD).expect("it makes sense")
    }

    async fn is(verifier: &Verifier, name: &str, password: &str) -> Result<bool, Busy> {
        let found = verifier.verify(&names(), name, password.as_bytes()).await?;
        Ok(found.is_some_and(|entry| *entry.name == *name))
    }

    #[tokio::test]
    async fn who_is_named_is_let_in_by_the_password_of_that_name_alone() {
        let verifier = Verifier::new();
        for _ in 0..2 {
            assert_eq!(is(&verifier, "ann", "correct horse").await, Ok(true));
            assert_eq!(is(&verifier, "cora", "sesame").await, Ok(true));
            for (name, password) in [
                ("ann", "sesame"),
                ("cora", "correct horse"),
                ("bert", "correct horse"),
                ("", "correct horse"),
                ("ann", ""),
            ] {
                assert_eq!(is(&verifier, name, password).await, Ok(false), "{name}");
            }
        }
        let held = verifier.known.lock().expect("no panic").len();
        assert_eq!(held, 1, "what is wrong is not kept, nor what costs nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_right_is_not_compared_again_for_a_while() {
        let verifier = Verifier::new();
        assert_eq!(is(&verifier, "ann", "correct horse").await, Ok(true));
        let all = verifier.room.clone().acquire_many_owned(AT_A_TIME as u32).await.expect("there is room");
        assert_eq!(is(&verifier, "ann", "correct horse").await, Ok(true), "nothing had to be compared");
        tokio::time::advance(KNOWN_FOR).await;
        let names = names();
        let mut waiting = Box::pin(verifier.verify(&names, "ann", b"correct horse"));
        assert!(futures_util::poll!(waiting.as_mut()).is_pending(), "it has to be compared");
        drop(all);
        assert!(waiting.await.is_ok_and(|found| found.is_some()));
    }

    #[tokio::test]
    async fn few_wait_and_the_rest_is_turned_away() {
        let verifier = Verifier::new();
        let all = verifier.room.clone().acquire_many_owned(AT_A_TIME as u32).await.expect("there is room");
        let asked = (0..MOST_WAITING + 3).map(|each| {
            let verifier = &verifier;
            async move { is(verifier, "ann", &format!("guess {each}")).await }
        });
        let mut asked = Box::pin(join_all(asked));
        assert!(futures_util::poll!(asked.as_mut()).is_pending());
        drop(all);
        let answers = asked.await;
        assert_eq!(answers.iter().filter(|answer| **answer == Err(Busy)).count(), 3);
        assert_eq!(answers.iter().filter(|answer| **answer == Ok(false)).count(), MOST_WAITING);
        assert_eq!(verifier.waiting.load(Ordering::Relaxed), 0);
    }
}
