//! Lanes that come, go and turn out to belong elsewhere, and what becomes of what was counted of them.

use vanflow_proto::{Attribute, RecordKind, UpdateBuf};

use super::{
    connections::{change, process, samples, scrape},
    explained::{Followed, components, connection, connector, counts, end, held, now, octets},
    late::{CLIENTS, counters, summed},
};

/// A connection from the first client to one of the two servers: nobody says to which.
fn undecided(number: u64, start: u64, octets: u64) -> UpdateBuf {
    let mut undecided = connection(number, start, octets);
    undecided.attributes.retain(|(code, _)| *code != Attribute::Connector.code());
    undecided
}

fn from(update: UpdateBuf, host: &str) -> UpdateBuf {
    update.with(Attribute::SourceHost, host)
}

fn at(second: u64) -> u64 {
    now(second).as_micros()
}

/// Has the time pass, with somebody who looks every 5 s.
fn pass(network: &mut Followed, seconds: std::ops::Range<u64>) {
    for second in seconds.step_by(5) {
        network.report(second, &[]);
        counts(network);
    }
}

#[test]
fn what_waited_leaves_no_series_where_it_was_not_counted() {
    let mut network = Followed::new(900);
    network.report(1, &[undecided(10, 1, 10)]);
    assert_eq!((counts(&network), held(&network)), (vec![], [0, 1]));
    network.report(2, &[connection(10, 1, 10)]);
    assert_eq!(counts(&network), [("client-1 > server-1".to_owned(), [1.0, 0.0, 10.0])]);
    assert_eq!(held(&network), [1, 2]);
}

#[test]
fn a_connection_that_left_a_lane_and_came_back_hides_none_that_is_new_there() {
    let mut network = Followed::new(900);
    network.report(1, &[undecided(10, 1, 10)]);
    assert_eq!(counts(&network), []);
    network.report(2, &[undecided(11, 2, 100), from(undecided(10, 1, 10), CLIENTS[1].0)]);
    network.report(2, &[undecided(10, 1, 10)]);
    assert_eq!(counts(&network), [], "both wait");
    network.report(16, &[]);
    assert_eq!(counts(&network), [("client-1 > unknown".to_owned(), [1.0, 0.0, 10.0])]);
}

#[test]
fn what_was_counted_as_unknown_until_it_is_known_is_not_counted_again() {
    let mut network = Followed::new(900);
    network.report(1, &[undecided(10, 1, 5)]);
    assert_eq!(counts(&network), []);
    network.report(16, &[]);
    let unknown = |sent| ("client-1 > unknown".to_owned(), [1.0, 0.0, sent]);
    assert_eq!(counts(&network), [unknown(5.0)]);
    network.report(17, &[octets(10, 7)]);
    assert_eq!(counts(&network), [unknown(7.0)]);
    network.report(18, &[connection(10, 1, 9)]);
    assert_eq!(counts(&network), [("client-1 > server-1".to_owned(), [0.0, 0.0, 2.0]), unknown(7.0)]);
}

#[test]
fn a_connection_that_is_closed_elsewhere_and_proves_to_be_open_is_closed_once() {
    // faults 5, 28
    let mut network = Followed::new(900);
    let successor =
        process("n0", "west-1", CLIENTS[0].0, "client-1-new", "client").with(Attribute::StartTime, at(5));
    network.report(1, &[connection(10, 1, 10), connection(11, 6, 100)]);
    counts(&network);
    network.report(7, std::slice::from_ref(&successor));
    counts(&network);
    network.report(8, &[octets(11, 105)]);
    let both = |closed, sent| {
        [
            ("client-1 > server-1".to_owned(), [2.0, closed, 110.0]),
            ("client-1-new > server-1".to_owned(), [0.0, 0.0, sent]),
        ]
    };
    assert_eq!(counts(&network), both(0.0, 5.0));
    network.fixture.publisher.write().source_lost(network.source, now(9), now(9));
    assert_eq!(counts(&network), both(2.0, 5.0));
    network.report_network(10);
    network.report(10, &[successor, connection(10, 1, 10), connection(11, 6, 106)]);
    assert_eq!(counts(&network), both(2.0, 6.0), "no counter falls");
    network.report(31, &[end(10), end(11)]);
    assert_eq!(counts(&network), both(2.0, 6.0));
}

#[test]
fn what_ended_and_left_before_somebody_looked_is_closed() {
    let mut network = Followed::new(60);
    network.report(1, &[connection(10, 1, 10)]);
    assert_eq!(counts(&network), [("client-1 > server-1".to_owned(), [1.0, 0.0, 10.0])]);
    network.report(31, &[end(10)]);
    for second in [100, 200, 300] {
        network.report(second, &[]);
    }
    assert_eq!(counts(&network), [("client-1 > server-1".to_owned(), [1.0, 1.0, 10.0])]);
    assert_eq!(held(&network), [1, 0]);
}

#[test]
fn a_series_goes_with_its_process_though_lanes_of_it_have_gone() {
    let mut network = Followed::new(60);
    network.report(31, &[connection(10, 1, 10), end(10)]);
    pass(&mut network, 31..300);
    assert_eq!(held(&network), [1, 0]);
    network.report(301, &[connection(11, 301, 5)]);
    assert_eq!(counts(&network), [("client-1 > server-1".to_owned(), [2.0, 1.0, 15.0])]);
    network.report(302, &[change(RecordKind::Process, "c0").with(Attribute::Name, "renamed")]);
    assert_eq!(counts(&network), [("renamed > server-1".to_owned(), [2.0, 1.0, 15.0])]);
    assert_eq!(held(&network), [1, 1]);
}

#[test]
fn a_series_goes_with_its_process_though_a_lane_of_it_has_no_connection() {
    let mut network = Followed::new(60);
    let other = connector("e:3", "10.0.0.2");
    let open = connection(11, 1, 5).with(Attribute::Connector, "e:3");
    network.report(31, &[other, connection(10, 1, 10), end(10), open]);
    pass(&mut network, 31..100);
    assert_eq!(held(&network), [1, 2]);
    network.report(101, &[change(RecordKind::Process, "c0").with(Attribute::Name, "renamed")]);
    assert_eq!(counts(&network), [("renamed > server-1".to_owned(), [2.0, 1.0, 15.0])]);
}

#[test]
fn a_series_ends_with_a_process_of_it_and_with_the_site_of_one() {
    for (kind, id) in [(RecordKind::Process, "c0"), (RecordKind::Site, "west-1")] {
        let mut network = Followed::new(60);
        network.report(31, &[connection(10, 1, 10), end(10)]);
        pass(&mut network, 31..300);
        assert_eq!(held(&network), [1, 0]);
        network.report(301, &[change(kind, id).with(Attribute::EndTime, at(301))]);
        assert_eq!(held(&network), [0, 0], "{id}");
    }
}

#[test]
fn a_process_that_ended_is_named_for_as_long_as_a_connection_of_it_is_there() {
    let mut network = Followed::new(60);
    network.report(1, &[connection(10, 1, 10)]);
    assert_eq!(counts(&network), [("client-1 > server-1".to_owned(), [1.0, 0.0, 10.0])]);
    network.report(2, &[change(RecordKind::Process, "c0").with(Attribute::EndTime, at(2))]);
    network.report(3, &[change(RecordKind::Process, "s1").with(Attribute::Name, "renamed")]);
    pass(&mut network, 3..200);
    assert_eq!(counts(&network), [("client-1 > server-1".to_owned(), [1.0, 0.0, 10.0])]);
}

#[test]
fn what_waits_while_its_lane_goes_over_is_opened_and_closed_where_that_went() {
    let mut network = components();
    network.report(0, &[connector("e:2", "10.0.0.3")]);
    let second = |number, start, octets| from(undecided(number, start, octets), CLIENTS[1].0);
    network.report(1, &[undecided(10, 1, 10), second(11, 1, 100)]);
    assert_eq!(counts(&network), []);
    network.report(17, &[second(12, 17, 1000)]);
    assert_eq!(counts(&network), [("client > unknown".to_owned(), [2.0, 0.0, 110.0])]);
    network.report(18, &[change(RecordKind::Process, "c1").with(Attribute::Group, "batch")]);
    counts(&network);
    network.report(33, &[]);
    let both = |[old, new]: [f64; 2]| {
        [
            ("batch > unknown".to_owned(), [1.0, new, 1000.0]),
            ("client > unknown".to_owned(), [2.0, old, 110.0]),
        ]
    };
    assert_eq!(counts(&network), both([0.0, 0.0]));
    network.report(34, &[end(12)]);
    assert_eq!(counts(&network), both([0.0, 1.0]));
    network.report(35, &[end(11)]);
    assert_eq!(counts(&network), both([1.0, 1.0]));
}

#[test]
fn what_was_opened_elsewhere_is_closed_there_though_the_series_of_its_lane_went_into_another() {
    let mut network = components();
    let [second, third] = [(11, 100, CLIENTS[1].0), (12, 1000, "10.0.0.9")]
        .map(|(number, octets, host)| from(connection(number, 1, octets), host));
    network.report(1, &[connection(10, 1, 10), second, third]);
    for (second, group) in [(2, "batch"), (3, "other")] {
        counts(&network);
        network.report(second, &[change(RecordKind::Process, "c1").with(Attribute::Group, group)]);
    }
    let both = |closed| {
        [
            ("client > server".to_owned(), [2.0, closed, 110.0]),
            ("other > server".to_owned(), [1.0, 0.0, 1000.0]),
        ]
    };
    assert_eq!(counts(&network), both(0.0));
    assert_eq!(held(&network)[0], 2);
    network.report(4, &[end(11)]);
    assert_eq!(counts(&network), both(1.0));
}

#[test]
fn what_a_connection_grew_by_is_counted_when_it_returns_to_a_lane_that_had_gone() {
    // faults 28
    for (new, names) in [
        (connection as fn(u64, u64, u64) -> UpdateBuf, "client-1 > server-1"),
        (undecided, "client-1 > unknown"),
    ] {
        let mut network = Followed::new(60);
        network.report(1, &[new(10, 1, 10)]);
        pass(&mut network, 1..20);
        assert_eq!(counts(&network), [(names.to_owned(), [1.0, 0.0, 10.0])]);
        network.fixture.publisher.write().source_lost(network.source, now(20), now(20));
        for second in (20..300).step_by(10) {
            while network.fixture.publisher.write().advance(now(second)) {}
            counts(&network);
        }
        assert_eq!(held(&network)[1], 0);
        network.report_network(300);
        network.report(300, &[new(10, 1, 50)]);
        pass(&mut network, 300..330);
        assert_eq!(counts(&network), [(names.to_owned(), [0.0, 0.0, 40.0])]);
    }
}

#[test]
fn what_waits_when_a_collector_stops_is_counted_by_the_next_one_and_what_was_counted_is_not_again() {
    let mut before = Followed::new(900);
    before.report(1, &[undecided(10, 1, 10)]);
    assert_eq!(counts(&before), []);
    before.report(16, &[undecided(11, 16, 100)]);
    assert_eq!(counts(&before), [("client-1 > unknown".to_owned(), [1.0, 0.0, 10.0])]);
    let octets = before.fixture.api.save_counters();
    let mut after = Followed::new(900);
    after.fixture.api.restore_counters(&octets).unwrap();
    after.report(17, &[undecided(10, 1, 11), undecided(11, 16, 100)]);
    assert_eq!(counts(&after), []);
    after.report(32, &[]);
    assert_eq!(counts(&after), [("client-1 > unknown".to_owned(), [2.0, 0.0, 111.0])]);
}

#[test]
fn what_returned_before_a_collector_stopped_is_not_counted_again_by_the_next_one() {
    // faults 28
    let mut before = Followed::new(60);
    let returning = |octets| {
        let connection = connection(10, 1, octets).with(Attribute::OctetsReverse, 2 * octets);
        let connection = connection.with(Attribute::Latency, 700).with(Attribute::ProcessLatency, 300);
        connection.with(Attribute::ErrorConnectorSide, "connection refused")
    };
    let half = connection(11, 1, 0).with(Attribute::Latency, 700);
    before.report(1, &[returning(10), half.clone()]);
    counts(&before);
    before.fixture.publisher.write().source_lost(before.source, now(2), now(2));
    for second in (20..300).step_by(10) {
        while before.fixture.publisher.write().advance(now(second)) {}
        counts(&before);
    }
    before.report_network(300);
    before.report(300, &[returning(50), half.clone()]);
    let grown = |octets| [("client-1 > server-1".to_owned(), [0.0, 0.0, octets])];
    assert_eq!(counts(&before), grown(40.0));
    let mut after = Followed::new(60);
    after.fixture.api.restore_counters(&before.fixture.api.save_counters()).unwrap();
    let whole = half.with(Attribute::ProcessLatency, 300);
    after.report(301, &[returning(53), end(10), whole]);
    assert_eq!(counts(&after), grown(43.0));
    let others = summed(&counters(&after.fixture), str::to_owned);
    let [_, _, _, received, _, latencies] = others["client-1 > server-1"];
    assert_eq!([received, latencies], [86.0, 1.0], "the latencies of one are both known only now");
    let failed = samples(&scrape(&after.fixture), "skupper_connections_failed_total");
    assert!(failed.iter().all(|(_, count)| *count == 0.0), "{failed:?}");
    let observed = samples(&scrape(&after.fixture), "skupper_connection_latency_seconds_count");
    assert_eq!(observed.iter().map(|(_, count)| count).sum::<f64>(), 1.0, "{observed:?}");
}
