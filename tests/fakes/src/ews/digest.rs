//! The digests and the cipher of NTLM; it knows no message.

use md4::Md4;
use md5::{Digest as _, Md5};

/// MD4 of a password in UTF-16.
pub(crate) fn password_hash(password: &str) -> [u8; 16] {
    Md4::digest(utf16(password)).into()
}

/// Text as NTLM writes it.
pub(crate) fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// MD5 of some parts.
pub(crate) fn md5(parts: &[&[u8]]) -> [u8; 16] {
    let mut digest = Md5::new();
    for part in parts {
        digest.update(part);
    }
    digest.finalize().into()
}

/// HMAC-MD5 (RFC 2104) of some parts; the key is no longer than a block.
pub(crate) fn hmac_md5(key: &[u8; 16], parts: &[&[u8]]) -> [u8; 16] {
    let pad = |with: u8| {
        let mut block = [with; 64];
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        block
    };
    let inner = md5(&[&[&pad(0x36)[..]], parts].concat());
    md5(&[&pad(0x5c), &inner])
}

/// RC4, which undoes itself.
pub(crate) fn rc4(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut box_: [u8; 256] = std::array::from_fn(|at| u8::try_from(at).unwrap_or(0));
    let mut other = 0_u8;
    for at in 0..=255_u8 {
        let key = key[usize::from(at) % key.len()];
        other = other.wrapping_add(box_[usize::from(at)]).wrapping_add(key);
        box_.swap(usize::from(at), usize::from(other));
    }
    let (mut at, mut other) = (0_u8, 0_u8);
    let mut next = || {
        at = at.wrapping_add(1);
        other = other.wrapping_add(box_[usize::from(at)]);
        box_.swap(usize::from(at), usize::from(other));
        box_[usize::from(box_[usize::from(at)].wrapping_add(box_[usize::from(other)]))]
    };
    text.iter().map(|byte| byte ^ next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        use std::fmt::Write as _;
        bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// RFC 1320, RFC 1321 and RFC 2202.
    #[test]
    fn digests_are_those_of_the_published_examples() {
        assert_eq!(hex(&Md4::digest(b"abc")), "a448017aaf21d8525fc10ae87aa6729d");
        assert_eq!(hex(&md5(&[b"a", b"bc"])), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(hex(&hmac_md5(&[0x0b; 16], &[b"Hi ", b"There"])), "9294727a3638bb1c13f48ef8158bfc9d");
    }

    /// MS-NLMP 4.2.4.2.3: the random session key under version 2's key.
    #[test]
    fn the_cipher_is_that_of_the_published_example() {
        let key = [0x8d, 0xe4, 0x0c, 0xca, 0xdb, 0xc1, 0x4a, 0x82, 0xf1, 0x5c, 0xb0, 0xad, 0x0d, 0xe9, 0x5c, 0xa3];
        assert_eq!(hex(&rc4(&key, &[0x55; 16])), "c5dad2544fc9799094ce1ce90bc9d03e");
        assert_eq!(hex(&password_hash("Password")), "a4f49c406510bdcab6824ee7c30fd852");
    }
}
