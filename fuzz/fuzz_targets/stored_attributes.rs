//! Images of objects, as the store keeps them.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tenantry::fuzzing::stored_attributes(bytes));
