//! How long the console's charts take without a Prometheus: 500 series of a day, and what those take in memory.

#![expect(clippy::print_stdout, reason = "what is measured beside time is said before it")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use vanflow_history::{History, HistoryOptions, QueryKind, respond};

const START: i64 = 1_795_347_880_000;
const SCRAPES: i64 = 24 * 720;
/// Pairs of processes; each has 20 series: 4 counters, 2 of requests, and twice 7 buckets.
const PAIRS: usize = 25;
const BOUNDS: [&str; 7] = ["1000", "2000", "5000", "10000", "100000", "1e+06", "+Inf"];

struct Pair {
    labels: Vec<(&'static str, String)>,
    /// How many connections it has had, whose octets and latencies the others are.
    connections: u64,
    octets: u64,
    /// Every fifth pair is busy, the others have a connection now and then.
    is_busy: bool,
}

fn pairs() -> Vec<Pair> {
    let labels = |pair: usize| {
        vec![
            ("source_site_id", format!("site-{}", pair % 4)),
            ("dest_site_id", format!("site-{}", pair % 3)),
            ("source_site_name", format!("west-{}", pair % 4)),
            ("dest_site_name", format!("west-{}", pair % 3)),
            ("source_component_id", format!("component-{}", pair % 50)),
            ("dest_component_id", format!("component-{}", pair % 20)),
            ("source_component_name", format!("frontend-{}", pair % 50)),
            ("dest_component_name", format!("backend-{}", pair % 20)),
            ("routing_key", format!("service-{}", pair % 10)),
            ("protocol", "tcp".to_owned()),
            ("source_process_name", format!("frontend-7d8f6c5b9-{pair:05}")),
            ("dest_process_name", format!("backend-5c6d7e8f9-{:05}", pair % 100)),
        ]
    };
    let pair = |pair| Pair { labels: labels(pair), connections: 0, octets: 0, is_busy: pair % 5 == 0 };
    (0..PAIRS).map(pair).collect()
}

fn feed(history: &mut History, pairs: &mut [Pair], tick: i64) {
    let mut scrape = history.scrape(START + tick * 5_000 + tick % 7);
    for (place, pair) in pairs.iter_mut().enumerate() {
        let chance = (tick as u64).wrapping_mul(2_654_435_761).wrapping_add(place as u64 * 40_503) >> 7;
        if pair.is_busy || chance.is_multiple_of(60) {
            pair.connections += 1 + chance % 5;
            pair.octets += chance % 100_000;
        }
        let mut labels: Vec<(&str, &str)> =
            pair.labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let connections = pair.connections as f64;
        scrape.sample("skupper_connections_opened_total", &labels, connections);
        scrape.sample("skupper_connections_closed_total", &labels, (connections - 1.0).max(0.0));
        scrape.sample("skupper_sent_bytes_total", &labels, pair.octets as f64);
        scrape.sample("skupper_received_bytes_total", &labels, (pair.octets / 3) as f64);
        let base = labels.len();
        for code in ["2xx", "4xx"] {
            labels.extend([("method", "GET"), ("code", code)]);
            scrape.sample("skupper_requests_total", &labels, connections);
            labels.truncate(base);
        }
        for direction in ["incoming", "outgoing"] {
            for (place, bound) in BOUNDS.into_iter().enumerate() {
                labels.extend([("direction", direction), ("le", bound)]);
                let below = pair.connections * (place as u64 + 1) / BOUNDS.len() as u64;
                scrape.sample("legacy_flow_latency_microseconds_bucket", &labels, below as f64);
                labels.truncate(base);
            }
        }
    }
    scrape.finish();
}

fn charts(criterion: &mut Criterion) {
    let mut history = History::new(HistoryOptions::default());
    let mut pairs = pairs();
    for tick in 0..SCRAPES {
        feed(&mut history, &mut pairs, tick);
    }
    let stats = history.stats();
    println!(
        "{stats:?}: {} octets and {} samples a series",
        stats.octets / stats.series,
        stats.samples / stats.series
    );

    let end = START + SCRAPES * 5_000;
    let partial = "label_replace(RATE,\"partial_code\",\"$1\",\"code\",\"(.*).{2}\")";
    let codes = "skupper_requests_total{code=~\"2.*|3.*|4.*|5.*\"}[86400s]";
    let errors = "(skupper_requests_total{code=~\"4.*|5.*\"}[5m])";
    let sites = "source_site_id=~\"site-0|site-1|site-2|site-3\"";
    let shapes = [
        ("1 octet rate", true, format!("sum(rate(skupper_sent_bytes_total{{{sites}}}[900s]))")),
        (
            "2 totals of pairs",
            false,
            "sum by(source_process_name,dest_process_name)(skupper_sent_bytes_total)".to_owned(),
        ),
        (
            "3 rates of pairs",
            false,
            "sum by(source_process_name,dest_process_name)(rate(skupper_sent_bytes_total[30s]))".to_owned(),
        ),
        (
            "4 latency percentile",
            true,
            "histogram_quantile(0.95,sum(increase(legacy_flow_latency_microseconds_bucket{direction=~\"incoming\"}[900s]))by(le))"
                .to_owned(),
        ),
        (
            "5 open connections",
            true,
            format!("sum(skupper_connections_opened_total{{{sites}}}-skupper_connections_closed_total{{{sites}}})"),
        ),
        ("6 request rate", true, "sum by(method)(rate(skupper_requests_total[900s]))".to_owned()),
        (
            "7 responses by class",
            true,
            format!("sum by(partial_code)({})", partial.replace("RATE", &format!("increase({codes})"))),
        ),
        (
            "8 errors by class",
            true,
            format!("sum by(partial_code)({})", partial.replace("RATE", &format!("rate({errors})"))),
        ),
        ("every series", true, "count({__name__=~\".+\"})".to_owned()),
    ];
    let mut group = criterion.benchmark_group("charts of a day");
    group.sample_size(10);
    for (name, is_range, query) in shapes {
        let query = query.replace('+', "%2B");
        let parameters = if is_range {
            let start = (end - 86_400_000) as f64 / 1000.0;
            format!("query={query}&start={start}&end={}&step=360", end as f64 / 1000.0)
        } else {
            format!("query={query}")
        };
        let question = if is_range { QueryKind::Range } else { QueryKind::Instant };
        let (status, body) = respond(question, Some(&parameters), "", &history, end);
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        group.bench_function(name, |bencher| {
            bencher.iter(|| respond(question, Some(black_box(&parameters)), "", &history, end));
        });
    }
    group.finish();
    let mut tick = SCRAPES;
    criterion.bench_function("take in a scrape", |bencher| {
        bencher.iter(|| {
            feed(&mut history, &mut pairs, tick);
            tick += 1;
        });
    });
}

criterion_group!(benches, charts);
criterion_main!(benches);
