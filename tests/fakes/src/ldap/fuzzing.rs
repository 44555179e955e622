//! What a fuzzer may call, to compare the fakes' own readers with those of the connectors.
//!
//! It exists under `cfg(fuzzing)` only.

#![allow(missing_docs, reason = "no part of the interface")]

use super::ber::Reader;
use super::dn::Dn;
use super::filter::Filter;

/// Returns the normal forms of the levels of a name: types with lower-case values.
pub fn levels(text: &str) -> Option<Vec<(String, String)>> {
    let dn = Dn::parse(text)?;
    Some(dn.0.iter().map(|rdn| (rdn.attribute.clone(), rdn.value.clone())).collect())
}

/// Tells whether bytes are one filter.
pub fn is_filter(bytes: &[u8]) -> bool {
    let mut reader = Reader::new(bytes);
    Filter::read(&mut reader).is_ok() && reader.is_empty()
}
