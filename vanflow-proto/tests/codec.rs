//! Properties of the codec.

use proptest::prelude::*;
use vanflow_proto::{
    Beacon, Body, Dialect, Encoder, Heartbeat, Message, SourceType, Timestamp, UpdateBuf, ValueBuf,
};

fn value() -> impl Strategy<Value = ValueBuf> {
    prop_oneof![
        Just(ValueBuf::Null),
        any::<bool>().prop_map(ValueBuf::Bool),
        prop_oneof![0_u64..300, any::<u64>()].prop_map(ValueBuf::Uint),
        prop_oneof![-200_i64..200, any::<i64>()].prop_map(ValueBuf::Int),
        (-1e300..1e300).prop_map(ValueBuf::Double),
        ".{0,40}".prop_map(ValueBuf::from),
        ".{250,270}".prop_map(ValueBuf::from),
        // What is text is read as text again; bytes that are none stay bytes.
        prop::collection::vec(0x80_u8..0xc0, 0..300).prop_map(|bytes| ValueBuf::Bytes(bytes.into())),
        Just(ValueBuf::Encoded(Box::new([0xc0, 5, 1, 0xc0, 2, 1, 0x40]))),
    ]
}

fn update() -> impl Strategy<Value = UpdateBuf> {
    let code = prop_oneof![2_u32..80, 2..=u32::MAX];
    (
        prop::option::of(prop_oneof![0_u32..20, any::<u32>()]),
        ".{1,40}",
        prop::collection::vec((code, value()), 0..20),
    )
        .prop_map(|(type_code, id, attributes)| UpdateBuf { type_code, id, attributes })
}

fn dialect() -> impl Strategy<Value = Dialect> {
    prop_oneof![Just(Dialect::Router), Just(Dialect::Controller)]
}

fn source_type() -> impl Strategy<Value = String> {
    prop_oneof!["ROUTER", "CONTROLLER", "COLLECTOR", "[A-Z]{1,12}"]
}

proptest! {
    #[test]
    fn records_decode_to_what_was_encoded(
        dialect in dialect(),
        id in 0..i64::MAX as u64,
        updates in prop::collection::vec(update(), 0..12),
    ) {
        let bytes = Encoder::new(dialect).records("mc/sfe.a:0", id, &updates);
        let message = Message::decode(&bytes).expect("it decodes");
        prop_assert_eq!(message.to, Some("mc/sfe.a:0"));
        prop_assert_eq!(message.message_id, (dialect == Dialect::Router).then_some(id));
        let Body::Records(decoded) = message.body else { panic!("expected records") };
        let decoded: Vec<_> = decoded.map(|update| update.expect("it decodes").to_owned()).collect();
        prop_assert_eq!(decoded, updates);
    }

    #[test]
    fn beacons_and_heartbeats_decode_to_what_was_encoded(
        dialect in dialect(),
        source_type in source_type(),
        texts in prop::array::uniform3(".{1,300}"),
        now in any::<u64>(),
    ) {
        let [id, address, direct] = &texts;
        let beacon = Beacon { source_type: SourceType::from_name(&source_type), id, address, direct };
        let bytes = Encoder::new(dialect).beacon(7, &beacon);
        prop_assert!(matches!(Message::decode(&bytes)?.body, Body::Beacon(decoded) if decoded == beacon));
        let beat = Heartbeat { id, now: Timestamp::from_micros(now) };
        let bytes = Encoder::new(dialect).heartbeat(address, 7, &beat);
        prop_assert!(matches!(Message::decode(&bytes)?.body, Body::Heartbeat(decoded) if decoded == beat));
    }

    #[test]
    fn whatever_the_bytes_reading_them_comes_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        // faults 17
        if let Ok(Message { body: Body::Records(updates), .. }) = Message::decode(&bytes) {
            prop_assert!(updates.count() <= bytes.len() + 1);
        }
    }

    #[test]
    fn a_damaged_message_costs_at_most_what_was_damaged(
        updates in prop::collection::vec(update(), 1..10),
        at in any::<prop::sample::Index>(),
        damage in any::<u8>(),
    ) {
        // faults 17
        let mut bytes = Encoder::new(Dialect::Router).records("mc/sfe.a:0", 7, &updates);
        let at = at.index(bytes.len());
        bytes[at] = damage;
        if let Ok(Message { body: Body::Records(decoded), .. }) = Message::decode(&bytes) {
            for update in decoded.flatten() {
                let read = update.attributes().count();
                prop_assert!(read <= bytes.len());
            }
        }
    }
}
