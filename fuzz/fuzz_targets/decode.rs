//! Whatever the bytes, decoding comes to a message or an error, and what was decoded encodes and decodes again to the
//! same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vanflow_proto::{Body, Dialect, Encoder, Message, UpdateBuf};

fuzz_target!(|bytes: &[u8]| {
    let Ok(message) = Message::decode(bytes) else { return };
    let Body::Records(updates) = message.body else { return };
    let updates: Vec<UpdateBuf> = updates.flatten().map(|update| update.to_owned()).collect();
    for dialect in [Dialect::Router, Dialect::Controller] {
        let again = Encoder::new(dialect).records("mc/sfe.x", 1, &updates);
        let Ok(Message { body: Body::Records(decoded), .. }) = Message::decode(&again) else {
            panic!("what was encoded does not decode")
        };
        let decoded: Vec<UpdateBuf> =
            decoded.map(|update| update.expect("it was encoded").to_owned()).collect();
        // Not by `==`: a NaN is not equal to itself.
        assert_eq!(format!("{updates:?}"), format!("{decoded:?}"));
    }
});
