//! The graph: rows of records, found by their ids and linked by what they refer to.
//!
//! A row *refers* to others by the keys among its references; each of those has a list of the rows that refer to it, so
//! that both directions cost the same. What is referred to need not be there: then a row of no type holds its place for
//! as long as somebody refers to it (faults 8).
//!
//! Keys and texts are counted by use, so that names are forgotten with their last user. The graph does all of that
//! counting: a row holds one use of its key, of each reference and of each text, from the change that brings it to the
//! change that takes it.

use std::sync::Arc;

use smallvec::SmallVec;
use vanflow_proto::{Attribute, RecordKind, Update};

use crate::{
    changes::{ChangeRing, Revision},
    halves::Answering,
    identity::Key,
    index::IndexWriter,
    lanes::{Dependence, LaneRow, Lanes},
    merge::{Changed, LeaveOut, Limits, Vocabulary, fold},
    oddity::Oddity,
    row::{AnyRow, Flags, NO_TYPE, RecordRef, RestValue, Row, Siblings, Table, charged, with_table},
    schema::{self, AppRow, EntityRow, FlowRow, GROUP, PARENT, TportRow},
    slab::Slab,
};

/// All rows, and what finds them.
#[derive(Debug)]
pub(crate) struct Graph {
    pub(crate) vocabulary: Vocabulary,
    pub(crate) index: IndexWriter,
    pub(crate) entities: Slab<EntityRow>,
    pub(crate) tports: Slab<TportRow>,
    pub(crate) apps: Slab<AppRow>,
    pub(crate) flows: Slab<FlowRow>,
    pub(crate) ring: ChangeRing,
    /// Who answered requests that FLOW records make up.
    pub(crate) answering: Answering,
    /// Records that stayed for what referred to them, and that something refers to no more.
    pub(crate) let_go: Vec<RecordRef>,
}

/// How many records are looked at to find out whether one is needed. What a request goes through is five deep; only what
/// is in circles takes more.
const MOST_LOOKED_AT: usize = 64;

/// What accounting needs to know of a row before and after a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) reported: bool,
    pub(crate) live: bool,
    pub(crate) half: bool,
    /// The memory that its source is charged with for it: its row, and what it takes beyond that. Nothing where it only
    /// holds a place.
    pub(crate) octets: u32,
    /// The parent, where the row is a connection that is counted there.
    pub(crate) counted_under: Option<Key>,
}

impl Standing {
    #[inline]
    pub(crate) fn of<R: AnyRow + ?Sized>(row: &R, table: Table) -> Self {
        let counted = match table {
            Table::Tports => true,
            // FLOW records are counted as the connections that they make up.
            Table::Entities | Table::Apps | Table::Flows => false,
        };
        let parent = row.references()[PARENT];
        let octets = row_octets(table).saturating_add(row.head().bulk);
        Self {
            reported: row.is_reported(),
            live: row.is_live(),
            half: row.is_half(),
            octets: if row.is_reported() { octets } else { 0 },
            counted_under: (counted && row.is_reported() && !parent.is_none()).then_some(parent),
        }
    }
}

/// What a row of that table takes.
const fn row_octets(table: Table) -> u32 {
    let octets = match table {
        Table::Entities => size_of::<EntityRow>(),
        Table::Tports => size_of::<TportRow>(),
        Table::Apps => size_of::<AppRow>(),
        Table::Flows => size_of::<FlowRow>(),
    };
    octets as u32
}

/// What is found of an id.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    key: Option<Key>,
    pub(crate) at: Option<RecordRef>,
}

/// What a change did to a row.
pub(crate) struct Change {
    pub(crate) changed: Changed,
    pub(crate) before: Standing,
    pub(crate) after: Standing,
}

impl Change {
    /// Whether the record, which may be new, ended by it.
    pub(crate) fn is_end(&self) -> bool {
        let Self { before, after, .. } = self;
        after.reported && !after.live && (before.live || !before.reported)
    }
}

impl Graph {
    /// An empty graph that remembers that many changes, of records that are no larger than that.
    pub(crate) fn new(remembered_changes: usize, limits: Limits) -> Self {
        Self {
            vocabulary: Vocabulary::new(limits),
            index: IndexWriter::default(),
            entities: Slab::default(),
            tports: Slab::default(),
            apps: Slab::default(),
            flows: Slab::default(),
            ring: ChangeRing::new(remembered_changes),
            answering: Answering::default(),
            let_go: Vec::new(),
        }
    }

    pub(crate) fn row(&self, at: RecordRef) -> &dyn AnyRow {
        with_table!(self, at.table(), [&] slab => slab.any(at.slot()))
    }

    pub(crate) fn row_mut(&mut self, at: RecordRef) -> &mut dyn AnyRow {
        with_table!(self, at.table(), [&mut] slab => slab.any_mut(at.slot()))
    }

    /// The key of an id, as it is understood now, if its name is in use, and the row of that key.
    #[inline]
    pub(crate) fn find(&mut self, id: &str) -> Found {
        let key = self.vocabulary.scopes.find(id);
        Found { key, at: key.and_then(|key| self.index.seek(key)) }
    }

    /// The row of that key.
    #[inline]
    pub(crate) fn by_key(&self, key: Key) -> Option<RecordRef> {
        self.index.get(key)
    }

    /// The row that another refers to.
    pub(crate) fn target(&self, at: RecordRef, place: usize) -> Option<RecordRef> {
        let key = *self.row(at).references().get(place)?;
        if key.is_none() { None } else { self.index.get(key) }
    }

    /// The rows that refer to another by references at that place.
    pub(crate) fn referrers(&self, at: RecordRef, place: usize) -> impl Iterator<Item = RecordRef> {
        let first = self.row(at).referrers().get(place).and_then(|first| first.some());
        std::iter::successors(first, move |at| self.row(*at).siblings()[place].next.some())
    }

    /// That id and those that its source counts up mean other records from now on (faults 6).
    pub(crate) fn retire(&mut self, id: &str) {
        self.vocabulary.scopes.retire(id);
    }

    /// Gives a record that was not reported before its type: in the row that holds its place, or in a new one.
    pub(crate) fn announce(&mut self, id: &str, found: Found, type_code: u32) -> Option<RecordRef> {
        let table = Table::of(type_code);
        let bulk = u32::try_from(charged(id.len())).unwrap_or(u32::MAX);
        let place = match found {
            Found { at: Some(at), .. } if at.table() == table => Some(at),
            Found { at: Some(at), .. } => Some(self.relocate(at, table)?),
            Found { at: None, .. } => None,
        };
        let at = match (place, found.key) {
            (Some(at), _) => {
                let head = self.row_mut(at).head_mut();
                (head.type_code, head.bulk) = (type_code, bulk);
                at
            }
            (None, Some(key)) => {
                let key = self.vocabulary.scopes.share(key);
                self.insert(key, table, (type_code, bulk))?
            }
            (None, None) => {
                let Ok(key) = self.vocabulary.scopes.acquire(id) else {
                    self.vocabulary.oddities.add(Oddity::NoRoom);
                    return None;
                };
                self.insert(key, table, (type_code, bulk))?
            }
        };
        if RecordKind::from_code(type_code).is_none() {
            self.vocabulary.oddities.add(Oddity::UnknownType);
        }
        Some(at)
    }

    /// A new row that only holds a place. The key's use is the row's now.
    fn insert_place(&mut self, key: Key, table: Table) -> Option<RecordRef> {
        self.insert(key, table, (NO_TYPE, 0))
    }

    /// A new row of a record of that type, which is charged with so much. The key's use is the row's now.
    fn insert(&mut self, key: Key, table: Table, (type_code, bulk): (u32, u32)) -> Option<RecordRef> {
        let inserted = with_table!(self, table, [&mut] slab => {
            let mut row = Row::new(key);
            (row.head.type_code, row.head.bulk) = (type_code, bulk);
            slab.insert(row)
        });
        let Some(slot) = inserted else {
            self.vocabulary.oddities.add(Oddity::NoRoom);
            self.vocabulary.scopes.release(key);
            return None;
        };
        let at = RecordRef::new(table, slot);
        self.index.insert(key, at);
        Some(at)
    }

    /// Moves a row that only holds a place to another table, and those that refer to it with it.
    fn relocate(&mut self, at: RecordRef, table: Table) -> Option<RecordRef> {
        let old = self.row(at);
        let old_key = old.head().key;
        let referrers: SmallVec<[RecordRef; MOST_REFERENCES]> = SmallVec::from_slice(old.referrers());
        let counts: SmallVec<[Option<u64>; 9]> = schema::COUNTS.map(|place| old.number(place)).collect();
        let key = self.vocabulary.scopes.share(old_key);
        self.index.remove(key);
        let Some(new) = self.insert_place(key, table) else {
            self.index.insert(old_key, at);
            return None;
        };
        for (place, &first) in referrers.iter().enumerate() {
            match self.row_mut(new).referrers_mut().get_mut(place) {
                Some(referrer) => *referrer = first,
                None => self.unlink_all(first, place),
            }
        }
        if table == Table::Entities {
            for (place, count) in schema::COUNTS.zip(counts) {
                self.row_mut(new).set_number(place, count);
            }
        }
        with_table!(self, at.table(), [&mut] slab => { slab.remove(at.slot()); });
        self.vocabulary.scopes.release(old_key);
        Some(new)
    }

    /// Changes a row by `change`, which leaves the uses of references that it replaces as they are, and links it to what
    /// it refers to now. If it ends by that, it has ended in this second.
    #[inline]
    pub(crate) fn change(
        &mut self,
        at: RecordRef,
        second: u32,
        change: impl FnOnce(&mut dyn Fold, &Standing, &mut Vocabulary) -> Changed,
    ) -> Change {
        let vocabulary = &mut self.vocabulary;
        let (mut old, mut new) = ([Key::NONE; MOST_REFERENCES], [Key::NONE; MOST_REFERENCES]);
        let (change, places) = with_table!(self, at.table(), [&mut] slab => {
            let row = slab.get_mut(at.slot());
            let before = Standing::of(row, at.table());
            let places = row.references.len();
            // References that the change replaces are compared and unlinked after it: they are in use until then, so
            // that their numbers are not given to others.
            old[..places].copy_from_slice(&row.references);
            let changed = change(row, &before, vocabulary);
            if changed.any() {
                row.head.revision = self.ring.record(at);
            }
            let change = Change { changed, before, after: Standing::of(row, at.table()) };
            if change.is_end() {
                row.head.ended_at = second;
            }
            new[..places].copy_from_slice(&row.references);
            (change, places)
        });
        for place in 0..places {
            if old[place] != new[place] {
                self.unlink(at, place, old[place]);
                self.link(at, place, new[place]);
                self.vocabulary.scopes.release(old[place]);
            }
        }
        self.mark_live(at, &change.before, &change.after);
        change
    }

    /// Changes numbers of a derived record. None if they are as they were. If it ends by that, it has ended in this second.
    pub(crate) fn conclude(
        &mut self,
        at: RecordRef,
        second: u32,
        change: impl FnOnce(&mut (dyn AnyRow + '_)),
    ) -> Option<Change> {
        let row = self.row_mut(at);
        let before = Standing::of(&*row, at.table());
        let old = (row.head().present, SmallVec::<[u64; 11]>::from_slice(row.numbers()));
        change(row);
        let is_first = row.head().revision == Revision::default();
        let is_changed = (row.head().present, row.numbers()) != (old.0, &old.1[..]);
        let after = Standing::of(row, at.table());
        if !is_changed && !is_first {
            return None;
        }
        self.touch(at);
        self.mark_live(at, &before, &after);
        let change = Change { changed: Changed::default(), before, after };
        if change.is_end() {
            self.row_mut(at).head_mut().ended_at = second;
        }
        Some(change)
    }

    fn mark_live(&mut self, at: RecordRef, before: &Standing, after: &Standing) {
        if before.live != after.live {
            with_table!(self, at.table(), [&mut] slab => slab.set_live(at.slot(), after.live));
        }
    }

    /// Makes a row refer to the record with that id, which is given a place if there is none. Answers whether it did not
    /// refer to that one before.
    pub(crate) fn refer(&mut self, at: RecordRef, place: usize, id: Option<&str>) -> bool {
        let new = match id.map(|id| self.vocabulary.scopes.acquire(id)) {
            Some(Ok(key)) => key,
            Some(Err(_)) => {
                self.vocabulary.oddities.add(Oddity::NoRoom);
                return false;
            }
            None => Key::NONE,
        };
        self.refer_to(at, place, new)
    }

    /// As [`Graph::refer`], by a key. The key's use is the row's now.
    pub(crate) fn refer_to(&mut self, at: RecordRef, place: usize, new: Key) -> bool {
        let old = std::mem::replace(&mut self.row_mut(at).references_mut()[place], new);
        if old != new {
            self.unlink(at, place, old);
            self.link(at, place, new);
        }
        self.vocabulary.scopes.release(old);
        old != new
    }

    /// Makes a row that only holds a place a record that follows from others, with these texts, by ascending code.
    pub(crate) fn derive(&mut self, at: RecordRef, type_code: u32, texts: &[(Attribute, &str)]) {
        let texts = texts.iter().filter(|(_, text)| !text.is_empty());
        let values: Vec<_> = texts
            .map(|(attribute, text)| (attribute.code(), RestValue::Text(self.vocabulary.texts.acquire(text))))
            .collect();
        self.vocabulary.rest_values += values.len();
        let row = self.entities.get_mut(at.slot());
        row.head.type_code = type_code;
        row.head.flags.set(Flags::REPORTED, true);
        row.head.flags.set(Flags::DERIVED, true);
        row.rest = Some(Arc::new(values));
        self.entities.set_live(at.slot(), true);
    }

    /// Gives a derived record another text, one that it has already. Answers whether it is another.
    pub(crate) fn rename(&mut self, at: RecordRef, attribute: Attribute, text: &str) -> bool {
        let row = self.entities.get_mut(at.slot());
        let rest = row.rest.as_mut().map(Arc::make_mut);
        let value = rest.and_then(|rest| rest.iter_mut().find(|(code, _)| *code == attribute.code()));
        let Some((_, RestValue::Text(symbol))) = value else { return false };
        let new = self.vocabulary.texts.acquire(text);
        let old = std::mem::replace(symbol, new);
        self.vocabulary.texts.release(old);
        old != new
    }

    /// Marks a record as changed.
    pub(crate) fn touch(&mut self, at: RecordRef) {
        let revision = self.ring.record(at);
        self.row_mut(at).head_mut().revision = revision;
    }

    /// Forgets a record. If others refer to it, its place is held for as long as they do.
    pub(crate) fn clear(&mut self, at: RecordRef) {
        let references: SmallVec<[Key; MOST_REFERENCES]> = SmallVec::from_slice(self.row(at).references());
        for (place, key) in references.iter().enumerate() {
            self.unlink(at, place, *key);
        }
        let vocabulary = &mut self.vocabulary;
        with_table!(self, at.table(), [&mut] slab => {
            let row = slab.get_mut(at.slot());
            for symbol in row.texts {
                vocabulary.texts.release(symbol);
            }
            if let Some(rest) = row.rest.take() {
                vocabulary.rest_values -= rest.len();
                for (_, value) in rest.iter() {
                    vocabulary.release_value(value);
                }
            }
            let mut place = Row::new(row.head.key);
            place.referrers = row.referrers;
            if at.table() == Table::Entities {
                // Connections are counted where they belong even if that is not there.
                place.numbers = row.numbers;
            }
            *row = place;
            slab.set_live(at.slot(), false);
        });
        for key in references {
            self.vocabulary.scopes.release(key);
        }
        self.drop_empty_place(at);
    }

    /// Puts a row into the list of those that refer to `target`, which need not be there yet (faults 8).
    fn link(&mut self, at: RecordRef, place: usize, target: Key) {
        if target.is_none() {
            return;
        }
        let target = match self.index.get(target) {
            Some(target) => target,
            None => {
                let key = self.vocabulary.scopes.share(target);
                // What a request belongs to is a connection; anything else is reported early or has to be guessed.
                let table = if at.table() == Table::Apps { Table::Tports } else { Table::Entities };
                match self.insert_place(key, table) {
                    Some(target) => target,
                    None => return,
                }
            }
        };
        let Some(first) = self.row_mut(target).referrers_mut().get_mut(place) else { return };
        let next = std::mem::replace(first, at);
        self.row_mut(at).siblings_mut()[place] = Siblings { next, previous: RecordRef::NONE };
        if let Some(next) = next.some() {
            self.row_mut(next).siblings_mut()[place].previous = at;
        }
    }

    /// Takes a row out of the list of those that refer to `target`.
    fn unlink(&mut self, at: RecordRef, place: usize, target: Key) {
        if target.is_none() {
            return;
        }
        let siblings = std::mem::replace(&mut self.row_mut(at).siblings_mut()[place], Siblings::NONE);
        if let Some(next) = siblings.next.some() {
            self.row_mut(next).siblings_mut()[place].previous = siblings.previous;
        }
        if let Some(previous) = siblings.previous.some() {
            self.row_mut(previous).siblings_mut()[place].next = siblings.next;
        }
        let Some(target) = self.index.get(target) else { return };
        let row = self.row_mut(target);
        if let Some(first) = row.referrers_mut().get_mut(place)
            && *first == at
        {
            *first = siblings.next;
        }
        if row.head().flags.has(Flags::HELD) {
            self.let_go.push(target);
        }
        self.drop_empty_place(target);
    }

    /// Dissolves the list of rows that refer to a row which is not meant to be referred to so.
    #[cold]
    fn unlink_all(&mut self, first: RecordRef, place: usize) {
        let mut referrer = first;
        while let Some(at) = referrer.some() {
            let siblings = std::mem::replace(&mut self.row_mut(at).siblings_mut()[place], Siblings::NONE);
            referrer = siblings.next;
        }
    }

    /// Lets a row go that only held a place for a record to which nobody refers any more.
    fn drop_empty_place(&mut self, at: RecordRef) {
        let row = self.row(at);
        if !row.is_reported() && row.referrers().iter().all(|referrer| referrer.is_none()) {
            let key = row.head().key;
            self.index.remove(key);
            with_table!(self, at.table(), [&mut] slab => { slab.remove(at.slot()); });
            self.vocabulary.scopes.release(key);
        }
    }

    /// Whether a record has to stay though its time is over: whether one whose time is not over refers to it or has it at
    /// an end, directly or through others that only stay for such (faults 25). Records that only need each other do not
    /// stay for each other.
    pub(crate) fn is_needed(&self, at: RecordRef, lanes: &Lanes) -> bool {
        let mut seen: SmallVec<[RecordRef; 8]> = SmallVec::from_slice(&[at]);
        self.is_needed_beside(at, lanes, &mut seen)
    }

    /// As [`Graph::is_needed`], apart from what was looked at before. In a network without mistakes the first referrer
    /// says it, or the first of that, and so on: each record that stays is needed.
    fn is_needed_beside(&self, at: RecordRef, lanes: &Lanes, seen: &mut SmallVec<[RecordRef; 8]>) -> bool {
        let row = self.row(at);
        let key = row.head().key;
        let referrers = (0..row.referrers().len()).flat_map(|place| self.referrers(at, place));
        let is_at_end =
            |lane: &LaneRow| lane.key.ends.keys().contains(&key) || lane.key.path.connector == key;
        let passing = lanes
            .dependents(Dependence::Record(key))
            .map(|lane| lanes.row(lane))
            .filter(|lane| is_at_end(lane))
            .flat_map(|lane| {
                std::iter::successors(lane.first.some(), |at| {
                    self.row(*at).membership().and_then(|member| member.siblings.next.some())
                })
            });
        for other in referrers.chain(passing) {
            if seen.contains(&other) {
                continue;
            }
            if !self.row(other).head().flags.has(Flags::HELD) {
                return true;
            }
            if seen.len() == MOST_LOOKED_AT {
                return false;
            }
            seen.push(other);
            if self.is_needed_beside(other, lanes, seen) {
                return true;
            }
        }
        // The halves of a connection leave together.
        if at.table() != Table::Flows {
            return false;
        }
        for half in self.other_halves(at) {
            if seen.contains(&half) {
                continue;
            }
            if seen.len() == MOST_LOOKED_AT {
                return false;
            }
            seen.push(half);
            if !self.row(half).head().flags.has(Flags::HELD) || self.is_needed_beside(half, lanes, seen) {
                return true;
            }
        }
        false
    }

    /// An estimate of the memory that it takes, in octets.
    pub(crate) fn octets(&self) -> usize {
        self.entities.used() * size_of::<EntityRow>()
            + self.tports.used() * size_of::<TportRow>()
            + self.apps.used() * size_of::<AppRow>()
            + self.flows.used() * size_of::<FlowRow>()
            + self.index.octets()
            + self.answering.octets()
            + self.vocabulary.rest_values * size_of::<(u32, RestValue)>()
            + self.vocabulary.texts.octets()
            + self.vocabulary.scopes.octets()
    }

    /// What rows take that are free, in octets.
    pub(crate) fn spare_octets(&self) -> usize {
        self.entities.free() * size_of::<EntityRow>()
            + self.tports.free() * size_of::<TportRow>()
            + self.apps.free() * size_of::<AppRow>()
            + self.flows.free() * size_of::<FlowRow>()
    }
}

/// How many references a row can have.
const MOST_REFERENCES: usize = GROUP + 1;

/// A row into which an update can be folded, with the schema of its table.
pub(crate) trait Fold: AnyRow {
    fn fold(&mut self, update: &Update<'_>, leave_out: LeaveOut, vocabulary: &mut Vocabulary) -> Changed;
}

macro_rules! fold_with {
    ($row:ty, $schema:expr) => {
        impl Fold for $row {
            fn fold(
                &mut self,
                update: &Update<'_>,
                leave_out: LeaveOut,
                vocabulary: &mut Vocabulary,
            ) -> Changed {
                fold(self, &$schema, update, leave_out, vocabulary)
            }
        }
    };
}

fold_with!(EntityRow, schema::ENTITY);
fold_with!(TportRow, schema::TPORT);
fold_with!(AppRow, schema::APP);
fold_with!(FlowRow, schema::FLOW);

#[cfg(test)]
mod tests {
    use vanflow_proto::{Body, Dialect, Encoder, Message, UpdateBuf};

    use super::*;
    use crate::schema::PARENT;

    #[test]
    fn a_reference_that_an_update_has_more_than_once_is_one_use() {
        let limits = Limits { attributes: 64, text: 4096, id: 512 };
        // What the row refers to before, and what the update says one after the other; the last word counts.
        for (before, first, last) in [("x:1", "x:2", "x:3"), ("x:1", "x:2", "x:1"), ("x:1", "x:1", "x:2")] {
            let mut graph = Graph::new(16, limits);
            let found = graph.find("a:1");
            let at = graph.announce("a:1", found, RecordKind::BiflowTport.code()).expect("there is room");
            for (first, last) in [(before, before), (first, last)] {
                let update = UpdateBuf::new(RecordKind::BiflowTport, "a:1")
                    .with(Attribute::Parent, first)
                    .with(Attribute::Connector, last);
                let mut bytes = Encoder::new(Dialect::Router).records("mc/sfe.a:0", 1, &[update]);
                let smalluint = |attribute: Attribute| [0x52, attribute.code() as u8];
                let connector = smalluint(Attribute::Connector);
                let position = bytes.windows(2).position(|pair| pair == connector).expect("it is there");
                bytes[position..position + 2].copy_from_slice(&smalluint(Attribute::Parent));
                let Body::Records(mut updates) = Message::decode(&bytes).expect("it decodes").body else {
                    panic!("they are records");
                };
                let update = updates.next().expect("there is one").expect("it decodes");
                graph.change(at, 0, |row, _, vocabulary| row.fold(&update, LeaveOut::default(), vocabulary));
            }
            let target = graph.target(at, PARENT).expect("it refers to something");
            let scopes = graph.vocabulary.scopes.table();
            assert_eq!(scopes.whole(graph.row(target).head().key), last);
            graph.clear(at);
            assert_eq!(graph.vocabulary.scopes.octets(), 0, "{before}, {first}, {last}");
        }
    }
}
