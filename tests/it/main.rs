//! Tests of the engine through its public face, with scripted and lying endpoints.
#![cfg(feature = "testkit")]
#![allow(clippy::unwrap_used)] // a test may stop where it stands
#![allow(clippy::print_stdout, clippy::print_stderr)] // children, failures and skipped tests are to be heard

mod deltas;
mod dump;
mod house;
mod images;
mod imports;
mod incidents;
mod kills;
mod laws;
mod removals;
mod state_file;
mod watching;
mod world;
