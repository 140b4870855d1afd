//! What lanes have at their ends, worked out once for as long as it holds.
//!
//! What pairs and presumed processes are between, and what they are called, follows from a few kinds of records that
//! seldom change; how many connections there are, and since when, from the figures of lanes, which change all the time.
//! [`Memo`] keeps the former by lane, so that after a change of connections nothing but the latter is added up anew.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use vanflow_proto::{Attribute, RecordKind, Timestamp};
use vanflow_store::{
    Lane, LaneRef, Record, RecordRef, Revision, Service, Snapshot, Text, lane::LaneRevision,
};

use crate::{
    link::Routers,
    v2alpha1::{
        connection::Flow,
        flow::protocol_name,
        pair::{End, Life, Pair, PairFacts, PairKind},
        party::{Implied, Party, Place},
        view::{Derived, Needs, View, ended},
    },
};

/// What was worked out from earlier snapshots of the same store and still holds.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    /// What the rest follows from; none before the first snapshot.
    basis: Option<Basis>,
    places: Vec<Arc<Place>>,
    places_by_id: HashMap<Arc<str>, u32>,
    ends: Numbers<End>,
    /// The numbers of the ends that processes are, by record.
    processes: HashMap<RecordRef, u32>,
    protocols: Numbers<str>,
    pair_ids: Numbers<str>,
    /// The numbers of those ids in their order.
    pair_order: Vec<u32>,
    pairs: Vec<KnownPair>,
    pairs_by_ends: HashMap<(PairKind, u32, u32, u32), u32>,
    /// By [`LaneRef::slot`].
    lanes: Vec<Option<LaneFacts>>,
}

/// Values that are known by numbers, each once.
#[derive(Debug)]
struct Numbers<T: ?Sized> {
    values: Vec<Arc<T>>,
    numbers: HashMap<Arc<T>, u32>,
}

/// What the ends of lanes follow from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Basis {
    /// How many records there are beside connections and requests, and the latest revision of one.
    records: (usize, Revision),
    /// A hash of what of them matters here.
    contents: u64,
    /// See [`Snapshot::lane_ends_revision`].
    lane_ends: LaneRevision,
}

#[derive(Debug)]
struct LaneFacts {
    lane: LaneRef,
    /// The process that must be where its connections come from, and when the site of that ended.
    client: Option<(u32, Option<Timestamp>)>,
    /// None until it is asked for.
    passage: Option<Option<Passage>>,
}

/// What connections of a lane go between.
#[derive(Clone, Copy, Debug)]
struct Passage {
    ends: (u32, u32),
    presences: [Presence; 2],
    service: Option<RecordRef>,
    /// The number of the pair that they make by the protocol of their listener or connector.
    pair: u32,
}

/// Whether a process is there.
#[derive(Clone, Copy, Debug)]
enum Presence {
    Reported {
        is_gone: bool,
    },
    /// It depends on what else says that there must be one at that place.
    Implied(u32),
}

#[derive(Debug)]
struct KnownPair {
    facts: Arc<PairFacts>,
    /// The number of its id: pairs with the same id are one, whatever it is shown with.
    id: u32,
    /// Of processes, the pairs of components and of sites that it is part of.
    wholes: Vec<u32>,
}

/// The pairs of one snapshot.
#[derive(Debug, Default)]
struct Found {
    pairs: Vec<Pair>,
    /// Their numbers.
    numbers: Vec<u32>,
    /// By the number of the id; [`NOWHERE`] where it is not among them.
    positions: Vec<usize>,
}

/// No position.
const NOWHERE: usize = usize::MAX;

/// The presumed processes of one snapshot, by the number of their place.
type Positions = HashMap<u32, usize>;

/// So much more than is in use is kept.
const SPARE: usize = 1024;

impl<T: ?Sized> Default for Numbers<T> {
    fn default() -> Self {
        Self { values: Vec::new(), numbers: HashMap::new() }
    }
}

impl<T: Hash + Eq + ?Sized> Numbers<T> {
    fn get(&self, value: &T) -> Option<u32> {
        self.numbers.get(value).copied()
    }

    /// The number of a value, a new one if it has none.
    fn add(&mut self, value: Arc<T>) -> u32 {
        if let Some(number) = self.get(&value) {
            return number;
        }
        let number = next(&self.values);
        self.values.push(Arc::clone(&value));
        self.numbers.insert(value, number);
        number
    }

    fn value(&self, number: u32) -> &Arc<T> {
        &self.values[number as usize]
    }
}

/// The number of what comes to these next.
fn next<T>(values: &[T]) -> u32 {
    u32::try_from(values.len()).expect("there are fewer than connections")
}

impl Basis {
    fn of(snapshot: &Snapshot, before: Option<&Self>) -> Self {
        let lane_ends = snapshot.lane_ends_revision();
        let (mut count, mut latest) = (0, Revision::default());
        for record in snapshot.entities() {
            count += 1;
            latest = latest.max(record.revision());
        }
        // Whatever is reported has a higher revision than all before, and what has left is missing.
        let records = (count, latest);
        let contents = match before {
            Some(before) if before.records == records => before.contents,
            _ => contents(snapshot),
        };
        Self { records, contents, lane_ends }
    }

    fn is_alike(&self, other: &Self) -> bool {
        (self.contents, self.lane_ends) == (other.contents, other.lane_ends)
    }
}

/// A hash of what matters of entities. Counters that grow all the time do not.
fn contents(snapshot: &Snapshot) -> u64 {
    const TEXTS: [Attribute; 8] = [
        Attribute::Parent,
        Attribute::Name,
        Attribute::Group,
        Attribute::SourceHost,
        Attribute::DestHost,
        Attribute::Protocol,
        Attribute::VanAddress,
        Attribute::Process,
    ];
    let mut hasher = DefaultHasher::new();
    for record in snapshot.entities() {
        (record.at(), record.type_code(), record.id(), ended(record)).hash(&mut hasher);
        TEXTS.map(|attribute| record.text(attribute)).hash(&mut hasher);
        record.service().map(|service| service.at()).hash(&mut hasher);
    }
    hasher.finish()
}

impl Memo {
    /// What follows from a snapshot.
    pub(crate) fn derive(&mut self, snapshot: &Snapshot, needs: Needs) -> Derived {
        if needs.clients {
            self.refresh(snapshot);
        }
        let mut derived = Derived { routers: Routers::new(snapshot), ..Derived::default() };
        let mut positions = Positions::new();
        self.add_servers(snapshot, &mut derived, &mut positions);
        if needs.clients {
            self.add_clients(snapshot, &mut derived, &mut positions);
        }
        if needs.pairs {
            let pairs = self.pairs(View { snapshot, derived: &derived }, &positions);
            derived.pairs = pairs;
        }
        // What is gone is not kept for ever.
        if self.places.len() > 2 * derived.implied.len() + SPARE
            || needs.pairs && self.pairs.len() > 2 * derived.pairs.len() + SPARE
        {
            *self = Self::default();
        }
        derived
    }

    /// Forgets all if it does not hold any more.
    fn refresh(&mut self, snapshot: &Snapshot) {
        let basis = Basis::of(snapshot, self.basis.as_ref());
        if self.basis.is_none_or(|before| !before.is_alike(&basis)) {
            *self = Self::default();
        }
        self.basis = Some(basis);
        self.lanes.resize_with(snapshot.lane_slots().max(self.lanes.len()), || None);
    }

    /// The processes behind connectors. They are there for as long as a connector says so.
    fn add_servers(&mut self, snapshot: &Snapshot, derived: &mut Derived, positions: &mut Positions) {
        for connector in snapshot.of_kind(RecordKind::Connector) {
            if connector.process().is_none()
                && let Some(site) = connector.site()
                && let Some(host) = connector.text(Attribute::DestHost)
            {
                let place = self.place(site, host, "server");
                self.imply(place, (connector.start(), ended(connector)), derived, positions);
            }
        }
    }

    /// The processes that connections come from. A host does not go with its connections: it is there for as long as
    /// one of them is retained and its site is there.
    fn add_clients(&mut self, snapshot: &Snapshot, derived: &mut Derived, positions: &mut Positions) {
        for lane in snapshot.lanes().filter(|lane| lane.retained() > 0) {
            if let Some((place, end)) = self.facts(lane).client {
                self.imply(place, (lane.start(), end), derived, positions);
            }
        }
    }

    fn imply(
        &self,
        place: u32,
        (start, end): (Option<Timestamp>, Option<Timestamp>),
        derived: &mut Derived,
        positions: &mut Positions,
    ) {
        match positions.get(&place) {
            Some(position) => Arc::make_mut(&mut derived.implied[*position]).extend(start, end),
            None => {
                let position = derived.implied.len();
                let process = Implied::new(Arc::clone(&self.places[place as usize]), start, end);
                derived.implied_by_id.insert(Arc::clone(&process.place.id), position);
                derived.implied.push(Arc::new(process));
                positions.insert(place, position);
            }
        }
    }

    fn place(&mut self, site: Record<'_>, host: Text<'_>, what: &str) -> u32 {
        let id = Place::id_of(site, host);
        match self.places_by_id.get(&*id) {
            Some(number) => *number,
            None => self.add_place(Arc::new(Place::new(id, site, host, what))),
        }
    }

    fn add_place(&mut self, place: Arc<Place>) -> u32 {
        let number = next(&self.places);
        self.places_by_id.insert(Arc::clone(&place.id), number);
        self.places.push(place);
        number
    }

    fn facts(&mut self, lane: Lane<'_>) -> &mut LaneFacts {
        let slot = lane.at().slot();
        if self.lanes[slot].as_ref().is_none_or(|known| known.lane != lane.at()) {
            let site = lane.listener().and_then(|listener| listener.site());
            let client = site.zip(lane.host()).filter(|_| lane.process().is_none());
            let client = client.map(|(site, host)| (self.place(site, host, "client"), ended(site)));
            self.lanes[slot] = Some(LaneFacts { lane: lane.at(), client, passage: None });
        }
        self.lanes[slot].as_mut().expect("it is known now")
    }

    /// Every pair, of processes, components and sites.
    fn pairs(&mut self, view: View<'_>, positions: &Positions) -> Vec<Pair> {
        let mut found = Found::default();
        for lane in view.snapshot.lanes().filter(|lane| lane.retained() > 0) {
            let Some(passage) = self.passage(view, lane) else { continue };
            let is_gone = passage.presences.iter().any(|presence| match presence {
                Presence::Reported { is_gone } => *is_gone,
                Presence::Implied(place) => {
                    let position = positions.get(place);
                    position.is_some_and(|position| view.derived.implied[*position].end.is_some())
                }
            });
            let services = passage.service.as_slice();
            let life = Life::new(lane.retained(), lane.start(), || (lane.live() == 0).then(|| lane.end()));
            found.add(&self.pairs, passage.pair, &life, is_gone, services);
            for requests in lane.requests() {
                if let Some(protocol) = requests.protocol() {
                    let pair = self.pair(PairKind::Process, passage.ends, &protocol_name(protocol));
                    let end = || (requests.live() == 0).then(|| requests.end());
                    let life = Life::new(requests.retained(), requests.start(), end);
                    found.add(&self.pairs, pair, &life, is_gone, services);
                }
            }
        }
        for position in 0..found.pairs.len() {
            for whole in &self.pairs[found.numbers[position] as usize].wholes {
                let part = &found.pairs[position];
                let (life, is_gone, services) = (part.life(), part.is_gone, part.services.clone());
                found.add(&self.pairs, *whole, &life, is_gone, &services);
            }
        }
        self.in_order(found)
    }

    /// The pairs of a snapshot in the order of their ids, which is kept from one to the next.
    fn in_order(&mut self, found: Found) -> Vec<Pair> {
        let Self { pair_ids, pair_order, .. } = self;
        let new =
            u32::try_from(pair_order.len()).expect("there are as many as numbers")..next(&pair_ids.values);
        if !new.is_empty() {
            pair_order.extend(new);
            pair_order.sort_by(|left, right| pair_ids.value(*left).cmp(pair_ids.value(*right)));
        }
        let mut pairs: Vec<_> = found.pairs.into_iter().map(Some).collect();
        let positions = pair_order.iter().filter_map(|id| found.positions.get(*id as usize));
        positions.filter_map(|position| pairs.get_mut(*position)?.take()).collect()
    }

    /// What connections of a lane go between; none where one of both ends is not known.
    fn passage(&mut self, view: View<'_>, lane: Lane<'_>) -> Option<Passage> {
        if let Some(known) = self.facts(lane).passage {
            return known;
        }
        let flow = Flow::of_lane(lane)?;
        let passage = self.new_passage(view, &flow);
        self.facts(lane).passage = Some(passage);
        passage
    }

    fn new_passage<'v>(&mut self, view: View<'v>, flow: &Flow<'v>) -> Option<Passage> {
        let (source, destination) = (flow.source(view)?, flow.destination(view)?);
        let ends = (self.end(source), self.end(destination));
        Some(Passage {
            ends,
            presences: [self.presence(source), self.presence(destination)],
            service: flow.connection.service().map(|service: Service<'_>| service.at()),
            pair: self.pair(PairKind::Process, ends, &flow.protocol()),
        })
    }

    fn presence(&mut self, party: &Party<'_>) -> Presence {
        match party {
            Party::Reported(_) => Presence::Reported { is_gone: party.end().is_some() },
            Party::Implied(implied) => {
                let known = self.places_by_id.get(&implied.place.id).copied();
                Presence::Implied(known.unwrap_or_else(|| self.add_place(Arc::clone(&implied.place))))
            }
        }
    }

    fn end(&mut self, party: &Party<'_>) -> u32 {
        let Some(at) = party.reported().map(|record| record.at()) else {
            return self.ends.add(Arc::new(End::process(party)));
        };
        if let Some(number) = self.processes.get(&at) {
            return *number;
        }
        let number = self.ends.add(Arc::new(End::process(party)));
        self.processes.insert(at, number);
        number
    }

    /// The number of the pair between these.
    fn pair(&mut self, kind: PairKind, ends: (u32, u32), protocol: &str) -> u32 {
        let protocol = self.protocols.get(protocol).unwrap_or_else(|| self.protocols.add(protocol.into()));
        let key = (kind, ends.0, ends.1, protocol);
        if let Some(number) = self.pairs_by_ends.get(&key) {
            return *number;
        }
        let (source, destination) =
            (Arc::clone(self.ends.value(ends.0)), Arc::clone(self.ends.value(ends.1)));
        let protocol = Arc::clone(self.protocols.value(protocol));
        let wholes = if kind == PairKind::Process {
            let components = (PairKind::Component, Some((source.component(), destination.component())));
            let sites = (PairKind::Site, source.of_site().zip(destination.of_site()));
            let whole = |(kind, between): (PairKind, Option<(End, End)>)| {
                let (source, destination) = between?;
                let ends = (self.ends.add(Arc::new(source)), self.ends.add(Arc::new(destination)));
                Some(self.pair(kind, ends, &protocol))
            };
            [components, sites].into_iter().filter_map(whole).collect()
        } else {
            Vec::new()
        };
        let facts = PairFacts::new(kind, source, destination, protocol);
        let id = self.pair_ids.add(facts.id.as_str().into());
        let number = next(&self.pairs);
        self.pairs.push(KnownPair { facts: Arc::new(facts), id, wholes });
        self.pairs_by_ends.insert(key, number);
        number
    }
}

impl Found {
    /// Adds connections or requests to the pair that they are of.
    fn add(&mut self, known: &[KnownPair], number: u32, life: &Life, is_gone: bool, services: &[RecordRef]) {
        let KnownPair { facts, id, .. } = &known[number as usize];
        let id = *id as usize;
        if self.positions.len() <= id {
            self.positions.resize(known.len().max(id + 1), NOWHERE);
        }
        match self.pairs.get_mut(self.positions[id]) {
            Some(pair) => {
                pair.extend(life);
                // It is there if it is between any two that are.
                pair.is_gone &= is_gone;
                pair.add_services(services);
            }
            None => {
                self.positions[id] = self.pairs.len();
                self.numbers.push(number);
                self.pairs.push(Pair::new(Arc::clone(facts), life, is_gone, services));
            }
        }
    }
}
