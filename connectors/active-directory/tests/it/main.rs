//! The connector against a fake domain controller: a module for each promise that it makes.

mod actions;
mod conformance;
mod coverage;
mod deltas;
mod dirsync;
mod domain;
mod known;
mod listing;
mod lookups;
mod members;
mod trouble;
