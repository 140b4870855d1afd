//! Lanes: their figures are those of their records, whatever happens to these in whatever order.

use std::collections::BTreeMap;

use proptest::prelude::*;
use vanflow_proto::{Attribute, RecordKind, Timestamp, UpdateBuf, ValueBuf, discovery::Extent};
use vanflow_store::{
    Ended, FailureReason, FailureSide, FlowKind, Lane, Record, Snapshot,
    lane::{Histogram, LaneRevision},
};

use crate::support::{Network, change, find, ids};

/// A value that matters to lanes; ids are those of the small world of these tests.
fn value(attribute: Attribute) -> BoxedStrategy<ValueBuf> {
    match attribute {
        Attribute::Parent => prop_oneof!["[ab]:[0-4]", "site-[ab]"].prop_map(ValueBuf::from).boxed(),
        Attribute::Connector => prop_oneof![
            2 => "[ab]:1".prop_map(ValueBuf::from),
            1 => Just(ValueBuf::from(String::new())),
            1 => Just(ValueBuf::from(7_u64)),
        ]
        .boxed(),
        Attribute::SourceHost | Attribute::DestHost => r"10\.0\.0\.[12]".prop_map(ValueBuf::from).boxed(),
        Attribute::VanAddress => Just(ValueBuf::from("echo")).boxed(),
        Attribute::Protocol => prop_oneof!["tcp", "http1"].prop_map(ValueBuf::from).boxed(),
        Attribute::Method => prop_oneof!["GET", "PUT"].prop_map(ValueBuf::from).boxed(),
        Attribute::Result => prop_oneof![
            prop_oneof!["200", "99", "503", "late"].prop_map(ValueBuf::from),
            prop_oneof![Just(404_u64), Just(7)].prop_map(ValueBuf::from),
        ]
        .boxed(),
        Attribute::ErrorListenerSide | Attribute::ErrorConnectorSide => {
            prop_oneof!["delivery-failed \\(destination unreachable\\)", "Connection refused", "odd"]
                .prop_map(ValueBuf::from)
                .boxed()
        }
        Attribute::StartTime | Attribute::EndTime => (1_u64..6).prop_map(ValueBuf::from).boxed(),
        _ => prop_oneof![0_u64..9, 900_u64..1200, 1_000_000_u64..4_000_000, Just(u64::MAX)]
            .prop_map(ValueBuf::from)
            .boxed(),
    }
}

const WHAT_MATTERS: &[Attribute] = &[
    Attribute::Parent,
    Attribute::StartTime,
    Attribute::EndTime,
    Attribute::SourceHost,
    Attribute::DestHost,
    Attribute::Protocol,
    Attribute::VanAddress,
    Attribute::Octets,
    Attribute::Latency,
    Attribute::Method,
    Attribute::Result,
    Attribute::OctetsReverse,
    Attribute::Connector,
    Attribute::ProcessLatency,
    Attribute::ErrorListenerSide,
    Attribute::ErrorConnectorSide,
];

fn update() -> impl Strategy<Value = UpdateBuf> {
    let id = prop_oneof![3 => "[ab]:[0-9]", 1 => "site-[ab]"];
    id.prop_flat_map(|id| {
        let kind = match id.as_bytes() {
            [_, b':', b'0'] => RecordKind::Listener,
            [_, b':', b'1'] => RecordKind::Connector,
            [_, b':', b'2'..=b'4'] => RecordKind::BiflowTport,
            [_, b':', b'5'..=b'7'] => RecordKind::BiflowApp,
            [_, b':', _] => RecordKind::Process,
            _ => RecordKind::Site,
        };
        prop::sample::subsequence(WHAT_MATTERS, 0..7).prop_flat_map(move |attributes| {
            let id = id.clone();
            let values: Vec<_> = attributes
                .into_iter()
                .map(|attribute| value(attribute).prop_map(move |value| (attribute.code(), value)))
                .collect();
            values.prop_map(move |attributes| UpdateBuf {
                type_code: Some(kind.code()),
                id: id.clone(),
                attributes,
            })
        })
    })
}

/// What can happen to a store.
#[derive(Clone, Debug)]
pub enum Event {
    Reported(usize, UpdateBuf),
    Restored(usize, UpdateBuf, bool),
    Lost(usize),
    Restarted(usize),
    EpochStarted(usize),
    Settled(usize),
    Waited(u64),
}

pub fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        30 => (0_usize..2, update()).prop_map(|(source, update)| Event::Reported(source, update)),
        2 => (0_usize..2, update(), any::<bool>())
            .prop_map(|(source, update, ended)| Event::Restored(source, update, ended)),
        1 => (0_usize..2).prop_map(Event::Lost),
        1 => (0_usize..2).prop_map(Event::Restarted),
        1 => (0_usize..2).prop_map(Event::EpochStarted),
        1 => (0_usize..2).prop_map(Event::Settled),
        2 => prop_oneof![Just(1), Just(20), Just(100)].prop_map(Event::Waited),
    ]
}

/// Sources are named as the scopes of ids are, so that a restart gives ids another meaning.
const SOURCES: [&str; 2] = ["a:99", "b:99"];

pub fn happen(network: &mut Network, event: &Event) {
    let source = |network: &mut Network, number: usize| network.router(SOURCES[number]);
    match event {
        Event::Reported(number, update) => {
            let source = source(network, *number);
            network.report(source, std::slice::from_ref(update));
        }
        Event::Restored(number, update, ended) => {
            let source = source(network, *number);
            let ended = ended.then_some(Ended { at: network.now, presumed: true });
            network.store.restore(source, update, ended);
        }
        Event::Lost(number) => {
            let source = source(network, *number);
            network.store.source_lost(source, network.now, network.now);
        }
        Event::Restarted(number) => {
            let source = source(network, *number);
            network.store.source_restarted(source, network.now);
        }
        Event::EpochStarted(number) => {
            let source = source(network, *number);
            network.store.epoch_started(source, network.now);
        }
        Event::Settled(number) => {
            let source = source(network, *number);
            network.store.source_settled(source, Extent::All, network.now);
        }
        Event::Waited(seconds) => network.wait(*seconds),
    }
}

/// What a lane says of itself, as far as its records that are there have to say the same.
type Figures = ([usize; 3], Vec<String>, BTreeMap<String, [usize; 3]>);

fn figures(lane: Lane<'_>) -> Figures {
    let requests = lane.requests().map(|requests| {
        let counts = [requests.live(), requests.retained(), requests.failed()];
        (format!("{:?}", requests.protocol()), counts)
    });
    ([lane.live(), lane.retained(), lane.failed()], ids(lane.connections()), requests.collect())
}

/// What connections have in common that are in one lane.
fn path(connection: &Record<'_>) -> [Option<String>; 3] {
    let text = |attribute| connection.text(attribute).map(|text| text.to_string());
    [Attribute::Parent, Attribute::Connector, Attribute::SourceHost].map(text)
}

/// Whether what a connection refers to is there: otherwise another connection can mean other records by the same ids,
/// from before a restart.
fn is_clear(connection: &Record<'_>) -> bool {
    let is_there =
        |attribute, record: Option<Record<'_>>| record.is_some() || connection.text(attribute).is_none();
    is_there(Attribute::Parent, connection.parent()) && is_there(Attribute::Connector, connection.connector())
}

fn figures_of(connections: &[Record<'_>]) -> Figures {
    let mut requests = BTreeMap::<_, [usize; 3]>::new();
    for request in connections.iter().flat_map(Record::children) {
        if request.kind() == Some(RecordKind::BiflowApp) {
            let [live, retained, failed] =
                requests.entry(format!("{:?}", request.text(Attribute::Protocol))).or_default();
            *live += usize::from(request.is_live());
            *retained += 1;
            *failed += usize::from(!request.is_live() && matches!(class(&request), None | Some(5)));
        }
    }
    let has_failed = |connection: &&Record<'_>| {
        [Attribute::ErrorListenerSide, Attribute::ErrorConnectorSide]
            .iter()
            .any(|error| connection.text(*error).is_some())
    };
    let failed = connections.iter().filter(has_failed).count();
    let live = connections.iter().filter(|connection| connection.is_live()).count();
    ([live, connections.len(), failed], ids(connections.iter().copied()), requests)
}

/// The first digit of the result of a request, where that is one of HTTP's.
fn class(request: &Record<'_>) -> Option<u64> {
    let result = request.get(Attribute::Result);
    let result = result.and_then(|field| {
        field.as_text().map_or(field.as_uint(), |text| text.to_string().parse().ok()).or(match field {
            vanflow_store::Field::Other(value) => value.as_uint(),
            _ => None,
        })
    });
    result.filter(|result| (100..600).contains(result)).map(|result| result / 100)
}

fn check_figures(snapshot: &Snapshot) -> Result<(), TestCaseError> {
    let mut reported = BTreeMap::<_, Vec<_>>::new();
    for connection in snapshot.of_kind(RecordKind::BiflowTport) {
        let lane = connection.lane().expect("each connection is in a lane");
        prop_assert_eq!(snapshot.lane(lane.at()), Some(lane));
        reported.entry(lane.at()).or_default().push(connection);
    }
    let mut paths = BTreeMap::new();
    for lane in snapshot.lanes() {
        let connections = reported.remove(&lane.at()).unwrap_or_default();
        prop_assert_eq!(figures(lane), figures_of(&connections));
        for connection in &connections {
            prop_assert_eq!(path(connection), path(&connections[0]));
            if is_clear(connection) {
                let ends = [
                    connection.parent(),
                    connection.connector(),
                    connection.connector_inferred(),
                    connection.process(),
                    connection.server_process(),
                ];
                let targets = ends.map(|record| record.map(|record| record.at()));
                prop_assert_eq!(paths.entry((path(connection), targets)).or_insert(lane.at()), &lane.at());
            }
            prop_assert_eq!(lane.listener(), connection.parent());
            prop_assert_eq!(lane.connector(), connection.connector());
            prop_assert_eq!(lane.host(), connection.text(Attribute::SourceHost));
            prop_assert!(lane.start() <= connection.start() || connection.start().is_none());
            prop_assert!(lane.end() >= connection.end());
            let bounds = lane.at_most();
            prop_assert!(bounds.octets >= connection.uint(Attribute::Octets).unwrap_or(0));
            prop_assert!(bounds.octets_reverse >= connection.uint(Attribute::OctetsReverse).unwrap_or(0));
            prop_assert!(bounds.start >= connection.start().unwrap_or_default());
            prop_assert_eq!(lane.process(), connection.process());
            let connector = connection.connector().or_else(|| connection.connector_inferred());
            prop_assert_eq!(lane.connector_or_inferred(), connector);
            prop_assert_eq!(lane.server_process(), connection.server_process());
            for request in connection.children().filter(|child| child.kind() == Some(RecordKind::BiflowApp)) {
                prop_assert_eq!(request.lane(), Some(lane));
                let protocol = request.text(Attribute::Protocol);
                let requests = lane.requests().find(|requests| requests.protocol() == protocol);
                let requests = requests.expect("it is counted");
                prop_assert!(requests.start() <= request.start() || request.start().is_none());
                prop_assert!(requests.end() >= request.end());
            }
        }
    }
    prop_assert!(reported.is_empty(), "connections in lanes that are not there: {:?}", reported);
    Ok(())
}

/// The totals of a lane, or of these connections if all that ever were are there.
fn totals(lane: Lane<'_>) -> String {
    let totals = lane.totals();
    let mut requests: Vec<_> = totals.requests().map(|total| format!("{total:?}")).collect();
    requests.sort();
    let histograms = [totals.latency(), totals.latency_reverse(), totals.internal_latency()]
        .map(|histogram| (histogram.counts().to_vec(), histogram.sum_micros()));
    let (octets, reverse) = (totals.octets(), totals.octets_reverse());
    let distributions = [totals.listener_latency(), totals.connector_latency(), totals.request_latency()]
        .map(|distribution| (distribution.counts().collect::<BTreeMap<_, _>>(), distribution.sum_micros()));
    let failures: BTreeMap<_, _> =
        totals.failures().map(|(side, reason, count)| ((side, reason), count)).collect();
    format!(
        "{} {} {octets} {reverse} {requests:?} {histograms:?} {distributions:?} {failures:?}",
        totals.opened(),
        totals.closed()
    )
}

fn totals_of(connections: &[Record<'_>]) -> String {
    let sum = |attribute| {
        let numbers = connections.iter().filter_map(|connection| connection.uint(attribute));
        numbers.fold(0_u64, u64::wrapping_add)
    };
    let closed = connections.iter().filter(|connection| !connection.is_live()).count();
    let mut requests = BTreeMap::<_, u64>::new();
    for request in connections.iter().flat_map(Record::children) {
        if request.kind() == Some(RecordKind::BiflowApp) && !request.is_live() {
            let class = class(&request);
            let key = (
                request.text(Attribute::Protocol).map(|text| text.to_string()),
                request.text(Attribute::Method).map(|text| text.to_string()),
                class,
            );
            *requests.entry(key).or_default() += 1;
        }
    }
    let mut requests: Vec<_> = requests
        .into_iter()
        .map(|((protocol, method, class), count)| {
            format!("RequestTotal {{ protocol: {protocol:?}, method: {method:?}, class: {class:?}, count: {count} }}")
        })
        .collect();
    requests.sort();
    let latency_bounds = [1e3, 2e3, 5e3, 1e4, 1e5, 1e6, 1e7].map(|bound| bound as i64);
    let internal_bounds = [1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0]
        .map(|bound| (bound * 1e3) as i64);
    let mut histograms = [
        (vec![0_u64; latency_bounds.len() + 1], 0_i64),
        (vec![0_u64; latency_bounds.len() + 1], 0),
        (vec![0_u64; internal_bounds.len() + 1], 0),
    ];
    for connection in connections {
        let micros =
            |attribute| connection.uint(attribute).map(|micros| i64::try_from(micros).unwrap_or(i64::MAX));
        let both = micros(Attribute::Latency).zip(micros(Attribute::ProcessLatency));
        let Some((latency, reverse)) = both else { continue };
        for ((counts, sum), (bounds, value)) in histograms.iter_mut().zip([
            (&latency_bounds[..], latency),
            (&latency_bounds[..], reverse),
            (&internal_bounds[..], latency - reverse),
        ]) {
            counts[bounds.iter().position(|bound| value <= *bound).unwrap_or(bounds.len())] += 1;
            *sum = sum.wrapping_add(value);
        }
    }
    let ended_requests = || {
        let requests = connections.iter().flat_map(Record::children);
        requests.filter(|request| request.kind() == Some(RecordKind::BiflowApp) && !request.is_live())
    };
    let distributions = [
        distribution(connections.iter().filter_map(|connection| connection.uint(Attribute::Latency))),
        distribution(connections.iter().filter_map(|connection| connection.uint(Attribute::ProcessLatency))),
        distribution(ended_requests().filter_map(|request| request.uint(Attribute::Latency))),
    ];
    let mut failures = BTreeMap::<_, u64>::new();
    for connection in connections.iter().filter_map(|record| vanflow_store::Connection::new(*record)) {
        let errors = [connection.error_listener_side(), connection.error_connector_side()];
        for (side, error) in FailureSide::ALL.into_iter().zip(errors) {
            if let Some(error) = error {
                *failures.entry((side, FailureReason::of(&error))).or_default() += 1;
            }
        }
    }
    let (octets, reverse) = (sum(Attribute::Octets), sum(Attribute::OctetsReverse));
    format!(
        "{} {closed} {octets} {reverse} {requests:?} {histograms:?} {distributions:?} {failures:?}",
        connections.len()
    )
}

fn distribution(values: impl Iterator<Item = u64>) -> (BTreeMap<usize, u64>, i64) {
    let (mut counts, mut sum) = (BTreeMap::new(), 0_i64);
    for value in values.map(|value| i64::try_from(value).unwrap_or(i64::MAX)) {
        *counts.entry(vanflow_store::lane::Distribution::range_of(value)).or_default() += 1;
        sum = sum.wrapping_add(value);
    }
    (counts, sum)
}

/// The first start and the last end.
fn span(records: &[Record<'_>]) -> (Option<Timestamp>, Option<Timestamp>) {
    (records.iter().filter_map(Record::start).min(), records.iter().filter_map(Record::end).max())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_figures_of_a_lane_are_those_of_its_records_whatever_happens(
        events in prop::collection::vec(event(), 1..40),
    ) {
        let mut network = Network::with_retention(30);
        for event in &events {
            happen(&mut network, event);
            check_figures(&network.snapshot())?;
        }
    }

    #[test]
    fn as_long_as_nothing_leaves_the_totals_of_a_lane_are_those_of_its_records(
        events in prop::collection::vec(event(), 1..40),
    ) {
        let mut network = Network::with_retention(1_000_000);
        for event in &events {
            happen(&mut network, event);
            let snapshot = network.snapshot();
            for lane in snapshot.lanes() {
                let connections: Vec<_> = lane.connections().collect();
                prop_assert_eq!(totals(lane), totals_of(&connections));
                prop_assert_eq!((lane.start(), lane.end()), span(&connections));
                for requests in lane.requests() {
                    let all = connections.iter().flat_map(Record::children).filter(|request| {
                        request.kind() == Some(RecordKind::BiflowApp)
                            && request.text(Attribute::Protocol) == requests.protocol()
                    });
                    prop_assert_eq!((requests.start(), requests.end()), span(&all.collect::<Vec<_>>()));
                }
            }
        }
    }

    #[test]
    fn what_leaves_takes_nothing_from_the_totals(
        events in prop::collection::vec(event(), 1..40),
    ) {
        let mut network = Network::with_retention(30);
        for event in &events {
            if let Event::Waited(_) = event {
                let sources = SOURCES.map(|id| network.router(id));
                for source in sources {
                    network.store.source_lost(source, network.now, network.now);
                }
                let before = network.snapshot();
                network.wait(40);
                let after = network.snapshot();
                prop_assert_eq!(after.of_kind(RecordKind::BiflowTport).count(), 0);
                for lane in before.lanes().filter(|lane| lane.retained() > 0) {
                    let drained = after.lane(lane.at()).expect("it stays for a minute");
                    prop_assert_eq!(totals(lane), totals(drained));
                }
            } else {
                happen(&mut network, event);
            }
        }
    }

    #[test]
    fn a_lane_that_changed_says_so(events in prop::collection::vec(event(), 1..40)) {
        let mut network = Network::with_retention(30);
        let mut before = BTreeMap::new();
        for event in &events {
            happen(&mut network, event);
            let snapshot = network.snapshot();
            let now = snapshot
                .lanes()
                .map(|lane| {
                    prop_assert!(lane.revision() <= snapshot.lanes_revision());
                    let all = (figures(lane), totals(lane), lane.start(), lane.end());
                    Ok((lane.at(), (lane.revision(), all)))
                })
                .collect::<Result<BTreeMap<_, _>, TestCaseError>>()?;
            for (at, (revision, all)) in &now {
                match before.get(at) {
                    Some((old, same)) if old == revision => prop_assert_eq!(all, same),
                    Some((old, _)) => prop_assert!(revision > old),
                    None => {}
                }
            }
            before = now;
        }
    }
}

/// A network with a connection that names its connector.
fn connected() -> (Network, vanflow_store::SourceId) {
    let mut network = Network::new();
    let west = network.west();
    let connection = network.connection("west:5").with(Attribute::Octets, 100_u64);
    network.report(west, &[connection]);
    (network, west)
}

fn lane_of<'s>(snapshot: &'s Snapshot, id: &str) -> Lane<'s> {
    find(snapshot, id).lane().expect("it is in a lane")
}

#[test]
fn a_connection_takes_what_it_added_along_when_its_connector_is_reported() {
    let (mut network, west) = connected();
    let other = network.connection("west:6").with(Attribute::Octets, 1_u64);
    network.report(west, &[other]);
    let before = network.snapshot();
    let unknown = lane_of(&before, "west:5").at();
    assert_eq!(lane_of(&before, "west:6").at(), unknown);
    let reported = change(RecordKind::BiflowTport, "west:5").with(Attribute::Connector, "east:2");
    network.report(west, &[reported]);
    let after = network.snapshot();
    let known = lane_of(&after, "west:5");
    assert_eq!(known.connector_id().map(|id| id.to_string()), Some("east:2".into()));
    assert_eq!((known.totals().octets(), known.totals().opened()), (100, 1));
    let left = after.lane(unknown).expect("the other is in it");
    assert_eq!((left.totals().octets(), left.totals().opened()), (1, 1));
    assert_eq!(before.lane(unknown).expect("it was there").totals().octets(), 101, "as it was then");
}

#[test]
fn what_no_connection_of_a_lane_has_more_of_is_looked_at_anew_once_as_many_have_left() {
    let mut network = Network::with_retention(30);
    let west = network.west();
    let octets = |network: &Network| {
        let snapshot = network.snapshot();
        let bounds = lane_of(&snapshot, "west:9").at_most();
        (bounds.octets, bounds.octets_reverse)
    };
    for (number, most) in [(5, 900_u64), (6, 500), (7, 400), (8, 300), (9, 1)] {
        let id = format!("west:{number}");
        let connection = network
            .connection(&id)
            .with(Attribute::Octets, most)
            .with(Attribute::OctetsReverse, 1000 - most)
            .with(Attribute::EndTime, network.now);
        network.report(west, &[connection]);
        network.wait(1);
    }
    assert_eq!(octets(&network), (900, 999));
    network.wait(26);
    assert_eq!(octets(&network), (900, 999), "the one with the most has left, and four are there");
    network.wait(1);
    network.wait(1);
    let snapshot = network.snapshot();
    assert_eq!(lane_of(&snapshot, "west:9").retained(), 2);
    assert_eq!(octets(&network), (300, 999), "three have left, and two are there");
}

#[test]
fn an_empty_lane_stays_for_a_minute_and_its_number_then_means_another() {
    let (mut network, west) = connected();
    let end = change(RecordKind::BiflowTport, "west:5").with(Attribute::EndTime, network.now);
    network.report(west, &[end]);
    let at = lane_of(&network.snapshot(), "west:5").at();
    network.wait(15 * 60 + 1);
    let snapshot = network.snapshot();
    let lane = snapshot.lane(at).expect("a minute has not passed");
    assert_eq!((lane.retained(), lane.totals().octets(), lane.totals().closed()), (0, 100, 1));
    network.wait(59);
    assert!(network.snapshot().lane(at).is_some());
    let again = network.connection("west:6").with(Attribute::Octets, 10_u64);
    network.report(west, &[again]);
    let snapshot = network.snapshot();
    assert_eq!(lane_of(&snapshot, "west:6").at(), at, "the same path again is the same lane");
    assert_eq!(lane_of(&snapshot, "west:6").totals().octets(), 110);
    let elsewhere = change(RecordKind::BiflowTport, "west:6").with(Attribute::SourceHost, "10.0.0.8");
    network.report(west, &[elsewhere]);
    network.wait(59);
    assert!(network.snapshot().lane(at).is_some());
    network.wait(61);
    assert!(network.snapshot().lane(at).is_none());
    let other = network.connection("west:7");
    network.report(west, &[other]);
    let snapshot = network.snapshot();
    let new = lane_of(&snapshot, "west:7").at();
    assert_eq!(new.slot(), at.slot());
    assert_ne!(new, at);
    assert!(snapshot.lane(at).is_none());
}

#[test]
fn requests_count_in_the_lane_of_their_connection_whichever_comes_first() {
    let (mut network, west) = connected();
    let request = |network: &Network, id: &str, parent: &str| {
        let request = network.started(RecordKind::BiflowApp, id, parent);
        request.with(Attribute::Protocol, "HTTP/1.1").with(Attribute::Method, "GET")
    };
    let ended = |network: &Network, id: &str, parent: &str| {
        request(network, id, parent).with(Attribute::Result, "204").with(Attribute::EndTime, network.now)
    };
    let early = ended(&network, "west:21", "west:7");
    let updates = [early, request(&network, "west:22", "west:5"), network.connection("west:7")];
    network.report(west, &updates);
    let snapshot = network.snapshot();
    let lane = lane_of(&snapshot, "west:21");
    assert_eq!(lane, lane_of(&snapshot, "west:5"));
    let requests: Vec<_> = lane.requests().collect();
    assert_eq!(requests.len(), 1);
    assert_eq!((requests[0].live(), requests[0].retained()), (1, 2));
    assert_eq!(requests[0].start(), Some(network.now));
    let totals: Vec<_> = lane.totals().requests().collect();
    assert_eq!(totals.len(), 1);
    assert_eq!((totals[0].class, totals[0].count), (Some(2), 1), "only those that ended");
    assert_eq!(totals[0].method.map(|method| method.to_string()), Some("GET".into()));
}

#[test]
fn methods_without_end_do_not_fill_the_memory() {
    let (mut network, west) = connected();
    let requests: Vec<_> = (0..1000)
        .map(|number| {
            network
                .started(RecordKind::BiflowApp, &format!("west:{}", 100 + number), "west:5")
                .with(Attribute::Protocol, &*format!("P{number}"))
                .with(Attribute::Method, &*format!("M{number}"))
                .with(Attribute::EndTime, network.now)
        })
        .collect();
    network.report(west, &requests);
    let snapshot = network.snapshot();
    let lane = lane_of(&snapshot, "west:5");
    assert_eq!(lane.totals().requests().map(|total| total.count).sum::<u64>(), 1000);
    assert!(lane.totals().requests().count() < 300);
    assert_eq!(lane.requests().map(|requests| requests.retained()).sum::<usize>(), 1000);
    network.wait(3600);
    assert_eq!(network.snapshot().of_kind(RecordKind::BiflowApp).count(), 0);
    assert!(lane_of(&network.snapshot(), "west:5").requests().next().is_none());
}

#[test]
fn connections_that_go_to_other_lanes_are_known_if_something_else_is_at_their_ends() {
    let mut network = Network::new();
    let west = network.west();
    network.report(west, &[network.connector("west:2"), network.connection("west:10")]);
    let first = network.snapshot();
    let lane = |snapshot: &Snapshot| find(snapshot, "west:10").lane().expect("it is in one").at();
    assert_eq!(first.lane_moves(LaneRevision::default()).count(), 0, "it came to its first lane");
    // It has the connector that was inferred.
    network.report(west, &[change(RecordKind::BiflowTport, "west:10").with(Attribute::Connector, "west:2")]);
    let second = network.snapshot();
    assert_ne!(lane(&second), lane(&first));
    assert_eq!(second.lane_moves(LaneRevision::default()).count(), 0);
    network
        .report(west, &[change(RecordKind::BiflowTport, "west:10").with(Attribute::SourceHost, "10.0.0.1")]);
    let third = network.snapshot();
    let moves: Vec<_> = third.lane_moves(second.lanes_revision()).collect();
    assert_eq!(moves.len(), 1);
    assert_eq!((moves[0].at, moves[0].from), (find(&third, "west:10").at(), lane(&second)));
    assert_eq!(third.lane_moves(third.lanes_revision()).count(), 0);
    network
        .report(west, &[change(RecordKind::BiflowTport, "west:10").with(Attribute::SourceHost, "10.0.0.2")]);
    let fourth = network.snapshot();
    let from: Vec<_> = fourth.lane_moves(second.lanes_revision()).map(|each| each.from).collect();
    assert_eq!(from, [lane(&third), lane(&second)], "the latest first");
    // Of a record that has left nothing is said, though another has its row.
    network.report(west, &[change(RecordKind::BiflowTport, "west:10").with(Attribute::EndTime, network.now)]);
    network.wait(2 * 15 * 60);
    network.report(west, &[network.connection("west:11")]);
    assert_eq!(network.snapshot().lane_moves(second.lanes_revision()).count(), 0);
}

#[test]
fn the_half_of_a_connection_that_stands_for_it_no_more_has_left_its_lane() {
    // faults 32
    let mut network = Network::new();
    let west = network.west();
    let far = network
        .started(RecordKind::Flow, "west:11", "west:2")
        .with(Attribute::Counterflow, "west:10")
        .with(Attribute::Octets, 5);
    let connector = network
        .started(RecordKind::Connector, "west:2", "west:0")
        .with(Attribute::VanAddress, "echo")
        .with(Attribute::Protocol, "tcp");
    network.report(west, &[connector, far]);
    let before = network.snapshot();
    let lane = before.flow(FlowKind::Connection, "west:10").and_then(|far| far.lane()).expect("it counts");
    let near = network.started(RecordKind::Flow, "west:10", "west:1").with(Attribute::SourceHost, "10.0.0.9");
    network.report(west, &[near]);
    let after = network.snapshot();
    let moves: Vec<_> = after.lane_moves(before.lanes_revision()).collect();
    assert_eq!(moves.len(), 1);
    assert_eq!((moves[0].at, moves[0].from), (find(&after, "west:11").at(), lane.at()));
}

#[test]
fn the_span_of_a_lane_is_that_of_its_connections_whichever_ends_first() {
    let mut network = Network::with_retention(30);
    let west = network.west();
    let at = |micros| network.now.plus_micros(micros);
    let connection = |id: &str, start, end| {
        let update = change(RecordKind::BiflowTport, id).with(Attribute::Parent, "west:1");
        let update = update.with(Attribute::SourceHost, "10.0.0.9").with(Attribute::StartTime, at(start));
        match end {
            Some(end) => update.with(Attribute::EndTime, at(end)),
            None => update,
        }
    };
    let updates =
        [connection("west:5", 10, None), connection("west:6", 5, Some(20)), connection("west:7", 7, None)];
    let end = change(RecordKind::BiflowTport, "west:7").with(Attribute::EndTime, at(15));
    let times = [at(5), at(20), at(7)];
    network.report(west, &updates);
    network.report(west, &[end]);
    let span = |network: &Network, id: &str| {
        let snapshot = network.snapshot();
        let lane = lane_of(&snapshot, id);
        (lane.start(), lane.end())
    };
    assert_eq!(span(&network, "west:5"), (Some(times[0]), Some(times[1])));
    // The one that started first and ended last goes elsewhere.
    network.report(west, &[change(RecordKind::BiflowTport, "west:6").with(Attribute::Connector, "east:2")]);
    let fifteen = Timestamp::from_micros(times[1].as_micros() - 5);
    assert_eq!(span(&network, "west:5"), (Some(times[2]), Some(fifteen)));
    assert_eq!(span(&network, "west:6"), (Some(times[0]), Some(times[1])));
    // What left the store started all the same; since the last that ended went elsewhere, ends are of what is there.
    network.wait(40);
    network.report(west, &[change(RecordKind::BiflowTport, "west:5").with(Attribute::Octets, 1_u64)]);
    assert_eq!(span(&network, "west:5"), (Some(times[2]), None));
    network.report(west, &[change(RecordKind::BiflowTport, "west:5").with(Attribute::Connector, "east:3")]);
    let snapshot = network.snapshot();
    let empty = snapshot.lanes().find(|lane| lane.connector_id().is_none()).expect("it stays for a minute");
    assert_eq!((empty.start(), empty.end()), (Some(times[2]), None), "of what was there once");
}

#[test]
fn what_is_at_the_ends_of_lanes_has_a_revision_of_its_own() {
    let (mut network, west) = connected();
    let controller = network.controller("site-west");
    network.report(controller, &[change(RecordKind::Site, "site-west").with(Attribute::StartTime, 1)]);
    let revision = |network: &Network| network.snapshot().lane_ends_revision();
    let before = revision(&network);
    network.report(west, &[change(RecordKind::BiflowTport, "west:5").with(Attribute::Octets, 200_u64)]);
    assert_eq!(revision(&network), before, "it passes along the same way");
    let process = network.started(RecordKind::Process, "pod-1", "site-west");
    network.report(controller, &[process.with(Attribute::SourceHost, "10.0.0.9")]);
    let snapshot = network.snapshot();
    let client = lane_of(&snapshot, "west:5").process().map(|process| process.id().to_string());
    assert_eq!(client.as_deref(), Some("pod-1"));
    assert!(revision(&network) > before);
}

#[test]
fn a_request_that_changes_is_counted_and_timed_once() {
    let (mut network, west) = connected();
    let at = |micros| network.now.plus_micros(micros);
    let request = |id: &str, start| {
        change(RecordKind::BiflowApp, id)
            .with(Attribute::Parent, "west:5")
            .with(Attribute::Protocol, "HTTP/1.1")
            .with(Attribute::StartTime, at(start))
    };
    let failed = request("west:50", 5).with(Attribute::EndTime, at(20)).with(Attribute::Result, "500");
    let updates = [failed, request("west:51", 7).with(Attribute::EndTime, at(15)), request("west:52", 9)];
    let times = [at(5), at(20), at(7), at(15)].map(Some);
    network.report(west, &updates);
    let seen = |network: &Network, protocol: &str| {
        let snapshot = network.snapshot();
        let requests = lane_of(&snapshot, "west:5")
            .requests()
            .find(|requests| requests.protocol().is_some_and(|its| its == protocol));
        let requests = requests.expect("there are some");
        (requests.live(), requests.retained(), requests.failed(), requests.start(), requests.end())
    };
    // One without a result has failed, too.
    assert_eq!(seen(&network, "HTTP/1.1"), (1, 3, 2, times[0], times[1]));
    let slow = change(RecordKind::BiflowApp, "west:50").with(Attribute::Latency, 3_u64);
    network.report(west, &[slow]);
    assert_eq!(seen(&network, "HTTP/1.1"), (1, 3, 2, times[0], times[1]));
    // It was another protocol: the others are those that are left.
    let other = change(RecordKind::BiflowApp, "west:50").with(Attribute::Protocol, "HTTP/2");
    network.report(west, &[other]);
    assert_eq!(seen(&network, "HTTP/1.1"), (1, 2, 1, times[2], times[3]));
    assert_eq!(seen(&network, "HTTP/2"), (0, 1, 1, times[0], times[1]));
}

#[test]
fn each_lane_has_a_position_of_its_own_and_says_what_it_is() {
    let (mut network, west) = connected();
    for number in 2..5 {
        let connector = format!("east:{number}");
        let connection = network.connection(&format!("west:1{number}")).with(Attribute::Connector, connector);
        network.report(west, &[connection]);
    }
    let request = network.started(RecordKind::BiflowApp, "west:21", "west:5");
    network.report(west, &[request.with(Attribute::Protocol, "HTTP/1.1")]);
    let snapshot = network.snapshot();
    let mut slots: Vec<_> = snapshot.lanes().map(|lane| lane.at().slot()).collect();
    slots.sort_unstable();
    assert_eq!(slots, [0, 1, 2, 3]);
    assert_eq!(snapshot.lane_slots(), 4);
    let lane = lane_of(&snapshot, "west:5");
    let requests = lane.requests().next().expect("there is one");
    for (debug, expected) in [
        (format!("{lane:?}"), "Lane { at: "),
        (format!("{requests:?}"), "LaneRequests { protocol: Some(\"HTTP/1.1\"), live: 1, retained: 1"),
        (format!("{:?}", lane.totals()), "Totals { opened: 1, closed: 0, octets: 100, octets_reverse: 0"),
    ] {
        assert!(debug.starts_with(expected), "{debug}");
    }
    let totals = lane.totals();
    let bounds = [totals.latency(), totals.latency_reverse(), totals.internal_latency()]
        .map(|histogram| (histogram.bounds_micros(), histogram.counts().len()));
    let [latency, internal] = [Histogram::LATENCY_BOUNDS_MICROS, Histogram::INTERNAL_BOUNDS_MICROS];
    assert_eq!(bounds, [latency, latency, internal].map(|bounds| (bounds, bounds.len() + 1)));
}
