//! Pages of what is not held any more in the order of time: no more is read than a page takes.

use std::{iter, ops::ControlFlow};

use vanflow_history::rows::{Condition, Is, Part, Row, Span, Summing, UnreadableRows};

use super::{Before, Its, filtered, is_replaced, looked_at};
use crate::{
    query::value::{Cell, Kind},
    v2alpha1::{
        collection::Scope,
        query::{Order, Query},
        view::View,
    },
};

/// The order of a list by a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ByTime {
    column: &'static str,
    is_of_ends: bool,
    is_descending: bool,
}

impl ByTime {
    /// That of a query; none where it has another.
    pub(crate) fn of(query: &Query) -> Option<Self> {
        let Order { property, is_descending } =
            query.order.filter(|order| order.property.kind == Kind::Instant)?;
        Some(Self { column: property.name, is_of_ends: property.name == "endTime", is_descending })
    }

    /// Whether a page is full when all up to that time were given, and this is the last of it.
    pub(crate) fn has_enough(self, last: Option<&Option<Cell<'_>>>, edge: u64) -> ControlFlow<()> {
        let is_enough = last.is_some_and(|last| match self.is_descending {
            false => time_of(last) <= edge,
            true => time_of(last) >= edge,
        });
        if is_enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// The time by which something is put in order; 0 where it has none.
pub(crate) fn time_of(cell: &Option<Cell<'_>>) -> u64 {
    if let Some(Cell::Number(time)) = cell { *time } else { 0 }
}

/// What comes of rows in the order of a time.
#[derive(Debug)]
pub(crate) enum Window {
    /// A row, in no order among those that are given with it.
    Row(Row),
    /// All with a time up to that one, from whichever end, were given.
    Until(u64),
}

/// How long a time is looked at first of a list in the order of a time, in microseconds; then of twice as long each time.
const FIRST_WINDOW: u64 = 5 * 1_000_000;

impl Before<'_> {
    /// The same in the order of a time, a while after the other: first those with the time from which on they are looked for, or
    /// the earliest or latest that there is, and then others, until whoever asks has enough.
    pub(crate) fn each_in_order(
        self,
        query: &Query,
        view: View<'_>,
        scope: Scope,
        (order, first): (ByTime, Option<u64>),
        mut give: impl FnMut(Window) -> ControlFlow<()>,
    ) -> Result<(), UnreadableRows> {
        let Some(its) = Its::new(view, scope) else { return Ok(()) };
        let replaced = self.replaced()?;
        let wanted = self.wanted(query, view, &its);
        let now = view.snapshot.now().as_micros();
        let earliest = self.span.from.max(self.rows.held(self.table).since.unwrap_or(0));
        // What ends later is not much: it was open at the end of the range.
        let latest = now.min(query.until(view.snapshot.now()));
        let begin = first.unwrap_or(if order.is_descending { latest } else { earliest });
        let (mut length, mut edge) = (FIRST_WINDOW, begin);
        let mut window = match (order.is_descending, first) {
            (false, first) => Span { from: first.unwrap_or(0), until: edge.saturating_add(length) },
            (true, first) => Span { from: edge.saturating_sub(length), until: first.unwrap_or(u64::MAX) },
        };
        loop {
            // What is later than now, or earlier than all that is looked for, is so by clocks that are wrong.
            let is_last = match order.is_descending {
                false if window.until >= now => std::mem::replace(&mut window.until, u64::MAX) > 0,
                true if window.from <= earliest && order.is_of_ends || window.from == 0 => {
                    window.from = 0;
                    true
                }
                _ => false,
            };
            let is_in = Condition { column: order.column, is: Is::Within(window.from, window.until) };
            let at = query.collection.schema().position(order.column);
            let is_listed = |row: &Row| {
                at.is_some_and(|at| row.values.get(at).is_some_and(|value| is_in.is.admits(value)))
                    && self.lists(query, view, &its, row)
                    && !is_replaced(query, &replaced, row)
            };
            let mut wanted = wanted.clone();
            if order.is_of_ends {
                let span = wanted.span;
                wanted.span = Span { from: span.from.max(window.from), until: span.until.min(window.until) };
            } else {
                wanted = wanted.with(is_in.clone());
            }
            let mut is_over = false;
            if wanted.span.from <= wanted.span.until {
                self.rows.visit(&wanted, &mut |row| {
                    let flow =
                        if is_listed(&row) { give(Window::Row(row)) } else { ControlFlow::Continue(()) };
                    is_over |= flow.is_break();
                    flow
                })?;
            }
            edge = if order.is_descending { window.from } else { window.until };
            if is_over || is_last || give(Window::Until(edge)).is_break() {
                return Ok(());
            }
            length = length.saturating_mul(2);
            window = match order.is_descending {
                false => Span { from: edge.saturating_add(1), until: edge.saturating_add(length) },
                true => Span { from: edge.saturating_sub(length), until: edge - 1 },
            };
        }
    }

    /// How many rows a query lists that are not held, where sums say so without a look at each.
    pub(super) fn count(
        self,
        query: &Query,
        view: View<'_>,
        scope: Scope,
    ) -> Result<Option<usize>, UnreadableRows> {
        // Sums are there for longer than rows.
        if self.span.from < self.rows.since(self.table) {
            return Ok(None);
        }
        let Some(whole) = self.whole_of(query, view.snapshot, filtered(query)) else { return Ok(None) };
        let summing = Summing { whole, step: None, has_bounds: false };
        let mut count = 0;
        self.each_part(query, view, scope, (summing, looked_at(query, iter::empty())), |part| {
            count += match part {
                Part::Row(_) => 1,
                Part::Sum(sum) => sum.rows,
            };
            ControlFlow::Continue(())
        })?;
        Ok(usize::try_from(count).ok())
    }
}
