//! Links that go down and come up.
//!
//! Records of one and the same link are several: routers of 3.x report another when their certificate is renewed or when
//! they restart, routers up to 2.x another each time that it comes up, and two of these report it from both sides. So a link
//! here is all records of that name from one router, or of the same two routers; it is up while, on each side that reports
//! it, one of them is (faults 14).

use std::collections::{HashMap, VecDeque};

use vanflow_proto::{Attribute, Timestamp};
use vanflow_store::{Record, RecordRef};

use crate::{
    link::{self, Side},
    v1::{
        events::{
            event::{EventKind, Place, called, reporter, said, subject},
            moment::Moment,
            timeline::{Draft, Timeline},
            wording::{ordinal, span, times},
        },
        subject::{Severity, SubjectType},
    },
};

/// How far back it is counted how often a link went down, in microseconds.
const COUNTED: u64 = 15 * 60_000_000;

/// How long a link that is not up is remembered, in microseconds.
const REMEMBERED: u64 = 3_600_000_000;

/// Times that are remembered of a link that goes down again and again.
const MOST_DOWNS: usize = 1000;

/// The links.
#[derive(Debug, Default)]
pub(super) struct Links {
    links: HashMap<Key, Link>,
    /// Records whose router is not known yet.
    unplaced: Vec<RecordRef>,
}

/// What records of one link have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    /// The name of the router that connects, and that of the link there.
    Named(String, String),
    /// The names of the router that connects and of the one that accepts.
    Between(String, String),
}

#[derive(Debug)]
struct Link {
    members: Vec<Member>,
    /// The sides that ever had one: of who connects, of who accepts.
    sides: [bool; 2],
    /// None while it was never up.
    state: Option<State>,
    /// When it went down lately.
    downs: VecDeque<Timestamp>,
    changed: Timestamp,
}

/// A record of a link.
#[derive(Debug)]
struct Member {
    id: String,
    start: Option<Timestamp>,
    side: usize,
    is_up: bool,
    down_count: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Up,
    /// Since when, and the event that says so.
    Down(Timestamp, Option<u64>),
}

impl Links {
    /// A LINK that changed.
    pub(super) fn observe(&mut self, link: Record<'_>, moment: &Moment<'_>, timeline: &mut Timeline) {
        let Some((key, label)) = placed(link) else {
            if link.is_live() && !self.unplaced.contains(&link.at()) {
                self.unplaced.push(link.at());
            }
            return;
        };
        let known = self.links.entry(key).or_insert_with(|| Link::new(moment.now));
        known.observe(link, &label, moment, timeline);
    }

    /// All that changed was looked at: looks again at what lacked its router.
    pub(super) fn conclude(&mut self, moment: &Moment<'_>, timeline: &mut Timeline) {
        for at in std::mem::take(&mut self.unplaced) {
            let link = moment.snapshot.get(at);
            let link = link.filter(|link| link.kind() == Some(vanflow_proto::RecordKind::Link));
            if let Some(link) = link.filter(Record::is_live) {
                self.observe(link, moment, timeline);
            }
        }
    }

    /// Forgets those that have not been up for long.
    pub(super) fn sweep(&mut self, moment: &Moment<'_>) {
        self.links.retain(|_, link| {
            link.state == Some(State::Up)
                || !link.members.is_empty()
                || moment.now.micros_since(link.changed) < REMEMBERED
        });
    }
}

/// Which link a record is of, and what people call that. None while it is not known which router reports it.
fn placed(link: Record<'_>) -> Option<(Key, String)> {
    let reporter = called(link.router()?);
    let name = called(link);
    // Routers up to 2.x call a link by the other router's id.
    let (connects, accepts) = match Side::of(link) {
        Some(Side::Connects) => (reporter, name),
        Some(Side::Accepts) => (name, reporter),
        None => {
            let accepts = link.peer().and_then(|access| access.router()).map(called);
            let label = format!("{reporter} – {}", accepts.as_ref().unwrap_or(&name));
            return Some((Key::Named(reporter, name), label));
        }
    };
    let label = format!("{connects} – {accepts}");
    Some((Key::Between(connects, accepts), label))
}

impl Link {
    fn new(now: Timestamp) -> Self {
        Self { members: Vec::new(), sides: [false; 2], state: None, downs: VecDeque::new(), changed: now }
    }

    fn observe(&mut self, link: Record<'_>, label: &str, moment: &Moment<'_>, timeline: &mut Timeline) {
        let missed = self.note(link);
        if missed > 0 && !moment.is_first && self.state == Some(State::Up) && self.is_up() {
            self.was_down(link, label, missed, moment, timeline);
            return;
        }
        match (self.state, self.is_up()) {
            (None, true) => {
                self.state = Some(State::Up);
                self.changed = moment.now;
                if moment.is_new(link) && !moment.is_first {
                    let text = format!("link {label} is up");
                    timeline.add(
                        reporter(link),
                        draft(EventKind::LinkUp, Severity::Fine, moment.now, link, label, text),
                    );
                }
            }
            (Some(State::Up), false) => self.goes_down(link, label, moment, timeline),
            (Some(State::Down(since, event)), true) => {
                self.state = Some(State::Up);
                self.changed = moment.now;
                let time = moment.since_began(link, stamp(link, Attribute::UpTimeStamp));
                let time = if time > since { time } else { moment.now };
                if let Some(number) = event {
                    timeline.end(number, time);
                }
                let text =
                    format!("link {label} is up again, it was down for {}", span(time.micros_since(since)));
                timeline
                    .add(reporter(link), draft(EventKind::LinkUp, Severity::Fine, time, link, label, text));
            }
            _ => {}
        }
    }

    /// Takes note of what a record says. Answers how often the link went down meanwhile of which nothing was seen.
    fn note(&mut self, link: Record<'_>) -> u64 {
        let (id, start) = (link.id().to_cow(), link.start());
        let side = usize::from(Side::of(link) == Some(Side::Accepts));
        self.sides[side] = true;
        let is_up = link.is_live() && link::status(link) == "up";
        let position = self.members.iter().position(|known| {
            known.id == *id && (known.start == start || known.start.is_none() || start.is_none())
        });
        if !link.is_live() {
            if let Some(position) = position {
                self.members.remove(position);
            }
            return 0;
        }
        let Some(position) = position else {
            let down_count = link.uint(Attribute::DownCount);
            self.members.push(Member { id: id.into_owned(), start, side, is_up, down_count });
            return 0;
        };
        let known = &mut self.members[position];
        known.start = known.start.or(start);
        let was_up = std::mem::replace(&mut known.is_up, is_up);
        let Some(count) = link.uint(Attribute::DownCount) else { return 0 };
        let growth = known.down_count.replace(count).map_or(0, |before| count.saturating_sub(before));
        // One of them is what is seen now.
        growth.saturating_sub(u64::from(was_up && !is_up))
    }

    fn is_up(&self) -> bool {
        (0..2)
            .filter(|side| self.sides[*side])
            .all(|side| self.members.iter().any(|member| member.side == side && member.is_up))
    }

    fn goes_down(&mut self, link: Record<'_>, label: &str, moment: &Moment<'_>, timeline: &mut Timeline) {
        self.changed = moment.now;
        let source = reporter(link);
        let was_removed = !link.is_live() && !link.is_end_presumed() && Side::of(link).is_none();
        if was_removed {
            self.state = None;
            self.sides = [false; 2];
            let time = moment.since_began(link, link.end());
            let text = format!("link {label} was removed");
            timeline.add(source, draft(EventKind::LinkDown, Severity::Change, time, link, label, text));
            return;
        }
        let reported = if link.is_live() { stamp(link, Attribute::DownTimeStamp) } else { link.end() };
        // A silent router's links end when it was heard last, and are seen to now.
        let time = if link.is_end_presumed() { moment.now } else { moment.since_began(link, reported) };
        let text = format!("link {label} is down{}", self.count_down(time, 1));
        let draft = draft(EventKind::LinkDown, Severity::Bad, time, link, label, text).detail(reason(link));
        self.state = Some(State::Down(time, timeline.add(source, draft)));
    }

    /// It went down and up again since it was looked at last.
    fn was_down(
        &mut self,
        link: Record<'_>,
        label: &str,
        count: u64,
        moment: &Moment<'_>,
        timeline: &mut Timeline,
    ) {
        let [down, up] = [Attribute::DownTimeStamp, Attribute::UpTimeStamp].map(|at| stamp(link, at));
        let time = moment.since_began(link, down);
        let end = moment.since_began(link, up).max(time);
        let again = self.count_down(time, count);
        let text = match count {
            1 => format!("link {label} was down for {}{again}", span(end.micros_since(time))),
            _ => format!("link {label} was down {}{again}", times(count)),
        };
        let draft = draft(EventKind::LinkDown, Severity::Bad, time, link, label, text)
            .until(Some(end))
            .detail(reason(link))
            .count(count);
        timeline.add(reporter(link), draft);
    }

    /// Counts that it went down, and says how often it did lately.
    fn count_down(&mut self, time: Timestamp, count: u64) -> String {
        for _ in 0..count.min(MOST_DOWNS as u64) {
            self.downs.push_back(time);
        }
        while self.downs.len() > MOST_DOWNS
            || self.downs.front().is_some_and(|first| time.micros_since(*first) > COUNTED)
        {
            self.downs.pop_front();
        }
        match self.downs.len() {
            0 | 1 => String::new(),
            downs => format!(", for the {} time in 15 min", ordinal(downs)),
        }
    }
}

/// A time that a LINK reports, by the clock of its router.
fn stamp(link: Record<'_>, attribute: Attribute) -> Option<Timestamp> {
    link.uint(attribute).filter(|micros| *micros > 0).map(Timestamp::from_micros)
}

/// Why a link is down, as its router says, or as follows from what became of that.
fn reason(link: Record<'_>) -> Option<String> {
    if link.is_end_presumed() {
        let router = link.router().map(called)?;
        let is_silent = link.source().is_some_and(|source| !source.is_alive());
        return Some(format!("router {router} {}", if is_silent { "was lost" } else { "restarted" }));
    }
    let [result, reason] = [Attribute::Result, Attribute::Reason].map(|of| said(link.text(of)));
    match (result, reason) {
        (Some(result), Some(reason)) => Some(format!("{result}: {reason}")),
        (result, reason) => result.or(reason),
    }
}

fn draft(
    kind: EventKind,
    severity: Severity,
    time: Timestamp,
    link: Record<'_>,
    label: &str,
    text: String,
) -> Draft {
    let about = subject(SubjectType::Link, link.id().to_cow(), label);
    let router = link.router();
    Draft::new(kind, severity, time, about, text).at(router.and_then(Place::of))
}
