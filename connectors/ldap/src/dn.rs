//! Distinguished names by RFC 4514, with the older spellings that directories still send (RFC 2253, quotes).
//!
//! Two names are equal if their normal forms are: attribute types and values without regard to case, inner blanks
//! squeezed, the parts of a multi-valued RDN sorted. It knows no directory: what it calls equal, a server with finer
//! rules may tell apart, so a name is never an identity.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use tenantry::{Error, Result};
use uuid::Uuid;

/// A value in a name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Text(String),
    /// BER that is not text, as `#…` has it.
    Ber(Vec<u8>),
}

/// One `type=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Assertion {
    attribute: String,
    value: Value,
}

/// One level of a name: usually one `type=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rdn {
    assertions: Vec<Assertion>,
}

/// A distinguished name, from the entry up to the root. The empty name is the root.
#[derive(Debug, Clone)]
pub struct Dn {
    rdns: Vec<Rdn>,
    normal: Vec<String>,
}

/// Why Active Directory has renamed an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mangling {
    /// `\0ADEL:`: it is deleted.
    Deleted,
    /// `\0ACNF:`: another object took its name at the same time elsewhere.
    Conflict,
}

/// What stands in a renamed object's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mangled {
    /// Why.
    pub mangling: Mangling,
    /// The value before.
    pub original: String,
    /// The object's GUID.
    pub guid: Uuid,
}

impl Dn {
    /// Reads a name.
    ///
    /// # Errors
    /// Says at which byte it is not a name, without repeating it.
    pub fn parse(text: &str) -> Result<Self> {
        let mut parser = Parser { text, at: 0 };
        let rdns = parser.name().map_err(|wrong| {
            Error::protocol("a distinguished name cannot be read")
                .with_context("expected", wrong)
                .with_context("at byte", parser.at)
        })?;
        Ok(Self::from_rdns(rdns))
    }

    fn from_rdns(rdns: Vec<Rdn>) -> Self {
        let normal = rdns.iter().map(Rdn::normal).collect();
        Self { rdns, normal }
    }

    /// Returns the levels, the entry's own first.
    pub fn rdns(&self) -> &[Rdn] {
        &self.rdns
    }

    /// Returns the entry's own level.
    pub fn rdn(&self) -> Option<&Rdn> {
        self.rdns.first()
    }

    /// Returns the name of what holds the entry; none for the root.
    pub fn parent(&self) -> Option<Self> {
        let (_, rdns) = self.rdns.split_first()?;
        Some(Self { rdns: rdns.to_vec(), normal: self.normal[1..].to_vec() })
    }

    /// Returns whether it is that name or lies below it.
    pub fn is_under(&self, base: &Self) -> bool {
        self.normal.ends_with(&base.normal)
    }

    /// Returns the form by which names are compared.
    pub fn normalised(&self) -> String {
        self.normal.join(",")
    }

    /// Returns what Active Directory has put into the name of a deleted or conflicting object.
    pub fn mangled(&self) -> Option<Mangled> {
        let value = self.rdn()?.value()?;
        let (original, rest) = value.rsplit_once('\n')?;
        let (word, guid) = rest.split_at_checked(4)?;
        let mangling = match word {
            "DEL:" => Mangling::Deleted,
            "CNF:" => Mangling::Conflict,
            _ => return None,
        };
        Some(Mangled { mangling, original: original.to_owned(), guid: Uuid::try_parse(guid).ok()? })
    }
}

impl Rdn {
    /// Returns the type of the first part.
    pub fn attribute(&self) -> &str {
        self.assertions.first().map_or("", |first| &first.attribute)
    }

    /// Returns the text of the first part, without escapes; none if it is not text.
    pub fn value(&self) -> Option<&str> {
        match &self.assertions.first()?.value {
            Value::Text(text) => Some(text),
            Value::Ber(_) => None,
        }
    }

    fn normal(&self) -> String {
        let mut parts: Vec<String> = self.assertions.iter().map(Assertion::normal).collect();
        parts.sort();
        parts.join("+")
    }
}

impl Assertion {
    fn normal(&self) -> String {
        let value = match &self.value {
            Value::Ber(bytes) => hexadecimal(bytes),
            Value::Text(text) => {
                let squeezed = text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
                escape(&squeezed.to_lowercase())
            }
        };
        format!("{}={value}", self.attribute.to_ascii_lowercase())
    }
}

impl PartialEq for Dn {
    fn eq(&self, other: &Self) -> bool {
        self.normal == other.normal
    }
}

impl Eq for Dn {}

impl Hash for Dn {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.normal.hash(state);
    }
}

impl FromStr for Dn {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl fmt::Display for Dn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, rdn) in self.rdns.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            rdn.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Rdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Assertion { attribute, value }) in self.assertions.iter().enumerate() {
            if index > 0 {
                f.write_str("+")?;
            }
            match value {
                Value::Text(text) => write!(f, "{attribute}={}", escape(text))?,
                Value::Ber(bytes) => write!(f, "{attribute}={}", hexadecimal(bytes))?,
            }
        }
        Ok(())
    }
}

/// Escapes text for use as a value in a name.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 4);
    let last = text.len().saturating_sub(1);
    for (at, c) in text.char_indices() {
        match c {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=' => out.extend(['\\', c]),
            '#' | ' ' if at == 0 => out.extend(['\\', c]),
            ' ' if at == last => out.push_str("\\ "),
            c if c.is_ascii_control() => out.extend(format!("\\{:02X}", u32::from(c)).chars()),
            c => out.push(c),
        }
    }
    out
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold("#".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

/// What was expected where reading stopped.
type Expected = &'static str;

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while self.peek() == Some(b' ') {
            self.at += 1;
        }
    }

    fn name(&mut self) -> Result<Vec<Rdn>, Expected> {
        let mut rdns = Vec::new();
        self.blanks();
        if self.peek().is_none() {
            return Ok(rdns);
        }
        loop {
            let mut assertions = vec![self.assertion()?];
            while self.peek() == Some(b'+') {
                self.at += 1;
                assertions.push(self.assertion()?);
            }
            rdns.push(Rdn { assertions });
            match self.peek() {
                None => return Ok(rdns),
                Some(b',' | b';') => self.at += 1,
                Some(_) => return Err("a comma"),
            }
        }
    }

    fn assertion(&mut self) -> Result<Assertion, Expected> {
        self.blanks();
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')) {
            self.at += 1;
        }
        if self.at == start {
            return Err("an attribute type");
        }
        let attribute = self.text[start..self.at].to_owned();
        self.blanks();
        if self.peek() != Some(b'=') {
            return Err("an equals sign");
        }
        self.at += 1;
        self.blanks();
        let value = match self.peek() {
            Some(b'#') => self.ber()?,
            Some(b'"') => self.quoted()?,
            _ => self.plain()?,
        };
        self.blanks();
        Ok(Assertion { attribute, value })
    }

    fn ber(&mut self) -> Result<Value, Expected> {
        self.at += 1;
        let mut bytes = Vec::new();
        while let Some(byte) = self.hex_pair() {
            bytes.push(byte);
        }
        if bytes.is_empty() {
            return Err("hexadecimal digits");
        }
        // UTF8String, PrintableString, IA5String and OCTET STRING are text that was not written as such.
        let text = match bytes.as_slice() {
            [0x04 | 0x0c | 0x13 | 0x16, ..] => match crate::ber::header(&bytes) {
                Ok(Some((head, length))) if head + length == bytes.len() => {
                    String::from_utf8(bytes[head..].to_vec()).ok()
                }
                _ => None,
            },
            _ => None,
        };
        Ok(text.map_or(Value::Ber(bytes), Value::Text))
    }

    fn hex_pair(&mut self) -> Option<u8> {
        let pair = self.text.as_bytes().get(self.at..self.at + 2)?;
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let byte = digit(pair[0])? * 16 + digit(pair[1])?;
        self.at += 2;
        u8::try_from(byte).ok()
    }

    /// Takes what follows a backslash.
    fn escaped(&mut self, out: &mut Vec<u8>) -> Result<(), Expected> {
        self.at += 1;
        if let Some(byte) = self.hex_pair() {
            out.push(byte);
            return Ok(());
        }
        match self.peek() {
            Some(byte @ (b' ' | b'"' | b'#' | b'+' | b',' | b';' | b'<' | b'=' | b'>' | b'\\')) => {
                out.push(byte);
                self.at += 1;
                Ok(())
            }
            _ => Err("an escaped character or two hexadecimal digits"),
        }
    }

    fn quoted(&mut self) -> Result<Value, Expected> {
        self.at += 1;
        let mut out = Vec::new();
        loop {
            match self.peek() {
                None => return Err("a closing quote"),
                Some(b'"') => {
                    self.at += 1;
                    return text(out);
                }
                Some(b'\\') => self.escaped(&mut out)?,
                Some(byte) => {
                    out.push(byte);
                    self.at += 1;
                }
            }
        }
    }

    fn plain(&mut self) -> Result<Value, Expected> {
        let mut out = Vec::new();
        // Blanks at the end do not belong to the value, unless they are escaped.
        let mut keep = 0;
        loop {
            match self.peek() {
                None | Some(b',' | b';' | b'+') => break,
                Some(b'"') => return Err("an escape before the quote"),
                Some(b'\\') => {
                    self.escaped(&mut out)?;
                    keep = out.len();
                }
                Some(byte) => {
                    out.push(byte);
                    self.at += 1;
                    if byte != b' ' {
                        keep = out.len();
                    }
                }
            }
        }
        out.truncate(keep);
        text(out)
    }
}

fn text(bytes: Vec<u8>) -> Result<Value, Expected> {
    String::from_utf8(bytes).map(Value::Text).map_err(|_| "UTF-8")
}

#[cfg(test)]
mod tests;
