//! What is known of one source, and when it is asked next.

use std::sync::Arc;

use super::{
    answers::{Answer, Epoch},
    beat::Beat,
    count::Count,
    missing::{Missing, QUIET},
    settings::Settings,
};
use crate::{
    FLOWS_SUFFIX, HEARTBEATS_SUFFIX, LOGS_SUFFIX, SourceType, Timestamp,
    message::{ADDRESS_PREFIX, DIRECT_PREFIX},
};

#[derive(Debug)]
pub(super) struct Source {
    pub(super) source_type: Arc<str>,
    pub(super) direct: Arc<str>,
    /// Where it is heard.
    pub(super) addresses: Vec<Address>,
    pub(super) last_heard: Timestamp,
    /// Whether anything was ever heard on its own addresses, and so it exists.
    pub(super) is_heard: bool,
    pub(super) last_heartbeat: Option<Timestamp>,
    /// What has to be added to our clock to get the source's, in microseconds.
    pub(super) clock_offset: i64,
    /// How often it restarted.
    pub(super) generation: u32,
    /// Of the last message on [`BEACON_ADDRESS`].
    pub(super) beacons: Count,
    /// When a message of it came on [`BEACON_ADDRESS`](crate::BEACON_ADDRESS) last.
    pub(super) beacon_at: Timestamp,
    /// When a controller is heard.
    pub(super) beat: Beat,
    /// What of a router did not come.
    pub(super) missing: Missing,
    /// Whether the store knows records of it by halves.
    pub(super) incomplete: bool,
    pub(super) flush: Flush,
    /// The next wait between two FLUSHes.
    pub(super) retry: u64,
    /// When FLUSH was last sent, and whether the route to our receiver for flows was known to be there then.
    pub(super) flushed: Option<(Timestamp, bool)>,
    /// Whether it reported itself since FLUSH was last sent.
    pub(super) answered: bool,
    /// Whether FLUSH was sent since it last had nothing more to report.
    pub(super) asked: bool,
    pub(super) epoch: Epoch,
    /// When its timer goes off.
    pub(super) timer: Timestamp,
}

/// ```text
///           ┌───────────── refused, or no word of it ─────────────┐
///           ▼                                                     │
///  Idle ──▶ Due ── at its time, or seen the source ──▶ Sent ──┴─ accepted ─▶ Review
///   ▲       ▲                                                                     │
///   └───────┼──────────────────────── answered and whole ─────────────────────────┤
///           └──────────────────────────────── neither ───────────────────────────┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flush {
    Idle,
    Due { at: Timestamp, when_heard: bool },
    Sent { until: Timestamp },
    Review { at: Timestamp },
}

/// One of the addresses at which a source is heard.
#[derive(Clone, Debug)]
pub(super) struct Address {
    pub(super) name: Arc<str>,
    pub(super) count: Count,
    /// When a message came by it last.
    pub(super) heard_at: Timestamp,
    /// Whether a message came by it since something may have been missed: the route to our receiver is there.
    pub(super) is_shown: bool,
}

impl Source {
    pub(super) fn new(id: &str, source_type: SourceType<'_>, last_heard: Timestamp) -> Self {
        let suffixes: &[&str] = match source_type {
            SourceType::Router => &["", FLOWS_SUFFIX, LOGS_SUFFIX],
            SourceType::Controller => &["", HEARTBEATS_SUFFIX],
            _ => &[""],
        };
        let address = |suffix: &&str| Address {
            name: format!("{ADDRESS_PREFIX}{id}{suffix}").into(),
            count: Count::default(),
            heard_at: Timestamp::default(),
            is_shown: false,
        };
        Self {
            source_type: source_type.name().into(),
            direct: format!("{DIRECT_PREFIX}{id}").into(),
            addresses: suffixes.iter().map(address).collect(),
            last_heard,
            is_heard: false,
            last_heartbeat: None,
            clock_offset: 0,
            generation: 0,
            beacons: Count::default(),
            beacon_at: Timestamp::default(),
            beat: Beat::default(),
            missing: Missing::default(),
            incomplete: false,
            flush: Flush::Idle,
            retry: 0,
            flushed: None,
            answered: false,
            asked: false,
            epoch: Epoch::new(Answer::Settled),
            timer: last_heard,
        }
    }

    /// Where a source of that type has its heartbeats, and shows first that it exists.
    pub(super) fn first_address(id: &str, source_type: SourceType<'_>) -> Arc<str> {
        let suffix = if source_type == SourceType::Controller { HEARTBEATS_SUFFIX } else { "" };
        format!("{ADDRESS_PREFIX}{id}{suffix}").into()
    }

    pub(super) fn source_type(&self) -> SourceType<'_> {
        SourceType::from_name(&self.source_type)
    }

    /// Whether it has something to say when it is asked.
    pub(super) fn is_flushable(&self) -> bool {
        self.source_type() != SourceType::Collector
    }

    /// Whether the message with that id, on that address, is the first to show that the router is another one now.
    pub(super) fn restarted(&mut self, position: usize, message_id: Option<u64>) -> bool {
        let (is_router, generation) = (self.source_type() == SourceType::Router, self.generation);
        let count = &mut self.addresses[position].count;
        is_router && message_id.is_some_and(|id| count.restarted(id, generation))
    }

    /// The same for a BEACON.
    pub(super) fn beacon_restarted(&mut self, message_id: Option<u64>) -> bool {
        let (is_router, generation) = (self.source_type() == SourceType::Router, self.generation);
        is_router && message_id.is_some_and(|id| self.beacons.restarted(id, generation))
    }

    /// A message with that id came by one of its addresses, or on [`BEACON_ADDRESS`](crate::BEACON_ADDRESS).
    pub(super) fn came(&mut self, now: Timestamp, position: Option<usize>, message_id: Option<u64>) {
        match position {
            Some(position) => self.addresses[position].heard_at = now,
            None => self.beacon_at = now,
        }
        if let Some(id) = message_id.filter(|_| self.source_type() == SourceType::Router) {
            self.missing.came(now, id);
        }
    }

    /// How many messages of a router are lost: of its ids, they are missing, and by each of its addresses others have come that it
    /// sent later, or nothing any more. On one link they come in the order in which they were sent. Where the route to our
    /// receiver for flows has not been there yet, nobody can say.
    pub(super) fn lost(&mut self, now: Timestamp) -> u64 {
        if !self.shows_flows() {
            return 0;
        }
        let own = self.addresses.iter().map(|address| (address.count, address.heard_at));
        let all: Vec<_> = own.chain([(self.beacons, self.beacon_at)]).collect();
        let passed = |(count, heard_at): &(Count, Timestamp), id| {
            count.has_passed(id) || now.micros_since(*heard_at) >= QUIET
        };
        self.missing.lost(now, |id| all.iter().all(|address| passed(address, id)))
    }

    /// It is another one now: whatever it had before has ended.
    pub(super) fn restart(&mut self, now: Timestamp, settings: &Settings) {
        self.missing.begin(now);
        self.generation += 1;
        self.retry = settings.shortest_retry;
        self.epoch = Epoch::new(Answer::Settled);
        self.answered = false;
    }

    /// FLUSH is due once the source is known to know of our receivers, or should know.
    pub(super) fn plan_flush(&mut self, now: Timestamp, settings: &Settings) {
        self.retry = settings.shortest_retry;
        self.flush = if self.is_flushable() {
            Flush::Due { at: now.plus_micros(settings.first_flush), when_heard: true }
        } else {
            Flush::Idle
        };
    }

    /// Whether nothing is missing that another FLUSH could bring.
    pub(super) fn is_whole(&self) -> bool {
        self.answered && !self.incomplete && self.epoch.flows != Answer::Missing
    }

    /// Nothing more is asked of it.
    pub(super) fn rest(&mut self, settings: &Settings) {
        self.flush = Flush::Idle;
        self.asked = false;
        self.retry = settings.shortest_retry;
    }

    /// Whether the route to our receiver for flows is known to be there.
    pub(super) fn shows_flows(&self) -> bool {
        self.addresses.iter().any(|address| address.is_shown && address.name.ends_with(FLOWS_SUFFIX))
    }
}
