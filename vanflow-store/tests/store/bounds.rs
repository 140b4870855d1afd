//! What a source can take that means harm, or is broken: no more than its share.

use vanflow_proto::{Attribute, RecordKind, UpdateBuf, ValueBuf};
use vanflow_store::{Oddity, SourceId, StoreOptions};

use crate::support::{Network, change, live};

const MEMORY: usize = 1_000_000;

fn bounded() -> Network {
    let mut options = StoreOptions::default();
    options.memory_bound = Some(MEMORY);
    Network::with(options)
}

fn count(network: &Network, oddity: Oddity) -> u64 {
    network.store.stats().oddities.count(oddity)
}

/// A source of whoever means harm.
fn enemy(network: &mut Network) -> SourceId {
    let enemy = network.router("enemy:0");
    let updates = [
        network.started(RecordKind::Router, "enemy:0", ""),
        network.started(RecordKind::Listener, "enemy:1", "enemy:0"),
    ];
    network.report(enemy, &updates);
    enemy
}

fn connections(
    network: &mut Network,
    source: SourceId,
    scope: &str,
    numbers: std::ops::Range<u32>,
    ends: bool,
) {
    for number in numbers {
        let connection = network.started(
            RecordKind::BiflowTport,
            &format!("{scope}:{}", 10 + number),
            &format!("{scope}:1"),
        );
        let connection = if ends { connection.with(Attribute::EndTime, network.now) } else { connection };
        network.report(source, &[connection]);
    }
}

fn of(network: &Network, scope: &str) -> usize {
    let snapshot = network.snapshot();
    let connections = snapshot.of_kind(RecordKind::BiflowTport);
    connections.filter(|connection| connection.id().to_string().starts_with(scope)).count()
}

#[test]
fn rows_that_records_have_left_are_counted_apart_until_others_take_them() {
    let mut network = Network::with_retention(60);
    let west = network.west();
    connections(&mut network, west, "west", 0..1_000, true);
    let before = network.store.stats();
    network.wait(200);
    let left = network.store.stats();
    assert_eq!(of(&network, "west"), 0);
    let rows = left.spare - before.spare;
    assert!(rows >= 1_000 * 64 && before.memory - left.memory >= rows, "{rows}");
    connections(&mut network, west, "west", 1_000..2_000, true);
    assert_eq!(network.store.stats().spare, before.spare);
}

#[test]
fn live_records_without_end_are_refused_and_others_go_on() {
    // faults 30
    let mut network = bounded();
    let (west, enemy) = (network.west(), enemy(&mut network));
    connections(&mut network, west, "west", 0..100, false);
    connections(&mut network, enemy, "enemy", 0..20_000, false);
    let stats = network.store.stats();
    assert!(stats.memory <= MEMORY, "{}", stats.memory);
    let (taken, refused) = (of(&network, "enemy"), count(&network, Oddity::MemoryFull));
    assert_eq!(taken as u64 + refused, 20_000, "what is refused is counted");
    assert!(taken > 500, "{taken}");
    // The other source finds room.
    connections(&mut network, west, "west", 100..300, false);
    assert_eq!(of(&network, "west"), 300);
    assert!(network.store.stats().memory <= MEMORY);
    // Those that were taken go on.
    network.report(enemy, &[change(RecordKind::BiflowTport, "enemy:10").with(Attribute::Octets, 7)]);
    assert_eq!(crate::support::find(&network.snapshot(), "enemy:10").uint(Attribute::Octets), Some(7));
    let snapshot = network.snapshot();
    let state = |id: &str| snapshot.sources().find(|source| source.id() == id).expect("it is seen");
    assert_eq!(state("enemy:0").refused_records(), refused);
    assert_eq!(state("enemy:0").refused_since(), Some(network.now));
    assert_eq!((state("west:0").refused_records(), state("west:0").refused_since()), (0, None));
    assert_eq!((stats.refused, stats.refused_since), (refused, Some(network.now)));
}

#[test]
fn a_flood_evicts_ended_records_of_its_own_source_alone() {
    // faults 30
    let mut network = bounded();
    let (west, enemy) = (network.west(), enemy(&mut network));
    connections(&mut network, west, "west", 0..500, true);
    connections(&mut network, enemy, "enemy", 0..20_000, true);
    network.wait(1);
    let stats = network.store.stats();
    assert!(stats.memory <= MEMORY, "{}", stats.memory);
    assert_eq!(of(&network, "west"), 500, "none of the other source's left");
    assert_eq!(of(&network, "enemy") as u64 + stats.evicted_early, 20_000);
    assert_eq!(count(&network, Oddity::MemoryFull), 0, "there was always one that could go");
}

#[test]
fn two_that_flood_have_as_much_each_and_a_third_all_that_it_needs() {
    // faults 30
    let mut network = bounded();
    let (west, enemy) = (network.west(), enemy(&mut network));
    let other = network.router("other:0");
    connections(&mut network, west, "west", 0..200, true);
    for round in 0..200 {
        connections(&mut network, enemy, "enemy", round * 50..(round + 1) * 50, true);
        connections(&mut network, other, "other", round * 50..(round + 1) * 50, true);
        network.wait(1);
    }
    let [west, enemy, other] = ["west", "enemy", "other"].map(|scope| of(&network, scope));
    assert_eq!(west, 200);
    assert!(enemy.abs_diff(other) < 200 && enemy > 300, "{enemy} {other}");
}

#[test]
fn known_records_do_not_grow_without_end() {
    // faults 30
    let mut network = bounded();
    let (west, enemy) = (network.west(), enemy(&mut network));
    let site = |network: &Network, number: u32| {
        network.started(RecordKind::Process, &format!("process-{number}"), "")
    };
    for number in 0..100 {
        let process = site(&network, number);
        network.report(enemy, &[process]);
    }
    for code in 1000..1100 {
        for number in 0..100 {
            let mut process = change(RecordKind::Process, &format!("process-{number}"));
            process.attributes.push((code, format!("{number}-{code}-{}", "x".repeat(10_000)).into()));
            network.report(enemy, &[process]);
        }
    }
    let stats = network.store.stats();
    assert!(stats.memory <= MEMORY + 20_000, "{}", stats.memory);
    assert!(count(&network, Oddity::MemoryFull) > 9000);
    connections(&mut network, west, "west", 0..100, false);
    assert_eq!(live(&network.snapshot(), RecordKind::BiflowTport).len(), 100);
}

#[test]
fn what_is_too_large_in_a_record_is_refused_and_the_rest_is_kept() {
    // faults 30
    let mut network = Network::new();
    let west = network.west();
    let before = network.store.stats().memory;
    let mut giant = network.started(RecordKind::Process, "giant", "").with(Attribute::SourceHost, "10.0.0.1");
    giant.attributes.extend((1000..11_000).map(|code| (code, ValueBuf::Uint(1))));
    giant.set(Attribute::Name, "x".repeat(250_000));
    giant.set(Attribute::Parent, "y".repeat(60_000));
    giant.attributes.push((900, ValueBuf::Encoded(vec![0xc0; 1 << 20].into())));
    let named = UpdateBuf::new(RecordKind::Process, "z".repeat(60_000));
    network.report(west, &[giant, named, network.connection("west:10")]);
    let counted = [Oddity::TooManyAttributes, Oddity::TextTooLong, Oddity::IdTooLong]
        .map(|oddity| count(&network, oddity));
    assert_eq!(counted, [10_000 - 127, 2, 2]);
    let snapshot = network.snapshot();
    let giant = crate::support::find(&snapshot, "giant");
    assert_eq!(giant.text(Attribute::SourceHost).expect("it is short").to_string(), "10.0.0.1");
    assert_eq!((giant.text(Attribute::Name), giant.parent()), (None, None));
    assert_eq!(live(&snapshot, RecordKind::BiflowTport), ["west:10"], "its neighbours are merged");
    assert!(network.store.stats().memory < before + 20_000);
}

#[test]
fn a_source_has_so_many_live_records_and_no_more() {
    // faults 30
    let mut options = StoreOptions::default();
    options.source_records = 100;
    let mut network = Network::with(options);
    let (west, enemy) = (network.west(), enemy(&mut network));
    connections(&mut network, enemy, "enemy", 0..1000, false);
    assert_eq!((of(&network, "enemy"), count(&network, Oddity::SourceFull)), (98, 902));
    connections(&mut network, west, "west", 0..50, false);
    assert_eq!(of(&network, "west"), 50);
    // When some end there is room for others.
    for number in 0..40 {
        let id = format!("enemy:{}", 10 + number);
        network.report(enemy, &[change(RecordKind::BiflowTport, &id).with(Attribute::EndTime, network.now)]);
    }
    connections(&mut network, enemy, "enemy", 1000..1040, false);
    assert_eq!(count(&network, Oddity::SourceFull), 902);
}

#[test]
fn what_was_refused_is_missing_until_the_source_has_repeated_all_without_a_refusal() {
    // faults 30
    let mut options = StoreOptions::default();
    options.source_records = 50;
    let mut network = Network::with(options);
    let enemy = enemy(&mut network);
    let first = network.now;
    connections(&mut network, enemy, "enemy", 0..100, false);
    network.wait(5);
    connections(&mut network, enemy, "enemy", 100..101, false);
    let since = |network: &Network| network.store.stats().refused_since;
    assert_eq!(since(&network), Some(first));
    let settle = |network: &mut Network, repeats: u32| {
        network.wait(1);
        network.store.epoch_started(enemy, network.now);
        network.wait(1);
        connections(network, enemy, "enemy", 0..repeats, false);
        network.wait(1);
        network.store.source_settled(enemy, vanflow_proto::discovery::Extent::All, network.now);
    };
    settle(&mut network, 60);
    assert_eq!(since(&network), Some(first), "some are refused again");
    settle(&mut network, 40);
    assert_eq!(since(&network), None);
}

#[test]
fn what_sources_are_charged_with_is_given_back() {
    // faults 30
    let mut network = Network::with_retention(30);
    let (west, enemy) = (network.west(), enemy(&mut network));
    let long = |letter: char, length: usize| letter.to_string().repeat(length);
    for number in 0..50 {
        let id = format!("{}-{number}", long('p', 100));
        let mut process = network.started(RecordKind::Process, &id, &long('s', 200));
        for length in [70, 10, 3000, 0, 500] {
            process.set(Attribute::Name, long('n', length));
            process.set(Attribute::ImageName, long('i', length));
            process.set(Attribute::Parent, long('s', length % 1000));
            process.attributes.retain(|(code, _)| *code < 1000);
            process.attributes.push((1000, long('u', length).into()));
            process.attributes.push((1001, ValueBuf::Encoded(vec![0xc0; length].into())));
            process.set(
                Attribute::StartTime,
                if length == 10 { ValueBuf::from("now") } else { network.now.into() },
            );
            network.report(if number % 2 == 0 { west } else { enemy }, &[process.clone()]);
        }
    }
    let octets = |network: &Network, id: &str| {
        let snapshot = network.snapshot();
        let source = snapshot.sources().find(|source| source.id() == id);
        source.map_or(0, |source| source.octets())
    };
    assert!(octets(&network, "enemy:0") > 50_000);
    for source in [west, enemy] {
        network.store.source_lost(source, network.now, network.now);
    }
    network.wait(31);
    assert_eq!((octets(&network, "west:0"), octets(&network, "enemy:0")), (0, 0));
}

#[test]
fn where_the_bound_is_lowered_what_is_beyond_it_leaves_and_what_it_leaves_stays_held() {
    let mut network = bounded();
    let west = network.west();
    connections(&mut network, west, "west", 0..2_000, true);
    let (before, held) = (network.store.stats(), network.store.held_octets());
    assert_eq!(held, before.memory + before.spare);
    assert_eq!(before.evicted_early, 0);
    network.store.set_memory_bound(Some(before.memory / 2));
    network.wait(1);
    let after = network.store.stats();
    assert!(after.memory <= before.memory / 2, "{} of {}", after.memory, before.memory);
    assert_eq!(of(&network, "west") as u64 + after.evicted_early, 2_000);
    assert_eq!(network.store.held_octets(), after.memory + after.spare);
    // Once there is room again, others are taken and nothing leaves.
    network.store.set_memory_bound(None);
    connections(&mut network, west, "west", 2_000..4_000, true);
    assert_eq!(network.store.stats().evicted_early, after.evicted_early);
}
