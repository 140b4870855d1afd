//! Sources that were announced, and have shown no sign of life yet, where there are many of those.
//!
//! Whoever can announce one source can announce ten thousand that do not exist. A source costs receivers on the
//! connection, timers and a place among the sources; so only some that have not been heard are followed. The others are put
//! on trial: one receiver, for some seconds, in which a source that exists sends several heartbeats. What is not heard is
//! remembered by a hash, and tried again later and later.
//!
//! Where more are announced than can be on trial, those that were not heard before give way first, then those that were
//! announced once: a source that exists is announced every ten seconds. Of equals, one gives way that has been on trial for
//! long enough, and now and then one that has not, so that no order of announcements keeps a source out for ever.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use super::settings::{SECOND, Settings};
use crate::{SourceType, Timestamp};

/// Ids that are remembered, at most.
const REMEMBERED: usize = 16_384;

/// After this long on trial without a sign of life, in microseconds, two heartbeats were missed, and others may have the
/// place.
const LONG_ENOUGH: u64 = 4 * SECOND;

/// An id that is announced again after this long, in microseconds, is announced again: before, it is the same
/// announcement by another path.
const AGAIN: u64 = 5 * SECOND;

/// The longest wait before an id is tried again, in microseconds.
const LONGEST_WAIT: u64 = 600 * SECOND;

#[derive(Debug, Default)]
pub(super) struct Trials {
    on_trial: HashMap<Arc<str>, Trial>,
    /// When each began, by rank, the first one first. Those that are over are passed over when it is their turn.
    orders: [VecDeque<(Timestamp, Arc<str>)>; RANKS],
    /// How many are on trial that were not found wanting before.
    fresh: usize,
    remembered: HashMap<u64, Remembered>,
    /// What is remembered, the oldest first.
    ages: VecDeque<u64>,
    hasher: RandomState,
}

/// What speaks for a source: nothing, since it was not heard before; that it was announced; that it was announced again.
const DOUBTFUL: usize = 0;
const ANNOUNCED: usize = 1;
const AGAIN_ANNOUNCED: usize = 2;
const RANKS: usize = 3;

/// A source on trial.
#[derive(Clone, Debug)]
pub(super) struct Trial {
    /// What it says it is.
    pub(super) source_type: Arc<str>,
    /// Where it is listened to.
    pub(super) address: Arc<str>,
    since: Timestamp,
    /// Whether it was not heard in a trial before.
    is_doubtful: bool,
}

/// What is known of an id that was not tried, or not heard when it was.
#[derive(Clone, Copy, Debug)]
struct Remembered {
    /// It is not tried before.
    from: Timestamp,
    /// How often it was not heard.
    failures: u8,
}

/// What to do with an announcement.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing was held against it.
    Fresh,
    /// It was not heard before: another trial, and no more than that.
    Doubtful,
    /// Not now.
    Wait,
}

impl Trials {
    /// What to make of an announcement of an id that is not known.
    pub(super) fn judge(&self, now: Timestamp, id: &str) -> Verdict {
        match self.remembered.get(&self.hash(id)) {
            Some(known) if known.failures > 0 && now < known.from => Verdict::Wait,
            Some(known) if known.failures > 0 => Verdict::Doubtful,
            _ => Verdict::Fresh,
        }
    }

    /// How many are on trial of which nothing is known yet: some of them are there, as far as anybody can tell.
    pub(super) fn fresh(&self) -> usize {
        self.fresh
    }

    pub(super) fn is_on_trial(&self, id: &str) -> bool {
        self.on_trial.contains_key(id)
    }

    /// Begins a trial, if there is a place, or somebody gives way: that one is answered, if so. False where it has to wait.
    /// `is_lucky` says whether it may take the place of its equal at once.
    pub(super) fn begin(
        &mut self,
        now: Timestamp,
        id: &str,
        source_type: SourceType<'_>,
        address: &Arc<str>,
        (settings, is_lucky): (&Settings, bool),
    ) -> (bool, Option<Trial>) {
        let hash = self.hash(id);
        let rank = match self.remembered.get(&hash) {
            Some(known) if known.failures > 0 => DOUBTFUL,
            Some(known) if known.from <= now => AGAIN_ANNOUNCED,
            _ => ANNOUNCED,
        };
        let mut gave_way = None;
        if self.on_trial.len() >= settings.trials {
            let below = (0..rank).find_map(|below| self.end_first_of(below, now, 0));
            gave_way = below.or_else(|| self.end_first_of(rank, now, if is_lucky { 0 } else { LONG_ENOUGH }));
            if gave_way.is_none() {
                self.announced(now, hash);
                return (false, None);
            }
        }
        let is_doubtful = rank == DOUBTFUL;
        self.fresh += usize::from(!is_doubtful);
        let (source_type, address) = (source_type.name().into(), Arc::clone(address));
        let trial = Trial { source_type, address, since: now, is_doubtful };
        let id: Arc<str> = id.into();
        self.orders[rank].push_back((now, Arc::clone(&id)));
        self.on_trial.insert(id, trial);
        (true, gave_way)
    }

    /// It was heard: nothing is held against it any more.
    pub(super) fn heard(&mut self, id: &str) -> Option<(Arc<str>, Trial)> {
        let found = self.on_trial.remove_entry(id)?;
        self.fresh -= usize::from(!found.1.is_doubtful);
        self.remembered.remove(&self.hash(id));
        Some(found)
    }

    /// Ends a trial that has gone on for so long, if there is one.
    pub(super) fn end_one(&mut self, now: Timestamp, time: u64) -> Option<Trial> {
        (0..RANKS).find_map(|rank| self.end_first_of(rank, now, time))
    }

    fn end_first_of(&mut self, rank: usize, now: Timestamp, time: u64) -> Option<Trial> {
        let since = self.first_of(rank)?;
        let lasted = now.micros_since(since);
        if lasted < time {
            return None;
        }
        let (_, id) = self.orders[rank].pop_front()?;
        let hash = self.hash(&id);
        if lasted >= LONG_ENOUGH {
            self.failed(now, hash);
        } else {
            self.announced(now, hash);
        }
        let ended = self.on_trial.remove(&id)?;
        self.fresh -= usize::from(!ended.is_doubtful);
        Some(ended)
    }

    /// When the first trial of that rank began.
    fn first_of(&mut self, rank: usize) -> Option<Timestamp> {
        loop {
            let (since, id) = self.orders[rank].front()?;
            if self.on_trial.get(id).is_some_and(|trial| trial.since == *since) {
                return Some(*since);
            }
            self.orders[rank].pop_front();
        }
    }

    /// When the first trial is over.
    pub(super) fn due(&mut self, settings: &Settings) -> Option<Timestamp> {
        let first = (0..RANKS).filter_map(|rank| self.first_of(rank)).min()?;
        Some(first.plus_micros(settings.trial))
    }

    /// The connection is gone, and with it what was listened to.
    pub(super) fn abandon(&mut self) {
        self.on_trial.clear();
        self.fresh = 0;
        self.orders.iter_mut().for_each(VecDeque::clear);
    }

    /// It had no trial, or too short a one.
    fn announced(&mut self, now: Timestamp, hash: u64) {
        if !self.remembered.contains_key(&hash) {
            self.remember(hash, Remembered { from: now.plus_micros(AGAIN), failures: 0 });
        }
    }

    fn failed(&mut self, now: Timestamp, hash: u64) {
        let failures = self.remembered.get(&hash).map_or(0, |known| known.failures).saturating_add(1);
        let wait = (10 * SECOND).saturating_mul(1 << failures.min(10)).min(LONGEST_WAIT);
        self.remember(hash, Remembered { from: now.plus_micros(wait), failures });
    }

    fn remember(&mut self, hash: u64, known: Remembered) {
        if self.remembered.insert(hash, known).is_none() {
            self.ages.push_back(hash);
        }
        while self.ages.len() > REMEMBERED {
            if let Some(oldest) = self.ages.pop_front() {
                self.remembered.remove(&oldest);
            }
        }
    }

    fn hash(&self, id: &str) -> u64 {
        self.hasher.hash_one(id)
    }

    /// What it takes for ids that are not on trial, in octets.
    #[cfg(test)]
    pub(super) fn size_of_others(&self) -> usize {
        let each = size_of::<(u64, Remembered)>() + size_of::<u64>() + 1;
        self.remembered.capacity().max(self.ages.capacity()) * each
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_was_not_heard_gives_way_and_one_that_is_announced_again_later_takes_a_place() {
        let settings = Settings { trials: 1, ..Settings::default() };
        let address: Arc<str> = "mc/sfe.x".into();
        let mut trials = Trials::default();
        let at = |seconds: u64| Timestamp::from_micros((1000 + seconds) * SECOND);
        let begin = |trials: &mut Trials, seconds, id| {
            let (has_begun, gave_way) =
                trials.begin(at(seconds), id, SourceType::Router, &address, (&settings, false));
            (has_begun, gave_way.is_some())
        };
        assert_eq!(begin(&mut trials, 0, "a"), (true, false));
        assert!(trials.end_one(at(5), LONG_ENOUGH).is_some(), "nothing was heard of it");
        assert_eq!(begin(&mut trials, 30, "b"), (true, false));
        assert_eq!(trials.judge(at(31), "a"), Verdict::Doubtful);
        assert_eq!(begin(&mut trials, 31, "a"), (false, false), "it takes the place of nobody");
        assert_eq!(begin(&mut trials, 31, "c"), (false, false), "there is no place");
        assert_eq!(begin(&mut trials, 32, "c"), (false, false), "it was announced just now");
        assert_eq!(begin(&mut trials, 36, "c"), (true, true), "whoever makes ids up does not come back");
        assert!(trials.is_on_trial("c") && !trials.is_on_trial("b"));
    }

    #[test]
    fn so_many_ids_are_remembered_and_no_more() {
        let mut trials = Trials::default();
        let now = Timestamp::from_micros(0);
        for hash in 0..REMEMBERED as u64 + 5 {
            trials.announced(now, hash);
        }
        assert_eq!((trials.remembered.len(), trials.ages.len()), (REMEMBERED, REMEMBERED));
        assert!(
            !trials.remembered.contains_key(&4) && trials.remembered.contains_key(&5),
            "the oldest leave"
        );
    }
}
