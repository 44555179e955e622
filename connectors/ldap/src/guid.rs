//! objectGUID: 16 bytes whose first three fields are little-endian (MS-DTYP 2.3.4.2).
//!
//! It knows nothing of entries.

use tenantry::{Error, Result};
use uuid::Uuid;

/// Reads the 16 bytes of an attribute.
pub fn from_bytes(bytes: &[u8]) -> Result<Uuid> {
    let bytes: [u8; 16] = bytes
        .try_into()
        .map_err(|_| Error::protocol("a GUID does not have 16 bytes").with_context("bytes", bytes.len()))?;
    Ok(Uuid::from_bytes_le(bytes))
}

/// Writes the 16 bytes as the server keeps them.
pub fn to_bytes(guid: &Uuid) -> [u8; 16] {
    guid.to_bytes_le()
}

/// Names an object by its GUID, so that a rename in between does not matter.
pub fn as_dn(guid: &Uuid) -> String {
    format!("<GUID={guid}>")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_three_fields_are_little_endian() {
        let bytes = *b"\x1c\x7e\x93\xca\xd9\x64\x5c\x46\xbf\x9c\x13\xf1\xc2\x63\x39\x4b";
        let guid = from_bytes(&bytes).unwrap();
        assert_eq!(guid.to_string(), "ca937e1c-64d9-465c-bf9c-13f1c263394b");
        assert_eq!(as_dn(&guid), "<GUID=ca937e1c-64d9-465c-bf9c-13f1c263394b>");
        assert!(from_bytes(&bytes[1..]).is_err());
    }

    proptest! {
        #[test]
        fn bytes_round_trip(bytes: [u8; 16]) {
            prop_assert_eq!(to_bytes(&from_bytes(&bytes).unwrap()), bytes);
        }
    }
}
