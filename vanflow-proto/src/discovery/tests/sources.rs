//! Which sources there are, and whose a message is.

use super::{super::count::LATE, *};

#[test]
fn a_silent_source_is_lost_and_may_be_seen_again() {
    // faults 4 and 5
    let mut van = Van::settled();
    let heard = van.now.as_micros() as f64 / 1e6;
    assert!(van.pass(29.9, &[]).is_empty());
    assert_eq!(
        van.pass(0.1, &[]),
        [
            "leave mc/sfe.a:0".to_owned(),
            "leave mc/sfe.a:0.flows".into(),
            "leave mc/sfe.a:0.logs".into(),
            format!("lost a:0, last heard at {heard}"),
        ]
    );
    assert_eq!(van.discovery.sources(), 0);
    van.beacon(SourceType::Router, "a:0");
    assert_eq!(van.outputs()[0], "seen ROUTER a:0");
    van.heartbeat("a:0");
    assert_eq!(van.outputs(), ["flush a:0"]);
    van.accepted("a:0");
    van.router_record("a:0");
    assert_eq!(
        van.pass(15.0, &["a:0"]),
        ["answered a:0", "settled a:0"],
        "what it sent since it is back is in this epoch"
    );
}

#[test]
fn any_message_shows_that_a_source_is_alive() {
    // faults 4
    let mut van = Van::settled();
    for _ in 0..5 {
        van.pass(20.0, &[]);
        van.numbered("mc/sfe.a:0.flows", 9);
        van.pass(20.0, &[]);
        van.beacon(SourceType::Router, "a:0");
    }
    assert_eq!(van.discovery.sources(), 1);
}

#[test]
fn nobody_is_lost_while_the_connection_is_down_nor_right_after() {
    // faults 4
    let mut van = Van::settled();
    van.pass(20.0, &[]);
    van.discovery.detached(van.now);
    assert_eq!(van.discovery.next_deadline(), None);
    assert!(van.pass(1000.0, &[]).is_empty());
    van.discovery.attached(van.now);
    van.outputs();
    let outputs = van.pass(29.9, &[]);
    assert!(!outputs.iter().any(|output| output.starts_with("lost")), "{outputs:?}");
    assert!(van.pass(0.2, &[]).iter().any(|output| output.starts_with("lost a:0")));
}

#[test]
fn nobody_is_lost_for_what_nobody_looked_at() {
    // faults 18
    let mut van = Van::settled();
    van.now = van.now.plus_micros(100 * SECOND);
    van.discovery.resumed(van.now);
    assert!(van.pass(29.9, &[]).is_empty());
    assert!(van.pass(0.2, &[]).iter().any(|output| output.starts_with("lost a:0")));
}

#[test]
fn message_ids_that_fall_back_mean_a_restart() {
    // faults 6
    let mut van = Van::settled();
    for id in 1000..1100 {
        van.numbered("mc/sfe.a:0", id);
    }
    van.numbered("mc/sfe.a:0.flows", 1050);
    assert!(van.outputs().is_empty());
    van.numbered("mc/sfe.a:0", 0);
    assert_eq!(van.outputs(), ["restarted a:0", "flush a:0"]);
    // Each link shows it once more.
    van.numbered("mc/sfe.a:0.flows", 3);
    van.numbered("mc/sfe.a:0", 4);
    assert!(van.outputs().is_empty());
    for id in 5..100 {
        van.numbered("mc/sfe.a:0", id);
    }
    van.numbered("mc/sfe.a:0", 1);
    assert_eq!(van.outputs(), ["restarted a:0", "flush a:0"]);
}

#[test]
fn a_restart_shows_after_a_reconnect_too() {
    // faults 3 and 6: the router that we are attached to restarts in its pod
    let mut van = Van::settled();
    van.numbered("mc/sfe.a:0", 100);
    van.discovery.detached(van.now);
    van.discovery.attached(van.now);
    assert_eq!(van.outputs()[1], "epoch a:0");
    van.numbered("mc/sfe.a:0", 0);
    assert_eq!(van.outputs(), ["restarted a:0", "flush a:0"]);
}

#[test]
fn a_beacon_shows_a_restart_too() {
    // faults 6
    let mut van = Van::new();
    van.numbered_beacon(SourceType::Router, "a:0", 500);
    van.outputs();
    van.numbered_beacon(SourceType::Router, "a:0", 0);
    assert_eq!(van.outputs(), ["restarted a:0", "flush a:0"]);
    van.accepted("a:0");
    van.router_record("a:0");
    assert_eq!(van.pass(12.0, &["a:0"]), ["answered a:0", "settled a:0"]);
}

#[test]
fn duplicates_by_longer_paths_and_slow_links_are_no_restart() {
    // faults 6 and 9
    let mut van = Van::settled();
    for id in 0..2000_u64 {
        van.numbered("mc/sfe.a:0", id);
        van.numbered("mc/sfe.a:0", id.saturating_sub(LATE));
        // A link with a backlog.
        van.numbered("mc/sfe.a:0.flows", id / 10);
    }
    assert!(van.outputs().is_empty());
}

#[test]
fn a_new_id_with_an_old_name_is_another_source() {
    // faults 7
    let mut van = Van::settled();
    van.beacon(SourceType::Router, "b:0");
    assert_eq!(van.outputs()[0], "seen ROUTER b:0");
    let outputs = van.pass(31.0, &["b:0"]);
    assert!(outputs.iter().any(|output| output.starts_with("lost a:0")), "{outputs:?}");
    assert_eq!(van.discovery.sources(), 1);
}

#[test]
fn sources_that_are_too_many_are_counted() {
    // faults 17
    let settings = Settings { sources: 2, ..Settings::default() };
    let mut van = Van { discovery: Discovery::new(settings, 0), now: at(1000.0) };
    van.discovery.attached(van.now);
    van.beacon(SourceType::Router, "a:0");
    van.beacon(SourceType::Router, "b:0");
    van.beacon(SourceType::Router, "c:0");
    assert_eq!((van.discovery.sources(), van.discovery.refused()), (2, 1));
}

#[test]
fn a_source_cannot_have_the_address_of_another_whichever_is_first() {
    // faults 24
    let mut van = Van::new();
    let own = Beacon { source_type: SourceType::Router, id: "t:0", address: "mc/sfe.t:0", direct: "sfe.t:0" };
    for stolen in [
        Beacon { address: "mc/sfe.a:0", ..own },
        Beacon { address: BEACON_ADDRESS, ..own },
        Beacon { address: "mc/sfe.t:0.flows", ..own },
        Beacon { direct: "sfe.a:0", ..own },
        Beacon { id: "all", address: BEACON_ADDRESS, direct: "sfe.all", ..own },
        Beacon { id: "a:0.flows", address: "mc/sfe.a:0.flows", direct: "sfe.a:0.flows", ..own },
    ] {
        van.received(BEACON_ADDRESS, &Encoder::new(Dialect::Router).beacon(0, &stolen));
    }
    assert!(van.outputs().is_empty());
    assert_eq!((van.discovery.sources(), van.discovery.refused()), (0, 6));
    van.beacon(SourceType::Router, "a:0");
    van.received(BEACON_ADDRESS, &Encoder::new(Dialect::Router).beacon(0, &own));
    assert_eq!(van.discovery.sources(), 2);
    // A known source gets no further address either.
    let more = Beacon { address: "mc/sfe.a:0", ..own };
    van.received(BEACON_ADDRESS, &Encoder::new(Dialect::Router).beacon(0, &more));
    assert_eq!(van.discovery.refused(), 7);
}

#[test]
fn what_is_said_on_a_link_is_said_by_the_source_whose_address_it_is() {
    // faults 24
    let mut van = Van::new();
    van.beacon(SourceType::Router, "a:0");
    van.beacon(SourceType::Router, "b:0");
    let mut hear = |link: &str, bytes: &[u8]| {
        let message = Message::decode(bytes).expect("decodes");
        match van.discovery.hear(van.now, link, &message) {
            Some(Heard::Heartbeat { source, clock }) => {
                format!("{source} beats at {}", clock.as_micros())
            }
            Some(Heard::Records { source, updates }) => format!("{source} reports {}", updates.count()),
            None => "nothing".into(),
        }
    };
    let router = Encoder::new(Dialect::Router);
    let beat = router.heartbeat("mc/sfe.a:0", 0, &Heartbeat { id: "a:0", now: at(0.5) });
    let link = UpdateBuf::new(RecordKind::Link, "a:1");
    let records = router.records("mc/sfe.a:0", 1, &[link.clone(), link]);
    assert_eq!(hear("mc/sfe.a:0", &beat), "a:0 beats at 500000");
    assert_eq!(hear("mc/sfe.b:0", &beat), "nothing", "it names another source");
    assert_eq!(hear("mc/sfe.a:0.flows", &records), "a:0 reports 2");
    assert_eq!(hear("mc/sfe.b:0", &records), "b:0 reports 2");
    assert_eq!(hear("mc/sfe.c:0", &records), "nothing");
    assert_eq!(hear(BEACON_ADDRESS, &records), "nothing");
    assert_eq!(hear("mc/sfe.a:0", &router.flush("mc/sfe.a:0", 2)), "nothing");
}

#[test]
fn a_source_has_one_timer_however_often_it_is_heard() {
    let mut van = Van::settled();
    van.pass(100.0, &["a:0"]);
    assert_eq!(van.discovery.timers.len(), 1);
}

#[test]
fn a_source_whose_records_were_kept_is_known_before_it_is_heard() {
    // faults 3, 4, 22
    let mut discovery = Discovery::new(Settings::default(), 7);
    for id in ["a:0", "b:0"] {
        discovery.restore(&Known { id: id.into(), source_type: "ROUTER".into(), last_heard: at(900.0) });
    }
    let mut van = Van { discovery, now: at(1000.0) };
    assert!(van.pass(100.0, &[]).is_empty(), "nobody is heard without a connection");
    van.discovery.attached(van.now);
    assert_eq!(van.outputs()[..2], ["listen mc/sfe.all", "epoch a:0"]);
    van.beacon(SourceType::Router, "a:0");
    van.heartbeat("a:0");
    assert_eq!(van.outputs().last().map(String::as_str), Some("flush a:0"));
    van.accepted("a:0");
    van.router_record("a:0");
    van.flow_record("a:0", at(1.0));
    let outputs = van.pass(30.0, &["a:0"]);
    assert!(outputs.contains(&"settled a:0".into()), "{outputs:?}");
    assert_eq!(outputs.last().map(String::as_str), Some("lost b:0, last heard at 900"));
}

#[test]
fn messages_of_strangers_are_passed_over() {
    let mut van = Van::new();
    van.numbered("mc/sfe.x:0", 1);
    van.numbered(BEACON_ADDRESS, 1);
    van.discovery.flush_outcome(van.now, "x:0", FlushOutcome::Accepted);
    van.discovery.incomplete(van.now, "x:0", true);
    van.discovery.link_failed(van.now, "mc/sfe.x:0");
    assert!(van.pass(100.0, &[]).is_empty());
    assert_eq!(van.discovery.next_deadline(), None);
    assert_eq!(van.discovery.source_of("mc/sfe.x:0"), None);
    van.beacon(SourceType::Router, "x:0");
    assert_eq!(van.discovery.source_of("mc/sfe.x:0").map(|id| &**id), Some("x:0"));
    assert_eq!(van.discovery.source_of(BEACON_ADDRESS), None, "that is everybody's");
}
