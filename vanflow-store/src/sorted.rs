//! Sorted lists that readers can hold on to, and that know the position of each entry.
//!
//! Entries stand in chunks, and chunks in folders, both shared by counted references as [`Pages`](crate::pages) are.
//! Entries come and go next to those before them: what ended now ended last, and ids count up. So the chunk that was
//! changed last is tried first, and one that is full is cut where the new entry goes, which leaves full ones behind.
//! How an entry compares to others is an argument, as it can depend on more than they hold.

use std::{cmp::Ordering, ops::Range, sync::Arc};

use crate::shared::to_change;

/// Entries to a chunk.
const CHUNK: usize = 128;
/// Chunks to a folder.
const FOLDER: usize = 64;

#[derive(Clone, Debug)]
struct Chunk<E> {
    len: usize,
    entries: [E; CHUNK],
}

impl<E: Copy + Default> Chunk<E> {
    fn new(entries: &[E]) -> Self {
        let mut chunk = Self { len: entries.len(), entries: [E::default(); CHUNK] };
        chunk.entries[..entries.len()].copy_from_slice(entries);
        chunk
    }

    fn insert(&mut self, position: usize, entry: E) {
        self.entries.copy_within(position..self.len, position + 1);
        self.entries[position] = entry;
        self.len += 1;
    }

    fn remove(&mut self, position: usize) {
        self.entries.copy_within(position + 1..self.len, position);
        self.len -= 1;
    }
}

impl<E> Chunk<E> {
    fn entries(&self) -> &[E] {
        &self.entries[..self.len]
    }

    /// The first entry; chunks are never empty.
    fn first(&self) -> &E {
        &self.entries[0]
    }

    /// Where an entry goes: where it is guessed to, or one further, or wherever else.
    fn position(&self, guess: usize, compare: &impl Fn(&E) -> Ordering) -> usize {
        let entries = self.entries();
        if guess > 0 && guess <= entries.len() && compare(&entries[guess - 1]).is_lt() {
            if let Some(further) = entries[guess..].iter().take(2).position(|other| compare(other).is_gt()) {
                return guess + further;
            }
            if guess == entries.len() {
                return guess;
            }
        }
        entries.partition_point(|other| compare(other).is_lt())
    }
}

#[derive(Clone, Debug)]
struct Folder<E> {
    /// Entries in all its chunks.
    len: usize,
    chunks: Arc<Vec<Arc<Chunk<E>>>>,
}

/// A sorted list of which clones are cheap.
#[derive(Clone, Debug)]
pub(crate) struct Sorted<E> {
    folders: Arc<Vec<Folder<E>>>,
    len: usize,
}

impl<E> Default for Sorted<E> {
    fn default() -> Self {
        Self { folders: Arc::default(), len: 0 }
    }
}

impl<E> Sorted<E> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// How many entries there are for which `is_before` holds; it holds for none after one for which it does not.
    pub(crate) fn rank(&self, is_before: impl Fn(&E) -> bool) -> usize {
        let begins_before = |chunks: &[Arc<Chunk<E>>]| is_before(chunks[0].first());
        let folder = self.folders.partition_point(|folder| begins_before(&folder.chunks));
        let Some(folder) = folder.checked_sub(1) else { return 0 };
        let chunks = &self.folders[folder].chunks;
        let chunk = chunks.partition_point(|chunk| is_before(chunk.first())) - 1;
        self.folders[..folder].iter().map(|folder| folder.len).sum::<usize>()
            + chunks[..chunk].iter().map(|chunk| chunk.len).sum::<usize>()
            + chunks[chunk].entries().partition_point(is_before)
    }

    /// The entries at these positions, from either side; positions that there are not are left out.
    pub(crate) fn range(&self, range: Range<usize>) -> Entries<'_, E> {
        let end = range.end.min(self.len);
        let start = range.start.min(end);
        Entries { sorted: self, front: self.find(start), back: self.find(end), left: end - start }
    }

    /// Where the entry at that position is; the end of the last chunk before it, if there is none.
    fn find(&self, position: usize) -> Position {
        let mut place = Position { folder: 0, chunk: 0, entry: position };
        while let Some(folder) = self.folders.get(place.folder)
            && place.entry >= folder.len
        {
            place.entry -= folder.len;
            place.folder += 1;
        }
        if let Some(folder) = self.folders.get(place.folder) {
            while place.entry >= folder.chunks[place.chunk].len {
                place.entry -= folder.chunks[place.chunk].len;
                place.chunk += 1;
            }
        }
        place
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Position {
    folder: usize,
    chunk: usize,
    entry: usize,
}

/// Entries in their order, from either side.
#[derive(Clone, Debug)]
pub(crate) struct Entries<'a, E> {
    sorted: &'a Sorted<E>,
    /// The next one from the front.
    front: Position,
    /// The one after the next one from the back.
    back: Position,
    left: usize,
}

impl<'a, E> Iterator for Entries<'a, E> {
    type Item = &'a E;

    fn next(&mut self) -> Option<&'a E> {
        self.left = self.left.checked_sub(1)?;
        let chunks = &self.sorted.folders[self.front.folder].chunks;
        let chunk = &chunks[self.front.chunk];
        let entry = &chunk.entries[self.front.entry];
        self.front.entry += 1;
        if self.front.entry == chunk.len {
            self.front.entry = 0;
            self.front.chunk += 1;
            if self.front.chunk == chunks.len() {
                self.front.chunk = 0;
                self.front.folder += 1;
            }
        }
        Some(entry)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<E> DoubleEndedIterator for Entries<'_, E> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        if self.back.entry == 0 {
            if self.back.chunk == 0 {
                self.back.folder -= 1;
                self.back.chunk = self.sorted.folders[self.back.folder].chunks.len();
            }
            self.back.chunk -= 1;
            self.back.entry = self.sorted.folders[self.back.folder].chunks[self.back.chunk].len;
        }
        self.back.entry -= 1;
        Some(&self.sorted.folders[self.back.folder].chunks[self.back.chunk].entries[self.back.entry])
    }
}

impl<E> ExactSizeIterator for Entries<'_, E> {}

/// A sorted list, and what only its writer needs to know.
#[derive(Debug)]
pub(crate) struct SortedWriter<E> {
    sorted: Sorted<E>,
    chunks: usize,
    /// The folder and chunk that got an entry last, and those that lost one.
    last_inserted: (usize, usize),
    last_removed: (usize, usize),
    /// The position in its chunk of the entry that came last.
    last_position: usize,
}

impl<E> Default for SortedWriter<E> {
    fn default() -> Self {
        Self {
            sorted: Sorted::default(),
            chunks: 0,
            last_inserted: (0, 0),
            last_removed: (0, 0),
            last_position: 0,
        }
    }
}

impl<E: Copy + Default> SortedWriter<E> {
    pub(crate) fn sorted(&self) -> &Sorted<E> {
        &self.sorted
    }

    /// The memory that the list takes, in octets.
    pub(crate) fn octets(&self) -> usize {
        self.chunks * (size_of::<Chunk<E>>() + 4 * size_of::<usize>())
    }

    /// Puts an entry into the list, which is not in it. `compare` says how another one compares to it.
    pub(crate) fn insert(&mut self, entry: E, compare: impl Fn(&E) -> Ordering) {
        self.sorted.len += 1;
        let at = self.locate(self.last_inserted, &compare);
        let folders = to_change(&mut self.sorted.folders);
        let Some(at) = at else {
            folders.push(Folder { len: 1, chunks: Arc::new(vec![Arc::new(Chunk::new(&[entry]))]) });
            self.chunks = 1;
            return;
        };
        self.last_inserted = at;
        let folder = &mut folders[at.0];
        folder.len += 1;
        let chunks = to_change(&mut folder.chunks);
        let chunk = to_change(&mut chunks[at.1]);
        let position = chunk.position(self.last_position + 1, &compare);
        self.last_position = position;
        if chunk.len < CHUNK {
            return chunk.insert(position, entry);
        }
        let new = if position == CHUNK {
            self.last_inserted.1 += 1;
            self.last_position = 0;
            Chunk::new(&[entry])
        } else {
            let rest = Chunk::new(&chunk.entries[position..]);
            chunk.len = position;
            chunk.insert(position, entry);
            rest
        };
        chunks.insert(at.1 + 1, Arc::new(new));
        self.chunks += 1;
        if chunks.len() > FOLDER {
            // Ids count up, and what ends ends last: most of what comes goes after the new chunk.
            let rest = chunks.split_off(if at.1 + 2 == chunks.len() { FOLDER } else { FOLDER / 2 });
            let len = rest.iter().map(|chunk| chunk.len).sum();
            folder.len -= len;
            folders.insert(at.0 + 1, Folder { len, chunks: Arc::new(rest) });
        }
    }

    /// Takes the entry out of the list that is equal, if there is one. `compare` says how others compare to it.
    pub(crate) fn remove(&mut self, compare: impl Fn(&E) -> Ordering) {
        let Some(at) = self.locate(self.last_removed, &compare) else { return };
        self.last_removed = at;
        let chunk = &self.sorted.folders[at.0].chunks[at.1];
        let found =
            if compare(chunk.first()).is_eq() { Ok(0) } else { chunk.entries().binary_search_by(&compare) };
        debug_assert!(found.is_ok(), "what is taken out was put in");
        let Ok(position) = found else { return };
        self.sorted.len -= 1;
        let folders = to_change(&mut self.sorted.folders);
        let folder = &mut folders[at.0];
        folder.len -= 1;
        let chunks = to_change(&mut folder.chunks);
        let chunk = to_change(&mut chunks[at.1]);
        chunk.remove(position);
        let len = chunk.len;
        if len == 0 {
            chunks.remove(at.1);
            self.chunks -= 1;
        } else if let Some(next) = chunks.get(at.1 + 1)
            && len + next.len <= CHUNK / 2
        {
            let next = chunks.remove(at.1 + 1);
            let chunk = to_change(&mut chunks[at.1]);
            chunk.entries[len..len + next.len].copy_from_slice(next.entries());
            chunk.len += next.len;
            self.chunks -= 1;
        }
        let many = chunks.len();
        if many == 0 {
            folders.remove(at.0);
        } else if let Some(next) = folders.get(at.0 + 1)
            && many + next.chunks.len() <= FOLDER / 2
        {
            let next = folders.remove(at.0 + 1);
            let folder = &mut folders[at.0];
            folder.len += next.len;
            to_change(&mut folder.chunks).extend(next.chunks.iter().cloned());
        }
    }

    /// The chunk in which an entry is or should be: the last one that does not begin after it, or the first one.
    fn locate(&self, last: (usize, usize), compare: &impl Fn(&E) -> Ordering) -> Option<(usize, usize)> {
        let folders = &self.sorted.folders;
        let is_after = |chunk: &Arc<Chunk<E>>| compare(chunk.first()).is_gt();
        if let Some(chunks) = folders.get(last.0).map(|folder| &folder.chunks)
            && chunks.get(last.1).is_some_and(|chunk| !is_after(chunk))
            && match chunks.get(last.1 + 1) {
                Some(next) => is_after(next),
                None => folders.get(last.0 + 1).is_none_or(|next| is_after(&next.chunks[0])),
            }
        {
            return Some(last);
        }
        if folders.is_empty() {
            return None;
        }
        let folder = folders.partition_point(|folder| !is_after(&folder.chunks[0])).saturating_sub(1);
        let chunk = folders[folder].chunks.partition_point(|chunk| !is_after(chunk)).saturating_sub(1);
        Some((folder, chunk))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Runs of numbers that come or go in one order or the other.
    #[derive(Clone, Debug)]
    struct Run {
        comes: bool,
        start: u32,
        len: u32,
        step: u32,
        backward: bool,
    }

    fn run() -> impl Strategy<Value = Run> {
        (any::<bool>(), 0_u32..30_000, 1_u32..6_000, 1_u32..40, any::<bool>())
            .prop_map(|(comes, start, len, step, backward)| Run { comes, start, len, step, backward })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn what_is_in_the_list_is_what_is_in_a_set(runs in prop::collection::vec(run(), 1..12)) {
            let mut list = SortedWriter::default();
            let mut set = BTreeSet::new();
            let mut before = (list.sorted().clone(), set.clone());
            for run in runs {
                for offset in 0..run.len {
                    let offset = if run.backward { run.len - 1 - offset } else { offset };
                    let number = run.start + offset * run.step;
                    if run.comes && set.insert(number) {
                        list.insert(number, |other| other.cmp(&number));
                    } else if !run.comes && set.remove(&number) {
                        list.remove(|other| other.cmp(&number));
                    }
                }
                let sorted = list.sorted();
                prop_assert_eq!(sorted.len(), set.len());
                prop_assert!(sorted.range(0..usize::MAX).eq(&set));
                prop_assert!(sorted.range(0..usize::MAX).rev().eq(set.iter().rev()));
                for probe in [0, run.start, run.start + run.len / 2 * run.step, 1 << 20] {
                    let rank = sorted.rank(|&number| number < probe);
                    prop_assert_eq!(rank, set.range(..probe).count());
                    prop_assert!(sorted.range(rank..rank + 300).eq(set.range(probe..).take(300)));
                    let back = sorted.range(0..rank).rev().take(300);
                    prop_assert!(back.eq(set.range(..probe).rev().take(300)));
                }
                prop_assert!(before.0.range(0..usize::MAX).eq(&before.1), "who looked before sees what was");
                before = (sorted.clone(), set.clone());
            }
            for number in &set {
                list.remove(|other| other.cmp(number));
            }
            prop_assert_eq!(list.octets(), 0);
        }
    }

    #[test]
    fn what_counts_up_leaves_full_chunks_behind() {
        let mut list = SortedWriter::default();
        list.insert(1_000_000, |other| other.cmp(&1_000_000));
        for number in 0..100_000 {
            list.insert(number, |other| other.cmp(&number));
        }
        assert!(list.chunks <= 100_000 / CHUNK + 2, "{}", list.chunks);
    }

    #[test]
    fn both_sides_of_a_range_meet() {
        let mut list = SortedWriter::default();
        for number in 0..1000 {
            list.insert(number, |other| other.cmp(&number));
        }
        let mut range = list.sorted().range(100..900);
        let (mut front, mut back) = (100, 900);
        while let Some(&first) = range.next() {
            assert_eq!(first, front);
            front += 1;
            if let Some(&last) = range.next_back() {
                back -= 1;
                assert_eq!(last, back);
            }
            assert_eq!(range.len(), back - front);
        }
        assert_eq!(front, back);
    }
}
