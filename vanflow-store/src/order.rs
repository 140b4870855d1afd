//! Connections and requests in the order of their ends, and in that of their ids, kept sorted.
//!
//! So a page of a long list costs what the page costs, wherever in the list it is.

use std::{cmp::Ordering, fmt, ops::Range};

use vanflow_proto::Timestamp;

use crate::{
    identity::{Key, ScopeTable},
    record::Record,
    row::RecordRef,
    snapshot::Contents,
    sorted::{Sorted, SortedWriter},
};

/// An entry of the order of ends. Twelve octets: there is one for each ended record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndEntry {
    end: [u32; 2],
    at: RecordRef,
}

/// An entry of the order of ids.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdEntry {
    key: [u32; 2],
    at: RecordRef,
}

fn halves(number: u64) -> [u32; 2] {
    [(number >> 32) as u32, number as u32]
}

fn whole([high, low]: [u32; 2]) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

impl Default for EndEntry {
    fn default() -> Self {
        Self { end: [0; 2], at: RecordRef::NONE }
    }
}

impl EndEntry {
    fn compare(&self, other: &Self) -> Ordering {
        whole(self.end).cmp(&whole(other.end)).then(self.at.cmp(&other.at))
    }
}

impl Default for IdEntry {
    fn default() -> Self {
        Self { key: halves(Key::NONE.to_bits()), at: RecordRef::NONE }
    }
}

impl IdEntry {
    fn key(&self) -> Key {
        Key::from_bits(whole(self.key))
    }

    /// How others compare to it.
    fn probe<'a>(&'a self, scopes: &'a ScopeTable) -> impl Fn(&Self) -> Ordering + 'a {
        let compare = scopes.probe(self.key());
        move |other| compare(other.key()).then(other.at.cmp(&self.at))
    }
}

/// The orders of one kind, as a reader sees them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Orders {
    pub(crate) ends: Sorted<EndEntry>,
    pub(crate) ids: Sorted<IdEntry>,
}

/// The orders of one kind, as the writer sees them.
#[derive(Debug, Default)]
pub(crate) struct OrdersWriter {
    ends: SortedWriter<EndEntry>,
    ids: SortedWriter<IdEntry>,
}

impl OrdersWriter {
    pub(crate) fn orders(&self) -> Orders {
        Orders { ends: self.ends.sorted().clone(), ids: self.ids.sorted().clone() }
    }

    /// The memory that the orders take, in octets.
    pub(crate) fn octets(&self) -> usize {
        self.ends.octets() + self.ids.octets()
    }

    /// A record is there.
    pub(crate) fn announce(&mut self, at: RecordRef, key: Key, scopes: &ScopeTable) {
        let entry = IdEntry { key: halves(key.to_bits()), at };
        self.ids.insert(entry, entry.probe(scopes));
    }

    /// A record with that end, or none, is there no more.
    pub(crate) fn remove(&mut self, at: RecordRef, key: Key, end: Option<u64>, scopes: &ScopeTable) {
        let entry = IdEntry { key: halves(key.to_bits()), at };
        self.ids.remove(entry.probe(scopes));
        self.end(at, end, None);
    }

    /// A record has another end than before, or none.
    pub(crate) fn end(&mut self, at: RecordRef, before: Option<u64>, after: Option<u64>) {
        if before == after {
            return;
        }
        if let Some(end) = before {
            let entry = EndEntry { end: halves(end), at };
            self.ends.remove(|other| other.compare(&entry));
        }
        if let Some(end) = after {
            let entry = EndEntry { end: halves(end), at };
            self.ends.insert(entry, |other| other.compare(&entry));
        }
    }
}

/// The ended records of a kind that are retained, in the order of their ends; those that ended in the same microsecond
/// in that of [`RecordRef`].
#[derive(Clone, Copy)]
pub struct EndedByTime<'s> {
    pub(crate) contents: &'s Contents,
    pub(crate) ends: &'s Sorted<EndEntry>,
}

impl fmt::Debug for EndedByTime<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndedByTime").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl<'s> EndedByTime<'s> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many of them ended before that time: the position of the first that did not.
    pub fn rank(&self, end: Timestamp) -> usize {
        self.ends.rank(|entry| whole(entry.end) < end.as_micros())
    }

    /// Those at these positions, from either side. Costs what is taken, wherever it is.
    pub fn range(&self, positions: Range<usize>) -> impl DoubleEndedIterator<Item = Record<'s>> + use<'s> {
        let contents = self.contents;
        self.ends
            .range(positions)
            .map(move |entry| contents.record(entry.at).expect("what is in an order is there"))
    }
}

/// The records of a kind, live and ended, in the order of their ids, octet by octet; those with the same id, of which
/// all but one are from before a restart of their source, in that of [`RecordRef`].
#[derive(Clone, Copy)]
pub struct ByIdentity<'s> {
    pub(crate) contents: &'s Contents,
    pub(crate) ids: &'s Sorted<IdEntry>,
}

impl fmt::Debug for ByIdentity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByIdentity").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl<'s> ByIdentity<'s> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many of them have a lower id: the position of the first that has not.
    pub fn rank(&self, id: &str) -> usize {
        self.ids.rank(|entry| self.contents.id(entry.key()).is_some_and(|own| own < *id))
    }

    /// Those at these positions, from either side. Costs what is taken, wherever it is.
    pub fn range(&self, positions: Range<usize>) -> impl DoubleEndedIterator<Item = Record<'s>> + use<'s> {
        let contents = self.contents;
        self.ids
            .range(positions)
            .map(move |entry| contents.record(entry.at).expect("what is in an order is there"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{identity::Scopes, row::Table};

    #[test]
    fn both_orders_are_in_the_estimate_of_memory() {
        let mut scopes = Scopes::default();
        let mut orders = OrdersWriter::default();
        let rows = (0..1000_u32).map(|slot| {
            let key = scopes.acquire(&format!("a:{slot}")).expect("there is room");
            (RecordRef::new(Table::Tports, slot as usize), key)
        });
        let rows: Vec<_> = rows.collect();
        let empty = orders.octets();
        for (at, key) in &rows {
            orders.announce(*at, *key, scopes.table());
        }
        let by_id = orders.octets() - empty;
        assert!(by_id >= 1000 * size_of::<IdEntry>(), "{by_id}");
        for (position, (at, _)) in rows.iter().enumerate() {
            orders.end(*at, None, Some(position as u64));
        }
        let by_both = orders.octets() - empty;
        assert!(by_both >= by_id + 1000 * size_of::<EndEntry>(), "{by_both}");
        assert!(by_both < 1000 * 4 * size_of::<(IdEntry, EndEntry)>(), "{by_both}");
        for (position, (at, key)) in rows.iter().enumerate() {
            orders.remove(*at, *key, Some(position as u64), scopes.table());
        }
        assert_eq!((orders.orders().ends.len(), orders.orders().ids.len()), (0, 0));
        assert!(orders.octets() - empty < by_id / 4);
    }
}
