//! Whose a record is, and what others may report of it (faults 24).
//!
//! A router's ids are `<router>:<counter>`, and its own as a source is `<router>:0`. Records with such ids belong to that
//! router alone, from when it is seen, reported or not. Any other record belongs to the source that reported it first.
//! Others can share an entity, which is no traffic, by reporting that it is there (faults 13): then they can take that
//! back, and no more. All else that a source reports of records of others is refused, and counted as
//! [`Oddity::Foreign`](crate::Oddity::Foreign).

use std::{collections::HashMap, sync::Arc};

use vanflow_proto::{Attribute, Update, Value};

use super::Store;
use crate::{
    identity::{self, Key},
    row::{AnyRow, RecordRef, Table, with_table},
    source::{OwnedSourceType, SourceId},
};

/// The routers that were seen, by the part of their ids before the colon.
#[derive(Debug, Default)]
pub(super) struct Routers {
    by_scope: HashMap<Arc<str>, SourceId>,
}

impl Routers {
    /// How many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_scope.len()
    }

    /// The router that counts up the ids with that scope.
    fn of_scope(&self, scope: &str) -> Option<SourceId> {
        self.by_scope.get(scope).copied()
    }
}

/// The scope of the ids that a source counts up if it is a router.
fn own_scope(source: &str) -> Option<&str> {
    source.strip_suffix(":0").filter(|scope| !scope.is_empty())
}

impl Store {
    /// Whether a source may report that of a record, `reported` if there is one.
    #[inline]
    pub(super) fn may_report(
        &self,
        source: SourceId,
        reported: Option<RecordRef>,
        update: &Update<'_>,
    ) -> bool {
        match reported {
            Some(at) => self.row(at).head().owner == source || self.may_share(source, at, update),
            None => self.may_own(source, update.id),
        }
    }

    /// Whether a source may report a new record with that id.
    fn may_own(&self, source: SourceId, id: &str) -> bool {
        // Mostly it is its own, which is sooner seen than looked up.
        own_scope(&self.sources[source.0 as usize].id)
            .and_then(|own| id.strip_prefix(own))
            .is_some_and(|number| number.starts_with(':') && !number[1..].contains(':'))
            || identity::scope(id)
                .and_then(|scope| self.routers.of_scope(scope))
                .is_none_or(|router| router == source)
    }

    /// Whether a source may report that of a record of another.
    #[cold]
    fn may_share(&self, source: SourceId, at: RecordRef, update: &Update<'_>) -> bool {
        let head = self.row(at).head();
        if head.owner == SourceId::NONE {
            return true;
        }
        if let Some(router) = self.router_of(head.key) {
            return router == source;
        }
        let shares = self.sharers.epoch(at, source).is_some();
        let ends = update.get(Attribute::EndTime).and_then(Value::as_uint).is_some_and(|end| end > 0);
        at.table() == Table::Entities && (shares || !ends && update.type_code == Some(head.type_code))
    }

    /// The router that counted up that id.
    fn router_of(&self, key: Key) -> Option<SourceId> {
        key.number()?;
        self.routers.of_scope(self.graph.vocabulary.scopes.table().name(key))
    }

    /// A source was seen. What others reported in the name of a router before leaves: the router will report what there
    /// is of it.
    pub(super) fn claim_scope(&mut self, source: SourceId) {
        let state = &self.sources[source.0 as usize];
        if state.source_type != OwnedSourceType::Router {
            return;
        }
        let id = Arc::clone(&state.id);
        let Some(scope) = own_scope(&id) else { return };
        if self.routers.by_scope.insert(scope.into(), source) == Some(source) {
            return;
        }
        let mut foreign = Vec::new();
        if self.graph.vocabulary.scopes.table().keys(&id).next().is_some() {
            for table in Table::ALL {
                let slots = with_table!(self.graph, table, [&] slab => slab.rows().len());
                let rows = (0..slots).map(|slot| RecordRef::new(table, slot));
                foreign.extend(rows.filter(|at| self.is_foreign(*at, source, scope)));
            }
        }
        for at in foreign {
            // It may have left with another.
            if self.is_foreign(at, source, &id[..scope.len()]) {
                if self.row(at).is_live() {
                    self.end(at, self.now.as_micros());
                }
                self.evict_record(at);
                self.evict_unneeded();
            }
        }
    }

    /// Whether a record with an id of that scope was reported by another source.
    fn is_foreign(&self, at: RecordRef, source: SourceId, scope: &str) -> bool {
        let Some(row) = with_table!(self.graph, at.table(), [&] slab => slab.rows().get(at.slot()).map(|row| row as &dyn AnyRow))
        else {
            return false;
        };
        let head = row.head();
        row.is_reported()
            && head.owner != source
            && head.owner != SourceId::NONE
            && head.key.number().is_some()
            && self.graph.vocabulary.scopes.table().name(head.key) == scope
    }

    /// A source is forgotten.
    pub(super) fn disclaim_scope(&mut self, source: SourceId) {
        if let Some(scope) = own_scope(&self.sources[source.0 as usize].id)
            && self.routers.of_scope(scope) == Some(source)
        {
            self.routers.by_scope.remove(scope);
        }
    }
}
