//! Suites against real servers; each module is one suite, named after it.

mod active_directory;
mod import;
mod independent;
mod open_ldap_harness;
mod replica;
mod samba_harness;
mod world;
