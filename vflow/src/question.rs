//! What is asked: a path and its parameters.

use std::fmt::Write;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What may stand in a query string as it is. Anything else could mean something there.
const AS_IT_IS: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b':')
    .remove(b'/')
    .remove(b',');

/// A question to the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    path: &'static str,
    parameters: Vec<(String, String)>,
}

impl Question {
    /// A question to that path below `/`, such as `api/v2alpha1/sites`.
    pub(crate) fn new(path: &'static str) -> Self {
        Self { path, parameters: Vec::new() }
    }

    /// The same question with one more parameter.
    pub(crate) fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.add(name, value);
        self
    }

    pub(crate) fn add(&mut self, name: &str, value: impl ToString) {
        self.parameters.push((name.to_owned(), value.to_string()));
    }

    /// Whether it is about something that is named, and need not be there.
    pub(crate) fn names_one(&self) -> bool {
        matches!(self.path, "api/v1/path" | "api/v1/map")
    }

    /// As it is asked, encoded, without a slash before it.
    pub(crate) fn target(&self) -> String {
        let mut target = self.path.to_owned();
        for (at, (name, value)) in self.parameters.iter().enumerate() {
            let separator = if at == 0 { '?' } else { '&' };
            let (name, value) = (utf8_percent_encode(name, AS_IT_IS), utf8_percent_encode(value, AS_IT_IS));
            let _ = write!(target, "{separator}{name}={value}");
        }
        target
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_encoded_so_that_they_mean_themselves() {
        let question =
            Question::new("api/v2alpha1/connections").with("routingKey", "a&b=c +%").with("limit", 5);
        assert_eq!(question.target(), "api/v2alpha1/connections?routingKey=a%26b%3Dc%20%2B%25&limit=5");
    }
}
