//! Suites against real servers; each module is one suite, named after it.

mod active_directory;
mod open_ldap_harness;
mod samba_harness;
