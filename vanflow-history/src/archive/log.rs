//! The log that rows are appended to before they are in a file of columns: a line for each, with a checksum before it.
//!
//! A line is whole or it is not there: what a crash tore off is cut when the log is read, and counted.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Write},
    path::Path,
};

use serde_json::{Map, Value as Json};

use super::disk::{Disk, Output};
use crate::rows::{Row, Table, Value};

/// A log that is written.
#[derive(Debug)]
pub(super) struct Log {
    file: Output,
    /// How many octets are good, so that what failed half way can be cut off.
    length: u64,
}

impl Log {
    /// A new one: there must be none of that name.
    pub(super) fn create(disk: &Disk, path: &Path) -> io::Result<Self> {
        Ok(Self { file: disk.create_new(path)?, length: 0 })
    }

    /// Appends rows, all or none, and waits until they are on disk.
    pub(super) fn append<'r>(
        &mut self,
        rows: impl IntoIterator<Item = (&'r Table, &'r Row)>,
    ) -> io::Result<()> {
        let (mut lines, mut line) = (Vec::new(), Vec::new());
        for (table, row) in rows {
            line.clear();
            write_json(&mut line, table, row)?;
            lines.extend_from_slice(&checksum(&line));
            lines.extend_from_slice(&line);
            lines.push(b'\n');
        }
        if lines.is_empty() {
            return Ok(());
        }
        let written = self.file.write_all(&lines).and_then(|()| self.file.sync());
        match written {
            Ok(()) => self.length += lines.len() as u64,
            // Where not even that works, the checksum has it passed over.
            Err(_) => self.file.cut(self.length)?,
        }
        written
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }
}

/// What a log had.
#[derive(Debug, Default)]
pub(super) struct Logged {
    /// Each row, with the position of its table.
    pub(super) rows: Vec<(usize, Row)>,
    /// Lines that are damaged or torn.
    pub(super) damaged: u64,
}

/// Reads a log. Rows of tables that there are no more are passed over.
pub(super) fn read(path: &Path, tables: &[Table]) -> io::Result<Logged> {
    let mut logged = Logged::default();
    let mut reader = BufReader::new(File::open(path)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(logged);
        }
        match parse(&line, tables) {
            Some(Some(row)) => logged.rows.push(row),
            Some(None) => {}
            None => logged.damaged += 1,
        }
    }
}

/// What comes after its [`checksum`].
pub(super) fn checked(kept: &[u8]) -> Option<&[u8]> {
    let (checksum, octets) = kept.split_at_checked(9)?;
    let checksum = std::str::from_utf8(checksum).ok()?.strip_suffix(' ')?;
    (u32::from_str_radix(checksum, 16).ok()? == crc32fast::hash(octets)).then_some(octets)
}

/// The CRC-32 of octets, which is written before them.
pub(super) fn checksum(octets: &[u8]) -> [u8; 9] {
    let mut text = [b' '; 9];
    text.iter_mut()
        .zip(format!("{:08x}", crc32fast::hash(octets)).bytes())
        .for_each(|(at, digit)| *at = digit);
    text
}

/// None where a line is damaged, nothing in it where its table is not known.
fn parse(line: &[u8], tables: &[Table]) -> Option<Option<(usize, Row)>> {
    let text = checked(line.strip_suffix(b"\n")?)?;
    let mut json: Map<String, Json> = serde_json::from_slice(text).ok()?;
    let name = json.get(TABLE)?.as_str()?;
    let Some(at) = tables.iter().position(|table| table.name == name) else { return Some(None) };
    let columns = tables[at].columns.iter();
    let values = columns.map(|column| Value::of(json.remove(column.name), column.kind)).collect();
    Some(Some((at, Row { values })))
}

/// The member of a line that names its table. No column is called so.
const TABLE: &str = "$table";

/// A row as JSON: its table, and what there is of it by the names of the columns.
fn write_json(line: &mut Vec<u8>, table: &Table, row: &Row) -> io::Result<()> {
    write!(line, "{{\"{TABLE}\":")?;
    serde_json::to_writer(&mut *line, table.name)?;
    for (column, value) in table.columns.iter().zip(&row.values) {
        if *value == Value::None {
            continue;
        }
        line.push(b',');
        serde_json::to_writer(&mut *line, column.name)?;
        line.push(b':');
        match value {
            Value::None => {}
            Value::Number(number) => write!(line, "{number}")?,
            Value::Truth(truth) => write!(line, "{truth}")?,
            Value::Text(text) => serde_json::to_writer(&mut *line, &**text)?,
            Value::Texts(texts) => serde_json::to_writer(&mut *line, texts)?,
        }
    }
    line.push(b'}');
    Ok(())
}
