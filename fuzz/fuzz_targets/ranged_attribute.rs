//! Names of attributes that come in pieces.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tenantry_ldap::fuzzing::ranges(bytes));
