//! LDIF (RFC 2849): reading what `ldapsearch` prints and writing what `ldapadd` takes.
//!
//! It must not interpret values: they are bytes.

use crate::error::{LiveError, Result};

/// One attribute value of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LdifAttribute {
    /// The name without options.
    pub name: String,
    /// The options behind the name, such as `range=0-1499`.
    pub options: Vec<String>,
    /// The value as it is on the wire.
    pub value: Vec<u8>,
}

/// One entry: its name and its values in the order in which they were printed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LdifEntry {
    /// The distinguished name.
    pub dn: String,
    /// All values of all attributes.
    pub attributes: Vec<LdifAttribute>,
}

impl LdifEntry {
    /// Returns all values of an attribute, whatever its options; names are compared without case.
    pub fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let name = name.to_owned();
        let matching = self.attributes.iter().filter(move |attribute| attribute.name.eq_ignore_ascii_case(&name));
        matching.map(|attribute| attribute.value.as_slice())
    }

    /// Returns the first value as text, or `None` when there is none or it is not UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values(name).next().and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Returns all values as text; bytes that are not UTF-8 are replaced.
    pub fn texts(&self, name: &str) -> Vec<String> {
        self.values(name).map(|value| String::from_utf8_lossy(value).into_owned()).collect()
    }
}

/// Reads entries; comments, `version` and the search result lines of `ldapsearch` are passed over.
pub fn parse_ldif(text: &str) -> Result<Vec<LdifEntry>> {
    let mut entries = Vec::new();
    let mut current: Option<LdifEntry> = None;
    for line in unfold(text) {
        if line.is_empty() {
            entries.extend(current.take());
            continue;
        }
        let (description, value) = split_line(&line)?;
        match &mut current {
            None if description.eq_ignore_ascii_case("dn") => {
                let dn = String::from_utf8(value).map_err(|_| LiveError::new("a dn is not utf-8"))?;
                current = Some(LdifEntry { dn, attributes: Vec::new() });
            }
            // `version: 1`, or `search: 2` and `result: 0 Success` without -LLL.
            None => {}
            Some(entry) => {
                let mut parts = description.split(';').map(str::to_owned);
                let name = parts.next().unwrap_or_default();
                entry.attributes.push(LdifAttribute { name, options: parts.collect(), value });
            }
        }
    }
    entries.extend(current);
    Ok(entries)
}

/// Joins folded lines and leaves comments out, folded ones too.
fn unfold(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix(' '), lines.last_mut()) {
            (Some(rest), Some(last)) if !last.is_empty() => last.push_str(rest),
            _ => lines.push(line.to_owned()),
        }
    }
    lines.retain(|line| !line.starts_with('#'));
    lines
}

fn split_line(line: &str) -> Result<(&str, Vec<u8>)> {
    let (description, rest) =
        line.split_once(':').ok_or_else(|| LiveError::new(format!("not an ldif line: {line}")))?;
    if let Some(encoded) = rest.strip_prefix(':') {
        let value = decode(encoded.trim()).ok_or_else(|| LiveError::new(format!("not base64: {line}")))?;
        return Ok((description, value));
    }
    if rest.starts_with('<') {
        return Err(LiveError::new(format!("values by url are not read: {line}")));
    }
    // Spaces behind the colon are filler; a value that begins with one comes in base64.
    Ok((description, rest.trim_start_matches(' ').as_bytes().to_vec()))
}

/// Writes entries; values that are not plain are encoded.
#[derive(Debug, Clone, Default)]
pub struct LdifWriter {
    text: String,
}

impl LdifWriter {
    /// Creates an empty text.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes one line `name: value`.
    #[must_use]
    pub fn line(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.push(name, value.as_ref());
        self
    }

    /// Ends one change of a change record that has more.
    #[must_use]
    pub fn next_change(mut self) -> Self {
        self.text.push_str("-\n");
        self
    }

    /// Ends an entry or a change record.
    #[must_use]
    pub fn end(mut self) -> Self {
        self.text.push('\n');
        self
    }

    /// Writes a whole entry.
    pub fn entry<V: AsRef<[u8]>>(&mut self, dn: &str, attributes: impl IntoIterator<Item = (&'static str, V)>) {
        self.push("dn", dn.as_bytes());
        for (name, value) in attributes {
            self.push(name, value.as_ref());
        }
        self.text.push('\n');
    }

    /// Returns the text.
    pub fn finish(self) -> String {
        self.text
    }

    fn push(&mut self, name: &str, value: &[u8]) {
        self.text.push_str(name);
        match std::str::from_utf8(value) {
            Ok(plain) if is_plain(plain) => {
                self.text.push_str(": ");
                self.text.push_str(plain);
            }
            _ => {
                self.text.push_str(":: ");
                encode(value, &mut self.text);
            }
        }
        self.text.push('\n');
    }
}

fn is_plain(value: &str) -> bool {
    value.bytes().all(|byte| (b' '..0x7f).contains(&byte))
        && !value.starts_with([' ', ':', '<'])
        && !value.ends_with(' ')
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn encode(bytes: &[u8], to: &mut String) {
    for chunk in bytes.chunks(3) {
        let group =
            chunk.iter().enumerate().fold(0_u32, |group, (index, &byte)| group | u32::from(byte) << (16 - 8 * index));
        for index in 0..4 {
            let symbol = ALPHABET[(group >> (18 - 6 * index) & 63) as usize];
            to.push(if index <= chunk.len() { char::from(symbol) } else { '=' });
        }
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let data = text.trim_end_matches('=');
    if text.len() - data.len() > 2 {
        return None;
    }
    let (mut bytes, mut group, mut bits) = (Vec::with_capacity(data.len() * 3 / 4), 0_u32, 0);
    for symbol in data.bytes() {
        let six = ALPHABET.iter().position(|&known| known == symbol)?;
        group = group << 6 | u32::try_from(six).ok()?;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(group >> bits & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folded_lines_comments_base64_and_options_are_read() {
        let text = "version: 1\n\n# a comment\n  that goes on\ndn: CN=A,\n DC=x\ncn:: w4k=\nmember;range=0-1: one\nempty:\n\n\
            dn:: Q049w4k=\nuid: b\n# refldaps://x\n";
        let entries = parse_ldif(text).unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0].dn, "CN=A,DC=x");
        assert_eq!(entries[0].text("CN"), Some("É"));
        assert_eq!(entries[0].attributes[1].options, ["range=0-1"]);
        assert_eq!(entries[0].text("member"), Some("one"));
        assert_eq!(entries[0].text("empty"), Some(""));
        assert_eq!(entries[1].dn, "CN=É");
    }

    #[test]
    fn broken_base64_and_urls_are_refused() {
        assert!(parse_ldif("dn: x\ncn:: w4\n").is_err());
        assert!(parse_ldif("dn: x\ncn:: w4k*\n").is_err());
        assert!(parse_ldif("dn: x\njpegPhoto:< file:///x\n").is_err());
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        let values: [&[u8]; 9] =
            [b"plain", b" leading", b"trailing ", b":colon", b"<less", b"a\nb", b"\x00\xff", "É".as_bytes(), b""];
        let mut writer = LdifWriter::new();
        writer.entry("CN=É,DC=x", values.map(|value| ("v", value)));
        let entries = parse_ldif(&writer.finish()).unwrap();
        assert_eq!(entries[0].dn, "CN=É,DC=x");
        assert_eq!(entries[0].values("v").collect::<Vec<_>>(), values);
    }
}
