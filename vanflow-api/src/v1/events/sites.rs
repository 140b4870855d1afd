//! Sites that come and go.

use std::collections::HashMap;

use vanflow_store::{Record, Snapshot};

use crate::v1::{
    events::{
        event::{EventKind, Place, called, reporter, subject},
        moment::Moment,
        timeline::{Draft, Timeline},
        wording::span,
    },
    subject::{Severity, SubjectType},
};

/// The sites, by id.
#[derive(Debug, Default)]
pub(super) struct Sites {
    known: HashMap<String, Known>,
}

#[derive(Debug)]
struct Known {
    is_live: bool,
    /// The event that says that it ended, and when.
    ended: Option<(Option<u64>, vanflow_proto::Timestamp)>,
}

impl Sites {
    /// A SITE that changed.
    pub(super) fn observe(&mut self, site: Record<'_>, moment: &Moment<'_>, timeline: &mut Timeline) {
        let id = site.id().to_cow();
        let Some(known) = self.known.get_mut(&*id) else {
            if site.is_live() && moment.is_new(site) {
                let (time, verb) = if moment.started_since(site) {
                    (moment.since_began(site, site.start()), "started")
                } else {
                    (moment.now, "joined the network")
                };
                let text = format!("site {} {verb}", called(site));
                timeline
                    .add(reporter(site), draft(EventKind::SiteStarted, Severity::Change, time, site, text));
            }
            self.known.insert(id.into_owned(), Known { is_live: site.is_live(), ended: None });
            return;
        };
        if std::mem::replace(&mut known.is_live, site.is_live()) == site.is_live() {
            return;
        }
        if site.is_live() {
            let ended = known.ended.take();
            let after = ended.map_or_else(String::new, |(event, since)| {
                if let Some(number) = event {
                    timeline.end(number, moment.now);
                }
                format!(" after {}", span(moment.now.micros_since(since)))
            });
            let text = format!("site {} is back{after}", called(site));
            timeline
                .add(reporter(site), draft(EventKind::SiteStarted, Severity::Change, moment.now, site, text));
            return;
        }
        let draft = if site.is_end_presumed() {
            let text = format!("site {} was lost", called(site));
            draft(EventKind::SiteEnded, Severity::Warn, moment.now, site, text)
                .detail(Some("no source reports it any more".to_owned()))
        } else {
            let text = format!("site {} ended", called(site));
            draft(EventKind::SiteEnded, Severity::Change, moment.since_began(site, site.end()), site, text)
        };
        known.ended = Some((timeline.add(reporter(site), draft), moment.now));
    }

    /// Forgets those that are not retained any more.
    pub(super) fn sweep(&mut self, snapshot: &Snapshot) {
        self.known.retain(|id, known| known.is_live || snapshot.find(id).next().is_some());
    }
}

fn draft(
    kind: EventKind,
    severity: Severity,
    time: vanflow_proto::Timestamp,
    site: Record<'_>,
    text: String,
) -> Draft {
    let about = subject(SubjectType::Site, site.id().to_cow(), called(site));
    Draft::new(kind, severity, time, about, text).at(Place::of(site))
}
