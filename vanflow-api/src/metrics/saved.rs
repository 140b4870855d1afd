//! Counters over restarts: what a process counted to its end, and what the next one goes on from.
//!
//! What is kept says what each label set came to, and which connections that were there are in it: these are reported anew to
//! the next process, or come back with its records, and are not counted again. What they grew by since is.

use std::collections::HashMap;

use serde_json::{Value, json};
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

impl Saved {
    pub(super) fn to_octets(&self) -> Vec<u8> {
        let histogram = |(counts, sum): &SavedHistogram| json!([counts, sum]);
        let series = self.series.iter().map(|(values, series)| {
            let requests = series
                .requests
                .iter()
                .map(|((protocol, method, code), count)| json!([protocol, method, code, count]));
            let failures = series
                .failures
                .iter()
                .map(|((side, reason), count)| json!([side.name(), reason.name(), count]));
            let latencies =
                series.latencies.as_ref().map(|all| all.iter().map(histogram).collect::<Vec<_>>());
            json!({
                "labels": values,
                "counts": series.counts,
                "requests": requests.collect::<Vec<_>>(),
                "failures": failures.collect::<Vec<_>>(),
                "latencies": latencies,
            })
        });
        let fine = self.fine.iter().map(|(values, all)| {
            let all: Vec<_> = all.iter().map(|one| one.as_ref().map(histogram)).collect();
            json!([values, all])
        });
        let connections = self.connections.iter().map(|(key, known)| {
            json!([key, known.is_opened, known.is_closed, known.octets, known.observed, known.requests_until])
        });
        let entities =
            self.entities.iter().map(|((name, values), count)| json!([name.metric().name, values, count]));
        json!({
            "version": VERSION,
            "series": series.collect::<Vec<_>>(),
            "fine": fine.collect::<Vec<_>>(),
            "connections": connections.collect::<Vec<_>>(),
            "entities": entities.collect::<Vec<_>>(),
        })
        .to_string()
        .into_bytes()
    }

    pub(super) fn from_octets(octets: &[u8]) -> Result<Self, CountersError> {
        let whole: Value = serde_json::from_slice(octets).map_err(|_| CountersError)?;
        Self::read(&whole).ok_or(CountersError)
    }

    fn read(whole: &Value) -> Option<Self> {
        if whole["version"].as_u64()? != VERSION {
            return None;
        }
        let mut saved = Self::default();
        for series in whole["series"].as_array()? {
            let its = SavedSeries {
                counts: numbers(&series["counts"])?.try_into().ok()?,
                requests: series["requests"].as_array()?.iter().map(request).collect::<Option<_>>()?,
                failures: series["failures"].as_array()?.iter().map(failure).collect::<Option<_>>()?,
                latencies: match &series["latencies"] {
                    Value::Null => None,
                    all => Some(all_of(all, histogram)?.try_into().ok()?),
                },
            };
            saved.series.insert(texts(&series["labels"])?.try_into().ok()?, its);
        }
        for fine in whole["fine"].as_array()? {
            let optional = |one: &Value| if one.is_null() { Some(None) } else { histogram(one).map(Some) };
            let all: Vec<Option<SavedHistogram>> = all_of(&fine[1], optional)?;
            saved.fine.insert(texts(&fine[0])?.try_into().ok()?, all.try_into().ok()?);
        }
        for known in whole["connections"].as_array()? {
            let observed: Vec<bool> = all_of(&known[4], Value::as_bool)?;
            let its = SavedConnection {
                is_opened: known[1].as_bool()?,
                is_closed: known[2].as_bool()?,
                octets: numbers(&known[3])?.try_into().ok()?,
                observed: observed.try_into().ok()?,
                // Files of before this was kept: all requests that are there were counted.
                requests_until: known.get(5).map_or(Some(u64::MAX), Value::as_u64)?,
            };
            saved.connections.insert(known[0].as_str()?.to_owned(), its);
        }
        for entity in whole["entities"].as_array()? {
            // A metric that there is not any more is passed over.
            if let Some(name) = Name::find(entity[0].as_str()?) {
                saved.entities.insert((name, texts(&entity[1])?), entity[2].as_u64()?);
            }
        }
        Some(saved)
    }
}

fn all_of<T>(value: &Value, read: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    value.as_array()?.iter().map(read).collect()
}

fn numbers(value: &Value) -> Option<Vec<u64>> {
    all_of(value, Value::as_u64)
}

fn texts(value: &Value) -> Option<Vec<String>> {
    all_of(value, |text| text.as_str().map(str::to_owned))
}

fn histogram(value: &Value) -> Option<SavedHistogram> {
    Some((numbers(&value[0])?, value[1].as_f64()?))
}

fn request(value: &Value) -> Option<(RequestKey, u64)> {
    let key =
        (value[0].as_str()?.to_owned(), known_method(value[1].as_str()), class_named(value[2].as_str()?));
    Some((key, value[3].as_u64()?))
}

fn failure(value: &Value) -> Option<(FailureKey, u64)> {
    let (side, reason) = (value[0].as_str()?, value[1].as_str()?);
    let side = FailureSide::ALL.into_iter().find(|known| known.name() == side)?;
    let reason = FailureReason::ALL.iter().copied().find(|known| known.name() == reason)?;
    Some(((side, reason), value[2].as_u64()?))
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
        saved.connections.insert("a".to_owned(), known);
        let other = SavedConnection { is_closed: true, observed: [true, false, true, false], ..known };
        saved.connections.insert("b".to_owned(), other);
        saved.entities.insert((Name::LinkErrors, vec!["x".to_owned(), String::new()]), 9);
        let read = Saved::from_octets(&saved.to_octets()).expect("it was kept");
        assert_eq!(read.series, saved.series);
        assert_eq!(read.fine, saved.fine);
        assert_eq!(read.connections, saved.connections);
        assert_eq!(read.entities, saved.entities);
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
