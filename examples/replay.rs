//! A capture, merged as a collector would have, as JSON: one record a line.
//!
//! ```sh
//! cargo run -p vanflow-examples --example replay -- tests/captures/router-3.5.jsonl
//! ```
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::{collections::HashMap, env, fs::File, io::BufReader};

use serde_json::{Map, Value};
use vanflow_proto::{
    Attribute, Body, Message, RecordKind, SourceType, Timestamp, capture,
    discovery::{Discovery, Event, Output, Settings},
};
use vanflow_store::{Field, Options, Record, SourceId, Store};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = env::args().nth(1).ok_or("usage: replay CAPTURE")?;
    let mut store = Store::new(Options::default());
    // Which sources there are follows from beacons and silence; in a capture there is nothing to be done about them.
    let mut discovery = Discovery::new(Settings::default(), 0);
    let mut sources: HashMap<String, SourceId> = HashMap::new();
    discovery.attached(Timestamp::default());

    for captured in capture::read(BufReader::new(File::open(path)?)) {
        let captured = captured?;
        let now = Timestamp::from_micros(captured.micros);
        let message = Message::decode(&captured.message)?;
        discovery.advance(now);
        discovery.message(now, &captured.link, &message);
        while let Some(output) = discovery.next_output() {
            let Output::Event(event) = output else { continue };
            match event {
                Event::SourceSeen { source, source_type } => {
                    let id = store.source_seen(&source, SourceType::from_name(&source_type), now);
                    sources.insert(source.to_string(), id);
                }
                Event::SourceRestarted { source } => store.source_restarted(sources[&*source], now),
                Event::SourceLost { source, last_heard } => {
                    store.source_lost(sources[&*source], last_heard, now);
                }
                _ => {}
            }
        }
        match message.body {
            Body::Heartbeat(beat) if sources.contains_key(beat.id) => {
                store.heartbeat(sources[beat.id], beat.now, now);
            }
            Body::Records(updates) => {
                // The addresses that a source sends to are `mc/sfe.<id>`, and that with a suffix.
                let address = captured.link.trim_start_matches("mc/sfe.");
                let Some((_, &source)) = sources.iter().find(|(id, _)| address.starts_with(id.as_str()))
                else {
                    continue;
                };
                for update in updates {
                    store.apply(source, &update?, now);
                }
            }
            _ => {}
        }
    }

    for record in store.snapshot().records() {
        println!("{}", json(&record));
    }
    Ok(())
}

fn json(record: &Record<'_>) -> Value {
    let mut object = Map::new();
    object.insert("rtype".into(), record.kind().map(RecordKind::name).into());
    object.insert("id".into(), record.id().to_string().into());
    for (code, field) in record.fields() {
        let name = Attribute::from_code(code)
            .map_or_else(|| format!("attr{code}"), |attribute| attribute.name().to_owned());
        let value = match field {
            Field::Uint(number) => number.into(),
            Field::Text(text) => text.to_string().into(),
            other => format!("{other:?}").into(),
        };
        object.insert(name, value);
    }
    Value::Object(object)
}
