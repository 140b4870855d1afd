//! Answers that a client subscribes to.

use std::time::Duration;

use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use vanflow_api::{Body, STALL_LIMIT};
use vanflow_proto::{Attribute, RecordKind};

use crate::{
    support::{EPOCH, Fixture, request, request_by},
    v2alpha1::{connection, network, new},
};

/// What came: the name of the event, and its data.
type Event = (String, Value);

/// A client, and what of its stream is read but not a whole event yet.
struct Client {
    body: Body,
    read: String,
}

impl Client {
    fn new(fixture: &Fixture, query: &str) -> Self {
        let response = fixture.respond(request(&format!("/api/v1/stream?{query}")));
        assert_eq!(response.status().as_u16(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        Self { body: response.into_body(), read: String::new() }
    }

    /// What comes next: an event, or a comment without a name.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.read.split_once("\n\n") {
                let mut lines = event.lines();
                let first = lines.next().expect("an event has a line");
                let event = match first.strip_prefix("event: ") {
                    Some(name) => {
                        let data = lines.next().and_then(|line| line.strip_prefix("data: "));
                        let data = serde_json::from_str(data.expect("data on one line")).expect("JSON");
                        assert_eq!(lines.next(), None, "{event}");
                        (name.to_owned(), data)
                    }
                    None => (String::new(), first.into()),
                };
                self.read = rest.to_owned();
                return Some(event);
            }
            // With time standing still but for timers, this ends.
            let frame = timeout(Duration::from_secs(3600), self.body.frame()).await.expect("something comes");
            let data = frame?.expect("bodies do not fail").into_data().expect("it is data");
            self.read.push_str(str::from_utf8(&data).expect("it is text"));
        }
    }

    async fn event(&mut self) -> Event {
        self.next().await.expect("the stream goes on")
    }

    /// Whether nothing of the subscriptions comes for a while.
    async fn is_quiet(&mut self) -> bool {
        timeout(Duration::from_secs(10), self.next()).await.is_err()
    }
}

const SITES: &str = "v2alpha1%2Fsites%3Ffields%3Dname";

#[tokio::test(start_paused = true)]
async fn each_answer_comes_at_once_and_again_when_it_differs() {
    let mut fixture = network();
    let mut client =
        Client::new(&fixture, &format!("sites={SITES}&open=v2alpha1/connections%3Fstate%3Dactive"));
    assert_eq!(client.event().await, ("hello".to_owned(), json!({ "now": EPOCH, "instance": "test" })));
    let names = |names: &[&str]| names.iter().map(|name| json!({ "name": name })).collect::<Value>();
    let (name, sites) = client.event().await;
    assert_eq!((&*name, &sites["results"]), ("sites", &names(&["west", "east"])));
    let (name, open) = client.event().await;
    assert_eq!((&*name, &open["count"]), ("open", &json!(0)));
    assert!(client.is_quiet().await, "nothing changes, nothing is said");
    fixture.report(&[connection("ra:9", "10.0.0.9")]);
    let (name, open) = client.event().await;
    assert_eq!((&*name, &open["results"][0]["identity"]), ("open", &json!("ra:9")));
    assert!(client.is_quiet().await, "the sites are what they were");
    fixture.report(&[new(RecordKind::Site, "cccc3333").with(Attribute::Name, "south")]);
    let (name, sites) = client.event().await;
    assert_eq!((&*name, &sites["results"]), ("sites", &names(&["west", "east", "south"])));
}

#[tokio::test(start_paused = true)]
async fn what_changes_often_is_sent_four_times_a_second() {
    let mut fixture = network();
    let mut client = Client::new(&fixture, "open=v2alpha1/connections%3Flimit%3D0");
    client.event().await;
    client.event().await;
    let (begun, mut sent, mut id) = (Instant::now(), 0, 9);
    while begun.elapsed() < Duration::from_secs(2) {
        fixture.report(&[connection(&format!("ra:{id}"), "10.0.0.9")]);
        id += 1;
        if let Ok(event) = timeout(Duration::from_millis(10), client.event()).await {
            assert_eq!(event.1["timeRangeCount"], id - 9);
            sent += 1;
        }
    }
    assert!((7..=9).contains(&sent), "{sent} in two seconds");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_gets_the_latest_state_only() {
    let mut fixture = network();
    let mut client = Client::new(&fixture, "open=v2alpha1/connections%3Flimit%3D0");
    client.event().await;
    client.event().await;
    for id in 9..20 {
        fixture.report(&[connection(&format!("ra:{id}"), "10.0.0.9")]);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(client.event().await.1["timeRangeCount"], 11);
    assert!(client.is_quiet().await);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_for_too_long_is_given_up() {
    let mut fixture = network();
    let mut client = Client::new(&fixture, "open=v2alpha1/connections");
    client.event().await;
    fixture.report(&[connection("ra:9", "10.0.0.9")]);
    tokio::time::sleep(STALL_LIMIT + Duration::from_secs(1)).await;
    let (name, end) = client.event().await;
    assert_eq!(name, "end");
    assert_eq!(
        end["error"],
        "nothing was taken for 60 s while there were changes to report: the watch is over"
    );
    assert_eq!(client.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_answered_is_an_event_and_the_rest_goes_on() {
    let fixture = network();
    let query = [
        ("nowhere", "v1/verdicts"),
        ("wrong", "v2alpha1/sites%3Flimit%3Dten"),
        ("watch", "v2alpha1/sites%3Fwatch%3D1"),
        ("self", "v1/stream%3Fa%3Dv1/verdict"),
        ("user", "v2alpha1/user"),
        ("chart", "v2alpha1/internal/prom/query%3Fquery%3Dup"),
        ("none", "v2alpha1/sites/nobody"),
        ("space", "v2alpha1/a b"),
        ("sites", SITES),
    ];
    let query = query.map(|(name, target)| format!("{name}={target}")).join("&").replace(' ', "%20");
    let mut client = Client::new(&fixture, &query);
    client.event().await;
    let mut said = Vec::new();
    for _ in 0..8 {
        let (name, error) = client.event().await;
        assert_eq!(name, "error");
        said.push((error["subscription"].clone(), error["status"].clone(), error["message"].clone()));
    }
    let message = said[0].2.as_str().unwrap();
    assert!(
        message.starts_with("there is nothing at `/api/v1/verdicts`; under /api/v1/ there are"),
        "{message}"
    );
    said[0].2 = "…".into();
    let expected = [
        ("nowhere", 404, "…"),
        ("wrong", 400, "`limit` is `ten`, but must be a whole number"),
        ("watch", 400, "it is a watch: subscribe to the list without `watch`"),
        ("self", 400, "it is no list or document that can be subscribed to"),
        ("user", 400, "it is no list or document that can be subscribed to"),
        (
            "chart",
            503,
            "this collector keeps no history of its metrics, and was given no Prometheus that does",
        ),
        ("none", 404, "there is no Site with the identity `nobody`"),
        ("space", 400, "it is no path: invalid uri character"),
    ];
    let expected = expected.map(|(name, status, message)| (json!(name), json!(status), json!(message)));
    assert_eq!(said, expected);
    assert_eq!(client.event().await.0, "sites");
    assert!(client.is_quiet().await, "an error is said once");
}

#[test]
fn what_is_no_subscription_is_refused_with_what_would_be_one() {
    let fixture = network();
    let many =
        (b'a'..=b'q').map(|name| format!("{}={SITES}", char::from(name))).collect::<Vec<_>>().join("&");
    for (query, expected) in [
        ("", "`NAME` is missing: name what to follow, as in stream?verdict=v1%2Fverdict"),
        (
            "s1=v1/verdict",
            "the subscription `s1` must be called by 1 to 16 letters, and not hello, error, end",
        ),
        (
            "error=v1/verdict",
            "the subscription `error` must be called by 1 to 16 letters, and not hello, error, end",
        ),
        (
            "abcdefghijklmnopq=v1/verdict",
            "the subscription `abcdefghijklmnopq` must be called by 1 to 16 letters, and not hello, error, end",
        ),
        ("a=v1/verdict&a=v1/sources", "the subscription `a` is given more than once"),
        (
            "a=/api/v1/verdict",
            "the subscription `a` is to `/api/v1/verdict`, but must be to a path below /api/ in v1 or v2alpha1, such as \
             v1/verdict",
        ),
        (
            "a=v1alpha1/sites",
            "the subscription `a` is to `v1alpha1/sites`, but must be to a path below /api/ in v1 or v2alpha1, such as \
             v1/verdict",
        ),
        (&many, "the subscription `q` is one too many: there can be 16"),
    ] {
        let answer = fixture.get(&format!("/api/v1/stream?{query}"));
        assert_eq!(answer.status.as_u16(), 400, "{query}");
        assert_eq!(answer.json()["message"], expected, "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_quiet_stream_is_kept_alive_and_one_of_a_collector_that_leaves_ends() {
    let fixture = network();
    let mut client = Client::new(&fixture, &format!("sites={SITES}"));
    client.event().await;
    client.event().await;
    let begun = Instant::now();
    assert_eq!(client.event().await, (String::new(), json!(": alive")));
    assert_eq!(begun.elapsed().as_secs(), 15);
    drop(fixture);
    let (name, end) = client.event().await;
    assert_eq!(name, "end");
    assert_eq!(end["error"], "the collector is going down: the watch is over");
    assert_eq!(client.next().await, None);
}

#[test]
fn who_asks_for_the_head_alone_gets_that() {
    let fixture = network();
    let head = fixture.ask(request_by(http::Method::HEAD, &format!("/api/v1/stream?a={SITES}")));
    assert_eq!(head.status.as_u16(), 200);
    assert!(head.body.is_empty());
}

#[tokio::test(start_paused = true)]
async fn how_the_collector_is_doing_is_a_change_too() {
    let fixture = network();
    let mut client = Client::new(&fixture, "verdict=v1/verdict");
    client.event().await;
    assert_eq!(client.event().await.1["state"], "detached");
    fixture.publisher.update_status(|status| (status.attached, status.flushed) = (true, true));
    assert_eq!(client.event().await.1["attached"], true);
}
