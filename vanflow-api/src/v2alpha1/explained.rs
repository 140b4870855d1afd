//! What connections and requests are shown with of other records, for watchers of them.
//!
//! When a process, connector, listener, site or router is reported, or changes, connections are shown otherwise that have
//! not changed themselves. There are many of them, and few lanes: so what is remembered is a sum for each lane, and
//! when it comes out differently the connections of that lane are due to be reported again.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, Hash, Hasher, RandomState},
    mem,
};

use vanflow_proto::{Attribute, RecordKind};
use vanflow_store::{Connection, FlowKind, Lane, LaneRef, Record, RecordRef, Revision, Snapshot, Text};

use crate::v2alpha1::{
    connection::Flow,
    flow::CONNECTION,
    query::Query,
    view::{Derived, Needs, Subject, View},
};

/// How many lanes, or connections, are looked at in one go.
const LOOKED_AT: usize = 4096;

/// What one watcher was reported each lane, and what it is due to be reported again.
#[derive(Debug, Default)]
pub(crate) struct Explained {
    lanes: HashMap<LaneRef, Shown>,
    /// The sites of routers by their names, as traces show them.
    routers: HashMap<String, Option<String>>,
    hasher: RandomState,
    comparing: Option<Comparing>,
    again: VecDeque<Again>,
}

/// What connections of a lane are shown with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shown {
    sum: u64,
    /// Whether they pass the filters that depend on the lane.
    is_asked: bool,
}

/// A connection or request that is shown otherwise now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Again {
    pub(crate) record: RecordRef,
    /// Whether it passed the filters that depend on the lane before.
    pub(crate) was_asked: bool,
}

/// A comparison that is under way.
#[derive(Debug)]
struct Comparing {
    snapshot: Snapshot,
    /// The lanes that are left.
    left: VecDeque<LaneRef>,
    /// What was known before of those.
    before: HashMap<LaneRef, Shown>,
    /// Names in traces that are shown otherwise.
    renamed: Vec<String>,
    /// Records that have changed after this are reported for themselves.
    since: Revision,
}

/// The kinds of records that connections and requests are shown with something of.
pub(crate) const EXPLAINING: [RecordKind; 5] =
    [RecordKind::Site, RecordKind::Router, RecordKind::Listener, RecordKind::Connector, RecordKind::Process];

impl Explained {
    /// Begins to compare what is shown in a snapshot with what was shown before. Records that have changed after
    /// `since` are left out.
    pub(crate) fn compare(&mut self, snapshot: Snapshot, since: Revision) {
        let left = snapshot.lanes().filter(|lane| lane.retained() > 0).map(|lane| lane.at()).collect();
        let derived = Derived::new(&snapshot, Needs::default());
        let site = |router: Record<'_>| Some(router.site()?.text(Attribute::Name)?.to_string());
        let routers: HashMap<_, _> =
            derived.routers.iter(&snapshot).map(|(name, router)| (name.to_owned(), site(router))).collect();
        let names = routers.keys().chain(self.routers.keys());
        let renamed = names.filter(|name| routers.get(*name) != self.routers.get(*name)).cloned().collect();
        self.routers = routers;
        let before = mem::take(&mut self.lanes);
        self.comparing = Some(Comparing { snapshot, left, before, renamed, since });
    }

    /// Goes on with that for a while. Whether there is more to do.
    pub(crate) fn go_on(&mut self, query: &Query) -> bool {
        let Some(mut comparing) = self.comparing.take() else { return false };
        let derived = Derived::new(&comparing.snapshot, query.collection.needs());
        let view = View { snapshot: &comparing.snapshot, derived: &derived };
        let mut looked_at = 0;
        while looked_at < LOOKED_AT
            && let Some(at) = comparing.left.pop_front()
        {
            looked_at += 1;
            let Some(lane) = view.snapshot.lane(at) else { continue };
            let shown = self.shown(view, lane, query);
            self.lanes.insert(at, shown);
            // A lane that was not there has no connections but such as are reported for themselves.
            let Some(before) = comparing.before.get(&at) else { continue };
            let is_other = *before != shown;
            if !is_other && comparing.renamed.is_empty() {
                continue;
            }
            for connection in lane.connections() {
                looked_at += 1;
                if is_other || passes(connection, &comparing.renamed) {
                    self.add(connection, query, before.is_asked, comparing.since);
                }
            }
        }
        let is_done = comparing.left.is_empty();
        if !is_done {
            self.comparing = Some(comparing);
        }
        !is_done
    }

    /// Notes how connections of a lane are shown to which one is reported for itself, if nothing is known of it yet.
    pub(crate) fn note(&mut self, view: View<'_>, record: Record<'_>, query: &Query) {
        if let Some(lane) = record.lane()
            && !self.lanes.contains_key(&lane.at())
        {
            let shown = self.shown(view, lane, query);
            self.lanes.insert(lane.at(), shown);
        }
    }

    /// What is due to be reported again, one after the other.
    pub(crate) fn next(&mut self) -> Option<Again> {
        self.again.pop_front()
    }

    /// Whether all is reported as it is shown.
    pub(crate) fn is_reported(&self) -> bool {
        self.again.is_empty() && self.comparing.is_none()
    }

    fn add(&mut self, connection: Record<'_>, query: &Query, was_asked: bool, since: Revision) {
        let is_request = query.collection.flow_kind() == Some(FlowKind::Request);
        let own = (!is_request).then_some(connection);
        let requests = connection
            .children()
            .filter(|child| is_request && child.flow_kind() == query.collection.flow_kind());
        let again = own.into_iter().chain(requests).filter(|record| record.revision() <= since);
        self.again.extend(again.map(|record| Again { record: record.at(), was_asked }));
    }

    fn shown(&self, view: View<'_>, lane: Lane<'_>, query: &Query) -> Shown {
        // One that has no connection any more is shown nowhere.
        let Some(flow) = Flow::of_lane(lane) else { return Shown { sum: 0, is_asked: false } };
        let sum = self.sum(view, &flow);
        let mut tests = query.tests().filter(|test| test.is_of_lane());
        // Whatever a request has from its lane is a property of its connection, under the same name.
        let subject = Subject::Flow(flow);
        let is_asked = tests.all(|test| {
            test.passes(|filter| {
                let of_connection = CONNECTION.property(filter.property.name);
                of_connection.is_none_or(|property| filter.admits_by(property, view, &subject))
            })
        });
        Shown { sum, is_asked }
    }

    /// A sum of all that a connection is shown with of other records.
    fn sum<'v>(&self, view: View<'v>, flow: &Flow<'v>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        for party in [flow.source(view), flow.destination(view)] {
            let facts = party
                .map(|party| (party.id(), party.name(), party.group(), party.site_id(), party.site_name()));
            facts.hash(&mut hasher);
        }
        for endpoint in [flow.listener(), flow.connector()].into_iter().flatten() {
            let name = |record: Option<Record<'v>>| record.and_then(|record| record.text(Attribute::Name));
            endpoint.id().hash(&mut hasher);
            (name(endpoint.router()), name(endpoint.site())).hash(&mut hasher);
            for attribute in
                [Attribute::DestHost, Attribute::DestPort, Attribute::Protocol, Attribute::VanAddress]
            {
                endpoint.text(attribute).hash(&mut hasher);
            }
            endpoint.site_id().hash(&mut hasher);
        }
        hasher.finish()
    }
}

/// Whether the trace of a connection has one of these names.
fn passes(connection: Record<'_>, routers: &[String]) -> bool {
    let trace = Connection::new(connection).and_then(|connection| connection.trace()).map(Text::to_cow);
    trace.is_some_and(|trace| trace.split('|').any(|name| routers.iter().any(|router| router == name)))
}
