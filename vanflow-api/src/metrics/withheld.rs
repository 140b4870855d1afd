//! Connections of a lane whose listener or connector is not known.
//!
//! The two routers of a connection report it by themselves, each up to 6 s late. Until both have, it is in a lane of its
//! own kind, whose label set is not the one that it will have. So what such a connection comes to is *withheld* for a
//! while, and counted with an end `unknown` only when it has been waited for long enough.

use std::collections::HashMap;

use vanflow_proto::Timestamp;
use vanflow_store::{Connection, Lane, Record, RecordRef, Snapshot};

use crate::metrics::growth::Counted;

/// How long is waited for both routers of a connection, in microseconds by our clock, from when it was first seen.
const WITHHOLD_MICROS: u64 = 15_000_000;

/// What is known of a connection that is in another lane now.
#[derive(Debug)]
pub(super) enum Moved {
    /// It was counted.
    Counted {
        /// By which series.
        by: usize,
        /// What was counted of it when it was looked at last, if that is known.
        share: Option<Box<Counted>>,
    },
    /// It is withheld, since then.
    Withheld(Timestamp),
}

/// The connections of a lane whose ends are not known.
#[derive(Debug, Default)]
pub(super) struct Unresolved {
    connections: HashMap<RecordRef, Known>,
    /// Those of them of which more may come. The others are not looked at again.
    open: Vec<RecordRef>,
    /// How many are withheld.
    waiting: usize,
    /// What those come to.
    withheld: Counted,
}

#[derive(Debug)]
struct Known {
    /// Rows are used again.
    id: String,
    first_seen: Timestamp,
    /// What was counted of it, once it is.
    counted: Option<Counted>,
}

/// How connections are taken that are new in a lane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrivals<'m> {
    /// Those that were in other lanes before.
    pub(super) moved: &'m HashMap<RecordRef, Moved>,
    /// Whether all were, as the ends of the lane were known before.
    pub(super) are_counted: bool,
    /// Whether nothing more will be reported: then nothing is withheld.
    pub(super) are_final: bool,
}

/// The connection that a record stands for, or that it is the other half of by now.
pub(super) fn connection_of(record: Record<'_>) -> Option<Connection<'_>> {
    Connection::new(record).or_else(|| Connection::new(record.counterflow()?))
}

impl Unresolved {
    /// Looks at the connections of the lane that are new in it, or of which more may come.
    pub(super) fn observe(&mut self, snapshot: &Snapshot, lane: Lane<'_>, arrivals: Arrivals<'_>) {
        (self.waiting, self.withheld) = (0, Counted::default());
        for at in std::mem::take(&mut self.open) {
            let record = snapshot.get(at).filter(|record| record.lane() == Some(lane));
            match record.filter(|record| self.known(*record).is_some()) {
                Some(record) => self.look_at(record, lane, snapshot.now(), arrivals.are_final),
                None => _ = self.connections.remove(&at),
            }
        }
        // Those that came last come first: behind one that was there before, all were.
        let new: Vec<_> = lane.connections().take_while(|record| self.known(*record).is_none()).collect();
        for record in new {
            let moved = arrivals.moved.get(&record.at());
            let is_counted = arrivals.are_counted || matches!(moved, Some(Moved::Counted { .. }));
            let since = if let Some(Moved::Withheld(since)) = moved { *since } else { snapshot.now() };
            let counted = is_counted.then(Counted::default);
            let known = Known { id: record.id().to_string(), first_seen: since, counted };
            self.connections.insert(record.at(), known);
            self.look_at(record, lane, snapshot.now(), arrivals.are_final);
        }
        // Some of those that are not looked at have left.
        if self.connections.len() > 2 * lane.retained() {
            let is_there = |at: &RecordRef, known: &mut Known| {
                let record = snapshot.get(*at).filter(|record| record.id() == *known.id);
                record.is_some_and(|record| record.lane() == Some(lane))
            };
            self.connections.retain(is_there);
        }
    }

    fn look_at(&mut self, record: Record<'_>, lane: Lane<'_>, now: Timestamp, is_final: bool) {
        let Some(connection) = Connection::new(record) else { return };
        let Some(known) = self.connections.get_mut(&record.at()) else { return };
        let share = Counted::of_connection(connection, lane);
        let is_due = is_final || now.micros_since(known.first_seen) >= WITHHOLD_MICROS;
        if known.counted.is_some() || is_due {
            known.counted = Some(share);
            if record.is_live() || record.is_end_presumed() {
                self.open.push(record.at());
            }
        } else {
            self.waiting += 1;
            self.withheld.add(&share, &Counted::default());
            self.open.push(record.at());
        }
    }

    /// What is to be known in another lane of a connection that has left this one. `series` counts this lane.
    pub(super) fn moved(&self, record: Record<'_>, series: Option<usize>) -> Option<Moved> {
        let known = self.known(record)?;
        match &known.counted {
            Some(share) => Some(Moved::Counted { by: series?, share: Some(Box::new(share.clone())) }),
            None => Some(Moved::Withheld(known.first_seen)),
        }
    }

    /// A connection has left the lane. Should it have come back, it is new.
    pub(super) fn forget(&mut self, at: RecordRef) {
        self.connections.remove(&at);
    }

    /// How many connections are withheld.
    pub(super) fn withheld_connections(&self) -> usize {
        self.waiting
    }

    /// What those come to.
    pub(super) fn withheld(&self) -> &Counted {
        &self.withheld
    }

    /// What was counted of the connection that this record stands for, if it was.
    pub(super) fn counted(&self, record: Record<'_>) -> Option<&Counted> {
        self.known(record)?.counted.as_ref()
    }

    fn known(&self, record: Record<'_>) -> Option<&Known> {
        self.connections.get(&record.at()).filter(|known| record.id() == *known.id)
    }

    /// What there is of the lane to be counted.
    pub(super) fn without_withheld(&self, mut counted: Counted) -> Counted {
        counted.add(&Counted::default(), &self.withheld);
        counted
    }
}

#[cfg(test)]
mod tests {
    use vanflow_proto::{Attribute, RecordKind, SourceType, UpdateBuf};
    use vanflow_store::{Store, StoreOptions};

    use super::*;

    const EPOCH: u64 = 1_795_347_880_000_000;

    #[test]
    fn what_left_the_lane_is_not_known_any_more_and_what_stays_is() {
        let at = |second: u64| Timestamp::from_micros(EPOCH + second * 1_000_000);
        let mut options = StoreOptions::default();
        options.retention_micros = 60_000_000;
        let mut store = Store::new(options);
        let source = store.source_seen("a:0", SourceType::Router, at(0));
        let new = |kind, id: &str| UpdateBuf::new(kind, id).with(Attribute::StartTime, EPOCH);
        let connection = |id| {
            let connection = new(RecordKind::BiflowTport, id).with(Attribute::Parent, "a:1");
            connection.with(Attribute::SourceHost, "10.0.0.1")
        };
        let ended = |id| connection(id).with(Attribute::EndTime, EPOCH + 1);
        let all = [
            new(RecordKind::Router, "a:0"),
            new(RecordKind::Listener, "a:1").with(Attribute::Parent, "a:0"),
            ended("a:10"),
            connection("a:11"),
            ended("a:12"),
        ];
        all.iter().for_each(|update| store.apply(source, update, at(0)));
        let mut unresolved = Unresolved::default();
        let mut look = |store: &Store| {
            let snapshot = store.snapshot();
            let lane = snapshot.lanes().next().expect("there is one");
            let arrivals = Arrivals { moved: &HashMap::new(), are_counted: true, are_final: false };
            unresolved.observe(&snapshot, lane, arrivals);
            let are_counted = lane.connections().all(|record| unresolved.counted(record).is_some());
            (lane.retained(), unresolved.connections.len(), are_counted)
        };
        assert_eq!(look(&store), (3, 3, true));
        while store.advance(at(120)) {}
        assert_eq!(look(&store), (1, 1, true));
    }
}
