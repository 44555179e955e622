//! The connector against a fake Graph: a module for each promise that it makes.

mod actions;
mod conformance;
mod deltas;
mod histories;
mod lanes;
mod listing;
mod lookups;
mod running;
mod secrets;
mod signing;
mod verification;
