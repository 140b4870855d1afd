//! Lanes: what connections with the same ends come to together.
//!
//! A *lane* is all connections with the same parent, source host and connector, and the same processes at both ends, be
//! they BIFLOW_TPORT records or [pairs](crate::connection) of FLOW records. It is no term of VAN-Flow but of this store. Everything about a connection beside its own figures depends on its
//! lane alone: the processes, components and sites at its ends, its service, its protocol. So whoever wants to know that
//! of all connections asks it once a lane, and there are few lanes where there are many connections.
//!
//! Which processes those are is decided by the start of the connection, and stays so: an address that is given to another
//! process makes another lane (faults 26).
//!
//! A connection is in exactly one lane from its first update on, with what was reported until then: a connector that is
//! not reported yet is one of its own, so that a connection changes its lane when its connector is reported, and takes along
//! what it added to the figures of the lane that it leaves. When a record comes late, or changes, that says what is at the
//! ends of connections, each of those is in the lane it belongs into from that moment on. If that is so of all that ever were
//! in the lane, the lane stays and has other ends; otherwise those that change their lane count as changed themselves.
//!
//! # Figures
//!
//! [`Lane::live`], [`Lane::retained`] and [`Lane::requests`] count records that are there. [`Lane::totals`] counts what
//! happened: it stays when ended records leave the store. It falls only where what was counted proves to belong
//! elsewhere or not to have happened: a connection goes to another lane, an end was only presumed and is taken back.
//! Whoever makes counters of it that must not fall keeps the highest value seen.
//!
//! A lane whose last connection left the store or went to another lane stays for a minute, with its totals, so that
//! who looks more often misses nothing. A new connection with the same ends goes on from there.
//!
//! A connection of which a router of 3.x reports more after it left the store, since that router was silent for longer than
//! the retention, adds what it grew by ([`Connection::contribution`](crate::Connection::contribution)). Any other record that
//! comes again after it left counts again.

use std::{fmt, sync::LazyLock};

use vanflow_proto::{RecordKind, Timestamp};

use crate::{
    distribution,
    failure::{FailureReason, FailureSide},
    halves::Counted,
    lanes::{INTERNAL_BOUNDS, KeptRequests, LATENCY_BOUNDS, LaneRow, Latencies},
    record::{Record, Service},
    row::{RecordRef, Table},
    schema::place,
    share::ConnectionShare,
    snapshot::{Contents, Text},
    text::Symbol,
};

/// Which lane, in all snapshots of one store. Numbers of lanes that went are used again, with another generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaneRef {
    pub(crate) number: u32,
    pub(crate) generation: u32,
}

impl LaneRef {
    /// The number of the lane: below [`Snapshot::lane_slots`](crate::Snapshot::lane_slots), and so of use as a
    /// position in a vector of what was worked out for each lane.
    pub fn slot(self) -> usize {
        self.number as usize
    }
}

/// A point in the sequence of changes of lanes; the default comes before all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneRevision(pub(crate) u64);

/// A connection that went to another lane, with another listener, connector, host or process than it had before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LaneMove {
    /// The record that stood for it. Of FLOW records, another may stand for it now.
    pub at: RecordRef,
    /// The lane that it left.
    pub from: LaneRef,
}

/// A lane of a [`Snapshot`](crate::Snapshot). See the [module's documentation](self).
#[derive(Clone, Copy)]
pub struct Lane<'s> {
    pub(crate) contents: &'s Contents,
    pub(crate) number: u32,
    pub(crate) row: &'s LaneRow,
}

impl fmt::Debug for Lane<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane")
            .field("at", &self.at())
            .field("listener", &self.listener_id())
            .field("connector", &self.connector_id())
            .field("host", &self.host())
            .field("live", &self.live())
            .field("retained", &self.retained())
            .finish_non_exhaustive()
    }
}

impl PartialEq for Lane<'_> {
    /// Whether both are the same lane; it may have changed in between.
    fn eq(&self, other: &Self) -> bool {
        self.at() == other.at()
    }
}

impl Eq for Lane<'_> {}

impl<'s> Lane<'s> {
    /// Which lane it is: of use in other snapshots of the same store, for as long as the lane is there.
    pub fn at(&self) -> LaneRef {
        LaneRef { number: self.number, generation: self.row.generation }
    }

    /// The revision of the latest change of its figures or connections. What is found through it, such as its
    /// processes, changes with other records.
    pub fn revision(&self) -> LaneRevision {
        LaneRevision(self.row.revision)
    }

    /// The id of the parent of its connections, if it was reported. Whether there is such a record is another question.
    pub fn listener_id(&self) -> Option<Text<'s>> {
        self.contents.id(self.row.key.path.parent)
    }

    /// The parent of its connections, whatever it is; a LISTENER where nothing is wrong.
    pub fn listener(&self) -> Option<Record<'s>> {
        self.contents.by_key(self.row.key.path.parent)
    }

    /// The service of its connections, by their listener, or by their connector where no parent was reported.
    pub fn service(&self) -> Option<Service<'s>> {
        if self.row.key.path.parent.is_none() { self.connector() } else { self.listener() }?.offered()
    }

    /// The id of the connector that its connections name, if it was reported.
    pub fn connector_id(&self) -> Option<Text<'s>> {
        self.contents.id(self.row.key.path.connector)
    }

    /// The CONNECTOR that its connections name.
    pub fn connector(&self) -> Option<Record<'s>> {
        self.contents.by_key(self.row.key.path.connector)
    }

    /// The host that its connections come from, if it was reported.
    pub fn host(&self) -> Option<Text<'s>> {
        self.contents.text(self.row.key.path.host)
    }

    /// Its connections, live and ended, the one that came to it last first.
    pub fn connections(&self) -> impl Iterator<Item = Record<'s>> + use<'s> {
        let contents = self.contents;
        std::iter::successors(self.row.first.some(), move |&at| {
            contents.row(at)?.membership()?.siblings.next.some()
        })
        .filter_map(move |at| contents.record(at))
    }

    /// How many of its connections live.
    pub fn live(&self) -> usize {
        self.row.live as usize
    }

    /// How many connections it has, live and ended.
    pub fn retained(&self) -> usize {
        self.row.retained as usize
    }

    /// How many connections it has that failed, as either of their routers says: of those that it has, not of those that
    /// left the store.
    pub fn failed(&self) -> usize {
        self.row.failed as usize
    }

    /// When the first connection that it ever had started. Where that one went to another lane, or proved to have
    /// started at another time, the first of those that are retained.
    pub fn start(&self) -> Option<Timestamp> {
        self.row.span.start.map(Timestamp::from_micros)
    }

    /// When the last connection that it ever had ended, of those that ended. Where that one went to another lane, or
    /// proved to have ended at another time or not at all, the last of those that are retained.
    pub fn end(&self) -> Option<Timestamp> {
        if self.row.span.is_end_stale {
            return self.connections().filter_map(|connection| connection.end()).max();
        }
        self.row.span.end.map(Timestamp::from_micros)
    }

    /// What none of its connections has more of: octets from the client, octets from the server, and the start. None may have
    /// as much: a connection that had may have left.
    pub fn at_most(&self) -> LaneBounds {
        let [octets, octets_reverse] = self.row.most.octets;
        LaneBounds { octets, octets_reverse, start: Timestamp::from_micros(self.row.last_start) }
    }

    /// The requests of its connections, by protocol; those protocols only of which any request is retained.
    pub fn requests(&self) -> impl Iterator<Item = LaneRequests<'s>> + use<'s> {
        let lane = *self;
        let kept = lane.row.requests.as_ref().map_or(&[][..], |requests| &requests.kept);
        kept.iter().filter(|kept| kept.retained > 0).map(move |row| LaneRequests { lane, row })
    }

    /// What passed by it so far.
    pub fn totals(&self) -> Totals<'s> {
        Totals { contents: self.contents, row: self.row }
    }

    /// What [`Record::process`] is of each connection: the client's process.
    pub fn process(&self) -> Option<Record<'s>> {
        self.contents.by_key(self.row.key.ends.client)
    }

    /// Whether its listener and its connector are known, the connector as one of the only process that it can be, too. The
    /// two routers of a connection report it by themselves, up to six seconds one after the other; until both have, it is
    /// in a lane of which this is false.
    pub fn has_both_ends(&self) -> bool {
        self.connector_or_inferred().is_some() && self.listener().is_some()
    }

    /// What [`Record::connector`] is of each connection, or else [`Record::connector_inferred`].
    pub fn connector_or_inferred(&self) -> Option<Record<'s>> {
        self.connector().or_else(|| self.connector_inferred())
    }

    /// What [`Record::connector_inferred`] is of each connection.
    pub fn connector_inferred(&self) -> Option<Record<'s>> {
        self.contents.by_key(self.row.key.ends.connector)
    }

    /// What [`Record::server_process`] is of each connection.
    pub fn server_process(&self) -> Option<Record<'s>> {
        self.contents.by_key(self.row.key.ends.server)
    }
}

/// What no connection of a lane has more of; the highest number where that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LaneBounds {
    /// Octets from the client to the server.
    pub octets: u64,
    /// Octets from the server to the client.
    pub octets_reverse: u64,
    /// When it started.
    pub start: Timestamp,
}

/// The requests of a lane with one protocol.
#[derive(Clone, Copy)]
pub struct LaneRequests<'s> {
    lane: Lane<'s>,
    row: &'s KeptRequests,
}

impl fmt::Debug for LaneRequests<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LaneRequests")
            .field("protocol", &self.protocol())
            .field("live", &self.live())
            .field("retained", &self.retained())
            .finish_non_exhaustive()
    }
}

impl<'s> LaneRequests<'s> {
    /// The protocol as it was reported; none for requests of which none was. A lane that has met hundreds of protocols
    /// counts further ones here too.
    pub fn protocol(&self) -> Option<Text<'s>> {
        self.lane.contents.text(self.row.protocol)
    }

    /// How many of them live.
    pub fn live(&self) -> usize {
        self.row.live as usize
    }

    /// How many there are, live and ended.
    pub fn retained(&self) -> usize {
        self.row.retained as usize
    }

    /// How many of them failed: ended with a result from 500 to 599, or with none.
    pub fn failed(&self) -> usize {
        self.row.failed as usize
    }

    /// When the first of them started; see [`Lane::start`].
    pub fn start(&self) -> Option<Timestamp> {
        if self.row.span.is_start_stale {
            return self.each().filter_map(|request| request.start()).min();
        }
        self.row.span.start.map(Timestamp::from_micros)
    }

    /// When the last of them ended; see [`Lane::end`].
    pub fn end(&self) -> Option<Timestamp> {
        if self.row.span.is_end_stale {
            return self.each().filter_map(|request| request.end()).max();
        }
        self.row.span.end.map(Timestamp::from_micros)
    }

    /// The requests with that very protocol: goes through all of the lane.
    fn each(&self) -> impl Iterator<Item = Record<'s>> {
        let (contents, protocol) = (self.lane.contents, self.row.protocol);
        self.lane.connections().flat_map(|connection| connection.children()).filter(move |request| {
            let slot = request.at.slot();
            match request.at.table() {
                Table::Apps => contents.apps.get(slot).is_some_and(|row| row.texts[place::PROTOCOL] == protocol),
                Table::Flows => contents.flows.get(slot).is_some_and(|row| {
                    matches!(row.membership.counted, Counted::Request { share, .. } if share.protocol == protocol)
                }),
                Table::Entities | Table::Tports => false,
            }
        })
    }
}

/// What a connection adds to the totals of its lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Contribution {
    /// Whether it counts as opened: not where it returned after it was evicted, and is counted already (faults 28).
    pub is_opened: bool,
    /// Whether it counts as closed.
    pub is_closed: bool,
    /// Octets from listener to connector, but for those that were counted before it was evicted.
    pub octets: u64,
    /// Octets from connector to listener, likewise.
    pub octets_reverse: u64,
    /// Both latencies in microseconds, that of the client first, once both are known and unless they were counted before.
    pub latencies: Option<(u64, u64)>,
    /// The latency that the client's router saw, in microseconds, once it is known and unless it was counted before.
    pub listener_latency: Option<u64>,
    /// The latency that the server's router saw, likewise.
    pub connector_latency: Option<u64>,
    /// Why it failed, as the routers of [`FailureSide::ALL`] report it and unless that was counted before.
    pub failures: [Option<FailureReason>; 2],
}

impl Contribution {
    pub(crate) fn new(share: &ConnectionShare) -> Self {
        Self {
            is_opened: share.is_opened(),
            is_closed: share.is_closed(),
            octets: share.octets,
            octets_reverse: share.octets_reverse,
            latencies: share.latencies,
            listener_latency: share.each_latency[0],
            connector_latency: share.each_latency[1],
            failures: share.failures,
        }
    }
}

/// What passed by a lane so far. See the [module's documentation](self) on when it falls.
#[derive(Clone, Copy)]
pub struct Totals<'s> {
    contents: &'s Contents,
    row: &'s LaneRow,
}

impl fmt::Debug for Totals<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Totals")
            .field("opened", &self.opened())
            .field("closed", &self.closed())
            .field("octets", &self.octets())
            .field("octets_reverse", &self.octets_reverse())
            .field("requests", &self.requests().collect::<Vec<_>>())
            .field("latency", &self.latency())
            .field("latency_reverse", &self.latency_reverse())
            .field("internal_latency", &self.internal_latency())
            .field("listener_latency", &self.listener_latency())
            .field("connector_latency", &self.connector_latency())
            .field("request_latency", &self.request_latency())
            .field("failures", &self.failures().collect::<Vec<_>>())
            .finish()
    }
}

static NO_LATENCY: LazyLock<distribution::Distribution> = LazyLock::new(Default::default);

static NO_LATENCIES: LazyLock<Latencies> = LazyLock::new(Latencies::default);

impl<'s> Totals<'s> {
    /// Connections that were reported.
    pub fn opened(&self) -> u64 {
        self.row.opened
    }

    /// Those that ended.
    pub fn closed(&self) -> u64 {
        self.row.closed
    }

    /// Octets from listener to connector.
    pub fn octets(&self) -> u64 {
        self.row.octets
    }

    /// Octets from connector to listener.
    pub fn octets_reverse(&self) -> u64 {
        self.row.octets_reverse
    }

    /// Requests that ended, by protocol, method and class of their result.
    pub fn requests(&self) -> impl Iterator<Item = RequestTotal<'s>> + use<'s> {
        let contents = self.contents;
        let ended = self.row.requests.as_ref().map_or(&[][..], |requests| &requests.ended);
        let text = move |symbol: Symbol| contents.text(symbol);
        ended.iter().filter(|ended| ended.count > 0).map(move |ended| RequestTotal {
            protocol: text(ended.protocol),
            method: text(ended.method),
            class: ended.class,
            count: ended.count,
        })
    }

    /// Latencies to the first octet as clients saw them, of connections of which both latencies are known.
    pub fn latency(&self) -> Histogram<'s> {
        let latency = &self.latencies().latency;
        Histogram { bounds: &LATENCY_BOUNDS, counts: &latency.counts, sum: latency.sum }
    }

    /// Latencies of the workload as connectors saw them, of connections of which both latencies are known.
    pub fn latency_reverse(&self) -> Histogram<'s> {
        let reverse = &self.latencies().reverse;
        Histogram { bounds: &LATENCY_BOUNDS, counts: &reverse.counts, sum: reverse.sum }
    }

    /// What the network added: the one less the other, of each connection of which both are known. Can be negative.
    pub fn internal_latency(&self) -> Histogram<'s> {
        let internal = &self.latencies().internal;
        Histogram { bounds: &INTERNAL_BOUNDS, counts: &internal.counts, sum: internal.sum }
    }

    /// Latencies to the first octet as clients saw them, of all connections of which they are known.
    pub fn listener_latency(&self) -> Distribution<'s> {
        Distribution(&self.latencies().listener_side)
    }

    /// Latencies of the workload as connectors saw them, of all connections of which they are known.
    pub fn connector_latency(&self) -> Distribution<'s> {
        Distribution(&self.latencies().connector_side)
    }

    /// Latencies of requests that ended, as clients saw them, of those of which they are known.
    pub fn request_latency(&self) -> Distribution<'s> {
        Distribution(self.row.requests.as_ref().map_or(&*NO_LATENCY, |requests| &requests.latency))
    }

    /// How often connections failed, by the router that reported it and by the reason; one that both report as failed
    /// counts for each.
    pub fn failures(&self) -> impl Iterator<Item = (FailureSide, FailureReason, u64)> + use<'s> {
        let failures =
            self.row.failures.iter().flat_map(|failures| FailureSide::ALL.into_iter().zip(failures.iter()));
        failures.flat_map(|(side, counts)| {
            let counts = FailureReason::ALL.iter().zip(counts).filter(|(_, count)| **count > 0);
            counts.map(move |(reason, count)| (side, *reason, *count))
        })
    }

    fn latencies(&self) -> &'s Latencies {
        self.row.latencies.as_deref().unwrap_or(&NO_LATENCIES)
    }
}

/// Requests that ended alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestTotal<'s> {
    /// The protocol as it was reported, if it was. A lane that has met hundreds of kinds of requests counts further ones
    /// with those of which nothing is known.
    pub protocol: Option<Text<'s>>,
    /// The method as it was reported, if it was.
    pub method: Option<Text<'s>>,
    /// The first digit of a result from 100 to 599; none for any other.
    pub class: Option<u8>,
    /// How many.
    pub count: u64,
}

/// How often values of each range occurred; microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Histogram<'s> {
    bounds: &'static [i64],
    counts: &'s [u64],
    sum: i64,
}

impl<'s> Histogram<'s> {
    /// [`Histogram::bounds_micros`] of latencies: those of the network observer.
    pub const LATENCY_BOUNDS_MICROS: &'static [i64] = &LATENCY_BOUNDS;

    /// [`Histogram::bounds_micros`] of differences of latencies: those of the network observer.
    pub const INTERNAL_BOUNDS_MICROS: &'static [i64] = &INTERNAL_BOUNDS;

    /// Upper bounds of the ranges, inclusive and ascending, in microseconds. One more range takes what is above.
    pub fn bounds_micros(&self) -> &'static [i64] {
        self.bounds
    }

    /// How many values are in each range, those of other ranges not counted; one more than there are bounds.
    pub fn counts(&self) -> &'s [u64] {
        self.counts
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The sum of the values, in microseconds.
    pub fn sum_micros(&self) -> i64 {
        self.sum
    }
}

/// How often values of each of many narrow ranges occurred; microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Distribution<'s>(&'s distribution::Distribution);

impl<'s> Distribution<'s> {
    /// Upper bounds of the ranges, inclusive and ascending, in microseconds; each is at most a tenth above the one
    /// before. One more range takes what is above the last.
    pub const BOUNDS_MICROS: &'static [i64] = distribution::FINE_BOUNDS;

    /// How many bounds there are for each tenfold, the first of which is a power of ten.
    pub const BOUNDS_A_TENFOLD: usize = distribution::STEPS;

    /// The range that a value is in, as in [`Distribution::counts`].
    pub fn range_of(value: i64) -> usize {
        distribution::range_of(value)
    }

    /// The ranges that occurred, by their positions among the bounds and ascending, and how many values are in each.
    pub fn counts(self) -> impl Iterator<Item = (usize, u64)> + use<'s> {
        self.0.counts()
    }

    /// The sum of the values, in microseconds.
    pub fn sum_micros(self) -> i64 {
        self.0.sum()
    }
}

impl<'s> Record<'s> {
    /// The lane that a connection is in, whatever record stands for it; of a request, that of its connection.
    pub fn lane(&self) -> Option<Lane<'s>> {
        match self.kind()? {
            RecordKind::BiflowTport => {
                self.contents.lane(self.contents.tports.get(self.at.slot())?.membership.lane)
            }
            RecordKind::BiflowApp => self.connection()?.lane(),
            RecordKind::Flow => {
                let half = self.contents.flows.get(self.at.slot())?.membership;
                match half.counted {
                    Counted::Nothing => None,
                    Counted::Connection { .. } => self.contents.lane(half.membership.lane),
                    Counted::Request { connection, .. } => {
                        self.contents.lane(self.contents.row(connection?)?.membership()?.lane)
                    }
                }
            }
            _ => None,
        }
    }
}

impl Contents {
    pub(crate) fn lane(&self, number: u32) -> Option<Lane<'_>> {
        let row = self.lanes.get(number as usize).filter(|row| row.is_used)?;
        Some(Lane { contents: self, number, row })
    }
}
