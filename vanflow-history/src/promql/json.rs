//! JSON in the form of Prometheus' answers.

/// Why a query has no answer, as Prometheus says it: JSON with the type of the error, such as `bad_data`, and its
/// message.
pub fn error_body(kind: &str, message: &str) -> Vec<u8> {
    let mut json = Json::default();
    json.raw("{\"status\":\"error\",\"errorType\":");
    json.string(kind);
    json.raw(",\"error\":");
    json.string(message);
    json.raw("}");
    json.bytes
}

/// JSON, written straight into octets: an answer can have millions of points, and a tree of values in between would
/// cost more than the rendering.
#[derive(Debug, Default)]
pub(crate) struct Json {
    pub(crate) bytes: Vec<u8>,
}

impl Json {
    /// Text that is JSON already.
    pub(crate) fn raw(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }

    pub(crate) fn string(&mut self, text: &str) {
        serde_json::to_writer(&mut self.bytes, text).expect("a text can be written into octets");
    }
}

/// A list of what `write` writes.
pub(crate) fn list<T>(
    json: &mut Json,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut Json, T),
) {
    json.raw("[");
    for (place, item) in items.into_iter().enumerate() {
        if place > 0 {
            json.raw(",");
        }
        write(json, item);
    }
    json.raw("]");
}

/// Labels as an object.
pub(crate) fn metric<'l>(json: &mut Json, labels: impl IntoIterator<Item = (&'l str, &'l str)>) {
    json.raw("{");
    for (place, (name, value)) in labels.into_iter().enumerate() {
        if place > 0 {
            json.raw(",");
        }
        json.string(name);
        json.raw(":");
        json.string(value);
    }
    json.raw("}");
}
