//! Tests of the engine through its public face, with scripted and lying endpoints.
#![cfg(feature = "testkit")]
#![allow(clippy::unwrap_used)] // a test may stop where it stands
#![allow(clippy::print_stdout, clippy::print_stderr)] // children, failures and skipped tests are to be heard

mod actions;
mod conformance;
mod delta_and_snapshot_agree;
mod delta_order;
mod deltas;
mod dump;
mod dying;
mod edits;
mod facets;
mod feeds;
mod figures;
mod house;
mod id_listings;
mod images;
mod imports;
mod incidents;
mod joins;
mod killed_deltas;
mod kills;
mod laws;
mod old_plans;
mod operations;
mod queries;
mod removals;
mod seeds;
mod spans;
mod state_file;
mod told;
mod watching;
mod weak_ids;
mod world;
