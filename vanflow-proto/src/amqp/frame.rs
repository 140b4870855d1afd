//! Frames, as far as one has to look into them to take the payload of a transfer out.

use std::ops::Range;

use thiserror::Error;

use crate::{DecodeError, Value, codec::Reader};

/// What is wrong with a stream of frames. There is no way to go on after it but to connect anew.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum FrameError {
    #[error("the peer sent a frame of {size} bytes, where at least 8 and at most {max} are allowed")]
    Size { size: usize, max: usize },
    #[error("the peer sent a frame of {size} bytes whose body starts at byte {offset}")]
    DataOffset { size: usize, offset: usize },
    #[error("the peer sent a frame that cannot be read: {0}")]
    Performative(#[from] DecodeError),
    #[error("the peer sent a {performative} frame without {lacks}")]
    Lacks { performative: &'static str, lacks: &'static str },
}

/// Bytes of a frame before its body, unless it says otherwise.
pub(super) const HEAD: usize = 8;

/// How many bytes the next frame or protocol header has, or `None` if too few are there to say.
pub(super) fn extent(bytes: &[u8], max: usize) -> Result<Option<usize>, FrameError> {
    let Some(&head) = bytes.first_chunk::<4>() else { return Ok(None) };
    if head == *b"AMQP" {
        return Ok(Some(HEAD));
    }
    let size = u32::from_be_bytes(head) as usize;
    if (HEAD..=max).contains(&size) { Ok(Some(size)) } else { Err(FrameError::Size { size, max }) }
}

/// A frame that says something that [`BareStream`](super::BareStream) has to know.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) channel: u16,
    /// Where the performative starts; it follows the head and an extended header, if there is one.
    pub(super) body: usize,
    pub(super) performative: Performative<'a>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Performative<'a> {
    /// A link comes to be.
    Attach {
        name: &'a str,
        handle: u32,
        /// Whether the one who wrote this is going to send on it.
        sends: bool,
    },
    /// Credit, and how far the link is.
    Flow {
        handle: Option<u32>,
        /// The bytes of the delivery-count within the frame, if there is one.
        delivery_count: Option<Range<usize>>,
    },
    /// A message, or a part of one.
    Transfer(Transfer),
    /// A link goes.
    Detach { handle: u32 },
    /// A session goes, and all its links.
    End,
    /// Anything else.
    Other,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Transfer {
    pub(super) handle: u32,
    pub(super) settled: bool,
    pub(super) more: bool,
    pub(super) aborted: bool,
    /// Where the flags `more` and `aborted` are within the frame, if they are.
    pub(super) more_at: Option<usize>,
    pub(super) aborted_at: Option<usize>,
    /// Where the payload starts within the frame.
    pub(super) payload: usize,
}

const TYPE_AMQP: u8 = 0;

impl<'a> Frame<'a> {
    /// Looks into a whole frame, or a protocol header.
    pub(super) fn parse(frame: &'a [u8]) -> Result<Self, FrameError> {
        let other = |channel, body| Self { channel, body, performative: Performative::Other };
        let [b0, b1, b2, b3, offset, kind, c0, c1] = match frame.first_chunk::<HEAD>() {
            Some(head) if !head.starts_with(b"AMQP") => *head,
            _ => return Ok(other(0, HEAD)),
        };
        let size = u32::from_be_bytes([b0, b1, b2, b3]) as usize;
        let body = usize::from(offset) * 4;
        if body < HEAD || body > size {
            return Err(FrameError::DataOffset { size, offset: body });
        }
        let channel = u16::from_be_bytes([c0, c1]);
        if kind != TYPE_AMQP || body == size {
            // SASL, and the empty frames that say no more than that somebody is there.
            return Ok(other(channel, body));
        }
        let performative = Performative::parse(&frame[body..], body)?;
        Ok(Self { channel, body, performative })
    }
}

impl<'a> Performative<'a> {
    fn parse(bytes: &'a [u8], body: usize) -> Result<Self, FrameError> {
        let mut reader = Reader::new(bytes);
        if reader.peek()? != crate::codec::format::DESCRIBED {
            return Ok(Self::Other);
        }
        reader.byte()?;
        let descriptor = match reader.value()? {
            Value::Uint(code) => code,
            Value::Text("amqp:attach:list") => ATTACH,
            Value::Text("amqp:flow:list") => FLOW,
            Value::Text("amqp:transfer:list") => TRANSFER,
            Value::Text("amqp:detach:list") => DETACH,
            Value::Text("amqp:end:list") => END,
            _ => return Ok(Self::Other),
        };
        if descriptor == END {
            return Ok(Self::End);
        }
        if !matches!(descriptor, ATTACH | FLOW | TRANSFER | DETACH) {
            return Ok(Self::Other);
        }
        let items = reader.list()?;
        let payload = body + reader.offset();
        let mut fields = Fields { reader: items.reader, left: items.count, body };
        match descriptor {
            ATTACH => {
                let Some((_, Value::Text(name))) = fields.next()? else {
                    return Err(FrameError::Lacks { performative: "ATTACH", lacks: "a name" });
                };
                let handle = fields.handle("ATTACH")?;
                let Some((_, Value::Bool(receives))) = fields.next()? else {
                    return Err(FrameError::Lacks { performative: "ATTACH", lacks: "a role" });
                };
                Ok(Self::Attach { name, handle, sends: !receives })
            }
            FLOW => {
                fields.pass(4)?;
                let handle = fields.next()?.and_then(|(_, value)| value.as_uint());
                let delivery_count = match fields.next()? {
                    Some((range, Value::Uint(_))) => Some(range),
                    _ => None,
                };
                Ok(Self::Flow {
                    handle: handle.and_then(|handle| u32::try_from(handle).ok()),
                    delivery_count,
                })
            }
            DETACH => Ok(Self::Detach { handle: fields.handle("DETACH")? }),
            _ => {
                let handle = fields.handle("TRANSFER")?;
                fields.pass(3)?;
                let (settled, _) = fields.flag()?;
                let (more, more_at) = fields.flag()?;
                fields.pass(3)?;
                let (aborted, aborted_at) = fields.flag()?;
                Ok(Self::Transfer(Transfer { handle, settled, more, aborted, more_at, aborted_at, payload }))
            }
        }
    }
}

const ATTACH: u64 = 0x12;
const FLOW: u64 = 0x13;
const TRANSFER: u64 = 0x14;
const DETACH: u64 = 0x16;
const END: u64 = 0x17;

/// The fields of a performative. Those that are left out at its end are as good as null.
struct Fields<'a> {
    reader: Reader<'a>,
    left: usize,
    /// Where the performative starts in the frame.
    body: usize,
}

impl<'a> Fields<'a> {
    fn next(&mut self) -> Result<Option<(Range<usize>, Value<'a>)>, DecodeError> {
        // Offsets of a list's reader count from where the performative starts.
        let start = self.body + self.reader.offset();
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        let value = self.reader.value()?;
        Ok(Some((start..self.body + self.reader.offset(), value)))
    }

    fn pass(&mut self, count: usize) -> Result<(), DecodeError> {
        for _ in 0..count.min(self.left) {
            self.left -= 1;
            self.reader.skip()?;
        }
        Ok(())
    }

    fn handle(&mut self, performative: &'static str) -> Result<u32, FrameError> {
        let value = self.next()?.and_then(|(_, value)| value.as_uint());
        value
            .and_then(|handle| u32::try_from(handle).ok())
            .ok_or(FrameError::Lacks { performative, lacks: "a handle" })
    }

    fn flag(&mut self) -> Result<(bool, Option<usize>), DecodeError> {
        Ok(match self.next()? {
            Some((range, Value::Bool(value))) => (value, Some(range.start)),
            _ => (false, None),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame on channel 3 with that body.
    fn frame(body: &[u8]) -> Vec<u8> {
        let mut frame = Vec::from(u32::try_from(HEAD + body.len()).expect("small").to_be_bytes());
        frame.extend([2, 0, 0, 3]);
        frame.extend(body);
        frame
    }

    #[test]
    fn a_transfer_is_understood_whatever_its_descriptor_looks_like() {
        let symbol = [&[0x00, 0xa3, 18][..], b"amqp:transfer:list"].concat();
        let ulong: &[u8] = &[0x00, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x14];
        for descriptor in [&[0x00, 0x53, 0x14][..], ulong, &symbol] {
            let list = [0xc0, 8, 6, 0x52, 5, 0x43, 0x40, 0x43, 0x41, 0x41];
            let bytes = frame(&[descriptor, &list, b"payload"].concat());
            let Frame { channel: 3, performative: Performative::Transfer(transfer), .. } =
                Frame::parse(&bytes).expect("parses")
            else {
                panic!("no transfer")
            };
            assert_eq!(
                (transfer.handle, transfer.settled, transfer.more, transfer.aborted),
                (5, true, true, false)
            );
            assert_eq!(&bytes[transfer.payload..], b"payload");
            assert_eq!(bytes[transfer.more_at.expect("there")], 0x41);
        }
    }

    #[test]
    fn what_is_no_frame_is_an_error_that_says_so() {
        // faults 17
        assert_eq!(
            extent(b"HTTP/1.1", 65536).unwrap_err().to_string(),
            "the peer sent a frame of 1213486160 bytes, where at least 8 and at most 65536 are allowed"
        );
        assert_eq!(extent(&[0, 0, 0, 7], 512), Err(FrameError::Size { size: 7, max: 512 }));
        assert_eq!(extent(&[0, 0, 0], 512), Ok(None));
        assert_eq!(extent(b"AMQP\x03", 512), Ok(Some(8)));
        let mut bytes = frame(&[0x40]);
        bytes[4] = 1;
        assert_eq!(
            Frame::parse(&bytes).unwrap_err().to_string(),
            "the peer sent a frame of 9 bytes whose body starts at byte 4"
        );
        let error = Frame::parse(&frame(&[0x00, 0x53, 0x14, 0xc0, 50, 1])).unwrap_err();
        assert!(error.to_string().starts_with("the peer sent a frame that cannot be read: "), "{error}");
        assert_eq!(
            Frame::parse(&frame(&[0x00, 0x53, 0x16, 0x45])).unwrap_err().to_string(),
            "the peer sent a DETACH frame without a handle"
        );
    }

    #[test]
    fn the_delivery_count_of_a_flow_is_found() {
        let bytes =
            frame(&[0x00, 0x53, 0x13, 0xc0, 12, 7, 0x43, 0x43, 0x43, 0x43, 0x52, 9, 0x52, 77, 0x52, 1, 0x40]);
        let Performative::Flow { handle: Some(9), delivery_count: Some(range) } =
            Frame::parse(&bytes).expect("parses").performative
        else {
            panic!("no flow")
        };
        assert_eq!(bytes[range], [0x52, 77]);
    }
}
