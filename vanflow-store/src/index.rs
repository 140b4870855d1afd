//! Where the record with an identity is.
//!
//! A router counts its records up, so that those reported after one another have numbers next to each other. The index
//! keeps them next to each other too: a page holds the places of 64 consecutive numbers, and only pages are looked up.

use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::{identity::Key, pages::Pages, row::RecordRef, shared::to_change};

const PAGE: usize = 64;

#[derive(Clone, Debug)]
struct IndexPage {
    places: [RecordRef; PAGE],
    used: u8,
}

impl IndexPage {
    const EMPTY: Self = Self { places: [RecordRef::NONE; PAGE], used: 0 };
}

/// A map from identity to row of which clones are cheap.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    /// Which page holds the numbers around a key.
    directory: Arc<HashMap<Key, u32, FixedState>>,
    pages: Pages<IndexPage>,
    len: usize,
}

/// An index, and what only its writer needs to know.
#[derive(Debug, Default)]
pub(crate) struct IndexWriter {
    index: Index,
    free: Vec<u32>,
    /// The page that was found last: updates of one source come in batches.
    last: Option<(Key, u32)>,
}

impl Index {
    pub(crate) fn get(&self, key: Key) -> Option<RecordRef> {
        let (page, position) = key.around(PAGE as u64);
        self.directory.get(&page).and_then(|&page| self.place(page, position))
    }

    fn place(&self, page: u32, position: usize) -> Option<RecordRef> {
        self.pages.get(page as usize)?.places[position].some()
    }
}

impl IndexWriter {
    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    /// The memory that the index takes, in octets.
    pub(crate) fn octets(&self) -> usize {
        self.index.directory.len() * (size_of::<IndexPage>() + 2 * size_of::<(Key, u32)>())
    }

    #[inline]
    pub(crate) fn get(&self, key: Key) -> Option<RecordRef> {
        let (page, position) = key.around(PAGE as u64);
        match self.last {
            Some((last, number)) if last == page => self.index.place(number, position),
            _ => self.index.get(key),
        }
    }

    /// The row of that key, which is asked for again soon.
    #[inline]
    pub(crate) fn seek(&mut self, key: Key) -> Option<RecordRef> {
        let (page, position) = key.around(PAGE as u64);
        if self.last.is_none_or(|(last, _)| last != page) {
            self.last = Some((page, *self.index.directory.get(&page)?));
        }
        self.last.and_then(|(_, number)| self.index.place(number, position))
    }

    pub(crate) fn insert(&mut self, key: Key, at: RecordRef) {
        let (page, position) = key.around(PAGE as u64);
        let number = match self.last {
            Some((last, number)) if last == page => number,
            _ => match self.index.directory.get(&page) {
                Some(&number) => number,
                None => self.add(page),
            },
        };
        self.last = Some((page, number));
        let page = self.index.pages.get_mut(number as usize);
        if page.places[position].is_none() {
            page.used += 1;
            self.index.len += 1;
        }
        page.places[position] = at;
    }

    fn add(&mut self, page: Key) -> u32 {
        let number = match self.free.pop() {
            Some(number) => number,
            None => {
                let number = self.index.pages.len();
                self.index.pages.push(IndexPage::EMPTY);
                u32::try_from(number).expect("there are fewer pages than rows")
            }
        };
        to_change(&mut self.index.directory).insert(page, number);
        number
    }

    pub(crate) fn remove(&mut self, key: Key) {
        let (name, position) = key.around(PAGE as u64);
        let Some(&number) = self.index.directory.get(&name) else { return };
        let page = self.index.pages.get_mut(number as usize);
        if page.places[position].is_none() {
            return;
        }
        page.places[position] = RecordRef::NONE;
        page.used -= 1;
        self.index.len -= 1;
        if page.used == 0 {
            to_change(&mut self.index.directory).remove(&name);
            self.free.push(number);
            self.last = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{identity::Scopes, row::Table};

    #[test]
    fn what_goes_in_is_found_until_it_is_taken_out() {
        let mut scopes = Scopes::default();
        let keys: Vec<_> =
            ["a", "b:0", "b:63", "b:64", "c:1099511627774", "22222222-bbbb-4000-8000-000000000002"]
                .into_iter()
                .map(|id| scopes.acquire(id).expect("there is room"))
                .collect();
        let mut index = IndexWriter::default();
        let at = |slot| RecordRef::new(Table::Entities, slot);
        for (slot, key) in keys.iter().enumerate() {
            assert_eq!(index.seek(*key), None);
            index.insert(*key, at(slot));
        }
        let before = index.index().clone();
        for (slot, key) in keys.iter().enumerate() {
            assert_eq!((index.seek(*key), index.get(*key)), (Some(at(slot)), Some(at(slot))));
            index.remove(*key);
            assert_eq!((index.seek(*key), index.get(*key)), (None, None));
            assert_eq!(before.get(*key), Some(at(slot)));
        }
        assert_eq!(index.octets(), 0, "empty pages are given back");
    }
}
