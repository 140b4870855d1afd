//! When what a source has not repeated has ended.

use super::*;

#[test]
fn after_a_reconnect_every_known_source_is_flushed_and_settles() {
    // faults 3
    let mut van = Van::settled();
    van.beacon(SourceType::Controller, "c");
    van.heartbeat("c");
    van.outputs();
    van.discovery.detached(van.now);
    van.now = van.now.plus_micros(500_000);
    van.discovery.attached(van.now);
    assert_eq!(
        van.outputs(),
        [
            "listen mc/sfe.all",
            "epoch a:0",
            "listen mc/sfe.a:0",
            "listen mc/sfe.a:0.flows",
            "listen mc/sfe.a:0.logs",
            "epoch c",
            "listen mc/sfe.c",
            "listen mc/sfe.c.heartbeats"
        ]
    );
    van.heartbeat("a:0");
    van.heartbeat("c");
    assert_eq!(van.outputs(), ["flush a:0", "flush c"]);
    van.accepted("a:0");
    van.accepted("c");
    van.router_record("a:0");
    van.flow_record("a:0", at(1.0));
    let site = UpdateBuf::new(RecordKind::Site, "c").with(Attribute::StartTime, at(1.0));
    assert_eq!(van.pass(1.0, &["a:0", "c"]), ["answered a:0"]);
    van.records("mc/sfe.c", site);
    assert_eq!(van.pass(8.9, &["a:0", "c"]), ["answered c"], "not before the grace time is over");
    assert_eq!(van.pass(2.0, &["a:0", "c"]), ["settled a:0", "settled c"]);
    assert!(van.pass(100.0, &["a:0", "c"]).is_empty());
}

#[test]
fn a_source_whose_answer_was_lost_does_not_settle() {
    // faults 1 and 3: what it did not repeat is not gone, it was not asked successfully
    let mut van = Van::settled();
    van.discovery.detached(van.now);
    van.discovery.attached(van.now);
    // An answer to somebody else's FLUSH, of which we may have missed the start.
    van.router_record("a:0");
    van.accepted("a:0");
    for output in van.pass(29.0, &["a:0"]) {
        assert_ne!(output, "settled a:0");
    }
}

#[test]
fn flows_settle_only_when_they_were_answered() {
    // faults 1 and 3: each suffix is a route of its own, and the answer on one can be lost
    let mut van = Van::asked_again();
    van.accepted("a:0");
    van.router_record("a:0");
    let mut outputs = Vec::new();
    for _ in 0..25 {
        let more = van.pass(1.0, &["a:0"]);
        if more.contains(&"flush a:0".into()) {
            van.accepted("a:0");
            van.router_record("a:0");
        }
        outputs.extend(more);
    }
    outputs.retain(|output| output != "flush a:0");
    assert_eq!(outputs, ["answered a:0", "settled a:0 but for flows"]);
    // A flow that has just begun comes without being asked for, and so does the end of one.
    van.flow_record("a:0", van.now.minus_micros(1_000_000));
    let ended = UpdateBuf::new(RecordKind::BiflowApp, "a:8");
    let ended = ended.with(Attribute::StartTime, at(1.0)).with(Attribute::EndTime, at(2.0));
    van.records("mc/sfe.a:0.flows", ended);
    assert!(!van.pass(12.0, &["a:0"]).contains(&"settled a:0".into()));
    van.flow_record("a:0", at(1.0));
    assert!(van.pass(12.0, &["a:0"]).contains(&"settled a:0".into()));
}

#[test]
fn a_flow_that_began_just_before_a_flush_is_no_answer_to_it() {
    // faults 1 and 3: routers report it within two seconds without being asked
    for (seconds, is_answer) in [(1.5, false), (2.5, true)] {
        let mut van = Van::asked_again();
        van.accepted("a:0");
        van.router_record("a:0");
        van.flow_record("a:0", van.now.minus_micros((seconds * 1e6) as u64));
        let outputs = van.pass(12.0, &["a:0"]);
        assert_eq!(outputs.contains(&"settled a:0".into()), is_answer, "{seconds}: {outputs:?}");
    }
}

#[test]
fn a_flow_is_as_old_as_the_clock_of_its_router_says() {
    // faults 1 and 20
    for (seconds, is_answer) in [(99.0, false), (97.0, true)] {
        let mut van = Van::asked_again();
        van.accepted("a:0");
        let clock = van.now.plus_micros(100_000_000);
        let encoder = Encoder::new(Dialect::Controller);
        let bytes = encoder.heartbeat("mc/sfe.a:0", 0, &Heartbeat { id: "a:0", now: clock });
        van.received("mc/sfe.a:0", &bytes);
        van.router_record("a:0");
        van.flow_record("a:0", van.now.plus_micros((seconds * 1e6) as u64));
        let outputs = van.pass(12.0, &[]);
        assert_eq!(outputs.contains(&"settled a:0".into()), is_answer, "{seconds}: {outputs:?}");
    }
}

#[test]
fn a_router_that_repeats_no_flow_for_a_minute_has_none() {
    // faults 1 and 3
    let mut van = Van::asked_again();
    van.accepted("a:0");
    van.router_record("a:0");
    let start = van.now;
    let (mut flushes, mut outputs) = (0, Vec::new());
    while !outputs.contains(&"settled a:0".to_owned()) {
        let more = van.pass(0.1, &["a:0"]);
        if more.contains(&"flush a:0".into()) {
            flushes += 1;
            van.accepted("a:0");
            van.router_record("a:0");
        }
        outputs.extend(more);
    }
    assert!((59.0..61.0).contains(&(van.now.micros_since(start) as f64 / 1e6)));
    assert!((3..7).contains(&flushes), "{flushes}");
    van.pass(60.0, &["a:0"]);
    assert!(van.pass(300.0, &["a:0"]).is_empty(), "and it is not asked any more");
}

#[test]
fn no_flows_in_an_answer_means_none_where_the_route_for_them_is_known() {
    // faults 1 and 3
    let mut van = Van::asked_again();
    van.accepted("a:0");
    van.router_record("a:0");
    van.flow_record("a:0", van.now);
    assert!(!van.pass(1.0, &["a:0"]).contains(&"flush a:0".into()));
    assert!(van.pass(2.0, &["a:0"]).contains(&"flush a:0".into()));
    van.accepted("a:0");
    van.router_record("a:0");
    assert!(van.pass(12.0, &["a:0"]).contains(&"settled a:0".into()));
}

#[test]
fn nothing_settles_before_a_flush_was_answered() {
    // faults 29
    let mut van = Van::new();
    van.beacon(SourceType::Controller, "c");
    van.heartbeat("c");
    van.accepted("c");
    let site = UpdateBuf::new(RecordKind::Site, "c").with(Attribute::StartTime, at(1.0));
    van.records("mc/sfe.c", site.clone());
    van.pass(12.0, &["c"]);
    van.discovery.detached(van.now);
    van.discovery.attached(van.now);
    van.heartbeat("c");
    van.outputs();
    for _ in 0..300 {
        let process = UpdateBuf::new(RecordKind::Process, "pod").with(Attribute::StartTime, at(1.0));
        van.records("mc/sfe.c", process);
        van.discovery.flush_outcome(van.now, "c", FlushOutcome::Refused);
        let outputs = van.pass(1.0, &["c"]);
        assert!(outputs.iter().all(|output| output == "flush c"), "{outputs:?}");
    }
    van.records("mc/sfe.c", site.clone());
    assert!(van.outputs().is_empty(), "nobody was asked successfully");
    while !van.pass(1.0, &["c"]).contains(&"flush c".into()) {}
    van.accepted("c");
    van.records("mc/sfe.c", site);
    assert_eq!(van.pass(12.0, &["c"]), ["answered c", "settled c"]);
}
