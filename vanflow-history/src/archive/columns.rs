//! Rows in a Parquet file: which types columns have there, how they are written, and how they are read.
//!
//! A file is read by its own schema: a column that a table has and an old file has not is without a value in its rows.

use std::{fs::File, io::Write, sync::Arc};

use parquet::{
    basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel},
    column::reader::{ColumnReader, ColumnReaderImpl},
    data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int64Type},
    errors::{ParquetError, Result},
    file::{
        metadata::{KeyValue, RowGroupMetaData},
        properties::{EnabledStatistics, ReaderProperties, WriterProperties},
        reader::{FileReader, SerializedFileReader},
        serialized_reader::ReadOptionsBuilder,
        statistics::Statistics,
        writer::SerializedFileWriter,
    },
    schema::types::{ColumnPath, Type},
};

use crate::rows::{Column, ColumnKind, Row, Span, Table, Value};

/// The version of what files of this kind look like, in the metadata of each.
const VERSION: &str = "1";
const VERSION_KEY: &str = "vanflow.version";

/// How many rows are taken together. Of a group that has no row that is looked for, nothing is read.
const ROWS_IN_GROUP: usize = 1 << 16;

/// Writes rows of a table, as they are ordered.
pub(super) fn write(table: &Table, rows: &[Row], file: impl Write + Send) -> Result<()> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_created_by(concat!("vanflow-history ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(vec![KeyValue::new(VERSION_KEY.to_owned(), VERSION.to_owned())]))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_column_statistics_enabled(path(table, table.end), EnabledStatistics::Page);
    // What no two rows have in common is not put in dictionaries, and its filters are as large as they have to be.
    let most = rows.len().clamp(1, ROWS_IN_GROUP) as u64;
    let properties = [table.key, table.identity].into_iter().fold(properties, |properties, column| {
        properties
            .set_column_dictionary_enabled(path(table, column), false)
            .set_column_bloom_filter_fpp(path(table, column), 0.01)
            .set_column_bloom_filter_max_ndv(path(table, column), most)
    });
    let properties = properties.build();
    let mut writer = SerializedFileWriter::new(file, Arc::new(schema(table)?), Arc::new(properties))?;
    for rows in rows.chunks(ROWS_IN_GROUP) {
        let mut group = writer.next_row_group()?;
        for (position, column) in table.columns.iter().enumerate() {
            let mut chunk = group.next_column()?.ok_or_else(|| changed(column))?;
            let values = rows.iter().map(|row| &row.values[position]);
            match column.kind {
                ColumnKind::Text => {
                    let texts = |value: &Value| match value {
                        Value::Text(text) => Some(ByteArray::from(text.as_bytes().to_vec())),
                        _ => None,
                    };
                    let (levels, texts) = optional(values, texts);
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
            chunk.close()?;
        }
        group.close()?;
    }
    writer.close()?;
    Ok(())
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

fn path(table: &Table, column: usize) -> ColumnPath {
    ColumnPath::from(table.columns[column].name)
}

fn changed(column: &Column) -> ParquetError {
    ParquetError::General(format!("there is no column `{}`", column.name))
}

fn schema(table: &Table) -> Result<Type> {
    let fields = table.columns.iter().map(|column| field(*column).map(Arc::new)).collect::<Result<_>>()?;
    Type::group_type_builder(table.name).with_fields(fields).build()
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
    file: SerializedFileReader<File>,
    /// For each column of the table, which of the file it is.
    places: Vec<Option<usize>>,
}

impl<'t> Reader<'t> {
    pub(super) fn open(table: &'t Table, file: File) -> Result<Self> {
        Self::new(table, file, false)
    }

    /// The same, with what says which keys are not in it.
    pub(super) fn with_filters(table: &'t Table, file: File) -> Result<Self> {
        Self::new(table, file, true)
    }

    fn new(table: &'t Table, file: File, has_filters: bool) -> Result<Self> {
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
        Ok(Self { table, file, places })
    }

    /// Whether its table has all of its columns.
    pub(super) fn is_known_whole(&self) -> bool {
        let columns = self.file.metadata().file_metadata().schema_descr().num_columns();
        (0..columns).all(|column| self.places.contains(&Some(column)))
    }

    pub(super) fn rows(&self) -> u64 {
        u64::try_from(self.file.metadata().file_metadata().num_rows()).unwrap_or(0)
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

    /// The row with that key, or of those with that identity the one that ended last.
    pub(super) fn find(&self, name: &str) -> Result<Option<Row>> {
        let mut found: Option<Row> = None;
        for at in 0..self.groups() {
            if !self.can_have(at, name)? {
                continue;
            }
            let all = Span { from: 0, until: u64::MAX };
            let rows = self.group(at, all)?.into_iter().filter(|row| self.table.is_called(row, name));
            found = rows.chain(found).max_by_key(|row| self.table.end(row));
        }
        Ok(found)
    }

    /// Whether a group can have a row with that key or identity, as far as its filters say.
    fn can_have(&self, at: usize, name: &str) -> Result<bool> {
        let group = self.file.get_row_group(at)?;
        let can_be = |column: usize| match self.places[column] {
            Some(place) => group.get_column_bloom_filter(place).is_none_or(|filter| filter.check(name)),
            None => false,
        };
        Ok(can_be(self.table.key) || can_be(self.table.identity))
    }

    /// The rows of a group, none where none of them can have ended in that time.
    pub(super) fn group(&self, at: usize, span: Span) -> Result<Vec<Row>> {
        let metadata = self.file.metadata().row_group(at);
        if self.ends_of(metadata).is_some_and(|(earliest, latest)| !span.meets(earliest, latest)) {
            return Ok(Vec::new());
        }
        let count = usize::try_from(metadata.num_rows()).unwrap_or(0);
        let columns = self.table.columns.len();
        let mut rows: Vec<Box<[Value]>> =
            (0..count).map(|_| vec![Value::None; columns].into_boxed_slice()).collect();
        let group = self.file.get_row_group(at)?;
        for (position, column) in self.table.columns.iter().enumerate() {
            let Some(place) = self.places[position] else { continue };
            let mut values = rows.iter_mut().map(|row| &mut row[position]);
            let mut put = |value| {
                if let Some(place) = values.next() {
                    *place = value;
                }
            };
            match (column.kind, group.get_column_reader(place)?) {
                (ColumnKind::Texts, ColumnReader::ByteArrayColumnReader(reader)) => {
                    lists(reader, count, put)?;
                }
                (_, ColumnReader::ByteArrayColumnReader(reader)) => {
                    each(reader, count, |text| {
                        put(text.map_or(Value::None, |text| Value::Text(lossy(&text))))
                    })?;
                }
                (_, ColumnReader::Int64ColumnReader(reader)) => {
                    let number = |number: i64| Value::Number(number.cast_unsigned());
                    each(reader, count, |value| put(value.map_or(Value::None, number)))?;
                }
                (_, ColumnReader::BoolColumnReader(reader)) => {
                    each(reader, count, |truth| put(truth.map_or(Value::None, Value::Truth)))?;
                }
                _ => {}
            }
        }
        Ok(rows.into_iter().map(|values| Row { values }).collect())
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

/// Gives each of `count` values that can be missing.
fn each<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    count: usize,
    mut give: impl FnMut(Option<T::T>),
) -> Result<()> {
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    read(&mut reader, count, &mut levels, None, &mut values)?;
    let mut values = values.into_iter();
    levels.into_iter().for_each(|level| give(if level > 0 { values.next() } else { None }));
    Ok(())
}

/// Gives each of `count` lists.
fn lists(
    mut reader: ColumnReaderImpl<ByteArrayType>,
    count: usize,
    mut give: impl FnMut(Value),
) -> Result<()> {
    let (mut defined, mut repeated, mut values) = (Vec::new(), Vec::new(), Vec::new());
    read(&mut reader, count, &mut defined, Some(&mut repeated), &mut values)?;
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

fn read<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    count: usize,
    defined: &mut Vec<i16>,
    mut repeated: Option<&mut Vec<i16>>,
    values: &mut Vec<T::T>,
) -> Result<()> {
    let mut had = 0;
    while had < count {
        let (records, _, _) =
            reader.read_records(count - had, Some(defined), repeated.as_deref_mut(), values)?;
        if records == 0 {
            return Err(ParquetError::EOF(format!("a column has {had} values where there are {count} rows")));
        }
        had += records;
    }
    Ok(())
}
