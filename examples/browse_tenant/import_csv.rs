//! Adds people from a table, or checks it. The library reads the table.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read as _, Write as _, stdin, stdout};

use clap::Args;
use serde_json::json;
use tenantry::directory::csv::{CsvMode, CsvOptions, sample_csv};
use tenantry::model::CustomerId;
use tenantry::{Error, Result};

use crate::output::Output;
use crate::place::Place;
use crate::status::Ended;

/// A first line is not longer; of another file no more is read to find it.
const LONGEST_FIRST_LINE: u64 = 64 * 1024;

/// A table of people.
#[derive(Debug, Args)]
pub(crate) struct Table {
    /// The table; `-` is the standard input.
    #[arg(required_unless_present = "sample")]
    pub(crate) file: Option<String>,
    /// Only check it, and tell what is wrong by line and column.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// An own name of a column: `Vorname=first_name`, `Raum=attributes.room`, `Notes=-` to leave it out; may be repeated.
    #[arg(long = "map", value_name = "COLUMN=NAME")]
    pub(crate) names: Vec<String>,
    /// What separates cells; default: what the first line has most of.
    #[arg(long, value_name = "CHARACTER")]
    pub(crate) separator: Option<char>,
    /// Print a table to begin with.
    #[arg(long, conflicts_with_all = ["file", "dry_run", "names"])]
    pub(crate) sample: bool,
}

/// Prints a table to begin with.
pub(crate) fn sample() -> Result<(), Ended> {
    let mut out = stdout().lock();
    out.write_all(sample_csv()?.as_bytes())?;
    Ok(out.flush()?)
}

fn cannot(what: &'static str, file: &str, error: &io::Error) -> Error {
    let reason = match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        other => other.to_string(),
    };
    Error::config(what).with_context("file", file).with_context("reason", reason)
}

/// Opens a table. A folder opens as well on some systems, and is told here.
fn open(file: &str) -> Result<File> {
    let opened = File::open(file).and_then(|opened| {
        if opened.metadata()?.is_dir() { Err(io::ErrorKind::IsADirectory.into()) } else { Ok(opened) }
    });
    opened.map_err(|error| cannot("the table cannot be opened", file, &error))
}

/// Reads what has the first line in it.
fn first_line(input: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut first = Vec::new();
    input.take(LONGEST_FIRST_LINE).read_until(b'\n', &mut first)?;
    Ok(first)
}

/// Refuses a table that has no column of a name that is mapped, before anything of it is added.
async fn check_names(place: &Place, customer: &CustomerId, first: &[u8], options: &CsvOptions) -> Result<()> {
    if options.names.is_empty() {
        return Ok(());
    }
    let options = CsvOptions { mode: CsvMode::Check, ..options.clone() };
    // Whatever else is wrong is told when all of it is read.
    let Ok(report) = place.directory.import_csv(customer, Cursor::new(first.to_vec()), options).await else {
        return Ok(());
    };
    if report.unused_names.is_empty() {
        return Ok(());
    }
    Err(Error::config("the table has no column of this name; take the --map away, or name a column of the first line")
        .with_context("--map", report.unused_names.join(", ")))
}

pub(crate) async fn import(place: &Place, table: &Table, output: &mut Output) -> Result<(), Ended> {
    let file = table.file.as_deref().unwrap_or("-");
    let customer = place.one_customer()?;
    let mut options = CsvOptions { mode: CsvMode::Apply, ..CsvOptions::default() };
    if table.dry_run {
        options.mode = CsvMode::Check;
    }
    for name in &table.names {
        let (column, stands_for) =
            name.split_once('=').ok_or_else(|| Error::config("a column is mapped by column=name"))?;
        options.names.insert(column.to_owned(), stands_for.to_owned());
    }
    if let Some(separator) = table.separator {
        let byte = u8::try_from(separator).ok().filter(u8::is_ascii);
        options.separator = Some(byte.ok_or_else(|| Error::config("the separator is one ASCII character"))?);
    }
    let mut input: Box<dyn BufRead + Send> =
        if file == "-" { Box::new(BufReader::new(stdin())) } else { Box::new(BufReader::new(open(file)?)) };
    let of_file = |error: Error| error.with_context("file", file);
    let first = first_line(&mut input).map_err(|error| cannot("the table cannot be read", file, &error))?;
    check_names(place, customer, &first, &options).await.map_err(of_file)?;
    let mut report =
        place.directory.import_csv(customer, Cursor::new(first).chain(input), options).await.map_err(of_file)?;
    report.problems.sort_by_key(|problem| problem.line);
    if output.is_json() {
        output.json(&json!({ "customer": customer, "dry_run": table.dry_run, "report": report }))?;
    } else {
        for problem in &report.problems {
            output.line(&problem.to_string())?;
        }
        let more = report.refused.saturating_sub(report.problems.len() as u64);
        if more > 0 && report.problems.len() == 1000 {
            output.line(&format!("{more} more rows are refused"))?;
        }
        if !report.left_out.is_empty() {
            output.line(&format!("not read: {}", report.left_out.join(", ")))?;
        }
        let would = if table.dry_run { "would be " } else { "" };
        let rest = if report.complete { "" } else { ", and the rest of the table was not read" };
        output.line(&format!(
            "{} of {} rows {would}added, {} refused{rest}",
            report.added, report.rows, report.refused
        ))?;
    }
    if report.refused == 0 && report.complete {
        return Ok(());
    }
    output.end()?;
    Err(Ended::NotAll)
}
