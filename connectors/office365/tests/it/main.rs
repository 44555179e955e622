//! The connector against a fake Graph: a module for each promise that it makes.

mod conformance;
mod deltas;
mod listing;
mod lookups;
mod running;
