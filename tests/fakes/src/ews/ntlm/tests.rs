//! NTLM against Microsoft's own published example, and against answers that are nearly right.

use super::*;

fn field_of(message: &mut Vec<u8>, at: usize, value: &[u8]) {
    let start = u32::try_from(message.len()).unwrap();
    let length = u16::try_from(value.len()).unwrap().to_le_bytes();
    message[at..at + 8].copy_from_slice(&[&length[..], &length, &start.to_le_bytes()].concat());
    message.extend(value);
}

/// An answer with this proof and everything that the proof is about, for `User` of `Domain`.
fn answer(proof: &[u8; 16], rest: &[u8], flags: u32) -> Vec<u8> {
    let mut message = vec![0; WITH_MIC];
    message[..8].copy_from_slice(SIGNATURE);
    message[8] = 3;
    message[60..64].copy_from_slice(&(flags | UNICODE).to_le_bytes());
    field_of(&mut message, 12, &[0; 24]);
    field_of(&mut message, 20, &[&proof[..], rest].concat());
    field_of(&mut message, 28, &utf16("Domain"));
    field_of(&mut message, 36, &utf16("User"));
    field_of(&mut message, 44, &utf16("COMPUTER"));
    field_of(&mut message, 52, &[]);
    message
}

/// MS-NLMP 4.2.4: time zero, a client challenge of 0xaa, the names Domain and Server.
fn rest(more: &[u8]) -> Vec<u8> {
    let mut rest = vec![1, 1, 0, 0, 0, 0, 0, 0];
    rest.extend([0; 8]);
    rest.extend([0xaa; 8]);
    rest.extend([0; 4]);
    for (id, name) in [(2_u16, "Domain"), (1, "Server")] {
        let name = utf16(name);
        rest.extend(id.to_le_bytes());
        rest.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        rest.extend(name);
    }
    rest.extend(more);
    rest.extend([0; 4]);
    rest.extend([0; 4]);
    rest
}

fn challenge() -> Challenge {
    let nonce = [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef];
    Challenge { negotiate: b"one".to_vec(), nonce, message: b"two".to_vec() }
}

const PROOF: [u8; 16] =
    [0x68, 0xcd, 0x0a, 0xb8, 0x51, 0xe5, 0x1c, 0x96, 0xaa, 0xbc, 0x92, 0x7b, 0xeb, 0xef, 0x6a, 0x1c];

fn proof_of(rest: &[u8]) -> [u8; 16] {
    let key = hmac_md5(&password_hash("Password"), &[&utf16("USERDomain")]);
    hmac_md5(&key, &[&challenge().nonce, rest])
}

#[test]
fn the_published_example_is_a_proof_and_nothing_near_it_is() {
    let rest = rest(&[]);
    let right = answer(&PROOF, &rest, 0);
    assert!(Authenticate::read(&right).unwrap().proves("Password", &challenge(), false));
    assert!(!Authenticate::read(&right).unwrap().proves("Password", &challenge(), true));
    assert!(!Authenticate::read(&right).unwrap().proves("password", &challenge(), false));
    let mut other = challenge();
    other.nonce[0] ^= 1;
    assert!(!Authenticate::read(&right).unwrap().proves("Password", &other, false));
}

#[test]
fn answers_of_version_one_of_nobody_and_of_no_length_are_none() {
    assert!(Authenticate::read(&answer(&[0; 16], &[0; 8], 0)).is_none());
    let right = answer(&PROOF, &rest(&[]), 0);
    for end in [0, 11, 40, 63, 87, 120] {
        assert!(Authenticate::read(&right[..end]).is_none(), "{end}");
    }
    let mut nobody = right;
    field_of(&mut nobody, 36, &[]);
    assert!(Authenticate::read(&nobody).is_none());
}

#[test]
fn a_promised_check_of_the_messages_must_be_right() {
    let rest = rest(&[6, 0, 4, 0, 2, 0, 0, 0]);
    let proof = proof_of(&rest);
    let mut message = answer(&proof, &rest, 0);
    assert!(!Authenticate::read(&message).unwrap().proves("Password", &challenge(), false));
    let key = hmac_md5(&password_hash("Password"), &[&utf16("USERDomain")]);
    let session = hmac_md5(&key, &[&proof]);
    let mic = hmac_md5(&session, &[b"one", b"two", &message]);
    message[72..88].copy_from_slice(&mic);
    assert!(Authenticate::read(&message).unwrap().proves("Password", &challenge(), true));
}

#[test]
fn a_binding_must_be_that_of_the_channel_where_there_is_one() {
    let bound = |hash: &[u8]| answer(&[0; 16], &rest(&[&[10, 0, 16, 0], hash].concat()), 0);
    let data = b"tls-server-end-point:hash";
    let right = bound(&channel_hash(data));
    let read = |message: &[u8], binding: Option<&[u8]>, protection| {
        Authenticate::read(message).unwrap().is_bound(binding, protection)
    };
    for protection in [ExtendedProtection::Allowed, ExtendedProtection::Required] {
        assert!(read(&right, Some(data), protection));
        assert!(!read(&right, Some(b"tls-server-end-point:other"), protection));
        assert!(!read(&right, None, protection));
    }
    let none = bound(&[0; 16]);
    assert!(read(&none, Some(data), ExtendedProtection::Allowed));
    assert!(!read(&none, Some(data), ExtendedProtection::Required));
    assert!(read(&right, Some(b"other"), ExtendedProtection::Off));
}

#[test]
fn a_challenge_names_the_server_and_grants_what_is_asked_for() {
    let names = Names { domain: "CORP".to_owned(), dns_domain: "corp.example".to_owned(), computer: "MAIL".to_owned() };
    let mut negotiate = [&SIGNATURE[..], &1_u32.to_le_bytes(), &(UNICODE | NTLM | KEY_EXCHANGE).to_le_bytes()].concat();
    negotiate.extend([0; 16]);
    assert_eq!(kind(&negotiate), Some(Kind::Negotiate));
    let challenge = Challenge::new(&negotiate, [7; 8], &names, 5).unwrap();
    assert_eq!(field(&challenge.message, 12), Some(&utf16("CORP")[..]));
    assert_eq!(challenge.message[24..32], [7; 8]);
    assert_ne!(number(&challenge.message, 20).unwrap() & KEY_EXCHANGE, 0);
    let info = field(&challenge.message, 40).unwrap();
    assert!(info.ends_with(&[7, 0, 8, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
    negotiate[12] = 2;
    let narrow = Challenge::new(&negotiate, [7; 8], &names, 5).unwrap();
    assert_eq!(field(&narrow.message, 12), Some(&b"CORP"[..]));
    negotiate[12] = 0;
    assert!(Challenge::new(&negotiate, [7; 8], &names, 5).is_none());
}
