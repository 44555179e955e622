//! Answers of Exchange Web Services.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tenantry_exchange::fuzzing::soap(bytes));
