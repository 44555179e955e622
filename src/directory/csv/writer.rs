//! Writes rows that no spreadsheet takes for formulas. It does not know where the rows come from.

use std::borrow::Cow;
use std::io::Write;

use crate::error::{Error, ErrorKind, Result};

/// What makes a spreadsheet take a cell for a formula, as its first character (OWASP, CSV injection).
const FORMULA: &[char] = &['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// Returns a cell that no spreadsheet takes for a formula: with an apostrophe in front where it would.
///
/// [`unguarded`] gives back exactly what it was.
pub fn guarded(cell: &str) -> Cow<'_, str> {
    if cell.trim_start_matches('\'').starts_with(FORMULA) {
        Cow::Owned(format!("'{cell}"))
    } else {
        Cow::Borrowed(cell)
    }
}

/// Takes away the apostrophe that [`guarded`] put in front of a cell.
pub fn unguarded(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if rest.trim_start_matches('\'').starts_with(FORMULA) => rest,
        _ => cell,
    }
}

/// Writes a table row by row: every cell quoted where it must be and safe to open in a spreadsheet, lines ended by
/// CR LF (RFC 4180), UTF-8 behind a byte order mark, without which spreadsheets guess the encoding.
#[derive(Debug)]
pub struct CsvWriter<W: Write> {
    out: csv::Writer<W>,
}

impl<W: Write> CsvWriter<W> {
    /// Begins a table with its header.
    ///
    /// # Errors
    /// An output that cannot be written.
    pub fn new<C: AsRef<str>>(mut out: W, columns: impl IntoIterator<Item = C>) -> Result<Self> {
        out.write_all("\u{feff}".as_bytes()).map_err(|error| refused(error.into()))?;
        let out = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
        let mut writer = Self { out };
        writer.row(columns)?;
        Ok(writer)
    }

    /// Adds a row: as many cells as there are columns.
    ///
    /// # Errors
    /// A row of another length, or an output that cannot be written.
    pub fn row<C: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = C>) -> Result<()> {
        for cell in cells {
            self.out.write_field(guarded(cell.as_ref()).as_bytes()).map_err(refused)?;
        }
        self.out.write_record(None::<&[u8]>).map_err(refused)
    }

    /// Writes what is left and returns the output.
    ///
    /// # Errors
    /// An output that cannot be written.
    pub fn finish(self) -> Result<W> {
        self.out.into_inner().map_err(|error| {
            Error::new(ErrorKind::Sink, "the table cannot be written").with_context("reason", error.error().kind())
        })
    }
}

fn refused(error: csv::Error) -> Error {
    let message = match error.kind() {
        csv::ErrorKind::UnequalLengths { .. } => "a row has more or fewer cells than the table has columns",
        _ => "the table cannot be written",
    };
    Error::new(ErrorKind::Sink, message).with_source(error)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cells_that_would_be_formulas_get_an_apostrophe() {
        for (cell, written) in [
            ("=1+1", "'=1+1"),
            ("+49 30", "'+49 30"),
            ("-5", "'-5"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("'=1", "''=1"),
            ("O'Neil", "O'Neil"),
            ("'t Hooft", "'t Hooft"),
            ("ann@corp.example", "ann@corp.example"),
            ("", ""),
        ] {
            assert_eq!(guarded(cell), written);
            assert_eq!(unguarded(written), cell);
        }
    }

    #[test]
    fn a_row_of_another_length_is_refused() {
        let mut table = CsvWriter::new(Vec::new(), ["a", "b"]).unwrap();
        assert!(table.row(["1"]).is_err());
    }

    proptest! {
        #[test]
        fn any_cell_reads_back(cells in proptest::collection::vec("[=+@\t\r\n',;\"a\u{e4}-]{0,6}", 3)) {
            let mut table = CsvWriter::new(Vec::new(), ["a", "b", "c"]).unwrap();
            table.row(&cells).unwrap();
            let bytes = table.finish().unwrap();
            let mut reader = csv::Reader::from_reader(&bytes[3..]);
            let read: Vec<_> = reader.records().map(Result::unwrap).collect();
            prop_assert_eq!(read.len(), 1);
            prop_assert_eq!(read[0].iter().map(unguarded).collect::<Vec<_>>(), cells.iter().map(String::as_str).collect::<Vec<_>>());
            for cell in &read[0] {
                prop_assert!(!cell.starts_with(FORMULA));
            }
        }
    }
}
