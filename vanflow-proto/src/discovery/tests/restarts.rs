//! Controllers that restart, which nothing that they say of themselves shows.

use super::*;

/// A connection, and a controller `c` that was seen, has answered, and beats every two seconds.
fn settled() -> Van {
    let mut van = Van::new();
    van.beacon(SourceType::Controller, "c");
    beat(&mut van, 3);
    van.outputs();
    site(&mut van);
    let outputs = beat(&mut van, 7);
    assert!(outputs.contains(&"settled c".into()), "{outputs:?}");
    van
}

/// Time passes with so many HEARTBEATs, one every two seconds, and an answer to each FLUSH.
fn beat(van: &mut Van, times: usize) -> Vec<String> {
    let mut outputs = Vec::new();
    for _ in 0..times {
        outputs.extend(van.pass(2.0, &[]));
        van.heartbeat("c");
        outputs.extend(van.outputs());
        if outputs.last().is_some_and(|last| last == "flush c") {
            van.accepted("c");
            site(van);
        }
    }
    outputs
}

fn site(van: &mut Van) {
    let site = UpdateBuf::new(RecordKind::Site, "c").with(Attribute::StartTime, at(1.0));
    van.records("mc/sfe.c", site);
}

#[test]
fn heartbeats_on_another_beat_show_that_a_controller_restarted() {
    // faults 6: its identity, its record and its pods are those of before
    let mut van = settled();
    assert!(beat(&mut van, 10).is_empty());
    van.pass(1.0, &[]);
    // The former process has ended, and another begins: its first HEARTBEAT is late, its second shows its beat.
    assert_eq!(beat(&mut van, 2), ["epoch c", "flush c"]);
    assert_eq!(beat(&mut van, 30), ["answered c", "settled c"]);
}

#[test]
fn a_beacon_before_its_time_shows_that_a_controller_restarted() {
    // faults 6
    let mut van = settled();
    van.beacon(SourceType::Controller, "c");
    assert!(beat(&mut van, 5).is_empty());
    van.beacon(SourceType::Controller, "c");
    assert!(van.outputs().is_empty(), "that was when it was due");
    beat(&mut van, 2);
    van.beacon(SourceType::Controller, "c");
    assert_eq!(van.outputs(), ["epoch c", "flush c"]);
    van.accepted("c");
    site(&mut van);
    assert_eq!(beat(&mut van, 30), ["answered c", "settled c"]);
}

#[test]
fn a_controller_that_restarts_all_the_time_is_asked_once_a_minute() {
    // faults 6
    let mut van = settled();
    let mut flushes = 0;
    for _ in 0..60 {
        van.pass(1.0, &[]);
        let outputs = beat(&mut van, 2);
        flushes += outputs.iter().filter(|output| *output == "flush c").count();
    }
    assert_eq!(flushes, 5, "in five minutes");
    let after = beat(&mut van, 40);
    let last = after.iter().filter(|output| *output == "flush c").count();
    assert_eq!(last, 1, "the last restart is not forgotten: {after:?}");
}

#[test]
fn a_router_is_known_by_the_ids_of_its_messages_whenever_they_come() {
    let mut van = Van::settled();
    for seconds in [2.0, 2.0, 3.0, 2.0, 2.0] {
        van.now = van.now.plus_micros((seconds * 1e6) as u64);
        van.heartbeat("a:0");
        assert!(van.outputs().is_empty());
    }
}
