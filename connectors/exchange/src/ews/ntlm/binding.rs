//! What binds a login to its TLS channel: `tls-server-end-point` (RFC 5929). It must not know any password.

use md5::{Digest as _, Md5};
use ring::digest::{self, Algorithm};

/// Returns what an NTLM answer is bound to: the digest of the channel's bindings. `None` where the certificate's
/// signature has no digest of its own, for which the binding is not defined.
pub(crate) fn channel_binding(certificate: &[u8]) -> Option<[u8; 16]> {
    let digest = digest::digest(algorithm(certificate)?, certificate);
    let mut data = b"tls-server-end-point:".to_vec();
    data.extend_from_slice(digest.as_ref());
    // Neither side has an address in it.
    let mut bindings = vec![0; 16];
    bindings.extend_from_slice(&u32::try_from(data.len()).ok()?.to_le_bytes());
    bindings.extend_from_slice(&data);
    Some(Md5::digest(&bindings).into())
}

/// Finds the digest of a certificate's signature; the two that are broken count as SHA-256.
fn algorithm(certificate: &[u8]) -> Option<&'static Algorithm> {
    const SEQUENCE: u8 = 0x30;
    const OID: u8 = 0x06;
    let (body, _) = element(certificate, SEQUENCE)?;
    let (_, behind) = element(body, SEQUENCE)?;
    let (signature, _) = element(behind, SEQUENCE)?;
    let (name, parameters) = element(signature, OID)?;
    Some(match name {
        // RSA with MD5, SHA-1, SHA-256, SHA-384, SHA-512.
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, kind] => match kind {
            0x04 | 0x05 | 0x0b => &digest::SHA256,
            0x0c => &digest::SHA384,
            0x0d => &digest::SHA512,
            // PSS: the digest is in the parameters, SHA-1 where they leave it out.
            0x0a => named_digest(parameters).unwrap_or(&digest::SHA256),
            _ => return None,
        },
        // ECDSA with SHA-1, and with SHA-256, SHA-384, SHA-512.
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01] => &digest::SHA256,
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, kind] => match kind {
            0x02 => &digest::SHA256,
            0x03 => &digest::SHA384,
            0x04 => &digest::SHA512,
            _ => return None,
        },
        _ => return None,
    })
}

/// Looks for the name of a digest, 2.16.840.1.101.3.4.2.x, of which the first one is that of the signature.
fn named_digest(parameters: &[u8]) -> Option<&'static Algorithm> {
    const PREFIX: [u8; 10] = [0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02];
    let at = parameters.windows(PREFIX.len()).position(|window| window == PREFIX)?;
    match parameters.get(at + PREFIX.len())? {
        0x01 => Some(&digest::SHA256),
        0x02 => Some(&digest::SHA384),
        0x03 => Some(&digest::SHA512),
        _ => None,
    }
}

/// Reads one element of DER: its content, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    if *first != tag {
        return None;
    }
    let (short, rest) = rest.split_first()?;
    let (length, rest) = match usize::from(*short) {
        length @ 0..=0x7f => (length, rest),
        count @ 0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(count & 0x7f)?;
            (digits.iter().fold(0_usize, |sum, digit| sum << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A certificate of nothing but a signature's algorithm.
    fn signed_with(oid: &[u8], parameters: &[u8]) -> Vec<u8> {
        let wrap = |tag: u8, content: Vec<u8>| [vec![tag, u8::try_from(content.len()).unwrap()], content].concat();
        let signature = wrap(0x30, [wrap(0x06, oid.to_vec()), parameters.to_vec()].concat());
        wrap(0x30, [wrap(0x30, vec![1, 2, 3]), signature].concat())
    }

    #[test]
    fn the_digest_is_that_of_the_signature_and_never_a_broken_one() {
        let rsa = |kind| vec![0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, kind];
        let ecdsa = |kind| vec![0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, kind];
        let pss = [0x30, 0x0d, 0xa0, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03];
        let cases: [(Vec<u8>, &[u8], Option<&Algorithm>); 9] = [
            (rsa(0x05), &[5, 0], Some(&digest::SHA256)),
            (rsa(0x0b), &[5, 0], Some(&digest::SHA256)),
            (rsa(0x0c), &[5, 0], Some(&digest::SHA384)),
            (rsa(0x0d), &[5, 0], Some(&digest::SHA512)),
            (rsa(0x0a), &pss, Some(&digest::SHA512)),
            (rsa(0x0a), &[0x30, 0], Some(&digest::SHA256)),
            (ecdsa(0x03), &[], Some(&digest::SHA384)),
            (ecdsa(0x02), &[], Some(&digest::SHA256)),
            // Ed25519.
            (vec![0x2b, 0x65, 0x70], &[], None),
        ];
        for (oid, parameters, expected) in cases {
            assert_eq!(algorithm(&signed_with(&oid, parameters)), expected, "{oid:x?}");
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_binding() {
        for bytes in [&b""[..], &[0x30], &[0x30, 0x80], &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], &[0x30, 2, 0x30, 9]] {
            assert_eq!(channel_binding(bytes), None, "{bytes:x?}");
        }
    }
}
