//! `cargo xtask bench`: runs a benchmark in release mode: that of the engine, or that against a domain controller.
//!
//! It must not know what is measured: every argument but the first belongs to the benchmark.

use crate::packages;
use crate::process::{self, Interrupt};
use crate::suites;

/// Runs the benchmark named `import` with the given arguments; behind `--office365` or `--gsuite` that of the connector,
/// behind `--query` that of queries, behind `--samba` that of the live harness.
pub(crate) fn run(arguments: &[String], interrupt: &Interrupt) -> Result<(), String> {
    match arguments.split_first() {
        Some((first, rest)) if first == "--samba" => against_samba(rest, interrupt),
        Some((first, rest)) if first == "--office365" => alone("office365", rest, interrupt),
        Some((first, rest)) if first == "--gsuite" => alone("gsuite", rest, interrupt),
        Some((first, rest)) if first == "--query" => alone("query", rest, interrupt),
        _ => alone("import", arguments, interrupt),
    }
}

fn alone(name: &str, arguments: &[String], interrupt: &Interrupt) -> Result<(), String> {
    let mut command = process::cargo();
    command.args(["bench", "--locked", "--all-features", "--bench", name, "--"]).args(arguments);
    process::run(command.current_dir(process::workspace_root()), interrupt)
}

fn against_samba(arguments: &[String], interrupt: &Interrupt) -> Result<(), String> {
    let root = packages::prepare(interrupt).map_err(|reason| reason.to_string())?;
    let mut command = process::cargo();
    command.args(["bench", "--locked", "--package", "tenantry-live", "--bench", "samba", "--"]).args(arguments);
    suites::prepare_live(&mut command, root)?;
    let outcome = process::run(command.current_dir(process::workspace_root()), interrupt);
    suites::clean_live(root, outcome.is_ok())?;
    outcome
}
