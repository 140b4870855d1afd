//! Properties of merging.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{Network, change, find};
use proptest::prelude::*;
use vanflow_proto::{Attribute, AttributeKind, RecordKind, Timestamp, UpdateBuf, ValueBuf};
use vanflow_store::{Oddity, Snapshot, Store, StoreOptions};

/// All that can be seen of the records: reported and derived ones, and what follows from them.
fn seen(store: &Store) -> BTreeMap<String, String> {
    let snapshot: Snapshot = store.snapshot();
    let services = snapshot.services().map(|service| {
        let members = service.listeners().chain(service.connectors()).map(|record| record.id().to_string());
        let text = format!(
            "{:?} {:?} {} {} {} {} {:?}",
            service.address(),
            service.protocol(),
            service.listener_count(),
            service.connector_count(),
            service.total_flows(),
            service.current_flows(),
            members.collect::<BTreeSet<_>>()
        );
        (service.id().to_string(), text)
    });
    let records = snapshot.records().chain(snapshot.of_kind(RecordKind::Image)).map(|record| {
        let children: BTreeSet<_> = record.children().map(|child| child.id().to_string()).collect();
        let process = record.process().map(|process| process.id().to_string());
        let counterflow = record.counterflow().map(|flow| flow.id().to_string());
        (record.id().to_string(), format!("{record:?} {children:?} {process:?} {counterflow:?}"))
    });
    services.chain(records).collect()
}

/// A value that an attribute can have; ids are those of the small world of these tests.
fn value(attribute: Attribute) -> BoxedStrategy<ValueBuf> {
    match attribute.kind() {
        AttributeKind::Reference => {
            prop_oneof!["[ab]:[0-5]", "site-[ab]", Just(String::new())].prop_map(ValueBuf::from).boxed()
        }
        kind if kind.is_text() => prop_oneof!["[a-c]{0,2}", "[0-9]{1,11}", "tcp|http1", r"10\.0\.0\.[1-3]"]
            .prop_map(ValueBuf::from)
            .boxed(),
        _ => prop_oneof![0_u64..9, Just(u64::MAX), any::<u64>()].prop_map(ValueBuf::from).boxed(),
    }
}

/// An update of a record. What a record is depends on its id alone, as in a network without mistakes.
fn update() -> impl Strategy<Value = UpdateBuf> {
    let id = prop_oneof!["[ab]:[0-5]", "site-[ab]"];
    id.prop_flat_map(|id| {
        let kind = match id.as_bytes() {
            [_, b':', b'0'] => RecordKind::Listener,
            [_, b':', b'1'] => RecordKind::Connector,
            [_, b':', b'2'] => RecordKind::BiflowTport,
            [_, b':', b'3'] => RecordKind::Flow,
            [_, b':', b'4'] => RecordKind::BiflowApp,
            [_, b':', _] => RecordKind::Process,
            _ => RecordKind::Site,
        };
        let attributes: Vec<_> = Attribute::ALL
            .iter()
            .filter(|attribute| {
                !matches!(attribute.kind(), AttributeKind::Identity | AttributeKind::RecordType)
            })
            .copied()
            .collect();
        let pairs = prop::sample::subsequence(attributes, 0..12).prop_flat_map(|attributes| {
            attributes
                .into_iter()
                .map(|attribute| value(attribute).prop_map(move |value| (attribute.code(), value)))
                .collect::<Vec<_>>()
        });
        pairs.prop_map(move |attributes| UpdateBuf {
            type_code: Some(kind.code()),
            id: id.clone(),
            attributes,
        })
    })
}

fn start(update: &UpdateBuf) -> Option<u64> {
    let mut attributes = update.attributes.iter();
    attributes.find_map(|(code, value)| match value {
        ValueBuf::Uint(start) if *code == Attribute::StartTime.code() => Some(*start),
        _ => None,
    })
}

fn reported(updates: &[UpdateBuf]) -> Network {
    let mut network = Network::new();
    let source = network.controller("c");
    network.report(source, updates);
    network
}

#[test]
fn a_late_update_of_the_life_before_changes_nothing_of_the_record_that_lives_again() {
    // A case of the property below that takes long to be found: an end, a newer start, then the former start.
    let update = |attributes: &[(Attribute, u64)]| {
        let attributes =
            attributes.iter().map(|(attribute, value)| (attribute.code(), ValueBuf::Uint(*value)));
        UpdateBuf {
            type_code: Some(RecordKind::Site.code()),
            id: "site-b".to_owned(),
            attributes: attributes.collect(),
        }
    };
    let lives_again = [update(&[(Attribute::EndTime, 1)]), update(&[(Attribute::StartTime, 9)])];
    let late = update(&[(Attribute::StartTime, 5), (Attribute::Backlog, 7)]);
    let expected = seen(&reported(&lives_again).store);
    assert_eq!(seen(&reported(&[&lives_again[..], &[late]].concat()).store), expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_pieces_of_an_update_in_any_order_come_to_the_same_as_the_whole(
        before in prop::collection::vec(update(), 0..8),
        whole in update(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        let is_time = |code: u32| code == Attribute::StartTime.code() || code == Attribute::EndTime.code();
        let newest_start = before.iter().filter(|update| update.id == whole.id).filter_map(start).max();
        // What is of an earlier life says so by its times: each piece has to have them.
        let is_of_earlier_life = whole.attributes.iter().any(|(code, value)| {
            is_time(*code) && newest_start.is_some_and(|newest| matches!(value, ValueBuf::Uint(time) if *time < newest))
        });
        let mut pieces = vec![UpdateBuf { attributes: Vec::new(), ..whole.clone() }; cuts.len()];
        for attribute in &whole.attributes {
            if is_of_earlier_life && is_time(attribute.0) {
                pieces.iter_mut().for_each(|piece| piece.attributes.push(attribute.clone()));
                continue;
            }
            // Which piece an attribute goes into depends on the cuts and on nothing else. A start after an end is another
            // life than a start with it: they stay together.
            let code = if attribute.0 == Attribute::EndTime.code() { Attribute::StartTime.code() } else { attribute.0 };
            let (cut, salt) = &cuts[code as usize % cuts.len()];
            let piece = cut.index(usize::MAX).wrapping_add(usize::from(*salt)) % pieces.len();
            pieces[piece].attributes.push(attribute.clone());
        }
        pieces.sort_by_key(|piece| piece.attributes.iter().map(|(code, _)| code * 7919 % 64).max());
        let at_once = reported(&[before.clone(), vec![whole]].concat());
        let piecemeal = reported(&[before, pieces].concat());
        prop_assert_eq!(seen(&at_once.store), seen(&piecemeal.store));
    }

    #[test]
    fn twice_comes_to_the_same_as_once(updates in prop::collection::vec(update(), 1..12)) {
        // faults 9: a message can come once per path through the network.
        let once = reported(&updates);
        let twice = reported(&updates.iter().flat_map(|update| [update.clone(), update.clone()]).collect::<Vec<_>>());
        prop_assert_eq!(seen(&once.store), seen(&twice.store));
        prop_assert_eq!(once.store.revision(), twice.store.revision(), "and nothing counts as changed again");
    }

    #[test]
    fn the_order_of_different_records_does_not_matter(
        updates in prop::collection::btree_map("[ab]:[0-5]|site-[ab]", update(), 1..8),
        swaps in any::<u64>(),
    ) {
        // faults 8: children come before parents, and everything else in any order.
        let mut updates: Vec<_> = updates.into_values().collect();
        updates.sort_by(|left, right| left.id.cmp(&right.id));
        updates.dedup_by(|left, right| left.id == right.id);
        let in_order = reported(&updates);
        updates.sort_by_key(|update| {
            update.id.bytes().fold(swaps, |hash, byte| hash.rotate_left(7) ^ u64::from(byte))
        });
        prop_assert_eq!(seen(&in_order.store), seen(&reported(&updates).store));
    }
}

proptest! {
    // A case of these is many updates, and takes several times as long as one of those above.
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_snapshot_does_not_change(
        before in prop::collection::vec(update(), 1..12),
        after in prop::collection::vec(update(), 1..12),
    ) {
        let mut network = reported(&before);
        let snapshot = network.snapshot();
        let debug = |snapshot: &Snapshot| format!("{:?}", snapshot.records().collect::<Vec<_>>());
        let then = debug(&snapshot);
        let source = network.controller("c");
        network.report(source, &after);
        network.wait(3600);
        prop_assert_eq!(then, debug(&snapshot));
    }

    #[test]
    fn nothing_is_left_of_records_that_went(updates in prop::collection::vec(update(), 1..24)) {
        let mut network = Network::with(StoreOptions::default());
        let empty = network.store.stats().memory;
        let source = network.controller("c");
        network.report(source, &updates);
        network.store.source_lost(source, network.now, network.now);
        for _ in 0..3 {
            network.wait(3600);
        }
        // For a day connections may return.
        network.wait(100_000);
        let stats = network.store.stats();
        prop_assert_eq!(network.snapshot().records().count(), 0);
        prop_assert_eq!(network.snapshot().services().count(), 0);
        prop_assert_eq!(stats.memory, empty, "{:?}", stats);
    }
}

#[test]
fn an_attribute_that_is_said_twice_in_an_update_has_one_value_however_often_that_comes() {
    // Found by fuzzing: octets as a text, which they never are, and then as a number.
    let octets = Attribute::Octets.code();
    let both = |number| UpdateBuf {
        attributes: vec![(octets, ValueBuf::from("57999")), (octets, ValueBuf::Uint(number))],
        ..change(RecordKind::BiflowTport, "a:1")
    };
    let once = reported(&[both(48)]);
    let text = format!("{:?}", find(&once.snapshot(), "a:1"));
    assert!(text.contains("octets: Uint(48)") && !text.contains("57999"), "{text}");
    assert_eq!(seen(&once.store), seen(&reported(&[both(48), both(48)]).store));
}

#[test]
fn a_router_that_says_its_start_twice_in_an_update_has_not_restarted_when_that_comes_again() {
    // Found by fuzzing: the first of them is newer than the second, which is what is kept.
    let start = Attribute::StartTime.code();
    let router = UpdateBuf {
        attributes: vec![(start, ValueBuf::Uint(2_000)), (start, ValueBuf::Uint(1_000))],
        ..change(RecordKind::Router, "a:0")
    };
    let link = change(RecordKind::Link, "a:1").with(Attribute::Parent, "a:0").with(Attribute::StartTime, 500);
    let twice = reported(&[router.clone(), link.clone(), router.clone()]);
    assert!(find(&twice.snapshot(), "a:1").is_live());
    assert_eq!(seen(&twice.store), seen(&reported(&[router, link]).store));
}

#[test]
fn a_late_duplicate_of_the_life_before_does_not_end_a_record_that_lives_again() {
    // faults 9
    let mut network = Network::new();
    let controller = network.controller("site-west");
    let process = |network: &Network, name: &str| {
        network.started(RecordKind::Process, "pod-1", "site-west").with(Attribute::Name, name)
    };
    let old = process(&network, "old");
    network.wait(5);
    let end = change(RecordKind::Process, "pod-1").with(Attribute::EndTime, network.now);
    let whole = old.clone().with(Attribute::EndTime, network.now);
    network.report(controller, &[old.clone(), end.clone()]);
    network.wait(10);
    let began = network.now;
    network.report(controller, &[process(&network, "new")]);
    let before = network.store.revision();
    for late in [&end, &whole, &old] {
        network.report(controller, std::slice::from_ref(late));
        let snapshot = network.snapshot();
        let record = find(&snapshot, "pod-1");
        assert!(record.is_live(), "{late:?}");
        assert_eq!(record.start(), Some(began));
        assert_eq!(record.text(Attribute::Name).expect("it has one"), "new");
    }
    assert_eq!(network.store.revision(), before, "nothing has changed");
    // Its own end is one.
    network.wait(1);
    let end = change(RecordKind::Process, "pod-1").with(Attribute::EndTime, network.now);
    network.report(controller, &[end]);
    assert_eq!(find(&network.snapshot(), "pod-1").end(), Some(network.now));
}

#[test]
fn an_end_of_0_is_no_value_and_counted_as_such() {
    let mut network = Network::new();
    let west = network.west();
    let count = |network: &Network| network.store.stats().oddities.count(Oddity::NoValue);
    let connection = network.connection("west:5").with(Attribute::EndTime, network.now);
    network.report(west, &[connection]);
    assert_eq!(count(&network), 0);
    network.report(west, &[change(RecordKind::BiflowTport, "west:5").with(Attribute::EndTime, 0_u64)]);
    assert_eq!(count(&network), 1);
    assert_eq!(find(&network.snapshot(), "west:5").end(), Some(network.now), "it has ended");
}

#[test]
fn a_source_is_charged_with_the_ids_that_its_records_name_now() {
    // faults 30
    let mut network = Network::new();
    let west = network.west();
    let octets = |network: &Network| {
        let snapshot = network.snapshot();
        snapshot.sources().find(|source| source.id() == "west:0").expect("it is seen").octets()
    };
    let named = |length: usize| {
        let id = format!("{}:1", "x".repeat(length - 2));
        change(RecordKind::BiflowTport, "west:5").with(Attribute::Connector, id)
    };
    let connection = network.connection("west:5");
    network.report(west, &[connection]);
    let before = octets(&network);
    network.report(west, &[named(100)]);
    let with_100 = octets(&network);
    assert!(with_100 >= before + 100);
    network.report(west, &[named(100)]);
    assert_eq!(octets(&network), with_100, "it is the same");
    network.report(west, &[named(250)]);
    let with_250 = octets(&network);
    assert!(with_250.abs_diff(with_100 + 150) < 16, "{with_250} after {with_100}");
    for host in ["10.0.0.9", "10.0.0.8"] {
        let moved = change(RecordKind::BiflowTport, "west:5").with(Attribute::SourceHost, host);
        network.report(west, &[moved]);
        assert!(octets(&network).abs_diff(with_250) < 16, "it names the same, at {host}");
    }
    network.report(west, &[named(5)]);
    assert!(octets(&network).abs_diff(before) < 16, "{} after {before}", octets(&network));
}

#[test]
fn what_a_record_named_before_is_known_for_as_long_as_others_name_it() {
    // faults 8
    let mut network = Network::with_retention(30);
    let empty = network.store.stats().memory;
    let west = network.router("west:0");
    let connections = ["west:5", "west:6"].map(|id| network.started(RecordKind::BiflowTport, id, "far:1"));
    network.report(west, &connections);
    for parent in ["other:1", "far:1", "other:1", "", "far:2", "west:9"] {
        network.report(west, &[change(RecordKind::BiflowTport, "west:5").with(Attribute::Parent, parent)]);
        let snapshot = network.snapshot();
        let named = |id: &str| find(&snapshot, id).text(Attribute::Parent).map(|text| text.to_string());
        assert_eq!(named("west:6").as_deref(), Some("far:1"));
        assert_eq!(named("west:5").unwrap_or_default(), parent);
    }
    network.store.source_lost(west, network.now, network.now);
    network.wait(100);
    network.wait(100_000);
    assert_eq!(network.store.stats().memory, empty);
}

#[test]
fn a_number_that_is_reported_as_0_is_a_change_where_there_was_none() {
    let mut network = Network::new();
    let west = network.west();
    let connection = network.connection("west:5");
    network.report(west, &[connection]);
    let revision = |network: &Network| find(&network.snapshot(), "west:5").revision();
    let before = revision(&network);
    let zero = change(RecordKind::BiflowTport, "west:5").with(Attribute::Octets, 0_u64);
    network.report(west, std::slice::from_ref(&zero));
    let after = revision(&network);
    assert!(after > before);
    network.report(west, &[zero]);
    assert_eq!(revision(&network), after, "it is known");
}

/// A process that lived for 5 s, and lives again since 10 s after it began.
fn living_again() -> (Network, vanflow_store::SourceId, Timestamp) {
    let mut network = Network::new();
    let controller = network.controller("site-west");
    let begun = network.now;
    let process = network.started(RecordKind::Process, "pod-1", "site-west");
    network.report(controller, &[process.with(Attribute::EndTime, begun.plus_micros(5))]);
    assert!(!find(&network.snapshot(), "pod-1").is_live());
    let again = change(RecordKind::Process, "pod-1").with(Attribute::StartTime, begun.plus_micros(10));
    network.report(controller, &[again.with(Attribute::EndTime, 0_u64)]);
    (network, controller, begun)
}

#[test]
fn an_ended_record_lives_again_where_a_newer_start_has_no_end_or_one_of_0() {
    // faults 9
    let (mut network, controller, begun) = living_again();
    assert!(find(&network.snapshot(), "pod-1").is_live());
    assert_eq!(network.store.stats().oddities.count(Oddity::EndBeforeStart), 0, "the end is there no more");
    let over = change(RecordKind::Process, "pod-1").with(Attribute::StartTime, begun.plus_micros(20));
    let end = change(RecordKind::Process, "pod-1").with(Attribute::EndTime, begun.plus_micros(15));
    network.report(controller, &[end, over.with(Attribute::EndTime, begun.plus_micros(25))]);
    assert!(!find(&network.snapshot(), "pod-1").is_live(), "it is over by the time that it is reported");
}

#[test]
fn what_is_of_this_life_by_its_start_or_says_nothing_of_it_is_merged() {
    // faults 9
    let (mut network, controller, begun) = living_again();
    let updates = [
        ("of now", change(RecordKind::Process, "pod-1").with(Attribute::StartTime, begun.plus_micros(10))),
        ("of no time", change(RecordKind::Process, "pod-1").with(Attribute::EndTime, 0_u64)),
        ("without a time", change(RecordKind::Process, "pod-1")),
    ];
    for (name, update) in updates {
        network.report(controller, &[update.with(Attribute::Name, name)]);
        let snapshot = network.snapshot();
        let process = find(&snapshot, "pod-1");
        assert_eq!(process.text(Attribute::Name).map(|name| name.to_string()).as_deref(), Some(name));
    }
    let old = change(RecordKind::Process, "pod-1").with(Attribute::StartTime, begun.plus_micros(9));
    network.report(controller, &[old.with(Attribute::Name, "of before")]);
    let snapshot = network.snapshot();
    let name = find(&snapshot, "pod-1").text(Attribute::Name).map(|name| name.to_string());
    assert_eq!(name.as_deref(), Some("without a time"));
}

#[test]
fn a_value_of_the_right_type_takes_the_place_of_one_of_the_wrong_type() {
    let mut network = Network::new();
    let west = network.west();
    let connection = network.connection("west:5");
    let charged = |network: &Network| {
        let snapshot = network.snapshot();
        snapshot.sources().find(|source| source.id() == "west:0").expect("it is seen").octets()
    };
    network.report(west, std::slice::from_ref(&connection));
    let before = charged(&network);
    network.report(west, &[connection.with(Attribute::Octets, "many".repeat(50))]);
    assert!(charged(&network) >= before + 200);
    let octets = |network: &Network| {
        let snapshot = network.snapshot();
        let fields = find(&snapshot, "west:5").fields();
        fields.filter(|(code, _)| *code == Attribute::Octets.code()).count()
    };
    assert_eq!(octets(&network), 1, "it is kept as it is");
    network.report(west, &[change(RecordKind::BiflowTport, "west:5").with(Attribute::Octets, 7_u64)]);
    assert_eq!((octets(&network), charged(&network)), (1, before));
    assert_eq!(find(&network.snapshot(), "west:5").uint(Attribute::Octets), Some(7));
}

#[test]
fn texts_and_ids_may_be_as_long_as_the_limit_and_no_longer() {
    // faults 30
    let mut options = StoreOptions::default();
    (options.longest_text, options.longest_id) = (100, 50);
    let mut network = Network::with(options);
    let west = network.west();
    let named = |network: &mut Network, attribute, length: usize| {
        let text = "x".repeat(length);
        network.report(west, &[change(RecordKind::Listener, "west:1").with(attribute, text.as_str())]);
        let snapshot = network.snapshot();
        find(&snapshot, "west:1").text(attribute).is_some_and(|kept| kept.to_string() == text)
    };
    for (attribute, limit) in [(Attribute::Name, 100), (Attribute::Parent, 50)] {
        assert!(named(&mut network, attribute, limit), "{attribute:?}");
        assert!(!named(&mut network, attribute, limit + 1), "{attribute:?}");
    }
    let oddities = network.store.stats().oddities;
    assert_eq!([Oddity::TextTooLong, Oddity::IdTooLong].map(|oddity| oddities.count(oddity)), [1, 1]);
}

#[test]
fn an_end_before_its_start_is_counted_once() {
    let mut network = Network::new();
    let west = network.west();
    let count = |network: &Network| network.store.stats().oddities.count(Oddity::EndBeforeStart);
    let flow = |id: &str, start: u64, end: u64| {
        let update = change(RecordKind::BiflowTport, id).with(Attribute::StartTime, start);
        update.with(Attribute::EndTime, end)
    };
    network.report(west, &[flow("west:5", 10, 10)]);
    network.report(west, &[change(RecordKind::BiflowTport, "west:6").with(Attribute::EndTime, 5_u64)]);
    assert_eq!(count(&network), 0);
    network.report(west, &[flow("west:7", 10, 9)]);
    assert_eq!(count(&network), 1);
    network.report(west, &[change(RecordKind::BiflowTport, "west:7").with(Attribute::Octets, 5_u64)]);
    assert_eq!(count(&network), 1, "nothing is said of its end");
}

#[test]
fn a_start_is_newer_than_the_one_before_or_where_none_is_known_than_the_end() {
    // faults 9
    let mut network = Network::new();
    let controller = network.controller("site-west");
    let report = |network: &mut Network, id: &str, attribute, time: u64| {
        network.report(controller, &[change(RecordKind::Process, id).with(attribute, time)]);
        find(&network.snapshot(), id).is_live()
    };
    report(&mut network, "pod-1", Attribute::StartTime, 1);
    for id in ["pod-1", "pod-2"] {
        assert!(!report(&mut network, id, Attribute::EndTime, 5));
    }
    assert!(!report(&mut network, "pod-2", Attribute::StartTime, 3), "its start was not known");
    assert!(report(&mut network, "pod-1", Attribute::StartTime, 3));
}
