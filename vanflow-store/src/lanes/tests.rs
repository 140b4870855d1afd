//! What lanes take is counted, and given back with them.

use super::*;
use crate::merge::Limits;

struct World {
    lanes: Lanes,
    vocabulary: Vocabulary,
    parent: Key,
}

impl World {
    fn new() -> Self {
        let mut vocabulary = Vocabulary::new(Limits { attributes: 64, text: 4096, id: 512 });
        let parent = vocabulary.scopes.acquire("west:1").expect("there is room");
        Self { lanes: Lanes::default(), vocabulary, parent }
    }

    fn lane(&mut self, host: &str) -> u32 {
        let host = self.vocabulary.texts.acquire(host);
        let path = Path { parent: self.parent, connector: Key::NONE, host };
        let lane = self.lanes.find_or_insert(LaneKey { path, ends: Ends::NONE }, &mut self.vocabulary);
        self.lanes.route(path, Steady::ALWAYS, lane);
        lane
    }

    /// What lanes hold beside their rows, by a look at each.
    fn beside(&self) -> usize {
        let distribution = |distribution: &Distribution| match distribution.counts().count() {
            0 | 1 => 0,
            many => many * size_of::<(u8, u64)>(),
        };
        let of = |row: &LaneRow| {
            let latencies = row.latencies.as_deref().map_or(0, |latencies| {
                size_of::<Latencies>()
                    + distribution(&latencies.listener_side)
                    + distribution(&latencies.connector_side)
            });
            let requests = row.requests.as_deref().map_or(0, |requests| {
                requests.kept.len() * size_of::<KeptRequests>()
                    + requests.ended.len() * size_of::<EndedRequests>()
                    + distribution(&requests.latency)
            });
            latencies + requests + row.failures.as_ref().map_or(0, |_| size_of::<Failures>())
        };
        (0..self.lanes.rows.len()).filter_map(|lane| self.lanes.rows.get(lane)).map(of).sum()
    }

    fn check(&self) {
        assert_eq!(self.lanes.beside, self.beside());
    }
}

fn connection(latency: u64, failure: Option<FailureReason>) -> ConnectionShare {
    ConnectionShare {
        is_reported: true,
        is_live: true,
        start: Some(1),
        each_latency: [Some(latency), Some(latency / 2)],
        latencies: Some((latency, latency / 2)),
        failures: [failure, None],
        ..ConnectionShare::default()
    }
}

#[test]
fn what_lanes_hold_is_counted_and_given_back_with_them() {
    let mut world = World::new();
    assert_eq!(world.lanes.octets(), 0);
    let lanes = ["10.0.0.1", "10.0.0.2"].map(|host| world.lane(host));
    assert_ne!(lanes[0], lanes[1]);
    assert_eq!(world.lane("10.0.0.1"), lanes[0]);
    let bare = world.lanes.octets();
    // Each has a row, an entry by its key and one by its path; they depend on two hosts, and both of them on their parent
    // and its connectors.
    let each = size_of::<LaneRow>() + 2 * size_of::<u32>() + 2 * size_of::<(Path, Route)>();
    let dependence = 2 * size_of::<(Dependence, Dependents)>();
    assert_eq!(bare, 2 * each + 4 * dependence + 4 * IN_SET);
    let nothing = ConnectionShare::default();
    let untimed = ConnectionShare { is_reported: true, is_live: true, ..nothing };
    world.lanes.exchange(lanes[0], &nothing, &untimed);
    let row = world.lanes.row(lanes[0]);
    assert!(row.latencies.is_none() && row.failures.is_none(), "there are none");
    world.lanes.note_drained(lanes[0], 100);
    assert!(world.lanes.drained.is_empty(), "it has a connection");
    world.lanes.forget(lanes[0], &untimed);
    let mut shares = Vec::new();
    for (number, lane) in [(1, lanes[0]), (2, lanes[0]), (3, lanes[1]), (90, lanes[0]), (4000, lanes[0])] {
        let failure = (number == 2).then_some(FailureReason::ALL[0]);
        let share = connection(number * 1000, failure);
        world.lanes.exchange(lane, &nothing, &share);
        world.check();
        shares.push((lane, share));
    }
    assert_eq!(world.lanes.octets(), bare + world.beside());
    let request = |protocol: &str, class, latency, world: &mut World| RequestShare {
        is_reported: true,
        is_live: false,
        start: Some(1),
        end: Some(2),
        protocol: world.vocabulary.texts.acquire(protocol),
        method: world.vocabulary.texts.acquire("GET"),
        class: Some(class),
        latency: Some(latency),
    };
    let mut requests = Vec::new();
    for (protocol, class, latency) in [("HTTP/1.1", 2, 5), ("HTTP/1.1", 5, 9_000), ("HTTP/2", 2, 70_000)] {
        let share = request(protocol, class, latency, &mut world);
        let before = world.lanes.beside;
        world.lanes.exchange_request(lanes[0], &RequestShare::default(), &share, &mut world.vocabulary);
        assert!(world.lanes.beside > before);
        world.check();
        requests.push(share);
    }
    for share in &requests {
        world.lanes.forget_request(lanes[0], share, &mut world.vocabulary);
        world.check();
    }
    for (lane, share) in &shares {
        world.lanes.forget(*lane, share);
    }
    for lane in lanes {
        world.lanes.note_drained(lane, 100);
        world.lanes.note_drained(lane, 101);
    }
    assert_eq!(world.lanes.drained.len(), 2, "each is noted once");
    assert_eq!(world.lanes.octets(), bare + world.beside() + 2 * size_of::<(u32, u32)>());
    assert!(!world.lanes.free_drained(159, &mut world.vocabulary), "they are due a minute after");
    assert_eq!(world.lanes.rows.len() - world.lanes.free.len(), 2);
    world.lanes.free_drained(160, &mut world.vocabulary);
    assert_eq!(world.lanes.rows.len() - world.lanes.free.len(), 2, "they were used in the meantime");
    let keys = lanes.map(|lane| world.lanes.row(lane).key);
    world.lanes.free_drained(220, &mut world.vocabulary);
    assert_eq!((world.lanes.octets(), world.lanes.beside), (0, 0));
    assert_eq!(world.lanes.free.len(), 2);
    let is_found = |(lane, key)| {
        let by_key = &world.lanes.by_key;
        by_key.find(by_key.hash(key), |&other| other == lane).is_some()
    };
    assert!(!lanes.into_iter().zip(keys).any(is_found), "nor is it by their keys");
    // Their numbers mean others from now on.
    let again = world.lane("10.0.0.3");
    assert!(lanes.contains(&again));
    assert_eq!(world.lanes.row(again).generation, 1);
}

#[test]
fn no_more_lanes_go_at_once_than_a_moment_has_time_for() {
    let mut world = World::new();
    for number in 0..FREED_AT_ONCE + 1 {
        let lane = world.lane(&format!("host-{number}"));
        world.lanes.note_drained(lane, 0);
    }
    assert!(world.lanes.free_drained(DRAINED_SECONDS, &mut world.vocabulary), "there may be more");
    assert_eq!(world.lanes.rows.len() - world.lanes.free.len(), 1);
    assert!(!world.lanes.free_drained(DRAINED_SECONDS, &mut world.vocabulary));
    assert_eq!(world.lanes.octets(), 0);
}

#[test]
fn requests_of_more_kinds_than_a_lane_distinguishes_are_those_of_which_nothing_is_known() {
    let mut world = World::new();
    let lane = world.lane("10.0.0.1");
    for number in 0..MOST_KINDS + 9 {
        let share = RequestShare {
            is_reported: true,
            protocol: world.vocabulary.texts.acquire(&format!("protocol-{number}")),
            method: world.vocabulary.texts.acquire(&format!("method-{number}")),
            ..RequestShare::default()
        };
        world.lanes.exchange_request(lane, &RequestShare::default(), &share, &mut world.vocabulary);
        world.check();
        // It may be taken back from where it was counted.
        if number % 2 == 0 {
            world.lanes.exchange_request(lane, &share, &RequestShare::default(), &mut world.vocabulary);
            world.lanes.exchange_request(lane, &RequestShare::default(), &share, &mut world.vocabulary);
        }
    }
    let requests = world.lanes.row(lane).requests.clone().expect("there are some");
    assert_eq!((requests.kept.len(), requests.ended.len()), (MOST_KINDS + 1, MOST_KINDS + 1));
    let of_none = |protocol: Symbol| protocol.is_none();
    let kept = requests.kept.iter().find(|kept| of_none(kept.protocol)).expect("it is there");
    assert_eq!((kept.retained, kept.live), (9, 0));
    let ended = requests.ended.iter().find(|ended| of_none(ended.protocol)).expect("it is there");
    assert_eq!(ended.count, 9);
}

#[test]
fn a_value_at_a_bound_is_in_the_range_below() {
    let mut buckets = Buckets::<{ LATENCY_BOUNDS.len() + 1 }>::default();
    for value in [1_000, 1_001, 2_000] {
        buckets.add(&LATENCY_BOUNDS, value);
    }
    assert_eq!((buckets.counts[..3].to_vec(), buckets.sum), (vec![1, 2, 0], 4_001));
    for value in [1_000, 2_000] {
        buckets.take(&LATENCY_BOUNDS, value);
    }
    assert_eq!((buckets.counts[..3].to_vec(), buckets.sum), (vec![0, 1, 0], 1_001));
}

#[test]
fn what_is_live_or_has_failed_and_leaves_is_no_more_among_those() {
    let mut world = World::new();
    let lane = world.lane("10.0.0.1");
    let (none, no_request) = (ConnectionShare::default(), RequestShare::default());
    let share = ConnectionShare { has_failed: true, ..connection(1, None) };
    let failed = RequestShare { is_reported: true, class: Some(5), ..no_request };
    let requests = [RequestShare { is_live: true, class: None, ..failed }, failed];
    let counts = |world: &World| {
        let row = world.lanes.row(lane);
        let kept = &row.requests.as_deref().expect("there was one").kept[0];
        [row.retained, row.live, row.failed, kept.retained, kept.live, kept.failed]
    };
    let come = |world: &mut World| {
        world.lanes.exchange(lane, &none, &share);
        for request in &requests {
            world.lanes.exchange_request(lane, &no_request, request, &mut world.vocabulary);
        }
        assert_eq!(counts(world), [1, 1, 1, 2, 1, 1]);
    };
    come(&mut world);
    for request in &requests {
        world.lanes.forget_request(lane, request, &mut world.vocabulary);
    }
    world.lanes.forget(lane, &share);
    assert_eq!(counts(&world), [0; 6]);
    come(&mut world);
    for request in &requests {
        world.lanes.exchange_request(lane, request, &no_request, &mut world.vocabulary);
    }
    world.lanes.exchange(lane, &share, &none);
    assert_eq!(counts(&world), [0; 6]);
}

#[test]
fn requests_of_each_method_and_class_are_counted_by_themselves() {
    let mut world = World::new();
    let lane = world.lane("10.0.0.1");
    let texts = ["HTTP/1.1", "HTTP/2", "GET", "PUT"].map(|text| world.vocabulary.texts.acquire(text));
    let [old, new, get, put] = texts;
    let kinds = [(old, get, 2), (old, get, 5), (old, put, 2), (new, get, 2)];
    for (protocol, method, class) in kinds {
        let class = Some(class);
        let share = RequestShare { is_reported: true, protocol, method, class, ..RequestShare::default() };
        world.lanes.exchange_request(lane, &RequestShare::default(), &share, &mut world.vocabulary);
    }
    let requests = world.lanes.row(lane).requests.as_deref().expect("there are some");
    let counts = kinds.map(|(protocol, method, class)| {
        let is_same = |ended: &&EndedRequests| {
            (ended.protocol, ended.method, ended.class) == (protocol, method, Some(class))
        };
        requests.ended.iter().filter(is_same).map(|ended| ended.count).sum::<u64>()
    });
    assert_eq!(counts, [1; 4]);
}

#[test]
fn a_bound_is_looked_at_anew_after_as_many_left_as_there_are_since_one_that_had_it() {
    let mut world = World::new();
    let lane = world.lane("10.0.0.1");
    let shares = [1, 2, 3, 4, 5].map(|octets| ConnectionShare {
        octets,
        octets_reverse: 10 * octets,
        ..connection(1, None)
    });
    shares.iter().for_each(|share| world.lanes.exchange(lane, &ConnectionShare::default(), share));
    let mut leave = |number: usize| {
        world.lanes.forget(lane, &shares[number]);
        (world.lanes.row(lane).most.left, world.lanes.is_most_stale(lane))
    };
    assert_eq!(leave(0), (0, false), "the others have more");
    assert_eq!(leave(4), (1, false));
    assert_eq!(leave(1), (2, false), "as many are there");
    assert_eq!(leave(2), (3, true));
}

#[test]
fn a_span_is_stale_only_where_what_defined_it_has_changed() {
    let mut span = Span::default();
    span.exchange((None, None), (Some(1), Some(10)));
    let whole = span;
    span.exchange((None, None), (Some(3), Some(5)));
    span.exchange((Some(3), Some(5)), (Some(4), Some(6)));
    span.exchange((Some(4), Some(6)), (None, None));
    assert_eq!(span, whole, "there is another before and after it");
    span.exchange((Some(1), Some(10)), (Some(2), Some(9)));
    assert_eq!(span, Span { is_start_stale: true, is_end_stale: true, ..whole });
    span.settle();
    assert_eq!(span, Span::default());
}
