//! One connection for all that a page shows: answers that a client subscribes to, sent again whenever they change.
//!
//! What several clients ask is worked out once for all of them: a [`Feed`] has the latest answer to a question, and is
//! shared by those who ask that for as long as any of them is there. Whoever comes first after a tick works it out, and
//! only if something has changed since it was worked out last. A client holds no more than one number for each of its
//! subscriptions, that of the answer it was sent last: one that does not read gets the latest when it reads again.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream as Pieces, stream};
use http::StatusCode;
use tokio::{
    sync::Mutex as AsyncMutex,
    time::{Instant, sleep_until},
};
use vanflow_store::Revision;

use crate::{
    api::Api,
    error::{ApiError, excerpt},
    json::{Json, Object},
    network::Network,
    pace::{Pace, WatchFormat, Woken},
    query::string::pairs,
};

/// How many subscriptions a client may have.
const MOST: usize = 16;

/// How long the name of a subscription may be.
const LONGEST_NAME: usize = 16;

/// Names that the stream has for events of its own.
const RESERVED: [&str; 3] = ["hello", "error", "end"];

/// How often an answer is worked out at most, and how often a client is sent something.
const TICK: Duration = Duration::from_millis(250);

/// What takes long to work out is worked out so much less often that it takes at most this part of a core.
const PART_OF_CORE: u32 = 4;

/// How often it is looked whether anything has changed that nobody is woken for: time has passed, the history grew.
const LOOK: Duration = Duration::from_secs(1);

/// What depends on the time alone is worked out anew when so much has passed, in microseconds.
const MOMENT_MICROS: u64 = 2_000_000;

/// How long an answer may be, in octets.
pub(crate) const LONGEST_ANSWER: usize = 4 << 20;

/// What answers depend on, but for what is asked: where it is the same, so are they.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) revision: Revision,
    pub(crate) evicted: u64,
    /// The time in [moments](MOMENT_MICROS).
    moment: u64,
    /// When the history of metrics was fed last, in milliseconds.
    pub(crate) history: i64,
    /// A sum of how the collector is doing.
    pub(crate) status: u64,
}

impl Version {
    pub(crate) fn new(revision: Revision, evicted: u64, now_micros: u64, history: i64, status: u64) -> Self {
        Self { revision, evicted, moment: now_micros / MOMENT_MICROS, history, status }
    }
}

/// Why there is no answer, for whoever subscribed to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
}

/// The feeds that somebody is subscribed to, by what they answer.
#[derive(Debug, Default)]
pub(crate) struct Feeds {
    feeds: Mutex<HashMap<Arc<str>, Weak<Feed>>>,
}

impl Feeds {
    /// The feed of the answers to what is asked there, shared with all who ask the same.
    fn feed(&self, target: &str) -> Arc<Feed> {
        let mut feeds = self.feeds.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(feed) = feeds.get(target).and_then(Weak::upgrade) {
            return feed;
        }
        feeds.retain(|_, feed| feed.strong_count() > 0);
        let target: Arc<str> = target.into();
        let feed = Arc::new(Feed { target: Arc::clone(&target), latest: AsyncMutex::default() });
        feeds.insert(target, Arc::downgrade(&feed));
        feed
    }
}

/// The latest answer to a question.
#[derive(Debug)]
struct Feed {
    /// A path below `/api/`, with a query.
    target: Arc<str>,
    latest: AsyncMutex<Latest>,
}

#[derive(Debug, Default)]
struct Latest {
    /// What it was worked out from.
    version: Option<Version>,
    /// Before this it is not worked out again.
    next_at: Option<Instant>,
    /// How often it came out differently: 0 before the first time.
    number: u64,
    answer: Option<Result<Bytes, Refusal>>,
}

impl Feed {
    /// The number of the latest answer, and the answer.
    async fn current(&self, api: &Api) -> (u64, Result<Bytes, Refusal>) {
        let mut latest = self.latest.lock().await;
        let begun = Instant::now();
        if latest.next_at.is_none_or(|at| at <= begun) {
            let version = api.version();
            if latest.version != Some(version) {
                let answer = api.answer_of(&self.target).await.map(on_one_line);
                latest.version = Some(version);
                if latest.answer.as_ref() != Some(&answer) {
                    latest.number += 1;
                    latest.answer = Some(answer);
                }
            }
            latest.next_at = Some(begun + TICK.max(begun.elapsed() * PART_OF_CORE));
        }
        (latest.number, latest.answer.clone().expect("it was worked out"))
    }
}

/// An answer as the data of one event.
fn on_one_line(mut answer: Vec<u8>) -> Bytes {
    while answer.last() == Some(&b'\n') {
        answer.pop();
    }
    // Between the tokens of JSON a line's end means the same as a space, and within texts there is none.
    answer.iter_mut().filter(|octet| matches!(octet, b'\n' | b'\r')).for_each(|octet| *octet = b' ');
    answer.into()
}

/// One client.
pub(crate) struct Stream {
    api: Api,
    network: Network,
    subscriptions: Vec<Subscription>,
    /// What is ready to be sent.
    pieces: VecDeque<Bytes>,
    pace: Pace,
    /// When the subscriptions may be looked at again.
    look_at: Instant,
    /// The revision that was seen when they were.
    seen: Revision,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    New,
    Following,
    Over,
}

struct Subscription {
    name: String,
    feed: Arc<Feed>,
    /// The number of the answer that was sent last.
    sent: u64,
}

impl Stream {
    /// What a query string subscribes to.
    ///
    /// # Errors
    ///
    /// Where a name or a path is none, and where there are none or too many.
    pub(crate) fn new(
        api: Api,
        network: Network,
        feeds: &Feeds,
        query: Option<&str>,
    ) -> Result<Self, ApiError> {
        let mut subscriptions = Vec::<Subscription>::new();
        for pair in pairs(query.unwrap_or(""))? {
            let refused = |why: String| ApiError::Subscription { name: excerpt(&pair.name), why };
            let is_name = (1..=LONGEST_NAME).contains(&pair.name.len())
                && pair.name.bytes().all(|letter| letter.is_ascii_alphabetic());
            if !is_name || RESERVED.contains(&&*pair.name) {
                return Err(refused(format!(
                    "must be called by 1 to {LONGEST_NAME} letters, and not {}",
                    RESERVED.join(", ")
                )));
            }
            if subscriptions.iter().any(|other| other.name == *pair.name) {
                return Err(refused("is given more than once".to_owned()));
            }
            if subscriptions.len() == MOST {
                return Err(refused(format!("is one too many: there can be {MOST}")));
            }
            // A plus sign belongs to an identity; whoever means a space in the inner query says so there.
            let target = pair.plus.as_deref().unwrap_or(&pair.value);
            if !target.starts_with("v1/") && !target.starts_with("v2alpha1/") {
                return Err(refused(format!(
                    "is to `{}`, but must be to a path below /api/ in v1 or v2alpha1, such as v1/verdict",
                    excerpt(target)
                )));
            }
            subscriptions.push(Subscription { name: pair.name.into(), feed: feeds.feed(target), sent: 0 });
        }
        if subscriptions.is_empty() {
            return Err(ApiError::Missing {
                parameter: "NAME",
                hint: "name what to follow, as in stream?verdict=v1%2Fverdict",
            });
        }
        let (pace, look_at, seen) = (Pace::new(), Instant::now(), Revision::default());
        let (pieces, state) = (VecDeque::new(), State::New);
        Ok(Self { api, network, subscriptions, pieces, pace, look_at, seen, state })
    }

    /// Everything that there is to send.
    pub(crate) fn into_pieces(self) -> impl Pieces<Item = Bytes> + Send {
        stream::unfold(self, |mut stream| async {
            let piece = stream.next().await?;
            Some((piece, stream))
        })
    }

    async fn next(&mut self) -> Option<Bytes> {
        if let Some(piece) = self.pieces.pop_front() {
            return Some(self.pace.hand_out(piece));
        }
        if let Some(reason) = self.pace.stalled(&self.network, self.seen) {
            return Some(self.over(&reason));
        }
        loop {
            match self.state {
                State::Over => return None,
                State::New => {
                    self.state = State::Following;
                    return Some(self.pace.hand_out(self.hello()));
                }
                State::Following => {}
            }
            sleep_until(self.look_at).await;
            self.look().await;
            self.look_at = Instant::now() + TICK;
            if let Some(piece) = self.pieces.pop_front() {
                return Some(self.pace.hand_out(piece));
            }
            match self.pace.change_within(&mut self.network, LOOK).await {
                None | Some(Woken::ByChange) => {}
                Some(Woken::ByTheEnd(reason)) => return Some(self.over(reason)),
                Some(Woken::ToKeepAlive) => return Some(Bytes::from_static(b": alive\n\n")),
            }
        }
    }

    /// Takes the answers that are others than those that were sent.
    async fn look(&mut self) {
        self.network.mark_seen();
        self.seen = self.network.read().revision();
        for subscription in &mut self.subscriptions {
            let (number, answer) = subscription.feed.current(&self.api).await;
            if number == subscription.sent {
                continue;
            }
            subscription.sent = number;
            match answer {
                Ok(data) => {
                    self.pieces.push_back(format!("event: {}\ndata: ", subscription.name).into());
                    self.pieces.push_back(data);
                    self.pieces.push_back(Bytes::from_static(b"\n\n"));
                }
                Err(refusal) => self.pieces.push_back(refused(&subscription.name, &refusal)),
            }
        }
    }

    /// The first event.
    fn hello(&self) -> Bytes {
        event("hello", |object| {
            object.uint("now", self.network.snapshot().now().as_micros());
            object.string("instance", self.api.instance());
        })
    }

    fn over(&mut self, reason: &str) -> Bytes {
        self.state = State::Over;
        self.pieces.clear();
        WatchFormat::Events.over(reason)
    }
}

fn refused(name: &str, refusal: &Refusal) -> Bytes {
    event("error", |object| {
        object.string("subscription", name);
        object.uint("status", refusal.status.as_u16().into());
        object.string("message", &refusal.message);
    })
}

fn event(name: &str, members: impl FnOnce(&mut Object<'_>)) -> Bytes {
    let mut json = Json::default();
    json.raw("event: ");
    json.raw(name);
    json.raw("\ndata: ");
    let mut object = Object::open(&mut json);
    members(&mut object);
    object.close();
    json.raw("\n\n");
    json.bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_ask_the_same_share_an_answer_that_is_forgotten_with_the_last_of_them() {
        let feeds = Feeds::default();
        let known = || feeds.feeds.lock().expect("nobody panicked").len();
        let (one, other) = (feeds.feed("v1/verdict"), feeds.feed("v1/sources"));
        assert!(Arc::ptr_eq(&one, &feeds.feed("v1/verdict")));
        assert!(!Arc::ptr_eq(&one, &other));
        assert_eq!(known(), 2);
        drop((one, other));
        let _again = feeds.feed("v1/verdict?");
        assert_eq!(known(), 1, "what nobody asks for any more is not kept");
    }

    #[test]
    fn an_answer_is_one_line() {
        assert_eq!(on_one_line(b"{\"a\":1,\r\n \"b\":\"c\"}\n\n".to_vec()), "{\"a\":1,   \"b\":\"c\"}");
    }
}
