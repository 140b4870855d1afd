//! Who is asked: a collector over HTTP, or the same API over a capture that is read by this process.
//!
//! Both answer the same paths with the same bodies, so that nothing beyond this module knows which it was.

mod capture;
mod events;
mod http;
mod lines;

use ::http::{HeaderMap, StatusCode, header::ACCEPT};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited, combinators::UnsyncBoxBody};
use serde_json::Value;

use self::capture::Capture;
pub(crate) use self::{
    events::{Event, Events},
    http::{Posted, Server},
    lines::Lines,
};
use crate::{args::Connection, error::Error, question::Question};

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";
const EVENTS: &str = "text/event-stream";

/// From when on all that ended is in an answer.
const ANSWERED_FROM: &str = "vanflow-answered-from";

/// What a document may be at most, in octets. Lists are read line by line, and have no such limit.
const LONGEST: usize = 256 << 20;

/// Whatever went wrong while an answer came.
type Failure = Box<dyn std::error::Error + Send + Sync>;

type Body = UnsyncBoxBody<Bytes, Failure>;

/// Somebody to ask.
pub(crate) struct Client {
    target: Target,
}

enum Target {
    Server(Box<Server>),
    Capture(Box<Capture>),
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Body,
}

impl Client {
    /// Whoever was named. Nothing is asked yet; a capture is read to its end, and `warn` told of what of it cannot be.
    pub(crate) fn new(connection: &Connection, warn: impl FnMut(&str)) -> Result<Self, Error> {
        let target = match &connection.input {
            Some(path) => Target::Capture(Box::new(Capture::read(path, warn)?)),
            None => Target::Server(Box::new(Server::new(connection)?)),
        };
        Ok(Self { target })
    }

    /// Whether it is a capture, of which nothing more can come.
    pub(crate) fn is_capture(&self) -> bool {
        matches!(self.target, Target::Capture(_))
    }

    /// What it is called in messages.
    pub(crate) fn name(&self) -> String {
        match &self.target {
            Target::Server(server) => server.url().to_owned(),
            Target::Capture(capture) => capture.path().display().to_string(),
        }
    }

    /// The whole answer, JSON.
    pub(crate) async fn json(&self, question: &Question) -> Result<Value, Error> {
        let bytes = self.bytes(question, JSON).await?;
        serde_json::from_slice(&bytes).map_err(|error| self.garbled(question, format!("is no JSON: {error}")))
    }

    /// The results of an answer that is a list: all of them.
    pub(crate) async fn results(&self, question: &Question) -> Result<Vec<Value>, Error> {
        match self.json(question).await?["results"].take() {
            Value::Array(results) => Ok(results),
            _ => Err(self.garbled(question, "has no `results`")),
        }
    }

    /// The whole answer as a text of that media type.
    pub(crate) async fn text(&self, question: &Question, media: &str) -> Result<String, Error> {
        let bytes = self.bytes(question, media).await?;
        String::from_utf8(bytes.into()).map_err(|_| self.garbled(question, "is no text"))
    }

    /// The items of a list, one by one, as they come.
    pub(crate) async fn lines(&self, question: &Question) -> Result<Lines, Error> {
        let answer = self.ask(question, LINES, None).await?;
        let from = answer.headers.get(ANSWERED_FROM).and_then(|time| time.to_str().ok()?.parse().ok());
        Ok(Lines::new(answer.body, self.name(), question.target(), from))
    }

    /// Server-sent events, from the one with that id on.
    pub(crate) async fn events(&self, question: &Question, last_id: Option<&str>) -> Result<Events, Error> {
        let answer = self.ask(question, EVENTS, last_id).await?;
        Ok(Events::new(answer.body))
    }

    async fn bytes(&self, question: &Question, media: &str) -> Result<Bytes, Error> {
        let answer = self.ask(question, media, None).await?;
        match Limited::new(answer.body, LONGEST).collect().await {
            Ok(collected) => Ok(collected.to_bytes()),
            Err(error) => Err(self.garbled(question, format!("broke off: {error}"))),
        }
    }

    /// An answer that is no refusal.
    async fn ask(&self, question: &Question, media: &str, last_id: Option<&str>) -> Result<Answer, Error> {
        let mut headers = HeaderMap::new();
        let value = |text: &str| text.parse().map_err(|_| self.garbled(question, "has an id that is none"));
        headers.insert(ACCEPT, value(media)?);
        if let Some(id) = last_id {
            headers.insert("last-event-id", value(id)?);
        }
        let answer = match &self.target {
            Target::Server(server) => server.ask(question, headers).await?,
            Target::Capture(capture) => capture.ask(question, headers)?,
        };
        if answer.status.is_success() {
            return Ok(answer);
        }
        let status = answer.status.as_u16();
        if matches!(status, 401 | 403) {
            return Err(Error::NotAllowed { server: self.name(), status });
        }
        let body = Limited::new(answer.body, 64 << 10).collect().await.map(|body| body.to_bytes());
        let message = reason(&body.unwrap_or_default());
        match message {
            Some(message) if answer.status == StatusCode::BAD_REQUEST || status == 422 => {
                Err(Error::Refused { message })
            }
            Some(message) if status == 404 && question.names_one() => Err(Error::Refused { message }),
            message => Err(Error::Failed {
                server: self.name(),
                path: question.target(),
                status,
                message: message.unwrap_or_else(|| "it says no more".to_owned()),
            }),
        }
    }

    fn garbled(&self, question: &Question, what: impl Into<String>) -> Error {
        Error::Garbled { server: self.name(), path: question.target(), what: what.into() }
    }
}

/// What the body of a refusal says, in each API's form.
fn reason(body: &[u8]) -> Option<String> {
    match serde_json::from_slice::<Value>(body) {
        Ok(body) => ["message", "error"].iter().find_map(|name| body[name].as_str()).map(str::to_owned),
        // As a ClickHouse says it.
        Err(_) => {
            let text = String::from_utf8_lossy(body);
            text.starts_with("Code: ").then(|| text.lines().next().unwrap_or_default().to_owned())
        }
    }
}
