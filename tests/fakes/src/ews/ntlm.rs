//! The server's side of NTLM version 2 (MS-NLMP): the challenge, and whether an answer to it is right; it knows no HTTP.

use super::digest::{hmac_md5, md5, password_hash, rc4, utf16};
use super::settings::ExtendedProtection;

const SIGNATURE: &[u8; 8] = b"NTLMSSP\0";
const UNICODE: u32 = 0x1;
const OEM: u32 = 0x2;
const REQUEST_TARGET: u32 = 0x4;
const NTLM: u32 = 0x200;
const ALWAYS_SIGN: u32 = 0x8000;
const TARGET_IS_DOMAIN: u32 = 0x1_0000;
const EXTENDED_SECURITY: u32 = 0x8_0000;
const TARGET_INFO: u32 = 0x80_0000;
const VERSION: u32 = 0x200_0000;
const KEY_EXCHANGE: u32 = 0x4000_0000;
/// Sign, seal, 128 and 56 bits, exchange of keys: what the client asks for is granted.
const GRANTED: u32 = 0xe000_0030;

/// The length of a fixed part with the message's own check.
const WITH_MIC: usize = 88;

/// What the server's names are.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    pub(crate) domain: String,
    pub(crate) dns_domain: String,
    pub(crate) computer: String,
}

/// A message of a client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Negotiate,
    Authenticate,
}

fn number(message: &[u8], at: usize) -> Option<u32> {
    message.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

/// What a field of a message points at.
fn field(message: &[u8], at: usize) -> Option<&[u8]> {
    let length = usize::from(u16::from_le_bytes(message.get(at..at + 2)?.try_into().ok()?));
    let start = usize::try_from(number(message, at + 4)?).ok()?;
    message.get(start..start.checked_add(length)?)
}

fn text(bytes: &[u8], flags: u32) -> Option<String> {
    if flags & UNICODE == 0 {
        return String::from_utf8(bytes.to_vec()).ok();
    }
    let units = bytes.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect::<Vec<_>>();
    String::from_utf16(&units).ok().filter(|_| bytes.len().is_multiple_of(2))
}

/// Tells which message this is.
pub(crate) fn kind(message: &[u8]) -> Option<Kind> {
    message.strip_prefix(SIGNATURE)?;
    match number(message, 8)? {
        1 => Some(Kind::Negotiate),
        3 => Some(Kind::Authenticate),
        _ => None,
    }
}

/// A challenge that was sent, and what it was sent for.
#[derive(Debug, Clone)]
pub(crate) struct Challenge {
    negotiate: Vec<u8>,
    nonce: [u8; 8],
    pub(crate) message: Vec<u8>,
}

impl Challenge {
    /// Makes a challenge for a client's first message; absent when the client cannot do what is needed.
    pub(crate) fn new(negotiate: &[u8], nonce: [u8; 8], names: &Names, filetime: u64) -> Option<Self> {
        let asked = number(negotiate, 12)?;
        let letters = match (asked & UNICODE, asked & OEM) {
            (0, 0) => return None,
            (0, _) => OEM,
            _ => UNICODE,
        };
        if asked & NTLM == 0 {
            return None;
        }
        let flags = letters
            | REQUEST_TARGET
            | NTLM
            | ALWAYS_SIGN
            | TARGET_IS_DOMAIN
            | EXTENDED_SECURITY
            | TARGET_INFO
            | VERSION
            | asked & GRANTED;
        let domain = utf16(&names.domain);
        let target = if letters == OEM { names.domain.clone().into_bytes() } else { domain.clone() };
        let dns_computer = format!("{}.{}", names.computer.to_lowercase(), names.dns_domain);
        let mut info = Vec::new();
        let mut pair = |id: u16, value: &[u8]| {
            info.extend(id.to_le_bytes());
            info.extend(u16::try_from(value.len()).unwrap_or(0).to_le_bytes());
            info.extend(value);
        };
        pair(2, &domain);
        pair(1, &utf16(&names.computer));
        pair(4, &utf16(&names.dns_domain));
        pair(3, &utf16(&dns_computer));
        pair(5, &utf16(&names.dns_domain));
        pair(7, &filetime.to_le_bytes());
        pair(0, &[]);

        let mut message = SIGNATURE.to_vec();
        message.extend(2_u32.to_le_bytes());
        let points = |message: &mut Vec<u8>, length: usize, at: usize| {
            let length = u16::try_from(length).unwrap_or(0).to_le_bytes();
            message.extend(length.iter().chain(&length));
            message.extend(u32::try_from(at).unwrap_or(0).to_le_bytes());
        };
        points(&mut message, target.len(), 56);
        message.extend(flags.to_le_bytes());
        message.extend(nonce);
        message.extend([0; 8]);
        points(&mut message, info.len(), 56 + target.len());
        // Windows Server 2019, NTLM revision 15.
        message.extend([10, 0, 0x63, 0x45, 0, 0, 0, 15]);
        message.extend(target);
        message.extend(info);
        Some(Self { negotiate: negotiate.to_vec(), nonce, message })
    }
}

/// An answer to a challenge.
#[derive(Debug)]
pub(crate) struct Authenticate<'a> {
    message: &'a [u8],
    proof: [u8; 16],
    /// What the proof is about besides the challenge.
    rest: &'a [u8],
    pub(crate) domain: String,
    pub(crate) user: String,
    key: &'a [u8],
    flags: u32,
}

impl<'a> Authenticate<'a> {
    /// Reads an answer; absent when it is not well formed, nobody's, or of version 1.
    pub(crate) fn read(message: &'a [u8]) -> Option<Self> {
        let response = field(message, 20)?;
        // Version 1 has 24 bytes and nothing to say about the server.
        let (proof, rest) = response.split_first_chunk::<16>().filter(|(_, rest)| rest.len() >= 32)?;
        if rest[..2] != [1, 1] {
            return None;
        }
        let flags = number(message, 60)?;
        let user = text(field(message, 36)?, flags)?;
        if user.is_empty() {
            return None;
        }
        Some(Self {
            message,
            proof: *proof,
            rest,
            domain: text(field(message, 28)?, flags)?,
            user,
            key: field(message, 52)?,
            flags,
        })
    }

    /// What the client says under an id, such as the binding to the channel.
    fn said(&self, wanted: u16) -> Option<&'a [u8]> {
        let mut pairs = self.rest.get(28..)?;
        loop {
            let id = u16::from_le_bytes(pairs.get(..2)?.try_into().ok()?);
            let length = usize::from(u16::from_le_bytes(pairs.get(2..4)?.try_into().ok()?));
            let value = pairs.get(4..4 + length)?;
            if id == wanted {
                return Some(value);
            }
            if id == 0 {
                return None;
            }
            pairs = &pairs[4 + length..];
        }
    }

    /// Whether this proves the password against the challenge, and the messages came as they were sent.
    pub(crate) fn proves(&self, password: &str, challenge: &Challenge, mic_required: bool) -> bool {
        let name = [utf16(&self.user.to_uppercase()), utf16(&self.domain)].concat();
        let key = hmac_md5(&password_hash(password), &[&name]);
        if hmac_md5(&key, &[&challenge.nonce, self.rest]) != self.proof {
            return false;
        }
        let base = hmac_md5(&key, &[&self.proof]);
        let session = match (self.flags & KEY_EXCHANGE != 0, self.key.len()) {
            (false, _) => base,
            (true, 16) => match rc4(&base, self.key).try_into() {
                Ok(session) => session,
                Err(_) => return false,
            },
            (true, _) => return false,
        };
        let promised = self.said(6).and_then(|flags| number(flags, 0)).is_some_and(|flags| flags & 2 != 0);
        if !promised {
            return !mic_required;
        }
        let Some(mic) = self.message.get(72..WITH_MIC) else { return false };
        let check = hmac_md5(
            &session,
            &[&challenge.negotiate, &challenge.message, &self.message[..72], &[0; 16], &self.message[WITH_MIC..]],
        );
        check == mic
    }

    /// Whether the answer is bound to the channel as far as is asked for.
    pub(crate) fn is_bound(&self, binding: Option<&[u8]>, protection: ExtendedProtection) -> bool {
        let said = self.said(10).filter(|said| said.iter().any(|byte| *byte != 0));
        match (protection, said) {
            (ExtendedProtection::Off, _) | (ExtendedProtection::Allowed, None) => true,
            (ExtendedProtection::Required, None) => false,
            (_, Some(said)) => binding.is_some_and(|binding| channel_hash(binding) == said),
        }
    }
}

/// The hash of a channel binding structure (RFC 2744) that has no addresses.
fn channel_hash(application_data: &[u8]) -> [u8; 16] {
    let length = u32::try_from(application_data.len()).unwrap_or(0).to_le_bytes();
    md5(&[&[0; 16], &length, application_data])
}

#[cfg(test)]
mod tests;
