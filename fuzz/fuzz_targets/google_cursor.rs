//! Resume points of a listing of an account at Google.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tenantry_gsuite::fuzzing::cursor(bytes));
