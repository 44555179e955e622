//! Certificates for applications: one of the fake's own, and the public key of any other; it knows no assertion.

use std::fmt;

use rcgen::{CertificateParams, DnType, KeyPair, SerialNumber};
use ring::digest;
use ring::rand::{SecureRandom as _, SystemRandom};

use super::apps::Registered;
use super::encoding::{base64url, decode};
use super::tenant::Tenant;

/// A key for tests only: making one takes seconds, and ring cannot make RSA keys at all.
const KEY: &str = include_str!("client_key.pem");

/// A certificate with its private key, for the client.
#[derive(Clone)]
pub struct ClientCertificate {
    /// The certificate.
    pub certificate_pem: String,
    /// The private key in PKCS#8.
    pub private_key_pem: String,
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").field("certificate_pem", &self.certificate_pem).finish_non_exhaustive()
    }
}

/// A certificate that cannot be registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadCertificate;

impl fmt::Display for BadCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no certificate with an RSA key")
    }
}

impl std::error::Error for BadCertificate {}

impl Tenant {
    /// Makes a certificate, registers it with the application and returns it with its key.
    ///
    /// # Panics
    /// When the system gives no random bytes for the serial number.
    pub fn issue_certificate(&self) -> ClientCertificate {
        let certificate = Self::strange_certificate();
        self.register_certificate(&certificate.certificate_pem).expect("the certificate was made here");
        certificate
    }

    /// Makes a certificate that nobody registered; each has another thumbprint.
    ///
    /// # Panics
    /// When the system gives no random bytes for the serial number.
    pub fn strange_certificate() -> ClientCertificate {
        let key = KeyPair::from_pem(KEY).expect("the key is well-formed");
        let mut params = CertificateParams::default();
        let mut serial = [0; 16];
        SystemRandom::new().fill(&mut serial).expect("the system gives random bytes");
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.distinguished_name.push(DnType::CommonName, "directory import");
        let certificate = params.self_signed(&key).expect("a certificate can be made from plain parameters");
        ClientCertificate { certificate_pem: certificate.pem(), private_key_pem: KEY.to_owned() }
    }

    /// Registers a certificate with the application.
    ///
    /// # Errors
    /// When the text is no PEM certificate with an RSA key.
    pub fn register_certificate(&self, pem: &str) -> Result<(), BadCertificate> {
        let body: String = pem.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
        let der = decode(&body).ok_or(BadCertificate)?;
        let public_key = public_key(&der).ok_or(BadCertificate)?.to_vec();
        let sum = |algorithm| base64url(digest::digest(algorithm, &der).as_ref());
        let known =
            Registered { public_key, sha256: sum(&digest::SHA256), sha1: sum(&digest::SHA1_FOR_LEGACY_USE_ONLY) };
        let client = self.client_id();
        self.0.apps().by_id.entry(client).or_default().certificates.push(known);
        Ok(())
    }

    /// Forgets all certificates of the application.
    pub fn forget_certificates(&self) {
        let client = self.client_id();
        self.0.apps().by_id.entry(client).or_default().certificates.clear();
    }
}

/// Splits one DER value off: its tag, its content, what follows.
fn value(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// The key inside a certificate: `Certificate.tbsCertificate.subjectPublicKeyInfo.subjectPublicKey` of RFC 5280.
fn public_key(der: &[u8]) -> Option<&[u8]> {
    let (_, certificate, _) = value(der)?;
    let (_, mut rest, _) = value(certificate)?;
    // The version is there or not; then serial number, algorithm, issuer, validity, subject.
    let (tag, _, after) = value(rest)?;
    if tag == 0xa0 {
        rest = after;
    }
    for _ in 0..5 {
        rest = value(rest)?.2;
    }
    let (_, info, _) = value(rest)?;
    let (_, _, bits) = value(info)?;
    let (tag, bits, _) = value(bits)?;
    // A bit string begins with the number of unused bits.
    let (0x03, Some((0, key))) = (tag, bits.split_first()) else { return None };
    (key.first() == Some(&0x30)).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_with_rsa_keys_can_be_registered_and_others_cannot() {
        let tenant = Tenant::new("tenant.example");
        assert!(tenant.register_certificate(&Tenant::strange_certificate().certificate_pem).is_ok());
        let params = CertificateParams::default();
        let other = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        assert_eq!(tenant.register_certificate(&other.pem()), Err(BadCertificate));
        assert_eq!(tenant.register_certificate("nothing"), Err(BadCertificate));
    }
}
