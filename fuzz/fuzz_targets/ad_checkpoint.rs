//! Resume points of a listing of Active Directory.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tenantry_active_directory::fuzzing::checkpoint(bytes));
