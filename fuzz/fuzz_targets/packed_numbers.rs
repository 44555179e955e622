//! Numbers, as the store packs them.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tenantry::fuzzing::packed_numbers(bytes));
