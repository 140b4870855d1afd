//! Whatever sources report, merging neither panics nor keeps what has gone, twice comes to the same as once, and records have
//! what a plain model of the rules says, as far as that goes: of records that begin once and do not end.

#![no_main]

use std::collections::{BTreeMap, HashMap};

use libfuzzer_sys::fuzz_target;
use vanflow_proto::{Attribute, AttributeKind, Body, Message, RecordKind, SourceType, Timestamp, UpdateBuf, ValueBuf};
use vanflow_store::{Field, Store, StoreOptions};

/// Kinds that sources report; what they report of others may follow from elsewhere.
const KINDS: [RecordKind; 8] = [
    RecordKind::Site,
    RecordKind::Router,
    RecordKind::Link,
    RecordKind::Listener,
    RecordKind::Connector,
    RecordKind::Process,
    RecordKind::BiflowTport,
    RecordKind::BiflowApp,
];

/// The records that the plain model knows, by id; nothing of those that it does not go for.
type Model = HashMap<String, Option<(u32, BTreeMap<Attribute, ValueBuf>)>>;

fn fold(model: &mut Model, update: &UpdateBuf) {
    let is_new = !model.contains_key(&update.id);
    let kind = update.type_code.filter(|code| KINDS.iter().any(|kind| kind.code() == *code));
    let record = model.entry(update.id.clone()).or_insert_with(|| Some((kind?, BTreeMap::new())));
    let Some((known, attributes)) = record else { return };
    let is_usual = kind == Some(*known) && (1..=1024).contains(&update.id.len()) && update.attributes.len() <= 100;
    if !is_usual {
        *record = None;
        return;
    }
    for (code, value) in &update.attributes {
        let Some(attribute) = Attribute::from_code(*code) else { continue };
        let is_plain = match (attribute.kind(), value) {
            (AttributeKind::RecordType | AttributeKind::Identity, _) => continue,
            _ if attribute == Attribute::EndTime => false,
            _ if attribute == Attribute::StartTime => is_new && matches!(value, ValueBuf::Uint(_)),
            (kind, ValueBuf::Text(text)) => kind.is_text() && (1..=1024).contains(&text.len()),
            (kind, ValueBuf::Uint(_)) => !kind.is_text(),
            _ => false,
        };
        if !is_plain {
            *record = None;
            return;
        }
        let is_stale = attribute.kind() == AttributeKind::Counter
            && matches!((attributes.get(&attribute), value), (Some(ValueBuf::Uint(before)), ValueBuf::Uint(value)) if value <= before);
        if !is_stale {
            attributes.insert(attribute, value.clone());
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let now = Timestamp::from_micros(1_795_347_888_000_000);
    let Ok(message) = Message::decode(bytes) else { return };
    let Body::Records(updates) = message.body else { return };
    let updates: Vec<UpdateBuf> = updates.flatten().map(|update| update.to_owned()).collect();
    let mut model = Model::new();
    let mut stores = [1, 2].map(|times| {
        let mut store = Store::new(StoreOptions::default());
        let source = store.source_seen("x:0", SourceType::Router, now);
        for update in &updates {
            (0..times).for_each(|_| store.apply(source, update, now));
        }
        (store, source)
    });
    updates.iter().for_each(|update| fold(&mut model, update));
    let [once, twice] = [0, 1].map(|store| {
        let records = stores[store].0.snapshot();
        let mut records: Vec<_> = records.records().map(|record| format!("{record:?}")).collect();
        records.sort_unstable();
        records
    });
    assert_eq!(once, twice, "twice comes to the same as once");

    let (store, source) = &mut stores[0];
    let snapshot = store.snapshot();
    for (id, modelled) in &model {
        let Some((_, attributes)) = modelled else { continue };
        let record = snapshot.find(id).find(|record| !record.is_derived());
        let record = record.unwrap_or_else(|| panic!("{id:?} is not there"));
        for (attribute, value) in attributes {
            let found = match record.get(*attribute) {
                Some(Field::Uint(number)) => Some(ValueBuf::Uint(number)),
                Some(Field::Text(text)) => Some(ValueBuf::Text(text.to_cow().into())),
                _ => None,
            };
            assert_eq!(found.as_ref(), Some(value), "{attribute:?} of {id:?}");
        }
    }
    for record in snapshot.records() {
        let _ = (record.fields().count(), record.process(), record.server_process(), record.service());
        let _ = (record.site(), record.counterflow(), record.connector_inferred(), record.duration_micros());
    }
    store.source_lost(*source, now, now);
    for hours in 1..4 {
        while store.advance(now.plus_micros(hours * 3_600_000_000)) {}
    }
    assert_eq!(store.snapshot().records().count(), 0);
});
