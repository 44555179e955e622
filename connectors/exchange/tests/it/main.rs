//! The connector against a fake organisation: a module for each promise that it makes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod conformance;
mod imports;
mod listing;
mod organisation;
mod sign_in;
mod trouble;
