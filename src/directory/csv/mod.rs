//! Tables in and out: CSV as spreadsheets write and read it. It does not know what the cells mean.

mod checked;
mod export;
mod import;
mod writer;

pub use export::csv_columns;
pub use import::{CsvMode, CsvOptions, CsvProblem, CsvReport, sample_csv};
pub use writer::{CsvWriter, guarded, unguarded};
