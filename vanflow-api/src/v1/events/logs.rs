//! What routers warn of in their logs.
//!
//! What one of them says again and again, but for its numbers, is one event, which counts.

use std::collections::HashMap;

use vanflow_proto::{Attribute, Timestamp};
use vanflow_store::Record;

use crate::{
    metrics::is_of_certificate,
    v1::{
        events::{
            event::{EventKind, MOST_OF_TEXT, Place, called, reporter, said, subject},
            moment::Moment,
            timeline::{Draft, Timeline},
            wording::plain,
        },
        subject::{Severity, SubjectType},
    },
};

/// The severity of a LOG from which on it is an event: a warning.
const WARNING: u64 = 2;

/// The severity from which on it is bad.
const CRITICAL: u64 = 4;

/// How long after the first one the same is counted to its event, in microseconds.
const WITHIN: u64 = 60_000_000;

/// How many lines are remembered at a time.
const MOST_OPEN: usize = 1000;

/// What was logged lately.
#[derive(Debug, Default)]
pub(super) struct Logs {
    /// By router, and by the text without its numbers.
    open: HashMap<(String, String), Open>,
}

#[derive(Debug)]
struct Open {
    number: u64,
    first: Timestamp,
}

impl Logs {
    /// A LOG that was reported.
    pub(super) fn observe(&mut self, log: Record<'_>, moment: &Moment<'_>, timeline: &mut Timeline) {
        let Some(text) = log.text(Attribute::LogText) else { return };
        if !moment.started_since(log) {
            return;
        }
        let text = text.to_cow();
        let is_certificate = is_of_certificate(&text);
        let severity = log.uint(Attribute::LogSeverity).unwrap_or(0);
        if severity < WARNING && !is_certificate {
            return;
        }
        let time = moment.since_began(log, log.start());
        let source = reporter(log);
        let key = (source.to_owned(), without_numbers(&text));
        if let Some(open) = self.open.get_mut(&key) {
            let counted = timeline.count_to(open.number, |event| {
                event.count = Some(event.count.unwrap_or(1) + 1);
                event.end = Some(event.end.unwrap_or(event.time).max(time));
            });
            if let Some(number) = counted {
                open.number = number;
                return;
            }
        }
        let router = log.router();
        let (subject, name) = match router {
            Some(router) => {
                (subject(SubjectType::Router, router.id().to_cow(), called(router)), called(router))
            }
            None => (subject(SubjectType::Source, source, source), plain(source, 200)),
        };
        let (kind, severity) = match is_certificate {
            true => (EventKind::Certificate, Severity::Bad),
            false if severity >= CRITICAL => (EventKind::Warning, Severity::Bad),
            false => (EventKind::Warning, Severity::Warn),
        };
        let text = match kind {
            EventKind::Certificate => format!("{name} had a connection fail for a certificate"),
            _ => format!("{name} logged {}", level(log)),
        };
        let draft = Draft::new(kind, severity, time, subject, text)
            .at(router.and_then(Place::of))
            .detail(said(log.text(Attribute::LogText)))
            .count(1);
        if let Some(number) = timeline.add(source, draft)
            && self.open.len() < MOST_OPEN
        {
            self.open.insert(key, Open { number, first: moment.now });
        }
    }

    /// All that changed was looked at: what is complete by now is not counted to any more.
    pub(super) fn conclude(&mut self, moment: &Moment<'_>) {
        self.open.retain(|_, open| moment.now.micros_since(open.first) < WITHIN);
    }
}

fn level(log: Record<'_>) -> &'static str {
    match log.uint(Attribute::LogSeverity) {
        Some(3) => "an error",
        Some(CRITICAL..) => "a critical error",
        _ => "a warning",
    }
}

/// A text with `#` for each number in it: ports and connections differ where the rest is the same.
fn without_numbers(text: &str) -> String {
    let mut without = String::new();
    for letter in text.chars().take(MOST_OF_TEXT) {
        match letter {
            '0'..='9' if without.ends_with('#') => {}
            '0'..='9' => without.push('#'),
            _ => without.push(letter),
        }
    }
    without
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_differ_in_numbers_are_the_same() {
        let lines =
            ["[C5] Connection from 127.0.0.1:42912 failed", "[C17] Connection from 127.0.0.1:1 failed"];
        assert_eq!(lines.map(without_numbers), ["[C#] Connection from #.#.#.#:# failed"; 2]);
    }
}
