//! Which files are taken, and what is said of the others.

use proptest::prelude::*;

use super::*;

const GOOD: &[u8] = include_bytes!("../../../tests/keys/certificate.pem");
const CURVE: &[u8] = include_bytes!("../../../tests/keys/certificate-ec.pem");
const PKCS8: &str = include_str!("../../../tests/keys/key-pkcs8.pem");
const PKCS1: &str = include_str!("../../../tests/keys/key-pkcs1.pem");
const OTHER: &str = include_str!("../../../tests/keys/other-key.pem");
const ENCRYPTED: &str = include_str!("../../../tests/keys/key-encrypted.pem");
const CURVE_KEY: &str = include_str!("../../../tests/keys/key-ec.pem");

fn pair(certificate: &[u8], key: &str) -> Result<Pair> {
    Pair::read(certificate, &Secret::new(key))
}

#[test]
fn both_forms_of_a_key_are_read_and_the_thumbprints_are_those_of_openssl() {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    for key in [PKCS8, PKCS1] {
        let pair = pair(GOOD, key).unwrap();
        assert_eq!(URL_SAFE_NO_PAD.encode(&pair.sha256), "dqoqMrZz3NNrmqofdzQhzXPJ4ARA52lRUFq_u9SIQc0");
        assert_eq!(URL_SAFE_NO_PAD.encode(&pair.sha1), "M9AA_Qzn9E1_-qSs3txS2QSJYSI");
        assert!(pair.valid.0 < pair.valid.1);
    }
}

#[test]
fn certificate_and_key_may_lie_in_one_file() {
    let both = format!("{PKCS8}{}", String::from_utf8_lossy(GOOD));
    pair(both.as_bytes(), &both).unwrap();
}

#[test]
fn each_file_that_is_not_right_is_refused_by_its_setting_and_with_the_reason() {
    let cases: [(&[u8], &str, &str, &str); 9] = [
        (b"", PKCS8, "certificate_file", "no certificate as PEM"),
        (b"canary", PKCS8, "certificate_file", "no certificate as PEM"),
        (PKCS8.as_bytes(), PKCS8, "certificate_file", "holds no certificate"),
        (CURVE, CURVE_KEY, "certificate_file", "not one of an RSA key"),
        (GOOD, "canary", "private_key", "no private key as PEM"),
        (GOOD, ENCRYPTED, "private_key", "encrypted"),
        (GOOD, CURVE_KEY, "private_key", "elliptic curve"),
        (GOOD, OTHER, "private_key", "does not belong"),
        (b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", PKCS8, "certificate_file", "damaged"),
    ];
    for (certificate, key, setting, words) in cases {
        let error = pair(certificate, key).unwrap_err();
        assert_eq!((error.kind(), error.context("key")), (&tenantry::ErrorKind::Config, Some(setting)), "{error:?}");
        assert!(error.message().contains(words), "{error}");
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
}

#[test]
fn a_certificate_that_is_not_good_now_says_which_end_was_missed() {
    let pair = pair(GOOD, PKCS8).unwrap();
    check_time(&pair, pair.valid.0).unwrap();
    check_time(&pair, pair.valid.0 - 60_000).unwrap();
    assert!(check_time(&pair, pair.valid.1).unwrap_err().message().contains("expired"));
    assert!(check_time(&pair, pair.valid.0 - 3_600_000).unwrap_err().message().contains("clock"));
}

#[test]
fn nothing_of_the_key_is_shown() {
    assert!(!format!("{:?}", pair(GOOD, PKCS8).unwrap()).contains("BEGIN"));
}

#[test]
fn both_spellings_of_a_time_are_read() {
    let time = |tag, text: &str| Der(&[&[tag, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()).time();
    assert_eq!(time(UTC_TIME, "700101000000Z"), Some(0));
    assert_eq!(time(UTC_TIME, "260101000000Z"), Some(1_767_225_600_000));
    assert_eq!(time(GENERALIZED_TIME, "20260101000000Z"), Some(1_767_225_600_000));
    assert_eq!(time(GENERALIZED_TIME, "2026"), None);
}

proptest! {
    #[test]
    fn a_damaged_certificate_stops_nothing(at in 0_usize..900, byte in any::<u8>(), length in 0_usize..900) {
        let blocks = pem::parse_many(GOOD).unwrap();
        let mut der = blocks[0].contents().to_vec();
        let at = at % der.len();
        der[at] = byte;
        let _ = Certificate::read(&der);
        der.truncate(length);
        let _ = Certificate::read(&der);
    }
}
