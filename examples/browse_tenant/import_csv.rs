//! Adds people from a table, or checks it. The library reads the table.

use std::fs::File;
use std::io::{Read, Write, stdin, stdout};

use clap::Args;
use serde_json::json;
use tenantry::directory::csv::{CsvMode, CsvOptions, sample_csv};
use tenantry::{Error, Result};

use crate::output::Output;
use crate::place::Place;
use crate::status::Ended;

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
    let input: Box<dyn Read + Send> = if file == "-" {
        Box::new(stdin())
    } else {
        Box::new(File::open(file).map_err(|error| {
            Error::config("the table cannot be opened").with_context("file", file).with_source(error)
        })?)
    };
    let report = place.directory.import_csv(customer, input, options).await?;
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
