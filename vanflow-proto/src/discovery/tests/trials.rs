//! Sources that are announced and do not exist.

use super::*;

/// A network in which one source exists, and whoever wants announces others.
struct Flood {
    van: Van,
    /// Where somebody listens.
    receivers: std::collections::HashSet<String>,
}

impl Flood {
    fn new() -> Self {
        Self { van: Van::new(), receivers: Default::default() }
    }

    fn look(&mut self) {
        for output in self.van.outputs() {
            match output.split_once(' ') {
                Some(("listen", address)) => {
                    assert!(self.receivers.insert(address.to_owned()), "{address} twice")
                }
                Some(("leave", address)) => {
                    assert!(self.receivers.remove(address), "{address} was not there")
                }
                _ => {}
            }
        }
    }

    /// Ten seconds, with a BEACON of each of these and of the real one, whose HEARTBEATs come where somebody listens.
    fn round(&mut self, announced: impl Iterator<Item = String>) {
        for id in announced {
            self.van.beacon(SourceType::Router, &id);
        }
        self.van.beacon(SourceType::Router, "real:0");
        self.look();
        for _ in 0..5 {
            if self.receivers.contains("mc/sfe.real:0") {
                self.van.heartbeat("real:0");
            }
            for output in self.van.pass(2.0, &[]) {
                match output.split_once(' ') {
                    Some(("listen", address)) => drop(self.receivers.insert(address.to_owned())),
                    Some(("leave", address)) => drop(self.receivers.remove(address)),
                    _ => {}
                }
            }
            self.look();
        }
    }

    fn is_followed(&self) -> bool {
        self.van.discovery.sources.get("real:0").is_some_and(|source| source.is_heard)
    }

    fn assert_bounded(&self) {
        let discovery = &self.van.discovery;
        assert!(discovery.sources() <= 64 + 1, "{} sources", discovery.sources());
        assert!(self.receivers.len() <= 3 * 65 + 448, "{} receivers", self.receivers.len());
        assert!(discovery.links.len() <= 3 * 65 + 448 + 1 && discovery.timers.len() <= 1200);
    }
}

#[test]
fn ten_thousand_sources_that_do_not_exist_cost_little_and_keep_none_that_exists_from_being_known() {
    // faults 30
    let mut flood = Flood::new();
    let mut rounds = 0;
    while !flood.is_followed() {
        flood.round((0..10_000).map(|number| format!("fake{number}:0")));
        flood.assert_bounded();
        rounds += 1;
        assert!(rounds <= 30, "it is not followed for {rounds} rounds");
    }
    let others = flood.van.discovery.trials.size_of_others();
    assert!(others < 200 * 10_000, "{others} octets");
    assert!(flood.van.discovery.refused() > 9_000);
    // Those that were known to be there stay so.
    for _ in 0..6 {
        flood.round((0..10_000).map(|number| format!("fake{number}:0")));
        assert!(flood.is_followed());
        flood.assert_bounded();
    }
}

#[test]
fn sources_that_are_made_up_anew_each_time_give_way_to_one_that_is_announced_again() {
    // faults 30
    let mut flood = Flood::new();
    let fakes = |round: usize| (0..5_000).map(move |number| format!("fake{round}.{number}:0"));
    flood.round(fakes(0));
    assert!(!flood.is_followed(), "there was no place for it");
    flood.round(fakes(1));
    flood.round(fakes(2));
    assert!(flood.is_followed());
    flood.assert_bounded();
}

#[test]
fn what_is_not_heard_on_trial_is_tried_again_later_and_later() {
    // faults 30
    let settings = Settings { unheard: 0, ..Settings::default() };
    let mut van = Van { discovery: Discovery::new(settings, 0), now: at(1000.0) };
    van.discovery.attached(van.now);
    van.outputs();
    let mut tries = Vec::new();
    for second in 0..200 {
        van.beacon(SourceType::Controller, "c");
        assert_eq!(van.discovery.on_trial(), u64::from(second < 10), "it was not heard once by {second} s");
        for output in van.pass(1.0, &[]) {
            match output.as_str() {
                "listen mc/sfe.c.heartbeats" => tries.push(second),
                "leave mc/sfe.c.heartbeats" => {}
                other => panic!("{other}"),
            }
        }
    }
    assert_eq!(tries, [0, 30, 80, 170], "10 s on trial, and then 20 s, 40 s, 80 s without");
    assert_eq!(van.discovery.sources(), 0);
}

#[test]
fn a_source_that_is_heard_on_trial_is_followed_and_asked_once_all_its_receivers_are_there() {
    let settings = Settings { unheard: 0, ..Settings::default() };
    let mut van = Van { discovery: Discovery::new(settings, 0), now: at(1000.0) };
    van.discovery.attached(van.now);
    van.outputs();
    van.beacon(SourceType::Router, "a:0");
    van.beacon(SourceType::Router, "a:0");
    assert_eq!(van.outputs(), ["listen mc/sfe.a:0"]);
    assert_eq!(van.discovery.on_trial(), 1);
    van.heartbeat("a:0");
    assert_eq!(van.discovery.on_trial(), 0);
    assert_eq!(van.outputs(), ["seen ROUTER a:0", "listen mc/sfe.a:0.flows", "listen mc/sfe.a:0.logs"]);
    assert_eq!(van.pass(2.0, &["a:0"]), ["flush a:0"]);
    assert_eq!(van.pass(60.0, &["a:0"]).iter().filter(|output| output.starts_with("leave")).count(), 0);
    // A flow of a source on trial shows as well that it is there, as in a capture of somebody who listened.
    van.beacon(SourceType::Router, "b:0");
    van.flow_record("b:0", at(1.0));
    assert!(van.outputs().contains(&"seen ROUTER b:0".to_owned()));
}

#[test]
fn trials_end_with_the_connection() {
    let settings = Settings { unheard: 0, ..Settings::default() };
    let mut van = Van { discovery: Discovery::new(settings, 0), now: at(1000.0) };
    van.discovery.attached(van.now);
    van.beacon(SourceType::Router, "a:0");
    assert_eq!(van.discovery.on_trial(), 1);
    van.discovery.detached(van.now);
    assert_eq!(van.discovery.on_trial(), 0);
    van.discovery.attached(van.now);
    van.outputs();
    van.beacon(SourceType::Router, "a:0");
    assert_eq!(van.outputs(), ["listen mc/sfe.a:0"], "it is no fault of its own");
}

#[test]
fn each_announcement_that_leads_to_nothing_is_counted() {
    // faults 30
    let mut van = Van::new();
    for number in 0..64 + 448 {
        van.beacon(SourceType::Router, &format!("fake{number}:0"));
    }
    assert_eq!(van.discovery.refused(), 0, "there is a place for each");
    // One that is announced once more in that moment has its place, or has had none.
    van.beacon(SourceType::Router, "fake0:0");
    van.beacon(SourceType::Router, "fake100:0");
    assert_eq!(van.discovery.refused(), 0);
    van.pass(11.0, &[]);
    van.beacon(SourceType::Router, "fake100:0");
    van.beacon(SourceType::Router, "fake101:0");
    assert_eq!(van.discovery.refused(), 2, "nothing was heard of them, and they have to wait");
}

#[test]
fn a_source_that_is_heard_or_lost_leaves_its_place_to_another() {
    // faults 30
    let mut van = Van::new();
    let followed = |van: &Van, id: &str| van.discovery.sources.contains_key(id);
    for number in 0..64 {
        van.beacon(SourceType::Router, &format!("r{number}:0"));
    }
    van.beacon(SourceType::Router, "late:0");
    assert!(!followed(&van, "late:0"), "it is on trial");
    van.heartbeat("r0:0");
    van.beacon(SourceType::Router, "next:0");
    assert!(followed(&van, "next:0"), "one was heard");
    van.beacon(SourceType::Router, "after:0");
    assert!(!followed(&van, "after:0"));
    van.pass(31.0, &["r0:0"]);
    van.beacon(SourceType::Router, "last:0");
    assert!(followed(&van, "last:0"), "those that were not heard are lost");
}
