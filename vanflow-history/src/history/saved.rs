//! A history in octets, so that it outlives the process.
//!
//! ```text
//! vanflow charts 1␊
//! u32       how many scrapes there were
//! i64 …     when each was, in milliseconds since the epoch
//! u32       the first of them that is answered from
//! u32       how many series there are; for each
//!   u8      whether it was in the last scrape
//!   u32     how many labels; for each its name and its value, u32 octets each
//!   u32     how many chunks; for each
//!     u8 u16 u32 u32   tier, samples, first and last scrape
//!     u32 …   what is packed
//! u32       CRC-32 of all before it
//! ```
//!
//! All numbers are little-endian.

use std::sync::Arc;

use thiserror::Error;

use super::{History, HistoryOptions, chunk::Chunk, series::Series};

const BEGINNING: &[u8] = b"vanflow charts 1\n";

/// Why a history is not to be had of octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// They are something else, or of another version.
    #[error("it is no history of metrics, or of a version that is not known")]
    Unknown,
    /// Some of them are missing, or others than were written.
    #[error("it is torn or damaged")]
    Damaged,
}

impl History {
    /// All that it has, for [`History::restore`].
    pub fn save(&self) -> Vec<u8> {
        let mut length = 4;
        self.write(&mut |part| length += part.len());
        let mut octets = Vec::with_capacity(length);
        self.write(&mut |part| octets.extend_from_slice(part));
        let sum = crc32fast::hash(&octets);
        octets.extend_from_slice(&sum.to_le_bytes());
        octets
    }

    /// Gives all but the checksum, in parts.
    fn write(&self, give: &mut dyn FnMut(&[u8])) {
        give(BEGINNING);
        number(give, self.times.len());
        self.times.iter().for_each(|time| give(&time.to_le_bytes()));
        number(give, (self.oldest() - self.base) as usize);
        number(give, self.known.len());
        for series in self.series.iter().flatten() {
            give(&[u8::from(series.is_live)]);
            number(give, series.labels.len() / 2);
            series.labels.iter().for_each(|symbol| text(give, self.symbols.text(*symbol)));
            let chunks: Vec<_> = series.packed().filter(|chunk| chunk.first >= self.base).collect();
            number(give, chunks.len());
            for chunk in chunks {
                give(&[chunk.tier]);
                give(&chunk.count.to_le_bytes());
                number(give, (chunk.first - self.base) as usize);
                number(give, (chunk.last - self.base) as usize);
                number(give, chunk.octets());
                give(chunk.packed());
            }
        }
    }

    /// The history that was saved, kept by these options from now on. What is not in the next scrape has ended by then.
    ///
    /// # Errors
    ///
    /// Where that is none, or not all of one.
    pub fn restore(options: HistoryOptions, octets: &[u8]) -> Result<Self, RestoreError> {
        let Some(rest) = octets.strip_prefix(BEGINNING) else { return Err(RestoreError::Unknown) };
        let (Some((whole, sum)), Some((rest, _))) =
            (octets.split_last_chunk::<4>(), rest.split_last_chunk::<4>())
        else {
            return Err(RestoreError::Damaged);
        };
        if crc32fast::hash(whole) != u32::from_le_bytes(*sum) {
            return Err(RestoreError::Damaged);
        }
        Self::read_back(options, &mut Octets(rest)).ok_or(RestoreError::Damaged)
    }

    fn read_back(options: HistoryOptions, octets: &mut Octets<'_>) -> Option<Self> {
        let mut history = Self::new(options);
        for _ in 0..octets.number()? {
            history.times.push_back(i64::from_le_bytes(octets.take()?));
        }
        history.floor = octets.number()?;
        for _ in 0..octets.number()? {
            let is_live = octets.take::<1>()? == [1];
            let labels = octets.number()? as usize;
            let texts: Vec<_> = (0..2 * labels).map(|_| octets.text()).collect::<Option<_>>()?;
            let labels: Vec<_> = texts.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
            let mut chunks = Vec::new();
            for _ in 0..octets.number()? {
                let [tier] = octets.take()?;
                let count = u16::from_le_bytes(octets.take()?);
                let (first, last) = (octets.number()?, octets.number()?);
                chunks.push(Chunk::of_packed(octets.octets()?, first, last, count, tier));
            }
            // Where there is less room than there was, the others are not taken back.
            let Some(id) = history.find_or_add(&labels) else { continue };
            let added = history.series[id as usize].as_mut()?;
            let before = added.octets();
            *added = Series::of_packed(Arc::clone(&added.labels), added.serial, chunks, is_live);
            history.octets = history.octets + added.octets() - before;
            if is_live {
                history.live.push(id);
            }
        }
        Some(history)
    }
}

fn number(give: &mut dyn FnMut(&[u8]), number: usize) {
    give(&u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
}

fn text(give: &mut dyn FnMut(&[u8]), text: &str) {
    number(give, text.len());
    give(text.as_bytes());
}

/// What is left to be read.
struct Octets<'o>(&'o [u8]);

impl<'o> Octets<'o> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn number(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn octets(&mut self) -> Option<&'o [u8]> {
        let length = self.number()? as usize;
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn text(&mut self) -> Option<&'o str> {
        std::str::from_utf8(self.octets()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn options() -> HistoryOptions {
        HistoryOptions { horizon: Duration::from_mins(40), ..HistoryOptions::default() }
    }

    /// Feeds what series have at one time after the other; none where one is not there.
    fn feed(history: &mut History, from: usize, scrapes: &[[Option<f64>; 3]]) {
        for (values, at) in scrapes.iter().zip(from..) {
            let mut scrape = history.scrape(at as i64 * 5_000);
            for (value, name) in values.iter().zip(["a", "b", "c"]) {
                if let Some(value) = value {
                    scrape.sample("octets_total", &[("site", name)], *value);
                }
            }
            scrape.finish();
        }
    }

    type All = Vec<(Vec<(String, String)>, Vec<(i64, Option<f64>)>)>;

    /// All that is answered.
    fn all(history: &History) -> (Option<i64>, All) {
        let series = history.select(None, |_| true);
        let read = |found: &super::super::Found<'_>| {
            let mut samples = Vec::new();
            history.read(found, i64::MIN, i64::MAX - 1, &mut samples);
            let labels = found.labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            (labels.collect(), samples.iter().map(|sample| (sample.at, sample.value)).collect())
        };
        (history.oldest_ms(), series.iter().map(read).collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn one_that_was_saved_at_any_time_goes_on_as_if_it_had_not_been(
            scrapes in vec(prop::array::uniform3(prop::option::weighted(0.95, 0..40_u32)), 1..900),
            share in 0.0..1.0,
        ) {
            let scrapes: Vec<_> = scrapes.into_iter().map(|values| values.map(|value| value.map(f64::from))).collect();
            let at = (share * scrapes.len() as f64) as usize;
            let mut plain = History::new(options());
            feed(&mut plain, 0, &scrapes[..at]);
            let mut restored = History::restore(options(), &plain.save()).unwrap();
            prop_assert_eq!(all(&restored), all(&plain));
            prop_assert_eq!(restored.save(), plain.save());
            feed(&mut plain, at, &scrapes[at..]);
            feed(&mut restored, at, &scrapes[at..]);
            // Not all are looked after at the same time.
            let last = |history: &History| {
                let (_, series) = all(history);
                let recent = |samples: Vec<(i64, Option<f64>)>| -> Vec<_> {
                    samples.into_iter().filter(|(time, _)| *time > (scrapes.len() as i64 - 170) * 5_000).collect()
                };
                series.into_iter().map(|(labels, samples)| (labels, recent(samples))).collect::<All>()
            };
            prop_assert_eq!(last(&restored), last(&plain));
        }
    }

    #[test]
    fn what_is_torn_damaged_or_foreign_is_none() {
        let mut history = History::new(options());
        feed(&mut history, 0, &[[Some(1.0), None, Some(0.5)], [Some(2.0), Some(7.0), None]]);
        let whole = history.save();
        for length in 0..whole.len() {
            assert!(History::restore(options(), &whole[..length]).is_err(), "{length}");
        }
        for at in 0..whole.len() {
            let mut other = whole.clone();
            other[at] ^= 4;
            let error = History::restore(options(), &other).unwrap_err();
            let is_unknown = at < BEGINNING.len();
            assert_eq!(error == RestoreError::Unknown, is_unknown, "{at}");
        }
        assert!(History::restore(options(), &whole).is_ok());
    }

    #[test]
    fn where_there_is_less_room_than_there_was_it_is_kept_to() {
        let mut history = History::new(options());
        for at in 0..100 {
            let mut scrape = history.scrape(at * 5_000);
            for series in 0..200 {
                let name = format!("site {series}");
                scrape.sample("octets_total", &[("site", &name)], (at * series) as f64 + 0.5);
            }
            scrape.finish();
        }
        let less = HistoryOptions { memory: history.stats().octets / 4, ..options() };
        let mut restored = History::restore(less.clone(), &history.save()).unwrap();
        restored.scrape(101 * 5_000).finish();
        assert!(restored.stats().octets <= less.memory, "{:?}", restored.stats());
    }
}
