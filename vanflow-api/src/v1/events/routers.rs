//! Routers that start, restart and are lost.
//!
//! A router is known by its name: when it restarts it may come back under the same id with a newer start (faults 6), or
//! under another id, while the old one is presumed to live for half a minute (faults 7).

use std::collections::HashMap;

use vanflow_proto::{Attribute, Timestamp};
use vanflow_store::Record;

use crate::v1::{
    events::{
        event::{EventKind, Place, called, reporter, subject},
        moment::Moment,
        timeline::{Draft, Timeline},
        wording::span,
    },
    subject::{Severity, SubjectType},
};

/// How long a router that restarts may take from ending what it had to reporting itself, in microseconds.
const RESTARTS_WITHIN: u64 = 5_000_000;

/// How long one that is lost is remembered, in microseconds, so that its return is one.
const REMEMBERED: u64 = 3_600_000_000;

/// The routers, by name.
#[derive(Debug, Default)]
pub(super) struct Routers {
    known: HashMap<String, Known>,
}

#[derive(Debug)]
struct Known {
    id: String,
    start: Option<Timestamp>,
    gone: Option<Gone>,
}

#[derive(Debug)]
struct Gone {
    since: Timestamp,
    news: News,
}

/// Whether that a router is gone has been recorded.
#[derive(Debug)]
enum News {
    /// Not yet: it may be restarting. What would be recorded, and for which source.
    Held(String, Box<Draft>),
    /// By the event with that number, if there is one.
    Recorded(Option<u64>),
}

impl Routers {
    /// A ROUTER that changed.
    pub(super) fn observe(&mut self, router: Record<'_>, moment: &Moment<'_>, timeline: &mut Timeline) {
        if router.text(Attribute::Name).is_none() && router.start().is_none() {
            // It is known by halves (faults 1), and not by its name.
            return;
        }
        let (name, id) = (called(router), router.id().to_cow());
        let Some(known) = self.known.get_mut(&name) else {
            if router.is_live() && moment.is_new(router) {
                let started = moment.started_since(router);
                let (time, verb) = if started {
                    (moment.since_began(router, router.start()), "started")
                } else {
                    (moment.now, "joined the network")
                };
                let text = format!("router {name} {verb}");
                timeline.add(
                    reporter(router),
                    draft(EventKind::RouterStarted, Severity::Change, time, router, text),
                );
            }
            if router.is_live() || moment.is_first {
                let gone =
                    (!router.is_live()).then_some(Gone { since: moment.now, news: News::Recorded(None) });
                self.known.insert(name, Known { id: id.into_owned(), start: router.start(), gone });
            }
            return;
        };
        let is_same = known.id == *id
            && (known.start.is_none() || router.start().is_none() || known.start == router.start());
        if !router.is_live() {
            if is_same && known.gone.is_none() {
                known.lose(router, &name, moment, timeline);
            }
            return;
        }
        if is_same {
            known.start = known.start.or(router.start());
            known.welcome_back(router, &name, moment, timeline);
            return;
        }
        // One that started before the one that is known is its past, or another of that name.
        if known.gone.is_none() && router.start() <= known.start {
            return;
        }
        let is_same_id = known.id == *id;
        (known.id, known.start) = (id.into_owned(), router.start());
        let gone = known.gone.take();
        if !moment.is_new(router) {
            return;
        }
        let away = gone.and_then(|Gone { since, news }| match news {
            News::Recorded(Some(number)) => {
                timeline.end(number, moment.now);
                Some(format!("it was away for {}", span(moment.now.micros_since(since))))
            }
            News::Recorded(None) | News::Held(..) => None,
        });
        let identity = if is_same_id { "it has the identity that it had" } else { "it has a new identity" };
        let detail = away.map_or_else(|| identity.to_owned(), |away| format!("{away}, and {identity}"));
        let time = moment.since_began(router, router.start());
        let text = format!("router {name} restarted");
        let draft =
            draft(EventKind::RouterRestarted, Severity::Warn, time, router, text).detail(Some(detail));
        timeline.add(reporter(router), draft);
    }

    /// All that changed was looked at: records what has been held back for long enough.
    pub(super) fn conclude(&mut self, moment: &Moment<'_>, timeline: &mut Timeline) {
        for known in self.known.values_mut() {
            let Some(Gone { since, news }) = &mut known.gone else { continue };
            if moment.now.micros_since(*since) < RESTARTS_WITHIN || matches!(news, News::Recorded(_)) {
                continue;
            }
            if let News::Held(source, draft) = std::mem::replace(news, News::Recorded(None)) {
                *news = News::Recorded(timeline.add(&source, *draft));
            }
        }
    }

    /// Forgets those that have been gone for long.
    pub(super) fn sweep(&mut self, moment: &Moment<'_>) {
        self.known.retain(|_, known| {
            known.gone.as_ref().is_none_or(|gone| moment.now.micros_since(gone.since) < REMEMBERED)
        });
    }
}

impl Known {
    fn lose(&mut self, router: Record<'_>, name: &str, moment: &Moment<'_>, timeline: &mut Timeline) {
        let source = reporter(router);
        let is_silent = router.source().is_some_and(|source| !source.is_alive());
        let news = if !router.is_end_presumed() {
            let time = moment.since_began(router, router.end());
            let text = format!("router {name} stopped");
            News::Recorded(
                timeline.add(source, draft(EventKind::RouterLost, Severity::Warn, time, router, text)),
            )
        } else if is_silent {
            let last = router.source().map_or(moment.now, |source| source.last_heard());
            let draft = draft(
                EventKind::RouterLost,
                Severity::Bad,
                moment.now,
                router,
                format!("router {name} was lost"),
            );
            let silence = span(moment.now.micros_since(last));
            let draft = draft.detail(Some(format!("nothing was received from it for {silence}")));
            News::Recorded(timeline.add(source, draft))
        } else {
            // Its source restarted and has not reported itself yet, or does not repeat it.
            let text = format!("router {name} is reported no more");
            let draft = draft(EventKind::RouterLost, Severity::Warn, moment.now, router, text);
            News::Held(source.to_owned(), Box::new(draft))
        };
        self.gone = Some(Gone { since: moment.now, news });
    }

    fn welcome_back(&mut self, router: Record<'_>, name: &str, moment: &Moment<'_>, timeline: &mut Timeline) {
        let Some(Gone { since, news: News::Recorded(number) }) = self.gone.take() else { return };
        if let Some(number) = number {
            timeline.end(number, moment.now);
        }
        let text = format!("router {name} is back after {}", span(moment.now.micros_since(since)));
        timeline
            .add(reporter(router), draft(EventKind::RouterStarted, Severity::Fine, moment.now, router, text));
    }
}

fn draft(kind: EventKind, severity: Severity, time: Timestamp, router: Record<'_>, text: String) -> Draft {
    let about = subject(SubjectType::Router, router.id().to_cow(), called(router));
    Draft::new(kind, severity, time, about, text).at(Place::of(router))
}
