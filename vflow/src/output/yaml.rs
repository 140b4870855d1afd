//! YAML, of what JSON can say. Texts that could be read as anything else are in quotes, as JSON has them.

use std::io::{self, Write};

use serde_json::Value;

use super::escaped;

/// An item of a list.
pub(super) fn write_item(out: &mut dyn Write, item: &Value) -> io::Result<()> {
    write_value(out, item, 2, Before::Dash)
}

/// A document.
pub(crate) fn document(out: &mut dyn Write, value: &Value) -> io::Result<()> {
    write_value(out, value, 0, Before::Nothing)
}

/// What stands before a value on its line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    Dash,
    Name,
}

fn write_value(out: &mut dyn Write, value: &Value, indent: usize, before: Before) -> io::Result<()> {
    match value {
        Value::Object(object) if !object.is_empty() => {
            for (at, (name, value)) in object.iter().enumerate() {
                match before {
                    Before::Name if at == 0 => writeln!(out)?,
                    Before::Dash if at == 0 => write!(out, "{:1$}- ", "", indent - 2)?,
                    _ => {}
                }
                if before != Before::Dash || at > 0 {
                    write!(out, "{:1$}", "", indent)?;
                }
                write!(out, "{}:", text(name))?;
                write_value(out, value, indent + 2, Before::Name)?;
            }
            Ok(())
        }
        Value::Array(items) if !items.is_empty() => {
            if before == Before::Name {
                writeln!(out)?;
            }
            if before == Before::Dash {
                writeln!(out, "{:1$}-", "", indent - 2)?;
            }
            let indent = if before == Before::Name { indent } else { indent + 2 };
            items.iter().try_for_each(|item| write_value(out, item, indent, Before::Dash))
        }
        other => {
            let scalar = match other {
                Value::String(value) => text(value),
                other => other.to_string(),
            };
            match before {
                Before::Nothing => writeln!(out, "{scalar}"),
                Before::Dash => writeln!(out, "{:1$}- {scalar}", "", indent - 2),
                Before::Name => writeln!(out, " {scalar}"),
            }
        }
    }
}

/// A text as it is where nobody can take it for a number, a truth, a time or a sign of YAML.
fn text(text: &str) -> String {
    let is_plain = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"_-./@".contains(&octet))
        && !["null", "true", "false", "yes", "no", "on", "off", "y", "n"]
            .contains(&text.to_lowercase().as_str());
    if is_plain { text.to_owned() } else { escaped(&Value::String(text.to_owned())) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_could_be_read_otherwise_is_in_quotes() {
        let value = json!({
            "name": "west", "number": 7, "zip": "0123", "no": "no", "empty": {}, "list": ["a b", 1, [2, 3], {"x": null, "y": true}],
            "nested": {"text": "a: b\u{1b}"},
        });
        let mut out = Vec::new();
        document(&mut out, &value).expect("writes");
        assert_eq!(
            String::from_utf8(out).expect("is text"),
            r#"name: west
number: 7
zip: "0123"
"no": "no"
empty: {}
list:
- "a b"
- 1
-
  - 2
  - 3
- x: null
  "y": true
nested:
  text: "a: b\u001b"
"#
        );
    }

    #[test]
    fn items_of_a_list_are_one_after_the_other() {
        let mut out = Vec::new();
        write_item(&mut out, &json!({"a": 1, "b": [1]})).expect("writes");
        write_item(&mut out, &json!({"a": 2})).expect("writes");
        assert_eq!(String::from_utf8(out).expect("is text"), "- a: 1\n  b:\n  - 1\n- a: 2\n");
    }
}
