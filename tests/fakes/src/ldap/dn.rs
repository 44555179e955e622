//! Distinguished names after RFC 4514, as far as Active Directory has them; it knows no entry.

use std::fmt;

/// One component: an attribute and its decoded value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rdn {
    pub(crate) attribute: String,
    pub(crate) value: String,
}

impl Rdn {
    pub(crate) fn new(attribute: &str, value: &str) -> Self {
        Self { attribute: attribute.to_owned(), value: value.to_owned() }
    }

    /// Returns the form in which two equal names are equal: case and runs of spaces do not count.
    pub(crate) fn normal(&self) -> String {
        let mut text = self.attribute.to_lowercase();
        text.push('=');
        let mut gap = false;
        for character in self.value.trim_matches(' ').chars() {
            if character == ' ' {
                gap = true;
                continue;
            }
            if gap {
                text.push(' ');
                gap = false;
            }
            text.extend(character.to_lowercase());
        }
        text
    }
}

impl fmt::Display for Rdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=", self.attribute)?;
        let last = self.value.chars().count().saturating_sub(1);
        for (at, character) in self.value.chars().enumerate() {
            match character {
                ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=' => write!(f, "\\{character}")?,
                '#' if at == 0 => f.write_str("\\#")?,
                ' ' if at == 0 || at == last => f.write_str("\\ ")?,
                '\n' | '\r' | '\0' => write!(f, "\\{:02X}", u32::from(character))?,
                _ => write!(f, "{character}")?,
            }
        }
        Ok(())
    }
}

/// The components of a name, the innermost first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Dn(pub(crate) Vec<Rdn>);

impl Dn {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.trim().is_empty() {
            return Some(Self::default());
        }
        split(text).into_iter().map(|part| parse_rdn(&part)).collect::<Option<Vec<_>>>().map(Self)
    }

    pub(crate) fn normal(&self) -> String {
        self.0.iter().map(Rdn::normal).collect::<Vec<_>>().join(",")
    }

    pub(crate) fn parent(&self) -> Self {
        Self(self.0.iter().skip(1).cloned().collect())
    }

    pub(crate) fn ends_with(&self, suffix: &Self) -> bool {
        let Some(skip) = self.0.len().checked_sub(suffix.0.len()) else { return false };
        self.0[skip..].iter().zip(&suffix.0).all(|(left, right)| left.normal() == right.normal())
    }

    /// Returns `corp.example` for a name that ends in `DC=corp,DC=example`.
    pub(crate) fn dns_name(&self) -> String {
        let labels = self.0.iter().filter(|rdn| rdn.attribute.eq_ignore_ascii_case("dc"));
        labels.map(|rdn| rdn.value.as_str()).collect::<Vec<_>>().join(".")
    }
}

impl fmt::Display for Dn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, rdn) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            rdn.fmt(f)?;
        }
        Ok(())
    }
}

fn split(text: &str) -> Vec<String> {
    let (mut parts, mut part, mut escaped, mut quoted) = (Vec::new(), String::new(), false, false);
    for character in text.chars() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            ',' | ';' if !quoted => {
                parts.push(std::mem::take(&mut part));
                continue;
            }
            _ => {}
        }
        part.push(character);
    }
    parts.push(part);
    parts
}

fn parse_rdn(text: &str) -> Option<Rdn> {
    // Only spaces are padding; other blanks belong to the value.
    let (attribute, value) = text.split_once('=')?;
    let attribute = attribute.trim_matches(' ');
    if attribute.is_empty() || !attribute.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c)) {
        return None;
    }
    Some(Rdn { attribute: attribute.to_owned(), value: unescape(value.trim_start_matches(' '))? })
}

fn unescape(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let (mut out, mut at, mut solid) = (Vec::new(), 0, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => {
                let pair = bytes.get(at + 1..at + 3).and_then(|pair| std::str::from_utf8(pair).ok());
                if let Some(byte) = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
                    out.push(byte);
                    at += 3;
                } else {
                    out.push(*bytes.get(at + 1)?);
                    at += 2;
                }
                solid = out.len();
                continue;
            }
            b'"' => {}
            byte => {
                out.push(byte);
                if byte != b' ' {
                    solid = out.len();
                }
            }
        }
        at += 1;
    }
    // Only spaces that nobody escaped are padding.
    out.truncate(solid);
    String::from_utf8(out).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_hashes_and_newlines_survive_the_way_there_and_back() {
        let text = "CN=Berg\\, Anna\\0ADEL:1,OU=\\#1 \\+ 2,DC=corp,DC=example";
        let dn = Dn::parse(text).unwrap();
        assert_eq!(dn.0[0].value, "Berg, Anna\nDEL:1");
        assert_eq!(dn.to_string(), text);
        assert_eq!(dn.dns_name(), "corp.example");
    }

    #[test]
    fn case_spaces_and_the_way_of_escaping_do_not_count() {
        let left = Dn::parse("cn=Berg\\2C  Anna , ou=People,dc=corp,dc=example").unwrap();
        let right = Dn::parse("CN=berg\\, anna,OU=people,DC=corp,DC=example").unwrap();
        assert_eq!(left.normal(), right.normal());
        assert!(left.ends_with(&Dn::parse("DC=CORP,DC=example").unwrap()));
    }

    #[test]
    fn a_blank_that_is_no_space_belongs_to_the_value() {
        assert_eq!(Dn::parse("C= \u{85}~").unwrap().0[0].value, "\u{85}~");
    }

    #[test]
    fn a_text_without_attribute_is_no_name() {
        assert_eq!(Dn::parse("Anna Berg"), None);
        assert_eq!(Dn::parse("CN=a,,DC=b"), None);
    }
}
