//! What an event is.

use vanflow_proto::Timestamp;
use vanflow_store::{Record, Text};

use crate::v1::{
    events::wording::plain,
    subject::{Severity, Subject, SubjectType, in_network},
};

macro_rules! kinds {
    ($($(#[doc = $docs:literal])+ $variant:ident $name:literal;)+) => {
        /// What kind of thing happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) enum EventKind {
            $( $(#[doc = $docs])+ $variant, )+
        }

        impl EventKind {
            /// All of them.
            pub(crate) const ALL: &'static [Self] = &[ $( Self::$variant, )+ ];

            /// Their names.
            pub(crate) const NAMES: &'static [&'static str] = &[ $( $name, )+ ];

            /// What it is called in answers.
            pub(crate) fn name(self) -> &'static str {
                match self { $( Self::$variant => $name, )+ }
            }

            /// One sentence on what it stands for.
            pub(crate) fn description(self) -> &'static str {
                match self { $( Self::$variant => concat!($($docs),+), )+ }
            }
        }
    };
}

kinds! {
    /// A link between two routers went down, or was removed.
    LinkDown "linkDown";
    /// A link came up: again, or for the first time.
    LinkUp "linkUp";
    /// A router joined the network, or came back to it.
    RouterStarted "routerStarted";
    /// A router came back with a new identity or a new start.
    RouterRestarted "routerRestarted";
    /// A router stopped, or nothing is received from it any more.
    RouterLost "routerLost";
    /// A site joined the network, or came back to it.
    SiteStarted "siteStarted";
    /// A site left the network.
    SiteEnded "siteEnded";
    /// A source has not repeated what it has for ten seconds: what is shown of it is incomplete.
    SourceIncomplete "sourceIncomplete";
    /// Such a source is complete.
    SourceComplete "sourceComplete";
    /// Nothing is received from a source any more that is no router.
    SourceLost "sourceLost";
    /// A source that is no router joined the network, or came back to it.
    SourceSeen "sourceSeen";
    /// A service has listeners, but no connector any more.
    ServiceWithoutConnector "serviceWithoutConnector";
    /// Such a service has a connector.
    ServiceServed "serviceServed";
    /// Every connection to a service fails at its connectors.
    ServiceRefused "serviceRefused";
    /// Such a service has answered a connection.
    ServiceAnswers "serviceAnswers";
    /// Processes of a component started.
    ProcessStarted "processStarted";
    /// Processes of a component ended.
    ProcessEnded "processEnded";
    /// Clients of a service broke connections off, within a minute.
    ClientDisconnects "clientDisconnects";
    /// A router logged a warning or an error.
    Warning "warning";
    /// A router logged that a certificate was not accepted or has expired.
    Certificate "certificate";
}

/// What an event is about. Names and ids come from sources: they are kept in one line, and cut where they are very long.
pub(crate) fn subject(subject_type: SubjectType, id: impl AsRef<str>, name: impl AsRef<str>) -> Subject {
    Subject { subject_type, id: plain(id.as_ref(), MOST_OF_NAME), name: plain(name.as_ref(), MOST_OF_NAME) }
}

/// Letters of a name or an id that are kept.
const MOST_OF_NAME: usize = 200;

/// The site at which something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
}

impl Place {
    /// Where a record is, as far as that is known.
    pub(crate) fn of(record: Record<'_>) -> Option<Self> {
        let site = record.site();
        let id = site.map(|site| site.id()).or_else(|| record.site_id())?;
        let name = site.and_then(|site| site.text(vanflow_proto::Attribute::Name));
        Some(Self {
            id: plain(&id.to_cow(), MOST_OF_NAME),
            name: name.filter(|name| *name != "").map(|name| plain(&name.to_cow(), MOST_OF_NAME)),
        })
    }
}

/// Something that happened on the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its number when it was recorded.
    pub(crate) identity: u64,
    /// Grows by one with each event, and with each that is counted to one that is there, which gets the new number.
    pub(crate) number: u64,
    /// When, by our clock.
    pub(crate) time: Timestamp,
    /// When it was over, if it lasted and is over.
    pub(crate) end: Option<Timestamp>,
    pub(crate) kind: EventKind,
    pub(crate) severity: Severity,
    pub(crate) subject: Subject,
    pub(crate) place: Option<Place>,
    /// A sentence for people, without markup and without a full stop.
    pub(crate) text: String,
    /// What routers say of it, or what else there is to know.
    pub(crate) detail: Option<String>,
    /// How many things happened that it stands for, where that can be more than one.
    pub(crate) count: Option<u64>,
}

impl Event {
    /// The last time that it says something of.
    pub(crate) fn last(&self) -> Timestamp {
        self.end.unwrap_or(self.time).max(self.time)
    }
}

/// The name of a record, or else its id; of a router without its network.
pub(crate) fn called(record: Record<'_>) -> String {
    let name = record.text(vanflow_proto::Attribute::Name).filter(|name| *name != "");
    let name = name.unwrap_or_else(|| record.id()).to_cow();
    let is_router = record.kind() == Some(vanflow_proto::RecordKind::Router);
    plain(if is_router { in_network(&name) } else { &name }, MOST_OF_NAME)
}

/// The source that reported a record; nobody for what follows from others.
pub(crate) fn reporter(record: Record<'_>) -> &str {
    record.source().map_or("", |source| source.id())
}

/// A text of a record, for people.
pub(crate) fn said(text: Option<Text<'_>>) -> Option<String> {
    text.filter(|text| *text != "").map(|text| plain(&text.to_cow(), MOST_OF_TEXT))
}

/// Letters of what a router says that are kept.
pub(crate) const MOST_OF_TEXT: usize = 300;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_kind_has_a_name_of_its_own_and_a_sentence() {
        let names: HashSet<_> = EventKind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), EventKind::ALL.len());
        for kind in EventKind::ALL {
            assert!(kind.description().trim().ends_with('.'), "{}", kind.name());
        }
    }

    #[test]
    fn names_from_sources_stay_in_one_line_and_have_an_end() {
        let subject = subject(SubjectType::Router, "a:0\n", format!("evil\u{1b}[31m\n{}", "x".repeat(1000)));
        assert_eq!(subject.id, "a:0 ");
        assert!(subject.name.starts_with("evil [31m x"), "{}", subject.name);
        assert_eq!(subject.name.chars().count(), MOST_OF_NAME);
        assert!(subject.name.ends_with('…'));
    }
}
