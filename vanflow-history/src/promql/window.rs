//! Functions of a series over a range of time.

use super::value::Point;

/// The samples of one series in the range before a step, and that range.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window<'p> {
    /// At least one.
    pub(crate) points: &'p [Point],
    /// The ends of the range, in milliseconds since the epoch.
    pub(crate) from: i64,
    pub(crate) to: i64,
    /// The step's own time, in milliseconds since the epoch.
    pub(crate) now: i64,
    /// Which step it is.
    pub(crate) step: usize,
}

/// What `rate`, `increase` and `delta` have in common.
///
/// The growth between the first and the last sample is extrapolated to the ends of the range, where samples go near
/// enough to them that the series can be taken to go on (1.1 times their mean distance), else by half that distance;
/// and a counter never to before it was 0.
fn extrapolated(window: &Window<'_>, is_counter: bool) -> Option<f64> {
    let [first, .., last] = window.points else { return None };
    let mut growth = last.value - first.value;
    if is_counter {
        // A counter that fell began anew at 0: what it had before counts too.
        let lost = window.points.windows(2).filter(|pair| pair[1].value < pair[0].value);
        growth += lost.map(|pair| pair[0].value).sum::<f64>();
    }
    let sampled = seconds(last.at - first.at);
    let distance = sampled / (window.points.len() - 1) as f64;
    let mut before = seconds(first.at - window.from);
    let after = seconds(window.to - last.at);
    if is_counter && growth > 0.0 && first.value >= 0.0 {
        before = before.min(sampled * (first.value / growth));
    }
    let reach = |gap: f64| if gap < distance * 1.1 { gap } else { distance / 2.0 };
    let extended = sampled + reach(before) + reach(after);
    Some(growth * (extended / sampled))
}

pub(crate) fn increase(window: &Window<'_>) -> Option<f64> {
    extrapolated(window, true)
}

pub(crate) fn rate(window: &Window<'_>) -> Option<f64> {
    Some(extrapolated(window, true)? / seconds(window.to - window.from))
}

pub(crate) fn delta(window: &Window<'_>) -> Option<f64> {
    extrapolated(window, false)
}

pub(crate) fn irate(window: &Window<'_>) -> Option<f64> {
    let [.., before, last] = window.points else { return None };
    let growth = if last.value < before.value { last.value } else { last.value - before.value };
    Some(growth / seconds(last.at - before.at))
}

pub(crate) fn idelta(window: &Window<'_>) -> Option<f64> {
    let [.., before, last] = window.points else { return None };
    Some(last.value - before.value)
}

pub(crate) fn deriv(window: &Window<'_>) -> Option<f64> {
    let [first, _, ..] = window.points else { return None };
    Some(regression(window.points, first.at).0)
}

/// Where the value will be that many seconds after the step.
pub(crate) fn predict_linear(window: &Window<'_>, after: f64) -> Option<f64> {
    if window.points.len() < 2 {
        return None;
    }
    let (slope, intercept) = regression(window.points, window.now);
    Some(slope * after + intercept)
}

/// Slope a second, and the value at `origin`, by least squares.
fn regression(points: &[Point], origin: i64) -> (f64, f64) {
    let level = points[0].value;
    if points.iter().all(|point| point.value == level) {
        return if level.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, level) };
    }
    let [mut x, mut y, mut xy, mut xx] = [Sum::default(); 4];
    for point in points {
        let at = seconds(point.at - origin);
        x.add(at);
        y.add(point.value);
        xy.add(at * point.value);
        xx.add(at * at);
    }
    let (n, x, y) = (points.len() as f64, x.value(), y.value());
    let slope = (xy.value() - x * y / n) / (xx.value() - x * x / n);
    (slope, y / n - slope * x / n)
}

pub(crate) fn resets(window: &Window<'_>) -> Option<f64> {
    Some(window.points.windows(2).filter(|pair| pair[1].value < pair[0].value).count() as f64)
}

pub(crate) fn changes(window: &Window<'_>) -> Option<f64> {
    let differ = |pair: &&[Point]| {
        let (before, after) = (pair[0].value, pair[1].value);
        before != after && !(before.is_nan() && after.is_nan())
    };
    Some(window.points.windows(2).filter(differ).count() as f64)
}

pub(crate) fn sum(window: &Window<'_>) -> Option<f64> {
    let mut sum = Sum::default();
    values(window).for_each(|value| sum.add(value));
    Some(sum.value())
}

pub(crate) fn avg(window: &Window<'_>) -> Option<f64> {
    let mut mean = Mean::default();
    values(window).for_each(|value| mean.add(value));
    Some(mean.value())
}

pub(crate) fn min(window: &Window<'_>) -> Option<f64> {
    values(window).reduce(|least, value| if value < least || least.is_nan() { value } else { least })
}

pub(crate) fn max(window: &Window<'_>) -> Option<f64> {
    values(window).reduce(|most, value| if value > most || most.is_nan() { value } else { most })
}

pub(crate) fn count(window: &Window<'_>) -> Option<f64> {
    Some(window.points.len() as f64)
}

pub(crate) fn last(window: &Window<'_>) -> Option<f64> {
    values(window).next_back()
}

pub(crate) fn present(_: &Window<'_>) -> Option<f64> {
    Some(1.0)
}

pub(crate) fn stdvar(window: &Window<'_>) -> Option<f64> {
    Some(variance(values(window)))
}

pub(crate) fn stddev(window: &Window<'_>) -> Option<f64> {
    Some(variance(values(window)).sqrt())
}

/// The `q`-quantile of the values, which it sorts; NaN comes first.
pub(crate) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if !(0.0..=1.0).contains(&q) {
        return if q < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    values.sort_unstable_by(|one, other| {
        one.partial_cmp(other).unwrap_or_else(|| other.is_nan().cmp(&one.is_nan()))
    });
    let most = values.len() - 1;
    let rank = q * most as f64;
    let below = rank.floor();
    let weight = rank - below;
    let (lower, upper) = (below as usize, (below as usize + 1).min(most));
    values[lower] * (1.0 - weight) + values[upper] * weight
}

/// The population variance.
pub(crate) fn variance(values: impl Iterator<Item = f64>) -> f64 {
    let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
    for value in values {
        count += 1.0;
        let off = value - mean;
        mean += off / count;
        squares += off * (value - mean);
    }
    squares / count
}

/// A mean that stays infinite once it is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mean {
    count: f64,
    mean: f64,
}

impl Mean {
    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1.0;
        if self.mean.is_infinite() {
            let is_opposite = value.is_infinite() && (value > 0.0) != (self.mean > 0.0);
            if !is_opposite && !value.is_nan() {
                return;
            }
        }
        self.mean += value / self.count - self.mean / self.count;
    }

    pub(crate) fn value(&self) -> f64 {
        self.mean
    }
}

/// A sum that does not lose what is small beside what is large.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        self.lost += if sum.is_infinite() {
            0.0
        } else if self.sum.abs() >= value.abs() {
            (self.sum - sum) + value
        } else {
            (value - sum) + self.sum
        };
        self.sum = sum;
    }

    fn value(&self) -> f64 {
        if self.sum.is_infinite() { self.sum } else { self.sum + self.lost }
    }
}

fn values<'p>(window: &Window<'p>) -> impl DoubleEndedIterator<Item = f64> + use<'p> {
    window.points.iter().map(|point| point.value)
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(
        function: impl Fn(&Window<'_>) -> Option<f64>,
        range_s: i64,
        points: &[(i64, f64)],
    ) -> Option<f64> {
        let points: Vec<_> = points.iter().map(|&(at, value)| Point { at: at * 1000, value }).collect();
        function(&Window { points: &points, from: 0, to: range_s * 1000, now: range_s * 1000, step: 0 })
    }

    #[test]
    fn growth_is_extrapolated_to_ends_that_are_near() {
        // 30 in 30 s, and 5 s more on each side.
        assert_eq!(over(increase, 40, &[(5, 100.0), (15, 110.0), (25, 120.0), (35, 130.0)]), Some(40.0));
        assert_eq!(over(rate, 40, &[(5, 100.0), (15, 110.0), (25, 120.0), (35, 130.0)]), Some(1.0));
        // The ends are further than 11 s, so half of 10 s is added on each side.
        assert_eq!(over(increase, 100, &[(30, 100.0), (40, 110.0), (50, 120.0)]), Some(30.0));
    }

    #[test]
    fn a_counter_is_not_extrapolated_to_below_zero() {
        // It was 0 two seconds before the first sample.
        assert_eq!(over(increase, 30, &[(10, 2.0), (20, 12.0), (30, 22.0)]), Some(22.0));
        assert_eq!(over(delta, 30, &[(10, 2.0), (20, 12.0), (30, 22.0)]), Some(30.0));
    }

    #[test]
    fn a_counter_that_falls_began_anew() {
        // 10 to 20, then to 5 and 15: 10 + 5 + 10 in 30 s.
        let points = [(0, 110.0), (10, 120.0), (20, 5.0), (30, 15.0)];
        assert_eq!(over(increase, 30, &points), Some(25.0));
        assert_eq!(over(resets, 30, &points), Some(1.0));
        assert_eq!(over(irate, 30, &points[1..3]), Some(0.5));
        assert_eq!(over(irate, 30, &points), Some(1.0));
        assert_eq!(over(idelta, 30, &points[1..3]), Some(-115.0));
    }

    #[test]
    fn one_sample_has_no_growth() {
        for function in [rate, increase, delta, irate, idelta, deriv] {
            assert_eq!(over(function, 30, &[(10, 1.0)]), None);
        }
        assert_eq!(over(changes, 30, &[(10, 1.0)]), Some(0.0));
    }

    #[test]
    fn a_straight_line_has_its_slope_everywhere() {
        let line: Vec<_> = (0..10).map(|step| (step * 10, 3.0 + 0.5 * (step * 10) as f64)).collect();
        assert!((over(deriv, 90, &line).unwrap() - 0.5).abs() < 1e-12);
        let ahead = over(|window| predict_linear(window, 10.0), 90, &line).unwrap();
        assert!((ahead - 53.0).abs() < 1e-9, "{ahead}");
    }

    #[test]
    fn nan_is_neither_least_nor_most_unless_alone() {
        let points = [(0, f64::NAN), (10, 1.0), (20, 2.0)];
        assert_eq!(over(min, 30, &points), Some(1.0));
        assert_eq!(over(max, 30, &points), Some(2.0));
        assert!(over(max, 30, &points[..1]).unwrap().is_nan());
        assert_eq!(over(changes, 30, &[(0, f64::NAN), (10, f64::NAN), (20, 1.0)]), Some(1.0));
    }

    #[test]
    fn quantiles_are_interpolated() {
        assert_eq!(quantile(0.5, &mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(quantile(0.25, &mut [4.0, 1.0]), 1.75);
        assert_eq!(quantile(-1.0, &mut [4.0]), f64::NEG_INFINITY);
        assert_eq!(quantile(2.0, &mut [4.0]), f64::INFINITY);
        assert_eq!(quantile(1.0, &mut [f64::NAN, 4.0, 1.0]), 4.0);
        assert!(quantile(f64::NAN, &mut [4.0]).is_nan());
    }

    #[test]
    fn small_parts_of_a_sum_are_not_lost() {
        assert_eq!(over(sum, 30, &[(0, 1e100), (10, 1.0), (20, -1e100)]), Some(1.0));
        assert_eq!(over(sum, 30, &[(0, f64::INFINITY), (10, 1.0)]), Some(f64::INFINITY));
        assert_eq!(over(avg, 30, &[(0, f64::INFINITY), (10, 1.0)]), Some(f64::INFINITY));
    }
}
