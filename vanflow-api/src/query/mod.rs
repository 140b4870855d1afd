//! What questions have in common, whichever API they are asked of.
//!
//! A query string becomes names and values ([`string`]); names that are no parameters are filters by the properties of
//! what is listed ([`filter`]). Values are checked by the type of the property ([`value`]), times are read in one place
//! ([`time`]), and whatever makes no sense is an error that says what would ([`nearest`] knows what was meant).
//! [`media`] is how the items of a list are written, [`fields`] which of their properties, and [`csv`] the form for
//! spreadsheets. [`document`] says all that in OpenAPI.

pub(crate) mod csv;
pub(crate) mod document;
pub(crate) mod fields;
pub(crate) mod filter;
pub(crate) mod media;
pub(crate) mod nearest;
pub(crate) mod string;
pub(crate) mod time;
pub(crate) mod value;

pub use self::time::duration;
