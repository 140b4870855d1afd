//! Tables of rows that readers can hold on to.
//!
//! Cloning a table costs next to nothing, and whoever holds a clone goes on seeing what was there, while the writer
//! copies the few rows around each one that it changes. So a long answer is rendered from
//! a consistent view without a second copy of the data, and without holding up the writer (faults 18).

use std::sync::Arc;

use crate::{
    identity::Key,
    pages::Pages,
    row::{AnyRow, MAX_SLOTS, MaybeMember, Row},
    shared::to_change,
};

/// The rows of a table, as a reader sees them.
#[derive(Clone, Debug)]
pub(crate) struct Rows<R: Clone> {
    rows: Pages<R>,
    /// A bit for each row: whether the record lives.
    live: Arc<Vec<u64>>,
}

impl<R: Clone> Default for Rows<R> {
    fn default() -> Self {
        Self { rows: Pages::default(), live: Arc::default() }
    }
}

impl<R: Clone> Rows<R> {
    #[inline]
    pub(crate) fn get(&self, slot: usize) -> Option<&R> {
        self.rows.get(slot)
    }

    /// How many rows there are, free ones too.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The rows of live records, in order.
    pub(crate) fn live(&self) -> impl Iterator<Item = usize> {
        self.live.iter().enumerate().flat_map(|(word, &bits)| {
            std::iter::successors((bits != 0).then_some(bits), |bits| {
                let rest = bits & (bits - 1);
                (rest != 0).then_some(rest)
            })
            .map(move |bits| word * 64 + bits.trailing_zeros() as usize)
        })
    }
}

/// The rows of a table, as the writer sees them.
#[derive(Debug)]
pub(crate) struct Slab<R: Clone> {
    rows: Rows<R>,
    free: Vec<u32>,
}

impl<R: Clone> Default for Slab<R> {
    fn default() -> Self {
        Self { rows: Rows::default(), free: Vec::new() }
    }
}

impl<const N: usize, const M: usize, const K: usize, S: MaybeMember> Slab<Row<N, M, K, S>> {
    pub(crate) fn rows(&self) -> &Rows<Row<N, M, K, S>> {
        &self.rows
    }

    /// How many rows are in use.
    pub(crate) fn used(&self) -> usize {
        self.rows.len() - self.free.len()
    }

    /// How many rows are free, which are kept for records to come.
    pub(crate) fn free(&self) -> usize {
        self.free.len()
    }

    #[inline]
    pub(crate) fn get(&self, slot: usize) -> &Row<N, M, K, S> {
        self.rows.rows.get(slot).expect("the slot is in use")
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, slot: usize) -> &mut Row<N, M, K, S> {
        self.rows.rows.get_mut(slot)
    }

    /// Puts a row into the table, if there is room.
    pub(crate) fn insert(&mut self, row: Row<N, M, K, S>) -> Option<usize> {
        if let Some(slot) = self.free.pop() {
            let slot = slot as usize;
            *self.get_mut(slot) = row;
            return Some(slot);
        }
        let slot = self.rows.len();
        if slot >= MAX_SLOTS {
            return None;
        }
        self.rows.rows.push(row);
        if slot.is_multiple_of(64) {
            to_change(&mut self.rows.live).push(0);
        }
        Some(slot)
    }

    /// Takes a row out of the table.
    pub(crate) fn remove(&mut self, slot: usize) -> Row<N, M, K, S> {
        self.set_live(slot, false);
        let row = std::mem::replace(self.get_mut(slot), Row::new(Key::NONE));
        self.free.push(u32::try_from(slot).expect("tables are bounded"));
        row
    }

    #[inline]
    pub(crate) fn set_live(&mut self, slot: usize, live: bool) {
        let word = self.rows.live[slot / 64];
        let bit = 1 << (slot % 64);
        let new = if live { word | bit } else { word & !bit };
        if new != word {
            to_change(&mut self.rows.live)[slot / 64] = new;
        }
    }

    pub(crate) fn any(&self, slot: usize) -> &dyn AnyRow {
        self.get(slot)
    }

    pub(crate) fn any_mut(&mut self, slot: usize) -> &mut dyn AnyRow {
        self.get_mut(slot)
    }
}
