use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const START: i64 = 1_795_347_880_000;
const HOUR: i64 = 3_600_000;

/// What was fed, as it was fed.
type Model = BTreeMap<String, Vec<Sample>>;

fn options() -> HistoryOptions {
    HistoryOptions { interval: Duration::from_secs(15), ..HistoryOptions::default() }
}

fn all(history: &History, name: &str) -> Vec<Sample> {
    between(history, name, i64::MIN, i64::MAX)
}

fn between(history: &History, name: &str, from: i64, to: i64) -> Vec<Sample> {
    let mut samples = Vec::new();
    for found in history.select(Some(name), |_| true) {
        history.read(&found, from, to, &mut samples);
    }
    samples
}

fn feed(history: &mut History, at: i64, values: &[(&str, f64)]) {
    let mut scrape = history.scrape(at);
    for (name, value) in values {
        scrape.sample(name, &[], *value);
    }
    scrape.finish();
}

#[test]
fn a_series_that_is_known_is_fed_as_if_it_were_named() {
    let (mut named, mut known) = (History::new(options()), History::new(options()));
    let mut series = None;
    // It is born, goes on, is missing once, and comes back.
    for (turn, value) in [Some(3.0), Some(5.0), None, Some(6.0), Some(f64::NAN)].into_iter().enumerate() {
        let at = START + 15_000 * turn as i64;
        let (mut one, mut other) = (named.scrape(at), known.scrape(at));
        one.sample("another", &[], 1.0);
        other.sample("another", &[], 1.0);
        if let Some(value) = value {
            one.born("octets", &[("site", "west")], value);
            match series {
                Some(series) => assert!(other.again(series, value, true)),
                None => series = other.born("octets", &[("site", "west")], value),
            }
        }
    }
    let shown = |history: &History| format!("{:?}", all(history, "octets"));
    assert_eq!(shown(&named), shown(&known));
    assert_eq!(named.stats(), known.stats());
}

#[test]
fn a_series_that_has_left_is_not_taken_for_the_one_in_its_place() {
    let mut history = History::new(options());
    let series = history.scrape(START).sample("first", &[], 1.0).expect("there is room");
    // It ended, and is beyond the horizon; another has its place.
    let mut at = START;
    while history.select(Some("first"), |_| true).len() == 1 {
        at += HOUR / 4;
        feed(&mut history, at, &[]);
    }
    let next = history.scrape(at + 15_000).sample("second", &[], 2.0).expect("there is room");
    assert_eq!((next.id, next == series), (series.id, false));
    let mut scrape = history.scrape(at + 30_000);
    assert!(!scrape.again(series, 3.0, false));
    assert!(scrape.again(next, 4.0, false));
    scrape.finish();
    assert_eq!(all(&history, "second").len(), 2);
    assert!(!history.scrape(at).again(series, 3.0, false), "nor by a scrape that is ignored");
}

/// What a counter has grown by, as far as these samples report.
fn growth(samples: &[Sample]) -> f64 {
    let values: Vec<f64> = samples.iter().filter_map(|sample| sample.value).collect();
    let grown = |pair: &[f64]| if pair[1] < pair[0] { pair[1] } else { pair[1] - pair[0] };
    values.windows(2).map(grown).sum()
}

#[derive(Clone, Copy, Debug)]
enum Turn {
    Rest,
    Grow(u32),
    Reset,
    Leave,
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        30 => Just(Turn::Rest),
        60 => (0..100_000_u32).prop_map(Turn::Grow),
        1 => Just(Turn::Reset),
        1 => Just(Turn::Leave),
    ]
}

/// Feeds a day and a half in scrapes 15 s apart, each some milliseconds late; the turns are repeated over and over, by
/// each series from another one on.
fn day(turns: &[Turn], late: &[u8]) -> (History, Model) {
    let mut history = History::new(options());
    let mut model = Model::new();
    let names = ["a", "b", "c"];
    let mut values = [0.0_f64; 3];
    let mut is_there = [false; 3];
    for tick in 0..(36 * 240) {
        let at = START + tick * 15_000 + i64::from(late[tick as usize % late.len()]) * 10;
        let mut scrape = history.scrape(at);
        for (place, name) in names.into_iter().enumerate() {
            let leaves = match turns[(tick as usize * (place + 1) + place * 17) % turns.len()] {
                Turn::Rest => false,
                Turn::Grow(by) => {
                    values[place] += f64::from(by);
                    false
                }
                Turn::Reset => {
                    values[place] = 1.0;
                    false
                }
                Turn::Leave => true,
            };
            let value = if leaves { None } else { Some(values[place]) };
            if let Some(value) = value {
                scrape.sample(name, &[("kind", "x")], value);
            }
            if value.is_some() || is_there[place] {
                model.entry(name.to_owned()).or_default().push(Sample { at, value });
            }
            is_there[place] = value.is_some();
        }
        scrape.finish();
    }
    (history, model)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_kept_is_what_was_fed_and_counters_grow_as_they_grew(
        turns in prop::collection::vec(turn(), 50..400),
        late in prop::collection::vec(0..50_u8, 1..40),
    ) {
        let (history, model) = day(&turns, &late);
        let now = *history.times.back().unwrap();
        for (name, fed) in &model {
            let kept = all(&history, name);
            let fed: Vec<Sample> = fed.iter().filter(|sample| sample.at >= now - 24 * HOUR).copied().collect();
            // Nothing is made up, and nothing is twice.
            let mut rest = fed.iter();
            for sample in &kept {
                prop_assert!(rest.any(|fed| fed == sample), "{name}: {sample:?} was not fed");
            }
            // The last quarter of an hour is there as it was.
            let young = |samples: &[Sample]| {
                samples.iter().filter(|sample| sample.at >= now - HOUR / 4).copied().collect::<Vec<_>>()
            };
            prop_assert_eq!(young(&kept), young(&fed));
            // From any kept sample on, counters have grown by as much.
            for first in kept.iter().step_by(97) {
                let from = |samples: &[Sample]| {
                    growth(&samples.iter().filter(|sample| sample.at >= first.at).copied().collect::<Vec<_>>())
                };
                prop_assert_eq!(from(&kept), from(&fed), "{} from {:?}", name, first);
            }
            // The look-backs of charts have two samples wherever the series was there all the time.
            for (age, look_back) in [(6, 60_000), (12, 180_000), (24, 300_000)] {
                for step in (0..age * 60).step_by(7) {
                    let to = now - step * 60_000;
                    let within = |samples: &[Sample]| {
                        let range = to - look_back..=to;
                        samples.iter().filter(|sample| range.contains(&sample.at)).copied().collect::<Vec<_>>()
                    };
                    let was_there = within(&fed).iter().filter(|sample| sample.value.is_some()).count();
                    if was_there as i64 >= look_back / 15_000 - 1 {
                        let count = within(&kept).iter().filter(|sample| sample.value.is_some()).count();
                        prop_assert!(count >= 2, "{name} before {to}: {count} of {was_there}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_day_of_a_counter_that_moves_takes_a_few_thousand_octets() {
    let (history, _) = day(&[Turn::Grow(90_000), Turn::Grow(3), Turn::Rest], &[3, 0, 9]);
    let stats = history.stats();
    assert_eq!((stats.series, stats.live), (3, 3));
    assert!(stats.samples < 3 * 2_200, "{stats:?}");
    assert!(history.octets / 3 < 10_000, "{}", history.octets);
    let counted: usize = history.series.iter().flatten().map(Series::octets).sum();
    assert_eq!(history.octets, counted, "what is kept track of is what is there");
}

#[test]
fn a_series_that_is_not_in_a_scrape_has_ended_there() {
    let mut history = History::new(HistoryOptions::default());
    feed(&mut history, START, &[("a", 1.0), ("b", 1.0)]);
    feed(&mut history, START + 5_000, &[("b", 2.0)]);
    feed(&mut history, START + 10_000, &[("b", 3.0)]);
    feed(&mut history, START + 15_000, &[("a", 4.0), ("b", 4.0)]);
    let expected = [(0, Some(1.0)), (5_000, None), (15_000, Some(4.0))];
    assert_eq!(all(&history, "a"), expected.map(|(after, value)| Sample { at: START + after, value }));
    assert_eq!(all(&history, "b").len(), 4);
    assert_eq!(between(&history, "b", START + 1, START + 10_000).len(), 2);
    assert_eq!(between(&history, "b", START + 1, START + 4_999), []);
    assert_eq!(between(&history, "b", i64::MIN, START - 1), []);
    assert_eq!(between(&history, "b", START + 15_001, i64::MAX), []);
}

#[test]
fn a_counter_is_born_at_zero_in_the_scrape_before() {
    let mut history = History::new(HistoryOptions::default());
    let mut first = history.scrape(START);
    first.born("first", &[], 7.0);
    first.finish();
    let mut second = history.scrape(START + 5_000);
    second.born("first", &[], 8.0);
    second.born("a", &[], 7.0);
    second.finish();
    feed(&mut history, START + 10_000, &[]);
    let mut back = history.scrape(START + 15_000);
    back.born("a", &[], 3.0);
    back.finish();
    let values = |name| all(&history, name).iter().map(|sample| sample.value).collect::<Vec<_>>();
    assert_eq!(values("first"), [Some(7.0), Some(8.0), None], "nothing is before the first scrape");
    // It ended in the very scrape before, which says as much.
    assert_eq!(values("a"), [Some(0.0), Some(7.0), None, Some(3.0)]);
    assert_eq!(all(&history, "a")[0].at, START);
}

#[test]
fn a_scrape_that_is_not_later_is_ignored_and_counted() {
    let mut history = History::new(HistoryOptions::default());
    feed(&mut history, START, &[("a", 1.0)]);
    feed(&mut history, START, &[("a", 2.0)]);
    feed(&mut history, START - 5_000, &[]);
    feed(&mut history, START + 5_000, &[("a", 3.0)]);
    assert_eq!(all(&history, "a").iter().filter_map(|sample| sample.value).collect::<Vec<_>>(), [1.0, 3.0]);
    assert_eq!(history.stats().ignored_scrapes, 2);
}

#[test]
fn labels_are_the_same_in_any_order_and_empty_ones_are_none() {
    let mut history = History::new(HistoryOptions::default());
    for labels in [&[("b", "2"), ("a", "1")][..], &[("a", "1"), ("b", "2"), ("c", "")]] {
        let at = START + history.times.len() as i64;
        let mut scrape = history.scrape(at);
        scrape.sample("x", labels, 1.0);
        scrape.sample("x", labels, 2.0);
        scrape.finish();
    }
    assert_eq!(history.stats().series, 1);
    let values: Vec<_> = all(&history, "x").iter().map(|sample| sample.value).collect();
    assert_eq!(values, [Some(1.0), Some(1.0)], "of several values in one scrape the first counts");
    let found = history.select(None, |labels| labels.value("b").is_some_and(|value| value == "2"));
    assert_eq!(found[0].labels, [("__name__", "x"), ("a", "1"), ("b", "2")]);
}

#[test]
fn a_series_that_ended_stays_to_the_horizon_and_leaves_nothing_behind() {
    let mut history = History::new(HistoryOptions { horizon: Duration::from_hours(2), ..options() });
    feed(&mut history, START, &[("gone", 1.0), ("a", 1.0)]);
    for tick in 1..(480 - 1) {
        feed(&mut history, START + tick * 15_000, &[("a", 1.0)]);
    }
    assert_eq!(all(&history, "gone").len(), 2);
    assert_eq!(history.oldest_ms(), Some(START));
    for tick in (480 - 1)..(480 + 8) {
        feed(&mut history, START + tick * 15_000, &[("a", 1.0)]);
    }
    assert_eq!(all(&history, "gone"), [], "it is beyond the horizon");
    for tick in (480 + 8)..1_000 {
        feed(&mut history, START + tick * 15_000, &[("a", 1.0)]);
    }
    assert_eq!(history.stats().series, 1);
    assert_eq!(history.symbols.find("gone"), None);
    assert!(history.times.len() < 600);
    assert_eq!(history.free.len(), 1, "its place is used again");
}

#[test]
fn beyond_the_bound_those_leave_that_ended_longest_ago_then_the_oldest_samples_of_all() {
    let memory = 200_000;
    let mut history = History::new(HistoryOptions { memory, ..options() });
    let name = |tick: i64| format!("metric_{tick}");
    for tick in 0..2_000 {
        // One series that stays, and one new in each scrape.
        feed(&mut history, START + tick * 15_000, &[("stays", 1.5 * tick as f64), (&name(tick), 1.0)]);
        assert!(history.stats().octets <= memory, "at {tick}: {:?}", history.stats());
    }
    let stats = history.stats();
    assert!(stats.evicted_series > 0 && stats.shortened == 0 && stats.refused_samples == 0, "{stats:?}");
    assert!(all(&history, &name(0)).is_empty());
    assert_eq!(all(&history, &name(1_998)).len(), 2);
    assert_eq!(all(&history, "stays")[0].at, START);

    // Now with series that all stay, and noise that takes eight octets a sample.
    let names: Vec<String> = (0..50).map(name).collect();
    for tick in 2_000..4_000 {
        let values: Vec<(&str, f64)> =
            names.iter().map(|name| (name.as_str(), (tick as f64).sqrt())).collect();
        feed(&mut history, START + tick * 15_000, &values);
        assert!(history.stats().octets <= memory, "at {tick}: {:?}", history.stats());
    }
    let stats = history.stats();
    assert!(stats.shortened > 0 && stats.live == 50, "{stats:?}");
    // All begin within the same scrape or later: no sum misses a part.
    let oldest = history.oldest_ms().unwrap();
    assert!(oldest > START + 2_000 * 15_000);
    for name in &names {
        let first = all(&history, name)[0].at;
        assert!(first >= oldest && first <= oldest + 120_000, "{name}: {first} after {oldest}");
    }
}

#[test]
fn where_only_the_last_samples_are_left_new_series_are_refused_and_counted() {
    let mut history = History::new(HistoryOptions { memory: 40_000, ..options() });
    let names: Vec<String> = (0..1_000).map(|place| format!("metric_{place}")).collect();
    for tick in 0..3 {
        let values: Vec<(&str, f64)> = names.iter().map(|name| (name.as_str(), 1.0)).collect();
        feed(&mut history, START + tick * 15_000, &values);
    }
    let stats = history.stats();
    assert!(stats.series > 20 && stats.series < 1_000, "{stats:?}");
    assert_eq!(stats.refused_samples, 3 * (1_000 - stats.series as u64), "{stats:?}");
    assert!(stats.octets < 48_000, "{stats:?}");
}
