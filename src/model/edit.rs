//! What local editors ask for and are told: edits, drafts, refusals, conflicts, assignments. It decides nothing.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::{AttributeName, Attributes, CustomerId, EndpointName, ObjectKind, RecordId, Timestamp, Value, names};
use crate::error::{Error, ErrorKind};

/// A change of one record by a local editor: all of it is made, or nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Edit {
    /// Values to set; [`Value::Empty`] says that there is none.
    pub values: Attributes,
    /// Local values to take back: the owner's value shows again, or nothing is known.
    pub withdrawn: BTreeSet<AttributeName>,
}

impl Edit {
    /// Creates an edit that changes nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a value.
    #[must_use]
    pub fn set(mut self, name: AttributeName, value: impl Into<Value>) -> Self {
        self.withdrawn.remove(&name);
        self.values.set(name, value);
        self
    }

    /// Takes a local value back.
    #[must_use]
    pub fn withdraw(mut self, name: AttributeName) -> Self {
        self.values.forget(&name);
        self.withdrawn.insert(name);
        self
    }

    /// Lists the attributes that it is about.
    pub fn attributes(&self) -> Vec<AttributeName> {
        self.values.iter().map(|(name, _)| name.clone()).chain(self.withdrawn.iter().cloned()).collect()
    }
}

/// A user or group to be added by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The id that the record gets. Asked for twice with the same id, it is added once.
    pub id: RecordId,
    /// A user or a group.
    pub kind: ObjectKind,
    /// What is known of it.
    pub values: Attributes,
    /// The host's tags, of a user.
    pub tags: BTreeSet<String>,
}

impl Draft {
    /// Drafts a user with an address.
    pub fn user(primary_email: &str) -> Self {
        Self::of(ObjectKind::User).set(names::PRIMARY_EMAIL, primary_email.trim())
    }

    /// Drafts a group with a name.
    pub fn group(name: &str) -> Self {
        Self::of(ObjectKind::Group).set(names::NAME, name.trim())
    }

    fn of(kind: ObjectKind) -> Self {
        Self { id: RecordId::random(), kind, values: Attributes::new(), tags: BTreeSet::new() }
    }

    /// Sets a value.
    #[must_use]
    pub fn set(mut self, name: AttributeName, value: impl Into<Value>) -> Self {
        self.values.set(name, value);
        self
    }

    /// Adds tags.
    #[must_use]
    pub fn tagged<T: Into<String>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.tags.extend(tags.into_iter().map(Into::into));
        self
    }

    /// Names the id, so that the same draft may be sent again.
    #[must_use]
    pub fn with_id(mut self, id: RecordId) -> Self {
        self.id = id;
        self
    }
}

/// Why one attribute of a record cannot be changed here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The attribute.
    pub attribute: AttributeName,
    /// The endpoint that owns it; `None` where the edit itself is wrong.
    pub owner: Option<EndpointName>,
    /// What is the matter, for people.
    pub reason: &'static str,
    /// What to do instead, for people.
    pub remedy: &'static str,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.attribute, self.reason)?;
        if let Some(owner) = &self.owner {
            write!(f, " ({owner})")?;
        }
        write!(f, "; {}", self.remedy)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let kind = if refusal.owner.is_some() { ErrorKind::Locked } else { ErrorKind::Config };
        let mut error = Self::new(kind, format!("{}; {}", refusal.reason, refusal.remedy))
            .with_context("attribute", &refusal.attribute);
        if let Some(owner) = &refusal.owner {
            error = error.with_context("owner", owner);
        }
        error
    }
}

/// Whether a user is put away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shelf {
    /// Put away: still imported, and out of the way.
    Archived,
    /// In use.
    InUse,
}

/// Why two records may be about one person, or may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConflictReason {
    /// They have an address in common and other names.
    AddressWithOtherNames,
    /// They have an address in common that is not the primary one of both.
    SecondaryAddress,
    /// Several fit, and nothing tells which is the one.
    SeveralCandidates,
    /// What they have in common would be enough, but one of them is joined already with somebody else of that endpoint.
    JoinedOtherwise,
    /// Groups or computers that were known apart before an anchor said that they are the same.
    LateAnchor,
}

impl ConflictReason {
    /// Every reason, in the order of their stored numbers.
    pub(crate) const ALL: [Self; 5] = [
        Self::AddressWithOtherNames,
        Self::SecondaryAddress,
        Self::SeveralCandidates,
        Self::JoinedOtherwise,
        Self::LateAnchor,
    ];
}

/// Two records that contradict each other: reported, never merged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// The record that an endpoint brought.
    pub record: RecordId,
    /// The records that it contradicts.
    pub others: Vec<RecordId>,
    /// Why.
    pub reason: ConflictReason,
    /// When it was found.
    pub found_at: Timestamp,
}

/// Which customer a new user belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assignment {
    /// To this one, because somebody said so.
    Explicit(CustomerId),
    /// To this one, whose verified web domain it is.
    ByDomain(CustomerId, String),
    /// Several customers claim the domain: a person has to say whose it is.
    Conflict(Vec<CustomerId>, String),
    /// Nobody claims the domain.
    Unclaimed,
    /// The domain gives addresses to everybody: it says nothing.
    PublicMail,
    /// It is no mail address.
    NotAnAddress,
}

impl Assignment {
    /// Returns the customer, if there is exactly one.
    pub fn customer(&self) -> Option<&CustomerId> {
        match self {
            Self::Explicit(customer) | Self::ByDomain(customer, _) => Some(customer),
            _ => None,
        }
    }
}
