//! Files that do not change any more, for those who have them elsewhere, too.

use std::path::PathBuf;

use super::{
    Archive, Entry, HOUR, State, logs_of,
    merging::{LATE, folders},
};

/// A file that does not change any more.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FinishedFile {
    /// Its path below the directory, with `/` between folders.
    pub name: String,
    /// Where it is. It may be removed at any time, as it can be merged with what comes late.
    pub path: PathBuf,
    /// How many rows it has.
    pub rows: u64,
}

impl FinishedFile {
    /// Whether the rows of the file of that name are in this one.
    pub fn has_rows_of(&self, name: &str) -> bool {
        let (path, other) = (PathBuf::from(&self.name), PathBuf::from(name));
        let logs = logs_of(&path).zip(logs_of(&other));
        path.parent() == other.parent()
            && logs.is_some_and(|(its, others)| its.0 <= others.0 && others.1 <= its.1)
    }
}

impl Archive {
    /// Files of hours that are over, and that nothing is to be merged with, which were not sent yet.
    pub fn finished(&self, now_micros: u64) -> Vec<FinishedFile> {
        let state = self.state();
        let is_over = |file: &&Entry| (file.ends.1 / HOUR + 1) * HOUR + LATE <= now_micros;
        let stays = |files: &Vec<&Entry>| state.run_in(files.clone(), now_micros).is_none();
        let named = |file: &Entry| {
            let below = file.kept.path.strip_prefix(&self.directory).ok()?;
            let parts: Option<Vec<_>> = below.iter().map(|part| part.to_str()).collect();
            Some(FinishedFile { name: parts?.join("/"), path: file.kept.path.clone(), rows: file.rows })
        };
        let files = folders(&state.files).into_values().filter(stays).flatten();
        files.filter(|file| is_over(file) && !file.is_sent).filter_map(named).collect()
    }

    /// A file is elsewhere, too: it may go when it is old.
    pub fn sent(&self, sent: &FinishedFile) {
        let mut state = self.state();
        let its = state.files.iter_mut().filter(|file| file.kept.path == sent.path);
        its.for_each(|file| file.is_sent = true);
    }

    /// How many rows had to go though they were not sent, since it was opened.
    pub fn lost(&self) -> u64 {
        self.state().lost
    }
}

impl State {
    /// Takes out the files that are to go: what is older than `before`, and the oldest of what is more than `most` octets. What
    /// is to be sent first goes only where there is too much without it.
    pub(super) fn take_old(&mut self, before: u64, most: Option<u64>, keeps_unsent: bool) -> Vec<Entry> {
        self.files.sort_by_key(|file| file.ends.1);
        let mut octets: u64 = self.files.iter().map(|file| file.octets).sum();
        let is_too_much = |octets| most.is_some_and(|most| octets > most);
        let mut gone = Vec::new();
        for may_be_unsent in [!keeps_unsent, true] {
            let is_last_resort = keeps_unsent && may_be_unsent;
            let mut stay = Vec::new();
            for file in std::mem::take(&mut self.files) {
                let is_due = is_too_much(octets) || !is_last_resort && file.ends.1 < before;
                if is_due && (file.is_sent || may_be_unsent) {
                    octets -= file.octets;
                    if keeps_unsent && !file.is_sent {
                        self.lost += file.rows;
                    }
                    gone.push(file);
                } else {
                    stay.push(file);
                }
            }
            self.files = stay;
        }
        gone
    }
}
