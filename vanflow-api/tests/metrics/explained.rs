//! What a connection came to under a label set stays there when the connection turns out to belong elsewhere, and is not
//! counted again: in all label sets together there is what the records come to, at any time.

use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;
use vanflow_api::{ApiOptions, metrics::Detail};
use vanflow_proto::{Attribute, RecordKind, SourceType, Timestamp, UpdateBuf};
use vanflow_store::{SourceId, Store};

use super::{
    connections::{change, network, process, record},
    late::{CLIENTS, Plan, SERVERS, counters, plans, summed},
};
use crate::support::{EPOCH, Fixture, apply};

const SECOND: u64 = 1_000_000;

pub(super) fn now(second: u64) -> Timestamp {
    Timestamp::from_micros(EPOCH + second * SECOND)
}

/// What is reported of a connection, and what was counted of it.
#[derive(Debug, Default)]
struct Known {
    start: u64,
    host: Option<usize>,
    server: Option<usize>,
    first_seen: Option<u64>,
    latencies: [bool; 2],
    /// Opened, closed, octets there and back, requests, connections with latencies.
    values: [f64; 6],
    counted: [f64; 6],
    opened_as: Option<String>,
}

impl Known {
    fn report(&mut self, update: &UpdateBuf, second: u64) {
        let number = |attribute: Attribute| {
            update
                .attributes
                .iter()
                .find(|(code, _)| *code == attribute.code())
                .and_then(|(_, value)| value.borrow().as_uint())
        };
        let has = |attribute: Attribute| update.attributes.iter().any(|(code, _)| *code == attribute.code());
        if update.type_code == Some(RecordKind::BiflowApp.code()) {
            self.values[4] += f64::from(has(Attribute::EndTime));
            return;
        }
        self.first_seen.get_or_insert(second);
        self.values[0] = 1.0;
        self.values[1] = self.values[1].max(f64::from(has(Attribute::EndTime)));
        for (column, attribute) in [(2, Attribute::Octets), (3, Attribute::OctetsReverse)] {
            self.values[column] = self.values[column].max(number(attribute).unwrap_or(0) as f64);
        }
        self.latencies[0] |= has(Attribute::Latency);
        self.latencies[1] |= has(Attribute::ProcessLatency);
        self.values[5] = f64::from(self.latencies == [true; 2]);
    }

    /// Counts what it grew by, where it belongs now; what opened it closes it.
    fn count(&mut self, second: u64, label: String, counted: &mut BTreeMap<String, [f64; 6]>) {
        let Some(first_seen) = self.first_seen else { return };
        let is_resolved = self.host.is_some() && self.server.is_some();
        if !is_resolved && self.opened_as.is_none() && second < first_seen + 15 {
            return;
        }
        let opened_as = self.opened_as.get_or_insert_with(|| label.clone()).clone();
        for column in 0..6 {
            let label = if column < 2 { &opened_as } else { &label };
            let growth = self.values[column] - self.counted[column];
            counted.entry(label.clone()).or_default()[column] += growth;
        }
        self.counted = self.values;
    }
}

/// A process that takes over the address of a client: when it starts, and how much later it is reported.
#[derive(Clone, Copy, Debug)]
struct Successor {
    start: u64,
    delay: u64,
}

fn successor(host: usize, Successor { start, delay }: Successor) -> (u64, UpdateBuf) {
    let name = format!("{}-new", CLIENTS[host].1);
    let successor = process(&format!("n{host}"), "west-1", CLIENTS[host].0, &name, "client")
        .with(Attribute::StartTime, EPOCH + start * SECOND + SECOND / 2);
    (start + delay, successor)
}

/// The connection that a record is, or belongs to.
fn connection_id(id: &str) -> String {
    match id.strip_prefix("gv_ZW:").and_then(|number| number.parse::<u64>().ok()) {
        Some(number) if number >= 100 => format!("gv_ZW:{}", number - number % 10),
        _ => id.to_owned(),
    }
}

/// Who connects, and to whom, as far as it is known.
fn label(known: &Known, successors: &[Successor; 2], second: u64) -> String {
    let client = known.host.map_or("unknown".to_owned(), |host| {
        let Successor { start, delay } = successors[host];
        let succeeds = known.start > start && second >= start + delay;
        format!("{}{}", CLIENTS[host].1, if succeeds { "-new" } else { "" })
    });
    format!("{client} > {}", known.server.map_or("unknown", |server| SERVERS[server].1))
}

/// Two sites, a listener here, and two connectors there.
fn ends() -> Vec<UpdateBuf> {
    let mut all = network();
    all.push(connector("e:2", "10.0.0.3"));
    all
}

pub(super) fn connector(id: &str, host: &str) -> UpdateBuf {
    record(RecordKind::Connector, id)
        .with(Attribute::Parent, "e:0")
        .with(Attribute::VanAddress, "shop")
        .with(Attribute::Protocol, "tcp")
        .with(Attribute::DestHost, host)
}

pub(super) struct Followed {
    pub(super) fixture: Fixture,
    pub(super) source: SourceId,
}

impl Followed {
    pub(super) fn new(retention_seconds: u64) -> Self {
        let mut network = Self::empty(retention_seconds);
        network.report_network(0);
        network
    }

    /// Everything but connections.
    pub(super) fn report_network(&mut self, second: u64) {
        self.report(second, &ends());
        self.report(
            second,
            &[
                process("s0", "east-1", "10.0.0.2", SERVERS[0].1, "server"),
                process("s1", "east-1", "10.0.0.3", SERVERS[1].1, "server"),
                process("c0", "west-1", CLIENTS[0].0, CLIENTS[0].1, "client"),
                process("c1", "west-1", CLIENTS[1].0, CLIENTS[1].1, "client"),
            ],
        );
    }

    /// Without processes.
    pub(super) fn empty(retention_seconds: u64) -> Self {
        let mut options = ApiOptions::default();
        options.metrics.zero_for = Duration::ZERO;
        let mut store_options = vanflow_store::StoreOptions::default();
        store_options.retention_micros = retention_seconds * SECOND;
        let fixture = Fixture::with_options(Store::new(store_options), options);
        let source = {
            let mut store = fixture.publisher.write();
            let source = store.source_seen("gv_ZW:0", SourceType::Router, now(0));
            apply(&mut store, source, &ends(), now(0));
            source
        };
        Self { fixture, source }
    }

    pub(super) fn report(&mut self, second: u64, updates: &[UpdateBuf]) {
        let mut store = self.fixture.publisher.write();
        store.heartbeat(self.source, now(second), now(second));
        apply(&mut store, self.source, updates, now(second));
        while store.advance(now(second)) {}
    }
}

/// Reports everything and looks at the metrics after each report: each label set has what a plain account of each
/// connection says, which knows no lanes.
fn check(plans: &[Plan], successors: [Successor; 2], retention_seconds: u64) {
    let mut network = Followed::new(retention_seconds);
    let mut known: BTreeMap<String, Known> = BTreeMap::new();
    let mut counted = BTreeMap::new();
    let mut before = BTreeMap::<String, [f64; 6]>::new();
    let mut reports: Vec<(u64, UpdateBuf)> = Vec::new();
    // One of each label set that goes on, so that none goes over to another as a whole.
    let mut anchors = 0;
    for (host, (address, _)) in CLIENTS.iter().enumerate() {
        for server in [None, Some(0), Some(1)] {
            let id = format!("gv_ZW:{}", 50 + anchors);
            anchors += 1;
            let anchor = record(RecordKind::BiflowTport, &id)
                .with(Attribute::Parent, "gv_ZW:1")
                .with(Attribute::SourceHost, *address);
            let anchor = server
                .into_iter()
                .fold(anchor, |anchor, server: usize| anchor.with(Attribute::Connector, SERVERS[server].0));
            reports.push((0, anchor));
            known.insert(id, Known { host: Some(host), server, ..Known::default() });
        }
    }
    reports.extend((0..2).map(|host| successor(host, successors[host])));
    for (number, plan) in plans.iter().enumerate() {
        let id = format!("gv_ZW:{}", 100 + 10 * number);
        known.insert(id, Known { start: plan.start, ..Known::default() });
        reports.extend(plan.reports(number));
    }
    reports.sort_by_key(|(second, _)| *second);
    let mut reports = reports.into_iter().peekable();
    for second in 0..200 {
        let mut looks = second % 5 == 0;
        while let Some((_, report)) = reports.next_if(|(at, _)| *at <= second) {
            looks = true;
            network.report(second, std::slice::from_ref(&report));
            let of = connection_id(&report.id);
            if let Some(connection) = known.get_mut(&of) {
                connection.report(&report, second);
                let number = of.trim_start_matches("gv_ZW:").parse::<usize>().expect("a number");
                if let Some(plan) = number.checked_sub(100).map(|number| &plans[number / 10]) {
                    let has = |attribute: Attribute| {
                        report.attributes.iter().any(|(code, _)| *code == attribute.code())
                    };
                    let is_connection = report.type_code == Some(RecordKind::BiflowTport.code());
                    if is_connection && has(Attribute::Parent) {
                        connection.host = Some(plan.client);
                    }
                    if has(Attribute::Connector) {
                        connection.server = Some(plan.server);
                    }
                }
            }
            compare(&network, second, (&mut known, successors), &mut counted, &mut before, &report.id);
        }
        network.report(second, &[]);
        if looks {
            compare(&network, second, (&mut known, successors), &mut counted, &mut before, "time");
        }
    }
    let most =
        plans.iter().map(Plan::counts).fold([6.0, 0.0, 0.0, 0.0, 0.0, 0.0], |mut sum: [f64; 6], counts| {
            sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
            sum
        });
    let total = counted.values().fold([0.0; 6], |mut sum: [f64; 6], counts: &[f64; 6]| {
        sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        sum
    });
    assert_eq!(total, most, "all of it, and once");
}

fn compare(
    network: &Followed,
    second: u64,
    (known, successors): (&mut BTreeMap<String, Known>, [Successor; 2]),
    counted: &mut BTreeMap<String, [f64; 6]>,
    before: &mut BTreeMap<String, [f64; 6]>,
    after: &str,
) {
    // The process is reported before those connections are looked at that are reported in the same second.
    let reported_by =
        |host: usize| network.fixture.publisher.write().snapshot().find(&format!("n{host}")).next().is_some();
    let successors = [0, 1].map(|host| {
        let delay = if reported_by(host) { 0 } else { u64::MAX - successors[host].start };
        Successor { delay, ..successors[host] }
    });
    for connection in known.values_mut() {
        let label = label(connection, &successors, second);
        connection.count(second, label, counted);
    }
    let found = summed(&counters(&network.fixture), str::to_owned);
    let is_counted = |counts: &[f64; 6]| counts.iter().any(|count| *count > 0.0);
    for (names, counts) in counted.iter().filter(|(_, counts)| is_counted(counts)) {
        let found = found.get(names);
        // What ends with the last connection of a label set without processes is not there any more.
        if found.is_none() && names.contains("unknown") {
            continue;
        }
        assert_eq!(found, Some(counts), "{names} at {second} s after {after}; {found:#?}");
    }
    for (names, counts) in &found {
        assert!(counted.contains_key(names), "{names} has {counts:?} at {second} s");
        let is_less = before.get(names).is_some_and(|before| before.iter().zip(counts).any(|(a, b)| a > b));
        assert!(!is_less, "{names} fell at {second} s: {counts:?}");
    }
    *before = found;
}

fn successors() -> impl Strategy<Value = [Successor; 2]> {
    let successor = (1..40_u64, 0..30_u64).prop_map(|(start, delay)| Successor { start, delay });
    [successor.clone(), successor]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn each_label_set_has_what_connections_came_to_while_they_belonged_there(
        plans in plans(50),
        successors in successors(),
    ) {
        // Ended connections leave the store in the meantime.
        check(&plans, successors, 60);
    }

    #[test]
    fn in_all_label_sets_there_is_what_the_records_come_to_however_seldom_somebody_looks(
        plans in plans(50),
        processes in [0..60_u64, 0..60_u64, 0..60_u64, 0..60_u64],
        successors in successors(),
        step in 1..20_u64,
    ) {
        check_totals(&plans, processes, successors, step);
    }
}

/// Reports everything, processes at those seconds, and looks at the metrics that seldom: in all there is what the records
/// come to, but for what is waited for.
fn check_totals(plans: &[Plan], processes: [u64; 4], successors: [Successor; 2], step: u64) {
    let mut network = Followed::empty(900);
    let mut known: BTreeMap<String, Known> = BTreeMap::new();
    let mut reports = Vec::new();
    let records = [
        process("s0", "east-1", "10.0.0.2", SERVERS[0].1, "server"),
        process("s1", "east-1", "10.0.0.3", SERVERS[1].1, "server"),
        process("c0", "west-1", CLIENTS[0].0, CLIENTS[0].1, "client"),
        process("c1", "west-1", CLIENTS[1].0, CLIENTS[1].1, "client"),
    ];
    reports.extend(processes.into_iter().zip(records));
    reports.extend((0..2).map(|host| successor(host, successors[host])));
    for (number, plan) in plans.iter().enumerate() {
        known.insert(format!("gv_ZW:{}", 100 + 10 * number), Known::default());
        reports.extend(plan.reports(number));
    }
    reports.sort_by_key(|(second, _)| *second);
    let mut reports = reports.into_iter().peekable();
    let mut before = BTreeMap::<String, [f64; 6]>::new();
    for second in 0..200 {
        let due: Vec<_> = std::iter::from_fn(|| reports.next_if(|(at, _)| *at <= second)).collect();
        for (_, report) in &due {
            if let Some(connection) = known.get_mut(&connection_id(&report.id)) {
                connection.report(report, second);
            }
        }
        network.report(second, &due.into_iter().map(|(_, report)| report).collect::<Vec<_>>());
        if second % step > 0 && second < 199 {
            continue;
        }
        let found = summed(&counters(&network.fixture), str::to_owned);
        for (names, counts) in &found {
            let is_less =
                before.get(names).is_some_and(|before| before.iter().zip(counts).any(|(a, b)| a > b));
            assert!(!is_less, "{names} fell at {second} s: {counts:?}");
        }
        let sum = |all: &mut dyn Iterator<Item = [f64; 6]>| {
            all.fold([0.0; 6], |mut sum: [f64; 6], counts| {
                sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
                sum
            })
        };
        let in_all = sum(&mut found.values().copied());
        let most = sum(&mut known.values().map(|known| known.values));
        let is_waited_for = |known: &Known| known.first_seen.is_none_or(|seen| second < seen + 15 + step);
        let least = sum(&mut known.values().filter(|known| !is_waited_for(known)).map(|known| known.values));
        let is_between = |((count, least), most): ((&f64, f64), f64)| (least..=most).contains(count);
        assert!(
            in_all.iter().zip(least).zip(most).all(is_between),
            "{second} s: {in_all:?} is not between {least:?} and {most:?}; {found:#?}"
        );
        before = found;
    }
}

/// Opened, closed and sent of each label set, by the names of its processes.
pub(super) fn counts(network: &Followed) -> Vec<(String, [f64; 3])> {
    let summed = summed(&counters(&network.fixture), str::to_owned);
    summed.into_iter().map(|(names, [opened, closed, sent, ..])| (names, [opened, closed, sent])).collect()
}

/// How many label sets and lanes are counted.
pub(super) fn held(network: &Followed) -> [u64; 2] {
    let answer = network.fixture.get("/metrics");
    ["vanflow_collector_flow_series ", "vanflow_collector_lanes "].map(|name| {
        let line = answer.text().lines().find_map(|line| line.strip_prefix(name)).expect(name);
        line.parse().unwrap()
    })
}

pub(super) fn connection(number: u64, start: u64, octets: u64) -> UpdateBuf {
    UpdateBuf::new(RecordKind::BiflowTport, format!("gv_ZW:{number}"))
        .with(Attribute::StartTime, EPOCH + start * SECOND)
        .with(Attribute::Parent, "gv_ZW:1")
        .with(Attribute::SourceHost, CLIENTS[0].0)
        .with(Attribute::Connector, SERVERS[0].0)
        .with(Attribute::Octets, octets)
}

pub(super) fn octets(number: u64, octets: u64) -> UpdateBuf {
    change(RecordKind::BiflowTport, &format!("gv_ZW:{number}")).with(Attribute::Octets, octets)
}

pub(super) fn end(number: u64) -> UpdateBuf {
    change(RecordKind::BiflowTport, &format!("gv_ZW:{number}")).with(Attribute::EndTime, EPOCH + 30 * SECOND)
}

#[test]
fn a_connection_is_opened_once_and_closed_where_it_was_opened() {
    let mut network = Followed::new(900);
    network.report(1, &[connection(10, 1, 10), connection(11, 6, 100)]);
    assert_eq!(counts(&network), [("client-1 > server-1".to_owned(), [2.0, 0.0, 110.0])]);
    let successor = process("n0", "west-1", CLIENTS[0].0, "client-1-new", "client")
        .with(Attribute::StartTime, EPOCH + 5 * SECOND);
    network.report(7, &[successor]);
    network.report(7, &[octets(11, 101)]);
    let both = |old: [f64; 3], new: [f64; 3]| {
        [("client-1 > server-1".to_owned(), old), ("client-1-new > server-1".to_owned(), new)]
    };
    // What happened until somebody looked is counted where it was counted before.
    assert_eq!(counts(&network), [("client-1 > server-1".to_owned(), [2.0, 0.0, 111.0])]);
    network.report(8, &[octets(11, 105)]);
    assert_eq!(counts(&network), both([2.0, 0.0, 111.0], [0.0, 0.0, 4.0]));
    network.report(9, &[end(11), connection(12, 9, 7)]);
    assert_eq!(counts(&network), both([2.0, 1.0, 111.0], [1.0, 0.0, 11.0]));
    network.report(9, &[end(10), end(12)]);
    assert_eq!(counts(&network), both([2.0, 2.0, 111.0], [1.0, 1.0, 11.0]));
}

#[test]
fn a_connection_that_is_explained_otherwise_twice_is_closed_where_it_was_opened() {
    let mut network = Followed::new(900);
    // The others keep the label sets that it leaves.
    network.report(1, &[connection(10, 1, 10), connection(11, 20, 100), connection(12, 7, 0)]);
    counts(&network);
    for (number, start) in [(1, 5), (2, 15)] {
        let successor =
            process(&format!("n{number}"), "west-1", CLIENTS[0].0, &format!("new-{number}"), "client")
                .with(Attribute::StartTime, EPOCH + start * SECOND);
        network.report(20 + number, &[successor]);
        counts(&network);
        network.report(20 + number, &[octets(11, 100 + number)]);
        counts(&network);
    }
    network.report(30, &[end(11)]);
    let expected = [
        ("client-1 > server-1".to_owned(), [3.0, 1.0, 110.0]),
        ("new-1 > server-1".to_owned(), [0.0, 0.0, 1.0]),
        ("new-2 > server-1".to_owned(), [0.0, 0.0, 1.0]),
    ];
    assert_eq!(counts(&network), expected);
}

#[test]
fn a_connection_that_was_counted_is_not_counted_as_unknown_when_its_connector_is_in_doubt() {
    // faults 11: the only connector of the service is inferred, until another proves to have been there.
    let mut options = ApiOptions::default();
    options.metrics.zero_for = Duration::ZERO;
    let fixture = Fixture::with_options(Store::new(vanflow_store::StoreOptions::default()), options);
    let source = fixture.publisher.write().source_seen("gv_ZW:0", SourceType::Router, now(0));
    let mut network_of_one = Followed { fixture, source };
    let mut all = network();
    all.extend([
        process("s0", "east-1", "10.0.0.2", SERVERS[0].1, "server"),
        process("c0", "west-1", CLIENTS[0].0, CLIENTS[0].1, "client"),
    ]);
    network_of_one.report(0, &all);
    let mut without = connection(10, 1, 10);
    without.attributes.retain(|(code, _)| *code != Attribute::Connector.code());
    network_of_one.report(1, &[without]);
    assert_eq!(counts(&network_of_one), [("client-1 > server-1".to_owned(), [1.0, 0.0, 10.0])]);
    let second = record(RecordKind::Connector, "e:2")
        .with(Attribute::Parent, "e:0")
        .with(Attribute::VanAddress, "shop")
        .with(Attribute::Protocol, "tcp")
        .with(Attribute::DestHost, "10.0.0.3");
    network_of_one.report(2, &[second]);
    let total = |network: &Followed| {
        counts(network).into_iter().fold([0.0; 3], |mut sum, (_, counts)| {
            sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
            sum
        })
    };
    for (second, sent) in [(2, 10), (10, 11), (20, 11), (40, 11)] {
        network_of_one.report(second, &[octets(10, sent)]);
        assert_eq!(total(&network_of_one), [1.0, 0.0, sent as f64], "{second}");
    }
    network_of_one.report(41, &[octets(10, 12), end(10)]);
    assert_eq!(total(&network_of_one), [1.0, 1.0, 12.0]);
}

/// Two clients of one group, one of another, and a server; what is counted is counted by groups.
pub(super) fn components() -> Followed {
    let mut options = ApiOptions::default();
    options.metrics.zero_for = Duration::ZERO;
    options.metrics.detail = Detail::Component;
    let fixture = Fixture::with_options(Store::new(vanflow_store::StoreOptions::default()), options);
    let source = fixture.publisher.write().source_seen("gv_ZW:0", SourceType::Router, now(0));
    let mut components = Followed { fixture, source };
    let mut all = network();
    all.extend([
        process("s0", "east-1", "10.0.0.2", SERVERS[0].1, "server"),
        process("c0", "west-1", CLIENTS[0].0, CLIENTS[0].1, "client"),
        process("c1", "west-1", CLIENTS[1].0, CLIENTS[1].1, "client"),
        process("c2", "west-1", "10.0.0.9", "client-3", "other"),
    ]);
    components.report(0, &all);
    components
}

#[test]
fn what_changes_its_group_leaves_the_past_of_its_component_behind() {
    let mut network_of = components();
    let other = connection(11, 1, 100).with(Attribute::SourceHost, CLIENTS[1].0);
    let ended = connection(12, 1, 1000).with(Attribute::SourceHost, CLIENTS[1].0);
    network_of.report(1, &[connection(10, 1, 10), other, ended, end(12)]);
    assert_eq!(counts(&network_of), [("client > server".to_owned(), [3.0, 1.0, 1110.0])]);
    network_of.report(2, &[change(RecordKind::Process, "c1").with(Attribute::Group, "batch")]);
    counts(&network_of);
    network_of.report(3, &[octets(11, 101)]);
    let both = |old: [f64; 3], new: [f64; 3]| {
        [("batch > server".to_owned(), new), ("client > server".to_owned(), old)]
    };
    assert_eq!(counts(&network_of), both([3.0, 1.0, 1110.0], [0.0, 0.0, 1.0]), "nothing is opened again");
    network_of.report(4, &[end(11), end(10)]);
    assert_eq!(counts(&network_of), both([3.0, 3.0, 1110.0], [0.0, 0.0, 1.0]));
    assert_eq!(held(&network_of), [2, 2]);
    // With the connections, the lanes, and the processes, what was counted of them goes.
    let gone = |id| change(RecordKind::Process, id).with(Attribute::EndTime, EPOCH + 5 * SECOND);
    network_of.report(5, &["s0", "c0", "c1"].map(gone));
    for minutes in [20, 40, 60] {
        network_of.report(minutes * 60, &[]);
        counts(&network_of);
    }
    assert_eq!((counts(&network_of), held(&network_of)), (vec![], [0, 0]));
}

#[test]
fn the_half_that_comes_late_is_not_another_connection() {
    // faults 32: the router of the connector reports its half 20 s before that of the listener does.
    let mut network = Followed::new(900);
    let half = |id: &str, parent: &str| {
        UpdateBuf::new(RecordKind::Flow, id)
            .with(Attribute::StartTime, EPOCH)
            .with(Attribute::Parent, parent)
            .with(Attribute::Octets, 5)
    };
    network.report(1, &[half("e:11", "e:1").with(Attribute::Counterflow, "gv_ZW:10")]);
    assert_eq!(counts(&network), []);
    network.report(16, &[]);
    assert_eq!(counts(&network), [("unknown > server-1".to_owned(), [1.0, 0.0, 0.0])]);
    network.report(20, &[half("gv_ZW:10", "gv_ZW:1").with(Attribute::SourceHost, CLIENTS[0].0)]);
    let both = |closed| {
        [
            ("client-1 > server-1".to_owned(), [0.0, 0.0, 5.0]),
            ("unknown > server-1".to_owned(), [1.0, closed, 0.0]),
        ]
    };
    assert_eq!(counts(&network), both(0.0));
    let end = |id: &str| change(RecordKind::Flow, id).with(Attribute::EndTime, EPOCH + SECOND);
    network.report(21, &[end("gv_ZW:10"), end("e:11")]);
    assert_eq!(counts(&network), both(1.0));
}
