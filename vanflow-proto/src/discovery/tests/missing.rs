//! Messages of routers that never come (faults 27).

use super::*;

const BARE: &str = "mc/sfe.a:0";
const FLOWS: &str = "mc/sfe.a:0.flows";
const LOGS: &str = "mc/sfe.a:0.logs";

/// A router whose receivers have been there for a while, its flows among them, and whose last message was the tenth.
fn numbered() -> Van {
    let mut van = Van::settled();
    van.flow_record("a:0", at(1.0));
    van.numbered(BARE, 10);
    assert_eq!(van.outputs(), <[&str; 0]>::default());
    van
}

/// As time goes on, with heartbeats that have the next ids.
fn beat(van: &mut Van, ids: impl IntoIterator<Item = u64>) -> Vec<String> {
    let mut outputs = Vec::new();
    for id in ids {
        outputs.extend(van.pass(2.0, &[]));
        van.numbered(BARE, id);
        outputs.extend(van.outputs());
    }
    outputs
}

#[test]
fn a_message_that_never_came_has_a_router_repeat_what_it_has() {
    let mut van = numbered();
    van.numbered(FLOWS, 12);
    assert_eq!(beat(&mut van, [13]), ["epoch a:0", "flush a:0"]);
    // It is asked once: what is missing is missing for good.
    van.accepted("a:0");
    van.router_record("a:0");
    let outputs = beat(&mut van, 14..40);
    assert!(!outputs.contains(&"epoch a:0".to_owned()), "{outputs:?}");
    assert_eq!(van.discovery.lost(), 1);
}

#[test]
fn one_that_waits_on_another_link_is_not_lost() {
    let mut van = numbered();
    van.numbered(FLOWS, 11);
    // Many flows are on their way.
    assert_eq!(beat(&mut van, [20, 21, 22]), <[&str; 0]>::default());
    (12..20).for_each(|id| van.numbered(FLOWS, id));
    assert_eq!(beat(&mut van, 23..40), <[&str; 0]>::default());
    assert_eq!(van.discovery.lost(), 0);
}

#[test]
fn one_is_lost_when_nothing_has_come_by_any_other_link_for_a_while() {
    let mut van = numbered();
    van.numbered(FLOWS, 11);
    let outputs = beat(&mut van, 13..18);
    assert_eq!(outputs, ["epoch a:0", "flush a:0"]);
    assert_eq!(van.discovery.lost(), 1);
}

#[test]
fn beacons_and_logs_count_like_all_others() {
    let mut van = numbered();
    van.numbered_beacon(SourceType::Router, "a:0", 11);
    van.numbered(LOGS, 12);
    assert_eq!(beat(&mut van, 13..40), <[&str; 0]>::default());
}

#[test]
fn nothing_is_said_where_flows_have_not_come_or_a_receiver_failed() {
    let mut van = Van::settled();
    van.numbered(BARE, 10);
    assert_eq!(beat(&mut van, (12..60).step_by(2)), <[&str; 0]>::default(), "no flow ever came");
    let mut van = numbered();
    van.discovery.link_failed(van.now, LOGS);
    van.numbered(FLOWS, 12);
    van.numbered(BARE, 13);
    assert_eq!(van.outputs(), <[&str; 0]>::default());
    assert_eq!(beat(&mut van, [14, 15]), ["listen mc/sfe.a:0.logs", "epoch a:0", "flush a:0"]);
    assert_eq!(van.discovery.lost(), 0);
}
