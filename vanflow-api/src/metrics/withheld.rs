//! Connections of a lane whose listener or connector is not known.
//!
//! The two routers of a connection report it by themselves, each up to 6 s late. Until both have, it is in a lane of its
//! own kind, whose label set is not the one that it will have. So what such a connection comes to is *withheld* for a
//! while, and counted with an end `unknown` only when it has been waited for long enough.
//!
//! Should the rest be reported even later, what was counted stays where it was, and the label set that the connection
//! turns out to have is counted without it: only what is new is counted there.

use std::collections::HashMap;

use vanflow_proto::Timestamp;
use vanflow_store::{Connection, Lane, Record, RecordRef, Snapshot};

use crate::metrics::growth::Counted;

/// How long is waited for both routers of a connection, in microseconds by our clock, from when it was first seen.
const WITHHOLD_MICROS: u64 = 15_000_000;

/// The connections of a lane whose ends are not known.
#[derive(Debug, Default)]
pub(super) struct Unresolved {
    connections: HashMap<RecordRef, Waiting>,
    /// What those come to that are not counted yet.
    withheld: Counted,
}

#[derive(Debug)]
struct Waiting {
    /// Rows are used again.
    id: String,
    first_seen: Timestamp,
    /// What was counted of it, once it is. It changes no more when the connection has ended.
    counted: Option<Counted>,
    is_live: bool,
}

/// A connection that left a lane after it was counted there.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) at: RecordRef,
    /// What was counted of it there.
    pub(super) counted: Counted,
}

/// The connection that a record stands for, or that it is the other half of by now.
pub(super) fn connection_of(record: Record<'_>) -> Option<Connection<'_>> {
    Connection::new(record).or_else(|| Connection::new(record.counterflow()?))
}

impl Unresolved {
    /// Looks at the connections that the lane has now. Answers those that were counted and are in another lane.
    ///
    /// `is_resolved` says that the ends of the lane are known now, `is_final` that nothing more will be reported: then
    /// nothing is withheld.
    pub(super) fn observe(
        &mut self,
        snapshot: &Snapshot,
        lane: Lane<'_>,
        is_resolved: bool,
        is_final: bool,
    ) -> Vec<Left> {
        let mut known = std::mem::take(&mut self.connections);
        let now = snapshot.now();
        self.withheld = Counted::default();
        for record in lane.connections() {
            let id = record.id();
            let before = known.remove(&record.at()).filter(|before| id == *before.id);
            if is_resolved {
                continue;
            }
            if let Some(settled) = before.as_ref()
                && settled.counted.is_some()
                && !settled.is_live
                && !record.is_live()
            {
                self.connections.extend(before.map(|before| (record.at(), before)));
                continue;
            }
            let Some(connection) = Connection::new(record) else { continue };
            let share = Counted::of_connection(connection, lane);
            let first_seen = before.as_ref().map_or(now, |before| before.first_seen);
            let is_counted = is_final
                || before.is_some_and(|before| before.counted.is_some())
                || now.micros_since(first_seen) >= WITHHOLD_MICROS;
            let counted = if is_counted {
                Some(share)
            } else {
                self.withheld.add(&share, &Counted::default());
                None
            };
            let waiting = Waiting { id: id.to_string(), first_seen, counted, is_live: connection.is_live() };
            self.connections.insert(record.at(), waiting);
        }
        // What has left the store stays counted.
        let is_elsewhere = |at, id: &str| {
            let record = snapshot.get(at).filter(|record| record.id() == *id);
            record.and_then(|record| connection_of(record)?.lane()).is_some_and(|other| other != lane)
        };
        known
            .into_iter()
            .filter(|(at, waiting)| is_elsewhere(*at, &waiting.id))
            .filter_map(|(at, Waiting { counted, .. })| Some(Left { at, counted: counted? }))
            .collect()
    }

    /// How many connections are withheld.
    pub(super) fn withheld_connections(&self) -> usize {
        self.connections.values().filter(|waiting| waiting.counted.is_none()).count()
    }

    /// What those come to.
    pub(super) fn withheld(&self) -> &Counted {
        &self.withheld
    }

    /// Whether the connection is withheld that this record stands for.
    pub(super) fn is_withheld(&self, at: RecordRef) -> bool {
        self.connections.get(&at).is_some_and(|waiting| waiting.counted.is_none())
    }

    /// What there is of the lane to be counted.
    pub(super) fn without_withheld(&self, mut counted: Counted) -> Counted {
        counted.add(&Counted::default(), &self.withheld);
        counted
    }
}
