//! What changes the disk. All of it goes through here, so that tests can have any of it fail.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

/// The disk; in tests one that can fail.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    #[cfg(test)]
    pub(super) faults: Option<std::sync::Arc<Faults>>,
}

/// When a disk fails.
#[cfg(test)]
#[derive(Debug)]
pub(super) struct Faults {
    /// How many steps were taken.
    pub(super) taken: std::sync::atomic::AtomicUsize,
    /// Which of them fails, the first being 0.
    pub(super) at: usize,
    /// Whether all after it fail, too, as if the process had been killed there.
    pub(super) for_good: bool,
}

/// A file that is written.
#[derive(Debug)]
pub(super) struct Output {
    file: File,
    disk: Disk,
}

impl Disk {
    #[cfg(not(test))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "tests have it fail")]
    fn step(&self) -> io::Result<()> {
        Ok(())
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "tests have one")]
    fn is_simulated(&self) -> bool {
        false
    }

    /// Whether no machine stops: then nothing has to wait for the disk.
    #[cfg(test)]
    fn is_simulated(&self) -> bool {
        self.faults.is_some()
    }

    #[cfg(test)]
    fn step(&self) -> io::Result<()> {
        let Some(faults) = &self.faults else { return Ok(()) };
        let step = faults.taken.fetch_add(1, Ordering::Relaxed);
        match step == faults.at || faults.for_good && step > faults.at {
            true => Err(io::Error::other("the disk fails")),
            false => Ok(()),
        }
    }

    pub(super) fn create_folder(&self, path: &Path) -> io::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        self.step()?;
        fs::create_dir_all(path)
    }

    /// A file that is written from its beginning.
    pub(super) fn create(&self, path: &Path) -> io::Result<Output> {
        self.step()?;
        Ok(Output { file: File::create(path)?, disk: self.clone() })
    }

    /// A file that is appended to, and that there was none of.
    pub(super) fn create_new(&self, path: &Path) -> io::Result<Output> {
        self.step()?;
        let file = OpenOptions::new().append(true).create_new(true).open(path)?;
        Ok(Output { file, disk: self.clone() })
    }

    /// Gives a file its name, for good.
    pub(super) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        fs::rename(from, to)?;
        self.step()?;
        if self.is_simulated() {
            return Ok(());
        }
        File::open(to.parent().unwrap_or(to))?.sync_all()
    }

    pub(super) fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        fs::remove_file(path)
    }

    /// Removes a folder if it is empty.
    pub(super) fn remove_folder(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        fs::remove_dir(path)
    }
}

impl Output {
    pub(super) fn sync(&self) -> io::Result<()> {
        self.disk.step()?;
        if self.disk.is_simulated() {
            return Ok(());
        }
        self.file.sync_data()
    }

    pub(super) fn cut(&self, length: u64) -> io::Result<()> {
        self.disk.step()?;
        self.file.set_len(length)
    }

    pub(super) fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}

impl Write for Output {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if let Err(error) = self.disk.step() {
            // As much of it as a crash can leave.
            self.file.write_all(&octets[..octets.len() / 2])?;
            return Err(error);
        }
        self.file.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A file that is read, and is removed when it is of no use any more and nobody reads it.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) path: PathBuf,
    disk: Disk,
    is_of_no_use: AtomicBool,
}

impl Kept {
    pub(super) fn new(path: PathBuf, disk: Disk) -> Self {
        Self { path, disk, is_of_no_use: AtomicBool::new(false) }
    }

    /// Has it removed as soon as nobody reads it.
    pub(super) fn give_up(&self) {
        self.is_of_no_use.store(true, Ordering::Relaxed);
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if self.is_of_no_use.load(Ordering::Relaxed) && self.disk.remove_file(&self.path).is_ok() {
            // Only where they are empty.
            let folders = self.path.ancestors().skip(1).take(2);
            folders.for_each(|folder| drop(self.disk.remove_folder(folder)));
        }
    }
}
