//! The client's side of NTLM version 2 as MS-NLMP has it, written for the tests alone; it knows no HTTP.

use md4::Md4;
use md5::{Digest as _, Md5};

/// What is proved, and how carefully.
pub(crate) struct Proof<'a> {
    domain: &'a str,
    user: &'a str,
    password: &'a str,
    /// The channel's binding that is told.
    pub(crate) binding: Option<&'a [u8]>,
    /// Whether the messages have their own check, and whether it is right.
    pub(crate) checked: Option<bool>,
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut padded = [0_u8; 64];
    padded[..key.len()].copy_from_slice(key);
    let inner = Md5::digest([&padded.map(|byte| byte ^ 0x36)[..], text].concat());
    Md5::digest([&padded.map(|byte| byte ^ 0x5c)[..], &inner].concat()).to_vec()
}

fn number(message: &[u8], at: usize) -> usize {
    usize::try_from(u32::from_le_bytes(message[at..at + 4].try_into().unwrap())).unwrap()
}

impl<'a> Proof<'a> {
    pub(crate) fn new(domain: &'a str, user: &'a str, password: &'a str) -> Self {
        Self { domain, user, password, binding: None, checked: None }
    }

    /// The third message for the first and the second.
    pub(crate) fn answer(&self, negotiate: &[u8], challenge: &[u8]) -> Vec<u8> {
        let nonce = &challenge[24..32];
        let info = &challenge[number(challenge, 44)..][..number(challenge, 40) & 0xffff];
        // What the server says of itself, without its end, and what is said besides.
        let mut said = info[..info.len() - 4].to_vec();
        if self.checked.is_some() {
            said.extend([6, 0, 4, 0, 2, 0, 0, 0]);
        }
        if let Some(binding) = self.binding {
            let length = u32::try_from(binding.len()).unwrap().to_le_bytes();
            said.extend([10, 0, 16, 0]);
            said.extend(Md5::digest([&[0; 16][..], &length, binding].concat()));
        }
        let about = [&[1, 1, 0, 0, 0, 0, 0, 0][..], &[0; 8], &[0xab; 8], &[0; 4], &said, &[0; 8]].concat();
        let name = wide(&(self.user.to_uppercase() + self.domain));
        let key = hmac(&Md4::digest(wide(self.password)), &name);
        let proof = hmac(&key, &[nonce, &about].concat());

        let mut message = [&b"NTLMSSP\0\x03\0\0\0"[..], &[0; 76]].concat();
        message[60..64].copy_from_slice(&0x0088_8205_u32.to_le_bytes());
        let parts = [
            (12, vec![0; 24]),
            (20, [&proof[..], &about].concat()),
            (28, wide(self.domain)),
            (36, wide(self.user)),
            (44, wide("CLIENT")),
            (52, Vec::new()),
        ];
        for (at, part) in parts {
            let length = u16::try_from(part.len()).unwrap().to_le_bytes();
            let start = u32::try_from(message.len()).unwrap().to_le_bytes();
            message[at..at + 8]
                .copy_from_slice(&[length, length].concat().into_iter().chain(start).collect::<Vec<_>>());
            message.extend(part);
        }
        if let Some(right) = self.checked {
            let mut check = hmac(&hmac(&key, &proof), &[negotiate, challenge, &message].concat());
            check[0] ^= u8::from(!right);
            message[72..88].copy_from_slice(&check);
        }
        message
    }
}
