//! Suites against real servers; each module is one suite, named after it.

mod open_ldap_harness;
mod samba_harness;
