//! Which sources there are, and what is to be done about them.
//!
//! [`Discovery`] reads no socket and no clock. It learns what was received and what time it is, and it answers with
//! what to do ([`Action`]) and what happened ([`Event`]). The connection to a router follows the actions; a replay of a
//! capture passes them over, because whoever recorded it has done all that; and the events are the same for both.
//!
//! # The life of a source
//!
//! ```text
//!            BEACON of an unknown id                    30 s without a message
//!  unknown ──────────────────────────▶ known ───────────────────────────────────▶ lost, and unknown again
//!             SourceSeen, Listen         │  ▲                SourceLost, Leave
//!                                        ▼  │
//!              something may have been missed, EpochStarted; message-ids of a router fall back, SourceRestarted
//! ```
//!
//! Whoever can announce one source can announce thousands that do not exist. So only [`Settings::unheard`] sources that were
//! never heard on addresses of their own are known at a time. Any more are put on trial: there is one receiver, and no event,
//! until something is heard, within [`Settings::trial`]; [`Settings::trials`] are on trial at a time. What is not heard in
//! that time is tried again later and later (faults 30).
//!
//! A source's addresses follow from its identity: it sends to `mc/sfe.<id>`, and takes FLUSH at `sfe.<id>`. A BEACON
//! that names others is refused and counted (faults 24): it would make one source's records another's.
//!
//! # When something may have been missed
//!
//! An epoch starts for a known source when the connection is back after it was lost, when a receiver on one of its
//! addresses is back after it failed, and when its HEARTBEATs are back after a gap (faults 27). They come every 2 s; a
//! pause of [`Settings::gap`] means that three or more in a row were lost, and records may have been lost with them.
//!
//! One starts for a router when the ids of its messages show that others never came. It counts them over all its addresses: those
//! that have not come are lost once later ones have by each address, or nothing has for 10 s. From 10 s after its receivers were
//! made, or an epoch started, this is looked at.
//!
//! One starts for a controller when its BEACONs and HEARTBEATs come at other times than before, or two of these in a row do
//! not come: it is another process then, which repeats what it has, but does not know what the former one had (faults 6).
//!
//! Time in which nobody here looked ([`Discovery::detached`], [`Discovery::resumed`]) is no gap. A source of which the caller
//! kept records on disk ([`Discovery::restore`]) counts as known before its first message, so that an epoch starts for it
//! with the first connection.
//!
//! # When FLUSH is sent
//!
//! A source that handles a FLUSH before it has learned of our receivers marks every record as sent and sends none. So
//! FLUSH waits for the first message on the source's own address, or 5 s. An accepted FLUSH is no sign of an answer:
//! the sign is the source's record of itself, whole, which no source sends otherwise once its receivers are there. As
//! long as that is missing, or the store knows records by halves ([`Discovery::incomplete`]), FLUSH is sent again, after
//! 2 s, 4 s, and so on up to 60 s.
//!
//! # When a source has answered
//!
//! This is the only place that decides it. [`Event::Answered`] follows from the source's record of itself, and
//! [`Event::Settled`] 10 s later: what the source has not repeated since the epoch started has ended. Until a FLUSH was
//! answered nothing settles, however often it was refused (faults 29).
//!
//! A router reports flows on an address of their own, and that is a route of its own: the answer there can be lost while
//! the one on the bare address arrives (faults 1). So in an epoch flows settle by themselves. They have been answered
//! when a flow is reported whole that is older than the FLUSH; or when a FLUSH is answered that was sent after a message
//! on that address had shown that the route to our receiver is there; or when three FLUSHes within a minute brought no
//! flow. Meanwhile FLUSH is repeated, and [`Event::Settled`] says [`Extent::AllButFlows`].

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

mod answers;
mod beat;
mod count;
mod missing;
mod output;
mod settings;
mod source;
mod trials;

pub use output::{Action, Event, Extent, FlushOutcome, Heard, Known, Output};
pub use settings::Settings;

use answers::{Answer, Epoch};
use beat::Beat;
use settings::SECOND;
use source::{Address, Flush, Source};
use trials::{Trial, Trials, Verdict};

use crate::{
    Attribute, BEACON_ADDRESS, Beacon, Body, FLOWS_SUFFIX, HEARTBEATS_SUFFIX, LOGS_SUFFIX, Message,
    RecordKind, SourceType, Timestamp, Updates, Value,
    message::{ADDRESS_PREFIX, DIRECT_PREFIX},
};

/// A flow that is older than this is reported whole only when it is asked for, in microseconds: routers report a new one
/// within a second.
const REPORTED_WITHIN: u64 = 2 * SECOND;

/// The sources in a network.
///
/// ```
/// use vanflow_proto::{Beacon, Dialect, Encoder, Message, SourceType, Timestamp};
/// use vanflow_proto::discovery::{Discovery, Event, Output, Settings};
///
/// let now = Timestamp::from_micros(1_795_347_888_689_271);
/// let mut discovery = Discovery::new(Settings::default(), 7);
/// discovery.attached(now);
///
/// let beacon =
///     Beacon { source_type: SourceType::Router, id: "a:0", address: "mc/sfe.a:0", direct: "sfe.a:0" };
/// let bytes = Encoder::new(Dialect::Router).beacon(1, &beacon);
/// discovery.hear(now, "mc/sfe.all", &Message::decode(&bytes)?);
///
/// let events: Vec<_> = std::iter::from_fn(|| discovery.next_output())
///     .filter_map(|output| match output {
///         Output::Event(event) => Some(event),
///         _ => None,
///     })
///     .collect();
/// assert_eq!(events, [Event::SourceSeen { source: "a:0".into(), source_type: "ROUTER".into() }]);
/// # Ok::<(), vanflow_proto::DecodeError>(())
/// ```
#[derive(Debug)]
pub struct Discovery {
    settings: Settings,
    /// Since when there is a connection, and what comes by it is looked at.
    attached: Option<Timestamp>,
    sources: HashMap<Arc<str>, Source>,
    /// How many of them were never heard on addresses of their own.
    unheard: usize,
    /// Sources that were announced where many were not heard.
    trials: Trials,
    links: HashMap<Arc<str>, Link>,
    /// When to look at which source or link. One entry each, at the latest when something is due; earlier ones cost
    /// a look and no more.
    timers: BTreeSet<(Timestamp, Timer)>,
    outputs: VecDeque<Output>,
    random: u64,
    refused: u64,
    retried: u64,
    lost: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Source(Arc<str>),
    Link(Arc<str>),
    /// The first trial that is over.
    Trial,
}

#[derive(Debug)]
struct Link {
    /// Whose address it is, and which of its addresses; nobody's for [`BEACON_ADDRESS`].
    source: Option<(Arc<str>, usize)>,
    /// Whether what comes by it shows that our receivers are known to the source.
    shows_receivers: bool,
    /// When to attach it again; set while it is failed.
    retry_at: Option<Timestamp>,
    retry: u64,
}

impl Discovery {
    /// A discovery that knows no source. `seed` is for the jitter of retries.
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self {
            settings,
            attached: None,
            sources: HashMap::new(),
            unheard: 0,
            trials: Trials::default(),
            links: HashMap::new(),
            timers: BTreeSet::new(),
            outputs: VecDeque::new(),
            random: seed,
            refused: 0,
            retried: 0,
            lost: 0,
        }
    }

    /// The next thing to do or to know of, in the order in which they came up.
    pub fn next_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`advance`](Discovery::advance) has something to do, if nothing else happens before.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.attached?;
        self.timers.first().map(|(at, _)| *at)
    }

    /// Whose address that is.
    pub fn source_of(&self, link: &str) -> Option<&Arc<str>> {
        self.links.get(link)?.source.as_ref().map(|(id, _)| id)
    }

    /// How many sources are known.
    pub fn sources(&self) -> usize {
        self.sources.len()
    }

    /// How many beacons were passed over because there were too many sources, or because they named an address that is
    /// not the source's own.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// How many sources were announced of which nothing is known yet, since they are on trial for the first time.
    pub fn on_trial(&self) -> u64 {
        self.trials.fresh() as u64
    }

    /// How many times a source was asked again, because nobody took the question, or because the answer did not come or
    /// was not whole.
    pub fn retried(&self) -> u64 {
        self.retried
    }

    /// How many messages of routers did not come, as the ids of the others showed.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// There is a connection to the network, and no receiver on it yet.
    pub fn attached(&mut self, now: Timestamp) {
        self.attached = Some(now);
        self.listen(BEACON_ADDRESS.into(), None, false);
        let mut known: Vec<_> = self.sources.keys().cloned().collect();
        known.sort_unstable();
        for id in known {
            self.start_epoch(now, &id);
            self.begin(now, &id);
        }
    }

    /// A source that was known before, of which the caller holds records: from a state kept on disk, say. To be called
    /// before [`attached`](Discovery::attached).
    ///
    /// It counts as known as after a lost connection: it is listened to and asked to repeat what it has, and what it does
    /// not repeat has ended. If it is not heard, it is lost, with that `last_heard`.
    pub fn restore(&mut self, known: &Known) {
        let Known { id, source_type, last_heard } = known;
        let source = || {
            let mut source = Source::new(id, SourceType::from_name(source_type), *last_heard);
            source.is_heard = true;
            source
        };
        self.sources.entry(Arc::clone(id)).or_insert_with(source);
    }

    /// The connection is gone, and all receivers with it. Until there is another, no source is lost for its silence.
    pub fn detached(&mut self, _now: Timestamp) {
        self.attached = None;
        self.trials.abandon();
        self.links.clear();
        self.timers.clear();
    }

    /// What was received was not looked at for a while, up to now: no silence from before counts.
    pub fn resumed(&mut self, now: Timestamp) {
        if let Some(attached) = &mut self.attached {
            *attached = now.max(*attached);
        }
    }

    /// A message was received on the receiver for `link`. What it says, and who says it: nothing where it is for
    /// discovery alone, or where it is nobody's.
    ///
    /// A link is the source's whose address it is, whatever the message says of itself: a HEARTBEAT that names another
    /// source is passed over.
    pub fn hear<'m>(&mut self, now: Timestamp, link: &str, message: &Message<'m>) -> Option<Heard<'m>> {
        self.attached?;
        let was_on_trial = self.look_for_life(now, link);
        let position = match self.links.get(link) {
            Some(Link { source: Some((id, position)), .. }) => Some((Arc::clone(id), *position)),
            _ => None,
        };
        let Some((id, position)) = position else {
            if let Body::Beacon(beacon) = &message.body {
                self.beacon(now, message.message_id, beacon);
            }
            return None;
        };
        let link = self.links.get_mut(link)?;
        link.retry = self.settings.shortest_retry;
        let shows_receivers = link.shows_receivers;
        let source = self.sources.get_mut(&id)?;
        source.last_heard = source.last_heard.max(now);
        if !std::mem::replace(&mut source.is_heard, true) {
            self.unheard -= 1;
        }
        if source.restarted(position, message.message_id) {
            source.restart(now, &self.settings);
            self.outputs.push_back(Output::Event(Event::SourceRestarted { source: Arc::clone(&id) }));
            self.flush(now, &id);
        } else if let Body::Heartbeat(heartbeat) = &message.body
            && heartbeat.id == &*id
        {
            let lost = source.lost(now);
            self.lost += lost;
            let is_another = self.is_another_process(now, &id, |beat| beat.heard(heartbeat.now));
            if is_another || lost > 0 || self.is_after_a_gap(now, &id) {
                self.start_epoch(now, &id);
                self.flush(now, &id);
                self.sources.get_mut(&id)?.beat.heard(heartbeat.now);
            }
        }
        let source = self.sources.get_mut(&id)?;
        source.came(now, Some(position), message.message_id);
        source.addresses[position].is_shown = true;
        let flush = source.flush;
        // Its other receivers are on their way only now.
        if shows_receivers && !was_on_trial && matches!(flush, Flush::Due { when_heard: true, .. }) {
            self.flush(now, &id);
        }
        match &message.body {
            Body::Heartbeat(heartbeat) if heartbeat.id == &*id => {
                let source = self.sources.get_mut(&id)?;
                source.last_heartbeat = Some(now);
                source.clock_offset = offset(heartbeat.now, now);
                Some(Heard::Heartbeat { source: id, clock: heartbeat.now })
            }
            Body::Records(updates) => {
                // What brings a FLUSH is none to it: it may be the end of an answer to somebody else's.
                if !matches!(flush, Flush::Due { .. }) {
                    self.look_for_an_answer(now, &id, updates.clone());
                }
                Some(Heard::Records { source: id, updates: updates.clone() })
            }
            _ => None,
        }
    }

    /// The receiver for that address could not be attached, or was detached by the router. The rest of the connection is
    /// as well as before. It is tried again, later and later.
    pub fn link_failed(&mut self, now: Timestamp, address: &str) {
        let Some((address, _)) = self.links.get_key_value(address) else { return };
        let address = Arc::clone(address);
        self.each_heard_by(&address, |source| source.missing.pause());
        let Some(link) = self.links.get_mut(&address) else { return };
        let wait = next_retry(&mut link.retry, &self.settings, &mut self.random);
        let at = now.plus_micros(wait);
        if let Some(before) = link.retry_at.replace(at) {
            self.timers.remove(&(before, Timer::Link(Arc::clone(&address))));
        }
        self.timers.insert((at, Timer::Link(address)));
    }

    /// What came of a FLUSH that [`Action::Flush`] asked for.
    pub fn flush_outcome(&mut self, now: Timestamp, source: &str, outcome: FlushOutcome) {
        let Some((id, _)) = self.sources.get_key_value(source) else { return };
        let id = Arc::clone(id);
        let Some(source) = self.sources.get_mut(&id) else { return };
        if !matches!(source.flush, Flush::Sent { .. }) {
            return;
        }
        let at = now.plus_micros(next_retry(&mut source.retry, &self.settings, &mut self.random));
        source.flush = match outcome {
            FlushOutcome::Accepted => Flush::Review { at },
            FlushOutcome::Refused => Flush::Due { at, when_heard: false },
        };
        self.arm(&id);
    }

    /// Whether records of that source are known by halves: by attributes that change, and without those that do not.
    pub fn incomplete(&mut self, now: Timestamp, source: &str, incomplete: bool) {
        let Some((id, _)) = self.sources.get_key_value(source) else { return };
        let id = Arc::clone(id);
        let Some(source) = self.sources.get_mut(&id) else { return };
        source.incomplete = incomplete;
        if source.is_whole() && matches!(source.flush, Flush::Due { when_heard: false, .. }) {
            source.rest(&self.settings);
        }
        if incomplete && source.flush == Flush::Idle && source.is_flushable() {
            let at = now.plus_micros(next_retry(&mut source.retry, &self.settings, &mut self.random));
            source.flush = Flush::Due { at, when_heard: false };
            self.arm(&id);
        }
    }

    /// Does what is due.
    pub fn advance(&mut self, now: Timestamp) {
        let Some(attached) = self.attached else { return };
        while self.timers.first().is_some_and(|(at, _)| *at <= now) {
            match self.timers.pop_first() {
                Some((_, Timer::Source(id))) => self.look_at(now, attached, &id),
                Some((_, Timer::Link(address))) => self.try_again(now, &address),
                Some((_, Timer::Trial)) => self.end_trials(now),
                None => {}
            }
        }
    }

    /// A beacon on the address for them.
    fn beacon(&mut self, now: Timestamp, message_id: Option<u64>, beacon: &Beacon<'_>) {
        // An identity with a suffix would have one of the addresses of another source.
        let is_its_own = beacon.direct.strip_prefix(DIRECT_PREFIX) == Some(beacon.id)
            && beacon.address.strip_prefix(ADDRESS_PREFIX) == Some(beacon.id)
            && beacon.address != BEACON_ADDRESS
            && ![FLOWS_SUFFIX, LOGS_SUFFIX, HEARTBEATS_SUFFIX].iter().any(|end| beacon.id.ends_with(end));
        if !is_its_own {
            self.refused += 1;
            return;
        }
        let known = self.sources.get_key_value(beacon.id).map(|(id, _)| Arc::clone(id));
        let Some(id) = known.or_else(|| self.seen(now, beacon)) else { return };
        let Some(source) = self.sources.get_mut(&id) else { return };
        source.last_heard = source.last_heard.max(now);
        source.came(now, None, message_id);
        let attached = self.attached.unwrap_or_default();
        if source.beacon_restarted(message_id) {
            source.restart(now, &self.settings);
            self.outputs.push_back(Output::Event(Event::SourceRestarted { source: Arc::clone(&id) }));
            self.flush(now, &id);
        } else if self.is_another_process(now, &id, |beat| beat.announced(now, attached)) {
            self.start_epoch(now, &id);
            self.flush(now, &id);
        }
    }

    /// A beacon of a source that is not known. It is followed, or put on trial where many have not been heard.
    fn seen(&mut self, now: Timestamp, beacon: &Beacon<'_>) -> Option<Arc<str>> {
        if self.sources.len() >= self.settings.sources {
            self.refused += 1;
            return None;
        }
        if self.trials.is_on_trial(beacon.id) {
            return None;
        }
        match self.trials.judge(now, beacon.id) {
            Verdict::Fresh if self.unheard < self.settings.unheard => {}
            Verdict::Wait => {
                self.refused += 1;
                return None;
            }
            Verdict::Fresh | Verdict::Doubtful => {
                self.try_out(now, beacon);
                return None;
            }
        }
        Some(self.follow(now, beacon.id.into(), beacon.source_type))
    }

    /// Puts a source on trial, if there is a place.
    fn try_out(&mut self, now: Timestamp, beacon: &Beacon<'_>) {
        let address = Source::first_address(beacon.id, beacon.source_type);
        let is_lucky = random_bits(&mut self.random).is_multiple_of(16);
        let (has_begun, gave_way) =
            self.trials.begin(now, beacon.id, beacon.source_type, &address, (&self.settings, is_lucky));
        if let Some(trial) = gave_way {
            self.end_trial(trial);
        }
        if !has_begun {
            self.refused += 1;
            return;
        }
        self.listen(address, None, false);
        self.arm_trials();
    }

    /// Follows a source if it is on trial and that link is an address of it: it exists. Answers whether that is so.
    fn look_for_life(&mut self, now: Timestamp, link: &str) -> bool {
        let Some(name) = link.strip_prefix(ADDRESS_PREFIX) else { return false };
        let suffixes = [FLOWS_SUFFIX, LOGS_SUFFIX, HEARTBEATS_SUFFIX];
        let id = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
        let Some((id, trial)) = self.trials.heard(id) else { return false };
        self.follow(now, id, SourceType::from_name(&trial.source_type));
        true
    }

    fn end_trials(&mut self, now: Timestamp) {
        while let Some(trial) = self.trials.end_one(now, self.settings.trial) {
            self.end_trial(trial);
        }
        self.arm_trials();
    }

    fn end_trial(&mut self, Trial { address, .. }: Trial) {
        if let Some(Link { retry_at: Some(at), .. }) = self.links.remove(&address) {
            self.timers.remove(&(at, Timer::Link(Arc::clone(&address))));
        }
        self.outputs.push_back(Output::Action(Action::Leave { address }));
    }

    fn arm_trials(&mut self) {
        if let Some(due) = self.trials.due(&self.settings) {
            self.timers.insert((due, Timer::Trial));
        }
    }

    /// Has a source among those that are known.
    fn follow(&mut self, now: Timestamp, id: Arc<str>, source_type: SourceType<'_>) -> Arc<str> {
        self.unheard += 1;
        let mut source = Source::new(&id, source_type, now);
        source.missing.begin(now);
        let source_type = Arc::clone(&source.source_type);
        self.sources.insert(Arc::clone(&id), source);
        self.outputs.push_back(Output::Event(Event::SourceSeen { source: Arc::clone(&id), source_type }));
        self.begin(now, &id);
        id
    }

    /// Something may have been missed of a known source.
    fn start_epoch(&mut self, now: Timestamp, id: &Arc<str>) {
        let Some(source) = self.sources.get_mut(id) else { return };
        let has_flows = source.source_type() == SourceType::Router;
        source.epoch = Epoch::new(if has_flows { Answer::Missing } else { Answer::Settled });
        source.answered = false;
        source.flushed = None;
        source.retry = self.settings.shortest_retry;
        source.beat.forget();
        source.missing.begin(now);
        source.addresses.iter_mut().for_each(|address| address.is_shown = false);
        self.outputs.push_back(Output::Event(Event::EpochStarted { source: Arc::clone(id) }));
    }

    /// Whether heartbeats were missing up to now, and we would have seen them.
    fn is_after_a_gap(&self, now: Timestamp, id: &Arc<str>) -> bool {
        let (Some(source), Some(attached)) = (self.sources.get(id), self.attached) else { return false };
        let beats = matches!(source.source_type(), SourceType::Router | SourceType::Controller);
        let since = source.last_heartbeat.map(|last| last.max(attached));
        beats && since.is_some_and(|since| now.micros_since(since) >= self.settings.gap)
    }

    /// Whether what is heard shows that a controller's process is not the one of before.
    fn is_another_process(&mut self, now: Timestamp, id: &Arc<str>, hear: impl FnOnce(&mut Beat)) -> bool {
        let Some(source) = self.sources.get_mut(id) else { return false };
        if source.source_type() != SourceType::Controller {
            return false;
        }
        hear(&mut source.beat);
        source.beat.is_broken(now, self.settings.longest_retry)
    }

    /// Whether records show that the source answers FLUSH.
    fn look_for_an_answer(&mut self, now: Timestamp, id: &Arc<str>, updates: Updates<'_>) {
        let grace = self.settings.grace;
        let Some(source) = self.sources.get_mut(id) else { return };
        let Some((flushed, shows_flows)) = source.flushed else { return };
        let awaits_flows = source.epoch.flows == Answer::Missing;
        if source.answered && !awaits_flows {
            return;
        }
        // Whatever is that old is reported whole only when it is asked for.
        let asked_for = shifted(flushed, source.clock_offset).minus_micros(REPORTED_WITHIN);
        let (mut of_itself, mut of_flows) = (false, false);
        for update in updates.flatten() {
            let Some(start) = update.get(Attribute::StartTime).and_then(Value::as_uint) else { continue };
            let is_old = start <= asked_for.as_micros();
            match update.kind() {
                Some(kind) if kind.is_flow() => {
                    of_flows |= is_old && update.get(Attribute::EndTime).is_none();
                }
                kind => {
                    of_itself |= match source.source_type() {
                        SourceType::Router => kind == Some(RecordKind::Router) && update.id == &**id,
                        SourceType::Controller => {
                            kind == Some(RecordKind::Controller)
                                || kind == Some(RecordKind::Site) && update.id == &**id
                        }
                        _ => is_old,
                    }
                }
            }
        }
        let epoch = &mut source.epoch;
        if of_itself && !source.answered {
            source.answered = true;
            epoch.answers += 1;
            if epoch.records.shown(now.plus_micros(grace)) {
                epoch.flows_due = now.plus_micros(self.settings.flows);
                self.outputs.push_back(Output::Event(Event::Answered { source: Arc::clone(id) }));
            }
            of_flows |= shows_flows;
        }
        if of_flows {
            epoch.flows.shown(now.plus_micros(grace));
        }
        self.arm(id);
    }

    /// Attaches the receivers of a source, and plans its FLUSH.
    fn begin(&mut self, now: Timestamp, id: &Arc<str>) {
        let Some(source) = self.sources.get_mut(id) else { return };
        let controller = source.source_type() == SourceType::Controller;
        source.asked = false;
        source.plan_flush(now, &self.settings);
        for (position, address) in source.addresses.clone().into_iter().enumerate() {
            // Routers send heartbeats on the bare address, the first one; controllers on the other.
            self.listen(address.name, Some((Arc::clone(id), position)), position == 0 || controller);
        }
        self.arm(id);
    }

    fn listen(&mut self, address: Arc<str>, source: Option<(Arc<str>, usize)>, shows_receivers: bool) {
        let retry = self.settings.shortest_retry;
        if let Some(link) =
            self.links.get_mut(&address).filter(|link| link.source.is_none() && source.is_some())
        {
            // Its source was on trial.
            (link.source, link.shows_receivers) = (source, shows_receivers);
            return;
        }
        let link = Link { source, shows_receivers, retry_at: None, retry };
        self.links.insert(Arc::clone(&address), link);
        self.outputs.push_back(Output::Action(Action::Listen { address }));
    }

    fn try_again(&mut self, now: Timestamp, address: &Arc<str>) {
        let Some(link) = self.links.get_mut(address) else { return };
        link.retry_at = None;
        let source = link.source.clone();
        self.outputs.push_back(Output::Action(Action::Listen { address: Arc::clone(address) }));
        self.each_heard_by(address, |source| source.missing.begin(now));
        // What came by while the link was down has to be reported again, and what ended has not been reported.
        if let Some((id, _)) = source {
            self.start_epoch(now, &id);
            if let Some(source) = self.sources.get_mut(&id)
                && !matches!(source.flush, Flush::Due { .. })
            {
                source.plan_flush(now, &self.settings);
            }
            self.arm(&id);
        }
    }

    /// For the source whose address that is, or for all at [`BEACON_ADDRESS`].
    fn each_heard_by(&mut self, address: &str, change: impl FnMut(&mut Source)) {
        match self.links.get(address) {
            Some(Link { source: Some((id, _)), .. }) => self.sources.get_mut(id).into_iter().for_each(change),
            _ if address == BEACON_ADDRESS => self.sources.values_mut().for_each(change),
            _ => {}
        }
    }

    fn look_at(&mut self, now: Timestamp, attached: Timestamp, id: &Arc<str>) {
        let Some(source) = self.sources.get_mut(id) else { return };
        source.timer = Timestamp::from_micros(u64::MAX);
        if source.last_heard.max(attached).plus_micros(self.settings.silence) <= now {
            let last_heard = source.last_heard;
            for Address { name: address, .. } in std::mem::take(&mut source.addresses) {
                if let Some(Link { retry_at: Some(at), .. }) = self.links.remove(&address) {
                    self.timers.remove(&(at, Timer::Link(Arc::clone(&address))));
                }
                self.outputs.push_back(Output::Action(Action::Leave { address }));
            }
            if self.sources.remove(id).is_some_and(|source| !source.is_heard) {
                self.unheard -= 1;
            }
            let source = Arc::clone(id);
            self.outputs.push_back(Output::Event(Event::SourceLost { source, last_heard }));
            return;
        }
        if let Some(extent) = source.epoch.settle(now) {
            self.outputs.push_back(Output::Event(Event::Settled { source: Arc::clone(id), extent }));
        }
        match source.flush {
            Flush::Due { at, .. } if at <= now => return self.flush(now, id),
            Flush::Sent { until } if until <= now => {
                return self.flush_outcome(now, &Arc::clone(id), FlushOutcome::Refused);
            }
            Flush::Review { at } if at <= now => {
                if source.is_whole() {
                    source.rest(&self.settings);
                } else {
                    return self.flush(now, id);
                }
            }
            _ => {}
        }
        self.arm(id);
    }

    fn flush(&mut self, now: Timestamp, id: &Arc<str>) {
        let Some(source) = self.sources.get_mut(id) else { return };
        source.flush = Flush::Sent { until: now.plus_micros(self.settings.outcome) };
        source.flushed = Some((now, source.shows_flows()));
        source.answered = false;
        self.retried += u64::from(std::mem::replace(&mut source.asked, true));
        let action = Action::Flush { source: Arc::clone(id), to: Arc::clone(&source.direct) };
        self.outputs.push_back(Output::Action(action));
        self.arm(id);
    }

    /// Sets the timer of a source. One that goes off too early is set again; so seeing a source costs nothing here.
    fn arm(&mut self, id: &Arc<str>) {
        let Some(source) = self.sources.get_mut(id) else { return };
        let attached = self.attached.unwrap_or_default();
        let mut at = source.last_heard.max(attached).plus_micros(self.settings.silence);
        match source.flush {
            Flush::Due { at: due, .. } | Flush::Sent { until: due } | Flush::Review { at: due } => {
                at = at.min(due)
            }
            Flush::Idle => {}
        }
        at = at.min(source.epoch.due());
        if at != source.timer {
            self.timers.remove(&(source.timer, Timer::Source(Arc::clone(id))));
        }
        source.timer = at;
        self.timers.insert((at, Timer::Source(Arc::clone(id))));
    }
}

/// What has to be added to `now` to get `clock`, in microseconds.
fn offset(clock: Timestamp, now: Timestamp) -> i64 {
    let offset = i128::from(clock.as_micros()) - i128::from(now.as_micros());
    i64::try_from(offset).unwrap_or(0)
}

fn shifted(time: Timestamp, offset: i64) -> Timestamp {
    Timestamp::from_micros(time.as_micros().saturating_add_signed(offset))
}

/// The wait that is due, give or take a quarter of it; the next one is twice as long.
fn next_retry(retry: &mut u64, settings: &Settings, random: &mut u64) -> u64 {
    let wait = *retry;
    *retry = wait.saturating_mul(2).min(settings.longest_retry);
    wait - wait / 4 + random_bits(random) % (wait / 2 + 1)
}

/// SplitMix64: enough to keep collectors out of step, which takes an even spread and no more.
fn random_bits(random: &mut u64) -> u64 {
    *random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut bits = (*random ^ (*random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests;
