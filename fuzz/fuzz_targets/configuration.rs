//! The text of tenant.toml.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tenantry_fuzz::configuration::configuration(bytes));
