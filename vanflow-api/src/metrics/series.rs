//! What connections do, counted by where they come from and where they go.
//!
//! The store keeps totals of each *lane*: of the connections with the same listener, client host and connector. Each
//! time that somebody looks, what those totals grew by is added to the series of the label set that the lane has now.
//! So a connection costs nothing here, and labels are resolved once a lane, when the lane or what it refers to changes.
//!
//! # Counters do not fall
//!
//! A lane's totals may: a connection goes to another lane when its connector is told. What the lanes of a series lost
//! and gained between two looks is taken together; a loss that remains is passed over. Connections opened less those
//! closed is always the number of those that are open.
//!
//! # Label sets change
//!
//! A process may be told after its connections, or be renamed. When all lanes of a series go over to one label set that
//! has no series yet, the series itself goes over, with its counts. Otherwise its past stays, and the connections that
//! are open are closed there and opened here.
//!
//! # Birth
//!
//! Prometheus sees growth only between two samples, so that a counter that begins above 0 loses what it began with. A
//! series is shown as 0 for a while; but not one that begins with connections from before the collector heard of their
//! source, whose counts are no growth. All scrapers see the same: nothing is kept of them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;
use vanflow_proto::{RecordKind, Timestamp};
use vanflow_store::{
    Lane, LaneRef, OneOf, Record, Snapshot,
    lane::{self, LaneRevision},
};

use crate::{
    metrics::{
        Detail,
        exposition::{Gathered, Histogram, Sample, Value},
        labels::Labels,
        table::{FLOW, MICROSECONDS, Name, SECONDS},
    },
    v2alpha1::{Derived, Flow, Needs, Party, View, protocol_name},
};

/// The values of the labels of a series, in the order of [`FLOW`].
type Values = [String; FLOW.len()];

/// Where the name of the label is in [`FLOW`].
const PROTOCOL: usize = 9;

/// How long a connector has to be told before its connections are counted without it. Mostly it comes in milliseconds.
const TOLD_WITHIN: Duration = Duration::from_secs(5);

/// What stands for something that is not known.
const UNKNOWN: &str = "unknown";

/// All series.
#[derive(Debug)]
pub(crate) struct Ledger {
    detail: Detail,
    identity: Labels,
    zero_for: Duration,
    series: Vec<Option<Series>>,
    free: Vec<usize>,
    by_values: HashMap<Values, usize>,
    /// What was seen of each lane, by its slot.
    seen: Vec<Option<Seen>>,
    /// How the records stood that labels are made of, when they were looked at last.
    standing: Standing,
    /// Series that have something to be added, or no lane any more.
    touched: BTreeSet<usize>,
}

/// Records that labels are made of: how many there are, and the revision of the latest change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Standing {
    records: usize,
    latest: u64,
}

/// What was seen of a lane.
#[derive(Debug)]
struct Seen {
    at: LaneRef,
    revision: LaneRevision,
    is_drained: bool,
    /// None until it is known where the lane goes, or nobody tells although something happened on it.
    series: Option<usize>,
    /// Since when something happened on it though it is not known where it goes.
    waits_since: Option<Instant>,
    counted: Counted,
}

/// What was counted of a lane, or is to be added to a series.
#[derive(Clone, Debug, Default)]
struct Counted {
    opened: i64,
    live: i64,
    octets: i64,
    octets_reverse: i64,
    requests: HashMap<RequestKey, i64>,
    latencies: Option<Box<[Observed; 3]>>,
}

/// Observations by range, and their sum in microseconds.
#[derive(Clone, Debug, Default, PartialEq)]
struct Observed {
    counts: Vec<i64>,
    sum: i64,
}

/// Protocol, method, class of result.
type RequestKey = (String, &'static str, &'static str);

/// Connections with one label set.
#[derive(Debug)]
struct Series {
    values: Values,
    labels: Labels,
    /// The processes at its ends, for as long as they are told.
    ends: [Option<String>; 2],
    birth: Birth,
    lanes: usize,
    /// Those of them that have no connection any more.
    drained: usize,
    pending: Counted,
    opened: u64,
    closed: u64,
    octets: u64,
    octets_reverse: u64,
    requests: BTreeMap<RequestKey, Requests>,
    latencies: Option<Box<Latencies>>,
}

#[derive(Debug)]
struct Requests {
    labels: Labels,
    birth: Birth,
    count: u64,
}

#[derive(Debug)]
struct Latencies {
    birth: Birth,
    incoming: (Labels, Arc<Histogram>),
    outgoing: (Labels, Arc<Histogram>),
    internal: Arc<Histogram>,
}

/// Since when something is counted, if it has to be 0 at first.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Birth(Option<Instant>);

impl Birth {
    fn is_recent(self, now: Instant, zero_for: Duration) -> bool {
        self.0.is_some_and(|at| now.duration_since(at) < zero_for)
    }

    /// Of what goes on under another label set: what was seen to be more than 0 is so at once.
    fn again(self, now: Instant, zero_for: Duration) -> Self {
        Self(self.is_recent(now, zero_for).then_some(now))
    }
}

/// What a lane's labels are, and the processes at its ends.
struct Resolved {
    values: Values,
    ends: [Option<String>; 2],
}

impl Ledger {
    pub(crate) fn new(detail: Detail, identity: Labels, zero_for: Duration) -> Self {
        Self {
            detail,
            identity,
            zero_for,
            series: Vec::new(),
            free: Vec::new(),
            by_values: HashMap::new(),
            seen: Vec::new(),
            standing: Standing::default(),
            touched: BTreeSet::new(),
        }
    }

    /// Counts what happened since the last time.
    pub(crate) fn observe(&mut self, snapshot: &Snapshot, now: Instant) {
        let standing = standing(snapshot);
        let is_new_standing = standing != std::mem::replace(&mut self.standing, standing);
        self.leave(snapshot);
        if self.seen.len() < snapshot.lane_slots() {
            self.seen.resize_with(snapshot.lane_slots(), || None);
        }
        let mut derived = None;
        // Lanes whose labels are others now, by their series and the new labels.
        let mut moves = BTreeMap::<(usize, Values), Move>::new();
        let mut changed = Vec::new();
        for lane in snapshot.lanes() {
            let slot = lane.at().slot();
            let seen = self.seen[slot].get_or_insert_with(|| Seen::new(lane.at()));
            let is_changed = seen.revision != lane.revision();
            if !is_changed && !is_new_standing && seen.series.is_some() {
                continue;
            }
            if is_changed {
                seen.revision = lane.revision();
                changed.push(slot);
            }
            let was_drained = std::mem::replace(&mut seen.is_drained, lane.retained() == 0);
            if let Some(series) = seen.series.and_then(|id| self.series[id].as_mut()) {
                series.drained += usize::from(seen.is_drained);
                series.drained -= usize::from(was_drained);
            }
            let Some(connection) = representative(lane) else { continue };
            let derived = derived.get_or_insert_with(|| Derived::new(snapshot, Needs::default()));
            let flow = Flow::new(connection);
            if seen.series.is_none() && flow.connector().is_none() {
                let waits_since = match is_used(lane) {
                    true => *seen.waits_since.get_or_insert(now),
                    false => continue,
                };
                if now.duration_since(waits_since) < TOLD_WITHIN {
                    continue;
                }
            }
            let resolved = resolve(&flow, View { snapshot, derived }, self.detail);
            let Some(id) = seen.series else {
                let birth = Birth((!is_from_before(connection, lane.start())).then_some(now));
                let id = self.enter(resolved, birth);
                if let Some(seen) = &mut self.seen[slot] {
                    seen.series = Some(id);
                }
                // It may have waited for that with counts that are not new.
                changed.push(slot);
                continue;
            };
            let Some(series) = self.series[id].as_mut() else { continue };
            if series.values == resolved.values {
                series.ends = resolved.ends;
            } else {
                let to = moves
                    .entry((id, resolved.values))
                    .or_insert(Move { ends: resolved.ends, lanes: Vec::new() });
                to.lanes.push(slot);
            }
        }
        for ((from, values), Move { ends, lanes }) in moves {
            self.relabel(from, Resolved { values, ends }, &lanes, now);
        }
        changed.sort_unstable();
        changed.dedup();
        for slot in changed {
            let Some(seen) = &mut self.seen[slot] else { continue };
            let (Some(id), Some(lane)) = (seen.series, snapshot.lane(seen.at)) else { continue };
            let Some(series) = self.series[id].as_mut() else { continue };
            let counted = Counted::of(lane);
            series.pending.add(&counted, &seen.counted);
            seen.counted = counted;
            self.touched.insert(id);
        }
        self.settle(snapshot, now, is_new_standing);
    }

    /// Lets go of lanes that are no more.
    fn leave(&mut self, snapshot: &Snapshot) {
        for slot in &mut self.seen {
            let Some(seen) = slot else { continue };
            if snapshot.lane(seen.at).is_some() {
                continue;
            }
            if let Some(id) = seen.series
                && let Some(series) = self.series[id].as_mut()
            {
                series.lanes -= 1;
                series.drained -= usize::from(seen.is_drained);
                series.pending.live -= seen.counted.live;
                self.touched.insert(id);
            }
            *slot = None;
        }
    }

    /// The series with that label set, with one more lane.
    fn enter(&mut self, resolved: Resolved, birth: Birth) -> usize {
        let id = match self.by_values.get(&resolved.values) {
            Some(id) => *id,
            None => {
                let id = self.free.pop().unwrap_or(self.series.len());
                if id == self.series.len() {
                    self.series.push(None);
                }
                self.by_values.insert(resolved.values.clone(), id);
                let labels = self.identity.with(named(&resolved.values));
                self.series[id] = Some(Series::new(resolved.values, labels, birth));
                id
            }
        };
        if let Some(series) = self.series[id].as_mut() {
            series.ends = resolved.ends;
            series.lanes += 1;
        }
        self.touched.insert(id);
        id
    }

    /// Takes lanes of a series over to another label set.
    fn relabel(&mut self, from: usize, to: Resolved, lanes: &[usize], now: Instant) {
        let Some(series) = self.series[from].as_mut() else { return };
        if lanes.len() == series.lanes - series.drained && !self.by_values.contains_key(&to.values) {
            self.by_values.remove(&series.values);
            self.by_values.insert(to.values.clone(), from);
            series.labels = self.identity.with(named(&to.values));
            series.values = to.values;
            series.ends = to.ends;
            series.begin_again(&self.identity, now, self.zero_for);
            return;
        }
        for slot in lanes {
            let Some(seen) = &mut self.seen[*slot] else { continue };
            let live = seen.counted.live;
            if let Some(series) = self.series[from].as_mut() {
                series.lanes -= 1;
                series.pending.live -= live;
            }
            self.touched.insert(from);
            let resolved = Resolved { values: to.values.clone(), ends: to.ends.clone() };
            let id = self.enter(resolved, Birth(Some(now)));
            if let Some(series) = self.series[id].as_mut() {
                series.pending.opened += live;
                series.pending.live += live;
            }
            if let Some(seen) = &mut self.seen[*slot] {
                seen.series = Some(id);
            }
        }
    }

    /// Adds what is to be added, and lets go of series that describe nothing any more.
    fn settle(&mut self, snapshot: &Snapshot, now: Instant, is_new_standing: bool) {
        let touched = std::mem::take(&mut self.touched);
        for id in &touched {
            if let Some(series) = self.series[*id].as_mut() {
                series.settle(&self.identity, now);
            }
        }
        let all = 0..self.series.len();
        let looked_at: Box<dyn Iterator<Item = usize>> =
            if is_new_standing { Box::new(all) } else { Box::new(touched.into_iter()) };
        for id in looked_at {
            let is_over = |series: &Series| series.lanes == 0 && !is_between_live(&series.ends, snapshot);
            if let Some(series) = self.series[id].take_if(|series| is_over(series)) {
                self.by_values.remove(&series.values);
                self.free.push(id);
            }
        }
    }

    /// How many series and lanes there are.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.by_values.len(), self.seen.iter().flatten().count())
    }

    pub(crate) fn gather(&self, now: Instant, gathered: &mut Gathered) {
        for series in self.series.iter().flatten() {
            let is_recent = |birth: Birth| birth.is_recent(now, self.zero_for);
            let mut push = |name, labels: &Labels, value, birth| {
                gathered.push(name, Sample { labels: labels.clone(), value, is_new: is_recent(birth) });
            };
            for (name, count) in [
                (Name::ConnectionsOpened, series.opened),
                (Name::ConnectionsClosed, series.closed),
                (Name::SentBytes, series.octets),
                (Name::ReceivedBytes, series.octets_reverse),
            ] {
                push(name, &series.labels, Value::Count(count), series.birth);
            }
            for requests in series.requests.values() {
                push(Name::Requests, &requests.labels, Value::Count(requests.count), requests.birth);
            }
            if let Some(latencies) = &series.latencies {
                for (labels, histogram) in [&latencies.incoming, &latencies.outgoing] {
                    push(Name::Latency, labels, Value::Histogram(histogram.clone()), latencies.birth);
                }
                let internal = Value::Histogram(latencies.internal.clone());
                push(Name::InternalLatency, &series.labels, internal, latencies.birth);
            }
        }
    }
}

struct Move {
    ends: [Option<String>; 2],
    lanes: Vec<usize>,
}

impl Seen {
    fn new(at: LaneRef) -> Self {
        Self {
            at,
            revision: LaneRevision::default(),
            is_drained: false,
            series: None,
            waits_since: None,
            counted: Counted::default(),
        }
    }
}

impl Counted {
    fn of(lane: Lane<'_>) -> Self {
        let totals = lane.totals();
        let mut requests = HashMap::new();
        for ended in totals.requests() {
            let protocol =
                ended.protocol.map_or_else(|| UNKNOWN.to_owned(), |told| protocol_name(told).into_owned());
            let method = ended.method.map(|method| method.to_cow());
            let key = (protocol, known_method(method.as_deref()), class(ended.class));
            *requests.entry(key).or_default() += signed(ended.count);
        }
        let observed = [totals.latency(), totals.latency_reverse(), totals.internal_latency()];
        let latencies =
            (observed[0].count() > 0).then(|| Box::new(observed.map(|histogram| Observed::of(&histogram))));
        Self {
            opened: signed(totals.opened()),
            live: lane.live() as i64,
            octets: signed(totals.octets()),
            octets_reverse: signed(totals.octets_reverse()),
            requests,
            latencies,
        }
    }

    /// Adds what there is now and was not before.
    fn add(&mut self, now: &Self, before: &Self) {
        self.opened += now.opened - before.opened;
        self.live += now.live - before.live;
        self.octets = self.octets.saturating_add(now.octets.saturating_sub(before.octets));
        self.octets_reverse =
            self.octets_reverse.saturating_add(now.octets_reverse.saturating_sub(before.octets_reverse));
        for (key, count) in &now.requests {
            let growth = count - before.requests.get(key).unwrap_or(&0);
            if growth != 0 {
                *self.requests.entry(key.clone()).or_default() += growth;
            }
        }
        for (key, count) in before.requests.iter().filter(|(key, _)| !now.requests.contains_key(*key)) {
            *self.requests.entry(key.clone()).or_default() -= count;
        }
        if now.latencies != before.latencies {
            let pending = self.latencies.get_or_insert_default();
            for (position, pending) in pending.iter_mut().enumerate() {
                let of =
                    |counted: &Self| counted.latencies.as_ref().map(|latencies| latencies[position].clone());
                pending.add(&of(now).unwrap_or_default(), 1);
                pending.add(&of(before).unwrap_or_default(), -1);
            }
        }
    }
}

impl Observed {
    fn of(histogram: &lane::Histogram<'_>) -> Self {
        Self {
            counts: histogram.counts().iter().map(|count| signed(*count)).collect(),
            sum: histogram.sum_micros(),
        }
    }

    fn add(&mut self, other: &Self, sign: i64) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (count, other) in self.counts.iter_mut().zip(&other.counts) {
            *count += sign * other;
        }
        self.sum = self.sum.saturating_add(other.sum.saturating_mul(sign));
    }

    /// Adds to a histogram whose sum is in so many microseconds a unit. What was lost is passed over.
    fn add_to(&self, histogram: &mut Arc<Histogram>, unit: f64) {
        let has_lost = self.counts.iter().any(|count| *count < 0);
        let has_grown = self.counts.iter().any(|count| *count > 0);
        if !has_grown {
            return;
        }
        let histogram = Arc::make_mut(histogram);
        for (total, count) in histogram.counts.iter_mut().zip(&self.counts) {
            *total += u64::try_from(*count).unwrap_or(0);
        }
        // What came and went in different ranges cannot be told apart in the sum.
        let sum = if has_lost { self.sum.max(0) } else { self.sum };
        histogram.sum += sum as f64 / unit;
    }
}

impl Series {
    fn new(values: Values, labels: Labels, birth: Birth) -> Self {
        Self {
            values,
            labels,
            ends: [None, None],
            birth,
            lanes: 0,
            drained: 0,
            pending: Counted::default(),
            opened: 0,
            closed: 0,
            octets: 0,
            octets_reverse: 0,
            requests: BTreeMap::new(),
            latencies: None,
        }
    }

    /// Adds what is pending.
    fn settle(&mut self, identity: &Labels, now: Instant) {
        let pending = std::mem::take(&mut self.pending);
        let opened = pending.opened.max(0);
        let closed = opened - pending.live;
        self.opened += (opened - closed.min(0)).unsigned_abs();
        self.closed += closed.max(0).unsigned_abs();
        self.octets += pending.octets.max(0).unsigned_abs();
        self.octets_reverse += pending.octets_reverse.max(0).unsigned_abs();
        // What comes with the series is as old as the series.
        let birth = if self.birth.0 == Some(now)
            || (self.birth.0.is_none() && self.opened == opened.unsigned_abs())
        {
            self.birth
        } else {
            Birth(Some(now))
        };
        for (key, growth) in pending.requests.into_iter().filter(|(_, growth)| *growth > 0) {
            let values = &self.values;
            let requests = self.requests.entry(key).or_insert_with_key(|key| Requests {
                labels: request_labels(identity, values, key),
                birth,
                count: 0,
            });
            requests.count += growth.unsigned_abs();
        }
        let Some(pending) = pending.latencies else { return };
        let values = &self.values;
        let latencies =
            self.latencies.get_or_insert_with(|| Box::new(Latencies::new(identity, values, birth)));
        let [latency, reverse, internal] = &*pending;
        latency.add_to(&mut latencies.incoming.1, 1.0);
        reverse.add_to(&mut latencies.outgoing.1, 1.0);
        internal.add_to(&mut latencies.internal, 1e6);
    }

    /// Goes on with other values.
    fn begin_again(&mut self, identity: &Labels, now: Instant, zero_for: Duration) {
        self.birth = self.birth.again(now, zero_for);
        for (key, requests) in &mut self.requests {
            requests.labels = request_labels(identity, &self.values, key);
            requests.birth = requests.birth.again(now, zero_for);
        }
        if let Some(latencies) = &mut self.latencies {
            let Latencies { incoming, outgoing, .. } =
                Latencies::new(identity, &self.values, latencies.birth);
            latencies.incoming.0 = incoming.0;
            latencies.outgoing.0 = outgoing.0;
            latencies.birth = latencies.birth.again(now, zero_for);
        }
    }
}

impl Latencies {
    fn new(identity: &Labels, values: &Values, birth: Birth) -> Self {
        let empty = |bounds| Arc::new(Histogram::new(bounds));
        let labels =
            |values: &Values, direction| identity.with(named(values)).with([("direction", direction)]);
        Self {
            birth,
            incoming: (labels(values, "incoming"), empty(MICROSECONDS)),
            outgoing: (labels(&swapped(values), "outgoing"), empty(MICROSECONDS)),
            internal: empty(SECONDS),
        }
    }
}

fn named(values: &Values) -> impl Iterator<Item = (&str, &str)> {
    FLOW.iter().copied().zip(values.iter().map(String::as_str))
}

fn request_labels(identity: &Labels, values: &Values, (protocol, method, code): &RequestKey) -> Labels {
    let mut values = values.clone();
    values[PROTOCOL].clone_from(protocol);
    identity.with(named(&values)).with([("method", *method), ("code", *code)])
}

/// The same, seen from the other side.
fn swapped(values: &Values) -> Values {
    let other = |name: &str| match name.split_once('_') {
        Some(("source", rest)) => format!("dest_{rest}"),
        Some(("dest", rest)) => format!("source_{rest}"),
        _ => name.to_owned(),
    };
    let value = |name: &&str| {
        let other = other(name);
        let position = FLOW.iter().position(|name| *name == other);
        values[position.expect("each label of a source has one of a destination")].clone()
    };
    std::array::from_fn(|position| value(&FLOW[position]))
}

/// The records that labels are made of.
fn standing(snapshot: &Snapshot) -> Standing {
    use RecordKind::{Connector, Listener, Process, Router, Site};
    let is_flow = |record: &Record<'_>| record.kind().is_some_and(RecordKind::is_flow);
    let mut standing = Standing::default();
    // Flows come after all others.
    for record in snapshot.records().take_while(|record| !is_flow(record)) {
        if matches!(record.kind(), Some(Site | Router | Listener | Connector | Process)) {
            standing.records += 1;
            standing.latest = standing.latest.max(record.revision().as_u64());
        }
    }
    standing
}

/// A connection that stands for all of a lane: any, or where they may differ, the latest of those that live.
fn representative(lane: Lane<'_>) -> Option<Record<'_>> {
    let is_one = lane.process() != OneOf::Varies && lane.connector_or_inferred() != OneOf::Varies;
    if is_one {
        return lane.connections().next();
    }
    lane.connections().max_by_key(|connection| (connection.is_live(), connection.start()))
}

/// Whether anything happened on a lane: what is merely begun, and not told yet, makes no series.
fn is_used(lane: Lane<'_>) -> bool {
    let totals = lane.totals();
    totals.closed() > 0 || totals.octets() > 0 || totals.octets_reverse() > 0
}

/// Whether a lane began before its source was heard of, by the clock of the source.
fn is_from_before(connection: Record<'_>, start: Option<Timestamp>) -> bool {
    let (Some(source), Some(start)) = (connection.source(), start) else { return false };
    let heard = source.first_heard().as_micros().saturating_add_signed(source.clock_offset_micros());
    start.as_micros() < heard
}

fn resolve<'v>(flow: &Flow<'v>, view: View<'v>, detail: Detail) -> Resolved {
    let (source, destination) = (flow.source(view), flow.destination(view));
    let of =
        |value: Option<String>| value.filter(|value| !value.is_empty()).unwrap_or_else(|| UNKNOWN.to_owned());
    let source_site =
        [flow.source_site_id(), flow.source_site_name()].map(|text| of(Some(text.into_owned())));
    let destination_site = [flow.destination_site_id(view), flow.destination_site_name(view)];
    let destination_site = destination_site.map(|text| of(Some(text.into_owned())));
    let ends = [source, destination].map(|party| {
        let told = party.and_then(|party| party.told())?;
        Some(told.id().to_string())
    });
    let end = |party: Option<&Party<'_>>, site: &[String; 2]| {
        let process = of(party.map(|party| party.name().into_owned()));
        let group = of(party.map(|party| party.group().into_owned()));
        let component = of(party.map(|party| party.component_id()));
        match detail {
            Detail::Process => [component, group, process],
            Detail::Component => [component, group.clone(), group],
            Detail::Site => [site[0].clone(), site[1].clone(), site[1].clone()],
        }
    };
    let source = end(source, &source_site);
    let destination = end(destination, &destination_site);
    let values = FLOW.iter().map(|name| match *name {
        "source_site_id" => source_site[0].clone(),
        "source_site_name" => source_site[1].clone(),
        "source_component_id" => source[0].clone(),
        "source_component_name" => source[1].clone(),
        "source_process_name" => source[2].clone(),
        "dest_site_id" => destination_site[0].clone(),
        "dest_site_name" => destination_site[1].clone(),
        "dest_component_id" => destination[0].clone(),
        "dest_component_name" => destination[1].clone(),
        "dest_process_name" => destination[2].clone(),
        "routing_key" => of(Some(flow.routing_key().into_owned())),
        _ => of(Some(flow.protocol().into_owned())),
    });
    let values: Vec<String> = values.collect();
    Resolved { values: values.try_into().expect("one for each label"), ends }
}

/// Whether both processes were told and are there: connections may come again, and what was counted of them goes on.
fn is_between_live(ends: &[Option<String>; 2], snapshot: &Snapshot) -> bool {
    ends.iter().all(|end| {
        let record = end.as_ref().and_then(|id| snapshot.find(id).next());
        record.is_some_and(|record| record.is_live() && record.site().is_none_or(|site| site.is_live()))
    })
}

/// A method as the network observer calls it.
fn known_method(told: Option<&str>) -> &'static str {
    const METHODS: [&str; 9] =
        ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE"];
    let told = told.unwrap_or_default();
    METHODS.into_iter().find(|method| told.eq_ignore_ascii_case(method)).unwrap_or(UNKNOWN)
}

/// A class of results as the network observer calls it.
fn class(class: Option<u8>) -> &'static str {
    match class {
        Some(1) => "1xx",
        Some(2) => "2xx",
        Some(3) => "3xx",
        Some(4) => "4xx",
        Some(5) => "5xx",
        _ => UNKNOWN,
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
