//! How lists of connections and requests are found without a look at each of them.
//!
//! Most of what a connection is shown with, and what lists are filtered by, it has from its lane: that is decided once a
//! lane, and then holds for all of it ([`Lanes`]). When a record ended decides whether it is in the time range; records
//! are kept in the order of their ends, so that those in the range are counted without being looked at. What is left
//! takes a look at each record that can still be in the list, of which only a page is kept ([`Best`]), or a walk along
//! an order until the page is full: whichever is likely to look at fewer records.

use vanflow_proto::{RecordKind, Timestamp};
use vanflow_store::{Lane, Record, RecordRef};

use crate::v2alpha1::{
    best::Best,
    collection::{Item, Scope},
    connection::{Flow, Request, is_uniform},
    query::{Filter, Query, Window},
    schema::{Cell, Kind, Property},
    view::{Subject, View},
};

/// How to find what a query asks for.
pub(crate) struct Plan<'v> {
    query: &'v Query,
    view: View<'v>,
    kind: RecordKind,
    window: Window,
    lanes: Lanes<'v>,
    /// The filters that take a look at each record.
    filters: Vec<&'v Filter>,
}

/// How much of a lane is asked for, as far as its lane tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Nothing,
    All,
    /// Its records are not alike.
    Some,
}

/// What is asked for of each lane.
struct Lanes<'v> {
    /// By [`LaneRef::slot`](vanflow_store::LaneRef::slot); empty where all of each is asked for.
    parts: Vec<Part>,
    /// Those of which anything is.
    asked: Vec<(Lane<'v>, Part)>,
    /// Of the requests that are in no lane because their connection is not there. They are alike.
    strays: Part,
}

/// How many records of a kind there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    live: usize,
    ended: usize,
}

impl Count {
    fn of_lane(lane: Lane<'_>, kind: RecordKind) -> Self {
        let (live, retained) = match kind {
            RecordKind::BiflowTport => (lane.live(), lane.retained()),
            _ => lane.requests().fold((0, 0), |(live, retained), requests| {
                (live + requests.live(), retained + requests.retained())
            }),
        };
        Self { live, ended: retained - live }
    }

    fn all(self) -> usize {
        self.live + self.ended
    }
}

impl<'v> Plan<'v> {
    /// None where the query is about anything else than connections and requests.
    pub(crate) fn new(query: &'v Query, view: View<'v>, scope: Scope) -> Option<Self> {
        let kind = query.collection.kind().filter(|kind| kind.is_flow())?;
        let (of_lanes, filters): (Vec<_>, Vec<_>) =
            query.filters.iter().partition(|filter| filter.property.is_of_lane);
        let lanes = match scope {
            Scope::All if of_lanes.is_empty() => Lanes::all(),
            Scope::All => Lanes::new(view, kind, &of_lanes, |_| true),
            Scope::Service(service) => Lanes::new(view, kind, &of_lanes, |lane| {
                let its = lane.listener().and_then(|listener| listener.service());
                its.is_some_and(|its| its.at() == service)
            }),
            Scope::Site(_) => return None,
        };
        let window = query.window(view.snapshot.now());
        Some(Self { query, view, kind, window, lanes, filters })
    }

    /// What is asked for, in order, and how much there would be without paging.
    pub(crate) fn select(&self) -> (Vec<Item>, usize) {
        let (records, total) = self.page();
        (records.into_iter().map(Item::Record).collect(), total)
    }
}

impl<'v> Lanes<'v> {
    fn all() -> Self {
        Self { parts: Vec::new(), asked: Vec::new(), strays: Part::All }
    }

    fn new(
        view: View<'v>,
        kind: RecordKind,
        filters: &[&Filter],
        is_in_scope: impl Fn(Lane<'v>) -> bool,
    ) -> Self {
        let mut lanes = Self {
            parts: vec![Part::Nothing; view.snapshot.lane_slots()],
            asked: Vec::new(),
            strays: Part::Nothing,
        };
        let Some(any) = view.snapshot.of_kind(kind).next() else { return lanes };
        let admits = |subject: &Subject<'v>| {
            if filters.iter().all(|filter| filter.admits(view, subject)) { Part::All } else { Part::Nothing }
        };
        for lane in view.snapshot.lanes() {
            if Count::of_lane(lane, kind).all() == 0 || !is_in_scope(lane) {
                continue;
            }
            let part = match of_lane(lane, any) {
                _ if filters.is_empty() => Part::All,
                Some(subject) => admits(&subject),
                None => Part::Some,
            };
            if part != Part::Nothing {
                lanes.parts[lane.at().slot()] = part;
                lanes.asked.push((lane, part));
            }
        }
        if kind == RecordKind::BiflowApp && !filters.is_empty() {
            lanes.strays = admits(&Subject::Request(Request { record: any, connection: None }));
        }
        lanes
    }

    fn are_all(&self) -> bool {
        self.parts.is_empty()
    }

    fn part_of(&self, record: Record<'v>) -> Part {
        if self.are_all() {
            return Part::All;
        }
        record.lane().map_or(self.strays, |lane| self.parts[lane.at().slot()])
    }
}

/// What stands for each record of a lane, as far as they are alike; `any` is of the kind that is asked for.
fn of_lane<'v>(lane: Lane<'v>, any: Record<'v>) -> Option<Subject<'v>> {
    let flow = Flow::new(lane.connections().next().filter(|_| is_uniform(lane))?);
    Some(match any.kind() {
        // What a request has from its lane it has from its connection: which request it is makes no difference.
        Some(RecordKind::BiflowApp) => Subject::Request(Request { record: any, connection: Some(flow) }),
        _ => Subject::Flow(flow),
    })
}

/// What is found: a page, and how much there would be without paging.
type Found = (Vec<RecordRef>, usize);

impl<'v> Plan<'v> {
    fn page(&self) -> Found {
        self.gather()
    }

    /// Looks at each record that can be in the list, and keeps a page of them.
    fn gather(&self) -> Found {
        let Some(order) = self.query.order else { return self.best(false, |_| ()) };
        let (property, is_descending) = (order.property, order.is_descending);
        match property.kind {
            _ if property.name == "identity" => self.best(is_descending, |record| record.id()),
            Kind::Instant | Kind::Number => {
                self.best(is_descending, |record| match (property.read)(self.view, &self.subject(record)) {
                    Cell::Number(number) => Some(number),
                    _ => None,
                })
            }
            _ => match self.ranks(property) {
                Some(ranks) => self.best(is_descending, |record| ranks.of(record)),
                None => self.best(is_descending, |record| (property.read)(self.view, &self.subject(record))),
            },
        }
    }

    fn best<K: Ord>(&self, is_descending: bool, key: impl Fn(Record<'v>) -> K) -> Found {
        let end = self.query.offset.saturating_add(self.query.limit.unwrap_or(usize::MAX));
        let mut best = Best::new(end, is_descending);
        let mut total = 0;
        self.each(|record, part| {
            if self.has(record, part) {
                total += 1;
                if end > 0 {
                    best.add(key(record), record.id(), record.at());
                }
            }
        });
        (best.into_sorted(self.query.offset), total)
    }

    /// Gives each record that can be in the list.
    fn each(&self, mut take: impl FnMut(Record<'v>, Part)) {
        let snapshot = self.view.snapshot;
        if self.window.ended.is_none() {
            for record in snapshot.live_of_kind(self.kind) {
                take(record, self.lanes.part_of(record));
            }
            return;
        }
        if self.lanes.are_all() || self.lanes.strays != Part::Nothing {
            for record in snapshot.of_kind(self.kind) {
                take(record, self.lanes.part_of(record));
            }
            return;
        }
        for (lane, part) in &self.lanes.asked {
            for connection in lane.connections() {
                if self.kind == RecordKind::BiflowTport {
                    take(connection, *part);
                    continue;
                }
                for child in connection.children().filter(|child| child.kind() == Some(self.kind)) {
                    take(child, *part);
                }
            }
        }
    }

    /// Whether a record of a lane of which that much is asked for is in the list.
    fn has(&self, record: Record<'v>, part: Part) -> bool {
        let micros = |time: Option<Timestamp>| time.map_or(0, Timestamp::as_micros);
        let end = if record.is_live() { 0 } else { micros(record.end()) };
        if part == Part::Nothing
            || !self.query.is_in_time(self.view.snapshot.now(), micros(record.start()), end)
        {
            return false;
        }
        match part {
            Part::Some => self.query.admits(self.view, &self.subject(record)),
            _ if self.filters.is_empty() => true,
            _ => {
                let subject = self.subject(record);
                self.filters.iter().all(|filter| filter.admits(self.view, &subject))
            }
        }
    }

    fn subject(&self, record: Record<'v>) -> Subject<'v> {
        self.query.collection.subject_of(record)
    }

    /// Where a property comes from the lanes alone, which of its values comes first.
    fn ranks(&self, property: &'static Property) -> Option<Ranks> {
        if !property.is_of_lane {
            return None;
        }
        let any = self.view.snapshot.of_kind(self.kind).next()?;
        let mut values = Vec::new();
        let each = self.view.snapshot.lanes().filter(|lane| lane.retained() > 0);
        let every: Vec<_> = if self.lanes.are_all() {
            each.collect()
        } else {
            self.lanes.asked.iter().map(|(lane, _)| *lane).collect()
        };
        for lane in every {
            values.push(((property.read)(self.view, &of_lane(lane, any)?), Some(lane.at().slot())));
        }
        if self.kind == RecordKind::BiflowApp {
            let stray = Subject::Request(Request { record: any, connection: None });
            values.push(((property.read)(self.view, &stray), None));
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

#[cfg(test)]
mod tests;
