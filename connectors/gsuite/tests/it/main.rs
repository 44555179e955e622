//! The connector against a fake account: a module for each promise that it makes.

mod account;
mod actions;
mod conformance;
mod imports;
mod listing;
mod sign_in;
mod trouble;
