//! Lists and single items, rendered from a snapshot.

use std::{sync::Arc, vec};

use vanflow_store::{Revision, Snapshot};

use crate::{
    body::{CHUNK, Progress, Render},
    json::Json,
    v2alpha1::{
        collection::{Collection, Item, Scope},
        query::Query,
        view::{Derived, View},
    },
};

/// A list that is under way: what is kept of it is the snapshot, what was derived, and what is left to show.
#[derive(Debug)]
pub(crate) struct List {
    snapshot: Snapshot,
    query: Arc<Query>,
    scope: Scope,
    /// None before the first piece.
    answer: Option<Answer>,
}

#[derive(Debug)]
struct Answer {
    derived: Derived,
    left: vec::IntoIter<Item>,
    count: usize,
    total: usize,
}

impl List {
    pub(crate) fn new(snapshot: Snapshot, query: Arc<Query>, scope: Scope) -> Self {
        Self { snapshot, query, scope, answer: None }
    }

    /// The state of the network that the list shows.
    pub(crate) fn revision(&self) -> Revision {
        self.snapshot.revision()
    }

    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }
}

impl Render for List {
    fn fill(&mut self, json: &mut Json) -> Progress {
        let Self { snapshot, query, scope, answer } = self;
        let collection = query.collection;
        let answer = answer.get_or_insert_with(|| {
            let derived = Derived::new(snapshot, collection.needs());
            let (items, total) = query.select(View { snapshot, derived: &derived }, *scope);
            json.raw("{\"results\":[");
            Answer { derived, count: items.len(), left: items.into_iter(), total }
        });
        let view = View { snapshot, derived: &answer.derived };
        while json.bytes.len() < CHUNK {
            let is_first = answer.left.len() == answer.count;
            let Some(item) = answer.left.next() else {
                json.raw("],\"count\":");
                json.uint(answer.count as u64);
                json.raw(",\"timeRangeCount\":");
                json.uint(answer.total as u64);
                json.raw("}\n");
                return Progress::Done;
            };
            if !is_first {
                json.raw(",");
            }
            if let Some(subject) = collection.subject(view, item) {
                collection.schema().render(json, view, &subject);
            }
        }
        Progress::More
    }
}

/// The answer about one item, if there is one with that identity.
pub(crate) fn single(snapshot: &Snapshot, collection: Collection, id: &str) -> Option<Json> {
    let derived = Derived::new(snapshot, collection.needs());
    let view = View { snapshot, derived: &derived };
    let subject = collection.subject(view, collection.find(view, id)?)?;
    let mut json = Json::default();
    json.raw("{\"results\":");
    collection.schema().render(&mut json, view, &subject);
    json.raw("}\n");
    Some(json)
}
