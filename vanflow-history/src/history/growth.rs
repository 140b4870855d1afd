//! What counters grew by, without a query: for those who want it of very many series at one moment.

use std::time::Duration;

use super::{History, SeriesLabels, TIERS, milliseconds};

/// What a counter grew by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growth {
    /// By how much. What it had before it began anew counts too.
    pub by: f64,
    /// Over which time, in milliseconds; never 0.
    pub over_ms: i64,
}

impl Growth {
    /// A second.
    pub fn rate(self) -> f64 {
        self.by * 1_000.0 / self.over_ms as f64
    }
}

/// How long after the last scrape that is still the present one.
const STALE: Duration = Duration::from_mins(1);

impl History {
    /// When the last scrape was that is no later than that, both in milliseconds since the epoch. None where there is
    /// none in the minute before.
    pub fn scraped_ms(&self, at_ms: i64) -> Option<i64> {
        let position = self.times.partition_point(|&time| time <= at_ms).checked_sub(1)?;
        let is_kept = self.base + position as u32 >= self.oldest();
        let time = self.times[position];
        (is_kept && at_ms - time <= milliseconds(STALE)).then_some(time)
    }

    /// What each counter with that name grew by in each of some windows of time, the longest first, which end with the
    /// last scrape that is no later than `at_ms`, milliseconds since the epoch.
    ///
    /// A window begins with the scrape that is nearest to where it should, so that growth is that between two scrapes,
    /// the same two for all series, and sums of it are right; where samples were thinned, between the samples that were
    /// kept. It is none where only one of them is known, as in a window that is shorter than the samples are apart.
    /// Where the history begins within a window, that is as long as it can be.
    pub fn growth<const N: usize>(
        &self,
        name: &str,
        at_ms: i64,
        windows: [Duration; N],
        mut each: impl FnMut(&SeriesLabels<'_>, [Option<Growth>; N]),
    ) {
        let Some(end_ms) = self.scraped_ms(at_ms) else { return };
        let end = self.base + self.times.partition_point(|&time| time < end_ms) as u32;
        let begins = windows.map(|window| self.nearest(end_ms - milliseconds(window)));
        let Some(first) = begins.iter().copied().min() else { return };
        // The sample before the first window, however sparse samples are by then.
        let age = self.times.back().map_or(0, |&last| last - self.time(first));
        let tier =
            TIERS.iter().find(|(until, _)| milliseconds(*until) > age).unwrap_or(&TIERS[TIERS.len() - 1]);
        let from = self.times.partition_point(|&time| time < self.time(first) - milliseconds(tier.1)) as u32;
        let from = (self.base + from).max(self.oldest());
        let ids = self.symbols.find(name).and_then(|symbol| self.metrics.get(&symbol));
        for &id in ids.into_iter().flatten() {
            let Some(series) = &self.series[id as usize] else { continue };
            let mut run = Run::default();
            // What it had grown by, and when, with the last sample that is no later than the begin of each window.
            let mut at_begin: [Option<Point>; N] = [None; N];
            for kept in series.samples(from, end) {
                let Some(value) = kept.value else {
                    run.has_ended = true;
                    continue;
                };
                let point = run.add(value, kept.ordinal);
                for (at, begin) in at_begin.iter_mut().zip(&begins) {
                    if kept.ordinal <= *begin {
                        *at = Some(point);
                    }
                }
            }
            let (Some(first), Some(last)) = (run.first, run.last) else { continue };
            let last_ms = if run.has_ended { end_ms } else { self.time(last.ordinal) };
            let mut position = 0;
            let growth = at_begin.map(|at| {
                let begin = begins[position];
                position += 1;
                let (from, from_ms) = match at {
                    Some(point) => (point, self.time(point.ordinal)),
                    // It came within the window: over all of that it grew by what it did since.
                    None => (first, self.time(begin)),
                };
                let over_ms = last_ms - from_ms;
                let is_known = from.ordinal < last.ordinal && over_ms > 0;
                is_known.then_some(Growth { by: last.grown - from.grown, over_ms })
            });
            if growth.iter().any(Option::is_some) {
                each(&SeriesLabels { symbols: &series.labels, texts: &self.symbols }, growth);
            }
        }
    }

    /// The ordinal of the scrape nearest to a time.
    fn nearest(&self, time_ms: i64) -> u32 {
        let after = self.times.partition_point(|&time| time < time_ms);
        let is_before_nearer = |&before: &usize| {
            self.times.get(after).is_none_or(|&time| time_ms - self.times[before] < time - time_ms)
        };
        let position = after.checked_sub(1).filter(is_before_nearer).unwrap_or(after);
        (self.base + position as u32).max(self.oldest())
    }

    fn time(&self, ordinal: u32) -> i64 {
        self.times[(ordinal - self.base) as usize]
    }
}

/// What a counter has grown by since the first sample that was looked at.
#[derive(Clone, Copy, Debug)]
struct Point {
    ordinal: u32,
    grown: f64,
}

#[derive(Debug, Default)]
struct Run {
    first: Option<Point>,
    last: Option<Point>,
    value: f64,
    has_ended: bool,
}

impl Run {
    fn add(&mut self, value: f64, ordinal: u32) -> Point {
        let grown = match self.last {
            None => 0.0,
            // What fell began anew at 0.
            Some(last) => last.grown + if value < self.value { value } else { value - self.value },
        };
        let point = Point { ordinal, grown };
        self.first.get_or_insert(point);
        self.last = Some(point);
        self.value = value;
        self.has_ended = false;
        point
    }
}

#[cfg(test)]
mod tests {
    use crate::{Growth, History, HistoryOptions};
    use std::time::Duration;

    const WINDOWS: [Duration; 2] = [Duration::from_mins(1), Duration::from_secs(10)];

    /// A counter with these values, one each five seconds from 0 on; nothing where it is none.
    fn history(values: &[Option<f64>]) -> History {
        let mut history = History::new(HistoryOptions::default());
        for (position, value) in values.iter().enumerate() {
            let mut scrape = history.scrape(5_000 * position as i64);
            if let Some(value) = value {
                scrape.sample("octets_total", &[("site", "west")], *value);
            }
            scrape.finish();
        }
        history
    }

    fn growth(history: &History, at_ms: i64) -> Option<[Option<Growth>; 2]> {
        let mut found = None;
        history.growth("octets_total", at_ms, WINDOWS, |labels, growth| {
            assert_eq!(labels.iter().collect::<Vec<_>>(), [("__name__", "octets_total"), ("site", "west")]);
            assert!(found.replace(growth).is_none());
        });
        found
    }

    fn grown(by: f64, over_ms: i64) -> Option<Growth> {
        Some(Growth { by, over_ms })
    }

    #[test]
    fn growth_is_between_two_scrapes_and_no_longer_than_the_history() {
        let values: Vec<_> = (0..30).map(|position| Some(f64::from(position * 100))).collect();
        let history = history(&values);
        assert_eq!(growth(&history, 145_000), Some([grown(1_200.0, 60_000), grown(200.0, 10_000)]));
        assert_eq!(growth(&history, 149_999), Some([grown(1_200.0, 60_000), grown(200.0, 10_000)]));
        assert_eq!(growth(&history, 20_000), Some([grown(400.0, 20_000), grown(200.0, 10_000)]));
        assert_eq!(growth(&history, 5_000), Some([grown(100.0, 5_000), grown(100.0, 5_000)]));
        assert_eq!(growth(&history, 0), None);
        assert_eq!(growth(&history, -1), None);
        assert_eq!(growth(&history, 145_000 + 60_001), None, "nothing was scraped in the minute before");
        assert_eq!(growth(&history, 20_000).unwrap()[0].unwrap().rate(), 20.0);
    }

    #[test]
    fn a_counter_that_began_anew_or_came_late_has_grown_by_what_it_has() {
        let anew: Vec<_> = [7.0, 9.0, 1.0, 4.0].map(Some).into();
        assert_eq!(growth(&history(&anew), 15_000), Some([grown(6.0, 15_000), grown(4.0, 10_000)]));
        let late = [None, None, None, Some(0.0), Some(30.0)];
        assert_eq!(growth(&history(&late), 20_000), Some([grown(30.0, 20_000), grown(30.0, 10_000)]));
        let alone = [None, Some(5.0)];
        assert_eq!(growth(&history(&alone), 5_000), None, "what it was before is not known");
    }

    #[test]
    fn a_counter_that_ended_grew_until_then() {
        let ended = [Some(0.0), Some(10.0), None, None];
        assert_eq!(growth(&history(&ended), 15_000), Some([grown(10.0, 15_000), None]));
    }

    #[test]
    fn a_window_shorter_than_old_samples_are_apart_is_not_known() {
        let values: Vec<_> = (0..2_000).map(|position| Some(f64::from(position * 100))).collect();
        let history = history(&values);
        // Two hours and a half ago there is a sample each 20 s.
        for at_ms in (1_000_000..1_100_000).step_by(5_000) {
            let [minute, short] = growth(&history, at_ms).unwrap();
            assert_eq!(minute.unwrap().rate(), 20.0, "{at_ms}");
            assert!(minute.unwrap().over_ms.abs_diff(60_000) <= 20_000);
            assert!(short.is_none_or(|short| short.rate() == 20.0 && short.over_ms == 20_000), "{at_ms}");
        }
    }
}
