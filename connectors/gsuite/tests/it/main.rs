//! The connector against a fake account: a module for each promise that it makes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod account;
mod actions;
mod conformance;
mod imports;
mod listing;
mod sign_in;
mod trouble;
mod verification;
