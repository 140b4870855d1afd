//! One series: its samples, fine where they are young and coarser the older they are.

use std::sync::Arc;

use super::{
    chunk::{Chunk, Kept, Packer},
    symbols::Symbol,
};

/// How many samples are packed together before they are sealed.
const FRESH: u16 = 60;
/// How many thinned samples a chunk has at most.
const THINNED: u16 = 120;

/// What a series takes beside its samples: itself, its place in the table, and the list that names it.
const OVERHEAD: usize = size_of::<Option<Series>>() + 2 * size_of::<Arc<[Symbol]>>() + 16 + 24;

#[derive(Debug)]
pub(super) struct Series {
    /// Name and value in turn, in the order of the names.
    pub(super) labels: Arc<[Symbol]>,
    /// How many were taken in before it, by which it is told from others that had its place.
    pub(super) serial: u32,
    /// Oldest first.
    chunks: Vec<Chunk>,
    open: Packer,
    /// Whether it was in the last scrape.
    pub(super) is_live: bool,
}

impl Series {
    pub(super) fn new(labels: Arc<[Symbol]>, serial: u32) -> Self {
        Self { labels, serial, chunks: Vec::new(), open: Packer::default(), is_live: false }
    }

    /// One with samples that were packed before.
    pub(super) fn of_packed(labels: Arc<[Symbol]>, serial: u32, chunks: Vec<Chunk>, is_live: bool) -> Self {
        Self { chunks, is_live, ..Self::new(labels, serial) }
    }

    /// All samples, packed.
    pub(super) fn packed(&self) -> impl Iterator<Item = Chunk> {
        let open: Vec<_> = self.open.iter().collect();
        let open = (self.open.count() > 0).then(|| Chunk::pack(&open, 0));
        self.chunks.iter().cloned().chain(open)
    }

    pub(super) fn push(&mut self, sample: Kept) {
        self.open.push(sample);
        if self.open.count() >= FRESH {
            self.chunks.push(self.open.seal(0));
        }
    }

    /// The ordinal of the last sample.
    pub(super) fn last(&self) -> Option<u32> {
        self.open.last().map(|sample| sample.ordinal).or_else(|| self.chunks.last().map(|chunk| chunk.last))
    }

    /// All samples from one ordinal to another, both included.
    pub(super) fn samples(&self, from: u32, to: u32) -> impl Iterator<Item = Kept> + use<'_> {
        let begin = self.chunks.partition_point(|chunk| chunk.last < from);
        let packed = self.chunks[begin..].iter().take_while(move |chunk| chunk.first <= to);
        let open = (self.open.count() > 0 && self.open.first() <= to).then(|| self.open.iter());
        packed
            .flat_map(Chunk::iter)
            .chain(open.into_iter().flatten())
            .skip_while(move |sample| sample.ordinal < from)
            .take_while(move |sample| sample.ordinal <= to)
    }

    pub(super) fn count(&self) -> usize {
        usize::from(self.open.count())
            + self.chunks.iter().map(|chunk| usize::from(chunk.count)).sum::<usize>()
    }

    /// The last ordinal and the size of each chunk.
    pub(super) fn chunks(&self) -> impl Iterator<Item = (u32, usize)> {
        self.chunks.iter().map(|chunk| (chunk.last, chunk.octets() + size_of::<Chunk>()))
    }

    /// Forgets the chunks that end before that ordinal. Says whether anything is left.
    pub(super) fn forget_before(&mut self, ordinal: u32) -> bool {
        let gone = self.chunks.partition_point(|chunk| chunk.last < ordinal);
        if gone > 0 {
            self.chunks.drain(..gone);
            self.chunks.shrink_to_fit();
        }
        if !self.is_live && self.open.last().is_some_and(|sample| sample.ordinal < ordinal) {
            self.open = Packer::default();
        }
        self.is_live || !self.chunks.is_empty() || self.open.count() > 0
    }

    /// Thins the chunks that are older than the tier they are in keeps. `ends[tier]` is the first ordinal that is
    /// young enough for it, and `step_of(tier, ordinal)` says which step of a tier a scrape falls in.
    pub(super) fn age(&mut self, ends: &[u32], step_of: impl Fn(usize, u32) -> i64) {
        // One that ended is not added to any more, so what is open has to grow old like the rest.
        if !self.is_live && self.open.last().is_some_and(|sample| sample.ordinal < ends[0]) {
            let rest = self.open.seal(0);
            self.open = Packer::default();
            self.chunks.push(rest);
        }
        let is_due = |chunk: &Chunk| {
            let tier = usize::from(chunk.tier);
            tier + 1 < ends.len() && chunk.last < ends[tier]
        };
        if !self.chunks.iter().any(is_due) {
            return;
        }
        let mut aged: Vec<Chunk> = Vec::with_capacity(self.chunks.len());
        for mut chunk in self.chunks.drain(..) {
            while is_due(&chunk) {
                let tier = chunk.tier + 1;
                let samples: Vec<Kept> = chunk.iter().collect();
                let thinned = thin(&samples, |ordinal| step_of(usize::from(tier), ordinal));
                chunk = Chunk::pack(&thinned, tier);
            }
            match aged.last_mut() {
                Some(before)
                    if chunk.tier > 0
                        && before.tier == chunk.tier
                        && before.count + chunk.count <= THINNED =>
                {
                    let samples: Vec<Kept> = before.iter().chain(chunk.iter()).collect();
                    *before = Chunk::pack(&samples, chunk.tier);
                }
                _ => aged.push(chunk),
            }
        }
        aged.shrink_to_fit();
        self.chunks = aged;
    }

    /// What it takes in memory, its texts apart.
    pub(super) fn octets(&self) -> usize {
        // 16 for what an allocator adds to each block.
        let chunks: usize = self.chunks.iter().map(|chunk| chunk.octets() + 16).sum();
        OVERHEAD
            + size_of_val::<[Symbol]>(&self.labels)
            + self.open.octets()
            + self.chunks.capacity() * size_of::<Chunk>()
            + chunks
    }
}

/// Keeps the last sample of each step, and whatever reports a counter that began anew: the sample before it, and that
/// after it. So too for a series that went away and came back. The first and the last sample stay, since what is
/// beyond them is in another chunk.
fn thin(samples: &[Kept], step: impl Fn(u32) -> i64) -> Vec<Kept> {
    let falls = |before: Kept, after: Kept| match (before.value, after.value) {
        (Some(before), Some(after)) => after < before,
        _ => true,
    };
    let mut kept = Vec::new();
    for (position, &sample) in samples.iter().enumerate() {
        let before = position.checked_sub(1).map(|before| samples[before]);
        let after = samples.get(position + 1).copied();
        let stays = before.is_none_or(|before| falls(before, sample))
            || after.is_none_or(|after| falls(sample, after) || step(sample.ordinal) != step(after.ordinal));
        if stays {
            kept.push(sample);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thinned(values: &[Option<f64>]) -> Vec<u32> {
        let samples: Vec<_> =
            values.iter().zip(0..).map(|(&value, ordinal)| Kept { ordinal, value }).collect();
        thin(&samples, |ordinal| i64::from(ordinal / 4)).iter().map(|sample| sample.ordinal).collect()
    }

    #[test]
    fn the_last_of_each_step_is_kept_and_so_are_both_ends() {
        let values: Vec<_> = (0..14).map(|value| Some(f64::from(value))).collect();
        assert_eq!(thinned(&values), [0, 3, 7, 11, 13]);
    }

    #[test]
    fn a_counter_that_begins_anew_is_kept_on_both_sides() {
        let values: Vec<_> = [1, 2, 3, 4, 5, 9, 0, 30, 40].map(|value| Some(f64::from(value))).into();
        assert_eq!(thinned(&values), [0, 3, 5, 6, 7, 8]);
    }

    #[test]
    fn a_series_that_goes_and_comes_back_is_kept_on_all_sides() {
        let values =
            [Some(1.0), Some(1.0), None, Some(1.0), Some(1.0), Some(1.0), Some(1.0), Some(1.0), Some(1.0)];
        assert_eq!(thinned(&values), [0, 1, 2, 3, 7, 8]);
    }
}
