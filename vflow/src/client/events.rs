//! Server-sent events, as <https://html.spec.whatwg.org/multipage/server-sent-events.html> has them.

use bytes::BytesMut;
use http_body_util::BodyExt;

use super::{Body, Failure};

/// Events that are still coming.
pub(crate) struct Events {
    body: Body,
    rest: BytesMut,
    event: Event,
}

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// What it is; empty where it does not say.
    pub(crate) name: String,
    /// What can be gone on from.
    pub(crate) id: Option<String>,
    /// Its data, line ends between lines. Empty where it only has an id.
    pub(crate) data: String,
}

impl Events {
    pub(super) fn new(body: Body) -> Self {
        Self { body, rest: BytesMut::new(), event: Event::default() }
    }

    /// The next event; none where the server has ended the answer.
    ///
    /// Can be dropped while it waits: what has come by then is kept.
    pub(crate) async fn next(&mut self) -> Result<Option<Event>, Failure> {
        loop {
            while let Some(end) = self.rest.iter().position(|octet| *octet == b'\n') {
                let line = self.rest.split_to(end + 1);
                let line = String::from_utf8_lossy(&line);
                if let Some(event) = self.event.take(line.trim_end_matches(['\r', '\n'])) {
                    return Ok(Some(event));
                }
            }
            match self.body.frame().await {
                Some(frame) => {
                    if let Ok(bytes) = frame?.into_data() {
                        self.rest.extend_from_slice(&bytes);
                    }
                }
                None => return Ok(None),
            }
        }
    }
}

impl Events {
    /// Whether more of them have come already.
    pub(crate) fn has_more(&self) -> bool {
        self.rest.contains(&b'\n')
    }
}

impl Event {
    /// Takes a line in; an empty one ends the event, if there is any.
    fn take(&mut self, line: &str) -> Option<Self> {
        if line.is_empty() {
            let event = std::mem::take(self);
            return (event != Self::default()).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "id" => self.id = Some(value.to_owned()),
            "data" => {
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            // A comment, or what nobody here goes by.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::{BodyExt, Full};

    use super::*;

    async fn events(text: &'static str) -> Vec<Event> {
        let body =
            Full::new(Bytes::from_static(text.as_bytes())).map_err(|error| match error {}).boxed_unsync();
        let mut events = Events::new(body);
        let mut all = Vec::new();
        while let Some(event) = events.next().await.expect("nothing breaks") {
            all.push(event);
        }
        all
    }

    #[tokio::test]
    async fn events_have_names_ids_and_data_and_comments_are_passed_over() {
        let text = ": hello\n\nevent: record\nid: a-7\ndata: {\"a\":1}\n\n: nothing new\nid: a-9\n\ndata: x\ndata:y\r\n\ndata: cut";
        let event = |name: &str, id: Option<&str>, data: &str| Event {
            name: name.into(),
            id: id.map(str::to_owned),
            data: data.into(),
        };
        assert_eq!(
            events(text).await,
            [event("record", Some("a-7"), "{\"a\":1}"), event("", Some("a-9"), ""), event("", None, "x\ny")]
        );
    }
}
