//! Whether anybody still waits for what is computed.
//!
//! An answer is computed in one go, on some thread, and its client may leave meanwhile, or be told that it takes too long.
//! What goes through very many records asks now and then, and passes over the rest: nobody sees what comes of it.

use std::{
    cell::RefCell,
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use vanflow_history::rows::{Held, Part, Row, Rows, Span, Summing, UnreadableRows, Wanted};

use crate::error::ApiError;

thread_local! {
    static CURRENT: RefCell<Option<Interest>> = const { RefCell::new(None) };
}

/// Whether anybody waits for an answer. Clones are of the same answer.
#[derive(Clone, Debug, Default)]
pub struct Interest {
    has_ended: Arc<AtomicBool>,
    /// After how many times that it was asked for it is over, where a test says so.
    #[cfg(test)]
    patience: Option<Arc<std::sync::atomic::AtomicUsize>>,
}

impl Interest {
    /// Nobody waits for it any more, and nobody will see what is made of it.
    pub fn end(&self) {
        self.has_ended.store(true, Ordering::Relaxed);
    }

    /// Computes some of that answer, on this thread.
    pub fn compute<T>(&self, compute: impl FnOnce() -> T) -> T {
        /// Puts back what there was, though it panics.
        struct Before(Option<Interest>);
        impl Drop for Before {
            fn drop(&mut self) {
                CURRENT.set(self.0.take());
            }
        }
        let _before = Before(CURRENT.replace(Some(self.clone())));
        compute()
    }

    /// The answer that this thread computes; one that never ends where nobody says which.
    pub(crate) fn current() -> Self {
        CURRENT.with_borrow(Clone::clone).unwrap_or_default()
    }

    pub(crate) fn has_ended(&self) -> bool {
        #[cfg(test)]
        if let Some(patience) = &self.patience
            && patience
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_err()
        {
            return true;
        }
        self.has_ended.load(Ordering::Relaxed)
    }

    /// One that nobody waits for any more once it was asked for so often.
    #[cfg(test)]
    pub(crate) fn for_so_long(patience: usize) -> Self {
        Self { patience: Some(Arc::new(patience.into())), ..Self::default() }
    }

    /// An error where nobody waits for it any more.
    pub(crate) fn check(&self) -> Result<(), ApiError> {
        if self.has_ended() { Err(ApiError::Abandoned) } else { Ok(()) }
    }
}

/// Rows that come for as long as somebody waits for what is computed of them.
#[derive(Debug)]
pub(crate) struct RowsWhileAwaited(pub(crate) Arc<dyn Rows>);

impl Rows for RowsWhileAwaited {
    fn visit(
        &self,
        wanted: &Wanted<'_>,
        visit: &mut dyn FnMut(Row) -> ControlFlow<()>,
    ) -> Result<(), UnreadableRows> {
        self.0.visit(wanted, &mut while_awaited(visit))
    }

    fn visit_sums(
        &self,
        wanted: &Wanted<'_>,
        summing: &Summing,
        visit: &mut dyn FnMut(Part) -> ControlFlow<()>,
    ) -> Result<Span, UnreadableRows> {
        self.0.visit_sums(wanted, summing, &mut while_awaited(visit))
    }

    fn since(&self, table: &str) -> u64 {
        self.0.since(table)
    }

    fn find(&self, table: &str, name: &str) -> Result<Option<Row>, UnreadableRows> {
        self.0.find(table, name)
    }

    fn here(&self) -> &dyn Rows {
        self.0.here()
    }

    fn here_since(&self) -> u64 {
        self.0.here_since()
    }

    fn inherited_until(&self) -> u64 {
        self.0.inherited_until()
    }

    fn held(&self, table: &str) -> Held {
        self.0.held(table)
    }
}

fn while_awaited<T>(visit: &mut dyn FnMut(T) -> ControlFlow<()>) -> impl FnMut(T) -> ControlFlow<()> {
    let interest = Interest::current();
    move |part| if interest.has_ended() { ControlFlow::Break(()) } else { visit(part) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_computed_knows_whether_anybody_waits_for_it_and_nothing_else_does() {
        let interest = Interest::default();
        assert!(!interest.compute(|| Interest::current().has_ended()));
        interest.end();
        assert!(interest.compute(|| Interest::current().has_ended()));
        assert!(!interest.compute(|| Interest::default().compute(|| Interest::current().has_ended())));
        assert!(!Interest::current().has_ended());
        let panics = || interest.compute(|| panic!("this is what the test is about"));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
        assert!(!Interest::current().has_ended());
    }
}
