//! Pages of the Directory API.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tenantry_gsuite::fuzzing::page(bytes));
