//! Recorded conversations: what a collector received, one JSON object a line.
//!
//! ```json
//! {"us": 561522, "link": "mc/sfe.all", "message": "005373c0…"}
//! ```
//!
//! `us` is the time since the start of the recording in microseconds, `link` the address that the message was
//! received on, and `message` the bare AMQP message in hexadecimal.

use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};
use thiserror::Error;

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
}

#[derive(Debug, Error)]
enum CaptureErrorReason {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("expected {{\"us\": …, \"link\": …, \"message\": …}}: {0}")]
    Json(#[from] serde_json::Error),
    #[error("`message` is not hexadecimal: {0}")]
    Hex(&'static str),
}

#[derive(Deserialize, Serialize)]
struct Line<'a> {
    us: u64,
    #[serde(borrow)]
    link: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    message: std::borrow::Cow<'a, str>,
}

/// Reads the messages of a capture one by one. Empty lines are passed over.
pub fn read(input: impl BufRead) -> impl Iterator<Item = Result<Captured, CaptureError>> {
    input.lines().enumerate().filter_map(|(position, line)| {
        let located = |reason| CaptureError { line: position + 1, reason };
        match line {
            Ok(line) if line.trim().is_empty() => None,
            Ok(line) => Some(parse(&line).map_err(located)),
            Err(error) => Some(Err(located(error.into()))),
        }
    })
}

fn parse(line: &str) -> Result<Captured, CaptureErrorReason> {
    let line: Line<'_> = serde_json::from_str(line)?;
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
    }
}
