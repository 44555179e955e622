//! Tests of the engine through its public face, with scripted and lying endpoints.
#![cfg(feature = "testkit")]
#![allow(clippy::unwrap_used)] // a test may stop where it stands
#![allow(clippy::print_stdout, clippy::print_stderr)] // children, failures and skipped tests are to be heard

mod actions;
mod conformance;
mod deltas;
mod dump;
mod histories;
mod house;
mod images;
mod imports;
mod kills;
mod removals;
mod state_file;
mod watching;
mod world;
