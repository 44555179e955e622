//! The connector against a fake account: a module for each promise that it makes.

mod account;
mod actions;
mod conformance;
mod listing;
mod sign_in;
mod trouble;
