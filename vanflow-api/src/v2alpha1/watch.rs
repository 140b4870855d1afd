//! What changes, as it changes.
//!
//! A watch is a list, and then each item that changed, as it is by the time the watcher takes it. Connections and
//! requests learn when their records change. There are fewer of anything else, and much of it depends on records
//! other than its own: those are worked out anew when anything has changed, and reported where they came out differently.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    mem,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, stream};
use serde_json::Value;
use vanflow_store::{Record, RecordRef, Revision, Snapshot};

use crate::{
    body::{CHUNK, Progress, Render},
    json::Json,
    network::Network,
    pace::{Pace, WatchFormat, Woken},
    query::media::Media,
    v2alpha1::{
        collection::{Item, Scope},
        derivations::Derivations,
        explained::{EXPLAINING, Explained},
        list::List,
        query::Query,
        view::{Derived, View},
    },
};

/// How long changes are gathered, at least, before they are reported.
const GATHER: Duration = Duration::from_millis(100);

/// The same where all has to be worked out anew to find them.
const GATHER_DERIVED: Duration = Duration::from_secs(1);

/// How many changes are looked at in one go.
const LOOKED_AT: usize = 1024;

/// One watcher.
pub(crate) struct Watch {
    network: Network,
    derivations: Derivations,
    query: Arc<Query>,
    scope: Scope,
    format: WatchFormat,
    /// What the revisions belong to.
    instance: Arc<str>,
    state: State,
    /// The changes up to here have been reported.
    seen: Revision,
    /// Set while records have changed that may explain others: what has changed after this is reported as they are now.
    stale_since: Option<Revision>,
    /// What explains the connections and requests that the watcher knows.
    explained: Explained,
    /// The items that the watcher knows, by a hash of what distinguishes them.
    reported: HashMap<u64, Reported>,
    hasher: RandomState,
    pace: Pace,
}

/// What a watcher was reported an item.
struct Reported {
    /// A hash of it.
    hash: u64,
    /// All of it, unless it has ended: an item that follows from records can be gone all at once.
    open: Option<Box<[u8]>>,
}

enum State {
    /// The list is to come.
    New,
    Listing(Box<List>),
    /// Waiting for changes. A watcher that was here before may have missed what cannot be reported afterwards.
    Following {
        is_resumed: bool,
    },
    Over,
}

impl Watch {
    /// A watch that starts with the list; or one of connections or requests that goes on from a revision.
    pub(crate) fn new(
        (network, derivations): (Network, Derivations),
        query: Arc<Query>,
        scope: Scope,
        format: WatchFormat,
        instance: Arc<str>,
        resume: Option<Revision>,
    ) -> Self {
        let mut watch = Self {
            network,
            derivations,
            query,
            scope,
            format,
            instance,
            seen: Revision::default(),
            state: State::New,
            stale_since: None,
            explained: Explained::default(),
            reported: HashMap::new(),
            hasher: RandomState::new(),
            pace: Pace::new(),
        };
        if let Some(revision) = resume.filter(|_| watch.reports_records()) {
            watch.seen = revision;
            watch.state = State::Following { is_resumed: true };
        }
        watch
    }

    /// Everything that there is to report.
    pub(crate) fn into_stream(self) -> impl Stream<Item = Bytes> + Send {
        stream::unfold(self, |mut watch| async {
            let piece = watch.next().await?;
            Some((piece, watch))
        })
    }

    fn list(&self, json: &mut Json) -> State {
        let (snapshot, derivations) = (self.network.snapshot(), self.derivations.clone());
        let list = List::new(snapshot, derivations, Arc::clone(&self.query), self.scope, Media::Json);
        if self.format == WatchFormat::Events {
            json.raw("event: list\n");
            self.id(json, list.revision());
            json.raw("data: ");
        }
        State::Listing(Box::new(list))
    }

    async fn next(&mut self) -> Option<Bytes> {
        if let Some(reason) = self.pace.stalled(&self.network, self.seen) {
            return Some(self.over(&reason));
        }
        let mut json = Json::default();
        loop {
            match &mut self.state {
                State::Over => return None,
                State::New => {
                    self.state = self.list(&mut json);
                    continue;
                }
                State::Listing(list) => {
                    if list.fill(&mut json) == Progress::Done {
                        if self.format == WatchFormat::Events {
                            json.raw("\n");
                        }
                        let snapshot = list.snapshot().clone();
                        self.seen = list.revision();
                        self.state = State::Following { is_resumed: false };
                        if self.reports_records() {
                            self.explained.compare(snapshot, self.seen);
                        } else {
                            self.compare(&mut Json::default(), &snapshot);
                        }
                        self.pace.gather(self.gather());
                    }
                }
                State::Following { .. } => {
                    if let Some(piece) = self.follow(&mut json).await {
                        return Some(self.pace.hand_out(piece));
                    }
                }
            }
            if !json.bytes.is_empty() {
                return Some(self.pace.hand_out(json.bytes.into()));
            }
        }
    }

    /// Whether what is reported is what has changed by itself.
    fn reports_records(&self) -> bool {
        self.query.collection.flow_kind().is_some()
    }

    fn gather(&self) -> Duration {
        if self.reports_records() { GATHER } else { GATHER_DERIVED }
    }

    /// Reports some changes, or waits for them. A piece of its own is a keep-alive or the end.
    async fn follow(&mut self, json: &mut Json) -> Option<Bytes> {
        if !self.explained.is_reported() {
            if !self.explained.go_on(&self.query) {
                self.report_again(json);
            }
            if json.bytes.is_empty() {
                tokio::task::yield_now().await;
            }
            return None;
        }
        self.pace.notice(&mut self.network).await;
        let (changes, snapshot) = {
            let store = self.network.read();
            (store.changes(self.seen, LOOKED_AT), store.snapshot())
        };
        if let State::Following { is_resumed: true } = self.state {
            if changes.overrun || is_explained_anew(&snapshot, self.seen) {
                self.state = State::New;
                return None;
            }
            self.state = State::Following { is_resumed: false };
            self.explained.compare(snapshot, self.seen);
            return None;
        }
        if snapshot.revision() > self.seen {
            let is_explaining = |at: &RecordRef| {
                let kind = snapshot.get(*at).and_then(|record| record.kind());
                kind.is_some_and(|kind| EXPLAINING.contains(&kind))
            };
            if self.reports_records() && (changes.overrun || changes.records.iter().any(is_explaining)) {
                self.stale_since = Some(self.seen);
            }
            let upto = if !self.reports_records() {
                self.compare(json, &snapshot);
                snapshot.revision()
            } else if changes.overrun {
                self.report_later(json, &snapshot);
                snapshot.revision()
            } else {
                self.report_records(json, &snapshot, &changes.records);
                changes.upto
            };
            self.seen = upto;
            if upto >= snapshot.revision() {
                self.pace.gather(if self.stale_since.is_some() { GATHER_DERIVED } else { self.gather() });
                if let Some(since) = self.stale_since.take() {
                    self.explained.compare(snapshot, since);
                }
            }
            if json.bytes.is_empty() {
                tokio::task::yield_now().await;
            }
            return None;
        }
        match self.pace.change(&mut self.network).await {
            Woken::ByChange => None,
            Woken::ByTheEnd(reason) => Some(self.over(reason)),
            Woken::ToKeepAlive => {
                let mut json = Json::default();
                json.raw(": nothing new\n");
                // The id says that there was nothing of interest up to here.
                self.id(&mut json, self.seen);
                json.raw("\n");
                (self.format == WatchFormat::Events).then(|| json.bytes.into())
            }
        }
    }

    /// Reports connections and requests again that others explain now: those that are open, and those that have ended
    /// but were in the list. What passed the filters and does so no more is reported a last time.
    fn report_again(&mut self, json: &mut Json) {
        let snapshot = self.network.snapshot();
        let collection = self.query.collection;
        let derived = Derived::new(&snapshot, collection.needs());
        let view = View { snapshot: &snapshot, derived: &derived };
        for _ in 0..LOOKED_AT {
            if json.bytes.len() >= CHUNK {
                break;
            }
            let Some(again) = self.explained.next() else { break };
            let Some(record) = snapshot.get(again.record) else { continue };
            if !collection.includes(view, Item::Record(again.record), self.scope) {
                continue;
            }
            let Some(subject) = collection.subject_of(record) else { continue };
            let is_listed = record.is_live() || self.query.is_in_time_of(view, &subject);
            let mut own = self.query.tests().filter(|test| !test.is_of_lane());
            let has_passed = again.was_asked && own.all(|test| test.admits(view, &subject));
            if is_listed && (has_passed || self.query.admits(view, &subject)) {
                self.line(json, None, |json| {
                    collection.schema().render(json, view, &subject, self.query.fields.as_deref())
                });
            }
        }
    }

    /// Reports those of the records that are watched, in the order of their changes.
    fn report_records(&mut self, json: &mut Json, snapshot: &Snapshot, records: &[RecordRef]) {
        let derived = Derived::new(snapshot, self.query.collection.needs());
        let view = View { snapshot, derived: &derived };
        for record in records.iter().filter_map(|at| snapshot.get(*at)) {
            self.report(json, view, record, Some(record.revision()));
        }
    }

    /// Reports all records that have changed since, because the changes are not remembered any more: in another order
    /// than they changed in, so that there is nothing to go on from before all have been reported.
    fn report_later(&mut self, json: &mut Json, snapshot: &Snapshot) {
        let derived = Derived::new(snapshot, self.query.collection.needs());
        let view = View { snapshot, derived: &derived };
        for record in self.query.collection.flow_kind().into_iter().flat_map(|kind| snapshot.flows(kind)) {
            if record.revision() > self.seen {
                self.report(json, view, record, None);
            }
        }
    }

    /// Reports a connection or request, if it is one of those that are watched.
    fn report(&mut self, json: &mut Json, view: View<'_>, record: Record<'_>, revision: Option<Revision>) {
        let collection = self.query.collection;
        let item = Item::Record(record.at());
        if record.flow_kind() != collection.flow_kind() {
            return;
        }
        self.explained.note(view, record, &self.query);
        // Whoever goes on from a record has received what explains those before it.
        let revision = revision.filter(|_| self.stale_since.is_none() && self.explained.is_reported());
        if collection.includes(view, item, self.scope)
            && let Some(subject) = collection.subject(view, item)
            && self.query.admits(view, &subject)
        {
            self.line(json, revision, |json| {
                collection.schema().render(json, view, &subject, self.query.fields.as_deref())
            });
        }
    }

    /// Says what came out differently than it was reported before. What passed the filters and does so no more is reported a
    /// last time; and so is what does not follow any more from what there is, as ended now.
    fn compare(&mut self, json: &mut Json, snapshot: &Snapshot) {
        let collection = self.query.collection;
        let schema = collection.schema();
        let derived = self.derivations.of(snapshot, collection.needs());
        let view = View { snapshot, derived: &derived };
        let mut before = mem::take(&mut self.reported);
        for item in collection.items(view, self.scope, false) {
            let Some(subject) = collection.subject(view, item) else { continue };
            // Several records can have had one identity, one after the other (faults 6). What follows from records is known
            // by its identity alone.
            let place = if let Item::Record(at) = item { Some(at) } else { None };
            let id = self.hasher.hash_one((place, schema.identity(view, &subject)));
            let known = before.remove(&id);
            let is_admitted = self.query.admits(view, &subject);
            if !is_admitted && known.is_none() {
                continue;
            }
            let mut rendered = Json::default();
            schema.render(&mut rendered, view, &subject, self.query.fields.as_deref());
            let hash = self.hasher.hash_one(&rendered.bytes);
            if known.is_none_or(|known| known.hash != hash) {
                self.line(json, None, |json| json.bytes.extend_from_slice(&rendered.bytes));
            }
            if is_admitted {
                let is_open = self.query.end_of(view, &subject) == 0;
                let open = is_open.then(|| rendered.bytes.into_boxed_slice());
                self.reported.insert(id, Reported { hash, open });
            }
        }
        for mut gone in
            before.into_values().filter_map(|reported| serde_json::from_slice(&reported.open?).ok())
        {
            let gone: &mut Value = &mut gone;
            gone["endTime"] = snapshot.now().as_micros().into();
            self.line(json, None, |json| json.raw(&gone.to_string()));
        }
    }

    /// One object, as a line or an event, to go on from if there is a revision.
    fn line(&self, json: &mut Json, revision: Option<Revision>, render: impl FnOnce(&mut Json)) {
        let id = |json: &mut Json| revision.into_iter().for_each(|revision| self.id(json, revision));
        self.format.item(json, id, render);
    }

    /// What a watcher of connections or requests can go on from. What was reported anything else is known by this watch
    /// alone.
    fn id(&self, json: &mut Json, revision: Revision) {
        if self.reports_records() {
            json.raw("id: ");
            json.raw(&self.instance);
            json.raw("-");
            json.uint(revision.as_u64());
            json.raw("\n");
        }
    }

    fn over(&mut self, reason: &str) -> Bytes {
        self.state = State::Over;
        self.format.over(reason)
    }
}

/// Whether any of the records that others are shown with something of has changed since.
fn is_explained_anew(snapshot: &Snapshot, since: Revision) -> bool {
    let mut records = EXPLAINING.into_iter().flat_map(|kind| snapshot.of_kind(kind));
    records.any(|record| record.revision() > since)
}
