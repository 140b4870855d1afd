//! Lanes as they are kept: what connections with the same listener, client host and connector come to together.
//!
//! What a record adds to its lane is its *share*. When a record changes, its old share is exchanged for its new one,
//! so that a lane's figures are those of its records whatever the order in which those are reported. Only when an ended
//! record leaves the store its share in the traffic totals stays behind.

use std::{
    collections::{BTreeSet, VecDeque},
    hash::BuildHasher,
    sync::Arc,
};

use crate::{
    distribution::{Distribution, signed},
    ends::{Ends, Host, Path, Steady},
    failure::{FailureReason, FailureSide},
    identity::Key,
    merge::Vocabulary,
    moves::{Move, Moves},
    pages::Pages,
    parts::{PartedMap, Parts},
    row::RecordRef,
    schema::{CONNECTOR, PARENT, TportRow, place},
    share::{ConnectionShare, RequestShare},
    shared::to_change,
    text::Symbol,
};

/// How long an empty lane stays, in seconds.
const DRAINED_SECONDS: u32 = 60;

/// Empty lanes that may go in one call of [`Lanes::free_drained`].
const FREED_AT_ONCE: usize = 2000;

/// How many protocols, and combinations of protocol, method and result, a lane distinguishes; methods are the client's
/// to choose.
const MOST_KINDS: usize = 256;

/// Upper bounds of the buckets of latencies, in microseconds.
pub(crate) const LATENCY_BOUNDS: [i64; 7] = [1_000, 2_000, 5_000, 10_000, 100_000, 1_000_000, 10_000_000];

/// Upper bounds of the buckets of differences of latencies, in microseconds.
pub(crate) const INTERNAL_BOUNDS: [i64; 11] =
    [1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000];

/// What connections of one lane have in common: all that they are shown with but themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LaneKey {
    pub(crate) path: Path,
    pub(crate) ends: Ends,
}

impl LaneKey {
    pub(crate) const NONE: Self =
        Self { path: Path { parent: Key::NONE, connector: Key::NONE, host: Symbol::NONE }, ends: Ends::NONE };

    /// Whether the same is at the ends of connections, be it that their connector is reported or inferred.
    pub(crate) fn is_alike(&self, other: &Self) -> bool {
        let facts = |key: &Self| {
            let Path { parent, connector, host } = key.path;
            let connector = if connector.is_none() { key.ends.connector } else { connector };
            (parent, connector, host, key.ends.client, key.ends.server)
        };
        facts(self) == facts(other)
    }
}

impl Path {
    pub(crate) fn of(row: &TportRow) -> Self {
        Self {
            parent: row.references[PARENT],
            connector: row.references[CONNECTOR],
            host: row.texts[place::SOURCE_HOST],
        }
    }
}

/// What the ends of connections of a lane can depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Dependence {
    /// The processes at the host of the client.
    Host(Host),
    /// A record that they name or have at an end.
    Record(Key),
    /// The connectors of the service of that parent, as they name none.
    ConnectorsOf(Key),
}

/// The lanes that depend on something: of a client's host there mostly is one, of a listener there may be a million, of
/// which no change moves many.
#[derive(Debug)]
enum Dependents {
    One(u32),
    #[expect(clippy::box_collection, reason = "where there are many of them each is one lane")]
    Several(Box<BTreeSet<u32>>),
}

/// What a lane takes in a set, in octets: of eleven places of a leaf half are taken.
const IN_SET: usize = 12;

/// The lane that connections of a path go into which start within some time.
#[derive(Clone, Copy, Debug)]
struct Route {
    steady: Steady,
    lane: u32,
}

/// A lane as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct LaneRow {
    pub(crate) key: LaneKey,
    /// The first of the list of its connections.
    pub(crate) first: RecordRef,
    pub(crate) live: u32,
    pub(crate) retained: u32,
    /// Connections that are retained and failed.
    pub(crate) failed: u32,
    /// How many lanes had this number before.
    pub(crate) generation: u32,
    /// When it lost its last connection, in seconds since the epoch.
    drained_at: u32,
    /// Whether it is in the queue of drained lanes.
    is_queued: bool,
    pub(crate) is_used: bool,
    /// No connection that is or was in it started later. One of which no start is known yet counts as the last.
    pub(crate) last_start: u64,
    pub(crate) span: Span,
    pub(crate) revision: u64,
    pub(crate) opened: u64,
    pub(crate) closed: u64,
    pub(crate) octets: u64,
    pub(crate) octets_reverse: u64,
    pub(crate) most: Most,
    pub(crate) latencies: Option<Arc<Latencies>>,
    pub(crate) requests: Option<Arc<Requests>>,
    pub(crate) failures: Option<Arc<Failures>>,
}

/// How many connections failed, by side and reason.
pub(crate) type Failures = [[u64; FailureReason::ALL.len()]; FailureSide::ALL.len()];

/// What no connection of a lane has more of, so that those who look for the most can pass lanes over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Most {
    /// Octets there, and back; the highest number where it is not known.
    pub(crate) octets: [u64; 2],
    /// How many connections have left since one did that had as many, so that it may be less by now.
    left: u32,
}

impl Most {
    /// A connection is there with that.
    pub(crate) fn admit(&mut self, share: &ConnectionShare) {
        for (most, octets) in self.octets.iter_mut().zip(Self::of(share)) {
            *most = octets.max(*most);
        }
    }

    /// A connection with that is there no more.
    fn leave(&mut self, share: &ConnectionShare) {
        let had_most = || self.octets.iter().zip(Self::of(share)).any(|(most, octets)| *most == octets);
        if self.left > 0 || had_most() {
            self.left += 1;
        }
    }

    fn of(share: &ConnectionShare) -> [u64; 2] {
        // What a returned connection is counted with is less than what it has.
        if share.is_continued { [u64::MAX; 2] } else { [share.octets, share.octets_reverse] }
    }
}

/// The time from the first start to the last end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: Option<u64>,
    pub(crate) end: Option<u64>,
    /// Whether what defined the start is gone, so that it has to be looked for.
    pub(crate) is_start_stale: bool,
    /// The same of the end.
    pub(crate) is_end_stale: bool,
}

impl Span {
    /// Something that started and ended then does so at other times now.
    fn exchange(&mut self, before: (Option<u64>, Option<u64>), after: (Option<u64>, Option<u64>)) {
        if let Some(start) = after.0
            && self.start.is_none_or(|known| start <= known)
        {
            self.start = Some(start);
            self.is_start_stale = false;
        } else if before.0.is_some() && before.0 == self.start && before.0 != after.0 {
            self.is_start_stale = true;
        }
        if let Some(end) = after.1
            && self.end.is_none_or(|known| end >= known)
        {
            self.end = Some(end);
            self.is_end_stale = false;
        } else if before.1.is_some() && before.1 == self.end && before.1 != after.1 {
            self.is_end_stale = true;
        }
    }

    /// Nothing is left among which to look for what is stale.
    fn settle(&mut self) {
        if std::mem::take(&mut self.is_start_stale) {
            self.start = None;
        }
        if std::mem::take(&mut self.is_end_stale) {
            self.end = None;
        }
    }
}

/// How often each range of latencies occurred.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Latencies {
    pub(crate) latency: Buckets<{ LATENCY_BOUNDS.len() + 1 }>,
    pub(crate) reverse: Buckets<{ LATENCY_BOUNDS.len() + 1 }>,
    pub(crate) internal: Buckets<{ INTERNAL_BOUNDS.len() + 1 }>,
    /// Of all connections, whether the other latency is known or not.
    pub(crate) listener_side: Distribution,
    pub(crate) connector_side: Distribution,
}

/// Values up to each bound that are above the one before, and those above the last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Buckets<const N: usize> {
    pub(crate) counts: [u64; N],
    /// The sum of all values. It wraps, so that what is taken out leaves what was there before, however odd.
    pub(crate) sum: i64,
}

impl<const N: usize> Default for Buckets<N> {
    fn default() -> Self {
        Self { counts: [0; N], sum: 0 }
    }
}

impl<const N: usize> Buckets<N> {
    fn add(&mut self, bounds: &[i64], value: i64) {
        self.counts[bounds.partition_point(|&bound| bound < value)] += 1;
        self.sum = self.sum.wrapping_add(value);
    }

    fn take(&mut self, bounds: &[i64], value: i64) {
        self.counts[bounds.partition_point(|&bound| bound < value)] -= 1;
        self.sum = self.sum.wrapping_sub(value);
    }
}

impl Latencies {
    fn exchange(&mut self, before: &ConnectionShare, after: &ConnectionShare) {
        self.listener_side.exchange(before.each_latency[0], after.each_latency[0]);
        self.connector_side.exchange(before.each_latency[1], after.each_latency[1]);
        let (before, after) = (before.latencies, after.latencies);
        if let Some((latency, reverse)) = before {
            let (latency, reverse) = (signed(latency), signed(reverse));
            self.latency.take(&LATENCY_BOUNDS, latency);
            self.reverse.take(&LATENCY_BOUNDS, reverse);
            self.internal.take(&INTERNAL_BOUNDS, latency - reverse);
        }
        if let Some((latency, reverse)) = after {
            let (latency, reverse) = (signed(latency), signed(reverse));
            self.latency.add(&LATENCY_BOUNDS, latency);
            self.reverse.add(&LATENCY_BOUNDS, reverse);
            self.internal.add(&INTERNAL_BOUNDS, latency - reverse);
        }
    }

    /// The memory that they take, in octets.
    fn octets(&self) -> usize {
        size_of::<Self>() + self.listener_side.octets() + self.connector_side.octets()
    }
}

/// The requests of a lane.
#[derive(Clone, Debug, Default)]
pub(crate) struct Requests {
    /// Those there are, by protocol.
    pub(crate) kept: Vec<KeptRequests>,
    /// Those that ended so far, by protocol, method and class of their result.
    pub(crate) ended: Vec<EndedRequests>,
    /// Of those.
    pub(crate) latency: Distribution,
}

#[derive(Clone, Debug)]
pub(crate) struct KeptRequests {
    pub(crate) protocol: Symbol,
    pub(crate) live: u32,
    pub(crate) retained: u32,
    /// Those that are retained and failed.
    pub(crate) failed: u32,
    pub(crate) span: Span,
}

#[derive(Clone, Debug)]
pub(crate) struct EndedRequests {
    pub(crate) protocol: Symbol,
    pub(crate) method: Symbol,
    pub(crate) class: Option<u8>,
    pub(crate) count: u64,
}

/// The lanes, as the writer sees them.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    rows: Pages<LaneRow>,
    /// Those that are in use, by their keys.
    by_key: Parts<u32>,
    /// Where connections of a path were put last: most that start around the same time have the same ends.
    routes: PartedMap<Path, Route>,
    /// Lanes by what the ends of their connections depend on.
    dependents: PartedMap<Dependence, Dependents>,
    /// Lanes in sets of `dependents`.
    in_sets: usize,
    free: Vec<u32>,
    /// Lanes that lost their last connection, and the second in which to look whether they can go.
    drained: VecDeque<(u32, u32)>,
    moves: Moves,
    /// Counts changes of lanes.
    revision: u64,
    /// The revision of the latest change of what is at the ends of a lane.
    ends_revision: u64,
    /// What lanes hold beside their rows, in octets.
    beside: usize,
}

impl Lanes {
    pub(crate) fn rows(&self) -> &Pages<LaneRow> {
        &self.rows
    }

    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    pub(crate) fn ends_revision(&self) -> u64 {
        self.ends_revision
    }

    pub(crate) fn moves(&self) -> &Moves {
        &self.moves
    }

    /// A connection has left a lane for another.
    pub(crate) fn note_move(&mut self, at: RecordRef, key: Key, lane: u32) {
        let from = (lane, self.row(lane).generation);
        self.moves.add(Move { at, key, from, revision: self.revision });
    }

    /// The memory that lanes take, in octets.
    pub(crate) fn octets(&self) -> usize {
        // Of a hash table, an entry, and a free place for each.
        (self.rows.len() - self.free.len()) * (size_of::<LaneRow>() + 2 * size_of::<u32>())
            + self.routes.len() * 2 * size_of::<(Path, Route)>()
            + self.dependents.len() * 2 * size_of::<(Dependence, Dependents)>()
            + self.in_sets * IN_SET
            + self.drained.len() * size_of::<(u32, u32)>()
            + self.beside
    }

    pub(crate) fn row(&self, lane: u32) -> &LaneRow {
        self.rows.get(lane as usize).expect("the lane is in use")
    }

    pub(crate) fn row_mut(&mut self, lane: u32) -> &mut LaneRow {
        self.rows.get_mut(lane as usize)
    }

    /// The lane with that key: the one there is, or a new one.
    pub(crate) fn find_or_insert(&mut self, key: LaneKey, vocabulary: &mut Vocabulary) -> u32 {
        if let Some(lane) = self.find(&key) {
            return lane;
        }
        // The row's own use of these ends before the lane does.
        vocabulary.scopes.share(key.path.parent);
        vocabulary.scopes.share(key.path.connector);
        vocabulary.texts.share(key.path.host);
        for key in key.ends.keys() {
            vocabulary.scopes.share(key);
        }
        let row = LaneRow { is_used: true, ..LaneRow::new(key, 0) };
        let lane = match self.free.pop() {
            Some(lane) => {
                let generation = self.row(lane).generation;
                *self.row_mut(lane) = LaneRow { generation, ..row };
                lane
            }
            None => {
                let lane = u32::try_from(self.rows.len())
                    .expect("there are fewer lanes than rows, but for a minute");
                self.rows.push(row);
                lane
            }
        };
        self.note_key(key, lane);
        self.depend(lane, key, vocabulary);
        lane
    }

    fn find(&self, key: &LaneKey) -> Option<u32> {
        self.by_key.find(self.by_key.hash(key), |&lane| self.row(lane).key == *key).copied()
    }

    /// Has a lane found by its key.
    fn note_key(&mut self, key: LaneKey, lane: u32) {
        let rows = &self.rows;
        self.by_key.insert_unique(self.by_key.hash(key), lane, |hasher, &lane| {
            hasher.hash_one(rows.get(lane as usize).expect("the lane is in use").key)
        });
    }

    fn forget_key(&mut self, key: LaneKey, lane: u32) {
        self.by_key.remove(self.by_key.hash(key), |&other| other == lane);
    }

    /// What the ends of connections of a lane depend on.
    fn dependences(key: LaneKey, vocabulary: &Vocabulary) -> impl Iterator<Item = Dependence> {
        let Path { parent, connector, host } = key.path;
        let host = Host::new(vocabulary.texts.table(), host).map(Dependence::Host);
        let inferred = connector.is_none().then_some(Dependence::ConnectorsOf(parent));
        let records = [parent, connector].into_iter().chain(key.ends.keys());
        let records = records.filter(|key| !key.is_none()).map(Dependence::Record);
        host.into_iter().chain(inferred).chain(records)
    }

    fn depend(&mut self, lane: u32, key: LaneKey, vocabulary: &Vocabulary) {
        for dependence in Self::dependences(key, vocabulary) {
            let dependents = self.dependents.get_or_insert_with(dependence, || Dependents::One(lane));
            match dependents {
                Dependents::One(only) if *only == lane => {}
                Dependents::One(other) => {
                    let both = BTreeSet::from([*other, lane]);
                    *dependents = Dependents::Several(Box::new(both));
                    self.in_sets += 2;
                }
                Dependents::Several(lanes) => self.in_sets += usize::from(lanes.insert(lane)),
            }
        }
    }

    fn depend_no_more(&mut self, lane: u32, key: LaneKey, vocabulary: &Vocabulary) {
        for dependence in Self::dependences(key, vocabulary) {
            let is_last = match self.dependents.get_mut(&dependence) {
                None => false,
                Some(Dependents::One(only)) => *only == lane,
                Some(Dependents::Several(lanes)) => {
                    self.in_sets -= usize::from(lanes.remove(&lane));
                    lanes.is_empty()
                }
            };
            if is_last {
                self.dependents.remove(&dependence);
            }
        }
    }

    /// The lanes of which the ends of connections depend on that, in no order.
    pub(crate) fn dependents(&self, dependence: Dependence) -> impl Iterator<Item = u32> {
        let (one, several) = match self.dependents.get(&dependence) {
            None => (None, None),
            Some(Dependents::One(lane)) => (Some(*lane), None),
            Some(Dependents::Several(lanes)) => (None, Some(lanes)),
        };
        one.into_iter().chain(several.into_iter().flat_map(|lanes| lanes.iter().copied()))
    }

    /// The lane that connections of that path which start then went into last, if that still holds.
    #[inline]
    pub(crate) fn routed(&self, path: &Path, start: u64) -> Option<u32> {
        self.routes.get(path).filter(|route| route.steady.has(start)).map(|route| route.lane)
    }

    /// Notes for which starts connections of a path go into a lane.
    pub(crate) fn route(&mut self, path: Path, steady: Steady, lane: u32) {
        let route = Route { steady, lane };
        *self.routes.get_or_insert_with(path, || route) = route;
    }

    /// What connections of that path go into has to be found out anew.
    pub(crate) fn forget_route(&mut self, path: &Path) {
        self.routes.remove(path);
    }

    /// Gives all connections of a lane other ends, those that left the store too. Answers whether there is no other lane
    /// for those.
    pub(crate) fn change_ends(&mut self, lane: u32, ends: Ends, vocabulary: &mut Vocabulary) -> bool {
        let old = self.row(lane).key;
        let new = LaneKey { path: old.path, ends };
        if self.find(&new).is_some() {
            return false;
        }
        for key in new.ends.keys() {
            vocabulary.scopes.share(key);
        }
        self.depend_no_more(lane, old, vocabulary);
        self.forget_key(old, lane);
        self.change(lane).key = new;
        self.note_key(new, lane);
        self.depend(lane, new, vocabulary);
        self.ends_revision = self.revision;
        for key in old.ends.keys() {
            vocabulary.scopes.release(key);
        }
        true
    }

    fn change(&mut self, lane: u32) -> &mut LaneRow {
        self.revision += 1;
        let row = self.rows.get_mut(lane as usize);
        row.revision = self.revision;
        row
    }

    /// A connection that is or was in the lane adds something else to it than before.
    #[inline]
    pub(crate) fn exchange(&mut self, lane: u32, before: &ConnectionShare, after: &ConnectionShare) {
        let row = self.change(lane);
        let add = |count: &mut u32, before, after| *count = *count + u32::from(after) - u32::from(before);
        add(&mut row.retained, before.is_reported, after.is_reported);
        add(&mut row.live, before.is_live, after.is_live);
        add(&mut row.failed, before.has_failed, after.has_failed);
        let add = |count: &mut u64, before: u64, after: u64| {
            *count = count.wrapping_add(after).wrapping_sub(before);
        };
        add(&mut row.opened, before.is_opened().into(), after.is_opened().into());
        add(&mut row.closed, before.is_closed().into(), after.is_closed().into());
        add(&mut row.octets, before.octets, after.octets);
        add(&mut row.octets_reverse, before.octets_reverse, after.octets_reverse);
        if after.is_reported {
            row.last_start = row.last_start.max(after.start.unwrap_or(u64::MAX));
            row.most.admit(after);
        } else if before.is_reported {
            row.most.leave(before);
        }
        row.span.exchange((before.start, before.end), (after.start, after.end));
        if row.retained == 0 {
            row.span.settle();
            row.most = Most::default();
        }
        let mut added = 0;
        if before.each_latency != after.each_latency || before.latencies != after.latencies {
            let octets = row.latencies.as_deref().map_or(0, Latencies::octets);
            let latencies = to_change(row.latencies.get_or_insert_default());
            latencies.exchange(before, after);
            added += latencies.octets() - octets;
        }
        if before.failures != after.failures {
            if row.failures.is_none() {
                added += size_of::<Failures>();
            }
            let failures = to_change(row.failures.get_or_insert_default());
            let sides = before.failures.into_iter().zip(after.failures);
            for (counts, (before, after)) in failures.iter_mut().zip(sides) {
                if let Some(before) = before {
                    counts[before as usize] -= 1;
                }
                if let Some(after) = after {
                    counts[after as usize] += 1;
                }
            }
        }
        self.beside += added;
    }

    /// A connection leaves the store. What passed by it has passed.
    pub(crate) fn forget(&mut self, lane: u32, share: &ConnectionShare) {
        let row = self.change(lane);
        row.retained -= u32::from(share.is_reported);
        row.live -= u32::from(share.is_live);
        row.failed -= u32::from(share.has_failed);
        if row.retained == 0 {
            row.most = Most::default();
        } else if share.is_reported {
            row.most.leave(share);
        }
    }

    /// Whether so many have left that it costs each of them little to look anew at what no connection of a lane has more of.
    pub(crate) fn is_most_stale(&self, lane: u32) -> bool {
        let row = self.row(lane);
        row.most.left > row.retained
    }

    /// A request whose connection is or was in the lane adds something else to it than before.
    pub(crate) fn exchange_request(
        &mut self,
        lane: u32,
        before: &RequestShare,
        after: &RequestShare,
        vocabulary: &mut Vocabulary,
    ) {
        if before == after {
            return;
        }
        let mut added = 0;
        let row = self.change(lane);
        let requests = to_change(row.requests.get_or_insert_default());
        let is_ended = |share: &RequestShare| share.is_reported && !share.is_live;
        if before.is_reported && (!after.is_reported || before.protocol != after.protocol) {
            let kept = requests.kept(before.protocol, vocabulary, &mut added);
            kept.retained -= 1;
            kept.live -= u32::from(before.is_live);
            kept.failed -= u32::from(before.has_failed());
            kept.span.exchange((before.start, before.end), (None, None));
            if kept.retained == 0 {
                kept.span.settle();
            }
        }
        if after.is_reported {
            let stays = before.is_reported && before.protocol == after.protocol;
            let kept = requests.kept(after.protocol, vocabulary, &mut added);
            kept.retained += u32::from(!stays);
            kept.live = kept.live + u32::from(after.is_live) - u32::from(stays && before.is_live);
            kept.failed =
                kept.failed + u32::from(after.has_failed()) - u32::from(stays && before.has_failed());
            let was = if stays { (before.start, before.end) } else { (None, None) };
            kept.span.exchange(was, (after.start, after.end));
        }
        if is_ended(before) {
            requests.ended(before, vocabulary, &mut added).count -= 1;
        }
        if is_ended(after) {
            requests.ended(after, vocabulary, &mut added).count += 1;
        }
        let latency_of = |share: &RequestShare| share.latency.filter(|_| is_ended(share));
        let octets = requests.latency.octets();
        requests.latency.exchange(latency_of(before), latency_of(after));
        added += requests.latency.octets() - octets;
        self.beside += added;
    }

    /// A request leaves the store, or its connection does.
    pub(crate) fn forget_request(&mut self, lane: u32, share: &RequestShare, vocabulary: &mut Vocabulary) {
        if !share.is_reported {
            return;
        }
        let row = self.change(lane);
        let requests = to_change(row.requests.get_or_insert_default());
        let kept = requests.kept(share.protocol, vocabulary, &mut 0);
        kept.retained -= 1;
        kept.live -= u32::from(share.is_live);
        kept.failed -= u32::from(share.has_failed());
    }

    /// A lane may have lost its last connection.
    pub(crate) fn note_drained(&mut self, lane: u32, second: u32) {
        let row = self.rows.get_mut(lane as usize);
        if row.retained > 0 {
            return;
        }
        row.drained_at = second;
        if !row.is_queued {
            row.is_queued = true;
            self.drained.push_back((lane, second.saturating_add(DRAINED_SECONDS)));
        }
    }

    /// Lets lanes go that have had no connection for long enough. Answers whether there may be more of them.
    pub(crate) fn free_drained(&mut self, second: u32, vocabulary: &mut Vocabulary) -> bool {
        for _ in 0..FREED_AT_ONCE {
            let Some(&(lane, due)) = self.drained.front() else { return false };
            if due > second {
                return false;
            }
            self.drained.pop_front();
            let row = self.row_mut(lane);
            if row.retained > 0 {
                row.is_queued = false;
            } else if second.saturating_sub(row.drained_at) < DRAINED_SECONDS {
                // It was used in the meantime.
                self.drained.push_back((lane, second.saturating_add(DRAINED_SECONDS)));
            } else {
                self.release(lane, vocabulary);
            }
        }
        true
    }

    fn release(&mut self, lane: u32, vocabulary: &mut Vocabulary) {
        let generation = self.row(lane).generation.wrapping_add(1);
        let row = std::mem::replace(self.row_mut(lane), LaneRow::new(LaneKey::NONE, generation));
        self.forget_key(row.key, lane);
        self.free.push(lane);
        self.depend_no_more(lane, row.key, vocabulary);
        if self.routes.get(&row.key.path).is_some_and(|route| route.lane == lane) {
            self.routes.remove(&row.key.path);
        }
        vocabulary.scopes.release(row.key.path.parent);
        vocabulary.scopes.release(row.key.path.connector);
        vocabulary.texts.release(row.key.path.host);
        for key in row.key.ends.keys() {
            vocabulary.scopes.release(key);
        }
        if let Some(latencies) = &row.latencies {
            self.beside -= latencies.octets();
        }
        if row.failures.is_some() {
            self.beside -= size_of::<Failures>();
        }
        if let Some(requests) = row.requests {
            for kept in &requests.kept {
                vocabulary.texts.release(kept.protocol);
            }
            for ended in &requests.ended {
                vocabulary.texts.release(ended.protocol);
                vocabulary.texts.release(ended.method);
            }
            self.beside -= requests.kept.len() * size_of::<KeptRequests>()
                + requests.ended.len() * size_of::<EndedRequests>()
                + requests.latency.octets();
        }
    }
}

impl LaneRow {
    fn new(key: LaneKey, generation: u32) -> Self {
        Self {
            key,
            first: RecordRef::NONE,
            live: 0,
            retained: 0,
            failed: 0,
            generation,
            drained_at: 0,
            is_queued: false,
            is_used: false,
            last_start: 0,
            span: Span::default(),
            revision: 0,
            opened: 0,
            closed: 0,
            octets: 0,
            octets_reverse: 0,
            most: Most::default(),
            latencies: None,
            requests: None,
            failures: None,
        }
    }
}

impl Requests {
    /// The entry for a protocol. Entries stay for as long as the lane, so that a request that was counted in one is
    /// taken out of the same; what finds no room is with those of which nothing is known.
    fn kept(
        &mut self,
        protocol: Symbol,
        vocabulary: &mut Vocabulary,
        added: &mut usize,
    ) -> &mut KeptRequests {
        let find = |kept: &[KeptRequests], protocol| kept.iter().position(|kept| kept.protocol == protocol);
        let is_full = self.kept.len() >= MOST_KINDS;
        let protocol = if is_full && find(&self.kept, protocol).is_none() { Symbol::NONE } else { protocol };
        let position = find(&self.kept, protocol).unwrap_or_else(|| {
            *added += size_of::<KeptRequests>();
            let protocol = vocabulary.texts.share(protocol);
            let (live, retained, failed, span) = (0, 0, 0, Span::default());
            self.kept.push(KeptRequests { protocol, live, retained, failed, span });
            self.kept.len() - 1
        });
        &mut self.kept[position]
    }

    /// The entry for a protocol, a method and a class of results; as [`Requests::kept`].
    fn ended(
        &mut self,
        share: &RequestShare,
        vocabulary: &mut Vocabulary,
        added: &mut usize,
    ) -> &mut EndedRequests {
        let find = |ended: &[EndedRequests], (protocol, method, class)| {
            ended.iter().position(|ended| {
                ended.method == method && ended.class == class && ended.protocol == protocol
            })
        };
        let is_full = self.ended.len() >= MOST_KINDS;
        let mut wanted = (share.protocol, share.method, share.class);
        if is_full && find(&self.ended, wanted).is_none() {
            wanted = (Symbol::NONE, Symbol::NONE, None);
        }
        let position = find(&self.ended, wanted).unwrap_or_else(|| {
            *added += size_of::<EndedRequests>();
            let (protocol, method, class) = wanted;
            let (protocol, method) = (vocabulary.texts.share(protocol), vocabulary.texts.share(method));
            self.ended.push(EndedRequests { protocol, method, class, count: 0 });
            self.ended.len() - 1
        });
        &mut self.ended[position]
    }
}

#[cfg(test)]
mod tests;
