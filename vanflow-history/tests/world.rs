//! Samples that have all that is hard about samples: odd times, gaps, ends, counters that begin anew, NaN.

use std::collections::BTreeMap;

use vanflow_history::{History, HistoryOptions};

/// The time of the first scrape, in milliseconds since the epoch.
pub(crate) const EPOCH: i64 = 1_795_347_880_000;

/// How many scrapes there are, 5 s apart: as many as are kept as they are.
pub(crate) const SCRAPES: i64 = 168;

/// Names and values, the metric's among them.
pub(crate) type Labels = BTreeMap<String, String>;

/// All series at one time.
#[derive(Debug)]
pub(crate) struct Scrape {
    pub(crate) at_ms: i64,
    pub(crate) samples: Vec<(Labels, f64)>,
}

/// The whole of it.
pub(crate) fn scrapes() -> Vec<Scrape> {
    let mut dice = Dice(7);
    let mut counters: BTreeMap<Labels, f64> = BTreeMap::new();
    (0..SCRAPES)
        .map(|tick| {
            // Some milliseconds late, as scrapes are.
            let at_ms = EPOCH + tick * 5_000 + (dice.roll(40) as i64);
            let mut samples = Vec::new();
            for flow in 0..6_u64 {
                if is_there(flow, tick) {
                    flow_samples(flow, tick, &mut dice, &mut counters, &mut samples);
                } else {
                    // When it comes back it begins anew.
                    counters.retain(|labels, _| labels.get("flow") != Some(&flow.to_string()));
                }
            }
            gauges(tick, &mut dice, &mut samples);
            Scrape { at_ms, samples }
        })
        .collect()
}

/// The same in a history.
pub(crate) fn history(scrapes: &[Scrape]) -> History {
    let mut history = History::new(HistoryOptions::default());
    for scrape in scrapes {
        let mut into = history.scrape(scrape.at_ms);
        for (labels, value) in &scrape.samples {
            let pairs: Vec<(&str, &str)> = labels
                .iter()
                .filter(|(name, _)| *name != "__name__")
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            into.sample(&labels["__name__"], &pairs, *value);
        }
        into.finish();
    }
    history
}

/// The fourth flow ends, the fifth comes late, the sixth comes and goes.
fn is_there(flow: u64, tick: i64) -> bool {
    match flow {
        3 => tick < 90,
        4 => tick >= 40,
        5 => tick % 30 < 22,
        _ => true,
    }
}

fn flow_samples(
    flow: u64,
    tick: i64,
    dice: &mut Dice,
    counters: &mut BTreeMap<Labels, f64>,
    samples: &mut Vec<(Labels, f64)>,
) {
    let base = labels(&[
        ("flow", &flow.to_string()),
        ("source_process_name", ["client", "client.b", "frontend|x"][(flow % 3) as usize]),
        ("dest_process_name", if flow < 4 { "server" } else { "data base" }),
        ("source_site_id", ["west", "east"][(flow % 2) as usize]),
        ("dest_site_id", "cloud"),
    ]);
    let mut counter = |name: &str, more: &[(&str, &str)], growth: f64| {
        let mut labels = base.clone();
        labels.insert("__name__".to_owned(), name.to_owned());
        labels.extend(more.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())));
        let value = counters.entry(labels.clone()).or_insert(0.0);
        // The third flow's counters begin anew now and then.
        if flow == 2 && tick % 37 == 20 {
            *value = 0.0;
        }
        *value += growth;
        samples.push((labels, *value));
    };
    counter("skupper_sent_bytes_total", &[], dice.roll(90_000) as f64);
    counter("skupper_received_bytes_total", &[], (dice.roll(3) * dice.roll(1_000)) as f64);
    let opened = dice.roll(4) as f64;
    counter("skupper_connections_opened_total", &[], opened);
    counter("skupper_connections_closed_total", &[], (opened - 1.0).max(0.0));
    for (method, code) in [("GET", "2xx"), ("GET", "4xx"), ("POST", "2xx"), ("POST", "5xx")] {
        counter("skupper_requests_total", &[("method", method), ("code", code)], dice.roll(6) as f64);
    }
    for direction in ["incoming", "outgoing"] {
        let mut below = 0;
        for bound in ["1000", "2000", "5000", "10000", "100000", "+Inf"] {
            below += dice.roll(5);
            let more = [("direction", direction), ("le", bound)];
            counter("legacy_flow_latency_microseconds_bucket", &more, below as f64);
        }
    }
}

fn gauges(tick: i64, dice: &mut Dice, samples: &mut Vec<(Labels, f64)>) {
    for (place, site) in ["west", "east", "cloud", "edge"].into_iter().enumerate() {
        let level = match (place, tick % 13) {
            (0, 5) => f64::NAN,
            (1, 6 | 7) => f64::INFINITY,
            (1, 8) => f64::NEG_INFINITY,
            (2, _) => 4.0,
            _ => (dice.roll(2_000) as f64 - 1_000.0) / 8.0,
        };
        samples.push((labels(&[("__name__", "level"), ("site", site)]), level));
        let version = if tick < 80 { "2.0" } else { "2.1" };
        let info = [("__name__", "skupper_site_info"), ("site_id", site), ("version", version)];
        samples.push((labels(&info), 1.0));
    }
    samples.push((labels(&[("__name__", "tiny")]), 1e-9 * tick as f64));
    samples.push((labels(&[("__name__", "huge")]), 1e22 * (1 + tick) as f64));
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Numbers that look like chance and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}
