//! What a `tenant.toml` may be, and what is said about one that may not. It needs the connectors that are built by default.
#![cfg(all(feature = "active-directory", feature = "exchange", feature = "gsuite", feature = "office365"))]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod accepted;
mod documents;
mod exchange;
mod fitting;
mod gsuite;
mod office365;
mod problems;
mod random;
mod schema;
mod secrets;
mod support;
mod values;
mod yields;
