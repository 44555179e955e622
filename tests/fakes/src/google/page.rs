//! Page tokens: where a listing goes on, of which listing, since when; it knows no account.

use serde::{Deserialize, Serialize};

use super::refusal::Refusal;
use super::seed::mixed;
use super::settings::Settings;

/// What a token holds; opaque to clients.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub(crate) struct PageToken {
    /// Fingerprint of operation and parameters, which must stay the same.
    #[serde(rename = "l")]
    pub(crate) listing: u64,
    /// Where it goes on.
    #[serde(rename = "a")]
    pub(crate) after: String,
    /// The number of the page it leads to, from 2.
    #[serde(rename = "p")]
    pub(crate) page: u64,
    /// When the listing began.
    #[serde(rename = "s")]
    pub(crate) since: i64,
    /// When it was given.
    #[serde(rename = "g")]
    pub(crate) given: i64,
    /// Items shown so far.
    #[serde(rename = "n")]
    pub(crate) shown: usize,
}

impl PageToken {
    pub(crate) fn write(&self) -> String {
        use std::fmt::Write as _;
        let text = serde_json::to_string(self).unwrap_or_default();
        let mut token = format!("{:08x}", checksum(&text));
        for byte in text.bytes() {
            // Not plain text: nobody should come to rely on what is in it.
            let _ = write!(token, "{:02x}", byte ^ 0x5a);
        }
        token
    }

    pub(crate) fn read(token: &str) -> Option<Self> {
        let sum = u32::from_str_radix(token.get(..8)?, 16).ok()?;
        let bytes: Option<Vec<u8>> = (8..token.len())
            .step_by(2)
            .map(|at| token.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()).map(|byte| byte ^ 0x5a))
            .collect();
        let text = String::from_utf8(bytes?).ok()?;
        (checksum(&text) == sum).then(|| serde_json::from_str(&text).ok()).flatten()
    }

    /// Reads the token of a listing, which must be this one, and not too old.
    pub(crate) fn checked(token: &str, listing: u64, now: i64, settings: &Settings) -> Result<Self, Refusal> {
        let read = Self::read(token).filter(|read| read.listing == listing);
        let read = read.ok_or_else(|| Refusal::invalid(token))?;
        let within = |since: i64, limit: std::time::Duration| {
            now - since <= i64::try_from(limit.as_millis()).unwrap_or(i64::MAX)
        };
        if !within(read.given, settings.page_token_lifetime) {
            return Err(Refusal::invalid(token));
        }
        if !within(read.since, settings.listing_limit) {
            return Err(Refusal::backend());
        }
        Ok(read)
    }
}

pub(crate) fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0x6c62_272e_07bb_0142, |sum, byte| mixed(sum ^ u64::from(byte)))
}

#[expect(clippy::cast_possible_truncation, reason = "half of it will do")]
fn checksum(text: &str) -> u32 {
    fingerprint(text) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_again_and_a_changed_one_is_not() {
        let token = PageToken { listing: 4, after: "ü@corp.example".into(), page: 2, since: 1, given: 2, shown: 500 };
        let text = token.write();
        assert_eq!(PageToken::read(&text), Some(token));
        assert_eq!(PageToken::read(&text.replace('7', "8")), None);
        assert_eq!(PageToken::read(""), None);
    }
}
