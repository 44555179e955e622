//! Entries of Active Directory.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tenantry_fuzz::names::directory_entry(bytes));
