//! Whether a source has answered: by its records, and by its flows.

use super::output::Extent;
use crate::Timestamp;

/// FLUSHes that a router has to have answered before the lack of flows in the answers means anything.
const ANSWERS: u32 = 3;

/// What the source has answered since it was seen, or since something may have been missed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Epoch {
    /// By records other than flows.
    pub(super) records: Answer,
    /// By flows; settled from the beginning where nothing is known that could have ended meanwhile.
    pub(super) flows: Answer,
    /// When the lack of flows in its answers means that it has none.
    pub(super) flows_due: Timestamp,
    /// How many FLUSHes it answered.
    pub(super) answers: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Missing,
    Shown { settled: Timestamp },
    Settled,
}

impl Answer {
    pub(super) fn shown(&mut self, settled: Timestamp) -> bool {
        let is_first = *self == Self::Missing;
        if is_first {
            *self = Self::Shown { settled };
        }
        is_first
    }
}

impl Epoch {
    pub(super) const NEVER: Timestamp = Timestamp::from_micros(u64::MAX);

    pub(super) fn new(flows: Answer) -> Self {
        Self { records: Answer::Missing, flows, flows_due: Self::NEVER, answers: 0 }
    }

    /// When something settles.
    pub(super) fn due(&self) -> Timestamp {
        let mut due = Self::NEVER;
        for answer in [self.records, self.flows] {
            if let Answer::Shown { settled } = answer {
                due = due.min(settled);
            }
        }
        if self.flows == Answer::Missing && self.answers >= ANSWERS { due.min(self.flows_due) } else { due }
    }

    /// Settles what is due, and answers what that comes to.
    pub(super) fn settle(&mut self, now: Timestamp) -> Option<Extent> {
        let before = (self.records, self.flows);
        if self.flows == Answer::Missing && self.answers >= ANSWERS && self.flows_due <= now {
            self.flows = Answer::Settled;
        }
        for answer in [&mut self.records, &mut self.flows] {
            if matches!(answer, Answer::Shown { settled } if *settled <= now) {
                *answer = Answer::Settled;
            }
        }
        if before == (self.records, self.flows) || self.records != Answer::Settled {
            return None;
        }
        Some(if self.flows == Answer::Settled { Extent::All } else { Extent::AllButFlows })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_that_were_shown_settle_in_their_own_time() {
        let at = Timestamp::from_micros;
        let mut epoch = Epoch::new(Answer::Shown { settled: at(20) });
        (epoch.records, epoch.answers, epoch.flows_due) =
            (Answer::Shown { settled: at(10) }, ANSWERS, at(10));
        assert_eq!(epoch.due(), at(10));
        assert_eq!(epoch.settle(at(10)), Some(Extent::AllButFlows));
        assert_eq!(epoch.due(), at(20));
        assert_eq!(epoch.settle(at(19)), None);
        assert_eq!(epoch.settle(at(20)), Some(Extent::All));
        assert_eq!((epoch.due(), epoch.settle(at(30))), (Epoch::NEVER, None));
    }

    #[test]
    fn the_lack_of_flows_means_something_after_some_answers_only() {
        let at = Timestamp::from_micros;
        let mut epoch = Epoch::new(Answer::Missing);
        (epoch.records, epoch.answers, epoch.flows_due) = (Answer::Settled, ANSWERS - 1, at(10));
        assert_eq!((epoch.due(), epoch.settle(at(10))), (Epoch::NEVER, None));
        epoch.answers += 1;
        assert_eq!((epoch.due(), epoch.settle(at(9))), (at(10), None));
        assert_eq!(epoch.settle(at(10)), Some(Extent::All));
    }
}
