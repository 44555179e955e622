//! Reads and writes the small part of BER that LDAP uses: low tags, definite lengths, bounded depth.
//!
//! It knows nothing of LDAP messages. Every reader is fallible; nothing a server sends makes it panic or recurse deeper
//! than [`MAX_DEPTH`].

/// Universal tags.
pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const ENUMERATED: u8 = 0x0a;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

/// Nesting that is still walked: an LDAP answer needs 6 levels.
pub(crate) const MAX_DEPTH: u8 = 24;

/// What is wrong with a piece of BER.
pub(crate) type Malformed = &'static str;

/// One element: its tag, its content, and where the content stands in the whole message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) body: &'a [u8],
    pub(crate) start: usize,
}

impl<'a> Element<'a> {
    /// Returns whether the content is a list of elements.
    pub(crate) fn is_constructed(&self) -> bool {
        self.tag & 0x20 != 0
    }

    /// Reads the content as a list of elements.
    pub(crate) fn elements(&self) -> Reader<'a> {
        Reader { rest: self.body, at: self.start }
    }

    /// Reads the content as a signed integer of at most 8 bytes.
    pub(crate) fn integer(&self) -> Result<i64, Malformed> {
        let (first, rest) = self.body.split_first().ok_or("an integer without bytes")?;
        if rest.len() > 7 {
            return Err("an integer of more than 8 bytes");
        }
        let sign = if first & 0x80 == 0 { 0 } else { -1_i64 };
        Ok(self.body.iter().fold(sign, |value, &byte| (value << 8) | i64::from(byte)))
    }
}

/// Length of the header and of the content, or `None` while bytes are missing.
pub(crate) fn header(bytes: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    let Some(&tag) = bytes.first() else { return Ok(None) };
    if tag & 0x1f == 0x1f {
        return Err("a tag number above 30");
    }
    let Some(&first) = bytes.get(1) else { return Ok(None) };
    if first < 0x80 {
        return Ok(Some((2, usize::from(first))));
    }
    let count = usize::from(first & 0x7f);
    if count == 0 {
        return Err("an indefinite length");
    }
    if count > 8 {
        return Err("a length of more than 8 bytes");
    }
    let Some(digits) = bytes.get(2..2 + count) else { return Ok(None) };
    let length = digits.iter().fold(0_u64, |value, &byte| (value << 8) | u64::from(byte));
    let length = usize::try_from(length).map_err(|_| "a length beyond the address space")?;
    Ok(Some((2 + count, length)))
}

/// Walks the elements of one level.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads from the beginning of a value or message.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, at: 0 }
    }

    /// Returns whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Returns the next element, or `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Element<'a>>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (head, length) = header(self.rest)?.ok_or("an element that is cut off")?;
        let end = head.checked_add(length).ok_or("a length beyond the address space")?;
        let body = self.rest.get(head..end).ok_or("an element that is longer than what holds it")?;
        let element = Element { tag: self.rest[0], body, start: self.at + head };
        self.rest = &self.rest[end..];
        self.at += end;
        Ok(Some(element))
    }

    /// Returns the next element, which must be there and carry this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Result<Element<'a>, Malformed> {
        match self.next()? {
            Some(element) if element.tag == tag => Ok(element),
            Some(_) => Err("an element of an unexpected type"),
            None => Err("a missing element"),
        }
    }
}

/// Checks that every element below is well formed, not too deep and not too many.
pub(crate) fn check(reader: Reader<'_>, depth: u8, elements_left: &mut u32) -> Result<(), Malformed> {
    let mut reader = reader;
    while let Some(element) = reader.next()? {
        *elements_left = elements_left.checked_sub(1).ok_or("too many elements in one message")?;
        if element.is_constructed() {
            let depth = depth.checked_sub(1).ok_or("elements nested too deep")?;
            check(element.elements(), depth, elements_left)?;
        }
    }
    Ok(())
}

/// Encodes one element.
pub(crate) fn element(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 6);
    out.push(tag);
    match u8::try_from(body.len()) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let digits = body.len().to_be_bytes();
            let skip = digits.iter().take_while(|&&byte| byte == 0).count();
            out.push(0x80 | u8::try_from(digits.len() - skip).expect("a usize has at most 8 bytes"));
            out.extend_from_slice(&digits[skip..]);
        }
    }
    out.extend_from_slice(body);
    out
}

/// Encodes an integer in as few bytes as its sign allows.
pub(crate) fn integer(value: i64) -> Vec<u8> {
    let digits = value.to_be_bytes();
    let mut skip = 0;
    while skip < 7
        && (digits[skip], digits[skip + 1] & 0x80)
            == (if value < 0 { 0xff } else { 0 }, if value < 0 { 0x80 } else { 0 })
    {
        skip += 1;
    }
    element(INTEGER, &digits[skip..])
}

/// Encodes a sequence of encoded elements.
pub(crate) fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    element(SEQUENCE, &parts.concat())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn integers_take_as_few_bytes_as_their_sign_allows() {
        assert_eq!(integer(0), [2, 1, 0]);
        assert_eq!(integer(127), [2, 1, 127]);
        assert_eq!(integer(128), [2, 2, 0, 128]);
        assert_eq!(integer(-1), [2, 1, 255]);
        assert_eq!(integer(-128), [2, 1, 128]);
        assert_eq!(integer(i64::from(i32::MIN)), [2, 4, 0x80, 0, 0, 0]);
    }

    #[test]
    fn deep_nesting_is_refused_instead_of_overflowing_the_stack() {
        let mut bytes = vec![SEQUENCE, 0];
        for _ in 0..1000 {
            bytes = element(SEQUENCE, &bytes);
        }
        assert_eq!(check(Reader::new(&bytes), MAX_DEPTH, &mut 10_000), Err("elements nested too deep"));
    }

    #[test]
    fn indefinite_lengths_and_high_tags_are_refused() {
        assert!(header(&[0x30, 0x80]).is_err());
        assert!(header(&[0x1f, 0x01]).is_err());
        assert!(header(&[0x30, 0x89]).is_err());
        assert_eq!(header(&[0x30, 0x82, 1]), Ok(None));
        assert_eq!(header(&[0x30, 0x84, 0, 0, 0, 5]), Ok(Some((6, 5))));
    }

    proptest! {
        #[test]
        fn integers_round_trip(value: i64) {
            let bytes = integer(value);
            let element = Reader::new(&bytes).expect(INTEGER).unwrap();
            prop_assert_eq!(element.integer(), Ok(value));
        }

        #[test]
        fn elements_round_trip(tag in 0_u8..31, body in proptest::collection::vec(any::<u8>(), 0..70_000)) {
            let bytes = element(tag, &body);
            prop_assert_eq!(Reader::new(&bytes).expect(tag).unwrap().body, &body[..]);
        }

        #[test]
        fn garbage_never_panics(bytes: Vec<u8>) {
            let _ = check(Reader::new(&bytes), MAX_DEPTH, &mut 1000);
        }
    }
}
