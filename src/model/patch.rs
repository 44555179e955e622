//! What a connector reports of single objects.

use serde::{Deserialize, Serialize};

use super::{AttributeName, Attributes, ObjectKey, ObjectKind, SourceId, Value};

/// Attributes that are read together and have a freshness of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Facet {
    /// Names, addresses, state.
    #[default]
    Core,
    /// Second factors.
    Mfa,
    /// Sign-in activity.
    SignIn,
    /// What the mailbox is for.
    Mailbox,
}

impl Facet {
    /// Returns the number under which the store keeps it.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Core => 0,
            Self::Mfa => 1,
            Self::SignIn => 2,
            Self::Mailbox => 3,
        }
    }
}

/// An id that joins the same person or thing seen by two directories.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Anchor {
    /// The namespace of the id, for example `object-guid` or `security-id`.
    pub name: Box<str>,
    /// The id, spelled the same by every connector that knows the namespace.
    pub value: Box<str>,
}

/// What one page knows of one object. What it does not mention stays as it was.
///
/// A facet beside the core may come before the object itself, on an earlier page of the same listing or delta. It makes
/// no object: where neither this run nor an earlier one lists it, the facet is dropped. Values of such a facet go before
/// those of the core.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub struct Patch {
    /// Which object.
    pub object: ObjectKey,
    /// The attributes that were read together.
    pub facet: Facet,
    /// Where the object lies, if the directory has places: objects of one container are each other's siblings.
    /// Opaque to the engine; a move changes it, and that alone is no event.
    pub container: Option<Box<str>>,
    /// Ids that join it with objects of other endpoints.
    pub anchors: Vec<Anchor>,
    /// What is known of its attributes.
    pub attributes: Attributes,
    /// Attributes of which this facet says nothing any more, whatever it said before: another facet's value counts
    /// again, or the attribute is unknown. That is no loss, as an empty value is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forgets: Vec<AttributeName>,
    /// The group that the object itself names as its primary one: `None` unknown, `Some(None)` has none.
    pub primary_group: Option<Option<SourceId>>,
    /// Values that change by themselves: stored, never compared, never an event.
    pub observations: Attributes,
}

impl Patch {
    /// Creates a patch of the core facet that knows nothing yet.
    pub fn new(kind: ObjectKind, id: impl Into<SourceId>) -> Self {
        Self {
            object: ObjectKey { kind, id: id.into() },
            facet: Facet::Core,
            container: None,
            anchors: Vec::new(),
            attributes: Attributes::new(),
            forgets: Vec::new(),
            primary_group: None,
            observations: Attributes::new(),
        }
    }

    /// Sets one attribute.
    pub fn with(mut self, name: AttributeName, value: impl Into<Value>) -> Self {
        self.attributes.set(name, value);
        self
    }

    /// Sets the container.
    pub fn in_container(mut self, container: impl Into<Box<str>>) -> Self {
        self.container = Some(container.into());
        self
    }

    /// Says that this facet tells nothing of an attribute any more.
    pub fn forgetting(mut self, name: AttributeName) -> Self {
        self.forgets.push(name);
        self
    }

    /// Adds an anchor.
    pub fn anchored(mut self, name: &str, value: impl Into<Box<str>>) -> Self {
        self.anchors.push(Anchor { name: name.into(), value: value.into() });
        self
    }
}

/// A record set aside because it cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// What it was listed as.
    pub kind: ObjectKind,
    /// Its source id, if that much is known. Without it the listing of its kind proves no absence.
    pub id: Option<SourceId>,
    /// What is wrong with it: place and remedy, no secret.
    pub reason: String,
}

/// Whether a removed object can come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TombstoneKind {
    /// Restorable: its memberships sleep.
    Soft,
    /// Gone for good.
    Hard,
}

/// The directory's own statement that an object is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// Which object.
    pub object: ObjectKey,
    /// Whether it can come back.
    pub kind: TombstoneKind,
}
