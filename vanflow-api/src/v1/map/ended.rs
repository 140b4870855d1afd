//! What connections and requests say of a moment that nothing was measured at, or of which that is not kept any more.
//!
//! A connection reports how much it carried, not when: it counts as if that had been even over all of its time.

use std::time::Duration;

use vanflow_history::rows::{Rows, UnreadableRows};
use vanflow_store::{FailureReason, FailureSide, derived::component_id};

use super::{
    figures::{FlowRates, Rates, WINDOWS},
    measured::{Counts, EndLabels, FlowLabels, Measured, MeasuredFlow, write_key},
    millis,
};
use crate::{
    query::value::UNKNOWN,
    v2alpha1::{Collection, Passed, PassedEnd, View, each_passed},
};

impl Measured {
    /// What connections and requests come to up to a moment, in microseconds since the epoch: what is held, and what is kept in
    /// a history.
    ///
    /// # Errors
    ///
    /// Where the history cannot be read.
    pub(super) fn of_rows(rows: &dyn Rows, view: View<'_>, at: u64) -> Result<Self, UnreadableRows> {
        let mut measured = Self { at_ms: millis(at), is_of_rows: true, ..Self::default() };
        let now = view.snapshot.now().as_micros();
        let longest = at.saturating_sub(micros(WINDOWS[WINDOWS.len() - 1]));
        let span = (longest, at);
        each_passed(rows, view, Collection::Connections, span, |passed| {
            let Some(flow) = measured.flow_of(passed) else { return };
            let end = if passed.end == 0 { now.max(at) } else { passed.end };
            let lasted = (passed.start, end);
            let [sent, received] =
                passed.octets.map(|octets| rates(at, |from| share(lasted, (from, at)) * octets as f64));
            flow.rates.sent.add(sent);
            flow.rates.received.add(received);
            flow.rates.connections.add(rates(at, |from| is_after(passed.start, from, at)));
            flow.counts.opened += is_after(passed.start, longest, at);
            for (side, error) in FailureSide::ALL.into_iter().zip(&passed.errors) {
                let Some(error) = error.as_deref().filter(|error| !error.is_empty()) else { continue };
                let failed = is_after(passed.end, longest, at);
                flow.counts.failures[side as usize] += failed;
                if FailureReason::of(error) == FailureReason::Refused {
                    flow.counts.refused[side as usize] += failed;
                }
            }
        })?;
        each_passed(rows, view, Collection::ApplicationFlows, span, |passed| {
            let Some(flow) = measured.flow_of(passed) else { return };
            flow.rates.requests.add(rates(at, |from| is_after(passed.end, from, at)));
            let ended = is_after(passed.end, longest, at);
            flow.counts.requests += ended;
            let has_failed = !matches!(passed.status.as_bytes(), [b'1'..=b'4', _, _]);
            flow.counts.failed_requests += if has_failed { ended } else { 0.0 };
        })?;
        Ok(measured)
    }

    fn flow_of(&mut self, passed: &Passed<'_>) -> Option<&mut MeasuredFlow> {
        let is_unknown = |end: &PassedEnd<'_>| ["", UNKNOWN].contains(&&*end.process_id);
        if is_unknown(&passed.source) || is_unknown(&passed.destination) {
            return None;
        }
        let ids = [&passed.source.process_id, &passed.destination.process_id, &passed.address];
        let mut key = String::new();
        write_key(&mut key, &["0", "1", "2"], |place| Some(&**ids[usize::from(place.as_bytes()[0] - b'0')]));
        let position = *self.by_key.entry(key).or_insert_with(|| {
            let labels = FlowLabels {
                source: labels(&passed.source),
                destination: labels(&passed.destination),
                address: passed.address.clone().into_owned(),
            };
            let (rates, counts) = (FlowRates::default(), Counts::default());
            self.flows.push(MeasuredFlow { labels, rates, counts });
            self.flows.len() - 1
        });
        self.flows.get_mut(position)
    }
}

fn labels(end: &PassedEnd<'_>) -> EndLabels {
    EndLabels {
        site_id: end.site_id.to_string(),
        site_name: end.site_name.to_string(),
        component_id: component_id(&end.component),
        component_name: end.component.to_string(),
        process_name: end.process_name.to_string(),
        process_id: Some(end.process_id.to_string()),
    }
}

/// What comes to a second of each of [`WINDOWS`] up to a time; `sum` says what there was since its beginning. Whole parts of
/// 2^24 of one: as such, rates up to half a gigaoctet add up to the same in whichever order rows come.
fn rates(at: u64, sum: impl Fn(u64) -> f64) -> Rates {
    const PARTS: f64 = (1_u32 << 24) as f64;
    let rate = |window: Duration| sum(at.saturating_sub(micros(window))) / window.as_secs_f64();
    Rates(WINDOWS.map(|window| Some((rate(window) * PARTS).round() / PARTS)))
}

/// 1 for a time after the first and not after the second, 0 for others.
fn is_after(time: u64, from: u64, until: u64) -> f64 {
    if from < time && time <= until { 1.0 } else { 0.0 }
}

/// How much of what lasted so long was in a window.
fn share((start, end): (u64, u64), (from, until): (u64, u64)) -> f64 {
    let length = end.saturating_sub(start);
    if length == 0 {
        return is_after(end, from, until);
    }
    end.min(until).saturating_sub(start.max(from)) as f64 / length as f64
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_connection_carried_is_spread_evenly_over_its_time() {
        assert_eq!(share((100, 200), (150, 250)), 0.5);
        assert_eq!(share((100, 200), (0, 1_000)), 1.0);
        assert_eq!(share((100, 200), (200, 300)), 0.0);
        assert_eq!(share((0, 1_000), (200, 300)), 0.1);
        assert_eq!(share((250, 250), (200, 300)), 1.0, "it took no time, and carried all the same");
        assert_eq!(share((200, 200), (200, 300)), 0.0, "it is in the window before");
    }
}
