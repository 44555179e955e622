//! The header Retry-After.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tenantry_fuzz::times::retry_after(bytes));
