//! Comma-separated values, as in RFC 4180: a header row, lines that end with CR and LF, quotation marks where needed.
//!
//! A text that a spreadsheet would run as a formula is written with an apostrophe before it, which spreadsheets take for
//! the mark of a text: what clients and routers report, such as the address in `X-Forwarded-For`, is for anybody to
//! choose. Filters know such texts with the apostrophe and without. JSON has all texts as they are.

use crate::{json::Json, query::value::Cell};

/// What a cell begins with that spreadsheets run.
const FORMULAS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// The header row.
pub(crate) fn header<'n>(json: &mut Json, names: impl Iterator<Item = &'n str>) {
    for (position, name) in names.enumerate() {
        separate(json, position);
        text(json, name);
    }
    json.raw("\r\n");
}

/// One line.
pub(crate) fn line<'c>(json: &mut Json, cells: impl Iterator<Item = Cell<'c>>) {
    for (position, value) in cells.enumerate() {
        separate(json, position);
        cell(json, &value);
    }
    json.raw("\r\n");
}

fn separate(json: &mut Json, position: usize) {
    if position > 0 {
        json.raw(",");
    }
}

/// Nothing where there is no value; an empty text is in quotation marks. A list is written as in JSON.
fn cell(json: &mut Json, cell: &Cell<'_>) {
    match cell {
        Cell::Absent | Cell::Null => {}
        Cell::Number(_) | Cell::Truth(_) => cell.render(json),
        Cell::Text(value) => text(json, value),
        Cell::Texts(_) => {
            let mut list = Json::default();
            cell.render(&mut list);
            text(json, &String::from_utf8_lossy(&list.bytes));
        }
    }
}

fn text(json: &mut Json, text: &str) {
    let guard = if text.starts_with(FORMULAS) { "'" } else { "" };
    if !text.is_empty() && !text.contains(['"', ',', '\r', '\n']) {
        json.raw(guard);
        json.raw(text);
        return;
    }
    json.raw("\"");
    json.raw(guard);
    for (position, part) in text.split('"').enumerate() {
        if position > 0 {
            json.raw("\"\"");
        }
        json.raw(part);
    }
    json.raw("\"");
}

/// The text that was written with an apostrophe before it.
pub(crate) fn unguarded(text: &str) -> Option<&str> {
    text.strip_prefix('\'').filter(|text| text.starts_with(FORMULAS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_written_so_that_they_can_be_read_back() {
        for (cell, expected) in [
            (Cell::Null, ""),
            (Cell::Absent, ""),
            (Cell::text(""), "\"\""),
            (Cell::text("west"), "west"),
            (Cell::text("a,b"), "\"a,b\""),
            (Cell::text("a \"b\"\r\nc"), "\"a \"\"b\"\"\r\nc\""),
            (Cell::Number(7), "7"),
            (Cell::Truth(false), "false"),
            (Cell::Texts(vec!["a".into(), "b|c".into()]), "\"[\"\"a\"\",\"\"b|c\"\"]\""),
            (Cell::Texts(Vec::new()), "[]"),
        ] {
            let mut json = Json::default();
            super::cell(&mut json, &cell);
            assert_eq!(String::from_utf8(json.bytes).unwrap(), expected);
        }
    }

    #[test]
    fn no_text_is_a_formula() {
        for (text, expected) in [
            ("=HYPERLINK(\"http://x\",\"y\")", "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\""),
            ("+8aqA:0", "'+8aqA:0"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
        ] {
            let mut json = Json::default();
            super::text(&mut json, text);
            assert_eq!(String::from_utf8(json.bytes).unwrap(), expected);
            assert_eq!(unguarded(&format!("'{text}")), Some(text));
        }
        assert_eq!(unguarded("'west"), None);
    }
}
