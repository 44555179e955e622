//! Object GUIDs and security identifiers as Active Directory writes them; it knows no directory.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// An objectGUID.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid(Uuid);

impl Guid {
    /// Reads the 16 bytes of an objectGUID in wire order (the first three fields little-endian).
    pub fn from_wire(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes_le(bytes))
    }

    /// Returns the 16 bytes in wire order.
    pub fn to_wire(self) -> [u8; 16] {
        self.0.to_bytes_le()
    }

    /// Derives a GUID from a seed and a text, always the same one.
    pub(crate) fn derive(seed: u64, text: &str, attempt: u64) -> Self {
        let high = hash(seed ^ 0x9e37_79b9_7f4a_7c15, text, attempt);
        let low = hash(seed ^ 0xd1b5_4a32_d192_ed03, text, attempt);
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&high.to_be_bytes());
        bytes[8..].copy_from_slice(&low.to_be_bytes());
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }

    /// Writes the wire bytes as lower-case hex digits, the form of `<GUID=…>` in hex extended DNs.
    pub(crate) fn to_hex(self) -> String {
        hex(&self.to_wire())
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guid({})", self.0)
    }
}

impl FromStr for Guid {
    type Err = BadIdentifier;

    /// Reads the dashed form, or 32 hex digits in wire order.
    fn from_str(text: &str) -> Result<Self, BadIdentifier> {
        if text.contains('-') {
            return Uuid::parse_str(text).map(Self).map_err(|_| BadIdentifier);
        }
        let bytes = unhex(text).ok_or(BadIdentifier)?;
        Ok(Self::from_wire(bytes.try_into().map_err(|_| BadIdentifier)?))
    }
}

/// A security identifier.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sid {
    authority: u64,
    parts: Vec<u32>,
}

impl Sid {
    /// Reads the binary form of objectSid.
    ///
    /// # Errors
    /// When the bytes are not one whole SID of revision 1.
    pub fn from_wire(bytes: &[u8]) -> Result<Self, BadIdentifier> {
        let (Some(1), Some(&count)) = (bytes.first(), bytes.get(1)) else { return Err(BadIdentifier) };
        if bytes.len() != 8 + 4 * usize::from(count) {
            return Err(BadIdentifier);
        }
        let authority = bytes[2..8].iter().fold(0, |value, byte| (value << 8) | u64::from(*byte));
        let parts = bytes[8..].chunks_exact(4).map(|part| u32::from_le_bytes([part[0], part[1], part[2], part[3]]));
        Ok(Self { authority, parts: parts.collect() })
    }

    /// Returns the binary form.
    pub fn to_wire(&self) -> Vec<u8> {
        let mut bytes = vec![1, u8::try_from(self.parts.len()).unwrap_or(u8::MAX)];
        bytes.extend_from_slice(&self.authority.to_be_bytes()[2..]);
        for part in &self.parts {
            bytes.extend_from_slice(&part.to_le_bytes());
        }
        bytes
    }

    /// Returns this SID with one more part, the relative identifier.
    #[must_use]
    pub fn with_rid(&self, rid: u32) -> Self {
        let mut sid = self.clone();
        sid.parts.push(rid);
        sid
    }

    /// Returns the last part.
    pub fn rid(&self) -> Option<u32> {
        self.parts.last().copied()
    }

    pub(crate) fn domain(seed: u64) -> Self {
        let part = |n| u32::try_from(hash(seed, "domain", n) & 0xffff_ffff).unwrap_or(1);
        Self { authority: 5, parts: vec![21, part(1), part(2), part(3)] }
    }

    /// Says whether this is `domain` with one more part.
    pub(crate) fn is_child_of(&self, domain: &Self) -> bool {
        self.authority == domain.authority
            && self.parts.len() == domain.parts.len() + 1
            && self.parts.starts_with(&domain.parts)
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S-1-{}", self.authority)?;
        self.parts.iter().try_for_each(|part| write!(f, "-{part}"))
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sid({self})")
    }
}

impl FromStr for Sid {
    type Err = BadIdentifier;

    fn from_str(text: &str) -> Result<Self, BadIdentifier> {
        let mut fields = text.strip_prefix("S-1-").ok_or(BadIdentifier)?.split('-');
        let authority = fields.next().and_then(|field| field.parse().ok()).ok_or(BadIdentifier)?;
        let parts: Result<Vec<u32>, _> = fields.map(str::parse).collect();
        let parts = parts.map_err(|_| BadIdentifier)?;
        if parts.is_empty() || parts.len() > 15 {
            return Err(BadIdentifier);
        }
        Ok(Self { authority, parts })
    }
}

/// The text or the bytes are not an identifier of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadIdentifier;

impl fmt::Display for BadIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an identifier of this kind")
    }
}

impl std::error::Error for BadIdentifier {}

/// Mixes a seed, a text and a number into 64 bits: FNV-1a with the finish of splitmix64.
pub(crate) fn hash(seed: u64, text: &str, number: u64) -> u64 {
    let mut value = 0xcbf2_9ce4_8422_2325 ^ seed;
    for byte in text.bytes().chain(number.to_le_bytes()) {
        value = (value ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_has_its_first_fields_little_endian_on_the_wire() {
        let guid: Guid = "0b6c1d4e-3f52-4c7a-9d8e-112233445566".parse().unwrap();
        assert_eq!(guid.to_hex(), "4e1d6c0b523f7a4c9d8e112233445566");
        assert_eq!("4e1d6c0b523f7a4c9d8e112233445566".parse(), Ok(guid));
    }

    #[test]
    fn a_sid_is_read_from_text_and_bytes_alike() {
        let sid: Sid = "S-1-5-21-111-222-333-1601".parse().unwrap();
        assert_eq!(Sid::from_wire(&sid.to_wire()), Ok(sid.clone()));
        assert_eq!(hex(&sid.to_wire()), "0105000000000005150000006f000000de0000004d01000041060000");
        assert_eq!(sid.rid(), Some(1601));
    }
}
