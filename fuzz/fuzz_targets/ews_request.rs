//! Texts that become part of a message to Exchange Web Services.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| tenantry_exchange::fuzzing::request(text));
