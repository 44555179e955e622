//! The connector against a fake Graph: a module for each promise that it makes.

mod conformance;
mod deltas;
mod histories;
mod listing;
mod lookups;
mod running;
