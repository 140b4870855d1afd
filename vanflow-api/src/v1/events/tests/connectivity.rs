//! Links, routers, sites and sources.

use vanflow_proto::{Attribute, RecordKind, SourceType, UpdateBuf};

use super::{Net, SECOND, link, new};

fn down(net: &Net, count: u64) -> UpdateBuf {
    link("west:7")
        .with(Attribute::OperStatus, "down")
        .with(Attribute::DownCount, count)
        .with(Attribute::DownTimeStamp, net.now)
        .with(Attribute::Result, "amqp:connection:framing-error")
        .with(Attribute::Reason, "connection aborted")
}

fn up(net: &Net) -> UpdateBuf {
    link("west:7").with(Attribute::OperStatus, "up").with(Attribute::UpTimeStamp, net.now)
}

#[test]
fn a_link_that_goes_down_and_up_says_why_and_for_how_long() {
    let mut net = Net::new();
    net.report("west:0", &[down(&net, 1)]);
    assert_eq!(net.events()[0].end, None);
    net.pass(6);
    net.report("west:0", &[up(&net)]);
    assert_eq!(
        net.told(),
        [
            "60 bad linkDown: link west-1 – east is down (amqp:connection:framing-error: connection aborted)",
            "66 fine linkUp: link west-1 – east is up again, it was down for 6.0 s",
        ]
    );
    assert_eq!(net.events()[0].end, Some(net.now), "it says when it was over");
    assert_eq!(net.events()[0].place.as_ref().and_then(|place| place.name.as_deref()), Some("west"));
}

#[test]
fn a_link_that_goes_down_again_says_how_often_it_did_in_a_quarter_of_an_hour() {
    // faults 14
    let mut net = Net::new();
    for count in 1..=3 {
        net.report("west:0", &[down(&net, count)]);
        net.pass(2);
        net.report("west:0", &[up(&net)]);
        net.pass(298);
    }
    net.pass(600);
    net.report("west:0", &[down(&net, 4)]);
    let downs = net.events().into_iter().filter(|event| event.kind.name() == "linkDown");
    assert_eq!(
        downs.map(|event| event.text.as_str()).collect::<Vec<_>>(),
        [
            "link west-1 – east is down",
            "link west-1 – east is down, for the 2nd time in 15 min",
            "link west-1 – east is down, for the 3rd time in 15 min",
            "link west-1 – east is down, for the 2nd time in 15 min",
        ]
    );
}

#[test]
fn a_link_that_was_down_between_two_reports_is_one_event() {
    // faults 28
    let mut net = Net::new();
    net.report("west:0", &[link("west:7").with(Attribute::DownCount, 3)]);
    let (went, came) = (net.now.plus_micros(SECOND), net.now.plus_micros(SECOND + 300_000));
    net.pass(2);
    net.report(
        "west:0",
        &[link("west:7")
            .with(Attribute::OperStatus, "up")
            .with(Attribute::DownCount, 4)
            .with(Attribute::DownTimeStamp, went)
            .with(Attribute::UpTimeStamp, came)],
    );
    assert_eq!(net.told(), ["61 bad linkDown: link west-1 – east was down for 300 ms"]);
    net.pass(1);
    net.report("west:0", &[link("west:7").with(Attribute::DownCount, 6)]);
    assert_eq!(net.events()[1].text, "link west-1 – east was down twice, for the 3rd time in 15 min");
    assert_eq!(net.events()[1].count, Some(2));
}

#[test]
fn a_link_whose_certificate_is_renewed_stays_up() {
    // faults 14
    let mut net = Net::new();
    net.report("west:0", &[link("west:70").with(Attribute::OperStatus, "up")]);
    net.pass(5);
    net.report("west:0", &[link("west:7").with(Attribute::EndTime, net.now)]);
    net.pass(5);
    assert_eq!(net.told(), [""; 0]);
    net.report("west:0", &[link("west:70").with(Attribute::EndTime, net.now)]);
    assert_eq!(net.told(), ["70 change linkDown: link west-1 – east was removed"]);
}

#[test]
fn a_link_between_old_routers_is_one_though_both_report_it() {
    // faults 32
    let mut net = Net::new();
    let side = |net: &Net, id: &str, router: &str, name: &str, direction: &str| {
        UpdateBuf::new(RecordKind::Link, id)
            .with(Attribute::Parent, router)
            .with(Attribute::StartTime, net.now)
            .with(Attribute::Name, name)
            .with(Attribute::Direction, direction)
    };
    let end = |net: &Net, id: &str| UpdateBuf::new(RecordKind::Link, id).with(Attribute::EndTime, net.now);
    net.report("west:0", &[side(&net, "west:8", "west:0", "east-1", "outgoing")]);
    net.report("east:0", &[side(&net, "east:8", "east:0", "west-1", "incoming")]);
    net.pass(5);
    net.report("west:0", &[end(&net, "west:8")]);
    net.report("east:0", &[end(&net, "east:8")]);
    net.pass(4);
    net.report("east:0", &[side(&net, "east:9", "east:0", "west-1", "incoming")]);
    net.report("west:0", &[side(&net, "west:9", "west:0", "east-1", "outgoing")]);
    assert_eq!(
        net.told(),
        [
            "60 fine linkUp: link west-1 – east-1 is up",
            "65 bad linkDown: link west-1 – east-1 is down",
            "69 fine linkUp: link west-1 – east-1 is up again, it was down for 4.0 s",
        ]
    );
}

#[test]
fn a_link_whose_router_comes_late_is_placed_when_it_comes() {
    // faults 8
    let mut net = Net::new();
    net.source("north:0", SourceType::Router);
    let north = |id: &str| link(id).with(Attribute::Parent, "north:0");
    net.report("north:0", &[north("north:7").with(Attribute::OperStatus, "up")]);
    net.router("north:0", "0/north-1");
    net.pass(1);
    net.report("north:0", &[north("north:7").with(Attribute::OperStatus, "down")]);
    assert_eq!(
        net.told(),
        [
            "60 change routerStarted: router north-1 joined the network",
            "60 fine linkUp: link north-1 – east is up",
            "61 bad linkDown: link north-1 – east is down",
        ]
    );
}

#[test]
fn a_router_that_restarts_in_its_pod_is_one_event() {
    // faults 6
    let mut net = Net::new();
    let source = net.id("east:0");
    net.store.source_restarted(source, net.now);
    net.look();
    net.pass(1);
    let router = UpdateBuf::new(RecordKind::Router, "east:0").with(Attribute::StartTime, net.now);
    net.report("east:0", &[router.with(Attribute::Name, "0/east-1").with(Attribute::Parent, "site-w")]);
    net.pass(20);
    assert_eq!(
        net.told(),
        ["61 warn routerRestarted: router east-1 restarted (it has the identity that it had)"]
    );
}

#[test]
fn a_router_that_returns_under_another_id_restarted_and_was_not_lost() {
    // faults 7
    let mut net = Net::new();
    net.pass(5);
    net.source("tsae:0", SourceType::Router);
    let router = UpdateBuf::new(RecordKind::Router, "tsae:0").with(Attribute::StartTime, net.now);
    net.report("tsae:0", &[router.with(Attribute::Name, "0/east-1").with(Attribute::Parent, "site-w")]);
    net.lose("east:0");
    assert_eq!(net.told(), ["65 warn routerRestarted: router east-1 restarted (it has a new identity)"]);
}

#[test]
fn a_router_that_falls_silent_is_lost_until_it_is_back() {
    // faults 4, 5
    let mut net = Net::new();
    net.lose("east:0");
    net.pass(60);
    net.router("east:0", "0/east-1");
    assert_eq!(
        net.told(),
        [
            "90 bad routerLost: router east-1 was lost (nothing was received from it for 30 s)",
            "150 fine routerStarted: router east-1 is back after 60 s",
        ]
    );
    assert_eq!(net.events()[0].end, Some(net.now));
}

#[test]
fn a_router_that_was_lost_and_comes_back_anew_says_how_long_it_was_away() {
    // faults 7
    let mut net = Net::new();
    net.lose("east:0");
    net.pass(60);
    net.source("tsae:0", SourceType::Router);
    let router = UpdateBuf::new(RecordKind::Router, "tsae:0").with(Attribute::StartTime, net.now);
    net.report("tsae:0", &[router.with(Attribute::Name, "0/east-1")]);
    assert_eq!(
        net.told()[1],
        "150 warn routerRestarted: router east-1 restarted (it was away for 60 s, and it has a new identity)"
    );
}

#[test]
fn links_of_a_router_that_is_lost_are_down_and_say_so() {
    // faults 4
    let mut net = Net::new();
    net.lose("west:0");
    assert_eq!(
        net.told(),
        [
            "90 bad routerLost: router west-1 was lost (nothing was received from it for 30 s)",
            "90 bad linkDown: link west-1 – east is down (router west-1 was lost)",
        ]
    );
}

#[test]
fn a_router_that_says_goodbye_stopped() {
    let mut net = Net::new();
    net.report("east:0", &[UpdateBuf::new(RecordKind::Router, "east:0").with(Attribute::EndTime, net.now)]);
    assert_eq!(net.told(), ["60 warn routerLost: router east-1 stopped"]);
}

#[test]
fn a_router_that_its_source_repeats_no_more_is_said_to_be_gone_once_it_had_time_to_return() {
    let mut net = Net::new();
    let source = net.id("east:0");
    net.store.epoch_started(source, net.now);
    net.settle("east:0");
    assert_eq!(net.told(), [""; 0], "it may be restarting");
    net.pass(5);
    assert_eq!(net.told()[0], "60 warn routerLost: router east-1 is reported no more");
}

#[test]
fn a_site_that_joins_and_leaves_is_told_with_its_controller() {
    // faults 13
    let mut net = Net::new();
    net.source("site-n", SourceType::Controller);
    let site = UpdateBuf::new(RecordKind::Site, "site-n").with(Attribute::Name, "north");
    net.report("site-n", &[site.clone().with(Attribute::StartTime, net.now)]);
    net.report("site-w", &[new(RecordKind::Site, "site-old").with(Attribute::Name, "attic")]);
    net.pass(5);
    net.report("site-w", &[UpdateBuf::new(RecordKind::Site, "site-old").with(Attribute::EndTime, net.now)]);
    net.lose("site-n");
    net.pass(90);
    net.source("site-n", SourceType::Controller);
    net.report("site-n", &[site]);
    assert_eq!(
        net.told(),
        [
            "60 change sourceSeen: the controller of north joined the network",
            "60 change siteStarted: site north started",
            "60 change siteStarted: site attic joined the network",
            "65 change siteEnded: site attic ended",
            "95 warn sourceLost: the controller of north was lost (nothing was received from it for 30 s)",
            "95 warn siteEnded: site north was lost (no source reports it any more)",
            "185 change sourceSeen: the controller of north is back after 90 s",
            "185 change siteStarted: site north is back after 90 s",
        ]
    );
}

#[test]
fn a_source_that_does_not_answer_is_incomplete_until_it_does() {
    // faults 1
    let mut net = Net::new();
    let source = net.id("east:0");
    net.store.epoch_started(source, net.now);
    net.look();
    net.pass(9);
    assert_eq!(net.told(), [""; 0], "it was asked just now");
    net.pass(6);
    net.store.source_answered(source, net.now);
    net.look();
    assert_eq!(
        net.told(),
        [
            "60 warn sourceIncomplete: router east-1 is incomplete (it was asked for all that it has, and has not \
             repeated all of it)",
            "75 fine sourceComplete: router east-1 is complete after 15 s",
        ]
    );
    assert_eq!(net.events()[0].end, Some(net.now));
}
