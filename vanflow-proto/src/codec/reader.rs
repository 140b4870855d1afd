//! Reads AMQP-encoded values from a byte slice.

use super::format;
use crate::{
    error::{DecodeError, DecodeErrorKind},
    value::Value,
};

/// Descriptors may be described themselves; nobody does it.
const MAX_DESCRIPTOR_DEPTH: usize = 8;

/// A position in a message. Every read either advances past a value or fails.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    /// Where `rest` starts in the message, for errors.
    offset: usize,
}

/// The items of a list, or the keys and values of a map, one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Items<'a> {
    pub(crate) reader: Reader<'a>,
    pub(crate) count: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, offset: 0 }
    }

    /// Reads that part of a message, which holds whole values.
    #[cfg(feature = "router")]
    pub(crate) fn within(message: &'a [u8], range: std::ops::Range<usize>) -> Self {
        let offset = range.start;
        Self { rest: message.get(range).unwrap_or_default(), offset }
    }

    /// The part of the message that is left to read.
    #[cfg(feature = "router")]
    pub(crate) fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.rest.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    pub(crate) fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError::new(self.offset, kind)
    }

    #[inline]
    fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        match self.rest.split_at_checked(count) {
            Some((taken, rest)) => {
                self.rest = rest;
                self.offset += count;
                Ok(taken)
            }
            None => Err(self.error(DecodeErrorKind::Truncated { needed: count, left: self.rest.len() })),
        }
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        match self.rest.split_first_chunk::<N>() {
            Some((taken, rest)) => {
                self.rest = rest;
                self.offset += N;
                Ok(*taken)
            }
            None => Err(self.error(DecodeErrorKind::Truncated { needed: N, left: self.rest.len() })),
        }
    }

    #[inline]
    pub(crate) fn byte(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    #[inline]
    fn size_8(&mut self) -> Result<usize, DecodeError> {
        self.byte().map(usize::from)
    }

    #[inline]
    fn size_32(&mut self) -> Result<usize, DecodeError> {
        self.array().map(|bytes| u32::from_be_bytes(bytes) as usize)
    }

    pub(crate) fn peek(&self) -> Result<u8, DecodeError> {
        self.rest
            .first()
            .copied()
            .ok_or_else(|| self.error(DecodeErrorKind::Truncated { needed: 1, left: 0 }))
    }

    /// The next value, if it is a `uint` in at most one octet, as most keys are.
    #[inline]
    pub(crate) fn small_uint(&mut self) -> Option<u8> {
        match *self.rest {
            [format::SMALL_UINT, number, ..] => {
                self.rest = &self.rest[2..];
                self.offset += 2;
                Some(number)
            }
            [format::UINT_0, ..] => {
                self.rest = &self.rest[1..];
                self.offset += 1;
                Some(0)
            }
            _ => None,
        }
    }

    /// The next value, whatever it is. Only its own extent is checked, not what a compound value holds.
    ///
    /// Read in place are the types that routers send by far the most.
    #[expect(
        clippy::inline_always,
        reason = "merging takes 1.2 % fewer instructions so, together with `Attributes::read`"
    )]
    #[inline(always)]
    pub(crate) fn value(&mut self) -> Result<Value<'a>, DecodeError> {
        let start = *self;
        match self.byte()? {
            format::STRING_8 | format::SYMBOL_8 => {
                let size = self.size_8()?;
                Ok(text(self.take(size)?))
            }
            format::SMALL_ULONG | format::SMALL_UINT | format::UBYTE => Ok(Value::Uint(self.byte()?.into())),
            format::ULONG => Ok(Value::Uint(u64::from_be_bytes(self.array()?))),
            code => self.rarer_value(start, code),
        }
    }

    /// The value with that format code, which begins at `start`.
    #[inline(never)]
    fn rarer_value(&mut self, start: Self, code: u8) -> Result<Value<'a>, DecodeError> {
        let value = match code {
            format::UINT_0 | format::ULONG_0 => Value::Uint(0),
            format::UINT => Value::Uint(u32::from_be_bytes(self.array()?).into()),
            format::USHORT => Value::Uint(u16::from_be_bytes(self.array()?).into()),
            format::STRING_32 | format::SYMBOL_32 => {
                let size = self.size_32()?;
                text(self.take(size)?)
            }
            format::BYTE | format::SMALL_INT | format::SMALL_LONG => {
                Value::Int(i8::from_be_bytes(self.array()?).into())
            }
            format::SHORT => Value::Int(i16::from_be_bytes(self.array()?).into()),
            format::INT => Value::Int(i32::from_be_bytes(self.array()?).into()),
            format::LONG => Value::Int(i64::from_be_bytes(self.array()?)),
            format::FLOAT => Value::Double(f32::from_be_bytes(self.array()?).into()),
            format::DOUBLE => Value::Double(f64::from_be_bytes(self.array()?)),
            format::TRUE => Value::Bool(true),
            format::FALSE => Value::Bool(false),
            format::BOOLEAN => Value::Bool(self.byte()? != 0),
            format::NULL => Value::Null,
            format::BINARY_8 => {
                let size = self.size_8()?;
                Value::Bytes(self.take(size)?)
            }
            format::BINARY_32 => {
                let size = self.size_32()?;
                Value::Bytes(self.take(size)?)
            }
            _ => {
                *self = start;
                self.skip()?;
                Value::Encoded(&start.rest[..self.offset - start.offset])
            }
        };
        Ok(value)
    }

    /// Passes over the next value.
    #[inline]
    pub(crate) fn skip(&mut self) -> Result<(), DecodeError> {
        let mut values = 1_usize;
        let mut depth = 0;
        while values > 0 {
            let code_offset = self.offset;
            let code = self.byte()?;
            let size = match code >> 4 {
                // A described value is a descriptor and a value.
                0x0 if code == format::DESCRIBED => {
                    depth += 1;
                    if depth > MAX_DESCRIPTOR_DEPTH {
                        return Err(DecodeError::new(
                            code_offset,
                            DecodeErrorKind::TooDeep(MAX_DESCRIPTOR_DEPTH),
                        ));
                    }
                    values += 2;
                    0
                }
                0x4 => 0,
                0x5 => 1,
                0x6 => 2,
                0x7 => 4,
                0x8 => 8,
                0x9 => 16,
                0xa | 0xc | 0xe => self.size_8()?,
                0xb | 0xd | 0xf => self.size_32()?,
                _ => return Err(DecodeError::new(code_offset, DecodeErrorKind::UnknownFormatCode(code))),
            };
            self.take(size)?;
            values -= 1;
        }
        Ok(())
    }

    /// The next value, which has to be a list.
    pub(crate) fn list(&mut self) -> Result<Items<'a>, DecodeError> {
        self.compound("a list", |code| match code {
            format::LIST_0 => Some(Width::None),
            format::LIST_8 => Some(Width::One),
            format::LIST_32 => Some(Width::Four),
            _ => None,
        })
    }

    /// The next value, which has to be a map.
    #[inline]
    pub(crate) fn map(&mut self) -> Result<Items<'a>, DecodeError> {
        self.compound("a map", |code| match code {
            format::MAP_8 => Some(Width::One),
            format::MAP_32 => Some(Width::Four),
            _ => None,
        })
    }

    #[inline]
    fn compound(
        &mut self,
        expected: &'static str,
        width: impl Fn(u8) -> Option<Width>,
    ) -> Result<Items<'a>, DecodeError> {
        let code = self.peek()?;
        let Some(width) = width(code) else {
            return Err(self.error(DecodeErrorKind::Unexpected { expected, found: code }));
        };
        self.byte()?;
        let size = match width {
            Width::None => return Ok(Items { reader: Self { rest: &[], offset: self.offset }, count: 0 }),
            Width::One => self.size_8()?,
            Width::Four => self.size_32()?,
        };
        let mut reader = Self { offset: self.offset, rest: self.take(size)? };
        let count = if let Width::One = width { reader.size_8()? } else { reader.size_32()? };
        Ok(Items { reader, count })
    }
}

enum Width {
    None,
    One,
    Four,
}

#[inline]
fn text(bytes: &[u8]) -> Value<'_> {
    match str::from_utf8(bytes) {
        Ok(text) => Value::Text(text),
        Err(_) => Value::Bytes(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(bytes: &[u8]) -> Result<Value<'_>, String> {
        let mut reader = Reader::new(bytes);
        let value = reader.value().map_err(|error| error.to_string())?;
        assert!(reader.is_empty(), "all of {bytes:02x?} is read");
        Ok(value)
    }

    #[test]
    fn numbers_of_every_width_are_read() {
        assert_eq!(value(&[0x43]), Ok(Value::Uint(0)));
        assert_eq!(value(&[0x52, 7]), Ok(Value::Uint(7)));
        assert_eq!(value(&[0x60, 1, 0]), Ok(Value::Uint(256)));
        assert_eq!(value(&[0x70, 0, 0, 1, 0]), Ok(Value::Uint(256)));
        assert_eq!(value(&[0x80, 0, 0, 0, 0, 0, 0, 1, 0]), Ok(Value::Uint(256)));
        assert_eq!(value(&[0x55, 0xff]), Ok(Value::Int(-1)));
        assert_eq!(value(&[0x81, 0, 0, 0, 0, 0, 0, 1, 0]), Ok(Value::Int(256)));
        assert_eq!(value(&[0x82, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0]), Ok(Value::Double(1.0)));
    }

    #[test]
    fn text_that_is_no_utf_8_is_kept_as_bytes() {
        assert_eq!(value(&[0xa1, 2, b'h', b'i']), Ok(Value::Text("hi")));
        assert_eq!(value(&[0xa1, 2, b'h', 0xff]), Ok(Value::Bytes(&[b'h', 0xff])));
    }

    #[test]
    fn lists_in_lists_are_kept_as_they_are_encoded() {
        let nested = [0xc0, 5, 1, 0xc0, 2, 1, 0x40];
        assert_eq!(value(&nested), Ok(Value::Encoded(&nested)));
    }

    #[test]
    fn what_cannot_be_read_says_where_and_why() {
        assert_eq!(
            value(&[0xa1, 9, b'h']).unwrap_err(),
            "the message ends within a value: 9 more bytes wanted, 1 left at byte 2"
        );
        assert_eq!(value(&[0x1f]).unwrap_err(), "0x1f is no AMQP format code at byte 0");
        assert_eq!(value(&[0; 64]).unwrap_err(), "descriptors are nested more than 8 deep at byte 8");
        assert_eq!(
            Reader::new(&[0x40]).map().unwrap_err().to_string(),
            "expected a map, found format code 0x40 at byte 0"
        );
    }
}
