//! Networks to ask about, and somebody who asks.

use std::{
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, request::Parts};
use http_body_util::BodyExt;
use jsonschema::Validator;
use serde_json::Value;
use vanflow_api::{Api, ApiOptions, Body, Network, Publisher};
use vanflow_proto::{
    Attribute, Message, RecordKind, SourceType, Timestamp, UpdateBuf,
    capture::{self, Captured},
    discovery::{Discovery, Settings},
};
use vanflow_store::{Follower, SourceId, Store};

pub(crate) const CAPTURES: [&str; 3] = ["router-2.7", "router-3.5", "router-3.5-halves"];

/// When virtual time starts.
pub(crate) const EPOCH: u64 = 1_795_347_880_000_000;

/// An API, and the writer of the network that it answers about.
pub(crate) struct Fixture {
    pub(crate) api: Api,
    pub(crate) publisher: Publisher,
    source: Option<SourceId>,
}

impl Fixture {
    pub(crate) fn new(store: Store) -> Self {
        Self::with_options(store, ApiOptions::default())
    }

    pub(crate) fn with_options(store: Store, mut options: ApiOptions) -> Self {
        options.instance = Some("test".to_owned());
        let (network, publisher) = Network::new(store);
        Self { api: Api::new(network, options), publisher, source: None }
    }

    /// Everything in a capture, in virtual time; sources that fall silent are lost.
    pub(crate) fn replayed(capture: &str) -> Self {
        Self::new(replay(capture, u64::MAX))
    }

    /// Everything in a capture, in virtual time, with somebody who looks for events twice a second.
    pub(crate) fn observed(capture: &str) -> Self {
        let fixture = Self::new(Store::new(vanflow_store::StoreOptions::default()));
        let Self { api, publisher, .. } = &fixture;
        let advance = |follower: &mut Follower, discovery: &mut Discovery, now| {
            follower.advance(&mut publisher.write(), discovery, now);
            api.observe_events();
        };
        let mut looked = Timestamp::from_micros(EPOCH);
        hear(capture, u64::MAX, Settings::default(), |follower, discovery, captured, now| {
            while looked <= now {
                advance(follower, discovery, looked);
                looked = looked.plus_micros(500_000);
            }
            let mut store = publisher.write();
            follower.advance(&mut store, discovery, now);
            let message = Message::decode(&captured.message).expect("it decodes");
            follower.hear(&mut store, discovery, &captured.link, &message, now);
        });
        fixture
    }

    /// A router reports records.
    pub(crate) fn report(&mut self, updates: &[UpdateBuf]) {
        let now = Timestamp::from_micros(EPOCH);
        let mut store = self.publisher.write();
        let source =
            *self.source.get_or_insert_with(|| store.source_seen("gv_ZW:0", SourceType::Router, now));
        apply(&mut store, source, updates, now);
        drop(store);
        self.publisher.publish();
    }

    pub(crate) fn respond(&self, request: Parts) -> Response<Body> {
        self.api.respond(&request)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask(request(path))
    }

    pub(crate) fn ask(&self, request: Parts) -> Answer {
        Self::whole(self.respond(request))
    }

    /// A form that is posted, and the answer to it.
    pub(crate) fn post(&self, path: &str, form: &str) -> Answer {
        Self::whole(self.api.respond_to_form(&request_by(Method::POST, path), form.as_bytes()))
    }

    fn whole(response: Response<Body>) -> Answer {
        let (head, body) = response.into_parts();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let body = runtime.block_on(body.collect()).unwrap().to_bytes();
        Answer { status: head.status, headers: head.headers, body }
    }

    /// The items of a list that must be there.
    pub(crate) fn list(&self, path: &str) -> Vec<Value> {
        let answer = self.get(path);
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
        match answer.json() {
            Value::Array(items) => items,
            other => panic!("{path} is no list: {other}"),
        }
    }
}

pub(crate) fn apply(store: &mut Store, source: SourceId, updates: &[UpdateBuf], now: Timestamp) {
    updates.iter().for_each(|update| store.apply(source, update, now));
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.body).expect("the body is text")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON: {error}: {}", self.text()))
    }

    pub(crate) fn error(&self) -> String {
        let json = self.json();
        assert_eq!(json.as_object().map(serde_json::Map::len), Some(1), "{json}");
        json["error"].as_str().expect("an error").to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// Holds an answer to its schema; `path` says in a failure what was asked.
pub(crate) fn check(validator: &Validator, answer: &Value, path: &str) {
    let errors: Vec<_> =
        validator.iter_errors(answer).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{path}: {errors:#?}");
}

/// A GET.
pub(crate) fn request(path: &str) -> Parts {
    Request::builder().uri(path).body(()).unwrap().into_parts().0
}

pub(crate) fn request_with(path: &str, headers: &[(&str, &str)]) -> Parts {
    let mut builder = Request::builder().uri(path);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(()).unwrap().into_parts().0
}

pub(crate) fn request_by(method: Method, path: &str) -> Parts {
    Request::builder().method(method).uri(path).body(()).unwrap().into_parts().0
}

pub(crate) fn capture_path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/captures").join(file)
}

/// What is in a capture up to some point, in microseconds. Sources that fall silent are lost.
pub(crate) fn replay(name: &str, until: u64) -> Store {
    replay_with(name, until, Settings::default(), Store::new(vanflow_store::StoreOptions::default()), |_| {})
}

/// All that is in a capture; `each` sees the store after each message.
pub(crate) fn replay_watched(name: &str, each: impl FnMut(&mut Store)) {
    replay_with(
        name,
        u64::MAX,
        Settings::default(),
        Store::new(vanflow_store::StoreOptions::default()),
        each,
    );
}

/// The same with a store that keeps ended records for that many seconds.
pub(crate) fn replay_retained(name: &str, seconds: u64, each: impl FnMut(&mut Store)) {
    let mut options = vanflow_store::StoreOptions::default();
    options.retention_micros = seconds * 1_000_000;
    replay_with(name, u64::MAX, Settings::default(), Store::new(options), each);
}

/// All that is in a capture, as it was reported: however silent, no source is lost.
pub(crate) fn replay_lossless(name: &str) -> Store {
    let mut settings = Settings::default();
    settings.silence = 3_600_000_000;
    replay_with(name, u64::MAX, settings, Store::new(vanflow_store::StoreOptions::default()), |_| {})
}

fn replay_with(
    name: &str,
    until: u64,
    settings: Settings,
    mut store: Store,
    mut each: impl FnMut(&mut Store),
) -> Store {
    hear(name, until, settings, |follower, discovery, captured, now| {
        follower.advance(&mut store, discovery, now);
        let message = Message::decode(&captured.message).expect("it decodes");
        follower.hear(&mut store, discovery, &captured.link, &message, now);
        each(&mut store);
    });
    store
}

/// Gives the messages of a capture, each with its time.
fn hear(
    name: &str,
    until: u64,
    settings: Settings,
    mut each: impl FnMut(&mut Follower, &mut Discovery, &Captured, Timestamp),
) {
    let mut follower = Follower::new();
    let mut discovery = Discovery::new(settings, 7);
    discovery.attached(Timestamp::from_micros(EPOCH));
    let file = File::open(capture_path(&format!("{name}.jsonl"))).expect("the capture is there");
    let messages = capture::read(BufReader::new(file)).map(|captured| captured.expect("it reads"));
    for captured in messages.take_while(|captured| captured.micros <= until) {
        let now = Timestamp::from_micros(EPOCH + captured.micros);
        each(&mut follower, &mut discovery, &captured, now);
    }
}

/// A router with a listener, a connector on it, and connections between them, each with so many requests.
pub(crate) fn service(address: &str, connections: u64, requests: u64) -> Vec<UpdateBuf> {
    let new =
        |kind, id: u64| UpdateBuf::new(kind, format!("gv_ZW:{id}")).with(Attribute::StartTime, EPOCH + id);
    let mut updates = vec![
        new(RecordKind::Router, 0).with(Attribute::Name, "0/west-1"),
        new(RecordKind::Listener, 1)
            .with(Attribute::Parent, "gv_ZW:0")
            .with(Attribute::Protocol, "tcp")
            .with(Attribute::VanAddress, address),
        new(RecordKind::Connector, 2)
            .with(Attribute::Parent, "gv_ZW:0")
            .with(Attribute::Protocol, "tcp")
            .with(Attribute::VanAddress, address)
            .with(Attribute::DestHost, "10.0.0.1"),
    ];
    let mut id = 2;
    for _ in 0..connections {
        id += 1;
        let connection = format!("gv_ZW:{id}");
        updates.push(
            new(RecordKind::BiflowTport, id)
                .with(Attribute::Parent, "gv_ZW:1")
                .with(Attribute::SourceHost, "10.0.0.9")
                .with(Attribute::SourcePort, (30_000 + id % 30_000).to_string())
                .with(Attribute::Octets, id)
                .with(Attribute::OctetsReverse, 2 * id)
                .with(Attribute::Latency, 1000)
                .with(Attribute::Trace, "0/west-1|0/east-1")
                .with(Attribute::Connector, "gv_ZW:2")
                .with(Attribute::ProcessLatency, 500)
                .with(Attribute::ProxyHost, "10.0.0.2")
                .with(Attribute::ProxyPort, (20_000 + id % 30_000).to_string()),
        );
        for _ in 0..requests {
            id += 1;
            updates.push(
                new(RecordKind::BiflowApp, id)
                    .with(Attribute::Parent, connection.as_str())
                    .with(Attribute::Method, "GET")
                    .with(Attribute::OctetsReverse, 10),
            );
        }
    }
    updates
}

/// The site of that router, and the processes at both ends of its service.
pub(crate) fn ends_of_a_service() -> [UpdateBuf; 4] {
    let new = |kind, id: &str| UpdateBuf::new(kind, id).with(Attribute::StartTime, EPOCH - 1_000_000);
    let process = |id, name: &str, host: &str| {
        let process = new(RecordKind::Process, id).with(Attribute::Parent, "site-w");
        process.with(Attribute::Name, name).with(Attribute::SourceHost, host)
    };
    [
        new(RecordKind::Site, "site-w").with(Attribute::Name, "west"),
        UpdateBuf::new(RecordKind::Router, "gv_ZW:0").with(Attribute::Parent, "site-w"),
        process("process-1", "cart", "10.0.1.0"),
        process("process-2", "catalog", "10.0.0.1"),
    ]
}
