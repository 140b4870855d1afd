//! A list, item by item: JSON lines, each read as it comes.

use bytes::BytesMut;
use http_body_util::BodyExt;
use serde_json::Value;

use super::Body;
use crate::error::Error;

/// The items of a list that is still coming.
pub(crate) struct Lines {
    body: Body,
    rest: BytesMut,
    is_over: bool,
    server: String,
    path: String,
    answered_from: Option<u64>,
}

impl Lines {
    pub(super) fn new(body: Body, server: String, path: String, answered_from: Option<u64>) -> Self {
        Self { body, rest: BytesMut::new(), is_over: false, server, path, answered_from }
    }

    /// From when on all that ended is in the list, in microseconds, where it was asked for from an earlier time.
    pub(crate) fn answered_from(&self) -> Option<u64> {
        self.answered_from
    }

    /// The next item; none when there are no more.
    pub(crate) async fn next(&mut self) -> Result<Option<Value>, Error> {
        let mut searched = 0;
        loop {
            if let Some(end) = self.rest[searched..].iter().position(|octet| *octet == b'\n') {
                let line = self.rest.split_to(searched + end + 1);
                if line.trim_ascii().is_empty() {
                    searched = 0;
                    continue;
                }
                return self.item(&line).map(Some);
            }
            searched = self.rest.len();
            if self.is_over {
                let line = self.rest.split();
                return if line.trim_ascii().is_empty() { Ok(None) } else { self.item(&line).map(Some) };
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        self.rest.extend_from_slice(&bytes);
                    }
                }
                Some(Err(error)) => return Err(self.garbled(format!("broke off: {error}"))),
                None => self.is_over = true,
            }
        }
    }

    fn item(&self, line: &[u8]) -> Result<Value, Error> {
        let item: Value = serde_json::from_slice(line)
            .map_err(|error| self.garbled(format!("has a line that is no JSON: {error}")))?;
        // What the server says when it cannot go on.
        match item.as_object() {
            Some(object) if object.len() == 1 && object.contains_key("error") => Err(self
                .garbled(format!("ends early: {}", object["error"].as_str().unwrap_or("it says no more")))),
            _ => Ok(item),
        }
    }

    fn garbled(&self, what: String) -> Error {
        Error::Garbled { server: self.server.clone(), path: self.path.clone(), what }
    }
}
