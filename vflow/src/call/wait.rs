//! What somebody at a terminal sees while a collector reads days of its history: that it goes on, and for how long it has.

use std::{io::Write, time::Duration};

use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// How long an answer may take before anything is shown.
const AT_ONCE: Duration = Duration::from_secs(1);

/// How often what is shown changes.
const EVERY: Duration = Duration::from_millis(200);

/// How long the bar is, and the part of it that moves.
const CELLS: usize = 24;
const BLOCK: usize = 6;

/// Waits for an answer, with a bar at a terminal where that takes long.
pub(super) async fn wait<T>(err: &mut dyn Write, is_terminal: bool, answer: impl Future<Output = T>) -> T {
    if !is_terminal {
        return answer.await;
    }
    tokio::pin!(answer);
    let began = Instant::now();
    let mut ticks = interval_at(began + AT_ONCE, EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_shown = false;
    loop {
        tokio::select! {
            biased;
            answer = &mut answer => {
                if is_shown {
                    show(err, "\r\x1b[K");
                }
                return answer;
            }
            now = ticks.tick() => {
                show(err, &format!("\r{}", bar(now - began)));
                is_shown = true;
            }
        }
    }
}

/// Whoever does not see it is owed the answer all the same.
fn show(err: &mut dyn Write, text: &str) {
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

/// A block that goes to and fro, and how long it has.
fn bar(waited: Duration) -> String {
    let ways = CELLS - BLOCK;
    let step = usize::try_from(waited.as_millis() / EVERY.as_millis()).unwrap_or(0) % (2 * ways);
    let at = step.min(2 * ways - step);
    let (before, after) = ("─".repeat(at), "─".repeat(ways - at));
    format!("{before}{}{after} the collector is reading, {} s", "━".repeat(BLOCK), waited.as_secs())
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    async fn shown(is_terminal: bool, takes: Duration) -> String {
        let mut err = Vec::new();
        let answer = async {
            sleep(takes).await;
            7
        };
        assert_eq!(wait(&mut err, is_terminal, answer).await, 7);
        String::from_utf8(err).expect("it is text")
    }

    #[tokio::test(start_paused = true)]
    async fn a_bar_moves_at_a_terminal_where_an_answer_takes_long_and_leaves_nothing_behind() {
        assert_eq!(shown(true, Duration::from_millis(990)).await, "");
        assert_eq!(shown(false, Duration::from_secs(9)).await, "");
        assert_eq!(
            shown(true, Duration::from_millis(1300)).await,
            "\r─────━━━━━━───────────── the collector is reading, 1 s\
             \r──────━━━━━━──────────── the collector is reading, 1 s\r\x1b[K"
        );
    }

    #[test]
    fn the_bar_is_as_long_wherever_its_block_is() {
        for tenths in 0..200 {
            let bar = bar(Duration::from_millis(tenths * 100));
            let cells: String = bar.chars().take_while(|cell| *cell != ' ').collect();
            assert_eq!((cells.chars().count(), cells.matches('━').count()), (CELLS, BLOCK), "{bar}");
        }
    }
}
