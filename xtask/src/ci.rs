//! `cargo xtask ci`: everything a change has to pass, cheapest first.
//!
//! It must not hold a check of its own: each step is a command that a person can run alone.

use std::path::Path;
use std::time::Instant;

use crate::fuzz;
use crate::process::{self, Interrupt};
use crate::suites::{self, Selection};

/// Runs all steps and stops at the first that fails.
pub(crate) fn run(interrupt: &Interrupt) -> Result<(), String> {
    let root = process::workspace_root();
    step("format", || {
        cargo(&root, &["fmt", "--all", "--check"], interrupt)?;
        cargo(&root.join("fuzz"), &["fmt", "--check"], interrupt)
    })?;
    step("licences, bans, sources", || deny(&root, interrupt))?;
    step("lints", || {
        let common = ["clippy", "--workspace", "--all-features", "--locked"];
        cargo(&root, &[&common[..], &["--all-targets", "--", "-D", "warnings"]].concat(), interrupt)?;
        // `--all-targets` leaves out a test that is run only by name.
        cargo(&root, &[&common[..], &["--test", "live", "--", "-D", "warnings"]].concat(), interrupt)?;
        // The doors for fuzzing are seen by no other build here; passed on like this, the `cfg` reaches our crates only,
        // and nothing that they depend on is built again.
        cargo(&root, &[&common[..], &["--lib", "--", "--cfg", "fuzzing", "-D", "warnings"]].concat(), interrupt)?;
        // Whoever gives a crate a new dependency learns here, not after all the tests, that this file has to know it.
        cargo(&root.join("fuzz"), &["fetch", "--quiet", "--locked"], interrupt)
    })?;
    step("documentation", || {
        let mut command = process::cargo();
        command.current_dir(&root).args(["doc", "--workspace", "--all-features", "--no-deps", "--locked"]);
        process::run(command.env("RUSTDOCFLAGS", "-D warnings"), interrupt)
    })?;
    step("tests", || suites::run(&Selection::default(), interrupt))?;
    step("fuzz targets", || fuzz::run(&fuzz::Selection::of_a_change(), interrupt))?;
    step("example", || cargo(&root, &["run", "--release", "--locked", "--example", "import_tenant"], interrupt))?;
    step("embedding host", || embedding_host(&root, interrupt))
}

fn step(name: &str, action: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    println!("── {name}");
    let started = Instant::now();
    let outcome = action();
    let seconds = started.elapsed().as_secs_f32();
    match outcome {
        Ok(()) => println!("── {name}: ok after {seconds:.1} s\n"),
        Err(_) => println!("── {name}: FAILED after {seconds:.1} s"),
    }
    outcome.map_err(|error| format!("{name}: {error}"))
}

fn cargo(directory: &Path, arguments: &[&str], interrupt: &Interrupt) -> Result<(), String> {
    process::run(process::cargo().args(arguments).current_dir(directory), interrupt)
}

fn deny(root: &Path, interrupt: &Interrupt) -> Result<(), String> {
    if process::output_of(process::cargo().args(["deny", "--version"])).is_none() {
        println!("NOT checked: cargo-deny is not installed");
        return Ok(());
    }
    cargo(root, &["deny", "--all-features", "check", "licenses", "bans", "sources"], interrupt)?;
    // Only here a network is needed, and a machine without one can still check everything else.
    if process::output_of(process::cargo().args(["deny", "fetch", "db"]).current_dir(root)).is_none() {
        println!("NOT checked: advisories, because their database cannot be reached");
        return Ok(());
    }
    cargo(root, &["deny", "--all-features", "check", "advisories"], interrupt)
}

/// Builds a service that embeds the library beside a web server and a database client of its own.
fn embedding_host(root: &Path, interrupt: &Interrupt) -> Result<(), String> {
    let host = root.join("tests/embedding-host");
    if !host.exists() {
        println!("NOT checked: there is no tests/embedding-host");
        return Ok(());
    }
    cargo(&host, &["check", "--locked"], interrupt)
}
