//! Recorded conversations: what a collector received, one JSON object a line.
//!
//! ```json
//! {"us": 561522, "link": "mc/sfe.all", "message": "005373c0…"}
//! ```
//!
//! `us` is the time since the start of the recording in microseconds, `link` the address that the message was
//! received on, and `message` the bare AMQP message in hexadecimal.

mod file;

use std::io::{self, BufRead, Read, Write};

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::file::{Capture, OpenError};

/// How long a line may be, in octets. A router's largest messages come to a few hundred thousand.
const LONGEST_LINE: u64 = 16 << 20;

/// How long a conversation may last, in microseconds: a year. What is said to be later is a mistake, and would have
/// all that comes after it be as late.
const LONGEST: u64 = 366 * 86_400_000_000;

/// One message as it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// Microseconds since the start of the recording.
    pub micros: u64,
    /// The address that it was received on.
    pub link: String,
    /// The bare AMQP message.
    pub message: Vec<u8>,
}

/// A line of a capture that cannot be read.
#[derive(Debug, Error)]
#[error("line {line} of the capture: {reason}")]
pub struct CaptureError {
    line: usize,
    reason: CaptureErrorReason,
}

impl CaptureError {
    /// The number of the line, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// Whether nothing after that line can be read either: the file itself cannot be.
    pub fn is_last(&self) -> bool {
        matches!(self.reason, CaptureErrorReason::Io(_))
    }
}

/// What is said to people of lines that cannot be read: the first few one by one, then how many they are.
///
/// ```
/// use vanflow_proto::capture::{self, PassedOver};
///
/// let mut passed_over = PassedOver::default();
/// let said = capture::read(&b"no capture\n"[..]).filter_map(|line| passed_over.note(&line.err()?, "it ends there"));
/// assert!(said.collect::<String>().ends_with(": passed over"));
/// assert_eq!(passed_over.summary(), None, "all has been said");
/// ```
#[derive(Clone, Debug, Default)]
pub struct PassedOver {
    lines: usize,
}

impl PassedOver {
    /// How many lines are said one by one.
    const SAID: usize = 3;

    /// What to say of a line; none where enough has been said. `end` says what it means that nothing after it can be read,
    /// where that is so.
    pub fn note(&mut self, error: &CaptureError, end: &str) -> Option<String> {
        if error.is_last() {
            return Some(format!("{error}: {end}"));
        }
        self.lines += 1;
        (self.lines <= Self::SAID).then(|| format!("{error}: passed over"))
    }

    /// What is left to say once all has been read; none where each line has been said.
    pub fn summary(&self) -> Option<String> {
        let lines = self.lines;
        (lines > Self::SAID).then(|| format!("passed over {lines} lines of the capture that cannot be read"))
    }
}

#[derive(Debug, Error)]
enum CaptureErrorReason {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("expected {{\"us\": …, \"link\": …, \"message\": …}}: {0}")]
    Json(#[from] serde_json::Error),
    #[error("`message` is not hexadecimal: {0}")]
    Hex(&'static str),
    #[error("`us` is {0}, which is more than a year: expected microseconds since the start of the recording")]
    Late(u64),
    #[error("it is longer than {} MiB, which no message is", LONGEST_LINE >> 20)]
    Long,
}

#[derive(Deserialize, Serialize)]
struct Line<'a> {
    us: u64,
    #[serde(borrow)]
    link: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    message: std::borrow::Cow<'a, str>,
}

/// Reads the messages of a capture one by one. Empty lines are passed over; one that cannot be read costs the others
/// nothing, but for the last one of a file that itself cannot be read ([`CaptureError::is_last`]).
pub fn read(input: impl BufRead) -> impl Iterator<Item = Result<Captured, CaptureError>> {
    Lines { input, line: 0, text: Vec::new(), is_over: false }
}

/// The lines of a capture.
struct Lines<R> {
    input: R,
    /// The number of the last one that was read, from 1.
    line: usize,
    text: Vec<u8>,
    is_over: bool,
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Result<Captured, CaptureError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.is_over {
            self.line += 1;
            let message = match self.read_line() {
                Ok(0) => {
                    self.is_over = true;
                    break;
                }
                Ok(_) if self.text.trim_ascii().is_empty() => continue,
                // Errors within a line say where in it.
                Ok(_) => parse(self.text.trim_ascii_end()),
                Err(error) => Err(error),
            };
            let message = message.map_err(|reason| CaptureError { line: self.line, reason });
            self.is_over = message.as_ref().is_err_and(CaptureError::is_last);
            return Some(message);
        }
        None
    }
}

impl<R: BufRead> Lines<R> {
    /// Reads the next line. Answers how long it is; nothing is left of one that is too long.
    fn read_line(&mut self) -> Result<usize, CaptureErrorReason> {
        self.text.clear();
        let length = (&mut self.input).take(LONGEST_LINE).read_until(b'\n', &mut self.text)?;
        if length as u64 == LONGEST_LINE && !self.text.ends_with(b"\n") {
            self.text.clear();
            self.input.skip_until(b'\n')?;
            return Err(CaptureErrorReason::Long);
        }
        Ok(length)
    }
}

fn parse(line: &[u8]) -> Result<Captured, CaptureErrorReason> {
    let line: Line<'_> = serde_json::from_slice(line)?;
    if line.us > LONGEST {
        return Err(CaptureErrorReason::Late(line.us));
    }
    Ok(Captured { micros: line.us, link: line.link.into_owned(), message: unhex(&line.message)? })
}

/// Writes one message as a line of a capture.
///
/// # Errors
///
/// Those of `output`.
pub fn write(output: &mut impl Write, micros: u64, link: &str, message: &[u8]) -> io::Result<()> {
    let line = Line { us: micros, link: link.into(), message: hex(message).into() };
    serde_json::to_writer(&mut *output, &line)?;
    output.write_all(b"\n")
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

fn unhex(text: &str) -> Result<Vec<u8>, CaptureErrorReason> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return Err(CaptureErrorReason::Hex("it has an odd number of digits"));
    }
    pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect::<Option<_>>()
        .ok_or(CaptureErrorReason::Hex("it has other characters than 0-9 and a-f"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let mut file = Vec::new();
        write(&mut file, 7, "mc/sfe.all", &[0x00, 0xfe]).expect("writes");
        write(&mut file, 9, "mc/sfe.a:0", &[]).expect("writes");
        assert_eq!(
            String::from_utf8_lossy(&file),
            "{\"us\":7,\"link\":\"mc/sfe.all\",\"message\":\"00fe\"}\n\
             {\"us\":9,\"link\":\"mc/sfe.a:0\",\"message\":\"\"}\n"
        );
        let messages: Vec<_> = read(&file[..]).map(|message| message.expect("reads")).collect();
        assert_eq!(messages[0], Captured { micros: 7, link: "mc/sfe.all".into(), message: vec![0, 0xfe] });
        assert_eq!(messages.len(), 2);
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named() {
        let error = |file: &str| read(file.as_bytes()).find_map(Result::err).expect("an error").to_string();
        assert_eq!(
            error("\n{\"us\": 1, \"link\": \"a\", \"message\": \"0\"}"),
            "line 2 of the capture: `message` is not hexadecimal: it has an odd number of digits"
        );
        assert_eq!(
            error("{\"us\": 1, \"link\": \"a\", \"message\": \"0x\"}"),
            "line 1 of the capture: `message` is not hexadecimal: it has other characters than 0-9 and a-f"
        );
        assert!(error("nonsense").starts_with("line 1 of the capture: expected {\"us\": …, "));
        assert_eq!(
            error("{\"us\": 18446744073709551615, \"link\": \"a\", \"message\": \"\"}"),
            "line 1 of the capture: `us` is 18446744073709551615, which is more than a year: expected microseconds \
             since the start of the recording"
        );
        let mut long = "\n".to_owned();
        long.extend(std::iter::repeat_n('x', LONGEST_LINE as usize + 1));
        assert_eq!(error(&long), "line 2 of the capture: it is longer than 16 MiB, which no message is");
    }

    #[test]
    fn a_line_that_cannot_be_read_costs_the_others_nothing() {
        let line = |micros: u64| {
            format!("{{\"us\": {micros}, \"link\": \"a\", \"message\": \"00\"}}\n").into_bytes()
        };
        let long = [vec![b'x'; LONGEST_LINE as usize + 7], b"\n".to_vec()].concat();
        for bad in [&b"{\"us\": 1, \"li\n"[..], b"\xff\xfe\0\n", &long, &line(u64::MAX)] {
            let file = [&line(1), bad, &line(2), b"\n", &line(3)[..20]].concat();
            let read: Vec<_> =
                read(&file[..]).map(|read| read.map(|read| read.micros).map_err(|e| e.line())).collect();
            assert_eq!(read, [Ok(1), Err(2), Ok(2), Err(5)]);
        }
    }

    #[test]
    fn nothing_is_read_after_a_file_that_cannot_be() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the disk is on fire"))
            }
        }
        let mut messages = read(io::BufReader::new(Broken));
        let error = messages.next().expect("an error").expect_err("it cannot be read");
        assert_eq!(
            (error.to_string(), error.is_last()),
            ("line 1 of the capture: the disk is on fire".into(), true)
        );
        assert!(messages.next().is_none());
    }
}
