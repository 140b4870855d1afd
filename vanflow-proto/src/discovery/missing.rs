//! Messages of a router that never came, as the ids of the others show.

use super::settings::SECOND;
use crate::Timestamp;

/// By then the routes to all receivers are there.
const FIRST: u64 = 10 * SECOND;

/// The longest wait after messages were missing before others are looked for.
const LONGEST: u64 = 300 * SECOND;

/// What has waited for a receiver that nothing came by for so long is not on its way.
pub(super) const QUIET: u64 = 10 * SECOND;

/// So many gaps are remembered. Where there are more, messages come in no order that says anything.
const MOST: usize = 256;

/// Which ids of a router did not come yet. It counts its messages over all its addresses, so that each comes by one of them.
#[derive(Debug)]
pub(super) struct Missing {
    /// Those that come from then on count.
    from: Timestamp,
    /// The highest that came since.
    top: Option<u64>,
    /// Those below that did not, the first and the last of each gap, in order.
    gaps: Vec<(u64, u64)>,
    /// How long it waits the next time that it begins.
    wait: u64,
}

impl Default for Missing {
    fn default() -> Self {
        Self { from: Timestamp::from_micros(u64::MAX), top: None, gaps: Vec::new(), wait: FIRST }
    }
}

impl Missing {
    /// Begins anew: receivers are on their way, or something may have been missed anyhow.
    pub(super) fn begin(&mut self, now: Timestamp) {
        self.from = now.plus_micros(self.wait);
        self.top = None;
        self.gaps.clear();
    }

    /// Nothing is known until it begins anew: there is no receiver on one of the addresses.
    pub(super) fn pause(&mut self) {
        *self = Self { wait: self.wait, ..Self::default() };
    }

    /// A message with that id came, by whichever address.
    pub(super) fn came(&mut self, now: Timestamp, id: u64) {
        if now < self.from {
            return;
        }
        match self.top.replace(self.top.map_or(id, |top| top.max(id))) {
            Some(top) if id > top + 1 => self.gaps.push((top + 1, id - 1)),
            Some(top) if id < top => self.fill(id),
            _ => {}
        }
        if self.gaps.len() > MOST {
            self.begin(now);
        }
    }

    fn fill(&mut self, id: u64) {
        let at = self.gaps.partition_point(|(_, last)| *last < id);
        let Some(&(first, last)) = self.gaps.get(at).filter(|(first, _)| *first <= id) else { return };
        let rest = [(first, id.wrapping_sub(1)), (id + 1, last)];
        self.gaps.splice(
            at..=at,
            rest.into_iter().filter(|(from, to)| from <= to && *from >= first && *to <= last),
        );
    }

    /// How many are lost. `has_passed` says whether nothing up to that id is on its way any more. After that it begins anew,
    /// each time later where that goes on.
    pub(super) fn lost(&mut self, now: Timestamp, has_passed: impl Fn(u64) -> bool) -> u64 {
        let lost: u64 = self
            .gaps
            .iter()
            .filter(|(_, last)| has_passed(*last))
            .map(|(first, last)| last - first + 1)
            .sum();
        if lost > 0 {
            self.wait = (self.wait * 2).min(LONGEST);
        } else if now.micros_since(self.from) >= LONGEST {
            self.wait = FIRST;
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::Index};

    use super::*;

    const START: Timestamp = Timestamp::from_micros(1_000_000_000);

    fn begun() -> (Missing, Timestamp) {
        let mut missing = Missing::default();
        missing.came(START, 3);
        assert_eq!(missing.top, None, "it has not begun");
        missing.begin(START);
        (missing, START.plus_micros(FIRST))
    }

    #[test]
    fn what_comes_late_or_twice_is_not_missing_and_what_does_not_come_is() {
        let (mut missing, now) = begun();
        for id in [100, 101, 105, 102, 102, 104, 90, 106] {
            missing.came(now, id);
        }
        assert_eq!(missing.lost(now, |_| false), 0, "it can be on its way");
        assert_eq!(missing.lost(now, |_| true), 1);
        missing.came(now, 103);
        assert_eq!(missing.lost(now, |_| true), 0);
    }

    #[test]
    fn the_more_often_something_is_lost_the_later_it_is_looked_at_again() {
        let (mut missing, mut now) = begun();
        let mut waits = Vec::new();
        for _ in 0..7 {
            missing.came(now, 1);
            missing.came(now, 3);
            assert_eq!(missing.lost(now, |_| true), 1);
            missing.begin(now);
            waits.push(missing.from.micros_since(now) / SECOND);
            now = missing.from;
        }
        assert_eq!(waits, [20, 40, 80, 160, 300, 300, 300]);
        assert_eq!(missing.lost(now.plus_micros(LONGEST), |_| true), 0);
        missing.begin(now);
        assert_eq!(missing.from.micros_since(now), FIRST);
    }

    #[test]
    fn ids_in_no_order_say_nothing() {
        let (mut missing, now) = begun();
        (0..1000).for_each(|number| missing.came(now, number * 3));
        assert!(missing.gaps.len() <= MOST);
    }

    proptest! {
        #[test]
        fn lost_is_what_is_between_the_first_and_the_highest_and_did_not_come(
            first in 0..50_u64,
            ids in vec(0..200_u64, 0..300),
            late in vec(any::<Index>(), 0..20),
        ) {
            let (mut missing, now) = begun();
            let mut came = vec![first];
            came.extend(&ids);
            if !ids.is_empty() {
                came.extend(late.iter().map(|at| ids[at.index(ids.len())]));
            }
            came.iter().for_each(|id| missing.came(now, *id));
            let top = came.iter().copied().max().unwrap_or(first);
            let expected = (first..=top).filter(|id| !came.contains(id)).count();
            prop_assert_eq!(missing.lost(now, |_| true), expected as u64);
        }
    }
}
