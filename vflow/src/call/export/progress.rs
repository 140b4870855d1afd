//! How far an export is, for those who wait at a terminal.

use std::fmt;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use crate::number;

/// How many items pass between two looks at the bar.
const STEP: u64 = 512;

/// A bar, or none.
pub(super) struct Progress {
    bar: ProgressBar,
    passed: u64,
}

impl Progress {
    /// Nobody waits at a terminal.
    pub(super) fn none() -> Self {
        Self { bar: ProgressBar::hidden(), passed: 0 }
    }

    /// Of so many items, where that is known.
    pub(super) fn of(expected: Option<u64>) -> Self {
        let (bar, template) = match expected {
            Some(expected) => {
                (ProgressBar::new(expected), "{wide_bar} {human_pos} of {human_len}, {pace}, {eta} to go")
            }
            None => (ProgressBar::new_spinner(), "{spinner} {human_pos}, {pace}"),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            let pace = |state: &ProgressState, out: &mut dyn fmt::Write| {
                // What has no room is left out.
                let _ = out.write_str(&per_second(state.per_sec()));
            };
            bar.set_style(style.progress_chars("━╸─").with_key("pace", pace));
        }
        Self { bar, passed: 0 }
    }

    /// One more item.
    pub(super) fn step(&mut self) {
        self.passed += 1;
        if self.passed.is_multiple_of(STEP) {
            self.bar.set_position(self.passed);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// How many items come in a second, in whole ones.
fn per_second(items: f64) -> String {
    format!("{}/s", number::count(items.round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_in_whole_items() {
        assert_eq!(per_second(3_009.75), "3,010/s");
        assert_eq!(per_second(0.4), "0/s");
    }
}
