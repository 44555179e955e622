//! Messages of an LDAP server.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tenantry_ldap::fuzzing::message(bytes));
