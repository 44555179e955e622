//! Search filters by RFC 4515: checked, composed, escaped.
//!
//! It knows no attribute. A filter that somebody wrote is checked before it is sent, and the error names the place;
//! whatever is accepted here, ldap3 accepts as well. Composing is done on checked filters only, so that nothing can break
//! out of its parentheses.

use std::fmt;
use std::str::FromStr;

use tenantry::{Error, Result};

/// Nesting that is accepted: servers and ldap3's parser recurse.
const MAX_DEPTH: u32 = 32;

/// A filter that is known to be well formed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(String);

impl Filter {
    /// Checks a filter. Blanks between parentheses are dropped; the outermost parentheses may be left out.
    ///
    /// # Errors
    /// Names what was expected at which character.
    pub fn parse(text: &str) -> Result<Self> {
        let mut parser = Parser { text: text.trim_end(), at: 0, out: String::with_capacity(text.len() + 2) };
        match parser.whole() {
            Ok(()) => Ok(Self(parser.out)),
            Err(expected) => {
                let position = text.get(..parser.at).map_or(parser.at, |before| before.chars().count()) + 1;
                Err(Error::config("the filter is not valid")
                    .with_context("expected", expected)
                    .with_context("at character", position))
            }
        }
    }

    /// Selects everything: `(objectClass=*)`.
    pub fn any() -> Self {
        Self("(objectClass=*)".to_owned())
    }

    /// Selects entries that have this attribute. The name is the program's own, not somebody's input.
    ///
    /// # Errors
    /// If it is not a name.
    pub fn present(attribute: &str) -> Result<Self> {
        Self::parse(&format!("({attribute}=*)"))
    }

    /// Selects entries with this text as a value.
    ///
    /// # Errors
    /// If the attribute is not a name.
    pub fn equals(attribute: &str, value: &str) -> Result<Self> {
        Self::parse(&format!("({attribute}={})", escape(value)))
    }

    /// Selects entries with these bytes as a value, a GUID for instance.
    ///
    /// # Errors
    /// If the attribute is not a name.
    pub fn equals_bytes(attribute: &str, value: &[u8]) -> Result<Self> {
        Self::parse(&format!("({attribute}={})", escape_bytes(value)))
    }

    /// Selects entries with a value of at least this number.
    ///
    /// # Errors
    /// If the attribute is not a name.
    pub fn at_least(attribute: &str, value: i64) -> Result<Self> {
        Self::parse(&format!("({attribute}>={value})"))
    }

    /// Selects what all of them select; one alone is left as it is, none selects everything.
    #[must_use]
    pub fn and(filters: impl IntoIterator<Item = Self>) -> Self {
        Self::compose('&', filters).unwrap_or_else(Self::any)
    }

    /// Selects what one of them selects; one alone is left as it is.
    ///
    /// # Errors
    /// If there is none: such a filter would select nothing, which looks like an empty directory.
    pub fn or(filters: impl IntoIterator<Item = Self>) -> Result<Self> {
        Self::compose('|', filters).ok_or_else(|| Error::config("a choice of no filters selects nothing"))
    }

    /// Selects what this one does not.
    #[must_use]
    pub fn negate(&self) -> Self {
        Self(format!("(!{})", self.0))
    }

    /// Returns the filter as it is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn compose(operator: char, filters: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut filters = filters.into_iter();
        let first = filters.next()?;
        let Some(second) = filters.next() else { return Some(first) };
        let rest: String = filters.map(|filter| filter.0).collect();
        Some(Self(format!("({operator}{}{}{rest})", first.0, second.0)))
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Filter {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

/// Escapes text for use as a value.
pub fn escape(value: &str) -> String {
    value.chars().fold(String::with_capacity(value.len()), |mut out, c| {
        match c {
            '*' => out.push_str("\\2a"),
            '(' => out.push_str("\\28"),
            ')' => out.push_str("\\29"),
            '\\' => out.push_str("\\5c"),
            '\0' => out.push_str("\\00"),
            c => out.push(c),
        }
        out
    })
}

/// Escapes every byte for use as a value.
pub fn escape_bytes(value: &[u8]) -> String {
    value.iter().fold(String::with_capacity(value.len() * 3), |out, byte| out + &format!("\\{byte:02x}"))
}

/// What was expected where reading stopped.
type Expected = &'static str;

struct Parser<'a> {
    text: &'a str,
    at: usize,
    out: String,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Copies one ASCII character.
    fn take(&mut self, byte: u8) {
        self.out.push(char::from(byte));
        self.at += 1;
    }

    fn blanks(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn whole(&mut self) -> Result<(), Expected> {
        self.blanks();
        match self.peek() {
            Some(b'(') => self.filter(MAX_DEPTH)?,
            Some(_) => {
                self.out.push('(');
                self.component(MAX_DEPTH)?;
                self.out.push(')');
            }
            None => return Err("a filter"),
        }
        self.blanks();
        if self.peek().is_some() { Err("the end of the filter") } else { Ok(()) }
    }

    fn filter(&mut self, depth: u32) -> Result<(), Expected> {
        let depth = depth.checked_sub(1).ok_or("fewer nested parentheses")?;
        if self.peek() != Some(b'(') {
            return Err("an opening parenthesis");
        }
        self.take(b'(');
        self.blanks();
        self.component(depth)?;
        if self.peek() != Some(b')') {
            return Err("a closing parenthesis");
        }
        self.take(b')');
        Ok(())
    }

    fn component(&mut self, depth: u32) -> Result<(), Expected> {
        match self.peek() {
            Some(operator @ (b'&' | b'|')) => {
                self.take(operator);
                self.blanks();
                // `(&)` and `(|)` are constants of RFC 4526 that Active Directory does not know.
                self.filter(depth)?;
                self.blanks();
                while self.peek() == Some(b'(') {
                    self.filter(depth)?;
                    self.blanks();
                }
                Ok(())
            }
            Some(b'!') => {
                self.take(b'!');
                self.blanks();
                self.filter(depth)?;
                self.blanks();
                Ok(())
            }
            _ => self.item(),
        }
    }

    fn item(&mut self) -> Result<(), Expected> {
        let named = self.peek() != Some(b':');
        if named {
            self.attribute()?;
            while self.peek() == Some(b';') {
                self.take(b';');
                self.word(|byte| byte.is_ascii_alphanumeric() || byte == b'-')?;
            }
        }
        match self.peek() {
            Some(b'=') => {
                self.take(b'=');
                self.value(Stars::Allowed)
            }
            Some(operator @ (b'>' | b'<' | b'~')) => {
                self.take(operator);
                self.equals_sign()?;
                self.value(Stars::Refused)
            }
            Some(b':') => self.extensible(named),
            _ => Err("a comparison such as ="),
        }
    }

    /// Takes `[:dn][:rule]:=value`.
    fn extensible(&mut self, named: bool) -> Result<(), Expected> {
        self.take(b':');
        let mut has_rule = false;
        if self.text[self.at..].starts_with("dn:") {
            self.out.push_str("dn:");
            self.at += 3;
        } else if self.text[self.at..].starts_with("dn") {
            // ldap3 takes the first two letters for the word, and refuses the rest.
            return Err("a matching rule that does not begin with dn");
        }
        if self.peek() != Some(b'=') {
            self.attribute()?;
            has_rule = true;
            if self.peek() != Some(b':') {
                return Err("a colon after the matching rule");
            }
            self.take(b':');
        }
        if !named && !has_rule {
            return Err("an attribute or a matching rule");
        }
        self.equals_sign()?;
        self.value(Stars::Refused)
    }

    fn equals_sign(&mut self) -> Result<(), Expected> {
        if self.peek() != Some(b'=') {
            return Err("an equals sign");
        }
        self.take(b'=');
        Ok(())
    }

    /// Takes a name or an OID.
    fn attribute(&mut self) -> Result<(), Expected> {
        match self.peek() {
            Some(byte) if byte.is_ascii_alphabetic() => self.word(|byte| byte.is_ascii_alphanumeric() || byte == b'-'),
            Some(byte) if byte.is_ascii_digit() => loop {
                let start = self.at;
                self.word(|byte| byte.is_ascii_digit())?;
                if self.at - start > 1 && self.text.as_bytes()[start] == b'0' {
                    return Err("an OID without leading zeros");
                }
                if self.peek() != Some(b'.') {
                    return Ok(());
                }
                self.take(b'.');
            },
            _ => Err("an attribute name"),
        }
    }

    fn word(&mut self, belongs: impl Fn(u8) -> bool) -> Result<(), Expected> {
        let start = self.at;
        while let Some(byte) = self.peek().filter(|&byte| belongs(byte)) {
            self.take(byte);
        }
        if self.at == start { Err("a name") } else { Ok(()) }
    }

    fn value(&mut self, stars: Stars) -> Result<(), Expected> {
        let from = self.at;
        let bytes = self.text.as_bytes();
        let mut previous = 0;
        while let Some(byte) = self.peek() {
            match byte {
                b')' => break,
                b'(' => return Err("an escaped parenthesis, \\28"),
                0 => return Err("an escaped zero byte, \\00"),
                b'*' if stars == Stars::Refused => return Err("an escaped asterisk, \\2a"),
                b'*' if previous == b'*' => return Err("something between two asterisks"),
                b'\\' => {
                    let digits = bytes.get(self.at + 1..self.at + 3);
                    if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                        return Err("two hexadecimal digits after the backslash");
                    }
                    self.at += 3;
                }
                _ => self.at += 1,
            }
            previous = byte;
        }
        self.out.push_str(&self.text[from..self.at]);
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stars {
    Allowed,
    Refused,
}

#[cfg(test)]
mod tests;
