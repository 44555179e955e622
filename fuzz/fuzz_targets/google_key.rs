//! Key files of service accounts.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tenantry_gsuite::fuzzing::key(bytes));
