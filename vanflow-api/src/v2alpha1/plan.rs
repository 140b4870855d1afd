//! How lists of connections and requests are found without a look at each of them.
//!
//! Most of what a connection is shown with, and what lists are filtered by, it has from its lane: that is decided once a
//! lane, and then holds for all of it ([`Lanes`]). When a record ended decides whether it is in the time range; records
//! are kept in the order of their ends, so that those in the range are counted without being looked at. What is left
//! takes a look at each record that can still be in the list, of which only a page is kept ([`Best`]), or a walk along
//! an order until the page is full: whichever is likely to look at fewer records.

use std::ops::{AddAssign, Range, Sub};

use vanflow_proto::{RecordKind, Timestamp};
use vanflow_store::{Connection, FlowKind, Lane, Record, RecordRef, order::ByIdentity};

use crate::{
    interest::Interest,
    v2alpha1::{
        best::Best,
        collection::{Item, Scope},
        connection::{Flow, Request},
        query::{EndBounds, Page, Query, Test},
        schema::{Cell, Kind, Property},
        view::{Subject, View},
    },
};

/// How to find what a query asks for.
pub(crate) struct Plan<'v> {
    query: &'v Query,
    page: Page,
    view: View<'v>,
    kind: FlowKind,
    window: EndBounds,
    /// The positions, in the order of ends, of those that ended within the window.
    ended: Range<usize>,
    lanes: Lanes<'v>,
    /// The filters that take a look at each record.
    filters: Vec<Test<'v>>,
    interest: Interest,
}

/// What is asked for of each lane.
struct Lanes<'v> {
    /// Whether each is asked for, by [`LaneRef::slot`](vanflow_store::LaneRef::slot); none where all are.
    are_asked: Option<Vec<bool>>,
    /// Those that are asked for.
    asked: Vec<Lane<'v>>,
    /// Whether requests are asked for that are in no lane because their connection is not there.
    with_strays: bool,
}

/// How many records of a kind there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    live: usize,
    ended: usize,
}

impl Count {
    fn of_lane(lane: Lane<'_>, kind: FlowKind) -> Self {
        let (live, retained) = match kind {
            FlowKind::Connection => (lane.live(), lane.retained()),
            FlowKind::Request => lane.requests().fold((0, 0), |(live, retained), requests| {
                (live + requests.live(), retained + requests.retained())
            }),
        };
        Self { live, ended: retained - live }
    }

    fn all(self) -> usize {
        self.live + self.ended
    }
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.live += other.live;
        self.ended += other.ended;
    }
}

impl Sub for Count {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { live: self.live - other.live, ended: self.ended - other.ended }
    }
}

/// The positions of ended records that ended too early, or too late, for the window.
struct Ends {
    before: Range<usize>,
    after: Range<usize>,
}

/// So many are looked up one by one rather than going through the others.
const FEW: usize = 1024;

/// So much of what a look at each would be is looked at lane by lane in search of the most. Where that is not enough, lanes
/// are too much alike, and along their lists it takes longer.
const WORTH_IT: usize = 4;

impl<'v> Plan<'v> {
    /// None where the query is about anything else than connections and requests.
    pub(crate) fn new(query: &'v Query, view: View<'v>, scope: Scope) -> Option<Self> {
        let kind = query.collection.flow_kind()?;
        let (of_lanes, filters): (Vec<_>, Vec<_>) = query.tests().partition(|test| test.is_of_lane());
        let lanes = match scope {
            Scope::All if of_lanes.is_empty() => Lanes::all(),
            Scope::All => Lanes::new(view, kind, &of_lanes, |_| true),
            Scope::Service(service) => Lanes::new(view, kind, &of_lanes, |lane| {
                lane.service().is_some_and(|its| its.at() == service)
            }),
            Scope::Site(_) => return None,
        };
        let window = query.window(view.snapshot.now());
        let order = view.snapshot.ended_by_time(kind);
        let ended = window.ended.map_or(0..0, |(from, until)| {
            let until =
                until.checked_add(1).map_or(order.len(), |after| order.rank(Timestamp::from_micros(after)));
            order.rank(Timestamp::from_micros(from)).min(until)..until
        });
        let interest = Interest::current();
        Some(Self { query, page: query.page(), view, kind, window, ended, lanes, filters, interest })
    }

    /// What is asked for, in order, and how much there would be without paging.
    pub(crate) fn select(&mut self, page: Page) -> (Vec<Item>, usize) {
        self.page = page;
        let (records, total) = self.page();
        (records.into_iter().map(Item::Record).collect(), total)
    }
}

impl<'v> Lanes<'v> {
    fn all() -> Self {
        Self { are_asked: None, asked: Vec::new(), with_strays: true }
    }

    fn new(
        view: View<'v>,
        kind: FlowKind,
        filters: &[Test<'_>],
        is_in_scope: impl Fn(Lane<'v>) -> bool,
    ) -> Self {
        let mut are_asked = vec![false; view.snapshot.lane_slots()];
        let mut asked = Vec::new();
        let Some(any) = view.snapshot.flows(kind).next() else {
            return Self { are_asked: Some(are_asked), asked, with_strays: false };
        };
        let admits = |subject: Subject<'v>| filters.iter().all(|filter| filter.admits(view, &subject));
        for lane in view.snapshot.lanes() {
            let has_any = Count::of_lane(lane, kind).all() > 0;
            if has_any && is_in_scope(lane) && (filters.is_empty() || of_lane(lane, any).is_some_and(admits))
            {
                are_asked[lane.at().slot()] = true;
                asked.push(lane);
            }
        }
        let with_strays = kind == FlowKind::Request && !filters.is_empty() && stray(any).is_some_and(admits);
        Self { are_asked: Some(are_asked), asked, with_strays }
    }

    fn are_all(&self) -> bool {
        self.are_asked.is_none()
    }

    fn has(&self, record: Record<'v>) -> bool {
        let Some(are_asked) = &self.are_asked else { return true };
        record.lane().map_or(self.with_strays, |lane| are_asked[lane.at().slot()])
    }
}

/// What stands for each record of a lane, as far as they are alike: `any` is of the kind that is asked for. None where
/// the lane has no connection any more.
fn of_lane<'v>(lane: Lane<'v>, any: Record<'v>) -> Option<Subject<'v>> {
    let flow = Flow::of_lane(lane)?;
    // What a request has from its lane it has from its connection: which request it is makes no difference.
    Some(match vanflow_store::Request::new(any) {
        Some(record) => Subject::Request(Request { record, connection: Some(flow) }),
        None => Subject::Flow(flow),
    })
}

/// What stands for each request that is in no lane.
fn stray(any: Record<'_>) -> Option<Subject<'_>> {
    let record = vanflow_store::Request::new(any)?;
    Some(Subject::Request(Request { record, connection: None }))
}

/// What is found: a page, and how much there would be without paging.
type Found = (Vec<RecordRef>, usize);

impl<'v> Plan<'v> {
    fn page(&self) -> Found {
        let Some(count) = self.count() else { return self.gather() };
        let total = count.all();
        let start = self.page.offset.min(total);
        let end = self.page.limit.map_or(total, |limit| start.saturating_add(limit).min(total));
        if start == end {
            return (Vec::new(), total);
        }
        let order = self.query.order.map(|order| (order.property.name, order.is_descending));
        let records = match order {
            None | Some(("identity", false)) => self.page_by_identity(start..end, total),
            Some(("endTime", is_descending)) => self.page_by_end(start..end, count, is_descending),
            Some((_, true)) => self.page_of_most(start..end, self.cost() / WORTH_IT),
            _ => None,
        };
        records.map_or_else(|| self.gather(), |records| (records, total))
    }

    /// How much there is in the list, where that is known without a look at each.
    fn count(&self) -> Option<Count> {
        if !self.filters.is_empty() || !self.window.is_exact {
            return None;
        }
        let snapshot = self.view.snapshot;
        let live = |live: usize| if self.window.has_live { live } else { 0 };
        if self.lanes.are_all() {
            let count = snapshot.live_flow_count(self.kind);
            return Some(Count { live: live(count), ended: self.ended.len() });
        }
        let mut all = Count::default();
        for lane in &self.lanes.asked {
            all += Count::of_lane(*lane, self.kind);
        }
        if self.lanes.with_strays {
            all += self.strays();
        }
        let Ends { before, after } = self.ends();
        let count = |positions| self.ended_at(positions).filter(|record| self.lanes.has(*record)).count();
        let ended = if before.len() + after.len() <= self.ended.len() {
            all.ended - count(before) - count(after)
        } else {
            count(self.ended.clone())
        };
        Some(Count { live: live(all.live), ended })
    }

    /// The requests that are in no lane.
    fn strays(&self) -> Count {
        let snapshot = self.view.snapshot;
        let live = snapshot.live_flow_count(self.kind);
        let all = Count { live, ended: snapshot.retained_flow_count(self.kind) - live };
        snapshot.lanes().fold(all, |left, lane| left - Count::of_lane(lane, self.kind))
    }

    /// The ended records at these positions of their order.
    fn ended_at(&self, positions: Range<usize>) -> impl DoubleEndedIterator<Item = Record<'v>> + use<'v> {
        self.view.snapshot.ended_by_time(self.kind).range(positions)
    }

    fn ends(&self) -> Ends {
        let len = self.view.snapshot.ended_by_time(self.kind).len();
        Ends { before: 0..self.ended.start, after: self.ended.end..len }
    }

    /// How many records a look at each that can be in the list would be.
    fn cost(&self) -> usize {
        let in_time = self.ended.len()
            + if self.window.has_live { self.view.snapshot.live_flow_count(self.kind) } else { 0 };
        if self.lanes.are_all() || self.lanes.with_strays {
            return in_time;
        }
        let of_lanes = self.lanes.asked.iter().map(|lane| {
            // Those of requests are found by their connections.
            let requests =
                if self.kind == FlowKind::Request { Count::of_lane(*lane, self.kind).all() } else { 0 };
            lane.retained() + requests
        });
        in_time.min(of_lanes.sum())
    }

    /// A page in the order of identities, along that order if it is likely to be full before all that can be in the list
    /// has been looked at.
    fn page_by_identity(&self, page: Range<usize>, total: usize) -> Option<Vec<RecordRef>> {
        let order = self.view.snapshot.by_identity(self.kind);
        let at = |record: Record<'v>| record.at();
        if self.lanes.are_all() && order.len() - total <= FEW {
            let left_out = self.left_out(order);
            let position = |mut position| {
                for place in &left_out {
                    position += usize::from(*place <= position);
                }
                position
            };
            // The last of the page, and not what comes after it, which can be past some that are left out.
            let positions = position(page.start)..position(page.end - 1) + 1;
            let is_in = |record: &Record<'v>| left_out.is_empty() || self.has(*record);
            return Some(order.range(positions).filter(is_in).map(at).collect());
        }
        if page.end.saturating_mul(order.len()) / total > self.cost() {
            return None;
        }
        let listed = order.range(0..order.len()).filter(|record| self.is_in(*record));
        Some(listed.skip(page.start).take(page.len()).map(at).collect())
    }

    /// The positions of the records that are not in the list though their lanes are, in the order of identities.
    fn left_out(&self, order: ByIdentity<'v>) -> Vec<usize> {
        let Ends { before, after } = self.ends();
        let live = (!self.window.has_live).then(|| self.view.snapshot.live_flows(self.kind));
        let ended = self.ended_at(before).chain(self.ended_at(after));
        let mut positions: Vec<_> = ended
            .chain(live.into_iter().flatten())
            .map(|record| {
                let first = order.rank(&record.flow_id().to_cow());
                // Several can have had that identity, one after the other.
                first + order.range(first..order.len()).take_while(|other| *other != record).count()
            })
            .collect();
        positions.sort_unstable();
        positions
    }

    /// A page in the order of ends; what has none comes before all that has.
    fn page_by_end(&self, page: Range<usize>, count: Count, is_descending: bool) -> Option<Vec<RecordRef>> {
        let first = if is_descending { count.ended } else { count.live };
        let part = |from: usize, many: usize| {
            page.start.clamp(from, from + many) - from..page.end.clamp(from, from + many) - from
        };
        let (first, second) = (part(0, first), part(first, count.all() - first));
        Some(if is_descending {
            let mut records = self.page_of_ended(first, count, true)?;
            records.extend(self.page_of_live(second));
            records
        } else {
            let mut records = self.page_of_live(first);
            records.extend(self.page_of_ended(second, count, false)?);
            records
        })
    }

    fn page_of_live(&self, page: Range<usize>) -> Vec<RecordRef> {
        let mut best = Best::new(page.end, false);
        if !page.is_empty() {
            let live = self.view.snapshot.live_flows(self.kind).filter(|record| self.is_in(*record));
            live.for_each(|record| best.add((), || record.flow_id(), record.at()));
        }
        best.into_sorted(page.start)
    }

    fn page_of_ended(&self, page: Range<usize>, count: Count, is_descending: bool) -> Option<Vec<RecordRef>> {
        if page.is_empty() {
            return Some(Vec::new());
        }
        let (mut positions, mut passed_over) = (self.ended.clone(), page.start);
        if self.lanes.are_all() {
            // All of them are in the list: the page begins where it begins, or with those that ended at the same time.
            let order = self.view.snapshot.ended_by_time(self.kind);
            let from =
                if is_descending { positions.end - 1 - page.start } else { positions.start + page.start };
            let end = order.range(from..from + 1).next()?.end().unwrap_or_default();
            if is_descending {
                let until = order.rank(end.plus_micros(1)).min(positions.end);
                passed_over -= positions.end - until;
                positions.end = until;
            } else {
                let since = order.rank(end).max(positions.start);
                passed_over -= since - positions.start;
                positions.start = since;
            }
        } else if page.end.saturating_mul(self.ended.len()) / count.ended > self.cost() {
            return None;
        }
        let ended = self.ended_at(positions);
        let mut walk = Walk { passed_over, left: page.len(), records: Vec::new() };
        if is_descending {
            walk.take(ended.rev().filter(|record| self.is_in(*record)));
        } else {
            walk.take(ended.filter(|record| self.is_in(*record)));
        }
        Some(walk.records)
    }

    fn is_in(&self, record: Record<'v>) -> bool {
        self.lanes.has(record) && self.has(record)
    }

    /// Looks at each record that can be in the list, and keeps a page of them.
    fn gather(&self) -> Found {
        let Some(order) = self.query.order else { return self.best(false, |_| ()) };
        let (property, is_descending) = (order.property, order.is_descending);
        if let Some(attribute) = property.reported {
            // Nothing else of the record has to be looked up, unless it is one of two.
            return self.best(is_descending, |record| match record.kind() {
                Some(RecordKind::Flow) => self.number(property, record).unwrap_or(0),
                _ => record.uint(attribute).unwrap_or(0),
            });
        }
        match property.kind {
            _ if property.name == "identity" => self.best(is_descending, |record| record.flow_id()),
            Kind::Instant | Kind::Number => self.best(is_descending, |record| self.number(property, record)),
            _ => match self.ranks(property) {
                Some(ranks) => self.best(is_descending, |record| ranks.of(record)),
                None => self.best(is_descending, |record| {
                    self.subject(record).map(|subject| property.of(self.view, &subject))
                }),
            },
        }
    }

    fn number(&self, property: &'static Property, record: Record<'v>) -> Option<u64> {
        match property.of(self.view, &self.subject(record)?) {
            Cell::Number(number) => Some(number),
            _ => None,
        }
    }

    fn best<K: Ord>(&self, is_descending: bool, key: impl Fn(Record<'v>) -> K) -> Found {
        let end = self.page.end();
        let mut best = Best::new(end, is_descending);
        let mut total = 0;
        self.each(|record| {
            if self.has(record) {
                total += 1;
                if end > 0 {
                    best.add(key(record), || record.flow_id(), record.at());
                }
            }
        });
        (best.into_sorted(self.page.offset), total)
    }

    /// Gives each record that can be in the list.
    fn each(&self, mut take: impl FnMut(Record<'v>)) {
        let snapshot = self.view.snapshot;
        let live = if self.window.has_live { snapshot.live_flow_count(self.kind) } else { 0 };
        if self.lanes.are_all() && live + self.ended.len() == snapshot.retained_flow_count(self.kind) {
            snapshot.flows(self.kind).for_each(take);
        } else if self.cost() < live + self.ended.len() {
            for lane in &self.lanes.asked {
                self.each_of(*lane, &mut take);
            }
        } else {
            let live = self.window.has_live.then(|| snapshot.live_flows(self.kind));
            let all = live.into_iter().flatten().chain(self.ended_at(self.ended.clone()));
            all.filter(|record| self.lanes.has(*record)).for_each(take);
        }
    }

    /// Gives each record of a lane.
    fn each_of(&self, lane: Lane<'v>, mut take: impl FnMut(Record<'v>)) {
        for connection in lane.connections() {
            if self.kind == FlowKind::Connection {
                take(connection);
                continue;
            }
            let requests =
                Connection::new(connection).into_iter().flat_map(|connection| connection.requests());
            requests.for_each(|request| take(request.record()));
        }
    }

    /// Whether a record of a lane that is asked for is in the list.
    fn has(&self, record: Record<'v>) -> bool {
        if self.interest.has_ended() {
            return false;
        }
        let micros = |time: Option<Timestamp>| time.map_or(0, Timestamp::as_micros);
        let end = if record.is_live() { 0 } else { micros(record.end()) };
        self.query.is_in_time(self.view.snapshot.now(), micros(record.start()), end)
            && (self.filters.is_empty()
                || self.subject(record).is_some_and(|subject| {
                    self.filters.iter().all(|filter| filter.admits(self.view, &subject))
                }))
    }

    fn subject(&self, record: Record<'v>) -> Option<Subject<'v>> {
        self.query.collection.subject_of(record)
    }

    /// Where a property comes from the lanes alone, which of its values comes first.
    fn ranks(&self, property: &'static Property) -> Option<Ranks> {
        if !property.is_of_lane {
            return None;
        }
        let any = self.view.snapshot.flows(self.kind).next()?;
        let mut values = Vec::new();
        let each = self.view.snapshot.lanes().filter(|lane| lane.retained() > 0);
        let every: Vec<_> = if self.lanes.are_all() { each.collect() } else { self.lanes.asked.clone() };
        for lane in every {
            values.push((property.of(self.view, &of_lane(lane, any)?), Some(lane.at().slot())));
        }
        if self.kind == FlowKind::Request {
            values.push((property.of(self.view, &stray(any)?), None));
        }
        values.sort();
        let mut ranks = Ranks { of_lanes: vec![0; self.view.snapshot.lane_slots()], of_strays: 0 };
        let (mut rank, mut last) = (0, None);
        for (value, slot) in &values {
            rank += u32::from(last.is_some_and(|last| last != value));
            last = Some(value);
            match slot {
                Some(slot) => ranks.of_lanes[*slot] = rank,
                None => ranks.of_strays = rank,
            }
        }
        Some(ranks)
    }
}

/// A page that fills along the order of ends. Those that ended at the same time come in the order of identities.
struct Walk {
    passed_over: usize,
    left: usize,
    records: Vec<RecordRef>,
}

impl Walk {
    fn take<'v>(&mut self, records: impl Iterator<Item = Record<'v>>) {
        let mut records = records.peekable();
        while self.left > 0
            && let Some(first) = records.next()
        {
            let end = first.end();
            let mut best = Best::new(self.passed_over + self.left, false);
            best.add((), || first.flow_id(), first.at());
            while let Some(tied) = records.next_if(|record| record.end() == end) {
                best.add((), || tied.flow_id(), tied.at());
            }
            let tied = best.total();
            let taken = best.into_sorted(self.passed_over);
            self.passed_over = self.passed_over.saturating_sub(tied);
            self.left -= taken.len();
            self.records.extend(taken);
        }
    }
}

/// Which value of a property comes first: numbers are compared faster than texts.
struct Ranks {
    /// By [`LaneRef::slot`](vanflow_store::LaneRef::slot).
    of_lanes: Vec<u32>,
    of_strays: u32,
}

impl Ranks {
    fn of(&self, record: Record<'_>) -> u32 {
        record.lane().map_or(self.of_strays, |lane| self.of_lanes[lane.at().slot()])
    }
}

mod groups;
mod most;

#[cfg(test)]
mod tests;
