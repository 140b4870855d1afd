//! The model: what sources have, and what becomes of the messages that say so.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use vanflow_proto::{
    Attribute, RecordKind, Timestamp, UpdateBuf, ValueBuf,
    source::{Outgoing, Source},
};

use super::What;

/// How many sources there are: routers, and behind them controllers.
pub(super) const PEERS: usize = 4;

const ROUTERS: usize = 2;

/// Records that a source can have beside its own.
pub(super) const RECORDS: usize = 9;

/// What a record has, by attribute.
pub(super) type Attributes = BTreeMap<u32, ValueBuf>;

pub(super) struct Van {
    peers: Vec<Peer>,
    /// What is on its way, and when it arrives, in ticks.
    transit: VecDeque<(u64, Arc<str>, Bytes)>,
    late: u64,
    times: usize,
    /// Whatever was ever reported.
    reported: BTreeSet<String>,
}

struct Peer {
    source: Source,
    is_there: bool,
    /// When its process has begun to speak, in ticks.
    begins_at: u64,
    /// The same of the process before.
    former_beat: u64,
    partitioned_until: u64,
    /// The plain model: all that lives, by id.
    records: BTreeMap<String, Attributes>,
    /// When FLUSH is answered, in ticks.
    answers_at: Option<u64>,
}

impl Van {
    pub(super) fn new(now: Timestamp) -> Self {
        let mut van = Self {
            peers: Vec::new(),
            transit: VecDeque::new(),
            late: 0,
            times: 1,
            reported: BTreeSet::new(),
        };
        for peer in 0..PEERS {
            let source = new_source(peer);
            van.peers.push(Peer {
                source,
                is_there: true,
                begins_at: peer as u64,
                former_beat: peer as u64,
                partitioned_until: 0,
                records: BTreeMap::new(),
                answers_at: None,
            });
            van.begin_own(peer, own(peer, now));
        }
        van
    }

    /// A source has itself. Controllers say so only when they are asked for everything.
    fn begin_own(&mut self, peer: usize, update: UpdateBuf) {
        self.begin(peer, update);
        if peer >= ROUTERS {
            self.peers[peer].source.emit();
        }
    }

    /// Whether a record with that id was ever reported.
    pub(super) fn has_reported(&self, id: &str) -> bool {
        self.reported.contains(id)
    }

    /// What lives, by id.
    pub(super) fn live(&self) -> impl Iterator<Item = (String, Attributes)> {
        let there = self.peers.iter().filter(|peer| peer.is_there);
        there.flat_map(|peer| peer.records.iter().map(|(id, attributes)| (id.clone(), attributes.clone())))
    }

    fn begin(&mut self, peer: usize, update: UpdateBuf) {
        self.reported.insert(update.id.clone());
        let peer = &mut self.peers[peer];
        let mut attributes: Attributes = update.attributes.iter().cloned().collect();
        attributes.insert(Attribute::RecordType.code(), ValueBuf::Uint(update.type_code.unwrap_or(0).into()));
        peer.records.insert(update.id.clone(), attributes);
        peer.source.update(update);
    }

    pub(super) fn report(&mut self, peer: usize, number: usize, what: What, now: Timestamp) {
        if !self.peers[peer].is_there {
            return;
        }
        let id = id(peer, number);
        let known = self.peers[peer].records.contains_key(&id);
        match what {
            // An id that sources count up is never that of another record.
            What::Begins if !known && !self.reported.contains(&id) => {
                self.begin(peer, record(peer, number, now))
            }
            What::Begins => {}
            What::Changes(value) if known => {
                let (attribute, value) = change(peer, number, value);
                let peer = &mut self.peers[peer];
                let attributes = peer.records.get_mut(&id).expect("it is known");
                // Counters do not fall.
                let before = attributes.get(&attribute.code());
                if let (Some(ValueBuf::Uint(before)), ValueBuf::Uint(value)) = (before, &value)
                    && value < before
                {
                    return;
                }
                attributes.insert(attribute.code(), value.clone());
                let update = UpdateBuf {
                    type_code: Some(kind(peer_of(&id), number).code()),
                    id,
                    attributes: vec![(attribute.code(), value)],
                };
                peer.source.update(update);
            }
            What::Ends if known => {
                let peer = &mut self.peers[peer];
                peer.records.remove(&id);
                peer.source.end(&id, now);
            }
            What::Changes(_) | What::Ends => {}
        }
    }

    /// A process ends and another begins, which has itself, and some of what was there before.
    ///
    /// A router has another start and counts its messages anew. A controller has the identity of its site, counts nothing,
    /// and its record of the site and those of pods are as old as what they are about. It takes a second at least to begin;
    /// then it sends a BEACON, all of its pods unasked, and a HEARTBEAT 2 s later.
    pub(super) fn restart(&mut self, peer: usize, keeps: u16, now: Timestamp, ticks: u64) {
        if !self.peers[peer].is_there {
            return;
        }
        self.peers[peer].source = new_source(peer);
        self.peers[peer].answers_at = None;
        let before = std::mem::take(&mut self.peers[peer].records);
        if peer < ROUTERS {
            // It counts up from where it begins: it has none of those ids again.
            self.begin_own(peer, own(peer, now));
            return;
        }
        self.peers[peer].begin_again(ticks);
        let mut again = |id: String, begin: fn(&mut Self, usize, UpdateBuf)| {
            let Some(attributes) = before.get(&id) else { return };
            begin(self, peer, update(id, attributes));
        };
        again(own_id(peer), Self::begin_own);
        for number in (0..RECORDS).filter(|number| keeps >> number & 1 == 1) {
            again(id(peer, number), Self::begin);
        }
    }

    pub(super) fn set_gone(&mut self, peer: usize, is_gone: bool, now: Timestamp, ticks: u64) {
        if self.peers[peer].is_there != is_gone {
            return;
        }
        self.peers[peer].is_there = !is_gone;
        if !is_gone {
            self.restart(peer, 0, now, ticks);
        }
    }

    pub(super) fn partition(&mut self, peer: usize, until: u64) {
        let peer = &mut self.peers[peer];
        peer.partitioned_until = peer.partitioned_until.max(until);
    }

    pub(super) fn paths(&mut self, late: u64, times: usize) {
        (self.late, self.times) = (late, times);
    }

    /// What was on its way to the collector is lost.
    pub(super) fn disconnect(&mut self) {
        self.transit.clear();
    }

    /// When no source is partitioned any more, in ticks. No partition is cut short: of one that takes less than it takes for
    /// HEARTBEATs to be missing nobody learns what it cost.
    pub(super) fn whole_at(&self) -> u64 {
        self.peers.iter().map(|peer| peer.partitioned_until).max().unwrap_or(0)
    }

    /// All sources are gone.
    pub(super) fn end(&mut self) {
        self.peers.iter_mut().for_each(|peer| peer.is_there = false);
    }

    /// Sources say what there is to say.
    pub(super) fn tick(&mut self, now: Timestamp, ticks: u64) {
        for position in 0..self.peers.len() {
            let peer = &mut self.peers[position];
            if !peer.is_there || ticks < peer.begins_at {
                continue;
            }
            let mut messages = Vec::new();
            let age = ticks - peer.begins_at;
            if age.is_multiple_of(20) {
                messages.push(peer.source.beacon());
            }
            if age.is_multiple_of(4) && age > 0 {
                messages.push(peer.source.heartbeat(now));
            }
            if age.is_multiple_of(2) && age > 0 {
                messages.extend(peer.source.emit());
            }
            if peer.answers_at.is_some_and(|at| at <= ticks) {
                peer.answers_at = None;
                messages.extend(peer.source.flush_answer());
            }
            if peer.partitioned_until <= ticks {
                self.send(messages, ticks);
            }
        }
    }

    fn send(&mut self, messages: Vec<Outgoing>, ticks: u64) {
        for Outgoing { address, message } in messages {
            // By each path it comes as late as by any: in the order in which it was sent.
            let arrives = self.transit.back().map_or(0, |(at, ..)| *at).max(ticks + self.late);
            for _ in 0..self.times {
                self.transit.push_back((arrives, Arc::clone(&address), message.clone()));
            }
        }
    }

    /// The next message that arrives by now.
    pub(super) fn arrives(&mut self, ticks: u64) -> Option<(Arc<str>, Bytes)> {
        let (at, ..) = self.transit.front()?;
        if *at > ticks {
            return None;
        }
        self.transit.pop_front().map(|(_, link, message)| (link, message))
    }

    /// A source is asked to repeat everything. Whether that reached it.
    pub(super) fn flushed(&mut self, source: &str, ticks: u64) -> bool {
        let Some(peer) = self.peers.iter_mut().find(|peer| peer.source.id() == source) else { return false };
        if !peer.is_there || ticks < peer.begins_at || peer.partitioned_until > ticks {
            return false;
        }
        peer.answers_at = Some(ticks + 1);
        true
    }
}

impl Peer {
    /// Its next process begins, at a time that tells it from the two before: of one that begins on the beat of another its
    /// BEACON shows that, or two HEARTBEATs that are missing, and what comes late here hides either.
    fn begin_again(&mut self, ticks: u64) {
        const BEAT: u64 = 4;
        let before = [self.begins_at % BEAT, self.former_beat];
        self.former_beat = before[0];
        self.begins_at = ticks + 2;
        while before.contains(&(self.begins_at % BEAT)) {
            self.begins_at += 1;
        }
    }
}

/// A record as it is, whole.
fn update(id: String, attributes: &Attributes) -> UpdateBuf {
    let code = Attribute::RecordType.code();
    let type_code = match attributes.get(&code) {
        Some(ValueBuf::Uint(kind)) => u32::try_from(*kind).ok(),
        _ => None,
    };
    let attributes = attributes.iter().filter(|(attribute, _)| **attribute != code);
    let attributes = attributes.map(|(attribute, value)| (*attribute, value.clone())).collect();
    UpdateBuf { type_code, id, attributes }
}

fn new_source(peer: usize) -> Source {
    let id = own_id(peer);
    if peer < ROUTERS { Source::router(id) } else { Source::controller(id) }
}

fn own_id(peer: usize) -> String {
    if peer < ROUTERS { format!("r{peer}:0") } else { format!("site-{peer}") }
}

fn id(peer: usize, number: usize) -> String {
    if peer < ROUTERS { format!("r{peer}:{}", 1 + number) } else { format!("pod-{peer}-{number}") }
}

/// The source that has a record of that id.
fn peer_of(id: &str) -> usize {
    id.bytes().find(u8::is_ascii_digit).map_or(0, |digit| usize::from(digit - b'0'))
}

/// What a source reports of itself.
fn own(peer: usize, now: Timestamp) -> UpdateBuf {
    let site = format!("site-{}", ROUTERS + peer % (PEERS - ROUTERS));
    let new = |kind| UpdateBuf::new(kind, own_id(peer)).with(Attribute::StartTime, now);
    if peer < ROUTERS {
        new(RecordKind::Router)
            .with(Attribute::Parent, site)
            .with(Attribute::Name, format!("0/{}", own_id(peer)))
    } else {
        new(RecordKind::Site).with(Attribute::Name, format!("name of {site}"))
    }
}

fn kind(peer: usize, number: usize) -> RecordKind {
    match (peer < ROUTERS, number) {
        (false, _) => RecordKind::Process,
        (true, 0) => RecordKind::Listener,
        (true, 1) => RecordKind::Connector,
        (true, 2) => RecordKind::Link,
        (true, 3) => RecordKind::RouterAccess,
        (true, _) => RecordKind::BiflowTport,
    }
}

fn record(peer: usize, number: usize, now: Timestamp) -> UpdateBuf {
    let kind = kind(peer, number);
    let new = UpdateBuf::new(kind, id(peer, number)).with(Attribute::StartTime, now);
    let new = match kind {
        RecordKind::BiflowTport => new.with(Attribute::Parent, id(peer, 0)),
        _ => new.with(Attribute::Parent, own_id(peer)),
    };
    match kind {
        RecordKind::Listener | RecordKind::Connector => new
            .with(Attribute::Protocol, "tcp")
            .with(Attribute::VanAddress, "carts:80")
            .with(Attribute::DestHost, "10.0.0.1")
            .with(Attribute::DestPort, "80"),
        RecordKind::BiflowTport => new
            .with(Attribute::SourceHost, format!("10.0.0.{number}"))
            .with(Attribute::Connector, id(1, 1))
            .with(Attribute::Octets, 1),
        RecordKind::Process => new
            .with(Attribute::SourceHost, format!("10.0.0.{number}"))
            .with(Attribute::Name, id(peer, number)),
        RecordKind::Link => new.with(Attribute::OperStatus, "up").with(Attribute::Octets, 1),
        _ => new.with(Attribute::Name, "access"),
    }
}

/// What can change of a record, and to what.
fn change(peer: usize, number: usize, value: u64) -> (Attribute, ValueBuf) {
    match kind(peer, number) {
        RecordKind::BiflowTport | RecordKind::Link => (Attribute::Octets, ValueBuf::Uint(value)),
        RecordKind::Listener | RecordKind::Connector => {
            (Attribute::Name, ValueBuf::Text(format!("carts-{}", value % 3).into()))
        }
        _ => (Attribute::Name, ValueBuf::Text(format!("renamed-{}", value % 5).into())),
    }
}
