//! What was shown already, and as what.

use std::collections::{HashMap, VecDeque};

use serde_json::Value;

/// How many items are remembered. One that is forgotten is shown again when it changes.
const REMEMBERED: usize = 65_536;

/// What was shown, each as open or as ended.
#[derive(Debug, Default)]
pub(super) struct Seen {
    items: HashMap<Box<str>, State>,
    order: VecDeque<Box<str>>,
}

/// What an item was when it was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    has_ended: bool,
    /// Of links.
    status: Option<Box<str>>,
}

impl Seen {
    /// Whether the item was not shown yet, or is not any more what it was; it is taken as shown from then on.
    pub(super) fn is_news(&mut self, item: &Value) -> bool {
        let Some(key) = item["key"].as_str().or_else(|| item["identity"].as_str()) else { return true };
        let is_link = item.get("cost").is_some() || item.get("role").is_some();
        let state = State {
            has_ended: item["endTime"].as_u64().is_some_and(|end| end > 0),
            status: item["status"].as_str().filter(|_| is_link).map(Into::into),
        };
        if let Some(known) = self.items.get_mut(key) {
            // What has ended is not open again: that was reported late.
            let is_news = *known != state && !known.has_ended;
            if is_news {
                *known = state;
            }
            return is_news;
        }
        if self.order.len() >= REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.items.remove(&oldest);
        }
        self.order.push_back(key.into());
        self.items.insert(key.into(), state);
        true
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_connection_is_news_when_it_is_first_seen_and_when_it_has_ended() {
        let mut seen = Seen::default();
        let open = json!({"key": "a:1@5", "endTime": 0, "octetCount": 1});
        let more = json!({"key": "a:1@5", "endTime": 0, "octetCount": 2});
        let ended = json!({"key": "a:1@5", "endTime": 9});
        let news = [&open, &open, &more, &ended, &ended, &open].map(|item| seen.is_news(item));
        assert_eq!(news, [true, false, false, true, false, false]);
    }

    #[test]
    fn a_link_is_news_whenever_its_status_changes() {
        let mut seen = Seen::default();
        let up = json!({"key": "a:1@5", "endTime": 0, "role": "edge", "status": "up"});
        let down = json!({"key": "a:1@5", "endTime": 0, "role": "edge", "status": "down"});
        assert_eq!([&up, &down, &down, &up].map(|item| seen.is_news(item)), [true, true, false, true]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut seen = Seen::default();
        for number in 0..=REMEMBERED {
            assert!(seen.is_news(&json!({"key": number.to_string(), "endTime": 0})));
        }
        assert_eq!((seen.items.len(), seen.order.len()), (REMEMBERED, REMEMBERED));
    }
}
