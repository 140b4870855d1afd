//! `--capture`: what a router sends, written as it comes, to be replayed.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use thiserror::Error;
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    task::{JoinHandle, spawn_blocking},
};
use tracing::{error, info, warn};
use vanflow_proto::{
    Timestamp,
    capture::{self, Captured},
    router::Tap,
};

/// Messages that may wait for the disk.
const WAITING: usize = 4096;

/// A file that a capture cannot be written to.
#[derive(Debug, Error)]
#[error("cannot write a capture to {path}: {reason}")]
pub struct CaptureError {
    path: PathBuf,
    reason: io::Error,
}

/// A capture that is begun.
pub(crate) struct Recorder {
    path: PathBuf,
    file: File,
}

impl Recorder {
    /// Makes the file; what exists is never overwritten.
    pub(crate) fn create(path: &Path) -> Result<Self, CaptureError> {
        match OpenOptions::new().write(true).create_new(true).open(path) {
            Ok(file) => Ok(Self { path: path.to_owned(), file }),
            Err(reason) => Err(CaptureError { path: path.to_owned(), reason }),
        }
    }

    /// What sees the messages, of a capture that began then, and the task that writes them. It ends when nobody can
    /// see messages any more.
    ///
    /// The disk never holds up collecting: messages that come when too many wait for it are left out, and it is said.
    pub(crate) fn tap(self, began: Timestamp) -> (Tap, JoinHandle<()>) {
        let (sender, messages) = mpsc::channel(WAITING);
        let left_out = AtomicU64::new(0);
        let tap = move |now: Timestamp, link: &str, message: &[u8]| {
            let micros = now.micros_since(began);
            let message = Captured { micros, link: link.to_owned(), message: message.to_owned() };
            // One that is closed has said why.
            if let Err(TrySendError::Full(_)) = sender.try_send(message) {
                let left_out = left_out.fetch_add(1, Ordering::Relaxed) + 1;
                if left_out.is_power_of_two() {
                    warn!("the capture's disk is too slow: {left_out} messages are not in it");
                }
            }
        };
        (Arc::new(tap), spawn_blocking(|| self.record(messages)))
    }

    /// Writes messages until there are no more, or until that fails: collecting goes on without a capture. Blocks.
    fn record(self, messages: mpsc::Receiver<Captured>) {
        let path = self.path.display();
        match write(self.file, messages) {
            Ok(written) => info!("captured {written} messages to {path}"),
            Err(stopped) => error!("{stopped}: the capture {path} ends there, collecting goes on"),
        }
    }
}

#[derive(Debug, Error)]
#[error("cannot write message {number} of the capture: {reason}")]
struct Stopped {
    number: u64,
    reason: io::Error,
}

/// Answers how many messages were written.
fn write(file: File, mut messages: mpsc::Receiver<Captured>) -> Result<u64, Stopped> {
    let mut file = BufWriter::new(file);
    let mut written = 0;
    while let Some(first) = messages.blocking_recv() {
        let mut next = Some(first);
        while let Some(message) = next {
            written += 1;
            capture::write(&mut file, message.micros, &message.link, &message.message)
                .map_err(|reason| Stopped { number: written, reason })?;
            next = messages.try_recv().ok();
        }
        // Nothing more came for now: whoever is killed next leaves whole lines behind.
        file.flush().map_err(|reason| Stopped { number: written, reason })?;
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(micros: u64) -> Captured {
        Captured { micros, link: "mc/sfe.all".into(), message: vec![0, 0x53] }
    }

    fn messages(count: u64) -> mpsc::Receiver<Captured> {
        let (sender, receiver) = mpsc::channel(64);
        for micros in 0..count {
            sender.try_send(message(micros)).expect("there is room");
        }
        receiver
    }

    #[tokio::test]
    async fn what_is_captured_can_be_replayed() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("network.jsonl");
        let began = Timestamp::from_micros(1_795_390_000_000_000);
        let (tap, writing) = Recorder::create(&path).expect("creates").tap(began);
        for micros in 0..3 {
            tap(began.plus_micros(micros), "mc/sfe.all", &[0, 0x53]);
        }
        drop(tap);
        writing.await.expect("no panic");
        let written = std::fs::read(&path).expect("reads");
        let read: Vec<_> = capture::read(&written[..]).map(|message| message.expect("reads")).collect();
        assert_eq!(read, [message(0), message(1), message(2)]);
    }

    #[test]
    fn a_file_that_exists_is_not_overwritten() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let error = Recorder::create(file.path()).map(drop).expect_err("it exists").to_string();
        assert_eq!(
            error,
            format!("cannot write a capture to {}: File exists (os error 17)", file.path().display())
        );
    }

    #[test]
    fn a_full_disk_ends_the_capture_and_says_where() {
        // faults 23
        let full = OpenOptions::new().write(true).open("/dev/full").expect("Linux has one");
        let error = write(full, messages(1)).expect_err("it is full").to_string();
        assert_eq!(error, "cannot write message 1 of the capture: No space left on device (os error 28)");
    }
}
