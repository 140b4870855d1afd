//! JSON, written straight into bytes.
//!
//! Long answers are rendered record by record from a snapshot; a tree of values in between would cost more than the
//! rendering.

use bytes::Bytes;
use vanflow_proto::Value;
use vanflow_store::{Field, Text};

/// Bytes to write to, and room to put a text together in.
#[derive(Debug, Default)]
pub(crate) struct Json {
    pub(crate) bytes: Vec<u8>,
    scratch: String,
}

impl Json {
    /// With room for that many octets.
    pub(crate) fn with_capacity(octets: usize) -> Self {
        Self { bytes: Vec::with_capacity(octets), scratch: String::new() }
    }

    /// Bytes that are JSON, or a frame around it, as they are.
    #[inline]
    pub(crate) fn raw(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }

    #[inline]
    pub(crate) fn uint(&mut self, number: u64) {
        self.bytes.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    pub(crate) fn int(&mut self, number: i64) {
        self.bytes.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    /// A number, or `null` for one that JSON cannot write.
    fn double(&mut self, number: f64) {
        if number.is_finite() {
            self.raw(&number.to_string());
        } else {
            self.raw("null");
        }
    }

    #[inline]
    pub(crate) fn string(&mut self, text: &str) {
        self.bytes.push(b'"');
        escape(&mut self.bytes, text);
        self.bytes.push(b'"');
    }

    /// A text of the store, with something appended to it.
    #[inline]
    pub(crate) fn text(&mut self, text: Text<'_>, suffix: &str) {
        self.bytes.push(b'"');
        match text.as_str() {
            Some(text) => escape(&mut self.bytes, text),
            None => {
                self.scratch.clear();
                text.push_to(&mut self.scratch);
                escape(&mut self.bytes, &self.scratch);
            }
        }
        escape(&mut self.bytes, suffix);
        self.bytes.push(b'"');
    }

    /// A list of texts.
    pub(crate) fn strings(&mut self, texts: &[impl AsRef<str>]) {
        self.raw("[");
        for (position, text) in texts.iter().enumerate() {
            if position > 0 {
                self.raw(",");
            }
            self.string(text.as_ref());
        }
        self.raw("]");
    }

    /// A value of any type. Octets, and what has no counterpart in JSON, are strings of hexadecimal digits.
    pub(crate) fn value(&mut self, value: Value<'_>) {
        match value {
            Value::Bool(value) => self.raw(if value { "true" } else { "false" }),
            Value::Uint(value) => self.uint(value),
            Value::Int(value) => self.int(value),
            Value::Double(value) => self.double(value),
            Value::Text(value) => self.string(value),
            Value::Bytes(value) | Value::Encoded(value) => self.hex(value),
            // `Null`, and what the protocol may learn to say.
            _ => self.raw("null"),
        }
    }

    fn hex(&mut self, octets: &[u8]) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        self.bytes.push(b'"');
        for octet in octets {
            self.bytes.extend([DIGITS[usize::from(octet >> 4)], DIGITS[usize::from(octet & 15)]]);
        }
        self.bytes.push(b'"');
    }
}

impl From<&Bytes> for Json {
    /// What was written already.
    fn from(bytes: &Bytes) -> Self {
        Self { bytes: bytes.to_vec(), scratch: String::new() }
    }
}

/// An object that is being written: its first member needs no comma before it.
#[derive(Debug)]
pub(crate) struct Object<'j> {
    pub(crate) json: &'j mut Json,
    separator: u8,
}

impl<'j> Object<'j> {
    #[inline]
    pub(crate) fn open(json: &'j mut Json) -> Self {
        Self { json, separator: b'{' }
    }

    /// The name of the next member. Names are our own or attributes', none of which needs to be escaped.
    #[inline]
    pub(crate) fn name(&mut self, name: &str) {
        let bytes = &mut self.json.bytes;
        bytes.push(self.separator);
        bytes.push(b'"');
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(b"\":");
        self.separator = b',';
    }

    #[inline]
    pub(crate) fn uint(&mut self, name: &str, number: u64) {
        self.name(name);
        self.json.uint(number);
    }

    #[inline]
    pub(crate) fn string(&mut self, name: &str, text: &str) {
        self.name(name);
        self.json.string(text);
    }

    pub(crate) fn truth(&mut self, name: &str, value: bool) {
        self.name(name);
        self.json.raw(if value { "true" } else { "false" });
    }

    /// Ends the object.
    #[inline]
    pub(crate) fn close(self) {
        if self.separator == b'{' {
            self.json.bytes.push(b'{');
        }
        self.json.bytes.push(b'}');
    }
}

/// Takes the members of an object one by one: writes them, some of them, or keeps them.
pub(crate) trait Members<'s> {
    fn uint(&mut self, name: &'static str, number: u64);
    fn string(&mut self, name: &'static str, text: &'s str);
    /// A text of the store with something appended to it.
    fn text_with(&mut self, name: &'static str, text: Text<'s>, suffix: &'static str);
    fn truth(&mut self, name: &'static str, value: bool);
    /// A value of any type, as it was reported.
    fn value(&mut self, name: &'static str, value: Value<'s>);
    fn strings(&mut self, name: &'static str, texts: &'s [String]);
    /// An attribute that has no name, by its code.
    fn unnamed(&mut self, code: u32, field: Field<'s>);

    /// A text of the store.
    #[inline]
    fn text(&mut self, name: &'static str, text: Text<'s>) {
        self.text_with(name, text, "");
    }
}

impl<'s> Members<'s> for Object<'_> {
    #[inline]
    fn uint(&mut self, name: &'static str, number: u64) {
        Object::uint(self, name, number);
    }

    #[inline]
    fn string(&mut self, name: &'static str, text: &'s str) {
        Object::string(self, name, text);
    }

    #[inline]
    fn text_with(&mut self, name: &'static str, text: Text<'s>, suffix: &'static str) {
        self.name(name);
        self.json.text(text, suffix);
    }

    fn truth(&mut self, name: &'static str, value: bool) {
        Object::truth(self, name, value);
    }

    fn value(&mut self, name: &'static str, value: Value<'s>) {
        self.name(name);
        self.json.value(value);
    }

    fn strings(&mut self, name: &'static str, texts: &'s [String]) {
        self.name(name);
        self.json.strings(texts);
    }

    fn unnamed(&mut self, code: u32, field: Field<'s>) {
        self.name(&format!("attr{code}"));
        match field {
            Field::Uint(number) => self.json.uint(number),
            Field::Text(text) => self.json.text(text, ""),
            Field::Other(value) => self.json.value(value),
            // A form that a value may have in time.
            _ => self.json.raw("null"),
        }
    }
}

/// Writes those members of an object that are asked for.
#[derive(Debug)]
pub(crate) struct Chosen<'a, 'j> {
    pub(crate) object: Object<'j>,
    pub(crate) names: &'a [&'static str],
}

impl Chosen<'_, '_> {
    fn has(&self, name: &'static str) -> bool {
        self.names.contains(&name)
    }
}

impl<'s> Members<'s> for Chosen<'_, '_> {
    fn uint(&mut self, name: &'static str, number: u64) {
        if self.has(name) {
            self.object.uint(name, number);
        }
    }

    fn string(&mut self, name: &'static str, text: &'s str) {
        if self.has(name) {
            self.object.string(name, text);
        }
    }

    fn text_with(&mut self, name: &'static str, text: Text<'s>, suffix: &'static str) {
        if self.has(name) {
            Members::text_with(&mut self.object, name, text, suffix);
        }
    }

    fn truth(&mut self, name: &'static str, value: bool) {
        if self.has(name) {
            self.object.truth(name, value);
        }
    }

    fn value(&mut self, name: &'static str, value: Value<'s>) {
        if self.has(name) {
            Members::value(&mut self.object, name, value);
        }
    }

    fn strings(&mut self, name: &'static str, texts: &'s [String]) {
        if self.has(name) {
            Members::strings(&mut self.object, name, texts);
        }
    }

    /// There is no name to ask for it by.
    fn unnamed(&mut self, _: u32, _: Field<'s>) {}
}

/// What stands for each octet of a string: 0 for itself, `u` for its code, anything else after a backslash.
const ESCAPES: [u8; 256] = {
    let mut escapes = [0; 256];
    let mut octet = 0;
    while octet < 0x20 {
        escapes[octet] = b'u';
        octet += 1;
    }
    escapes[0x08] = b'b';
    escapes[b'\t' as usize] = b't';
    escapes[b'\n' as usize] = b'n';
    escapes[0x0c] = b'f';
    escapes[b'\r' as usize] = b'r';
    escapes[b'"' as usize] = b'"';
    escapes[b'\\' as usize] = b'\\';
    escapes
};

#[inline]
fn escape(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut plain = 0;
    for (position, &octet) in bytes.iter().enumerate() {
        let escaped = ESCAPES[usize::from(octet)];
        if escaped != 0 {
            out.extend_from_slice(&bytes[plain..position]);
            plain = position + 1;
            escape_one(out, octet, escaped);
        }
    }
    out.extend_from_slice(&bytes[plain..]);
}

#[cold]
fn escape_one(out: &mut Vec<u8>, octet: u8, escaped: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend([b'\\', escaped]);
    if escaped == b'u' {
        out.extend([b'0', b'0', DIGITS[usize::from(octet >> 4)], DIGITS[usize::from(octet & 15)]]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Json)) -> String {
        let mut json = Json::default();
        write(&mut json);
        String::from_utf8(json.bytes).unwrap()
    }

    #[test]
    fn every_string_reads_back_as_what_it_was() {
        let controls: String = (0..0x30_u8).map(char::from).collect();
        for text in
            ["", "gv_ZW:0", "a \"quoted\" \\ line\nand tab\t", "žluťoučký 🐎 \u{2028}\u{7f}", &controls]
        {
            let json = written(|json| json.string(text));
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text, "{json}");
            assert!(!json.contains('\n'), "a string stays on its line");
        }
        assert_eq!(written(|json| json.string("\u{1}\u{1f}\n\"")), r#""\u0001\u001f\n\"""#);
    }

    #[test]
    fn values_of_every_type_have_a_form_in_json() {
        let value = |value| written(|json| json.value(value));
        assert_eq!(value(Value::Null), "null");
        assert_eq!(value(Value::Bool(true)), "true");
        assert_eq!(value(Value::Uint(u64::MAX)), "18446744073709551615");
        assert_eq!(value(Value::Int(-7)), "-7");
        assert_eq!(value(Value::Double(0.5)), "0.5");
        assert_eq!(value(Value::Double(f64::NAN)), "null");
        assert_eq!(value(Value::Text("t")), "\"t\"");
        assert_eq!(value(Value::Bytes(&[0, 0xfe])), "\"00fe\"");
        assert_eq!(value(Value::Encoded(&[0x45])), "\"45\"");
    }

    #[test]
    fn an_object_has_commas_between_its_members_only() {
        let empty = written(|json| Object::open(json).close());
        assert_eq!(empty, "{}");
        let two = written(|json| {
            let mut object = Object::open(json);
            object.uint("a", 1);
            object.truth("b", false);
            object.close();
        });
        assert_eq!(two, r#"{"a":1,"b":false}"#);
    }
}
