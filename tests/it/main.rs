//! Tests of the engine through its public face, with scripted and lying endpoints.
#![cfg(feature = "testkit")]
#![allow(clippy::unwrap_used)] // a test may stop where it stands

mod dump;
mod histories;
mod house;
mod imports;
mod kills;
mod removals;
mod world;
