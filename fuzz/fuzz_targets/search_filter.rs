//! Search filters, here, in ldap3 and in the fakes.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tenantry_fuzz::names::search_filter(bytes));
