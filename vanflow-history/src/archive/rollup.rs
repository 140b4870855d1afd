//! What the rows of a file come to, in a file of the same name beside it: who asks for that of a long time reads those.
//!
//! They are worth nothing by themselves: what cannot be written or read is worked out from rows.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use parquet::errors::ParquetError;

use super::{Archive, Disk, Entry, Kept, Reader, Remark, State, UNFINISHED, columns, logs_of};
use crate::rows::{Row, Sum};

/// Where they are kept.
const FOLDER: &str = "rollup-1h";

/// How many rows a sum stands for at least, on average: else rows are as good.
const LEAST_ROWS: usize = 2;

impl Archive {
    /// Writes what rows of a file come to, if that is less; none where it is not, or cannot be written.
    pub(super) fn write_sums(
        &self,
        at: usize,
        rows: &[Row],
        path: &Path,
        last_end: u64,
    ) -> Option<Arc<Kept>> {
        let table = &self.tables[at];
        if table.sums.keys.is_empty() {
            return None;
        }
        if rows.iter().any(|row| table.ends_before_it_starts(row)) {
            return None;
        }
        let sums = table.sum_up(rows);
        let path = sums_path(&self.directory, path)?;
        // What a former process wrote under that name can be of other rows.
        let _ = path.exists().then(|| self.disk.remove_file(&path));
        if sums.len() * LEAST_ROWS > rows.len() {
            return None;
        }
        let rows = table.rows_of_sums(sums, last_end);
        let write = || -> Result<(), ParquetError> {
            let unfinished = path.with_extension(UNFINISHED);
            self.disk.create_folder(path.parent().unwrap_or(&path))?;
            let mut file = self.disk.create(&unfinished)?;
            columns::write(&self.sums[at], &rows, &mut file)?;
            file.flush()?;
            file.sync()?;
            Ok(self.disk.rename(&unfinished, &path)?)
        };
        write().ok()?;
        Some(Arc::new(Kept::new(path, self.disk.clone())))
    }

    /// What the rows of a file come to, where that is kept and is of all of them.
    pub(super) fn sums_of(&self, file: &Entry) -> Option<Vec<Sum>> {
        let read = |path: &Path| -> Result<Vec<Sum>, ParquetError> {
            let reader = Reader::open(&self.sums[file.table], File::open(path)?)?;
            let mut sums = Vec::new();
            for group in 0..reader.groups() {
                let rows = reader.whole_group(group)?;
                sums.extend(rows.into_iter().filter_map(|row| self.tables[file.table].sum_of_row(row)));
            }
            Ok(sums)
        };
        let sums = read(&file.sums.as_ref()?.path).ok()?;
        (sums.iter().map(|sum| sum.rows).sum::<u64>() == file.rows).then_some(sums)
    }
}

impl State {
    /// Finds what the rows of files come to, and removes what is of none of them.
    pub(super) fn find_sums(
        &mut self,
        disk: &Disk,
        directory: &Path,
        remarks: &mut Vec<Remark>,
    ) -> io::Result<()> {
        let mut found = HashSet::new();
        files_in(&directory.join(FOLDER), &mut found)?;
        for file in &mut self.files {
            let path = sums_path(directory, &file.kept.path).filter(|path| found.remove(path));
            file.sums = path.map(|path| Arc::new(Kept::new(path, disk.clone())));
        }
        for path in found {
            let is_ours = match path.extension().and_then(|end| end.to_str()) {
                Some("parquet") => logs_of(&path).is_some(),
                Some(UNFINISHED) => true,
                _ => false,
            };
            if is_ours {
                disk.remove_file(&path)?;
            } else {
                remarks.push(format!("{} is none of ours; it is left alone", path.display()));
            }
        }
        Ok(())
    }
}

/// Where the sums of a file are.
fn sums_path(directory: &Path, rows: &Path) -> Option<PathBuf> {
    Some(directory.join(FOLDER).join(rows.strip_prefix(directory).ok()?))
}

fn files_in(folder: &Path, files: &mut HashSet<PathBuf>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            files_in(&entry.path(), files)?;
        } else {
            files.insert(entry.path());
        }
    }
    Ok(())
}
