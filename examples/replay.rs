//! A capture, merged as a collector would have, as JSON: one record a line.
//!
//! ```sh
//! cargo run -p vanflow-examples --example replay -- tests/captures/router-3.5.jsonl
//! ```

mod outcome;

use std::{
    env,
    io::{self, BufWriter, Write},
    process::ExitCode,
};

use serde_json::{Map, Value};
use vanflow_proto::{
    Attribute, Message, RecordKind, Timestamp,
    capture::Capture,
    discovery::{Discovery, Settings},
};
use vanflow_store::{Field, Follower, Record, Store, StoreOptions};

fn main() -> ExitCode {
    outcome::shown(run())
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let path = env::args().nth(1).ok_or("usage: replay CAPTURE")?;
    let capture = Capture::open(path.as_ref()).map_err(|error| format!("cannot read {path}: {error}"))?;
    let (mut store, mut follower) = (Store::new(StoreOptions::default()), Follower::new());
    // Which sources there are follows from beacons and silence; in a capture there is nothing to be done about them.
    let mut discovery = Discovery::new(Settings::default(), 0);
    discovery.attached(Timestamp::default());
    for captured in capture {
        let captured = captured?;
        let now = Timestamp::from_micros(captured.micros);
        follower.advance(&mut store, &mut discovery, now);
        let message = Message::decode(&captured.message)?;
        follower.hear(&mut store, &mut discovery, &captured.link, &message, now);
    }

    let mut out = BufWriter::new(io::stdout().lock());
    for record in store.snapshot().records() {
        writeln!(out, "{}", json(&record))?;
    }
    out.flush()?;
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
