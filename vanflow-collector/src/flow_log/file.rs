//! The file of a flow log, and those that are finished: `FILE`, and `FILE.000001.gz` and so on, the higher the later.
//!
//! ```text
//! FILE                       is appended to
//! FILE.000007                was renamed when it was full; is there until it is compressed
//! FILE.000007.gz.unfinished  is being written; whoever starts next removes it
//! FILE.000007.gz             is whole: it was synced, and then renamed
//! ```
//!
//! A line is in one of them, whenever the process ends: what is there both plain and compressed is so for the moment between
//! the renaming and the removal, and whoever starts next removes the plain one.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, SystemTime},
};

use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};
use thiserror::Error;

use super::line::{self, Phase};

/// When a file is finished, and how many that are finished are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// How many octets it has then; it has some lines more where they are written together. None where it is not by size.
    pub octets: Option<u64>,
    /// How old it is then, counted from its beginning. None where it is not by age.
    pub age: Option<Duration>,
    /// How many that are finished are kept.
    pub keep: usize,
}

/// When a line was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// So lately that what it is of can be held.
    Lately,
    /// Before that.
    LongAgo,
}

/// Why there is no flow log.
#[derive(Debug, Error)]
pub enum FlowLogError {
    /// A file is not to be had.
    #[error("cannot keep a flow log in {}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// Somebody else writes there.
    #[error("{} is in use by another process; each collector needs a flow log of its own", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It is something else.
    #[error(
        "{} is there already, and is no flow log: its first line is not one of connections or requests; name another file, \
         or move it away",
        path.display()
    )]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
}

/// Something that was met when it was opened, for the log.
pub(super) type Remark = String;

/// A file that lines are appended to.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    /// A pipe or a terminal has no end to be cut off, and no files beside it.
    is_regular: bool,
    /// How many octets are good.
    length: u64,
    /// When it was begun.
    began: SystemTime,
    /// Whether a line could be there half, which could not be cut off.
    is_torn: bool,
    rotation: Rotation,
    /// The number of the file that is finished next.
    number: u64,
    compressing: Option<Compressing>,
    /// When what is left to compress or to remove is seen to, where something is.
    tidy_after: Option<SystemTime>,
}

/// When what could not be removed or compressed is tried again.
const TIDY_AGAIN: Duration = Duration::from_secs(60);

/// A file that is being compressed.
#[derive(Debug)]
struct Compressing {
    thread: JoinHandle<io::Result<()>>,
    is_over: Arc<AtomicBool>,
}

impl LogFile {
    /// Opens a file, which is made where there is none. A line that is there half is cut off.
    pub(super) fn open(path: &Path, rotation: Rotation) -> Result<(Self, Vec<Remark>), FlowLogError> {
        let failed = |error| FlowLogError::File { path: path.to_owned(), error };
        let file = opened(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        let mut remarks = Vec::new();
        let mut opened = Self {
            path: path.to_owned(),
            file,
            is_regular: metadata.is_file(),
            length: metadata.len(),
            began: metadata.created().or_else(|_| metadata.modified()).map_err(failed)?,
            is_torn: false,
            rotation,
            number: 1,
            compressing: None,
            tidy_after: None,
        };
        if !opened.is_regular {
            return Ok((opened, remarks));
        }
        match opened.file.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(FlowLogError::InUse { path: path.to_owned() }),
            // Not every file system has locks.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        let mut first = Vec::new();
        let mut reader = BufReader::new(File::open(path).map_err(failed)?).take(1 << 20);
        reader.read_until(b'\n', &mut first).map_err(failed)?;
        if first.ends_with(b"\n") && line::read(first.trim_ascii_end()).is_none() {
            return Err(FlowLogError::NotOurs { path: path.to_owned() });
        }
        let whole = length_of_whole_lines(path, opened.length).map_err(failed)?;
        if whole < opened.length {
            if whole == 0 && !first.starts_with(b"{\"") {
                return Err(FlowLogError::NotOurs { path: path.to_owned() });
            }
            opened.file.set_len(whole).map_err(failed)?;
            let torn = opened.length - whole;
            remarks.push(format!("the last line was torn; its {torn} octets were cut off"));
            opened.length = whole;
        }
        for finished in opened.finished().map_err(failed)? {
            opened.number = opened.number.max(finished.number + 1);
        }
        // What cannot be removed or compressed can wait.
        opened.tidy_after = Some(SystemTime::UNIX_EPOCH);
        Ok((opened, remarks))
    }

    /// Gives what the lines of all files say that were written after that time, with the keys; with `has_all` those of the
    /// others, too. Of one that is damaged it gives those before the damage, and remarks on it.
    pub(super) fn keys(
        &self,
        since: SystemTime,
        has_all: bool,
        mut give: impl FnMut(Written, Phase, &str),
    ) -> io::Result<Vec<Remark>> {
        let mut remarks = Vec::new();
        if !self.is_regular {
            return Ok(remarks);
        }
        let finished = self.finished()?.into_iter().map(|file| file.path);
        for path in finished.chain([self.path.clone()]) {
            let is_old = fs::metadata(&path)?.modified()? < since;
            if is_old && !has_all {
                continue;
            }
            let written = if is_old { Written::LongAgo } else { Written::Lately };
            let read = each_line(&path, |line| {
                if let Some((phase, key)) = line::read(line) {
                    give(written, phase, &key);
                }
            });
            if let Err(error) = read {
                remarks.push(format!(
                    "{} cannot be read to its end: {error}; what is in the rest of it can be logged twice",
                    path.display()
                ));
            }
        }
        Ok(remarks)
    }

    /// The last line of all, without its end, in whichever file that is.
    pub(super) fn last_line(&self) -> io::Result<Option<Vec<u8>>> {
        if !self.is_regular {
            return Ok(None);
        }
        let finished = self.finished()?.into_iter().map(|file| file.path);
        let latest_first = finished.chain([self.path.clone()]).collect::<Vec<_>>().into_iter().rev();
        for path in latest_first {
            let mut last = None;
            each_line(&path, |line| last = Some(line.to_vec()))?;
            if last.is_some() {
                return Ok(last);
            }
        }
        Ok(None)
    }

    /// Appends whole lines, all or none.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.is_regular && self.was_moved() {
            self.begin_anew()?;
        }
        let written = match self.is_torn {
            // What is there half ends, so that it spoils no other.
            true => self.file.write_all(b"\n").and_then(|()| self.file.write_all(lines)),
            false => self.file.write_all(lines),
        };
        match &written {
            Ok(()) => {
                self.length += lines.len() as u64 + u64::from(self.is_torn);
                self.is_torn = false;
            }
            Err(_) => self.is_torn = !self.is_regular || self.file.set_len(self.length).is_err(),
        }
        written
    }

    /// Has all that was appended be on disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        if self.is_regular { self.file.sync_data() } else { Ok(()) }
    }

    /// Octets that can be appended before it is full.
    pub(super) fn room(&self) -> u64 {
        match self.rotation.octets {
            Some(octets) if self.is_regular => octets.saturating_sub(self.length),
            _ => u64::MAX,
        }
    }

    /// Finishes the file where it is full or old, and begins another. Only the compression goes on meanwhile.
    pub(super) fn rotate(&mut self, now: SystemTime) -> io::Result<()> {
        if !self.is_regular {
            return Ok(());
        }
        let is_old = |age| now.duration_since(self.began).is_ok_and(|old| old >= age);
        let is_due = self.length > 0 && (self.room() == 0 || self.rotation.age.is_some_and(is_old));
        if is_due && !self.was_moved() {
            self.file.sync_data()?;
            // Numbers only rise, so that no other file is there.
            fs::rename(&self.path, self.plain(self.number))?;
            self.number += 1;
            self.begin_anew()?;
        }
        let is_compressed = self.compressing.as_ref().is_some_and(|it| it.thread.is_finished());
        if is_due || is_compressed || self.tidy_after.is_some_and(|after| now >= after) {
            self.tidy(now)?;
        }
        Ok(())
    }

    /// Waits until nothing is being compressed.
    #[cfg(test)]
    pub(super) fn settle(&mut self) -> io::Result<()> {
        while self.compressing.is_some() {
            while self.compressing.as_ref().is_some_and(|it| !it.thread.is_finished()) {
                std::thread::yield_now();
            }
            self.tidy(SystemTime::UNIX_EPOCH)?;
        }
        Ok(())
    }

    fn begin_anew(&mut self) -> io::Result<()> {
        self.file = opened(&self.path)?;
        // Whoever else has it now cannot be helped.
        let _ = self.file.try_lock();
        let metadata = self.file.metadata()?;
        (self.length, self.is_torn) = (metadata.len(), false);
        self.began = metadata.created().or_else(|_| metadata.modified())?;
        folder_of(&self.path).and_then(|folder| File::open(folder)?.sync_all())
    }

    /// Whether somebody else renamed or removed it: `logrotate` does so.
    fn was_moved(&self) -> bool {
        match (fs::metadata(&self.path), self.file.metadata()) {
            (Ok(there), Ok(ours)) => (there.dev(), there.ino()) != (ours.dev(), ours.ino()),
            (Err(error), _) => error.kind() == io::ErrorKind::NotFound,
            _ => false,
        }
    }

    /// Removes what is left of what was interrupted, and what is more than is to be kept, and begins to compress what is not.
    fn tidy(&mut self, now: SystemTime) -> io::Result<()> {
        if self.compressing.as_ref().is_some_and(|it| !it.thread.is_finished()) {
            return Ok(());
        }
        // Where something goes wrong on the way.
        self.tidy_after = Some(now + TIDY_AGAIN);
        if let Some(done) = self.compressing.take() {
            done.thread.join().map_err(|_| io::Error::other("compressing panicked"))??;
        }
        let finished = self.finished()?;
        let surplus = finished.len().saturating_sub(self.rotation.keep);
        for old in &finished[..surplus] {
            fs::remove_file(&old.path)?;
        }
        let Some(next) = finished[surplus..].iter().find(|file| !file.is_compressed) else {
            self.tidy_after = None;
            return Ok(());
        };
        let (plain, is_over) = (next.path.clone(), Arc::new(AtomicBool::new(false)));
        let ended = Arc::clone(&is_over);
        let thread = std::thread::Builder::new()
            .name("flow-log-gzip".to_owned())
            .spawn(move || compress(&plain, &ended))?;
        self.compressing = Some(Compressing { thread, is_over });
        self.tidy_after = None;
        Ok(())
    }

    /// The files that are finished, the oldest first. Removes what is there twice, or was not finished.
    fn finished(&self) -> io::Result<Vec<Finished>> {
        let mut files: Vec<Finished> = Vec::new();
        let is_compressing = self.compressing.is_some();
        let Some(name) = self.path.file_name().and_then(|name| name.to_str()) else { return Ok(files) };
        for entry in fs::read_dir(folder_of(&self.path)?)? {
            let path = entry?.path();
            let its_name = path.file_name().and_then(|name| name.to_str());
            let Some(rest) = its_name.and_then(|its| its.strip_prefix(name)?.strip_prefix('.')) else {
                continue;
            };
            let (number, end) = rest.split_once('.').unwrap_or((rest, ""));
            let Some(number) = number_of(number) else { continue };
            match end {
                "" | "gz" => files.push(Finished { number, is_compressed: end == "gz", path }),
                "gz.unfinished" if !is_compressing => fs::remove_file(&path)?,
                _ => {}
            }
        }
        files.sort_by_key(|file| (file.number, !file.is_compressed));
        let mut kept: Vec<Finished> = Vec::new();
        for file in files {
            match kept.last() {
                Some(last) if last.number == file.number && !is_compressing => fs::remove_file(&file.path)?,
                Some(last) if last.number == file.number => {}
                _ => kept.push(file),
            }
        }
        Ok(kept)
    }

    fn plain(&self, number: u64) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(format!(".{number:06}"));
        path.into()
    }
}

impl Drop for LogFile {
    fn drop(&mut self) {
        if let Some(compressing) = self.compressing.take() {
            compressing.is_over.store(true, Ordering::Relaxed);
            let _ = compressing.thread.join();
        }
    }
}

/// A file that nothing is appended to any more.
#[derive(Debug)]
struct Finished {
    number: u64,
    is_compressed: bool,
    path: PathBuf,
}

fn opened(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

fn folder_of(path: &Path) -> io::Result<&Path> {
    match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Ok(Path::new(".")),
        Some(folder) => Ok(folder),
        None => Err(io::Error::new(io::ErrorKind::InvalidInput, "it has no folder")),
    }
}

/// The number in the name of a file that is finished.
fn number_of(text: &str) -> Option<u64> {
    let is_one = text.len() >= 6 && text.bytes().all(|letter| letter.is_ascii_digit());
    text.parse().ok().filter(|_| is_one)
}

/// Writes a file compressed beside it, and removes it then. Gives up when it is over, and leaves it as it is.
fn compress(plain: &Path, is_over: &AtomicBool) -> io::Result<()> {
    let beside = |end: &str| {
        let mut path = plain.as_os_str().to_owned();
        path.push(end);
        PathBuf::from(path)
    };
    let unfinished = beside(".gz.unfinished");
    let written = write_compressed(plain, &unfinished, is_over);
    if !matches!(written, Ok(true)) {
        // Where the disk is full, it is not to stay so for this.
        let _ = fs::remove_file(&unfinished);
        return written.map(drop);
    }
    fs::rename(&unfinished, beside(".gz"))?;
    File::open(folder_of(plain)?)?.sync_all()?;
    fs::remove_file(plain)
}

/// Answers whether that went to its end.
fn write_compressed(plain: &Path, unfinished: &Path, is_over: &AtomicBool) -> io::Result<bool> {
    let mut from = File::open(plain)?;
    let mut encoder = GzEncoder::new(File::create(unfinished)?, Compression::default());
    let mut buffer = vec![0; 256 << 10];
    loop {
        if is_over.load(Ordering::Relaxed) {
            return Ok(false);
        }
        match from.read(&mut buffer)? {
            0 => break,
            read => encoder.write_all(&buffer[..read])?,
        }
    }
    encoder.finish()?.sync_all()?;
    Ok(true)
}

/// Gives each whole line of a file, without its end.
fn each_line(path: &Path, mut give: impl FnMut(&[u8])) -> io::Result<()> {
    let file = File::open(path)?;
    let is_compressed = path.extension().is_some_and(|end| end == "gz");
    let reader: Box<dyn Read> =
        if is_compressed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    let mut reader = BufReader::with_capacity(256 << 10, reader);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if let Some(line) = line.strip_suffix(b"\n") {
            give(line);
        }
    }
}

/// How many octets of a file are lines that have their end.
fn length_of_whole_lines(path: &Path, length: u64) -> io::Result<u64> {
    use io::{Seek, SeekFrom};
    let mut file = File::open(path)?;
    let mut end = length;
    let mut block = vec![0; 64 << 10];
    while end > 0 {
        let start = end.saturating_sub(block.len() as u64);
        let part = &mut block[..usize::try_from(end - start).unwrap_or(0)];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(part)?;
        if let Some(at) = part.iter().rposition(|octet| *octet == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}
