//! Changes that wait for approval, as the store keeps them.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tenantry::fuzzing::held_items(bytes));
