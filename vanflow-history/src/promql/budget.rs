//! How much a query may take, counted in samples.

use std::{cell::Cell, fmt};

use super::error::QueryError;

/// What one query may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// How many values all of its steps and parts may have together; each takes 16 octets while it is answered.
    pub(crate) values: u64,
    /// How many samples all of its windows may have together.
    pub(crate) work: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { values: 20_000_000, work: 500_000_000 }
    }
}

/// What is left of it.
pub(crate) struct Budget<'w> {
    limits: Limits,
    values: Cell<u64>,
    work: Cell<u64>,
    /// Whether anybody waits for the answer.
    is_wanted: &'w dyn Fn() -> bool,
}

impl fmt::Debug for Budget<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limits, values, work, .. } = self;
        f.debug_struct("Budget")
            .field("limits", limits)
            .field("values", values)
            .field("work", work)
            .finish_non_exhaustive()
    }
}

impl<'w> Budget<'w> {
    /// All of it, for as long as somebody waits for the answer.
    pub(crate) fn new(limits: Limits, is_wanted: &'w dyn Fn() -> bool) -> Self {
        Self { limits, values: Cell::new(limits.values), work: Cell::new(limits.work), is_wanted }
    }

    fn check_wanted(&self) -> Result<(), QueryError> {
        if (self.is_wanted)() { Ok(()) } else { Err(QueryError::Canceled) }
    }

    /// Takes as much as a row of that many values.
    pub(crate) fn row(&self, steps: usize) -> Result<(), QueryError> {
        self.check_wanted()?;
        let left = self.values.get().checked_sub(steps as u64).ok_or(QueryError::TooManySamples)?;
        self.values.set(left);
        Ok(())
    }

    /// Takes as much as it is to look at that many samples.
    pub(crate) fn look(&self, samples: usize) -> Result<(), QueryError> {
        self.check_wanted()?;
        let left = self.work.get().checked_sub(samples as u64);
        self.work.set(left.ok_or(QueryError::TooMuchWork(self.limits.work))?);
        Ok(())
    }
}
