//! The connector against a fake account: a module for each promise that it makes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod account;
mod actions;
mod conformance;
mod history;
mod imports;
mod listing;
mod requests;
mod sign_in;
mod store;
mod trouble;
mod verification;
