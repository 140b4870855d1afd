//! Hash tables in parts.
//!
//! A hash table that is full moves all that is in it to one twice as large, at once; whoever reports meanwhile waits, a
//! tenth of a second at a million entries. So a large table is 64 small ones, by some bits of the hash: each moves a
//! 64th, and not all of them at the same entry.

use std::hash::{BuildHasher, Hash};

use foldhash::fast::FixedState;
use hashbrown::{HashTable, hash_table::Entry};

const PARTS: usize = 64;

/// Of these bits of the hash; the tables themselves take the lowest and the highest.
const SHIFT: u32 = 40;

/// A hash table of things that are hashed and compared by whoever has it.
#[derive(Debug)]
pub(crate) struct Parts<T> {
    parts: Box<[HashTable<T>]>,
    hasher: FixedState,
}

impl<T> Default for Parts<T> {
    fn default() -> Self {
        let parts = std::iter::repeat_with(HashTable::new).take(PARTS).collect();
        Self { parts, hasher: FixedState::default() }
    }
}

impl<T> Parts<T> {
    #[inline]
    pub(crate) fn hash(&self, key: impl Hash) -> u64 {
        self.hasher.hash_one(key)
    }

    fn part(hash: u64) -> usize {
        (hash >> SHIFT) as usize % PARTS
    }

    #[inline]
    pub(crate) fn find(&self, hash: u64, is_it: impl FnMut(&T) -> bool) -> Option<&T> {
        self.parts[Self::part(hash)].find(hash, is_it)
    }

    #[inline]
    fn find_mut(&mut self, hash: u64, is_it: impl FnMut(&T) -> bool) -> Option<&mut T> {
        self.parts[Self::part(hash)].find_mut(hash, is_it)
    }

    /// Inserts what is not there yet.
    pub(crate) fn insert_unique(&mut self, hash: u64, item: T, hash_of: impl Fn(&FixedState, &T) -> u64) {
        let hasher = &self.hasher;
        self.parts[Self::part(hash)].insert_unique(hash, item, |item| hash_of(hasher, item));
    }

    pub(crate) fn remove(&mut self, hash: u64, is_it: impl FnMut(&T) -> bool) -> Option<T> {
        let entry = self.parts[Self::part(hash)].find_entry(hash, is_it).ok()?;
        Some(entry.remove().0)
    }
}

/// A map in parts.
#[derive(Debug)]
pub(crate) struct PartedMap<K, V> {
    parts: Parts<(K, V)>,
    len: usize,
}

impl<K, V> Default for PartedMap<K, V> {
    fn default() -> Self {
        Self { parts: Parts::default(), len: 0 }
    }
}

impl<K: Eq + Hash, V> PartedMap<K, V> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.parts.find(self.parts.hash(key), |(other, _)| other == key).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let hash = self.parts.hash(key);
        self.parts.find_mut(hash, |(other, _)| other == key).map(|(_, value)| value)
    }

    /// What is there for the key, or else what is inserted for it.
    pub(crate) fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let hash = self.parts.hash(&key);
        let Parts { parts, hasher } = &mut self.parts;
        let part = &mut parts[Parts::<(K, V)>::part(hash)];
        let entry = part.entry(hash, |(other, _)| *other == key, |(other, _)| hasher.hash_one(other));
        let occupied = match entry {
            Entry::Occupied(occupied) => occupied,
            Entry::Vacant(vacant) => {
                self.len += 1;
                vacant.insert((key, make()))
            }
        };
        &mut occupied.into_mut().1
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let (_, value) = self.parts.remove(self.parts.hash(key), |(other, _)| other == key)?;
        self.len -= 1;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn what_is_inserted_is_found_until_it_is_removed() {
        let mut map = PartedMap::default();
        let mut plain = HashMap::new();
        for number in 0..10_000_u64 {
            let key = number * 7919 % 4001;
            if number % 3 == 0 {
                assert_eq!(map.remove(&key), plain.remove(&key), "{key}");
            } else if number % 5 == 0 {
                *map.get_or_insert_with(key, || number) = number;
                plain.insert(key, number);
            } else {
                *map.get_or_insert_with(key, || 1) += number;
                *plain.entry(key).or_insert(1) += number;
            }
            assert_eq!(map.len(), plain.len());
        }
        for key in 0..4001 {
            assert_eq!(map.get(&key), plain.get(&key), "{key}");
            assert_eq!(map.get_mut(&key), plain.get_mut(&key), "{key}");
        }
    }

    #[test]
    fn no_part_has_much_more_than_its_share() {
        let mut parts = Parts::default();
        for number in 0..64_000_u32 {
            parts.insert_unique(parts.hash(number), number, |hasher, number| hasher.hash_one(number));
        }
        let longest = parts.parts.iter().map(HashTable::len).max();
        assert!(longest < Some(1200), "{longest:?}");
    }
}
