//! The command that outsiders drive: its options, its exit status and its JSON, tried as a program of its own.
//!
//! It must not call the example's code. `cargo test` builds the program; with `--test import_tenant` it has to be built
//! before, with `cargo build --example import_tenant`.
#![allow(clippy::unwrap_used)] // a test may stop where it stands

mod address_book;
mod approval;
mod demo;
mod exchange;
mod failures;
mod gsuite;
mod imports;
mod interruptions;
mod office365;
mod program;
// Tests inside of examples are not run; these are.
#[allow(dead_code, reason = "only its tests are of interest here")]
#[path = "../../examples/import_tenant/usage.rs"]
mod usage;
mod world;
mod yields;
