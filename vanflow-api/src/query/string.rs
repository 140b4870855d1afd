//! Query strings, taken apart.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::error::{ApiError, excerpt};

/// One parameter as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair<'q> {
    pub(crate) name: Cow<'q, str>,
    /// The value, in which a `+` that was not encoded is a space, as forms have it.
    pub(crate) value: Cow<'q, str>,
    /// The value, in which that is a plus sign, where it makes a difference: identities of routers have some, and whoever
    /// copies one into a URL does not encode it.
    pub(crate) plus: Option<Cow<'q, str>>,
}

/// Names and values, in the order in which they were given.
///
/// # Errors
///
/// Where a percent sign is not followed by two hexadecimal digits.
pub(crate) fn pairs(text: &str) -> Result<Vec<Pair<'_>>, ApiError> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            if !is_well_formed(pair) {
                return Err(ApiError::Malformed { pair: excerpt(pair) });
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let plus = value.contains('+').then(|| decoded(value));
            Ok(Pair { name: spaced(name), value: spaced(value), plus })
        })
        .collect()
}

fn is_well_formed(text: &str) -> bool {
    let is_digit = |octet: Option<&u8>| octet.is_some_and(u8::is_ascii_hexdigit);
    let bytes = text.as_bytes();
    let mut escapes = bytes.iter().enumerate().filter(|(_, octet)| **octet == b'%').map(|(at, _)| at);
    escapes.all(|at| is_digit(bytes.get(at + 1)) && is_digit(bytes.get(at + 2)))
}

fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

fn spaced(text: &str) -> Cow<'_, str> {
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        return Cow::Owned(decoded(&spaced).into_owned());
    }
    decoded(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plus_is_a_space_or_a_plus() {
        let found = pairs("a+b=c+d&&id=%2B8aqA:0&e&f=g=h;i&j!=k%26").unwrap();
        let found: Vec<_> =
            found.iter().map(|pair| (&*pair.name, &*pair.value, pair.plus.as_deref())).collect();
        assert_eq!(
            found,
            [
                ("a b", "c d", Some("c+d")),
                ("id", "+8aqA:0", None),
                ("e", "", None),
                ("f", "g=h;i", None),
                ("j!", "k&", None)
            ]
        );
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        for pair in ["a%zz=1", "a=%", "a=%2"] {
            let error = pairs(&format!("b=1&{pair}")).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "`{pair}` is not well-formed: two hexadecimal digits have to follow each %, and %25 stands for one"
                )
            );
        }
    }
}
