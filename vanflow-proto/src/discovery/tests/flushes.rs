//! When sources are asked for all that they have.

use super::*;

#[test]
fn each_type_of_source_has_its_addresses() {
    let mut van = Van::new();
    van.beacon(SourceType::Router, "a:0");
    assert_eq!(
        van.outputs(),
        ["seen ROUTER a:0", "listen mc/sfe.a:0", "listen mc/sfe.a:0.flows", "listen mc/sfe.a:0.logs"]
    );
    van.beacon(SourceType::Controller, "c");
    assert_eq!(van.outputs(), ["seen CONTROLLER c", "listen mc/sfe.c", "listen mc/sfe.c.heartbeats"]);
    van.beacon(SourceType::Other("PROXY"), "p");
    assert_eq!(van.outputs(), ["seen PROXY p", "listen mc/sfe.p"]);
    van.beacon(SourceType::Router, "a:0");
    assert!(van.outputs().is_empty(), "a known source is not news");
}

#[test]
fn a_source_is_flushed_at_its_first_message() {
    // faults 1
    let mut van = Van::new();
    van.beacon(SourceType::Router, "a:0");
    van.beacon(SourceType::Controller, "c");
    van.outputs();
    assert!(van.pass(4.0, &[]).is_empty());
    van.numbered("mc/sfe.a:0.logs", 3);
    assert!(van.outputs().is_empty(), "each suffix is a route of its own");
    van.heartbeat("a:0");
    assert_eq!(van.outputs(), ["flush a:0"]);
    van.heartbeat("c");
    assert_eq!(van.outputs(), ["flush c"]);
    van.heartbeat("a:0");
    assert!(van.outputs().is_empty());
}

#[test]
fn a_source_that_says_nothing_is_flushed_after_5_seconds() {
    let mut van = Van::new();
    van.beacon(SourceType::Router, "a:0");
    van.outputs();
    assert!(van.pass(4.9, &[]).is_empty());
    assert_eq!(van.pass(0.1, &[]), ["flush a:0"]);
}

#[test]
fn a_collector_is_never_flushed() {
    let mut van = Van::new();
    van.beacon(SourceType::Collector, "o");
    assert_eq!(van.outputs(), ["seen COLLECTOR o", "listen mc/sfe.o"]);
    van.discovery.incomplete(van.now, "o", true);
    assert!(van.pass(29.0, &[]).is_empty());
}

#[test]
fn a_flush_without_an_answer_is_repeated_until_there_is_one() {
    // faults 1
    let mut van = Van::new();
    van.beacon(SourceType::Router, "a:0");
    van.outputs();
    let flushes = van.flushes(300, FlushOutcome::Accepted);
    assert!(flushes.len() > 7 && double(&flushes), "{flushes:?}");
    // Counters that go on are no answer.
    van.records("mc/sfe.a:0", UpdateBuf::new(RecordKind::Link, "a:1").with(Attribute::Octets, 7));
    assert!(!van.flushes(80, FlushOutcome::Accepted).is_empty());
    van.router_record("a:0");
    assert_eq!(van.pass(300.0, &["a:0"]), ["answered a:0", "settled a:0"]);
}

#[test]
fn only_what_a_source_reports_of_itself_is_an_answer() {
    // faults 1 and 29
    let old = at(1.0);
    let mut van = Van::new();
    van.beacon(SourceType::Router, "a:0");
    van.beacon(SourceType::Controller, "c");
    van.heartbeat("a:0");
    van.records("mc/sfe.c.heartbeats", UpdateBuf::new(RecordKind::Site, "another"));
    van.outputs();
    for id in ["a:0", "c"] {
        van.accepted(id);
    }
    let others = [
        ("mc/sfe.a:0", RecordKind::Link, "a:1"),
        ("mc/sfe.a:0", RecordKind::Router, "b:0"),
        ("mc/sfe.a:0", RecordKind::Site, "a:0"),
        ("mc/sfe.c", RecordKind::Site, "another"),
        ("mc/sfe.c", RecordKind::Process, "c"),
    ];
    for (link, kind, id) in others {
        van.records(link, UpdateBuf::new(kind, id).with(Attribute::StartTime, old));
    }
    assert_eq!(van.outputs(), Vec::<String>::new());
    van.router_record("a:0");
    assert_eq!(van.outputs(), ["answered a:0"]);
    van.records("mc/sfe.c", UpdateBuf::new(RecordKind::Site, "c").with(Attribute::StartTime, old));
    assert_eq!(van.outputs(), ["answered c"]);
}

#[test]
fn a_source_that_is_known_by_halves_is_flushed_until_it_is_whole() {
    // faults 1
    let mut van = Van::settled();
    van.discovery.incomplete(van.now, "a:0", true);
    let start = van.now;
    let mut flushes = vec![0.0];
    for _ in 0..3000 {
        if van.pass(0.1, &["a:0"]).contains(&"flush a:0".into()) {
            flushes.push(van.now.micros_since(start) as f64 / 1e6);
            van.accepted("a:0");
            van.router_record("a:0");
        }
    }
    assert!(flushes.len() > 6 && double(&flushes), "{flushes:?}");
    van.discovery.incomplete(van.now, "a:0", false);
    assert!(van.pass(300.0, &["a:0"]).is_empty());
    // The next time it starts over.
    van.discovery.incomplete(van.now, "a:0", true);
    assert_eq!(van.pass(2.6, &["a:0"]), ["flush a:0"]);
}

#[test]
fn a_flush_is_not_put_off_by_more_that_is_known_by_halves() {
    let mut van = Van::settled();
    let mut outputs = Vec::new();
    for _ in 0..30 {
        van.discovery.incomplete(van.now, "a:0", true);
        outputs.extend(van.pass(0.1, &["a:0"]));
    }
    assert_eq!(outputs, ["flush a:0"]);
}

#[test]
fn a_source_that_becomes_whole_by_itself_is_not_flushed() {
    let mut van = Van::settled();
    van.discovery.incomplete(van.now, "a:0", true);
    assert!(van.pass(1.0, &["a:0"]).is_empty());
    van.discovery.incomplete(van.now, "a:0", false);
    assert!(van.pass(100.0, &["a:0"]).is_empty());
}

#[test]
fn a_refused_flush_is_sent_again() {
    // faults 2
    let mut van = Van::new();
    van.beacon(SourceType::Router, "a:0");
    van.outputs();
    let flushes = van.flushes(300, FlushOutcome::Refused);
    assert!(flushes.len() > 7 && double(&flushes), "{flushes:?}");
    assert_eq!(van.discovery.retried(), flushes.len() as u64 - 1);
}

#[test]
fn a_flush_of_which_nothing_is_heard_is_sent_again() {
    // faults 2
    let mut van = Van::new();
    van.beacon(SourceType::Router, "a:0");
    van.heartbeat("a:0");
    van.outputs();
    assert!(van.pass(30.0, &["a:0"]).is_empty());
    assert_eq!(van.pass(2.6, &["a:0"]), ["flush a:0"]);
}

#[test]
fn a_failed_link_is_tried_again_and_what_was_missed_is_asked_for() {
    // faults 17
    let mut van = Van::settled();
    let start = van.now;
    let mut tries = vec![0.0];
    van.discovery.link_failed(van.now, "mc/sfe.a:0.flows");
    for _ in 0..3000 {
        let outputs = van.pass(0.1, &["a:0"]);
        if outputs.contains(&"listen mc/sfe.a:0.flows".into()) {
            tries.push(van.now.micros_since(start) as f64 / 1e6);
            van.discovery.link_failed(van.now, "mc/sfe.a:0.flows");
        }
        if outputs.contains(&"flush a:0".into()) {
            van.accepted("a:0");
            van.router_record("a:0");
        }
    }
    assert!(tries.len() > 6 && double(&tries), "{tries:?}");
    let outputs = van.pass(80.0, &["a:0"]);
    assert!(outputs.contains(&"flush a:0".into()), "{outputs:?}");
    van.discovery.link_failed(van.now, BEACON_ADDRESS);
    let outputs = van.pass(3.0, &["a:0"]);
    assert!(outputs.contains(&"listen mc/sfe.all".into()), "{outputs:?}");
}

#[test]
fn heartbeats_that_come_back_after_a_gap_bring_a_flush() {
    // faults 27
    let mut van = Van::settled();
    van.beacon(SourceType::Controller, "c");
    van.heartbeat("c");
    assert_eq!(van.outputs().last().map(String::as_str), Some("flush c"));
    van.accepted("c");
    let site = UpdateBuf::new(RecordKind::Site, "c").with(Attribute::StartTime, at(1.0));
    van.records("mc/sfe.c", site.clone());
    assert_eq!(van.pass(12.0, &["a:0", "c"]), ["answered c", "settled c"]);
    assert!(van.pass(4.9, &["a:0"]).is_empty());
    van.heartbeat("c");
    assert!(van.outputs().is_empty(), "a heartbeat may be lost");
    assert!(van.pass(6.9, &["c"]).is_empty());
    van.heartbeat("a:0");
    assert!(
        van.outputs().is_empty(),
        "two of a router may be, which shows by other means that it is the same"
    );
    assert!(van.pass(7.0, &["a:0"]).is_empty());
    van.beacon(SourceType::Controller, "c");
    assert!(van.outputs().is_empty(), "a beacon does not show that its receivers are known");
    van.heartbeat("c");
    assert_eq!(van.outputs(), ["epoch c", "flush c"]);
    assert!(van.pass(1.0, &["a:0", "c"]).is_empty());
    van.accepted("c");
    van.records("mc/sfe.c", site);
    assert_eq!(van.pass(12.0, &["a:0", "c"]), ["answered c", "settled c"]);
}

#[test]
fn time_in_which_nobody_looked_is_no_gap() {
    // faults 27, 18
    let mut van = Van::settled();
    van.now = van.now.plus_micros(20 * SECOND);
    van.discovery.resumed(van.now);
    van.heartbeat("a:0");
    assert!(van.outputs().is_empty());
    van.discovery.detached(van.now);
    van.now = van.now.plus_micros(20 * SECOND);
    van.discovery.attached(van.now);
    let epochs = |van: &mut Van| van.outputs().iter().filter(|output| *output == "epoch a:0").count();
    van.heartbeat("a:0");
    assert_eq!(epochs(&mut van), 1, "that of the connection");
}

#[test]
fn a_pause_of_a_source_without_heartbeats_is_no_gap() {
    // faults 27
    let mut van = Van::new();
    van.beacon(SourceType::Other("PROXY"), "p");
    van.heartbeat("p");
    van.outputs();
    van.pass(20.0, &[]);
    van.heartbeat("p");
    assert!(!van.outputs().contains(&"epoch p".to_owned()));
}

#[test]
fn a_flush_is_not_lost_because_the_answer_to_it_settles() {
    // faults 2
    let mut van = Van::asked_again();
    van.router_record("a:0");
    let outputs = van.pass(29.0, &["a:0"]);
    assert!(outputs.contains(&"settled a:0 but for flows".into()), "{outputs:?}");
    assert!(!outputs.contains(&"flush a:0".into()), "nothing was heard of it yet: {outputs:?}");
}

#[test]
fn retries_are_spread_over_half_of_their_wait() {
    let mut random = 7;
    let mut next = |wait: u64| next_retry(&mut { wait }, &Settings::default(), &mut random);
    for wait in [2_000_000_u64, 60_000_000] {
        let waits: Vec<_> = (0..1000).map(|_| next(wait)).collect();
        let part = |portion: f64| (wait as f64 * portion) as u64;
        assert!(waits.iter().all(|one| (part(0.75)..=part(1.25)).contains(one)));
        for eighth in [0.75, 0.875, 1.0, 1.125] {
            let range = part(eighth)..part(eighth + 0.125);
            let many = waits.iter().filter(|one| range.contains(one)).count();
            assert!((150..350).contains(&many), "{many} of 1000 in {range:?}");
        }
    }
}
