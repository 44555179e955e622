//! The command that shows a state file: its options, its exit status and its JSON, tried as a program of its own.
//!
//! It must not call the example's code. `cargo test` builds the programs; with `--test browse_tenant` they have to be
//! built before, with `cargo build --examples`.
#![allow(clippy::unwrap_used)] // a test may stop where it stands

mod actions;
mod edits;
mod joins;
mod lists;
mod program;
mod records;
mod tables;
mod trouble;

use std::path::PathBuf;
use std::sync::LazyLock;

use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    program::import_demo(&folder.path().join("tenant.db"));
    folder
});

/// The demo tenant, imported once for all tests: they only look.
fn demo() -> PathBuf {
    FOLDER.path().join("tenant.db")
}
