//! Label sets, written once and kept as they are written.

use std::{
    borrow::Cow,
    hash::{BuildHasher, Hash, Hasher, RandomState},
    sync::{Arc, LazyLock},
};

use crate::metrics::table::Name;

/// The labels of a sample, ready to be exposed. Cloning is cheap, and so is finding one in a table that the same is in.
#[derive(Clone, Debug)]
pub(crate) struct LabelSet {
    text: Arc<str>,
    hash: u64,
}

impl PartialEq for LabelSet {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && (Arc::ptr_eq(&self.text, &other.text) || self.text == other.text)
    }
}

impl Eq for LabelSet {}

impl Hash for LabelSet {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// Takes the hash that a [`LabelSet`] has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LabelSetHasher(u64);

impl Hasher for LabelSetHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("a label set has the hash of its text at hand");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

impl LabelSet {
    /// Labels in the given order.
    pub(crate) fn new<'l>(labels: impl IntoIterator<Item = (&'l str, &'l str)>) -> Self {
        let mut text = String::new();
        push(&mut text, labels);
        Self::written(text)
    }

    fn written(text: String) -> Self {
        static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        let hash = KEYS.hash_one(&text);
        Self { text: text.into(), hash }
    }

    /// These labels and some more.
    pub(crate) fn with<'l>(&self, labels: impl IntoIterator<Item = (&'l str, &'l str)>) -> Self {
        let mut text = String::from(&*self.text);
        push(&mut text, labels);
        Self::written(text)
    }

    /// These labels and those of a metric, in the order of the table.
    pub(crate) fn of<'l>(&self, name: Name, values: impl IntoIterator<Item = &'l str>) -> Self {
        self.with(name.metric().labels.iter().copied().zip(values))
    }

    /// As they stand between braces: `a="x",b="y"`, escaped.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Names and values, in order.
    pub(crate) fn pairs(&self) -> Vec<(&str, Cow<'_, str>)> {
        let mut pairs = Vec::new();
        let mut rest = &*self.text;
        while let Some((name, after)) = rest.split_once("=\"") {
            let mut is_escaped = false;
            let is_end = |letter| {
                let is_end = letter == '"' && !is_escaped;
                is_escaped = letter == '\\' && !is_escaped;
                is_end
            };
            let Some(end) = after.find(is_end) else { break };
            pairs.push((name, unescaped(&after[..end])));
            rest = after[end + 1..].trim_start_matches(',');
        }
        pairs
    }
}

fn push<'l>(text: &mut String, labels: impl IntoIterator<Item = (&'l str, &'l str)>) {
    for (name, value) in labels {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(name);
        text.push_str("=\"");
        for letter in value.chars() {
            match letter {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                letter => text.push(letter),
            }
        }
        text.push('"');
    }
}

/// A value as it was before it was escaped.
pub(crate) fn unescaped(value: &str) -> Cow<'_, str> {
    if !value.contains('\\') {
        return Cow::Borrowed(value);
    }
    let mut plain = String::with_capacity(value.len());
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => plain.extend(letters.next().map(|next| if next == 'n' { '\n' } else { next })),
            letter => plain.push(letter),
        }
    }
    Cow::Owned(plain)
}

/// Whether a label may have that name. Names that begin with two underscores are Prometheus' own.
pub(crate) fn is_label_name(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
        && !name.starts_with("__")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_value_early_is_escaped() {
        let labels = LabelSet::new([("a", "x\"} 1"), ("b", "\\")]).with([("c", "two\nlines"), ("d", "")]);
        assert_eq!(labels.as_str(), r#"a="x\"} 1",b="\\",c="two\nlines",d="""#);
        let pairs = labels.pairs();
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (*name, value.as_ref())).collect();
        assert_eq!(pairs, [("a", "x\"} 1"), ("b", "\\"), ("c", "two\nlines"), ("d", "")]);
    }

    #[test]
    fn label_names_are_those_that_prometheus_takes() {
        for (name, expected) in [
            ("network", true),
            ("_a1", true),
            ("", false),
            ("1a", false),
            ("a-b", false),
            ("__name__", false),
        ] {
            assert_eq!(is_label_name(name), expected, "{name}");
        }
    }
}
