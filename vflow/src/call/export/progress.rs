//! How far an export is, for those who wait at a terminal.

use indicatif::{ProgressBar, ProgressStyle};

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
            Some(expected) => (
                ProgressBar::new(expected),
                "{wide_bar} {human_pos} of {human_len}, {per_sec:.0}, {eta} to go",
            ),
            None => (ProgressBar::new_spinner(), "{spinner} {human_pos}, {per_sec:.0}"),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━╸─"));
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
