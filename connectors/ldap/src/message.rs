//! Judges one answer of a server before ldap3 sees it: envelope, result and controls are what ldap3 takes for granted.
//!
//! It interprets nothing and knows nothing of sessions. ldap3 0.12 panics on a message without an operation, on
//! a result without a code, on text that is not UTF-8 and on odd controls; its BER parser recurses without a bound, which
//! ends the process. Whatever passes here cannot do that.

use std::ops::Range;

use crate::ber::{self, Element, Malformed, Reader};

/// Application tags of answers.
pub(crate) const BIND_RESPONSE: u8 = 0x61;
pub(crate) const SEARCH_ENTRY: u8 = 0x64;
pub(crate) const SEARCH_DONE: u8 = 0x65;
pub(crate) const MODIFY_RESPONSE: u8 = 0x67;
pub(crate) const SEARCH_REFERENCE: u8 = 0x73;
pub(crate) const EXTENDED_RESPONSE: u8 = 0x78;
pub(crate) const INTERMEDIATE: u8 = 0x79;

const CONTROLS: u8 = 0xa0;
/// Elements in one message: a group of 1500 values needs 1500; a parsed element costs about 80 bytes of memory.
const MAX_ELEMENTS: u32 = 2_000_000;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Envelope {
    pub(crate) id: i64,
    pub(crate) operation: u8,
    /// The result code, if the operation carries one.
    pub(crate) code: Option<i64>,
}

/// Checks one whole message; texts for people that are not UTF-8 are made so in place.
pub(crate) fn inspect(message: &mut [u8]) -> Result<Envelope, Malformed> {
    let mut repairs = Vec::new();
    let envelope = examine(message, &mut repairs)?;
    for range in repairs {
        for byte in &mut message[range] {
            if !byte.is_ascii() {
                *byte = b'?';
            }
        }
    }
    Ok(envelope)
}

fn examine(message: &[u8], repairs: &mut Vec<Range<usize>>) -> Result<Envelope, Malformed> {
    let mut outer = Reader::new(message);
    let envelope = outer.expect(ber::SEQUENCE)?;
    if !outer.is_empty() {
        return Err("bytes after the message");
    }
    ber::check(envelope.elements(), ber::MAX_DEPTH, &mut MAX_ELEMENTS.clone())?;
    let mut parts = envelope.elements();
    let id = parts.expect(ber::INTEGER)?.integer()?;
    if !(0..=i64::from(i32::MAX)).contains(&id) {
        return Err("a message id out of range");
    }
    let operation = parts.next()?.ok_or("a message without an operation")?;
    let code = match operation.tag {
        BIND_RESPONSE | SEARCH_DONE | MODIFY_RESPONSE | EXTENDED_RESPONSE => Some(examine_result(operation, repairs)?),
        SEARCH_ENTRY => {
            examine_entry(operation)?;
            None
        }
        SEARCH_REFERENCE | INTERMEDIATE => None,
        _ => return Err("an operation that is not an answer"),
    };
    match parts.next()? {
        None => {}
        Some(controls) if controls.tag == CONTROLS => examine_controls(controls)?,
        // Active Directory puts the name of its notice of disconnection here, outside of the operation.
        Some(name) if name.tag == 0x8a && id == 0 => {}
        Some(_) => return Err("an unexpected element after the operation"),
    }
    if !parts.is_empty() {
        return Err("too many elements in the envelope");
    }
    Ok(Envelope { id, operation: operation.tag, code })
}

fn examine_result(operation: Element<'_>, repairs: &mut Vec<Range<usize>>) -> Result<i64, Malformed> {
    let mut parts = operation.elements();
    let code = parts.expect(ber::ENUMERATED)?.integer()?;
    if !(0..=i64::from(u16::MAX)).contains(&code) {
        return Err("a result code out of range");
    }
    for _ in 0..2 {
        let text = parts.expect(ber::OCTET_STRING)?;
        if std::str::from_utf8(text.body).is_err() {
            repairs.push(text.start..text.start + text.body.len());
        }
    }
    while let Some(part) = parts.next()? {
        // ldap3 looks at the number alone, whatever the class.
        match part.tag & 0x1f {
            3 => {
                let mut uris = part.is_constructed().then(|| part.elements()).ok_or("a referral that is not a list")?;
                while let Some(uri) = uris.next()? {
                    utf8(uri)?;
                }
            }
            7 | 11 if part.is_constructed() => return Err("a result field that is not a string"),
            10 => utf8(part)?,
            _ => {}
        }
    }
    Ok(code)
}

/// A broken entry ends the connection here, at once: its search would have to be waited for otherwise.
fn examine_entry(operation: Element<'_>) -> Result<(), Malformed> {
    let mut parts = operation.elements();
    utf8(parts.expect(ber::OCTET_STRING)?)?;
    let mut attributes = parts.expect(ber::SEQUENCE)?.elements();
    if !parts.is_empty() {
        return Err("an entry with more than a name and attributes");
    }
    while let Some(attribute) = attributes.next()? {
        if attribute.tag != ber::SEQUENCE {
            return Err("an attribute that is not a sequence");
        }
        let mut parts = attribute.elements();
        utf8(parts.expect(ber::OCTET_STRING)?)?;
        let mut values = parts.expect(ber::SET)?.elements();
        if !parts.is_empty() {
            return Err("an attribute with more than a name and values");
        }
        while let Some(value) = values.next()? {
            if value.tag != ber::OCTET_STRING {
                return Err("a value that is not a string");
            }
        }
    }
    Ok(())
}

fn examine_controls(controls: Element<'_>) -> Result<(), Malformed> {
    let mut list = controls.elements();
    while let Some(control) = list.next()? {
        if control.tag != ber::SEQUENCE {
            return Err("a control that is not a sequence");
        }
        let mut parts = control.elements();
        utf8(parts.expect(ber::OCTET_STRING)?)?;
        let mut next = parts.next()?;
        if let Some(flag) = next
            && flag.tag == ber::BOOLEAN
        {
            if flag.body.len() != 1 {
                return Err("a control whose criticality is not one byte");
            }
            next = parts.next()?;
        }
        if next.is_some_and(|value| value.tag != ber::OCTET_STRING) || !parts.is_empty() {
            return Err("a control with an unexpected element");
        }
    }
    Ok(())
}

fn utf8(element: Element<'_>) -> Result<(), Malformed> {
    if element.is_constructed() {
        return Err("a list where a string belongs");
    }
    std::str::from_utf8(element.body).map(|_| ()).map_err(|_| "text that is not UTF-8")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ber::{element, integer, sequence};

    fn done(text: &[u8]) -> Vec<u8> {
        let result = [element(ber::ENUMERATED, &[49]), element(4, b""), element(4, text)].concat();
        sequence(&[integer(7), element(SEARCH_DONE, &result)])
    }

    #[test]
    fn a_result_is_recognised_with_its_code() {
        let envelope = inspect(&mut done(b"no")).unwrap();
        assert_eq!(envelope, Envelope { id: 7, operation: SEARCH_DONE, code: Some(49) });
    }

    #[test]
    fn a_diagnostic_that_is_not_utf8_is_made_readable_in_place() {
        let mut message = done(b"Zugriff f\xfcr x");
        inspect(&mut message).unwrap();
        assert!(message.ends_with(b"Zugriff f?r x"));
    }

    #[test]
    fn what_makes_ldap3_panic_is_refused() {
        let bare = |body: &[u8]| sequence(&[integer(1), element(SEARCH_DONE, body)]);
        let control = |body: &[u8]| {
            let result = [element(ber::ENUMERATED, &[0]), element(4, b""), element(4, b"")].concat();
            sequence(&[integer(1), element(SEARCH_DONE, &result), element(0xa0, body)])
        };
        for mut message in [
            sequence(&[]),
            sequence(&[integer(1)]),
            sequence(&[element(4, b"x"), element(SEARCH_DONE, b"")]),
            bare(b""),
            bare(&element(ber::ENUMERATED, b"")),
            bare(&element(ber::ENUMERATED, &[0])),
            control(&element(4, b"")),
            control(&sequence(&[])),
            control(&sequence(&[element(4, b"1.2"), element(1, b"")])),
            control(&sequence(&[element(4, b"1.2"), element(2, b"1")])),
            control(&sequence(&[element(4, b"\xff")])),
        ] {
            assert!(inspect(&mut message).is_err(), "{message:02x?}");
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(mut bytes: Vec<u8>) {
            let _ = inspect(&mut bytes);
        }

        #[test]
        fn a_damaged_result_never_panics(at in 0_usize..30, byte: u8) {
            let mut message = done(b"diagnostic text");
            let at = at % message.len();
            message[at] = byte;
            let _ = inspect(&mut message);
        }
    }
}
