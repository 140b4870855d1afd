//! The events that are kept.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use vanflow_proto::Timestamp;

use crate::v1::{
    events::event::{Event, EventKind, Place},
    subject::{Severity, Subject},
};

/// How events are kept.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct EventsOptions {
    /// How many events are kept at most: with more, the oldest leave. 10,000 unless set; none are recorded with 0.
    pub most: usize,
    /// How long an event is kept. A day unless set.
    pub retention: Duration,
    /// How many events of one kind a source may cause in a second, on average; a few more at once are no flood. What is
    /// more is counted and not kept. 10 unless set.
    pub a_second: u32,
}

impl Default for EventsOptions {
    fn default() -> Self {
        Self { most: 10_000, retention: Duration::from_secs(24 * 3600), a_second: 10 }
    }
}

/// An event that is to be recorded.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) kind: EventKind,
    pub(crate) severity: Severity,
    pub(crate) time: Timestamp,
    pub(crate) subject: Subject,
    pub(crate) text: String,
    pub(crate) end: Option<Timestamp>,
    pub(crate) place: Option<Place>,
    pub(crate) detail: Option<String>,
    pub(crate) count: Option<u64>,
}

impl Draft {
    pub(crate) fn new(
        kind: EventKind,
        severity: Severity,
        time: Timestamp,
        subject: Subject,
        text: String,
    ) -> Self {
        Self { kind, severity, time, subject, text, end: None, place: None, detail: None, count: None }
    }

    pub(crate) fn until(self, end: Option<Timestamp>) -> Self {
        Self { end, ..self }
    }

    pub(crate) fn at(self, place: Option<Place>) -> Self {
        Self { place, ..self }
    }

    pub(crate) fn detail(self, detail: Option<String>) -> Self {
        Self { detail, ..self }
    }

    pub(crate) fn count(self, count: u64) -> Self {
        Self { count: Some(count), ..self }
    }
}

/// The events that are kept, by number.
#[derive(Debug)]
pub(crate) struct Timeline {
    options: EventsOptions,
    now: Timestamp,
    events: BTreeMap<u64, Arc<Event>>,
    next: u64,
    /// Grows with each change.
    revision: u64,
    dropped: u64,
    /// What was over before is not among them, or not all of it.
    whole_since: Timestamp,
    /// Of each kind and source how many events it may cause now, in millionths, and as of when.
    allowances: HashMap<(EventKind, String), (u64, Timestamp)>,
}

const ONE: u64 = 1_000_000;

impl Timeline {
    pub(crate) fn new(options: EventsOptions) -> Self {
        Self {
            options,
            now: Timestamp::default(),
            whole_since: Timestamp::default(),
            events: BTreeMap::new(),
            next: 1,
            revision: 0,
            dropped: 0,
            allowances: HashMap::new(),
        }
    }

    /// Time passed: what is too old leaves.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        if self.whole_since == Timestamp::default() {
            self.whole_since = now;
        }
        self.now = now;
        let retention = u64::try_from(self.options.retention.as_micros()).unwrap_or(u64::MAX);
        let is_old = |event: &Event| now.micros_since(event.last()) > retention;
        while self.events.first_key_value().is_some_and(|(_, event)| is_old(event)) {
            self.evict();
            self.revision += 1;
        }
        let full = self.burst();
        let refill = u64::from(self.options.a_second);
        self.allowances
            .retain(|_, (left, as_of)| *left + now.micros_since(*as_of).saturating_mul(refill) < full);
    }

    /// Records an event that a source caused, unless that causes too many of its kind. Answers its number.
    pub(crate) fn add(&mut self, source: &str, draft: Draft) -> Option<u64> {
        if !self.allows(draft.kind, source) {
            self.dropped += 1;
            self.revision += 1;
            return None;
        }
        let number = self.take_number();
        let Draft { kind, severity, time, subject, text, end, place, detail, count } = draft;
        let event = Event {
            identity: number,
            number,
            time: time.min(self.now),
            end,
            kind,
            severity,
            subject,
            place,
            text,
            detail,
            count,
        };
        self.events.insert(number, Arc::new(event));
        self.evict_most();
        Some(number)
    }

    /// Takes back what was recorded before this began, up to the highest number that was given then.
    pub(crate) fn recall(
        &mut self,
        events: impl IntoIterator<Item = Arc<Event>>,
        last_number: u64,
        since: Timestamp,
    ) {
        self.whole_since = since;
        self.events.extend(events.into_iter().map(|event| (event.number, event)));
        self.next = self.next.max(last_number + 1);
        self.revision += 1;
        self.evict_most();
    }

    /// What was over before that is not among those that are kept, or not all of it.
    pub(crate) fn whole_since(&self) -> Timestamp {
        self.whole_since
    }

    /// The time up to which it was looked for events.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// How long events are kept.
    pub(crate) fn retention(&self) -> Duration {
        self.options.retention
    }

    fn evict_most(&mut self) {
        while self.events.len() > self.options.most {
            self.evict();
        }
    }

    /// The one with the lowest number leaves.
    fn evict(&mut self) {
        if let Some((_, event)) = self.events.pop_first() {
            self.whole_since = self.whole_since.max(event.last());
        }
    }

    /// Counts more to the event with that number: it gets a new number, which is answered. None where it is not kept any
    /// more.
    pub(crate) fn count_to(&mut self, number: u64, change: impl FnOnce(&mut Event)) -> Option<u64> {
        let mut event = self.events.remove(&number)?;
        let number = self.take_number();
        let changed = Arc::make_mut(&mut event);
        change(changed);
        changed.number = number;
        self.events.insert(number, event);
        Some(number)
    }

    /// Says when the event with that number was over.
    pub(crate) fn end(&mut self, number: u64, end: Timestamp) {
        if let Some(event) = self.events.get_mut(&number) {
            Arc::make_mut(event).end = Some(end);
            self.revision += 1;
        }
    }

    /// Those that are kept, by ascending number.
    pub(crate) fn events(&self) -> impl Iterator<Item = &Arc<Event>> {
        self.events.values()
    }

    /// Grows with each change of what is kept.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// How many events were left out since there were too many at once.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    fn take_number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        self.revision += 1;
        number
    }

    /// What a kind and source may cause at once, in millionths.
    fn burst(&self) -> u64 {
        2 * u64::from(self.options.a_second) * ONE
    }

    fn allows(&mut self, kind: EventKind, source: &str) -> bool {
        let (full, now) = (self.burst(), self.now);
        let refill = u64::from(self.options.a_second);
        let (left, as_of) = self.allowances.entry((kind, source.to_owned())).or_insert((full, now));
        *left = full.min(left.saturating_add(now.micros_since(*as_of).saturating_mul(refill)));
        *as_of = now;
        let is_allowed = *left >= ONE;
        if is_allowed {
            *left -= ONE;
        }
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::{events::event::subject, subject::SubjectType};

    const SECOND: u64 = 1_000_000;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_micros((1_795_347_888 + seconds) * SECOND)
    }

    fn timeline(change: impl FnOnce(&mut EventsOptions)) -> Timeline {
        let mut options = EventsOptions::default();
        change(&mut options);
        let mut timeline = Timeline::new(options);
        timeline.advance(at(0));
        timeline
    }

    fn add(timeline: &mut Timeline, source: &str, seconds: u64) -> Option<u64> {
        timeline.advance(at(seconds));
        let about = subject(SubjectType::Router, source, source);
        let draft = Draft::new(EventKind::Warning, Severity::Warn, at(seconds), about, "it warns".to_owned());
        timeline.add(source, draft)
    }

    fn numbers(timeline: &Timeline) -> Vec<u64> {
        timeline.events().map(|event| event.number).collect()
    }

    #[test]
    fn as_many_events_are_kept_as_may_be_and_the_oldest_leave() {
        let mut timeline = timeline(|options| options.most = 3);
        for number in 1..=5 {
            assert_eq!(add(&mut timeline, "a:0", number), Some(number));
        }
        assert_eq!(numbers(&timeline), [3, 4, 5]);
        assert_eq!(timeline.dropped(), 0, "they were kept for a while");
    }

    #[test]
    fn events_leave_when_they_are_too_old() {
        let mut timeline = timeline(|options| options.retention = Duration::from_secs(60));
        add(&mut timeline, "a:0", 0);
        add(&mut timeline, "a:0", 30);
        timeline.advance(at(60));
        assert_eq!(numbers(&timeline), [1, 2]);
        let before = timeline.revision();
        timeline.advance(at(61));
        assert_eq!(numbers(&timeline), [2]);
        assert_ne!(timeline.revision(), before, "that is a change");
    }

    #[test]
    fn a_flood_of_one_source_is_counted_and_costs_others_nothing() {
        let mut timeline = timeline(|options| options.a_second = 5);
        let kept = (0..1000).filter(|_| add(&mut timeline, "a:0", 1).is_some()).count();
        assert_eq!((kept, timeline.dropped()), (10, 990));
        assert!(add(&mut timeline, "b:0", 1).is_some());
        let kept = (0..1000).filter(|_| add(&mut timeline, "a:0", 2).is_some()).count();
        assert_eq!(kept, 5);
        timeline.advance(at(60));
        assert!(timeline.allowances.is_empty(), "of sources that are quiet nothing is kept");
    }

    #[test]
    fn what_is_counted_to_an_event_gives_it_a_new_number_and_leaves_its_identity() {
        let mut timeline = timeline(|_| {});
        let first = add(&mut timeline, "a:0", 1).expect("it is no flood");
        add(&mut timeline, "b:0", 2);
        let again = timeline.count_to(first, |event| event.count = Some(2));
        assert_eq!(again, Some(3));
        let known: Vec<_> = timeline.events().map(|event| (event.identity, event.number)).collect();
        assert_eq!(known, [(2, 2), (1, 3)]);
        assert_eq!(timeline.count_to(first, |_| {}), None, "it has another number now");
    }
}
