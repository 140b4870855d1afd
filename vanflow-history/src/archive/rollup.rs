//! Rollups: what rows come to in each minute, five minutes and hour, in files of their own, which are kept for longer.
//!
//! A log becomes files of sums in the same moment as files of rows, and under the same numbers: what is done twice comes to
//! the same, here too. They are merged among themselves, and say what their rows come to whether those are there or not.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::File,
    io,
    path::{Path, PathBuf},
};

use parquet::errors::ParquetError;
use serde_json::{Value as Json, json};

use super::{Archive, Entry, HOUR, Logged, Reader, SealError, State, folder_of};
use crate::rows::{
    Condition, Is, Row, Slot, Span, Summary, Table, Value, Wanted, merge_slots, rows_of_slots,
};

/// Sums of one length of step.
#[derive(Debug)]
pub(super) struct Rollup {
    /// Where they are kept.
    pub(super) folder: &'static str,
    /// In microseconds.
    pub(super) step: u64,
    /// Of how long a time there is a folder.
    pub(super) folder_micros: u64,
}

const MINUTE: u64 = HOUR / 60;
pub(super) const DAY: u64 = 24 * HOUR;

/// The finest come first.
pub(super) const ROLLUPS: [Rollup; 3] = [
    Rollup { folder: "rollup-1m", step: MINUTE, folder_micros: HOUR },
    Rollup { folder: "rollup-5m", step: 5 * MINUTE, folder_micros: DAY },
    Rollup { folder: "rollup-1h", step: HOUR, folder_micros: DAY },
];

/// From when on all that ended is there, in microseconds: what ended before can have been removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Since {
    pub(super) rows: u64,
    pub(super) rollups: [u64; ROLLUPS.len()],
}

/// It is kept under this name.
const SINCE: &str = "since";

impl Archive {
    /// Writes what the rows of a table in a log come to.
    pub(super) fn write_rollups(
        &self,
        at: usize,
        rows: &[&Row],
        number: u64,
        files: &mut Vec<Entry>,
    ) -> Result<(), SealError> {
        let table = &self.tables[at];
        if table.sums.keys.is_empty() || rows.is_empty() {
            return Ok(());
        }
        let replaced = self.replaced_by(at, rows, number);
        let mut slots = table.slots(rows, &replaced, ROLLUPS[0].step);
        for (level, rollup) in ROLLUPS.iter().enumerate() {
            let mut parts: BTreeMap<u64, HashMap<Slot, Summary>> = BTreeMap::new();
            for (slot, summary) in &slots {
                let part = parts.entry(slot.begin / rollup.folder_micros).or_default();
                part.insert(slot.clone(), summary.clone());
            }
            for (part, slots) in parts {
                let folder = self.rollup_folder(at, level, part * rollup.folder_micros);
                let is_merged =
                    |file: &Entry| file.is_merged_of(number) && file.kept.path.starts_with(&folder);
                if !self.state().rollups.iter().any(is_merged) {
                    let rows = rows_of_slots(slots);
                    files.push(self.write_rows(at, Some(level), &rows, &folder, (number, number))?);
                }
            }
            if let Some(next) = ROLLUPS.get(level + 1) {
                let mut coarser = HashMap::new();
                merge_slots(&mut coarser, slots, next.step);
                slots = coarser;
            }
        }
        Ok(())
    }

    fn rollup_folder(&self, at: usize, level: usize, begin: u64) -> PathBuf {
        let Rollup { folder, folder_micros, .. } = ROLLUPS[level];
        self.directory.join(folder).join(self.tables[at].name).join(folder_of(begin, folder_micros))
    }

    /// The earlier rows that some of a log are in place of: they were summed up before, or are among these.
    fn replaced_by(&self, at: usize, rows: &[&Row], number: u64) -> Vec<Row> {
        let table = &self.tables[at];
        let mut missing: HashMap<&str, Vec<&Row>> = HashMap::new();
        for row in rows.iter().copied().filter(|row| table.replaces(row)) {
            missing.entry(table.key(row)).or_default().push(row);
        }
        if missing.is_empty() {
            return Vec::new();
        }
        // Of each key all that there is, in this log and in files.
        let mut logged: HashMap<&str, Vec<&Row>> = HashMap::new();
        for row in rows.iter().copied().filter(|row| missing.contains_key(table.key(row))) {
            logged.entry(table.key(row)).or_default().push(row);
        }
        let mut filed: HashMap<String, Vec<Row>> = HashMap::new();
        let before = |filed: &HashMap<String, Vec<Row>>, later: &Row| -> Option<Row> {
            let key = table.key(later);
            let its = filed.get(key).into_iter().flatten().chain(logged[key].iter().copied());
            its.filter(|row| table.end(row) < table.end(later)).max_by_key(|row| table.end(row)).cloned()
        };
        let start = |row: &Row| match table.sums.start.map(|column| &row.values[column]) {
            Some(Value::Number(start)) => *start,
            _ => 0,
        };
        let earliest = missing.values().flatten().map(|row| start(row)).min().unwrap_or(0);
        let mut files: Vec<_> = self.state().files.iter().filter(|file| file.table == at).cloned().collect();
        files.retain(|file| file.ends.1 >= earliest);
        files.sort_by_key(|file| std::cmp::Reverse(file.ends.1));
        let keys: Vec<Box<str>> = missing.keys().map(|key| (*key).into()).collect();
        let column = table.columns[table.key].name;
        let wanted = Wanted::all(table.name, Span { from: 0, until: u64::MAX })
            .with(Condition { column, is: Is::OneOf(keys.clone()) });
        // When others ended that were in place of something: of several that ended at the same time one is.
        let mut others: HashSet<(String, u64)> = HashSet::new();
        for file in files {
            // What is in it has ended before what was found already.
            let is_found =
                |later: &&Row| before(&filed, later).is_some_and(|row| table.end(&row) >= file.ends.1);
            if missing.values().flatten().all(is_found) {
                break;
            }
            let read = || -> Result<Vec<Row>, ParquetError> {
                let reader = Reader::with_filters(table, File::open(&file.kept.path)?)?;
                let mut rows = Vec::new();
                for group in 0..reader.groups() {
                    if reader.can_have_any(group, &keys)? {
                        rows.extend(reader.group(group, &wanted)?);
                    }
                }
                Ok(rows)
            };
            // One that cannot be read is an error to whoever asks for its rows.
            for row in read().unwrap_or_default() {
                if !file.is_merged_of(number) {
                    others.insert((table.key(&row).to_owned(), table.end(&row)));
                }
                filed.entry(table.key(&row).to_owned()).or_default().push(row);
            }
        }
        let mut is_first = |later: &&&Row| others.insert((table.key(later).to_owned(), table.end(later)));
        let later = missing.values().flatten().filter(|later| is_first(later));
        later.filter_map(|later| before(&filed, later)).collect()
    }

    /// From when on all that ended is there.
    pub(super) fn since_of(&self, at: usize) -> Since {
        self.state().whole_since.get(at).copied().unwrap_or_default()
    }

    /// Keeps from when on what is there. Where that cannot be written, the next process may take it for more than it is.
    pub(super) fn keep_since(&self) {
        let tables: serde_json::Map<_, _> = (self.tables.iter().zip(&self.state().whole_since))
            .map(|(table, since)| {
                let rollups = ROLLUPS.iter().zip(since.rollups).map(|(rollup, since)| (rollup.folder, since));
                let each = rollups
                    .chain([("rows", since.rows)])
                    .map(|(name, since)| (name.to_owned(), json!(since)));
                (table.name.to_owned(), Json::Object(each.collect()))
            })
            .collect();
        let _ = self.put(SINCE, Json::Object(tables).to_string().as_bytes());
    }

    /// Takes up from when on all is there, as it was kept; and where sums are of less than there are rows, as those that an
    /// earlier version wrote none of, sums are of what ended later.
    pub(super) fn find_since(&self) -> io::Result<()> {
        let kept = self.get(SINCE)?.and_then(|octets| serde_json::from_slice::<Json>(&octets).ok());
        let mut state = self.state();
        state.whole_since = vec![Since::default(); self.tables.len()];
        for (at, table) in self.tables.iter().enumerate() {
            let known = |name: &str| kept.as_ref()?.get(table.name)?.get(name)?.as_u64();
            let mut since = Since { rows: known("rows").unwrap_or(0), ..Since::default() };
            for (level, rollup) in ROLLUPS.iter().enumerate() {
                let mut days: BTreeMap<u64, i128> = BTreeMap::new();
                for file in state.files.iter().filter(|file| file.table == at) {
                    *days.entry(file.ends.0 / DAY).or_default() += i128::from(file.rows);
                }
                let its = |file: &&Entry| file.table == at && file.rollup == Some(level);
                for file in state.rollups.iter().filter(its) {
                    *days.entry(file.ends.0 / DAY).or_default() -= i128::from(file.summed);
                }
                let short = days.into_iter().rev().find(|(_, difference)| *difference > 0);
                let short = short.map_or(0, |(day, _)| (day + 1) * DAY);
                since.rollups[level] = known(rollup.folder).unwrap_or(0).max(short);
            }
            if table.sums.keys.is_empty() {
                since.rollups = [u64::MAX; ROLLUPS.len()];
            }
            state.whole_since[at] = since;
        }
        Ok(())
    }
}

impl State {
    /// Takes out the sums that are to go: what is older than that, by level, and where they are more than so many octets the
    /// oldest of the finest.
    pub(super) fn take_old_rollups(&mut self, before: [u64; ROLLUPS.len()], most: Option<u64>) -> Vec<Entry> {
        self.rollups.sort_by_key(|file| (file.rollup, file.ends.1));
        let mut octets: u64 = self.rollups.iter().map(|file| file.octets).sum();
        let (mut gone, mut stay) = (Vec::new(), Vec::new());
        for file in std::mem::take(&mut self.rollups) {
            let is_old = file.rollup.is_some_and(|level| file.ends.1 < before[level]);
            if is_old || most.is_some_and(|most| octets > most) {
                octets -= file.octets;
                gone.push(file);
            } else {
                stay.push(file);
            }
        }
        self.rollups = stay;
        gone
    }

    /// Takes note that files go.
    pub(super) fn forget(&mut self, gone: &[Entry]) {
        for file in gone {
            let Some(since) = self.whole_since.get_mut(file.table) else { continue };
            let (since, whole) = match file.rollup {
                None => (&mut since.rows, HOUR),
                Some(level) => (&mut since.rollups[level], ROLLUPS[level].folder_micros),
            };
            *since = (*since).max((file.ends.1 / whole + 1) * whole);
        }
    }
}

/// The rows of a table in a log.
pub(super) fn rows_of(rows: &[Logged], at: usize) -> Vec<&Row> {
    rows.iter().filter(|(of, _)| *of == at).map(|(_, row)| &**row).collect()
}

/// How many rows those sums are of, but for those that were replaced.
pub(super) fn summed<'r>(sums: impl Iterator<Item = &'r Row>) -> u64 {
    let rows = |row: &Row| match (&row.values[1], &row.values[2]) {
        (Value::Number(rows), Value::Truth(false)) => *rows,
        _ => 0,
    };
    sums.map(rows).sum()
}

/// Whether a file of sums is of an earlier version, which had one beside each file of rows.
pub(super) fn is_of_earlier_version(path: &Path, level: usize) -> bool {
    let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    ROLLUPS[level].folder_micros == DAY && folder.is_some_and(|name| name.starts_with("hour="))
}

/// The table of sums that is read in place of that table's rows.
pub(super) fn sums_of(tables: &[Table]) -> Vec<Table> {
    tables.iter().map(Table::of_sums).collect()
}
