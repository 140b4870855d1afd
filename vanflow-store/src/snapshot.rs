//! Consistent views of the records.

use std::{borrow::Cow, cmp::Ordering, fmt, hash, sync::Arc};

use vanflow_proto::{Attribute, RecordKind, Timestamp, Value};

use crate::{
    changes::Revision,
    connection::FlowKind,
    ends::Facts,
    identity::{Key, ScopeTable},
    index::Index,
    lane::{Lane, LaneMove, LaneRef, LaneRevision},
    lanes::LaneRow,
    moves::{Move, Moves},
    order::{ByIdentity, EndedByTime, Orders},
    pages::Pages,
    record::{Record, Service},
    row::{AnyRow, Flags, RecordRef, SERVICE_TYPE, Table, with_table},
    schema::{AppRow, EntityRow, FlowRow, TportRow},
    share::Continued,
    slab::Rows,
    source::{Source, SourceId, SourceState},
    store::{ProcessesByHost, TALLIES, Tally, is_incomplete},
    text::{Symbol, TextTable, lookup},
};

/// All records as of one moment. Cloning one is cheap, and holding one never holds up the store; what is only held by
/// an old snapshot takes memory until that is dropped.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(crate) contents: Arc<Contents>,
}

#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) now: Timestamp,
    pub(crate) revision: Revision,
    pub(crate) evicted: u64,
    pub(crate) flows_evicted_until: Timestamp,
    pub(crate) texts: TextTable,
    pub(crate) scopes: ScopeTable,
    pub(crate) index: Index,
    pub(crate) entities: Rows<EntityRow>,
    pub(crate) tports: Rows<TportRow>,
    pub(crate) apps: Rows<AppRow>,
    pub(crate) flows: Rows<FlowRow>,
    pub(crate) tport_orders: Orders,
    pub(crate) app_orders: Orders,
    pub(crate) tallies: [Tally; TALLIES],
    pub(crate) halves: [Tally; 2],
    pub(crate) lanes: Pages<LaneRow>,
    pub(crate) lanes_revision: u64,
    pub(crate) lane_ends_revision: u64,
    pub(crate) moves: Moves,
    pub(crate) continued: Continued,
    pub(crate) sources: Arc<Vec<Source>>,
    pub(crate) hosts: ProcessesByHost,
}

impl Snapshot {
    pub(crate) fn new(contents: Contents) -> Self {
        Self { contents: Arc::new(contents) }
    }

    /// The latest time that the store was reported.
    pub fn now(&self) -> Timestamp {
        self.contents.now
    }

    /// The revision of the latest change.
    pub fn revision(&self) -> Revision {
        self.contents.revision
    }

    /// How many ended records have left by now, for their age or for the memory bound. That a record leaves is no
    /// change of it: two snapshots of a store hold the same where both this and [`Snapshot::revision`] are the same.
    pub fn evicted(&self) -> u64 {
        self.contents.evicted
    }

    /// The latest end of the connections and requests that were evicted, the epoch where none was: of those that ended
    /// after it each is here that was ever reported to the store.
    pub fn flows_evicted_until(&self) -> Timestamp {
        self.contents.flows_evicted_until
    }

    /// Every record that was reported and is retained, live and ended, in the order of [`RecordRef`]. Derived ones are
    /// left out.
    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        Table::ALL.into_iter().flat_map(|table| self.table(table)).filter(|record| !record.is_derived())
    }

    /// Every record but connections, requests and FLOWs, live and ended, in the order of [`RecordRef`]: those that were
    /// reported, and SITE records that follow from their routers.
    pub fn entities(&self) -> impl Iterator<Item = Record<'_>> {
        let is_shown = |record: &Record<'_>| !record.is_derived() || record.kind() == Some(RecordKind::Site);
        self.table(Table::Entities).filter(is_shown)
    }

    /// Every record of a kind, live and ended, in the order of [`RecordRef`]. IMAGE records are derived from those of
    /// processes.
    pub fn of_kind(&self, kind: RecordKind) -> impl Iterator<Item = Record<'_>> {
        self.of_type(kind.code())
    }

    /// Every record of the type with that code, known to the table of kinds or not.
    pub fn of_type(&self, type_code: u32) -> impl Iterator<Item = Record<'_>> {
        self.table(Table::of(type_code)).filter(move |record| record.row.head().type_code == type_code)
    }

    /// The live records of a kind, in the order of [`RecordRef`]: costs what there is that lives.
    pub fn live_of_kind(&self, kind: RecordKind) -> impl Iterator<Item = Record<'_>> {
        let table = Table::of(kind.code());
        let live: Box<dyn Iterator<Item = usize>> =
            with_table!(self.contents, table, [&] rows => Box::new(rows.live()));
        live.filter_map(move |slot| self.get(RecordRef::new(table, slot)))
            .filter(move |record| record.kind() == Some(kind))
    }

    /// How many records of a kind live: costs nothing.
    pub fn live_count(&self, kind: RecordKind) -> usize {
        self.contents.tallies[kind.code() as usize].live
    }

    /// How many records of a kind there are, live and ended: costs nothing.
    pub fn retained_count(&self, kind: RecordKind) -> usize {
        self.contents.tallies[kind.code() as usize].retained
    }

    /// The ended connections or requests in the order of their ends.
    pub fn ended_by_time(&self, kind: FlowKind) -> EndedByTime<'_> {
        EndedByTime { contents: &self.contents, ends: &self.orders(kind).ends }
    }

    /// The connections or requests, live and ended, in the order of their ids.
    pub fn by_identity(&self, kind: FlowKind) -> ByIdentity<'_> {
        ByIdentity { contents: &self.contents, ids: &self.orders(kind).ids }
    }

    fn orders(&self, kind: FlowKind) -> &Orders {
        match kind {
            FlowKind::Connection => &self.contents.tport_orders,
            FlowKind::Request => &self.contents.app_orders,
        }
    }

    /// The records with that id: the one that it means now first, then those that it meant before its source
    /// restarted (faults 6).
    pub fn find(&self, id: &str) -> impl Iterator<Item = Record<'_>> {
        self.contents
            .scopes
            .keys(id)
            .filter_map(|key| self.contents.by_key(key))
            .filter(|record| !record.is_service())
    }

    /// The record in that row, if there is one.
    pub fn get(&self, at: RecordRef) -> Option<Record<'_>> {
        self.contents.record(at)
    }

    /// The record after that row, in the order of [`Snapshot::records`] but derived ones included; for whoever goes
    /// through all of them bit by bit. Begin with none.
    pub fn next_after(&self, at: Option<RecordRef>) -> Option<Record<'_>> {
        let (mut table, mut slot) = match at {
            None => (Table::Entities, 0),
            Some(at) => (at.table(), at.slot() + 1),
        };
        loop {
            while slot < self.contents.len(table) {
                if let Some(record) = self.get(RecordRef::new(table, slot)) {
                    return Some(record);
                }
                slot += 1;
            }
            slot = 0;
            table = match table {
                Table::Entities => Table::Tports,
                Table::Tports => Table::Apps,
                Table::Apps => Table::Flows,
                Table::Flows => return None,
            };
        }
    }

    /// The services that listeners and connectors imply, live and ended: one for each address and protocol.
    pub fn services(&self) -> impl Iterator<Item = Service<'_>> {
        self.table(Table::Entities).filter_map(|record| record.as_service())
    }

    /// The service in that row, if there is one.
    pub fn service(&self, at: RecordRef) -> Option<Service<'_>> {
        self.get(at)?.as_service()
    }

    /// The [lanes](crate::lane), those too that have no connection any more but are still there for their totals.
    pub fn lanes(&self) -> impl Iterator<Item = Lane<'_>> {
        (0..self.lane_slots()).filter_map(|slot| self.contents.lane(u32::try_from(slot).ok()?))
    }

    /// The lane that it stands for, if that is still there.
    pub fn lane(&self, at: LaneRef) -> Option<Lane<'_>> {
        self.contents.lane(at.number).filter(|lane| lane.at() == at)
    }

    /// A number above that of all lanes; see [`LaneRef::slot`].
    pub fn lane_slots(&self) -> usize {
        self.contents.lanes.len()
    }

    /// The revision of the latest change of a lane.
    pub fn lanes_revision(&self) -> LaneRevision {
        LaneRevision(self.contents.lanes_revision)
    }

    /// The revision of the latest change of what is at the ends of a lane: of all of its connections at once, the same
    /// [`LaneRef`] standing for other processes or another connector than before.
    pub fn lane_ends_revision(&self) -> LaneRevision {
        LaneRevision(self.contents.lane_ends_revision)
    }

    /// Connections that went to other lanes after that revision, the latest move first; at most the latest 16,384 moves.
    /// Only of those is it said whose listener, host, connector, reported or inferred, or processes are others now.
    pub fn lane_moves(&self, after: LaneRevision) -> impl Iterator<Item = LaneMove> + use<'_> {
        let is_there =
            |each: &&Move| self.contents.row(each.at).is_some_and(|row| row.head().key == each.key);
        self.contents.moves.after(after.0).filter(is_there).map(|each| {
            let (number, generation) = each.from;
            LaneMove { at: each.at, from: LaneRef { number, generation } }
        })
    }

    /// The sources that are seen, and those that were lost and are not forgotten, in an order that stays.
    pub fn sources(&self) -> impl Iterator<Item = SourceState<'_>> {
        let kept = (0..self.contents.sources.len())
            .filter(|&position| !self.contents.sources[position].is_forgotten);
        kept.map(|position| {
            self.contents
                .source(SourceId(u32::try_from(position).expect("sources are few")))
                .expect("it is in range")
        })
    }

    fn table(&self, table: Table) -> impl Iterator<Item = Record<'_>> {
        (0..self.contents.len(table)).filter_map(move |slot| self.get(RecordRef::new(table, slot)))
    }
}

impl Contents {
    fn len(&self, table: Table) -> usize {
        with_table!(self, table, [&] rows => rows.len())
    }

    pub(crate) fn row(&self, at: RecordRef) -> Option<&dyn AnyRow> {
        with_table!(self, at.table(), [&] rows => rows.get(at.slot()).map(|row| row as &dyn AnyRow))
    }

    pub(crate) fn record(&self, at: RecordRef) -> Option<Record<'_>> {
        let row = self.row(at)?;
        row.head().flags.has(Flags::REPORTED).then_some(Record { contents: self, at, row })
    }

    /// Where to look for what is at the ends of connections.
    pub(crate) fn facts(&self) -> Facts<'_> {
        Facts {
            index: &self.index,
            entities: &self.entities,
            texts: &self.texts,
            scopes: &self.scopes,
            hosts: &self.hosts,
        }
    }

    /// The records that refer to a row in that place; the row may only hold a place itself.
    pub(crate) fn referrers(&self, at: RecordRef, place: usize) -> impl Iterator<Item = Record<'_>> {
        let first = self.row(at).and_then(|row| row.referrers().get(place)?.some());
        std::iter::successors(first, move |&at| {
            self.row(at).and_then(|row| row.siblings().get(place)).and_then(|siblings| siblings.next.some())
        })
        .filter_map(move |at| self.record(at))
    }

    /// The records of a kind that is not one of flows, live and ended.
    pub(crate) fn entities(&self, kind: RecordKind) -> impl Iterator<Item = Record<'_>> {
        (0..self.entities.len())
            .filter_map(|slot| self.record(RecordRef::new(Table::Entities, slot)))
            .filter(move |record| record.kind() == Some(kind))
    }

    pub(crate) fn by_key(&self, key: Key) -> Option<Record<'_>> {
        if key.is_none() {
            return None;
        }
        self.record(self.index.get(key)?)
    }

    pub(crate) fn source(&self, id: SourceId) -> Option<SourceState<'_>> {
        let source = self.sources.get(id.0 as usize)?;
        let own = || {
            let key = self.scopes.keys(&source.id).next()?;
            self.row(self.index.get(key)?)
        };
        Some(SourceState { source, is_incomplete: is_incomplete(source, own) })
    }

    pub(crate) fn text(&self, symbol: Symbol) -> Option<Text<'_>> {
        if symbol.is_none() {
            return None;
        }
        Some(Text(match symbol.number() {
            Some(number) => Parts::Number(number),
            None => Parts::Whole(lookup(&self.texts, symbol)),
        }))
    }

    pub(crate) fn id(&self, key: Key) -> Option<Text<'_>> {
        if key.is_none() {
            return None;
        }
        let name = self.scopes.name(key);
        Some(Text(match key.number() {
            Some(number) => Parts::Scoped(name, number),
            None => Parts::Whole(name),
        }))
    }
}

pub(crate) fn is_service_type(type_code: u32) -> bool {
    type_code == SERVICE_TYPE
}

/// The value of an attribute of a record.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Field<'s> {
    /// A number.
    Uint(u64),
    /// A text, or the id of another record.
    Text(Text<'s>),
    /// A value of a type that the attribute should not have, or one that only unknown attributes have.
    Other(Value<'s>),
}

impl<'s> Field<'s> {
    /// The number, if it is one.
    pub fn as_uint(self) -> Option<u64> {
        match self {
            Self::Uint(number) => Some(number),
            Self::Text(_) | Self::Other(_) => None,
        }
    }

    /// The text, if it is one.
    pub fn as_text(self) -> Option<Text<'s>> {
        match self {
            Self::Text(text) => Some(text),
            Self::Uint(_) | Self::Other(_) => None,
        }
    }
}

/// A text of a record. It may be kept in parts, and then has to be put together to be a `str`.
#[derive(Clone, Copy)]
pub struct Text<'s>(Parts<'s>);

#[derive(Clone, Copy)]
enum Parts<'s> {
    Whole(&'s str),
    Number(u32),
    Scoped(&'s str, u64),
}

impl<'s> Text<'s> {
    /// The text, if it is kept in one piece.
    pub fn as_str(self) -> Option<&'s str> {
        match self.0 {
            Parts::Whole(text) => Some(text),
            Parts::Number(_) | Parts::Scoped(..) => None,
        }
    }

    /// The text, put together if need be.
    pub fn to_cow(self) -> Cow<'s, str> {
        match self.0 {
            Parts::Whole(text) => Cow::Borrowed(text),
            Parts::Number(_) | Parts::Scoped(..) => Cow::Owned(self.to_string()),
        }
    }

    /// Appends the text to `target`.
    pub fn push_to(self, target: &mut String) {
        self.pieces(&mut [0; 20], |piece| target.push_str(piece));
    }

    /// Gives the pieces of the text in order.
    fn pieces(self, digits: &mut [u8; 20], mut take: impl FnMut(&str)) {
        match self.0 {
            Parts::Whole(text) => take(text),
            Parts::Number(number) => take(decimal(number.into(), digits)),
            Parts::Scoped(scope, number) => {
                take(scope);
                take(":");
                take(decimal(number, digits));
            }
        }
    }
}

/// The decimal digits of a number.
fn decimal(mut number: u64, digits: &mut [u8; 20]) -> &str {
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    str::from_utf8(&digits[start..]).expect("digits are ASCII")
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.width().is_some() || f.precision().is_some() {
            return f.pad(&Text::to_cow(Text(Parts::Whole(&self.assembled()))));
        }
        let mut outcome = Ok(());
        self.pieces(&mut [0; 20], |piece| outcome = outcome.and_then(|()| f.write_str(piece)));
        outcome
    }
}

impl Text<'_> {
    fn assembled(self) -> String {
        let mut text = String::new();
        self.push_to(&mut text);
        text
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.to_cow(), f)
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self.0, other.0) {
            (Parts::Whole(left), Parts::Whole(right)) => left == right,
            (Parts::Number(left), Parts::Number(right)) => left == right,
            (Parts::Scoped(left, left_number), Parts::Scoped(right, right_number)) => {
                left_number == right_number && left == right
            }
            _ => self.to_cow() == other.to_cow(),
        }
    }
}

impl Eq for Text<'_> {}

impl PartialEq<str> for Text<'_> {
    fn eq(&self, other: &str) -> bool {
        let mut rest = Some(other);
        self.pieces(&mut [0; 20], |piece| rest = rest.and_then(|rest| rest.strip_prefix(piece)));
        rest == Some("")
    }
}

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

impl PartialOrd<str> for Text<'_> {
    fn partial_cmp(&self, other: &str) -> Option<Ordering> {
        Some(self.cmp(&Text(Parts::Whole(other))))
    }
}

impl PartialOrd for Text<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text<'_> {
    /// Octet by octet, as texts in one piece compare.
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.0, other.0) {
            (Parts::Whole(left), Parts::Whole(right)) => left.cmp(right),
            (Parts::Scoped(left, left_number), Parts::Scoped(right, right_number)) if left == right => {
                decimal(left_number, &mut [0; 20]).cmp(decimal(right_number, &mut [0; 20]))
            }
            _ => self.to_cow().cmp(&other.to_cow()),
        }
    }
}

impl hash::Hash for Text<'_> {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.pieces(&mut [0; 20], |piece| state.write(piece.as_bytes()));
        state.write_u8(0xff);
    }
}

/// The attributes of services have the names of those of listeners and connectors.
pub(crate) const SERVICE_ADDRESS: Attribute = Attribute::VanAddress;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_in_parts_are_as_good_as_whole_ones() {
        let scoped = Text(Parts::Scoped("gv_ZW", 10));
        assert_eq!(scoped, "gv_ZW:10");
        assert_eq!(scoped, Text(Parts::Whole("gv_ZW:10")));
        assert!(scoped != "gv_ZW:1" && scoped != "gv_ZW:100" && scoped != "");
        assert!(scoped < Text(Parts::Scoped("gv_ZW", 9)), "octet by octet, 1 comes before 9");
        assert!(scoped > Text(Parts::Whole("gv_ZW:0")));
        assert_eq!(Text(Parts::Number(8080)), "8080");
        assert_eq!(format!("{:>10}|{scoped}", Text(Parts::Number(8080))), "      8080|gv_ZW:10");
        assert_eq!(format!("{scoped:?}"), "\"gv_ZW:10\"");
    }
}
