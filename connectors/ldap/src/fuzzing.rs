//! What a fuzzer may call: the readers of a server's bytes that are private, each with what must hold of its answers.
//!
//! It exists under `cfg(fuzzing)` only, is no part of the interface, and must not hold a reader of its own.

#![allow(missing_docs, clippy::missing_panics_doc, reason = "a panic is how a fuzzer is told")]

use ldap3::asn1::{PL, StructureTag, TagClass, parse_tag};

use crate::ber::{self, Element, Reader};
use crate::controls::{self, Control, Cookie, Criticality, DirSyncAnswer};
use crate::entry::Entry;
use crate::message;
use crate::ranges::{self, NextRange, RangedValues};

/// A resume point that is read is written and read as the same again, be it of a listing or between runs.
pub fn domain_checkpoint(bytes: &[u8]) {
    crate::domain::fuzzing::checkpoint(bytes);
}

/// What is well formed here, ldap3's parser reads too, and as the same; written again it is the same.
pub fn ber(bytes: &[u8]) {
    if let Ok(Some((head, _))) = ber::header(bytes) {
        assert!(head >= 2 && head <= bytes.len().min(10));
    }
    let mut reader = Reader::new(bytes);
    while let Ok(Some(element)) = reader.next() {
        assert_eq!(&bytes[element.start..element.start + element.body.len()], element.body);
        let written = ber::element(element.tag, element.body);
        let again = Reader::new(&written).expect(element.tag).expect("what is written can be read");
        assert_eq!(again.body, element.body);
        if let Ok(number) = element.integer() {
            let written = ber::integer(number);
            assert!(written.len() <= 2 + element.body.len(), "an integer is written as short as possible");
            let again = Reader::new(&written).expect(ber::INTEGER).and_then(|element| element.integer());
            assert_eq!(again, Ok(number));
        }
        if ber::check(Reader::new(&written), ber::MAX_DEPTH, &mut 10_000).is_ok() {
            let (rest, tag) = parse_tag(&written).expect("ldap3 reads what is well formed");
            assert!(rest.is_empty());
            assert_same(element, &tag);
        }
    }
}

fn assert_same(element: Element<'_>, tag: &StructureTag) {
    let class = match tag.class {
        TagClass::Universal => 0_u8,
        TagClass::Application => 1,
        TagClass::Context => 2,
        TagClass::Private => 3,
    };
    assert_eq!((element.tag >> 6, u64::from(element.tag & 0x1f)), (class, tag.id));
    match &tag.payload {
        PL::P(bytes) => assert_eq!((element.is_constructed(), element.body), (false, bytes.as_slice())),
        PL::C(parts) => {
            assert!(element.is_constructed());
            let mut inner = element.elements();
            for part in parts {
                assert_same(inner.next().expect("it is well formed").expect("as many parts"), part);
            }
            assert!(inner.is_empty());
        }
    }
}

/// A message that passes can be read by ldap3 and by us without a panic, and passes again as the same.
pub fn message(bytes: &[u8]) {
    let mut repaired = bytes.to_vec();
    let Ok(envelope) = message::inspect(&mut repaired) else { return };
    assert_eq!(repaired.len(), bytes.len());
    assert_eq!(message::inspect(&mut repaired.clone()), Ok(envelope));
    let (rest, tag) = parse_tag(&repaired).expect("ldap3 reads what passes");
    assert!(rest.is_empty());
    let PL::C(parts) = tag.payload else { panic!("an envelope is a list") };
    let mut parts = parts.into_iter();
    let (_, operation) = (parts.next().expect("an id"), parts.next().expect("an operation"));
    assert_eq!(operation.id, u64::from(envelope.operation & 0x1f));
    if envelope.operation == message::SEARCH_ENTRY {
        let entry = Entry::parse(operation).expect("an entry that passes can be read");
        for attribute in entry.attributes() {
            let name = attribute.description();
            assert!(entry.is_present(name));
            // None of these may panic, whatever the values are.
            let _ = (entry.text(name), entry.i64(name), entry.flag(name), entry.time(name));
            let _ = (entry.guid(name), entry.sid(name), entry.texts(name));
        }
        return;
    }
    // Of a result ldap3 takes all of this for granted.
    if envelope.code.is_some() {
        let PL::C(fields) = operation.payload else { panic!("a result is a list") };
        assert!(fields.len() >= 3);
        for field in &fields[1..3] {
            let PL::P(text) = &field.payload else { panic!("a text is no list") };
            std::str::from_utf8(text).expect("texts are repaired");
        }
    }
}

/// Controls of an answer are read, written and read as the same.
pub fn controls(bytes: &[u8]) {
    let carry = |oid: &str| [Control::new(oid, Criticality::Optional, Some(bytes.to_vec()))];
    if let Ok(Some(answer)) = DirSyncAnswer::find(&carry("1.2.840.113556.1.4.841")) {
        let value = ber::sequence(&[
            ber::integer(i64::from(answer.more)),
            ber::integer(0),
            ber::element(ber::OCTET_STRING, answer.cookie.as_bytes()),
        ]);
        let again = [Control::new("1.2.840.113556.1.4.841", Criticality::Optional, Some(value))];
        assert_eq!(DirSyncAnswer::find(&again).ok().flatten(), Some(answer));
    }
    if let Ok(next) = controls::next_page(&carry("1.2.840.113556.1.4.319")) {
        assert!(next.as_ref().is_none_or(|cookie| !cookie.as_bytes().is_empty()));
        let again = controls::next_page(&[Control::paged(0, next.as_ref())]);
        assert_eq!(again.ok().flatten(), next);
    }
    let _ = Cookie::new(bytes);
}

/// A range goes on behind what was asked for, or ends, or is refused: nothing is skipped and nothing asked for ever.
pub fn ranges(bytes: &[u8]) {
    let Some((&[from, values], description)) = bytes.split_first_chunk() else { return };
    let Ok(description) = std::str::from_utf8(description) else { return };
    let entry = Entry::new("", [(description, vec![b"x".to_vec(); usize::from(values)])]);
    let from = u64::from(from);
    let Ok(ranged) = RangedValues::at(&entry, "member", from) else { return };
    assert!(ranged.values.len() <= usize::from(values));
    if let NextRange::From(next) = ranged.next {
        assert!(next > from, "{next} after {from}");
        // What is asked for next is answered by a piece that begins there.
        let asked = ranges::describe("member", next);
        let entry = Entry::new("", [(asked.as_str(), vec![b"x".to_vec()])]);
        let last = RangedValues::at(&entry, "member", next).expect("our own words can be read");
        assert_eq!((last.values.len(), last.next), (1, NextRange::Done));
    }
}
