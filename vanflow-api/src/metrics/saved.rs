//! Counters over restarts: what a process counted to its end, and what the next one goes on from.
//!
//! What is kept says what each label set came to, and which connections that were there are in it: these are reported anew to
//! the next process, or come back with its records, and are not counted again. What they grew by since is.

use std::{collections::HashMap, iter};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use vanflow_proto::Timestamp;
use vanflow_store::{Connection, FailureReason, FailureSide, Lane};

use crate::metrics::{
    ends::Values,
    growth::{Counted, FailureKey, RequestKey, class_named, known_method},
    table::{BY_SERVICE, Name},
};

/// What was counted by a process that is no more.
#[derive(Debug, Default)]
pub(super) struct Saved {
    pub(super) series: HashMap<Values, SavedSeries>,
    pub(super) fine: HashMap<[String; BY_SERVICE.len()], [Option<SavedHistogram>; 3]>,
    /// Connections that are in it, by their keys.
    pub(super) connections: HashMap<String, SavedConnection>,
    /// What was counted of links, routers and sites, by metric and the values of its labels.
    pub(super) entities: HashMap<(Name, Vec<String>), u64>,
}

/// What a label set came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct SavedSeries {
    /// Opened, closed, octets and octets back.
    pub(super) counts: [u64; 4],
    pub(super) requests: Vec<(RequestKey, u64)>,
    pub(super) failures: Vec<(FailureKey, u64)>,
    pub(super) latencies: Option<[SavedHistogram; 3]>,
}

/// What was observed, by range, and the sum of it.
pub(super) type SavedHistogram = (Vec<u64>, f64);

/// What was counted of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SavedConnection {
    pub(super) is_opened: bool,
    pub(super) is_closed: bool,
    pub(super) octets: [u64; 2],
    /// Whether its latencies were: both together, of either side, and why it failed.
    pub(super) observed: [bool; 4],
    /// When the last of its requests ended that were, in microseconds; 0 where none was.
    pub(super) requests_until: u64,
}

/// Why counters begin anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("what was kept of counters is damaged, or of another version")]
pub struct CountersError;

const VERSION: u64 = 1;

impl SavedConnection {
    /// What is counted of a connection now. Of one that returned after it was evicted (faults 28) that is all of it, as
    /// the next process does not know that it did.
    pub(super) fn of(connection: Connection<'_>, lane: Lane<'_>) -> Self {
        let share = Counted::of_connection(connection, lane);
        let has = |at: usize| !share.fine[at].counts.is_empty();
        let its = Self {
            is_opened: true,
            is_closed: share.closed > 0,
            octets: [share.octets, share.octets_reverse].map(|octets| octets.max(0).unsigned_abs()),
            observed: [share.latencies.is_some(), has(0), has(1), !share.failures.is_empty()],
            requests_until: connection
                .requests()
                .filter_map(|request| request.end())
                .max()
                .map_or(0, Timestamp::as_micros),
        };
        if share.opened > 0 { its } else { its.returned(connection) }
    }

    /// The same of a connection that was opened and closed before it was evicted.
    fn returned(self, connection: Connection<'_>) -> Self {
        let [there, back] = [connection.latency(), connection.process_latency()].map(|one| one.is_some());
        let has_failed = connection.error_listener_side().or(connection.error_connector_side()).is_some();
        Self {
            is_closed: true,
            octets: [connection.octets(), connection.octets_reverse()].map(Option::unwrap_or_default),
            observed: [there && back, there, back, has_failed],
            ..self
        }
    }

    /// What of what is counted of it now was counted before.
    pub(super) fn before(self, connection: Connection<'_>, lane: Lane<'_>) -> Counted {
        let until = Timestamp::from_micros(self.requests_until);
        let mut share = Counted::of_connection_until(connection, lane, until);
        let least = |now: i64, before: u64| now.min(i64::try_from(before).unwrap_or(i64::MAX));
        share.opened = share.opened.min(self.is_opened.into());
        share.closed = share.closed.min(self.is_closed.into());
        share.octets = least(share.octets, self.octets[0]);
        share.octets_reverse = least(share.octets_reverse, self.octets[1]);
        if !self.observed[0] {
            share.latencies = None;
        }
        for (fine, was_observed) in share.fine.iter_mut().zip([self.observed[1], self.observed[2], true]) {
            if !was_observed {
                *fine = Default::default();
            }
        }
        if !self.observed[3] {
            share.failures.clear();
        }
        share
    }
}

/// A line of what is kept, as JSON: each is written and read by itself, so that it takes no more memory than its octets do,
/// however many connections there are.
#[derive(Serialize, Deserialize)]
enum Line {
    Version(u64),
    Series {
        labels: Vec<String>,
        counts: [u64; 4],
        /// Protocol, method and class of the status.
        requests: Vec<(String, String, String, u64)>,
        /// Side and reason.
        failures: Vec<(String, String, u64)>,
        latencies: Option<[SavedHistogram; 3]>,
    },
    Fine(Vec<String>, [Option<SavedHistogram>; 3]),
    Entity(String, Vec<String>, u64),
    Connection(String, SavedConnection),
    /// Nothing is missing before it.
    End,
}

impl Line {
    fn append(&self, octets: &mut Vec<u8>) {
        serde_json::to_writer(&mut *octets, self).expect("texts and numbers are JSON");
        octets.push(b'\n');
    }

    fn of_series(labels: &Values, series: SavedSeries) -> Self {
        let requests = series.requests.into_iter();
        let failures = series.failures.into_iter();
        Self::Series {
            labels: labels.to_vec(),
            counts: series.counts,
            requests: requests
                .map(|((protocol, method, class), count)| (protocol, method.into(), class.into(), count))
                .collect(),
            failures: failures
                .map(|((side, reason), count)| (side.name().into(), reason.name().into(), count))
                .collect(),
            latencies: series.latencies,
        }
    }
}

impl Saved {
    /// All of it, with these connections.
    pub(super) fn into_octets(self, connections: impl Iterator<Item = (String, SavedConnection)>) -> Vec<u8> {
        let mut octets = Vec::new();
        let series = self.series.into_iter().map(|(labels, series)| Line::of_series(&labels, series));
        let fine = self.fine.into_iter().map(|(labels, all)| Line::Fine(labels.into(), all));
        let entities = self
            .entities
            .into_iter()
            .map(|((name, labels), count)| Line::Entity(name.metric().name.to_owned(), labels, count));
        let connections = connections.map(|(key, known)| Line::Connection(key, known));
        iter::once(Line::Version(VERSION))
            .chain(series)
            .chain(fine)
            .chain(entities)
            .chain(connections)
            .chain([Line::End])
            .for_each(|line| line.append(&mut octets));
        octets
    }

    pub(super) fn from_octets(octets: &[u8]) -> Result<Self, CountersError> {
        let mut lines = serde_json::Deserializer::from_slice(octets).into_iter();
        let mut next = || lines.next().and_then(Result::ok).ok_or(CountersError);
        let Line::Version(VERSION) = next()? else { return Err(CountersError) };
        let mut saved = Self::default();
        loop {
            match next()? {
                Line::End => return Ok(saved),
                line => saved.take(line).ok_or(CountersError)?,
            }
        }
    }

    /// None where the line makes no sense.
    fn take(&mut self, line: Line) -> Option<()> {
        match line {
            Line::Version(_) | Line::End => return None,
            Line::Series { labels, counts, requests, failures, latencies } => {
                let requests = requests.into_iter().map(request).collect::<Option<_>>()?;
                let failures = failures.into_iter().map(failure).collect::<Option<_>>()?;
                let series = SavedSeries { counts, requests, failures, latencies };
                self.series.insert(labels.try_into().ok()?, series);
            }
            Line::Fine(labels, all) => {
                self.fine.insert(labels.try_into().ok()?, all);
            }
            Line::Entity(name, labels, count) => {
                // A metric that there is not any more is passed over.
                if let Some(name) = Name::find(&name) {
                    self.entities.insert((name, labels), count);
                }
            }
            Line::Connection(key, known) => {
                self.connections.insert(key, known);
            }
        }
        Some(())
    }
}

fn request((protocol, method, class, count): (String, String, String, u64)) -> Option<(RequestKey, u64)> {
    Some(((protocol, known_method(Some(&method)), class_named(&class)), count))
}

fn failure((side, reason, count): (String, String, u64)) -> Option<(FailureKey, u64)> {
    let side = FailureSide::ALL.into_iter().find(|known| known.name() == side)?;
    let reason = FailureReason::ALL.iter().copied().find(|known| known.name() == reason)?;
    Some(((side, reason), count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::growth::tests::{counted, lane_of_all_sorts};

    #[test]
    fn all_that_is_kept_is_read_again() {
        let histogram = |of: u64| (vec![of, 0, 3 * of], 0.5 + of as f64);
        let series = SavedSeries {
            counts: [4, 3, 2, 1],
            requests: vec![
                (("http1".to_owned(), "GET", "2xx"), 5),
                (("http2".to_owned(), "unknown", "unknown"), 6),
            ],
            failures: vec![
                ((FailureSide::Connector, FailureReason::ALL[1]), 7),
                ((FailureSide::Listener, FailureReason::ALL[0]), 8),
            ],
            latencies: Some([1, 2, 3].map(histogram)),
        };
        let known = SavedConnection {
            is_opened: true,
            octets: [5, 6],
            requests_until: 7,
            ..SavedConnection::default()
        };
        let mut saved = Saved::default();
        saved.series.insert(std::array::from_fn(|at| format!("v{at}")), series);
        saved.series.insert(std::array::from_fn(|_| "-".to_owned()), SavedSeries::default());
        saved.fine.insert(
            std::array::from_fn(|at| format!("s{at}")),
            [Some(histogram(4)), None, Some(histogram(6))],
        );
        let other = SavedConnection { is_closed: true, observed: [true, false, true, false], ..known };
        let connections = [("a", known), ("b", other)].map(|(key, known)| (key.to_owned(), known));
        saved.entities.insert((Name::LinkErrors, vec!["x".to_owned(), String::new()]), 9);
        let (series, fine, entities) = (saved.series.clone(), saved.fine.clone(), saved.entities.clone());
        let octets = saved.into_octets(connections.clone().into_iter());
        let read = Saved::from_octets(&octets).expect("it was kept");
        assert_eq!(read.series, series);
        assert_eq!(read.fine, fine);
        assert_eq!(read.connections, HashMap::from(connections));
        assert_eq!(read.entities, entities);
        for end in 0..octets.len() - 1 {
            assert_eq!(Saved::from_octets(&octets[..end]).unwrap_err(), CountersError, "cut at {end}");
        }
    }

    #[test]
    fn what_was_counted_of_a_connection_is_what_there_was_of_it() {
        let snapshot = lane_of_all_sorts();
        let lane = snapshot.lanes().next().expect("there is one");
        for connection in lane.connections().filter_map(Connection::new) {
            let share = Counted::of_connection(connection, lane);
            let known = SavedConnection::of(connection, lane);
            assert_eq!(counted(known.before(connection, lane)), counted(share), "{known:?}");
            let nothing = SavedConnection::default().before(connection, lane);
            assert_eq!(counted(nothing), counted(Counted::default()));
        }
        let ended = lane.connections().filter_map(Connection::new).filter(|ended| !ended.record().is_live());
        let known: Vec<_> = ended.map(|connection| SavedConnection::of(connection, lane)).collect();
        let observed = [true, true, true, false];
        let requests_until = 0;
        let expected =
            SavedConnection { is_opened: true, is_closed: true, octets: [20, 140], observed, requests_until };
        assert_eq!(known, [expected]);
        let live = lane.connections().filter_map(Connection::new).filter(|live| live.record().is_live());
        let known: Vec<_> = live.map(|connection| SavedConnection::of(connection, lane)).collect();
        assert!(known.iter().all(|known| known.is_opened && !known.is_closed), "{known:?}");
        assert_eq!(known.len(), 4);
    }
}
