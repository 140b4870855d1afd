//! The store without a router, a runtime or a clock: updates in, questions answered, changes watched.
//!
//! ```sh
//! cargo run -p vanflow-examples --example embed_store
//! ```
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use vanflow_proto::{
    Attribute, Body, Dialect, Encoder, Message, RecordKind, SourceType, Timestamp, UpdateBuf,
};
use vanflow_store::{Options, Store, Typed};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Whoever embeds the store says what time it is.
    let now = Timestamp::from_micros(1_795_347_888_000_000);
    let mut store = Store::new(Options::default());
    let west = store.source_seen("gv_ZW:0", SourceType::Router, now);
    let seen = store.revision();

    // Updates come from RECORD messages; here is one, as a router would have sent it. The connection comes before the
    // listener that it belongs to, as it can.
    let message = Encoder::new(Dialect::Router).records(
        "mc/sfe.gv_ZW:0",
        1,
        &[
            UpdateBuf::new(RecordKind::BiflowTport, "gv_ZW:7")
                .with(Attribute::Parent, "gv_ZW:3")
                .with(Attribute::StartTime, now)
                .with(Attribute::SourceHost, "10.1.0.17")
                .with(Attribute::Octets, 4096),
            UpdateBuf::new(RecordKind::Listener, "gv_ZW:3")
                .with(Attribute::Parent, "gv_ZW:0")
                .with(Attribute::StartTime, now)
                .with(Attribute::Protocol, "tcp")
                .with(Attribute::VanAddress, "inventory:5432"),
            UpdateBuf::new(RecordKind::Router, "gv_ZW:0")
                .with(Attribute::StartTime, now)
                .with(Attribute::Name, "0/west-1"),
        ],
    );
    let Body::Records(updates) = Message::decode(&message)?.body else {
        return Err("no RECORD message".into());
    };
    for update in updates {
        store.apply(west, &update?, now);
    }

    // A snapshot is a consistent view; holding it does not hold up the store.
    let snapshot = store.snapshot();
    for service in snapshot.services() {
        println!("service {} over {}", service.address(), service.protocol().ok_or("it was reported")?);
        for flow in service.flows() {
            let Some(Typed::BiflowTport(flow)) = flow.typed() else { continue };
            let router = flow.router().and_then(|router| router.text(Attribute::Name));
            println!(
                "  {} from {}, through router {}: {} octets",
                flow.id(),
                flow.source_host().ok_or("it was reported")?,
                router.ok_or("it was reported")?,
                flow.octets().unwrap_or(0)
            );
        }
    }

    // What changed since: each record once, in its latest state.
    let changes = store.changes(seen, 100);
    let snapshot = store.snapshot();
    for record in changes.records.iter().filter_map(|&at| snapshot.get(at)) {
        println!("changed: {} {}", record.kind().map_or("service", RecordKind::name), record.id());
    }
    Ok(())
}
