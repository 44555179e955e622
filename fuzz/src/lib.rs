//! What must hold of public readers, whatever they are given; the private ones have a door of their own in their crates.
//!
//! It must not read anything itself: each function hands bytes to a reader and judges the answer, by reading again what
//! was written or by asking another reader. A panic is how the fuzzer is told.

pub mod configuration;
pub mod names;
pub mod times;

/// Returns the bytes as text, which is all that these readers take.
pub(crate) fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}
