//! Whatever a state file has in it, it is read to its end, and no frame is read twice.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vanflow_collector::fuzzing::state_file;

/// The shortest frame there is.
const SHORTEST: usize = 29;

fuzz_target!(|octets: &[u8]| {
    assert!(state_file(octets) <= octets.len() / SHORTEST);
    // Behind a header that is right, too.
    let whole = [&b"vanflow-state\n\x01\0"[..], octets].concat();
    assert!(state_file(&whole) <= octets.len() / SHORTEST);
});
