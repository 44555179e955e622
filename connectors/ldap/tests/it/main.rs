//! The session against a real OpenLDAP and against a server that says exactly which bytes.
//!
//! It knows nothing of the crate's inside.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test by panicking")]

mod byte_server;
mod byte_tests;
mod certificates;
mod slapd;
mod slapd_tests;
mod tls_tests;
