//! What a run would change, and what of it waits for approval.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{AttributeName, ObjectKey, ObjectKind, SourceId};
use crate::error::{Error, Result};

/// The id of a set of held changes: the same set has the same id.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlanId(Box<str>);

impl PlanId {
    /// Writes a digest of a set as its id.
    pub(crate) fn from_digest(digest: [u8; 8]) -> Self {
        Self(format!("{:016x}", u64::from_be_bytes(digest)).into())
    }

    /// Reads an id as a person types it.
    ///
    /// # Errors
    /// A plan's id is 16 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim().to_ascii_lowercase();
        if text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            Ok(Self(text.into()))
        } else {
            Err(Error::config("a plan id is 16 hexadecimal digits, as printed by the run that held it")
                .with_context("value", format_args!("{text:?}")))
        }
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a removal is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RemovalProof {
    /// The directory keeps a tombstone of it.
    Tombstone,
    /// Absent from a complete listing, and a look-up beside readable siblings finds nothing.
    LookedUp,
    /// It exists, but the directory moved it out of what is imported.
    OutOfScope,
    /// It has been missing for the set age, and somebody approved.
    MissingApproved,
}

/// One object that a plan removes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedRemoval {
    /// Which object.
    pub object: ObjectKey,
    /// Why it is believed.
    pub proof: RemovalProof,
    /// Whether it can come back.
    pub restorable: bool,
}

/// A sort of change that the guard judges by itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeldKind {
    /// Objects of one kind that would be removed.
    Removed(ObjectKind),
    /// Objects of one kind that would become missing.
    Missing(ObjectKind),
    /// Objects of one kind that have been missing for the set age, and go only by approval.
    Aged(ObjectKind),
    /// Users that would be suspended.
    Suspended,
    /// Memberships that would end, all groups together.
    Memberships,
    /// Memberships of one group that would end.
    MembersOf(SourceId),
    /// Values of one attribute that would become empty.
    Cleared(ObjectKind, HeldAttribute),
}

/// The name of an attribute in a held change.
pub type HeldAttribute = String;

impl HeldKind {
    /// Names cleared values of one attribute.
    pub fn cleared(kind: ObjectKind, name: &AttributeName) -> Self {
        Self::Cleared(kind, name.as_str().to_owned())
    }
}

impl fmt::Display for HeldKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Removed(kind) => write!(f, "{kind}s to be removed"),
            Self::Missing(kind) => write!(f, "{kind}s newly missing"),
            Self::Aged(kind) => write!(f, "{kind}s missing for long"),
            Self::Suspended => f.write_str("users to be suspended"),
            Self::Memberships => f.write_str("memberships to be ended"),
            Self::MembersOf(group) => write!(f, "memberships of group {group} to be ended"),
            Self::Cleared(kind, name) => write!(f, "values of {name} of {kind}s to be cleared"),
        }
    }
}

/// One sort of change that the guard holds back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldChange {
    /// What is held.
    pub kind: HeldKind,
    /// How many of them.
    pub count: u64,
    /// How many the guard lets pass, after those of the last 24 hours.
    pub allowed: u64,
    /// How many are known at all.
    pub known: u64,
    /// Why: one sentence for a person.
    pub reason: String,
}

/// The figures of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PlanSummary {
    /// Objects that would come in: each founds a record, or joins the one of somebody whom another endpoint shows.
    pub created: u64,
    /// Records that would change.
    pub updated: u64,
    /// Records that would be removed.
    pub removed: u64,
    /// Objects that would become missing.
    pub missing: u64,
    /// Memberships that would begin.
    pub members_added: u64,
    /// Memberships that would end.
    pub members_removed: u64,
    /// Objects, values and memberships held back for approval.
    pub parked: u64,
    /// The id of what is held back, if anything is.
    pub held_id: Option<PlanId>,
    /// What is held back, by sort.
    pub held: Vec<HeldChange>,
    /// Digest over every row of the plan: the same plan has the same digest.
    pub digest: String,
}
