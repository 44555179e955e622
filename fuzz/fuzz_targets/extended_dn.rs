//! Names with GUID and SID in front.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tenantry_fuzz::names::extended_dn(bytes));
