//! The certificate of an application and its key, as files hold them: read, and held against each other.
//!
//! It must not know what is signed. Whether the certificate is trusted is for the tenant to say, which has a copy of it.

use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use ring::digest;
use ring::signature::RsaKeyPair;
use tenantry::{Error, Result, Secret};

use crate::error::setting;

const CERTIFICATE: &str = "certificate_file";
const KEY: &str = "private_key";

/// `rsaEncryption`, 1.2.840.113549.1.1.1
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

/// A certificate and the key that belongs to it.
pub(crate) struct Pair {
    /// The PKCS#1 or PKCS#8 key as PEM: one block, checked.
    pub(super) key: Secret,
    /// SHA-256 of the certificate.
    pub(super) sha256: Vec<u8>,
    /// SHA-1 of the certificate, for those who ask for the older form.
    pub(super) sha1: Vec<u8>,
    /// Since when and until when the certificate is good, in milliseconds since 1970.
    pub(super) valid: (i64, i64),
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair").field("valid", &self.valid).finish_non_exhaustive()
    }
}

impl Pair {
    /// Reads both files. Either may hold other blocks before the one that counts, such as a key in the same file.
    ///
    /// # Errors
    /// [`Config`](tenantry::ErrorKind::Config) for what is no certificate or no RSA key, for an encrypted key, and for
    /// a key that belongs to another certificate. Nothing of either file is in it.
    pub(crate) fn read(certificate: &[u8], key: &Secret) -> Result<Self> {
        let blocks = blocks(certificate, CERTIFICATE, "this is no certificate as PEM; convert it with openssl x509")?;
        let certificate = blocks.iter().find(|block| block.tag() == "CERTIFICATE").ok_or_else(|| {
            setting(CERTIFICATE, "the file holds no certificate: a block that begins with BEGIN CERTIFICATE is missing")
        })?;
        let read = Certificate::read(certificate.contents())?;
        let key = read_key(key)?;
        if key.public != read.public_key {
            return Err(setting(KEY, "the key does not belong to the certificate; give the key that it was made with"));
        }
        let hash = |algorithm| digest::digest(algorithm, certificate.contents()).as_ref().to_vec();
        Ok(Self {
            key: key.pem,
            sha256: hash(&digest::SHA256),
            sha1: hash(&digest::SHA1_FOR_LEGACY_USE_ONLY),
            valid: read.valid,
        })
    }
}

fn blocks(text: &[u8], name: &'static str, wrong: &'static str) -> Result<Vec<pem::Pem>> {
    // The parser's error quotes what it read.
    pem::parse_many(text).ok().filter(|blocks| !blocks.is_empty()).ok_or_else(|| setting(name, wrong))
}

struct Key {
    pem: Secret,
    /// The public half, as PKCS#1 writes it.
    public: Vec<u8>,
}

fn read_key(text: &Secret) -> Result<Key> {
    let wrong = "this is no private key as PEM; give the RSA key as PKCS#8 or PKCS#1";
    let blocks = blocks(text.expose().as_bytes(), KEY, wrong)?;
    let pair = |tag: &str, read: fn(&[u8]) -> Result<RsaKeyPair, ring::error::KeyRejected>| {
        blocks.iter().find(|block| block.tag() == tag).map(|block| (block, read(block.contents())))
    };
    let found = pair("PRIVATE KEY", RsaKeyPair::from_pkcs8).or_else(|| pair("RSA PRIVATE KEY", RsaKeyPair::from_der));
    let Some((block, pair)) = found else {
        return Err(setting(
            KEY,
            if blocks.iter().any(|block| block.tag() == "ENCRYPTED PRIVATE KEY") {
                "the key is encrypted; decrypt it with openssl pkcs8 and keep the file readable by the service alone"
            } else if blocks.iter().any(|block| block.tag() == "EC PRIVATE KEY") {
                "the key is one of an elliptic curve; entra takes RSA keys only"
            } else {
                wrong
            },
        ));
    };
    // An encrypted PKCS#1 key has the tag of a plain one, and says so in a header.
    if block.headers().iter().any(|(name, value)| name == "Proc-Type" && value.contains("ENCRYPTED")) {
        return Err(setting(KEY, "the key is encrypted; decrypt it with openssl rsa"));
    }
    let pair = pair.map_err(|_| {
        setting(KEY, "the key cannot be used; it has to be an RSA key of 2048 to 4096 bits, whole and unencrypted")
    })?;
    Ok(Key { pem: Secret::new(pem::encode(block)), public: pair.public().as_ref().to_vec() })
}

/// What is read of a certificate.
struct Certificate {
    valid: (i64, i64),
    public_key: Vec<u8>,
}

impl Certificate {
    /// Reads X.509 (RFC 5280, section 4.1) as far as it is needed.
    fn read(der: &[u8]) -> Result<Self> {
        let broken = || setting(CERTIFICATE, "the certificate is damaged; export it once more");
        let mut outer = Der(der);
        let mut certificate = outer.sequence().ok_or_else(broken)?;
        let mut fields = certificate.sequence().ok_or_else(broken)?;
        if fields.peek() == Some(EXPLICIT_0) {
            fields.next().ok_or_else(broken)?;
        }
        // Serial number, algorithm, issuer.
        for _ in 0..3 {
            fields.next().ok_or_else(broken)?;
        }
        let mut validity = fields.sequence().ok_or_else(broken)?;
        let valid = validity.time().zip(validity.time()).ok_or_else(broken)?;
        fields.next().ok_or_else(broken)?;
        let mut key = fields.sequence().ok_or_else(broken)?;
        let algorithm = key.sequence().and_then(|mut algorithm| algorithm.next()).ok_or_else(broken)?;
        if algorithm != (OBJECT_ID, RSA) {
            return Err(setting(CERTIFICATE, "the certificate is not one of an RSA key, which entra asks for"));
        }
        // The first byte counts bits that are not used: none, for a key.
        match key.next() {
            Some((BIT_STRING, [0, key @ ..])) => Ok(Self { valid, public_key: key.to_vec() }),
            _ => Err(broken()),
        }
    }
}

const BIT_STRING: u8 = 0x03;
const OBJECT_ID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const EXPLICIT_0: u8 = 0xa0;

/// The rest of a run of DER elements.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// Takes the next element: its tag and its content.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, rest) = self.0.split_first()?;
        let (first, mut rest) = rest.split_first()?;
        let mut length = usize::from(*first);
        if *first & 0x80 != 0 {
            let bytes = usize::from(first & 0x7f);
            let (digits, behind) = rest.split_at_checked(bytes).filter(|_| (1..=4).contains(&bytes))?;
            length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
            rest = behind;
        }
        let (content, behind) = rest.split_at_checked(length)?;
        self.0 = behind;
        Some((*tag, content))
    }

    fn sequence(&mut self) -> Option<Der<'a>> {
        match self.next()? {
            (SEQUENCE, content) => Some(Der(content)),
            _ => None,
        }
    }

    fn time(&mut self) -> Option<i64> {
        let (tag, content) = self.next()?;
        let text = std::str::from_utf8(content).ok()?;
        let text = match tag {
            // RFC 5280: 50 to 99 are of the last century.
            UTC_TIME if text.get(..2)? >= "50" => format!("19{text}"),
            UTC_TIME => format!("20{text}"),
            GENERALIZED_TIME => text.to_owned(),
            _ => return None,
        };
        let time = DateTime::strptime("%Y%m%d%H%M%SZ", text).ok()?;
        Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond())
    }
}

/// Tells that the certificate is not good now; nothing else would say so before the tenant refuses it.
pub(super) fn check_time(pair: &Pair, now: i64) -> Result<()> {
    let (from, until) = pair.valid;
    let wrong = |message: &'static str, at: i64| -> Result<(), Error> {
        Err(Error::new(tenantry::ErrorKind::Unauthenticated, message)
            .with_context("key", CERTIFICATE)
            .with_context("at", tenantry::model::Timestamp(at)))
    };
    if now >= until {
        return wrong("the certificate has expired; make a new one and upload it to the application", until);
    }
    // The clocks may differ a little.
    if now + 5 * 60 * 1000 < from {
        return wrong("the certificate is not good yet; look at the clock of this machine", from);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
