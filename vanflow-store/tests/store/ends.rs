//! What is at the ends of connections: the processes that had the addresses when they began, whatever comes later and in
//! whatever order (faults 12, 26).

use std::{cmp::Reverse, collections::BTreeMap, net::IpAddr};

use proptest::prelude::*;
use vanflow_proto::{Attribute, RecordKind, UpdateBuf};
use vanflow_store::{Connection, Record, Snapshot, SourceId};

use crate::support::{Network, change, find, ids};

/// The addresses of these tests; the last three are one.
const HOSTS: [&str; 5] = ["10.0.0.1", "fd00::1", "10.0.0.2", "::ffff:10.0.0.2", "::FFFF:a00:2"];

fn site_of(snapshot: &Snapshot, endpoint: &Record<'_>) -> Option<String> {
    let router = snapshot.find(&endpoint.text(Attribute::Parent)?.to_string()).next()?;
    let site = snapshot.find(&router.text(Attribute::Parent)?.to_string()).next()?;
    Some(site.id().to_string())
}

fn times(record: &Record<'_>) -> (u64, Option<u64>) {
    (record.start().map_or(0, |start| start.as_micros()), record.end().map(|end| end.as_micros()))
}

fn distance(record: &Record<'_>, start: u64) -> u64 {
    let (from, until) = times(record);
    if from > start { from - start } else { until.map_or(0, |until| start.saturating_sub(until)) }
}

fn address(record: &Record<'_>, attribute: Attribute) -> Option<IpAddr> {
    let address: IpAddr = record.text(attribute)?.to_string().parse().expect("these hosts are addresses");
    Some(address.to_canonical())
}

/// The rule for processes, by a look at each record.
fn process_at(snapshot: &Snapshot, site: Option<String>, host: Option<IpAddr>, start: u64) -> Option<String> {
    let (site, host) = (site?, host?);
    let there = snapshot.of_kind(RecordKind::Process).filter(|process| {
        process.text(Attribute::Parent).is_some_and(|parent| parent == *site)
            && address(process, Attribute::SourceHost) == Some(host)
    });
    let best = there.min_by_key(|process| {
        (distance(process, start), Reverse(times(process).0), process.id().to_string())
    });
    best.map(|process| process.id().to_string())
}

/// The rule for connectors that are not named, by a look at each record.
fn only_connector(snapshot: &Snapshot, connection: &Record<'_>, start: u64) -> Option<String> {
    let service = |record: &Record<'_>| record.text(Attribute::VanAddress).map(|text| text.to_string());
    let wanted = service(&connection.parent()?)?;
    let end = connection.end().map(|end| end.as_micros());
    let mut candidates: Vec<_> = snapshot
        .of_kind(RecordKind::Connector)
        .filter(|connector| service(connector).as_deref() == Some(&wanted))
        .filter(|connector| {
            let (from, until) = times(connector);
            until.is_none_or(|until| until >= start) && end.is_none_or(|end| end.max(start) >= from)
        })
        .map(|connector| (distance(&connector, start), connector.id().to_string()))
        .collect();
    candidates.sort();
    match &candidates[..] {
        [(first, _), (second, _), ..] if first == second => None,
        [(_, only), ..] => Some(only.clone()),
        [] => None,
    }
}

/// What is at the ends of a connection, by a look at each record: the client, the connector and the server.
fn expected(snapshot: &Snapshot, connection: &Record<'_>) -> [Option<String>; 3] {
    let start = connection.start().map_or(u64::MAX, |start| start.as_micros());
    let listener = connection.parent();
    let site = listener.and_then(|listener| site_of(snapshot, &listener));
    let client = process_at(snapshot, site, address(connection, Attribute::SourceHost), start);
    let connector = match connection.text(Attribute::Connector) {
        Some(named) => snapshot.find(&named.to_string()).next().map(|record| record.id().to_string()),
        None => only_connector(snapshot, connection, start),
    };
    let server = connector.as_ref().and_then(|id| {
        let connector = find(snapshot, id);
        let named = connector.text(Attribute::Process).map(|id| id.to_string());
        let known = named.filter(|id| snapshot.find(id).next().is_some());
        known.or_else(|| {
            let host = address(&connector, Attribute::DestHost);
            process_at(snapshot, site_of(snapshot, &connector), host, start)
        })
    });
    [client, connector, server]
}

fn check(snapshot: &Snapshot) -> Result<(), TestCaseError> {
    let id = |record: Option<Record<'_>>| record.map(|record| record.id().to_string());
    for connection in snapshot.of_kind(RecordKind::BiflowTport) {
        let connector = connection.connector().or_else(|| connection.connector_inferred());
        let found = [id(connection.process()), id(connector), id(connection.server_process())];
        prop_assert_eq!(found, expected(snapshot, &connection), "{:?}", connection);
    }
    Ok(())
}

/// A record of a network of two sites with a router each, a service with two listeners and up to three connectors, and
/// six processes that share five spellings of three addresses; as it is known at some moment.
fn record() -> impl Strategy<Value = UpdateBuf> {
    let time = || prop::option::weighted(0.8, 1_u64..9);
    let traits = (0_u8..12, 0_u8..6, time(), prop::option::weighted(0.4, 1_u64..9), 0_usize..5, 0_u8..4);
    traits.prop_map(|(kind, number, start, end, host, other)| {
        let side = ["a", "b"][usize::from(number % 2)];
        let mut update = match kind {
            0 => change(RecordKind::Site, &format!("site-{side}")),
            1 => {
                let router = change(RecordKind::Router, &format!("{side}:0"));
                router.with(Attribute::Parent, format!("site-{side}"))
            }
            2 => change(RecordKind::Listener, &format!("{side}:1"))
                .with(Attribute::Parent, format!("{side}:0"))
                .with(Attribute::VanAddress, if other == 0 { "other" } else { "echo" }),
            3 | 4 => {
                let connector = change(RecordKind::Connector, &format!("{side}:{}", 2 + number / 2))
                    .with(Attribute::Parent, format!("{side}:0"))
                    .with(Attribute::VanAddress, "echo")
                    .with(Attribute::DestHost, HOSTS[host]);
                if other == 0 { connector.with(Attribute::Process, "process-5") } else { connector }
            }
            5..=7 => change(RecordKind::Process, &format!("process-{number}"))
                .with(Attribute::Parent, format!("site-{}", ["a", "b"][usize::from(other % 2)]))
                .with(Attribute::SourceHost, HOSTS[host]),
            _ => {
                let connection = change(RecordKind::BiflowTport, &format!("{side}:{}", 10 + number))
                    .with(Attribute::Parent, format!("{side}:1"))
                    .with(Attribute::SourceHost, HOSTS[host])
                    .with(Attribute::Octets, u64::from(other));
                if other > 1 {
                    connection.with(Attribute::Connector, format!("{side}:{other}"))
                } else {
                    connection
                }
            }
        };
        for (attribute, value) in [(Attribute::StartTime, start), (Attribute::EndTime, end)] {
            if let Some(value) = value {
                update = update.with(attribute, value);
            }
        }
        update
    })
}

/// Everything that a connection can be explained by.
fn whole() -> Vec<UpdateBuf> {
    let mut updates = Vec::new();
    for side in ["a", "b"] {
        updates.push(change(RecordKind::Site, &format!("site-{side}")));
        let router = change(RecordKind::Router, &format!("{side}:0"));
        updates.push(router.with(Attribute::Parent, format!("site-{side}")));
        let listener = change(RecordKind::Listener, &format!("{side}:1"));
        let listener = listener.with(Attribute::Parent, format!("{side}:0"));
        updates.push(listener.with(Attribute::VanAddress, "echo"));
    }
    updates
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn each_connection_is_between_the_processes_of_its_start_in_whatever_order_they_come(
        is_whole in prop::bool::weighted(0.7),
        updates in prop::collection::vec(record(), 1..40),
    ) {
        // faults 8, 12, 26
        let mut network = Network::new();
        let source = network.controller("c");
        if is_whole {
            network.report(source, &whole());
        }
        for update in updates {
            network.report(source, &[update]);
            check(&network.snapshot())?;
        }
    }

    #[test]
    fn it_stays_so_while_ended_records_leave(
        updates in prop::collection::vec(prop_oneof![
            9 => record().prop_map(Some),
            1 => Just(None),
        ], 1..60),
    ) {
        // faults 25, 26
        let mut network = Network::with_retention(30);
        let source = network.controller("c");
        network.report(source, &whole());
        for update in updates {
            match update {
                Some(update) => network.report(source, &[update]),
                None => {
                    let before = network.snapshot();
                    network.wait(31);
                    let after = network.snapshot();
                    for connection in after.of_kind(RecordKind::BiflowTport) {
                        let id = connection.id().to_string();
                        let was = find(&before, &id);
                        prop_assert_eq!(connection.process(), was.process(), "{}", id);
                    }
                }
            }
            check(&network.snapshot())?;
        }
    }

    #[test]
    fn what_lanes_come_to_is_what_all_connections_came_to(
        updates in prop::collection::vec((record(), prop::bool::weighted(0.1)), 1..60),
    ) {
        let mut network = Network::with_retention(5);
        let source = network.controller("c");
        network.report(source, &whole());
        let mut octets = BTreeMap::new();
        let (mut waited, mut left) = (0, 0);
        for (update, waits) in updates {
            network.report(source, &[update]);
            for connection in network.snapshot().of_kind(RecordKind::BiflowTport) {
                let key = (connection.at(), connection.id().to_string());
                // One that returned after it was evicted without an end adds what it grew by.
                let contribution = Connection::new(connection).map(|connection| connection.contribution());
                octets.insert(key, contribution.expect("it is a connection").octets);
            }
            // Not so long that an empty lane goes.
            if waits && waited < 54 {
                network.wait(6);
                waited += 6;
                // What left stays counted.
                let snapshot = network.snapshot();
                octets.retain(|(at, id), octets| {
                    let stays = snapshot.get(*at).is_some_and(|record| record.id() == **id);
                    left += if stays { 0 } else { *octets };
                    stays
                });
            }
            let total: u64 = network.snapshot().lanes().map(|lane| lane.totals().octets()).sum();
            prop_assert_eq!(total, left + octets.values().sum::<u64>());
        }
    }
}

/// A site with a client at `10.0.0.9`, a connector to `10.0.0.2`, and connections between them.
fn between() -> (Network, SourceId) {
    let mut network = Network::new();
    let west = network.west();
    let records = [
        change(RecordKind::Site, "site-west"),
        network
            .started(RecordKind::Connector, "west:2", "west:0")
            .with(Attribute::VanAddress, "echo")
            .with(Attribute::Protocol, "tcp")
            .with(Attribute::DestHost, "10.0.0.2"),
    ];
    network.report(west, &records);
    (network, west)
}

fn process(network: &Network, id: &str, host: &str) -> UpdateBuf {
    network.started(RecordKind::Process, id, "site-west").with(Attribute::SourceHost, host)
}

fn ends(snapshot: &Snapshot, id: &str) -> [Option<String>; 2] {
    let connection = find(snapshot, id);
    [connection.process(), connection.server_process()]
        .map(|process| process.map(|process| process.id().to_string()))
}

#[test]
fn an_address_that_goes_to_another_process_takes_no_traffic_along() {
    // faults 26
    for is_end_reported in [true, false] {
        let (mut network, west) = between();
        let old = [process(&network, "client-1", "10.0.0.9"), process(&network, "server-1", "10.0.0.2")];
        let first = network.connection("west:10").with(Attribute::Connector, "west:2");
        network.report(west, &old);
        network.report(west, &[first.with(Attribute::Octets, 1000_u64)]);
        network.wait(10);
        if is_end_reported {
            let end = |id| change(RecordKind::Process, id).with(Attribute::EndTime, network.now);
            let ends = [end("client-1"), end("server-1")];
            network.report(west, &ends);
        }
        network.wait(10);
        let new = [process(&network, "client-2", "10.0.0.9"), process(&network, "server-2", "10.0.0.2")];
        network.report(west, &new);
        network.wait(10);
        let second = network.connection("west:11").with(Attribute::Connector, "west:2");
        network.report(west, &[second.with(Attribute::Octets, 5_u64)]);
        let snapshot = network.snapshot();
        assert_eq!(ends(&snapshot, "west:10"), [Some("client-1".into()), Some("server-1".into())]);
        assert_eq!(ends(&snapshot, "west:11"), [Some("client-2".into()), Some("server-2".into())]);
        let octets = |id: &str| find(&snapshot, id).lane().expect("it is in one").totals().octets();
        assert_eq!((octets("west:10"), octets("west:11")), (1000, 5));
    }
}

#[test]
fn what_explains_a_connection_late_explains_it_from_then_on() {
    // faults 8
    let (mut network, west) = between();
    let connection = network.connection("west:10").with(Attribute::Connector, "west:2");
    network.report(west, &[connection]);
    let before = find(&network.snapshot(), "west:10").lane().expect("it is in one").at();
    let revision = find(&network.snapshot(), "west:10").revision();
    network.wait(3);
    let late = [process(&network, "client", "10.0.0.9"), process(&network, "server", "10.0.0.2")];
    network.report(west, &late);
    let snapshot = network.snapshot();
    assert_eq!(ends(&snapshot, "west:10"), [Some("client".into()), Some("server".into())]);
    let connection = find(&snapshot, "west:10");
    assert_eq!(connection.lane().expect("it is in one").at(), before, "all of the lane is explained at once");
    assert_eq!(connection.revision(), revision);
}

#[test]
fn a_connection_that_is_put_elsewhere_has_changed() {
    // faults 19 and 26: a watcher learns of it.
    let (mut network, west) = between();
    let old = process(&network, "old", "10.0.0.9");
    let first = network.connection("west:10");
    network.report(west, &[old, first]);
    network.wait(10);
    let new = process(&network, "new", "10.0.0.9");
    network.wait(10);
    let second = network.connection("west:11");
    network.report(west, &[second]);
    let revision = network.store.revision();
    network.report(west, &[new]);
    let snapshot = network.snapshot();
    assert_eq!(ends(&snapshot, "west:10")[0].as_deref(), Some("old"));
    assert_eq!(ends(&snapshot, "west:11")[0].as_deref(), Some("new"));
    assert!(find(&snapshot, "west:10").revision() <= revision);
    assert!(find(&snapshot, "west:11").revision() > revision);
}

#[test]
fn the_process_at_an_end_of_a_retained_connection_is_retained_with_it() {
    // faults 25
    let (mut network, west) = between();
    let processes = [process(&network, "client", "10.0.0.9"), process(&network, "server", "10.0.0.2")];
    let connection = network.connection("west:10");
    network.report(west, &processes);
    network.report(west, &[connection]);
    network.wait(1);
    for (kind, id) in [
        (RecordKind::Process, "client"),
        (RecordKind::Process, "server"),
        (RecordKind::Connector, "west:2"),
        (RecordKind::Site, "site-west"),
    ] {
        let end = change(kind, id).with(Attribute::EndTime, network.now);
        network.report(west, &[end]);
    }
    network.wait(3600);
    let snapshot = network.snapshot();
    assert_eq!(ends(&snapshot, "west:10"), [Some("client".into()), Some("server".into())]);
    assert_eq!(find(&snapshot, "west:10").connector_inferred(), Some(find(&snapshot, "west:2")));
    let end = change(RecordKind::BiflowTport, "west:10").with(Attribute::EndTime, network.now);
    network.report(west, &[end]);
    network.wait(15 * 60 + 2);
    assert_eq!(
        ids(network.snapshot().records()),
        ["site-west", "west:0", "west:1"],
        "a live router names the site"
    );
}

#[test]
fn an_address_is_the_same_however_it_is_written() {
    let (mut network, west) = between();
    let client = process(&network, "client", "FD00:0:0::0009");
    let server = process(&network, "server", "::ffff:10.0.0.2");
    let connection = network.connection("west:10").with(Attribute::SourceHost, "fd00::9");
    network.report(west, &[client, server, connection]);
    let snapshot = network.snapshot();
    assert_eq!(ends(&snapshot, "west:10"), [Some("client".into()), Some("server".into())]);
    let host = find(&snapshot, "client").text(Attribute::SourceHost).expect("it was reported");
    assert_eq!(host, "FD00:0:0::0009", "it is shown as it was reported");
}

#[test]
fn a_name_is_no_address() {
    let (mut network, west) = between();
    let names = ["pod.example:80", "fe80::1%eth0", "10.0.0.09", "9"];
    for (number, name) in names.iter().enumerate() {
        let connection = network.connection(&format!("west:{}", 10 + number));
        let client = process(&network, &format!("client-{number}"), name);
        network.report(west, &[client, connection.with(Attribute::SourceHost, *name)]);
    }
    let snapshot = network.snapshot();
    for number in 0..names.len() {
        let client = ends(&snapshot, &format!("west:{}", 10 + number))[0].clone();
        assert_eq!(client, Some(format!("client-{number}")));
    }
}

#[test]
fn between_two_processes_the_nearer_one_explains_a_connection() {
    // faults 20, 26: a clock that is wrong, or a record that starts late.
    let (mut network, west) = between();
    let at = |seconds: u64| network.now.plus_micros(seconds * 1_000_000);
    let earlier = process(&network, "earlier", "10.0.0.9").with(Attribute::EndTime, at(10));
    let later = change(RecordKind::Process, "later")
        .with(Attribute::Parent, "site-west")
        .with(Attribute::SourceHost, "10.0.0.9")
        .with(Attribute::StartTime, at(20));
    let connection = |id: &str, seconds| {
        change(RecordKind::BiflowTport, id)
            .with(Attribute::Parent, "west:1")
            .with(Attribute::Connector, "west:2")
            .with(Attribute::SourceHost, "10.0.0.9")
            .with(Attribute::StartTime, at(seconds))
    };
    let connections = [connection("west:10", 12), connection("west:11", 15), connection("west:12", 18)];
    let client = |snapshot: &Snapshot, id: &str| ends(snapshot, id)[0].clone().expect("it has one");
    for is_known_before in [true, false] {
        let mut updates = vec![earlier.clone(), later.clone()];
        updates.splice(if is_known_before { 2..2 } else { 0..0 }, connections.clone());
        network.report(west, &updates);
        let snapshot = network.snapshot();
        let clients = ["west:10", "west:11", "west:12"].map(|id| client(&snapshot, id));
        assert_eq!(clients, ["earlier", "later", "later"], "{is_known_before}");
        (network, _) = between();
    }
}

#[test]
fn a_process_that_explains_nothing_any_more_is_not_kept() {
    // faults 25
    let (mut network, west) = between();
    let first = process(&network, "first", "10.0.0.9");
    let other = process(&network, "other", "10.0.0.9").with(Attribute::StartTime, network.now.plus_micros(1));
    network.report(west, &[first]);
    network.wait(10);
    let connection = network.connection("west:10").with(Attribute::Connector, "west:2");
    let end = change(RecordKind::Process, "first").with(Attribute::EndTime, network.now);
    network.report(west, &[connection, end]);
    network.wait(3600);
    assert_eq!(ends(&network.snapshot(), "west:10")[0].as_deref(), Some("first"));
    network.report(west, &[other]);
    assert_eq!(ends(&network.snapshot(), "west:10")[0].as_deref(), Some("other"));
    assert_eq!(network.snapshot().find("first").count(), 0);
}
