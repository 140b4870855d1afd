//! What real routers sent, decoded: checked against Qpid Proton's decoding of the same bytes.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::BufReader,
    path::{Path, PathBuf},
};

use vanflow_proto::{
    Attribute, AttributeKind, Body, Dialect, Encoder, Message, RecordKind, Timestamp, Value,
    capture::{self, Captured},
    discovery::{Action, Discovery, Event, FlushOutcome, Heard, Output, Settings},
};

const CAPTURES: [&str; 3] = ["router-2.7", "router-3.5", "router-3.5-halves"];

fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/captures").join(file)
}

fn messages(name: &str) -> Vec<Captured> {
    read(&path(&format!("{name}.jsonl")))
}

fn read(path: &Path) -> Vec<Captured> {
    let file = File::open(path).expect("the capture is there");
    capture::read(BufReader::new(file)).collect::<Result<_, _>>().expect("the capture reads")
}

fn json(value: Value<'_>) -> serde_json::Value {
    match value {
        Value::Uint(number) => number.into(),
        Value::Text(text) => text.into(),
        other => panic!("real routers send no {other:?}"),
    }
}

#[test]
fn every_record_comes_to_what_qpid_proton_makes_of_it() {
    for name in CAPTURES {
        let mut merged: BTreeMap<String, BTreeMap<String, serde_json::Value>> = BTreeMap::new();
        for captured in messages(name) {
            let message = Message::decode(&captured.message).expect("decodes");
            let Body::Records(updates) = message.body else { continue };
            for update in updates {
                let update = update.expect("decodes");
                let record = merged.entry(update.id.to_owned()).or_default();
                record.insert("1".into(), update.id.into());
                record.insert("0".into(), update.type_code.expect("every update names its type").into());
                record.extend(
                    update.attributes().flatten().map(|(code, value)| (code.to_string(), json(value))),
                );
            }
        }
        let expected = fs::read_to_string(path(&format!("{name}.merged.json"))).expect("the file is there");
        let expected: BTreeMap<String, BTreeMap<String, serde_json::Value>> =
            serde_json::from_str(&expected).expect("it is JSON");
        assert_eq!(merged.len(), expected.len(), "{name}");
        for (id, record) in &merged {
            assert_eq!(Some(record), expected.get(id), "{name}: {id}");
        }
    }
}

#[test]
fn every_message_is_addressed_to_the_link_that_it_came_by() {
    for captured in CAPTURES.into_iter().flat_map(messages) {
        let message = Message::decode(&captured.message).expect("decodes");
        assert!(!matches!(message.body, Body::Other { .. } | Body::Flush), "{message:?}");
        // Controllers address their heartbeats to the address without its suffix.
        assert_eq!(message.to, Some(captured.link.trim_end_matches(".heartbeats")));
    }
}

#[test]
fn every_attribute_has_the_type_and_the_place_that_the_tables_say() {
    for captured in CAPTURES.into_iter().flat_map(messages) {
        let Body::Records(updates) = Message::decode(&captured.message).expect("decodes").body else {
            continue;
        };
        for update in updates.map(|update| update.expect("decodes")) {
            let kind = update.kind().expect("a kind of the table");
            for attribute in update.attributes() {
                let (code, value) = attribute.expect("decodes");
                let attribute = Attribute::from_code(code).expect("an attribute of the table");
                assert!(value.fits(attribute), "{kind} {attribute}: {value:?}");
                assert_ne!(attribute.kind(), AttributeKind::Identity);
                assert!(kind.attributes().contains(&attribute), "{kind} {attribute}");
            }
        }
    }
}

#[test]
fn encoding_what_a_router_sent_gives_the_very_bytes_again() {
    let mut compared = 0;
    for captured in CAPTURES.into_iter().flat_map(messages) {
        let message = Message::decode(&captured.message).expect("decodes");
        // Only routers number their messages; controllers write properties in an order that changes.
        let Some(id) = message.message_id else { continue };
        let encoder = Encoder::new(Dialect::Router);
        let to = message.to.expect("an address");
        let bytes = match message.body {
            Body::Beacon(beacon) => encoder.beacon(id, &beacon),
            Body::Heartbeat(heartbeat) => encoder.heartbeat(to, id, &heartbeat),
            Body::Records(updates) => {
                let updates: Vec<_> = updates.map(|update| update.expect("decodes").to_owned()).collect();
                encoder.records(to, id, &updates)
            }
            body => panic!("not in the captures: {body:?}"),
        };
        assert_eq!(hex(&bytes), hex(&captured.message));
        compared += 1;
    }
    assert_eq!(compared, 1388);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_captures_know_the_kinds_that_protocol_names() {
    let mut kinds: Vec<_> = CAPTURES
        .into_iter()
        .flat_map(messages)
        .flat_map(|captured| {
            let Body::Records(updates) = Message::decode(&captured.message).expect("decodes").body else {
                return Vec::new();
            };
            updates.filter_map(|update| update.ok()?.kind()).collect()
        })
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    use RecordKind::*;
    assert_eq!(
        kinds,
        [Site, Router, Link, Listener, Connector, Flow, Process, Log, RouterAccess, BiflowTport, BiflowApp]
    );
}

/// What discovery makes of a capture and a minute of silence after it: events by source, and the sources flushed again.
fn discover(name: &str) -> (BTreeMap<String, Vec<&'static str>>, BTreeMap<String, usize>) {
    // The recorder did not wait before it sent FLUSH.
    let mut settings = Settings::default();
    settings.first_flush = 0;
    let mut discovery = Discovery::new(settings, 7);
    discovery.attached(Timestamp::from_micros(0));
    let (mut events, mut flushes) = (BTreeMap::<_, Vec<_>>::new(), BTreeMap::<_, usize>::new());
    let mut drain = |discovery: &mut Discovery, now| {
        while let Some(output) = discovery.next_output() {
            let (source, event) = match output {
                Output::Event(Event::SourceSeen { source, .. }) => (source, "seen"),
                Output::Event(Event::Settled { source, .. }) => (source, "settled"),
                Output::Event(Event::SourceLost { source, .. }) => (source, "lost"),
                Output::Event(Event::EpochStarted { source }) => (source, "epoch"),
                Output::Event(Event::Answered { .. }) => continue,
                Output::Event(event) => panic!("{event:?}"),
                Output::Action(Action::Flush { source, .. }) => {
                    // As the recorder saw it: every FLUSH was accepted, whether it was answered or not.
                    discovery.flush_outcome(now, &source, FlushOutcome::Accepted);
                    *flushes.entry(source.to_string()).or_default() += 1;
                    continue;
                }
                Output::Action(_) => continue,
            };
            events.entry(source.to_string()).or_default().push(event);
        }
    };
    let mut last = 0;
    for captured in messages(name) {
        last = captured.micros;
        let now = Timestamp::from_micros(last);
        discovery.advance(now);
        drain(&mut discovery, now);
        discovery.hear(now, &captured.link, &Message::decode(&captured.message).expect("decodes"));
        discovery.advance(now);
        drain(&mut discovery, now);
    }
    let end = Timestamp::from_micros(last + 60_000_000);
    discovery.advance(end);
    drain(&mut discovery, end);
    (events, flushes)
}

#[test]
fn every_source_that_answered_its_flush_settles_and_no_other_does() {
    // faults 1, 27
    let (mut unsettled, mut silent) = (Vec::new(), Vec::new());
    for name in CAPTURES {
        let (events, flushes) = discover(name);
        assert_eq!(events.len(), 7, "three routers, three controllers, and east anew: {events:?}");
        for (source, events) in events {
            assert_eq!(
                (events.first(), events.last()),
                (Some(&"seen"), Some(&"lost")),
                "{name} {source}: {events:?}"
            );
            if events.contains(&"epoch") {
                // The recorder did not ask again.
                silent.push((name, source));
            } else if events.contains(&"settled") {
                assert_eq!(flushes[&source], 1, "{name} {source}: {events:?}");
            } else {
                assert!(flushes[&source] > 3, "{name} {source}: asked {} times", flushes[&source]);
                unsettled.push((name, source));
            }
        }
    }
    // The routers of whose ROUTER records there is nothing in `*.merged.json`.
    let unanswered = [
        ("router-2.7", "AfF4X:0"),
        ("router-2.7", "WwXuV:0"),
        ("router-3.5-halves", "LOHeC:0"),
        ("router-3.5-halves", "PmlMp:0"),
    ];
    // East's controller, which was away for less than 30 s when its router was.
    assert!(silent.iter().all(|(_, source)| source.starts_with("22222222-")), "{silent:?}");
    assert_eq!(unsettled, unanswered.map(|(name, source)| (name, source.to_owned())));
}

#[test]
fn a_source_that_claims_the_address_of_another_is_refused_and_the_other_is_heard() {
    // faults 24: the claim comes first
    let mut discovery = Discovery::new(Settings::default(), 7);
    discovery.attached(Timestamp::from_micros(0));
    let mut reports: BTreeMap<String, usize> = BTreeMap::new();
    for captured in read(&path("../cases/address-squatting.jsonl")) {
        let message = Message::decode(&captured.message).expect("decodes");
        let now = Timestamp::from_micros(captured.micros);
        if let Some(Heard::Records { source, updates }) = discovery.hear(now, &captured.link, &message) {
            *reports.entry(source.to_string()).or_default() += updates.count();
        }
    }
    assert!(discovery.refused() > 0);
    assert_eq!(reports.keys().collect::<Vec<_>>(), ["A:0"]);
}
