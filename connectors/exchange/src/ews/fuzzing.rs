//! What a fuzzer may call: the readers of answers, challenges and resume points, each with what must hold of its answers.
//!
//! It exists under `cfg(fuzzing)` and in tests only, is no part of the interface, and must not hold a reader of its own.

#![allow(missing_docs, clippy::missing_panics_doc, reason = "a panic is how a fuzzer is told")]

use tenantry::Secret;
use tenantry::endpoint::Checkpoint;
use tenantry::model::{Value, names};

use super::answer::{self, Outcome};
use super::cursor::Position;
use super::map::{self, Mapped};
use super::ntlm::{self, Binding, Challenge, Login};
use super::request::{self, Words};
use super::xml::{self, Step};

/// What is read as an answer makes sense, a part of it is never an answer, and every element that begins ends.
pub fn soap(bytes: &[u8]) {
    let (mut open, mut deepest) = (0_usize, 0_usize);
    let read = xml::read(bytes, |step| {
        match step {
            Step::Open(..) => open += 1,
            Step::Close(text) => {
                assert!(text.trim() == text && text.len() <= 64 << 10);
                open -= 1;
            }
        }
        deepest = deepest.max(open);
        Ok(())
    });
    assert!(deepest <= 48);
    assert!(read.is_err() || open == 0 && deepest > 0);
    let Ok(reply) = answer::read(bytes) else { return };
    assert!(read.is_ok());
    let whole = bytes.trim_ascii_end();
    assert!(answer::read(&whole[..whole.len() - 1]).is_err());
    match reply.outcome {
        Outcome::Resolved(set) => set.items.iter().for_each(|item| {
            map::heard(item);
            if let Mapped::Object(patch) = map::object(item, true) {
                assert!(patch.object.id.is_weak());
                for (name, value) in patch.attributes.iter() {
                    assert!(names::shape(patch.object.kind, name).is_some());
                    assert!(!matches!(value, Value::Text(text) if text.is_empty()));
                }
            }
        }),
        Outcome::Expanded(set) => set.items.iter().for_each(|item| {
            assert!(map::member_address(item).is_none_or(|address| address.contains('@')));
        }),
        Outcome::Refused(refusal) | Outcome::Fault(refusal) => {
            let shown = format!("{:?}", super::error::meaning(&refusal));
            assert!(shown.len() < 4096);
        }
    }
}

/// Whatever is asked for, the message is XML, and holds it as a text and nothing else.
pub fn request(text: &str) {
    if text.chars().any(|c| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}')) {
        return;
    }
    let mut texts = Vec::new();
    let message = request::resolve(Words::Full, text);
    xml::read(message.as_bytes(), |step| {
        if let Step::Close(text) = step {
            texts.push(text);
        }
        Ok(())
    })
    .expect("what is sent is XML");
    // Behind the release and the header.
    assert_eq!((texts.len(), texts[2].as_str()), (6, text.trim()));
}

/// Whatever a challenge says, what is answered holds it and no password.
pub fn challenge(bytes: &[u8]) {
    let Ok(challenge) = Challenge::read(bytes) else { return };
    challenge.forest().into_iter().for_each(|name| assert!(name.len() <= 1024 && !name.is_empty()));
    let password = Secret::new("correct horse");
    let login = Login::new(r"CORP\sync", &password);
    let binding = Binding { channel: Some([7; 16]), target: "HTTP/mail.corp.example", nonce: [9; 8], time: 5 };
    let answer = ntlm::authenticate(&challenge, &login, &binding);
    assert!(answer.len() < 64 << 10 && answer.starts_with(b"NTLMSSP\0\x03\0\0\0"));
    let wide: Vec<u8> = password.expose().encode_utf16().flat_map(u16::to_le_bytes).collect();
    // Names of the server's are sent back to it: it has to have known the password then.
    let shows = |message: &[u8]| message.windows(wide.len()).any(|part| part == wide);
    assert!(!shows(&answer) || shows(bytes));
}

/// A resume point that is read is written and read as the same again.
pub fn checkpoint(bytes: &[u8]) {
    let Some((version, bytes)) = bytes.split_first() else { return };
    let Ok(position) = Position::read(&Checkpoint::new(u16::from(*version), bytes)) else { return };
    assert_eq!(Position::read(&position.write()).expect("what is written can be read"), position);
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Hands each seed to a door: whole, cut at many places, and with single bytes changed.
    fn try_seeds(target: &str, door: impl Fn(&[u8])) {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
        let mut tried = 0;
        for seed in std::fs::read_dir(seeds).unwrap() {
            let bytes = std::fs::read(seed.unwrap().path()).unwrap();
            door(&bytes);
            for at in (0..bytes.len()).step_by(bytes.len() / 150 + 1) {
                door(&bytes[..at]);
                for other in [0, b'<', b'"', 0xff, bytes[at] ^ 1, bytes[at].wrapping_add(1)] {
                    let mut changed = bytes.clone();
                    changed[at] = other;
                    door(&changed);
                }
            }
            tried += 1;
        }
        assert!(tried > 0, "{target} has no seed");
    }

    #[test]
    fn the_doors_of_the_fuzzer_find_nothing_in_their_seeds_and_beside_them() {
        try_seeds("ews_soap", super::soap);
        try_seeds("ews_challenge", super::challenge);
        try_seeds("ews_checkpoint", super::checkpoint);
        try_seeds("ews_request", |bytes| {
            if let Ok(text) = std::str::from_utf8(bytes) {
                super::request(text);
            }
        });
    }
}
