//! The state of one source: its live records, and what it has yet to say about them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use bytes::Bytes;

use crate::{
    Attribute, BEACON_ADDRESS, Beacon, Dialect, Encoder, FLOWS_SUFFIX, HEARTBEATS_SUFFIX, Heartbeat,
    LOGS_SUFFIX, RecordKind, SourceType, Timestamp, UpdateBuf, ValueBuf,
};

/// The most updates that a router puts into one RECORD message.
pub const MAX_BATCH: usize = 50;

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The address to send it to.
    pub address: Arc<str>,
    /// The bare AMQP message.
    pub message: Bytes,
}

/// The emitting state of one source.
///
/// Updates go in, in any portions; messages come out, which say only what changed since the last ones. Messages are
/// numbered from 0 over all addresses of the source. No clock, no socket, nothing in the background.
///
/// Memory is bounded by the live records: an ended record is forgotten as soon as a message reports its end, so an
/// update of it after that is a record of its own, known by halves.
#[derive(Clone, Debug)]
pub struct Source {
    source_type: Box<str>,
    id: Box<str>,
    encoder: Encoder,
    addresses: Addresses,
    next_message_id: u64,
    /// Live records by age, so that a whole answer reports parents before children.
    live: BTreeMap<u64, Live>,
    ages: HashMap<Box<str>, u64>,
    next_age: u64,
    unsaid: Vec<Unsaid>,
}

impl Source {
    /// A source of that type.
    pub fn new(source_type: SourceType<'_>, id: impl Into<Box<str>>, dialect: Dialect) -> Self {
        let id = id.into();
        Self {
            source_type: source_type.name().into(),
            encoder: Encoder::new(dialect),
            addresses: Addresses::new(&source_type, &id),
            id,
            next_message_id: 0,
            live: BTreeMap::new(),
            ages: HashMap::new(),
            next_age: 0,
            unsaid: Vec::new(),
        }
    }

    /// A router: flows and logs have addresses of their own.
    pub fn router(id: impl Into<Box<str>>) -> Self {
        Self::new(SourceType::Router, id, Dialect::Router)
    }

    /// A controller: heartbeats have an address of their own.
    pub fn controller(id: impl Into<Box<str>>) -> Self {
        Self::new(SourceType::Controller, id, Dialect::Controller)
    }

    /// The same source, sending everything to its bare address, as routers before about 2.1 do.
    #[must_use]
    pub fn without_suffixes(mut self) -> Self {
        let bare = &self.addresses.bare;
        self.addresses.flows = bare.clone();
        self.addresses.logs = bare.clone();
        self.addresses.heartbeats = bare.clone();
        self
    }

    /// The same source, its next message being number `next`. For messages that are made beforehand or elsewhere:
    /// collectors take a number lower than those before it for a restart.
    #[must_use]
    pub fn numbered_from(mut self, next: u64) -> Self {
        self.next_message_id = next;
        self
    }

    /// The number of the next message.
    pub fn next_message_id(&self) -> u64 {
        self.next_message_id
    }

    /// The source's identity.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What the source is.
    pub fn source_type(&self) -> SourceType<'_> {
        SourceType::from_name(&self.source_type)
    }

    /// The multicast address that it sends to, `mc/sfe.<id>`; some things go to this and a suffix.
    pub fn address(&self) -> &Arc<str> {
        &self.addresses.bare
    }

    /// The address at which it takes FLUSH, `sfe.<id>`.
    pub fn direct(&self) -> &Arc<str> {
        &self.addresses.direct
    }

    /// How many records live.
    pub fn live(&self) -> usize {
        self.live.len()
    }

    /// A live record, whole.
    pub fn record(&self, id: &str) -> Option<UpdateBuf> {
        self.live.get(self.ages.get(id)?).map(Live::whole)
    }

    /// The live records, whole, oldest first.
    pub fn records(&self) -> impl Iterator<Item = UpdateBuf> {
        self.live.values().map(Live::whole)
    }

    /// Whether [`Source::emit`] would have something to say.
    pub fn has_changes(&self) -> bool {
        !self.unsaid.is_empty()
    }

    /// Records what an update says. What differs from what the record was will be reported by [`Source::emit`].
    ///
    /// A record that is not live begins with its first update, and ends with the one that has an
    /// [`EndTime`](Attribute::EndTime).
    pub fn update(&mut self, mut update: UpdateBuf) {
        let ended = update.get(Attribute::EndTime).is_some();
        let Some(age) = self.ages.get(&*update.id).copied() else {
            if ended {
                update.attributes.sort_unstable_by_key(|(code, _)| *code);
                self.unsaid.push(Unsaid::Whole(update));
            } else {
                self.begin(update);
            }
            return;
        };
        let live = self.live.get_mut(&age).expect("every age is that of a live record");
        live.ended |= ended;
        let mut changed = false;
        for (code, value) in update.attributes {
            changed |= live.set(code, value);
        }
        if changed && !live.queued {
            live.queued = true;
            self.unsaid.push(Unsaid::Changes(age));
        }
    }

    /// Ends a live record. A record that is not live is left alone.
    pub fn end(&mut self, id: &str, at: Timestamp) {
        if let Some(live) = self.ages.get(id).and_then(|age| self.live.get(age)) {
            let end =
                UpdateBuf { type_code: live.type_code, id: live.id.to_string(), attributes: Vec::new() };
            self.update(end.with(Attribute::EndTime, at));
        }
    }

    /// RECORD messages with all that changed since the last ones, at most [`MAX_BATCH`] updates in each.
    pub fn emit(&mut self) -> Vec<Outgoing> {
        let mut batches = Batches::default();
        for unsaid in std::mem::take(&mut self.unsaid) {
            match unsaid {
                Unsaid::Whole(update) => batches.add(update),
                Unsaid::Changes(age) => {
                    let Some(live) = self.live.get_mut(&age) else { continue };
                    batches.add(live.changes());
                    if live.ended {
                        self.forget(age);
                    }
                }
            }
        }
        self.write(batches)
    }

    /// RECORD messages with every live record whole: the answer to FLUSH. What [`Source::emit`] would have said is
    /// in it.
    pub fn flush_answer(&mut self) -> Vec<Outgoing> {
        let mut batches = Batches::default();
        for live in self.live.values_mut() {
            live.queued = false;
            batches.add(live.whole());
            for reported in &mut live.attributes {
                reported.changed = false;
            }
        }
        for unsaid in std::mem::take(&mut self.unsaid) {
            match unsaid {
                Unsaid::Whole(update) => batches.add(update),
                Unsaid::Changes(age) => {
                    if self.live.get(&age).is_some_and(|live| live.ended) {
                        self.forget(age);
                    }
                }
            }
        }
        self.write(batches)
    }

    /// A BEACON: the source is there.
    pub fn beacon(&mut self) -> Outgoing {
        let beacon = Beacon {
            source_type: SourceType::from_name(&self.source_type),
            id: &self.id,
            address: &self.addresses.bare,
            direct: &self.addresses.direct,
        };
        let message = self.encoder.beacon(self.next_message_id, &beacon);
        self.next_message_id += 1;
        Outgoing { address: self.addresses.beacons.clone(), message: message.into() }
    }

    /// A HEARTBEAT: the source is alive, and its clock shows `now`.
    pub fn heartbeat(&mut self, now: Timestamp) -> Outgoing {
        let heartbeat = Heartbeat { id: &self.id, now };
        // Controllers write the bare address into heartbeats that they send to the one with the suffix.
        let message = self.encoder.heartbeat(&self.addresses.bare, self.next_message_id, &heartbeat);
        self.next_message_id += 1;
        Outgoing { address: self.addresses.heartbeats.clone(), message: message.into() }
    }

    fn begin(&mut self, update: UpdateBuf) {
        let age = self.next_age;
        self.next_age += 1;
        let id: Box<str> = update.id.into();
        self.ages.insert(id.clone(), age);
        let mut live =
            Live { type_code: update.type_code, id, attributes: Vec::new(), ended: false, queued: true };
        live.attributes.reserve_exact(update.attributes.len());
        for (code, value) in update.attributes {
            live.set(code, value);
        }
        self.live.insert(age, live);
        self.unsaid.push(Unsaid::Changes(age));
    }

    fn forget(&mut self, age: u64) {
        if let Some(live) = self.live.remove(&age) {
            self.ages.remove(&live.id);
        }
    }

    fn write(&mut self, batches: Batches) -> Vec<Outgoing> {
        let Batches { bare, flows, logs } = batches;
        let addresses = &self.addresses;
        let mut messages = Vec::new();
        for (address, updates) in
            [(&addresses.bare, bare), (&addresses.flows, flows), (&addresses.logs, logs)]
        {
            for batch in updates.chunks(MAX_BATCH) {
                let message = self.encoder.records(address, self.next_message_id, batch);
                self.next_message_id += 1;
                messages.push(Outgoing { address: address.clone(), message: message.into() });
            }
        }
        messages
    }
}

#[derive(Clone, Debug)]
struct Addresses {
    beacons: Arc<str>,
    bare: Arc<str>,
    flows: Arc<str>,
    logs: Arc<str>,
    heartbeats: Arc<str>,
    direct: Arc<str>,
}

impl Addresses {
    fn new(source_type: &SourceType<'_>, id: &str) -> Self {
        let bare: Arc<str> = format!("mc/sfe.{id}").into();
        let suffixed = |suffix| -> Arc<str> { format!("{bare}{suffix}").into() };
        let (flows, logs, heartbeats) = match source_type {
            SourceType::Router => (suffixed(FLOWS_SUFFIX), suffixed(LOGS_SUFFIX), bare.clone()),
            _ => (bare.clone(), bare.clone(), suffixed(HEARTBEATS_SUFFIX)),
        };
        Self {
            beacons: BEACON_ADDRESS.into(),
            flows,
            logs,
            heartbeats,
            direct: format!("sfe.{id}").into(),
            bare,
        }
    }
}

#[derive(Clone, Debug)]
struct Live {
    type_code: Option<u32>,
    id: Box<str>,
    attributes: Vec<Reported>,
    ended: bool,
    /// Whether it is in the queue of what is unsaid.
    queued: bool,
}

#[derive(Clone, Debug)]
struct Reported {
    code: u32,
    value: ValueBuf,
    changed: bool,
}

impl Live {
    /// Sets one attribute, and says whether that changed anything.
    fn set(&mut self, code: u32, value: ValueBuf) -> bool {
        match self.attributes.iter_mut().find(|reported| reported.code == code) {
            Some(reported) if reported.value == value => return false,
            Some(reported) => (reported.value, reported.changed) = (value, true),
            None => self.attributes.push(Reported { code, value, changed: true }),
        }
        true
    }

    fn whole(&self) -> UpdateBuf {
        self.sketch(self.attributes.iter().map(|reported| (reported.code, reported.value.clone())).collect())
    }

    /// What changed since the last time.
    fn changes(&mut self) -> UpdateBuf {
        self.queued = false;
        let changed = self.attributes.iter_mut().filter(|reported| reported.changed).map(|reported| {
            reported.changed = false;
            (reported.code, reported.value.clone())
        });
        let changed = changed.collect();
        self.sketch(changed)
    }

    fn sketch(&self, mut attributes: Vec<(u32, ValueBuf)>) -> UpdateBuf {
        // Sources write attributes by ascending code.
        attributes.sort_unstable_by_key(|(code, _)| *code);
        UpdateBuf { type_code: self.type_code, id: self.id.to_string(), attributes }
    }
}

#[derive(Clone, Debug)]
enum Unsaid {
    /// Changes of the live record of that age.
    Changes(u64),
    /// A record that began and ended between two messages.
    Whole(UpdateBuf),
}

#[derive(Default)]
struct Batches {
    bare: Vec<UpdateBuf>,
    flows: Vec<UpdateBuf>,
    logs: Vec<UpdateBuf>,
}

impl Batches {
    fn add(&mut self, update: UpdateBuf) {
        let lane = match update.type_code.and_then(RecordKind::from_code) {
            Some(kind) if kind.is_flow() => &mut self.flows,
            Some(RecordKind::Log) => &mut self.logs,
            _ => &mut self.bare,
        };
        lane.push(update);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Body, Message};

    fn reported(messages: &[Outgoing]) -> Vec<(String, UpdateBuf)> {
        let mut all = Vec::new();
        for outgoing in messages {
            let Body::Records(updates) = Message::decode(&outgoing.message).expect("decodes").body else {
                panic!("expected records")
            };
            all.extend(
                updates.map(|update| (outgoing.address.to_string(), update.expect("decodes").to_owned())),
            );
        }
        all
    }

    fn listener() -> UpdateBuf {
        UpdateBuf::new(RecordKind::Listener, "a:3")
            .with(Attribute::Parent, "a:0")
            .with(Attribute::VanAddress, "echo:7")
            .with(Attribute::FlowCountL4, 0)
    }

    fn count(count: u64) -> UpdateBuf {
        UpdateBuf::new(RecordKind::Listener, "a:3").with(Attribute::FlowCountL4, count)
    }

    #[test]
    fn only_what_changed_is_reported() {
        let mut source = Source::router("a:0");
        source.update(listener());
        source.update(count(4));
        assert_eq!(
            reported(&source.emit()),
            [("mc/sfe.a:0".into(), listener().with(Attribute::FlowCountL4, 4))]
        );
        source.update(count(4));
        assert!(!source.has_changes());
        assert_eq!(source.emit(), []);
        source.update(count(5));
        source.update(count(6));
        assert_eq!(reported(&source.emit()), [("mc/sfe.a:0".into(), count(6))]);
    }

    #[test]
    fn a_flush_answer_reports_every_live_record_whole_and_takes_the_changes_along() {
        let mut source = Source::router("a:0");
        source.update(UpdateBuf::new(RecordKind::Router, "a:0").with(Attribute::Name, "0/a"));
        source.update(listener());
        source.emit();
        source.update(count(9));
        let answer = reported(&source.flush_answer());
        assert_eq!(answer.len(), 2);
        assert_eq!(answer[1].1, listener().with(Attribute::FlowCountL4, 9));
        assert_eq!(source.emit(), []);
        assert_eq!(reported(&source.flush_answer()), answer);
    }

    #[test]
    fn an_end_is_reported_once_and_the_record_forgotten() {
        let end = Timestamp::from_micros(7);
        for by_flush in [false, true] {
            let mut source = Source::router("a:0");
            source.update(listener());
            source.emit();
            source.end("a:3", end);
            let messages = if by_flush { source.flush_answer() } else { source.emit() };
            assert_eq!(reported(&messages)[0].1.instant(Attribute::EndTime), Some(end));
            assert_eq!((source.live(), source.record("a:3")), (0, None));
            source.end("a:3", end);
            assert_eq!(source.flush_answer(), []);
        }
    }

    #[test]
    fn a_record_that_begins_and_ends_between_two_messages_is_one_map() {
        let line = |id| {
            UpdateBuf::new(RecordKind::Log, id)
                .with(Attribute::StartTime, 5)
                .with(Attribute::EndTime, 5)
                .with(Attribute::LogText, "lost")
        };
        let mut source = Source::router("a:0");
        source.update(line("a:9"));
        source.update(listener());
        source.end("a:3", Timestamp::from_micros(6));
        let all = reported(&source.flush_answer());
        assert_eq!(all[0].1, {
            let mut ended = listener().with(Attribute::EndTime, 6);
            ended.attributes.sort_unstable_by_key(|(code, _)| *code);
            ended
        });
        assert_eq!(all[1], ("mc/sfe.a:0.logs".into(), line("a:9")));
        assert_eq!(source.live(), 0);
    }

    #[test]
    fn each_kind_goes_to_its_address_and_messages_are_numbered_over_all_of_them() {
        let records = |source: &mut Source| {
            source.update(listener());
            for request in 0..120 {
                let id = format!("a:{}", 100 + request);
                source.update(UpdateBuf::new(RecordKind::BiflowApp, id).with(Attribute::EndTime, 5));
            }
            source.update(UpdateBuf::new(RecordKind::Log, "a:9").with(Attribute::EndTime, 5));
            let mut messages = vec![source.beacon()];
            messages.extend(source.emit());
            messages.push(source.heartbeat(Timestamp::from_micros(3)));
            messages
        };
        let addresses = |messages: &[Outgoing]| -> Vec<String> {
            messages
                .iter()
                .map(|outgoing| outgoing.address.trim_start_matches("mc/sfe.a:0").to_owned())
                .collect()
        };

        let messages = records(&mut Source::router("a:0"));
        assert_eq!(addresses(&messages), ["mc/sfe.all", "", ".flows", ".flows", ".flows", ".logs", ""]);
        let ids: Vec<_> = messages
            .iter()
            .map(|outgoing| Message::decode(&outgoing.message).expect("decodes").message_id)
            .collect();
        assert_eq!(ids, (0..7).map(Some).collect::<Vec<_>>());

        let messages = records(&mut Source::router("a:0").without_suffixes());
        assert_eq!(addresses(&messages), ["mc/sfe.all", "", "", "", "", "", ""]);

        let messages = records(&mut Source::controller("a:0"));
        let heartbeat = messages.last().expect("the heartbeat");
        assert_eq!(&*heartbeat.address, "mc/sfe.a:0.heartbeats");
        let heartbeat = Message::decode(&heartbeat.message).expect("decodes");
        assert_eq!((heartbeat.to, heartbeat.message_id), (Some("mc/sfe.a:0"), None));
    }

    #[test]
    fn updates_of_unknown_kinds_and_attributes_are_reported_like_any_other() {
        let update = UpdateBuf { type_code: Some(99), id: "a:1".into(), attributes: vec![(1000, 7.into())] };
        let mut source = Source::router("a:0");
        source.update(update.clone());
        assert_eq!(reported(&source.emit()), [("mc/sfe.a:0".into(), update)]);
    }
}
