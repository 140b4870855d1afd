//! Saying the same thing again only so often.

use std::time::Duration;

use tokio::time::Instant;

/// How long after something was said it may be said again.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Something that may go wrong a thousand times a second and is worth a line a minute.
#[derive(Debug, Default)]
pub(crate) struct Occasion {
    said: Option<Instant>,
    unsaid: u64,
}

impl Occasion {
    /// Whether it may be said now; if so, how often it happened since it was said last, this time included.
    pub(crate) fn arises(&mut self) -> Option<u64> {
        self.unsaid += 1;
        if self.said.is_some_and(|said| said.elapsed() < AGAIN_AFTER) {
            return None;
        }
        self.said = Some(Instant::now());
        Some(std::mem::take(&mut self.unsaid))
    }

    /// It is over: answers whether it was said at all. The next time is worth a line at once.
    pub(crate) fn is_over(&mut self) -> bool {
        std::mem::take(self).said.is_some()
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
}
