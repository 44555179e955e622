//! Identifiers: who owns a thing, and which thing it is. No rule about joining lives here.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ObjectKind;
use crate::error::{Error, Result};

/// Checks a key that ends up in paths of events and in file names.
fn check_key(what: &'static str, text: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.is_empty() || text.len() > 64 || !text.chars().all(allowed) || text.starts_with('.') {
        return Err(Error::config(format!(
            "{what} must be 1 to 64 of the characters a-z A-Z 0-9 - _ . and not begin with a dot"
        ))
        .with_context("value", format_args!("{text:?}")));
    }
    Ok(())
}

macro_rules! key {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and takes a key.
            ///
            /// # Errors
            /// A key is 1 to 64 characters of `a-z A-Z 0-9 - _ .`; anything else is a configuration error.
            pub fn new(text: impl AsRef<str>) -> Result<Self> {
                let text = text.as_ref();
                check_key($what, text)?;
                Ok(Self(text.into()))
            }

            /// Returns the key as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(key: $name) -> Self {
                key.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

key!(
    /// The key of a customer: the organisation that everything belongs to. Never changes.
    CustomerId,
    "a customer id"
);
key!(
    /// The key of one endpoint of a customer. Never changes; the title may.
    EndpointName,
    "an endpoint name"
);

/// The id of a local record. Derived from the object that founded it, so that a rebuilt state has the same ids.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordId(pub Uuid);

impl RecordId {
    /// Derives the id of the record that an object founds.
    ///
    /// The same customer, endpoint, kind and source id always give the same record id: an object that comes back
    /// brings its record back, and a run that was killed and repeated creates nothing twice.
    pub fn founded_by(customer: &CustomerId, endpoint: &EndpointName, kind: ObjectKind, key: &SourceKey) -> Self {
        Self(derive_uuid(
            "tenantry record",
            &[customer.as_str().as_bytes(), endpoint.as_str().as_bytes(), kind.as_str().as_bytes(), &key.0],
        ))
    }

    /// Derives the id of the group that stands for an endpoint itself.
    pub fn of_endpoint_group(customer: &CustomerId, endpoint: &EndpointName) -> Self {
        Self(derive_uuid("tenantry endpoint group", &[customer.as_str().as_bytes(), endpoint.as_str().as_bytes()]))
    }

    /// Creates the id of a record that somebody adds by hand.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

/// Derives a version 8 UUID (RFC 9562) from parts, with BLAKE3 under a context of its own.
pub(crate) fn derive_uuid(context: &str, parts: &[&[u8]]) -> Uuid {
    let mut hasher = blake3::Hasher::new();
    hasher.update(context.as_bytes());
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id of one run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub Uuid);

impl RunId {
    /// Creates the id of a new run.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The directory's own id of an object, in one of two strengths.
///
/// Strong ids ([`SourceId::Guid`], [`SourceId::Id`]) never change and are never given to another object. A weak one
/// ([`SourceId::Address`]) is all that some protocols have: its object is never removed automatically.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SourceId {
    /// An immutable GUID.
    Guid(Uuid),
    /// An immutable id of another shape.
    Id(Box<str>),
    /// An address that stands in for an id: weak.
    Address(Box<str>),
}

impl SourceId {
    /// Takes an immutable id: as a GUID where it is written as one, else verbatim.
    pub fn parse(text: &str) -> Self {
        match (text.len(), Uuid::try_parse(text)) {
            (36, Ok(guid)) => Self::Guid(guid),
            _ => Self::Id(text.into()),
        }
    }

    /// Takes an address as a weak id; addresses compare without regard to ASCII case.
    pub fn address(text: &str) -> Self {
        Self::Address(text.to_ascii_lowercase().into())
    }

    /// Tells whether the id may change or be given to another object.
    pub fn is_weak(&self) -> bool {
        matches!(self, Self::Address(_))
    }

    /// Returns the fixed-size key under which the store keeps the object.
    ///
    /// GUIDs are their own key; other ids are hashed to 128 bits with BLAKE3.
    pub fn key(&self) -> SourceKey {
        let (tag, text) = match self {
            Self::Guid(guid) => return SourceKey(*guid.as_bytes()),
            Self::Id(text) => (b"i", text),
            Self::Address(text) => (b"a", text),
        };
        let mut hasher = blake3::Hasher::new();
        hasher.update(tag);
        hasher.update(text.as_bytes());
        let mut key = [0; 16];
        key.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        SourceKey(key)
    }

    /// Writes the id as a tag and its bytes, so that [`SourceId::from_stored`] reads it back.
    pub(crate) fn to_stored(&self) -> Vec<u8> {
        match self {
            Self::Guid(guid) => [b"g", guid.as_bytes().as_slice()].concat(),
            Self::Id(text) => [b"i", text.as_bytes()].concat(),
            Self::Address(text) => [b"a", text.as_bytes()].concat(),
        }
    }

    /// Reads what [`SourceId::to_stored`] wrote.
    pub(crate) fn from_stored(bytes: &[u8]) -> Option<Self> {
        let (tag, rest) = bytes.split_first()?;
        let text = || std::str::from_utf8(rest).ok().map(Box::from);
        match tag {
            b'g' => Uuid::from_slice(rest).ok().map(Self::Guid),
            b'i' => text().map(Self::Id),
            b'a' => text().map(Self::Address),
            _ => None,
        }
    }
}

impl From<Uuid> for SourceId {
    fn from(guid: Uuid) -> Self {
        Self::Guid(guid)
    }
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Guid(guid) => guid.fmt(f),
            Self::Id(text) | Self::Address(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A source id as 16 bytes: what probes, edges and digests work with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceKey(pub [u8; 16]);

impl fmt::Debug for SourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Uuid::from_bytes(self.0).fmt(f)
    }
}

/// What one object of an endpoint is known by: kind and source id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectKey {
    /// User, group or computer.
    pub kind: ObjectKind,
    /// The directory's own id.
    pub id: SourceId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_source_ids_read_back() {
        for id in [SourceId::Guid(Uuid::from_u128(7)), SourceId::parse("1034567"), SourceId::address("A@b.example")] {
            assert_eq!(SourceId::from_stored(&id.to_stored()), Some(id));
        }
        assert_eq!(SourceId::from_stored(b""), None);
    }

    #[test]
    fn a_guid_in_any_case_is_one_source_id() {
        let upper = SourceId::parse("CA937E14-64D9-465C-BF9C-13F1C263394B");
        assert_eq!(upper, SourceId::parse("ca937e14-64d9-465c-bf9c-13f1c263394b"));
        assert_eq!(upper.to_string(), "ca937e14-64d9-465c-bf9c-13f1c263394b");
    }

    #[test]
    fn an_id_and_an_address_of_the_same_text_have_different_keys() {
        assert_ne!(SourceId::Id("a@b.example".into()).key(), SourceId::address("a@b.example").key());
    }

    #[test]
    fn a_record_id_depends_on_customer_endpoint_kind_and_source() {
        let customer = CustomerId::new("c1").unwrap();
        let endpoint = EndpointName::new("ad").unwrap();
        let key = SourceId::Guid(Uuid::from_u128(1)).key();
        let id = RecordId::founded_by(&customer, &endpoint, ObjectKind::User, &key);
        assert_eq!(id, RecordId::founded_by(&customer, &endpoint, ObjectKind::User, &key));
        assert_ne!(id, RecordId::founded_by(&customer, &endpoint, ObjectKind::Group, &key));
    }

    #[test]
    fn keys_that_would_break_paths_are_refused() {
        for bad in ["", "a/b", ".hidden", "ä", &"x".repeat(65)] {
            assert!(CustomerId::new(bad).is_err(), "{bad}");
        }
    }
}
