//! Resume points of a walk over an address book.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tenantry_exchange::fuzzing::checkpoint(bytes));
