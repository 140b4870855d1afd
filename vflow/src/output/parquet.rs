//! Parquet: items as rows of the tables that the collector's history has, some at a time.

use std::io::Write;

use serde_json::Value as Json;
use vanflow_history::{
    ParquetWriter,
    rows::{Column, Row, Table, Value},
};

use crate::{error::Error, noun::Noun};

/// How many rows are written together. They are in memory until then.
const ROWS_IN_GROUP: usize = 16_384;

/// What a file of items looks like.
#[derive(Debug)]
pub(crate) struct Shape {
    table: Table,
    columns: Vec<Column>,
}

/// A file that is written.
pub(crate) struct File<'s> {
    shape: &'s Shape,
    /// Into memory, which is emptied after each group.
    writer: ParquetWriter<'s, Vec<u8>>,
    out: &'s mut dyn Write,
    rows: Vec<Row>,
    written: u64,
}

impl Shape {
    /// The columns of these names, or where there are none, all; in the order of the table.
    ///
    /// # Errors
    ///
    /// Where no table has such items, or no column is called so.
    pub(crate) fn new(noun: &Noun, names: &[String]) -> Result<Self, Error> {
        let table = vanflow_api::tables().into_iter().find(|table| table.name == noun.plural);
        let table = table.ok_or_else(|| {
            Error::usage(format!(
                "{} cannot be exported as parquet: -o is one of ndjson, csv, json, yaml",
                noun.plural
            ))
        })?;
        if let Some(unknown) = names.iter().find(|name| table.column(name).is_none()) {
            let known: Vec<_> = table.columns.iter().map(|column| column.name).collect();
            return Err(Error::usage(format!(
                "--columns has `{unknown}`; it must be some of {}",
                known.join(", ")
            )));
        }
        let is_chosen = |column: &&Column| names.is_empty() || names.iter().any(|name| name == column.name);
        let columns = table.columns.iter().filter(is_chosen).copied().collect();
        Ok(Self { table, columns })
    }
}

impl<'s> File<'s> {
    pub(crate) fn new(shape: &'s Shape, out: &'s mut dyn Write) -> Result<Self, Error> {
        let writer = ParquetWriter::new(&shape.table, &shape.columns, ROWS_IN_GROUP, Vec::new())?;
        Ok(Self { shape, writer, out, rows: Vec::new(), written: 0 })
    }

    /// Writes an item.
    pub(crate) fn write(&mut self, item: &Json) -> Result<(), Error> {
        let value = |column: &Column| Value::of(item.get(column.name).cloned(), column.kind);
        self.rows.push(Row { values: self.shape.columns.iter().map(value).collect() });
        self.written += 1;
        if self.rows.len() == ROWS_IN_GROUP {
            self.write_rows()?;
        }
        Ok(())
    }

    fn write_rows(&mut self) -> Result<(), Error> {
        self.writer.write(&self.rows)?;
        self.rows.clear();
        let target = self.writer.target();
        self.out.write_all(target)?;
        target.clear();
        Ok(())
    }

    /// There are no more items. How many there were.
    pub(crate) fn end(mut self) -> Result<u64, Error> {
        if !self.rows.is_empty() {
            self.write_rows()?;
        }
        self.out.write_all(&self.writer.end()?)?;
        self.out.flush()?;
        Ok(self.written)
    }
}
