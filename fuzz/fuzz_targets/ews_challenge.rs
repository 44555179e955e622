//! NTLM challenges of a server.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tenantry_exchange::fuzzing::challenge(bytes));
