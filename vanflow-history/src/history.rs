//! Samples of the last day, compact.

mod chunk;
mod growth;
mod saved;
mod series;
mod symbols;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use foldhash::fast::RandomState;

use self::{
    chunk::Kept,
    series::Series,
    symbols::{Symbol, Symbols},
};
pub use self::{growth::Growth, saved::RestoreError};

/// How a history is kept.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HistoryOptions {
    /// How far back it goes; 24 hours by default.
    pub horizon: Duration,
    /// How often it will be fed; 5 seconds by default. Only how soon old samples are thinned depends on it.
    pub interval: Duration,
    /// How many octets it may take; 256 MiB by default. Beyond that, series leave that ended, the longest ago first,
    /// then the oldest samples of all series, and when only the last samples are left, no new series are taken in.
    pub memory: usize,
}

impl Default for HistoryOptions {
    fn default() -> Self {
        Self { horizon: Duration::from_hours(24), interval: Duration::from_secs(5), memory: 256 << 20 }
    }
}

/// A series of a [`History`], for as long as that keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeriesRef {
    id: u32,
    /// Tells it from others that had its place before.
    serial: u32,
}

/// How large a history is, and what it could not keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Series, those that ended within the horizon included.
    pub series: usize,
    /// Series in the last scrape.
    pub live: usize,
    /// Samples of all series.
    pub samples: usize,
    /// What all of it takes, in octets.
    pub octets: usize,
    /// Scrapes that were no later than the one before, and therefore ignored.
    pub ignored_scrapes: u64,
    /// Samples of new series for which there was no room.
    pub refused_samples: u64,
    /// Series that left before the horizon, for want of room.
    pub evicted_series: u64,
    /// How many times the oldest samples of all series left before the horizon, for want of room.
    pub shortened: u64,
}

/// A value at a time, as questions are answered from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sample {
    /// Milliseconds since the epoch.
    pub(crate) at: i64,
    /// None where the series had gone.
    pub(crate) value: Option<f64>,
}

/// A series that a question is about.
#[derive(Debug)]
pub(crate) struct Found<'h> {
    /// In the order of their names; the metric's is `__name__`.
    pub(crate) labels: Vec<(&'h str, &'h str)>,
    series: &'h Series,
}

/// The name of the label that has the name of the metric.
pub(crate) const METRIC: &str = "__name__";

/// Up to which age, and how far apart, samples are kept; the first tier has them as they come.
const TIERS: [(Duration, Duration); 4] = [
    (Duration::from_mins(15), Duration::ZERO),
    (Duration::from_hours(6), Duration::from_secs(20)),
    (Duration::from_hours(12), Duration::from_secs(60)),
    (Duration::from_hours(24), Duration::from_secs(120)),
];

/// How much longer than its age says a thinned tier keeps a sample, so that the look-back of a chart that begins there
/// is within it.
const MARGIN: Duration = Duration::from_mins(5);

/// How much longer than the horizon times are kept: each series has been looked after by then.
const LINGER: Duration = Duration::from_mins(15);

/// How often each series is looked after: old samples thinned, those beyond the horizon forgotten.
const CARE: Duration = Duration::from_mins(1);

/// Time series of the last hours, in memory.
#[derive(Debug)]
pub struct History {
    options: HistoryOptions,
    symbols: Symbols,
    /// By name of the metric.
    metrics: HashMap<Symbol, Vec<u32>, RandomState>,
    known: HashMap<Arc<[Symbol]>, u32, RandomState>,
    series: Vec<Option<Series>>,
    free: Vec<u32>,
    /// Counts series that were taken in.
    added: u32,
    /// Those that were in the last scrape.
    live: Vec<u32>,
    /// When each scrape was, in milliseconds since the epoch; the first is that of `base`.
    times: VecDeque<i64>,
    base: u32,
    /// Samples of earlier scrapes are not answered.
    floor: u32,
    /// Which series is to be looked after next.
    next: usize,
    /// What all series take, their texts apart.
    octets: usize,
    stats: Stats,
    scratch: Vec<Symbol>,
}

impl History {
    /// One that is empty.
    pub fn new(options: HistoryOptions) -> Self {
        Self {
            options,
            symbols: Symbols::default(),
            metrics: HashMap::default(),
            known: HashMap::default(),
            series: Vec::new(),
            free: Vec::new(),
            added: 0,
            live: Vec::new(),
            times: VecDeque::new(),
            base: 0,
            floor: 0,
            next: 0,
            octets: 0,
            stats: Stats::default(),
            scratch: Vec::new(),
        }
    }

    /// How it is kept.
    pub fn options(&self) -> &HistoryOptions {
        &self.options
    }

    /// Begins to take in the values of all series at a time, in milliseconds since the epoch. What was in the scrape
    /// before and is not in this one has ended.
    ///
    /// A scrape that is no later than the one before is ignored as a whole; [`Stats`] counts it.
    #[must_use = "a scrape without samples ends all series"]
    pub fn scrape(&mut self, at_ms: i64) -> Scrape<'_> {
        let is_ignored = self.times.back().is_some_and(|&last| at_ms <= last);
        if is_ignored {
            self.stats.ignored_scrapes += 1;
        } else {
            self.times.push_back(at_ms);
        }
        let ordinal = self.base + (self.times.len() as u32).saturating_sub(1);
        Scrape { history: self, ordinal, is_ignored }
    }

    /// How large it is. Counts samples, so it takes a while where there are many.
    pub fn stats(&self) -> Stats {
        Stats {
            series: self.known.len(),
            live: self.live.len(),
            samples: self.series.iter().flatten().map(Series::count).sum(),
            octets: self.total(),
            ..self.stats
        }
    }

    /// How far back it goes: the time of the oldest scrape that questions are answered from, in milliseconds since the
    /// epoch. None before the first scrape.
    pub fn oldest_ms(&self) -> Option<i64> {
        self.times.get((self.oldest() - self.base) as usize).copied()
    }

    /// The time of the last scrape, likewise.
    pub fn latest_ms(&self) -> Option<i64> {
        self.times.back().copied()
    }

    /// The series whose labels suit, in the order of their labels. `name` is that of the metric, where it is known.
    pub(crate) fn select(
        &self,
        name: Option<&str>,
        mut suits: impl FnMut(&SeriesLabels<'_>) -> bool,
    ) -> Vec<Found<'_>> {
        let mut found = Vec::new();
        let mut consider = |id: u32| {
            let Some(series) = &self.series[id as usize] else { return };
            let labels = SeriesLabels { symbols: &series.labels, texts: &self.symbols };
            if suits(&labels) {
                found.push(Found { labels: labels.iter().collect(), series });
            }
        };
        match name {
            Some(name) => {
                let ids = self.symbols.find(name).and_then(|symbol| self.metrics.get(&symbol));
                ids.into_iter().flatten().copied().for_each(&mut consider);
            }
            None => (0..self.series.len() as u32).for_each(&mut consider),
        }
        found.sort_unstable_by(|one, other| one.labels.cmp(&other.labels));
        found
    }

    /// Adds to `samples` those of a series from one time to another, in milliseconds since the epoch, both included.
    pub(crate) fn read(&self, found: &Found<'_>, from_ms: i64, to_ms: i64, samples: &mut Vec<Sample>) {
        let kept = self.within(found, from_ms, to_ms).into_iter().flatten();
        samples.extend(
            kept.map(|kept| Sample {
                at: self.times[(kept.ordinal - self.base) as usize],
                value: kept.value,
            }),
        );
    }

    /// Whether a series has a value from one time to another, in milliseconds since the epoch, both included.
    pub(crate) fn has_values(&self, found: &Found<'_>, from_ms: i64, to_ms: i64) -> bool {
        self.within(found, from_ms, to_ms).into_iter().flatten().any(|kept| kept.value.is_some())
    }

    /// What is kept of a series from one time to another; nothing where no scrape was then.
    fn within<'f>(
        &self,
        found: &Found<'f>,
        from_ms: i64,
        to_ms: i64,
    ) -> Option<impl Iterator<Item = Kept> + use<'f>> {
        let position = |at: i64| self.times.partition_point(|&time| time < at) as u32;
        let from = (self.base + position(from_ms)).max(self.oldest());
        let to = (self.base + position(to_ms.saturating_add(1))).checked_sub(1)?;
        (from <= to).then(|| found.series.samples(from, to))
    }

    /// The ordinal of the oldest scrape that is within the horizon and was not given up.
    fn oldest(&self) -> u32 {
        self.floor.max(self.first_within(self.options.horizon)).max(self.base)
    }

    /// The ordinal of the first scrape that is no older than that, seen from the last.
    fn first_within(&self, age: Duration) -> u32 {
        let Some(&now) = self.times.back() else { return self.base };
        let begin = now.saturating_sub(milliseconds(age));
        self.base + self.times.partition_point(|&time| time < begin) as u32
    }

    fn total(&self) -> usize {
        self.octets + self.symbols.octets() + self.times.capacity() * size_of::<i64>()
    }

    /// The series with those labels, which have to be sorted; a new one where there is room for it.
    fn find_or_add(&mut self, labels: &[(&str, &str)]) -> Option<u32> {
        let mut key = std::mem::take(&mut self.scratch);
        key.clear();
        for (name, value) in labels {
            match (self.symbols.find(name), self.symbols.find(value)) {
                (Some(name), Some(value)) => key.extend([name, value]),
                _ => break,
            }
        }
        let is_complete = key.len() == 2 * labels.len();
        let known = if is_complete { self.known.get(key.as_slice()).copied() } else { None };
        self.scratch = key;
        known.or_else(|| self.add(labels))
    }

    fn add(&mut self, labels: &[(&str, &str)]) -> Option<u32> {
        if self.total() > self.options.memory {
            self.evict();
            if self.total() > self.options.memory {
                return None;
            }
        }
        let key: Arc<[Symbol]> = labels
            .iter()
            .flat_map(|&(name, value)| [name, value])
            .map(|text| self.symbols.take(text))
            .collect();
        self.added = self.added.wrapping_add(1);
        let series = Series::new(Arc::clone(&key), self.added);
        self.octets += series.octets();
        let id = match self.free.pop() {
            Some(id) => {
                self.series[id as usize] = Some(series);
                id
            }
            None => {
                self.series.push(Some(series));
                (self.series.len() - 1) as u32
            }
        };
        let metric =
            labels.iter().position(|&(name, _)| name == METRIC).map(|position| key[2 * position + 1]);
        if let Some(metric) = metric {
            self.metrics.entry(metric).or_default().push(id);
        }
        self.known.insert(key, id);
        Some(id)
    }

    fn remove(&mut self, id: u32) {
        let Some(series) = self.series[id as usize].take() else { return };
        self.octets -= series.octets();
        self.known.remove(&series.labels);
        for pair in series.labels.chunks_exact(2) {
            if self.symbols.text(pair[0]) == METRIC
                && let Some(ids) = self.metrics.get_mut(&pair[1])
            {
                ids.retain(|&other| other != id);
                if ids.is_empty() {
                    self.metrics.remove(&pair[1]);
                }
            }
        }
        for &symbol in &*series.labels {
            self.symbols.release(symbol);
        }
        self.free.push(id);
    }

    fn push(&mut self, id: u32, sample: Kept) {
        let series = self.series[id as usize].as_mut().expect("a series that is pushed to is there");
        let before = series.octets();
        series.push(sample);
        self.octets = self.octets + series.octets() - before;
    }

    /// Ends what was not in the scrape, and looks after a part of all series.
    fn close(&mut self, ordinal: u32) {
        let mut live = std::mem::take(&mut self.live);
        live.retain(|&id| {
            let Some(series) = self.series[id as usize].as_mut() else { return false };
            if series.last() == Some(ordinal) {
                return true;
            }
            series.is_live = false;
            self.push(id, Kept { ordinal, value: None });
            false
        });
        self.live = live;
        self.care();
        if self.total() > self.options.memory {
            self.evict();
        }
    }

    fn care(&mut self) {
        let rounds = (CARE.as_millis() / self.options.interval.as_millis().max(1)).max(1) as usize;
        let share = self.series.len().div_ceil(rounds);
        let oldest = self.oldest();
        let margin = |step: Duration| if step.is_zero() { step } else { MARGIN };
        let ends: Vec<u32> = TIERS.iter().map(|&(age, step)| self.first_within(age + margin(step))).collect();
        for _ in 0..share {
            let id = self.next % self.series.len();
            self.next = id + 1;
            let Some(series) = self.series[id].as_mut() else { continue };
            let before = series.octets();
            let is_left = series.forget_before(oldest);
            let (times, base) = (&self.times, self.base);
            series.age(&ends, |tier, ordinal| {
                let step = milliseconds(TIERS[tier].1);
                let time = ordinal.checked_sub(base).and_then(|position| times.get(position as usize));
                time.map_or(i64::MIN, |time| time.div_euclid(step))
            });
            self.octets = self.octets + series.octets() - before;
            if !is_left {
                self.remove(id as u32);
            }
        }
        // Their times go later than the samples: each series is looked after before that.
        let gone = self.first_within(self.options.horizon + LINGER).saturating_sub(self.base);
        self.times.drain(..gone as usize);
        self.base += gone;
    }

    /// Makes room: a tenth more than is needed, so that it is not done again at once.
    fn evict(&mut self) {
        let aim = self.options.memory - self.options.memory / 10;
        let mut ended: Vec<(u32, u32)> = (0..self.series.len() as u32)
            .filter_map(|id| {
                let series = self.series[id as usize].as_ref()?;
                (!series.is_live).then(|| (series.last().unwrap_or(0), id))
            })
            .collect();
        ended.sort_unstable();
        for (_, id) in ended {
            if self.total() <= aim {
                return;
            }
            self.remove(id);
            self.stats.evicted_series += 1;
        }
        let Some(excess) = self.total().checked_sub(aim).filter(|&excess| excess > 0) else { return };
        let mut chunks: Vec<(u32, usize)> = self.series.iter().flatten().flat_map(Series::chunks).collect();
        chunks.sort_unstable();
        let mut freed = 0;
        let Some((last, _)) = chunks.into_iter().find(|(_, octets)| {
            freed += octets;
            freed >= excess
        }) else {
            return self.give_up_before(self.base + self.times.len() as u32);
        };
        self.give_up_before(last + 1);
    }

    /// Forgets the samples of all series before that scrape, at once, so that no sum misses some of its parts.
    fn give_up_before(&mut self, ordinal: u32) {
        if ordinal <= self.floor {
            return;
        }
        let last = self.base + (self.times.len() as u32).saturating_sub(1);
        self.floor = ordinal.min(last);
        self.stats.shortened += 1;
        for series in self.series.iter_mut().flatten() {
            let before = series.octets();
            series.forget_before(ordinal);
            self.octets = self.octets + series.octets() - before;
        }
    }
}

/// The labels of a series, where they are kept.
#[derive(Debug)]
pub struct SeriesLabels<'h> {
    symbols: &'h [Symbol],
    texts: &'h Symbols,
}

impl<'h> SeriesLabels<'h> {
    /// Name and value of each, in the order of the names; the metric's is `__name__`.
    pub fn iter(&self) -> impl Iterator<Item = (&'h str, &'h str)> {
        let texts = self.texts;
        self.symbols.chunks_exact(2).map(move |pair| (texts.text(pair[0]), texts.text(pair[1])))
    }

    /// The value of a label; none where there is no such label.
    pub fn value(&self, name: &str) -> Option<&'h str> {
        self.symbol(name).map(|(_, value)| value)
    }

    /// The value of a label, and what stands for that value in this history; none where there is no such label.
    pub(crate) fn symbol(&self, name: &str) -> Option<(u32, &'h str)> {
        let pair = self.symbols.chunks_exact(2).find(|pair| self.texts.text(pair[0]) == name)?;
        Some((pair[1], self.texts.text(pair[1])))
    }
}

/// The values of all series at one time, while they are taken in. When it is finished or dropped, series that were not
/// in it have ended.
#[derive(Debug)]
pub struct Scrape<'h> {
    history: &'h mut History,
    ordinal: u32,
    is_ignored: bool,
}

impl Scrape<'_> {
    /// The value of a series. Labels may come in any order; one that is empty is as good as none. Of several values of
    /// one series the first counts.
    ///
    /// Answers which series that is, for [`again`](Self::again); none where the value was not taken in.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) -> Option<SeriesRef> {
        self.take(name, labels, value, false)
    }

    /// The same for a counter that was certainly 0 at the time of the scrape before: if it is new, or had ended before
    /// that, it is taken to have been 0 then, so that `rate` and `increase` count all of it.
    pub fn born(&mut self, name: &str, labels: &[(&str, &str)], value: f64) -> Option<SeriesRef> {
        self.take(name, labels, value, true)
    }

    /// The same as [`born`](Self::born) where `is_born`, and as [`sample`](Self::sample) where not, for a series that was
    /// in an earlier scrape: at a fraction of the cost, since nothing has to be looked up. False where the series is not
    /// kept any more, and has to be named again.
    #[must_use = "the value is lost where the series is not kept any more"]
    pub fn again(&mut self, series: SeriesRef, value: f64, is_born: bool) -> bool {
        let kept = self.history.series.get(series.id as usize).and_then(Option::as_ref);
        if kept.is_none_or(|kept| kept.serial != series.serial) {
            return false;
        }
        if !self.is_ignored {
            self.put(series.id, value, is_born);
        }
        true
    }

    /// Ends series that were not in it. Dropping does the same; this says so.
    pub fn finish(self) {}

    fn take(&mut self, name: &str, labels: &[(&str, &str)], value: f64, is_born: bool) -> Option<SeriesRef> {
        if self.is_ignored {
            return None;
        }
        let mut sorted: Vec<(&str, &str)> = Vec::with_capacity(labels.len() + 1);
        sorted.push((METRIC, name));
        sorted.extend(labels.iter().filter(|(_, value)| !value.is_empty()));
        sorted.sort_unstable();
        sorted.dedup_by(|one, other| one.0 == other.0);
        let history = &mut *self.history;
        let Some(id) = history.find_or_add(&sorted) else {
            history.stats.refused_samples += 1;
            return None;
        };
        self.put(id, value, is_born);
        let series = self.history.series[id as usize].as_ref().expect("it was found or added");
        Some(SeriesRef { id, serial: series.serial })
    }

    /// Takes in a value of a series that is kept, unless it has one.
    fn put(&mut self, id: u32, value: f64, is_born: bool) {
        let history = &mut *self.history;
        let series = history.series[id as usize].as_mut().expect("it is kept");
        let last = series.last();
        if last == Some(self.ordinal) {
            return;
        }
        if !series.is_live {
            series.is_live = true;
            history.live.push(id);
            if is_born
                && let Some(before) = self.ordinal.checked_sub(1)
                && before >= history.base
                && last.is_none_or(|last| last < before)
            {
                history.push(id, Kept { ordinal: before, value: Some(0.0) });
            }
        }
        // One form of it, so that all are alike.
        let value = if value.is_nan() { f64::NAN } else { value };
        history.push(id, Kept { ordinal: self.ordinal, value: Some(value) });
    }
}

impl Drop for Scrape<'_> {
    fn drop(&mut self) {
        if !self.is_ignored {
            self.history.close(self.ordinal);
        }
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
