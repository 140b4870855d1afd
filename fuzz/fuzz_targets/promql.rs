//! Whatever a query in PromQL asks for, at one time or over a range, it is answered or refused, twice in the same way.

#![no_main]

mod network;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|query: &str| {
    let query: String = form_urlencoded::byte_serialize(query.as_bytes()).collect();
    let now = network::NOW / 1_000_000;
    let base = "/api/v2alpha1/internal/prom";
    for question in [
        format!("{base}/query?query={query}&time={now}"),
        format!("{base}/query_range?query={query}&start={}&end={now}&step=15", now - 300),
    ] {
        assert_eq!(network::ask(&question), network::ask(&question), "{question}");
    }
});
