//! Comma-separated values, as RFC 4180 has them, in the form that the API gives them.

use std::io::{self, Write};

use serde_json::Value;

/// The names of the columns.
pub(crate) fn write_header(out: &mut dyn Write, header: &[String]) -> io::Result<()> {
    writeln!(out, "{}", header.iter().map(|name| field(name)).collect::<Vec<_>>().join(","))
}

/// The properties of an item that the header has, in its order.
pub(crate) fn write_row(out: &mut dyn Write, header: &[String], item: &Value) -> io::Result<()> {
    let fields = header.iter().map(|name| match &item[name.as_str()] {
        Value::Null => String::new(),
        Value::String(text) => field(text),
        other => field(&other.to_string()),
    });
    writeln!(out, "{}", fields.collect::<Vec<_>>().join(","))
}

/// A field, in quotes where it has to be. A text that a spreadsheet would run as a formula has an apostrophe before it.
fn field(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_quoted_where_they_have_to_be_and_no_formula_is_run() {
        let mut out = Vec::new();
        let header = ["a", "b", "c", "d"].map(str::to_owned);
        write_header(&mut out, &header).expect("writes");
        write_row(&mut out, &header, &json!({"a": "x,\"y\"", "b": 7, "c": "=1+1"})).expect("writes");
        assert_eq!(String::from_utf8(out).expect("is text"), "a,b,c,d\n\"x,\"\"y\"\"\",7,'=1+1,\n");
    }
}
