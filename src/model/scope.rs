//! What can be listed to its end.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{ObjectKind, SourceId, Via};

/// A part of the directory that a listing can finish.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// All users.
    Users,
    /// All groups.
    Groups,
    /// All computers.
    Computers,
    /// All members of one group, of one way of being a member.
    Members(SourceId, Via),
}

impl Scope {
    /// Returns the scope that holds all objects of a kind.
    pub const fn of(kind: ObjectKind) -> Self {
        match kind {
            ObjectKind::User => Self::Users,
            ObjectKind::Group => Self::Groups,
            ObjectKind::Computer => Self::Computers,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Users => f.write_str("users"),
            Self::Groups => f.write_str("groups"),
            Self::Computers => f.write_str("computers"),
            Self::Members(group, via) => write!(f, "{} members of group {group}", via.as_str()),
        }
    }
}

/// A scope that could not be read; the rest of the listing goes on, and nothing of the scope is removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreadable {
    /// What could not be read.
    pub scope: Scope,
    /// Why, and what to do about it. No secret, no person.
    pub reason: String,
}
