//! Whatever a peer sends, and in whatever pieces it comes, the stream below the AMQP library neither panics nor hangs.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vanflow_proto::fuzzing::amqp_stream;

fuzz_target!(|bytes: &[u8]| {
    let Some((piece, bytes)) = bytes.split_first() else { return };
    let whole = amqp_stream(bytes, bytes.len());
    let in_pieces = amqp_stream(bytes, usize::from(*piece));
    assert_eq!(whole, in_pieces, "what comes through does not depend on pieces");
});
