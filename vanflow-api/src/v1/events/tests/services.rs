//! Services, by their connectors and by what connections to them come to.

use vanflow_proto::{Attribute, RecordKind, UpdateBuf};

use super::{BEGAN, Net, SECOND, new};

const REFUSED: &str = "proton:io (Connection refused - on connect 10.0.0.9:8080)";

fn listener(id: &str) -> UpdateBuf {
    new(RecordKind::Listener, id)
        .with(Attribute::Parent, "west:0")
        .with(Attribute::Protocol, "tcp")
        .with(Attribute::VanAddress, "cart:8080")
}

fn connector(id: &str) -> UpdateBuf {
    new(RecordKind::Connector, id)
        .with(Attribute::Parent, "east:0")
        .with(Attribute::Protocol, "tcp")
        .with(Attribute::VanAddress, "cart:8080")
        .with(Attribute::DestHost, "10.0.0.9")
}

fn end(net: &Net, kind: RecordKind, id: &str) -> UpdateBuf {
    UpdateBuf::new(kind, id).with(Attribute::EndTime, net.now)
}

/// A network with a service.
fn served() -> Net {
    let mut net = Net::new();
    net.report("east:0", &[connector("east:30")]);
    net.report("west:0", &[listener("west:20")]);
    net
}

/// A connection that began and ended.
fn connection(net: &Net, number: u64) -> UpdateBuf {
    UpdateBuf::new(RecordKind::BiflowTport, format!("west:{number}"))
        .with(Attribute::Parent, "west:20")
        .with(Attribute::Connector, "east:30")
        .with(Attribute::SourceHost, "10.0.0.1")
        .with(Attribute::StartTime, net.now)
        .with(Attribute::EndTime, net.now)
}

fn refuse(net: &mut Net, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let refused = connection(net, number).with(Attribute::ErrorConnectorSide, REFUSED);
        net.report(
            "west:0",
            &[refused.with(Attribute::ErrorListenerSide, "delivery-failed (destination unreachable)")],
        );
        net.pass(1);
    }
}

#[test]
fn a_service_that_loses_its_last_connector_is_told_until_it_has_one_again() {
    let mut net = served();
    net.report("east:0", &[connector("east:31")]);
    net.pass(5);
    net.report("east:0", &[end(&net, RecordKind::Connector, "east:30")]);
    net.pass(5);
    assert_eq!(net.told(), [""; 0], "it has another");
    net.report("east:0", &[end(&net, RecordKind::Connector, "east:31")]);
    net.pass(1);
    assert_eq!(
        net.told(),
        [
            "70 bad serviceWithoutConnector: cart:8080 has no connector any more (1 listener, no connector in any site)"
        ]
    );
    net.pass(41);
    net.report("east:0", &[connector("east:32")]);
    assert_eq!(net.told()[1], "112 fine serviceServed: cart:8080 has a connector again after 42 s");
    assert_eq!(net.events()[0].end, Some(net.now));
    assert_eq!(net.events()[0].subject.subject_type.name(), "service");
}

#[test]
fn connectors_that_a_router_reports_anew_when_it_restarts_are_not_missed() {
    // faults 6
    let mut net = served();
    net.report("east:0", &[end(&net, RecordKind::Connector, "east:30")]);
    net.report("east:0", &[connector("east:40")]);
    net.pass(30);
    assert_eq!(net.told(), [""; 0]);
}

#[test]
fn a_service_that_is_new_has_some_time_to_get_a_connector() {
    let mut net = Net::new();
    net.report("west:0", &[listener("west:20")]);
    net.pass(9);
    assert_eq!(net.told(), [""; 0]);
    net.pass(1);
    assert_eq!(
        net.told(),
        ["60 bad serviceWithoutConnector: cart:8080 has no connector (1 listener, no connector in any site)"]
    );
}

#[test]
fn a_service_that_nobody_offers_any_more_is_not_missed() {
    let mut net = served();
    net.report("west:0", &[end(&net, RecordKind::Listener, "west:20")]);
    net.report("east:0", &[end(&net, RecordKind::Connector, "east:30")]);
    net.pass(30);
    assert_eq!(net.told(), [""; 0]);
    net.report("west:0", &[listener("west:21")]);
    net.pass(10);
    assert_eq!(net.events().len(), 1, "somebody could use it again");
}

#[test]
fn a_service_that_refuses_everything_is_told_until_it_answers() {
    let mut net = served();
    net.report("west:0", &[connection(&net, 100).with(Attribute::Latency, 900)]);
    refuse(&mut net, 101..105);
    assert_eq!(net.told(), [""; 0], "four may be chance");
    refuse(&mut net, 105..110);
    net.pass(31);
    net.report("west:0", &[connection(&net, 110).with(Attribute::Latency, 900)]);
    assert_eq!(
        net.told(),
        [
            format!(
                "60 bad serviceRefused: cart:8080 refuses every connection (5 failed in a row: {REFUSED})"
            ),
            "100 fine serviceAnswers: cart:8080 answers again after 40 s".to_owned(),
        ]
    );
    assert_eq!(net.events()[0].end, Some(net.now));
}

#[test]
fn failures_between_answers_are_not_every_connection() {
    let mut net = served();
    for number in 0..20 {
        refuse(&mut net, 100 + 10 * number..104 + 10 * number);
        net.report("west:0", &[connection(&net, 105 + 10 * number).with(Attribute::Latency, 900)]);
    }
    assert_eq!(net.told(), [""; 0]);
}

#[test]
fn what_fails_for_another_reason_says_which() {
    let mut net = served();
    for number in 0..6 {
        let failed = "proton:io (Connection timed out - on connect 10.0.0.9:8080)";
        net.report("west:0", &[connection(&net, 100 + number).with(Attribute::ErrorConnectorSide, failed)]);
    }
    assert_eq!(
        net.told(),
        [
            "60 bad serviceRefused: every connection to cart:8080 fails (5 failed in a row: proton:io (Connection timed out \
          - on connect 10.0.0.9:8080))"
        ]
    );
}

#[test]
fn connections_that_break_with_a_link_say_nothing_of_the_service() {
    let mut net = served();
    for number in 0..50 {
        let broken = connection(&net, 100 + number)
            .with(Attribute::ErrorListenerSide, "delivery-failed (link lost)")
            .with(Attribute::ErrorConnectorSide, "delivery-failed (link lost)");
        net.report("west:0", &[broken]);
    }
    net.pass(70);
    assert_eq!(net.told(), [""; 0]);
}

#[test]
fn clients_that_break_off_are_counted_by_the_minute() {
    let mut net = served();
    let reset = "proton:io (Connection reset by peer - disconnected 10.0.0.1:40000)";
    for number in 0..12 {
        net.report("west:0", &[connection(&net, 100 + number).with(Attribute::ErrorListenerSide, reset)]);
        net.pass(1);
    }
    assert_eq!(net.told(), [""; 0], "the minute is not over");
    net.pass(60);
    assert_eq!(
        net.told(),
        ["60 warn clientDisconnects: clients of cart:8080 broke connections off 12 times within a minute"]
    );
    let event = net.events()[0];
    assert_eq!((event.count, event.end.map(|end| end.as_micros())), (Some(12), Some(BEGAN + 120 * SECOND)));
}
