//! What operations on the local directory are asked and tell: removal of an endpoint, erasure, export.

use serde::{Serialize, Serializer};

use super::{EndpointName, MemberKind, Record, RecordId, SourceId, Via};

/// What becomes of the records of an endpoint that is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandOver {
    /// They stay, and local editors may change everything.
    Unlocked,
    /// They stay unlocked, and users are archived.
    Archived,
}

/// What the removal of an endpoint has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Released {
    /// Records that no endpoint owns any more.
    pub records: u64,
    /// Memberships that ended.
    pub members_removed: u64,
}

/// What an erasure has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Erased {
    /// Records that were in the state file, also removed ones.
    pub records: u64,
    /// Memberships that ended.
    pub members_removed: u64,
    /// Segments of stored events that were written anew without them.
    pub segments: u64,
}

/// One entry of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Exported {
    /// A record that is there, as events spell it.
    Record(Box<Record>),
    /// A direct membership, as events spell it.
    Member(ExportedMember),
}

/// A direct membership. Its identity is endpoint, both source ids and the way; the records are hints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExportedMember {
    /// Whose membership it is; `None` for one made by hand, of which the source ids are those of the records.
    pub endpoint: Option<EndpointName>,
    /// The group's record.
    pub group: RecordId,
    /// The member's record, if it is imported.
    pub member: Option<RecordId>,
    /// The group's source id.
    #[serde(serialize_with = "as_text")]
    pub group_source_id: SourceId,
    /// The member's source id.
    #[serde(serialize_with = "as_text")]
    pub member_source_id: SourceId,
    /// Listed by the group, or named by the member as its primary one.
    pub via: Via,
    /// What the member is.
    pub member_kind: MemberKind,
}

fn as_text<S: Serializer>(id: &SourceId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}
