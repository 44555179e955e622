//! Direct memberships. Nested membership is computed by readers.

use serde::{Deserialize, Serialize};

use super::SourceId;

/// How a membership is written down in its directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// Listed by the group.
    Explicit,
    /// Named by the member as its primary group.
    Primary,
}

impl Via {
    /// Returns the spelling used in events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Explicit => "explicit",
            Self::Primary => "primary",
        }
    }
}

/// What a member is, as far as its group's listing tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberKind {
    /// A user.
    User,
    /// A nested group.
    Group,
    /// A computer or device.
    Computer,
    /// A contact that is not imported as a user.
    Contact,
    /// A principal of another directory.
    External,
    /// Everybody in the directory.
    Everyone,
    /// Not told.
    Unknown,
}

impl MemberKind {
    /// Every kind, in the order of their stored numbers.
    pub const ALL: [Self; 7] =
        [Self::User, Self::Group, Self::Computer, Self::Contact, Self::External, Self::Everyone, Self::Unknown];

    /// Returns the spelling used in events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
            Self::Computer => "computer",
            Self::Contact => "contact",
            Self::External => "external",
            Self::Everyone => "everyone",
            Self::Unknown => "unknown",
        }
    }
}

/// One member of a group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Member {
    /// The member's source id.
    pub id: SourceId,
    /// What it is, as far as the listing tells.
    pub kind: MemberKind,
}

/// Direct memberships of one group, as many as a page holds of them. One group may come on many pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edges {
    /// The group's source id.
    pub group: SourceId,
    /// How they are written down. Primary edges come with the members' own patches.
    pub via: Via,
    /// The members.
    pub members: Vec<Member>,
}
