//! What goes wrong in a network, and what the store makes of it. The rows are those of the table of faults that the
//! project keeps in `docs/faults.md`.

use crate::support::{Network, SECOND, change, find, ids, live};
use vanflow_proto::{Attribute, RecordKind, Timestamp, UpdateBuf, ValueBuf, discovery::Extent};
use vanflow_store::{Oddity, Record, Revision, Snapshot, StoreOptions};

#[test]
fn a_source_known_by_halves_is_incomplete_until_it_is_reported_whole() {
    // faults 1
    let mut network = Network::new();
    let east = network.router("east:0");
    assert!(network.store.is_incomplete(east), "its ROUTER record is not there");
    let router = network.started(RecordKind::Router, "east:0", "site-east");
    network.report(east, std::slice::from_ref(&router));
    assert!(!network.store.is_incomplete(east));
    network.report(east, &[change(RecordKind::Link, "east:1").with(Attribute::Octets, 7)]);
    assert!(network.store.is_incomplete(east), "a link is known by its counter alone");
    assert!(network.snapshot().sources().all(|source| source.is_incomplete()));
    assert_eq!(network.store.stats().sources_incomplete, 1);
    let link = network.started(RecordKind::Link, "east:1", "east:0");
    network.report(east, &[link]);
    assert!(!network.store.is_incomplete(east));
}

#[test]
fn what_is_not_repeated_after_a_reconnect_has_ended_meanwhile() {
    // faults 3
    let mut network = Network::new();
    let west = network.west();
    let (stays, goes) = (network.connection("west:10"), network.connection("west:11"));
    network.report(west, &[stays.clone(), goes]);
    network.wait(5);
    let lost_at = network.now;
    network.store.heartbeat(west, network.now, network.now);
    network.wait(3);
    network.store.epoch_started(west, network.now);
    assert!(network.store.is_incomplete(west), "the answer is still to come");
    // A counter that comes unasked shows that its record is there, as well as the answer would.
    network.report(west, &[change(RecordKind::BiflowTport, "west:10").with(Attribute::Octets, 5)]);
    network.store.source_answered(west, network.now);
    assert!(!network.store.is_incomplete(west));
    let start = Timestamp::from_micros(1_795_347_888 * SECOND);
    let router = change(RecordKind::Router, "west:0").with(Attribute::StartTime, start);
    let listener = change(RecordKind::Listener, "west:1").with(Attribute::StartTime, start);
    network.report(west, &[router, listener]);
    network.wait(300);
    assert_eq!(live(&network.snapshot(), RecordKind::BiflowTport), ["west:10", "west:11"]);
    network.store.source_settled(west, Extent::All, network.now);
    let snapshot = network.snapshot();
    assert_eq!(live(&snapshot, RecordKind::BiflowTport), ["west:10"]);
    assert_eq!(live(&snapshot, RecordKind::Listener), ["west:1"]);
    let gone = find(&snapshot, "west:11");
    assert!(gone.is_end_presumed());
    assert!(gone.end() >= Some(lost_at));
}

#[test]
fn nothing_ends_before_it_is_said_that_its_source_has_answered() {
    // faults 29: neither time nor updates decide it
    let mut network = Network::new();
    let (west, controller) = (network.west(), network.controller("site-west"));
    let connection = network.connection("west:10");
    network.report(west, &[connection]);
    let pods = ["pod-1", "pod-2"].map(|id| network.started(RecordKind::Process, id, "site-west"));
    network.report(controller, &pods);
    for source in [west, controller] {
        network.store.epoch_started(source, network.now);
    }
    network.report(controller, &pods[..1]);
    network.report(west, &[change(RecordKind::Router, "west:0").with(Attribute::Name, "0/west-2")]);
    network.wait(3600);
    let snapshot = network.snapshot();
    assert_eq!(live(&snapshot, RecordKind::Process), ["pod-1", "pod-2"]);
    assert_eq!(live(&snapshot, RecordKind::BiflowTport), ["west:10"]);
    assert!(network.store.is_incomplete(west) && network.store.is_incomplete(controller));
}

#[test]
fn flows_end_only_where_the_source_has_settled_for_them_too() {
    // faults 1 and 3: each suffix is a route of its own, and the answer on one can be lost.
    let mut network = Network::new();
    let west = network.west();
    let connection = network.connection("west:10");
    network.report(west, &[connection]);
    network.store.epoch_started(west, network.now);
    let start = Timestamp::from_micros(1_795_347_888 * SECOND);
    network.report(west, &[change(RecordKind::Router, "west:0").with(Attribute::StartTime, start)]);
    network.store.source_settled(west, Extent::AllButFlows, network.now);
    assert_eq!(live(&network.snapshot(), RecordKind::Listener), [""; 0]);
    assert_eq!(live(&network.snapshot(), RecordKind::BiflowTport), ["west:10"]);
    network.store.source_settled(west, Extent::All, network.now);
    assert_eq!(live(&network.snapshot(), RecordKind::BiflowTport), [""; 0]);
}

#[test]
fn a_shared_record_lives_by_the_source_that_repeats_it() {
    // faults 3, 13: each of its sources has epochs of its own
    let mut network = Network::new();
    let (router, controller) = (network.router("west:0"), network.controller("site-west"));
    let site = [network.started(RecordKind::Site, "site-west", "")];
    network.report(router, &site);
    network.report(controller, &site);
    network.store.epoch_started(controller, network.now);
    network.report(controller, &site);
    network.report(router, &site);
    network.store.source_settled(controller, Extent::All, network.now);
    network.store.source_lost(router, network.now, network.now);
    assert_eq!(live(&network.snapshot(), RecordKind::Site), ["site-west"], "the controller repeated it");
    network.store.epoch_started(controller, network.now);
    network.store.source_settled(controller, Extent::All, network.now);
    assert_eq!(live(&network.snapshot(), RecordKind::Site), [""; 0]);
}

#[test]
fn the_records_of_a_silent_source_end_when_it_was_last_heard_and_stay_for_a_while() {
    // faults 4
    let mut network = Network::new();
    let west = network.west();
    // Its clock is a minute ahead of ours; times of its records are by its clock.
    network.store.heartbeat(west, network.now.plus_micros(60 * SECOND), network.now);
    let heard = network.now;
    network.wait(30);
    network.store.source_lost(west, heard, network.now);
    let snapshot = network.snapshot();
    assert_eq!(live(&snapshot, RecordKind::Router), [""; 0]);
    let router = find(&snapshot, "west:0");
    assert_eq!(router.end(), Some(heard.plus_micros(60 * SECOND)));
    assert!(snapshot.services().all(|service| !service.is_live()), "what follows from it ends with it");
    network.wait(15 * 60);
    assert_eq!(network.snapshot().of_kind(RecordKind::Router).count(), 1);
    network.wait(2);
    assert_eq!(network.snapshot().records().count(), 0);
    assert_eq!(network.store.stats().evicted, 2, "router and listener");
}

#[test]
fn what_a_source_repeats_after_its_return_lives_again() {
    // faults 5
    let mut network = Network::new();
    let west = network.west();
    let connection = network.connection("west:10");
    network.report(west, &[connection]);
    network.wait(30);
    network.store.source_lost(west, network.now, network.now);
    network.wait(1);
    network.router("west:0");
    network.report(west, &[change(RecordKind::BiflowTport, "west:10").with(Attribute::Octets, 5)]);
    network.wait(20 * 60);
    let snapshot = network.snapshot();
    assert_eq!(live(&snapshot, RecordKind::Router), [""; 0], "the others were not repeated");
    assert_eq!(ids(snapshot.records()), ["west:0", "west:1", "west:10"], "and stay for the connection");
    let connection = find(&snapshot, "west:10");
    assert!(connection.is_live() && !connection.is_end_presumed());
    assert_eq!(connection.end(), None);
    assert_eq!(connection.text(Attribute::SourceHost).expect("it stayed"), "10.0.0.9");
}

#[test]
fn the_same_ids_after_a_restart_are_new_records() {
    // faults 6
    let mut network = Network::new();
    let west = network.west();
    network.wait(10);
    let updates = [
        network.started(RecordKind::Router, "west:0", "site-west").with(Attribute::Name, "0/west-1"),
        network.started(RecordKind::Link, "west:1", "west:0").with(Attribute::Role, "edge"),
    ];
    network.report(west, &updates);
    let snapshot = network.snapshot();
    assert_eq!(live(&snapshot, RecordKind::Router), ["west:0"]);
    assert_eq!(live(&snapshot, RecordKind::Listener), [""; 0]);
    let both: Vec<_> = snapshot.find("west:1").map(|record| (record.kind(), record.is_live())).collect();
    assert_eq!(both, [(Some(RecordKind::Link), true), (Some(RecordKind::Listener), false)]);
    let old = snapshot.find("west:1").nth(1).expect("the former one");
    assert_eq!(old.text(Attribute::Role), None, "never a mix of both");
    assert_eq!(old.router().and_then(|router| router.end()), old.end(), "it refers to the former router");
    assert_eq!(find(&snapshot, "west:1").router().map(|router| router.is_live()), Some(true));
    assert_eq!(snapshot.of_kind(RecordKind::Router).count(), 2);
}

#[test]
fn a_restart_seen_by_message_ids_ends_what_was_before_the_router_record_comes() {
    // faults 6
    let mut network = Network::new();
    let west = network.west();
    network.wait(10);
    network.store.source_restarted(west, network.now);
    let connection = network.started(RecordKind::BiflowTport, "west:1", "west:3");
    network.report(west, &[connection]);
    let kinds: Vec<_> = {
        let snapshot = network.snapshot();
        snapshot.find("west:1").map(|record| (record.kind(), record.is_live())).collect()
    };
    assert_eq!(kinds, [(Some(RecordKind::BiflowTport), true), (Some(RecordKind::Listener), false)]);
    let router = network.started(RecordKind::Router, "west:0", "site-west");
    network.report(west, &[router]);
    assert_eq!(live(&network.snapshot(), RecordKind::BiflowTport), ["west:1"], "no second restart");
}

#[test]
fn a_router_that_restarts_under_a_new_id_stands_beside_its_old_self_until_that_is_lost() {
    // faults 7
    let mut network = Network::new();
    let old = network.west();
    let new = network.router("tsew:0");
    let router = network.started(RecordKind::Router, "tsew:0", "site-west").with(Attribute::Name, "0/west-1");
    network.report(new, &[router]);
    assert_eq!(live(&network.snapshot(), RecordKind::Router), ["tsew:0", "west:0"]);
    network.store.source_lost(old, network.now, network.now);
    assert_eq!(live(&network.snapshot(), RecordKind::Router), ["tsew:0"]);
}

#[test]
fn everything_derived_is_mended_the_moment_the_missing_record_comes() {
    // faults 8: requests, connection, process, listener, router and site come in the worst order.
    let mut network = Network::new();
    let west = network.router("west:0");
    let controller = network.controller("site-west");
    let request = network.started(RecordKind::BiflowApp, "west:20", "west:10");
    network.report(west, &[request]);
    let connection = network.connection("west:10");
    network.report(west, &[connection]);
    let process =
        network.started(RecordKind::Process, "pod-1", "site-west").with(Attribute::SourceHost, "10.0.0.9");
    network.report(controller, &[process]);
    {
        let snapshot = network.snapshot();
        let request = find(&snapshot, "west:20");
        assert_eq!(request.parent().expect("the connection").id(), "west:10");
        assert!(request.service().is_none() && request.process().is_none() && request.site().is_none());
    }
    network.west();
    let site = network.started(RecordKind::Site, "site-west", "");
    network.report(controller, &[site]);
    let snapshot = network.snapshot();
    let request = find(&snapshot, "west:20");
    let service = request.service().expect("the listener came");
    assert_eq!((service.total_flows(), service.current_flows()), (1, 1));
    assert_eq!(service.address(), "echo");
    assert_eq!(request.process().expect("the router came").id(), "pod-1");
    assert_eq!(request.site().expect("the site came").id(), "site-west");
}

#[test]
fn an_update_after_the_end_is_kept_and_the_end_stands() {
    // faults 9
    let mut network = Network::new();
    let west = network.west();
    let connection = network.connection("west:10");
    let end = network.now.plus_micros(5);
    network.report(
        west,
        &[connection.clone(), change(RecordKind::BiflowTport, "west:10").with(Attribute::EndTime, end)],
    );
    network
        .report(west, &[connection, change(RecordKind::BiflowTport, "west:10").with(Attribute::Octets, 9)]);
    let snapshot = network.snapshot();
    let connection = find(&snapshot, "west:10");
    assert_eq!((connection.end(), connection.uint(Attribute::Octets)), (Some(end), Some(9)));
    let service = connection.service().expect("its listener is known");
    assert_eq!((service.total_flows(), service.current_flows()), (1, 0));
}

#[test]
fn a_record_reported_whole_with_a_newer_start_lives_again() {
    // faults 9
    let mut network = Network::with_retention(60);
    let controller = network.controller("site-west");
    let old = network.started(RecordKind::Process, "pod-1", "site-west").with(Attribute::Name, "web-1");
    let end = change(RecordKind::Process, "pod-1").with(Attribute::EndTime, network.now.plus_micros(SECOND));
    network.report(controller, &[old.clone(), end.clone()]);
    network.report(controller, &[old]);
    assert_eq!(live(&network.snapshot(), RecordKind::Process), [""; 0], "a late duplicate");
    network.wait(10);
    let new = network.started(RecordKind::Process, "pod-1", "site-west");
    network.report(controller, &[new.clone(), new.clone()]);
    let started = network.now;
    let check = |snapshot: &Snapshot| {
        let process = find(snapshot, "pod-1");
        assert_eq!((process.is_live(), process.start(), process.end()), (true, Some(started), None));
        assert_eq!(process.text(Attribute::Name).expect("it is the same record"), "web-1");
        assert_eq!(
            (snapshot.live_count(RecordKind::Process), snapshot.of_kind(RecordKind::Process).count()),
            (1, 1)
        );
    };
    check(&network.snapshot());
    network.wait(300);
    check(&network.snapshot());
    assert_eq!(network.store.stats().evicted, 0, "it does not leave with its former end");
    let end = change(RecordKind::Process, "pod-1").with(Attribute::EndTime, network.now);
    network.report(controller, &[end]);
    assert_eq!(find(&network.snapshot(), "pod-1").end(), Some(network.now));
    network.wait(62);
    assert_eq!(network.snapshot().records().count(), 0);
}

#[test]
fn a_life_reported_with_its_end_is_over() {
    // faults 9: start and end in one map
    let mut network = Network::new();
    let controller = network.controller("site-west");
    let life = |start: u64, end: u64| {
        change(RecordKind::Process, "pod-1").with(Attribute::StartTime, start).with(Attribute::EndTime, end)
    };
    network.report(controller, &[life(1, 5), life(7, 9)]);
    let snapshot = network.snapshot();
    assert_eq!(find(&snapshot, "pod-1").end(), Some(Timestamp::from_micros(9)));
}

#[test]
fn a_connection_lives_once() {
    // faults 6, 9
    let mut network = Network::new();
    let west = network.west();
    let connection = network.connection("west:10").with(Attribute::EndTime, network.now);
    network.report(west, &[connection]);
    network.wait(10);
    let newer = network.connection("west:10");
    network.report(west, &[newer]);
    assert_eq!(live(&network.snapshot(), RecordKind::BiflowTport), [""; 0]);
}

#[test]
fn an_end_without_a_start_is_kept() {
    // faults 9
    let mut network = Network::new();
    let west = network.west();
    network.report(west, &[change(RecordKind::BiflowTport, "west:10").with(Attribute::EndTime, network.now)]);
    let snapshot = network.snapshot();
    let connection = find(&snapshot, "west:10");
    assert!(!connection.is_live());
    assert_eq!((connection.start(), connection.duration_micros()), (None, None));
    assert!(!network.store.is_incomplete(west), "a FLUSH would not bring what is gone");
}

#[test]
fn counters_never_fall_and_gauges_do() {
    // faults 10
    let mut network = Network::new();
    let west = network.west();
    let counted = |octets: u64, rate: u64| {
        change(RecordKind::Link, "west:5").with(Attribute::Octets, octets).with(Attribute::OctetRate, rate)
    };
    network.report(west, &[counted(100, 50), counted(99, 49)]);
    let access = |count: u64| change(RecordKind::RouterAccess, "west:6").with(Attribute::LinkCount, count);
    network.report(west, &[access(2), access(0)]);
    let snapshot = network.snapshot();
    let link = find(&snapshot, "west:5");
    assert_eq!((link.uint(Attribute::Octets), link.uint(Attribute::OctetRate)), (Some(100), Some(49)));
    assert_eq!(find(&snapshot, "west:6").uint(Attribute::LinkCount), Some(0));
    assert_eq!(network.store.stats().oddities.count(Oddity::CounterFell), 1);
}

#[test]
fn times_out_of_order_make_no_negative_duration() {
    // faults 10
    let mut network = Network::new();
    let west = network.west();
    let backwards = network.connection("west:10").with(Attribute::EndTime, network.now.minus_micros(7));
    let future = change(RecordKind::BiflowTport, "west:11")
        .with(Attribute::StartTime, network.now.plus_micros(3600 * SECOND));
    network.report(west, &[backwards, future]);
    let snapshot = network.snapshot();
    assert_eq!(find(&snapshot, "west:10").duration_micros(), Some(0));
    assert_eq!(find(&snapshot, "west:11").duration_micros(), Some(0));
    assert_eq!(network.store.stats().oddities.count(Oddity::EndBeforeStart), 1);
}

#[test]
fn a_connector_is_inferred_only_where_there_is_no_choice() {
    // faults 11
    let mut network = Network::new();
    let west = network.west();
    let inferred = |network: &Network| {
        let snapshot = network.snapshot();
        find(&snapshot, "west:10").connector_inferred().map(|connector| connector.id().to_string())
    };
    let connection = network.connection("west:10");
    network.report(west, &[connection]);
    assert_eq!(inferred(&network), None, "there is none");
    network.report(west, &[network.connector("west:2")]);
    assert_eq!(inferred(&network), Some("west:2".into()));
    network.report(west, &[network.connector("west:3")]);
    assert_eq!(inferred(&network), None, "there are two");
    let ended = change(RecordKind::Connector, "west:3").with(Attribute::EndTime, network.now.minus_micros(1));
    network.report(west, &[ended]);
    assert_eq!(inferred(&network), Some("west:2".into()), "the other went before the connection came");
    network.report(west, &[change(RecordKind::BiflowTport, "west:10").with(Attribute::Connector, "west:2")]);
    assert_eq!(inferred(&network), None, "it is reported now");
    assert_eq!(find(&network.snapshot(), "west:2").connections().count(), 1);
}

#[test]
fn one_rule_chooses_among_processes_with_one_host() {
    // faults 12
    let process = |network: &Network, id: &str, age: u64| {
        change(RecordKind::Process, id)
            .with(Attribute::Parent, "site-west")
            .with(Attribute::SourceHost, "10.0.0.9")
            .with(Attribute::StartTime, network.now.minus_micros(age))
    };
    let reordered: [[usize; 4]; 4] = [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]];
    for order in reordered {
        let mut network = Network::new();
        let west = network.west();
        let controller = network.controller("site-west");
        let processes = [
            process(&network, "pod-old", 9),
            process(&network, "pod-b", 5),
            process(&network, "pod-a", 5),
            // It started last, but was gone when the connection came.
            process(&network, "pod-gone", 4).with(Attribute::EndTime, network.now.minus_micros(1)),
        ];
        let connection = network.connection("west:10");
        let site = network.started(RecordKind::Site, "site-west", "");
        network.report(controller, &[site]);
        network.report(west, &[connection]);
        for position in order {
            network.report(controller, &processes[position..=position]);
        }
        let snapshot = network.snapshot();
        assert_eq!(find(&snapshot, "west:10").process().expect("there are four").id(), "pod-a");
    }
}

#[test]
fn a_process_that_moves_to_another_host_is_found_there_only() {
    // faults 12
    let mut network = Network::new();
    let west = network.west();
    let controller = network.controller("site-west");
    let connection = network.connection("west:10");
    network.report(west, &[connection]);
    let at = |network: &Network, host: &str| {
        network.started(RecordKind::Process, "pod", "site-west").with(Attribute::SourceHost, host)
    };
    let site = network.started(RecordKind::Site, "site-west", "");
    let (here, there) = (at(&network, "10.0.0.9"), at(&network, "10.0.0.8"));
    network.report(controller, &[here, site]);
    assert!(find(&network.snapshot(), "west:10").process().is_some());
    network.report(controller, &[there]);
    assert!(find(&network.snapshot(), "west:10").process().is_none());
}

#[test]
fn a_site_lives_while_any_source_vouches_for_it() {
    // faults 13
    let mut network = Network::new();
    let (router, controller) = (network.router("west:0"), network.controller("site-west"));
    let site = network.started(RecordKind::Site, "site-west", "");
    network.report(router, std::slice::from_ref(&site));
    network.report(controller, &[site]);
    network.store.source_lost(router, network.now, network.now);
    assert_eq!(live(&network.snapshot(), RecordKind::Site), ["site-west"]);
    let back = network.router("west:0");
    let site = network.started(RecordKind::Site, "site-west", "");
    network.report(back, &[site]);
    let ended = change(RecordKind::Site, "site-west").with(Attribute::EndTime, network.now);
    network.report(controller, std::slice::from_ref(&ended));
    assert_eq!(
        live(&network.snapshot(), RecordKind::Site),
        ["site-west"],
        "the controller left, the router stays"
    );
    network.report(back, &[ended]);
    assert_eq!(live(&network.snapshot(), RecordKind::Site), [""; 0]);
}

#[test]
fn links_reported_again_are_the_same_links_and_go_down_and_up() {
    // faults 14
    let mut network = Network::new();
    let west = network.west();
    let link = |id: &str, network: &Network| {
        network
            .started(RecordKind::Link, id, "west:0")
            .with(Attribute::Peer, "east:1")
            .with(Attribute::OperStatus, "up")
            .with(Attribute::DownCount, 0)
    };
    let links = [link("west:5", &network), link("west:6", &network)];
    network.report(west, &links);
    network.report(west, &links);
    assert_eq!(live(&network.snapshot(), RecordKind::Link), ["west:5", "west:6"], "two links to one site");
    let down =
        change(RecordKind::Link, "west:5").with(Attribute::OperStatus, "down").with(Attribute::DownCount, 1);
    network.report(west, &[down]);
    let snapshot = network.snapshot();
    let link = find(&snapshot, "west:5");
    assert_eq!(link.text(Attribute::OperStatus).expect("it was reported"), "down");
    assert_eq!(link.uint(Attribute::DownCount), Some(1));
    assert_eq!(link.peer().map(|_| ()), None, "the far router has not been seen");
    assert_eq!(link.text(Attribute::Peer).expect("it was reported"), "east:1");
}

#[test]
fn edges_lead_both_ways() {
    // faults 8
    let mut network = Network::new();
    let west = network.west();
    let east = network.router("east:0");
    let controller = network.controller("site-west");
    let link = network.started(RecordKind::Link, "west:5", "west:0").with(Attribute::Peer, "east:1");
    let connector = network
        .started(RecordKind::Connector, "west:6", "west:0")
        .with(Attribute::VanAddress, "echo")
        .with(Attribute::DestHost, "10.0.0.9");
    let connection = network.connection("west:10").with(Attribute::Connector, "west:6");
    let request = network.started(RecordKind::BiflowApp, "west:11", "west:10");
    network.report(west, &[link, connector, request, connection]);
    let access = network.started(RecordKind::RouterAccess, "east:1", "east:0");
    network.report(east, &[access]);
    let process =
        network.started(RecordKind::Process, "pod", "site-west").with(Attribute::SourceHost, "10.0.0.9");
    let site = network.started(RecordKind::Site, "site-west", "");
    network.report(controller, &[process, site]);
    let snapshot = network.snapshot();
    assert_eq!(ids(find(&snapshot, "site-west").children()), ["pod", "west:0"]);
    assert_eq!(ids(find(&snapshot, "west:0").children()), ["west:1", "west:5", "west:6"]);
    assert_eq!(find(&snapshot, "west:5").peer().expect("it was reported").id(), "east:1");
    assert_eq!(ids(find(&snapshot, "east:1").links()), ["west:5"]);
    assert_eq!(ids(find(&snapshot, "west:1").children()), ["west:10"]);
    assert_eq!(ids(find(&snapshot, "west:6").connections()), ["west:10"]);
    assert_eq!(ids(find(&snapshot, "west:10").children()), ["west:11"]);
    assert_eq!(find(&snapshot, "west:11").parent().expect("it was reported").id(), "west:10");
    assert_eq!(find(&snapshot, "west:6").process().expect("it is at that host").id(), "pod");
    assert_eq!(ids(find(&snapshot, "pod").connectors()), ["west:6"]);
}

#[test]
fn a_router_with_too_many_flows_is_said_to_lack_some() {
    // faults 15
    let mut network = Network::new();
    let west = network.west();
    let lacks = |network: &Network| network.snapshot().sources().any(|source| source.lacks_flows());
    let connections: Vec<_> =
        (0..5000).map(|number| network.connection(&format!("west:{}", number + 10))).collect();
    network.report(west, &connections[..4999]);
    assert!(!lacks(&network));
    network.report(west, &connections[4999..]);
    assert!(lacks(&network));
    network.report(west, &[change(RecordKind::BiflowTport, "west:10").with(Attribute::EndTime, network.now)]);
    assert!(!lacks(&network));
}

#[test]
fn an_idle_connection_outlives_the_retention_time() {
    // faults 16
    let mut network = Network::new();
    let west = network.west();
    let connection = network.connection("west:10");
    network.report(west, &[connection]);
    network.wait(24 * 3600);
    assert_eq!(live(&network.snapshot(), RecordKind::BiflowTport), ["west:10"]);
}

#[test]
fn the_memory_bound_evicts_ended_records_oldest_first_and_never_live_ones() {
    // faults 16
    let mut options = StoreOptions::default();
    options.memory_bound = Some(200_000);
    let mut network = Network::with(options);
    let west = network.west();
    let live_one = network.connection("west:9");
    network.report(west, &[live_one]);
    for number in 10..3010 {
        network.now = network.now.plus_micros(1000);
        let connection = network.connection(&format!("west:{number}")).with(Attribute::EndTime, network.now);
        network.report(west, &[connection]);
    }
    network.wait(1);
    let stats = network.store.stats();
    assert!(stats.memory <= 200_000, "{stats:?}");
    let snapshot = network.snapshot();
    let left: Vec<_> = snapshot.of_kind(RecordKind::BiflowTport).collect();
    assert_eq!(left.len() as u64 + stats.evicted, 3001);
    assert!(left.len() > 300, "{}", left.len());
    assert!(find(&snapshot, "west:9").is_live());
    let oldest = left.iter().filter_map(Record::end).min().expect("some are left");
    let newest = left.iter().filter_map(Record::end).max().expect("some are left");
    assert_eq!(newest.micros_since(oldest), (left.len() as u64 - 2) * 1000, "those that ended last are left");
    let service = snapshot.services().next().expect("it is live");
    assert_eq!(service.total_flows(), 3001, "and all are counted");
}

#[test]
fn what_is_unknown_is_kept_and_what_is_wrong_is_counted() {
    // faults 17
    let mut network = Network::new();
    let west = network.west();
    let strange = UpdateBuf {
        type_code: Some(4711),
        id: "west:30".into(),
        attributes: vec![
            (Attribute::Name.code(), ValueBuf::Uint(7)),
            (Attribute::StartTime.code(), "yesterday".into()),
            (Attribute::Octets.code(), ValueBuf::Null),
            (68, "new".into()),
            (70_000, ValueBuf::Encoded(Box::new([0xc0, 1, 0]))),
        ],
    };
    network.report(west, &[strange]);
    let snapshot = network.snapshot();
    let record = find(&snapshot, "west:30");
    assert_eq!((record.kind(), record.type_code()), (None, Some(4711)));
    assert_eq!(
        format!("{:?}", record.fields().collect::<Vec<_>>()),
        "[(3, Other(Text(\"yesterday\"))), (30, Other(Uint(7))), (68, Text(\"new\")), \
         (70000, Other(Encoded([192, 1, 0])))]"
    );
    let oddities = network.store.stats().oddities;
    let counted: Vec<_> = oddities.iter().map(|(oddity, count)| (oddity.name(), count)).collect();
    assert_eq!(counted, [("wrong_type", 2), ("no_value", 1), ("unknown_attribute", 2), ("unknown_type", 1)]);
    // A value of the right type takes the place of the wrong one.
    network.report(
        west,
        &[UpdateBuf {
            type_code: Some(4711),
            id: "west:30".into(),
            attributes: vec![(Attribute::StartTime.code(), 5.into()), (Attribute::Name.code(), "n".into())],
        }],
    );
    let snapshot = network.snapshot();
    let record = find(&snapshot, "west:30");
    assert_eq!(record.start(), Some(Timestamp::from_micros(5)));
    assert_eq!(record.text(Attribute::Name).expect("it was reported"), "n");
}

#[test]
fn a_record_reported_as_another_kind_is_refused_and_counted() {
    // faults 17
    let mut network = Network::new();
    let west = network.west();
    network.report(west, &[change(RecordKind::Link, "west:1").with(Attribute::Role, "edge")]);
    assert_eq!(find(&network.snapshot(), "west:1").kind(), Some(RecordKind::Listener));
    network.report(west, &[UpdateBuf { type_code: None, id: "west:99".into(), attributes: Vec::new() }]);
    let oddities = network.store.stats().oddities;
    assert_eq!((oddities.count(Oddity::TypeChanged), oddities.count(Oddity::NoType)), (1, 1));
}

#[test]
fn records_that_are_reported_to_be_their_own_parents_do_no_harm() {
    // faults 17
    let mut network = Network::new();
    let west = network.west();
    network.report(
        west,
        &[
            change(RecordKind::BiflowApp, "west:40").with(Attribute::Parent, "west:40"),
            change(RecordKind::Flow, "west:41").with(Attribute::Parent, "west:42"),
            change(RecordKind::Flow, "west:42").with(Attribute::Parent, "west:41"),
            change(RecordKind::Connector, "west:43").with(Attribute::Parent, "west:43"),
        ],
    );
    let snapshot = network.snapshot();
    for id in ["west:40", "west:41", "west:42", "west:43"] {
        let record = find(&snapshot, id);
        assert!(
            record.process().is_none() && record.server_process().is_none() && record.site().is_none(),
            "{id}"
        );
        assert!(record.service().is_none() && record.children().count() == 1, "{id}");
    }
}

#[test]
fn a_watcher_that_sleeps_gets_the_latest_state_of_each_changed_record() {
    // faults 19
    let mut options = StoreOptions::default();
    options.remembered_changes = 100;
    let mut network = Network::with(options);
    let west = network.west();
    let seen = network.store.revision();
    let connection = network.connection("west:10");
    network.report(west, &[connection]);
    for octets in 1..=20 {
        network.report(west, &[change(RecordKind::BiflowTport, "west:10").with(Attribute::Octets, octets)]);
    }
    let changes = network.store.changes(seen, usize::MAX);
    let snapshot = network.snapshot();
    let changed: Vec<_> = changes
        .records
        .iter()
        .filter_map(|&at| snapshot.get(at))
        .filter(|record| record.as_service().is_none())
        .map(|record| (record.id().to_string(), record.uint(Attribute::Octets)))
        .collect();
    assert_eq!(changed, [("west:10".to_owned(), Some(20))]);
    assert_eq!(changes.upto, network.store.revision());
    for octets in 21..=200 {
        network.report(west, &[change(RecordKind::BiflowTport, "west:10").with(Attribute::Octets, octets)]);
    }
    assert!(network.store.changes(seen, usize::MAX).overrun);
    let snapshot = network.snapshot();
    assert_eq!(ids(snapshot.records().filter(|record| record.revision() > seen)), ["west:10"]);
    assert!(Revision::default() < seen);
}

#[test]
fn durations_of_live_records_are_by_the_clock_of_their_source() {
    // faults 20
    let mut network = Network::new();
    let west = network.west();
    let ahead = network.now.plus_micros(3600 * SECOND);
    network.store.heartbeat(west, ahead, network.now);
    network.report(west, &[change(RecordKind::BiflowTport, "west:10").with(Attribute::StartTime, ahead)]);
    network.wait(7);
    let snapshot = network.snapshot();
    assert_eq!(find(&snapshot, "west:10").duration_micros(), Some(7 * SECOND));
}

#[test]
fn what_a_former_run_held_comes_back_and_is_swept_or_repeated() {
    // faults 22
    let mut network = Network::new();
    let west = network.west();
    let (stays, goes, ended) = (
        network.connection("west:10"),
        network.connection("west:11"),
        network.connection("west:12").with(Attribute::EndTime, network.now),
    );
    network.report(west, &[stays.clone(), goes, ended]);
    let before = network.snapshot();
    let mut after = Network::new();
    let source = after.router("west:0");
    after.wait(60);
    let persisted: Vec<_> = before
        .records()
        .map(|record| {
            let attributes = record.fields().map(|(code, field)| {
                let value = match field {
                    vanflow_store::Field::Uint(number) => number.into(),
                    vanflow_store::Field::Text(text) => text.to_string().into(),
                    other => panic!("nobody reported {other:?}"),
                };
                (code, value)
            });
            let update = UpdateBuf {
                type_code: record.type_code(),
                id: record.id().to_string(),
                attributes: attributes.collect(),
            };
            (update, record.ended())
        })
        .collect();
    for (update, ended) in persisted {
        after.store.restore(source, &update, ended);
    }
    let all = |network: &Network| ids(network.snapshot().records());
    assert_eq!(all(&after), all(&network));
    assert_eq!(live(&after.snapshot(), RecordKind::BiflowTport), ["west:10", "west:11"]);
    after.store.epoch_started(source, after.now);
    let start = Timestamp::from_micros(1_795_347_888 * SECOND);
    after.report(source, &[change(RecordKind::Router, "west:0").with(Attribute::StartTime, start), stays]);
    after.wait(11);
    after.store.source_settled(source, Extent::All, after.now);
    assert_eq!(live(&after.snapshot(), RecordKind::BiflowTport), ["west:10"]);
    after.wait(15 * 60 - 70);
    assert!(
        after.snapshot().find("west:12").next().is_none(),
        "its time counts from when it ended, not from now"
    );
    assert!(after.snapshot().find("west:11").next().is_some());
}

#[test]
fn a_router_that_restarted_while_we_were_away_is_not_mixed_with_what_we_held() {
    // faults 6 and 22
    let mut network = Network::new();
    let source = network.router("west:0");
    let held = network.connection("west:10").with(Attribute::Octets, 7);
    network.store.restore(source, &held, None);
    network.wait(5);
    let new = network.connection("west:10");
    network.report(source, &[new]);
    let snapshot = network.snapshot();
    let octets: Vec<_> =
        snapshot.find("west:10").map(|record| (record.is_live(), record.uint(Attribute::Octets))).collect();
    assert_eq!(octets, [(true, None), (false, Some(7))]);
}

#[test]
fn a_source_that_reports_a_newer_start_of_a_router_of_another_name_changes_that_record() {
    let mut network = Network::new();
    let west = network.router("west:0");
    let router = |start: u64| UpdateBuf::new(RecordKind::Router, "east:0").with(Attribute::StartTime, start);
    network.report(west, &[router(5)]);
    network.report(west, &[router(6)]);
    let snapshot = network.snapshot();
    assert_eq!(snapshot.find("east:0").count(), 1);
    assert_eq!(find(&snapshot, "east:0").start(), Some(Timestamp::from_micros(6)));
    assert!(find(&snapshot, "east:0").is_live());
}
