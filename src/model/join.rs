//! Why several objects are one person, and who else may be: what is told of joins. It decides nothing.

use serde::{Deserialize, Serialize};

use super::record::as_text;
use super::{ConflictReason, EndpointName, Identity, RecordId, RunId, SourceId, Timestamp};

/// Why an object is seen as the same person or thing as another one, the strongest reason first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JoinReason {
    /// Somebody said so.
    ByHand,
    /// They have the same source anchor.
    SourceAnchor,
    /// One names the other by its id, or both name the same one.
    DirectoryId,
    /// They have the same security id.
    SecurityId,
    /// They have an address in common that is in one of the customer's domains, and that nobody else has.
    VerifiedAddress,
    /// They have the same primary address, first name and last name.
    NaturalKey,
}

impl JoinReason {
    /// Every reason, in the order of their stored numbers.
    pub(crate) const ALL: [Self; 6] = [
        Self::ByHand,
        Self::SourceAnchor,
        Self::DirectoryId,
        Self::SecurityId,
        Self::VerifiedAddress,
        Self::NaturalKey,
    ];

    /// Returns the number under which the store keeps it.
    pub(crate) fn number(self) -> i64 {
        Self::ALL.iter().position(|known| *known == self).and_then(|at| i64::try_from(at).ok()).unwrap_or_default()
    }
}

/// Why one object of a record is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Join {
    /// Through which endpoint it is seen.
    pub endpoint: EndpointName,
    /// Its source id there.
    #[serde(serialize_with = "as_text")]
    pub source_id: SourceId,
    /// The object that it was joined with, as far as it is known still.
    pub with: Option<Identity>,
    /// Why.
    pub reason: JoinReason,
    /// When it was joined.
    pub at: Timestamp,
    /// The import that joined it; `None` for a local editor.
    pub run: Option<RunId>,
}

/// Two users who may be one person. Nothing is joined because of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ProbableJoin {
    /// The users; the one that has been known for longer comes first.
    pub records: (RecordId, RecordId),
    /// Why they are two as yet.
    pub reason: ConflictReason,
}
