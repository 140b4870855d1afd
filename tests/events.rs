//! The events of the emulated VAN, in virtual time: each fault of its story is one, and what is healthy makes none that is
//! bad.
//!
//! `loyalty` refuses every connection from the beginning on: that is found out by the first few of them, and is an event.
//! `gift-cards` has had no connector all along, which is none.

use std::collections::BTreeMap;

use http_body_util::BodyExt;
use hyper::Request;
use serde_json::Value;
use vanflow_api::{Api, ApiOptions};
use vanflow_collector::demo::DemoOptions;
use vanflow_proto::{Attribute, RecordKind, UpdateBuf};
use vanflow_store::Record;

use crate::followed::Followed;

const SECOND: u64 = 1_000_000;
const MINUTE: u64 = 60 * SECOND;

/// The emulated VAN, a collector that follows it, and whoever looks for events.
struct Run {
    followed: Followed,
    api: Api,
}

impl Run {
    fn new(options: DemoOptions) -> Self {
        let (followed, network) = Followed::new(options);
        let api = Api::new(network, ApiOptions::default());
        api.observe_events();
        Self { followed, api }
    }

    /// Lets that many microseconds pass, in which events are looked for as often as the collector does.
    fn watch(&mut self, micros: u64) {
        let until = self.followed.van.now().plus_micros(micros);
        while self.followed.van.now() < until {
            self.followed.advance(until.min(self.followed.van.now().plus_micros(SECOND / 2)));
            self.api.observe_events();
        }
    }

    /// The events, the oldest first.
    fn events(&self, query: &str) -> Vec<Value> {
        let uri = format!("/api/v1/events?sortBy=time.asc&{query}");
        let request = Request::get(uri).body(()).expect("a request").into_parts().0;
        let body = self.api.respond(&request).into_body();
        let body = futures_util::FutureExt::now_or_never(body.collect()).expect("it is there at once");
        let answer: Value = serde_json::from_slice(&body.expect("it cannot fail").to_bytes()).expect("JSON");
        answer["results"].as_array().unwrap_or_else(|| panic!("no list: {answer}")).clone()
    }

    fn texts(&self, query: &str) -> Vec<String> {
        let text = |event: Value| event["text"].as_str().expect("each has a text").to_owned();
        self.events(query).into_iter().map(text).collect()
    }
}

#[test]
fn what_is_healthy_makes_no_event_that_is_bad_but_the_service_that_refuses() {
    for seed in [1, 2] {
        let mut run = Run::new(DemoOptions { seed, failures: false, ..DemoOptions::default() });
        run.watch(6 * MINUTE);
        assert_eq!(run.texts("severity=bad"), ["loyalty:8080 refuses every connection"], "seed {seed}");
        let kinds: BTreeMap<_, _> =
            run.events("").into_iter().map(|event| (event["kind"].clone().to_string(), ())).collect();
        let kinds: Vec<_> = kinds.into_keys().collect();
        assert_eq!(kinds, ["\"serviceRefused\"", "\"warning\""], "seed {seed}");
    }
}

#[test]
fn each_fault_of_the_story_is_an_event() {
    // faults 6, 7, 14
    let mut run = Run::new(DemoOptions::default());
    run.watch(7 * MINUTE);
    let has = |query: &str, expected: &str| {
        let texts = run.texts(query);
        assert!(texts.iter().any(|text| text.starts_with(expected)), "{expected}: {texts:?}");
    };
    has("kind=linkDown", "link ");
    has("kind=linkUp", "link ");
    has("kind=routerRestarted", "router cloud-2 restarted");
    has("kind=routerRestarted", "router factory-edge restarted");
    has("kind=processStarted", "2 processes of checkout started");
    has("kind=processEnded", "2 processes of checkout ended");
    has("kind=serviceRefused", "loyalty:8080 refuses every connection");
    has("kind=warning", "");
    // Each router comes back, and nothing that is not of the story happened.
    for kind in
        ["routerLost", "routerStarted", "siteEnded", "sourceLost", "serviceWithoutConnector", "certificate"]
    {
        assert_eq!(run.texts(&format!("kind={kind}")), [""; 0], "{kind}");
    }
    // A link that failed by itself says why, and each that went down came up again, but for what failed just now.
    let downs = run.events("kind=linkDown&severity=bad");
    let is_said = |event: &&Value| event["detail"] == "amqp:connection:framing-error: connection aborted";
    assert!(downs.iter().any(|event| is_said(&event)), "{downs:?}");
    let over = downs.iter().filter(|event| event["endTime"].is_u64()).count();
    assert!(over + 1 >= downs.len() && over > 0, "{downs:?}");
    assert!(run.texts("kind=linkUp").len() >= over);
}

#[test]
fn an_event_is_there_within_a_second_of_its_record() {
    let mut run = Run::new(DemoOptions { failures: false, ..DemoOptions::default() });
    run.watch(MINUTE);
    let snapshot = run.followed.snapshot();
    let is_named = |record: &Record<'_>| record.text(Attribute::Name).is_some_and(|name| name == *"cloud-1");
    let link = snapshot.live_of_kind(RecordKind::Link).find(is_named).expect("the story has it");
    let (source, id) = (link.source().expect("it is reported").id().to_owned(), link.id().to_string());
    let down = UpdateBuf::new(RecordKind::Link, id)
        .with(Attribute::OperStatus, "down")
        .with(Attribute::DownTimeStamp, run.followed.van.now());
    run.followed.report(&source, &down);
    assert_eq!(run.texts("kind=linkDown"), ["link dc-1 – cloud-1 is down"]);
    let last = run.events("kind=linkDown")[0]["number"].as_u64().expect("a number");
    assert_eq!(run.texts(&format!("after={last}")), [""; 0]);
}
