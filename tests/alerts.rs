//! The alerts of `monitoring/alerts.yaml` over some minutes of the emulated VAN, in virtual time: each fires in its own
//! fault and in no other.
//!
//! The rules are evaluated by the collector's own PromQL, over the history that it keeps of its own metrics.
//!
//! The emulated VAN has two standing faults, by its story: nothing listens where the connectors of `loyalty` connect to,
//! and `gift-cards` has listeners and no connector. Their alerts fire always, and they are expected of every run here.
//! All else of it is healthy; with `failures`, which most of these runs do without, links fail, routers restart and pods
//! are replaced every few minutes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::Duration,
};

use http_body_util::BodyExt;
use hyper::Request;
use vanflow_api::{Api, ApiOptions};
use vanflow_collector::demo;
use vanflow_history::HistoryOptions;
use vanflow_proto::{Attribute, RecordKind, Timestamp, UpdateBuf};
use vanflow_store::{Record, Snapshot};

use crate::followed::{Followed, START};

const SECOND: u64 = 1_000_000;
const MINUTE: u64 = 60 * SECOND;

/// How often a test may inject something.
const STEP: u64 = 5 * SECOND;
/// How often the history is fed and the rules are evaluated. Most of the time of these tests is spent on feeding it. The
/// collector feeds it more often by default; rules have to hold at what Prometheus is usually configured to scrape at too.
const EVALUATE: u64 = 15 * SECOND;
/// How long a network is watched that has no fault of its own.
const HEALTHY: u64 = 10 * MINUTE;
/// How long one with a fault is: faults begin in the first two minutes, and no rule waits for more than five.
const FAULTY: u64 = 8 * MINUTE;

/// What fires in every run.
const STANDING: [&str; 2] =
    ["SkupperServiceFails loyalty:8080", "SkupperServiceWithoutServer gift-cards:8080"];

/// A rule, as far as it decides whether an alert fires.
struct Rule {
    alert: String,
    expr: String,
    micros: u64,
}

/// The rules in `monitoring/alerts.yaml`, which is as regular as it looks.
fn rules() -> Vec<Rule> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../monitoring/alerts.yaml");
    let text = fs::read_to_string(file).expect("the rules are there");
    let mut rules = Vec::<Rule>::new();
    let mut is_in_expr = false;
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let (indent, line) = (line.len() - line.trim_start().len(), line.trim());
        is_in_expr &= indent > 8;
        if let Some(alert) = line.strip_prefix("- alert: ") {
            rules.push(Rule { alert: alert.to_owned(), expr: String::new(), micros: 0 });
            continue;
        }
        let Some(rule) = rules.last_mut() else { continue };
        if is_in_expr {
            rule.expr.extend([line, " "]);
        } else if let Some(expr) = line.strip_prefix("expr: ") {
            is_in_expr = expr == ">-";
            rule.expr.push_str(expr.trim_start_matches(">-"));
        } else if let Some(minutes) = line.strip_prefix("for: ").and_then(|time| time.strip_suffix('m')) {
            rule.micros = minutes.parse::<u64>().expect("minutes") * MINUTE;
        }
    }
    rules
}

/// The emulated VAN, a collector that follows it, and whoever evaluates the rules.
struct Run {
    followed: Followed,
    api: Api,
    rules: Vec<Rule>,
    /// Since when the expression of a rule has had a result with a label set.
    pending: BTreeMap<(String, String), Timestamp>,
    fired: BTreeSet<String>,
}

impl Run {
    fn new(options: demo::DemoOptions) -> Self {
        let (followed, network) = Followed::new(options);
        followed
            .publisher
            .update_status(|status| (status.attached, status.flushed, status.ready) = (true, true, true));
        let mut options_of_api = ApiOptions::default();
        let mut history = HistoryOptions::default();
        history.interval = Duration::from_micros(EVALUATE);
        options_of_api.history = Some(history);
        Self {
            followed,
            api: Api::new(network, options_of_api),
            rules: rules(),
            pending: BTreeMap::new(),
            fired: BTreeSet::new(),
        }
    }

    /// Lets that many microseconds pass, and returns what fired. `each` is called at every [`STEP`], with its number
    /// from 1 on.
    fn watch(mut self, micros: u64, mut each: impl FnMut(&mut Self, u64)) -> BTreeSet<String> {
        for step in 1..=micros / STEP {
            let now = START.plus_micros(step * STEP);
            self.followed.advance(now);
            each(&mut self, step);
            if (step * STEP).is_multiple_of(EVALUATE) {
                self.followed.publisher.publish();
                self.api.remember(now);
                self.evaluate(now);
            }
        }
        self.fired
    }

    fn evaluate(&mut self, now: Timestamp) {
        let mut pending = BTreeMap::new();
        for rule in &self.rules {
            for labels in self.ask(&rule.expr, now) {
                let since = *self.pending.get(&(rule.alert.clone(), labels.clone())).unwrap_or(&now);
                if now.micros_since(since) >= rule.micros {
                    self.fired.insert(format!("{} {labels}", rule.alert));
                }
                pending.insert((rule.alert.clone(), labels), since);
            }
        }
        self.pending = pending;
    }

    /// The label sets of the answer to a query: what tells them apart for a reader.
    fn ask(&self, query: &str, now: Timestamp) -> Vec<String> {
        let time = now.as_micros() / SECOND;
        let encoded: String = query
            .bytes()
            .map(|byte| match byte {
                byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
                byte => format!("%{byte:02X}"),
            })
            .collect();
        let uri = format!("/prometheus/api/v1/query?time={time}&query={encoded}");
        let request = Request::get(uri).body(()).expect("a request").into_parts().0;
        let body = self.api.respond(&request).into_body();
        let body = futures_util::FutureExt::now_or_never(body.collect()).expect("it is there at once");
        let answer: serde_json::Value =
            serde_json::from_slice(&body.expect("it cannot fail").to_bytes()).expect("JSON");
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        let results = answer["data"]["result"].as_array().expect("a list");
        let label = |result: &serde_json::Value| {
            let labels = result["metric"].as_object().expect("labels");
            ["routing_key", "name", "router_name", "source", "site_id"]
                .iter()
                .find_map(|name| labels.get(*name))
                .map_or_else(String::new, |value| value.as_str().expect("text").to_owned())
        };
        results.iter().map(label).collect()
    }
}

fn expected(own: &[&str]) -> BTreeSet<String> {
    STANDING.iter().chain(own).map(|&fired| fired.to_owned()).collect()
}

/// A live record of that kind with such a name.
fn named<'s>(snapshot: &'s Snapshot, kind: RecordKind, name: &str) -> Record<'s> {
    let is_named = |record: &Record<'_>| record.text(Attribute::Name).is_some_and(|known| known == *name);
    let found = snapshot.of_kind(kind).find(|record| record.is_live() && is_named(record));
    found.unwrap_or_else(|| panic!("there is no {kind} {name}"))
}

/// Without the failures that the emulated VAN makes up by itself.
fn quiet() -> demo::DemoOptions {
    demo::DemoOptions { failures: false, ..demo::DemoOptions::default() }
}

#[test]
fn every_rule_is_read() {
    let rules = rules();
    assert!(rules.len() > 10);
    for rule in &rules {
        assert!(rule.expr.len() > 10, "{}: {}", rule.alert, rule.expr);
    }
    let fails = rules.iter().find(|rule| rule.alert == "SkupperServiceFails").expect("it is there");
    assert_eq!(fails.micros, 2 * MINUTE);
}

#[test]
fn what_is_healthy_raises_no_alert() {
    for seed in [1, 2] {
        let options = demo::DemoOptions { seed, ..quiet() };
        assert_eq!(Run::new(options).watch(HEALTHY, |_, _| {}), expected(&[]), "seed {seed}");
    }
}

#[test]
fn links_that_fail_now_and_then_raise_no_alert_but_their_own() {
    let mut fired = Run::new(demo::DemoOptions::default()).watch(HEALTHY, |_, _| {});
    // Links fail every two minutes, and two routers restart every five: one of the links may well flap.
    fired.retain(|fired| !fired.starts_with("SkupperLinkFlaps "));
    assert_eq!(fired, expected(&[]));
}

#[test]
fn a_service_that_begins_to_refuse_everything_is_reported() {
    let fired = Run::new(quiet()).watch(FAULTY, |run, step| {
        if step < 12 {
            return;
        }
        // Whatever is opened to the service fails from then on.
        let snapshot = run.followed.snapshot();
        let failed: Vec<_> = snapshot
            .of_kind(RecordKind::BiflowTport)
            .filter(|connection| connection.start().is_some_and(|start| start > START.plus_micros(MINUTE)))
            .filter(|connection| connection.get(Attribute::ErrorConnectorSide).is_none())
            .filter(|connection| {
                connection
                    .lane()
                    .and_then(|lane| lane.service())
                    .is_some_and(|service| service.address() == *"cart:8080")
            })
            .filter_map(|connection| {
                Some((connection.source()?.id().to_owned(), connection.id().to_string()))
            })
            .collect();
        for (source, id) in failed {
            let refused = "proton:io (Connection refused - on connect 172.16.20.9:8080)";
            run.followed.report(
                &source,
                &UpdateBuf::new(RecordKind::BiflowTport, id).with(Attribute::ErrorConnectorSide, refused),
            );
        }
    });
    assert_eq!(fired, expected(&["SkupperServiceFails cart:8080"]));
}

#[test]
fn a_service_that_loses_its_connectors_is_reported() {
    let fired = Run::new(quiet()).watch(FAULTY, |run, step| {
        if step != 12 {
            return;
        }
        let snapshot = run.followed.snapshot();
        for connector in snapshot.of_kind(RecordKind::Connector).filter(Record::is_live) {
            if connector.text(Attribute::VanAddress).is_some_and(|address| address == *"payment:8443") {
                let source = connector.source().expect("a router reports it").id().to_owned();
                let end = UpdateBuf::new(RecordKind::Connector, connector.id().to_string());
                run.followed.report(&source, &end.with(Attribute::EndTime, run.followed.van.now()));
            }
        }
    });
    assert_eq!(fired, expected(&["SkupperServiceWithoutServer payment:8443"]));
}

#[test]
fn a_link_that_flaps_is_reported() {
    let fired = Run::new(quiet()).watch(FAULTY, |run, step| {
        let snapshot = run.followed.snapshot();
        let link = named(&snapshot, RecordKind::Link, "cloud-1");
        let (source, id) =
            (link.source().expect("a router reports it").id().to_owned(), link.id().to_string());
        let is_down = step % 12 == 0;
        if is_down || step % 12 == 1 {
            let update = UpdateBuf::new(RecordKind::Link, id)
                .with(Attribute::OperStatus, if is_down { "down" } else { "up" })
                .with(Attribute::DownCount, step / 12);
            run.followed.report(&source, &update);
        }
    });
    let fired: Vec<_> = fired.difference(&expected(&[])).cloned().collect();
    assert_eq!(fired, ["SkupperLinkFlaps 0/dc-1"]);
}

#[test]
fn a_link_that_stays_down_is_reported() {
    let fired = Run::new(quiet()).watch(FAULTY, |run, step| {
        if step == 12 {
            let snapshot = run.followed.snapshot();
            let link = named(&snapshot, RecordKind::Link, "cloud-1");
            let (source, id) =
                (link.source().expect("a router reports it").id().to_owned(), link.id().to_string());
            run.followed
                .report(&source, &UpdateBuf::new(RecordKind::Link, id).with(Attribute::OperStatus, "down"));
        }
    });
    assert_eq!(fired, expected(&["SkupperLinkDown data-centre"]));
}

#[test]
fn a_source_whose_answer_is_lost_is_reported() {
    let mut run = Run::new(quiet());
    let lost = run.followed.van.sources().next().expect("a router").id().to_owned();
    run.followed.lost = Some(lost.clone());
    assert_eq!(run.watch(FAULTY, |_, _| {}), expected(&[&format!("VanflowSourceIncomplete {lost}")]));
}

/// Routers report neither CPU nor memory nor a backlog. What shows that one is at its limit are its open flows: with
/// 5,000 of them it makes no records of others (faults 15).
#[test]
fn a_router_that_makes_no_further_records_is_reported() {
    let mut saturated = String::new();
    let fired = Run::new(quiet()).watch(FAULTY, |run, step| {
        if step == 12 {
            let snapshot = run.followed.snapshot();
            let listener = named(&snapshot, RecordKind::Listener, "catalog-listener");
            saturated = listener.source().expect("a router reports it").id().to_owned();
            for number in 0..5_000 {
                let id = format!("{}:{}", saturated.trim_end_matches(":0"), 1_000_000 + number);
                let connection = UpdateBuf::new(RecordKind::BiflowTport, id)
                    .with(Attribute::Parent, listener.id().to_string())
                    .with(Attribute::StartTime, run.followed.van.now())
                    .with(Attribute::SourceHost, "10.128.4.201");
                run.followed.report(&saturated, &connection);
            }
        }
    });
    assert_eq!(fired, expected(&[&format!("VanflowSourceSaturated {saturated}")]));
}

#[test]
fn connections_that_a_router_counts_and_does_not_report_are_reported() {
    // faults 33
    let fired = Run::new(quiet()).watch(FAULTY, |run, step| {
        if step < 12 {
            return;
        }
        let snapshot = run.followed.snapshot();
        let listener = named(&snapshot, RecordKind::Listener, "catalog-listener");
        let source = listener.source().expect("a router reports it").id().to_owned();
        let counted = UpdateBuf::new(RecordKind::Listener, listener.id().to_string());
        run.followed.report(&source, &counted.with(Attribute::FlowCountL4, 10_000));
    });
    assert_eq!(fired, expected(&["SkupperConnectionsNeverReported catalog:8080"]));
}

#[test]
fn a_certificate_that_has_expired_is_reported() {
    let fired = Run::new(quiet()).watch(FAULTY, |run, step| {
        if step == 24 {
            let snapshot = run.followed.snapshot();
            let router = named(&snapshot, RecordKind::Router, "0/dc-1").id().to_string();
            let expired = "LOG_SERVER: [C3] Connection to cloud:55671 failed: amqp:connection:framing-error SSL \
                           Failure: error:0A000415:SSL routines::ssl/tls alert certificate expired";
            let log = UpdateBuf::new(RecordKind::Log, format!("{}:9999", router.trim_end_matches(":0")))
                .with(Attribute::Parent, &*router)
                .with(Attribute::StartTime, run.followed.van.now())
                .with(Attribute::EndTime, run.followed.van.now())
                .with(Attribute::LogSeverity, 3)
                .with(Attribute::LogText, expired);
            run.followed.report(&router, &log);
        }
    });
    assert_eq!(fired, expected(&["SkupperCertificateRefused 0/dc-1"]));
}
