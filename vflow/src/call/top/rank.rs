//! What is ranked, and by what: rates from the metrics of the collector.

use std::{cmp::Ordering, collections::BTreeMap};

use serde_json::{Map, Value};

use crate::{
    args::Ranked,
    call::query::Series,
    client::Client,
    column::{Align, Cell, Column, Item, Shows::*, Tone, column},
    error::Error,
    noun::Noun,
    number,
    question::Question,
};

/// The properties of a row; what is not known is left out.
pub(crate) const PROPERTIES: [&str; 10] = [
    "name",
    "source",
    "destination",
    "sentRate",
    "receivedRate",
    "openConnections",
    "connectionRate",
    "requestRate",
    "errorShare",
    "latencyP95",
];

/// What is ranked, over what time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ranking {
    ranked: Ranked,
    /// In seconds.
    window: u64,
}

/// By what rows are in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// Which of [`Order::COLUMNS`].
    pub(crate) column: usize,
    pub(crate) is_ascending: bool,
}

impl Order {
    /// What can be sorted by, with the properties that are added up for it.
    pub(crate) const COLUMNS: [(&'static str, &'static [&'static str]); 9] = [
        ("octets", &["sentRate", "receivedRate"]),
        ("sent", &["sentRate"]),
        ("received", &["receivedRate"]),
        ("open", &["openConnections"]),
        ("connections", &["connectionRate"]),
        ("requests", &["requestRate"]),
        ("errors", &["errorShare"]),
        ("p95", &["latencyP95"]),
        ("name", &[]),
    ];

    /// The order by that column; by octets where none is named.
    pub(crate) fn named(name: Option<&str>) -> Result<Self, Error> {
        let Some(name) = name else { return Ok(Self { column: 0, is_ascending: false }) };
        let found = Self::COLUMNS.iter().position(|(known, _)| *known == name);
        let column = found.ok_or_else(|| {
            let known: Vec<_> = Self::COLUMNS.iter().map(|(known, _)| *known).collect();
            Error::usage(format!("--sort is `{name}`, which has to be one of {}", known.join(", ")))
        })?;
        Ok(Self { column, is_ascending: Self::COLUMNS[column].1.is_empty() })
    }

    /// The name of the column.
    pub(crate) fn name(self) -> &'static str {
        Self::COLUMNS[self.column].0
    }

    /// Puts rows in order; what is not known comes last.
    pub(crate) fn sort(self, rows: &mut [Value]) {
        let properties = Self::COLUMNS[self.column].1;
        let value = |row: &Value| {
            let known = properties.iter().filter_map(|name| row[*name].as_f64());
            known.fold(None, |sum: Option<f64>, value| Some(sum.unwrap_or(0.0) + value))
        };
        let names = |row: &Value| {
            (row["name"].to_string(), row["source"].to_string(), row["destination"].to_string())
        };
        rows.sort_by(|one, other| {
            let by_value = match (value(one), value(other)) {
                (Some(one), Some(other)) if self.is_ascending => one.total_cmp(&other),
                (Some(one), Some(other)) => other.total_cmp(&one),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => Ordering::Equal,
            };
            let by_name = names(one).cmp(&names(other));
            let reversed = properties.is_empty() && !self.is_ascending;
            by_value.then(if reversed { by_name.reverse() } else { by_name })
        });
    }
}

impl Ranking {
    pub(crate) fn new(ranked: Ranked, window: u64) -> Self {
        Self { ranked, window }
    }

    /// The labels that rows differ in, each with the property that it becomes.
    fn labels(self) -> &'static [(&'static str, &'static str)] {
        match self.ranked {
            Ranked::Services => &[("routing_key", "name")],
            Ranked::Pairs => &[("source_component_name", "source"), ("dest_component_name", "destination")],
            Ranked::Processes => &[("source_process_name", "source"), ("dest_process_name", "destination")],
            Ranked::Sites => &[("source_site_name", "source"), ("dest_site_name", "destination")],
        }
    }

    /// How rows are shown.
    pub(crate) fn noun(self) -> &'static Noun {
        match self.ranked {
            Ranked::Services => &SERVICES,
            Ranked::Pairs => &PAIRS,
            Ranked::Processes => &PROCESSES,
            Ranked::Sites => &SITES,
        }
    }

    /// What there is, in no order.
    pub(crate) async fn rows(self, client: &Client, now: u64) -> Result<Vec<Value>, Error> {
        let mut rows: BTreeMap<Vec<String>, Row> = BTreeMap::new();
        for (measure, expression) in self.expressions() {
            let question = Question::new("prometheus/api/v1/query")
                .with("query", expression)
                .with("time", format!("{}.{:03}", now / 1_000_000, now % 1_000_000 / 1000));
            let answer = client.json(&question).await?;
            for series in Series::all(&answer["data"]) {
                let names = self
                    .labels()
                    .iter()
                    .map(|(label, _)| series.label(label).unwrap_or("unknown").to_owned());
                if let Some(value) = series.last().filter(|value| value.is_finite()) {
                    rows.entry(names.collect()).or_default().set(measure, value);
                }
            }
        }
        let value = |(names, row): (Vec<String>, Row)| {
            let mut object = Map::new();
            for ((_, property), name) in self.labels().iter().zip(names) {
                object.insert((*property).to_owned(), name.into());
            }
            row.describe(&mut object);
            Value::Object(object)
        };
        Ok(rows.into_iter().map(value).collect())
    }

    /// The queries that rows are made of.
    fn expressions(self) -> Vec<(Measure, String)> {
        let by = self.labels().iter().map(|(label, _)| *label).collect::<Vec<_>>().join(", ");
        let window = self.window;
        let rate = |metric: &str| format!("sum by ({by}) (rate({metric}[{window}s]))");
        let count = |metric: &str| format!("sum by ({by}) ({metric})");
        let p95 =
            |metric: &str| format!("histogram_quantile(0.95, sum by ({by}, le) (rate({metric}[{window}s])))");
        let open = format!(
            "{} - {}",
            count("skupper_connections_opened_total"),
            count("skupper_connections_closed_total")
        );
        let mut all = vec![
            (Measure::Sent, rate("skupper_sent_bytes_total")),
            (Measure::Received, rate("skupper_received_bytes_total")),
            (Measure::Open, open),
            (Measure::Connections, rate("skupper_connections_opened_total")),
            (Measure::Requests, rate("skupper_requests_total")),
            (Measure::FailedRequests, rate("skupper_requests_total{code=~\"5xx|unknown\"}")),
            // One that both sides report counts for each: the larger of both is closest.
            (Measure::Failed, rate("skupper_connections_failed_total{side=\"listener\"}")),
            (Measure::Failed, rate("skupper_connections_failed_total{side=\"connector\"}")),
        ];
        // Other label sets than these have no latencies that are fine enough.
        if matches!(self.ranked, Ranked::Services | Ranked::Sites) {
            all.push((Measure::Latency, p95("skupper_connection_latency_seconds_bucket{side=\"listener\"}")));
        }
        all
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measure {
    Sent,
    Received,
    Open,
    Connections,
    Requests,
    FailedRequests,
    Failed,
    Latency,
}

/// What is known of a row, by measure.
#[derive(Clone, Debug, Default)]
struct Row([Option<f64>; 8]);

impl Row {
    /// Of several values, the larger.
    fn set(&mut self, measure: Measure, value: f64) {
        let known = &mut self.0[measure as usize];
        *known = Some(known.map_or(value, |known| known.max(value)));
    }

    fn of(&self, measure: Measure) -> Option<f64> {
        self.0[measure as usize]
    }

    fn describe(&self, object: &mut Map<String, Value>) {
        let mut add = |name: &str, value: Option<f64>| {
            if let Some(number) = value.and_then(serde_json::Number::from_f64) {
                object.insert(name.to_owned(), number.into());
            }
        };
        add("sentRate", self.of(Measure::Sent));
        add("receivedRate", self.of(Measure::Received));
        add("openConnections", self.of(Measure::Open));
        add("connectionRate", self.of(Measure::Connections));
        add("requestRate", self.of(Measure::Requests));
        add("errorShare", self.error_share());
        add("latencyP95", self.of(Measure::Latency).map(|seconds| (seconds * 1e6).round()));
    }

    /// The share of units that failed: of requests where there are any, else of connections.
    fn error_share(&self) -> Option<f64> {
        let share = |failed: Measure, of: Measure| {
            let all = self.of(of).filter(|all| *all > 0.0)?;
            Some((self.of(failed).unwrap_or(0.0) / all).clamp(0.0, 1.0))
        };
        share(Measure::FailedRequests, Measure::Requests)
            .or_else(|| share(Measure::Failed, Measure::Connections))
    }
}

const SENT: Column = column("sent", Made(&["sentRate"], Align::Right, |item| octets(item, "sentRate")));
const RECEIVED: Column =
    column("received", Made(&["receivedRate"], Align::Right, |item| octets(item, "receivedRate")));
const OPEN: Column = column("open", Made(&["openConnections"], Align::Right, open)).roomy();
const OPENED: Column =
    column("connections", Made(&["connectionRate"], Align::Right, |item| rate(item, "connectionRate")))
        .roomy();
const REQUESTS: Column =
    column("requests", Made(&["requestRate"], Align::Right, |item| rate(item, "requestRate")));
const ERRORS: Column = column("errors", Made(&["errorShare"], Align::Right, errors));
const P95: Column = column("p95", Made(&["latencyP95"], Align::Right, latency));

const SERVICES: Noun = Noun {
    plural: "services",
    path: "prometheus/api/v1/query",
    columns: &[column("service", Text("name")), SENT, RECEIVED, OPEN, OPENED, REQUESTS, ERRORS, P95],
    names: &["name"],
    test: |_, _| None,
    time: "time",
};

const SITES: Noun = Noun {
    plural: "pairs of sites",
    columns: &[
        column("client", Text("source")),
        column("server", Text("destination")),
        SENT,
        RECEIVED,
        OPEN,
        OPENED,
        REQUESTS,
        ERRORS,
        P95,
    ],
    ..SERVICES
};

const PAIRS: Noun = Noun {
    plural: "pairs of components",
    columns: &[
        column("client", Text("source")),
        column("server", Text("destination")),
        SENT,
        RECEIVED,
        OPEN,
        OPENED,
        REQUESTS,
        ERRORS,
    ],
    ..SERVICES
};

const PROCESSES: Noun = Noun { plural: "pairs of processes", ..PAIRS };

fn octets(item: &Item<'_>, name: &str) -> Cell {
    item.value[name]
        .as_f64()
        .map_or_else(Cell::unknown, |rate| Cell::made(crate::column::pad_unit(number::octet_rate(rate), 4)))
}

fn rate(item: &Item<'_>, name: &str) -> Cell {
    item.value[name].as_f64().map_or_else(Cell::dash, |rate| Cell::made(number::rate(rate)))
}

fn open(item: &Item<'_>) -> Cell {
    item.value["openConnections"]
        .as_f64()
        .map_or_else(Cell::unknown, |open| Cell::made(number::count(open.max(0.0).round() as u64)))
}

/// The share of errors, with the thresholds of the map: from 2 % on to be looked at, above 10 % bad.
fn errors(item: &Item<'_>) -> Cell {
    let Some(share) = item.value["errorShare"].as_f64() else { return Cell::dash() };
    let text = number::share(share);
    if share > 0.1 {
        Cell::made(format!("✕ {text}")).toned(Tone::Bad)
    } else if share >= 0.02 {
        Cell::made(format!("▲ {text}")).toned(Tone::Warn)
    } else {
        Cell::made(text)
    }
}

fn latency(item: &Item<'_>) -> Cell {
    item.value["latencyP95"].as_f64().map_or_else(Cell::dash, |micros| {
        Cell::made(crate::column::pad_unit(number::duration(micros as u64), 3))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_known_comes_last_in_every_order() {
        let rows = json!([{"name": "a"}, {"name": "b", "sentRate": 1.0}, {"name": "c", "sentRate": 5.0}, {"name": "d"}]);
        let sorted = |order: Order| {
            let mut rows = rows.as_array().expect("they are rows").clone();
            order.sort(&mut rows);
            rows.iter().map(|row| row["name"].as_str().expect("it has a name").to_owned()).collect::<String>()
        };
        assert_eq!(sorted(Order { column: 1, is_ascending: false }), "cbad");
        assert_eq!(sorted(Order { column: 1, is_ascending: true }), "bcad");
        assert_eq!(sorted(Order::named(Some("name")).expect("it is one")), "abcd");
    }

    #[test]
    fn a_share_of_errors_is_of_requests_where_there_are_any() {
        let mut row = Row::default();
        row.set(Measure::Connections, 10.0);
        row.set(Measure::Failed, 1.0);
        assert_eq!(row.error_share(), Some(0.1));
        row.set(Measure::Requests, 100.0);
        assert_eq!(row.error_share(), Some(0.0), "nobody reported a request that failed");
        row.set(Measure::FailedRequests, 50.0);
        assert_eq!(row.error_share(), Some(0.5));
        assert_eq!(Row::default().error_share(), None, "nothing came");
    }
}
