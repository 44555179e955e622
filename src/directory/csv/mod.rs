//! Tables in and out: CSV as spreadsheets write and read it. It does not know what the cells mean.

mod writer;

pub use writer::{CsvWriter, guarded, unguarded};
