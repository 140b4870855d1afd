//! The file that records outlive the process in: a log of frames that is only ever appended to, or replaced whole.
//!
//! ```text
//! file  = "vanflow-state\n" version:u16 frame*
//! frame = length:u32 crc32:u32 payload           length and crc32 are those of the payload
//! payload = flags:u8 ended:u64 heard:u64 type:text source:text message
//! text  = length:u16 octets
//! ```
//!
//! Numbers are little-endian. A payload is what one source reported: `message` is a RECORD message of VAN-Flow with
//! records as they are merged, whole, all of them live or all ended at the same time. What stands later in the file
//! takes the place of what stands earlier.
//!
//! A process that is killed while it writes leaves a torn frame at the end of the file. It is cut off. Anything else
//! that is wrong is damage: what comes next is where the damaged frame says that it ends, or else is looked for octet by
//! octet, so that nothing is lost but what is damaged.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufReader, Read, Seek, SeekFrom, Write},
    path::Path,
};

use thiserror::Error;
use vanflow_proto::{SourceType, Timestamp};

const MAGIC: &[u8; 14] = b"vanflow-state\n";
/// The version of the format. A file of another version is set aside, not read.
const VERSION: u16 = 1;
/// Where the first frame starts, in octets.
pub(crate) const HEADER: u64 = 16;
const FRAME_HEADER: u64 = 8;
/// The longest payload there is, in octets.
const LONGEST: usize = 16 << 20;
/// The shortest frame: with names and a message of no octets.
const SHORTEST_FRAME: usize = FRAME_HEADER as usize + 1 + 8 + 8 + 2 + 2;
/// The longest name of a type of sources that a frame which is looked for can have.
const LONGEST_TYPE: u16 = 64;
/// How much is looked through at a time for the frame after damage, in octets.
const WINDOW: u64 = 1 << 20;

const ENDED: u8 = 1;
const PRESUMED: u8 = 2;

/// What one source reported, as it stands in the file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Entry<'a> {
    pub(crate) source: &'a str,
    pub(crate) source_type: SourceType<'a>,
    /// When the source was seen last, by our clock.
    pub(crate) last_heard: Timestamp,
    /// When the records ended by our clock, and whether that was presumed; `None` where they live.
    pub(crate) ended: Option<(Timestamp, bool)>,
    /// A RECORD message; empty where there is nothing but the source to report.
    pub(crate) message: &'a [u8],
}

/// Why a file cannot be read, or not to its end.
#[derive(Debug, Error)]
pub(crate) enum Fault {
    #[error("it is no state file of a collector")]
    Foreign,
    #[error("it is of version {0}, and this collector knows version {VERSION} only")]
    Version(u16),
    /// A frame at the end that was not written whole.
    #[error("the {0} octets at its end were not written whole")]
    Torn(u64),
    #[error("it is damaged at octet {0}")]
    Damaged(u64),
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Entry<'_> {
    /// Appends the entry as a frame.
    pub(crate) fn push_to(&self, frames: &mut Vec<u8>) {
        let start = frames.len();
        frames.extend_from_slice(&[0; FRAME_HEADER as usize]);
        let (ended, flags) = match self.ended {
            None => (Timestamp::default(), 0),
            Some((at, presumed)) => (at, if presumed { ENDED | PRESUMED } else { ENDED }),
        };
        frames.push(flags);
        frames.extend_from_slice(&ended.as_micros().to_le_bytes());
        frames.extend_from_slice(&self.last_heard.as_micros().to_le_bytes());
        for text in [self.source_type.name(), self.source] {
            // Longer names than that are nobody's.
            let text = &text[..text.floor_char_boundary(usize::from(u16::MAX))];
            let length = u16::try_from(text.len()).expect("it was cut to that length");
            frames.extend_from_slice(&length.to_le_bytes());
            frames.extend_from_slice(text.as_bytes());
        }
        frames.extend_from_slice(self.message);
        let payload = start + FRAME_HEADER as usize;
        let length = u32::try_from(frames.len() - payload).expect("messages are far shorter than 4 GiB");
        let checksum = crc32fast::hash(&frames[payload..]);
        frames[start..start + 4].copy_from_slice(&length.to_le_bytes());
        frames[start + 4..payload].copy_from_slice(&checksum.to_le_bytes());
    }

    pub(crate) fn read(payload: &[u8]) -> Option<Entry<'_>> {
        let (&flags, rest) = payload.split_first()?;
        let (ended, rest) = number(rest)?;
        let (heard, rest) = number(rest)?;
        let (source_type, rest) = text(rest)?;
        let (source, message) = text(rest)?;
        Some(Entry {
            source,
            source_type: SourceType::from_name(source_type),
            last_heard: Timestamp::from_micros(heard),
            ended: (flags & ENDED != 0).then_some((Timestamp::from_micros(ended), flags & PRESUMED != 0)),
            message,
        })
    }
}

fn number(octets: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = octets.split_first_chunk()?;
    Some((u64::from_le_bytes(*number), rest))
}

fn text(octets: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = octets.split_first_chunk()?;
    let (text, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

/// What of a file is damaged, and was passed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Damage {
    /// In how many places.
    pub(crate) places: u64,
    /// Octets there.
    pub(crate) octets: u64,
    /// Where the first of them is, in octets from the start of the file.
    pub(crate) first: u64,
}

/// Reads a file from its start, entry by entry.
pub(crate) struct Reader<R> {
    input: R,
    length: u64,
    /// Where the next frame starts.
    offset: u64,
    payload: Vec<u8>,
    damage: Damage,
}

impl Reader<BufReader<File>> {
    /// Reads `file` from its start.
    pub(crate) fn open(mut file: File) -> Result<Self, Fault> {
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(0))?;
        Self::new(BufReader::with_capacity(256 << 10, file), length)
    }
}

impl<R: Read + Seek> Reader<R> {
    /// Reads from the start of that many octets.
    pub(crate) fn new(mut input: R, length: u64) -> Result<Self, Fault> {
        let mut header = Vec::new();
        input.by_ref().take(HEADER).read_to_end(&mut header)?;
        let expected = header_octets();
        if header.len() < expected.len() {
            // Killed while it made the file.
            return match expected.starts_with(&header) {
                true => Err(Fault::Torn(length)),
                false => Err(Fault::Foreign),
            };
        }
        let mut reader =
            Self { input, length, offset: HEADER, payload: Vec::new(), damage: Damage::default() };
        match header.split_at(MAGIC.len()) {
            (magic, [low, high]) if magic == MAGIC => match u16::from_le_bytes([*low, *high]) {
                VERSION => {}
                other => return Err(Fault::Version(other)),
            },
            // What no other file has is a frame.
            _ => match reader.read_frame()? {
                Ok(_) => {
                    reader.damage = Damage { places: 1, octets: HEADER, first: 0 };
                    reader.input.seek(SeekFrom::Start(HEADER))?;
                }
                Err(_) => return Err(Fault::Foreign),
            },
        }
        Ok(reader)
    }

    /// How long the file is, in octets.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Where the next entry starts, in octets from the start of the file.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// What was passed over so far.
    pub(crate) fn damage(&self) -> Damage {
        self.damage
    }

    /// The next entry, or `None` at the end. After a [`Fault`] there is nothing more to read.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn next(&mut self) -> Result<Option<Entry<'_>>, Fault> {
        Ok(self.next_payload()?.and_then(Entry::read))
    }

    /// The same, as it stands there.
    pub(crate) fn next_payload(&mut self) -> Result<Option<&[u8]>, Fault> {
        if self.offset >= self.length {
            return Ok(None);
        }
        let frame = match self.read_frame()? {
            Ok(frame) => frame,
            Err(claimed) => self.pass_over_damage(claimed)?,
        };
        self.offset += frame;
        Ok(Some(&self.payload))
    }

    /// Reads the frame that starts at the offset, where the input stands. Answers how long it is; where there is none
    /// that is whole, how long it claims to be, if that can be.
    fn read_frame(&mut self) -> io::Result<Result<u64, Option<u64>>> {
        let left = self.length.saturating_sub(self.offset);
        if left < FRAME_HEADER {
            return Ok(Err(None));
        }
        let mut header = [0; FRAME_HEADER as usize];
        self.input.read_exact(&mut header)?;
        let [a, b, c, d, checksum @ ..] = header;
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        let frame = FRAME_HEADER + length as u64;
        if length == 0 || length > LONGEST || frame > left {
            return Ok(Err(None));
        }
        self.payload.resize(length, 0);
        self.input.read_exact(&mut self.payload)?;
        let is_whole = crc32fast::hash(&self.payload) == u32::from_le_bytes(checksum)
            && Entry::read(&self.payload).is_some();
        Ok(if is_whole { Ok(frame) } else { Err(Some(frame)) })
    }

    /// Finds the first whole frame after one that is not, and reads it. Answers how long it is.
    ///
    /// Where there is none up to the end, the end is torn: a power cut can leave anything there, zeros for one, but no
    /// more than can have been on its way to the disk.
    fn pass_over_damage(&mut self, claimed: Option<u64>) -> Result<u64, Fault> {
        let start = self.offset;
        let mut found = None;
        if let Some(claimed) = claimed {
            found = self.read_frame_at(start + claimed)?;
        }
        if found.is_none() {
            found = self.look_for_frame(start + 1)?;
        }
        let Some(frame) = found else {
            self.offset = start;
            let left = self.length - start;
            let is_torn = left <= LONGEST as u64 + FRAME_HEADER;
            return Err(if is_torn { Fault::Torn(left) } else { Fault::Damaged(start) });
        };
        if self.damage.places == 0 {
            self.damage.first = start;
        }
        self.damage.places += 1;
        self.damage.octets += self.offset - start;
        Ok(frame)
    }

    fn read_frame_at(&mut self, offset: u64) -> io::Result<Option<u64>> {
        self.offset = offset;
        self.input.seek(SeekFrom::Start(offset))?;
        Ok(self.read_frame()?.ok())
    }

    /// Looks for a whole frame from there on. Only what is made like one is read and checked.
    fn look_for_frame(&mut self, mut from: u64) -> io::Result<Option<u64>> {
        let mut window = Vec::new();
        loop {
            window.clear();
            self.input.seek(SeekFrom::Start(from))?;
            self.input.by_ref().take(WINDOW).read_to_end(&mut window)?;
            for (offset, octets) in (from..).zip(window.windows(SHORTEST_FRAME)) {
                if is_like_frame(octets)
                    && let Some(frame) = self.read_frame_at(offset)?
                {
                    return Ok(Some(frame));
                }
            }
            if window.len() < SHORTEST_FRAME {
                return Ok(None);
            }
            from += (window.len() - SHORTEST_FRAME + 1) as u64;
        }
    }
}

/// Whether octets can be the start of a frame.
fn is_like_frame(octets: &[u8]) -> bool {
    let number = |at: usize| u16::from_le_bytes([octets[at], octets[at + 1]]);
    let [a, b, c, d, ..] = *octets else { return false };
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    let payload = FRAME_HEADER as usize;
    (SHORTEST_FRAME - payload..=LONGEST).contains(&length)
        && octets[payload] <= ENDED | PRESUMED
        && number(payload + 17) <= LONGEST_TYPE
}

fn header_octets() -> [u8; HEADER as usize] {
    let mut header = [0; HEADER as usize];
    header[..MAGIC.len()].copy_from_slice(MAGIC);
    header[MAGIC.len()..].copy_from_slice(&VERSION.to_le_bytes());
    header
}

/// Appends to a file.
#[derive(Debug)]
pub(crate) struct Writer {
    file: File,
    /// How much of the file is good; what stands behind is overwritten.
    length: u64,
}

impl Writer {
    /// Makes a new file with nothing in it but its header.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
        let mut writer = Self { file, length: 0 };
        writer.append(&header_octets())?;
        Ok(writer)
    }

    /// Goes on with a file of which so many octets are good.
    pub(crate) fn resume(path: &Path, length: u64) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(length)?;
        Ok(Self { file, length })
    }

    /// A file on a full disk.
    #[cfg(test)]
    pub(crate) fn full(length: u64) -> Self {
        let file = OpenOptions::new().write(true).open("/dev/full").expect("Linux has one");
        Self { file, length }
    }

    /// How long the file is, in octets.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Appends octets, all or none: after an error the file is as it was, or has a torn end.
    pub(crate) fn append(&mut self, octets: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.length))?;
        if let Err(error) = self.file.write_all(octets) {
            // On a full disk, cutting the file works where writing does not.
            let _ = self.file.set_len(self.length);
            return Err(error);
        }
        self.length += octets.len() as u64;
        Ok(())
    }

    /// Has the disk take what was appended.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn entry<'a>(source: &'a str, message: &'a [u8]) -> Entry<'a> {
        Entry {
            source,
            source_type: SourceType::Router,
            last_heard: Timestamp::from_micros(7),
            ended: None,
            message,
        }
    }

    fn file(entries: &[Entry<'_>]) -> Vec<u8> {
        let mut octets = header_octets().to_vec();
        for entry in entries {
            entry.push_to(&mut octets);
        }
        octets
    }

    /// The messages that are read, and what is wrong then.
    fn read(octets: &[u8]) -> (Vec<Vec<u8>>, Option<String>) {
        let (messages, _, fault) = read_all(octets);
        (messages, fault)
    }

    fn read_all(octets: &[u8]) -> (Vec<Vec<u8>>, Damage, Option<String>) {
        let mut messages = Vec::new();
        let mut reader = match Reader::new(Cursor::new(octets), octets.len() as u64) {
            Ok(reader) => reader,
            Err(fault) => return (messages, Damage::default(), Some(fault.to_string())),
        };
        loop {
            match reader.next() {
                Ok(Some(entry)) => messages.push(entry.message.to_vec()),
                Ok(None) => return (messages, reader.damage(), None),
                Err(fault) => return (messages, reader.damage(), Some(fault.to_string())),
            }
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let entries = [
            entry("a:0", b"one"),
            Entry { ended: Some((Timestamp::from_micros(9), false)), ..entry("a:0", b"") },
            Entry { ended: Some((Timestamp::from_micros(9), true)), ..entry("b:0", b"two") },
            Entry { source_type: SourceType::Other("NEW"), ..entry("c", b"three") },
        ];
        let octets = file(&entries);
        let mut reader = Reader::new(Cursor::new(&octets[..]), octets.len() as u64).expect("a header");
        for entry in entries {
            assert_eq!(reader.next().expect("reads"), Some(entry));
        }
        assert_eq!(reader.next().expect("reads"), None);
        assert_eq!(reader.offset(), octets.len() as u64);
    }

    #[test]
    fn a_torn_end_costs_nothing_but_itself_wherever_it_is_torn() {
        // faults 22
        let octets = file(&[entry("a:0", b"one"), entry("a:0", b"two")]);
        let whole = file(&[entry("a:0", b"one")]).len();
        for length in 0..octets.len() {
            let (messages, fault) = read(&octets[..length]);
            let (expected, torn) = match length {
                _ if length == whole => (1, None),
                _ if length == HEADER as usize => (0, None),
                _ if length > whole => (1, Some(length - whole)),
                _ if length > HEADER as usize => (0, Some(length - HEADER as usize)),
                _ => (0, Some(length)),
            };
            assert_eq!(messages.len(), expected, "{length}");
            let torn = torn.map(|torn| format!("the {torn} octets at its end were not written whole"));
            assert_eq!(fault, torn, "{length}");
        }
    }

    #[test]
    fn zeros_at_the_end_are_a_torn_end() {
        let mut octets = file(&[entry("a:0", b"one")]);
        octets.extend([0; 4096]);
        let (messages, fault) = read(&octets);
        assert_eq!(messages, [b"one"]);
        assert_eq!(fault.as_deref(), Some("the 4096 octets at its end were not written whole"));
    }

    #[test]
    fn damage_costs_nothing_but_the_frame_that_it_is_in() {
        // faults 23, 34
        let entries = [entry("a:0", b"one"), entry("a:0", b"two"), entry("a:0", b"three")];
        let octets = file(&entries);
        let starts: Vec<_> = (0..=entries.len()).map(|count| file(&entries[..count]).len()).collect();
        for at in 0..octets.len() {
            let mut damaged = octets.clone();
            damaged[at] ^= 1;
            let (messages, damage, fault) = read_all(&damaged);
            if (MAGIC.len()..HEADER as usize).contains(&at) {
                assert!(fault.is_some_and(|fault| fault.starts_with("it is of version ")), "{at}");
                continue;
            }
            // None for the header, and else which frame.
            let frame = starts.iter().rposition(|start| *start <= at);
            let expected: Vec<_> = (0..)
                .zip(&entries)
                .filter(|(number, _)| Some(*number) != frame)
                .map(|(_, entry)| entry.message)
                .collect();
            assert_eq!(messages, expected, "{at}");
            let torn = (frame == Some(2)).then(|| octets.len() - starts[2]);
            assert_eq!(
                fault,
                torn.map(|torn| format!("the {torn} octets at its end were not written whole")),
                "{at}"
            );
            let (first, end) = match frame {
                None => (0, HEADER as usize),
                Some(frame) => (starts[frame], starts[frame + 1]),
            };
            let expected = Damage { places: 1, octets: (end - first) as u64, first: first as u64 };
            assert_eq!(damage, if torn.is_some() { Damage::default() } else { expected }, "{at}");
        }
    }

    #[test]
    fn what_is_damaged_up_to_the_end_is_told_from_a_torn_end_by_its_size() {
        let mut octets = file(&[entry("a:0", b"one")]);
        let start = octets.len();
        octets.resize(start + LONGEST + 9, 0xa5);
        assert_eq!(read(&octets).1, Some(format!("it is damaged at octet {start}")));
        octets.pop();
        assert_eq!(read(&octets).1, Some("the 16777224 octets at its end were not written whole".into()));
    }

    #[test]
    fn other_files_and_other_versions_are_named() {
        // faults 23
        assert_eq!(read(b"#!/bin/sh\nexit 0\n").1.as_deref(), Some("it is no state file of a collector"));
        assert_eq!(read(b"#!").1.as_deref(), Some("it is no state file of a collector"));
        let mut octets = file(&[]);
        octets[14] = 9;
        assert_eq!(
            read(&octets).1.as_deref(),
            Some("it is of version 9, and this collector knows version 1 only")
        );
    }

    #[test]
    fn a_file_goes_on_where_it_was_good() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("log");
        let mut frames = Vec::new();
        entry("a:0", b"one").push_to(&mut frames);
        let mut writer = Writer::create(&path).expect("creates");
        writer.append(&frames).expect("writes");
        let good = writer.length();
        writer.append(b"torn").expect("writes");
        drop(writer);

        let mut writer = Writer::resume(&path, good).expect("opens");
        writer.append(&frames).expect("writes");
        writer.sync().expect("syncs");
        let (messages, fault) = read(&std::fs::read(&path).expect("reads"));
        assert_eq!((messages.len(), fault), (2, None));
    }

    proptest! {
        #[test]
        fn no_octets_make_the_reader_panic(tail in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut octets = file(&[entry("a:0", b"one")]);
            octets.extend(tail);
            let (messages, _) = read(&octets);
            prop_assert_eq!(&messages[0], b"one");
        }

        /// Octets in the middle that are others, gone, or more than there were: every frame but theirs is read.
        #[test]
        fn all_but_what_is_damaged_is_read(
            lengths in proptest::collection::vec(0..3000_usize, 3..12),
            damaged in any::<prop::sample::Index>(),
            at in any::<prop::sample::Index>(),
            removed in 0..4000_usize,
            inserted in proptest::collection::vec(any::<u8>(), 0..4000),
        ) {
            let bodies: Vec<_> = (0_u8..).zip(lengths).map(|(number, length)| vec![number; length + 1]).collect();
            let entries: Vec<_> = bodies.iter().map(|body| entry("a:0", body)).collect();
            let damaged = damaged.index(entries.len() - 1);
            let (start, end) = (file(&entries[..damaged]).len(), file(&entries[..=damaged]).len());
            let from = start + at.index(end - start);
            let to = (from + removed).min(end);
            let mut octets = file(&entries);
            let is_same = octets[from..to] == inserted[..];
            octets.splice(from..to, inserted);
            let (messages, fault) = read(&octets);
            let expected: Vec<_> =
                bodies.iter().enumerate().filter(|(number, _)| is_same || *number != damaged).map(|(_, body)| body.clone()).collect();
            // What was inserted before a frame that is as it was costs nothing.
            let all = from == start && to == start;
            prop_assert!(messages == expected || all && messages == bodies, "{:?}", fault);
            prop_assert_eq!(fault, None);
        }
    }
}
