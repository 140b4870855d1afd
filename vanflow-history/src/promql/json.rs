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

/// The end of an answer that left something out because there was a limit.
pub(crate) const TRUNCATED: &str = ",\"warnings\":[\"results truncated due to limit\"]}";

/// Adds a warning to an answer of [`respond`](crate::respond) that has the status 200, as Prometheus has them: in
/// `warnings`, beside `data`.
pub fn add_warning(answer: &mut Vec<u8>, warning: &str) {
    let has_some = answer.ends_with(TRUNCATED.as_bytes());
    let end = if has_some { "]}" } else { "}" };
    answer.truncate(answer.len().saturating_sub(end.len()));
    let mut json = Json { bytes: std::mem::take(answer) };
    json.raw(if has_some { "," } else { ",\"warnings\":[" });
    json.string(warning);
    json.raw("]}");
    *answer = json.bytes;
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

#[cfg(test)]
mod warning_tests {
    use super::*;

    #[test]
    fn a_warning_comes_after_those_that_there_are() {
        let warned = |answer: &str| {
            let mut answer = answer.as_bytes().to_vec();
            add_warning(&mut answer, "not \"it\"");
            String::from_utf8(answer).expect("UTF-8")
        };
        let data = "{\"status\":\"success\",\"data\":[\"a\"]";
        assert_eq!(warned(&format!("{data}}}")), format!("{data},\"warnings\":[\"not \\\"it\\\"\"]}}"));
        assert_eq!(
            warned(&format!("{data}{TRUNCATED}")),
            format!("{data},\"warnings\":[\"results truncated due to limit\",\"not \\\"it\\\"\"]}}")
        );
    }
}
