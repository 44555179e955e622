//! The session against a real OpenLDAP and against a server that says exactly which bytes.
//!
//! It knows nothing of the crate's inside.

mod byte_server;
mod byte_tests;
mod certificates;
mod slapd;
mod slapd_tests;
mod tls_tests;
