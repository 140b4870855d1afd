//! Rows of an archive for those who ask: of its logs, which are in memory, and of its files.

use std::{fs::File, ops::ControlFlow, sync::Arc};

use parquet::errors::ParquetError;

use super::{Archive, Entry, Log, Reader, State};
use crate::rows::{Held, Part, Row, Rows, Span, Summing, Table, UnreadableRows, Wanted};

impl Rows for Archive {
    fn visit(
        &self,
        wanted: &Wanted<'_>,
        visit: &mut dyn FnMut(Row) -> ControlFlow<()>,
    ) -> Result<(), UnreadableRows> {
        self.visit_here(wanted, &mut |_, row| visit(row)).map(drop)
    }

    fn visit_sums(
        &self,
        wanted: &Wanted<'_>,
        summing: &Summing,
        visit: &mut dyn FnMut(Part) -> ControlFlow<()>,
    ) -> Result<Span, UnreadableRows> {
        self.sums(wanted, summing, visit)
    }

    fn since(&self, table: &str) -> u64 {
        let at = self.tables.iter().position(|known| known.name == table);
        at.map_or(0, |at| self.since_of(at).rows)
    }

    fn find(&self, table: &str, name: &str) -> Result<Option<Row>, UnreadableRows> {
        let Some(at) = self.tables.iter().position(|known| known.name == table) else { return Ok(None) };
        let table = &self.tables[at];
        let later = |one: Option<Row>, other: Option<Row>| match (one, other) {
            (Some(one), Some(other)) if table.end(&other) > table.end(&one) => Some(other),
            (one, other) => one.or(other),
        };
        let (mut found, mut files) = {
            let state = self.state();
            let logged = state.sealing.values().flat_map(|rows| rows.iter()).chain(&state.open);
            let its = logged.filter(|(of, row)| *of == at && table.is_called(row, name));
            let found = its.max_by_key(|(_, row)| table.end(row)).map(|(_, row)| Row::clone(row));
            let files = state.files.iter().filter(|file| file.table == at).cloned().collect::<Vec<_>>();
            (found, files)
        };
        files.sort_by_key(|file| std::cmp::Reverse(file.ends.1));
        // A key says when it began. What looks like one can be an identity: then it is in any other file.
        let began = Table::began(name);
        let is_likely = |file: &Entry| {
            let can_be = |began| file.ends.1 >= began && (file.starts.0..=file.starts.1).contains(&began);
            began.is_none_or(can_be)
        };
        let (likely, others): (Vec<_>, Vec<_>) = files.into_iter().partition(is_likely);
        for files in [likely, others] {
            for file in files {
                // A later one is not further back.
                if found.as_ref().is_some_and(|row| table.end(row) >= file.ends.1) {
                    break;
                }
                let read = || Reader::with_filters(table, File::open(&file.kept.path)?)?.find(name);
                found = later(found, read().map_err(|error| file.unreadable(&error))?);
            }
            if found.as_ref().is_some_and(|row| table.key(row) == name) {
                break;
            }
        }
        Ok(found)
    }

    fn here(&self) -> &dyn Rows {
        self
    }

    fn inherited_until(&self) -> u64 {
        self.inherited_until
    }

    fn held(&self, table: &str) -> Held {
        let mut held = Held::default();
        let Some(at) = self.tables.iter().position(|known| known.name == table) else { return held };
        let state = self.state();
        held.memory = state.memory[at];
        let mut since = |end: u64| held.since = Some(held.since.map_or(end, |since| since.min(end)));
        let logged = state.sealing.values().flat_map(|rows| rows.iter()).chain(&state.open);
        for (_, row) in logged.filter(|(of, _)| *of == at) {
            since(self.tables[at].end(row));
            held.rows += 1;
        }
        // The log has rows of all tables.
        let its = state.open.iter().filter(|(of, _)| *of == at).count() as u64;
        let length = state.log.as_ref().map_or(0, Log::length);
        held.octets += length * its / (state.open.len() as u64).max(1);
        for file in state.files.iter().filter(|file| file.table == at) {
            since(file.ends.0);
            held.rows += file.rows;
            held.octets += file.octets;
        }
        held
    }
}

impl State {
    /// The rows of a table that are in no file yet.
    pub(super) fn logged(&self, at: usize) -> Vec<Arc<Row>> {
        let logged = self.sealing.values().flat_map(|rows| rows.iter()).chain(&self.open);
        logged.filter(|(of, _)| *of == at).map(|(_, row)| Arc::clone(row)).collect()
    }
}

impl Archive {
    /// Gives each row that is looked for, for those who have the rest: with when it is that nothing is missing from, as
    /// [`Archive::whole_since`] says, and as it was when files were looked for; answers that, too.
    ///
    /// # Errors
    ///
    /// As [`Rows::visit`].
    pub fn visit_here(
        &self,
        wanted: &Wanted<'_>,
        visit: &mut dyn FnMut(u64, Row) -> ControlFlow<()>,
    ) -> Result<u64, UnreadableRows> {
        let Some(at) = self.tables.iter().position(|known| known.name == wanted.table) else {
            return Ok(0);
        };
        let table = &self.tables[at];
        let (whole_since, in_logs, files) = {
            let state = self.state();
            let is_asked = |file: &&Entry| file.table == at && file.can_have(table, wanted);
            let files = state.files.iter().filter(is_asked).cloned().collect::<Vec<_>>();
            (state.extent.whole_since, state.logged(at), files)
        };
        let mut visit = |row| visit(whole_since, row);
        for row in in_logs.iter().filter(|row| wanted.admits(table, row)) {
            if visit(Row::clone(row)).is_break() {
                return Ok(whole_since);
            }
        }
        drop(in_logs);
        for file in files {
            if self.visit_file(&file, wanted, &mut visit)?.is_break() {
                break;
            }
        }
        Ok(whole_since)
    }

    /// Gives the rows of a file that are looked for.
    pub(super) fn visit_file(
        &self,
        file: &Entry,
        wanted: &Wanted<'_>,
        visit: &mut dyn FnMut(Row) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, UnreadableRows> {
        let mut read = || -> Result<ControlFlow<()>, ParquetError> {
            Reader::open(&self.tables[file.table], File::open(&file.kept.path)?)?.visit(wanted, visit)
        };
        read().map_err(|error| file.unreadable(&error))
    }
}
