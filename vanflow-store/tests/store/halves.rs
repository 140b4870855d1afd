//! FLOW records of 2.x routers (faults 32): what a pair of them comes to, whatever becomes of its halves, is what a plain
//! reference makes of the records that are there.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proptest::prelude::*;
use vanflow_proto::{Attribute, RecordKind, Timestamp, UpdateBuf, ValueBuf};
use vanflow_store::{Connection, Ended, FlowKind, Record, RecordRef, Request, Snapshot, SourceId, Text};

use crate::support::{Network, change};

/// Sources are named as the scopes of ids are, so that a restart gives ids another meaning.
const SOURCES: [&str; 2] = ["a:99", "b:99"];

/// The client's router has id `a`, the server's `b`. `a:0` listens, `b:0` connects, `b:1` is the connector's own FLOW; 2 to
/// 4 are halves of connections, 5 to 7 of requests. Now and then one says that it belongs elsewhere.
fn value(id: &str, attribute: Attribute) -> BoxedStrategy<ValueBuf> {
    let (near, number) = (id.starts_with('a'), id.as_bytes()[2]);
    let text = |text: String| Just(ValueBuf::from(text)).boxed();
    let mostly = |usual: &str, odd: &'static str| {
        prop_oneof![6 => text(usual.to_owned()), 1 => odd.prop_map(ValueBuf::from)].boxed()
    };
    match attribute {
        Attribute::Parent if id.starts_with('p') => text("site".to_owned()),
        Attribute::Parent => match (near, number) {
            (true, b'2'..=b'4') => mostly("a:0", "[ab]:[0-7]"),
            (true, b'5'..=b'7') => mostly("a:2", "a:[2-4]"),
            (false, b'1'..=b'4') => mostly("b:0", "[ab]:[0-7]"),
            (false, b'5'..=b'7') => mostly("b:1", "b:[0-4]"),
            _ => text("site".to_owned()),
        },
        Attribute::Counterflow => match (near, number) {
            (false, b'2'..=b'7') => mostly(&format!("a:{}", number as char), "a:[2-7]"),
            _ => mostly("", "[ab]:[2-7]"),
        },
        Attribute::SourceHost => r"10\.0\.0\.[12]".prop_map(ValueBuf::from).boxed(),
        Attribute::VanAddress => text("shop".to_owned()),
        Attribute::Protocol => prop_oneof!["tcp", "http1"].prop_map(ValueBuf::from).boxed(),
        Attribute::Method => prop_oneof!["GET", "PUT"].prop_map(ValueBuf::from).boxed(),
        Attribute::Result => prop_oneof!["200", "503", "late"].prop_map(ValueBuf::from).boxed(),
        Attribute::StartTime | Attribute::EndTime => (1_u64..6).prop_map(ValueBuf::from).boxed(),
        _ => prop_oneof![0_u64..9, 900_u64..1200, Just(u64::MAX)].prop_map(ValueBuf::from).boxed(),
    }
}

fn attributes(kind: RecordKind, id: &str) -> &'static [Attribute] {
    match (kind, id.as_bytes()[0]) {
        (RecordKind::Flow, b'a') => &[
            Attribute::Parent,
            Attribute::StartTime,
            Attribute::EndTime,
            Attribute::SourceHost,
            Attribute::Octets,
            Attribute::Latency,
            Attribute::Method,
            Attribute::Result,
        ],
        (RecordKind::Flow, _) => &[
            Attribute::Parent,
            Attribute::Counterflow,
            Attribute::StartTime,
            Attribute::EndTime,
            Attribute::SourceHost,
            Attribute::Octets,
            Attribute::Latency,
        ],
        (RecordKind::Process, _) => {
            &[Attribute::Parent, Attribute::StartTime, Attribute::EndTime, Attribute::SourceHost]
        }
        _ => &[Attribute::Parent, Attribute::VanAddress, Attribute::Protocol, Attribute::EndTime],
    }
}

fn update() -> impl Strategy<Value = UpdateBuf> {
    prop_oneof![1 => "[ab]:0", 1 => "p:[12]", 9 => "[ab]:[1-7]"].prop_flat_map(|id: String| {
        let kind = match &*id {
            "p:1" | "p:2" => RecordKind::Process,
            "a:0" => RecordKind::Listener,
            "b:0" => RecordKind::Connector,
            _ => RecordKind::Flow,
        };
        prop::sample::subsequence(attributes(kind, &id), 0..5).prop_flat_map(move |attributes| {
            let values: Vec<_> = attributes
                .into_iter()
                .map(|attribute| value(&id, attribute).prop_map(move |value| (attribute.code(), value)))
                .collect();
            let id = id.clone();
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
enum Event {
    Reported(UpdateBuf),
    Restored(UpdateBuf, bool),
    Lost(usize),
    Restarted(usize),
    Waited(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        40 => update().prop_map(Event::Reported),
        1 => (0_usize..2).prop_map(Event::Lost),
        1 => (0_usize..2).prop_map(Event::Restarted),
        2 => prop_oneof![Just(1), Just(20), Just(100)].prop_map(Event::Waited),
    ]
}

/// What a former run of the program held, each record once, and then what happens.
fn history() -> impl Strategy<Value = Vec<Event>> {
    let held = prop::collection::vec((update(), any::<bool>()), 0..5);
    (held, prop::collection::vec(event(), 1..50)).prop_map(|(held, events)| {
        let by_id: BTreeMap<_, _> =
            held.into_iter().map(|(update, ended)| (update.id.clone(), (update, ended))).collect();
        let held = by_id.into_values().map(|(mut update, ended)| {
            // One that comes with another start afterwards would be a restart.
            update.attributes.retain(|(code, _)| *code != Attribute::StartTime.code());
            Event::Restored(update, ended)
        });
        held.chain(events).collect()
    })
}

/// A store that knows of a site.
fn network(retention: u64) -> Network {
    let mut network = Network::with_retention(retention);
    let source = network.controller("site");
    network.report(source, &[change(RecordKind::Site, "site").with(Attribute::StartTime, 1)]);
    network
}

fn happen(network: &mut Network, event: &Event) {
    match event {
        Event::Reported(update) if update.type_code == Some(RecordKind::Process.code()) => {
            let source = network.controller("site");
            network.report(source, std::slice::from_ref(update));
        }
        Event::Reported(update) => {
            let source = network.router(if update.id.starts_with('a') { SOURCES[0] } else { SOURCES[1] });
            network.report(source, std::slice::from_ref(update));
        }
        Event::Restored(update, ended) => {
            let source = network.router(if update.id.starts_with('a') { SOURCES[0] } else { SOURCES[1] });
            let ended = ended.then_some(Ended { at: network.now, presumed: true });
            network.store.restore(source, update, ended);
        }
        Event::Lost(number) => {
            let source = network.router(SOURCES[*number]);
            network.store.source_lost(source, network.now, network.now);
        }
        Event::Restarted(number) => {
            let source = network.router(SOURCES[*number]);
            network.store.source_restarted(source, network.now);
        }
        Event::Waited(seconds) => network.wait(*seconds),
    }
}

fn text(record: &Record<'_>, attribute: Attribute) -> Option<String> {
    record.text(attribute).map(|text| text.to_string())
}

/// What there is, by a look at each FLOW. It remembers what each was known to be, as what it belongs to may leave first.
#[derive(Default)]
struct Reference {
    known: HashMap<RecordRef, (String, FlowKind)>,
    /// How often the client's router has restarted, which gave its ids other meanings, and in which of its lives each FLOW
    /// named its counterflow.
    life: usize,
    named_in: HashMap<RecordRef, usize>,
    is_restarted: bool,
}

/// A connection or request: the record that stands for it, both halves, and under which id it is known.
struct Pair<'s> {
    id: String,
    near: Option<Record<'s>>,
    far: Option<Record<'s>>,
}

impl<'s> Pair<'s> {
    fn stands(&self) -> Record<'s> {
        self.near.or(self.far).expect("it has a half")
    }
}

impl Reference {
    fn note(&mut self, snapshot: &Snapshot, event: &Event) {
        match event {
            Event::Reported(update) | Event::Restored(update, _)
                if update.get(Attribute::Counterflow).is_some() =>
            {
                if let Some(record) = snapshot.find(&update.id).next() {
                    self.named_in.insert(record.at(), self.life);
                }
            }
            Event::Restarted(number) => {
                self.life += usize::from(*number == 0);
                self.is_restarted = true;
            }
            _ => {}
        }
    }

    fn is_named_alike(&self, left: &Record<'_>, right: &Record<'_>) -> bool {
        left.named().is_some() && left.named() == right.named()
            || left.text(Attribute::Counterflow) == right.text(Attribute::Counterflow)
                && self.named_in.get(&left.at()) == self.named_in.get(&right.at())
    }

    fn pairs<'s>(&mut self, snapshot: &'s Snapshot) -> [Vec<Pair<'s>>; 2] {
        let flows: Vec<_> = snapshot.of_kind(RecordKind::Flow).collect();
        self.known.retain(|at, (id, _)| {
            snapshot
                .get(*at)
                .is_some_and(|record| record.kind() == Some(RecordKind::Flow) && record.id() == **id)
        });
        let names = |flow: &Record<'_>| flow.text(Attribute::Counterflow).is_some();
        let listens =
            |flow: &Record<'_>| flow.parent().and_then(|parent| parent.kind()) == Some(RecordKind::Listener);
        let parent_kind = |flow: &Record<'_>| flow.parent().and_then(|parent| parent.kind());
        // By the row that is named, as an id can have had other meanings.
        let best = |naming: &mut dyn Iterator<Item = Record<'s>>| {
            naming.max_by(|left, right| {
                let by_start = left.start().cmp(&right.start());
                by_start.then_with(|| right.id().cmp(&left.id())).then_with(|| left.at().cmp(&right.at()))
            })
        };
        let far_of = |near: &Record<'s>| {
            best(&mut flows.iter().copied().filter(|flow| flow.named() == Some(near.at())))
        };
        let mut pairs = [Vec::new(), Vec::new()];
        for wanted in [FlowKind::Connection, FlowKind::Request] {
            for flow in &flows {
                let found = if listens(flow) {
                    Some(Some(FlowKind::Connection))
                } else if names(flow) {
                    let near = flow.named().and_then(|at| snapshot.get(at));
                    let mut alike = flows.iter().filter(|other| self.is_named_alike(flow, other));
                    let is_best = alike.all(|other| {
                        (other.start(), std::cmp::Reverse(other.id().to_string()), other.at())
                            <= (flow.start(), std::cmp::Reverse(flow.id().to_string()), flow.at())
                    });
                    if near.is_some_and(|near| near.kind() == Some(RecordKind::Flow)) || !is_best {
                        Some(None)
                    } else {
                        match parent_kind(flow) {
                            Some(RecordKind::Connector) => Some(Some(FlowKind::Connection)),
                            Some(RecordKind::Flow) => Some(Some(FlowKind::Request)),
                            _ => None,
                        }
                    }
                } else if parent_kind(flow) == Some(RecordKind::Connector) {
                    Some(None)
                } else {
                    let above = flow.parent().and_then(|parent| parent_kind(&parent));
                    let far = far_of(flow).map(|far| parent_kind(&far));
                    match (parent_kind(flow), far) {
                        (Some(RecordKind::Flow), _) if above == Some(RecordKind::Connector) => Some(None),
                        (Some(RecordKind::Flow), _) => Some(Some(FlowKind::Request)),
                        _ if self.known.contains_key(&flow.at()) => None,
                        _ if flow.get(Attribute::Method).is_some() => Some(Some(FlowKind::Request)),
                        (_, Some(Some(RecordKind::Flow))) => Some(Some(FlowKind::Request)),
                        (_, Some(Some(RecordKind::Connector))) => Some(Some(FlowKind::Connection)),
                        _ => None,
                    }
                };
                let kind = found.unwrap_or_else(|| self.known.get(&flow.at()).map(|(_, kind)| *kind));
                match kind {
                    Some(kind) => self.known.insert(flow.at(), (flow.id().to_string(), kind)),
                    None => self.known.remove(&flow.at()),
                };
                if kind != Some(wanted) {
                    continue;
                }
                let is_far = names(flow) && !listens(flow);
                pairs[wanted as usize].push(Pair {
                    id: if is_far {
                        text(flow, Attribute::Counterflow).expect("it names one")
                    } else {
                        flow.id().to_string()
                    },
                    near: (!is_far).then_some(*flow),
                    far: if is_far { Some(*flow) } else { far_of(flow) },
                });
            }
        }
        pairs
    }
}

/// What a FLOW names, by where it is: ids can have had other meanings.
trait Naming<'s>: Sized {
    fn named(&self) -> Option<RecordRef>;
}

impl<'s> Naming<'s> for Record<'s> {
    fn named(&self) -> Option<RecordRef> {
        let named = self.text(Attribute::Counterflow)?;
        self.counterflow().filter(|near| near.id() == named).map(|near| near.at())
    }
}

fn owned(text: Option<Text<'_>>) -> Option<String> {
    text.map(|text| text.to_string())
}

/// Whether the connections and requests of a snapshot are what the reference makes of its records.
fn check<'s>(snapshot: &'s Snapshot, reference: &mut Reference) -> Result<[Vec<Pair<'s>>; 2], TestCaseError> {
    let pairs = reference.pairs(snapshot);
    for (kind, pairs) in [FlowKind::Connection, FlowKind::Request].into_iter().zip(&pairs) {
        let shown: Vec<_> =
            snapshot.flows(kind).map(|record| (record.at(), record.flow_id().to_string())).collect();
        let expected: Vec<_> = pairs.iter().map(|pair| (pair.stands().at(), pair.id.clone())).collect();
        prop_assert_eq!(&shown, &expected, "{:?}", kind);
        let live = pairs.iter().filter(|pair| pair.stands().is_live()).count();
        let counts = (snapshot.live_flow_count(kind), snapshot.retained_flow_count(kind));
        prop_assert_eq!(counts, (live, pairs.len()));
        prop_assert_eq!(snapshot.live_flows(kind).count(), live);
        let mut by_id: Vec<_> = pairs.iter().map(|pair| (pair.id.clone(), pair.stands().at())).collect();
        by_id.sort();
        let order = snapshot.by_identity(kind);
        let listed: Vec<_> =
            order.range(0..order.len()).map(|record| (record.flow_id().to_string(), record.at())).collect();
        prop_assert_eq!(listed, by_id);
        let ends = pairs.iter().filter_map(|pair| Some((pair.stands().end()?, pair.stands().at())));
        let mut by_end: Vec<(Timestamp, RecordRef)> = ends.collect();
        by_end.sort();
        let order = snapshot.ended_by_time(kind);
        let listed: Vec<_> = order
            .range(0..order.len())
            .map(|record| (record.end().expect("it ended"), record.at()))
            .collect();
        prop_assert_eq!(listed, by_end);
    }
    for pair in &pairs[0] {
        let connection = Connection::new(pair.stands()).expect("it stands for one");
        let Pair { near, far, .. } = pair;
        prop_assert_eq!(connection.id().to_string(), pair.id.clone());
        prop_assert_eq!(connection.octets(), near.and_then(|near| near.uint(Attribute::Octets)));
        if let Some(far) = far {
            prop_assert_eq!(connection.octets_reverse(), far.uint(Attribute::Octets));
        }
        prop_assert_eq!(connection.latency(), near.and_then(|near| near.uint(Attribute::Latency)));
        prop_assert_eq!(connection.process_latency(), far.and_then(|far| far.uint(Attribute::Latency)));
        prop_assert_eq!(
            owned(connection.source_host()),
            near.and_then(|near| text(&near, Attribute::SourceHost))
        );
        prop_assert_eq!(
            owned(connection.proxy_host()),
            far.and_then(|far| text(&far, Attribute::SourceHost))
        );
        prop_assert_eq!(
            owned(connection.listener_id()),
            near.and_then(|near| text(&near, Attribute::Parent))
        );
        let connector = owned(connection.connector_id());
        match far {
            Some(far) => prop_assert_eq!(connector, text(far, Attribute::Parent)),
            None => {
                let answering = answering(&pairs, pair);
                let is_sole = |connector: &String| answering.iter().all(|known| known == connector);
                prop_assert!(connector.as_ref().is_none_or(is_sole), "{:?} of {:?}", connector, answering);
            }
        }
        let lane = connection.lane().expect("each connection is in a lane");
        prop_assert!(lane.connections().any(|member| member == pair.stands()));
        prop_assert_eq!(owned(lane.listener_id()), owned(connection.listener_id()));
        prop_assert_eq!(owned(lane.connector_id()), owned(connection.connector_id()));
        prop_assert_eq!(owned(lane.host()), owned(connection.source_host()));
        // Whoever asks the record finds the client in another way.
        let asked = near
            .filter(|near| near.parent().is_some_and(|parent| parent.kind() == Some(RecordKind::Listener)));
        if let Some(near) = asked {
            prop_assert_eq!(connection.process(), near.process());
        }
    }
    for pair in &pairs[1] {
        let request = Request::new(pair.stands()).expect("it stands for one");
        let Pair { near, far, .. } = pair;
        prop_assert_eq!(request.id().to_string(), pair.id.clone());
        prop_assert_eq!(owned(request.method()), near.and_then(|near| text(&near, Attribute::Method)));
        prop_assert_eq!(owned(request.result()), near.and_then(|near| text(&near, Attribute::Result)));
        prop_assert_eq!(request.octets(), near.and_then(|near| near.uint(Attribute::Octets)));
        prop_assert_eq!(request.octets_reverse(), far.and_then(|far| far.uint(Attribute::Octets)));
        let connection = near.and_then(|near| near.parent());
        let connection = connection.filter(|parent| pairs[0].iter().any(|pair| pair.stands() == *parent));
        prop_assert_eq!(request.connection().map(|connection| connection.record()), connection);
        prop_assert_eq!(request.record().lane(), connection.and_then(|connection| connection.lane()));
    }
    check_lanes(snapshot, &pairs)?;
    Ok(pairs)
}

/// The connectors that requests of a connection were answered by: what the connectors' own FLOWs belong to.
fn answering<'s>(pairs: &[Vec<Pair<'s>>; 2], connection: &Pair<'s>) -> BTreeSet<String> {
    let its = |request: &&Pair<'s>| request.near.and_then(|near| near.parent()) == Some(connection.stands());
    let own = |request: &Pair<'s>| request.far?.parent().filter(|own| own.kind() == Some(RecordKind::Flow));
    let is_own = |own: &Record<'s>| pairs[0].iter().all(|pair| pair.stands() != *own);
    let all = pairs[1].iter().filter(its).filter_map(own).filter(is_own);
    all.filter_map(|own| text(&own, Attribute::Parent)).collect()
}

type Counts = (usize, usize);

/// Whether lanes count just what is in them.
fn check_lanes(snapshot: &Snapshot, pairs: &[Vec<Pair<'_>>; 2]) -> Result<(), TestCaseError> {
    let mut connections = BTreeMap::<_, Counts>::new();
    let mut requests = BTreeMap::<_, Counts>::new();
    let count = |counts: &mut Counts, record: Record<'_>| {
        counts.0 += usize::from(record.is_live());
        counts.1 += 1;
    };
    for pair in &pairs[0] {
        let lane = pair.stands().lane().expect("it was checked");
        count(connections.entry(lane.at()).or_default(), pair.stands());
    }
    for pair in &pairs[1] {
        if let Some(lane) = pair.stands().lane() {
            let protocol = owned(Request::new(pair.stands()).and_then(|request| request.protocol()));
            count(requests.entry((lane.at(), protocol)).or_default(), pair.stands());
        }
    }
    for lane in snapshot.lanes() {
        prop_assert_eq!((lane.live(), lane.retained()), connections.remove(&lane.at()).unwrap_or_default());
        prop_assert_eq!(lane.connections().count(), lane.retained());
        for counted in lane.requests() {
            let expected = requests.remove(&(lane.at(), owned(counted.protocol()))).unwrap_or_default();
            prop_assert_eq!((counted.live(), counted.retained()), expected);
        }
    }
    prop_assert!(connections.is_empty() && requests.is_empty(), "{:?} {:?}", connections, requests);
    Ok(())
}

/// What passed by all lanes is what the pairs come to, as long as none has left.
fn check_totals(
    snapshot: &Snapshot,
    pairs: &[Vec<Pair<'_>>; 2],
    is_restarted: bool,
) -> Result<(), TestCaseError> {
    for lane in snapshot.lanes() {
        let totals = lane.totals();
        let its = |pair: &&Pair<'_>| pair.stands().lane() == Some(lane);
        let connections: Vec<_> = pairs[0].iter().filter(its).collect();
        let sum = |octets: &mut dyn Iterator<Item = Option<u64>>| octets.flatten().fold(0, u64::wrapping_add);
        let octets = |record: Option<Record<'_>>| record.and_then(|record| record.uint(Attribute::Octets));
        let reverse = |pair: &Pair<'_>| match pair.far {
            Some(far) => far.uint(Attribute::Octets),
            None => {
                let its = pairs[1]
                    .iter()
                    .filter(|request| request.near.and_then(|near| near.parent()) == Some(pair.stands()));
                Some(sum(&mut its.map(|request| octets(request.far))))
            }
        };
        let closed = connections.iter().filter(|pair| !pair.stands().is_live()).count();
        let latencies = |pair: &Pair<'_>| {
            let latency = |half: Option<Record<'_>>| half.and_then(|half| half.uint(Attribute::Latency));
            latency(pair.near).zip(latency(pair.far))
        };
        let timed = connections.iter().filter(|pair| latencies(pair).is_some()).count() as u64;
        let ended = pairs[1].iter().filter(its).filter(|pair| !pair.stands().is_live()).count() as u64;
        prop_assert_eq!(
            [
                totals.opened(),
                totals.closed(),
                totals.octets(),
                totals.octets_reverse(),
                totals.latency().count()
            ],
            [
                connections.len() as u64,
                closed as u64,
                sum(&mut connections.iter().map(|pair| octets(pair.near))),
                sum(&mut connections.iter().map(|pair| reverse(pair))),
                timed,
            ]
        );
        prop_assert_eq!(totals.requests().map(|total| total.count).sum::<u64>(), ended);
        for pair in connections.iter().filter(|pair| pair.far.is_none()) {
            let shown = Connection::new(pair.stands()).and_then(|connection| connection.octets_reverse());
            prop_assert_eq!(shown.unwrap_or(0), reverse(pair).unwrap_or(0));
            let connector = Connection::new(pair.stands()).and_then(|connection| connection.connector_id());
            let answering = answering(pairs, pair);
            let sole = answering.first().filter(|_| answering.len() == 1);
            // An id has other meanings once its source has restarted.
            if !is_restarted {
                prop_assert_eq!(owned(connector), sole.cloned());
            }
        }
        let starts = connections.iter().filter_map(|pair| pair.stands().start());
        prop_assert_eq!(lane.start(), starts.min());
    }
    for service in snapshot.services() {
        let its = pairs[0].iter().map(|pair| Connection::new(pair.stands()).expect("it was checked"));
        let its: Vec<_> = its.filter(|connection| connection.service() == Some(service)).collect();
        prop_assert_eq!(service.total_flows(), its.len() as u64);
        let live = its.iter().filter(|connection| connection.is_live()).count();
        prop_assert_eq!(service.current_flows(), live as u64);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn pairs_are_what_their_records_come_to_whatever_happens(
        events in history(),
    ) {
        let mut network = network(30);
        let mut reference = Reference::default();
        for event in &events {
            happen(&mut network, event);
            let snapshot = network.snapshot();
            reference.note(&snapshot, event);
            check(&snapshot, &mut reference)?;
        }
    }

    #[test]
    fn as_long_as_nothing_leaves_totals_are_those_of_the_pairs(
        events in history(),
    ) {
        let mut network = network(1_000_000);
        let mut reference = Reference::default();
        for event in &events {
            happen(&mut network, event);
            let snapshot = network.snapshot();
            reference.note(&snapshot, event);
            let pairs = check(&snapshot, &mut reference)?;
            check_totals(&snapshot, &pairs, reference.is_restarted)?;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pairs_that_leave_take_nothing_from_the_totals(events in history(),) {
        let mut network = network(30);
        for event in &events {
            let Event::Waited(_) = event else {
                happen(&mut network, event);
                continue;
            };
            for id in SOURCES {
                let source = network.router(id);
                network.store.source_lost(source, network.now, network.now);
            }
            let before = network.snapshot();
            network.wait(40);
            let after = network.snapshot();
            prop_assert_eq!(after.of_kind(RecordKind::Flow).count(), 0);
            for lane in before.lanes().filter(|lane| lane.retained() > 0) {
                let drained = after.lane(lane.at()).expect("it stays for a minute");
                prop_assert_eq!(format!("{:?}", drained.totals()), format!("{:?}", lane.totals()));
            }
        }
    }
}

/// A listener of the client's router and a connector of the server's.
fn service(network: &mut Network) -> [SourceId; 2] {
    let sources = SOURCES.map(|id| network.router(id));
    let offer =
        |kind, id| change(kind, id).with(Attribute::VanAddress, "shop").with(Attribute::Protocol, "tcp");
    network.report(sources[0], &[offer(RecordKind::Listener, "a:0")]);
    network.report(sources[1], &[offer(RecordKind::Connector, "b:0")]);
    sources
}

fn near(network: &Network) -> UpdateBuf {
    network
        .started(RecordKind::Flow, "a:2", "a:0")
        .with(Attribute::Octets, 7)
        .with(Attribute::SourceHost, "h")
}

fn far(network: &Network) -> UpdateBuf {
    network
        .started(RecordKind::Flow, "b:2", "b:0")
        .with(Attribute::Octets, 9)
        .with(Attribute::Counterflow, "a:2")
}

fn connections(snapshot: &Snapshot) -> Vec<(String, Option<u64>, Option<u64>)> {
    let all = snapshot.flows(FlowKind::Connection).filter_map(Connection::new);
    all.map(|connection| (connection.id().to_string(), connection.octets(), connection.octets_reverse()))
        .collect()
}

#[test]
fn a_connection_has_the_id_of_its_near_half_whichever_half_comes_first() {
    for far_first in [false, true] {
        let mut network = Network::new();
        let [a, b] = service(&mut network);
        let halves = [(a, near(&network)), (b, far(&network))];
        let [first, second] = if far_first { [1, 0] } else { [0, 1] };
        network.report(halves[first].0, std::slice::from_ref(&halves[first].1));
        let alone = if far_first { (None, Some(9)) } else { (Some(7), None) };
        assert_eq!(connections(&network.snapshot()), [("a:2".to_owned(), alone.0, alone.1)]);
        assert!(network.snapshot().flow(FlowKind::Connection, "a:2").is_some());
        network.report(halves[second].0, std::slice::from_ref(&halves[second].1));
        let snapshot = network.snapshot();
        assert_eq!(connections(&snapshot), [("a:2".to_owned(), Some(7), Some(9))]);
        let service = snapshot.services().next().expect("it is there");
        assert_eq!((service.total_flows(), service.current_flows()), (1, 1));
        let opened: u64 = snapshot.lanes().map(|lane| lane.totals().opened()).sum();
        assert_eq!(opened, 1, "it is opened once");
    }
}

#[test]
fn a_change_of_the_far_half_is_a_change_of_the_connection() {
    let mut network = Network::new();
    let [a, b] = service(&mut network);
    let (near, far) = (near(&network), far(&network));
    network.report(a, &[near]);
    network.report(b, &[far]);
    let revision = network.store.revision();
    network.report(b, &[change(RecordKind::Flow, "b:2").with(Attribute::Octets, 11)]);
    let changes = network.store.changes(revision, 100);
    let snapshot = network.snapshot();
    let changed: Vec<_> =
        changes.records.iter().map(|at| snapshot.get(*at).expect("it is there").id().to_string()).collect();
    assert_eq!(changed, ["b:2", "a:2"]);
    assert_eq!(connections(&snapshot), [("a:2".to_owned(), Some(7), Some(11))]);
}

#[test]
fn the_halves_of_a_connection_leave_together_once_neither_has_to_stay() {
    for far_ends_first in [false, true] {
        let mut network = Network::with_retention(30);
        let [a, b] = service(&mut network);
        let (near, far) = (near(&network), far(&network));
        network.report(a, &[near]);
        network.report(b, &[far]);
        let ends = [(a, "a:2"), (b, "b:2")];
        let [first, second] = if far_ends_first { [1, 0] } else { [0, 1] };
        let end = |network: &mut Network, (source, id): (SourceId, &str)| {
            let update = change(RecordKind::Flow, id).with(Attribute::EndTime, network.now);
            network.report(source, &[update]);
        };
        end(&mut network, ends[first]);
        network.wait(40);
        let whole = [("a:2".to_owned(), Some(7), Some(9))];
        assert_eq!(connections(&network.snapshot()), whole, "one half lives");
        end(&mut network, ends[second]);
        network.wait(20);
        assert_eq!(connections(&network.snapshot()), whole, "one half has its time still");
        network.wait(20);
        let snapshot = network.snapshot();
        assert_eq!((connections(&snapshot), snapshot.of_kind(RecordKind::Flow).count()), (Vec::new(), 0));
        let totals: Vec<_> =
            snapshot.lanes().map(|lane| (lane.totals().octets(), lane.totals().octets_reverse())).collect();
        assert!(totals.contains(&(7, 9)), "what passed has passed: {totals:?}");
    }
}

#[test]
fn a_connector_s_own_flow_is_no_connection_and_counts_nowhere() {
    let mut network = Network::new();
    let [_, b] = service(&mut network);
    let own = network.started(RecordKind::Flow, "b:1", "b:0").with(Attribute::Octets, 1_000_000);
    network.report(b, &[own.with(Attribute::Result, "proton:io")]);
    let snapshot = network.snapshot();
    assert_eq!(connections(&snapshot), []);
    assert_eq!(snapshot.lanes().count(), 0);
    assert_eq!(snapshot.services().map(|service| service.total_flows()).sum::<u64>(), 0);
}

#[test]
fn requests_routed_each_by_itself_say_what_their_connection_received() {
    let mut network = Network::with_retention(30);
    let [a, b] = service(&mut network);
    let near = near(&network);
    let request = network.started(RecordKind::Flow, "a:5", "a:2").with(Attribute::Method, "GET");
    let own = network.started(RecordKind::Flow, "b:1", "b:0");
    let answer = network.started(RecordKind::Flow, "b:5", "b:1").with(Attribute::Counterflow, "a:5");
    let answer = answer.with(Attribute::Octets, 500);
    network.report(a, &[near, request]);
    network.report(b, &[answer, own]);
    let whole = [("a:2".to_owned(), Some(7), Some(500))];
    assert_eq!(connections(&network.snapshot()), whole);
    for (source, id) in [(a, "a:5"), (b, "b:5")] {
        let end = change(RecordKind::Flow, id).with(Attribute::EndTime, network.now);
        network.report(source, &[end]);
    }
    network.wait(40);
    let snapshot = network.snapshot();
    assert_eq!(snapshot.flows(FlowKind::Request).count(), 0, "the request has left");
    assert_eq!(connections(&snapshot), whole, "its connection has received it all the same");
}

/// What the connections of the network say of their connector and their server.
fn servers(snapshot: &Snapshot) -> Vec<[Option<String>; 2]> {
    let all = snapshot.flows(FlowKind::Connection).filter_map(Connection::new);
    let server = |connection: &Connection<'_>| {
        connection.server_process().and_then(|process| text(&process, Attribute::Name))
    };
    all.map(|connection| [owned(connection.connector_id()), server(&connection)]).collect()
}

/// Two connectors with a process behind each, a connection, and an answer to a request of it by the one of that number.
fn balanced(
    network: &mut Network,
) -> ([SourceId; 2], impl Fn(&Network, usize, usize) -> [UpdateBuf; 2] + use<>) {
    let [a, b] = service(network);
    let site = network.controller("site");
    let records = [("b:0", "10.0.0.1", "one"), ("b:9", "10.0.0.2", "two")].map(|(id, host, name)| {
        let connector = network.started(RecordKind::Connector, id, "b").with(Attribute::VanAddress, "shop");
        let process = network.started(RecordKind::Process, name, "site").with(Attribute::Name, name);
        let connector = connector.with(Attribute::Protocol, "tcp").with(Attribute::DestHost, host);
        (connector, process.with(Attribute::SourceHost, host))
    });
    let router = network.started(RecordKind::Router, "b", "site");
    network.report(site, &[change(RecordKind::Site, "site").with(Attribute::StartTime, 1)]);
    network.report(b, &[router]);
    for (connector, process) in records {
        network.report(b, &[connector]);
        network.report(site, &[process]);
    }
    for (id, connector) in [("b:1", "b:0"), ("b:11", "b:9")] {
        let own = network.started(RecordKind::Flow, id, connector);
        network.report(b, &[own]);
    }
    let near = near(network);
    network.report(a, &[near]);
    let answered = |network: &Network, number: usize, by: usize| {
        let id = format!("a:{}", 20 + number);
        let request = network.started(RecordKind::Flow, &id, "a:2").with(Attribute::Method, "GET");
        let far = network.started(RecordKind::Flow, &format!("b:{}", 20 + number), ["b:1", "b:11"][by]);
        [request, far.with(Attribute::Counterflow, id)]
    };
    ([a, b], answered)
}

#[test]
fn a_connection_goes_to_the_connector_that_answered_all_of_its_requests() {
    let mut network = Network::with_retention(30);
    let ([a, b], answered) = balanced(&mut network);
    assert_eq!(servers(&network.snapshot()), [[None, None]], "there are two, and none has answered");
    let one = [Some("b:0".to_owned()), Some("one".to_owned())];
    for number in 0..2 {
        let [request, answer] = answered(&network, number, 0);
        network.report(b, &[answer.with(Attribute::EndTime, network.now)]);
        network.report(a, &[request.with(Attribute::EndTime, network.now)]);
        assert_eq!(servers(&network.snapshot()), std::slice::from_ref(&one));
    }
    network.wait(40);
    let snapshot = network.snapshot();
    assert_eq!(snapshot.flows(FlowKind::Request).count(), 0, "the requests have left");
    assert_eq!(servers(&snapshot), [one], "and it went where they went");
}

#[test]
fn a_connection_of_which_several_connectors_answered_requests_goes_to_none_of_them() {
    let mut network = Network::new();
    let ([a, b], answered) = balanced(&mut network);
    for (number, by) in [(0, 0), (1, 1)] {
        let [request, answer] = answered(&network, number, by);
        network.report(a, &[request]);
        network.report(b, &[answer]);
    }
    assert_eq!(servers(&network.snapshot()), [[None, None]]);
    // The router that tried the second one again was answered by the first.
    let again = network.started(RecordKind::Flow, "b:30", "b:1").with(Attribute::Counterflow, "a:21");
    network.wait(1);
    network.report(b, &[again.with(Attribute::StartTime, network.now)]);
    assert_eq!(servers(&network.snapshot()), [[Some("b:0".to_owned()), Some("one".to_owned())]]);
}
