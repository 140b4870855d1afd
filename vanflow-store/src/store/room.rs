//! How much room there is, and who gets it (faults 30).
//!
//! What all records take is bounded by [`StoreOptions::memory_bound`](crate::StoreOptions::memory_bound). Beyond it, sources
//! that take more than their *share* give way: the share is the same for all, and such that what they take up to it comes
//! to the bound. So one that takes less than that loses nothing, whatever the others do. One that takes more loses its
//! own ended records, the oldest first, and when it has none of those left, its new records are refused, and what would
//! make its known ones larger. Its live records stay.
//!
//! Shares are counted in what records are charged with: their rows, attributes, long texts and ids. What comes on top of
//! that, indexes and what records share, belongs to all in proportion.

use super::Store;
use crate::{oddity::Oddity, source::SourceId};

/// Of the memory bound, what live records of a single source may take, in quarters: others find room to begin with.
const OF_ONE_SOURCE: usize = 3;

/// How often the share is used before it is worked out again within the same second.
const MOST_USES: u32 = 1024;

/// What each source may take while there is no room for more.
#[derive(Debug)]
pub(super) struct Shares {
    /// What all records together are charged with.
    pub(super) charged: usize,
    /// What a source may be charged with, as of `worked_out`.
    share: usize,
    /// The sources that have more, by how much they have.
    over: Vec<SourceId>,
    worked_out: u32,
    uses_left: u32,
}

impl Default for Shares {
    fn default() -> Self {
        Self { charged: 0, share: usize::MAX, over: Vec::new(), worked_out: 0, uses_left: 0 }
    }
}

impl Shares {
    /// Has them worked out when they are asked for next.
    pub(super) fn expire(&mut self) {
        self.uses_left = 0;
    }
}

/// A sum of what records are charged with, of which one is charged with something else now.
#[inline]
pub(super) fn charge(octets: &mut usize, before: u32, after: u32) {
    *octets = (*octets + after as usize).saturating_sub(before as usize);
}

/// The most that each of them may have, so that what they have up to that comes to `budget`. `octets` are in descending
/// order.
fn share(octets: &[usize], budget: usize) -> usize {
    let mut rest: usize = octets.iter().sum();
    if rest <= budget {
        return usize::MAX;
    }
    // Of the largest so many, each has as much; of the others each what it has.
    for (many, &next) in octets.iter().enumerate() {
        if let Some(share) = budget.saturating_sub(rest).checked_div(many)
            && share >= next
        {
            return share;
        }
        rest -= next;
    }
    budget / octets.len().max(1)
}

impl Store {
    /// Whether no room is left for a source that takes more than its share, and has nothing to give for what is new.
    #[inline]
    pub(super) fn is_full_for(&self, source: SourceId) -> bool {
        self.is_full && self.is_over_its_share(source) && !self.expiry.has(source)
    }

    #[cold]
    fn is_over_its_share(&self, source: SourceId) -> bool {
        self.sources[source.0 as usize].octets > self.shares.share
    }

    /// Why a new record of that source cannot be taken, if so.
    pub(super) fn refusal(&self, source: SourceId, id: &str) -> Option<Oddity> {
        let state = &self.sources[source.0 as usize];
        if id.len() > self.options.longest_id {
            return Some(Oddity::IdTooLong);
        }
        if state.live as usize >= self.options.source_records {
            return Some(Oddity::SourceFull);
        }
        let bound = self.options.memory_bound?;
        let lives_on = || {
            let live = state.live_octets as u128 * self.memory() as u128;
            live / self.shares.charged.max(1) as u128 > (bound / 4 * OF_ONE_SOURCE) as u128
        };
        (self.is_full_for(source) || lives_on()).then_some(Oddity::MemoryFull)
    }

    /// A new record of that source is refused.
    #[cold]
    pub(super) fn refuse(&mut self, source: SourceId, why: Oddity) {
        self.graph.vocabulary.oddities.add(why);
        let now = self.now;
        let source = self.source_mut(source);
        source.refused += 1;
        source.refused_between = Some((source.refused_between.map_or(now, |(first, _)| first), now));
    }

    /// A source whose ended records have to go while there is no room, `source` first: none where those that take more
    /// than their share have none.
    pub(super) fn gives_way(&mut self, source: Option<SourceId>) -> Option<SourceId> {
        self.work_out_shares();
        if let Some(source) = source
            && self.is_over_its_share(source)
            && self.expiry.has(source)
        {
            return Some(source);
        }
        while let Some(&heaviest) = self.shares.over.last() {
            if self.is_over_its_share(heaviest) && self.expiry.has(heaviest) {
                return Some(heaviest);
            }
            self.shares.over.pop();
        }
        self.expiry.has(SourceId::NONE).then_some(SourceId::NONE)
    }

    /// Works out what each source may take, from time to time.
    fn work_out_shares(&mut self) {
        let second = super::seconds(self.now);
        if self.shares.worked_out == second && self.shares.uses_left > 0 {
            self.shares.uses_left -= 1;
            return;
        }
        let bound = self.options.memory_bound.unwrap_or(usize::MAX);
        let mut by_octets: Vec<_> = self
            .sources
            .iter()
            .map(|source| source.octets)
            .zip(0_u32..)
            .filter(|(octets, _)| *octets > 0)
            .collect();
        by_octets.sort_unstable_by(|left, right| right.cmp(left));
        let octets: Vec<_> = by_octets.iter().map(|(octets, _)| *octets).collect();
        let charged = self.shares.charged as u128;
        let budget = bound as u128 * charged / self.memory().max(1) as u128;
        let share = share(&octets, usize::try_from(budget).unwrap_or(usize::MAX));
        let over = by_octets.iter().take_while(|(octets, _)| *octets > share);
        self.shares.over = over.map(|(_, source)| SourceId(*source)).collect();
        self.shares.over.reverse();
        self.shares.share = share;
        self.shares.worked_out = second;
        self.shares.uses_left = MOST_USES;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_little_keeps_it_and_the_rest_is_shared_alike() {
        assert_eq!(share(&[60, 30, 10], 100), usize::MAX, "there is room for all");
        assert_eq!(share(&[60, 30, 10], 90), 50);
        assert_eq!(share(&[60, 30, 10], 70), 30);
        assert_eq!(share(&[60, 30, 10], 50), 20);
        assert_eq!(share(&[60, 30, 10], 15), 5);
        assert_eq!(share(&[1000], 64), 64);
        assert_eq!(share(&[], 64), usize::MAX);
    }
}
