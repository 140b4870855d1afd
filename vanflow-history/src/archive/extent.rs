//! What outlives the files of a directory: which numbers logs had, and since when nothing is missing.

use super::{Archive, Entry, HOUR, State};

/// Where it is kept.
const FILE: &str = "extent";

/// What is kept of that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    /// The number of the next log: a file that was removed here and is elsewhere, too, keeps its name for itself.
    next: u64,
    /// Of what ended from then on, in microseconds, nothing was removed.
    pub(super) whole_since: u64,
    is_written: bool,
}

impl Archive {
    /// From when on, in microseconds, all that was ever appended is here: what ended before can be missing, because it was
    /// removed, or was there before the directory was.
    pub fn whole_since(&self) -> u64 {
        self.state().extent.whole_since
    }

    /// Takes up what is known of the directory, when its files and logs are.
    pub(super) fn recall_extent(&self, now_micros: u64) {
        let kept = self.get(FILE).ok().flatten().and_then(|octets| parse(&octets));
        let mut state = self.state();
        // Of a directory of an earlier version nobody knows what was removed before the earliest that there is.
        let extent = kept.unwrap_or_else(|| Extent {
            next: 0,
            whole_since: state.earliest(self).unwrap_or(now_micros),
            is_written: false,
        });
        state.number = state.number.max(extent.next);
        state.extent = extent;
        drop(state);
        self.keep_extent();
    }

    /// Keeps it where it is not yet. A full disk does not keep files from being removed; it is tried again the next time.
    pub(super) fn keep_extent(&self) {
        let extent = self.state().extent;
        if !extent.is_written {
            let text = format!("next {}\nwhole-since {}\n", extent.next, extent.whole_since);
            let is_written = self.put(FILE, text.as_bytes()).is_ok();
            self.state().extent.is_written = is_written;
        }
    }
}

impl State {
    /// Those files are there no more.
    pub(super) fn shrink(&mut self, gone: &[Entry]) {
        let Some(latest) = gone.iter().map(|file| file.ends.1).max() else { return };
        let whole_since = self.extent.whole_since.max((latest / HOUR + 1).saturating_mul(HOUR));
        self.extent = Extent { next: self.number, whole_since, is_written: false };
    }

    /// The latest of the earliest ends of the tables of which there is something.
    fn earliest(&self, archive: &Archive) -> Option<u64> {
        let in_files = self.files.iter().map(|file| (file.table, file.ends.0));
        let logged = self.sealing.values().flat_map(|rows| rows.iter());
        let in_logs = logged.map(|(at, row)| (*at, archive.tables[*at].end(row)));
        let mut earliest = vec![None; archive.tables.len()];
        for (table, end) in in_files.chain(in_logs) {
            let known: &mut Option<u64> = &mut earliest[table];
            *known = Some(known.map_or(end, |known| known.min(end)));
        }
        earliest.into_iter().flatten().max()
    }
}

fn parse(octets: &[u8]) -> Option<Extent> {
    let text = str::from_utf8(octets).ok()?;
    let (next, rest) = text.strip_prefix("next ")?.split_once('\n')?;
    let whole_since = rest.strip_prefix("whole-since ")?.strip_suffix('\n')?;
    Some(Extent { next: next.parse().ok()?, whole_since: whole_since.parse().ok()?, is_written: true })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;
    use crate::{
        ArchiveOptions,
        archive::tests::{AT, open, row},
    };

    #[test]
    fn since_when_nothing_is_missing_is_known_over_restarts_and_no_number_comes_again() {
        let directory = TempDir::new().unwrap();
        let options = ArchiveOptions { keep_micros: HOUR, ..ArchiveOptions::default() };
        let (archive, _) = open(&directory, options.clone(), AT);
        assert_eq!(archive.whole_since(), AT);
        for hour in 0..3 {
            archive.append(&[(0, row(&format!("a:{hour}@7"), AT + hour * HOUR))], AT).unwrap();
            archive.seal_all().unwrap();
        }
        archive.seal(AT + HOUR / 2).unwrap();
        assert_eq!(archive.whole_since(), AT);
        archive.seal(AT + 2 * HOUR + 1).unwrap();
        let since = (AT / HOUR + 2) * HOUR;
        assert_eq!(archive.whole_since(), since);
        drop(archive);
        let (archive, remarks) = open(&directory, options.clone(), AT + 2 * HOUR);
        assert_eq!((archive.whole_since(), remarks), (since, Vec::new()));
        archive.seal(AT + 9 * HOUR).unwrap();
        assert_eq!(archive.whole_since(), since + HOUR);
        drop(archive);
        // There is no file by whose name it could be told.
        let (archive, _) = open(&directory, options.clone(), AT + 9 * HOUR);
        assert_eq!(archive.state().number, 3);
        assert_eq!(archive.whole_since(), since + HOUR);
        archive.append(&[(0, row("late@7", AT))], AT).unwrap();
        archive.seal_all().unwrap();
        assert!(
            directory
                .path()
                .join("connections/date=2026-11-26/hour=03/00000000000000000003.parquet")
                .exists()
        );
        // What comes late does not change what was removed.
        assert_eq!(archive.whole_since(), since + HOUR);
        drop(archive);

        // Of an earlier version, or damaged: nobody knows of what was before the earliest.
        for damaged in [None, Some("next 3"), Some("next x\nwhole-since 7\n")] {
            let path = directory.path().join(FILE);
            fs::remove_file(&path).unwrap();
            if let Some(text) = damaged {
                fs::write(&path, text).unwrap();
            }
            let (archive, _) = open(&directory, ArchiveOptions::default(), AT + 9 * HOUR);
            assert_eq!((archive.whole_since(), archive.state().number), (AT, 4), "{damaged:?}");
        }
    }
}
