//! Whatever is asked of the APIs, it is answered, and never as if it were our mistake.

#![no_main]

mod network;

use libfuzzer_sys::fuzz_target;

/// Where a question can be put to; an input says which, and what comes after it.
const PATHS: [&str; 24] = [
    "/api/v2alpha1/connections?",
    "/api/v2alpha1/applicationflows?",
    "/api/v2alpha1/processes?",
    "/api/v2alpha1/processpairs?",
    "/api/v2alpha1/sitepairs?",
    "/api/v2alpha1/services?",
    "/api/v2alpha1/sites?",
    "/api/v2alpha1/routerlinks?",
    "/api/v2alpha1/connections/",
    "/api/v2alpha1/services/",
    "/api/v2alpha1/",
    "/api/v1alpha1/flows?",
    "/api/v1alpha1/flowpairs?",
    "/api/v1alpha1/processes?",
    "/api/v1alpha1/sites/",
    "/api/v1alpha1/",
    "/api/v1/events?",
    "/api/v1/map?",
    "/api/v1/path?",
    "/api/v1/services?",
    "/api/v1/verdict?",
    "/api/v1/",
    "/metrics?",
    "/",
];

fuzz_target!(|bytes: &[u8]| {
    let Some((path, rest)) = bytes.split_first() else { return };
    let Ok(rest) = std::str::from_utf8(rest) else { return };
    network::ask(&format!("{}{rest}", PATHS[usize::from(*path) % PATHS.len()]));
});
