//! Metrics are those of the records, however late and in whatever order what explains a connection is reported.

use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;
use vanflow_api::ApiOptions;
use vanflow_proto::{Attribute, RecordKind, SourceType, Timestamp, UpdateBuf};
use vanflow_store::Store;

use super::connections::{change, client, network, process, record, samples, scrape, server};
use crate::support::{EPOCH, Fixture, apply};

/// A connection, and when what is reported about it, in seconds.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) start: u64,
    /// Until the client's router reports it, and the server's.
    pub(super) delays: [u64; 2],
    pub(super) client: usize,
    pub(super) server: usize,
    pub(super) octets: [u64; 2],
    /// Octets that follow a while later.
    pub(super) later: [u64; 2],
    /// How long it lasts; without an end it stays open.
    pub(super) lasts: Option<u64>,
    pub(super) requests: usize,
}

pub(super) const CLIENTS: [(&str, &str); 2] = [("10.0.0.1", "client-1"), ("10.0.0.8", "client-2")];
pub(super) const SERVERS: [(&str, &str); 2] = [("e:1", "server-1"), ("e:2", "server-2")];

pub(super) fn plans(longest_delay: u64) -> impl Strategy<Value = Vec<Plan>> {
    let plan = (
        (0..40_u64, [0..=longest_delay, 0..=longest_delay], 0..2_usize, 0..2_usize),
        ([0..1000_u64, 0..1000_u64], [0..1000_u64, 0..1000_u64], prop::option::of(0..30_u64), 0..3_usize),
    );
    let plan = plan.prop_map(|((start, delays, client, server), (octets, later, lasts, requests))| Plan {
        start,
        delays,
        client,
        server,
        octets,
        later,
        lasts,
        requests,
    });
    prop::collection::vec(plan, 1..12)
}

impl Plan {
    /// What is reported of it, and when.
    pub(super) fn reports(&self, number: usize) -> Vec<(u64, UpdateBuf)> {
        let id = format!("gv_ZW:{}", 100 + 10 * number);
        let at = |second: u64| EPOCH + second * 1_000_000;
        let new = |id: &str, kind| UpdateBuf::new(kind, id).with(Attribute::StartTime, at(self.start));
        let [near, far] = self.delays.map(|delay| self.start + delay);
        let mut reports = vec![
            (
                near,
                new(&id, RecordKind::BiflowTport)
                    .with(Attribute::Parent, "gv_ZW:1")
                    .with(Attribute::SourceHost, CLIENTS[self.client].0)
                    .with(Attribute::Octets, self.octets[0])
                    .with(Attribute::Latency, 1500),
            ),
            (
                far,
                UpdateBuf::new(RecordKind::BiflowTport, &*id)
                    .with(Attribute::Connector, SERVERS[self.server].0)
                    .with(Attribute::OctetsReverse, self.octets[1])
                    .with(Attribute::ProcessLatency, 900),
            ),
            (
                near + 7,
                change(RecordKind::BiflowTport, &id).with(Attribute::Octets, self.octets[0] + self.later[0]),
            ),
            (
                far + 9,
                change(RecordKind::BiflowTport, &id)
                    .with(Attribute::OctetsReverse, self.octets[1] + self.later[1]),
            ),
        ];
        for request in 0..self.requests {
            let begun = new(&format!("gv_ZW:{}", 101 + 10 * number + request), RecordKind::BiflowApp)
                .with(Attribute::Parent, &*id)
                .with(Attribute::Protocol, "HTTP/1.1")
                .with(Attribute::Method, "GET")
                .with(Attribute::Result, "200");
            let end = UpdateBuf::new(RecordKind::BiflowApp, &*begun.id)
                .with(Attribute::EndTime, at(self.start) + 1 + request as u64);
            reports.extend([(near, begun), (near + 3 * request as u64, end)]);
        }
        if let Some(lasts) = self.lasts {
            let end = change(RecordKind::BiflowTport, &id).with(Attribute::EndTime, at(self.start + lasts));
            reports.push((near.max(self.start + lasts), end));
        }
        reports
    }

    fn names(&self) -> String {
        format!("{} > {}", CLIENTS[self.client].1, SERVERS[self.server].1)
    }

    /// Opened, closed, octets there and back, requests, connections with latencies.
    pub(super) fn counts(&self) -> [f64; 6] {
        let both = |direction: usize| (self.octets[direction] + self.later[direction]) as f64;
        [1.0, self.lasts.map_or(0.0, |_| 1.0), both(0), both(1), self.requests as f64, 1.0]
    }
}

/// The counters of the network, each with the names of its processes.
pub(super) fn counters(fixture: &Fixture) -> Vec<(String, String, f64)> {
    let metrics = [
        "skupper_connections_opened_total",
        "skupper_connections_closed_total",
        "skupper_sent_bytes_total",
        "skupper_received_bytes_total",
        "skupper_requests_total",
        "legacy_flow_latency_microseconds_count",
    ];
    let lines = scrape(fixture);
    let all = metrics.iter().flat_map(|metric| {
        samples(&lines, &format!("{metric}{{")).into_iter().map(|sample| ((*metric).to_owned(), sample))
    });
    all.filter(|(_, (labels, _))| !labels.contains("direction=\"outgoing\""))
        .map(|(metric, (labels, value))| {
            let label = |name: &str| labels.split_once(name).unwrap().1.split('"').nth(1).unwrap();
            let names = format!("{} > {}", label("source_process_name"), label("dest_process_name"));
            (metric, names, value)
        })
        .collect()
}

/// By names of processes; all together where they are of no interest.
pub(super) fn summed(
    counters: &[(String, String, f64)],
    by: impl Fn(&str) -> String,
) -> BTreeMap<String, [f64; 6]> {
    let mut summed = BTreeMap::<String, [f64; 6]>::new();
    let mut metrics: Vec<&str> = Vec::new();
    for (metric, names, value) in counters {
        if !metrics.contains(&metric.as_str()) {
            metrics.push(metric);
        }
        let column = match metric.as_str() {
            "skupper_connections_opened_total" => 0,
            "skupper_connections_closed_total" => 1,
            "skupper_sent_bytes_total" => 2,
            "skupper_received_bytes_total" => 3,
            "skupper_requests_total" => 4,
            _ => 5,
        };
        summed.entry(by(names)).or_default()[column] += value;
    }
    summed.retain(|_, counts| counts.iter().any(|count| *count > 0.0));
    summed
}

/// Has all of it reported, and looks at the metrics every other second: no counter ever falls, nor is there ever more in
/// all than there is.
fn followed(plans: &[Plan], retention_seconds: u64) -> Fixture {
    let mut options = ApiOptions::default();
    options.metrics.zero_for = Duration::ZERO;
    let mut store_options = vanflow_store::StoreOptions::default();
    store_options.retention_micros = retention_seconds * 1_000_000;
    let fixture = Fixture::with_options(Store::new(store_options), options);
    let mut reports: Vec<_> =
        plans.iter().enumerate().flat_map(|(number, plan)| plan.reports(number)).collect();
    reports.sort_by_key(|(second, _)| *second);
    let now = |second: u64| Timestamp::from_micros(EPOCH + second * 1_000_000);
    let source = {
        let mut store = fixture.publisher.write();
        let source = store.source_seen("gv_ZW:0", SourceType::Router, now(0));
        let more = record(RecordKind::Connector, "e:2")
            .with(Attribute::Parent, "e:0")
            .with(Attribute::VanAddress, "shop")
            .with(Attribute::Protocol, "tcp")
            .with(Attribute::DestHost, "10.0.0.3");
        let mut all = network();
        let processes = [
            process("p3", "east-1", "10.0.0.3", "server-2", "server"),
            process("p4", "west-1", "10.0.0.8", "client-2", "client"),
        ];
        all.extend([more, client(), server()].into_iter().chain(processes));
        apply(&mut store, source, &all, now(0));
        source
    };
    let most = plans.iter().map(Plan::counts).fold([0.0; 6], |sum, counts| {
        let mut sum: [f64; 6] = sum;
        sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        sum
    });
    let mut reports = reports.into_iter().peekable();
    let mut before: BTreeMap<(String, String), f64> = BTreeMap::new();
    for second in 0..200 {
        {
            let mut store = fixture.publisher.write();
            store.heartbeat(source, now(second), now(second));
            while let Some((_, report)) = reports.next_if(|(at, _)| *at <= second) {
                apply(&mut store, source, &[report], now(second));
            }
            while store.advance(now(second)) {}
        }
        if second % 2 == 1 {
            continue;
        }
        let counters = counters(&fixture);
        let mut known = BTreeMap::new();
        for (metric, names, value) in &counters {
            *known.entry((metric.clone(), names.clone())).or_default() += value;
        }
        for (key, value) in &known {
            assert!(before.get(key).is_none_or(|before| before <= value), "{second} s: {key:?} fell");
        }
        before = known;
        for counts in summed(&counters, |_| String::new()).values() {
            assert!(
                counts.iter().zip(most).all(|(count, most)| *count <= most),
                "{second} s: {counts:?} of {most:?}"
            );
        }
    }
    fixture
}

fn expected(plans: &[Plan], by: impl Fn(&Plan) -> String) -> BTreeMap<String, [f64; 6]> {
    let mut expected = BTreeMap::<String, [f64; 6]>::new();
    for plan in plans {
        let sum = expected.entry(by(plan)).or_default();
        sum.iter_mut().zip(plan.counts()).for_each(|(sum, count)| *sum += count);
    }
    expected
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn each_label_set_has_what_its_records_have_however_late_the_other_half_of_them(plans in plans(12)) {
        // Ended connections leave the store in the meantime.
        let fixture = followed(&plans, 60);
        prop_assert_eq!(summed(&counters(&fixture), str::to_owned), expected(&plans, Plan::names));
    }

    #[test]
    fn nothing_is_counted_twice_even_where_the_other_half_is_later_than_is_waited_for(plans in plans(50)) {
        let fixture = followed(&plans, 900);
        let all = |_: &Plan| String::new();
        prop_assert_eq!(summed(&counters(&fixture), |_| String::new()), expected(&plans, all));
    }
}
