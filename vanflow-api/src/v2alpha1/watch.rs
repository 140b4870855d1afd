//! What changes, as it changes.
//!
//! A watch is a list, and then each item that changed, as it is by the time the watcher takes it. Connections and
//! requests are told when their records change. There are fewer of anything else, and much of it depends on records
//! other than its own: those are worked out anew when anything has changed, and told where they came out differently.

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
use vanflow_store::{Revision, Snapshot};

use crate::{
    api::Network,
    body::{Progress, Render},
    json::Json,
    pace::{Format, Pace, Woken},
    v2alpha1::{
        collection::{Item, Scope},
        list::List,
        query::Query,
        view::{Derived, View},
    },
};

/// How long changes are gathered, at least, before they are told.
const GATHER: Duration = Duration::from_millis(100);

/// The same where all has to be worked out anew to find them.
const GATHER_DERIVED: Duration = Duration::from_secs(1);

/// How many changes are looked at in one go.
const LOOKED_AT: usize = 1024;

/// One watcher.
pub(crate) struct Watch {
    network: Network,
    query: Arc<Query>,
    scope: Scope,
    format: Format,
    state: State,
    /// The changes up to here have been told.
    seen: Revision,
    /// The items that the watcher knows, by a hash of what tells them apart.
    told: HashMap<u64, Told>,
    hasher: RandomState,
    pace: Pace,
}

/// What a watcher was told of an item.
struct Told {
    /// A hash of it.
    hash: u64,
    /// All of it, unless it has ended: an item that follows from records can be gone all at once.
    open: Option<Box<[u8]>>,
}

enum State {
    Listing(Box<List>),
    Following,
    Over,
}

impl Watch {
    /// A watch that starts with the list.
    pub(crate) fn new(network: Network, query: Arc<Query>, scope: Scope, format: Format) -> Self {
        let list = List::new(network.lock().snapshot(), Arc::clone(&query), scope);
        Self {
            network,
            query,
            scope,
            format,
            seen: list.revision(),
            state: State::Listing(Box::new(list)),
            told: HashMap::new(),
            hasher: RandomState::new(),
            pace: Pace::new(),
        }
    }

    /// Everything that there is to tell.
    pub(crate) fn into_stream(self) -> impl Stream<Item = Bytes> + Send {
        let mut json = Json::default();
        if self.format == Format::Events {
            json.raw("event: list\ndata: ");
        }
        stream::unfold((self, json), |(mut watch, json)| async {
            let piece = watch.next(json).await?;
            Some((piece, (watch, Json::default())))
        })
    }

    async fn next(&mut self, mut json: Json) -> Option<Bytes> {
        if let Some(reason) = self.pace.stalled(&self.network, self.seen) {
            return Some(self.over(&reason));
        }
        loop {
            match &mut self.state {
                State::Over => return None,
                State::Listing(list) => {
                    if list.fill(&mut json) == Progress::Done {
                        if self.format == Format::Events {
                            json.raw("\n");
                        }
                        let snapshot = list.snapshot().clone();
                        self.state = State::Following;
                        if !self.tells_records() {
                            self.compare(&mut Json::default(), &snapshot);
                        }
                        self.pace.gather(self.gather());
                    }
                }
                State::Following => {
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

    /// Whether what is told is what has changed by itself.
    fn tells_records(&self) -> bool {
        self.query.collection.kind().is_some_and(vanflow_proto::RecordKind::is_flow)
    }

    fn gather(&self) -> Duration {
        if self.tells_records() { GATHER } else { GATHER_DERIVED }
    }

    /// Tells some changes, or waits for them. A piece of its own is a keep-alive or the end.
    async fn follow(&mut self, json: &mut Json) -> Option<Bytes> {
        self.pace.notice(&mut self.network).await;
        let (changes, snapshot) = {
            let store = self.network.lock();
            (store.changes(self.seen, LOOKED_AT), store.snapshot())
        };
        if snapshot.revision() > self.seen {
            let upto = if self.tells_records() && !changes.overrun {
                let records = changes.records.into_iter().map(Item::Record);
                self.tell_records(json, &snapshot, records);
                changes.upto
            } else if self.tells_records() {
                let seen = self.seen;
                let kind = self.query.collection.kind();
                let records: Vec<_> = kind
                    .into_iter()
                    .flat_map(|kind| snapshot.of_kind(kind))
                    .filter(|record| record.revision() > seen)
                    .map(|record| Item::Record(record.at()))
                    .collect();
                self.tell_records(json, &snapshot, records.into_iter());
                snapshot.revision()
            } else {
                self.compare(json, &snapshot);
                snapshot.revision()
            };
            self.seen = upto;
            if upto >= snapshot.revision() {
                self.pace.gather(self.gather());
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
                (self.format == Format::Events).then(|| Bytes::from_static(b": nothing new\n\n"))
            }
        }
    }

    fn tell_records(&self, json: &mut Json, snapshot: &Snapshot, items: impl Iterator<Item = Item>) {
        let collection = self.query.collection;
        let derived = Derived::new(snapshot, collection.needs());
        let view = View { snapshot, derived: &derived };
        for item in items {
            if collection.includes(view, item, self.scope)
                && let Some(subject) = collection.subject(view, item)
                && self.query.admits(view, &subject)
            {
                self.line(json, |json| collection.schema().render(json, view, &subject));
            }
        }
    }

    /// Tells what came out differently than it was told before. What passed the filters and does so no more is told a
    /// last time; and so is what does not follow any more from what there is, as ended now.
    fn compare(&mut self, json: &mut Json, snapshot: &Snapshot) {
        let collection = self.query.collection;
        let schema = collection.schema();
        let derived = Derived::new(snapshot, collection.needs());
        let view = View { snapshot, derived: &derived };
        let mut before = mem::take(&mut self.told);
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
            schema.render(&mut rendered, view, &subject);
            let hash = self.hasher.hash_one(&rendered.bytes);
            if known.is_none_or(|known| known.hash != hash) {
                self.line(json, |json| json.bytes.extend_from_slice(&rendered.bytes));
            }
            if is_admitted {
                let is_open = self.query.end_of(view, &subject) == 0;
                let open = is_open.then(|| rendered.bytes.into_boxed_slice());
                self.told.insert(id, Told { hash, open });
            }
        }
        for mut gone in before.into_values().filter_map(|told| serde_json::from_slice(&told.open?).ok()) {
            let gone: &mut Value = &mut gone;
            gone["endTime"] = snapshot.now().as_micros().into();
            self.line(json, |json| json.raw(&gone.to_string()));
        }
    }

    fn line(&self, json: &mut Json, render: impl FnOnce(&mut Json)) {
        // There is nothing to go on from: what was told of derived items is known by this watch alone.
        self.format.item(json, |_| {}, render);
    }

    fn over(&mut self, reason: &str) -> Bytes {
        self.state = State::Over;
        self.format.over(reason)
    }
}
