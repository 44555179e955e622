//! Against the worked example of MS-NLMP, 4.2.4, and a recorded challenge.

use super::*;

const NONCE: [u8; 8] = [0xaa; 8];

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn message(info: &[u8]) -> Vec<u8> {
    let mut message = SIGNATURE.to_vec();
    message.extend_from_slice(&2_u32.to_le_bytes());
    message.extend_from_slice(&[0, 0, 0, 0, 48, 0, 0, 0]);
    message.extend_from_slice(&0xe28a_8233_u32.to_le_bytes());
    message.extend_from_slice(&[0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef]);
    message.extend_from_slice(&[0; 8]);
    let length = u16::try_from(info.len()).unwrap().to_le_bytes();
    message.extend_from_slice(&[length, length].concat());
    message.extend_from_slice(&48_u32.to_le_bytes());
    message.extend_from_slice(info);
    message
}

/// The example's target information: the domain's name and the server's.
fn example() -> Vec<u8> {
    message(&hex("02000c0044006f006d00610069006e00 01000c00530065007200760065007200 00000000"))
}

fn field(message: &[u8], at: usize) -> &[u8] {
    let length = usize::from(u16::from_le_bytes([message[at], message[at + 1]]));
    let start = u32::from_le_bytes(message[at + 4..at + 8].try_into().unwrap()) as usize;
    &message[start..start + length]
}

#[test]
fn the_worked_example_of_the_specification_comes_out() {
    let password = Secret::new("Password");
    let login = Login::new(r"Domain\User", &password);
    let key = response_key(&login);
    assert_eq!(key.to_vec(), hex("0c868a403bfd7a93a3001ef22ef02e3f"));
    let older = hash(&key, &[&hex("0123456789abcdef"), &NONCE]);
    assert_eq!(older.to_vec(), hex("86c35097ac9cec102554764a57cccc19"));
    let pairs = hex("02000c0044006f006d00610069006e00 01000c00530065007200760065007200 00000000");
    let blob = [hex("0101000000000000 0000000000000000 aaaaaaaaaaaaaaaa 00000000"), pairs, vec![0; 4]].concat();
    let proof = hash(&key, &[&hex("0123456789abcdef"), &blob]);
    assert_eq!(proof.to_vec(), hex("68cd0ab851e51c96aabc927bebef6a1c"));
    assert_eq!(hash(&key, &[&proof]).to_vec(), hex("8de40ccadbc14a82f15cb0ad0de95ca3"));
}

#[test]
fn an_answer_tells_who_it_is_of_and_is_bound_to_channel_and_service() {
    let bytes = example();
    let challenge = Challenge::read(&bytes).unwrap();
    let password = Secret::new("Password");
    let login = Login::new(r"Domain\User", &password);
    let binding = Binding { channel: Some([7; 16]), target: "HTTP/mail.corp.example", nonce: NONCE, time: 5 };
    let answer = authenticate(&challenge, &login, &binding);
    assert_eq!((field(&answer, 28), field(&answer, 36)), (&wide("Domain")[..], &wide("User")[..]));
    let newer = field(&answer, 20);
    let proof = hash(&response_key(&login), &[challenge.nonce(), &newer[16..]]);
    assert_eq!(newer[..16], proof);
    assert_eq!(newer[24..32], 5_u64.to_le_bytes());
    let within = |part: &[u8]| newer.windows(part.len()).any(|window| window == part);
    assert!(within(&[&[10, 0, 16, 0][..], &[7; 16]].concat()), "the channel");
    assert!(within(&wide("HTTP/mail.corp.example")), "the service");
    assert!(!answer.windows(8).any(|window| window == &wide("Pass")[..]));
}

#[test]
fn a_server_that_tells_its_time_gets_it_back_with_an_integrity_code() {
    let mut info = hex("07000800 0102030405060708 00000000");
    let bytes = message(&info);
    let challenge = Challenge::read(&bytes).unwrap();
    let password = Secret::new("Password");
    let login = Login::new("user@corp.example", &password);
    let binding = Binding { channel: None, target: "HTTP/mail.corp.example", nonce: NONCE, time: 5 };
    let answer = authenticate(&challenge, &login, &binding);
    let newer = field(&answer, 20);
    assert_eq!(newer[24..32], [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(field(&answer, 12), [0; 24]);
    assert_eq!(field(&answer, 36), wide("user@corp.example"));
    let session = hash(&response_key(&login), &[&newer[..16]]);
    let mut unsigned = answer.clone();
    unsigned[CODE].fill(0);
    assert_eq!(answer[CODE], hash(&session, &[&negotiate(), &bytes, &unsigned]));
    // Without a time there is no code, and the older answer is one.
    info.clear();
    let bytes = message(&info);
    let answer = authenticate(&Challenge::read(&bytes).unwrap(), &login, &binding);
    assert_eq!(answer[CODE], [0; 16]);
    assert_ne!(field(&answer, 12), [0; 24]);
}

#[test]
fn a_challenge_with_a_wrong_length_is_refused_and_never_read_beyond_its_end() {
    let good = example();
    assert!(Challenge::read(&good).is_ok());
    for cut in 0..good.len() {
        // Without target information it is an old server's.
        assert_eq!(Challenge::read(&good[..cut]).is_ok(), (32..48).contains(&cut), "{cut}");
    }
    let damaged = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    // Signature, kind, length and place of the information, length of a pair.
    for (at, byte) in [(0, b'X'), (8, 3), (41, 0xff), (47, 0xff), (51, 0xff)] {
        assert!(Challenge::read(&damaged(at, byte)).is_err(), "{at}");
    }
    assert!(Challenge::read(&message(&hex("03000000").repeat(65))).is_err());
    assert!(Challenge::read(&vec![0; 17 << 10]).is_err());
}

#[test]
fn the_forest_is_read_from_a_challenge_where_it_is_a_name() {
    let tree = |name: &str| {
        let wide = wide(name);
        let bytes = message(&[&[5, 0][..], &u16::try_from(wide.len()).unwrap().to_le_bytes(), &wide, &[0; 4]].concat());
        Challenge::read(&bytes).unwrap().forest()
    };
    assert_eq!(tree("Corp.Example").as_deref(), Some("corp.example"));
    assert_eq!(tree(""), None);
    assert_eq!(tree("corp example"), None);
    assert_eq!(Challenge::read(&example()).unwrap().forest(), None);
}
