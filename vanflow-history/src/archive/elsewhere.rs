//! Files of rows that are elsewhere, such as in a bucket: read a part at a time, by what reads those on disk.

use std::{
    io::{self, BufReader, Read},
    ops::ControlFlow,
    sync::Arc,
};

use bytes::Bytes;
use parquet::{
    errors::Result,
    file::reader::{ChunkReader, Length},
};

use super::Reader;
use crate::rows::{Row, Table, Wanted};

/// How much is read at once of what says how long the next part is.
const HEADER: usize = 512;

/// A file that is read a part at a time, wherever it is.
pub trait ReadAt: Send + Sync {
    /// How many octets it has.
    fn length(&self) -> u64;

    /// So many octets from there on. Blocks.
    ///
    /// # Errors
    ///
    /// Where they are not to be had, all of them.
    fn read_at(&self, from: u64, length: usize) -> io::Result<Vec<u8>>;
}

/// A Parquet file of rows of a table, wherever it is: what a [`crate::ParquetWriter`] wrote, or an archive. What is not asked for
/// is not read.
pub struct ParquetReader<'t>(Reader<'t>);

impl<'t> ParquetReader<'t> {
    /// Reads what the file says of itself, and nothing else. Blocks.
    ///
    /// # Errors
    ///
    /// Where it cannot be read, or is no such file.
    pub fn open(table: &'t Table, file: Arc<dyn ReadAt>) -> io::Result<Self> {
        Ok(Self(Reader::open(table, Parts(file))?))
    }

    /// The same, with what says which keys are not in it, for [`ParquetReader::find`].
    ///
    /// # Errors
    ///
    /// As [`ParquetReader::open`].
    pub fn with_filters(table: &'t Table, file: Arc<dyn ReadAt>) -> io::Result<Self> {
        Ok(Self(Reader::with_filters(table, Parts(file))?))
    }

    /// Gives each row that is looked for, until `visit` has enough; answers whether it has. Blocks.
    ///
    /// # Errors
    ///
    /// Where they cannot be read.
    pub fn visit(
        &self,
        wanted: &Wanted<'_>,
        visit: &mut dyn FnMut(Row) -> ControlFlow<()>,
    ) -> io::Result<ControlFlow<()>> {
        Ok(self.0.visit(wanted, visit)?)
    }

    /// The row with that key, or of those with that identity the one that ended last. Blocks.
    ///
    /// # Errors
    ///
    /// Where it cannot be read whether it is there.
    pub fn find(&self, name: &str) -> io::Result<Option<Row>> {
        Ok(self.0.find(name)?)
    }
}

impl std::fmt::Debug for ParquetReader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetReader").field("rows", &self.0.rows()).finish_non_exhaustive()
    }
}

/// A file by its parts.
struct Parts(Arc<dyn ReadAt>);

/// A file from some place on.
struct Onwards {
    file: Arc<dyn ReadAt>,
    at: u64,
}

impl Length for Parts {
    fn len(&self) -> u64 {
        self.0.length()
    }
}

impl ChunkReader for Parts {
    type T = BufReader<Onwards>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(BufReader::with_capacity(HEADER, Onwards { file: self.0.clone(), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        Ok(self.0.read_at(start, length)?.into())
    }
}

impl Read for Onwards {
    fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(self.file.length().saturating_sub(self.at)).unwrap_or(usize::MAX);
        let length = octets.len().min(rest);
        let part = self.file.read_at(self.at, length)?;
        let part = part.get(..length).ok_or(io::ErrorKind::UnexpectedEof)?;
        octets[..length].copy_from_slice(part);
        self.at += length as u64;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use tempfile::TempDir;

    use super::*;
    use crate::{
        archive::tests::{ALL, AT, open, row, table},
        rows::{Rows, Span},
    };

    /// What takes rows, until it has enough.
    type Visit<'v> = &'v mut dyn FnMut(Row) -> ControlFlow<()>;

    /// A file in memory, of which a part can be missing.
    struct Memory {
        octets: Vec<u8>,
        missing: Option<u64>,
        read: AtomicUsize,
    }

    impl ReadAt for Memory {
        fn length(&self) -> u64 {
            self.octets.len() as u64
        }

        fn read_at(&self, from: u64, length: usize) -> io::Result<Vec<u8>> {
            if self.missing.is_some_and(|at| (from..from + length as u64).contains(&at)) {
                return Err(io::Error::other("the server is gone"));
            }
            self.read.fetch_add(length, Ordering::Relaxed);
            let from = usize::try_from(from).unwrap();
            Ok(self.octets.get(from..from + length).ok_or(io::ErrorKind::UnexpectedEof)?.to_vec())
        }
    }

    fn memory(octets: &[u8], missing: Option<u64>) -> Arc<Memory> {
        Arc::new(Memory { octets: octets.to_vec(), missing, read: AtomicUsize::default() })
    }

    #[test]
    fn a_file_has_the_same_rows_wherever_it_is_and_what_is_not_asked_for_is_not_read() {
        let directory = TempDir::new().unwrap();
        let (archive, _) = open(&directory, crate::ArchiveOptions::default(), AT);
        let many = (0..2000).map(|number| (0, row(&format!("a:{number}@7"), AT + number)));
        archive.append(&many.collect::<Vec<_>>(), AT).unwrap();
        archive.seal_all().unwrap();
        let name = "connections/date=2026-11-26/hour=03/00000000000000000000.parquet";
        let octets = fs::read(directory.path().join(name)).unwrap();
        let (table, all) = (table(), Wanted::all("connections", ALL));
        let rows = |rows: &dyn Fn(Visit<'_>)| {
            let mut found = Vec::new();
            rows(&mut |row| {
                found.push(row);
                ControlFlow::Continue(())
            });
            found
        };
        for wanted in [all.clone(), Wanted::all("connections", Span { from: AT + 7, until: AT + 700 })] {
            let reader = ParquetReader::open(&table, memory(&octets, None)).unwrap();
            let found = rows(&|visit| assert!(reader.visit(&wanted, visit).unwrap().is_continue()));
            assert_eq!(found, rows(&|visit| archive.visit(&wanted, visit).unwrap()));
            assert!(reader.visit(&wanted, &mut |_| ControlFlow::Break(())).unwrap().is_break());
        }
        let reader = ParquetReader::with_filters(&table, memory(&octets, None)).unwrap();
        assert_eq!(reader.find("a:1234@7").unwrap(), Some(row("a:1234@7", AT + 1234)));
        assert_eq!(reader.find("a:9999@7").unwrap(), None);

        let file = memory(&octets, None);
        let reader = ParquetReader::open(&table, file.clone()).unwrap();
        let some = all.clone().of_columns(vec!["octets"]);
        let found = rows(&|visit| assert!(reader.visit(&some, visit).unwrap().is_continue()));
        assert_eq!(found.len(), 2000);
        let read = file.read.load(Ordering::Relaxed);
        assert!(read < octets.len() / 2, "{read} of {}", octets.len());
    }

    #[test]
    fn a_part_that_is_not_to_be_had_is_an_error_wherever_it_is_missing() {
        let directory = TempDir::new().unwrap();
        let (archive, _) = open(&directory, crate::ArchiveOptions::default(), AT);
        archive.append(&[(0, row("a:1@7", AT)), (0, row("a:2@7", AT + 1))], AT).unwrap();
        archive.seal_all().unwrap();
        let name = "connections/date=2026-11-26/hour=03/00000000000000000000.parquet";
        let octets = fs::read(directory.path().join(name)).unwrap();
        let (table, all) = (table(), Wanted::all("connections", ALL));
        let mut failed = 0;
        for at in 0..octets.len() as u64 {
            let mut count = 0;
            let read = ParquetReader::open(&table, memory(&octets, Some(at))).and_then(|reader| {
                reader.visit(&all, &mut |_| {
                    count += 1;
                    ControlFlow::Continue(())
                })
            });
            match read {
                // Nothing asked for that: filters are not.
                Ok(_) => assert_eq!(count, 2, "{at}"),
                Err(error) => {
                    assert!(error.to_string().contains("the server is gone"), "{at}: {error}");
                    failed += 1;
                }
            }
        }
        assert!(failed > octets.len() / 4, "{failed} of {}", octets.len());
        // What is cut is none.
        assert!(ParquetReader::open(&table, memory(&octets[1..octets.len() - 1], None)).is_err());
    }
}
