//! Suites against real servers; each module is one suite, named after it.

mod actions;
mod active_directory;
mod changes;
mod deltas;
mod dirsync;
mod exchange;
mod import;
mod independent;
mod kills;
mod open_ldap_harness;
mod replica;
mod rights;
mod samba_harness;
mod tls;
mod world;
