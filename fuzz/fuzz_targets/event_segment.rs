//! Segments of events, as the store keeps them.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tenantry::fuzzing::event_segment(bytes));
