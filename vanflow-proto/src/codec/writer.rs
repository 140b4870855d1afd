//! Writes AMQP-encoded values: numbers and text in their shortest form, compound values as the dialect has them.

use super::format;
use crate::value::Value;

/// A growing message.
#[derive(Debug)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
    /// Whether lists and maps have their size in four bytes, however short they are.
    wide: bool,
}

impl Writer {
    pub(crate) fn new(wide: bool) -> Self {
        Self { bytes: Vec::new(), wide }
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The start of a section; its value follows.
    pub(crate) fn section(&mut self, code: u8) {
        self.bytes.extend([format::DESCRIBED, format::SMALL_ULONG, code]);
    }

    pub(crate) fn null(&mut self) {
        self.bytes.push(format::NULL);
    }

    pub(crate) fn uint(&mut self, number: u32) {
        match u8::try_from(number) {
            Ok(0) => self.bytes.push(format::UINT_0),
            Ok(small) => self.bytes.extend([format::SMALL_UINT, small]),
            Err(_) => {
                self.bytes.push(format::UINT);
                self.bytes.extend(number.to_be_bytes());
            }
        }
    }

    pub(crate) fn ulong(&mut self, number: u64) {
        match u8::try_from(number) {
            Ok(0) => self.bytes.push(format::ULONG_0),
            Ok(small) => self.bytes.extend([format::SMALL_ULONG, small]),
            Err(_) => {
                self.bytes.push(format::ULONG);
                self.bytes.extend(number.to_be_bytes());
            }
        }
    }

    pub(crate) fn long(&mut self, number: i64) {
        match i8::try_from(number) {
            Ok(small) => self.bytes.extend([format::SMALL_LONG, small.to_be_bytes()[0]]),
            Err(_) => {
                self.bytes.push(format::LONG);
                self.bytes.extend(number.to_be_bytes());
            }
        }
    }

    pub(crate) fn string(&mut self, text: &str) {
        self.variable(format::STRING_8, format::STRING_32, text.as_bytes());
    }

    pub(crate) fn symbol(&mut self, text: &str) {
        self.variable(format::SYMBOL_8, format::SYMBOL_32, text.as_bytes());
    }

    fn variable(&mut self, short: u8, long: u8, bytes: &[u8]) {
        match u8::try_from(bytes.len()) {
            Ok(length) => self.bytes.extend([short, length]),
            Err(_) => {
                self.bytes.push(long);
                self.bytes.extend(length_32(bytes.len()).to_be_bytes());
            }
        }
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn value(&mut self, value: Value<'_>) {
        match value {
            Value::Null => self.null(),
            Value::Bool(true) => self.bytes.push(format::TRUE),
            Value::Bool(false) => self.bytes.push(format::FALSE),
            Value::Uint(number) => self.ulong(number),
            Value::Int(number) => self.long(number),
            Value::Double(number) => {
                self.bytes.push(format::DOUBLE);
                self.bytes.extend(number.to_be_bytes());
            }
            Value::Text(text) => self.string(text),
            Value::Bytes(bytes) => self.variable(format::BINARY_8, format::BINARY_32, bytes),
            Value::Encoded(bytes) => self.bytes.extend_from_slice(bytes),
        }
    }

    /// A list of `count` items, which `items` writes.
    pub(crate) fn list(&mut self, count: usize, items: impl FnOnce(&mut Self)) {
        self.compound(format::LIST_8, format::LIST_32, count, items);
    }

    /// A map of `pairs` keys with their values, which `items` writes.
    pub(crate) fn map(&mut self, pairs: usize, items: impl FnOnce(&mut Self)) {
        self.compound(format::MAP_8, format::MAP_32, pairs * 2, items);
    }

    fn compound(&mut self, short: u8, long: u8, count: usize, items: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.bytes.extend([0; 9]);
        items(self);
        let content = self.bytes.len() - start - 9;
        match (u8::try_from(content + 1), u8::try_from(count)) {
            (Ok(size), Ok(count)) if !self.wide => {
                self.bytes.splice(start..start + 9, [short, size, count]);
            }
            _ => {
                self.bytes[start] = long;
                self.bytes[start + 1..start + 5].copy_from_slice(&length_32(content + 4).to_be_bytes());
                self.bytes[start + 5..start + 9].copy_from_slice(&length_32(count).to_be_bytes());
            }
        }
    }
}

/// AMQP counts with 32 bits.
fn length_32(length: usize) -> u32 {
    u32::try_from(length).expect("a value of 4 GiB does not fit into an AMQP message")
}
