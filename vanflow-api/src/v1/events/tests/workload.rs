//! Processes, and what routers log.

use vanflow_proto::{Attribute, RecordKind, UpdateBuf};

use super::{BEGAN, LONG_AGO, Net, SECOND, new};

fn pod(net: &Net, number: u64, group: &str) -> UpdateBuf {
    UpdateBuf::new(RecordKind::Process, format!("p{number}"))
        .with(Attribute::Parent, "site-w")
        .with(Attribute::StartTime, net.now)
        .with(Attribute::Name, format!("{group}-{number}"))
        .with(Attribute::Group, group)
}

fn end(net: &Net, number: u64) -> UpdateBuf {
    UpdateBuf::new(RecordKind::Process, format!("p{number}")).with(Attribute::EndTime, net.now)
}

#[test]
fn processes_of_a_component_that_come_and_go_together_are_one_event_each() {
    let mut net = Net::new();
    net.report("site-w", &[pod(&net, 1, "checkout")]);
    assert_eq!(net.told(), ["60 change processStarted: process checkout-1 started (of checkout)"]);
    assert_eq!(net.events()[0].subject.subject_type.name(), "process");
    net.pass(2);
    net.report("site-w", &[pod(&net, 2, "checkout"), pod(&net, 3, "cart")]);
    net.pass(2);
    net.report("site-w", &[end(&net, 1)]);
    net.pass(2);
    net.report("site-w", &[end(&net, 2)]);
    net.pass(30);
    net.report("site-w", &[pod(&net, 4, "checkout")]);
    assert_eq!(
        net.told(),
        [
            "60 change processStarted: 2 processes of checkout started",
            "62 change processStarted: process cart-3 started (of cart)",
            "64 change processEnded: 2 processes of checkout ended",
            "96 change processStarted: process checkout-4 started (of checkout)",
        ]
    );
    let started = net.events()[0];
    assert_eq!((started.count, started.identity, started.number), (Some(2), 1, 2));
    assert_eq!((started.subject.subject_type.name(), &*started.subject.name), ("component", "checkout"));
    assert_eq!(started.end.map(|end| end.as_micros()), Some(BEGAN + 62 * SECOND));
}

#[test]
fn processes_that_a_source_repeats_are_no_event_and_those_that_it_does_not_repeat_are() {
    // faults 27
    let mut net = Net::new();
    let old = |number: u64| new(RecordKind::Process, &format!("p{number}")).with(Attribute::Group, "web");
    net.report("site-w", &[old(1), old(2)]);
    assert_eq!(net.told(), [""; 0], "they have run for long");
    let source = net.id("site-w");
    net.store.epoch_started(source, net.now);
    net.report("site-w", &[new(RecordKind::Site, "site-w"), old(1)]);
    net.settle("site-w");
    assert_eq!(net.told(), ["60 change processEnded: process p2 ended (of web)"]);
}

#[test]
fn processes_of_a_controller_that_is_lost_are_not_said_to_have_ended() {
    // faults 4, 5
    let mut net = Net::new();
    net.report("site-w", &[new(RecordKind::Process, "p1").with(Attribute::Group, "web")]);
    net.lose("site-w");
    net.source("site-w", vanflow_proto::SourceType::Controller);
    net.report("site-w", &[new(RecordKind::Process, "p1").with(Attribute::Group, "web")]);
    let kinds: Vec<_> = net.events().into_iter().map(|event| event.kind.name()).collect();
    assert!(!kinds.contains(&"processEnded") && !kinds.contains(&"processStarted"), "{kinds:?}");
}

fn log(net: &Net, number: u64, severity: u64, text: &str) -> UpdateBuf {
    UpdateBuf::new(RecordKind::Log, format!("west:{number}"))
        .with(Attribute::Parent, "west:0")
        .with(Attribute::StartTime, net.now)
        .with(Attribute::EndTime, net.now)
        .with(Attribute::LogSeverity, severity)
        .with(Attribute::LogText, text)
}

#[test]
fn warnings_and_errors_of_routers_are_events_and_what_they_repeat_is_counted() {
    let mut net = Net::new();
    let failed = |number: u64| format!("[C{number}] Connection from 10.0.0.1:{number} failed");
    net.report("west:0", &[log(&net, 100, 1, "Updated a profile"), log(&net, 101, 2, "The queue is full")]);
    for number in 1..=3 {
        net.report("west:0", &[log(&net, 200 + number, 3, &failed(number))]);
        net.pass(10);
    }
    net.report("west:0", &[log(&net, 102, 4, "Out of memory")]);
    net.pass(60);
    net.report("west:0", &[log(&net, 301, 3, &failed(4))]);
    assert_eq!(
        net.told(),
        [
            "60 warn warning: west-1 logged a warning (The queue is full)",
            "60 warn warning: west-1 logged an error ([C1] Connection from 10.0.0.1:1 failed)",
            "90 bad warning: west-1 logged a critical error (Out of memory)",
            "150 warn warning: west-1 logged an error ([C4] Connection from 10.0.0.1:4 failed)",
        ]
    );
    assert_eq!(net.events()[1].count, Some(3));
}

#[test]
fn a_certificate_that_was_not_accepted_is_bad_however_it_is_logged() {
    let mut net = Net::new();
    let expired = "Connection failed: SSL Failure: ssl/tls alert certificate expired";
    net.report("west:0", &[log(&net, 100, 1, expired)]);
    assert_eq!(
        net.told(),
        [format!("60 bad certificate: west-1 had a connection fail for a certificate ({expired})")]
    );
}

#[test]
fn what_a_router_logs_is_one_line_without_control_characters() {
    // faults 17
    let mut net = Net::new();
    net.report("west:0", &[log(&net, 100, 3, "first\nsecond\u{1b}[31m")]);
    assert_eq!(net.events()[0].detail.as_deref(), Some("first second [31m"));
}

#[test]
fn lines_of_before_are_no_events() {
    let mut net = Net::new();
    net.report("west:0", &[log(&net, 100, 3, "long ago").with(Attribute::StartTime, LONG_AGO)]);
    assert_eq!(net.told(), [""; 0]);
}

#[test]
fn a_flood_of_lines_is_bounded_and_counted() {
    let mut net = Net::new();
    let letters =
        |number: u64| (0..8).map(|bit| if number >> bit & 1 == 1 { 'x' } else { 'y' }).collect::<String>();
    let flood: Vec<_> = (0..200).map(|number| log(&net, 1000 + number, 3, &letters(number))).collect();
    net.report("west:0", &flood);
    assert_eq!(net.events().len(), 20);
    assert_eq!(net.recorder.timeline().dropped(), 180);
}
