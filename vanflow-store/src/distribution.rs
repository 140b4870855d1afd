//! Latencies in ranges that are narrow enough to read percentiles off them.
//!
//! Each range is at most a tenth wider than its lower bound, from 0.1 ms to 100 s, so that a percentile is found to
//! within a tenth. Only ranges that occur are kept: a lane has few, and never more than 152.

use std::fmt;

use smallvec::SmallVec;

/// How many bounds there are for each tenfold.
pub(crate) const STEPS: usize = 25;

/// How many times ten there are from the lowest bound to the highest.
const DECADES: usize = 6;

const BOUNDS: usize = DECADES * STEPS + 1;

/// Upper bounds of the ranges, in microseconds, inclusive and ascending.
pub(crate) const FINE_BOUNDS: &[i64] = &fine_bounds();

const fn fine_bounds() -> [i64; BOUNDS] {
    // Those up to 1 ms, and so, times ten, all others.
    let first: [i64; STEPS] = [
        100, 110, 121, 133, 146, 160, 176, 193, 212, 233, 256, 281, 309, 339, 372, 409, 449, 493, 542, 596,
        655, 720, 792, 871, 958,
    ];
    let mut bounds = [0; BOUNDS];
    let mut position = 0;
    let mut factor = 1;
    while position < BOUNDS {
        bounds[position] = first[position % STEPS] * factor;
        position += 1;
        if position % STEPS == 0 {
            factor *= 10;
        }
    }
    bounds
}

/// How often each range occurred, and the sum of the values.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Distribution {
    /// By ascending range.
    counts: SmallVec<[(u8, u64); 1]>,
    /// It wraps, so that what is taken out leaves what was there before, however odd.
    sum: i64,
}

impl Distribution {
    /// One of the values is another now; none stands for no value.
    pub(crate) fn exchange(&mut self, before: Option<u64>, after: Option<u64>) {
        if before == after {
            return;
        }
        if let Some(value) = before {
            let value = signed(value);
            self.sum = self.sum.wrapping_sub(value);
            if let Ok(position) = self.find(value) {
                self.counts[position].1 -= 1;
            }
        }
        if let Some(value) = after {
            let value = signed(value);
            self.sum = self.sum.wrapping_add(value);
            match self.find(value) {
                Ok(position) => self.counts[position].1 += 1,
                Err(position) => self.counts.insert(position, (range(value), 1)),
            }
        }
    }

    fn find(&self, value: i64) -> Result<usize, usize> {
        self.counts.binary_search_by_key(&range(value), |(range, _)| *range)
    }

    pub(crate) fn counts(&self) -> impl Iterator<Item = (usize, u64)> {
        self.counts.iter().map(|(range, count)| (usize::from(*range), *count)).filter(|(_, count)| *count > 0)
    }

    pub(crate) fn sum(&self) -> i64 {
        self.sum
    }

    /// The memory that it takes beside itself, in octets.
    pub(crate) fn octets(&self) -> usize {
        if self.counts.len() > self.counts.inline_size() {
            self.counts.len() * size_of::<(u8, u64)>()
        } else {
            0
        }
    }
}

impl fmt::Debug for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.counts().map(|(range, count)| (FINE_BOUNDS.get(range), count))).finish()
    }
}

/// The position of the range that a value is in.
pub(crate) fn range_of(value: i64) -> usize {
    FINE_BOUNDS.partition_point(|bound| *bound < value)
}

fn range(value: i64) -> u8 {
    range_of(value) as u8
}

pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_range_is_more_than_a_tenth_wide() {
        for pair in FINE_BOUNDS.windows(2) {
            assert!(pair[0] < pair[1] && pair[1] * 10 <= pair[0] * 11, "{pair:?}");
        }
        assert_eq!((FINE_BOUNDS[0], FINE_BOUNDS[BOUNDS - 1]), (100, 100_000_000));
        assert!(u8::try_from(BOUNDS).is_ok());
    }

    #[test]
    fn what_is_taken_out_leaves_what_was_there() {
        let mut distribution = Distribution::default();
        for value in [0, 100, 101, 28_000, u64::MAX] {
            distribution.exchange(None, Some(value));
        }
        let ranges: Vec<_> =
            distribution.counts().map(|(range, count)| (FINE_BOUNDS.get(range), count)).collect();
        assert_eq!(
            ranges,
            [(Some(&100), 2), (Some(&110), 1), (Some(&28_100), 1), (None, 1)],
            "bounds are inclusive"
        );
        distribution.exchange(Some(28_000), Some(5));
        distribution.exchange(Some(u64::MAX), None);
        assert_eq!(distribution.counts().collect::<Vec<_>>(), [(0, 3), (1, 1)]);
        assert_eq!(distribution.sum(), 206);
    }
}
