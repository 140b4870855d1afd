//! What somebody at a terminal sees while a collector reads days of its history: that it goes on, and for how long it has.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::sleep;

/// How long an answer may take before anything is shown.
const AT_ONCE: Duration = Duration::from_secs(1);

/// How often what is shown changes.
const EVERY: Duration = Duration::from_millis(200);

/// Waits for an answer, with a line at a terminal where that takes long.
pub(super) async fn wait<T>(is_terminal: bool, answer: impl Future<Output = T>) -> T {
    wait_with(is_terminal, answer, || ProgressBar::new_spinner().with_elapsed(AT_ONCE)).await
}

async fn wait_with<T>(
    is_terminal: bool,
    answer: impl Future<Output = T>,
    line: impl FnOnce() -> ProgressBar,
) -> T {
    tokio::pin!(answer);
    tokio::select! {
        biased;
        answer = &mut answer => return answer,
        () = sleep(AT_ONCE), if is_terminal => {}
    }
    let line = line();
    if let Ok(style) = ProgressStyle::with_template("{spinner} the collector is reading, {elapsed}") {
        line.set_style(style);
    }
    line.enable_steady_tick(EVERY);
    let answer = answer.await;
    line.finish_and_clear();
    answer
}

#[cfg(test)]
mod tests {
    use std::cell::OnceCell;

    use indicatif::ProgressDrawTarget;

    use super::*;

    /// Whether a line was shown, and it is gone.
    async fn shown(is_terminal: bool, takes: Duration) -> Option<bool> {
        let line = OnceCell::new();
        let answer = async {
            sleep(takes).await;
            // It is there for as long as nobody has answered.
            assert!(line.get().is_none_or(|line: &ProgressBar| !line.is_finished()));
            7
        };
        let make =
            || line.get_or_init(|| ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden())).clone();
        assert_eq!(wait_with(is_terminal, answer, make).await, 7);
        line.get().map(ProgressBar::is_finished)
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_is_at_a_terminal_where_an_answer_takes_long_and_goes_with_it() {
        assert_eq!(shown(true, Duration::from_millis(990)).await, None);
        assert_eq!(shown(false, Duration::from_secs(9)).await, None);
        assert_eq!(shown(true, Duration::from_millis(1300)).await, Some(true));
    }
}
