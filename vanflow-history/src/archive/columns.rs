//! Rows in a Parquet file: which types columns have there, how they are written, and how they are read.
//!
//! A file is read by its own schema: a column that a table has and an old file has not is without a value in its rows.

use std::{
    borrow::Borrow,
    io::{self, Write},
    iter,
    ops::ControlFlow,
    sync::Arc,
};

use bytes::Bytes;
use parquet::{
    basic::{Compression, Encoding, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel},
    column::reader::{ColumnReader, ColumnReaderImpl},
    data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int64Type},
    errors::{ParquetError, Result},
    file::{
        metadata::{KeyValue, RowGroupMetaData},
        properties::{EnabledStatistics, ReaderProperties, WriterProperties},
        reader::{ChunkReader, FileReader, RowGroupReader, SerializedFileReader},
        serialized_reader::ReadOptionsBuilder,
        statistics::Statistics,
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::types::{ColumnPath, Type},
};

use crate::rows::{Column, ColumnKind, Condition, Is, Row, Span, Table, Value, Wanted};

/// The version of what files of this kind look like, in the metadata of each.
const VERSION: &str = "1";
const VERSION_KEY: &str = "vanflow.version";

/// How many rows are taken together. Of a group that has no row that is looked for, nothing is read.
pub(super) const ROWS_IN_GROUP: usize = 1 << 16;

/// Of how many rows sums are, in the metadata of a file of those.
const SUMMED_KEY: &str = "vanflow.rows";

/// Writes rows of a table, as they are ordered; where they are sums, with of how many rows they are.
pub(super) fn write<R: Borrow<Row>>(
    table: &Table,
    rows: &[R],
    summed: Option<u64>,
    file: impl Write + Send,
) -> Result<()> {
    let shape = Shape::of(table, summed);
    let mut writer = ParquetWriter::shaped(&shape, &table.columns, rows.len(), file)?;
    rows.chunks(ROWS_IN_GROUP).try_for_each(|rows| writer.write_group(rows))?;
    writer.finish().map(drop)
}

/// The same of so many rows, no more than a group has, a column at a time: `values` gives those of a column, in the order of
/// the file.
pub(super) fn write_by_column(
    table: &Table,
    count: usize,
    summed: Option<u64>,
    values: impl Fn(usize) -> Result<Vec<Value>>,
    file: impl Write + Send,
) -> Result<()> {
    let mut writer = ParquetWriter::shaped(&Shape::of(table, summed), &table.columns, count, file)?;
    let mut group = writer.writer.next_row_group()?;
    for (position, column) in table.columns.iter().enumerate() {
        write_column(&mut group, column, values(position)?.iter())?;
    }
    group.close()?;
    writer.finish().map(drop)
}

/// A Parquet file that is written, some rows at a time: what it has in memory is those.
pub struct ParquetWriter<'t, W: Write + Send> {
    columns: &'t [Column],
    writer: SerializedFileWriter<W>,
}

impl<'t, W: Write + Send> ParquetWriter<'t, W> {
    /// A file of rows with these columns of a table, at most so many in a group. Nothing has to be among them.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    pub fn new(table: &Table, columns: &'t [Column], rows_in_group: usize, file: W) -> io::Result<Self> {
        let position = |at: usize| columns.iter().position(|column| *column == table.columns[at]);
        let distinct = [table.key, table.identity].into_iter().filter_map(position).collect();
        let (found_by, paged) = (position(table.identity), position(table.end));
        let shape = Shape { name: table.name, distinct, found_by, paged, summed: None };
        Ok(Self::shaped(&shape, columns, rows_in_group, file)?)
    }

    fn shaped(shape: &Shape, columns: &'t [Column], rows_in_group: usize, file: W) -> Result<Self> {
        let path = |column: usize| ColumnPath::from(columns[column].name);
        let mut described = vec![KeyValue::new(VERSION_KEY.to_owned(), VERSION.to_owned())];
        described.extend(shape.summed.map(|rows| KeyValue::new(SUMMED_KEY.to_owned(), rows.to_string())));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
            .set_created_by(concat!("vanflow-history ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_key_value_metadata(Some(described))
            .set_statistics_enabled(EnabledStatistics::Chunk);
        let properties = shape.paged.into_iter().fold(properties, |properties, column| {
            properties.set_column_statistics_enabled(path(column), EnabledStatistics::Page)
        });
        // What no two rows have in common is not put in dictionaries.
        let properties = shape.distinct.iter().fold(properties, |properties, column| {
            properties.set_column_dictionary_enabled(path(*column), false)
        });
        // The filter is as large as it has to be.
        let most = rows_in_group.clamp(1, ROWS_IN_GROUP) as u64;
        let properties = shape.found_by.into_iter().fold(properties, |properties, column| {
            properties
                .set_column_bloom_filter_fpp(path(column), 0.01)
                .set_column_bloom_filter_max_ndv(path(column), most)
        });
        // Numbers of rows that lie together differ by little.
        let numbers =
            columns.iter().enumerate().filter(|(_, column)| physical(column.kind) == Physical::INT64);
        let properties = numbers.fold(properties, |properties, (column, _)| {
            properties
                .set_column_dictionary_enabled(path(column), false)
                .set_column_encoding(path(column), Encoding::DELTA_BINARY_PACKED)
        });
        let schema = schema(shape.name, columns)?;
        let writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties.build()))?;
        Ok(Self { columns, writer })
    }

    /// Writes rows, which have values for the columns of the file, as a group of their own.
    ///
    /// # Errors
    ///
    /// Where that cannot be done.
    pub fn write(&mut self, rows: &[Row]) -> io::Result<()> {
        Ok(self.write_group(rows)?)
    }

    /// What it is written to. What is there can be taken away: it is not looked at again.
    pub fn target(&mut self) -> &mut W {
        self.writer.inner_mut()
    }

    /// Ends the file, and gives back what it was written to.
    ///
    /// # Errors
    ///
    /// Where that cannot be done.
    pub fn end(self) -> io::Result<W> {
        Ok(self.finish()?)
    }

    fn finish(self) -> Result<W> {
        self.writer.into_inner()
    }

    fn write_group<R: Borrow<Row>>(&mut self, rows: &[R]) -> Result<()> {
        let mut group = self.writer.next_row_group()?;
        for (position, column) in self.columns.iter().enumerate() {
            let values = rows.iter().map(|row| &row.borrow().values[position]);
            write_column(&mut group, column, values)?;
        }
        group.close()?;
        Ok(())
    }
}

fn write_column<'v, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    column: &Column,
    values: impl Iterator<Item = &'v Value>,
) -> Result<()> {
    let mut chunk = group.next_column()?.ok_or_else(|| changed(column))?;
    match column.kind {
        ColumnKind::Text => {
            let (mut levels, mut ends, mut together) = (Vec::new(), vec![0], Vec::new());
            for value in values {
                levels.push(i16::from(matches!(value, Value::Text(_))));
                if let Value::Text(text) = value {
                    together.extend_from_slice(text.as_bytes());
                    ends.push(together.len());
                }
            }
            let together = Bytes::from(together);
            let text = |ends: &[usize]| ByteArray::from(together.slice(ends[0]..ends[1]));
            let texts: Vec<ByteArray> = ends.windows(2).map(text).collect();
            chunk.typed::<ByteArrayType>().write_batch(&texts, Some(&levels), None)?;
        }
        ColumnKind::Number | ColumnKind::Instant => {
            let is_instant = column.kind == ColumnKind::Instant;
            let number = |value: &Value| match value {
                Value::Number(0) if is_instant => None,
                // The octets of an unsigned number, as its logical type says.
                Value::Number(number) => Some(number.cast_signed()),
                _ => None,
            };
            let (levels, numbers) = optional(values, number);
            chunk.typed::<Int64Type>().write_batch(&numbers, Some(&levels), None)?;
        }
        ColumnKind::Truth => {
            let truth = |value: &Value| match value {
                Value::Truth(truth) => Some(*truth),
                _ => None,
            };
            let (levels, truths) = optional(values, truth);
            chunk.typed::<BoolType>().write_batch(&truths, Some(&levels), None)?;
        }
        ColumnKind::Texts => {
            let (mut defined, mut repeated, mut texts) = (Vec::new(), Vec::new(), Vec::new());
            for value in values {
                let list = if let Value::Texts(list) = value { &list[..] } else { &[] };
                if list.is_empty() {
                    defined.push(0);
                    repeated.push(0);
                }
                for (position, text) in list.iter().enumerate() {
                    defined.push(1);
                    repeated.push(i16::from(position > 0));
                    texts.push(ByteArray::from(text.as_bytes().to_vec()));
                }
            }
            chunk.typed::<ByteArrayType>().write_batch(&texts, Some(&defined), Some(&repeated))?;
        }
    }
    chunk.close()
}

/// What of columns is treated in ways of its own.
struct Shape {
    name: &'static str,
    /// What no two rows have in common.
    distinct: Vec<usize>,
    /// What rows are found by.
    found_by: Option<usize>,
    /// What says of each page what is in it.
    paged: Option<usize>,
    /// Of how many rows sums are.
    summed: Option<u64>,
}

impl Shape {
    fn of(table: &Table, summed: Option<u64>) -> Self {
        let is_of_rows = summed.is_none();
        Self {
            name: table.name,
            distinct: if is_of_rows { vec![table.key, table.identity] } else { Vec::new() },
            found_by: is_of_rows.then_some(table.identity),
            paged: is_of_rows.then_some(table.end),
            summed,
        }
    }
}

impl<W: Write + Send> std::fmt::Debug for ParquetWriter<'_, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetWriter").field("columns", &self.columns).finish_non_exhaustive()
    }
}

/// Whether each has a value, and the values.
fn optional<'r, T>(
    values: impl Iterator<Item = &'r Value>,
    read: impl Fn(&Value) -> Option<T>,
) -> (Vec<i16>, Vec<T>) {
    let mut present = Vec::new();
    let mut levels = Vec::new();
    for value in values.map(read) {
        levels.push(i16::from(value.is_some()));
        present.extend(value);
    }
    (levels, present)
}

fn changed(column: &Column) -> ParquetError {
    ParquetError::General(format!("there is no column `{}`", column.name))
}

fn schema(name: &str, columns: &[Column]) -> Result<Type> {
    let fields = columns.iter().map(|column| field(*column).map(Arc::new)).collect::<Result<_>>()?;
    Type::group_type_builder(name).with_fields(fields).build()
}

fn field(column: Column) -> Result<Type> {
    let primitive = |name, physical, repetition, logical| {
        Type::primitive_type_builder(name, physical)
            .with_repetition(repetition)
            .with_logical_type(logical)
            .build()
    };
    let optional = |physical, logical| primitive(column.name, physical, Repetition::OPTIONAL, logical);
    match column.kind {
        ColumnKind::Text => optional(Physical::BYTE_ARRAY, Some(LogicalType::String)),
        ColumnKind::Number => optional(Physical::INT64, Some(LogicalType::integer(64, false))),
        ColumnKind::Instant => {
            optional(Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS)))
        }
        ColumnKind::Truth => optional(Physical::BOOLEAN, None),
        ColumnKind::Texts => {
            let text = Some(LogicalType::String);
            let element = primitive("element", Physical::BYTE_ARRAY, Repetition::REQUIRED, text)?;
            let list = Type::group_type_builder("list")
                .with_repetition(Repetition::REPEATED)
                .with_fields(vec![Arc::new(element)])
                .build()?;
            Type::group_type_builder(column.name)
                .with_repetition(Repetition::REQUIRED)
                .with_logical_type(Some(LogicalType::List))
                .with_fields(vec![Arc::new(list)])
                .build()
        }
    }
}

/// A file of rows that is open.
pub(super) struct Reader<'t> {
    table: &'t Table,
    pub(super) file: Box<dyn FileReader>,
    /// For each column of the table, which of the file it is.
    pub(super) places: Vec<Option<usize>>,
}

impl<'t> Reader<'t> {
    pub(super) fn open(table: &'t Table, file: impl ChunkReader + 'static) -> Result<Self> {
        Self::new(table, file, false)
    }

    /// The same, with what says which keys are not in it.
    pub(super) fn with_filters(table: &'t Table, file: impl ChunkReader + 'static) -> Result<Self> {
        Self::new(table, file, true)
    }

    fn new(table: &'t Table, file: impl ChunkReader + 'static, has_filters: bool) -> Result<Self> {
        let properties = ReaderProperties::builder().set_read_bloom_filter(has_filters).build();
        let options = ReadOptionsBuilder::new().with_reader_properties(properties).build();
        let file = SerializedFileReader::new_with_options(file, options)?;
        let described = file.metadata().file_metadata().schema_descr();
        let place = |column: &Column| {
            let is_it = |at: &usize| {
                let found = described.column(*at);
                found.path().parts().first().is_some_and(|name| name == column.name)
                    && found.physical_type() == physical(column.kind)
            };
            (0..described.num_columns()).find(is_it)
        };
        let places = table.columns.iter().map(place).collect();
        Ok(Self { table, file: Box::new(file), places })
    }

    /// Whether its table has all of its columns.
    pub(super) fn is_known_whole(&self) -> bool {
        let columns = self.file.metadata().file_metadata().schema_descr().num_columns();
        (0..columns).all(|column| self.places.contains(&Some(column)))
    }

    pub(super) fn rows(&self) -> u64 {
        u64::try_from(self.file.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    /// Of how many rows sums are that it has.
    pub(super) fn summed(&self) -> u64 {
        let described = self.file.metadata().file_metadata().key_value_metadata();
        let summed = described.and_then(|all| all.iter().find(|one| one.key == SUMMED_KEY)?.value.as_ref());
        summed.and_then(|rows| rows.parse().ok()).unwrap_or(0)
    }

    /// The least and the greatest number in a column, as far as they are known.
    pub(super) fn bounds(&self, column: usize) -> (u64, u64) {
        let bounds = |group: &RowGroupMetaData| match group.column(self.places[column]?).statistics()? {
            Statistics::Int64(numbers) if numbers.null_count_opt() == Some(0) => {
                let number = |number: Option<&i64>| number.and_then(|number| u64::try_from(*number).ok());
                number(numbers.min_opt()).zip(number(numbers.max_opt()))
            }
            _ => None,
        };
        let groups = self.file.metadata().row_groups().iter();
        groups
            .map(|group| bounds(group).unwrap_or((0, u64::MAX)))
            .reduce(|left, right| (left.0.min(right.0), left.1.max(right.1)))
            .unwrap_or((0, u64::MAX))
    }

    /// Whether there is anything in a column.
    pub(super) fn has_any(&self, column: usize) -> bool {
        let Some(place) = self.places[column] else { return false };
        let mut groups = self.file.metadata().row_groups().iter();
        groups.any(|group| {
            let none = group.column(place).statistics().and_then(Statistics::null_count_opt);
            none.is_none_or(|none| i64::try_from(none).ok() != Some(group.num_rows()))
        })
    }

    /// When the rows of all groups ended: the earliest and the latest.
    pub(super) fn ends(&self) -> Option<(u64, u64)> {
        let groups = self.file.metadata().row_groups().iter();
        groups
            .filter_map(|group| self.ends_of(group))
            .reduce(|left, right| (left.0.min(right.0), left.1.max(right.1)))
    }

    fn ends_of(&self, group: &RowGroupMetaData) -> Option<(u64, u64)> {
        match group.column(self.places[self.table.end]?).statistics()? {
            Statistics::Int64(ends) => {
                Some((ends.min_opt()?.cast_unsigned(), ends.max_opt()?.cast_unsigned()))
            }
            _ => None,
        }
    }

    pub(super) fn groups(&self) -> usize {
        self.file.num_row_groups()
    }

    /// Gives each row that is looked for, until there are enough.
    pub(super) fn visit(
        &self,
        wanted: &Wanted<'_>,
        visit: &mut dyn FnMut(Row) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        for group in 0..self.groups() {
            for row in self.group(group, wanted)? {
                if visit(row).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The row with that key, or of those with that identity the one that ended last.
    pub(super) fn find(&self, name: &str) -> Result<Option<Row>> {
        let mut found: Option<Row> = None;
        for at in 0..self.groups() {
            if !self.can_have(at, name)? {
                continue;
            }
            let all = Wanted::all(self.table.name, Span { from: 0, until: u64::MAX });
            for column in [self.table.key, self.table.identity] {
                let column = self.table.columns[column].name;
                let wanted = all.clone().with(Condition { column, is: Is::OneOf(vec![name.into()]) });
                found =
                    self.group(at, &wanted)?.into_iter().chain(found).max_by_key(|row| self.table.end(row));
            }
        }
        Ok(found)
    }

    /// Whether a group can have a row with any of those keys, as far as its filters say.
    pub(super) fn can_have_any(&self, at: usize, keys: &[Box<str>]) -> Result<bool> {
        for key in keys {
            if self.can_have(at, key)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a group can have a row with that key or identity, as far as its filter says.
    fn can_have(&self, at: usize, name: &str) -> Result<bool> {
        let group = self.file.get_row_group(at)?;
        let Some(place) = self.places[self.table.identity] else { return Ok(false) };
        Ok(group.get_column_bloom_filter(place).is_none_or(|filter| {
            // A key begins with the identity.
            filter.check(name) || name.rsplit_once('@').is_some_and(|(identity, _)| filter.check(identity))
        }))
    }

    /// The values of a column, of all rows.
    pub(super) fn values(&self, column: usize) -> Result<Vec<Value>> {
        let mut values = Vec::new();
        for at in 0..self.groups() {
            let count = usize::try_from(self.file.metadata().row_group(at).num_rows()).unwrap_or(0);
            values.extend(self.column(&*self.file.get_row_group(at)?, column, &[(true, count)])?);
        }
        Ok(values)
    }

    /// The rows of a group that are looked for. What says whether they are is read first, and nothing else where none is.
    pub(super) fn group(&self, at: usize, wanted: &Wanted<'_>) -> Result<Vec<Row>> {
        let metadata = self.file.metadata().row_group(at);
        if !self.can_meet(metadata, wanted) {
            return Ok(Vec::new());
        }
        let count = usize::try_from(metadata.num_rows()).unwrap_or(0);
        let group = self.file.get_row_group(at)?;
        let width = self.table.columns.len();
        let mut columns: Vec<Option<std::vec::IntoIter<Value>>> = (0..width).map(|_| None).collect();
        let mut kept = vec![true; count];
        let tested = wanted.conditions.iter().filter_map(|condition| self.table.column(condition.column));
        for column in iter::once(self.table.end).chain(tested) {
            if columns[column].is_some() {
                continue;
            }
            let values = self.column(&*group, column, &[(true, count)])?;
            let conditions = wanted
                .conditions
                .iter()
                .filter(|condition| condition.column == self.table.columns[column].name);
            let conditions: Vec<_> = conditions.collect();
            for (kept, value) in kept.iter_mut().zip(&values) {
                *kept &= conditions.iter().all(|condition| condition.is.admits(value));
                if column == self.table.end {
                    *kept &= wanted.span.has(if let Value::Number(end) = value { *end } else { 0 });
                }
            }
            columns[column] = Some(values.into_iter());
        }
        let is_unknown = |condition: &&Condition| self.table.column(condition.column).is_none();
        if wanted.conditions.iter().filter(is_unknown).any(|condition| !condition.is.admits(&Value::None)) {
            return Ok(Vec::new());
        }
        let runs: Vec<_> = kept.chunk_by(|one, other| one == other).map(|run| (run[0], run.len())).collect();
        if !runs.iter().any(|(is_kept, _)| *is_kept) {
            return Ok(Vec::new());
        }
        for column in &mut columns {
            if let Some(values) = column {
                let mut kept = kept.iter();
                let values: Vec<_> = values.filter(|_| kept.next().is_some_and(|kept| *kept)).collect();
                *column = Some(values.into_iter());
            }
        }
        for (column, described) in self.table.columns.iter().enumerate() {
            let is_wanted = wanted.columns.as_ref().is_none_or(|names| names.contains(&described.name));
            if columns[column].is_none() && is_wanted {
                columns[column] = Some(self.column(&*group, column, &runs)?.into_iter());
            }
        }
        let row = |_| {
            let value = |column: &mut Option<std::vec::IntoIter<Value>>| {
                column.as_mut().and_then(Iterator::next).unwrap_or_default()
            };
            Row { values: columns.iter_mut().map(value).collect() }
        };
        Ok((0..kept.iter().filter(|kept| **kept).count()).map(row).collect())
    }

    /// Whether a group can have a row that is looked for, as far as the least and the greatest of its columns say.
    fn can_meet(&self, group: &RowGroupMetaData, wanted: &Wanted<'_>) -> bool {
        if self.ends_of(group).is_some_and(|(earliest, latest)| !wanted.span.meets(earliest, latest)) {
            return false;
        }
        wanted.conditions.iter().all(|condition| {
            let column = self.table.column(condition.column);
            let Some(place) = column.and_then(|column| self.places[column]) else {
                return condition.is.admits(&Value::None);
            };
            group.column(place).statistics().is_none_or(|statistics| can_have(statistics, &condition.is))
        })
    }

    /// The values of a column of a group, of the rows in those runs that are read; none for what the file has not.
    fn column(
        &self,
        group: &dyn RowGroupReader,
        column: usize,
        runs: &[(bool, usize)],
    ) -> Result<Vec<Value>> {
        let kept = runs.iter().filter(|(is_kept, _)| *is_kept).map(|(_, length)| length).sum();
        let mut values = Vec::with_capacity(kept);
        let Some(place) = self.places[column] else { return Ok(vec![Value::None; kept]) };
        let put = |value| values.push(value);
        match (self.table.columns[column].kind, group.get_column_reader(place)?) {
            (ColumnKind::Texts, ColumnReader::ByteArrayColumnReader(reader)) => lists(reader, runs, put)?,
            (_, ColumnReader::ByteArrayColumnReader(reader)) => {
                each(reader, runs, |text: ByteArray| Value::Text(lossy(&text)), put)?;
            }
            (_, ColumnReader::Int64ColumnReader(reader)) => {
                each(reader, runs, |number: i64| Value::Number(number.cast_unsigned()), put)?;
            }
            (_, ColumnReader::BoolColumnReader(reader)) => each(reader, runs, Value::Truth, put)?,
            _ => values.resize(kept, Value::None),
        }
        Ok(values)
    }
}

/// Whether there can be such a value, between the least and the greatest that there are.
fn can_have(statistics: &Statistics, is: &Is) -> bool {
    let has_none = statistics.null_count_opt() != Some(0);
    match (is, statistics) {
        (Is::Within(from, until), Statistics::Int64(numbers)) => {
            let least_and_greatest = numbers.min_opt().zip(numbers.max_opt());
            has_none && *from == 0
                || least_and_greatest.is_none_or(|(least, greatest)| {
                    // Numbers are unsigned, whatever the statistics hold of their order.
                    *least < 0 || *from <= greatest.cast_unsigned() && least.cast_unsigned() <= *until
                })
        }
        (Is::OneOf(texts) | Is::Beginning(texts), Statistics::ByteArray(known)) => {
            let least_and_greatest = known.min_bytes_opt().zip(known.max_bytes_opt());
            least_and_greatest.is_none_or(|(least, greatest)| {
                texts.iter().any(|text| {
                    let text = text.as_bytes();
                    let beginning = &least[..least.len().min(text.len())];
                    let is_before = match is {
                        Is::Beginning(_) => beginning <= text,
                        _ => least <= text,
                    };
                    is_before && text <= greatest
                })
            })
        }
        _ => true,
    }
}

fn physical(kind: ColumnKind) -> Physical {
    match kind {
        ColumnKind::Text | ColumnKind::Texts => Physical::BYTE_ARRAY,
        ColumnKind::Number | ColumnKind::Instant => Physical::INT64,
        ColumnKind::Truth => Physical::BOOLEAN,
    }
}

fn lossy(text: &ByteArray) -> Box<str> {
    String::from_utf8_lossy(text.data()).into()
}

/// Gives each value of the rows in those runs that are read; none where there is none.
fn each<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    runs: &[(bool, usize)],
    value: impl Fn(T::T) -> Value,
    mut give: impl FnMut(Value),
) -> Result<()> {
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    read(&mut reader, runs, &mut levels, None, &mut values)?;
    let mut values = values.into_iter().map(value);
    levels.into_iter().for_each(|level| {
        give(if level > 0 { values.next().unwrap_or_default() } else { Value::None });
    });
    Ok(())
}

/// Gives each list of the rows in those runs that are read.
fn lists(
    mut reader: ColumnReaderImpl<ByteArrayType>,
    runs: &[(bool, usize)],
    mut give: impl FnMut(Value),
) -> Result<()> {
    let (mut defined, mut repeated, mut values) = (Vec::new(), Vec::new(), Vec::new());
    read(&mut reader, runs, &mut defined, Some(&mut repeated), &mut values)?;
    let mut values = values.into_iter();
    let mut list: Option<Vec<Box<str>>> = None;
    for (defined, repeated) in defined.into_iter().zip(repeated) {
        if repeated == 0
            && let Some(whole) = list.replace(Vec::new())
        {
            give(Value::Texts(whole));
        }
        if defined > 0 {
            list.get_or_insert_default().extend(values.next().map(|text| lossy(&text)));
        }
    }
    if let Some(last) = list {
        give(Value::Texts(last));
    }
    Ok(())
}

pub(super) fn read<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    runs: &[(bool, usize)],
    defined: &mut Vec<i16>,
    mut repeated: Option<&mut Vec<i16>>,
    values: &mut Vec<T::T>,
) -> Result<()> {
    // What comes after the last that is read need not be passed over.
    let last = runs.iter().rposition(|(is_read, _)| *is_read).map_or(0, |last| last + 1);
    for (is_read, length) in &runs[..last] {
        let mut had = 0;
        while had < *length {
            let records = if *is_read {
                reader.read_records(length - had, Some(defined), repeated.as_deref_mut(), values)?.0
            } else {
                reader.skip_records(length - had)?
            };
            if records == 0 {
                return Err(ParquetError::EOF(format!(
                    "a column ends where there are {} more rows",
                    length - had
                )));
            }
            had += records;
        }
    }
    Ok(())
}
