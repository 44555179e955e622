//! One entry of an answer: its name and its attributes, always as the bytes that came.
//!
//! It knows no attribute by name. ldap3 sorts values into text and binary by what they happen to hold and panics on odd
//! input, so its parsed structure is read here instead.

use std::fmt;

use ldap3::asn1::{PL, StructureTag};
use tenantry::{Error, Result};
use uuid::Uuid;

use crate::sid::Sid;
use crate::{generalized_time, guid};

/// One attribute: its description as the server wrote it, with options, and its values.
#[derive(Clone, PartialEq, Eq)]
pub struct Attribute {
    pub(crate) description: String,
    pub(crate) values: Vec<Vec<u8>>,
}

impl Attribute {
    /// Returns the description: name and options, such as `member;range=0-1499`.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Returns the values.
    pub fn values(&self) -> &[Vec<u8>] {
        &self.values
    }
}

impl fmt::Debug for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} values)", self.description, self.values.len())
    }
}

/// An entry of a search answer. `Debug` shows attribute names only.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    dn: String,
    attributes: Vec<Attribute>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("attributes", &self.attributes).finish_non_exhaustive()
    }
}

impl Entry {
    /// Creates an entry, for tests of what reads one.
    pub fn new<D, V>(dn: impl Into<String>, attributes: impl IntoIterator<Item = (D, V)>) -> Self
    where
        D: Into<String>,
        V: IntoIterator<Item: Into<Vec<u8>>>,
    {
        let mut entry = Self { dn: dn.into(), attributes: Vec::new() };
        for (description, values) in attributes {
            entry.push(description.into(), values.into_iter().map(Into::into).collect());
        }
        entry
    }

    /// Reads the parsed structure of a search entry.
    pub(crate) fn parse(tag: StructureTag) -> Result<Self> {
        let broken = |what: &'static str| Error::protocol("an entry cannot be decoded").with_context("found", what);
        let mut parts = list(tag).ok_or_else(|| broken("an entry that is no list"))?.into_iter();
        let dn = parts.next().and_then(string).ok_or_else(|| broken("a name that is not UTF-8 text"))?;
        let attributes = parts.next().and_then(list).ok_or_else(|| broken("attributes that are no list"))?;
        let mut entry = Self { dn, attributes: Vec::with_capacity(attributes.len()) };
        for attribute in attributes {
            let mut parts = list(attribute).ok_or_else(|| broken("an attribute that is no list"))?.into_iter();
            let description = parts
                .next()
                .and_then(string)
                .filter(|name| !name.is_empty())
                .ok_or_else(|| broken("an attribute without a name"))?;
            let values = parts.next().and_then(list).ok_or_else(|| broken("an attribute without a set of values"))?;
            let values = values
                .into_iter()
                .map(bytes)
                .collect::<Option<Vec<_>>>()
                .ok_or_else(|| broken("a value that is no string"))?;
            entry.push(description, values);
        }
        Ok(entry)
    }

    /// An attribute that comes twice is one attribute.
    fn push(&mut self, description: String, mut values: Vec<Vec<u8>>) {
        match self.attributes.iter_mut().find(|known| known.description.eq_ignore_ascii_case(&description)) {
            Some(known) => known.values.append(&mut values),
            None => self.attributes.push(Attribute { description, values }),
        }
    }

    /// Returns the name as the server wrote it; empty where the server hides it.
    pub fn dn(&self) -> &str {
        &self.dn
    }

    /// Returns every attribute, in the server's order.
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// Returns the attribute with this description, in any case; options are part of it.
    pub fn attribute(&self, description: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.description.eq_ignore_ascii_case(description))
    }

    /// Returns whether the attribute came at all, with values or without.
    pub fn is_present(&self, description: &str) -> bool {
        self.attribute(description).is_some()
    }

    /// Returns whether the attribute came without values: cleared, in the answer to a request for changes.
    pub fn is_present_but_empty(&self, description: &str) -> bool {
        self.attribute(description).is_some_and(|attribute| attribute.values.is_empty())
    }

    /// Returns the values as they came; none if the attribute is absent.
    pub fn values(&self, description: &str) -> &[Vec<u8>] {
        self.attribute(description).map_or(&[], |attribute| &attribute.values)
    }

    /// Returns the first value as it came.
    pub fn bytes(&self, description: &str) -> Option<&[u8]> {
        self.values(description).first().map(Vec::as_slice)
    }

    /// Returns the first value as text.
    ///
    /// # Errors
    /// If it is not UTF-8.
    pub fn text(&self, description: &str) -> Result<Option<&str>> {
        self.bytes(description).map(|value| utf8(value, description)).transpose()
    }

    /// Returns all values as text.
    ///
    /// # Errors
    /// If one is not UTF-8.
    pub fn texts(&self, description: &str) -> Result<Vec<&str>> {
        self.values(description).iter().map(|value| utf8(value, description)).collect()
    }

    /// Returns the first value as a signed number.
    ///
    /// # Errors
    /// If it is not a decimal number of 64 bits.
    pub fn i64(&self, description: &str) -> Result<Option<i64>> {
        self.parsed(description, "a value is not a number of 64 bits", |text| text.parse().ok())
    }

    /// Returns the first value as `TRUE` or `FALSE`.
    ///
    /// # Errors
    /// If it is neither.
    pub fn flag(&self, description: &str) -> Result<Option<bool>> {
        self.parsed(description, "a value is neither TRUE nor FALSE", |text| match text {
            _ if text.eq_ignore_ascii_case("TRUE") => Some(true),
            _ if text.eq_ignore_ascii_case("FALSE") => Some(false),
            _ => None,
        })
    }

    /// Returns the first value as a generalized time, in milliseconds since 1970.
    ///
    /// # Errors
    /// If it is not such a time.
    pub fn time(&self, description: &str) -> Result<Option<i64>> {
        self.parsed(description, "a value is not a generalized time", |text| {
            generalized_time::to_unix_millis(text).ok()
        })
    }

    /// Returns the first value as a GUID.
    ///
    /// # Errors
    /// If it does not have 16 bytes.
    pub fn guid(&self, description: &str) -> Result<Option<Uuid>> {
        let read = |value| guid::from_bytes(value).map_err(|error| error.with_context("attribute", description));
        self.bytes(description).map(read).transpose()
    }

    /// Returns the first value as a security identifier.
    ///
    /// # Errors
    /// If it is not one.
    pub fn sid(&self, description: &str) -> Result<Option<Sid>> {
        let read = |value| Sid::from_bytes(value).map_err(|error| error.with_context("attribute", description));
        self.bytes(description).map(read).transpose()
    }

    fn parsed<T>(&self, name: &str, wrong: &'static str, read: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        read(text).map(Some).ok_or_else(|| Error::protocol(wrong).with_context("attribute", name))
    }
}

fn utf8<'a>(value: &'a [u8], description: &str) -> Result<&'a str> {
    std::str::from_utf8(value).map_err(|error| {
        Error::protocol("a text value is not UTF-8")
            .with_context("attribute", description)
            .with_context("at byte", error.valid_up_to())
    })
}

fn list(tag: StructureTag) -> Option<Vec<StructureTag>> {
    match tag.payload {
        PL::C(parts) => Some(parts),
        PL::P(_) => None,
    }
}

fn bytes(tag: StructureTag) -> Option<Vec<u8>> {
    match tag.payload {
        PL::P(bytes) => Some(bytes),
        PL::C(_) => None,
    }
}

fn string(tag: StructureTag) -> Option<String> {
    String::from_utf8(bytes(tag)?).ok()
}

#[cfg(test)]
mod tests {
    use ldap3::asn1::parse_tag;
    use proptest::prelude::*;

    use super::*;
    use crate::ber::{MAX_DEPTH, Reader, check, element};

    fn sample() -> Entry {
        Entry::new(
            "CN=A",
            [
                ("objectGUID", vec![&b"ABCDEFGHIJKLMNOP"[..]]),
                ("displayName", vec![b"Anna", b"Berg"]),
                ("sn", vec![b"\xff"]),
                ("mail", vec![]),
                ("uSNChanged", vec![b"-9223372036854775808"]),
            ],
        )
    }

    #[test]
    fn binary_values_that_happen_to_be_text_come_out_the_same() {
        let entry = sample();
        assert_eq!(entry.bytes("OBJECTguid"), Some(&b"ABCDEFGHIJKLMNOP"[..]));
        assert!(entry.guid("objectGuid").unwrap().is_some());
    }

    #[test]
    fn absent_empty_and_present_are_three_things() {
        let entry = sample();
        assert!(entry.is_present_but_empty("MAIL"));
        assert!(!entry.is_present("title") && !entry.is_present_but_empty("title"));
        assert_eq!(entry.text("mail").unwrap(), None);
        assert_eq!(entry.texts("displayname").unwrap(), ["Anna", "Berg"]);
        assert_eq!(entry.i64("usnchanged").unwrap(), Some(i64::MIN));
    }

    #[test]
    fn text_that_is_not_utf8_is_reported_with_its_attribute_and_without_its_value() {
        let error = sample().text("sn").unwrap_err();
        assert_eq!(error.context("attribute"), Some("sn"));
    }

    #[test]
    fn debug_shows_no_value_and_no_name() {
        let shown = format!("{:?}", sample());
        assert!(
            !shown.contains("Anna") && !shown.contains("CN=A") && shown.contains("displayName (2 values)"),
            "{shown}"
        );
    }

    fn encode(dn: &[u8], attributes: &[(Vec<u8>, Vec<Vec<u8>>)]) -> Vec<u8> {
        let attributes: Vec<u8> = attributes
            .iter()
            .flat_map(|(name, values)| {
                let values: Vec<u8> = values.iter().flat_map(|value| element(4, value)).collect();
                element(0x30, &[element(4, name), element(0x31, &values)].concat())
            })
            .collect();
        element(0x64, &[element(4, dn), element(0x30, &attributes)].concat())
    }

    proptest! {
        #[test]
        fn any_values_come_through(values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..5)) {
            let bytes = encode(b"cn=x", &[(b"a".to_vec(), values.clone())]);
            let entry = Entry::parse(parse_tag(&bytes).unwrap().1).unwrap();
            prop_assert_eq!(entry.values("A"), &values[..]);
        }

        #[test]
        fn a_damaged_entry_never_panics(at: prop::sample::Index, byte: u8) {
            let mut bytes = encode(b"cn=x", &[(b"a".to_vec(), vec![b"v".to_vec()]), (b"b".to_vec(), vec![])]);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if check(Reader::new(&bytes), MAX_DEPTH, &mut 1000).is_ok()
                && let Ok((_, tag)) = parse_tag(&bytes)
            {
                let _ = Entry::parse(tag);
            }
        }
    }
}
