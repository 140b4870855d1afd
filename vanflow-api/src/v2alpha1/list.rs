//! Lists and single items, rendered from a snapshot.

use std::{sync::Arc, vec};

use vanflow_history::rows::{Rows, UnreadableRows};
use vanflow_store::{Revision, Snapshot};

use crate::{
    body::{CHUNK, Progress, Render},
    error::ApiError,
    json::{Json, Object},
    query::{csv, media::Media, value::Cell},
    v2alpha1::{
        after,
        collection::{Collection, Scope},
        derivations::Derivations,
        group::Grouping,
        past::{self, Answered, Before, Listed},
        query::Query,
        schema::Property,
        view::{Derived, View},
    },
};

/// A list that is under way: what is kept of it is the snapshot, what was derived, and what is left to show.
#[derive(Debug)]
pub(crate) struct List {
    snapshot: Snapshot,
    derivations: Derivations,
    query: Arc<Query>,
    scope: Scope,
    media: Media,
    /// None before the first piece.
    answer: Option<Answer>,
}

#[derive(Debug)]
struct Answer {
    derived: Arc<Derived>,
    left: Left,
    count: usize,
    total: usize,
    /// Of which time it is.
    answered: Answered,
    /// Whether what is before the first item was written.
    is_open: bool,
}

/// What is left to show.
#[derive(Debug)]
enum Left {
    Items(vec::IntoIter<Listed>),
    Groups { columns: Vec<String>, rows: vec::IntoIter<Vec<Cell<'static>>> },
}

impl Left {
    fn items(items: Vec<Listed>, total: usize) -> (Self, usize) {
        (Self::Items(items.into_iter()), total)
    }

    /// A page of groups, and how many there are.
    fn groups(mut rows: Vec<Vec<Cell<'static>>>, query: &Query, grouping: &Grouping) -> (Self, usize) {
        let total = rows.len();
        rows.drain(..query.offset.min(total));
        rows.truncate(query.limit.unwrap_or(usize::MAX));
        (Self::Groups { columns: grouping.columns(), rows: rows.into_iter() }, total)
    }

    fn len(&self) -> usize {
        match self {
            Self::Items(items) => items.len(),
            Self::Groups { rows, .. } => rows.len(),
        }
    }
}

impl List {
    pub(crate) fn new(
        snapshot: Snapshot,
        derivations: Derivations,
        query: Arc<Query>,
        scope: Scope,
        media: Media,
    ) -> Self {
        Self { snapshot, derivations, query, scope, media, answer: None }
    }

    /// The list with what is not held any more, which is read at once.
    ///
    /// # Errors
    ///
    /// Where a part of that cannot be read, or it does not fit in memory.
    pub(crate) fn looking_back(mut self, before: Before<'_>) -> Result<Self, ApiError> {
        let Self { snapshot, derivations, query, scope, .. } = &self;
        self.answer = Some(Answer::looking_back(snapshot, derivations, query, *scope, before)?);
        Ok(self)
    }

    /// The list from an item on, with what is not held any more.
    ///
    /// # Errors
    ///
    /// Where there is no such item, or a part of that cannot be read.
    pub(crate) fn after(
        mut self,
        rows: Option<&dyn Rows>,
        before: Option<Before<'_>>,
        after: &str,
    ) -> Result<Self, ApiError> {
        let derived = self.derivations.of(&self.snapshot, self.query.collection.needs());
        let view = View { snapshot: &self.snapshot, derived: &derived };
        // Other forms do not say how many there are.
        let is_counted = self.media == Media::Json;
        let (items, total) = after::select(&self.query, view, self.scope, rows, before, (after, is_counted))?;
        let (left, total) = Left::items(items, total);
        let answered = before.map(Before::answered).unwrap_or_default();
        self.answer = Some(Answer { count: left.len(), derived, left, total, answered, is_open: false });
        Ok(self)
    }

    /// Of which time the answer is, where that is not what was asked for.
    pub(crate) fn answered(&self) -> Answered {
        self.answer.as_ref().map(|answer| answer.answered).unwrap_or_default()
    }

    /// The state of the network that the list shows.
    pub(crate) fn revision(&self) -> Revision {
        self.snapshot.revision()
    }

    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }
}

impl Answer {
    fn new(snapshot: &Snapshot, derivations: &Derivations, query: &Query, scope: Scope) -> Self {
        let derived = derivations.of(snapshot, query.collection.needs());
        let view = View { snapshot, derived: &derived };
        let (left, total) = match &query.grouping {
            None => {
                let (items, total) = query.select(view, scope);
                Left::items(items.into_iter().map(Listed::Held).collect(), total)
            }
            Some(grouping) => Left::groups(query.groups(view, scope, grouping), query, grouping),
        };
        Self { count: left.len(), derived, left, total, answered: Answered::default(), is_open: false }
    }

    /// The answer with what is not held any more.
    fn looking_back(
        snapshot: &Snapshot,
        derivations: &Derivations,
        query: &Query,
        scope: Scope,
        before: Before<'_>,
    ) -> Result<Self, ApiError> {
        let derived = derivations.of(snapshot, query.collection.needs());
        let view = View { snapshot, derived: &derived };
        let ((left, total), answered) = match &query.grouping {
            None => {
                let (items, total) = before.select(query, view, scope)?;
                (Left::items(items, total), before.answered())
            }
            Some(grouping) => {
                let (rows, answered) = before.groups(query, view, scope, grouping)?;
                (Left::groups(rows, query, grouping), answered)
            }
        };
        Ok(Self { count: left.len(), derived, left, total, answered, is_open: false })
    }

    fn open(&self, json: &mut Json, query: &Query, media: Media) {
        match (media, &self.left) {
            (Media::Json, _) => json.raw("{\"results\":["),
            (Media::Csv, Left::Items(_)) => csv::header(json, columns(query).map(|property| property.name)),
            (Media::Csv, Left::Groups { columns, .. }) => {
                csv::header(json, columns.iter().map(String::as_str))
            }
            // Lines need nothing before them, and lists have no further forms.
            _ => {}
        }
    }

    fn close(&self, json: &mut Json, media: Media) {
        if media == Media::Json {
            json.raw("],\"count\":");
            json.uint(self.count as u64);
            json.raw(",\"timeRangeCount\":");
            json.uint(self.total as u64);
            for (member, _, time) in self.answered.named() {
                json.raw(",\"");
                json.raw(member);
                json.raw("\":");
                json.uint(time);
            }
            json.raw("}\n");
        }
    }

    /// Writes the next item, if there is one.
    fn next(&mut self, json: &mut Json, snapshot: &Snapshot, query: &Query, media: Media) -> Option<()> {
        media.before(json, ",", self.left.len() == self.count);
        match &mut self.left {
            Left::Items(items) => {
                let view = View { snapshot, derived: &self.derived };
                let listed = items.next()?;
                let subject = listed.subject(view, query.collection)?;
                match media {
                    Media::Csv => {
                        csv::line(json, columns(query).map(|property| property.of(view, &subject)));
                    }
                    _ => query.collection.schema().render(json, view, &subject, query.fields.as_deref()),
                }
            }
            Left::Groups { columns, rows } => {
                let row = rows.next()?;
                match media {
                    Media::Csv => csv::line(json, row.into_iter()),
                    _ => {
                        let mut object = Object::open(json);
                        for (name, cell) in columns.iter().zip(&row) {
                            object.name(name);
                            cell.render(object.json);
                        }
                        object.close();
                    }
                }
            }
        }
        media.after(json);
        Some(())
    }
}

/// The properties that items are shown with.
fn columns(query: &Query) -> impl Iterator<Item = &'static Property> {
    let all = query.fields.is_none().then(|| query.collection.schema().properties());
    query.fields.iter().flatten().copied().chain(all.into_iter().flatten())
}

impl Render for List {
    fn fill(&mut self, json: &mut Json) -> Progress {
        let Self { snapshot, derivations, query, scope, media, answer } = self;
        let answer = answer.get_or_insert_with(|| Answer::new(snapshot, derivations, query, *scope));
        if !std::mem::replace(&mut answer.is_open, true) {
            answer.open(json, query, *media);
        }
        while json.bytes.len() < CHUNK {
            if answer.left.len() == 0 {
                answer.close(json, *media);
                return Progress::Done;
            }
            answer.next(json, snapshot, query, *media);
        }
        Progress::More
    }
}

/// The answer about one item, if there is one with that identity, or was one in what is not held any more.
///
/// # Errors
///
/// Where it could be in a part of that which cannot be read.
pub(crate) fn single(
    snapshot: &Snapshot,
    derivations: &Derivations,
    rows: Option<&dyn Rows>,
    collection: Collection,
    id: &str,
) -> Result<Option<Json>, UnreadableRows> {
    let derived = derivations.of(snapshot, collection.needs());
    let view = View { snapshot, derived: &derived };
    let found = match (collection.find(view, id), rows) {
        (Some(item), _) => Some(Listed::Held(item)),
        (None, Some(rows)) => past::find(rows, collection, id)?,
        (None, None) => None,
    };
    let Some(subject) = found.as_ref().and_then(|found| found.subject(view, collection)) else {
        return Ok(None);
    };
    let mut json = Json::default();
    json.raw("{\"results\":");
    collection.schema().render(&mut json, view, &subject, None);
    json.raw("}\n");
    Ok(Some(json))
}
