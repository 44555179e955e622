//! `cargo xtask bench`: runs the import benchmark in release mode.
//!
//! It must not know what is measured: every argument belongs to the benchmark.

use crate::process::{self, Interrupt};

/// Runs the benchmark named `import` with the given arguments.
pub(crate) fn run(arguments: &[String], interrupt: &Interrupt) -> Result<(), String> {
    let mut command = process::cargo();
    command.args(["bench", "--locked", "--all-features", "--bench", "import", "--"]).args(arguments);
    process::run(command.current_dir(process::workspace_root()), interrupt)
}
