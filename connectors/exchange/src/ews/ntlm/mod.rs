//! The messages of an `NTLMv2` login (MS-NLMP). It must not know how they travel.
//!
//! Only the client's side, only version 2, and neither signing nor sealing: HTTP has no use for those.

mod binding;
mod challenge;

use hmac::{Hmac, KeyInit as _, Mac as _};
use md4::{Digest as _, Md4};
use md5::Md5;
use tenantry::Secret;

pub(crate) use binding::channel_binding;
pub(crate) use challenge::Challenge;

const SIGNATURE: &[u8; 8] = b"NTLMSSP\0";

/// Unicode, target's name, NTLM, always sign, extended session security, target's information, 128 and 56 bits: what
/// every server since 2003 speaks. No exchange of keys: nothing is signed or sealed.
const FLAGS: u32 =
    0x0000_0001 | 0x0000_0004 | 0x0000_0200 | 0x0000_8000 | 0x0008_0000 | 0x0080_0000 | 0x2000_0000 | 0x8000_0000;

/// Where the fixed part of the last message ends: behind flags, version and integrity code.
const PAYLOAD: usize = 88;
const CODE: std::ops::Range<usize> = 72..88;

/// Ids of the pairs in a target's information.
mod pair {
    pub(super) const END: u16 = 0;
    pub(super) const TREE: u16 = 5;
    pub(super) const FLAGS: u16 = 6;
    pub(super) const TIME: u16 = 7;
    pub(super) const TARGET: u16 = 9;
    pub(super) const BINDING: u16 = 10;
}

/// Who signs in.
pub(crate) struct Login<'a> {
    /// Empty where the user's name says where it belongs.
    pub(crate) domain: &'a str,
    pub(crate) user: &'a str,
    pub(crate) password: &'a Secret,
}

impl<'a> Login<'a> {
    /// Reads `DOMAIN\user`, or a name that stands for itself.
    pub(crate) fn new(account: &'a str, password: &'a Secret) -> Self {
        let (domain, user) = account.split_once('\\').unwrap_or(("", account));
        Self { domain, user, password }
    }
}

/// What the answer to a challenge is bound to.
pub(crate) struct Binding<'a> {
    /// The digest of the server's certificate with what it is for; `None` without TLS.
    pub(crate) channel: Option<[u8; 16]>,
    /// The service as the domain knows it: `HTTP/mail.corp.example`.
    pub(crate) target: &'a str,
    /// Drawn anew for each login.
    pub(crate) nonce: [u8; 8],
    /// The time in 100 nanoseconds since 1601, for servers that do not tell theirs.
    pub(crate) time: u64,
}

/// Makes the first message.
pub(crate) fn negotiate() -> Vec<u8> {
    let mut message = Vec::with_capacity(32);
    message.extend_from_slice(SIGNATURE);
    message.extend_from_slice(&1_u32.to_le_bytes());
    message.extend_from_slice(&FLAGS.to_le_bytes());
    // Neither domain nor workstation.
    message.extend_from_slice(&[0; 16]);
    message
}

/// Makes the last message: the proof that the password is known, bound to this channel and service.
pub(crate) fn authenticate(challenge: &Challenge<'_>, login: &Login<'_>, binding: &Binding<'_>) -> Vec<u8> {
    let key = response_key(login);
    let server_time = challenge.pair(pair::TIME).and_then(|time| time.try_into().ok()).map(u64::from_le_bytes);
    let info = target_info(challenge, binding, server_time.is_some());
    let mut blob = Vec::with_capacity(32 + info.len());
    blob.extend_from_slice(&[1, 1, 0, 0, 0, 0, 0, 0]);
    blob.extend_from_slice(&server_time.unwrap_or(binding.time).to_le_bytes());
    blob.extend_from_slice(&binding.nonce);
    blob.extend_from_slice(&[0; 4]);
    blob.extend_from_slice(&info);
    blob.extend_from_slice(&[0; 4]);
    let proof = hash(&key, &[challenge.nonce(), &blob]);
    // A server that tells its time wants no answer of the older form.
    let older = match server_time {
        Some(_) => vec![0; 24],
        None => [&hash(&key, &[challenge.nonce(), &binding.nonce])[..], &binding.nonce].concat(),
    };
    let newer = [&proof[..], &blob].concat();
    let fields = [older, newer, wide(login.domain), wide(login.user), Vec::new(), Vec::new()];

    let mut message = Vec::with_capacity(PAYLOAD + 512);
    message.extend_from_slice(SIGNATURE);
    message.extend_from_slice(&3_u32.to_le_bytes());
    let mut at = PAYLOAD;
    for field in &fields {
        // Nothing here is longer: the challenge's own lengths have 16 bits, and so has what is made of it.
        let length = u16::try_from(field.len()).unwrap_or(u16::MAX).to_le_bytes();
        message.extend_from_slice(&length);
        message.extend_from_slice(&length);
        message.extend_from_slice(&u32::try_from(at).unwrap_or(u32::MAX).to_le_bytes());
        at += field.len();
    }
    message.extend_from_slice(&(FLAGS & challenge.flags()).to_le_bytes());
    message.extend_from_slice(&[0; 8 + 16]);
    for field in &fields {
        message.extend_from_slice(field);
    }
    if server_time.is_some() {
        let session = hash(&key, &[&proof]);
        let code = hash(&session, &[&negotiate(), challenge.message(), &message]);
        message[CODE].copy_from_slice(&code);
    }
    message
}

/// What the server said of itself, and what the answer is bound to.
fn target_info(challenge: &Challenge<'_>, binding: &Binding<'_>, has_code: bool) -> Vec<u8> {
    let mut info = Vec::new();
    let mut add = |id: u16, value: &[u8]| {
        info.extend_from_slice(&id.to_le_bytes());
        info.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_le_bytes());
        info.extend_from_slice(value);
    };
    for (id, value) in challenge.pairs() {
        if !matches!(id, pair::FLAGS | pair::TARGET | pair::BINDING) {
            add(id, value);
        }
    }
    if has_code {
        add(pair::FLAGS, &2_u32.to_le_bytes());
    }
    // Without TLS all zeros: there is no channel to be bound to, which is not the same as not knowing of bindings.
    add(pair::BINDING, &binding.channel.unwrap_or_default());
    add(pair::TARGET, &wide(binding.target));
    add(pair::END, &[]);
    info
}

/// `NTOWFv2`: the password's digest, keyed with who uses it.
fn response_key(login: &Login<'_>) -> [u8; 16] {
    let password = zeroize(wide(login.password.expose()));
    let digest: [u8; 16] = Md4::digest(password.as_bytes()).into();
    hash(&digest, &[&wide(&login.user.to_uppercase()), &wide(login.domain)])
}

/// Keeps the password's wide form in something that is wiped.
fn zeroize(wide: Vec<u8>) -> Wiped {
    Wiped(wide)
}

struct Wiped(Vec<u8>);

impl Wiped {
    fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(|byte| *byte = 0);
        std::hint::black_box(&self.0);
    }
}

fn hash(key: &[u8; 16], parts: &[&[u8]]) -> [u8; 16] {
    // The key's length is always good: HMAC takes any.
    let mut mac = Hmac::<Md5>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// UTF-16, little end first.
fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[cfg(test)]
mod tests;
