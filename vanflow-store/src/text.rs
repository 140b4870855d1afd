//! Text kept once, however often it is reported.
//!
//! Hosts, names and traces repeat by the thousand. A [`Symbol`] is a number of four octets that stands for one; small
//! decimal numbers, such as ports and status codes, need no table at all.

use std::{hash::BuildHasher, sync::Arc};

use crate::{pages::Pages, parts::Parts};

/// Stands for a text, or for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Symbol(u32);

const INLINE: u32 = 1 << 31;

impl Symbol {
    pub(crate) const NONE: Self = Self(0);

    pub(crate) fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// The number that the text is, where the symbol says it by itself.
    pub(crate) fn number(self) -> Option<u32> {
        (self.0 & INLINE != 0).then_some(self.0 & !INLINE)
    }

    fn slot(self) -> Option<usize> {
        (self.0 & INLINE == 0 && self.0 != 0).then(|| self.0 as usize - 1)
    }
}

/// The texts behind symbols, as a reader sees them.
pub(crate) type TextTable = Pages<Arc<str>>;

/// The text behind a symbol that is not a number.
pub(crate) fn lookup(table: &TextTable, symbol: Symbol) -> &str {
    symbol.slot().and_then(|slot| table.get(slot)).map_or("", |text| text)
}

fn text_at(table: &TextTable, slot: u32) -> &str {
    table.get(slot as usize).map_or("", |text| text)
}

/// The texts that are in use, each with the number of places that use it.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    table: TextTable,
    uses: Vec<u32>,
    free: Vec<u32>,
    by_text: Parts<u32>,
    octets: usize,
}

/// What a text costs beside its own octets: an `Arc`'s counts, and its place in three tables.
const OVERHEAD: usize = 48;

impl Texts {
    /// The symbol for a text, which is in one more use now.
    #[inline]
    pub(crate) fn acquire(&mut self, text: &str) -> Symbol {
        if let Some(number) = inline_number(text) {
            return Symbol(number | INLINE);
        }
        let hash = self.by_text.hash(text);
        if let Some(&slot) = self.by_text.find(hash, |&slot| *text_at(&self.table, slot) == *text) {
            self.uses[slot as usize] += 1;
            return Symbol(slot + 1);
        }
        self.insert(text, hash)
    }

    #[cold]
    fn insert(&mut self, text: &str, hash: u64) -> Symbol {
        self.octets += text.len() + OVERHEAD;
        let slot = match self.free.pop() {
            Some(slot) => {
                *self.table.get_mut(slot as usize) = text.into();
                self.uses[slot as usize] = 1;
                slot
            }
            None => {
                let slot = u32::try_from(self.table.len()).expect("fewer texts than 2^31 fit into memory");
                assert!(slot < INLINE - 1, "fewer texts than 2^31 fit into memory");
                self.table.push(text.into());
                self.uses.push(1);
                slot
            }
        };
        let table = &self.table;
        self.by_text.insert_unique(hash, slot, |hasher, &slot| hasher.hash_one(text_at(table, slot)));
        Symbol(slot + 1)
    }

    /// The symbol for a text that is likely to be the same as another; as [`Texts::acquire`].
    #[inline]
    pub(crate) fn acquire_like(&mut self, other: &mut Symbol, text: &str) -> Symbol {
        // What `other` stands for may have been forgotten, and its place taken by another text: then it is not alike.
        if let Some(slot) = other.slot()
            && self.uses[slot] > 0
            && text_at(&self.table, slot as u32) == text
        {
            self.uses[slot] += 1;
        } else {
            *other = self.acquire(text);
        }
        *other
    }

    /// One more use of a symbol that is in use already.
    pub(crate) fn share(&mut self, symbol: Symbol) -> Symbol {
        if let Some(slot) = symbol.slot() {
            self.uses[slot] += 1;
        }
        symbol
    }

    /// One use less; a text that nobody uses is forgotten.
    #[inline]
    pub(crate) fn release(&mut self, symbol: Symbol) {
        let Some(slot) = symbol.slot() else { return };
        self.uses[slot] -= 1;
        if self.uses[slot] > 0 {
            return;
        }
        let text = text_at(&self.table, slot as u32);
        let (hash, octets) = (self.by_text.hash(text), text.len() + OVERHEAD);
        self.free.extend(self.by_text.remove(hash, |&other| other as usize == slot));
        self.octets -= octets;
        *self.table.get_mut(slot) = "".into();
    }

    /// Whether the symbol stands for that text.
    #[inline]
    pub(crate) fn is(&self, symbol: Symbol, text: &str) -> bool {
        match symbol.number() {
            Some(number) => inline_number(text) == Some(number),
            None => !symbol.is_none() && lookup(&self.table, symbol) == text,
        }
    }

    /// How long the text is that a symbol stands for; a number takes nothing.
    pub(crate) fn len(&self, symbol: Symbol) -> usize {
        lookup(&self.table, symbol).len()
    }

    pub(crate) fn table(&self) -> &TextTable {
        &self.table
    }

    /// The memory that the texts take, in octets.
    pub(crate) fn octets(&self) -> usize {
        self.octets
    }
}

/// The number that a text is the shortest decimal form of, if it fits into 31 bits with room to spare.
#[inline]
fn inline_number(text: &str) -> Option<u32> {
    let bytes = text.as_bytes();
    if bytes.is_empty() || bytes.len() > 9 || (bytes[0] == b'0' && bytes.len() > 1) {
        return None;
    }
    bytes
        .iter()
        .try_fold(0_u32, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u32::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_kept_once_and_as_long_as_it_is_used() {
        let mut texts = Texts::default();
        let first = texts.acquire("10.0.0.1");
        assert_eq!(texts.acquire("10.0.0.1"), first);
        assert!(texts.is(first, "10.0.0.1"));
        let before = texts.table().clone();
        texts.release(first);
        assert_eq!(lookup(texts.table(), first), "10.0.0.1");
        texts.release(first);
        assert_eq!(texts.octets(), 0);
        let other = texts.acquire("10.0.0.2");
        assert_eq!(other, first, "its place is taken by another");
        assert_eq!(lookup(&before, first), "10.0.0.1", "and who looked before still sees the old text");
    }

    #[test]
    fn only_the_shortest_form_of_a_number_stands_for_itself() {
        let mut texts = Texts::default();
        for (text, number) in [("0", Some(0)), ("8080", Some(8080)), ("999999999", Some(999_999_999))] {
            let symbol = texts.acquire(text);
            assert_eq!(symbol.number(), number);
            assert!(texts.is(symbol, text));
        }
        for text in ["", "00", "08", "1000000000", "+1", "80a"] {
            let symbol = texts.acquire(text);
            assert_eq!(symbol.number(), None, "{text:?}");
            assert!(!symbol.is_none());
            assert!(texts.is(symbol, text), "{text:?}");
        }
    }
}
