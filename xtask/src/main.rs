//! `cargo xtask`: installs what the tests need, runs them, and leaves nothing behind.
//!
//! It must not know what a test checks: it starts suites, counts them and tells the outcome.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool speaks to a person")]
#![allow(clippy::disallowed_methods, reason = "measures and waits for real processes; there is no clock to inject")]

mod bench;
mod ci;
mod fuzz;
// The one file that says how a live suite marks its servers, shared with the suites that write those marks.
#[path = "../../tests/live/src/leftovers.rs"]
mod leftovers;
mod packages;
mod process;
mod suites;
mod tally;

use std::process::ExitCode;

use process::Interrupt;
use suites::Selection;

const USAGE: &str = "\
usage: cargo xtask <command>

  test [--live-only | --no-live] [--filter TEXT]
             installs the servers that the live suites need, runs unit, integration and doc tests,
             then the live suites, then cleans up
  bench [ARGS]
             runs the import benchmark in release mode; ARGS are passed through
  bench --office365 [--sizes LIST] [--quota]
             measures imports over HTTP from a fake Microsoft Graph, with --quota as fast as the quota allows
  bench --gsuite [--sizes LIST] [--quota]
             measures imports over HTTP from a fake Directory API of Google, likewise
  bench --samba [--rounds N] [--users N] [--limit X]
             compares an import from a Samba domain controller with `ldapsearch`; installs both if need be
  fuzz [--seconds N] [TARGET [FILE]]
             searches for inputs that make a reader of remote or stored bytes fail; FILE is one input to try
  ci         everything a change has to pass: format, lints, docs, licences, tests, fuzz targets, examples, embedding host
  clean      ends servers and removes files that killed tests left behind; `test` does it too
  help       prints this text

With CI=true nothing may be skipped: what cannot run is a failure.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.split_first() {
        Some((command, rest)) => dispatch(command, rest),
        None => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: &str, rest: &[String]) -> Result<(), String> {
    match command {
        "test" => suites::run(&Selection::parse(rest)?, &Interrupt::listen()?),
        "bench" => bench::run(rest, &Interrupt::listen()?),
        "fuzz" => fuzz::run(&fuzz::Selection::parse(rest)?, &Interrupt::listen()?),
        "ci" if rest.is_empty() => ci::run(&Interrupt::listen()?),
        "clean" if rest.is_empty() => suites::clean(),
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(())
        }
        _ => Err(format!("unknown command or argument: {command} {}\n\n{USAGE}", rest.join(" "))),
    }
}
