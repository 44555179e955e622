//! The connector against a fake Graph: a module for each promise that it makes.

mod actions;
mod conformance;
mod deltas;
mod listing;
mod lanes;
mod lookups;
mod running;
mod verification;
