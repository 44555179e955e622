//! BER, here and in ldap3.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tenantry_ldap::fuzzing::ber(bytes));
