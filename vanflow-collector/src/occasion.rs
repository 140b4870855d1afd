//! Saying the same thing again only so often.

use std::time::Duration;

use tokio::time::Instant;

/// How long after something was said it may be said again, unless that is said otherwise.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Something that may go wrong a thousand times a second and is worth a line a minute.
#[derive(Debug)]
pub(crate) struct Occasion {
    again_after: Duration,
    said: Option<Instant>,
    unsaid: u64,
}

impl Default for Occasion {
    fn default() -> Self {
        Self::each(AGAIN_AFTER)
    }
}

impl Occasion {
    /// Something that is worth a line in each such time.
    pub(crate) fn each(again_after: Duration) -> Self {
        Self { again_after, said: None, unsaid: 0 }
    }

    /// Whether it may be said now; if so, how often it happened since it was said last, this time included.
    pub(crate) fn arises(&mut self) -> Option<u64> {
        self.unsaid += 1;
        if self.said.is_some_and(|said| said.elapsed() < self.again_after) {
            return None;
        }
        self.said = Some(Instant::now());
        Some(std::mem::take(&mut self.unsaid))
    }

    /// It is over: answers whether it was said at all. The next time is worth a line at once.
    pub(crate) fn is_over(&mut self) -> bool {
        std::mem::replace(self, Self::each(self.again_after)).said.is_some()
    }
}

/// Something that goes on for a while, and is worth a line when it begins and another when it is over.
#[cfg(any(feature = "archive", test))]
#[derive(Debug, Default)]
pub(crate) struct Outage {
    since: Option<Instant>,
}

#[cfg(any(feature = "archive", test))]
impl Outage {
    /// It goes on; whether it did not before.
    pub(crate) fn begins(&mut self) -> bool {
        let is_new = self.since.is_none();
        self.since.get_or_insert_with(Instant::now);
        is_new
    }

    /// It is over; how long it was, for people, where there was one.
    pub(crate) fn ends(&mut self) -> Option<humantime::FormattedDuration> {
        let lasted = self.since.take()?.elapsed();
        Some(humantime::format_duration(Duration::from_secs(lasted.as_secs())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_goes_on_is_said_once_a_minute_with_how_often() {
        let mut occasion = Occasion::default();
        assert!(!occasion.is_over());
        assert_eq!(occasion.arises(), Some(1));
        assert_eq!(occasion.arises(), None);
        assert_eq!(occasion.arises(), None);
        tokio::time::advance(AGAIN_AFTER).await;
        assert_eq!(occasion.arises(), Some(3));
        assert!(occasion.is_over());
        assert_eq!(occasion.arises(), Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_begins_once_and_its_length_is_known_when_it_ends() {
        let mut outage = Outage::default();
        assert!(outage.ends().is_none());
        assert!(outage.begins());
        tokio::time::advance(Duration::from_millis(61_900)).await;
        assert!(!outage.begins());
        assert_eq!(outage.ends().map(|lasted| lasted.to_string()).as_deref(), Some("1m 1s"));
        assert!(outage.ends().is_none());
        assert!(outage.begins());
    }
}
