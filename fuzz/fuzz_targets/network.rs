//! A network to ask about: what a router of 3.5 reported, as in `tests/captures`.

use std::sync::OnceLock;

use futures_util::FutureExt;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tokio::runtime::{Builder, Runtime};
use vanflow_api::{Api, ApiOptions, Network, Publisher};
use vanflow_history::HistoryOptions;
use vanflow_proto::{
    Message, Timestamp, capture,
    discovery::{Discovery, Settings},
};
use vanflow_store::{Follower, Store, StoreOptions};

const CAPTURE: &[u8] = include_bytes!("../../tests/captures/router-3.5.jsonl");

/// When it is, in microseconds since the epoch.
pub const NOW: u64 = 1_795_400_000_000_000;

/// So much of an answer is looked at.
const FRAMES: usize = 256;

fn api() -> &'static Api {
    static API: OnceLock<(Api, Publisher)> = OnceLock::new();
    let (api, _) = API.get_or_init(|| {
        let mut options = StoreOptions::default();
        options.retention_micros = u64::MAX / 2;
        let (network, publisher) = Network::new(Store::new(options));
        let mut options = ApiOptions::default();
        options.history = Some(HistoryOptions::default());
        let api = Api::new(network, options);
        let began = Timestamp::from_micros(NOW - 600_000_000);
        let (mut follower, mut discovery) = (Follower::new(), Discovery::new(Settings::default(), 0));
        discovery.attached(began);
        for captured in capture::read(CAPTURE).map(|captured| captured.expect("it reads")) {
            let now = began.plus_micros(captured.micros);
            let mut store = publisher.write();
            follower.advance(&mut store, &mut discovery, now);
            if let Ok(message) = Message::decode(&captured.message) {
                follower.hear(&mut store, &mut discovery, &captured.link, &message, now);
            }
        }
        publisher.publish();
        for seconds in (0..600).step_by(5) {
            api.observe();
            api.remember(began.plus_micros(seconds * 1_000_000));
        }
        (api, publisher)
    });
    api
}

/// What is answered to a question, as far as it is there at once: its status and so much of its text.
pub fn ask(target: &str) -> Option<(u16, Vec<u8>)> {
    let (parts, ()) = Request::builder().uri(target).body(()).ok()?.into_parts();
    // Bodies of watches use its timers.
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime =
        RUNTIME.get_or_init(|| Builder::new_current_thread().enable_time().build().expect("a runtime"));
    let _within = runtime.enter();
    let response = api().respond(&parts);
    let status = response.status();
    // No router is attached to, which is what that says.
    let is_unready =
        parts.uri.path().trim_end_matches('/') == "/readyz" && status == StatusCode::SERVICE_UNAVAILABLE;
    assert!(is_unready || !status.is_server_error(), "{target}: {status}");
    let mut body = response.into_body();
    let mut text = Vec::new();
    for _ in 0..FRAMES {
        // A watch goes on for ever: what is not there now is not waited for.
        let Some(Some(frame)) = body.frame().now_or_never() else { break };
        text.extend_from_slice(&frame.expect("bodies do not fail").into_data().unwrap_or_default());
    }
    Some((status.as_u16(), text))
}
