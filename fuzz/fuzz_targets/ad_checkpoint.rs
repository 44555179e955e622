//! Resume points of a domain of Active Directory.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tenantry_ldap::fuzzing::domain_checkpoint(bytes));
