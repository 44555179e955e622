//! Controls of an LDAP answer.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tenantry_ldap::fuzzing::controls(bytes));
