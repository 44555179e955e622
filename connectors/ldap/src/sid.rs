//! Security identifiers: binary (MS-DTYP 2.4.2.2) and as `S-1-5-21-…`.
//!
//! It knows no well-known identifier: what a RID means is for a connector.

use std::fmt;
use std::str::FromStr;

use tenantry::{Error, Result};

/// A security identifier: an authority of 48 bits and 0 to 15 numbers, the last of which is the RID.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sid {
    authority: u64,
    numbers: Vec<u32>,
}

const MAX_NUMBERS: usize = 15;

impl Sid {
    /// Reads the binary form of an attribute.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let broken = |why: &'static str| Error::protocol(why).with_context("bytes", bytes.len());
        let (&[revision, count, ref authority @ ..], rest) =
            bytes.split_first_chunk::<8>().ok_or_else(|| broken("a SID is shorter than 8 bytes"))?;
        if revision != 1 {
            return Err(broken("a SID has an unknown revision"));
        }
        let count = usize::from(count);
        if count > MAX_NUMBERS || rest.len() != count * 4 {
            return Err(broken("a SID has a wrong length"));
        }
        let (numbers, _) = rest.as_chunks::<4>();
        Ok(Self {
            authority: authority.iter().fold(0, |value, &byte| (value << 8) | u64::from(byte)),
            numbers: numbers.iter().map(|&number| u32::from_le_bytes(number)).collect(),
        })
    }

    /// Writes the binary form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let count = u8::try_from(self.numbers.len()).expect("a SID has at most 15 numbers");
        let mut bytes = vec![1, count];
        bytes.extend_from_slice(&self.authority.to_be_bytes()[2..]);
        for number in &self.numbers {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// Returns the last number.
    pub fn rid(&self) -> Option<u32> {
        self.numbers.last().copied()
    }

    /// Returns what stands before the last number: for an account, its domain.
    pub fn domain(&self) -> Option<Self> {
        let (_, numbers) = self.numbers.split_last()?;
        Some(Self { authority: self.authority, numbers: numbers.to_vec() })
    }

    /// Returns the identifier of this domain's object with that RID, or nothing if it would be too long.
    pub fn child(&self, rid: u32) -> Option<Self> {
        (self.numbers.len() < MAX_NUMBERS).then(|| {
            let mut child = self.clone();
            child.numbers.push(rid);
            child
        })
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.authority > u64::from(u32::MAX) {
            write!(f, "S-1-0x{:012x}", self.authority)?;
        } else {
            write!(f, "S-1-{}", self.authority)?;
        }
        self.numbers.iter().try_for_each(|number| write!(f, "-{number}"))
    }
}

impl FromStr for Sid {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse(text).ok_or_else(|| Error::protocol("a SID is not of the form S-1-…"))
    }
}

fn parse(text: &str) -> Option<Sid> {
    let mut parts = text.split('-');
    if !parts.next()?.eq_ignore_ascii_case("S") || parts.next()? != "1" {
        return None;
    }
    let authority = parts.next()?;
    let authority = match authority.strip_prefix("0x").or_else(|| authority.strip_prefix("0X")) {
        Some(digits) if digits.bytes().all(|b| b.is_ascii_hexdigit()) => u64::from_str_radix(digits, 16).ok()?,
        Some(_) => return None,
        None => decimal(authority)?,
    };
    let numbers =
        parts.map(|part| decimal(part).and_then(|number| u32::try_from(number).ok())).collect::<Option<Vec<u32>>>()?;
    (authority < 1 << 48 && numbers.len() <= MAX_NUMBERS).then_some(Sid { authority, numbers })
}

fn decimal(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_real_account_reads_as_domain_and_rid() {
        let bytes = [
            1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 0x6f, 0xbb, 0xaa, 0x5e, 0x0f, 0xa4, 0x79, 0x18, 0x5a, 0x27, 0x1c,
            0x5a, 0x5b, 0x04, 0, 0,
        ];
        let sid = Sid::from_bytes(&bytes).unwrap();
        assert_eq!(sid.to_string(), "S-1-5-21-1588247407-410625039-1511794522-1115");
        assert_eq!(sid.rid(), Some(1115));
        let domain = sid.domain().unwrap();
        assert_eq!(domain.to_string(), "S-1-5-21-1588247407-410625039-1511794522");
        assert_eq!(domain.child(1115), Some(sid));
    }

    #[test]
    fn wrong_lengths_revisions_and_texts_are_refused() {
        assert!(Sid::from_bytes(&[1, 1, 0, 0, 0, 0, 0, 5]).is_err());
        assert!(Sid::from_bytes(&[2, 0, 0, 0, 0, 0, 0, 5]).is_err());
        assert!(Sid::from_bytes(&[1, 16, 0, 0, 0, 0, 0, 5]).is_err());
        for text in ["", "S-1", "S-2-5", "S-1-5-", "S-1-5-x", "S-1-5-4294967296", "S-1-5-+1", "S-1-281474976710656"] {
            assert!(text.parse::<Sid>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn bytes_and_text_round_trip(authority in 0_u64..1 << 48, numbers in proptest::collection::vec(any::<u32>(), 0..=15)) {
            let sid = Sid { authority, numbers };
            prop_assert_eq!(&Sid::from_bytes(&sid.to_bytes()).unwrap(), &sid);
            prop_assert_eq!(sid.to_string().parse::<Sid>().unwrap(), sid);
        }

        #[test]
        fn garbage_never_panics(bytes: Vec<u8>, text: String) {
            let _ = Sid::from_bytes(&bytes);
            let _ = text.parse::<Sid>();
        }
    }
}
