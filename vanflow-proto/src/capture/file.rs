//! Captures in files, as they are or compressed.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    os::unix::fs::FileTypeExt,
    path::Path,
};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::{
    BlockDecodingStrategy, FrameDecoder,
    errors::{FrameDecoderError, ReadFrameHeaderError},
};
use thiserror::Error;

use super::{CaptureError, Captured};
use crate::{Body, Message, Timestamp};

/// How far into a capture the first HEARTBEAT is looked for.
const HEARTBEAT_WITHIN: usize = 4096;

/// A buffer for what is read of a file.
const BUFFER: usize = 256 << 10;

/// Why a file is no capture, or cannot be read; which file it is, the caller knows.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct OpenError(#[from] OpenErrorReason);

#[derive(Debug, Error)]
enum OpenErrorReason {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it is {0}: expected a file of JSON lines, as it is or compressed with gzip or Zstandard")]
    Kind(&'static str),
    #[error("it is empty: expected a capture, which has a JSON object on each line")]
    Empty,
    #[error("it is no capture: {0}")]
    Start(CaptureError),
}

/// A capture in a file: what was received, in the order in which it was.
pub struct Capture {
    lines: Box<dyn Iterator<Item = Result<Captured, CaptureError>> + Send>,
    /// What was read to find out when it began.
    ahead: VecDeque<Result<Captured, CaptureError>>,
    began: Option<Timestamp>,
}

impl std::fmt::Debug for Capture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Capture").field("began", &self.began).finish_non_exhaustive()
    }
}

impl Capture {
    /// Opens a capture: a file of JSON lines, as it is or compressed with gzip or Zstandard, which its first octets say.
    ///
    /// # Errors
    ///
    /// Where it cannot be opened, is no file, or its first line is none of a capture.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Ok(Self::try_open(path)?)
    }

    fn try_open(path: &Path) -> Result<Self, OpenErrorReason> {
        // A FIFO would not even open until somebody writes to it.
        if let Some(kind) = unfit(fs::metadata(path)?.file_type()) {
            return Err(OpenErrorReason::Kind(kind));
        }
        let mut file = BufReader::with_capacity(BUFFER, File::open(path)?);
        let input: Box<dyn BufRead + Send> = match file.fill_buf()? {
            [0x1f, 0x8b, ..] => Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(file))),
            // A frame, or one to be skipped.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
                Box::new(BufReader::with_capacity(BUFFER, Frames::new(file)))
            }
            _ => Box::new(file),
        };
        let mut capture = Self { lines: Box::new(super::read(input)), ahead: VecDeque::new(), began: None };
        match capture.lines.next() {
            None => return Err(OpenErrorReason::Empty),
            Some(Err(error)) => return Err(OpenErrorReason::Start(error)),
            Some(first) => capture.look_at(first),
        }
        while capture.began.is_none()
            && capture.ahead.len() < HEARTBEAT_WITHIN
            && let Some(next) = capture.lines.next()
        {
            capture.look_at(next);
        }
        Ok(capture)
    }

    fn look_at(&mut self, read: Result<Captured, CaptureError>) {
        if let Ok(captured) = &read
            && let Ok(Message { body: Body::Heartbeat(heartbeat), .. }) = Message::decode(&captured.message)
        {
            self.began = Some(heartbeat.now.minus_micros(captured.micros));
        }
        self.ahead.push_back(read);
    }

    /// What the clock showed when the capture began, by the first HEARTBEAT in it, if there is one near its start.
    pub fn began(&self) -> Option<Timestamp> {
        self.began
    }
}

impl Iterator for Capture {
    type Item = Result<Captured, CaptureError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.ahead.pop_front().or_else(|| self.lines.next())
    }
}

/// What is there in place of a file.
fn unfit(kind: fs::FileType) -> Option<&'static str> {
    if kind.is_dir() {
        Some("a directory")
    } else if kind.is_fifo() {
        Some("a FIFO")
    } else if kind.is_socket() {
        Some("a socket")
    } else if kind.is_char_device() || kind.is_block_device() {
        Some("a device")
    } else {
        None
    }
}

/// What the frames of a file that is compressed with Zstandard come to, one after the other.
struct Frames<R> {
    input: R,
    decoder: FrameDecoder,
    is_within: bool,
}

impl<R> Frames<R> {
    fn new(input: R) -> Self {
        Self { input, decoder: FrameDecoder::new(), is_within: false }
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if self.is_within {
                while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                    self.decoder
                        .decode_blocks(&mut self.input, BlockDecodingStrategy::UptoBlocks(1))
                        .map_err(invalid)?;
                }
                match self.decoder.read(buffer)? {
                    0 => self.is_within = false,
                    read => return Ok(read),
                }
            }
            if self.input.fill_buf()?.is_empty() {
                return Ok(0);
            }
            match self.decoder.init(&mut self.input) {
                Ok(()) => self.is_within = true,
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    io::copy(&mut (&mut self.input).take(length.into()), &mut io::sink())?;
                }
                Err(error) => return Err(invalid(error)),
            }
        }
    }
}

fn invalid(error: FrameDecoderError) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("what is compressed with Zstandard is damaged: {error}"),
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;
    use crate::{Dialect, Encoder, Heartbeat};

    const THEN: u64 = 1_795_347_888_000_000;

    fn message(micros: u64) -> Captured {
        let beat = Heartbeat { id: "a:0", now: Timestamp::from_micros(THEN + micros) };
        Captured {
            micros,
            link: "mc/sfe.a:0".into(),
            message: Encoder::new(Dialect::Router).heartbeat("mc/sfe.a:0", 1, &beat),
        }
    }

    fn lines(micros: impl IntoIterator<Item = u64>) -> Vec<u8> {
        let mut lines = Vec::new();
        for Captured { micros, link, message } in micros.into_iter().map(message) {
            super::super::write(&mut lines, micros, &link, &message).expect("writes");
        }
        lines
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("writes");
        encoder.finish().expect("finishes")
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        compress_to_vec(bytes, CompressionLevel::Fastest)
    }

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(bytes).expect("writes");
        file
    }

    fn error(path: &Path) -> String {
        Capture::open(path).expect_err("it is no capture").to_string()
    }

    #[test]
    fn a_compressed_capture_is_read_as_it_was_written() {
        let (first, second) = (lines(0..3000), lines(3000..3002));
        let whole = [&first[..], &second].concat();
        let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
        for bytes in [
            whole.clone(),
            gzip(&whole),
            zstd(&whole),
            // What was appended to a compressed file is part of it.
            [gzip(&first), gzip(&second)].concat(),
            [&skipped[..], &zstd(&first), &skipped, &zstd(&second), &skipped].concat(),
        ] {
            let capture = Capture::open(file(&bytes).path()).expect("opens");
            assert_eq!(capture.began(), Some(Timestamp::from_micros(THEN)));
            let read: Vec<_> = capture.map(|read| read.expect("it reads")).collect();
            assert!(read.into_iter().eq((0..3002).map(message)));
        }
    }

    #[test]
    fn what_a_compressed_file_has_before_it_is_torn_is_read() {
        let bytes = lines(0..100_000);
        for compressed in [gzip(&bytes), zstd(&bytes)] {
            let torn = file(&compressed[..compressed.len() / 2]);
            let mut read: Vec<_> = Capture::open(torn.path()).expect("opens").collect();
            let last = read.pop().expect("an error").expect_err("it is torn");
            assert!(last.is_last(), "{last}");
            assert!(read.len() > 1000, "{}", read.len());
            assert!(
                read.into_iter()
                    .enumerate()
                    .all(|(micros, read)| read.expect("it reads").micros == micros as u64)
            );
        }
    }

    #[test]
    fn a_file_that_is_no_capture_is_refused_at_once() {
        let zeros = file(&[0; 100]);
        assert_eq!(
            error(zeros.path()),
            "it is no capture: line 1 of the capture: expected {\"us\": …, \"link\": …, \"message\": …}: expected \
             value at line 1 column 1"
        );
        assert_eq!(
            error(file(&[]).path()),
            "it is empty: expected a capture, which has a JSON object on each line"
        );
        let damaged = [&[0x28, 0xb5, 0x2f, 0xfd][..], &[0xff; 40]].concat();
        assert!(error(file(&damaged).path()).contains("what is compressed with Zstandard is damaged: "));
        let directory = tempfile::tempdir().expect("a directory");
        let expected = "expected a file of JSON lines, as it is or compressed with gzip or Zstandard";
        assert_eq!(error(directory.path()), format!("it is a directory: {expected}"));
        assert_eq!(error(Path::new("/dev/zero")), format!("it is a device: {expected}"));
        let fifo = directory.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status().expect("every system has mkfifo");
        assert!(made.success());
        assert_eq!(error(&fifo), format!("it is a FIFO: {expected}"));
        assert_eq!(error(&directory.path().join("none")), "No such file or directory (os error 2)");
    }
}
