//! Adds people from a table: line by line, what is wrong told by line and column, the rest applied.
//!
//! It decides nothing about values; `rules` and the store do.

use std::collections::HashMap;
use std::fmt;
use std::io::Read;
use std::sync::Arc;

use serde::Serialize;

use super::checked::{Checked, Unreadable};
use super::writer::{CsvWriter, unguarded};
use crate::directory::{Directory, blocking};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{CustomerId, Draft, ObjectKind, Timestamp, names};
use crate::rules::columns::{self, Column, Names, SAMPLE};
use crate::rules::join::addresses;
use crate::rules::lock::{self, Wish};
use crate::store::Store;

/// Lines that are looked up and added at once, in one transaction.
const LINES_AT_ONCE: usize = 4096;
/// Problems that are told one by one; the others are counted.
const PROBLEMS: usize = 1000;

/// Whether a table is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CsvMode {
    /// It is only checked: nothing changes.
    #[default]
    Check,
    /// What is right is added.
    Apply,
}

/// How a table is read.
#[derive(Debug, Clone, Default)]
pub struct CsvOptions {
    /// Whether it is applied.
    pub mode: CsvMode,
    /// Own names of columns, and what they stand for: a column of the sample, `attributes.<name>`, or `-` to leave it
    /// out.
    pub names: Names,
    /// What separates cells; without it the one that the first line has most of: comma, semicolon or tab.
    pub separator: Option<u8>,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CsvProblem {
    /// The line in which its row begins, from 1.
    pub line: u64,
    /// The column, as the table's first line calls it; `None` where it is about the row.
    pub column: Option<String>,
    /// What is wrong and what to do, for people.
    pub message: String,
}

impl fmt::Display for CsvProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(column) = &self.column {
            write!(f, ", column {column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// What became of a table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct CsvReport {
    /// Rows behind the first line that were read.
    pub rows: u64,
    /// People who were added, or would be.
    pub added: u64,
    /// Rows with problems, none of which was added.
    pub refused: u64,
    /// The first thousand problems, in the order of their lines within each part of the table.
    pub problems: Vec<CsvProblem>,
    /// Columns that a table of people may have and that are not read.
    pub left_out: Vec<String>,
    /// Own names that are those of no column.
    pub unused_names: Vec<String>,
    /// Whether the table was read to its end.
    pub complete: bool,
}

impl CsvReport {
    fn note(&mut self, line: u64, column: Option<&str>, message: impl Into<String>) {
        if self.problems.len() < PROBLEMS {
            self.problems.push(CsvProblem { line, column: column.map(str::to_owned), message: message.into() });
        }
    }
}

/// Writes a table to begin with: the columns that [`Directory::import_csv`] knows, and two people.
pub fn sample_csv() -> Result<String> {
    let mut table = CsvWriter::new(Vec::new(), SAMPLE)?;
    table.row([
        "ann.lee@corp.example",
        "Ann",
        "Lee",
        "Ann Lee",
        "ann.lee",
        "a.lee@corp.example; ann@corp.example",
        "person",
        "active",
        "registered; manager",
    ])?;
    table.row(["bo.berg@corp.example", "Bo", "Berg", "", "", "", "guest", "staged", ""])?;
    String::from_utf8(table.finish()?).map_err(|_| Error::protocol("the sample is not UTF-8"))
}

impl Directory {
    /// Adds the people of a table, as [`Directory::add`] does one by one; see [`sample_csv`] for what it looks like.
    ///
    /// It is read in parts, each applied in one transaction: a table may be larger than memory. A row with a problem is
    /// told, and left out: a value of another sort, an address that another row or somebody in the directory has. An
    /// empty cell says nothing. Interrupted and applied again, what was added before is told as being there.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a first line that cannot be understood: nothing is added then. What cannot be read
    /// further on is a problem of the report, and what precedes it is added.
    pub async fn import_csv(
        &self,
        customer: &CustomerId,
        table: impl Read + Send + 'static,
        options: CsvOptions,
    ) -> Result<CsvReport> {
        let (store, customer) = (Arc::clone(&self.store), customer.clone());
        let now = Timestamp(self.clock.now_unix_millis());
        blocking(move || Import::begin(store.as_ref(), &customer, now, table, &options)?.run()).await
    }
}

/// One column of a table.
struct Heading {
    title: String,
    column: Column,
}

/// A row that may be added.
struct Row {
    line: u64,
    draft: Draft,
}

struct Import<'a, R> {
    store: &'a dyn Store,
    customer: &'a CustomerId,
    now: Timestamp,
    mode: CsvMode,
    table: csv::Reader<Checked<R>>,
    headings: Vec<Heading>,
    /// In which line each address was, by its hash: the table may have more rows than fit.
    seen: HashMap<u128, u64>,
    report: CsvReport,
}

fn unreadable(error: &csv::Error) -> Option<Unreadable> {
    match error.kind() {
        csv::ErrorKind::Io(error) => error.get_ref()?.downcast_ref().copied(),
        _ => None,
    }
}

fn not_read(error: std::io::Error) -> Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Unreadable>()) {
        Some(unreadable) => Error::config(unreadable.message).with_context("line", unreadable.line),
        None => Error::new(ErrorKind::Unavailable, "the table cannot be read").with_source(error),
    }
}

impl<'a, R: Read> Import<'a, R> {
    fn begin(
        store: &'a dyn Store,
        customer: &'a CustomerId,
        now: Timestamp,
        table: R,
        options: &CsvOptions,
    ) -> Result<Self> {
        let checked = Checked::begin(table, options.separator).map_err(not_read)?;
        let separator = checked.separator;
        let mut table =
            csv::ReaderBuilder::new().delimiter(separator).has_headers(false).flexible(true).from_reader(checked);
        let mut first = csv::ByteRecord::new();
        let read = table.read_byte_record(&mut first);
        if !read.map_err(|error| match unreadable(&error) {
            Some(unreadable) => Error::config(unreadable.message).with_context("line", unreadable.line),
            None => Error::new(ErrorKind::Unavailable, "the table cannot be read").with_source(error),
        })? {
            return Err(Error::config("the table is empty; begin with the sample"));
        }
        let mut report = CsvReport::default();
        let headings = headings(&first, &options.names, &mut report)?;
        let (mode, seen) = (options.mode, HashMap::new());
        Ok(Self { store, customer, now, mode, table, headings, seen, report })
    }

    fn run(mut self) -> Result<CsvReport> {
        let mut rows = Vec::new();
        let mut record = csv::ByteRecord::new();
        loop {
            match self.table.read_byte_record(&mut record) {
                Ok(true) => {
                    self.report.rows += 1;
                    let line = record.position().map_or(0, csv::Position::line);
                    match self.row(line, &record) {
                        Some(draft) => rows.push(Row { line, draft }),
                        None => self.report.refused += 1,
                    }
                    if rows.len() == LINES_AT_ONCE {
                        self.apply(&mut rows)?;
                    }
                }
                Ok(false) => {
                    self.report.complete = true;
                    break;
                }
                Err(error) => {
                    let Some(unreadable) = unreadable(&error) else {
                        self.apply(&mut rows)?;
                        return Err(Error::new(ErrorKind::Unavailable, "the table cannot be read to its end")
                            .with_context("line", self.table.position().line())
                            .with_source(error));
                    };
                    self.report.note(unreadable.line, None, unreadable.message);
                    break;
                }
            }
        }
        self.apply(&mut rows)?;
        Ok(self.report)
    }

    /// Reads a row; `None` if something is wrong with it.
    fn row(&mut self, line: u64, record: &csv::ByteRecord) -> Option<Draft> {
        let next = self.table.position().line();
        if self.table.get_mut().has_stray_before(next.max(line + 1)) {
            self.report.note(line, None, "a quote within a cell has to be doubled");
            return None;
        }
        if record.len() != self.headings.len() {
            let message = format!(
                "the row has {} cells and the first line {}; a cell that contains the separator has to be in quotes",
                record.len(),
                self.headings.len()
            );
            self.report.note(line, None, message);
            return None;
        }
        let (mut draft, mut right) = (Draft::user(""), true);
        draft.values.forget(&names::PRIMARY_EMAIL);
        for (heading, cell) in self.headings.iter().zip(record) {
            if let Err(message) = read_cell(heading, cell, &mut draft) {
                self.report.note(line, Some(&heading.title), message);
                right = false;
            }
        }
        if right && draft.values.get(&names::PRIMARY_EMAIL).is_none() {
            let title = self.headings.iter().find(|heading| is_address_of(heading)).map(|heading| &*heading.title);
            self.report.note(line, title, "there is no address; a person in a table is known by it");
            right = false;
        }
        (right && self.is_first(line, &draft)).then_some(draft)
    }

    /// Notes the addresses of a row; `false` if another row has one of them.
    fn is_first(&mut self, line: u64, draft: &Draft) -> bool {
        let hashes: Vec<u128> =
            addresses(&draft.values).iter().map(|address| xxhash_rust::xxh3::xxh3_128(address.as_bytes())).collect();
        if let Some(other) = hashes.iter().find_map(|hash| self.seen.get(hash)) {
            let message = format!("line {other} has this address too; leave one of them out");
            self.report.note(line, None, message);
            return false;
        }
        self.seen.extend(hashes.into_iter().map(|hash| (hash, line)));
        true
    }

    /// Adds rows, or finds out who is there already.
    fn apply(&mut self, rows: &mut Vec<Row>) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let (lines, drafts): (Vec<u64>, Vec<Draft>) = rows.drain(..).map(|row| (row.line, row.draft)).unzip();
        let results: Vec<Result<()>> = match self.mode {
            CsvMode::Apply => {
                let added = self.store.add(self.customer, &drafts, self.now)?;
                added.into_iter().map(|result| result.map(drop)).collect()
            }
            CsvMode::Check => self.store.check_add(self.customer, &drafts)?,
        };
        for (line, result) in lines.into_iter().zip(results) {
            match result {
                Ok(()) => self.report.added += 1,
                Err(error) => {
                    self.report.refused += 1;
                    let message = match error.context("record") {
                        Some(record) => format!("{} ({record})", error.message()),
                        None => error.message().to_owned(),
                    };
                    self.report.note(line, error.context("attribute"), message);
                }
            }
        }
        Ok(())
    }
}

fn is_address_of(heading: &Heading) -> bool {
    matches!(&heading.column, Column::Attribute(name, _) if *name == names::PRIMARY_EMAIL)
}

/// Reads the first line. All that is wrong with it is told at once.
fn headings(first: &csv::ByteRecord, own: &Names, report: &mut CsvReport) -> Result<Vec<Heading>> {
    let mut headings: Vec<Heading> = Vec::new();
    let mut wrong = Vec::new();
    for (at, cell) in first.iter().enumerate() {
        let Ok(title) = std::str::from_utf8(cell) else {
            wrong.push(format!("column {}: it is not UTF-8; save the table as \u{201c}CSV UTF-8\u{201d}", at + 1));
            continue;
        };
        let title = unguarded(title).trim().to_owned();
        match columns::column(&title, own) {
            Ok(column) => {
                let twice = headings.iter().any(|other| match (&other.column, &column) {
                    (Column::Attribute(a, _), Column::Attribute(b, _)) => a == b,
                    (Column::Tags, Column::Tags) => true,
                    _ => false,
                });
                if twice {
                    wrong.push(format!("column {title:?}: another one means the same; map one of them to -"));
                }
                if matches!(column, Column::LeftOut) {
                    report.left_out.push(title.clone());
                }
                headings.push(Heading { title, column });
            }
            Err(message) => wrong.push(format!("column {title:?}: {message}")),
        }
    }
    let unused = own.keys().filter(|name| !headings.iter().any(|heading| columns::is_name_of(name, &heading.title)));
    report.unused_names = unused.cloned().collect();
    if wrong.is_empty() && !headings.iter().any(is_address_of) {
        wrong.push("there is no column primary_email; add it, or map one of yours to it".into());
    }
    if wrong.is_empty() {
        return Ok(headings);
    }
    Err(Error::config(format!("the first line cannot be understood: {}", wrong.join("; "))).with_context("line", 1))
}

/// Reads a cell into a draft, or tells what is wrong with it.
fn read_cell(heading: &Heading, cell: &[u8], draft: &mut Draft) -> Result<(), String> {
    if matches!(heading.column, Column::LeftOut) {
        return Ok(());
    }
    let cell = std::str::from_utf8(cell)
        .map_err(|_| "this is not UTF-8; save the table as \u{201c}CSV UTF-8\u{201d}".to_owned())?;
    let cell = unguarded(cell);
    match &heading.column {
        Column::LeftOut => {}
        Column::Tags => {
            draft.tags = columns::list(cell);
            lock::wrong_tag(&draft.tags).map_or(Ok(()), |message| Err(message.to_owned()))?;
        }
        Column::Attribute(name, shape) => {
            let Some(value) = columns::value(*shape, cell).map_err(str::to_owned)? else { return Ok(()) };
            if let Some(refusal) = lock::refusal(ObjectKind::User, None, None, name, Wish::Set(&value)) {
                return Err(format!("{}; {}", refusal.reason, refusal.remedy));
            }
            draft.values.set(name.clone(), value);
        }
    }
    Ok(())
}
