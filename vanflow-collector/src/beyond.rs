//! Rows that are not on this disk, or not any more, beside those that are: each once.

use std::{collections::HashSet, ops::ControlFlow, sync::Arc};

use vanflow_history::{
    Archive,
    rows::{self, Held, Part, Row, Rows, Span, Summing, UnreadableRows, Wanted},
};

const HOUR: u64 = 60 * 60 * 1_000_000;

/// The rows of an archive, and of something that has what the archive has no more, or never had.
#[derive(Debug)]
pub(crate) struct Beyond<R> {
    archive: Arc<Archive>,
    rest: R,
    /// When this process began: what ended before may be known to nobody else.
    began: u64,
}

impl<R> Beyond<R> {
    pub(crate) fn new(archive: Arc<Archive>, rest: R, began: u64) -> Self {
        Self { archive, rest, began }
    }
}

impl<R: Rows> Rows for Beyond<R> {
    fn visit(
        &self,
        wanted: &Wanted<'_>,
        visit: &mut dyn FnMut(Row) -> ControlFlow<()>,
    ) -> Result<(), UnreadableRows> {
        let Some(table) = rows::named(self.archive.tables(), wanted.table) else { return Ok(()) };
        let mut wanted = wanted.clone();
        if let Some(columns) = &mut wanted.columns {
            columns.push(table.columns[table.key].name);
        }
        // What is here of what ended when not all is here any more.
        let mut known = HashSet::new();
        let mut is_over = false;
        let whole_since = self.archive.visit_here(&wanted, &mut |whole_since, row| {
            if table.end(&row) < whole_since {
                known.insert(table.key(&row).to_owned());
            }
            let flow = visit(row);
            is_over = flow.is_break();
            flow
        })?;
        let Some(last) = whole_since.checked_sub(1).filter(|last| wanted.span.from <= *last) else {
            return Ok(());
        };
        if is_over {
            return Ok(());
        }
        let span = Span { from: wanted.span.from, until: wanted.span.until.min(last) };
        self.rest.visit(&Wanted { span, ..wanted.clone() }, &mut |row| {
            if known.contains(table.key(&row)) { ControlFlow::Continue(()) } else { visit(row) }
        })
    }

    fn visit_sums(
        &self,
        wanted: &Wanted<'_>,
        summing: &Summing,
        visit: &mut dyn FnMut(Part) -> ControlFlow<()>,
    ) -> Result<Span, UnreadableRows> {
        // Sums of files would have what is elsewhere, too, twice. Whole files can go at any time, but for what is well after.
        if wanted.span.from >= self.archive.whole_since().saturating_add(HOUR) {
            return self.archive.visit_sums(wanted, summing, visit);
        }
        self.visit(wanted, &mut |row| visit(Part::Row(row)))?;
        Ok(Span { from: wanted.span.from, until: summing.whole.until })
    }

    fn find(&self, table: &str, name: &str) -> Result<Option<Row>, UnreadableRows> {
        let here = self.archive.find(table, name)?;
        let Some(table) = rows::named(self.archive.tables(), table) else { return Ok(here) };
        // One that came late can be older than one that is not here any more.
        if here.as_ref().is_some_and(|row| table.end(row) >= self.archive.whole_since()) {
            return Ok(here);
        }
        let there = self.rest.find(table.name, name)?;
        Ok(here.into_iter().chain(there).max_by_key(|row| table.end(row)))
    }

    fn here(&self) -> &dyn Rows {
        &*self.archive
    }

    fn here_since(&self) -> u64 {
        self.archive.whole_since()
    }

    fn inherited_until(&self) -> u64 {
        self.began
    }

    fn held(&self, table: &str) -> Held {
        let (here, rest) = (self.archive.held(table), self.rest.held(table));
        let since = [here.since, rest.since].into_iter().flatten().min();
        Held { since, elsewhere: rest.rows, ..here }
    }
}
