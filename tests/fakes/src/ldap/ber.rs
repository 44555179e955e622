//! The part of BER that LDAP uses: reading and writing tag, length and value; it knows no LDAP message.

/// The bytes are not the BER that was expected at this place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const OCTETS: u8 = 0x04;
pub(crate) const ENUMERATED: u8 = 0x0a;
pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

/// Reads elements one after the other; every length is checked against the bytes at hand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    pub(crate) fn next(&mut self) -> Result<(u8, &'a [u8]), Malformed> {
        let (header, length) = header(self.rest)?.ok_or(Malformed)?;
        let end = header.checked_add(length).ok_or(Malformed)?;
        if end > self.rest.len() {
            return Err(Malformed);
        }
        let tag = self.rest[0];
        let value = &self.rest[header..end];
        self.rest = &self.rest[end..];
        Ok((tag, value))
    }

    pub(crate) fn expect(&mut self, tag: u8) -> Result<&'a [u8], Malformed> {
        match self.next()? {
            (found, value) if found == tag => Ok(value),
            _ => Err(Malformed),
        }
    }

    pub(crate) fn text(&mut self, tag: u8) -> Result<String, Malformed> {
        String::from_utf8(self.expect(tag)?.to_vec()).map_err(|_| Malformed)
    }

    pub(crate) fn integer(&mut self, tag: u8) -> Result<i64, Malformed> {
        integer(self.expect(tag)?)
    }
}

/// Decodes a two's complement INTEGER of one to eight bytes.
pub(crate) fn integer(bytes: &[u8]) -> Result<i64, Malformed> {
    if bytes.is_empty() || bytes.len() > 8 {
        return Err(Malformed);
    }
    let start = if bytes[0] & 0x80 == 0 { 0 } else { -1 };
    Ok(bytes.iter().fold(start, |value: i64, byte| (value << 8) | i64::from(*byte)))
}

/// Returns the sizes of header and value of the first element, or `None` while the header is incomplete.
pub(crate) fn header(bytes: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    let Some(&first) = bytes.get(1) else { return Ok(None) };
    if bytes[0] & 0x1f == 0x1f {
        return Err(Malformed);
    }
    if first < 0x80 {
        return Ok(Some((2, usize::from(first))));
    }
    let count = usize::from(first & 0x7f);
    if count == 0 || count > 4 {
        return Err(Malformed);
    }
    let Some(digits) = bytes.get(2..2 + count) else { return Ok(None) };
    let length = digits.iter().fold(0usize, |value, byte| (value << 8) | usize::from(*byte));
    Ok(Some((2 + count, length)))
}

/// Writes elements; constructed ones get the five-byte length that domain controllers write as well.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn octets(&mut self, tag: u8, value: &[u8]) {
        self.bytes.push(tag);
        if let Ok(short) = u8::try_from(value.len())
            && short < 0x80
        {
            self.bytes.push(short);
        } else {
            self.bytes.push(0x84);
            self.bytes.extend_from_slice(&length_digits(value.len()));
        }
        self.bytes.extend_from_slice(value);
    }

    pub(crate) fn text(&mut self, tag: u8, value: &str) {
        self.octets(tag, value.as_bytes());
    }

    pub(crate) fn integer(&mut self, tag: u8, value: i64) {
        let bytes = value.to_be_bytes();
        let mut start = 0;
        while start < 7
            && ((bytes[start] == 0 && bytes[start + 1] < 0x80) || (bytes[start] == 0xff && bytes[start + 1] >= 0x80))
        {
            start += 1;
        }
        self.octets(tag, &bytes[start..]);
    }

    pub(crate) fn nested(&mut self, tag: u8, inner: impl FnOnce(&mut Self)) {
        self.bytes.push(tag);
        self.bytes.push(0x84);
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        inner(self);
        let digits = length_digits(self.bytes.len() - at - 4);
        self.bytes[at..at + 4].copy_from_slice(&digits);
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

fn length_digits(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_survive_the_way_there_and_back() {
        for value in [0, 1, -1, 127, 128, -128, -129, 65535, i64::from(i32::MIN), i64::MAX, i64::MIN] {
            let mut writer = Writer::default();
            writer.integer(INTEGER, value);
            let bytes = writer.into_bytes();
            assert_eq!(Reader::new(&bytes).integer(INTEGER), Ok(value));
        }
    }

    #[test]
    fn the_dirsync_flag_takes_four_bytes() {
        let mut writer = Writer::default();
        writer.integer(INTEGER, i64::from(i32::MIN));
        assert_eq!(writer.into_bytes(), [0x02, 0x04, 0x80, 0, 0, 0]);
    }

    #[test]
    fn a_length_past_the_end_is_malformed() {
        assert_eq!(Reader::new(&[0x04, 0x05, b'a']).next(), Err(Malformed));
        assert_eq!(Reader::new(&[0x04, 0x80]).next(), Err(Malformed));
        assert_eq!(Reader::new(&[0x04]).next(), Err(Malformed));
    }
}
