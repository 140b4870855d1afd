//! Values of attributes.

use std::fmt;

use crate::{Attribute, AttributeKind};

/// A moment: microseconds since the Unix epoch.
///
/// Sources have clocks of their own; a `Timestamp` does not say whose clock it was read off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The moment that many microseconds after the Unix epoch.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Microseconds from `earlier` to this moment; 0 if `earlier` is later.
    pub const fn micros_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This moment and so many microseconds; the last moment there is, where that is beyond it.
    #[must_use]
    pub const fn plus_micros(self, micros: u64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// So many microseconds before this moment; the epoch, where that is before it.
    #[must_use]
    pub const fn minus_micros(self, micros: u64) -> Self {
        Self(self.0.saturating_sub(micros))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The value of an attribute, borrowed from the message that it came in.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// `null`.
    Null,
    /// `boolean`.
    Bool(bool),
    /// `ubyte`, `ushort`, `uint` or `ulong`.
    Uint(u64),
    /// `byte`, `short`, `int` or `long`.
    Int(i64),
    /// `float` or `double`.
    Double(f64),
    /// `string` or `symbol`.
    Text(&'a str),
    /// `binary`, or text that is no UTF-8.
    Bytes(&'a [u8]),
    /// A value of any other type as it is encoded, its format code first: lists, maps, timestamps, described values.
    Encoded(&'a [u8]),
}

impl<'a> Value<'a> {
    /// The number, if it is one without a sign; a signed number that is not negative counts as one.
    pub fn as_uint(self) -> Option<u64> {
        match self {
            Self::Uint(number) => Some(number),
            Self::Int(number) => u64::try_from(number).ok(),
            _ => None,
        }
    }

    /// The text, if it is text.
    pub fn as_text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether this is a value that `attribute` can have.
    pub fn fits(self, attribute: Attribute) -> bool {
        match attribute.kind() {
            AttributeKind::Identity | AttributeKind::Reference | AttributeKind::Text => {
                matches!(self, Self::Text(_))
            }
            _ => self.as_uint().is_some(),
        }
    }

    /// The same value, owned.
    pub fn to_owned(self) -> ValueBuf {
        match self {
            Self::Null => ValueBuf::Null,
            Self::Bool(value) => ValueBuf::Bool(value),
            Self::Uint(value) => ValueBuf::Uint(value),
            Self::Int(value) => ValueBuf::Int(value),
            Self::Double(value) => ValueBuf::Double(value),
            Self::Text(value) => ValueBuf::Text(value.into()),
            Self::Bytes(value) => ValueBuf::Bytes(value.into()),
            Self::Encoded(value) => ValueBuf::Encoded(value.into()),
        }
    }
}

/// An owned [`Value`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ValueBuf {
    /// `null`.
    Null,
    /// `boolean`.
    Bool(bool),
    /// `ulong`.
    Uint(u64),
    /// `long`.
    Int(i64),
    /// `double`.
    Double(f64),
    /// `string`.
    Text(Box<str>),
    /// `binary`.
    Bytes(Box<[u8]>),
    /// A value of any other type as it is encoded, its format code first.
    Encoded(Box<[u8]>),
}

impl ValueBuf {
    /// The same value, borrowed.
    pub fn borrow(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Uint(value) => Value::Uint(*value),
            Self::Int(value) => Value::Int(*value),
            Self::Double(value) => Value::Double(*value),
            Self::Text(value) => Value::Text(value),
            Self::Bytes(value) => Value::Bytes(value),
            Self::Encoded(value) => Value::Encoded(value),
        }
    }
}

impl From<u64> for ValueBuf {
    fn from(value: u64) -> Self {
        Self::Uint(value)
    }
}

impl From<Timestamp> for ValueBuf {
    fn from(value: Timestamp) -> Self {
        Self::Uint(value.as_micros())
    }
}

impl From<&str> for ValueBuf {
    fn from(value: &str) -> Self {
        Self::Text(value.into())
    }
}

impl From<String> for ValueBuf {
    fn from(value: String) -> Self {
        Self::Text(value.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_never_wrap() {
        assert_eq!(Timestamp::from_micros(3).micros_since(Timestamp::from_micros(5)), 0);
        assert_eq!(Timestamp::from_micros(3).minus_micros(5), Timestamp::from_micros(0));
        assert_eq!(Timestamp::from_micros(u64::MAX).plus_micros(5), Timestamp::from_micros(u64::MAX));
    }

    #[test]
    fn a_value_fits_the_attributes_of_its_type_only() {
        assert!(Value::Uint(7).fits(Attribute::Octets));
        assert!(Value::Int(7).fits(Attribute::Octets));
        assert!(!Value::Int(-7).fits(Attribute::Octets));
        assert!(!Value::Text("7").fits(Attribute::Octets));
        assert!(Value::Text("7").fits(Attribute::SourcePort));
        assert!(!Value::Uint(7).fits(Attribute::SourcePort));
        assert!(!Value::Null.fits(Attribute::Name));
    }
}
