//! Rows: records as they are kept.

use std::sync::Arc;

use vanflow_proto::{Attribute, RecordKind, Value, ValueBuf};

use crate::{
    changes::Revision,
    identity::Key,
    merge::Vocabulary,
    schema::{END, START},
    source::SourceId,
    text::Symbol,
};

/// Which row of which table. Rows are used again for other records when theirs are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordRef(u32);

/// The tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Table {
    Entities,
    Tports,
    Apps,
    Flows,
}

impl Table {
    /// Every table, in the order of [`RecordRef`].
    pub(crate) const ALL: [Self; 4] = [Self::Entities, Self::Tports, Self::Apps, Self::Flows];

    /// The table of records of a type.
    pub(crate) fn of(type_code: u32) -> Self {
        match RecordKind::from_code(type_code) {
            Some(RecordKind::BiflowTport) => Self::Tports,
            Some(RecordKind::BiflowApp) => Self::Apps,
            Some(RecordKind::Flow) => Self::Flows,
            _ => Self::Entities,
        }
    }
}

/// Does the same with each table: `$rows` is `&` or `&mut` of that of `$owner` which is `$table`.
macro_rules! with_table {
    ($owner:expr, $table:expr, [$($access:tt)+] $rows:ident => $body:expr) => {
        match $table {
            Table::Entities => {
                let $rows = $($access)+ $owner.entities;
                $body
            }
            Table::Tports => {
                let $rows = $($access)+ $owner.tports;
                $body
            }
            Table::Apps => {
                let $rows = $($access)+ $owner.apps;
                $body
            }
            Table::Flows => {
                let $rows = $($access)+ $owner.flows;
                $body
            }
        }
    };
}
pub(crate) use with_table;

const SLOT_BITS: u32 = 30;
/// How many rows a table can have.
pub(crate) const MAX_SLOTS: usize = (1 << SLOT_BITS) - 1;

impl RecordRef {
    pub(crate) const NONE: Self = Self(u32::MAX);

    pub(crate) fn new(table: Table, slot: usize) -> Self {
        let slot = u32::try_from(slot).expect("tables are bounded");
        Self((table as u32) << SLOT_BITS | slot)
    }

    pub(crate) fn table(self) -> Table {
        match self.0 >> SLOT_BITS {
            0 => Table::Entities,
            1 => Table::Tports,
            2 => Table::Apps,
            _ => Table::Flows,
        }
    }

    pub(crate) fn slot(self) -> usize {
        (self.0 & ((1 << SLOT_BITS) - 1)) as usize
    }

    pub(crate) fn is_none(self) -> bool {
        self == Self::NONE
    }

    pub(crate) fn some(self) -> Option<Self> {
        (!self.is_none()).then_some(self)
    }
}

/// The value of an attribute without a place of its own.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum RestValue {
    Uint(u64),
    Text(Symbol),
    Reference(Key),
    /// A value of a type that the attribute should not have, or of an attribute that nobody knows.
    Other(Arc<ValueBuf>),
}

impl RestValue {
    /// What it takes beside the texts that are kept once, as far as a [`Row`] is charged with it.
    pub(crate) fn octets(&self, vocabulary: &Vocabulary) -> usize {
        let own = match self {
            Self::Uint(_) => 0,
            Self::Text(symbol) => charged(vocabulary.texts.len(*symbol)),
            Self::Reference(key) => charged(vocabulary.scopes.table().name(*key).len()),
            Self::Other(value) => value_octets(value.borrow()),
        };
        size_of::<(u32, Self)>() + own
    }
}

/// Texts and ids up to this length count as shared with others, and cost the record that has them nothing.
pub(crate) const SHORT: usize = 64;

/// What a record is charged with for a text or an id.
#[inline]
pub(crate) fn charged(octets: usize) -> usize {
    if octets > SHORT { octets } else { 0 }
}

/// How long a value is, where its length is not that of a number.
#[inline]
pub(crate) fn value_octets(value: Value<'_>) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) | Value::Encoded(bytes) => bytes.len(),
        _ => 0,
    }
}

/// The neighbours of a row in the list of those that refer to the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Siblings {
    pub(crate) next: RecordRef,
    pub(crate) previous: RecordRef,
}

impl Siblings {
    pub(crate) const NONE: Self = Self { next: RecordRef::NONE, previous: RecordRef::NONE };
}

/// What is so of a row, bit by bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags(u8);

impl Flags {
    /// Somebody reported this record. Without it the row only holds the place for one that others refer to.
    pub(crate) const REPORTED: u8 = 1;
    /// The end is our own conclusion; its source may yet speak of the record again.
    pub(crate) const PRESUMED_END: u8 = 2;
    /// No source reported this record: it follows from others.
    pub(crate) const DERIVED: u8 = 4;
    /// Several sources reported this record.
    pub(crate) const SHARED: u8 = 8;
    /// A former run of the program held this record, and its source has not spoken of it since.
    pub(crate) const RESTORED: u8 = 16;
    /// Its time is over, but it stays for what refers to it (faults 25).
    pub(crate) const HELD: u8 = 32;
    /// It returned after it was evicted, and a part of it was counted before (faults 28).
    pub(crate) const CONTINUED: u8 = 64;
    /// It had ended, and was reported with a newer start: it has a life behind it.
    pub(crate) const LIVES_AGAIN: u8 = 128;

    pub(crate) fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }

    pub(crate) fn set(&mut self, flag: u8, value: bool) {
        if value {
            self.0 |= flag;
        } else {
            self.0 &= !flag;
        }
    }
}

/// What every row has.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    /// The record's identity; none where the row is free.
    pub(crate) key: Key,
    pub(crate) revision: Revision,
    pub(crate) type_code: u32,
    /// The source that reported it first.
    pub(crate) owner: SourceId,
    /// When it ended by our clock, in seconds since the epoch.
    pub(crate) ended_at: u32,
    /// The epoch of its source in which it was reported last.
    pub(crate) epoch: u16,
    /// Which numbers are known.
    pub(crate) present: u16,
    pub(crate) flags: Flags,
    /// The octets that it takes beyond its row: attributes without a place of their own, long texts and ids.
    pub(crate) bulk: u32,
}

/// The code of a type that nobody reported yet.
pub(crate) const NO_TYPE: u32 = u32::MAX;
/// The code of derived services, which no record on the wire has.
pub(crate) const SERVICE_TYPE: u32 = u32::MAX - 1;

/// A record as it is kept; see [`Schema`](crate::schema::Schema) for what is where.
#[derive(Clone, Debug)]
pub(crate) struct Row<const N: usize, const M: usize, const K: usize, S = ()> {
    pub(crate) head: Head,
    pub(crate) numbers: [u64; N],
    pub(crate) texts: [Symbol; M],
    pub(crate) references: [Key; K],
    pub(crate) siblings: [Siblings; K],
    /// For each place of a reference, the first row that refers to this one by it. No row of this table is meant to be
    /// referred to by places that it does not have itself.
    pub(crate) referrers: [RecordRef; K],
    /// Attributes without a place of their own, by ascending code.
    pub(crate) rest: Option<Arc<Vec<(u32, RestValue)>>>,
    /// Of a connection, its [`Membership`] of a lane.
    pub(crate) membership: S,
}

/// Which lane a connection is in, and its neighbours in the list of that lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Membership {
    pub(crate) lane: u32,
    pub(crate) siblings: Siblings,
}

/// No lane.
pub(crate) const NO_LANE: u32 = u32::MAX;

impl Default for Membership {
    fn default() -> Self {
        Self { lane: NO_LANE, siblings: Siblings::NONE }
    }
}

impl<const N: usize, const M: usize, const K: usize, S: Default> Row<N, M, K, S> {
    pub(crate) fn new(key: Key) -> Self {
        Self {
            head: Head {
                key,
                revision: Revision::default(),
                type_code: NO_TYPE,
                owner: SourceId::NONE,
                ended_at: 0,
                epoch: 0,
                present: 0,
                flags: Flags::default(),
                bulk: 0,
            },
            numbers: [0; N],
            texts: [Symbol::NONE; M],
            references: [Key::NONE; K],
            siblings: [Siblings::NONE; K],
            referrers: [RecordRef::NONE; K],
            rest: None,
            membership: S::default(),
        }
    }
}

/// A row of whichever table.
pub(crate) trait AnyRow {
    fn head(&self) -> &Head;
    fn head_mut(&mut self) -> &mut Head;
    fn numbers(&self) -> &[u64];
    fn numbers_mut(&mut self) -> &mut [u64];
    fn texts(&self) -> &[Symbol];
    fn references(&self) -> &[Key];
    fn references_mut(&mut self) -> &mut [Key];
    fn siblings(&self) -> &[Siblings];
    fn siblings_mut(&mut self) -> &mut [Siblings];
    fn referrers(&self) -> &[RecordRef];
    fn referrers_mut(&mut self) -> &mut [RecordRef];
    fn rest(&self) -> &[(u32, RestValue)];
    /// Of a row that can be in a lane, in which.
    fn membership(&self) -> Option<&Membership>;
    fn membership_mut(&mut self) -> Option<&mut Membership>;

    fn number(&self, place: usize) -> Option<u64> {
        (self.head().present & 1 << place != 0).then(|| self.numbers()[place])
    }

    fn set_number(&mut self, place: usize, number: Option<u64>) {
        self.numbers_mut()[place] = number.unwrap_or(0);
        if number.is_some() {
            self.head_mut().present |= 1 << place;
        } else {
            self.head_mut().present &= !(1 << place);
        }
    }

    fn is_reported(&self) -> bool {
        self.head().flags.has(Flags::REPORTED)
    }

    fn is_live(&self) -> bool {
        self.is_reported() && self.number(END).is_none()
    }

    /// Live, and known only by what changed since it started.
    fn is_half(&self) -> bool {
        self.is_live()
            && self.number(START).is_none()
            && !self.head().flags.has(Flags::DERIVED)
            && RecordKind::from_code(self.head().type_code)
                .is_some_and(|kind| kind.attributes().contains(&Attribute::StartTime))
    }

    fn rest_value(&self, code: u32) -> Option<&RestValue> {
        let rest = self.rest();
        rest.binary_search_by_key(&code, |(code, _)| *code).ok().map(|position| &rest[position].1)
    }
}

/// What rows of a table have of [`Membership`].
pub(crate) trait MaybeMember: Clone + Default {
    fn get(&self) -> Option<&Membership>;
    fn get_mut(&mut self) -> Option<&mut Membership>;
}

impl MaybeMember for () {
    fn get(&self) -> Option<&Membership> {
        None
    }

    fn get_mut(&mut self) -> Option<&mut Membership> {
        None
    }
}

impl MaybeMember for Membership {
    fn get(&self) -> Option<&Membership> {
        Some(self)
    }

    fn get_mut(&mut self) -> Option<&mut Membership> {
        Some(self)
    }
}

impl<const N: usize, const M: usize, const K: usize, S: MaybeMember> AnyRow for Row<N, M, K, S> {
    fn head(&self) -> &Head {
        &self.head
    }

    fn head_mut(&mut self) -> &mut Head {
        &mut self.head
    }

    fn numbers(&self) -> &[u64] {
        &self.numbers
    }

    fn numbers_mut(&mut self) -> &mut [u64] {
        &mut self.numbers
    }

    fn texts(&self) -> &[Symbol] {
        &self.texts
    }

    fn references(&self) -> &[Key] {
        &self.references
    }

    fn references_mut(&mut self) -> &mut [Key] {
        &mut self.references
    }

    fn siblings(&self) -> &[Siblings] {
        &self.siblings
    }

    fn siblings_mut(&mut self) -> &mut [Siblings] {
        &mut self.siblings
    }

    fn referrers(&self) -> &[RecordRef] {
        &self.referrers
    }

    fn referrers_mut(&mut self) -> &mut [RecordRef] {
        &mut self.referrers
    }

    fn rest(&self) -> &[(u32, RestValue)] {
        self.rest.as_ref().map_or(&[], |rest| rest)
    }

    fn membership(&self) -> Option<&Membership> {
        self.membership.get()
    }

    fn membership_mut(&mut self) -> Option<&mut Membership> {
        self.membership.get_mut()
    }
}

const _: () = assert!(NO_TYPE > SERVICE_TYPE);
