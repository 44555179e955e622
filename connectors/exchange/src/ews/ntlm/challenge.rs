//! The server's challenge, read with every length checked. It must not know any password.

use tenantry::{Error, Result};

use super::{SIGNATURE, pair};

/// More is no challenge.
const MOST: usize = 16 << 10;
/// More pairs tell nothing.
const PAIRS: usize = 64;

/// A server's challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Challenge<'a> {
    message: &'a [u8],
    flags: u32,
    nonce: &'a [u8],
    pairs: Vec<(u16, &'a [u8])>,
}

impl<'a> Challenge<'a> {
    /// Reads a challenge.
    pub(crate) fn read(message: &'a [u8]) -> Result<Self> {
        Self::parse(message).ok_or_else(|| {
            Error::protocol("the server's NTLM challenge cannot be read; check for a proxy in between, or use basic")
        })
    }

    fn parse(message: &'a [u8]) -> Option<Self> {
        if message.len() > MOST || message.get(..8)? != SIGNATURE || u32_at(message, 8)? != 2 {
            return None;
        }
        let nonce = message.get(24..32)?;
        let mut pairs = Vec::new();
        // Servers older than all of Exchange's have no target information.
        if message.len() >= 48 {
            let length = usize::from(u16_at(message, 40)?);
            let at = usize::try_from(u32_at(message, 44)?).ok()?;
            let mut info = message.get(at..at.checked_add(length)?)?;
            while !info.is_empty() {
                let (id, length) = (u16_at(info, 0)?, usize::from(u16_at(info, 2)?));
                let value = info.get(4..4 + length)?;
                if id == pair::END {
                    break;
                }
                pairs.push((id, value));
                if pairs.len() > PAIRS {
                    return None;
                }
                info = info.get(4 + length..)?;
            }
        }
        Some(Self { message, flags: u32_at(message, 20)?, nonce, pairs })
    }

    pub(super) fn message(&self) -> &'a [u8] {
        self.message
    }

    pub(super) fn flags(&self) -> u32 {
        self.flags
    }

    pub(super) fn nonce(&self) -> &'a [u8] {
        self.nonce
    }

    pub(super) fn pairs(&self) -> impl Iterator<Item = (u16, &'a [u8])> {
        self.pairs.iter().copied()
    }

    pub(super) fn pair(&self, id: u16) -> Option<&'a [u8]> {
        self.pairs().find(|(other, _)| *other == id).map(|(_, value)| value)
    }

    /// Returns the DNS name of the forest that the server belongs to.
    pub(crate) fn forest(&self) -> Option<String> {
        let wide = self.pair(pair::TREE)?;
        let units = wide.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
        let name: String = char::decode_utf16(units).collect::<Result<_, _>>().ok()?;
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
        (!name.is_empty() && name.len() <= 255 && name.chars().all(plain)).then(|| name.to_lowercase())
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
