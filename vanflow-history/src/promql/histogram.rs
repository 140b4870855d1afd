//! Quantiles of histograms.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::value::{Labels, Row};
use crate::history::METRIC;

/// The label with the upper bound of a bucket.
const BOUND: &str = "le";

/// The buckets of one histogram.
struct Histogram<'h> {
    /// What they have in common.
    labels: Labels<'h>,
    /// The upper bound of each, and how many observations were no larger at each step.
    buckets: Vec<(f64, Vec<Option<f64>>)>,
}

/// The quantile of each histogram in the buckets. Rows without a bound that is a number are no buckets.
pub(crate) fn quantiles<'h>(q: &[f64], buckets: Vec<Row<'h>>) -> Vec<Row<'h>> {
    let no_part = [BOUND.to_owned(), METRIC.to_owned()];
    let mut places: HashMap<Labels<'h>, usize, RandomState> = HashMap::default();
    let mut histograms: Vec<Histogram<'h>> = Vec::new();
    for row in buckets {
        let Ok(bound) = row.labels.value(BOUND).parse::<f64>() else { continue };
        let labels = row.labels.without(&no_part);
        let place = *places.entry(labels.clone()).or_insert_with(|| {
            histograms.push(Histogram { labels, buckets: Vec::new() });
            histograms.len() - 1
        });
        histograms[place].buckets.push((bound, row.points));
    }
    let mut present = Vec::new();
    histograms
        .into_iter()
        .map(|Histogram { labels, mut buckets }| {
            buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
            let points = q
                .iter()
                .enumerate()
                .map(|(step, &q)| {
                    present.clear();
                    present
                        .extend(buckets.iter().filter_map(|(bound, points)| Some((*bound, points[step]?))));
                    (!present.is_empty()).then(|| quantile(q, &mut present))
                })
                .collect();
            Row { labels, points }
        })
        .collect()
}

/// The quantile of one histogram: buckets by their bounds, with how many observations were no larger.
fn quantile(q: f64, buckets: &mut Vec<(f64, f64)>) -> f64 {
    if q.is_nan() {
        return f64::NAN;
    }
    if !(0.0..=1.0).contains(&q) {
        return if q < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    if buckets.last().is_none_or(|&(bound, _)| bound != f64::INFINITY) {
        return f64::NAN;
    }
    // Two spellings of one bound are one bucket.
    buckets.dedup_by(|bucket, kept| {
        let is_same = bucket.0 == kept.0;
        if is_same {
            kept.1 += bucket.1;
        }
        is_same
    });
    // Buckets that were read a moment apart may seem to shrink.
    let mut most = f64::NEG_INFINITY;
    for (_, count) in buckets.iter_mut() {
        if *count > most {
            most = *count;
        } else if *count < most {
            *count = most;
        }
    }
    if buckets.len() < 2 {
        return f64::NAN;
    }
    let total = buckets[buckets.len() - 1].1;
    if total == 0.0 {
        return f64::NAN;
    }
    let rank = q * total;
    let finite = &buckets[..buckets.len() - 1];
    let Some(place) = finite.iter().position(|&(_, count)| count >= rank) else {
        return finite[finite.len() - 1].0;
    };
    let (end, count) = finite[place];
    if place == 0 && end <= 0.0 {
        return end;
    }
    let (begin, below) = if place == 0 { (0.0, 0.0) } else { finite[place - 1] };
    begin + (end - begin) * ((rank - below) / (count - below))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(q: f64, buckets: &[(f64, f64)]) -> f64 {
        quantile(q, &mut buckets.to_vec())
    }

    const INF: f64 = f64::INFINITY;

    #[test]
    fn a_quantile_is_interpolated_within_its_bucket() {
        let buckets = [(1.0, 10.0), (2.0, 30.0), (4.0, 40.0), (INF, 40.0)];
        assert_eq!(of(0.5, &buckets), 1.5);
        assert_eq!(of(0.125, &buckets), 0.5);
        assert_eq!(of(1.0, &buckets), 4.0);
        assert_eq!(of(-1.0, &buckets), f64::NEG_INFINITY);
        assert_eq!(of(1.1, &buckets), INF);
    }

    #[test]
    fn what_is_beyond_the_last_bound_is_at_that_bound() {
        assert_eq!(of(0.9, &[(1.0, 1.0), (2.0, 2.0), (INF, 10.0)]), 2.0);
        assert_eq!(of(0.1, &[(-5.0, 10.0), (0.0, 10.0), (INF, 10.0)]), -5.0);
    }

    #[test]
    fn a_histogram_without_an_end_or_observations_has_no_quantile() {
        assert!(of(0.5, &[(1.0, 1.0), (2.0, 2.0)]).is_nan());
        assert!(of(0.5, &[(INF, 2.0)]).is_nan());
        assert!(of(0.5, &[(1.0, 0.0), (INF, 0.0)]).is_nan());
        assert!(of(f64::NAN, &[(1.0, 1.0), (INF, 2.0)]).is_nan());
    }

    #[test]
    fn buckets_that_shrink_are_mended_and_spellings_of_a_bound_are_one() {
        assert_eq!(of(0.5, &[(1.0, 10.0), (2.0, 8.0), (INF, 10.0)]), 0.5);
        assert_eq!(of(0.5, &[(1.0, 5.0), (1.0, 5.0), (INF, 10.0)]), 0.5);
    }
}
