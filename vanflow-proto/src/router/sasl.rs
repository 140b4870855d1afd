//! SASL, from the client's side.
//!
//! fe2o3-amqp would do this, but not EXTERNAL over a stream that does TLS already.

use std::io;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::{
    DecodeError, Value,
    codec::{Reader, Writer},
};

/// How to show who we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mechanism<'a> {
    Anonymous,
    /// By the client certificate, which TLS has shown already.
    External,
    Plain {
        user: &'a str,
        password: &'a str,
    },
}

/// Why the router does not take us for who we are. To follow upon its name.
#[derive(Debug, Error)]
pub(super) enum SaslError {
    #[error("closed the connection instead of asking who we are; perhaps it wants TLS, or none")]
    Closed,
    #[error("cannot be spoken to: {0}")]
    Io(io::Error),
    #[error("does not speak AMQP with SASL: it said \"{0}\"")]
    NotAmqp(String),
    #[error("does not offer SASL {wanted}, only {offered}")]
    NotOffered { wanted: &'static str, offered: String },
    #[error("does not offer SASL {0}, nor anything else; perhaps it wants TLS")]
    NothingOffered(&'static str),
    #[error("refused our credentials (SASL {0})")]
    Refused(&'static str),
    #[error("cannot check our credentials at this time (SASL {0})")]
    Unavailable(&'static str),
    #[error("said something in SASL that cannot be read: {0}")]
    Decode(#[from] DecodeError),
}

impl From<io::Error> for SaslError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                Self::Closed
            }
            _ => Self::Io(error),
        }
    }
}

const HEADER: [u8; 8] = *b"AMQP\x03\x01\x00\x00";
const MECHANISMS: u8 = 0x40;
const INIT: u8 = 0x41;
const CHALLENGE: u8 = 0x42;
const RESPONSE: u8 = 0x43;
const OUTCOME: u8 = 0x44;
/// SASL frames are no larger than this.
const MAX_FRAME: usize = 512;
/// Nobody asks more often than this.
const MAX_CHALLENGES: usize = 8;

impl Mechanism<'_> {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Anonymous => "ANONYMOUS",
            Self::External => "EXTERNAL",
            Self::Plain { .. } => "PLAIN",
        }
    }

    /// Says who we are, and waits until that is taken. AMQP itself follows on the same stream.
    pub(super) async fn negotiate(
        self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        host: &str,
    ) -> Result<(), SaslError> {
        stream.write_all(&HEADER).await?;
        stream.flush().await?;
        let mut header = [0; 8];
        stream.read_exact(&mut header).await?;
        if header != HEADER {
            return Err(SaslError::NotAmqp(header.escape_ascii().to_string()));
        }
        let response = match self {
            Self::Anonymous | Self::External => Vec::new(),
            Self::Plain { user, password } => format!("\0{user}\0{password}").into_bytes(),
        };
        for _ in 0..MAX_CHALLENGES {
            let frame = read(stream).await?;
            let mut reader = Reader::new(&frame);
            reader.byte()?;
            let descriptor = reader.value()?.as_uint().and_then(|code| u8::try_from(code).ok());
            let mut items = reader.list()?;
            match descriptor {
                Some(MECHANISMS) => {
                    let offered = symbols(items.reader.value()?);
                    if offered.is_empty() {
                        return Err(SaslError::NothingOffered(self.name()));
                    }
                    if !offered.iter().any(|offered| offered == self.name()) {
                        return Err(SaslError::NotOffered {
                            wanted: self.name(),
                            offered: offered.join(", "),
                        });
                    }
                    write(stream, INIT, 3, |writer| {
                        writer.symbol(self.name());
                        // Not left out even where it is empty: without it, a router would ask for it.
                        writer.value(Value::Bytes(&response));
                        writer.string(host);
                    })
                    .await?;
                }
                Some(CHALLENGE) => {
                    write(stream, RESPONSE, 1, |writer| writer.value(Value::Bytes(&response))).await?;
                }
                Some(OUTCOME) => {
                    return match items.reader.value()?.as_uint() {
                        Some(0) => Ok(()),
                        Some(2 | 4) => Err(SaslError::Unavailable(self.name())),
                        _ => Err(SaslError::Refused(self.name())),
                    };
                }
                _ => break,
            }
        }
        Err(SaslError::Refused(self.name()))
    }
}

/// Symbols, alone or in an array.
fn symbols(value: Value<'_>) -> Vec<String> {
    let array = match value {
        Value::Text(symbol) => return vec![symbol.to_owned()],
        Value::Encoded(array) => array,
        _ => return Vec::new(),
    };
    // Size and count, then the format code of all the symbols: with lengths of one byte or, from fe2o3-amqp, of four.
    let (count, wide, mut rest) = match array {
        [0xe0, _, count, code @ (0xa3 | 0xb3), rest @ ..] => (usize::from(*count), *code == 0xb3, rest),
        [0xf0, _, _, _, _, _, _, _, count, code @ (0xa3 | 0xb3), rest @ ..] => {
            (usize::from(*count), *code == 0xb3, rest)
        }
        _ => return Vec::new(),
    };
    let mut symbols = Vec::new();
    for _ in 0..count {
        let length = if wide {
            rest.split_first_chunk().map(|(length, rest)| (u32::from_be_bytes(*length) as usize, rest))
        } else {
            rest.split_first().map(|(length, rest)| (usize::from(*length), rest))
        };
        let Some((symbol, after)) = length.and_then(|(length, rest)| rest.split_at_checked(length)) else {
            break;
        };
        symbols.push(String::from_utf8_lossy(symbol).into_owned());
        rest = after;
    }
    symbols
}

/// The body of the next frame.
async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, SaslError> {
    let mut head = [0; 8];
    stream.read_exact(&mut head).await?;
    let [b0, b1, b2, b3, offset, ..] = head;
    let size = u32::from_be_bytes([b0, b1, b2, b3]) as usize;
    let body = usize::from(offset) * 4;
    if !(8..=MAX_FRAME).contains(&size) || !(8..=size).contains(&body) {
        return Err(SaslError::NotAmqp(head.escape_ascii().to_string()));
    }
    let mut frame = vec![0; size - 8];
    stream.read_exact(&mut frame).await?;
    frame.drain(..body - 8);
    Ok(frame)
}

async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    descriptor: u8,
    fields: usize,
    write_fields: impl FnOnce(&mut Writer),
) -> Result<(), SaslError> {
    let mut writer = Writer::new(false);
    writer.section(descriptor);
    writer.list(fields, write_fields);
    let body = writer.into_bytes();
    let mut frame = Vec::from((body.len() as u32 + 8).to_be_bytes());
    frame.extend([2, 1, 0, 0]);
    frame.extend(body);
    stream.write_all(&frame).await?;
    stream.flush().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    fn frame(body: &[u8]) -> Vec<u8> {
        let mut frame = Vec::from((body.len() as u32 + 8).to_be_bytes());
        frame.extend([2, 1, 0, 0]);
        frame.extend(body);
        frame
    }

    /// Two mechanisms in an array.
    fn mechanisms() -> Vec<u8> {
        let symbols = b"\x08EXTERNAL\x05PLAIN";
        let array = [&[0xe0, symbols.len() as u8 + 2, 2, 0xa3], &symbols[..]].concat();
        frame(&[&[0x00, 0x53, 0x40, 0xc0, array.len() as u8 + 1, 1], &array[..]].concat())
    }

    fn outcome(code: u8) -> Vec<u8> {
        frame(&[0x00, 0x53, 0x44, 0xc0, 3, 1, 0x50, code])
    }

    /// What comes of it, and what the router got to hear.
    async fn negotiate(mechanism: Mechanism<'_>, says: &[&[u8]]) -> (Result<(), String>, Vec<u8>) {
        let (mut near, mut far) = duplex(4096);
        far.write_all(&says.concat()).await.expect("writes");
        far.shutdown().await.expect("shuts down");
        let result = mechanism.negotiate(&mut near, "host").await.map_err(|error| error.to_string());
        drop(near);
        let mut heard = Vec::new();
        far.read_to_end(&mut heard).await.expect("reads");
        (result, heard)
    }

    #[test]
    fn symbols_are_read_alone_and_in_arrays_of_either_width() {
        assert_eq!(symbols(Value::Text("PLAIN")), ["PLAIN"]);
        let narrow = [0xe0, 10, 2, 0xa3, 1, b'A', 5, b'P', b'L', b'A', b'I', b'N'];
        let wide = [0xe0, 16, 2, 0xb3, 0, 0, 0, 1, b'A', 0, 0, 0, 5, b'P', b'L', b'A', b'I', b'N'];
        for array in [&narrow[..], &wide] {
            assert_eq!(symbols(Value::Encoded(array)), ["A", "PLAIN"]);
            assert_eq!(symbols(Value::Encoded(&array[..array.len() - 1])), ["A"]);
        }
    }

    #[tokio::test]
    async fn a_router_hears_who_we_are() {
        let (result, heard) = negotiate(Mechanism::External, &[&HEADER, &mechanisms(), &outcome(0)]).await;
        assert_eq!(result, Ok(()));
        assert!(
            heard.ends_with(b"\x00\x53\x41\xc0\x13\x03\xa3\x08EXTERNAL\xa0\x00\xa1\x04host"),
            "{heard:02x?}"
        );
        let plain = Mechanism::Plain { user: "u", password: "p" };
        let challenge = frame(&[0x00, 0x53, 0x42, 0xc0, 3, 1, 0xa0, 0]);
        let (result, heard) = negotiate(plain, &[&HEADER, &mechanisms(), &challenge, &outcome(0)]).await;
        assert_eq!(result, Ok(()));
        assert!(heard.ends_with(b"\x00\x53\x43\xc0\x07\x01\xa0\x04\x00u\x00p"), "{heard:02x?}");
    }

    #[tokio::test]
    async fn a_router_that_does_not_take_us_says_why() {
        let plain = Mechanism::Plain { user: "u", password: "p" };
        for (mechanism, says, error) in [
            (
                Mechanism::Anonymous,
                [&HEADER[..], &mechanisms(), b""],
                "does not offer SASL ANONYMOUS, only EXTERNAL, PLAIN",
            ),
            (plain, [&HEADER, &mechanisms(), &outcome(1)], "refused our credentials (SASL PLAIN)"),
            (
                plain,
                [&HEADER, &mechanisms(), &outcome(4)],
                "cannot check our credentials at this time (SASL PLAIN)",
            ),
            (
                plain,
                [b"HTTP/1.1 400 Bad Request", b"", b""],
                "does not speak AMQP with SASL: it said \"HTTP/1.1\"",
            ),
            (
                plain,
                [&HEADER, b"", b""],
                "closed the connection instead of asking who we are; perhaps it wants TLS, or none",
            ),
            (plain, [&HEADER, b"garbage!", b""], "does not speak AMQP with SASL: it said \"garbage!\""),
        ] {
            assert_eq!(negotiate(mechanism, &says).await.0, Err(error.to_owned()));
        }
    }
}
